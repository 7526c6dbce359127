"""A mail server from build/peers that believes to be installed: a root directory of its own, in namespaces of its own.

The peer's /usr lies over the machine's, /etc holds what we write, /var is empty. Everything that was started in the
room dies with it, and nothing outside changes. Network addresses are the machine's. It takes root, or user namespaces
with a range of sub-ids (newuidmap, /etc/subuid); missing() says what is not there and the caller skips.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import poll
from harness.server import free_address
from harness.smtp import Smtp

from .postfix import PEERS, namespace

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
mail:x:8:8:mail:/var/mail:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
GROUP = "root:x:0:\ndaemon:x:1:\nmail:x:8:\nnogroup:x:65534:\nnobody:x:65533:\n"
ENTER = """\
set -e
cd "$1"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$2/usr:/usr" root/usr
mount --rbind /dev root/dev
mount -t proc proc root/proc
shift 2
exec chroot root "$@"
"""


def missing(name):
    """Why the peer cannot be run here, or None."""
    if not (PEERS / name / "usr").exists():
        return f"no {name} in build/peers (tools/fetch-peers {name})"
    prefix = unshare()
    probe = prefix and subprocess.run([*prefix, "true"], capture_output=True, timeout=20)
    if not prefix or probe.returncode:
        return f"{name} wants root, or newuidmap with a range of sub-ids"
    return None


def unshare():
    """The prefix that enters new namespaces as root, or None."""
    apart = ["--mount", "--pid", "--fork", "--kill-child=KILL"]
    if os.geteuid() == 0:
        return ["unshare", *apart, "--"]
    prefix = namespace()
    return prefix and [*prefix[:-1], *apart, "--"]


class Room:
    """A peer in its room. Subclasses say name, users ("name:uid") and command(), and write what they need in furnish()."""

    name, users = "", ()
    directories = ("var/mail", "var/log", "var/spool", "var/lib", "var/tmp")

    def __init__(self, host=None, port=2525):
        why = missing(self.name)
        if why:
            raise RuntimeError(why)
        self.host, self.port, self.process = host or free_address(), port, None
        self.base = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.root = self.base / "root"
        for name in ("usr", "dev", "proc", "etc", "run", "tmp", "root", *self.directories):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "var/run").symlink_to("/run")
        for path in (self.base, self.root):
            path.chmod(0o755)
        (self.root / "tmp").chmod(0o1777)
        for path in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d"):
            source = Path("/etc") / path
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.root / "etc" / path)
        lines = [user.split(":") for user in self.users]
        self.write("etc/passwd", PASSWD + "".join(f"{n}:x:{i}:{i}:{n}:/:/bin/false\n" for n, i in lines))
        self.write("etc/group", GROUP + "".join(f"{n}:x:{i}:\n" for n, i in lines))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/mailname", f"{self.name}.test\n")
        self.furnish()

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def furnish(self):
        """Writes the configuration."""

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self, timeout=20):
        with open(self.base / "output", "ab") as output:
            self.process = subprocess.Popen(
                [*unshare(), "/bin/sh", "-c", ENTER, "room", self.base, PEERS / self.name, *self.command()],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LANG": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            poll(self.serves, timeout, f"{self.name} to serve {self.host}:{self.port}", 0.05)
        except AssertionError:
            said = self.text()
            self.stop()
            raise RuntimeError(f"{self.name} does not start: {said[-4000:]}") from None
        return self

    def serves(self):
        if self.process.poll() is not None:
            raise AssertionError
        try:
            with Smtp(self.host, self.port, timeout=5):
                return True
        except (OSError, AssertionError):
            return False

    def text(self):
        """All that it logged."""
        logs = [self.base / "output", *(path for path in (self.root / "var/log").rglob("*") if path.is_file())]
        return "".join(path.read_text(errors="replace") for path in logs if path.exists())

    def stop(self):
        if self.process:
            self.process.kill()  # unshare; --kill-child takes along whoever is in the room
            self.process.wait()
            self.process = None
        if os.geteuid() == 0:
            shutil.rmtree(self.base, ignore_errors=True)
        else:
            subprocess.run([*namespace(), "rm", "-rf", self.base], check=False)
