"""hostile.md section 1, rows about addresses, relaying and what is made of them. A test's number is its row."""

import time

import pytest
from answers import mail_answer, rcpt_answer

from harness.smtp import message


def test_010_nul(target):
    start = len(target.log())
    mail_answer(target, b"<a\0b@evil.example>", ("501 5.1.7", "501 5.5.2", "500 5.5.2"))
    rcpt_answer(target, b"<user\0@here.example>", "5xx")
    with target.smtp() as c:
        c.cmd(b"EHLO cli\0ent", "5xx")
        c.cmd(b"NO\0OP", "5xx")
    assert "\0" not in target.log()[start:]


def test_011_octets_without_smtputf8(target):
    mail_answer(target, b"<\xe4@evil.example>", "553 5.6.7")


@pytest.mark.parametrize(
    "address",
    [
        b"<\xc0\xaf@evil.example>",
        b"<a\xe2\x82@evil.example>",
        b"<\xed\xa0\x80@evil.example>",
        b"<a@\xff.example>",
        b"<\xf4\x90\x80\x80@evil.example>",
    ],
    ids=repr,
)
def test_012_invalid_utf8(target, address):
    mail_answer(target, address + b" SMTPUTF8", ("553 5.6.7", "501 5.6.7"))


@pytest.mark.parametrize(
    "local, domain, fits",
    [
        (64, "here.example", True),
        (65, "here.example", False),
        (4, "x" * 64 + ".example", False),
        (4, ".".join(["x" * 63] * 4) + ".example", False),
        (4, ".".join(["x" * 50] * 5), False),
    ],
)
def test_013_lengths(target, local, domain, fits):
    argument = f"<{'l' * local}@{domain}>"
    rcpt_answer(target, argument, "550 5.1.1" if fits else ("501 5.1.3", "553 5.1.3"))
    mail_answer(
        target, argument.encode(), 250 if fits else ("501 5.1.7", "553 5.1.7", "501 5.1.3", "553 5.1.3")
    )


@pytest.mark.parametrize(
    "sender, recipient, wanted",
    [
        pytest.param("a@evil.example", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row30"),
        pytest.param("a@evil.example", "b%there.example@here.example", "550 5.1.1", id="row31"),
        pytest.param("a@evil.example", '"b@there.example"@here.example', "550 5.1.1", id="row32"),
        pytest.param("a@evil.example", '"b@there.example"', "501 5.1.3", id="row32b"),
        pytest.param("a@evil.example", "b@there.example@here.example", "501 5.1.3", id="row33"),
        pytest.param(
            "a@evil.example", "@here.example:b@there.example", ("550 5.7.1", "554 5.7.1"), id="row34"
        ),
        pytest.param("user@here.example", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row35"),
        pytest.param("", "b@there.example", ("550 5.7.1", "554 5.7.1"), id="row36"),
        pytest.param("a@evil.example", "there.example!b@here.example", "550 5.1.1", id="bang"),
        pytest.param("a@evil.example", "b@[192.0.2.1]", "5xx", id="literal"),
    ],
)
def test_030_to_036_relaying(target, sender, recipient, wanted):
    with target.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        c.cmd(f"RCPT TO:<{recipient}>", wanted)
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))


def test_034_source_route_to_a_local_user(target, mailbox):
    """RFC 5321 4.1.2: the route is ignored."""
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", "@x.example,@y.example:" + mailbox, message())
    target.mail(mailbox, 1)


@pytest.mark.parametrize(
    "name",
    [
        b"foo\nX-Injected: yes",
        b"foo) by fake (",
        b"foo\rbar",
        b"foo bar(baz)",
        b"",
        b"\x1b[31mred",
        b"<script>",
        b"foo;id",
    ],
    ids=repr,
)
def test_037_ehlo_injection(target, mailbox, name):
    start = len(target.log())
    with target.smtp() as c:
        c.send(b"EHLO " + name + b"\r\n")
        c.expect(("501 5.5.4", "501 5.5.2", "500 5.5.2"))
        if b"\n" in name:  # a bare LF: whatever it is, it is not a second command that works
            c.send(b"NOOP\r\n")
            c.expect(("250", "5xx"))
    assert "X-Injected" not in target.log()[start:].replace("\\nX-Injected", "").replace(
        "\\x0aX-Injected", ""
    )


def test_046_unknown_user(target):
    before = len(target.mail("user@here.example"))
    with target.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<user@here.example>", 250)
        c.cmd("RCPT TO:<nobody@here.example>", "550 5.1.1")
        c.cmd("DATA", ("503 5.5.1", "554 5.5.1"))
        c.quit()
    assert len(target.mail("user@here.example")) == before


@pytest.mark.parametrize(
    "command, wanted",
    [
        ("MAIL FROM:<;sleep 66;@evil.example>", ("501", "553")),
        ("RCPT TO:<-oQ/tmp@here.example>", "550 5.1.1"),
        ('RCPT TO:<"|/bin/sh"@here.example>', "550 5.1.1"),
        ("RCPT TO:<|/bin/sh@here.example>", "550 5.1.1"),
        ("RCPT TO:<`id`@here.example>", "550 5.1.1"),
        ("RCPT TO:<-f@here.example>", "550 5.1.1"),
    ],
)
def test_053_shell(target, command, wanted):
    with target.smtp() as c:
        c.hello()
        if command.startswith("RCPT"):
            c.cmd("MAIL FROM:<a@evil.example>", 250)
        c.cmd(command, wanted)


def test_054_expansion(target):
    rcpt_answer(target, "<root+${run{/bin/id}}@here.example>", "550 5.1.1")


@pytest.mark.parametrize(
    "local", ["../../../etc/passwd", "a/../../b", ".", "..", "/etc/passwd", "~root", "con.", "a//b"]
)
def test_055_paths(target, local):
    rcpt_answer(target, f"<{local}@here.example>", ("550 5.1.1", "501 5.1.3", "553 5.1.3"))
    rcpt_answer(target, f'<"{local}"@here.example>', "550 5.1.1")


def test_056_forms_of_a_domain(target, mailbox):
    local = mailbox.partition("@")[0]
    with target.smtp() as c:
        c.hello()
        c.deliver("a@evil.example", f"{local}@HERE.EXAMPLE", message("capitals"))
        c.cmd("MAIL FROM:<a@evil.example>", 250)
        for form, wanted in (
            (f"{local}@here.example.", ("501 5.1.3", 250)),
            (f"{local}@[127.0.0.1]", (250, "5xx")),
            (f"{local}@[IPv6:::1]", (250, "5xx")),
            (f"{local}@[300.1.1.1]", "501 5.1.3"),
            (f"{local}@[1.2.3]", "501 5.1.3"),
            (f"{local}@[IPv6:1::2::3]", "501 5.1.3"),
            (f"{local}@[", "501 5.1.3"),
            (f"{local}@", "501 5.1.3"),
            ("@here.example", "501 5.1.3"),
            (local, "501 5.1.3"),
        ):
            c.cmd(f"RCPT TO:<{form}>", wanted)
    target.mail(mailbox, 1)


@pytest.mark.parametrize(
    "argument",
    [
        b'<"' + b"\\" * 1900 + b'"@here.example>',
        b"<" + b"(" * 500 + b")" * 500 + b"user@here.example>",
        b"<" + b"@a," * 600 + b">",
        b'<"' + b'""' * 900 + b">",
        b"<" + b"a." * 1000 + b">",
    ],
    ids=["backslashes", "comments", "routes", "quotes", "dots"],
)
def test_057_linear_time(target, argument):
    begun = time.monotonic()
    rcpt_answer(target, argument, ("501 5.1.3", "553 5.1.3"))
    assert time.monotonic() - begun < 2
