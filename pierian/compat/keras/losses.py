"""Keras' losses, of (y_true, y_pred): those of `pr.train.losses` with Keras' names and options.

May import: core, nn, ops, train. To add one: a row in `TABLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pierian.base.errors import lookup, message
from pierian.compat.keras.names import Names, arguments, classes, refuse, same, snake
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import losses as nn
from pierian.ops.movement import reshape
from pierian.train import losses as engine

REDUCTIONS = {"sum_over_batch_size": "mean", "mean": "mean", "sum": "sum", "none": "none"}
LOGITS = same(from_logits=False)
# class -> (function of the engine, its options)
TABLE: dict[str, tuple[Any, Names]] = {
    "MeanSquaredError": (nn.mse_loss, {}),
    "MeanAbsoluteError": (nn.l1_loss, {}),
    "Huber": (nn.huber_loss, same(delta=1.0)),
    "KLDivergence": (engine.kl_divergence, {}),
    "BinaryCrossentropy": (engine.binary_crossentropy, LOGITS),
    "CategoricalCrossentropy": (engine.categorical_crossentropy, LOGITS),
    "SparseCategoricalCrossentropy": (engine.sparse_categorical_crossentropy, LOGITS),
}


class Loss(engine.Loss):
    """Base of all: called with (y_true, y_pred) it gives their mean. Subclasses write `call`.

    Args:  reduction  "sum_over_batch_size" (the mean), "sum", or "none" for one per example.
    """

    __setattr__ = object.__setattr__  # users' subclasses keep their options
    row: tuple[Any, Names] = (None, {})
    function: Any = None  # the engine's own, by which it tells what targets are

    def __init__(
        self, *args: Any, reduction: str | None = "sum_over_batch_size", name: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        title = name or snake(type(self).__name__)
        kind = REDUCTIONS[lookup(title, "reduction", reduction or "none", REDUCTIONS)]
        super().__init__(title, self.call, ours=False, splits=False, reduction=kind)
        fn, names = self.row
        self.options = arguments(title, names, args, options)
        logits = fn is engine.binary_crossentropy and self.options["from_logits"]
        self.function = nn.binary_cross_entropy_with_logits if logits else fn

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """A loss per example; subclasses write their own."""
        if self.row[0] is None:
            raise NotImplementedError(
                message(self.name, "a loss must say what it computes", "a method call", "none",
                        "Write `def call(self, y_true, y_pred): ...` in the class")
            )  # fmt: skip
        loss = engine.get(self.row[0])
        y, pred = as_tensor(y_true), as_tensor(y_pred)
        shape = pred.shape[:-1] if loss.function in engine.OF_LABELS else pred.shape
        if y.ndim != len(shape) and y.numel() == math.prod(shape):
            y = reshape(y, shape)  # as in Keras, y may lack or have one axis of length 1
        return loss.apart(y, pred, **({"reduction": "none"} if loss.splits else {}), **self.options)


def _function(cls: Any) -> Callable[..., Tensor]:
    return lambda y_true, y_pred, **options: cls(reduction="none", **options)(y_true, y_pred)


_classes = classes(__name__, Loss, TABLE)
_functions = {snake(title): _function(cls) for title, cls in _classes.items()}
NAMES: dict[Any, Any] = {snake(title): cls for title, cls in _classes.items()}
NAMES |= {_functions[name]: cls for name, cls in NAMES.items()} | {c: c for c in NAMES.values()}
NAMES |= {"mse": NAMES["mean_squared_error"], "mae": NAMES["mean_absolute_error"]}
globals().update(_classes | _functions)
__all__ = ["Loss", "get", *_classes, *_functions]


def get(loss: Any) -> Any:
    """The loss that a name, a class or a function of Keras stands for; others as they are."""
    if isinstance(loss, list | dict):
        raise refuse("compile", "a list of losses")
    return NAMES[loss]() if loss in NAMES else loss
