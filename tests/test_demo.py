"""`veredus demo --once`: the first thing that anybody runs."""

import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import processes
from harness.server import binary, sanitized


def demo(**more):
    """Runs it in a session of its own; (exit status, output), and nothing may be left."""
    process = subprocess.Popen(
        [binary(), "demo", "--once"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **more,
    )
    try:
        output, _ = process.communicate(timeout=60 if sanitized() else 20)
    finally:
        left = processes.session_members(process.pid)
        for pid in left:
            os.kill(pid, 9)
    assert not left, "processes were left behind"
    return process.returncode, output.decode()


def test_demo():
    with tempfile.TemporaryDirectory() as directory:
        status, said = demo(env=os.environ | {"TMPDIR": directory})
        assert status == 0, said
        assert not list(Path(directory).iterdir()), "files were left behind"
    for wanted in (
        r"EHLO ",
        r"MAIL FROM:<alice@example\.test>",
        r"354 ",
        r"250 2\.0\.0 .*queued as [0-9a-z]{13}",
        "Grüße von veredus 🐎",
        r"stages\.csv",
        "Lieber Bob",
        r"mx: 451 4\.7\.1 Greylisted",
        r"mx: 250 2\.0\.0 Taken",
        r"carol@elsewhere\.test not yet: .* said 451",
        r"carol@elsewhere\.test sent on: .* said 250",
    ):
        assert re.search(wanted, said), f"no {wanted}: {said}"


def test_demo_finds_another_port():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 2525))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        status, said = demo()
        assert status == 0, said
        assert not re.search(r"SMTP to 127\.0\.0\.1:2525\b", said)


def test_demo_interrupted_leaves_nothing():
    """Ctrl-C at any moment ends the server and removes its files."""
    for after in (0.05, 0.3, 0.8):
        with tempfile.TemporaryDirectory() as directory:
            process = subprocess.Popen(
                [binary(), "demo"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"TMPDIR": directory},
            )
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                pass
            os.kill(process.pid, signal.SIGINT)
            process.wait(60)
            assert not processes.session_members(process.pid), "processes were left behind"
            assert not list(Path(directory).iterdir()), "files were left behind"


def test_demos_at_the_same_time():
    """Each looks for its ports while the others do."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = [run.result() for run in [pool.submit(demo) for _ in range(3)]]
    assert [status for status, _ in done] == [0, 0, 0], done
