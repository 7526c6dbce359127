"""Listening everywhere, on both families at once, and what is ours without naming a domain."""

import socket

import pytest

from harness.smtp import message


def free_port():
    with socket.socket(socket.AF_INET6) as s:
        s.bind(("::", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("addresses", ['"0.0.0.0:{0}", "[::]:{0}"', '"[::]:{0}"'])
def test_wildcards_of_both_families(make_server, addresses):
    port = free_port()
    make_server(config=f'listen "any" {{ protocol = smtp  address = {{{addresses.format(port)}}} }}')
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, port), timeout=10) as s:
            assert s.makefile("rb").readline().startswith(b"220 ")


def test_address_literals_and_postmaster(make_server):
    server = make_server(
        top='origin = "example.test"\nown-addresses = {"192.0.2.1", "2001:db8::1"}\npostmaster = "bob@example.test"'
    )
    with server.smtp() as c:
        c.hello()
        ours = ["alice@[192.0.2.1]", "alice@[IPv6:2001:db8::1]", "postmaster", "abuse@example.test"]
        c.deliver("a@there.example", ours, message("literal"))
        c.cmd("MAIL FROM:<a@there.example>", 250)
        c.cmd("RCPT TO:<alice@[192.0.2.2]>", "550 5.7.1")
        c.quit()
    server.mail("alice@example.test", 1)
    server.mail("bob@example.test", 1)
