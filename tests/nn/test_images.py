"""The harness of the image layers: every row of image_cases.py through every sweep.

Values and gradients against PyTorch's (a golden file, and live where it is installed), gradients to
second order, traced, both orders of axes, empty batches, from config and state.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn.module import Module
from pierian.testing import TOLERANCES, agree, compare, gradcheck
from tests.nn.image_cases import ROWS, Row, golden, parameter, slope
from tests.nn.test_room import call
from tests.oracle import NEEDS_TORCH

GOLDEN = np.load(Path(__file__).parent / "images_golden.npz")
KEPT = 2e-7  # half a unit of the float32 that the golden file keeps
rows = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
in_torch = {name: row for name, row in ROWS.items() if row.torch}
torch_rows = pytest.mark.parametrize("row", in_torch.values(), ids=in_torch.keys())
firsts = {row.name: row for row in reversed(ROWS.values())}  # one row per class
classes = pytest.mark.parametrize("row", firsts.values(), ids=firsts.keys())


def build(row: Row) -> Module:
    """The layer in float64 with the table's parameters."""
    layer: Module = eval(row.text, dict(vars(nn)))
    layer(row.x.astype("float32"))  # builds what waits for its channels
    layer.double()
    layer.load_state_dict({
        name: parameter(name, t.shape) if t.is_floating_point() else np.zeros(t.shape, t.dtype)
        for name, t in layer.state_dict().items()
    })  # fmt: skip
    return layer


def against(row: Row, wanted: dict[str, np.ndarray], within: float) -> None:
    """Values, gradients and running statistics of a row are those `wanted`."""
    for training in (True, False):
        mode = "train" if training or "eval y" not in wanted else "eval"
        layer = build(row).train(training)
        x = pr.tensor(row.x, requires_grad=True)
        y = layer(x)
        y.backward(pr.tensor(slope(row.text, y.shape)))
        found = {"y": y, "x": x.grad}
        found |= {f"d{name}": p.grad for name, p in layer.named_parameters()}
        if training:
            found |= {f"b{name}": b for name, b in layer.named_buffers()}
        names = {key[len(mode) + 1 :] for key in wanted if key.startswith(mode)}
        assert found.keys() == {n for n in names if training or n[0] != "b"}
        for name, value in found.items():
            compare(f"{name} in {mode}", value.double(), wanted[f"{mode} {name}"], within)


@torch_rows
def test_layer_gives_what_the_golden_file_says(row: Row) -> None:
    head = f"{next(name for name, r in ROWS.items() if r is row)}|"
    wanted = {key[len(head) :]: GOLDEN[key].astype(float) for key in GOLDEN if key.startswith(head)}
    against(row, wanted, KEPT)


@NEEDS_TORCH
@torch_rows
def test_layer_gives_what_torch_says(row: Row) -> None:
    import torch

    theirs = eval(row.text, dict(vars(torch.nn))).state_dict()
    assert {k: tuple(v.shape) for k, v in theirs.items()} == {
        k: v.shape for k, v in build(row).state_dict().items()
    }
    against(row, golden(torch, row), TOLERANCES["float64"].gradient)


@rows
def test_layer_has_right_gradients_to_second_order(row: Row) -> None:
    layer = build(row)
    tensors = [p.detach() for p in layer.parameters()]
    gradcheck(lambda x, *parameters: call(layer, list(parameters), x), row.x, *tensors)


@classes
def test_layer_is_the_same_traced_and_compiled(row: Row) -> None:
    for training in (True, False):
        layer = build(row).to("float32").train(training)
        agree(layer, pr.tensor(row.x / 8, dtype="float32"))  # sums of numbers below 1


# BatchNormalization has an axis, the others work on any
NO_FORMAT = {"BatchNormalization", "LayerNorm", "RMSNorm", "Sequential", "Unflatten"}


@rows
def test_layer_is_the_same_with_channels_last(row: Row) -> None:
    layer = build(row)
    config = layer.config()
    if "data_format" not in config:
        assert row.name in NO_FORMAT or row.name.startswith("Lazy")  # which hand options on
        return
    given = config["data_format"] or "channels_last"  # Keras' default
    other = {"channels_first": "channels_last", "channels_last": "channels_first"}[given]
    twin = type(layer).from_config(config | {"data_format": other}, rebuilt(layer))
    load(twin, layer.state_dict())
    to_last = [0, *range(2, row.x.ndim), 1]
    to_first = [0, row.x.ndim - 1, *range(1, row.x.ndim - 1)]
    there, back = (to_last, to_first) if given == "channels_first" else (to_first, to_last)
    y, turned = layer(row.x), twin(np.ascontiguousarray(row.x.transpose(there)))
    compare("turned", turned if turned.ndim == 2 else turned.permute(back), y, 1e-12)


def load(layer: Module, state: dict[str, Any]) -> None:
    """`state` in float64, also where loading creates the parameters."""
    layer.load_state_dict(state)
    layer.double().load_state_dict(state)


def rebuilt(layer: Module) -> dict[str, Module]:
    """New modules for the parts of `layer`."""
    return {
        name: type(child).from_config(child.config(), rebuilt(child))
        for name, child in layer.named_children()
    }


@rows
def test_layer_comes_back_from_its_config_and_state(row: Row) -> None:
    layer = build(row).eval()
    config = json.loads(json.dumps(layer.config()))
    again = type(layer).from_config(config, rebuilt(layer)).eval()
    load(again, {name: t.numpy() for name, t in layer.state_dict().items()})
    compare("again", again(row.x), layer(row.x), within=0)
    assert repr(again) == repr(layer)
    compare("copy", copy.deepcopy(layer)(row.x), layer(row.x), within=0)


@classes
def test_layer_takes_empty_batches_views_and_both_dtypes(row: Row) -> None:
    layer = build(row).eval()
    x = row.x
    assert layer(np.zeros((0, *x.shape[1:]))).shape == (0, *layer(x).shape[1:])
    turned = np.ascontiguousarray(x.T).T
    assert not turned.flags.c_contiguous
    compare("view", layer(turned), layer(x), 1e-12)
    assert layer(x).dtype == np.float64
    assert layer.to("float32")(x.astype("float32")).dtype == np.float32


@classes
def test_every_class_is_one_of_nn_with_a_summary(row: Row) -> None:
    assert row.name in nn.__all__
    layer = build(row).to("float32").eval()
    table = layer.summary(row.x.shape[1:])
    assert table.rows[-1].outputs == (layer(row.x.astype("float32")).shape[1:],)
    assert table.parameters == sum(p.numel() for p in layer.parameters())


# FLOPs: a multiply-add as 2


COSTS: dict[str, tuple[Callable[[], Module], tuple[int, ...], int]] = {
    "conv": (lambda: nn.Conv2d(3, 8, 5, padding=2), (3, 10, 9), 2 * 8 * 90 * 75),
    "stride": (lambda: nn.Conv2d(3, 8, 3, stride=2), (3, 9, 9), 2 * 8 * 16 * 27),
    "depthwise": (lambda: nn.Conv1d(6, 6, 3, groups=6), (6, 10), 2 * 6 * 8 * 3),
    "transposed": (lambda: nn.ConvTranspose2d(4, 2, 3, stride=2), (4, 5, 5), 2 * 25 * 4 * 2 * 9),
    "keras": (lambda: nn.Conv2D(8, 3), (5, 5, 2), 2 * 8 * 9 * 18),
    "pool": (lambda: nn.MaxPool2d(2), (3, 4, 4), 0),
}


@pytest.mark.parametrize("make, shape, flops", COSTS.values(), ids=COSTS.keys())
def test_summary_counts_multiplications(make: Any, shape: tuple[int, ...], flops: int) -> None:
    assert make().summary(shape).flops == flops
