"""What the wheel checker demands, on lists of file names."""

from __future__ import annotations

import pytest

from tools import wheel

TREE = ["pierian/__init__.py", "pierian/py.typed", "pierian/data/mnist.npz"]
LICENSE = "pierian-0.1.0.dist-info/licenses/LICENSE"


def test_complete_wheel_passes() -> None:
    assert wheel.missing(TREE, [*TREE, LICENSE]) == []


@pytest.mark.parametrize("name", [*TREE, LICENSE])
def test_what_a_wheel_lacks_is_named(name: str) -> None:
    found = wheel.missing(TREE, {*TREE, LICENSE} - {name})
    assert any(name.rpartition("/")[2] in line for line in found)


def test_wheel_needs_sample_data_even_if_the_tree_lost_it() -> None:
    tree = TREE[:2]
    assert wheel.missing(tree, [*tree, LICENSE]) == ["lacks the sample data, pierian/data/*.npz"]


def test_leftover_of_an_old_build_is_named() -> None:
    (found,) = wheel.missing(TREE, [*TREE, LICENSE, "pierian/old.py"])
    assert "pierian/old.py" in found
