"""faults.md 46, 48, 49: a start with a long queue, reloads that fail and many that succeed, a second instance."""

import re
import shutil
import subprocess

import pytest
from faultkit import figures, rounds, slow

from harness import poll, processes
from harness.relay import configuration, listed
from harness.server import binary, sanitized
from harness.smtp import message

ALICE = "alice@example.test"


def queued(server):
    return server.json("queue", "stats")["messages"]


@pytest.mark.rounds
def test_046_start_with_a_long_queue(make_server, load, there, record_property):
    """A thousandth of the row's million, a fifth of it in torture; bench/queue measures the whole. All is there after the
    start, and mail is taken and delivered before what waits is done with."""
    count = rounds(0) * 400 or 1000
    there.on("RCPT", "451 4.2.0 later")
    server = make_server(config=configuration({"there.test": there}, queue={"retry": ["1h"]}))
    books = load(server, count, connections=50, size=1024, recipients=("b@there.test",)).finish(1800)
    assert len(books.accepted) == count
    poll(lambda: queued(server) == count, slow(60), "the whole queue")
    server.kill()
    server.start(slow(60))
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", ALICE, message("first after the start"))
    server.mail(count=1)  # before what waits for others is done with
    assert queued(server) == count
    if not sanitized() and count >= 100_000:  # memory cap
        assert processes.status_kib(server.role_pid("core"), "VmRSS") * 1024 < count * 400 + (200 << 20)
    there.forget()
    server.command("queue", "retry", "--to", "there.test")
    there.wait(lambda: len(there.accepted) >= count, "the delivery of all", slow(60) + count / 200)
    ids = [re.search(r"load (\S+)", m.fields("subject")[0]).group(1) for m in list(there.accepted)]
    assert sorted(ids) == sorted(books.accepted), "R1, R3"
    ready = re.findall(r"spool_opened messages=(\d+) ms=(\d+)", server.log())[-1]
    figures(record_property, f"{ready[0]} messages read in {ready[1]} ms")


@pytest.mark.rounds
def test_048_reloads(make_server, load, there):
    """Broken ones change nothing, and however many there are, nothing grows; mail flows all the time."""
    good = configuration({"there.test": there})
    server = make_server(config=good)
    running = load(server, 100_000, connections=10)
    server.command("reload")
    lasting = {role: server.role_pid(role) for role in ("master", "core")}
    held = descriptors(lasting)
    for number in range(min(100, rounds(6))):
        if number % 2:
            server.configure(good + "limits { no-such-thing = 1 }")
            before = server.roles()
            done = server.run("reload")
            assert done.returncode == 1 and b"no-such-thing" in done.stderr
            assert set(before) <= set(server.roles()) | drained(before, server)
        else:
            server.configure(good)
            server.command("reload")
        if number == 2:
            resident = {role: processes.status_kib(pid, "VmRSS") for role, pid in lasting.items()}
    server.configure(good)
    assert {role: server.role_pid(role) for role in lasting} == lasting
    running.wait_accepted(running.accepted() + 10)
    books = running.stop()
    poll(lambda: len(server.roles()) <= 8, slow(30), f"the end of the old ones: {server.roles()}", 0.1)
    poll(
        lambda: all(now <= held[role] + 4 for role, now in descriptors(lasting).items()),
        slow(20),
        f"descriptors back at {held}: {descriptors(lasting)}",
        0.1,
    )
    for role, pid in lasting.items():
        assert processes.status_kib(pid, "VmRSS") < resident[role] * 1.5 + 8192, f"{role} grows"
    poll(lambda: books.accepted <= set(subject_ids(server)), slow(60), "all accepted mail", 0.5)


def descriptors(pids):
    return {role: processes.descriptors(pid) for role, pid in pids.items()}


def drained(before, server):
    """Those of an earlier generation, which may end at any time."""
    living = server.roles()
    return {pid for pid in before if pid not in living and before[pid] not in ("master", "core")}


def subject_ids(server):
    return [mail["subject"].removeprefix("load ") for mail in server.json("mail", "list", ALICE)]


def test_049_second_instance(make_server, new_server, there):
    """On the same data: refused with a line that says why, and the first one is not disturbed."""
    first = make_server(config="queue { hold = yes }")
    with first.smtp() as c:
        c.hello()
        c.deliver("a@there.example", ALICE, message("kept"))
    second = new_server()
    text = second.config_path.read_text().replace(str(second.data), str(first.data))
    second.config_path.write_text(f'runtime = "{second.base}/run"\n{text}')  # else the control socket is in the way
    second.start(wait=False)
    assert second.process.wait(slow(30)) != 0
    assert str(first.data) in second.log() and "another veredus" in second.log()
    assert [r["state"] for e in listed(first) for r in e["recipients"]] == ["held"]
    first.configure("")
    first.command("reload")
    first.mail(count=1)


def test_049_second_instance_on_the_spool_alone(make_server, new_server):
    """The spool has a lock of its own, for who brings only that one together with other data."""
    first = make_server()
    second = new_server()
    second.populate()
    shutil.rmtree(second.data / "spool", ignore_errors=True)
    (second.data / "spool").symlink_to(first.data / "spool")
    done = subprocess.run(
        [binary(), "serve", "-c", second.config_path], capture_output=True, timeout=slow(60), env=second.env
    )
    assert done.returncode != 0 and re.search(rb"spool", done.stderr + done.stdout)
    with first.smtp() as c:
        c.hello()
        c.deliver("a@there.example", ALICE, message("goes on"))
    first.mail(count=1)
