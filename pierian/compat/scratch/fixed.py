"""Compiled functions that always work in the same memory.

May import: compiler. A call of the engine costs more than the arithmetic of a network of five
neurons, and half of it is looking whether anything has changed. Here nothing can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.compiler.jit import jit


class Fixed:
    """`fn`, compiled: no arguments, no result. It reads tensors and assigns to them in place.

    From the second call on the program of the first one runs on the arrays that the tensors had
    then, so their memory must never be replaced, nor may `fn` depend on anything else.
    """

    def __init__(self, fn: Callable[[], None]) -> None:
        self.fn, self.compiled = fn, jit(fn)
        self.program: Any = None  # none yet, or the engine runs eagerly
        self.arrays: list[np.ndarray] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (self.fn,)  # a copy of its owner works in memory of its own

    def __call__(self) -> None:
        if self.program is not None:
            self.program.run(self.arrays)
            return
        self.compiled()
        for entries in self.compiled.entries.values():
            self.program = entries[0].program
            self.arrays = [tensor.value for tensor in entries[0].guard.captured]
