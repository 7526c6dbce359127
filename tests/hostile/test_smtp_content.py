"""hostile.md section 1, rows about content: smuggling, BDAT, sizes, endings. A test's number is its row."""

import random
import re
import socket
import time

import pytest

from harness import poll, processes
from harness.smtp import Closed, message, queued_as

SMUGGLED = (
    b"MAIL FROM:<ceo@there.example>\r\nRCPT TO:<user@here.example>\r\nDATA\r\nSubject: smuggled\r\n\r\n"
    b"smuggled\r\n.\r\n"
)
DOTS = {1: b"\n.\n", 2: b"\n.\r\n", 3: b"\r\n.\n"}
MORE_DOTS = [
    b"\r.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\n\n.\r\n",
    b"\r\n.\r\r\n",
    b"\r\n\x20.\r\n",
]


def smuggle(server, mailbox, end, wanted):
    """Content that a lax server would take for two messages. The replies must be to the strict reading."""
    with server.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.cmd("DATA", 354)
        c.send(message("outer").encode() + b"body" + end + SMUGGLED)
        reply = c.expect(wanted)
        c.cmd("NOOP", 250)  # exactly one reply before this one (G5)
        c.quit()
    return reply


@pytest.mark.parametrize("row", [1, 2, 3], ids=lambda row: f"row{row}")
def test_001_002_003_smuggling_is_refused(target, mailbox, row):
    smuggle(target, mailbox, DOTS[row], "554 5.6.0")
    assert target.mail(mailbox) == []
    assert all(mail["subject"] != "smuggled" for mail in target.mail("user@here.example"))


@pytest.mark.parametrize("row", [1, 2, 3], ids=lambda row: f"row{row}")
def test_001_002_003_smuggling_normalized(make_target, row):
    """`bare-lf = normalize`, for trusted networks only: one message that holds the rest as text."""
    server = make_target(top="bare-lf = normalize", config='relay { allow = {"127.0.0.1"} }')
    smuggle(server, "other@here.example", DOTS[row], 250)
    server.mail("other@here.example", 1)
    raw = server.raw("other@here.example")
    assert b"RCPT TO:<user@here.example>" in raw and b"\nsmuggled\r\n" in raw
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert server.mail("user@here.example") == []


@pytest.mark.parametrize("end", MORE_DOTS, ids=repr)
def test_003_family_one_message_at_most(target, mailbox, end):
    reply = smuggle(target, mailbox, end, (250, "5xx"))
    if reply.code == 250:
        target.mail(mailbox, 1)
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", target.raw(mailbox))
    assert all(mail["subject"] != "smuggled" for mail in target.mail("user@here.example"))


def test_007_content_before_354(target, mailbox):
    """RFC 2920 3.1: never two messages, and what comes early is no command."""
    with target.smtp() as c:
        c.send(
            f"EHLO x\r\nMAIL FROM:<a@evil.example>\r\nRCPT TO:<{mailbox}>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n"
        )
        replies = c.replies_to_end()
        assert [str(reply.code) for reply in replies[:3]] == ["250", "250", "250"]
        assert replies[3].matches("503 5.5.0") and len(replies) == 4, list(map(str, replies))
    assert target.mail(mailbox) == []


def rejecting_limits(server, box, octets, code):
    with server.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", box)
        c.content(octets, code)
        c.deliver("a@evil.example", box, message("after"))  # the connection is usable
    assert [mail["subject"] for mail in server.mail(box, 1)] == ["after"]


def peak_kib(server):
    return {pid: processes.status_kib(pid, "VmHWM") for pid in server.pids()}


def test_029_declared_10_sent_60_mib(target, mailbox):
    before = peak_kib(target)
    with target.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@evil.example> SIZE=10", 250)
        c.cmd(f"RCPT TO:<{mailbox}>", 250)
        c.cmd("DATA", 354)
        line = b"x" * 1022 + b"\r\n"
        c.pour(message().encode() + line * (60 * 1024) + b".\r\n")
        c.expect("552 5.3.4")
        c.deliver("a@evil.example", mailbox, message("after"))
    assert [mail["subject"] for mail in target.mail(mailbox, 1)] == ["after"]
    for pid, peak in peak_kib(target).items():
        assert peak - before[pid] < 48 * 1024, "60 MiB were kept in memory"


def test_051_40_mib_without_line_end(target, mailbox):
    before = peak_kib(target)
    rejecting_limits(target, mailbox, message().encode() + b"x" * (40 << 20) + b"\r\n", "554 5.6.0")
    for pid, peak in peak_kib(target).items():
        assert peak - before[pid] < 32 * 1024


@pytest.mark.parametrize("over, code", [(-1, 250), (0, 250), (1, "554 5.6.0")])
def test_051_content_line_limit(target, mailbox, over, code):
    """16 KiB with CRLF or without: both are met by 2 octets of tolerance around the limit."""
    octets = message().encode() + b"x" * (16384 + over * 8 - 4) + b"\r\n"
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.content(octets, code)
    if code == 250:
        target.mail(mailbox, 1)
        assert target.raw(mailbox).endswith(octets)


def test_header_block_limits(target, mailbox):
    """256 KiB, 1,000 fields."""
    big = "".join(f"X-{i}: " + "y" * 900 + "\r\n" for i in range(320))
    rejecting_limits(target, mailbox, message(extra=big), ("552 5.3.4", "554 5.6.0"))
    many = "".join(f"X-{i}: y\r\n" for i in range(1001))
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.content(message(extra=many), ("554 5.6.0", "552 5.3.4"))


@pytest.mark.parametrize(
    "line",
    [
        "BDAT 18446744073709551615 LAST",
        "BDAT 18446744073709551616 LAST",
        "BDAT 4294967296",
        "BDAT -1",
        "BDAT 1 LASTX",
        "BDAT",
        "BDAT 0x10",
        "BDAT 1 2",
        "BDAT +1",
    ],
)
def test_025_bdat_sizes(target, mailbox, line):
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.send(line.encode() + b"\r\nMAIL FROM:<smuggled@evil.example>\r\nNOOP\r\n")
        c.expect(("552 5.3.4", "501 5.5.4"))
        assert len(c.replies_to_end()) <= 1  # at most a 421: what follows was no command
    assert target.mail(mailbox) == []


@pytest.mark.parametrize("code_of_mail", ["none", "refused"])
def test_026_bdat_without_mail(target, code_of_mail):
    """The octets are swallowed, then 503; no MAIL is executed."""
    chunk = b"MAIL FROM:<a@b.example>\r\n".ljust(40, b"\n")
    with target.smtp() as c:
        c.hello()
        if code_of_mail == "refused":
            c.cmd("MAIL FROM:<a@b.example> SIZE=999999999", 552)
        c.send(b"BDAT 40\r\n" + chunk + b"NOOP\r\n")
        c.expect("503 5.5.1")
        c.expect(250)
        c.cmd("RCPT TO:<user@here.example>", "503 5.5.1")
        c.quit()


def test_026_bdat_after_refused_recipients(target):
    with target.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd("RCPT TO:<nobody@here.example>", "550 5.1.1")
        c.send(b"BDAT 10 LAST\r\nQUIT\r\nxxxxNOOP\r\n")
        c.expect(("503 5.5.1", "554 5.5.1"))
        c.expect(250)


def test_028_bdat_then_data(target, mailbox):
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.send(b"BDAT 10\r\n0123456789")
        c.expect(250)
        c.cmd("DATA", "503 5.5.1")
        c.cmd("RSET", 250)
        c.deliver("a@evil.example", mailbox, message("after"))
    assert [mail["subject"] for mail in target.mail(mailbox, 1)] == ["after"]


def test_bdat_beyond_the_size(make_target):
    server = make_target(config='limits { message-size = "64K" }')
    with server.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", "user@here.example")
        chunk = message().encode() + (b"x" * 98 + b"\r\n") * 500
        c.send(b"BDAT %d\r\n" % len(chunk) + chunk)
        c.expect(250)
        c.send(b"BDAT %d LAST\r\n" % len(chunk) + chunk)
        c.expect("552 5.3.4")
        c.cmd("NOOP", 250)
        c.deliver("a@evil.example", "user@here.example", message("after"))
    assert [mail["subject"] for mail in server.mail("user@here.example", 1)] == ["after"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: no body\r\n",
        b"\r\nno header\r\n",
        b"From x Thu Jan 1\r\nSubject: y\r\n\r\nz\r\n",
        b">From x Thu Jan 1\r\nSubject: y\r\n\r\nz\r\n",
        b"no header at all\r\n",
        b"\r\n",
        b"\r\n\r\n",
    ],
    ids=repr,
)
def test_049_odd_messages(target, mailbox, content):
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", mailbox, content)
    (mail,) = target.mail(mailbox, 1)
    raw = target.raw(mailbox)
    assert raw.endswith(content) and mail["size"] == len(raw)
    prefix = raw[: len(raw) - len(content)]
    assert prefix.startswith(b"Return-Path: <a@evil.example>\r\n") and prefix.endswith(b"\r\n")


def test_050_dots(target, mailbox):
    """The round trip is the identity."""
    body = b".\r\n..\r\n...\r\n.\t\r\n" + b".x\r\n" * 1000 + b". \r\n.\r\n"
    content = message("dots").encode() + body
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", mailbox, content)
    target.mail(mailbox, 1)
    assert target.raw(mailbox).endswith(content)


def test_050_dots_cut_everywhere(target, mailbox):
    """The same however the stream is cut into segments."""
    body = b".\r\n..\r\n.x\r\n"
    content = message("dots").encode() + body
    stuffed = re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"
    tail = len(stuffed) - len(body) - 8
    with target.smtp() as c:
        c.hello()
        for cut in range(tail, len(stuffed)):
            c.envelope("a@evil.example", mailbox)
            c.cmd("DATA", 354)
            c.send(stuffed[:cut])
            c.send(stuffed[cut:])
            queued_as(c.expect(250))
    mails = target.mail(mailbox, len(stuffed) - tail)
    for mail in (mails[0], mails[-1]):
        assert target.raw(mailbox, mail["uid"]).endswith(content)


def test_047_received_fields(target, mailbox):
    field = "Received: from a.example by b.example; Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.content(field * 101 + message(), "554 5.4.6")
        c.deliver("a@evil.example", mailbox, field * 99 + message("fits"))
    assert [mail["subject"] for mail in target.mail(mailbox, 1)] == ["fits"]


def test_048_alias_loop(target):
    """Found by the directory or by Delivered-To; nothing grows."""
    for name, to in (("a", "b"), ("b", "a"), ("self", "self")):
        target.run("alias", "add", f"{name}@here.example", f"{to}@here.example")
    with target.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<x@evil.example>", 250)
        for name in ("a", "b", "self"):
            c.cmd(f"RCPT TO:<{name}@here.example>", ("5xx", "4xx"))
        c.cmd("RSET", 250)
    for name in ("a", "b", "self"):
        target.run("alias", "remove", f"{name}@here.example")


def test_052_reset_after_the_dot(target, mailbox):
    """Queued once or not at all."""
    rounds, known = 60, random.Random(52)
    for number in range(rounds):
        with target.smtp() as c:
            c.hello()
            c.envelope("a@evil.example", mailbox)
            c.cmd("DATA", 354)
            c.send(message(f"n{number}") + ".\r\n")
            c.socket.settimeout(max(0.0001, known.random() * 0.05 if number % 2 else 0.0001))
            try:
                c.socket.recv(1)  # the random delay; the reply may come first
            except (TimeoutError, OSError):
                pass
            c.reset()
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", mailbox, message("last"))
    poll(lambda: any(mail["subject"] == "last" for mail in target.mail(mailbox)), 20, "the last message", 0.1)
    subjects = [mail["subject"] for mail in target.mail(mailbox)]
    assert len(subjects) == len(set(subjects))


def test_180_end_of_stream_is_no_end_of_data(target, mailbox):
    for end in (b"", b"\r\n.", b"\r\n.\r"):
        with target.smtp() as c:
            c.hello()
            c.envelope("a@evil.example", mailbox)
            c.cmd("DATA", 354)
            c.send(message("cut").encode() + b"text" + end)
            c.socket.shutdown(socket.SHUT_WR)
            with pytest.raises(Closed):
                reply = c.reply()
                assert reply.code // 100 in (4, 5)
                c.reply()
    assert target.mail(mailbox) == []


@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
def test_022_slow_content(make_target, verb):
    """Less than data-rate over the grace time: 421, and nothing is kept."""
    server = make_target(config='limits { data-rate = 512  data-rate-grace = "2s"  command-timeout = "60s" }')
    with server.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", "user@here.example")
        c.send("DATA\r\n" if verb == "DATA" else "BDAT 100000 LAST\r\n")
        if verb == "DATA":
            c.expect(354)
        begun = time.monotonic()
        c.socket.settimeout(0.1)
        while not c.buffer:
            assert time.monotonic() - begun < 20, "still waiting for the slow one"
            try:
                c.send("x")
                c.buffer += c.socket.recv(1000)
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                pass
        c.expect("421 4.4.2")
        c.at_end()
        assert time.monotonic() - begun >= 1.5
    assert server.mail("user@here.example") == []


def test_022_fast_enough_content_goes_on(make_target):
    server = make_target(config='limits { data-rate = 512  data-rate-grace = "2s" }')
    with server.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", "user@here.example")
        c.cmd("DATA", 354)
        c.send(message())
        begun = time.monotonic()
        while time.monotonic() - begun < 5:  # twice the grace, at a rate above the least
            c.send("x" * 254 + "\r\n")
            time.sleep(0.2)  # the pace is what is tested
        c.send(".\r\n")
        c.expect(250)
