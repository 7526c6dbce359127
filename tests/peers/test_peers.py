"""The peers themselves, without our server: each passes on, or keeps, what it was given. And Postfix against the
scripted remote, which shows that its scripts are ones that a real client understands."""

import contextlib
import smtplib

import pytest
from peers import postfix, room
from peers.dovecot import Dovecot
from peers.exim import Exim
from peers.opensmtpd import OpenSmtpd

from harness import poll
from harness.remote import CLOSE, Remote
from harness.server import free_address
from harness.smtp import message

pytestmark = [pytest.mark.peer, pytest.mark.no_server]

CONTENT = message(body=".\r\n..\r\nFrom here\r\n").encode()


def needs(why):
    if why:
        pytest.skip(why)


@pytest.fixture
def there():
    with Remote() as remote:
        yield remote


@pytest.fixture
def passing_on(there):
    needs(postfix.missing())
    with postfix.Postfix(
        free_address(),
        2525,
        relayhost=f"[{there.host}]:{there.port}",
        minimal_backoff_time="1s",
        queue_run_delay="1s",
    ) as running:
        yield running


def give(host, port, *recipients, client=smtplib.SMTP):
    with client(host, port, timeout=20) as connection:
        assert connection.sendmail("a@there.example", recipients, CONTENT) == {}


@pytest.mark.parametrize("kind", [Exim, OpenSmtpd])
def test_passes_on(there, kind):
    needs(room.missing(kind.name))
    with kind((there.host, there.port)) as peer:
        give(peer.host, peer.port, "b@there.test", "c@there.test")
        there.wait(lambda: sum(len(taken.addresses) for taken in there.accepted) == 2, peer.text())
    assert all(taken.content.endswith(CONTENT) for taken in there.accepted)


def test_dovecot_keeps():
    needs(room.missing("dovecot"))
    with Dovecot() as peer:
        give(peer.host, peer.port, "b@there.test", client=smtplib.LMTP)
        (kept,) = poll(lambda: peer.mail("b@there.test"), 10, peer.text())
    assert kept.endswith(CONTENT)


def test_room_is_empty_afterwards():
    needs(room.missing("dovecot"))
    peer = Dovecot().start()
    base = peer.base
    peer.stop()
    assert not base.exists()
    with pytest.raises(OSError), contextlib.closing(smtplib.SMTP(peer.host, peer.port)):
        pass


def test_postfix_meets_scripts(there, passing_on):
    """421 at RCPT, a connection closed at the dot, one recipient refused for a while: all arrive, once each."""
    there.on("RCPT", "421 4.3.2 going down", CLOSE, times=1)
    there.on("dot", CLOSE, times=1)
    there.on("RCPT", "450 4.2.0 later", times=2, match="c@")
    give(passing_on.host, passing_on.port, "b@there.test", "c@there.test")
    poll(lambda: passing_on.queued() == 0, 60, "an empty queue of Postfix")
    taken = sorted(address for one in there.accepted for address in one.addresses)
    assert taken == ["b@there.test", "c@there.test"]
    assert all(one.content.endswith(CONTENT) for one in there.accepted)
