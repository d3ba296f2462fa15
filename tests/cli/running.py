"""Commands run in this process, and what they give."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierian import cli

REPOSITORY = Path(__file__).resolve().parents[2]
SOFTMAX = ("train", "mnist", "--source", "bundled", "--model", "softmax")


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def record(self) -> dict[str, Any]:
        """The object on the last line."""
        return json.loads(self.lines[-1])


@dataclass(frozen=True)
class Trained:
    """A run that was made once for all tests."""

    folder: Path
    done: Done


def pierian(*words: Any) -> Done:
    """Runs a command in this process."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as left:  # of the parser
            status = int(left.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


def left(folder: Path) -> dict[str, bytes]:
    """The files of a run that are to be the same bytes for the same training."""
    names = ("model.safetensors", "history.json", "log.csv", "log.jsonl")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
