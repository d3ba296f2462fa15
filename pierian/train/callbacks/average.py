"""Averages of weights over the course of training, which often generalize better than the last.

May import: base, core, ops, callback. Part of the compiled step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.base.dtypes import float64, is_floating
from pierian.base.errors import message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, assign, make
from pierian.ops.elementwise import minimum, where
from pierian.ops.operands import cast
from pierian.train.callback import Callback


class ExponentialMovingAverage(Callback):
    """Keep an average of all weights: a ← d·a + (1-d)·w after every update.

    Validation sees the averaged weights, and the model has them in the end, however training
    ended; each epoch goes on from the weights themselves. Floating buffers are averaged too.

    Args:    decay   d in [0, 1).
             warmup  let d grow as (1 + t) / (10 + t) at first, so that short runs profit.
    Source:  Polyak and Juditsky 1992, doi:10.1137/0330046; the warm-up is that of TensorFlow's
             ExponentialMovingAverage(num_updates).
    """

    order = -10  # validation, and what looks at the model after it, see the average
    compiled = True

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ValueError(
                message("ExponentialMovingAverage", "decay must be in its range",
                        "a number in [0, 1)", decay, "Pass decay=0.999")
            )  # fmt: skip
        self.decay, self.warmup = decay, warmup
        self.count = make(np.zeros((), float64))
        self.tensors: list[Tensor] = []
        self.averages: list[Tensor] = []
        self.swapped = False  # whether the model has the averages, and `averages` the weights

    def before_fit(self, run: Any) -> None:
        every = [*run.model.parameters(), *run.model.buffers()]
        self.tensors = [t for t in every if is_floating(t.dtype)]
        self.averages = [make(t.numpy().copy(order="K")) for t in self.tensors]
        self.count.value[...], self.swapped = 0.0, False

    def after_batch(self, run: Any) -> None:
        with no_grad():
            t = self.count + 1.0
            decay = t * 0.0 + self.decay
            if self.warmup:
                decay = minimum(decay, (1.0 + t) / (10.0 + t))
            if run.update is not None:
                decay = where(run.update, decay, 1.0)
                t = where(run.update, t, self.count)
            assign(self.count, t)
            for tensor, average in zip(self.tensors, self.averages, strict=True):
                d = cast(decay, tensor.dtype)
                assign(average, average * d + tensor * (1.0 - d))

    def before_test(self, run: Any) -> None:
        if not self.swapped:
            self.swap()

    def before_epoch(self, run: Any) -> None:
        if self.swapped:
            self.swap()

    def after_fit(self, run: Any) -> None:
        if not self.swapped:
            self.swap()

    def swap(self) -> None:
        """Exchange the weights of the model with their averages."""
        for tensor, average in zip(self.tensors, self.averages, strict=True):
            kept = tensor.value.copy(order="K")
            with no_grad():
                assign(tensor, make(average.value))
                assign(average, make(kept))
        self.swapped = not self.swapped

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "averages": self.averages, "swapped": self.swapped}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        np.copyto(self.count.value, np.asarray(saved["count"]))
        for average, value in zip(self.averages, saved["averages"], strict=True):
            np.copyto(average.value, np.asarray(value))
        self.swapped = saved["swapped"]
