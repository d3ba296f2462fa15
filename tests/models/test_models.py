"""Models: shapes and sizes of all, ResNets against torchvision's names and PyTorch's numbers."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import models, optim
from tests.models import reference
from tests.oracle import NEEDS_TORCH

GOLDEN = json.loads(reference.GOLDEN.read_text())
CLOSE = {"rtol": 1e-8, "atol": 1e-10}  # of float64, after some twenty layers
# builder -> (its arguments, shape of an example, parameters, multiply-adds of it)
SIZES: dict[str, list[tuple[dict[str, Any], tuple[int, ...], int, int]]] = {
    "mlp": [
        ({}, (28, 28), 407_050, 406_528),
        ({"hidden": (), "num_classes": 3}, (784,), 2_355, 2_352),
        ({"in_features": 6, "hidden": (5, 4), "dropout": 0.5}, (2, 3), 109, 90),
    ],
    "lenet5": [
        ({}, (1, 28, 28), 61_706, 416_520),
        ({"in_channels": 3, "size": (32, 32)}, (3, 32, 32), 83_126, 886_440),
        ({"size": (12, 14), "num_classes": 2}, (1, 12, 14), 14_946, 51_768),
    ],
    "cnn": [
        ({}, (1, 28, 28), 50_186, 3_869_824),
        ({"in_channels": 3, "size": (9, 4), "widths": (5,), "dropout": 0.1}, (3, 9, 4), 550, 5_260),
    ],
    "resnet18": [({}, (3, 224, 224), 11_689_512, 1_814_073_344)],
    "resnet34": [({}, (3, 224, 224), 21_797_672, 3_663_761_408)],
    "resnet50": [({}, (3, 224, 224), 25_557_032, 4_089_184_256)],
}
ROWS = [pytest.param(name, *row, id=f"{name} {row[0]}") for name in SIZES for row in SIZES[name]]


@functools.cache
def resnet(name: str) -> models.ResNet:
    """A large one, which takes a moment to fill."""
    return models.MODELS[name]()


def built(name: str, **given: Any) -> Any:
    """A model that no test changes."""
    return resnet(name) if name in reference.KNOWN else models.MODELS[name](**given)


@pytest.mark.parametrize(("name", "given", "shape", "parameters", "products"), ROWS)
def test_models_have_the_size_they_are_known_for(
    name: str, given: Any, shape: tuple[int, ...], parameters: int, products: int
) -> None:
    found = built(name, **given).summary(shape)
    assert (found.parameters, found.flops) == (parameters, 2 * products)
    assert found.rows[-1].outputs == ((given.get("num_classes", 1000 if "res" in name else 10),),)


def test_every_model_is_known_by_its_size() -> None:
    assert list(SIZES) == list(models.MODELS)


@pytest.mark.parametrize("name", reference.KNOWN)
def test_resnets_have_the_names_and_shapes_of_torchvision(name: str) -> None:
    state = resnet(name).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == GOLDEN["shapes"][name]


def known(block: str) -> tuple[Any, ...]:
    """The other arguments of the small network."""
    depths, widths = reference.SMALL[block]
    return depths, reference.CLASSES, reference.CHANNELS, widths


def small(block: str, dtype: str = "float64") -> models.ResNet:
    """The small network with the weights of the formula, which a state of PyTorch's would bring."""
    model = models.ResNet(block, *known(block)).to(dtype)
    state = model.state_dict()
    model.load_state_dict({k: reference.values(k, v.shape).astype(v.dtype)
                           for k, v in state.items()})  # fmt: skip
    return model


def against(block: str, known: dict[str, Any]) -> None:
    """Our numbers against those of `reference.looked_at`."""
    model = small(block)
    evaluated = model.eval()(pr.tensor(reference.images()))
    np.testing.assert_allclose(evaluated.numpy(), known["eval"], **CLOSE)
    x = pr.tensor(reference.images(), requires_grad=True)
    trained = model.train()(x)
    (trained * trained).mean().backward()
    np.testing.assert_allclose(trained.numpy(), known["train"], **CLOSE)
    np.testing.assert_allclose(model.bn1.running_mean.numpy(), known["mean"], **CLOSE)
    slopes = {"input": x.grad, "first": model.conv1.weight.grad, "last": model.fc.weight.grad}
    for name, slope in slopes.items():
        found = reference.summed(slope.numpy())
        np.testing.assert_allclose(found, known["slopes"][name], **CLOSE, err_msg=name)


@pytest.mark.parametrize("block", reference.SMALL)
def test_resnets_give_what_pytorch_gives(block: str) -> None:
    against(block, GOLDEN["small"][block])


@NEEDS_TORCH
@pytest.mark.parametrize("block", reference.SMALL)
def test_resnets_give_what_an_installed_pytorch_gives(block: str) -> None:
    import torch

    against(block, reference.looked_at(torch, block))
    state = reference.small(torch, block).state_dict()
    model = models.ResNet(block, *known(block)).to("float64")
    model.load_state_dict(state)  # its tensors as they are
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[key].numpy(), err_msg=key)


@pytest.mark.parametrize("block", reference.SMALL)
def test_a_compiled_step_of_training_is_the_eager_one(block: str) -> None:
    images, labels = reference.images().astype("float32"), np.array([0, 1, 2])
    first, second = small(block, "float32"), small(block, "float32")
    losses = []
    for model, jit in [(first, False), (second, True)]:
        model.compile(optim.SGD(lr=0.01, momentum=0.9), "cross_entropy", jit=jit)
        losses.append([model.train_on_batch(images, labels) for _ in range(2)])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_a_saved_model_is_read_back(name: str, tmp_path: Path) -> None:
    model, shape = (models.lenet5(), (2, 1, 28, 28)) if name == "lenet5" else (
        small("basic", "float32"), reference.INPUT
    )  # fmt: skip
    x = np.sin(np.arange(math.prod(shape))).reshape(shape).astype("float32")
    model(x)  # in training, which changes what BatchNorm remembers
    pr.save(model, tmp_path / "model.safetensors")
    again = pr.load(tmp_path / "model.safetensors")
    assert type(again) is type(model)
    assert np.array_equal(again.eval()(x).numpy(), model.eval()(x).numpy())


def test_a_new_head_keeps_the_layers_before_it(tmp_path: Path) -> None:
    net = small("bottleneck", "float32")
    model = models.with_head(net, 3, hidden=8, dropout=0.0).eval()
    x = pr.tensor(reference.images().astype("float32"))
    body, head = model.children()
    assert body[0].weight is net.conv1.weight and "fc" not in str(model.state_dict().keys())
    images = body(x)
    pooled = pr.tensor(np.concatenate([images.numpy().max((2, 3)), images.numpy().mean((2, 3))], 1))
    np.testing.assert_allclose(head[0](images).flatten(1), pooled, rtol=1e-5, atol=1e-6)
    fc = net.eval().fc(pooled[:, pooled.shape[1] // 2 :])
    np.testing.assert_allclose(net(x), fc, rtol=1e-5, atol=1e-6)  # the body is all before it
    assert model(x).shape == (len(x), 3)
    pr.save(model, tmp_path / "model.safetensors")
    again = pr.load(tmp_path / "model.safetensors").eval()
    np.testing.assert_array_equal(again(x), model(x))
    with pytest.raises(TypeError, match="got Sequential"):
        models.with_head(models.mlp(), 3)  # type: ignore[arg-type]


def test_images_of_one_pixel_pass() -> None:
    model = small("basic", "float32").eval()
    assert model(np.ones((2, reference.CHANNELS, 1, 1), "float32")).shape == (2, reference.CLASSES)


def test_weights_begin_by_the_seed_and_filters_by_the_outputs() -> None:
    made = []
    for seed in (0, 0, 1):
        pr.manual_seed(seed)
        made.append(models.ResNet("basic", (1, 1), 2, widths=(8, 64)))
    weights = [model.layer2[0].conv2.weight.numpy() for model in made]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])
    assert weights[0].std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_an_unknown_block_is_named() -> None:
    with pytest.raises(ValueError, match="ResNet: block must be a known name.*mean 'basic'"):
        models.ResNet("basik", (1,), widths=(8,))
