"""Arrays to try operations on: every layout, the edges of every dtype, all from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Array = np.ndarray
Labelled = tuple[str, tuple[Array, ...]]

F16, F32, F64 = (np.dtype(f"float{bits}") for bits in (16, 32, 64))
WHOLE = [np.dtype(name) for name in ("bool", "int8", "uint8", "int32", "int64", "uint64")]


def sample(shape: tuple[int, ...], low: float = -2.0, high: float = 2.0, seed: int = 0) -> Array:
    """Distinct float64 numbers in (low, high) whose fractions stay in [0.15, 0.4] or [0.6, 0.85]:
    away from 0, from whole numbers and from halves, where functions have kinks.
    """
    rng = np.random.default_rng([seed, *shape])
    x = rng.uniform(low, high, shape)
    fraction = rng.choice([0.15, 0.6], shape) + rng.uniform(0.0, 0.25, shape)
    moved = np.floor(x) + fraction
    return np.where((moved > low) & (moved < high), moved, x)


def layouts(make: Callable[[tuple[int, ...]], Array]) -> Iterator[tuple[str, Array]]:
    """Arrays of `make` of every kind of shape and memory layout."""
    yield "matrix", make((2, 3))
    yield "0-d", make(())
    yield "empty", make((0, 3))
    yield "one", make((1, 1))
    yield "transposed", make((3, 2)).T
    yield "strided", make((4, 6))[::2, 1::2]
    yield "flipped", make((2, 3))[::-1, ::-1]
    yield "broadcast", np.broadcast_to(make((3,)), (2, 3))


def reals(low: float = -2.0, high: float = 2.0) -> list[Labelled]:
    """One argument in (low, high): float64 in every layout, and the other floating dtypes."""
    rows: list[Labelled] = [
        (f"float64 {name}", (x,)) for name, x in layouts(lambda s: sample(s, low, high))
    ]
    for dtype in (F32, F16):
        rows.append((str(dtype), (sample((2, 3), low, high, seed=1).astype(dtype),)))
    rows.append(("float32 long", (sample((70,), low, high, seed=2).astype(F32),)))
    return rows


def edges(dtype: np.dtype) -> Array:
    """The extreme values of a floating dtype."""
    info = np.finfo(dtype)
    one = [0.0, 1.0, 0.5, 2.0, 3.0, 10.0, 88.0, info.max, info.tiny, info.smallest_subnormal]
    one += [float(info.eps), 1.0 + float(info.eps), 2.5, np.inf]
    return np.array([*one, *[-x for x in one], np.nan], dtype)


def extremes(where: Callable[[Array], Array] = lambda x: x == x) -> list[Labelled]:
    """One argument that holds the edge values (NaN and those for which `where`)."""
    rows: list[Labelled] = []
    for dtype in (F64, F32, F16):
        x = edges(dtype)
        with np.errstate(all="ignore"):
            rows.append((f"edges {dtype}", (x[where(x) | (x != x)],)))
    return rows


def tiny() -> list[Labelled]:
    """Arguments so small that only a relative comparison sees them."""
    x = sample((2, 5), 0.1, 2.0)
    return [("tiny float64", (x * 1e-300,)), ("tiny float32", ((x * 1e-30).astype(F32),))]


def whole(dtypes: list[np.dtype] | None = None, low: int = -5, high: int = 6) -> list[Labelled]:
    """One argument of each whole dtype, its ends included."""
    rows: list[Labelled] = []
    for dtype in dtypes if dtypes is not None else WHOLE:
        rng = np.random.default_rng(3)
        start = low if dtype.kind == "i" else 0
        x = rng.integers(start, 2 if dtype.kind == "b" else high, (3, 4)).astype(dtype)
        rows.append((str(dtype), (x,)))
        if dtype.kind != "b":
            info = np.iinfo(dtype)
            rows.append((f"{dtype} ends", (np.array([info.min, 0, 1, info.max], dtype),)))
    return rows


def complexes() -> list[Labelled]:
    """One complex argument."""
    z = sample((2, 3)) + 1j * sample((2, 3), seed=5)
    return [("complex128", (z,)), ("complex64", (z.astype(np.complex64),))]


PAIRS = [
    ("same", (2, 3), (2, 3)),
    ("row", (2, 3), (3,)),
    ("outer", (2, 1), (1, 3)),
    ("0-d", (), (2, 3)),
    ("both 0-d", (), ()),
    ("empty", (0, 3), (1, 3)),
    ("empty and 0-d", (2, 0), ()),
    ("rank 4", (2, 1, 3, 1), (4, 1, 2)),
]


def pairs(
    low: float = -2.0, high: float = 2.0, low2: float | None = None, high2: float | None = None
) -> list[Labelled]:
    """Two floating arguments that broadcast, in all ways and layouts."""
    low2, high2 = low if low2 is None else low2, high if high2 is None else high2
    rows: list[Labelled] = [
        (f"float64 {name}", (sample(a, low, high), sample(b, low2, high2, seed=1)))
        for name, a, b in PAIRS
    ]
    a, b = sample((3, 2), low, high), sample((4, 6), low2, high2, seed=2)
    rows.append(("transposed and strided", (a.T, b[::2, ::-2])))
    a32, b32 = sample((2, 3), low, high).astype(F32), sample((3,), low2, high2, seed=3).astype(F32)
    rows.append(("float32", (a32, b32)))
    rows.append(("float16", (a32.astype(F16), b32.astype(F16))))
    rows.append(("float32 and float64", (a32, b32.astype(F64))))
    rows.append(("float32 and int64", (a32, np.array([1, 2, 3]))))
    return rows


def edge_pairs(dtypes: tuple[np.dtype, ...] = (F32, F64)) -> list[Labelled]:
    """Every edge value against every other."""
    rows: list[Labelled] = []
    for dtype in dtypes:
        x = edges(dtype)
        rows.append((f"edges {dtype}", (x[:, None], x)))
    return rows


def whole_pairs(kinds: str = "biu", positive: bool = False) -> list[Labelled]:
    """Two whole arguments: one dtype twice, and mixed ones."""
    dtypes = [dtype for dtype in WHOLE if dtype.kind in kinds]
    mixed = [("int8", "uint8"), ("bool", "int32"), ("uint8", "int64"), ("int32", "int64")]
    names = [(str(d), str(d)) for d in dtypes] + mixed
    rows: list[Labelled] = []
    for left, right in names:
        if np.dtype(left).kind not in kinds or np.dtype(right).kind not in kinds:
            continue
        rng = np.random.default_rng(4)
        a, b = (_integers(rng, np.dtype(name), positive) for name in (left, right))
        rows.append((f"{left} and {right}", (a, b)))
    return rows


def _integers(rng: np.random.Generator, dtype: np.dtype, positive: bool) -> Array:
    low = 1 if positive else -6 if dtype.kind == "i" else 0
    return rng.integers(low, 2 if dtype.kind == "b" else 7, (3, 4)).astype(dtype)


def any_dtype(shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """One array of `shape` in each dtype, for what only moves elements."""
    x = sample(shape)
    for dtype in (F64, F32, F16, np.dtype("complex64"), np.dtype("complex128")):
        yield str(dtype), x.astype(dtype)
    for dtype in WHOLE:
        yield str(dtype), np.array(abs(x) * 3).astype(dtype)
