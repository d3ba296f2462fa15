"""Losses: how wrong a prediction is. A function each, and a class of PyTorch's name over it.

May import: base, core, ops, module. To add one: a function that checks with `alike` and ends in
`reduced`, and a class that names it. All take (input, target) in this order, work in the dtype of
input, and never broadcast one against the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base.dtypes import int64, is_floating
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.module import Module
from pierian.nn.parameter import Buffer
from pierian.ops.composite import Probabilities, log_softmax
from pierian.ops.creation import arange
from pierian.ops.elementwise import abs as abs_
from pierian.ops.elementwise import exp, log, maximum, softplus, where
from pierian.ops.movement import broadcast_to, reshape, unsqueeze
from pierian.ops.operands import cast
from pierian.ops.reduction import mean
from pierian.ops.reduction import sum as sum_

REDUCTIONS = ("mean", "sum", "none")
CAST = 'Cast class numbers with .long(), an array with .astype("int64")'
LEAST_LOG = -100.0  # where binary_cross_entropy cuts log(0) off, as PyTorch does


# What all of them share


def floats(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors; the input floating, or else the two look swapped."""
    x, y = as_tensor(input), as_tensor(target)
    if not is_floating(x.dtype):
        swapped = is_floating(y.dtype)
        raise DtypeError(
            message(name, "arguments look swapped" if swapped else "input must be floating",
                    "(prediction, target)" if swapped else "float32",
                    f"input {x.dtype} {x.shape} and target {y.dtype} {y.shape}",
                    f"Write {name}(prediction, target)" if swapped else "Cast it with .float()")
        )  # fmt: skip
    return x, y


def alike(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one shape and of the dtype of input."""
    x, y = floats(name, input, target)
    if x.shape != y.shape:
        fix = "Give both the same shape"
        if x.numel() == y.numel():
            fix = f"Write target.reshape({', '.join(map(str, x.shape))})"
        raise ShapeError(
            message(name, "input and target must have one shape, they are never broadcast",
                    f"target {x.shape} like input", y.shape, fix)
        )  # fmt: skip
    return x, cast(y, x.dtype)


def not_probabilities(name: str, x: Tensor, wanted: str, fix: str) -> None:
    """Refuse what softmax or sigmoid made, where it would be applied a second time."""
    if isinstance(x, Probabilities) and x.kind:
        raise ValueError(
            message(name, "input must not be probabilities", wanted, f"the output of {x.kind}",
                    fix.format(x.kind))
        )  # fmt: skip


def first_bad(x: Tensor, bad: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, str] | None:
    """The first element of `x` that is bad and its position; None inside a trace."""
    if type(x.value) is not np.ndarray:
        return None
    places = np.argwhere(bad(x.value))
    if not len(places):
        return None
    place = tuple(places[0].tolist())
    return x.value[place], str(place[0] if len(place) == 1 else place)


def in_unit_interval(name: str, what: str, x: Tensor, fix: str) -> None:
    """Refuse values that are no probabilities (NaN passes: it is found elsewhere)."""
    found = first_bad(x, lambda value: (value < 0) | (value > 1))
    if found is not None:
        raise ValueError(
            message(name, f"{what} must hold probabilities", "0 <= p <= 1",
                    f"{found[0]:g} at position {found[1]}", fix)
        )  # fmt: skip


def reduced(
    name: str, losses: Tensor, reduction: str, weight: Any = None, count: Any = None
) -> Tensor:
    """The mean, the sum, or all of `losses`, times `weight` if there is one.

    Args:  weight  of the shape of losses, or of its first axes: one per example.
           count   what the mean divides by: the sum of the weights unless given.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            message(name, "reduction must be a known name", " or ".join(REDUCTIONS),
                    repr(reduction), 'Pass reduction="mean"')
        )  # fmt: skip
    if weight is not None:
        w = cast(as_tensor(weight), losses.dtype)
        if w.shape != losses.shape[: w.ndim]:
            raise ShapeError(
                message(name, "weight must be one per example or one per element",
                        f"shape {losses.shape[:1]} or {losses.shape}", w.shape, "Reshape it")
            )  # fmt: skip
        w = broadcast_to(reshape(w, *w.shape, *(1,) * (losses.ndim - w.ndim)), losses.shape)
        losses = losses * w
        count = sum_(w) if count is None else count
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum_(losses)
    return mean(losses) if count is None else sum_(losses) / count


# Distances between numbers


def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """Squared error, (input - target)².

    Shapes:  input (b, ...), target same -> (), or same for reduction="none".
    Dtypes:  floating input; target is cast to it.
    Args:    weight  (b,) or like input; the mean is then weighted, Σ w·l / Σ w.
    Raises:  ShapeError when shapes differ, even if they would broadcast.

    >>> mse_loss([1.0, 2.0], [1.0, 4.0])
    tensor(2., dtype=float32)
    """
    x, y = alike("mse_loss", input, target)
    return reduced("mse_loss", (x - y) * (x - y), reduction, weight)


def sse_loss(input: Any, target: Any, reduction: str = "sum", weight: Any = None) -> Tensor:
    """Sum of squared errors, Σ (input - target)². Shapes, dtypes and errors as `mse_loss`.

    >>> sse_loss([1.0, 2.0], [1.0, 4.0])
    tensor(4., dtype=float32)
    """
    x, y = alike("sse_loss", input, target)
    return reduced("sse_loss", (x - y) * (x - y), reduction, weight)


def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """Absolute error, |input - target|. Shapes, dtypes and errors as `mse_loss`.

    >>> l1_loss([1.0, 2.0], [1.0, 4.0])
    tensor(1., dtype=float32)
    """
    x, y = alike("l1_loss", input, target)
    return reduced("l1_loss", abs_(x - y), reduction, weight)


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    """½e² for an error |e| <= delta, delta·(|e| - ½delta) beyond: quadratic, then linear.

    Shapes, dtypes and errors as `mse_loss`.
    Args:    delta  where the two pieces meet, > 0, in units of target.
    Source:  Huber 1964, doi:10.1214/aoms/1177703732, averaged.

    >>> huber_loss([0.0, 3.0], [0.0, 0.0])
    tensor(1.25, dtype=float32)
    """
    if delta <= 0:
        raise ValueError(
            message("huber_loss", "delta must be positive", "> 0", delta, "Pass delta=1.0")
        )
    x, y = alike("huber_loss", input, target)
    e = abs_(x - y)
    losses = where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))
    return reduced("huber_loss", losses, reduction, weight)


def smooth_l1_loss(
    input: Any, target: Any, reduction: str = "mean", beta: float = 1.0, weight: Any = None
) -> Tensor:
    """½e²/beta for an error |e| < beta, |e| - ½beta beyond: Huber's loss divided by beta.

    Shapes, dtypes and errors as `mse_loss`.
    Args:    beta  where the two pieces meet, in units of target; 0 gives `l1_loss`.
    Source:  Girshick 2015, arXiv:1504.08083.
    """
    if beta < 0:
        raise ValueError(
            message("smooth_l1_loss", "beta must not be negative", ">= 0", beta, "Pass beta=1.0")
        )
    x, y = alike("smooth_l1_loss", input, target)
    e = abs_(x - y)
    losses = where(e < beta, (0.5 / beta) * e * e, e - 0.5 * beta) if beta else e
    return reduced("smooth_l1_loss", losses, reduction, weight)


# Distances between distributions


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """-(t·log p + (1-t)·log(1-p)) of probabilities p; the logarithms stop at -100.

    Shapes:  input (b, ...), target same -> (), or same for reduction="none".
    Dtypes:  floating input; target is cast to it.
    Args:    weight  (b,) or like input; scales losses, the mean still divides by their number.
    Raises:  ShapeError when shapes differ; ValueError for values outside [0, 1].

    >>> binary_cross_entropy([0.5, 0.25], [1.0, 1.0], reduction="none")
    tensor([0.6931472, 1.3862944], dtype=float32)
    """
    name = "binary_cross_entropy"
    p, t = alike(name, input, target)
    in_unit_interval(name, "input", p, "Apply sigmoid, or use binary_cross_entropy_with_logits")
    in_unit_interval(name, "target", t, "Use 0 and 1 for the two classes")
    losses = -(t * _log(p) + (1.0 - t) * _log(1.0 - p))
    return reduced(name, losses, reduction, weight, losses.numel())


def _log(p: Tensor) -> Tensor:
    # the inner where keeps 0·inf = NaN out of the gradient
    zero = p <= 0.0
    return where(zero, LEAST_LOG, maximum(log(where(zero, 1.0, p)), LEAST_LOG))


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """The binary cross-entropy of sigmoid(input), without overflow or rounding to 0 and 1.

    Shapes:  input (b, ...), target same -> (), or same for reduction="none".
    Dtypes:  floating input; target is cast to it.
    Args:    weight      (b,) or like input; scales losses, the mean divides by their number.
             pos_weight  scales the losses of positive examples; broadcast to input.
    Raises:  ShapeError when shapes differ; ValueError for the output of sigmoid as input, or a
             target outside [0, 1].

    >>> binary_cross_entropy_with_logits([0.0, 100.0], [1.0, 0.0], reduction="none")
    tensor([  0.6931472, 100.       ], dtype=float32)
    """
    name = "binary_cross_entropy_with_logits"
    x, t = alike(name, input, target)
    fix = "It applies sigmoid itself, so remove the last {}, or use binary_cross_entropy"
    not_probabilities(name, x, "logits", fix)
    in_unit_interval(name, "target", t, "Use 0 and 1 for the two classes")
    positive = t * softplus(-x)
    if pos_weight is not None:
        positive = positive * broadcast_to(cast(as_tensor(pos_weight), x.dtype), x.shape)
    losses = positive + (1.0 - t) * softplus(x)
    return reduced(name, losses, reduction, weight, losses.numel())


def kl_div(
    input: Any, target: Any, reduction: str = "mean", log_target: bool = False, weight: Any = None
) -> Tensor:
    """The Kullback-Leibler divergence from input, log-probabilities, to target: t·(log t - input).

    Shapes:  input (b, ...), target same -> (), or same for reduction="none".
    Dtypes:  floating input; target is cast to it.
    Args:    reduction   also "batchmean", the sum divided by b, which is what mathematics calls
                         the divergence ("mean" divides by the number of elements, as PyTorch's).
             log_target  whether target holds log-probabilities too.
    Raises:  ShapeError when shapes differ; ValueError for the output of softmax as input.

    >>> kl_div(log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    tensor(0.6931472, dtype=float32)
    """
    x, t = alike("kl_div", input, target)
    not_probabilities("kl_div", x, "log-probabilities", "Use log_softmax in place of {}")
    if log_target:
        losses = exp(t) * (t - x)
    else:
        zero = t <= 0.0  # 0·log 0 = 0
        losses = where(zero, 0.0, t * (log(where(zero, 1.0, t)) - x))
    if reduction == "batchmean":
        return reduced("kl_div", losses, "sum", weight) / max(x.shape[0] if x.ndim else 1, 1)
    return reduced("kl_div", losses, reduction, weight)


# Classes


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """-log of the probability that softmax(input) gives the right class.

    Shapes:  input (b, classes, ...) logits, or (classes,); target (b, ...) class numbers, or
             like input probabilities -> (), or (b, ...) for reduction="none".
    Dtypes:  floating input; target of any integer dtype, or floating for probabilities.
    Args:    weight           (classes,): how much each class counts; the mean is weighted by it.
             ignore_index     the class number of examples that are left out.
             label_smoothing  the share of the target that is spread over all classes.
    Raises:  ShapeError, DtypeError; ValueError for a class number out of range and for the
             output of softmax as input.
    Source:  smoothing: Szegedy et al. 2016, arXiv:1512.00567.

    >>> cross_entropy([[0.0, 0.0], [0.0, 100.0]], [1, 0], reduction="none")
    tensor([  0.6931472, 100.       ], dtype=float32)
    """
    name = "cross_entropy"
    x, t = floats(name, input, target)
    fix = "It applies softmax itself, so remove the last {}, or use nll_loss(log_softmax(x), ...)"
    not_probabilities(name, x, "logits", fix)
    axis = _class_axis(name, x)
    logp = log_softmax(x, axis)
    if not is_floating(t.dtype):
        return _of_labels(name, logp, t, weight, ignore_index, reduction, label_smoothing)
    labels = x.shape[:axis] + x.shape[axis + 1 :]
    if t.shape != x.shape:
        raise (DtypeError if t.shape == labels else ShapeError)(
            message(name, "target must be class numbers or probabilities",
                    f"integers of shape {labels} or floats of shape {x.shape}",
                    f"{t.dtype} of shape {t.shape}", CAST)
        )  # fmt: skip
    classes = x.shape[axis]
    t = cast(t, x.dtype)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        logp = logp * _class_weights(name, weight, logp, axis)
    return reduced(name, -sum_(t * logp, axis), reduction)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-input at the right class: cross_entropy for input that went through log_softmax.

    Shapes:  input (b, classes, ...) log-probabilities, or (classes,); target (b, ...) class
             numbers -> (), or (b, ...) for reduction="none".
    Dtypes:  floating input; target of any integer dtype.
    Args, Raises: as `cross_entropy`.

    >>> nll_loss([[-0.5, -3.0]], [0])
    tensor(0.5, dtype=float32)
    """
    x, t = floats("nll_loss", input, target)
    fix = "Use log_softmax in place of {}, or cross_entropy on the logits"
    not_probabilities("nll_loss", x, "log-probabilities", fix)
    return _of_labels("nll_loss", x, t, weight, ignore_index, reduction, 0.0)


def _class_axis(name: str, x: Tensor) -> int:
    if not x.ndim:
        raise ShapeError(
            message(name, "input needs an axis of classes", "(b, classes, ...) or (classes,)",
                    x.shape, "Give one score per class")
        )  # fmt: skip
    return min(x.ndim - 1, 1)


def _of_labels(
    name: str, logp: Tensor, target: Tensor, weight: Any, ignore_index: int, reduction: str,
    smoothing: float,
) -> Tensor:  # fmt: skip
    """The loss of log-probabilities for class numbers, compared with all classes at once.

    The comparison, rather than indexing, keeps the loss and its gradient one loop over `logp`.
    """
    axis = _class_axis(name, logp)
    t = _labels(name, logp, target, axis, ignore_index)
    classes = logp.shape[axis]
    numbers = reshape(arange(classes), classes, *(1,) * (logp.ndim - axis - 1))
    counted = unsqueeze(t, axis) != ignore_index
    hot = (unsqueeze(t, axis) == numbers) & counted
    count = sum_(cast(t != ignore_index, logp.dtype))
    if weight is not None:
        weights = _class_weights(name, weight, logp, axis)
        logp = logp * weights
        count = sum_(where(hot, weights, 0.0))
    losses = -sum_(where(hot, logp, 0.0), axis)
    if smoothing:
        spread = -sum_(where(counted, logp, 0.0), axis) / classes
        losses = losses * (1.0 - smoothing) + spread * smoothing
    return reduced(name, losses, reduction, None, count)


def _labels(name: str, x: Tensor, t: Tensor, axis: int, ignore_index: int) -> Tensor:
    """`t` as int64 class numbers, checked."""
    wanted = x.shape[:axis] + x.shape[axis + 1 :]
    if t.dtype.kind not in "iu":
        raise DtypeError(
            message(name, "target must hold class numbers", "an integer dtype", t.dtype, CAST)
        )  # fmt: skip
    if t.shape != wanted:
        fix = "Give one class number per example"
        if t.numel() == math.prod(wanted):
            fix = f"Write target.reshape({', '.join(map(str, wanted))})"
        elif t.shape == x.shape:
            fix = f"Write target.argmax({axis}) for one-hot rows, or cast them with .float()"
        raise ShapeError(
            message(name, f"target must be one class number per example of input {x.shape}",
                    wanted, t.shape, fix)
        )  # fmt: skip
    classes = x.shape[axis]
    t = cast(t, int64)
    found = first_bad(t, lambda v: (v != ignore_index) & ((v < 0) | (v >= classes)))
    if found is not None:
        raise ValueError(
            message(name, "labels must be class numbers", f"0 <= label < {classes} (classes)",
                    f"{found[0]} at position {found[1]}",
                    "Number the classes from 0, or give the model more outputs")
        )  # fmt: skip
    return t if type(t.value) is np.ndarray else _looked_up(t, classes, ignore_index)


def _looked_up(t: Tensor, classes: int, ignore_index: int) -> Tensor:
    """`t` by way of a table of all classes, so that a graph too finds a label out of range."""
    ignored = t == ignore_index
    places = where(ignored, 0, where(t < 0, classes, t))  # below 0 would count from the end
    return where(ignored, t, arange(classes)[places])


def _class_weights(name: str, weight: Any, logp: Tensor, axis: int) -> Tensor:
    """The weight of each class, shaped to meet `logp`."""
    w = cast(as_tensor(weight), logp.dtype)
    if w.shape != (logp.shape[axis],):
        raise ShapeError(
            message(name, "weight must be one per class", (logp.shape[axis],), w.shape,
                    "Pass as many weights as the model has outputs")
        )  # fmt: skip
    return reshape(w, *w.shape, *(1,) * (logp.ndim - axis - 1))


# The classes of PyTorch's names


class Loss(Module):
    """What the loss classes share: a function, and options kept as attributes.

    A call with `reduction="none"` gives the losses one by one, whatever the object was made for.

    Shapes:  as the function's.
    """

    function: Callable[..., Tensor]
    options: tuple[str, ...] = ()

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Any, target: Any, reduction: str | None = None) -> Tensor:
        """The loss of `input` for `target`."""
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(input, target, reduction=reduction or self.reduction, **options)


def _buffer(weight: Any) -> Buffer | None:
    return None if weight is None else Buffer(weight)


class MSELoss(Loss):
    """Mean squared error: `mse_loss`. Shapes: (b, ...), same -> ()."""

    function = staticmethod(mse_loss)


class SSELoss(Loss):
    """Sum of squared errors: `sse_loss`. Shapes: (b, ...), same -> ()."""

    function = staticmethod(sse_loss)

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = reduction


class L1Loss(Loss):
    """Mean absolute error: `l1_loss`. Shapes: (b, ...), same -> ()."""

    function = staticmethod(l1_loss)


class HuberLoss(Loss):
    """Quadratic near zero, linear beyond `delta`: `huber_loss`. Shapes: (b, ...), same -> ()."""

    function, options = staticmethod(huber_loss), ("delta",)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction, self.delta = reduction, delta


class SmoothL1Loss(Loss):
    """Huber's loss divided by `beta`: `smooth_l1_loss`. Shapes: (b, ...), same -> ()."""

    function, options = staticmethod(smooth_l1_loss), ("beta",)

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction, self.beta = reduction, beta


class BCELoss(Loss):
    """For probabilities of one of two classes: `binary_cross_entropy`.

    Shapes: (b, ...), same -> ().
    """

    function, options = staticmethod(binary_cross_entropy), ("weight",)

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.weight, self.reduction = _buffer(weight), reduction


class BCEWithLogitsLoss(Loss):
    """For logits of one of two classes: `binary_cross_entropy_with_logits`.

    Shapes: (b, ...), same -> ().
    """

    function, options = staticmethod(binary_cross_entropy_with_logits), ("weight", "pos_weight")

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        self.weight, self.pos_weight = _buffer(weight), _buffer(pos_weight)
        self.reduction = reduction


class KLDivLoss(Loss):
    """From log-probabilities to a distribution: `kl_div`. Shapes: (b, ...), same -> ()."""

    function, options = staticmethod(kl_div), ("log_target",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target


class NLLLoss(Loss):
    """For log-probabilities of classes: `nll_loss`. Shapes: (b, classes, ...), (b, ...) -> ()."""

    function, options = staticmethod(nll_loss), ("weight", "ignore_index")

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        self.weight, self.ignore_index = _buffer(weight), ignore_index
        self.reduction = reduction


class CrossEntropyLoss(Loss):
    """For logits of classes: `cross_entropy`. Shapes: (b, classes, ...), (b, ...) -> ()."""

    function = staticmethod(cross_entropy)
    options = ("weight", "ignore_index", "label_smoothing")

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        self.weight, self.ignore_index = _buffer(weight), ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing
