"""Weights as Keras keeps them: a list of arrays, kernels as (..., in, out).

May import: base, core, nn. To exchange the weights of another layer: its class in `KERNELS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import Buffer, Dense, Linear, Module, Parameter, init
from pierian.nn.convolution import Convolution

UNKNOWN = "num_batches_tracked"  # of normalisations with PyTorch's names; Keras' keep no count
KERNELS = (Linear, Dense, Convolution)  # layers whose weights are (out, in, ...) here


def to_keras(model: Module) -> list[np.ndarray]:
    """Copies of all weights, layer by layer, as `get_weights` of the same model in Keras.

    Raises:  ShapeError before the model knows its sizes.

    >>> from pierian import nn
    >>> [w.shape for w in to_keras(nn.Sequential(nn.Linear(784, 512), nn.Linear(512, 10)))]
    [(784, 512), (512,), (512, 10), (10,)]
    """
    return [np.array(tensor.detach()).transpose(order) for tensor, order in tensors(model)]


def from_keras(model: Module, weights: Any) -> None:
    """Write what `get_weights` in Keras, or `to_keras`, gave into the same model.

    Raises:  ShapeError or DtypeError when they do not fit; nothing is written then.
    """
    own = list(tensors(model))
    wanted = [tuple([tensor.shape[axis] for axis in order]) for tensor, order in own]
    weights = list(weights)
    found = [np.shape(array) for array in weights]
    if found != wanted:
        raise ShapeError(
            message(f"{model.where()}: weights of Keras", "there must be an array per weight",
                    wanted, found, "Build the model; pass what get_weights gives")
        )  # fmt: skip
    turned = [
        as_tensor(np.asarray(array).transpose(np.argsort(order)))
        for array, (_, order) in zip(weights, own, strict=True)
    ]
    for (tensor, _), values in zip(own, turned, strict=True):
        init.fill(tensor, values)


def tensors(model: Module) -> Iterator[tuple[Tensor, list[int]]]:
    """The parameters and buffers, layer by layer, and how Keras orders the axes of each."""
    model.named_parameters()  # for its check
    for module in Module.modules(model):
        for name, tensor in vars(module).items():
            if isinstance(tensor, Parameter | Buffer) and name != UNKNOWN:
                axes = list(range(tensor.ndim))
                kernel = name == "weight" and isinstance(module, KERNELS)
                yield tensor, [*axes[2:], 1, 0] if kernel else axes
