"""Convolution and pooling layers: how they start, deferred channels, files, and complaints.

Values, gradients and the rest of what all image layers share are in test_images.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.compiler.jit import jit
from pierian.core.trace import trace
from pierian.nn import functional as F
from pierian.ops import convolution
from pierian.testing import compare

f32 = np.float32


def zeros(*shape: int, dtype: Any = f32) -> np.ndarray:
    return np.zeros(shape, dtype)


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(f32)


@pytest.mark.parametrize(
    "layer, inputs",
    [
        (lambda: nn.Conv2d(100, 50, 2), 400),
        (lambda: nn.Conv2d(100, 60, 4, groups=4), 400),
        (lambda: nn.ConvTranspose2d(50, 100, 2), 400),
        (lambda: nn.ConvTranspose1d(60, 400, 4, groups=4), 400),
    ],
)
def test_convolution_starts_uniform_within_one_over_root_of_inputs(layer: Any, inputs: int) -> None:
    made = layer()
    bound = 1 / np.sqrt(inputs)
    for parameter in made.parameters():
        values = parameter.numpy()
        assert np.abs(values).max() <= bound
        assert values.max() > 0.8 * bound
        assert values.min() < -0.8 * bound
    assert abs(made.weight.numpy().std() - bound / np.sqrt(3)) < 0.01 * bound
    assert (layer().weight.numpy() != made.weight.numpy()).any()


def test_keras_convolution_starts_glorot_uniform_with_zero_bias() -> None:
    layer = nn.Conv2D(40, 5, input_shape=(28, 28, 30))
    bound = np.sqrt(6 / (25 * 70))
    values = layer.weight.numpy()
    assert values.shape == (40, 30, 5, 5)
    assert bound * 0.99 < np.abs(values).max() <= bound
    assert not layer.bias.numpy().any()
    filled = nn.Conv2D(4, 1, kernel_initializer="ones", bias_initializer=nn.init.ones_)
    assert filled(np.ones((1, 2, 2, 3))).numpy().tolist() == np.full((1, 2, 2, 4), 4.0).tolist()


def test_keras_layers_are_pytorchs_with_other_axes() -> None:
    x = some(2, 7, 6, 3)
    images = x.transpose(0, 3, 1, 2)
    ours, theirs = nn.Conv2D(4, 3, activation="relu"), nn.Conv2d(3, 4, 3)
    ours(x)
    theirs.load_state_dict(ours.state_dict())
    compare("Conv2D", ours(x).permute(0, 3, 1, 2), F.relu(theirs(images)))
    pool = nn.MaxPooling2D()(x).permute(0, 3, 1, 2)
    compare("MaxPooling2D", pool, nn.MaxPool2d(2)(images), within=0)
    mean = nn.AveragePooling2D(3, 2, "same")(x)[0, 0, 0]  # a corner: 2·2 of 3·3 are inside
    compare("AveragePooling2D", mean, x[0, :2, :3].mean((0, 1)), 1e-6)
    compare("GlobalAveragePooling2D", nn.GlobalAveragePooling2D()(x), x.mean((1, 2)))
    compare("GlobalMaxPooling2D", nn.GlobalMaxPooling2D()(x), x.max((1, 2)), within=0)
    assert nn.GlobalMaxPooling2D(keepdims=True)(x).shape == (2, 1, 1, 3)
    softmax = nn.Conv2D(4, 1, activation="softmax")(x)
    compare("activation of the last axis", softmax.sum(-1), np.ones((2, 7, 6), f32))


def test_keras_convolution_casts_its_input() -> None:
    for dtype in ("uint8", "int64", "float64", "bool"):
        layer = nn.Conv2D(2, 3)
        for _ in range(2):
            assert layer(pr.zeros(1, 4, 4, 1, dtype=dtype)).dtype == f32


def test_a_whole_keras_model_builds_from_input_shape_or_first_batch() -> None:
    layers = lambda **options: nn.Sequential(  # noqa: E731
        nn.Conv2D(4, 3, activation="relu", **options), nn.BatchNormalization(), nn.MaxPooling2D(),
        nn.Conv2D(6, 3, padding="same"), nn.GlobalAveragePooling2D(), nn.Dense(3),
    )  # fmt: skip
    model = layers(input_shape=(12, 12, 2))
    assert model.built
    assert model[3].weight.shape == (6, 4, 3, 3)
    waiting = layers()
    assert not waiting.built
    assert waiting(zeros(5, 12, 12, 2)).shape == (5, 3)
    assert waiting.built
    loaded = layers()
    loaded.load_state_dict(model.state_dict())
    x = some(2, 12, 12, 2)
    compare("loaded", loaded.eval()(x), model.eval()(x), within=0)


def test_deferred_layers_get_real_parameters_in_a_trace() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(None), nn.ConvTranspose2d(None, 2, 2))
    x = pr.ones(3, 2, 5, 5)
    trace(model, x)
    assert {type(p.value) for p in model.parameters()} == {np.ndarray}
    assert model[2].weight.shape == (4, 2, 2, 2)


def build() -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, groups=4, padding="same"), nn.InstanceNorm2d(4, affine=True),
        nn.ConvTranspose2d(4, 2, 2, stride=2), nn.GroupNorm(1, 2), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3),
    ).build((1, 8, 8))  # fmt: skip


def test_model_comes_back_from_a_file_with_its_buffers(tmp_path: Path) -> None:
    model, x = build(), some(5, 1, 8, 8)
    model(x)  # moves the running statistics
    assert model[1].num_batches_tracked.item() == 1
    pr.save(model.eval(), tmp_path / "model")
    again = pr.load(tmp_path / "model").eval()
    compare("state", again.state_dict(), model.state_dict(), within=0)
    compare("outputs", again(x), model(x), within=0)


def test_a_compiled_training_step_does_what_the_eager_one_does() -> None:
    x, y = pr.tensor(some(6, 1, 8, 8)), pr.tensor([0, 1, 2, 0, 1, 2])

    def run(compiled: bool) -> tuple[list[float], dict[str, Any]]:
        pr.manual_seed(1)
        model = build()
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        function = jit(step) if compiled else step
        losses = [function(x, y).item() for _ in range(4)]
        return losses, model.state_dict()

    (losses, state), (wanted, wanted_state) = run(True), run(False)
    assert wanted[-1] < wanted[0]
    compare("losses", np.array(losses), np.array(wanted), 1e-5)
    compare("state", state, wanted_state, 1e-4)


def test_large_batches_go_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = pr.tensor(some(7, 4, 6, 5)), pr.tensor(some(6, 2, 3, 3))
    g = pr.tensor(some(7, 6, 6, 5))

    def all_three() -> list[Any]:
        y, pull = pr.vjp(lambda x, w: pr.conv(x, w, padding=1, groups=2), x, w)
        return [y, *pull(g)]

    whole = all_three()
    monkeypatch.setattr(convolution, "BLOCK", 3 * 4 * 4 * 9 * 30)  # three examples at a time
    compare("blocks", all_three(), whole, 1e-5)


INF, NAN = np.inf, np.nan
WINNERS: dict[str, tuple[list[float], int]] = {  # of a 2x2 image: which pixel takes the gradient
    "the first of equal ones": ([1, 2, 2, 2], 1),
    "the first of zeros of either sign": ([-1, 0.0, -0.0, 0.0], 1),
    "infinity": ([INF, 1, INF, 0], 0),
    "the last NaN": ([NAN, INF, NAN, 0], 2),
    "a pixel and not the padding": ([-INF, -INF, -INF, -INF], 0),
}


@pytest.mark.parametrize("pixels, winner", WINNERS.values(), ids=WINNERS.keys())
def test_gradient_of_max_pooling_goes_to_one_pixel(pixels: list[float], winner: int) -> None:
    x = pr.tensor(np.array(pixels, f32).reshape(1, 1, 2, 2), requires_grad=True)
    nn.MaxPool2d(4, padding=1)(x).sum().backward()
    assert x.grad.flatten().tolist() == [float(i == winner) for i in range(4)]
    y, back = pr.vjp(lambda x: pr.max_pool(x, 2), x.detach())
    (g,) = back(pr.full((1, 1, 1, 1), INF))
    assert g.flatten().tolist() == [INF if i == winner else 0.0 for i in range(4)]


COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "no channels": (
        pr.ShapeError, lambda: nn.Sequential({"stem": nn.Conv2d(1, 6, 5)})(zeros(32, 28, 28)),
        'Conv2d("stem"): x must be a batch of images with 2 spatial axes; expected (b, 1, h, w), '
        "got x of shape (32, 28, 28). Add the axis of channels with x.unsqueeze(1).",
    ),
    "one image": (
        pr.ShapeError, lambda: nn.Conv2d(3, 6, 5)(zeros(3, 28, 28)),
        "Conv2d: x must be a batch of images with 2 spatial axes; expected (b, 3, h, w), got x of "
        "shape (3, 28, 28). Add the axis of the batch with x.unsqueeze(0).",
    ),
    "no channels, last": (
        pr.ShapeError, lambda: nn.Conv2D(6, 5)(zeros(32, 28, 28)),
        "Conv2D: x must be a batch of images with 2 spatial axes; expected (b, h, w, c), got x of "
        "shape (32, 28, 28). Add the axis of channels with x.unsqueeze(-1).",
    ),
    "flat": (
        pr.ShapeError, lambda: nn.Conv1d(3, 6, 5)(zeros(32, 28, 28, 5)),
        "Conv1d: x must be a batch of images with 1 spatial axis; expected (b, 3, l), got x of "
        "shape (32, 28, 28, 5). Reshape x to (b, 3, l).",
    ),
    "channels": (
        pr.ShapeError, lambda: nn.Conv2d(3, 6, 5)(zeros(32, 1, 28, 28)),
        "Conv2d: axis 1 of x must hold the channels; expected 3, got x of shape (32, 1, 28, 28). "
        "Pass in_channels=1.",
    ),
    "order of axes": (
        pr.ShapeError, lambda: nn.Conv2d(3, 6, 5)(zeros(32, 28, 28, 3)),
        "Conv2d: axis 1 of x must hold the channels; expected 3, got x of shape (32, 28, 28, 3). "
        'Pass data_format="channels_last".',
    ),
    "kernel": (
        pr.ShapeError, lambda: nn.Conv2d(1, 6, 5, dilation=2)(zeros(1, 1, 8, 9)),
        "Conv2d: the kernel must fit into the padded input; expected at most (8, 9), got a kernel "
        "of (5, 5), which dilation spreads over (9, 9). Pass padding=, a smaller kernel, or larger "
        "images.",
    ),
    "dtype": (
        pr.DtypeError, lambda: nn.Conv2d(1, 6, 5)(zeros(1, 1, 8, 9, dtype=np.uint8)),
        "Conv2d: x must have the dtype of the weight; expected float32, got x of uint8. Cast it "
        'with x.to("float32").',
    ),
    "groups": (
        pr.ShapeError, lambda: nn.Conv2d(3, 6, 5, groups=2),
        "Conv2d: groups must divide in_channels; expected a divisor of 3, got groups=2. Pass "
        "groups=1.",
    ),
    "stride": (
        pr.ShapeError, lambda: nn.Conv2d(3, 6, 5, stride=0),
        "Conv2d: stride is one number, or one per spatial axis; expected a whole number >= 1, or 2 "
        "of them, got 0. Pass stride=1.",
    ),
    "padding": (
        ValueError, lambda: nn.Conv2d(3, 6, 5, padding="full"),
        'Conv2d: padding has two names; expected "same" or "valid", got \'full\'. Pass one of '
        "them, or numbers.",
    ),
    "output_padding": (
        pr.ShapeError, lambda: nn.ConvTranspose1d(3, 6, 5, output_padding=1)(zeros(1, 3, 4)),
        "ConvTranspose1d: output_padding must be smaller than stride; expected < (1,), got (1,). "
        "Pad the result with zeros instead.",
    ),
    "reflect": (
        pr.ShapeError, lambda: nn.Conv1d(1, 1, 9, 1, 4, padding_mode="reflect")(zeros(1, 1, 4)),
        "Conv1d: padding by 'reflect' needs a larger image; expected at least 5 on axis 2, got "
        'shape (1, 1, 4). Pass a smaller padding, or mode="constant".',
    ),
    "pool": (
        pr.ShapeError, lambda: nn.Sequential(nn.MaxPool2d(2, padding=2))(zeros(1, 1, 4, 4)),
        'MaxPool2d("0"): padding must be at most half of the kernel; expected at most (1, 1), got '
        "2. Pass a smaller padding, or pad x before.",
    ),
    "pool of integers": (
        pr.DtypeError, lambda: nn.MaxPool2d(2)(zeros(1, 1, 4, 4, dtype=np.uint8)),
        "max_pool: needs floating images; expected float32, got uint8. Cast x with .float().",
    ),
    "indices": (
        ValueError, lambda: nn.MaxPool2d(2, return_indices=True),
        "MaxPool2d: maxima are given without their places; expected return_indices=False, got "
        "True. Compare the images with the result.",
    ),
    "data_format": (
        ValueError, lambda: nn.Conv2d(3, 6, 5, data_format="channels_lst"),
        "Conv2d: data_format must be a known name; expected one of channels_first, channels_last, "
        "got 'channels_lst'. Did you mean 'channels_last'?",
    ),
    "shuffle": (
        pr.ShapeError, lambda: nn.PixelShuffle(2)(zeros(1, 6, 2, 2)),
        "PixelShuffle: channels must be a multiple of upscale_factor²; expected a multiple of 4, "
        "got 6. Change the channels of the layer before.",
    ),
    "upsample": (
        ValueError, lambda: nn.Upsample()(zeros(1, 6, 2, 2)),
        "Upsample: needs the size or the factor; expected size= or scale_factor=, got neither. "
        "Pass one of them.",
    ),
    "functional": (
        pr.ShapeError, lambda: F.conv2d(zeros(1, 6, 2), zeros(1, 6, 2)),
        "conv2d: x must be a batch of images with 2 spatial axes; expected (b, c, h, w), got x of "
        "shape (1, 6, 2). Add the axis of channels with x.unsqueeze(1).",
    ),
    "weight": (
        pr.ShapeError, lambda: pr.conv(zeros(1, 6, 2), zeros(1, 5, 2)),
        "conv: the channels of x must be those of the weight; expected 5, got 6. Pass "
        "in_channels=6, or check the order of the axes.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_layer_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


def test_functions_for_a_number_of_axes_are_the_general_ones() -> None:
    for rank, name in itertools.product((1, 2, 3), ("max_pool", "avg_pool", "adaptive_avg_pool")):
        x = some(2, 3, *(4, 6, 2)[:rank])
        special = getattr(F, f"{name}{rank}d")
        general = getattr(pr, name, None) or getattr(nn.spatial, name)
        compare(special.__name__, special(x, 2), general(x, 2), within=0)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_is_numpys_in_the_other_order(mode: str) -> None:
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x = some(2, 3, 4)
    options = {"constant_values": 7} if mode == "constant" else {}
    wanted = np.pad(x, ((0, 0), (1, 2), (3, 0)), names[mode], **options)
    compare(mode, F.pad(x, (3, 0, 1, 2), mode, 7.0), wanted, within=0)
    wanted = np.pad(x[:, :, 1:], ((0, 0), (0, 0), (0, 2)), names[mode], **options)
    compare("cut", F.pad(x, (-1, 2), mode, 7.0), wanted, within=0)
