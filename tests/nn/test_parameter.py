"""Parameter and Buffer: what they print, share and keep when copied."""

from __future__ import annotations

import copy
import pickle

import numpy as np

import pierian as pr
from pierian import nn


def test_parameter_requires_gradients_unless_told() -> None:
    assert nn.Parameter([1.0]).requires_grad
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert repr(nn.Parameter([1.0], False)) == "Parameter([1.], dtype=float32)"


def test_parameter_shares_memory_and_keeps_the_dtype() -> None:
    array = np.zeros(2)
    parameter = nn.Parameter(array)
    array[0] = 1
    assert (parameter.tolist(), parameter.dtype) == ([1.0, 0.0], np.dtype("float64"))
    assert nn.Parameter(pr.ones(2) * 2).is_leaf


def test_buffer_is_not_trained_and_copies_with_its_flag() -> None:
    buffer = nn.Buffer(pr.ones(2), persistent=False)
    assert not buffer.requires_grad
    twin = copy.deepcopy(buffer)
    assert (type(twin), twin.persistent, twin.tolist()) == (nn.Buffer, False, [1.0, 1.0])
    assert not np.shares_memory(twin.numpy(), buffer.numpy())
    again = pickle.loads(pickle.dumps(buffer))
    assert (type(again), again.persistent, again.tolist()) == (nn.Buffer, False, [1.0, 1.0])


def test_results_of_operations_are_plain_tensors() -> None:
    assert type(nn.Parameter([1.0]) * 2) is pr.Tensor
    assert type(nn.Buffer([1.0]) + 1) is pr.Tensor
