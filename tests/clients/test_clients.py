"""The programs people send mail with deliver to alice@example.test. What is not installed is skipped."""

import email.message
import email.policy
import shutil
import smtplib
import subprocess

import pytest

SUBJECT = "Grüße aus Köln 🐎"
ATTACHMENT = bytes(range(256)) * 8


def need(program):
    if not shutil.which(program):
        pytest.skip(f"no {program}")


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=60, **options)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout.decode(errors="replace")


def sample():
    mail = email.message.EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = "Bob <bob@there.example>", "alice@example.test", SUBJECT
    mail["Date"], mail["Message-ID"] = "Thu, 01 Jan 2026 00:00:00 +0000", "<sample@there.example>"
    mail.set_content("Schöne Grüße\n.\n..\n")
    mail.add_attachment(ATTACHMENT, maintype="application", subtype="octet-stream", filename="ä.bin")
    return mail


def check(server, octets=None, subject=SUBJECT, address="alice@example.test"):
    """One message arrived, as it was sent."""
    (mail,) = server.mail(address, 1)
    assert mail["subject"] == subject
    raw = server.raw(address)
    if octets:
        assert raw.endswith(octets)
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_smtplib(server):
    with smtplib.SMTP(server.host, server.port) as client:
        assert client.send_message(sample()) == {}
    parsed = check(server)
    assert parsed.get_body().get_content().replace("\r\n", "\n") == "Schöne Grüße\n.\n..\n"
    assert next(parsed.iter_attachments()).get_content() == ATTACHMENT


def test_smtplib_many_recipients(server):
    with smtplib.SMTP(server.host, server.port) as client:
        refused = client.sendmail(
            "bob@there.example",
            ["alice@example.test", "bob@example.test", "nobody@example.test"],
            sample().as_bytes(),
        )
    assert refused.keys() == {"nobody@example.test"} and refused["nobody@example.test"][0] == 550
    check(server)
    check(server, address="bob@example.test")


def test_smtplib_8bit_and_utf8(server):
    server.command("account", "add", "jürgen@example.test", "--password", "x y z 1 2 3")
    mail = sample().as_bytes(policy=email.policy.SMTPUTF8)
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail(
            "süß@there.example", ["jürgen@example.test"], mail, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    check(server, mail, address="jürgen@example.test")


def test_swaks(server, tmp_path):
    need("swaks")
    (tmp_path / "file").write_bytes(ATTACHMENT)
    said = run(
        "swaks",
        "--server",
        server.host,
        "--port",
        server.port,
        "--from",
        "bob@there.example",
        "--to",
        "alice@example.test",
        "--header",
        "Subject: from swaks",
        "--body",
        "hello\n.\nend",
        "--attach",
        f"@{tmp_path}/file",
    )
    assert "queued as" in said
    parsed = check(server, subject="from swaks")
    assert any(
        part.get_payload(decode=True) == ATTACHMENT for part in parsed.walk() if not part.is_multipart()
    )


def test_swaks_pipelined(server):
    need("swaks")
    run(
        "swaks",
        "--server",
        server.host,
        "--port",
        server.port,
        "--pipeline",
        "--from",
        "<>",
        "--to",
        "alice@example.test,bob@example.test",
        "--header",
        "Subject: pipelined",
    )
    check(server, subject="pipelined")
    check(server, subject="pipelined", address="bob@example.test")


def test_swaks_is_told_why(server):
    need("swaks")
    done = subprocess.run(
        [
            "swaks",
            "--server",
            server.host,
            "--port",
            str(server.port),
            "--to",
            "nobody@example.test",
            "--from",
            "b@there.example",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 24 and "550 5.1.1" in done.stdout


def test_curl(server, tmp_path):
    need("curl")
    octets = sample().as_bytes()
    (tmp_path / "mail").write_bytes(octets)
    run(
        "curl",
        "-sS",
        f"smtp://{server.host}:{server.port}/client.test",
        "--mail-from",
        "bob@there.example",
        "--mail-rcpt",
        "alice@example.test",
        "-T",
        tmp_path / "mail",
    )
    check(server, octets)


def test_curl_makes_the_message(server, tmp_path):
    """curl's own MIME composer."""
    need("curl")
    (tmp_path / "a.bin").write_bytes(ATTACHMENT)
    run(
        "curl",
        "-sS",
        f"smtp://{server.host}:{server.port}",
        "--mail-from",
        "bob@there.example",
        "--mail-rcpt",
        "alice@example.test",
        "-H",
        "Subject: from curl",
        "-H",
        "From: bob@there.example",
        "-F",
        "=hello;type=text/plain",
        "-F",
        f"file=@{tmp_path}/a.bin;encoder=base64",
    )
    parsed = check(server, subject="from curl")
    assert any(
        part.get_payload(decode=True) == ATTACHMENT for part in parsed.walk() if not part.is_multipart()
    )


def test_curl_vrfy_and_help(server):
    need("curl")
    assert "252" in run(
        "curl", "-sS", "-v", f"smtp://{server.host}:{server.port}", "--mail-rcpt", "alice", "--stderr", "-"
    )
    run("curl", "-sS", f"smtp://{server.host}:{server.port}", "--request", "HELP")


def test_msmtp(server, tmp_path):
    need("msmtp")
    octets = sample().as_bytes()
    run(
        "msmtp",
        "--file=/dev/null",
        f"--host={server.host}",
        f"--port={server.port}",
        "--auth=off",
        "--tls=off",
        "--from=bob@there.example",
        "--domain=client.test",
        "alice@example.test",
        input=octets,
    )
    check(server, octets)


def test_msmtp_says_what_the_server_said(server):
    need("msmtp")
    done = subprocess.run(
        [
            "msmtp",
            "--file=/dev/null",
            f"--host={server.host}",
            f"--port={server.port}",
            "--auth=off",
            "--tls=off",
            "--from=bob@there.example",
            "nobody@example.test",
        ],
        input=b"x\n",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode and b"550" in done.stderr


def test_msmtp_serverinfo(server):
    need("msmtp")
    said = run(
        "msmtp",
        "--file=/dev/null",
        "--serverinfo",
        f"--host={server.host}",
        f"--port={server.port}",
        "--tls=off",
    )
    assert "mx.example.test" in said and "PIPELINING" in said
