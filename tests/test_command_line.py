"""What commands print and how they end (SURFACE.md), with the running server and without one."""

import json
import os
import subprocess

import pytest

from harness.server import binary

MAIL = b"Subject: hello\n\nhi\n"


def send(server, *arguments, content=MAIL):
    return subprocess.run(
        [binary(), "-c", server.config_path, "send", *map(str, arguments)],
        input=content,
        capture_output=True,
        timeout=60,
    )


def mailq(server, tmp_path):
    name = tmp_path / "mailq"
    name.symlink_to(binary())
    return subprocess.run([name, "-C", server.config_path], capture_output=True, timeout=60)


def test_held_mail_is_listed_and_delivered_after_a_reload(make_server, tmp_path):
    server = make_server(config="queue { hold = yes }")
    assert send(server, "-f", "", "Bob <bob@example.test>, alice@example.test").returncode == 0
    (row,) = server.json("queue", "list")
    assert row["state"] == "held" and row["from"] == "" and row["size"] > len(MAIL)
    assert [r["address"] for r in row["recipients"]] == ["bob@example.test", "alice@example.test"]
    assert {r["state"] for r in row["recipients"]} == {"held"}
    assert set(row["recipients"][0]) >= {"address", "state", "route", "attempts", "next", "last", "why"}
    listed = mailq(server, tmp_path)
    assert listed.returncode == 0 and row["id"].encode() in listed.stdout
    assert server.json("queue", "list", "--to", "carol@example.test") == []
    assert server.json("queue", "list", row["id"]) == [row]
    assert server.run("queue", "list", "0000000000000").returncode == 1
    assert server.run("queue", "list", "--status", "odd").returncode == 2

    server.configure("")
    server.command("reload")
    server.mail("bob@example.test", 1)
    server.mail("alice@example.test", 1)
    assert server.json("queue", "list") == []


def test_hold_by_reload_keeps_what_comes_later(make_server):
    server = make_server()
    server.configure("queue { hold = yes }")
    server.command("reload")
    assert send(server, "bob@example.test").returncode == 0
    assert server.json("queue", "list")[0]["state"] == "held"
    assert server.mail("bob@example.test") == []


def test_a_long_queue_comes_in_pages(make_server):
    server = make_server(config="queue { hold = yes }")
    with server.smtp() as smtp:
        smtp.cmd("EHLO client.example.test", 250)
        for _ in range(230):
            smtp.cmd("MAIL FROM:<a@client.example.test>", 250)
            smtp.cmd("RCPT TO:<bob@example.test>", 250)
            smtp.cmd("DATA", 354)
            smtp.cmd("Subject: x\r\n\r\n.", 250)
    rows = server.json("queue", "list")
    assert len(rows) == len({row["id"] for row in rows}) == 230
    assert rows == sorted(rows, key=lambda row: row["arrived"])


def test_queue_list_needs_the_server(new_server):
    done = new_server().run("queue", "list")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_reach_no_file(server, closed):
    """What is printed never goes into a socket or a database that got the number."""
    script = f'"$0" account list -c "$1" {closed}; "$0" account add "c$2@example.test" --password x -c "$1" {closed}'
    subprocess.run(["sh", "-c", script, binary(), server.config_path, str(len(closed))], timeout=60)
    assert len(server.json("account", "list")) == 3


def test_output_that_cannot_be_written_is_a_failure(server):
    done = subprocess.run(
        [binary(), "account", "list", "-c", server.config_path],
        stdout=os.open("/dev/full", os.O_WRONLY),
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert done.returncode == 1 and b"cannot write" in done.stderr


def test_show_takes_a_uid_alone(server):
    for subject in (b"one", b"two"):
        assert send(server, "bob@example.test", content=b"Subject: " + subject + b"\n\n").returncode == 0
    server.mail("bob@example.test", 2)
    show = lambda *more: server.json("mail", "show", "bob@example.test", *more)["subject"]
    assert show() == "two" and show("1") == "one" and show("INBOX", "1") == "one"
    assert server.run("mail", "show", "bob@example.test", "9").returncode == 1
    assert server.run("mail", "show", "bob@example.test", "INBOX", "x").returncode == 2


def test_send_without_a_server_is_temporary(new_server):
    server = new_server()
    assert send(server, "bob@example.test").returncode == 75


def test_send_says_how_it_ended(server):
    assert send(server, "nobody@example.test").returncode == 67
    assert send(server).returncode == 64
    assert send(server, "-Z").returncode == 64
    assert send(server, "bob@example.test\nX: y").returncode == 65
    assert send(server, "--help", content=b"").stdout.startswith(b"usage: veredus send")


def test_a_full_name_is_quoted(server):
    assert send(server, "-F", 'A "q" \\', "bob@example.test", content=b"\nhi\n").returncode == 0
    server.mail("bob@example.test", 1)
    assert rb'From: "A \"q\" \\" <' in server.raw("bob@example.test")


def test_wrong_octets_in_arguments_are_named(server):
    for arguments in (
        ["account", "show", b"\xe4@example.test"],
        ["account", "add", "x@example.test", "--password", b"\xe4"],
        ["alias", "add", "x@example.test", b"\xe4@example.test"],
    ):
        command = [binary(), *arguments, "-c", server.config_path]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == 1 and b"UTF-8" in done.stderr, done.stderr


def test_version():
    done = subprocess.run([binary(), "--version"], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(b"veredus ")


def test_status_is_one_object(server):
    assert {"version", "uptime", "processes"} <= set(json.loads(server.command("status", "--json")))


def run_setup(tmp_path, *arguments, **options):
    return subprocess.run(
        [binary(), "setup", "-c", tmp_path / "etc" / "veredus.conf", *arguments],
        capture_output=True,
        timeout=60,
        **options,
    )


def test_setup_makes_what_serves(tmp_path):
    data = tmp_path / "data"
    done = run_setup(tmp_path, "B\u00fccher.example", "--data", data, "--password", "x")
    assert done.returncode == 0, done.stderr
    assert b"xn--bcher-kva.example. " in done.stdout and b"postmaster@xn--bcher-kva.example" in done.stdout
    check = subprocess.run(
        [binary(), "check", "-c", tmp_path / "etc" / "veredus.conf"], capture_output=True, timeout=60
    )
    assert check.returncode == 0, check.stderr
    again = run_setup(tmp_path, "example.test", "--data", data, "--password", "x")
    assert again.returncode == 1 and b"already" in again.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["not a domain"],
        ["example..test"],
        ["[192.0.2.1]"],
        ["example.test", "--hostname", 'a"b'],
        ["example.test", "--account", "a b"],
        ["example.test", "--password", ""],
        ["example.test", "--data", "/tmp/x\"y"],
        ["example.test", "--data", "relative"],
    ],
)
def test_setup_writes_nothing_where_something_is_wrong(tmp_path, arguments):
    if "--data" not in arguments:
        arguments = [*arguments, "--data", tmp_path / "data"]
    done = run_setup(tmp_path, *arguments)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_setup_takes_its_configuration_away_when_it_fails(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "control.db").mkdir()
    done = run_setup(tmp_path, "example.test", "--data", tmp_path / "data", "--password", "x")
    assert done.returncode == 1
    assert not (tmp_path / "etc" / "veredus.conf").exists()
    (tmp_path / "data" / "control.db").rmdir()
    assert run_setup(tmp_path, "example.test", "--data", tmp_path / "data", "--password", "x").returncode == 0


def test_dns_of_what_is_no_domain(server):
    assert server.run("domain", "dns", "not a domain").returncode == 1
    assert "MX" in server.command("domain", "dns", "example.test")


def test_rows_that_strangers_made_long_fit_into_pages(server):
    """An answer of core is one frame of 64 KiB, whatever is in the mail."""
    names = b", ".join(b"%s%d@%s.example.org" % (b"a" * 60, i, b".".join([b"b" * 60] * 3)) for i in range(9))
    text = b"word \x01\x02 " * 90_000
    with server.smtp() as smtp:
        smtp.cmd("EHLO client.example.test", 250)
        for i in range(60):
            smtp.cmd("MAIL FROM:<a@client.example.test>", 250)
            smtp.cmd("RCPT TO:<bob@example.test>", 250)
            smtp.cmd("DATA", 354)
            content = b"Subject: %d %s\r\nFrom: %s\r\nTo: %s\r\n\r\n" % (i, b"s" * 800, names, names)
            smtp.send(content + (text[:4000] if i % 2 else b"x") + b"\r\n.\r\n")
            smtp.expect(250)
    rows = server.mail("bob@example.test", 60)
    assert [int(row["subject"].split()[0]) for row in rows] == list(range(60))
    assert len(rows[0]["to"]) == 9 and len(rows[0]["subject"]) > 800
    assert len(server.json("mail", "list", "bob@example.test", "--all")) == 60
    assert server.json("mail", "show", "bob@example.test", "60")["uid"] == 60


def test_an_account_with_very_many_aliases_is_shown(server, tmp_path):
    lines = "".join(f"{'alias-with-a-long-name-' * 2}{i}: bob@example.test\n" for i in range(2000))
    (tmp_path / "aliases").write_text(lines)
    server.command("alias", "import", tmp_path / "aliases", "--domain", "example.test")
    shown = server.json("account", "show", "bob@example.test")
    assert len(shown["aliases"]) > 100 and shown["more_aliases"]
    assert not server.json("account", "show", "alice@example.test")["more_aliases"]
    assert [row["address"] for row in server.json("account", "list")] == ["alice@example.test", "bob@example.test"]
    assert len(server.json("alias", "list")) == 2000
