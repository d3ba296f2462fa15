"""Small problems that a network really has to learn, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.base import notice


@dataclass(frozen=True)
class Problem:
    """Inputs and targets, to train on and to test with."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Every test has the same random numbers, and notices have not been given yet."""
    pr.manual_seed(0)
    notice.said.clear()
    yield
    notice.said.clear()


@pytest.fixture(scope="session")
def blobs() -> Problem:
    """Three noisy clouds of points in the plane, mixed: the class is to be told."""
    draw = np.random.default_rng(0)
    centres = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    y = draw.integers(0, 3, 500)
    x = (centres[y] + 0.5 * draw.standard_normal((500, 2))).astype(np.float32)
    return Problem(x[:400], y[:400], x[400:], y[400:])


@pytest.fixture(scope="session")
def waves() -> Problem:
    """sin(3x) on [-1, 1]: a number is to be told."""
    x = np.linspace(-1, 1, 256, dtype=np.float32)[:, None]
    y = np.sin(3 * x)
    return Problem(x, y, x[::4], y[::4])


def network(*sizes: int) -> nn.Sequential:
    """A ReLU network with these widths, that knows its input size."""
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
