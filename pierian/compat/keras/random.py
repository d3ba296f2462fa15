"""`keras.random`: random tensors, from the generator that `set_random_seed` seeds. Imports: ops."""

from __future__ import annotations

from typing import Any

from pierian.compat.keras.names import answer
from pierian.core.tensor import Tensor
from pierian.ops import random


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Normal numbers. Shapes: -> shape."""
    return random.normal(mean, stddev, shape, dtype)


def uniform(shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = "float32") -> Tensor:
    """Uniform numbers, from minval on and below maxval. Shapes: -> shape."""
    whole = str(dtype).startswith(("int", "uint"))
    return (random.randint if whole else random.uniform)(minval, maxval, shape, dtype)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32") -> Tensor:
    """Whole numbers, from minval on and below maxval. Shapes: -> shape."""
    return random.randint(minval, maxval, shape, dtype)


__getattr__ = answer(__name__, globals())
