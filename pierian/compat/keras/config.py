"""Keras' settings, as `keras.config` and `keras.backend`. May import: base."""

from __future__ import annotations

from pierian.compat.keras.layer import names
from pierian.compat.keras.names import answer


def floatx() -> str:
    """The dtype of weights: "float32"."""
    return "float32"


def backend() -> str:
    """What computes: "pierian"."""
    return "pierian"


def clear_session() -> None:
    """Number the names of new layers from the beginning."""
    names.clear()


__getattr__ = answer(__name__, globals())
