"""The resolver behind its walls (bench/dns), and a real resolver serving zones: secure, insecure and bogus told apart."""

import time

import pytest

from harness import dns
from harness.dns import Scripted, Zones, resolve

pytestmark = [
    pytest.mark.no_server,
    pytest.mark.skipif(dns.missing() is not None, reason=dns.missing() or ""),
]

ZONES = {
    "there.test": """@ MX 20 mx2
        @ MX 10 mx
        mx A 127.0.0.9
        mx AAAA 2001:db8::9
        @ TXT "v=spf1" " -all"
        alias CNAME mx.secure.test.
        signed CNAME www.secure.test.""",
    "secure.test": """@ MX 5 mx
        mx A 127.0.0.8
        _25._tcp.mx TLSA 3 1 1 aabbcc
        www CNAME mx
        outside CNAME mx.there.test.""",
    "bogus.test": """mx A 127.0.0.7
        sound A 127.0.0.5""",
    "2.0.192.in-addr.arpa": "1 PTR host.there.test.",
}


@pytest.fixture(scope="module")
def zones():
    with Zones(
        ZONES,
        signed=("secure.test", "bogus.test"),
        forged={"bogus.test": ("127.0.0.7", "127.0.0.6")},
        log_queries=True,
    ) as zones:
        yield zones


# name, what is answered, whether proven; RFC 4035 4.3
ROWS = [
    ("A mx.there.test", "found", False, ["127.0.0.9"]),
    ("AAAA mx.there.test", "found", False, ["2001:db8::9"]),
    ("MX there.test", "found", False, ["10/mx.there.test", "20/mx2.there.test"]),
    ("TXT there.test", "found", False, [b"v=spf1 -all".hex()]),
    ("PTR 1.2.0.192.in-addr.arpa", "found", False, ["host.there.test"]),
    ("CNAME alias.there.test", "found", False, ["mx.secure.test"]),
    ("A nope.there.test", "no-name", False, None),
    ("MX mx.there.test", "no-data", False, None),
    ("A else.where", "no-name", False, None),
    ("MX secure.test", "found", True, ["5/mx.secure.test"]),
    ("TLSA _25._tcp.mx.secure.test", "found", True, ["3/1/1/3"]),
    ("A www.secure.test", "found", True, ["127.0.0.8"]),
    ("A nope.secure.test", "no-name", True, None),
    ("AAAA mx.secure.test", "no-data", True, None),
    ("TLSA _25._tcp.nope.secure.test", "no-name", True, None),
    # a chain is proven only as a whole
    ("A alias.there.test", "found", False, ["127.0.0.8"]),
    ("A outside.secure.test", "found", False, ["127.0.0.9"]),
    ("A sound.bogus.test", "found", True, ["127.0.0.5"]),
    ("A mx.bogus.test", "bogus", False, None),
    # RFC 6761 6.3: never asked
    ("A localhost", "found", False, ["127.0.0.1"]),
]


def test_answers(zones, dns_tool):
    answers = resolve(dns_tool, zones.config(), *(row[0] for row in ROWS))
    for (question, status, secure, records), got in zip(ROWS, answers, strict=True):
        assert (got.status, got.secure) == (status, secure), got
        assert records is None or got.records == records, got
        assert 5 <= got.ttl <= 86400
    assert "signature" in answers[18].records
    assert answers[15].canonical == "mx.secure.test"
    assert " dns_bogus name=mx.bogus.test type=A " in answers.log


def test_nothing_is_validated_without_an_anchor(zones, dns_tool):
    config = f'dns {{ servers = {{"{zones.server}"}}  special-use = no }}'
    answers = resolve(dns_tool, config, "A mx.secure.test", "A mx.bogus.test")
    assert [(a.status, a.secure) for a in answers] == [("found", False)] * 2


def test_special_use_names_are_not_asked(dns_tool):
    """RFC 6761, RFC 6762."""
    with Scripted(lambda q: q.reply(q.message([dns.a(q.name, "127.0.0.9")]))) as server:
        config = f'dns {{ servers = {{"{server.server}"}} }}'
        names = ["A x.test", "A x.invalid", "A x.local", "PTR 1.0.0.10.in-addr.arpa", "A x.onion"]
        answers = resolve(dns_tool, config, *names)
        assert {a.status for a in answers} == {"no-name"}
        assert not server.queries
        assert resolve(dns_tool, config, "A x.example")[0].status == "found"
        assert resolve(dns_tool, server.config(), "A x.test")[0].status == "found"


def test_zone_changes(dns_tool):
    """faults.md 43: what the TTL has not kept is asked anew."""
    with Zones({"there.test": "@ MX 10 old"}) as zones:
        assert resolve(dns_tool, zones.config(), "MX there.test")[0].records == ["10/old.there.test"]
        zones.set("there.test", "@ MX 10 new")
        assert resolve(dns_tool, zones.config(), "MX there.test")[0].records == ["10/new.there.test"]


def test_identical_questions_are_one(dns_tool):
    waiting = []

    def script(q):
        waiting.append(q)
        if len(waiting) == 1:
            q.server.later(0.3, lambda: q.reply(q.message([dns.a(q.name, "127.0.0.9")])))

    with Scripted(script) as server:
        answers = resolve(dns_tool, server.config(), *(["A x.example"] * 200 + ["A X.EXAMPLE"]))
        assert {tuple(a.records) for a in answers} == {("127.0.0.9",)}
        assert len(server.queries) == 1


def test_answers_are_cached(dns_tool):
    with Scripted(lambda q: q.reply(q.message([dns.a(q.name, "127.0.0.9")]))) as server:
        answers = resolve(dns_tool, server.config(), "A x.example", "A y.example", rounds=500)
        assert [a.status for a in answers] == ["found", "found"]
        assert len(server.queries) == 2


def test_many_questions(dns_tool):
    """More than a channel's credit and a kernel's ports, in any order."""
    with Scripted(lambda q: q.reply(q.message([dns.a(q.name, "127.0.0.9")]))) as server:
        answers = resolve(dns_tool, server.config(), *(f"A x{i}.example" for i in range(3000)))
        assert {a.status for a in answers} == {"found"}


def test_silent_servers(dns_tool):
    """SURFACE: no answer within 5 s is a temporary failure, and known for a while."""
    with Scripted(lambda q: None) as server:
        answers = resolve(dns_tool, server.config(), *(f"A x{i}.example" for i in range(50)), rounds=2)
        assert {a.status for a in answers} == {"temporary"}
        assert answers.log.count("dns_silent") == 1
        assert answers.log.count("dns_failed") <= 10


def test_own_answers_are_no_sign_of_life(dns_tool):
    """What we answer ourselves says nothing of the servers."""
    with Scripted(lambda q: None) as server:
        begun = time.monotonic()
        answers = resolve(dns_tool, server.config(), "A localhost", "A x.example", "A localhost")
        assert [a.status for a in answers] == ["found", "temporary", "found"]
        assert time.monotonic() - begun < 10
        assert "dns_silent" in answers.log and "dns_back" not in answers.log


def test_servers_come_back(dns_tool):
    begun = time.monotonic()

    def script(q):
        if time.monotonic() - begun > 6:
            q.reply(q.message([dns.a(q.name, "127.0.0.9")]))

    with Scripted(script) as server:
        answers = resolve(dns_tool, server.config(), "A x.example", rounds=12)
        assert answers[0].status == "found"
        assert "dns_silent" in answers.log and "dns_back" in answers.log


def test_one_server_of_two_is_silent(dns_tool):
    with Scripted(lambda q: None) as silent, Scripted(
        lambda q: q.reply(q.message([dns.a(q.name, "127.0.0.9")]))
    ) as sound:
        config = f'dns {{ servers = {{"{silent.server}", "{sound.server}"}} }}'
        assert resolve(dns_tool, config, "A x.example")[0].status == "found"


def test_refusing_servers(dns_tool):
    """faults.md 42: a server that fails is a temporary failure, whatever the code."""
    for code in (1, 2, 4, 5):
        with Scripted(lambda q: q.reply(q.message(rcode=code))) as server:
            answer = resolve(dns_tool, server.config(), "A x.example")[0]
            assert (answer.status, answer.ttl) == ("temporary", 5), code


def test_names_that_cannot_be(zones, dns_tool):
    names = ["a..b", ".", "x" * 64 + ".test", ".".join(["x" * 63] * 4), "a\\.b", "\xe4.test", "x."]
    for answer in resolve(dns_tool, zones.config(), *(f"A {name}" for name in names)):
        assert answer.status == "no-name", answer
