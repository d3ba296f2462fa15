"""Functions over images, under PyTorch's names: part of `nn.functional`.

May import: base, core, ops. Images are (n, c, *spatial), channels first; the layers turn others
around. A function whose name ends in 1d, 2d or 3d is a function for any number of axes, made for
one by `of_rank`. `where` is how errors call the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pierian.base.errors import ShapeError, lookup, message
from pierian.core.tensor import Tensor, as_tensor
from pierian.ops import convolution, movement, pooling
from pierian.ops.indexing import take
from pierian.ops.linalg import matmul
from pierian.ops.movement import concat, moveaxis, narrow, reshape
from pierian.ops.reduction import mean
from pierian.ops.window import per_axis


def check_images(where: str, x: Tensor, rank: int, channels: int | None, last: bool) -> None:
    """Refuse an `x` that is no batch of images with `rank` spatial axes and `channels`."""
    spatial = ("l", "hw", "dhw")[rank - 1]
    axes = ["b", *spatial, "c"] if last else ["b", "c", *spatial]
    axes[axes.index("c")] = "c" if channels is None else str(channels)
    if x.ndim != rank + 2:
        axis = "-1" if last else "1"
        fix = f"Reshape x to ({', '.join(axes)})"
        if x.ndim == rank + 1:
            one_image = channels not in (None, 1) and x.shape[-1 if last else 0] == channels
            fix = "Add the axis of the batch with x.unsqueeze(0)" if one_image else (
                f"Add the axis of channels with x.unsqueeze({axis})"
            )  # fmt: skip
        raise ShapeError(
            message(where, f"x must be a batch of images with {rank} spatial "
                    f"{'axes' if rank > 1 else 'axis'}", f"({', '.join(axes)})",
                    f"x of shape {x.shape}", fix)
        )  # fmt: skip
    found = x.shape[-1 if last else 1]
    if channels is not None and found != channels:
        fix = f"Pass in_channels={found}"
        if x.shape[1 if last else -1] == channels:
            fix = f'Pass data_format="channels_{"first" if last else "last"}"'
        raise ShapeError(
            message(where, f"axis {x.ndim - 1 if last else 1} of x must hold the channels",
                    channels, f"x of shape {x.shape}", fix)
        )  # fmt: skip


def of_rank(function: Callable[..., Tensor], rank: int) -> Callable[..., Tensor]:
    """`function` for images with `rank` spatial axes only."""
    name = f"{function.__name__}{rank}d"

    def limited(x: Any, *args: Any, where: str = name, **options: Any) -> Tensor:
        x = as_tensor(x)
        check_images(where, x, rank, None, last=False)
        return function(x, *args, where=where, **options)

    limited.__name__ = limited.__qualname__ = name
    limited.__doc__ = f"As below, over {rank} spatial axes.\n\n{function.__doc__}".split(">>>")[0]
    return limited


conv1d, conv2d, conv3d = (of_rank(convolution.conv, n) for n in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (
    of_rank(convolution.conv_transpose, n) for n in (1, 2, 3)
)
max_pool1d, max_pool2d, max_pool3d = (of_rank(pooling.max_pool, n) for n in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (of_rank(pooling.avg_pool, n) for n in (1, 2, 3))


def adaptive_avg_pool(x: Any, output_size: Any, *, where: str = "adaptive_avg_pool") -> Tensor:
    """The mean of each cell of a grid of `output_size`; cells differ by at most one in length.

    Shapes:  x (n, c, *s) -> (n, c, *output_size); None for an axis keeps its size.

    >>> adaptive_avg_pool(as_tensor([[[1.0, 2.0, 3.0]]]), 2)
    tensor([[[1.5, 2.5]]], dtype=float32)
    """
    x = as_tensor(x)
    sizes = _grid(where, x, output_size)
    whole = tuple(axis for axis, cells in enumerate(sizes, 2) if cells == 1)
    return _adaptive(pooling.avg_pool, mean(x, whole, keepdims=True) if whole else x, sizes, where)


def adaptive_max_pool(x: Any, output_size: Any, *, where: str = "adaptive_max_pool") -> Tensor:
    """The largest element of each cell of a grid; see `adaptive_avg_pool`.

    Shapes:  x (n, c, *s) -> (n, c, *output_size).
    """
    x = as_tensor(x)
    return _adaptive(pooling.max_pool, x, _grid(where, x, output_size), where)


def _grid(where: str, x: Tensor, output_size: Any) -> tuple[int, ...]:
    """The numbers of cells along each axis."""
    rank = x.ndim - 2
    wanted = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * rank
    if len(wanted) == rank:
        wanted = tuple(n if w is None else w for n, w in zip(x.shape[2:], wanted, strict=True))
    return per_axis(where, "output_size", wanted, rank)


def _adaptive(pool: Callable[..., Tensor], x: Tensor, sizes: tuple[int, ...], where: str) -> Tensor:
    """Axis by axis from the last, so that the first of equal maxima stays the first."""
    rank = x.ndim - 2
    for axis in range(rank + 1, 1, -1):
        n, cells = x.shape[axis], sizes[axis - 2]
        bounds = [(i * n // cells, -(-(i + 1) * n // cells)) for i in range(cells)]
        if n == cells:
            continue
        if n % cells == 0:
            x = pool(x, _only(axis, n // cells, rank), where=where)
            continue
        parts = [
            pool(narrow(x, axis, a, b - a), _only(axis, b - a, rank), where=where)
            for a, b in bounds
        ]
        x = concat(parts, axis)
    return x


def _only(axis: int, length: int, rank: int) -> tuple[int, ...]:
    return tuple(length if i == axis - 2 else 1 for i in range(rank))


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    of_rank(adaptive_avg_pool, n) for n in (1, 2, 3)
)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    of_rank(adaptive_max_pool, n) for n in (1, 2, 3)
)


# Padding


def pad(
    x: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0, *, where: str = "pad"
) -> Tensor:
    """`x` with more around it, in PyTorch's order: the last axis comes first.

    Shapes:  x (..., h, w), (left, right, top, bottom) -> (..., top + h + bottom, left + w + right).
    Args:    pad   a number before and after per axis, from the last axis on; negative ones cut.
             mode  "constant" (of `value`), "reflect", "replicate" or "circular".
    Raises:  ShapeError when the image is too small to be reflected or repeated.

    >>> pad(as_tensor([1.0, 2.0, 3.0]), (2, 1), "reflect")
    tensor([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    x = as_tensor(x)
    lookup(where, "mode", mode, {"constant", *BORDERS})
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ShapeError(
            message(where, "pad has two numbers per axis, from the last axis on",
                    f"up to {2 * x.ndim} numbers", tuple(pad), "Pass (left, right) or more")
        )  # fmt: skip
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    for axis, (low, high) in zip(range(x.ndim - 1, -1, -1), pairs, strict=False):
        cut = max(-low, 0), max(-high, 0)
        if any(cut):
            x = narrow(x, axis, cut[0], max(x.shape[axis] - sum(cut), 0))
        if max(low, high) > 0 and mode != "constant":
            x = _extended(where, x, axis, max(low, 0), max(high, 0), mode)
    if mode != "constant" or not any(n > 0 for n in pad):
        return x
    widths = [(max(low, 0), max(high, 0)) for low, high in pairs][::-1]
    return movement.pad(x, [(0, 0)] * (x.ndim - len(widths)) + widths, value)


def _reflected(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    last = x.shape[axis] - 1
    ends = narrow(x, axis, 1, low), narrow(x, axis, last - high, high)
    return [movement.flip(end, axis) for end in ends]


def _replicated(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    ends = narrow(x, axis, 0, 1), narrow(x, axis, x.shape[axis] - 1, 1)
    return [movement.repeat(end, n, axis) for end, n in zip(ends, (low, high), strict=True)]


def _wrapped(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    return [narrow(x, axis, x.shape[axis] - low, low), narrow(x, axis, 0, high)]


# name -> (what comes before and after, how much longer than the border the axis must be)
BORDERS: dict[str, tuple[Callable[..., list[Tensor]], int | None]] = {
    "reflect": (_reflected, 1),
    "replicate": (_replicated, None),
    "circular": (_wrapped, 0),
}


def _extended(where: str, x: Tensor, axis: int, low: int, high: int, mode: str) -> Tensor:
    ends, longer = BORDERS[mode]
    least = 1 if longer is None else max(low, high) + longer
    if x.shape[axis] < least:
        raise ShapeError(
            message(where, f"padding by {mode!r} needs a larger image", f"at least {least} on axis "
                    f"{axis}", f"shape {x.shape}", 'Pass a smaller padding, or mode="constant"')
        )  # fmt: skip
    before, after = ends(x, axis, low, high)
    return concat([before, x, after], axis)


# Size


def pixel_shuffle(x: Any, upscale_factor: int, *, where: str = "pixel_shuffle") -> Tensor:
    """Channels laid out as squares of pixels. Shapes: (n, c·r², h, w) -> (n, c, h·r, w·r).

    Source:  Shi et al. 2016, arXiv:1609.05158.
    """
    x, r = as_tensor(x), upscale_factor
    check_images(where, x, 2, None, last=False)
    n, channels, h, w = x.shape
    if channels % (r * r):
        raise ShapeError(
            message(where, "channels must be a multiple of upscale_factor²", f"a multiple of "
                    f"{r * r}", channels, "Change the channels of the layer before")
        )  # fmt: skip
    squares = reshape(x, n, channels // (r * r), r, r, h, w)
    return reshape(
        movement.permute(squares, 0, 1, 4, 2, 5, 3), n, channels // (r * r), h * r, w * r
    )


LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


def interpolate(
    x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, *, where: str = "interpolate",
) -> Tensor:  # fmt: skip
    """Images in another size, by the nearest pixel or linearly between two along each axis.

    Shapes:  x (n, c, *s) -> (n, c, *size), or size = ⌊s · scale_factor⌋.
    Args:    size, scale_factor  one of the two: a number, or one per spatial axis.
             mode           "nearest", or "linear", "bilinear", "trilinear" for 1, 2, 3 axes.
             align_corners  True places the outer pixels on each other, not the outer edges.
    Raises:  ShapeError, ValueError for arguments that do not fit.

    >>> interpolate(as_tensor([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
    tensor([[[1.  , 1.25, 1.75, 2.  ]]], dtype=float32)
    """
    x = as_tensor(x)
    rank = x.ndim - 2
    lookup(where, "mode", mode, {"nearest", *LINEAR})
    check_images(where, x, LINEAR.get(mode, min(max(rank, 1), 3)), None, last=False)
    if (size is None) == (scale_factor is None):
        raise ValueError(
            message(where, "needs the size or the factor", "size= or scale_factor=",
                    "neither" if size is None else "both", "Pass one of them")
        )  # fmt: skip
    many = isinstance(scale_factor, Sequence)
    scales = list(scale_factor) if many else [scale_factor] * rank
    if scale_factor is not None:
        size = tuple(int(n * scale) for n, scale in zip(x.shape[2:], scales, strict=True))
    sizes = per_axis(where, "size", size, rank)
    for axis, (out, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        n = x.shape[axis]
        step = n / out if scale is None else 1 / scale
        if mode != "nearest":
            x = _linear(x, axis, out, step, bool(align_corners))
        elif out % n == 0 and step == n / out:
            x = movement.repeat(x, out // n, axis)
        else:
            nearest = np.minimum(np.arange(out) * np.float32(step), n - 1).astype(np.int64)
            x = take(x, nearest, axis)
    return x


def _linear(x: Tensor, axis: int, out: int, step: float, corners: bool) -> Tensor:
    """`x` times a matrix with the weights of the two nearest elements for each new one."""
    n = x.shape[axis]
    if n == out:
        return x
    places = np.arange(out) * (n - 1) / max(out - 1, 1) if corners else (
        np.maximum((np.arange(out) + 0.5) * step - 0.5, 0.0)
    )  # fmt: skip
    low = np.minimum(places.astype(np.int64), n - 1)
    rest = places - low
    weights = np.zeros((out, n))
    weights[np.arange(out), low] += 1 - rest
    weights[np.arange(out), np.minimum(low + 1, n - 1)] += rest
    rows = moveaxis(x, axis, -1)
    return moveaxis(matmul(rows, as_tensor(weights.T.astype(x.dtype))), -1, axis)
