"""faults.md 44 and 45: clocks that jump, and a server that was frozen for ten minutes."""

import datetime
import os
import signal

import pytest

from harness import poll
from harness.relay import configuration, hand_in, listed, recipients, wait_deferred, wait_empty
from harness.server import Server
from harness.smtp import message

HOUR, YEAR = 3600, 365 * 86400
ALICE, TO = "alice@example.test", "b@there.test"


def to_date(year, month, day):
    """Seconds from now."""
    then = datetime.datetime(year, month, day, tzinfo=datetime.timezone.utc)
    return int((then - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


JUMPS = {
    "an-hour-ahead": HOUR,
    "an-hour-back": -HOUR,
    "ten-years-ahead": 10 * YEAR,
    "to-1970": to_date(1970, 1, 2),
    "across-2038": to_date(2038, 1, 19) + 3 * HOUR + 14 * 60,
}


@pytest.fixture
def timed(faults, there):
    """A server under the shim's clocks; everything goes to `there`."""
    server = Server(
        env=faults.env,
        config=configuration({"*": there}, queue={"lifetime": "5d", "warn-after": "4h", "retry": ["1h"]}),
    )
    try:
        server.populate()
        server.start()
        yield server
    finally:
        server.close()


def queue_some(server, there, count=5):
    """Messages that were tried once and are not due for an hour."""
    there.on("RCPT", "451 4.2.0 later")
    for number in range(count):
        hand_in(server, ALICE, TO, message(f"n{number}"))
    wait_deferred(server, TO, attempts=1)
    poll(lambda: all(r["attempts"] == 1 for e in listed(server) for r in e["recipients"]), 20, "an attempt at each")


def nothing_ended(server, count=5):
    assert len(listed(server)) == count, "expired by a jump"
    assert server.mail() == [], "the sender was told of an expiry or delay that was none"


@pytest.mark.parametrize("seconds", JUMPS.values(), ids=JUMPS)
def test_044_wall_clock_jumps(timed, there, faults, seconds):
    """While it runs and while it does not: nothing expires, nothing is tried early, mail goes in and out."""
    queue_some(timed, there)
    asked = there.count("RCPT")
    faults.set_clocks(wall=seconds)
    hand_in(timed, "a@there.example", ALICE, message("after the jump"))
    assert timed.mail(count=1)[0]["subject"] == "after the jump"
    year = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).year
    assert str(year).encode() in timed.raw().split(b"\r\n\r\n")[0], "the shim's clock is not seen"
    assert timed.json("status")["queue"]["expired"] == 0
    assert len(listed(timed)) == 5
    assert there.count("RCPT") == asked, "R11: tried earlier than the schedule said"
    timed.kill()
    timed.start()
    hand_in(timed, "a@there.example", "bob@example.test", message("after the start"))
    timed.mail("bob@example.test", 1)
    assert len(timed.mail()) == 1 and len(listed(timed)) == 5
    there.forget()
    timed.command("queue", "retry", "--to", "there.test")
    there.wait_messages(5)
    wait_empty(timed)
    assert len(timed.mail()) == 1, "the sender was told of something"


def test_044_back_from_the_future(timed, there, faults):
    """Mail of a wrong time does not hold up what comes when the clock is right again."""
    faults.set_clocks(wall=10 * YEAR)
    queue_some(timed, there)
    faults.set_clocks()
    timed.kill()
    timed.start()
    nothing_ended(timed)
    there.forget()
    hand_in(timed, ALICE, "b@other.test", message("at the right time"))
    there.wait(lambda: any(m.fields("subject") == ["at the right time"] for m in there.accepted), "the new one")
    timed.command("queue", "retry", "--to", "there.test")
    there.wait_messages(6)
    wait_empty(timed)


def test_045_frozen(timed, there, faults):
    """Ten minutes pass while all processes stand still: sessions end, timers fire once, mail is all there."""
    queue_some(timed, there)
    asked = there.count("RCPT")
    idle = timed.smtp()
    idle.hello()
    pids = timed.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    faults.set_clocks(wall=600, monotonic=600)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    hand_in(timed, "a@there.example", "bob@example.test", message("after the freeze"))
    timed.mail("bob@example.test", 1)
    assert idle.reply().code == 421
    nothing_ended(timed)
    assert there.count("RCPT") == asked
    there.forget()
    faults.set_clocks(wall=600 + HOUR, monotonic=600 + HOUR)  # now they are due; no command says so
    hand_in(timed, "a@there.example", "bob@example.test", message("wakes it up"))
    there.wait_messages(5, 60)
    wait_empty(timed)
    assert all(one["attempts"] <= 2 for one in recipients(timed).values())
