"""Metrics: numbers that tell how good predictions are, exact over batches of any sizes.

May import: base, core. `metric` is the base and its contracts; `classification`, `probability` and
`regression` are what can be measured. To add a name: a row in `NAMES`.

    f1 = pr.metrics.F1("macro")
    for x, y in batches:
        f1.update(model(x), y)
    f1.compute()
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pierian.base.errors import lookup
from pierian.metrics.classification import (
    F1,
    Accuracy,
    ConfusionMatrix,
    Precision,
    Recall,
    TopK,
)
from pierian.metrics.metric import Mean, Metric
from pierian.metrics.probability import AUC, Perplexity
from pierian.metrics.regression import MAE, MSE, R2, RMSE

__all__ = [
    "AUC", "F1", "MAE", "MSE", "NAMES", "R2", "RMSE", "Accuracy", "ConfusionMatrix", "Mean",
    "Metric", "Perplexity", "Precision", "Recall", "TopK", "get", "measure",
]  # fmt: skip

NAMES: dict[str, Callable[..., Metric]] = {
    "accuracy": Accuracy,
    "accuracy_score": Accuracy,
    "acc": Accuracy,
    "binary_accuracy": partial(Accuracy, kind="binary"),
    "categorical_accuracy": Accuracy,
    "sparse_categorical_accuracy": Accuracy,
    "top_k_accuracy": TopK,
    "top_k_accuracy_score": TopK,
    "top5": TopK,
    "top_k_categorical_accuracy": TopK,
    "sparse_top_k_categorical_accuracy": TopK,
    "precision": Precision,
    "precision_score": Precision,
    "recall": Recall,
    "recall_score": Recall,
    "f1": F1,
    "f1_score": F1,
    "auc": AUC,
    "roc_auc": AUC,
    "roc_auc_score": AUC,
    "confusion_matrix": ConfusionMatrix,
    "perplexity": Perplexity,
    "mae": MAE,
    "mean_absolute_error": MAE,
    "mse": MSE,
    "mean_squared_error": MSE,
    "rmse": RMSE,
    "root_mean_squared_error": RMSE,
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


def measure(metric: Any, pred: Any, target: Any, weight: Any = None) -> Any:
    """The metric (or what `get` makes one of) of these predictions alone.

    >>> measure("rmse", [0.0, 0.0], [1.0, 7.0])
    5.0
    """
    found = get(metric)
    found.reset()
    found.update(pred, target, weight)
    return found.compute()
