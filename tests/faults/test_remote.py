"""faults.md 31 to 43: networks, remote servers and name servers that fail. A test's number is its row.

Schedules are configured in seconds. What is asserted is order and count, never how long something took.
"""

import threading

import pytest
from faultkit import slow

from harness import dns, poll
from harness.relay import (
    configuration,
    hand_in,
    listed,
    parse_report,
    recipients,
    reports,
    wait_deferred,
    wait_empty,
)
from harness.remote import (
    CLOSE,
    GOOD,
    HALF_CLOSE,
    RESET,
    STALL,
    Action,
    Remote,
    unanswering,
    until,
)
from harness.smtp import message

ALICE = "alice@example.test"
STAGES = ["banner", "EHLO", "MAIL", "RCPT", "DATA", "content", "dot", "QUIT"]
SHORT = {
    f"{stage}-timeout": "1s" for stage in ("connect", "greeting", "mail", "rcpt", "data", "block", "final")
} | {"idle": "100ms"}


def send_many(server, count, to="b@there.test", sender=ALICE, subject="n"):
    """count messages over one connection; their ids."""
    with server.smtp() as c:
        c.hello()
        return [c.deliver(sender, to, message(f"{subject}{number}")) for number in range(count)]


def subjects(remote):
    return sorted(one.fields("subject")[0] for one in remote.accepted)


def names(count, subject="n"):
    return sorted(f"{subject}{number}" for number in range(count))


@pytest.fixture
def good():
    with Remote(name="good.test") as remote:
        yield remote


def test_031_all_unreachable_then_back(relay, there, good):
    """Nothing is lost or bounced, and the hosts are not asked once a message."""
    server = relay({"good.test": good})
    there.stop()
    good.stop()
    send_many(server, 50)
    send_many(server, 50, "b@good.test")
    wait_deferred(server, "b@there.test")
    wait_deferred(server, "b@good.test")
    assert all(r["last"]["enhanced"].startswith("4.") for e in listed(server) for r in e["recipients"] if r["last"])
    there.start()
    good.start()
    there.wait_messages(50, slow(60))
    good.wait_messages(50, slow(60))
    wait_empty(server)
    assert subjects(there) == names(50) == subjects(good)
    assert server.mail() == []


def at_all_stages(remotes, good, action):
    """A remote for each stage that fails there twice; {route: remote}."""
    hosts = dict(zip(STAGES, remotes(len(STAGES))))
    for stage, host in hosts.items():
        host.on(stage, action, times=2)
        if stage in ("DATA", "content"):
            host.extensions.remove("CHUNKING")
    return {f"{stage.lower()}.test": host for stage, host in hosts.items()} | {"good.test": good}


def all_arrive(server, routes):
    """Five messages for each, in the end; nobody is told of a failure."""
    for domain in routes:
        send_many(server, 5, f"b@{domain}")
    routes["good.test"].wait_messages(5)  # whatever the others do
    for domain, host in routes.items():
        host.wait(lambda: len(set(subjects(host))) == 5, f"all messages for {domain}", slow(60))
    wait_empty(server, slow(60))
    assert server.mail() == []


def test_033_stall(make_server, remotes, good):
    """For ever, at each stage: the slot is freed, others are served, and in the end all has arrived."""
    routes = at_all_stages(remotes, good, STALL)
    all_arrive(make_server(config=configuration(routes, outbound=SHORT)), routes)
    for domain, host in routes.items():
        if domain not in ("dot.test", "quit.test"):  # R3: elsewhere nothing was taken that was not answered
            assert subjects(host) == names(5), domain


def test_033_stall_at_connect(relay, there, good):
    with unanswering() as host:
        server = relay({"dead.test": f"smtp:[{host}]:2525", "good.test": good}, outbound=SHORT)
        send_many(server, 3, "b@dead.test")
        send_many(server, 3, "b@good.test")
        good.wait_messages(3)
        one = wait_deferred(server, "b@dead.test")
        assert one["last"]["enhanced"].startswith("4.4.")
        assert server.mail() == []


@pytest.mark.parametrize("action", [RESET, CLOSE], ids=["reset", "close"])
def test_034_reset(make_server, remotes, good, action):
    routes = at_all_stages(remotes, good, action)
    all_arrive(make_server(config=configuration(routes)), routes)
    for domain, host in routes.items():
        assert subjects(host) == names(5), domain


def test_034_reset_behind_the_last_reply(relay, there):
    """The reply was read before: no attempt follows."""
    there.on("dot", "250 2.0.0 taken", RESET)
    server = relay()
    send_many(server, 1)
    there.wait(lambda: there.accepted, "a message")
    wait_empty(server)
    assert len(there.messages) in (1, 2)


def test_035_replies_lost(relay, there):
    """5 % of the final replies get lost: duplicates are as many as those, none else (RFC 1047)."""
    count, lost = [0], [0]

    def sometimes(session):
        count[0] += 1
        if count[0] % 20 == 0:
            lost[0] += 1
            there.messages[-1].replies.append(b"250 lost on the way")
            RESET.run(session)
        session.default()

    there.on("dot", Action("sometimes", sometimes))
    server = relay(outbound={"connections-per-site": 1})
    send_many(server, 200)
    wait_empty(server, slow(60))
    assert set(subjects(there)) == set(names(200))
    assert len(there.accepted) == 200 + lost[0] and lost[0] >= 10
    assert server.mail() == []


def test_036_refused_for_a_while(relay, there):
    """451 again and again, then 250: the schedule is followed, delivered once, one warning."""
    there.on("MAIL", "451 4.7.1 greylisted", times=5)
    server = relay(queue={"retry": ["1s", "1s", "2s"], "warn-after": "2s"})
    hand_in(server, ALICE, "b@there.test", message(), rcpt_parameters=" NOTIFY=DELAY,FAILURE")
    seen = []

    def attempts():
        one = recipients(server).get("b@there.test")
        if one and (not seen or seen[-1] != one["attempts"]):
            seen.append(one["attempts"])
        return bool(there.accepted)

    poll(attempts, slow(40), "delivery", 0.02)
    wait_empty(server)
    assert seen == sorted(seen)
    assert there.count("MAIL") == 6 and len(there.accepted) == 1
    (told,) = reports(server)
    assert told.about("b@there.test")["action"].lower() == "delayed"


def test_036_site_backs_off_as_a_whole(relay, there):
    """A host that refuses every connection is not asked once for each message."""
    there.on("banner", "421 4.3.2 not today", CLOSE)
    server = relay(queue={"retry": ["5s", "1h"]})
    send_many(server, 100)
    wait_deferred(server, "b@there.test")
    poll(lambda: all(e["state"] == "deferred" for e in listed(server)), 20, "all deferred", 0.1)
    assert len(there.sessions) <= 20


def test_037_one_at_a_time(relay, there, good):
    """A site that takes a message now and then, with many waiting: its limit holds, others keep their pace."""
    gate = threading.Semaphore(0)

    def when_allowed(session):
        while not gate.acquire(timeout=0.05):
            if there.released.is_set():
                session.end("released")
        session.default()

    there.on("dot", Action("when allowed", when_allowed))
    server = relay({"good.test": good}, outbound={"connections-per-site": 2, "final-timeout": "10m"})
    send_many(server, 1000)
    send_many(server, 200, "b@good.test")
    good.wait_messages(200)
    assert len(there.open_sessions()) <= 2 and not there.accepted
    for _ in range(1000):
        gate.release()
    there.wait_messages(1000, slow(60))
    wait_empty(server)
    assert subjects(there) == names(1000)


def test_038_dead_site(relay, there, good):
    """Thousands for a host that is down: another goes on, and the dead one is tried as a host, not once a message."""
    there.on("banner", RESET)
    server = relay({"good.test": good}, queue={"retry": ["2s", "1h"]})
    send_many(server, 3000)
    send_many(server, 300, "b@good.test")
    good.wait_messages(300)
    poll(lambda: all(e["state"] == "deferred" for e in listed(server)), slow(30), "all deferred", 0.2)
    assert len(listed(server)) == 3000
    assert len(there.sessions) <= 60
    there.forget()
    server.command("queue", "retry", "--to", "there.test")
    there.wait_messages(3000, slow(90))
    wait_empty(server)


def test_039_forged_sender(relay, there, good):
    """Hundreds that all fail, in somebody else's name: reports are limited and come from nobody; others go on."""
    there.on("RCPT", "550 5.1.1 nobody")
    with Remote(name="victim.test") as victim:
        server = relay({"good.test": good, "victim.test": victim}, dsn={"rate": 20})
        send_many(server, 300, sender="forged@victim.test")
        send_many(server, 50, "b@good.test")
        good.wait_messages(50)
        victim.wait(lambda: len(victim.accepted) >= 10, "reports")
        told = [parse_report(one.content) for one in list(victim.accepted)]
        assert all(one.sender == "" for one in victim.accepted)
        assert len(told) <= 60
        assert all(list(one.summary.values()) == [("failed", "5.1.1")] for one in told)


def silent(query):
    pass


def test_041_resolvers_silent(make_server, good):
    """Deferred, never bounced; mail comes in as before; then the answers are back."""
    with dns.Scripted(silent) as served, Remote() as there:
        server = make_server(
            config=configuration({"there.test": "smtp:there.test:2525", "good.test": good}, dns=served.config()),
            top="mx-private = yes",
        )
        send_many(server, 10)
        send_many(server, 10, "b@good.test")
        good.wait_messages(10)
        hand_in(server, "a@unknown.test", ALICE, message("comes in"))
        assert server.mail(count=1)[0]["subject"] == "comes in"
        one = wait_deferred(server, "b@there.test", timeout=slow(40))
        assert one["last"]["enhanced"].startswith("4.4.")
        assert len(listed(server)) == 10
        served.script = lambda query: query.reply(
            query.message(
                [dns.mx("there.test", 10, "mx.there.test")]
                if query.type == dns.TYPES["MX"]
                else [dns.a("mx.there.test", there.host)] if query.type == dns.TYPES["A"] else []
            )
        )
        server.command("queue", "retry", "--to", "there.test")
        there.wait(lambda: set(subjects(there)) == set(names(10)), "all of them", slow(90))
        wait_empty(server)
        assert len(server.mail()) == 1


def test_042_some_names_fail(make_server, good):
    """SERVFAIL for a third of the domains: the others are not delayed by it, and nothing bounces."""

    def script(query):
        domain = query.name.removeprefix("mx.")
        number = int(domain.split(".")[0].removeprefix("d"))
        if number % 3 == 0:
            query.reply(query.message(rcode=2))
        elif query.type == dns.TYPES["MX"]:
            query.reply(query.message([dns.mx(domain, 10, f"mx.{domain}")]))
        elif query.type == dns.TYPES["A"]:
            query.reply(query.message([dns.a(f"mx.{domain}", good.host)]))
        else:
            query.reply(query.message())

    with dns.Scripted(script) as served:
        routes = {f"d{n}.test": f"smtp:d{n}.test:2525" for n in range(30)}
        server = make_server(config=configuration(routes, dns=served.config()), top="mx-private = yes")
        for number in range(30):
            hand_in(server, ALICE, f"b@d{number}.test", message(f"n{number}"))
        good.wait(lambda: len(good.accepted) >= 20, "two thirds of them", slow(30))
        assert subjects(good) == sorted(f"n{number}" for number in range(30) if number % 3)
        poll(lambda: all(one["last"] for one in recipients(server).values()), slow(30), "attempts")
        assert len(recipients(server)) == 10
        assert server.mail() == []


def test_043_exchangers_change(make_server, zones):
    """What waits goes to the new host at the next attempt, once the old answer is too old."""
    with Remote(name="old") as old, Remote(name="new") as new:
        old.on("MAIL", "451 4.3.2 moving away")
        served = zones({"there.test": f"$TTL 1\n@ MX 10 old\n@ MX 10 old\nold A {old.host}\n"})
        server = make_server(
            config=configuration({"there.test": "smtp:there.test:2525"}, dns=served.config()), top="mx-private = yes"
        )
        send_many(server, 50)
        wait_deferred(server, "b@there.test")
        served.set("there.test", f"$TTL 1\n@ MX 10 new\nnew A {new.host}\n")
        new.wait_messages(50, slow(60))
        wait_empty(server)
        assert subjects(new) == names(50) and not old.accepted


def test_half_closed(relay, there):
    """The remote sends no more and reads no more, but stays."""
    there.on("MAIL", HALF_CLOSE, times=1)
    server = relay(outbound=SHORT)
    send_many(server, 3)
    there.wait(lambda: subjects(there) == names(3), "all of them", slow(40))
    wait_empty(server)


def test_answers_after_a_deadline_count_no_more(relay, there):
    """A connection that was given up is closed: what comes late changes nothing."""
    there.extensions.remove("CHUNKING")  # else the content is there already, and may be taken at last
    go = threading.Event()
    there.on("RCPT", until(go), GOOD, times=1)
    server = relay(outbound=SHORT)
    send_many(server, 1)
    there.wait(lambda: there.accepted, "the second attempt", slow(40))
    go.set()
    wait_empty(server)
    assert len(there.accepted) == 1
