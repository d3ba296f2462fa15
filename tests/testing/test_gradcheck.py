"""gradcheck and agree must fail on what is wrong, and say where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.testing import agree, compare, gradcheck

X = np.array([[0.3, -1.2, 2.0], [0.7, 1.1, -0.4]])


def custom(forward: Any, backward: Any) -> Any:
    fn = pr.custom_vjp(forward)
    fn.defvjp(lambda x: (forward(x), x), backward)
    return fn


def test_gradcheck_accepts_trees_and_several_outputs() -> None:
    def fn(tree: Any, b: Any) -> Any:
        return {"sum": tree["w"] @ b, "rest": [pr.exp(tree["w"]), (b > 0)]}

    gradcheck(fn, {"w": X, "label": np.array([1, 2])}, np.array([1.0, 2.0, -1.0]))


def test_gradcheck_rejects_a_wrong_first_derivative() -> None:
    wrong = custom(lambda x: x * x, lambda x, g: (2.001 * x * g,))
    with pytest.raises(AssertionError, match=r"floating leaf 0.*must match finite differences"):
        gradcheck(wrong, X, order=1)


def test_gradcheck_rejects_a_wrong_second_derivative_only() -> None:
    wrong = custom(lambda x: x * x, lambda x, g: (2 * x.detach() * g,))
    gradcheck(wrong, X, order=1)
    with pytest.raises(AssertionError, match="gradient of"):
        gradcheck(wrong, X, order=2)


def test_gradcheck_rejects_nan() -> None:
    wrong = custom(lambda x: x * 1.0, lambda x, g: (g * np.nan,))
    with pytest.raises(AssertionError, match="got nan"):
        gradcheck(wrong, X, order=1)


def test_gradcheck_takes_float32_with_its_own_step() -> None:
    gradcheck(lambda x: pr.tanh(x).sum(), X.astype(np.float32), order=1)


def test_gradcheck_of_empty_and_of_functions_without_floating_results() -> None:
    gradcheck(pr.exp, np.zeros((0, 3)))
    gradcheck(lambda x: x > 0, X)


def test_agree_finds_each_kind_of_difference() -> None:
    x = pr.tensor(X)
    assert agree(pr.exp, x, oracle=np.exp).shape == X.shape
    agree(lambda tree: [pr.sin(tree["a"])], {"a": x}, oracle=lambda tree: [np.sin(tree["a"])])
    with pytest.raises(AssertionError, match="values must agree .*first at"):
        agree(pr.exp, x, oracle=lambda a: np.exp(a) * (1 + 1e-12))
    with pytest.raises(AssertionError, match="dtypes must be equal"):
        agree(pr.exp, x, oracle=lambda a: np.exp(a).astype(np.float32))
    with pytest.raises(AssertionError, match="shapes must be equal"):
        agree(pr.exp, x, oracle=lambda a: np.exp(a)[:1])
    with pytest.raises(AssertionError, match="one structure"):
        agree(pr.exp, x, oracle=lambda a: [np.exp(a)])


def test_agree_finds_a_function_whose_trace_differs() -> None:
    calls = []

    def unstable(x: Any) -> Any:
        calls.append(1)
        return x * len(calls)

    with pytest.raises(AssertionError, match="traced"):
        agree(unstable, pr.tensor(X))


def test_compare_counts_nan_and_infinities_as_values() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.0])
    compare("same", values, values.copy())
    for place in range(3):
        other = values.copy()
        other[place] = 1.0
        with pytest.raises(AssertionError):
            compare("other", values, other)
        with pytest.raises(AssertionError):
            compare("other", other, values)


def test_compare_of_bits_sees_the_sign_of_zero() -> None:
    compare("zero", np.array([0.0]), np.array([-0.0]))
    with pytest.raises(AssertionError):
        compare("zero", np.array([0.0]), np.array([-0.0]), within=0.0)
