"""Callbacks: what may happen at the events of a run, and the three ways out of it.

May import: base. To add one: a subclass of `Callback` in `callbacks/` with the events it needs. To
add an event: a row in `EVENTS`, a method of `Callback`, and the call in the loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from pierian.base.errors import message

Logs = dict[str, float]

# Each event with Keras' hook for it, and what that hook is given of the run
EVENTS: dict[str, tuple[str, ...]] = {
    "before_fit": ("on_train_begin",),
    "after_fit": ("on_train_end", "logs"),
    "before_epoch": ("on_epoch_begin", "epoch"),
    "after_epoch": ("on_epoch_end", "epoch", "logs"),
    "before_batch": ("on_train_batch_begin", "batch"),
    "after_batch": ("on_train_batch_end", "batch", "logs"),
    "before_test": ("on_test_begin",),
    "after_test": ("on_test_end", "logs"),
    "before_test_batch": ("on_test_batch_begin", "batch"),
    "after_test_batch": ("on_test_batch_end", "batch", "logs"),
    "before_predict": ("on_predict_begin",),
    "after_predict": ("on_predict_end",),
    "before_predict_batch": ("on_predict_batch_begin", "batch"),
    "after_predict_batch": ("on_predict_batch_end", "batch"),
    "after_steps": (),
    "after_pred": (),
    "after_loss": (),
    "after_grad": (),
}
OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
INSIDE = ("after_pred", "after_loss", "after_grad")  # the step


class CancelBatch(Exception):
    """Raised by a callback: the rest of this batch is left out; `after_batch` follows."""


class CancelEpoch(Exception):
    """Raised by a callback: the epoch ends here; its validation and `after_epoch` follow."""


class CancelFit(Exception):
    """Raised by a callback: training ends here, without an error; `after_fit` follows."""


class Callback:
    """Base of callbacks: every event does nothing. Pass a list of them as `callbacks` or `cbs`.

    An event gets the `Run`: the model, where training stands, the numbers so far. Keras' hooks
    (`on_epoch_end(epoch, logs)` and so on) are called too, with `self.model` and `self.params`.
    Numbers that are added to `run.logs` in `after_epoch` land in the history. `CancelBatch`,
    `CancelEpoch` and `CancelFit` may be raised in any event of a batch; `run.stop()`, or Keras'
    `self.model.stop_training = True`, ends the run after the batch or epoch at hand.

    What costs what: events of fits, epochs and tests cost nothing between them. `after_steps`
    comes after every native call, up to 0.1 s of steps. An event of batches has Python called at
    every batch, or at every `every`-th; the step stays compiled. Events inside the step
    (`after_pred`, `after_loss`, `after_grad`) make it run eagerly, which is said once, unless the
    class is `compiled`.

    order     callbacks with a smaller one are called first.
    every     `after_batch` comes after every so many steps.
    compiled  True: events inside the step, and `after_batch`, become part of the compiled step;
              they may use tensors only, and keep what changes in tensors.

    >>> class Patience(Callback):
    ...     def after_epoch(self, run):
    ...         if run.logs["loss"] < 0.1:
    ...             run.stop()
    """

    order = 0
    every = 1
    compiled = False
    model: Any = None
    params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called before the run."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the run, with "epochs", "steps" and "verbose"."""
        self.params = params

    # What a checkpoint keeps of it

    def state_dict(self) -> dict[str, Any]:
        """What must be as it was when training is resumed: JSON values, arrays and tensors."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; called after `before_fit`."""

    def after_resume(self, run: Any) -> None:
        """Called when all is as it was in the checkpoint that training goes on from."""

    # Numbers that are known before the step, which native code reads from a table

    def targets(self) -> list[Any]:
        """The 0-d tensors that have another value at every step, by `table`."""
        return []

    def table(self, run: Any, steps: np.ndarray) -> np.ndarray:
        """The values of `targets` at these steps, (steps, targets)."""
        return np.empty((len(steps), 0))

    # Events

    def before_fit(self, run: Any) -> None:
        """Called once, before the first epoch."""

    def after_fit(self, run: Any) -> None:
        """Called once for every `before_fit`, whatever ended training; `run.error` says what."""

    def before_epoch(self, run: Any) -> None:
        """Called before an epoch, but not where one is resumed in the middle."""

    def after_epoch(self, run: Any) -> None:
        """Called after an epoch and its validation."""

    def before_batch(self, run: Any) -> None:
        """Called before a step; `run.x`, `run.y` and `run.weight` may be replaced."""

    def after_batch(self, run: Any) -> None:
        """Called after a step."""

    def after_steps(self, run: Any) -> None:
        """Called after one or more steps of a native call, with their losses in `run.losses`."""

    def after_pred(self, run: Any) -> None:
        """Called inside the step, when `run.pred` is there."""

    def after_loss(self, run: Any) -> None:
        """Called inside the step, when `run.loss` is there; it may be replaced."""

    def after_grad(self, run: Any) -> None:
        """Called inside the step, when the parameters have their gradients."""

    def before_test(self, run: Any) -> None:
        """Called before an evaluation or validation."""

    def after_test(self, run: Any) -> None:
        """Called after an evaluation or validation."""

    # Keras' names

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, whatever ended training."""

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


class Events:
    """Several callbacks as one: calling it with the name of an event calls that of each."""

    def __init__(
        self, where: str, callbacks: Any, model: Any, params: dict[str, Any], *more: Callback
    ) -> None:
        given = callbacks if isinstance(callbacks, Iterable) else [callbacks]
        found: list[Any] = [*([] if callbacks is None else given), *more]
        for callback in found:
            if not isinstance(callback, Callback):
                raise TypeError(
                    message(where, "callbacks must be callbacks", "train.Callback",
                            f"a {type(callback).__name__}", "Derive its class from train.Callback")
                )  # fmt: skip
        self.callbacks: list[Callback] = sorted(found, key=lambda callback: callback.order)
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self.parts = [c for c in self.callbacks if c.compiled]
        self.tables = [c for c in self.callbacks if _written(c, "targets")]
        self.calls = {event: list(self._calls(event)) for event in EVENTS}
        self.calls["after_update"] = [  # inside the compiled step
            (c, c.after_batch) for c in self.parts if _written(c, "after_batch")
        ]
        self.replaces = any(_written(c, "before_batch") for c in self.callbacks)
        tested = self.calls["before_test_batch"] or self.calls["after_test_batch"]
        self.begun: list[Callback] = []  # those whose `before_fit` was called
        self.ahead_of_test = 1 if tested else np.inf

    def _calls(self, event: str) -> Iterator[tuple[Callback, Callable[[Any], None]]]:
        """What is to be called at an event, and whose it is."""
        hook, *given = EVENTS[event] or ("",)
        for callback in self.callbacks:
            if event == "after_batch" and callback.compiled:
                continue
            if _written(callback, event):
                yield callback, getattr(callback, event)
            for name in filter(None, (hook, OLDER.get(hook))):
                if _written(callback, name):
                    yield callback, _keras(getattr(callback, name), given)

    def __call__(self, event: str, run: Any) -> None:
        for callback, call in self.calls[event]:
            if event != "after_batch" or run.step % callback.every == 0:
                call(run)

    def ahead(self, step: int) -> float:
        """How many steps may be taken at `step` until some callback must be called."""
        if self.calls["before_batch"]:
            return 1
        each = [callback.every for callback, _ in self.calls["after_batch"]]
        return min([every - step % every for every in each], default=np.inf)

    def of_step(self) -> Callback | None:
        """The callback that makes the step run eagerly, if there is one."""
        calls = [callback for event in INSIDE for callback, _ in self.calls[event]]
        return next((callback for callback in calls if not callback.compiled), None)

    def begin(self, run: Any) -> None:
        """`before_fit` of all."""
        for callback in self.callbacks:
            self.begun.append(callback)
            for owner, call in self.calls["before_fit"]:
                if owner is callback:
                    call(run)

    @contextlib.contextmanager
    def fit(self, run: Any) -> Iterator[None]:
        """Around a fit: whatever ends it, `after_fit` of those whose `before_fit` has begun."""
        begun = self.begun = []
        with contextlib.ExitStack() as ends:
            for callback in reversed(self.callbacks):  # the stack is unwound from its end
                after = [call for owner, call in self.calls["after_fit"] if owner is callback]
                for call in reversed(after):
                    ends.callback(_if_begun, begun, callback, call, run)
            try:
                yield
            except CancelFit:
                pass
            except BaseException as error:
                run.error = error
                raise


def _if_begun(begun: list[Callback], callback: Callback, call: Any, run: Any) -> None:
    if callback in begun:
        call(run)


def _written(callback: Callback, name: str) -> bool:
    """Whether the method of this name does something."""
    method = getattr(callback, name, None)
    return getattr(method, "__func__", method) is not getattr(Callback, name, None)


def _keras(hook: Callable[..., None], given: list[str]) -> Callable[[Any], None]:
    none: list[Any] = [] if "logs" in given else [{}]  # Keras gives logs to every hook
    return lambda run: hook(*[getattr(run, name) for name in given], *none)
