"""Keras' callbacks: those of `pr.train`, whose signatures are Keras'.

May import: train. `ModelCheckpoint` is spelled anew, since ours keeps all that training needs.
"""

from __future__ import annotations

from typing import Any

from pierian import train
from pierian.train import Callback as Callback
from pierian.train.callbacks.stopping import Monitor

globals().update({name: getattr(train, name) for name in (
    "CSVLogger", "EarlyStopping", "History", "LearningRateScheduler", "ReduceLROnPlateau",
    "TensorBoard", "TerminateOnNaN",
)})  # fmt: skip


class ModelCheckpoint(Callback):
    """Save the model after every epoch, or after the best; `pr.train.ModelCheckpoint` keeps more.

    Args:  filepath  may name the logs: "{val_loss:.2f}.keras".
    """

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0,
        save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
    ) -> None:  # fmt: skip
        self.filepath, self.best_only = str(filepath), save_best_only
        self.weights_only = save_weights_only
        self.monitor = Monitor("ModelCheckpoint", monitor, mode)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save, if it is to be."""
        if not self.best_only or self.monitor.better(self.monitor.value(logs or {})):
            path = self.filepath.format(epoch=epoch, **(logs or {}))
            (self.model.save_weights if self.weights_only else self.model.save)(path)
