"""Dtypes: names, kinds, promotion of two, promotion with a Python number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pierian.base import dtypes
from pierian.base.dtypes import as_dtype, floating, is_floating, is_integer, promote, promote_scalar
from pierian.base.errors import DtypeError

# https://data-apis.org/array-api/2024.12/API_specification/type_promotion.html
SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
MIXED = {
    ("int8", "uint8"): "int16", ("int8", "uint16"): "int32", ("int8", "uint32"): "int64",
    ("int16", "uint8"): "int16", ("int16", "uint16"): "int32", ("int16", "uint32"): "int64",
    ("int32", "uint8"): "int32", ("int32", "uint16"): "int32", ("int32", "uint32"): "int64",
    ("int64", "uint8"): "int64", ("int64", "uint16"): "int64", ("int64", "uint32"): "int64",
}  # fmt: skip
FLOATS = {
    ("float32", "float64"): "float64", ("float32", "complex64"): "complex64",
    ("float32", "complex128"): "complex128", ("float64", "complex64"): "complex128",
    ("float64", "complex128"): "complex128", ("complex64", "complex128"): "complex128",
    ("float16", "float32"): "float32", ("float16", "float64"): "float64",
}  # fmt: skip


def both(a: str, b: str) -> set[str]:
    return {str(promote(np.dtype(a), np.dtype(b))), str(promote(np.dtype(b), np.dtype(a)))}


@pytest.mark.parametrize(("pair", "result"), [*MIXED.items(), *FLOATS.items()])
def test_promotion_is_the_array_apis(pair: tuple[str, str], result: str) -> None:
    assert both(*pair) == {result}


@pytest.mark.parametrize("family", [SIGNED, UNSIGNED, ["float16", "float32", "float64"]])
def test_the_wider_of_a_family_wins(family: list[str]) -> None:
    for i, a in enumerate(family):
        assert both(a, a) == {a}
        for b in family[i:]:
            assert both(a, b) == {b}


def test_bool_yields_to_all_and_whole_numbers_yield_to_real_ones() -> None:
    for other in (*SIGNED, *UNSIGNED, "float16", "float32", "complex64", "bool"):
        assert both("bool", other) == {other}
    for whole in (*SIGNED, *UNSIGNED, "bool"):
        for real in ("float16", "float32", "float64", "complex64", "complex128"):
            assert both(whole, real) == {real}


@pytest.mark.parametrize("signed", SIGNED)
def test_uint64_meets_no_signed_integer(signed: str) -> None:
    for a, b in ((signed, "uint64"), ("uint64", signed)):
        with pytest.raises(DtypeError, match="promotion: integers must have a common integer type"):
            promote(np.dtype(a), np.dtype(b))


@pytest.mark.parametrize(
    ("dtype", "kind", "result"),
    [("bool", bool, "bool"), ("int8", bool, "int8"), ("float16", bool, "float16"),
     ("bool", int, "int64"), ("int8", int, "int8"), ("uint8", int, "uint8"),
     ("float16", int, "float16"), ("complex64", int, "complex64"), ("bool", float, "float32"),
     ("int64", float, "float32"), ("float16", float, "float16"), ("float64", float, "float64"),
     ("complex64", float, "complex64"), ("int64", complex, "complex64"),
     ("bool", complex, "complex64"), ("float16", complex, "complex64"),
     ("float32", complex, "complex64"), ("float64", complex, "complex128"),
     ("complex64", complex, "complex64")],
)  # fmt: skip
def test_numbers_adapt_unless_of_a_higher_kind(dtype: str, kind: type, result: str) -> None:
    assert str(promote_scalar(np.dtype(dtype), kind)) == result


def test_kinds() -> None:
    assert is_floating(dtypes.float16)
    assert not is_floating(dtypes.complex64)
    assert is_integer(dtypes.uint8)
    assert not is_integer(dtypes.bool_)
    assert floating(dtypes.int64) == dtypes.float32
    assert floating(dtypes.float64) == dtypes.float64
    assert floating(dtypes.complex64) == dtypes.complex64


@pytest.mark.parametrize("spec", ["int", int, "long", "i8", np.int64, np.dtype(">i8"), ">i8"])
def test_names(spec: Any) -> None:
    found = as_dtype(spec)
    assert found.isnative
    assert found.kind == "i"


@pytest.mark.parametrize(
    ("spec", "text"),
    [("flaot32", "must name a number type; expected one like 'float32', got 'flaot32'"),
     ([1, 2], "must name a number type"), (str, "must be a number type"),
     ("M8[s]", "must be a number type"), (object, "must be a number type"),
     ("i4,f4", "must be a number type"), (7, "must name a number type")],
)  # fmt: skip
def test_other_things_are_refused(spec: Any, text: str) -> None:
    with pytest.raises(DtypeError, match=text.replace("[", r"\[")):
        as_dtype(spec)
