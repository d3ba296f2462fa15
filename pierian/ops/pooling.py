"""Pooling: the maximum or the sum of each window of an image, and their gradients.

May import: base, core, window. `max_pool` with its gradient and the gradient of that, found again
from the input instead of kept indices; `window_sum` with its transpose `window_spread`. Averages
are made of the latter. To add a kind of pooling: compose these.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pierian.base.dtypes import float16, float32, is_floating
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import Shape
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind
from pierian.ops.window import (
    Pairs,
    inside,
    padded,
    padding_pairs,
    per_axis,
    taps,
    window_shape,
)


def _pooled(
    where: str, x: Any, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> Spec:
    if not is_floating(x.dtype):
        raise DtypeError(
            message(where, "needs floating images", "float32", x.dtype, "Cast x with .float()")
        )
    if not len(x.shape) - 2 == len(kernel) >= 1:
        raise ShapeError(
            message(where, "needs images with an axis per number of the kernel",
                    f"(n, c, *spatial) with {len(kernel)} spatial axes", f"shape {x.shape}",
                    "Insert missing axes with unsqueeze")
        )  # fmt: skip
    out = window_shape(where, x.shape[2:], kernel, stride, padding, dilation)
    return Spec((*x.shape[:2], *out), x.dtype)


def _fits(where: str, wanted: Spec, g: Any) -> None:
    if (g.shape, g.dtype) != (wanted.shape, wanted.dtype):
        raise ShapeError(
            message(where, "the second input must fit the first", f"{wanted.dtype}"
                    f"{list(wanted.shape)}", f"{g.dtype}{list(g.shape)}", "Check the options")
        )  # fmt: skip


# The maximum


def _grad_rule(x: Any, g: Any, **options: Any) -> Spec:
    _fits("max_pool_grad", _pooled("max_pool_grad", x, **options), g)
    return Spec(x.shape, x.dtype)


def _pick_rule(x: Any, h: Any, **options: Any) -> Spec:
    _fits("max_pool_pick", Spec(x.shape, x.dtype), h)
    return _pooled("max_pool_pick", x, **options)


def _windows(
    x: np.ndarray, kernel: Shape, stride: Shape, dilation: Shape, out: Shape
) -> Iterator[np.ndarray]:
    """What each tap in turn meets of the padded `x`."""
    return (x[(..., *place)] for _, place in taps(kernel, stride, dilation, out))


def _max_pool(
    x: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> np.ndarray:
    out = _pooled("max_pool", x, kernel, stride, padding, dilation).shape[2:]
    first, *others = _windows(padded(x, padding, -math.inf), kernel, stride, dilation, out)
    best = first.copy(order="K")
    for value in others:
        np.maximum(best, value, out=best)
    return best


def _winners(
    x: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> list[np.ndarray]:
    """For each tap, the windows whose maximum it is: the first of equal ones, the last NaN.

    That is PyTorch's choice, and so is that padding never wins, not even against -inf.
    """
    best = _max_pool(x, kernel, stride, padding, dilation)
    steps = kernel, stride, dilation, best.shape[2:]
    left = np.ones_like(best, np.bool_)
    hits = []
    for value in _windows(padded(x, padding, math.nan), *steps):
        hit = value == best
        hit &= left
        left ^= hit
        hits.append(hit)
    if left.any():  # maxima that are NaN
        values = list(_windows(padded(x, padding, -math.inf), *steps))
        for hit, value in zip(hits[::-1], values[::-1], strict=True):
            new = value != value
            new &= left
            left ^= new
            hit |= new
    return hits


def _max_pool_grad(
    x: np.ndarray, g: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> np.ndarray:
    hits = _winners(x, kernel, stride, padding, dilation)
    wide = padded(np.zeros_like(x), padding, 0.0)
    places = _windows(wide, kernel, stride, dilation, g.shape[2:])
    slopes = np.empty_like(hits[0], g.dtype)  # in the memory order of x
    slopes[...] = g
    finite = np.isfinite(g).all()  # a product is much faster than a choice, but inf · 0 is NaN
    for hit, place in zip(hits, places, strict=True):
        place += slopes * hit if finite else np.where(hit, slopes, g.dtype.type(0))
    return wide[(..., *inside(x.shape[2:], padding))]


def _max_pool_pick(
    x: np.ndarray, h: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> np.ndarray:
    hits = _winners(x, kernel, stride, padding, dilation)
    picked = np.zeros_like(hits[0], h.dtype)
    values = _windows(padded(h, padding, 0.0), kernel, stride, dilation, picked.shape[2:])
    for hit, value in zip(hits, values, strict=True):
        np.copyto(picked, value, where=hit)
    return picked


define("max_pool", shape=functools.partial(_pooled, "max_pool"), run=_max_pool,
       vjp=lambda g, _y, x, **options: bind("max_pool_grad", x, g, **options))  # fmt: skip
define("max_pool_grad", shape=_grad_rule, run=_max_pool_grad,
       vjp=(lambda h, _y, _x, _g, **options: None,
            lambda h, _y, x, _g, **options: bind("max_pool_pick", x, h, **options)))  # fmt: skip
define("max_pool_pick", shape=_pick_rule, run=_max_pool_pick,
       vjp=(lambda g, _y, _x, _h, **options: None,
            lambda g, _y, x, _h, **options: bind("max_pool_grad", x, g, **options)))  # fmt: skip


# The sum: axis by axis, k additions each


def _sum_rule(x: Any, kernel: Shape, stride: Shape, padding: Pairs) -> Spec:
    return _pooled("window_sum", x, kernel, stride, padding, (1,) * len(kernel))


def _spread_rule(g: Any, size: Shape, kernel: Shape, stride: Shape, padding: Pairs) -> Spec:
    x = Spec((*g.shape[:2], *size), g.dtype)
    _fits("window_spread", _sum_rule(x, kernel, stride, padding), g)
    return x


def _along(axis: int, start: int, count: int, step: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, start + (count - 1) * step + 1, step),)


def _window_sum(x: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs) -> np.ndarray:
    out, dtype = _sum_rule(x, kernel, stride, padding).shape, x.dtype
    x = padded(_summable(x), padding, 0.0)
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 2):
        total = x[_along(axis, 0, out[axis], s)].copy(order="K")
        for tap in range(1, k):
            total += x[_along(axis, tap, out[axis], s)]
        x = total
    return x.astype(dtype, copy=False)


def _summable(x: np.ndarray) -> np.ndarray:
    return x.astype(float32) if x.dtype == float16 else x


def _window_spread(
    g: np.ndarray, size: Shape, kernel: Shape, stride: Shape, padding: Pairs
) -> np.ndarray:
    wide, dtype = [n + sum(around) for n, around in zip(size, padding, strict=True)], g.dtype
    g = _summable(g)
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 2):
        shape = (*g.shape[:axis], wide[axis - 2], *g.shape[axis + 1 :])
        spread = np.zeros_like(g, shape=shape)
        for tap in range(k):
            spread[_along(axis, tap, g.shape[axis], s)] += g
        g = spread
    return g[(..., *inside(size, padding))].astype(dtype, copy=False)


define("window_sum", shape=_sum_rule, run=_window_sum,
       vjp=lambda g, _y, _x, **options: bind(
           "window_spread", g, size=_x.shape[2:], **options))  # fmt: skip
define("window_spread", shape=_spread_rule, run=_window_spread,
       vjp=lambda h, _y, _g, size, **options: bind("window_sum", h, **options))  # fmt: skip


# Functions


def _options(
    where: str,
    x: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> dict[str, Any]:
    """The arguments of a pooling, read and checked, as those of the primitive."""
    rank = len(kernel_size) if isinstance(kernel_size, tuple | list) else x.ndim - 2
    if x.ndim - 2 != rank or rank < 1:
        raise ShapeError(
            message(where, "needs batches of images with channels",
                    f"(n, c, *spatial) with {max(rank, 1)} spatial axes", f"shape {x.shape}",
                    "Insert a missing axis of channels with x.unsqueeze(1)")
        )  # fmt: skip
    kernel = per_axis(where, "kernel_size", kernel_size, rank)
    stride = kernel if stride is None else per_axis(where, "stride", stride, rank)
    dilation = per_axis(where, "dilation", dilation, rank)
    size = x.shape[2:]
    pairs = padding_pairs(where, padding, size, kernel, stride, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(max(pair) > span // 2 for pair, span in zip(pairs, spans, strict=True)):
        raise ShapeError(
            message(where, "padding must be at most half of the kernel",
                    f"at most {tuple(span // 2 for span in spans)}", padding,
                    "Pass a smaller padding, or pad x before")
        )  # fmt: skip
    if ceil_mode:
        rows = zip(size, spans, stride, pairs, strict=True)
        pairs = tuple((low, _reaching(n, span, s, low, high)) for n, span, s, (low, high) in rows)
    window_shape(where, size, kernel, stride, pairs, dilation)
    return {"kernel": kernel, "stride": stride, "padding": pairs, "dilation": dilation}


def _reaching(n: int, span: int, stride: int, low: int, high: int) -> int:
    """The padding behind with which windows also cover the rest that a stride leaves.

    A window that would start in the padding behind is left out, as in PyTorch.
    """
    count = -(-(n + low + high - span) // stride) + 1
    if (count - 1) * stride >= n + low:
        count -= 1
    return max((count - 1) * stride + span - n - low, 0)


def max_pool(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, *, where: str = "max_pool",
) -> Tensor:  # fmt: skip
    """The largest element of each window; the first of equal ones takes the gradient.

    Shapes:  x (n, c, *s) -> (n, c, *out), out as for `conv`.
    Dtypes:  floating; kept.
    Args:    kernel_size, stride, dilation  a number, or one per axis; stride None is kernel_size.
             padding    as for `conv`, at most half of the kernel; counts as -inf.
             ceil_mode  also a last window that the image does not fill.
             where      how errors call the operation.
    Raises:  ShapeError, DtypeError when x does not fit.

    >>> max_pool(as_tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[3., 2.]]], dtype=float32)
    """
    x = as_tensor(x)
    options = _options(where, x, kernel_size, stride, padding, dilation, ceil_mode)
    return bind("max_pool", x, **options)


def avg_pool(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *,
    where: str = "avg_pool",
) -> Tensor:  # fmt: skip
    """The mean of each window.

    Shapes:  x (n, c, *s) -> (n, c, *out), out as for `conv`.
    Dtypes:  floating; kept.
    Args:    as `max_pool`, and
             count_include_pad  False divides by the number of elements without the padding.
             divisor_override   what to divide by instead.
    Raises:  ShapeError, DtypeError when x does not fit.

    >>> avg_pool(as_tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[2., 1.]]], dtype=float32)
    """
    x = as_tensor(x)
    options = _options(where, x, kernel_size, stride, padding, 1, ceil_mode)
    del options["dilation"]
    total = bind("window_sum", x, **options)
    if divisor_override is not None:
        return total / float(divisor_override)
    stated = padding_pairs(where, padding, x.shape[2:], *_steps(options))
    counts = np.ones((), np.int64)
    for n, m, k, s, (low, high) in zip(
        x.shape[2:], total.shape[2:], options["kernel"], options["stride"], stated, strict=True
    ):
        start = np.arange(m) * s - low
        first, last = (-low, n + high) if count_include_pad else (0, n)
        lengths = np.minimum(start + k, last) - np.maximum(start, first)
        counts = counts[..., None] * lengths
    if (counts == counts.flat[0]).all():
        return total / float(counts.flat[0])
    return total / as_tensor(counts.astype(x.dtype))


def _steps(options: dict[str, Any]) -> tuple[Shape, Shape, Shape]:
    return options["kernel"], options["stride"], (1,) * len(options["kernel"])
