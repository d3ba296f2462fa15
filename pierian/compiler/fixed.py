"""Compiled functions that always work in the same memory.

May import: jit, base, core. A call of `jit` costs more than the arithmetic of a network of five
neurons, and nearly all of it is looking whether anything has changed. Here only memory can.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.compiler.jit import jit
from pierian.core.tensor import Tensor


class Fixed:
    """`fn(*inputs)`, compiled, for ever new values in the memory of the tensors `inputs`.

    It is called with arrays or numbers, which are copied there, and gives the list of arrays that
    `fn` returns; they are the same ones at each call, so copy what is to be kept. Tensors that `fn`
    reads and assigns besides, and their gradients, may get other memory; `fn` may depend on nothing
    else. Threads wait for each other. No gradients flow through.

    >>> import numpy as np, pierian as pr
    >>> total, x = pr.zeros(2), pr.zeros(2)
    >>> add = Fixed(lambda x: total.add_(x).sum(), x)
    >>> [float(add(np.array([1.0, i]))[0]) for i in range(3)]
    [1.0, 3.0, 6.0]
    >>> total
    tensor([3., 3.], dtype=float32)
    """

    def __init__(self, fn: Callable[..., Any], *inputs: Tensor) -> None:
        self.fn, self.inputs = fn, inputs
        self.memory = [tensor.value for tensor in inputs]
        self.compiled = jit(lambda: fn(*inputs))
        self.places: list[tuple[Tensor, np.ndarray, Tensor | None]] = []  # where all else is
        self.lock = threading.Lock()
        self.run: Callable[[], list[np.ndarray]] = self._first

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (self.fn, *self.inputs)  # a copy of its owner works in memory of its own

    def __call__(self, *arrays: Any) -> list[np.ndarray]:
        with self.lock:
            for memory, array in zip(self.memory, arrays, strict=True):
                memory[...] = array
            for tensor, value, gradient in self.places:
                if tensor.value is not value or tensor._grad is not gradient:
                    self.run = self._first
                    break
            return self.run()

    def _first(self) -> list[np.ndarray]:
        """Compile, and run; without a compiler this is what runs each time."""
        result = [tensor.value for tensor in trees.leaves(self.compiled())]
        entry, arrays = self.compiled.find()
        if entry is not None:
            captured = zip(entry.guard.captured, arrays, strict=True)
            self.places = [(tensor, array, tensor._grad) for tensor, array in captured]
            self.run = entry.program.bound(arrays)
        return result
