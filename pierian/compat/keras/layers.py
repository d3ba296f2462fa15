"""Keras' layers: those of `pr.nn`, which have Keras' names where Keras' layers are others.

May import: nn. To add one: a row in `TABLE`, with the arguments if Keras spells them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pierian import nn
from pierian.compat.keras.layer import Layer as Layer
from pierian.compat.keras.names import REQUIRED, Names, classes, same
from pierian.nn import Input as Input

SAME = (
    "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate",
    "Conv2D", "Dense", "ELU", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Identity",
    "LayerNormalization", "MaxPooling2D", "Maximum", "Minimum", "Multiply", "ReLU", "Rescaling",
    "Reshape", "Softmax", "Subtract",
)  # fmt: skip
EMBEDDING: Names = {
    "input_dim": ("num_embeddings", REQUIRED), "output_dim": ("embedding_dim", REQUIRED),
    "embeddings_initializer": ("initializer", "uniform"),
}  # fmt: skip
TABLE: dict[str, tuple[Any, Names | None]] = {name: (getattr(nn, name), None) for name in SAME} | {
    "Dropout": (nn.Dropout, {"rate": ("p", REQUIRED)}),
    "Embedding": (nn.Embedding, EMBEDDING),
    "Flatten": (nn.Flatten, {}),
    "Lambda": (nn.Activation, {"function": ("activation", REQUIRED)}),
    "LeakyReLU": (nn.LeakyReLU, same(negative_slope=0.3)),
}
MERGES = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")


def _called(cls: Any) -> Callable[..., Any]:
    return lambda inputs, **options: cls(**options)(inputs)


_classes = classes(__name__, Layer, TABLE)
_functions = {name.lower(): _called(_classes[name]) for name in MERGES}
globals().update(_classes | _functions)
__all__ = ["Input", "Layer", *_classes, *_functions]
for _name, _cls in _classes.items():
    _cls.__name__ = f"keras.{_name}"  # `nn` has taken the plain name in files
    nn.register(_cls)
