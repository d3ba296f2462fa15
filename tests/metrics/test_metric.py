"""Metrics: by hand, over unequal batches, weighted, by shapes, by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import metrics
from pierian.base.errors import ShapeError
from pierian.metrics import (
    AUC,
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    Accuracy,
    ConfusionMatrix,
    Mean,
    Metric,
    Perplexity,
    Precision,
    Recall,
    TopK,
)

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.standard_normal((23, 7)).astype(np.float32)
CLASSES = RANDOM.integers(0, 7, 23)
CURVE, POINTS = RANDOM.standard_normal((2, 23, 3)).astype(np.float32)
WEIGHTS = RANDOM.random(23)


def value(metric: Metric, pred: Any, target: Any, weight: Any = None) -> float:
    metric.reset()
    metric.update(pred, target, weight)
    return metric.compute()


def r2(pred: np.ndarray, target: np.ndarray, w: np.ndarray) -> float:
    w = w[:, None]
    mean = (w * target).sum(0) / w.sum()
    return float((1 - (w * (pred - target) ** 2).sum(0) / (w * (target - mean) ** 2).sum(0)).mean())


def top(k: int) -> np.ndarray:
    return (np.argsort(-SCORES, axis=-1)[:, :k] == CLASSES[:, None]).any(-1)


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)


CASES: dict[str, tuple[Any, np.ndarray, np.ndarray, Any]] = {  # what NumPy says, given weights
    "accuracy": (Accuracy(), SCORES, CLASSES, lambda w: np.average(top(1), weights=w)),
    "top3": (TopK(3), SCORES, CLASSES, lambda w: np.average(top(3), weights=w)),
    "mae": (MAE(), CURVE, POINTS,
            lambda w: np.average(np.abs(wide(CURVE) - POINTS).mean(1), weights=w)),
    "mse": (MSE(), CURVE, POINTS,
            lambda w: np.average(((wide(CURVE) - POINTS) ** 2).mean(1), weights=w)),
    "r2": (R2(), CURVE, POINTS, lambda w: r2(wide(CURVE), wide(POINTS), w)),
    "mean": (Mean(lambda p, t: (p - t).abs().mean(axis=1)), CURVE, POINTS,
             lambda w: np.average(np.abs(CURVE - POINTS).mean(1), weights=w)),
}  # fmt: skip


@pytest.mark.parametrize("row", CASES)
def test_metric_is_exact_over_unequal_batches(row: str) -> None:
    metric, pred, target, expected = CASES[row]
    for weight in (None, WEIGHTS):
        metric.reset()
        for part in (slice(0, 10), slice(10, 11), slice(11, 11), slice(11, 23)):
            metric.update(pred[part], target[part], None if weight is None else weight[part])
        exact = expected(np.ones(23) if weight is None else weight)
        assert metric.compute() == pytest.approx(exact, rel=1e-6 if row == "mean" else 1e-12)


@pytest.mark.parametrize("row", CASES)
def test_metric_reads_tensors_and_starts_anew(row: str) -> None:
    metric, pred, target, expected = CASES[row]
    found = value(metric, pr.tensor(pred).requires_grad_(), pr.tensor(target))
    assert found == pytest.approx(expected(np.ones(23)), rel=1e-6)
    assert type(found) is float
    metric.reset()
    assert math.isnan(metric.compute())


def test_large_counts_do_not_lose_single_examples() -> None:
    mae = MAE()
    mae.update(np.full(3, 2.0**25, np.float32), np.zeros(3, np.float32))
    mae.update(np.ones(1, np.float32), np.zeros(1, np.float32))
    assert mae.compute() == (3 * 2.0**25 + 1) / 4


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [
        ([0.2, 0.7, 0.9], [0, 1, 0], 2 / 3),  # binary
        ([[0.2], [0.7], [0.9]], [0, 1, 1], 1.0),
        ([0.2, 0.7, 0.9], [[0], [1], [1]], 1.0),
        ([0.5], [1], 0.0),  # the threshold itself is a no
        ([[0.1, 0.9], [0.8, 0.2]], [1, 1], 0.5),  # classes
        ([[0.1, 0.9], [0.8, 0.2]], [[1], [0]], 1.0),
        ([[0.1, 0.9], [0.8, 0.2]], [1.0, 0.0], 1.0),
        ([[0.1, 0.9], [0.8, 0.2]], [[0, 1], [0, 1]], 0.5),  # one-hot
        ([[[0.1, 0.9], [0.8, 0.2]]], [[1, 1]], 0.5),  # sequences
        ([1, 2, 3], [1, 2, 4], 2 / 3),  # classes already
        ([True, False], [1, 1], 0.5),
    ],
)
def test_accuracy_goes_by_shapes(pred: Any, target: Any, expected: float) -> None:
    assert value(Accuracy(), np.array(pred), np.array(target)) == pytest.approx(expected)


def test_accuracy_of_logits_and_of_yes_or_no_answers() -> None:
    assert value(Accuracy(threshold=0.0), [-0.3, 0.3], [0, 1]) == 1.0
    answers = [[0.9, 0.9], [0.1, 0.9]], [[1, 1], [0, 0]]
    assert value(Accuracy(kind="binary"), *answers) == 0.75
    assert value(metrics.get("binary_accuracy"), *answers) == 0.75


def test_top_k_counts_ties_in_and_nan_out() -> None:
    assert value(TopK(1), [[1.0, 1.0, 0.0]], [1]) == 1.0
    assert value(TopK(1), [[1.0, 1.0, 0.0]], [2]) == 0.0
    assert value(TopK(2), [[math.nan, 1.0, 0.0]], [0]) == 0.0
    assert value(TopK(2), [[math.nan, 1.0, 0.0]], [1]) == 1.0
    assert value(TopK(1), [[math.nan, 1.0, 0.0]], [1]) == 0.0
    assert value(TopK(5), [[0.1, 0.9]], [[1, 0]]) == 1.0
    assert value(TopK(5), [[0.1, 0.9]], [-1]) == 0.0


def test_weights_count_examples_or_elements() -> None:
    pred, target = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]
    assert value(MAE(), pred, target, [0.0, 2.0]) == 3.5
    assert value(MAE(), pred, target, [[0.0], [2.0]]) == 3.5
    assert value(MAE(), pred, target, [[1, 0], [0, 0]]) == 1.0
    assert math.isnan(value(MAE(), pred, target, [0.0, 0.0]))
    assert math.isnan(value(R2(), [1.0], [1.0], [0.0]))


def test_r2_of_equal_targets_and_large_offsets() -> None:
    assert value(R2(), [2.0, 2.0], [2.0, 2.0]) == 1.0
    assert value(R2(), [2.0, 2.5], [2.0, 2.0]) == 0.0
    target = np.linspace(0, 1, 100)
    pred = target + 0.1 * np.sin(np.arange(100))
    moved = value(R2(), pred + 1e8, target + 1e8)
    assert moved == pytest.approx(value(R2(), pred, target), abs=1e-5)


def test_function_may_give_a_number_per_batch() -> None:
    metric = metrics.get(lambda pred, target: ((pred > 0.5) == target).float().mean())
    metric.update(np.array([0.9, 0.1, 0.2], np.float32), np.array([1, 0, 1]))
    metric.update(np.array([0.9], np.float32), np.array([1]))
    assert metric.compute() == pytest.approx(0.75)


def test_get_takes_names_objects_classes_and_functions() -> None:
    for name in metrics.NAMES:
        assert metrics.get(name.upper()).name == name
    ready = TopK(2)
    assert ready.name == "top2"
    assert metrics.get(ready) is ready
    assert metrics.get(MAE).name == "mae"

    def closeness(pred: Any, target: Any) -> Any:
        return 1.0

    assert metrics.get(closeness).name == "closeness"
    assert metrics.get("acc") is not metrics.get("acc")
    with pytest.raises(ValueError, match=r"metrics: metric must be a known name; .*'accuracy'\?"):
        metrics.get("accurracy")


@pytest.mark.parametrize(
    ("metric", "pred", "target", "text"),
    [
        (Accuracy(), (4, 3), (5,), "expected pred (..., c) and target (...), (..., 1) or (..., c)"),
        (Accuracy(), (4, 3), (4, 2), "got pred (4, 3) and target (4, 2). Reshape one of them."),
        (Accuracy(), (4,), (5,), "accuracy: pred and target must fit together; expected equal"),
        (Accuracy(), (), (), "expected equal shapes (b, ...)"),
        (TopK(2), (4, 3), (4, 2), "top2: pred and target must fit together"),
        (MAE(), (4,), (4, 2), "mae: pred and target must fit together; expected equal shapes"),
        (MSE(), (1, 4), (4, 1), "got pred (1, 4) and target (4, 1)"),
        (R2(), (4, 2), (4, 3), "r2: pred and target must fit together"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(metric: Any, pred: Any, target: Any, text: str) -> None:
    with pytest.raises(ShapeError) as error:
        value(metric, np.zeros(pred), np.zeros(target))
    assert text in str(error.value)


def test_settings_and_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError) as error:
        value(MAE(), [1.0, 2.0], [1.0, 2.0], [1.0, 2.0, 3.0])
    assert str(error.value) == (
        "mae: weight must have a number per example; expected (2,), got (3,). "
        "Pass sample weights of shape (b,)."
    )
    with pytest.raises(ValueError, match="k counts classes; expected k >= 1, got 0"):
        TopK(0)
    with pytest.raises(ValueError, match="expected one of auto, binary"):
        Accuracy(kind="sparse")


ODD: dict[str, tuple[Any, Any, Any, Any]] = {  # metric, pred, target, what it is
    "nan is wrong": (Accuracy(), [math.nan, 0.1], [0, 0], 0.5),
    "nan is no class": (Accuracy(), [[math.nan, 1.0], [1.0, 0.0]], [0, 0], 0.5),
    "nan is nowhere predicted": (Precision("micro"), [math.nan, 0.9, 0.9], [1, 1, 0], 0.5),
    "nan is missed": (Recall(), [math.nan, 0.9, 0.9], [1, 1, 0], 0.5),
    "nan has no rank": (AUC(), [math.nan, 0.9, 0.1], [1, 1, 0], math.nan),
    "all scores are equal": (AUC(), [0.5, 0.5, 0.5], [1, 0, 0], 0.5),
    "infinite scores": (AUC(), [math.inf, 0.5, -math.inf], [1, 0, 0], 1.0),
    "one side is missing": (AUC(), [0.1, 0.2], [1, 1], math.nan),
    "a class is missing": (AUC(), [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]], [0, 1], 1.0),
    "a class per row": (AUC(None), [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]], [0, 1], [1, 1, math.nan]),
    "sequences": (AUC(), [[[0.9], [0.1]], [[0.3], [0.2]]], [[1, 0], [0, 1]], 0.75),
    "nothing predicted": (Precision(zero_division=1.0), [0.1, 0.2], [1, 0], 1.0),
    "classes by number": (F1(), [0, 1, 2], [0, 1, 2], 1.0),
    "bools": (F1(), [True, False], [True, True], 2 / 3),
    "only noes": (Recall(), [0, 0], [0, 0], 0.0),
    "scores say how many": (Recall(None), [[0.1, 0.9, 0.0]], [1], [0, 1, 0]),
    "seen classes say how many": (ConfusionMatrix(), [1, 0], [2, 0],
                                  [[1, 0, 0], [0, 0, 0], [0, 1, 0]]),
    "sequences of classes": (ConfusionMatrix(), [[0, 1], [1, 1]], [[0, 1], [0, 1]],
                             [[1, 1], [0, 2]]),
    "yes or no": (ConfusionMatrix(threshold=0.0), [-1.0, 2.0], [0.0, 0.0], [[1, 1], [0, 0]]),
    "a class of no chance": (Perplexity(), [[1.0, 0.0]], [1], math.inf),
    "logits of any size": (Perplexity(True), [[1e4, -1e4]], [1], math.inf),
    "log-probabilities": (Perplexity(True), np.log([[0.25, 0.75]]), [0], 4.0),
    "tokens to ignore": (Perplexity(), [[[0.25, 0.75], [0.5, 0.5]]], [[0, -100]], 4.0),
    "all ignored": (Perplexity(ignore_index=1), [[0.25, 0.75]], [1], math.nan),
    "root": (RMSE(), [[1.0, 2.0]], [[4.0, 6.0]], math.sqrt(12.5)),
}  # fmt: skip


@pytest.mark.parametrize("row", ODD)
def test_what_is_odd_has_a_defined_value(row: str) -> None:
    metric, pred, target, expected = ODD[row]
    found = value(metric, np.array(pred), np.array(target))
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-12)


def test_classes_grow_and_weights_make_counts_real() -> None:
    matrix = ConfusionMatrix()
    assert matrix.compute().shape == (0, 0)
    matrix.update([0, 1], [1, 1])
    assert matrix.compute().dtype == np.int64
    matrix.update([3], [0], [0.5])
    assert matrix.compute().tolist() == [[0, 0, 0, 0.5], [1, 1, 0, 0], [0] * 4, [0] * 4]
    recall = Recall(average="auto")
    recall.update([0, 1], [1, 1])
    assert recall.compute() == 0.5  # of class 1, while there are two
    recall.update([2, 0], [2, 0])
    assert recall.compute() == pytest.approx(2.5 / 3)  # the mean over those that occur


@pytest.mark.parametrize(
    ("metric", "pred", "target", "text"),
    [
        (ConfusionMatrix(), [0, 1], [0, -1], "confusion_matrix: targets must be class numbers; "
         "expected integers from 0 on, got -1. Number the classes, or drop such rows."),
        (F1("macro"), [[0.1, 0.9]], [0.5], "expected integers from 0 on, got 0.5"),
        (ConfusionMatrix(), [[0.1, math.nan]], [0], "predictions must be classes; expected scores, "
         "or integers from 0 on, got NaN. Leave such rows out."),
        (F1("macro"), [[0.1, 0.9]], [math.nan], "expected integers from 0 on, got nan"),
        (Perplexity(), [[0.5, 0.5]], [math.nan], "expected 0 to 1, got nan"),
        (ConfusionMatrix(), [-2], [0], "from 0 on, got -2"),
        (ConfusionMatrix(), [0], [10**6], "classes must fit into a table; expected at most"),
        (F1("binary"), [0, 2], [0, 1], 'f1: average="binary" is for two classes; expected classes '
         '0 and 1, got 3 classes. Pass average="macro", "micro", "weighted" or None.'),
        (Perplexity(), [[2.0, -1.0]], [0], "perplexity: predictions must be probabilities; "
         "expected numbers from 0 to 1, got -1 to 2. Pass from_logits=True if they are logits."),
        (AUC(), [[2.0, -1.0, 3.0]], [0], "auc: predictions must be probabilities"),
        (Perplexity(), [[0.5, 0.5]], [2], "targets must be class numbers; expected 0 to 1, got 2"),
        (AUC(), [0.5, 0.5], [0, 1, 1], "auc: pred and target must fit together"),
        (Precision(), [[0.5, 0.5]], [[0, 1, 1]], "precision: pred and target must fit together"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(
    metric: Metric, pred: Any, target: Any, text: str
) -> None:
    with pytest.raises(ValueError) as error:
        value(metric, np.array(pred), np.array(target))
    assert text in str(error.value)
    assert not np.any(metric.compute()) or math.isnan(metric.compute())  # nothing was counted


def test_settings_and_batches_that_do_not_fit_are_refused() -> None:
    for make, text in (
        (lambda: F1("samples"), "F1: average must be a known name; expected one of auto, binary"),
        (lambda: AUC("micro"), "AUC: average must be a known name; expected one of macro, weight"),
        (lambda: ConfusionMatrix("rows"), "ConfusionMatrix: normalize must be a known name"),
        (lambda: Recall(kind="sparse"), "Recall: kind must be a known name"),
    ):
        with pytest.raises(ValueError) as error:
            make()
        assert text in str(error.value)
    for batch in (0, 2, -3):
        with pytest.raises(ShapeError, match=f"rows must be whole batches; .* {batch} rows, got 3"):
            MAE().update(np.ones(3), np.ones(3), batch=batch)
    for metric in (MAE(), R2()):
        for target, weight in ((9, 6), (6, 9)):
            with pytest.raises(ShapeError, match="expected equally many rows, also of weight"):
                metric.update(np.ones(6), np.ones(target), np.ones(weight), batch=3)
    auc = AUC()
    auc.update(np.full((2, 3), 0.3), [0, 1])
    with pytest.raises(ShapeError, match="auc: every batch must have equally many scores; exp.* 3"):
        auc.update(np.full((2, 4), 0.2), [0, 1])
