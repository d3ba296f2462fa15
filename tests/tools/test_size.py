"""The size checker, on small synthetic trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import size
from tools.arrows import BELOW
from tools.size import Budget

CODE = '''"""Docstring.

Not code.
"""

# Not code either.
NAMES = [
    "a",
]


class Box:
    """Not code."""

    def open(self, key):
        """Not
        code."""
        text = f"{key} opens {self}"

        return text


TABLE = """
two
"""
'''


def tree(folder: Path, files: dict[str, str]) -> Path:
    """A package made of `files`."""
    for name, text in files.items():
        path = folder / "pierian" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_measure_counts_lines_that_bear_a_token(tmp_path: Path) -> None:
    path = tree(tmp_path, {"base/box.py": CODE}) / "pierian/base/box.py"
    found = size.measure(path, tmp_path / "pierian")
    assert found.lines == 25
    assert found.code == 3 + 1 + 3 + 3
    # NAMES = [ / "a" , / ] / class Box : / def open ( self , key ) : / text = f"" / return text
    # / TABLE = """ """
    assert found.tokens == 3 + 2 + 1 + 3 + 8 + 3 + 2 + 3
    assert [(f.name, f.lines) for f in found.functions] == [("Box.open", 3)]


def test_room_over_budget_is_caught(tmp_path: Path) -> None:
    files = {"optim/sgd.py": "x = 1\n" * 6, "metrics.py": "y = 2\n" * 5}
    budgets = (Budget(("optim", "metrics"), 10),)
    (found,) = size.check(tree(tmp_path, files), budgets).problems
    assert "optim, metrics: code lines must stay within the budget; expected <= 10, got 11" in found


def test_too_dense_file_is_caught(tmp_path: Path) -> None:
    files = {"optim/math.py": "a = 1 + 2 + 3 + 4 + 5\n", "optim/calm.py": "a = 1\nb = 2\n"}
    assert size.check(tree(tmp_path, files)).problems == []
    files = {"optim/math.py": "a = 1 + 2 + 3 + 4 + 5 + 6\n"}
    (found,) = size.check(tree(tmp_path, files)).problems
    assert "optim/math.py" in found
    assert "expected <= 11 tokens per code line, got 13.0" in found


def test_type_annotations_are_not_counted_as_density(tmp_path: Path) -> None:
    text = "def f(a: dict[str, list[int]]) -> dict[str, list[int]]: ...\n"
    assert size.check(tree(tmp_path, {"nn/typed.py": text})).problems == []


def test_unknown_room_needs_a_budget(tmp_path: Path) -> None:
    (found,) = size.check(tree(tmp_path, {"attic/old.py": "x = 1\n"})).problems
    assert "got attic" in found


def test_table_names_the_longest_function_and_the_biggest_file(tmp_path: Path) -> None:
    files = tree(tmp_path, {"base/box.py": CODE, "base/empty.py": ""})
    report = size.check(files, (size.Budget(("base",), 500),))
    assert "| base | 2 | 25 | 10 | 500 | 2.5 | Box.open (base/box.py) 3 |" in report.table
    assert "| base/box.py 10 |" in report.table
    assert report.table.splitlines()[-1].startswith("| **all** | 2 |")


def test_main_fails_over_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(tmp_path, {"testing/box.py": "x = 1\n" * 301})
    assert size.main([str(root)]) == 1
    assert "got 301" in capsys.readouterr().out


def test_every_room_has_a_budget() -> None:
    rooms = [room for budget in size.BUDGETS for room in budget.rooms]
    assert sorted(rooms) == sorted(BELOW)
