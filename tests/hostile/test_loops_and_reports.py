"""hostile.md, the rows about notifications and loops: 46, 47, 48, and what strangers could make of reports (39 of
faults.md is the flood of them). A test's number is its row."""

import re

import pytest

from harness.relay import configuration, hand_in, parse_report, report, reports, wait_empty
from harness.remote import Remote
from harness.smtp import message

USER = "user@here.example"


@pytest.fixture
def there():
    with Remote(name="there.example") as remote:
        yield remote


@pytest.fixture
def sender(make_target, there):
    def make(routes=None, **options):
        top = options.pop("top", "")
        return make_target(config=configuration({"there.example": there} | (routes or {}), **options), top=top)

    return make


def test_046_unknown_user_makes_no_report(sender, there):
    server = sender()
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<victim@there.example>", 250)
        c.cmd("RCPT TO:<nobody@here.example>", "550 5.1.1")
        c.cmd(f"RCPT TO:<{USER}>", 250)
        c.content(message())
    server.mail(USER, 1)
    wait_empty(server)
    assert not there.sessions


def test_047_received_fields_stop_a_loop(sender, there):
    """What left with as many as are allowed comes back with one more: refused at the limit, one report."""
    server = sender(limits={"received": 20})
    trace = "".join(f"Received: from x by h{n}.example; Thu, 01 Jan 2026 00:00:00 +0000\r\n" for n in range(20))
    hand_in(server, USER, "b@there.example", trace + message())
    assert len(there.wait_messages(1)[0].fields("received")) == 21
    with server.smtp() as c:
        c.hello()
        c.envelope("a@there.example", USER)
        c.content(there.accepted[0].content, "554 5.4.6")


def test_048_aliases_in_a_circle(sender, there):
    server = sender()
    server.run("alias", "add", "a@here.example", "b@here.example")
    server.run("alias", "add", "b@here.example", "a@here.example")  # may be refused here already
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<user@here.example>", 250)
        reply = c.cmd("RCPT TO:<a@here.example>")
        if reply.code == 250:
            c.content(message(), (250, "5xx"))
    wait_empty(server)
    assert len(server.mail(USER)) <= 1
    assert all(one.summary["a@here.example"][0] == "failed" for one in reports(server, USER, count=0))


def test_048_forwarded_back(sender, there):
    """A second server that forwards everything back: ends by the count of hops, with one report."""
    server = sender(limits={"received": 15})
    server.command("alias", "add", "round@here.example", "back@there.example")
    seen = [0]

    def back():
        taken = there.accepted[seen[0]]
        seen[0] += 1
        trace = f"Received: from here by there.example; Thu, 01 Jan 2026 00:00:0{seen[0] % 10} +0000\r\n".encode()
        with server.smtp() as c:
            c.hello()
            c.envelope(taken.sender, "round@here.example")
            return c.content(trace + taken.content, (250, "5xx")).code == 250

    hand_in(server, "a@there.example", "round@here.example", message())
    there.wait(lambda: len(there.accepted) > seen[0], "the first round")
    while back():
        assert seen[0] < 20
        count = seen[0]
        there.wait(lambda: len(there.accepted) > count, "the next round")
    wait_empty(server)
    assert len(there.accepted) == seen[0]


def test_048_delivered_to_stops_a_loop(sender, there):
    """A message that was already forwarded by the same alias does not go through it again without end."""
    server = sender()
    server.command("alias", "add", "round@here.example", "back@there.example")
    looped = "Delivered-To: round@here.example\r\n" * 3 + message()
    with server.smtp() as c:
        c.hello()
        c.envelope("a@there.example", "round@here.example")
        c.content(looped, (250, "5xx"))
    wait_empty(server)
    assert len(there.accepted) <= 1


@pytest.mark.parametrize(
    "sender_address, parameters",
    [
        ("user@here.example", " ENVID=x+0D+0AAction:+20delivered+0D+0A"),
        ("user@here.example", " ENVID=x+00y"),
        ("user@here.example", " ENVID=" + "x" * 100),
    ],
)
def test_016_parameters_cannot_write_fields(sender, there, sender_address, parameters):
    """xtext that decodes to line ends: never raw in the report (as row 16)."""
    there.on("RCPT", "550 5.1.1 nobody")
    server = sender()
    with server.smtp() as c:
        c.hello()
        if c.cmd(f"MAIL FROM:<{sender_address}>{parameters}").code != 250:
            return
        orcpt = " ORCPT=rfc822;x+0D+0AStatus:+202.0.0"
        if c.cmd(f"RCPT TO:<b@there.example>{orcpt}").code != 250:
            c.cmd("RCPT TO:<b@there.example>", 250)
        c.content(message())
    told = report(server, USER)
    assert told.summary == {"b@there.example": ("failed", "5.1.1")}
    assert "action" not in told.fields


def test_064_subject_and_headers_in_a_report(sender, there):
    """The original is quoted as it is; its boundary-like and odd lines end no part."""
    there.on("RCPT", "550 5.1.1 nobody")
    server = sender()
    body = "--=_x\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; x@y\r\n--\r\n----\r\n.\r\n"
    hand_in(server, USER, "b@there.example", message("=?utf-8?q?odd?=\r\n folded", body=body))
    told = report(server, USER)
    assert told.summary == {"b@there.example": ("failed", "5.1.1")}
    assert body.encode().rstrip() in told.returned


def test_boundaries_are_not_guessed(sender, there):
    """Two reports have two boundaries, and none stands in the original: who knows ours could forge a part."""
    there.on("RCPT", "550 5.1.1 nobody")
    server = sender()
    for _ in range(2):
        hand_in(server, USER, "b@there.example", message())
    one, two = reports(server, USER, count=2)
    assert one.message.get_boundary() != two.message.get_boundary()


def test_forged_report_is_mail_like_any_other(sender, there):
    server = sender()
    extra = "Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=x\r\n"
    forged = message(extra=extra, body="--x--\r\n")
    hand_in(server, "", USER, forged)
    server.mail(USER, 1)
    wait_empty(server)
    assert not there.sessions


def plain(address):
    return address.replace('"', "").replace("\\", "")


def test_report_to_an_odd_address(sender, there):
    """What stands in MAIL is written into To as an address, whatever it looks like."""
    there.on("RCPT", "550 5.1.1 nobody", match="bad@")
    server = sender()
    for odd in ('"a,b"', '"a\\"b"', '"<x@y>"', '"a b"', "a=?utf-8?q?b?=", "!#$%&'*+-/=?^_`{|}~"):
        hand_in(server, f"{odd}@there.example", "bad@there.example", message())
    for taken in there.wait_messages(6):
        told = parse_report(taken.content)
        (address,) = told.message["to"].addresses
        assert plain(address.addr_spec) == plain(taken.addresses[0])
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", taken.content)
