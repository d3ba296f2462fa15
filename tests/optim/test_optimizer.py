"""Optimizer and Group: groups, parameters, the step, checkpoints, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.base import notice
from pierian.base.errors import CheckpointError, DtypeError, GradError
from pierian.core.tensor import Tensor
from pierian.optim import SGD, Adagrad, Adam, AdamW, Group, Optimizer, RMSprop


def leaf(*values: float, grad: float | None = None) -> Tensor:
    p = pr.tensor(list(values)).requires_grad_()
    if grad is not None:
        p.grad = pr.full(p.shape, grad)
    return p


def refusal(kind: type[Exception], make: Any) -> str:
    with pytest.raises(kind) as error:
        make()
    return str(error.value)


# Parameters


def test_parameters_come_in_every_form() -> None:
    p, q = leaf(1.0), leaf(2.0, 3.0)
    for given in ([p, q], (x for x in (p, q)), [("w", p), ("b", q)], {"w": p, "b": q}.items()):
        assert Adam(given).param_groups[0]["params"] == (p, q)
    named = Adam({"w": p, "b": q}).param_groups[0]
    assert named["params"] == (p, q)
    assert named["param_names"] == ["w", "b"]


@pytest.mark.parametrize(
    ("between", "told"),
    [
        (lambda w, optimizer: None, True),
        (lambda w, optimizer: optimizer.zero_grad(), False),
        (lambda w, optimizer: optimizer.zero_grad(set_to_none=False), False),
        (lambda w, optimizer: w.grad.zero_(), False),
        (lambda w, optimizer: setattr(w, "grad", None), False),
        # the gradients of another loss were added, and then dropped
        (lambda w, optimizer: ((w * w).sum().backward(), w.grad.zero_()), False),
    ],
)
def test_a_forgotten_zero_grad_is_told_once(
    between: Any, told: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    notice.said.clear()
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1)
    for _ in range(3):
        (w * 2).sum().backward()
        (w * 2).sum().backward()  # two backward passes for one step are a choice
        optimizer.step()
        between(w, optimizer)
    said = capfd.readouterr().err
    assert said.count("SGD.step: gradients of the last step are still in") == told
    assert not told or "Call optimizer.zero_grad() before backward()" in said


def test_groups_have_settings_of_their_own() -> None:
    p, q = leaf(1.0, grad=1.0), leaf(1.0, grad=1.0)
    groups = [{"params": [p]}, {"params": q, "lr": 0.5}]
    optimizer = SGD(groups, lr=0.25)
    optimizer.step()
    assert (p.item(), q.item()) == (0.75, 0.5)
    r = leaf(1.0, grad=1.0)
    optimizer.add_param_group({"params": [("r", r)], "learning_rate": 0.125, "name": "late"})
    p.grad = q.grad = None
    optimizer.step()
    assert (p.item(), q.item(), r.item()) == (0.75, 0.5, 0.875)
    assert optimizer.param_groups[2]["name"] == "late"


def test_optimizer_may_get_its_parameters_later() -> None:
    optimizer = SGD(lr=0.5)
    assert repr(optimizer) == "SGD(0 parameters, lr=0.5)"
    optimizer.lr = 0.25
    assert refusal(ValueError, optimizer.step) == (
        "SGD: there must be something to optimize; expected at least 1 parameter, got none. "
        "Call add_params first."
    )
    p = leaf(1.0, grad=1.0)
    optimizer.add_params([p])
    optimizer.step()
    assert p.item() == 0.75


def test_parameters_that_cannot_be_optimized_are_refused() -> None:
    p = leaf(1.0)
    assert refusal(ValueError, lambda: Adam([])) == (
        "Adam: there must be something to optimize; expected at least 1 parameter, got none. "
        "Call a model whose layers learn their sizes from data once first."
    )
    assert refusal(TypeError, lambda: Adam(p)) == (
        "Adam: params must be a collection; expected an iterable of tensors, got one tensor. "
        "Wrap it in a list."
    )
    assert refusal(TypeError, lambda: Adam([p, 3.0])) == (
        "Adam: parameter 1 must be a floating leaf tensor; expected a tensor, got float. "
        "Pass model.parameters() or a list."
    )
    assert refusal(DtypeError, lambda: Adam({"n": pr.tensor([1, 2])})) == (
        "Adam: parameter n must be a floating leaf tensor; expected a floating dtype, got int64. "
        "Leave it out."
    )
    assert refusal(GradError, lambda: Adam([("w", p * 2.0)])) == (
        "Adam: parameter w must be a floating leaf tensor; expected a leaf, got the result of mul. "
        "Optimize what it was computed from."
    )
    twice = (
        "SGD: parameter 0 must be a floating leaf tensor; expected each parameter once, "
        "got one given before. Remove it here or there."
    )
    assert refusal(ValueError, lambda: SGD([{"params": [p]}, {"params": [p]}])) == twice
    assert refusal(ValueError, lambda: SGD([p]).add_param_group({"params": p})) == twice


# Settings


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda p: SGD(p, lr=-1), "lr must be in its range; expected a number >= 0, got -1"),
        (lambda p: SGD(p, lr=float("nan")), "lr must be in its range; expected a number >= 0"),
        (lambda p: SGD(p, lr="fast"), "lr must be in its range; expected a number >= 0, got fast"),
        (lambda p: SGD(p, lr=[0.1, 0.2]), "lr must be in its range; expected a number >= 0"),
        (lambda p: SGD(p, momentum=-0.5), "momentum must be in its range; expected a number >= 0"),
        (lambda p: SGD(p, weight_decay=-1.0), "weight_decay must be in its range"),
        (lambda p: SGD(None, learning_rate=-1), "lr must be in its range"),
        (
            lambda p: RMSprop(p, alpha=1.5),
            "alpha must be in its range; expected a number in [0, 1]",
        ),
        (lambda p: RMSprop(p, eps=-1e-3), "eps must be in its range; expected a number >= 0"),
        (lambda p: Adagrad(p, lr_decay=-1), "lr_decay must be in its range"),
        (lambda p: Adagrad(p, initial_accumulator_value=-1), "initial_accumulator_value must be"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), "betas must be in its range; expected two numbers"),
        (lambda p: Adam(p, betas=(0.9,)), "betas must be in its range; expected two numbers"),
        (lambda p: Adam([{"params": p, "lr": -1}]), "lr must be in its range"),
        (lambda p: Adam([{"params": p, "weigth_decay": 1}]), "Did you mean 'weight_decay'?"),
        (
            lambda p: SGD(p, nesterov=True),
            "SGD: nesterov needs a momentum; expected momentum > 0 and dampening 0, "
            "got momentum 0.0 and dampening 0.0. Pass momentum=0.9.",
        ),
        (lambda p: SGD(None, momentum=0.9, dampening=0.5, nesterov=True), "dampening 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, got: str) -> None:
    assert got in refusal(ValueError, lambda: make([leaf(1.0)]))


def test_settings_are_written_in_place() -> None:
    optimizer = Adam([leaf(1.0)], learning_rate=0.5, betas=[0.5, 0.75])
    group = optimizer.param_groups[0]
    lr, betas = group["lr"], group["betas"]
    assert isinstance(lr, Tensor)
    assert (lr.shape, lr.dtype, float(lr)) == ((), "float64", 0.5)
    group["lr"] = 0.1
    assert float(lr) == 0.1
    group["lr"] *= 2.0
    assert float(lr) == 0.2
    group.update(lr=pr.tensor(0.25))
    optimizer.lr = lr * 3
    optimizer.learning_rate = np.float32(0.25)
    group["betas"] = (0.25, 0.5)
    assert optimizer.lr is optimizer.learning_rate is group["lr"] is lr
    assert [float(x) for x in (lr, *betas)] == [0.25, 0.25, 0.5]
    assert group["betas"] is betas
    assert group.plain() == {
        "lr": 0.25, "betas": (0.25, 0.5), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False
    }  # fmt: skip


def test_the_learning_rate_of_an_optimizer_is_that_of_all_groups() -> None:
    optimizer = SGD([{"params": leaf(1.0)}, {"params": leaf(1.0), "lr": 0.5}])
    optimizer.lr = 0.125
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.125, 0.125]


def test_what_shapes_the_step_stays_as_it_was_made() -> None:
    p = leaf(1.0)
    group = SGD([p]).param_groups[0]
    assert refusal(ValueError, lambda: group.update(momentum=0.9)) == (
        "SGD: momentum stays as the group was made; expected 0.0, got 0.9. Make a new optimizer."
    )
    group["momentum"] = 0.0
    assert "nesterov stays" in refusal(ValueError, lambda: group.update(nesterov=True))
    assert "params stays" in refusal(ValueError, lambda: group.update(params=[]))
    assert "Did you mean 'weight_decay'" in refusal(ValueError, lambda: group.update(weightdecay=1))
    assert "lr must be in its range" in refusal(ValueError, lambda: group.update(lr=-1.0))
    live = SGD([p], momentum=0.9).param_groups[0]
    live["momentum"] = 0.0
    assert float(live["momentum"]) == 0.0


def test_repr_shows_the_settings_that_are_on() -> None:
    optimizer = SGD([leaf(1.0), leaf(2.0)], lr=0.5, momentum=0.9)
    assert repr(optimizer) == "SGD(2 parameters, lr=0.5, momentum=0.9)"


# The step


def test_parameters_without_gradient_stay() -> None:
    p, q = leaf(1.0, grad=1.0), leaf(1.0)
    optimizer = AdamW([p, q], lr=0.5, weight_decay=0.5)
    optimizer.step()
    assert q.item() == 1.0
    assert q not in optimizer.state
    assert p.item() < 1.0


def test_parameters_that_begin_later_are_corrected_from_their_own_start() -> None:
    late = leaf(1.0)
    optimizer = Adam([leaf(1.0, grad=1.0), late], lr=0.25)
    for _ in range(5):
        optimizer.step()
    late.grad = pr.tensor([4.0])
    optimizer.step()
    assert late.item() == pytest.approx(0.75)  # the first step of Adam is lr·sign(g)
    first, second = (float(s["step"]) for s in optimizer.state.values())
    assert (first, second) == (6.0, 1.0)


def test_step_changes_parameters_in_their_memory() -> None:
    p = leaf(1.0, 2.0, grad=1.0)
    memory, view = p.numpy(), p.detach()
    optimizer = Adam([p], lr=0.5)
    optimizer.step()
    slots = {key: x.numpy() for key, x in optimizer.state[p].items()}
    optimizer.step()
    assert p.numpy() is memory
    np.testing.assert_array_equal(view.numpy(), p.numpy())
    assert all(optimizer.state[p][key].numpy() is x for key, x in slots.items())
    assert p.requires_grad
    assert p.is_leaf


def test_step_runs_a_closure_with_gradients() -> None:
    p = leaf(3.0)
    optimizer = SGD([p], lr=0.5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with pr.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert optimizer.step(closure).item() == 0.0
    assert optimizer.step() is None


def test_step_is_not_recorded() -> None:
    p = leaf(1.0)
    ((p * p).sum() * 1.0).backward(create_graph=True)
    optimizer = Adam([p])
    optimizer.step()
    assert p.grad_fn is None
    assert all(not x.requires_grad for x in optimizer.state[p].values())


def test_zero_grad_forgets_or_fills() -> None:
    p, q = leaf(1.0, grad=2.0), leaf(1.0)
    optimizer = SGD([p, q])
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is kept
    assert p.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is q.grad is None


def test_optimizers_can_be_copied_and_pickled() -> None:
    p = leaf(1.0, grad=1.0)
    optimizer = Adam([p], lr=0.5)
    optimizer.step()
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        (q,) = twin.param_groups[0]["params"]
        assert q is not p
        assert twin.state_dict()["state"].keys() == {0}
        twin.lr = 0.25
        q.grad = pr.tensor([1.0])
        twin.step()
        assert q.item() < p.item()
    assert float(optimizer.lr) == 0.5


def test_own_rule_needs_only_an_update() -> None:
    class Sign(Optimizer):
        def __init__(self, params: Any, lr: float = 0.5) -> None:
            super().__init__(params, locals())

        def update(self, p: Tensor, g: Tensor, s: Any, k: Any) -> Any:
            return p - g.sign() * k["lr"], {}

    p = leaf(1.0, grad=3.0)
    Sign([p]).step()
    assert p.item() == 0.5


# Checkpoints


def stepped(kind: Any, steps: int, **settings: Any) -> tuple[list[Tensor], Any]:
    params = [leaf(1.0, -2.0), leaf(0.5)]
    optimizer = kind(params, **settings)
    for step in range(steps):
        for i, p in enumerate(params):
            p.grad = pr.full(p.shape, 0.1 * step - 0.3 * i + 0.2)
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SGD, {"momentum": 0.9, "dampening": 0.5}),
        (Adam, {"amsgrad": True}),
        (RMSprop, {"centered": True, "momentum": 0.5}),
        (Adagrad, {"lr_decay": 0.1}),
    ],
)
def test_state_dict_resumes_exactly(kind: Any, settings: dict[str, Any]) -> None:
    params, optimizer = stepped(kind, 3, lr=0.1, **settings)
    saved = copy.deepcopy(optimizer.state_dict())
    twins, twin = stepped(kind, 0, lr=0.7, **settings)
    for p, q in zip(params, twins, strict=True):
        q.data = p.detach().clone()
    twin.load_state_dict(saved)
    for p, q in zip(params, twins, strict=True):
        p.grad = q.grad = pr.full(p.shape, 0.4)
    optimizer.step()
    twin.step()
    for p, q in zip(params, twins, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    a, b = twin.state.values()
    assert a["step"] is b["step"]


def test_state_dict_has_the_structure_of_pytorch() -> None:
    params, optimizer = stepped(Adam, 2, lr=0.1)
    found = optimizer.state_dict()
    assert found["param_groups"] == [
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
         "params": [0, 1]}
    ]  # fmt: skip
    assert found["state"].keys() == {0, 1}
    assert found["state"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert np.shares_memory(
        found["state"][0]["exp_avg"].numpy(), optimizer.state[params[0]]["exp_avg"].numpy()
    )


def test_loading_writes_into_the_tensors_that_are_there() -> None:
    params, optimizer = stepped(Adam, 3, lr=0.1)
    before = copy.deepcopy(optimizer.state_dict())
    slots = [x for s in optimizer.state.values() for x in s.values()]
    lr = optimizer.lr
    optimizer.lr = 0.7
    optimizer.step()
    optimizer.load_state_dict(before)
    assert slots == [x for s in optimizer.state.values() for x in s.values()]
    assert optimizer.lr is lr
    assert float(lr) == 0.1
    np.testing.assert_array_equal(slots[1].numpy(), before["state"][0]["exp_avg"].numpy())


def test_loading_a_state_from_before_the_first_step_starts_anew() -> None:
    _, optimizer = stepped(Adagrad, 3, initial_accumulator_value=0.5)
    _, fresh = stepped(Adagrad, 0, initial_accumulator_value=0.5)
    optimizer.load_state_dict(fresh.state_dict())
    for state in optimizer.state.values():
        assert state["step"].item() == 0.0
        assert set(state["sum"].numpy()) == {0.5}


def test_loading_takes_numpy_arrays_and_passes_over_unknown_settings() -> None:
    _, optimizer = stepped(SGD, 0, momentum=0.9)
    saved = {
        "state": {
            0: {"momentum_buffer": np.array([1.0, 2.0])},
            1: {"momentum_buffer": None},
        },
        "param_groups": [{"lr": 0.5, "foreach": None, "params": [0, 1]}],
    }
    optimizer.load_state_dict(saved)
    (state,) = optimizer.state.values()
    assert state["momentum_buffer"].tolist() == [1.0, 2.0]
    assert state["momentum_buffer"].dtype == "float32"
    assert state["step"].item() == 1.0


def broken(change: Any) -> str:
    """What loading says about a saved state after a change; nothing may be loaded."""
    params, optimizer = stepped(Adam, 3, lr=0.1)
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0]["lr"] = 0.7
    change(saved)
    slots = copy.deepcopy([x.numpy() for s in optimizer.state.values() for x in s.values()])
    text = refusal(CheckpointError, lambda: optimizer.load_state_dict(saved))
    assert float(optimizer.lr) == 0.1
    for old, new in zip(
        slots, [x for s in optimizer.state.values() for x in s.values()], strict=True
    ):
        np.testing.assert_array_equal(old, new.numpy())
    return text


def test_state_that_does_not_fit_is_refused_as_a_whole() -> None:
    assert broken(lambda s: s["state"][1].update(exp_avg=np.zeros(3))) == (
        "Adam.load_state_dict: saved state must fit; expected Adam(2 parameters, lr=0.1, "
        "betas=(0.9, 0.999), eps=1e-08), got parameter 1 with {'step': (), 'exp_avg': (3,), "
        "'exp_avg_sq': (1,)} instead of {'step': (), 'exp_avg': (1,), 'exp_avg_sq': (1,)}. "
        "Nothing was loaded; make the optimizer as it was saved."
    )
    assert "parameter 0 with" in broken(lambda s: s["state"][0].pop("exp_avg_sq"))
    assert "groups of [2, 1] parameters instead of [2]" in broken(
        lambda s: s["param_groups"].append({"params": [2]})
    )
    assert "groups of [1] parameters" in broken(lambda s: s["param_groups"][0].update(params=[0]))
    assert "unknown parameter '0'" in broken(lambda s: s["state"].update({"0": {}}))
    assert "amsgrad=True instead of False" in broken(
        lambda s: s["param_groups"][0].update(amsgrad=True)
    )
    assert "weight_decay=0.1 instead of 0.0" in broken(
        lambda s: s["param_groups"][0].update(weight_decay=0.1)
    )
    assert "parameter 1 at step 7, apart from those it began with" in broken(
        lambda s: s["state"][1].update(step=np.array(7.0))
    )


def test_group_reads_like_a_dict() -> None:
    group = Group("here", {"params": (), "lr": 0.5})
    assert list(group) == ["params", "lr"]
    assert dict(group).keys() == {"params", "lr"}
    assert "momentum" not in group
    assert group.get("momentum") is None


def test_gradients_of_a_tape_are_applied_as_a_step_would() -> None:
    one, other = leaf(1.0, 2.0), leaf(1.0, 2.0)
    stepped, applied = Adam([one], lr=0.1), Adam(lr=0.1)
    plain = pr.tensor([5.0])  # a tensor that asks for no gradients yet
    for g in (0.5, -2.0):
        one.grad = pr.full((2,), g)
        stepped.step()
        applied.apply_gradients([(pr.full((2,), g), other), (None, leaf(3.0)), (pr.ones(1), plain)])
    assert other.tolist() == one.tolist()
    assert plain.tolist() != [5.0]
    assert other.grad is None
    assert len(applied.param_groups) == 1
    assert "inside the tape" in refusal(GradError, lambda: applied.apply_gradients([(None, one)]))
