"""Variable: a tensor that is assigned to, for loops written by hand; Keras' and TensorFlow's name.

May import: base, core, init, parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype, is_floating
from pierian.base.errors import ShapeError, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import init
from pierian.nn.parameter import Buffer, Parameter


class Part(Tensor):
    """A piece of a variable, as indexing gives it; `assign` writes it back."""

    __slots__ = ("index", "owner")
    owner: Tensor
    index: Any

    def assign(self, value: Any) -> Tensor:
        """Write `value` into this place of the variable, which is given back."""
        with no_grad():
            self.owner[self.index] = value
        return self.owner


def _unrecorded(method: str) -> Callable[..., Any]:
    def assign(self: Any, value: Any) -> Any:
        """Change the values; the variable, its shape and its dtype stay. Not recorded."""
        new = as_tensor(value).detach()
        if method == "copy_" and new.shape != self.shape:
            raise ShapeError(
                message("assign", "a variable keeps its shape", self.shape, new.shape,
                        "Reshape the value, or make a new variable")
            )  # fmt: skip
        with no_grad():
            return getattr(self, method)(new)

    return assign


class Variable:
    """A tensor with `assign`, `assign_add`, `assign_sub`, also of parts: `v[0].assign(1.0)`.

    It is a `Parameter` if it is floating and `trainable`, else a `Buffer`: an attribute of a
    module, it is part of the module.

    Shapes:  values (...) -> same.
    Args:    initializer  values, which are copied; or with `shape` the name of how they start, as
                          in `nn.init`, or a function of (shape, dtype).
             dtype        that of the values if None, but float32 for NumPy's float64.
             autocast, aggregation, name  accepted for Keras' sake.

    >>> v = Variable([1.0, 2.0])
    >>> v[0].assign(5.0).assign_sub([1.0, 1.0])
    Variable([4., 1.], dtype=float32, requires_grad=True)
    >>> Variable("he_normal", (784, 10)).shape
    (784, 10)
    """

    __slots__ = ()

    def __new__(
        cls, initializer: Any = "glorot_uniform", shape: Any = None, dtype: Any = None,
        trainable: bool = True, autocast: bool = True, aggregation: Any = None,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        if issubclass(cls, Tensor):  # a copy
            return super().__new__(cls, initializer)  # type: ignore[call-arg]
        if isinstance(initializer, str):
            initializer = init.make(initializer, shape, dtype)
        elif callable(initializer):
            initializer = initializer(shape, dtype)
        wide = dtype is None and getattr(initializer, "dtype", None) == np.float64
        kind = "float32" if wide else dtype
        array = np.array(as_tensor(initializer, None if kind is None else as_dtype(kind)).detach())
        return Trained(array) if trainable and is_floating(array.dtype) else State(array)

    assign = _unrecorded("copy_")
    assign_add = _unrecorded("add_")
    assign_sub = _unrecorded("sub_")

    def __getitem__(self: Any, index: Any) -> Part:
        found = Tensor.__getitem__(self, index)
        part: Part = object.__new__(Part)
        part.value, part.node, part._grad, part.base = found.value, found.node, None, found.base
        part.owner, part.index = self, index
        return part


class Trained(Variable, Parameter):
    """A variable that is trained."""

    __slots__ = ()
    label = "Variable"


class State(Variable, Buffer):
    """A variable that is not: a count, a running mean."""

    __slots__ = ()
    label = "Variable"
