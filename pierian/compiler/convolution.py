"""Convolutions as sums of matrix products, one for each place of the filter that meets the image.

May import: contraction, control, llvm, core. Inside a program images lie with their pixels
outermost, (*size, n, c): then each pixel is a matrix of all examples by all channels, filters are
(*kernel, in, out), and a pixel of the output is the sum over the places of the filter of the
products of two such matrices. Places outside of the image are not in the sum, so that padding
costs nothing. `layout.py` brings graphs into that form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.compiler.contraction import Contraction
from pierian.compiler.control import number
from pierian.compiler.llvm import ir
from pierian.core.graph import Equation
from pierian.core.primitive import REGISTRY, Spec, define

Pairs = tuple[tuple[int, int], ...]
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """A product of two matrices, or a sum of several, for every place of some outer space.

    a, b  elements from the first input to its first matrix at an outer place, and of the second.
    taps  (count, elements from one matrix to the next of each input), the outer loop first.
    """

    a: Any
    b: Any
    taps: list[tuple[Any, int, int]]


Rule = Callable[[ir.IRBuilder, Equation, list[Any], Any], Product]


def inside(order: int) -> Sizes:
    """The axes of (n, c, *size) in the order (*size, n, c), for so many axes in all.

    >>> inside(4), outside(4)
    ((2, 3, 0, 1), (2, 3, 0, 1))
    """
    return (*range(2, order), 0, 1)


def outside(order: int) -> Sizes:
    """The way back of `inside`."""
    return tuple(int(i) for i in np.argsort(inside(order)))


def filters(order: int) -> Sizes:
    """The axes of (out, in, *kernel) in the order (*kernel, in, out)."""
    return (*range(2, order), 1, 0)


def output_size(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes
) -> Sizes:
    """The pixels of the output in each direction."""
    rows = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows)


# Shapes and executors of the three products; the executors are those of the ordinary ones


def _forward_rule(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Spec:
    size = output_size(x.shape[:-2], w.shape[:-2], stride, padding, dilation)
    n, out = x.shape[-2], w.shape[-1]
    return Spec((*size, n, out) if groups == 1 else (*size, groups, n, out // groups), x.dtype)


def _input_rule(g: Any, w: Any, size: Sizes, groups: int, **_: Any) -> Spec:
    n, channels = g.shape[-2], w.shape[-2]
    return Spec((*size, n, channels) if groups == 1 else (*size, groups, n, channels), g.dtype)


def _filter_rule(x: Any, g: Any, kernel: Sizes, groups: int, **_: Any) -> Spec:
    channels, out = x.shape[-1] // groups, g.shape[-1]
    if groups == 1:
        return Spec((*kernel, channels, out), x.dtype)
    return Spec((*kernel, groups, channels, out // groups), x.dtype)


def _image(x: np.ndarray) -> np.ndarray:
    return x.transpose(outside(x.ndim))


def _filter(w: np.ndarray) -> np.ndarray:
    return w.transpose(w.ndim - 1, w.ndim - 2, *range(w.ndim - 2))


def _parted(y: np.ndarray, groups: int) -> np.ndarray:
    """(n, c, *size) as (*size, n, c), or with groups (*size, groups, n, c / groups)."""
    y = y.transpose(inside(y.ndim))
    if groups == 1:
        return y
    return np.moveaxis(y.reshape(*y.shape[:-1], groups, -1), -2, -3)


def _forward(x: np.ndarray, w: np.ndarray, groups: int, **params: Any) -> np.ndarray:
    return _parted(REGISTRY["conv"].run(_image(x), _filter(w), groups=groups, **params), groups)


def _to_input(g: np.ndarray, w: np.ndarray, groups: int, **params: Any) -> np.ndarray:
    found = REGISTRY["conv_input"].run(_image(g), _filter(w), groups=groups, **params)
    return _parted(found, groups)


def _to_filter(x: np.ndarray, g: np.ndarray, groups: int, **params: Any) -> np.ndarray:
    found = REGISTRY["conv_weight"].run(_image(x), _image(g), groups=groups, **params)
    found = found.transpose(filters(found.ndim))
    if groups == 1:
        return found
    return np.moveaxis(found.reshape(*found.shape[:-1], groups, -1), -2, -3)


# The last one for images of few channels, that have been padded: the rows of a product are the
# places of a row of the filter, and what comes out is (*kernel[:-1], in, kernel[-1], out)


def _thin_filter(x: np.ndarray, g: np.ndarray, **params: Any) -> np.ndarray:
    return np.moveaxis(_to_filter(x, g, **params), -2, -3)


def _thin_filter_rule(x: Any, g: Any, kernel: Sizes, **_: Any) -> Spec:
    return Spec((*kernel[:-1], x.shape[-1], kernel[-1], g.shape[-1]), x.dtype)


define("pixels_thin_weight", shape=_thin_filter_rule, run=_thin_filter, warns=False)
define("pixels", shape=_forward_rule, run=_forward, warns=False)
define("pixels_input", shape=_input_rule, run=_to_input, warns=False)
define("pixels_weight", shape=_filter_rule, run=_to_filter, warns=False)
NATIVE = {"conv": "pixels", "conv_input": "pixels_input", "conv_weight": "pixels_weight"}


# Code


def terms_of(equation: Equation) -> int:
    """How many products are added up, at most."""
    return math.prod(equation.inputs[1].shape[:-2])


def contraction_of(equation: Equation) -> Contraction:
    """One product of the sum."""
    a, b = equation.inputs
    m, n = equation.output.shape[-2:]
    dtype, terms = equation.output.dtype, terms_of(equation)
    if equation.primitive == "pixels_thin_weight":
        width = a.shape[-1] * a.shape[-2] * equation.params["dilation"][-1]
        return Contraction(m, n, a.shape[-2], width, a.shape[-1], b.shape[-1], 1, dtype, terms)
    if equation.primitive == "pixels":
        return Contraction(m, n, b.shape[-2], a.shape[-1], 1, b.shape[-1], 1, dtype, terms)
    if equation.primitive == "pixels_input":
        k = b.shape[-1] // equation.params["groups"]
        return Contraction(m, n, k, a.shape[-1], 1, 1, b.shape[-1], dtype, terms)
    return Contraction(m, n, a.shape[-2], 1, a.shape[-1], b.shape[-1], 1, dtype, terms)


def product_of(b: ir.IRBuilder, equation: Equation, place: list[Any]) -> Product:
    """The products at an outer place, given as an i64 for each leading axis of the output."""
    group = place.pop() if equation.params.get("groups", 1) > 1 else number(0)
    return PRODUCTS[equation.primitive](b, equation, place, group)


def _over_image(outer: str, inner: str) -> Rule:
    """An image with a filter or a gradient: at place · outer + tap · inner it meets that tap."""

    def rule(b: ir.IRBuilder, equation: Equation, place: list[Any], group: Any) -> Product:
        x, other = equation.inputs
        params, channels, out = equation.params, x.shape[-1], other.shape[-1]
        first, second = number(0), number(0)
        taps = []
        rows = zip(place, x.shape, other.shape, params[outer], params["padding"], params[inner],
                   _steps(x.shape), _steps(other.shape), strict=False)  # fmt: skip
        for at, size, count, far, (before, _), near, step, tap in rows:
            start = b.sub(b.mul(at, number(far)), number(before))
            low, high = _within(b, start, near, count, size)
            pixel = b.add(start, b.mul(low, number(near)))
            first = _moved(b, first, pixel, step)
            second = _moved(b, second, low, tap)
            taps.append((b.sub(high, low), near * step, tap))
        parts = params["groups"]
        first = _moved(b, first, group, channels // parts)
        second = _moved(b, second, group, out // parts)
        return Product(first, second, taps)

    return rule


def _pixels_input(b: ir.IRBuilder, equation: Equation, place: list[Any], group: Any) -> Product:
    g, w = equation.inputs
    params, out = equation.params, g.shape[-1]
    steps, taps_w = _steps(g.shape), _steps(w.shape)
    first, second = number(0), number(0)
    taps = []
    rows = zip(place, g.shape, w.shape, params["stride"], params["padding"], params["dilation"],
               steps, taps_w, strict=False)  # fmt: skip
    for at, size, kernel, stride, (before, _), dilation, step, tap in rows:
        # the taps t with (at + before - t·dilation) = stride · (a pixel of g), from the first on
        where = b.add(at, number(before))
        every = stride // math.gcd(stride, dilation)
        begin = _first_tap(b, where, stride, dilation, every)
        down = every * dilation // stride
        pixel = b.sub(where, b.mul(begin, number(dilation)))
        pixel = b.sdiv(pixel, number(stride))
        count = b.sub(number(kernel - 1 + every), begin)
        count = b.sdiv(count, number(every))
        none = b.icmp_signed("<", begin, number(0))
        # pixel - i·down has to be in [0, size)
        low = _ceil(b, b.sub(pixel, number(size - 1)), down)
        high = b.add(_floor(b, pixel, down), number(1))
        low = _largest(b, low, number(0))
        high = _least(b, high, count)
        high = b.select(none, low, _largest(b, high, low))
        pixel = b.sub(pixel, b.mul(low, number(down)))
        first = _moved(b, first, pixel, step)
        earliest = b.add(begin, b.mul(low, number(every)))
        second = _moved(b, second, earliest, tap)
        taps.append((b.sub(high, low), -down * step, every * tap))
    parts = params["groups"]
    first = _moved(b, first, group, out // parts)
    second = _moved(b, second, group, out // parts)
    return Product(first, second, taps)


def _thin_weight(b: ir.IRBuilder, equation: Equation, place: list[Any], _group: Any) -> Product:
    x, g = equation.inputs
    params, (*lines, channel) = equation.params, place
    steps, pixels = _steps(x.shape), _steps(g.shape)
    first = channel
    for at, dilation, step in zip(lines, params["dilation"], steps, strict=False):
        first = _moved(b, first, at, dilation * step)
    rows = zip(g.shape, params["stride"], steps, pixels, strict=False)
    taps = [(number(n), stride * step, pixel) for n, stride, step, pixel in rows]
    return Product(first, number(0), taps)


PRODUCTS: dict[str, Rule] = {
    "pixels": _over_image("stride", "dilation"),
    "pixels_input": _pixels_input,
    "pixels_weight": _over_image("dilation", "stride"),
    "pixels_thin_weight": _thin_weight,
}


def _steps(shape: Sizes) -> list[int]:
    """Elements from one pixel to the next in each direction."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape) - 2)]


def _within(b: ir.IRBuilder, start: Any, step: int, count: int, size: int) -> tuple[Any, Any]:
    """The numbers i in [0, count) with start + i·step in [0, size): from the first, up to."""
    low = _largest(b, _ceil(b, b.sub(number(0), start), step), number(0))
    high = b.add(_floor(b, b.sub(number(size - 1), start), step), number(1))
    return low, _largest(b, _least(b, high, number(count)), low)


def _first_tap(b: ir.IRBuilder, where: Any, stride: int, dilation: int, every: int) -> Any:
    """The least t >= 0 with where - t·dilation divisible by stride; -1 where there is none."""
    found = number(-1)
    rest = b.srem(where, number(stride)) if stride > 1 else number(0)
    for t in reversed(range(every)):
        good = b.icmp_signed("==", rest, number(t * dilation % stride))
        found = b.select(good, number(t), found)
    return found


def _moved(b: ir.IRBuilder, place: Any, by: Any, step: int) -> Any:
    return b.add(place, b.mul(by, number(step)))


def _ceil(b: ir.IRBuilder, value: Any, by: int) -> Any:
    """value / by, rounded up."""
    return _floor(b, b.add(value, number(by - 1)), by)


def _floor(b: ir.IRBuilder, value: Any, by: int) -> Any:
    """value / by, rounded down, also below 0."""
    if by == 1:
        return value
    quotient = b.sdiv(value, number(by))
    below = b.icmp_signed("<", b.srem(value, number(by)), number(0))
    return b.select(below, b.sub(quotient, number(1)), quotient)


def _least(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    return b.select(b.icmp_signed("<", x, y), x, y)


def _largest(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    return b.select(b.icmp_signed(">", x, y), x, y)
