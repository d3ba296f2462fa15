"""Timer: how long what takes.

May import: callback.
"""

from __future__ import annotations

import time
from typing import Any

from pierian.train.callback import Callback


class Timer(Callback):
    """Measures epochs, and in them steps and the rest.

    epochs    seconds of each epoch, validation included.
    training  of that, seconds until the last step was done.
    steps     steps in each epoch.
    """

    order = -50  # begins before, and hears of the end of an epoch before the others

    def before_fit(self, run: Any) -> None:
        self.epochs: list[float] = []
        self.training: list[float] = []
        self.steps: list[int] = []
        self._begin(run)

    def _begin(self, run: Any) -> None:
        self.started = self.stepped = time.perf_counter()
        self.first = run.step

    def before_epoch(self, run: Any) -> None:
        self._begin(run)

    def after_resume(self, run: Any) -> None:
        self._begin(run)

    def after_steps(self, run: Any) -> None:
        if run.training:
            self.stepped = time.perf_counter()

    def after_epoch(self, run: Any) -> None:
        self.epochs.append(time.perf_counter() - self.started)
        self.training.append(self.stepped - self.started)
        self.steps.append(run.step - self.first)

    @property
    def step(self) -> float:
        """Seconds per step, in the fastest epoch."""
        each = [t / n for t, n in zip(self.training, self.steps, strict=True) if n]
        return min(each, default=float("nan"))

    def __repr__(self) -> str:
        return f"Timer({len(self.epochs)} epochs, {sum(self.epochs):.3g} s, {self.step:.3g} s/step)"
