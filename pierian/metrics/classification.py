"""Metrics of classes: how many are met, which are taken for which.

May import: base, metric. What is counted is added row by row, so that weighted counts too are the
same bits however rows are split into batches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.errors import lookup, message
from pierian.metrics.metric import Metric, mean_of_numbers

NONE = -(2**63)  # the class of a prediction that is NaN: none
MOST = 2**30  # numbers in a table of classes: beyond, they are hardly classes
OVER = {"true": 1, "pred": 0, "all": None}  # axes of a confusion matrix that shares are of


class Classified(Metric):
    """Base of what compares the class predicted with the class of the target.

    `Accuracy` says what is what by shapes, and has the settings.
    """

    threshold: float

    def __init__(self, threshold: float = 0.5, kind: str = "auto", name: str | None = None) -> None:
        self.threshold = threshold
        self.kind = lookup(type(self).__name__, "kind", kind, ("auto", "binary"))
        super().__init__(name)

    def classes(self, pred: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The class predicted, that of the target, and how many are told apart at least."""
        if pred.dtype.kind in "biu":
            return *self._alike(pred, target), 0
        if self.kind == "binary" or pred.ndim < 2 or pred.shape[-1] == 1:
            pred, target = self._alike(pred, target)
            return np.where(np.isnan(pred), NONE, pred > self.threshold), target > 0.5, 2
        chosen, nan = pred.argmax(-1), np.isnan(pred)
        if nan.any():
            chosen[nan.any(-1)] = NONE
        return chosen, self._labels(pred, target), pred.shape[-1]

    def counted(self, pred: Any, target: Any, weight: Any) -> tuple[Any, Any, Any, int]:
        """Like `classes`, but each a row of numbers to index a table with; and their weights.

        Raises:  ValueError for targets that are no class numbers.
        """
        chosen, labels, least = self.classes(pred, target)
        w = self._weights(weight, labels.shape).ravel()
        with np.errstate(invalid="ignore"):  # a NaN is found to be wrong below
            p, t = (x.ravel().astype(np.int64) for x in (chosen, labels))
        wrong = (t != labels.ravel()) | (t < 0)
        if wrong.any():
            raise ValueError(
                message(self.name, "targets must be class numbers", "integers from 0 on",
                        labels.ravel()[wrong][0], "Number the classes, or drop such rows")
            )  # fmt: skip
        return p, t, w, max(least, *(int(x.max(initial=-1)) + 1 for x in (p, t)))

    def grown(self, table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """`table`, with zeros added up to `shape` where that is larger."""
        more = [max(n - had, 0) for n, had in zip(shape, table.shape, strict=True)]
        if not any(more):
            return table
        if math.prod(shape) > MOST:
            raise ValueError(
                message(self.name, "classes must fit into a table", f"at most {MOST} cells",
                        f"a shape of {shape}", "Number the classes from 0 on")
            )  # fmt: skip
        return np.pad(table, [(0, n) for n in more])


class Accuracy(Classified):
    """The share of right predictions. What a prediction is, its shape says:

        (b,) or (..., 1)  binary: pred > threshold is to agree with target > 0.5
        (..., c)          the class with the largest of c scores; target (...) or (..., 1) holds
                          classes, target (..., c) is one-hot
        integers, bools   classes already: to be equal to target, which has the same shape

    Of equal scores the first counts. A prediction with NaN in it is of no class, so wrong.

    Args:    threshold  0.5 for probabilities; pass 0 when binary predictions are logits.
             kind       "auto": as above; "binary" for c scores that are c answers of yes or no.

    >>> accuracy = Accuracy()
    >>> accuracy.update([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    >>> accuracy.compute()
    0.5
    """

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        chosen, labels, _ = self.classes(pred, target)
        return chosen == labels


class TopK(Metric):
    """The share of examples whose class is among the `k` with the highest scores.

    Of equal scores all are in; NaN for the class is a miss.

    Shapes:  pred (..., c); target (...) or (..., 1) of classes, or (..., c) one-hot.

    >>> top = TopK(2)
    >>> top.update([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2])
    >>> top.compute()
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        if k < 1:
            raise ValueError(message("TopK", "k counts classes", "k >= 1", k, "Pass k=5"))
        self.k = k
        super().__init__(name or f"top{k}")

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        own = np.arange(pred.shape[-1]) == self._labels(pred, target)[..., None]
        score = np.where(own, pred, -np.inf).max(-1, keepdims=True)
        above = ~(pred <= score)  # NaN is above everything
        return own.any(-1) & (above.sum(-1) < self.k)


class ConfusionMatrix(Classified):
    """How often an example of class i (row) was predicted to be of class j (column).

    There are as many classes as scores, or as were seen. Not for logs: `compute` gives a matrix.

    Shapes:  as for `Accuracy`; the matrix is (classes, classes).
    Args:    normalize  None: counts; "true", "pred" or "all": shares of rows, columns or all.
             threshold, kind  as for `Accuracy`.
    Raises:  ValueError for NaN predictions, which have no column.

    >>> matrix = ConfusionMatrix()
    >>> matrix.update([0, 2, 1, 2], [0, 1, 1, 2])
    >>> matrix.compute()
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """

    scalar = False

    def __init__(
        self, normalize: str | None = None, threshold: float = 0.5, kind: str = "auto",
        name: str | None = None,
    ) -> None:  # fmt: skip
        known = ("true", "pred", "all")
        self.normalize = normalize and lookup("ConfusionMatrix", "normalize", normalize, known)
        super().__init__(threshold, kind, name or "confusion_matrix")

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.table = np.zeros((0, 0))
        self.weighted = False

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Count examples in."""
        p, t, w, n = self.counted(pred, target, weight)
        if p.min(initial=0) < 0:
            raise ValueError(
                message(self.name, "predictions must be classes", "scores, or integers from 0 on",
                        "NaN" if p.min() == NONE else p.min(), "Leave such rows out")
            )  # fmt: skip
        self.table = self.grown(self.table, (n, n))
        np.add.at(self.table, (t, p), w)
        self.weighted |= weight is not None

    def compute(self) -> np.ndarray:
        """The matrix: int64 counts, or float64 when they are weighted or shares."""
        if self.normalize is None:
            return self.table.astype(np.float64 if self.weighted else np.int64)
        whole = self.table.sum(OVER[self.normalize], keepdims=True)
        return self.table / np.where(whole == 0, 1.0, whole)


class Share(Classified):
    """Base of the metrics that divide what was right by what was predicted, or was there.

    `Precision` has the settings.
    """

    def __init__(
        self, average: str | None = "auto", zero_division: float = 0.0, threshold: float = 0.5,
        kind: str = "auto", name: str | None = None,
    ) -> None:  # fmt: skip
        known = ("auto", "binary", "macro", "micro", "weighted")
        self.average = average and lookup(type(self).__name__, "average", average, known)
        self.scalar = average is not None
        self.zero_division = zero_division
        super().__init__(threshold, kind, name)

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """What is to be divided by what, from the counts of each class."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.table = np.zeros((3, 0))  # right, predicted, actual

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Count examples in."""
        p, t, w, n = self.counted(pred, target, weight)
        if self.average == "binary" and n > 2:
            raise ValueError(
                message(self.name, 'average="binary" is for two classes', "classes 0 and 1",
                        f"{n} classes", 'Pass average="macro", "micro", "weighted" or None')
            )  # fmt: skip
        self.table = self.grown(self.table, (3, n))
        for row, (classes, counts) in enumerate(((t, p == t), (p, p >= 0), (t, t >= 0))):
            np.add.at(self.table[row], classes[counts], w[counts])

    def compute(self) -> Any:
        """A number, or one per class; NaN when there was nothing."""
        average, table = self.average, self.table
        if average == "auto":
            average = "binary" if table.shape[1] <= 2 else "macro"
        if average is not None and not table[2].any():
            return float("nan")
        one = {"micro": table, "binary": table[:, 1:2]}.get(average or "")
        if one is not None:
            table = one.sum(1, keepdims=True)
        part, whole = self.parts(*table)
        each = np.where(whole == 0, self.zero_division, part / np.where(whole == 0, 1.0, whole))
        if average is None:
            return each
        occurs = table[1:].any(0) | (one is not None)
        return mean_of_numbers(each, table[2] if average == "weighted" else occurs)


class Precision(Share):
    """Of what was predicted to be of a class, the share that is.

    Shapes:  as for `Accuracy`.
    Args:    average        "binary": of class 1, the yes; "macro": the mean over the classes
                            that occur; "weighted": that by how often targets have them;
                            "micro": over all classes as one; None: an array, one per class,
                            not for logs. "auto": "binary" up to two classes, else "macro".
             zero_division  the value where there is nothing to divide by; NaN leaves such
                            classes out of averages.
             threshold, kind  as for `Accuracy`.
    Raises:  ValueError for "binary" of more classes.

    >>> precision = Precision()
    >>> precision.update([0.9, 0.8, 0.2], [1, 0, 1])
    >>> precision.compute()
    0.5
    """

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        return right, predicted


class Recall(Share):
    """Of what is of a class, the share that was predicted to be. Settings: as `Precision`.

    >>> recall = Recall(average=None)
    >>> recall.update([0, 1, 2, 2], [0, 1, 1, 2])
    >>> recall.compute()
    array([1. , 0.5, 1. ])
    """

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        return right, actual


class F1(Share):
    """The harmonic mean of precision and recall. Settings: as `Precision`.

    >>> f1 = F1("macro")
    >>> f1.update([0, 1, 1, 1], [0, 1, 1, 0])
    >>> round(f1.compute(), 4)
    0.7333
    """

    def parts(self, right: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        return 2 * right, predicted + actual
