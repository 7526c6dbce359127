"""hostile.md section 1, rows about sessions: floods, slowness, other protocols. A test's number is its row."""

import socket
import time

import pytest

from harness import poll, processes
from harness.server import sanitized
from harness.smtp import Smtp, message


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
            assert grown < (32 if sanitized() else 1) * 1024, f"{grown} KiB"
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


@pytest.mark.parametrize(
    "line", ["XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1 NAME=localhost", "XCLIENT NAME=x LOGIN=root"]
)
def test_043_xclient(target, line):
    with target.smtp() as c:
        c.hello()
        c.cmd(line, ("550 5.7.0", "502 5.5.1", "500 5.5.1", "500 5.5.2"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd("RCPT TO:<b@there.example>", ("550 5.7.1", "554 5.7.1"))


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200 + b"\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"A" * 100 + b"\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x0c" + b"A" * 12 + b"\r\n",
    ],
    ids=["v1", "v1-long", "v2-long", "v2-family"],
)
def test_044_proxy_header_from_a_stranger(target, header):
    """From an address not listed its bytes are a bad command."""
    with target.smtp() as c:
        c.send(header)
        c.send(b"QUIT\r\n")
        replies = c.replies_to_end()
        assert replies and all(reply.code >= 500 or reply.code in (221, 421) for reply in replies), list(
            map(str, replies)
        )


@pytest.mark.parametrize(
    "request_line", ["POST / HTTP/1.1", "GET /secret-word HTTP/1.0", "OPTIONS * HTTP/1.1", "HEAD / HTTP/1.1"]
)
def test_045_http(target, request_line):
    with target.smtp() as c:
        c.send(request_line + "\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n")
        replies = c.replies_to_end()
        assert len(replies) <= 1 and all(reply.code in (521, 554, 421) for reply in replies), list(
            map(str, replies)
        )
        assert all("secret-word" not in reply.text for reply in replies)


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


def test_listening_clients_see_no_more_than_one_reply(target):
    """G5 over a long mixed session: as many replies as commands."""
    commands = [
        b"EHLO x.test",
        b"MAIL FROM:<a@evil.example>",
        b"RCPT TO:<user@here.example>",
        b"RSET",
        b"BOGUS",
        b"VRFY x",
        b"NOOP x",
        b"MAIL FROM:<>",
        b"RCPT TO:<nobody@here.example>",
        b"HELP",
        b"RSET",
        b"QUIT",
    ]
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
