"""Losses as `compile` takes them: by name with Keras' meaning, from `nn`, or your own function.

May import: base, core, ops, nn. To add a name: a row in `NAMES`; its function takes
(prediction, target) and gives the losses one by one, or has `reduction=` as those of `nn` do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, lookup, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import losses as nn
from pierian.nn.module import Module
from pierian.ops.composite import Probabilities, clip, sigmoid, softmax
from pierian.ops.elementwise import log
from pierian.ops.movement import moveaxis, reshape
from pierian.ops.operands import cast
from pierian.ops.reduction import mean
from pierian.ops.reduction import sum as sum_

LEAST = 1e-7  # Keras' epsilon: how far probabilities are kept from 0 and 1


def binary_crossentropy(pred: Tensor, y: Tensor, from_logits: bool = False) -> Tensor:
    """-(y·log p + (1-y)·log(1-p)) of probabilities; from the logits when a sigmoid made them.

    Shapes:  pred (b, ...), y same -> same.
    Dtypes:  pred floating, y any real.
    Args:    from_logits  whether pred is what a sigmoid would be applied to.
    Raises:  ShapeError when shapes differ; ValueError for predictions outside [0, 1].
    """
    if from_logits:
        pred = _linked("binary_crossentropy", pred, sigmoid)
    if isinstance(pred, Probabilities) and pred.kind == "sigmoid":
        return nn.binary_cross_entropy_with_logits(pred.logits, y, reduction="none")
    fix = "End the model in a sigmoid, or use loss=nn.BCEWithLogitsLoss() for logits"
    nn.in_unit_interval("binary_crossentropy", "predictions", pred, fix)
    return nn.binary_cross_entropy(clip(pred, LEAST, 1 - LEAST), y, reduction="none")


def categorical_crossentropy(pred: Tensor, y: Tensor, from_logits: bool = False) -> Tensor:
    """-Σ y·log p over the last axis, for one-hot rows y; from the logits when softmax made p.

    Shapes:  pred (b, ..., classes), y same -> (b, ...).
    Dtypes:  pred floating, y any real.
    Args:    from_logits  whether pred is what a softmax would be applied to.
    Raises:  ShapeError when shapes differ; ValueError for predictions outside [0, 1].
    """
    name = "categorical_crossentropy"
    if from_logits:
        pred = _linked(name, pred, softmax)
    if y.shape != pred.shape:
        raise ShapeError(
            message(name, "y must hold one row of classes per example", pred.shape, y.shape,
                    'Use "sparse_categorical_crossentropy" for class numbers'
                    if y.shape == pred.shape[:-1] else "Give y the shape of the model's output")
        )  # fmt: skip
    if (logits := _logits(name, pred)) is not None:
        y = moveaxis(cast(y, pred.dtype), -1, 1)
        return nn.cross_entropy(moveaxis(logits, -1, 1), y, reduction="none")
    return -sum_(cast(y, pred.dtype) * _log_normed(pred), -1)


def sparse_categorical_crossentropy(pred: Tensor, y: Tensor, from_logits: bool = False) -> Tensor:
    """-log p of the class numbers y; from the logits when softmax made p.

    Shapes:  pred (b, ..., classes), y (b, ...) -> (b, ...).
    Dtypes:  pred floating, y integer.
    Args:    from_logits  whether pred is what a softmax would be applied to.
    Raises:  ShapeError when shapes do not fit; DtypeError unless y is integer; ValueError for
             predictions outside [0, 1] or class numbers out of range.
    """
    name = "sparse_categorical_crossentropy"
    if from_logits:
        pred = _linked(name, pred, softmax)
    if y.shape != pred.shape[:-1]:
        fix = f"Write y.reshape({', '.join(map(str, pred.shape[:-1]))})"
        if y.shape == pred.shape:
            fix = 'Use "categorical_crossentropy" for one-hot rows'
        raise ShapeError(
            message(name, "y must be one class number per example", pred.shape[:-1], y.shape, fix)
        )
    if (logits := _logits(name, pred)) is not None:
        return nn.cross_entropy(moveaxis(logits, -1, 1), y, reduction="none")
    return nn.nll_loss(moveaxis(_log_normed(pred), -1, 1), y, reduction="none")


def kl_divergence(pred: Tensor, y: Tensor) -> Tensor:
    """Σ y·log(y / p) over the last axis, both kept at 1e-7 or more. Shapes: (b, c) twice -> (b,).

    Raises:  ShapeError when shapes differ; ValueError for predictions outside [0, 1].
    """
    p, t = nn.alike("kl_divergence", pred, y)
    _check_probabilities("kl_divergence", p)
    p, t = clip(p, LEAST, 1), clip(t, LEAST, 1)
    return sum_(t * (log(t) - log(p)), -1)


def _linked(name: str, pred: Tensor, link: Callable[[Tensor], Tensor]) -> Tensor:
    """The probabilities that `link` makes of logits, if they are such."""
    fix = "Leave the activation of the last layer out, or from_logits=True"
    nn.not_probabilities(name, pred, "logits, as from_logits=True says", fix)
    return link(pred)


def _logits(name: str, pred: Tensor) -> Tensor | None:
    """What softmax made `pred` from; None, after a check, when it was not softmax."""
    if isinstance(pred, Probabilities) and pred.kind == "softmax":
        return pred.logits
    _check_probabilities(name, pred)
    return None


def _check_probabilities(name: str, pred: Tensor) -> None:
    fix = 'End the model in a softmax, or use loss="cross_entropy" for logits'
    nn.in_unit_interval(name, "predictions", pred, fix)


def _log_normed(pred: Tensor) -> Tensor:
    return log(clip(pred / sum_(pred, -1, keepdims=True), LEAST, 1 - LEAST))


NAMES: dict[str, Callable[..., Tensor]] = {
    "mse": nn.mse_loss,
    "mean_squared_error": nn.mse_loss,
    "mae": nn.l1_loss,
    "mean_absolute_error": nn.l1_loss,
    "huber": nn.huber_loss,
    "cross_entropy": nn.cross_entropy,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
    "kl_divergence": kl_divergence,
}
OF_LABELS = (nn.cross_entropy, nn.nll_loss, sparse_categorical_crossentropy)
OF_YES_OR_NO = (binary_crossentropy, nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits)
OF_CLASSES = (*OF_LABELS, *OF_YES_OR_NO, categorical_crossentropy)


@dataclass(frozen=True)
class Loss:
    """A loss that can be weighted: calling it gives the mean over a batch.

    name       how errors call it.
    fn         the function or module itself.
    ours       whether it takes (prediction, target), as names and all of `nn` do; a function of
               the user's takes (y_true, y_pred), as in Keras.
    splits     whether it takes `reduction="none"`.
    reduction  "mean", "sum", or "none" for one loss per example.
    """

    name: str
    fn: Callable[..., Any]
    ours: bool
    splits: bool
    reduction: str = "mean"

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch; with weights, the mean is Σ w·l / b, as Keras divides.

        Shapes:  y_true, y_pred (b, ...), sample_weight (b,) or more leading axes of the losses
                 -> (), or (b, ...) for the reduction "none".
        Raises:  ShapeError when a weight meets a loss that is not one per example.
        """
        y, pred = as_tensor(y_true), as_tensor(y_pred)
        if self.reduction == "mean" and sample_weight is None:
            losses = self.apart(y, pred)
            return mean(losses) if losses.ndim else losses
        weight = None if sample_weight is None else as_tensor(sample_weight)
        shape = pred.shape[:-1] or pred.shape
        if self.reduction == "mean" and weight is not None:
            shape = weight.shape
        losses = self.each(y, pred, shape)
        if weight is not None:
            weight = reshape(weight, *weight.shape, *[1] * (losses.ndim - weight.ndim))
            losses = losses * cast(weight, losses.dtype)
        if self.reduction == "none":
            return losses
        return self._collapse(losses) if self.reduction == "mean" else sum_(losses)

    def each(self, y: Tensor, pred: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The losses one by one. Shapes: y, pred (b, ...) -> shape, their leading axes.

        Raises:  ShapeError when the loss gives one number for all.
        """
        losses = self.apart(y, pred, **({"reduction": "none"} if self.splits else {}))
        if not losses.ndim or losses.shape[: len(shape)] != shape:
            raise ShapeError(
                message(f"loss {self.name}", "weights need a loss per example",
                        f"losses of shape ({', '.join(map(str, shape))}, ...)",
                        losses.shape, "Return one loss per example, or leave the weights out")
            )  # fmt: skip
        return self._collapse(reshape(losses, *shape, -1), -1)

    def apart(self, y: Tensor, pred: Tensor, **options: Any) -> Tensor:
        """What the function gives: one loss per element or example, or one for all."""
        first, second = (pred, y) if self.ours else (y, pred)
        return as_tensor(self.fn(first, second, **options))

    def _collapse(self, losses: Tensor, axis: int | None = None) -> Tensor:
        together = sum_ if getattr(self.fn, "reduction", "mean") == "sum" else mean
        return together(losses, axis)

    @property
    def function(self) -> Any:
        """The function that is computed, also of a module of `nn`."""
        return getattr(type(self.fn), "function", self.fn)

    @property
    def threshold(self) -> float:
        """Where yes begins in the predictions of a binary model."""
        return 0.0 if self.function is nn.binary_cross_entropy_with_logits else 0.5

    @property
    def of_classes(self) -> bool:
        """Whether it is about classes, rather than numbers."""
        return self.function in OF_CLASSES

    def classes(self, output: tuple[int, ...]) -> int | None:
        """How many classes output of that shape tells apart; None unless targets are labels."""
        if self.function not in OF_LABELS or len(output) < 2:
            return None
        return output[-1 if self.function is sparse_categorical_crossentropy else 1]

    def wrong(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Which of `labels` are no class numbers."""
        ignored = labels == getattr(self.fn, "ignore_index", -100)
        return ((labels < 0) | (labels >= classes)) & ~ignored


def get(loss: Any, ours: bool = False) -> Loss:
    """The loss that a name, a module, a loss class of `nn` or a function stands for.

    Args:    ours  whether a function of the user's takes (prediction, target).
    Raises:  ValueError listing the known names.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Module):
        loss = loss()
    if isinstance(loss, Module):
        return _loss(type(loss).__name__, loss, ours=True)
    if callable(loss):
        name = getattr(loss, "__name__", type(loss).__name__)
        return _loss(name, loss, ours=ours or not is_foreign(loss))
    name = lookup("compile", "loss", loss.lower() if isinstance(loss, str) else loss, NAMES)
    return _loss(name, NAMES[name], ours=True)


def is_foreign(fn: Any) -> bool:
    """Whether `fn` is a function from outside of Pierian, which takes (y_true, y_pred)."""
    return callable(fn) and not (getattr(fn, "__module__", None) or "").startswith("pierian.")


def _parameters(fn: Any) -> Collection[str]:
    try:
        return inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return ()


def _loss(name: str, fn: Callable[..., Any], ours: bool) -> Loss:
    called = fn.forward if isinstance(fn, Module) else fn
    splits = ours and "reduction" in _parameters(called)
    return Loss(name, fn, ours, splits)
