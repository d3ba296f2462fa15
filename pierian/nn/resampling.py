"""Layers that change the size or the shape of images: Upsample, ZeroPad, PixelShuffle, Unflatten.

May import: base, core, ops, the files of nn below it. The formulas are in `spatial`.
"""

from __future__ import annotations

from typing import Any

from pierian.base.errors import lookup
from pierian.base.shapes import normalize_axis
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.image import Image, check_format
from pierian.nn.module import Module
from pierian.nn.spatial import LINEAR, interpolate, pad, pixel_shuffle
from pierian.ops.movement import moveaxis, reshape
from pierian.ops.window import per_axis


class Upsample(Module):
    """Images in another size, by the nearest pixel or linearly between two along each axis.

    Shapes:  x (b, c, *s) -> (b, c, *size), or size = ⌊s · scale_factor⌋; channels at the end for
             data_format "channels_last".
    Args:    size, scale_factor  one of the two: a number, or one per spatial axis.
             mode           "nearest", "linear" (1 axis), "bilinear" (2) or "trilinear" (3).
             align_corners  True places the outer pixels on each other, not the outer edges.
    """

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, *, data_format: str = "channels_first",
    ) -> None:  # fmt: skip
        self.size, self.scale_factor, self.align_corners = size, scale_factor, align_corners
        self.mode = lookup("Upsample", "mode", mode, {"nearest", *LINEAR})
        self.data_format = check_format("Upsample", data_format)

    def forward(self, x: Any) -> Tensor:
        """`x` in the other size."""
        x, last = as_tensor(x), self.data_format == "channels_last"
        y = interpolate(moveaxis(x, -1, 1) if last else x, self.size, self.scale_factor, self.mode,
                        self.align_corners, where=self.where())  # fmt: skip
        return moveaxis(y, 1, -1) if last else y


class ZeroPad(Image):
    """What zero padding shares. Shapes: x (b, c, *s) -> (b, c, *larger)."""

    def __init__(self, padding: Any, *, data_format: str = "channels_first") -> None:
        where = type(self).__name__
        one = isinstance(padding, int)
        least = min((padding,) if one else tuple(padding), default=0)
        self.padding = per_axis(where, "padding", padding, 2 * self.axes, min(least, 0))
        self.data_format = check_format(where, data_format)

    def over(self, x: Tensor) -> Tensor:
        """Padded images with channels first."""
        return pad(x, self.padding, where=self.where())


class ZeroPad1d(ZeroPad):
    """Zeros around sequences. Shapes: x (b, c, l) -> (b, c, left + l + right). See ZeroPad2d."""

    axes = 1


class ZeroPad2d(ZeroPad):
    """Zeros around images.

    Shapes:  x (b, c, h, w) -> (b, c, top + h + bottom, left + w + right).
    Args:    padding  a number, or (left, right, top, bottom); negative ones cut.
    """


class ZeroPad3d(ZeroPad):
    """Zeros around volumes; padding is (left, right, top, bottom, front, back).

    Shapes:  x (b, c, d, h, w) -> (b, c, d', h', w').
    """

    axes = 3


class PixelShuffle(Image):
    """Channels laid out as squares of pixels. Shapes: x (b, c·r², h, w) -> (b, c, h·r, w·r).

    Source:  Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, upscale_factor: int, *, data_format: str = "channels_first") -> None:
        self.upscale_factor = per_axis("PixelShuffle", "upscale_factor", upscale_factor, 1)[0]
        self.data_format = check_format("PixelShuffle", data_format)

    def over(self, x: Tensor) -> Tensor:
        """Larger images with channels first."""
        return pixel_shuffle(x, self.upscale_factor, where=self.where())


class Unflatten(Module):
    """Gives the axis `dim` the shape `unflattened_size`. Shapes: x (b, a·c) -> (b, a, c).

    Args:  unflattened_size  sizes whose product is that of the axis; one may be -1.

    >>> import numpy as np
    >>> Unflatten(1, (2, 3))(np.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Tensor:
        """`x` with more axes."""
        x = as_tensor(x)
        at = normalize_axis(self.where(), self.dim, x.ndim)
        return reshape(x, *x.shape[:at], *self.unflattened_size, *x.shape[at + 1 :])
