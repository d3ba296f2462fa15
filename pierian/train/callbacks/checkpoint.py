"""Checkpoints while training, and going on from one of them.

May import: base, io, state, callback. What is in a checkpoint, `state` says; what a file of it
looks like, `io/checkpoint.py`.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pierian.base.errors import CheckpointError, lookup, message
from pierian.data.order import whole
from pierian.io.checkpoint import (
    PATTERN,
    checkpoints,
    load_checkpoint,
    newest,
    save_checkpoint,
    step_of,
)
from pierian.train import state
from pierian.train.callback import Callback
from pierian.train.callbacks.stopping import Monitor

BEST = "best.safetensors"
ASIDE = ".aside"
UNITS = ("epoch", "step", "minute")


class ModelCheckpoint(Callback):
    """Keep all that training depends on in a folder, so that it can be resumed exactly.

    Files are called checkpoint-<steps>.safetensors, and are written whole or not at all. Each is
    a model file too: `pr.load` gives the model of that moment. When one cannot be written, that
    is warned of, training goes on, and those that are there stay.

    Args:    folder   is made if it is missing; holds the checkpoints of one run.
             every    a checkpoint after every so many ...
             unit     ... "epoch"s, "step"s, or "minute"s.
             keep     the newest ones that are kept; None for all.
             monitor  a name in the logs: best.safetensors is the checkpoint of the epoch where
                      that number was best.
             mode     "min", "max" or "auto": what is best.
    Raises:  CheckpointError at the beginning of training when the folder holds the checkpoints
             of another run.
    """

    order = 50  # when the other callbacks know of the epoch

    def __init__(
        self, folder: Any, every: float = 1, unit: str = "epoch", keep: int | None = 3, *,
        monitor: str | None = None, mode: str = "auto",
    ) -> None:  # fmt: skip
        where = "ModelCheckpoint"
        self.unit = lookup(where, "unit", unit, UNITS)
        self.period = float(every)
        if unit != "minute":
            self.period = whole(where, "every", every, least=1, fix="Pass every=1")
        if unit == "step":
            self.every = int(self.period)
        self.folder = Path(folder)
        self.keep = keep if keep is None else whole(where, "keep", keep, least=1, fix="Pass 3")
        self.monitor = None if monitor is None else Monitor(where, monitor, mode)

    def before_fit(self, run: Any) -> None:
        if not run.resumed:
            _refuse_others(self.folder)
        self.due = time.monotonic() + 60 * self.period
        if self.monitor is not None:
            self.monitor.best = self.monitor.first

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if self.monitor is not None and saved:
            self.monitor.best = saved["best"]

    def state_dict(self) -> dict[str, Any]:
        return {} if self.monitor is None else {"best": self.monitor.best}

    def after_resume(self, run: Any) -> None:
        """Set aside what was saved later than what is resumed."""
        for later in checkpoints(self.folder):
            if step_of(later) > run.step:
                with contextlib.suppress(OSError):
                    later.replace(later.with_name(later.name + ASIDE))

    def after_steps(self, run: Any) -> None:
        if run.training and self.unit == "minute" and time.monotonic() >= self.due:
            self.save(run, self.path(run))
            self.due = time.monotonic() + 60 * self.period

    def after_batch(self, run: Any) -> None:
        if self.unit == "step":
            self.save(run, self.path(run))

    def after_epoch(self, run: Any) -> None:
        best = self.monitor is not None and self.monitor.better(self.monitor.value(run.logs))
        last = run.epoch + 1 == run.epochs or run.stopping
        if last or (self.unit == "epoch" and (run.epoch + 1) % self.period == 0):
            self.save(run, self.path(run))
        if best:
            self.save(run, self.folder / BEST)

    def path(self, run: Any) -> Path:
        """The file for the steps that are done."""
        return self.folder / PATTERN.replace("*", f"{run.step:08d}")

    def save(self, run: Any, path: Path) -> None:
        """Write a checkpoint, and remove those that are too many."""
        try:
            save_checkpoint(path, run.model, state.capture(run))
        except CheckpointError as error:
            warnings.warn(f"training goes on without a checkpoint: {error}", stacklevel=2)
            return
        if self.keep is not None:
            for old in checkpoints(self.folder)[: -self.keep]:
                with contextlib.suppress(OSError):
                    old.unlink()


def open_checkpoint(
    where: str, resume: Any, callbacks: Iterable[Callback]
) -> dict[str, Any] | None:
    """What to go on from.

    Args:    resume  None: nothing. A checkpoint; a folder of them; True for the folder of the
                     ModelCheckpoint among the callbacks, if it has one yet.
    Raises:  CheckpointError when there is none, or none that is whole.
    """
    if resume is None or resume is False:
        return None
    own = next((c for c in callbacks if isinstance(c, ModelCheckpoint)), None)
    if resume is True and own is None:
        raise ValueError(
            message(where, "resume=True needs a folder", "a ModelCheckpoint among the callbacks",
                    "none", "Add one, or pass the path of a checkpoint")
        )  # fmt: skip
    path = own.folder if resume is True and own is not None else Path(resume)
    if path.is_file():
        saved = load_checkpoint(path)
    else:
        found = newest(path, "resume")
        if found is None and resume is True:
            return None
        if found is None:
            raise CheckpointError(
                message("resume", "there must be a checkpoint", f"{PATTERN} in the folder",
                        f"none in {path}", "Check the path, or pass resume=True to begin there")
            )  # fmt: skip
        saved = found[1]
    folder = path.parent if path.is_file() else path
    if own is not None and own.folder.resolve() != folder.resolve():
        _refuse_others(own.folder)
    return saved


def _refuse_others(folder: Path) -> None:
    if found := checkpoints(folder):
        raise CheckpointError(
            message("fit", "a folder holds the checkpoints of one run", "no checkpoints yet",
                    f"{found[-1]}", "Pass resume=True to go on from it, or another folder")
        )  # fmt: skip
