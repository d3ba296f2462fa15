"""Layers: how they start, what deferred sizes do, and the full text of every complaint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.core.trace import trace
from pierian.nn import functional as F

f32 = np.float32


def zeros(*shape: int, dtype: Any = f32) -> np.ndarray:
    return np.zeros(shape, dtype)


def test_linear_multiplies_by_the_transposed_weight_and_adds_the_bias() -> None:
    layer = nn.Linear(2, 3)
    layer.load_state_dict({"weight": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "bias": [0.0, 1.0, 2.0]})
    assert layer([[1.0, -1.0]]).tolist() == [[-1.0, 0.0, 1.0]]
    assert layer([1.0, -1.0]).tolist() == [-1.0, 0.0, 1.0]


def test_linear_starts_uniform_within_one_over_root_in() -> None:
    layer = nn.Linear(400, 300)
    for parameter in layer.parameters():
        values = parameter.numpy()
        assert -0.05 <= values.min() < -0.0495 * (values.size > 1000)
        assert abs(values.std() - 0.05 / np.sqrt(3)) < 0.002
    twin = nn.Linear(400, 300)
    assert (twin.weight.numpy() != layer.weight.numpy()).any()
    pr.manual_seed(0)
    again = nn.Linear(400, 300)
    assert (again.weight.numpy() == layer.weight.numpy()).all()
    assert (again.bias.numpy() == layer.bias.numpy()).all()


def test_dense_starts_glorot_uniform_with_zero_bias() -> None:
    layer = nn.Dense(300, input_shape=(400,))
    bound = np.sqrt(6 / 700)
    values = layer.weight.numpy()
    assert bound * 0.99 < np.abs(values).max() <= bound
    assert abs(values.std() - bound / np.sqrt(3)) < 0.01 * bound
    assert not layer.bias.numpy().any()


def test_dense_waits_for_its_first_input() -> None:
    layer = nn.Dense(3, "relu")
    assert not layer.built
    assert layer.state_dict() == {}
    y = layer(zeros(2, 5, dtype=int))
    assert (y.shape, y.dtype) == ((2, 3), f32)
    assert layer.built
    assert layer.weight.shape == (3, 5)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize("shape", [5, (5,), (None, 5), (7, 5), zeros(7, 5)])
def test_dense_builds_from_anything_that_tells_the_last_axis(shape: Any) -> None:
    assert nn.Dense(3).build(shape).weight.shape == (3, 5)
    assert nn.Sequential(nn.Dense(3)).build(shape)[0].built


def test_dense_takes_initializers_modules_and_functions() -> None:
    layer = nn.Dense(2, nn.ReLU(), True, "ones", nn.init.ones_, input_shape=3)
    assert layer([[1.0, 1.0, -1.0], [-9.0, 0.0, 0.0]]).tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert [name for name, _ in layer.named_children()] == ["activation"]
    assert nn.Dense(2, pr.tanh, input_shape=3)(zeros(1, 3)).tolist() == [[0.0, 0.0]]


def test_dense_casts_its_input_to_the_dtype_of_its_weight() -> None:
    for dtype in ("uint8", "int64", "float16", "float64", "bool"):
        assert nn.Dense(2)(pr.zeros(1, 3, dtype=dtype)).dtype == f32


def test_dense_built_in_a_trace_has_real_parameters() -> None:
    layer = nn.Dense(2)
    x = pr.ones(4, 3)
    traced = trace(layer, x)
    assert type(layer.weight.value) is np.ndarray
    assert (traced(x).numpy() == layer(x).numpy()).all()


def test_dense_is_built_by_the_state_it_loads() -> None:
    source = nn.Sequential(nn.Dense(4, input_shape=(3,)), nn.Dense(2))
    target = nn.Sequential(nn.Dense(4), nn.Dense(2))
    target.load_state_dict(source.state_dict())
    x = np.ones((2, 3), f32)
    assert (target(x).numpy() == source(x).numpy()).all()


def test_softmax_at_the_end_of_dense_is_known_to_be_probabilities() -> None:
    y = nn.Sequential(nn.Dense(2, "softmax"))(zeros(1, 3))
    assert (y.kind, y.logits.tolist()) == ("softmax", [[0.0, 0.0]])


def test_dropout_scales_in_training_and_does_nothing_in_use() -> None:
    layer, x = nn.Dropout(0.25), pr.ones(200, 100)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {f32(0), f32(1 / 0.75)}
    assert abs(y.mean() - 1) < 0.01
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()


def test_dropout_repeats_with_its_generator_and_differs_otherwise() -> None:
    x = pr.ones(64)
    first, second = (nn.Dropout(0.5, generator=pr.Generator(3))(x).numpy() for _ in range(2))
    assert (first == second).all()
    layer = nn.Dropout(0.5)
    assert (layer(x).numpy() != layer(x).numpy()).any()


def test_dropout_traces_to_the_same_draws_that_go_on() -> None:
    layer, x = nn.Dropout(0.5, generator=pr.Generator(5)), pr.ones(64)
    traced = trace(layer, x)
    compiled = [traced(x).numpy() for _ in range(2)]
    layer.generator.manual_seed(5)
    eager = [layer(x).numpy() for _ in range(2)]
    assert all((a == b).all() for a, b in zip(compiled, eager, strict=True))
    assert (eager[0] != eager[1]).any()


def test_dropout_passes_gradients_where_it_kept() -> None:
    x = pr.ones(64, requires_grad=True)
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    assert (x.grad.numpy() == y.numpy()).all()


def test_flatten_takes_keras_input_shape() -> None:
    model = nn.Sequential(nn.Flatten(input_shape=(2, 3)), nn.Dense(4), nn.Dense(1))
    assert model.built
    assert model[1].weight.shape == (4, 6)


def test_identity_ignores_what_it_is_made_with() -> None:
    x = pr.ones(2)
    assert nn.Identity(54, unused=True)(x) is x


COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "Linear, last axis": (
        pr.ShapeError, lambda: nn.Sequential({"head": nn.Linear(128, 3)})(zeros(32, 64)),
        'Linear("head"): last axis of x must equal in_features; expected 128, got x of shape '
        "(32, 64). Pass in_features=64 or reshape x.",
    ),
    "Linear, not flat": (
        pr.ShapeError, lambda: nn.Sequential(nn.Linear(784, 3))(zeros(32, 28, 28)),
        'Linear("0"): last axis of x must equal in_features; expected 784, got x of shape '
        "(32, 28, 28). Put nn.Flatten() before this layer.",
    ),
    "Linear, no axis": (
        pr.ShapeError, lambda: nn.Linear(5, 3)(pr.zeros(())),
        "Linear: last axis of x must equal in_features; expected 5, got x of shape (). Pass "
        "in_features=5 or reshape x.",
    ),
    "Linear, integers": (
        pr.DtypeError, lambda: nn.Linear(5, 3)(zeros(2, 5, dtype=int)),
        'Linear: x must have the dtype of the weight; expected float32, got x of int64. Cast it '
        'with x.to("float32").',
    ),
    "Linear, float64": (
        pr.DtypeError, lambda: nn.Linear(5, 3)(pr.zeros(2, 5, dtype="float64")),
        'Linear: x must have the dtype of the weight; expected float32, got x of float64. Cast it '
        'with x.to("float32").',
    ),
    "Linear, size": (
        pr.ShapeError, lambda: nn.Linear(5, 0),
        "Linear: out_features must be a size; expected a whole number >= 1, got 0. Pass "
        "out_features=64.",
    ),
    "Dense, other input": (
        pr.ShapeError, lambda: nn.Dense(3, input_shape=5)(zeros(2, 6)),
        "Dense: last axis of x must equal in_features; expected 5, got x of shape (2, 6). Reshape "
        "x, or make the layer anew.",
    ),
    "Dense, parameters too early": (
        pr.ShapeError, lambda: list(nn.Sequential(nn.Dense(3)).parameters()),
        'Dense("0"): parameters exist once the input size is known; expected input_shape=, '
        "build(input_shape) or a first call, got none of them. Call build with the shape of one "
        "example, like model.build((784,)).",
    ),
    "Dense, units": (
        pr.ShapeError, lambda: nn.Dense("3"),
        "Dense: units must be a size; expected a whole number >= 1, got '3'. Pass units=64.",
    ),
    "Dense, input_shape": (
        pr.ShapeError, lambda: nn.Dense(3, input_shape=(None,)),
        "Dense: last axis of input_shape must be a size; expected a whole number >= 1, got None. "
        "Pass the shape of one example, like (784,).",
    ),
    "Dense, activation": (
        ValueError, lambda: nn.Dense(3, "rellu"),
        "Dense: activation must be a known name; expected one of elu, exponential, gelu, "
        "hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear, log_sigmoid, log_softmax, mish, "
        "relu, relu6, selu, sigmoid, silu, softmax, softplus, softsign, swish, tanh, got 'rellu'. "
        "Did you mean 'relu'?",
    ),
    "Dense, initializer": (
        ValueError, lambda: nn.Dense(3, kernel_initializer="he_uniforn"),
        "Dense: initializer must be a known name; expected one of glorot_normal, glorot_uniform, "
        "he_normal, he_uniform, identity, lecun_normal, lecun_uniform, ones, orthogonal, "
        "random_normal, random_uniform, truncated_normal, zeros, got 'he_uniforn'. "
        "Did you mean 'he_uniform'?",
    ),
    "Dropout": (
        ValueError, lambda: nn.Dropout(20),
        "dropout: p is the share that is dropped; expected 0 <= p <= 1, got 20. Pass p=0.5.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_layer_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


def test_a_whole_training_step_traces_and_is_the_same_as_eager() -> None:
    rng = np.random.default_rng(0)
    x, y = pr.tensor(rng.normal(size=(8, 5)).astype(f32)), pr.tensor(rng.integers(0, 3, 8))

    def run(compiled: bool) -> tuple[list[Any], list[Any]]:
        pr.manual_seed(1)
        layers = [nn.Flatten(), nn.Dense(16, "relu"), nn.Dropout(0.3), nn.Linear(16, 3)]
        model = nn.Sequential(layers).build((5,))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            return value

        function = trace(step, x, y) if compiled else step
        values = [function(x, y).numpy().copy() for _ in range(5)]
        return values, [p.numpy() for p in model.parameters()]

    for eager, traced in zip(run(False), run(True), strict=True):
        for a, b in zip(eager, traced, strict=True):
            assert (a == b).all()


def test_functional_names_are_the_functions_of_ops_where_there_are_any() -> None:
    assert F.relu is pr.relu
    assert F.softmax is pr.softmax
    assert F.linear is pr.linear
