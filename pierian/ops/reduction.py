"""Reductions and running sums: many numbers in along some axes, fewer (or as many) out.

May import: base, core, other families below it. Every reduction takes `axis` (None for all, an
int or several) and `keepdims`. To add one: a `define` block with `_reduce_rule`, and a function.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.dtypes import bool_, float16, floating, int64, is_floating, uint64
from pierian.base.errors import ShapeError, message
from pierian.base.shapes import normalize_axes, normalize_axis, reduce_shape
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind
from pierian.ops.elementwise import maximum, minimum, refuse, strict
from pierian.ops.operands import cast

Axis = int | tuple[int, ...] | list[int] | None


def _total(dtype: np.dtype) -> np.dtype:
    """The dtype sums are formed in: whole numbers in 64 bits."""
    if dtype.kind in "fc":
        return dtype
    return uint64 if dtype == uint64 else int64


def _reduce_rule(
    name: str, out: Callable[[np.dtype], np.dtype], refused: str = "", empty: bool = True
) -> Callable[..., Spec]:
    check = refuse(name, refused, "real")

    def rule(x: Any, axes: tuple[int, ...], keepdims: bool) -> Spec:
        check(x)
        if not empty and builtins.any(x.shape[a] == 0 for a in axes):
            raise ShapeError(
                message(name, "has no result for no elements", "at least 1 element",
                        f"shape {x.shape}", "Check that the batch or the mask is not empty")
            )  # fmt: skip
        return Spec(reduce_shape(x.shape, axes, keepdims), out(x.dtype))

    return rule


def _spread(g: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """`g`, the gradient of a reduction, stretched back to the shape of `x`."""
    if not keepdims and axes:
        g = bind("reshape", g, shape=reduce_shape(x.shape, axes, True))
    return bind("expand", g, shape=x.shape) if g.shape != x.shape else g


define("sum", shape=_reduce_rule("sum", _total),
       run=lambda x, axes, keepdims: np.sum(x, axes, _total(x.dtype), keepdims=keepdims),
       vjp=lambda g, _y, _x, axes, keepdims: _spread(g, _x, axes, keepdims))  # fmt: skip


def _extreme(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The gradient of max and min, shared evenly by all elements that attain it."""
    hit = cast(x == _spread(y, x, axes, keepdims), x.dtype)
    share = g / bind("sum", hit, axes=axes, keepdims=keepdims)
    return hit * _spread(share, x, axes, keepdims)


def _itself(dtype: np.dtype) -> np.dtype:
    return dtype


_run: Any
for _name, _run in [("max", np.max), ("min", np.min)]:
    define(_name, shape=_reduce_rule(_name, _itself, "c", empty=False),
           run=strict(_name, "c", "real", lambda x, axes, keepdims, run=_run: run(
               x, axes, keepdims=keepdims)), vjp=_extreme)  # fmt: skip


def _prod_vjp(g: Tensor, _y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """g times the product of all the others: right also where factors are zero."""
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    count = math.prod(x.shape[a] for a in axes)
    order = (*rest, *axes)
    lead = tuple(x.shape[i] for i in rest)
    flat = bind("reshape", bind("permute", x, axes=order), shape=(*lead, count))
    others = _exclusive(flat) * flip_last(_exclusive(flip_last(flat)))
    others = bind("reshape", others, shape=tuple(x.shape[i] for i in order))
    back = tuple(order.index(i) for i in range(x.ndim))
    return _spread(g, x, axes, keepdims) * bind("permute", others, axes=back)


def _exclusive(x: Tensor) -> Tensor:
    """Products of all elements before each one, along the last axis."""
    n = x.shape[-1]
    ones = bind("full", shape=(*x.shape[:-1], builtins.min(n, 1)), value=1.0, dtype=x.dtype)
    shifted = bind("concat", ones, cut_last(x, 0, builtins.max(n - 1, 0)), axis=x.ndim - 1)
    return cumprod(shifted, -1)


def flip_last(x: Tensor) -> Tensor:
    """`x` with its last axis reversed."""
    return bind("flip", x, axes=(x.ndim - 1,))


def cut_last(x: Tensor, start: int, stop: int) -> Tensor:
    """`x[..., start:stop]`."""
    lead = x.ndim - 1
    return bind("slice", x, starts=(0,) * lead + (start,), stops=(*x.shape[:-1], stop),
                steps=(1,) * x.ndim)  # fmt: skip


define("prod", shape=_reduce_rule("prod", _total),
       run=lambda x, axes, keepdims: np.prod(x, axes, _total(x.dtype), keepdims=keepdims),
       vjp=_prod_vjp)  # fmt: skip
for _name, _run in [("any", np.any), ("all", np.all)]:
    define(_name, shape=_reduce_rule(_name, lambda _: bool_),
           run=lambda x, axes, keepdims, run=_run: run(x, axes, keepdims=keepdims))  # fmt: skip
for _name, _run in [("argmax", np.argmax), ("argmin", np.argmin)]:
    define(_name, shape=_reduce_rule(_name, lambda _: int64, "c", empty=False),
           run=strict(_name, "c", "real", lambda x, axes, keepdims, run=_run: run(
               x, axes[0], keepdims=keepdims)))  # fmt: skip
define("cumsum", shape=lambda x, axis: Spec(x.shape, _total(x.dtype)),
       run=lambda x, axis: np.cumsum(x, axis, _total(x.dtype)),
       vjp=lambda g, _y, _x, axis: bind(
           "flip", cumsum(bind("flip", g, axes=(axis,)), axis), axes=(axis,)))  # fmt: skip


def _reduce(name: str, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    return bind(name, x, axes=normalize_axes(name, axis, x.ndim), keepdims=bool(keepdims))


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """The sum along `axis`. Shapes: x (...) -> without `axis`. Dtypes: whole numbers give int64.

    >>> sum(as_tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.], dtype=float32)
    """
    return _reduce("sum", x, axis, keepdims)


def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product along `axis`. Shapes: x (...) -> without `axis`. Dtypes: as `sum`."""
    return _reduce("prod", x, axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean along `axis`; NaN of nothing. Shapes: x (...) -> without `axis`. Dtypes: floating
    (integers become float32; float16 is summed in float32).
    """
    x = as_tensor(x)
    out = floating(x.dtype)
    axes = normalize_axes("mean", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    total = bind("sum", _summable(x), axes=axes, keepdims=bool(keepdims))
    return cast(total / float(count), out)


def _summable(x: Tensor) -> Tensor:
    """`x` in a dtype whose sums, and the numbers of its elements, do not overflow at 65504."""
    return cast(x, "float32") if x.dtype.kind not in "fc" or x.dtype == float16 else x


def var(x: Any, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Tensor:
    """The variance along `axis`: squared deviations summed, divided by n - correction.

    Shapes:  x (...) -> without `axis`.
    Dtypes:  floating (integers become float32).
    Args:    correction  1 gives the unbiased estimate (PyTorch's default), 0 that of NumPy.

    >>> var(as_tensor([1.0, 2.0, 3.0])), var(as_tensor([1.0, 2.0, 3.0]), correction=0)
    (tensor(1., dtype=float32), tensor(0.6666667, dtype=float32))
    """
    x = as_tensor(x)
    refuse("var", "c", "real")(x)
    out, x = floating(x.dtype), _summable(x)
    axes = normalize_axes("var", axis, x.ndim)
    deviation = x - mean(x, axes, keepdims=True)
    count = math.prod(x.shape[a] for a in axes)
    total = bind("sum", deviation * deviation, axes=axes, keepdims=bool(keepdims))
    return cast(total / builtins.max(count - correction, 0.0), out)


def std(x: Any, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Tensor:
    """The square root of `var`, with the same arguments. Shapes: x (...) -> without `axis`."""
    return bind("sqrt", var(x, axis, correction, keepdims))


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """The largest element along `axis`; equal ones share the gradient.

    Shapes:  x (...) -> without `axis`.
    Args:    axis  as elsewhere; a tensor makes it the elementwise `maximum`, as in PyTorch.
    Raises:  ShapeError for no elements.
    """
    if isinstance(axis, Tensor):
        return maximum(x, axis)
    return _reduce("max", x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """The smallest element along `axis`; see `max`. Shapes: x (...) -> without `axis`."""
    if isinstance(axis, Tensor):
        return minimum(x, axis)
    return _reduce("min", x, axis, keepdims)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """Whether any element along `axis` is not zero. Shapes: x (...) -> without `axis`; bool."""
    return _reduce("any", x, axis, keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """Whether all elements along `axis` are not zero. Shapes: x (...) -> without `axis`; bool."""
    return _reduce("all", x, axis, keepdims)


def _arg(name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        flat = bind("reshape", x, shape=(x.numel(),))
        best = bind(name, flat, axes=(0,), keepdims=False)
        return bind("reshape", best, shape=(1,) * x.ndim) if keepdims else best
    axes = (normalize_axis(name, axis, x.ndim),)
    return bind(name, x, axes=axes, keepdims=bool(keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element is, the first of equals; in the flattened x for axis None.

    Shapes:  x (...) -> without `axis`. Dtypes: real -> int64. Raises: ShapeError for no elements.
    """
    return _arg("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element is; see `argmax`. Shapes: x (...) -> without `axis`; int64."""
    return _arg("argmin", x, axis, keepdims)


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """Running sums along `axis`. Shapes: x (...) -> same. Dtypes: whole numbers give int64.

    >>> cumsum(as_tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.], dtype=float32)
    """
    x = as_tensor(x)
    return bind("cumsum", x, axis=normalize_axis("cumsum", axis, x.ndim))


def cumprod(x: Any, axis: int = 0) -> Tensor:
    """Running products along `axis`. Shapes: x (...) -> same. Dtypes: whole numbers give int64.

    By doubling (Hillis & Steele 1986): log2(n) products of shifted copies, whose gradient is
    right where factors are zero.
    """
    x = as_tensor(x)
    axis = normalize_axis("cumprod", axis, x.ndim)
    x = cast(x, _total(x.dtype))
    n, step = x.shape[axis], 1
    while step < n:
        cut = tuple(n - step if i == axis else size for i, size in enumerate(x.shape))
        lead = tuple(step if i == axis else size for i, size in enumerate(x.shape))
        start = bind("slice", x, starts=(0,) * x.ndim, stops=cut, steps=(1,) * x.ndim)
        ones = bind("full", shape=lead, value=1, dtype=x.dtype)
        x = x * bind("concat", ones, start, axis=axis)
        step *= 2
    return x if n > 1 else bind("copy", x)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ e^x along `axis`, without overflow; -inf of nothing.

    Shapes:  x (...) -> without `axis`.
    Dtypes:  floating (integers become float32).

    >>> logsumexp(as_tensor([1000.0, 1000.0]))
    tensor(1000.6932, dtype=float32)
    """
    x = as_tensor(x)
    if not is_floating(x.dtype):
        x = cast(x, "float32")
    axes = normalize_axes("logsumexp", axis, x.ndim)
    if math.prod(x.shape[a] for a in axes) == 0:
        empty = reduce_shape(x.shape, axes, keepdims)
        return bind("full", shape=empty, value=-math.inf, dtype=x.dtype)
    shift = finite_max(x, axes)
    total = bind("sum", bind("exp", x - shift), axes=axes, keepdims=bool(keepdims))
    if not keepdims:
        shift = bind("reshape", shift, shape=total.shape)
    return bind("log", total) + shift


def finite_max(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The maximum along `axes` with kept axes, 0 where it is infinite: a constant to subtract."""
    peak = bind("max", x.detach(), axes=axes, keepdims=True)
    finite = bind("abs", peak) < math.inf
    return bind("where", finite, peak, as_tensor(np.zeros((), x.dtype)))


def norm(x: Any, p: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The p-norm of the elements along `axis`: (Σ |x|^p)^(1/p); the largest |x| for p = inf.

    Shapes:  x (...) -> without `axis`.
    Dtypes:  floating (integers become float32). The slope of the 2-norm at 0 is taken as 0.

    >>> norm(as_tensor([3.0, 4.0]))
    tensor(5., dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype.kind not in "fc":
        x = cast(x, "float32")
    if p == math.inf or p == -math.inf:
        return _reduce("max" if p > 0 else "min", bind("abs", x), axis, keepdims)
    if p == 0:
        return sum(cast(x != 0.0, x.dtype), axis, keepdims)
    if p == 1:
        return sum(bind("abs", x), axis, keepdims)
    total = sum(x * x if p == 2 else bind("abs", x) ** p, axis, keepdims)
    zero = total == 0.0  # where a root has no slope
    one = as_tensor(np.ones((), x.dtype))
    safe = bind("where", zero, one, total)
    root = bind("sqrt", safe) if p == 2 else safe ** (1.0 / p)
    return bind("where", zero, total, root)
