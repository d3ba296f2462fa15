"""Models and weights on disk: `from pierian import io`."""

from pierian.io.model import (
    load,
    load_weights,
    save,
    save_weights,
)

__all__ = [
    "load",
    "load_weights",
    "save",
    "save_weights",
]
