"""The vector functions made of e^x and log x: powers, logarithms, hyperbolic functions, erf.

May import: lanes, coefficients. To add one: a function from Lanes to Lanes, and a row in MATH of
vectormath.py. Methods: Muller, "Elementary Functions" (3rd ed. 2016); the order of the sums in
the logarithms is fdlibm's (Sun Microsystems 1993). Each works in the format it is given.
"""

from __future__ import annotations

import math
from fractions import Fraction

from pierian.compiler import coefficients as table
from pierian.compiler.lanes import (
    DOUBLE,
    FLOAT,
    Lanes,
    Pair,
    add,
    add_smaller,
    at_least,
    at_most,
    between,
    choose,
    fma,
    halves,
    multiply,
    nearest,
    pieces,
    polynomial,
    sqrt,
    times,
    two_to,
    with_sign,
)

# First pieces are so short that products are exact: with an exponent, 8 + 16 bits in float and
# 11 + 42 in double; with half of a number, 12 + 12 and 26 + 27.
LN2 = Fraction("0.6931471805599453094172321214581765680755")
LOG10_2 = Fraction("0.3010299956639811952137388947244930267682")
SHORT = {32: 16, 64: 42}
HALF = {32: 12, 64: 26}
LN2_PIECES = {bits: pieces(LN2, short) for bits, short in SHORT.items()}
LOG10_2_PIECES = {bits: pieces(LOG10_2, short) for bits, short in SHORT.items()}
LOG2_E_PIECES = {bits: pieces(1 / LN2, half) for bits, half in HALF.items()}
LOG10_E_PIECES = {bits: pieces(LOG10_2 / LN2, half) for bits, half in HALF.items()}
LOG2_E = float(1 / LN2)

# Where e^x is surely 0, surely infinite, and e^x - 1 surely -1.
LOWEST = {32: -105.0, 64: -760.0}
HIGHEST = {32: 90.0, 64: 720.0}
MINUS_ONE = -50.0


# Powers of e and 2: x = n·log 2 + r with |r| <= log(2)/2, e^x = 2^n·e^r


def reduced(x: Lanes) -> tuple[Pair, Lanes]:
    """r, to twice the digits, and n as an integer."""
    high, low = LN2_PIECES[x.format.bits]
    n, exponent = nearest(x, LOG2_E)
    return add_smaller(fma(n, -high, x), n * -low), exponent


def tail(r: Lanes) -> Lanes:
    """e^r - 1 - r."""
    return r * r * fma(r, polynomial(table.EXP, r), 0.5)


def scaled(x: Lanes, n: Lanes) -> Lanes:
    """x·2^n also where 2^n is out of range: in two steps, of which only the second may round."""
    half = n >> 1
    return x * two_to(half) * two_to(n - half)


def power(r: Pair) -> Pair:
    """e^r to a few more digits than the format has."""
    total = add_smaller(r.high.like(1.0), r.high)
    return add_smaller(total.high, total.low + (r.low + tail(r.high)))


def exp(x: Lanes) -> Lanes:
    bits = x.format.bits
    r, n = reduced(between(LOWEST[bits], x, HIGHEST[bits]))
    return scaled(power(r).high, n)


def exp2(x: Lanes) -> Lanes:
    bits = x.format.bits
    x = between(LOWEST[bits] * LOG2_E, x, HIGHEST[bits] * LOG2_E)
    whole, n = nearest(x)
    r = (x - whole) * float(LN2)
    return scaled(1.0 + (r + tail(r)), n)


def expm1(x: Lanes) -> Lanes:
    r, n = reduced(between(MINUS_ONE, x, HIGHEST[x.format.bits]))
    far = n.format.bias - 1  # where 2^-n is nothing beside 1
    one = 1.0 - two_to(-choose(n > far, far, n))
    total = add_smaller(one, r.high)  # exact: |one| is 0 or at least ½
    y = total.high + (total.low + (tail(r.high) + r.low))
    return with_sign(scaled(y, n), x)


def sinh(x: Lanes) -> Lanes:
    a = abs(x)
    z = a * a
    near = fma(a * z, polynomial(table.SINH, z), a)
    half = half_exp(a)
    return with_sign(choose(a < 1.0, near, half - 0.25 / half), x)


def half_exp(x: Lanes) -> Lanes:
    """e^x/2, finite a little longer than e^x."""
    r, n = reduced(at_most(x, HIGHEST[x.format.bits]))
    return scaled(power(r).high, n - 1)


def cosh(x: Lanes) -> Lanes:
    half = half_exp(abs(x))
    return half + 0.25 / half


def tanh(x: Lanes) -> Lanes:
    a = at_most(abs(x), 20.0)  # 1 - tanh(20) < 2^-56
    z = a * a
    near = fma(a * z, polynomial(table.TANH, z), a)
    r, n = reduced(2.0 * a)
    far = 1.0 - 2.0 / (1.0 + power(r).high * two_to(n))
    return with_sign(choose(a < 0.7, near, far), x)


def sigmoid(x: Lanes) -> Lanes:
    """1/(1 + e^-|x|) for x >= 0, else e^-|x|/(1 + e^-|x|).

    The plain quotient is off by 2.4 ulp; one step of division by hand adds what it left out.
    """
    r, n = reduced(at_least(-abs(x), LOWEST[x.format.bits]))
    e = power(r)  # e^-|x| = 2^n·e
    least = 1 - n.format.bias  # where 2^n is nothing beside 1
    scale = two_to(choose(n < least, least, n))
    y = e.high * scale
    divisor = add_smaller(x.like(1.0), y)
    negative = x < 0.0
    quotient = choose(negative, e.high, 1.0) / divisor.high
    left = choose(negative, e.low, 0.0) - quotient * (divisor.low + e.low * scale)
    reciprocal = 1.0 - 0.5 * y  # of the divisor, near enough
    return scaled(fma(left, reciprocal, quotient), choose(negative, n, 0))


# Logarithms: x = 2^k·(1 + f) with sqrt(½) <= 1 + f < sqrt(2)


def parted(x: Lanes) -> tuple[Lanes, Lanes]:
    """k, as a float, and f, for x > 0."""
    form = x.format
    tiny = x < 2.0 ** (1 - form.bias)  # subnormal
    up = form.mantissa + 1
    root = x.like(math.sqrt(0.5)).bits()
    bits = choose(tiny, x * 2.0**up, x).bits() + (x.like(1.0).bits() - root)
    exponent = bits.shifted_in_zeros(form.mantissa)
    fraction = bits & ((1 << form.mantissa) - 1)
    # As the low bits of 2^mantissa an integer adds itself: cheaper than a conversion.
    unit = x.like(2.0**form.mantissa)
    shifted = (exponent | unit.bits()).number()
    k = shifted - choose(tiny, unit + (form.bias + up), unit + form.bias)
    return k, (fraction + root).number() - 1.0


def log1p_series(f: Lanes) -> tuple[Lanes, Lanes]:
    """Parts of log(1 + f) = f - (half - rest), half = f²/2, for -0.3 < f <= 1."""
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return half, s * (half + z * polynomial(table.LOG, z))


def log_limits(x: Lanes, y: Lanes) -> Lanes:
    """y, the logarithm of x, but where x is 0, negative, infinite or NaN what belongs there."""
    y = choose(x > 0.0, y, choose(x == 0.0, x.like(-math.inf), math.nan))
    return choose(x == math.inf, x, y)


def log(x: Lanes) -> Lanes:
    high, low = LN2_PIECES[x.format.bits]
    k, f = parted(x)
    half, rest = log1p_series(f)
    return log_limits(x, fma(k, high, f - (half - fma(k, low, rest))))


def log1p_sum(x: Lanes, more: Lanes | float) -> Lanes:
    """log(1 + x + more), |more| <= ulp(x)."""
    high, low = LN2_PIECES[x.format.bits]
    total = add(x.like(1.0), x)
    k, f = parted(total.high)
    near = k == 0.0
    f = choose(near, x, f)
    error = choose(near, x.like(0.0), total.low) + more
    half, rest = log1p_series(f)
    y = fma(k, high, f - (half - (rest + fma(k, low, error / total.high))))
    return log_limits(total.high, y)


def log1p(x: Lanes) -> Lanes:
    return with_sign(log1p_sum(x, 0.0), x)


def softplus(x: Lanes) -> Lanes:
    f = exp(-abs(x))
    half, rest = log1p_series(f)
    y = add_smaller(f, rest - half)
    return y.high + (choose(x > 0.0, x, 0.0) + y.low)


def _log_of_base(x: Lanes, unit: tuple[float, ...], factor: tuple[float, ...]) -> Lanes:
    """log(x)·factor, where log 2 · factor is `unit`."""
    k, f = parted(x)
    half, rest = log1p_series(f)
    high = halves(f - half).high
    low = ((f - high) - half) + rest
    product = high * factor[0]  # exact
    small = k * unit[1] + ((low + high) * factor[1] + low * factor[0])
    total = add(k * unit[0], product)
    return log_limits(x, total.high + (total.low + small))


def log2(x: Lanes) -> Lanes:
    return _log_of_base(x, (1.0, 0.0), LOG2_E_PIECES[x.format.bits])


def log10(x: Lanes) -> Lanes:
    bits = x.format.bits
    return _log_of_base(x, LOG10_2_PIECES[bits], LOG10_E_PIECES[bits])


# Inverse hyperbolic functions

LARGE = 2.0**60  # above it asinh(x) = acosh(x) = log(2x)


def asinh(x: Lanes) -> Lanes:
    a = abs(x)
    b = at_most(a, LARGE)
    square = b * b
    more = square / (1.0 + sqrt(square + 1.0))  # sqrt(b² + 1) - 1
    return with_sign(_log1p_or_log_2x(a, add_smaller(b, more)), x)


def acosh(x: Lanes) -> Lanes:
    b = at_most(x, LARGE) - 1.0
    u = add_smaller(sqrt(b * (b + 2.0)), b)
    return choose(x >= 1.0, _log1p_or_log_2x(x, u), math.nan)


def _log1p_or_log_2x(x: Lanes, u: Pair) -> Lanes:
    large = x > LARGE
    y = log1p_sum(choose(large, x, u.high), choose(large, 0.0, u.low))
    return y + choose(large, x.like(float(LN2)), 0.0)


def atanh(x: Lanes) -> Lanes:
    a = abs(x)
    u = add(2.0 * a, 2.0 * a * a / (1.0 - a))  # 2a/(1 - a)
    low = choose(u.high == math.inf, 0.0, u.low)
    y = 0.5 * log1p_sum(u.high, low)
    return with_sign(choose(a <= 1.0, y, math.nan), x)


# The error function


def erf(x: Lanes) -> Lanes:
    a = at_most(abs(x), 6.0)  # 1 - erf(6) < 2^-55
    near = fma(a, polynomial(table.ERF, a * a), a)
    r, n = reduced(polynomial(table.ERF_TAIL, a - 1.0))
    far = 1.0 - power(r).high * two_to(n)
    return with_sign(choose(a < 1.0, near, far), x)


# a^b: log2(a) to twice the digits, for b makes its error up to 2^10 times larger

THIRD = pieces(Fraction(1, 3), 53)
TWO_LOG2_E = pieces(2 / LN2, 53)
LN2_WHOLE = pieces(LN2, 53)


def log2_pair(x: Lanes) -> Pair:
    """log2(x) for x > 0 within 2^-64 of it, in double: k + 2/log(2)·(s + s³/3 + s⁵/5 + …)."""
    k, f = parted(x)
    g = add_smaller(x.like(2.0), f)
    first = f / g.high
    back = multiply(first, g.high)
    left = ((f - back.high) - back.low) - first * g.low
    s = Pair(first, left / g.high)
    square = multiply(first, first)
    z = Pair(square.high, square.low + 2.0 * s.high * s.low)
    third = times(z, THIRD)
    further = z.high * z.high * polynomial(table.LOG_TAIL, z.high)
    rest = add_smaller(third.high, further)
    one = add_smaller(x.like(1.0), rest.high)
    one_low = one.low + (rest.low + third.low)
    series = multiply(s.high, one.high)
    low = series.low + (s.high * one_low + s.low * one.high)
    y = times(Pair(series.high, low), TWO_LOG2_E)
    total = add_smaller(k, y.high)
    return Pair(total.high, total.low + y.low)


def power_of_positive(a: Lanes, b: Lanes) -> Lanes:
    """a^b for finite a > 0 in double."""
    base = log2_pair(a)
    product = multiply(b, base.high)
    limit = 1100.0  # 2^±1100 is out of range, and so may the parts of the product be
    high = between(-limit, product.high, limit)
    low = choose(high == product.high, product.low + b * base.low, 0.0)
    whole, n = nearest(high)
    r = times(add(high - whole, low), LN2_WHOLE)
    return scaled(power(r).high, n)


def is_whole(x: Lanes) -> Lanes:
    """Whether x >= 0 has no fraction; infinity has none."""
    unit = 2.0**x.format.mantissa
    return (x >= unit) | ((x + unit) - unit == x)


def pow(a: Lanes, b: Lanes) -> Lanes:
    """a^b with the special cases of C99, F.9.4.4; floats as e^(b·log a) in double."""
    size, exponent = abs(a), abs(b)
    if a.format is FLOAT:
        y = exp(b.cast(DOUBLE) * log(size.cast(DOUBLE))).cast(FLOAT)
    else:
        y = power_of_positive(size, b)
    zero = size == 0.0
    end = choose(zero ^ (b < 0.0), 0.0, y.like(math.inf))
    y = choose(zero | (size == math.inf), end, y)
    whole = is_whole(exponent)
    odd = whole & ~is_whole(0.5 * exponent)
    y = choose((a.bits() < 0) & odd, -y, y)
    negative = (a < 0.0) & (size != math.inf)
    y = choose(negative & ~whole, math.nan, y)
    y = choose((a != a) | (b != b), a + b, y)
    unit = (size == 1.0) & (exponent == math.inf)
    return choose((b == 0.0) | (a == 1.0) | unit, 1.0, y)
