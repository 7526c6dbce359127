"""The manual's table names every event that the product logs, and no other."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_server

ROOT = Path(__file__).resolve().parents[1]
CALL = re.compile(r"\b(?:log_(?:error|warning|info|debug|failed)|LOG_AT)\s*\(")
NAME = re.compile(r'"([a-z][a-z0-9]*(?:_[a-z0-9]+)*)"')
MACRO = re.compile(r'#define (EV_\w+)\s+"(\w+)"')


def sources():
    for path in sorted((ROOT / "src").rglob("*.c")):
        if not re.search(r"_(test|fuzz|rig)\.c$|/stub_|/fake_", str(path)):
            yield path, path.read_text()


def arguments(text, start):
    """The argument list that begins behind `start`, up to the parenthesis that closes it."""
    depth, at, quoted = 1, start, False
    while depth and at < len(text):
        c = text[at]
        if quoted:
            at += c == "\\"
            quoted = c != '"' or text[at - 1] == "\\"
        elif c == '"':
            quoted = True
        else:
            depth += (c == "(") - (c == ")")
        at += 1
    return text[start : at - 1]


def logged():
    """Names of events, with the files that log them: the literals before the first field, or the names for them."""
    macros = dict(MACRO.findall("".join(path.read_text() for path in (ROOT / "src").rglob("*.h"))))
    names = {name: "an events.h" for name in macros.values()}
    for path, text in sources():
        for match in CALL.finditer(text):
            for name in NAME.findall(arguments(text, match.end()).split("kv_")[0]):
                names.setdefault(name, str(path.relative_to(ROOT)))
    return names


def documented():
    manual = (ROOT / "docs" / "manual.md").read_text()
    table = manual.split("| event | level | says |", 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines() for name in re.findall(r"`([a-z][a-z0-9_]*)`", row.split(" | ")[0])}


def test_every_event_is_in_the_manual():
    missing = {name: file for name, file in logged().items() if name not in documented()}
    assert not missing, f"the table of docs/manual.md lacks {missing}"


def test_the_manual_names_no_event_that_is_not_logged():
    text = "".join(path.read_text() for path in (ROOT / "src").rglob("*.[ch]"))
    gone = [name for name in documented() if f'"{name}"' not in text]
    assert not gone, f"the table of docs/manual.md has {gone}"
