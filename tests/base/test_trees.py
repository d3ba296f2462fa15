"""Trees: flatten and unflatten are inverse, structures compare, errors say what differs."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest

from pierian.base.trees import LEAF, flatten, leaves, map_tree, unflatten

Pair = namedtuple("Pair", "left right")
TREES: list[tuple[Any, list[Any]]] = [
    (1, [1]),
    ([], []),
    (None, []),
    ([1, [2, (3,)], {"a": 4}], [1, 2, 3, 4]),
    ({"b": 1, "a": 2}, [1, 2]),
    (OrderedDict(b=1, a=[2]), [1, 2]),
    (Pair(1, [None, 2]), [1, 2]),
    ((), []),
    ({"x": {}, "y": None, 3: "s"}, ["s"]),
    ([[[[[5]]]]], [5]),
]


@pytest.mark.parametrize(("tree", "found"), TREES)
def test_unflatten_undoes_flatten(tree: Any, found: list[Any]) -> None:
    values, structure = flatten(tree)
    assert values == found == leaves(tree)
    twin = unflatten(structure, values)
    assert twin == tree
    assert type(twin) is (dict if isinstance(tree, dict) else type(tree))


def test_every_kind_of_dict_counts_as_a_dict() -> None:
    tree = OrderedDict(b=1, a=defaultdict(int, c=2))
    assert map_tree(lambda x, y: x + y, tree, {"b": 10, "a": {"c": 20}}) == {
        "b": 11,
        "a": {"c": 22},
    }


def test_structures_tell_trees_apart() -> None:
    structures = [flatten(tree)[1] for tree, _ in TREES]
    for i, a in enumerate(structures):
        for j, b in enumerate(structures):
            assert (a == b) == (i == j)
            assert (hash(a) == hash(b)) or i != j
    assert flatten([1, 2])[1] == flatten([3, 4])[1]
    assert flatten([1])[1] != flatten((1,))[1]
    assert flatten({"a": 1, "b": 2})[1] != flatten({"b": 2, "a": 1})[1], "order is part of it"
    assert flatten("text")[1] == LEAF


def test_map_tree() -> None:
    assert map_tree(lambda x: -x, {"a": [1, None]}) == {"a": [-1, None]}
    assert map_tree(lambda a, b, c: a + b + c, [1, (2,)], [10, (20,)], [0, (5,)]) == [11, (27,)]
    with pytest.raises(ValueError, match="map_tree: all trees must have one structure"):
        map_tree(max, [1, 2], (1, 2))


def test_unflatten_needs_enough_leaves() -> None:
    _, structure = flatten([1, 2])
    with pytest.raises((ValueError, RuntimeError, StopIteration)):
        unflatten(structure, [1])
