"""L, a list that can be mapped, sorted and taken apart; and `first`.

May import: core, numpy. To add a verb: a method of `L` that gives an `L`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, SupportsIndex

import numpy as np

from pierian.data.collate import SupportsArray

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
        if isinstance(index, slice):
            return L(super().__getitem__(index))
        if isinstance(index, list | tuple) or np.ndim(index):
            chosen = np.arange(len(self))[np.asarray(index)].tolist()
            return L([self[i] for i in chosen])
        return super().__getitem__(index)

    def __add__(self, other: Any) -> L:
        return L([*self, *other])

    def __mul__(self, times: SupportsIndex) -> L:
        return L(super().__mul__(times))

    def __repr__(self) -> str:
        more = "..." if len(self) > SHOWN else ""
        return f"(#{len(self)}) [{','.join(map(repr, self[:SHOWN].copy()))}{more}]"

    @classmethod
    def range(cls, *span: int) -> L:
        """The numbers of a range."""
        return cls(range(*span))

    def map(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> L:
        """f(item, ...) of each."""
        return L([f(item, *args, **kwargs) for item in self])

    def starmap(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> L:
        """f(*item, ...) of each."""
        return L([f(*item, *args, **kwargs) for item in self])

    def filter(self, f: Callable[[Any], Any] | None = None, negate: bool = False) -> L:
        """Those of which f holds, or does not."""
        keep = bool if f is None else f
        return L([item for item in self if bool(keep(item)) != negate])

    def argwhere(self, f: Callable[[Any], Any]) -> L:
        """The positions of those of which f holds."""
        return L([i for i, item in enumerate(self) if f(item)])

    def sorted(self, key: Any = None, reverse: bool = False) -> L:
        """In order; `key` is a function, the name of an attribute, or a position in the items."""
        if isinstance(key, str | int):
            key = attrgetter(key) if isinstance(key, str) else itemgetter(key)
        return L(sorted(self, key=key, reverse=reverse))

    def itemgot(self, *positions: Any) -> L:
        """item[a][b]... of each."""
        return functools.reduce(lambda items, i: items.map(itemgetter(i)), positions, self)

    def attrgot(self, name: str, default: Any = None) -> L:
        """The attribute `name` of each, or the key of dicts."""
        read = [i.get if isinstance(i, dict) else functools.partial(getattr, i) for i in self]
        return L([get(name, default) for get in read])

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

    def reduce(self, f: Callable[[Any, Any], Any], *start: Any) -> Any:
        """f(f(f(start, item), item), ...)."""
        return functools.reduce(f, self, *start)

    def sum(self) -> Any:
        """The sum of all."""
        return sum(self)

    def shuffle(self) -> L:
        """In random order."""
        return L(random.sample(self, len(self)))

    def reversed(self) -> L:
        """In reverse order."""
        return self[::-1]


def first(items: Iterable[Any], f: Callable[[Any], Any] | None = None) -> Any:
    """The first item (of those that f holds of), or None.

    >>> first(range(3, 9)), first([]), first(range(9), lambda i: i > 4)
    (3, None, 5)
    """
    return next(iter(items if f is None else filter(f, items)), None)


def _listed(items: Any) -> Iterable[Any]:
    if items is None:
        return ()
    whole = isinstance(items, str | bytes | SupportsArray) or not isinstance(items, Iterable)
    return (items,) if whole else items
