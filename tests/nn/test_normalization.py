"""Normalisations: running statistics by hand, Keras' conventions, edges and complaints.

Values, gradients and the rest of what all layers share are in test_images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn import functional as F
from pierian.testing import compare, gradcheck

f32 = np.float32


def some(*shape: int) -> np.ndarray:
    return (np.random.default_rng(shape).normal(size=shape) * 3 + 5).astype(f32)


def test_batch_norm_follows_mean_and_unbiased_variance() -> None:
    layer, x, y = nn.BatchNorm2d(3, momentum=0.25), some(4, 3, 5, 2), some(2, 3, 5, 2)
    mean, var = np.zeros(3), np.ones(3)
    for batch in (x, y):
        layer(batch)
        mean += 0.25 * (batch.mean((0, 2, 3)) - mean)
        var += 0.25 * (batch.var((0, 2, 3), ddof=1) - var)
    compare("mean", layer.running_mean, mean.astype(f32), 1e-5)
    compare("variance", layer.running_var, var.astype(f32), 1e-5)
    assert layer.num_batches_tracked.item() == 2
    layer.eval()
    wanted = (x - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    compare("eval", layer(x), wanted.astype(f32), 1e-5)
    assert layer.num_batches_tracked.item() == 2


def test_batch_norm_without_momentum_averages_all_batches() -> None:
    layer, batches = nn.BatchNorm1d(3, momentum=None), [some(4, 3), some(5, 3), some(6, 3)]
    for batch in batches:
        layer(batch)
    compare("mean", layer.running_mean, np.mean([b.mean(0) for b in batches], 0), 1e-5)


def test_keras_normalization_follows_the_biased_variance_slowly() -> None:
    layer, x = nn.BatchNormalization(), some(4, 5, 3)
    y = layer(x)
    mean, var = x.mean((0, 1)), x.var((0, 1))
    compare("training", y, (x - mean) / np.sqrt(var + 1e-3), 1e-5)
    compare("mean", layer.running_mean, 0.01 * mean, 1e-5)
    compare("variance", layer.running_var, 0.99 + 0.01 * var, 1e-5)
    layer.eval()
    shifted = (x - 0.01 * mean) / np.sqrt(0.99 + 0.01 * var + 1e-3)
    compare("eval", layer(x), shifted.astype(f32), 1e-5)


def test_keras_normalization_takes_axis_initializers_and_no_parameters() -> None:
    layer = nn.BatchNormalization(
        1, gamma_initializer="zeros", beta_initializer="ones", input_shape=(3, 5, 5)
    )
    assert layer.built
    compare("bias", layer(some(2, 3, 5, 5)), np.ones((2, 3, 5, 5), f32), within=0)
    bare = nn.BatchNormalization(scale=False, center=False)
    bare(some(4, 3))
    assert list(bare.state_dict()) == ["running_mean", "running_var"]


def test_frozen_statistics_are_an_ordinary_function_of_the_input() -> None:
    layer = nn.BatchNorm1d(3).double().eval()
    gradcheck(lambda x: layer(x), some(4, 3).astype(float))
    x = pr.tensor(some(4, 3), requires_grad=True)
    nn.BatchNorm1d(3).eval()(x).sum().backward()
    compare("slope", x.grad, np.full((4, 3), 1 / np.sqrt(1 + 1e-5), f32))


def test_third_derivatives_of_batch_norm_match_differences() -> None:
    x = np.random.default_rng(0).normal(size=(4, 2))
    weight, bias = np.array([1.3, 0.7]), np.array([0.1, -0.2])
    gradcheck(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True) ** 2,
        x, weight, bias, order=3,
    )  # fmt: skip


def test_a_mean_far_from_zero_costs_its_own_rounding_only() -> None:
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(f32)
    far = x + f32(4096)  # where float32 goes in steps of 5e-4; by squares all would be lost
    exact = far.astype(float)
    wanted = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    compare("batch", nn.BatchNorm1d(4)(far), wanted.astype(f32), 3e-3)
    compare("layer", nn.LayerNorm(64)(far.T), wanted.astype(f32).T, 3e-3)


def test_halves_are_summed_in_float32() -> None:
    x = np.full((4, 3, 50, 50), 40, np.float16)
    y = nn.BatchNorm2d(3).to("float16")(x)
    assert y.dtype == np.float16
    assert not y.numpy().any()


def test_instance_norm_does_not_look_at_other_examples() -> None:
    x = some(3, 2, 4, 4)
    layer = nn.InstanceNorm2d(2)
    compare("alone", layer(x[1:2]), layer(x)[1:2], 1e-6)
    assert list(layer.state_dict()) == []


COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "one value": (
        pr.ShapeError, lambda: nn.Sequential(nn.BatchNorm1d(3))(some(1, 3)),
        'BatchNorm1d("0"): training needs more than one value per channel; expected a batch of 2 '
        "or more, got x of shape (1, 3). Call eval(), or drop a last batch of one example.",
    ),
    "channels": (
        pr.ShapeError, lambda: nn.BatchNorm2d(3)(some(2, 4, 5, 5)),
        "BatchNorm2d: axis 1 of x must hold the channels; expected 3, got x of shape "
        "(2, 4, 5, 5). Pass num_features=4.",
    ),
    "axes": (
        pr.ShapeError, lambda: nn.BatchNorm1d(3)(some(2, 3, 5, 5)),
        "BatchNorm1d: x must have the right number of axes; expected 2 or 3, got x of shape "
        "(2, 3, 5, 5). Insert or merge axes, or take the layer for so many.",
    ),
    "layer norm": (
        pr.ShapeError, lambda: nn.LayerNorm((3, 5))(some(2, 4, 5)),
        "LayerNorm: x must end in normalized_shape; expected (3, 5), got x of shape (2, 4, 5). "
        "Pass normalized_shape=(4, 5).",
    ),
    "groups": (
        pr.ShapeError, lambda: nn.GroupNorm(3, 4),
        "GroupNorm: num_groups must divide num_channels; expected a divisor of 4, got 3. Pass "
        "num_groups=1 or another divisor.",
    ),
    "group channels": (
        pr.ShapeError, lambda: nn.GroupNorm(2, 4)(some(2, 6, 3)),
        "GroupNorm: axis 1 of x must hold the channels; expected 4, got x of shape (2, 6, 3). Pass "
        "another num_channels.",
    ),
    "one place": (
        pr.ShapeError, lambda: nn.InstanceNorm2d(4)(some(2, 4, 1, 1)),
        "InstanceNorm2d: needs more than one place per channel; expected larger images, got x of "
        "shape (2, 4, 1, 1). Leave the layer out here.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_normalization_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text
