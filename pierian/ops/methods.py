"""What can be written as `x.name(...)` and with operators: one table, put on Tensor once.

May import: everything in ops. To add a method: a row in `METHODS`; names are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base import dtypes
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import broadcast
from pierian.core import autodiff
from pierian.core.graph import Symbol
from pierian.core.html import html
from pierian.core.tensor import Tensor, as_tensor, assign, bind, check_reaches, mode
from pierian.ops import composite, creation, indexing, linalg, movement, reduction, sorting
from pierian.ops import elementwise as ew
from pierian.ops import random as rnd
from pierian.ops.operands import OPERANDS, cast, operand

# Operators


def _operator(fn: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Any]:
    def forward(self: Tensor, other: Any) -> Any:
        return fn(self, other) if isinstance(other, OPERANDS) else NotImplemented

    return forward


def _reflected(fn: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Any]:
    def backward(self: Tensor, other: Any) -> Any:
        return fn(other, self) if isinstance(other, OPERANDS) else NotImplemented

    return backward


def _in_place(fn: Callable[[Any, Any], Tensor], where: str) -> Callable[[Tensor, Any], Any]:
    def update(self: Tensor, other: Any) -> Any:
        return _assign(self, fn(self, other), where)

    return update


BINARY = {
    "add": ew.add, "sub": ew.sub, "mul": ew.mul, "truediv": ew.div, "floordiv": ew.floor_divide,
    "mod": ew.remainder, "pow": ew.pow, "matmul": linalg.matmul, "and": ew.bitwise_and,
    "or": ew.bitwise_or, "xor": ew.bitwise_xor, "lshift": ew.left_shift, "rshift": ew.right_shift,
}  # fmt: skip
COMPARE = {"eq": ew.eq, "ne": ew.ne, "lt": ew.lt, "le": ew.le, "gt": ew.gt, "ge": ew.ge}


# In place: everything ends in `assign`


def _assign(target: Tensor, new: Tensor, where: str) -> Tensor:
    """`target` replaced by `new`, cast to its dtype, stretched to its shape."""
    if new.dtype != target.dtype:
        if new.dtype.kind in "fc" and target.dtype.kind in "biu":
            raise DtypeError(
                message(where, "the result must fit the dtype of the tensor it is stored in",
                        target.dtype, new.dtype, "Use the operator without =, or .float() first")
            )  # fmt: skip
        new = cast(new, target.dtype)
    if new.shape != target.shape:
        if broadcast(where, new.shape, target.shape) != target.shape:
            raise ShapeError(
                message(where, "the result must have the shape of the tensor it is stored in",
                        target.shape, new.shape, "Use the operator without =")
            )  # fmt: skip
        new = _given(bind("expand", new, shape=target.shape))
    return assign(target, new, where)


def _given(new: Tensor) -> Tensor:
    """`new` in memory of its own, where `assign` might take that over."""
    return ew.clone(new) if mode.grad or mode.tracer is not None else new


def _changing(name: str, fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`x.name_(...)`: x replaced by fn(x, ...)."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        new = fn(self, *args, **kwargs)
        check_reaches(self, new, f"{name}_")
        return _assign(self, new, f"{name}_")

    method.__name__ = f"{name}_"
    method.__doc__ = f"Replace the values by those of `{name}`, in place."
    return method


def _scaled(fn: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """PyTorch's add(x, other, alpha=1) and sub."""

    def method(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
        return fn(self, other if alpha == 1 else ew.mul(as_tensor(other), alpha))

    method.__name__, method.__doc__ = fn.__name__, fn.__doc__
    return method


def _zero(x: Tensor) -> Tensor:
    return creation.zeros_like(x)


def _fill(x: Tensor, value: Any) -> Tensor:
    return _given(bind("expand", cast(operand("fill_", value, x), x.dtype), shape=x.shape))


def _copy(x: Tensor, other: Any) -> Tensor:
    """The values of `other`, copied into this tensor."""
    other = as_tensor(other)
    new = cast(other, x.dtype)
    return _given(new) if new is other else new


def _addcmul(x: Tensor, a: Any, b: Any, value: float = 1) -> Tensor:
    """x + value · a · b. Shapes: broadcast."""
    return x + ew.mul(a, b) * value


def _addcdiv(x: Tensor, a: Any, b: Any, value: float = 1) -> Tensor:
    """x + value · a / b. Shapes: broadcast."""
    return x + ew.div(a, b) * value


def _lerp(x: Tensor, end: Any, weight: Any) -> Tensor:
    """x + weight · (end - x): from x (weight 0) to end (weight 1). Shapes: broadcast."""
    return x + (end - x) * weight


def _masked_fill(x: Tensor, mask: Any, value: Any) -> Tensor:
    """`value` where the mask holds, else x. Shapes: broadcast."""
    return ew.where(mask, value, x)


def _uniform(x: Tensor, low: float = 0.0, high: float = 1.0, generator: Any = None) -> Tensor:
    return rnd.uniform(low, high, x.shape, x.dtype, generator)


def _normal(x: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    return rnd.normal(mean, std, x.shape, x.dtype, generator)


CHANGING: dict[str, Any] = {
    "add": _scaled(ew.add), "sub": _scaled(ew.sub), "mul": ew.mul, "div": ew.div, "pow": ew.pow,
    "neg": ew.neg, "abs": ew.abs, "exp": ew.exp, "log": ew.log, "sqrt": ew.sqrt, "relu": ew.relu,
    "sigmoid": composite.sigmoid, "tanh": ew.tanh, "clip": composite.clip,
    "clamp": composite.clip, "zero": _zero, "fill": _fill, "copy": _copy, "lerp": _lerp,
    "addcmul": _addcmul, "addcdiv": _addcdiv, "uniform": _uniform, "normal": _normal,
    "floor": ew.floor, "ceil": ew.ceil, "round": ew.round,
}  # fmt: skip


# Conversions


def _to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor with another dtype; `to("cpu")` is itself, other devices do not exist yet.

    >>> creation.tensor([1, 2]).to("float32")
    tensor([1., 2.], dtype=float32)
    """
    out = self
    for target in (*args, *kwargs.values()):
        if isinstance(target, Tensor):
            target = target.dtype
        if isinstance(target, str) and target.split(":")[0] in ("cpu", "cuda", "mps", "gpu"):
            if target != "cpu":
                raise DtypeError(
                    message("to", "the only device is the CPU", "'cpu'", repr(target),
                            "Leave the call out")
                )  # fmt: skip
        elif not isinstance(target, bool):
            out = cast(out, target)
    return out


TYPE_NAMES = {
    "float16": "HalfTensor", "float32": "FloatTensor", "float64": "DoubleTensor",
    "int8": "CharTensor", "int16": "ShortTensor", "int32": "IntTensor", "int64": "LongTensor",
    "uint8": "ByteTensor", "bool": "BoolTensor",
}  # fmt: skip


def _type(self: Tensor, dtype: Any = None) -> Any:
    """The type as text, like "pierian.FloatTensor"; with a dtype, this tensor cast to it."""
    if dtype is not None:
        return cast(self, dtype)
    return f"pierian.{TYPE_NAMES.get(str(self.dtype), f'Tensor[{self.dtype}]')}"


def _caster(name: str, dtype: np.dtype) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return cast(self, dtype)

    method.__name__ = name
    method.__doc__ = f"This tensor with dtype {dtype}."
    return method


CASTS = {
    "half": dtypes.float16, "float": dtypes.float32, "double": dtypes.float64,
    "char": dtypes.int8, "short": dtypes.int16, "int": dtypes.int32, "long": dtypes.int64,
    "byte": dtypes.uint8, "bool": dtypes.bool_,
}  # fmt: skip


def _detach_(self: Tensor) -> Tensor:
    """Take this tensor off the tape, in place."""
    self.node = None
    return self


def _scatter_add_(self: Tensor, axis: int, indices: Any, values: Any) -> Tensor:
    """Add values at indices along `axis`, in place; see `pr.scatter_add`."""
    new = indexing.scatter_add(self, axis, indices, values)
    check_reaches(self, new, "scatter_add_")
    return _assign(self, new, "scatter_add_")


def _repeat(self: Tensor, *times: Any) -> Tensor:
    """This tensor laid side by side, PyTorch's `repeat` (NumPy's `tile`)."""
    return movement.tile(self, *times)


def _new_zeros(self: Tensor, *shape: Any) -> Tensor:
    """Zeros of another shape in the dtype of this tensor."""
    return creation.zeros(*shape, dtype=self.dtype)


def _new_ones(self: Tensor, *shape: Any) -> Tensor:
    """Ones of another shape in the dtype of this tensor."""
    return creation.ones(*shape, dtype=self.dtype)


def _is_floating_point(self: Tensor) -> bool:
    """Whether the dtype is a real floating type."""
    return dtypes.is_floating(self.dtype)


def _element_size(self: Tensor) -> int:
    """Bytes per element."""
    return int(self.dtype.itemsize)


def _cpu(self: Tensor) -> Tensor:
    """This tensor: the CPU is where it is."""
    return self


def _cuda(self: Tensor, device: Any = None) -> Tensor:
    """Raises DtypeError: there is no other device than the CPU."""
    return _to(self, "cuda")


def _contiguous(self: Tensor) -> Tensor:
    """This tensor in row-major memory of its own, or itself when it is that already."""
    value = self.value
    if type(value) is Symbol or value.flags.c_contiguous:
        return self
    return bind("copy", self)


METHODS: dict[str, Any] = {
    "__getitem__": indexing.getitem, "__setitem__": indexing.setitem, "__neg__": ew.neg,
    "__pos__": lambda self: self, "__abs__": ew.abs, "__invert__": ew.bitwise_not,
    "backward": autodiff.backward, "clone": ew.clone, "detach_": _detach_, "to": _to,
    "type": _type, "cpu": _cpu, "cuda": _cuda, "contiguous": _contiguous, "astype": cast,
    "is_floating_point": _is_floating_point, "element_size": _element_size,
    "nelement": Tensor.numel, "new_zeros": _new_zeros, "new_ones": _new_ones,
    "repeat": _repeat, "repeat_interleave": movement.repeat, "scatter_add_": _scatter_add_,
    "clamp": composite.clip, "mm": linalg.matmul, "bmm": linalg.matmul, "view": movement.reshape,
    "t": movement.transpose, "ndimension": Tensor.dim, "absolute": ew.abs,
    "true_divide": ew.div, "divide": ew.div, "multiply": ew.mul, "subtract": ew.sub,
    "add": _scaled(ew.add), "sub": _scaled(ew.sub), "not_equal": ew.ne, "lerp": _lerp,
    "addcmul": _addcmul, "addcdiv": _addcdiv, "masked_fill": _masked_fill,
    "logical_and": ew.logical_and, "logical_or": ew.logical_or,
    **{f.__name__: f for f in [
        ew.mul, ew.div, ew.pow, ew.floor_divide, ew.remainder, ew.maximum, ew.minimum, ew.atan2,
        ew.eq, ew.ne, ew.lt, ew.le, ew.gt, ew.ge, ew.logical_not, ew.logical_xor, ew.where,
        ew.isnan, ew.isinf, ew.isfinite, ew.neg, ew.abs, ew.sign, ew.exp, ew.exp2, ew.expm1,
        ew.log, ew.log2, ew.log10, ew.log1p, ew.sqrt, ew.sin, ew.cos, ew.tan, ew.asin, ew.acos,
        ew.atan, ew.sinh, ew.cosh, ew.tanh, ew.asinh, ew.acosh, ew.atanh, ew.erf, ew.softplus,
        ew.relu, ew.floor, ew.ceil, ew.trunc, ew.round,
        reduction.sum, reduction.prod, reduction.mean, reduction.var, reduction.std,
        reduction.max, reduction.min, reduction.any, reduction.all, reduction.argmax,
        reduction.argmin, reduction.cumsum, reduction.cumprod, reduction.logsumexp,
        reduction.norm,
        movement.reshape, movement.flatten, movement.squeeze, movement.unsqueeze,
        movement.permute, movement.transpose, movement.swapaxes, movement.moveaxis,
        movement.broadcast_to, movement.expand, movement.tile, movement.narrow, movement.split,
        movement.chunk, movement.flip, movement.roll,
        linalg.matmul, linalg.dot, linalg.outer,
        indexing.take, indexing.take_along_axis, indexing.gather, indexing.scatter_add,
        sorting.argsort, sorting.sort, sorting.topk, sorting.unique, sorting.nonzero,
        composite.softmax, composite.log_softmax, composite.sigmoid, composite.clip,
        composite.square, composite.reciprocal, composite.rsqrt, composite.tril, composite.triu,
        composite.diagonal, composite.diag, composite.allclose,
    ]},
    "_repr_html_": html,
    **{name: _caster(name, dtype) for name, dtype in CASTS.items()},
    **{f"{name}_": _changing(name, fn) for name, fn in CHANGING.items()},
    **{f"__{name}__": _operator(fn) for name, fn in (BINARY | COMPARE).items()},
    **{f"__r{name}__": _reflected(fn) for name, fn in BINARY.items()},
    **{f"__i{name}__": _in_place(fn, f"{name} in place") for name, fn in BINARY.items()},
}  # fmt: skip
PROPERTIES = {"T": movement.transpose, "mT": movement.matrix_transpose}


def install() -> None:
    """Put the table on Tensor."""
    for name, fn in METHODS.items():
        setattr(Tensor, name, fn)
    for name, fn in PROPERTIES.items():
        setattr(Tensor, name, property(fn, doc=fn.__doc__))


install()
