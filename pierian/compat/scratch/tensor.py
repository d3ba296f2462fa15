"""Tensors as nested lists: the text's helpers.

May import: base, nn.functional. Helpers take nested lists or arrays and give nested lists.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.base.lists import ListView, numbers, plain
from pierian.nn import functional as F

__all__ = [
    "Tensor", "argmax", "binary_encode", "dot", "fizz_buzz_encode", "is_1d", "one_hot_encode",
    "shape", "softmax", "tensor_apply", "tensor_combine", "tensor_sum", "zeros_like",
]  # fmt: skip

Tensor = list


def like(given: Any, result: np.ndarray) -> Any:
    """A copy of a result, as an array for an array, else as a list."""
    copy = result.copy()
    return copy if isinstance(given, np.ndarray) else ListView(copy)


def shape(tensor: Any) -> list[int]:
    """The lengths of a nested list, outermost first.

    >>> shape([[1, 2], [3, 4], [5, 6]])
    [3, 2]
    """
    tensor = plain(tensor)
    sizes = []
    while isinstance(tensor, list):
        sizes.append(len(tensor))
        tensor = tensor[0] if tensor else None
    return sizes


def is_1d(tensor: Any) -> bool:
    """Whether a tensor is a list of numbers, not of lists."""
    return len(shape(tensor)) == 1


def tensor_sum(tensor: Any) -> float:
    """The sum of all numbers of a tensor.

    >>> tensor_sum([[1, 2], [3, 4]])
    10
    """
    tensor = plain(tensor)
    return sum(map(tensor_sum, tensor)) if isinstance(tensor, list) else tensor


def tensor_apply(f: Callable[[float], float], tensor: Any) -> Any:
    """`f` of every number.

    >>> tensor_apply(lambda x: x + 1, [[1, 2], [3]])
    [[2, 3], [4]]
    """
    tensor = plain(tensor)
    return [tensor_apply(f, x) for x in tensor] if isinstance(tensor, list) else f(tensor)


def zeros_like(tensor: Any) -> Any:
    """0.0 in the shape of a tensor."""
    return tensor_apply(lambda _: 0.0, tensor)


def tensor_combine(f: Callable[[float, float], float], t1: Any, t2: Any) -> Any:
    """`f` of the numbers that stand at the same place of two tensors of one shape.

    >>> tensor_combine(max, [1, 5], [3, 2])
    [3, 5]
    """
    t1, t2 = plain(t1), plain(t2)
    if not isinstance(t1, list) and not isinstance(t2, list):
        return f(t1, t2)
    if not isinstance(t1, list) or not isinstance(t2, list) or len(t1) != len(t2):
        raise ShapeError(
            message("tensor_combine", "both tensors must have one shape", shape(t1), shape(t2),
                    "Print shape(...) of both")
        )  # fmt: skip
    return [tensor_combine(f, x, y) for x, y in zip(t1, t2, strict=True)]


def dot(v: Any, w: Any) -> float:
    """The sum of the products of two lists of numbers.

    >>> dot([1, 2], [3, 4])
    11
    """
    return tensor_sum(tensor_combine(operator.mul, v, w))


def softmax(tensor: Any) -> Any:
    """Along the last axis, numbers as probabilities.

    >>> softmax([[0.0, 0.0], [0.0, 1000.0]])
    [[0.5, 0.5], [0.0, 1.0]]
    """
    return F.softmax(numbers("softmax", tensor), axis=-1).tolist()


def argmax(xs: Any) -> int:
    """Where the largest number stands, the first one of equals.

    >>> argmax([0, -1, 10, 5])
    2
    """
    xs = [*plain(xs)]
    return xs.index(max(xs))


def one_hot_encode(i: int, num_labels: int = 10) -> list[float]:
    """1.0 at place `i`, else 0.0.

    Raises:  IndexError unless 0 <= i < num_labels.
    """
    if not 0 <= i < num_labels:
        raise IndexError(
            message("one_hot_encode", "a label counts from 0", f"0 ... {num_labels - 1}", i,
                    "Pass num_labels, the number of different labels")
        )  # fmt: skip
    return [1.0 if i == j else 0.0 for j in range(num_labels)]


def binary_encode(x: int) -> list[int]:
    """The ten lowest binary digits of a number, the lowest first.

    >>> binary_encode(6)
    [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    """
    return [x >> place & 1 for place in range(10)]


def fizz_buzz_encode(x: int) -> list[int]:
    """One of four classes, one-hot: the number itself, fizz, buzz, fizzbuzz.

    >>> fizz_buzz_encode(30)
    [0, 0, 0, 1]
    """
    kind = (x % 3 == 0, x % 5 == 0)
    return [int(kind == k) for k in ((False, False), (True, False), (False, True), (True, True))]
