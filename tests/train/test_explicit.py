"""Layers with forward and backward by hand: held against gradients that come by themselves."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import optim
from pierian.nn import functional as F
from pierian.train.explicit import Chain, Explicit, Measured, Row, Steps, loop


class Affine(Explicit):
    """x w + b."""

    def __init__(self, inputs: int, outputs: int, dtype: Any = np.float64) -> None:
        draw = np.random.default_rng(inputs + outputs)
        super().__init__(
            pr.tensor(draw.normal(size=(inputs, outputs)).astype(dtype)),
            pr.tensor(draw.normal(size=outputs).astype(dtype)),
        )

    def apply(self, x: pr.Tensor, *tensors: pr.Tensor) -> pr.Tensor:
        return x @ tensors[0] + tensors[1]


class Bend(Explicit):
    def apply(self, x: pr.Tensor, *tensors: pr.Tensor) -> pr.Tensor:
        return pr.tanh(x)


class Alone(Bend):
    """A layer that a row must not swallow."""

    calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return super().forward(x)


def network(kind: Callable[[list[Any]], Any], bend: type[Explicit] = Bend) -> Any:
    return kind([Affine(3, 4), bend(), Affine(4, 2), bend()])


def by_itself(layers: Sequence[Explicit], x: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    """The output, and gradients by the input and all tensors, from the engine's own backward."""
    start = pr.tensor(x, requires_grad=True)
    tensors = [[t.detach().clone().requires_grad_() for t in layer.tensors] for layer in layers]
    y = start
    for layer, own in zip(layers, tensors, strict=True):
        y = layer.apply(y, *own)
    y.backward(pr.tensor(g))
    slopes = [start.grad, *(t.grad for own in tensors for t in own)]
    return [y.numpy(), *(slope.numpy() for slope in slopes if slope is not None)]


def near(found: Sequence[Any], wanted: Sequence[Any]) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-12, atol=1e-14)


def examples(n: int = 3) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.normal(size=shape) for shape in [(3,), (5, 3)] * n]


@pytest.mark.parametrize("kind", [Row, Chain])
@pytest.mark.parametrize("bend", [Bend, Alone])
def test_passes_agree_with_gradients_by_themselves(kind: Any, bend: type[Explicit]) -> None:
    model = network(kind, bend)
    for x in examples():
        y = model.forward(x)
        g = np.cos(y)
        back = model.backward(g)
        slopes = [tensor.grad for layer in model.layers for tensor in layer.tensors]
        near([y, back, *slopes], by_itself(model.layers, x, g))


def test_a_layer_by_itself_goes_back_from_the_pass_of_its_row() -> None:
    model = network(Row)
    x = examples()[0]
    g = model.forward(x)
    whole = model.backward(g)
    for layer in reversed(model.layers):
        g = layer.backward(g)
    near([g], [whole])
    model.layers[2].forward(np.ones((7, 4)))  # of another shape, in between
    near([model.backward(model.forward(x))], [whole])


def test_a_chain_runs_neighbours_together_and_others_by_themselves() -> None:
    alone = Alone()
    model = Chain([Affine(3, 4), Bend(), alone, Affine(4, 2)])
    assert [type(part) for part in model.parts] == [Row, Alone, Row] and model.row is None
    model.forward(np.ones(3))
    assert alone.calls == 1
    model.layers.remove(alone)
    assert isinstance(model.row, Row) and model.forward(np.ones(3)).shape == (2,)
    assert alone.calls == 1


def test_float32_stays_float32() -> None:
    layer = Affine(3, 2, np.float32)
    y = layer.forward(np.ones(3, np.float32))
    assert y.dtype == layer.backward(y).dtype == np.float32


def test_results_are_the_callers() -> None:
    layer = Affine(3, 2)
    y = layer.forward(np.ones(3))
    kept = y.copy()
    layer.forward(np.zeros(3))
    near([y], [kept])


@pytest.mark.parametrize("remade", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_memory_of_their_own(remade: Callable[[Any], Any]) -> None:
    model = network(Chain)
    y = model.forward(np.ones(3))
    model.backward(y)
    other = remade(model)
    slopes = [tensor.grad.numpy().copy() for tensor in model.row.tensors]
    near([other.forward(np.ones(3))], [y])
    other.backward(-y)
    near([tensor.grad for tensor in model.row.tensors], slopes)


def test_a_loss_agrees_with_its_gradient_by_itself() -> None:
    measured = Measured(F.mse_loss)
    for p in examples():
        value, slope = measured(p, np.ones_like(p))
        near([value, slope], [np.mean((p - 1) ** 2), 2 * (p - 1) / p.size])


def test_steps_follow_settings_and_begin_anew_for_other_tensors() -> None:
    steps = Steps(lambda tensors, **settings: optim.SGD(tensors, **settings))
    for _ in range(2):
        w = pr.tensor([0.0])
        w.grad = pr.tensor([1.0])
        tensors, expected, moved = [w], 0.0, 0.0
        for lr in (1.0, 1.0, 0.25):
            steps(tensors, lr=lr, momentum=0.5)
            moved = 0.5 * moved + 1
            expected -= lr * moved
            assert w.item() == expected


def test_tensors_and_gradients_may_get_other_memory() -> None:
    layer, step = Affine(1, 1, np.float32), Steps(optim.SGD)
    w, b = layer.tensors
    b.zero_()
    for lost in (False, True, False):
        w.data = pr.tensor([[3.0]])
        w.grad = None if lost else w.grad
        assert layer.forward(np.array([5.0], np.float32)) == [15.0]
        assert layer.backward(np.ones(1, np.float32)) == [3.0]
        assert w.grad is not None and w.grad.item() == 5.0
        step(layer.tensors, lr=0.5)
        assert (w.item(), b.item()) == (0.5, -0.5)
        b.zero_()


def test_layers_of_a_chain_may_be_in_a_tuple() -> None:
    layers: Any = (Bend(), Bend())
    chain = Chain(layers)
    assert chain.parts is chain.parts


def test_the_loop_learns_with_an_optimizer_and_only_then() -> None:
    class Squares:
        measured = Measured(F.mse_loss)

        def loss(self, predicted: Any, actual: Any) -> float:
            return self.measured(predicted, actual)[0].item()

        def gradient(self, predicted: Any, actual: Any) -> Any:
            return self.measured(predicted, actual)[1].copy()

    class Descent:
        steps = Steps(optim.SGD)

        def step(self, model: Any) -> None:
            self.steps(model.row.tensors, lr=0.5)

    model, xs = Affine(3, 3), np.eye(3)
    first = loop(model, xs, xs, Squares())
    assert loop(model, xs, xs, Squares()) == first
    for _ in range(60):
        loop(model, xs, xs, Squares(), Descent())
    last = loop(model, xs, xs, Squares())
    assert last[0] < 0.1 * first[0] and last[1] == 1.0


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "backward first": (lambda: network(Row).backward(np.ones(2)), "forward must come first"),
    "wrong gradient": (
        lambda: [model := network(Row), model.forward(np.ones(3)), model.backward(np.ones(3))],
        "shape of the last output",
    ),
    "no apply": (lambda: Explicit().forward(np.ones(1)), "def apply"),
    "no gradients": (lambda: Steps(optim.SGD)([pr.zeros(1)], lr=1.0), "backward must come before"),
    "a layer twice": (lambda: Chain([bend := Bend(), bend]).forward(1), "Make another"),
    "labels": (lambda: loop(Bend(), [1], [], None), "each image"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_how_to_mend(name: str) -> None:
    act, words = MISTAKES[name]
    with pytest.raises((pr.PierianError, NotImplementedError, ValueError), match=words):
        act()
