"""`keras.ops`: Pierian's operations, under Keras' names where those differ.

May import: core, ops, nn. To add one: a row in `TABLE`. All may be called on KerasTensors too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.compat.keras.names import answer
from pierian.compat.keras.symbolic import symbolic
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import activations
from pierian.nn.losses import not_probabilities
from pierian.ops import composite, creation, indexing, linalg, movement, reduction, sorting
from pierian.ops import elementwise as ew
from pierian.ops.operands import cast
from pierian.train import losses as named

MODULES = (ew, composite, reduction, movement, linalg, indexing, sorting, creation)


def public(module: Any) -> dict[str, Callable[..., Any]]:
    """The public functions that a module defines."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {n: f for n, f in found if f.__module__ == module.__name__ and not n.startswith("_")}


def spelled(fn: Callable[..., Any], **names: str) -> Callable[..., Any]:
    """`fn` with other names for its keywords: spelled(clip, x_min="low")."""

    @functools.wraps(fn)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **{names.get(key, key): value for key, value in kwargs.items()})

    return renamed


def _transpose(x: Any, axes: Any = None) -> Tensor:
    x = as_tensor(x)
    return movement.permute(x, *(range(x.ndim)[::-1] if axes is None else axes))


def _filled(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda shape, dtype="float32": fn(shape, dtype=dtype)


def _crossentropy(fn: Callable[..., Any], link: Callable[..., Any]) -> Callable[..., Any]:
    """Keras' spelling of a loss of probabilities; `link` makes those of logits, and tells both."""

    def loss(target: Any, output: Any, from_logits: bool = False) -> Tensor:
        y, pred = as_tensor(target), as_tensor(output)
        if from_logits:
            fix = "Leave the activation of the last layer out, or from_logits=True"
            not_probabilities(fn.__name__, pred, "logits, as from_logits=True says", fix)
            pred = link(pred)
        return fn(pred, y)

    return loss


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
    "convert_to_numpy": np.asarray,
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "stop_gradient": lambda variable: as_tensor(variable).detach(),
    "categorical_crossentropy": _crossentropy(named.categorical_crossentropy, composite.softmax),
    "sparse_categorical_crossentropy": _crossentropy(
        named.sparse_categorical_crossentropy, composite.softmax
    ),
    "binary_crossentropy": _crossentropy(named.binary_crossentropy, composite.sigmoid),
}  # fmt: skip

globals().update({name: symbolic(name, fn) for name, fn in TABLE.items()})
__getattr__ = answer(__name__, TABLE)
