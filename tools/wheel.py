"""Checks that the wheel holds what the tree holds: all modules, sample data, licence.

May import: the standard library only (it calls pip). To demand one more file: a row in `missing`.

    python tools/wheel.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "pierian"


def build(repository: Path, folder: Path) -> Path:
    """Builds the wheel of `repository` into `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(repository)], check=True)
    return next(folder.glob(f"{PACKAGE}-*.whl"))


def missing(tree: Iterable[str], wheel: Iterable[str]) -> list[str]:
    """What a wheel lacks or has too much of, given the tree's and the wheel's file names."""
    names = set(wheel)
    wanted = set(tree)
    problems = [f"lacks {name}" for name in sorted(wanted - names)]
    stale = {name for name in names if name.startswith(f"{PACKAGE}/")} - wanted
    problems += [f"has {name}, which the tree has not (an old build/?)" for name in sorted(stale)]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        problems.append("lacks the LICENSE")
    if f"{PACKAGE}/py.typed" not in names:
        problems.append(f"lacks {PACKAGE}/py.typed")
    if not any(name.startswith(f"{PACKAGE}/data/") and name.endswith(".npz") for name in names):
        problems.append(f"lacks the sample data, {PACKAGE}/data/*.npz")
    return problems


def main() -> int:
    """Builds and looks; the exit status is 1 when something is missing."""
    files = [path for path in (REPOSITORY / PACKAGE).rglob("*") if path.is_file()]
    tree = [p.relative_to(REPOSITORY).as_posix() for p in files if p.parent.name != "__pycache__"]
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(REPOSITORY, Path(folder))
        problems = missing(tree, zipfile.ZipFile(wheel).namelist())
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    for problem in problems:
        print(f"wheel: {problem}. See [tool.setuptools] in pyproject.toml.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
