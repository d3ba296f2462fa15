"""Modules as JSON: constructor arguments, references to parts, and classes by name.

May import: base. `Module.config` and `from_config` are the doors to it; to let an argument of a
new type be saved, teach `encode` and `decode`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from pierian.base.errors import CheckpointError, lookup, message

REFERENCE = "$module"  # marks a constructor argument that is a part of the module itself
Class = TypeVar("Class", bound=type)

_classes: dict[str, Any] = {}


def register(cls: Class) -> Class:
    """A class decorator: models with this layer can be loaded from a file, by its name.

    Raises:  ValueError when another class has the name.

    >>> from pierian import nn
    >>> @register
    ... class Shift(nn.Module):
    ...     def forward(self, x):
    ...         return x + 1
    >>> registered("Shift") is Shift
    True
    """
    known = _classes.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            message(f"register({cls.__name__})", "a name stands for one class", "a new name",
                    f"one taken by {known.__module__}.{known.__qualname__}", "Rename the class")
        )  # fmt: skip
    _classes[cls.__name__] = cls  # a class defined again, as in a notebook, takes its own place
    return cls


def registered(name: str | None = None) -> Any:
    """The class registered as `name`, or all of them by name.

    Raises:  ValueError listing the known names.
    """
    return dict(_classes) if name is None else _classes[lookup("load", "layer", name, _classes)]


def bind_arguments(module: Any) -> inspect.BoundArguments:
    """What the constructor of `module` was called with, by parameter name."""
    args, kwargs = module._arguments
    bound = inspect.signature(type(module).__init__).bind(module, *args, **kwargs)
    del bound.arguments[next(iter(bound.arguments))]  # self
    return bound


def encode(where: str, name: str, value: Any, paths: Mapping[int, str]) -> Any:
    """Argument `name` as a JSON value; `paths` says which ids are parts of the module."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return str(value)
    if id(value) in paths:
        return {REFERENCE: paths[id(value)]}
    if isinstance(value, list | tuple):
        return [encode(where, name, item, paths) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encode(where, name, item, paths) for key, item in value.items()}
    raise CheckpointError(
        message(where, f"argument {name} must be something JSON can hold",
                "numbers, strings, lists, dicts or parts of the module",
                f"a {type(value).__name__}",
                'Pass a name (activation="relu"), or define config and from_config')
    )  # fmt: skip


def decode(value: Any, children: Mapping[str, Any]) -> Any:
    """The argument that `encode` made `value` from; references are looked up in `children`."""
    if isinstance(value, list):
        return [decode(item, children) for item in value]
    if not isinstance(value, dict):
        return value
    if REFERENCE in value:
        head, _, rest = value[REFERENCE].partition(".")
        return children[head].get_submodule(rest)
    return {key: decode(item, children) for key, item in value.items()}


def construct(cls: Any, values: dict[str, Any]) -> Any:
    """`cls` called with arguments by name; those of *args and **kwargs are unpacked."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    star = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
    rest = values.pop(star, ())
    args = []
    for p in parameters:
        if p.kind is p.VAR_KEYWORD:
            values |= values.pop(p.name, {})
        elif p.kind is p.POSITIONAL_ONLY or (rest and p.kind is p.POSITIONAL_OR_KEYWORD):
            args.append(values.pop(p.name) if p.default is p.empty else
                        values.pop(p.name, p.default))  # fmt: skip
    return cls(*args, *rest, **values)
