"""custom_vjp and Function: trees, several results, second derivatives, guards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.tensor import Tensor
from pierian.core.trace import trace
from pierian.testing import agree, gradcheck

X = np.array([0.5, -1.0, 2.0])


class Exp(pr.Function):
    """Saves its result, as in PyTorch's tutorial."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = pr.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return g * y


class Divide(pr.Function):
    """Two arguments, a number, two results."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: float) -> Any:
        quotient = a / b
        ctx.save_for_backward(b, quotient)
        ctx.scale = scale
        return quotient * scale, a * 1.0

    @staticmethod
    def backward(ctx: Any, g: Tensor, h: Tensor) -> Any:
        b, quotient = ctx.saved_tensors
        return g * ctx.scale / b + h, -g * ctx.scale * (quotient.detach() * 0 + 1) / b, None


def test_function_with_a_saved_result_has_all_derivatives() -> None:
    gradcheck(Exp.apply, X, order=3)
    agree(Exp.apply, pr.tensor(X), oracle=np.exp)
    fourth = Exp.apply
    for _ in range(4):
        fourth = pr.grad(fourth)
    assert fourth(pr.tensor(1.0, dtype=pr.float64)).item() == pytest.approx(np.e)


def test_function_saving_one_of_two_results() -> None:
    class Both(pr.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Any:
            s, c = pr.sin(x), pr.cos(x)
            ctx.save_for_backward(s, c)
            return s, c

        @staticmethod
        def backward(ctx: Any, gs: Tensor, gc: Tensor) -> Tensor:
            s, c = ctx.saved_tensors
            return gs * c - gc * s

    gradcheck(Both.apply, X, order=3)
    gradcheck(lambda x: Both.apply(x)[0], X, order=3)
    gradcheck(lambda x: Both.apply(x)[1], X, order=2)


def test_function_takes_numbers_and_gives_none_for_them() -> None:
    def fn(a: Tensor, b: Tensor) -> Any:
        return Divide.apply(a, b, 3.0)

    gradcheck(lambda a: fn(a, pr.tensor(X))[0], X, order=1)
    x = pr.tensor(X, requires_grad=True)
    y, z = Divide.apply(x, pr.tensor(X), 2.0)
    (y.sum() + z.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 / X + 1)


def test_function_says_which_inputs_need_gradients() -> None:
    seen = []

    class Probe(pr.Function):
        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor, c: int) -> Tensor:
            seen.append(ctx.needs_input_grad)
            return a + b

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return g, g, None

    a, b = pr.tensor(X, requires_grad=True), pr.tensor(X)
    Probe.apply(a, b, 1).sum().backward()
    assert seen == [(True, False, False)]
    assert a.grad.tolist() == [1, 1, 1]
    assert b.grad is None
    assert not Probe.apply(b, b, 1).requires_grad


def test_straight_through_and_reversal() -> None:
    class Reverse(pr.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return -g

    x = pr.tensor(X, requires_grad=True)
    y = Reverse.apply(x)
    assert y is not x
    (y * 2.0).sum().backward()
    assert x.grad.tolist() == [-2, -2, -2]
    assert x.tolist() == X.tolist()


def test_custom_vjp_over_trees() -> None:
    @pr.custom_vjp
    def join(tree: Any, scale: Tensor) -> Any:
        """Its text."""
        return {"out": (tree["a"] + tree["b"][0]) * scale}

    join.defvjp(
        lambda tree, scale: (join.fn(tree, scale), (tree, scale)),
        lambda kept, g: (
            {"a": g["out"] * kept[1], "b": [g["out"] * kept[1]]},
            (g["out"] * (kept[0]["a"] + kept[0]["b"][0])).sum(),
        ),
    )
    tree = {"a": X, "b": [X * 2]}
    gradcheck(join, tree, np.array(1.5), order=2)
    assert join.__name__ == "join"
    assert join.__doc__ == "Its text."
    agree(join, {"a": pr.tensor(X), "b": [pr.tensor(X)]}, pr.tensor(2.0, dtype=pr.float64))


def test_custom_vjp_with_a_residual_that_is_the_result() -> None:
    root = pr.custom_vjp(lambda x: pr.sqrt(x))

    def forward(x: Tensor) -> Any:
        y = pr.sqrt(x)
        return y, y

    root.defvjp(forward, lambda y, g: (g / (2.0 * y),))
    gradcheck(root, np.abs(X), order=3)


def test_results_that_are_not_floating_have_no_gradient() -> None:
    @pr.custom_vjp
    def fn(x: Tensor) -> Any:
        return x * 2.0, x > 0

    fn.defvjp(lambda x: (fn.fn(x), None), lambda _, g: (g[0] * 2.0,))
    x = pr.tensor(X, requires_grad=True)
    y, positive = fn(x)
    assert y.requires_grad
    assert not positive.requires_grad
    assert positive.dtype == bool
    y.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_none_means_no_gradient() -> None:
    @pr.custom_vjp
    def fn(a: Tensor, b: Tensor) -> Tensor:
        return a * b

    fn.defvjp(lambda a, b: (a * b, b), lambda b, g: (g * b, None))
    a, b = pr.tensor(X, requires_grad=True), pr.tensor(X, requires_grad=True)
    fn(a, b).sum().backward()
    assert a.grad.tolist() == X.tolist()
    assert b.grad is None


def bad(back: Any) -> Any:
    fn = pr.custom_vjp(lambda a, b: a * b)
    fn.defvjp(lambda a, b: (a * b, None), lambda _, g: back(g))
    return fn


@pytest.mark.parametrize(
    ("back", "error", "text"),
    [
        (lambda g: (g,), pr.GradError, "one gradient per argument; expected 2, got 1"),
        (lambda g: (g, g, g), pr.GradError, "expected 2, got 3"),
        (lambda g: g, pr.GradError, "expected 2, got Tensor"),
        (lambda g: (g[:1], g), pr.ShapeError, r"shape of its argument; expected \(3,\)"),
        (lambda g: ([g], g), pr.GradError, "must have the structure of its argument"),
    ],
)  # fmt: skip
def test_wrong_gradients_are_refused(back: Any, error: type, text: str) -> None:
    x = pr.tensor(X, requires_grad=True)
    with pytest.raises(error, match=text):
        bad(back)(x, x).sum().backward()


def test_undefined_gradients_are_refused() -> None:
    with pytest.raises(pr.GradError, match="a custom_vjp needs its gradient"):
        pr.custom_vjp(lambda x: x)(pr.tensor(X))


def test_saved_values_may_not_change() -> None:
    x = pr.tensor(X, requires_grad=True)
    h = x * 1.0

    class Square(pr.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return 2.0 * ctx.saved_tensors[0] * g

    y = Square.apply(h)
    h.detach().zero_()
    with pytest.raises(pr.GradError, match="Square: values needed for a gradient"):
        y.sum().backward()


def test_gradient_that_is_a_saved_tensor_is_copied() -> None:
    class Saved(pr.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (x * x / 2.0).sum()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return ctx.saved_tensors[0]

    x = pr.tensor(X, requires_grad=True)
    Saved.apply(x).backward()
    x.grad.zero_()
    assert x.tolist() == X.tolist()


def test_freed_calls_say_so() -> None:
    x = pr.tensor(X, requires_grad=True)
    y = Exp.apply(x).sum()
    y.backward()
    with pytest.raises(pr.GradError, match="walked back once"):
        y.backward()


def test_functions_trace_with_their_own_gradient() -> None:
    clipped = pr.custom_vjp(lambda x: x * 3.0)
    clipped.defvjp(lambda x: (x * 3.0, None), lambda _, g: (pr.clip(g, -1.0, 1.0),))
    w = pr.tensor(X, requires_grad=True)

    def step() -> Tensor:
        w.grad = None
        loss = (clipped(w) * pr.tensor([0.5, 5.0, -5.0], dtype=pr.float64)).sum()
        loss.backward()
        return loss

    traced = trace(step)
    assert w.grad is None
    traced()
    assert w.grad.tolist() == [0.5, 1, -1]


def test_arguments_that_stop_requiring_gradients_later_are_no_trouble() -> None:
    x = pr.tensor(X, requires_grad=True)
    w = pr.tensor(X, requires_grad=True)
    y = bad(lambda g: (g, g * 2.0))(x, w)
    x.requires_grad = False
    y.sum().backward()
    assert w.grad.tolist() == [2, 2, 2]


def test_calls_on_a_tape_are_watched() -> None:
    x = pr.tensor(2.0)
    with pr.GradientTape() as tape:
        y = Exp.apply(x)
    assert tape.gradient(y, x).item() == pytest.approx(np.exp(2), rel=1e-6)
