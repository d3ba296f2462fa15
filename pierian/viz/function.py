"""Functions with their derivatives, and gradient descent on them.

May import: base, core, optim, numpy, figure. Both take any function of tensors; derivatives are
those of the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.optim import SGD
from pierian.viz.figure import BLUE, GREEN, INK, ORANGE, Path, panels, tidy, write

POINTS = 601  # of a curve
GRID = 61  # points along each axis of a surface
LEVELS = 14  # of a surface, equally many places between any two
FAR = 3.0  # times the distance of the start, beyond which a path does not widen the picture

Function = Callable[[Tensor], Any]


def plot_function(
    f: Function | Mapping[str, Function] | Sequence[Function], low: float = -5.0,
    high: float = 5.0, derivative: bool = True, path: Path = None,
) -> Any:  # fmt: skip
    """One or more functions of a number, each with its derivative as the tape computes it.

    Args:    f           a function of tensors, element by element; several in a list, or by name.
             low, high   where to draw.
             derivative  draw the derivative too; False also takes functions of NumPy's.
             path        a file to write; see `plot_history`.
    Raises:  ValueError unless low < high; ShapeError when f changes the shape; ImportError without
             matplotlib.
    """
    where = "plot_function"
    if not low < high:
        must, fix = "low must lie below high", "Swap them"
        raise ValueError(message(where, must, "low < high", f"{low:g} and {high:g}", fix))
    named = _named(f)
    figure, cells = panels(where, len(named), path, columns=3)
    for axes, (name, function) in zip(cells, named.items(), strict=True):
        at = np.linspace(low, high, POINTS, dtype=np.float64)
        y, slope = _slope(where, function, at, derivative)
        axes.plot(at, y, color=BLUE, linewidth=2, label="f(x)" if derivative else None)
        if derivative:
            axes.plot(at, slope, "--", color=ORANGE, linewidth=1.6, label="f′(x)")
        tidy(axes, name, xlabel="x")
    return write(figure, path)


def _named(f: Any) -> dict[str, Function]:
    """The functions by what they are called."""
    if isinstance(f, Mapping):
        return dict(f)
    listed = list(f) if isinstance(f, list | tuple) else [f]
    names = [getattr(g, "__name__", type(g).__name__) for g in listed]
    titles = ["f" if name == "<lambda>" else name for name in names]
    return {t if titles.count(t) == 1 else f"{t} {i}": g
            for i, (t, g) in enumerate(zip(titles, listed, strict=True), 1)}  # fmt: skip


def _slope(
    where: str, f: Function, at: np.ndarray, derivative: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives of an elementwise function; zeros where these are not asked for."""
    x = Tensor(at).requires_grad_(derivative)
    y = as_tensor(f(x))
    if y.shape != x.shape:
        fix = "Pass a function that works element by element"
        must = "f must give a number for each number"
        raise ShapeError(message(where, must, x.shape, y.shape, fix))
    if y.node is None:  # it does not depend on x
        return y.numpy(), np.zeros_like(at)
    y.sum().backward()
    return y.numpy(), np.zeros_like(at) if x.grad is None else x.grad.numpy()


def plot_descent(
    f: Function, start: Any, rates: Sequence[float] = (0.02, 0.2, 1.02),
    momentum: float | Sequence[float] = 0.0, steps: int = 20, path: Path = None,
) -> Any:  # fmt: skip
    """Gradient descent from one start: a panel for each learning rate, a row for each momentum.

    The title says where the loss ended; a path that leaves the picture goes on outside.

    Args:    f         of a 0-d tensor, or of one of shape (2,), to a single number.
             start     a number, or a pair of them.
             rates     learning rates: too small, good and too large for x² by default.
             momentum  of `optim.SGD`; one, or several to compare.
             path      a file to write; see `plot_history`.
    Raises:  ShapeError for other starts; ValueError without rates or steps; ImportError without
             matplotlib.
    """
    where = "plot_descent"
    origin = np.asarray(start, np.float64)
    if origin.shape not in ((), (2,)):
        must, fix = "start must be a place on a line or in a plane", "Pass 2.0 or (2.0, 1.0)"
        raise ShapeError(message(where, must, "shape () or (2,)", origin.shape, fix))
    momenta = list(momentum) if isinstance(momentum, Sequence) else [momentum]
    if not len(rates) or not momenta or steps < 1:
        must, fix = "there must be steps to draw", "Pass rates=(0.1,) and steps=20"
        raise ValueError(message(where, must, "at least 1", 0, fix))
    ways = [(rate, m, *_descend(f, origin, rate, m, steps)) for m in momenta for rate in rates]
    low, high = _view(origin, [way for _, _, way, _ in ways])
    figure, cells = panels(where, len(ways), path, columns=len(rates))
    draw = _on_curve if origin.shape == () else _on_surface
    for axes, (rate, m, way, losses) in zip(cells, ways, strict=True):
        draw(axes, f, way, losses, low, high)
        title = f"lr {rate:g}" + (f", momentum {m:g}" if m else "")
        end = f"loss {losses[0]:.3g} → {losses[-1]:.3g} in {len(losses) - 1} steps"
        axes.set_title(f"{title}\n{end}", loc="left", fontsize="medium")
    return write(figure, path)


def _descend(
    f: Function, origin: np.ndarray, rate: float, momentum: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The places visited and the losses there."""
    x = Tensor(origin.copy()).requires_grad_()
    optimizer = SGD([x], lr=rate, momentum=momentum)
    way, losses = [origin], [f(x).item()]
    for _ in range(steps):
        optimizer.zero_grad()
        f(x).backward()
        optimizer.step()
        way.append(x.numpy().copy())
        losses.append(f(x).item())
        if not np.isfinite(losses[-1]):
            break
    return np.array(way), np.array(losses)


def _view(origin: np.ndarray, ways: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The corners of what is drawn: around all places that are not far off."""
    reach = FAR * max(float(np.abs(origin).max()), 1e-3)
    near = [p for way in ways for p in way if np.all(np.abs(p) <= reach)]
    low, high = np.min(near, axis=0), np.max(near, axis=0)
    pad = 0.2 * np.maximum(high - low, 0.4 * np.max(high - low)) + 1e-3
    return low - pad, high + pad


def _values(f: Function, places: np.ndarray) -> np.ndarray:
    return np.array([f(Tensor(place)).item() for place in places])


def _on_curve(axes: Any, f: Function, way: Any, losses: Any, low: Any, high: Any) -> None:
    at = np.linspace(low, high, POINTS // 3)
    y = _values(f, at)
    axes.plot(at, y, color=BLUE, linewidth=1.5)
    _trace(axes, way, losses)
    pad = 0.12 * (y.max() - y.min()) or 1.0
    tidy(axes, xlabel="x", ylabel="f(x)", xlim=(low, high), ylim=(y.min() - pad, y.max() + pad))


def _on_surface(axes: Any, f: Function, way: Any, losses: Any, low: Any, high: Any) -> None:
    x, y = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    places = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    contours(axes, x, y, _values(f, places).reshape(GRID, GRID))
    _trace(axes, way[:, 0], way[:, 1])
    axes.set(xlabel="x", ylabel="y", xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def contours(axes: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Any:
    """A surface as filled contours, with as many places between any two levels."""
    finite = z[np.isfinite(z)]
    levels = np.unique(np.quantile(finite, np.linspace(0, 1, LEVELS)))
    if len(levels) < 2:
        levels = np.array([levels[0] - 0.5, levels[0] + 0.5])
    axes.contour(x, y, z, levels, colors=INK, linewidths=0.4, alpha=0.35)
    from matplotlib.colors import BoundaryNorm

    return axes.contourf(
        x, y, z, levels, cmap="Blues_r", norm=BoundaryNorm(levels, 256), extend="max"
    )


def _trace(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """The steps, with a ring where they begin and a square where they end."""
    axes.plot(x, y, "o-", color=ORANGE, markersize=4, linewidth=1.3, markeredgecolor="white",
              markeredgewidth=0.5)  # fmt: skip
    axes.plot(x[:1], y[:1], "o", markersize=9, markerfacecolor="none", color=INK)
    axes.plot(x[-1:], y[-1:], "s", markersize=7, color=GREEN, markeredgecolor=INK)
