"""Models and weights on disk: `from pierian import io`."""

from pierian.io.checkpoint import load_checkpoint, save_checkpoint
from pierian.io.keras import from_keras, to_keras
from pierian.io.model import (
    load,
    load_weights,
    save,
    save_weights,
)

__all__ = [
    "from_keras",
    "load",
    "load_checkpoint",
    "load_weights",
    "save",
    "save_checkpoint",
    "save_weights",
    "to_keras",
]
