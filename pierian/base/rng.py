"""Random bits from a counter: the same (seed, offset) gives the same bits on every machine.

May import: numpy. Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3", doi:10.1145/2063384.2063405): block i of the stream `seed` is a pure function of both,
four 32-bit words each, so any thread can make any part of a draw. Everything after the bits uses
only exactly rounded operations (+ - * / sqrt and bit shifts), hence equal bits everywhere.
"""

from __future__ import annotations

import math

import numpy as np

ROUNDS = 10
WORDS = 4  # 32-bit words per block
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and sqrt(3) - 1, in 32 bits
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
CHUNK = 1 << 14  # blocks worked on at a time: the ten rounds then stay in the L2 cache


def blocks(words: int) -> int:
    """How many blocks a draw of `words` 32-bit words uses up."""
    return -(-words // WORDS)


def bits(seed: int, offset: int, words: int) -> np.ndarray:
    """`words` random uint32 of stream `seed`, from block `offset` on.

    >>> bits(0, 0, 4)
    array([1713891541, 3781805453, 3159862348, 2600524760], dtype=uint32)
    >>> bool((bits(7, 0, 12)[4:] == bits(7, 1, 8)).all())
    True
    """
    count = blocks(words)
    out = np.empty((count, WORDS), np.uint32)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        counter = np.arange(start, stop, dtype=np.uint64) + np.uint64(offset % 2**64)
        out[start:stop] = _philox(counter, seed)
    return out.reshape(-1)[:words]


def _philox(counter: np.ndarray, seed: int) -> np.ndarray:
    c0, c1 = counter & LOW, counter >> HALF
    c2 = c3 = np.zeros_like(counter)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0 = (p1 >> HALF) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> HALF) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & LOW, p0 & LOW
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1)


def normal(seed: int, offset: int, count: int, dtype: np.dtype) -> np.ndarray:
    """`count` standard normal numbers, by inverting the normal distribution function.

    float64 uses 52 random bits each (two words); smaller dtypes 32, computed in float64.
    """
    wide = dtype.itemsize >= 8
    words = bits(seed, offset, normal_words(count, dtype))
    out = np.empty(count, dtype)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        if wide:
            pair = words[2 * start : 2 * stop].reshape(-1, 2).astype(np.float64)
            high, low = pair[:, 0], np.floor(pair[:, 1] * 2.0**-12)  # 32 + 20 bits
            p = (high * 2.0**20 + low + 0.5) * 2.0**-52
        else:
            p = (words[start:stop].astype(np.float64) + 0.5) * 2.0**-32
        out[start:stop] = inverse_normal_cdf(p)
    return out


def normal_words(count: int, dtype: np.dtype) -> int:
    """How many 32-bit words `normal` draws."""
    return count * (2 if dtype.itemsize >= 8 else 1)


# Coefficients, lowest power first, of AS 241's PPND16 (Wichura 1988, doi:10.2307/2347330):
# numerator and denominator for |p - 1/2| <= 0.425, then for r <= 5 and r > 5, r = sqrt(-log p).
CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
MIDDLE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip


def inverse_normal_cdf(p: np.ndarray) -> np.ndarray:
    """The x with P(N(0, 1) < x) = p, for 0 < p < 1, to 16 digits (AS 241).

    >>> inverse_normal_cdf(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    q = p - 0.5
    out = q * _ratio(CENTRE, 0.180625 - q * q)  # 0.425**2 - q**2
    far = np.abs(q) > 0.425
    if far.any():
        side = q[far]
        r = np.sqrt(-_log(np.where(side < 0, p[far], 1.0 - p[far])))
        x = np.where(r <= 5.0, _ratio(MIDDLE, r - 1.6), _ratio(TAIL, r - 5.0))
        out[far] = np.copysign(x, side)
    return out


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    top, bottom = (_horner(row, x) for row in coefficients)
    return top / bottom


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _log(x: np.ndarray) -> np.ndarray:
    """log x for normal x > 0, by the atanh series: np.log rounds differently across machines."""
    m, e = np.frexp(x)
    low = m < math.sqrt(0.5)
    m, e = np.where(low, 2 * m, m), np.where(low, e - 1, e)
    s = (m - 1) / (m + 1)  # |s| < 0.172, so 11 terms reach 2**-53
    series = _horner(tuple(2 / (2 * k + 1) for k in range(11)), s * s)
    return e * math.log(2) + s * series
