"""Wrong configurations, and a start that cannot be: one clear line, exit 1, nothing started."""

import os
import pwd
import re
import socket

import pytest

from harness import poll, processes
from harness.server import Server


def fails_to_start(server, *said):
    """`serve` ends with 1 and one line that says each of these."""
    server.start(wait=False)
    assert server.process.wait(20) == 1
    lines = [line for line in server.log().splitlines() if line.strip()]
    errors = [line for line in lines if all(re.search(what, line) for what in said)]
    assert len(errors) == 1, f"wanted one line with {said}: {lines}"
    server.wait_gone(5)


def check(server, text):
    server.config_path.write_text(text)
    done = server.run("check")
    return done.returncode, (done.stdout + done.stderr).decode()


def test_sound_with_three_things(new_server):
    server = new_server()
    status, said = check(
        server,
        f'hostname = "mx.example.test"\ndata = "{server.data}"\n'
        f'listen "mx" {{ protocol = smtp  address = {{"{server.host}:2525"}} }}\n',
    )
    assert status == 0, said


def test_every_problem_with_its_line(new_server):
    server = new_server()
    status, said = check(
        server,
        f"""hostname = "mx.example.test"
data = "{server.data}"
listen "mx" {{
    protocol = smtp
    address = {{"no address"}}
}}
limits {{
    recipients = -5
    message-size = "10X"
    command-timeout = "soon"
}}
relay {{ allow = {{"not a network"}} }}
""",
    )
    assert status == 1
    for line in (5, 8, 9, 10, 12):
        assert re.search(rf"veredus\.conf:{line}:", said), f"nothing about line {line}: {said}"


@pytest.mark.parametrize(
    "text, line",
    [
        ('nonsense = "x"\n', 3),
        ("limits { no-such-limit = 1 }\n", 3),
        ('listen "mx" { protocol = gopher }\n', 3),
        ("limits {\n recipients = 5\n", None),  # not closed: LIBRARIES.md 7
        ('hostname = "unterminated\n', None),
        (
            'listen "mx" { protocol = smtp address = {"127.0.0.1:2525"} }\nlisten "mx" { protocol = smtp address = {"127.0.0.1:2526"} }\n',
            4,
        ),
        ("}\n", 3),
    ],
)
def test_broken_configuration(new_server, text, line):
    server = new_server()
    status, said = check(server, f'hostname = "mx.example.test"\ndata = "{server.data}"\n' + text)
    assert status == 1
    assert re.search(rf"veredus\.conf:{line or '[0-9]+'}:", said), said
    server.start(wait=False)
    assert server.process.wait(20) == 1
    assert not list(server.data.iterdir()), "something was started"


def test_literal_dollar(new_server):
    server = new_server()
    status, said = check(
        server,
        f'hostname = "mx.example.test"\ndata = "{server.data}/${{HOME}}"\n'
        f'listen "mx" {{ protocol = smtp  address = {{"{server.host}:2525"}} }}\n',
    )
    assert os.environ.get("HOME", "/root") not in said


def test_no_configuration_file(new_server):
    server = new_server()
    server.config_path.unlink()
    fails_to_start(server, re.escape(str(server.config_path)))


@pytest.mark.parametrize(
    "octets",
    [b"\0" * 100, b'\xef\xbb\xbfhostname = "x"\n', b"x" * 3000000, b'hostname = "\xff"\n'],
    ids=["nul", "bom", "large", "latin1"],
)
def test_strange_files(new_server, octets):
    """hostile.md 171, as far as a file goes: an error with the file's name, never a crash."""
    server = new_server()
    server.config_path.write_bytes(octets)
    done = server.run("check")
    assert done.returncode in (0, 1) and not re.search(rb"Sanitizer|runtime error", done.stderr)
    if done.returncode:
        assert b"veredus.conf" in done.stdout + done.stderr


def test_crlf_configuration(new_server):
    server = new_server()
    server.config_path.write_bytes(server.config_path.read_bytes().replace(b"\n", b"\r\n"))
    assert server.run("check").returncode == 0


def test_port_in_use(new_server):
    server = new_server()
    server.populate()
    with socket.socket() as taken:
        taken.bind((server.host, server.port))
        taken.listen()
        fails_to_start(server, rf"{re.escape(server.host)}:{server.port}")


def test_second_server_on_the_same_data(make_server, new_server):
    first = make_server()
    second = new_server()
    second.data.rmdir()
    second.data.symlink_to(first.data)
    second.configure()
    second.config_path.write_text(second.config_path.read_text().replace(str(second.data), str(first.data)))
    fails_to_start(second, re.escape(str(first.data)))
    with first.smtp() as c:
        c.hello()
    second.data.unlink()
    second.data.mkdir()


def test_unwritable_directory(new_server):
    """Not even uid 0 gets past this one: the directory cannot be made below a file."""
    server = new_server()
    (server.base / "file").touch()
    server.config_path.write_text(
        server.config_path.read_text().replace(f'"{server.data}"', f'"{server.base}/file/data"')
    )
    fails_to_start(server, re.escape(f"{server.base}/file/data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_data_of_another_user(new_server):
    """Started as root the server becomes the owner of the data directory."""
    server = new_server()
    owner = pwd.getpwnam("nobody")
    os.chown(server.data, owner.pw_uid, owner.pw_gid)
    server.populate()
    server.start()
    for pid, role in server.roles().items():
        if role != "master":
            assert os.stat(f"/proc/{pid}").st_uid in (owner.pw_uid, 0)
            status = open(f"/proc/{pid}/status").read()
            assert re.search(rf"^Uid:\s+{owner.pw_uid}\s+{owner.pw_uid}\s", status, re.M), role
            assert re.search(r"^CapEff:\s+0+$", status, re.M), role


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_unwritable_for_its_owner(new_server):
    server = new_server()
    owner = pwd.getpwnam("nobody")
    os.chown(server.data, owner.pw_uid, owner.pw_gid)
    server.data.chmod(0o500)
    fails_to_start(server, re.escape(str(server.data)))


def walled(server):
    """The processes behind a filter."""
    return [pid for pid in server.roles() if processes.status_kib(pid, "Seccomp") == 2]


def test_capabilities_and_privileges_are_gone(server):
    poll(
        lambda: "core" in server.roles().values() and len(walled(server)) == len(server.roles()) - 1,
        10,
        "all walls",
    )
    for pid, role in server.roles().items():
        if role == "master":
            continue
        status = open(f"/proc/{pid}/status").read()
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M), role
        assert re.search(r"^CapEff:\s+0+$", status, re.M), role
        assert re.search(r"^Seccomp:\s+2$", status, re.M), role


def test_wrong_usage():
    server = Server()
    try:
        for arguments in (
            ["frobnicate"],
            ["serve", "--frobnicate"],
            ["account"],
            ["account", "add"],
            ["mail", "list"],
        ):
            assert server.run(*arguments).returncode == 2, arguments
        for arguments in (["--help"], ["serve", "--help"], ["account", "add", "--help"]):
            assert server.run(*arguments).returncode == 0, arguments
    finally:
        server.close()
