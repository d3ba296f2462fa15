"""L, a list that can be mapped, sorted and taken apart; and `first`.

May import: core, numpy. To add a verb: a method of `L` that gives an `L`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import reduce
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from pierian.data.collate import SupportsArray

__all__ = ["L", "first"]

SHOWN = 10  # items in print


class L(list[Any]):
    """A list with verbs. L(items), L(a, b, c); an array or a text is one item.

    An int gives an item; a slice, a list of positions or a mask gives an L.

    >>> L(range(5)).map(str)
    (#5) ['0','1','2','3','4']
    >>> L([3, "c"], [1, "a"]).sorted(0).itemgot(1)
    (#2) ['a','c']
    >>> L("abcd")[0], L(list("abcd"))[1, 3], L(list("abc"))[[True, False, True]]
    ('abcd', (#2) ['b','d'], (#2) ['a','c'])
    """

    def __init__(self, items: Any = None, *rest: Any) -> None:
        super().__init__((items, *rest) if rest else _listed(items))

    def __getitem__(self, index: Any) -> Any:
        chosen = np.arange(len(self))[list(index) if isinstance(index, tuple) else index].tolist()
        if isinstance(chosen, int):
            return super().__getitem__(chosen)
        return L(map(super().__getitem__, chosen))

    def __add__(self, other: Any) -> L:
        return L([*self, *other])

    def __repr__(self) -> str:
        shown = ",".join(map(repr, self[:SHOWN]))
        more = "..." if len(self) > SHOWN else ""
        return f"(#{len(self)}) [{shown}{more}]"

    def map(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> L:
        """f(item, ...) of each."""
        return L([f(item, *args, **kwargs) for item in self])

    def filter(self, f: Callable[[Any], Any] = bool, negate: bool = False) -> L:
        """Those of which f holds, or does not."""
        return L([item for item in self if bool(f(item)) != negate])

    def sorted(self, key: Any = None, reverse: bool = False) -> L:
        """In order; `key` is a function, the name of an attribute, or a position in the items."""
        if isinstance(key, str | int):
            key = attrgetter(key) if isinstance(key, str) else itemgetter(key)
        return L(sorted(self, key=key, reverse=reverse))

    def itemgot(self, *positions: Any) -> L:
        """item[a][b]... of each."""
        return reduce(lambda got, position: got.map(itemgetter(position)), positions, self)

    def attrgot(self, name: str, default: Any = None) -> L:
        """The attribute `name` of each."""
        return L([getattr(item, name, default) for item in self])

    def unique(self) -> L:
        """Each item once, in the order of first appearance."""
        return L(list(dict.fromkeys(self)))

    def enumerate(self) -> L:
        """(position, item) of each."""
        return L(enumerate(self))

    def zip(self) -> L:
        """The items of items, turned round: rows become columns."""
        return L(zip(*self, strict=False))

    def concat(self) -> L:
        """The items of all items, in one L."""
        return L([inner for item in self for inner in item])

    def shuffle(self) -> L:
        """In random order."""
        return L(random.sample(self, len(self)))


def first(items: Iterable[Any], f: Callable[[Any], Any] | None = None) -> Any:
    """The first item (of those that f holds of), or None.

    >>> first(range(3, 9)), first([]), first(range(9), lambda i: i > 4)
    (3, None, 5)
    """
    return next(iter(items if f is None else filter(f, items)), None)


def _listed(items: Any) -> Iterable[Any]:
    if items is None:
        return ()
    one = isinstance(items, str | bytes | SupportsArray) or not isinstance(items, Iterable)
    return (items,) if one else items
