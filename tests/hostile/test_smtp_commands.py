"""hostile.md section 1, rows about commands, addresses, relaying and sessions. A test's number is its row."""

import socket
import time

import pytest

from harness import poll, processes
from harness.server import sanitized
from harness.smtp import Smtp, message

KIB = 1024


def mail_answer(server, argument, wanted):
    with server.smtp() as c:
        c.hello()
        reply = c.cmd(b"MAIL FROM:" + argument, wanted)
        c.cmd("NOOP", 250)
        return reply


def rcpt_answer(server, argument, wanted):
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        reply = c.cmd(b"RCPT TO:" + (argument if isinstance(argument, bytes) else argument.encode()), wanted)
        c.cmd("NOOP", 250)
        return reply


def test_006_bytes_before_the_banner(make_target):
    server = make_target(top='greet-delay = "1s"')
    with server.smtp(banner=False) as c:
        c.send("EHLO early\r\n")
        reply = c.reply()
        if reply.code == 220:  # accepted with a mark, as configured: processed only after the banner
            c.expect(250)
        else:
            assert reply.matches("554 5.5.0"), reply
            c.at_end()


def test_006_patient_clients_are_served(make_target):
    server = make_target(top='greet-delay = "1s"')
    begun = time.monotonic()
    with server.smtp() as c:
        assert time.monotonic() - begun >= 0.9
        c.hello()


def test_008_10_mib_without_line_end(target):
    """500 once, then 421; memory stays at a line."""
    pids = {pid: processes.status_kib(pid, "VmHWM") for pid in target.pids()}
    with target.smtp() as c:
        c.pour(b"A" * (10 << 20))
        replies = c.replies_to_end()
        assert [str(reply.code) for reply in replies] == ["500", "421"], list(map(str, replies))
        assert replies[0].enhanced == "5.5.2"
    for pid, peak in pids.items():
        assert processes.status_kib(pid, "VmHWM") - peak < 4 * KIB


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


def test_010_nul(target):
    start = len(target.log())
    mail_answer(target, b"<a\0b@evil.example>", ("501 5.1.7", "501 5.5.2", "500 5.5.2"))
    rcpt_answer(target, b"<user\0@here.example>", "5xx")
    with target.smtp() as c:
        c.cmd(b"EHLO cli\0ent", "5xx")
        c.cmd(b"NO\0OP", "5xx")
    assert "\0" not in target.log()[start:]


def test_011_octets_without_smtputf8(target):
    mail_answer(target, b"<\xe4@evil.example>", "553 5.6.7")


@pytest.mark.parametrize("address", [b"<\xc0\xaf@evil.example>", b"<a\xe2\x82@evil.example>", b"<\xed\xa0\x80@evil.example>",
                                     b"<a@\xff.example>", b"<\xf4\x90\x80\x80@evil.example>"], ids=repr)
def test_012_invalid_utf8(target, address):
    mail_answer(target, address + b" SMTPUTF8", ("553 5.6.7", "501 5.6.7"))


@pytest.mark.parametrize("local, domain, fits", [
    (64, "here.example", True), (65, "here.example", False), (4, "x" * 64 + ".example", False),
    (4, ".".join(["x" * 63] * 4) + ".example", False), (4, ".".join(["x" * 50] * 5), False)])
def test_013_lengths(target, local, domain, fits):
    argument = f"<{'l' * local}@{domain}>"
    rcpt_answer(target, argument, "550 5.1.1" if fits else ("501 5.1.3", "553 5.1.3"))
    mail_answer(target, argument.encode(), 250 if fits else ("501 5.1.7", "553 5.1.7", "501 5.1.3", "553 5.1.3"))


@pytest.mark.parametrize("size, wanted", [
    ("SIZE=99999999999999999999", ("501 5.5.4", "552 5.3.4")), ("SIZE=-1", "501 5.5.4"), ("SIZE=1 SIZE=2", "501 5.5.4"),
    ("SIZE=", "501 5.5.4"), ("SIZE", "501 5.5.4"), ("SIZE=1x", "501 5.5.4"), ("SIZE=52428801", "552 5.3.4"),
    ("SIZE=18446744073709551616", ("501 5.5.4", "552 5.3.4")), ("SIZE=4294967297", "552 5.3.4")])
def test_014_size_parameter(target, size, wanted):
    mail_answer(target, f"<a@b.example> {size}".encode(), wanted)


@pytest.mark.parametrize("parameter", [b'AUTH="', b'="', b"X", b"=", b"A=", b"\"", b"AUTH=", b"AUTH=+", b"AUTH=+0", b"AUTH=<",
                                       b"RET", b"ENVID=" + b"x" * 200])
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
        assert processes.status_kib(pid, "VmHWM") - peak < (64 if sanitized() else 16) * KIB


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


@pytest.mark.parametrize("word", ["NOOP", "RSET", "HELP", "VRFY user"])
def test_019_junk(target, word):
    """Replies up to the limit, then 421."""
    with target.smtp() as c:
        c.hello()
        c.pour((word + "\r\n").encode() * 20000)
        replies = c.replies_to_end()
        assert 90 <= len(replies) <= 130, len(replies)
        assert replies[-1].matches("421 4.7.0")
        assert all(reply.code < 400 for reply in replies[:-1])


def test_019_junk_counts_anew_after_a_message(target, mailbox):
    """SURFACE: junk counts restart with each accepted message."""
    with target.smtp() as c:
        c.hello()
        for number in range(3):
            for _ in range(80):
                c.cmd("NOOP", 250)
            c.deliver("a@evil.example", mailbox, message(f"n{number}"))
        c.quit()
    target.mail(mailbox, 3)


def test_019_errors(target):
    with target.smtp() as c:
        c.hello()
        c.pour(b"NONSENSE\r\n" * 1000)
        replies = c.replies_to_end()
        assert 18 <= len(replies) <= 25 and replies[-1].matches("421 4.7.0"), len(replies)
        assert all(reply.code == 500 for reply in replies[:-1])


def test_020_harvesting(target):
    with target.smtp() as c:
        c.hello()
        answers = {c.cmd(f"VRFY {name}").text.replace(name, "") for name in ("user", "nobody", "user@here.example")}
        assert len({answer[:5] for answer in answers}) == 1
        assert c.cmd("EXPN list", "502 5.5.1").text == c.cmd("EXPN user").text


def test_021_slow_command(make_target):
    """The deadline counts the whole command, not each read."""
    server = make_target(config='limits { command-timeout = "2s" }')
    with server.smtp() as c:
        c.hello()
        begun = time.monotonic()
        c.socket.settimeout(0.2)
        while not c.buffer:
            assert time.monotonic() - begun < 15
            try:
                c.send("N")
                c.buffer += c.socket.recv(1000)
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                pass
        c.expect("421 4.4.2")
        c.at_end()
        assert 1.5 <= time.monotonic() - begun <= 6


def test_021_greeting_deadline(make_target):
    """The greeting limit ends with EHLO on smtp; commands before it do not extend it."""
    server = make_target(config='limits { greeting-timeout = "2s" }')
    with server.smtp() as silent, server.smtp() as greeted:
        greeted.hello()
        begun = time.monotonic()
        silent.expect("421 4.4.2")
        silent.at_end()
        assert time.monotonic() - begun <= 6
        greeted.cmd("NOOP", 250)


def test_023_flood_from_one_address(make_target):
    """From the 51st on: 421; another address still gets a banner at once."""
    server = make_target()
    held = []
    try:
        poll(lambda: fresh(server, held), 10, "50 sessions from one address")
        for _ in range(250):
            with server.smtp(source="127.98.0.1", banner=False) as c:
                c.expect("421 4.7.0")
                c.at_end()
        begun = time.monotonic()
        with server.smtp(source="127.98.0.2"):
            assert time.monotonic() - begun < (3 if sanitized() else 1)
        held.pop().close()
        poll(lambda: answers(server, 220), 10, "room for one after one has gone")
    finally:
        for c in held:
            c.close()


def fresh(server, held):
    held.append(server.smtp(source="127.98.0.1"))
    return len(held) == 50


def answers(server, code):
    with server.smtp(source="127.98.0.1", banner=False) as c:
        return c.reply().code == code


def test_023_total(make_target):
    server = make_target(config="limits { connections = 20 }")
    held = [server.smtp(source=f"127.98.1.{i + 1}") for i in range(20)]
    try:
        with server.smtp(source="127.98.2.1", banner=False) as c:
            c.expect(("421 4.7.0", "421 4.3.2"))
    finally:
        for c in held:
            c.close()
    poll(lambda: answers(server, 220), 10, "room again")


def test_024_never_reading(make_target):
    """The write buffer is bounded, reading stops, the deadline closes."""
    server = make_target(config='limits { junk-commands = 0  command-timeout = "3s" }')
    inbound = [pid for pid, role in server.roles().items() if role == "inbound"]
    before = {pid: processes.status_kib(pid, "VmHWM") for pid in inbound}
    with server.smtp() as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.hello()
        c.pour(b"NOOP\r\n" * (64 << 20), read=False, stall=1)
        for pid in inbound:
            grown = processes.status_kib(pid, "VmHWM") - before[pid]
            assert grown < (8 if sanitized() else 1) * KIB, f"{grown} KiB"
        begun = time.monotonic()
        poll(lambda: broken(c), 20, "the end of a client that never reads", 0.1)
        assert time.monotonic() - begun < 15


def broken(client):
    """True once the server has given the connection up."""
    try:
        client.socket.setblocking(False)
        client.socket.send(b"N")
        return False
    except BlockingIOError:
        info = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return info not in (1,)  # no longer ESTABLISHED
    except OSError:
        return True


@pytest.mark.parametrize("sender, recipient, wanted", [
    pytest.param("a@evil.example", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row30"),
    pytest.param("a@evil.example", "b%there.example@here.example", "550 5.1.1", id="row31"),
    pytest.param("a@evil.example", '"b@there.example"@here.example', "550 5.1.1", id="row32"),
    pytest.param("a@evil.example", '"b@there.example"', "501 5.1.3", id="row32b"),
    pytest.param("a@evil.example", "b@there.example@here.example", "501 5.1.3", id="row33"),
    pytest.param("a@evil.example", "@here.example:b@there.example", ("550 5.7.1", "554 5.7.1"), id="row34"),
    pytest.param("user@here.example", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row35"),
    pytest.param("", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row36"),
    pytest.param("a@evil.example", "there.example!b@here.example", "550 5.1.1", id="bang"),
    pytest.param("a@evil.example", "b@[192.0.2.1]", "5xx", id="literal")])
def test_030_to_036_relaying(target, sender, recipient, wanted):
    with target.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        c.cmd(f"RCPT TO:<{recipient}>", wanted)
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))


def test_034_source_route_to_a_local_user(target, mailbox):
    """RFC 5321 4.1.2: the route is ignored."""
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", "@x.example,@y.example:" + mailbox, message())
    target.mail(mailbox, 1)


@pytest.mark.parametrize("name", [b"foo\nX-Injected: yes", b"foo) by fake (", b"foo\rbar", b"foo bar(baz)", b"", b"\x1b[31mred",
                                  b"<script>", b"foo;id"], ids=repr)
def test_037_ehlo_injection(target, mailbox, name):
    start = len(target.log())
    with target.smtp() as c:
        c.send(b"EHLO " + name + b"\r\n")
        c.expect(("501 5.5.4", "501 5.5.2", "500 5.5.2"))
        if b"\n" in name:  # a bare LF: whatever it is, it is not a second command that works
            c.send(b"NOOP\r\n")
            c.expect(("250", "5xx"))
    assert "X-Injected" not in target.log()[start:].replace("\\nX-Injected", "").replace("\\x0aX-Injected", "")


@pytest.mark.parametrize("line", ["XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1 NAME=localhost", "XCLIENT NAME=x LOGIN=root"])
def test_043_xclient(target, line):
    with target.smtp() as c:
        c.hello()
        c.cmd(line, ("550 5.7.0", "502 5.5.1", "500 5.5.1", "500 5.5.2"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd("RCPT TO:<b@there.example>", ("550 5.7.1", "554 5.7.1"))


@pytest.mark.parametrize("header", [b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", b"PROXY " + b"x" * 200 + b"\r\n",
                                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"A" * 100 + b"\r\n",
                                    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x0c" + b"A" * 12 + b"\r\n"], ids=["v1", "v1-long", "v2-long", "v2-family"])
def test_044_proxy_header_from_a_stranger(target, header):
    """From an address not listed its bytes are a bad command."""
    with target.smtp() as c:
        c.send(header)
        c.send(b"QUIT\r\n")
        replies = c.replies_to_end()
        assert replies and all(reply.code >= 500 or reply.code in (221, 421) for reply in replies), list(map(str, replies))


@pytest.mark.parametrize("request_line", ["POST / HTTP/1.1", "GET /secret-word HTTP/1.0", "OPTIONS * HTTP/1.1", "HEAD / HTTP/1.1"])
def test_045_http(target, request_line):
    with target.smtp() as c:
        c.send(request_line + "\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n")
        replies = c.replies_to_end()
        assert len(replies) <= 1 and all(reply.code in (521, 554, 421) for reply in replies), list(map(str, replies))
        assert all("secret-word" not in reply.text for reply in replies)


def test_046_unknown_user(target):
    before = len(target.mail("user@here.example"))
    with target.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<user@here.example>", 250)
        c.cmd("RCPT TO:<nobody@here.example>", "550 5.1.1")
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))
        c.quit()
    assert len(target.mail("user@here.example")) == before


@pytest.mark.parametrize("command, wanted", [
    ("MAIL FROM:<;sleep 66;@evil.example>", ("501", "553")), ("RCPT TO:<-oQ/tmp@here.example>", "550 5.1.1"),
    ('RCPT TO:<"|/bin/sh"@here.example>', "550 5.1.1"), ("RCPT TO:<|/bin/sh@here.example>", "550 5.1.1"),
    ("RCPT TO:<`id`@here.example>", "550 5.1.1"), ("RCPT TO:<-f@here.example>", "550 5.1.1")])
def test_053_shell(target, command, wanted):
    with target.smtp() as c:
        c.hello()
        if command.startswith("RCPT"):
            c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd(command, wanted)


def test_054_expansion(target):
    rcpt_answer(target, "<root+${run{/bin/id}}@here.example>", "550 5.1.1")


@pytest.mark.parametrize("local", ["../../../etc/passwd", "a/../../b", ".", "..", "/etc/passwd", "~root", "con.", "a//b"])
def test_055_paths(target, local):
    rcpt_answer(target, f"<{local}@here.example>", ("550 5.1.1", "501 5.1.3", "553 5.1.3"))
    rcpt_answer(target, f'<"{local}"@here.example>', "550 5.1.1")


def test_056_forms_of_a_domain(target, mailbox):
    local = mailbox.partition("@")[0]
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", f"{local}@HERE.EXAMPLE", message("capitals"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        for form, wanted in ((f"{local}@here.example.", ("501 5.1.3", 250)), (f"{local}@[127.0.0.1]", (250, "5xx")),
                             (f"{local}@[IPv6:::1]", (250, "5xx")), (f"{local}@[300.1.1.1]", "501 5.1.3"),
                             (f"{local}@[1.2.3]", "501 5.1.3"), (f"{local}@[IPv6:1::2::3]", "501 5.1.3"), (f"{local}@[", "501 5.1.3"),
                             (f"{local}@", "501 5.1.3"), ("@here.example", "501 5.1.3"), (local, "501 5.1.3")):
            c.cmd(f"RCPT TO:<{form}>", wanted)
    target.mail(mailbox, 1)


@pytest.mark.parametrize("argument", [b'<"' + b"\\" * 1900 + b'"@here.example>', b"<" + b"(" * 500 + b")" * 500 + b"user@here.example>",
                                      b"<" + b"@a," * 600 + b">", b'<"' + b'""' * 900 + b">", b"<" + b"a." * 1000 + b">"],
                         ids=["backslashes", "comments", "routes", "quotes", "dots"])
def test_057_linear_time(target, argument):
    begun = time.monotonic()
    rcpt_answer(target, argument, ("501 5.1.3", "553 5.1.3"))
    assert time.monotonic() - begun < 2


def test_058_after_quit(target, mailbox):
    with target.smtp() as c:
        c.hello()
        c.send(f"QUIT\r\nMAIL FROM:<a@evil.example>\r\nRCPT TO:<{mailbox}>\r\nDATA\r\n")
        c.expect(221)
        c.at_end()


def test_058_second_ehlo(target, mailbox):
    with target.smtp() as c:
        c.hello()
        c.envelope("a@evil.example", mailbox)
        c.hello("again.test")
        c.cmd("RCPT TO:<user@here.example>", "503 5.5.1")


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@b.example>\n", b"\n", b"\r\n", b"NOOP\n", b"NOOP\r", b"MAIL FROM:<a@b.example>\rNOOP\r\n"])
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
        for line in (b"MAIL", b"MAIL FROM", b"MAIL FROM:", b"MAIL FROM:<", b"MAIL FROM:>", b"MAIL TO:<a@b.example>", b"MAIL FROM:<a@b.example"):
            c.cmd(line, ("501", "500", "553"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        for line in (b"RCPT", b"RCPT TO:", b"RCPT TO:<>", b"RCPT FROM:<a@b.example>", b"RCPT TO:<user@here.example> <x>"):
            c.cmd(line, ("501", "500", "553", "550", "555"))


def test_listening_clients_see_no_more_than_one_reply(target):
    """G5 over a long mixed session: as many replies as commands."""
    commands = [b"EHLO x.test", b"MAIL FROM:<a@evil.example>", b"RCPT TO:<user@here.example>", b"RSET", b"BOGUS", b"VRFY x", b"NOOP x",
                b"MAIL FROM:<>", b"RCPT TO:<nobody@here.example>", b"HELP", b"RSET", b"QUIT"]
    with target.smtp() as c:
        c.send(b"".join(line + b"\r\n" for line in commands))
        assert len(c.replies_to_end()) == len(commands)


def test_probe_during_flood(make_target):
    """G4: many busy strangers, and another client is served as usual."""
    server = make_target()
    noisy = []
    try:
        for i in range(40):
            c = Smtp(server.host, server.port, source=f"127.97.0.{1 + i % 4}")
            c.send(b"EHLO noisy.test\r\nMAIL FROM:<a@evil.example>\r\n" + b"NOOP\r\n" * 50)
            noisy.append(c)
        begun = time.monotonic()
        with server.smtp(source="127.97.1.1") as c:
            c.hello()
            c.deliver("a@there.example", "user@here.example", message())
        assert time.monotonic() - begun < (5 if sanitized() else 2)
    finally:
        for c in noisy:
            c.close()
