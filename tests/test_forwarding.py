"""Forwarding: aliases that point outside, the rewriting of senders (SRS), and the way back."""

import pytest

from harness.relay import configuration, hand_in, wait_empty
from harness.smtp import message


def answer(server, address, sender):
    with server.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        return c.cmd(f"RCPT TO:<{address}>")


@pytest.fixture
def forwarding(make_server, remotes):
    outside, origin = remotes(2)

    def make(**options):
        top = options.pop("top", "")
        server = make_server(config=configuration({"outside.test": outside, "there.example": origin}, **options), top=top)
        server.command("alias", "add", "forward@example.test", "target@outside.test")
        return server

    make.outside, make.origin = outside, origin
    return make


def test_forwarding_rewrites_the_sender(forwarding):
    server = forwarding()
    hand_in(server, "ann@there.example", "forward@example.test", message())
    (taken,) = forwarding.outside.wait_messages(1)
    assert taken.addresses == ["target@outside.test"]
    assert taken.sender.startswith("SRS0=") and taken.sender.endswith("=there.example=ann@example.test")


def test_bounce_of_a_forward_goes_home(forwarding):
    server = forwarding()
    hand_in(server, "ann@there.example", "forward@example.test", message())
    (taken,) = forwarding.outside.wait_messages(1)
    hand_in(server, "", taken.sender, message("it bounced"))
    (back,) = forwarding.origin.wait_messages(1)
    assert back.addresses == ["ann@there.example"] and back.sender == ""


def test_own_report_about_a_forward_goes_home(forwarding):
    """The remote refuses: our own notification goes to the sender, not to the rewritten address."""
    forwarding.outside.on("RCPT", "550 5.1.1 nobody")
    server = forwarding()
    hand_in(server, "ann@there.example", "forward@example.test", message())
    (back,) = forwarding.origin.wait_messages(1)
    assert back.addresses == ["ann@there.example"] and back.sender == ""
    wait_empty(server)


def test_forged_and_used_addresses(forwarding):
    server = forwarding()
    hand_in(server, "ann@there.example", "forward@example.test", message())
    (taken,) = forwarding.outside.wait_messages(1)
    local, domain = taken.sender.split("@")
    kind, *rest = local.split("=")
    forged = "=".join([kind, "AAAA" if rest[0] != "AAAA" else "BBBB", *rest[1:]])
    assert answer(server, f"{forged}@{domain}", sender="").matches("550 5.1.1")
    elsewhere = local.replace("there.example", "victim.example")
    assert answer(server, f"{elsewhere}@{domain}", sender="").matches("550 5.1.1")


def test_own_and_null_senders_are_not_rewritten(forwarding):
    server = forwarding()
    hand_in(server, "alice@example.test", "forward@example.test", message("own"))
    hand_in(server, "", "forward@example.test", message("null"))
    senders = {taken.fields("subject")[0]: taken.sender for taken in forwarding.outside.wait_messages(2)}
    assert senders == {"own": "alice@example.test", "null": ""}


def test_srs_can_be_switched_off(forwarding):
    server = forwarding(top="srs = no")
    hand_in(server, "ann@there.example", "forward@example.test", message())
    assert forwarding.outside.wait_messages(1)[0].sender == "ann@there.example"


def test_keys_survive_a_restart(forwarding):
    server = forwarding()
    hand_in(server, "ann@there.example", "forward@example.test", message())
    (taken,) = forwarding.outside.wait_messages(1)
    wait_empty(server)
    server.kill()
    server.start()
    hand_in(server, "", taken.sender, message("it bounced"))
    assert forwarding.origin.wait_messages(1)[0].addresses == ["ann@there.example"]


def test_alias_inside_and_outside(forwarding):
    server = forwarding()
    server.command("alias", "add", "both@example.test", "alice@example.test", "target@outside.test")
    hand_in(server, "ann@there.example", "both@example.test", message("both"))
    forwarding.outside.wait_messages(1)
    assert server.mail(count=1)[0]["subject"] == "both"
