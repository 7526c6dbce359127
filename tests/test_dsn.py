"""Delivery status notifications (RFC 3461 to 3464, 6522, 6533): who hears what, and in which form."""

import pytest

from harness.relay import hand_in, parse_report, report, reports, wait_deferred, wait_empty
from harness.remote import EXTENSIONS, Remote
from harness.smtp import message

ALICE = "alice@example.test"
NO_DSN = [word for word in EXTENSIONS if word != "DSN"]


def refuse(there, text="550 5.1.1 no such user here"):
    there.on("RCPT", text, match="bad")


# failure


def test_failure_by_default(relay, there):
    refuse(there)
    server = relay()
    content = message("lost", body="the words that did not arrive\r\n").encode()
    hand_in(server, ALICE, ["bad@there.test", "good@there.test"], content)
    bounce = report(server)
    assert bounce.summary == {"bad@there.test": ("failed", "5.1.1")}
    about = bounce.about("bad@there.test")
    assert about["diagnostic-code"].replace(" ", "").startswith("smtp;550")
    assert "no such user here" in about["diagnostic-code"]
    assert "remote-mta" in about and about["remote-mta"].startswith("dns;")
    assert bounce.fields["reporting-mta"].split(";")[1].strip() == "mx.example.test"
    assert "arrival-date" in bounce.fields
    assert bounce.returned_type == "message/rfc822" and bounce.returned.rstrip().endswith(content.rstrip())
    assert "bad@there.test" in bounce.text and "good@there.test" not in bounce.text
    assert "no such user here" in bounce.text
    assert bounce.message["to"].addresses[0].addr_spec == ALICE
    assert there.wait_messages(1)[0].addresses == ["good@there.test"]


def test_one_report_for_recipients_that_fail_together(relay, there):
    refuse(there)
    server = relay()
    hand_in(server, ALICE, ["bad1@there.test", "bad2@there.test", "bad3@there.test"], message())
    bounce = report(server)
    assert bounce.summary == {f"bad{n}@there.test": ("failed", "5.1.1") for n in (1, 2, 3)}
    wait_empty(server)
    assert len(server.mail()) == 1


def test_failure_of_the_whole_message(relay, there):
    there.on("dot", "554 5.7.1 content refused")
    server = relay()
    hand_in(server, ALICE, ["b@there.test", "c@there.test"], message())
    assert report(server).summary == {f"{n}@there.test": ("failed", "5.7.1") for n in "bc"}


def test_reply_without_enhanced_code(relay, there):
    refuse(there, "550 no")
    server = relay()
    hand_in(server, ALICE, "bad@there.test", message())
    action, status = report(server).summary["bad@there.test"]
    assert action == "failed" and status.startswith("5.")


def test_failure_is_sent_out(relay, there):
    """A sender elsewhere: from nobody, with NOTIFY=NEVER (RFC 3461 6.1)."""
    refuse(there)
    with Remote() as home:
        server = relay({"home.test": home})
        hand_in(server, "ann@home.test", "bad@there.test", message(), " ENVID=abc+2Bd")
        (taken,) = home.wait_messages(1)
        assert (taken.sender, taken.addresses) == ("", ["ann@home.test"])
        assert taken.recipients[0][1].get("NOTIFY", "NEVER") == "NEVER"
        bounce = parse_report(taken.content)
        assert bounce.fields["original-envelope-id"] == "abc+d"
        wait_empty(server)


def test_never_a_report_about_a_report(relay, there):
    refuse(there)
    server = relay()
    hand_in(server, "", "bad@there.test", message())
    hand_in(server, ALICE, "good@there.test", message())
    there.wait_messages(1)
    wait_empty(server)
    assert there.count("MAIL") == 2 and server.mail() == []


def test_sender_that_does_not_exist(relay, there):
    """The report itself fails: that is the end of it, unless the postmaster wants to know."""
    refuse(there)
    server = relay({"home.test": there})
    there.on("RCPT", "550 5.1.1 nobody", match="ann@")
    hand_in(server, "ann@home.test", "bad@there.test", message())
    wait_empty(server)
    assert there.count("MAIL") == 2 and not there.accepted


def test_double_bounces_for_the_postmaster(relay, there):
    refuse(there)
    server = relay(dsn={"double-bounces": True}, top='postmaster = "alice@example.test"')
    there.on("RCPT", "550 5.1.1 nobody", match="ann@")
    hand_in(server, "ann@home.test", "bad@there.test", message())
    server.mail(count=1)
    wait_empty(server)


# what the sender asked for


@pytest.mark.parametrize(
    "notify, heard",
    [("NEVER", False), ("SUCCESS", False), ("DELAY", False), ("FAILURE", True), ("SUCCESS,FAILURE", True)],
)
def test_notify_and_failure(relay, there, notify, heard):
    refuse(there)
    server = relay()
    hand_in(server, ALICE, "bad@there.test", message(), rcpt_parameters=f" NOTIFY={notify}")
    if heard:
        assert report(server).summary == {"bad@there.test": ("failed", "5.1.1")}
    wait_empty(server)
    assert len(server.mail()) == heard


def test_only_those_who_asked(relay, there):
    refuse(there)
    server = relay()
    with server.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{ALICE}>", 250)
        c.cmd("RCPT TO:<bad1@there.test> NOTIFY=NEVER", 250)
        c.cmd("RCPT TO:<bad2@there.test> NOTIFY=FAILURE", 250)
        c.cmd("RCPT TO:<bad3@there.test>", 250)
        c.content(message())
    assert set(report(server).summary) == {"bad2@there.test", "bad3@there.test"}


@pytest.mark.parametrize("extensions, action", [(NO_DSN, "relayed"), (EXTENSIONS, None)])
def test_success_out(relay, there, extensions, action):
    """RFC 3461 5.2.2: relayed, where the next hop will not report; else it is the next hop's turn."""
    there.extensions = list(extensions)
    server = relay()
    hand_in(server, ALICE, "b@there.test", message(), rcpt_parameters=" NOTIFY=SUCCESS")
    there.wait_messages(1)
    wait_empty(server)
    if action:
        told = report(server)
        assert told.summary == {"b@there.test": (action, "2.0.0")} or told.about("b@there.test")["action"] == action
        assert told.about("b@there.test")["status"].startswith("2.")
        assert told.returned_type.endswith("headers")  # RFC 3461 4.3: the whole only where something failed
    else:
        assert there.accepted[0].recipients[0][1]["NOTIFY"] == "SUCCESS" and server.mail() == []


def test_success_into_a_mailbox(relay):
    server = relay()
    hand_in(server, ALICE, "bob@example.test", message(), rcpt_parameters=" NOTIFY=SUCCESS")
    told = report(server)
    assert told.about("bob@example.test")["action"].lower() == "delivered"
    assert told.about("bob@example.test")["status"].startswith("2.")


def test_success_by_lmtp(relay):
    with Remote(lmtp=True) as box:
        server = relay({"box.test": box})
        hand_in(server, ALICE, "b@box.test", message(), rcpt_parameters=" NOTIFY=SUCCESS")
        assert report(server).about("b@box.test")["action"].lower() == "delivered"


def test_success_of_a_list(relay, there):
    server = relay()
    server.command("alias", "add", "list@example.test", "bob@example.test", "b@there.test")
    hand_in(server, ALICE, "list@example.test", message(), rcpt_parameters=" NOTIFY=SUCCESS")
    told = report(server)
    assert told.about("list@example.test")["action"].lower() == "expanded"
    there.wait_messages(1)
    wait_empty(server)
    assert len(server.mail()) == 1


def test_strangers_may_not_ask(relay, there):
    """dsn { strangers = no }: who may not relay is told of failures only."""
    with Remote() as home:
        server = relay({"home.test": home}, dsn={"strangers": False})
        config = server.config_path.read_text().replace("127.0.0.0/8", "127.77.0.0/16")
        server.config_path.write_text(config)
        server.command("reload")
        for source, answer in (("127.88.0.1", "555 5.5.4"), ("127.77.0.1", 250)):
            with server.smtp(source=source) as c:
                assert ("DSN" in c.hello()) == (answer == 250)
                c.cmd("MAIL FROM:<ann@home.test>", 250)
                c.cmd("RCPT TO:<bob@example.test> NOTIFY=SUCCESS", answer)
                if answer == 250:
                    c.content(message())
        told = parse_report(home.wait_messages(1)[0].content)
        assert told.about("bob@example.test")["action"].lower() == "delivered"


def test_delay(relay, there):
    there.on("RCPT", "450 4.2.0 greylisted")
    server = relay(queue={"warn-after": "2s"})
    hand_in(server, ALICE, "b@there.test", message())
    told = report(server)
    about = told.about("b@there.test")
    assert about["action"].lower() == "delayed" and about["status"].startswith("4.")
    assert "will-retry-until" in about
    assert told.returned_type.endswith("headers")
    there.forget()
    there.wait_messages(1)
    wait_empty(server)
    assert len(server.mail()) == 1  # once


@pytest.mark.parametrize("notify, heard", [("NEVER", 0), ("FAILURE", 0), ("DELAY", 1)])
def test_notify_and_delay(relay, there, notify, heard):
    there.on("RCPT", "450 4.2.0 greylisted")
    server = relay(queue={"warn-after": "1s"})
    hand_in(server, ALICE, "b@there.test", message(), rcpt_parameters=f" NOTIFY={notify}")
    wait_deferred(server, "b@there.test", attempts=4)
    assert len(server.mail()) == heard
    there.forget()
    wait_empty(server)


# form


@pytest.mark.parametrize("ret, full", [("FULL", True), ("HDRS", False)])
def test_ret(relay, there, ret, full):
    refuse(there)
    server = relay()
    hand_in(server, ALICE, "bad@there.test", message("quoted", body="the body\r\n"), f" RET={ret}")
    bounce = report(server)
    assert bounce.returned_type == ("message/rfc822" if full else "text/rfc822-headers")
    assert (b"the body" in bounce.returned) == full
    assert b"Subject: quoted" in bounce.returned


def test_large_content_is_not_quoted(relay, there):
    refuse(there)
    server = relay(dsn={"quote": "4K"})
    hand_in(server, ALICE, "bad@there.test", message("large", body=("x" * 70 + "\r\n") * 1000))
    bounce = report(server)
    assert len(bounce.raw) < 20_000 and b"Subject: large" in bounce.returned
    assert bounce.returned_type == "text/rfc822-headers"


def test_envelope_id_and_original_recipient(relay, there):
    refuse(there)
    server = relay()
    hand_in(
        server,
        ALICE,
        "bad@there.test",
        message(),
        " ENVID=QQ+2B314+20x",
        " ORCPT=rfc822;The+20Other@first.test",
    )
    bounce = report(server)
    assert bounce.fields["original-envelope-id"] == "QQ+314 x"
    assert bounce.about("bad@there.test")["original-recipient"].replace(" ", "", 1) in (
        "rfc822;The Other@first.test",
        "rfc822;TheOther@first.test",
        "rfc822;The+20Other@first.test",
    )


def test_utf8_address(relay, there):
    """RFC 6533 for a sender whose address needs it."""
    refuse(there, "550 5.1.1 kein Empfänger")
    with Remote() as home:
        server = relay({"home.test": home})
        content = message("Üben", sender="süß@home.test", to="bad-ü@there.test").encode()
        hand_in(server, "süß@home.test", "bad-ü@there.test", content, " SMTPUTF8")
        (taken,) = home.wait_messages(1)
        assert "SMTPUTF8" in taken.parameters
        bounce = parse_report(taken.content)
        assert bounce.message.get_param("report-type") == "global-delivery-status" or b"bad-" in bounce.raw
        assert bounce.recipients[0]["final-recipient"].split(";")[0].strip().lower() in ("utf-8", "rfc822")
        assert "bad-ü@there.test" in taken.content.decode()


def test_many_recipients_in_one_report(relay, there):
    refuse(there)
    server = relay()
    to = [f"bad{n}@there.test" for n in range(200)]
    hand_in(server, ALICE, to, message())
    wait_empty(server)
    told = {}
    for one in reports(server, count=0):
        told |= one.summary
    assert set(told) == set(to) and len(server.mail()) <= 3
