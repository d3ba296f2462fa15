"""Arithmetic on shapes and axes. Pure functions of tuples of ints.

May import: errors. To add one: a function from shapes to a shape that raises ShapeError and
names the operation it was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pierian.base.errors import ShapeError, message

Shape = tuple[int, ...]


def broadcast(where: str, *shapes: Shape) -> Shape:
    """The common shape of `shapes` under NumPy's broadcasting.

    >>> broadcast("add", (3, 1), (4,))
    (3, 4)
    """
    rank = max(map(len, shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if n != 1:
                if out[i] not in (1, n):
                    raise ShapeError(
                        message(where, "shapes must be equal or broadcast",
                                "sizes that are equal or 1 on each axis, counted from the right",
                                " and ".join(map(str, shapes)),
                                "Reshape one side or insert an axis with unsqueeze")
                    )  # fmt: skip
                out[i] = n
    return tuple(out)


def normalize_axis(where: str, axis: int, rank: int) -> int:
    """`axis` counted from the left, 0 <= axis < rank.

    >>> normalize_axis("sum", -1, 3)
    2
    """
    try:
        index = axis.__index__()
    except AttributeError:
        raise ShapeError(
            message(where, "axis must be an integer", "an int", repr(axis), "Pass axis=0")
        ) from None
    if not -rank <= index < rank:
        raise ShapeError(
            message(where, "axis must exist", f"-{rank} <= axis < {rank}" if rank else
                    "a tensor with at least one axis", f"axis {index} of {rank} axes",
                    "Pass an axis the tensor has")
        )  # fmt: skip
    return index % rank


def normalize_axes(where: str, axis: Any, rank: int) -> Shape:
    """`axis` (None for all, an int, or several) as sorted distinct axes.

    >>> normalize_axes("sum", (-1, 0), 3), normalize_axes("sum", None, 2)
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(rank))
    if not isinstance(axis, Iterable):
        return (normalize_axis(where, axis, rank),)
    axes = sorted(normalize_axis(where, a, rank) for a in axis)
    if len(set(axes)) != len(axes):
        raise ShapeError(
            message(where, "axes must be distinct", "each axis once", tuple(axis), "Drop repeats")
        )
    return tuple(axes)


def reduce_shape(shape: Shape, axes: Shape, keepdims: bool) -> Shape:
    """`shape` after reducing sorted `axes`.

    >>> reduce_shape((2, 3, 4), (1,), False), reduce_shape((2, 3, 4), (1,), True)
    ((2, 4), (2, 1, 4))
    """
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def reshape(where: str, shape: Shape, target: Sequence[int]) -> Shape:
    """`target` with one -1 worked out so that it holds the elements of `shape`.

    >>> reshape("reshape", (4, 3), (2, -1))
    (2, 6)
    """
    size = math.prod(shape)
    wanted = tuple(n.__index__() for n in target)
    rest = math.prod(n for n in wanted if n != -1)
    holes = wanted.count(-1)
    if holes == 1 and rest and size % rest == 0:
        return tuple(size // rest if n == -1 else n for n in wanted)
    if holes or rest != size or any(n < 0 for n in wanted):
        raise ShapeError(
            message(where, "the number of elements must stay the same",
                    f"a shape of {size} elements (from {shape}), at most one -1", wanted,
                    "Pass sizes whose product is the same, or one -1 to have it worked out")
        )  # fmt: skip
    return wanted


def as_shape(where: str, sizes: tuple[Any, ...]) -> Shape:
    """`f(2, 3)` or `f((2, 3))` as (2, 3): how every function that takes a shape reads it.

    >>> as_shape("zeros", (2, 3)), as_shape("zeros", ([2, 3],)), as_shape("zeros", ())
    ((2, 3), (2, 3), ())
    """
    if len(sizes) == 1 and isinstance(sizes[0], Iterable):
        sizes = tuple(sizes[0])
    try:
        shape = tuple(n.__index__() for n in sizes)
    except (AttributeError, TypeError):
        shape = (-1,)
    if any(n < 0 for n in shape):
        raise ShapeError(
            message(where, "sizes must be whole numbers", "integers >= 0", sizes,
                    "Pass a shape like (2, 3)")
        )  # fmt: skip
    return shape
