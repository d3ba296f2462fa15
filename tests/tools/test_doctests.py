"""The doctest sweep: nothing with `>>>` may be missed."""

from __future__ import annotations

from pathlib import Path

from tools import doctests

SOURCE = '''"""Module.

>>> 1
1
"""
import functools

def plain():
    """No example."""

class Box:
    @property
    def size(self):
        """Hidden from the standard finder once wrapped.

        >>> 2
        2
        """

    @functools.lru_cache
    def method(self):
        def inner():
            """>>> 3"""
'''


def test_examples_are_found_wherever_they_stand() -> None:
    found = {example.name: example.line for example in doctests.examples(SOURCE, "box")}
    assert found == {"box": 0, "box.size": 13, "box.inner": 22}


def test_modules_leave_out_main(tmp_path: Path) -> None:
    package = tmp_path / "pierian"
    (package / "nn").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "cli.py", "nn/__init__.py", "nn/loss.py"):
        (package / name).write_text("")
    assert set(doctests.modules(package)) == {
        "pierian",
        "pierian.cli",
        "pierian.nn",
        "pierian.nn.loss",
    }
