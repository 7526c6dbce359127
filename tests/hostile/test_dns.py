"""hostile.md section 5: answers of hostile name servers. A test's number is its row."""

import struct
import time

import pytest

from harness import dns
from harness.dns import Scripted, Zones, resolve

pytestmark = pytest.mark.no_server
MEMORY_KIB = 200 * 1024


def sound(q, address="127.0.0.9"):
    q.reply(q.message([dns.a(q.name, address)]))


@pytest.mark.skipif(dns.missing() is not None, reason=dns.missing() or "")
def test_131_aliases(dns_tool):
    """Chains within the limit are followed, longer ones and loops are temporary failures."""
    chain = "\n".join(f"c{i} CNAME c{i + 1}" for i in range(20)) + "\nc20 A 127.0.0.9\nloop CNAME pool\npool CNAME loop"
    with Zones({"evil.test": f"{chain}\n@ MX 10 c18\nself CNAME self"}) as zones:
        names = ["c12", "c11", "c0", "loop", "self", "c19"]
        answers = resolve(dns_tool, zones.config(), *(f"A {name}.evil.test" for name in names), "MX evil.test")
        assert [a.status for a in answers] == ["found", "temporary", "temporary", "temporary", "temporary", "found", "found"]
        assert answers[0].canonical == "c20.evil.test"
        assert answers[6].records == ["10/c18.evil.test"]


A_RDATA = struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\x01"
MALFORMED = {
    "pointer loop": lambda q: q.message([struct.pack("!H", 0xC000 | q.end) + A_RDATA]),
    "two pointers in a ring": lambda q: q.message(
        [struct.pack("!HH", 0xC000 | (q.end + 2), 0xC000 | q.end) + A_RDATA]
    ),
    "pointer past the end": lambda q: q.message([b"\xff\xff" + A_RDATA]),
    "rdata beyond the packet": lambda q: q.message([b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 65535) + b"\x7f"]),
    "label of 64": lambda q: q.message([b"\x40" + b"a" * 64 + b"\0" + A_RDATA]),
    "label without end": lambda q: q.message([b"\x3f" + b"a" * 10]),
    "more records said than there": lambda q: q.message([dns.a(q.name, "127.0.0.1")], count=65535),
    "header alone": lambda q: q.message(question=b"")[:12],
    "half a header": lambda q: q.message()[:7],
    "nothing": lambda q: b"",
    "noise": lambda q: q.wire[:2] + b"\x81\x80" + b"\xff" * 500,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_132_malformed(dns_tool, what):
    """The packet is dropped and another server is asked; with none it is a temporary failure."""
    with Scripted(lambda q: q.reply(MALFORMED[what](q))) as evil, Scripted(sound) as good:
        config = f'dns {{ servers = {{"{evil.server}", "{good.server}"}}  special-use = no }}'
        names = [f"A x{i}.evil.test" for i in range(20)]
        answers = resolve(dns_tool, config, *names)
        assert {a.status for a in answers} == {"found"}, answers
        assert {tuple(a.records) for a in answers} == {("127.0.0.9",)}
        assert evil.queries
        assert resolve(dns_tool, evil.config(), "A x.evil.test")[0].status == "temporary"


@pytest.mark.parametrize("size", [0, 3, 5])
def test_132_rdata_of_the_wrong_size(dns_tool, size):
    """An A record of so many octets is none."""
    answer = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, size) + b"\x7f" * size]
    with Scripted(lambda q: q.reply(q.message(answer))) as server:
        assert resolve(dns_tool, server.config(), "A x.evil.test")[0].status == "temporary"


def test_132_odd_names_are_escaped(dns_tool):
    target = b"\x08evil\n\r\0.\x01x\0"
    with Scripted(lambda q: q.reply(q.message([dns.record(q.name, "PTR", target)]))) as server:
        answer = resolve(dns_tool, server.config(), "PTR 1.2.0.192.in-addr.arpa")[0]
        assert answer.records == ["evil\\010\\013\\000\\046.x"]


def test_133_cut_answer_is_asked_over_tcp(dns_tool):
    def script(q):
        q.reply(q.message([dns.a(q.name, "127.0.0.9")]) if q.tcp else q.message(flags=0x8380))

    with Scripted(script) as server:
        assert resolve(dns_tool, server.config(), "A x.evil.test")[0].records == ["127.0.0.9"]
        assert [q.tcp for q in server.queries] == [False, True]


def test_133_tcp_stalls(dns_tool):
    """Another question is answered meanwhile, and this one has its deadline."""

    def script(q):
        if q.name.startswith("good"):
            sound(q)
        elif not q.tcp:
            q.reply(q.message(flags=0x8380))

    with Scripted(script) as server:
        begun = time.monotonic()
        answers = resolve(dns_tool, server.config(), "A x.evil.test", "A good.test")
        assert [a.status for a in answers] == ["temporary", "found"]
        assert time.monotonic() - begun < 35
        assert any(q.tcp for q in server.queries)


def test_133_wrong_ids_are_ignored(dns_tool):
    """RFC 5452 9.1: the right answer is waited for."""

    def script(q):
        for i in range(20):
            q.reply(q.message([dns.a(q.name, "127.0.0.66")], id=q.id ^ (i + 1)))
        sound(q)

    with Scripted(script) as server:
        assert resolve(dns_tool, server.config(), "A x.evil.test")[0].records == ["127.0.0.9"]
        assert len(server.queries) == 1


@pytest.mark.parametrize(
    "question", [dns.name_wire("x.other.test") + b"\0\1\0\1", dns.name_wire("x.evil.test") + b"\0\x0f\0\1"]
)
def test_133_answers_to_another_question(dns_tool, question):
    """With the right ID and from the right place: only the server itself can do that, so another one is asked."""

    def script(q):
        q.reply(q.message([dns.a("x.evil.test", "127.0.0.66")], question=question))

    with Scripted(script) as evil, Scripted(sound) as good:
        config = f'dns {{ servers = {{"{evil.server}", "{good.server}"}}  special-use = no }}'
        assert resolve(dns_tool, config, "A x.evil.test")[0].records == ["127.0.0.9"]
        assert resolve(dns_tool, evil.config(), "A x.evil.test")[0].status == "temporary"


def test_133_answer_from_elsewhere(dns_tool):
    def script(q):
        q.reply_from(other, q.message([dns.a(q.name, "127.0.0.66")]))
        sound(q)

    with Scripted(sound) as other, Scripted(script) as server:
        assert resolve(dns_tool, server.config(), "A x.evil.test")[0].records == ["127.0.0.9"]


def test_134_floods(dns_tool):
    """As many records as a message holds: the first hundred by preference, and memory as usual."""
    head = b"\xc0\x0c"

    def script(q):
        if not q.tcp:
            q.reply(q.message(flags=0x8380))
        elif q.type == dns.TYPES["A"]:
            records = [struct.pack("!I", i + (10 << 24)) for i in range(4000)]
            q.reply(q.message([dns.record(head, "A", r) for r in records]))
        else:
            hosts = [struct.pack("!H", 3000 - i) + bytes([5]) + b"h%04d" % i + head for i in range(1500)]
            q.reply(q.message([dns.record(head, "MX", r) for r in hosts]))

    with Scripted(script) as server:
        names = [f"{kind} x{i}.evil.test" for i in range(20) for kind in ("A", "MX")]
        answers = resolve(dns_tool, server.config(), *names)
        assert {a.status for a in answers} == {"found"}, [a.records for a in answers if a.status != "found"]
        assert {(len(a.records), a.cut) for a in answers} == {(100, True)}
        assert answers[1].records[0] == "1501/h1499.x0.evil.test"
        assert answers.memory < MEMORY_KIB


def test_134_unasked_answers(dns_tool):
    """Ten thousand packets a question cost no memory."""

    def script(q):
        for i in range(2000):
            q.reply(q.message([dns.a(q.name, "127.0.0.66")], id=(q.id + 1 + i) & 0xFFFF))
        sound(q)

    with Scripted(script) as server:
        answers = resolve(dns_tool, server.config(), *(f"A x{i}.evil.test" for i in range(5)))
        # the right one may have been pushed out of the socket's buffer: asked again, or temporary
        assert all(a.status == "temporary" or a.records == ["127.0.0.9"] for a in answers), answers
        assert answers.memory < MEMORY_KIB


@pytest.mark.parametrize(
    "ttl, least, most",
    [(0, 5, 5), (3, 4, 5), (60, 58, 60), (86401, 86390, 86400), (2**31 - 1, 86390, 86400), (2**31, 5, 5), (-1, 5, 5)],
)
def test_136_ttl(dns_tool, ttl, least, most):
    """RFC 2181 8."""
    with Scripted(lambda q: q.reply(q.message([dns.a(q.name, "127.0.0.9", ttl)]))) as server:
        answer = resolve(dns_tool, server.config(), "A x.evil.test", rounds=3)[0]
        assert answer.status == "found" and least <= answer.ttl <= most, answer
        assert len(server.queries) == 1
