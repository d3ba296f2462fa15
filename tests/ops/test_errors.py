"""What people read when they pass the wrong thing: where, what must hold, both sides, the fix."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr

x = pr.ones(2, 3)
v = pr.ones(3)
whole = pr.tensor([1, 2, 3])
flag = pr.tensor([True, False, True])
imaginary = pr.tensor([1j])

Row = tuple[Callable[[], Any], type, str]
SHAPES: list[Row] = [
    (lambda: x + pr.ones(2), pr.ShapeError,
     "add: shapes must be equal or broadcast; expected sizes that are equal or 1 on each axis, "
     "counted from the right, got (2, 3) and (2,). Reshape one side or insert an axis with "
     "unsqueeze."),
    (lambda: pr.where(x > 0, x, pr.ones(4)), pr.ShapeError, "where: shapes must be equal"),
    (lambda: x @ x, pr.ShapeError,
     "matmul: inner axes must agree; expected (..., n) @ (n, ...) with n = 3, got (2, 3) @ (2, 3). "
     "Transpose or reshape one side."),
    (lambda: x @ pr.tensor(1.0), pr.ShapeError,
     "matmul: both sides need an axis; expected >= 1 axis, got (2, 3) @ (). Multiply by a number "
     "with *."),
    (lambda: pr.ones(2, 2, 3) @ pr.ones(3, 3, 2), pr.ShapeError, "matmul: shapes must be equal"),
    (lambda: pr.linear(x, pr.ones(4, 5)), pr.ShapeError, "matmul: inner axes must agree"),
    (lambda: x.reshape(4, 2), pr.ShapeError,
     "reshape: the number of elements must stay the same; expected a shape of 6 elements (from "
     "(2, 3)), at most one -1, got (4, 2). Pass sizes whose product is the same, or one -1 to have "
     "it worked out."),
    (lambda: x.reshape(-1, -1), pr.ShapeError, "at most one -1, got (-1, -1)"),
    (lambda: x.reshape(5, -1), pr.ShapeError, "got (5, -1)"),
    (lambda: x.permute(0, 0), pr.ShapeError,
     "permute: must name every axis once; expected a permutation of 2 axes, got (0, 0). List all "
     "axes."),
    (lambda: x.permute(0), pr.ShapeError, "permute: must name every axis once"),
    (lambda: x.transpose(0, 5), pr.ShapeError, "swapaxes: axis must exist"),
    (lambda: x.squeeze(0), pr.ShapeError,
     "squeeze: axes to drop must have length 1; expected 1, got axis 0 of shape (2, 3). Index the "
     "axis or reduce it."),
    (lambda: x.unsqueeze(4), pr.ShapeError, "unsqueeze: axis must exist; expected -3 <= axis < 3"),
    (lambda: x.flatten(1, 0), pr.ShapeError, "flatten: end_axis must not come before start_axis"),
    (lambda: pr.broadcast_to(x, 2), pr.ShapeError, "expand: shapes must be equal or broadcast"),
    (lambda: pr.broadcast_to(x, 1, 3), pr.ShapeError, "expand: only axes of length 1 can"),
    (lambda: pr.broadcast_to(x, 3, 3), pr.ShapeError, "expand: shapes must be equal or broadcast"),
    (lambda: pr.concat([x, pr.ones(2, 4)]), pr.ShapeError,
     "concat: parts must agree on every axis but 0; expected (2, 3), got (2, 4). Reshape the odd "
     "one, or use stack for a new axis."),
    (lambda: pr.concat([x, v]), pr.ShapeError, "concat: parts must agree"),
    (lambda: pr.concat([]), pr.ShapeError, "concat: needs something to join"),
    (lambda: pr.stack([x, v]), pr.ShapeError, "stack: all tensors must have one shape"),
    (lambda: x.split([1, 2]), pr.ShapeError, "split: sizes must add up to the axis; expected 2"),
    (lambda: x.split(0), pr.ShapeError, "split: sizes must add up"),
    (lambda: x.chunk(0), pr.ShapeError, "chunk: needs at least one piece"),
    (lambda: pr.pad(x, ((1, 1),)), pr.ShapeError, "pad: needs a (before, after) pair per axis"),
    (lambda: pr.pad(x, (-1, 1)), pr.ShapeError, "pad: sizes must be whole numbers"),
    (lambda: pr.tile(x, -1), pr.ShapeError, "tile: sizes must be whole numbers"),
    (lambda: pr.repeat(x, -1, 0), pr.ShapeError, "repeat: sizes must be whole numbers"),
    (lambda: pr.tril(v), pr.ShapeError, "tril: needs a matrix; expected >= 2 axes, got (3,)"),
    (lambda: pr.diagonal(v), pr.ShapeError, "diagonal: needs a matrix"),
    (lambda: pr.gather(x, 0, pr.zeros(1, 4, dtype=int)), pr.ShapeError,
     "gather: indices must fit in x on all axes but `axis`"),
    (lambda: pr.gather(x, 0, whole), pr.ShapeError, "gather: indices must fit"),
    (lambda: pr.take_along_axis(x, whole), pr.ShapeError,
     "take_along_axis: indices must have as many axes as x"),
    (lambda: pr.scatter_add(x, 0, whole, v), pr.ShapeError,
     "scatter_add: indices must have as many axes as x"),
    (lambda: pr.topk(v, 4), pr.ShapeError, "topk: k must not exceed the axis; expected 0 <= k"),
    (lambda: pr.tensordot(x, x, 1), pr.ShapeError, "tensordot: paired axes must have equal"),
    (lambda: pr.einsum("ij,jk->ik", x, x), pr.ShapeError,
     'einsum("ij,jk->ik"): axis \'j\' must have one length; expected 3, got 2'),
    (lambda: pr.einsum("ij,j", x), pr.ShapeError, 'einsum("ij,j"): needs one term per operand'),
    (lambda: pr.einsum("ijk->i", x), pr.ShapeError, "one letter per axis"),
    (lambda: pr.einsum("ij->ik", x), pr.ShapeError, "Count letters against axes"),
    (lambda: pr.einsum("ij->ii", x), pr.ShapeError, "einsum"),
    (lambda: pr.zeros(2, -1), pr.ShapeError, "zeros: sizes must be whole numbers"),
    (lambda: pr.zeros("a"), pr.ShapeError, "zeros: sizes must be whole numbers"),
    (lambda: pr.arange(0, 1, 0), pr.ShapeError, "arange: the step moves"),
    (lambda: pr.zeros(0, 3).max(0), pr.ShapeError,
     "max: has no result for no elements; expected at least 1 element, got shape (0, 3). Check "
     "that the batch or the mask is not empty."),
    (lambda: pr.argmin(pr.zeros(0)), pr.ShapeError, "argmin: has no result for no elements"),
]  # fmt: skip
AXES: list[Row] = [
    (lambda name=name: getattr(pr, name)(x, 2), pr.ShapeError,
     f"{name}: axis must exist; expected -2 <= axis < 2, got axis 2 of 2 axes")
    for name in ("sum", "prod", "mean", "var", "max", "min", "any", "all", "argmax", "argmin",
                 "cumsum", "cumprod", "logsumexp", "softmax", "log_softmax", "argsort", "flip")
]  # fmt: skip
AXES += [
    (lambda: x.sum((0, 0)), pr.ShapeError, "sum: axes must be distinct; expected each axis once"),
    (lambda: x.sum(1.5), pr.ShapeError, "sum: axis must be an integer; expected an int, got 1.5"),
    (lambda: x.sum("0"), pr.ShapeError, "sum: axis must be an integer"),
    (lambda: pr.take(x, [0], 3), pr.ShapeError, "take: axis must exist"),
    (lambda: pr.stack([x, x], 4), pr.ShapeError, "stack: axis must exist"),
    (lambda: x.roll(1, 5), pr.ShapeError, "roll: axis must exist"),
]
DTYPES: list[Row] = [
    (lambda: flag - flag, pr.DtypeError,
     "sub: works on number tensors; expected number, got bool. Cast with .float() or .long() "
     "first."),
    (lambda: -flag, pr.DtypeError, "neg: works on"),
    (lambda: whole << 1.5, pr.DtypeError, "left_shift: works on integer tensors"),
    (lambda: x & x, pr.DtypeError, "bitwise_and: works on integer or bool tensors"),
    (lambda: ~x, pr.DtypeError, "bitwise_not: works on integer or bool tensors"),
    (lambda: imaginary < imaginary, pr.DtypeError, "lt: works on real tensors"),
    (lambda: pr.max(imaginary), pr.DtypeError, "max: works on real tensors"),
    (lambda: pr.var(imaginary), pr.DtypeError, "var: works on real tensors; expected real"),
    (lambda: pr.argsort(imaginary), pr.DtypeError, "argsort: works on real tensors"),
    (lambda: pr.maximum(imaginary, 1), pr.DtypeError, "maximum: works on real tensors"),
    (lambda: abs(imaginary), pr.DtypeError, "abs: works on"),
    (lambda: pr.where(whole, 1.0, 2.0), pr.DtypeError,
     "where: the condition must be boolean; expected dtype bool, got int64. Compare first, for "
     "example x != 0."),
    (lambda: pr.take(x, v), pr.DtypeError, "take: indices must be integers; expected int64"),
    (lambda: pr.one_hot(v), pr.DtypeError, "one_hot: indices must be integers"),
    (lambda: x[v], pr.DtypeError, "index: an index is an integer, slice"),
    (lambda: whole ** -1, pr.DtypeError, "pow: an integer has no negative powers"),
    (lambda: pr.full(2, 0.5, dtype=int), pr.DtypeError,
     "full: a number must fit the dtype of the tensor; expected a int64, got 0.5"),
    (lambda: pr.full(2, float("nan"), dtype="int8"), pr.DtypeError, "full: a number must fit"),
    (lambda: pr.full(2, 1j, dtype="float"), pr.DtypeError, "full: a number must fit"),
    (lambda: pr.pad(whole, (1, 1), float("inf")), pr.DtypeError, "pad: a number must fit"),
    (lambda: pr.cast(imaginary, float), pr.DtypeError, "cast: a complex number does not fit"),
    (lambda: pr.tensor([1], dtype="uint64") + whole, pr.DtypeError,
     "promotion: integers must have a common integer type; expected signed or unsigned, got uint64 "
     "and int64. Cast one side first, for example with .long()."),
    (lambda: pr.sum("text"), pr.DtypeError, "dtype: must be a number type"),
    (lambda: pr.exp(None), pr.DtypeError, "dtype: must be a number type"),
]  # fmt: skip
VALUES: list[Row] = [
    (lambda: whole // 0, ZeroDivisionError,
     "division: an integer cannot be divided by zero; expected divisors != 0, got a zero. Cast to "
     "float first, or mask the zeros with pr.where."),
    (lambda: whole % pr.tensor([1, 0, 2]), ZeroDivisionError, "division: an integer cannot"),
    (lambda: pr.take(v, [0, 7]), IndexError,
     "index: an index must lie inside axis 0; expected -3 <= index < 3, got 7. Check the labels or "
     "ids that are used as indices."),
    (lambda: pr.take(x, [-3], 0), IndexError, "expected -2 <= index < 2, got -3"),
    (lambda: pr.gather(x, 1, pr.tensor([[5]])), IndexError, "inside axis 1"),
    (lambda: pr.scatter_add(x, 1, pr.tensor([[5]]), pr.ones(1, 1)), IndexError,
     "scatter_add: an index must lie inside axis 1; expected -3 <= index < 3, got 5"),
    (lambda: pr.one_hot([0, 3], 3), IndexError,
     "one_hot: labels must be classes; expected 0 <= label < 3, got 3. Pass num_classes larger "
     "than every label."),
    (lambda: pr.one_hot([-1], 3), IndexError, "got -1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), SHAPES + AXES + DTYPES + VALUES)
def test_message(call: Callable[[], Any], error: type, text: str) -> None:
    with pytest.raises(error, match=re.escape(text)) as caught:
        call()
    assert re.fullmatch(r"[^;]+: [^;]+; expected .+, got .+\. .+\.", str(caught.value), re.DOTALL)


@pytest.mark.parametrize(("call", "error", "text"), SHAPES + AXES)
def test_shape_errors_are_value_errors_and_name_the_function(
    call: Callable[[], Any], error: type, text: str
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        call()


def test_recorded_and_traced_calls_fail_alike() -> None:
    from pierian.core.trace import trace

    w = pr.ones(2, 3, requires_grad=True)
    for fn in (lambda a: a @ a, lambda a: a + pr.ones(2), lambda a: a.sum(5), lambda a: a & a):
        messages = []
        for run in (lambda fn=fn: fn(x), lambda fn=fn: fn(w), lambda fn=fn: trace(fn, x)):
            with pytest.raises((pr.ShapeError, pr.DtypeError)) as caught:
                run()
            messages.append(str(caught.value))
        assert len(set(messages)) == 1


BY_VALUE = {"unique", "nonzero", "allclose", "one_hot", "manual_seed"}
FUNCTIONS = [
    name
    for name in pr.__all__
    if inspect.isfunction(fn := getattr(pr, name)) and fn.__module__.startswith("pierian.ops")
]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "complex64"])
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - BY_VALUE))
def test_eager_refuses_what_a_trace_refuses(name: str, dtype: str) -> None:
    """NumPy computes some things that our rules refuse; then the eager way must refuse them too."""
    from pierian.core.trace import trace

    fn = getattr(pr, name)
    a = pr.tensor(np.ones((2, 2)).astype(dtype))
    for args in ((a,), (a, a), (a, 1), (a, 0, a), (a, a, a)):
        outcomes = []
        for run in (lambda *xs: fn(*xs), lambda *xs: trace(fn, *xs)(*xs)):
            try:
                result = run(*args)
            except Exception as error:  # noqa: BLE001 (any refusal is one)
                outcomes.append(type(error).__name__)
            else:
                outcomes.append(str(getattr(result, "dtype", type(result))))
        assert outcomes[0] == outcomes[1] or "TraceError" in outcomes, f"{name}{len(args)}"


def test_allclose() -> None:
    a = pr.tensor([1.0, float("inf"), 0.0])
    assert pr.allclose(a, a)
    assert a.allclose(a + pr.tensor([1e-6, 0.0, 1e-9]))
    assert not pr.allclose(a, a + 1e-3)
    assert pr.allclose(a, a + 1e-3, atol=1e-2)
    assert not pr.allclose(pr.tensor([float("nan")]), float("nan"))
    assert not pr.allclose(a, -a)
    assert pr.allclose(flag, flag)
    assert not pr.allclose(flag, ~flag)
    assert pr.allclose(pr.tensor([3], dtype="uint8"), pr.tensor([5], dtype="uint8"), atol=2)
    assert pr.allclose(pr.zeros(0), pr.zeros(0))
    assert pr.allclose(np.ones(3), v)
    assert type(pr.allclose(a, a)) is bool
