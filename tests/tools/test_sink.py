"""bench/sink takes what a client may send, and counts it."""

import struct
import subprocess

import pytest

from harness import poll
from harness.server import free_address
from harness.smtp import Smtp, message

pytestmark = pytest.mark.no_server


@pytest.fixture
def sink(sink_tool, tmp_path):
    host = free_address()
    process = subprocess.Popen(
        [sink_tool, "--listen", f"{host}:2525", "--counts", tmp_path / "counts", "--ledger", tmp_path / "got"]
    )
    try:
        poll(lambda: (tmp_path / "counts").exists() and serves(host), 10, "the sink")
        yield host, tmp_path
    finally:
        process.terminate()
        process.wait(10)


def serves(host):
    try:
        with Smtp(host, 2525):
            return True
    except OSError:
        return False


def test_data_and_chunks_count_alike(sink):
    host, files = sink
    octets = message("x").encode()
    before = struct.unpack("=6Q", (files / "counts").read_bytes())
    with Smtp(host, 2525) as c:
        assert {"PIPELINING", "CHUNKING"} <= set(c.hello())
        c.envelope("a@here.test", "b@there.test", "c@there.test")
        c.content(octets)
        c.cmd("RSET", 250)
        c.envelope("a@here.test", "b@there.test")
        c.send(f"BDAT {len(octets)} LAST\r\n".encode() + octets)
        c.expect(250)
        c.envelope("a@here.test", "b@there.test")
        c.send(b"BDAT 9\r\n" + octets[:9] + b"BDAT 0\r\n" + f"BDAT {len(octets) - 9}\r\n".encode() + octets[9:])
        c.send(b"BDAT 0 LAST\r\n")
        for _ in range(4):
            c.expect(250)
        c.quit()
    after = struct.unpack("=6Q", (files / "counts").read_bytes())
    assert [b - a for a, b in zip(before, after)][:5] == [1, 3, 4, 3, 3 * len(octets)]
    got = [line.split() for line in (files / "got").read_text().splitlines() if line.startswith("GOT")]
    assert [line[2] for line in got] == ["b@there.test", "c@there.test", "b@there.test", "b@there.test"]
    assert len({line[3] for line in got}) == 1
