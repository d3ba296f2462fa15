"""Single numbers: two functions of one, and random ones from Python's `random`, in plain Python.

May import: base. Every draw is one `random.random()`, row by row, so that `random.seed(0)` gives
the text's own networks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from pierian.base.errors import lookup

__all__ = [
    "inverse_normal_cdf", "random_normal", "random_tensor", "random_uniform", "sigmoid", "tanh",
]  # fmt: skip

WIDEST = 10.0  # standard deviations between which inverse_normal_cdf looks
Numbers = Any  # a list of numbers, or of such lists


def sigmoid(t: float) -> float:
    """1 / (1 + e^-t) of one number, without overflow.

    >>> sigmoid(0.0)
    0.5
    """
    return 1 / (1 + math.exp(-t)) if t >= 0 else 1 - sigmoid(-t)


def tanh(x: float) -> float:
    """The hyperbolic tangent of one number."""
    return math.tanh(x)


def inverse_normal_cdf(
    p: float, mu: float = 0, sigma: float = 1, tolerance: float = 0.00001
) -> float:
    """The number below which a normal variable stays with probability `p`, found by halving.

    Source:  bisection between -10 and 10, as in the text, so that seeds give its numbers.

    >>> round(inverse_normal_cdf(0.975), 2)
    1.96
    """
    low, high = -WIDEST, WIDEST
    while high - low > tolerance:
        middle = (low + high) / 2
        if (1 + math.erf(middle / math.sqrt(2))) / 2 < p:
            low = middle
        else:
            high = middle
    return mu + sigma * middle


def nested(draw: Callable[[], float], dims: tuple[int, ...]) -> Numbers:
    """A nest of lists of lengths `dims`, each number drawn anew."""
    if not dims:
        return draw()
    return [nested(draw, dims[1:]) for _ in range(dims[0])]


def random_uniform(*dims: int) -> Numbers:
    """Numbers from [0, 1). Shapes: dims."""
    return nested(random.random, dims)


def random_normal(*dims: int, mean: float = 0.0, variance: float = 1.0) -> Numbers:
    """Normal numbers around `mean`. Shapes: dims.

    As in the text, `variance` is what a standard normal number is multiplied by: really the
    standard deviation.
    """
    return nested(lambda: mean + variance * inverse_normal_cdf(random.random()), dims)


def random_tensor(*dims: int, init: str = "normal") -> Numbers:
    """Numbers to start from. Shapes: dims.

    Args:    init  "normal", "uniform" in [0, 1), or "xavier": normal with "variance" (see
                   `random_normal`) number of dims / sum of dims.
    Raises:  ValueError for another init.
    """
    init = lookup("random_tensor", "init", init, ("normal", "uniform", "xavier"))
    if init == "uniform":
        return random_uniform(*dims)
    return random_normal(*dims, variance=len(dims) / sum(dims) if init == "xavier" else 1.0)
