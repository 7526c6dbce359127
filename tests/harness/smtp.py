"""A raw SMTP client: it sends octets and takes replies apart strictly.

Every reply is checked on the way: lines end in CRLF, are at most 512 octets of printable ASCII, all of one
code (RFC 5321 4.2). So each test also shows that what the peer sent never comes back as control octets.
"""

import os
import re
import select
import socket
import time
from dataclasses import dataclass

TIMEOUT = float(os.environ.get("VEREDUS_TEST_TIMEOUT", "30"))
LINE = re.compile(rb"([2-5][0-9]{2})([ -])([\x20-\x7e]*)\Z")


class Closed(AssertionError):
    """The server closed the connection where a reply was due."""


@dataclass
class Reply:
    code: int
    lines: list

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        """The enhanced status code of the first line, or ''."""
        match = re.match(r"([245]\.\d{1,3}\.\d{1,3}) ", self.lines[0] + " ")
        return match.group(1) if match else ""

    def __str__(self):
        return f"{self.code} {self.text}"

    def matches(self, wanted):
        """wanted: 250, '250 2.1.5', '5xx', or a tuple of such."""
        if isinstance(wanted, tuple):
            return any(self.matches(one) for one in wanted)
        code, _, enhanced = str(wanted).partition(" ")
        if code.endswith("xx"):
            return str(self.code)[0] == code[0]
        return str(self.code) == code and (not enhanced or self.enhanced == enhanced)


class Smtp:
    """with Smtp(host, port) as c: c.hello(); c.cmd("MAIL FROM:<a@b>", 250) …"""

    def __init__(self, host, port, source=None, banner=True, timeout=TIMEOUT):
        self.timeout = timeout
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if banner:
            self.banner = self.expect(220)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes so that the peer gets a reset, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets.encode() if isinstance(octets, str) else octets)

    def line(self):
        deadline = time.monotonic() + self.timeout
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                part = b""
            if not part:
                raise Closed(f"closed; before that: {self.buffer!r}")
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a line that ends in LF only: {line!r}"
        assert len(line) + 1 <= 512, f"a line of {len(line) + 1} octets: {line[:80]!r}"
        return line[:-1]

    def reply(self):
        lines, code = [], None
        while True:
            line = self.line()
            match = LINE.match(line)
            assert match, f"not a reply: {line!r}"
            assert code in (None, match.group(1)), f"codes differ in one reply: {line!r}"
            code = match.group(1)
            lines.append(match.group(3).decode())
            if match.group(2) == b" ":
                return Reply(int(code), lines)

    def expect(self, wanted):
        reply = self.reply()
        assert reply.matches(wanted), f"wanted {wanted}, got {reply}"
        return reply

    def cmd(self, line, wanted=None):
        """A command, and its one reply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply() if wanted is None else self.expect(wanted)

    def hello(self, name="client.test"):
        """EHLO; the extensions as {keyword: parameters}."""
        reply = self.cmd(f"EHLO {name}", 250)
        words = [line.split(" ", 1) for line in reply.lines[1:]]
        return {word[0].upper(): word[1] if len(word) > 1 else "" for word in words}

    def envelope(self, sender, *recipients, parameters=""):
        self.cmd(f"MAIL FROM:<{sender}>{parameters}", 250)
        for recipient in recipients:
            self.cmd(f"RCPT TO:<{recipient}>", 250)

    def content(self, octets, wanted=250):
        """DATA with content that ends in CRLF, dots doubled here."""
        self.cmd("DATA", 354)
        octets = octets.encode() if isinstance(octets, str) else octets
        stuffed = re.sub(rb"(?m)^\.", b"..", octets)
        self.send(stuffed + b".\r\n")
        return self.expect(wanted)

    def deliver(self, sender, recipients, octets):
        """A whole transaction; the message id."""
        self.envelope(sender, *([recipients] if isinstance(recipients, str) else recipients))
        return queued_as(self.content(octets))

    def quit(self):
        self.cmd("QUIT", 221)
        self.at_end()
        self.close()

    def at_end(self, timeout=None):
        """Nothing more comes but the end of the connection."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                return
            self.buffer += part
            assert not self.buffer, f"unexpected: {self.buffer!r}"
            if not part:
                return

    def replies_to_end(self):
        """All replies until the server closes."""
        replies = []
        while True:
            try:
                replies.append(self.reply())
            except Closed:
                assert not self.buffer, f"cut off: {self.buffer!r}"
                return replies

    def pour(self, octets, read=True, stall=None):
        """Sends while reading, as far as the server lets us; what went out. Reading keeps a server from
        stalling on us; read=False never reads, and gives up when nothing moved for `stall` seconds."""
        self.socket.setblocking(False)
        sent, view = 0, memoryview(octets)
        last = time.monotonic()
        try:
            while sent < len(octets):
                readable, writable, _ = select.select([self.socket] if read else [], [self.socket], [], 0.05)
                if readable:
                    part = self.socket.recv(65536)
                    if not part:
                        break
                    self.buffer += part
                if writable:
                    sent += self.socket.send(view[sent : sent + 65536])
                    last = time.monotonic()
                elif time.monotonic() - last > (stall or self.timeout):
                    break
        except (ConnectionResetError, BrokenPipeError):
            pass
        finally:
            self.socket.settimeout(self.timeout)
        return sent


def queued_as(reply):
    """The id in `250 2.0.0 queued as ID`."""
    match = re.match(r"2\.0\.0 .*queued as ([0-9a-z]{13})\Z", reply.text)
    assert match, f"no id in {reply}"
    return match.group(1)


def message(subject="test", body="hello\r\n", sender="a@there.example", to="alice@example.test", extra=""):
    """A small message in CRLF lines."""
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        f"Message-ID: <{subject}@there.example>\r\n{extra}\r\n{body}"
    )
