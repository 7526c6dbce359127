"""The main job: mail comes in over ESMTP, is durable, lands in the right mailbox, and can be read."""

import base64
import re
import unicodedata

import pytest

from harness.smtp import message, queued_as

ID = r"[0-9a-z]{13}"


def split(raw):
    """Header lines (unfolded, [(name, value)]) and body of a message."""
    head, _, body = raw.partition(b"\r\n\r\n")
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", head)
    return [tuple(line.split(b":", 1)) for line in unfolded.split(b"\r\n")], body


def test_ehlo_names_what_is_offered(shared_server):
    with shared_server.smtp() as c:
        offered = c.hello()
        assert offered["SIZE"] == str(50 * 1024 * 1024)
        for keyword in ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"):
            assert keyword in offered
        assert "RCPTMAX=1000" in offered["LIMITS"].split()
        assert not {"BINARYMIME", "AUTH", "EXPN", "XCLIENT"} & offered.keys()
        c.quit()


def test_banner_names_the_host(shared_server):
    with shared_server.smtp() as c:
        assert re.match(r"mx\.example\.test ESMTP", c.banner.text)


def test_delivery(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        content = message("first", to=account)
        id = c.deliver("a@there.example", account, content)
        c.quit()
    (mail,) = shared_server.mail(account, 1)
    assert mail["id"] == id and mail["mailbox"] == "INBOX" and mail["uid"] == 1
    assert "a@there.example" in mail["from"] and account in mail["to"][0]
    assert mail["subject"] == "first" and re.fullmatch(r"2026-01-01T00:00:00(\.000)?Z", mail["date"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", mail["received"])
    raw = shared_server.raw(account)
    assert mail["size"] == len(raw) and mail["flags"] == []
    assert raw.endswith(content.encode())


def test_trace_fields(shared_server, account):
    """RFC 5321 4.4: Return-Path first, one Received of ours; `for` as there is one recipient."""
    with shared_server.smtp() as c:
        c.hello("client.test")
        id = c.deliver("a@there.example", account, message("trace"))
    shared_server.mail(account, 1)
    fields, _ = split(shared_server.raw(account))
    names = [name.lower() for name, _ in fields]
    assert names[0] == b"return-path" and fields[0][1].strip() == b"<a@there.example>"
    assert names.count(b"received") == 1 and names.count(b"delivered-to") == 1
    received = dict(fields)[b"Received"].decode()
    assert re.search(
        rf"from client\.test \(.*\[?127\.0\.0\.1\]?.*\)\s+by mx\.example\.test .*with ESMTP id {id}\s",
        received,
    )
    assert f"for <{account}>" in received
    assert re.search(r";\s+\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}( \(.*\))?$", received)
    assert account.encode() in dict(fields)[b"Delivered-To"]


def test_no_for_with_two_recipients(server):
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", ["alice@example.test", "bob@example.test"], message())
    server.mail("alice@example.test", 1)
    server.mail("bob@example.test", 1)
    for address in ("alice@example.test", "bob@example.test"):
        raw = server.raw(address)
        received = dict(split(raw)[0])[b"Received"]
        assert b" for " not in received
        other = b"bob" if address.startswith("alice") else b"alice"
        assert other + b"@example.test" not in raw.replace(b"To: <alice@example.test>", b"")


def test_helo_is_smtp(shared_server, account):
    with shared_server.smtp() as c:
        assert len(c.cmd("HELO client.test", 250).lines) == 1
        c.deliver("a@there.example", account, message())
    shared_server.mail(account, 1)
    assert re.search(rb" with SMTP id ", dict(split(shared_server.raw(account))[0])[b"Received"])


def test_foreign_return_path_goes(shared_server, account):
    """RFC 5321 4.4: final delivery removes what others wrote."""
    content = "Return-Path: <forged@evil.example>\r\n" + message(
        "rp", extra="Return-path: <other@evil.example>\r\n"
    )
    with shared_server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", account, content)
    shared_server.mail(account, 1)
    raw = shared_server.raw(account)
    assert raw.lower().count(b"return-path:") == 1 and b"evil.example" not in raw


def test_null_reverse_path(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        c.deliver("", account, message())
    shared_server.mail(account, 1)
    assert shared_server.raw(account).startswith(b"Return-Path: <>\r\n")


def test_several_messages_over_one_connection(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        ids = [c.deliver("a@there.example", account, message(f"no{i}")) for i in range(5)]
        c.quit()
    mails = shared_server.mail(account, 5)
    assert [mail["id"] for mail in mails] == ids and len(set(ids)) == 5
    assert [mail["subject"] for mail in mails] == [f"no{i}" for i in range(5)]
    assert [mail["uid"] for mail in mails] == sorted(mail["uid"] for mail in mails)


def test_show_encoded_subject_and_attachment(shared_server, account):
    attachment = bytes(range(256))
    content = message(
        "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IPCfkI4=?=",
        extra=("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"),
        body=(
            "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "Sch=F6ne Gr=FC=DFe\r\n--b\r\nContent-Type: application/octet-stream; name=all.bin\r\n"
            "Content-Disposition: attachment; filename=all.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(attachment).decode().replace("\n", "\r\n")
            + "--b--\r\n"
        ),
    )
    with shared_server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", account, content)
    (mail,) = shared_server.mail(account, 1)
    assert mail["subject"] == "Grüße 🐎"
    shown = shared_server.command("mail", "show", account)
    assert "Grüße 🐎" in shown and "Schöne Grüße" in shown and "all.bin" in shown


def test_eight_bit_content_is_kept(shared_server, account):
    """RFC 6152: every octet but NUL, CR and LF survives."""
    octets = bytes(set(range(1, 256)) - {10, 13})
    content = message("8bit", extra="Content-Transfer-Encoding: 8bit\r\n").encode() + octets + b"\r\n"
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example> BODY=8BITMIME", 250)
        c.cmd(f"RCPT TO:<{account}>", 250)
        c.content(content)
    shared_server.mail(account, 1)
    assert shared_server.raw(account).endswith(content)


def test_smtputf8(server):
    """RFC 6531; RFC 5321 local parts compare after NFC, whichever form the client sends."""
    server.command("account", "add", "jürgen@example.test", "--password", "x y z 1 2 3")
    content = message("Üben", sender="süß@there.example", to="jürgen@example.test").encode()
    with server.smtp() as c:
        c.hello()
        for form in ("NFC", "NFD"):
            address = unicodedata.normalize(form, "jürgen@example.test")
            c.cmd("MAIL FROM:<süß@there.example> SMTPUTF8 BODY=8BITMIME", 250)
            c.cmd(f"RCPT TO:<{address}>", 250)
            c.content(content)
    mails = server.mail("jürgen@example.test", 2)
    assert mails[0]["subject"] == "Üben" and "süß@there.example" in mails[0]["from"]
    raw = server.raw("jürgen@example.test", mails[0]["uid"])
    assert raw.endswith(content) and b" with UTF8SMTP id " in dict(split(raw)[0])[b"Received"]


def test_utf8_recipient_needs_smtputf8(server):
    server.command("account", "add", "jürgen@example.test", "--password", "x y z 1 2 3")
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example>", 250)
        c.cmd("RCPT TO:<jürgen@example.test>", "553 5.6.7")


@pytest.mark.parametrize("chunks", [1, 2, 7])
def test_bdat(shared_server, account, chunks):
    """RFC 3030: octets by count; dots and what looks like an end are content."""
    content = message("bdat", body=".\r\n..\r\n.dot\r\nQUIT\r\n").encode()
    size = -(-len(content) // chunks)
    with shared_server.smtp() as c:
        c.hello()
        c.envelope("a@there.example", account)
        for at in range(0, len(content), size):
            part = content[at : at + size]
            last = " LAST" if at + size >= len(content) else ""
            c.send(f"BDAT {len(part)}{last}\r\n".encode() + part)
            reply = c.expect(250)
        queued_as(reply)
        c.quit()
    shared_server.mail(account, 1)
    assert shared_server.raw(account).endswith(content)


def test_bdat_last_may_be_empty(shared_server, account):
    content = message("bdat").encode()
    with shared_server.smtp() as c:
        c.hello()
        c.envelope("a@there.example", account)
        c.send(b"BDAT %d\r\n%sBDAT 0 LAST\r\n" % (len(content), content))
        c.expect(250)
        queued_as(c.expect(250))
    shared_server.mail(account, 1)
    assert shared_server.raw(account).endswith(content)


def test_binarymime_is_refused(shared_server):
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example> BODY=BINARYMIME", "501 5.5.4")


def test_dsn_parameters(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example> RET=HDRS ENVID=QQ+2B314159", 250)
        c.cmd(f"RCPT TO:<{account}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{account}", 250)
        c.cmd(f"RCPT TO:<{account}> NOTIFY=NEVER", 250)
        c.content(message())
        for bad in ("RET=ALL", "RET=FULL RET=FULL", "ENVID=a+b", "ENVID="):
            c.cmd(f"MAIL FROM:<a@there.example> {bad}", "501 5.5.4")
        c.cmd("MAIL FROM:<a@there.example>", 250)
        for bad in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY=x", "ORCPT=rfc822", "ORCPT=;x"):
            c.cmd(f"RCPT TO:<{account}> {bad}", "501 5.5.4")
    shared_server.mail(account, 1)


def test_unknown_parameters(shared_server, account):
    """RFC 5321 4.1.1.11: 555."""
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example> COLOUR=RED", "555 5.5.4")
        c.cmd("MAIL FROM:<a@there.example>", 250)
        c.cmd(f"RCPT TO:<{account}> COLOUR=RED", "555 5.5.4")


def test_postmaster_without_domain(server):
    """RFC 5321 4.5.1: always accepted, in any case of letters."""
    with server.smtp() as c:
        c.hello()
        for address in ("postmaster", "PostMaster", "postmaster@example.test", "abuse@example.test"):
            c.deliver("a@there.example", address, message())
        c.quit()


def test_commands_about_nothing(shared_server):
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("NOOP", "250 2.0.0")
        c.cmd("NOOP with words", 250)
        c.cmd("HELP", 214)
        c.cmd("RSET", "250 2.0.0")
        c.cmd("VRFY alice", "252 2.1.5")
        c.cmd("EXPN list", "502 5.5.1")
        c.cmd("BLAH", ("500 5.5.1", "500 5.5.2"))
        c.cmd("nOoP", 250)
        c.cmd("QUIT now", "501 5.5.4")
        c.quit()


def test_rset_and_ehlo_forget_the_transaction(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        for forget in ("RSET", "EHLO again.test"):
            c.envelope("a@there.example", account)
            c.cmd(forget, 250)
            c.cmd("DATA", 503)
        c.deliver("a@there.example", account, message())
    shared_server.mail(account, 1)


def test_pipelined_group(shared_server, account):
    """RFC 2920: replies in order; one refused recipient does not stop the others."""
    with shared_server.smtp() as c:
        c.hello()
        c.send(
            f"MAIL FROM:<a@there.example>\r\nRCPT TO:<nobody.here@example.test>\r\nRCPT TO:<{account}>\r\nDATA\r\n"
        )
        c.expect(250)
        c.expect("550 5.1.1")
        c.expect(250)
        c.expect(354)
        c.send(message("one") + f".\r\nMAIL FROM:<a@there.example>\r\nRCPT TO:<{account}>\r\nDATA\r\n")
        queued_as(c.expect(250))
        for code in (250, 250, 354):
            c.expect(code)
        c.send(message("two") + ".\r\nQUIT\r\n")
        queued_as(c.expect(250))
        c.expect(221)
        c.at_end()
    assert [mail["subject"] for mail in shared_server.mail(account, 2)] == ["one", "two"]


def test_one_octet_at_a_time(shared_server, account):
    content = message("slow", body=".\r\n..\r\nx\r\n")
    stuffed = content.replace("\r\n.", "\r\n..")
    with shared_server.smtp() as c:
        stream = (
            f"EHLO client.test\r\nMAIL FROM:<a@there.example>\r\nRCPT TO:<{account}>\r\nDATA\r\n",
            stuffed + ".\r\nQUIT\r\n",
        )
        for part, codes in zip(stream, ((250, 250, 250, 354), (250, 221))):
            for octet in part:
                c.send(octet)
            for code in codes:
                c.expect(code)
    shared_server.mail(account, 1)
    assert shared_server.raw(account).endswith(content.encode())


def test_declared_size(shared_server, account):
    with shared_server.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<a@there.example> SIZE={50 * 1024 * 1024 + 1}", "552 5.3.4")
        c.cmd(f"MAIL FROM:<a@there.example> SIZE={50 * 1024 * 1024}", 250)


def test_large_message(shared_server, account):
    """Above spool { large } the content goes the other way; it must come out the same."""
    line = b"0123456789abcdef" * 4 + b"\r\n"
    content = message("large").encode() + line * 40000
    with shared_server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", account, content)
    (mail,) = shared_server.mail(account, 1)
    assert shared_server.raw(account).endswith(content) and mail["size"] > len(content)


def test_configured_limits(make_server):
    server = make_server(config='limits { message-size = "64K"  recipients = 100 }')
    with server.smtp() as c:
        assert c.hello()["SIZE"] == "65536"
        c.cmd("MAIL FROM:<a@there.example> SIZE=65537", "552 5.3.4")
        c.envelope("a@there.example", *["alice@example.test", "bob@example.test"] * 50)
        c.cmd("RCPT TO:<postmaster>", "452 4.5.3")
        c.content(message() + ("x" * 70 + "\r\n") * 1000, "552 5.3.4")
        c.deliver("a@there.example", "alice@example.test", message("fits"))
    assert [mail["subject"] for mail in server.mail("alice@example.test", 1)] == ["fits"]


def test_other_domains_are_refused(shared_server):
    with shared_server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example>", 250)
        c.cmd("RCPT TO:<b@there.example>", ("550 5.7.1", "554 5.7.1"))
        c.cmd("RCPT TO:<nobody.here@example.test>", "550 5.1.1")


def test_submission_for_local_recipients(make_server):
    """Until passwords come with TLS, 2587 serves loopback for local recipients."""
    from harness.smtp import Smtp

    server = make_server(submission=True)
    with Smtp(server.host, server.submission_port) as c:
        c.hello()
        c.deliver("bob@example.test", "alice@example.test", message("submitted"))
        c.quit()
    assert server.mail("alice@example.test", 1)[0]["subject"] == "submitted"


def test_accepted_mail_survives_a_crash(server):
    with server.smtp() as c:
        c.hello()
        ids = [c.deliver("a@there.example", "alice@example.test", message(f"n{i}")) for i in range(10)]
    server.kill()
    server.start()
    assert sorted(mail["id"] for mail in server.mail("alice@example.test", 10)) == sorted(ids)
