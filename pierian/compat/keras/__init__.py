"""Keras' face: `from pierian.compat import keras`, then `keras.layers`, `keras.Sequential` …

May import: everything below. Thin: layers are those of `pr.nn`, training is `pr.train`'s, compiled
as there. Weights keep the layout of `pr.nn`, (out, in, ...); `get_weights` and `set_weights` speak
Keras' layout.
"""

from __future__ import annotations

from importlib import import_module

from pierian import nn
from pierian.compat.keras import parts
from pierian.compat.keras.layer import Layer as Layer
from pierian.compat.keras.losses import Loss as Loss
from pierian.compat.keras.metrics import Metric as Metric
from pierian.compat.keras.models import Model as Model
from pierian.compat.keras.models import Sequential as Sequential
from pierian.compat.keras.names import answer
from pierian.compat.keras.optimizers import Optimizer as Optimizer

Input, KerasTensor, Variable = nn.Input, nn.SymbolicTensor, nn.Variable
FILES = ("initializers", "layers", "losses", "metrics", "models", "ops", "optimizers")
for _file in map(import_module, [f"{__name__}.{name}" for name in FILES]):
    own = {name: vars(_file)[name] for name in _file.__all__}
    vars(_file).update(__getattr__=answer(_file.__name__, own), __dir__=own.keys)
globals().update(parts.made(__name__))
__getattr__ = answer(__name__, globals())
