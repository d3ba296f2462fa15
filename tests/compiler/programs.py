"""Random programs: functions of a few tensors, made of public operations, from a seed.

Used by every stage of the compiler: whatever it does, it must leave these as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pierian as pr

SHAPES = [(), (1,), (5,), (3, 4), (1, 4), (4, 1), (2, 3, 4), (2, 1, 4), (17, 9), (0, 3), (33,)]
UNARY = [pr.neg, pr.abs, pr.exp, pr.tanh, pr.sigmoid, pr.relu, pr.square, pr.sin, pr.softplus,
         pr.floor, pr.sign, pr.erf, lambda x: pr.log(pr.abs(x) + 1.0),
         lambda x: pr.sqrt(pr.abs(x)), lambda x: x * 1.0, lambda x: x - 0.0,
         lambda x: pr.neg(pr.neg(x)), lambda x: x / 1.0, lambda x: pr.clip(x, -1.0, 1.0),
         lambda x: x.detach(), pr.clone, lambda x: x.double().float()]  # fmt: skip
BINARY = [pr.add, pr.sub, pr.mul, pr.maximum, pr.minimum, lambda a, b: a / (pr.abs(b) + 1.0),
          lambda a, b: pr.where(a > b, a, b * 0.5), lambda a, b: (a == b).float() + a]  # fmt: skip
REDUCE = [pr.sum, pr.mean, pr.max, pr.min, pr.logsumexp, lambda x, axis, keepdims:
          pr.std(x, axis, 0, keepdims)]  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A function and arguments for it."""

    fn: Callable[..., Any]
    args: tuple[pr.Tensor, ...]


def random_program(seed: int, steps: int = 12) -> Program:
    """A program of `steps` operations; every second one takes gradients of it too."""
    rng = np.random.default_rng(seed)
    dtype = np.float64 if seed % 5 == 0 else np.float32
    shapes = [SHAPES[i] for i in rng.integers(0, len(SHAPES), 3)]
    args = tuple(pr.tensor(rng.normal(size=shape).astype(dtype)) for shape in shapes)
    plan = rng.integers(0, 2**31, (steps, 4)).tolist()

    def values(*xs: pr.Tensor) -> pr.Tensor:
        pool = list(xs)
        for kind, first, second, choice in plan:
            x = pool[first % len(pool)]
            pool.append(_operation(kind % 10, x, pool[second % len(pool)], choice))
        return sum((pr.sum(x.type(xs[0].dtype)) for x in pool[-3:]), pool[-1])

    if seed % 2 == 0:
        return Program(values, args)
    return Program(lambda *xs: pr.grad(lambda *ys: pr.sum(values(*ys)), (0, 1, 2))(*xs), args)


def _operation(kind: int, x: pr.Tensor, y: pr.Tensor, choice: int) -> pr.Tensor:
    if kind < 3:
        return UNARY[choice % len(UNARY)](x)
    if kind < 5:
        try:
            return BINARY[choice % len(BINARY)](x, y)
        except pr.ShapeError:
            return BINARY[choice % len(BINARY)](x, pr.sum(y))
    if kind == 5 and x.ndim:
        axis = choice % x.ndim
        if x.shape[axis]:
            return REDUCE[choice % len(REDUCE)](x, axis, bool(choice // 7 % 2))
    if kind == 6 and x.ndim >= 2:
        other = pr.swapaxes(x, -1, -2)
        return x @ other if choice % 2 else other @ x
    return _movement(x, choice)


def _movement(x: pr.Tensor, choice: int) -> pr.Tensor:
    moves: list[Callable[[], pr.Tensor]] = [
        lambda: x.reshape(-1),
        lambda: x.unsqueeze(choice % (x.ndim + 1)),
        lambda: x.transpose(),
        lambda: x.flip(),
        lambda: x.squeeze(),
        lambda: pr.pad(x, [(choice % 2, 1)] * x.ndim) if x.ndim else x,
        lambda: x[::2] if x.ndim else x,
        lambda: x[..., 1:] if x.ndim and x.shape[-1] > 1 else x,
        lambda: x[::-1] if x.ndim else x,
        lambda: pr.concat([x, x], 0) if x.ndim else x,
        lambda: pr.broadcast_to(x, (2, *x.shape)),
        lambda: pr.cumsum(x, 0) if x.ndim else x,
        lambda: pr.take(x, [0, -1, 0], 0) if x.ndim and x.shape[0] else x,
        lambda: pr.roll(x, 1),
        lambda: x.reshape(1, *x.shape).reshape(x.shape),
        lambda: x.transpose().transpose(),
    ]
    return moves[choice % len(moves)]()
