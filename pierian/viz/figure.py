"""What all pictures share: a figure of equal panels, its colours, and how it is written.

May import: base; matplotlib, inside `panels`. To change how every picture looks: `PALETTE` and
`tidy`. Nothing here touches matplotlib's settings, and with a path nothing touches pyplot.
"""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np

from pierian.base.errors import message

Path = str | os.PathLike[str] | IO[Any] | None  # where to write a picture, if anywhere

SIZE = (4.0, 3.0)  # inches of one panel
DPI = 150
PAD = 0.08  # inches around a panel
COLUMNS = 4  # panels beside each other, at most
INK, BLUE, ORANGE, GREEN = "#000000", "#0072b2", "#d55e00", "#009e73"
PALETTE = (BLUE, ORANGE, GREEN)  # of Okabe and Ito 2008, told apart by colour-blind eyes
LONGEST = 28  # characters of a name in a picture; what is longer loses its middle


def panels(
    where: str, count: int, path: Path, *, columns: int = COLUMNS, size: tuple[float, float] = SIZE
) -> tuple[Any, list[Any]]:
    """A figure and `count` empty panels in rows of `columns`; pyplot's where `path` is None.

    Raises:  ImportError without matplotlib.
    """
    need_matplotlib(where)
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = _figure((size[0] * columns, size[1] * rows), shown=path is None)
    figure.get_layout_engine().set(w_pad=PAD, h_pad=PAD)
    cells = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in cells[count:]:
        unused.remove()
    return figure, cells[:count]


def _figure(size: tuple[float, float], shown: bool) -> Any:
    if shown:
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, layout="constrained")
    from matplotlib.figure import Figure  # which needs no screen and no pyplot

    return Figure(figsize=size, layout="constrained")


def need_matplotlib(where: str) -> None:
    """Raise an ImportError that says how to get matplotlib, where it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            message(where, "pictures need matplotlib", "it installed", "no matplotlib",
                    "pip install 'pierian[viz]'")
        ) from error  # fmt: skip


def tidy(axes: Any, title: str = "", **labels: Any) -> None:
    """The frame of a panel with curves or bars: two spines, a faint grid, a title at the left."""
    axes.set(**labels)
    if title:
        axes.set_title(short(title), loc="left", fontweight="bold", parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    if any(not label.startswith("_") for label in axes.get_legend_handles_labels()[1]):
        axes.legend(frameon=False, fontsize="small")


def write(figure: Any, path: Path) -> Any:
    """The figure, written into `path` where there is one; its ending says in which format."""
    if path is not None:
        figure.savefig(path, dpi=DPI)
    return figure


def short(name: object, longest: int = LONGEST) -> str:
    """A name that fits over a panel or beside a row.

    >>> short("encoder.layers.11.attention.projection.weight")
    'encoder.layer…jection.weight'
    """
    text = str(name)
    half = longest // 2
    return text if len(text) <= longest else f"{text[: half - 1]}…{text[-half:]}"


def names_of(where: str, classes: Any, count: int) -> list[str]:
    """The name of each of `count` classes, their numbers where `classes` is None.

    Raises:  ValueError for another number of names.
    """
    names = [str(name) for name in (range(count) if classes is None else classes)]
    if len(names) != count:
        must = "classes must name every class"
        fix = "Pass one name per class, in the order of the labels"
        raise ValueError(message(where, must, f"{count} names", len(names), fix))
    return names


def numbers(where: str, what: str, values: Any) -> np.ndarray:
    """`values` as a float64 vector that is not empty.

    Raises:  ValueError for anything else.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            message(where, f"{what} must hold a number per step", "a list of at least 1",
                    f"a {type(values).__name__} of shape {np.shape(array)}",
                    "Pass what was recorded, flattened to one axis")
        )  # fmt: skip
    return array
