"""The small parts of Keras, a table each: activations, config, datasets, random, saving.

May import: data, nn, ops. To add one: a row in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pierian import data, nn
from pierian.compat.keras.layer import names
from pierian.compat.keras.models import load_model
from pierian.compat.keras.names import part
from pierian.compat.keras.utils import register_keras_serializable
from pierian.core.tensor import Tensor
from pierian.nn import activations
from pierian.ops import random


def _set(load: Callable[..., data.ImageData]) -> dict[str, Any]:
    def load_data(path: Any = None) -> Any:
        """Two pairs of uint8 arrays, images (n, h, w) or (n, h, w, 3) and labels (n,) or (n, 1)."""
        d = load()
        x, y = [d.x_train, d.x_test], [d.y_train, d.y_test]
        if x[0].ndim == 4:
            x, y = [part.transpose(0, 2, 3, 1) for part in x], [part[:, None] for part in y]
        return (x[0], y[0]), (x[1], y[1])

    return {"load_data": load_data}


def _uniform(shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = "float32") -> Tensor:
    """Numbers from minval on and below maxval, whole ones for such a dtype. Shapes: -> shape."""
    whole = str(dtype).startswith(("int", "uint"))
    return (random.randint if whole else random.uniform)(minval, maxval, shape, dtype)


def _normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Normal numbers. Shapes: -> shape."""
    return random.normal(mean, stddev, shape, dtype)


def made(face: str) -> dict[str, Any]:
    """The modules, as parts of the package `face`."""
    sets = {name: getattr(data, name) for name in ("mnist", "fashion_mnist", "cifar10")}
    named = {name: part(f"{face}.datasets.{name}", _set(load)) for name, load in sets.items()}
    tables = TABLE | {"datasets": named}
    return {name: part(f"{face}.{name}", table) for name, table in tables.items()}


ACTIVATIONS = {name: nn.symbolic(fn, name) for name, fn in activations.KERAS.items()}
RANDOM = {"normal": _normal, "uniform": _uniform, "randint": partial(_uniform, dtype="int32")}
SETTINGS = {"floatx": lambda: "float32", "backend": lambda: "pierian"}
SAVING = {
    "load_model": load_model, "register_keras_serializable": register_keras_serializable,
}  # fmt: skip
TABLE: dict[str, dict[str, Any]] = {
    "activations": ACTIVATIONS | {"get": partial(activations.get, "activations")},
    "config": SETTINGS | {"clear_session": names.clear},
    "random": RANDOM,
    "saving": SAVING,
}
