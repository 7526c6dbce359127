"""Real servers as the next hop: what we relay arrives octet for octet, apart from the trace fields in front.

Postfix, Exim and OpenSMTPD pass on to a scripted remote, where the octets are compared; Dovecot keeps them. And the
way in from Postfix by LMTP, and a journey veredus → Postfix → veredus with a report asked for."""

import smtplib

import pytest
from peers import postfix, room
from peers.dovecot import Dovecot
from peers.exim import Exim
from peers.opensmtpd import OpenSmtpd

from harness import poll
from harness.relay import configuration, hand_in, parse_report, report, reports, wait_empty
from harness.remote import Remote
from harness.server import free_address
from harness.smtp import message

pytestmark = pytest.mark.peer

ALICE = "alice@example.test"
HEAD = message("octets", body="")
CONTENTS = {
    "dots": HEAD + ".\r\n..\r\n...\r\n.\t\r\n.x\r\nFrom here\r\n>From there\r\n",
    "empty": HEAD,
    "spaces": HEAD + " \r\n\t\r\n  trailing  \r\n\r\n\r\n",
    "folded": "Subject: one\r\n two\r\n\tthree\r\nX-Empty:\r\nFrom: <a@b.test>\r\n" + "\r\nbody\r\n",
    "lines": HEAD + "".join("x" * n + "\r\n" for n in (1, 77, 78, 79, 511, 512, 513, 990)),
    "large": HEAD + ("0123456789abcdef" * 4 + "\r\n") * 40_000,
}


def needs(why):
    if why:
        pytest.skip(why)


def passing_on(there):
    return postfix.Postfix(free_address(), 2525, relayhost=f"[{there.host}]:{there.port}", message_size_limit="100000000")


KINDS = {
    "postfix": passing_on,
    "exim": lambda there: Exim((there.host, there.port)),
    "opensmtpd": lambda there: OpenSmtpd((there.host, there.port)),
}


@pytest.fixture
def far():
    """Where the next hop passes everything on to."""
    with Remote(name="far.test") as remote:
        yield remote


@pytest.fixture(params=KINDS)
def hop(request, far):
    """A next hop of each kind."""
    needs(postfix.missing() if request.param == "postfix" else room.missing(request.param))
    with KINDS[request.param](far) as peer:
        peer.kind = request.param
        yield peer


@pytest.fixture
def sender(make_server, hop):
    return make_server(config=configuration({"*": f"smtp:[{hop.host}]:{hop.port}"}))


def test_octets_are_the_same(sender, hop, far):
    for name, content in CONTENTS.items():
        count = len(far.accepted)
        hand_in(sender, ALICE, "b@there.test", content)
        far.wait(lambda: len(far.accepted) > count, f"{name}; {hop.text()[-2000:]}", 60)
        taken = far.accepted[-1].content
        header, body = taken.split(b"\r\n\r\n", 1)
        expected_header, expected = content.encode().split(b"\r\n\r\n", 1)
        assert body == expected, name
        assert expected_header in header, name
    wait_empty(sender)


def test_eight_bit_and_utf8(sender, hop, far):
    content = message("Grüße", to="jürgen@there.test", body="Grüße\r\n").encode()
    if hop.kind == "opensmtpd":  # 6.8 has no SMTPUTF8
        hand_in(sender, ALICE, "jürgen@there.test", content, " SMTPUTF8")
        assert report(sender).summary == {"jürgen@there.test": ("failed", "5.6.7")}
        return
    hand_in(sender, ALICE, "jürgen@there.test", content, " SMTPUTF8 BODY=8BITMIME")
    (taken,) = far.wait_messages(1, 60)
    assert taken.content.endswith("Grüße\r\n".encode()) and taken.addresses == ["jürgen@there.test"]


def test_many_over_few_connections(sender, hop, far):
    with sender.smtp() as c:
        c.hello()
        for number in range(200):
            c.deliver(ALICE, "b@there.test", message(f"n{number}"))
    far.wait(lambda: len(far.accepted) >= 200, hop.text()[-2000:], 120)
    assert sorted(one.fields("subject")[0] for one in far.accepted) == sorted(f"n{n}" for n in range(200))
    wait_empty(sender)


def test_many_recipients(sender, hop, far):
    to = [f"b{n}@there.test" for n in range(120)]
    hand_in(sender, ALICE, to, message())
    far.wait(lambda: sum(len(one.addresses) for one in far.accepted) >= 120, hop.text()[-2000:], 60)
    assert sorted(sum((one.addresses for one in far.accepted), [])) == sorted(to)
    wait_empty(sender)


# Dovecot


@pytest.fixture
def dovecot():
    needs(room.missing("dovecot"))
    with Dovecot() as peer:
        yield peer


def test_dovecot_by_lmtp(make_server, dovecot):
    server = make_server(config=configuration({"*": f"lmtp:[{dovecot.host}]:{dovecot.port}"}))
    for name, content in CONTENTS.items():
        box = f"{name}@there.test"
        hand_in(server, ALICE, [box, f"other-{name}@there.test"], content, rcpt_parameters=" NOTIFY=FAILURE")
        (kept,) = poll(lambda: dovecot.mail(box), 30, f"{name}: {dovecot.text()[-2000:]}")
        assert kept.endswith(content.encode()), name
        assert f"Return-Path: <{ALICE}>".encode() in kept
        poll(lambda: dovecot.mail(f"other-{name}@there.test"), 30, f"the second recipient of {name}")
    wait_empty(server)


def test_dovecot_success_is_reported(make_server, dovecot):
    server = make_server(config=configuration({"*": f"lmtp:[{dovecot.host}]:{dovecot.port}"}))
    hand_in(server, ALICE, "b@there.test", message(), rcpt_parameters=" NOTIFY=SUCCESS")
    assert report(server).about("b@there.test")["action"].lower() == "delivered"


# Postfix in front


def test_postfix_delivers_by_lmtp(new_server):
    needs(postfix.missing())
    server = new_server()
    address = f"{server.host}:2424"
    server.configure(f'listen "lmtp" {{ protocol = lmtp  address = {{"{address}"}} }}\n')
    server.populate()
    server.start()
    with postfix.Postfix(
        free_address(), 2525, transport_maps="", default_transport=f"lmtp:inet:[{server.host}]:2424"
    ) as front:
        with smtplib.SMTP(front.host, front.port) as client:
            assert (
                client.sendmail("a@there.test", [ALICE, "bob@example.test"], CONTENTS["dots"].encode()) == {}
            )
            client.sendmail("a@there.test", ["nobody@example.test"], message())
        assert server.mail(count=1, timeout=60)
        server.mail("bob@example.test", 1)
        assert server.raw().endswith(CONTENTS["dots"].encode().split(b"\r\n\r\n", 1)[1])
        poll(lambda: "status=bounced" in front.text(), 30, "a bounce by Postfix")
        assert front.text().count("status=sent (250") >= 2


# veredus → Postfix → veredus


@pytest.fixture
def journey(make_server):
    """(first, Postfix, last): mail for last.test goes from the first over Postfix to the last, example.test back."""
    needs(postfix.missing())
    last = make_server(domains=("last.test",), accounts=("carol@last.test",))
    with postfix.Postfix(
        free_address(),
        2525,
        transport_maps="texthash:/dev/null",
        relayhost=f"[{last.host}]:{last.port}",
        smtpd_relay_restrictions="permit_mynetworks,reject",
    ) as middle:
        first = make_server(config=configuration({"last.test": f"smtp:[{middle.host}]:{middle.port}"}))
        table = middle.base / "etc" / "transport"
        table.write_text(f"example.test smtp:[{first.host}]:{first.port}\n")
        main = middle.base / "etc" / "main.cf"
        main.write_text(main.read_text().replace("texthash:/dev/null", f"texthash:{table}"))
        middle.run("postfix", "reload")
        # What the last one reports goes home over Postfix too.
        last.configure(configuration({"*": f"smtp:[{middle.host}]:{middle.port}"}))
        last.command("reload")
        yield first, middle, last


def test_success_is_reported_from_the_end(journey):
    """DSN is passed along: Postfix relays it, and who delivers at last tells the sender at the first."""
    first, _, last = journey
    content = message("there and back", body=".\r\nback\r\n")
    hand_in(
        first, ALICE, "carol@last.test", content, " RET=HDRS ENVID=journey", " NOTIFY=SUCCESS ORCPT=rfc822;c@first.test"
    )
    assert last.mail("carol@last.test", 1, 60)[0]["subject"] == "there and back"
    assert last.raw("carol@last.test").endswith(content.encode())
    told = report(first, timeout=60)
    about = told.about("carol@last.test")
    assert about["action"].lower() == "delivered" and about["status"].startswith("2.")
    assert told.fields["original-envelope-id"] == "journey"
    assert about["original-recipient"].replace(" ", "") == "rfc822;c@first.test"
    wait_empty(first)


def test_failure_is_reported_by_who_meets_it(journey):
    first, middle, last = journey
    hand_in(first, ALICE, "nobody@last.test", message())
    poll(lambda: first.mail(), 60, f"a report; {middle.text()[-2000:]}")
    raw = first.raw()
    assert b"nobody@last.test" in raw and b"5.1.1" in raw
    if b"Reporting-MTA: dns; mx.example.test" in raw:
        parse_report(raw)
    assert reports(last, "carol@last.test", count=0) == []
