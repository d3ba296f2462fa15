"""`keras.ops`: Pierian's operations, under Keras' names where those differ.

May import: core, ops, nn. To add one: a row in `TABLE`. All may be called on symbolic tensors too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.compat.keras.names import answer, spelled
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import activations, symbolic
from pierian.ops import composite, creation, indexing, linalg, movement, reduction, sorting
from pierian.ops import elementwise as ew
from pierian.ops.operands import cast
from pierian.train import losses as named

MODULES = (ew, composite, reduction, movement, linalg, indexing, sorting, creation)


def public(module: Any) -> dict[str, Callable[..., Any]]:
    """The public functions that a module defines."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {n: f for n, f in found if f.__module__ == module.__name__ and not n.startswith("_")}


def _transpose(x: Any, axes: Any = None) -> Tensor:
    x = as_tensor(x)
    return movement.permute(x, *(range(x.ndim)[::-1] if axes is None else axes))


def _filled(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda shape, dtype="float32": fn(shape, dtype=dtype)


def _crossentropy(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda target, output, from_logits=False: fn(
        as_tensor(output), as_tensor(target), from_logits
    )


TABLE: dict[str, Callable[..., Any]] = {
    **{name: fn for module in MODULES for name, fn in public(module).items()},
    **{name: fn for name, fn in activations.KERAS.items() if name != "linear"},
    "absolute": ew.abs, "divide": ew.div, "equal": ew.eq, "greater": ew.gt, "less": ew.lt,
    "greater_equal": ew.ge, "less_equal": ew.le, "mod": ew.remainder, "multiply": ew.mul,
    "negative": ew.neg, "not_equal": ew.ne, "power": ew.pow, "subtract": ew.sub,
    "clip": spelled(composite.clip, x_min="low", x_max="high"),
    "gelu": functools.partial(composite.gelu, approximate=True),
    "std": functools.partial(reduction.std, correction=0),
    "var": functools.partial(reduction.var, correction=0),
    "norm": spelled(reduction.norm, ord="p"),
    "concatenate": movement.concat,
    "expand_dims": movement.unsqueeze,
    "split": movement.chunk,
    "transpose": _transpose,
    "pad": spelled(movement.pad, pad_width="widths", constant_values="value"),
    "one_hot": functools.partial(indexing.one_hot, dtype="float32"),
    "sort": lambda x, axis=-1: sorting.sort(x, axis).values,
    "top_k": sorting.topk,
    "full": spelled(creation.full, fill_value="value"),
    "linspace": functools.partial(creation.linspace, num=50),
    "ones": _filled(creation.ones),
    "zeros": _filled(creation.zeros),
    "cast": cast,
    "convert_to_tensor": as_tensor,
    "stop_gradient": lambda variable: as_tensor(variable).detach(),
    **{name: _crossentropy(getattr(named, name)) for name in (
        "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy",
    )},
}  # fmt: skip

PLAIN: dict[str, Callable[..., Any]] = {  # which give no tensors
    "shape": np.shape, "ndim": np.ndim, "size": lambda x: as_tensor(x).numel(),
    "convert_to_numpy": np.asarray,
}  # fmt: skip
globals().update({name: symbolic(fn, f"ops.{name}") for name, fn in TABLE.items()} | PLAIN)
TABLE |= PLAIN
__getattr__, __all__ = answer(__name__, TABLE), list(TABLE)
