"""Normalisation as layers: over the batch, over each example, over groups of channels.

May import: base, core, ops, the files of nn below it. The formulas are in `standardize`. To add
one: a Module that owns the parameters and calls its function there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pierian.base.dtypes import float32, int64
from pierian.base.errors import ShapeError, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.nn import init
from pierian.nn import standardize as over
from pierian.nn.deferred import untraced
from pierian.nn.image import check_format
from pierian.nn.layers import size
from pierian.nn.module import Module
from pierian.nn.parameter import Buffer, Parameter
from pierian.ops.movement import moveaxis
from pierian.ops.operands import cast


def ones(*shape: int) -> np.ndarray:
    """A scale that changes nothing yet."""
    return np.ones(shape, float32)


def zeros(*shape: int) -> np.ndarray:
    """A shift that changes nothing yet."""
    return np.zeros(shape, float32)


class Channelwise(Module):
    """What normalisations with a row of statistics per channel share.

    Shapes:  x (b, c, ...) -> same.
    """

    ranks: tuple[int, ...] = (4,)
    num_features: int | None
    momentum: Any
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Buffer | None
    running_var: Buffer | None

    def _create(self, features: int) -> None:
        """Make parameters and buffers for so many channels."""
        self.num_features = features
        with untraced():
            self.weight = Parameter(ones(features)) if self.affine else None
            self.bias = Parameter(zeros(features)) if self.affine else None
            tracks = self.track_running_stats
            self.running_mean = Buffer(zeros(features)) if tracks else None
            self.running_var = Buffer(ones(features)) if tracks else None
            if tracks:
                self.num_batches_tracked = Buffer(np.zeros((), int64))
        self._built = True

    def __init__(
        self, num_features: int | None, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, *,
        data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        where = type(self).__name__
        self.eps, self.momentum, self.affine = eps, momentum, affine
        self.track_running_stats = track_running_stats
        self.data_format = check_format(where, data_format)
        self.num_features = num_features
        self._built = False
        if num_features is not None:
            self._create(size(where, "num_features", num_features))

    def _build_for(self, state: Mapping[str, Any]) -> None:
        shapes = {np.shape(state[name]) for name in ("weight", "running_mean") if name in state}
        if len(shapes) == 1:
            self._create(*shapes.pop())

    def _checked(self, x: Any, axis: int) -> Tensor:
        """`x` when it has the right number of axes and channels."""
        x = as_tensor(x)
        if x.ndim not in self.ranks:
            raise ShapeError(
                message(self.where(), "x must have the right number of axes",
                        " or ".join(map(str, self.ranks)), f"x of shape {x.shape}",
                        "Insert or merge axes, or take the layer for so many")
            )  # fmt: skip
        if not self._built:
            self._create(x.shape[axis])
        if x.shape[axis] != self.num_features:
            raise ShapeError(
                message(self.where(), f"axis {axis} of x must hold the channels",
                        self.num_features, f"x of shape {x.shape}",
                        f"Pass num_features={x.shape[axis]}")
            )  # fmt: skip
        return x


class BatchNorm(Channelwise):
    """What the normalisations over the batch share. Shapes: x (b, c, ...) -> same."""

    def forward(self, x: Any) -> Tensor:
        """`x` normalised by its own statistics in training, by the running ones otherwise."""
        x = self._checked(x, -1 if self.data_format == "channels_last" else 1)
        own = self.training or self.running_mean is None
        tracks = self.training and self.running_mean is not None
        return over.batch_norm(
            x, self.running_mean if tracks or not own else None, self.running_var, self.weight,
            self.bias, own, self._momentum() if tracks else 0.0, self.eps,
            axis=-1 if self.data_format == "channels_last" else 1, where=self.where(),
        )  # fmt: skip

    def _momentum(self) -> Any:
        """The share of the new statistics: fixed, or for None that of an average of all."""
        with no_grad():
            assign(self.num_batches_tracked, self.num_batches_tracked + 1, "batch_norm")
            if self.momentum is not None:
                return self.momentum
            return 1.0 / cast(self.num_batches_tracked, float32)


class BatchNorm1d(BatchNorm):
    """Each feature with mean 0 and variance 1 over the batch. Args: as BatchNorm2d.

    Shapes:  x (b, c) or (b, c, l) -> same.
    """

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Each channel with mean 0 and variance 1 over the batch, times weight, plus bias.

    In training by the batch's own mean and biased variance, while the running ones follow:
    running += momentum·(new - running), with the unbiased variance, as in PyTorch; with eval() by
    the running ones.

    Shapes:  x (b, num_features, h, w) -> same, or (b, h, w, c) for data_format "channels_last".
    Args:    num_features         None waits for the first input.
             eps                  added to the variance, inside the root.
             momentum             None averages over all batches.
             affine               False leaves weight and bias out.
             track_running_stats  False always takes the batch's own statistics.
    Raises:  ShapeError when x does not fit, or for one value per channel in training.
    Source:  Ioffe & Szegedy 2015, arXiv:1502.03167.
    """


class BatchNorm3d(BatchNorm):
    """Each channel with mean 0 and variance 1 over the batch. Args: as BatchNorm2d.

    Shapes:  x (b, c, d, h, w) -> same.
    """

    ranks = (5,)


class LazyBatchNorm1d(BatchNorm1d):
    """A BatchNorm1d that waits for its first input. Shapes: x (b, c, l) -> same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(None, *args, **options)


class LazyBatchNorm2d(BatchNorm2d):
    """A BatchNorm2d that waits for its first input. Shapes: x (b, c, h, w) -> same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(None, *args, **options)


class LazyBatchNorm3d(BatchNorm3d):
    """A BatchNorm3d that waits for its first input. Shapes: x (b, c, d, h, w) -> same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(None, *args, **options)


class BatchNormalization(Channelwise):
    """Keras' normalisation over the batch: its last axis by default, waits for its first input.

    moving = momentum·moving + (1 - momentum)·new, with the biased variance. Parameters have
    PyTorch's names: weight is gamma, bias is beta.

    Shapes:  x (b, ..., c) -> same.
    Args:    axis           that of the channels; 1 for channels first.
             center, scale  False leaves bias or weight out.
             gamma_initializer and others  Keras' name of how they start, or a function that fills.
             input_shape    of one example: creates the parameters at once.
    Raises:  ShapeError when x does not fit, or for one value per channel in training.
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 0.001, center: bool = True,
        scale: bool = True, beta_initializer: Any = "zeros", gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros", moving_variance_initializer: Any = "ones",
        input_shape: Any = None,
    ) -> None:  # fmt: skip
        self.axis, self.momentum, self.eps = axis, momentum, epsilon
        self.center, self.scale = center, scale
        starts = (gamma_initializer, beta_initializer, moving_mean_initializer,
                  moving_variance_initializer)  # fmt: skip
        self.initializers = tuple(init.get("BatchNormalization", start) for start in starts)
        self._built = False
        self.input_shape = input_shape
        if input_shape is not None:
            self._create(input_shape[axis if axis < 0 else axis - 1])

    def _create(self, features: int) -> None:
        self.num_features = features
        with untraced():
            self.weight = Parameter(ones(features)) if self.scale else None
            self.bias = Parameter(zeros(features)) if self.center else None
            self.running_mean = Buffer(zeros(features))
            self.running_var = Buffer(ones(features))
            tensors = (self.weight, self.bias, self.running_mean, self.running_var)
            for initialize, tensor in zip(self.initializers, tensors, strict=True):
                if tensor is not None:
                    initialize(tensor)
        self._built = True

    def forward(self, x: Any) -> Tensor:
        """`x` normalised by its own statistics in training, by the moving ones otherwise."""
        x = as_tensor(x)
        self.ranks = (max(x.ndim, 2),)
        x = self._checked(x, self.axis)
        return over.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training,
            1 - self.momentum, self.eps, axis=self.axis, unbiased=False, where=self.where(),
        )  # fmt: skip


class LayerNormalization(Module):
    """Keras' normalisation of each example over its last axis; waits for its first input.

    Parameters have PyTorch's names: weight is gamma, bias is beta.

    Shapes:  x (..., n) -> same.
    Args:    center, scale  False leaves bias or weight out.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, epsilon: float = 0.001, center: bool = True, scale: bool = True,
        input_shape: Any = None,
    ) -> None:  # fmt: skip
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.input_shape = input_shape
        if input_shape is not None:
            self.build(input_shape)

    def build(self, input_shape: Any) -> Any:
        """Create the parameters for inputs whose last axis is that of `input_shape`."""
        last = input_shape if isinstance(input_shape, int) else input_shape[-1]
        self.normalized_shape = (size(self.where(), "last axis of input_shape", last),)
        self.weight = Parameter(ones(last)) if self.scale else None
        self.bias = Parameter(zeros(last)) if self.center else None

    def _build_for(self, state: Mapping[str, Any]) -> None:
        if known := [np.shape(state[name]) for name in ("weight", "bias") if name in state]:
            self.build(known[0])

    def forward(self, x: Any) -> Tensor:
        """`x` normalised."""
        return over.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.epsilon,
                               where=self.where())  # fmt: skip


class InstanceNorm(Channelwise):
    """What the normalisations of each channel of each example share. Shapes: x (b, c, *s) -> same.

    In PyTorch's order of arguments, and with its defaults: no parameters, no running statistics.
    """

    def __init__(
        self, num_features: int | None, eps: float = 1e-5, momentum: float = 0.1,
        affine: bool = False, track_running_stats: bool = False, *,
        data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats,
                         data_format=data_format)  # fmt: skip

    def forward(self, x: Any) -> Tensor:
        """`x` normalised, by running statistics only where they are kept and in eval."""
        last = self.data_format == "channels_last"
        x = self._checked(x, -1 if last else 1)
        own = self.training or self.running_mean is None
        y = over.instance_norm(
            moveaxis(x, -1, 1) if last else x, self.running_mean, self.running_var, self.weight,
            self.bias, own, self.momentum, self.eps, where=self.where(),
        )  # fmt: skip
        return moveaxis(y, 1, -1) if last else y


class InstanceNorm1d(InstanceNorm):
    """Each channel of each sequence with mean 0 and variance 1. Shapes: x (b, c, l) -> same."""

    ranks = (3,)


class InstanceNorm2d(InstanceNorm):
    """Each channel of each image with mean 0 and variance 1.

    Shapes:  x (b, num_features, h, w) -> same, or (b, h, w, c) for data_format "channels_last".
    Args:    affine               True learns a weight and a bias per channel.
             track_running_stats  True keeps running statistics, for eval.
    Source:  Ulyanov et al. 2016, arXiv:1607.08022.
    """


class InstanceNorm3d(InstanceNorm):
    """Each channel of each volume with mean 0 and variance 1. Shapes: x (b, c, d, h, w) -> same."""

    ranks = (5,)


class GroupNorm(Module):
    """Groups of channels of each example with mean 0 and variance 1, times weight, plus bias.

    Shapes:  x (b, num_channels, ...) -> same, or (b, ..., c) for data_format "channels_last".
    Raises:  ShapeError when x does not fit.
    Source:  Wu & He 2018, arXiv:1803.08494.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *,
        data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        self.num_groups = size("GroupNorm", "num_groups", num_groups, "Pass num_groups=1")
        self.num_channels = size("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ShapeError(
                message("GroupNorm", "num_groups must divide num_channels", "a divisor of "
                        f"{num_channels}", num_groups, "Pass num_groups=1 or another divisor")
            )  # fmt: skip
        self.eps, self.data_format = eps, check_format("GroupNorm", data_format)
        self.weight = Parameter(ones(num_channels)) if affine else None
        self.bias = Parameter(zeros(num_channels)) if affine else None

    def forward(self, x: Any) -> Tensor:
        """`x` normalised."""
        x, last = as_tensor(x), self.data_format == "channels_last"
        if x.ndim < 2 or x.shape[-1 if last else 1] != self.num_channels:
            raise ShapeError(
                message(self.where(), f"axis {-1 if last else 1} of x must hold the channels",
                        self.num_channels, f"x of shape {x.shape}", "Pass another num_channels")
            )  # fmt: skip
        y = over.group_norm(moveaxis(x, -1, 1) if last else x, self.num_groups, self.weight,
                            self.bias, self.eps, where=self.where())  # fmt: skip
        return moveaxis(y, 1, -1) if last else y


class LayerNorm(Module):
    """The last axes of each example with mean 0 and variance 1, times weight, plus bias.

    Shapes:  x (..., *normalized_shape) -> same; weight and bias normalized_shape.
    Args:    elementwise_affine  False leaves weight and bias out; bias=False only the bias.
    Raises:  ShapeError when x has other last axes.
    Source:  Ba et al. 2016, arXiv:1607.06450.
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:  # fmt: skip
        self.normalized_shape = _sizes("LayerNorm", normalized_shape)
        self.eps = eps
        self.weight = Parameter(ones(*self.normalized_shape)) if elementwise_affine else None
        shifts = elementwise_affine and bias
        self.bias = Parameter(zeros(*self.normalized_shape)) if shifts else None

    def forward(self, x: Any) -> Tensor:
        """`x` normalised."""
        return over.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps,
                               where=self.where())  # fmt: skip


class RMSNorm(Module):
    """The last axes of each example divided by the root of their mean square, times weight.

    Shapes:  x (..., *normalized_shape) -> same; weight normalized_shape.
    Args:    eps  added inside the root; None for the gap of the dtype after 1.
    Source:  Zhang & Sennrich 2019, arXiv:1910.07467.
    """

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        self.normalized_shape = _sizes("RMSNorm", normalized_shape)
        self.eps = eps
        self.weight = Parameter(ones(*self.normalized_shape)) if elementwise_affine else None

    def forward(self, x: Any) -> Tensor:
        """`x` normalised."""
        return over.rms_norm(x, self.normalized_shape, self.weight, self.eps, where=self.where())


def _sizes(where: str, shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    return tuple(size(where, "normalized_shape", n) for n in sizes)
