"""Fixtures of all black-box tests. VEREDUS_BIN says which program is under test; without it the sanitizer build
(build/asan/veredus) if there is one. VEREDUS_KEEP leaves the servers' files in place."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from harness import dns
from harness.relay import configuration
from harness.remote import Remote
from harness.server import ROOT, Server, binary


def pytest_collection_modifyitems(config, items):
    if not binary().exists():
        skip = pytest.mark.skip(reason=f"no {binary()}")
        for item in items:
            if "no_server" not in item.keywords:
                item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    """The figures of tests that have some."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {value}")


@contextlib.contextmanager
def running(**options):
    server = Server(**options)
    try:
        server.populate()
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def make_server():
    """make_server(config=…) gives running servers; all are stopped and checked at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(running(**options))


@pytest.fixture
def new_server():
    """Like make_server, but neither populated nor started."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            server = Server(**options)
            stack.callback(server.close)
            return server

        yield make


@pytest.fixture
def server(make_server):
    """A server of this test alone, with alice and bob at example.test."""
    return make_server()


@pytest.fixture
def there():
    """The next hop: a remote server that does as told."""
    with Remote() as remote:
        yield remote
    assert not remote.problems


@pytest.fixture
def relay(make_server, there):
    """relay(outbound={…}) gives a server that sends everything to `there`, but for the routes that are given."""

    def make(routes=None, **options):
        server = {key: options.pop(key) for key in ("top", "domains", "accounts", "env") if key in options}
        return make_server(config=configuration({"*": there} | (routes or {}), **options), **server)

    return make


@pytest.fixture
def zones():
    """zones({…}) serves them from a real resolver."""
    why = dns.missing()
    if why:
        pytest.skip(why)
    running = []

    def make(texts, **options):
        running.append(dns.Zones(texts, **options).__enter__())
        return running[-1]

    yield make
    for one in running:
        one.close()


@pytest.fixture
def remotes():
    """remotes(3): running servers with addresses of their own."""
    running = []

    def make(count=1, **options):
        new = [Remote(**options).start() for _ in range(count)]
        running.extend(new)
        return new

    yield make
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def shared_server():
    """One server for the tests of a file that leave it as it was: each uses recipients of its own."""
    with running(
        domains=("example.test", "other.test"), accounts=("alice@example.test", "bob@example.test")
    ) as server:
        yield server


@pytest.fixture
def account(shared_server, request):
    """A fresh account on the shared server."""
    account.number = getattr(account, "number", 0) + 1
    address = f"user{account.number}@example.test"
    shared_server.command("account", "add", address, "--password", "correct horse battery staple")
    return address


def bench_tool(name):
    """A program of bench/: where VEREDUS_BENCH_TOOLS says, else of build/, else the newest of any build; built where
    there is none yet."""
    if "VEREDUS_BENCH_TOOLS" in os.environ:
        return Path(os.environ["VEREDUS_BENCH_TOOLS"]) / name
    builds = [ROOT / "build", *sorted(ROOT.glob("build/*/"), key=lambda p: p.stat().st_mtime, reverse=True)]
    for build in builds:
        if (build / "bench" / name).exists():
            return build / "bench" / name
    for build in builds:
        if (build / "build.ninja").exists() and subprocess.run(
            ["ninja", "-C", build, f"bench/{name}"], capture_output=True
        ).returncode == 0:
            return build / "bench" / name
    pytest.skip(f"no bench/{name}")


@pytest.fixture(scope="session")
def load_tool():
    return bench_tool("load")


@pytest.fixture(scope="session")
def sink_tool():
    return bench_tool("sink")


@pytest.fixture(scope="session")
def dns_tool():
    return bench_tool("dns")
