"""What a tensor is made of, what it shares, how it prints, copies, and meets NumPy."""

from __future__ import annotations

import copy
import operator
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.tensor import Tensor
from tests.ops.oracles import promoted

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "longdouble", "complex64", "complex128"]  # fmt: skip


# Made from


@pytest.mark.parametrize("name", DTYPES)
def test_arrays_of_every_dtype_keep_it(name: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(name)
    for t in (pr.tensor(array), pr.asarray(array), Tensor(array), pr.from_numpy(array)):
        assert (t.shape, t.dtype, t.ndim) == ((2, 3), array.dtype, 2)
        assert (t.numpy() == array).all()
    assert pr.tensor(array[0, 1]).dtype == array.dtype


@pytest.mark.parametrize(
    ("data", "dtype", "values"),
    [
        (1, "int64", 1),
        (1.5, "float32", 1.5),
        (True, "bool", True),
        (1j, "complex64", 1j),
        ([], "float32", []),
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5], "float32", [1.0, 2.5]),
        ([True, False], "bool", [True, False]),
        ([[1, 2], (3, 4)], "int64", [[1, 2], [3, 4]]),
        ((1.0, 2.0), "float32", [1.0, 2.0]),
        (range(3), "int64", [0, 1, 2]),
        ([1, 2j], "complex64", [1 + 0j, 2j]),
        ([np.float64(1.5), 2.0], "float64", [1.5, 2.0]),
        ([np.zeros(2, np.float16), np.ones(2, np.float16)], "float16", [[0.0, 0.0], [1.0, 1.0]]),
        (np.float64(2.5), "float64", 2.5),
        (np.uint8(3), "uint8", 3),
        ([[]], "float32", [[]]),
        (2**63, "uint64", 2**63),
        (memoryview(b"\x01\x02"), "uint8", [1, 2]),
    ],
    ids=str,
)
def test_python_data_takes_the_default_dtype(data: Any, dtype: str, values: Any) -> None:
    t = pr.tensor(data)
    assert str(t.dtype) == dtype
    assert t.tolist() == values


def test_lists_of_tensors_become_one_tensor() -> None:
    t = pr.tensor([pr.tensor([1.0, 2.0]), pr.tensor([3.0, 4.0])])
    assert t.shape == (2, 2)
    assert t.dtype == np.float32
    assert pr.tensor([pr.tensor(1), pr.tensor(2)]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ([[1, 2], [3]], pr.ShapeError, "tensor: rows must have equal lengths"),
        ("abc", pr.DtypeError, "dtype: must be a number type"),
        (["a", "b"], pr.DtypeError, "dtype: must be a number type"),
        (None, pr.DtypeError, "got object"),
        ([1, None], pr.DtypeError, "got object"),
        (2**64, pr.DtypeError, "got object"),
        (np.array(["2020-01-01"], "datetime64[D]"), pr.DtypeError, "got datetime64"),
        (np.zeros(2, [("a", "f4")]), pr.DtypeError, "number type"),
        ({"a": 1}, pr.DtypeError, "got object"),
        (b"ab", pr.DtypeError, "number type"),
    ],
    ids=str,
)
def test_what_is_not_numbers_is_refused(data: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        pr.tensor(data)


@pytest.mark.parametrize("spec", ["float3", object, "U5", "datetime64[s]", None, 3.5, [1]])
def test_dtypes_that_are_not_numbers_are_refused(spec: Any) -> None:
    if spec is None:
        assert pr.tensor([1], dtype=None).dtype == np.int64
        return
    with pytest.raises(pr.DtypeError, match=r"^dtype: must .* number type"):
        pr.tensor([1], dtype=spec)


@pytest.mark.parametrize(
    ("spec", "name"),
    [(float, "float32"), (int, "int64"), (bool, "bool"), (complex, "complex64"),
     ("half", "float16"), ("double", "float64"), ("long", "int64"), ("byte", "uint8"),
     (np.int16, "int16"), (np.dtype("u4"), "uint32"), (">f8", "float64"), (pr.float16, "float16")],
)  # fmt: skip
def test_dtypes_have_the_names_people_know(spec: Any, name: str) -> None:
    assert str(pr.zeros(1, dtype=spec).dtype) == name


def test_foreign_arrays_become_plain_native_ones() -> None:
    big = np.arange(4, dtype=">i4")
    for t in (pr.tensor(big), pr.asarray(big)):
        assert t.dtype == np.int32
        assert t.dtype.isnative
        assert t.tolist() == [0, 1, 2, 3]
    masked = pr.tensor(np.ma.array([1.0, 2.0], mask=[True, False]))
    assert type(masked.numpy()) is np.ndarray
    assert type((pr.tensor(np.array([[1.0]])) @ np.eye(1)).numpy()) is np.ndarray
    record = pr.asarray(np.array([1.0, 2.0]).view(np.recarray))
    assert type(record.numpy()) is np.ndarray


# Shared or not


def test_tensor_copies_and_asarray_shares() -> None:
    array = np.zeros(3, np.float32)
    copied, shared, same = pr.tensor(array), pr.asarray(array), pr.from_numpy(array)
    array[0] = 5
    assert copied.tolist() == [0, 0, 0]
    assert shared.tolist() == same.tolist() == [5, 0, 0]
    shared[1] = 7
    assert array.tolist() == [5, 7, 0]
    assert pr.asarray(shared) is shared
    assert not np.shares_memory(pr.tensor(shared).numpy(), array)
    assert not np.shares_memory(pr.asarray(array, dtype="float64").numpy(), array)


def test_numpy_shares_memory_both_ways() -> None:
    t = pr.zeros(3)
    t.numpy()[1] = 4
    assert t.tolist() == [0, 4, 0]
    t.add_(1)
    assert np.asarray(t).tolist() == [1, 5, 1]
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert not np.shares_memory(np.asarray(t, dtype=np.float64), t.numpy())
    assert np.asarray(t, copy=False) is t.numpy()
    with pytest.raises(ValueError, match="a cast needs a copy"):
        np.asarray(t, dtype=np.float64, copy=False)


def test_read_only_arrays_are_shared_but_never_written() -> None:
    array = np.arange(3.0)
    array.flags.writeable = False
    t = pr.asarray(array)
    for change in (lambda: t.add_(1), lambda: t.__setitem__(0, 1.0), lambda: t.zero_()):
        with pytest.raises(pr.GradError, match="the memory must be writable"):
            change()
    assert t.tolist() == [0, 1, 2]
    assert (t + 1).tolist() == [1, 2, 3]
    with pytest.raises(pr.GradError, match="the memory must be writable"):
        pr.broadcast_to(pr.zeros(1), 3).add_(1)
    assert pr.tensor(array).add_(1).tolist() == [1, 2, 3]


def test_views_share_memory_and_in_place_changes_show() -> None:
    x = pr.zeros(2, 3)
    views = [x[0], x.T, x.reshape(3, 2), x[:, ::-1], x.detach(), x.data, x[None], x.squeeze()]
    x.fill_(1)
    assert all((v == 1).all() for v in views)
    views[0].add_(1)
    assert x.tolist() == [[2, 2, 2], [1, 1, 1]]
    x.data[1, 2] = 9
    assert x[1, 2].item() == 9
    x.data = pr.ones(2)
    assert x.tolist() == [1, 1]


def test_data_of_a_leaf_can_be_changed_and_is_outside_the_tape() -> None:
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    assert not w.data.requires_grad
    w.data.mul_(2)
    w.data[0] = 7
    assert w.tolist() == [7, 4]
    assert w.requires_grad


# Its few facts


def test_attributes() -> None:
    t = pr.zeros(2, 3)
    assert t.size() == (2, 3)
    assert t.size(1) == 3
    assert t.size(-1) == 3
    assert (t.numel(), t.nelement(), t.dim(), t.ndimension()) == (6, 6, 2, 2)
    assert t.device == "cpu"
    assert t.element_size() == 4
    assert t.is_floating_point()
    assert t.is_leaf
    assert t.grad is None
    assert t.grad_fn is None
    assert t.type() == "pierian.FloatTensor"
    assert t.type("long").dtype == np.int64
    assert pr.zeros(2, 0, 3).numel() == 0
    assert pr.zeros().numel() == 1
    with pytest.raises(AttributeError):
        t.unknown  # noqa: B018
    with pytest.raises(AttributeError):
        t.unknown = 1


@pytest.mark.parametrize("value", [3, 2.5, True, 1 + 2j])
def test_single_elements_become_python_numbers(value: Any) -> None:
    for t in (pr.tensor(value), pr.tensor([value]), pr.tensor([[value]])):
        assert type(t.item()) is type(value)
        assert t.item() == value
        assert bool(t) is True
        assert complex(t) == value
        if not isinstance(value, complex):
            assert float(t) == value
            assert int(t) == int(value)
    if not isinstance(value, complex):
        assert f"{pr.tensor(value):.2f}" == f"{value:.2f}"


def test_item_bool_len_index_refuse_what_they_cannot_do() -> None:
    x = pr.zeros(2)
    with pytest.raises(pr.ShapeError, match="item: needs exactly one element.*shape"):
        x.item()
    with pytest.raises(pr.ShapeError, match=r"bool: the truth of several elements is ambiguous"):
        bool(x)
    with pytest.raises(pr.ShapeError, match="bool"):
        bool(pr.zeros(0))
    with pytest.raises(TypeError, match="len: needs an axis"):
        len(pr.tensor(1.0))
    with pytest.raises(TypeError, match="len"):
        list(pr.tensor(1.0))
    with pytest.raises(pr.DtypeError, match="index: only an integer tensor"):
        range(pr.tensor(1.0))
    with pytest.raises(TypeError):
        float(pr.tensor(1j))


def test_integers_serve_as_indices_of_lists_and_ranges() -> None:
    i = pr.tensor(2)
    assert [10, 20, 30][i] == 30
    assert list(range(i)) == [0, 1]
    assert np.arange(5)[i] == 2
    assert "ab" * pr.tensor([2]).item() == "abab"


def test_iteration_and_unpacking_give_rows() -> None:
    x = pr.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    a, b = x
    assert (a.tolist(), b.tolist()) == ([1, 2], [3, 4])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert [v.item() for v in x[0]] == [1, 2]
    assert list(pr.zeros(0, 3)) == []
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    sum(v * v for v in w).backward()
    assert w.grad.tolist() == [2, 4]


def test_membership() -> None:
    x = pr.tensor([[1, 2], [3, 4]])
    assert 3 in x
    assert 5 not in x
    assert pr.tensor(4) in x
    assert float("nan") not in pr.tensor([float("nan")])


def test_hash_and_identity_in_sets_and_dicts() -> None:
    a, b = pr.zeros(2), pr.zeros(2)
    assert hash(a) == hash(a)
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1


def test_comparison_with_none_and_strings_is_by_identity() -> None:
    t = pr.zeros(2)
    assert (t == None) is False  # noqa: E711
    assert (t != None) is True  # noqa: E711
    assert (t == "a") is False
    with pytest.raises(TypeError):
        t < "a"  # noqa: B015
    with pytest.raises(TypeError):
        t + "a"
    with pytest.raises(TypeError):
        [1, 2] + t
    with pytest.raises(TypeError):
        t + None


# Print and copy


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: pr.tensor([1.0, 2.5]), "tensor([1. , 2.5], dtype=float32)"),
        (lambda: pr.tensor(3), "tensor(3, dtype=int64)"),
        (lambda: pr.tensor([[True], [False]]), "tensor([[ True],\n        [False]], dtype=bool)"),
        (lambda: pr.zeros(0, 2), "tensor([], dtype=float32)"),
        (lambda: pr.tensor([1.0], requires_grad=True),
         "tensor([1.], dtype=float32, requires_grad=True)"),
        (lambda: pr.tensor([1.0], requires_grad=True) * 2,
         "tensor([2.], dtype=float32, grad_fn=<mul>)"),
    ],
)  # fmt: skip
def test_print(make: Callable[[], Tensor], text: str) -> None:
    assert repr(make()) == str(make()) == f"{make()}" == text


def test_print_of_large_tensors_is_short() -> None:
    assert len(repr(pr.zeros(1000, 1000))) < 1000
    assert "..." in repr(pr.zeros(2000))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: pr.tensor([1.0, 2.5]), ["<pre>tensor([1. , 2.5], dtype=float32)</pre>"]),
        (lambda: pr.tensor([[1.0, 2.5]]),
         ["<p>tensor (1, 2), float32</p>", "<td>0</td><td>1</td><td>2.5</td>"]),
        (lambda: pr.tensor([[True], [False]]), ["<td>1</td><td>False</td>"]),
        (lambda: pr.tensor([[1.0]], requires_grad=True), ["float32, requires_grad=True</p>"]),
        (lambda: pr.tensor([[1.0]], requires_grad=True) * 2, ["grad_fn=&lt;mul&gt;</p>"]),
        (lambda: pr.zeros(20, 30), ["<th>3</th><th>⋯</th><th>26</th>", "<td>⋯</td><td>⋯</td>"]),
        (lambda: pr.zeros(0, 2), ["<pre>"]),
        (lambda: pr.zeros(2, 2, 2), ["<pre>tensor([[[0., 0.]"]),
        (lambda: pr.Parameter(pr.zeros(1, 1)), ["<p>Parameter (1, 1), float32, requires_grad"]),
    ],
)  # fmt: skip
def test_in_a_notebook(make: Callable[[], Tensor], parts: list[str]) -> None:
    page = make()._repr_html_()
    assert all(part in page for part in parts) and len(page) < 5000


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_keep_value_and_requires_grad(twin: Callable[[Tensor], Tensor]) -> None:
    t = pr.tensor([[1.0, 2.0]], requires_grad=True)
    other = twin(t)
    assert other is not t
    assert other.tolist() == t.tolist()
    assert other.dtype == t.dtype
    assert other.requires_grad
    (other * other).sum().backward()
    assert t.grad is None
    assert other.grad.tolist() == [[2.0, 4.0]]


def test_deep_copy_has_its_own_memory_and_keeps_sharing_inside() -> None:
    t = pr.tensor([1.0, 2.0], requires_grad=True)
    (t * t).sum().backward()
    tree = {"a": t, "b": [t]}
    twin = copy.deepcopy(tree)
    assert twin["a"] is twin["b"][0]
    assert twin["a"].grad.tolist() == [2, 4]
    assert twin["a"].grad is not t.grad
    with pr.no_grad():
        twin["a"].zero_()
        twin["a"].grad.zero_()
    assert t.tolist() == [1, 2]
    assert t.grad.tolist() == [2, 4]
    assert np.shares_memory(copy.copy(t).numpy(), t.numpy())


def test_a_shallow_copy_of_a_result_keeps_its_history() -> None:
    x = pr.tensor([1.0, 2.0], requires_grad=True)
    copy.copy(x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("twin", [copy.deepcopy, pickle.dumps])
def test_results_with_history_refuse_to_be_copied(twin: Callable[[Tensor], Any]) -> None:
    y = pr.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(pr.GradError, match=r"copy: only leaves.*got the result of mul.*detach"):
        twin(y)


@pytest.mark.parametrize("make", [pr.softmax, pr.sigmoid])
def test_copies_of_probabilities_are_plain_tensors(make: Callable[[Any], Tensor]) -> None:
    p = make(pr.tensor([1.0, 2.0]))
    assert p.logits.tolist() == [1.0, 2.0]
    for twin in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(twin) is Tensor
        assert twin.tolist() == p.tolist()
    for result in (p + 0, p[0], p.detach(), pr.clone(p)):
        assert type(result) is Tensor


@pytest.mark.parametrize(
    "change",
    [
        lambda p, x: p.mul_(2.0),
        lambda p, x: p.__setitem__(0, 0.0),
        lambda p, x: p.__iadd__(1.0),
        lambda p, x: x.zero_(),
        lambda p, x: setattr(p, "data", pr.zeros(2)),
    ],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_changed_probabilities_are_none_any_more(change: Any, recorded: bool) -> None:
    x = pr.tensor([1.0, 2.0], requires_grad=recorded) * 1.0
    p = pr.softmax(x)
    assert p.kind == "softmax"
    assert pr.sigmoid(x).kind == "sigmoid"
    change(p, x)
    assert p.kind == ""


# With NumPy

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
             operator.mod, operator.pow, operator.eq, operator.ne, operator.lt, operator.le,
             operator.gt, operator.ge]  # fmt: skip
WHOLE_OPERATORS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


def both_ways(op: Callable[[Any, Any], Any], a: np.ndarray, b: Any) -> None:
    for left, right in ((pr.asarray(a), b), (b, pr.asarray(a))):
        result = op(left, right)
        plain = [np.asarray(v) for v in (left, right)]
        assert type(result) is Tensor, f"{op.__name__} gave {type(result)}"
        expected = op(plain[0], plain[1])
        assert result.shape == expected.shape
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_operators_with_arrays_and_numbers_give_tensors_both_ways(op: Any) -> None:
    a = np.array([[1.0, 2.0, 4.0], [3.0, 1.5, 0.5]], np.float32)
    others = [np.array([2.0, 1.0, 3.0], np.float32), np.array(2.0, np.float32), np.float32(2),
              np.float64(2), np.int64(2), np.bool_(True), 2, 2.5, True]  # fmt: skip
    for b in others:
        both_ways(op, a, b)


@pytest.mark.parametrize("op", WHOLE_OPERATORS, ids=lambda op: op.__name__)
def test_whole_operators_with_arrays_and_numbers_both_ways(op: Any) -> None:
    a = np.array([[1, 2, 4], [3, 7, 0]])
    for b in (np.array([2, 1, 3]), np.int64(2), 3):
        both_ways(op, a, b)
    if op not in (operator.lshift, operator.rshift):
        both_ways(op, a > 2, np.array([True, False, True]))
        both_ways(op, a > 2, True)


def test_matmul_with_arrays_both_ways() -> None:
    a, b = np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)
    for result in (pr.asarray(a) @ b, a @ pr.asarray(b), np.ones(2, np.float32) @ pr.asarray(a)):
        assert type(result) is Tensor
        assert result.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2),
                                    np.longdouble(2.5), np.uint8(2), np.float16(2.5)])  # fmt: skip
def test_scalars_adapt_to_the_dtype_of_the_tensor(dtype: str, number: Any) -> None:
    t = pr.ones(2, dtype=dtype)
    for result in (t * number, number * t, t + number, number - t, t / number, t**number):
        assert str(result.dtype) == dtype


def test_scalars_of_a_higher_kind_take_the_default_dtype() -> None:
    whole, flag, single = pr.tensor([1], dtype="int8"), pr.tensor([True]), pr.tensor([1.0])
    assert str((whole + 1).dtype) == "int8"
    assert str((whole + 1.5).dtype) == "float32"
    assert str((whole * 1j).dtype) == "complex64"
    assert str((flag + 1).dtype) == "int64"
    assert str((flag * 0.5).dtype) == "float32"
    assert str((single * 1j).dtype) == "complex64"
    assert str((pr.ones(1, dtype="float64") * 1j).dtype) == "complex128"
    assert str((flag + True).dtype) == "bool"
    for t, number in ((whole, 1000), (pr.ones(1, dtype="uint8"), -1), (whole, np.int64(1000))):
        with pytest.raises(pr.DtypeError, match="a number must fit the dtype of the tensor"):
            t + number


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_promotion_is_the_array_apis_and_whole_numbers_yield(a: str, b: str) -> None:
    x, y = np.ones(2, a), np.ones(2, b)
    try:
        expected = promoted(x, y)
    except TypeError:
        expected = None
    mixed = {a, b} >= {"uint64"} and any(n in (a, b) for n in ("int8", "int16", "int32", "int64"))
    if mixed:
        with pytest.raises(pr.DtypeError, match="promotion: integers must have a common"):
            pr.asarray(x) + pr.asarray(y)
    elif "longdouble" in (a, b) and {a, b} & {"complex64", "complex128"}:
        assert (pr.asarray(x) + pr.asarray(y)).dtype == np.clongdouble
    else:
        assert (pr.asarray(x) + pr.asarray(y)).dtype == expected
        assert (pr.asarray(x) + y).dtype == expected


def test_no_operation_on_float32_gives_float64() -> None:
    x = pr.tensor([[0.5, 0.25], [0.125, 0.75]])
    quiet = {"manual_seed", "backward", "is_grad_enabled"}
    unary = [name for name in pr.__all__ if name not in quiet and callable(getattr(pr, name))]
    for name in unary:
        fn = getattr(pr, name)
        if not str(getattr(fn, "__module__", "")).startswith("pierian.ops"):
            continue
        for args in ((x,), (x, x), (x, 0), (x, 1.5), ([x, x],)):
            try:
                result = fn(*args)
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
                continue
            for leaf in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(leaf, Tensor):
                    assert leaf.dtype != np.float64, f"{name}{args}"


def test_numpy_functions_take_tensors() -> None:
    x = pr.tensor([1.0, 4.0])
    assert np.sqrt(x).tolist() == [1, 2]
    assert np.sum(np.asarray(x)) == 5
    a = np.zeros(2, np.float32)
    a += x
    assert a.tolist() == [1, 4]
    np.testing.assert_array_equal(x, [1, 4])


# In place


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("add_", (2,), [3, 6]), ("sub_", (2,), [-1, 2]), ("mul_", (2,), [2, 8]),
        ("div_", (2,), [0.5, 2]), ("pow_", (2,), [1, 16]), ("neg_", (), [-1, -4]),
        ("abs_", (), [1, 4]), ("exp_", (), np.exp([1.0, 4.0])), ("log_", (), np.log([1.0, 4.0])),
        ("sqrt_", (), [1, 2]), ("relu_", (), [1, 4]), ("tanh_", (), np.tanh([1.0, 4.0])),
        ("sigmoid_", (), 1 / (1 + np.exp([-1.0, -4.0]))), ("clip_", (2, 3), [2, 3]),
        ("clamp_", (2, 3), [2, 3]), ("zero_", (), [0, 0]), ("fill_", (7,), [7, 7]),
        ("copy_", ([5, 6],), [5, 6]), ("lerp_", (3.0, 0.5), [2, 3.5]),
        ("addcmul_", (2.0, 3.0), [7, 10]), ("addcdiv_", (3.0, 2.0), [2.5, 5.5]),
        ("floor_", (), [1, 4]), ("ceil_", (), [1, 4]), ("round_", (), [1, 4]),
        ("scatter_add_", (0, [1, 1], [1.0, 2.0]), [1, 7]),
    ],
)  # fmt: skip
def test_in_place_methods_write_into_the_same_memory(name: str, args: Any, expected: Any) -> None:
    x = pr.tensor([1.0, 4.0])
    memory = x.numpy()
    assert getattr(x, name)(*args) is x
    np.testing.assert_allclose(memory, np.asarray(expected), rtol=1e-6)
    assert x.dtype == np.float32
    recorded = pr.tensor([1.0, 4.0], requires_grad=True) * 1.0
    result = getattr(recorded, name)(*args)
    assert result is recorded
    np.testing.assert_allclose(recorded.numpy(), np.asarray(expected), rtol=1e-6)


def test_in_place_add_takes_alpha() -> None:
    assert pr.tensor([1.0]).add_(2, alpha=3).tolist() == [7]
    assert pr.tensor([1.0]).sub_(pr.tensor([2.0]), alpha=0.5).tolist() == [0]
    assert pr.tensor([1.0]).add(2, alpha=3).tolist() == [7]


@pytest.mark.parametrize("op", ["+=", "-=", "*=", "/=", "**=", "//=", "%=", "&=", "|=", "^=", "<<=",
                                ">>=", "@="])  # fmt: skip
def test_augmented_operators_write_into_the_same_memory(op: str) -> None:
    whole = op in ("&=", "|=", "^=", "<<=", ">>=")
    start = np.array([[6, 3], [5, 7]]) if whole else np.array([[6.0, 3.0], [5.0, 7.0]], np.float32)
    other = 2 if op != "@=" else np.array([[1, 2], [0, 1]], np.float32)
    expected, x = start.copy(), pr.tensor(start)
    memory, before = x.numpy(), x
    scope = {"x": x, "e": expected, "other": other}
    exec(f"x {op} other", scope)
    exec(f"e = e {op[:-1]} other", scope)
    assert scope["x"] is before
    np.testing.assert_allclose(memory, scope["e"], rtol=1e-6)


def test_in_place_results_must_fit() -> None:
    whole = pr.tensor([1, 2])
    with pytest.raises(pr.DtypeError, match="add in place: the result must fit the dtype"):
        whole += 0.5
    with pytest.raises(pr.DtypeError, match="truediv in place"):
        whole /= 2
    with pytest.raises(pr.ShapeError, match="add in place: the result must have the shape"):
        whole += pr.tensor([[1, 2], [3, 4]])
    assert whole.tolist() == [1, 2]
    single = pr.tensor([1.0, 2.0])
    single += pr.tensor([1.0, 1.0], dtype="float64")
    assert single.dtype == np.float32
    single.copy_(pr.tensor([3], dtype="int8"))
    assert single.tolist() == [3, 3]


def test_in_place_with_overlapping_memory() -> None:
    x = pr.arange(6).float()
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    x = pr.arange(9).float().reshape(3, 3)
    expected = (x.numpy() + x.numpy().T).copy()
    x += x.T
    assert (x.numpy() == expected).all()
    x.copy_(x.T)
    assert (x.numpy() == expected.T).all()


def test_copy_and_fill_take_values_not_memory_nor_identity() -> None:
    for change in (
        lambda y, w: y.copy_(w),
        lambda y, w: y.fill_(w[0]),
        lambda y, w: y.copy_(w[:1]),
    ):
        w = pr.tensor([1.0, 1.0], requires_grad=True)
        y = pr.zeros(2)
        change(y, w)
        assert not y.is_leaf
        assert not np.shares_memory(y.numpy(), w.numpy())
        with pr.no_grad():
            y.zero_()
        assert w.tolist() == [1, 1]
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    y = pr.zeros(2)
    y.copy_(w)
    (y * y).sum().backward()
    assert w.grad.tolist() == [2, 4]
    assert y.grad is None


def test_random_in_place_fills() -> None:
    x = pr.zeros(1000)
    x.uniform_(2, 3, generator=pr.Generator(0))
    assert 2 <= x.min().item() < x.max().item() <= 3
    x.normal_(5, 0.1, generator=pr.Generator(0))
    assert abs(x.mean().item() - 5) < 0.02


# Item assignment beyond the table of cases


def test_assignment_converts_or_refuses_dtypes() -> None:
    x = pr.zeros(3)
    x[0] = 1
    x[1] = True
    x[2] = np.float64(2.5)
    assert x.tolist() == [1, 1, 2.5]
    x[:] = np.array([1, 2, 3])
    assert x.tolist() == [1, 2, 3]
    whole = pr.zeros(3, dtype=int)
    whole[0] = 7
    whole[1:] = pr.tensor([1, 2], dtype="uint8")
    assert whole.tolist() == [7, 1, 2]
    with pytest.raises(pr.DtypeError, match="item assignment: the value must fit the dtype"):
        whole[0] = 1.5
    with pytest.raises(pr.DtypeError, match="item assignment"):
        x[0] = 1j
    flags = pr.zeros(2, dtype=bool)
    flags[0] = True
    flags[1] = 3
    assert flags.tolist() == [True, True]


def test_assignment_broadcasts_as_numpy_and_refuses_the_rest() -> None:
    x, a = pr.zeros(2, 3), np.zeros((2, 3), np.float32)
    for index, value in [((), [[1.0], [2.0]]), (0, [5.0]), (slice(None), [[7.0, 8.0, 9.0]]),
                         ((slice(None), 1), [[[4.0, 3.0]]]), ((1, 2), [[6.0]])]:  # fmt: skip
        x[index] = value
        a[index] = np.array(value) if index != (1, 2) else 6.0
        assert x.tolist() == a.tolist()
    for value in ([1.0, 2.0], np.zeros((3, 2)), np.zeros((2, 2, 3))):
        with pytest.raises(pr.ShapeError, match="item assignment"):
            x[...] = value
    assert x.tolist() == a.tolist()


def test_assignment_from_itself_reads_before_it_writes() -> None:
    for target, source in [(slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None)),
                           (slice(None), slice(None, None, -1)),
                           ([0, 1, 2], [2, 0, 1])]:  # fmt: skip
        a = np.arange(4.0)
        x = pr.tensor(a)
        a[target] = a[source].copy()
        x[target] = x[source]
        assert x.tolist() == a.tolist()


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        (5, IndexError, "index: must lie inside axis 0; expected -2 <= index < 2, got 5"),
        (-3, IndexError, "got -3"),
        ((0, 3), IndexError, "axis 1"),
        ([0, 2], IndexError, "an index must lie inside axis 0"),
        ((0, [-4]), IndexError, "inside axis 0; expected -3 <= index < 3, got -4"),
        ((0, 0, 0), pr.ShapeError, "at most one index per axis"),
        ((..., ...), pr.ShapeError, "one `...`"),
        (1.5, pr.DtypeError, "an index is an integer"),
        ("a", pr.DtypeError, "number type"),
        ([True, False, True], pr.ShapeError, "a mask must have the shape of what it masks"),
        (([0, 1], [0, 1, 2]), pr.ShapeError, "broadcast"),
        (slice(None, None, 0), ValueError, "zero"),
    ],
    ids=str,
)
def test_bad_indices_are_refused_reading_and_writing(index: Any, error: type, text: str) -> None:
    x = pr.zeros(2, 3)
    with pytest.raises(error, match=re.escape(text)):
        x[index]
    with pytest.raises(error):
        x[index] = 1.0
    w = pr.zeros(2, 3, requires_grad=True) * 1.0
    with pytest.raises(error):
        w[index] = 1.0
    assert (x == 0).all()


def test_leaf_assignment_and_plain_assignment_under_no_grad() -> None:
    w = pr.zeros(3, requires_grad=True)
    with pytest.raises(pr.GradError, match="item assignment: a leaf that requires gradients"):
        w[0] = 1.0
    with pr.no_grad():
        w[0] = 1.0
        w[1] += 2.0
    assert w.tolist() == [1, 2, 0]
    assert w.requires_grad
    assert w.is_leaf


def test_a_change_that_would_be_lost_in_a_view_is_an_error() -> None:
    w = pr.tensor(5.0, requires_grad=True)
    h = pr.ones(2, 2, requires_grad=True) * 2

    def through_rows(h: Any, value: Any) -> None:
        h[0][1] = value

    def by_method(h: Any, value: Any) -> None:
        h.T.mul_(value)

    for change in (through_rows, by_method):
        for target, value in ((h, 7.0), (h, w), (pr.zeros(2, 2), w)):
            with pytest.raises(pr.GradError, match="a change of a view must reach"):
                change(target, value)
    plain = pr.zeros(2, 2)
    plain[0][1] = 7.0  # nothing recorded: the memory is shared
    plain[1] += 1.0
    assert plain.tolist() == [[0, 7], [1, 1]]
    grown = pr.zeros(4).reshape(2, 2)  # a view of memory that nobody else sees
    grown[0] = w
    grown[1] += w
    grown.mul_(2.0)
    grown.sum().backward()
    assert w.grad.item() == 8
    assert h.tolist() == [[2, 2], [2, 2]]


def test_views_of_views_and_slots_leave_no_attribute_behind() -> None:
    t = pr.zeros(2, 3)
    assert not hasattr(t, "__dict__")
    assert sys.getsizeof(t) < 120


def test_to_and_casts() -> None:
    x = pr.tensor([1.7, -1.7])
    assert x.to("cpu") is x
    assert x.to(pr.float32) is x
    assert x.to("float64").dtype == np.float64
    assert x.to(pr.zeros(1, dtype="int8")).tolist() == [1, -1]
    assert x.to(dtype=int).tolist() == [1, -1]
    assert x.cpu() is x
    with pytest.raises(pr.DtypeError, match="the only device is the CPU"):
        x.to("cuda")
    with pytest.raises(pr.DtypeError, match="Leave the call out"):
        x.cuda()
    for name, dtype in [("half", "float16"), ("float", "float32"), ("double", "float64"),
                        ("char", "int8"), ("short", "int16"), ("int", "int32"), ("long", "int64"),
                        ("byte", "uint8"), ("bool", "bool")]:  # fmt: skip
        assert str(getattr(abs(x), name)().dtype) == dtype
    with pytest.raises(pr.DtypeError, match="cast: a complex number does not fit"):
        pr.tensor([1j]).float()


def test_contiguous_copies_only_when_needed() -> None:
    x = pr.zeros(2, 3)
    assert x.contiguous() is x
    y = x.T.contiguous()
    assert y.numpy().flags.c_contiguous
    assert not np.shares_memory(y.numpy(), x.numpy())
