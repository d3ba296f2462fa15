"""PyTorch beside us, where it is installed: random problems, its checkpoints, its clipping."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import optim
from tests.optim import cases

torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
SHAPES = [(4, 3), (4,), (2, 3, 2)]


def twins(seed: int) -> tuple[list[Any], list[Any]]:
    random = np.random.default_rng(seed)
    values = [random.standard_normal(shape) for shape in SHAPES]
    ours = [pr.tensor(x, dtype="float64").requires_grad_() for x in values]
    return ours, [torch.tensor(x).requires_grad_() for x in values]


def advance(ours: Any, theirs: Any, steps: int, seed: int) -> None:
    """Steps with the same random gradients, of which some are missing at times."""
    random = np.random.default_rng(seed)
    for step in range(steps):
        pairs = zip(ours.param_groups, theirs.param_groups, strict=True)
        params = [pair for a, b in pairs for pair in zip(a["params"], b["params"], strict=True)]
        for i, (p, q) in enumerate(params):
            g = random.standard_normal(p.shape)
            late = i == 1 and step < 3  # a parameter that begins later
            p.grad = None if late else pr.tensor(g, dtype="float64")
            q.grad = None if late else torch.tensor(g)
        ours.step()
        theirs.step()


def assert_same(ours: Any, theirs: Any) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("row", cases.RULES)
def test_rule_is_pytorchs_with_parameters_that_begin_later(row: str) -> None:
    name, settings = cases.RULES[row]
    params, peers = twins(0)
    ours = getattr(optim, name)(params, **settings)
    advance(ours, getattr(torch.optim, name)(peers, **settings), 20, seed=1)
    assert_same(params, peers)


@pytest.mark.parametrize("row", cases.RULES)
def test_checkpoint_of_pytorch_goes_on_here(row: str) -> None:
    name, settings = cases.RULES[row]
    params, peers = twins(2)
    theirs = getattr(torch.optim, name)(peers, **settings)
    advance(getattr(optim, name)(params, **settings), theirs, 7, seed=3)
    other = [pr.tensor(q.detach().numpy().copy()).requires_grad_() for q in peers]
    ours = getattr(optim, name)(other, **{**settings, "lr": 0.5})
    ours.load_state_dict(theirs.state_dict())
    for p, q in zip(other, peers, strict=True):
        g = np.full(p.shape, 0.3)
        p.grad, q.grad = pr.tensor(g, dtype="float64"), torch.tensor(g)
    ours.step()
    theirs.step()
    assert_same(other, peers)


@pytest.mark.parametrize("name", sorted({name for name, _ in cases.RULES.values()}))
def test_constructor_has_pytorchs_order_and_defaults(name: str) -> None:
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    positional = [p for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional][:4] == list(theirs)[:4]
    for p in positional[1:]:
        assert p.default == theirs[p.name].default, p.name


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_clipping_is_pytorchs(p: float) -> None:
    params, peers = twins(4)
    for a, b in zip(params, peers, strict=True):
        g = np.random.default_rng(5).standard_normal(a.shape)
        a.grad, b.grad = pr.tensor(g, dtype="float64"), torch.tensor(g)
    found = optim.clip_grad_norm_(params, 0.7, p)
    expected = torch.nn.utils.clip_grad_norm_(peers, 0.7, p)
    assert found.item() == pytest.approx(expected.item())
    assert_same([a.grad for a in params], [b.grad for b in peers])
