"""Schedules: the learning rate as a function of the step.

May import: base, core, optimizer. To add one: a subclass of `Schedule` with `curve(steps, lr)`, a
closed form; a row in the tests' table; and one in `NAMES` when a name should stand for it.

A schedule sets the learning rate of every group when it is made (step 0) and at each `step()`, by
writing into the group's tensor. `rates(n)` asks for any step without changing anything, `table`
for many steps at once, with the same bits: what runs many steps in one go writes its columns into
`targets()`. Two schedules on one optimizer do not combine, the last to write wins; for a warm-up
before another schedule see `WarmupLR`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pierian.base.dtypes import float64
from pierian.base.errors import CheckpointError, lookup, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.optim.group import Group
from pierian.optim.optimizer import Optimizer

Rates = float | np.ndarray  # one for all steps, or one for each


class Schedule:
    """Base of all schedules; this one keeps the learning rates as they are.

    Args:    optimizer  whose groups are written to; their learning rates now are the base.
             base_lrs   other rates to start from, one per group.
    Raises:  ValueError for settings out of range, an optimizer without parameters, or a rate that
             comes out negative or not finite.
    """

    def __init__(self, optimizer: Optimizer, base_lrs: list[float] | None = None) -> None:
        self._check("optimizer", optimizer, bool(optimizer.param_groups), "one with parameters")
        self.optimizer = optimizer
        now = self.get_last_lr()
        self.base_lrs = now if base_lrs is None else base_lrs
        found = len(self.base_lrs)
        self._check("number of rates", found, found == len(now), len(now))
        self.steps = 0
        self._write()

    # What a schedule says

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        """The learning rates at `steps` (0 is the first) of a group that has `lr` as its base.

        Shapes:  steps (n,) -> (n,) or a number for all of them.
        Dtypes:  int64 -> float64. Powers by `np.float_power`: `**` has other last bits on arrays.
        """
        return lr

    def columns(self, steps: np.ndarray) -> list[Rates]:
        """The `curve` of each target: first the learning rate of every group, then the rest."""
        return [self.curve(steps, lr) for lr in self.base_lrs]

    def targets(self) -> list[Tensor]:
        """The tensors that the schedule drives, 0-d and float64, in the order of `columns`."""
        return [group["lr"] for group in self.optimizer.param_groups]

    # What one asks it

    def at(self, step: int | np.ndarray, lr: float) -> Any:
        """`curve` for one step, as a float, or for an array of steps, as an array."""
        steps = np.atleast_1d(np.asarray(step, np.int64))
        found = np.empty(len(steps))
        found[:] = self.curve(steps, lr)
        return found if np.ndim(step) else found.item()

    def table(self, steps: np.ndarray) -> np.ndarray:
        """What the `targets` have at each of `steps`; nothing is written.

        Shapes:  steps (n,) -> (n, number of targets).
        Dtypes:  integers -> float64.
        """
        # a group added since joins with the learning rate it came with
        self.base_lrs += self.get_last_lr()[len(self.base_lrs) :]
        steps = np.asarray(steps, np.int64)
        found = np.empty((len(steps), len(self.targets())))
        for i, column in enumerate(self.columns(steps)):
            found[:, i] = column
        right = (found >= 0) & np.isfinite(found)
        self._check("rates", found[~right][:1], bool(right.all()), "numbers >= 0")
        return found

    def rates(self, step: int) -> list[float]:
        """The learning rate of each group at `step`."""
        row = self.table(np.array([step]))[0].tolist()
        return row[: len(self.base_lrs)]

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

    @no_grad()
    def _write(self) -> None:
        row = self.table(np.array([self.steps]))[0]
        for target, value in zip(self.targets(), row.tolist(), strict=True):
            assign(target, as_tensor(value, float64))

    def _check(self, name: str, value: object, holds: bool, expected: object) -> None:
        _check(type(self).__name__, name, value, holds, expected)

    def _positive(self, **settings: float) -> None:
        for name, value in settings.items():
            self._check(name, value, value > 0, "a number > 0")


class ConstantLR(Schedule):
    """`factor`·lr for `total_iters` steps, then lr."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        return lr * np.where(steps < self.total_iters, self.factor, 1.0)


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
        self._positive(total_iters=total_iters)
        self.total_iters, self.start_factor, self.end_factor = total_iters, start_factor, end_factor
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        done = np.minimum(steps, self.total_iters) / self.total_iters
        return lr * _linear(self.start_factor, self.end_factor, done)


class PolynomialLR(Schedule):
    """From lr to 0 in `total_iters` steps, as (1 - step / total_iters)^`power`."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self._positive(total_iters=total_iters)
        self._check("power", power, power >= 0, "a number >= 0")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        left = 1.0 - np.minimum(steps, self.total_iters) / self.total_iters
        return lr * np.float_power(left, self.power)


class StepLR(Schedule):
    """lr·`gamma`^k after every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self._positive(step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        return lr * np.float_power(self.gamma, steps // self.step_size)


class MultiStepLR(Schedule):
    """lr times `gamma` from each of the steps in `milestones` on."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        passed = np.searchsorted(self.milestones, steps, side="right")
        return lr * np.float_power(self.gamma, passed)


class ExponentialLR(Schedule):
    """lr·`gamma`^step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        return lr * np.float_power(self.gamma, steps)


class RangeTestLR(Schedule):
    """From `start_lr` to `end_lr` in `total_iters` steps, each the same factor above the last.

    The learning-rate range test: the loss over such a run shows which rates a model bears. All
    groups get the same rate, whatever they had.

    Source:  Smith 2017, arXiv:1506.01186, in whose test the rate grows along a line; fastai's
             `lr_find` has this form and these defaults.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)])
    >>> schedule = pr.optim.schedule.RangeTestLR(optimizer, 0.01, 100.0, total_iters=5)
    >>> [round(schedule.rates(step)[0], 6) for step in range(6)]
    [0.01, 0.1, 1.0, 10.0, 100.0, 100.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_lr: float = 1e-7, end_lr: float = 10.0,
        total_iters: int = 100,
    ) -> None:  # fmt: skip
        self._positive(start_lr=start_lr, end_lr=end_lr, total_iters=total_iters)
        self.start_lr, self.end_lr, self.total_iters = start_lr, end_lr, total_iters
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        last = max(self.total_iters - 1, 1)
        done = np.minimum(steps, last) / last
        return self.start_lr * np.float_power(self.end_lr / self.start_lr, done)


class CosineAnnealingLR(Schedule):
    """Half a wave of the cosine from lr down to `eta_min` in `T_max` steps, and up again after.

    Source:  Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self._positive(T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        return _cosine(lr, self.eta_min, steps / self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """Half a wave of the cosine from lr down to `eta_min`, and then from lr again.

    Args:    T_0      steps of the first wave.
             T_mult   how many times as long as the one before each wave is.
             eta_min  where the waves end; no step is on it, since a new wave begins there.
    Source:  Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)], lr=1.0)
    >>> schedule = pr.optim.schedule.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> [round(schedule.rates(step)[0], 3) for step in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0
    ) -> None:
        self._positive(T_0=T_0)
        whole = T_mult >= 1 and T_mult == int(T_mult)
        self._check("T_mult", T_mult, whole, "a whole number >= 1")
        self.T_0, self.T_mult = T_0, int(T_mult)
        self.eta_min = eta_min
        super().__init__(optimizer)

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        if self.T_mult == 1:
            done = steps % self.T_0 / self.T_0
        else:
            starts = [0, self.T_0]
            while starts[-1] <= steps.max(initial=0):
                starts.append(starts[-1] * self.T_mult + self.T_0)
            after = np.searchsorted(starts, steps, side="right")
            begun = np.take(starts, after - 1)
            done = (steps - begun) / (np.take(starts, after) - begun)
        return _cosine(lr, self.eta_min, done)


class LambdaLR(Schedule):
    """lr·f(step), for a function of your own or one per group."""

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ) -> None:  # fmt: skip
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def columns(self, steps: np.ndarray) -> list[Rates]:
        given = self.lr_lambda
        groups = len(self.base_lrs)
        functions = given if isinstance(given, Sequence) else [given] * groups
        self._check("number of functions", len(functions), len(functions) == groups, groups)
        found: list[Rates] = []
        for lr, f in zip(self.base_lrs, functions, strict=True):
            factors = [float(f(step)) for step in steps.tolist()]
            found.append(lr * np.array(factors))
        return found


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
        self._positive(total_iters=total_iters)
        same = after is None or after.optimizer is optimizer
        self._check("after", after, same, "a schedule of the same optimizer")
        self.total_iters, self.start_factor, self.after = total_iters, start_factor, after
        super().__init__(optimizer, None if after is None else after.base_lrs)  # one list

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        done = np.minimum(steps / self.total_iters, 1.0)
        return lr * _linear(self.start_factor, 1.0, done)

    def columns(self, steps: np.ndarray) -> list[Rates]:
        if self.after is None:
            return super().columns(steps)
        later = np.maximum(steps - self.total_iters, 0)
        found = self.after.columns(later)
        groups = len(self.base_lrs)
        rates = [self.curve(steps, lr) for lr in found[:groups]]
        return rates + found[groups:]

    def targets(self) -> list[Tensor]:
        if self.after is None:
            return super().targets()
        return self.after.targets()


class OneCycleLR(Schedule):
    """Up from `max_lr`/`div_factor` to `max_lr`, then down to that start/`final_div_factor`.

    Momentum goes the other way: down while the learning rate goes up, and up again.

    Args:    max_lr            the peak, for all groups or one per group; None: what they have.
             total_steps       length of the cycle; or give epochs and steps_per_epoch. Later
                               steps stay at the end.
             pct_start         share of the steps that go up.
             anneal_strategy   "cos" or "linear": the form of the ways up and down.
             cycle_momentum    drive momentum (`betas[0]` where the rule has betas) too; None: in
                               the groups that have one. A momentum of 0 is switched off, and
                               stays so.
             base_momentum, max_momentum  momentum at the peak, and at the start and the end.
             three_phase       come down to the start as fast as up, and from there to the end.
             moms              fastai's three momenta, at the start, the peak and the end, in place
                               of the two.
    Raises:  ValueError for settings out of range, or no momentum where cycle_momentum=True.
    Source:  Smith and Topin 2018, arXiv:1708.07120, with PyTorch's defaults. fastai's are
             pct_start=0.25 and an end of max_lr / 1e5: final_div_factor=4e3.

    >>> import pierian as pr
    >>> optimizer = pr.optim.Adam([pr.zeros(1)])
    >>> schedule = pr.optim.schedule.OneCycleLR(optimizer, max_lr=1.0, total_steps=11)
    >>> schedule.table([0, 1, 2, 6, 10]).round(3).tolist()
    [[0.04, 0.95], [0.422, 0.91], [0.96, 0.854], [0.531, 0.897], [0.0, 0.95]]
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float] | None = None,
        total_steps: int | None = None, epochs: int | None = None,
        steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool | None = None,
        base_momentum: float = 0.85, max_momentum: float = 0.95, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False,
        *, moms: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        steps = total_steps or (epochs or 0) * (steps_per_epoch or 0)
        self._positive(total_steps=steps)
        self._check("pct_start", pct_start, 0 <= pct_start <= 1, "a number in [0, 1]")
        lookup("OneCycleLR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.between = _cosine if anneal_strategy == "cos" else _linear
        top, low = pct_start * steps - 1, 1.0 / div_factor
        # where each phase ends, and what is there: factors of max_lr, momenta
        self.lasts = [top, steps - 1]
        self.factors = [low, 1.0, low / final_div_factor]
        self.moms = [*(moms or (max_momentum, base_momentum, max_momentum))]
        good = len(self.moms) == 3 and all(0 <= m < 1 for m in self.moms)
        self._check("momenta", self.moms, good, "three numbers in [0, 1)")
        if three_phase:
            self.lasts.insert(1, 2 * top)
            self.factors.insert(2, low)
            self.moms.insert(2, self.moms[0])
        self.optimizer, self.cycle_momentum = optimizer, cycle_momentum is not False
        wanted = cycle_momentum is not True or bool(self._momenta())
        self._check("cycle_momentum", optimizer, wanted, "an optimizer with momentum or betas")
        if max_lr is not None and not isinstance(max_lr, Sequence):
            max_lr = [max_lr] * len(optimizer.param_groups)
        super().__init__(optimizer, None if max_lr is None else [*max_lr])

    def curve(self, steps: np.ndarray, lr: Rates) -> Rates:
        return lr * self._anneal(steps, self.factors)

    def columns(self, steps: np.ndarray) -> list[Rates]:
        momentum = self._anneal(steps, self.moms)
        return super().columns(steps) + [momentum] * len(self._momenta())

    def targets(self) -> list[Tensor]:
        return super().targets() + self._momenta()

    def _momenta(self) -> list[Tensor]:
        groups = self.optimizer.param_groups if self.cycle_momentum else []
        return [x for x in map(_momentum, groups) if x is not None]

    def _anneal(self, steps: np.ndarray, values: list[float]) -> np.ndarray:
        """From each of `values` to the next along the phases; then the last."""
        found = np.full(len(steps), values[-1])
        phases = zip(pairwise([0.0, *self.lasts]), pairwise(values), strict=True)
        for (before, last), (start, end) in reversed([*phases]):  # where two overlap, the first
            length = last - before
            done = (steps - before) / length if length > 0 else 1.0
            inside = self.between(start, end, done)
            found = np.where(steps <= last, inside, found)
        return found


def _check(where: str, name: str, value: object, holds: bool, expected: object) -> None:
    if not holds:
        must = f"{name} must be in its range"
        raise ValueError(message(where, must, expected, value, f"Change {name}"))


def _momentum(group: Group) -> Tensor | None:
    """The setting of `group` that a cycle of momentum drives."""
    if group.is_live("betas"):
        return group["betas"][0]
    return group["momentum"] if group.is_live("momentum") else None


def _linear(start: Rates, end: Rates, done: Rates) -> Rates:
    return start + (end - start) * done


def _cosine(start: Rates, end: Rates, done: Rates) -> Rates:
    wave = 1.0 + np.cos(np.pi * done)
    return end + (start - end) * wave / 2.0


def _cosine_waves(
    optimizer: Optimizer, total_iters: int, restarts: int = 0, eta_min: float = 0.0
) -> Schedule:
    good = 0 <= restarts < total_iters
    _check('get("cosine")', "restarts", restarts, good, f"a number in [0, {total_iters})")
    if restarts:
        length = math.ceil(total_iters / (restarts + 1))
        return CosineAnnealingWarmRestarts(optimizer, length, eta_min=eta_min)
    return CosineAnnealingLR(optimizer, total_iters, eta_min)


# name -> what makes it, and its settings for a training of n steps
NAMES: dict[str, tuple[Callable[..., Schedule], Callable[[int], dict[str, Any]]]] = {
    "constant": (Schedule, lambda n: {}),
    "linear": (
        LinearLR,
        lambda n: {"start_factor": 1.0, "end_factor": 0.0, "total_iters": n},
    ),
    "cosine": (_cosine_waves, lambda n: {"total_iters": n}),
    "one-cycle": (OneCycleLR, lambda n: {"total_steps": n}),
    "step": (StepLR, lambda n: {"step_size": math.ceil(n / 3)}),
    "polynomial": (PolynomialLR, lambda n: {"total_iters": n}),
    "exponential": (ExponentialLR, lambda n: {"gamma": 0.01 ** (1 / n)}),  # ends at lr / 100
}


def get(
    name: str, optimizer: Optimizer, total_steps: int, *, warmup: int = 0, **settings: Any
) -> Schedule:
    """The schedule that a name stands for, for a training of `total_steps` steps.

    The learning rates that the groups have are the peak.

    Args:    name      one of `NAMES`: constant; linear, polynomial and cosine, which go to 0;
                       exponential, to a hundredth; step, to a tenth after each third; one-cycle.
             warmup    steps that rise from 0 to the peak first; the schedule has the rest.
             settings  others for the class behind the name; cosine takes restarts and eta_min.
    Raises:  ValueError for an unknown name or setting, and for settings out of range.

    >>> import pierian as pr
    >>> optimizer = pr.optim.SGD([pr.zeros(1)], lr=1.0)
    >>> schedule = pr.optim.schedule.get("cosine", optimizer, 6, warmup=2)
    >>> [round(schedule.rates(step)[0], 3) for step in range(7)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    kind, defaults = NAMES[lookup("schedule", "schedule", name, NAMES)]
    where = f'get("{name}")'
    known = [*inspect.signature(kind).parameters, "warmup"]
    _check(where, "total_steps", total_steps, total_steps > 0, "a number > 0")
    good = 0 <= warmup < total_steps
    _check(where, "warmup", warmup, good, f"a number in [0, {total_steps})")
    for key in settings:
        lookup(where, "setting", key, known[1:])
    settings = {**defaults(total_steps - warmup), **settings}
    made = kind(optimizer, **settings)
    return WarmupLR(optimizer, warmup, 0.0, after=made) if warmup else made
