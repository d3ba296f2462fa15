"""Images in a grid, and those that a model got most wrong.

May import: base, core, numpy, figure. To draw another kind of example: `pictures` says what is an
image, `plot_top_losses` what is done with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.core.tensor import Tensor
from pierian.viz.figure import Path, names_of, panels, short, write

KINDS = "(n, h, w), (n, 1 or 3, h, w) or (n, h, w, 1 or 3 or 4)"
KIND = "(h, w), (1 or 3, h, w) or (h, w, 1 or 3 or 4)"
CELL = 1.9  # inches of one image
ALONE = (3.0, 3.0)  # of one that is alone
VALUES = 6  # of an example that is no image, shown in a table
TEXT = 60  # characters of one that is text


def show_image(
    image: Any, title: Any = None, ax: Any = None, path: Path = None, *,
    figsize: tuple[float, float] | None = None, **options: Any,
) -> Any:  # fmt: skip
    """One image, in a figure of its own or on axes that are there; gives the figure.

    Shapes:  image (h, w), (1 or 3, h, w) or (h, w, 1 or 3 or 4); a picture of Pillow's too
    Dtypes:  as in `show_images`.
    Args:    title    a line over it.
             ax       axes of matplotlib to draw on; None for new ones.
             path     a file to write; see `plot_history`.
             figsize  inches of a new figure.
             options  those of matplotlib's `imshow`, such as cmap="Greys" for black on white.
    Raises:  ShapeError for other shapes; ImportError without matplotlib.
    """
    where, array = "show_image", _array(image)
    grid = pictures(array[None])
    if grid is None:
        fix = "Pick one with x[0], or write x.view(28, 28) of a flat one"
        raise ShapeError(message(where, "it must be one image", KIND, f"shape {array.shape}", fix))
    if ax is None:
        _, (ax,) = panels(where, 1, path, size=figsize or ALONE)
    _paint(ax, grid[0], title, **options)
    return write(ax.figure, path)


def show_images(
    images: Any, titles: Any = None, columns: int | None = None, path: Path = None, *,
    rows: int | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Images in a grid.

    Shapes:  images (n, h, w), (n, 1 or 3, h, w) or (n, h, w, 1 or 3 or 4); or a list of single
             ones of several sizes
    Dtypes:  uint8 (0 … 255), bool, or floating: 0 … 1, anything else is stretched to it.
    Args:    titles   a line over each image.
             columns  images beside each other; None for a grid near a square, 8 at most.
             path     a file to write; see `plot_history`.
             rows     how many rows, in place of columns.
             options  those of matplotlib's `imshow`, as in `show_image`.
    Raises:  ShapeError for other shapes, ValueError for no images or another number of titles;
             ImportError without matplotlib.
    """
    where = "show_images"
    grid: Any = pictures(images)
    if grid is None and isinstance(images, list | tuple):
        grid = _each(images)
    if grid is None or not len(grid):
        got = "a list of other things" if grid == [] else f"shape {np.shape(images)}"
        fix = "Reshape them, or write images[None] around a single one"
        raise ShapeError(message(where, "images must be a batch of them", KINDS, got, fix))
    lines = [""] * len(grid) if titles is None else [str(title) for title in titles]
    if len(lines) != len(grid):
        fix = "Pass a title per image"
        must = "there must be a title for each image"
        raise ValueError(message(where, must, len(grid), len(lines), fix))
    for name, count in (("columns", columns), ("rows", rows)):
        if count is not None and count < 1:
            fix = f"Pass {name}=4 or leave it out"
            raise ValueError(message(where, f"{name} must be a number", ">= 1", count, fix))
    if rows is not None:
        columns = -(-len(grid) // rows)
    return write(_grid(where, grid, lines, columns, path, **options), path)


@dataclass(frozen=True, eq=False)
class Mistake:
    """One example and what a model made of it; see `top_losses`."""

    number: int  # which of the examples it is
    example: Any  # an image, a row of numbers or a text
    predicted: str
    actual: str
    loss: float
    probability: float | None = None  # of what was predicted

    @property
    def sure(self) -> str:
        """The probability as text; empty where it is not known."""
        return "" if self.probability is None else f"{self.probability:.3g}"


def top_losses(
    examples: Any, losses: Any, predicted: Any, actual: Any, classes: Any = None,
    probabilities: Any = None, k: int = 9,
) -> list[Mistake]:  # fmt: skip
    """The examples with the greatest losses, worst first; NaN is worse than any number.

    Shapes:  examples (n, ...) or a list of anything; losses, predicted and actual (n,)
    Dtypes:  predicted and actual integer
    Args:    classes        the name of each class; None for their numbers.
             probabilities  (n,), how sure the model was of what it predicted; or (n, classes).
             k              how many at most.
    Raises:  ShapeError for unequal lengths; ValueError for none at all, labels below 0, other
             names or k < 1.
    """
    where, n = "top_losses", len(examples)
    if k < 1 or not n:
        must = "there must be examples to show"
        raise ValueError(message(where, must, "at least 1", min(k, n), "Pass some"))
    loss = _column(where, "losses", losses, n, np.float64)
    said = _column(where, "predicted", predicted, n, np.int64)
    true = _column(where, "actual", actual, n, np.int64)
    if min(said.min(), true.min()) < 0:
        fix = "Leave out the examples without one"
        must = "labels count from 0"
        raise ValueError(message(where, must, ">= 0", min(said.min(), true.min()), fix))
    count = 1 + max(said.max(), true.max())
    names = names_of(where, classes, count if classes is None else max(count, len(classes)))
    sure = np.full(n, None)
    if probabilities is not None:
        given = _array(probabilities)
        if given.ndim == 2 and len(given) == n and given.shape[1] >= count:
            given = given[np.arange(n), said]
        sure = _column(where, "probabilities", given, n, np.float64)
    worst = np.argsort(np.where(np.isnan(loss), -np.inf, -loss), kind="stable")[:k]
    return [
        Mistake(
            i, examples[i], names[said[i]], names[true[i]], loss[i].item(),
            None if sure[i] is None else float(sure[i]),
        )
        for i in worst.tolist()
    ]  # fmt: skip


def plot_top_losses(
    images: Any, losses: Any, predicted: Any, actual: Any, classes: Any = None,
    probabilities: Any = None, k: int = 9, path: Path = None,
) -> Any:  # fmt: skip
    """The examples with the greatest losses, worst first, as a grid of images.

    Args:    images  as in `show_images`; rows of anything else become a table.
             path    a file to write; see `plot_history`. All else as in `top_losses`.
    Raises:  as `top_losses`; ImportError without matplotlib.
    """
    worst = top_losses(images, losses, predicted, actual, classes, probabilities, k)
    grid = pictures([mistake.example for mistake in worst])
    if grid is None:
        return write(_table("plot_top_losses", worst, path), path)
    lines = [
        f"said {short(one.predicted)}, is {short(one.actual)}\nloss {one.loss:.3g}"
        + (f", p = {one.sure}" if one.sure else "")
        for one in worst
    ]
    return write(_grid("plot_top_losses", grid, lines, None, path), path)


def pictures(images: Any) -> np.ndarray | None:
    """`images` as (n, h, w) or (n, h, w, 3 or 4) of float32 in 0 … 1; None when they are none."""
    if isinstance(images, list | tuple):
        if len({np.shape(_array(image)) for image in images}) != 1:
            return None
        images = np.stack([_array(image) for image in images])
    array = _array(images)
    if array.ndim == 4 and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    flat = array.ndim == 3
    coloured = array.ndim == 4 and array.shape[-1] in (3, 4)
    if array.dtype.kind not in "buif" or not array.size or not (flat or coloured):
        return None
    values = array.astype(np.float32)
    if array.dtype == np.uint8:
        return values / 255
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=0), finite.max(initial=1)
    return np.nan_to_num((values - low) / (high - low), nan=0, posinf=1, neginf=0)


def _each(images: Sequence[Any]) -> list[np.ndarray]:
    """Single images as `pictures` gives them, each by itself; none where one is no image."""
    given = [pictures(_array(image)[None]) for image in images]
    found = [grid[0] for grid in given if grid is not None]
    return found if len(found) == len(given) else []


def words(example: Any) -> str:
    """The beginning of an example that is no image."""
    if isinstance(example, str):
        return short(example, TEXT)
    values = np.ravel(_array(example)).tolist()
    shown = [f"{value:.3g}" if isinstance(value, float) else f"{value}" for value in values]
    return ", ".join([*shown[:VALUES], *(["…"] if len(shown) > VALUES else [])])


def _array(data: Any) -> np.ndarray:
    return data.numpy() if isinstance(data, Tensor) else np.asarray(data)


def _column(where: str, name: str, values: Any, n: int, dtype: Any) -> np.ndarray:
    """A number for each of `n` examples."""
    column = _array(values)
    if column.shape != (n,):
        must = f"{name} must hold a number per example"
        fix = "Pass as many as there are examples, in their order"
        raise ShapeError(message(where, must, f"shape ({n},)", f"shape {column.shape}", fix))
    return column.astype(dtype)


def _grid(
    where: str, grid: Any, lines: list[str], columns: int | None, path: Path,
    **options: Any,
) -> Any:  # fmt: skip
    """A figure of images with their lines above them."""
    longest = max(len(part) for line in lines for part in line.split("\n"))
    height = 0.18 * max(line.count("\n") + bool(line) for line in lines)
    width = max(CELL, 0.085 * longest)  # inches, of which a letter of 8 points needs about 0.085
    wanted = columns or min(8, int(np.ceil(np.sqrt(len(grid)))))
    figure, cells = panels(where, len(grid), path, columns=wanted, size=(width, CELL + height))
    for axes, image, line in zip(cells, grid, lines, strict=True):
        _paint(axes, image, line, fontsize=8, **options)
    return figure


def _paint(axes: Any, image: np.ndarray, line: Any, fontsize: Any = None, **options: Any) -> None:
    """An image of `pictures` with its line."""
    usual = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    axes.imshow(image, **usual | options)
    axes.set_title("" if line is None else str(line), fontsize=fontsize, parse_math=False)
    axes.set_axis_off()


def _table(where: str, worst: list[Mistake], path: Path) -> Any:
    """A figure with a line of text per example."""
    figure, (axes,) = panels(where, 1, path, size=(8.5, 0.6 + 0.3 * len(worst)))
    axes.set_axis_off()
    head = ["example", "said", "is", "loss", "p", "values"]
    cells = [
        [f"{one.number}", short(one.predicted), short(one.actual), f"{one.loss:.3g}", one.sure,
         words(one.example)]
        for one in worst
    ]  # fmt: skip
    left = {"cellLoc": "left", "colLoc": "left"}
    table = axes.table(cells, colLabels=head, loc="center", edges="horizontal", **left)
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.auto_set_column_width(range(len(head)))
    for (_, column), cell in table.get_celld().items():
        cell.PAD = 0.25 if column < len(head) - 1 else 0.05  # of the width of its text
        cell.get_text().set_parse_math(False)
    table.scale(1, 1.4)
    return figure
