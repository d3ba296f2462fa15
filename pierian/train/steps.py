"""Steps: what is done with a batch, and the three ways of doing it.

May import: base, core, ops, nn, compiler, and this room. A step is one function of tensors that
looks at no value. It runs eagerly; compiled, a batch at a time; or, where the rows are in memory,
compiled with many batches in one native call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.dtypes import float64, int64
from pierian.base.errors import CompileError, TraceError, message
from pierian.base.notice import notice
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, assign, make
from pierian.ops.operands import cast
from pierian.train.callback import INSIDE, Events
from pierian.train.feed import Part, Rows

Step = Callable[[tuple[Tensor, ...], Tensor, Any], tuple[Tensor, Tensor]]
CALL = 0.1  # seconds of steps in one native call: Ctrl-C and the display wait no longer
ROOM = 4 << 20  # bytes of predictions that may wait to be counted, and of positions of rows
CALLED = 1 << 16  # steps in one native call at most
KEPT = 4  # kinds of steps that stay compiled with a recipe


def train_step(steps: Steps) -> Step:
    """The step of training, a function of tensors: (x, y, weight) -> (loss, prediction)."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        run, events = steps.run, steps.events
        run.x, run.y, run.weight, run.update = x, y, weight, None
        run.pred = run.model(*x)
        events("after_pred", run)
        run.loss = run.recipe.loss(y, run.pred, weight)
        events("after_loss", run)
        run.loss.backward()
        events("after_grad", run)
        run.optimizer.step(when=run.update)
        run.optimizer.zero_grad()
        events("after_update", run)
        return run.loss.detach(), run.pred.detach()

    return step


def test_step(steps: Steps) -> Step:
    """The step of evaluation; as that of training, without the update."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        with no_grad():
            pred = steps.run.model(*x)
            return steps.run.recipe.loss(y, pred, weight), pred

    return step


@dataclass(frozen=True)
class Block:
    """What some batches, one after the other, came to.

    losses     (batches,)
    pred       of all their rows, (batches · rows of each, ...); None where nobody asked
    rows       where their rows are from
    positions  which of them, (batches, rows of each)
    """

    losses: np.ndarray
    pred: np.ndarray | None
    rows: Rows
    positions: np.ndarray

    def __len__(self) -> int:
        return self.positions.size

    @property
    def size(self) -> int:
        """How many rows are in each batch."""
        return self.positions.shape[1]

    @property
    def target(self) -> Any:
        """The targets of all rows."""
        return self.rows[self.positions.ravel()].y

    def batches(self) -> Iterator[Block]:
        """Each batch for itself."""
        size = self.size
        for i, positions in enumerate(self.positions):
            pred = None if self.pred is None else self.pred[i * size : (i + 1) * size]
            yield Block(self.losses[i : i + 1], pred, self.rows, positions[None])


class Steps:
    """The steps of one kind of a model, kept with its recipe so that each compiles once.

    Args:  of     `train_step` or `test_step`.
           where  the public function, for errors.
           keep   whether predictions are asked for.
    """

    def __init__(
        self, of: Callable[[Steps], Step], where: str, run: Any, events: Events, keep: bool
    ) -> None:
        self.run: Any = run
        self.events: Any = events
        self.where, self.keep = where, keep
        self.eager, self.compiles = of(self), run.recipe.jit is not False
        self.native: Any = None
        self.resident: dict[Any, Resident] = {}
        self.ahead, self.size = 1, 0  # how many batches, of how many rows, to take in a call

    def take(self, part: Part) -> Block:
        """The steps on the batches that come next."""
        if self.compiles and part.resident:
            try:
                return self._natively(part)
            except (TraceError, CompileError) as reason:
                self._give_up(reason)
        done = [self.one(batch, number) for number, batch in enumerate(part.batches())]
        pred = np.concatenate([block.pred for block in done]) if self.keep else None
        losses = np.concatenate([block.losses for block in done])
        return Block(losses, pred, part.rows, part.positions)

    def one(self, batch: Rows, number: int = 0) -> Block:
        """One step on one batch, the one that comes `number` after the next."""
        row = self.run.table(self.run.step + number, 1)[0]
        with no_grad():
            for target, value in zip(self.run.targets, row, strict=True):
                assign(target, make(np.asarray(value)))
        loss, pred = self._one(*batch.tensors())
        losses = np.array([float(loss)])
        kept = np.asarray(pred) if self.keep else None
        return Block(losses, kept, batch, np.arange(len(batch))[None])

    def _one(self, x: Any, y: Any, weight: Any) -> tuple[Tensor, Tensor]:
        if self.compiles:
            try:
                self.native = self.native or compiled(self.eager)
                return self.native(x, y, weight)
            except (TraceError, CompileError) as reason:
                self._give_up(reason)
            except IndexError:  # nothing has changed: the eager step says what is wrong
                pass
        return self.eager(x, y, weight)

    def _natively(self, part: Part) -> Block:
        key = self._key(part)
        if key not in self.resident:
            self.resident[key] = Resident(self, part)
        resident, count = self.resident[key], len(part.positions)
        started = time.perf_counter()
        block = resident.take(part)
        each = (time.perf_counter() - started) / count
        if block.size >= self.size:
            self.size, self.ahead = block.size, min(max(int(CALL / each), 1), resident.room)
        return block

    def _key(self, part: Part) -> Any:
        parts = [None if a is None else (a.shape, a.dtype.str) for a in part.rows.parts]
        return (*parts, part.positions.shape[1], part.form.dtype, part.form.class_weight is None)

    def _give_up(self, reason: Exception) -> None:
        """Go on eagerly, unless compiled steps are what was asked for."""
        if self.run.recipe.jit is True:
            raise reason
        self.compiles, self.ahead = False, 1
        notice(f"{self.where}: runs eagerly, since the step cannot be compiled: {reason}")

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        """Between passes no data are held."""
        self.run = self.events = None
        for resident in self.resident.values():
            resident.release()


def steps_of(
    of: Callable[[Steps], Step], where: str, run: Any, events: Events, keep: bool
) -> Steps:
    """The steps of a kind for this run: compiled before, if they were the same."""
    recipe = run.recipe
    shy = events.of_step() if of is train_step else None
    parts = [*events.parts, *run.targets] if of is train_step else []
    key = (of, keep, shy, *map(id, parts))
    steps = recipe.steps.pop(key, None) or Steps(of, where, run, events, keep)
    recipe.steps[key] = steps  # the last one used is the last to go
    while len(recipe.steps) > KEPT:
        del recipe.steps[next(iter(recipe.steps))]
    steps.run, steps.events, steps.where = run, events, where
    if shy is not None and steps.compiles:
        written = next(e for e in INSIDE if any(c is shy for c, _ in events.calls[e]))
        steps._give_up(_inside(where, type(shy).__name__, written))
    if of is train_step and steps.compiles and not run.optimizer.compiled:
        must, fix = "the optimizer is Python", "Write it as a subclass of optim.Optimizer"
        steps._give_up(
            CompileError(message(where, must, "operations on tensors", run.optimizer.name, fix))
        )
    return steps


def _inside(where: str, name: str, event: str) -> CompileError:
    return CompileError(
        message(where, "a callback inside the step needs Python there", "none, or a class that is "
                "`compiled`", f"{name}.{event}", "Use after_batch where that will do")
    )  # fmt: skip


def compiled(step: Callable[..., Any]) -> Any:
    """`step`, compiled; llvmlite is imported here.

    Raises:  CompileError where there is no compiler.
    """
    from pierian.compiler.jit import jit

    native = jit(step)
    if native.reason:
        raise CompileError(
            message("compile", "steps need the compiler", "llvmlite and a CPU that it knows",
                    native.reason, "Install llvmlite again, or pass jit=False")
        )  # fmt: skip
    return native


class Resident:
    """Batches of rows in memory, gathered and stepped through in native code.

    All that changes from step to step is in tensors: which step it is, whose rows belong to each,
    numbers known ahead, and what loss and predictions came out. So one compiled step, repeated, is
    an epoch.
    """

    def __init__(self, steps: Steps, part: Part) -> None:
        self.steps, self.form = steps, part.form
        self.rows: Rows | None = None
        size = part.positions.shape[1]
        count = min(max(len(part.rows) // size, 1), CALLED, max(ROOM // (8 * size), 1))
        weighted = self.form.weighted(part.rows)
        self.kinds, self.targets = self.form.kinds(weighted), steps.run.targets
        self.data = [None if part is None else make(_hollow(part)) for part in weighted.parts]
        self.position = make(np.zeros((), int64))
        self.order = make(np.zeros((count, size), int64))
        self.table = make(np.zeros((count, len(self.targets)), float64))
        self.losses = make(np.zeros(count, float64))
        self.pred: Any = None  # (room, size, ...)
        self.room = count if not steps.keep else 1  # batches in a call; more when `pred` is there
        self.native = compiled(self.step)

    def batch(self) -> tuple[tuple[Tensor, ...], Any, Any]:
        """The rows whose turn it is, as a step wants them."""
        place = self.order[self.position]
        parts: list[Any] = [
            None if part is None else cast(part[place], kind)
            for part, kind in zip(self.data, self.kinds, strict=True)
        ]
        *x, y, weight = parts
        return tuple(x), y, weight

    def step(self) -> None:
        """One step, on the rows whose turn it is."""
        at = self.position
        with no_grad():
            row = self.table[at]
            for i, target in enumerate(self.targets):
                assign(target, row[i])
        loss, pred = self.steps.eager(*self.batch())
        self.losses[at] = cast(loss, float64)
        if self.steps.keep:
            if self.pred is None:  # its shape is known now
                self.room = max(ROOM // max(pred.numel() * pred.dtype.itemsize, 1), 1)
                self.room = min(self.room, len(self.losses))
                self.pred = make(np.zeros((self.room, *pred.shape), pred.dtype))
            self.pred[at] = pred
        at.add_(1)

    def take(self, part: Part) -> Block:
        """Steps on the rows at `part.positions`."""
        if self.rows is not part.rows:
            self._load(part.rows)
        count, run = len(part.positions), self.steps.run
        self.order.value[:count] = part.positions
        self.table.value[:count] = run.table(run.step, count)
        self.position.value[...] = 0
        try:
            self.native.repeat(count)
        except IndexError:  # nothing has changed: the eager step says what is wrong
            self.steps.eager(*self.batch())
            raise
        pred = None
        if self.pred is not None:
            pred = self.pred.value[:count].reshape(part.positions.size, *self.pred.shape[2:])
        return Block(self.losses.value[:count], pred, part.rows, part.positions)

    def _load(self, rows: Rows) -> None:
        for tensor, part in zip(self.data, self.form.weighted(rows).parts, strict=True):
            if tensor is not None:
                tensor.value = np.ascontiguousarray(part)
        self.rows = rows

    def release(self) -> None:
        """Hold no data."""
        self.rows = None
        for tensor in self.data:
            if tensor is not None:
                tensor.value = _hollow(tensor.value)


def _hollow(array: np.ndarray) -> np.ndarray:
    """An array of the same shape in the memory of one element."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)
