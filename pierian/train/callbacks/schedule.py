"""Schedules: the settings of the optimizer as functions of the step or the epoch.

May import: base, core, optim, callback. The curves themselves are in `optim/schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.errors import lookup, message
from pierian.optim import schedule as schedules
from pierian.optim.schedule import LambdaLR, Schedule
from pierian.train.callback import Callback
from pierian.train.callbacks.stopping import Monitor


class Scheduler(Callback):
    """Let a schedule set the learning rate, and momentum where it says so, at every step.

    Steps stay compiled, many in one call: the numbers are worked out ahead. After training the
    settings are again what they were before it.

    Args:    schedule  a name: "one-cycle", "cosine" (with warmup=, restarts=), "linear", "step",
                       "polynomial", "exponential", "constant"; or a function that makes a
                       schedule of an optimizer: `lambda opt: StepLR(opt, 100)`.
             per       "step" or "epoch": what the schedule counts.
             factor    instead: any function of the step, from 0, giving what the learning rate
                       is multiplied by.
             settings  of the named schedule. Its length is that of the whole training.
    Raises:  ValueError when a name needs to know how long an epoch is, and nobody does.

    >>> import numpy as np
    >>> import pierian as pr
    >>> model = pr.nn.Sequential(pr.nn.Linear(1, 1))
    >>> model.compile(pr.optim.SGD(lr=0.1), "mse")
    >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    >>> history = model.fit(x, 3 * x, epochs=5, verbose=0, callbacks=[Scheduler("one-cycle")])
    """

    order = -5

    def __init__(
        self, schedule: Any = None, per: str = "step", *,
        factor: Callable[[int], float] | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        given = [x for x in (schedule, factor) if x is not None]
        if isinstance(schedule, str) and len(given) == 1:
            lookup("Scheduler", "schedule", schedule, schedules.NAMES)
        elif len(given) != 1 or not callable(given[0]):
            raise TypeError(
                message("Scheduler", "one schedule must be given", "a name or a function",
                        f"{schedule!r} and factor={factor!r}", 'Pass "one-cycle", or lambda opt: '
                        "StepLR(opt, 100)")
            )  # fmt: skip
        self.per = lookup("Scheduler", "per", per, ("step", "epoch"))
        self.given, self.factor, self.settings = schedule, factor, settings
        self.schedule: Any = None

    def before_fit(self, run: Any) -> None:
        batches = run.batches or 0
        self.first = run.epoch * batches  # steps that were done before, by initial_epoch
        total = run.epochs if self.per == "epoch" else run.epochs * batches
        groups = run.optimizer.param_groups
        self.before = [(group, group.plain()) for group in groups]
        if isinstance(self.given, str):
            if not total:
                raise ValueError(
                    message("Scheduler", f"{self.given!r} must know how long training is",
                            "batches that can be counted", "a stream", "Pass steps_per_epoch, or "
                            'per="epoch"')
                )  # fmt: skip
            made = schedules.get(self.given, run.optimizer, total, **self.settings)
        elif self.factor is not None:
            made = LambdaLR(run.optimizer, self.factor)
        else:
            made = self.given(run.optimizer, **self.settings)
        if not isinstance(made, Schedule):
            raise TypeError(
                message("Scheduler", "the function must make a schedule", "an optim.Schedule",
                        f"a {type(made).__name__}", "Pass a function of the step as factor=")
            )  # fmt: skip
        self.schedule = made

    def targets(self) -> list[Any]:
        return self.schedule.targets()

    def table(self, run: Any, steps: np.ndarray) -> np.ndarray:
        if self.per == "epoch":
            return self.schedule.table([run.epoch]).repeat(len(steps), 0)
        return self.schedule.table(self.first + steps)

    def after_fit(self, run: Any) -> None:
        for group, settings in self.before:
            for key, value in settings.items():
                if group.is_live(key):
                    group[key] = value

    def state_dict(self) -> dict[str, Any]:
        return {} if self.schedule is None else {"base_lrs": list(self.schedule.base_lrs)}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if saved:
            self.schedule.base_lrs[:] = saved["base_lrs"]


class LearningRateScheduler(Callback):
    """Before each epoch, let a function say the learning rate; Keras' signature.

    Args:  schedule  (epoch, learning rate now) -> learning rate; epochs are counted from 0.
           verbose   1 says what it is.
    """

    order = -5

    def __init__(self, schedule: Callable[[int, float], float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def before_epoch(self, run: Any) -> None:
        run.optimizer.lr = float(self.schedule(run.epoch, float(run.optimizer.lr)))
        if self.verbose:
            print(f"LearningRateScheduler: {float(run.optimizer.lr):g} in epoch {run.epoch + 1}")


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a number has stopped getting better; Keras' signature.

    Args:  monitor    a name in the logs.
           factor     what the learning rate is multiplied by, < 1.
           patience   epochs without a better number before that.
           verbose    1 says when.
           mode       "min", "max" or "auto": by the name.
           min_delta  changes of no more than this do not count.
           cooldown   epochs after it without patience running; as in Keras it runs in the last.
           min_lr     goes no lower.
    """

    order = 5  # before the history, which gets the learning rate

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10,
        verbose: int = 0, mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        if not 0 < factor < 1:
            raise ValueError(
                message("ReduceLROnPlateau", "factor must be in its range", "0 < factor < 1",
                        factor, "Pass factor=0.1")
            )  # fmt: skip
        self.monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.rest = 0

    def before_fit(self, run: Any) -> None:
        self.monitor.best, self.wait, self.rest = self.monitor.first, 0, 0

    def after_epoch(self, run: Any) -> None:
        run.logs["lr"] = float(run.optimizer.lr)
        if self.rest:
            self.rest, self.wait = self.rest - 1, 0
        better = self.monitor.better(self.monitor.value(run.logs))
        self.wait = 0 if better or self.rest else self.wait + 1
        high = [group for group in run.optimizer.param_groups if float(group["lr"]) > self.min_lr]
        if high and self.wait >= max(self.patience, 1):
            for group in high:
                group["lr"] = max(float(group["lr"]) * self.factor, self.min_lr)
            self.wait, self.rest = 0, self.cooldown
            if self.verbose:
                print(f"ReduceLROnPlateau: {float(run.optimizer.lr):g} after epoch {run.epoch + 1}")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.monitor.best, "wait": self.wait, "rest": self.rest}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.monitor.best, self.wait, self.rest = saved["best"], saved["wait"], saved["rest"]
