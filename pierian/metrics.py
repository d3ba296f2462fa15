"""Metrics: numbers that tell how good predictions are, exact over batches of any sizes.

May import: base, core. A metric adds up what `update` shows it in float64, outside of the training
step and its graph; `compute` makes the number. To add one: a subclass of `Metric` whose `values`
gives a number per example or element, and a row in `NAMES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, lookup, message
from pierian.core.tensor import as_tensor, to_array

Pair = tuple[np.ndarray, np.ndarray]


class Metric:
    """Base of all metrics: the weighted mean of a number per example or element.

    Args:    name  what logs call it; by default that of the class in lower case.

    >>> mae = MAE()
    >>> mae.update([1.0, 2.0], [1.0, 4.0])
    >>> mae.update([0.0], [4.0])
    >>> mae.compute()
    2.0
    """

    by_batch = False  # whether it matters which rows come in one `update`

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__.lower()
        self.reset()

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The numbers to average, (b,) or (b, ...)."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.total = self.count = 0.0

    def update(self, pred: Any, target: Any, weight: Any = None) -> None:
        """Take in a batch of arrays or tensors; they are read and not kept.

        Shapes:  pred and target as the metric says; weight (b,), or one per value.
        Raises:  ShapeError for shapes that do not fit together.
        """
        values = self.values(to_array(pred), to_array(target))
        weights = self._weights(weight, values.shape)
        self.total += float(np.sum(values * weights, dtype=np.float64))
        self.count += float(weights.sum())

    def compute(self) -> float:
        """The metric of everything since `reset`; NaN when there was nothing."""
        return self.total / self.count if self.count else float("nan")

    def _weights(self, weight: Any, shape: tuple[int, ...]) -> np.ndarray:
        if weight is None:
            return np.broadcast_to(1.0, shape)
        given = to_array(weight).astype(np.float64)
        if given.shape == shape:
            return given
        if given.size != shape[0]:
            raise ShapeError(
                message(self.name, "weight must have a number per example", shape[:1],
                        given.shape, "Pass sample weights of shape (b,)")
            )  # fmt: skip
        return np.broadcast_to(given.reshape(shape[:1] + (1,) * (len(shape) - 1)), shape)

    def _alike(self, pred: np.ndarray, target: np.ndarray) -> Pair:
        """Both in one shape; (b,) may meet (b, 1), and nothing else is broadcast."""
        p, t = _trimmed(pred), _trimmed(target)
        if p.shape != t.shape or not p.shape:
            raise self._misfit(pred, target, "equal shapes (b, ...)")
        return p, t

    def _labels(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The class of each example, for predictions with classes on the last axis."""
        labels = target.argmax(-1) if target.shape == pred.shape else _trimmed(target)
        if labels.shape != pred.shape[:-1]:
            raise self._misfit(pred, target, "pred (..., c) and target (...), (..., 1) or (..., c)")
        return labels

    def _misfit(self, pred: np.ndarray, target: np.ndarray, expected: str) -> ShapeError:
        return ShapeError(
            message(self.name, "pred and target must fit together", expected,
                    f"pred {pred.shape} and target {target.shape}", "Reshape one of them")
        )  # fmt: skip


def _trimmed(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[:-1]) if x.ndim > 1 and x.shape[-1] == 1 else x


class Accuracy(Metric):
    """The share of right predictions. What a prediction is, its shape says:

        (b,) or (..., 1)  binary: pred > threshold is to agree with target > 0.5
        (..., c)          the class with the largest of c scores; target (...) or (..., 1) holds
                          classes, target (..., c) is one-hot
        integers, bools   classes already: to be equal to target, which has the same shape

    Args:    threshold  0.5 for probabilities; pass 0 when binary predictions are logits.
             kind       "auto": as above; "binary" for c scores that are c answers of yes or no.

    >>> accuracy = Accuracy()
    >>> accuracy.update([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    >>> accuracy.compute()
    0.5
    """

    def __init__(self, threshold: float = 0.5, kind: str = "auto", name: str | None = None) -> None:
        self.threshold = threshold
        self.kind = lookup("Accuracy", "kind", kind, ("auto", "binary"))
        super().__init__(name)

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        if pred.dtype.kind in "biu":
            return np.equal(*self._alike(pred, target))
        if self.kind == "binary" or pred.ndim < 2 or pred.shape[-1] == 1:
            pred, target = self._alike(pred, target)
            return (pred > self.threshold) == (target > 0.5)
        return pred.argmax(-1) == self._labels(pred, target)


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


class MAE(Metric):
    """The mean absolute error over all elements.

    Shapes:  pred (b, ...), target same; (b,) and (b, 1) may meet.
    """

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.abs(np.subtract(*self._alike(pred, target), dtype=np.float64))


class MSE(Metric):
    """The mean squared error over all elements.

    Shapes:  pred (b, ...), target same; (b,) and (b, 1) may meet.
    """

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.subtract(*self._alike(pred, target), dtype=np.float64) ** 2


class R2(Metric):
    """The share of the variance of the targets that the predictions explain: 1 - SSE / SST.

    Of several columns the mean. A column of equal targets counts 1 when met exactly, else 0, as
    in scikit-learn. Source of the merging of batches: Chan et al. 1979, STAN-CS-79-773.

    Shapes:  pred (b, ...), target same; (b,) and (b, 1) may meet. weight (b,).

    >>> r2 = R2()
    >>> r2.update([1.0, 2.0], [1.0, 2.0])
    >>> r2.update([1.0], [3.0])
    >>> r2.compute()
    -1.0
    """

    def reset(self) -> None:
        self.count = 0.0
        self.mean, self.spread, self.error = np.zeros((3, 1))

    def update(self, pred: Any, target: Any, weight: Any = None) -> None:
        pair = self._alike(to_array(pred), to_array(target))
        columns = math.prod(pair[0].shape[1:])
        p, t = (x.reshape(len(x), columns).astype(np.float64) for x in pair)
        w = self._weights(weight, t.shape[:1])[:, None]
        added = float(w.sum())
        if added:
            count = self.count + added
            mean = (w * t).sum(0) / added
            shift = mean - self.mean
            inside = (w * (t - mean) ** 2).sum(0)
            self.spread = self.spread + inside + shift**2 * self.count * added / count
            self.error = self.error + (w * (t - p) ** 2).sum(0)
            self.mean = self.mean + shift * added / count
            self.count = count

    def compute(self) -> float:
        flat = self.spread == 0
        share = 1.0 - self.error / np.where(flat, 1.0, self.spread)
        result = np.where(flat, self.error == 0, share).mean()
        return float(result) if self.count else float("nan")


class Mean(Metric):
    """The mean of what `function(pred, target)` gives: a number per example, or per batch.

    A number per batch counts as much as the examples of the batch. The function gets tensors.
    """

    by_batch = True

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function = function
        super().__init__(name or getattr(function, "__name__", None))

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        given = to_array(self.function(as_tensor(pred), as_tensor(target)))
        return given if given.ndim else np.full(len(pred), given)


NAMES: dict[str, Callable[..., Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "binary_accuracy": partial(Accuracy, kind="binary"),
    "categorical_accuracy": Accuracy,
    "sparse_categorical_accuracy": Accuracy,
    "top_k_accuracy": TopK,
    "top5": TopK,
    "top_k_categorical_accuracy": TopK,
    "sparse_top_k_categorical_accuracy": TopK,
    "mae": MAE,
    "mean_absolute_error": MAE,
    "mse": MSE,
    "mean_squared_error": MSE,
    "r2": R2,
    "r2_score": R2,
}


def get(metric: str | Metric | Callable[..., Any]) -> Metric:
    """The metric that a name, an object, a class or a function stands for.

    A name becomes the name of the metric too; a function (pred, target) is averaged by `Mean`.
    Raises:  ValueError for an unknown name.

    >>> get("mae").name, get(lambda pred, target: 0.0).name
    ('mae', '<lambda>')
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric()
    if callable(metric):
        return Mean(metric)
    name = metric.lower() if isinstance(metric, str) else metric
    return NAMES[lookup("metrics", "metric", name, NAMES)](name=name)
