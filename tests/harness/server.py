"""The server under test, on an address of its own, with a data directory of its own."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import poll, processes
from .smtp import TIMEOUT, Smtp

ROOT = Path(__file__).resolve().parents[2]
REPORTS = re.compile(
    r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:|ThreadSanitizer|"
    r"assertion|check failed",
    re.I,
)
GRACE = 10  # SURFACE: SIGTERM ends everything within 10 s


def binary():
    """VEREDUS_BIN, else the sanitizer build, else the plain one."""
    if "VEREDUS_BIN" in os.environ:
        return Path(os.environ["VEREDUS_BIN"]).resolve()
    sanitized = ROOT / "build" / "asan" / "veredus"
    return sanitized if sanitized.exists() else ROOT / "build" / "veredus"


def sanitized():
    """Whether the program under test is several times slower than what ships."""
    if not hasattr(sanitized, "known"):
        sanitized.known = binary().exists() and b"__asan_init" in binary().read_bytes()
    return sanitized.known


_counter = itertools.count(1)


def free_address():
    """127.x.y.z that no other test of this machine uses: by worker, process and a counter."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0")) or 0)
    number = next(_counter)
    return f"127.{16 + worker}.{os.getpid() % 200 + 1 + number // 250}.{number % 250 + 1}"


class Server:
    """Configured at once, running after start(). Ports are always 2525 (mx) and 2587 (submission)."""

    def __init__(
        self,
        *,
        config="",
        top="",
        domains=("example.test",),
        accounts=("alice@example.test", "bob@example.test"),
        submission=False,
        host=None,
        base=None,
        env=None,
        prefix=(),
        preexec=None,
        log_to=None,
    ):
        self.host = host or free_address()
        self.port, self.submission_port = 2525, 2587
        self.base = Path(tempfile.mkdtemp(prefix="veredus-test-", dir=base))
        self.base.chmod(0o755)
        self.data = self.base / "data"
        self.data.mkdir(mode=0o700)
        self.config_path = self.base / "veredus.conf"
        self.log_path = self.base / "log"
        self.submission, self.top, self.extra = submission, top, config
        self.domains, self.accounts = domains, accounts
        self.env = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", **(env or {})}
        # Memory that was freed would otherwise be held back, and look like memory that is used.
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"
        self.prefix, self.preexec, self.log_to = list(prefix), preexec, log_to
        self.process = None
        self.expect_trouble = False  # set by tests that kill processes themselves
        self.configure()

    def configure(self, extra=None):
        """Writes the configuration anew."""
        if extra is not None:
            self.extra = extra
        lines = [
            f'hostname = "mx.example.test"\ndata = "{self.data}"\n{self.top}\n',
            f'listen "mx" {{ protocol = smtp  address = {{"{self.host}:{self.port}"}} }}\n',
        ]
        if self.submission:
            lines.append(
                f'listen "submission" {{ protocol = submission  '
                f'address = {{"{self.host}:{self.submission_port}"}} }}\n'
            )
        self.config_path.write_text("".join(lines) + self.extra + "\n")

    def populate(self):
        for domain in self.domains:
            self.command("domain", "add", domain)
        for account in self.accounts:
            self.command("account", "add", account, "--password", "correct horse battery staple")

    # the command line

    def run(self, *arguments, **options):
        """`veredus …` with this configuration."""
        return subprocess.run(
            [binary(), *map(str, arguments), "-c", self.config_path],
            capture_output=True,
            env=self.env,
            timeout=60,
            **options,
        )

    def command(self, *arguments, **options):
        """The same, which must succeed; its standard output."""
        done = self.run(*arguments, **options)
        assert (
            done.returncode == 0
        ), f"veredus {' '.join(map(str, arguments))}: {done.returncode} {done.stderr!r}"
        return done.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json"))

    def mail(self, address="alice@example.test", count=None, timeout=TIMEOUT):
        """The INBOX, oldest first; with count: when it holds so many, and no more."""
        mails = self.json("mail", "list", address)
        if count:
            mails = poll(
                lambda: len(now := self.json("mail", "list", address)) >= count and now,
                timeout,
                f"{count} messages for {address}",
                0.05,
            )
        assert count is None or len(mails) == count, f"{len(mails)} messages for {address}, not {count}"
        return mails

    def raw(self, address="alice@example.test", uid=None):
        """The octets of a message as stored; the newest one where no uid is given."""
        more = [] if uid is None else ["INBOX", uid]
        done = self.run("mail", "show", address, *more, "--raw")
        assert done.returncode == 0, done.stderr
        return done.stdout

    # life

    def start(self, timeout=20, wait=True):
        self.log_start = len(self.log())
        if self.log_to is None:
            log = open(self.log_path, "ab")
        else:
            log = os.fdopen(os.dup(self.log_to), "wb")
        with log:
            self.process = subprocess.Popen(
                [*self.prefix, binary(), "serve", "-c", self.config_path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                start_new_session=True,
                preexec_fn=self.preexec,
            )
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        def ready():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log()[-2000:]}"
            try:
                with Smtp(self.host, self.port, timeout=5):
                    return True
            except (OSError, AssertionError):
                return False

        def started():
            return self.log_to is not None or re.search(r" master started ", self.log()[self.log_start :])

        poll(
            lambda: ready() and started(),
            timeout,
            f"a banner on {self.host}:{self.port}; the log: {self.log()[-2000:]}",
            0.02,
        )

    def smtp(self, **options):
        return Smtp(self.host, self.port, **options)

    def log(self):
        return self.log_path.read_text(errors="surrogateescape") if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=TIMEOUT, start=0):
        return poll(lambda: re.search(pattern, self.log()[start:]), timeout, f"{pattern!r} in the log")

    def pids(self):
        return processes.session_members(self.process.pid)

    def roles(self):
        """{pid: role} of the living, by their titles; "inbound" is that of class mx."""
        found = {}
        for pid in self.pids():
            match = re.match(r"veredus: (inbound mx|\S+)", processes.title(pid))
            found[pid] = (
                match.group(1).removesuffix(" mx")
                if match
                else ("master" if pid == self.process.pid else "?")
            )
        return found

    def role_pid(self, role, timeout=10, not_pid=None):
        """The process in this role; waits for it, and for another than not_pid."""

        def find():
            return next((pid for pid, name in self.roles().items() if name == role and pid != not_pid), None)

        return poll(find, timeout, f"a process {role} among {self.roles()}")

    def terminate(self, timeout=None):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout or (GRACE + (10 if sanitized() else 2)))

    def kill(self):
        """SIGKILL of everything, as a crash of the machine looks to processes."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.wait_gone()

    def wait_gone(self, timeout=10):
        poll(lambda: not self.pids(), timeout, "the end of all processes")

    def check_log(self, start=0):
        """No report of a sanitizer, and one printable line an event (G1, G7)."""
        text = self.log()[start:]
        report = REPORTS.search(text)
        assert not report, f"report in the log: {text[max(0, report.start() - 200):report.start() + 4000]}"
        odd = [line for line in text.split("\n") if re.search(r"[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]", line)]
        assert not odd, f"control octets in the log: {odd[0]!r}"

    def close(self):
        """Stops it, checks how it ended, and removes its files."""
        try:
            if self.process and self.process.poll() is None:
                begun = time.monotonic()
                status = self.terminate()
                assert status == 0, f"exit {status} after SIGTERM; the log: {self.log()[-2000:]}"
                assert time.monotonic() - begun <= GRACE + (5 if sanitized() else 1)
            if self.process:
                self.wait_gone(5)
            self.check_log()
        except BaseException:
            if self.process:
                self.kill()
            raise
        finally:
            if "VEREDUS_KEEP" not in os.environ:
                shutil.rmtree(self.base, ignore_errors=True)
