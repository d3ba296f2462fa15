"""Generators and draws: streams repeat, continue, are saved; the numbers have their moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.tensor import Tensor

N = 100_000
DRAWS: list[Callable[[Any], Tensor]] = [
    lambda g: pr.rand(5, generator=g),
    lambda g: pr.rand(5, dtype=pr.float64, generator=g),
    lambda g: pr.randn(2, 3, generator=g),
    lambda g: pr.uniform(-1, 1, (7,), generator=g),
    lambda g: pr.normal(1, 2, (3,), generator=g),
    lambda g: pr.randint(0, 9, (4,), generator=g),
    lambda g: pr.randperm(8, generator=g),
    lambda g: pr.bernoulli(0.5, (6,), generator=g),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_streams_repeat_and_go_on(draw: Callable[[Any], Tensor]) -> None:
    a, b = pr.Generator(5), pr.Generator(5)
    first, second = draw(a), draw(a)
    assert (draw(b) == first).all()
    assert (draw(b) == second).all()
    assert not (first == second).all()
    assert not (draw(pr.Generator(6)) == first).all()
    assert (draw(a.manual_seed(5)) == first).all()


def test_the_default_generator() -> None:
    returned = pr.manual_seed(3)
    first = [draw(None).tolist() for draw in DRAWS]
    assert returned.seed == 3
    assert pr.manual_seed(3) is returned
    assert [draw(None).tolist() for draw in DRAWS] == first
    explicit = pr.Generator(3)
    assert [draw(explicit).tolist() for draw in DRAWS] == first
    x = pr.ones(2, 2)
    pr.manual_seed(3)
    like = [pr.rand_like(x).tolist(), pr.randn_like(x).tolist()]
    assert like == [pr.rand(2, 2, generator=(g := pr.Generator(3))).tolist(),
                    pr.randn(2, 2, generator=g).tolist()]  # fmt: skip


def test_state_is_a_tensor_that_can_be_saved() -> None:
    g = pr.Generator(2**64 - 1)
    assert g.seed == 2**64 - 1
    pr.rand(3, generator=g)
    assert g.state.tolist() == [2**64 - 1, 1]
    pr.rand(5, generator=g)
    assert g.state.tolist() == [2**64 - 1, 3]
    saved = g.state.clone()
    expected = pr.randn(4, generator=g)
    g.state.copy_(saved)
    assert (pr.randn(4, generator=g) == expected).all()
    other = pr.Generator(0)
    other.state.copy_(saved)
    assert (pr.randn(4, generator=other) == expected).all()


def test_seeds_differ_and_negative_ones_wrap() -> None:
    assert pr.Generator().seed != pr.Generator().seed
    assert pr.Generator(-1).seed == 2**64 - 1
    assert pr.Generator(True).seed == 1


def test_offsets_pass_32_bits() -> None:
    g = pr.Generator(1)
    g.state.copy_(pr.tensor(np.array([1, 2**32 - 1], np.uint64)))
    a = pr.rand(8, generator=g)
    assert g.state.tolist() == [1, 2**32 + 1]
    assert len(set(a.tolist())) == 8


def test_empty_draws_do_not_move_the_state() -> None:
    g = pr.Generator(1)
    for draw in (pr.rand, pr.randn):
        assert draw(0, 3, generator=g).shape == (0, 3)
    assert pr.randint(3, shape=(0,), generator=g).shape == (0,)
    assert pr.randperm(0, generator=g).tolist() == []
    assert g.state.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_moments_and_range(dtype: str) -> None:
    u = pr.rand(N, dtype=dtype, generator=pr.Generator(0)).numpy().astype(np.float64)
    assert 0 <= u.min() < 0.01
    assert 0.99 < u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * math.sqrt(1 / 12 / N)
    assert abs(u.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / N)
    counts = np.histogram(u, 64, (0, 1))[0]
    chi2 = ((counts - N / 64) ** 2 / (N / 64)).sum()
    assert 20 < chi2 < 120  # 63 degrees of freedom
    steps = u * 2.0 ** {"float16": 11, "float32": 24, "float64": 53}[dtype]
    assert (steps == np.floor(steps)).all()


def test_uniform_between_bounds() -> None:
    u = pr.uniform(-2, 6, (N,), generator=pr.Generator(1))
    assert u.dtype == np.float32
    assert -2 <= u.min().item() < -1.99
    assert 5.99 < u.max().item() < 6
    assert abs(u.mean().item() - 2) < 0.05


def test_normal_moments() -> None:
    z = pr.normal(3, 0.5, (N,), generator=pr.Generator(2)).numpy().astype(np.float64)
    assert abs(z.mean() - 3) < 4 * 0.5 / math.sqrt(N)
    assert abs(z.std() - 0.5) < 4 * 0.5 / math.sqrt(2 * N)
    assert pr.randn(3, dtype="half", generator=pr.Generator(0)).dtype == np.float16


@pytest.mark.parametrize(
    ("low", "high"), [(0, 2), (-5, 5), (10, 17), (0, 2**32), (-(2**31), 2**31)]
)
def test_whole_numbers_fill_their_range(low: int, high: int) -> None:
    n = pr.randint(low, high, (N,), generator=pr.Generator(4)).numpy()
    assert n.dtype == np.int64
    assert low <= n.min()
    assert n.max() < high
    middle = (low + high - 1) / 2
    assert abs(n.mean() - middle) < 4 * (high - low) / math.sqrt(12 * N)
    if high - low <= 10:
        shares = np.bincount(n - low, minlength=high - low) / N
        assert np.abs(shares - 1 / (high - low)).max() < 0.01


def test_bernoulli() -> None:
    g = pr.Generator(5)
    assert abs(pr.bernoulli(0.2, (N,), generator=g).mean().item() - 0.2) < 0.005
    assert pr.bernoulli(0.0, (N,), generator=g).sum().item() == 0
    assert pr.bernoulli(1.0, (N,), generator=g).sum().item() == N
    assert pr.bernoulli(0.5, (3,), dtype=bool, generator=g).dtype == bool


def test_permutations_are_permutations_and_fair() -> None:
    g = pr.Generator(6)
    assert sorted(pr.randperm(1000, generator=g).tolist()) == list(range(1000))
    first = [pr.randperm(4, generator=g)[0].item() for _ in range(800)]
    assert all(140 < first.count(i) < 260 for i in range(4))


def test_draws_can_require_gradients_and_have_no_history() -> None:
    w = pr.randn(2, 3, requires_grad=True)
    assert w.is_leaf
    assert w.requires_grad
    assert pr.rand(2, requires_grad=True).requires_grad
    assert not pr.rand(2).requires_grad


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (lambda: pr.rand(2, dtype=int), pr.DtypeError, "rand: draws real numbers.*pr.randint"),
        (lambda: pr.randn(2, dtype=bool), pr.DtypeError, "randn: draws real numbers"),
        (lambda: pr.rand(-1), pr.ShapeError, "rand: sizes must be whole numbers"),
        (lambda: pr.randint(5, 5), pr.DtypeError, "randint: the range must be whole and not empty"),
        (lambda: pr.randint(0, 2**32 + 1), pr.DtypeError, "randint"),
        (lambda: pr.randperm(-1), pr.ShapeError, "randperm: sizes must be whole numbers"),
    ],
)
def test_bad_draws_are_refused(draw: Callable[[], Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        draw()
