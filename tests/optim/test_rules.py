"""The update rules: PyTorch's trajectories, curves they descend, and sums done by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import optim
from pierian.base.errors import GradError
from pierian.core.tensor import Tensor
from pierian.optim import rules
from tests.optim import cases

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
CLASSES = {name: getattr(optim, name) for name, _ in cases.RULES.values()}


def leaf(values: Any, dtype: str = "float64") -> Tensor:
    return pr.tensor(values, dtype=dtype).requires_grad_()


def trajectory(row: str, dtype: str) -> dict[str, np.ndarray]:
    """What a rule of the table does to the logistic problem."""
    name, settings = cases.RULES[row]
    w, b = leaf(cases.W0, dtype), leaf(cases.B0, dtype)
    x, y = pr.tensor(cases.X, dtype=dtype), pr.tensor(cases.Y, dtype=dtype)
    optimizer = CLASSES[name]([w, b], **settings)
    found = {}
    for step in range(1, cases.STEPS + 1):
        optimizer.zero_grad()
        cases.logistic(w, b, x, y).backward()
        optimizer.step()
        if step in cases.CHECKPOINTS:
            found[str(step)] = np.concatenate([w.numpy().ravel(), b.numpy()])
    return found


@pytest.mark.parametrize("row", cases.RULES)
def test_rule_follows_pytorch_in_float64(row: str) -> None:
    found, expected = trajectory(row, "float64"), GOLDEN["rules"][row]
    assert found.keys() == expected.keys()
    for step, values in expected.items():
        np.testing.assert_allclose(found[step], values, rtol=0, atol=1e-11, err_msg=step)


@pytest.mark.parametrize("row", cases.RULES)
def test_rule_follows_pytorch_in_float32(row: str) -> None:
    for step, values in trajectory(row, "float32").items():
        assert values.dtype == np.float32
        expected = GOLDEN["rules"][row][step]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5, err_msg=step)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("curve", ["parabola", "rosenbrock"])
@pytest.mark.parametrize("name", cases.CURVES)
def test_rule_finds_the_minimum(name: str, curve: str, dtype: str) -> None:
    case = cases.CURVES[name]
    p = leaf(cases.START[curve], dtype)
    optimizer = CLASSES[name]([p], **getattr(case, curve))
    for _ in range(case.steps):
        optimizer.zero_grad()
        getattr(cases, curve)(p).backward()
        optimizer.step()
    assert p.dtype == dtype
    assert np.abs(p.numpy() - cases.MINIMUM[curve]).max() < 0.02


def subclasses(kind: type) -> set[type]:
    below = {c for c in kind.__subclasses__() if c.__module__.startswith("pierian.")}
    return below.union(*map(subclasses, below)) if below else below


def test_every_rule_is_in_the_tables() -> None:
    ours = [k for k in subclasses(optim.Optimizer) if k.__module__ == rules.__name__]
    names = {kind.__name__ for kind in ours}
    assert names == {name for name, _ in cases.RULES.values()} == set(cases.CURVES)
    assert names == {kind.__name__ for kind, _ in rules.NAMES.values()}
    assert names <= set(optim.__all__)
    assert GOLDEN["rules"].keys() == cases.RULES.keys()


def test_every_setting_is_in_the_tables() -> None:
    for name, kind in CLASSES.items():
        used = {key for rule, row in cases.RULES.values() if rule == name for key in row}
        inherited = {"eps", "betas"} if name == "AdamW" else set()
        assert used | inherited >= set(kind(None).defaults), name


@pytest.mark.parametrize("name", CLASSES)
def test_rule_says_where_it_is_from(name: str) -> None:
    assert "Source:" in str(CLASSES[name].__doc__)
    assert ">>>" in str(CLASSES[name].__doc__)


def test_adam_matches_paper_update_by_hand() -> None:
    p = leaf([2.0])
    optimizer = optim.Adam([p], lr=0.1, betas=(0.5, 0.75), eps=0.25)
    m = v = 0.0
    expected = 2.0
    for t, g in enumerate([1.0, -3.0, 0.5], start=1):
        p.grad = pr.tensor([g], dtype="float64")
        optimizer.step()
        m, v = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g
        corrected, root = m / (1 - 0.5**t), math.sqrt(v / (1 - 0.75**t))
        expected -= 0.1 * corrected / (root + 0.25)
        assert p.item() == pytest.approx(expected, abs=1e-14)


def test_sgd_takes_the_first_gradient_undampened() -> None:
    p = leaf([0.0])
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.75)
    seen = []
    for g in (1.0, 2.0):
        p.grad = pr.tensor([g], dtype="float64")
        optimizer.step()
        seen.append(p.item())
    assert seen == [-1.0, -1.0 - (0.5 * 1.0 + 0.25 * 2.0)]


def test_centered_rmsprop_survives_a_constant_gradient() -> None:
    p = leaf([0.1, 0.3], "float32")
    optimizer = optim.RMSprop([p], alpha=0.5, centered=True, eps=1e-3)
    for _ in range(200):  # v and the squared mean become equal but for rounding
        p.grad = pr.tensor([1.1, 3.3])
        optimizer.step()
    assert np.isfinite(p.numpy()).all()


@pytest.mark.parametrize("row", cases.RULES)
def test_update_changes_nothing_in_place(row: str) -> None:
    name, settings = cases.RULES[row]
    p = leaf([1.0, -2.0])
    p.grad = pr.tensor([0.5, 0.25], dtype="float64")
    optimizer = CLASSES[name]([p], **settings)
    optimizer.init_state()
    state = optimizer.state[p]
    group = optimizer.param_groups[0]
    k = {key: x for key, x in group.items() if isinstance(x, Tensor)}
    before = {key: x.numpy().copy() for key, x in {**state, "p": p, "g": p.grad}.items()}
    with pr.no_grad():
        new, slots = optimizer.update(
            p, p.grad, state, k | optimizer.scalars(group, state["step"] + 1)
        )
    assert (new.numpy() != p.numpy()).all()
    assert slots.keys() == state.keys() - {"step"}
    for key, x in {**state, "p": p, "g": p.grad}.items():
        np.testing.assert_array_equal(x.numpy(), before[key], err_msg=key)


@pytest.mark.parametrize("row", cases.RULES)
def test_rule_keeps_gradients_and_state_in_one_dtype(row: str) -> None:
    name, settings = cases.RULES[row]
    p, q = leaf([1.0, -2.0], "float32"), leaf([1.0, -2.0], "float64")
    for x in (p, q):
        x.grad = pr.tensor([0.5, 0.25], dtype=x.dtype)
    optimizer = CLASSES[name]([p, q], **settings)
    optimizer.step()
    np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-6)
    for x in (p, q):
        dtypes = {key: slot.dtype for key, slot in optimizer.state[x].items()}
        assert dtypes.pop("step") == "float64"
        assert set(dtypes.values()) <= {x.dtype}


# By name

KERAS = {
    "sgd": {"lr": 0.01, "momentum": 0.0, "nesterov": False},
    "rmsprop": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "momentum": 0.0, "centered": False},
    "adagrad": {"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7},
    "adadelta": {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
    "adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7, "amsgrad": False},
    "adamw": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7, "weight_decay": 4e-3},
}


@pytest.mark.parametrize("name", rules.NAMES)
def test_name_has_keras_defaults(name: str) -> None:
    settings = optim.get(name, [leaf([1.0])]).param_groups[0].plain()
    assert KERAS[name] == {key: settings[key] for key in KERAS[name]}
    assert type(optim.get(name.upper())).__name__.lower() == name


def test_get_takes_names_classes_functions_and_objects() -> None:
    p = leaf([1.0])
    assert float(optim.get("adam", [p], learning_rate=0.5).lr) == 0.5
    assert float(optim.get(optim.SGD, [p], lr=0.25).lr) == 0.25
    assert float(optim.get(lambda params: optim.SGD(params, 0.125), [p]).lr) == 0.125
    ready = optim.Adam([p])
    assert optim.get(ready, [leaf([2.0])]) is ready
    assert len(ready.param_groups) == 1
    empty = optim.Adam(learning_rate=0.5)
    assert optim.get(empty, [p]) is empty
    assert empty.param_groups[0]["params"] == (p,)


class Descent:
    """An optimizer as users write one."""

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0) -> None:
        self.params, self.lr, self.weight_decay = params, lr, weight_decay

    def step(self) -> None:
        for p in self.params:
            p.data -= p.grad * self.lr

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None


def test_get_takes_a_class_of_the_users_own() -> None:
    p, q = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = optim.get(Descent, [{"params": [p]}, {"params": [q]}], lr=0.5)
    assert not optimizer.compiled and repr(optimizer) == "Descent(2 parameters, lr=0.5)"
    for lr, expected in ((0.5, [0.0, 0.0]), (0.25, [0.0, 0.0])):
        optimizer.lr = lr
        assert optimizer.step(lambda: (p * p).sum().backward() or q.sum().backward()) is None
        assert p.tolist() == expected
        optimizer.zero_grad()
    assert q.tolist() == [2.25] and p.grad is None  # q fell by 0.5 and by 0.25
    late = optim.get(Descent, weight_decay=0.5)
    late.zero_grad()
    with pytest.raises(ValueError, match="Call add_params first"):
        late.step()
    late.add_params([p])
    assert late.own.params == [p] and (late.own.lr, late.own.weight_decay) == (1e-3, 0.5)


def test_optimizers_of_the_users_own_must_be_whole() -> None:
    class Half:
        def __init__(self, params: Any, lr: float) -> None:
            pass

        def step(self) -> None:
            pass

    class Forgetful(Half):
        def zero_grad(self) -> None:
            pass

    p = leaf([1.0])
    with pytest.raises(TypeError, match=r"Half: .* got no zero_grad. Write def zero_grad"):
        optim.get(Half, [p])
    p.sum().backward()
    with pytest.raises(GradError, match=r"Forgetful.zero_grad: .* p.grad = None"):
        optim.get(Forgetful, [p]).zero_grad()


def test_get_refuses_unknown_names_and_late_settings() -> None:
    with pytest.raises(ValueError, match=r"expected one of adadelta, .*Did you mean 'adam'\?"):
        optim.get("adm")
    with pytest.raises(ValueError) as error:
        optim.get(optim.SGD(), lr=0.5)
    assert str(error.value) == (
        "optimizer: a finished optimizer has its settings; expected no others, got lr. "
        "Pass them when making it."
    )
