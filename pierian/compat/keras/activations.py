"""Keras' activations, as functions; `get` finds one by name. May import: nn."""

from __future__ import annotations

from functools import partial

from pierian.compat.keras.names import answer
from pierian.compat.keras.symbolic import symbolic
from pierian.nn import activations

get = partial(activations.get, "activations")
globals().update({name: symbolic(name, fn) for name, fn in activations.KERAS.items()})
__getattr__ = answer(__name__, activations.KERAS)
