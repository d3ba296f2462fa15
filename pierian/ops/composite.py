"""What is made of other operations and has no gradient rule of its own.

May import: base, core, all other families but methods. To add one: a function.
"""

from __future__ import annotations

import math
from typing import Any

from pierian.base.dtypes import bool_, float64, int64
from pierian.base.errors import ShapeError, message
from pierian.base.shapes import normalize_axis
from pierian.core.tensor import Tensor, as_tensor, bind, clock, make, written_after
from pierian.ops import elementwise as ew
from pierian.ops.indexing import take_along_axis
from pierian.ops.operands import pair, real
from pierian.ops.reduction import finite_max
from pierian.ops.reduction import sum as sum_


class Probabilities(Tensor):
    """What softmax and sigmoid give: a tensor that remembers the logits it came from.

    Losses on probabilities use these for a stable result; losses on logits refuse the tensor.
    The result of any further operation is a plain tensor.
    """

    __slots__ = ("logits", "origin", "made")
    logits: Tensor
    origin: str
    made: tuple[Any, Any, int]  # the values, those of the logits, and when

    @property
    def kind(self) -> str:
        """ "softmax" or "sigmoid"; "" once values or logits were changed in place."""
        y, x, time = self.made
        same = self.value is y and self.logits.value is x
        return self.origin if same and not any(written_after(v, time) for v in (y, x)) else ""

    def _copy(self, value: Any) -> Tensor:
        return make(super()._copy(value).value)  # copies and pickles are plain


def _remember(y: Tensor, logits: Tensor, kind: str) -> Probabilities:
    out: Probabilities = object.__new__(Probabilities)
    out.value, out.node, out._grad, out.base = y.value, y.node, None, None
    out.logits, out.origin, out.made = logits, kind, (y.value, logits.value, next(clock))
    return out


def softmax(x: Any, axis: int = -1) -> Tensor:
    """e^x / Σ e^x along `axis`, without overflow.

    Shapes:  x (...) -> same.
    Dtypes:  floating (integers become float32).

    >>> softmax(as_tensor([0.0, 0.0]))
    tensor([0.5, 0.5], dtype=float32)
    """
    x = real("softmax", x)
    if not x.numel():
        return x
    axes = (normalize_axis("softmax", axis, x.ndim),) if x.ndim else ()
    e = bind("exp", x - finite_max(x, axes))
    return _remember(e / sum_(e, axes, keepdims=True), x, "softmax")


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without its rounding. Shapes: x (...) -> same."""
    x = real("log_softmax", x)
    if not x.numel():
        return x
    axes = (normalize_axis("log_softmax", axis, x.ndim),) if x.ndim else ()
    x = x - finite_max(x, axes)  # first: x - logsumexp(x) would round at the size of x
    return x - bind("log", sum_(bind("exp", x), axes, keepdims=True))


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x). Shapes: x (...) -> same. Dtypes: floating (integers become float32)."""
    x = real("sigmoid", x)
    return _remember(bind("sigmoid", x), x, "sigmoid")


def logsigmoid(x: Any) -> Tensor:
    """log sigmoid(x), without overflow. Shapes: x (...) -> same."""
    return -ew.softplus(-real("logsigmoid", x))


def silu(x: Any) -> Tensor:
    """x · sigmoid(x), also called swish. Shapes: x (...) -> same.

    Source:  Elfwing et al. 2017, arXiv:1702.03118.
    """
    x = real("silu", x)
    return x * bind("sigmoid", x)


def gelu(x: Any, approximate: bool | str = False) -> Tensor:
    """x · Φ(x), Φ the normal distribution function. Shapes: x (...) -> same.

    Args:    approximate  True or "tanh": by a tanh, as many published models do.
    Source:  Hendrycks & Gimpel 2016, arXiv:1606.08415.

    >>> gelu(as_tensor([1.0]))
    tensor([0.8413447], dtype=float32)
    """
    x = real("gelu", x)
    if approximate and approximate != "none":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))  # the paper's fit
        return 0.5 * x * (1.0 + ew.tanh(inner))
    return 0.5 * x * (1.0 + ew.erf(x * math.sqrt(0.5)))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """x where positive, else negative_slope · x. Shapes: x (...) -> same."""
    x = real("leaky_relu", x)
    return ew.where(x > 0.0, x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha · (e^x - 1). Shapes: x (...) -> same.

    Source:  Clevert et al. 2015, arXiv:1511.07289.
    """
    x = real("elu", x)
    return ew.where(x > 0.0, x, alpha * ew.expm1(ew.minimum(x, 0.0)))


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|). Shapes: x (...) -> same."""
    x = real("softsign", x)
    return x / (1.0 + ew.abs(x))


def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """x, but not below `low` and not above `high`; None leaves a side open.

    Shapes:  broadcast. The gradient passes where x lies strictly between or on a bound.

    >>> clip(as_tensor([-2.0, 0.5, 2.0]), -1.0, 1.0)
    tensor([-1. ,  0.5,  1. ], dtype=float32)
    """
    x = as_tensor(x)
    if low is not None:
        x, bound = pair("clip", x, low)
        x = bind("where", bind("lt", x, bound), bound, x)
    if high is not None:
        x, bound = pair("clip", x, high)
        x = bind("where", bind("gt", x, bound), bound, x)
    return x


def square(x: Any) -> Tensor:
    """x². Shapes: x (...) -> same. Dtypes: kept."""
    x = as_tensor(x)
    return x * x


def reciprocal(x: Any) -> Tensor:
    """1 / x. Shapes: x (...) -> same. Dtypes: floating (integers become float32)."""
    return 1.0 / real("reciprocal", x)


def rsqrt(x: Any) -> Tensor:
    """1 / √x. Shapes: x (...) -> same. Dtypes: floating (integers become float32)."""
    return 1.0 / ew.sqrt(x)


def logaddexp(a: Any, b: Any) -> Tensor:
    """log(e^a + e^b), without overflow. Shapes: broadcast. Dtypes: floating."""
    a, b = pair("logaddexp", a, b)
    a, b = real("logaddexp", a), real("logaddexp", b)
    same = a == b  # also two equal infinities, whose difference is NaN
    gap = ew.where(same, 0.0, ew.abs(a - b))
    return ew.where(same, a, ew.maximum(a, b)) + ew.softplus(-gap)


def _band(x: Tensor, diagonal: int, lower: bool) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(
            message("tril" if lower else "triu", "needs a matrix", ">= 2 axes", x.shape,
                    "Use unsqueeze")
        )  # fmt: skip
    rows = bind("arange", start=0, step=1, size=x.shape[-2], dtype=int64)
    columns = bind("arange", start=0, step=1, size=x.shape[-1], dtype=int64)
    offset = columns - bind("reshape", rows, shape=(x.shape[-2], 1))
    inside = offset <= diagonal if lower else offset >= diagonal
    return _or_zero(inside, x)


def _or_zero(condition: Tensor, x: Tensor) -> Tensor:
    return ew.where(condition, x, False if x.dtype == bool_ else 0)


def tril(x: Any, diagonal: int = 0) -> Tensor:
    """The lower triangle, zeros above `diagonal`. Shapes: (..., m, n) -> same."""
    return _band(as_tensor(x), diagonal, True)


def triu(x: Any, diagonal: int = 0) -> Tensor:
    """The upper triangle, zeros below `diagonal`. Shapes: (..., m, n) -> same."""
    return _band(as_tensor(x), diagonal, False)


def diagonal(x: Any, offset: int = 0) -> Tensor:
    """The diagonal of the last two axes. Shapes: (..., m, n) -> (..., length of the diagonal).

    >>> diagonal(as_tensor([[1, 2], [3, 4]]))
    tensor([1, 4], dtype=int64)
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(message("diagonal", "needs a matrix", ">= 2 axes", x.shape, "Unsqueeze"))
    m, n = x.shape[-2:]
    row, column = max(-offset, 0), max(offset, 0)
    length = max(min(m - row, n - column), 0)
    rows = x[..., row : row + length, column : column + length]
    steps = bind("arange", start=0, step=1, size=length, dtype=int64)
    places = bind("reshape", steps, shape=(1,) * (x.ndim - 2) + (length, 1))
    return take_along_axis(rows, places, -1)[..., 0]


def diag(x: Any) -> Tensor:
    """A matrix with x on its diagonal; of a matrix, its diagonal. Shapes: (n,) -> (n, n)."""
    x = as_tensor(x)
    if x.ndim != 1:
        return diagonal(x)
    n = x.shape[0]
    steps = bind("arange", start=0, step=1, size=n, dtype=int64)
    on = bind("reshape", steps, shape=(n, 1)) == steps
    return _or_zero(on, bind("reshape", x, shape=(n, 1)))


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether |a - b| <= atol + rtol·|b| everywhere; not where one is NaN. Shapes: broadcast."""
    a, b = pair("allclose", a, b)
    if a.dtype.kind in "biu":  # whose differences wrap around
        a, b = as_tensor(a, float64), as_tensor(b, float64)
    return bool((ew.eq(a, b) | (ew.abs(a - b) <= atol + rtol * ew.abs(b))).all())
