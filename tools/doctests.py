"""Runs every `>>>` example of the package, read from the source so that none can be missed.

May import: the standard library only (examples see `np`, `pr` and their own module's names). To
add an example: write it into a docstring; nothing else.

    python tools/doctests.py [module ...]

A decorated function or a property hides its docstring from the standard finder; the syntax tree
does not. Examples run in an empty folder, offline, with warnings as errors.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "pierian"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Example:
    """One docstring with examples: whose it is, where it starts, what it says."""

    name: str
    line: int
    text: str


def modules(package: Path) -> Iterator[str]:
    """The dotted names of all modules below `package`, `__main__` left out."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def examples(source: str, module: str) -> Iterator[Example]:
    """Every docstring of a source text that has examples."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node, clean=False)
        if text and ">>>" in text:
            name = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
            yield Example(name, node.body[0].lineno - 1, text)


def run(module: str, runner: doctest.DocTestRunner, shared: dict[str, object]) -> None:
    """Runs the examples of one module."""
    loaded = importlib.import_module(module)
    path = str(loaded.__file__)
    for example in examples(Path(path).read_text(encoding="utf-8"), module):
        names = shared | vars(loaded)
        parser = doctest.DocTestParser()
        test = parser.get_doctest(example.text, names, example.name, path, example.line)
        runner.run(test)


def main(argv: list[str]) -> int:
    """Runs the modules named, or all; the exit status is 1 when an example fails."""
    sys.path.insert(0, str(REPOSITORY))
    os.environ["PIERIAN_OFFLINE"] = "1"
    os.environ.setdefault("MPLBACKEND", "Agg")
    warnings.simplefilter("error")
    shared: dict[str, object] = {
        "np": importlib.import_module("numpy"),
        "pr": importlib.import_module(PACKAGE),
    }
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for module in argv or modules(REPOSITORY / PACKAGE):
            run(module, runner, shared)
        os.chdir(REPOSITORY)
    print(f"doctests: {runner.tries} examples, {runner.failures} failed")
    return 1 if runner.failures or not runner.tries else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
