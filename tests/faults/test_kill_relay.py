"""faults.md 1 and 2 for mail that goes out: SIGKILL at random moments. Nothing is lost, and each duplicate is explained.

The load generator's ledger says what was accepted, the sink's what arrived (bench/load, bench/sink)."""

import os
import random
import signal
import subprocess
from collections import Counter

import pytest
from faultkit import rounds, slow

from harness import ledger, poll
from harness.relay import configuration, listed
from harness.server import free_address
from harness.smtp import Smtp

PER_SITE = 8


class Sink:
    """bench/sink with its ledger."""

    def __init__(self, tool, path):
        self.host, self.port, self.path = free_address(), 2525, path
        self.process = subprocess.Popen([tool, "--listen", f"{self.host}:{self.port}", "--ledger", path])
        poll(self.serves, 10, "the sink")

    def serves(self):
        try:
            with Smtp(self.host, self.port, timeout=5):
                return True
        except OSError:
            return False

    def got(self):
        """How often each id arrived."""
        lines = self.path.read_text().splitlines()
        return Counter(line.split()[1] for line in lines if line.startswith("GOT "))

    def route(self):
        return f"smtp:[{self.host}]:{self.port}"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def sink(sink_tool, tmp_path):
    one = Sink(sink_tool, tmp_path / "got")
    yield one
    one.stop()


def reconcile(server, sink, books, unanswered, timeout=120):
    """R1: all that was accepted arrived. R2: nothing else but what lost its reply. The number of duplicates (R3)."""
    poll(lambda: books.accepted <= sink.got().keys(), slow(timeout), "the arrival of all accepted mail", 0.5)
    poll(lambda: listed(server) == [], slow(timeout), f"an empty queue: {listed(server)[:3]}", 0.2)
    got = sink.got()
    assert got.keys() <= books.sent
    assert len(got.keys() - books.accepted) <= unanswered
    return sum(count - 1 for count in got.values())


def relaying(make_server, sink, **outbound):
    outbound = {"connections-per-site": PER_SITE} | outbound
    return make_server(config=configuration({"*": sink}, outbound=outbound))


@pytest.mark.rounds
@pytest.mark.parametrize("role", ["outbound", "core", "inbound", "resolver", "master"])
def test_002_one_process(make_server, load, sink, role):
    count = rounds(3)
    known, server = random.Random(role), relaying(make_server, sink)
    running = load(server, 300 * count, recipients=("b@there.test",))
    kills = 0
    while kills < count and running.running():
        running.wait_accepted(running.accepted() + known.randrange(1, 150), 60)
        pid = server.role_pid(role)
        os.kill(pid, signal.SIGKILL)
        kills += 1
        if role == "master":
            server.process.wait()
            server.wait_gone()
            server.start()
        else:
            server.role_pid(role, not_pid=pid, timeout=35)
    again = reconcile(server, sink, running.finish(), kills * running.connections)
    if role in ("inbound", "resolver"):
        assert again == 0
    elif role == "outbound":  # what was on its way; the outcomes of core's or everybody's death are a second's
        assert again <= kills * PER_SITE


@pytest.mark.rounds
def test_001_whole_server(make_server, load, sink):
    count = rounds(3)
    known, server = random.Random(3), relaying(make_server, sink)
    running = load(server, 300 * count, recipients=("b@there.test",))
    kills = 0
    while kills < count and running.running():
        running.wait_accepted(running.accepted() + known.randrange(1, 150), 60)
        server.kill()
        kills += 1
        server.start()
    reconcile(server, sink, running.finish(), kills * running.connections)


def test_no_duplicate_without_a_fault(make_server, load, sink):
    server = relaying(make_server, sink)
    books = load(server, 2000, recipients=("b@there.test",)).finish()
    assert reconcile(server, sink, books, 0) == 0


@pytest.mark.torture
def test_200000_messages_of_mixed_sizes(make_server, load, sink):
    """Issue 3, shown by: the ledger's generator, mixed sizes, nothing lost and nothing twice."""
    server, books = relaying(make_server, sink), ledger.Ledger()
    for size, messages in ((2000, 120_000), (10_000, 70_000), (60_000, 9_000), (500_000, 900), (5_000_000, 100)):
        one = load(server, messages, connections=50, size=size, recipients=("b@there.test",)).finish(1800)
        books.sent |= one.sent
        books.answers |= one.answers
    assert reconcile(server, sink, books, 0, 600) == 0
