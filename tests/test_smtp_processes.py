"""Processes: who is restarted, what a death costs, how signals end and renew the server (SURFACE.md, Life)."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import poll, processes
from harness.server import GRACE, sanitized
from harness.smtp import Closed, message

RESTART = 5 if sanitized() else 1  # "at once the first time (within 1 s)"


def kill(server, role, sig=signal.SIGKILL):
    pid = server.role_pid(role)
    os.kill(pid, sig)
    return pid


def test_titles(server):
    roles = set(server.roles().values())
    assert {"master", "inbound", "core"} <= roles, roles


def test_everybody_is_a_child_of_master(server):
    master = server.role_pid("master")
    for pid, role in server.roles().items():
        parent = processes.status_kib(pid, "PPid")
        assert pid == master or parent == master, (role, parent)


def test_status(server):
    status = server.json("status")
    assert isinstance(status, dict)
    roles = [process["role"] for process in status["processes"]]
    assert roles[0] == "master" and {"core", "resolver", "inbound-mx", "outbound"} <= set(roles), roles
    assert all(process["ready"] for process in status["processes"])
    assert server.run("status").returncode == 0


@pytest.mark.parametrize("role", ["resolver", "outbound"])
def test_killed_process_without_clients_is_restarted(server, role):
    with server.smtp() as c:
        c.hello()
        killed = kill(server, role)
        server.role_pid(role, timeout=RESTART + 5, not_pid=killed)
        c.deliver("a@there.example", "alice@example.test", message())
    server.mail("alice@example.test", 1)


def test_reload_replaces_all_but_core(server):
    def others():
        return {pid: role for pid, role in server.roles().items() if role not in ("master", "core")}

    master, core, before = server.role_pid("master"), server.role_pid("core"), others()
    server.command("reload")
    poll(lambda: not set(before) & set(server.roles()), GRACE + 10, "the end of the old generation")
    assert sorted(others().values()) == sorted(before.values())
    assert (server.role_pid("master"), server.role_pid("core")) == (master, core)


def flood(server, source):
    """Keeps an inbound busy with commands from that address, for as long as it lives: there is always more to read."""
    with contextlib.suppress(OSError, AssertionError), server.smtp(source=source) as c:
        c.hello()
        reader = threading.Thread(target=drain, args=(c.socket,))
        reader.start()
        with contextlib.suppress(OSError):
            while True:
                c.send(b"NOOP\r\n" * 100_000)
        reader.join(20)


def drain(connection):
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            pass


def busy_inbound(server):
    inbound = [pid for pid, role in server.roles().items() if role == "inbound"]
    return next((pid for pid in inbound if processes.cpu_seconds(pid) > 0.3), None)


@pytest.mark.skipif(sanitized(), reason="there a fault is an exit after a report, not a death")
def test_client_that_kills_is_banned(make_server):
    """Who ends two processes within an hour is sent away for an hour. What does not run at the moment of the fault is
    not blamed for it, so it may take more of them."""
    server = make_server(config="limits { junk-commands = 0 }")
    source = "127.0.0.77"
    banned = rf"client_banned client={source} prefix=32 seconds=3600"
    for _ in range(12):
        client = threading.Thread(target=flood, args=(server, source))
        client.start()
        pid = poll(lambda: busy_inbound(server), 20, "a busy inbound")
        at = len(server.log())
        os.kill(pid, signal.SIGSEGV)
        client.join(20)
        server.wait_log("process_restarted role=inbound", start=at)  # verdicts come before it
        if re.search(banned, server.log()):
            break
    server.wait_log(banned)
    assert server.json("status")["connections"]["banned"] == 1
    with server.smtp(source=source, banner=False) as refused:
        refused.expect("421 4.7.0")
        refused.at_end()
    # ... by a new core too
    server.role_pid("core", not_pid=kill(server, "core"))
    server.wait_log(rf"ban_in_force client={source}", start=len(server.log()) // 2)
    poll(lambda: server.run("status").returncode == 0, 10, "an answer of core")
    assert server.json("status")["connections"]["banned"] == 1
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", "alice@example.test", message())


def test_killed_inbound_is_restarted(server):
    with server.smtp() as old:
        old.hello()
        killed = [pid for pid, role in server.roles().items() if role == "inbound"]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        with server.smtp(timeout=RESTART + 5) as c:  # the listener's queue survives: no connection is refused
            assert time.monotonic() - begun < RESTART
            c.hello()
            c.deliver("a@there.example", "alice@example.test", message())
        old.at_end()
    server.mail("alice@example.test", 1)


def test_listener_survives_the_death_of_inbound(server):
    """A connection made while nobody accepts is served by the successor."""
    pid = server.role_pid("inbound")
    os.kill(pid, signal.SIGSTOP)
    with socket.create_connection((server.host, server.port), timeout=20) as waiting:
        os.kill(pid, signal.SIGKILL)
        assert waiting.recv(3) == b"220"


def test_killed_core_is_restarted(server):
    """The session lives on; RCPT gets 451 until core is back, DATA too where MAIL came before the death was seen; then
    the transaction works."""
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", "alice@example.test", message("before"))
        kill(server, "core")
        begun = time.monotonic()
        while True:
            answers = [c.cmd("MAIL FROM:<a@there.example>"), c.cmd("RCPT TO:<alice@example.test>")]
            if all(reply.code == 250 for reply in answers):
                answers.append(c.cmd("DATA"))
                if answers[-1].code == 354:
                    break
            for reply in answers:
                assert reply.code in (250, 451, 503), reply
            c.cmd("RSET", 250)
            assert time.monotonic() - begun < RESTART + 5
            poll(lambda: "core" in server.roles().values(), 5, "a core")
        c.send(message("after").encode() + b".\r\n")
        c.expect(250)
    assert [mail["subject"] for mail in server.mail("alice@example.test", 2)] == ["before", "after"]


def test_transaction_over_the_death_of_core(server):
    """What was begun before is refused for now or kept: never both, never neither."""
    with server.smtp() as c:
        c.hello()
        c.envelope("a@there.example", "alice@example.test")
        c.cmd("DATA", 354)
        old = kill(server, "core")
        server.role_pid("core", not_pid=old)
        c.send(message("over") + ".\r\n")
        reply = c.expect((250, "451 4.3.0"))
        c.cmd("NOOP", 250)
    poll(lambda: server.run("mail", "list", "alice@example.test").returncode == 0, 10, "an answer of core")
    server.mail("alice@example.test", 1 if reply.code == 250 else 0)


def test_all_end_with_master(server):
    others = [pid for pid, role in server.roles().items() if role != "master"]
    server.process.kill()
    server.process.wait()
    server.wait_gone(5)
    assert others
    server.start()
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", "alice@example.test", message())
    server.mail("alice@example.test", 1)


def test_sigterm_lets_transactions_finish(server):
    with server.smtp() as busy, server.smtp() as idle:
        busy.hello()
        idle.hello()
        busy.envelope("a@there.example", "alice@example.test")
        busy.cmd("DATA", 354)
        server.process.send_signal(signal.SIGTERM)
        idle.expect("421 4.3.2")
        idle.at_end()
        with pytest.raises(OSError):
            while True:
                socket.create_connection((server.host, server.port), timeout=5).close()
        busy.send(message("late") + ".\r\n")
        busy.expect(250)
        busy.expect("421 4.3.2")
        busy.at_end()
    assert server.process.wait(GRACE + 5) == 0
    server.start()
    server.mail("alice@example.test", 1)


def test_sigterm_does_not_wait_for_ever(server):
    with server.smtp() as busy:
        busy.hello()
        busy.envelope("a@there.example", "alice@example.test")
        busy.cmd("DATA", 354)
        begun = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begun < GRACE + (5 if sanitized() else 1)


def test_second_sigterm_ends_at_once(server):
    with server.smtp() as busy:
        busy.hello()
        busy.envelope("a@there.example", "alice@example.test")
        busy.cmd("DATA", 354)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        poll(lambda: refuses(server), 5, "closed listeners")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(5)
        assert time.monotonic() - begun < GRACE - 2


def refuses(server):
    try:
        socket.create_connection((server.host, server.port), timeout=5).close()
        return False
    except ConnectionError:
        return True


def test_sighup_brings_a_new_generation(server):
    with server.smtp() as old:
        old.hello()
        old.envelope("a@there.example", "alice@example.test")
        pid = server.role_pid("inbound")
        server.configure('limits { recipients = 107  message-size = "1M" }')
        server.process.send_signal(signal.SIGHUP)
        server.role_pid("inbound", not_pid=pid)

        def limited():
            with server.smtp() as c:
                return c.hello().get("LIMITS") == "RCPTMAX=107"

        poll(limited, 10, "the new limit")
        old.content(message("old generation"))  # what was begun goes on
    server.mail("alice@example.test", 1)
    poll(lambda: pid not in server.roles(), GRACE + 10, "the end of the old inbound")


def test_a_reload_sends_nobody_away(server):
    """faults.md 47: who was connected before it may still begin a transaction after it."""
    with server.smtp() as old:
        old.hello()
        server.configure("limits { recipients = 108 }")
        server.command("reload")
        old.deliver("a@there.example", ["alice@example.test"], message("old generation"))
        old.quit()
    server.mail("alice@example.test", 1)


def test_reload_answers_when_it_is_live(server):
    server.configure("limits { recipients = 109 }")
    server.command("reload")
    with server.smtp() as c:
        assert c.hello()["LIMITS"] == "RCPTMAX=109"


def test_reload_with_problems_changes_nothing(server):
    before = server.roles()
    server.configure('limits { recipients = "many" }\nlimits { no-such-thing = 1 }')
    done = server.run("reload")
    assert done.returncode == 1 and b"veredus.conf:" in done.stderr
    assert server.roles() == before
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("veredus.conf:|recipients")
    with server.smtp() as c:
        assert c.hello()["LIMITS"] == "RCPTMAX=1000"


def test_reload_many_times(server):
    """faults.md 48: no growth of descriptors."""
    server.command("reload")
    master, core = server.role_pid("master"), server.role_pid("core")

    before = list(server.roles().values()).count("inbound")
    counts = [processes.descriptors(pid) for pid in (master, core)]
    for _ in range(10):
        server.command("reload")
    poll(
        lambda: list(server.roles().values()).count("inbound") <= before,
        GRACE + 10,
        "the end of the old ones",
    )
    poll(
        lambda: all(processes.descriptors(pid) <= n + 2 for pid, n in zip((master, core), counts)),
        10,
        f"descriptors back at {counts}",
    )


def test_stop_command(server):
    server.command("stop")
    assert server.process.wait(GRACE + 5) == 0


def test_commands_without_a_server(server):
    """The command line works on the data directory when nobody runs, and what it did is there afterwards."""
    assert server.terminate() == 0
    server.command("account", "add", "carol@example.test", "--password", "x y z 1 2 3")
    assert server.json("mail", "list", "carol@example.test") == []
    assert server.run("status").returncode == 1
    assert server.run("reload").returncode == 1
    server.start()
    with server.smtp() as c:
        c.hello()
        c.deliver("a@there.example", "carol@example.test", message())
    server.mail("carol@example.test", 1)


def test_restarting_too_often_is_slowed(server):
    """A dead process comes back each time, with back-off from 100 ms."""
    pid = None
    for _ in range(3):
        pid = server.role_pid("inbound", not_pid=pid)
        os.kill(pid, signal.SIGKILL)
    server.role_pid("inbound", not_pid=pid)
    server.wait_ready()


def test_sessions_without_command_end_at_shutdown(make_server):
    """Parked sessions too get their 421."""
    server = make_server()
    clients = [server.smtp() for _ in range(40)]
    try:
        for c in clients[:20]:
            c.hello()
        assert server.terminate() == 0
        for c in clients:
            try:
                c.expect("421 4.3.2")
            except Closed:
                pytest.fail("closed without a word")
    finally:
        for c in clients:
            c.close()


ROLE_USERS = {"inbound": 64001, "outbound": 64002, "resolver": 64003}


def with_users(base, users):
    """A prefix that runs a command where these users exist, and nowhere else: in a name space of its own."""
    passwd = base / "passwd"
    lines = [f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n" for name, uid in users.items()]
    passwd.write_text(Path("/etc/passwd").read_text() + "".join(lines))
    mount = f"mount --bind {passwd} /etc/passwd"
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("not root, or no name space of mounts to be had")
    return ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.parametrize("owner", [0, 64000])
def test_a_user_for_each_role(new_server, tmp_path, owner):
    """Started as root, the roles that have users become them; core stays with its data."""
    server = new_server()
    server.prefix = with_users(
        tmp_path, {"veredus-" + role: uid for role, uid in ROLE_USERS.items()} | {"veredus-core": 64004}
    )
    os.chown(server.data, owner, owner)
    server.populate()
    server.start()
    server.wait_log("role_user_unused role=core")
    roles = sorted(server.roles().values())
    for _ in range(2):
        for pid, role in server.roles().items():
            status = Path(f"/proc/{pid}/status").read_text()
            uid = ROLE_USERS.get(role, ROLE_USERS["inbound"] if "client" in processes.title(pid) else owner)
            assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M), (role, status)
            if role != "master":
                assert re.search(r"^CapEff:\t0+$", status, re.M), (role, status)
            if role in ROLE_USERS:
                assert re.search(rf"^Gid:\t{uid}\t.*\nFDSize:.*\nGroups:\t ?$", status, re.M), (role, status)
        with server.smtp() as c:
            c.hello()
            c.deliver("a@there.example", "alice@example.test", message())
        for role in ROLE_USERS:
            kill(server, role)
        poll(lambda: sorted(server.roles().values()) == roles, 20, "those that were killed")
        old = {pid for pid, role in server.roles().items() if role not in ("master", "core")}
        server.command("reload")
        poll(lambda: not old & set(server.roles()), GRACE + 10, "the end of the old generation")
    server.mail("alice@example.test", 2)
    assert server.terminate() == 0
