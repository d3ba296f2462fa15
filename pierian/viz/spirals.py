"""The crumpled paper: a small network learns two spirals, and is watched unfolding the plane.

May import: base, core, nn, optim, train, numpy, figure. Every block moves the points of the plane
a little, so that what the network does can be seen without projecting anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pierian import nn
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import as_tensor
from pierian.ops import random
from pierian.optim import Adam
from pierian.viz.figure import BLUE, DPI, INK, ORANGE, panels

TURNS = 1.25  # of each spiral
WIDTH = 32  # hidden units of a block
FRAMES = 12  # from one block to the next
HOLD = 18  # frames at the end
FAR = 1000  # beyond every edge of the picture
LINES, FINE = 13, 60  # of the grid
RATE, BATCH = 0.003, 100
GENTLE = 0.1  # how far a block moves at first, of what weights of usual size would do


class Block(nn.Module):
    """Moves each point of the plane by a small network of where it is."""

    def __init__(self) -> None:
        self.look = nn.Linear(2, WIDTH)
        self.move = nn.Linear(WIDTH, 2)
        with no_grad():
            self.move.weight.copy_(GENTLE * self.move.weight)

    def forward(self, x: Any) -> Any:
        return x + self.move(self.look(x).tanh())


def spirals(n: int = 200, noise: float = 0.02, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two spirals that are wound into each other: points (2n, 2) in -1 … 1 and classes (2n,).

    >>> x, y = spirals(5)
    >>> x.shape, y.tolist()
    ((10, 2), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    """
    noises = np.random.default_rng(seed)
    radius = np.linspace(0.12, 1, n)
    angle = 2 * np.pi * TURNS * radius
    arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    x = np.concatenate([arm, -arm]) + noise * noises.standard_normal((2 * n, 2))
    return x.astype(np.float32), np.repeat([0, 1], n)


def unfold_spirals(
    blocks: int = 8, epochs: int = 300, seed: int = 0, path: str | None = None
) -> Any:
    """Train a network on two spirals and show it unfolding them block by block.

    Notebooks show the animation; `.to_jshtml()` is its HTML, `.save("spirals.gif")` a file of it.
    The last block leaves two halves, which one straight line parts.

    Args:    blocks  how many times the plane is moved; epochs, of training, some seconds.
             seed    of the weights and the noise.
             path    a .gif or .html to write.
    Returns: a matplotlib FuncAnimation.
    Raises:  ValueError without blocks, or for another ending; ImportError without matplotlib.
    """
    where = "unfold_spirals"
    if blocks < 1 or epochs < 0 or (path is not None and not str(path).endswith((".gif", ".html"))):
        must, fix = "there must be something to show", 'Pass blocks=8 and path="spirals.gif"'
        raise ValueError(message(where, must, "blocks >= 1, .gif or .html", (blocks, path), fix))
    figure, (axes,) = panels(where, 1, "", size=(5.0, 5.2))
    x, y = spirals(seed=seed)
    model = _trained(x, y, blocks, epochs, seed)
    stages = [_stages(points, model) for points in (x, *_grid())]
    animation = _animated(figure, axes, y, stages, list(model)[-1])
    if str(path).endswith(".gif"):
        animation.save(path, writer="pillow", dpi=DPI // 2)
    elif path is not None:
        Path(path).write_text(animation.to_jshtml(), encoding="utf-8")
    animation._repr_html_ = animation.to_jshtml  # matplotlib's own needs a setting to be on
    return animation


def _trained(x: np.ndarray, y: np.ndarray, blocks: int, epochs: int, seed: int) -> nn.Sequential:
    """The network after training; the random state is as before."""
    before = random.default.state.numpy().copy()
    random.manual_seed(seed)
    try:
        model = nn.Sequential(*[Block() for _ in range(blocks)], nn.Linear(2, 1))
        model.compile(Adam(model.parameters(), lr=RATE), nn.BCEWithLogitsLoss())
        target = y[:, None].astype(np.float32)
        model.fit(x, target, batch_size=BATCH, epochs=epochs, verbose=0)
    finally:
        random.default.state.copy_(before)
    return model


def _stages(points: np.ndarray, model: nn.Sequential) -> np.ndarray:
    """Where points are before the first block, and after each: (blocks + 1, n, 2)."""
    found = [as_tensor(points)]
    with no_grad():
        for block in list(model)[:-1]:
            found.append(block(found[-1]))
    return np.stack([stage.numpy() for stage in found])


def _grid() -> list[np.ndarray]:
    """The lines of a sheet of paper, each (FINE, 2)."""
    along = np.linspace(-1.1, 1.1, FINE, dtype=np.float32)
    ways = [np.stack([np.full_like(along, at), along], 1)
            for at in np.linspace(-1.1, 1.1, LINES, dtype=np.float32)]  # fmt: skip
    return [np.ascontiguousarray(line) for way in ways for line in (way, way[:, ::-1])]


def _animated(figure: Any, axes: Any, y: np.ndarray, stages: list[np.ndarray], head: Any) -> Any:
    """Points and grid on their way from stage to stage; in the end the line that parts them."""
    from matplotlib.animation import FuncAnimation

    dots, *grid = stages
    last = len(dots) - 1
    lines = [axes.plot([], [], color=INK, linewidth=0.5, alpha=0.25)[0] for _ in grid]
    marks = [
        axes.plot([], [], mark, color=ink, markersize=4, markeredgewidth=0)[0]
        for mark, ink in (("o", BLUE), ("s", ORANGE))
    ]
    (border,) = axes.plot([], [], color=INK, linewidth=1.6)
    axes.set_aspect("equal")
    axes.set_axis_off()
    weight, bias = head.weight.numpy()[0], float(head.bias.numpy()[0])
    foot, along = -bias * weight / (weight @ weight), np.array([-weight[1], weight[0]])
    ends = foot + np.outer([-FAR, FAR], along / np.linalg.norm(along))

    def draw(frame: int) -> list[Any]:
        step = min(frame / FRAMES, last)
        layer = min(int(step), last - 1)
        part = 0.5 - 0.5 * np.cos(np.pi * (step - layer))  # slow at both ends
        points, *sheet = ((1 - part) * way[layer] + part * way[layer + 1] for way in stages)
        for kind, mark in enumerate(marks):
            mark.set_data(*points[y == kind].T)
        for line, bent in zip(lines, sheet, strict=True):
            line.set_data(*bent.T)
        if step == last:
            border.set_data(*ends.T)
        else:
            border.set_data([], [])
        low, high = points.min(0), points.max(0)
        reach = 0.6 * float((high - low).max())
        for middle, limit in zip((low + high) / 2, (axes.set_xlim, axes.set_ylim), strict=True):
            limit(middle - reach, middle + reach)
        done = "a line parts them" if step == last else f"block {layer + 1} of {last}"
        axes.set_title(done if frame else "two spirals")
        return [*lines, *marks, border]

    draw(0)
    return FuncAnimation(figure, draw, frames=FRAMES * last + HOLD, interval=60)
