"""What operations should give, by other means than the executors: long double, Python numbers.

`wide` computes in long double, `exact` in Python's unbounded integers, `each` by a Python function
per element, `lanes` by a Python function per row of a reduction.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Oracle = Callable[..., Any]
WIDE = np.longdouble


def promoted(*xs: Array) -> np.dtype:
    """The dtype that arrays promote to, written from the Array API's table."""
    kinds = {x.dtype.kind for x in xs}
    if kinds & set("fc"):
        xs = tuple(x for x in xs if x.dtype.kind in "fc")
    dtypes = sorted({x.dtype for x in xs}, key=lambda d: (d.kind == "c", d.itemsize))
    if kinds & set("fc"):
        if len(dtypes) == 2 and dtypes == [np.dtype("float64"), np.dtype("complex64")]:
            return np.dtype("complex128")
        return dtypes[-1]
    dtypes = [d for d in dtypes if d.kind != "b"] or [np.dtype(bool)]
    signed = max((d.itemsize for d in dtypes if d.kind == "i"), default=0)
    unsigned = max((d.itemsize for d in dtypes if d.kind == "u"), default=0)
    if signed and unsigned:
        return np.dtype(f"i{max(signed, 2 * unsigned)}")
    return dtypes[-1]


def floating(*xs: Array) -> np.dtype:
    """As `promoted`, but float32 for whole numbers."""
    dtype = promoted(*xs)
    return dtype if dtype.kind in "fc" else np.dtype("float32")


def totals(x: Array) -> np.dtype:
    """The dtype of a sum: int64 (or uint64) for whole numbers."""
    if x.dtype.kind in "fc":
        return x.dtype
    return np.dtype("uint64" if x.dtype == np.uint64 else "int64")


def widened(x: Array, dtype: np.dtype) -> Array:
    """`x` rounded to `dtype` as the operation does first, then in long double."""
    return x.astype(dtype).astype(np.clongdouble if dtype.kind == "c" else WIDE)


def wide(f: Oracle, rule: Callable[..., np.dtype] = floating) -> Oracle:
    """`f` of long doubles, rounded once to the dtype of the result."""

    def oracle(*xs: Array) -> Array:
        dtype = rule(*xs)
        with np.errstate(all="ignore"):
            return np.asarray(f(*[widened(x, dtype) for x in xs])).astype(dtype)

    return oracle


def exact(f: Oracle) -> Oracle:
    """`f` of Python integers, element by element, wrapped to the dtype of the result."""

    def oracle(*xs: Array) -> Array:
        dtype = promoted(*xs)
        shape = np.broadcast_shapes(*[x.shape for x in xs])
        rows = zip(*[np.broadcast_to(x, shape).ravel().tolist() for x in xs], strict=True)
        values = [int(f(*map(int, row))) for row in rows]
        if dtype.kind == "b":
            return np.array([v != 0 for v in values], dtype).reshape(shape)
        bits = 8 * dtype.itemsize
        low = 0 if dtype.kind == "u" else -(2 ** (bits - 1))
        wrapped = [(v - low) % 2**bits + low for v in values]
        return np.array(wrapped, dtype).reshape(shape)

    return oracle


def number(real: Oracle, integer: Oracle) -> Oracle:
    """`exact` for whole numbers, `wide` for others."""

    def oracle(*xs: Array) -> Array:
        chosen = wide(real) if promoted(*xs).kind in "fc" else exact(integer)
        return chosen(*xs)

    return oracle


def each(f: Oracle, rule: Any = floating) -> Oracle:
    """`f` of Python numbers, element by element, after promotion."""

    def oracle(*xs: Array) -> Array:
        common = promoted(*xs)
        dtype = rule(*xs) if inspect.isfunction(rule) else np.dtype(rule)
        shape = np.broadcast_shapes(*[x.shape for x in xs])
        columns = [np.broadcast_to(x.astype(common), shape).ravel().tolist() for x in xs]
        values = [f(*row) for row in zip(*columns, strict=True)]
        with np.errstate(all="ignore"):
            return np.array(values, object).astype(dtype).reshape(shape)

    return oracle


def lanes(
    f: Callable[[list[Any]], Any],
    rule: Callable[[Array], Any] = floating,
    axis: Any = None,
    keepdims: bool = False,
) -> Oracle:
    """`f` of the numbers along `axis`, a list of long doubles or Python integers per lane."""

    def oracle(x: Array) -> Array:
        dtype = np.dtype(rule(x))
        if rule is floating or x.dtype.kind in "fc":
            x = widened(x, floating(x))
        else:
            x = x.astype(object)
        with np.errstate(all="ignore"):
            return _lanes(f, x, axis, keepdims).astype(dtype)

    return oracle


def _lanes(f: Callable[[list[Any]], Any], x: Array, axis: Any, keepdims: bool) -> Array:
    rank = x.ndim
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    chosen = sorted(a % rank for a in axes)
    rest = [a for a in range(rank) if a not in chosen]
    shape = [x.shape[a] for a in rest]
    count = math.prod(x.shape[a] for a in chosen)
    rows = x.transpose(rest + chosen).reshape(math.prod(shape), count)
    out = np.empty(len(rows), object)
    out[:] = [f(list(row)) for row in rows]
    if keepdims:
        shape = [1 if a in chosen else n for a, n in enumerate(x.shape)]
    return out.reshape(shape)


def running(f: Callable[[Any, Any], Any], axis: int) -> Oracle:
    """`f` accumulated along `axis` by a Python loop."""

    def oracle(x: Array) -> Array:
        dtype = totals(x)
        wide_x = widened(x, x.dtype) if x.dtype.kind in "fc" else x.astype(object)
        out = np.empty(x.shape, object)
        lane = np.moveaxis(wide_x, axis, 0)
        into = np.moveaxis(out, axis, 0)
        with np.errstate(all="ignore"):
            for i in range(len(lane)):
                into[i] = lane[i] if i == 0 else f(into[i - 1], lane[i])
        return out.astype(dtype)

    return oracle


def philox(seed: int, offset: int, words: int) -> list[int]:
    """Philox-4x32-10 in Python integers, as in Salmon et al. 2011."""
    out: list[int] = []
    block = offset
    while len(out) < words:
        counter = [block & 0xFFFFFFFF, block >> 32, 0, 0]
        out += philox_block(counter, [seed & 0xFFFFFFFF, seed >> 32])
        block = (block + 1) % 2**64
    return out[:words]


def philox_block(counter: list[int], key: list[int]) -> list[int]:
    """One block: ten rounds on a counter of four words with a key of two."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ k, right % 2**32, (left >> 32) ^ d ^ m, left % 2**32
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return [a, b, c, d]
