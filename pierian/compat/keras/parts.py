"""The small parts of Keras, a table each: activations, callbacks, datasets, random, utils …

May import: data, nn, ops, train. To add one: a row in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pierian import data, nn, train
from pierian.compat.keras.layer import names
from pierian.compat.keras.models import load_model
from pierian.compat.keras.names import part
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import activations
from pierian.ops import random
from pierian.ops.indexing import one_hot


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as one-hot rows. Shapes: x (...) or (..., 1) -> (..., num_classes), float32."""
    labels = np.asarray(x)
    labels = labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels
    return one_hot(as_tensor(labels), num_classes, np.float32).numpy()


def register_keras_serializable(package: str = "Custom") -> Callable[[type], type]:
    """A class decorator: models with this layer can be loaded; `pr.register`."""
    return nn.register


def uniform(shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = "float32") -> Tensor:
    """Numbers from minval on and below maxval, whole ones for such a dtype. Shapes: -> shape."""
    whole = str(dtype).startswith(("int", "uint"))
    return (random.randint if whole else random.uniform)(minval, maxval, shape, dtype)


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Normal numbers. Shapes: -> shape."""
    return random.normal(mean, stddev, shape, dtype)


def _set(load: Callable[..., data.ImageData]) -> dict[str, Any]:
    def load_data(path: Any = None) -> Any:
        """Two pairs of uint8 arrays, images (n, h, w) or (n, h, w, 3) and labels (n,) or (n, 1)."""
        d = load()
        x, y = [d.x_train, d.x_test], [d.y_train, d.y_test]
        if x[0].ndim == 4:
            x, y = [part.transpose(0, 2, 3, 1) for part in x], [part[:, None] for part in y]
        return (x[0], y[0]), (x[1], y[1])

    return {"load_data": load_data}


def made(face: str) -> dict[str, Any]:
    """The modules, as parts of the package `face`."""
    sets = {name: getattr(data, name) for name in ("mnist", "fashion_mnist", "cifar10")}
    named = {name: part(f"{face}.datasets.{name}", _set(load)) for name, load in sets.items()}
    tables = TABLE | {"datasets": named, "backend": TABLE["config"]}
    return {name: part(f"{face}.{name}", table) for name, table in tables.items()}


CALLBACKS = (
    "CSVLogger", "Callback", "EarlyStopping", "History", "LearningRateScheduler",
    "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
)  # fmt: skip
ACTIVATIONS = {
    name: nn.symbolic(fn, f"activations.{name}") for name, fn in activations.KERAS.items()
}
RANDOM = {"normal": normal, "uniform": uniform, "randint": partial(uniform, dtype="int32")}
REGISTER = {"register_keras_serializable": register_keras_serializable}
SETTINGS = {"floatx": lambda: "float32", "backend": lambda: "pierian"}
TABLE: dict[str, dict[str, Any]] = {
    "activations": ACTIVATIONS | {"get": partial(activations.get, "activations")},
    "callbacks": {name: getattr(train, name) for name in CALLBACKS}
    | {"ModelCheckpoint": train.SaveModel},
    "config": SETTINGS | {"clear_session": names.clear},
    "random": RANDOM,
    "saving": REGISTER | {"load_model": load_model},
    "utils": REGISTER
    | {"set_random_seed": random.seed_everything, "to_categorical": to_categorical},
}
