"""Trees: nested dicts, lists, tuples and named tuples with anything else at the leaves.

May import: nothing of ours. Every function that takes or returns "trees of tensors" goes
through these four; to make another container a branch, add it to `_children` and `_rebuild`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves; equal trees have equal structures."""

    kind: type | None  # None: a leaf
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()


LEAF = Structure(None)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree` from left to right, and its structure. None is an empty branch; every
    kind of dict counts as a dict.

    >>> leaves, structure = flatten({"w": 1, "b": [2, (3,)]})
    >>> leaves
    [1, 2, 3]
    >>> unflatten(structure, [10, 20, 30])
    {'w': 10, 'b': [20, (30,)]}
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def unflatten(structure: Structure, leaves: list[Any]) -> Any:
    """The tree of `structure` with `leaves`; the inverse of `flatten`."""
    return _rebuild(structure, iter(leaves))


def map_tree(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`f` of each leaf, and of the leaves in the same place of `others`, as a tree.

    >>> map_tree(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
    [11, {'x': 22}]
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        values, found = flatten(other)
        if found != structure:
            raise ValueError(
                f"map_tree: all trees must have one structure; expected {structure}, got {found}. "
                "Pass trees with the same keys and lengths."
            )
        columns.append(values)
    return unflatten(structure, [f(*row) for row in zip(*columns, strict=True)])


def leaves(tree: Any) -> list[Any]:
    """The leaves of `tree` from left to right.

    >>> leaves((1, [2, None]))
    [1, 2]
    """
    return flatten(tree)[0]


def _children(tree: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """The keys and children of a branch; None for a leaf."""
    if tree is None:
        return (), ()
    if isinstance(tree, dict):
        return tuple(tree), tuple(tree.values())
    if isinstance(tree, (list, tuple)):
        return tuple(range(len(tree))), tuple(tree)
    return None


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    branch = _children(tree)
    if branch is None:
        leaves.append(tree)
        return LEAF
    keys, children = branch
    kind = dict if isinstance(tree, dict) else type(tree)
    return Structure(kind, keys, tuple(_flatten(child, leaves) for child in children))


def _rebuild(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    if kind is type(None):
        return None
    children = [_rebuild(child, leaves) for child in structure.children]
    if kind is dict:
        return dict(zip(structure.keys, children, strict=True))
    make: Any = kind
    return make(*children) if hasattr(kind, "_fields") else make(children)
