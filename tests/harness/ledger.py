"""The checker of faults.md: what the load generator was told, beside what lies in the mailboxes.

R1 each accepted message is there, R2 what was not accepted is there only where a reply was lost, R3 nothing is
twice in a mailbox, R4 content is what was sent.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

HEAD = (
    "From: <load@load.test>\r\nTo: <load@example.test>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    "Subject: load {id}\r\nMessage-ID: <{id}@load.test>\r\n\r\n{id}\r\n"
)


@dataclass
class Ledger:
    sent: set = field(default_factory=set)
    answers: dict = field(default_factory=dict)

    @property
    def accepted(self):
        return {id for id, code in self.answers.items() if code // 100 == 2}


def read(path):
    ledger = Ledger()
    for line in open(path):
        word, id, *code = line.split()
        if word == "SENT":
            ledger.sent.add(id)
        else:
            assert id not in ledger.answers, f"two replies to {id}"
            ledger.answers[id] = int(code[0])
    assert ledger.answers.keys() <= ledger.sent
    return ledger


def content(id, size):
    """The message that bench/load sent under this id."""
    head = HEAD.format(id=id).encode()
    n = size - len(head)
    body = bytearray(ord("a") + i % 26 for i in range(n))
    for end in range(78, n - 1, 78):
        body[end - 2 : end] = b"\r\n"
    body[n - 2 :] = b"\r\n"
    return head + bytes(body)


def delivered(mails):
    """How often each id is in a mailbox, from `mail list --json`."""
    return Counter(
        match.group(1) for mail in mails if (match := re.fullmatch(r"load (\S+)", mail["subject"] or ""))
    )


def check(ledger, counts, unanswered):
    """counts: Counter of ids in one mailbox. unanswered: sessions open at all crashes together (R2)."""
    lost = ledger.accepted - counts.keys()
    assert not lost, f"R1: {len(lost)} accepted messages are gone: {sorted(lost)[:5]}"
    twice = {id: n for id, n in counts.items() if n > 1}
    assert not twice, f"R3: delivered more than once: {dict(sorted(twice.items())[:5])}"
    invented = counts.keys() - ledger.sent
    assert not invented, f"R2: never sent: {sorted(invented)[:5]}"
    phantoms = counts.keys() - ledger.accepted
    assert len(phantoms) <= unanswered, f"R2: {len(phantoms)} delivered without a 250, {unanswered} could be"
    return len(phantoms)
