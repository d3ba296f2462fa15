"""Layers that make one tensor of several, for models with branches: Add, Concatenate …

May import: base, core, ops, module. In an `nn.Graph` operators do the same: `Add()([a, b])` is
a + b. To add one: a class with its function of two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.module import Module
from pierian.ops import elementwise as ew
from pierian.ops.movement import concat


class Merge(Module):
    """What makes one of a list by a function of two, which broadcasts.

    Shapes:  a list of (b, ...) -> (b, ...).
    """

    combine: Callable[[Any, Any], Tensor]

    def forward(self, inputs: Any) -> Tensor:
        """The inputs, combined."""
        return functools.reduce(type(self).combine, map(as_tensor, inputs))


class Add(Merge):
    """The sum. Shapes: a list of (b, ...) -> (b, ...)."""

    combine = staticmethod(ew.add)


class Subtract(Merge):
    """The first minus the second. Shapes: a list of two (b, ...) -> (b, ...)."""

    combine = staticmethod(ew.sub)


class Multiply(Merge):
    """The product, element by element. Shapes: a list of (b, ...) -> (b, ...)."""

    combine = staticmethod(ew.mul)


class Maximum(Merge):
    """The larger, element by element. Shapes: a list of (b, ...) -> (b, ...)."""

    combine = staticmethod(ew.maximum)


class Minimum(Merge):
    """The smaller, element by element. Shapes: a list of (b, ...) -> (b, ...)."""

    combine = staticmethod(ew.minimum)


class Average(Add):
    """The mean. Shapes: a list of (b, ...) -> (b, ...)."""

    def forward(self, inputs: Any) -> Tensor:
        """The mean of the inputs."""
        return super().forward(inputs) / len(inputs)


class Concatenate(Module):
    """All, one behind the other along `axis`. Shapes: a list of (b, ...) -> (b, ...).

    >>> Concatenate()([as_tensor([[1.0]]), as_tensor([[2.0, 3.0]])]).shape
    (1, 3)
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, inputs: Any) -> Tensor:
        """The inputs in a row."""
        return concat(list(inputs), self.axis)
