"""Watch: looks at every loss, and finds out where one that is no number came from.

May import: base, core, and this room. It keeps a copy of all that a step depends on, made so seldom
that it costs 1 % of the time; from there it goes the same way again, step by step.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import PierianError, message
from pierian.core.tensor import Tensor
from pierian.train import state
from pierian.train.callback import Events
from pierian.train.feed import Part, Rows
from pierian.train.run import Run
from pierian.train.steps import Block, Steps

SHARE = 100  # the time between two copies, in times that a copy takes


class DivergenceError(PierianError, FloatingPointError):
    """A loss that is no longer a finite number."""


class Watch:
    """The watch over one fit."""

    def __init__(self, where: str, run: Run, events: Events) -> None:
        self.where, self.run, self.events = where, run, events
        self.due = 0.0  # when the next copy is made
        self.saved: Any = None
        self.parts: list[tuple[int, int, Part]] = []  # step, batch, and what came since

    def before(self, part: Part) -> None:
        """Steps on `part` come next."""
        started = time.perf_counter()
        if started >= self.due:
            self.saved = trees.map_tree(_copy, state.of_step(self.run, self.events.parts))
            self.parts.clear()
            now = time.perf_counter()
            self.due = now + SHARE * (now - started)
        self.parts.append((self.run.step, self.run.batch, part))

    def after(self, steps: Steps, block: Block) -> None:
        """Raise DivergenceError at the first loss that is no number."""
        good = np.isfinite(block.losses)
        if good.all() or self.run.tolerant:
            return
        at = int(good.argmin())
        batch = block.rows[block.positions[at]]
        raise self._diverged(float(block.losses[at]), self.run.batch + at + 1, batch)

    def epoch(self) -> None:
        """An epoch is over."""

    def _diverged(self, loss: float, number: int, batch: Rows) -> DivergenceError:
        """What to say about a loss that is NaN or infinite."""
        run = self.run
        of = f" of {run.batches}" if run.batches else ""
        got = f"{loss} in epoch {run.epoch + 1}, batch {number}{of}"
        lr = float(run.optimizer.lr)
        fix = f"Try a smaller learning rate than {lr:g}, and inputs scaled to about -1 … 1"
        for name, arrays in {"x": batch.x, "y": [batch.y], "sample_weight": [batch.weight]}.items():
            bad = sum(int((~np.isfinite(a)).sum()) for a in arrays if a is not None)
            if bad:
                fix = f"{name} of this batch holds {bad} NaN or infinite values: repair the data"
                break
        return DivergenceError(
            message(self.where, "the loss must stay finite", "a number", got, fix)
        )


def _copy(leaf: Any) -> Any:
    return leaf.numpy().copy() if isinstance(leaf, Tensor) else leaf
