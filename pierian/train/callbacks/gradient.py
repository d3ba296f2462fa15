"""Gradients on their way to the optimizer: clipped, or gathered over several batches.

May import: base, core, optim, callback. These are part of the compiled step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.base.dtypes import bool_, float64
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, assign, make
from pierian.data.order import whole
from pierian.ops.operands import cast
from pierian.optim.clip import clip_grad_norm_, clip_grad_value_
from pierian.train.callback import Callback


class GradientClip(Callback):
    """Keep gradients small, by their common norm or element by element, inside the step.

    Args:    max_norm   of all gradients together.
             max_value  of every element.
             norm_type  p of the norm; math.inf for the largest element.
    Raises:  ValueError unless one of the two is given, and positive.
    """

    order = 5
    compiled = True

    def __init__(
        self, max_norm: float | None = None, *, max_value: float | None = None,
        norm_type: float = 2.0,
    ) -> None:  # fmt: skip
        given = [x for x in (max_norm, max_value) if x is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ValueError(
                message("GradientClip", "one limit must be given", "max_norm or max_value > 0",
                        f"max_norm={max_norm}, max_value={max_value}", "Pass max_norm=1.0")
            )  # fmt: skip
        self.max_norm, self.max_value, self.norm_type = max_norm, max_value, norm_type

    def after_grad(self, run: Any) -> None:
        params = [p for group in run.optimizer.param_groups for p in group["params"]]
        if self.max_norm is not None:
            clip_grad_norm_(params, self.max_norm, self.norm_type)
        elif self.max_value is not None:
            clip_grad_value_(params, self.max_value)


class GradientAccumulation(Callback):
    """Update after every `batches` batches, by the mean of their gradients, inside the step.

    What is left at the end of an epoch whose length is known makes an update of its own. The step
    count of the optimizer counts updates; schedules go on with every batch.

    Args:    batches  how many make an update, >= 1.
    """

    order = 4
    compiled = True

    def __init__(self, batches: int) -> None:
        fix = "Pass GradientAccumulation(4)"
        self.batches = whole("GradientAccumulation", "batches", batches, least=1, fix=fix)
        self.keep, self.share = make(np.zeros((), float64)), make(np.ones((), float64))
        self.update = make(np.ones((), float64))
        self.sums: dict[Tensor, Tensor] = {}

    def before_fit(self, run: Any) -> None:
        self.sums.clear()
        for group in run.optimizer.param_groups:
            for p in group["params"]:
                self.sums[p] = make(np.zeros_like(p.value))

    def targets(self) -> list[Any]:
        return [self.keep, self.share, self.update]

    def table(self, run: Any, steps: np.ndarray) -> np.ndarray:
        """Whether sums go on, what a batch counts in them, whether they are used."""
        batch = run.batch + steps - run.step
        first = batch // self.batches * self.batches
        last = first + self.batches - 1
        if run.batches is not None:
            last = np.minimum(last, run.batches - 1)
        return np.stack([batch > first, 1.0 / (last - first + 1), batch == last], 1)

    def after_grad(self, run: Any) -> None:
        with no_grad():
            for p, total in self.sums.items():
                if p.grad is not None:
                    share, keep = cast(self.share, p.dtype), cast(self.keep, p.dtype)
                    p.grad = assign(total, total * keep + p.grad * share).detach()
        run.update = cast(self.update, bool_)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": list(self.sums.values())}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        for total, value in zip(self.sums.values(), saved["sums"], strict=True):
            np.copyto(total.value, np.asarray(value))
