"""Initialization: each distribution's bounds and moments, PyTorch's and Keras' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn import init

SHAPE = (300, 100, 3)  # fan_in 300, fan_out 900

# function, standard deviation, largest absolute value (inf: none)
DRAWS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "uniform_": (lambda t, **g: init.uniform_(t, -2.0, 2.0, **g), 2 / math.sqrt(3), 2.0),
    "normal_": (lambda t, **g: init.normal_(t, 0.0, 0.3, **g), 0.3, math.inf),
    "trunc_normal_": (lambda t, **g: init.trunc_normal_(t, **g), 0.8796256610342398, 2.0),
    "xavier_uniform_": (init.xavier_uniform_, math.sqrt(2 / 1200), math.sqrt(6 / 1200)),
    "xavier_normal_": (
        lambda t, **g: init.glorot_normal_(t, 2.0, **g), 2 * math.sqrt(2 / 1200), math.inf,
    ),
    "kaiming_uniform_": (init.he_uniform_, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "kaiming_normal_": (
        lambda t, **g: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh", **g),
        5 / 3 / math.sqrt(900), math.inf,
    ),
    "orthogonal_": (init.orthogonal_, 1 / math.sqrt(300), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("fill, std, most", DRAWS.values(), ids=DRAWS.keys())
def test_draw_has_its_moments_and_bounds_and_repeats(fill: Any, std: float, most: float) -> None:
    tensor = pr.zeros(*SHAPE)
    assert fill(tensor, generator=pr.Generator(1)) is tensor
    values = tensor.numpy()
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert abs(values.std() / std - 1) < 0.01
    assert np.abs(values).max() <= most * (1 + 1e-6)
    again, other = pr.zeros(*SHAPE), pr.zeros(*SHAPE)
    fill(again, generator=pr.Generator(1))
    fill(other, generator=pr.Generator(2))
    assert (again.numpy() == values).all()
    assert (other.numpy() != values).any()


@pytest.mark.parametrize("name", init.KERAS)
def test_keras_initializer_has_keras_variance(name: str) -> None:
    weight = pr.zeros(400, 400)
    init.get("test", name)(weight)
    values = weight.numpy()
    scale = {"glorot": 1.0, "lecun": 1.0, "he": 2.0}.get(name.split("_")[0])
    fixed = {"zeros": 0.0, "ones": 0.0, "orthogonal": 1 / 20, "random_normal": 0.05,
             "random_uniform": 0.05 / math.sqrt(3), "identity": math.sqrt(1 / 400 - 1 / 160000),
             "truncated_normal": 0.05 * 0.8796256610342398}  # fmt: skip
    std = math.sqrt(scale / 400) if scale else fixed[name]
    assert values.std() == pytest.approx(std, rel=0.02)
    if "uniform" in name:
        assert np.abs(values).max() <= std * math.sqrt(3) * 1.0001
    elif name not in ("zeros", "ones", "identity", "orthogonal", "random_normal"):
        assert np.abs(values).max() <= 2 * std / 0.8796256610342398 * 1.0001


def test_constants() -> None:
    tensor = pr.zeros(2, 3)
    assert init.ones_(tensor).tolist() == [[1.0] * 3] * 2
    assert init.constant_(tensor, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.eye_(tensor).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert init.zeros_(tensor).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 2, 3)])
def test_orthogonal_rows_or_columns(shape: Any) -> None:
    matrix = init.orthogonal_(pr.zeros(*shape, dtype="float64"), 2.0).numpy().reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_parameters_are_filled_in_place_without_a_record() -> None:
    layer = nn.Linear(3, 2)
    memory = layer.weight.numpy()
    init.normal_(layer.weight)
    assert layer.weight.numpy() is memory
    assert layer.weight.is_leaf
    assert layer.weight.requires_grad


def test_fans_count_the_receptive_field() -> None:
    assert init.fans((16, 3, 5, 5)) == (75, 400)


def test_gains_match_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


COMPLAINTS: dict[str, tuple[Callable[[], Any], str]] = {
    "bias": (
        lambda: init.xavier_uniform_(pr.zeros(3)),
        "init: a weight needs inputs and outputs; expected at least 2 axes (out, in, ...), got "
        "(3,). Use uniform_, normal_ or zeros_ for a bias.",
    ),
    "mode": (
        lambda: init.kaiming_normal_(pr.zeros(3, 2), mode="fanin"),
        "kaiming: mode must be a known name; expected one of fan_in, fan_out, got 'fanin'. Did you "
        "mean 'fan_in'?",
    ),
    "eye": (
        lambda: init.eye_(pr.zeros(3)),
        "eye_: needs a matrix; expected 2 axes, got (3,). Reshape it.",
    ),
    "gain": (
        lambda: init.calculate_gain("reluu"),
        "calculate_gain: nonlinearity must be a known name; expected one of conv1d, conv2d, "
        "conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, leaky_relu, linear, relu, "
        "selu, sigmoid, tanh, got 'reluu'. Did you mean 'relu'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_init_complains_in_full(act: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        act()
    assert str(caught.value) == text


def test_make_takes_inputs_and_outputs_from_the_right() -> None:
    pr.manual_seed(0)
    kernel = init.make("he_normal", (3, 3, 40, 5))
    assert kernel.shape == (3, 3, 40, 5)
    assert abs(float(kernel.std()) - math.sqrt(2 / 360)) < 0.004
    assert (init.make("zero", 4).tolist(), init.make("one", (), "float64").dtype) == ([0] * 4, "f8")
