"""Pictures on pyplot's axes, as the text draws them, by `pierian.viz`.

May import: viz through a door. To add one: a function that gives its axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["plot_function", "show_image", "show_images"]


def show_image(
    im: Any, ax: Any = None, figsize: Any = None, title: Any = None, cmap: str = "Greys",
    **options: Any,
) -> Any:  # fmt: skip
    """Draw one image; gives its axes. Shapes, errors and the rest as in `viz.show_image`."""
    from pierian import viz

    figure = viz.show_image(im, title, ax, figsize=figsize, cmap=cmap, **options)
    return figure.axes[0] if ax is None else ax


def show_images(ims: Iterable[Any], nrows: int = 1, titles: Any = None, **options: Any) -> None:
    """Draw images beside each other in `nrows` rows; see `viz.show_images`."""
    from pierian import viz

    viz.show_images(list(ims), titles, rows=nrows, **{"cmap": "Greys"} | options)


def plot_function(
    f: Callable[[Any], Any], tx: str | None = None, ty: str | None = None,
    title: str | None = None, min: float = -2, max: float = 2, figsize: Any = (6, 4),
) -> Any:  # fmt: skip
    """Draw f over [min, max]; gives the axes, on which pyplot goes on drawing.

    Args:  f  a function of a tensor of numbers.  tx, ty  what the axes are called.
    """
    from pierian import viz

    figure = viz.plot_function({title or "": f}, min, max, derivative=False)
    figure.set_size_inches(figsize)
    figure.axes[0].set(xlabel=tx, ylabel=ty)
    return figure.axes[0]
