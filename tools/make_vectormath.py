"""Derives the polynomials of `pierian/compiler/coefficients.py` and writes that file.

May import: mpmath (not a dependency; `pip install mpmath` to run this), NumPy. To add a polynomial:
a row in FITS, then run it and use the new name in `pierian/compiler/vectormath.py`.

    python tools/make_vectormath.py [repository]

Each row is fitted by the exchange algorithm of Remez 1934 on a fine grid, with the error weighted
to count as relative error of the function it serves. Coefficients are rounded to the format one at
a time, lowest power first, and those above it fitted again, so that rounding costs no accuracy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 60  # the differences below lose up to 30 digits near 0
POINTS = 40  # of the grid, per coefficient
ROUNDS = 30  # exchanges before giving up; 4 to 8 are usual
CLOSE = mp.mpf(1.01)  # the error may exceed that of the best polynomial by 1 %: 0.014 bits

Real = Callable[[mp.mpf], mp.mpf]


@dataclass(frozen=True)
class Fit:
    """A polynomial to find: `weight(x) · (p(x) - f(x))` smallest over `low <= x <= high`.

    Args:  says    what p is and where, for the comment above the table.
           degree  of p, by bits of the format.
    """

    name: str
    says: str
    low: mp.mpf
    high: mp.mpf
    f: Real
    weight: Real
    degree: dict[int, int]


def atanh_tail(z: mp.mpf) -> mp.mpf:
    """(atanh(s)/s - 1)/z with s = sqrt(z)."""
    s = mp.sqrt(z)
    return (mp.atanh(s) / s - 1) / z


def sine(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return (mp.sin(r) / r - 1) / z


def arctangent(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return (mp.atan(r) / r - 1) / z


def arcsine(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return (mp.asin(r) / r - 1) / z


def hyperbolic_sine(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return (mp.sinh(r) / r - 1) / z


def hyperbolic_tangent(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return (mp.tanh(r) / r - 1) / z


def erf_slope(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return mp.erf(r) / r - 1


HALF_LN2 = mp.log(2) / 2
OCTANT = mp.pi / 4

ERF_SPLIT = mp.mpf(1)  # ERF_TAIL is in powers of x - 1: exact where it weighs most

# fmt: off
FITS = (
    Fit("EXP", "(e^r - 1 - r - r^2/2)/r^3, |r| <= log(2)/2", -HALF_LN2, HALF_LN2,
        lambda r: (mp.expm1(r) - r - r**2 / 2) / r**3, lambda r: abs(r**3 / mp.expm1(r)),
        {32: 4, 64: 9}),
    Fit("LOG", "(2 atanh(s)/s - 2)/z, z = s^2 <= 1/9: log(1 + f), s = f/(2 + f), f <= 1",
        mp.mpf(0), mp.mpf(1) / 9, lambda z: 2 * atanh_tail(z), lambda z: z, {32: 3, 64: 9}),
    Fit("LOG_TAIL", "((atanh(s)/s - 1)/z - 1/3)/z, z = s^2 <= (3 - sqrt(8))^2: log(1 + f), "
        "f < sqrt(2) - 1", mp.mpf(0), (3 - mp.sqrt(8))**2,
        lambda z: (atanh_tail(z) - mp.mpf(1) / 3) / z, lambda z: z**2, {64: 6}),
    Fit("SIN", "(sin(r)/r - 1)/z, z = r^2 <= (pi/4)^2", mp.mpf(0), OCTANT**2,
        sine, lambda z: z, {64: 5}),
    Fit("COS", "(cos(r) - 1 + z/2)/z^2, z = r^2 <= (pi/4)^2", mp.mpf(0), OCTANT**2,
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2, {64: 5}),
    Fit("ATAN", "(atan(t)/t - 1)/z, z = t^2 <= tan(pi/8)^2", mp.mpf(0), mp.tan(mp.pi / 8)**2,
        arctangent, lambda z: z, {64: 10}),
    Fit("ASIN", "(asin(t)/t - 1)/z, z = t^2 <= 1/4", mp.mpf(0), mp.mpf(1) / 4,
        arcsine, lambda z: z, {64: 12}),
    Fit("SINH", "(sinh(x)/x - 1)/z, z = x^2 <= 1", mp.mpf(0), mp.mpf(1),
        hyperbolic_sine, lambda z: z, {64: 6}),
    Fit("TANH", "(tanh(x)/x - 1)/z, z = x^2 <= 0.7^2", mp.mpf(0), mp.mpf(0.7)**2,
        hyperbolic_tangent, lambda z: z, {32: 5, 64: 12}),
    Fit("ERF", "erf(x)/x - 1, z = x^2 <= 1", mp.mpf(0), mp.mpf(1),
        erf_slope, lambda z: 1 / (1 + erf_slope(z)), {32: 6, 64: 13}),
    Fit("ERF_TAIL", "log(erfc(x)) in powers of x - 1, 1 <= x <= 6, counted as part of erf(x)",
        1 - ERF_SPLIT, 6 - ERF_SPLIT, lambda t: mp.log(mp.erfc(t + ERF_SPLIT)),
        lambda t: mp.erfc(t + ERF_SPLIT), {32: 6, 64: 21}),
)
# fmt: on


def grid(low: mp.mpf, high: mp.mpf, count: int) -> list[mp.mpf]:
    """`count` points, denser at the ends as the extrema of Chebyshev polynomials are."""
    angles = (mp.pi * (2 * i + 1) / (2 * count) for i in range(count))
    return [(low + high) / 2 - (high - low) / 2 * mp.cos(angle) for angle in angles]


def remez(degree: int, x: list[mp.mpf], f: list[mp.mpf], weight: list[mp.mpf]) -> list[mp.mpf]:
    """Coefficients of the polynomial whose largest weighted error on the grid is smallest."""
    terms = [[point**power for power in range(degree + 1)] for point in x]
    count = degree + 2
    nodes = [round(i * (len(x) - 1) / (count - 1)) for i in range(count)]
    for _ in range(ROUNDS):
        rows = [[*terms[i], (-1) ** k / weight[i]] for k, i in enumerate(nodes)]
        *c, level = mp.lu_solve(mp.matrix(rows), mp.matrix([f[i] for i in nodes]))
        errors = [w * (mp.fdot(c, t) - y) for w, t, y in zip(weight, terms, f, strict=True)]
        if max(map(abs, errors)) <= abs(level) * CLOSE:
            return c
        nodes = alternation(errors, count)
    raise ValueError(f"no solution in {ROUNDS} exchanges: raise mp.dps or POINTS")


def alternation(errors: list[mp.mpf], count: int) -> list[int]:
    """The places of `count` extrema of alternating sign, the largest there are."""
    places: list[int] = []
    for i, error in enumerate(errors):
        if places and (errors[places[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[places[-1]]):
                places[-1] = i
        else:
            places.append(i)
    while len(places) > count:
        places.pop(0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1)
    if len(places) < count:
        raise ValueError(f"{len(places)} extrema of {count}: raise mp.dps or POINTS")
    return places


def fit(row: Fit, bits: int) -> tuple[list[float], float]:
    """The rounded coefficients, lowest power first, and log2 of the largest weighted error."""
    degree = row.degree[bits]
    x = grid(row.low, row.high, POINTS * (degree + 2))
    f, weight = [row.f(p) for p in x], [row.weight(p) for p in x]
    exact = remez(degree, x, f, weight)
    rounded = [float(np.float32(float(c))) if bits == 32 else float(c) for c in exact]
    worst = max(
        abs(w * (mp.polyval(rounded[::-1], p) - y)) for w, p, y in zip(weight, x, f, strict=True)
    )
    return rounded, float(mp.log(worst, 2))


HEADER = '''"""Polynomials of the vector functions, written by tools/make_vectormath.py: edit that.

May import: nothing. NAME[bits of the format] is a tuple of coefficients, lowest power first; the
error in the comment is the largest of the exact sum, relative to the function it serves.
"""

from __future__ import annotations

Table = dict[int, tuple[float, ...]]

# fmt: off
'''
WIDTH = 100  # of a line of Python
PI_BITS = 1224  # double's largest exponent, 1023, and 201 more: see `reduce_huge`


def wrap(items: list[str], indent: str) -> str:
    """`items` in lines of at most WIDTH."""
    lines = [indent.rstrip("\n")]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > WIDTH:
            lines.append(indent)
        lines[-1] += item if lines[-1] == indent else f" {item}"
    return "\n".join(lines)


def table(row: Fit) -> str:
    """The lines of one polynomial."""
    lines = [f"# {row.says}", f"{row.name}: Table = {{"]
    for bits in row.degree:
        rounded, error = fit(row, bits)
        digits = [str(np.float32(c)) if bits == 32 else repr(c) for c in rounded]
        lines.append(f"    {bits}: (  # 2**{error:.1f}")
        lines.append(wrap([f"{d}," for d in digits], " " * 8))
        lines.append("    ),")
    return "\n".join([*lines, "}"])


def main(argv: list[str]) -> None:
    """Writes the tables."""
    repository = Path(argv[0]) if argv else Path(__file__).resolve().parents[1]
    with mp.workprec(PI_BITS + 64):
        digits = f"{int(mp.floor(mp.ldexp(2 / mp.pi, PI_BITS))):0{PI_BITS // 4}X}"
    groups = [f'"{digits[i : i + 80]}"' for i in range(0, len(digits), 80)]
    pi = "\n".join([f"# 2/pi · 2**{PI_BITS}, in hexadecimal", "TWO_OVER_PI = (",
                    *(f"    {group}" for group in groups), ")"])  # fmt: skip
    parts = [HEADER, *(f"{table(row)}\n" for row in FITS), f"{pi}\n"]
    path = repository / "pierian" / "compiler" / "coefficients.py"
    path.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
