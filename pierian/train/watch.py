"""Watch: looks at every loss, and finds out where one that is no number came from.

May import: base, core, and this room. It keeps a copy of all that a step depends on, made so seldom
that it costs a few thousandths of the time; from there it goes the same way again, up to the step
that went wrong, which `trouble` then looks into.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import PierianError, message
from pierian.base.notice import notice
from pierian.train import state
from pierian.train.callback import CancelBatch, Events
from pierian.train.feed import Part
from pierian.train.run import Run
from pierian.train.steps import Block, Steps
from pierian.train.trouble import Finding, find_nonfinite

SHARE = 300  # the time between two copies, in times that a copy takes
EARLY = 100  # steps in which a learning rate shows whether it is far too large
RISE = 4.0  # what it makes of the first losses then


class DivergenceError(PierianError, FloatingPointError):
    """A loss that is no longer a finite number. The model is as it was before that step."""


class Watch:
    """The watch over one fit."""

    def __init__(self, where: str, run: Run, events: Events) -> None:
        self.where, self.run, self.events = where, run, events
        self.due = 0.0  # when the next copy is made
        self.saved: Any = None
        self.parts: list[tuple[tuple[int, int, int], list[Any], Part]] = []  # what came since
        fresh = run.step == 0 and not run.optimizer.state
        self.early: list[float] = [] if fresh else [0.0] * EARLY

    def before(self, part: Part, steps: Steps) -> None:
        """Steps on `part` come next.

        Raises:  DivergenceError when an update has left parameters that are no numbers.
        """
        started = time.perf_counter()
        if started >= self.due:
            copy = self._copy()
            self._check(copy["model"], "before", steps)
            self.saved = copy
            self.parts.clear()
            now = time.perf_counter()
            self.due = now + SHARE * (now - started)
        run = self.run
        rates = [float(group["lr"]) for group in run.optimizer.param_groups]
        self.parts.append(((run.epoch, run.step, run.batch), rates, part))

    def over(self, steps: Steps) -> None:
        """No more steps come in this epoch, nor perhaps in others: raises like `before`."""
        if self.run.epoch + 1 == self.run.epochs or self.run.stopping:
            state_now = self.run.model.state_dict()
            self._check({name: t.numpy() for name, t in state_now.items()}, "after", steps)

    def _check(self, arrays: dict[str, Any], when: str, steps: Steps) -> None:
        ruined = [name for name, array in arrays.items() if not _finite(array)]
        if ruined and self.parts and not self.run.tolerant:
            place = f"{ruined[0]} {when} epoch {self.run.epoch + 1}, batch {self.run.batch + 1}"
            raise self._diverged("parameters must stay finite", f"NaN or inf in {place}",
                                 self.parts[-1][-1], steps)  # fmt: skip

    def after(self, steps: Steps, block: Block) -> None:
        """Raise DivergenceError at the first loss that is no number."""
        good = np.isfinite(block.losses)
        if self.run.tolerant:
            return
        if not good.all():
            at, run = int(good.argmin()), self.run
            of = f" of {run.batches}" if run.batches else ""
            got = f"{block.losses[at]} in epoch {run.epoch + 1}, batch {run.batch + at + 1}{of}"
            part = self.parts[-1][-1].only(at)
            raise self._diverged("the loss must stay finite", got, part, steps)
        if len(self.early) < EARLY:
            self.early += block.losses[: EARLY - len(self.early)].tolist()
            if len(self.early) == EARLY:
                self._check_rate()

    def epoch(self) -> None:
        """An epoch is over: say, once, what has been out of order in it."""
        run, optimizer = self.run, self.run.optimizer
        trained = {p for group in optimizer.param_groups for p in group["params"]}
        idle = [
            name
            for name, p in run.model.named_parameters()
            if p in trained and p.requires_grad and p not in optimizer.state
        ]
        if idle and run.step:
            notice(f"{self.where}: no gradient came to {', '.join(idle)} in a whole epoch: the "
                   "loss does not depend on it. Use it in forward, or freeze it.")  # fmt: skip
        asleep = [path or "the model" for path, m in run.model.named_modules() if not m.training]
        if asleep:
            notice(f"{self.where}: {', '.join(asleep)} was in eval mode while training. Call "
                   "train() where eval() is called in between.")  # fmt: skip

    def _check_rate(self) -> None:
        first, last = float(np.mean(self.early[:3])), float(np.mean(self.early[EARLY // 2 :]))
        if last > RISE * abs(first):
            notice(f"{self.where}: the loss rose from {first:.4g} to {last:.4g} in the first "
                   f"{EARLY} steps: the learning rate {float(self.run.optimizer.lr):g} is far too "
                   "large. Try a tenth of it, or ask lr_find.")  # fmt: skip

    def _copy(self) -> Any:
        return state.copied(state.of_step(self.run, self.events.parts))

    def _put_back(self, saved: Any) -> None:
        state.put_back(self.run, self.events.parts, saved)

    def _diverged(self, must: str, got: str, part: Part, steps: Steps) -> DivergenceError:
        """What to say about numbers that are NaN or infinite, last seen in `part`."""
        lr = float(self.run.optimizer.lr)
        fix = f"Try a smaller learning rate than {lr:g}, and inputs scaled to about -1 … 1"
        (batch,) = part.batches()
        for name, arrays in {"x": batch.x, "y": [batch.y], "sample_weight": [batch.weight]}.items():
            bad = sum(int((~np.isfinite(a)).sum()) for a in arrays if a is not None)
            if bad:
                fix = f"{name} of this batch holds {bad} NaN or infinite values: repair the data"
                break
        text = message(self.where, must, "a number", got, fix)
        found = self._found(steps)
        return DivergenceError(text if found is None else f"{text}\n\n{found}")

    def _found(self, steps: Steps) -> str | None:
        """Go the way again since the last copy, up to the step that went wrong; look into it."""
        run = self.run
        now = run.epoch, run.step, run.batch
        self._put_back(self.saved)
        try:
            for (run.epoch, step, batch), rates, part in self.parts:
                for group, rate in zip(run.optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate  # callbacks may have set it in between
                bad = self._first_bad(steps, part, step, batch)
                if bad is None:
                    continue
                before = self._copy()
                finding = self._look(steps, part.only(bad))
                self._put_back(before)
                place = f"epoch {run.epoch + 1}, batch {batch + bad + 1}"
                return None if finding is None else f"It began in {place}.\n{finding}"
            self._put_back(self.saved)  # callbacks have done more than can be gone through again
            return None
        finally:
            run.epoch, run.step, run.batch = now

    def _first_bad(self, steps: Steps, part: Part, step: int, batch: int) -> int | None:
        """Which step on `part` is the first to go wrong, with all as it was before it; by halves,
        since many steps in one call cost little more than one. None, after all, where none does.
        """
        run = self.run

        def fine(first: int, count: int) -> bool:
            run.step, run.batch = step + first, batch + first
            try:
                losses = steps.take(part.only(first, count)).losses
            except CancelBatch:
                run.model.zero_grad()
                return True
            return bool(np.isfinite(losses).all()) and _finite(self._copy())

        first, count, before = 0, len(part.positions), self._copy()
        if fine(0, count):
            return None
        while count > 1:
            self._put_back(before)
            if fine(first, count // 2):
                first, count, before = first + count // 2, count - count // 2, self._copy()
            else:
                count //= 2
        self._put_back(before)
        run.step, run.batch = step + first, batch + first
        return first

    def _look(self, steps: Steps, part: Part) -> Finding | None:
        (rows,) = part.batches()
        x, y, weight = rows.tensors()
        named = [("y", y), ("sample_weight", weight), *((f"x[{i}]", t) for i, t in enumerate(x))]
        if len(x) == 1:
            named[-1] = ("x", x[0])
        known = [pair for pair in named if pair[1] is not None]
        return find_nonfinite(
            lambda: steps.eager(x, y, weight), [*self.run.model.named_parameters(), *known]
        )


def _finite(saved: Any) -> bool:
    """Whether all floating numbers of the state are finite."""
    arrays = [x for x in trees.leaves(saved) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return all(np.isfinite(x).all() for x in arrays)
