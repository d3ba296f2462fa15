"""Loggers: the numbers of a run in files, as they come.

May import: base, callback; tensorboardX inside the one function that needs it. Files grow by whole
lines; a run that is resumed goes on after the line of its checkpoint.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pierian.base import file
from pierian.base.errors import DataError, message
from pierian.train.callback import Callback


class Logger(Callback):
    """Base of loggers that write a line per epoch into a file.

    Args:    path    of the file; folders that are missing are made.
             append  whether a file that is there is gone on with, rather than replaced.
    Raises:  DataError when it cannot be written at the beginning; later that ends training, with
             the line in the error.
    """

    order = 30

    def __init__(self, path: Any, append: bool = False) -> None:
        self.path, self.append = Path(path), append
        self.kept: int | None = None  # lines in the file when it was saved

    def lines(self, row: dict[str, Any], first: bool) -> str:
        """The text of a row, with a heading when it is the first in the file."""
        raise NotImplementedError

    def before_fit(self, run: Any) -> None:
        self.kept = None
        if not run.resumed:
            self.write("", "a" if self.append else "w")

    def after_epoch(self, run: Any) -> None:
        empty = not self.path.exists() or self.path.stat().st_size == 0
        self.write(self.lines({"epoch": run.epoch} | run.logs, empty), "a")

    def write(self, text: str, mode: str) -> None:
        """Put `text` into the file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, mode, newline="", encoding="utf-8") as log:
                log.write(text)
        except OSError as error:
            must, fix = f"{self.path} must be written", "Make room, or log elsewhere"
            name = type(self).__name__
            raise DataError(message(name, must, "a file", error.strerror, fix)) from error

    def state_dict(self) -> dict[str, Any]:
        return {"lines": len(self._written())}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.kept = saved["lines"]

    def after_resume(self, run: Any) -> None:
        """Take back what was written after the checkpoint."""
        written = self._written()
        if self.kept is not None and len(written) > self.kept:
            os.truncate(self.path, len(b"".join(written[: self.kept])))

    def _written(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []


class CSVLogger(Logger):
    """A table of comma-separated values with a heading, a row per epoch.

    A number that is new in a later epoch gets a column, which is empty before it.

    Args:    path       of the file.
             separator  between the values.
             append     whether a file that is there is gone on with.
    """

    def __init__(self, path: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__(path, append)
        self.separator = separator

    def lines(self, row: dict[str, Any], first: bool) -> str:
        if first:
            return self._text([list(row), list(row.values())])
        with open(self.path, newline="", encoding="utf-8") as log:
            table = csv.reader(log, delimiter=self.separator)
            names = next(table)
            new = [name for name in row if name not in names]
            wider = [names + new, *(cells + [""] * len(new) for cells in table if new)]
        if new:
            file.write(self.path, self._text(wider).encode(), type(self).__name__)
        return self._text([[row.get(name, "") for name in names + new]])

    def _text(self, rows: list[list[Any]]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator).writerows(rows)
        return text.getvalue()


class JSONLogger(Logger):
    """A JSON object per line and epoch (JSON Lines); a number that is none becomes null."""

    def lines(self, row: dict[str, Any], first: bool) -> str:
        plain = {name: x if math.isfinite(x) else None for name, x in row.items()}
        return json.dumps(plain, default=float) + "\n"


class TensorBoard(Callback):
    """What TensorBoard shows: the loss of every step, the numbers and settings of every epoch.

    Args:    folder      for its event files.
             histograms  whether the weights are shown as histograms too, every epoch.
    Raises:  ImportError without tensorboardX.
    """

    order = 30

    def __init__(self, folder: Any = "runs", histograms: bool = False) -> None:
        self.folder, self.histograms = os.fspath(folder), histograms
        self.writer: Any = None

    def before_fit(self, run: Any) -> None:
        self.writer = _writer(self.folder)

    def after_resume(self, run: Any) -> None:
        """What was written after the checkpoint is not shown."""
        self.writer.close()
        self.writer = _writer(self.folder, purge_step=run.step + 1)

    def after_steps(self, run: Any) -> None:
        if run.training:
            for step, loss in enumerate(run.losses, run.step - len(run.losses) + 1):
                self.writer.add_scalar("step/loss", float(loss), step)

    def after_epoch(self, run: Any) -> None:
        for name, value in self._values(run):
            self.writer.add_scalar(name, value, run.epoch + 1)
        if self.histograms:
            for name, tensor in run.model.named_parameters():
                self.writer.add_histogram(name, tensor.numpy(), run.epoch + 1)
        self.writer.flush()

    def after_fit(self, run: Any) -> None:
        if self.writer is not None:
            self.writer.close()

    def _values(self, run: Any) -> Iterator[tuple[str, float]]:
        for name, value in run.logs.items():
            part = "valid" if name.startswith("val_") else "train"
            yield f"{name.removeprefix('val_')}/{part}", float(value)
        for i, group in enumerate(run.optimizer.param_groups):
            yield f"lr/group {i}" if i else "lr", float(group["lr"])


def _writer(folder: str, **options: Any) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            message("TensorBoard", "its files need tensorboardX", "it installed",
                    "no tensorboardX", "pip install 'pierian[log]'")
        ) from error  # fmt: skip
    return SummaryWriter(folder, **options)
