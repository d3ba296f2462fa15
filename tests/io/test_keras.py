"""Weights in the layout of Keras: the product that they stand for, and both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pierian as pr
from pierian import io, nn

rng = np.random.default_rng(0)


def test_kernels_have_inputs_before_outputs() -> None:
    parts = [nn.Dense(7), nn.Linear(3, 2), nn.Conv2D(5, 2), nn.Embedding(6, 3)]
    parts[0].build((4,))
    parts[2](np.zeros((1, 3, 3, 3), "float32"))
    shapes = [[w.shape for w in io.to_keras(part)] for part in parts]
    assert shapes == [[(4, 7), (7,)], [(3, 2), (2,)], [(2, 2, 3, 5), (5,)], [(6, 3)]]


def test_arrays_compute_what_the_layers_compute() -> None:
    dense, conv = nn.Dense(7, input_shape=(4,)), nn.Conv2D(5, 2, input_shape=(2, 2, 3))
    x, image = rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=(1, 2, 2, 3))
    kernel, bias = io.to_keras(dense)
    assert np.allclose(dense(x), x @ kernel + bias, atol=1e-6)
    kernel, bias = io.to_keras(conv)
    assert np.allclose(conv(image)[0, 0, 0], np.tensordot(image[0], kernel, 3) + bias, atol=1e-5)


def test_what_was_given_comes_back_or_nothing_is_written() -> None:
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = io.to_keras(made)
    assert len(before) == 2 + 4  # kernel, bias; gamma, beta, mean, variance
    changed = [array + 1 for array in before]
    io.from_keras(made, changed)
    assert all(np.array_equal(a, b) for a, b in zip(io.to_keras(made), changed, strict=True))
    assert made[0].weight.shape == (4, 3)
    for wrong in (before[:-1], [before[0].T, *before[1:]]):
        with pytest.raises(pr.ShapeError, match="weights of Keras"):
            io.from_keras(made, wrong)
    with pytest.raises(pr.DtypeError, match="number type"):
        io.from_keras(made, [*before[:-1], np.array(list("abcd"))])
    assert all(np.array_equal(a, b) for a, b in zip(io.to_keras(made), changed, strict=True))
    with pytest.raises(pr.ShapeError, match="build"):
        io.to_keras(nn.Dense(3))


def test_weights_alone_are_saved_by_modules_themselves(tmp_path: Path) -> None:
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    one.save_weights(tmp_path / "weights")
    assert other.load_weights(tmp_path / "weights").missing_keys == []
    assert np.array_equal(one.weight, other.weight)
