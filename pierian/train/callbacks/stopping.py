"""Stopping: training that ends when it no longer helps, or when it has gone wrong.

May import: base, core, callback.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.errors import lookup, message
from pierian.base.notice import notice
from pierian.train.callback import Callback
from pierian.train.state import copied

HIGHER = ("acc", "auc", "precision", "recall", "f1", "r2", "top")  # in names of what is to grow


class Monitor:
    """Looks at one number of the logs, and says when it has become better.

    Args:  where      the callback, for errors.
           monitor    the name of the number.
           mode       "min", "max", or "auto": by the name.
           min_delta  changes of no more than this do not count.
    """

    def __init__(self, where: str, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        lookup(where, "mode", mode, ("auto", "min", "max"))
        grows = mode == "max" or (mode == "auto" and any(word in monitor for word in HIGHER))
        self.where, self.name, self.sign = where, monitor, 1.0 if grows else -1.0
        self.delta = abs(min_delta)
        self.first = self.best = -math.inf * self.sign

    def value(self, logs: dict[str, float]) -> float:
        """The number in the logs.

        Raises:  ValueError with the names that there are.
        """
        if self.name not in logs:
            fix = "Monitor one of them"
            if self.name.startswith("val_"):
                fix += ", or pass validation_data"
            raise ValueError(
                message(self.where, f"{self.name!r} must be among the logs", ", ".join(logs),
                        self.name, fix)
            )  # fmt: skip
        return float(logs[self.name])

    def better(self, value: float) -> bool:
        """Whether `value` is better than the best so far, which it then is."""
        found = self.surpasses(value, self.best)
        self.best = value if found else self.best
        return found

    def surpasses(self, value: float, other: float) -> bool:
        """Whether `value` is better than `other`; NaN is not."""
        return (value - other) * self.sign > self.delta


class EarlyStopping(Callback):
    """Stop when a number has not become better for `patience` epochs; Keras' signature.

    The best weights are put back however training ends: stopped here, at its last epoch, by
    Ctrl-C or by an error.

    Args:    monitor   a name in the logs.
             min_delta  changes of no more than this do not count.
             patience  epochs without a better number that are borne.
             verbose   1 says when it stops.
             mode      "min", "max", or "auto": by the name.
             baseline  patience is for epochs that do not surpass this either.
             restore_best_weights  put the weights of the best epoch back at the end.
             start_from_epoch  epochs before this one are not looked at.
    Raises:  ValueError when the number is not in the logs.

    After training `best_epoch` (counted from 0) and `best` say what was best.
    """

    order = 20

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0,
        verbose: int = 0, mode: str = "auto", baseline: float | None = None,
        restore_best_weights: bool = False, start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        self.monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore, self.start = restore_best_weights, start_from_epoch
        self._begin()

    def _begin(self) -> None:
        self.wait, self.best_epoch = 0, -1
        self.monitor.best = self.monitor.first
        self.weights: dict[str, Any] | None = None

    @property
    def best(self) -> float:
        """The best number so far."""
        return self.monitor.best

    def before_fit(self, run: Any) -> None:
        self._begin()

    def after_epoch(self, run: Any) -> None:
        value = self.monitor.value(run.logs)
        if run.epoch < self.start:
            return
        self.wait += 1
        if self.monitor.better(value):
            self.best_epoch = run.epoch
            if self.restore:
                self.weights = copied(run.model.state_dict())
            if self.baseline is None or self.monitor.surpasses(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and run.epoch > 0:
            if self.verbose:
                print(f"EarlyStopping: {self.monitor.name} has not improved on {self.best:.4g} "
                      f"since epoch {self.best_epoch + 1}")  # fmt: skip
            run.stop()

    def after_fit(self, run: Any) -> None:
        if self.best_epoch < 0:
            return
        if self.weights is not None:
            run.model.load_state_dict(self.weights)
        elif self.best_epoch != run.history.epoch[-1]:
            notice(
                f"EarlyStopping: epoch {self.best_epoch + 1} was best, with "
                f"{self.monitor.name} {self.best:.4g}; restore_best_weights=True keeps its weights"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"wait": self.wait, "best": self.best, "best_epoch": self.best_epoch,
                "weights": self.weights}  # fmt: skip

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.wait, self.monitor.best = saved["wait"], saved["best"]
        self.best_epoch, self.weights = saved["best_epoch"], saved["weights"]


class TerminateOnNaN(Callback):
    """End training without an error at a loss that is NaN or infinite."""

    def before_fit(self, run: Any) -> None:
        run.tolerant = True

    def after_steps(self, run: Any) -> None:
        bad = ~np.isfinite(run.losses)
        if run.training and bad.any():
            batch = run.batch + 1 - len(bad) + int(bad.argmax())
            notice(f"TerminateOnNaN: the loss was {run.losses[bad][0]} in epoch {run.epoch + 1}, "
                   f"batch {batch + 1}")  # fmt: skip
            run.stop()
