"""A Postfix as relaying client: it takes mail and passes it on to the server under test."""

import smtplib

import pytest
from peers import postfix

from harness import poll
from harness.server import free_address
from harness.smtp import message

pytestmark = pytest.mark.peer


@pytest.fixture
def relay(server):
    why = postfix.missing()
    if why:
        pytest.skip(why)
    with postfix.Postfix(
        free_address(),
        2525,
        relayhost=f"[{server.host}]:{server.port}",
        smtpd_relay_restrictions="permit_mynetworks,reject",
    ) as running:
        yield running


def hand_over(relay, recipients, octets, **options):
    with smtplib.SMTP(relay.host, relay.port) as client:
        assert client.sendmail("a@there.example", recipients, octets, **options) == {}


def drained(relay):
    poll(lambda: relay.queued() == 0, 60, f"an empty queue of Postfix; its log: {relay.text()[-2000:]}", 0.1)


def test_relayed(server, relay):
    content = message("by Postfix", body=".\r\n..\r\nFrom here\r\n").encode()
    hand_over(relay, ["alice@example.test", "bob@example.test"], content)
    drained(relay)
    for address in ("alice@example.test", "bob@example.test"):
        assert server.mail(address, 1)[0]["subject"] == "by Postfix"
        assert server.raw(address).endswith(b"\r\n\r\n.\r\n..\r\nFrom here\r\n")
    assert "status=sent (250 2.0.0" in relay.text() and "queued as" in relay.text()


def test_many(server, relay):
    """Connections are kept and used again; nothing is lost or doubled."""
    with smtplib.SMTP(relay.host, relay.port) as client:
        for number in range(200):
            client.sendmail("a@there.example", ["alice@example.test"], message(f"n{number}"))
    drained(relay)
    subjects = [mail["subject"] for mail in server.mail(count=200)]
    assert sorted(subjects) == sorted(f"n{number}" for number in range(200))


def test_eight_bit_and_utf8(server, relay):
    server.command("account", "add", "jürgen@example.test", "--password", "x y z 1 2 3")
    content = message("Üben", sender="süß@there.example", to="jürgen@example.test", body="Grüße\r\n").encode()
    with smtplib.SMTP(relay.host, relay.port) as client:
        client.sendmail(
            "süß@there.example", ["jürgen@example.test"], content, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    drained(relay)
    assert server.mail("jürgen@example.test", 1)[0]["subject"] == "Üben"
    assert "Grüße".encode() in server.raw("jürgen@example.test")


def test_unknown_recipient_bounces(server, relay):
    """Postfix sees the 550 at RCPT and gives up at once."""
    hand_over(relay, ["nobody@example.test"], message())
    poll(lambda: "status=bounced" in relay.text(), 30, "a bounce")
    assert "550 5.1.1" in relay.text()


def test_large(server, relay):
    content = message("large").encode() + b"0123456789abcdef" * 4 + b"\r\n"
    content += (b"x" * 76 + b"\r\n") * 90000
    hand_over(relay, ["alice@example.test"], content)
    drained(relay)
    server.mail(count=1)
    assert server.raw().endswith(content[-7000000:])
