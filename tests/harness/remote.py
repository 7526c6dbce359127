"""A remote mail server that does what a test tells it: SMTP or LMTP on a loopback address of its own.

    with Remote() as there:
        there.on("RCPT", "450 4.2.0 later", times=1)       # the next rule in line answers after that
        there.on("dot", "250 2.0.0 taken", RESET, times=1)
        ...
        there.wait(lambda: there.accepted, "a message")

Stages, in the order of a session: connect (before anything is accepted), banner, the verbs (EHLO HELO LHLO MAIL RCPT
DATA BDAT RSET NOOP QUIT VRFY and any other), content (after the first octets of the message), dot (the answer to the
end of DATA or to BDAT LAST; LMTP: once a recipient). A rule's actions run in order; without a rule a well-behaved server
answers. Everything is recorded, and nothing needs a sleep: wait() looks again at every event.
"""

import contextlib
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from .server import free_address
from .smtp import TIMEOUT

PORT = 2525
EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING")
LINE_MAX = 1 << 20


class Ended(Exception):
    """The session is over, by the script's will or the client's."""


@dataclass(frozen=True)
class Action:
    """What a script does where it does not simply reply: a function of the session."""

    name: str
    run: object

    def __repr__(self):
        return self.name


def _reset(session):
    session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.end("reset by us")


def _half_close(session):
    session.socket.shutdown(socket.SHUT_WR)
    session.remote.released.wait()
    session.end("released")


def _stall(session):
    session.remote.released.wait()
    session.end("released")


def _swallow(session):
    while True:
        session.more()
        session.buffer.clear()


RESET = Action("RESET", _reset)
CLOSE = Action("CLOSE", lambda session: session.end("closed by us"))
HALF_CLOSE = Action("HALF_CLOSE", _half_close)  # sends no more, reads no more, stays
STALL = Action("STALL", _stall)  # neither reads nor writes until the test ends
SWALLOW = Action("SWALLOW", _swallow)  # reads whatever comes and says nothing to it
GOOD = Action("GOOD", lambda session: session.default())  # what a well-behaved server says here


def drip(octets, seconds):
    """Sends one octet at a time; a deadline a read would never see the end of it."""

    def run(session):
        for octet in octets:
            session.send(bytes([octet]))
            if session.remote.released.wait(seconds):
                session.end("released")

    return Action("drip", run)


def flood(octets, times=1):
    """Sends a lot without reading a thing, until the client takes no more of it."""

    def run(session):
        for _ in range(times):
            session.send(octets)

    return Action("flood", run)


def pause(seconds):
    """A server that thinks for a while."""

    def run(session):
        if session.remote.released.wait(seconds):
            session.end("released")

    return Action("pause", run)


def until(event):
    """Goes on when the test sets the event."""

    def run(session):
        while not event.wait(0.05):
            if session.remote.released.is_set():
                session.end("released")

    return Action("until", run)


@dataclass
class Message:
    session: object
    sender: str
    parameters: dict  # of MAIL
    recipients: list  # [(address, parameters)] that were accepted
    content: bytes  # as meant: dots taken off, without the end
    wire: bytes  # as it came over the connection
    verb: str  # DATA or BDAT
    replies: list = field(default_factory=list)  # what the end was answered, one for each recipient in LMTP

    @property
    def accepted(self):
        return any(reply[:1] == b"2" for reply in self.replies)

    @property
    def addresses(self):
        return [address for address, _ in self.recipients]

    @property
    def header(self):
        return self.content.split(b"\r\n\r\n", 1)[0] + b"\r\n"

    def fields(self, name):
        """The values of the header fields of this name, unfolded, from the top."""
        unfolded = re.sub(rb"\r\n(?=[ \t])", b"", self.header).decode("utf-8", "surrogateescape")
        return re.findall(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", unfolded)


PATH = re.compile(rb"[A-Z]+ ?(?:FROM|TO): ?<((?:[^<>\"]|\"(?:[^\"\\]|\\.)*\")*)>((?: .*)?)\Z", re.I)


def path_of(line):
    """(address, {parameter: value}) of MAIL or RCPT."""
    match = PATH.match(line)
    if not match:
        return None, {}
    words = [word.partition("=") for word in match.group(2).decode("utf-8", "surrogateescape").split()]
    return match.group(1).decode("utf-8", "surrogateescape"), {word.upper(): value for word, _, value in words}


class Session:
    """One connection; a thread serves it."""

    def __init__(self, remote, number, connection, peer):
        self.remote, self.number, self.socket, self.peer = remote, number, connection, peer
        self.commands = []  # lines as they came, without the line end
        self.transactions = 0
        self.hello = None
        self.ended = None
        self.buffer = bytearray()
        self.sent = []
        self.reset_transaction()

    def reset_transaction(self):
        self.sender, self.parameters, self.recipients, self.chunks = None, {}, [], None
        self.wire = b""

    def verbs(self):
        return [line.split(b" ", 1)[0].upper().decode("latin-1") for line in self.commands]

    # what actions use

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as error:
            self.end(f"write: {error}")

    def say(self, text):
        octets = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        self.sent.append(octets)
        self.send(octets if octets.endswith(b"\n") else octets + b"\r\n")

    def end(self, why):
        raise Ended(why)

    # the protocol

    def serve(self):
        try:
            self.play("banner", lambda: f"220 {self.remote.name} ESMTP")
            while True:
                self.command(self.line())
        except Ended as why:
            self.ended = str(why)
        except OSError as error:
            self.ended = f"{error}"
        with contextlib.suppress(OSError):
            self.socket.close()
        self.remote.event()

    def play(self, stage, good, argument=b""):
        """Runs the rule for this stage, or says what is good; the code that was said last."""
        rule = self.remote.rule(stage, argument, self)
        self.default = lambda: self.say(good()) if good() else None
        count = len(self.sent)
        if rule is None:
            self.default()
        else:
            for action in rule:
                if isinstance(action, Action):
                    action.run(self)
                else:
                    self.say(action)
        said = self.sent[count:]
        return said[-1][:3] if said else b""

    def more(self):
        try:
            part = self.socket.recv(65536)
        except ConnectionResetError:
            raise Ended("reset by the client") from None
        if not part:
            raise Ended("closed by the client")
        self.buffer += part

    def take(self, octets):
        taken = bytes(self.buffer[:octets])
        del self.buffer[:octets]
        return taken

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
            if len(self.buffer) > LINE_MAX:
                self.end("a line without end")
        line = self.take(self.buffer.index(b"\n") + 1)[:-1]
        self.remote.check(line.endswith(b"\r"), f"a command that ends in LF only: {line!r}")
        return line.rstrip(b"\r")

    def command(self, line):
        self.commands.append(line)
        self.remote.event()
        verb = line.split(b" ", 1)[0].upper().decode("latin-1")
        handler = getattr(self, "do_" + verb.lower(), None)
        if handler:
            handler(line)
        else:
            self.play(verb, lambda: "502 5.5.1 what?", line)

    def do_ehlo(self, line, verb="EHLO"):
        self.hello = line.partition(b" ")[2].decode("latin-1")
        self.reset_transaction()
        words = [self.remote.name, *self.remote.extensions]
        self.play(
            verb,
            lambda: "".join(f"250{'-' if n + 1 < len(words) else ' '}{word}\r\n" for n, word in enumerate(words)),
            line,
        )

    def do_lhlo(self, line):
        if not self.remote.lmtp:
            self.say("500 5.5.1 this is SMTP")
        else:
            self.do_ehlo(line, "LHLO")

    def do_helo(self, line):
        self.hello = line.partition(b" ")[2].decode("latin-1")
        self.reset_transaction()
        self.play("HELO", lambda: f"250 {self.remote.name}", line)

    def do_mail(self, line):
        if self.play("MAIL", lambda: "250 2.1.0 ok", line)[:1] == b"2":
            self.reset_transaction()
            self.sender, self.parameters = path_of(line)
            self.transactions += 1

    def do_rcpt(self, line):
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
        elif self.play("RCPT", lambda: "250 2.1.5 ok", line)[:1] == b"2":
            self.recipients.append(path_of(line))

    def do_rset(self, line):
        self.play("RSET", lambda: "250 2.0.0 ok", line)
        self.reset_transaction()

    def do_noop(self, line):
        self.play("NOOP", lambda: "250 2.0.0 ok", line)

    def do_quit(self, line):
        self.play("QUIT", lambda: "221 2.0.0 bye", line)
        self.end("quit")

    def do_data(self, line):
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
            return
        good = "354 go on" if self.recipients else "554 5.5.1 no valid recipients"
        if self.play("DATA", lambda: good, line) != b"354":
            return
        while not self.buffer:
            self.more()
        self.play("content", lambda: None)
        scanned = 0
        while True:
            if self.buffer.startswith(b".\r\n"):
                end, rest = 0, 3
                break
            at = self.buffer.find(b"\r\n.\r\n", max(0, scanned - 4))
            if at >= 0:
                end, rest = at + 2, at + 5
                break
            scanned = len(self.buffer)
            self.more()
        self.wire = self.take(rest)[:end]
        self.finish(re.sub(rb"(?m)^\.", b"", self.wire), "DATA")

    def do_bdat(self, line):
        words = line.split()
        size = int(words[1])
        if self.recipients and self.chunks is None:
            while size and not self.buffer:
                self.more()
            self.play("content", lambda: None)
        while len(self.buffer) < size:
            self.more()
        piece = self.take(size)
        if not self.recipients:
            self.say("503 5.5.1 no valid recipients" if self.sender is None else "554 5.5.1 no valid recipients")
            return
        self.chunks = (self.chunks or b"") + piece
        if len(words) > 2 and words[2].upper() == b"LAST":
            self.wire = self.chunks
            self.finish(self.chunks, "BDAT")
        else:
            self.play("BDAT", lambda: f"250 2.0.0 {size} octets", line)

    def finish(self, content, verb):
        if not self.recipients:  # a script said 354 nevertheless
            self.say("554 5.5.1 no valid recipients")
            self.reset_transaction()
            return
        message = Message(
            self, self.sender, self.parameters, list(self.recipients), content, self.wire, verb
        )
        with self.remote.changed:
            self.remote.messages.append(message)
        for address, _ in self.recipients if self.remote.lmtp else [("", None)]:
            count = len(self.sent)
            try:
                self.play("dot", lambda: "250 2.0.0 taken", address.encode("utf-8", "surrogateescape"))
            finally:
                message.replies += self.sent[count:]
                self.remote.event()
        self.reset_transaction()


class Remote:
    def __init__(self, *, host=None, port=PORT, lmtp=False, extensions=EXTENSIONS, name="remote.test"):
        self.host, self.port, self.lmtp, self.name = host or free_address(), port, lmtp, name
        self.extensions = list(extensions)
        self.sessions, self.messages, self.problems = [], [], []
        self.rules = []
        self.changed = threading.Condition(threading.RLock())
        self.released = threading.Event()
        self.listener = None

    # the script

    def on(self, stage, *actions, times=None, match=None):
        """Actions for a stage: replies (str or octets, as they are to be sent) and Actions. `match` is looked for in
        the command's line (dot: in the recipient, LMTP only)."""
        with self.changed:
            self.rules.append([stage, actions, times, match and re.compile(match.encode())])
        return self

    def forget(self, stage=None):
        """Takes the rules of a stage back, or all."""
        with self.changed:
            self.rules = [rule for rule in self.rules if stage and rule[0] != stage]

    def rule(self, stage, argument, _session):
        with self.changed:
            for rule in self.rules:
                if rule[0] == stage and rule[2] != 0 and (not rule[3] or rule[3].search(argument)):
                    if rule[2] is not None:
                        rule[2] -= 1
                    return rule[1]
        return None

    def check(self, good, what):
        if not good:
            self.problems.append(what)

    # life

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.released.clear()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.host, self.port))
        self.listener.listen(512)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            if listener is not self.listener:
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.adopt(connection, peer)

    def adopt(self, connection, peer=None):
        """Serves a connection that was accepted elsewhere (a Unix socket)."""
        with self.changed:
            session = Session(self, len(self.sessions), connection, peer)
            self.sessions.append(session)
            self.changed.notify_all()
        threading.Thread(target=session.serve, daemon=True).start()

    def stop(self):
        """As a host that goes down: connections end, further ones are refused. start() brings it back."""
        with self.changed:
            listener, self.listener = self.listener, None
        self.released.set()
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.socket.shutdown(socket.SHUT_RDWR)

    # what was seen

    def event(self):
        with self.changed:
            self.changed.notify_all()

    def wait(self, predicate, what, timeout=TIMEOUT):
        """The first true value of predicate(), looked at anew with each event."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                value = predicate()
                if value:
                    return value
                left = deadline - time.monotonic()
                assert left > 0, f"not within {timeout} s: {what}; {self.summary()}"
                self.changed.wait(min(left, 0.5))

    def wait_messages(self, count, timeout=TIMEOUT):
        """When so many were accepted, and no more than that."""
        found = self.wait(
            lambda: len(self.accepted) >= count and self.accepted, f"{count} accepted messages", timeout
        )
        assert len(found) == count, f"{len(found)} messages, not {count}; {self.summary()}"
        return found

    @property
    def accepted(self):
        return [message for message in list(self.messages) if message.accepted]

    @property
    def commands(self):
        return [line for session in list(self.sessions) for line in list(session.commands)]

    def count(self, verb):
        return sum(session.verbs().count(verb) for session in list(self.sessions))

    def open_sessions(self):
        return [session for session in list(self.sessions) if session.ended is None]

    def route(self):
        """What stands in `via` to come here."""
        return f"{'lmtp' if self.lmtp else 'smtp'}:[{self.host}]:{self.port}"

    def summary(self):
        lines = [f"{self.name} at {self.host}: {len(self.sessions)} connections, {len(self.messages)} messages"]
        for session in self.sessions[-5:]:
            lines.append(f"  {session.number}: {session.commands[-6:]} ended={session.ended}")
        return "\n".join(lines)


@contextlib.contextmanager
def unanswering(port=PORT):
    """An address where connections are neither accepted nor refused: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((free_address(), port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[0]
