"""Curves over the epochs and steps of a run.

May import: base, numpy, figure. To draw one more kind of curve: a function.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import lookup, message
from pierian.viz.figure import (
    BLUE,
    INK,
    ORANGE,
    PALETTE,
    Path,
    numbers,
    panels,
    tidy,
    write,
)

DOTS = 30  # epochs up to which each has a dot
WINDOWS = 50  # a smoothed curve looks back over the 50th part of the run
ROOM = 1.15  # of the range of the smoothed losses, that a picture of a diverging run shows


def plot_history(history: Any, path: Path = None, names: Iterable[str] | None = None) -> Any:
    """The learning curves of a run: a panel for the loss and for each metric.

    A ring marks the epoch with the lowest val_loss. Works without a screen when `path` is given.
    Gives a matplotlib Figure; without a path it is one of pyplot's, which notebooks show by
    themselves and scripts with `pyplot.show()`. All of `viz` is like this.

    Args:    history  what `fit` returned, or its `.history`: name -> a number per epoch; the
                      names that begin with "val_" are drawn beside their partners.
             path     a file to write; its ending says in which format.
             names    the panels to draw, such as ["accuracy"]; None for all.
    Raises:  ImportError without matplotlib; ValueError when there is nothing to draw, or no such
             name.
    """
    curves: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    known = [*dict.fromkeys(name.removeprefix("val_") for name, v in curves.items() if len(v))]
    if not known:
        must = "there must be epochs to draw"
        raise ValueError(message("plot_history", must, "at least 1", 0, "Train first"))
    chosen = [lookup("plot_history", "name", name, known) for name in names or known]
    epochs = getattr(history, "epoch", None) or range(max(map(len, curves.values())))
    best = _lowest(curves.get("val_loss", ()))
    figure, cells = panels("plot_history", len(chosen), path)
    for axes, name in zip(cells, chosen, strict=True):
        for label, key, colour, mark in (
            ("training", name, BLUE, "o-"), ("validation", f"val_{name}", ORANGE, "s--"),
        ):  # fmt: skip
            if len(values := curves.get(key, ())):
                every = max(len(epochs) // len(values), 1)  # of validation_freq
                at = [epoch + 1 for epoch in epochs[every - 1 :: every]][: len(values)]
                style = mark if len(epochs) <= DOTS else mark[1:]
                axes.plot(at, values, style, color=colour, markersize=3.5, label=label)
                if key.startswith("val_") and best is not None and best < len(at):
                    axes.scatter(
                        at[best], values[best], 90, facecolors="none", edgecolors=INK, zorder=3,
                        label=f"lowest val_loss: epoch {at[best]}",
                    )  # fmt: skip
        _count_along(axes, epochs[0] + 1, epochs[-1] + 1)
        tidy(axes, name, xlabel="epoch")
    return write(figure, path)


def plot_losses(
    losses: Any, valid: Sequence[tuple[float, float]] | None = None, skip: int = 0,
    path: Path = None,
) -> Any:  # fmt: skip
    """The training loss of every step, raw and smoothed, and validation losses between them.

    Shapes:  losses (steps,)
    Args:    valid  pairs of the number of steps done and the loss found then.
             skip   first steps to leave out, whose losses are often too high to see the rest.
             path   a file to write; see `plot_history`.
    Raises:  ValueError when there is nothing to draw; ImportError without matplotlib.
    """
    where = "plot_losses"
    values = numbers(where, "losses", losses)
    if not 0 <= skip < len(values):
        fix = "Skip fewer steps"
        must = "skip must leave steps to draw"
        raise ValueError(message(where, must, f"0 … {len(values) - 1}", skip, fix))
    figure, (axes,) = panels(where, 1, path, size=(6.5, 3.6))
    at = np.arange(skip, len(values)) + 1
    _smoothed(axes, at, values[skip:], smooth(values)[skip:])
    points = [(step, loss) for step, loss in (valid or ()) if step > skip]
    if points:
        axes.plot(*zip(*points, strict=True), "s--", color=ORANGE, markersize=4, label="validation")
    _count_along(axes, at[0], at[-1])
    tidy(axes, "loss", xlabel="step")
    return write(figure, path)


def plot_lr_find(lrs: Any, losses: Any, suggestion: float | None = None, path: Path = None) -> Any:
    """The loss over the learning rate that rose while it was measured.

    Shapes:  lrs (steps,), all > 0, losses (steps,)
    Args:    suggestion  the learning rate to mark.
             path        a file to write; see `plot_history`.
    Raises:  ValueError when there is nothing to draw or no logarithm of it; ImportError without
             matplotlib.
    """
    where = "plot_lr_find"
    at, values = numbers(where, "lrs", lrs), numbers(where, "losses", losses)
    rates = at if suggestion is None else np.append(at, suggestion)
    if len(at) != len(values) or not np.all(rates > 0):
        raise ValueError(
            message(where, "there must be a learning rate > 0 for each loss",
                    f"{len(values)} of them", f"{len(at)}, the lowest {rates.min():g}",
                    "Pass both as lr_find recorded them")
        )  # fmt: skip
    figure, (axes,) = panels(where, 1, path, size=(5.5, 3.6))
    curve = smooth(values)
    _smoothed(axes, at, values, curve)
    axes.set_xscale("log")
    _keep_in_sight(axes, curve)
    if suggestion is not None:
        axes.axvline(suggestion, color=ORANGE, linestyle="--", linewidth=1)
        height = np.interp(suggestion, at[np.isfinite(curve)], curve[np.isfinite(curve)])
        label = f"suggestion: {suggestion:.2g}"
        axes.plot([suggestion], [height], "o", color=ORANGE, markersize=8, label=label)
    tidy(axes, "loss", xlabel="learning rate")
    return write(figure, path)


def plot_schedule(values: Mapping[str, Any], path: Path = None) -> Any:
    """What changed from step to step by plan: the learning rate, momentum, …; a panel each.

    Args:    values  name -> a number per step.
             path    a file to write; see `plot_history`.
    Raises:  ValueError when there is nothing to draw; ImportError without matplotlib.
    """
    where = "plot_schedule"
    if not values:
        fix = "Pass a dict of name to values, such as {'lr': recorder.lrs}"
        raise ValueError(message(where, "there must be values to draw", "at least 1", 0, fix))
    curves = {name: numbers(where, repr(name), numbers_) for name, numbers_ in values.items()}
    figure, cells = panels(where, len(curves), path)
    for i, (axes, (name, curve)) in enumerate(zip(cells, curves.items(), strict=True)):
        at = np.arange(len(curve)) + 1
        axes.plot(at, curve, "o-" if len(curve) == 1 else "-", color=PALETTE[i % len(PALETTE)])
        _count_along(axes, 1, len(curve))
        tidy(axes, name, xlabel="step")
    return write(figure, path)


def smooth(values: np.ndarray) -> np.ndarray:
    """The moving average of `values` with weights that fade over a 50th part of them.

    The weights sum to 1 from the first step on; a NaN or inf stays where it is and spoils nothing
    behind it.

    >>> smooth(np.array([4.0, 2.0, float("nan"), 0.0])).tolist()
    [4.0, 2.0, nan, 0.0]
    >>> smooth(np.arange(200.0))[-1].round(1).item()
    196.0
    """
    keep = 1 - 1 / max(1, len(values) / WINDOWS)
    total = weight = 0.0
    out = np.empty(len(values))
    for i, value in enumerate(values):
        if math.isfinite(value):
            total = keep * total + value
            weight = keep * weight + 1
            out[i] = total / weight
        else:
            out[i] = value
    return out


def _lowest(values: Sequence[float]) -> int | None:
    """Where the lowest of at least two numbers is; None where there is nothing to choose."""
    finite = [value if math.isfinite(value) else math.inf for value in values]
    lowest = min(finite, default=math.inf)
    return finite.index(lowest) if len(finite) > 1 and lowest < math.inf else None


def _smoothed(axes: Any, at: np.ndarray, values: np.ndarray, curve: np.ndarray) -> None:
    """Draw `values` faintly and the curve of their averages over them."""
    if len(values) > WINDOWS:
        axes.plot(at, values, color=BLUE, alpha=0.35, linewidth=0.8, label="each step")
        label = "smoothed"
    else:
        label = "training"
    axes.plot(at, curve, "-" if len(at) > DOTS else "o-", color=BLUE, markersize=3.5, label=label)


def _keep_in_sight(axes: Any, curve: np.ndarray) -> None:
    """Limit the heights to where the curve begins and falls, not to where it diverges."""
    finite = curve[np.isfinite(curve)]
    if len(finite):
        low, start = finite.min(), finite[: max(1, len(finite) // 10)].max()
        if start > low:
            axes.set_ylim(start - ROOM * (start - low), low + ROOM * (start - low))


def _count_along(axes: Any, first: int, last: int) -> None:
    """An axis of whole numbers from `first` to `last`, which may be the same."""
    edge = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - edge, last + edge)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
