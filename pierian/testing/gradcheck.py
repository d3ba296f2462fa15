"""Gradients against finite differences, along random directions, and the gradient's gradient.

May import: everything. Compares <v, df/dx · u> for random u and v: one number per direction, so
that functions of any size cost the same few evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor
from pierian.core.transform import jvp, vjp
from pierian.testing.agree import tolerance

DIRECTIONS = 2  # a wrong gradient would have to be orthogonal to both
STENCIL = ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0))  # f' = Σ weight · f(place · h) / 12h
Arrays = list[np.ndarray]


def gradcheck(
    fn: Callable[..., Any],
    *args: Any,
    order: int = 2,
    eps: float | None = None,
    within: float | None = None,
    seed: int = 0,
) -> None:
    """Raise AssertionError unless the derivatives of `fn` at `args` match finite differences.

    Backward (vjp) and forward (jvp) derivatives with respect to every floating leaf are checked,
    then those of the gradient function in turn, up to `order`.

    Args:  fn      from trees of tensors to a tree of tensors; smooth within 2·eps of args.
           args    trees of tensors or arrays, best of float64; other leaves stay as they are.
           eps     the finite step, relative to 1; by default from `testing.TOLERANCES`.
           within  the largest error, relative to the terms compared; by default from there.
           seed    of the random directions.

    >>> import pierian as pr
    >>> gradcheck(pr.sin, pr.tensor([1.0, 2.0], dtype=pr.float64))
    """
    leaves, structure = trees.flatten(args)
    floating = [i for i, leaf in enumerate(leaves) if _is_floating(leaf)]

    def of_floating(*xs: Tensor) -> list[Tensor]:
        full = list(leaves)
        for i, x in zip(floating, xs, strict=True):
            full[i] = x
        results = trees.leaves(fn(*trees.unflatten(structure, full)))
        return [y for y in map(as_tensor, results) if is_floating(y.dtype)]

    point = [np.array(leaves[i]) for i in floating]
    rows = [tolerance(x.dtype) for x in point]
    check = _Check(
        getattr(fn, "__name__", "gradcheck"),
        max((row.step for row in rows), default=0.0) if eps is None else eps,
        max((row.difference for row in rows), default=0.0) if within is None else within,
        np.random.default_rng(seed),
    )
    check.run(of_floating, point, order, "")


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, (Tensor, np.ndarray)) and is_floating(leaf.dtype)


@dataclass(frozen=True)
class _Check:
    name: str
    eps: float
    within: float
    rng: np.random.Generator

    def run(self, fn: Callable[..., list[Tensor]], point: Arrays, order: int, of: str) -> None:
        """Check `fn` at `point`, then its gradient function."""
        weights = self.directions([y.numpy() for y in self.evaluate(fn, point)])
        for _ in range(DIRECTIONS):
            self.backward(fn, point, weights, of)
            self.forward(fn, point, weights, of)
        if order > 1:
            count = len(point)

            def gradient(*xs: Tensor) -> list[Tensor]:
                return list(vjp(fn, *xs[:count])[1](list(xs[count:])))

            self.run(gradient, [*point, *weights], order - 1, f"{of} gradient of")

    def backward(self, fn: Any, point: Arrays, weights: Arrays, of: str) -> None:
        """Each gradient that vjp gives, along a direction of its own."""
        grads = vjp(fn, *map(as_tensor, point))[1](list(map(as_tensor, weights)))
        for i, (x, g) in enumerate(zip(point, grads, strict=True)):
            where = f"gradcheck({of} {self.name}), floating leaf {i}".replace("( ", "(")
            if g.shape != x.shape or g.dtype != x.dtype:
                raise AssertionError(
                    message(where, "a gradient has the type of its argument",
                            f"{x.dtype}{list(x.shape)}", f"{g.dtype}{list(g.shape)}",
                            "Mend the gradient rule")
                )  # fmt: skip
            step = [np.zeros_like(other) for other in point]
            (step[i],) = self.directions([x])
            self.same(where, self.difference(fn, point, step, weights), [g.numpy()], [step[i]])

    def forward(self, fn: Any, point: Arrays, weights: Arrays, of: str) -> None:
        """What jvp gives along one direction of all arguments."""
        step = self.directions(point)
        _, tangents = jvp(fn, tuple(map(as_tensor, point)), tuple(map(as_tensor, step)))
        where = f"gradcheck({of} {self.name}), jvp".replace("( ", "(")
        expected = self.difference(fn, point, step, weights)
        self.same(where, expected, [t.numpy() for t in tangents], weights)

    def difference(self, fn: Any, point: Arrays, step: Arrays, weights: Arrays) -> float:
        """<weights, derivative of fn along step>, by a difference of order four."""
        total = 0.0
        for place, factor in STENCIL:
            moved = [
                (x + x.dtype.type(place * self.eps) * s).astype(x.dtype)
                for x, s in zip(point, step, strict=True)
            ]
            results = [y.numpy() for y in self.evaluate(fn, moved)]
            total += factor * _dot(results, weights)
        return total / (12 * self.eps)

    def same(self, where: str, expected: float, parts: Arrays, others: Arrays) -> None:
        """Compare <parts, others> to `expected`, relative to the size of the terms."""
        got = _dot(parts, others)
        scale = 1.0 + _dot([abs(p) for p in parts], [abs(o) for o in others])
        if not abs(got - expected) <= self.within * scale:
            raise AssertionError(
                message(where, f"must match finite differences within {self.within * scale:.3g}",
                        f"{expected:.10g} by differences", f"{got:.10g}",
                        "Mend the gradient rule, or move the point away from a kink")
            )  # fmt: skip

    def evaluate(self, fn: Any, point: Arrays) -> list[Tensor]:
        with no_grad():
            return list(fn(*map(as_tensor, point)))

    def directions(self, like: Arrays) -> Arrays:
        """Random numbers in [1/2, 1] or [-1, -1/2]: none of them near zero."""
        return [
            (self.rng.choice([-1.0, 1.0], x.shape) * self.rng.uniform(0.5, 1.0, x.shape)).astype(
                x.dtype
            )
            for x in like
        ]


def _dot(xs: Arrays, ys: Arrays) -> float:
    """The sum of products, in float64."""
    pairs = zip(xs, ys, strict=True)
    return math.fsum(float(np.sum(x.astype(np.float64) * y)) for x, y in pairs)
