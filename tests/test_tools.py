"""The tests' own tools: the checker finds what it is there to find, the load generator keeps its books."""

import hashlib
import subprocess
from collections import Counter

import pytest

from harness import ledger, poll
from harness.server import free_address
from harness.smtp import Smtp

pytestmark = pytest.mark.no_server


def books(accepted=3, refused=1, unanswered=1):
    book = ledger.Ledger()
    for i in range(accepted + refused + unanswered):
        book.sent.add(f"m{i}")
        if i < accepted + refused:
            book.answers[f"m{i}"] = 250 if i < accepted else 451
    return book


def test_checker_takes_what_is_right():
    assert ledger.check(books(), Counter(["m0", "m1", "m2"]), 0) == 0
    assert ledger.check(books(), Counter(["m0", "m1", "m2", "m4"]), 1) == 1


@pytest.mark.parametrize(
    "found, allowed, word",
    [
        (["m0", "m1"], 0, "R1"),
        (["m0", "m1", "m2", "m2"], 0, "R3"),
        (["m0", "m1", "m2", "m9"], 5, "R2"),
        (["m0", "m1", "m2", "m4"], 0, "R2"),
        ([], 9, "R1"),
    ],
)
def test_checker_finds_what_is_wrong(found, allowed, word):
    with pytest.raises(AssertionError, match=word):
        ledger.check(books(), Counter(found), allowed)


@pytest.fixture
def sink(sink_tool, tmp_path):
    host = free_address()
    process = subprocess.Popen([sink_tool, "--listen", f"{host}:2525", "--ledger", tmp_path / "sink"])

    def ready():
        try:
            with Smtp(host, 2525, timeout=5):
                return True
        except OSError:
            return False

    poll(ready, 10, "the sink")
    yield f"{host}:2525", tmp_path / "sink"
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("pipelining", ["none", "group", "full"])
@pytest.mark.parametrize("size", [400, 4096, 10240, 100003])
def test_load_keeps_its_books(load_tool, sink, tmp_path, pipelining, size):
    """Each message arrives once for each recipient, with the content that the checker makes of its id."""
    address, got_path = sink
    subprocess.run(
        [
            load_tool,
            "--to",
            address,
            "--messages",
            "60",
            "--connections",
            "7",
            "--per-connection",
            "5",
            "--size",
            str(size),
            "--pipeline",
            pipelining,
            "--rcpt",
            "a@x.test",
            "--rcpt",
            "b@x.test",
            "--recipients",
            "2",
            "--ledger",
            tmp_path / "load",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    book = ledger.read(tmp_path / "load")
    assert len(book.accepted) == 60
    got = Counter()
    for line in got_path.read_text().splitlines():
        word, id, recipient, rest = line.split()
        if word == "GOT":
            got[id, recipient] += 1
            message = ledger.content(id, size)
            assert len(message) == size
            assert rest == hashlib.sha256(message.partition(b"\r\n\r\n")[2]).hexdigest()
    assert got == Counter((id, recipient) for id in book.accepted for recipient in ("a@x.test", "b@x.test"))
