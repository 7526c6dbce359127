"""The servers that bench/ compares, and the tools it drives them with."""

import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from peers import postfix  # noqa: E402


def tool(name):
    """A program of bench/: where VEREDUS_BENCH_TOOLS says, else of build/, else the newest of any build."""
    if "VEREDUS_BENCH_TOOLS" in os.environ:
        return str(Path(os.environ["VEREDUS_BENCH_TOOLS"]) / name)
    found = sorted(ROOT.glob(f"build/*/bench/{name}"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in [ROOT / "build" / "bench" / name, *found]:
        if path.exists():
            return str(path)
    sys.exit(f"bench: {name} is not built (ninja -C build bench-tools)")


def veredus_binary():
    return Path(os.environ.get("VEREDUS_BIN", ROOT / "build" / "veredus"))


def wait_for(host, port, process, timeout=30):
    """Returns when there is a banner; exits with what the server said if it ended instead."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection((host, port), timeout=5) as probe:
                if probe.recv(3) == b"220":
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args[0]} does not serve {host}:{port}")
        time.sleep(0.05)


class Program:
    """A server that is one process tree: bench/bare, bench/sink, veredus."""

    def __init__(self, host, port, directory):
        self.host, self.port, self.process = host, port, None
        self.base = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=directory))

    def __enter__(self):
        with open(self.base / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.host, self.port, self.process)
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def pid(self):
        return self.process.pid

    def pids(self):
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                pass
        return found


class Bare(Program):
    name = "bare"
    durability = "append, one fdatasync a batch"

    def command(self):
        return [tool("bare"), "--listen", f"{self.host}:{self.port}", "--file", str(self.base / "log.data")]


class Wall(Program):
    """The thinnest thread through the real structure: fronts, frames, the spool; nothing parsed."""

    name = "wall"
    durability = "spool, one fdatasync a group (sync = group)"
    options = []

    def command(self):
        return [tool("wall"), "--listen", f"{self.host}:{self.port}", "--dir", str(self.base), *self.options]


class NoWall(Wall):
    """The same in one process: what the wall costs is the difference."""

    name = "no-wall"
    options = ["--no-wall"]


class Sink(Program):
    """The next hop: takes everything, and counts. With the wildcard address it is every host of 127.0.0.0/8."""

    name = "sink"
    durability = "none"

    def command(self):
        return [tool("sink"), "--listen", f"{self.host}:{self.port}", "--counts", str(self.base / "counts")]

    def counts(self):
        """struct acceptor_counts of bench/acceptor.h."""
        names = ("connections", "transactions", "recipients", "messages", "octets", "last_us")
        return dict(zip(names, struct.unpack("=6Q", (self.base / "counts").read_bytes())))

    def wait_for(self, name, value, timeout=600):
        """Until a count has come so far; the counts then."""
        deadline = time.monotonic() + timeout
        while (now := self.counts())[name] < value:
            if time.monotonic() > deadline:
                raise RuntimeError(f"sink: {now[name]} {name} of {value} within {timeout} s")
            time.sleep(0.01)
        return now


class Veredus(Program):
    name = "veredus"
    durability = "spool, one fdatasync a group (sync = group)"
    CONFIG = """\
hostname = "mx.example.test"
data     = "{base}/data"
listen "mx" {{ protocol = smtp  address = {{"{host}:{port}"}} }}
relay  {{ allow = {{"127.0.0.0/8"}} }}
queue  {{ hold = {hold} }}
"""

    def __init__(self, host, port, directory, hold=True, extra=""):
        super().__init__(host, port, directory)
        self.config = self.base / "veredus.conf"
        (self.base / "data").mkdir(mode=0o700)
        self.config.write_text(
            self.CONFIG.format(base=self.base, host=host, port=port, hold="yes" if hold else "no") + extra
        )
        for command in (
            ["domain", "add", "example.test"],
            ["account", "add", "alice@example.test", "--password", "correct horse"],
            ["account", "add", "bob@example.test", "--password", "battery staple"],
        ):
            subprocess.run(
                [veredus_binary(), "-c", self.config, *command], check=True, stdout=subprocess.DEVNULL
            )

    def command(self):
        return [str(veredus_binary()), "serve", "-c", str(self.config)]


class Postfix(postfix.Postfix):
    """Keeps mail in its hold queue, so that its queue manager does no work; logs to nobody.

    Its cleanup(8) writes a file a message, fsyncs it and renames it; the directory is not synced. Limits
    that protect it from strangers are off, name look-ups too, and there may be a process for each client.
    """

    name = "postfix"
    durability = "a file and an fsync a message"

    def __init__(self, host, port, directory, hold=True, **settings):
        if hold:
            settings["smtpd_data_restrictions"] = "check_client_access static:HOLD"
        super().__init__(
            host,
            port,
            directory=directory,
            log=False,
            processes="1200",
            default_process_limit="1200",
            mydestination="example.test",
            message_size_limit="104857600",
            mailbox_size_limit="0",
            smtpd_relay_restrictions="permit_mynetworks,reject_unauth_destination",
            smtpd_client_connection_count_limit="0",
            in_flow_delay="0",
            smtpd_timeout="300s",
            max_use="100000",
            line_length_limit="2048",
            **settings,
        )
        self.version = "3.7"

    def __enter__(self):
        self.start()
        wait_for(self.host, self.port, self.process)
        return self

    def pid(self):
        return self.process.pid

    def empty(self):
        """Drops what is held, so that directories do not grow from run to run."""
        for path in (self.base / "queue" / "hold").rglob("*"):
            if path.is_file():
                path.unlink()


def available(names):
    """The classes asked for, without those that cannot run here (and a word about each)."""
    chosen = []
    for kind in (Bare, NoWall, Wall, Postfix, Veredus):
        if kind.name not in names:
            continue
        why = None
        if kind is Postfix:
            why = postfix.missing()
        elif kind is Veredus and not veredus_binary().exists():
            why = f"no {veredus_binary()}"
        if why:
            print(f"without {kind.name}: {why}", file=sys.stderr)
        else:
            chosen.append(kind)
    return chosen


def run_load(
    server, messages, *, conc, per_conn=0, size=10240, pipeline="group", label="", timeout=300, to=None
):
    """One run of the load generator; its report as a dictionary."""
    done = subprocess.run(
        [
            tool("load"),
            *(["--rcpt", to] if to else []),
            "--json",
            "--to",
            f"{server.host}:{server.port}",
            "--connections",
            str(conc),
            "--per-connection",
            str(per_conn),
            "--messages",
            str(messages),
            "--size",
            str(size),
            "--pipeline",
            pipeline,
            "--sources",
            "50",
            "--cpu",
            str(server.pid()),
            "--label",
            label,
            "--peer",
            server.name,
            "--durability",
            server.durability,
            "--timeout",
            str(timeout),
        ],
        capture_output=True,
        text=True,
        timeout=timeout + 60,
    )
    if not done.stdout:
        raise RuntimeError(f"load: {done.stderr}")
    report = json.loads(done.stdout)
    if done.returncode:
        print(
            f"bench: {server.name} took {report['accepted']} of {messages}, refused {report['refused']} "
            f"({report['last_refusal']}), lost {report['lost']}",
            file=sys.stderr,
        )
    return report


def median_of(reports):
    """The report whose rate is the median, with the spread of the rates."""
    ordered = sorted(reports, key=lambda r: r["rate"])
    middle = dict(ordered[len(ordered) // 2])
    middle["rates"] = [r["rate"] for r in reports]
    middle["cpu_us"] = statistics.median(r["cpu_us"] or 0 for r in reports)
    return middle


def pss_kib(pids):
    """Proportional set size of all of them: shared memory is counted once."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def machine():
    """One line about where this was measured."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f}"
