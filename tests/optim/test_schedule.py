"""Schedules: PyTorch's sequences, closed forms, checkpoints, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pierian as pr
from pierian import optim
from pierian.base.errors import CheckpointError
from pierian.optim import schedule
from pierian.optim.schedule import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Schedule,
    StepLR,
    WarmupLR,
)
from tests.optim import cases

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
WITHOUT_PEER = {"LambdaLR", "WarmupLR"}  # functions and our own; tested below


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
        (lambda o: LambdaLR(o, [float, float]), "number of functions must be in its range"),
        (lambda o: MultiStepLR(optim.SGD(), [1]), "expected one with parameters, got SGD(0 param"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError) as error:
        make(optimizer(1.0))
    assert text in str(error.value)
