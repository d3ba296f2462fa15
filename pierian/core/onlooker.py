"""Onlooker: sees everything that is computed, while it is computed at once as ever.

May import: base, primitive, tensor. It stands where a tracer stands, so that nobody pays for it
when it is not there. To make one: a subclass that overrides what it wants to see, calls `super()`,
and is used in a `with` block. Functions compiled by `jit` run eagerly under it.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from pierian.core.primitive import REGISTRY
from pierian.core.tensor import Tensor, explain, mode, stamp


class Onlooker:
    """Computes and assigns as `bind` and `assign` do without a tracer."""

    def __enter__(self) -> Self:
        self.before = mode.tracer
        mode.tracer = self
        return self

    def __exit__(self, *error: object) -> None:
        mode.tracer = self.before

    def add(self, name: str, values: list[Any], params: dict[str, Any]) -> np.ndarray:
        """The value of one primitive."""
        primitive = REGISTRY[name]
        try:
            return np.asarray(primitive.run(*values, **params))
        except Exception:
            explain(primitive, values, params)
            raise

    def lift(self, tensor: Tensor) -> Any:
        """The value of a tensor that is about to be used."""
        return tensor.value

    def constant(self, array: np.ndarray) -> Any:
        """The value of a tensor made from Python data."""
        return array

    def assign(self, target: Tensor, value: Any, moved: bool) -> None:
        """Replace a value in place; `moved` says that it gets new memory."""
        if moved:
            target.value = value
        else:
            np.copyto(target.value, value)
            stamp(target.value)


class Undo(Onlooker):
    """Puts everything that was assigned in its block back as it was: random states included."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Tensor, Any, Any, np.ndarray | None]] = {}

    def assign(self, target: Tensor, value: Any, moved: bool) -> None:
        if id(target) not in self.kept:
            before = None if moved else target.value.copy()
            self.kept[id(target)] = (target, target.node, target.value, before)
        super().assign(target, value, moved)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for target, node, memory, before in reversed(self.kept.values()):
            target.node, target.value = node, memory
            if before is not None:
                np.copyto(memory, before)
                stamp(memory)
