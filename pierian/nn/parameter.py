"""The two kinds of tensors that modules own: trained parameters and untrained buffers.

May import: base, core. A third kind would be a subclass of Tensor here and a row in
`Module.state_dict`.
"""

from __future__ import annotations

from typing import Any, Self

from pierian.core.tensor import Tensor


class Parameter(Tensor):
    """A tensor that is trained: assigned to an attribute of a module, it becomes part of it.

    Shapes:  data (...) -> same.
    Args:    data           numbers, an array (shared, not copied) or a tensor.
             requires_grad  False for a frozen one.

    >>> Parameter([1.0, 2.0])
    Parameter([1., 2.], dtype=float32, requires_grad=True)
    """

    __slots__ = ()
    label = "Parameter"

    def __new__(cls, data: Any, requires_grad: bool = True) -> Self:
        return super().__new__(cls, data).requires_grad_(requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to a module but is not trained, such as a running mean.

    Assigning a tensor to its attribute writes into it, so that it stays the same state.

    Shapes:  data (...) -> same.
    Args:    data        numbers, an array (shared, not copied) or a tensor.
             persistent  False leaves it out of state_dict.
    """

    __slots__ = ("persistent",)
    label = "Buffer"
    persistent: bool

    def __new__(cls, data: Any, persistent: bool = True) -> Self:
        buffer = super().__new__(cls, data)
        buffer.persistent = persistent
        return buffer

    def _copy(self, value: Any) -> Tensor:
        return type(self)(value, self.persistent)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.numpy(), self.persistent)
