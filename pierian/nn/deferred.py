"""Layers that learn their sizes from the first input: how their `build` is run, once.

May import: base, core. A module that writes `build(self, input_shape)` need do no more: `Module`
sees to it that `build` runs before its first call, and at most once.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.core.tensor import mode


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Compute at once even while a function is traced: new parameters are no part of its graph."""
    before, mode.tracer = mode.tracer, None
    try:
        yield
    finally:
        mode.tracer = before


def once(build: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method `build` of a module, run unless it has been; it gives back the module.

    It gets a shape also where a sample batch was given.
    """

    @functools.wraps(build)
    def first(module: Any, input_shape: Any) -> Any:
        if not module._built:
            shape = getattr(input_shape, "shape", input_shape)
            with untraced():
                build(module, shape)
            module._built, module._shape = True, shape
        return module

    return first


def from_json(told: Any) -> Any:
    """The shape, or shapes, that JSON has made lists of."""
    if isinstance(told, dict):
        return {name: from_json(part) for name, part in told.items()}
    return tuple(map(from_json, told)) if isinstance(told, list) else told


def shapes(x: Any = None) -> Any:
    """The shape of a batch, with None for its first axis; of each, if `x` is a list of them."""
    return trees.map_tree(lambda part: _shape(np.shape(part)), x)


def _shape(shape: tuple[int, ...]) -> tuple[int | None, ...]:
    return (None, *shape[1:]) if len(shape) > 1 else shape
