"""The one training loop: every model that Pierian trains goes through `Loop`.

May import: base, core, nn, and this room. How a step is run, `steps` knows; what may happen around
it, `callback`. To let something happen at one more place: an event there, and its call here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.core.autodiff import no_grad
from pierian.train.callback import CancelBatch, CancelEpoch, Events, Logs
from pierian.train.feed import Part
from pierian.train.run import Run
from pierian.train.state import restore
from pierian.train.steps import Block, steps_of, test_step, train_step
from pierian.train.totals import Totals
from pierian.train.watch import Watch


class Loop:
    """Runs a model over its feed: to train it, to evaluate it, to predict with it.

    Args:  where   the public function, for errors.
           run     what it is about.
           events  called at every point where something may happen.
    """

    def __init__(self, where: str, run: Run, events: Events) -> None:
        self.where, self.run, self.events = where, run, events

    def fit(self, validate: Callable[[], Logs], saved: Any = None) -> None:
        """Train; `validate` gives what an epoch logs beside its own; `saved` is gone on from."""
        run, events = self.run, self.events
        run.model.zero_grad()
        vars(run.model)["stop_training"] = False
        run.callbacks, run.resumed = events.callbacks, saved is not None
        with events.fit(run):
            events.begin(run)
            run.drive(events.tables)
            midway = saved is not None and restore(run, saved)
            watch = Watch(self.where, run, events)
            while run.epoch < run.epochs and not run.stopping:
                self.epoch(watch, validate, midway)
                run.epoch, midway = run.epoch + 1, False

    def epoch(self, watch: Watch, validate: Callable[[], Logs], midway: bool) -> None:
        """One epoch, from its beginning or from the middle where training was resumed."""
        run, events = self.run, self.events
        run.whole, run.logs_of_epoch = False, None
        run.model.train()
        if not midway:
            run.totals = Totals(run.metrics)
            run.feed.begin()
            events("before_epoch", run)
        with contextlib.suppress(CancelEpoch):
            self.train(watch)
        run.model.zero_grad()  # of a step that was left in the middle
        watch.epoch()
        run.logs_of_epoch = run.totals.logs()
        run.logs_of_epoch |= validate()
        run.whole = True
        events("after_epoch", run)

    def train(self, watch: Watch) -> None:
        """The steps of an epoch, as many in one native call as nobody minds."""
        run, events = self.run, self.events
        steps = steps_of(train_step, self.where, run, events, keep=bool(run.metrics))
        with steps:
            while part := run.feed.take(min(steps.ahead, events.ahead(run.step))):
                count = len(part.positions)
                run.batch = run.feed.seen - count
                try:
                    part = self.offered(part)
                    watch.before(part, steps)
                    block = steps.take(part)
                    run.totals.add(block)
                    watch.after(steps, block)
                    run.losses = block.losses
                except CancelBatch:
                    run.model.zero_grad()
                    run.losses = np.zeros(0)
                run.step, run.batch = run.step + count, run.feed.seen - 1
                with contextlib.suppress(CancelBatch):
                    events("after_steps", run)
                    events("after_batch", run)
                if run.stopping:
                    break
            watch.over(steps)

    def offered(self, part: Part) -> Part:
        """The batches that come next, as callbacks want them."""
        run, events = self.run, self.events
        if events.replaces:
            (batch,) = part.batches()
            run.x, run.y, run.weight = batch.tensors()
        events("before_batch", run)
        return part.replaced(run.x, run.y, run.weight) if events.replaces else part

    def evaluate(self, add: Callable[[Block], None] | None = None) -> Logs:
        """Loss and metrics over one epoch; `add` gets each block, with its predictions."""
        run, events = self.run, self.events
        keep = bool(run.metrics) or add is not None
        run.totals = Totals(run.metrics)
        run.model.eval()
        run.feed.begin(afresh=True)
        events("before_test", run)
        with steps_of(test_step, self.where, run, events, keep) as steps:
            while part := run.feed.take(min(steps.ahead, events.ahead_of_test)):
                run.batch = run.feed.seen - len(part.positions)
                events("before_test_batch", run)
                block = steps.take(part)
                run.totals.add(block)
                if add is not None:
                    add(block)
                run.losses, run.batch = block.losses, run.feed.seen - 1
                events("after_steps", run)
                events("after_test_batch", run)
        run.logs_of_epoch = run.totals.logs()
        events("after_test", run)
        return run.logs_of_epoch

    def predict(self) -> Any:
        """The outputs for one epoch, as NumPy arrays."""
        run, events = self.run, self.events
        outputs: list[Any] = []
        run.model.eval()
        run.feed.begin()
        events("before_predict", run)
        while part := run.feed.take():
            run.batch = run.feed.seen - 1
            events("before_predict_batch", run)
            (batch,) = part.batches()
            with no_grad():
                outputs.append(trees.map_tree(np.asarray, run.model(*batch.tensors()[0])))
            run.losses = np.zeros(1)
            events("after_steps", run)
            events("after_predict_batch", run)
        events("after_predict", run)
        return trees.map_tree(lambda *parts: np.concatenate(parts), *outputs)
