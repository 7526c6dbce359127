"""The checks of tools/: each is seen to fail on a bad tree, and to pass on a good one."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

pytestmark = pytest.mark.no_server


def check(root, name, *options):
    done = subprocess.run([TOOLS / name, "--root", root, *options], text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


GOOD = {
    "src/base/str.h": "#pragma once\n",
    "src/mail/address.h": '#pragma once\n\n#include "base/str.h"\n',
    "src/mail/address.c": '#include "mail/address.h"\n\nint f(int x);\n\nint f(int x)\n{\n    return x;\n}\n',
    "src/inbound/session.c": '#include "mail/address.h"\n',
    "src/core/core.c": "/* RFC 5321 4.5.3.1.8 */\n",
}

BAD = [
    # what, tool, file, content, expected
    ("upward", "check-layers", "src/mail/x.c", '#include "run/fiber.h"\n', "src/mail/x.c:1: mail (1) includes run (3)"),
    ("sideways", "check-layers", "src/core/x.c", '\n#include "inbound/session.h"\n', "src/core/x.c:2: core includes inbound"),
    ("cycle", "check-layers", "src/base/str.h", '#include "base/a.h"\n', "include cycle: base/"),
    ("nameless", "check-layers", "src/core/x.c", '#include "x.h"\n', "is not named from src/"),
    ("private", "check-layers", "src/core/x.c", '#include "mail/address_int.h"\n', "is for its own folder only"),
    ("folder", "check-layers", "src/other/x.c", "", "src/other has no level"),
    ("file", "check-size", "src/base/x.c", "\n" * 601, "601 lines, 600 at most"),
    ("header", "check-size", "src/base/x.h", "\n" * 201, "201 lines, 200 at most"),
    ("line", "check-size", "src/base/x.c", "/*" + "ü" * 98 + "*/\n", "src/base/x.c:1: 102 columns"),
    ("function", "check-size", "src/base/x.c", "int f(void)\n{\n" + "    g();\n" * 61 + "}\n", "x.c:2: f() has 61 lines"),
    ("call", "check-banned", "src/base/x.c", "void f(void)\n{\n    strcpy (a, b);\n}\n", "x.c:3: strcpy() is banned"),
    ("malloc", "check-banned", "src/core/x.c", "p = malloc(3);\n", "malloc() is banned: base/mem.h"),
    ("sleep", "check-banned", "src/core/x_test.c", "sleep(1);\n", "sleep() is banned"),
    ("time", "check-banned", "src/core/x.c", "localtime_r(&t, &tm);\n", "localtime_r() is banned"),
    ("mark", "check-banned", "src/core/x.c", "/* TODO: all */\n", "TODO: an issue says"),
    ("format", "check-format", "src/base/x.c", "int  x;\n", "src/base/x.c:1: not as clang-format writes it"),
    ("reference", "rfcxref", "src/base/x.c", "/* RFC5321 4.2 */\n", 'src/base/x.c:1: "RFC5321"'),
    ("section", "rfcxref", "src/base/x.c", "int x;\n/* as RFC 5321 section 4.2 has it */\n", "src/base/x.c:2:"),
]


@pytest.mark.parametrize("tool", ["check-layers", "check-size", "check-banned", "check-format", "rfcxref"])
def test_good(tmp_path, tool):
    write(tmp_path, GOOD)
    (tmp_path / ".clang-format").write_text((TOOLS.parent / ".clang-format").read_text())
    status, out = check(tmp_path, tool)
    assert status == 0, out


@pytest.mark.parametrize("tool,name,content,expected", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad(tmp_path, tool, name, content, expected):
    write(tmp_path, GOOD | {"src/base/a.h": '#include "base/str.h"\n'} | {name: content})
    (tmp_path / ".clang-format").write_text((TOOLS.parent / ".clang-format").read_text())
    status, out = check(tmp_path, tool)
    assert status == 1 and expected in out, out


def test_banned_only_in_code(tmp_path):
    write(tmp_path, {"src/base/x.c": '/* strcpy(a) */\nconst char *s = "malloc(1)";\nint n = t->free(p) + t.sprintf(q);\n',
                     "src/base/mem.c": "p = malloc(3);\n", "src/base/y.c": "// sleep(1)\nsleep(1);\n"})
    status, out = check(tmp_path, "check-banned")
    assert status == 0, out


def test_functions_that_are_long_enough(tmp_path):
    write(tmp_path, {"src/base/x.c": "int f(void)\n{\n" + "    g();\n" * 60 + "}\n"})
    assert check(tmp_path, "check-size")[0] == 0


def test_rfcxref_lists_and_renders(tmp_path):
    write(tmp_path, {"src/mail/a.c": "/* RFC 5321 4.5.3.1.8, RFC 5322 3.3,\n * 3.4.1 and 4.2 */\n/* RFC 5321 4.2.4 todo: later */\n",
                     "src/mail/a_test.c": '"RFC 9999 1.2"\n', "tools/rfc-titles.txt": "5321 SMTP\n"})
    status, out = check(tmp_path, "rfcxref")
    assert status == 0
    assert out.splitlines() == [
        "RFC 5321 4.2.4 src/mail/a.c:3 todo: later", "RFC 5321 4.5.3.1.8 src/mail/a.c:1", "RFC 5322 3.3 src/mail/a.c:1",
        "RFC 5322 3.4.1 src/mail/a.c:1", "RFC 5322 4.2 src/mail/a.c:1", "RFC 9999 1.2 src/mail/a_test.c:1"]
    status, out = check(tmp_path, "rfcxref", "--markdown")
    assert "| 5321 | SMTP | 4.2.4, 4.5.3.1.8 | `mail/a.c` | 4.2.4: later |" in out
    assert "| 5322 |  | 3.3, 3.4.1, 4.2 | `mail/a.c` |  |" in out and "9999" not in out


def test_rfcxref_knows_an_rfc_from_a_section(tmp_path):
    write(tmp_path, {"src/mail/a.c": "/* RFC 2045, 2046 5.1, RFC 2047 */\n"})
    assert check(tmp_path, "rfcxref")[1].splitlines() == [
        "RFC 2045 - src/mail/a.c:1", "RFC 2046 - src/mail/a.c:1", "RFC 2046 5.1 src/mail/a.c:1", "RFC 2047 - src/mail/a.c:1"]


def fake(directory, name, script):
    path = directory / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def install_deps(tmp_path, present, *lists):
    """With stand-ins for the package tools that write down how they were called."""
    fake(tmp_path, "dpkg-query", f"for p in {present}; do [ \"$4\" = $p ] && echo 'install ok installed'; done; :\n")
    fake(tmp_path, "apt-get", f'echo "$@" >>{tmp_path}/calls\n')
    fake(tmp_path, "sudo", 'exec "$@"\n')
    done = subprocess.run([TOOLS / "install-deps", *lists], text=True, capture_output=True, timeout=60,
                          env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    calls = tmp_path / "calls"
    return done.returncode, calls.read_text() if calls.exists() else ""


def packages(name):
    return [line for line in (TOOLS / "packages" / f"{name}.txt").read_text().split("\n") if line and line[0] != "#"]


def test_install_deps_asks_for_nothing_that_is_there(tmp_path):
    assert install_deps(tmp_path, " ".join(packages("build")), "build") == (0, "")


def test_install_deps_installs_what_is_missing(tmp_path):
    present = [p for p in packages("build") if p not in ("meson", "libuv1-dev")]
    status, calls = install_deps(tmp_path, " ".join(present), "build")
    assert status == 0
    assert calls.splitlines() == ["-q update", "-q -y --no-install-recommends install meson libuv1-dev"]


def test_install_deps_knows_its_lists(tmp_path):
    assert install_deps(tmp_path, "", "nonsense") == (2, "")
