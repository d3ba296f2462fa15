"""How operations read their arguments: numbers and arrays become tensors of one dtype.

May import: base, core. To let another kind of object take part in arithmetic, teach `operand`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype, floating, promote, promote_scalar
from pierian.base.errors import DtypeError, message
from pierian.core.tensor import Tensor, as_tensor, bind, constant

NUMBERS = (bool, int, float, complex)
OPERANDS = (Tensor, np.ndarray, np.generic, *NUMBERS)  # what `tensor + x` takes


def cast(x: Any, dtype: Any) -> Tensor:
    """`x` with its elements converted to `dtype`; itself when they have it.

    Shapes:  x (...) -> same.
    Dtypes:  any; gradients pass between floating dtypes. Floats are cut towards zero.

    >>> cast(as_tensor([1.7, -1.7]), "int64")
    tensor([ 1, -1], dtype=int64)
    """
    x, wanted = as_tensor(x), as_dtype(dtype)
    if x.value.dtype == wanted:
        return x
    if x.value.dtype.kind == "c" and wanted.kind not in "cb":
        raise DtypeError(
            message("cast", "a complex number does not fit a real dtype", "a complex dtype",
                    wanted, "Take the real part with NumPy first")
        )  # fmt: skip
    return bind("cast", x, dtype=wanted)


def operand(where: str, x: Any, like: Tensor) -> Tensor:
    """`x` as a tensor beside `like`: a Python number takes the dtype of `like` if it can."""
    if isinstance(x, np.generic):
        x = float(x) if isinstance(x, np.longdouble) else x.item()
    kind: Any = type(x)
    if kind in NUMBERS:
        return constant(number(where, x, promote_scalar(like.value.dtype, kind)))
    return as_tensor(x)


def number(where: str, x: Any, dtype: np.dtype) -> np.ndarray:
    """The number `x` as a 0-d array of `dtype`; a DtypeError when it is another number there."""
    try:
        array = np.array(x, dtype)
        fits = dtype.kind not in "iu" or array == x
    except (OverflowError, TypeError, ValueError):
        fits = False
    if not fits:
        raise DtypeError(
            message(where, "a number must fit the dtype of the tensor", f"a {dtype}", x,
                    "Cast the tensor to a wider or a floating dtype first")
        )  # fmt: skip
    return array


def pair(where: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """`a` and `b` as tensors of the dtype they promote to."""
    if not isinstance(a, Tensor):
        a = operand(where, a, b) if isinstance(b, Tensor) else as_tensor(a)
    if not isinstance(b, Tensor):
        b = operand(where, b, a)
    left, right = a.value.dtype, b.value.dtype
    if left is right or left == right:
        return a, b
    dtype = promote(left, right)
    return (
        a if left == dtype else bind("cast", a, dtype=dtype),
        b if right == dtype else bind("cast", b, dtype=dtype),
    )


def real(where: str, x: Any) -> Tensor:
    """`x` as a floating (or complex) tensor: integers become float32."""
    x = as_tensor(x)
    return x if x.value.dtype.kind in "fc" else cast(x, floating(x.value.dtype))
