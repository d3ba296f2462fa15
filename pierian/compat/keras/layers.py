"""Keras' layers: those of `pr.nn` under Keras' names, and a few that are one call of an op.

May import: nn, ops. To add one: a name in `SAME` when the constructor is ours, a row in `SPELLED`
when Keras spells its arguments in another way, else a class.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from pierian import nn
from pierian.compat.keras import initializers, ops
from pierian.compat.keras.layer import Layer as Layer
from pierian.compat.keras.names import answer
from pierian.compat.keras.symbolic import Input as Input
from pierian.ops.operands import cast

SAME = (
    "Activation", "AveragePooling2D", "BatchNormalization", "ELU", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "Identity", "MaxPooling2D", "ReLU", "Softmax",
)  # fmt: skip
KERNELS = {"Dense": (1, 0), "Conv2D": (2, 3, 1, 0)}  # where ours has the axes of Keras' kernel
# layer -> {Keras' argument: (ours, default)}
SPELLED: dict[str, dict[str, tuple[str, Any]]] = {
    "Dropout": {"rate": ("p", inspect.Parameter.empty)},
    "LeakyReLU": {"negative_slope": ("negative_slope", 0.3)},
    "Flatten": {},
}


def _layer(name: str, base: Any, **body: Any) -> Any:
    doc = f"Keras' {name}; see `pr.nn.{base.__name__}`."
    return type(name, (Layer, base), {"__doc__": doc, "__module__": __name__, **body})


def _spelled(names: dict[str, tuple[str, Any]]) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        options |= dict(zip(names, args, strict=False))
        given = {ours: options.pop(key, default) for key, (ours, default) in names.items()}
        Layer.__init__(self, **given, **options)

    return __init__


globals().update(
    {name: _layer(name, getattr(nn, name)) for name in SAME}
    | {name: _layer(name, getattr(nn, name), kernel_axes=axes) for name, axes in KERNELS.items()}
    | {
        name: _layer(name, getattr(nn, name), __init__=_spelled(names))
        for name, names in SPELLED.items()
    }
)


class Embedding(Layer, nn.Embedding):
    """A vector per id. Shapes: x (...) of ids -> (..., output_dim)."""

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(input_dim, output_dim, **options)
        initializers.get(embeddings_initializer)(self.weight)


class LayerNormalization(Layer):
    """The last axis with mean 0 and variance 1. Shapes: x (..., n) -> same."""

    def __init__(self, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> Any:
        """Create scale and shift."""
        self.norm = nn.LayerNorm(input_shape[-1], self.epsilon)

    def call(self, x: Any) -> Any:
        """`x` normalised."""
        return self.norm(x)


class Reshape(Layer):
    """Another shape of each example. Shapes: x (b, ...) -> (b, *target_shape)."""

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def call(self, x: Any) -> Any:
        """`x` in the shape."""
        return ops.reshape(x, (x.shape[0], *self.target_shape))


class Rescaling(Layer):
    """x · scale + offset, in float32. Shapes: x (...) -> same."""

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def call(self, x: Any) -> Any:
        """`x` rescaled."""
        return ops.add(ops.multiply(cast(x, "float32"), self.scale), self.offset)


class Lambda(Layer):
    """A function as a layer. Shapes: as the function says."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, *args: Any) -> Any:
        """The function of the input."""
        return self.function(*args)


class Merge(Layer):
    """What makes one tensor of several. Shapes: a list of (b, ...) -> (b, ...)."""

    combine: Callable[..., Any]

    def call(self, inputs: Any) -> Any:
        """The inputs, combined."""
        return functools.reduce(type(self).combine, inputs)


for _name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum"):
    _doc = f"Keras' {_name}. Shapes: a list of (b, ...) -> (b, ...)."
    _body = {"combine": staticmethod(getattr(ops, _name.lower())), "__doc__": _doc}
    globals()[_name] = type(_name, (Merge,), {**_body, "__module__": __name__})


class Concatenate(Layer):
    """One behind the other along `axis`. Shapes: a list of (b, ...) -> (b, ...)."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """The inputs in a row."""
        return ops.concatenate(list(inputs), axis=self.axis)


def _called(cls: Any) -> Callable[..., Any]:
    return lambda inputs, **options: cls(**options)(inputs)


for _cls in list(vars().values()):
    if isinstance(_cls, type) and issubclass(_cls, Layer) and _cls.__module__ == __name__:
        if _cls.__base__ is Merge or _cls is Concatenate:
            globals()[_cls.__name__.lower()] = _called(_cls)
        _cls.__name__ = f"keras.{_cls.__name__}"  # `nn` has taken the plain name in files
        nn.register(_cls)

__getattr__ = answer(__name__, globals())
