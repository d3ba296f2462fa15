"""Windows that slide over the spatial axes of images: their sizes, paddings and taps.

May import: base. Convolution and pooling share these; an option that both have (another way to
pad, say) is read here. Stride, dilation and kernel are tuples, padding is (before, after) per axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.base.shapes import Shape

Pairs = tuple[tuple[int, int], ...]


def per_axis(where: str, name: str, value: Any, rank: int, least: int = 1) -> Shape:
    """`value` (one number for all axes, or one per axis) as a tuple of `rank` numbers.

    >>> per_axis("conv", "stride", 2, 2), per_axis("conv", "stride", (1, 2), 2)
    ((2, 2), (1, 2))
    """
    sizes = tuple(value) if isinstance(value, Sequence) else (value,) * rank
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes)
    if not whole or len(sizes) != rank or min(sizes, default=least) < least:
        raise ShapeError(
            message(where, f"{name} is one number, or one per spatial axis",
                    f"a whole number >= {least}, or {rank} of them", repr(value),
                    f"Pass {name}={max(least, 1)}")
        )  # fmt: skip
    return tuple(map(int, sizes))


def padding_pairs(
    where: str, padding: Any, size: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> Pairs:
    """`padding` as (before, after) per axis: from "valid", "same", numbers or pairs.

    "same" gives ⌈size / stride⌉ outputs; an odd rest goes behind, as in PyTorch and Keras.

    >>> padding_pairs("conv", "same", (5, 5), (3, 2), (1, 2), (1, 1))
    ((1, 1), (0, 1))
    """
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding == "same":
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, str):
        raise ValueError(
            message(where, "padding has two names", '"same" or "valid"', repr(padding),
                    "Pass one of them, or numbers")
        )  # fmt: skip
    if isinstance(padding, Sequence) and any(isinstance(pair, Sequence) for pair in padding):
        pairs = [per_axis(where, "padding", pair, 2, 0) for pair in padding]
        if len(pairs) == len(size):
            return tuple((before, after) for before, after in pairs)
    return tuple((n, n) for n in per_axis(where, "padding", padding, len(size), 0))


def window_shape(
    where: str, size: Shape, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> Shape:
    """How many windows fit along each axis.

    Raises:  ShapeError when none does.

    >>> window_shape("conv", (28, 28), (5, 5), (1, 2), ((0, 0), (2, 2)), (1, 1))
    (24, 14)
    """
    room = tuple(n + sum(pair) for n, pair in zip(size, padding, strict=True))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(span > n for n, span in zip(room, spans, strict=True)):
        dilated = "" if spans == kernel else f", which dilation spreads over {spans}"
        raise ShapeError(
            message(where, "the kernel must fit into the padded input",
                    f"at most {room}", f"a kernel of {kernel}{dilated}",
                    "Pass padding=, a smaller kernel, or larger images")
        )  # fmt: skip
    return tuple((n - span) // s + 1 for n, span, s in zip(room, spans, stride, strict=True))


def taps(kernel: Shape, stride: Shape, dilation: Shape, out: Shape) -> Iterator[tuple[Any, Any]]:
    """Each place in the kernel, and the slices of the padded input that it meets."""
    for place in itertools.product(*map(range, kernel)):
        yield (
            place,
            tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, s, d, n in zip(place, stride, dilation, out, strict=True)
            ),
        )


def padded(x: np.ndarray, padding: Pairs, value: float) -> np.ndarray:
    """`x` with `value` around its last axes, in the same memory order; itself for no padding."""
    if not any(map(any, padding)):
        return x
    lead = x.ndim - len(padding)
    shape = tuple(n + sum(pair) for n, pair in zip(x.shape[lead:], padding, strict=True))
    out = np.full_like(x, value, shape=x.shape[:lead] + shape, subok=False)
    out[(..., *inside(x.shape[lead:], padding))] = x
    return out


def inside(size: Shape, padding: Pairs) -> tuple[Any, ...]:
    """Where the input lies in the padded one."""
    return tuple(slice(low, low + n) for n, (low, _) in zip(size, padding, strict=True))
