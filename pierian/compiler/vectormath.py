"""Vector functions: exp, sin, pow and the like as LLVM instructions, within 2 ulp everywhere.

May import: llvm, lanes, exponential, trigonometry. `MATH[name](builder, x)` gives the value of the
function at x, a scalar or a vector of float or double, through a function of the module that is
written at its first use. To add one: a function from Lanes to Lanes, and a row in MATH.

No calls of libm, no instructions of one CPU only. Subnormal numbers count like all others, in and
out. NaN, infinities and signed zeros as in C99 (Annex F), and where C99 has no such function as in
NumPy. The last bit may differ between CPUs with and without fused multiply-add.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pierian.compiler import exponential, trigonometry
from pierian.compiler.lanes import (
    DOUBLE,
    FLOAT,
    Lanes,
    choose,
    function,
    halves,
    sqrt,
    with_sign,
)
from pierian.compiler.llvm import ir


def wide(emit: Callable[..., Lanes]) -> Callable[..., Lanes]:
    """`emit`, for floats computed in double."""

    def emit_wide(*x: Lanes) -> Lanes:
        if x[0].format is DOUBLE:
            return emit(*x)
        return emit(*(one.cast(DOUBLE) for one in x)).cast(FLOAT)

    return emit_wide


# Whole numbers


def round(x: Lanes) -> Lanes:
    """The nearest whole number, halves to the even one."""
    unit = 2.0**x.format.mantissa  # from here on all numbers are whole
    size = abs(x)
    return with_sign(choose(size < unit, (size + unit) - unit, size), x)


def floor(x: Lanes) -> Lanes:
    whole = round(x)
    return with_sign(choose(whole > x, whole - 1.0, whole), x)


def ceil(x: Lanes) -> Lanes:
    return -floor(-x)


def trunc(x: Lanes) -> Lanes:
    return with_sign(floor(abs(x)), x)


# Division with the quotient rounded down


def fmod(a: Lanes, b: Lanes) -> Lanes:
    """a - b·trunc(a/b) exactly, for a and b >= 0 in double.

    Long division, 26 bits of the quotient a round; its product with half of b is exact. A digit
    may be one too large, the remainder is then negative for a while. Where a/b overflows, a and b
    come closer by 2^1080 first: then a quotient of 26 bits is whole whatever its size.
    """
    builder = a.builder
    before = builder.block
    loop = builder.append_basic_block()
    done = builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    phi = builder.phi(a.type)
    phi.add_incoming(a.value, before)
    rest = Lanes(builder, phi)
    size = abs(rest)
    steep = size / b == math.inf
    up = choose(steep, a.like(2.0**540), 1.0)
    top = choose(steep, size * 2.0**-540, size)
    bottom = b * up
    quotient = halves(top / bottom).high
    quotient = choose(steep, quotient, round(quotient))
    divisor = halves(bottom)
    left = ((top - quotient * divisor.high) - quotient * divisor.low) * up
    left = choose(rest < 0.0, -left, left)
    left = choose(size >= b, left, rest)
    phi.add_incoming(left.value, loop)
    builder.cbranch((abs(left) >= b).any(), loop, done)
    builder.position_at_end(done)
    return choose(b == b, choose(left < 0.0, left + b, left), b)


def divided(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """C's remainder of a/b, and whether its sign is not that of b."""
    rest = with_sign(wide(fmod)(abs(a), abs(b)), a)
    return rest, ((rest < 0.0) ^ (b < 0.0)) & (rest != 0.0)


def remainder(a: Lanes, b: Lanes) -> Lanes:
    """a - b·floor(a/b), rounded as in Python."""
    rest, other = divided(a, b)
    return choose(rest == 0.0, with_sign(rest, b), choose(other, rest + b, rest))


def floor_divide(a: Lanes, b: Lanes) -> Lanes:
    """floor(a/b), rounded as in Python."""
    rest, other = divided(a, b)
    quotient = (a - rest) / b  # whole, but for rounding
    quotient = choose(other, quotient - 1.0, quotient)
    whole = floor(quotient)
    whole = choose(quotient - whole > 0.5, whole + 1.0, whole)
    whole = choose(quotient == 0.0, with_sign(quotient, a / b), whole)
    return choose(b == 0.0, a / b, whole)


# Comparisons


def maximum(a: Lanes, b: Lanes) -> Lanes:
    return choose(b != b, b, choose(b > a, b, a))


def minimum(a: Lanes, b: Lanes) -> Lanes:
    return choose(b != b, b, choose(b < a, b, a))


def sign(x: Lanes) -> Lanes:
    return choose(x > 0.0, x.like(1.0), choose(x < 0.0, -1.0, x + 0.0))  # 0 for -0, NaN for NaN


EMITTERS: dict[str, Callable[..., Lanes]] = {
    "abs": abs,
    "acos": wide(trigonometry.acos),
    "acosh": wide(exponential.acosh),
    "asin": wide(trigonometry.asin),
    "asinh": wide(exponential.asinh),
    "atan": wide(trigonometry.atan),
    "atan2": wide(trigonometry.atan2),
    "atanh": wide(exponential.atanh),
    "ceil": ceil,
    "cos": wide(trigonometry.cos),
    "cosh": wide(exponential.cosh),
    "erf": exponential.erf,
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "floor": floor,
    "floor_divide": floor_divide,
    "log": exponential.log,
    "log10": exponential.log10,
    "log1p": exponential.log1p,
    "log2": exponential.log2,
    "maximum": maximum,
    "minimum": minimum,
    "pow": exponential.pow,
    "remainder": remainder,
    "round": round,
    "sigmoid": exponential.sigmoid,
    "sign": sign,
    "sin": wide(trigonometry.sin),
    "sinh": wide(exponential.sinh),
    "softplus": exponential.softplus,
    "sqrt": sqrt,
    "tan": wide(trigonometry.tan),
    "tanh": exponential.tanh,
    "trunc": trunc,
}
MATH: dict[str, Callable[..., ir.Value]] = {
    name: function(name, emit) for name, emit in EMITTERS.items()
}
