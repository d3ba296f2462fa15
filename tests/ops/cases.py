"""The one table of operations: inputs, an oracle, and PyTorch's name, for every function.

A row is `case(...)`: the sweeps of `test_sweeps.py` run each on all its inputs, and
`test_completeness.py` fails for a primitive, function or method without a row. To add an
operation: one `case` call in the fitting family below.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import pierian as pr
from pierian.core.tensor import Tensor, bind
from tests.ops import inputs as given
from tests.ops import oracles as true
from tests.ops.inputs import F16, F32, F64, Array, Labelled, sample
from tests.ops.oracles import WIDE, Oracle


@dataclass(frozen=True)
class Case:
    """One function on one set of inputs.

    name      what it is a case of: a public function, or "Tensor.method"
    fn        from tensors to a tree of tensors
    oracle    from arrays to the same tree of arrays
    torch     (torch, *tensors) -> the same; None when PyTorch has no such thing
    smooth    differentiable here: gradients are checked
    views     the result may share memory with an input
    follows   its gradients are PyTorch's too (where both define one)
    traced    can be traced
    within    the tolerance; None for the one of the dtype
    """

    name: str
    label: str
    fn: Callable[..., Any]
    inputs: tuple[Array, ...]
    oracle: Oracle
    torch: Callable[..., Any] | None = None
    smooth: bool = True
    views: bool = False
    follows: bool = True
    traced: bool = True
    within: float | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.label}".replace(" ", "-")


CASES: list[Case] = []


def case(
    name: str,
    inputs: Iterable[Labelled],
    oracle: Oracle,
    *,
    fn: Callable[..., Any] | None = None,
    torch: str | Callable[..., Any] | None = None,
    detail: str = "",
    smooth: bool = True,
    views: bool = False,
    follows: bool = True,
    traced: bool = True,
    within: float | None = None,
) -> None:
    """Add a row per set of inputs; `fn` is the function of that name by default."""
    run = fn or getattr(pr, name)
    other = (lambda t, *xs: getattr(t, torch)(*xs)) if isinstance(torch, str) else torch
    for label, arrays in inputs:
        text = f"{detail} {label}".strip()
        floating = any(x.dtype.kind == "f" for x in arrays)
        CASES.append(
            Case(name, text, run, arrays, oracle, other, smooth and floating, views, follows,
                 traced, within)
        )  # fmt: skip


def one(*shape: int, seed: int = 0) -> list[Labelled]:
    """One float64 argument."""
    return [("float64", (sample(shape, seed=seed),))]


def moving(*shape: int) -> list[Labelled]:
    """One argument of `shape` in every dtype and layout: for what moves elements."""
    rows: list[Labelled] = [(name, (x,)) for name, x in given.any_dtype(shape)]
    if not shape:
        return rows
    x = sample(shape, seed=9)
    rows.append(("flipped", (x[tuple(slice(None, None, -1) for _ in shape)],)))
    rows.append(("fortran", (np.asfortranarray(x),)))
    doubled = sample(tuple(2 * n for n in shape), seed=8)
    rows.append(("strided", (doubled[tuple(slice(None, None, 2) for _ in shape)],)))
    return rows


def distinct(*shape: int, seed: int = 0) -> Array:
    """Numbers that are at least 0.1 apart, so that order does not change in a finite step."""
    order = np.random.default_rng(seed).permutation(math.prod(shape))
    return ((order - len(order) / 2) * 0.1 + 0.03).reshape(shape)


# Elementwise, one argument: name, long-double formula, domain, PyTorch's name


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


UNARY: list[tuple[str, Oracle, tuple[float, float], str | None]] = [
    ("exp", np.exp, (-2, 2), "exp"),
    ("exp2", np.exp2, (-2, 2), "exp2"),
    ("expm1", np.expm1, (-2, 2), "expm1"),
    ("log", np.log, (0.1, 4), "log"),
    ("log2", np.log2, (0.1, 4), "log2"),
    ("log10", np.log10, (0.1, 4), "log10"),
    ("log1p", np.log1p, (-0.8, 4), "log1p"),
    ("sqrt", np.sqrt, (0.1, 4), "sqrt"),
    ("sin", np.sin, (-4, 4), "sin"),
    ("cos", np.cos, (-4, 4), "cos"),
    ("tan", np.tan, (-1, 1), "tan"),
    ("asin", np.arcsin, (-0.9, 0.9), "asin"),
    ("acos", np.arccos, (-0.9, 0.9), "acos"),
    ("atan", np.arctan, (-4, 4), "atan"),
    ("sinh", np.sinh, (-2, 2), "sinh"),
    ("cosh", np.cosh, (-2, 2), "cosh"),
    ("tanh", np.tanh, (-2, 2), "tanh"),
    ("asinh", np.arcsinh, (-4, 4), "asinh"),
    ("acosh", np.arccosh, (1.2, 4), "acosh"),
    ("atanh", np.arctanh, (-0.9, 0.9), "atanh"),
    ("sigmoid", _sigmoid, (-4, 4), "sigmoid"),
    ("softplus", _softplus, (-4, 4), None),
    ("silu", lambda x: np.where(x == -np.inf, np.nan, x * _sigmoid(x)), (-4, 4), None),
    ("logsigmoid", lambda x: -_softplus(-x), (-4, 4), None),
    ("leaky_relu", lambda x: np.where(x > 0, x, x / 100), (-4, 4), None),
    ("elu", lambda x: np.where(x > 0, x, np.expm1(x)), (-4, 4), None),
    ("softsign", lambda x: x / (1 + np.abs(x)), (-4, 4), None),
    ("reciprocal", lambda x: 1 / x, (0.2, 4), "reciprocal"),
    ("rsqrt", lambda x: 1 / np.sqrt(x), (0.2, 4), "rsqrt"),
]
ONLY_FUNCTIONAL = {"softplus", "silu", "logsigmoid", "leaky_relu", "elu", "softsign", "gelu"}
NO_COMPLEX = ONLY_FUNCTIONAL | {"sigmoid", "log1p", "exp2", "expm1", "log2"}


def _functional(name: str, **keywords: Any) -> Callable[..., Any]:
    return lambda t, x: getattr(t.nn.functional, name)(x, **keywords)


def _unary() -> None:
    for name, formula, (low, high), other in UNARY:
        torch = _functional(name) if name in ONLY_FUNCTIONAL else other
        oracle = true.wide(formula)
        case(name, given.reals(low, high), oracle, torch=torch)
        case(name, given.whole(), oracle, torch=other)
        case(name, given.extremes(), oracle, torch=other, smooth=False)
        case(name, given.tiny(), oracle, torch=torch, smooth=False)
        if name not in NO_COMPLEX:
            case(name, given.complexes(), oracle, smooth=False)
    erf = true.each(math.erf)
    case("erf", given.reals(-4, 4), erf, torch="erf")
    case("erf", given.extremes() + given.tiny(), erf, torch="erf", smooth=False)
    case("erf", [("tail", (np.linspace(-7, 7, 1401),))], erf, torch="erf", smooth=False)
    gelu = true.each(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
    case("gelu", given.reals(-4, 4), gelu, torch=_functional("gelu"))
    case("gelu", given.whole(low=-9, high=9)[:1], gelu)
    for approximate in (True, "tanh"):
        case(
            "gelu", given.reals(-4, 4), true.wide(_gelu_by_tanh), detail=f"by {approximate}",
            fn=lambda x, a=approximate: pr.gelu(x, approximate=a),
            torch=_functional("gelu", approximate="tanh"),
        )  # fmt: skip
    case(
        "leaky_relu", given.reals(-4, 4), true.wide(lambda x: np.where(x > 0, x, x * 0.25)),
        fn=lambda x: pr.leaky_relu(x, 0.25), detail="slope 0.25",
        torch=_functional("leaky_relu", negative_slope=0.25),
    )  # fmt: skip
    case(
        "elu", given.reals(-4, 4), true.wide(lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
        fn=lambda x: pr.elu(x, 1.5), detail="alpha 1.5", torch=_functional("elu", alpha=1.5),
    )  # fmt: skip


def _gelu_by_tanh(x: Array) -> Array:
    inner = np.sqrt(WIDE(2) / np.pi) * (x + WIDE("0.044715") * x**3)
    return x / 2 * (1 + np.tanh(inner))


def _sign(x: Any) -> Any:
    return x if x != x else (x > 0) - (x < 0) + 0 * x if abs(x) != math.inf else math.copysign(1, x)


def _whole_unary() -> None:
    """Functions that keep whole dtypes."""
    signed = [d for d in given.WHOLE if d.kind != "b"]
    rows: list[tuple[str, Oracle, str]] = [
        ("neg", true.number(np.negative, operator.neg), "neg"),
        ("abs", true.number(np.abs, abs), "abs"),
        ("sign", true.number(np.sign, _sign), "sign"),
        ("relu", true.number(lambda x: np.where(x < 0, 0, x), lambda x: max(x, 0)), "relu"),
        ("floor", true.number(np.floor, int), "floor"),
        ("ceil", true.number(np.ceil, int), "ceil"),
        ("trunc", true.number(np.trunc, int), "trunc"),
        ("round", true.number(np.rint, int), "round"),
        ("square", true.number(np.square, lambda x: x * x), "square"),
    ]
    for name, oracle, torch in rows:
        case(name, given.reals(), oracle, torch=torch)
        case(name, given.whole(signed), oracle, torch=torch)
        # PyTorch's sign of NaN is 0
        case(name, given.extremes(), oracle, torch=torch if name != "sign" else None, smooth=False)
    case("neg", given.complexes(), true.wide(np.negative), torch="neg")
    tests: list[tuple[str, Callable[[Any], bool]]] = [
        ("isnan", lambda x: x != x),
        ("isinf", lambda x: abs(x) == math.inf),
        ("isfinite", lambda x: abs(x) < math.inf),
        ("logical_not", lambda x: not x),
    ]
    for name, test in tests:
        everything = given.extremes() + given.whole() + given.reals()[:4]
        case(name, everything, true.each(test, bool), torch=name)
    invert = true.exact(operator.invert)
    case("bitwise_not", given.whole(signed), invert, torch="bitwise_not")
    flags = [("bool", (np.array([True, False]),))]
    case("bitwise_not", flags, np.logical_not, torch="bitwise_not")
    for rows_, smooth in [(given.reals() + given.whole() + given.complexes(), True),
                          (given.extremes(), False)]:  # fmt: skip
        case("clone", rows_, lambda x: np.array(x.tolist(), x.dtype).reshape(x.shape),
             torch="clone", smooth=smooth)  # fmt: skip
    _casts()


def _casts() -> None:
    numbers = [("float64", (sample((2, 3)),)), ("float32", (sample((4,)).astype(F32),))]
    whole = [("int64", (np.array([-3, 0, 1, 7]),)), ("bool", (np.array([True, False]),))]
    for name in ("float16", "float32", "float64", "int64", "int8", "bool"):
        dtype = np.dtype(name)
        convert = {"f": float, "i": int, "b": bool}[dtype.kind]
        case("cast", numbers + whole, true.each(convert, dtype), detail=f"to {name}", views=True,
             fn=lambda x, d=name: pr.cast(x, d), smooth=dtype == F64,
             torch=lambda t, x, d=name: x.to(getattr(t, d)))  # fmt: skip
    case("cast", numbers, true.each(complex, "complex64"), detail="to complex64", smooth=False,
         fn=lambda x: pr.cast(x, pr.complex64))  # fmt: skip
    case("cast", given.complexes(), lambda z: z.astype("complex128"), detail="to complex128",
         fn=lambda z: pr.cast(z, pr.complex128), views=True)  # fmt: skip


# Elementwise, two arguments


def _floor_divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
    return a // b


def _remainder(a: float, b: float) -> float:
    return math.nan if b == 0 or abs(a) == math.inf else a % b


def _extreme(pick: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: math.nan if a != a or b != b else pick(a, b)


def _binary() -> None:
    # name, long-double formula, Python integers, domain of both arguments
    rows: list[tuple[str, Oracle, Oracle | None, tuple[float, ...]]] = [
        ("add", np.add, operator.add, (-2, 2)),
        ("sub", np.subtract, operator.sub, (-2, 2)),
        ("mul", np.multiply, operator.mul, (-2, 2)),
        ("div", np.divide, None, (-2, 2, 0.4, 3)),
        ("pow", np.power, operator.pow, (0.3, 2.5, -2, 3)),
        ("maximum", np.maximum, max, (-2, 2)),
        ("minimum", np.minimum, min, (-2, 2)),
        ("atan2", np.arctan2, None, (-2, 2, 0.3, 3)),
        ("logaddexp", np.logaddexp, None, (-4, 4)),
    ]
    for name, real, integer, domain in rows:
        torch = name if name not in ("div",) else "true_divide"
        case(name, given.pairs(*domain), true.wide(real), torch=torch)
        follows = name not in ("maximum", "minimum")  # with a NaN we give neither side a gradient
        case(name, given.edge_pairs(), true.wide(real), torch=torch, smooth=False, follows=follows)
        if integer is not None:
            kinds = "iu" if name in ("sub", "pow") else "biu"
            case(name, given.whole_pairs(kinds, positive=name == "pow"), true.exact(integer),
                 torch=torch)  # fmt: skip
        else:
            case(name, given.whole_pairs("iu", positive=True), true.wide(real),
                 torch=torch if name != "logaddexp" else None)  # fmt: skip
    case("mul", _complex_pairs(), true.wide(np.multiply), torch="mul")
    case("div", _complex_pairs(), true.wide(np.divide), torch="div")
    for name, on_numbers in [("floor_divide", _floor_divide), ("remainder", _remainder)]:
        torch = name if name == "remainder" else lambda t, a, b: t.floor_divide(
            a.detach(), b.detach())  # fmt: skip
        case(name, given.pairs(-8, 8, 0.6, 3), true.each(on_numbers), torch=torch)
        case(name, given.edge_pairs(), true.each(on_numbers), smooth=False)
        whole = operator.floordiv if name == "floor_divide" else operator.mod
        case(name, given.whole_pairs("iu", positive=True), true.exact(whole), torch=name)
    for power in (0, 1, 2, 3, 0.5, -1, 2.5, -2):
        case("pow", given.reals(0.3, 2.5), true.wide(lambda x, p=power: x ** WIDE(p)),
             fn=lambda x, p=power: pr.pow(x, p), torch=lambda t, x, p=power: x**p,
             detail=f"to {power}")  # fmt: skip
        edges = given.extremes(lambda x: x > -np.inf) if power == 0.5 else given.extremes()
        case("pow", edges, true.wide(lambda x, p=power: np.power(x, WIDE(p))),
             fn=lambda x, p=power: pr.pow(x, p), detail=f"to {power}", smooth=False)  # fmt: skip
    case("pow", given.reals(-2, 2)[:3], true.wide(lambda x: np.power(WIDE(2.5), x)),
         fn=lambda x: pr.pow(2.5, x), torch=lambda t, x: 2.5**x, detail="of 2.5")  # fmt: skip
    zero_bases = [("zero base", (np.array([0.0, 0.0, 0.0, -2.0]), np.array([0.0, 1.0, 2.0, 3.0])))]
    case("pow", zero_bases, true.wide(np.power), smooth=False, torch="pow")
    _comparisons()
    _where_and_clip()


def _complex_pairs() -> list[Labelled]:
    z = sample((2, 3)) + 1j * sample((2, 3), seed=5)
    w = sample((3,), 1, 2) + 1j * sample((3,), seed=6)
    return [("complex128", (z, w)), ("complex64 and float32", (z.astype("c8"), sample((3,), 1, 2)
            .astype(F32)))]  # fmt: skip


def _comparisons() -> None:
    everything = given.pairs() + given.edge_pairs() + given.whole_pairs()
    ties = [("ties", (np.array([1.0, 2.0, 2.0, -0.0]), np.array([1.0, 1.0, 3.0, 0.0])))]
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        compare = getattr(operator, name)
        case(name, everything + ties, true.each(compare, bool), torch=name, smooth=False)
    case("eq", _complex_pairs(), true.each(operator.eq, bool), torch="eq")
    logic: list[tuple[str, Callable[[Any, Any], bool]]] = [
        ("logical_and", lambda a, b: bool(a) and bool(b)),
        ("logical_or", lambda a, b: bool(a) or bool(b)),
        ("logical_xor", lambda a, b: bool(a) != bool(b)),
    ]
    for name, fn in logic:
        case(name, everything, true.each(fn, bool), torch=name, smooth=False)
    for name, whole in [("and", operator.and_), ("or", operator.or_), ("xor", operator.xor)]:
        case(f"bitwise_{name}", given.whole_pairs(), true.exact(whole), torch=f"bitwise_{name}")
    shifts = [(label, (a, b % 4)) for label, (a, b) in given.whole_pairs("iu", positive=True)]
    for name, fn in [("left_shift", operator.lshift), ("right_shift", operator.rshift)]:
        case(name, shifts, true.exact(fn), torch=f"bitwise_{name}")


def _where_and_clip() -> None:
    choose = np.array([[True, False, True], [False, False, True]])
    for label, (a, b) in given.pairs()[:5] + given.edge_pairs((F32,)) + given.whole_pairs():
        shape = np.broadcast_shapes(a.shape, b.shape)
        condition = np.resize(choose, shape)
        dtype = true.promoted(a, b)
        case("where", [(label, (condition, a, b))], torch="where",
             oracle=lambda c, a, b, d=dtype: np.choose(c, [b.astype(d), a.astype(d)]))  # fmt: skip
    for label, x in given.any_dtype((2, 3)):
        for kind, other in (("0", 0), ("True", True)):
            if x.dtype.kind == "b" and kind == "0":
                continue
            case("where", [(label, (choose, x))], detail=f"or {kind}",
                 fn=lambda c, x, o=other: pr.where(c, x, o),
                 oracle=lambda c, x, o=other: np.choose(c, [np.full_like(x, o), x]))  # fmt: skip
    for low, high in [(-1.0, 1.0), (None, 0.5), (-0.5, None), (None, None)]:
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
        case("clip", given.reals(-3, 3), detail=f"to {low} {high}",
             fn=lambda x, lo=low, hi=high: pr.clip(x, lo, hi),
             oracle=true.wide(lambda x, b=bounds: np.minimum(np.maximum(x, b[0]), b[1])),
             torch=None if low is high is None else lambda t, x, lo=low, hi=high: t.clamp(
                 x, lo, hi), views=low is high is None)  # fmt: skip
    case("clip", given.extremes(), fn=lambda x: pr.clip(x, -1.0, 1.0), smooth=False,
         oracle=true.wide(lambda x: np.minimum(np.maximum(x, -1), 1)),
         torch=lambda t, x: t.clamp(x, -1.0, 1.0))  # fmt: skip
    case("clip", given.whole([np.dtype("int64")]), fn=lambda x: pr.clip(x, -1, 3),
         oracle=true.exact(lambda x: min(max(x, -1), 3)),
         torch=lambda t, x: t.clamp(x, -1, 3))  # fmt: skip
    case("clip", [("tensors", (sample((2, 3)), np.full((3,), -0.5), np.full((2, 1), 0.5)))],
         true.wide(lambda x, lo, hi: np.minimum(np.maximum(x, lo), hi)), torch="clamp")  # fmt: skip


# Reductions

AXES: list[tuple[Any, bool]] = [
    (None, False), (None, True), (0, False), (-1, True), (1, False), ((0, 2), False),
    ((0, 2), True), ((), False),
]  # fmt: skip


def _reducible(empty: bool) -> list[tuple[Labelled, list[tuple[Any, bool]]]]:
    """Inputs of reductions, each with the axes to try."""
    x = distinct(2, 3, 4)
    few: list[tuple[Any, bool]] = [(None, False), (0, False), (-1, True)]
    rows: list[tuple[Labelled, list[tuple[Any, bool]]]] = [
        (("float64", (x,)), AXES),
        (("float32", (x.astype(F32),)), few),
        (("float16", (x.astype("f2"),)), few),
        (("int64", ((x * 7).astype(np.int64),)), few),
        (("uint8", ((abs(x) * 7).astype(np.uint8),)), few),
        (("bool", (x > 0,)), few),
        (("transposed", (distinct(3, 4, 2).T,)), few),
        (("strided", (distinct(4, 6, 2)[::2, ::-2],)), few),
        (("one", (np.full((1, 1, 1), 0.3),)), few),
        (("0-d", (np.array(0.7),)), [(None, False), (None, True), ((), False)]),
        (("edges", (np.array([[np.nan, 1.0, 2.0], [np.inf, -np.inf, 0.0], [np.inf, 2.0, 1.0]]),)),
         [(None, False), (0, False), (1, False)]),
        (("negative infinities", (np.full((2, 2), -np.inf),)), [(None, False), (1, False)]),
        (("no place", (np.zeros((0, 3)),)), [(1, False), (1, True)]),
    ]  # fmt: skip
    if empty:
        rows.append((("no elements", (np.zeros((2, 0)),)), [(None, False), (1, False), (1, True)]))
    return rows


def _nan_first(pick: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    return lambda row: next((v for v in row if v != v), None) or pick(row)


def _at(pick: Callable[[list[Any]], Any]) -> Callable[[list[Any]], int]:
    def place(row: list[Any]) -> int:
        for i, v in enumerate(row):
            if v != v:
                return i
        return row.index(pick(row))

    return place


def _mean(row: list[Any]) -> Any:
    return sum(row) / len(row) if row else math.nan


def _var(correction: float) -> Callable[[list[Any]], Any]:
    def var(row: list[Any]) -> Any:
        total = sum((v - _mean(row)) ** 2 for v in row)
        rest = WIDE(max(len(row) - correction, 0))
        return WIDE(total) / rest

    return var


def _logsumexp(row: list[Any]) -> Any:
    peak = max(row, default=-np.inf)
    if not math.isfinite(peak) or any(v != v for v in row):
        return math.nan if any(v != v for v in row) else peak
    return peak + np.log(sum(np.exp(v - peak) for v in row))


def _norm(p: float) -> Callable[[list[Any]], Any]:
    def norm(row: list[Any]) -> Any:
        sizes = [abs(v) for v in row]
        if abs(p) == math.inf:
            return _nan_first(max if p > 0 else min)(sizes)
        if p == 0:
            return sum(v != 0 for v in sizes)
        return WIDE(sum(v ** WIDE(p) for v in sizes)) ** (1 / WIDE(p))

    return norm


def _torch_reduce(name: str) -> Callable[..., Any]:
    def run(t: Any, x: Any, axis: Any, keepdims: bool) -> Any:
        if axis is None:
            axis = tuple(range(x.ndim))
        if name in ("max", "min"):
            return getattr(t, f"a{name}")(x, axis, keepdims)
        if name in ("any", "all"):
            return getattr(t, name)(x.bool(), axis, keepdims)
        if name in ("sum", "mean", "logsumexp"):
            return getattr(t, name)(x, axis, keepdims)
        if name == "norm":
            return t.linalg.vector_norm(x, 2, axis, keepdims)
        if name in ("var", "std"):
            return getattr(t, name)(x, axis, keepdim=keepdims)
        if name == "prod" and isinstance(axis, tuple):
            out = t.prod(x)
            return out.reshape((1,) * x.ndim) if keepdims else out
        if name in ("argmax", "argmin"):
            return getattr(t, name)(x, None if isinstance(axis, tuple) else axis, keepdims)
        return getattr(t, name)(x, axis, keepdims)

    return run


def _any_bool(_: Array) -> np.dtype:
    return np.dtype(bool)


def _int64(_: Array) -> np.dtype:
    return np.dtype(np.int64)


def _reductions() -> None:
    # name, of a list, dtype of the result, may be empty, smooth
    rows: list[tuple[str, Callable[[list[Any]], Any], Any, bool, bool]] = [
        ("sum", sum, true.totals, True, True),
        ("prod", math.prod, true.totals, True, True),
        ("mean", _mean, true.floating, True, True),
        ("var", _var(1), true.floating, True, True),
        ("std", lambda row: np.sqrt(_var(1)(row)), true.floating, True, True),
        ("max", _nan_first(max), true.promoted, False, True),
        ("min", _nan_first(min), true.promoted, False, True),
        ("any", lambda row: any(v != 0 for v in row), _any_bool, True, False),
        ("all", lambda row: all(v != 0 for v in row), _any_bool, True, False),
        ("argmax", _at(max), _int64, False, False),
        ("argmin", _at(min), _int64, False, False),
        ("logsumexp", _logsumexp, true.floating, True, True),
        ("norm", _norm(2), true.floating, True, True),
    ]
    for name, of_list, rule, empty, smooth in rows:
        for row, axes in _reducible(empty):
            for axis, keepdims in axes:
                if name.startswith("arg") and isinstance(axis, tuple):
                    continue
                _reduction(name, of_list, rule, row, axis, keepdims, smooth)
    for p in (1, 3, 0, 2.5, math.inf, -math.inf):
        for axis, keepdims in [(None, False), (1, True)]:
            for label, x in (("float64", distinct(2, 3, 4)), ("zeros", np.array([[0.0, -0.0]]))):
                case("norm", [(label, (x,))], true.lanes(_norm(p), true.floating, axis, keepdims),
                     fn=lambda x, p=p, a=axis, k=keepdims: pr.norm(x, p, a, k),
                     detail=f"p={p} {axis}", smooth=p != 0 and label == "float64",
                     torch=lambda t, x, p=p, a=axis, k=keepdims: t.linalg.vector_norm(
                         x, p, a, k))  # fmt: skip
    for correction in (0, 1, 1.5):
        for name, of_list in (("var", _var), ("std", lambda c: lambda r: np.sqrt(_var(c)(r)))):
            case(name, [("float64", (distinct(2, 3, 4),))], detail=f"correction {correction}",
                 fn=lambda x, n=name, c=correction: getattr(pr, n)(x, 1, correction=c),
                 oracle=true.lanes(of_list(correction), true.floating, 1),
                 torch=lambda t, x, n=name, c=correction: getattr(t, n)(
                     x, 1, correction=c))  # fmt: skip
    many = [("float16, many", (np.full(70_000, 1.5, np.float16),))]
    case("mean", many, lambda x: np.array(1.5, np.float16), torch="mean")
    case("var", many, lambda x: np.array(0, np.float16), torch="var", smooth=False)
    case("std", many, lambda x: np.array(0, np.float16), smooth=False)
    zeros = [("one zero", (np.array([[2.0, 0.0, 3.0], [1.0, 2.0, 3.0]]),)),
             ("two zeros", (np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),))]  # fmt: skip
    for axis in (None, 1):
        case("prod", zeros, true.lanes(math.prod, true.totals, axis), detail=f"axis {axis}",
             fn=lambda x, a=axis: pr.prod(x, a),
             torch=lambda t, x, a=axis: t.prod(x) if a is None else t.prod(x, a))  # fmt: skip
    ties = [("ties", (np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]),))]
    for name, of_list in (("max", max), ("min", min)):
        case(name, ties, true.lanes(of_list, true.promoted, 1), fn=lambda x, n=name: getattr(pr, n)(
             x, 1), torch=lambda t, x, n=name: getattr(t, f"a{n}")(x, 1), smooth=False)  # fmt: skip
        pair = [("two tensors", (sample((2, 3)), sample((3,), seed=4)))]
        elementwise = np.maximum if name == "max" else np.minimum
        case(name, pair, elementwise, torch=name)
    for name, f in (("cumsum", operator.add), ("cumprod", operator.mul)):
        for (label, arrays), _ in _reducible(True):
            even = "edges" not in label and "infinities" not in label
            for axis in range(arrays[0].ndim):
                case(name, [(label, arrays)], true.running(f, axis), detail=f"axis {axis}",
                     fn=lambda x, n=name, a=axis: getattr(pr, n)(x, a), smooth=even, follows=even,
                     torch=lambda t, x, n=name, a=axis: getattr(t, n)(x, a))  # fmt: skip
    case("cumprod", zeros, true.running(operator.mul, 1), fn=lambda x: pr.cumprod(x, 1),
         torch=lambda t, x: t.cumprod(x, 1))  # fmt: skip


def _reduction(
    name: str, of_list: Any, rule: Any, row: Labelled, axis: Any, keepdims: bool, smooth: bool
) -> None:
    label, (x,) = row
    run = _torch_reduce(name)
    in_torch = axis != () and not (name == "prod" and isinstance(axis, tuple))
    in_torch = in_torch and not (x.dtype.kind != "f" and rule is true.floating)
    odd = label in ("edges", "negative infinities")
    flat = name in ("var", "std") and (x.size <= 1 or axis == ())
    flat = flat or (label == "no elements" and name in ("mean", "std", "var", "logsumexp"))
    in_torch = in_torch and not (name.startswith("arg") and x.dtype.kind == "b")
    in_torch = in_torch and not (flat and name in ("std", "var"))  # PyTorch warns
    follows = not (odd or x.dtype == np.float16) or name not in ("prod", "var", "std")
    case(name, [row], true.lanes(of_list, rule, axis, keepdims), detail=f"axis {axis} {keepdims}",
         fn=lambda x, a=axis, k=keepdims: getattr(pr, name)(x, axis=a, keepdims=k),
         torch=(lambda t, x, a=axis, k=keepdims: run(t, x, a, k)) if in_torch else None,
         smooth=smooth and not odd and not flat, follows=follows)  # fmt: skip


def _softmaxes() -> None:
    def softmax(x: Array, axis: int) -> Array:
        e = np.exp(x - x.max(axis, keepdims=True, initial=-1e4))
        return e / e.sum(axis, keepdims=True)

    for axis in (-1, 0):
        for name, formula in (
            ("softmax", lambda x, a=axis: softmax(x, a)),
            ("log_softmax", lambda x, a=axis: np.log(softmax(x, a))),
        ):
            rows = [(n, (x,)) for n, x in given.layouts(lambda s: sample(s)) if x.ndim]
            rows += [(str(x.dtype), (x,)) for x in (sample((3, 4)).astype(F32),)]
            case(name, rows, true.wide(formula), fn=lambda x, n=name, a=axis: getattr(pr, n)(x, a),
                 torch=lambda t, x, n=name, a=axis: getattr(t, n)(x, a),
                 detail=f"axis {axis}")  # fmt: skip
        large = [("large", (np.array([[1e4, 1e4 - 1], [-1e4, 3.0]]),)),
                 ("one infinite", (np.array([[-np.inf, 1.0], [0.0, -np.inf]]),)),
                 ("int64", (np.array([[1, 2], [3, 5]]),))]  # fmt: skip
        case("softmax", large, true.wide(lambda x, a=axis: softmax(x, a)), smooth=False,
             fn=lambda x, a=axis: pr.softmax(x, a), detail=f"axis {axis}",
             torch=lambda t, x, a=axis: t.softmax(x.double() if x.dtype == t.int64 else x, a).to(
                 t.float32 if x.dtype == t.int64 else x.dtype))  # fmt: skip
    case("softmax", [("0-d", (np.array(3.0),))], np.ones_like, torch=lambda t, x: t.softmax(x, -1))
    case("log_softmax", [("0-d", (np.array(3.0),))], np.zeros_like,
         torch=lambda t, x: t.log_softmax(x, -1))  # fmt: skip
    large = [(str(dtype), (np.array([[1e4, 1e4 - 1, -1e4]], dtype),)) for dtype in (F64, F32)]
    case("log_softmax", large, detail="large", torch=lambda t, x:
         t.log_softmax(x, -1), oracle=true.wide(lambda x: x - 1e4 - np.log1p(
             np.exp(-WIDE(1)))), smooth=False)  # fmt: skip


# Movement: detail, function, NumPy's way, PyTorch's way, shape of the argument

Move = tuple[str, Callable[[Any], Any], Callable[[Array], Any], Any, tuple[int, ...]]


def _same(fn: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """PyTorch has the same method."""
    return lambda t, x: fn(x)


MOVES: dict[str, list[Move]] = {
    "reshape": [
        ("3 2", lambda x: pr.reshape(x, 3, 2), lambda a: np.array(a.ravel()).reshape(3, 2),
         lambda t, x: x.reshape(3, 2), (2, 3)),
        ("-1", lambda x: pr.reshape(x, -1), np.ravel, lambda t, x: x.reshape(-1), (2, 3)),
        ("tuple", lambda x: pr.reshape(x, (2, -1, 1)), lambda a: a[:, :, None],
         lambda t, x: x.reshape(2, -1, 1), (2, 3)),
        ("to 0-d", lambda x: pr.reshape(x, ()), lambda a: a[0, 0], lambda t, x: x.reshape(()),
         (1, 1)),
        ("empty", lambda x: pr.reshape(x, 3, 0, 2), lambda a: np.empty((3, 0, 2), a.dtype),
         lambda t, x: x.reshape(3, 0, 2), (0, 4)),
    ],
    "view": [("3 2", lambda x: pr.view(x, 3, 2), lambda a: a.reshape(3, 2), None, (2, 3))],
    "flatten": [
        ("all", lambda x: pr.flatten(x), np.ravel, lambda t, x: x.flatten(), (2, 3, 2)),
        ("from 1", lambda x: pr.flatten(x, 1), lambda a: a.reshape(2, 6),
         lambda t, x: x.flatten(1), (2, 3, 2)),
        ("0 to 1", lambda x: pr.flatten(x, 0, 1), lambda a: a.reshape(6, 2),
         lambda t, x: x.flatten(0, 1), (2, 3, 2)),
        ("0-d", lambda x: pr.flatten(x), np.ravel, lambda t, x: x.flatten(), ()),
    ],
    "squeeze": [
        ("all", lambda x: pr.squeeze(x), np.squeeze, lambda t, x: x.squeeze(), (1, 3, 1)),
        ("axis 0", lambda x: pr.squeeze(x, 0), lambda a: a[0], lambda t, x: x.squeeze(0),
         (1, 3, 1)),
        ("two", lambda x: pr.squeeze(x, (0, -1)), lambda a: a[0, :, 0],
         lambda t, x: x.squeeze((0, -1)), (1, 3, 1)),
    ],
    "unsqueeze": [
        (f"axis {axis}", lambda x, a=axis: pr.unsqueeze(x, a),
         lambda a, at=axis: np.expand_dims(a, at), lambda t, x, a=axis: x.unsqueeze(a), (2, 3))
        for axis in (0, 1, 2, -1, -3)
    ],
    "permute": [
        ("numbers", lambda x: pr.permute(x, 2, 0, 1), lambda a: np.moveaxis(a, 2, 0),
         lambda t, x: x.permute(2, 0, 1), (2, 3, 4)),
        ("tuple", lambda x: pr.permute(x, (-1, 0, 1)), lambda a: np.moveaxis(a, 2, 0),
         lambda t, x: x.permute(-1, 0, 1), (2, 3, 4)),
        ("0-d", lambda x: pr.permute(x, ()), lambda a: a, lambda t, x: x.permute(()), ()),
    ],
    "transpose": [
        ("all", lambda x: pr.transpose(x), lambda a: np.einsum("ijk->kji", a),
         lambda t, x: x.permute(2, 1, 0), (2, 3, 4)),
        ("two", lambda x: pr.transpose(x, 0, -1), lambda a: np.swapaxes(a, 0, 2),
         lambda t, x: x.transpose(0, -1), (2, 3, 4)),
        ("tuple", lambda x: pr.transpose(x, (1, 0, 2)), lambda a: np.swapaxes(a, 0, 1), None,
         (2, 3, 4)),
    ],
    "swapaxes": [("1 2", lambda x: pr.swapaxes(x, 1, 2), lambda a: np.einsum("ijk->ikj", a),
                  lambda t, x: x.swapaxes(1, 2), (2, 3, 4))],
    "moveaxis": [
        (f"{a} {b}", lambda x, a=a, b=b: pr.moveaxis(x, a, b),
         lambda x, a=a, b=b: np.moveaxis(x, a, b), lambda t, x, a=a, b=b: x.moveaxis(a, b),
         (2, 3, 4))
        for a, b in ((0, 2), (2, 0), (-1, 1), (1, 1))
    ],
    "matrix_transpose": [("batch", lambda x: pr.matrix_transpose(x),
                          lambda a: np.einsum("bij->bji", a), lambda t, x: x.mT, (2, 3, 4))],
    "broadcast_to": [
        ("row", lambda x: pr.broadcast_to(x, 2, 3), lambda a: a + np.zeros((2, 3), a.dtype),
         lambda t, x: x.broadcast_to(2, 3), (3,)),
        ("column", lambda x: pr.broadcast_to(x, (2, 3)), lambda a: np.repeat(a, 3, 1),
         lambda t, x: x.broadcast_to((2, 3)), (2, 1)),
        ("number", lambda x: pr.broadcast_to(x, 4), lambda a: np.full(4, a),
         lambda t, x: x.broadcast_to(4), ()),
        ("to nothing", lambda x: pr.broadcast_to(x, 0, 3), lambda a: np.zeros((0, 3), a.dtype),
         lambda t, x: x.broadcast_to(0, 3), (1, 3)),
    ],
    "expand": [
        ("-1", lambda x: pr.expand(x, 4, -1, 3), lambda a: np.tile(a[None], (4, 1, 3)),
         lambda t, x: x.expand(4, -1, 3), (2, 1)),
        ("tuple", lambda x: pr.expand(x, (2, 3)), lambda a: np.stack([a, a]),
         lambda t, x: x.expand((2, 3)), (3,)),
    ],
    "flip": [
        ("all", lambda x: pr.flip(x), lambda a: a[::-1, ::-1], lambda t, x: x.flip(0, 1), (2, 3)),
        ("axis 1", lambda x: pr.flip(x, 1), lambda a: a[:, ::-1], lambda t, x: x.flip(1), (2, 3)),
        ("two", lambda x: pr.flip(x, (0, -1)), lambda a: a[::-1, :, ::-1],
         lambda t, x: x.flip((0, -1)), (2, 3, 2)),
    ],
    "tile": [
        ("2 3", lambda x: pr.tile(x, 2, 3), lambda a: np.tile(a, (2, 3)),
         lambda t, x: x.tile(2, 3), (2, 2)),
        ("more axes", lambda x: pr.tile(x, (2, 1, 2)), lambda a: np.tile(a, (2, 1, 2)),
         lambda t, x: x.tile(2, 1, 2), (2, 2)),
        ("fewer axes", lambda x: pr.tile(x, 3), lambda a: np.tile(a, 3),
         lambda t, x: x.tile(3), (2, 2)),
        ("none", lambda x: pr.tile(x, 0, 2), lambda a: np.tile(a, (0, 2)),
         lambda t, x: x.tile(0, 2), (2, 2)),
    ],
    "repeat": [
        ("flat", lambda x: pr.repeat(x, 2), lambda a: np.repeat(a, 2),
         lambda t, x: x.repeat_interleave(2), (2, 3)),
        ("axis", lambda x: pr.repeat(x, 3, -1), lambda a: np.repeat(a, 3, -1),
         lambda t, x: x.repeat_interleave(3, -1), (2, 3)),
        ("none", lambda x: pr.repeat(x, 0, 0), lambda a: np.repeat(a, 0, 0),
         lambda t, x: x.repeat_interleave(0, 0), (2, 3)),
    ],
    "roll": [
        ("flat", lambda x: pr.roll(x, 2), lambda a: np.roll(a, 2), lambda t, x: x.roll(2), (2, 3)),
        ("axis", lambda x: pr.roll(x, -1, 1), lambda a: np.roll(a, -1, 1),
         lambda t, x: x.roll(-1, 1), (2, 3)),
        ("two", lambda x: pr.roll(x, (1, 5), (0, 1)), lambda a: np.roll(a, (1, 5), (0, 1)),
         lambda t, x: x.roll((1, 5), (0, 1)), (2, 3)),
        ("round", lambda x: pr.roll(x, 3, 1), lambda a: a.copy(), lambda t, x: x.roll(3, 1),
         (2, 3)),
        ("nothing", lambda x: pr.roll(x, 1, 0), lambda a: a.copy(), lambda t, x: x.roll(1, 0),
         (0, 3)),
    ],
    "pad": [
        ("one pair", lambda x: pr.pad(x, (1, 2)), lambda a: np.pad(a, (1, 2)),
         lambda t, x: t.nn.functional.pad(x, (1, 2, 1, 2)), (2, 3)),
        ("pairs", lambda x: pr.pad(x, ((0, 1), (2, 0))), lambda a: np.pad(a, ((0, 1), (2, 0))),
         lambda t, x: t.nn.functional.pad(x, (2, 0, 0, 1)), (2, 3)),
        ("value", lambda x: pr.pad(x, (1, 1), 1),
         lambda a: np.pad(a, (1, 1), constant_values=1),
         lambda t, x: t.nn.functional.pad(x, (1, 1), value=1), (3,)),
        ("nothing", lambda x: pr.pad(x, ((0, 0), (1, 0))), lambda a: np.zeros((0, 4), a.dtype),
         lambda t, x: t.nn.functional.pad(x, (1, 0)), (0, 3)),
    ],
    "split": [
        ("2", lambda x: pr.split(x, 2), lambda a: [a[:2], a[2:4], a[4:]],
         lambda t, x: list(x.split(2)), (5, 2)),
        ("list", lambda x: pr.split(x, [1, 0, 3], 1), lambda a: [a[:, :1], a[:, 1:1], a[:, 1:]],
         lambda t, x: list(x.split([1, 0, 3], 1)), (2, 4)),
        ("of nothing", lambda x: pr.split(x, 2), lambda a: [a], lambda t, x: list(x.split(2)),
         (0, 2)),
    ],
    "chunk": [
        ("3", lambda x: pr.chunk(x, 3), lambda a: [a[:2], a[2:4], a[4:]],
         lambda t, x: list(x.chunk(3)), (5, 2)),
        ("more than there are", lambda x: pr.chunk(x, 9, 1), lambda a: [a[:, :1], a[:, 1:]],
         lambda t, x: list(x.chunk(9, 1)), (3, 2)),
    ],
    "diagonal": [
        (f"{offset}", lambda x, o=offset: pr.diagonal(x, o),
         lambda a, o=offset: np.diagonal(a, o, -2, -1),
         lambda t, x, o=offset: x.diagonal(o, -2, -1), (2, 3, 4))
        for offset in (0, 1, 3, 4, -1, -2, -3)
    ],
    "diag": [
        ("vector", lambda x: pr.diag(x), lambda a: np.diag(a), lambda t, x: t.diag(x), (3,)),
        ("matrix", lambda x: pr.diag(x), lambda a: np.diag(a), lambda t, x: t.diag(x), (3, 2)),
        ("nothing", lambda x: pr.diag(x), lambda a: np.diag(a), lambda t, x: t.diag(x), (0,)),
    ],
    "tril": [
        (f"{k}", lambda x, k=k: pr.tril(x, k), lambda a, k=k: np.tril(a, k),
         lambda t, x, k=k: t.tril(x, k), (2, 3, 4))
        for k in (0, 1, -1, -5)
    ],
    "triu": [
        (f"{k}", lambda x, k=k: pr.triu(x, k), lambda a, k=k: np.triu(a, k),
         lambda t, x, k=k: t.triu(x, k), (2, 3, 4))
        for k in (0, 2, -1, 5)
    ],
}  # fmt: skip
COPYING = {"tile", "repeat", "roll", "pad", "diag", "tril", "triu", "diagonal"}


def _movement() -> None:
    for name, moves in MOVES.items():
        for detail, fn, oracle, torch, shape in moves:
            case(name, moving(*shape), oracle, fn=fn, torch=torch, detail=detail,
                 views=name not in COPYING)  # fmt: skip
    joins: list[tuple[str, str, list[Array], int]] = [
        ("concat", "two", [sample((2, 3)), sample((1, 3), seed=2)], 0),
        ("concat", "three, last axis", [sample((2, n), seed=n) for n in (1, 3, 2)], -1),
        ("concat", "mixed dtypes", [sample((2,)).astype(F32), np.array([1, 2])], 0),
        ("concat", "double and single", [sample((2,)).astype(F32), sample((2,))], 0),
        ("concat", "nothing", [sample((0, 3)), sample((2, 3))], 0),
        ("concat", "one", [sample((2, 3))], 1),
        ("stack", "two", [sample((2, 3)), sample((2, 3), seed=2)], 0),
        ("stack", "last axis", [sample((2, 3), seed=n) for n in range(3)], -1),
        ("stack", "0-d", [sample(()), sample((), seed=2)], 0),
        ("stack", "bools and ints", [np.array([True, False]), np.array([3, 4])], 1),
    ]
    for name, detail, parts, axis in joins:
        dtype = true.promoted(*parts)
        join = {"concat": np.concatenate, "stack": np.stack}[name]
        case(name, [(detail, tuple(parts))],
             lambda *xs, j=join, a=axis, d=dtype: j([x.astype(d) for x in xs], a),
             fn=lambda *xs, n=name, a=axis: getattr(pr, n)(xs, a),
             torch=lambda t, *xs, n=name, a=axis: getattr(t, n)(xs, a))  # fmt: skip
    square = [("2-d", (sample((3, 3)),))]
    for name in ("tril", "triu", "diagonal"):
        case(name, square, getattr(np, name), torch=name)
    twice = [("the same twice", (sample((2, 3)),))]
    case("concat", twice, lambda x: np.concatenate([x, x]), fn=lambda x: pr.concat([x, x]),
         torch=lambda t, x: t.concat([x, x]))  # fmt: skip


# Indexing

INDICES: list[tuple[str, Any]] = [
    ("int", 1),
    ("negative int", -1),
    ("numpy int", np.int64(2)),
    ("ints", (1, 2)),
    ("all ints", (1, 2, 3)),
    ("slice", slice(1, 3)),
    ("whole", slice(None)),
    ("ellipsis", ...),
    ("nothing", ()),
    ("steps", (slice(None, None, 2), slice(1, None, 2))),
    ("negative step", (slice(None, None, -1),)),
    ("negative step 2", (slice(3, 0, -2), slice(None), slice(None, None, -1))),
    ("empty slice", slice(2, 2)),
    ("empty backwards", slice(0, 3, -1)),
    ("beyond", (slice(-100, 100), slice(5, 100))),
    ("none", None),
    ("none inside", (slice(None), None, 1)),
    ("none at end", (..., None)),
    ("ellipsis and int", (..., 2)),
    ("ellipsis between", (1, ..., 2)),
    ("ellipsis of no axes", (1, 2, ..., 3)),
    ("int and none", (None, 1, None, slice(1, 2))),
    ("list", [2, 0, 3]),
    ("list negative", [-1, -4]),
    ("array", np.array([[0, 1], [3, 2]])),
    ("uint8", np.array([3, 1], np.uint8)),
    ("0-d array", np.array(2)),
    ("empty list", []),
    ("empty array", np.zeros((0, 2), np.int64)),
    ("range", range(1, 3)),
    ("two lists", ([0, 3], [1, 2])),
    ("outer lists", (np.array([[0], [3]]), np.array([1, 2]))),
    ("three lists", ([0, 3], [1, 2], [4, 0])),
    ("list, slice", ([0, 3], slice(1, None))),
    ("slice, list", (slice(1, None), [2, 0])),
    ("slice, list, list", (slice(None), [2, 0], [1, 4])),
    ("list, slice, list", ([2, 0], slice(None), [1, 4])),
    ("int, list", (1, [2, 0])),
    ("list, int", ([2, 0], 1)),
    ("slice, int, list", (slice(None), 1, [2, 0])),
    ("slice, list, int", (slice(None), [2, 0], 1)),
    ("int, slice, list", (1, slice(None), [2, 0])),
    ("list, slice, int", ([2, 0], slice(None), 1)),
    ("int, int, list", (1, 2, [2, 0])),
    ("list, int, list", ([2, 0], 1, [4, 3])),
    ("none, int, slice, list", (None, 1, slice(None), [2, 0])),
    ("list, none, list", ([2, 0], None, [1, 2])),
    ("list, none", ([2, 0], None)),
    ("int, none, list", (1, None, [2, 0])),
    ("ellipsis, list", (..., [2, 0])),
    ("int, ellipsis, list", (1, ..., [2, 0])),
    ("list, ellipsis", ([2, 0], ...)),
    ("negative step, list", (slice(None, None, -1), [2, 0])),
    ("mask of rows", np.array([True, False, True, True])),
    ("mask list", [True, False, False, True]),
    ("mask of two axes", np.arange(12).reshape(4, 3) % 3 == 1),
    ("mask of all", np.arange(60).reshape(4, 3, 5) % 7 == 2),
    ("mask of none", np.zeros((4, 3), bool)),
    ("mask, int", (np.array([True, False, True, True]), 1)),
    ("slice, mask", (slice(None), np.array([True, False, True]))),
    ("slice, mask of two", (slice(1, None), np.arange(15).reshape(3, 5) % 4 == 0)),
    ("mask, list", (np.array([True, False, True, False]), [1, 2])),
    ("mask, slice, list", (np.array([True, False, True, False]), slice(None), [1, 2])),
    ("ellipsis, mask", (..., np.array([True, False, True, False, True]))),
    ("int, empty ellipsis, list", (slice(None), 1, ..., [1, 2])),
    ("0-d array, slice, list", (np.array(1), slice(None), [2, 0])),
    ("true", True),
    ("false", False),
    ("true, list", (True, [2, 0])),
    ("true, slice, list", (True, slice(None), [2, 0])),
    ("int, true", (1, True)),
    ("none, true", (None, True)),
    ("ellipsis, none, true", (..., None, True)),
    ("slice, false", (slice(None), False)),
]
REPEATING = [("repeats", [1, 1, 0]), ("repeated pairs", ([0, 0], [1, 1]))]


def _torch_index(label: str, index: Any) -> Callable[[Any, Any], Any] | None:
    """PyTorch's reading of an index, where it has the same one as NumPy."""
    items = index if isinstance(index, tuple) else (index,)
    kinds = [type(item) for item in items]
    if any(word in label for word in ("negative step", "backwards", "range", "uint8", "0-d array")):
        return None
    if int in kinds and list in kinds and (slice in kinds or type(...) in kinds or None in items):
        return None  # PyTorch takes the integer first, NumPy counts it as an index array

    def read(t: Any, x: Any) -> Any:
        of_torch = tuple(t.from_numpy(i) if isinstance(i, np.ndarray) else i for i in items)
        return x[of_torch]

    return read


def _indexing() -> None:
    x = distinct(4, 3, 5)
    for label, index in INDICES + REPEATING:
        case("Tensor.__getitem__", [("float64", (x,)), ("fortran int", (np.asfortranarray(x * 10)
             .astype(int),))], lambda a, i=index: a[i], fn=lambda a, i=index: a[i], detail=label,
             torch=_torch_index(label, index), views=True)  # fmt: skip
    for label, index in INDICES:
        shape = x[index].shape
        v = distinct(*shape, seed=3)
        _assignment(label, index, x, v)
        if shape and shape[-1] > 1:
            _assignment(f"{label}, broadcast", index, x, distinct(*shape[-1:], seed=4))
        _assignment(f"{label}, number", index, x, np.array(0.7))
    case("Tensor.__setitem__", [("int", (np.arange(6).reshape(2, 3),))], fn=_set_number,
         oracle=lambda a: np.array([[0, 7, 7], [3, 7, 7]]))  # fmt: skip
    masked = [("mask tensor", (distinct(2, 3),))]
    case("Tensor.__getitem__", masked, lambda a: a[a > 0], fn=lambda x: x[x > 0], traced=False,
         torch=lambda t, x: x[x > 0])  # fmt: skip
    _named_indexing()


def _set_number(x: Tensor) -> Tensor:
    x = pr.clone(x)
    x[:, 1:] = 7
    return x


def _assignment(label: str, index: Any, x: Array, v: Array) -> None:
    def ours(x: Tensor, v: Tensor) -> Tensor:
        y = pr.clone(x)
        y[index] = v
        return y

    def numpys(a: Array, b: Array) -> Array:
        out = a.copy()
        out[index] = b
        return out

    reader = _torch_index(label, index)

    def torchs(t: Any, x: Any, v: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        y = x.clone()
        y[tuple(t.from_numpy(i) if isinstance(i, np.ndarray) else i for i in items)] = v
        return y

    case("Tensor.__setitem__", [("float64", (x, v))], numpys, fn=ours, detail=label,
         torch=torchs if reader else None)  # fmt: skip


def _named_indexing() -> None:
    x = distinct(4, 3, 5)
    picks = [("1-d", np.array([2, 0, 2])), ("2-d", np.array([[0, 1], [-1, 2]])),
             ("0-d", np.array(1)), ("int32", np.array([1, 0], np.int32)),
             ("empty", np.zeros((0,), np.int64))]  # fmt: skip
    for label, pick in picks:
        for axis in (None, 0, 1, -1):
            case("take", [(label, (x, pick))], lambda a, i, ax=axis: np.take(a, i, ax),
                 fn=lambda a, i, ax=axis: pr.take(a, i, ax), detail=f"axis {axis}",
                 torch=None if label in ("int32",) or axis is not None or "2-d" in label else
                 lambda t, a, i: t.take(a, i))  # fmt: skip
    rng = np.random.default_rng(6)
    for axis in (0, 1, -1):
        shape = list(x.shape)
        shape[axis] = 6
        along = rng.integers(0, x.shape[axis], shape)
        case("take_along_axis", [("same axes", (x, along))], fn=lambda a, i, ax=axis:
             pr.take_along_axis(a, i, ax), oracle=lambda a, i, ax=axis: np.take_along_axis(
                 a, i, ax), detail=f"axis {axis}", torch=lambda t, a, i, ax=axis:
             t.take_along_dim(a, i, ax))  # fmt: skip
        smaller = [min(n, 2) for n in x.shape]
        smaller[axis] = 4
        few = rng.integers(0, x.shape[axis], smaller)
        values = distinct(*smaller, seed=7)

        def gathered(a: Array, i: Array, ax: int = axis) -> Array:
            out = np.empty(i.shape, a.dtype)
            for place in np.ndindex(*i.shape):
                at = list(place)
                at[ax] = i[place]
                out[place] = a[tuple(at)]
            return out

        def scattered(a: Array, i: Array, v: Array, ax: int = axis) -> Array:
            out = a.copy()
            for place in np.ndindex(*i.shape):
                at = list(place)
                at[ax] = i[place]
                out[tuple(at)] += v[place]
            return out

        case("gather", [("smaller", (x, few))], gathered, detail=f"axis {axis}",
             fn=lambda a, i, ax=axis: pr.gather(a, ax, i),
             torch=lambda t, a, i, ax=axis: t.gather(a, ax, i))  # fmt: skip
        whole = (x * 10).astype(np.int64), few, (values * 10).astype(np.int64)
        rows = [("repeats", (x, few, values)), ("int64", whole)]
        add = lambda a, i, v, ax=axis: pr.scatter_add(a, ax, i, v)  # noqa: E731
        case("scatter_add", rows, scattered, fn=add, detail=f"axis {axis}",
             torch=lambda t, a, i, v, ax=axis: t.scatter_add(a, ax, i, v))  # fmt: skip
    case("take_along_axis", [("broadcast", (x, np.array([[[0, 4, 1]]])))],
         lambda a, i: np.take_along_axis(a, np.broadcast_to(i, (4, 3, 3)), -1))  # fmt: skip
    labels = [("1-d", (np.array([2, 0, 1]),)), ("2-d", (np.array([[2, 0], [1, 1]], np.int32),)),
              ("0-d", (np.array(2),)), ("none", (np.zeros((0,), np.int64),))]  # fmt: skip
    case("one_hot", labels, lambda i: np.eye(4, dtype=np.int64)[i], fn=lambda i: pr.one_hot(i, 4),
         torch=lambda t, i: t.nn.functional.one_hot(i.long(), 4))  # fmt: skip
    case("one_hot", labels[:3], lambda i: np.eye(3, dtype=np.float32)[i],
         fn=lambda i: pr.one_hot(i, dtype=pr.float32), traced=False, detail="counted")  # fmt: skip


# Linear algebra


def _products() -> None:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((5, 2, 3), (3,)),
        ((3,), (5, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((1, 1), (1, 1)), ((0,), (0,)),
    ]  # fmt: skip
    rows: list[Labelled] = [(f"{a} {b}", (sample(a), sample(b, seed=1))) for a, b in shapes]
    m, n = sample((4, 2)), sample((6, 8), seed=2)
    rows += [
        ("transposed", (m.T, n.T[::2, ::2])),
        ("flipped", (sample((2, 3))[::-1, ::-1], sample((3, 2)))),
        ("float32", (sample((2, 3)).astype(F32), sample((3, 2), seed=1).astype(F32))),
        ("float32 and float64", (sample((2, 3)).astype(F32), sample((3, 2), seed=1))),
        ("int64", (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2) - 3)),
        ("int64 and float32", (np.arange(6).reshape(2, 3), sample((3, 2)).astype(F32))),
        ("uint8", (np.arange(6, dtype=np.uint8).reshape(2, 3) * 40,
                   np.arange(6, dtype=np.uint8).reshape(3, 2))),
        ("bool", (np.array([[True, False]]), np.array([[True], [True]]))),
        ("complex", (sample((2, 3)) * 1j + 1, sample((3, 2)) - 2j)),
        ("nan", (np.array([[np.nan, 1.0], [0.0, np.inf]]), np.array([[1.0, 0.0], [0.0, 2.0]]))),
    ]  # fmt: skip
    odd = {"int64 and float32", "float32 and float64", "bool", "uint8"}
    for label, arrays in rows:
        case("matmul", [(label, arrays)], _matmul, smooth=label != "nan",
             torch=None if label in odd else "matmul")  # fmt: skip
    layers: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
        ("2-d", ((4, 3), (2, 3))), ("1-d", ((3,), (2, 3))), ("3-d", ((5, 4, 3), (2, 3))),
        ("bias", ((4, 3), (2, 3), (2,))), ("bias 1-d", ((3,), (2, 3), (2,))),
        ("bias 3-d", ((5, 4, 3), (2, 3), (2,))), ("empty", ((0, 3), (2, 3), (2,))),
        ("no features", ((4, 0), (2, 0), (2,))),
    ]  # fmt: skip
    for label, arrays in layers:
        xs = tuple(sample(shape, seed=i) for i, shape in enumerate(arrays))
        single = tuple(x.astype(F32) for x in xs)
        case("linear", [(label, xs), (f"{label} float32", single)], true.wide(_linear),
             torch=lambda t, *a: t.nn.functional.linear(*a))  # fmt: skip
    dots = [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((), (3,)), ((2, 3), (5, 3, 4)),
            ((2, 3), ())]  # fmt: skip
    case("dot", [(f"{a} {b}", (sample(a), sample(b, seed=1))) for a, b in dots], np.dot)
    case("outer", [("3 2", (sample((3,)), sample((2,), seed=1))), ("0 2", (sample((0,)), sample(
         (2,))))], lambda a, b: np.array([[x * y for y in b] for x in a]).reshape(
             a.size, b.size), torch="outer")  # fmt: skip
    pairings: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = [
        (0, (2,), (3,)), (1, (2, 3), (3, 4)), (2, (2, 3, 4), (3, 4, 5)),
        (([0], [1]), (3, 2), (4, 3)), (([0, 2], [1, 0]), (2, 3, 4), (4, 2, 5)),
        ((1, 0), (2, 3), (3, 4)), (([-1], [-1]), (2, 3), (4, 3)),
    ]  # fmt: skip
    for axes, a, b in pairings:
        case("tensordot", [(f"{axes}", (sample(a), sample(b, seed=1)))], within=1e-14,
             fn=lambda x, y, axes=axes: pr.tensordot(x, y, axes),
             oracle=lambda x, y, axes=axes: np.tensordot(x, y, axes),
             torch=lambda t, x, y, axes=axes: t.tensordot(x, y, axes if isinstance(axes, int) else
                 tuple([d] if isinstance(d, int) else d for d in axes)))  # fmt: skip
    _einsums()


def _matmul(a: Array, b: Array) -> Array:
    """The product by Python sums of Python products, batch by batch."""
    dtype = true.promoted(a, b)
    left = a.astype(dtype)[(None,) * (a.ndim == 1)]
    right = b.astype(dtype)[..., None] if b.ndim == 1 else b.astype(dtype)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, batch + left.shape[-2:])
    right = np.broadcast_to(right, batch + right.shape[-2:])
    out = np.empty((*batch, left.shape[-2], right.shape[-1]), dtype)
    bits = 8 * dtype.itemsize if dtype.kind in "iu" else 0
    for place in np.ndindex(*out.shape):
        row, column = left[place[:-1]].tolist(), right[(*place[:-2], slice(None), place[-1])]
        total = sum(x * y for x, y in zip(row, column.tolist(), strict=True))
        out[place] = total % 2**bits if dtype.kind == "u" else total
    if b.ndim == 1:
        out = out[..., 0]
    return out[..., 0, :] if a.ndim == 1 and b.ndim > 1 else out[..., 0] if a.ndim == 1 else out


def _linear(x: Array, w: Array, b: Array | None = None) -> Array:
    y = (x[..., None, :] * w).sum(-1)
    return y if b is None else y + b


EINSUMS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ij", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ii->", [(3, 3)]),
    ("iij->ij", [(3, 3, 2)]),
    ("iii->i", [(3, 3, 3)]),
    ("i,i->", [(3,), (3,)]),
    ("i,j->ij", [(3,), (2,)]),
    ("i,i->i", [(3,), (3,)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("bij,jk->bik", [(5, 2, 3), (3, 4)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
    ("...i,i", [(5, 2, 3), (3,)]),
    ("i...->...", [(3, 2, 4)]),
    ("...", [(2, 3)]),
    ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 2)]),
    ("ab,cd,ef->", [(2, 3), (2, 2), (1, 3)]),
    ("i,ij,j->", [(3,), (3, 4), (4,)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("ij,kj->ki", [(2, 3), (4, 3)]),
    (",ij->ij", [(), (2, 3)]),
    ("ij,j->i", [(0, 3), (3,)]),
    ("ij,j->i", [(2, 0), (0,)]),
    ("bn,anm,bm->ba", [(2, 3), (5, 3, 4), (2, 4)]),
    ("aab,bc->ac", [(2, 2, 3), (3, 4)]),
    ("Ij,jK->IK", [(2, 3), (3, 4)]),
    ("...a,...b->...ab", [(4, 2), (1, 3)]),
]


def _einsums() -> None:
    for equation, shapes in EINSUMS:
        xs = tuple(sample(shape, seed=i) for i, shape in enumerate(shapes))
        case("einsum", [(equation, xs)], lambda *a, e=equation: np.einsum(e, *a), within=1e-14,
             fn=lambda *a, e=equation: pr.einsum(e, *a), views=len(shapes) == 1,
             torch=lambda t, *a, e=equation: t.einsum(e, *a))  # fmt: skip


# Images

CONVOLUTIONS: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("1-d", (2, 3, 7), (4, 3, 3), {}),
    ("2-d", (2, 3, 5, 6), (4, 3, 3, 2), {}),
    ("3-d", (2, 2, 3, 4, 3), (3, 2, 2, 3, 2), {"padding": (0, 1, 1), "stride": (1, 2, 1)}),
    ("1x1", (2, 3, 4, 3), (5, 3, 1, 1), {}),
    ("1x1 stride 2", (2, 3, 5, 4), (2, 3, 1, 1), {"stride": 2}),
    ("stride and padding", (2, 2, 7, 6), (3, 2, 3, 3), {"stride": (2, 3), "padding": (1, 2)}),
    ("unequal padding", (1, 2, 5, 4), (3, 2, 3, 2), {"padding": ((1, 0), (2, 1)), "stride": 2}),
    ("dilation", (2, 2, 7, 8), (2, 2, 3, 2), {"dilation": (2, 3), "padding": 1}),
    ("groups", (2, 4, 4, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ("depthwise", (2, 3, 5, 4), (3, 1, 3, 3), {"groups": 3, "padding": 1}),
    ("depthwise times 2", (2, 3, 6), (6, 1, 3), {"groups": 3, "stride": 2}),
    ("same", (2, 2, 5, 6), (3, 2, 3, 4), {"padding": "same"}),
    ("wider than the image", (2, 2, 3, 2), (2, 2, 5, 4), {"padding": (1, 2)}),
    ("as wide as the image", (2, 2, 3, 4), (3, 2, 3, 4), {}),
    ("stride leaves a rest", (1, 1, 8, 6), (1, 1, 2, 2), {"stride": (4, 5)}),
    ("empty batch", (0, 2, 4, 3), (3, 2, 2, 2), {}),
]
TRANSPOSED: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("1-d", (2, 3, 4), (3, 2, 3), {}),
    ("2-d", (2, 3, 3, 4), (3, 2, 3, 2), {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    ("3-d", (1, 2, 2, 3, 2), (2, 2, 2, 1, 2), {"stride": (1, 2, 2)}),
    ("groups", (2, 4, 3, 2), (4, 2, 2, 2), {"groups": 2, "dilation": 2}),
    ("gaps", (1, 1, 2, 3), (1, 1, 1, 1), {"stride": 3, "output_padding": 2}),
    ("empty batch", (0, 2, 3), (2, 1, 2), {}),
]
POOLS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("1-d", (2, 2, 7), {"kernel_size": 3}),
    ("2-d", (2, 2, 6, 4), {"kernel_size": 2}),
    ("3-d", (1, 2, 4, 3, 4), {"kernel_size": (2, 1, 2)}),
    ("overlapping", (2, 2, 5, 6), {"kernel_size": 3, "stride": (1, 2), "padding": (1, 0)}),
    ("gaps", (1, 2, 7, 7), {"kernel_size": 2, "stride": 3, "padding": 1}),
    ("ceil", (1, 2, 6, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("ceil no window", (1, 1, 4, 5), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
    ("ceil in padding", (1, 1, 3, 5), {"kernel_size": 2, "stride": 2, "padding": 1,
                                       "ceil_mode": True}),
    ("same", (1, 2, 5, 4), {"kernel_size": (3, 2), "stride": 2, "padding": "same"}),
    ("empty batch", (0, 2, 4), {"kernel_size": 2}),
]  # fmt: skip


def _images() -> None:
    for label, x, w, options in CONVOLUTIONS:
        _convolution("conv", label, [sample(x), sample(w, seed=1)], options, _conv)
    some = [sample((2, 2, 5, 4)), sample((3, 2, 3, 3), seed=1), sample((3,), seed=2)]
    _convolution("conv", "bias", some, {"padding": 1}, _conv)
    turned = [np.ascontiguousarray(some[0].T).T, some[1][::-1, :, ::-1]]
    _convolution("conv", "views", turned, {"padding": 1}, _conv)
    for label, x, w, options in TRANSPOSED:
        _convolution("conv_transpose", label, [sample(x), sample(w, seed=1)], options, _transposed)
    with_bias = [sample((2, 3, 4)), sample((3, 2, 3), seed=1), sample((2,), seed=2)]
    _convolution("conv_transpose", "bias", with_bias, {"stride": 2}, _transposed)
    for label, shape, options in POOLS:
        _pooling("max_pool", label, distinct(*shape), options)
        plain = {k: v for k, v in options.items() if k != "dilation"}
        for counted in (True, False):
            detail = "" if counted else " without padding"
            _pooling("avg_pool", f"{label}{detail}", sample(shape),
                     plain | {"count_include_pad": counted})  # fmt: skip
    dilated = {"kernel_size": (2, 3), "dilation": (3, 2), "padding": (1, 1), "stride": (2, 1)}
    _pooling("max_pool", "dilation", distinct(2, 2, 7, 6), dilated)
    _pooling("avg_pool", "divisor", sample((2, 2, 4, 4)), {"kernel_size": 2, "divisor_override": 3})
    inf, nan = math.inf, math.nan
    kinks = [
        ("ties", np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [2.0, 0.0, 2.0, 2.0]])),
        ("-inf", np.full((3, 4), -inf)),
        ("edges", np.array([[inf, inf, -inf, 0.0], [-0.0, 0.0, 1.0, inf]])),
        ("nan", np.array([[nan, 1.0, nan, nan], [2.0, inf, 0.0, nan], [0.0, 1.0, nan, 5.0]])),
    ]
    for label, x in kinks:
        for options in ({"kernel_size": 2, "stride": 1}, {"kernel_size": 3, "padding": 1}):
            text = f"{label} {options['kernel_size']}"
            _pooling("max_pool", text, x[None, None], options, smooth=False)
    for name in ("max_pool", "avg_pool"):
        for dtype in (F32, F16):
            _pooling(name, str(dtype), distinct(2, 3, 5, 4).astype(dtype), {"kernel_size": 2})

    _gradients_of_images()


def _gradients_of_images() -> None:
    """The primitives that only gradients bind: linear functions, held against those of PyTorch."""
    options = {"stride": (2, 1), "padding": ((1, 1), (0, 0)), "dilation": (1, 2), "groups": 2}
    plain = options | {"padding": (1, 0)}
    x, w, g = sample((2, 4, 5, 6)), sample((4, 2, 3, 2), seed=1), sample((2, 4, 3, 4), seed=2)

    def weight(x: Array, g: Array) -> Array:
        """<conv(x, w), g> for each w that is 1 at one place and 0 elsewhere."""
        units = np.eye(w.size, dtype=x.dtype).reshape(-1, *w.shape)
        return np.array([(_conv(x, unit, **plain) * g).sum() for unit in units]).reshape(w.shape)

    case("conv", [("weight", (x, g))], true.wide(weight),
         fn=lambda x, g: bind("conv_weight", x, g, kernel=(3, 2), **options),
         torch=lambda t, x, g: t.nn.grad.conv2d_weight(x, w.shape, g, **plain))  # fmt: skip
    case("conv", [("input", (g, w))],
         true.wide(lambda g, w: _transposed(g, w, **plain)),
         fn=lambda g, w: bind("conv_input", g, w, size=(5, 6), **options),
         torch=lambda t, g, w: t.nn.grad.conv2d_input(x.shape, w, g, **plain))  # fmt: skip
    steps: dict[str, Any] = {"kernel": (2,), "stride": (1,), "padding": ((1, 0),)}
    y, h = distinct(1, 2, 5), sample((1, 2, 5), seed=3)
    left = np.where(y >= np.roll(y, 1, 2), 0.0, 1.0)
    left[..., 0] = 0.0
    # window i covers the elements i - 1 and i; `left` says where the former has the maximum
    moved = lambda a: np.concatenate([a[..., 1:], np.zeros_like(a[..., :1])], 2)  # noqa: E731
    case("max_pool", [("grad", (y, h))],
         lambda y, h: h * (1 - left) + moved(h * left),
         fn=lambda y, h: bind("max_pool_grad", y, h, dilation=(1,), **steps))  # fmt: skip
    case("max_pool", [("pick", (y, h))],
         lambda y, h: np.where(left, np.roll(h, 1, 2), h),
         fn=lambda y, h: bind("max_pool_pick", y, h, dilation=(1,), **steps))  # fmt: skip
    case("avg_pool", [("spread", (h,))], lambda h: h + moved(h),
         fn=lambda h: bind("window_spread", h, size=(5,), **steps))  # fmt: skip


def _convolution(
    name: str, label: str, arrays: list[Array], options: dict[str, Any], oracle: Any
) -> None:
    """Rows in float64, and in smaller dtypes for some."""
    transposed = name == "conv_transpose"
    dtypes = [F64, F32, F16] if label in ("2-d", "groups", "bias") else [F64]
    for dtype in dtypes:
        xs = tuple(arrays) if dtype == F64 else tuple(x.astype(dtype) for x in arrays)
        case(name, [(f"{label} {dtype}", xs)], true.wide(lambda *a: oracle(*a, **options)),
             fn=lambda *a: getattr(pr, name)(*a, **options), follows=dtype != F16,
             torch=lambda t, *a: _torch_conv(t, transposed, *a, **options),
             within=1e-5 if dtype == F32 else None)  # fmt: skip


def _pooling(name: str, label: str, x: Array, options: dict[str, Any], smooth: bool = True) -> None:
    other = _torch_pool if x.dtype != F16 and options.get("padding") != "same" else None
    case(name, [(label, (x,))], lambda x: _pooled(name, x, **options), smooth=smooth,
         fn=lambda x: getattr(pr, name)(x, **options),
         torch=other and (lambda t, x: _torch_pool(t, name, x, **options)))  # fmt: skip


def _each(value: Any, rank: int) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value] * rank


def _around(padding: Any, x: Array, kernel: Any, stride: Any) -> list[tuple[int, int]]:
    """(before, after) per axis, as the layers of Keras define "same"."""
    rank = x.ndim - 2
    if padding != "same":
        return [(p, p) if isinstance(p, int) else p for p in _each(padding, rank)]
    pairs = []
    for n, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        pairs.append((total // 2, total - total // 2))
    return pairs


def _conv(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """Each output on its own: the sum over one patch of the padded image."""
    rank, kernel = x.ndim - 2, w.shape[2:]
    stride, dilation = _each(stride, rank), _each(dilation, rank)
    x = np.pad(x, [(0, 0), (0, 0), *_around(padding, x, kernel, stride)])
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    out = [(n - e) // s + 1 for n, e, s in zip(x.shape[2:], spans, stride, strict=True)]
    y = np.zeros((len(x), len(w), *out), x.dtype)
    size = w.shape[1]
    for place in np.ndindex(*out):
        cut = tuple(
            slice(p * s, p * s + e, d)
            for p, s, e, d in zip(place, stride, spans, dilation, strict=True)
        )
        for o in range(len(w)):
            first = o // (len(w) // groups) * size
            patch = x[(slice(None), slice(first, first + size), *cut)]
            y[(slice(None), o, *place)] = (patch * w[o]).sum(tuple(range(1, x.ndim)))
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def _transposed(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Array:  # fmt: skip
    """Each input on its own: the filters, times it, added where it says."""
    rank, kernel = x.ndim - 2, w.shape[2:]
    stride, dilation, padding = (_each(v, rank) for v in (stride, dilation, padding))
    extra = _each(output_padding, rank)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    full = [
        (n - 1) * s + e + m for n, s, e, m in zip(x.shape[2:], stride, spans, extra, strict=True)
    ]
    y = np.zeros((len(x), w.shape[1] * groups, *full), x.dtype)
    size = x.shape[1] // groups
    for place in np.ndindex(*x.shape[1:]):
        first = place[0] // size * w.shape[1]
        cut = tuple(
            slice(p * s, p * s + e, d)
            for p, s, e, d in zip(place[1:], stride, spans, dilation, strict=True)
        )
        values = x[(slice(None), *place)].reshape(-1, *(1,) * (rank + 1))
        y[(slice(None), slice(first, first + w.shape[1]), *cut)] += values * w[place[0]]
    y = y[(..., *[slice(p, n - p) for n, p in zip(full, padding, strict=True)])]
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def _torch_conv(
    t: Any, transposed: bool, x: Any, w: Any, b: Any = None, padding: Any = 0, **options: Any
) -> Any:
    rank = x.ndim - 2
    if padding == "same":
        padding = tuple(_around(padding, x, w.shape[2:], [1] * rank))
    if isinstance(padding, tuple) and isinstance(padding[0], tuple):
        x = t.nn.functional.pad(x, [p for pair in padding[::-1] for p in pair])
        padding = 0
    name = f"conv_transpose{rank}d" if transposed else f"conv{rank}d"
    return getattr(t.nn.functional, name)(x, w, b, padding=padding, **options)


def _torch_pool(t: Any, name: str, x: Any, **options: Any) -> Any:
    rank = x.ndim - 2
    if rank == 1 and options.get("divisor_override", 0) is None:
        del options["divisor_override"]
    return getattr(t.nn.functional, f"{name}{rank}d")(x, **options)


def _pooled(
    name: str, x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Any = None,
) -> Array:  # fmt: skip
    """Window by window, from Python lists of the elements inside the image."""
    rank = x.ndim - 2
    kernel, dilation = _each(kernel_size, rank), _each(dilation, rank)
    stride = kernel if stride is None else _each(stride, rank)
    around = _around(padding, x, kernel, stride)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    out = []
    for n, e, s, (low, high) in zip(x.shape[2:], spans, stride, around, strict=True):
        count = (n + low + high - e) / s + 1
        m = math.ceil(count) if ceil_mode else math.floor(count)
        out.append(m - 1 if ceil_mode and (m - 1) * s >= n + low else m)
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for place in np.ndindex(*y.shape):
        places = [
            [p * s - low + d * i for i in range(k)]
            for p, s, (low, _), d, k in zip(place[2:], stride, around, dilation, kernel,
                                            strict=True)
        ]  # fmt: skip
        image = x[place[:2]]
        met = [
            at for at in itertools.product(*places)
            if all(0 <= i < n for i, n in zip(at, image.shape, strict=True))
        ]  # fmt: skip
        values = [image[at] for at in met]
        if name == "max_pool":
            y[place] = math.nan if any(v != v for v in values) else max(values)
            continue
        sizes = [
            sum(i < n + high for i in at)
            for at, n, (_, high) in zip(places, image.shape, around, strict=True)
        ]
        count = math.prod(sizes) if count_include_pad else len(values)
        y[place] = sum(map(WIDE, values)) / (divisor_override or count)
    return y


# Order


def _order() -> None:
    rows: list[Labelled] = [
        ("float64", (distinct(3, 4),)),
        ("float32", (distinct(3, 4, seed=1).astype(F32),)),
        ("int64", (np.array([[3, 1, 3, 2], [0, 0, -5, 9]]),)),
        ("ties", (np.array([[1.0, 0.0, 1.0, 0.0, -0.0]]),)),
        ("edges", (np.array([[np.nan, 1.0, np.inf, -np.inf, np.nan, 0.0]]),)),
        ("transposed", (distinct(4, 3).T,)),
        ("one", (np.array([[0.5]]),)),
        ("empty", (np.zeros((2, 0)),)),
        ("bool", (np.array([[True, False, True]]),)),
    ]

    def order(row: list[Any], descending: bool) -> list[int]:
        numbers = [i for i, v in enumerate(row) if v == v]
        nans = [i for i, v in enumerate(row) if v != v]
        ordered = sorted(numbers, key=lambda i: -row[i] if descending else row[i])
        return nans + ordered if descending else ordered + nans

    for axis in (-1, 0):
        for descending in (False, True):

            def indices(x: Array, a: int = axis, d: bool = descending) -> Array:
                lane = lambda v: np.array(order(v.astype(object).tolist(), d), np.int64)  # noqa: E731
                return np.apply_along_axis(lane, a, x) if x.size else np.zeros(x.shape, np.int64)

            def both(x: Array, f: Any = indices, a: int = axis) -> Any:
                return np.take_along_axis(x, f(x), a), f(x)

            detail = f"axis {axis} {'down' if descending else 'up'}"
            case("argsort", rows, indices, smooth=False, detail=detail,
                 fn=lambda x, a=axis, d=descending: pr.argsort(x, a, d),
                 torch=lambda t, x, a=axis, d=descending: t.argsort(
                     x, dim=a, descending=d, stable=True))  # fmt: skip
            case("sort", [r for r in rows if r[0] not in ("edges", "ties")], both, detail=detail,
                 fn=lambda x, a=axis, d=descending: tuple(pr.sort(x, a, d)),
                 torch=lambda t, x, a=axis, d=descending: tuple(t.sort(
                     x, dim=a, descending=d, stable=True)))  # fmt: skip

            def top(x: Array, f: Any = indices, a: int = axis) -> Any:
                picked = np.take(f(x), [0, 1], a)
                return np.take_along_axis(x, picked, a), picked

            case("topk", rows[:2], top, detail=detail, fn=lambda x, a=axis, d=descending: tuple(
                 pr.topk(x, 2, a, largest=d)), torch=lambda t, x, a=axis, d=descending: tuple(
                     t.topk(x, 2, a, d)))  # fmt: skip
    for k in (0, 4):
        case("topk", rows[:1], lambda x, k=k: (-np.sort(-x)[:, :k], np.argsort(-x)[:, :k]),
             fn=lambda x, k=k: tuple(pr.topk(x, k)), detail=f"k={k}")  # fmt: skip
    case("sort", rows[3:5], lambda x: np.sort(x), fn=lambda x: pr.sort(x).values, smooth=False,
         torch=lambda t, x: t.sort(x).values)  # fmt: skip
    case("sort", [("0-d", (np.array(2.0),))], lambda x: (x, np.array(0)), views=True,
         fn=lambda x: tuple(pr.sort(x)))  # fmt: skip
    case("argsort", [("0-d", (np.array(2.0),))], lambda x: np.array(0))
    repeated = [("int64", (np.array([[3, 1], [3, 2]]),)), ("float", (np.array([2.0, -1.0, 2.0]),)),
                ("empty", (np.zeros(0),))]  # fmt: skip
    case("unique", repeated, lambda x: np.array(sorted(set(x.ravel().tolist())), x.dtype),
         traced=False, smooth=False, torch=lambda t, x: t.unique(x.detach()))  # fmt: skip
    case("unique", repeated, _unique, traced=False, smooth=False, detail="all",
         fn=lambda x: pr.unique(x, return_inverse=True, return_counts=True))  # fmt: skip
    case("nonzero", [("2-d", (np.array([[0, 5], [7, 0]]),)), ("1-d", (np.array([0.0, -1.0]),)),
         ("nan", (np.array([np.nan, 0.0, -0.0]),))], lambda x: tuple(
             np.array([i[k] for i in np.ndindex(*x.shape) if x[i] != 0], np.int64)
             for k in range(x.ndim)), traced=False, smooth=False)  # fmt: skip


def _unique(x: Array) -> Any:
    values = sorted(set(x.ravel().tolist()))
    places = [values.index(v) for v in x.ravel().tolist()]
    counts = [places.count(i) for i in range(len(values))]
    whole = [np.array(list_, np.int64) for list_ in (places, counts)]
    return np.array(values, x.dtype), whole[0].reshape(x.shape), whole[1]


# Creation and chance: no tensors in


def _creation() -> None:
    made: list[tuple[str, str, Callable[[], Tensor], Array]] = [
        ("zeros", "2 3", lambda: pr.zeros(2, 3), np.zeros((2, 3), F32)),
        ("zeros", "tuple", lambda: pr.zeros((0, 2), dtype=int), np.zeros((0, 2), int)),
        ("zeros", "0-d", lambda: pr.zeros(), np.zeros((), F32)),
        ("ones", "3", lambda: pr.ones(3), np.ones(3, F32)),
        ("ones", "bool", lambda: pr.ones(2, dtype=bool), np.ones(2, bool)),
        ("empty", "2", lambda: pr.empty(2), np.zeros(2, F32)),
        ("full", "int", lambda: pr.full((2, 2), 7), np.full((2, 2), 7)),
        ("full", "float", lambda: pr.full(3, 0.5), np.full(3, 0.5, F32)),
        ("full", "bool", lambda: pr.full((), True), np.array(True)),
        ("full", "dtype", lambda: pr.full((2,), 3, dtype="float16"), np.full(2, 3, "f2")),
        ("arange", "5", lambda: pr.arange(5), np.array([0, 1, 2, 3, 4])),
        ("arange", "2 9 3", lambda: pr.arange(2, 9, 3), np.array([2, 5, 8])),
        ("arange", "down", lambda: pr.arange(5, 0, -2), np.array([5, 3, 1])),
        (
            "arange",
            "floats",
            lambda: pr.arange(0.0, 1.0, 0.25),
            np.array([0, 0.25, 0.5, 0.75], F32),
        ),
        ("arange", "none", lambda: pr.arange(3, 3), np.zeros(0, np.int64)),
        ("arange", "dtype", lambda: pr.arange(3, dtype=pr.float64), np.array([0.0, 1, 2])),
        ("linspace", "5", lambda: pr.linspace(0, 1, 5), np.array([0, 0.25, 0.5, 0.75, 1], F32)),
        ("linspace", "one", lambda: pr.linspace(2, 3, 1), np.array([2], F32)),
        ("eye", "3", lambda: pr.eye(3), np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], F32)),
        ("eye", "2 3", lambda: pr.eye(2, 3, dtype=int), np.array([[1, 0, 0], [0, 1, 0]])),
    ]
    for name, label, fn, expected in made:
        case(name, [(label, ())], lambda e=expected: e, fn=fn)
    like: list[Labelled] = [
        ("float64", (sample((2, 3)),)),
        ("int8", (np.ones(3, np.int8),)),
        ("0-d", (np.array(True),)),
        ("empty", (np.zeros((0, 2), F32),)),
    ]
    case("zeros_like", like, lambda x: x != x, fn=lambda x: pr.zeros_like(x, bool), detail="bool",
         smooth=False)  # fmt: skip
    case("zeros_like", like, lambda x: np.zeros(x.shape, x.dtype), smooth=False, torch="zeros_like")
    case("ones_like", like, lambda x: np.ones(x.shape, x.dtype), smooth=False, torch="ones_like")
    case("empty_like", like, lambda x: np.zeros(x.shape, x.dtype), smooth=False)
    case("full_like", like, lambda x: np.full(x.shape, 1, x.dtype), smooth=False,
         fn=lambda x: pr.full_like(x, 1), torch=lambda t, x: t.full_like(x, 1))  # fmt: skip
    copied = like + [(name, (x,)) for name, x in given.layouts(lambda s: sample(s))]
    case("tensor", copied, lambda x: x.copy(), smooth=False)
    case("tensor", copied[:2], lambda x: x.astype(F32), fn=lambda x: pr.tensor(x, dtype="float"),
         smooth=False, detail="float")  # fmt: skip
    case("asarray", copied, lambda x: x.copy(), views=True)
    case("from_numpy", copied, lambda x: x.copy(), views=True)


def _random() -> None:
    from_bits: list[tuple[str, str, Callable[[Any], Tensor], Any]] = [
        ("rand", "float32", lambda g: pr.rand(2, 3, generator=g), lambda w: np.array(
            [(v >> 8) * 2.0**-24 for v in w(6)], F32).reshape(2, 3)),
        ("rand", "float16", lambda g: pr.rand(5, dtype="half", generator=g), lambda w: np.array(
            [(v >> 21) * 2.0**-11 for v in w(5)], "f2")),
        ("rand", "float64", lambda g: pr.rand((2,), dtype=pr.float64, generator=g), lambda w:
            np.array([((a << 32 | b) >> 11) * 2.0**-53 for a, b in _twos(w(4))])),
        ("uniform", "-1 3", lambda g: pr.uniform(-1, 3, (4,), generator=g), lambda w: np.array(
            [(v >> 8) * 2.0**-24 * 4 - 1 for v in w(4)], F32)),
        ("randint", "10", lambda g: pr.randint(10, shape=(7,), generator=g), lambda w: np.array(
            [v * 10 >> 32 for v in w(7)])),
        ("randint", "-3 3", lambda g: pr.randint(-3, 3, (2, 2), "int8", generator=g), lambda w:
            np.array([(v * 6 >> 32) - 3 for v in w(4)], np.int8).reshape(2, 2)),
        ("bernoulli", "0.3", lambda g: pr.bernoulli(0.3, (9,), generator=g), lambda w: np.array(
            [float((v >> 8) * 2.0**-24 < np.float32(0.3)) for v in w(9)], F32)),
        ("randperm", "6", lambda g: pr.randperm(6, generator=g), lambda w: np.argsort(
            [a << 32 | b for a, b in _twos(w(12))])),
    ]  # fmt: skip
    for name, label, fn, oracle in from_bits:
        seed = 2**40 + 5
        words = lambda n, s=seed: true.philox(s, 0, n)  # noqa: E731
        case(name, [(label, ())], lambda o=oracle, w=words: o(w),
             fn=lambda f=fn, s=seed: f(pr.Generator(s)))  # fmt: skip
    normals = true.philox(3, 0, 6)
    quantile = np.array([_normal_quantile((v + 0.5) * 2.0**-32) for v in normals])
    case("randn", [("float32", ())], lambda: quantile.astype(F32),
         fn=lambda: pr.randn(6, generator=pr.Generator(3)))  # fmt: skip
    case("normal", [("2 0.5", ())], lambda: (quantile.astype(F32) * 0.5 + 2).astype(F32),
         fn=lambda: pr.normal(2, 0.5, (6,), generator=pr.Generator(3)))  # fmt: skip
    like = [("float32", (np.zeros((2, 3), F32),))]
    case("rand_like", like, lambda x: np.array([(v >> 8) * 2.0**-24 for v in normals], F32)
         .reshape(2, 3), fn=lambda x: pr.rand_like(x, pr.Generator(3)), smooth=False)  # fmt: skip
    case("randn_like", like, lambda x: quantile.astype(F32).reshape(2, 3), smooth=False,
         fn=lambda x: pr.randn_like(x, pr.Generator(3)))  # fmt: skip


def _twos(words: list[int]) -> list[tuple[int, int]]:
    return list(zip(words[::2], words[1::2], strict=True))


def _normal_quantile(p: float) -> float:
    """Where the normal distribution reaches p, by bisection of math.erfc."""
    low, high = -10.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        if 0.5 * math.erfc(-middle / math.sqrt(2)) < p:
            low = middle
        else:
            high = middle
    return low


# Methods and operators that are not the functions of the same name

ARITHMETIC: list[tuple[str, Oracle, tuple[float, ...]]] = [
    ("add", operator.add, (-2, 2)), ("sub", operator.sub, (-2, 2)), ("mul", operator.mul, (-2, 2)),
    ("truediv", operator.truediv, (-2, 2, 0.4, 3)), ("pow", operator.pow, (0.3, 2.5, -2, 3)),
    ("floordiv", operator.floordiv, (-8, 8, 0.6, 3)), ("mod", operator.mod, (-8, 8, 0.6, 3)),
]  # fmt: skip
BITS: list[tuple[str, Oracle]] = [
    ("and", operator.and_), ("or", operator.or_), ("xor", operator.xor),
    ("lshift", operator.lshift), ("rshift", operator.rshift),
]  # fmt: skip


def _operators() -> None:
    for name, op, domain in ARITHMETIC:
        exactly = true.each(op) if name in ("floordiv", "mod") else true.wide(op)
        _operator(name, op, exactly, given.pairs(*domain)[:9])
    for name, op in BITS:
        shifted = [(n, (a, b % 4)) for n, (a, b) in given.whole_pairs("iu", positive=True)][:4]
        _operator(name, op, true.exact(op), shifted)
    products = [("matrix", (sample((2, 3)), sample((3, 3), seed=1)))]
    _operator("matmul", operator.matmul, _matmul, products)
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        compare = getattr(operator, name)
        case(f"Tensor.__{name}__", given.pairs()[:3], true.each(compare, bool), fn=compare,
             smooth=False)  # fmt: skip
    case("Tensor.__pos__", given.reals()[:3], lambda x: x.copy(), fn=operator.pos, views=True)


def _operator(name: str, op: Any, oracle: Oracle, inputs: list[Labelled]) -> None:
    """A binary operator; with an array on the left; in place."""
    case(f"Tensor.__{name}__", inputs, oracle, fn=op)
    for label, (a, b) in inputs[:3]:
        if a.dtype == b.dtype:
            case(f"Tensor.__r{name}__", [(label, (b,))], lambda y, a=a: oracle(a, y),
                 fn=lambda y, a=a: op(a, y))  # fmt: skip
    change = getattr(operator, f"i{name}")
    fitting = [row for row in inputs if _fits(*row[1])]
    case(f"Tensor.__i{name}__", fitting, oracle, fn=lambda x, y: change(pr.clone(x), y))


def _fits(a: Array, b: Array) -> bool:
    """Whether the result of an operation goes into `a` itself."""
    if (a.shape, b.shape) == ((2, 3), (3, 3)):
        return True  # the product of matrices
    return np.broadcast_shapes(a.shape, b.shape) == a.shape and a.dtype == true.promoted(a, b)


def _methods() -> None:
    domain = {name: bounds for name, _, bounds, _ in UNARY}
    for name in ("exp", "log", "sqrt", "tanh", "sigmoid"):
        formula = next(row[1] for row in UNARY if row[0] == name)
        _in_place(name, given.reals(*domain[name]), true.wide(formula))
    numbers = given.reals()
    for name, formula in (("neg", np.negative), ("abs", np.abs), ("floor", np.floor),
                          ("ceil", np.ceil), ("round", np.rint),
                          ("relu", lambda x: np.maximum(x, 0))):  # fmt: skip
        _in_place(name, numbers, true.wide(formula))
    for name in ("clip", "clamp"):
        _in_place(name, numbers, true.wide(lambda x: np.clip(x, -1, 1)), -1.0, 1.0)
    _in_place("pow", given.reals(0.3, 2), true.wide(lambda x: x**3), 3)
    _in_place("zero", numbers, lambda x: np.zeros(x.shape, x.dtype))
    _in_place("fill", numbers, lambda x: np.full(x.shape, 0.5, x.dtype), 0.5)
    alike = [row for row in given.pairs(-2, 2, 0.4, 3) if _fits(*row[1])]
    for name, formula in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply),
                          ("div", np.divide)):  # fmt: skip
        _in_place(name, alike, true.wide(formula))
    _in_place("copy", alike, lambda x, y: np.broadcast_to(y, x.shape).astype(x.dtype))
    _in_place("fill", [("tensor", (sample((2, 3)), sample(())))], lambda x, y: np.full(x.shape, y))
    three = [("rows", (sample((2, 3)), sample((2, 3), seed=1), sample((3,), 0.5, 2, seed=2)))]
    for name, formula in (
        ("lerp", lambda x, end, w: x + (end - x) * w),
        ("addcmul", lambda x, a, b: x + a * b),
        ("addcdiv", lambda x, a, b: x + a / b),
    ):
        case(f"Tensor.{name}", three, true.wide(formula), fn=_method(name), torch=name)
        _in_place(name, three, true.wide(formula))
    case("Tensor.addcmul", three, true.wide(lambda x, a, b: x - a * b / 2), detail="value",
         fn=lambda x, a, b: x.addcmul(a, b, value=-0.5),
         torch=lambda t, x, a, b: x.addcmul(a, b, value=-0.5))  # fmt: skip
    for name, sign in (("add", 1), ("sub", -1)):
        case(f"Tensor.{name}", given.pairs()[:9], true.wide(lambda x, y, s=sign: x + s * y * 3),
             fn=lambda x, y, n=name: getattr(x, n)(y, alpha=3),
             torch=lambda t, x, y, n=name: getattr(x, n)(y, alpha=3))  # fmt: skip
    mask = np.array([[True, False, True], [False, False, True]])
    case("Tensor.masked_fill", moving(2, 3), lambda x: np.where(mask, x.dtype.type(1), x),
         fn=lambda x: x.masked_fill(mask, 1 if x.dtype.kind != "b" else True),
         torch=lambda t, x: x.masked_fill(t.from_numpy(mask), 1))  # fmt: skip
    case("Tensor.narrow", moving(4, 3), lambda x: x[1:3], fn=lambda x: x.narrow(0, 1, 2),
         torch=lambda t, x: x.narrow(0, 1, 2), views=True)  # fmt: skip
    case("Tensor.repeat", moving(2, 3), lambda x: np.tile(x, (2, 2)), fn=lambda x: x.repeat(2, 2),
         torch=lambda t, x: x.repeat(2, 2))  # fmt: skip
    target = [("float64", (sample((3, 2)), np.array([[0, 2], [0, 1]]), sample((2, 2), seed=1)))]
    case("Tensor.scatter_add_", target, _scattered, torch=lambda t, x, i, v: t.scatter_add(
        x, 0, i, v), fn=lambda x, i, v: pr.clone(x).scatter_add_(0, i, v))  # fmt: skip
    _conversions()


def _scattered(x: Array, i: Array, v: Array) -> Array:
    out = x.copy()
    for row, column in np.ndindex(*i.shape):
        out[i[row, column], column] += v[row, column]
    return out


def _method(name: str, *args: Any) -> Callable[..., Any]:
    return lambda x, *others: getattr(x, name)(*others, *args)


def _in_place(name: str, inputs: list[Labelled], oracle: Oracle, *args: Any) -> None:
    """`x.name_(...)` of a copy: inside a recorded function it is differentiated."""
    case(f"Tensor.{name}_", inputs, oracle,
         fn=lambda x, *others: getattr(pr.clone(x), f"{name}_")(*others, *args))  # fmt: skip


def _conversions() -> None:
    kinds = {"half": "f2", "float": "f4", "double": "f8", "char": "i1", "short": "i2", "int": "i4",
             "long": "i8", "byte": "u1", "bool": "?"}  # fmt: skip
    rows = [("float64", (abs(sample((2, 3))),)), ("int64", (np.array([0, 1, 7]),))]
    for name, dtype in kinds.items():
        case(f"Tensor.{name}", rows, lambda x, d=dtype: x.astype(d), fn=_method(name), views=True,
             smooth=name == "double", torch=_torch_method(name))  # fmt: skip
        for asking in ("to", "type", "astype"):
            case(f"Tensor.{asking}", rows, lambda x, d=dtype: x.astype(d), detail=name, views=True,
                 fn=_method(asking, np.dtype(dtype)), smooth=name == "double")  # fmt: skip
    case("Tensor.new_zeros", rows, lambda x: np.zeros((2, 2), x.dtype), smooth=False,
         fn=_method("new_zeros", 2, 2))  # fmt: skip
    case("Tensor.new_ones", rows, lambda x: np.ones(3, x.dtype), fn=_method("new_ones", 3),
         smooth=False)  # fmt: skip
    case(
        "Tensor.contiguous", moving(2, 3), lambda x: x.copy(), fn=_method("contiguous"), views=True
    )
    case("Tensor.cpu", rows, lambda x: x.copy(), fn=_method("cpu"), views=True)
    case("Tensor.detach", rows, lambda x: x.copy(), fn=_method("detach"), views=True, smooth=False)
    case(
        "Tensor.detach_", rows, lambda x: x.copy(), fn=lambda x: pr.clone(x).detach_(), smooth=False
    )
    case("Tensor.data", rows, lambda x: x.copy(), fn=lambda x: x.data, views=True, smooth=False)
    case("Tensor.T", moving(2, 3), lambda x: np.einsum("ij->ji", x), fn=lambda x: x.T, views=True,
         torch=lambda t, x: x.T)  # fmt: skip
    case("Tensor.mT", moving(2, 2, 3), lambda x: np.einsum("bij->bji", x), fn=lambda x: x.mT,
         torch=lambda t, x: x.mT, views=True)  # fmt: skip
    seed = lambda: pr.Generator(2**40 + 5)  # noqa: E731
    uniform = [(v >> 8) * 2.0**-24 for v in true.philox(2**40 + 5, 0, 4)]
    case("Tensor.uniform_", [("float32", (np.zeros((2, 2), F32),))], smooth=False,
         fn=lambda x: pr.clone(x).uniform_(0.0, 2.0, seed()),
         oracle=lambda x: np.array(uniform, F32).reshape(2, 2) * 2)  # fmt: skip
    normal = [_normal_quantile((v + 0.5) * 2.0**-32) for v in true.philox(2**40 + 5, 0, 4)]
    case("Tensor.normal_", [("float32", (np.zeros((4,), F32),))], smooth=False,
         fn=lambda x: pr.clone(x).normal_(1.0, 2.0, seed()),
         oracle=lambda x: np.array(normal, F32) * 2 + 1)  # fmt: skip


def _torch_method(name: str) -> Callable[..., Any]:
    return lambda t, x: getattr(x, name)()


FAMILIES: Sequence[Callable[[], None]] = (
    _unary, _whole_unary, _binary, _reductions, _softmaxes, _movement, _indexing, _products,
    _images, _order, _creation, _random, _operators, _methods,
)  # fmt: skip
for _family in FAMILIES:
    _family()
