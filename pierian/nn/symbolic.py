"""Symbolic tensors: they stand for data to come, so that calls on them make a graph of a model.

May import: base, core. A symbolic tensor carries an example, a batch of one: calling a module on
it runs the module once, which builds it, checks shapes, and says what comes out. To let a function
of yours be called on them, wrap it in `symbolic`; `nn.Graph` makes a model of what was called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import as_dtype
from pierian.base.errors import lookup, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor

METHOD = "Tensor."  # how the names of tensors' own methods begin
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # that graphs may hold, by name
ORIGINS: dict[str, str] = {}  # where those were defined
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
OTHER = ("neg", "abs", "getitem", "lt", "le", "gt", "ge")


class Call:
    """One call: of a module, or of a function by name; `outputs` are what came out."""

    def __init__(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.outputs: list[SymbolicTensor] = []

    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic tensors that went in."""
        given = trees.leaves([self.args, self.kwargs])
        return [x for x in given if isinstance(x, SymbolicTensor)]


class SymbolicTensor:
    """Data to come, like `example`, which is a batch of one; `call` made it, None for an Input.

    It has the methods and operators of tensors, but those that change values in place; their
    results are symbolic too.
    """

    __array_priority__ = 1000  # makes `ndarray + symbolic` come to us

    def __init__(self, example: Tensor, call: Call | None = None) -> None:
        self.example, self.call = example, call

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, with None for the batch axis."""
        return (None, *self.example.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.example.ndim

    @property
    def dtype(self) -> np.dtype:
        """The dtype."""
        return self.example.dtype

    def __repr__(self) -> str:
        return f"<symbolic tensor, shape={self.shape}, dtype={self.dtype}>"

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _no_values("another function")

    def __bool__(self) -> bool:
        raise _no_values("a question")

    def __iter__(self) -> Any:
        raise _no_values("a loop")

    def __getattr__(self, name: str) -> Any:
        if "_" in (name[0], name[-1]) or not callable(getattr(Tensor, name, None)):
            raise AttributeError(f"a symbolic tensor has no attribute {name!r}")
        return functools.partial(_method(name), self)


def _method(name: str) -> Callable[..., Any]:
    """The method `name` of tensors, recorded."""
    return lambda *args, **kwargs: record(METHOD + name, args, kwargs)


for _name in (*BINARY, *(f"r{name}" for name in BINARY), *OTHER):
    setattr(SymbolicTensor, f"__{_name}__", _method(f"__{_name}__"))


def Input(shape: Any = None, dtype: Any = None, name: str | None = None) -> SymbolicTensor:
    """The beginning of a graph: data of this shape, to come when the `nn.Graph` is called.

    Args:    shape  of one example, without the batch axis.
             dtype  float32 if None; whole numbers for an embedding.
             name   accepted for Keras' sake.
    Raises:  ValueError unless shape gives every axis.

    >>> Input((28, 28)).flatten(1).relu()
    <symbolic tensor, shape=(None, 784), dtype=float32>
    """
    if shape is None or isinstance(shape, int) or None in shape:
        raise ValueError(
            message("Input", "shape gives every axis of one example", "a tuple of sizes", shape,
                    "Write Input(shape=(784,))")
        )  # fmt: skip
    return SymbolicTensor(Tensor(np.zeros((1, *shape), as_dtype(dtype or "float32"))))


def symbolic(fn: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """`fn`, which may be called on symbolic tensors too.

    Args:    name  by which graphs know it, in files too; by default the function's own. A function
                   that is defined again takes its own place.
    Raises:  ValueError for a lambda without a name, or a name of another function.

    >>> from pierian.ops.movement import concat
    >>> x = Input((3,))
    >>> symbolic(concat)([x, x * 2], 1).shape
    (None, 6)
    """
    origin = f"{fn.__module__}.{getattr(fn, '__qualname__', '<lambda>')}"
    known = name or origin
    if "<" in known or known.isdigit() or ORIGINS.setdefault(known, origin) != origin:
        raise ValueError(
            message("symbolic", "graphs know functions by name", "one of its own",
                    f"{known}, taken by {ORIGINS.get(known, 'any')}", 'Pass name="mine"')
        )  # fmt: skip

    @functools.wraps(fn)
    def either(*args: Any, **kwargs: Any) -> Any:
        return record(known, args, kwargs) if is_symbolic(args, kwargs) else fn(*args, **kwargs)

    FUNCTIONS[known] = either
    return either


def function(name: str) -> Callable[..., Any]:
    """The function that a graph knows by this name. Raises: ValueError for an unknown one."""
    if name.startswith(METHOD):
        return getattr(Tensor, name.removeprefix(METHOD))
    return FUNCTIONS[lookup("Graph", "function", name, FUNCTIONS)]


def is_symbolic(*given: Any) -> bool:
    """Whether a symbolic tensor is among what was given, also inside lists."""
    return any(isinstance(x, SymbolicTensor) for x in trees.leaves(given))


def record(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a module, or the function of a name, gives for the examples: symbolic tensors."""
    call = Call(fn, args, kwargs)
    run = function(fn) if isinstance(fn, str) else fn
    with no_grad():
        given, options = trees.map_tree(_example, (args, kwargs))
        results = run(*given, **options)
    if not all(isinstance(x, Tensor) for x in trees.leaves(results)):
        raise _no_values(fn if isinstance(fn, str) else fn.where())
    out = trees.map_tree(lambda x: SymbolicTensor(x, call), results)
    call.outputs.extend(trees.leaves(out))
    return out


def _example(x: Any) -> Any:
    return x.example if isinstance(x, SymbolicTensor) else x


def _no_values(got: str) -> TypeError:
    fix = "Use a layer, a method like x.exp(), nn.symbolic(function), or keras.ops in that face"
    must = "it has no values before data come"
    return TypeError(message("symbolic tensor", must, "what gives tensors", got, fix))
