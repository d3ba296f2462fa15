"""grad, value_and_grad, vjp, jvp, jacobian, hessian: trees, nesting, closures, errors."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.tensor import Tensor
from pierian.testing import gradcheck

Pair = namedtuple("Pair", "left right")


def t(*values: float) -> Tensor:
    return pr.tensor(list(values), dtype=pr.float64)


X = t(0.5, -1.0, 2.0)


# grad and value_and_grad


def test_grad_of_trees_has_their_structure() -> None:
    def loss(tree: Any) -> Tensor:
        return (tree["w"][0] * tree["w"][1].left).sum() + (tree["b"] ** 2).sum()

    tree = {"w": [t(1, 2), Pair(t(3, 4), None)], "b": t(5)}
    g = pr.grad(loss)(tree)
    assert g["w"][0].tolist() == [3, 4]
    assert type(g["w"][1]) is Pair
    assert g["w"][1].left.tolist() == [1, 2]
    assert g["w"][1].right is None
    assert g["b"].tolist() == [10]


def test_argnums_choose_arguments_and_keywords_pass() -> None:
    def f(a: Any, b: Any, c: Any, *, scale: float) -> Tensor:
        return (a * b * c).sum() * scale

    args = (t(1, 2), t(3, 4), t(5, 6))
    assert pr.grad(f)(*args, scale=2.0).tolist() == [30, 48]
    assert pr.grad(f, 1)(*args, scale=2.0).tolist() == [10, 24]
    assert pr.grad(f, argnums=-1)(*args, scale=1.0).tolist() == [3, 8]
    first, third = pr.grad(f, (0, 2))(*args, scale=1.0)
    assert (first.tolist(), third.tolist()) == ([15, 24], [3, 8])
    (only,) = pr.grad(f, [1])(*args, scale=1.0)
    assert only.tolist() == [5, 12]


def test_value_and_aux() -> None:
    def f(x: Tensor) -> Any:
        y = x * x
        return y.sum(), {"parts": y, "name": "f"}

    (value, aux), g = pr.value_and_grad(f, has_aux=True)(X)
    assert value.item() == 5.25
    assert aux["parts"].tolist() == [0.25, 1, 4]
    assert aux["name"] == "f"
    assert not value.requires_grad
    assert not aux["parts"].requires_grad
    assert g.tolist() == [1, -2, 4]
    g, aux = pr.grad(f, has_aux=True)(X)
    assert g.tolist() == [1, -2, 4]
    assert aux["name"] == "f"


def test_transforms_leave_arguments_and_grad_alone() -> None:
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    g = pr.grad(lambda v: (v * v).sum())(w)
    assert w.grad is None
    assert w.is_leaf
    assert g.tolist() == [2, 4]
    plain = t(1, 2)
    pr.grad(lambda v: (v * v).sum())(plain)
    assert not plain.requires_grad


def test_transforms_take_arrays_and_numbers() -> None:
    assert pr.grad(lambda x: 1.0)(X).tolist() == [0, 0, 0]
    assert pr.grad(lambda x: x * x)(3.0).item() == 6
    assert pr.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0])).tolist() == [2, 4]


def test_unused_arguments_get_zeros() -> None:
    a, b = pr.grad(lambda a, b: a.sum(), (0, 1))(t(1, 2), t(3))
    assert (a.tolist(), b.tolist()) == ([1, 1], [0])
    assert b.dtype == np.float64


def test_the_same_tensor_as_two_arguments_is_two_variables() -> None:
    a, b = pr.grad(lambda a, b: (a * a * b).sum(), (0, 1))(X, X)
    np.testing.assert_allclose(a.numpy(), 2 * X.numpy() ** 2)
    np.testing.assert_allclose(b.numpy(), X.numpy() ** 2)


@pytest.mark.parametrize(
    ("fn", "args", "argnums", "error", "text"),
    [
        (lambda x: x * x, (X,), 0, pr.GradError, r"must give a single number.*\(3,\)"),
        (lambda x: [x.sum()], (X,), 0, pr.GradError, "must give a single number.*got list"),
        (lambda x: x.sum(), (X,), 1, pr.GradError, "argnums must name positional arguments"),
        (lambda x: x.sum(), (pr.tensor([1, 2]),), 0, pr.DtypeError, "only real floating tensors"),
        (lambda x: x.sum(), (pr.tensor([1j]),), 0, pr.DtypeError, "only real floating tensors"),
    ],
)  # fmt: skip
def test_bad_uses_of_grad(fn: Any, args: Any, argnums: int, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        pr.grad(fn, argnums)(*args)


def test_grad_works_under_no_grad() -> None:
    with pr.no_grad():
        g = pr.grad(lambda x: (x * x).sum())(X)
        assert not pr.is_grad_enabled()
    assert g.tolist() == [1, -2, 4]
    assert not g.requires_grad

    def blind(x: Tensor) -> Tensor:
        with pr.no_grad():
            y = x * x
        return (y * x).sum()

    np.testing.assert_allclose(pr.grad(blind)(X).numpy(), X.numpy() ** 2)


# vjp and jvp


def test_vjp_can_be_pulled_again_and_takes_trees() -> None:
    def f(tree: Any) -> Any:
        return {"sum": tree["a"] + tree["b"], "product": tree["a"] * tree["b"]}

    result, pull = pr.vjp(f, {"a": t(1, 2), "b": t(3, 4)})
    assert result["product"].tolist() == [3, 8]
    for scale in (1.0, 2.0):
        (g,) = pull({"sum": t(scale, 0), "product": t(0, scale)})
        assert g["a"].tolist() == [scale, 4 * scale]
        assert g["b"].tolist() == [scale, 2 * scale]
    with pytest.raises(pr.ShapeError, match="must have the structure of the result"):
        pull([t(1, 2)])
    with pytest.raises(pr.ShapeError, match="must have the shape of its value"):
        pull({"sum": t(1), "product": t(0, 1)})


def test_jvp_matches_vjp_on_trees() -> None:
    def f(tree: Any, c: Tensor) -> Any:
        return [pr.sin(tree["a"]) @ tree["b"], c * 2.0]

    rng = np.random.default_rng(0)
    tree = {"a": pr.tensor(rng.normal(size=(2, 3))), "b": pr.tensor(rng.normal(size=(3,)))}
    way = {"a": pr.tensor(rng.normal(size=(2, 3))), "b": pr.tensor(rng.normal(size=(3,)))}
    c = t(1.0)
    value, change = pr.jvp(f, (tree, c), (way, t(5.0)))
    u = [pr.tensor(rng.normal(size=(2,))), t(0.5)]
    back, back_c = pr.vjp(f, tree, c)[1](u)
    forward = sum((v * w).sum().item() for v, w in zip(change, u, strict=True))
    backward = sum((back[k] * way[k]).sum().item() for k in way) + back_c.item() * 5
    assert forward == pytest.approx(backward, rel=1e-12)
    assert value[0].tolist() == f(tree, c)[0].tolist()
    assert change[1].item() == 10


def test_jvp_of_constants_and_errors() -> None:
    value, change = pr.jvp(lambda x: t(3.0) * 1.0, (X,), (X,))
    assert (value.item(), change.item()) == (3, 0)
    with pytest.raises(pr.ShapeError, match="jvp: one tangent per primal"):
        pr.jvp(lambda x, y: x * y, (X, X), (X,))
    with pytest.raises(pr.ShapeError, match="must have the shape of its value"):
        pr.jvp(lambda x: x, (X,), (t(1),))


# jacobian and hessian


def test_jacobian_of_every_shape() -> None:
    j = pr.jacobian(lambda x: pr.outer(x, x))(X)
    assert j.shape == (3, 3, 3)
    x = X.numpy()
    expected = np.einsum("ik,j->ijk", np.eye(3), x) + np.einsum("jk,i->ijk", np.eye(3), x)
    np.testing.assert_allclose(j.numpy(), expected)
    assert pr.jacobian(lambda x: x * 2.0)(pr.tensor(1.0)).shape == ()
    assert pr.jacobian(lambda x: x.sum())(X).tolist() == [1, 1, 1]


def test_jacobian_of_trees_and_argnums() -> None:
    def f(tree: Any, c: Tensor) -> Any:
        return {"y": tree[0] * c, "z": [tree[1].sum()]}

    args = ([t(1, 2), t(3)], t(5, 7))
    j = pr.jacobian(f)(*args)
    assert j["y"][0].tolist() == [[5, 0], [0, 7]]
    assert j["y"][1].tolist() == [[0], [0]]
    assert j["z"][0][1].tolist() == [1]
    j = pr.jacobian(f, 1)(*args)
    assert j["y"].tolist() == [[1, 0], [0, 2]]
    both = pr.jacobian(f, (0, 1))(*args)
    assert both["y"][1].tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("argnums", [0, 1])
def test_jacobian_of_an_empty_result(argnums: int) -> None:
    j = pr.jacobian(lambda a, b: b[:0] * a.sum(), argnums)(t(1, 2), t(1, 2, 3))
    assert j.shape == (0, (2, 3)[argnums])
    assert pr.jacobian(lambda x: x * 1.0)(pr.zeros(0)).shape == (0, 0)


def test_hessian_of_a_quadratic_form_and_of_trees() -> None:
    rng = np.random.default_rng(1)
    a = pr.tensor(rng.normal(size=(3, 3)))
    h = pr.hessian(lambda x: x @ a @ x)(X)
    np.testing.assert_allclose(h.numpy(), (a + a.T).numpy())
    blocks = pr.hessian(lambda tree: (tree["u"] * tree["v"]).sum() ** 2)(
        {"u": t(1, 2), "v": t(3, 4)}
    )
    uv = np.array([1.0, 2, 3, 4])
    s = uv[:2] @ uv[2:]
    np.testing.assert_allclose(blocks["u"]["u"].numpy(), 2 * np.outer(uv[2:], uv[2:]))
    cross = 2 * np.outer(uv[2:], uv[:2]) + 2 * s * np.eye(2)
    np.testing.assert_allclose(blocks["u"]["v"].numpy(), cross)


# Nested, in any order


def cube(x: Tensor) -> Tensor:
    return x * x * x


NESTED: list[tuple[str, Callable[[Tensor], Tensor], Callable[[float], float]]] = [
    ("grad grad", pr.grad(pr.grad(cube)), lambda x: 6 * x),
    ("grad grad grad", pr.grad(pr.grad(pr.grad(cube))), lambda x: 6),
    ("four times", pr.grad(pr.grad(pr.grad(pr.grad(cube)))), lambda x: 0),
    ("jvp of grad", lambda x: pr.jvp(pr.grad(cube), (x,), (pr.ones_like(x),))[1], lambda x: 6 * x),
    ("grad of jvp", pr.grad(lambda x: pr.jvp(cube, (x,), (pr.ones_like(x),))[1]), lambda x: 6 * x),
    ("jvp of jvp", lambda x: pr.jvp(lambda z: pr.jvp(cube, (z,), (pr.ones_like(z),))[1], (x,),
                                    (pr.ones_like(x),))[1], lambda x: 6 * x),
    ("grad of vjp", pr.grad(lambda x: pr.vjp(cube, x)[1](x)[0]), lambda x: 9 * x * x),
    ("vjp of grad", lambda x: pr.vjp(pr.grad(cube), x)[1](x)[0], lambda x: 6 * x * x),
    ("hessian", pr.hessian(cube), lambda x: 6 * x),
    ("grad of hessian", pr.grad(pr.hessian(cube)), lambda x: 6),
    ("jacobian of grad", pr.jacobian(pr.grad(cube)), lambda x: 6 * x),
    ("grad of value", pr.grad(lambda x: sum(pr.value_and_grad(cube)(x))),
     lambda x: 3 * x * x + 6 * x),
    ("inner constant", pr.grad(lambda x: x * pr.grad(lambda y: x * y)(pr.ones_like(x))),
     lambda x: 2 * x),
    ("perturbation confusion", pr.grad(lambda x: x * pr.grad(lambda y: x + y)(pr.ones_like(x))),
     lambda x: 1),
    ("jvp confusion", lambda x: pr.jvp(lambda x: x * pr.jvp(lambda y: x + y, (pr.ones_like(x),),
        (pr.ones_like(x),))[1], (x,), (pr.ones_like(x),))[1], lambda x: 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fn", "expected"), [row[1:] for row in NESTED], ids=[r[0] for r in NESTED]
)
def test_transforms_nest_in_any_order(fn: Any, expected: Callable[[float], float]) -> None:
    at = pr.tensor(1.5, dtype=pr.float64)
    result = fn(at)
    assert result.item() == pytest.approx(expected(1.5))
    assert not result.requires_grad
    with pr.no_grad():
        assert fn(at).item() == pytest.approx(expected(1.5))


def test_transforms_of_results_stay_differentiable() -> None:
    w = pr.tensor(2.0, requires_grad=True)
    pr.grad(cube)(w * w).backward()  # d/dw 3 w^4
    assert w.grad.item() == 12 * 8
    w.grad = None
    pr.jvp(cube, (w,), (w,))[1].backward()  # d/dw 3 w^2 w
    assert w.grad.item() == 9 * 4


def test_mixed_second_derivatives_over_a_closure() -> None:
    w = pr.tensor([1.0, -2.0], requires_grad=True)

    def energy(x: Tensor) -> Tensor:
        return (w * x * x).sum()

    force = pr.grad(energy)(pr.tensor([3.0, 5.0]))
    assert force.requires_grad, "w can still ask"
    (force * force).sum().backward()  # sum (2 w x)^2
    assert w.grad.tolist() == [8 * 1 * 9, 8 * -2 * 25]


def test_closure_gradients_of_values_too() -> None:
    w = pr.tensor(3.0, requires_grad=True)
    value, g = pr.value_and_grad(lambda x: w * x * x)(pr.tensor(2.0))
    (value + g).backward()
    assert w.grad.item() == 4 + 4


def test_functions_may_change_their_own_tensors_in_place() -> None:
    def f(x: Tensor) -> Tensor:
        y = x * 2.0
        y += x
        y[0] = x[1] * x[1]
        return y.sum()

    gradcheck(f, X)
    with pytest.raises(pr.GradError, match="leaf that requires gradients"):
        pr.grad(lambda x: x.add_(1).sum())(t(1.0))


def test_names_and_docstrings_pass_through() -> None:
    def named(x: Tensor) -> Tensor:
        """Its text."""
        return x.sum()

    for wrapped in (pr.grad(named), pr.value_and_grad(named), pr.jacobian(named)):
        assert wrapped.__name__ == "named"
        assert wrapped.__doc__ == "Its text."
