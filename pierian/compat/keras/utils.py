"""Keras' utilities: seeds, one-hot rows, registration. May import: nn, ops."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.core.tensor import as_tensor
from pierian.nn import register
from pierian.ops.indexing import one_hot
from pierian.ops.random import manual_seed


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as one-hot rows. Shapes: x (...) or (..., 1) -> (..., num_classes), float32."""
    labels = np.asarray(x)
    if labels.dtype.kind not in "iub":
        raise ValueError(
            message("to_categorical", "x must hold class numbers", "integers", labels.dtype,
                    'Cast it with x.astype("int64")')
        )  # fmt: skip
    labels = labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels
    return one_hot(as_tensor(labels.astype(np.int64)), num_classes, np.float32).numpy()


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and Pierian."""
    random.seed(seed)
    np.random.seed(seed)
    manual_seed(seed)


def register_keras_serializable(package: str = "Custom") -> Callable[[type], type]:
    """A class decorator: models with this layer can be loaded; `pr.register`."""
    return register
