"""The layers of dense networks: Linear, Dense, Flatten, Reshape, Rescaling, Dropout, Identity.

May import: base, core, ops, the files of nn. To add one: a `@register`ed Module whose constructor
takes plain values, checks the sizes it is given, and names `self.where()` in its errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pierian.base import shapes
from pierian.base.dtypes import float32, is_floating
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import activations, init
from pierian.nn import functional as F
from pierian.nn.module import Module
from pierian.nn.parameter import Parameter
from pierian.ops.movement import reshape
from pierian.ops.operands import cast
from pierian.ops.random import Generator


def size(where: str, name: str, value: Any, fix: str = "") -> int:
    """`value` as a size: a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ShapeError(
            message(where, f"{name} must be a size", "a whole number >= 1", repr(value),
                    fix or f"Pass {name}=64")
        )  # fmt: skip
    return int(value)


def check_features(layer: Module, x: Tensor, wanted: int, fix: str) -> None:
    """Refuse an `x` whose last axis is not `wanted`, with the repair that fits."""
    if x.ndim and x.shape[-1] == wanted:
        return
    if x.ndim > 2 and math.prod(x.shape[1:]) == wanted:
        fix = "Put nn.Flatten() before this layer"
    raise ShapeError(
        message(layer.where(), "last axis of x must equal in_features", wanted,
                f"x of shape {x.shape}", fix)
    )  # fmt: skip


class Linear(Module):
    """x @ weight.T + bias, with PyTorch's start: both uniform in ±1/√in_features.

    Shapes:  x (..., in_features) -> (..., out_features); weight (out_features, in_features).
    Dtypes:  floating, x like the weight; kept.
    Args:    bias  False leaves the bias out.
    Raises:  ShapeError, DtypeError when x does not fit.

    >>> Linear(3, 2)
    Linear(in_features=3, out_features=2)
    >>> Linear(3, 2)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features = size("Linear", "in_features", in_features)
        self.out_features = size("Linear", "out_features", out_features)
        self.weight = Parameter(np.empty((self.out_features, self.in_features), float32))
        self.bias = Parameter(np.empty(self.out_features, float32)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in_features)  # kaiming_uniform_ with a=√5, as PyTorch writes it
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Any) -> Tensor:
        """The outputs for `x`."""
        x = as_tensor(x)
        if x.dtype != self.weight.dtype:
            raise DtypeError(
                message(self.where(), "x must have the dtype of the weight", self.weight.dtype,
                        f"x of {x.dtype}", f'Cast it with x.to("{self.weight.dtype}")')
            )  # fmt: skip
        last = x.shape[-1] if x.ndim else self.in_features
        check_features(self, x, self.in_features, f"Pass in_features={last} or reshape x")
        return F.linear(x, self.weight, self.bias)


class Dense(Module):
    """Keras' dense layer: activation(x @ weight.T + bias); learns its input size from its input.

    Shapes:  x (..., n) -> (..., units); weight (units, n), PyTorch's layout.
    Dtypes:  x is cast to that of the weight.
    Args:    activation          a name like "relu", a function of tensors, a module or None.
             use_bias            False leaves the bias out.
             kernel_initializer  Keras' name of how the weight starts, or a function that fills.
             bias_initializer    the same for the bias.
             input_shape         of one example: creates the parameters at once.
    Raises:  ShapeError when x does not fit; ValueError for an unknown name.

    >>> Dense(2, "relu")(np.ones((5, 3))).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        units: int,
        activation: str | Callable[[Any], Tensor] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Callable[[Tensor], Any] = "glorot_uniform",
        bias_initializer: str | Callable[[Tensor], Any] = "zeros",
        input_shape: Any = None,
    ) -> None:
        self.units = size("Dense", "units", units)
        self.activation = activations.get("Dense", activation)
        self.use_bias = use_bias
        self.initializers = (
            init.get("Dense", kernel_initializer),
            init.get("Dense", bias_initializer),
        )
        self.input_shape = input_shape
        if input_shape is not None:
            self.build(input_shape)

    def build(self, input_shape: Any) -> Any:
        """Create the parameters for inputs whose last axis is that of `input_shape`."""
        last = input_shape if isinstance(input_shape, int) else (input_shape or (1,))[-1]
        fix = "Pass the shape of one example, like (784,)"
        self.in_features = size(self.where(), "last axis of input_shape", last, fix)
        self.weight = Parameter(np.empty((self.units, self.in_features), float32))
        self.bias = Parameter(np.empty(self.units, float32)) if self.use_bias else None
        for initialize, tensor in zip(self.initializers, (self.weight, self.bias), strict=True):
            if tensor is not None:
                initialize(tensor)

    def forward(self, x: Any) -> Tensor:
        """The outputs for `x`."""
        x = as_tensor(x)
        check_features(self, x, self.in_features, "Reshape x, or make the layer anew")
        return self.activation(F.linear(cast(x, self.weight.dtype), self.weight, self.bias))

    def _build_for(self, state: Mapping[str, Any]) -> None:
        shape = np.shape(state.get("weight", ()))
        if len(shape) == 2:
            self.build(shape)


class Flatten(Module):
    """Makes the axes from `start_axis` to `end_axis` one; by default all but the batch.

    Shapes:  x (b, ...) -> (b, n).
    Args:    input_shape  of one example, as Keras' first layer has it.

    >>> Flatten()(np.ones((5, 3, 2))).shape
    (5, 6)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1, input_shape: Any = None) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis
        self.input_shape = input_shape

    def forward(self, x: Any) -> Tensor:
        """`x` with fewer axes."""
        return F.flatten(x, self.start_axis, self.end_axis)


class Reshape(Module):
    """Gives each example another shape, as Keras' layer does.

    Shapes:  x (b, ...) -> (b, *target_shape).
    Args:    target_shape  one size may be -1: what is left.

    >>> Reshape((3, -1))(np.ones((5, 12))).shape
    (5, 3, 4)
    """

    def __init__(self, target_shape: Any, input_shape: Any = None) -> None:
        self.target_shape = tuple(target_shape)
        self.input_shape = input_shape

    def forward(self, x: Any) -> Tensor:
        """`x` in the shape."""
        x = as_tensor(x)
        shape = shapes.reshape(self.where(), x.shape[1:], self.target_shape)
        return reshape(x, x.shape[0], *shape)


class Rescaling(Module):
    """x · scale + offset: Keras' layer to begin a model of images with.

    Shapes:  x (...) -> same.
    Dtypes:  whole numbers become float32; floating ones are kept.

    >>> Rescaling(1 / 255)(np.array([0, 255], "uint8"))
    tensor([0., 1.], dtype=float32)
    """

    def __init__(self, scale: float, offset: float = 0.0, input_shape: Any = None) -> None:
        self.scale, self.offset = scale, offset
        self.input_shape = input_shape

    def forward(self, x: Any) -> Tensor:
        """`x` rescaled."""
        x = as_tensor(x)
        x = x if is_floating(x.dtype) else cast(x, float32)
        return x * self.scale + self.offset


class Dropout(Module):
    """In training, each element 0 with probability p, else divided by 1 - p.

    Shapes:  x (...) -> same.
    Args:    p          the share that is dropped.
             inplace    taken for PyTorch's sake; results always have memory of their own.
             generator  where the random numbers come from; the default one if None.
    Raises:  ValueError unless 0 <= p <= 1.
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, generator: Generator | None = None
    ) -> None:
        F.dropout(0.0, p)  # refuses a bad p here, where the mistake is
        self.p, self.generator = p, generator

    def forward(self, x: Any) -> Tensor:
        """`x` with holes in training, `x` itself otherwise."""
        return F.dropout(x, self.p, self.training, self.generator)


class Identity(Module):
    """Gives back what it gets; takes and ignores any arguments. Shapes: x (...) -> same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def forward(self, x: Any) -> Any:
        """`x`."""
        return x
