"""Order: sorting, ranking, and what only the values can tell (unique, nonzero).

May import: base, core, elementwise, movement, indexing. `argsort` is the only primitive.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pierian.base.dtypes import int64
from pierian.base.errors import ShapeError, message
from pierian.base.shapes import normalize_axis
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind, constant
from pierian.ops.elementwise import refuse, strict
from pierian.ops.indexing import take_along_axis
from pierian.ops.movement import narrow


def _argsort_rule(x: Any, axis: int, descending: bool) -> Spec:
    refuse("argsort", "c", "real")(x)
    return Spec(x.shape, int64)


def _argsort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(x, axis, kind="stable")
    backwards = np.argsort(np.flip(x, axis), axis, kind="stable")  # equal ones stay in order
    return x.shape[axis] - 1 - np.flip(backwards, axis)


define("argsort", shape=_argsort_rule, run=strict("argsort", "c", "real", _argsort), warns=False)


class Sorted(NamedTuple):
    """Values in order, and where they came from."""

    values: Tensor
    indices: Tensor


def argsort(x: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """The order that sorts `x` along `axis`; equal elements keep theirs, NaN come last.

    Shapes:  x (...) -> same. Dtypes: real -> int64.

    >>> argsort(as_tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0], dtype=int64)
    """
    x = as_tensor(x)
    if not x.ndim:
        return bind("full", shape=(), value=0, dtype=int64)
    axis = normalize_axis("argsort", axis, x.ndim)
    return bind("argsort", x, axis=axis, descending=bool(descending))


def sort(x: Any, axis: int = -1, descending: bool = False) -> Sorted:
    """`x` in order along `axis`, as (values, indices). Shapes: x (...) -> same, twice.

    >>> sort(as_tensor([3.0, 1.0, 2.0])).values
    tensor([1., 2., 3.], dtype=float32)
    """
    x = as_tensor(x)
    order = argsort(x, axis, descending)
    return Sorted(take_along_axis(x, order, axis) if x.ndim else x, order)


def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> Sorted:
    """The k largest (or smallest) elements along `axis`, in order, as (values, indices).

    Shapes:  x (..., n) -> (..., k), twice.
    Raises:  ShapeError unless 0 <= k <= n.

    >>> topk(as_tensor([3.0, 1.0, 2.0]), 2).indices
    tensor([0, 2], dtype=int64)
    """
    x = as_tensor(x)
    at = normalize_axis("topk", axis, x.ndim)
    if not 0 <= k <= x.shape[at]:
        raise ShapeError(
            message("topk", "k must not exceed the axis", f"0 <= k <= {x.shape[at]}", k,
                    "Pass a smaller k")
        )  # fmt: skip
    order = narrow(argsort(x, at, descending=largest), at, 0, k)
    return Sorted(take_along_axis(x, order, at), order)


def unique(x: Any, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The distinct elements of `x` in order; on request where each came, and how often.

    Shapes:  x (...) -> (n,), and inverse like x, and counts (n,). Has no gradient and cannot be
             traced: n depends on the values.

    >>> unique(as_tensor([2, 1, 2]))
    tensor([1, 2], dtype=int64)
    """
    x = as_tensor(x)
    values, inverse, counts = np.unique(
        x._concrete("unique()"), return_inverse=True, return_counts=True
    )
    found = [constant(values)]
    if return_inverse:
        found.append(constant(inverse.reshape(x.shape).astype(np.int64)))
    if return_counts:
        found.append(constant(counts.astype(np.int64)))
    return found[0] if len(found) == 1 else tuple(found)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Where `x` is not zero: one tensor of indices per axis. Cannot be traced.

    Shapes:  x (a, b) -> (n,) and (n,), n the number of such places.

    >>> nonzero(as_tensor([0, 5, 7]))
    (tensor([1, 2], dtype=int64),)
    """
    x = as_tensor(x)
    value = x._concrete("nonzero()")
    return tuple(constant(i) for i in np.atleast_1d(value).nonzero())
