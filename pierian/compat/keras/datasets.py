"""Keras' data sets: `mnist.load_data()` gives ((x_train, y_train), (x_test, y_test)).

May import: data. To add one: a name in `SETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pierian import data
from pierian.compat.keras.names import answer

SETS = {"mnist": data.mnist, "fashion_mnist": data.fashion_mnist, "cifar10": data.cifar10}


def _set(load: Callable[..., data.ImageData]) -> SimpleNamespace:
    def load_data(path: Any = None) -> Any:
        """Two pairs of uint8 arrays, images (n, h, w) or (n, h, w, 3) and labels (n,) or (n, 1)."""
        d = load()
        x, y = [d.x_train, d.x_test], [d.y_train, d.y_test]
        if x[0].ndim == 4:
            x, y = [part.transpose(0, 2, 3, 1) for part in x], [part[:, None] for part in y]
        return (x[0], y[0]), (x[1], y[1])

    return SimpleNamespace(load_data=load_data)


mnist, fashion_mnist, cifar10 = map(_set, SETS.values())
__getattr__ = answer(__name__, globals())
