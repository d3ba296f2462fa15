"""`pierian bench`: the benchmarks of a source checkout. May import: this room."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from pierian.base.errors import DataError, message


def run(args: argparse.Namespace) -> int:
    """`pierian bench`: in a source checkout, where the benchmarks are."""
    roots = [Path.cwd(), Path(__file__).resolve().parents[2]]
    root = next((r for r in roots if (r / "benchmarks" / "__main__.py").is_file()), None)
    if root is None:
        must, fix = "benchmarks come with the source", "Clone the repository and run it there"
        expected = f"a folder benchmarks in {roots[0]}"
        raise DataError(message("bench", must, expected, "none", fix))
    options = [*args.more, *(["--json"] if args.json else [])]
    return subprocess.call([sys.executable, "-m", "benchmarks", *options], cwd=root)
