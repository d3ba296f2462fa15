"""Image: what all layers over images share: the check of their input and the order of its axes.

May import: base, core, ops, the files of nn below it. A layer over images subclasses `Image`, says
with `axes` how many spatial axes it has, and writes `over`, which gets channels first.
"""

from __future__ import annotations

from typing import Any

from pierian.base.errors import lookup
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.module import Module
from pierian.nn.spatial import check_images
from pierian.ops.movement import moveaxis

FORMATS = ("channels_first", "channels_last")


class Image(Module):
    """A layer that takes (b, c, *spatial), or (b, *spatial, c) for data_format "channels_last"."""

    axes: int = 2
    data_format: str = "channels_first"

    def forward(self, x: Any) -> Tensor:
        """The outputs for `x`, in the same data_format."""
        x = as_tensor(x)
        last = self.data_format == "channels_last"
        check_images(self.where(), x, self.axes, self.channels(), last)
        y = self.over(moveaxis(x, -1, 1) if last else x)
        return moveaxis(y, 1, -1) if last and y.ndim > 2 else y

    def channels(self) -> int | None:
        """How many channels the input must have, where that is known."""
        return None

    def over(self, x: Tensor) -> Tensor:
        """The outputs for images with channels first; every layer writes its own."""
        raise NotImplementedError


def check_format(where: str, data_format: str | None, default: str = "channels_first") -> str:
    """`data_format` when it is one; the default for None."""
    return lookup(where, "data_format", default if data_format is None else data_format, FORMATS)
