"""Losses by name: Keras' numbers, the stable way through logits, weights, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.ops.composite import sigmoid, softmax
from pierian.train import losses

f32 = np.float32
ONE_HOT = np.eye(3, dtype=f32)
P = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]], f32)


def value(name: str, y: Any, pred: Any, weight: Any = None) -> float:
    weight = None if weight is None else pr.tensor(weight)
    return losses.get(name)(pr.tensor(y), pr.tensor(pred), weight).item()


# from the examples in Keras' reference, and by hand
KERAS: dict[str, tuple[str, Any, Any, Any, float]] = {
    "sparse": ("sparse_categorical_crossentropy", [1, 2], P, None, 1.1769392),
    "sparse weighted": ("sparse_categorical_crossentropy", [1, 2], P, [0.3, 0.7], 0.8135988),
    "categorical": ("categorical_crossentropy", ONE_HOT[[1, 2]], P, None, 1.1769392),
    "categorical weighted": ("categorical_crossentropy", ONE_HOT[[1, 2]], P, [0.3, 0.7], 0.8135988),
    "categorical of sums != 1": (
        "categorical_crossentropy", ONE_HOT[[0]], np.full((1, 3), 0.2, f32), None, math.log(3),
    ),
    "impossible": ("categorical_crossentropy", ONE_HOT[[2]], P[:1], None, -math.log(1e-7)),
    "binary": (
        "binary_crossentropy", np.array([[0.0, 1.0], [0.0, 0.0]], f32),
        np.array([[0.6, 0.4], [0.4, 0.6]], f32), None, 0.8149245,
    ),
    "binary impossible": (
        "binary_crossentropy", np.ones((1, 1), f32), np.zeros((1, 1), f32), None, -math.log(1e-7),
    ),
    "kl": ("kl_divergence", ONE_HOT[[0]], np.full((1, 3), 1 / 3, f32), None, math.log(3)),
    "mse": ("mse", [[0.0], [4.0]], [[1.0], [1.0]], None, 5.0),
    "mse weighted by rows, over their number": (
        "mean_squared_error", [[0.0], [4.0]], [[1.0], [1.0]], [2.0, 0.0], 1.0,
    ),
    "mae": ("mae", [[0.0], [4.0]], [[1.0], [1.0]], None, 2.0),
    "huber": ("huber", [[0.0], [4.0]], [[0.5], [1.0]], None, (0.125 + 2.5) / 2),
    "cross_entropy of logits": ("cross_entropy", [1], np.zeros((1, 4), f32), None, math.log(4)),
}  # fmt: skip


@pytest.mark.parametrize("case", KERAS.values(), ids=KERAS)
def test_named_loss_has_keras_value(case: tuple[str, Any, Any, Any, float]) -> None:
    name, y, pred, weight, expected = case
    assert value(name, y, pred, weight) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("name", losses.NAMES)
def test_every_name_gives_a_mean_with_a_gradient(name: str) -> None:
    logits = pr.tensor(np.linspace(-1, 1, 6, dtype=f32).reshape(2, 3), requires_grad=True)
    pred = logits if name == "cross_entropy" else softmax(logits)
    sparse = name in ("cross_entropy", "sparse_categorical_crossentropy")
    y = pr.tensor(np.array([2, 0])) if sparse else pr.tensor(ONE_HOT[[2, 0]])
    loss = losses.get(name)
    mean = loss(y, pred)
    assert mean.shape == ()
    assert loss(y, pred, pr.ones(2)).item() == pytest.approx(mean.item(), rel=1e-6)
    assert loss(y, pred, pr.zeros(2)).item() == 0.0
    mean.backward()
    assert np.isfinite(logits.grad.numpy()).all() and logits.grad.numpy().any()


EXTREME = {
    "binary_crossentropy": (sigmoid, [[1.0, 0.0]]),
    "categorical_crossentropy": (softmax, [[1.0, 0.0]]),
    "sparse_categorical_crossentropy": (softmax, [0]),
}


@pytest.mark.parametrize("name", EXTREME)
def test_loss_of_probabilities_uses_the_logits_behind_them(name: str) -> None:
    make, y = EXTREME[name]
    logits = pr.tensor([[-100.0, 0.0]], requires_grad=True)
    loss = losses.get(name)(pr.tensor(y), make(logits))
    expected = (100 + math.log(2)) / 2 if make is sigmoid else 100.0
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert abs(logits.grad.numpy()[0, 0]) > 0.4  # clipped probabilities would give 0


def test_sequences_have_their_classes_on_the_last_axis() -> None:
    p = np.full((2, 5, 4), 0.25, f32)
    assert value("sparse_categorical_crossentropy", np.zeros((2, 5), int), p) == pytest.approx(
        math.log(4)
    )
    scores = softmax(pr.tensor(np.zeros((2, 5, 4), f32)))
    loss = losses.get("sparse_categorical_crossentropy")
    assert loss.classes((2, 5, 4)) == 4
    assert loss(pr.tensor(np.zeros((2, 5), int)), scores).item() == pytest.approx(math.log(4))
    per_step = pr.tensor(np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], f32))
    assert loss(pr.zeros(2, 5, dtype=pr.int64), scores, per_step).item() == pytest.approx(
        math.log(4) / 2
    )


def test_nn_losses_take_prediction_first_and_own_functions_last() -> None:
    y, pred = pr.tensor([0.0, 0.0]), pr.tensor([1.0, 3.0])
    seen = []

    def own(y_true: pr.Tensor, y_pred: pr.Tensor) -> pr.Tensor:
        seen.append((y_true, y_pred))
        return (y_true - y_pred) ** 2

    assert losses.get(own)(y, pred).item() == 5.0  # one per example is averaged
    assert seen == [(y, pred)]
    assert losses.get(nn.MSELoss())(y, pred).item() == 5.0
    assert losses.get(nn.MSELoss)(y, pred).item() == 5.0
    assert losses.get(nn.functional.mse_loss)(y, pred).item() == 5.0
    labels, scores = pr.tensor([0, 1]), pr.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert losses.get(nn.CrossEntropyLoss())(labels, scores).item() < math.log(2)
    assert losses.get(nn.functional.cross_entropy)(labels, scores).item() < math.log(2)


def test_own_function_may_give_the_mean_itself() -> None:
    loss = losses.get(lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean())
    assert loss(pr.tensor([0.0]), pr.tensor([3.0])).item() == 9.0


def test_weights_follow_the_reduction_of_a_module() -> None:
    y, pred, w = pr.tensor([[0.0], [0.0]]), pr.tensor([[1.0], [3.0]]), pr.tensor([1.0, 0.5])
    assert losses.get(nn.MSELoss())(y, pred, w).item() == (1 + 4.5) / 2
    assert losses.get(nn.MSELoss(reduction="sum"))(y, pred, w).item() == 1 + 4.5


def test_labels_to_ignore_are_no_wrong_labels() -> None:
    labels = np.array([0, 2, -100, 3, -1])
    assert losses.get("cross_entropy").wrong(labels, 3).tolist() == [False] * 3 + [True] * 2
    loss = losses.get(nn.CrossEntropyLoss(ignore_index=-1))
    assert loss.wrong(labels, 3).tolist() == [False, False, True, True, False]


MESSAGES: dict[str, tuple[Any, Any, Any, str]] = {
    "logits for binary": (
        "binary_crossentropy", [[1.0]], [[1.5]],
        "binary_crossentropy: predictions must hold probabilities; expected 0 <= p <= 1, got 1.5 "
        "at position (0, 0). End the model in a sigmoid, or use loss=nn.BCEWithLogitsLoss() for "
        "logits.",
    ),
    "logits for classes": (
        "sparse_categorical_crossentropy", [1], [[0.5, -2.0]],
        "sparse_categorical_crossentropy: predictions must hold probabilities; expected "
        '0 <= p <= 1, got -2 at position (0, 1). End the model in a softmax, or use '
        'loss="cross_entropy" for logits.',
    ),
    "labels for one-hot": (
        "categorical_crossentropy", [1], [[0.5, 0.5]],
        "categorical_crossentropy: y must hold one row of classes per example; expected (1, 2), "
        'got (1,). Use "sparse_categorical_crossentropy" for class numbers.',
    ),
    "other shape for one-hot": (
        "categorical_crossentropy", [[1.0]], [[0.5, 0.5]],
        "categorical_crossentropy: y must hold one row of classes per example; expected (1, 2), "
        "got (1, 1). Give y the shape of the model's output.",
    ),
    "one-hot for labels": (
        "sparse_categorical_crossentropy", [[0, 1]], [[0.5, 0.5]],
        "sparse_categorical_crossentropy: y must be one class number per example; expected (1,), "
        'got (1, 2). Use "categorical_crossentropy" for one-hot rows.',
    ),
    "column for labels": (
        "sparse_categorical_crossentropy", [[0], [1]], [[0.5, 0.5], [0.5, 0.5]],
        "sparse_categorical_crossentropy: y must be one class number per example; expected (2,), "
        "got (2, 1). Write y.reshape(2).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES.values(), ids=MESSAGES)
def test_what_does_not_fit_is_refused(case: tuple[Any, Any, Any, str]) -> None:
    name, y, pred, text = case
    with pytest.raises(ValueError) as caught:
        value(name, y, pred)
    assert str(caught.value) == text


def test_row_against_column_is_refused() -> None:
    for name in ("mse", "mae", "huber", "binary_crossentropy", "kl_divergence"):
        with pytest.raises(pr.ShapeError, match=r"\(2, 1\).*\(2,\).*reshape\(2, 1\)"):
            value(name, [1.0, 0.0], [[0.5], [0.5]])


def test_softmax_into_a_loss_of_logits_is_refused() -> None:
    for loss in ("cross_entropy", nn.CrossEntropyLoss()):
        with pytest.raises(ValueError, match=r"cross_entropy: .* remove the last softmax"):
            losses.get(loss)(pr.tensor([0]), softmax(pr.zeros(1, 2)))


def test_weights_need_a_loss_per_example() -> None:
    loss = losses.get(lambda y_true, y_pred: (y_true - y_pred).sum())
    with pytest.raises(pr.ShapeError) as caught:
        loss(pr.zeros(2), pr.zeros(2), pr.ones(2))
    assert str(caught.value) == (
        "loss <lambda>: weights need a loss per example; expected losses of shape (2, ...), got "
        "(). Return one loss per example, or leave the weights out."
    )


def test_unknown_loss_lists_the_known_and_guesses() -> None:
    with pytest.raises(ValueError) as caught:
        losses.get("categorical_crosentropy")
    assert str(caught.value) == (
        "compile: loss must be a known name; expected one of binary_crossentropy, "
        "categorical_crossentropy, cross_entropy, huber, kl_divergence, mae, mean_absolute_error, "
        "mean_squared_error, mse, sparse_categorical_crossentropy, got 'categorical_crosentropy'. "
        "Did you mean 'categorical_crossentropy'?"
    )
    with pytest.raises(ValueError, match="got 3. Use one of these"):
        losses.get(3)


FROM_LOGITS = [
    (losses.binary_crossentropy, sigmoid, np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], f32)),
    (losses.categorical_crossentropy, softmax, ONE_HOT[[1, 2]]),
    (losses.sparse_categorical_crossentropy, softmax, np.array([1, 2])),
]


@pytest.mark.parametrize(
    ("loss", "link", "y"), FROM_LOGITS, ids=lambda x: getattr(x, "__name__", "")
)
def test_crossentropies_take_logits_when_told(loss: Any, link: Any, y: Any) -> None:
    logits, y = pr.tensor(np.array([[2.0, -1.0, 0.5], [0.1, 3.0, -2.0]], f32)), pr.tensor(y)
    assert np.array_equal(loss(logits, y, from_logits=True), loss(link(logits), y))
    with pytest.raises(ValueError, match="from_logits=True"):
        loss(link(logits), y, from_logits=True)


def test_reductions_of_a_loss() -> None:
    y, pred = np.array([[1.0, 2.0], [3.0, 4.0]], f32), np.zeros((2, 2), f32)
    each, weight = np.array([2.5, 12.5]), np.array([2.0, 0.5])

    def loss(reduction: str) -> losses.Loss:
        return losses.Loss("mse", nn.functional.mse_loss, True, True, reduction)

    assert np.allclose(loss("none")(y, pred), each)
    assert np.allclose(loss("none")(y, pred, weight), each * weight)
    assert loss("sum")(y, pred).item() == pytest.approx(each.sum())
    assert loss("sum")(y, pred, weight).item() == pytest.approx((each * weight).sum())
    assert loss("mean")(y, pred, weight).item() == pytest.approx((each * weight).mean())
    rows = np.stack([y, 2 * y])  # losses (2, 2): weights are those of its first axis
    twice = np.stack([each, 4 * each])
    found = loss("none")(rows, np.zeros_like(rows), weight)
    assert np.allclose(found, twice * weight[:, None])
    with pytest.raises(pr.ShapeError, match="per example"):
        losses.Loss("own", lambda y, p: ((y - p) ** 2).mean(), False, False, "sum")(y, pred)
