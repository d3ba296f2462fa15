"""Special functions against Python's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pierian.base import special


def test_erf_is_within_four_units_in_the_last_place() -> None:
    tiny = 10.0 ** np.linspace(-300, 0, 3001)
    x = np.concatenate([np.linspace(-7, 7, 100_001), tiny, -tiny, [special.SPLIT, special.ONE]])
    exact = np.array([math.erf(v) for v in x.tolist()])
    assert (np.abs(special.erf(x) - exact) <= 4 * np.spacing(np.abs(exact))).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_erf_keeps_dtype_shape_edges_and_oddness(dtype: str) -> None:
    x = np.array([[0.0, -0.0, np.inf], [-np.inf, np.nan, 1e-30]], dtype)
    y = special.erf(x.T)
    assert y.dtype == x.dtype
    assert y.shape == (3, 2)
    assert np.array_equal(y.T[0], [0, 0, 1])
    assert np.signbit(y.T[0]).tolist() == [False, True, False]
    assert y.T[1, 0] == -1
    assert np.isnan(y.T[1, 1])
    z = np.linspace(0, 8, 3 * special.CHUNK + 5).astype(dtype)
    assert (special.erf(-z) == -special.erf(z)).all()
    rising = np.diff(special.erf(z).astype(np.float64))
    assert (rising >= -2 * np.finfo(dtype).eps).all()
    assert special.erf(np.zeros((0, 2), dtype)).shape == (0, 2)
    assert special.erf(np.array(1.0, dtype)).shape == ()
