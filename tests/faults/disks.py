"""File systems of the tests' own that get full, turn read-only or lose their power (faults.md M5, M9)."""

import fcntl
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2  # neither journal nor cache reach the disk


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


class Disk:
    """Mounted under a short name: the control socket's path has a limit."""

    def __init__(self, kind, **options):
        if os.geteuid() != 0:
            pytest.skip("only root can mount")
        self.path = Path(tempfile.mkdtemp(prefix="veredus-disk-"))
        self.image = None
        try:
            getattr(self, f"make_{kind}")(**options)
        except OSError as error:
            self.remove()
            pytest.skip(f"no {kind} to mount: {error}")
        self.path.chmod(0o755)

    def make_tmpfs(self, size="160m", more=""):
        run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755{more}", "none", self.path)

    def make_ext4(self, size=256 << 20, more=""):
        self.image, self.options = Path(f"{self.path}.image"), f"loop{more}"
        with open(self.image, "wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", self.image)
        self.mount()

    def mount(self):
        run("mount", "-t", "ext4", "-o", self.options, self.image, self.path)

    def unmount(self):
        run("umount", self.path)

    def cut_power(self):
        """From now on every write fails, and what had not reached the disk never will."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def device(self):
        """loop3"""
        for line in Path("/proc/self/mounts").read_text().splitlines():
            device, where, *_ = line.split()
            if where == str(self.path):
                return device.removeprefix("/dev/")
        raise AssertionError(f"{self.path} is not mounted")

    def turn_read_only(self):
        """As after an error that the kernel finds in the file system's structures (mounted with errors=remount-ro)."""
        trigger = Path(f"/sys/fs/ext4/{self.device()}/trigger_fs_error")
        if not trigger.exists():
            pytest.skip(f"no {trigger}")
        trigger.write_text("a test")

    def remove(self):
        if self.path.is_mount():
            run("umount", "-l", self.path)
        self.path.rmdir()
        if self.image:
            self.image.unlink(missing_ok=True)


@pytest.fixture
def make_disk():
    """make_disk("tmpfs", size="160m") or make_disk("ext4")."""
    made = []

    def make(kind, **options):
        made.append(Disk(kind, **options))
        return made[-1]

    yield make
    for one in made:
        one.remove()
