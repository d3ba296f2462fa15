"""Primitives: what define records, and the rules that guard them below the public functions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.primitive import REGISTRY, Spec, define
from pierian.core.tensor import bind


def test_names_are_defined_once() -> None:
    with pytest.raises(ValueError, match="'add' is already a primitive"):
        define("add", shape=lambda x: x, run=np.positive)


def test_rules_know_what_they_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pierian.core.primitive.REGISTRY", {})
    entry = define(
        "fresh",
        shape=lambda *xs: Spec(xs[0].shape, xs[0].dtype),
        run=lambda *xs: xs[0],
        vjp=(lambda g, y, a, _b: g, lambda g, _y, _a, b, *rest: g, lambda g, _y, *_rest: g),
        variadic=True,
        view=True,
    )
    first, second, third = entry.rules
    assert (first.keeps_output, first.keeps, first.keeps_rest) == (True, (True, False), False)
    assert (second.keeps_output, second.keeps, second.keeps_rest) == (False, (False, True), True)
    assert (third.keeps_output, third.keeps, third.keeps_rest) == (False, (), False)
    assert entry.rule(1) is second
    assert entry.rule(7) is third
    assert entry.view
    plain = define("plain", shape=lambda x: x, run=np.positive, vjp=lambda g, _y, _x: g)
    assert plain.rule(1) is None
    assert not plain.view


def test_executors_follow_ieee_754_silently() -> None:
    zero = pr.tensor([0.0, 1e38])
    assert (1 / zero)[0].item() == np.inf
    assert (zero * 1e10)[1].item() == np.inf
    assert np.isnan(pr.log(-zero - 1).numpy()).all()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_primitive_has_one_kind_of_rules(name: str) -> None:
    entry = REGISTRY[name]
    assert entry.name == name
    assert callable(entry.shape)
    assert callable(entry.run)
    # h, or v of a weight, where g is an input itself: a gradient whose gradient is asked for
    assert all(rule.fn.__code__.co_varnames[0] in "ghv" for rule in entry.rules)


F32, F64 = pr.ones(2, 2), pr.ones(2, 2, dtype="float64")
INDEX = pr.tensor([0, 1])
BARE: list[tuple[str, tuple[Any, ...], dict[str, Any], type, str]] = [
    ("add", (F32, F64), {}, pr.DtypeError, "add: both sides must have one dtype"),
    ("where", (F32 > 0, F32, F64), {}, pr.DtypeError, "where: both choices must have one dtype"),
    ("where", (F32, F32, F32), {}, pr.DtypeError, "where: the condition must be boolean"),
    ("matmul", (F32, F64), {"ta": False, "tb": False}, pr.DtypeError, "matmul: both sides must"),
    ("matmul", (F32[0], F32), {"ta": False, "tb": False}, pr.ShapeError, "takes matrices"),
    ("concat", (F32, F64), {"axis": 0}, pr.DtypeError, "concat: parts must have one dtype"),
    ("index", (F32, F32), {}, pr.DtypeError, "index: index tensors must be integers"),
    ("scatter", (F32, F64[0], INDEX), {}, pr.ShapeError, "scatter: values must fit the places"),
    ("exp", (INDEX,), {}, pr.DtypeError, "exp: works on floating tensors"),
    ("div", (INDEX, INDEX), {}, pr.DtypeError, "div: works on floating tensors"),
]


@pytest.mark.parametrize(("name", "inputs", "params", "error", "text"), BARE)
def test_shape_rules_refuse_what_public_functions_never_pass(
    name: str, inputs: tuple[Any, ...], params: dict[str, Any], error: type, text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        REGISTRY[name].shape(*[x.value for x in inputs], **params)


def test_bind_explains_what_numpy_refuses() -> None:
    with pytest.raises(pr.ShapeError, match="add: shapes must be equal or broadcast"):
        bind("add", pr.ones(2), pr.ones(3))
    with pytest.raises(KeyError):
        bind("ad", F32, F32)
