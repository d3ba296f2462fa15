"""The table of metrics: how each is made, what it is shown, and what scikit-learn says to that.

Knows neither Pierian nor scikit-learn: `tools/make_metrics_golden.py` reads it too. To add one: a
row in `CASES`, and that tool run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Data:
    """One problem of each kind; numbers are made from integers alone, so the same everywhere."""

    rows: int = 60
    seed: int = 0

    def number(self, which: int, *shape: int, levels: int = 9973) -> np.ndarray:
        """Scattered numbers in (0, 1), of at most `levels` values."""
        i = np.arange(self.rows * int(np.prod(shape, dtype=int)), dtype=np.int64)
        i = i * 7919 + 104_729 * which + 15_485_863 * self.seed
        i = (i * i + 12_345 * i) % 32_452_843
        return ((i % levels + 0.5) / levels).reshape(self.rows, *shape)

    @property
    def weight(self) -> np.ndarray:
        return self.number(1) + 0.25

    @property
    def score(self) -> np.ndarray:
        """Of yes, with many ties."""
        return self.number(2, levels=17)

    @property
    def yes(self) -> np.ndarray:
        return (self.number(3) < 0.3 + 0.4 * self.score).astype(np.int64)

    @property
    def label(self) -> np.ndarray:
        """Of five classes, the last of which never occurs and the one before seldom."""
        label = (self.number(4) * 3.2).astype(np.int64)
        label[:4] = range(4)  # but all of four do
        return label

    @property
    def chance(self) -> np.ndarray:
        """Probabilities of four classes; the first is hardly ever the largest."""
        p = self.number(5, 4) * [0.4, 1, 1, 1] + 0.3 * np.eye(4)[self.label]
        return p / p.sum(1, keepdims=True)

    @property
    def logit(self) -> np.ndarray:
        return 8 * self.number(6, 4) - 4

    @property
    def guess(self) -> np.ndarray:
        """Classes; the fifth is predicted but never true, the second true but never predicted."""
        guess = self.chance.argmax(1)
        return np.where(guess == 1, 4, guess)

    @property
    def curve(self) -> np.ndarray:
        return 6 * self.number(7, 3) - 2

    @property
    def points(self) -> np.ndarray:
        return self.curve + self.number(8, 3) - 0.4


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@dataclass(frozen=True)
class Case:
    """A metric, what it is shown of `Data`, and what that is for scikit-learn.

    Args:  kind      the name of the class.
           pred, target  what it is shown.
           oracle    from (sklearn.metrics, data, sample_weight) to the value expected.
           settings  of the metric.
    """

    kind: str
    pred: Callable[[Data], np.ndarray]
    target: Callable[[Data], np.ndarray]
    oracle: Callable[[Any, Data, Any], Any]
    settings: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "accuracy of yes or no": Case(
        "Accuracy", lambda d: d.score, lambda d: d.yes,
        lambda sk, d, w: sk.accuracy_score(d.yes, d.score > 0.5, sample_weight=w),
    ),
    "accuracy of logits": Case(
        "Accuracy", lambda d: d.score[:, None] - 0.5, lambda d: d.yes,
        lambda sk, d, w: sk.accuracy_score(d.yes, d.score > 0.5, sample_weight=w),
        {"threshold": 0.0},
    ),
    "accuracy of classes": Case(
        "Accuracy", lambda d: d.chance.astype(np.float32), lambda d: d.label,
        lambda sk, d, w: sk.accuracy_score(d.label, d.chance.argmax(1), sample_weight=w),
    ),
    "accuracy of one-hot": Case(
        "Accuracy", lambda d: d.chance, lambda d: np.eye(4)[d.label],
        lambda sk, d, w: sk.accuracy_score(d.label, d.chance.argmax(1), sample_weight=w),
    ),
    "top 2": Case(
        "TopK", lambda d: d.chance, lambda d: d.label,
        lambda sk, d, w: sk.top_k_accuracy_score(d.label, d.chance, k=2, sample_weight=w),
        {"k": 2},
    ),
    "auc of ties": Case(
        "AUC", lambda d: d.score, lambda d: d.yes,
        lambda sk, d, w: sk.roc_auc_score(d.yes, d.score, sample_weight=w),
    ),
    "auc of two columns": Case(
        "AUC", lambda d: np.stack([1 - d.score, d.score], 1), lambda d: np.eye(2)[d.yes],
        lambda sk, d, w: sk.roc_auc_score(d.yes, d.score, sample_weight=w),
    ),
    "auc of logits": Case(
        "AUC", lambda d: d.logit, lambda d: d.label,
        lambda sk, d, w: sk.roc_auc_score(
            d.label, softmax(d.logit), multi_class="ovr", sample_weight=w),
        {"from_logits": True},
    ),
    "auc per class": Case(
        "AUC", lambda d: d.chance, lambda d: d.label,
        lambda sk, d, w: sk.roc_auc_score(
            d.label, d.chance, multi_class="ovr", average=None, sample_weight=w),
        {"average": None},
    ),
    "perplexity": Case(
        "Perplexity", lambda d: d.chance, lambda d: d.label,
        lambda sk, d, w: np.exp(sk.log_loss(d.label, d.chance, sample_weight=w)),
    ),
    "perplexity of logits": Case(
        "Perplexity", lambda d: d.logit, lambda d: np.eye(4)[d.label],
        lambda sk, d, w: np.exp(sk.log_loss(d.label, softmax(d.logit), sample_weight=w)),
        {"from_logits": True},
    ),
    "mae": Case(
        "MAE", lambda d: d.curve, lambda d: d.points,
        lambda sk, d, w: sk.mean_absolute_error(d.points, d.curve, sample_weight=w),
    ),
    "mse": Case(
        "MSE", lambda d: d.curve, lambda d: d.points,
        lambda sk, d, w: sk.mean_squared_error(d.points, d.curve, sample_weight=w),
    ),
    "rmse": Case(
        "RMSE", lambda d: d.curve[:, :1], lambda d: d.points[:, 0],
        lambda sk, d, w: sk.root_mean_squared_error(
            d.points[:, 0], d.curve[:, 0], sample_weight=w),
    ),
    "r2": Case(
        "R2", lambda d: d.curve, lambda d: d.points,
        lambda sk, d, w: sk.r2_score(d.points, d.curve, sample_weight=w),
    ),
}  # fmt: skip

for average in ("macro", "weighted"):
    CASES[f"auc {average}"] = Case(
        "AUC", lambda d: d.chance, lambda d: d.label[:, None],
        lambda sk, d, w, average=average: sk.roc_auc_score(
            d.label, d.chance, multi_class="ovr", average=average, sample_weight=w),
        {"average": average},
    )  # fmt: skip

for normalize in (None, "true", "pred", "all"):
    CASES[f"confusion {normalize}"] = Case(
        "ConfusionMatrix", lambda d: d.guess, lambda d: d.label,
        lambda sk, d, w, normalize=normalize: sk.confusion_matrix(
            d.label, d.guess, normalize=normalize, sample_weight=w),
        {"normalize": normalize},
    )  # fmt: skip

SHARES = {"Precision": "precision_score", "Recall": "recall_score", "F1": "f1_score"}
for kind, function in SHARES.items():
    # "auto" is the default: binary of two classes, macro of more
    CASES[f"{kind} of yes or no"] = Case(
        kind, lambda d: d.score, lambda d: d.yes[:, None],
        lambda sk, d, w, function=function: getattr(sk, function)(
            d.yes, d.score > 0.5, sample_weight=w),
    )  # fmt: skip
    CASES[f"{kind} auto"] = Case(
        kind, lambda d: d.chance, lambda d: np.eye(4)[d.label],
        lambda sk, d, w, function=function: getattr(sk, function)(
            d.label, d.chance.argmax(1), average="macro", sample_weight=w),
    )  # fmt: skip
    CASES[f"{kind} binary"] = Case(
        kind, lambda d: np.stack([1 - d.score, d.score], 1), lambda d: d.yes,
        lambda sk, d, w, function=function: getattr(sk, function)(
            d.yes, d.score > 0.5, sample_weight=w),
        {"average": "binary"},
    )  # fmt: skip
    CASES[f"{kind} of answers"] = Case(
        kind, lambda d: d.curve, lambda d: d.points > 0,
        lambda sk, d, w, function=function: getattr(sk, function)(
            d.points > 0, d.curve > 0, average="micro", sample_weight=w),
        {"kind": "binary", "threshold": 0.0},
    )  # fmt: skip
    for average in ("macro", "micro", "weighted", None):
        for zero in (0.0, 1.0, float("nan")):
            CASES[f"{kind} {average} {zero:g}"] = Case(
                kind, lambda d: d.guess, lambda d: d.label,
                lambda sk, d, w, function=function, average=average, zero=zero:
                    getattr(sk, function)(
                        d.label, d.guess, average=average, zero_division=zero, sample_weight=w),
                {"average": average, "zero_division": zero},
            )  # fmt: skip
