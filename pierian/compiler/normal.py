"""Normal numbers in compiled code, with the bits of `rng.normal`.

May import: llvm, lanes, philox, base. The same operations in the same order as base/rng.py (AS 241,
Wichura 1988): each is rounded on its own, none is fused, so no machine gives other bits.
"""

from __future__ import annotations

import math

from pierian.base import rng
from pierian.compiler.lanes import DOUBLE, Lanes, choose, function, shaped, sqrt, with_sign
from pierian.compiler.llvm import ir


def probability(b: ir.IRBuilder, drawn: list[ir.Value]) -> ir.Value:
    """A double in (0, 1) from 32 bits, or from 32 + 20: the middle of an equal share."""
    kind = shaped(DOUBLE.type, drawn[0].type)
    first = Lanes(b, b.uitofp(drawn[0], kind))
    if len(drawn) == 1:
        return ((first + 0.5) * 2.0**-32).value
    second = Lanes(b, drawn[1]).shifted_in_zeros(12)
    kept = Lanes(b, b.uitofp(second.value, kind))
    return ((first * 2.0**20 + kept + 0.5) * 2.0**-52).value


def _inverse_cdf(p: Lanes) -> Lanes:
    """The x with P(N(0, 1) < x) = p, for doubles 0 < p < 1."""
    q = p - 0.5
    near = q * _ratio(rng.CENTRE, 0.180625 - q * q)  # 0.425**2 - q**2
    r = sqrt(-_log(choose(q < 0.0, p, 1.0 - p)))
    far = choose(r <= 5.0, _ratio(rng.MIDDLE, r - 1.6), _ratio(rng.TAIL, r - 5.0))
    return choose(abs(q) > 0.425, with_sign(far, q), near)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Lanes) -> Lanes:
    top, bottom = (_horner(row, x) for row in coefficients)
    return top / bottom


def _horner(coefficients: tuple[float, ...], x: Lanes) -> Lanes:
    total = x.like(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _log(x: Lanes) -> Lanes:
    """log x for normal x > 0, as `rng._log`."""
    bits, mantissa = x.bits(), DOUBLE.mantissa
    fraction = (1 << mantissa) - 1
    half = DOUBLE.bias - 1 << mantissa
    m = ((bits & fraction) | half).number()  # in [1/2, 1)
    e = bits.shifted_in_zeros(mantissa) - (DOUBLE.bias - 1)
    low = m < math.sqrt(0.5)
    m, e = choose(low, 2.0 * m, m), choose(low, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    series = _horner(tuple(2 / (2 * k + 1) for k in range(11)), s * s)
    size = Lanes(x.builder, x.builder.sitofp(e.value, x.type))
    return size * math.log(2) + s * series


inverse_normal_cdf = function("inverse_normal_cdf", _inverse_cdf)
