"""faults.md, storage errors: failed syncs and writes, a full disk, short and interrupted calls."""

import errno
import os
import random
import subprocess
import tempfile
from pathlib import Path

import pytest
from faultkit import ALLOCATE, INTERRUPT, READ, SHORT, SYNC, WRITE, reconcile, rounds

from harness import poll
from harness.server import Server
from harness.smtp import message


def attempt(server, number):
    """One message; the code of its final reply, or of the one that stopped it."""
    with server.smtp() as c:
        c.hello()
        for command in ("MAIL FROM:<a@there.example>", "RCPT TO:<alice@example.test>"):
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
    """EIO on reading queued mail: never bounced in silence, never half a message; it is there or set aside."""
    faults.set(READ, times=1)
    codes = {number: attempt(faulty, number).code for number in range(3)}
    faults.clear()
    for number in range(10, 13):
        codes[number] = attempt(faulty, number).code
    assert set(codes.values()) == {250}
    poll(lambda: len(subjects(faulty)) >= 5, 30, "the mail that could be read", 0.1)


CONFIG = 'spool { reserve = "16M"  segment = "4M" }  queue { retry = {"1s"} }'


@pytest.fixture
def small_disk():
    """A tmpfs of 160 MiB, under a short name: the control socket's path has a limit."""
    directory = Path(tempfile.mkdtemp(prefix="veredus-disk-"))
    directory.chmod(0o755)
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "none", directory]).returncode
    ):
        directory.rmdir()
        pytest.skip("no right to mount a tmpfs")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)
    directory.rmdir()


def test_014_disk_full_then_freed(small_disk, load):
    """452 4.3.1 at MAIL before it is full; safe mail stays safe; service returns by itself."""
    server = Server(base=small_disk, config=CONFIG)
    try:
        server.populate()
        server.start()
        assert attempt(server, 0).code == 250
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (24 << 20))
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
            accepted_are_there(server, codes)  # deliveries went on
            ballast.unlink()
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


def test_014_disk_full_to_the_last_octet(small_disk):
    """Somebody else takes even the reserve: 4xx, no crash, nothing accepted is lost, service returns."""
    server = Server(base=small_disk, config=CONFIG)
    try:
        server.populate()
        server.start()
        codes = {number: attempt(server, number).code for number in range(3)}
        ballast = small_disk / "ballast"
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
