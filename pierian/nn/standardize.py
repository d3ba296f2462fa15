"""Normalisations as functions, under PyTorch's names: part of `nn.functional`.

May import: base, core, ops. All but `rms_norm` are `standardized` over some axes; its gradient is
written out, with as few sums over the input as there can be. To add one: choose the axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy import finfo

from pierian.base.errors import ShapeError, message
from pierian.core.autodiff import is_grad_enabled, no_grad, sum_to
from pierian.core.function import custom_vjp
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.ops.composite import rsqrt
from pierian.ops.movement import reshape
from pierian.ops.reduction import mean
from pierian.ops.reduction import sum as sum_

Axes = tuple[int, ...]


def moments(x: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over `axes`, which stay with length 1."""
    center = mean(x, axes, keepdims=True)
    deviation = x - center
    return center, mean(deviation * deviation, axes, keepdims=True)


def _forward(
    x: Tensor, center: Tensor, scale: Tensor, weight: Any, bias: Any, axes: Axes, eps: float
) -> tuple[Tensor, Any]:
    y = (x - center) * (scale if weight is None else scale * weight)
    return (y if bias is None else y + bias), (x, center, scale, weight, bias, axes, eps)


def _backward(kept: Any, g: Tensor) -> tuple[Any, ...]:
    """dx = scale·(gw - mean(gw) - x̂·mean(gw·x̂)) with gw = g·weight and x̂ = (x - center)·scale."""
    x, center, scale, weight, bias, axes, eps = kept
    if is_grad_enabled():  # the gradient's own gradient goes through the statistics too
        center, variance = moments(x, axes)
        scale = rsqrt(variance + eps)
    hat = (x - center) * scale
    constant = weight is None or weight.shape == center.shape
    weighted = g if constant else g * weight
    total = sum_(weighted, axes, keepdims=True)
    along = sum_(weighted * hat, axes, keepdims=True)
    count = float(math.prod(x.shape[a] for a in axes))
    dx = (weighted - total / count - hat * (along / count)) * (
        scale * weight if constant and weight is not None else scale
    )
    dweight = None if weight is None else along if constant else sum_to(g * hat, weight.shape)
    dbias = None if bias is None else total if constant else sum_to(g, bias.shape)
    return dx, None, None, dweight, dbias, None, None


# Statistics are arguments so that a running mean can have them too; no gradient goes to them.
standardized = custom_vjp(lambda *args: _forward(*args)[0])
standardized.defvjp(_forward, _backward)


def _standardize(
    x: Tensor, axes: Axes, weight: Any, bias: Any, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`x` with mean 0 and variance 1 over `axes`, times weight, plus bias; and the moments."""
    with no_grad():
        center, variance = moments(x, axes)
        scale = rsqrt(variance + eps)
    return standardized(x, center, scale, weight, bias, axes, eps), center, variance


def _shaped(values: Any, rank: int, axis: int) -> Any:
    """One number per entry of `axis`, to meet tensors of `rank` axes."""
    return None if values is None else reshape(values, *(1,) * axis, -1, *(1,) * (rank - 1 - axis))


def _follow(running: Any, new: Tensor, momentum: Any, where: str) -> None:
    """Move a running statistic towards a new one, in place."""
    with no_grad():
        new = reshape(new, running.shape)
        assign(running, running + (new - running) * momentum, where)


def batch_norm(
    x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: Any = 0.1, eps: float = 1e-5, *, axis: int = 1,
    unbiased: bool = True, where: str = "batch_norm",
) -> Tensor:  # fmt: skip
    """Each channel with mean 0 and variance 1 over the batch and all places, times weight, + bias.

    Shapes:  x (n, c, ...) -> same; the others (c,).
    Args:    training  uses the statistics of x and moves the running ones (if any) towards them
                       by `momentum`; otherwise the running ones are used.
             eps       added to the variance, inside the root.
             axis      that of the channels.
             unbiased  the running variance follows that with n - 1 (x is divided by that with n).
    Raises:  ShapeError for one value per channel in training: its variance is 0.
    Source:  Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    x = as_tensor(x)
    axis %= x.ndim
    axes = tuple(i for i in range(x.ndim) if i != axis)
    weight, bias = (_shaped(v, x.ndim, axis) for v in (weight, bias))
    if not training:
        scale = rsqrt(_shaped(running_var, x.ndim, axis) + eps)
        scale = scale if weight is None else scale * weight
        shift = -_shaped(running_mean, x.ndim, axis) * scale
        return x * scale + (shift if bias is None else shift + bias)
    count = math.prod(x.shape[a] for a in axes)
    if count == 1:
        raise ShapeError(
            message(where, "training needs more than one value per channel", "a batch of 2 or more",
                    f"x of shape {x.shape}", "Call eval(), or drop a last batch of one example")
        )  # fmt: skip
    y, center, variance = _standardize(x, axes, weight, bias, eps)
    if running_mean is not None:
        _follow(running_mean, center, momentum, where)
        correction = count / (count - 1) if unbiased else 1.0
        _follow(running_var, variance * correction, momentum, where)
    return y


def instance_norm(
    x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, *,
    where: str = "instance_norm",
) -> Tensor:  # fmt: skip
    """Each channel of each example with mean 0 and variance 1, times weight, plus bias.

    Shapes:  x (n, c, *s) -> same; the others (c,).
    Source:  Ulyanov et al. 2016, arXiv:1607.08022.
    """
    x = as_tensor(x)
    axes = tuple(range(2, x.ndim))
    count = math.prod(x.shape[2:])
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    if count == 1:
        raise ShapeError(
            message(where, "needs more than one place per channel", "larger images",
                    f"x of shape {x.shape}", "Leave the layer out here")
        )  # fmt: skip
    weight, bias = (_shaped(v, x.ndim, 1) for v in (weight, bias))
    y, center, variance = _standardize(x, axes, weight, bias, eps)
    if running_mean is not None:
        _follow(running_mean, mean(center, 0), momentum, where)
        _follow(running_var, mean(variance, 0) * (count / (count - 1)), momentum, where)
    return y


def layer_norm(
    x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *,
    where: str = "layer_norm",
) -> Tensor:  # fmt: skip
    """The last axes of each example with mean 0 and variance 1, times weight, plus bias.

    Shapes:  x (..., *normalized_shape) -> same; weight and bias normalized_shape.
    Raises:  ShapeError when x has other last axes.
    Source:  Ba et al. 2016, arXiv:1607.06450.
    """
    x = as_tensor(x)
    axes = last_axes(where, x, normalized_shape)
    return _standardize(x, axes, weight, bias, eps)[0]


def last_axes(where: str, x: Tensor, normalized_shape: Any) -> Axes:
    """The axes of `x` at the end that have `normalized_shape`."""
    many = isinstance(normalized_shape, Sequence)
    shape = tuple(normalized_shape) if many else (normalized_shape,)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ShapeError(
            message(where, "x must end in normalized_shape", shape, f"x of shape {x.shape}",
                    f"Pass normalized_shape={x.shape[-len(shape) :]}")
        )  # fmt: skip
    return tuple(range(x.ndim - len(shape), x.ndim))


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *,
    where: str = "group_norm",
) -> Tensor:  # fmt: skip
    """Groups of channels of each example with mean 0 and variance 1, times weight, plus bias.

    Shapes:  x (n, c, *s) -> same; weight and bias (c,).
    Raises:  ShapeError when num_groups does not divide the channels.
    Source:  Wu & He 2018, arXiv:1803.08494.
    """
    x = as_tensor(x)
    n, channels, *size = x.shape
    if channels % num_groups:
        raise ShapeError(
            message(where, "num_groups must divide the channels", f"a divisor of {channels}",
                    num_groups, "Pass num_groups=1 or another divisor")
        )  # fmt: skip
    groups = (num_groups, channels // num_groups)
    weight, bias = (
        None if v is None else reshape(v, *groups, *(1,) * len(size)) for v in (weight, bias)
    )
    parts = reshape(x, n, *groups, *size)
    return reshape(_standardize(parts, tuple(range(2, parts.ndim)), weight, bias, eps)[0], x.shape)


def rms_norm(
    x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None, *,
    where: str = "rms_norm",
) -> Tensor:  # fmt: skip
    """The last axes of each example divided by the root of their mean square, times weight.

    Shapes:  x (..., *normalized_shape) -> same; weight normalized_shape.
    Args:    eps  added inside the root; None for the gap of the dtype after 1, as in PyTorch.
    Source:  Zhang & Sennrich 2019, arXiv:1910.07467.
    """
    x = as_tensor(x)
    axes = last_axes(where, x, normalized_shape)
    small = float(finfo(x.dtype).eps) if eps is None else eps
    y = x * rsqrt(mean(x * x, axes, keepdims=True) + small)
    return y if weight is None else y * weight
