"""How weights start, under Keras' names: `RandomNormal(stddev=0.01)`, or "random_normal".

May import: core, nn. They are those of `nn.init.KERAS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from pierian.base.errors import lookup
from pierian.compat.keras.names import Names, arguments, classes
from pierian.core.tensor import Tensor
from pierian.nn import init

SPELLED = {"mean": "mean", "std": "stddev", "a": "minval", "b": "maxval", "gain": "gain",
           "value": "value"}  # fmt: skip


class Initializer:
    """Called with a shape it makes a tensor; subclasses may write `__call__(shape, dtype)` alone.

    The last two axes of a shape are inputs and outputs.
    """

    row: tuple[Any, Names] = (init.zeros_, {})

    def __init__(self, *args: Any, **settings: Any) -> None:
        fill, names = self.row
        self.fill = partial(fill, **arguments(type(self).__name__, names, args, settings))

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        """A tensor of this shape."""
        return init.make(self.fill, shape, dtype)


def _names(fill: Callable[..., Any]) -> Names:
    settings = list(inspect.signature(fill).parameters.values())[1:]  # the first is the tensor
    return {SPELLED[p.name]: (p.name, p.default) for p in settings if p.name in SPELLED}


FILLS = init.KERAS | {"constant": partial(init.constant_, value=0.0)}
NAMES = {"".join(word.capitalize() for word in name.split("_")): name for name in FILLS}
TABLE = {title: (FILLS[name], _names(FILLS[name])) for title, name in NAMES.items()}
_classes = classes(__name__, Initializer, TABLE)
globals().update(_classes)
__all__ = ["Initializer", "get", *_classes]


def get(initializer: Any) -> Any:
    """The initializer that a name stands for; others are given back."""
    if not isinstance(initializer, str):
        return initializer
    name = init.ALIASES.get(initializer, initializer)
    known = {name: _classes[title] for title, name in NAMES.items()}
    return known[lookup("initializers", "initializer", name, known)]()
