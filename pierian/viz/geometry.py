"""What tensor operations do to the plane: points and a grid, before and after.

May import: base, core, ops, numpy, figure. To add a transformation to those that are drawn when
none is given: a row in `STANDARD`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.viz.figure import BLUE, GREEN, INK, ORANGE, Path, panels, tidy, write

# The outline of an F, which looks like none of its mirror images
LETTER = np.array(
    [(0, 0), (0, 2), (1.2, 2), (1.2, 1.6), (0.4, 1.6), (0.4, 1.2), (1, 1.2), (1, 0.8), (0.4, 0.8),
     (0.4, 0), (0, 0)], np.float32,
)  # fmt: skip
LINES, FINE = 7, 40  # grid lines each way, and points along each
TURN = np.pi / 5  # radians

_rotation = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]], np.float32)
_affine = np.array([[1.1, 0.7], [-0.5, 0.8]], np.float32)
_shift = np.array([-0.8, -0.5], np.float32)

Transform = Callable[[Tensor], Any]
STANDARD: dict[str, Transform] = {
    "translate: x + b": lambda x: x + _shift,
    "rotate: x @ R.T": lambda x: x @ _rotation.T,
    "scale: x * s": lambda x: x * np.array([1.4, 0.5], np.float32),
    "affine: x @ W.T + b": lambda x: x @ _affine.T + _shift,
    "affine + relu": lambda x: (x @ _affine.T + _shift).relu(),
}


def plot_geometry(
    points: Any = None, transform: Transform | Mapping[str, Transform] | None = None,
    path: Path = None,
) -> Any:  # fmt: skip
    """Points of the plane and the grid they lie on, before and after an operation.

    Shapes:  points (n, 2), joined in their order; the outline of an F if None.
    Args:    transform  a function of a tensor (n, 2) to one of the same shape, such as a layer;
                        several by name; translate, rotate, scale, affine and affine + relu if None.
             path       a file to write; see `plot_history`.
    Raises:  ShapeError for other points or results; ImportError without matplotlib.
    """
    where = "plot_geometry"
    given = np.asarray(LETTER if points is None else points, np.float32)
    _check(where, "points", given, (len(given), 2) if given.ndim else (1, 2))
    named = STANDARD if transform is None else transform
    if not isinstance(named, Mapping):
        name = getattr(named, "__name__", type(named).__name__)
        named = {"transform" if name == "<lambda>" else name: named}
    figure, cells = panels(where, len(named), path, columns=3, size=(3.6, 3.4))
    reach = 1.15 * max(float(np.abs(given).max()), 1e-3)
    grid = _grid(reach)
    for axes, (name, function) in zip(cells, named.items(), strict=True):
        after = _apply(where, function, given)
        for line in grid:
            moved = _apply(where, function, line)
            axes.plot(line[:, 0], line[:, 1], color=INK, linewidth=0.5, alpha=0.15)
            axes.plot(moved[:, 0], moved[:, 1], color=GREEN, linewidth=0.8, alpha=0.55)
        axes.plot(given[:, 0], given[:, 1], "--", color=BLUE, linewidth=1.4, label="before")
        axes.plot(after[:, 0], after[:, 1], "-", color=ORANGE, linewidth=2.2, label="after")
        tidy(axes, name)
        axes.grid(False)
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(loc="lower right", fontsize="small", framealpha=0.9)
    return write(figure, path)


def _grid(reach: float) -> list[np.ndarray]:
    """The lines of a square grid around 0, each (FINE, 2)."""
    along = np.linspace(-reach, reach, FINE, dtype=np.float32)
    lines = []
    for at in np.linspace(-reach, reach, LINES, dtype=np.float32):
        upright = np.stack([np.full_like(along, at), along], 1)
        lines += [upright, upright[:, ::-1]]
    return lines


def _apply(where: str, function: Transform, points: np.ndarray) -> np.ndarray:
    out = np.asarray(as_tensor(function(as_tensor(np.ascontiguousarray(points)))).detach())
    _check(where, "what transform gives", out, points.shape)
    return out


def _check(where: str, what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or not array.size:
        must, fix = f"{what} must be points of the plane", "Pass two numbers per point"
        raise ShapeError(message(where, must, f"shape {shape}", f"shape {array.shape}", fix))
