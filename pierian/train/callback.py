"""Callbacks: what happens at the events of a run, with Keras' names, and the history they leave.

May import: base. To add one: a subclass of `Callback` with the hooks it needs. A hook that runs
at every batch makes the loop compute logs at every batch; the others cost nothing between epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pierian.base.errors import message

Logs = dict[str, float]


class Callback:
    """Base of callbacks: every hook does nothing. Pass a list of them to `fit(callbacks=...)`.

    `self.model` is the model, `self.params` a dict with "epochs", "steps" and "verbose". Setting
    `self.model.stop_training = True` ends the run after the batch or epoch at hand. `logs` has
    the means so far, at the end of an epoch those of validation too; what a hook adds to them
    lands in the history.

    >>> class Patience(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    model: Any = None
    params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called before the run."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the run."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, after the last epoch or an interrupt."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; they are counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a step; counted from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a step."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before an evaluation or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after an evaluation or validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of an evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of an evaluation or validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of a prediction."""


class History(Callback):
    """What `fit` returns: the numbers of each epoch.

    history  name -> one number per epoch: "loss", the metrics, and with validation data
             "val_loss" and so on.
    epoch    the numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, path: Any = None) -> Any:
        """The learning curves, as a figure or into a file; see `viz.plot_history`."""
        from pierian import viz

        return viz.plot_history(self, path)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs{', last: ' if last else ''}{last})"


class Events:
    """Several callbacks as one: calling it with the name of a hook calls the hook of each."""

    def __init__(
        self, where: str, callbacks: Any, model: Any, params: dict[str, Any], *more: Callback
    ) -> None:
        given = callbacks if isinstance(callbacks, Iterable) else [callbacks]
        self.callbacks: list[Callback] = [*([] if callbacks is None else given), *more]
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    message(where, "callbacks must be callbacks", "train.Callback",
                            f"a {type(callback).__name__}", "Derive its class from train.Callback")
                )  # fmt: skip
            callback.set_model(model)
            callback.set_params(params)

    def __call__(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def at_batches(self, kind: str) -> bool:
        """Whether some callback wants to be called at every batch of a "train" or "test" run."""
        hooks = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        return any(self._written(hook) for hook in hooks)

    def _written(self, hook: str) -> list[Callable[..., None]]:
        """The hooks of this name that do something."""
        default = getattr(Callback, hook)
        hooks = [getattr(callback, hook) for callback in self.callbacks]
        return [h for h in hooks if getattr(h, "__func__", None) is not default]

    def batch(self, hook: str, number: int, logs: Callable[[], Logs] = dict) -> None:
        """Call a hook of batches, computing its logs only if some callback has written one."""
        written = self._written(hook)
        if written:
            values = logs()
            for call in written:
                call(number, values)
