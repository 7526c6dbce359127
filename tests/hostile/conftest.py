"""One server for the hostile rows of a file, with the names that hostile.md uses. After each row: nobody died, the
log is clean, another client is served as usual, memory and descriptors are back (G1, G2, G4, G7, G8)."""

import contextlib
import time

import pytest

from harness import poll, processes
from harness.server import Server, sanitized

KEPT_OPEN = 8  # descriptors: core keeps a number of mailboxes open, and a row may touch new ones
MEMORY_KIB = (
    16 * 1024 * (8 if sanitized() else 1)
)  # what a row may leave behind in a process (allocators keep some)


def descriptors(server):
    return {pid: processes.descriptors(pid) for pid in server.roles()}


def snapshot(server):
    """{pid: (role, resident KiB, descriptors)}, once nobody opens or closes anything any more."""
    seen = [descriptors(server)]

    def settled():
        seen.append(descriptors(server))
        return len(seen) > 3 and seen[-1] == seen[-2] == seen[-3]

    poll(settled, 10, "a settled server", 0.05)
    roles = server.roles()
    return {pid: (roles[pid], processes.status_kib(pid, "VmRSS"), n) for pid, n in seen[-1].items()}


def unharmed(server, before, log_start):
    after = {pid: role for pid, role in server.roles().items()}
    gone = [role for pid, (role, _, _) in before.items() if pid not in after]
    assert not gone, f"died: {gone}; the log: {server.log()[log_start:][-3000:]}"
    server.check_log(log_start)
    begun = time.monotonic()
    with server.smtp(source="127.99.0.1") as probe:
        probe.hello()
        probe.quit()
    assert time.monotonic() - begun < 3
    for pid, (role, rss, open_before) in before.items():
        most = open_before + (KEPT_OPEN if role == "core" else 0)
        poll(
            lambda: processes.descriptors(pid) <= most,
            10,
            f"descriptors of {role}: {open_before} before, {processes.descriptors(pid)} now",
        )
        grown = processes.status_kib(pid, "VmRSS") - rss
        assert grown <= MEMORY_KIB, f"{role} grew by {grown} KiB"


def hostile(**options):
    server = Server(
        domains=("here.example",), accounts=("user@here.example", "other@here.example"), **options
    )
    server.populate()
    return server.start()


@pytest.fixture(scope="module")
def target_process():
    server = hostile()
    with server.smtp() as c:  # what the first session costs is nobody's leak
        c.hello()
    yield server
    server.close()


@contextlib.contextmanager
def watched(server):
    before, log_start = snapshot(server), len(server.log())
    yield server
    unharmed(server, before, log_start)


@pytest.fixture
def target(target_process):
    """The shared server with default limits, watched during the row."""
    with watched(target_process):
        yield target_process


@pytest.fixture
def make_target():
    """A watched server of the row's own: make_target(config=…)."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            server = hostile(**options)
            stack.callback(server.close)
            with server.smtp() as c:
                c.hello()
            stack.enter_context(watched(server))
            return server

        yield make


@pytest.fixture
def mailbox(target_process):
    """A fresh account, so that rows do not see each other's mail."""
    mailbox.number = getattr(mailbox, "number", 0) + 1
    address = f"box{mailbox.number}@here.example"
    target_process.command("account", "add", address, "--password", "correct horse battery staple")
    return address
