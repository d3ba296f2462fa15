"""Metrics of scores and probabilities: how well they rank, how sure they are of what is right.

May import: base, metric.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, lookup, message
from pierian.metrics.metric import Metric, mean_of_numbers


class AUC(Metric):
    """The area under the ROC curve: how often a yes scores higher than a no; ties count half.

    Exact: all scores are kept until `reset`, and sorted by `compute`. Of three classes or more,
    each is told from the rest by its probability, and the areas are averaged; of two, the second
    is the yes. NaN where one side is missing (an average leaves such classes out) or scores NaN.

    Shapes:  binary: pred (b,) or (..., 1) scores of any range, target same, yes above 0.5;
             else pred (..., c), target (...) or (..., 1) of classes, or (..., c) one-hot.
    Args:    average      "macro": the mean over classes; "weighted": by how often targets have
                          them; None: an array, one per class, not for logs.
             from_logits  whether scores of classes are logits, rather than probabilities.
    Raises:  ValueError for scores of classes that are no probabilities.
    Source:  Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747. One against the rest, as
             in scikit-learn.

    >>> auc = AUC()
    >>> auc.update([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> auc.compute()
    0.75
    """

    def __init__(
        self, average: str | None = "macro", from_logits: bool = False, name: str | None = None
    ) -> None:
        self.average = average and lookup("AUC", "average", average, ("macro", "weighted"))
        self.scalar = average is not None
        self.from_logits = from_logits
        super().__init__(name)

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.kept: list[np.ndarray] = []  # a row per example: its scores, its class, its weight

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Keep the scores."""
        if pred.ndim < 2 or pred.shape[-1] == 1:
            scores, labels = self._alike(pred, target)
            scores, labels = scores[..., None], labels > 0.5
        else:
            scores, labels = self._probabilities(pred), self._labels(pred, target)
            scores = scores[..., 1:] if scores.shape[-1] == 2 else scores
        weights = self._weights(weight, labels.shape)
        rows = np.concatenate([scores, labels[..., None], weights[..., None]], -1, dtype=np.float64)
        rows = rows.reshape(-1, rows.shape[-1])
        if self.kept and self.kept[0].shape[1] != rows.shape[1]:
            raise ShapeError(
                message(self.name, "every batch must have equally many scores",
                        self.kept[0].shape[1] - 2, scores.shape[-1], "Reset between models")
            )  # fmt: skip
        self.kept.append(rows)

    def compute(self) -> Any:
        """A number, or one per class; NaN when there was nothing."""
        *scores, labels, weights = self._rows().T
        if len(scores) == 1:
            return _area(scores[0], labels == 1, weights)
        found = [(labels == i, _area(x, labels == i, weights)) for i, x in enumerate(scores)]
        areas = np.array([area for _, area in found])
        if self.average is None:
            return areas
        macro = self.average == "macro"
        return mean_of_numbers(areas, [1.0 if macro else weights[own].sum() for own, _ in found])

    def state_dict(self) -> dict[str, Any]:
        """All rows kept so far, as one array."""
        return {"kept": self._rows().copy()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, to the bit.

        Raises:  CheckpointError when it is of another metric; then nothing is changed.
        """
        super().load_state_dict(saved)
        self.kept = [rows for rows in [saved["kept"].copy()] if len(rows)]

    def _rows(self) -> np.ndarray:
        if len(self.kept) > 1:
            self.kept = [np.concatenate(self.kept)]
        return self.kept[0] if self.kept else np.zeros((0, 3))


def _area(scores: np.ndarray, yes: np.ndarray, weights: np.ndarray) -> float:
    """The area of one class against the rest; NaN without examples of both."""
    levels, place = np.unique(scores, return_inverse=True)
    ups = np.bincount(place, weights * yes)
    downs = np.bincount(place, weights * ~yes)
    whole = float(ups.sum()) * float(downs.sum())
    if not whole or np.isnan(levels[-1]):  # NaN is sorted last
        return math.nan
    below = np.cumsum(downs) - downs / 2
    return float((ups * below).sum()) / whole


class Perplexity(Metric):
    """e to the mean cross-entropy, in nats: among how many classes one guesses, on average.

    Shapes:  pred (..., c); target (...) or (..., 1) of classes, or (..., c) one-hot. weight (b,),
             or one per target.
    Args:    from_logits   whether predictions are logits (or log-probabilities); by default they
                           are probabilities, taken as they are. A class of probability 0 that
                           occurs makes it infinite.
             ignore_index  targets of this number do not count, as in `nn.cross_entropy`.
    Raises:  ValueError for predictions that are no probabilities, or targets that are no classes.

    >>> perplexity = Perplexity()
    >>> perplexity.update([[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]], [0, 1])
    >>> perplexity.compute()
    2.0
    """

    def __init__(
        self, from_logits: bool = False, ignore_index: int = -100, name: str | None = None
    ) -> None:
        self.from_logits = from_logits
        self.ignore_index = ignore_index
        super().__init__(name)

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Take in the cross-entropy of every target that counts."""
        labels = self._labels(pred, target)
        ignored = labels == self.ignore_index
        weights = self._weights(weight, labels.shape) * ~ignored
        super().add(pred, np.where(ignored, 0, labels), weights, batch)

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a NaN is found to be wrong below
            labels = target.astype(np.int64)
        wrong = (labels != target) | (labels < 0) | (labels >= pred.shape[-1])
        if wrong.any():
            raise ValueError(
                message(self.name, "targets must be class numbers", f"0 to {pred.shape[-1] - 1}",
                        target[wrong][0], "Number the classes as the predictions do")
            )  # fmt: skip
        if self.from_logits:
            wide = pred.astype(np.float64)
            wide = wide - wide.max(-1, keepdims=True)
            logs = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
        else:
            with np.errstate(divide="ignore"):
                logs = np.log(self._probabilities(pred))
        return -np.take_along_axis(logs, labels[..., None], -1)[..., 0]

    def compute(self) -> float:
        """The metric of everything since `reset`; NaN when there was nothing."""
        mean = super().compute()
        return math.exp(mean) if mean < 709 else mean + math.inf  # where e to it overflows, or NaN
