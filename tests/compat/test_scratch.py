"""The face of the first text: held against plain lists, list manners, refusals."""

from __future__ import annotations

import ast
import copy
import json
import math
import pickle
import random
import statistics
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.lists import LISTS, TASKS
from pierian.compat import scratch
from pierian.compat.scratch import (
    SSE,
    Dropout,
    GradientDescent,
    Layer,
    Linear,
    Loss,
    Momentum,
    Optimizer,
    Relu,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    mnist,
    shape,
    tensor_combine,
)

HELPERS = [
    (scratch.shape([[1, 2], [3, 4], [5, 6]]), [3, 2]),
    (scratch.shape([]), [0]),
    (scratch.shape(np.zeros((2, 3))), [2, 3]),
    (scratch.is_1d([1, 2]), True),
    (scratch.is_1d([[1], [2]]), False),
    (scratch.tensor_sum([[1, 2], [3, 4]]), 10),
    (scratch.tensor_apply(lambda x: 2 * x, [[1, 2], [3, 4]]), [[2, 4], [6, 8]]),
    (scratch.zeros_like([[1, 2], [3]]), [[0, 0], [0]]),
    (scratch.tensor_combine(lambda x, y: x - y, [[5], [6]], [[1], [2]]), [[4], [4]]),
    (scratch.dot([1, 2, 3], [4, 5, 6]), 32),
    (scratch.softmax([0.0, 0.0]), [0.5, 0.5]),
    (scratch.softmax([[1000.0, 0.0], [3.0, 3.0]]), [[1.0, 0.0], [0.5, 0.5]]),
    (scratch.sigmoid(0), 0.5),
    (scratch.sigmoid(-1000.0), 0.0),
    (scratch.tanh(1000.0), 1.0),
    (scratch.argmax([0, -1, 10, 5]), 2),
    (scratch.one_hot_encode(2, num_labels=4), [0, 0, 1, 0]),
    (scratch.binary_encode(999), [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
    ([scratch.fizz_buzz_encode(n).index(1) for n in (2, 6, 10, 30)], [0, 1, 2, 3]),
    (scratch.Tensor, list),
]


@pytest.mark.parametrize(("got", "expected"), HELPERS)
def test_helpers_give_what_the_text_says(got: Any, expected: Any) -> None:
    assert got == expected and type(got) is type(expected)


def linears(model: Any) -> list[Any]:
    return [layer for layer in getattr(model, "layers", [model]) if layer.params()]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("kind", [list, np.array])
def test_training_agrees_with_plain_lists(name: str, kind: Any) -> None:
    ours, loss, optimizer, inputs, outputs = TASKS[name](scratch)
    other, list_loss, list_optimizer, *_ = TASKS[name](LISTS)
    for layer, same in zip(linears(ours), linears(other), strict=True):
        same.w = [[w / len(row) for w in row] for row in same.w]
        layer.w, layer.b = same.w, same.b
    examples = random.Random(1)
    for seed in range(4):
        x = [examples.random() for _ in range(inputs)]
        y = [float(seed % outputs == i) for i in range(outputs)]
        found = []
        for model, error, step, made in (
            (ours, loss, optimizer, kind),
            (other, list_loss, list_optimizer, list),
        ):
            random.seed(seed)  # the masks of Dropout come from here
            predicted = model.forward(made(x))
            assert isinstance(predicted, list if made is list else np.ndarray)
            value, gradient = error.loss(predicted, made(y)), error.gradient(predicted, made(y))
            back = model.backward(gradient)
            grads = [[*map(float, np.ravel(g))] for g in model.grads()]
            step.step(model)
            params = [[*map(float, np.ravel(p))] for p in model.params()]
            found.append([[value], *map(list, (predicted, gradient, back)), *grads, *params])
        for mine, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


class Half(Layer):
    """A user's layer without parameters."""

    def forward(self, input: Any) -> Any:
        return [x / 2 for x in input]

    def backward(self, gradient: Any) -> Any:
        return [g / 2 for g in gradient]


class Scale(Layer):
    """A user's layer that learns one number per input."""

    def __init__(self, n: int) -> None:
        self.s = [1.0] * n
        self.row = self.tensors = "a name that the engine uses, too"

    def forward(self, input: Any) -> Any:
        self.input = input
        return [x * s for x, s in zip(input, self.s, strict=True)]

    def backward(self, gradient: Any) -> Any:
        self.s_grad = [g * x for g, x in zip(gradient, self.input, strict=True)]
        return [g * s for g, s in zip(gradient, self.s, strict=True)]

    def params(self) -> Any:
        return [self.s]

    def grads(self) -> Any:
        return [self.s_grad]


class Descent(Optimizer):
    """A user's optimizer, written as the text writes its own."""

    def step(self, layer: Any) -> None:
        for param, grad in zip(layer.params(), layer.grads(), strict=True):
            param[:] = tensor_combine(lambda p, g: p - 0.25 * g, param, grad)


class Squares(Loss):
    def loss(self, predicted: Any, actual: Any) -> float:
        return float(sum((p - a) ** 2 for p, a in zip(predicted, actual, strict=True)))

    def gradient(self, predicted: Any, actual: Any) -> Any:
        return [2 * (p - a) for p, a in zip(predicted, actual, strict=True)]


def trained(layers: list[Any], optimizer: Any, loss: Any, steps: int = 3) -> Any:
    net = Sequential(copy.deepcopy(layers))
    for _ in range(steps):
        predicted = net.forward([1.0, -2.0])
        net.backward(loss.gradient(predicted, [0.5, 0.25]))
        optimizer.step(net)
    return net.params()


def agree(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)


def test_users_optimizer_and_loss_do_what_ours_do() -> None:
    layers = [Linear(2, 3), Tanh(), Linear(3, 2)]
    agree(trained(layers, Descent(), Squares()), trained(layers, GradientDescent(0.25), SSE()))


@pytest.mark.parametrize("optimizer", [GradientDescent, Momentum])
def test_users_layers_work_inside_sequential_and_learn(optimizer: Any) -> None:
    layers = [Linear(2, 2), Half(), Scale(2), Sequential([Sigmoid(), Linear(2, 2)])]
    start = trained(layers, optimizer(0.25), SSE(), steps=0)
    after = trained(layers, optimizer(0.25), SSE())
    assert shape([*start[2]]) == [2] and after[2] != [1.0, 1.0]
    if optimizer is GradientDescent:
        agree(after, trained(layers, Descent(), Squares()))


def test_a_subclass_that_changes_a_pass_is_called() -> None:
    class Loud(Linear):
        calls = 0

        def forward(self, input: Any) -> Any:
            self.calls += 1
            return super().forward(input)

    layer = Loud(2, 2)
    Sequential([layer, Tanh()]).forward([1.0, 2.0])
    assert layer.calls == 1


def test_layers_can_be_used_alone_between_passes_of_the_whole() -> None:
    net = Sequential([Linear(2, 3), Dropout(0.5), Tanh(), Linear(3, 1)])
    random.seed(1)
    net.forward([1.0, 2.0])
    whole = net.backward([1.0])
    random.seed(1)
    net.forward([1.0, 2.0])
    assert any(whole)
    g: Any = [1.0]
    for layer in reversed(net.layers):
        g = layer.backward(g)
    agree(whole, g)
    net.layers.append(Relu())  # the list of layers may change at any time
    assert len(net.forward([1.0, 2.0])) == 1 and net.forward([1.0, 2.0])[0] >= 0


def test_copies_of_a_model_learn_apart() -> None:
    net = Sequential([Linear(2, 3), Tanh(), Linear(3, 1)])
    for remade in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        net.backward(SSE().gradient(net.forward([1.0, 2.0]), [9.0]))
        optimizer = GradientDescent(0.1)
        before, other = copy.deepcopy(net.params()), remade(net)
        for _ in range(2):
            other.backward(SSE().gradient(other.forward([1.0, 2.0]), [9.0]))
            optimizer.step(other)
        assert net.params() == before and other.params() != before
        agree(net.forward([1.0, 2.0]), Sequential(net.layers).forward([1.0, 2.0]))


def test_learning_rate_can_change_between_steps() -> None:
    layer, optimizer = Linear(1, 1), GradientDescent(learning_rate=1.0)
    for rate in (1.0, 0.0, 0.5):
        optimizer.lr, before = rate, layer.b[0]
        layer.forward([1.0])
        layer.backward([2.0])
        optimizer.step(layer)
        assert layer.b[0] == pytest.approx(before - 2 * rate)


WITHOUT = """
import random, sys
sys.modules["llvmlite"] = None
from pierian.compat.scratch import *
random.seed(0)
net, optimizer, loss = Sequential([Linear(2, 3), Tanh(), Linear(3, 1)]), Momentum(0.1), SSE()
for _ in range(3):
    net.backward(loss.gradient(net.forward([1.0, -2.0]), [0.5]))
    optimizer.step(net)
print(net.params())
"""


def test_all_works_without_llvmlite() -> None:
    outputs = []
    for code in (WITHOUT, WITHOUT.replace('sys.modules["llvmlite"] = None', "")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        outputs.append(ast.literal_eval(done.stdout))
    for eager, compiled in zip(*outputs, strict=True):
        np.testing.assert_allclose(eager, compiled, rtol=1e-12)


def test_momentum_is_a_running_mean_from_zero() -> None:
    layer, optimizer = Linear(1, 1), Momentum(learning_rate=1.0, momentum=0.75)
    layer.b, mean, expected = [0.0], 0.0, 0.0
    for g in (4.0, -8.0, 2.0):
        layer.forward([1.0])
        layer.backward([g])
        optimizer.step(layer)
        mean = 0.75 * mean + 0.25 * g
        expected -= mean
        assert layer.b[0] == pytest.approx(expected)


def test_params_are_lists_that_show_and_change_the_layer() -> None:
    layer = Linear(2, 3)
    w, b = layer.params()
    assert isinstance(w, list) and isinstance(w[0], list) and type(w[0][0]) is float
    assert shape(w) == [3, 2] and len(b) == 3 and bool(b)
    w[:] = [[1, 2], [3, 4], [5, 6]]
    w[0][1], w[2] = 20.0, [50, 60]
    b[:] = [0, 0, 7]
    assert layer.forward([1, 1]) == [21, 7, 117]
    assert layer.w == [[1, 20], [3, 4], [50, 60]] == w != [[0]] and repr(b) == "[0.0, 0.0, 7.0]"
    assert json.loads(json.dumps(layer.params())) == [w, b] == pickle.loads(pickle.dumps([w, b]))
    assert json.loads(json.dumps(w, indent=1)) == w
    assert [*zip(*w, strict=True)] == [(1, 3, 50), (20, 4, 60)] and sum(b) == 7 and max(w[2]) == 60
    assert b + [1] == [0, 0, 7, 1] and [1] + b == [1, 0, 0, 7] and b * 2 == [0, 0, 7, 0, 0, 7]
    assert sorted(b, reverse=True) == [7, 0, 0] and [*reversed(b)] == [7, 0, 0] and 7 in b
    assert b[-1] == 7 and b[1:] == [0, 7] and w[1:] == [[3, 4], [50, 60]] and b.index(7) == 2
    assert np.asarray(w).shape == (3, 2) and copy.deepcopy(w) == w and type(copy.copy(b)) is list
    other: list[Any] = []
    other.extend(b)
    other[:1] = b
    assert other == [0, 0, 7, 0, 7]
    layer.b = [1, 1, 1]
    assert b == [1, 1, 1]
    layer.backward([1.0, 1.0, 1.0])
    assert layer.w_grad == [[1, 1]] * 3 and layer.b_grad == [1, 1, 1]
    assert json.dumps(layer.grads()) == json.dumps([[[1.0, 1.0]] * 3, [1.0] * 3])


def test_random_numbers_are_pythons_in_order() -> None:
    normal = statistics.NormalDist()
    random.seed(0)
    draws = [random.random() for _ in range(9)]
    random.seed(0)
    layer = Linear(2, 3, init="uniform")
    assert [*layer.w[0], *layer.w[1], *layer.w[2], *layer.b] == draws
    random.seed(0)
    layer = Linear(2, 3)
    expected = [normal.inv_cdf(p) * 2 / 5 for p in draws[:6]]
    expected += [normal.inv_cdf(p) * 1 / 3 for p in draws[6:]]
    got = [*layer.w[0], *layer.w[1], *layer.w[2], *layer.b]
    assert got == pytest.approx(expected, abs=1e-5) and got != expected
    random.seed(0)
    assert scratch.random_uniform(2, 2) == [draws[:2], draws[2:4]]
    random.seed(0)
    wide = scratch.random_normal(2, mean=5.0, variance=3.0)
    assert wide == pytest.approx([5 + 3 * normal.inv_cdf(p) for p in draws[:2]], abs=1e-4)
    assert scratch.inverse_normal_cdf(0.975, mu=1, sigma=2) == pytest.approx(4.92, abs=1e-3)


def test_dropout_masks_while_training_and_scales_after() -> None:
    layer = Dropout(0.25)
    random.seed(0)
    draws = [random.random() for _ in range(40)]
    random.seed(0)
    ones = [1.0] * 40
    expected = [float(r >= 0.25) for r in draws]
    assert layer.forward(ones) == expected and layer.backward(ones) == expected
    state = random.getstate()
    layer.train = False
    assert layer.forward(ones) == [0.75] * 40 and random.getstate() == state


def test_weights_survive_a_file_to_the_last_bit(tmp_path: Path) -> None:
    kept, other = (Sequential([Linear(3, 2), Scale(2), Linear(2, 1)]) for _ in range(2))
    kept.layers[0].w = [[math.pi, 1e-300, -0.1], [1 / 3, 1e300, 0]]
    scratch.save_weights(kept, tmp_path / "w.json")
    scratch.load_weights(other, str(tmp_path / "w.json"))
    assert other.params() == kept.params() and json.loads((tmp_path / "w.json").read_text())
    assert kept.forward([1, 2, 3]) == other.forward([1, 2, 3])


@pytest.mark.parametrize(
    "saved",
    [
        [[[1, 2]]],
        [[[1, 2]], [3], [4]],
        [[[1, 2, 3]], [4]],
        [[1, 2], [3]],
        [[[1, "x"]], [3]],
        [[[1, 2], [3]], [4]],
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path: Path, saved: Any) -> None:
    layer = Linear(2, 1)
    before = copy.deepcopy(layer.params())
    (tmp_path / "w.json").write_text(json.dumps(saved))
    with pytest.raises((RuntimeError, ValueError, TypeError), match="load_weights"):
        scratch.load_weights(layer, tmp_path / "w.json")
    assert layer.params() == before


class Lost(Layer):
    def forward(self, input: Any) -> Any:
        """Forgets to return."""


def stepped(layer: Any) -> None:
    layer.forward([1.0, 2.0])
    GradientDescent().step(layer)


def eval_backward() -> None:
    layer = Dropout(0.5)
    layer.train = False
    layer.forward([1.0])
    layer.backward([1.0])


MISTAKES = {
    "wrong length": (lambda: Linear(3, 2).forward([1.0, 2.0]), ValueError, "Flatten the input"),
    "image not flattened": (lambda: Linear(4, 1).forward([[1, 2], [3, 4]]), ValueError, "Flatten"),
    "unequal rows": (lambda: Tanh().forward([[1.0, 2.0], [3.0]]), ValueError, "lengths 1, 2"),
    "words": (lambda: Relu().forward(["a", "b"]), TypeError, "Encode words"),
    "nothing": (lambda: Sequential([Lost(), Relu()]).forward([1]), TypeError, "return"),
    "backward first": (lambda: Linear(2, 1).backward([1.0]), RuntimeError, "forward must come"),
    "no backward": (lambda: stepped(Linear(2, 1)), RuntimeError, "backward must come before"),
    "grads first": (lambda: Linear(2, 1).grads(), RuntimeError, "backward must come before"),
    "wrong gradient": (
        lambda: [layer := Linear(2, 1), layer.forward([1, 2]), layer.backward([1.0, 2.0])],
        ValueError, "loss.gradient",
    ),
    "label not encoded": (
        lambda: SoftmaxCrossEntropy().loss([0.1, 0.9], 1), ValueError, "one_hot_encode",  # type: ignore[arg-type]
    ),
    "too few answers": (lambda: SSE().loss([1.0, 2.0], [1.0]), ValueError, "one shape"),
    "label out of range": (lambda: scratch.one_hot_encode(10), IndexError, "num_labels"),
    "unknown init": (lambda: Linear(1, 1, init="xaver"), ValueError, "xavier"),
    "backward in use": (eval_backward, RuntimeError, "train = True"),
    "unequal tensors": (lambda: tensor_combine(max, [1], [1, 2]), ValueError, "one shape"),
    "layer without forward": (lambda: Layer().forward([1]), NotImplementedError, "def forward"),
    "loss without gradient": (lambda: Loss().gradient([1], [1]), NotImplementedError, "gradient"),
    "optimizer without step": (lambda: Optimizer().step(Tanh()), NotImplementedError, "def step"),
    "new shape": (lambda: Linear(1, 2).b.__setitem__(slice(None), [1.0]), ValueError, "as many"),
    "append": (lambda: Linear(1, 2).b.append(1.0), TypeError, "Change a copy"),
    "no list of layers": (lambda: Sequential(Tanh()).forward([1]), TypeError, "into a list"),  # type: ignore[arg-type]
    "layer without ()": (lambda: Sequential([Tanh]).forward([1]), TypeError, "parentheses"),  # type: ignore[list-item]
    "function as layer": (
        lambda: Sequential([scratch.tanh]).forward([1]), TypeError, "a method forward",  # type: ignore[list-item]
    ),
    "loss without ()": (
        lambda: scratch.loop(Linear(1, 1), [[1]], [[1]], SSE), TypeError, "parentheses",  # type: ignore[arg-type]
    ),
    "optimizer without ()": (
        lambda: scratch.loop(Linear(1, 1), [[1]], [[1]], SSE(), GradientDescent),  # type: ignore[arg-type]
        TypeError, "GradientDescent",
    ),
    "images, labels": (
        lambda: scratch.loop(Linear(1, 1), [[1]], [], SSE()), ValueError, "each image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_how_to_mend(name: str) -> None:
    act, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        act()


def test_loop_learns_with_an_optimizer_and_only_then() -> None:
    images = np.eye(3)
    labels = [scratch.one_hot_encode(i, 3) for i in range(3)]
    model, loss = Linear(3, 3), SoftmaxCrossEntropy()
    before = copy.deepcopy(model.params())
    first = scratch.loop(model, images, labels, loss)
    assert model.params() == before
    for _ in range(40):
        scratch.loop(model, images, labels, loss, GradientDescent(1.0))
    last = scratch.loop(model, images, labels, loss)
    assert last[0] < first[0] and last[1] == 1.0


def test_mnist_looks_in_the_folder_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, n in (("train", 3), ("t10k", 2)):
        head = struct.pack(">iiii", 0x803, n, 28, 28)
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(head + bytes(range(n)) * 784)
        labels = struct.pack(">ii", 0x801, n) + bytes(range(n))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    monkeypatch.setattr(mnist, "temporary_dir", lambda: str(tmp_path))
    assert mnist.train_images().shape == (3, 28, 28) and mnist.test_images().dtype == np.uint8
    assert mnist.train_labels().tolist() == [0, 1, 2] and mnist.test_labels().tolist() == [0, 1]
