"""GradientTape: what it watches, what it gives, what it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest

import pierian as pr


def test_variables_are_watched_without_asking() -> None:
    x = pr.tensor([1.0, 2.0])
    with pr.GradientTape() as tape:
        y = (x * x).sum()
    assert tape.gradient(y, x).tolist() == [2, 4]


def test_only_what_is_watched_when_told_so() -> None:
    x, w, p = pr.tensor(2.0), pr.tensor(3.0), pr.tensor(5.0, requires_grad=True)
    with pr.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = x * w * p
    gx, gw, gp = tape.gradient(y, [x, w, p])
    assert gx.item() == 15
    assert gw is None
    assert gp.item() == 6
    assert not x.requires_grad


def test_watch_needs_an_open_tape() -> None:
    tape = pr.GradientTape()
    with pytest.raises(pr.GradError, match=r"GradientTape\.watch: the tape must be open"):
        tape.watch(pr.tensor(1.0))


def test_sources_are_trees() -> None:
    w, b = pr.tensor([1.0, 2.0]), pr.tensor(3.0)
    with pr.GradientTape() as tape:
        y = (w * w).sum() * b
    g = tape.gradient(y, {"w": w, "rest": [b]})
    assert g["w"].tolist() == [6, 12]
    assert g["rest"][0].item() == 5


def test_gradient_may_be_called_once_unless_persistent() -> None:
    x = pr.tensor(2.0)
    with pr.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(pr.GradError, match=r"may be called once.*persistent=True"):
        tape.gradient(y, x)
    with pr.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert tape.gradient(z, x).item() == 32
    assert tape.gradient(z, y).item() == 8
    assert tape.gradient(y, x).item() == 4
    del tape


def test_intermediate_sources() -> None:
    x = pr.tensor(2.0)
    with pr.GradientTape() as tape:
        y = x * x
        z = y * y
    gx, gy = tape.gradient(z, [x, y])
    assert (gx.item(), gy.item()) == (32, 8)


def test_unconnected_gradients() -> None:
    x, other, unseen = pr.tensor(2.0), pr.tensor(3.0), pr.ones(2)
    with pr.GradientTape(persistent=True) as tape:
        y = x * x
        other * 2.0
    assert tape.gradient(y, other) is None
    assert tape.gradient(y, unseen) is None
    zeros = tape.gradient(y, [other, unseen], unconnected_gradients="zero")
    assert [g.tolist() for g in zeros] == [0, [0, 0]]


def test_targets_are_summed_and_weighed() -> None:
    x = pr.tensor([1.0, 2.0])
    with pr.GradientTape(persistent=True) as tape:
        y, z = x * x, x * 3.0
    assert tape.gradient(y, x).tolist() == [2, 4]
    assert tape.gradient([y, z], x).tolist() == [5, 7]
    assert tape.gradient(y, x, output_gradients=np.array([1.0, 10.0])).tolist() == [2, 40]
    both = tape.gradient([y, z], x, output_gradients=[pr.ones(2), pr.zeros(2)])
    assert both.tolist() == [2, 4]
    assert tape.gradient(x, x).tolist() == [1, 1]
    with pytest.raises(pr.ShapeError, match="one output gradient per target; expected 1, got 2"):
        tape.gradient(y, x, output_gradients=[1.0, 10.0])
    with pytest.raises(pr.ShapeError, match="gradient must have the shape of the tensor"):
        tape.gradient(y, x, output_gradients=pr.tensor(1.0))


def test_gradient_inside_the_block_and_constant_sources() -> None:
    x = pr.tensor(2.0)
    with pr.GradientTape() as tape:
        y = x * x * x
        assert tape.gradient(y, x).item() == 12
    c = pr.tensor(5.0)
    with pr.GradientTape() as tape:
        y = c * 2.0
    assert tape.gradient(y, c).item() == 2
    with pr.GradientTape() as tape:
        y = x * pr.tensor(2) * 1.0
    assert tape.gradient(y, x).item() == 2


def test_nested_tapes_give_second_derivatives() -> None:
    x = pr.tensor(3.0)
    with pr.GradientTape() as outer:
        with pr.GradientTape() as inner:
            y = x * x * x
        first = inner.gradient(y, x)
    assert first.item() == 27
    assert outer.gradient(first, x).item() == 18


def test_nested_tapes_give_third_derivatives() -> None:
    x = pr.tensor(2.0)
    with pr.GradientTape() as a:
        with pr.GradientTape() as b:
            with pr.GradientTape() as c:
                y = x * x * x * x
            first = c.gradient(y, x)
        second = b.gradient(first, x)
    assert (first.item(), second.item(), a.gradient(second, x).item()) == (32, 48, 48)


def test_second_derivative_in_one_persistent_tape() -> None:
    x = pr.tensor(3.0)
    with pr.GradientTape(persistent=True) as tape:
        y = x * x * x
        first = tape.gradient(y, x)
    assert tape.gradient(first, x).item() == 18


def test_variables_are_left_as_they_were() -> None:
    x, p = pr.tensor([1.0]), pr.tensor([2.0], requires_grad=True)
    with pr.GradientTape() as tape:
        y = (x * p).sum()
        x.add_(1.0)
    assert not x.requires_grad
    assert x.is_leaf
    assert x.tolist() == [2]
    assert p.requires_grad
    assert p.grad is None
    assert tape.gradient(y, p).tolist() == [1]
    x.add_(1.0)
    assert (x * x).requires_grad is False


def test_variables_are_left_as_they_were_after_an_error() -> None:
    x = pr.tensor([1.0])
    with pytest.raises(ZeroDivisionError), pr.GradientTape():
        x * 2.0
        1 / 0  # noqa: B018
    assert not x.requires_grad
    assert not (x * 2.0).requires_grad


def test_asking_for_gradients_inside_a_tape_lasts() -> None:
    x = pr.tensor([3.0])
    with pr.GradientTape():
        y = x * x
        x.requires_grad_()
        z = x * y
    assert x.requires_grad
    z.sum().backward()
    assert x.grad.tolist() == [27]


def test_tape_records_inside_no_grad_and_leaves_the_mode() -> None:
    x = pr.tensor(2.0)
    with pr.no_grad():
        with pr.GradientTape() as tape:
            y = x * x
        assert not pr.is_grad_enabled()
    assert tape.gradient(y, x).item() == 4


def test_tape_does_not_hinder_backward() -> None:
    w, x = pr.tensor(2.0, requires_grad=True), pr.tensor(3.0)
    with pr.GradientTape():
        y = w * x
        y.backward()
    assert w.grad.item() == 3
    assert x.grad is None


def test_gradients_of_a_layer_by_hand() -> None:
    rng = np.random.default_rng(0)
    w, b = pr.tensor(rng.normal(size=(3, 2))), pr.tensor(rng.normal(size=(2,)))
    x = pr.tensor(rng.normal(size=(5, 3)))
    with pr.GradientTape() as tape:
        loss = ((x @ w + b) ** 2).mean()
    gw, gb = tape.gradient(loss, [w, b])
    error = 2 * (x.numpy() @ w.numpy() + b.numpy()) / 10
    np.testing.assert_allclose(gw.numpy(), x.numpy().T @ error)
    np.testing.assert_allclose(gb.numpy(), error.sum(0))
    with pr.no_grad():
        for p, g in ((w, gw), (b, gb)):
            p.sub_(g * 0.1)
