"""Random programs of views and in-place changes: eager, traced and PyTorch agree or say why not.

A program is a list of steps on numbered tensors. What one way of running computes another may
refuse with an error, but never compute something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pierian as pr
from pierian.core.tensor import Tensor
from pierian.core.trace import trace
from tests.oracle import NEEDS_TORCH

PROGRAMS = 400
LENGTH = 9

# name -> f(x, y, i): x and y are matrices (2, 2), i is 0 or 1. Words of both libraries only.
FRESH = {
    "sum": lambda x, y, i: x + y,
    "product": lambda x, y, i: x * y,
    "sine": lambda x, y, i: x.sin(),
    "square": lambda x, y, i: x * x,
    "clone": lambda x, y, i: x.clone(),
}
VIEWS = {
    "transpose": lambda x, y, i: x.T,
    "reshape": lambda x, y, i: x.reshape(4).reshape(2, 2),
    "slice": lambda x, y, i: x[0:2],
    "detach": lambda x, y, i: x.detach(),
}


def set_item(x: Any, y: Any, i: int) -> None:
    x[i] = y[1 - i]


def set_element(x: Any, y: Any, i: int) -> None:
    x[i, 0] = y[0, i]


def set_column(x: Any, y: Any, i: int) -> None:
    x[:, i] = 0.5


def add_item(x: Any, y: Any, i: int) -> None:
    x[i] += y[i]


CHANGES = {
    "add_": lambda x, y, i: x.add_(y),
    "mul_": lambda x, y, i: x.mul_(0.5),
    "zero_": lambda x, y, i: x.zero_(),
    "copy_": lambda x, y, i: x.copy_(y),
    "neg_": lambda x, y, i: x.neg_(),
    "row add_": lambda x, y, i: x[i].add_(1.0),
    "set item": set_item,
    "set element": set_element,
    "set column": set_column,
    "add item": add_item,
}
WORDS = [*FRESH, *VIEWS, *CHANGES]
PLAIN = sorted({*WORDS} - {"reshape"})  # whether it copies depends on the layout
RECORDED = sorted({*WORDS, "add_"} - {"detach", "zero_"})  # these leave the tape
Step = tuple[str, int, int, int]


def program(seed: int, words: list[str] = WORDS) -> list[Step]:
    rng = np.random.default_rng(seed)
    steps: list[Step] = []
    count = 3
    for _ in range(LENGTH):
        word = words[rng.integers(len(words))]
        steps.append((word, *map(int, rng.integers(0, count, 2)), int(rng.integers(2))))
        count += word not in CHANGES
    return steps


def run(steps: list[Step], tensors: list[Any], read: Any = lambda t: t) -> list[Any]:
    """All tensors after the program."""
    tensors = list(tensors)
    for word, a, b, i in steps:
        if word in CHANGES:
            CHANGES[word](tensors[a], read(tensors[b]), i)
        else:
            tensors.append((FRESH | VIEWS)[word](tensors[a], tensors[b], i))
    return tensors


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, 2)) for _ in range(3)]


def numbers(tensors: list[Any]) -> list[Any]:
    return [np.array(t.detach().tolist()) for t in tensors]


def test_traced_programs_do_what_eager_ones_do_or_say_why_not() -> None:
    refused = 0
    for seed in range(PROGRAMS):
        steps = program(seed)
        eager, state = ([pr.tensor(x) for x in start()] for _ in range(2))

        def step(steps: list[Step] = steps, state: list[Tensor] = state) -> list[Tensor]:
            return [t * 1.0 for t in run(steps, state)]

        try:
            traced = trace(step)
        except pr.TraceError:
            refused += 1
            continue
        for _ in range(2):
            expected = [t * 1.0 for t in run(steps, eager)]
            found = traced()
            same = zip(found + state, expected + eager, strict=True)
            assert all((a.numpy() == b.numpy()).all() for a, b in same), f"program {seed}: {steps}"
    assert refused < 0.8 * PROGRAMS, f"{refused} programs refused"


@NEEDS_TORCH
def test_plain_programs_do_what_pytorch_does() -> None:
    import torch

    for seed in range(PROGRAMS):
        steps = program(seed, PLAIN)
        ours = run(steps, [pr.tensor(x) for x in start()])
        # NumPy, and we, read an overlapping operand before writing; PyTorch leaves it undefined
        theirs = run(steps, [torch.tensor(x) for x in start()], read=torch.clone)
        for a, b in zip(numbers(ours), numbers(theirs), strict=True):
            np.testing.assert_allclose(a, b, err_msg=f"program {seed}: {steps}")


@NEEDS_TORCH
def test_recorded_programs_have_pytorchs_gradients_or_say_why_not() -> None:
    """Recorded changes give the changed tensor new memory: views taken before keep the old values.

    So the oracle is PyTorch with every change made to a clone that takes the tensor's place.
    """
    import torch

    def rebinding(steps: list[Step], tensors: list[Any]) -> list[Any]:
        for word, a, b, i in steps:
            if word in CHANGES:
                other, tensors[a] = tensors[b], tensors[a].clone()
                CHANGES[word](tensors[a], other, i)
            else:
                tensors.append((FRESH | VIEWS)[word](tensors[a], tensors[b], i))
        return tensors

    refused = 0
    for seed in range(PROGRAMS):
        steps = program(seed, RECORDED)
        leaves = [pr.tensor(x, requires_grad=True) for x in start()]
        others = [torch.tensor(x, requires_grad=True) for x in start()]
        try:
            ours = run(steps, [x * 1.0 for x in leaves])
            sum((t * t).sum() for t in ours).backward()
        except pr.GradError:
            refused += 1
            continue
        theirs = rebinding(steps, [x * 1.0 for x in others])
        sum((t * t).sum() for t in theirs).backward()
        for a, b in zip(numbers(ours), numbers(theirs), strict=True):
            np.testing.assert_allclose(a, b, err_msg=f"program {seed}: {steps}")
        for x, y in zip(leaves, others, strict=True):
            found = np.zeros((2, 2)) if x.grad is None else x.grad.numpy()
            expected = np.zeros((2, 2)) if y.grad is None else y.grad.numpy()
            np.testing.assert_allclose(found, expected, err_msg=f"program {seed}: {steps}")
    assert refused < 0.7 * PROGRAMS, f"{refused} programs refused"
