"""What a run shows while it goes: a bar in a terminal or notebook, a line per epoch elsewhere.

May import: base, and tqdm inside the one function that draws. To show more: a number in the logs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from pierian.base.errors import message
from pierian.train.callback import Logs

REFRESH = 0.2  # seconds between two changes of the numbers: more can not be read


class Display:
    """The face of one run.

    Args:  verbose  0: silent. 1 or "auto": a bar, or lines where output is neither a terminal
                    nor a notebook. 2: a line per epoch.
    """

    def __init__(self, where: str, verbose: Any) -> None:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(
                message(where, "verbose says how much to show", '"auto", 0, 1 or 2',
                        repr(verbose), "Leave it out for a bar in a terminal and lines elsewhere")
            )  # fmt: skip
        self.silent = verbose == 0
        self.live = verbose in ("auto", 1) and (sys.stdout.isatty() or in_notebook())
        self.bar: Any = None

    def begin(self, title: str, steps: int | None) -> None:
        """Start to show one pass over `steps` batches, if it is known how many."""
        self.title, self.started, self.due = title, time.perf_counter(), 0.0
        if self.live:
            self.bar = _bar(title, steps)

    def advance(self, logs: Callable[[], Logs], batches: int = 1) -> None:
        """Batches are done; `logs` is asked for the numbers so far when they will be shown."""
        if self.bar is None:
            return
        now = time.perf_counter()
        if now >= self.due:
            self.bar.set_postfix_str(describe(logs(), ", ", "="), refresh=False)
            self.due = now + REFRESH
        self.bar.update(batches)

    def note(self, text: str) -> None:
        """Say what is going on after the last batch."""
        if self.bar is not None:
            self.bar.set_postfix_str(text)

    def end(self, logs: Logs) -> None:
        """The pass is over, with these numbers."""
        if self.bar is not None:
            self.bar.set_postfix_str(describe(logs, ", ", "="))
            self.close()
        elif not self.silent and not self.live:
            seconds = time.perf_counter() - self.started
            print(describe({self.title: f"{seconds:.1f} s"} | logs, " - ", ": "), flush=True)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is, finished or not."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def describe(logs: dict[str, Any], between: str, equals: str) -> str:
    """The numbers in words.

    >>> describe({"loss": 0.25, "accuracy": 1.0}, ", ", "=")
    'loss=0.2500, accuracy=1.0000'
    """
    return between.join(f"{name}{equals}{_short(value)}" for name, value in logs.items())


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return running is not None and "IPKernelApp" in running.config


def _bar(title: str, steps: int | None) -> Any:
    from tqdm.auto import tqdm

    form = "{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
    return tqdm(
        total=steps, desc=title, unit=" batches", bar_format=steps and form, file=sys.stdout,
        mininterval=REFRESH, miniters=1, dynamic_ncols=True,
    )  # fmt: skip
