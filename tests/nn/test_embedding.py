"""Embedding: rows by id, the one that is not trained, and complaints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn import functional as F
from pierian.testing import compare, gradcheck

IDS = np.array([[1, 0, 4], [4, 4, 2]])


def test_embedding_gives_the_rows_that_ids_name() -> None:
    layer = nn.Embedding(5, 3)
    for dtype in ("int64", "uint8", "int32"):
        compare(dtype, layer(IDS.astype(dtype)), layer.weight.numpy()[IDS], within=0)
    assert layer(np.zeros((0, 2), int)).shape == (0, 2, 3)
    assert layer(np.int64(3)).shape == (3,)


def test_embedding_starts_standard_normal_with_zeros_for_padding() -> None:
    layer = nn.Embedding(300, 100, padding_idx=-1)
    values = layer.weight.numpy()
    assert layer.padding_idx == 299
    assert not values[299].any()
    assert abs(values[:299].mean()) < 0.02
    assert abs(values[:299].std() - 1) < 0.02


@pytest.mark.parametrize("padding", [None, 0, 4])
def test_gradients_add_up_per_id_but_not_for_padding(padding: int | None) -> None:
    layer = nn.Embedding(5, 3, padding_idx=padding)
    layer(IDS).sum().backward()
    counts = np.bincount(IDS.ravel(), minlength=5).astype("float32")
    if padding is not None:
        counts[padding] = 0
    compare("gradient", layer.weight.grad, np.repeat(counts[:, None], 3, 1), within=0)
    weight = np.random.default_rng(0).normal(size=(5, 3))
    if padding is None:
        gradcheck(lambda w: F.embedding(IDS, w) ** 2, weight)


def test_embedding_matches_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    ours, theirs = nn.Embedding(5, 3, padding_idx=4), torch.nn.Embedding(5, 3, padding_idx=4)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    y, ty = ours(IDS), theirs(torch.tensor(IDS))
    (y * y).sum().backward()
    (ty * ty).sum().backward()
    compare("value", y, ty.detach().numpy(), within=0)
    compare("gradient", ours.weight.grad, theirs.weight.grad.numpy())


COMPLAINTS: dict[str, tuple[type[Exception], Any, str]] = {
    "floats": (
        pr.DtypeError, lambda: nn.Embedding(5, 3)(np.zeros((2, 2))),
        "embedding: ids must be whole numbers; expected int64, got x of float32. Cast with "
        "x.long().",
    ),
    "padding": (
        pr.ShapeError, lambda: nn.Embedding(5, 3, padding_idx=5),
        "Embedding: padding_idx must be one of the ids; expected 0 <= padding_idx < 5, got 5. Pass "
        "padding_idx=0.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_embedding_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


def test_ids_out_of_range_are_refused() -> None:
    with pytest.raises(IndexError, match="index must lie inside axis 0"):
        nn.Embedding(5, 3)(np.array([5]))


def test_vectors_start_as_told() -> None:
    assert float(nn.Embedding(500, 4, initializer="uniform").weight.abs().max()) <= 0.05
    layer = nn.Embedding(3, 4, 1, initializer="ones")
    assert layer.weight.sum(1).tolist() == [4.0, 0.0, 4.0]
