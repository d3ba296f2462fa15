"""Runs the example programs, checks every figure, and prints a table of results and times.

    python -m examples                    all of them, each in a process of its own
    python -m examples scratch_xor keras  those whose names begin so
    python -m examples --sample           on the bundled sample of MNIST, as CI does
    python -m examples --pictures out     keeps in the folder `out` what they draw
    python -m examples --markdown FILE    writes the table into a file, too

To add a program: a file `examples/<face>_<what>.py` of at most 60 lines that are not blank, with

    TITLE = "XOR"                              one line for the table
    NEEDS = ("mnist", "matplotlib")            data sets and packages without which it is skipped
    GOALS = {"right of 4": ">= 4"}             figure -> what it must satisfy: >= <= == and a number
    SAMPLE = {"accuracy": ">= 0.8"}            optional: GOALS under --sample; {}: not run there
    SEEDS = 3                                  optional: figures are means over main(0), main(1) …
    def main() -> dict[str, float]: ...        runs it and gives the figures that GOALS names

    if __name__ == "__main__":
        print(main(), "beside", GOALS)

These are read without running the file, so they are literals. A figure may have several goals, in a
list. Under `--sample` only programs that have SAMPLE or need no MNIST run, with one seed, and
`pierian.data.mnist()` gives the sample. A file without TITLE is no program but what several share.
By itself one runs as `python -m examples.scratch_xor`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import operator
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.pictures import FOLDER as PICTURES
from pierian.base.errors import DataError
from pierian.base.file import cache_folder
from pierian.base.table import Table
from pierian.data import fashion_mnist, mnist

FOLDER = Path(__file__).resolve().parent
DATA = {"mnist": mnist, "fashion-mnist": fashion_mnist}  # what NEEDS may name besides packages
HOLDS = {">=": operator.ge, "<=": operator.le, "==": operator.eq}
RESULT = "examples: result "  # begins the line with which a program's process ends
LIMIT = 1_800  # seconds after which a program is given up
Row = tuple[str, str, str, str, str, str]  # of the table
HEAD = ("program", "figure", "got", "goal", "", "seconds")
BAD = ("FAILED", "MISSED")
FIELDS = ("TITLE", "NEEDS", "GOALS", "SAMPLE", "SEEDS")


@dataclass(frozen=True)
class Program:
    """One example as its file describes it."""

    name: str
    TITLE: str
    GOALS: dict[str, Any]
    NEEDS: tuple[str, ...] = ()
    SAMPLE: dict[str, Any] | None = None
    SEEDS: int = 0  # 0: it takes none

    def lacks(self, sample: bool) -> str:
        """Why it cannot run here; empty when it can."""
        if sample and (self.SAMPLE == {} or ("mnist" in self.NEEDS and self.SAMPLE is None)):
            return "has no goals for the bundled sample"
        missing = [need for need in self.NEEDS if not there(need, sample)]
        return f"needs {', '.join(missing)}" if missing else ""

    def goals(self, sample: bool) -> Iterator[tuple[str, str]]:
        """(figure, what it must satisfy), one by one."""
        for figure, wanted in ((sample and self.SAMPLE) or self.GOALS).items():
            for goal in [wanted] if isinstance(wanted, str) else wanted:
                yield figure, goal


def there(need: str, sample: bool) -> bool:
    """Whether a data set or package can be had without a download."""
    if need not in DATA:
        return importlib.util.find_spec(need) is not None
    try:
        DATA[need](source="bundled" if sample else "local")
    except DataError:
        return False
    return True


def programs() -> list[Program]:
    """All programs, by name."""
    found = map(read, sorted(FOLDER.glob("[!_]*.py")))
    return [program for program in found if program]


def read(path: Path) -> Program | None:
    """What one file says of itself; None when it is no program."""
    said = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                if name in FIELDS:
                    said[name] = ast.literal_eval(node.value)
    if "TITLE" not in said:
        return None
    if "GOALS" not in said:
        raise SystemExit(f"{path.name}: a program must say GOALS at its top level.")
    return Program(path.stem, **said)


def holds(figure: float, goal: str) -> bool:
    """Whether a figure satisfies a goal such as ">= 0.9"."""
    relation, number = goal.split()
    return bool(HOLDS[relation](figure, float(number)))


def run(program: Program, options: Any) -> tuple[dict[str, float], float, str]:
    """The figures of one program, its seconds, and what went wrong."""
    environment = dict(os.environ) | {PICTURES: str(Path(options.pictures).resolve())}
    if options.sample:
        apart = str(cache_folder() / "sample")  # from full data sets that were downloaded
        environment |= {"PIERIAN_DATA": "", "PIERIAN_CACHE": apart, "PIERIAN_OFFLINE": "1"}
    seeds = min(program.SEEDS, 1) if options.sample else program.SEEDS
    command = [sys.executable, "-m", "examples", "--one", program.name, "--seeds", str(seeds)]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=FOLDER.parent, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=None if options.loud else subprocess.PIPE, timeout=LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {}, LIMIT, f"gave no result in {LIMIT} s"
    seconds = time.perf_counter() - started
    *said, last = done.stdout.splitlines() or [""]
    if options.loud:
        print(*said, sep="\n")
    if done.returncode or not last.startswith(RESULT):
        return {}, seconds, (done.stderr or f"ended with {done.returncode}").strip()
    return json.loads(last.removeprefix(RESULT)), seconds, ""


def figures(name: str, seeds: int) -> dict[str, float]:
    """What one program gives in this process, the mean over seeds."""
    main = importlib.import_module(f"examples.{name}").main
    found = [main(seed) for seed in range(seeds)] or [main()]
    if seeds > 1:
        print(*(f"seed {seed}: {given}" for seed, given in enumerate(found)), sep="\n")
    return {key: sum(float(given[key]) for given in found) / len(found) for key in found[0]}


def rows(program: Program, options: Any) -> Iterator[Row]:
    """Runs one program and gives its part of the table."""
    lack = program.lacks(options.sample)
    if lack:
        yield program.name, "", "", "", f"skipped: {lack}", ""
        return
    found, seconds, fault = run(program, options)
    time = f"{seconds:.1f}"
    over = f", mean of {program.SEEDS}" if program.SEEDS > 1 and not options.sample else ""
    if fault:
        yield program.name, "", "", "", "FAILED", time
        print(fault)
    for figure, goal in () if fault else program.goals(options.sample):
        value = found.get(figure, float("nan"))
        yield (program.name, f"{figure}{over}", f"{value:.4g}", goal,
               "ok" if holds(value, goal) else "MISSED", time)  # fmt: skip


def line(row: Row) -> str:
    """A row of the table as text."""
    widths = (28, 40, 10, 12, 8, 8)
    return " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def report(table: list[Row], sample: bool) -> str:
    """The table as a page of Markdown."""
    data = "the bundled sample of MNIST" if sample else "the full data sets"
    head = [f"<{name}" if name not in ("got", "seconds") else name for name in HEAD]
    return f"""# The programs of the texts

Every program of `examples/` on {data}: what it gave, what it must give, and the seconds of its
process, from start to end, for all seeds. {platform.machine()}, {os.cpu_count()} cores, Python
{platform.python_version()}; `python -m examples --markdown FILE` makes this page.

{Table(head, table).markdown()}
"""


def main(argv: list[str]) -> int:
    """Runs what was asked for; the exit status is 1 when a figure was missed."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of the names of programs")
    parser.add_argument("--sample", action="store_true", help="on the bundled sample of MNIST")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--pictures", metavar="FOLDER", help="keep what they draw")
    parser.add_argument("--markdown", metavar="FILE", help="write the table into a file, too")
    parser.add_argument("--loud", action="store_true", help="show what the programs print")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seeds", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        print(f"\n{RESULT}{json.dumps(figures(options.one, options.seeds))}")
        return 0
    chosen = [p for p in programs() if p.name.startswith(tuple(options.names) or "")]
    if options.list:
        print(*(f"{p.name:28} {p.TITLE}" for p in chosen), sep="\n")
        return 0
    print(line(HEAD))
    table: list[Row] = []
    with tempfile.TemporaryDirectory() as unless_kept:
        options.pictures = options.pictures or unless_kept
        for program in chosen:
            for row in rows(program, options):
                print(line(row), flush=True)
                table.append(row)
    if options.markdown:
        Path(options.markdown).write_text(report(table, options.sample), encoding="utf-8")
    bad = {row[0] for row in table if row[4] in BAD}
    print(f"{len(chosen) - len(bad)} of {len(chosen)} programs without a fault")
    return 0 if chosen and not bad else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
