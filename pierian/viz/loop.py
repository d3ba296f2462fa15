"""The training loop as it will run: what happens in which order, and who listens where.

May import: base, train. To follow a change of the loop: a row in `ROWS`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from html import escape
from typing import Any

from pierian.train.callback import INSIDE, Callback, Events
from pierian.train.callbacks import Progress, Recorder
from pierian.train.learner import Learner

# Depth, text, and whether it is an event
ROWS: tuple[tuple[int, str, bool], ...] = (
    (0, "before_fit", True),
    (0, "for each epoch", False),
    (1, "before_epoch", True),
    (1, "for each batch of the training data", False),
    (2, "before_batch", True),
    (2, "the step", False),
    (3, "pred = model(x)", False),
    (3, "after_pred", True),
    (3, "loss = loss_func(pred, y)", False),
    (3, "after_loss", True),
    (3, "loss.backward()", False),
    (3, "after_grad", True),
    (3, "optimizer.step(), gradients to zero", False),
    (3, "after_update", True),
    (2, "after_steps", True),
    (2, "after_batch", True),
    (1, "validation, where there are data for it", False),
    (2, "before_test", True),
    (2, "for each batch held out", False),
    (3, "before_test_batch", True),
    (3, "pred and loss, without gradients", False),
    (3, "after_steps", True),
    (3, "after_test_batch", True),
    (2, "after_test", True),
    (1, "after_epoch", True),
    (0, "after_fit", True),
)
INDENT = 4  # characters


@dataclass(frozen=True)
class Line:
    """One line of the loop: an event with those that listen, or what the loop itself does."""

    depth: int
    text: str
    event: bool
    listeners: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoopPicture:
    """What `show_loop` gives: text in print, a table in notebooks."""

    lines: tuple[Line, ...]

    def __str__(self) -> str:
        texts = [" " * INDENT * line.depth + line.text for line in self.lines]
        width = max(map(len, texts)) + 2
        rows = zip(texts, self.lines, strict=True)
        return "\n".join(
            f"{text:<{width}}{', '.join(line.listeners)}".rstrip() for text, line in rows
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = []
        for line in self.lines:
            text = f"<code>{escape(line.text)}</code>" if line.event else escape(line.text)
            quiet = ";opacity:0.5" if line.event and not line.listeners else ""
            style = f"text-align:left;padding-left:{0.5 + 1.6 * line.depth}em{quiet}"
            names = escape(", ".join(line.listeners))
            rows.append(
                f'<tr><td style="{style}">{text}</td>'
                f'<td style="text-align:left"><b>{names}</b></td></tr>'
            )
        head = '<th style="text-align:left">the loop</th><th style="text-align:left">listening</th>'
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def show_loop(learner: Any = None, quiet: bool = True) -> LoopPicture:
    """The training loop with those who listen at each event, in the order they are called.

    Nothing runs, and the callbacks are not told of it.

    Args:    learner  a Learner, or the callbacks of a `fit`: one, or a list.
             quiet    show events that nobody listens to as well.
    Raises:  TypeError for what is no callback.

    >>> from pierian.train import EarlyStopping
    >>> print(show_loop(EarlyStopping(), quiet=False))  # doctest: +SKIP
    """
    given = learner
    if isinstance(learner, Learner):
        given = [*learner.cbs, Recorder(), Progress(learner.verbose, table=True)]
    listed = given if isinstance(given, list | tuple) else [] if given is None else [given]
    copies = [copy.copy(c) if isinstance(c, Callback) else c for c in listed]
    events = Events("show_loop", copies, None, {})
    lines = []
    for depth, text, is_event in ROWS:
        names = tuple(_name(text, c) for c, _ in events.calls[text]) if is_event else ()
        if is_event and not names and not quiet:
            continue
        lines.append(Line(depth, _step(events) if text == "the step" else text, is_event, names))
    return LoopPicture(tuple(lines))


def _name(event: str, callback: Callback) -> str:
    """A listener, with what is particular about it."""
    notes = []
    if event == "after_batch" and callback.every > 1:
        notes.append(f"every {callback.every} steps")
    if callback.compiled and event in (*INSIDE, "after_update"):
        notes.append("compiled")
    name = type(callback).__name__
    return f"{name} ({', '.join(notes)})" if notes else name


def _step(events: Events) -> str:
    """Whether the step can be compiled."""
    stops = events.of_step()
    return f"the step, eager: {type(stops).__name__} listens inside" if stops else "the step"
