"""The confusion matrix as a picture.

May import: base, numpy, figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, lookup, message
from pierian.viz.figure import BLUE, INK, ORANGE, Path, names_of, panels, short, write

READABLE = 20  # classes up to which the cells have room for a number
LETTER = 0.085  # inches that one of a name takes
CELL = 0.55  # inches of one with a number
CROWD = 7.0  # inches of all cells without
AXES = {"true": 1, "pred": 0, "all": None}  # over which a share is taken


def plot_confusion_matrix(
    matrix: Any, classes: Any = None, normalize: str | None = None, path: Path = None
) -> Any:
    """What the examples of each class were taken for: a row per class, a column per prediction.

    What is right is blue, mistakes are orange; the deepest orange is the worst mistake, whether
    that is half of a row or a hundredth of it. Up to 20 classes have numbers in their cells.

    Shapes:  matrix (k, k), counts
    Args:    classes    the name of each class; None for their numbers.
             normalize  None: cells show counts. "true", "pred" or "all": they show percents of
                        their row, of their column, or of everything (scikit-learn's names).
                        Colours are shares of the row, or with "pred" of the column.
             path       a file to write; see `plot_history`.
    Raises:  ShapeError for what is no square, ValueError for counts below 0, other names or
             another normalize; ImportError without matplotlib.
    """
    where = "plot_confusion_matrix"
    counts = square(where, matrix)
    k = len(counts)
    names = [short(name) for name in names_of(where, classes, k)]
    if normalize is not None:
        lookup(where, "normalize", normalize, AXES)
    numbered = k <= READABLE
    longest = LETTER * max(map(len, names))
    side = max(CELL * k, 4 * CELL) if numbered else CROWD
    turned = longest > side / k
    size = (side + longest + 0.6, side + (longest if turned else 0.2) + 0.5)
    figure, (axes,) = panels(where, 1, path, size=size)
    colours = shares(counts, 0 if normalize == "pred" else 1)
    right = np.eye(k, dtype=bool)
    _paint(axes, BLUE, 0.5, np.where(right, colours, 0))
    _paint(axes, ORANGE, 0.85, np.where(right, 0, colours))
    if numbered:
        shown = counts if normalize is None else 100 * shares(counts, AXES[normalize])
        form = ".1f" if normalize else ".0f" if np.all(counts == counts.round()) else ".3g"
        _number(axes, shown, form)
    every = 1 if numbered else -(-k // 40)  # as many names as have room
    style: dict[str, Any] = {"fontsize": 9 if numbered else 7, "parse_math": False}
    axes.set_xticks(range(0, k, every), names[::every], rotation=90 * turned, **style)
    axes.set_yticks(range(0, k, every), names[::every], **style)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted (percent)" if normalize else "predicted")
    axes.set_ylabel("actual")
    return write(figure, path)


def square(where: str, matrix: Any) -> np.ndarray:
    """`matrix` as float64 counts.

    Raises:  ShapeError for what is not (k, k), ValueError for what is below 0 or NaN.
    """
    counts = np.asarray(matrix, np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError(
            message(where, "a confusion matrix has a row and a column per class",
                    "shape (k, k), k > 0", f"shape {counts.shape}",
                    "Pass the counts, rows what is true and columns what was predicted")
        )  # fmt: skip
    if not np.all(counts >= 0):
        raise ValueError(
            message(where, "a confusion matrix holds counts", "numbers >= 0",
                    f"{counts.min():g}", "Pass the counts of examples")
        )  # fmt: skip
    return counts


def shares(counts: np.ndarray, axis: int | None) -> np.ndarray:
    """`counts` divided by their sums along `axis`; 0 where there are none."""
    total = counts.sum(axis=axis, keepdims=True)
    return counts / np.where(total > 0, total, 1)


def _paint(axes: Any, colour: str, deepest: float, depth: np.ndarray) -> None:
    """Cells of one colour, as opaque as `depth` (k, k) says, the greatest being `deepest`."""
    from matplotlib.colors import to_rgb

    image = np.empty((*depth.shape, 4))
    image[..., :3] = to_rgb(colour)
    image[..., 3] = deepest * depth / (depth.max() or 1)
    axes.imshow(image, interpolation="none")


def _number(axes: Any, shown: np.ndarray, form: str) -> None:
    """A number in each cell that is not 0, and lines between the cells."""
    for i, j in zip(*np.nonzero(shown), strict=True):
        text = format(shown[i, j], form)
        axes.text(j, i, text, ha="center", va="center", fontsize=10 if len(text) < 5 else 8)
    edges = np.arange(len(shown) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=INK, alpha=0.1, linewidth=0.5)
