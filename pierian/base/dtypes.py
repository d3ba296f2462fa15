"""Dtypes: their names, which kind each one is, and what two of them promote to.

May import: numpy and errors. To add a name people know a dtype by: a row in `ALIASES`.

Promotion follows the Python Array API standard; where that leaves mixed kinds open, an integer
meeting a float takes the float's dtype (as in PyTorch), so float32 never grows to float64 unasked.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pierian.base.errors import DtypeError, message

bool_ = np.dtype("bool")
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{bits}") for bits in (16, 32, 64))
longdouble = np.dtype("longdouble")
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")

KINDS = {"bool": "b", "integer": "iu", "floating": "f", "complex": "c"}
ALIASES: dict[Any, np.dtype] = {
    bool: bool_,
    int: int64,
    float: float32,
    complex: complex64,
    "bool": bool_,
    "byte": uint8,
    "short": int16,
    "int": int32,
    "long": int64,
    "half": float16,
    "float": float32,
    "double": float64,
}


def as_dtype(spec: Any) -> np.dtype:
    """The NumPy dtype that `spec` names: a dtype, a string, a Python or a NumPy type.

    Raises:  DtypeError for anything that is not a number type (object, str, datetime …).

    >>> as_dtype(float), as_dtype("long"), as_dtype(np.int8)
    (dtype('float32'), dtype('int64'), dtype('int8'))
    """
    if isinstance(spec, np.dtype) and spec.isnative:
        dtype = spec
    else:
        try:
            dtype = ALIASES[spec]
        except (KeyError, TypeError):
            try:
                dtype = np.dtype(spec).newbyteorder("=")
            except TypeError:
                raise DtypeError(
                    message("dtype", "must name a number type", "one like 'float32'", repr(spec),
                            "Use pr.float32, 'float32' or np.float32")
                ) from None  # fmt: skip
    if dtype.kind not in "biufc":
        raise DtypeError(
            message("dtype", "must be a number type", "bool, int, float or complex", dtype,
                    "Convert the data to numbers first")
        )  # fmt: skip
    return dtype


def is_floating(dtype: np.dtype) -> bool:
    """Whether `dtype` is a real floating type, the only kind that carries gradients."""
    return dtype.kind == "f"


def is_integer(dtype: np.dtype) -> bool:
    """Whether `dtype` is a signed or unsigned integer (bool is not)."""
    return dtype.kind in "iu"


@cache
def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The dtype of an operation between arrays of dtypes `a` and `b`.

    >>> promote(int64, float32), promote(bool_, uint8), promote(uint8, int8)
    (dtype('float32'), dtype('uint8'), dtype('int16'))
    """
    if a.kind in "biu" and b.kind in "fc":
        return b
    if b.kind in "biu" and a.kind in "fc":
        return a
    result = np.result_type(a, b)
    if result.kind == "f" and a.kind in "iu":
        raise DtypeError(
            message("promotion", "integers must have a common integer type", "signed or unsigned",
                    f"{a} and {b}", "Cast one side first, for example with .long()")
        )  # fmt: skip
    return result


@cache
def promote_scalar(dtype: np.dtype, kind: type) -> np.dtype:
    """The dtype of an array of `dtype` meeting a Python number of type `kind`.

    The number adapts to the array unless it is of a higher kind; then the default dtype of
    that kind is taken.

    >>> promote_scalar(int64, float), promote_scalar(float64, float), promote_scalar(bool_, int)
    (dtype('float32'), dtype('float64'), dtype('int64'))
    """
    if kind is complex:
        return complex128 if dtype.itemsize > 4 and dtype.kind == "f" else (
            dtype if dtype.kind == "c" else complex64
        )  # fmt: skip
    if kind is float:
        return dtype if dtype.kind in "fc" else float32
    if kind is int:
        return dtype if dtype.kind != "b" else int64
    return dtype


def floating(dtype: np.dtype) -> np.dtype:
    """The dtype of a result that cannot be an integer: itself, or float32."""
    return dtype if dtype.kind in "fc" else float32
