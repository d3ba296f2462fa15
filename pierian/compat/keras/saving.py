"""Keras' `saving`: models in files. May import: nothing but the face."""

from __future__ import annotations

from pierian.compat.keras.models import load_model as load_model
from pierian.compat.keras.names import answer
from pierian.compat.keras.utils import register_keras_serializable as register_keras_serializable

__getattr__ = answer(__name__, globals())
