"""Mail for other hosts: how it is handed to the next one."""

import base64
import os
import quopri
import re
import select
import signal
import socket
import threading

import pytest

from harness import poll
from harness.relay import configuration, hand_in, recipients, report, wait_deferred, wait_empty
from harness.remote import EXTENSIONS, GOOD, Action, Remote, until
from harness.smtp import message

DOTS = ".\r\n..\r\n...\r\n.\t\r\n.x\r\nFrom here\r\n"


def without(*keywords):
    return [word for word in EXTENSIONS if word.split()[0] not in keywords]


# what arrives


def test_octets_arrive_behind_one_received_field(relay, there):
    server = relay()
    content = message("bytes", body=DOTS).encode()
    id = hand_in(server, "alice@example.test", "b@there.test", content)
    (taken,) = there.wait_messages(1)
    assert taken.content.endswith(content)
    prefix = taken.content[: -len(content)].decode()
    assert re.fullmatch(r"Received: (?:.+\r\n)(?:[ \t].+\r\n)*", prefix), prefix
    assert id in prefix and "mx.example.test" in prefix
    assert taken.sender == "alice@example.test" and taken.addresses == ["b@there.test"]
    wait_empty(server)
    assert there.sessions[0].hello == "mx.example.test"
    assert server.mail() == []  # nobody asked for a report


@pytest.mark.parametrize("chunking", [True, False])
def test_all_sizes(relay, there, chunking):
    if not chunking:
        there.extensions = without("CHUNKING")
    server = relay()
    lines = b".0123456789abcdefghijklmnopqrstuvwxyz.0123456789abcdefghijklmnopqrstuvwxyz\r\n"
    for size in (0, 2, 1000, 60_000, 70_000, 300_000, 3_000_000):
        content = message(f"s{size}", body="").encode() + (lines * (size // len(lines) + 1))[: max(0, size - 2)]
        content += b"\r\n" if size else b""
        hand_in(server, "a@here.test", "b@there.test", content)
        (taken,) = there.wait(lambda: [one for one in there.accepted if one.fields("subject") == [f"s{size}"]], size)
        assert taken.content.endswith(content)
        assert taken.verb == ("BDAT" if chunking else "DATA")
    wait_empty(server)


def test_header_without_body_and_body_without_header(relay, there):
    server = relay()
    for content in (b"Subject: only a header\r\n", b"\r\nonly a body\r\n", b""):
        hand_in(server, "a@here.test", "b@there.test", content)
    bodies = [taken.content for taken in there.wait_messages(3)]
    assert any(body.endswith(b"\r\nSubject: only a header\r\n") for body in bodies)
    assert any(body.endswith(b"\r\n\r\nonly a body\r\n") for body in bodies)


def test_null_reverse_path(relay, there):
    server = relay()
    hand_in(server, "", "b@there.test", message())
    assert there.wait_messages(1)[0].sender == ""


def test_addresses_as_they_were_given(relay, there):
    server = relay()
    odd = ["B.Upper@There.Test", '"quoted local"@there.test', "a+tag=x@there.test", "!#$%&'*/?^_`{|}~@there.test"]
    hand_in(server, '"a b"@here.test', odd, message())
    (taken,) = there.wait_messages(1)
    assert taken.sender == '"a b"@here.test'
    assert sorted(a.split("@")[0] for a in taken.addresses) == sorted(a.split("@")[0] for a in odd)


# transactions and connections


def test_recipients_of_a_site_share_a_transaction(relay, there):
    server = relay()
    to = [f"b{n}@d{n % 3}.test" for n in range(9)]
    hand_in(server, "a@here.test", to, message())
    (taken,) = there.wait_messages(1)
    assert sorted(taken.addresses) == sorted(to)
    wait_empty(server)
    assert len(there.sessions) == 1 and there.count("MAIL") == 1


def test_sites_get_their_own_recipients(relay, there):
    with Remote() as other:
        server = relay({"other.test": other})
        hand_in(server, "a@here.test", ["b@there.test", "c@other.test", "d@there.test"], message())
        assert sorted(there.wait_messages(1)[0].addresses) == ["b@there.test", "d@there.test"]
        assert other.wait_messages(1)[0].addresses == ["c@other.test"]
        wait_empty(server)


def test_local_and_remote_recipients(relay, there):
    server = relay()
    hand_in(server, "a@here.test", ["alice@example.test", "b@there.test"], message("both"))
    there.wait_messages(1)
    assert server.mail(count=1)[0]["subject"] == "both"


def test_connection_is_used_again(relay, there):
    server = relay(outbound={"idle": "20s", "connections-per-site": 1})
    for number in range(20):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    taken = there.wait_messages(20)
    assert sorted(one.fields("subject")[0] for one in taken) == sorted(f"n{n}" for n in range(20))
    assert len(there.sessions) == 1


def test_idle_connection_ends_with_quit(relay, there):
    server = relay()
    hand_in(server, "a@here.test", "b@there.test", message())
    there.wait_messages(1)
    there.wait(lambda: not there.open_sessions(), "the end of an idle connection")
    assert there.sessions[0].verbs()[-1] == "QUIT" and there.sessions[0].ended == "quit"


def test_messages_per_connection(relay, there):
    go = threading.Event()
    there.on("banner", until(go), GOOD, times=1)
    server = relay(outbound={"idle": "20s", "connections-per-site": 1, "messages-per-connection": 3})
    for number in range(7):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    go.set()
    there.wait_messages(7)
    counts = [session.verbs().count("MAIL") for session in there.sessions]
    assert max(counts) <= 3 and sum(counts) == 7, counts


def test_connections_of_a_site_are_bounded(relay, there):
    server = relay(outbound={"connections-per-site": 3, "idle": "20s"})
    most = []
    there.on("MAIL", Action("count", lambda s: (most.append(len(there.open_sessions())), s.say("250 ok"))))
    for number in range(60):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    there.wait_messages(60)
    assert max(most) <= 3


def test_source_address(relay, there):
    server = relay(outbound={"source": ["127.66.55.44"]})
    hand_in(server, "a@here.test", "b@there.test", message())
    there.wait_messages(1)
    assert there.sessions[0].peer[0] == "127.66.55.44"


# extensions


def pipelined(there):
    """A list that tells for each MAIL whether RCPT came before its reply."""
    seen = []

    def look(session):
        patience = 2 if "PIPELINING" in there.extensions else 0.5
        ready = session.buffer or select.select([session.socket], [], [], patience)[0]
        seen.append(bool(ready))
        session.say("250 2.1.0 ok")

    there.on("MAIL", Action("look", look))
    return seen


@pytest.mark.parametrize("offered", [True, False])
def test_pipelining(relay, there, offered):
    if not offered:
        there.extensions = without("PIPELINING")
    seen = pipelined(there)
    server = relay()
    hand_in(server, "a@here.test", ["b@there.test", "c@there.test"], message())
    there.wait_messages(1)
    assert seen == [offered]


def test_every_recipient_refused_after_354(relay, there):
    """RFC 2920 3.1: DATA was pipelined and answered 354 although nobody is left; an empty message ends it."""
    there.extensions = without("CHUNKING")
    there.on("RCPT", "550 5.1.1 nobody", match="bad@").on("DATA", "354 go on", times=1)
    server = relay()
    hand_in(server, "alice@example.test", "bad@there.test", message("refused"))
    hand_in(server, "alice@example.test", "good@there.test", message("good"))
    assert there.wait_messages(1)[0].fields("subject") == ["good"]
    assert report(server).summary == {"bad@there.test": ("failed", "5.1.1")}


def test_no_extensions_at_all(relay, there):
    there.extensions = []
    server = relay()
    hand_in(
        server, "a@here.test", "b@there.test", message(), " RET=HDRS ENVID=x", " NOTIFY=FAILURE ORCPT=rfc822;b@x.test"
    )
    (taken,) = there.wait_messages(1)
    assert (taken.parameters, taken.recipients) == ({}, [("b@there.test", {})])


def test_size_is_declared(relay, there):
    server = relay()
    content = message(body="x" * 70 + "\r\n")
    hand_in(server, "a@here.test", "b@there.test", content)
    (taken,) = there.wait_messages(1)
    assert int(taken.parameters["SIZE"]) == len(taken.content)


def test_too_large_for_the_next_hop(relay, there):
    """RFC 1870 6.2: not even tried; the report says 5.3.4."""
    there.extensions = ["SIZE 5000"]
    server = relay()
    hand_in(server, "alice@example.test", "b@there.test", message(body=("x" * 70 + "\r\n") * 100))
    assert report(server).summary == {"b@there.test": ("failed", "5.3.4")}
    assert there.count("MAIL") == 0
    hand_in(server, "alice@example.test", "b@there.test", message("small"))
    there.wait_messages(1)


def test_dsn_is_passed_on(relay, there):
    server = relay()
    hand_in(
        server,
        "alice@example.test",
        "b@there.test",
        message(),
        " RET=HDRS ENVID=QQ+2B314",
        " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2Cy@z.test",
    )
    (taken,) = there.wait_messages(1)
    assert (taken.parameters["RET"], taken.parameters["ENVID"]) == ("HDRS", "QQ+2B314")
    ((_, given),) = taken.recipients
    assert set(given["NOTIFY"].split(",")) == {"SUCCESS", "FAILURE"}
    assert given["ORCPT"] in ("rfc822;x+2Cy@z.test", "rfc822;x,y@z.test")  # the same in xtext
    wait_empty(server)
    assert server.mail() == []  # the next hop reports


def test_smtputf8(relay, there):
    server = relay()
    content = message("Grüße", sender="süß@here.test", to="jürgen@there.test", body="Grüße\r\n").encode()
    hand_in(server, "süß@here.test", "jürgen@there.test", content, " SMTPUTF8 BODY=8BITMIME")
    (taken,) = there.wait_messages(1)
    assert "SMTPUTF8" in taken.parameters and taken.sender == "süß@here.test"
    assert taken.content.endswith(content)


def test_limits_of_messages(relay, there):
    """RFC 9422 4.1"""
    there.extensions = [*EXTENSIONS, "LIMITS MAILMAX=2 RCPTMAX=100"]
    server = relay(outbound={"idle": "20s", "connections-per-site": 1})
    for number in range(5):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    there.wait_messages(5)
    assert max(session.verbs().count("MAIL") for session in there.sessions) <= 2


def test_limits_of_recipients(relay, there):
    """RFC 9422 4.2"""
    there.extensions = [*EXTENSIONS, "LIMITS RCPTMAX=3"]
    server = relay()
    to = [f"b{n}@there.test" for n in range(10)]
    hand_in(server, "a@here.test", to, message())
    there.wait(lambda: sum(len(taken.addresses) for taken in there.accepted) == 10, "10 recipients")
    assert sorted(sum((taken.addresses for taken in there.accepted), [])) == sorted(to)
    assert max(len(taken.addresses) for taken in there.accepted) <= 3
    rcpts = [line for line in there.commands if line.upper().startswith(b"RCPT")]
    assert len(rcpts) == 10  # none was sent in vain


# 8 bits and long lines

EIGHT = "Grüße aus Köln\r\n=3D soll bleiben \r\n.\r\n" + "ü" * 100 + "\r\n"


def eight_bit(kind, extra=""):
    head = f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n{extra}"
    return message("eight", extra=head, body=EIGHT).encode()


def test_eight_bit_is_declared(relay, there):
    server = relay()
    content = eight_bit("text/plain; charset=utf-8")
    hand_in(server, "a@here.test", "b@there.test", content, " BODY=8BITMIME")
    (taken,) = there.wait_messages(1)
    assert taken.parameters["BODY"] == "8BITMIME" and taken.content.endswith(content)


def decoded(taken):
    (encoding,) = taken.fields("content-transfer-encoding")
    body = taken.content.split(b"\r\n\r\n", 1)[1]
    assert max(taken.content) < 128 and max(map(len, taken.content.split(b"\r\n"))) <= 998
    return {"quoted-printable": quopri.decodestring, "base64": base64.b64decode}[encoding.lower()](body)


def test_eight_bit_becomes_seven(relay, there):
    """RFC 6152 3: the next hop lacks 8BITMIME."""
    there.extensions = without("8BITMIME", "SMTPUTF8")
    server = relay()
    hand_in(server, "a@here.test", "b@there.test", eight_bit("text/plain; charset=utf-8"), " BODY=8BITMIME")
    (taken,) = there.wait_messages(1)
    assert decoded(taken) == EIGHT.encode()
    assert "BODY" not in taken.parameters or taken.parameters["BODY"] == "7BIT"
    assert taken.fields("subject") == ["eight"]


def test_parts_become_seven_bit_one_by_one(relay, there):
    there.extensions = without("8BITMIME", "SMTPUTF8")
    server = relay()
    plain = "Content-Type: text/plain\r\n\r\nplain text stays as it is =3D\r\n"
    eight = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{EIGHT}"
    content = message(
        "parts",
        extra='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\nContent-Transfer-Encoding: 8bit\r\n',
        body=f"--b\r\n{plain}\r\n--b\r\n{eight}\r\n--b--\r\n",
    ).encode()
    hand_in(server, "a@here.test", "b@there.test", content, " BODY=8BITMIME")
    (taken,) = there.wait_messages(1)
    assert max(taken.content) < 128
    parts = taken.content.split(b"\r\n--b")
    assert parts[1].endswith(plain.encode().removesuffix(b"\r\n") + b"\r\n") or plain.encode() in parts[1] + b"\r\n"
    head, _, body = parts[2].partition(b"\r\n\r\n")
    encoding = re.search(rb"(?i)transfer-encoding: *(\S+)", head).group(1).lower()
    assert {b"quoted-printable": quopri.decodestring, b"base64": base64.b64decode}[encoding](body) == EIGHT.encode()


@pytest.mark.parametrize(
    "signed",
    [
        'multipart/signed; boundary="b"; protocol="application/pgp-signature"; micalg=pgp-sha256',
    ],
)
def test_signed_parts_are_never_changed(relay, there, signed):
    """5.6.3 instead: to change what others signed would break it."""
    there.extensions = without("8BITMIME", "SMTPUTF8")
    server = relay()
    content = message(
        "signed",
        extra=f"MIME-Version: 1.0\r\nContent-Type: {signed}\r\nContent-Transfer-Encoding: 8bit\r\n",
        body=f"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{EIGHT}\r\n"
        "--b\r\nContent-Type: application/pgp-signature\r\n\r\nxyz\r\n--b--\r\n",
    ).encode()
    hand_in(server, "alice@example.test", "b@there.test", content, " BODY=8BITMIME")
    assert report(server).summary == {"b@there.test": ("failed", "5.6.3")}
    assert there.count("DATA") == there.count("BDAT") == 0


def test_long_lines_are_encoded(relay, there):
    """RFC 5321 4.5.3.1.6: at most 998 octets; where nobody signed, the text is encoded."""
    server = relay()
    text = "long " * 1000 + "\r\nshort\r\n"
    extra = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
    hand_in(server, "a@here.test", "b@there.test", message("long", extra=extra, body=text))
    (taken,) = there.wait_messages(1)
    assert decoded(taken) == text.encode()


# LMTP


def test_lmtp(relay, there):
    with Remote(lmtp=True) as box:
        box.on("RCPT", "550 5.1.1 nobody", match="gone@").on("dot", "452 4.2.2 full", match="full@", times=1)
        server = relay({"box.test": box})
        content = message("box", body=DOTS).encode()
        to = ["fine@box.test", "full@box.test", "gone@box.test"]
        hand_in(server, "alice@example.test", to, content)
        box.wait(lambda: len(box.messages) == 2, "another attempt for who was full")
        assert box.sessions[0].verbs()[0] == "LHLO"
        assert box.messages[0].content.endswith(content)
        assert sorted(box.messages[0].addresses) == ["fine@box.test", "full@box.test"]
        assert box.messages[1].addresses == ["full@box.test"]
        wait_empty(server)
        assert report(server).summary == {"gone@box.test": ("failed", "5.1.1")}


def test_lmtp_over_a_unix_socket(relay, there, tmp_path):
    path = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o777)
        with Remote(lmtp=True) as box:
            server = relay({"box.test": f"lmtp:unix:{path}"})
            hand_in(server, "a@here.test", "b@box.test", message("over unix"))
            listener.settimeout(30)
            box.adopt(listener.accept()[0])
            assert box.wait_messages(1)[0].fields("subject") == ["over unix"]
        wait_empty(server)


# attempts


def test_deferred_then_delivered(relay, there):
    there.on("RCPT", "450 4.2.0 greylisted, come back", times=2)
    server = relay()
    hand_in(server, "a@here.test", "b@there.test", message())
    one = wait_deferred(server, "b@there.test")
    assert one["last"]["code"] == 450 and one["last"]["enhanced"] == "4.2.0" and "greylisted" in one["last"]["text"]
    assert there.wait_messages(1)[0].addresses == ["b@there.test"]
    assert there.count("RCPT") == 3
    wait_empty(server)


def test_queue_survives_a_restart(relay, there):
    there.on("MAIL", "451 4.3.0 not now")
    server = relay()
    for number in range(5):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    wait_deferred(server, "b@there.test")
    assert server.terminate() == 0
    server.wait_gone()
    there.forget()
    server.start()
    assert len({one.fields("subject")[0] for one in there.wait_messages(5)}) == 5
    wait_empty(server)


def test_queue_survives_a_kill(relay, there):
    there.on("MAIL", "451 4.3.0 not now")
    server = relay()
    for number in range(5):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    wait_deferred(server, "b@there.test")
    server.kill()
    there.forget()
    server.start()
    assert len({one.fields("subject")[0] for one in there.wait_messages(5)}) == 5
    wait_empty(server)


def test_lifetime_ends_in_a_report(relay, there):
    there.on("RCPT", "450 4.2.1 mailbox locked")
    server = relay(queue={"lifetime": "3s"})
    hand_in(server, "alice@example.test", "b@there.test", message())
    bounce = report(server)
    assert bounce.about("b@there.test")["action"].lower() == "failed"
    assert "mailbox locked" in bounce.about("b@there.test")["diagnostic-code"]
    wait_empty(server)


def test_reload_changes_the_route_of_what_waits(relay, there):
    there.on("MAIL", "451 4.3.0 not now")
    server = relay()
    hand_in(server, "a@here.test", "b@there.test", message())
    wait_deferred(server, "b@there.test")
    with Remote() as other:
        server.configure(configuration({"*": other}))
        server.command("reload")
        other.wait_messages(1)
        wait_empty(server)


def test_death_of_outbound(relay, there):
    """A killed process is replaced, and what it did goes on."""
    server = relay()
    hand_in(server, "a@here.test", "b@there.test", message("before"))
    there.wait_messages(1)
    pid = server.role_pid("outbound")
    os.kill(pid, signal.SIGKILL)
    hand_in(server, "a@here.test", "b@there.test", message("after"))
    poll(lambda: any(one.fields("subject") == ["after"] for one in there.accepted), 40, "delivery afterwards")
    wait_empty(server)
    assert recipients(server) == {}
