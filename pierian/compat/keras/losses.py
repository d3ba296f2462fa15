"""Keras' losses, of (y_true, y_pred): those of `pr.train.losses` with Keras' names and options.

May import: core, nn, ops, train. To add one: a row in `CLASSES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pierian.base.errors import lookup, message
from pierian.compat.keras import ops
from pierian.compat.keras.names import answer, refuse, snake
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import losses as nn
from pierian.train import losses as engine

REDUCTIONS = ("sum_over_batch_size", "sum", "none")


class Loss(engine.Loss):
    """Base of all: called with (y_true, y_pred) it gives their mean. Subclasses write `call`.

    Args:  reduction  "sum_over_batch_size" (the mean), "sum", or "none" for one per example.
    """

    __setattr__ = object.__setattr__  # users' subclasses keep their options
    known: Any = None  # the function of the engine, by which it tells what targets are

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size"
    ) -> None:
        title = name or snake(type(self).__name__)
        super().__init__(title, self.call, ours=False, splits=False)
        self.reduction = lookup(title, "reduction", reduction or "none", REDUCTIONS)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """A loss per example; subclasses write their own."""
        raise NotImplementedError(
            message(self.name, "a loss must say what it computes", "a method call", "none",
                    "Write `def call(self, y_true, y_pred): ...` in the class")
        )  # fmt: skip

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch. Shapes: y_true, y_pred (b, ...) -> (), or (b, ...) for "none"."""
        y, pred = as_tensor(y_true), as_tensor(y_pred)
        weight = None if sample_weight is None else as_tensor(sample_weight)
        if self.reduction == REDUCTIONS[0]:
            return super().__call__(y, pred, weight)
        losses = self.each(y, pred, pred.shape[:-1] or pred.shape)
        losses = losses if weight is None else ops.multiply(losses, weight)
        return losses if self.reduction == "none" else ops.sum(losses)

    @property
    def function(self) -> Any:
        return self.known


def _numbers(fn: Callable[..., Any], **fixed: Any) -> Callable[..., Any]:
    """A loss of numbers; as in Keras, y may lack or have one axis of length 1."""

    def loss(y: Tensor, pred: Tensor, **options: Any) -> Tensor:
        lone = y.ndim != pred.ndim and y.numel() == pred.numel()
        return fn(pred, ops.reshape(y, pred.shape) if lone else y, **fixed, **options)

    return loss


def _yes_or_no(pred: Tensor, y: Tensor, **options: Any) -> Tensor:
    return ops.binary_crossentropy(y, pred, **options)


def _labels(y: Tensor, pred: Tensor, **options: Any) -> Tensor:
    if y.ndim == pred.ndim and y.shape[-1:] == (1,) != pred.shape[-1:]:
        y = ops.squeeze(y, -1)
    return ops.sparse_categorical_crossentropy(y, pred, **options)


LOGITS = {"from_logits": False}
# class -> (function of y_true and y_pred, the engine's own, options with Keras' defaults)
CLASSES: dict[str, tuple[Callable[..., Any], Any, dict[str, Any]]] = {
    "MeanSquaredError": (_numbers(nn.mse_loss, reduction="none"), nn.mse_loss, {}),
    "MeanAbsoluteError": (_numbers(nn.l1_loss, reduction="none"), nn.l1_loss, {}),
    "Huber": (_numbers(nn.huber_loss, reduction="none"), nn.huber_loss, {"delta": 1.0}),
    "KLDivergence": (_numbers(engine.kl_divergence), engine.kl_divergence, {}),
    "BinaryCrossentropy": (_numbers(_yes_or_no), engine.binary_crossentropy, LOGITS),
    "CategoricalCrossentropy": (
        ops.categorical_crossentropy, engine.categorical_crossentropy, LOGITS,
    ),
    "SparseCategoricalCrossentropy": (_labels, engine.sparse_categorical_crossentropy, LOGITS),
}  # fmt: skip


def _class(title: str, fn: Callable[..., Any], known: Any, defaults: dict[str, Any]) -> Any:
    def __init__(
        self: Any, *args: Any, reduction: Any = REDUCTIONS[0], name: Any = None, **options: Any
    ) -> None:
        Loss.__init__(self, name, reduction)
        self.options = defaults | dict(zip(defaults, args, strict=False)) | options
        for option in options:
            if option not in defaults:
                raise refuse(title, option)
        logits = known is engine.binary_crossentropy and self.options["from_logits"]
        self.known = nn.binary_cross_entropy_with_logits if logits else known

    def call(self: Any, y_true: Any, y_pred: Any) -> Tensor:
        return fn(y_true, y_pred, **self.options)

    doc = f"Keras' {title}, of (y_true, y_pred). Args: {', '.join([*defaults, 'reduction'])}."
    body = {"__init__": __init__, "call": call, "__doc__": doc, "__module__": __name__}
    return type(title, (Loss,), body)


def _function(cls: Any) -> Callable[..., Tensor]:
    return lambda y_true, y_pred, **options: cls(reduction="none", **options)(y_true, y_pred)


_classes = {title: _class(title, *row) for title, row in CLASSES.items()}
_functions = {snake(title): _function(cls) for title, cls in _classes.items()}
NAMES: dict[Any, Any] = {snake(title): cls for title, cls in _classes.items()}
NAMES |= {_functions[name]: cls for name, cls in NAMES.items()}
NAMES |= {"mse": NAMES["mean_squared_error"], "mae": NAMES["mean_absolute_error"]} | {
    cls: cls for cls in _classes.values()
}
globals().update(_classes | _functions)


def get(loss: Any) -> Any:
    """The loss that a name, a class or a function of Keras stands for; others as they are."""
    if isinstance(loss, list | dict):
        raise refuse("compile", "a list of losses")
    return NAMES[loss]() if loss in NAMES else loss


__getattr__ = answer(__name__, globals())
