"""Schedules: PyTorch's sequences, closed forms, tables, names, checkpoints, errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import optim
from pierian.base.errors import CheckpointError
from pierian.optim import schedule
from pierian.optim.schedule import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    RangeTestLR,
    Schedule,
    StepLR,
    WarmupLR,
)
from tests.optim import cases

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
WITHOUT_PEER = {"LambdaLR", "RangeTestLR", "WarmupLR"}  # functions and our own; tested below


def optimizer(*lrs: float) -> optim.Optimizer:
    return optim.SGD([{"params": pr.zeros(1), "lr": lr} for lr in lrs or (1.0,)])


def walk(made: Schedule, steps: int) -> list[list[float]]:
    """The learning rates in the groups at the first steps."""
    found = []
    for _ in range(steps):
        found.append([float(group["lr"]) for group in made.optimizer.param_groups])
        made.step()
    return found


@pytest.mark.parametrize("row", cases.SCHEDULES)
def test_schedule_follows_pytorch(row: str) -> None:
    name, settings = cases.SCHEDULES[row]
    made = getattr(schedule, name)(optimizer(0.1, 0.4), **settings)
    closed = [made.rates(step) for step in range(cases.LENGTH)]
    walked = walk(made, cases.LENGTH)
    assert closed == walked
    for found, expected in zip(walked, GOLDEN["schedules"][row], strict=True):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_every_schedule_is_in_the_table() -> None:
    names = {kind.__name__ for kind in Schedule.__subclasses__()}
    assert names == {name for name, _ in cases.SCHEDULES.values()} | WITHOUT_PEER
    assert GOLDEN["schedules"].keys() == cases.SCHEDULES.keys()


def test_schedule_writes_when_made_and_at_each_step() -> None:
    target = optimizer(1.0)
    lr = target.lr
    made = ConstantLR(target, factor=0.5, total_iters=2)
    assert (float(lr), made.get_last_lr()) == (0.5, [0.5])
    assert walk(made, 4) == [[0.5], [0.5], [1.0], [1.0]]
    assert target.lr is lr


def after_warmup(target: optim.Optimizer) -> Schedule:
    return WarmupLR(target, 5, after=OneCycleLR(target, 1.0, 3000))


LONG = {  # what has last bits to differ in, for long runs
    "cosine": lambda o: CosineAnnealingLR(o, 2999, 1e-3),
    "restarts": lambda o: CosineAnnealingWarmRestarts(o, 97, 2),
    "restarts alike": lambda o: CosineAnnealingWarmRestarts(o, 97),
    "exponential": lambda o: ExponentialLR(o, 0.9993),
    "polynomial": lambda o: PolynomialLR(o, 3001, 0.9),
    "range test": lambda o: RangeTestLR(o, total_iters=3000),
    "one cycle": lambda o: OneCycleLR(o, 1.0, 3000, three_phase=True),
    "lambda": lambda o: LambdaLR(o, lambda step: 1 / (1 + 0.1 * step)),
    "warmup": after_warmup,
}


@pytest.mark.parametrize("row", [*cases.SCHEDULES, *LONG])
def test_table_has_the_bits_of_single_steps(row: str) -> None:
    target = optim.Adam([{"params": pr.zeros(1), "lr": lr} for lr in (0.1, 0.37)])
    if row in LONG:
        made = LONG[row](target)
    else:
        name, settings = cases.SCHEDULES[row]
        made = getattr(schedule, name)(target, **settings)
    steps = np.arange(3100)
    whole = made.table(steps)
    assert (whole.dtype, whole.shape) == (np.float64, (3100, len(made.targets())))
    for length in (1, 2, 3, 5, 8, 13, 64, 1000):
        for first in (0, 1, 7, 1000, 2097):
            part = slice(first, first + length)
            assert np.array_equal(made.table(steps[part]), whole[part])
    assert np.array_equal(made.table(steps[::-3]), whole[::-3])
    assert [made.rates(step) for step in range(0, 3100, 31)] == whole[::31, :2].tolist()
    curve = made.at(steps, 0.25)
    assert [made.at(step, 0.25) for step in range(0, 3100, 31)] == curve[::31].tolist()
    assert made.steps == 0 and made.table(steps[:0]).shape == (0, len(made.targets()))


def test_formulas_have_the_bits_of_python() -> None:
    steps = np.arange(500)
    power = ExponentialLR(optimizer(1.0), 0.9993).table(steps)[:, 0]
    assert power.tolist() == [0.9993**step for step in range(500)]
    line = LinearLR(optimizer(1.0), 0.1, 0.9, 499).table(steps)[:, 0]
    assert line.tolist() == [0.1 + (0.9 - 0.1) * (step / 499) for step in range(500)]


@pytest.mark.parametrize("row", cases.CYCLES)
def test_one_cycle_drives_momentum_as_pytorch(row: str) -> None:
    rule, own, settings = cases.CYCLES[row]
    target = getattr(optim, rule)([pr.zeros(1)], **own)
    made = OneCycleLR(target, 1.0, cases.LENGTH, cycle_momentum=True, **settings)
    group = target.param_groups[0]
    momentum = group["betas"][0] if "betas" in group else group["momentum"]
    assert [id(tensor) for tensor in made.targets()] == [id(group["lr"]), id(momentum)]
    table = made.table(np.arange(cases.LENGTH))
    walked = []
    for _ in range(cases.LENGTH):
        walked.append([float(tensor) for tensor in made.targets()])
        made.step()
    assert walked == table.tolist()
    assert table[:, 1] == pytest.approx(GOLDEN["momenta"][row], rel=1e-9)
    assert GOLDEN["momenta"].keys() == cases.CYCLES.keys()
    saved = json.loads(json.dumps({**made.state_dict(), "steps": 3}))
    made.load_state_dict(saved)
    assert [float(tensor) for tensor in made.targets()] == walked[3]


def test_one_cycle_leaves_momentum_that_is_off_alone() -> None:
    groups = [{"params": pr.zeros(1), "momentum": m} for m in (0.9, 0, 0.5)]
    target = optim.SGD(groups)
    both = [target.param_groups[i]["momentum"] for i in (0, 2)]
    made = OneCycleLR(target, 1.0, 10, moms=(0.9, 0.7, 0.8))
    assert [id(tensor) for tensor in made.targets()[3:]] == [id(tensor) for tensor in both]
    found = made.table(np.array([0, 2, 9, 50]))[:, 3:]
    assert found == pytest.approx(np.array([[0.9, 0.9], [0.7, 0.7], [0.8, 0.8], [0.8, 0.8]]))
    assert [float(tensor) for tensor in both] == [0.9, 0.9]
    assert len(OneCycleLR(target, 1.0, 10, cycle_momentum=False).targets()) == 3
    assert len(OneCycleLR(optimizer(), 1.0, 10).targets()) == 1


def test_three_phases_of_given_momenta_come_back_to_the_first() -> None:
    target = optim.Adam([pr.zeros(1)])
    made = OneCycleLR(target, 1.0, 20, moms=(0.9, 0.7, 0.8), three_phase=True)
    assert made.table(np.array([0, 5, 10, 19]))[:, 1] == pytest.approx([0.9, 0.7, 0.9, 0.8])


def test_warmup_hands_on_the_momentum_of_what_follows() -> None:
    target = optim.Adam([pr.zeros(1)], lr=1.0)
    made = WarmupLR(target, 4, 0.0, after=OneCycleLR(target, None, 10))
    assert made.table(np.array([0, 2, 4]))[:, 0] == pytest.approx([0.0, 0.02, 0.04])
    assert made.table(np.array([0, 4, 6, 13]))[:, 1] == pytest.approx([0.95, 0.95, 0.85, 0.95])
    assert float(target.param_groups[0]["betas"][0]) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="expected a schedule of the same optimizer"):
        WarmupLR(optimizer(), after=StepLR(target, 1))


def test_range_test_grows_by_the_same_factor_for_all_groups() -> None:
    made = RangeTestLR(optimizer(0.1, 0.4))
    table = made.table(np.arange(102))
    assert table[:100, 0] == pytest.approx(np.geomspace(1e-7, 10.0, 100))
    assert table[-1] == pytest.approx([10.0, 10.0])
    assert np.array_equal(table[:, 0], table[:, 1])
    assert RangeTestLR(optimizer(), total_iters=1).rates(0) == [1e-7]


NAMED: dict[str, tuple[float, float, float]] = {  # highest, at the last of 10 steps, after it
    "constant": (1.0, 1.0, 1.0),
    "linear": (1.0, 0.1, 0.0),
    "cosine": (1.0, (1 + math.cos(0.9 * math.pi)) / 2, 0.0),
    "one-cycle": (1.0, 4e-6, 4e-6),
    "step": (1.0, 0.01, 0.01),
    "polynomial": (1.0, 0.1, 0.0),
    "exponential": (1.0, 0.01**0.9, 0.01),
}


@pytest.mark.parametrize("name", schedule.NAMES)
def test_name_stands_for_a_schedule_with_the_rates_as_peak(name: str) -> None:
    made = schedule.get(name, optimizer(0.5, 1.0), 10)
    table = made.table(np.arange(11))
    high, last, end = NAMED[name]
    assert [table[:, 1].max(), *table[9:, 1]] == pytest.approx([high, last, end], abs=1e-9)
    assert table[:, 0] == pytest.approx(table[:, 1] / 2)
    warm = schedule.get(name, optimizer(0.5, 1.0), 13, warmup=3)
    assert warm.table(np.arange(3, 14)) == pytest.approx(table)
    first = table[0, 1]
    assert warm.table(np.arange(3))[:, 1] == pytest.approx([0.0, first / 3, first * 2 / 3])


def test_name_takes_the_settings_of_its_schedule() -> None:
    waves = schedule.get("cosine", optimizer(1.0), 10, restarts=2, eta_min=0.2)
    assert waves.table(np.array([0, 2, 4, 8, 9]))[:, 0] == pytest.approx(
        [1.0, 0.6, 1.0, 1.0, 0.8828427125]
    )
    half = schedule.get("step", optimizer(1.0), 10, step_size=5, gamma=0.5)
    assert half.rates(9) == [0.5]
    cycle = schedule.get("one-cycle", optimizer(1.0), 10, max_lr=3.0)
    assert cycle.rates(2) == pytest.approx([3.0])


def test_base_schedule_keeps_the_rate() -> None:
    assert walk(Schedule(optimizer(0.25)), 2) == [[0.25], [0.25]]


def test_lambda_takes_a_function_or_one_per_group() -> None:
    assert walk(LambdaLR(optimizer(1.0, 2.0), lambda step: 1 / (1 + step)), 2) == [[1, 2], [0.5, 1]]
    several = LambdaLR(optimizer(1.0, 2.0), [lambda step: 1.0, lambda step: float(step)])
    assert walk(several, 2) == [[1.0, 0.0], [1.0, 2.0]]


def test_warmup_rises_and_hands_over() -> None:
    alone = WarmupLR(optimizer(1.0), 4, start_factor=0.0)
    assert walk(alone, 6) == [[0.0], [0.25], [0.5], [0.75], [1.0], [1.0]]
    target = optimizer(1.0, 0.5)
    made = WarmupLR(target, 2, 0.5, after=StepLR(target, 2, 0.5))
    assert walk(made, 6) == [
        [0.5, 0.25], [0.75, 0.375], [1.0, 0.5], [1.0, 0.5], [0.5, 0.25], [0.5, 0.25]
    ]  # fmt: skip
    target = optimizer(1.0)
    cycle = OneCycleLR(target, max_lr=2.5, total_steps=10)
    assert WarmupLR(target, 1, after=cycle).rates(1) == cycle.rates(0) == pytest.approx([0.1])


def test_one_cycle_stays_at_its_end() -> None:
    made = OneCycleLR(optimizer(), 1.0, total_steps=5)
    end = 1.0 / 25 / 1e4
    assert made.rates(4) == pytest.approx([end])
    assert made.rates(5) == made.rates(500) == [end]
    assert made.base_lrs == [1.0]


@pytest.mark.parametrize(("steps", "share"), [(1, 0.3), (10, 0.1), (10, 0.0), (10, 1.0)])
def test_one_cycle_of_any_length_is_finite(steps: int, share: float) -> None:
    made = OneCycleLR(optimizer(), 1.0, total_steps=steps, pct_start=share)
    rates = [made.rates(step)[0] for step in range(steps + 2)]
    assert all(0 < rate <= 1 for rate in rates)


def test_state_dict_resumes_the_schedule() -> None:
    made = CosineAnnealingLR(optimizer(0.5, 1.0), T_max=8)
    walk(made, 3)
    saved = json.loads(json.dumps(made.state_dict()))
    assert saved == {"steps": 3, "base_lrs": [0.5, 1.0]}
    resumed = CosineAnnealingLR(optimizer(0.3, 0.3), T_max=8)
    resumed.load_state_dict(saved)
    assert walk(resumed, 8) == walk(made, 8)
    with pytest.raises(CheckpointError) as error:
        CosineAnnealingLR(optimizer(0.5), T_max=8).load_state_dict(saved)
    assert str(error.value) == (
        "CosineAnnealingLR: a saved schedule must fit the groups; expected [0.5], got [0.5, 1.0]. "
        "Nothing was loaded."
    )


def test_groups_that_come_later_join() -> None:
    target = optimizer(1.0)
    made = WarmupLR(target, 1, after=ExponentialLR(target, 0.5))
    walk(made, 2)
    target.add_param_group({"params": pr.zeros(1), "lr": 8.0})
    assert walk(made, 2) == [[0.5, 8.0], [0.25, 2.0]]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda o: StepLR(o, 0), "StepLR: step_size must be in its range; expected a number > 0"),
        (lambda o: LinearLR(o, total_iters=0), "LinearLR: total_iters must be in its range"),
        (lambda o: WarmupLR(o, 0), "WarmupLR: total_iters must be in its range"),
        (lambda o: CosineAnnealingLR(o, 0), "CosineAnnealingLR: T_max must be in its range"),
        (lambda o: OneCycleLR(o, 1.0), "OneCycleLR: total_steps must be in its range"),
        (lambda o: OneCycleLR(o, 1.0, 5, pct_start=1.5), "pct_start must be in its range"),
        (lambda o: OneCycleLR(o, 1.0, 5, anneal_strategy="cosine"), "Did you mean 'cos'?"),
        (
            lambda o: OneCycleLR(o, [1.0, 2.0], 5),
            "number of rates must be in its range; expected 1",
        ),
        (lambda o: OneCycleLR(o, 1.0, 5, max_momentum=1.0), "expected three numbers in [0, 1)"),
        (lambda o: OneCycleLR(o, 1.0, 5, moms=(0.9, 0.8)), "momenta must be in its range"),
        (
            lambda o: OneCycleLR(o, 1.0, 5, cycle_momentum=True),
            "expected an optimizer with momentum or betas, got SGD(1 parameters, lr=1.0)",
        ),
        (lambda o: PolynomialLR(o, 0), "PolynomialLR: total_iters must be in its range"),
        (lambda o: PolynomialLR(o, power=-1), "PolynomialLR: power must be in its range"),
        (lambda o: CosineAnnealingWarmRestarts(o, 0), "T_0 must be in its range"),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, 1.5), "expected a whole number >= 1, got 1.5"),
        (lambda o: RangeTestLR(o, 0.0), "RangeTestLR: start_lr must be in its range"),
        (lambda o: LambdaLR(o, lambda step: -1.0), "rates must be in its range; expected numbers"),
        (lambda o: LambdaLR(o, lambda step: float("nan")), "expected numbers >= 0, got [nan]"),
        (
            lambda o: schedule.get("cosin", o, 5),
            "expected one of constant, cosine, exponential, linear, one-cycle, polynomial, step, "
            "got 'cosin'. Did you mean 'cosine'?",
        ),
        (
            lambda o: schedule.get("step", o, 5, gama=0.5),
            'get("step"): setting must be a known name; expected one of gamma, step_size, warmup',
        ),
        (lambda o: schedule.get("step", o, 5, warmup=5), "expected a number in [0, 5), got 5"),
        (lambda o: schedule.get("step", o, 0), "total_steps must be in its range"),
        (lambda o: schedule.get("cosine", o, 5, restarts=-1), "restarts must be in its range"),
        (lambda o: LambdaLR(o, [float, float]), "number of functions must be in its range"),
        (lambda o: MultiStepLR(optim.SGD(), [1]), "expected one with parameters, got SGD(0 param"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError) as error:
        make(optimizer(1.0))
    assert text in str(error.value)
