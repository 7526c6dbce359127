"""Faults by number of faults.md: servers that are killed or whose file calls fail, under load with a ledger."""

import errno
import mmap
import os
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from harness import ledger, poll
from harness.server import ROOT, Server, sanitized

SYNC, WRITE, READ, SHORT, INTERRUPT, ALLOCATE, MEMORY = 1, 2, 4, 8, 16, 32, 64
RULE = 80  # octets of the shim's struct rule
SIZE = 4096
PLAIN = ROOT / "build" / "veredus"


def rounds(usual):
    """How many rounds a test does: few in `make test`, as many as VEREDUS_ROUNDS says in `make torture`."""
    return int(os.environ.get("VEREDUS_ROUNDS", usual))


def compile_shim(directory, *options):
    library = directory / "faultshim.so"
    source = Path(__file__).with_name("faultshim.c")
    done = subprocess.run(
        ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", *options, "-o", library, source, "-ldl"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no C compiler: {done.stderr}")
    return library


def figures(record_property, text):
    """What a test found out, printed at the end of the run."""
    record_property("figures", text)


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The preloaded library that makes calls fail."""
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def plain_build(monkeypatch):
    """The program as it ships: a sanitizer has an allocator of its own, and needs a multiple of the memory."""
    if sanitized() and not PLAIN.exists():
        pytest.skip("no build without sanitizers (make build)")
    if sanitized():
        monkeypatch.setenv("VEREDUS_BIN", str(PLAIN))


@pytest.fixture
def memory_faults(plain_build, tmp_path_factory, tmp_path):
    """As `faults`, and allocations fail too."""
    tool = Faults(compile_shim(tmp_path_factory.mktemp("shim"), "-DFAULT_ALLOC"), tmp_path / "rule")
    yield tool
    tool.close()


class Faults:
    """The rule that the shim obeys, changed while the server runs."""

    def __init__(self, shim, path):
        path.write_bytes(bytes(RULE))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), RULE)
        self.env = {
            "LD_PRELOAD": str(shim),
            "FAULT_RULE": str(path),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }

    def set(self, kinds, *, skip=0, times=-1, error=errno.EIO):
        struct.pack_into("=IiiiII", self.map, 0, 0, skip, times, error, 0, 0)
        struct.pack_into("=I", self.map, 0, kinds)

    def clear(self):
        struct.pack_into("=I", self.map, 0, 0)

    def slow_syncs(self, milliseconds):
        struct.pack_into("=I", self.map, 24, milliseconds)

    def set_clocks(self, *, wall=0, monotonic=0):
        """What the clocks are ahead of the true time, in seconds."""
        struct.pack_into("=qq", self.map, 32, wall, monotonic)

    def only(self, role):
        """The rule is for this role alone; "" for all."""
        struct.pack_into("=32s", self.map, 48, f"veredus: {role}".encode() if role else b"")

    @property
    def calls(self):
        return struct.unpack_from("=I", self.map, 16)[0]

    @property
    def failed(self):
        return struct.unpack_from("=I", self.map, 20)[0]

    def close(self):
        self.map.close()
        self.file.close()


@pytest.fixture
def faults(shim, tmp_path):
    """faults.env goes to the server, faults.set(...) makes calls below spool/ fail."""
    tool = Faults(shim, tmp_path / "rule")
    yield tool
    tool.close()


class Load:
    """The load generator with its ledger, running beside the test."""

    def __init__(
        self,
        tool,
        server,
        path,
        messages,
        *,
        connections=20,
        size=SIZE,
        recipients=("alice@example.test",),
        sender="load@load.test",
    ):
        self.ledger_path, self.connections = path, connections
        self.read_to = self.count = 0
        command = [
            tool,
            "--to",
            f"{server.host}:{server.port}",
            "--connections",
            str(connections),
            "--messages",
            str(messages),
            "--per-connection",
            "50",
            "--size",
            str(size),
            "--ledger",
            path,
            "--sources",
            "4",
            "--timeout",
            "300",
            "--sender",
            sender,
        ]
        for recipient in recipients:
            command += ["--rcpt", recipient]
        self.process = subprocess.Popen(
            [*command, "--recipients", str(len(recipients))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = None
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        self.said = self.process.stdout.read()

    def accepted(self):
        """How many have got their 250 so far; reads what is new of the ledger."""
        if self.ledger_path.exists():
            with open(self.ledger_path, "rb") as file:
                file.seek(self.read_to)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self.read_to += len(whole)
            self.count += whole.count(b" 250\n")
        return self.count

    def wait_accepted(self, count, timeout=120):
        poll(
            lambda: self.accepted() >= count or self.process.poll() is not None,
            timeout,
            f"{count} accepted messages",
        )

    def running(self):
        return self.process.poll() is None

    def finish(self, timeout=310):
        status = self.process.wait(timeout)
        self.reader.join()
        assert status == 0, self.said
        return ledger.read(self.ledger_path)

    def stop(self):
        """Enough: what was written so far counts."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        return ledger.read(self.ledger_path)


@pytest.fixture
def load(load_tool, tmp_path):
    """load(server, messages) starts the load generator."""
    started = []

    def start(server, messages, **options):
        one = Load(load_tool, server, tmp_path / f"ledger{len(started)}", messages, **options)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.running():
            one.stop()


def reconcile(server, books, address="alice@example.test", unanswered=0, samples=3):
    """Waits until all accepted mail is in the mailbox, then checks R1 to R4."""
    counts = [None]

    def all_there():
        counts[0] = ledger.delivered(server.json("mail", "list", address))
        return books.accepted <= counts[0].keys()

    try:
        poll(all_there, 60, "the delivery of all accepted mail", 0.2)
    except AssertionError:
        pass  # the checker says it better
    phantoms = ledger.check(books, counts[0], unanswered)
    mails = [mail for mail in server.json("mail", "list", address) if mail["subject"].startswith("load ")]
    for mail in mails[:: max(1, len(mails) // samples)]:
        id = mail["subject"].removeprefix("load ")
        assert server.raw(address, mail["uid"]).endswith(ledger.content(id, SIZE)), f"R4: {id} was changed"
    return phantoms


@pytest.fixture
def faulty(faults):
    """A server under the shim."""
    server = Server(env=faults.env, config='spool { segment = "4M"  reserve = "16M" }')
    server.populate()
    server.start()
    yield server
    faults.clear()
    server.close()


def slow(seconds):
    return seconds * (3 if sanitized() else 1)
