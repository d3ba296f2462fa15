"""Models and weights on disk: `from pierian import io`."""

from pierian.io.checkpoint import load_checkpoint, save_checkpoint
from pierian.io.model import (
    load,
    load_weights,
    save,
    save_weights,
)

__all__ = [
    "load",
    "load_checkpoint",
    "load_weights",
    "save",
    "save_checkpoint",
    "save_weights",
]
