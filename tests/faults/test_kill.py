"""faults.md 1 and 2: SIGKILL at random moments under load. Nothing accepted is lost, nothing is there twice."""

import os
import random
import signal
import time

import pytest
from faultkit import reconcile, rounds, slow

from harness import poll


def random_pause(known, load):
    """Lets a random number of further messages through: a random moment that does not depend on a clock."""
    load.wait_accepted(load.accepted() + known.randrange(1, 150), 60)


@pytest.mark.rounds
def test_001_whole_server(make_server, load):
    count = rounds(4)
    known, server = random.Random(1), make_server()
    running = load(server, 300 * count)
    kills = 0
    while kills < count and running.running():
        random_pause(known, running)
        server.kill()
        kills += 1
        server.start()
    books = running.finish()
    reconcile(server, books, unanswered=kills * running.connections)
    assert kills


@pytest.mark.rounds
@pytest.mark.parametrize("role", ["inbound", "core", "master"])
def test_002_one_process(make_server, load, role):
    count = rounds(4)
    known, server = random.Random(role), make_server()
    running = load(server, 300 * count)
    kills = 0
    while kills < count and running.running():
        random_pause(known, running)
        pid = server.role_pid(role)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        kills += 1
        if role == "master":
            server.process.wait()
            server.wait_gone()
            server.start()
        else:
            server.role_pid(role, not_pid=pid, timeout=35)
            if kills == 1:
                assert time.monotonic() - begun < slow(1)
            if kills % 5 == 0:  # the back-off of the restarts has grown; a new server begins anew
                server.kill()
                server.start()
    books = running.finish()
    reconcile(server, books, unanswered=(kills + kills // 5) * running.connections)
    assert kills


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
