"""The vector functions of angles: sin, cos, tan and their inverses, in double.

May import: llvm, lanes, coefficients. To add one: a function from Lanes to Lanes, and a row in
MATH of vectormath.py. Methods: Muller, "Elementary Functions" (3rd ed. 2016), chapter 11, for the
reduction of angles; Payne & Hanek 1983, doi:10.1145/1057600.1057602, for that of huge ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from pierian.compiler import coefficients as table
from pierian.compiler.lanes import (
    DOUBLE,
    Lanes,
    Pair,
    add,
    add_smaller,
    choose,
    constant,
    fma,
    function,
    nearest,
    pieces,
    polynomial,
    sqrt,
    times,
    two_to,
    with_sign,
)
from pierian.compiler.llvm import ir

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
HALF_PI = pieces(PI / 2, 53)
QUARTER_PI = pieces(PI / 4, 50)  # three times the first piece is exact
HALF_PI_STEPS = pieces(PI / 2, 33, 33, 33)  # times 20 bits is exact
NEAR = 2.0**20  # up to here |n| has 20 bits


# Angles: x = n·π/2 + r with |r| <= π/4; a function of the angle is one of r and of n mod 4

OfAngle = Callable[[Pair, Lanes], Lanes]  # r, to twice the digits, and the integer n


def of_angle(name: str, x: Lanes, emit: OfAngle) -> Lanes:
    """`emit` of r and n, which lanes with large x find out one by one in functions of their own."""
    y = emit(*reduced(x))
    size = abs(x)
    far = (size > NEAR) & (size < math.inf)  # infinities have their NaN already
    builder, before = x.builder, x.builder.block
    with builder.if_then(far.any(), likely=False):
        other = far_function(name, emit)(builder, choose(far, x, 2.0 * NEAR).value)
        chosen = choose(far, Lanes(builder, other), y)
        inside = builder.block
    merged = builder.phi(x.type)
    merged.add_incoming(chosen.value, inside)
    merged.add_incoming(y.value, before)
    return Lanes(builder, merged)


def far_function(name: str, emit: OfAngle) -> Callable[..., ir.Value]:
    """The function of the module for NEAR < |x| < infinity: for vectors it calls that for one."""

    def write(x: Lanes) -> Lanes:
        if not isinstance(x.type, ir.VectorType):
            return emit(*reduced_far(x))
        y = constant(x.type, 0.0)
        for lane in map(ir.IntType(32), range(x.type.count)):
            one = call(x.builder, x.builder.extract_element(x.value, lane))
            y = x.builder.insert_element(y, one, lane)
        return Lanes(x.builder, y)

    call = function(f"{name}_far", write, inline=False)
    return call


def reduced(x: Lanes) -> tuple[Pair, Lanes]:
    """r and n for |x| <= NEAR, n times π/2 being subtracted in four pieces.

    No double is closer than 2^-61 to a multiple of π/2 (Muller, 11.2), and what the pieces leave
    out is below 2^20 · 2^-152. For infinities r is NaN.
    """
    whole, n = nearest(x, float(2 / PI))
    r = x - whole * HALF_PI_STEPS[0]  # exact: the last bits of both weigh the same
    second = add(r, whole * -HALF_PI_STEPS[1])
    third = add(second.high, whole * -HALF_PI_STEPS[2])
    rest = whole * HALF_PI_STEPS[3] - (second.low + third.low)
    high = third.high - rest
    return Pair(high, (third.high - high) - rest), n


WINDOW = 256  # bits of 2/π: 2 for n mod 4, 7 by which it starts early, 53 as x has, the rest for r
LEADING = 40  # zero bits before 2/π, for x just above NEAR
TWO_OVER_PI = int(table.TWO_OVER_PI, 16).to_bytes(
    LEADING // 8 + len(table.TWO_OVER_PI) // 2, "little"
)


def reduced_far(x: Lanes) -> tuple[Pair, Lanes]:
    """r and n for one double with NEAR < |x| < infinity: x·2/π modulo 4 in whole numbers.

    x = m·2^e with a whole m, so bits of 2/π that weigh 4/2^e or more do not count, and 200 bits
    from there on give the fraction to 2^-190. Memory is read in little-endian order.
    """
    builder = x.builder
    word, wide = ir.IntType(64), ir.IntType(WINDOW)

    def widened(y: Lanes) -> Lanes:
        return Lanes(builder, builder.zext(y.value, wide))

    def narrowed(y: Lanes) -> Lanes:
        return Lanes(builder, builder.trunc(y.value, word))

    def real(y: Lanes) -> Lanes:
        return Lanes(builder, builder.sitofp(narrowed(y).value, DOUBLE.type))

    bits = x.bits()
    exponent = (bits >> 52) & 0x7FF
    m = (bits & (2**52 - 1)) | 2**52
    start = exponent - (DOUBLE.bias + 52) + (LEADING - 2)
    last = len(TWO_OVER_PI) - WINDOW // 8  # where the window of the first bytes begins
    place = builder.gep(two_over_pi(builder.module), [word(0), (last - (start >> 3)).value])
    window = Lanes(builder, builder.load(builder.bitcast(place, wide.as_pointer()), align=1))
    product = widened(m) * window << widened(start & 7)
    n = narrowed((product + 2 ** (WINDOW - 3)) >> (WINDOW - 2))
    fraction = product << 2
    negative = fraction < 0
    fraction = choose(negative, -fraction, fraction)
    zeros = fraction.intrinsic("ctlz", Lanes(builder, ir.IntType(1)(0)))
    fraction = fraction << zeros
    scale = two_to(-53 - narrowed(zeros))
    high = real(fraction.shifted_in_zeros(WINDOW - 53)) * scale
    low = real(fraction.shifted_in_zeros(WINDOW - 106) & (2**53 - 1)) * (scale * 2.0**-53)
    r = times(Pair(high, low), HALF_PI)
    r = add_smaller(r.high, r.low)
    below = x < 0.0
    turned = negative ^ below
    r = Pair(choose(turned, -r.high, r.high), choose(turned, -r.low, r.low))
    return r, choose(below, -n, n)


def two_over_pi(module: ir.Module) -> ir.Value:
    """The address of TWO_OVER_PI."""
    known = module.globals.get("two_over_pi")
    if known is not None:
        return known
    kind = ir.ArrayType(ir.IntType(8), len(TWO_OVER_PI))
    made = ir.GlobalVariable(module, kind, "two_over_pi")
    made.initializer = ir.Constant(kind, bytearray(TWO_OVER_PI))
    made.linkage = "internal"
    made.global_constant = True
    return made


# The functions


def sine_and_cosine(r: Pair) -> tuple[Pair, Pair]:
    z = r.high * r.high
    half = 0.5 * z
    rest = 1.0 - half
    sine = fma(r.high * z, polynomial(table.SIN, z), r.low * rest)
    cosine = ((1.0 - rest) - half) + (z * z * polynomial(table.COS, z) - r.high * r.low)
    return add_smaller(r.high, sine), add_smaller(rest, cosine)


def quarters_after_sine(quarters: int) -> OfAngle:
    """sin(x + quarters·π/2)."""

    def emit(r: Pair, n: Lanes) -> Lanes:
        sine, cosine = sine_and_cosine(r)
        place = n + quarters
        y = choose((place & 1) == 0, sine.high, cosine.high)
        return choose((place & 2) == 0, y, -y)

    return emit


def tangent(r: Pair, n: Lanes) -> Lanes:
    """sin/cos, or -cos/sin; their low parts and a second division save half an ulp."""
    sine, cosine = sine_and_cosine(r)
    even = (n & 1) == 0
    divisor = choose(even, cosine.high, sine.high)
    y = choose(even, sine.high, -cosine.high) / divisor
    left = choose(even, sine.low, -cosine.low) - y * choose(even, cosine.low, sine.low)
    return y + left / divisor


def sin(x: Lanes) -> Lanes:
    return choose(x == 0.0, x, of_angle("sin", x, quarters_after_sine(0)))  # keeps -0


def cos(x: Lanes) -> Lanes:
    return of_angle("cos", x, quarters_after_sine(1))


def tan(x: Lanes) -> Lanes:
    return choose(x == 0.0, x, of_angle("tan", x, tangent))


# Inverses

TAN_EIGHTH = math.sqrt(2) - 1  # tan(π/8)


def angle(y: Lanes, x: Lanes, behind: Lanes | None = None) -> Lanes:
    """The angle of the point (x, y), x and y >= 0, or where `behind` of (-x, y); in [0, π].

    It is a multiple of π/4 and an angle of at most π/8, of which t is the tangent.
    """
    steep = y > x * (1.0 / TAN_EIGHTH)
    middle = y > x * TAN_EIGHTH
    top = choose(steep, -x, choose(middle, y - x, y))
    bottom = choose(steep, y, choose(middle, y + x, x))
    t = top / bottom
    eighths = choose(steep, y.like(2.0), choose(middle, y.like(1.0), 0.0))
    if behind is not None:
        t = choose(behind, -t, t)
        eighths = choose(behind, 4.0 - eighths, eighths)
    z = t * t
    rest = fma(t * z, polynomial(table.ATAN, z), eighths * QUARTER_PI[1])
    return fma(eighths, QUARTER_PI[0], t + rest)


def atan(x: Lanes) -> Lanes:
    return with_sign(angle(abs(x), x.like(1.0)), x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y); C99, F.9.1.4, says which where both are 0 or infinite."""
    a, b = abs(y), abs(x)
    alike = ((a == 0.0) & (b == 0.0)) | ((a == math.inf) & (b == math.inf))
    a = choose(alike & (a == math.inf), 1.0, a)
    b = choose(alike, 1.0, b)
    huge = (a > HUGE_SIDE) | (b > HUGE_SIDE)
    scale = choose(huge, y.like(0.25), 1.0)  # a + b must not overflow
    return with_sign(angle(a * scale, b * scale, x.bits() < 0), y)


HUGE_SIDE = 2.0**1021


def arc(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Whether |x| > ½, and parts of the arcsine of x, or if so of sqrt((1 - |x|)/2)."""
    far = abs(x) > 0.5
    z = choose(far, 0.5 - 0.5 * abs(x), x * x)
    t = choose(far, sqrt(z), x)
    return far, t, t * z * polynomial(table.ASIN, z)


def asin(x: Lanes) -> Lanes:
    far, t, rest = arc(x)
    outer = HALF_PI[0] - (2.0 * t + (2.0 * rest - HALF_PI[1]))
    return choose(far, with_sign(outer, x), t + rest)


def acos(x: Lanes) -> Lanes:
    far, t, rest = arc(x)
    other = HALF_PI[0] - (t + (rest - HALF_PI[1]))
    return choose(far, 2.0 * choose(x > 0.0, t + rest, other), other)
