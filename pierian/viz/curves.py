"""Curves over the epochs of a run.

May import: numpy; matplotlib, inside the functions. To draw one more kind of curve: a function.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pierian.base.errors import message

SIZE = (4.5, 3.2)  # inches of one panel
DPI = 120


def plot_history(history: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """The learning curves of a run: a panel for the loss and for each metric.

    Works without a screen when `path` is given. Gives a matplotlib Figure; without a path it is
    one of pyplot's, which notebooks show by themselves and scripts with `pyplot.show()`.

    Args:    history  what `fit` returned, or its `.history`: name -> a number per epoch; the
                      names that begin with "val_" are drawn beside their partners.
             path     a file to write; its ending says in which format.
    Raises:  ImportError without matplotlib; ValueError when there is nothing to draw.
    """
    curves: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    names = [*dict.fromkeys(name.removeprefix("val_") for name in curves)]
    if not names:
        must = "there must be epochs to draw"
        raise ValueError(message("plot_history", must, "at least 1", 0, "Train first"))
    epochs = getattr(history, "epoch", None) or range(max(map(len, curves.values())))
    figure = _figure((SIZE[0] * len(names), SIZE[1]), shown=path is None)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for label, key, style in (("training", name, "o-"), ("validation", f"val_{name}", "s--")):
            if values := curves.get(key):
                every = len(epochs) // len(values)  # of validation_freq
                at = [epoch + 1 for epoch in epochs[every - 1 :: every]]
                axes.plot(at[: len(values)], values, style, markersize=3, label=label)
        axes.set(xlabel="epoch", title=name)
        axes.grid(alpha=0.3)
        axes.legend()
    if path is not None:
        figure.savefig(path, dpi=DPI)
    return figure


def _figure(size: tuple[float, float], shown: bool) -> Any:
    try:
        from matplotlib import figure, pyplot
    except ImportError as error:
        raise ImportError(
            message("plot_history", "pictures need matplotlib", "it installed", "no matplotlib",
                    "pip install 'pierian[viz]'")
        ) from error  # fmt: skip
    make: Any = pyplot.figure if shown else figure.Figure  # the latter needs no screen
    return make(figsize=size, layout="constrained")
