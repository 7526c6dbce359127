"""hostile.md section 2: our SMTP client against hostile remote servers, and row 4. A test's number is its row.

Deadlines are configured short; nothing measures time, the order of events tells. Rows 65 to 68 are about TLS.
"""

import re
import threading

import pytest

from harness import poll
from harness.relay import (
    configuration,
    hand_in,
    listed,
    recipients,
    report,
    reports,
    wait_deferred,
    wait_empty,
    wait_recipient,
)
from harness.remote import (
    CLOSE,
    EXTENSIONS,
    GOOD,
    RESET,
    STALL,
    SWALLOW,
    Action,
    Remote,
    drip,
    flood,
    pause,
    until,
)
from harness.smtp import message

USER = "user@here.example"
SHORT = {
    "connect-timeout": "2s",
    "greeting-timeout": "2s",
    "mail-timeout": "2s",
    "rcpt-timeout": "2s",
    "data-timeout": "2s",
    "block-timeout": "2s",
    "final-timeout": "2s",
}


@pytest.fixture
def evil():
    """The hostile server."""
    with Remote(name="evil.example") as remote:
        yield remote


@pytest.fixture
def sender(make_target, evil):
    """sender(…): a watched server with routes to evil (evil.example) and to a good one (good.example)."""
    good = Remote(name="good.example").start()

    def make(**options):
        outbound = SHORT | options.pop("outbound", {})
        routes = {"evil.example": evil, "good.example": good} | options.pop("routes", {})
        return make_target(config=configuration(routes, outbound=outbound, **options))

    make.good = good
    yield make
    good.stop()


@pytest.fixture
def cases(make_target, remotes):
    """cases({name: prepare}, …): a watched server, and for each case a remote of its own at NAME.example, which the
    case prepares. One server serves them all: a case costs a remote, not a server."""

    def make(prepared, **options):
        hosts = dict(zip(prepared, remotes(len(prepared))))
        for name, prepare in prepared.items():
            prepare(hosts[name])
        outbound = SHORT | options.pop("outbound", {})
        routes = {f"{name}.example": host for name, host in hosts.items()}
        return make_target(config=configuration(routes, outbound=outbound, **options)), hosts

    return make


def said(stage, *actions, **options):
    """A case: this is what the server says there."""
    return lambda remote: remote.on(stage, *actions, **options)


def numbered(stage, texts, **options):
    return {f"case{number}": said(stage, text, **options) for number, text in enumerate(texts)}


def send_to_all(server, hosts, octets=None):
    for name in hosts:
        hand_in(server, USER, f"b@{name}.example", octets or message())


def all_come_again(server, hosts):
    """Each case was given up with its connection, tried anew and taken; nobody was told of a failure."""
    for name, host in hosts.items():
        host.wait(lambda: len(host.sessions) >= 2 and host.accepted, f"another attempt for {name}", 60)
    wait_empty(server)
    assert server.mail(USER) == []


def others_are_served(server, good):
    """Mail elsewhere goes out at once."""
    before = len(good.accepted)
    hand_in(server, USER, "b@good.example", message("elsewhere"))
    good.wait_messages(before + 1)


def tempfailed(server, address="b@evil.example", enhanced="4", **options):
    """Deferred after an attempt; the entry. Nothing was bounced."""
    entry = wait_deferred(server, address, **options)
    assert entry["last"]["enhanced"].startswith(enhanced), entry
    assert server.mail(USER) == []
    return entry


def recovers(server, evil, count=1):
    """The other side behaves again: everything arrives and nobody was told of a failure."""
    evil.forget()
    evil.wait(lambda: len(evil.accepted) >= count, f"{count} messages", 60)
    wait_empty(server)
    assert server.mail(USER) == []


def test_004_no_stray_line_ends_go_out(make_target, evil):
    """A lone CR before a dot, taken by BDAT from a network of ours: one message, whoever reads it."""
    evil.extensions = [word for word in EXTENSIONS if word != "CHUNKING"]
    server = make_target(config=configuration({"evil.example": evil}), top="bare-lf = normalize")
    smuggled = b"\nMAIL FROM:<ceo@there.example>\r\nRCPT TO:<x@evil.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
    taken = 0
    for stray in (b"\r.\n", b"\r\n.\r", b"\n.\n", b"\r.\r", b"\r\r\n.\r\n", b"\n.\r\n"):
        content = message("outer").encode() + b"text" + stray + smuggled
        with server.smtp() as c:
            c.hello()
            c.envelope(USER, "b@evil.example")
            c.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
            taken += c.reply().code == 250
    evil.wait(lambda: len(evil.messages) == taken, f"{taken} messages")
    for one in evil.messages:
        wire = one.wire + b".\r\n"
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire)
        assert len(re.findall(rb"(?:\r\n|\n|\r)\.(?:\r\n|\n|\r)", wire)) <= 1
        assert not re.search(rb"(?m)^\.(?!\.)", one.wire)
    assert evil.count("MAIL") == taken
    wait_empty(server)


def test_059_no_banner(sender, evil):
    evil.on("banner", STALL)
    server = sender()
    hand_in(server, USER, "b@evil.example", message())
    others_are_served(server, sender.good)
    tempfailed(server, enhanced="4.4.")
    recovers(server, evil)


def test_060_banner_for_ever(sender, evil):
    """The deadline is that of the reply, not of a read."""
    evil.on("banner", drip(b"220 " + b"x" * 100000, 0.2))
    server = sender()
    hand_in(server, USER, "b@evil.example", message())
    tempfailed(server, enhanced="4.4.")
    recovers(server, evil)


ENDLESS = [
    flood(b"220-on and on\r\n" * 1000, 1000),
    flood(b"220 " + b"x" * (1 << 20), 10),
    flood(b"\0" * (1 << 20), 10),
]


@pytest.mark.parametrize("stage", ["banner", "EHLO", "RCPT", "dot"])
def test_061_reply_without_end(cases, stage):
    server, hosts = cases({f"case{n}": said(stage, one, STALL, times=1) for n, one in enumerate(ENDLESS)})
    send_to_all(server, hosts)
    all_come_again(server, hosts)


def test_061_limits(cases):
    """100 lines, and 4,096 octets a line, are taken; one more is not."""
    texts = {f"lines{n}": b"250-x\r\n" * (n - 1) + b"250 x\r\n" for n in (99, 100, 101)}
    texts |= {f"octets{n}": b"250 " + b"x" * (n - 6) + b"\r\n" for n in (4095, 4096, 4097)}
    server, hosts = cases({name: said("MAIL", text, times=1) for name, text in texts.items()}, queue={"retry": ["1h"]})
    send_to_all(server, hosts)
    for name in ("lines99", "lines100", "octets4095", "octets4096"):
        hosts[name].wait_messages(1)
    for name in ("lines101", "octets4097"):
        tempfailed(server, f"b@{name}.example")


def test_062_codes_that_differ_within_a_reply(cases):
    stages = ("EHLO", "MAIL", "RCPT", "dot")
    server, hosts = cases({stage.lower(): said(stage, b"250-a\r\n550 b\r\n", times=1) for stage in stages})
    send_to_all(server, hosts)
    all_come_again(server, hosts)
    assert all(b"550" not in line for host in hosts.values() for line in host.commands)


NO_REPLIES = ["999 x", "000 x", "25", "abc", "", "2500 x", "-250 x", "+250 x", "250_x", " 250 x"]


@pytest.mark.parametrize("stage", ["banner", "MAIL", "RCPT", "dot"])
def test_063_no_reply_at_all(cases, stage):
    server, hosts = cases(numbered(stage, [text.encode() + b"\r\n" for text in NO_REPLIES], times=1))
    send_to_all(server, hosts)
    all_come_again(server, hosts)


NASTY = [
    b"nul \0 esc \x1b[31m del \x7f",
    "utf-8 Grüße \u202e".encode(),
    b"\xff\xfe not utf-8",
    b"x" * 3000,
    b"%s%n%x ${run{id}} $(id) `id`",
]


def test_064_nasty_text(cases):
    """Escaped and cut wherever it is shown; reports stay well-formed (parse_report), the log too (the fixture)."""

    def nasty(text):
        def prepare(remote):
            remote.on("RCPT", b"550 5.1.1 " + text + b"\r\n", match="bad")
            remote.on("RCPT", b"450 4.1.1 " + text + b"\r\n", match="slow")

        return prepare

    server, hosts = cases({f"case{n}": nasty(text) for n, text in enumerate(NASTY)}, queue={"retry": ["1h"]})
    ids = [hand_in(server, USER, [f"bad@{name}.example", f"slow@{name}.example"], message()) for name in hosts]
    told = {}
    for one in reports(server, USER, len(hosts)):
        told |= one.summary
    # A CR inside makes lines of it, or no reply at all: then both are only deferred.
    assert told == {f"bad@{name}.example": ("failed", "5.1.1") for name in hosts}
    for name in hosts:
        assert wait_deferred(server, f"slow@{name}.example")["last"]["code"] == 450
    shown = [server.command("queue", "list")]
    for id in ids:
        shown += [server.command("queue", "show", id), server.command("trace", id)]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", "".join(shown))


def test_064_cr_inside(sender, evil):
    """A stray CR may end the reply or be part of it: refused, or tried again; never a line of its own anywhere."""
    evil.on("RCPT", b"550 5.1.1 cr \r550 2.0.0 inside\r\n", times=1)
    server = sender()
    hand_in(server, USER, "b@evil.example", message())
    poll(lambda: evil.accepted or server.mail(USER), 60, "an outcome")
    for one in reports(server, USER, count=0):
        assert one.summary == {"b@evil.example": ("failed", "5.1.1")}


def test_064_long_reply(cases):
    texts = {
        f"lines{n}": b"550-5.1.1 " + (b"y" * 500 + b"\r\n550-5.1.1 ") * (n - 1) + b"z\r\n550 5.1.1 end\r\n"
        for n in (20, 60, 99)
    }
    server, hosts = cases({name: said("RCPT", text) for name, text in texts.items()})
    send_to_all(server, hosts)
    for one in reports(server, USER, len(hosts)):
        assert list(one.summary.values()) == [("failed", "5.1.1")]


def test_069_replies_missing(sender, evil):
    """Three commands, two replies: who has no reply of his own is tried again."""
    evil.on("RCPT", flood(b""), match="two", times=1)
    server = sender()
    hand_in(server, USER, ["one@evil.example", "two@evil.example", "three@evil.example"], message())
    evil.wait(lambda: delivered_to(evil) >= 3, "all three", 60)
    wait_empty(server)
    assert server.mail(USER) == []


def delivered_to(remote):
    return len({address for one in remote.accepted for address in one.addresses})


def test_069_replies_too_many(sender, evil):
    """More replies than commands before 354; with BDAT nothing stands in its place, and what comes later cannot show."""
    evil.extensions = [word for word in EXTENSIONS if word != "CHUNKING"]
    evil.on("MAIL", b"250 ok\r\n250 ok\r\n250 ok\r\n", times=1)
    server = sender()
    hand_in(server, USER, ["one@evil.example", "two@evil.example"], message())
    evil.wait(lambda: len(evil.sessions) >= 2 and delivered_to(evil) >= 2, "another connection", 60)
    wait_empty(server)
    assert server.mail(USER) == []


def test_069_reply_too_many_hides_a_refusal(sender, evil):
    """Out of step, "one" would seem to be accepted and "two" refused; both must be decided by their own replies.
    """
    evil.extensions = [word for word in EXTENSIONS if word != "CHUNKING"]
    evil.on("MAIL", b"250 ok\r\n250 ok\r\n", times=1)
    evil.on("RCPT", "550 5.1.1 nobody", match="one")
    server = sender()
    hand_in(server, USER, ["one@evil.example", "two@evil.example"], message())
    assert report(server, USER).summary == {"one@evil.example": ("failed", "5.1.1")}
    wait_empty(server)
    assert delivered_to(evil) == 1


def test_070_accepted_before_the_dot(sender, evil):
    """250 behind 354 at once: that is no answer to the message."""
    evil.extensions = [word for word in EXTENSIONS if word != "CHUNKING"]
    evil.on("DATA", b"354 go on\r\n250 2.0.0 taken already\r\n", SWALLOW, times=1)
    server = sender()
    hand_in(server, USER, "b@evil.example", message())
    evil.wait_messages(1)
    assert len(evil.sessions) >= 2
    wait_empty(server)
    assert server.mail(USER) == []


def test_070_accepted_before_the_dot_and_listening(sender, evil):
    evil.extensions = [word for word in EXTENSIONS if word != "CHUNKING"]
    evil.on("content", "250 2.0.0 taken already", times=1)
    server = sender(queue={"retry": ["1s"]})
    hand_in(server, USER, "b@evil.example", message(body="x" * 70 + "\r\n"))
    evil.wait(lambda: evil.accepted, "a message")
    wait_empty(server)
    assert server.mail(USER) == []


def test_070_accepted_before_the_last_chunk(sender, evil):
    """The same with BDAT: 250 came while most of the message was still to be sent."""
    evil.on("content", "250 2.0.0 taken already", SWALLOW, times=1)
    server = sender()
    hand_in(server, USER, "b@evil.example", message(body=("x" * 70 + "\r\n") * 200_000))
    evil.wait_messages(1, 60)
    assert len(evil.sessions) >= 2
    wait_empty(server)
    assert server.mail(USER) == []


def test_071_reads_nothing(sender, evil):
    """The window closes in the middle of the content."""
    evil.on("content", STALL)
    server = sender()
    hand_in(server, USER, "b@evil.example", message(body=("x" * 70 + "\r\n") * 300_000))
    others_are_served(server, sender.good)
    tempfailed(server, enhanced="4.4.")
    recovers(server, evil)


def test_072_no_reply_to_the_dot(sender, evil):
    """Waits for its time, then tries again: the duplicate is allowed, and shown as such."""
    evil.on("dot", STALL)
    server = sender()
    hand_in(server, USER, "b@evil.example", message())
    entry = tempfailed(server, enhanced="4.4.")
    assert entry["why"]
    recovers(server, evil)


def test_072_late_reply(sender, evil):
    """A reply that comes in time is waited for."""
    evil.on("dot", pause(3), GOOD)
    server = sender(outbound={"final-timeout": "60s"})
    hand_in(server, USER, "b@evil.example", message())
    evil.wait_messages(1)
    wait_empty(server)
    assert len(evil.messages) == 1


def test_073_closes_after_the_dot(cases):
    server, hosts = cases({"close": said("dot", CLOSE), "reset": said("dot", RESET)})
    send_to_all(server, hosts)
    for name, host in hosts.items():
        tempfailed(server, f"b@{name}.example", attempts=2, enhanced="4.4.")
        host.forget()
    all_come_again(server, hosts)


def test_074_five_recipients(sender, evil):
    evil.on("RCPT", "452 4.2.2 full", match="full@", times=1).on("RCPT", "550 5.1.1 nobody", match="gone@")
    server = sender()
    to = [f"{name}@evil.example" for name in ("one", "two", "three", "full", "gone")]
    hand_in(server, USER, to, message())
    assert report(server, USER).summary == {"gone@evil.example": ("failed", "5.1.1")}
    wait_empty(server)
    delivered = sorted(address for one in evil.accepted for address in one.addresses)
    assert delivered == sorted(to[:4])
    assert evil.accepted[-1].addresses == ["full@evil.example"]


def test_075_421_among_recipients(sender, evil):
    evil.on("RCPT", "421 4.3.2 closing", CLOSE, match="three", times=1)
    server = sender()
    to = [f"{name}@evil.example" for name in ("one", "two", "three", "four", "five")]
    hand_in(server, USER, to, message())
    evil.wait(lambda: delivered_to(evil) == 5, "all five", 60)
    wait_empty(server)
    assert sum(len(one.addresses) for one in evil.accepted) == 5
    assert server.mail(USER) == []


def test_076_too_many_recipients(cases):
    """552 or 452 at the 101st: for that one alone, and only "not in this transaction"."""

    def at_most_100(reply):
        def limited(session):
            if len(session.recipients) < 100:
                session.default()
            else:
                session.say(reply)

        return said("RCPT", Action("limited", limited))

    replies = {"old": "552 5.5.3 too many recipients", "new": "452 4.5.3 too many recipients"}
    server, hosts = cases({name: at_most_100(reply) for name, reply in replies.items()})
    for name in hosts:
        hand_in(server, USER, [f"b{n}@{name}.example" for n in range(150)], message())
    for host in hosts.values():
        host.wait(lambda: delivered_to(host) == 150, "all 150", 60)
        assert sum(len(one.addresses) for one in host.accepted) == 150
    wait_empty(server)
    assert server.mail(USER) == []


def test_077_odd_sizes(cases):
    """0 means no limit, the rest means nothing."""
    sizes = ["0", "-5", "99999999999999999999", "abc", "", "18446744073709551616", "1 2"]

    def announced(size):
        return lambda remote: setattr(remote, "extensions", [f"SIZE {size}".strip(), "PIPELINING"])

    server, hosts = cases({f"case{number}": announced(size) for number, size in enumerate(sizes)})
    send_to_all(server, hosts, message(body=("x" * 70 + "\r\n") * 1000))
    for host in hosts.values():
        host.wait_messages(1)
    wait_empty(server)
    assert server.mail(USER) == []


def test_078_helo(cases):
    server, hosts = cases(numbered("EHLO", ["500 5.5.1 what?", "502 5.5.1 no", "554 5.5.1 never heard of it"]))
    for name, host in hosts.items():
        hand_in(server, USER, f"b@{name}.example", message(), " RET=HDRS", " NOTIFY=FAILURE")
        (taken,) = host.wait_messages(1)
        assert host.sessions[-1].verbs()[:3] == ["EHLO", "HELO", "MAIL"]
        assert (taken.parameters, taken.recipients[0][1], taken.verb) == ({}, {}, "DATA")


def test_079_utf8_address(sender, evil):
    evil.extensions = [word for word in EXTENSIONS if word != "SMTPUTF8"]
    server = sender()
    hand_in(server, USER, "jürgen@evil.example", message(to="jürgen@evil.example").encode(), " SMTPUTF8")
    assert report(server, USER).summary == {"jürgen@evil.example": ("failed", "5.6.7")}
    assert evil.count("RCPT") == 0


def test_079_utf8_header(sender, evil):
    """ASCII addresses, but the header is in UTF-8: made ASCII, or returned; never sent as it is."""
    evil.extensions = ["PIPELINING"]
    server = sender()
    hand_in(server, USER, "b@evil.example", message("Grüße").encode(), " SMTPUTF8 BODY=8BITMIME")
    poll(lambda: evil.accepted or server.mail(USER), 30, "an outcome")
    if evil.accepted:
        assert max(evil.accepted[0].content) < 128
    else:
        assert report(server, USER).summary["b@evil.example"][1].startswith("5.6.")


def test_080_talks_during_data(sender, evil):
    """100 MiB while the client is sending: read and bounded, or the end; never a deadlock."""
    evil.on("content", flood(b"250 noise\r\n" * 100_000, 100))
    server = sender()
    hand_in(server, USER, "b@evil.example", message(body=("x" * 70 + "\r\n") * 100_000))
    others_are_served(server, sender.good)
    tempfailed(server)
    recovers(server, evil)


def test_081_the_basic_code_decides(sender, evil):
    evil.on("MAIL", "250 5.1.0 ok")
    evil.on("RCPT", "250 5.1.1 ok", match="good").on("RCPT", "550 2.0.0 no", match="bad")
    evil.on("RCPT", "450 5.1.1 later", match="later", times=1)
    evil.on("dot", "250 4.0.0 taken")
    server = sender()
    to = ["good@evil.example", "bad@evil.example", "later@evil.example"]
    hand_in(server, USER, to, message())
    bounce = report(server, USER)
    assert list(bounce.summary) == ["bad@evil.example"]
    assert bounce.about("bad@evil.example")["status"].startswith("5.")
    wait_empty(server)
    assert delivered_to(evil) == 2


def test_082_slow_site(sender, evil):
    """One host takes its time with everything: its limits hold, others do not notice."""
    slow = threading.Event()
    evil.on("MAIL", until(slow), GOOD)
    server = sender(outbound={"connections-per-site": 4, "mail-timeout": "10m"})
    for number in range(200):
        hand_in(server, USER, "b@evil.example", message(f"n{number}"))
    for _ in range(20):
        others_are_served(server, sender.good)
    assert len(evil.open_sessions()) <= 4
    assert len(listed(server)) == 200
    slow.set()
    evil.wait(lambda: len(evil.accepted) == 200, "all of them", 60)
    wait_empty(server)
    assert recipients(server) == {}


def test_082_stalled_is_active_then_deferred(sender, evil):
    evil.on("MAIL", STALL)
    server = sender(outbound={"mail-timeout": "10m"})
    hand_in(server, USER, "b@evil.example", message())
    wait_recipient(server, "b@evil.example", lambda one: one["state"] == "active", "active")
    evil.stop()
    assert wait_deferred(server, "b@evil.example")["why"]
