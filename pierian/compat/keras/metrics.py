"""Keras' metrics: those of `pr.metrics`, with `update_state(y_true, y_pred)` and `result`.

May import: metrics. To add one: a row in `TABLE`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian import metrics
from pierian.compat.keras.names import classes, snake


class Metric(metrics.Metric):
    """What the metrics have under Keras' names."""

    def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
        options["name"] = name or snake(type(self).__name__)
        super().__init__(*args, **options)

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Take in a batch. Shapes: as the metric says."""
        self.update(y_true if y_pred is None else y_pred, y_true, sample_weight)

    def result(self) -> Any:
        """The value so far."""
        return self.compute()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.reset()


class Itself(metrics.Metric):
    """The mean of numbers as they come."""

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The numbers."""
        return np.atleast_1d(pred)


TABLE: dict[str, type[metrics.Metric]] = {
    "Mean": Itself, "Accuracy": metrics.Accuracy, "BinaryAccuracy": metrics.Accuracy,
    "CategoricalAccuracy": metrics.Accuracy, "SparseCategoricalAccuracy": metrics.Accuracy,
    "TopKCategoricalAccuracy": metrics.TopK, "SparseTopKCategoricalAccuracy": metrics.TopK,
    "Precision": metrics.Precision, "Recall": metrics.Recall, "AUC": metrics.AUC,
    "MeanSquaredError": metrics.MSE, "RootMeanSquaredError": metrics.RMSE,
    "MeanAbsoluteError": metrics.MAE, "R2Score": metrics.R2,
}  # fmt: skip
_classes = classes(__name__, Metric, {name: (cls, None) for name, cls in TABLE.items()})
globals().update(_classes)
__all__ = ["Metric", *_classes]
