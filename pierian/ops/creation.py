"""New tensors: from data, constant, counting.

May import: base, core, operands. `full` and `arange` are primitives, so that a graph can make
them without storing them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype, float32, int64
from pierian.base.errors import ShapeError, message
from pierian.base.shapes import as_shape
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind, constant, to_array
from pierian.ops.operands import number

define("full", shape=lambda shape, value, dtype: Spec(shape, dtype), warns=False,
       run=lambda shape, value, dtype: np.full(shape, value, dtype))  # fmt: skip
define("arange", shape=lambda start, step, size, dtype: Spec((size,), dtype), warns=False,
       run=lambda start, step, size, dtype:
           (start + step * np.arange(size)).astype(dtype))  # fmt: skip


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`.

    Shapes:  that of data, () for a number.
    Args:    data   numbers, nested lists, arrays, tensors. Arrays keep their dtype; Python
                    numbers become bool, int64, float32 or complex64.
             dtype  the dtype wanted instead.
    Raises:  ShapeError for ragged lists; DtypeError for what is not numbers.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]], dtype=int64)
    """
    if isinstance(data, Tensor):
        new = as_tensor(bind("copy", data.detach()), None if dtype is None else as_dtype(dtype))
    else:
        array = to_array(data, dtype)
        new = constant(array.copy() if np.may_share_memory(array, data) else array)
    return new.requires_grad_() if requires_grad else new


def asarray(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a tensor that shares its memory where it can; a tensor is given back itself.

    Shapes:  that of data. Dtypes: kept unless `dtype` is given; Python numbers as `tensor`.

    >>> import numpy as np
    >>> a = np.zeros(2, np.float32)
    >>> t = asarray(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.], dtype=float32)
    """
    return as_tensor(data, None if dtype is None else as_dtype(dtype))


def full(shape: Any, value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of `shape` filled with `value`; the dtype is that of the value by default.

    Shapes:  -> shape.
    Raises:  DtypeError for a value that the dtype cannot hold.

    >>> full((2,), 7)
    tensor([7, 7], dtype=int64)
    """
    plain = value.item() if hasattr(value, "item") else value
    kind = as_dtype(type(plain)) if dtype is None else as_dtype(dtype)
    number("full", plain, kind)
    out = bind("full", shape=as_shape("full", (shape,)), value=plain, dtype=kind)
    return out.requires_grad_() if requires_grad else out


def zeros(*shape: Any, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Zeros. Shapes: `zeros(2, 3)` or `zeros((2, 3))`. Dtypes: float32 by default."""
    return full(as_shape("zeros", shape), 0, dtype, requires_grad)


def ones(*shape: Any, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Ones. Shapes: `ones(2, 3)` or `ones((2, 3))`. Dtypes: float32 by default."""
    return full(as_shape("ones", shape), 1, dtype, requires_grad)


def empty(*shape: Any, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """A tensor to be filled later; of zeros, so that programs repeat. Shapes: `empty(2, 3)`."""
    return full(as_shape("empty", shape), 0, dtype, requires_grad)


def full_like(x: Any, value: Any, dtype: Any = None) -> Tensor:
    """A tensor like `x`, filled with `value`. Shapes: x (...) -> same. Dtypes: kept by default."""
    x = as_tensor(x)
    return full(x.shape, value, x.dtype if dtype is None else dtype)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros like `x`. Shapes: x (...) -> same. Dtypes: kept by default."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones like `x`. Shapes: x (...) -> same. Dtypes: kept by default."""
    return full_like(x, 1, dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """As `empty`, like `x`. Shapes: x (...) -> same. Dtypes: kept by default."""
    return full_like(x, 0, dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """start, start + step, … up to but without stop; `arange(n)` counts from 0.

    Shapes:  -> (n,). Dtypes: int64, or float32 when any argument is a float.

    >>> arange(1, 7, 2)
    tensor([1, 3, 5], dtype=int64)
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ShapeError(message("arange", "the step moves", "step != 0", step, "Pass step=1"))
    whole = all(isinstance(n, (int, np.integer)) for n in (start, stop, step))
    kind = as_dtype(dtype) if dtype is not None else int64 if whole else float32
    size = max(math.ceil((stop - start) / step), 0)
    return bind("arange", start=start, step=step, size=size, dtype=kind)


def linspace(start: float, stop: float, num: int = 100, dtype: Any = float32) -> Tensor:
    """`num` numbers evenly spaced from start to stop, both included. Shapes: -> (num,).

    >>> linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    (count,) = as_shape("linspace", (num,))
    return constant(np.linspace(start, stop, count, dtype=as_dtype(dtype)))


def eye(n: int, m: int | None = None, dtype: Any = float32) -> Tensor:
    """Ones on the diagonal, zeros elsewhere. Shapes: (n, m), square by default."""
    rows, columns = as_shape("eye", (n, n if m is None else m))
    return constant(np.eye(rows, columns, dtype=as_dtype(dtype)))


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor in the memory of a NumPy array, PyTorch's `asarray`. Shapes: that of array."""
    return as_tensor(array)
