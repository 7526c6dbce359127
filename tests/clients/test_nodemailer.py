"""nodemailer delivers, run from build/peers (tools/fetch-peers node-nodemailer)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_clients import check

from harness.server import ROOT

PROGRAM = Path(__file__).with_name("nodemailer_send.js")
MODULES = ROOT / "build" / "peers" / "node-nodemailer" / "usr" / "share" / "nodejs"

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def installed():
    if not shutil.which("node") or not MODULES.exists():
        pytest.skip("no node, or no nodemailer in build/peers")
    return MODULES


def send(server, modules, kind):
    done = subprocess.run(
        ["node", PROGRAM, server.host, str(server.port), kind],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NODE_PATH": str(modules)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["plain", "dsn"])
def test_nodemailer(server, installed, kind):
    assert "queued as" in send(server, installed, kind)
    parsed = check(server)
    assert any(
        part.get_payload(decode=True) == bytes(range(256))
        for part in parsed.walk()
        if not part.is_multipart()
    )


def test_nodemailer_pool(server, installed):
    assert send(server, installed, "pool") == "50"
    assert {mail["subject"] for mail in server.mail(count=50)} == {f"pooled {i}" for i in range(50)}


def test_nodemailer_verify(server, installed):
    assert send(server, installed, "verify") == "verified"


def test_nodemailer_refused(server, installed):
    assert send(server, installed, "refused") == "550"
