"""The scripted remote server does what its scripts say, seen by Python's own client."""

import smtplib
import socket
import threading

import pytest

from harness.remote import (
    CLOSE,
    GOOD,
    HALF_CLOSE,
    RESET,
    STALL,
    Remote,
    drip,
    flood,
    unanswering,
    until,
)
from harness.smtp import Closed, Smtp, message

pytestmark = pytest.mark.no_server

DOTS = ".\r\n..\r\n.x\r\n"


@pytest.fixture
def there():
    with Remote() as remote:
        yield remote
    assert not remote.problems


def send(there, recipients=("b@there.test",), octets=None):
    with smtplib.SMTP(there.host, there.port, timeout=10) as client:
        return client.sendmail("a@here.test", recipients, octets or message(body=DOTS))


def test_takes_mail(there):
    send(there, ["b@there.test", "c@there.test"])
    (taken,) = there.wait_messages(1)
    assert taken.sender == "a@here.test" and taken.addresses == ["b@there.test", "c@there.test"]
    assert taken.content == message(body=DOTS).encode()
    assert taken.wire != taken.content and taken.fields("subject") == ["test"]
    assert "SIZE" in taken.parameters
    assert there.sessions[0].verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


def test_takes_chunks_and_pipelines(there):
    with Smtp(there.host, there.port) as c:
        assert "CHUNKING" in c.hello()
        c.send("MAIL FROM:<a@here.test> BODY=8BITMIME\r\nRCPT TO:<b@there.test> NOTIFY=NEVER\r\nBDAT 3\r\na\r\n")
        c.send("BDAT 6 LAST\r\n\r\n.b\r\n")
        for _ in range(4):
            c.expect(250)
        c.quit()
    (taken,) = there.wait_messages(1)
    assert (taken.content, taken.verb) == (b"a\r\n\r\n.b\r\n", "BDAT")
    assert taken.parameters == {"BODY": "8BITMIME"}
    assert taken.recipients == [("b@there.test", {"NOTIFY": "NEVER"})]


def test_rules_in_line(there):
    there.on("RCPT", "450 4.2.0 later", times=1).on("RCPT", "550 5.1.1 no", match="bad@")
    assert set(send(there, ["b@there.test", "bad@there.test", "c@there.test"])) == {"b@there.test", "bad@there.test"}
    assert there.wait_messages(1)[0].addresses == ["c@there.test"]
    there.forget("RCPT")
    assert send(there, ["bad@there.test"]) == {}


@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "RCPT", "DATA", "content", "dot", "QUIT"])
@pytest.mark.parametrize("action", [CLOSE, RESET])
def test_ends_at_each_stage(there, stage, action):
    there.on(stage, action)
    with pytest.raises((smtplib.SMTPException, ConnectionError)):
        with smtplib.SMTP(there.host, there.port, timeout=10) as client:
            client.sendmail("a@here.test", ["b@there.test"], message())
            client.docmd("QUIT")
    there.wait(lambda: not there.open_sessions(), "the end")
    assert "by us" in there.sessions[0].ended
    assert bool(there.accepted) == (stage == "QUIT")


def test_accepts_and_loses_the_reply(there):
    there.on("dot", "250 2.0.0 taken", RESET, times=1)
    with Smtp(there.host, there.port) as c:
        c.hello()
        c.envelope("a@here.test", "b@there.test")
        c.content(message())
        with pytest.raises((Closed, ConnectionResetError)):
            c.cmd("QUIT", 221)
    there.wait_messages(1)


def test_stalls_until_the_end(there):
    there.on("MAIL", STALL)
    with Smtp(there.host, there.port, timeout=0.3) as c:
        c.hello()
        with pytest.raises(TimeoutError):
            c.cmd("MAIL FROM:<a@here.test>")
        there.stop()
        c.at_end()


def test_half_closes(there):
    there.on("MAIL", HALF_CLOSE)
    with Smtp(there.host, there.port) as c:
        c.hello()
        with pytest.raises(Closed):
            c.cmd("MAIL FROM:<a@here.test>")
        c.send("NOOP\r\n")
    assert there.open_sessions()


def test_drips_and_floods(there):
    there.on("banner", drip(b"220 slow\r\n", 0.01))
    there.on("NOOP", flood(b"250-x\r\n" * 10000, 10), "250 end")
    with Smtp(there.host, there.port) as c:
        assert c.banner.text == "slow"
        assert len(c.cmd("NOOP", 250).lines) == 100001


def test_waits_for_an_event(there):
    go = threading.Event()
    there.on("MAIL", until(go), GOOD)
    with Smtp(there.host, there.port, timeout=0.3) as c:
        c.hello()
        with pytest.raises(TimeoutError):
            c.cmd("MAIL FROM:<a@here.test>")
        go.set()
        c.timeout = 10
        c.expect("250 2.1.0")


def test_goes_down_and_comes_back(there):
    there.stop()
    with pytest.raises(ConnectionRefusedError):
        send(there)
    there.start()
    send(there)
    there.wait_messages(1)


def test_lmtp_answers_for_each_recipient():
    with Remote(lmtp=True) as there:
        there.on("dot", "452 4.2.2 full", match="c@")
        with Smtp(there.host, there.port) as c:
            c.cmd("LHLO here.test", 250)
            c.envelope("a@here.test", "b@there.test", "c@there.test")
            c.content(message())
            c.expect("452 4.2.2")
            c.quit()
        (taken,) = there.wait_messages(1)
        assert [reply[:3] for reply in taken.replies] == [b"250", b"452"]
        assert there.sessions[0].verbs()[0] == "LHLO"


def test_connections_that_are_not_answered():
    with unanswering() as host, socket.socket() as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.connect((host, 2525))
