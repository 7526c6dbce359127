"""hostile.md section 1, rows about command lines, their order and parameters. A test's number is its row."""

import pytest
from answers import mail_answer

from harness import processes
from harness.server import sanitized
from harness.smtp import message


def test_008_10_mib_without_line_end(target):
    """500 once, then 421; memory stays at a line."""
    pids = {pid: processes.status_kib(pid, "VmHWM") for pid in target.pids()}
    with target.smtp() as c:
        c.pour(b"A" * (10 << 20))
        replies = c.replies_to_end()
        assert [str(reply.code) for reply in replies] == ["500", "421"], list(map(str, replies))
        assert replies[0].enhanced == "5.5.2"
    for pid, peak in pids.items():
        assert processes.status_kib(pid, "VmHWM") - peak < 4 * 1024


@pytest.mark.parametrize("size", [510, 511, 512, 513, 2047, 2048, 2049, 4096, 60000])
def test_009_command_line_lengths(target, size):
    """With CRLF. The next command is parsed correctly. NOOP takes any text, so only the length decides."""
    with target.smtp() as c:
        c.hello()
        c.send(b"NOOP " + b"x" * (size - 7) + b"\r\nNOOP\r\n")
        c.expect(250 if size <= 2048 else "500 5.5.2")
        c.expect("250 2.0.0")
        c.quit()


@pytest.mark.parametrize("size", [510, 512, 2048, 2049])
def test_009_long_names_in_ehlo(target, size):
    """A domain has at most 255 octets, whatever the line may hold; what follows is in step."""
    with target.smtp() as c:
        c.send(b"EHLO " + b"x" * (size - 7) + b"\r\nNOOP\r\n")
        c.expect(("501 5.5.4", 250) if size <= 2048 else "500 5.5.2")
        c.expect(250)


def test_009_limit_is_a_row(make_target):
    server = make_target(config="limits { command-line = 1000 }")
    with server.smtp() as c:
        c.hello()
        for size, code in ((999, 250), (1000, 250), (1001, "500 5.5.2")):
            c.send(b"NOOP " + b"x" * (size - 7) + b"\r\n")
            c.expect(code)


@pytest.mark.parametrize(
    "size, wanted",
    [
        ("SIZE=99999999999999999999", ("501 5.5.4", "552 5.3.4")),
        ("SIZE=-1", "501 5.5.4"),
        ("SIZE=1 SIZE=2", "501 5.5.4"),
        ("SIZE=", "501 5.5.4"),
        ("SIZE", "501 5.5.4"),
        ("SIZE=1x", "501 5.5.4"),
        ("SIZE=52428801", "552 5.3.4"),
        ("SIZE=18446744073709551616", ("501 5.5.4", "552 5.3.4")),
        ("SIZE=4294967297", "552 5.3.4"),
    ],
)
def test_014_size_parameter(target, size, wanted):
    mail_answer(target, f"<a@b.example> {size}".encode(), wanted)


@pytest.mark.parametrize(
    "parameter",
    [
        b'AUTH="',
        b'="',
        b"X",
        b"=",
        b"A=",
        b'"',
        b"AUTH=",
        b"AUTH=+",
        b"AUTH=+0",
        b"AUTH=<",
        b"RET",
        b"ENVID=" + b"x" * 200,
    ],
)
def test_015_odd_parameters(target, parameter):
    mail_answer(target, b"<a@b.example> " + parameter, ("501 5.5.4", "555 5.5.4"))


def test_016_xtext_with_line_ends(target, mailbox):
    """The decoded value never shows raw: not in log, header or spool."""
    start = len(target.log())
    with target.smtp() as c:
        c.hello()
        reply = c.cmd("MAIL FROM:<a@b.example> AUTH=x+0D+0ARCPT+20TO:<user@here.example>")
        assert reply.code in (250, 501, 555)
        c.cmd("RSET", 250)
        reply = c.cmd("MAIL FROM:<a@b.example> ENVID=x+0D+0AX-Injected:+20yes")
        assert reply.code in (250, 501)
        c.cmd("RSET", 250)
        c.cmd("MAIL FROM:<a@b.example>", 250)
        reply = c.cmd(f"RCPT TO:<{mailbox}> ORCPT=rfc822;x+0D+0AX-Injected:+20yes@b.example")
        if reply.code == 250:
            c.content(message())
            target.mail(mailbox, 1)
            assert b"Injected" not in target.raw(mailbox)
    assert "\nRCPT TO" not in target.log()[start:] and "\nX-Injected" not in target.log()[start:]


def test_017_100000_recipients(make_target):
    """452 from the limit on; what was accepted can be delivered; memory is bounded."""
    server = make_target()
    server.command("alias", "add", "@here.example", "user@here.example")
    pids = {pid: processes.status_kib(pid, "VmHWM") for pid in server.pids()}
    count = 20000 if sanitized() else 100000
    with server.smtp(timeout=120) as c:
        c.hello()
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.pour("".join(f"RCPT TO:<r{i}@here.example>\r\n" for i in range(count)).encode())
        for i in range(1000):
            c.expect(250)
        reply = c.expect("452 4.5.3")
        refused = 1
        while refused < count - 1000 and (reply := c.reply()).matches("452 4.5.3"):
            refused += 1
        assert refused == count - 1000, f"after {refused} refusals: {reply}"
        c.content(message("crowd"))
    server.mail("user@here.example", 1)
    for pid, peak in pids.items():
        assert processes.status_kib(pid, "VmHWM") - peak < (64 if sanitized() else 16) * 1024


def test_018_order(target):
    with target.smtp() as c:
        c.cmd("MAIL FROM:<a@evil.example>", "503 5.5.1")
        c.hello()
        c.cmd("RCPT TO:<user@here.example>", "503 5.5.1")
        c.cmd("DATA", "503 5.5.1")
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))
        c.cmd("RCPT TO:<nobody@here.example>", "550 5.1.1")
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))
        c.cmd("MAIL FROM:<b@evil.example>", "503 5.5.1")


def test_020_harvesting(target):
    with target.smtp() as c:
        c.hello()
        answers = {
            c.cmd(f"VRFY {name}").text.replace(name, "") for name in ("user", "nobody", "user@here.example")
        }
        assert len({answer[:5] for answer in answers}) == 1
        assert c.cmd("EXPN list", "502 5.5.1").text == c.cmd("EXPN user").text


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a@b.example>\n",
        b"\n",
        b"\r\n",
        b"NOOP\n",
        b"NOOP\r",
        b"MAIL FROM:<a@b.example>\rNOOP\r\n",
    ],
)
def test_line_ends_of_commands(target, line):
    """RFC 5321 2.3.8: a command ends in CRLF; other line ends never make a second one."""
    with target.smtp() as c:
        c.hello()
        c.send(line + b"\r\nNOOP\r\n")
        replies = [c.reply()]
        while not (replies[-1].matches("250 2.0.0")) and len(replies) < 4:
            replies.append(c.reply())
        c.cmd("RCPT TO:<user@here.example>", ("503 5.5.1", 250))


def test_command_without_verb_and_colon_forms(target):
    with target.smtp() as c:
        c.hello()
        for line in (
            b"MAIL",
            b"MAIL FROM",
            b"MAIL FROM:",
            b"MAIL FROM:<",
            b"MAIL FROM:>",
            b"MAIL TO:<a@b.example>",
            b"MAIL FROM:<a@b.example",
        ):
            c.cmd(line, ("501", "500", "553"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        for line in (
            b"RCPT",
            b"RCPT TO:",
            b"RCPT TO:<>",
            b"RCPT FROM:<a@b.example>",
            b"RCPT TO:<user@here.example> <x>",
        ):
            c.cmd(line, ("501", "500", "553", "550", "555"))
