"""Convolutions as layers: Conv1d … 3d, transposed ones, LazyConv…, and Keras' Conv2D.

May import: base, core, ops, the files of nn below it. To add one: a subclass of `Convolution` with
its number of axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pierian.base.dtypes import float32
from pierian.base.errors import DtypeError, ShapeError, lookup, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import activations, init
from pierian.nn.deferred import untraced
from pierian.nn.image import Image, check_format
from pierian.nn.layers import size
from pierian.nn.parameter import Parameter
from pierian.nn.spatial import BORDERS, pad
from pierian.ops.convolution import conv, conv_transpose
from pierian.ops.operands import cast
from pierian.ops.window import padding_pairs, per_axis


def _filters(shape: tuple[int, ...]) -> np.ndarray:
    """An array of that shape whose rows in memory are along its first axis: compiled convolutions
    multiply by a matrix (in, out) for every place of the filter.
    """
    first, second, *kernel = shape
    memory = np.empty((*kernel, second, first), float32)
    return memory.transpose(len(shape) - 1, len(shape) - 2, *range(len(kernel)))


class Convolution(Image):
    """What all convolutions share; `in_channels` None waits for the first input.

    Shapes:  x (b, c, *s) -> (b, o, *out).
    """

    weight: Parameter
    bias: Parameter | None
    transposed = False

    def __init__(
        self, in_channels: int | None, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", *, data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        where = type(self).__name__
        self.out_channels = size(where, "out_channels", out_channels)
        self.kernel_size = per_axis(where, "kernel_size", kernel_size, self.axes)
        self.stride = per_axis(where, "stride", stride, self.axes)
        self.dilation = per_axis(where, "dilation", dilation, self.axes)
        self.padding = padding
        padding_pairs(where, padding, (1,) * self.axes, self.kernel_size, self.stride,
                      self.dilation)  # fmt: skip
        self.groups = size(where, "groups", groups, "Pass groups=1")
        self.padding_mode = lookup(where, "padding_mode", padding_mode, {"zeros", *BORDERS})
        self.data_format = check_format(where, data_format)
        self.use_bias = bias
        self.in_channels = None if in_channels is None else (
            size(where, "in_channels", in_channels, "Pass in_channels=3, or None to wait for x")
        )  # fmt: skip
        self._built = False
        if self.in_channels is not None:
            self._create(self.in_channels)

    def _create(self, channels: int) -> None:
        """Make the parameters for images of so many channels."""
        for name, n in (("in_channels", channels), ("out_channels", self.out_channels)):
            if n % self.groups:
                raise ShapeError(
                    message(self.where(), f"groups must divide {name}", f"a divisor of {n}",
                            f"groups={self.groups}", "Pass groups=1")
                )  # fmt: skip
        self.in_channels = channels
        ends = (channels, self.out_channels) if self.transposed else (self.out_channels, channels)
        shape = (ends[0], ends[1] // self.groups, *self.kernel_size)
        with untraced():
            self.weight = Parameter(_filters(shape))
            self.bias = Parameter(np.empty(self.out_channels, float32)) if self.use_bias else None
            self.reset_parameters()
        self._built = True

    def reset_parameters(self) -> None:
        """Draw the parameters anew: uniform in ±1/√(inputs of one output), as PyTorch does."""
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound)

    def _build_for(self, state: Mapping[str, Any]) -> None:
        shape = np.shape(state.get("weight", ()))
        if len(shape) == self.axes + 2:
            self._create(shape[0] if self.transposed else shape[1] * self.groups)

    def channels(self) -> int | None:
        """How many channels the input must have, once that is known."""
        return self.in_channels

    def over(self, x: Tensor) -> Tensor:
        """The convolution of images with channels first."""
        if not self._built:
            self._create(x.shape[1])
        where = self.where()
        if x.dtype != self.weight.dtype:
            raise DtypeError(
                message(where, "x must have the dtype of the weight", self.weight.dtype,
                        f"x of {x.dtype}", f'Cast it with x.to("{self.weight.dtype}")')
            )  # fmt: skip
        return self.convolve(x, where)

    def convolve(self, x: Tensor, where: str) -> Tensor:
        """The convolution itself."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            pairs = padding_pairs(where, padding, x.shape[2:], self.kernel_size, self.stride,
                                  self.dilation)  # fmt: skip
            around = [n for pair in reversed(pairs) for n in pair]
            x, padding = pad(x, around, self.padding_mode, where=where), 0
        return conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups,
                    where=where)  # fmt: skip


class Conv1d(Convolution):
    """The cross-correlation of sequences with learned filters, as PyTorch's layer.

    Shapes:  x (b, in_channels, l) -> (b, out_channels, l'), or (b, l, c) for "channels_last";
             weight (out_channels, in_channels / groups, k).
    Args:    as `Conv2d`.
    """

    axes = 1


class Conv2d(Convolution):
    """The cross-correlation of images with learned filters, as PyTorch's layer.

    Shapes:  x (b, in_channels, h, w) -> (b, out_channels, h', w'), with (b, h, w, c) for
             data_format="channels_last"; weight (out_channels, in_channels / groups, kh, kw).
    Dtypes:  floating, x like the weight; kept.
    Args:    in_channels   None waits for the first input.
             kernel_size, stride, dilation  a number, or one per axis.
             padding       the same, or (before, after) per axis, "valid" or "same" (which gives
                           ⌈size / stride⌉, for any stride).
             groups        channels are cut into so many parts that do not see each other.
             padding_mode  "zeros", "reflect", "replicate" or "circular".
             data_format   "channels_first" or "channels_last".
    Raises:  ShapeError, DtypeError when x does not fit.

    >>> Conv2d(3, 8, 3, padding=1)(np.zeros((2, 3, 28, 28))).shape
    (2, 8, 28, 28)
    """


class Conv3d(Convolution):
    """The cross-correlation of volumes with learned filters, as PyTorch's layer.

    Shapes:  x (b, in_channels, d, h, w) -> (b, out_channels, d', h', w'), or (b, d, h, w, c) for
             "channels_last"; weight (out_channels, in_channels / groups, kd, kh, kw).
    Args:    as `Conv2d`.
    """

    axes = 3


class TransposedConvolution(Convolution):
    """What the transposed convolutions share. Shapes: x (b, c, *s) -> (b, o, *out)."""

    transposed = True

    def __init__(
        self, in_channels: int | None, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
        dilation: Any = 1, padding_mode: str = "zeros", *, data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        where = type(self).__name__
        self.output_padding = per_axis(where, "output_padding", output_padding, self.axes, 0)
        if padding_mode != "zeros" or isinstance(padding, str):
            raise ValueError(
                message(where, "what is cut off is given in numbers",
                        'numbers and padding_mode="zeros"', f"{padding!r} and {padding_mode!r}",
                        "Pass padding=1 or another number")
            )  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, data_format=data_format)  # fmt: skip

    def convolve(self, x: Tensor, where: str) -> Tensor:
        """The convolution itself."""
        return conv_transpose(x, self.weight, self.bias, self.stride, self.padding,
                              self.output_padding, self.groups, self.dilation,
                              where=where)  # fmt: skip


class ConvTranspose1d(TransposedConvolution):
    """What a Conv1d of the same options does to gradients, as a layer; it makes sequences longer.

    Shapes:  x (b, in_channels, l) -> (b, out_channels, l'); weight (in, out / groups, k).
    Args:    as `ConvTranspose2d`.
    """

    axes = 1


class ConvTranspose2d(TransposedConvolution):
    """What a Conv2d of the same options does to gradients, as a layer: it makes images larger.

    Shapes:  x (b, in_channels, h, w) -> (b, out_channels, h', w') with
             h' = (h - 1)·stride - 2·padding + dilation·(kh - 1) + output_padding + 1;
             weight (in_channels, out_channels / groups, kh, kw).
    Args:    as `Conv2d` (padding is what that would add, and is cut off here), and
             output_padding  added behind, smaller than stride.
    Raises:  ShapeError, DtypeError when x does not fit.
    """


class ConvTranspose3d(TransposedConvolution):
    """What a Conv3d of the same options does to gradients, as a layer: it makes volumes larger.

    Shapes:  x (b, in_channels, d, h, w) -> (b, out_channels, d', h', w').
    Args:    as `ConvTranspose2d`.
    """

    axes = 3


class LazyConv1d(Conv1d):
    """A Conv1d that takes in_channels from its first input. Shapes: x (b, c, l) -> (b, o, l')."""

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class LazyConv2d(Conv2d):
    """A Conv2d that takes in_channels from its first input.

    Shapes:  x (b, c, h, w) -> (b, out_channels, h', w').
    """

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class LazyConv3d(Conv3d):
    """A Conv3d that takes in_channels from its first input.

    Shapes:  x (b, c, d, h, w) -> (b, out_channels, d', h', w').
    """

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class LazyConvTranspose1d(ConvTranspose1d):
    """A ConvTranspose1d that takes in_channels from its first input.

    Shapes:  x (b, c, l) -> (b, out_channels, l').
    """

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class LazyConvTranspose2d(ConvTranspose2d):
    """A ConvTranspose2d that takes in_channels from its first input.

    Shapes:  x (b, c, h, w) -> (b, out_channels, h', w').
    """

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class LazyConvTranspose3d(ConvTranspose3d):
    """A ConvTranspose3d that takes in_channels from its first input.

    Shapes:  x (b, c, d, h, w) -> (b, out_channels, d', h', w').
    """

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **options: Any) -> None:
        super().__init__(None, out_channels, kernel_size, *args, **options)


class Conv2D(Convolution):
    """Keras' convolution: activation(conv(x) + bias); learns its channels from its input.

    Shapes:  x (b, h, w, c) -> (b, h', w', filters), Keras' default; (b, c, h, w) for
             "channels_first"; weight (filters, c / groups, kh, kw), PyTorch's layout.
    Dtypes:  x is cast to that of the weight.
    Args:    padding             "valid" or "same".
             data_format         "channels_last" (for None too) or "channels_first".
             activation          a name like "relu", a function of tensors, a module or None.
             kernel_initializer  Keras' name of how the weight starts, or a function that fills.
             bias_initializer    the same for the bias.
             input_shape         of one example: creates the parameters at once.
    Raises:  ShapeError when x does not fit; ValueError for an unknown name.

    >>> Conv2D(8, 3, padding="same", activation="relu")(np.zeros((2, 28, 28, 1))).shape
    (2, 28, 28, 8)
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: Any = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), groups: int = 1,
        activation: str | Callable[[Any], Tensor] | None = None, use_bias: bool = True,
        kernel_initializer: str | Callable[[Tensor], Any] = "glorot_uniform",
        bias_initializer: str | Callable[[Tensor], Any] = "zeros", input_shape: Any = None,
    ) -> None:  # fmt: skip
        self.initializers = (
            init.get("Conv2D", kernel_initializer),
            init.get("Conv2D", bias_initializer),
        )
        self.activation = activations.get("Conv2D", activation)
        last = check_format("Conv2D", data_format, "channels_last")
        super().__init__(None, size("Conv2D", "filters", filters), kernel_size, strides, padding,
                         dilation_rate, groups, use_bias, data_format=last)  # fmt: skip
        self.input_shape = input_shape
        if input_shape is not None:
            channels = input_shape[-1 if last == "channels_last" else -3]
            fix = "Pass the shape of one example, like (28, 28, 1)"
            self._create(size("Conv2D", "the channels of input_shape", channels, fix))

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        for initialize, tensor in zip(self.initializers, (self.weight, self.bias), strict=True):
            if tensor is not None:
                initialize(tensor)

    def forward(self, x: Any) -> Tensor:
        """The outputs for `x`, in the same data_format."""
        dtype = self.weight.dtype if self._built else float32
        return self.activation(super().forward(cast(as_tensor(x), dtype)))
