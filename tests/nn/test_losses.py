"""Losses: values worked out by hand, extremes, and the full text of every complaint."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn import functional as F

LOG2, LOG3 = math.log(2), math.log(3)
E = math.e
f32 = np.float32


def zeros(*shape: int, dtype: Any = f32) -> np.ndarray:
    return np.zeros(shape, dtype)


ONE_SHAPE = (
    F.mse_loss, F.sse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits, F.kl_div,
)  # fmt: skip
by_shape = pytest.mark.parametrize("loss", ONE_SHAPE, ids=lambda fn: fn.__name__)


BY_HAND: dict[str, tuple[Callable[[], Any], float]] = {
    # errors 1 and -3
    "mse_loss": (lambda: F.mse_loss([1.0, 2.0], [0.0, 5.0]), 5.0),
    "mse_loss weighted": (lambda: F.mse_loss([1.0, 2.0], [0.0, 5.0], weight=[3.0, 1.0]), 3.0),
    "sse_loss": (lambda: F.sse_loss([1.0, 2.0], [0.0, 5.0]), 10.0),
    "l1_loss": (lambda: F.l1_loss([1.0, 2.0], [0.0, 5.0]), 2.0),
    "l1_loss weighted": (lambda: F.l1_loss([1.0, 2.0], [0.0, 5.0], weight=[3.0, 1.0]), 1.5),
    "huber_loss": (lambda: F.huber_loss([1.0, 2.0], [0.0, 5.0], delta=2.0), (0.5 + 4.0) / 2),
    "smooth_l1_loss": (lambda: F.smooth_l1_loss([1.0, 2.0], [0.0, 5.0], beta=2.0), 1.125),
    "smooth_l1_loss, beta 0": (lambda: F.smooth_l1_loss([1.0, 2.0], [0.0, 5.0], beta=0.0), 2.0),
    "binary_cross_entropy": (lambda: F.binary_cross_entropy([0.25, 0.5], [1.0, 0.0]), 1.5 * LOG2),
    "binary_cross_entropy weighted": (
        lambda: F.binary_cross_entropy([0.25, 0.5], [1.0, 0.0], [2.0, 0.0]), 2 * LOG2,
    ),
    "binary_cross_entropy_with_logits": (
        lambda: F.binary_cross_entropy_with_logits([0.0, -LOG3], [1.0, 0.0]),
        (LOG2 + math.log(4 / 3)) / 2,
    ),
    "binary_cross_entropy_with_logits, pos_weight": (
        lambda: F.binary_cross_entropy_with_logits([0.0, 0.0], [1.0, 0.0], pos_weight=3.0),
        2 * LOG2,
    ),
    "cross_entropy": (lambda: F.cross_entropy([[LOG3, 0.0], [0.0, 0.0]], [1, 0]), 1.5 * LOG2),
    "cross_entropy weighted": (
        lambda: F.cross_entropy([[LOG3, 0.0], [0.0, 0.0]], [1, 0], weight=[3.0, 1.0]),
        (2 * LOG2 + 3 * LOG2) / 4,
    ),
    "cross_entropy ignoring": (
        lambda: F.cross_entropy([[LOG3, 0.0], [0.0, 0.0]], [1, -100]), 2 * LOG2,
    ),
    "cross_entropy ignoring a class": (
        lambda: F.cross_entropy([[LOG3, 0.0], [0.0, 0.0]], [1, 0], ignore_index=1), LOG2,
    ),
    "cross_entropy smoothed": (  # 3/4 and 1/4: 0.8·log 4 + 0.2·(log 4 + log 4/3)/2
        lambda: F.cross_entropy([[LOG3, 0.0]], [1], label_smoothing=0.2),
        0.9 * 2 * LOG2 + 0.1 * math.log(4 / 3),
    ),
    "cross_entropy of probabilities": (
        lambda: F.cross_entropy([[LOG3, 0.0]], [[0.5, 0.5]]), (2 * LOG2 + math.log(4 / 3)) / 2,
    ),
    "nll_loss": (lambda: F.nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [1, 0]), 2.5),
    "kl_div": (lambda: F.kl_div([[-LOG2, -LOG2]], [[0.25, 0.75]], "batchmean"),
               LOG2 - 0.5 * LOG2 - 0.75 * (2 * LOG2 - LOG3)),
    "kl_div of a certainty": (lambda: F.kl_div([[-LOG2, -LOG2]], [[1.0, 0.0]], "sum"), LOG2),
    "kl_div of logarithms": (
        lambda: F.kl_div([[-1.0, -1.0]], [[0.0, -1.0]], "sum", log_target=True), 1.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("compute, expected", BY_HAND.values(), ids=BY_HAND.keys())
def test_loss_has_the_value_worked_out_by_hand(compute: Any, expected: float) -> None:
    value = compute()
    assert (value.shape, value.dtype) == ((), np.float32)
    assert abs(value.item() - expected) <= 1e-6 * max(1.0, abs(expected))


@by_shape
def test_loss_weighs_examples_and_gives_them_one_by_one(loss: Any) -> None:
    x, y = np.array([[0.2, 0.4], [0.6, 0.3]], f32), np.array([[0.1, 0.9], [0.5, 0.5]], f32)
    weight = np.array([2.0, 0.5], f32)
    each = loss(x, y, reduction="none").numpy()
    weighted = loss(x, y, reduction="none", weight=weight).numpy()
    np.testing.assert_allclose(weighted, each * weight[:, None], rtol=1e-6)


def test_losses_of_classes_take_tensors_of_any_rank() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(f32)
    t = np.arange(40).reshape(2, 4, 5) % 3
    rows = F.cross_entropy(np.moveaxis(x, 1, -1).reshape(-1, 3), t.reshape(-1), reduction="none")
    each = F.cross_entropy(x, t, reduction="none")
    np.testing.assert_allclose(each.numpy().reshape(-1), rows.numpy(), rtol=1e-6)


EXTREMES: dict[str, tuple[Callable[[Any], Any], list[Any], list[float]]] = {
    "cross_entropy": (
        lambda x: F.cross_entropy(x, [0, 1], reduction="none"),
        [[1e4, -1e4], [1e4, -1e4]], [0.0, 2e4],
    ),
    "cross_entropy of a masked class": (
        lambda x: F.cross_entropy(x, [0], reduction="none"), [[0.0, -np.inf]], [0.0],
    ),
    "binary_cross_entropy": (
        lambda x: F.binary_cross_entropy(x, [1.0, 0.0, 1.0, 0.0], reduction="none"),
        [0.0, 1.0, 1.0, 0.0], [100.0, 100.0, 0.0, 0.0],
    ),
    "binary_cross_entropy_with_logits": (
        lambda x: F.binary_cross_entropy_with_logits(x, [1.0, 0.0, 1.0, 0.0], reduction="none"),
        [-1e4, 1e4, 1e4, -20.0], [1e4, 1e4, 0.0, math.log1p(math.exp(-20))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("compute, x, expected", EXTREMES.values(), ids=EXTREMES.keys())
def test_loss_and_gradient_are_finite_at_extremes(compute: Any, x: Any, expected: Any) -> None:
    x = pr.tensor(x, requires_grad=True)
    losses = compute(x)
    np.testing.assert_allclose(losses.numpy(), np.array(expected, f32), rtol=1e-6)
    losses.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_cross_entropy_of_nothing_counted_is_nan_as_in_torch() -> None:
    assert math.isnan(F.cross_entropy([[0.0, 1.0]], [-100]).item())
    assert F.cross_entropy([[0.0, 1.0]], [-100], reduction="sum").item() == 0.0


def test_losses_keep_float32_whatever_the_target_is() -> None:
    assert F.mse_loss(zeros(3), zeros(3, dtype="float64")).dtype == f32
    assert F.mse_loss(zeros(3), zeros(3, dtype=int)).dtype == f32
    assert F.mse_loss(zeros(3), zeros(3), weight=np.ones(3)).dtype == f32


def test_loss_object_keeps_its_weight_as_state() -> None:
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0])
    assert list(loss.state_dict()) == ["weight"]
    assert list(loss.parameters()) == []


def softmax() -> Any:
    return pr.softmax(pr.zeros(4, 3), 1)


# Every complaint, word for word

COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "label too large": (
        ValueError, lambda: F.cross_entropy(zeros(4, 3), [0, 1, 3, 1]),
        "cross_entropy: labels must be class numbers; expected 0 <= label < 3 (classes), got 3 at "
        "position 2. Number the classes from 0, or give the model more outputs.",
    ),
    "label negative": (
        ValueError, lambda: F.nll_loss(zeros(2, 3, 2), [[0, 1], [-1, 2]]),
        "nll_loss: labels must be class numbers; expected 0 <= label < 3 (classes), got -1 at "
        "position (1, 0). Number the classes from 0, or give the model more outputs.",
    ),
    "labels as a column": (
        ValueError, lambda: F.cross_entropy(zeros(4, 3), zeros(4, 1, dtype=int)),
        "cross_entropy: target must be one class number per example of input (4, 3); expected "
        "(4,), got (4, 1). Write target.reshape(4).",
    ),
    "labels one-hot": (
        ValueError, lambda: F.cross_entropy(zeros(4, 3), zeros(4, 3, dtype=int)),
        "cross_entropy: target must be one class number per example of input (4, 3); expected "
        "(4,), got (4, 3). Write target.argmax(1) for one-hot rows, or cast them with .float().",
    ),
    "labels too many": (
        pr.ShapeError, lambda: F.cross_entropy(zeros(4, 3), zeros(5, dtype=int)),
        "cross_entropy: target must be one class number per example of input (4, 3); expected "
        "(4,), got (5,). Give one class number per example.",
    ),
    "labels floating": (
        pr.DtypeError, lambda: F.cross_entropy(zeros(4, 3), zeros(4)),
        "cross_entropy: target must be class numbers or probabilities; expected integers of shape "
        "(4,) or floats of shape (4, 3), got float32 of shape (4,). Cast class numbers with "
        '.long(), an array with .astype("int64").',
    ),
    "labels floating, a column": (
        pr.ShapeError, lambda: F.cross_entropy(zeros(4, 3), zeros(4, 1)),
        "cross_entropy: target must be class numbers or probabilities; expected integers of shape "
        "(4,) or floats of shape (4, 3), got float32 of shape (4, 1). Cast class numbers with "
        '.long(), an array with .astype("int64").',
    ),
    "labels bool": (
        pr.DtypeError, lambda: F.cross_entropy(zeros(4, 3), zeros(4, dtype=bool)),
        "cross_entropy: target must hold class numbers; expected an integer dtype, got bool. Cast "
        'class numbers with .long(), an array with .astype("int64").',
    ),
    "swapped, classes": (
        pr.DtypeError, lambda: F.cross_entropy(zeros(4, dtype=int), zeros(4, 3)),
        "cross_entropy: arguments look swapped; expected (prediction, target), got input int64 "
        "(4,) and target float32 (4, 3). Write cross_entropy(prediction, target).",
    ),
    "swapped, numbers": (
        pr.DtypeError, lambda: F.mse_loss(zeros(4, dtype=int), zeros(4)),
        "mse_loss: arguments look swapped; expected (prediction, target), got input int64 (4,) "
        "and target float32 (4,). Write mse_loss(prediction, target).",
    ),
    "input integer": (
        pr.DtypeError, lambda: F.cross_entropy(zeros(4, 3, dtype=int), zeros(4, dtype=int)),
        "cross_entropy: input must be floating; expected float32, got input int64 (4, 3) and "
        "target int64 (4,). Cast it with .float().",
    ),
    "softmax twice": (
        ValueError, lambda: F.cross_entropy(softmax(), zeros(4, dtype=int)),
        "cross_entropy: input must not be probabilities; expected logits, got the output of "
        "softmax. It applies softmax itself, so remove the last softmax, or use "
        "nll_loss(log_softmax(x), ...).",
    ),
    "sigmoid twice": (
        ValueError, lambda: F.binary_cross_entropy_with_logits(pr.sigmoid(pr.zeros(4)), zeros(4)),
        "binary_cross_entropy_with_logits: input must not be probabilities; expected logits, got "
        "the output of sigmoid. It applies sigmoid itself, so remove the last sigmoid, or use "
        "binary_cross_entropy.",
    ),
    "softmax without log, nll": (
        ValueError, lambda: F.nll_loss(softmax(), zeros(4, dtype=int)),
        "nll_loss: input must not be probabilities; expected log-probabilities, got the output of "
        "softmax. Use log_softmax in place of softmax, or cross_entropy on the logits.",
    ),
    "softmax without log, kl": (
        ValueError, lambda: F.kl_div(softmax(), zeros(4, 3)),
        "kl_div: input must not be probabilities; expected log-probabilities, got the output of "
        "softmax. Use log_softmax in place of softmax.",
    ),
    "no probability": (
        ValueError, lambda: F.binary_cross_entropy([0.5, 2.0], [0.0, 0.0]),
        "binary_cross_entropy: input must hold probabilities; expected 0 <= p <= 1, got 2 at "
        "position 1. Apply sigmoid, or use binary_cross_entropy_with_logits.",
    ),
    "target no probability": (
        ValueError, lambda: F.binary_cross_entropy_with_logits([[0.5, 2.0]], [[1.0, -1.0]]),
        "binary_cross_entropy_with_logits: target must hold probabilities; expected 0 <= p <= 1, "
        "got -1 at position (0, 1). Use 0 and 1 for the two classes.",
    ),
    "other lengths": (
        pr.ShapeError, lambda: F.mse_loss(zeros(4, 1), zeros(5)),
        "mse_loss: input and target must have one shape, they are never broadcast; expected "
        "target (4, 1) like input, got (5,). Give both the same shape.",
    ),
    "weight of examples": (
        pr.ShapeError, lambda: F.mse_loss(zeros(4, 2), zeros(4, 2), weight=zeros(3)),
        "mse_loss: weight must be one per example or one per element; expected shape (4,) or "
        "(4, 2), got (3,). Reshape it.",
    ),
    "weight of classes": (
        pr.ShapeError, lambda: F.cross_entropy(zeros(4, 3), zeros(4, dtype=int), weight=zeros(4)),
        "cross_entropy: weight must be one per class; expected (3,), got (4,). Pass as many "
        "weights as the model has outputs.",
    ),
    "no classes": (
        pr.ShapeError, lambda: F.cross_entropy(zeros(), zeros(dtype=int)),
        "cross_entropy: input needs an axis of classes; expected (b, classes, ...) or (classes,), "
        "got (). Give one score per class.",
    ),
    "reduction": (
        ValueError, lambda: nn.L1Loss("avg")(zeros(2), zeros(2)),
        "l1_loss: reduction must be a known name; expected mean or sum or none, got 'avg'. Pass "
        'reduction="mean".',
    ),
    "delta": (
        ValueError, lambda: F.huber_loss(zeros(2), zeros(2), delta=0.0),
        "huber_loss: delta must be positive; expected > 0, got 0.0. Pass delta=1.0.",
    ),
    "beta": (
        ValueError, lambda: F.smooth_l1_loss(zeros(2), zeros(2), beta=-1.0),
        "smooth_l1_loss: beta must not be negative; expected >= 0, got -1.0. Pass beta=1.0.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_loss_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


@by_shape
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1))], ids=["column", "row"])
def test_loss_never_broadcasts_a_column_against_a_row(loss: Any, shapes: Any) -> None:
    shape, other = shapes
    with pytest.raises(pr.ShapeError) as caught:
        loss(zeros(*shape), zeros(*other))
    sizes = ", ".join(map(str, shape))
    assert str(caught.value) == (
        f"{loss.__name__}: input and target must have one shape, they are never broadcast; "
        f"expected target {shape} like input, got {other}. Write target.reshape({sizes})."
    )


def test_ignored_labels_are_not_out_of_range_and_nothing_is_checked_in_a_trace() -> None:
    from pierian.core.trace import trace

    assert F.cross_entropy(zeros(2, 3), [-100, 0]).item() == pytest.approx(LOG3)
    traced = trace(F.cross_entropy, pr.zeros(2, 3), pr.tensor([0, 7]))
    assert traced.graph.outputs[0].shape == ()
