"""`veredus queue` and `veredus trace`: what waits, why, and what an operator can do about it."""

import os
import re
import subprocess

import pytest

from harness import poll
from harness.relay import hand_in, listed, recipients, wait_deferred, wait_empty, wait_recipient
from harness.remote import STALL
from harness.server import binary
from harness.smtp import message

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")


@pytest.fixture
def stuck(relay, there):
    """A server whose next hop says 450 to everybody at there.test; the next attempt is far away."""
    there.on("RCPT", "450 4.2.0 mailbox is busy", match="there.test")
    return relay(queue={"retry": ["1h"], "lifetime": "5d"})


def test_list_says_why(stuck, there):
    id = hand_in(stuck, "alice@example.test", ["b@there.test", "c@there.test"], message(body="x" * 60 + "\r\n"))
    wait_deferred(stuck, "b@there.test")
    wait_deferred(stuck, "c@there.test")
    (entry,) = listed(stuck)
    assert set(entry) >= {"id", "from", "size", "arrived", "state", "recipients"}
    assert (entry["id"], entry["from"], entry["state"]) == (id, "alice@example.test", "deferred")
    assert entry["size"] > 100 and TIME.match(entry["arrived"])
    one = {r["address"]: r for r in entry["recipients"]}["b@there.test"]
    assert set(one) >= {"address", "state", "route", "attempts", "next", "last", "why"}
    assert one["attempts"] == 1 and TIME.match(one["next"]) and one["next"] > entry["arrived"]
    last = one["last"]
    assert (last["code"], last["enhanced"]) == (450, "4.2.0") and "mailbox is busy" in last["text"]
    assert there.host in last["host"] and TIME.match(last["time"])
    assert one["route"] and there.host in one["site"] and one["why"]
    assert entry["recipient_count"] == 2


def test_show_in_plain_words(stuck):
    id = hand_in(stuck, "alice@example.test", "b@there.test", message())
    wait_deferred(stuck, "b@there.test")
    said = stuck.command("queue", "show", id)
    for word in (id, "alice@example.test", "b@there.test", "mailbox is busy"):
        assert word in said, said
    assert stuck.json("queue", "show", id)["id"] == id
    assert stuck.run("queue", "show", "0000000000000").returncode == 1


def test_retry_one_and_all(stuck, there):
    first = hand_in(stuck, "a@here.test", "b@there.test", message("first"))
    hand_in(stuck, "a@here.test", "c@there.test", message("second"))
    wait_deferred(stuck, "b@there.test")
    wait_deferred(stuck, "c@there.test")
    there.forget()
    stuck.command("queue", "retry", first)
    assert there.wait_messages(1)[0].fields("subject") == ["first"]
    assert set(recipients(stuck)) == {"c@there.test"} or len(recipients(stuck)) <= 2
    stuck.command("queue", "retry", "--to", "c@there.test")
    there.wait_messages(2)
    wait_empty(stuck)


def test_retry_by_site(stuck, there):
    hand_in(stuck, "a@here.test", "b@there.test", message())
    wait_deferred(stuck, "b@there.test")
    there.forget()
    stuck.command("queue", "retry", "--site", recipients(stuck)["b@there.test"]["site"])
    there.wait_messages(1)


@pytest.mark.parametrize("filters, count", [
    (["--to", "b@there.test"], 1),
    (["--to", "there.test"], 2),
    (["--from", "one@here.test"], 1),
    (["--from", "here.test"], 2),
    (["--status", "deferred"], 2),
    (["--status", "held"], 0),
    (["--older", "1h"], 0),
    (["--older", "0s"], 2),
    (["--to", "b@there.test", "--from", "two@here.test"], 0),
])  # fmt: skip
def test_filters(stuck, filters, count):
    hand_in(stuck, "one@here.test", "b@there.test", message())
    hand_in(stuck, "two@here.test", "c@there.test", message())
    wait_deferred(stuck, "b@there.test")
    wait_deferred(stuck, "c@there.test")
    assert len(listed(stuck, *filters)) == count


def test_hold_and_release(stuck, there):
    id = hand_in(stuck, "a@here.test", "b@there.test", message())
    wait_deferred(stuck, "b@there.test")
    stuck.command("queue", "hold", id)
    wait_recipient(stuck, "b@there.test", lambda one: one["state"] == "held", "held")
    there.forget()
    assert not there.accepted
    stuck.command("queue", "release", id)
    there.wait_messages(1)
    wait_empty(stuck)


def test_released_too_late(relay, there):
    """What was held beyond its lifetime goes back, even if its site is down for good."""
    server = relay({"down.test": "smtp:[127.0.0.1]:2599"}, queue={"lifetime": "6s", "retry": ["1h"]})
    id = hand_in(server, "alice@example.test", "b@down.test", message())
    wait_recipient(server, "b@down.test", lambda one: one["last"], "known to be down")
    server.command("queue", "hold", id)
    hand_in(server, "alice@example.test", "c@down.test", message())
    server.mail("alice@example.test", 1)  # of the other, whose time is over
    server.command("queue", "release", id)
    wait_empty(server)
    server.mail("alice@example.test", 2)


def test_hold_survives_a_kill(stuck, there):
    id = hand_in(stuck, "a@here.test", "b@there.test", message())
    wait_deferred(stuck, "b@there.test")
    stuck.command("queue", "hold", id)
    stuck.kill()
    stuck.start()
    wait_recipient(stuck, "b@there.test", lambda one: one["state"] == "held", "held")


def test_hold_to_keeps_what_comes_later(relay, there):
    server = relay()
    server.command("queue", "hold", "--to", "there.test")
    hand_in(server, "a@here.test", ["b@there.test", "c@other.test"], message())
    assert there.wait_messages(1)[0].addresses == ["c@other.test"]
    held = wait_recipient(server, "b@there.test", lambda one: one["state"] == "held", "held")
    assert held["attempts"] == 0 and held["why"]
    server.kill()
    server.start()
    hand_in(server, "a@here.test", "d@there.test", message())
    wait_recipient(server, "d@there.test", lambda one: one["state"] == "held", "held after a restart")
    server.command("queue", "release", "--to", "there.test")
    there.wait_messages(3)
    wait_empty(server)
    hand_in(server, "a@here.test", "e@there.test", message())
    there.wait_messages(4)


def test_hold_of_local_mail(relay):
    server = relay()
    server.command("queue", "hold", "--to", "alice@example.test")
    hand_in(server, "a@here.test", "alice@example.test", message("kept"))
    wait_recipient(server, "alice@example.test", lambda one: one["state"] == "held", "held")
    server.command("queue", "release", "--to", "alice@example.test")
    server.mail(count=1)


def test_remove(stuck):
    """By name, for good; nobody is told unless it is asked for."""
    id = hand_in(stuck, "alice@example.test", "b@there.test", message())
    hand_in(stuck, "alice@example.test", "c@there.test", message())
    wait_deferred(stuck, "b@there.test")
    stuck.command("queue", "remove", id)
    assert set(recipients(stuck)) == {"c@there.test"}
    stuck.kill()
    stuck.start()
    assert set(recipients(stuck)) == {"c@there.test"}  # R5
    assert stuck.mail() == []
    assert stuck.run("queue", "remove", id).returncode == 1


def test_remove_while_something_of_it_is_under_way(relay, remotes):
    """The transaction that runs goes to its end, and nothing else of the message begins."""
    slow, busy = remotes(2)
    slow.on("dot", STALL)
    busy.on("RCPT", "450 4.2.0 later", times=1)
    routes = {"slow.test": slow, "busy.test": busy}
    server = relay(routes, queue={"retry": ["3s"]}, outbound={"final-timeout": "5s"})
    id = hand_in(server, "a@here.test", ["b@slow.test", "b@busy.test"], message())
    wait_recipient(server, "b@busy.test", lambda one: one["attempts"] == 1, "deferred once")
    slow.wait(lambda: slow.messages, "all of the message at the slow one")
    server.command("queue", "remove", id)
    wait_empty(server)
    assert not busy.accepted and len(busy.sessions) == 1


def test_nothing_is_removed_without_a_choice(stuck):
    hand_in(stuck, "a@here.test", "b@there.test", message())
    for command in ("remove", "release"):
        assert stuck.run("queue", command).returncode == 2
    stuck.command("queue", "hold")  # lists the rules
    assert len(listed(stuck)) == 1


def test_stats(stuck):
    for number in range(3):
        hand_in(stuck, "a@here.test", f"b{number}@there.test", message())
    wait_deferred(stuck, "b2@there.test")
    stats = stuck.json("queue", "stats")
    assert (stats["messages"], stats["deferred"]) == (3, 3)
    assert "3" in stuck.command("queue", "stats")


def test_mailq(stuck, tmp_path):
    id = hand_in(stuck, "alice@example.test", "b@there.test", message())
    wait_deferred(stuck, "b@there.test")
    name = tmp_path / "mailq"
    name.symlink_to(binary())
    done = subprocess.run(
        [name], env={**os.environ, "VEREDUS_CONFIG": str(stuck.config_path)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for word in (id, "alice@example.test", "b@there.test", "mailbox is busy"):
        assert word in done.stdout


# trace


def events(server, what):
    return [step["event"] for step in server.json("trace", what)]


def test_trace_of_a_delivery(relay, there):
    there.on("RCPT", "450 4.2.0 later", times=1)
    server = relay()
    id = hand_in(server, "alice@example.test", ["b@there.test", "bob@example.test"], message())
    there.wait_messages(1)
    wait_empty(server)
    poll(lambda: {"relayed", "delivered"} <= set(events(server, id)), 10, "the trace")
    steps = server.json("trace", id)
    names = [step["event"] for step in steps]
    assert names[0] == "received" and names.index("deferred") < names.index("relayed")
    assert all(TIME.match(step["time"]) and step["id"] == id for step in steps)
    assert [step["time"] for step in steps] == sorted(step["time"] for step in steps)
    said = server.command("trace", id)
    assert "b@there.test" in said and "later" in said and there.host in said


def test_trace_of_an_address(relay, there):
    server = relay()
    ids = {hand_in(server, "alice@example.test", f"b{n}@there.test", message(f"n{n}")) for n in range(3)}
    there.wait_messages(3)
    wait_empty(server)
    poll(lambda: {s["id"] for s in server.json("trace", "alice@example.test")} >= ids, 10, "the trace")
    assert {step["id"] for step in server.json("trace", "b1@there.test")} < ids
    assert server.run("trace", "nobody@nowhere.test").returncode == 1


def test_trace_of_what_was_refused(relay):
    server = relay()
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@here.test>", 250)
        c.cmd("RCPT TO:<nobody@example.test>", "550 5.1.1")
    poll(
        lambda: server.run("trace", "nobody@example.test").returncode == 0
        and "refused" in events(server, "nobody@example.test"),
        10,
        "the trace",
    )


def test_trace_outlives_restart_and_message(relay, there):
    server = relay()
    id = hand_in(server, "alice@example.test", "b@there.test", message())
    there.wait_messages(1)
    wait_empty(server)
    poll(lambda: "relayed" in events(server, id), 10, "the trace")
    assert server.terminate() == 0
    server.wait_gone()
    assert "relayed" in events(server, id)  # without a server
    server.start()
    assert "relayed" in events(server, id)
