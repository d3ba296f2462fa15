"""Keras' face: `from pierian.compat import keras`, then `keras.layers`, `keras.Sequential` …

May import: everything below. Thin: layers are those of `pr.nn`, training is `pr.train`'s, compiled
as there. Weights keep the layout of `pr.nn`, (out, in, ...); `get_weights` and `set_weights` speak
Keras' layout.
"""

from __future__ import annotations

from pierian.compat.keras import activations as activations
from pierian.compat.keras import callbacks as callbacks
from pierian.compat.keras import config as config
from pierian.compat.keras import datasets as datasets
from pierian.compat.keras import initializers as initializers
from pierian.compat.keras import layers as layers
from pierian.compat.keras import losses as losses
from pierian.compat.keras import metrics as metrics
from pierian.compat.keras import models as models
from pierian.compat.keras import ops as ops
from pierian.compat.keras import optimizers as optimizers
from pierian.compat.keras import random as random
from pierian.compat.keras import saving as saving
from pierian.compat.keras import utils as utils
from pierian.compat.keras.layer import Layer as Layer
from pierian.compat.keras.losses import Loss as Loss
from pierian.compat.keras.metrics import Metric as Metric
from pierian.compat.keras.models import Model as Model
from pierian.compat.keras.models import Sequential as Sequential
from pierian.compat.keras.names import answer
from pierian.compat.keras.optimizers import Optimizer as Optimizer
from pierian.compat.keras.symbolic import Input as Input
from pierian.compat.keras.symbolic import KerasTensor as KerasTensor
from pierian.compat.keras.variable import Variable as Variable

backend = config
__getattr__ = answer(__name__, globals())
