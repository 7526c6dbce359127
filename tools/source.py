"""What the checks of tools/ share: the files of the tree, C without its comments and strings, the report."""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {".git", "build", "__pycache__", "node_modules"}

# A comment, a string or a character constant; what is none of them is code.
NOT_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to look at (default: this one)")
    return parser


def files(root, folders, suffixes):
    """Sorted paths below the folders, relative to root."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root)
            if path.suffix in suffixes and not SKIPPED & set(relative.parts) and path.is_file():
                found.append(relative)
    return found


def code_only(text):
    """The text with comments and the insides of strings blanked out; lines and columns stay."""
    def blank(match):
        s = match.group(0)
        inside = re.sub(r"[^\n]", " ", s)
        return inside if s[0] == "/" else s[0] + inside[1:-1] + s[-1]

    return NOT_CODE.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Report:
    """Problems as FILE:LINE: TEXT on standard output; finish() is the exit status."""

    def __init__(self, name):
        self.name, self.problems = name, 0

    def problem(self, path, line, text):
        self.problems += 1
        print(f"{path}:{line}: {text}" if line else f"{path}: {text}")

    def finish(self, looked_at):
        plural = "" if self.problems == 1 else "s"
        print(f"{self.name}: {looked_at}, {self.problems} problem{plural}", file=sys.stderr)
        return 1 if self.problems else 0
