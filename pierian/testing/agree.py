"""One answer from every way of running a function: eagerly, as a graph, compiled, by an oracle.

May import: everything. To add a way of running, add a row to `ENGINES`. The tolerances of
all tests stand in `TOLERANCES`, a row per dtype; a test that needs more is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import message
from pierian.compiler.jit import jit
from pierian.core.graph import verify
from pierian.core.tensor import Tensor, as_tensor
from pierian.core.trace import trace


@dataclass(frozen=True)
class Tolerance:
    """How far results may lie apart, relative to their size.

    forward     values against an oracle of higher precision
    gradient    gradients against another implementation's
    difference  gradients against finite differences
    step        the finite step to take for these
    """

    forward: float
    gradient: float
    difference: float
    step: float


# About 8 units in the last place forward. The steps are near eps^(1/5), where the truncation of a
# difference of order four meets its rounding; float16 has no room for differences.
TOLERANCES: dict[str, Tolerance] = {
    "float16": Tolerance(4e-3, 4e-2, np.inf, 0.1),
    "float32": Tolerance(1e-6, 1e-4, 3e-3, 0.02),
    "float64": Tolerance(2e-15, 1e-12, 1e-7, 1e-3),
    "longdouble": Tolerance(2e-15, 1e-12, 1e-7, 1e-3),
    "complex64": Tolerance(1e-6, 1e-4, np.inf, 0.02),
    "complex128": Tolerance(2e-15, 1e-12, np.inf, 1e-3),
}
LONGDOUBLE = {"float128", "float96", "float80"}  # what the platform may call it


def tolerance(dtype: np.dtype) -> Tolerance:
    """The row of `TOLERANCES` for `dtype`; whole numbers and bools must be equal."""
    if dtype.kind in "biu":
        return Tolerance(0.0, 0.0, 0.0, 0.0)
    return TOLERANCES["longdouble" if dtype.name in LONGDOUBLE else dtype.name]


def compare(where: str, got: Any, expected: Any, within: float | None = None) -> None:
    """Raise AssertionError unless two trees have the same shapes, dtypes and values.

    Args:  within  the largest relative difference; None for that of the dtype's forward row, 0
                   for the same bits. It is relative to the element or, for elements below it,
                   to the largest element up to 1. NaN equals NaN.

    >>> compare("half", [as_tensor(0.5)], [np.float32(0.5)])
    """
    found, structure = trees.flatten(got)
    wanted, other = trees.flatten(expected)
    _hold(structure == other, where, "results must have one structure", other, structure)
    for i, (a, b) in enumerate(zip(_arrays(found), _arrays(wanted), strict=True)):
        place = where if len(found) == 1 else f"{where}, leaf {i}"
        _hold(a.shape == b.shape, place, "shapes must be equal", b.shape, a.shape)
        _hold(a.dtype == b.dtype, place, "dtypes must be equal", b.dtype, a.dtype)
        allowed = tolerance(b.dtype).forward if within is None else within
        bad = _apart(a, b, allowed)
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            gap = f"{bad.sum()} of {bad.size} elements differ, first at {at}"
            _hold(False, place, f"values must agree within {allowed:g} ({gap})", b[at], a[at])


def _apart(a: np.ndarray, b: np.ndarray, allowed: float) -> np.ndarray:
    """Where `a` is not `b`: zeros of unlike sign count only when bits are compared."""
    same = (a == b) | ((a != a) & (b != b))
    if b.dtype.kind not in "fc":
        return ~same
    if allowed == 0:
        signs = np.signbit(a.real) != np.signbit(b.real)
        return ~same | (signs & (a == a))
    with np.errstate(all="ignore"):
        size = np.abs(b)
        finite = np.where(np.isfinite(size), size, 0)
        floor = min(float(finite.max(initial=0)), 1.0)
        near = np.abs(a - b) <= allowed * (finite + floor)
    return ~(same | (near & np.isfinite(a)))


def _arrays(leaves: Iterable[Any]) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in leaves]


def _hold(good: bool, where: str, must: str, expected: object, got: object) -> None:
    if not good:
        raise AssertionError(message(where, must, expected, got, "One of the two is wrong"))


def _interpreted(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    traced = trace(fn, *args)
    verify(traced.graph)
    return traced(*args)


def _compiled(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return jit(fn)(*args)


@dataclass(frozen=True)
class Engine:
    """A way of running `fn(*args)`.

    run     what does so
    within  the largest relative difference from the eager way: 0 for the same bits, None for the
            tolerance of the dtype
    """

    run: Callable[[Callable[..., Any], tuple[Any, ...]], Any]
    within: float | None


ENGINES: dict[str, Engine] = {
    "traced and interpreted": Engine(_interpreted, 0.0),
    "compiled": Engine(_compiled, None),  # sums in another order, functions of its own
}


def agree(
    fn: Callable[..., Any],
    *args: Any,
    oracle: Callable[..., Any] | None = None,
    within: float | None = None,
) -> Any:
    """Check that `fn(*args)` is the same by all `ENGINES` and by `oracle`; give the result.

    Args:    fn      from trees of tensors to a tree of tensors, without other effects.
             oracle  the same from NumPy arrays to NumPy arrays, by other means.
             within  the largest relative difference from the oracle; by default `TOLERANCES`.
    Raises:  AssertionError with the first difference in shape, dtype or value; TraceError when
             fn cannot be traced or its graph is not sound.

    >>> import pierian as pr
    >>> agree(pr.exp, pr.tensor([0.0]), oracle=np.exp)
    tensor([1.], dtype=float32)
    """
    args = trees.map_tree(_tensor, args)
    name = getattr(fn, "__name__", "agree")
    result = fn(*args)
    for title, engine in ENGINES.items():
        compare(f"{name}, {title}", engine.run(fn, args), result, engine.within)
    if oracle is not None:
        expected = oracle(*trees.map_tree(_array, args))
        compare(f"{name}, against the oracle", result, expected, within)
    return result


def _tensor(leaf: Any) -> Any:
    return as_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _array(leaf: Any) -> Any:
    return leaf.numpy() if isinstance(leaf, Tensor) else leaf
