"""Convolution: three primitives, each the gradient of the others, and what is made of them.

May import: base, core, operands, window. Images are (n, c, *spatial) with 1 to 3 spatial axes.
`conv`, `conv_input` and `conv_weight` are the three faces of one bilinear form, so their gradients
of every order are again one of the three. To add a kind of convolution: compose these.

The executors unfold the input into a matrix (channels and taps, places and examples) and multiply.
With examples innermost every copy is of whole runs; results stay in that memory order, which NumPy
keeps in what is computed from them, so that the next convolution finds it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pierian.base.dtypes import float16, float32, is_floating
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import Shape
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, bind
from pierian.ops.movement import reshape
from pierian.ops.operands import pair
from pierian.ops.window import Pairs, inside, padding_pairs, per_axis, taps, window_shape

BLOCK = 1 << 25  # bytes of the unfolded input at a time; a larger one only leaves the caches


def _check(where: str, a: Any, b: Any) -> None:
    """The conditions that all three share on the dtypes and numbers of axes of their inputs."""
    if not 3 <= len(a.shape) <= 5 or len(a.shape) != len(b.shape):
        raise ShapeError(
            message(where, "needs images and weights of 1 to 3 spatial axes",
                    "(n, c, *spatial) and (o, c, *kernel)", f"{a.shape} and {b.shape}",
                    "Insert missing axes with unsqueeze")
        )  # fmt: skip
    if a.dtype != b.dtype or not is_floating(a.dtype):
        raise DtypeError(
            message(where, "both sides must have one floating dtype", "float32 twice",
                    f"{a.dtype} and {b.dtype}", "Cast one side")
        )  # fmt: skip


def check_channels(where: str, channels: int, weight: Shape, groups: int) -> None:
    """Refuse images of `channels` that do not fit a weight (o, c / groups, *kernel)."""
    if groups < 1 or weight[0] % groups:
        raise ShapeError(
            message(where, "groups must divide the channels that come out", f"a divisor of "
                    f"{weight[0]}", f"groups={groups}", "Pass groups=1 or change the weight")
        )  # fmt: skip
    if channels != weight[1] * groups:
        raise ShapeError(
            message(where, "the channels of x must be those of the weight", weight[1] * groups,
                    channels, f"Pass in_channels={channels}, or check the order of the axes")
        )  # fmt: skip


def _conv_rule(x: Any, w: Any, stride: Shape, padding: Pairs, dilation: Shape, groups: int) -> Spec:
    _check("conv", x, w)
    check_channels("conv", x.shape[1], w.shape, groups)
    out = window_shape("conv", x.shape[2:], w.shape[2:], stride, padding, dilation)
    return Spec((x.shape[0], w.shape[0], *out), x.dtype)


def _input_rule(
    g: Any, w: Any, size: Shape, stride: Shape, padding: Pairs, dilation: Shape, groups: int
) -> Spec:
    _check("conv_input", g, w)
    x = Spec((g.shape[0], w.shape[1] * groups, *size), g.dtype)
    _same("conv_input", _conv_rule(x, w, stride, padding, dilation, groups).shape, g.shape)
    return x


def _weight_rule(
    x: Any, g: Any, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape, groups: int
) -> Spec:
    _check("conv_weight", x, g)
    w = Spec((g.shape[1], x.shape[1] // max(groups, 1), *kernel), x.dtype)
    _same("conv_weight", _conv_rule(x, w, stride, padding, dilation, groups).shape, g.shape)
    return w


def _same(where: str, wanted: Shape, found: Shape) -> None:
    if wanted != found:
        raise ShapeError(
            message(where, "g must have the shape that conv gives", wanted, found,
                    "Check the size and the options against those of conv")
        )  # fmt: skip


# Executors. Unfolded: (channels, *kernel, *out, examples).


def _blocks(examples: int, elements: int, itemsize: int) -> Iterator[slice]:
    """The batch in parts whose unfolded input, `elements` per example, fits into BLOCK."""
    step = max(BLOCK // max(elements * itemsize, 1), 1)
    for start in range(0, max(examples, 1), step):
        yield slice(start, min(start + step, examples))


def _last(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) as (c, *spatial, n), halves widened to be summed."""
    x = x.astype(float32) if x.dtype == float16 else x
    return x.transpose(*range(1, x.ndim), 0)


def _first(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(c, *spatial, n) as (n, c, *spatial), in the dtype of the inputs."""
    return x.astype(dtype, copy=False).transpose(x.ndim - 1, *range(x.ndim - 1))


def _unfold(
    x: np.ndarray, kernel: Shape, out: Shape, stride: Shape, padding: Pairs, dilation: Shape
) -> np.ndarray:
    """What each tap of the kernel meets at each place, of `x` (c, *spatial, n)."""
    channels, *size, examples = x.shape
    if any(map(any, padding)):
        shape = [n + sum(around) for n, around in zip(size, padding, strict=True)]
        wide = np.zeros((channels, *shape, examples), x.dtype)
        wide[(slice(None), *inside(tuple(size), padding))] = x
        x = wide
    if math.prod(kernel) == 1:
        ((_, place),) = taps(kernel, stride, dilation, out)
        return x[(slice(None), *place)]
    x = np.ascontiguousarray(x)
    unfolded = np.empty((channels, *kernel, *out, examples), x.dtype)
    for tap, place in taps(kernel, stride, dilation, out):
        unfolded[(slice(None), *tap)] = x[(slice(None), *place)]
    return unfolded


def _conv(
    x: np.ndarray, w: np.ndarray, stride: Shape, padding: Pairs, dilation: Shape, groups: int
) -> np.ndarray:
    spec = _conv_rule(x, w, stride, padding, dilation, groups)
    kernel, out = w.shape[2:], spec.shape[2:]
    images, weight = _last(x), w.astype(_last(w).dtype, copy=False)
    depth = math.prod(w.shape[1:])
    matrix = weight.reshape(groups, w.shape[0] // groups, depth)
    parts = []
    for block in _blocks(len(x), _unfolded(x.shape[1], kernel, out), images.itemsize):
        seen = _unfold(images[..., block], kernel, out, stride, padding, dilation)
        examples = block.stop - block.start
        product = np.matmul(matrix, seen.reshape(groups, depth, math.prod(out) * examples))
        parts.append(product.reshape(w.shape[0], *out, examples))
    return _first(_joined(parts), spec.dtype)


def _unfolded(channels: int, kernel: Shape, out: Shape) -> int:
    return channels * math.prod(kernel) * math.prod(out)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)


def _conv_input(
    g: np.ndarray, w: np.ndarray, size: Shape, stride: Shape, padding: Pairs, dilation: Shape,
    groups: int,
) -> np.ndarray:  # fmt: skip
    spec = _input_rule(g, w, size, stride, padding, dilation, groups)
    channels, kernel, out = spec.shape[1], w.shape[2:], g.shape[2:]
    images, weight = _last(g), w.astype(_last(w).dtype, copy=False)
    rows = w.shape[0] // groups
    matrix = weight.reshape(groups, rows, math.prod(w.shape[1:])).swapaxes(1, 2)
    wide = [n + sum(around) for n, around in zip(size, padding, strict=True)]
    parts = []
    for block in _blocks(len(g), _unfolded(channels, kernel, out), images.itemsize):
        examples = block.stop - block.start
        columns = images[..., block].reshape(groups, rows, math.prod(out) * examples)
        # NumPy has no fast product of a column and a row, which depthwise filters need
        spread = matrix * columns if rows == 1 else np.matmul(matrix, columns)
        spread = spread.reshape(channels, *kernel, *out, examples)
        part = np.zeros((channels, *wide, examples), spread.dtype)
        for tap, place in taps(kernel, stride, dilation, out):
            part[(slice(None), *place)] += spread[(slice(None), *tap)]
        parts.append(part[(slice(None), *inside(size, padding))])
    return _first(_joined(parts), spec.dtype)


def _conv_weight(
    x: np.ndarray, g: np.ndarray, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape,
    groups: int,
) -> np.ndarray:  # fmt: skip
    spec = _weight_rule(x, g, kernel, stride, padding, dilation, groups)
    images, slopes, out = _last(x), _last(g), g.shape[2:]
    total = np.zeros(spec.shape, images.dtype)
    rows, depth = spec.shape[0] // groups, math.prod(spec.shape[1:])
    view = total.reshape(groups, rows, depth)
    for block in _blocks(len(x), _unfolded(x.shape[1], kernel, out), images.itemsize):
        columns = math.prod(out) * (block.stop - block.start)
        seen = _unfold(images[..., block], kernel, out, stride, padding, dilation)
        matrix = slopes[..., block].reshape(groups, rows, columns)
        view += np.matmul(matrix, seen.reshape(groups, depth, columns).swapaxes(1, 2))
    return total.astype(spec.dtype, copy=False)


# Gradients


def _to_input(g: Tensor, w: Tensor, size: Shape, **options: Any) -> Tensor:
    return bind("conv_input", g, w, size=size, **options)


def _to_weight(x: Tensor, g: Tensor, kernel: Shape, **options: Any) -> Tensor:
    return bind("conv_weight", x, g, kernel=kernel, **options)


define("conv", shape=_conv_rule, run=_conv,
       vjp=(lambda g, _y, _x, w, **options: _to_input(g, w, _x.shape[2:], **options),
            lambda g, _y, x, _w, **options: _to_weight(x, g, _w.shape[2:], **options)))  # fmt: skip
define("conv_input", shape=_input_rule, run=_conv_input,
       vjp=(lambda h, _y, _g, w, size, **options: bind("conv", h, w, **options),
            lambda h, _y, g, _w, size, **options:
                _to_weight(h, g, _w.shape[2:], **options)))  # fmt: skip
define("conv_weight", shape=_weight_rule, run=_conv_weight,
       vjp=(lambda v, _y, _x, g, kernel, **options: _to_input(g, v, _x.shape[2:], **options),
            lambda v, _y, x, _g, kernel, **options: bind("conv", x, v, **options)))  # fmt: skip


# Functions


def conv(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, where: str = "conv",
) -> Tensor:  # fmt: skip
    """The cross-correlation of images with filters, over 1 to 3 spatial axes.

    Shapes:  x (n, c, *s), weight (o, c / groups, *k), bias (o,) -> (n, o, *out) with
             out = (s + before + after - dilation·(k - 1) - 1) // stride + 1.
    Dtypes:  floating, promoted.
    Args:    stride, dilation  a number, or one per axis.
             padding           a number, one or a pair (before, after) per axis, "valid" or "same".
             groups            channels are cut into so many parts that do not see each other.
             where             how errors call the operation.
    Raises:  ShapeError, DtypeError when x and weight do not fit.

    >>> import pierian as pr
    >>> conv(pr.tensor([[[1.0, 2.0, 3.0]]]), pr.tensor([[[1.0, 10.0]]]))
    tensor([[[21., 32.]]], dtype=float32)
    """
    x, weight = pair(where, x, weight)
    _check(where, x, weight)
    check_channels(where, x.shape[1], weight.shape, groups)
    size, kernel = x.shape[2:], weight.shape[2:]
    stride = per_axis(where, "stride", stride, len(size))
    dilation = per_axis(where, "dilation", dilation, len(size))
    padding = padding_pairs(where, padding, size, kernel, stride, dilation)
    window_shape(where, size, kernel, stride, padding, dilation)
    y = bind("conv", x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return y if bias is None else y + per_channel(bias, y.ndim)


def per_channel(values: Any, rank: int) -> Tensor:
    """One number per channel, shaped to meet images of `rank` axes. Shapes: (c,) -> (c, 1, 1)."""
    return reshape(values, -1, *(1,) * (rank - 2))


def conv_transpose(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1, *, where: str = "conv_transpose",
) -> Tensor:  # fmt: skip
    """The transposed convolution: what `conv` of the same options does to gradients.

    Shapes:  x (n, c, *s), weight (c, o / groups, *k), bias (o,) -> (n, o, *out) with
             out = (s - 1)·stride - 2·padding + dilation·(k - 1) + output_padding + 1.
    Dtypes:  floating, promoted.
    Args:    padding         what `conv` would add: so much is cut off.
             output_padding  added behind, < stride: which of the sizes that `conv` maps to s.
    Raises:  ShapeError, DtypeError when x and weight do not fit.

    >>> import pierian as pr
    >>> conv_transpose(pr.tensor([[[1.0, 2.0]]]), pr.tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]], dtype=float32)
    """
    x, weight = pair(where, x, weight)
    _check(where, x, weight)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            message(where, "the channels of x must be those of the weight", weight.shape[0],
                    x.shape[1], f"Pass in_channels={x.shape[1]}, or check the order of the axes")
        )  # fmt: skip
    rank = x.ndim - 2
    stride, dilation = (
        per_axis(where, name, value, rank)
        for name, value in (("stride", stride), ("dilation", dilation))
    )
    extra = per_axis(where, "output_padding", output_padding, rank, 0)
    if any(more >= s for more, s in zip(extra, stride, strict=True)):
        raise ShapeError(
            message(where, "output_padding must be smaller than stride", f"< {stride}", extra,
                    "Pad the result with zeros instead")
        )  # fmt: skip
    kernel = weight.shape[2:]
    around = padding_pairs(where, padding, x.shape[2:], kernel, (1,) * rank, dilation)
    size = tuple(
        (n - 1) * s - sum(cut) + d * (k - 1) + more + 1
        for n, s, cut, d, k, more in zip(
            x.shape[2:], stride, around, dilation, kernel, extra, strict=True
        )
    )
    if min(size) < 1:
        raise ShapeError(
            message(where, "padding must leave something of the result", "sizes >= 1", size,
                    "Pass a smaller padding")
        )  # fmt: skip
    y = bind("conv_input", x, weight, size=size, stride=stride, padding=around, dilation=dilation,
             groups=groups)  # fmt: skip
    return y if bias is None else y + per_channel(bias, y.ndim)
