"""faults.md, resources: too few descriptors, a log that nobody reads."""

import os
import resource
import socket

from faultkit import reconcile

from harness import poll, processes
from harness.server import Server, sanitized
from harness.smtp import message


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


def test_030_nobody_reads_the_log(load):
    """A full pipe behind standard error: mail flows, records are dropped and counted."""
    reading, writing = os.pipe()
    server = Server(log_to=writing)
    try:
        server.populate()
        server.start()
        os.close(writing)
        books = load(server, 1500 if not sanitized() else 600).finish()
        reconcile(server, books)
        os.set_blocking(reading, False)
        said = b""
        while part := read_some(reading):
            said += part
        assert len(said) >= 4096, "the log did not even fill the pipe"
    finally:
        os.close(reading)
        server.close()


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""
