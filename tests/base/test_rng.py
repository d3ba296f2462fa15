"""Philox against the published vectors and against Python integers; draws from its bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pierian.base import rng
from tests.ops.oracles import philox, philox_block

# Random123 1.14, tests/kat_vectors: philox4x32 10
VECTORS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0],
     [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "words"), VECTORS)
def test_the_oracle_has_the_published_vectors(
    counter: list[int], key: list[int], words: list[int]
) -> None:
    assert philox_block(counter, key) == words


def test_bits_have_the_published_vector_of_zeros() -> None:
    assert rng.bits(0, 0, 4).tolist() == VECTORS[0][2]
    assert rng.bits(0, 0, 4).dtype == np.uint32


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("offset", [0, 1, 2**32 - 2, 2**32, 2**64 - 2])
def test_bits_match_python_integers(seed: int, offset: int) -> None:
    assert rng.bits(seed, offset, 18).tolist() == philox(seed, offset, 18)


@pytest.mark.parametrize("words", [0, 1, 3, 4, 5, 4 * rng.CHUNK - 1, 4 * rng.CHUNK + 6])
def test_draws_are_prefixes_of_longer_ones(words: int) -> None:
    long = rng.bits(5, 9, 4 * rng.CHUNK + 100)
    assert (rng.bits(5, 9, words) == long[:words]).all()
    assert len(rng.bits(5, 9, words)) == words
    assert rng.blocks(words) == math.ceil(words / 4)


def test_draws_continue_where_the_last_one_ended() -> None:
    whole = rng.bits(11, 0, 400)
    parts = [rng.bits(11, offset, 40) for offset in range(0, 100, 10)]
    assert (np.concatenate(parts) == whole).all()


def test_bits_are_fair() -> None:
    words = rng.bits(1, 0, 1 << 18)
    each = [(words >> np.uint32(bit) & np.uint32(1)).mean() for bit in range(32)]
    spread = 0.5 / math.sqrt(len(words))
    assert all(abs(share - 0.5) < 5 * spread for share in each)
    assert len(np.unique(words)) > 0.99 * len(words)
    other = rng.bits(2, 0, 1 << 18)
    agreement = (np.bitwise_count(words ^ other)).mean() / 32
    assert abs(agreement - 0.5) < 0.001, "neighbouring seeds are independent"


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def test_inverse_normal_cdf_inverts_to_full_precision() -> None:
    p = np.concatenate([10.0 ** -np.arange(1, 300, 7), np.linspace(0.001, 0.999, 501)])
    x = rng.inverse_normal_cdf(p)
    # an error of 2^-50 in x moves p by |x|·2^-50 of itself, in the tail by x²·2^-50
    for value, probability in zip(x.tolist(), p.tolist(), strict=True):
        within = (4 + value * value) * 2.0**-49
        assert normal_cdf(value) == pytest.approx(probability, rel=within)
    upper = rng.inverse_normal_cdf(1 - p[p > 1e-3])
    np.testing.assert_allclose(upper, -x[p > 1e-3], rtol=1e-11, atol=1e-13)
    assert rng.inverse_normal_cdf(np.array([0.5])).tolist() == [0.0]
    assert (np.diff(rng.inverse_normal_cdf(np.linspace(1e-6, 1 - 1e-6, 10_001))) > 0).all()


def test_logarithm_is_right_to_the_last_bits() -> None:
    x = np.concatenate([np.linspace(0.3, 3, 1001), 10.0 ** np.arange(-300, 300, 7.0)])
    exact = np.log(x.astype(np.longdouble))
    assert np.abs(rng._log(x) - exact).max() < 4e-16 * 700
    near = np.abs(x - 1) < 0.5
    assert (np.abs(rng._log(x[near]) - exact[near]) < 3e-16).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_normal_numbers_have_normal_moments(dtype: str) -> None:
    n = 200_000
    z = rng.normal(3, 0, n, np.dtype(dtype)).astype(np.float64)
    assert z.shape == (n,)
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((z**power).mean() - moment) < 4 * math.sqrt(variance / n)
    below = np.array([(z < q).mean() for q in (-3, -2, -1, 0, 1, 2, 3)])
    exact = np.array([normal_cdf(q) for q in (-3, -2, -1, 0, 1, 2, 3)])
    assert (np.abs(below - exact) < 4 * np.sqrt(exact * (1 - exact) / n) + 1e-3).all()
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 4 / math.sqrt(n)


def test_normal_draws_are_prefixes_and_count_their_words() -> None:
    for dtype, words in (("float32", 7), ("float64", 14)):
        kind = np.dtype(dtype)
        assert rng.normal_words(7, kind) == words
        assert (rng.normal(1, 2, 7, kind) == rng.normal(1, 2, 20, kind)[:7]).all()
        assert rng.normal(1, 2, 7, kind).dtype == kind
