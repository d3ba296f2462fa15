"""Onlookers: what is computed under them is what is computed without, and `Undo` undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.core.onlooker import Onlooker, Undo
from pierian.core.tensor import mode


def indexed() -> Any:
    x = pr.zeros(3, 4)
    view = x[1]
    x[0] = 1.0
    view += 2.0
    x[pr.tensor([2, 2])] = pr.arange(4.0)
    return x


def trained() -> Any:
    pr.manual_seed(0)
    model = nn.Sequential(nn.Dense(8, "relu"), nn.Dropout(0.5), nn.Dense(2))
    optimizer = None
    for _ in range(3):
        loss = nn.CrossEntropyLoss()(model(pr.randn(5, 4)), pr.tensor([0, 1, 0, 1, 1]))
        loss.backward()
        optimizer = optimizer or optim.AdamW(model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    return loss.detach(), *model.state_dict().values()


def compiled() -> Any:
    total = pr.zeros()

    @pr.jit
    def add(x: Any) -> Any:
        return total.add_(x) * 1

    return add.repeat(3, pr.tensor(2.0)), total


def assigned() -> Any:
    x = pr.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y += x  # recorded: new memory
    x.data = pr.tensor([5.0, 6.0])
    y.sum().backward()
    return x.detach(), y.detach(), x.grad


@pytest.mark.parametrize("run", [indexed, trained, compiled, assigned])
def test_the_same_bits_come_out_under_an_onlooker(run: Callable[[], Any]) -> None:
    alone = run()
    with Onlooker():
        seen = run()
    assert mode.tracer is None
    for a, b in zip(alone, seen, strict=True):
        assert (a.dtype, a.numpy().tobytes()) == (b.dtype, b.numpy().tobytes())


def test_errors_under_an_onlooker_are_the_usual_ones() -> None:
    with pytest.raises(pr.ShapeError, match="matmul"), Onlooker():
        pr.ones(2, 3) @ pr.ones(2, 3)
    assert mode.tracer is None


def test_undo_puts_back_values_memory_history_and_random_state() -> None:
    generator = pr.Generator(3)
    kept = pr.ones(3)
    memory, leaf = kept.value, pr.tensor([1.0], requires_grad=True)
    result = leaf * 2
    value, node = result.value, result.node
    with Undo():
        kept.add_(1.0)
        kept[0] = 7.0
        result *= 3.0
        first = pr.rand(2, generator=generator)
    assert kept.value is memory and kept.tolist() == [1.0] * 3
    assert result.value is value and result.node is node and result.item() == 2.0
    assert np.array_equal(first.numpy(), pr.rand(2, generator=generator).numpy())
