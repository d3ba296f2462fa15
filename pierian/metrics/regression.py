"""Metrics of numbers: how far predictions are from their targets.

May import: base, metric.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.metrics.metric import Metric


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


class RMSE(MSE):
    """The root of the mean squared error over all elements, in the units of the target.

    Of several columns the root of their common mean (scikit-learn: the mean of their roots).

    Shapes:  pred (b, ...), target same; (b,) and (b, 1) may meet.

    >>> rmse = RMSE()
    >>> rmse.update([0.0, 0.0], [1.0, 7.0])
    >>> rmse.compute()
    5.0
    """

    def compute(self) -> float:
        """The metric of everything since `reset`; NaN when there was nothing."""
        return math.sqrt(super().compute())


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

    by_batch = True

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.count = 0.0
        self.mean, self.spread, self.error = np.zeros((3, 1))

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Take in one batch."""
        pair = self._alike(pred, target)
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
        """The metric of everything since `reset`; NaN when there was nothing."""
        flat = self.spread == 0
        share = 1.0 - self.error / np.where(flat, 1.0, self.spread)
        result = np.where(flat, self.error == 0, share).mean()
        return float(result) if self.count else float("nan")
