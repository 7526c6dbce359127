"""nodemailer delivers (make check-clients installs it below build/ first)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_clients import check

from harness.server import ROOT

HERE = Path(__file__).parent / "nodemailer"
HOME = ROOT / "build" / "clients" / "nodemailer"

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def installed():
    if not shutil.which("npm"):
        pytest.skip("no npm")
    if not (HOME / "node_modules" / "nodemailer").exists():
        HOME.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", HOME)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HOME, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"nodemailer cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return HOME / "node_modules"


def send(server, modules, kind):
    done = subprocess.run(["node", HERE / "send.js", server.host, str(server.port), kind], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "NODE_PATH": str(modules)})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["plain", "dsn"])
def test_nodemailer(server, installed, kind):
    assert "queued as" in send(server, installed, kind)
    parsed = check(server)
    assert any(part.get_payload(decode=True) == bytes(range(256)) for part in parsed.walk() if not part.is_multipart())


def test_nodemailer_pool(server, installed):
    assert send(server, installed, "pool") == "50"
    assert {mail["subject"] for mail in server.mail(count=50)} == {f"pooled {i}" for i in range(50)}


def test_nodemailer_verify(server, installed):
    assert send(server, installed, "verify") == "verified"


def test_nodemailer_refused(server, installed):
    assert send(server, installed, "refused") == "550"
