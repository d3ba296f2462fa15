"""The functions behind the layers, under PyTorch's names: `from pierian.nn import functional as F`.

May import: base, core, ops, losses. What ops or losses already has is passed on, not written
again. To add one: a function here and its name in `__all__`; `axis` is the keyword for an axis.
"""

from __future__ import annotations

from typing import Any

from pierian.base.dtypes import is_integer
from pierian.base.errors import DtypeError, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
    sse_loss,
)
from pierian.nn.spatial import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    interpolate,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pad,
    pixel_shuffle,
)
from pierian.nn.standardize import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from pierian.ops import elementwise as ew
from pierian.ops.composite import (
    clip,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    sigmoid,
    silu,
    softmax,
    softsign,
)
from pierian.ops.elementwise import relu, tanh
from pierian.ops.indexing import one_hot, take
from pierian.ops.linalg import linear
from pierian.ops.movement import flatten, unsqueeze
from pierian.ops.random import Generator, bernoulli
from pierian.ops.reduction import norm

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cross_entropy",
    "dropout", "elu", "embedding", "flatten", "gelu", "group_norm", "hardsigmoid", "hardswish",
    "hardtanh", "huber_loss", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm",
    "leaky_relu", "linear", "log_softmax", "logsigmoid", "max_pool1d", "max_pool2d", "max_pool3d",
    "mish", "mse_loss", "nll_loss", "normalize", "one_hot", "pad", "pixel_shuffle", "relu",
    "relu6", "rms_norm", "selu", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus",
    "softsign", "sse_loss", "tanh",
]  # fmt: skip

# The fixed point of mean 0 and variance 1: Klambauer et al. 2017, arXiv:1706.02515.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """log(1 + e^(beta·x)) / beta, without overflow: a smooth relu. Shapes: x (...) -> same."""
    return ew.softplus(x) if beta == 1 else ew.softplus(as_tensor(x) * beta) / beta


def selu(x: Any) -> Tensor:
    """A scaled elu that keeps activations at mean 0 and variance 1. Shapes: x (...) -> same.

    Source:  Klambauer et al. 2017, arXiv:1706.02515.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def mish(x: Any) -> Tensor:
    """x · tanh(softplus(x)). Shapes: x (...) -> same. Source: Misra 2019, arXiv:1908.08681."""
    x = as_tensor(x)
    return x * ew.tanh(ew.softplus(x))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x, cut off below `min_val` and above `max_val`. Shapes: x (...) -> same."""
    return clip(x, min_val, max_val)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6). Shapes: x (...) -> same."""
    return ew.minimum(relu(x), 6.0)


def hardsigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6, a sigmoid of straight lines. Shapes: x (...) -> same."""
    return relu6(as_tensor(x) + 3.0) / 6.0


def hardswish(x: Any) -> Tensor:
    """x · hardsigmoid(x). Shapes: x (...) -> same. Source: Howard et al. 2019, arXiv:1905.02244."""
    return as_tensor(x) * hardsigmoid(x)


def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None
) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p; `x` itself outside training.

    Shapes:  x (...) -> same.
    Dtypes:  floating; kept.
    Raises:  ValueError unless 0 <= p <= 1.
    Source:  Srivastava et al. 2014; scaled in training, so that nothing is done in use.

    >>> dropout(as_tensor([1.0, 2.0]), p=1.0)
    tensor([0., 0.], dtype=float32)
    """
    if not 0 <= p <= 1:
        raise ValueError(
            message("dropout", "p is the share that is dropped", "0 <= p <= 1", p, "Pass p=0.5")
        )
    x = as_tensor(x)
    if not training or p == 0:
        return x
    kept = bernoulli(1 - p, x.shape, x.dtype, generator)
    return x * kept * (1 / (1 - p) if p < 1 else 0.0)


def normalize(x: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """`x` divided by its p-norm along `axis`, or by eps where that is larger.

    Shapes:  x (...) -> same.

    >>> normalize(as_tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]], dtype=float32)
    """
    return x / ew.maximum(norm(x, p, axis, keepdims=True), eps)


def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight` that the ids `x` name; that of padding_idx gets no gradient.

    Shapes:  x (...), weight (n, d) -> (..., d).
    Dtypes:  x whole numbers, 0 <= x < n.
    Raises:  DtypeError for other ids, IndexError for ids out of range.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if not is_integer(x.dtype):
        raise DtypeError(
            message("embedding", "ids must be whole numbers", "int64", f"x of {x.dtype}",
                    "Cast with x.long()")
        )  # fmt: skip
    y = take(weight, x, 0)
    if padding_idx is None:
        return y
    return ew.where(unsqueeze(x == padding_idx % weight.shape[0], -1), y.detach(), y)
