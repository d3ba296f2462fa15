"""The harness: every layer and loss of nn is a row in a table, and each sweep runs all rows.

A new public class needs a row in `LAYERS`, `LOSSES` or `ELSEWHERE`, or the last test fails.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn.functional import __all__ as FUNCTIONS
from pierian.nn.module import Module
from pierian.testing import TOLERANCES, agree, compare, gradcheck
from tests.nn import image_cases

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3, 5))
# No element near a kink of any activation (0, ±1, ±3, 6): differences would straddle it.
X = np.sign(X) * np.array([0.3, 0.7, 1.6, 2.4, 4.5])
FLOAT32, FLOAT64 = TOLERANCES["float32"], TOLERANCES["float64"]


@dataclass(frozen=True)
class Layer:
    """A row: how to make the layer, the shape it gives for X, and PyTorch's text for the same."""

    make: Callable[[], Module]
    shape: tuple[int, ...] = X.shape
    torch: str = ""
    random: bool = False


LAYERS: dict[str, Layer] = {
    "Activation": Layer(lambda: nn.Activation("tanh"), torch="Tanh()"),
    "Dense": Layer(lambda: nn.Dense(2, "tanh", input_shape=(5,)), (4, 3, 2)),
    "Dense without bias": Layer(lambda: nn.Dense(2, use_bias=False, input_shape=5), (4, 3, 2)),
    "Dropout": Layer(lambda: nn.Dropout(0.5), random=True, torch="Dropout(0.5).eval()"),
    "ELU": Layer(lambda: nn.ELU(0.7), torch="ELU(0.7)"),
    "Flatten": Layer(lambda: nn.Flatten(), (4, 15), "Flatten()"),
    "Flatten the front": Layer(lambda: nn.Flatten(0, 1), (12, 5), "Flatten(0, 1)"),
    "GELU": Layer(lambda: nn.GELU(), torch="GELU()"),
    "GELU of tanh": Layer(lambda: nn.GELU("tanh"), torch="GELU('tanh')"),
    "Hardsigmoid": Layer(lambda: nn.Hardsigmoid(), torch="Hardsigmoid()"),
    "Hardswish": Layer(lambda: nn.Hardswish(), torch="Hardswish()"),
    "Hardtanh": Layer(lambda: nn.Hardtanh(-2.0, 1.0), torch="Hardtanh(-2.0, 1.0)"),
    "Identity": Layer(lambda: nn.Identity(), torch="Identity()"),
    "LayerNormalization": Layer(lambda: nn.LayerNormalization(input_shape=(5,))),
    "LeakyReLU": Layer(lambda: nn.LeakyReLU(0.2), torch="LeakyReLU(0.2)"),
    "Linear": Layer(lambda: nn.Linear(5, 2), (4, 3, 2), "Linear(5, 2)"),
    "Rescaling": Layer(lambda: nn.Rescaling(2.0, 0.5)),
    "Reshape": Layer(lambda: nn.Reshape((5, -1)), (4, 5, 3)),
    "Linear without bias": Layer(
        lambda: nn.Linear(5, 2, bias=False), (4, 3, 2), "Linear(5, 2, bias=False)"
    ),
    "LogSigmoid": Layer(lambda: nn.LogSigmoid(), torch="LogSigmoid()"),
    "LogSoftmax": Layer(lambda: nn.LogSoftmax(1), torch="LogSoftmax(1)"),
    "Mish": Layer(lambda: nn.Mish(), torch="Mish()"),
    "ReLU": Layer(lambda: nn.ReLU(inplace=True), torch="ReLU()"),
    "ReLU6": Layer(lambda: nn.ReLU6(), torch="ReLU6()"),
    "SELU": Layer(lambda: nn.SELU(), torch="SELU()"),
    "Sequential": Layer(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(15, 4), nn.Tanh(), nn.Linear(4, 2)),
        (4, 2), "Sequential(n.Flatten(), n.Linear(15, 4), n.Tanh(), n.Linear(4, 2))",
    ),
    "SiLU": Layer(lambda: nn.SiLU(), torch="SiLU()"),
    "Sigmoid": Layer(lambda: nn.Sigmoid(), torch="Sigmoid()"),
    "Softmax": Layer(lambda: nn.Softmax(1), torch="Softmax(1)"),
    "Softplus": Layer(lambda: nn.Softplus(0.5), torch="Softplus(0.5)"),
    "Softsign": Layer(lambda: nn.Softsign(), torch="Softsign()"),
    "Tanh": Layer(lambda: nn.Tanh(), torch="Tanh()"),
}  # fmt: skip
layers = pytest.mark.parametrize("row", LAYERS.values(), ids=LAYERS.keys())
fixed = {name: row for name, row in LAYERS.items() if not row.random}
fixed_layers = pytest.mark.parametrize("row", fixed.values(), ids=fixed.keys())


def call(layer: Module, parameters: list[Any], x: Any) -> Any:
    """`layer(x)` with other tensors in place of its parameters."""
    places = [
        (module, name)
        for module in layer.modules()
        for name, value in vars(module).items()
        if isinstance(value, nn.Parameter)
    ]
    kept = [vars(module)[name] for module, name in places]
    try:
        for (module, name), value in zip(places, parameters, strict=True):
            vars(module)[name] = value
        return layer(x)
    finally:
        for (module, name), value in zip(places, kept, strict=True):
            vars(module)[name] = value


@layers
def test_layer_has_the_stated_shape_and_keeps_the_dtype(row: Layer) -> None:
    for dtype in ("float32", "float64"):
        y = row.make().to(dtype)(pr.tensor(X, dtype=dtype))
        assert (y.shape, y.dtype) == (row.shape, np.dtype(dtype))


@layers
def test_layer_takes_arrays_empty_batches_and_views(row: Layer) -> None:
    layer = row.make().eval()
    compare("array", layer(X.astype("float32")), layer(pr.tensor(X, dtype=pr.float32)))
    assert layer(np.zeros((0, 3, 5), np.float32)).numel() == 0
    turned = np.ascontiguousarray(X.T).T.astype("float32", order="K")
    assert not turned.flags.c_contiguous
    compare("view", layer(turned), layer(X.astype("float32")))


@fixed_layers
def test_layer_is_the_same_traced_and_in_training(row: Layer) -> None:
    layer, x = row.make(), pr.tensor(X, dtype=pr.float32)
    y = agree(layer, x)
    compare("eval", layer.eval()(x), y, within=0)


@fixed_layers
def test_layer_has_right_gradients_to_second_order(row: Layer) -> None:
    layer = row.make().double()
    tensors = [p.detach() for p in layer.parameters()]
    gradcheck(lambda x, *parameters: call(layer, list(parameters), x), X, *tensors)


@layers
def test_layer_comes_back_from_its_config_and_state(row: Layer) -> None:
    layer = row.make().eval()
    children = {name: rebuilt(child) for name, child in layer.named_children()}
    again = type(layer).from_config(json.loads(json.dumps(layer.config())), children).eval()
    again.load_state_dict({name: t.numpy() for name, t in layer.state_dict().items()})
    x = X.astype("float32")
    compare("again", again(x), layer(x), within=0)
    assert repr(again) == repr(layer)
    twin = copy.deepcopy(layer)
    compare("copy", twin(x), layer(x), within=0)
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in layer.parameters()}


def rebuilt(layer: Module) -> Module:
    return type(layer).from_config(layer.config())


@layers
def test_layer_matches_torch_with_gradients(row: Layer) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    if not row.torch:
        pytest.skip("torch has no such layer")
    theirs = eval(f"n.{row.torch}", {"n": torch.nn})
    ours = row.make().eval()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    x, g = pr.tensor(X, dtype=pr.float32, requires_grad=True), rng.normal(size=row.shape)
    tx = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    y, ty = ours(x), theirs(tx)
    y.backward(pr.tensor(g, dtype=pr.float32))
    ty.backward(torch.tensor(g, dtype=torch.float32))
    compare("value", y, ty.detach().numpy(), FLOAT32.forward)
    compare("gradient", x.grad, tx.grad.numpy(), FLOAT32.gradient)
    for name, p in theirs.named_parameters():
        mine = dict(ours.named_parameters())[name].grad
        compare(name, mine, p.grad.numpy(), FLOAT32.gradient)


# Losses

P = rng.uniform(0.1, 0.9, size=(6, 3))
Q = P / P.sum(1, keepdims=True)
Z = rng.normal(size=(6, 3)) * 3
IMAGE = rng.normal(size=(4, 3, 2, 2))
LABELS = np.array([0, 2, 1, 1, 0, 2])
PIXELS = rng.integers(0, 3, (4, 2, 2))
WEIGHT = np.array([0.5, 2.0, 1.0], np.float32)


@dataclass(frozen=True)
class Loss:
    """A row: constructor arguments, input, target; `each` is the shape of one-by-one losses."""

    name: str
    input: np.ndarray
    target: np.ndarray
    options: dict[str, Any] = field(default_factory=dict)
    each: tuple[int, ...] = (6, 3)
    torch: bool = True

    def make(self, **more: Any) -> Module:
        return getattr(nn, self.name)(**{**self.options, **more})


LOSSES: dict[str, Loss] = {
    "BCELoss": Loss("BCELoss", P, np.where(LABELS[:, None] == range(3), 0.9, 0.2)),
    "BCELoss weighted": Loss("BCELoss", P, P[::-1], {"weight": P.astype("float32")}),
    "BCEWithLogitsLoss": Loss("BCEWithLogitsLoss", Z, P),
    "BCEWithLogitsLoss weighted": Loss(
        "BCEWithLogitsLoss", Z, P, {"weight": P.astype("float32"), "pos_weight": WEIGHT}
    ),
    "CrossEntropyLoss": Loss("CrossEntropyLoss", Z, LABELS, each=(6,)),
    "CrossEntropyLoss of one": Loss("CrossEntropyLoss", Z[0], np.array(1), each=()),
    "CrossEntropyLoss of pixels": Loss(
        "CrossEntropyLoss", IMAGE, PIXELS,
        {"weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.1}, (4, 2, 2),
    ),
    "CrossEntropyLoss of probabilities": Loss(
        "CrossEntropyLoss", Z, Q, {"weight": WEIGHT, "label_smoothing": 0.1}, (6,)
    ),
    "HuberLoss": Loss("HuberLoss", Z, P, {"delta": 1.7}),
    "KLDivLoss": Loss("KLDivLoss", np.log(Q), Q[::-1].copy()),
    "KLDivLoss of logarithms": Loss("KLDivLoss", np.log(Q), np.log(Q[::-1]), {"log_target": True}),
    "L1Loss": Loss("L1Loss", Z, P),
    "MSELoss": Loss("MSELoss", Z, P),
    "NLLLoss": Loss("NLLLoss", np.log(Q), LABELS, {"weight": WEIGHT, "ignore_index": 2}, (6,)),
    "SSELoss": Loss("SSELoss", Z, P, torch=False),
    "SmoothL1Loss": Loss("SmoothL1Loss", Z, P, {"beta": 0.8}),
}  # fmt: skip
losses = pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES.keys())


@losses
def test_loss_reduces_to_mean_sum_or_nothing(row: Loss) -> None:
    for dtype in ("float32", "float64"):
        x = pr.tensor(row.input, dtype=dtype)
        each = row.make(reduction="none")(x, row.target)
        assert (each.shape, each.dtype) == (row.each, np.dtype(dtype))
        total = row.make(reduction="sum")(x, row.target)
        compare("sum", total, each.sum(), FLOAT32.forward)
        compare("call", row.make()(x, row.target, reduction="none"), each, within=0)
        if "weight" not in row.options:
            mean = row.make(reduction="mean")(x, row.target)
            compare("mean", mean, each.mean(), FLOAT32.forward)


@losses
def test_loss_is_the_same_traced(row: Loss) -> None:
    agree(row.make(), pr.tensor(row.input, dtype=pr.float32), pr.tensor(row.target))


@losses
def test_loss_has_right_gradients_to_second_order(row: Loss) -> None:
    targets = [row.target] if row.target.dtype.kind == "f" else []
    loss = row.make()
    gradcheck(lambda x, *t: loss(x, t[0] if t else row.target), row.input, *targets)


@losses
def test_loss_comes_back_from_its_state_and_copy(row: Loss) -> None:
    loss = row.make()
    again = copy.deepcopy(loss)
    again.load_state_dict(loss.state_dict())
    compare("copy", again(row.input, row.target), loss(row.input, row.target), within=0)
    if not any(isinstance(value, np.ndarray) for value in row.options.values()):
        twin = type(loss).from_config(json.loads(json.dumps(loss.config())))
        compare("config", twin(row.input, row.target), loss(row.input, row.target), within=0)


@losses
def test_loss_takes_targets_of_every_dtype(row: Loss) -> None:
    kinds = ("uint8", "int8", "int16", "int32", "uint32") if row.target.dtype.kind in "iu" else (
        "float16", "float32"
    )  # fmt: skip
    x = pr.tensor(row.input, dtype=pr.float32)
    for kind in kinds:
        value = row.make()(x, row.target.astype(kind))
        assert value.dtype == np.float32
        compare(kind, value, row.make()(x, row.target.astype(kind).astype(row.target.dtype)))


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # torch's advice on kl_div's mean
@losses
def test_loss_matches_torch_with_gradients(row: Loss) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    if not row.torch:
        pytest.skip("torch has no such loss")
    options = {
        name: torch.tensor(value, dtype=torch.float64) if isinstance(value, np.ndarray) else value
        for name, value in row.options.items()
    }
    for reduction in ("mean", "sum", "none", *(["batchmean"] if row.name == "KLDivLoss" else [])):
        theirs = getattr(torch.nn, row.name)(reduction=reduction, **options)
        x, tx = pr.tensor(row.input), torch.tensor(row.input, requires_grad=True)
        y = row.make(reduction=reduction)(x.requires_grad_(), row.target)
        ty = theirs(tx, torch.tensor(row.target.copy()))
        compare("value", y, ty.detach().numpy(), FLOAT32.forward)  # their weights are float32
        y.sum().backward()
        ty.sum().backward()
        compare("gradient", x.grad, tx.grad.numpy(), FLOAT32.forward)


# Completeness

ELSEWHERE = {  # no layers of floats, or losses; tested in the file of the same name
    "Buffer", "Embedding", "Module", "ModuleDict", "ModuleList", "Parameter", "Summary",
    "functional", "init", "register", "registered",
    "Add", "Average", "Concatenate", "Graph", "Input", "Maximum", "Minimum", "Multiply",
    "Subtract", "SymbolicTensor", "symbolic",  # in test_graph.py
    "Variable",
}  # fmt: skip


def test_every_public_name_is_in_a_table_and_has_a_docstring_with_shapes() -> None:
    rows = {type(row.make()).__name__ for row in LAYERS.values()}
    rows |= {row.name for row in image_cases.ROWS.values()}  # swept by test_images.py
    assert rows | {row.name for row in LOSSES.values()} | ELSEWHERE == set(nn.__all__)
    for name in nn.__all__:
        thing = getattr(nn, name)
        assert thing.__doc__, name
        if name not in ELSEWHERE:
            assert "Shapes:" in thing.__doc__, name
    for name in FUNCTIONS:
        assert "hapes" in (getattr(nn.functional, name).__doc__ or ""), name


def test_every_layer_and_loss_is_registered() -> None:
    for name in nn.__all__:
        thing = getattr(nn, name)
        if isinstance(thing, type) and issubclass(thing, Module) and thing is not Module:
            assert nn.registered(name) is thing
