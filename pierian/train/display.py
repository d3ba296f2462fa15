"""What a run shows while it goes: a bar in a terminal or notebook, a line per epoch elsewhere.

May import: base, and tqdm inside the one function that draws. To show more: a number in the logs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from pierian.base.errors import message
from pierian.base.table import Table
from pierian.train.callback import Logs

WIDE = 10  # characters of a column
REFRESH = 0.2  # seconds between two changes of the numbers: more can not be read


class Display:
    """The face of one run.

    Args:  verbose  0: silent. 1 or "auto": a bar, or lines where output is neither a terminal
                    nor a notebook. 2: a line per epoch.
           table    whether passes are the rows of one table, rather than lines or bars of
                    their own; in a notebook it is an HTML table that grows.
    """

    def __init__(self, where: str, verbose: Any, table: bool = False) -> None:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(
                message(where, "verbose says how much to show", '"auto", 0, 1 or 2',
                        repr(verbose), "Leave it out for a bar in a terminal and lines elsewhere")
            )  # fmt: skip
        self.silent = verbose == 0
        self.live = verbose in ("auto", 1) and (sys.stdout.isatty() or in_notebook())
        self.bar: Any = None
        self.begun = False
        self.table = Growing() if table else None

    def begin(self, title: str, steps: int | None, leave: bool = True) -> None:
        """Start to show one pass over `steps` batches, if it is known how many.

        Args:  leave  whether its bar stays when it is over.
        """
        self.title, self.started, self.due = title, time.perf_counter(), 0.0
        self.begun = True
        if self.live:
            self.bar = _bar(title, steps, leave)

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

    def end(self, logs: Logs, epoch: int | None = None) -> None:
        """The pass is over, with these numbers."""
        seconds = time.perf_counter() - self.started if self.begun else 0.0
        if self.bar is not None:
            self.bar.set_postfix_str(describe(logs, ", ", "="))
        self.close()
        if self.silent:
            return
        if self.table is not None and epoch is not None:
            self.table.add({"epoch": epoch} | logs | {"time": clock(seconds)})
        elif not self.live:
            print(describe({self.title: f"{seconds:.1f} s"} | logs, " - ", ": "), flush=True)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is, finished or not."""
        self.begun = False
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Growing:
    """Rows of numbers under their names: lines of text, or in a notebook one HTML table."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.shown: Any = None  # the handle of what a notebook shows

    def add(self, row: dict[str, Any]) -> None:
        """Show one more row; names that are new begin the table again."""
        if in_notebook():
            self.names = [*dict.fromkeys([*self.names, *row])]
            self.rows.append(row)
            self._show()
            return
        widths = [max(len(name), WIDE) for name in row]
        if self.names != list(row):
            self.names = list(row)
            print("  ".join(f"{n:>{w}}" for n, w in zip(row, widths, strict=True)), flush=True)
        cells = zip(row.values(), widths, strict=True)
        print("  ".join(f"{_short(x):>{w}}" for x, w in cells), flush=True)

    def _show(self) -> None:
        from IPython.display import HTML, display

        rows = [[_short(row.get(name, "")) for name in self.names] for row in self.rows]
        page = HTML(Table(self.names, rows)._repr_html_())
        if self.shown is None:
            self.shown = display(page, display_id=True)
        else:
            self.shown.update(page)


def clock(seconds: float) -> str:
    """Seconds in words: 0.4 s, 12 s, 3:05, 1:02:03.

    >>> [clock(0.44), clock(12.3), clock(185), clock(3723)]
    ['0.4 s', '12 s', '3:05', '1:02:03']
    """
    if seconds < 10:  # where tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(logs: dict[str, Any], between: str, equals: str) -> str:
    """The numbers in words.

    >>> describe({"loss": 0.25, "accuracy": 1.0}, ", ", "=")
    'loss=0.2500, accuracy=1.0000'
    """
    return between.join(f"{name}{equals}{_short(value)}" for name, value in logs.items())


def _short(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return running is not None and "IPKernelApp" in running.config


def _bar(title: str, steps: int | None, leave: bool) -> Any:
    from tqdm.auto import tqdm

    form = "{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
    return tqdm(
        total=steps, desc=title, unit=" batches", bar_format=steps and form, file=sys.stdout,
        mininterval=REFRESH, miniters=1, dynamic_ncols=True, leave=leave,
    )  # fmt: skip
