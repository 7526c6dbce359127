"""faults.md, storage errors: failed syncs and writes, a full disk, short and interrupted calls."""

import errno
import itertools
import os
import random
import resource
import shutil

import pytest
from faultkit import ALLOCATE, INTERRUPT, READ, SHORT, SYNC, WRITE, reconcile, rounds

from harness import poll
from harness.server import Server
from harness.smtp import message

CONFIG = 'spool { reserve = "16M"  segment = "4M" }  queue { retry = {"1s"} }'
HOLD = " queue { hold = yes }"


def attempt(server, number, sender="a@there.example"):
    """One message; the code of its final reply, or of the one that stopped it."""
    with server.smtp() as c:
        c.hello()
        for command in (f"MAIL FROM:<{sender}>", "RCPT TO:<alice@example.test>"):
            reply = c.cmd(command)
            if reply.code != 250:
                return reply
        c.cmd("DATA", 354)
        c.send(message(f"n{number}") + ".\r\n")
        return c.reply()


def subjects(server):
    return [mail["subject"] for mail in server.mail()]


def accepted_are_there(server, codes):
    """Each message answered 250 is there once; one answered 4xx is there at most once."""
    wanted = {f"n{number}" for number, code in codes.items() if code == 250}
    poll(lambda: wanted <= set(subjects(server)), 30, f"all of {sorted(wanted)}", 0.1)
    found = subjects(server)
    assert len(found) == len(set(found))
    return found


def test_the_shim_sees_the_spool(faulty, faults):
    """The check of the check: calls go through the shim, else the tests below show nothing."""
    faults.set(SYNC | WRITE, times=0)
    assert attempt(faulty, 0).code == 250
    assert faults.calls >= 2


@pytest.mark.rounds
@pytest.mark.parametrize("skip", range(min(200, rounds(6))))
def test_011_sync_fails_once(faulty, faults, skip):
    """The group gets 451 and none of it a 250; the next message goes into a new segment."""
    faults.set(SYNC, skip=skip, times=1)
    codes = {}
    for number in range(skip + 6):
        reply = attempt(faulty, number)
        assert reply.code in (250, 451, 452), reply
        codes[number] = reply.code
    if faults.failed:
        faulty.wait_log(r"(?i)sync|spool|segment|storage")  # R12: one record that names it
    faults.clear()
    codes[100] = attempt(faulty, 100).code
    assert codes[100] == 250, "one failed sync stopped the server for good"
    found = accepted_are_there(faulty, codes)
    faulty.kill()
    faulty.start()
    assert sorted(subjects(faulty)) == sorted(found), "a crash changed what is there"


def test_011_sync_fails_under_load(faulty, faults, load):
    running = load(faulty, 600)
    known = random.Random(11)
    while running.running():
        running.wait_accepted(running.accepted() + known.randrange(20, 120))
        faults.set(SYNC, skip=known.randrange(5), times=1)
    faults.clear()
    books = running.finish()
    refused = sum(1 for code in books.answers.values() if code >= 400)
    reconcile(faulty, books, unanswered=refused)


def test_011_sync_never_works(faulty, faults):
    """R7: nothing is answered 2xx; when it works again, so does the server, at the latest after a restart."""
    assert attempt(faulty, 0).code == 250
    faulty.mail(count=1)
    faults.set(SYNC)
    codes = {number: attempt(faulty, number).code for number in range(1, 8)}
    assert all(code in (451, 452) for code in codes.values()), codes
    assert faulty.run("status").returncode == 0  # it stays up for diagnosis
    faults.clear()
    if attempt(faulty, 8).code != 250:  # until an operator acts
        assert faulty.terminate() == 0
        faulty.start()
        assert attempt(faulty, 9).code == 250
    found = poll(
        lambda: (now := subjects(faulty)) and len(now) >= 2 and now, 20, "the mail from before and after", 0.1
    )
    assert found[0] == "n0"


@pytest.mark.rounds
@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO], ids=errno.errorcode.get
)
def test_013_016_write_fails(faulty, faults, code):
    codes = {}
    for skip in range(rounds(8)):
        faults.set(WRITE | ALLOCATE, skip=skip, times=1, error=code)
        reply = attempt(faulty, skip)
        assert reply.code in (250, 451, 452), reply
        codes[skip] = reply.code
    faults.clear()
    poll(lambda: attempt(faulty, 1000).code == 250, 10, "acceptance again", 0.1)
    codes[1000] = 250
    found = accepted_are_there(faulty, codes)
    faulty.kill()
    faulty.start()
    assert sorted(subjects(faulty)) == sorted(found)


@pytest.mark.parametrize("kinds", [SHORT, INTERRUPT, SHORT | INTERRUPT], ids=["short", "eintr", "both"])
def test_017_short_and_interrupted_calls(faulty, faults, load, kinds):
    faults.set(kinds)
    running = load(faulty, 150, connections=10)
    books = running.finish()
    assert faults.failed
    reconcile(faulty, books)
    assert all(code == 250 for code in books.answers.values())
    faulty.kill()
    faulty.start()
    reconcile(faulty, books)


def test_020_read_fails_at_delivery(faulty, faults):
    """EIO on reading queued mail: that message is set aside, an operator is told, nobody else waits or gets a bounce."""
    faulty.configure(extra=faulty.extra + HOLD)
    faulty.command("reload")
    codes = {number: attempt(faulty, number, sender="bob@example.test").code for number in range(5)}
    assert set(codes.values()) == {250}
    faulty.kill()  # what was in memory would not be read
    faulty.start()
    faults.set(READ, times=1)
    faulty.configure(extra=faulty.extra.replace(HOLD, ""))
    faulty.command("reload")
    poll(lambda: len(subjects(faulty)) >= 4, 30, "the mail that could be read", 0.1)
    faulty.wait_log(r"error core .*(message_not_read|spool_damage)")
    assert faults.failed == 1
    waiting = poll(lambda: faulty.json("queue", "list"), 10, "the one that could not be read")
    assert len(waiting) == 1 and {r["state"] for r in waiting[0]["recipients"]} == {"held"}, waiting
    assert faulty.json("status")["degraded"]
    assert attempt(faulty, 100).code == 250
    poll(lambda: len(subjects(faulty)) == 5, 30, "the next message", 0.1)
    assert faulty.mail("bob@example.test") == [], "the sender was told of a failure that was ours"


def test_019_slow_syncs(faulty, faults, load):
    """What waits for the disk waits together; what needs no disk goes on; nobody is given up."""
    before = faulty.json("status")["spool"]
    faults.slow_syncs(1000)
    running = load(faulty, 100)
    running.wait_accepted(20)
    with faulty.smtp() as inside, faulty.smtp() as waiting:
        for c in (inside, waiting):
            c.hello()
        waiting.envelope("a@there.example", "bob@example.test")
        waiting.cmd("DATA", 354)
        waiting.send(message("waits for the disk") + ".\r\n")
        inside.cmd("MAIL FROM:<a@there.example>", 250)
        for _ in range(5):
            inside.cmd("RCPT TO:<bob@example.test>", 250)
        faults.slow_syncs(0)
        assert waiting.reply().code == 250
    books = running.finish()
    assert set(books.answers.values()) == {250}
    after = faulty.json("status")["spool"]
    groups, commits = (after[name] - before[name] for name in ("groups", "commits"))
    assert commits >= 5 * groups or groups < 40, f"{commits} commits in {groups} groups"
    reconcile(faulty, books)


def test_016_file_size_limit(make_server):
    """EFBIG, and a signal that would kill: 4xx as long as it is so, and afterwards mail flows again."""
    server = make_server(config=CONFIG)
    codes = {number: attempt(server, number).code for number in range(3)}
    accepted_are_there(server, codes)
    core = server.role_pid("core")
    usual = resource.prlimit(core, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    for number in range(3, 8):
        codes[number] = attempt(server, number).code
    assert {codes[number] for number in range(3, 8)} <= {451, 452}, codes
    resource.prlimit(core, resource.RLIMIT_FSIZE, usual)
    poll(lambda: attempt(server, 1000).code == 250, 30, "acceptance again", 0.2)
    accepted_are_there(server, codes | {1000: 250})
    assert server.role_pid("core") == core




def take_space(disk):
    """All but 24 MiB; gives back what gives it back."""
    ballast, free = disk.path / "ballast", os.statvfs(disk.path)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (24 << 20))
    return ballast.unlink


def take_inodes(disk):
    ballast = disk.path / "ballast"
    ballast.mkdir()
    for number in itertools.count():
        try:
            (ballast / str(number)).touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return lambda: shutil.rmtree(ballast)


@pytest.mark.parametrize("take", [take_space, take_inodes], ids=["014_space", "015_inodes"])
def test_disk_full_then_freed(make_disk, take):
    """452 4.3.1 at MAIL before it is full; safe mail stays safe; service returns by itself."""
    disk = make_disk("tmpfs", more=",nr_inodes=500")
    server = Server(base=disk.path, config=CONFIG)
    try:
        server.populate()
        server.start()
        assert attempt(server, 0).code == 250
        server.mail(count=1)
        give_back = take(disk)
        codes, refusal = {0: 250}, None
        with server.smtp() as c:
            c.hello()
            for number in range(1, 400):
                reply = c.cmd("MAIL FROM:<a@there.example> SIZE=100000")
                if reply.code != 250:
                    refusal = reply
                    break
                c.cmd("RCPT TO:<alice@example.test>", 250)
                c.cmd("DATA", 354)
                c.send(message(f"n{number}") + ("x" * 78 + "\r\n") * 1250 + ".\r\n")
                codes[number] = c.reply().code
                assert codes[number] in (250, 451, 452)
            assert refusal and refusal.matches("452 4.3.1"), refusal
            assert "disk" in str(server.json("status")["degraded"])  # R12
            if take is take_space:  # deliveries went on; a file for each larger mail needs an inode each
                accepted_are_there(server, codes)
            give_back()
            poll(lambda: (c.cmd("MAIL FROM:<a@there.example>").code == 250), 30, "room again", 0.2)
            c.cmd("RCPT TO:<alice@example.test>", 250)
            c.content(message("n1000"))
        codes[1000] = 250
        found = accepted_are_there(server, codes)
        server.kill()
        server.start()
        assert sorted(subjects(server)) == sorted(found)
    finally:
        server.close()


def test_014_disk_full_to_the_last_octet(make_disk):
    """Somebody else takes even the reserve: 4xx, no crash, nothing accepted is lost, service returns."""
    disk = make_disk("tmpfs")
    server = Server(base=disk.path, config=CONFIG)
    try:
        server.populate()
        server.start()
        codes = {number: attempt(server, number).code for number in range(3)}
        ballast = disk.path / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 65536) == 65536:
                    pass
            except OSError:
                pass
        for number in range(3, 8):
            codes[number] = attempt(server, number).code
            assert codes[number] in (250, 451, 452)
        ballast.unlink()
        poll(lambda: attempt(server, 1000).code == 250, 30, "acceptance again", 0.2)
        accepted_are_there(server, codes | {1000: 250})
    finally:
        server.close()
