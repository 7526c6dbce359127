"""faults.md 1 and 2: SIGKILL at random moments, while mail comes in and goes to mailboxes, to another host, and back.

Each message has four recipients: a mailbox here, two addresses at hosts that the name server tells (bench/sink takes their
mail and keeps books), and one that its host refuses, of which the sender is told. The checker compares what was accepted with
what arrived; duplicates at other hosts are counted by what was killed, and each must span a kill.
"""

import hashlib
import os
import random
import signal
import time
from collections import Counter, defaultdict

import pytest
from faultkit import figures, reconcile, rounds, slow
from test_kill_relay import Sink

from harness import dns, ledger, poll
from harness.relay import configuration, listed
from harness.remote import Remote

ROLES = ["inbound", "outbound", "resolver", "core", "master"]
AWAY = ["b@d0.test", "b@d1.test"]
SIZE, CHUNK, MESSAGES_A_ROUND = 4096, 2500, 40


def script(sink, refusing):
    """Name servers whose answers do not last, so that every part has its work."""

    def answer(query):
        name = query.name.removeprefix("mx.").lower()
        host = refusing.host if name == "refusing.test" else sink.host
        if query.type == dns.TYPES["MX"]:
            query.reply(query.message([dns.mx(name, 10, f"mx.{name}", ttl=1)]))
        elif query.type == dns.TYPES["A"]:
            query.reply(query.message([dns.a(f"mx.{name}", host, ttl=1)]))
        else:
            query.reply(query.message())

    return answer


class World:
    """The server, the load on it, and the hosts around it."""

    def __init__(self, make_server, load, sink, refusing, name_server):
        domains = ["d0.test", "d1.test", "refusing.test"]
        self.server = make_server(
            config=configuration(
                {domain: f"smtp:{domain}:2525" for domain in domains}, dsn={"rate": 0}, dns=name_server.config()
            ),
            top="mx-private = yes",
        )
        self.start_load, self.sink = load, sink
        self.books, self.running = ledger.Ledger(), None
        self.kills = Counter()
        self.windows = []  # (role, octets in the sink's books before the kill, and after the restart)

    def let_mail_flow(self, known):
        """A random number of further messages: a random moment that does not depend on a clock."""
        if self.running is None or not self.running.running():
            self.finish_load()
            self.running = self.start_load(
                self.server,
                CHUNK,
                recipients=("alice@example.test", *AWAY, "b@refusing.test"),
                sender="bob@example.test",
            )
        self.running.wait_accepted(self.running.accepted() + known.randrange(1, MESSAGES_A_ROUND), slow(60))

    def finish_load(self, stop=False):
        if self.running is not None:
            one = self.running.stop() if stop else self.running.finish()
            self.books.sent |= one.sent
            self.books.answers |= one.answers
            self.running = None

    def octets(self):
        return os.stat(self.sink.path).st_size

    def kill(self, role):
        before = self.octets()
        if role == "all":
            self.server.kill()
            self.server.start(slow(20))
        elif role == "master":
            self.server.process.kill()
            self.server.process.wait()
            self.server.wait_gone()
            self.server.start(slow(20))
        else:
            pid = self.server.role_pid(role, timeout=40)
            os.kill(pid, signal.SIGKILL)
            self.server.role_pid(role, not_pid=pid, timeout=40)
            if self.kills[role] % 5 == 4:  # the back-off of the restarts has grown; a new server begins anew
                assert self.server.terminate() == 0
                self.server.wait_gone()
                self.server.start(slow(20))
        self.windows.append((role, before, self.octets()))
        self.kills[role] += 1

    # the checker

    def arrived(self):
        """{(id, recipient): where in the books each copy stands}, and that each is what was sent."""
        found, at = defaultdict(list), 0
        with open(self.sink.path, "rb") as file:
            for line in file:
                words = line.decode().split()
                if words[0] == "GOT":
                    found[words[1], words[2]].append(at)
                    assert words[3] == body_digest(words[1]), f"R4: {words[1]} was changed"
                at += len(line)
        return found

    def duplicates(self, found):
        """How many further copies, by what was killed between (R3)."""
        by = Counter()
        for key, places in found.items():
            for first, second in zip(places, places[1:]):
                spanned = [r for r, before, after in self.windows if first <= after and second >= before]
                assert spanned, f"R3: {key} arrived again though nothing was killed between"
                by["/".join(sorted(set(spanned)))] += 1
        return by

    def wait_drained(self):
        def all_there():
            got = {tuple(line.split()[1:3]) for line in self.sink.path.read_text().splitlines() if line[:4] == "GOT "}
            return {(id, to) for id in self.books.accepted for to in AWAY} <= got

        poll(all_there, slow(180), "R1: the arrival of all accepted mail", 0.5)
        poll(lambda: listed(self.server) == [], slow(180), f"an empty queue: {listed(self.server)[:3]}", 0.5)

    def check(self, record_property):
        self.finish_load(stop=True)
        self.wait_drained()
        found = self.arrived()
        accepted, open_sessions = self.books.accepted, (sum(self.kills.values()) + 1) * 25
        assert {id for id, _ in found} <= self.books.sent
        phantoms = {id for id, _ in found} - accepted
        assert len(phantoms) <= open_sessions, f"R2: {len(phantoms)} without a 250"
        here = ledger.delivered(self.server.json("mail", "list", "alice@example.test"))
        ledger.check(self.books, here, open_sessions)
        told = len(self.server.json("mail", "list", "bob@example.test"))
        taken = len(accepted | phantoms | here.keys())
        assert told == taken, f"R13: {told} reports about {taken} messages"
        by = self.duplicates(found)
        figures(
            record_property,
            f"kills {dict(self.kills)}: {len(accepted)} accepted, {sum(map(len, found.values()))} relayed, "
            f"{sum(here.values())} in the mailbox, {told} reports, {len(phantoms)} without a 250, "
            f"duplicates {sum(by.values())} {dict(by)}, lost 0",
        )
        return by


def body_digest(id, known={}):
    if id not in known:
        body = ledger.content(id, SIZE).split(b"\r\n\r\n", 1)[1]
        known[id] = hashlib.sha256(body).hexdigest()
    return known[id]


@pytest.fixture
def world(make_server, load, sink_tool, tmp_path):
    sink = Sink(sink_tool, tmp_path / "got")
    try:
        with Remote(name="refusing.test") as refusing:
            refusing.on("RCPT", "550 5.1.1 nobody")
            with dns.Scripted(script(sink, refusing)) as name_server:
                yield World(make_server, load, sink, refusing, name_server)
    finally:
        sink.stop()


@pytest.mark.rounds
def test_001_whole_server(world, record_property):
    known = random.Random(1)
    for _ in range(rounds(4)):
        world.let_mail_flow(known)
        world.kill("all")
    world.check(record_property)


@pytest.mark.rounds
@pytest.mark.parametrize("role", ROLES)
def test_002_one_process(world, record_property, role):
    """A hundred rounds each where the whole server has five hundred."""
    known = random.Random(role)
    for _ in range(max(2, rounds(10) // 5)):
        world.let_mail_flow(known)
        world.kill(role)
    by = world.check(record_property)
    if role in ("inbound", "resolver", "core"):
        assert not by, "R3: outbound lives, and keeps what it knows until a core has noted it"


@pytest.mark.torture
def test_001_002_100_sessions_20000_messages(make_server, load):
    """Issue 2, shown by: 100 sessions, 20,000 messages, any process at random moments."""
    known, server = random.Random(2), make_server()
    running = load(server, 20000, connections=100)
    kills = 0
    while running.running():
        running.wait_accepted(running.accepted() + known.randrange(100, 2000), 300)
        if not running.running():
            break
        role = known.choice(["inbound", "core", "master", "all"])
        if role == "all":
            server.kill()
            server.start()
        elif role == "master":
            server.process.kill()
            server.process.wait()
            server.wait_gone()
            server.start()
        else:
            os.kill(server.role_pid(role, timeout=35), signal.SIGKILL)
        kills += 1
    reconcile(server, running.finish(), unanswered=kills * 100)


def test_002_core_stopped_for_a_while(make_server, load):
    """A core that hangs is not a core that died: sessions wait, nothing is lost, memory does not grow."""
    server = make_server()
    running = load(server, 500)
    running.wait_accepted(100)
    pid = server.role_pid("core")
    os.kill(pid, signal.SIGSTOP)
    before = running.accepted()
    poll(lambda: stalled(running), 20, "the load to stall", 0.3)
    os.kill(pid, signal.SIGCONT)
    running.wait_accepted(before + 50)
    reconcile(server, running.finish())


def stalled(running):
    before = running.accepted()
    time.sleep(0.2)  # that nothing happens can only be seen over time
    return running.accepted() == before
