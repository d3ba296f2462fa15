"""Weights as images: rows of a Linear as the pictures they look for, filters of a convolution.

May import: base, core, numpy, figure, images.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.viz.figure import Path, panels, write

CELL = 1.25  # inches of one image
COLUMNS = 8


def plot_weights_as_images(
    layer: Any, shape: tuple[int, ...] | None = None, count: int = 32, path: Path = None
) -> Any:
    """The weights of a layer as images: orange below 0, purple above, white at 0.

    A Linear gives an image per row, a Conv2d one per filter and input channel; filters over three
    channels are one picture in colours, each stretched to 0 … 1.

    Args:    layer  a module with a `weight` of 2 or 4 axes, or such a tensor.
             shape  (h, w) of a row of a Linear; a square if None.
             count  how many images at most.
             path   a file to write; see `plot_history`.
    Raises:  ShapeError for weights that are no images; ValueError for count < 1; ImportError
             without matplotlib.
    """
    where = "plot_weights_as_images"
    if count < 1:
        must = "count must be a number of images"
        raise ValueError(message(where, must, ">= 1", count, "Pass count=32"))
    weight = np.asarray(getattr(layer, "weight", layer))
    images, titles = _images(where, weight, shape)
    images, titles = images[:count], titles[:count]
    figure, cells = panels(where, len(images), path, columns=COLUMNS, size=(CELL, CELL + 0.15))
    limit = float(np.abs(images).max()) or 1.0
    drawn = None
    for axes, image, title in zip(cells, images, titles, strict=True):
        if image.ndim == 3:
            low, high = image.min(), image.max()
            axes.imshow((image - low) / ((high - low) or 1.0), interpolation="nearest")
        else:
            drawn = axes.imshow(image, cmap="PuOr", vmin=-limit, vmax=limit,
                                interpolation="nearest")  # fmt: skip
        axes.set_title(title, fontsize=7)
        axes.set_axis_off()
    if drawn is not None:
        figure.colorbar(drawn, ax=cells, shrink=0.8, aspect=30)
    return write(figure, path)


def _images(
    where: str, weight: np.ndarray, shape: tuple[int, ...] | None
) -> tuple[np.ndarray, list[str]]:
    """(n, h, w) or (n, h, w, 3), and a title for each."""
    if weight.ndim == 4 and weight.size:
        if weight.shape[1] == 3:
            return np.moveaxis(weight, 1, -1), [str(i) for i in range(len(weight))]
        single = weight.shape[1] == 1
        titles = [str(i) if single else f"{i}, {j}" for i, j in np.ndindex(*weight.shape[:2])]
        return weight.reshape(-1, *weight.shape[2:]), titles
    if weight.ndim == 2 and weight.size:
        side = math.isqrt(weight.shape[1])
        wanted = shape or (side, side)
        if math.prod(wanted) == weight.shape[1]:
            return weight.reshape(-1, *wanted), [str(i) for i in range(len(weight))]
    given = f"weight of shape {weight.shape}" + (f" for {shape}" if shape else "")
    raise ShapeError(
        message(where, "the weights must be images", "(n, h · w) or (n, c, h, w)", given,
                "Pass the first layer, and shape=(h, w) where its rows are no squares")
    )  # fmt: skip
