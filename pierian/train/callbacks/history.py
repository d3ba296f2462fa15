"""History: the numbers that a run leaves; Recorder: those of every step too.

May import: base, callback.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.train.callback import Callback


class History(Callback):
    """What `fit` returns: the numbers of each epoch.

    history  name -> one number per epoch: "loss", the metrics, and with validation data
             "val_loss" and so on.
    epoch    the numbers of the epochs, from 0.
    """

    order = 10  # other callbacks may add to the logs first

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def before_fit(self, run: Any) -> None:
        run.history = self

    def after_epoch(self, run: Any) -> None:
        self.epoch.append(run.epoch)
        for name, value in run.logs.items():
            self.history.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {k: list(v) for k, v in self.history.items()}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.epoch[:] = saved["epoch"]
        self.history.clear()
        self.history |= {name: list(values) for name, values in saved["history"].items()}

    def plot(self, path: Any = None) -> Any:
        """The learning curves, as a figure or into a file; see `viz.plot_history`."""
        from pierian import viz

        return viz.plot_history(self, path)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs{', last: ' if last else ''}{last})"


class Recorder(History):
    """A history with the loss and the settings of every step, and pictures of them.

    losses  of every step.
    values  one row per epoch: the loss, then all else that was logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[np.ndarray] = []
        self.groups: dict[str, list[np.ndarray]] = {}

    def before_fit(self, run: Any) -> None:
        super().before_fit(run)
        self.optimizer = run.optimizer

    def after_steps(self, run: Any) -> None:
        if run.training:
            self.blocks.append(run.losses.copy())

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step, (steps,)."""
        self.blocks = [np.concatenate([np.zeros(0), *self.blocks])]
        return self.blocks[0]

    @property
    def values(self) -> list[list[float]]:
        """The numbers of each epoch, in the order of `metric_names`."""
        return [list(row) for row in zip(*self.history.values(), strict=False)]
