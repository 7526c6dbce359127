"""Which recipients are taken, and who gets the mail then: lists of relay domains, address maps, copies, rights."""

import os
import re
import signal
import socket

import pytest

from harness.relay import section, wait_recipient
from harness.smtp import message

STRANGER = "127.0.0.9"
TRUSTED = 'relay { allow = {"127.0.0.0/29"} }\n'
HELD = section("route", "*", via="hold")


def answer(server, address, sender="a@stranger.test", parameters="", source=STRANGER):
    with server.smtp(source=source) as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        return c.cmd(f"RCPT TO:<{address}>{parameters}")


def take(server, sender, to, octets, source=STRANGER):
    with server.smtp(source=source) as c:
        c.hello()
        c.deliver(sender, [to] if isinstance(to, str) else to, octets)


def queued(server, address):
    """A recipient that is held."""
    return wait_recipient(server, address, lambda one: one["state"] == "held", "held")


# rights: hostile.md 30 to 36


@pytest.mark.parametrize(
    "address, wanted",
    [
        ("b@there.example", "550 5.7.1"),
        ("b%there.example@example.test", "550 5.1.1"),
        ('"b@there.example"@example.test', "550 5.1.1"),
        ("@example.test:b@there.example", "550 5.7.1"),
        ("b@there.example@example.test", "501 5.1.3"),
        ("b@[198.51.100.1]", "550 5.7.1"),
        ("alice@example.test", "250"),
    ],
)
@pytest.mark.parametrize("sender", ["a@evil.example", "alice@example.test", ""])
def test_strangers_relay_nothing(make_server, address, wanted, sender):
    server = make_server(config=TRUSTED + HELD)
    assert answer(server, address, sender).matches(wanted)


def test_trusted_networks_relay(make_server):
    server = make_server(config=TRUSTED + HELD)
    assert answer(server, "b@there.example", source="127.0.0.1").matches(250)
    take(server, "a@here.example", "b@there.example", message(), source="127.0.0.1")
    assert queued(server, "b@there.example")["route"]


def test_a_right_is_not_kept_over_a_restart_of_core(make_server):
    """A connection that lives on is admitted again: still trusted, never refused for good."""
    server = make_server(config=TRUSTED + HELD)
    server.expect_trouble = True
    with server.smtp(source="127.0.0.1") as c:
        c.hello()
        c.cmd("MAIL FROM:<a@here.example>", 250)
        before = server.role_pid("core")
        os.kill(before, signal.SIGKILL)
        server.role_pid("core", not_pid=before)
        reply = c.cmd("RCPT TO:<b@there.example>")
        assert reply.matches("451"), reply
        for _ in range(100):
            c.cmd("RSET", 250)
            if c.cmd("MAIL FROM:<a@here.example>").matches(250):
                break
        c.cmd("RCPT TO:<b@there.example>", 250)


def test_local_lmtp_peers_do_not_relay(make_server, tmp_path):
    path = tmp_path / "lmtp"
    listen = f'listen "local" {{ protocol = lmtp  address = {{"unix:{path}"}} }}\n'
    server = make_server(config=TRUSTED + HELD + listen)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        stream = s.makefile("rwb")

        def say(line):
            stream.write(line + b"\r\n")
            stream.flush()
            while True:
                reply = stream.readline()
                if reply[3:4] != b"-":
                    return reply

        assert stream.readline().startswith(b"220")
        assert say(b"LHLO peer").startswith(b"250")
        assert say(b"MAIL FROM:<a@b.example>").startswith(b"250")
        assert say(b"RCPT TO:<b@there.example>").startswith(b"550 5.7.1")
        assert say(b"RCPT TO:<alice@example.test>").startswith(b"250")
        stream.close()


# relay domains


def test_list_of_recipients_in_parts(make_server, tmp_path):
    """Larger than any request; changed as a whole."""
    names = tmp_path / "names"
    names.write_text("".join(f"user{n}@relay.test\n" for n in range(5000)))
    server = make_server(config=HELD)
    server.command("domain", "add", "relay.test", "--relay", "--recipients", names)
    shown = server.json("domain", "show", "relay.test")
    assert (shown["kind"], shown["check"], shown["recipients"], shown["state"]) == ("relay", "list", 5000, "enabled")
    assert answer(server, "User4999@relay.test").matches(250)
    assert answer(server, "user5000@relay.test").matches("550 5.1.1")
    names.write_text("# another\n\nuser4999\nNew@Relay.Test\n\"x y\"@relay.test\n")
    server.command("domain", "set", "relay.test", "--recipients", names)
    assert server.json("domain", "show", "relay.test")["recipients"] == 3
    assert answer(server, "user4998@relay.test").matches("550 5.1.1")
    for address in ("user4999@relay.test", "new@relay.test", '"x y"@relay.test'):
        assert answer(server, address).matches(250)
    server.command("domain", "set", "relay.test", "--recipients", "any")
    assert answer(server, "user4998@relay.test").matches(250)
    assert server.json("domain", "show", "relay.test")["check"] == "none"


def test_list_that_is_wrong_changes_nothing(make_server, tmp_path):
    names = tmp_path / "names"
    names.write_text("good@relay.test\nbad@else.test\n")
    server = make_server(config=HELD)
    done = server.run("domain", "add", "relay.test", "--relay", "--recipients", names)
    assert done.returncode == 1 and b"names:2: " in done.stderr and b"not an address of relay.test" in done.stderr
    assert server.run("domain", "show", "relay.test").returncode == 1
    assert server.run("domain", "add", "x.test", "--recipients", names).returncode == 2


def test_list_without_a_server(new_server, tmp_path):
    names = tmp_path / "names"
    names.write_text("".join(f"user{n}\n" for n in range(1500)))
    server = new_server()
    server.command("domain", "add", "relay.test", "--relay", "--recipients", names)
    assert server.json("domain", "show", "relay.test")["recipients"] == 1500


# maps and copies


MAPS = (
    section("map", "@*.corp.test", sender="@example.test", recipient="@example.test")
    + section("map", "old@example.test", sender="alice@example.test", recipient="alice@example.test")
    + section("map", "@moved.test", recipient="@elsewhere.test")
)


def test_recipients_are_mapped_before_the_directory(make_server):
    server = make_server(config=TRUSTED + HELD + MAPS)
    take(server, "a@there.example", ["old@example.test", "bob@pc7.corp.test"], message("mapped"))
    assert server.mail("alice@example.test", 1)[0]["subject"] == "mapped"
    server.mail("bob@example.test", 1)
    assert answer(server, "x@moved.test").matches("550 5.7.1")  # a map gives no right
    take(server, "a@there.example", "x@moved.test", message(), source="127.0.0.1")
    assert queued(server, "x@elsewhere.test")


def test_senders_are_mapped(make_server):
    server = make_server(config=TRUSTED + HELD + MAPS)
    take(server, "bob@pc7.corp.test", "alice@example.test", message(), source="127.0.0.1")
    server.mail("alice@example.test", 1)
    assert server.raw().startswith(b"Return-Path: <bob@example.test>\r\n")


@pytest.mark.parametrize("source, mapped", [("127.0.0.1", True), (STRANGER, False)])
def test_header_fields_are_mapped_for_the_trusted(make_server, source, mapped):
    server = make_server(config=TRUSTED + HELD + MAPS)
    text = (
        b"From: \"Bob (bob@pc7.corp.test)\"\r\n <bob@pc7.corp.test>\r\n"
        b"To: old@example.test, x@moved.test\r\nSubject: bob@pc7.corp.test\r\n\r\nFrom: bob@pc7.corp.test\r\n"
    )
    take(server, "bob@pc7.corp.test", "alice@example.test", text, source=source)
    (mail,) = server.mail("alice@example.test", 1)
    stored = server.raw()
    wanted = text
    if mapped:
        wanted = text.replace(b"<bob@pc7.corp.test>", b"<bob@example.test>")
        wanted = wanted.replace(b"To: old@example.test, x@moved.test", b"To: alice@example.test, x@elsewhere.test")
        assert "bob@example.test" in mail["from"]  # the digest knows the same
    assert stored.endswith(wanted)


def test_always_bcc(make_server):
    server = make_server(top='always-bcc = "archive@example.test"', accounts=("alice@example.test", "archive@example.test"))
    take(server, "a@there.example", "alice@example.test", message("copied"))
    server.mail("alice@example.test", 1)
    assert server.mail("archive@example.test", 1)[0]["subject"] == "copied"
    assert not re.search(rb"archive", server.raw("alice@example.test"))


def test_always_bcc_saves_no_message_without_recipients(make_server):
    """Its own recipient gone between RCPT and the end, a message is refused, not kept for the archive."""
    server = make_server(top='always-bcc = "archive@example.test"', accounts=("alice@example.test", "archive@example.test"))
    with server.smtp(source=STRANGER) as c:
        c.hello()
        c.envelope("a@there.example", "alice@example.test")
        server.command("account", "remove", "alice@example.test")
        c.content(message(), 550)


# reports for strangers


def test_reports_are_not_offered_to_strangers(make_server):
    server = make_server(config=TRUSTED + HELD + section("dsn", strangers=False))
    with server.smtp(source=STRANGER) as c:
        assert "DSN" not in str(c.cmd("EHLO client.test", 250))
    with server.smtp(source="127.0.0.1") as c:
        assert "DSN" in str(c.cmd("EHLO client.test", 250))
    assert answer(server, "alice@example.test", parameters=" NOTIFY=SUCCESS").matches("555 5.5.4")
    assert answer(server, "alice@example.test", parameters=" NOTIFY=SUCCESS", source="127.0.0.1").matches(250)


# routes that are wrong


def test_patterns_that_mean_the_same(new_server):
    server = new_server(config=section("route", "a.test", via="hold") + section("route", "A.Test", via="null"))
    done = server.run("check")
    assert done.returncode == 1 and b"an earlier section has the same pattern" in done.stdout + done.stderr
