"""Pooling as layers: the largest or the mean element of windows, of a grid, or of whole images.

May import: base, core, ops, the files of nn below it. To add one: a subclass of `Pooling`, or of
`Adaptive`, with its number of axes.
"""

from __future__ import annotations

import functools
from typing import Any

from pierian.base.errors import message
from pierian.core.tensor import Tensor
from pierian.nn.image import Image, check_format
from pierian.nn.spatial import adaptive_avg_pool, adaptive_max_pool
from pierian.ops.pooling import avg_pool, max_pool
from pierian.ops.reduction import max as max_
from pierian.ops.reduction import mean
from pierian.ops.window import per_axis


class Pooling(Image):
    """What pooling by windows shares. Shapes: x (b, c, *s) -> (b, c, *out)."""

    options: dict[str, Any]

    def _set(self, kernel_size: Any, stride: Any, data_format: str | None, **options: Any) -> None:
        where = type(self).__name__
        self.kernel_size = per_axis(where, "kernel_size", kernel_size, self.axes)
        self.stride = (
            self.kernel_size if stride is None else per_axis(where, "stride", stride, self.axes)
        )
        self.data_format = check_format(where, data_format)
        self.options = options


class MaxPooling(Pooling):
    """What pooling to the maximum shares. Shapes: x (b, c, *s) -> (b, c, *out)."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        return_indices: bool = False, ceil_mode: bool = False, *,
        data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        if return_indices:
            raise ValueError(
                message(type(self).__name__, "maxima are given without their places",
                        "return_indices=False", True, "Compare the images with the result")
            )  # fmt: skip
        self._set(kernel_size, stride, data_format, padding=padding, dilation=dilation,
                  ceil_mode=ceil_mode)  # fmt: skip

    def over(self, x: Tensor) -> Tensor:
        """The maxima of images with channels first."""
        return max_pool(x, self.kernel_size, self.stride, where=self.where(), **self.options)


class MaxPool1d(MaxPooling):
    """The largest element of each window. Shapes: x (b, c, l) -> (b, c, l'). Args: as MaxPool2d."""

    axes = 1


class MaxPool2d(MaxPooling):
    """The largest element of each window of each channel.

    Shapes:  x (b, c, h, w) -> (b, c, h', w'), or (b, h, w, c) for data_format "channels_last".
    Args:    kernel_size, stride, padding, dilation  a number, or one per axis; stride None is
                        kernel_size; padding counts as -inf.
             ceil_mode  also a last window that the image does not fill.
    Raises:  ShapeError, DtypeError when x does not fit.

    >>> import numpy as np
    >>> MaxPool2d(2)(np.zeros((5, 3, 28, 28), "float32")).shape
    (5, 3, 14, 14)
    """


class MaxPool3d(MaxPooling):
    """The largest element of each window; see MaxPool2d.

    Shapes:  x (b, c, d, h, w) -> (b, c, d', h', w').
    """

    axes = 3


class AvgPooling(Pooling):
    """What pooling to the mean shares. Shapes: x (b, c, *s) -> (b, c, *out)."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None, *,
        data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        self._set(kernel_size, stride, data_format, padding=padding, ceil_mode=ceil_mode,
                  count_include_pad=count_include_pad,
                  divisor_override=divisor_override)  # fmt: skip

    def over(self, x: Tensor) -> Tensor:
        """The means of images with channels first."""
        return avg_pool(x, self.kernel_size, self.stride, where=self.where(), **self.options)


class AvgPool1d(AvgPooling):
    """The mean of each window. Shapes: x (b, c, l) -> (b, c, l'). Args: as AvgPool2d."""

    axes = 1


class AvgPool2d(AvgPooling):
    """The mean of each window of each channel.

    Shapes:  x (b, c, h, w) -> (b, c, h', w'), or (b, h, w, c) for data_format "channels_last".
    Args:    kernel_size, stride, padding, ceil_mode  as MaxPool2d, but padding counts as 0.
             count_include_pad  False divides by the number of elements without the padding.
             divisor_override   what to divide by instead.
    Raises:  ShapeError, DtypeError when x does not fit.
    """


class AvgPool3d(AvgPooling):
    """The mean of each window. Shapes: x (b, c, d, h, w) -> (b, c, d', h', w'). See AvgPool2d."""

    axes = 3


class Adaptive(Image):
    """What pooling to a grid shares. Shapes: x (b, c, *s) -> (b, c, *output_size)."""

    pool: Any = staticmethod(adaptive_avg_pool)

    def __init__(self, output_size: Any, *, data_format: str = "channels_first") -> None:
        self.output_size = output_size
        self.data_format = check_format(type(self).__name__, data_format)

    def over(self, x: Tensor) -> Tensor:
        """The grid of images with channels first."""
        return self.pool(x, self.output_size, where=self.where())


class AdaptiveAvgPool1d(Adaptive):
    """The means of `output_size` cells. Shapes: x (b, c, l) -> (b, c, output_size)."""

    axes = 1


class AdaptiveAvgPool2d(Adaptive):
    """The means of a grid of cells that cover the image; of any image to one size.

    Shapes:  x (b, c, h, w) -> (b, c, *output_size), or (b, h, w, c) for "channels_last".
    Args:    output_size  a number, or one per axis; None for an axis keeps its size.
    """


class AdaptiveAvgPool3d(Adaptive):
    """The means of a grid of cells. Shapes: x (b, c, d, h, w) -> (b, c, *output_size)."""

    axes = 3


class AdaptiveMaxPool1d(Adaptive):
    """The maxima of `output_size` cells. Shapes: x (b, c, l) -> (b, c, output_size)."""

    axes = 1
    pool = staticmethod(adaptive_max_pool)


class AdaptiveMaxPool2d(Adaptive):
    """The maxima of a grid of cells. Shapes: x (b, c, h, w) -> (b, c, *output_size)."""

    pool = staticmethod(adaptive_max_pool)


class AdaptiveMaxPool3d(Adaptive):
    """The maxima of a grid of cells. Shapes: x (b, c, d, h, w) -> (b, c, *output_size)."""

    axes = 3
    pool = staticmethod(adaptive_max_pool)


# Keras' names


class MaxPooling2D(Pooling):
    """Keras' pooling to the maximum.

    Shapes:  x (b, h, w, c) -> (b, h', w', c), Keras' default; (b, c, h, w) for "channels_first".
    Args:    padding  "valid" or "same".
    """

    pool: Any = staticmethod(max_pool)

    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: Any = "valid",
        data_format: str | None = None,
    ) -> None:  # fmt: skip
        self._set(pool_size, strides, data_format or "channels_last", padding=padding)

    def over(self, x: Tensor) -> Tensor:
        """The result for images with channels first."""
        return self.pool(x, self.kernel_size, self.stride, where=self.where(), **self.options)


class AveragePooling2D(MaxPooling2D):
    """Keras' pooling to the mean, of the elements inside the image only.

    Shapes:  x (b, h, w, c) -> (b, h', w', c), Keras' default; (b, c, h, w) for "channels_first".
    """

    pool = staticmethod(functools.partial(avg_pool, count_include_pad=False))


class GlobalAveragePooling2D(Image):
    """The mean of each channel of each image, as in Keras.

    Shapes:  x (b, h, w, c), or (b, c, h, w) for "channels_first" -> (b, c); with keepdims
             (b, 1, 1, c), or (b, c, 1, 1).
    """

    reduce: Any = staticmethod(mean)

    def __init__(self, data_format: str | None = None, keepdims: bool = False) -> None:
        self.data_format = check_format(type(self).__name__, data_format, "channels_last")
        self.keepdims = keepdims

    def over(self, x: Tensor) -> Tensor:
        """One number per channel of images with channels first."""
        return self.reduce(x, (2, 3), keepdims=self.keepdims)


class GlobalMaxPooling2D(GlobalAveragePooling2D):
    """The largest element of each channel of each image, as in Keras.

    Shapes:  x (b, h, w, c), or (b, c, h, w) for "channels_first" -> (b, c).
    """

    reduce = staticmethod(max_)
