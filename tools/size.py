"""Measures how much there is to read, room by room, and fails when a room outgrows its budget.

May import: the standard library only. To raise a budget: its row in BUDGETS, in the same commit as
the code that needs it.

    python tools/size.py [repository]

A code line is one that bears a token; docstrings, comments and blank lines are not counted, and an
f-string is one token on every Python version. A function's length is its code lines. Type
annotations do not count as tokens: like docstrings they are there to be looked up, and the density
that hurts reading is that of the code.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGE = "pierian"
ROOT = "package"  # the room of pierian/__init__.py
DENSEST = 11.0  # tokens per code line of one file; above it reading slows down


@dataclass(frozen=True)
class Budget:
    """Code lines that some rooms may have together."""

    rooms: tuple[str, ...]
    lines: int
    densest: float = DENSEST


BUDGETS = (
    Budget((ROOT, "__main__"), 470),  # one public name a line, twice; and what is imported late
    Budget(("base",), 640),  # with packages imported late, advice for names of PyTorch, live lists
    Budget(("core",), 1_750),  # with the trace of guards, parsed graphs, onlookers, HTML
    # with convolution and pooling; op blocks are rows of a table, not prose
    Budget(("ops",), 2_450, densest=15.0),
    # its own matrix products and vector functions, and rows of instructions instead of prose
    Budget(("compiler",), 5_900, densest=15.0),
    # with what `pr.debug` shows, the layers of image models (shape arithmetic is dense), and graphs
    Budget(("nn",), 3_240, densest=12.5),
    Budget(("models",), 190, densest=12.5),  # with new heads
    Budget(("optim",), 850),  # with optimizers that users write, and steps by gradients of a tape
    Budget(("metrics",), 500, densest=12.0),  # formulas over whole arrays
    # images are half of it: folders, archives, transforms, which are formulas over whole arrays
    Budget(("data", "io"), 2_270, densest=12.0),
    Budget(("train",), 3_470),  # with learning by hand
    # tables of the names of four texts, whose rows hold more than lines of prose
    Budget(("compat",), 1_200, densest=13.0),
    # with the style sheet of the report; calls that draw have many small arguments
    # and it lays out graphs by itself; geometry and descent are formulas over whole arrays
    Budget(("viz",), 2_050, densest=14.0),
    Budget(("testing",), 300),
    Budget(("cli",), 1_250),  # eight commands, a file each, the tables of settings and data sets
)


@dataclass(frozen=True)
class Function:
    """One function or method and its code lines."""

    name: str
    file: str
    lines: int


@dataclass(frozen=True)
class Source:
    """What was counted in one file."""

    file: str
    room: str
    lines: int
    code: int
    tokens: int
    functions: tuple[Function, ...]

    @property
    def density(self) -> float:
        return self.tokens / self.code if self.code else 0.0


@dataclass(frozen=True)
class Report:
    """The table and what is over budget."""

    table: str
    problems: list[str]


def check(repository: Path, budgets: tuple[Budget, ...] = BUDGETS) -> Report:
    """Measures every Python file of the package below `repository`."""
    package = repository / PACKAGE
    sources = [measure(path, package) for path in sorted(package.rglob("*.py"))]
    rows, problems = [], []
    for budget in budgets:
        title = ", ".join(budget.rooms)
        inside = [source for source in sources if source.room in budget.rooms]
        if not inside:
            continue
        rows.append(row(title, inside, budget.lines))
        code = sum(source.code for source in inside)
        if code > budget.lines:
            problems.append(
                f"{title}: code lines must stay within the budget; expected <= {budget.lines:,}, "
                f"got {code:,}. Delete some, or raise the row in tools/size.py and say why."
            )
    densest = {room: budget.densest for budget in budgets for room in budget.rooms}
    for source in sources:
        if source.room not in densest:
            problems.append(
                f"{source.file}: every room must have a budget; expected one of "
                f"{', '.join(sorted(densest))}, got {source.room}. Add a row to BUDGETS."
            )
        most = densest.get(source.room, DENSEST)
        if source.density > most:
            problems.append(
                f"{source.file}: a file must stay readable; expected <= {most:g} tokens per "
                f"code line, got {source.density:.1f}. Break its densest lines in two."
            )
    rows.append(row("**all**", sources, sum(budget.lines for budget in budgets)))
    return Report("\n".join([HEAD, *rows]), problems)


HEAD = (
    "| room | files | lines | code | budget | tokens/line | longest function | median | "
    "biggest file |\n|---|--:|--:|--:|--:|--:|---|--:|---|"
)


def row(title: str, sources: list[Source], budget: int) -> str:
    """One Markdown row for the files of one budget."""
    code = sum(source.code for source in sources)
    tokens = sum(source.tokens for source in sources)
    functions = [function for source in sources for function in source.functions]
    longest = max(functions, key=lambda f: f.lines, default=None)
    biggest = max(sources, key=lambda s: s.code, default=None)
    cells = (
        title,
        f"{len(sources)}",
        f"{sum(source.lines for source in sources):,}",
        f"{code:,}",
        f"{budget:,}",
        f"{tokens / max(code, 1):.1f}",
        f"{longest.name} ({longest.file}) {longest.lines}" if longest else "",
        f"{statistics.median(f.lines for f in functions):g}" if functions else "",
        f"{biggest.file} {biggest.code}" if biggest else "",
    )
    return f"| {' | '.join(cells)} |"


def measure(path: Path, package: Path) -> Source:
    """Counts one file."""
    text = path.read_text(encoding="utf-8")
    file = PurePosixPath(path.relative_to(package).as_posix())
    first = file.parts[0].removesuffix(".py")
    tree = ast.parse(text, filename=str(path))
    skipped = docstrings(tree)
    types = type_hints(tree)
    spans = [span for span in tokens(text) if span not in skipped]
    counted = sum(not any(first <= place < last for first, last in types.get(span[0], ()))
                  for span in spans for place in [(span[0], span[2])])  # fmt: skip
    code = {line for span in spans for line in range(span[0], span[1] + 1)}
    functions = tuple(
        Function(name, str(file), len(code & set(range(start, end + 1))))
        for name, start, end in functions_in(tree)
    )
    room = ROOT if first == "__init__" else first
    return Source(str(file), room, text.count("\n"), len(code), counted, functions)


def tokens(text: str) -> Iterator[tuple[int, int, int]]:
    """First line, last line and first column of every token that is code."""
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    opened = []  # f-strings: Python 3.12 splits what was one token
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind.endswith("STRING_START"):
            opened.append(token)
        elif kind.endswith("STRING_END"):
            start = opened.pop().start
            if not opened:
                yield start[0], token.end[0], start[1]
        elif not opened and token.type not in silent:
            yield token.start[0], token.end[0], token.start[1]


def docstrings(tree: ast.Module) -> set[tuple[int, int, int]]:
    """The spans of all docstrings, in the form `tokens` gives them."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    spans = set()
    for node in ast.walk(tree):
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            spans.add((first.lineno, first.end_lineno or first.lineno, first.col_offset))
    return spans


Place = tuple[int, int]  # line, column


def type_hints(tree: ast.Module) -> dict[int, list[tuple[Place, Place]]]:
    """Where type annotations begin and end, under each line they touch."""
    spans: dict[int, list[tuple[Place, Place]]] = {}
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            hint = getattr(node, field, None)
            if isinstance(hint, ast.expr):
                start = (hint.lineno, hint.col_offset)
                end = (hint.end_lineno or hint.lineno, hint.end_col_offset or 0)
                for line in range(start[0], end[0] + 1):
                    spans.setdefault(line, []).append((start, end))
    return spans


def functions_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Qualified name, first and last line of every function below `node`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child.lineno, child.end_lineno or child.lineno
            yield from functions_in(child, f"{name}.")
        else:
            yield from functions_in(child, prefix)


def main(argv: list[str]) -> int:
    """Prints the table, then what is over budget; the exit status is 1 when anything is."""
    repository = Path(argv[0]) if argv else Path(__file__).resolve().parents[1]
    report = check(repository)
    print(report.table)
    for problem in report.problems:
        print(problem)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
