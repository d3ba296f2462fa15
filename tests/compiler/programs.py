"""Random programs: functions of a few tensors, made of public operations, from a seed.

Used by every stage of the compiler: whatever it does, it must leave these as they are. To have more
tried, add to a table; an operation that does not fit its operand is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pierian as pr

SHAPES = [(), (1,), (5,), (3, 4), (1, 4), (4, 1), (2, 3, 4), (2, 1, 4), (17, 9), (0, 3), (33,),
          (1, 1, 1), (4, 0), (3, 1, 5, 2), (40, 37), (7, 4)]  # fmt: skip
DTYPES = ["float32"] * 6 + ["float64"] * 3 + ["float16", "int64", "int32", "uint8", "bool"]
LARGEST = 5000  # elements a value may grow to

Unary = Callable[[pr.Tensor], pr.Tensor]
UNARY: list[Unary] = [
    pr.neg, pr.abs, pr.exp, pr.tanh, pr.sigmoid, pr.relu, pr.square, pr.sin, pr.softplus, pr.floor,
    pr.sign, pr.erf, pr.atan, pr.gelu, pr.round, pr.cos, pr.expm1,
    lambda x: pr.log(pr.abs(x) + 1.0), lambda x: pr.sqrt(pr.abs(x)), lambda x: x * 1.0,
    lambda x: x - 0.0, lambda x: pr.neg(pr.neg(x)), lambda x: x / 1.0, lambda x: x.detach(),
    lambda x: pr.clip(x, -1.0, 1.0), pr.clone, lambda x: x.double().float(),
    lambda x: pr.clip(x, -100, 100).int(), lambda x: x > 0, lambda x: x.half(),
    lambda x: x.float(), lambda x: pr.logical_not(x), lambda x: pr.clip(x, 0, 9).type("uint8"),
    lambda x: x // 3, lambda x: x % 2.5, lambda x: x**2, lambda x: 1.0 / (pr.abs(x) + 0.5),
]  # fmt: skip
BINARY: list[Callable[[pr.Tensor, pr.Tensor], pr.Tensor]] = [
    pr.add, pr.sub, pr.mul, pr.maximum, pr.minimum, lambda a, b: a / (pr.abs(b) + 1.0),
    lambda a, b: pr.where(a > b, a, b * 0.5), lambda a, b: (a == b).float() + a,
    lambda a, b: pr.logical_and(a > 0, b > 0), lambda a, b: pr.atan2(a, pr.abs(b) + 0.5),
    lambda a, b: pr.where(b > 0, a, 1.0), lambda a, b: (a <= b).int() - 1,
    lambda a, b: (pr.abs(a) + 0.5) ** pr.clip(b, -2.0, 2.0), pr.bitwise_xor,
]  # fmt: skip
REDUCE: list[Callable[..., pr.Tensor]] = [
    pr.sum,
    pr.mean,
    pr.max,
    pr.min,
    pr.logsumexp,
    pr.prod,
    pr.argmax,
    pr.argmin,
    pr.any,
    pr.all,
    lambda x, axis, keepdims: pr.std(x, axis, 0, keepdims),
    lambda x, axis, keepdims: pr.softmax(x, axis),
    lambda x, axis, keepdims: pr.sum(x),
    lambda x, axis, keepdims: pr.cumsum(x, axis),
    lambda x, axis, keepdims: pr.sort(x, axis).values,
]
DRAWS: list[Callable[..., pr.Tensor]] = [
    lambda shape, g: pr.rand(shape, generator=g),
    lambda shape, g: pr.randn(shape, generator=g),
    lambda shape, g: pr.randn(shape, dtype="float64", generator=g),
    lambda shape, g: pr.bernoulli(0.5, shape, generator=g),
    lambda shape, g: pr.randint(-3, 9, shape, generator=g),
]


@dataclass(frozen=True)
class Program:
    """A function and arguments for it. What it draws comes from `generator`: seed that before."""

    fn: Callable[..., Any]
    args: tuple[pr.Tensor, ...]
    generator: pr.Generator


def random_program(seed: int, steps: int = 12) -> Program:
    """A program of `steps` operations: plain, with its gradients, or with second derivatives."""
    rng = np.random.default_rng(seed)
    shapes = [SHAPES[i] for i in rng.integers(0, len(SHAPES), 3)]
    dtypes = ["float64" if seed % 5 == 0 else "float32",
              *(DTYPES[i] for i in rng.integers(0, len(DTYPES), 2))]  # fmt: skip
    args = tuple(_argument(rng, *given) for given in zip(shapes, dtypes, strict=True))
    plan = rng.integers(0, 2**31, (steps, 4)).tolist()
    generator = pr.Generator(seed)

    def values(*xs: pr.Tensor) -> pr.Tensor:
        pool = list(xs)
        for kind, first, second, choice in plan:
            x, y = pool[first % len(pool)], pool[second % len(pool)]
            found = _tried(lambda: _operation(kind % 12, x, y, choice, generator), x)  # noqa: B023
            found = found if found.is_floating_point() else found.detach()
            pool.append(found if found.numel() <= LARGEST else pr.sum(found))
        return sum((pr.sum(x.type(xs[0].dtype)) for x in pool[-3:]), pool[-1].type(xs[0].dtype))

    floating = tuple(i for i, x in enumerate(args) if x.is_floating_point())

    def slopes(*xs: pr.Tensor) -> Any:
        return pr.grad(lambda *ys: pr.sum(values(*ys)), floating)(*xs)

    def curvature(*xs: pr.Tensor) -> Any:
        # softsign keeps large slopes from making the result a matter of rounding
        return pr.grad(lambda *ys: sum(pr.sum(pr.softsign(g)) for g in slopes(*ys)), 0)(*xs)

    return Program((values, slopes, values, curvature)[seed % 4], args, generator)


def _argument(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> pr.Tensor:
    x = rng.normal(size=shape)
    whole = dtype if np.dtype(dtype).kind in "biu" else None
    return pr.tensor(np.abs(np.round(x * 3)).astype(whole) if whole else x.astype(dtype))


def _tried(operation: Callable[[], pr.Tensor], x: pr.Tensor) -> pr.Tensor:
    try:
        return operation()
    except (pr.ShapeError, pr.DtypeError):
        return x


def _operation(
    kind: int, x: pr.Tensor, y: pr.Tensor, choice: int, generator: pr.Generator
) -> pr.Tensor:
    if kind < 3:
        return UNARY[choice % len(UNARY)](x)
    if kind < 5:
        try:
            return BINARY[choice % len(BINARY)](x, y)
        except pr.ShapeError:
            return BINARY[choice % len(BINARY)](x, pr.sum(y))
    if kind == 5 and x.ndim:
        return REDUCE[choice % len(REDUCE)](x, choice // 7 % x.ndim, bool(choice // 3 % 2))
    if kind == 6 and x.ndim:
        return _product(x, y, choice)
    if kind == 7 and x.ndim:
        return _chosen(x, y, choice)
    if kind == 8 and choice % 3 == 0:
        return DRAWS[choice // 3 % len(DRAWS)](x.shape, generator) + x
    return _movement(x, choice)


def _product(x: pr.Tensor, y: pr.Tensor, choice: int) -> pr.Tensor:
    if choice % 3 == 0 and y.ndim:
        return pr.tensordot(x, y, 1)
    other = pr.swapaxes(x, -1, -2) if x.ndim > 1 else x
    product = x @ other if choice % 2 else other @ x
    return pr.relu(product + y) if choice % 5 == 0 else product


def _chosen(x: pr.Tensor, y: pr.Tensor, choice: int) -> pr.Tensor:
    """Elements of x by indices that depend on the values of y."""
    axis = choice // 11 % x.ndim
    if not x.shape[axis] or not y.numel():
        return x
    given = pr.clip(y.float(), -1e6, 1e6).long() if y.is_floating_point() else y.long()
    place = given.flatten() % x.shape[axis] - choice % 2 * x.shape[axis]
    if choice % 3 == 0:
        return pr.take(x, place[:6], axis)
    if choice % 3 == 1:
        return x[place[:5]] if axis == 0 else pr.take(x, place[:1], axis)
    index = pr.broadcast_to(place[:1].reshape((1,) * x.ndim), x.shape)
    return pr.take_along_axis(x, index, axis)


def _movement(x: pr.Tensor, choice: int) -> pr.Tensor:
    moves: list[Callable[[], pr.Tensor]] = [
        lambda: x.reshape(-1),
        lambda: x.unsqueeze(choice % (x.ndim + 1)),
        lambda: x.transpose(),
        lambda: x.flip(),
        lambda: x.squeeze(),
        lambda: pr.pad(x, [(choice % 2, 1)] * x.ndim) if x.ndim else x,
        lambda: pr.pad(x, [(2, -1)] + [(0, 0)] * (x.ndim - 1), 3) if x.ndim else x,
        lambda: x[::2] if x.ndim else x,
        lambda: x[..., 1:] if x.ndim and x.shape[-1] > 1 else x,
        lambda: x[::-1] if x.ndim else x,
        lambda: x[..., ::-2] if x.ndim else x,
        lambda: pr.concat([x, x], 0) if x.ndim else x,
        lambda: pr.stack([x, x * 2], choice % (x.ndim + 1)),
        lambda: pr.broadcast_to(x, (2, *x.shape)),
        lambda: pr.repeat(x, 2, 0) if x.ndim else x,
        lambda: pr.tril(x) if x.ndim > 1 else x,
        lambda: pr.diagonal(x) if x.ndim > 1 else x,
        lambda: pr.roll(x, 1),
        lambda: x.reshape(1, *x.shape).reshape(x.shape),
        lambda: x.transpose().transpose(),
    ]
    return moves[choice % len(moves)]()
