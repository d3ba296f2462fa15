"""Keras' metrics: those of `pr.metrics`, with `update_state(y_true, y_pred)` and `result`.

May import: metrics. To add one: a row in `CLASSES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian import metrics
from pierian.compat.keras.names import answer, snake


class Metric(metrics.Metric):
    """What the metrics have under Keras' names."""

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Take in a batch. Shapes: as the metric says."""
        self.update(y_true if y_pred is None else y_pred, y_true, sample_weight)


class _Itself(metrics.Metric):
    """The mean of numbers as they come."""

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.atleast_1d(pred)


CLASSES: dict[str, type[metrics.Metric]] = {
    "Mean": _Itself, "Accuracy": metrics.Accuracy, "BinaryAccuracy": metrics.Accuracy,
    "CategoricalAccuracy": metrics.Accuracy, "SparseCategoricalAccuracy": metrics.Accuracy,
    "TopKCategoricalAccuracy": metrics.TopK, "SparseTopKCategoricalAccuracy": metrics.TopK,
    "Precision": metrics.Precision, "Recall": metrics.Recall, "AUC": metrics.AUC,
    "MeanSquaredError": metrics.MSE, "RootMeanSquaredError": metrics.RMSE,
    "MeanAbsoluteError": metrics.MAE, "R2Score": metrics.R2,
}  # fmt: skip


def _class(title: str, cls: Any) -> Any:
    def __init__(self: Any, *args: Any, name: str | None = None, **options: Any) -> None:
        cls.__init__(self, *args, name=name or snake(title), **options)

    body = {"__doc__": f"Keras' {title}; see `pr.metrics.{cls.__name__}`.", "__init__": __init__}
    body |= {"result": cls.compute, "reset_state": cls.reset, "__module__": __name__}
    return type(title, (Metric, cls), body)


globals().update({title: _class(title, cls) for title, cls in CLASSES.items()})
__getattr__ = answer(__name__, globals())
