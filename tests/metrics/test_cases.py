"""Every metric on the table: scikit-learn's values, batches of any kind, state, nothing at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import metrics
from pierian.base.errors import CheckpointError, DtypeError
from pierian.metrics import Mean, Metric
from tests.metrics.cases import CASES, Case, Data

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))["values"]
DATA = Data()
LARGE = Data(1200)  # beyond the 128 numbers that NumPy adds up in one go
OF_A_FUNCTION = Case("Mean", lambda d: d.curve, lambda d: d.points, lambda sk, d, w: None,
                     {"function": lambda p, t: (p - t).abs().mean()})  # fmt: skip
ALL = CASES | {"mean of a function": OF_A_FUNCTION}


def made(case: Case) -> Metric:
    return getattr(metrics, case.kind)(**case.settings)


def shown(
    metric: Metric, case: Case, data: Data, weighted: bool, *cuts: int, batch: int | None = None
) -> Metric:
    """The metric, after the rows between each cut and the next."""
    pred, target, weight = case.pred(data), case.target(data), data.weight
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        rows = slice(start, stop)
        metric.update(pred[rows], target[rows], weight[rows] if weighted else None, batch)
    return metric


def bits(metric: Metric) -> dict[str, Any]:
    state = metric.state_dict() | {"compute": metric.compute()}
    return {key: (np.shape(value), np.asarray(value).tobytes()) for key, value in state.items()}


def same(found: Any, expected: Any) -> None:
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_metric_is_scikit_learns_over_unequal_batches(name: str, weighted: bool) -> None:
    found = shown(made(CASES[name]), CASES[name], DATA, weighted, 0, 10, 11, 11, 44, 60).compute()
    same(found, GOLDEN[name][weighted])
    assert type(found) is (np.ndarray if np.ndim(found) else float)
    assert made(CASES[name]).scalar == (np.ndim(found) == 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metric_is_what_scikit_learn_says_now(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    data = Data(200, seed)
    for case in CASES.values():
        for weighted in (False, True):
            found = shown(made(case), case, data, weighted, 0, 77, 200).compute()
            same(found, case.oracle(sklearn, data, data.weight if weighted else None))


def test_every_metric_is_on_the_table() -> None:
    public = {name for name in metrics.__all__ if isinstance(getattr(metrics, name), type)}
    assert public - {"Metric"} == {case.kind for case in ALL.values()}
    assert {type(metrics.get(name)).__name__ for name in metrics.NAMES} == public - {
        "Metric",
        "Mean",
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_the_bits_do_not_depend_on_how_batches_come_together(name: str, weighted: bool) -> None:
    case = ALL[name]
    for batch in (1, 3, 8, 150, 400):
        alone = shown(made(case), case, LARGE, weighted, *range(0, 1201, batch))
        whole = shown(made(case), case, LARGE, weighted, 0, 1200, batch=batch)
        some = shown(made(case), case, LARGE, weighted, 0, batch, batch * (800 // batch), 1200,
                     batch=batch)  # fmt: skip
        assert bits(alone) == bits(whole) == bits(some)


@pytest.mark.parametrize("name", ALL)
def test_state_goes_on_to_the_bit(name: str) -> None:
    case = ALL[name]
    for cut in (0, 25, 60):
        first = shown(made(case), case, DATA, True, 0, cut)
        state = first.state_dict()
        kinds = {type(value) for value in state.values()}
        assert state and kinds <= {float, int, bool, np.ndarray}
        before = {key: np.array(value) for key, value in state.items()}
        second = shown(made(case), case, DATA, True, 0, 7)
        second.load_state_dict(state)
        for metric in (first, second):
            shown(metric, case, DATA, True, cut, 60)
        assert bits(first) == bits(second)
        for key, value in before.items():  # nobody wrote into what was saved
            np.testing.assert_array_equal(value, state[key])
        first.reset()
        first.load_state_dict(second.state_dict())
        assert bits(first) == bits(second)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_nan_and_reset_forgets(name: str) -> None:
    case = ALL[name]
    metric = made(case)
    fresh = bits(metric)
    shown(metric, case, DATA, False, 0, 60)
    full = bits(metric)
    metric.reset()
    assert bits(metric) == fresh != full
    assert metric.compute().size == 0 if np.ndim(metric.compute()) else math.isnan(metric.compute())
    assert bits(shown(metric, case, DATA, False, 0, 60)) == full
    metric.reset()
    shown(metric, case, DATA, False, 0, 0)  # an empty batch
    assert np.isnan(metric.compute()).all() or not np.any(metric.compute())


@pytest.mark.parametrize("name", ALL)
def test_tensors_and_columns_are_read_like_arrays(name: str) -> None:
    case = ALL[name]
    pred, target = case.pred(DATA), case.target(DATA)
    expected = bits(shown(made(case), case, DATA, True, 0, 60))
    column = target[..., None] if target.ndim == 1 and pred.ndim == 2 else target
    for p, t in ((pr.tensor(pred), pr.tensor(target)), (pred, column)):
        metric = made(case)
        metric.update(p, t, pr.tensor(DATA.weight))
        assert bits(metric) == expected


class Longest(Metric):
    """A metric of somebody else's: settings, then state, some of both set in odd places."""

    def __init__(self, limit: float) -> None:
        self.best = 0.0
        self.limit = limit
        super().__init__()
        self.note = "kept out of the state"

    def reset(self) -> None:
        super().reset()
        self.best = 0.0
        self.places = np.zeros(2)

    def add(self, pred: Any, target: Any, weight: Any, batch: int | None) -> None:
        self.best = max(self.best, min(float(pred.max()), self.limit))
        self.places[1] += len(pred)

    def compute(self) -> float:
        return self.best


def test_state_of_ones_own_metric_is_what_reset_sets() -> None:
    metric = Longest(8.0)
    metric.update(np.array([3.0, 5.0]), np.zeros(2))
    state = metric.state_dict()
    assert set(state) == {"total", "count", "best", "places"}
    metric.update(np.array([9.0]), np.zeros(1))
    assert metric.compute() == 8.0
    metric.load_state_dict(state)
    assert metric.compute() == 5.0
    assert metric.places.tolist() == [0.0, 2.0] and metric.note


class Listing(Metric):
    def reset(self) -> None:
        self.seen: list[float] = []


def test_state_that_cannot_be_saved_or_loaded_says_so() -> None:
    with pytest.raises(DtypeError) as wrong:
        Listing().state_dict()
    assert str(wrong.value) == (
        "listing: seen must be of a kind that can be saved; expected a number or an array, got "
        "list. Or override state_dict and load_state_dict."
    )
    metric = metrics.MAE()
    metric.update(np.ones(3), np.zeros(3))
    for saved in ({"total": 1.0}, {}, {"total": 1.0, "count": 1.0, "mean": 0.0}):
        with pytest.raises(CheckpointError, match="the saved metric must be of the same kind"):
            metric.load_state_dict(saved)
    with pytest.raises(DtypeError):
        metric.load_state_dict({"total": 1.0, "count": [1.0]})
    assert metric.compute() == 1.0
    with pytest.raises(CheckpointError):
        metrics.AUC().load_state_dict({})


def test_rows_of_a_batch_are_shown_together_to_a_function() -> None:
    sizes: list[int] = []
    metric = Mean(lambda p, t: sizes.append(len(p)) or p.mean())
    metric.update(np.ones(6), np.ones(6), batch=2)
    assert sizes == [2, 2, 2]
