"""Clipping of gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pierian as pr
from pierian.core.tensor import Tensor
from pierian.optim import clip_grad_norm_, clip_grad_value_


def params(dtype: str = "float32") -> list[Tensor]:
    given = [pr.zeros(2, dtype=dtype), pr.zeros(2, 2, dtype=dtype), pr.zeros(1, dtype=dtype)]
    for p in given:
        p.requires_grad_()
    given[0].grad = pr.tensor([3.0, -4.0], dtype=dtype)
    given[1].grad = pr.tensor([[0.0, 12.0], [0.0, 0.0]], dtype=dtype)
    return given  # the last has no gradient


def grads(given: list[Tensor]) -> np.ndarray:
    return np.concatenate([p.grad.numpy().ravel() for p in given if p.grad is not None])


NORMS = {1: 19.0, 2: 13.0, 3: (27 + 64 + 1728) ** (1 / 3), math.inf: 12.0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", NORMS)
def test_norm_is_measured_and_cut(p: float, dtype: str) -> None:
    given = params(dtype)
    before = grads(given).copy()
    memory = given[0].grad.numpy()
    total = clip_grad_norm_(given, 2.0, p)
    assert total.dtype == dtype
    assert total.item() == pytest.approx(NORMS[p], rel=1e-6)
    np.testing.assert_allclose(grads(given), before * 2.0 / (NORMS[p] + 1e-6), rtol=1e-6)
    assert given[0].grad.numpy() is memory


def test_small_gradients_stay_as_they_are() -> None:
    given = params()
    before = grads(given).copy()
    assert clip_grad_norm_((p for p in given), 13.5).item() == 13.0
    np.testing.assert_array_equal(grads(given), before)


def test_norm_of_nothing_is_zero() -> None:
    assert clip_grad_norm_([], 1.0).item() == 0.0
    assert clip_grad_norm_(pr.zeros(2), 1.0).item() == 0.0


def test_norm_of_zero_gradients_divides_by_nothing() -> None:
    p = pr.zeros(2)
    p.grad = pr.zeros(2)
    assert clip_grad_norm_(p, 1.0).item() == 0.0
    assert p.grad.tolist() == [0.0, 0.0]


def test_nan_spreads_where_it_can_be_seen() -> None:
    given = params()
    given[0].grad = pr.tensor([math.nan, 1.0])
    assert math.isnan(clip_grad_norm_(given, 1.0).item())
    assert np.isnan(grads(given)).all()


def test_values_are_cut_off() -> None:
    given = params()
    clip_grad_value_(given, 3.5)
    assert grads(given).tolist() == [3.0, -3.5, 0.0, 3.5, 0.0, 0.0]
    clip_grad_value_(given[0], 0)
    assert given[0].grad.tolist() == [0.0, 0.0]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError) as error:
        clip_grad_norm_(params(), -1.0)
    assert str(error.value) == (
        "clip_grad_norm_: max_norm must be in its range; expected >= 0, got -1.0. Change max_norm."
    )
    with pytest.raises(ValueError, match="norm_type must be in its range; expected > 0, got 0"):
        clip_grad_norm_(params(), 1.0, 0)
    with pytest.raises(ValueError, match="clip_value must be in its range"):
        clip_grad_value_(params(), -0.5)
