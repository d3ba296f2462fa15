"""Run: what a run of the loop is about and where it stands, as callbacks see it.

May import: base, and this room. To let callbacks know one more thing: a field here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.nn.module import Module
from pierian.nn.module import modes_kept as modes_kept
from pierian.train.callback import Callback, Logs
from pierian.train.feed import Feed
from pierian.train.recipe import Recipe

AHEAD = 256  # steps of which the values of `targets` are worked out together


class Run:
    """One fit, evaluation or prediction.

    model, optimizer, recipe, feed   what it works with.
    training        whether it is a fit.
    epoch, epochs   the epoch at hand, counted from 0, and their number at the end.
    batch, batches  the batch at hand, counted from 0 in its epoch; how many there are, or None.
    step            steps done since training began.
    losses          those of the steps of the last native call, in `after_steps`.
    logs            the means so far; after an epoch those of validation too.
    metrics         that are measured, which may be fewer than those of the recipe.
    plan            which method of a Learner it is, with its arguments, or None.
    history         of earlier epochs.
    error           the exception that ended training, or None.
    x, y, weight, pred, loss   inside the step, and the batch in `before_batch`.
    update          a 0-d bool tensor, set inside the step: whether it updates parameters.
    """

    def __init__(
        self, model: Module, recipe: Recipe | Any, feed: Feed, epoch: int = 0, epochs: int = 1,
        training: bool = False, metrics: list[Any] | None = None,
    ) -> None:  # fmt: skip
        self.model, self.recipe, self.feed = model, recipe, feed
        self.optimizer: Any = recipe and recipe.optimizer
        self.training = training
        self.metrics: list[Any] = recipe.metrics if recipe and metrics is None else metrics or []
        self.plan: dict[str, Any] | None = None
        self.epoch, self.epochs, self.batches = epoch, epochs, feed.steps
        self.batch = self.step = 0
        self.whole = False  # whether all batches of the epoch at hand are done
        self.losses = np.zeros(0)
        self.totals: Any = None
        self.logs_of_epoch: Logs | None = None
        self.history: Any = None
        self.error: BaseException | None = None
        self.tolerant = False  # whether losses that are no numbers are let pass
        self.x: Any = None
        self.y = self.weight = self.pred = self.loss = self.update = None
        self.resumed = False  # whether it goes on from a checkpoint
        self.callbacks: list[Callback] = []
        self.tables: list[Callback] = []
        self.targets: list[Any] = []
        # an epoch, a step, and the values of `targets` from there on
        self.known = (0, 0, np.empty((0, 0)))

    @property
    def logs(self) -> Logs:
        """The numbers of the epoch so far; a dict that may be added to after the epoch."""
        if self.logs_of_epoch is not None:
            return self.logs_of_epoch
        return {} if self.totals is None else self.totals.logs()

    def stop(self) -> None:
        """End the run after the batch or epoch at hand."""
        vars(self.model)["stop_training"] = True

    @property
    def stopping(self) -> bool:
        """Whether somebody has called `stop`."""
        return bool(vars(self.model).get("stop_training"))

    def drive(self, callbacks: list[Callback]) -> None:
        """Let the tensors of these callbacks have their value of every step.

        Raises:  ValueError when two want to set the same one.
        """
        self.tables = callbacks
        self.targets = [target for callback in callbacks for target in callback.targets()]
        if len({id(target) for target in self.targets}) < len(self.targets):
            names = " and ".join(type(callback).__name__ for callback in callbacks)
            raise ValueError(
                message("fit", "a number can have one schedule", "one callback for each", names,
                        "Leave one of them out")
            )  # fmt: skip

    def table(self, first: int, count: int) -> np.ndarray:
        """The values of `targets` at the steps from `first` on, (count, targets).

        Made for more steps of the epoch than are asked for, since making few costs as much.
        """
        if not self.tables:
            return np.empty((count, 0))
        epoch, begin, values = self.known
        start = first - begin
        if epoch != self.epoch or not 0 <= start <= len(values) - count:
            left = count if self.batches is None else self.batches - self.batch
            steps = np.arange(first, first + max(count, min(left, AHEAD)))
            columns = [callback.table(self, steps) for callback in self.tables]
            start, values = 0, np.concatenate(columns, 1)
            self.known = (self.epoch, first, values)
        return values[start : start + count]

    def values(self, tensor: Any, first: int, count: int) -> np.ndarray:
        """What a setting had at the steps from `first` on, (count,)."""
        for i, target in enumerate(self.targets):
            if target is tensor:
                return self.table(first, count)[:, i]
        return np.full(count, float(tensor))
