"""Saving the model alone while it trains; `checkpoint` saves all that training needs.

May import: base, callback, stopping.
"""

from __future__ import annotations

from typing import Any

from pierian.base.errors import message
from pierian.train.callback import Callback
from pierian.train.callbacks.stopping import Monitor


class SaveModel(Callback):
    """Save the model, or its weights, after every epoch, or after those that were the best so far.

    Args:    filepath           a file; the epoch, counted from 1, and the logs fill its braces:
                                "{epoch:02d}-{val_loss:.2f}.safetensors".
             monitor            the name in the logs that `save_best_only` goes by.
             verbose            accepted for Keras' sake.
             save_best_only     saves when that number is better than ever before.
             save_weights_only  saves `state_dict()` alone.
             mode               "min", "max" or "auto": what is best.
    Raises:  ValueError when `monitor` or a name in `filepath` is not among the logs.
    """

    order = 50  # when the other callbacks know of the epoch

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0,
        save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
    ) -> None:  # fmt: skip
        self.filepath, self.best_only = str(filepath), save_best_only
        self.weights_only = save_weights_only
        self.monitor = Monitor("SaveModel", monitor, mode)

    def before_fit(self, run: Any) -> None:
        if not run.resumed:
            self.monitor.best = self.monitor.first

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.monitor.best}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.monitor.best = saved["best"]

    def after_epoch(self, run: Any) -> None:
        if not self.best_only or self.monitor.better(self.monitor.value(run.logs)):
            names = {**run.logs, "epoch": run.epoch + 1}
            try:
                path = self.filepath.format_map(names)
            except (KeyError, ValueError) as error:
                raise ValueError(
                    message("SaveModel", "filepath may name what is in the logs", ", ".join(names),
                            f"{self.filepath} ({error})", "Pass validation_data for val_loss")
                ) from error  # fmt: skip
            (run.model.save_weights if self.weights_only else run.model.save)(path)
