"""History: the numbers that a run leaves; Recorder: those of every step too.

May import: base, callback.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pierian.base.table import Table
from pierian.core.tensor import Tensor
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
        self.history, self.epoch, run.history = {}, [], self

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

    def _repr_html_(self) -> str:
        names = ["epoch", *self.history]
        count, columns = len(self.epoch), self.history.values()
        rows = [
            [str(epoch + 1), *(_cell(values, i, count) for values in columns)]
            for i, epoch in enumerate(self.epoch)
        ]
        return Table(names, rows)._repr_html_()


class Recorder(History):
    """A history with the loss and the settings of every step, and pictures of them.

    It is `learn.recorder`, and a callback for `fit`. Settings are those of each group's learning
    rate and, where there is one, momentum (or first beta): "lr", "mom", for further groups "lr 1".
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[np.ndarray] = []  # loss, settings
        self.names: list[str] = []

    def before_fit(self, run: Any) -> None:
        super().before_fit(run)
        self.rows.clear()
        self.tensors = list(_settings(run.optimizer))
        self.names = [name for name, _ in self.tensors]

    def after_steps(self, run: Any) -> None:
        if run.training:
            first, count = run.step - len(run.losses), len(run.losses)
            columns = [run.losses, *(run.values(t, first, count) for _, t in self.tensors)]
            self.rows.append(np.stack(columns, 1))

    def _table(self) -> np.ndarray:
        """One row per step: the loss, then the settings."""
        self.rows = [np.concatenate([np.zeros((0, 1 + len(self.names))), *self.rows])]
        return self.rows[0]

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step, (steps,)."""
        return self._table()[:, 0]

    @property
    def settings(self) -> dict[str, np.ndarray]:
        """Learning rates and momenta by name, each (steps,)."""
        return {name: self._table()[:, i] for i, name in enumerate(self.names, 1)}

    @property
    def lrs(self) -> np.ndarray:
        """The learning rate of the first group at every step, (steps,)."""
        return self.settings["lr"]

    @property
    def metric_names(self) -> list[str]:
        """The names of the columns of `values`."""
        return [in_table(name) for name in self.history]

    @property
    def values(self) -> list[list[float]]:
        """A row per epoch: train_loss, valid_loss and the metrics, as `metric_names` says."""
        return [list(row) for row in zip(*self.history.values(), strict=False)]

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"steps": self._table()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        super().load_state_dict(saved)
        if "steps" in saved:
            self.rows = [saved["steps"]]

    def plot_loss(self, skip: int = 0, path: Any = None) -> Any:
        """The loss of every step, and that of validation after each epoch, as a figure."""
        from pierian import viz

        held = self.history.get("val_loss", [])
        each = len(self.losses) // max(len(held), 1)
        valid = [(each * (i + 1), loss) for i, loss in enumerate(held)]
        return viz.plot_losses(self.losses, valid or None, skip, path=path)

    def plot_metrics(self, path: Any = None) -> Any:
        """All numbers of the epochs, as a figure."""
        return self.plot(path)

    def plot_sched(self, path: Any = None) -> Any:
        """Learning rate and momentum over the steps, as a figure."""
        from pierian import viz

        return viz.plot_schedule(self.settings, path=path)


def _cell(values: list[float], i: int, epochs: int) -> str:
    """The number of epoch `i`; empty where validation came at every so many epochs, not there."""
    every = max(epochs // max(len(values), 1), 1)
    j, rest = divmod(i + 1, every)
    return f"{values[j - 1]:.4g}" if not rest and j <= len(values) else ""


def in_table(name: str) -> str:
    """How a table of epochs calls a number of the logs, as fastai does.

    >>> [in_table(name) for name in ("loss", "val_loss", "val_accuracy")]
    ['train_loss', 'valid_loss', 'accuracy']
    """
    known = {"loss": "train_loss", "val_loss": "valid_loss"}
    return known.get(name, name.removeprefix("val_"))


def _settings(optimizer: Any) -> Iterator[tuple[str, Tensor]]:
    """The settings of each group that schedules drive, by name."""
    for i, group in enumerate(optimizer.param_groups):
        found = {"lr": group["lr"], "mom": group.get("momentum", group.get("betas"))}
        for name, value in found.items():
            value = value[0] if isinstance(value, tuple) else value
            if isinstance(value, Tensor):
                yield f"{name} {i}" if i else name, value
