"""hostile.md section 5 and row 47: where a stranger's DNS would have us send mail. A test's number is its row."""

import socket

import pytest

from harness.relay import configuration, hand_in, report, reports, wait_deferred, wait_empty
from harness.remote import Remote
from harness.server import free_address
from harness.smtp import message

USER = "user@here.example"


@pytest.fixture
def sender(make_target, zones):
    """sender("@ MX 10 mx", …): a watched server for which evil.example is this zone; its exchangers on port 2525."""

    def make(lines, mx_private=False, more=None, **options):
        served = zones({"evil.example": lines} | (more or {}))
        make.zones = served
        return make_target(
            config=configuration({"evil.example": "smtp:evil.example:2525"}, dns=served.config(), **options),
            top=f"mx-private = {'yes' if mx_private else 'no'}",
        )

    return make


@pytest.fixture
def host():
    with Remote() as remote:
        yield remote


def bounced(server, *statuses, address="b@evil.example"):
    hand_in(server, USER, address, message())
    told = report(server, USER)
    action, status = told.summary[address]
    assert action == "failed" and status in statuses, told.summary
    wait_empty(server)
    return told


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no network but loopback")
        return probe.getsockname()[0]


def all_bounce(make_target, zones, records, *statuses):
    """A domain a record, on one server: each is refused with one of these."""
    names = {f"d{number}.example": record for number, record in enumerate(records)}
    served = zones({name: f"@ MX 10 mx\nmx {record}\n" for name, record in names.items()})
    routes = {name: f"smtp:{name}:2525" for name in names}
    server = make_target(config=configuration(routes, dns=served.config()), top="mx-private = no")
    for name in names:
        hand_in(server, USER, f"b@{name}", message())
    told = {}
    for one in reports(server, USER, len(names)):
        told |= one.summary
    wrong = {names[a.split("@")[1]]: how for a, how in told.items() if how not in [("failed", s) for s in statuses]}
    assert not wrong and len(told) == len(names)
    wait_empty(server)


def test_129_loopback_and_unspecified(make_target, zones):
    records = ["A 127.0.0.1", "A 127.9.9.9", "AAAA ::1", "A 0.0.0.0", "AAAA ::", "AAAA ::ffff:127.0.0.1"]
    all_bounce(make_target, zones, records, "5.4.6")


def test_129_private_and_link_local(make_target, zones):
    records = ["A 169.254.169.254", "A 10.0.0.1", "A 172.16.0.1", "A 192.168.1.1", "AAAA fe80::1", "AAAA fd00::1"]
    records += ["A 255.255.255.255", "A 224.0.0.1", "AAAA ff02::1", "AAAA 64:ff9b::7f00:1", "AAAA 2002:7f00:1::1"]
    all_bounce(make_target, zones, records, "5.4.6", "5.4.4")


def test_129_own_address_even_where_private_ones_are_allowed(sender):
    bounced(sender(f"@ MX 10 mx\nmx A {own_address()}\n", mx_private=True), "5.4.6")


def test_129_implicit_exchanger_at_loopback(sender):
    bounced(sender("@ A 127.0.0.1\n"), "5.4.6")


def test_129_address_literals(make_target):
    """RFC 5321 4.1.3: a stranger says where reports to him go, with no DNS at all."""
    literals = ["127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "IPv6:::1", "IPv6:::ffff:127.0.0.1"]
    server = make_target(config=configuration(), top="mx-private = no")
    for one in literals:
        hand_in(server, USER, f"b@[{one}]", message())
    told = {}
    for one in reports(server, USER, len(literals)):
        told |= one.summary
    assert told == {f"b@[{one}]": ("failed", "5.4.6") for one in literals}
    wait_empty(server)


def test_129_a_literal_is_not_the_route_to_the_same_address(make_target, host):
    """What is wrong with the one says nothing of the other: the operator's own relay may be inside."""
    server = make_target(config=configuration({"inside.example": f"smtp:[{host.host}]"}), top="mx-private = no")
    hand_in(server, USER, [f"b@[{host.host}]", "b@inside.example"], message())
    told = report(server, USER)
    assert told.summary == {f"b@[{host.host}]": ("failed", "5.4.6")}
    wait_deferred(server, "b@inside.example")


def test_129_own_address_as_a_literal(make_target):
    server = make_target(config=configuration(), top="mx-private = yes")
    bounced(server, "5.4.6", address=f"b@[{own_address()}]")


def test_129_good_host_beside_bad_ones(sender, host):
    """What must not be reached is left out, the rest is used."""
    server = sender(f"@ MX 5 zero\n@ MX 10 mx\nzero A 0.0.0.0\nmx A {host.host}\n", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    host.wait_messages(1)


def test_129_not_even_a_connection(make_target, zones, host):
    """The refusal is ours, before anything is sent there."""
    served = zones({"evil.example": f"@ MX 10 mx\nmx A {host.host}\n"})
    server = make_target(
        config=configuration({"evil.example": "smtp:evil.example:2525"}, dns=served.config()), top="mx-private = no"
    )
    bounced(server, "5.4.6")
    assert not host.sessions


def test_129_routes_of_the_operator_may_go_anywhere(make_target, host):
    server = make_target(config=configuration({"inside.example": host}), top="mx-private = no")
    hand_in(server, USER, "b@inside.example", message())
    host.wait_messages(1)


def test_130_null_exchanger(sender):
    bounced(sender("@ MX 0 .\n@ A 127.0.0.1\n"), "5.1.10")


def test_130_null_exchanger_is_no_sender_check(sender, host):
    """RFC 7505 4.2 leaves it to the receiver whether such a sender is refused: by default it is not."""
    server = sender("@ MX 0 .\n")
    hand_in(server, "a@evil.example", USER, message())
    server.mail(USER, 1)


def test_130_null_exchanger_beside_others(sender, host):
    server = sender(f"@ MX 0 .\n@ MX 10 mx\nmx A {host.host}\n", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    host.wait_messages(1)


def test_130_localhost(sender):
    bounced(sender("@ MX 10 localhost.\n"), "5.1.10")


def test_131_loop_of_aliases(sender):
    server = sender("@ MX 10 one\none CNAME two\ntwo CNAME one\n")
    hand_in(server, USER, "b@evil.example", message())
    entry = wait_deferred(server, "b@evil.example")
    assert entry["last"]["enhanced"].startswith("4.4.")
    assert server.mail(USER) == []


def test_131_long_chain(sender):
    chain = "".join(f"c{n} CNAME c{n + 1}\n" for n in range(20))
    server = sender(f"@ MX 10 c0\n{chain}c20 A 127.0.0.9\n", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    assert wait_deferred(server, "b@evil.example")["last"]["enhanced"].startswith("4.4.")


@pytest.mark.parametrize("length", [1, 7])
def test_131_exchanger_that_is_an_alias(sender, host, length):
    chain = "".join(f"c{n} CNAME c{n + 1}\n" for n in range(length))
    server = sender(f"@ MX 10 c0\n{chain}c{length} A {host.host}\n", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    host.wait_messages(1)


def test_131_domain_that_is_an_alias(make_target, zones, host):
    served = zones({"evil.example": f"alias CNAME real\nreal MX 10 mx\nmx A {host.host}\n"})
    server = make_target(
        config=configuration({"alias.evil.example": "smtp:alias.evil.example:2525"}, dns=served.config()),
        top="mx-private = yes",
    )
    hand_in(server, USER, "b@alias.evil.example", message())
    assert host.wait_messages(1)[0].addresses == ["b@alias.evil.example"]


def test_134_thousands_of_exchangers(sender, host):
    """The best of them count, however late they stand."""
    many = "".join(f"@ MX {100 + n} m{n}\n" for n in range(2000))
    server = sender(f"{many}@ MX 1 mx\nmx A {host.host}\n", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    host.wait_messages(1)


def test_134_thousands_of_addresses(sender):
    base = free_address().rsplit(".", 2)[0]
    many = "".join(f"mx A {base}.{200 + n // 250}.{n % 250 + 1}\n" for n in range(2000))
    server = sender(f"@ MX 10 mx\n{many}", mx_private=True)
    hand_in(server, USER, "b@evil.example", message())
    wait_deferred(server, "b@evil.example")


def test_047_exchanger_is_ourselves_by_name(sender):
    told = bounced(sender("@ MX 10 mx.example.test.\n", more={"mx.example.test": "@ A 192.0.2.7\n"}), "5.4.6")
    assert "loop" in told.text.lower()


def test_047_exchanger_is_ourselves_by_address(make_target, zones):
    """Where we listen, under whatever name: one report, and no round."""
    address = free_address()
    served = zones({"evil.example": f"@ MX 10 mx\nmx A {address}\n"})
    server = make_target(
        config=configuration({"evil.example": "smtp:evil.example:2525"}, dns=served.config()),
        top="mx-private = yes",
        host=address,
    )
    bounced(server, "5.4.6")


def test_047_we_are_backup(sender, host):
    """RFC 5321 5.1: of the hosts only those before ourselves are used."""
    server = sender(
        f"@ MX 10 best\n@ MX 20 mx.example.test.\n@ MX 30 worse\nbest A {free_address()}\nworse A {host.host}\n",
        mx_private=True,
        more={"mx.example.test": "@ A 192.0.2.7\n"},
    )
    hand_in(server, USER, "b@evil.example", message())
    wait_deferred(server, "b@evil.example")
    assert not host.sessions
