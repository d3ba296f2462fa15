"""The one training loop: every model that Pierian trains goes through `Loop`.

May import: base, core, nn, and this room. A step is one function of tensors that looks at no
value, so that it traces to one graph. To let something happen at one more place: an event there,
and its hook in `Callback`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import PierianError, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor
from pierian.nn.module import Module
from pierian.train.callback import Events, Logs
from pierian.train.display import Display
from pierian.train.feed import Feed, Rows
from pierian.train.recipe import Recipe

Step = Callable[[tuple[Tensor, ...], Tensor, Any], tuple[Tensor, Tensor]]


class DivergenceError(PierianError, FloatingPointError):
    """A loss that is no longer a finite number."""


def train_step(model: Module, recipe: Recipe) -> Step:
    """The step of training, a function of tensors: (x, y, weight) -> (loss, prediction)."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        pred = model(*x)
        loss = recipe.loss(y, pred, weight)
        loss.backward()
        recipe.optimizer.step()
        recipe.optimizer.zero_grad()
        return loss.detach(), pred.detach()

    return step


def test_step(model: Module, recipe: Recipe) -> Step:
    """The step of evaluation; as that of training, without the update."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        with no_grad():
            pred = model(*x)
            return recipe.loss(y, pred, weight), pred

    return step


class Totals:
    """Means over all rows so far, exact when batches differ in size."""

    def __init__(self, metrics: list[Any]) -> None:
        self.metrics, self.loss, self.rows = metrics, 0.0, 0
        for metric in metrics:
            metric.reset()

    def add(self, batch: Rows, loss: float, pred: Tensor) -> None:
        """Count one batch in."""
        self.loss += loss * len(batch)
        self.rows += len(batch)
        for metric in self.metrics:
            metric.update(pred, batch.y)

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
        step = train_step(self.model, self.recipe)
        self.model.zero_grad()
        vars(self.model)["stop_training"] = False
        logs: Logs = {}
        self.events("on_train_begin")
        try:
            for epoch in epochs:
                self.events("on_epoch_begin", epoch)
                self.display.begin(f"Epoch {epoch + 1}/{epochs.stop}", feed.steps)
                self.model.train()
                logs = self.measure("train", feed, step)
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
        logs = self.measure("test", feed, test_step(self.model, self.recipe))
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

    def measure(self, kind: str, feed: Feed, step: Step) -> Logs:
        """The means over one epoch of steps."""
        totals = Totals(self.recipe.metrics)

        def work(batch: Rows) -> None:
            loss, pred = step(*batch.tensors())
            value = float(loss)
            if kind == "train" and not math.isfinite(value):
                raise diverged(value, feed, batch, self.recipe.optimizer.lr)
            totals.add(batch, value, pred)

        self.run(kind, feed, work, totals.logs)
        return totals.logs()

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


def diverged(loss: float, feed: Feed, batch: Rows, lr: Any) -> DivergenceError:
    """What to say about a loss that is NaN or infinite."""
    of = f" of {feed.steps}" if feed.steps else ""
    got = f"{loss} in epoch {feed.number}, batch {feed.seen}{of}"
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
