"""Tensors that stand for data to come, so that calls of layers on them make a graph.

May import: base, core. A `KerasTensor` carries an example, a batch of one: calling a layer on it
runs the layer once, which builds it, checks shapes, and says what comes out. `symbolic` makes a
function that may be called on them too.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import as_dtype
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor

FUNCTIONS: dict[str, Callable[..., Any]] = {}  # that graphs may hold, by name


@dataclass(frozen=True, eq=False)
class Call:
    """One call in a graph: what was called on what, and the KerasTensors that came out."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[KerasTensor] = field(default_factory=list)

    def inputs(self) -> list[KerasTensor]:
        """The KerasTensors that went in."""
        return [x for x in trees.leaves([self.args, self.kwargs]) if isinstance(x, KerasTensor)]


@dataclass(frozen=True, eq=False)
class KerasTensor:
    """Data to come, like `example`, which is a batch of one; `call` made it, None for an Input."""

    example: Tensor
    call: Call | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, with None for the batch axis."""
        return (None, *self.example.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The dtype."""
        return self.example.dtype

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}>"

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            message("KerasTensor", "it has no values before data come", "a layer or keras.ops",
                    "another function", "Use keras.ops, or a Layer whose call does it")
        )  # fmt: skip


def Input(shape: Any = None, dtype: Any = None, name: str | None = None) -> KerasTensor:
    """The beginning of a graph. Args: shape  of one example, without the batch axis."""
    if shape is None or isinstance(shape, int) or None in shape:
        raise ValueError(
            message("Input", "shape gives every axis of one example", "a tuple of sizes", shape,
                    "Write Input(shape=(784,))")
        )  # fmt: skip
    return KerasTensor(Tensor(np.zeros((1, *shape), as_dtype(dtype or "float32"))))


def record(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `fn` gives for the examples, as KerasTensors that know of this call."""
    call = Call(fn, args, kwargs)
    with no_grad():
        given, options = trees.map_tree(_example, (args, kwargs))
        out = trees.map_tree(lambda part: KerasTensor(part, call), fn(*given, **options))
    call.outputs.extend(trees.leaves(out))
    return out


def _example(x: Any) -> Any:
    return x.example if isinstance(x, KerasTensor) else x


def symbolic(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, which may be called on KerasTensors too; graphs are saved with its name."""

    @functools.wraps(fn)
    def either(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return record(either, args, kwargs)
        return fn(*args, **kwargs)

    either.__name__ = either.__qualname__ = name
    FUNCTIONS[name] = either
    return either


def is_symbolic(*given: Any) -> bool:
    """Whether a KerasTensor is among what was given, also inside lists."""
    return any(isinstance(x, KerasTensor) for x in trees.leaves(given))


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "neg", "getitem"):
    _fn = getattr(operator, _name)
    setattr(KerasTensor, f"__{_name}__", symbolic(f"operator.{_name}", _fn))
    _turned = symbolic(f"operator.r{_name}", lambda x, other, fn=_fn: fn(other, x))
    setattr(KerasTensor, f"__r{_name}__", _turned)
