"""tools/run-tests and tools/run-fuzz with stand-ins for meson, ninja and the programs: the last line sums up what
happened, and the exit status says whether all is well."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

pytestmark = pytest.mark.no_server

MESON = """#!/bin/sh
case $1 in
setup) for d; do case $d in *build*) mkdir -p "$d/meson-logs"; : >"$d/build.ninja" ;; esac; done ;;
test) cp "$ROOT/testlog.json" "$3/meson-logs/testlog.json"; exit $MESON_TEST ;;
introspect) echo '[{"name": "good_fuzz"}, {"name": "bad_fuzz"}, {"name": "veredus"}]' ;;
esac
"""


def tree(tmp_path):
    """A project of nothing but the tools."""
    root = tmp_path / "project"
    shutil.copytree(TOOLS, root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOOLS.parent / ".clang-format", root)
    for folder in ("src", "bench", "tests", "bin"):
        (root / folder).mkdir()
    for name, text in (("meson", MESON), ("ninja", "#!/bin/sh\nexit ${NINJA:-0}\n")):
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    return root


def run(root, tool="run-tests", **environment):
    done = subprocess.run([root / "tools" / tool], text=True, capture_output=True, timeout=120,
                          env=os.environ | {"PATH": f"{root}/bin:{os.environ['PATH']}", "ROOT": str(root),
                                            "MESON_TEST": "0"} | environment)
    return done.returncode, done.stdout.rstrip().splitlines()


def unit(result, stderr):
    return json.dumps({"name": "x", "result": result, "stdout": "", "stderr": stderr}) + "\n"


PASSED = "[==========] 3 test(s) run.\n[  PASSED  ] 3 test(s).\n"
FAILED = "[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] test_x\n 1 FAILED TEST(S)\n"


def test_all_is_well(tmp_path):
    root = tree(tmp_path)
    data = "conformance mime/a.json: 3 of 4 agree\nconformance b.json: skipped, not there\n"
    (root / "testlog.json").write_text(unit("OK", PASSED) + unit("OK", data + PASSED))
    (root / "tests" / "test_a.py").write_text("import pytest\ndef test_a():\n    pass\ndef test_b():\n    pytest.skip('no')\n")
    status, lines = run(root)
    # two programs of three cases, five checks, one case of pytest
    assert (status, lines[-1]) == (0, "12 passed, 0 failed, 2 skipped")
    assert "conformance mime/a.json: 3 of 4 agree" in lines


def test_failures_are_counted(tmp_path):
    root = tree(tmp_path)
    crashed = unit("FAIL", "AddressSanitizer: heap-use-after-free\n")
    (root / "testlog.json").write_text(unit("OK", PASSED) + unit("FAIL", FAILED) + crashed)
    (root / "tests" / "test_a.py").write_text("def test_a():\n    assert False\ndef test_b():\n    pass\n")
    (root / "src" / "base").mkdir()
    (root / "src" / "base" / "x.c").write_text("void f(void)\n{\n    strcpy(a, b);\n}\n")
    status, lines = run(root, MESON_TEST="1")
    # units: 3 + 2 and one failed, one crashed; checks: 4 and one failed; pytest: 1 and one failed
    assert (status, lines[-1]) == (1, "10 passed, 4 failed")


def test_nothing_is_said_to_pass_that_was_not_run(tmp_path):
    root = tree(tmp_path)
    (root / "testlog.json").write_text("")
    (root / "tests" / "test_a.py").write_text("def test_a(:\n")
    status, lines = run(root, MESON_TEST="1")
    assert (status, lines[-1]) == (1, "5 passed, 2 failed")


def test_what_does_not_compile(tmp_path):
    status, lines = run(tree(tmp_path), NINJA="1")
    assert (status, lines[-1]) == (1, "0 passed, 1 failed")


def test_fuzz(tmp_path):
    root = tree(tmp_path)
    build = root / "build" / "fuzz" / "src"
    build.mkdir(parents=True)
    for name, status in (("good", 0), ("bad", 77)):
        (build / f"{name}_fuzz").write_text(f"#!/bin/sh\necho 'stat::number_of_executed_units: 5'\nexit {status}\n")
        (build / f"{name}_fuzz").chmod(0o755)
    status, lines = run(root, "run-fuzz")
    assert status == 1
    assert lines == ["fuzz bad: FAILED, see build/fuzz/bad.log", "fuzz good: ok, 5 runs"]
