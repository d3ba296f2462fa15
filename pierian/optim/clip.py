"""Clipping: keep gradients small before the step, in place.

May import: core, ops. To add one: a function that assigns to the `grad` of each parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pierian.base.dtypes import float64
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.ops.composite import clip
from pierian.ops.elementwise import minimum, sqrt
from pierian.ops.movement import stack
from pierian.ops.operands import cast

Params = Tensor | Iterable[Tensor]


@no_grad()
def clip_grad_norm_(params: Params, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Scale all gradients by one factor, so that together their norm is at most `max_norm`.

    Returns the norm before, a 0-d tensor; nothing is read in Python, so a step with it traces.
    Gradients of parameters that have none count as nothing. NaN makes all gradients NaN.

    Args:    norm_type  p of the norm (sum |g|^p)^(1/p); math.inf for the largest |g|.
    Raises:  ValueError for max_norm < 0 or norm_type <= 0.
    Source:  Pascanu et al. 2013, arXiv:1211.5063. As in PyTorch the factor is
             max_norm / (norm + 1e-6), and 1 where that is larger.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, 2.0], requires_grad=True)
    >>> p.grad = pr.tensor([3.0, 4.0])
    >>> clip_grad_norm_([p], 2.5)
    tensor(5., dtype=float32)
    >>> p.grad
    tensor([1.4999998, 1.9999996], dtype=float32)
    """
    _check("clip_grad_norm_", "max_norm", max_norm, max_norm >= 0, ">= 0")
    _check("clip_grad_norm_", "norm_type", norm_type, norm_type > 0, "> 0")
    grads = _grads(params)
    if not grads:
        return as_tensor(0.0)
    total = _norm(stack([cast(_norm(g, norm_type), float64) for g in grads]), norm_type)
    factor = minimum(max_norm / (total + 1e-6), 1.0)  # 1e-6: PyTorch's, no division by 0
    for g in grads:
        assign(g, g * cast(factor, g.dtype), "clip_grad_norm_")
    return cast(total, grads[0].dtype)


def _norm(x: Tensor, p: float) -> Tensor:
    if p == math.inf:
        return abs(x).max()
    return sqrt((x * x).sum()) if p == 2 else (abs(x) ** p).sum() ** (1.0 / p)


@no_grad()
def clip_grad_value_(params: Params, clip_value: float) -> None:
    """Cut every element of every gradient off at ± `clip_value`.

    Raises:  ValueError for clip_value < 0.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, 2.0], requires_grad=True)
    >>> p.grad = pr.tensor([3.0, -4.0])
    >>> clip_grad_value_(p, 3.5)
    >>> p.grad
    tensor([ 3. , -3.5], dtype=float32)
    """
    _check("clip_grad_value_", "clip_value", clip_value, clip_value >= 0, ">= 0")
    for g in _grads(params):
        assign(g, clip(g, -clip_value, clip_value), "clip_grad_value_")


def _grads(params: Params) -> list[Tensor]:
    given = [params] if isinstance(params, Tensor) else params
    return [p.grad for p in given if p.grad is not None]


def _check(where: str, name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        must = f"{name} must be in its range"
        raise ValueError(message(where, must, expected, value, f"Change {name}"))
