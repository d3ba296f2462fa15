"""Pictures on pyplot's axes, as the text draws them; `pierian.viz` draws finer ones.

May import: later, ops, viz through a door. To add one: a function that gives its axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.compat.fastai.later import plt
from pierian.ops.creation import linspace


def show_image(
    im: Any, ax: Any = None, figsize: Any = None, title: Any = None, cmap: str = "Greys",
    **options: Any,
) -> Any:  # fmt: skip
    """Draw one image; gives its axes.

    Shapes:  im (h, w), (1 or 3, h, w) or (h, w, 1 or 3 or 4); a picture of Pillow's too.
    Args:    ax  the axes to draw on; None for new ones. `options` go to `imshow`.
    Raises:  ShapeError for other shapes; ImportError without matplotlib.
    """
    from pierian.viz.images import pictures

    grid = pictures(np.asarray(im)[None])
    if grid is None:
        raise ShapeError(
            message("show_image", "it must be one image", "(h, w), (1 or 3, h, w) or (h, w, 3)",
                    f"shape {np.shape(im)}", "Pick one with x[0], or x.view(28, 28) a flat one")
        )  # fmt: skip
    ax = plt.subplots(figsize=figsize)[1] if ax is None else ax
    ax.imshow(grid[0], cmap=cmap, **options)
    ax.set_title(title)
    ax.axis("off")
    return ax


def show_images(ims: Iterable[Any], nrows: int = 1, titles: Any = None, **options: Any) -> None:
    """Draw images beside each other in `nrows` rows; see `show_image`."""
    given = list(ims)
    names = [None for _ in given] if titles is None else titles
    columns = -(-len(given) // nrows)
    axes = plt.subplots(nrows, columns, squeeze=False)[1].ravel()
    for ax in axes[len(given) :]:
        ax.axis("off")
    for im, title, ax in zip(given, names, axes, strict=False):
        show_image(im, ax, title=title, **options)


def plot_function(
    f: Callable[[Any], Any], tx: str | None = None, ty: str | None = None,
    title: str | None = None, min: float = -2, max: float = 2, figsize: Any = (6, 4),
) -> Any:  # fmt: skip
    """Draw f over [min, max]; gives the axes, on which pyplot goes on drawing.

    Args:  f  a function of a tensor of 100 numbers.  tx, ty  what the axes are called.
    """
    x = linspace(min, max, 100)
    ax = plt.subplots(figsize=figsize)[1]
    ax.plot(np.asarray(x), np.asarray(f(x)))
    ax.set(xlabel=tx, ylabel=ty, title=title)
    return ax
