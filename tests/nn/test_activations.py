"""Activations: values worked out by hand, names, defaults of both houses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn import activations

E = math.e

# layer, x, y
BY_HAND: dict[str, tuple[nn.Module, float, float]] = {
    "ReLU": (nn.ReLU(), -2.0, 0.0),
    "ReLU6": (nn.ReLU6(), 7.0, 6.0),
    "LeakyReLU": (nn.LeakyReLU(), -2.0, -0.02),
    "ELU": (nn.ELU(2.0), -1.0, 2 / E - 2),
    "SELU": (nn.SELU(), -1.0, 1.0507009873554805 * 1.6732632423543772 * (1 / E - 1)),
    "GELU": (nn.GELU(), 1.0, 0.5 * (1 + math.erf(math.sqrt(0.5)))),
    "GELU of tanh": (
        nn.GELU("tanh"), 1.0, 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715))
    ),
    "SiLU": (nn.SiLU(), 1.0, 1 / (1 + 1 / E)),
    "Mish": (nn.Mish(), 1.0, math.tanh(math.log(1 + E))),
    "Sigmoid": (nn.Sigmoid(), math.log(3), 0.75),
    "LogSigmoid": (nn.LogSigmoid(), -200.0, -200.0),
    "Tanh": (nn.Tanh(), math.log(3), 0.8),
    "Softplus": (nn.Softplus(2.0), 1.0, math.log(1 + E * E) / 2),
    "Softplus, large": (nn.Softplus(), 200.0, 200.0),
    "Softsign": (nn.Softsign(), -3.0, -0.75),
    "Hardtanh": (nn.Hardtanh(), -3.0, -1.0),
    "Hardsigmoid": (nn.Hardsigmoid(), 1.5, 0.75),
    "Hardswish": (nn.Hardswish(), 1.5, 1.125),
}  # fmt: skip


@pytest.mark.parametrize("layer, x, y", BY_HAND.values(), ids=BY_HAND.keys())
def test_activation_has_the_value_worked_out_by_hand(layer: Any, x: float, y: float) -> None:
    assert layer(pr.tensor(x)).item() == pytest.approx(y, rel=1e-6)


def test_softmax_goes_along_its_axis() -> None:
    x = pr.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert nn.Softmax()(x).numpy() == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert nn.Softmax(0)(x).numpy() == pytest.approx(np.array([[0.5, 0.75], [0.5, 0.25]]))
    assert nn.LogSoftmax()(x).numpy()[1] == pytest.approx([-math.log(2)] * 2)


def test_names_are_of_keras_with_its_defaults() -> None:
    x = pr.tensor([-1.0, 1.0])
    for name, function in activations.KERAS.items():
        assert activations.get("test", name)(x).numpy() == pytest.approx(function(x).numpy())
        assert nn.Activation(name)(x).shape == (2,)
    assert activations.get("test", "leaky_relu")(x).tolist() == pytest.approx([-0.2, 1.0])
    assert activations.get("test", None)(x) is x
    assert activations.get("test", pr.tanh) is pr.tanh


def test_unknown_name_is_refused_with_a_guess() -> None:
    with pytest.raises(ValueError, match="Activation: activation must be a known name") as caught:
        nn.Activation("swich")
    assert str(caught.value).endswith("got 'swich'. Did you mean 'swish'?")


def test_repr_shows_what_differs_from_the_default() -> None:
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.LeakyReLU()) == "LeakyReLU()"
    assert repr(nn.LeakyReLU(np.float32(0.5))) == "LeakyReLU(negative_slope=0.5)"
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"
