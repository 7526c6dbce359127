"""A Postfix of its own on a loopback address, run from build/peers (tools/fetch-peers), never installed.

What it takes: root, because master(8) insists on it and drops to mail_owner in each daemon. User `daemon` and
group `mail`, which every Debian has, serve as mail_owner and setgid_group, so no account is made. Without root a user namespace with a range
of sub-ids (newuidmap, /etc/subuid) gives the same; where neither is there, missing() says so and the caller
skips. Queue, data and configuration lie in one directory, gone with stop().
"""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("VEREDUS_PEERS", ROOT / "build" / "peers"))
HOME = PEERS / "postfix"
OWNER, GROUP = "daemon", "mail"
DAEMONS = HOME / "usr/lib/postfix/sbin"
COMMANDS = HOME / "usr/sbin"
LIBRARIES = HOME / "usr/lib/postfix"

MASTER_CF = """\
{smtp} inet n - n - {smtpd_processes} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

MINE = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


def missing():
    """Why Postfix cannot be run here, or None."""
    if not (DAEMONS / "master").exists():
        return "no Postfix in build/peers (tools/fetch-peers postfix)"
    if os.geteuid() != 0 and not namespace():
        return "Postfix wants root, or newuidmap with a range of sub-ids"
    return None


def namespace():
    """The prefix that makes an ordinary user root of a namespace with daemon's ids in it, or []."""
    prefix = ["unshare", "--user", "--map-root-user", "--map-auto", "--"]
    try:
        probe = subprocess.run(prefix + ["true"], capture_output=True, timeout=10)
    except OSError:
        return []
    return prefix if probe.returncode == 0 else []


def environment():
    return {
        "PATH": f"{COMMANDS}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(LIBRARIES),
        "TZ": "UTC",
        "LANG": "C",
    }


class Postfix:
    """with Postfix("127.1.2.3", 2525, relayhost="[127.1.2.4]:2525") as postfix: ..."""

    def __init__(self, host, port, *, directory=None, log=True, processes="100", **settings):
        why = missing()
        if why:
            raise RuntimeError(why)
        self.host, self.port = host, port
        self.base = Path(tempfile.mkdtemp(prefix="postfix-", dir=directory))
        self.process = None
        self.log = self.base / "log"
        self.prefix = [] if os.geteuid() == 0 else namespace()
        self._lay_out(log, processes, settings)

    def _lay_out(self, log, processes, settings):
        config, queue, data = (self.base / name for name in ("etc", "queue", "data"))
        for directory in (config, queue, data):
            directory.mkdir()
        self.base.chmod(0o755)
        values = {
            "compatibility_level": "3.6",
            "queue_directory": queue,
            "data_directory": data,
            "daemon_directory": DAEMONS,
            "command_directory": COMMANDS,
            "meta_directory": HOME / "usr/share/postfix",
            "shlib_directory": LIBRARIES,
            "mail_owner": OWNER,
            "setgid_group": GROUP,
            "default_privs": "nobody",
            "import_environment": "MAIL_CONFIG MAIL_DEBUG TZ LANG LD_LIBRARY_PATH",
            "myhostname": "postfix.test",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "all",
            "inet_protocols": "ipv4",
            "smtp_bind_address": self.host,
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtpd_peername_lookup": "no",
            "smtp_tls_security_level": "none",
            "default_database_type": "texthash",
        }
        if log:
            values |= {"maillog_file": self.log, "maillog_file_prefixes": self.base}
        values |= settings
        (config / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in values.items()))
        (config / "master.cf").write_text(
            MASTER_CF.format(smtp=f"{self.host}:{self.port}", smtpd_processes=processes)
        )
        owner, group = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(GROUP).gr_gid
        for name in MINE:
            self._own(queue / name, owner, -1, 0o700)
        self._own(queue / "maildrop", owner, group, 0o730)
        self._own(queue / "public", owner, group, 0o710)
        (queue / "pid").mkdir()
        self._own(data, owner, -1, 0o700)

    def _own(self, path, uid, gid, mode):
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, uid, gid)
        else:
            subprocess.run(
                self.prefix + ["chown", f"{uid}" + (f":{gid}" if gid >= 0 else ""), path], check=True
            )

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self, timeout=20):
        # master -d stays in the foreground; the own session lets stop() take all of its daemons along.
        self.process = subprocess.Popen(
            self.prefix + [str(DAEMONS / "master"), "-d", "-c", str(self.base / "etc")],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout
        while True:
            try:
                with socket.create_connection((self.host, self.port), timeout=5) as probe:
                    probe.recv(1)
                    return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = self.process.stderr.read().decode() if self.process.poll() is not None else ""
                    said += self.text()
                    self.stop()
                    raise RuntimeError(f"Postfix does not start: {said}") from None
                time.sleep(0.02)

    def pids(self):
        """master and everything it started."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid:  # session
                    found.append(int(entry))
        return found

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def run(self, command, *arguments, **options):
        """One of Postfix's commands (postqueue, postcat …) on this instance."""
        return subprocess.run(
            self.prefix + [str(COMMANDS / command), "-c", str(self.base / "etc"), *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    def queued(self):
        """Messages in the queue, whatever their state."""
        return sum(
            1
            for name in ("incoming", "active", "deferred", "hold")
            for path in (self.base / "queue" / name).rglob("*")
            if path.is_file()
        )

    def stop(self):
        if self.process:
            for pid in self.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
            self.process.stderr.close()
            self.process = None
        if self.base.exists():
            if self.prefix:
                subprocess.run(self.prefix + ["rm", "-rf", str(self.base)], check=False)
            else:
                shutil.rmtree(self.base, ignore_errors=True)
