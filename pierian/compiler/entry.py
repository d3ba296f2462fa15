"""Entry: what `jit` has compiled for one kind of arguments, how it runs, and its gradient.

May import: the files of this room, base, core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.base.errors import GradError, message
from pierian.compiler.guard import Guard
from pierian.compiler.program import Program
from pierian.core.autodiff import alias, enable_grad, guard_saved, pullback, record_custom
from pierian.core.tensor import Tensor, bind, make, mode
from pierian.core.trace import Traced


class Entry:
    """What was compiled for one kind of arguments, and how to run it.

    Args:  fn       the function of the arguments, a list of tensors and numbers.
           numbers  for each argument the dtype that a number has in the program, None for a
                    tensor; a str, how it prints, for a number that is part of the program.
           words    the kind of each argument in words.
    """

    def __init__(
        self, fn: Callable[[list[Any]], Any], traced: Traced, program: Program, guard: Guard,
        numbers: list[Any], words: dict[str, str],
    ) -> None:  # fmt: skip
        self.fn, self.traced, self.guard = fn, traced, guard
        self.words, self.numbers = words, numbers
        self.plain = not guard.own and all(kind is None for kind in numbers)
        self.inside = [isinstance(kind, str) or i in guard.own for i, kind in enumerate(numbers)]
        self.program = program
        self.ends, self.results = any(traced.open), len(traced.open)
        self.backwards: dict[Any, Any] = {}
        # whether calls in a row do the same, and the last one leaves what all leave together
        looked_at = [id(owner) for owner, _ in traced.before]
        asked = [(id(state), name) for state, name, _ in traced.reads]
        self.repeatable = not any(id(owner) in looked_at for owner, _ in traced.grads)
        self.repeatable &= not any((id(state), name) in asked for state, name, _ in traced.changes)

    def fits(self, leaves: list[Any]) -> list[np.ndarray] | str:
        """The arrays to run on; in words, what does not fit."""
        if not self.plain:
            for kind, leaf in zip(self.numbers, leaves, strict=True):
                if isinstance(kind, str) and repr(leaf) != kind:
                    return f"a number changed {kind} -> {leaf!r}"
        found = self.guard.check(leaves)
        if isinstance(found, str):
            return found
        if self.plain:
            return [leaf.value for leaf in leaves] + found
        try:
            given = [
                leaf.value if kind is None else np.array(leaf, kind)
                for kind, leaf, inside in zip(self.numbers, leaves, self.inside, strict=True)
                if not inside
            ]
        except OverflowError:
            return "a number does not fit its dtype"
        return given + found

    def run(self, leaves: list[Any], arrays: list[np.ndarray], times: int = 1) -> list[Tensor]:
        """The leaves of the result; effects as if the function itself had run."""
        traced = self.traced
        for owner, _ in traced.grads:
            if isinstance(owner, int) and not leaves[owner].is_leaf:
                raise GradError(
                    message("jit", "backward inside stops at the arguments", "arguments that are "
                            "leaves", f"the result of {leaves[owner].node.name}",
                            "Detach the argument, or call backward outside")
                )  # fmt: skip
        values = self.program.run(arrays, times=times)
        if self.guard.updated:
            self.guard.stamp()
        results = [make(array) for array in values]
        if traced.grads or traced.changes:
            traced.leave(leaves, results[self.results :])
            del results[self.results :]
        return results

    def result(self, results: list[Tensor]) -> Any:
        """The result as the function gives it."""
        structure = self.traced.structure
        return results[0] if structure is trees.LEAF else trees.unflatten(structure, results)

    def open(self) -> list[bool]:
        """Of each leaf of the result, whether it may have a history."""
        taped = mode.watch is not None and not self.traced.grads
        return [taped or flag for flag in self.traced.open]

    def sources(self, leaves: list[Any]) -> bool:
        """Whether gradients of the result may be asked for after this call."""
        taped = mode.watch is not None and not self.traced.grads
        if not (mode.grad and (self.ends or taped)):
            return False
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)] + self.guard.captured
        if mode.watch is not None:
            mode.watch(tensors)
        return any(t.node is not None for t in tensors)

    def recorded(
        self, name: str, leaves: list[Any], arrays: list[np.ndarray], compiled: Any
    ) -> list[Tensor]:
        """As `run`, with the call on the tape; its gradient is `compiled` for itself."""
        guard = self.guard
        inputs = [_kept(t, t.value) if isinstance(t, Tensor) else t for t in leaves]
        count, updated = len(leaves), set(guard.updated)
        values = arrays[len(arrays) - len(guard.captured) :]
        for i, (tensor, value) in enumerate(zip(guard.captured, values, strict=True)):
            inputs.append(_kept(tensor, value.copy() if i in updated else value))
        results = self.run(leaves, arrays)
        wanted = [
            i
            for i, t in enumerate(inputs)
            if isinstance(t, Tensor) and t.node is not None and i not in guard.own
        ]
        opened = [
            flag and is_floating(y.dtype) for flag, y in zip(self.open(), results, strict=True)
        ]
        key = (*wanted, *opened)
        back = self.backwards.get(key)
        if back is None:
            pull_back = self._backward(count, wanted, opened)
            back = compiled(pull_back, pure=True, name=f"{name}, backward")
            self.backwards[key] = back
        tensors = [t for t in inputs if isinstance(t, Tensor)]
        check = guard_saved(name, tensors)

        def pull(grads: list[Tensor]) -> list[Tensor]:
            check()
            return back(inputs, grads)

        outputs = [y for y, flag in zip(results, opened, strict=True) if flag]
        record_custom(name, [inputs[i] for i in wanted], outputs, pull)
        return results

    def _backward(self, count: int, wanted: list[int], opened: list[bool]) -> Callable[..., Any]:
        """(arguments and captured tensors, gradients of open results) -> gradients of `wanted`."""

        def backward(inputs: list[Any], grads: list[Tensor]) -> list[Tensor]:
            points = [alias(t) if i in wanted else t for i, t in enumerate(inputs)]
            for i, tensor in self.guard.own.items():
                points[i] = tensor
            with _as_traced(self.guard, points[count:]), enable_grad():
                outputs = trees.leaves(self.fn(points[:count]))
                ends = [y.node for y, flag in zip(outputs, opened, strict=True) if flag]
            pairs = [(end, g) for end, g in zip(ends, grads, strict=True) if end is not None]
            nodes = [points[i].node for i in wanted]
            found = pullback(pairs, set(nodes), create_graph=True, retain=True)
            return [
                found[node] if node in found
                else bind("full", shape=inputs[i].shape, value=0.0, dtype=inputs[i].dtype)
                for i, node in zip(wanted, nodes, strict=True)
            ]  # fmt: skip

        return backward


def _kept(tensor: Tensor, value: np.ndarray) -> Tensor:
    """`value` with the history of `tensor`."""
    kept = make(value)
    kept.node = tensor.node
    return kept


@contextlib.contextmanager
def _as_traced(guard: Guard, values: list[Tensor]) -> Iterator[None]:
    """The outside as the trace found it, its tensors with the values and history of `values`."""
    before = [(t, t.value, t.node, t._grad, t.base) for t in guard.captured]
    moved = [(state, name, value, state.get(name)) for state, name, value in guard.attributes
             if state.get(name) is not value]  # fmt: skip
    try:
        for tensor, new in zip(guard.captured, values, strict=True):
            tensor.value, tensor.node, tensor.base = new.value, new.node, None
        for state, name, value, _ in moved:
            state[name] = value
        yield
    finally:
        for tensor, *rest in before:
            tensor.value, tensor.node, tensor._grad, tensor.base = rest
        for state, name, _, value in moved:
            state[name] = value
