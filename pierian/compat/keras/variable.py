"""Variables: tensors that are trained and assigned to, under Keras' and TensorFlow's names.

May import: base, core, nn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype, is_floating
from pierian.base.errors import ShapeError, message
from pierian.compat.keras import initializers
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor
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


assign = _unrecorded("copy_")


class Variable:
    """Keras' variable: a tensor with `assign`, trained if it is floating and `trainable`.

    Args:  initializer  values, which are copied; or with `shape` the name of an initializer.
    """

    __slots__ = ()

    def __new__(
        cls, initializer: Any = None, shape: Any = None, dtype: Any = None, trainable: bool = True,
        autocast: bool = True, aggregation: Any = None, name: str | None = None,
    ) -> Any:  # fmt: skip
        if cls is not Variable:  # a copy
            return super().__new__(cls, initializer)  # type: ignore[call-arg]
        if initializer is None or isinstance(initializer, str) or callable(initializer):
            initializer = initializers.get(initializer or "glorot_uniform")(shape, dtype)
        wide = getattr(initializer, "dtype", None) == np.float64
        return make(initializer, trainable, "float32" if wide and dtype is None else dtype)

    assign = assign
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


def make(values: Any, trainable: bool = True, dtype: Any = None) -> Any:
    """A variable with a copy of `values`."""
    array = np.array(as_tensor(values, None if dtype is None else as_dtype(dtype)).detach())
    return Trained(array) if trainable and is_floating(array.dtype) else State(array)
