"""faults.md 21 to 24: files of the spool that were damaged while nobody ran. What is found at each octet is
src/core/spool/damage_test.c's; here the whole server starts on such a spool, says so, and delivers the rest."""

import re
import shutil

import pytest
from test_storage import attempt, subjects

from harness import poll

HOLD = "queue { hold = yes }"
CONFIG = 'spool { reserve = "16M"  segment = "4M" }'
COUNT = 8


@pytest.fixture
def held(make_server):
    """A spool with eight messages in it, of a server that was killed."""
    server = make_server(config=CONFIG + HOLD)
    for number in range(COUNT):
        assert attempt(server, number, sender="bob@example.test").code == 250
    return server


def segments(server):
    """Those that hold records, the lowest number first."""
    found = [path for path in (server.data / "spool").glob("segment-*") if b"Subject: n" in path.read_bytes()]
    return sorted(found, key=lambda path: int.from_bytes(path.read_bytes()[40:48], "little"))


def edit(path, at, octets):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(octets)


def place_of(number, server):
    """(file, where) this message's content lies."""
    for path in segments(server):
        match = re.search(rb"Subject: n%d\r\n" % number, path.read_bytes())
        if match:
            return path, match.start()
    raise AssertionError(f"n{number} is in no segment")


def start_and_release(server):
    server.start()
    server.configure(CONFIG)
    server.command("reload")


def delivered_but(server, lost):
    wanted = {f"n{number}" for number in range(COUNT) if number not in lost}
    poll(lambda: wanted <= set(subjects(server)), 20, f"{sorted(wanted)}", 0.1)
    assert sorted(subjects(server)) == sorted(wanted)
    assert server.mail("bob@example.test") == [], "somebody was told that his mail failed"


def reported(server, pattern):
    server.wait_log(rf"error core .*{pattern}")
    assert server.json("status")["degraded"]


def flip_body(server):
    path, at = place_of(3, server)
    edit(path, at + 9, b"N")


def zero_page(server):
    path, at = place_of(3, server)
    edit(path, at // 4096 * 4096, bytes(4096))


@pytest.mark.parametrize("damage", [flip_body, zero_page], ids=["021_flipped_bit", "022_page_of_zeros"])
def test_damaged_record(held, damage):
    """Set aside and said; the message is not given out, its sender is not told, all others are delivered."""
    held.kill()
    damage(held)
    start_and_release(held)
    delivered_but(held, {3})
    reported(held, "spool_damage")
    assert list((held.data / "spool" / "quarantine").iterdir())
    assert attempt(held, 100).code == 250


def test_022_garbage_behind_the_end(held):
    """A torn tail is not an alarm."""
    held.kill()
    path, at = place_of(COUNT - 1, held)
    end = (at // 4096 + 4) * 4096
    edit(path, end, b"\xa5" * 3000)
    start_and_release(held)
    delivered_but(held, set())
    assert "spool_damage" not in held.log()


def test_023_segment_missing(held):
    """A later segment says that there was one: reported with its number, all else is used."""
    held.kill()
    held.start()
    assert attempt(held, 100).code == 250
    held.kill()
    segments(held)[0].unlink()
    (held.data / "spool" / "checkpoint").unlink(missing_ok=True)
    start_and_release(held)
    held.wait_log(r"error core .*spool_damage .*missing")
    poll(lambda: subjects(held) == ["n100"], 20, "what is left")


def test_023_old_copy_put_back(held):
    """A segment as it was yesterday: what is missing at its end is reported, what is there is used, nothing twice."""
    held.kill()
    (path, *_) = segments(held)
    old = path.read_bytes()
    start_and_release(held)
    delivered_but(held, set())
    assert held.terminate() == 0
    path.write_bytes(old)
    (held.data / "spool" / "checkpoint").unlink(missing_ok=True)
    held.start(wait=False)
    poll(lambda: held.process.poll() is not None or "spool_opened" in held.log()[held.log_start :], 20, "a verdict")
    if held.process.poll() is None:
        held.wait_ready()
        assert attempt(held, 100).code == 250
        poll(lambda: "n100" in subjects(held), 20, "new mail", 0.1)
        assert len(subjects(held)) == len(set(subjects(held))), "R5, R3: it came back"


def refused(server, pattern):
    server.start(wait=False)
    assert server.process.wait(30) != 0
    assert re.search(pattern, server.log()[server.log_start :]), server.log()[server.log_start :]


def test_023_two_with_one_number(held):
    """Nobody can say which one is true: the start is refused, and goes on when one was taken away."""
    held.kill()
    (path, *_) = segments(held)
    copy = path.with_name("segment-9999")
    shutil.copy(path, copy)
    refused(held, r"segment-9999|same number|one number")
    copy.unlink()
    start_and_release(held)
    delivered_but(held, set())


def lose_checkpoint(path):
    path.unlink(missing_ok=True)


def empty_checkpoint(path):
    path.write_bytes(b"")


def damage_checkpoint(path):
    path.write_bytes(b"vrdcheck" + bytes(4000))


@pytest.mark.parametrize("change", [lose_checkpoint, empty_checkpoint, damage_checkpoint])
def test_024_checkpoint(held, change):
    """It is an aid: without it the log says all."""
    assert held.terminate() == 0  # one is written at a stop
    change(held.data / "spool" / "checkpoint")
    start_and_release(held)
    delivered_but(held, set())


def test_024_older_checkpoint(held):
    assert held.terminate() == 0
    checkpoint = held.data / "spool" / "checkpoint"
    old = checkpoint.read_bytes() if checkpoint.exists() else pytest.fail("no checkpoint")
    held.start()
    assert attempt(held, 100).code == 250
    assert held.terminate() == 0
    checkpoint.write_bytes(old)
    start_and_release(held)
    poll(lambda: len(subjects(held)) == COUNT + 1, 20, "all mail, the younger too", 0.1)
