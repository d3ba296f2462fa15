"""Python numbers as arguments: inputs of the program where that changes nothing else in it.

May import: core. A number takes its dtype from the tensor beside it, which a tensor does not. So
the function is traced twice, with the numbers as they are and with tensors in their place; when
the graphs differ in nothing but where the numbers come from, the second one serves all numbers.
Otherwise (a shape, an axis, arithmetic in Python) the number is part of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pierian.core.graph import Graph, Symbol
from pierian.core.tensor import Tensor
from pierian.core.trace import Traced, trace

NUMBERS = (int, float, complex, np.generic)


def as_inputs(
    fn: Callable[[list[Any]], Any], leaves: list[Any], own: dict[int, Tensor]
) -> tuple[Traced, list[Any]]:
    """The trace of `fn(leaves)`, and how each leaf comes into it.

    Args:     own  leaves that are not inputs: tensors that the function captures.
    Returns:  the trace; for each leaf None for a tensor, the dtype of a number that is an input,
              the `repr` of one that is part of the program.
    """
    numbers = [i for i, leaf in enumerate(leaves) if not isinstance(leaf, Tensor)]
    given = {i: leaf for i, leaf in enumerate(leaves) if i not in own and i not in numbers}
    plain = _trace(fn, leaves, given)
    if not numbers:
        return plain, [None] * len(leaves)
    kinds: list[Any] = [None] * len(leaves)
    for i in numbers:
        found = _dtype_of(plain.graph, leaves[i])
        kinds[i] = repr(leaves[i]) if found is None else found
    moving = [i for i in numbers if not isinstance(kinds[i], str)]
    if moving:
        values = {i: Tensor(np.array(leaves[i], kinds[i])) for i in moving}
        general = _attempt(fn, leaves, dict(sorted({**given, **values}.items())))
        if general is not None:
            order = sorted({**given, **values})
            inputs = {order.index(i): values[i].value for i in moving}
            if _same(plain.graph, general.graph, inputs):
                return general, kinds
    for i in moving:
        kinds[i] = repr(leaves[i])
    return plain, kinds


def _trace(fn: Callable[[list[Any]], Any], leaves: list[Any], given: dict[int, Any]) -> Traced:
    def of_given(*tensors: Tensor) -> Any:
        full = list(leaves)
        for i, tensor in zip(given, tensors, strict=True):
            full[i] = tensor
        return fn(full)

    traced = trace(of_given, *given.values())
    place = list(given)  # the trace counts what it was given, its reader all leaves

    def renumbered(pairs: list[Any]) -> list[Any]:
        return [(place[who] if isinstance(who, int) else who, what) for who, what in pairs]

    return replace(traced, grads=renumbered(traced.grads), before=renumbered(traced.before))


def _attempt(fn: Any, leaves: list[Any], given: dict[int, Any]) -> Traced | None:
    try:
        return _trace(fn, leaves, given)
    except Exception:  # Python needs the number itself: whatever it says, the first trace stands
        return None


def _dtype_of(graph: Graph, number: Any) -> np.dtype | None:
    """The dtype of the first constant of `graph` that is `number`."""
    found = (s.dtype for s, value in graph.constants.items() if _is(value, number))
    return next(found, None)


def _is(value: np.ndarray, number: Any) -> bool:
    if value.shape:
        return False
    with np.errstate(all="ignore"):
        try:
            return bool(np.array(number, value.dtype).tobytes() == value.tobytes())
        except (OverflowError, TypeError, ValueError):
            return False


def _same(plain: Graph, general: Graph, inputs: dict[int, np.ndarray]) -> bool:
    """Whether `general` is `plain` with `inputs`, by number, in the place of equal constants."""
    values = {general.inputs[i]: value for i, value in inputs.items()}
    rest = [s for s in general.inputs if s not in values]
    if len(rest) != len(plain.inputs) or len(plain.equations) != len(general.equations):
        return False
    partner: dict[Symbol, Symbol] = dict(zip(plain.inputs, rest, strict=True))

    def match(a: Symbol, b: Symbol) -> bool:
        constant = plain.constants.get(a)
        if constant is None:
            return partner.get(a) is b
        other = values.get(b, general.constants.get(b))
        return other is not None and (constant.dtype, constant.shape) == (
            other.dtype, other.shape
        ) and constant.tobytes() == other.tobytes()  # fmt: skip

    for one, two in zip(plain.equations, general.equations, strict=True):
        alike = one.primitive == two.primitive and repr(one.params) == repr(two.params)
        if not alike or len(one.inputs) != len(two.inputs):
            return False
        if not all(map(match, one.inputs, two.inputs)):
            return False
        partner[one.output] = two.output
    return len(plain.outputs) == len(general.outputs) and all(
        map(match, plain.outputs, general.outputs)
    )
