"""Name servers for tests, each on a loopback address of its own, port 5353.

    with Zones({"there.test": "@ MX 10 mx\nmx A 127.0.0.9\n"}) as dns:
        make_server(config=dns.config())

Zones is a real recursive resolver (unbound of tools/fetch-peers, run from build/peers) that serves these zones and
says "no such domain" to everything else; DNSSEC-signed where asked, with keys made on the spot. Scripted is a server
of ours that answers as a test says, also what no real server would say.
"""

import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections import namedtuple
from pathlib import Path

from . import poll
from .server import REPORTS, ROOT, free_address

PEERS = Path(os.environ.get("VEREDUS_PEERS", ROOT / "build" / "peers"))
HOME = PEERS / "unbound"
PORT = 5353
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
SPECIAL = ("test.", "invalid.", "onion.", "localhost.", "home.arpa.", "127.in-addr.arpa.", "10.in-addr.arpa.")


def missing():
    """Why there is no unbound to run, or None."""
    if not (HOME / "usr/sbin/unbound").exists():
        return "no unbound in build/peers (tools/fetch-peers unbound)"
    return None


def environment():
    libraries = [path for path in (HOME / "usr/lib").glob("*-linux-gnu")]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}


class Zones:
    """zones: {name: lines of a zone file, each with its owner, names relative to it}; SOA, NS and a TTL of 60 s are added. signed: names of
    those to sign. forged: {name: (old, new)}, a replacement in the signed file, so that signatures do not fit."""

    def __init__(self, zones, signed=(), forged=None, host=None, log_queries=False):
        self.zones, self.signed, self.forged = dict(zones), set(signed), dict(forged or {})
        self.host, self.port = host or free_address(), PORT
        self.server = f"{self.host}@{self.port}"
        self.base = Path(tempfile.mkdtemp(prefix="veredus-dns-"))
        self.base.chmod(0o755)
        self.anchor = self.base / "anchor"
        self.log_queries, self.serial, self.keys, self.process = log_queries, 1, {}, None
        for zone in self.signed:
            self.keys[zone] = self.make_key(zone)
        self.anchor.write_text("".join(Path(f"{key}.key").read_text() for key in self.keys.values()))

    def config(self, more=""):
        """The `dns` section of a veredus that asks this server."""
        anchor = f'trust-anchor = "{self.anchor}"' if self.signed else ""
        return f'dns {{ servers = {{"{self.server}"}}  special-use = no  {anchor} {more} }}\n'

    def tool(self, name, *arguments):
        return subprocess.run(
            [HOME / "usr/bin" / name, *map(str, arguments)],
            cwd=self.base,
            env=environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.strip()

    def make_key(self, zone):
        return self.base / self.tool("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone)

    def write(self, zone):
        path = self.base / f"{zone}.zone"
        lines = "\n".join(line.strip() for line in self.zones[zone].splitlines())
        path.write_text(
            f"$ORIGIN {zone}.\n$TTL 60\n@ SOA ns hostmaster {self.serial} 3600 600 86400 60\n@ NS ns\n"
            f"ns A {self.host}\n{lines}\n"
        )
        if zone in self.signed:
            self.tool("ldns-signzone", "-o", zone, "-f", f"{path}.signed", path, self.keys[zone])
            path = Path(f"{path}.signed")
        if zone in self.forged:
            old, new = self.forged[zone]
            text = path.read_text()
            assert old in text, f"{old!r} is not in {path}"
            path.write_text(text.replace(old, new))
        return path

    def write_all(self):
        lines = [
            "server:",
            f'directory: "{self.base}"\nchroot: ""\nusername: ""\npidfile: ""\nuse-syslog: no',
            f'logfile: "{self.base}/log"\ndo-daemonize: no\nnum-threads: 1\nverbosity: 1',
            f"interface: {self.host}\nport: {self.port}\naccess-control: 127.0.0.0/8 allow",
            "do-not-query-localhost: no\nedns-tcp-keepalive: no\nmodule-config: iterator",
            f'log-queries: {"yes" if self.log_queries else "no"}',
            *(f'local-zone: "{zone}" nodefault' for zone in SPECIAL),
            'local-zone: "." static',
            *(f'local-zone: "{zone}." transparent' for zone in self.zones if f"{zone}." not in SPECIAL),
            "remote-control:\ncontrol-enable: no",
        ]
        for zone in self.zones:
            lines.append(
                f'auth-zone:\nname: "{zone}."\nzonefile: "{self.write(zone)}"\n'
                "for-upstream: yes\nfor-downstream: no\nfallback-enabled: no"
            )
        (self.base / "unbound.conf").write_text("\n".join(lines) + "\n")

    def start(self):
        self.write_all()
        with open(self.base / "out", "ab") as out:
            self.process = subprocess.Popen(
                [HOME / "usr/sbin/unbound", "-d", "-c", self.base / "unbound.conf"],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=environment(),
            )
        self.wait_serial()
        return self

    def wait_serial(self):
        """Until every zone is served as it was written last."""
        for zone in self.zones:
            want = struct.pack("!I", self.serial)
            poll(lambda: want in (ask(self.host, zone, "SOA") or b""), 20, f"{zone}: {self.log()}", 0.05)

    def set(self, zone, lines):
        """Serves a zone with these lines from now on."""
        self.zones[zone] = lines
        self.serial += 1
        self.write_all()
        self.process.send_signal(signal.SIGHUP)
        self.wait_serial()

    def log(self):
        return "".join((self.base / name).read_text() for name in ("out", "log") if (self.base / name).exists())

    def asked(self, name, kind):
        """How often this question came (log_queries)."""
        return self.log().count(f" {name}. {kind} IN")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()


# The wire format, for what a script says (RFC 1035 4).


def name_wire(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(name, kind, rdata, ttl=60):
    wire = name if isinstance(name, bytes) else name_wire(name)
    return wire + struct.pack("!HHIH", TYPES.get(kind, kind), 1, ttl & 0xFFFFFFFF, len(rdata)) + rdata


def a(name, address, ttl=60):
    return record(name, "A", socket.inet_aton(address), ttl)


def cname(name, target, ttl=60):
    return record(name, "CNAME", name_wire(target), ttl)


def mx(name, preference, host, ttl=60):
    return record(name, "MX", struct.pack("!H", preference) + name_wire(host), ttl)


def ask(host, name, kind, port=PORT, timeout=1):
    """The octets of the answer to a plain question, or None."""
    query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name_wire(name) + struct.pack("!HH", TYPES[kind], 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.sendto(query, (host, port))
            return s.recv(65535)
        except OSError:
            return None


class Query:
    """A question as it came, and ways to answer it: reply() as often as one likes."""

    def __init__(self, server, wire, tcp, peer, send):
        self.server, self.wire, self.tcp, self.peer, self.reply = server, wire, tcp, peer, send
        self.id = struct.unpack("!H", wire[:2])[0]
        labels, at = [], 12
        while wire[at]:
            labels.append(wire[at + 1 : at + 1 + wire[at]].decode("latin-1").lower())
            at += 1 + wire[at]
        self.name, self.end = ".".join(labels), at + 5
        self.type = struct.unpack("!H", wire[at + 1 : at + 3])[0]

    def reply_from(self, other, answer):
        """As if another server had answered."""
        other.udp.sendto(answer, self.peer)

    def message(self, answers=(), rcode=0, id=None, flags=0x8180, question=None, count=None):
        """A response with these records; the question's own bytes come back, as 0x20 wants."""
        question = self.wire[12 : self.end] if question is None else question
        head = struct.pack(
            "!HHHHHH",
            self.id if id is None else id,
            flags | rcode,
            1 if question else 0,
            len(answers) if count is None else count,
            0,
            0,
        )
        return head + question + b"".join(answers)


class Scripted:
    """script(query) is called for each question, in a thread of the server. UDP and TCP on one address; queries is
    what came so far. Nothing is answered unless the script does."""

    def __init__(self, script, host=None):
        self.script, self.host, self.port = script, host or free_address(), PORT
        self.server = f"{self.host}@{self.port}"
        self.queries, self.problems, self.timers, self.connections = [], [], [], {}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.wake, self.waker = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        for s in (self.udp, self.tcp):
            s.bind((self.host, self.port))
        self.tcp.listen(64)
        for s in (self.udp, self.tcp, self.wake):
            self.selector.register(s, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def config(self, more=""):
        return f'dns {{ servers = {{"{self.server}"}}  special-use = no  {more} }}\n'

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wake:
                    return
                try:
                    self.serve_one(key.fileobj)
                except Exception as problem:  # of the script; the test looks at it
                    self.problems.append(problem)

    def serve_one(self, s):
        if s is self.tcp:
            connection, _ = s.accept()
            self.connections[connection] = b""
            self.selector.register(connection, selectors.EVENT_READ)
        elif s is self.udp:
            wire, peer = s.recvfrom(65535)
            self.call(Query(self, wire, False, peer, lambda answer: self.udp.sendto(answer, peer)))
        else:
            self.serve_connection(s)

    def serve_connection(self, s):
        try:
            data = s.recv(65535)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(s)
            del self.connections[s]
            s.close()
            return
        data = self.connections[s] + data
        while len(data) >= 2 and len(data) >= 2 + struct.unpack("!H", data[:2])[0]:
            size = 2 + struct.unpack("!H", data[:2])[0]
            wire, data = data[2:size], data[size:]
            send = lambda answer: s.sendall(struct.pack("!H", len(answer)) + answer)
            self.call(Query(self, wire, True, s.getpeername(), send))
        self.connections[s] = data

    def call(self, query):
        self.queries.append(query)
        self.script(query)

    def later(self, seconds, act):
        """Lets time pass before an answer."""
        timer = threading.Timer(seconds, act)
        self.timers.append(timer)
        timer.start()

    def close(self):
        for timer in self.timers:
            timer.join(10)
        self.waker.send(b"x")
        self.thread.join(10)
        for s in (self.udp, self.tcp, self.wake, self.waker, *self.connections):
            s.close()
        self.selector.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.close()
        assert not self.problems, f"the script failed: {self.problems[0]!r}"


Answer = namedtuple("Answer", "type name status secure ttl canonical cut records")


class Answers(list):
    """What the resolver of veredus said to questions, in order; log and memory (KiB) of its process."""

    def __init__(self, done):
        self.log = done.stderr
        assert done.returncode == 0 and not REPORTS.search(done.stderr), done.stderr
        for line in done.stdout.splitlines():
            head, _, tail = line.partition(":")
            if head.endswith(" a second"):
                continue
            kind, name, status, secure, ttl, canonical, *cut = head.split(" ")
            records = tail.split() if status == "found" else tail.strip()
            self.append(Answer(kind, name, status, secure == "secure", int(ttl), canonical, bool(cut), records))
        self.memory = int(self.log.rsplit("the resolver used ", 1)[1].split()[0])


def resolve(tool, config, *questions, rounds=1, timeout=120):
    """Asks the resolver of veredus, in a process of its own behind its walls (bench/dns), "TYPE NAME" each."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(
            'hostname = "mx.example.test"\ndata = "/nonexistent"\n'
            f'listen "mx" {{ protocol = smtp  address = {{"127.0.0.1:2525"}} }}\n{config}\n'
        )
        file.flush()
        done = subprocess.run(
            [tool, "-n", str(rounds), file.name],
            input="".join(f"{question}\n" for question in questions),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    return Answers(done)
