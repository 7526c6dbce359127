"""`veredus trace`: the history of a message, kept apart from the mail itself."""

import json
import re

import pytest

from harness import poll
from harness.smtp import message


def trace(server, what, *options):
    return server.json("trace", what, *options)


def events(server, what):
    return [step["event"] for step in trace(server, what)]


def hand_in(server, sender, *to, subject="a"):
    with server.smtp() as c:
        c.hello()
        return c.deliver(sender, list(to), message(subject))


def segments(server):
    return sorted((server.data / "trace").glob("*.trace"))


def test_whole_life(server):
    id = hand_in(server, "carol@there.test", "alice@example.test", "bob@example.test")
    poll(lambda: events(server, id).count("delivered") == 2, 10, "both deliveries")
    steps = trace(server, id)
    first = steps[0]
    assert (first["event"], first["from"], first["count"], first["protocol"]) == (
        "received", "carol@there.test", 2, "ESMTP")  # fmt: skip
    assert first["client"].startswith("127.") and first["size"] > 50
    assert {step["to"] for step in steps if step["event"] == "delivered"} == {"alice@example.test", "bob@example.test"}
    assert [step["time"] for step in steps] == sorted(step["time"] for step in steps)
    members = {"time", "id", "event", "from", "to", "host", "address", "code", "enhanced", "text", "until", "other"}
    assert all(set(step) >= members for step in steps)
    said = server.command("trace", id)
    assert "carol@there.test" in said and said.count("delivered") == 2


def test_of_a_recipient_only_what_concerns_it(server):
    hand_in(server, "carol@there.test", "alice@example.test", "bob@example.test")
    poll(lambda: "delivered" in events(server, "BOB@example.TEST"), 10, "the delivery")
    steps = trace(server, "bob@example.test")
    assert "received" in [step["event"] for step in steps]
    assert {step["to"] for step in steps} <= {None, "bob@example.test"}
    assert "alice@example.test" in json.dumps(trace(server, "carol@there.test"))


def test_what_was_refused(server):
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<x@there.test>", 250)
        c.cmd("RCPT TO:<nobody@example.test>", "550 5.1.1")
    (step,) = trace(server, "nobody@example.test")
    assert (step["event"], step["id"], step["from"], step["enhanced"]) == ("refused", None, "x@there.test", "5.1.1")
    assert "not taken" in server.command("trace", "nobody@example.test")


def test_limit_takes_the_newest(server):
    ids = [hand_in(server, "carol@there.test", "alice@example.test", subject=f"n{n}") for n in range(5)]
    done = server.run("trace", "carol@there.test", "--limit", 2, "--json")
    assert done.returncode == 0 and b"older" in done.stderr
    assert {step["id"] for step in json.loads(done.stdout)} == set(ids[-2:])
    assert server.run("trace", "carol@there.test", "--limit", "0").returncode == 2
    assert server.run("trace", "carol@there.test", "--limit", "many").returncode == 2


def test_since(server):
    id = hand_in(server, "carol@there.test", "alice@example.test")
    assert trace(server, id, "--since", "1h")
    assert server.run("trace", id, "--since", "2999-01-01T00:00:00Z").returncode == 1
    assert server.run("trace", id, "--since", "yesterday").returncode == 1


@pytest.mark.parametrize("what", ["0000000000000", "nobody@nowhere.test", "?"])
def test_unknown(server, what):
    done = server.run("trace", what)
    assert done.returncode == 1 and what.encode() in done.stderr and done.stdout == b""


def test_much_comes_in_pages(server):
    with server.smtp() as c:
        c.hello()
        ids = [c.deliver("carol@there.test", ["alice@example.test"], message(f"n{n}")) for n in range(150)]
    poll(lambda: "delivered" in events(server, ids[-1]), 20, "the last delivery")
    steps = trace(server, "carol@there.test", "--limit", 1000)
    for name in ("received", "queued", "delivered"):
        assert sorted(step["id"] for step in steps if step["event"] == name) == sorted(ids)
    assert server.command("trace", "carol@there.test", "--limit", "1000").count("message ") == 150


def test_torn_and_damaged_history_costs_only_itself(server):
    """A crash in the middle of a write, and an octet that has turned: the server starts, the rest is found."""
    first = hand_in(server, "carol@there.test", "alice@example.test")
    poll(lambda: "delivered" in events(server, first), 10, "the delivery")
    second = hand_in(server, "carol@there.test", "alice@example.test")
    poll(lambda: "delivered" in events(server, second), 10, "the delivery")
    assert server.terminate() == 0
    server.wait_gone()
    (segment,) = segments(server)
    octets = bytearray(segment.read_bytes())
    octets[80] ^= 1
    segment.write_bytes(octets[:-5])
    assert "delivered" in events(server, first)
    server.start()
    third = hand_in(server, "carol@there.test", "alice@example.test")
    poll(lambda: "delivered" in events(server, third), 10, "the delivery")
    assert "received" in events(server, second)
    assert server.json("status")["trace"]["damaged"] == 1


def test_status_counts(server):
    id = hand_in(server, "carol@there.test", "alice@example.test")
    poll(lambda: "delivered" in events(server, id), 10, "the delivery")
    status = server.json("status")
    assert status["trace"]["events"] >= 3 and status["trace"]["lost"] == 0
    assert status["degraded"] == [] and status["failing_sites"] == []
    assert re.search(r"^trace +events \d", server.command("status"), re.M)


def test_history_that_cannot_be_written_stops_no_mail(server):
    directory = server.data / "trace"
    id = hand_in(server, "carol@there.test", "alice@example.test")
    poll(lambda: "delivered" in events(server, id), 10, "the delivery")
    server.terminate()
    server.wait_gone()
    for path in directory.iterdir():
        path.unlink()
    (directory / "0000000000000001.trace").mkdir()
    (directory / "0000000000000002.trace").mkdir()
    server.start()
    hand_in(server, "carol@there.test", "alice@example.test")
    server.mail(count=2)
