"""The loss around a trained model, in a plane through its parameters.

May import: base, core, nn, numpy, figure, function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.module import Module
from pierian.viz.figure import INK, ORANGE, Path, panels, write
from pierian.viz.function import contours


def plot_loss_surface(
    model: Module, x: Any, y: Any, loss: Callable[[Any, Any], Tensor], span: float = 1.0,
    points: int = 21, seed: int = 0, path: Path = None,
) -> Any:  # fmt: skip
    """The loss around the parameters of `model`, along two random directions.

    Each filter (row of a Linear) of a direction is as long as that of the model, and biases and
    scales stay where they are, so that pictures of different models can be compared. The model
    runs points² times in eval mode; its parameters and mode are as before afterwards.

    Shapes:  x (b, ...), y whatever `loss` takes.
    Args:    loss    a function (pred, target) to a single number.
             span    how far to go each way; 1 is as far as the parameters are from 0.
             points  along each direction.
             seed    of the directions.
             path    a file to write; see `plot_history`.
    Raises:  ValueError for fewer than 3 points, or no parameter with two axes; ImportError without
             matplotlib.
    Source:  Li et al. 2018, arXiv:1712.09913.
    """
    where = "plot_loss_surface"
    kept = [(p, p.numpy().copy()) for p in model.parameters()]
    if points < 3 or not any(value.ndim > 1 for _, value in kept):
        must, fix = "there must be a surface to draw", "Pass a model with weights and points=21"
        raise ValueError(message(where, must, "points >= 3 and weights", f"points={points}", fix))
    random = np.random.default_rng(seed)
    directions = [[_direction(random, value) for _, value in kept] for _ in range(2)]
    at = np.linspace(-span, span, points)
    z = np.empty((points, points))
    modes = [(module, module.training) for module in Module.modules(model)]
    given, target = as_tensor(x), as_tensor(y)
    try:
        model.eval()
        with no_grad():
            for i, j in np.ndindex(points, points):
                for (p, value), u, v in zip(kept, *directions, strict=True):
                    p.copy_((value + at[j] * u + at[i] * v).astype(value.dtype))
                z[i, j] = loss(model(given), target).item()
    finally:
        with no_grad():
            for p, value in kept:
                p.copy_(value)
        for module, training in modes:
            module.training = training
    figure, (axes,) = panels(where, 1, path, size=(5.2, 4.2))
    drawn = contours(axes, at, at, z)
    figure.colorbar(drawn, ax=axes, label="loss", format="%.3g")
    label = f"the model: {z[points // 2, points // 2]:.3g}"
    axes.plot([0], [0], "*", color=ORANGE, markersize=14, markeredgecolor=INK, label=label)
    axes.legend(loc="upper right", fontsize="small")
    axes.set(xlabel="along the first direction", ylabel="along the second", aspect="equal")
    return write(figure, path)


def _direction(random: np.random.Generator, value: np.ndarray) -> np.ndarray:
    """A random direction whose filters are as long as those of `value`; zeros for vectors."""
    if value.ndim < 2:
        return np.zeros_like(value)
    rows = value.reshape(len(value), -1)
    found = random.standard_normal(rows.shape)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return (found * np.linalg.norm(rows, axis=1, keepdims=True) / length).reshape(value.shape)
