"""faults.md 4 and 18: the power is cut under load, on a real file system; a file system that turns read-only.

The ledgers, the sink and the mailboxes' checker do not lie on the disk that fails."""

import random

import pytest
from disks import run
from faultkit import figures, reconcile, rounds, slow
from test_storage import attempt

from harness import poll
from harness.server import Server

CONFIG = 'spool { segment = "4M"  reserve = "16M" }\n'


def new_server(disk):
    """Its configuration is on the disk; that its directory is there too it has to see to itself."""
    server = Server(base=disk.path, config=CONFIG)
    run("sync", "-f", server.config_path)
    server.populate()
    return server


def crash(server, disk):
    """The disk loses its power, then the processes go; what is mounted afterwards is what had reached the disk."""
    disk.cut_power()
    server.kill()
    disk.unmount()
    disk.mount()
    server.start(slow(30))


@pytest.mark.rounds
def test_004_power_cut_under_load(make_disk, load, record_property):
    """R1 to R4: all that was acknowledged is in the mailbox, once, and as it was sent."""
    disk, known, cuts, count = make_disk("ext4", size=512 << 20), random.Random(4), 0, max(3, rounds(15) // 5)
    server, books = new_server(disk), None
    try:
        server.start(slow(20))
        while cuts < count:
            running = load(server, 100_000)
            for _ in range(min(10, count - cuts)):
                running.wait_accepted(running.accepted() + known.randrange(1, 120), slow(60))
                crash(server, disk)
                cuts += 1
            one = running.stop()
            if books:
                books.sent |= one.sent
                books.answers |= one.answers
            else:
                books = one
        phantoms = reconcile(server, books, unanswered=(cuts + cuts // 10 + 1) * 20)
        figures(
            record_property,
            f"{cuts} cuts: {len(books.accepted)} accepted, lost 0, twice 0, {phantoms} without a 250",
        )
    finally:
        server.close()


def test_018_read_only_in_the_middle(make_disk):
    """R7: nothing is answered 2xx any more, the server stays up; after the repair all that was accepted is there."""
    disk = make_disk("ext4", more=",errors=remount-ro")
    server = new_server(disk)
    log = disk.path.with_suffix(".log")  # it would fail with the disk
    server.log_path = log
    try:
        server.start()
        accepted = {f"n{number}" for number in range(20) if attempt(server, number).code == 250}
        assert len(accepted) == 20
        disk.turn_read_only()
        codes = [attempt(server, number).code for number in range(20, 26)]
        assert set(codes) <= {451, 452}, codes
        status = server.run("status")
        assert status.returncode == 0 and b"storage fails" in status.stdout
        server.wait_log(r"spool_state state=broken|Read-only")  # R12
        server.kill()
        disk.unmount()
        disk.mount()
        server.start(slow(20))
        assert attempt(server, 100).code == 250
        poll(lambda: len(server.mail()) >= 21, slow(20), "all mail")
        subjects = [mail["subject"] for mail in server.mail()]
        assert accepted | {"n100"} == set(subjects) and len(subjects) == 21
    finally:
        server.close()
        log.unlink(missing_ok=True)
