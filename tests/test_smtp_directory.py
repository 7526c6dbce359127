"""Where mail goes: aliases, catch-all, plus-addressing, disabled things, changed while the server runs."""

import re

import pytest

from harness.smtp import message


def deliver(server, *recipients, subject="test"):
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", list(recipients), message(subject))
        c.quit()


def refused(server, recipient, wanted):
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example>", 250)
        return c.cmd(f"RCPT TO:<{recipient}>", wanted)


def subjects(server, address):
    return [mail["subject"] for mail in server.mail(address)]


def test_plus_addressing(server):
    deliver(server, "alice+lists@example.test")
    server.mail("alice@example.test", 1)
    assert re.search(rb"^Delivered-To: <?alice", server.raw("alice@example.test"), re.M)


def test_separator_by_domain(server):
    server.command("domain", "set", "example.test", "--separator", "-")
    deliver(server, "alice-lists@example.test")
    server.mail("alice@example.test", 1)
    refused(server, "alice+lists@example.test", "550 5.1.1")


def test_case_of_letters(server):
    deliver(server, "ALICE@Example.TEST")
    server.mail("alice@example.test", 1)


def test_alias_with_several_targets(server):
    server.command("alias", "add", "both@example.test", "alice@example.test", "bob@example.test")
    deliver(server, "both@example.test")
    server.mail("alice@example.test", 1)
    server.mail("bob@example.test", 1)


def test_alias_of_alias_delivers_once(server):
    """Duplicates are removed: an account reached on three ways gets one copy."""
    server.command("alias", "add", "inner@example.test", "alice@example.test", "bob@example.test")
    server.command("alias", "add", "outer@example.test", "inner@example.test", "alice@example.test")
    deliver(server, "outer@example.test", "alice@example.test")
    server.mail("bob@example.test", 1)
    server.mail("alice@example.test", 1)


def test_catch_all(server):
    refused(server, "anything@example.test", "550 5.1.1")
    server.command("alias", "add", "@example.test", "alice@example.test")
    deliver(server, "anything@example.test")
    deliver(server, "bob@example.test")
    server.mail("alice@example.test", 1)
    server.mail("bob@example.test", 1)


def test_alias_removed(server):
    server.command("alias", "add", "x@example.test", "alice@example.test")
    deliver(server, "x@example.test")
    server.command("alias", "remove", "x@example.test")
    refused(server, "x@example.test", "550 5.1.1")
    server.mail("alice@example.test", 1)


def test_alias_import(server, tmp_path):
    file = tmp_path / "aliases"
    file.write_text("# comment\npostmaster: alice\nteam: alice,\n  bob\nroot: postmaster\n")
    server.command("alias", "import", str(file), "--domain", "example.test")
    deliver(server, "team@example.test")
    deliver(server, "root@example.test")
    server.mail("alice@example.test", 2)
    server.mail("bob@example.test", 1)


def test_postmaster_reaches_somebody(server):
    """RFC 5321 4.5.1, RFC 2142 4: the oldest account of the domain, unless an alias says who."""
    deliver(server, "postmaster@example.test")
    deliver(server, "abuse@example.test")
    server.mail("alice@example.test", 2)
    server.command("alias", "add", "postmaster@example.test", "bob@example.test")
    deliver(server, "postmaster@example.test")
    server.mail("bob@example.test", 1)


@pytest.mark.parametrize("what", ["account", "domain"])
def test_disabled_without_delete(server, what):
    name = "alice@example.test" if what == "account" else "example.test"
    deliver(server, "alice@example.test", subject="before")
    server.mail("alice@example.test", 1)
    server.command(what, "disable", name)
    refused(server, "alice@example.test", "5xx")
    assert subjects(server, "alice@example.test") == ["before"]
    server.command(what, "enable", name)
    deliver(server, "alice@example.test", subject="after")
    server.mail("alice@example.test", 2)


def test_account_added_while_running(server):
    refused(server, "carol@example.test", "550 5.1.1")
    server.command("account", "add", "carol@example.test", "--password", "x y z 1 2 3")
    deliver(server, "carol@example.test")
    server.mail("carol@example.test", 1)


def test_account_removed_while_running(server):
    server.command("account", "remove", "bob@example.test")
    refused(server, "bob@example.test", "550 5.1.1")
    assert server.run("mail", "list", "bob@example.test").returncode == 1


def test_domain_added_while_running(server):
    refused(server, "x@new.test", ("550 5.7.1", "554 5.7.1"))
    server.command("domain", "add", "new.test")
    server.command("account", "add", "x@new.test", "--password", "x y z 1 2 3")
    deliver(server, "x@new.test")
    server.mail("x@new.test", 1)


def test_unicode_domain(server):
    """RFC 5891: the same domain in both forms."""
    server.command("domain", "add", "bücher.test")
    server.command("account", "add", "x@bücher.test", "--password", "x y z 1 2 3")
    deliver(server, "x@xn--bcher-kva.test")
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@there.example> SMTPUTF8", 250)
        c.cmd("RCPT TO:<x@bücher.test>", 250)
        c.content(message())
    server.mail("x@bücher.test", 2)


def test_changes_outlive_a_crash(server):
    server.command("alias", "add", "x@example.test", "alice@example.test")
    server.command("account", "add", "carol@example.test", "--password", "x y z 1 2 3")
    server.kill()
    server.start()
    deliver(server, "x@example.test", "carol@example.test")
    server.mail("alice@example.test", 1)
    server.mail("carol@example.test", 1)
