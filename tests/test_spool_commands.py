"""`veredus spool`: is all accepted mail there, what was damaged, and a data directory that was copied."""

import json
import shutil

import pytest

from harness import poll
from harness.relay import hand_in, wait_deferred
from harness.smtp import message

BODY = "a line that can be found again in the middle of a segment\r\n"


@pytest.fixture
def stuck(relay, there):
    """A server whose next hop says 450 to everybody; the next attempt is far away."""
    there.on("RCPT", "450 4.2.0 mailbox is busy", match="there.test")
    return relay(queue={"retry": ["1h"], "lifetime": "5d"}, top="spool { scrub = 0 }")


def fill(server, count=3):
    ids = []
    for i in range(count):
        to = f"r{i}@there.test"
        ids.append(hand_in(server, "alice@example.test", to, message(f"number {i}", body=f"{i} {BODY}" * 20)))
        wait_deferred(server, to)
    return ids


def segments(server):
    return sorted((server.data / "spool").glob("segment-*"))


def damage(server, text):
    """One octet of what is found in a segment is another one."""
    for path in segments(server):
        octets = path.read_bytes()
        at = octets.find(text.encode())
        if at >= 0:
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(b"#")
            return path.name
    raise AssertionError(f"{text} is in no segment")


def verify(server, *, code):
    done = server.run("spool", "verify", "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_intact(stuck):
    fill(stuck)
    said = verify(stuck, code=0)
    assert said["intact"] and said["messages"] == 3 and said["damaged"] == [] and said["octets"] > 3000
    assert "All of it is intact." in stuck.command("spool", "verify")
    stuck.terminate()
    before = {p: p.read_bytes() for p in segments(stuck)}
    assert verify(stuck, code=0)["messages"] == 3
    assert {p: p.read_bytes() for p in segments(stuck)} == before


@pytest.mark.parametrize("running", [True, False])
def test_damage_is_named_and_set_aside(stuck, running):
    ids = fill(stuck)
    stuck.expect_trouble = True
    if not running:
        stuck.terminate()
    name = damage(stuck, f"1 {BODY}".strip())
    (bad,) = verify(stuck, code=1)["damaged"]
    assert (bad["id"], bad["file"], bad["sender"], bad["recipients"]) == (
        ids[1], name, "alice@example.test", ["r1@there.test"])
    text = stuck.run("spool", "verify")
    assert text.returncode == 1 and ids[1] in text.stdout.decode() and "spool repair" in text.stdout.decode()

    said = stuck.json("spool", "repair")
    assert [m["id"] for m in said["damaged"]] == [ids[1]]
    copy = stuck.data / "spool" / "quarantine" / said["damaged"][0]["copy"]
    assert b"number 1" in copy.read_bytes() and b"1 # line" not in copy.read_bytes()
    assert verify(stuck, code=0)["messages"] == 2
    assert said["damaged"][0]["copy"] in {row["name"] for row in stuck.json("spool", "quarantine", "list")}
    if running:
        assert {m["id"] for m in stuck.json("queue", "list")} == {ids[0], ids[2]}
    else:
        stuck.start()
        assert {m["id"] for m in stuck.json("queue", "list")} == {ids[0], ids[2]}


def test_quarantine_list_show_remove(stuck):
    ids = fill(stuck, 2)
    stuck.expect_trouble = True
    damage(stuck, f"0 {BODY}".strip())
    verify(stuck, code=1)
    rows = {row["name"]: row for row in stuck.json("spool", "quarantine", "list")}
    assert rows[ids[0]]["kind"] == "damaged" and ids[1] not in rows
    shown = stuck.json("spool", "quarantine", "show", ids[0])
    assert shown["sender"] == "alice@example.test" and shown["damage"]["from"] < shown["damage"]["to"]
    assert stuck.run("spool", "quarantine", "show", ids[1]).returncode == 1
    assert stuck.run("spool", "quarantine", "show", "../lock").returncode == 1
    assert stuck.run("spool", "quarantine", "remove", ids[1]).returncode == 1
    refused = stuck.run("spool", "quarantine", "release", ids[0])
    assert refused.returncode == 1 and b"still damaged" in refused.stderr
    stuck.command("spool", "quarantine", "remove", ids[0])
    copies = [row["name"] for row in stuck.json("spool", "quarantine", "list")]
    assert ids[0] not in copies and len(copies) >= 1
    stuck.command("spool", "quarantine", "remove", *copies)
    assert stuck.json("spool", "quarantine", "list") == []
    assert [m["id"] for m in stuck.json("queue", "list")] == [ids[1]]


def test_release_of_what_is_intact_again(stuck, there):
    (id,) = fill(stuck, 1)
    stuck.expect_trouble = True
    name = damage(stuck, f"0 {BODY}".strip())
    verify(stuck, code=1)
    path = stuck.data / "spool" / name
    octets = path.read_bytes()
    at = octets.find(b"0 # line") if b"0 # line" in octets else octets.find(b"# a line")
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(b"0")
    stuck.command("spool", "quarantine", "release", id)
    assert verify(stuck, code=0)["intact"]
    assert stuck.json("spool", "quarantine", "list")[-1]["kind"] == "copy"
    there.forget()
    stuck.command("queue", "retry", id)
    assert there.wait_messages(1)[0].fields("subject") == ["number 0"]


def test_scrub_finds_damage_by_itself(relay, there):
    there.on("RCPT", "450 4.2.0 mailbox is busy", match="there.test")
    server = relay(queue={"retry": ["1h"]}, top='spool { scrub = "1M" }')
    server.expect_trouble = True
    fill(server, 2)
    server.terminate()
    damage(server, f"1 {BODY}".strip())
    start = len(server.log())
    server.start()
    server.wait_log("spool_damage", start=start)
    poll(lambda: server.json("status")["spool"]["scrub_passes"], 20, "a pass of the scrub")
    status = server.json("status")
    assert status["spool"]["damaged_messages"] == 1 and status["spool"]["scrubbed"] > 1000
    assert any("damaged" in line for line in status["degraded"])


def test_two_files_of_one_segment(stuck):
    fill(stuck, 2)
    stuck.terminate()
    first = segments(stuck)[0]
    shutil.copy(first, first.with_name("segment-0099"))
    refused = stuck.run("spool", "verify")
    assert refused.returncode == 1 and b"both hold segment" in refused.stderr and b"spool repair" in refused.stderr
    said = stuck.json("spool", "repair")
    assert [p["what"] for p in said["problems"]] == ["a second file of its segment"]
    assert verify(stuck, code=0)["messages"] == 2


def test_a_copy_of_the_data_directory_is_refused(server, new_server):
    hand_in(server, "x@elsewhere.test", "alice@example.test", message("before"))
    server.mail(count=1)
    server.terminate()
    copy = new_server()
    shutil.rmtree(copy.data)
    shutil.copytree(server.data, copy.data)
    for arguments in (("account", "list"), ("spool", "verify")):
        refused = copy.run(*arguments)
        assert refused.returncode == 1 and b"spool adopt" in refused.stderr, refused
        assert str(server.data).encode() in refused.stderr
    copy.expect_trouble = True
    with pytest.raises(Exception):
        copy.start(timeout=5)
    copy.kill()
    copy.command("spool", "adopt")
    start = len(copy.log())
    copy.start()
    assert len(copy.mail(count=1)) == 1
    assert copy.run("spool", "adopt").returncode == 1  # a server runs


def test_a_moved_data_directory_just_works(server, new_server):
    hand_in(server, "x@elsewhere.test", "alice@example.test", message("before"))
    server.mail(count=1)
    server.terminate()
    moved = new_server()
    shutil.rmtree(moved.data)
    shutil.move(server.data, moved.data)
    moved.start()
    assert len(moved.mail(count=1)) == 1
    moved.terminate()
    again = new_server()
    shutil.rmtree(again.data)
    shutil.copytree(moved.data, again.data)  # as across file systems: a copy, and the original goes
    shutil.rmtree(moved.data)
    again.start()
    assert len(again.mail(count=1)) == 1


def test_a_stamp_of_another_machine(server):
    server.terminate()
    stamp = server.data / "place"
    lines = stamp.read_text().split("\n")
    if not lines[1]:
        pytest.skip("no machine-id here")
    stamp.write_text("\n".join([lines[0], "0" * 32, *lines[2:]]))
    refused = server.run("domain", "list")
    assert refused.returncode == 1 and b"another machine" in refused.stderr
    server.command("spool", "adopt")
    server.start()
    stamp.write_text("not a stamp")
    server.command("domain", "list")
