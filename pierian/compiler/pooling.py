"""Windows on images: as chains of slices, which join whatever loop reads them; and the gradient of
a maximum, which has a loop of its own.

May import: convolution, element, control, nest, fuse, base, core. Images lie with their pixels
outermost, as in `convolution.py`. To add a kind of window: a function here, a row in `CHAINS`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pierian.compiler import element as el
from pierian.compiler.control import loop, number
from pierian.compiler.convolution import Pairs, Sizes, inside, outside
from pierian.compiler.fuse import Kernel
from pierian.compiler.llvm import ir
from pierian.compiler.nest import Scope
from pierian.compiler.passes import rewrite
from pierian.core.graph import Equation, Graph, Symbol
from pierian.core.primitive import REGISTRY, Spec, define

MOST_TAPS = 32  # places of a window that are written one after the other
CHUNK = 64  # elements of a pixel that are one unit of work


# Chains of slices


def padded(new: Graph, x: Symbol, padding: Pairs, value: float) -> Symbol:
    """`x` with that many pixels of `value` around it."""
    pairs = (*padding, (0, 0), (0, 0))
    low, high = (tuple(pair[side] for pair in pairs) for side in (0, 1))
    params = {"low": low, "high": high, "interior": (0,) * len(pairs), "value": value}
    return new.add("pad", [x], params) if any(low + high) else x


def met(new: Graph, x: Symbol, tap: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> Symbol:
    """What one place of all windows meets of `x`."""
    rows = zip(tap, size, stride, dilation, strict=True)
    spans = [(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in rows]
    spans += [(0, n, 1) for n in x.shape[-2:]]
    starts, stops, steps = zip(*spans, strict=True)
    return new.add("slice", [x], {"starts": starts, "stops": stops, "steps": steps})


def spread(
    new: Graph, g: Symbol, tap: Sizes, wide: Sizes, stride: Sizes, dilation: Sizes
) -> Symbol:
    """The reverse of `met`: `g` at that place of its windows, in an image of `wide` pixels."""
    low = [t * d for t, d in zip(tap, dilation, strict=True)]
    rows = zip(wide, low, g.shape, stride, strict=False)
    high = [n - before - (count - 1) * s - 1 for n, before, count, s in rows]
    params = {"low": (*low, 0, 0), "high": (*high, 0, 0),
              "interior": (*(s - 1 for s in stride), 0, 0), "value": 0.0}  # fmt: skip
    return new.add("pad", [g], params)


def cropped(new: Graph, x: Symbol, padding: Pairs) -> Symbol:
    """`x` without the pixels around it."""
    spans = [(low, n - high) for (low, high), n in zip(padding, x.shape, strict=False)]
    spans += [(0, n) for n in x.shape[-2:]]
    starts, stops = zip(*spans, strict=True)
    return new.add("slice", [x], {"starts": starts, "stops": stops, "steps": (1,) * len(spans)})


def taps(kernel: Sizes) -> Iterator[Sizes]:
    """All places of a window, row by row."""
    return itertools.product(*map(range, kernel))


def chained(new: Graph, name: str, parts: Sequence[Symbol]) -> Symbol:
    """All of them, two at a time, so that rounding grows slowly."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [*(new.add(name, pair, {}) for pair in pairs), *parts[len(parts) // 2 * 2 :]]
    return parts[0]


def _max_pool(new: Graph, equation: Equation, operands: Sequence[Symbol]) -> Symbol:
    params, size = equation.params, equation.output.shape[2:]
    x = padded(new, operands[0], params["padding"], -math.inf)
    parts = [met(new, x, tap, size, params["stride"], params["dilation"])
             for tap in taps(params["kernel"])]  # fmt: skip
    return chained(new, "maximum", parts)


def _window_sum(new: Graph, equation: Equation, operands: Sequence[Symbol]) -> Symbol:
    params, size = equation.params, equation.output.shape[2:]
    kernel = params["kernel"]
    x = padded(new, operands[0], params["padding"], 0.0)
    near = (1,) * len(kernel)
    return chained(new, "add", [met(new, x, t, size, params["stride"], near) for t in taps(kernel)])


def _window_spread(new: Graph, equation: Equation, operands: Sequence[Symbol]) -> Symbol:
    params, kernel = equation.params, equation.params["kernel"]
    rows = zip(params["size"], params["padding"], strict=True)
    wide, near = tuple(n + sum(pair) for n, pair in rows), (1,) * len(kernel)
    parts = [spread(new, operands[0], t, wide, params["stride"], near) for t in taps(kernel)]
    return cropped(new, chained(new, "add", parts), params["padding"])


def _max_pool_grad(new: Graph, equation: Equation, operands: Sequence[Symbol]) -> Symbol:
    return new.add("pixels_pool_grad", operands, equation.params)


# From the equation where images are (n, c, *size), and operands whose pixels are outermost
CHAINS: dict[str, Callable[[Graph, Equation, Sequence[Symbol]], Symbol]] = {
    "max_pool": _max_pool,
    "max_pool_grad": _max_pool_grad,
    "window_sum": _window_sum,
    "window_spread": _window_spread,
}


def is_chain(equation: Equation) -> bool:
    """Whether windows are small enough to be written out."""
    name = equation.primitive
    return name in CHAINS and math.prod(equation.params["kernel"]) <= MOST_TAPS


# The gradient of a maximum


def _grad(x: np.ndarray, g: np.ndarray, positive: bool = False, **params: Any) -> np.ndarray:
    x, g = (a.transpose(outside(a.ndim)) for a in (x, g))
    if positive:
        g = np.where(REGISTRY["max_pool"].run(x, **params) > 0, g, g.dtype.type(0))
    return REGISTRY["max_pool_grad"].run(x, g, **params).transpose(inside(x.ndim))


def through_relu(graph: Graph) -> Graph:
    """Where the gradient of a maximum goes on to a ReLU, it passes for positive maxima only."""
    made = {equation.output: equation for equation in graph.equations}
    place: dict[Symbol, Symbol] = {}

    def rule(new: Graph, equation: Equation, inputs: tuple[Symbol, ...]) -> Symbol | None:
        place.update(zip(equation.inputs, inputs, strict=True))
        if equation.primitive != "where":
            return None
        above, pooled, zero = (made.get(symbol) for symbol in equation.inputs)
        nothing = graph.constants.get(equation.inputs[2])
        if above is None or pooled is None or zero is not None or nothing is None:
            return None
        limit = graph.constants.get(above.inputs[-1])
        if (
            (above.primitive, pooled.primitive) != ("gt", "pixels_pool_grad")
            or above.inputs[0] is not pooled.inputs[0]
            or limit is None or limit.any() or nothing.any()
        ):  # fmt: skip
            return None
        operands = [place[symbol] for symbol in pooled.inputs]
        return new.add("pixels_pool_grad", operands, {**pooled.params, "positive": True})

    return rewrite(graph, rule)


define("pixels_pool_grad", shape=lambda x, g, **_: Spec(x.shape, x.dtype), run=_grad, warns=False)


def pool_units(scope: Scope, kernel: Kernel) -> int:
    """How many work units there are: chunks of what each pixel holds."""
    return -(-math.prod(kernel.space[-2:]) // CHUNK) if math.prod(kernel.space) else 0


def emit_pool(b: ir.IRBuilder, scope: Scope, kernel: Kernel, begin: Any, end: Any) -> None:
    """`g` of each window to the place of its maximum: the first of equal ones, or the last NaN."""
    equation = kernel.equation
    if equation is None or not math.prod(kernel.space):
        return
    width = math.prod(equation.output.shape[-2:])
    start = b.mul(begin, number(CHUNK))
    stop = b.mul(end, number(CHUNK))
    stop = b.select(b.icmp_signed("<", stop, number(width)), stop, number(width))
    lanes = scope.width([equation.output.dtype])
    whole = b.add(start, b.and_(b.sub(stop, start), number(-lanes)))
    output, dtype = scope.pointers[equation.output], equation.output.dtype
    spans = ((start, whole, lanes), (whole, stop, 1))
    if not _each_once(equation):
        with loop(b, number(0), number(math.prod(equation.output.shape[:-2]))) as pixel:
            for first, last, count in spans:
                with loop(b, first, last, count) as at:
                    place = b.gep(output, [b.add(b.mul(pixel, number(width)), at)])
                    el.store(b, el.constant(dtype, 0, count), place, dtype)
    _over_windows(b, equation.inputs[1].shape[:-2], [], lambda window: _rows(
        b, scope, equation, window, spans))  # fmt: skip


def _each_once(equation: Equation) -> bool:
    """Whether every pixel is in exactly one window."""
    (x, g), params = equation.inputs, equation.params
    rows = zip(x.shape, g.shape, params["kernel"], params["stride"], params["padding"],
               params["dilation"], strict=False)  # fmt: skip
    return all(k == s and n == m * s and pads == (0, 0) and d == 1 for n, m, k, s, pads, d in rows)


def _over_windows(
    b: ir.IRBuilder, sizes: Sizes, window: list[Any], body: Callable[[list[Any]], None]
) -> None:
    if not sizes:
        body(window)
        return
    with loop(b, number(0), number(sizes[0])) as at:
        _over_windows(b, sizes[1:], [*window, at], body)


def _rows(b: ir.IRBuilder, scope: Scope, equation: Equation, window: list[Any], spans: Any) -> None:
    """One window, for a range of what its pixels hold."""
    (x, g), params = equation.inputs, equation.params
    width, places = math.prod(x.shape[-2:]), []
    for tap in taps(params["kernel"]):
        pixel: Any = number(0)
        good: Any = None
        rows = zip(window, tap, x.shape, params["stride"], params["padding"], params["dilation"],
                   strict=False)  # fmt: skip
        for at, t, size, stride, (before, after), dilation in rows:
            i = b.add(b.mul(at, number(stride)), number(t * dilation - before))
            pixel = b.add(b.mul(pixel, number(size)), i)
            if before or after:
                low, high = (b.icmp_signed(op, i, number(n)) for op, n in ((">=", 0), ("<", size)))
                good = b.and_(low, high) if good is None else b.and_(good, b.and_(low, high))
        places.append((b.mul(pixel, number(width)), good))
    source: Any = number(0)
    for at, size in zip(window, g.shape, strict=False):
        source = b.add(b.mul(source, number(size)), at)
    source = b.mul(source, number(width))
    for first, last, count in spans:
        with loop(b, first, last, count) as at:
            _place(b, scope, equation, places, source, at, count)


def _place(
    b: ir.IRBuilder, scope: Scope, equation: Equation, places: Any, source: Any, at: Any, lanes: int
) -> None:
    """One window, for neighbours of what its pixels hold."""
    (x, g), output, dtype = equation.inputs, equation.output, equation.output.dtype
    index = partial(el.constant, np.dtype(np.int32), lanes=lanes)
    best, chosen = el.constant(dtype, -math.inf, lanes), index(-1)
    for tap, (pixel, good) in enumerate(places):
        before, entry = (best, chosen), b.block
        with _met(b, good):
            value = el.load(b, b.gep(scope.pointers[x], [b.add(pixel, at)]), dtype, lanes)
            none = b.icmp_signed("<", chosen, index(0))
            nan = b.fcmp_unordered("uno", value, value)
            better = b.or_(b.or_(b.fcmp_ordered(">", value, best), nan), none)
            best, chosen = b.select(better, value, best), b.select(better, index(tap), chosen)
            ended = b.block
        if good is not None:
            best, chosen = (
                _either(b, (old, entry), (new, ended))
                for old, new in zip(before, (best, chosen), strict=True)
            )
    slope = el.load(b, b.gep(scope.pointers[g], [b.add(source, at)]), dtype, lanes)
    zero = el.constant(dtype, 0, lanes)
    once = _each_once(equation)
    if equation.params.get("positive"):
        slope = b.select(b.fcmp_ordered(">", best, zero), slope, zero)
    for tap, (pixel, good) in enumerate(places):
        with _met(b, good):
            place = b.gep(scope.pointers[output], [b.add(pixel, at)])
            part = b.select(b.icmp_signed("==", chosen, index(tap)), slope, zero)
            if not once:
                part = b.fadd(el.load(b, place, dtype, lanes), part)
            el.store(b, part, place, dtype)


def _met(b: ir.IRBuilder, good: Any) -> Any:
    """Where a place of a window lies in the image; None: always."""
    return contextlib.nullcontext() if good is None else b.if_then(good)


def _either(b: ir.IRBuilder, *values: tuple[Any, Any]) -> Any:
    """The value that came from the block which ran."""
    phi = b.phi(values[0][0].type)
    for value, block in values:
        phi.add_incoming(value, block)
    return phi
