"""How weights start, under Keras' names: `RandomNormal(stddev=0.01)`, or "random_normal".

May import: base, core, nn. To add one: a row in `CLASSES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype
from pierian.base.errors import lookup
from pierian.compat.keras.names import answer, refuse
from pierian.core.tensor import Tensor
from pierian.nn import init
from pierian.ops.movement import permute

ALIASES = {"uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"}


class Initializer:
    """Called with a shape it makes a tensor, called with a tensor it fills that.

    The last two axes of a shape are inputs and outputs, as Keras has them; those of a tensor that
    a layer of `pr.nn` gives are outputs and inputs.
    """

    def __init__(self, fill: Callable[..., Any], *args: Any, **settings: Any) -> None:
        if settings.pop("seed", None) is not None:
            raise refuse("initializers", "seed")
        names = list(inspect.signature(fill).parameters)[1:]  # the first is the tensor
        given = dict(zip(names, args, strict=False))
        given |= {SPELLED.get(key, key): x for key, x in settings.items()}
        self.fill = partial(fill, **given)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        """A tensor of this shape, or the tensor that was given, filled."""
        if isinstance(shape, Tensor):
            return self.fill(shape)
        sizes = tuple(shape) if np.iterable(shape) else (shape,)
        order = (*range(2, len(sizes)), 1, 0) if len(sizes) > 1 else range(len(sizes))
        tensor = Tensor(np.empty((*sizes[::-1][:2], *sizes[:-2]), as_dtype(dtype or "float32")))
        self.fill(tensor)
        return permute(tensor, *order)


SPELLED = {"stddev": "std", "minval": "a", "maxval": "b"}
CLASSES: dict[str, partial[Initializer]] = {
    "".join(part.capitalize() for part in name.split("_")): partial(Initializer, fill)
    for name, fill in init.KERAS.items()
} | {"Constant": partial(Initializer, init.constant_, value=0.0)}
globals().update(CLASSES)


def get(initializer: Any) -> Any:
    """The initializer that a name stands for; others are given back."""
    if not isinstance(initializer, str):
        return initializer
    name = ALIASES.get(initializer, initializer)
    return Initializer(init.KERAS[lookup("initializers", "initializer", name, init.KERAS)])


__getattr__ = answer(__name__, CLASSES)
