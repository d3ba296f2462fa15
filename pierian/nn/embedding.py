"""Embedding: a learned vector for each of a number of ids.

May import: base, core, ops, the files of nn below it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.dtypes import float32
from pierian.base.errors import ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import init
from pierian.nn.functional import embedding
from pierian.nn.layers import size
from pierian.nn.module import Module
from pierian.nn.parameter import Parameter
from pierian.ops.elementwise import where


class Embedding(Module):
    """A learned vector for each of `num_embeddings` ids, by default standard normal at first.

    Shapes:  x (...) of ids -> (..., embedding_dim); weight (num_embeddings, embedding_dim).
    Dtypes:  x whole numbers.
    Args:    padding_idx  an id whose vector starts at 0 and is not trained.
             initializer  Keras' name of how the others start, or a function that fills.
    Raises:  DtypeError for other ids, IndexError for ids out of range.

    >>> Embedding(10, 3)(np.array([[1, 2], [4, 9]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        initializer: str | Callable[[Tensor], Any] | None = None,
    ) -> None:  # fmt: skip
        self.num_embeddings = size("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = size("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ShapeError(
                message("Embedding", "padding_idx must be one of the ids",
                        f"0 <= padding_idx < {num_embeddings}", padding_idx, "Pass padding_idx=0")
            )  # fmt: skip
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.initializer = init.get("Embedding", initializer or init.normal_)
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew."""
        self.initializer(self.weight)
        if self.padding_idx is not None:
            rows = np.arange(self.num_embeddings)[:, None] == self.padding_idx
            init.fill(self.weight, where(as_tensor(rows), 0.0, self.weight))

    def forward(self, x: Any) -> Tensor:
        """The vectors of the ids `x`."""
        return embedding(x, self.weight, self.padding_idx)
