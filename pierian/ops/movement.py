"""Movement: the same numbers in another shape or order.

May import: base, core, operands. Seven primitives (reshape, permute, expand, pad, slice, flip,
concat); everything else is made of them. To add one: compose these; a new primitive needs a reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pierian.base.dtypes import promote
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import Shape, as_shape, normalize_axes, normalize_axis
from pierian.base.shapes import broadcast as broadcast_shapes
from pierian.base.shapes import reshape as reshape_shape
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind
from pierian.ops.operands import number


def _reshape_rule(x: Any, shape: Shape) -> Spec:
    return Spec(reshape_shape("reshape", x.shape, shape), x.dtype)


define("reshape", shape=_reshape_rule, run=lambda x, shape: x.reshape(shape),
       warns=False, view=True,
       vjp=lambda g, _y, _x, shape: bind("reshape", g, shape=_x.shape))  # fmt: skip
define("permute", shape=lambda x, axes: Spec(tuple(x.shape[a] for a in axes), x.dtype),
       run=lambda x, axes: x.transpose(axes), warns=False, view=True,
       vjp=lambda g, _y, _x, axes: bind("permute", g, axes=inverse(axes)))  # fmt: skip


def inverse(axes: Shape) -> Shape:
    """The permutation that undoes `axes`."""
    return tuple(axes.index(i) for i in range(len(axes)))


def _expand_rule(x: Any, shape: Shape) -> Spec:
    if broadcast_shapes("expand", x.shape, shape) != tuple(shape):
        raise ShapeError(
            message("expand", "only axes of length 1 can be stretched", shape, x.shape,
                    "Insert axes of length 1 with unsqueeze first")
        )  # fmt: skip
    return Spec(tuple(shape), x.dtype)


define("expand", shape=_expand_rule, run=lambda x, shape: np.broadcast_to(x, shape),
       warns=False, view=True, vjp=lambda g, _y, _x, shape: g)  # fmt: skip


def _pad_rule(x: Any, low: Shape, high: Shape, interior: Shape, value: float) -> Spec:
    shape = tuple(
        lo + n + max(n - 1, 0) * between + hi
        for n, lo, hi, between in zip(x.shape, low, high, interior, strict=True)
    )
    return Spec(shape, x.dtype)


def _pad(x: np.ndarray, low: Shape, high: Shape, interior: Shape, value: float) -> np.ndarray:
    out = np.full(_pad_rule(x, low, high, interior, value).shape, value, x.dtype)
    place = tuple(
        slice(lo, lo + n + max(n - 1, 0) * between, between + 1)
        for n, lo, between in zip(x.shape, low, interior, strict=True)
    )
    out[place] = x
    return out


def _pad_vjp(
    g: Tensor, _y: Tensor, _x: Tensor, low: Shape, high: Shape, interior: Shape, value: float
) -> Tensor:
    steps = tuple(between + 1 for between in interior)
    stops = tuple(
        lo + max((n - 1) * step + 1, 0) if n else lo
        for n, lo, step in zip(_x.shape, low, steps, strict=True)
    )
    return bind("slice", g, starts=low, stops=stops, steps=steps)


define("pad", shape=_pad_rule, run=_pad, vjp=_pad_vjp, warns=False)


def _slice_rule(x: Any, starts: Shape, stops: Shape, steps: Shape) -> Spec:
    sizes = map(len, map(range, starts, stops, steps))
    return Spec(tuple(sizes), x.dtype)


def _slice_vjp(
    g: Tensor, _y: Tensor, _x: Tensor, starts: Shape, stops: Shape, steps: Shape
) -> Tensor:
    high = tuple(
        n - start - (max((m - 1) * step + 1, 0) if m else 0)
        for n, m, start, step in zip(_x.shape, g.shape, starts, steps, strict=True)
    )
    return bind("pad", g, low=starts, high=high, interior=tuple(s - 1 for s in steps), value=0.0)


define("slice", shape=_slice_rule, warns=False, view=True, vjp=_slice_vjp,
       run=lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))])  # fmt: skip
define("flip", shape=lambda x, axes: Spec(x.shape, x.dtype),
       run=lambda x, axes: np.flip(x, axes), warns=False, view=True,
       vjp=lambda g, _y, _x, axes: bind("flip", g, axes=axes))  # fmt: skip


def _concat_rule(*xs: Any, axis: int) -> Spec:
    first = xs[0]
    for x in xs[1:]:
        if x.dtype != first.dtype:
            raise DtypeError(
                message("concat", "parts must have one dtype", first.dtype, x.dtype, "Cast a part")
            )
        same = len(x.shape) == len(first.shape)
        if not same or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if i != axis
        ):
            raise ShapeError(
                message("concat", f"parts must agree on every axis but {axis}", first.shape,
                        x.shape, "Reshape the odd one, or use stack for a new axis")
            )  # fmt: skip
    total = sum(x.shape[axis] for x in xs)
    return Spec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def _concat_vjp(g: Tensor, _y: Tensor, *_xs: Tensor, axis: int, position: int) -> Tensor:
    start = sum(x.shape[axis] for x in _xs[:position])
    return narrow(g, axis, start, _xs[position].shape[axis])


define("concat", shape=_concat_rule, run=lambda *xs, axis: np.concatenate(xs, axis), warns=False,
       vjp=_concat_vjp, variadic=True)  # fmt: skip


# Shape


def reshape(x: Any, *shape: Any) -> Tensor:
    """`x` in another shape with as many elements, in the same (row-major) order.

    Shapes:  x (...) -> shape; one -1 is worked out.
    Raises:  ShapeError when the numbers of elements differ.

    >>> reshape(as_tensor([1, 2, 3, 4]), 2, -1).shape
    (2, 2)
    """
    x = as_tensor(x)
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return bind("reshape", x, shape=reshape_shape("reshape", x.shape, sizes))


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """`x` with the axes from `start_axis` to `end_axis` made one. Shapes: (a, b, c) -> (a·b·c,)."""
    x = as_tensor(x)
    if x.ndim == 0:
        return bind("reshape", x, shape=(1,))
    start = normalize_axis("flatten", start_axis, x.ndim)
    end = normalize_axis("flatten", end_axis, x.ndim)
    if end < start:
        raise ShapeError(
            message("flatten", "end_axis must not come before start_axis", f">= {start}", end,
                    "Swap the two")
        )  # fmt: skip
    middle = math.prod(x.shape[start : end + 1])
    return bind("reshape", x, shape=(*x.shape[:start], middle, *x.shape[end + 1 :]))


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """`x` without axes of length 1: all of them, or those of `axis`. Shapes: (1, a, 1) -> (a,).

    Raises:  ShapeError when an axis given has another length.
    """
    x = as_tensor(x)
    axes = normalize_axes("squeeze", axis, x.ndim)
    if axis is not None and any(x.shape[a] != 1 for a in axes):
        raise ShapeError(
            message("squeeze", "axes to drop must have length 1", 1,
                    f"axis {axis} of shape {x.shape}", "Index the axis or reduce it")
        )  # fmt: skip
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes or n != 1)
    return bind("reshape", x, shape=shape)


def unsqueeze(x: Any, axis: int) -> Tensor:
    """`x` with a new axis of length 1 at `axis`. Shapes: (a, b), axis 1 -> (a, 1, b)."""
    x = as_tensor(x)
    at = normalize_axis("unsqueeze", axis, x.ndim + 1)
    return bind("reshape", x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def permute(x: Any, *axes: Any) -> Tensor:
    """`x` with its axes in the order `axes`. Shapes: (a, b, c), (2, 0, 1) -> (c, a, b)."""
    x = as_tensor(x)
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], Sequence) else axes
    wanted = tuple(normalize_axis("permute", a, x.ndim) for a in order)
    if sorted(wanted) != list(range(x.ndim)):
        raise ShapeError(
            message("permute", "must name every axis once", f"a permutation of {x.ndim} axes",
                    tuple(order), "List all axes")
        )  # fmt: skip
    return bind("permute", x, axes=wanted)


def transpose(x: Any, *axes: Any) -> Tensor:
    """Axes exchanged: all reversed; two numbers swap those two; a tuple is a permutation.

    Shapes:  (a, b, c) -> (c, b, a); 0, 1 -> (b, a, c); (1, 2, 0) -> (b, c, a).

    >>> transpose(as_tensor([[1, 2, 3]])).shape
    (3, 1)
    """
    x = as_tensor(x)
    if not axes:
        return bind("permute", x, axes=tuple(range(x.ndim))[::-1])
    if len(axes) == 2 and all(not isinstance(a, Sequence) for a in axes):
        return swapaxes(x, *axes)
    return permute(x, *axes)


def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """`x` with two axes exchanged. Shapes: (a, b, c), 0, 2 -> (c, b, a)."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    a = normalize_axis("swapaxes", axis0, x.ndim)
    b = normalize_axis("swapaxes", axis1, x.ndim)
    order[a], order[b] = order[b], order[a]
    return bind("permute", x, axes=tuple(order))


def moveaxis(x: Any, source: int, destination: int) -> Tensor:
    """`x` with the axis `source` moved to `destination`. Shapes: (a, b, c), 0, 2 -> (b, c, a)."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    axis = order.pop(normalize_axis("moveaxis", source, x.ndim))
    order.insert(normalize_axis("moveaxis", destination, x.ndim), axis)
    return bind("permute", x, axes=tuple(order))


def matrix_transpose(x: Any) -> Tensor:
    """`x` with its last two axes exchanged. Shapes: (..., a, b) -> (..., b, a)."""
    return swapaxes(x, -2, -1)


# Repetition


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """`x` stretched to `shape` without copying. Shapes: (a, 1) -> (a, b)."""
    x, wanted = as_tensor(x), as_shape("broadcast_to", shape)
    return x if x.shape == wanted else bind("expand", x, shape=wanted)


def expand(x: Any, *shape: Any) -> Tensor:
    """As `broadcast_to`, -1 for "this axis as it is". Shapes: (a, 1), (-1, 3) -> (a, 3)."""
    x = as_tensor(x)
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    lead = len(sizes) - x.ndim
    wanted = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(sizes))
    return broadcast_to(x, wanted)


def tile(x: Any, *times: Any) -> Tensor:
    """`x` laid side by side `times` along each axis. Shapes: (a, b), (2, 3) -> (2·a, 3·b)."""
    x, counts = as_tensor(x), as_shape("tile", times)
    rank = max(x.ndim, len(counts))
    shape = (1,) * (rank - x.ndim) + x.shape
    counts = (1,) * (rank - len(counts)) + counts
    split = tuple(itertools.chain.from_iterable((1, n) for n in shape))
    wide = tuple(itertools.chain.from_iterable(zip(counts, shape, strict=True)))
    wide_x = bind("expand", bind("reshape", x, shape=split), shape=wide)
    return bind("reshape", wide_x, shape=tuple(map(math.prod, zip(counts, shape, strict=True))))


def repeat(x: Any, repeats: int, axis: int | None = None) -> Tensor:
    """Each element `repeats` times in a row along `axis` (of the flattened x for None).

    Shapes:  (a, b), axis 1 -> (a, repeats·b).

    >>> repeat(as_tensor([1, 2]), 2)
    tensor([1, 1, 2, 2], dtype=int64)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    at = normalize_axis("repeat", axis, x.ndim)
    (count,) = as_shape("repeat", (repeats,))
    wide = bind(
        "expand", unsqueeze(x, at + 1), shape=(*x.shape[: at + 1], count, *x.shape[at + 1 :])
    )
    return bind("reshape", wide, shape=(*x.shape[:at], x.shape[at] * count, *x.shape[at + 1 :]))


# Parts


def narrow(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    """`length` elements of `axis` from `start` on."""
    starts = tuple(start if i == axis else 0 for i in range(x.ndim))
    stops = tuple(start + length if i == axis else n for i, n in enumerate(x.shape))
    return bind("slice", x, starts=starts, stops=stops, steps=(1,) * x.ndim)


def concat(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """`tensors` one after the other along an axis they have.

    Shapes:  (a, b), (c, b) -> (a + c, b). Dtypes: promoted.
    Raises:  ShapeError when other axes differ, or for no tensors.
    """
    parts = _parts("concat", tensors)
    return bind("concat", *parts, axis=normalize_axis("concat", axis, parts[0].ndim))


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """`tensors` of one shape along a new axis. Shapes: n times (a, b) -> (n, a, b)."""
    parts = _parts("stack", tensors)
    for part in parts:
        if part.shape != parts[0].shape:
            raise ShapeError(
                message("stack", "all tensors must have one shape", parts[0].shape, part.shape,
                        "Pad or crop them to one shape")
            )  # fmt: skip
    at = normalize_axis("stack", axis, parts[0].ndim + 1)
    return bind("concat", *[unsqueeze(part, at) for part in parts], axis=at)


def _parts(where: str, tensors: Sequence[Any]) -> list[Tensor]:
    parts = [as_tensor(t) for t in tensors]
    if not parts:
        raise ShapeError(
            message(where, "needs something to join", "at least 1 tensor", "none", "Check the list")
        )
    if any(part.dtype != parts[0].dtype for part in parts):
        dtype = parts[0].dtype
        for part in parts:
            dtype = promote(dtype, part.dtype)
        parts = [as_tensor(part, dtype) for part in parts]
    return parts


def split(x: Any, sizes: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into pieces of `sizes` (one number: all but the last that long).

    Shapes:  (a + c, b), sizes (a, c) -> (a, b) and (c, b).
    Raises:  ShapeError when sizes do not add up to the axis.

    >>> [piece.shape for piece in split(as_tensor([1, 2, 3]), 2)]
    [(2,), (1,)]
    """
    x = as_tensor(x)
    at = normalize_axis("split", axis, x.ndim)
    n = x.shape[at]
    if isinstance(sizes, int):
        (step,) = as_shape("split", (sizes,))
        lengths = [min(step, n - i) for i in range(0, n, step)] if step and n else [0]
    else:
        lengths = list(as_shape("split", tuple(sizes)))
    if sum(lengths) != n:
        raise ShapeError(
            message("split", "sizes must add up to the axis", n, lengths, "Mend the sizes")
        )
    starts = itertools.accumulate(lengths, initial=0)
    return [narrow(x, at, start, length) for start, length in zip(starts, lengths, strict=False)]


def chunk(x: Any, chunks: int, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into at most `chunks` pieces of equal length, the last maybe shorter.

    Shapes:  (5, b), 3 chunks -> (2, b), (2, b) and (1, b).
    """
    x = as_tensor(x)
    n = x.shape[normalize_axis("chunk", axis, x.ndim)]
    if chunks < 1:
        raise ShapeError(message("chunk", "needs at least one piece", ">= 1", chunks, "Pass more"))
    return split(x, max(-(-n // chunks), 1), axis)


def pad(x: Any, widths: Any, value: float = 0.0) -> Tensor:
    """`x` with `value` around it.

    Shapes:  (a, b), ((p, q), (r, s)) -> (p + a + q, r + b + s).
    Args:    widths  (before, after) for every axis, or one pair per axis, as in NumPy.
    Raises:  DtypeError for a value that the dtype cannot hold.

    >>> pad(as_tensor([1.0]), (1, 2))
    tensor([0., 1., 0., 0.], dtype=float32)
    """
    x = as_tensor(x)
    pairs = [tuple(w) if isinstance(w, Sequence) else w for w in widths]
    if len(pairs) == 2 and all(isinstance(w, int) for w in pairs):
        pairs = [tuple(pairs)] * x.ndim
    if len(pairs) != x.ndim or any(not isinstance(w, tuple) or len(w) != 2 for w in pairs):
        raise ShapeError(
            message("pad", "needs a (before, after) pair per axis", f"{x.ndim} pairs", widths,
                    "Pass ((before, after), ...) from the first axis on")
        )  # fmt: skip
    number("pad", value, x.dtype)
    low, high = (as_shape("pad", tuple(w[side] for w in pairs)) for side in (0, 1))
    return bind("pad", x, low=low, high=high, interior=(0,) * x.ndim, value=value)


def flip(x: Any, axis: Any = None) -> Tensor:
    """`x` with the order along `axis` (all axes for None) reversed. Shapes: x (...) -> same."""
    x = as_tensor(x)
    return bind("flip", x, axes=normalize_axes("flip", axis, x.ndim))


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """`x` moved by `shift` along `axis`, what falls off the end coming in at the start.

    Shapes:  x (...) -> same. Without an axis the flattened x moves.

    >>> roll(as_tensor([1, 2, 3]), 1)
    tensor([3, 1, 2], dtype=int64)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), x.shape)
    shifts = shift if isinstance(shift, Sequence) else (shift,)
    axes = axis if isinstance(axis, Sequence) else (axis,)
    out = x
    for by, a in zip(shifts, axes, strict=True):
        at = normalize_axis("roll", a, x.ndim)
        n = x.shape[at]
        if n and by % n:
            cut = n - by % n
            out = concat([narrow(out, at, cut, n - cut), narrow(out, at, 0, cut)], at)
    return bind("copy", x) if out is x else out
