"""Progress: what a run shows while it goes.

May import: base, callback, display.
"""

from __future__ import annotations

from typing import Any

from pierian.train.callback import Callback
from pierian.train.callbacks.history import in_table
from pierian.train.display import Display, in_notebook


class Progress(Callback):
    """A bar in a terminal, a table in a notebook, else a line per epoch; `fit` has one by itself.

    Args:  verbose  0: silent. 1 or "auto": a bar, or lines where output is neither a terminal
                    nor a notebook. 2: a line per epoch.
           table    whether epochs are the rows of a table everywhere: that of a Learner, which
                    counts them from 0 and has its own names for the numbers.
    """

    order = 100  # shows what others have added to the logs

    def __init__(self, verbose: Any = "auto", table: bool = False) -> None:
        tables = table or (in_notebook() and verbose != 2)
        self.display, self.of_learner, self.fitting = Display("fit", verbose, tables), table, False

    @property
    def silent(self) -> bool:
        """Whether nothing is shown."""
        return self.display.silent

    def before_fit(self, run: Any) -> None:
        self.fitting = True

    def before_epoch(self, run: Any) -> None:
        title, leave = f"Epoch {run.epoch + 1}/{run.epochs}", self.display.table is None
        self.display.begin(title, run.batches, leave)

    def before_test(self, run: Any) -> None:
        if self.fitting:
            self.display.note("validating")
        else:
            self.display.begin("Evaluate", run.batches)

    def before_predict(self, run: Any) -> None:
        if self.display.live:
            self.display.begin("Predict", run.batches)

    def after_steps(self, run: Any) -> None:
        if run.training and not self.display.begun:  # an epoch that was resumed in the middle
            self.before_epoch(run)
            self.display.advance(lambda: run.logs, run.batch + 1 - len(run.losses))
        if run.training or not self.fitting:
            self.display.advance(lambda: run.logs, len(run.losses))

    def after_epoch(self, run: Any) -> None:
        if self.of_learner:
            self.display.end({in_table(name): x for name, x in run.logs.items()}, run.epoch)
        else:
            self.display.end(run.logs, run.epoch + 1)

    def after_test(self, run: Any) -> None:
        if not self.fitting:
            self.display.end(run.logs)

    def after_fit(self, run: Any) -> None:
        self.display.close()
        self.fitting = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.display.close()
