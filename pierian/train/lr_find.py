"""The learning-rate range test: which learning rate to begin with.

May import: base, optim, viz through a door, and this room. To add a way of suggesting: a function
(learning rates, smoothed losses) -> position, and a row in `SUGGEST`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.errors import DataError, lookup, message
from pierian.optim.schedule import RangeTestLR
from pierian.train import state
from pierian.train.callback import Callback, CancelFit, Events
from pierian.train.fit import prepare
from pierian.train.loop import Loop
from pierian.train.run import Run, modes_kept

SMOOTH = 0.98  # of the moving average that losses are judged by
WORSE = 4.0  # times the best loss: then it is over
ATTRIBUTES = ("history", "stop_training")  # of the model, that training sets
LEAST = 10  # steps to say something from


@dataclass(frozen=True)
class RangeTest:
    """What a range test found.

    suggestion  a learning rate to train with.
    lrs         those that were tried, (n,).
    losses      what they gave, (n,).
    smoothed    the losses that the suggestion follows from, (n,).
    """

    suggestion: float
    lrs: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def valley(self) -> float:
        """fastai's name for the suggestion."""
        return self.suggestion

    def plot(self, path: Any = None) -> Any:
        """The curve with the suggestion; see `viz.plot_lr_find`."""
        from pierian import viz

        return viz.plot_lr_find(self.lrs, self.losses, self.suggestion, path=path)

    def __repr__(self) -> str:
        return f"RangeTest(suggestion={self.suggestion:.3g}, {len(self.lrs)} steps)"


class Finder(Callback):
    """Lets the learning rate grow, and ends training when the loss does."""

    order = 90

    def __init__(self, start: float, end: float, count: int, stop: bool) -> None:
        self.range, self.every, self.stop = (start, end), count, stop
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.mean = 0.0

    def before_fit(self, run: Any) -> None:
        run.tolerant = True
        self.schedule = RangeTestLR(run.optimizer, *self.range, total_iters=self.every)

    def targets(self) -> list[Any]:
        return self.schedule.targets()

    def table(self, run: Any, steps: np.ndarray) -> np.ndarray:
        return self.schedule.table(steps)

    def after_steps(self, run: Any) -> None:
        for loss in run.losses:
            self.mean = SMOOTH * self.mean + (1 - SMOOTH) * float(loss)
            smoothed = self.mean / (1 - SMOOTH ** (len(self.losses) + 1))
            best = min(self.smoothed, default=math.inf)
            if not math.isfinite(smoothed) or (self.stop and smoothed > WORSE * best > 0):
                raise CancelFit
            self.losses.append(float(loss))
            self.smoothed.append(smoothed)

    def after_batch(self, run: Any) -> None:
        raise CancelFit


def range_test(
    run: Run, callbacks: list[Callback], start: float, end: float, count: int, stop: bool,
    suggest: str = "valley",
) -> RangeTest:  # fmt: skip
    """Train with learning rates from `start` to `end` for `count` steps, and undo it.

    Raises:  DataError when the loss is no number from the beginning.
    """
    lookup("lr_find", "suggest", suggest, SUGGEST)
    inside = [callback for callback in callbacks if callback.compiled]
    finder = Finder(start, end, count, stop)
    events = Events("lr_find", inside, run.model, {}, finder)
    attributes = vars(run.model)
    kept = {name: attributes[name] for name in ATTRIBUTES if name in attributes}
    feed = run.feed.state_dict()
    prepare("lr_find", run.model, run.recipe, run.feed)
    before = state.copied(state.of_step(run, []))
    run.epochs = math.ceil(count / run.batches) if run.batches else count
    try:
        with modes_kept(run.model):
            Loop("lr_find", run, events).fit(dict)
    finally:
        state.put_back(run, [], before)
        run.feed.load_state_dict(feed)
        for name in ATTRIBUTES:
            attributes.pop(name, None)
        attributes.update(kept)
    losses, smoothed = np.array(finder.losses), np.array(finder.smoothed)
    lrs = finder.schedule.table(np.arange(len(losses)))[:, 0]
    if len(losses) < LEAST:
        raise DataError(
            message("lr_find", "the loss must be a number for some steps", f"{LEAST} steps",
                    len(losses), "Pass a smaller start_lr, or look at the data")
        )  # fmt: skip
    place = SUGGEST[suggest](lrs, smoothed)
    return RangeTest(float(lrs[place]), lrs, losses, smoothed)


def valley(lrs: np.ndarray, losses: np.ndarray) -> int:
    """The middle of the longest stretch along which the loss falls (leaving out what rises).

    Source:  the suggestion of that name in fastai; here half of the way down.
    """
    length = np.ones(len(losses), int)  # of the longest falling sequence that ends at each step
    for i in range(1, len(losses)):
        above = length[:i][losses[:i] > losses[i]]
        length[i] = 1 + above.max(initial=0)
    last = int(length.argmax())
    return last - int(length[last]) // 2


def steep(lrs: np.ndarray, losses: np.ndarray) -> int:
    """Where the loss falls fastest per decade."""
    return int(np.gradient(losses, np.log10(lrs)).argmin())


def minimum(lrs: np.ndarray, losses: np.ndarray) -> int:
    """A tenth of the learning rate with the lowest loss."""
    return int(np.abs(np.log(lrs / (lrs[losses.argmin()] / 10))).argmin())


SUGGEST = {"valley": valley, "steep": steep, "minimum": minimum}
