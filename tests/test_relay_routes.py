"""Where mail goes: mail exchangers by DNS, routes of the configuration, relay domains."""

import pytest

from harness import poll
from harness.relay import configuration, hand_in, listed, recipients, report, wait_deferred, wait_empty, wait_recipient
from harness.remote import Remote
from harness.server import free_address
from harness.smtp import message


def by_mx(make_server, served, via="smtp:there.test:2525", **options):
    return make_server(
        config=configuration({"there.test": via}, dns=served.config(), **options), top="mx-private = yes"
    )


# mail exchangers


def test_best_exchanger_first(make_server, zones, remotes):
    far, near = remotes(2)
    served = zones({"there.test": f"@ MX 20 far\n@ MX 10 near\nfar A {far.host}\nnear A {near.host}\n"})
    server = by_mx(make_server, served)
    for number in range(5):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    near.wait_messages(5)
    assert not far.sessions


def test_equal_exchangers_share(make_server, zones, remotes):
    """RFC 5321 5.1: a random choice among equals."""
    both = remotes(2)
    served = zones({"there.test": f"@ MX 10 one\n@ MX 10 two\none A {both[0].host}\ntwo A {both[1].host}\n"})
    server = by_mx(make_server, served, outbound={"messages-per-connection": 1})
    for number in range(40):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    wait_empty(server)
    counts = [len(one.accepted) for one in both]
    assert sum(counts) == 40 and min(counts) >= 1, counts  # all at one host: 1 in 10^12


def test_next_host_where_the_first_is_down(make_server, zones, remotes):
    (near,) = remotes(1)
    served = zones({"there.test": f"@ MX 10 dead\n@ MX 20 near\ndead A {free_address()}\nnear A {near.host}\n"})
    server = by_mx(make_server, served)
    hand_in(server, "a@here.test", "b@there.test", message())
    near.wait_messages(1)
    wait_empty(server)


@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL"])
def test_next_host_where_the_first_says_421(make_server, zones, remotes, stage):
    first, second = remotes(2)
    first.on(stage, "421 4.3.2 not now")
    served = zones({"there.test": f"@ MX 10 one\n@ MX 20 two\none A {first.host}\ntwo A {second.host}\n"})
    server = by_mx(make_server, served)
    hand_in(server, "a@here.test", "b@there.test", message())
    second.wait_messages(1)
    wait_empty(server)


def test_all_addresses_of_a_host(make_server, zones, remotes):
    (good,) = remotes(1)
    served = zones({"there.test": f"@ MX 10 mx\nmx A {free_address()}\nmx A {free_address()}\nmx A {good.host}\n"})
    server = by_mx(make_server, served)
    hand_in(server, "a@here.test", "b@there.test", message())
    good.wait_messages(1)


def test_implicit_exchanger(make_server, zones, remotes):
    """RFC 5321 5.1: without MX the domain's own address."""
    (host,) = remotes(1)
    server = by_mx(make_server, zones({"there.test": f"@ A {host.host}\n"}))
    hand_in(server, "a@here.test", "b@there.test", message())
    host.wait_messages(1)


def test_exchanger_on_port_25(make_server, zones):
    """No route at all: the recipient's domain says where."""
    try:
        remote = Remote(port=25).start()
    except PermissionError:
        pytest.skip("port 25 is not ours to bind")
    try:
        served = zones({"there.test": f"@ MX 10 mx\nmx A {remote.host}\n"})
        server = make_server(config=configuration(dns=served.config()), top="mx-private = yes")
        hand_in(server, "a@here.test", "b@there.test", message())
        remote.wait_messages(1)
    finally:
        remote.stop()


def test_address_literal(make_server):
    """RFC 5321 4.1.3"""
    try:
        remote = Remote(port=25).start()
    except PermissionError:
        pytest.skip("port 25 is not ours to bind")
    try:
        server = make_server(config=configuration(), top="mx-private = yes")
        hand_in(server, "a@here.test", f"b@[{remote.host}]", message())
        assert remote.wait_messages(1)[0].addresses == [f"b@[{remote.host}]"]
    finally:
        remote.stop()


def test_no_such_domain(make_server, zones):
    served = zones({"there.test": "@ MX 10 mx\n"})
    server = make_server(config=configuration(dns=served.config()))
    hand_in(server, "alice@example.test", "b@nowhere.there.test", message())
    action, status = report(server).summary["b@nowhere.there.test"]
    assert (action, status) in (("failed", "5.1.2"), ("failed", "5.4.4"))


def test_domains_with_the_same_exchangers_share_connections(make_server, zones, remotes):
    """A site is the set of hosts that serves a route."""
    (host,) = remotes(1)
    served = zones({name: f"@ MX 10 mx.there.test.\nmx A {host.host}\n" for name in ("there.test", "other.test")})
    server = make_server(
        config=configuration(
            {"there.test": "smtp:there.test:2525", "other.test": "smtp:other.test:2525"},
            dns=served.config(),
            outbound={"idle": "20s", "connections-per-site": 1},
        ),
        top="mx-private = yes",
    )
    for number in range(4):
        hand_in(server, "a@here.test", f"b@{('there', 'other')[number % 2]}.test", message(f"n{number}"))
    host.wait_messages(4)
    assert len(host.sessions) == 1


# routes


def test_longest_match_wins(make_server, remotes):
    names = ["*", "*.there.test", "*.deep.there.test", "there.test", "user@there.test"]
    servers = dict(zip(names, remotes(len(names))))
    server = make_server(config=configuration(servers))
    wanted = {
        "b@elsewhere.test": "*",
        "b@sub.there.test": "*.there.test",
        "b@x.y.there.test": "*.there.test",
        "b@x.deep.there.test": "*.deep.there.test",
        "b@deep.there.test": "*.there.test",
        "b@there.test": "there.test",
        "user@there.test": "user@there.test",
        "USER@THERE.TEST": "user@there.test",
    }
    for address in wanted:
        hand_in(server, "a@here.test", address, message())
    wait_empty(server)
    found = {to.lower(): name for name, one in servers.items() for taken in one.accepted for to in taken.addresses}
    assert found == {address.lower(): name for address, name in wanted.items()}


def test_sender_routes(make_server, remotes):
    """Before "*", after the ways that a recipient's domain has of its own."""
    common, bulk, own = remotes(3)
    server = make_server(config=configuration({"*": common, "from bulk.test": bulk, "own.test": own}))
    hand_in(server, "a@here.test", "b@there.test", message("common"))
    hand_in(server, "news@bulk.test", "b@there.test", message("bulk"))
    hand_in(server, "news@bulk.test", "b@own.test", message("own"))
    wait_empty(server)
    for remote, subject in ((common, "common"), (bulk, "bulk"), (own, "own")):
        assert [taken.fields("subject") for taken in remote.accepted] == [[subject]]


def test_null_route(make_server):
    server = make_server(config=configuration({"gone.test": "null"}))
    id = hand_in(server, "alice@example.test", "b@gone.test", message())
    wait_empty(server)
    poll(lambda: "discarded" in [step["event"] for step in server.json("trace", id)], 10, "the trace")
    assert server.mail() == []


def test_hold_route(make_server, remotes):
    (there,) = remotes(1)
    server = make_server(config=configuration({"slow.test": "hold", "*": there}))
    id = hand_in(server, "a@here.test", "b@slow.test", message())
    hand_in(server, "a@here.test", "b@there.test", message())
    there.wait_messages(1)
    entry = poll(lambda: recipients(server).get("b@slow.test"), 10, "the held one")
    assert entry["state"] == "held" and entry["attempts"] == 0 and entry["id"] == id
    server.configure(configuration({"*": there}))
    server.command("reload")
    there.wait_messages(2)
    wait_empty(server)


def test_route_options(make_server, remotes):
    (there,) = remotes(1)
    options = {"via": there, "helo-name": "other-name.test", "from-address": "gateway@example.test", "connections": 1}
    server = make_server(config=configuration({"*": options}, outbound={"idle": "20s"}))
    for number in range(3):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    taken = there.wait_messages(3)
    assert {one.sender for one in taken} == {"gateway@example.test"}
    assert {session.hello for session in there.sessions} == {"other-name.test"}
    hand_in(server, "", "b@there.test", message("null"))
    assert there.wait_messages(4)[-1].sender == ""


def test_rate_of_a_route(make_server, remotes):
    """Messages a minute: the first ones at once, the others wait."""
    (there,) = remotes(1)
    server = make_server(config=configuration({"*": {"via": there, "rate": 3}}))
    for number in range(6):
        hand_in(server, "a@here.test", "b@there.test", message(f"n{number}"))
    there.wait(lambda: len(there.accepted) >= 1, "the first one", 60)
    left = listed(server)
    assert left and len(there.accepted) + len(left) >= 6
    assert len(there.accepted) <= 4


def test_routes_give_no_right(make_server, remotes):
    (there,) = remotes(1)
    config = configuration({"there.test": there}).replace("127.0.0.0/8", "192.0.2.0/24")
    server = make_server(config=config)
    with server.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<a@stranger.test>", 250)
        c.cmd("RCPT TO:<b@there.test>", "550 5.7.1")


# relay domains


def strangers(routes, **options):
    """A configuration in which nobody may relay."""
    return configuration(routes, **options).replace("127.0.0.0/8", "192.0.2.0/24")


def answer(server, address, sender="a@stranger.test"):
    with server.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        return c.cmd(f"RCPT TO:<{address}>")


def test_relay_domain(make_server, remotes):
    """Taken from strangers and passed on, whoever the recipient is."""
    (there,) = remotes(1)
    server = make_server(config=strangers({"backup.test": there}))
    assert answer(server, "b@backup.test").matches("550 5.7.1")
    server.command("domain", "add", "backup.test", "--relay")
    assert answer(server, "b@backup.test").matches(250)
    assert answer(server, "b@sub.backup.test").matches("550 5.7.1")
    hand_in(server, "a@stranger.test", "b@backup.test", message())
    there.wait_messages(1)
    assert server.json("domain", "show", "backup.test")


def test_relay_domain_with_a_list_of_recipients(make_server, remotes, tmp_path):
    (there,) = remotes(1)
    names = tmp_path / "recipients"
    names.write_text("known@backup.test\n# a comment\n\nother@backup.test\n")
    server = make_server(config=strangers({"backup.test": there}))
    server.command("domain", "add", "backup.test", "--relay", "--recipients", names)
    assert answer(server, "known@backup.test").matches(250)
    assert answer(server, "KNOWN@Backup.Test").matches(250)
    assert answer(server, "unknown@backup.test").matches("550 5.1.1")


def test_relay_domain_that_asks_the_next_hop(make_server, remotes):
    (there,) = remotes(1)
    there.on("RCPT", "550 5.1.1 nobody", match="unknown@").on("RCPT", "450 4.2.0 later", match="grey@")
    server = make_server(config=strangers({"backup.test": there}))
    server.command("domain", "add", "backup.test", "--relay", "--recipients", "verify")
    assert answer(server, "unknown@backup.test").matches("550 5.1.1")
    assert answer(server, "known@backup.test").matches(250)
    assert answer(server, "grey@backup.test").matches("4xx")
    assert not there.messages and there.count("DATA") == there.count("BDAT") == 0
    asked = there.count("RCPT")
    for _ in range(5):  # remembered, both ways
        assert answer(server, "unknown@backup.test").matches("550 5.1.1")
        assert answer(server, "known@backup.test").matches(250)
    assert there.count("RCPT") == asked


def test_relay_domain_whose_next_hop_is_down(make_server, remotes):
    """Who cannot be asked about gets a temporary answer."""
    server = make_server(config=strangers({"backup.test": f"smtp:[{free_address()}]:2525"}))
    server.command("domain", "add", "backup.test", "--relay", "--recipients", "verify")
    assert answer(server, "b@backup.test").matches("4xx")


def test_backup_waits_for_the_primary(make_server, remotes):
    (there,) = remotes(1)
    server = make_server(config=strangers({"backup.test": there}))
    server.command("domain", "add", "backup.test", "--relay")
    there.stop()
    hand_in(server, "a@stranger.test", "b@backup.test", message())
    wait_deferred(server, "b@backup.test")
    there.start()
    there.wait_messages(1)
    wait_empty(server)


def test_a_section_that_leads_where_another_domain_does(make_server, zones):
    """Both share destination and site; whose mail came first makes no difference."""
    try:
        mx = Remote(port=25).start()
    except OSError:
        pytest.skip("port 25 is not ours")
    try:
        served = zones({"there.test": f"@ MX 10 mx\nmx A {mx.host}\n"})
        server = make_server(
            config=configuration({"other.test": "smtp:there.test"}, dns=served.config()), top="mx-private = yes"
        )
        hand_in(server, "a@here.test", "b@there.test", message("first"))
        mx.wait_messages(1)
        hand_in(server, "a@here.test", "b@other.test", message("second"))
        mx.wait_messages(2)
    finally:
        mx.stop()


def test_a_reload_leads_one_of_two_elsewhere(make_server, remotes):
    """The other still waits: what has another way now is not left until that has ended."""
    old, slow, new = remotes(3)
    old.on("RCPT", "450 4.2.0 later")
    slow.on("RCPT", "450 4.2.0 later")

    def config(one):
        return configuration({"one.test": one, "two.test": slow}, queue={"retry": ["5s", "1h"]})

    server = make_server(config=config(old))
    hand_in(server, "a@here.test", ["b@one.test", "b@two.test"], message())
    wait_deferred(server, "b@one.test", 1)
    wait_deferred(server, "b@two.test", 1)
    server.configure(config(new))
    server.command("reload")
    new.wait_messages(1)
    wait_recipient(server, "b@two.test", lambda one: one["state"] == "deferred", "still deferred")
