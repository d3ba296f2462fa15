"""The one training loop: every model that Pierian trains goes through `Loop`.

May import: base, core, nn, and this room. How a step is run, `steps` knows. To let something
happen at one more place: an event there, and its hook in `Callback`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import PierianError, message
from pierian.core.autodiff import no_grad
from pierian.nn.module import Module
from pierian.train.callback import Events, Logs
from pierian.train.display import Display
from pierian.train.feed import Feed, Rows
from pierian.train.steps import Block, steps_of, test_step, train_step


class DivergenceError(PierianError, FloatingPointError):
    """A loss that is no longer a finite number."""


class Totals:
    """Means over all rows so far, exact when batches differ in size."""

    def __init__(self, metrics: list[Any]) -> None:
        self.metrics, self.loss, self.rows = metrics, 0.0, 0
        for metric in metrics:
            metric.reset()

    def add(self, block: Block) -> None:
        """Count some batches in."""
        self.loss += float(block.losses.sum()) * block.positions.shape[1]
        self.rows += len(block)
        for metric in self.metrics:
            for part in block.batches() if metric.by_batch else (block,):
                metric.update(part.pred, part.target)

    def logs(self) -> Logs:
        """The means, by name."""
        means = {"loss": self.loss / self.rows} if self.rows else {}
        return means | {metric.name: metric.compute() for metric in self.metrics}


class Loop:
    """Runs a model over feeds: to train it, to evaluate it, to predict with it.

    Args:  model    as the user made it.
           recipe   optimizer, loss and metrics; None is enough to predict.
           events   called at every point where something may happen.
           display  shows how it goes.
    """

    def __init__(self, model: Module, recipe: Any, events: Events, display: Display) -> None:
        self.model, self.recipe = model, recipe
        self.events, self.display = events, display

    def fit(self, feed: Feed, epochs: range, validate: Callable[[int], Logs]) -> None:
        """Train for `epochs`; `validate` gives the logs that an epoch has beside its own."""
        self.model.zero_grad()
        vars(self.model)["stop_training"] = False
        logs: Logs = {}
        self.events("on_train_begin")
        try:
            for epoch in epochs:
                self.events("on_epoch_begin", epoch)
                self.display.begin(f"Epoch {epoch + 1}/{epochs.stop}", feed.steps)
                self.model.train()
                logs = self.measure("train", feed, train_step)
                self.display.note("validating")
                logs |= validate(epoch)
                self.display.end(logs)
                self.events("on_epoch_end", epoch, logs)
                if vars(self.model)["stop_training"]:
                    break
        except KeyboardInterrupt:
            self.events("on_train_end", logs)
            raise
        self.events("on_train_end", logs)

    def evaluate(self, feed: Feed) -> Logs:
        """Loss and metrics over one epoch of `feed`."""
        self.events("on_test_begin")
        self.model.eval()
        logs = self.measure("test", feed, test_step)
        self.events("on_test_end", logs)
        return logs

    def predict(self, feed: Feed) -> Any:
        """The outputs for one epoch of `feed`, as NumPy arrays."""
        outputs: list[Any] = []

        def work(batch: Rows) -> None:
            with no_grad():
                pred = self.model(*batch.tensors()[0])
            outputs.append(trees.map_tree(np.asarray, pred))

        self.events("on_predict_begin")
        self.model.eval()
        self.run("predict", feed, work, dict)
        self.events("on_predict_end")
        return trees.map_tree(lambda *parts: np.concatenate(parts), *outputs)

    def measure(self, kind: str, feed: Feed, make: Any) -> Logs:
        """The means over one epoch of steps."""
        totals = Totals(self.recipe.metrics)
        steps = steps_of(make, self.model, self.recipe)

        def add(block: Block) -> None:
            if kind == "train":
                self.check(block, feed)
            totals.add(block)

        blocks = None if self.events.at_batches(kind) else steps.blocks(feed)
        if blocks is None:
            where = feed.form.where
            self.run(kind, feed, lambda batch: add(steps.one(where, batch)), totals.logs)
        else:
            for block in blocks:
                feed.seen += len(block.losses)
                add(block)
                self.display.advance(totals.logs, len(block.losses))
        return totals.logs()

    def check(self, block: Block, feed: Feed) -> None:
        """Raise DivergenceError at the first loss that is no number."""
        good = np.isfinite(block.losses)
        if not good.all():
            at = int(good.argmin())
            number = feed.seen - len(good) + at + 1
            batch = block.rows[block.positions[at]]
            lr = self.recipe.optimizer.lr
            raise diverged(float(block.losses[at]), feed, number, batch, lr)

    def run(
        self, kind: str, feed: Feed, work: Callable[[Rows], None], logs: Callable[[], Logs]
    ) -> None:
        """Do `work` on every batch of one epoch, between the two events of a batch."""
        for number, batch in enumerate(feed.epoch()):
            self.events.batch(f"on_{kind}_batch_begin", number)
            work(batch)
            self.display.advance(logs)
            self.events.batch(f"on_{kind}_batch_end", number, logs)
            if kind == "train" and vars(self.model)["stop_training"]:
                break


def diverged(loss: float, feed: Feed, number: int, batch: Rows, lr: Any) -> DivergenceError:
    """What to say about a loss that is NaN or infinite."""
    of = f" of {feed.steps}" if feed.steps else ""
    got = f"{loss} in epoch {feed.number}, batch {number}{of}"
    fix = f"Try a smaller learning rate than {float(lr):g}, and inputs scaled to about -1 … 1"
    for name, arrays in {"x": batch.x, "y": [batch.y], "sample_weight": [batch.weight]}.items():
        bad = sum(int((~np.isfinite(a)).sum()) for a in arrays if a is not None)
        if bad:
            fix = f"{name} of this batch holds {bad} NaN or infinite values: repair the data"
            break
    return DivergenceError(message("fit", "the loss must stay finite", "a number", got, fix))


@contextlib.contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Whatever happens inside, every module is in its own mode (train or eval) again after it."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
