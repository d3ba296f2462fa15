"""Keeps the README true: its two set-up commands and its Python examples.

May import: the standard library only (the examples import what they show). To add an example: a
```python block, either a plain script or lines with `>>>`; the blocks of one page share names.

    python tools/readme.py          checks that there are exactly two set-up commands
    python tools/readme.py job      prints the first: set up and do the main job
    python tools/readme.py test     prints the second: set up and run the tests
    python tools/readme.py run      runs the examples of README*.md and docs/, offline
"""

from __future__ import annotations

import doctest
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TOP = 40  # lines of the README in which a reader must meet both commands
SHELL = ("sh", "bash", "shell", "console")
START = "python3 -m venv .venv && "  # what works where the system's Python is managed


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, first line number and text."""

    language: str
    line: int
    text: str


class ReadmeError(ValueError):
    """A page that does not keep its promise."""


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a Markdown text."""
    found = []
    for match in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(match[1], line, match[2]))
    return found


def commands(text: str) -> tuple[str, str]:
    """The two set-up commands of a README.

    >>> start = "python3 -m venv .venv && "
    >>> page = "\\n".join(["```sh", start + "job", "```", "```sh", start + "test", "```", ""])
    >>> commands(page)
    ('python3 -m venv .venv && job', 'python3 -m venv .venv && test')
    """
    shell = [b for b in blocks(text) if b.language in SHELL and b.line <= TOP]
    lines = [line for block in shell for line in block.text.splitlines() if line.strip()]
    if len(shell) != 2 or len(lines) != 2:
        raise ReadmeError(
            f"README.md: the first {TOP} lines must hold two set-up commands; expected 2 shell "
            f"blocks of one line, got {len(shell)} blocks with {len(lines)} lines. "
            f"Move other commands further down."
        )
    for line in lines:
        if not line.startswith(START):
            raise ReadmeError(
                f"README.md: a set-up command must work on a fresh machine; expected it to start "
                f"with {START!r}, got {line!r}. Put that first."
            )
    return lines[0], lines[1]


def run(page: Path) -> int:
    """Runs the Python blocks of one page in order; the number of examples that failed."""
    names: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language != "python":
            continue
        started = time.perf_counter()
        if ">>> " in block.text:
            parser = doctest.DocTestParser()
            test = parser.get_doctest(block.text, names, page.name, str(page), block.line - 1)
            runner.run(test, clear_globs=False)
            names.update(test.globs)  # get_doctest copies them
        else:
            padding = "\n" * (block.line - 1)  # so that a traceback shows the page's own line
            exec(compile(padding + block.text, str(page), "exec"), names)
        print(f"{page.name}:{block.line}: ran in {time.perf_counter() - started:.1f} s")
    return runner.failures


def main(argv: list[str]) -> int:
    """Does what the module's docstring says."""
    verb = argv[0] if argv else "check"
    try:
        job, test = commands((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    except ReadmeError as error:
        print(error, file=sys.stderr)
        return 1
    if verb != "run":
        print({"check": f"{job}\n{test}", "job": job, "test": test}[verb])
        return 0
    pages = [*sorted(REPOSITORY.glob("README*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
    os.environ["PIERIAN_OFFLINE"] = "1"
    sys.path.insert(0, str(REPOSITORY))
    failed = 0
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            failed += run(page)
            os.chdir(REPOSITORY)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
