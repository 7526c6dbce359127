"""faults.md 25 to 30, resources: memory, descriptors, processes, local ports, a log that takes no more."""

import contextlib
import ctypes
import errno
import os
import re
import resource
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from faultkit import MEMORY, figures, reconcile, rounds, slow

from harness import poll, processes
from harness.relay import configuration, listed, wait_empty
from harness.remote import GOOD, until
from harness.server import Server, sanitized
from harness.smtp import message

ALICE, TO = "alice@example.test", "b@there.test"


class Group:
    """A control group of version 1 (the reference machine's), with what is in it."""

    def __init__(self, controller):
        self.path = Path(f"/sys/fs/cgroup/{controller}/veredus-test-{os.getpid()}")
        try:
            self.path.mkdir()
        except OSError as error:
            pytest.skip(f"no control groups of version 1 with {controller}: {error}")

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def set(self, name, value):
        (self.path / name).write_text(str(value))

    def get(self, name):
        return (self.path / name).read_text()

    def remove(self):
        poll(self.gone, 10, "the end of a control group", 0.05)

    def gone(self):
        with contextlib.suppress(OSError):
            self.path.rmdir()
        return not self.path.exists()


@pytest.fixture
def group():
    """group("memory")"""
    made = []

    def make(controller):
        made.append(Group(controller))
        return made[-1]

    yield make
    for one in made:
        one.remove()


def killed_of(server):
    return len(re.findall(r" master process_(?:killed|died) ", server.log()))


def test_025_memory_limit(plain_build, group, load, record_property):
    """At 1.2 times of what it needs when idle, then a flood: what the kernel kills comes back, nothing is lost."""
    memory = group("memory")
    server = Server(preexec=memory.enter)
    try:
        server.populate()
        server.start()
        memory.set("memory.force_empty", 0)
        limit = int(int(memory.get("memory.usage_in_bytes")) * 1.2)
        memory.set("memory.limit_in_bytes", limit)
        running = load(server, 1500, connections=100)
        poll(lambda: not running.running() or killed_of(server) >= 5, slow(120), "the end of the flood", 0.1)
        memory.set("memory.limit_in_bytes", -1)
        books, killed = running.finish(), killed_of(server)
        refused = sum(1 for code in books.answers.values() if code >= 400)
        server.wait_ready()
        reconcile(server, books, unanswered=killed * 100 + refused)
        figures(record_property, f"{limit >> 20} MiB: {len(books.accepted)} accepted, {refused} refused, {killed} killed")
    finally:
        memory.set("memory.limit_in_bytes", -1)
        server.close()


@contextlib.contextmanager
def failing_allocations(faults, role, skip, times=1):
    faults.only(role)
    faults.set(MEMORY, skip=skip, times=times, error=errno.ENOMEM)
    yield
    faults.clear()


def hand_in(server, number):
    """The code of what a client is told; 0 where the connection broke."""
    try:
        with server.smtp(timeout=10) as c:
            for command in ("EHLO client.test", f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ALICE}>", f"RCPT TO:<{TO}>", "DATA"):
                reply = c.cmd(command)
                if reply.code not in (250, 354):
                    return reply.code
            c.send(message(f"n{number}") + ".\r\n")
            return c.reply().code
    except (OSError, AssertionError):
        return 0


def steps(calls, count):
    """So many numbers of calls, those at the beginning among them."""
    return sorted({calls * i // count for i in range(count)})


@pytest.mark.rounds
@pytest.mark.parametrize("role", ["core", "inbound", "outbound"])
def test_026_allocation_fails(memory_faults, there, role, record_property):
    """At each of some calls while mail is received, kept, delivered and relayed: 4xx, or a message that waits."""
    server = Server(env=memory_faults.env, config=configuration({"*": there}, queue={"retry": ["1s"]}))
    codes = {}
    try:
        server.populate()
        server.start()
        codes[0] = hand_in(server, 0)
        before = memory_faults.calls
        with failing_allocations(memory_faults, role, 1 << 30):
            codes[1] = hand_in(server, 1)
            there.wait(lambda: len(there.accepted) == 2, "two")
            wait_empty(server)
        calls = memory_faults.calls - before
        assert calls > 10 and codes == {0: 250, 1: 250}
        pid, hit = server.role_pid(role), 0
        for number, skip in enumerate(steps(calls, min(calls, rounds(30))), 2):
            with failing_allocations(memory_faults, role, skip):
                codes[number] = hand_in(server, number)
                server.run("status")
            hit += memory_faults.failed
            assert codes[number] in (0, 250, 421, 451, 452), codes[number]
        for number in range(1000, 1008):  # R9: service has returned, in each process that takes mail
            codes[number] = hand_in(server, number)
        assert {codes[number] for number in range(1000, 1008)} == {250}, codes
        survived = server.role_pid(role) == pid
        accepted = {f"n{number}" for number, code in codes.items() if code == 250}
        got = lambda: [one.fields("subject")[0] for one in there.accepted]
        there.wait(lambda: accepted <= set(got()), f"all of {sorted(accepted)}", slow(20))
        poll(lambda: listed(server) == [], slow(30), f"an empty queue {listed(server)}", 0.1)
        here = [mail["subject"] for mail in server.mail()]
        assert accepted <= set(here) and len(here) == len(set(here))
        figures(
            record_property,
            f"{calls} calls a message, {len(codes) - 2} failed, {len(accepted)} accepted, "
            f"{'the process lives' if survived else 'the process DIED'}",
        )
        assert survived, "one allocation that failed ended the process"
    finally:
        memory_faults.clear()
        server.close()


@pytest.mark.rounds
def test_026_allocation_fails_at_start(memory_faults):
    """Core that cannot recover for want of memory is started again, and all mail is there."""
    server = Server(env=memory_faults.env, config="queue { hold = yes }")
    try:
        server.populate()
        server.start()
        for number in range(5):
            assert hand_in(server, number) in (250, 550)
        with server.smtp() as c:
            c.hello()
            for number in range(5):
                c.deliver("a@there.example", ALICE, message(f"n{number}"))
        waiting = len(listed(server))
        assert waiting >= 5
        for skip in steps(3000, min(200, rounds(6))):
            server.kill()
            memory_faults.only("core")
            memory_faults.set(MEMORY, skip=skip, times=1, error=errno.ENOMEM)
            server.start(slow(20), wait=False)
            if server.process.poll() is None:
                with contextlib.suppress(AssertionError):
                    server.wait_ready(slow(10))
            memory_faults.clear()
            if server.process.poll() is not None:  # a clean exit that says why
                assert "memory" in server.log()[server.log_start :]
                server.start(slow(20))
            assert len(poll(lambda: listed(server), 20, "the queue")) == waiting
    finally:
        memory_faults.clear()
        server.close()


def test_027_64_descriptors(tmp_path):
    """The accept loop does not spin, running sessions end well, service returns when clients leave."""
    server = Server(
        preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        config="limits { connections-per-client = 0 }",
    )
    flood = []
    try:
        server.populate()
        server.start()
        with server.smtp() as c:
            c.hello()
            c.envelope("a@there.example", "alice@example.test")
            for i in range(100):
                flood.append(socket.create_connection((server.host, server.port), timeout=10))
            inbound = [pid for pid, role in server.roles().items() if role == "inbound"]
            before = sum(map(processes.cpu_seconds, inbound))
            for _ in range(30):
                c.cmd("NOOP", 250)
            assert c.timeout and sum(map(processes.cpu_seconds, inbound)) - before < 2
            c.content(message("from the one inside"))
            c.quit()
        for one in flood:
            one.close()
        poll(lambda: serves(server), 20, "service again")
        server.mail(count=1)
    finally:
        for one in flood:
            one.close()
        server.close()


def serves(server):
    try:
        with server.smtp(timeout=5) as c:
            c.hello()
            return True
    except (OSError, AssertionError):
        return False


def test_028_no_more_processes(group):
    """What lives goes on; what died comes back when there is room; a reload that cannot be says so."""
    pids = group("pids")
    server = Server(preexec=pids.enter)
    try:
        server.populate()
        server.start()
        pids.set("pids.max", 1)
        victim = server.role_pid("resolver")
        os.kill(victim, signal.SIGKILL)
        server.wait_log("process_not_started|cannot.*(fork|start)|Resource temporarily unavailable")
        with server.smtp() as c:
            c.hello()
            c.deliver("a@there.example", ALICE, message("goes on"))
        server.mail(count=1)
        assert server.run("reload").returncode == 1
        with server.smtp() as c:
            c.hello()
        pids.set("pids.max", "max")
        server.role_pid("resolver", not_pid=victim, timeout=40)
        server.command("reload")
    finally:
        pids.set("pids.max", "max")
        server.close()


@pytest.fixture
def own_network():
    """This thread, and what it starts, in a network of its own with ten local ports."""
    libc, new_net = ctypes.CDLL(None, use_errno=True), 0x40000000
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(new_net) != 0:
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield Path("/proc/sys/net/ipv4/ip_local_port_range")
        finally:
            assert libc.setns(before.fileno(), new_net) == 0


def test_029_local_ports_used_up(own_network, remotes):
    """Ten ports, thirty connections wanted: what gets none waits, nothing is asked in a loop, all arrives."""
    go = threading.Event()
    (there,) = remotes(1)
    there.on("dot", until(go), GOOD)
    def config(hold):
        return configuration({"*": there}, outbound={"connections-per-site": 30}, queue={"hold": hold})

    server = Server(config=config(hold=True))
    try:
        server.populate()
        server.start()
        inside = server.smtp()
        inside.hello()
        for number in range(40):
            inside.deliver(ALICE, TO, message(f"n{number}"))
        own_network.write_text("40000 40009")
        server.configure(config(hold=False))
        server.command("reload")
        there.wait(lambda: len(there.open_sessions()) >= 2, "connections")
        outbound = server.role_pid("outbound")
        before = processes.cpu_seconds(outbound)
        for _ in range(30):
            inside.cmd("NOOP", 250)
        assert processes.cpu_seconds(outbound) - before < 1, "a tight loop"
        assert len(there.open_sessions()) <= 10
        go.set()
        there.wait(lambda: len(there.accepted) == 40, "all", slow(60))
        wait_empty(server)
        assert server.mail() == []
    finally:
        go.set()
        own_network.write_text("32768 60999")
        server.close()


DROPPED = "log records were dropped"


def test_030_nobody_reads_the_log(load):
    """A full pipe behind standard error: mail flows, records are dropped and counted."""
    reading, writing = os.pipe()
    server = Server(log_to=writing)
    try:
        server.populate()
        server.start()
        os.close(writing)
        books = load(server, 2500).finish()  # more than the pipes and master hold of core's
        reconcile(server, books)
        assert DROPPED in str(server.json("status")["degraded"])
        os.set_blocking(reading, False)
        said = b""
        while part := read_some(reading):
            said += part
        assert len(said) >= 4096, "the log did not even fill the pipe"
    finally:
        os.close(reading)
        server.close()


def test_030_reader_of_the_log_gone(load):
    """Nobody is behind the pipe any more: no SIGPIPE, mail flows."""
    reading, writing = os.pipe()
    server = Server(log_to=writing)
    try:
        server.populate()
        server.start()
        os.close(writing)
        os.close(reading)
        reconcile(server, load(server, 200).finish())
    finally:
        server.close()


def test_030_disk_of_the_log_full(make_disk, load):
    disk = make_disk("tmpfs", size="64k")
    server = Server(log_to=os.open(disk.path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    try:
        server.populate()
        server.start()
        reconcile(server, load(server, 1000 if not sanitized() else 400).finish())
        assert (disk.path / "log").stat().st_size <= 65536
        with pytest.raises(OSError), open(disk.path / "more", "wb", buffering=0) as file:
            file.write(b"x" * 4096)
    finally:
        os.close(server.log_to)
        server.close()


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""
