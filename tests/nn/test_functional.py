"""Functions of nn that are not tested through a layer or a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.nn import functional as F
from pierian.testing import gradcheck


def test_normalize_divides_by_the_norm_of_any_kind() -> None:
    x = pr.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert F.normalize(x).numpy() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))
    assert F.normalize(x, 1.0).numpy()[0] == pytest.approx([3 / 7, 4 / 7])
    assert F.normalize(x, axis=0).numpy() == pytest.approx(np.array([[1.0, 1.0], [0.0, 0.0]]))
    gradcheck(lambda x: F.normalize(x), np.array([[1.0, 2.0], [-3.0, 0.5]]))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_normalize_matches_torch(p: float) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    theirs = torch.nn.functional.normalize(torch.tensor(x), p, 1).numpy()
    np.testing.assert_allclose(F.normalize(x, p, 1).numpy(), theirs, rtol=1e-6)


def test_dropout_is_the_tensor_itself_outside_training() -> None:
    x = pr.ones(3)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.5, generator=pr.Generator(1)).dtype == x.dtype
    half = F.dropout(pr.ones(100, dtype="float16"), 0.5)
    assert half.dtype == np.float16


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_dropout_refuses_what_is_no_share(p: Any) -> None:
    with pytest.raises(ValueError, match="dropout: p is the share that is dropped"):
        F.dropout(pr.ones(3), p)
