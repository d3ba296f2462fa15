"""Schedules: the learning rate as a function of the step.

May import: base, optimizer. To add one: a subclass of `Schedule` with `at(step, lr)`, a closed
form; and a row in the tests' table.

A schedule sets the learning rate of every group when it is made (step 0) and at each `step()`,
by writing into the group's tensor. `rates(n)` asks for any step without changing anything. Two
schedules on one optimizer do not combine, the last to write wins; for a warm-up before another
schedule see `WarmupLR`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pierian.base.errors import CheckpointError, lookup, message
from pierian.optim.optimizer import Optimizer


class Schedule:
    """Base of all schedules; this one keeps the learning rates as they are.

    Args:    optimizer  whose groups are written to; their learning rates now are the base.
             base_lrs   other rates to start from, one per group.
    Raises:  ValueError for settings out of range, or an optimizer without parameters.
    """

    def __init__(self, optimizer: Optimizer, base_lrs: list[float] | None = None) -> None:
        self._check("optimizer", optimizer, bool(optimizer.param_groups), "one with parameters")
        self.optimizer = optimizer
        now = [float(group["lr"]) for group in optimizer.param_groups]
        self.base_lrs = now if base_lrs is None else base_lrs
        found = len(self.base_lrs)
        self._check("number of rates", found, found == len(now), len(now))
        self.steps = 0
        self._write()

    def at(self, step: int, lr: float) -> float:
        """The learning rate at `step` (0 is the first) of a group that has `lr` as its base."""
        return lr

    def rates(self, step: int) -> list[float]:
        """The learning rate of each group at `step`."""
        return [self.at(step, lr) for lr in self.base_lrs]

    def step(self) -> None:
        """Go one step on, and write the new learning rates."""
        self.steps += 1
        self._write()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands; its settings come from the constructor."""
        return {"steps": self.steps, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go to where a `state_dict` was taken, learning rates included.

        Raises:  CheckpointError when the number of groups differs.
        """
        if len(saved["base_lrs"]) != len(self.base_lrs):
            raise CheckpointError(
                message(type(self).__name__, "a saved schedule must fit the groups",
                        self.base_lrs, saved["base_lrs"], "Nothing was loaded")
            )  # fmt: skip
        self.steps, self.base_lrs[:] = int(saved["steps"]), saved["base_lrs"]
        self._write()

    def _write(self) -> None:
        groups = self.optimizer.param_groups
        # a group added since joins with the learning rate it came with
        self.base_lrs += [float(group["lr"]) for group in groups[len(self.base_lrs) :]]
        for group, lr in zip(groups, self.rates(self.steps), strict=True):
            group["lr"] = lr

    def _check(self, name: str, value: object, holds: bool, expected: object) -> None:
        if not holds:
            must = f"{name} must be in its range"
            raise ValueError(message(type(self).__name__, must, expected, value, f"Change {name}"))


class ConstantLR(Schedule):
    """`factor`·lr for `total_iters` steps, then lr."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        return lr * self.factor if step < self.total_iters else lr


class LinearLR(Schedule):
    """From `start_factor`·lr to `end_factor`·lr along a line of `total_iters` steps.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)], lr=1.0)
    >>> schedule = pr.optim.schedule.LinearLR(optimizer, 0.5, 1.0, total_iters=2)
    >>> [schedule.rates(step)[0] for step in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:  # fmt: skip
        self._check("total_iters", total_iters, total_iters > 0, "a number > 0")
        self.total_iters, self.start_factor, self.end_factor = total_iters, start_factor, end_factor
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        done = min(step, self.total_iters) / self.total_iters
        return lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class StepLR(Schedule):
    """lr·`gamma`^k after every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self._check("step_size", step_size, step_size > 0, "a number > 0")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        return lr * self.gamma ** (step // self.step_size)


class MultiStepLR(Schedule):
    """lr times `gamma` from each of the steps in `milestones` on."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        return lr * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(Schedule):
    """lr·`gamma`^step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        return lr * self.gamma**step


class CosineAnnealingLR(Schedule):
    """Half a wave of the cosine from lr down to `eta_min` in `T_max` steps, and up again after.

    Source:  Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self._check("T_max", T_max, T_max > 0, "a number > 0")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def at(self, step: int, lr: float) -> float:
        return _cosine(lr, self.eta_min, step / self.T_max)


class LambdaLR(Schedule):
    """lr·f(step), for a function of your own or one per group."""

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ) -> None:  # fmt: skip
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rates(self, step: int) -> list[float]:
        given = self.lr_lambda
        groups = len(self.base_lrs)
        functions = given if isinstance(given, Sequence) else [given] * groups
        self._check("number of functions", len(functions), len(functions) == groups, groups)
        return [lr * f(step) for lr, f in zip(self.base_lrs, functions, strict=True)]


class WarmupLR(Schedule):
    """From `start_factor`·lr to lr in `total_iters` steps; then as the schedule `after` says.

    Args:    after  a schedule of the same optimizer; its step 0 comes when the warm-up is over.
                    Call `step()` of the warm-up only.
    Source:  Goyal et al. 2017, arXiv:1706.02677.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)], lr=1.0)
    >>> decay = pr.optim.schedule.ExponentialLR(optimizer, 0.5)
    >>> schedule = pr.optim.schedule.WarmupLR(optimizer, 2, start_factor=0.0, after=decay)
    >>> [schedule.rates(step)[0] for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, start_factor: float = 0.1,
        after: Schedule | None = None,
    ) -> None:  # fmt: skip
        self._check("total_iters", total_iters, total_iters > 0, "a number > 0")
        self.total_iters, self.start_factor, self.after = total_iters, start_factor, after
        super().__init__(optimizer, None if after is None else after.base_lrs)  # one list

    def rates(self, step: int) -> list[float]:
        later = max(step - self.total_iters, 0)
        rates = self.base_lrs if self.after is None else self.after.rates(later)
        done = min(step / self.total_iters, 1.0)
        return [lr * (self.start_factor + (1.0 - self.start_factor) * done) for lr in rates]


class OneCycleLR(Schedule):
    """Up from `max_lr`/`div_factor` to `max_lr`, then down to that start/`final_div_factor`.

    Args:    max_lr            the peak, for all groups or one per group.
             total_steps       length of the cycle; or give epochs and steps_per_epoch. Later
                               steps stay at the end.
             pct_start         share of the steps that go up.
             anneal_strategy   "cos" or "linear": the form of the ways up and down.
             three_phase       come down to the start as fast as up, and from there to the end.
    Raises:  ValueError for settings out of range.
    Source:  Smith and Topin 2018, arXiv:1708.07120, with PyTorch's defaults, which are fastai's
             but for the end. Momentum is left alone: set `group["betas"]` to cycle it.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)])
    >>> schedule = pr.optim.schedule.OneCycleLR(optimizer, max_lr=1.0, total_steps=11)
    >>> [round(schedule.rates(step)[0], 3) for step in (0, 1, 2, 6, 10)]
    [0.04, 0.422, 0.96, 0.531, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float],
        total_steps: int | None = None, epochs: int | None = None,
        steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", *, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False,
    ) -> None:  # fmt: skip
        steps = total_steps or (epochs or 0) * (steps_per_epoch or 0)
        self._check("total_steps", steps, steps > 0, "a number > 0")
        self._check("pct_start", pct_start, 0 <= pct_start <= 1, "a number in [0, 1]")
        lookup("OneCycleLR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.between = _cosine if anneal_strategy == "cos" else _linear
        top, self.start = pct_start * steps - 1, 1.0 / div_factor
        # (last step, factor of max_lr there) of each phase; the first begins at (0, start)
        phases = [(top, 1.0), (2 * top, self.start), (steps - 1, self.start / final_div_factor)]
        self.phases = phases if three_phase else phases[::2]
        peaks = (
            [*max_lr] if isinstance(max_lr, Sequence) else [max_lr] * len(optimizer.param_groups)
        )
        super().__init__(optimizer, peaks)

    def at(self, step: int, lr: float) -> float:
        before, factor = 0.0, self.start
        for last, target in self.phases:
            if step <= last:
                done = (step - before) / (last - before) if last > before else 1.0
                return lr * self.between(factor, target, done)
            before, factor = last, target
        return lr * factor


def _linear(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * done)) / 2.0
