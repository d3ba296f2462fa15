"""How the numbers inside a model are spread: weights, and what the layers give out.

May import: base, core, nn, numpy, figure. To show other tensors of a model: a function that
collects them by name and calls `_histograms`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor
from pierian.viz.figure import BLUE, GREEN, INK, Path, panels, tidy, write

BINS = (10, 60)  # least and most; between them twice the root of how many numbers there are
SIZE = (3.4, 2.5)  # inches of one panel


def plot_weights(model: Any, path: Path = None) -> Any:
    """A histogram of the values of each parameter; exact zeros are counted, not drawn.

    Args:    path  a file to write; see `plot_history`.
    Raises:  ValueError when there are none; ShapeError when a layer still waits for its input
             size; ImportError without matplotlib.
    """
    found = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    return write(_histograms("plot_weights", found, BLUE, path), path)


def plot_activations(model: Any, *x: Any, path: Path = None) -> Any:
    """A histogram of what each layer gives out for one batch, in eval mode.

    Exact zeros are counted, not drawn: a ReLU layer near 100 % has died.

    Args:    x     the inputs of the model, one batch.
             path  a file to write; see `plot_history`.
    Raises:  ValueError when no layer gave out numbers; ImportError without matplotlib.
    """
    found: dict[str, list[np.ndarray]] = {}
    with contextlib.ExitStack() as after, no_grad():
        for name, module in model.named_modules():
            after.callback(setattr, module, "training", module.training)
            if not any(module.children()):
                outputs = found.setdefault(f"{name} {type(module).__name__}".lstrip(), [])
                after.callback(module.register_forward_hook(_keeper(outputs)).remove)
        model.eval()
        model(*x)
    called = {name: np.concatenate(parts) for name, parts in found.items() if parts}
    return write(_histograms("plot_activations", called, GREEN, path), path)


def _keeper(outputs: list[np.ndarray]) -> Any:
    """A hook that keeps the values of what a layer gives out."""

    def keep(module: Any, args: Any, output: Any) -> None:
        for part in output if isinstance(output, tuple | list) else [output]:
            if isinstance(part, Tensor):
                outputs.append(part.numpy().ravel().copy())

    return keep


def _histograms(where: str, arrays: Mapping[str, np.ndarray], colour: str, path: Path) -> Any:
    """A panel per array; zeros and what is not finite are counted, not drawn."""
    if not arrays:
        fix = "Pass a model with layers"
        raise ValueError(message(where, "there must be numbers to draw", "at least 1", 0, fix))
    figure, cells = panels(where, len(arrays), path, size=SIZE)
    for axes, (name, array) in zip(cells, arrays.items(), strict=True):
        finite = array[np.isfinite(array)].astype(np.float64)
        drawn = finite[finite != 0] if finite.any() else finite
        heights, edges = np.histogram(drawn, np.clip(int(2 * drawn.size**0.5), *BINS))
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.8)
        axes.axvline(0, color=INK, linewidth=0.6, alpha=0.4)
        axes.set_yticks([])
        axes.locator_params(axis="x", nbins=5)
        tidy(axes, name)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(_facts(array, finite), fontsize="small")
    return figure


def _facts(array: np.ndarray, finite: np.ndarray) -> str:
    """The line below a histogram."""
    if not finite.size:
        return f"none of {array.size} is finite" if array.size else "empty"
    facts = [f"mean {finite.mean():.2g}, std {finite.std():.2g}"]
    if zeros := np.count_nonzero(finite == 0):
        facts.append(f"{100 * zeros / array.size:.3g} % zeros")
    if lost := array.size - finite.size:
        facts.append(f"{lost} not finite")
    return ", ".join(facts)
