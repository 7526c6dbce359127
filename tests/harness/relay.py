"""What tests of relaying share: a configuration, the queue as the command line shows it, and reports taken apart."""

import base64
import email
import email.policy
import quopri
import re
from dataclasses import dataclass

from . import poll
from .smtp import TIMEOUT, queued_as

FAST = {
    "connect-timeout": "5s",
    "greeting-timeout": "20s",
    "mail-timeout": "20s",
    "rcpt-timeout": "20s",
    "data-timeout": "20s",
    "block-timeout": "20s",
    "final-timeout": "20s",
    "idle": "1s",
}


def section(name, title="", **options):
    """section("queue", retry=["1s"], lifetime="1h")."""
    lines = [f"  {name_of(key)} = {value_of(value)}\n" for key, value in options.items()]
    return f"{name} {title and quoted(title)} {{\n{''.join(lines)}}}\n"


def name_of(key):
    return key.replace("_", "-")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def value_of(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(quoted(str(one)) for one in value) + "}"
    return quoted(str(value))


def configuration(routes=None, *, queue=None, outbound=None, dsn=None, limits=None, dns="", more=""):
    """The part of a configuration that relays. routes: {title: a Remote, via, or a dictionary of options}."""
    parts = [section("relay", allow=["127.0.0.0/8"])]
    parts.append(section("queue", **{"retry": ["1s"], "lifetime": "1h", "warn-after": "0"} | (queue or {})))
    parts.append(section("outbound", **FAST | (outbound or {})))
    for name, options in (("dsn", dsn), ("limits", limits)):
        if options:
            parts.append(section(name, **options))
    for title, target in (routes or {}).items():
        if hasattr(target, "route"):
            target = {"via": target.route()}
        elif isinstance(target, str):
            target = {"via": target}
        elif hasattr(target.get("via"), "route"):
            target = target | {"via": target["via"].route()}
        parts.append(section("route", title, **target))
    return "".join(parts) + dns + more


def hand_in(server, sender, to, octets, parameters="", rcpt_parameters=""):
    """One message by SMTP; its id."""
    with server.smtp() as c:
        c.hello()
        c.cmd(f"MAIL FROM:<{sender}>{parameters}", 250)
        for address in [to] if isinstance(to, str) else to:
            c.cmd(f"RCPT TO:<{address}>{rcpt_parameters}", 250)
        return queued_as(c.content(octets))


# the queue


def listed(server, *filters):
    return server.json("queue", "list", *filters)


def recipients(server, *filters):
    """{address: its entry} of everything in the queue."""
    return {
        one["address"]: one | {"id": entry["id"]}
        for entry in listed(server, *filters)
        for one in entry["recipients"]
    }


def wait_recipient(server, address, condition, what, timeout=TIMEOUT):
    """A recipient in the queue, once it is as wanted."""
    return poll(
        lambda: (one := recipients(server).get(address)) and condition(one) and one,
        timeout,
        f"{address} {what}: {listed(server)}",
        0.05,
    )


def wait_deferred(server, address, attempts=0, timeout=TIMEOUT):
    """Deferred, and it is known why. Attempts are those at the message: that a host could not be reached costs none."""
    return wait_recipient(
        server,
        address,
        lambda one: one["state"] == "deferred" and one["last"] and one["attempts"] >= attempts,
        f"deferred after {attempts} attempts",
        timeout,
    )


def wait_empty(server, timeout=TIMEOUT):
    """Nothing is queued any more."""
    poll(lambda: listed(server) == [], timeout, f"an empty queue; {listed(server)[:3]}", 0.05)


# reports (RFC 3461 to 3464, 6522, 6533)


@dataclass
class Report:
    raw: bytes
    message: object
    text: str  # the part for people
    fields: dict  # about the message, names in lower case
    recipients: list  # fields of each recipient
    returned: bytes  # the third part as it came, without its own header
    returned_type: str

    def about(self, address):
        (one,) = [one for one in self.recipients if final_address(one) == address]
        return one

    @property
    def summary(self):
        """{address: (action, status)}"""
        return {
            final_address(one): (one["action"].lower(), one["status"].split()[0])
            for one in self.recipients
        }


def final_address(fields):
    """The final recipient; RFC 6533 3: utf-8-addr-xtext may stand for UTF-8."""
    kind, _, address = fields["final-recipient"].partition(";")
    if kind.strip().lower() == "utf-8":
        address = re.sub(r"\\x\{([0-9A-Fa-f]+)\}", lambda match: chr(int(match.group(1), 16)), address)
    return address.strip()


def parse_report(raw):
    """Takes a report apart, and checks what holds for every one of them."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "a line end that is not CRLF"
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw), "control octets"
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not message.defects, message.defects
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") in ("delivery-status", "global-delivery-status")
    assert message["auto-submitted"].startswith("auto-"), "RFC 3834 5"
    for name in ("from", "to", "date", "message-id", "subject", "mime-version"):
        assert message[name], f"no {name}"
    parts = list(message.iter_parts())
    assert len(parts) == 3, [part.get_content_type() for part in parts]
    words, status, returned = parts
    assert words.get_content_type() == "text/plain"
    assert status.get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    assert returned.get_content_type() in (
        "message/rfc822",
        "text/rfc822-headers",
        "message/global",
        "message/global-headers",
    )
    blocks = groups_of(octets_of(status, raw))
    assert len(blocks) >= 2, "RFC 3464 2.1: at least one recipient"
    assert blocks[0]["reporting-mta"].startswith("dns;")
    for block in blocks[1:]:
        for name in ("final-recipient", "action", "status"):
            assert name in block, f"no {name} in {block}"
        assert block["action"].lower() in ("failed", "delayed", "delivered", "relayed", "expanded")
        assert re.match(r"[245]\.\d{1,3}\.\d{1,3}( |$)", block["status"])
    return Report(
        raw,
        message,
        words.get_content(),
        blocks[0],
        blocks[1:],
        octets_of(returned, raw),
        returned.get_content_type(),
    )


def octets_of(part, raw):
    """A part's body as it stands in the report (message/* parts are taken apart by the parser)."""
    boundary = email.message_from_bytes(raw, policy=email.policy.default).get_boundary().encode()
    wanted = part.get_content_type().encode()
    for piece in raw.split(b"\r\n--" + boundary)[1:]:
        head, _, body = piece.partition(b"\r\n\r\n")
        if re.search(rb"(?i)content-type: *" + re.escape(wanted), head):
            match = re.search(rb"(?i)content-transfer-encoding: *(\S+)", head)
            encoding = match.group(1).lower() if match else b"7bit"
            if encoding in (b"7bit", b"8bit"):
                return body
            # RFC 2046 5.2.1, RFC 3464 2.1: plain, but for the types of RFC 6532 and 6533
            assert b"global" in wanted or wanted.startswith(b"text/"), f"{wanted} is encoded"
            decode = {b"quoted-printable": quopri.decodestring, b"base64": base64.b64decode}[encoding]
            return re.sub(rb"\r?\n", b"\r\n", decode(body))
    raise AssertionError(f"no part {wanted}")


def groups_of(octets):
    """The groups of fields of message/delivery-status, unfolded."""
    groups = []
    for block in re.split(rb"\r\n\r\n+", octets.strip(b"\r\n")):
        lines = re.sub(rb"\r\n(?=[ \t])", b"", block).decode().split("\r\n")
        group = {}
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and re.fullmatch(r"[!-9;-~]+", name), f"not a field: {line!r}"
            assert name.lower() not in group, f"{name} twice"
            group[name.lower()] = value.strip()
        groups.append(group)
    return groups


def reports(server, address="alice@example.test", count=1, timeout=TIMEOUT):
    """The reports in a mailbox, oldest first: count of them, and no more."""
    mails = server.mail(address, count, timeout) if count else server.mail(address)
    return [parse_report(server.raw(address, mail["uid"])) for mail in mails]


def report(server, address="alice@example.test", timeout=TIMEOUT):
    (one,) = reports(server, address, 1, timeout)
    return one
