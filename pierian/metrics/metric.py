"""The base of all metrics: a number that grows exact batch by batch.

May import: base, core. A metric adds up what `update` shows it in float64, outside of the training
step and its graph; `compute` makes the number. To add one: a subclass of `Metric` whose `values`
gives a number per example or element (or with `reset`, `add` and `compute` of its own), and a row
in `NAMES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.errors import CheckpointError, DtypeError, ShapeError, message
from pierian.core.tensor import as_tensor, to_array

Pair = tuple[np.ndarray, np.ndarray]


class Metric:
    """Base of all metrics: the weighted mean of a number per example or element.

    A subclass gives `values`; or, when it is no mean, `reset`, `add` and `compute`. What `reset`
    assigns is the state: numbers and NumPy arrays.

    Args:    name  what logs call it; by default that of the class in lower case.

    >>> mae = pr.metrics.MAE()
    >>> mae.update([1.0, 2.0], [1.0, 4.0])
    >>> mae.update([0.0], [4.0])
    >>> mae.compute()
    2.0
    """

    by_batch = False  # whether it matters which rows are one batch
    scalar = True  # whether `compute` gives one number, as logs need
    threshold: float | None = None  # where yes begins in predictions, if that matters
    from_logits: bool | None = None  # whether predictions are logits, if that matters
    _noted: dict[str, None] | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__.lower()
        self._state: tuple[str, ...] = ()
        noted = vars(self)["_noted"] = dict[str, None]()
        self.reset()
        del self._noted
        self._state = tuple(noted)

    def __setattr__(self, key: str, value: Any) -> None:
        if self._noted is not None:  # the first `reset` runs: what it sets is the state
            self._noted[key] = None
        super().__setattr__(key, value)

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The numbers to average, (b,) or (b, ...)."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything, as before the first `update`."""
        self.total = self.count = 0.0

    def update(self, pred: Any, target: Any, weight: Any = None, batch: int | None = None) -> None:
        """Take in a batch of arrays or tensors; they are read and not kept.

        Many batches may come in one call: the result has the same bits as if each came alone.

        Shapes:  pred and target as the metric says; weight (b,), or one per value.
        Args:    batch  rows of each batch; None when all are one.
        Raises:  ShapeError for shapes that do not fit together, or rows that are no whole batches.
        """
        p, t = to_array(pred), to_array(target)
        w = None if weight is None else to_array(weight)
        if batch is None or not p.ndim:
            return self.add(p, t, w, None)
        if any(x is not None and x.shape[:1] != p.shape[:1] for x in (t, w)):
            raise self._misfit(p, t, "equally many rows, also of weight")
        if batch < 1 or len(p) % batch:
            raise ShapeError(
                message(self.name, "rows must be whole batches", f"a multiple of {batch} rows",
                        len(p), "Pass a batch that divides them, or update once per batch")
            )  # fmt: skip
        size = batch if self.by_batch else max(len(p), 1)
        for at in range(0, len(p), size):
            rows = slice(at, at + size)
            self.add(p[rows], t[rows], None if w is None else w[rows], batch)
        return None

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        """Take in what `update` was given, as arrays. Batches are added one after the other."""
        values = self.values(pred, target)
        weights = self._weights(weight, values.shape)
        batches = len(values) // batch if batch else 1
        self.total = _running(self.total, values * weights, batches)
        self.count = _running(self.count, weights, batches)

    def compute(self) -> Any:
        """The metric of everything since `reset`; NaN when there was nothing."""
        return self.total / self.count if self.count else float("nan")

    def state_dict(self) -> dict[str, Any]:
        """What was added up so far, as numbers and arrays of its own.

        Raises:  DtypeError for state of another kind: such a metric overrides this.
        """
        return {key: self._own(key, getattr(self, key)) for key in self._state}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, to the bit.

        Raises:  CheckpointError when it is of another metric; then nothing is changed.
        """
        if saved.keys() != set(self._state):
            raise CheckpointError(
                message(self.name, "the saved metric must be of the same kind",
                        ", ".join(self._state), ", ".join(saved) or "nothing",
                        "Load it into the metric that it was saved from")
            )  # fmt: skip
        fresh = {key: self._own(key, value) for key, value in saved.items()}
        for key, value in fresh.items():
            setattr(self, key, value)

    def _own(self, key: str, value: Any) -> Any:
        """`value`, copied where it could be changed in place."""
        if isinstance(value, np.ndarray):
            return value.copy()
        if value is None or isinstance(value, bool | int | float | np.generic):
            return value
        raise DtypeError(
            message(self.name, f"{key} must be of a kind that can be saved", "a number or an array",
                    type(value).__name__, "Or override state_dict and load_state_dict")
        )  # fmt: skip

    def _weights(self, weight: Any, shape: tuple[int, ...]) -> np.ndarray:
        if weight is None:
            return np.ones(shape)
        given = weight.astype(np.float64)
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
        p, t = trimmed(pred), trimmed(target)
        if p.shape != t.shape or not p.shape:
            raise self._misfit(pred, target, "equal shapes (b, ...)")
        return p, t

    def _labels(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The class of each example, for predictions with classes on the last axis."""
        labels = target.argmax(-1) if target.shape == pred.shape else trimmed(target)
        if labels.shape != pred.shape[:-1]:
            raise self._misfit(pred, target, "pred (..., c) and target (...), (..., 1) or (..., c)")
        return labels

    def _probabilities(self, pred: np.ndarray) -> np.ndarray:
        """Probabilities over the last axis, in float64.

        Raises:  ValueError for numbers that are none, where they were promised.
        """
        wide = pred.astype(np.float64)
        if self.from_logits:
            wide = np.exp(wide - wide.max(-1, keepdims=True))
            return wide / wide.sum(-1, keepdims=True)
        least, most = wide.min(initial=0), wide.max(initial=0)
        if least < 0 or most > 1 + 1e-5:  # rounding of float16 sums aside
            raise ValueError(
                message(self.name, "predictions must be probabilities", "numbers from 0 to 1",
                        f"{least:g} to {most:g}", "Pass from_logits=True if they are logits")
            )  # fmt: skip
        return wide

    def _misfit(self, pred: np.ndarray, target: np.ndarray, expected: str) -> ShapeError:
        return ShapeError(
            message(self.name, "pred and target must fit together", expected,
                    f"pred {pred.shape} and target {target.shape}", "Reshape one of them")
        )  # fmt: skip


def _running(total: float, values: np.ndarray, batches: int) -> float:
    """`total` and the sum of each batch of rows, added one after the other.

    A batch is summed over contiguous memory, in the order NumPy sums it alone; `sum` of Python
    would carry the rounding along, and so depend on where a call ends.
    """
    for each in np.ascontiguousarray(values).reshape(batches, -1).sum(-1).tolist():
        total += each
    return total


def trimmed(x: np.ndarray) -> np.ndarray:
    """Without a last axis of length 1; (1,) stays."""
    return x.reshape(x.shape[:-1]) if x.ndim > 1 and x.shape[-1] == 1 else x


def mean_of_numbers(values: np.ndarray, weights: Any) -> float:
    """The weighted mean of those that are not NaN; NaN when none counts."""
    weights = np.where(np.isnan(values), 0.0, weights)
    whole = float(weights.sum())
    return float((np.nan_to_num(values) * weights).sum()) / whole if whole else float("nan")


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
