"""Steps: what is done with a batch, and the three ways of doing it.

May import: base, core, ops, nn, compiler, and this room. A step is one function of tensors that
looks at no value. It runs eagerly; compiled, a batch at a time; or, where the rows are in memory
and nothing asks for Python between batches, compiled with many batches in one native call.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.dtypes import float64, int64
from pierian.base.errors import CompileError, TraceError, message
from pierian.base.notice import notice
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, make
from pierian.nn.module import Module
from pierian.ops.operands import cast
from pierian.train.feed import Feed, Form, Rows
from pierian.train.recipe import Recipe

Step = Callable[[tuple[Tensor, ...], Tensor, Any], tuple[Tensor, Tensor]]
CALL = 0.1  # seconds of steps in one native call: Ctrl-C and the display wait no longer
ROOM = 4 << 20  # bytes of predictions that may wait to be counted
CALLED = 4096  # steps in one native call at most


def train_step(model: Module, recipe: Recipe) -> Step:
    """The step of training, a function of tensors: (x, y, weight) -> (loss, prediction)."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        pred = model(*x)
        loss = recipe.loss(y, pred, weight)
        loss.backward()
        recipe.optimizer.step()
        recipe.optimizer.zero_grad()
        return loss.detach(), pred.detach()

    return step


def test_step(model: Module, recipe: Recipe) -> Step:
    """The step of evaluation; as that of training, without the update."""

    def step(x: tuple[Tensor, ...], y: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
        with no_grad():
            pred = model(*x)
            return recipe.loss(y, pred, weight), pred

    return step


@dataclass(frozen=True)
class Block:
    """What some batches, one after the other, came to.

    losses     (batches,)
    pred       of all their rows, (batches · rows of each, ...)
    rows       where their rows are from
    positions  which of them, (batches, rows of each)
    """

    losses: np.ndarray
    pred: np.ndarray
    rows: Rows
    positions: np.ndarray

    def __len__(self) -> int:
        return self.positions.size

    @property
    def target(self) -> Any:
        """The targets of all rows."""
        return self.rows[self.positions.ravel()].y

    def batches(self) -> Iterator[Block]:
        """Each batch for itself."""
        size = self.positions.shape[1]
        for i, positions in enumerate(self.positions):
            pred = self.pred[i * size : (i + 1) * size]
            yield Block(self.losses[i : i + 1], pred, self.rows, positions[None])


class Steps:
    """The steps of one kind of a model, kept with its recipe so that each compiles once.

    Args:  of  `train_step` or `test_step`.
    """

    def __init__(self, of: Callable[[Module, Recipe], Step], model: Module, recipe: Recipe) -> None:
        self.recipe, self.eager = recipe, of(model, recipe)
        self.compiles = recipe.jit is not False
        self.native: Any = None
        self.resident: dict[Any, Resident] = {}

    def one(self, where: str, batch: Rows) -> Block:
        """One step on one batch."""
        loss, pred = self._one(where, *batch.tensors())
        losses = np.array([float(loss)])
        return Block(losses, np.asarray(pred), batch, np.arange(len(batch))[None])

    def _one(self, where: str, x: Any, y: Any, weight: Any) -> tuple[Tensor, Tensor]:
        if self.compiles:
            try:
                self.native = self.native or compiled(self.eager)
                return self.native(x, y, weight)
            except (TraceError, CompileError) as reason:
                self._give_up(where, reason)
            except IndexError:  # nothing has changed: the eager step says what is wrong
                pass
        return self.eager(x, y, weight)

    def _give_up(self, where: str, reason: Exception) -> None:
        """Go on eagerly, unless compiled steps are what was asked for."""
        if self.recipe.jit is True:
            raise reason
        self.compiles = False
        notice(f"{where}: runs eagerly, since the step cannot be compiled: {reason}")

    def blocks(self, feed: Feed) -> Iterator[Block] | None:
        """The next epoch in native calls; None where it must go batch by batch."""
        batches, rows = feed.batches(), feed.rows
        if not self.compiles or batches is None or rows is None:
            return None
        feed.form.convert(rows[:1])  # says what is converted
        rows = feed.form.weighted(rows)
        blocks = (
            block
            for part in batches
            for block in self._resident(feed.form, rows, *part.shape).run(rows, part)
        )
        try:
            first = next(blocks)
        except (TraceError, CompileError) as reason:
            self._give_up(feed.form.where, reason)
            return None
        feed.skip()
        return itertools.chain([first], blocks)

    def _resident(self, form: Form, rows: Rows, count: int, size: int) -> Resident:
        """The program for `count` batches of `size` of these rows."""
        parts = [None if a is None else (a.shape, a.dtype.str) for a in rows.parts]
        key = (*parts, len(rows.x), size, form.dtype)
        if key not in self.resident:
            self.resident[key] = Resident(self.eager, form, rows, min(count, CALLED), size)
        return self.resident[key]


def steps_of(of: Callable[[Module, Recipe], Step], model: Module, recipe: Recipe) -> Steps:
    """The steps of a kind that belong to the recipe."""
    if of not in recipe.steps:
        recipe.steps[of] = Steps(of, model, recipe)
    return recipe.steps[of]


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
    and what loss and predictions came out. So one compiled step, repeated, is an epoch.
    """

    def __init__(self, eager: Step, form: Form, rows: Rows, count: int, size: int) -> None:
        self.eager, self.kinds = eager, form.kinds(rows)
        self.data = [None if part is None else make(_hollow(part)) for part in rows.parts]
        self.position = make(np.zeros((), int64))
        self.order = make(np.zeros((count, size), int64))
        self.losses = make(np.zeros(count, float64))
        self.pred: Any = None  # (count, size, ...)
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
        loss, pred = self.eager(*self.batch())
        if self.pred is None:  # its shape is known now
            count = max(ROOM // max(pred.numel() * pred.dtype.itemsize, 1), 1)
            shape = (min(count, len(self.losses)), *pred.shape)
            self.pred = make(np.zeros(shape, pred.dtype))
        self.losses[at] = cast(loss, float64)
        self.pred[at] = pred
        at.add_(1)

    def run(self, rows: Rows, positions: np.ndarray) -> Iterator[Block]:
        """Steps on the rows at `positions` (batches, rows of each), as blocks."""
        for tensor, part in zip(self.data, rows.parts, strict=True):
            if tensor is not None:
                tensor.value = np.ascontiguousarray(part)
        done, count = 0, 1
        try:
            while count:
                chosen = positions[done : done + count]
                self.order.value[:count] = chosen
                self.position.value[...] = 0
                started = time.perf_counter()
                self.repeat(count)
                each = (time.perf_counter() - started) / count
                pred = self.pred.value[:count].reshape(chosen.size, *self.pred.shape[2:])
                yield Block(self.losses.value[:count], pred, rows, chosen)
                done += count
                count = min(max(int(CALL / each), 1), len(self.pred), len(positions) - done)
        finally:
            for tensor in self.data:  # between epochs no data are held
                if tensor is not None:
                    tensor.value = _hollow(tensor.value)

    def repeat(self, count: int) -> None:
        """Steps in native code; of one that fails, the eager step says what is wrong."""
        try:
            self.native.repeat(count)
        except IndexError:
            self.eager(*self.batch())
            raise


def _hollow(array: np.ndarray) -> np.ndarray:
    """An array of the same shape in the memory of one element."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)
