"""Random draws, from a counter: the same seed gives the same bits, eager or compiled.

May import: base, core, other families. A `Generator` is a tensor (seed, offset) that each draw
moves on, so that inside a traced step it is state like any other. To add a distribution, compose
`random_bits`; only exactly rounded operations keep it equal on every machine.
"""

from __future__ import annotations

import math
import os
import random
from typing import Any

import numpy as np

from pierian.base import rng
from pierian.base.dtypes import as_dtype, float32, float64, int64, is_floating, uint32, uint64
from pierian.base.errors import DtypeError, message
from pierian.base.shapes import Shape, as_shape
from pierian.core.autodiff import no_grad
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, assign, bind, make
from pierian.ops.operands import cast


def _bits(state: np.ndarray, shape: Shape) -> np.ndarray:
    return rng.bits(int(state[0]), int(state[1]), math.prod(shape)).reshape(shape)


def _normal(state: np.ndarray, shape: Shape, dtype: np.dtype) -> np.ndarray:
    return rng.normal(int(state[0]), int(state[1]), math.prod(shape), dtype).reshape(shape)


define("random_bits", shape=lambda state, shape: Spec(shape, uint32), run=_bits, warns=False)
define("random_normal", shape=lambda state, shape, dtype: Spec(shape, dtype), run=_normal,
       warns=False)  # fmt: skip


class Generator:
    """A stream of random numbers.

    Args:  seed  names the stream; fresh entropy if None. `state` is the tensor (seed, offset)
                 that says what comes next; saving and restoring it continues the stream.

    >>> g = Generator(7)
    >>> a = rand(3, generator=g)
    >>> bool((rand(3, generator=Generator(7)) == a).all())
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.state = make(np.zeros(2, np.uint64))
        self.manual_seed(int.from_bytes(os.urandom(8), "little") if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream `seed` from its beginning."""
        start = np.array([int(seed) % 2**64, 0], np.uint64)
        with no_grad():
            assign(self.state, as_tensor(start), "manual_seed")
        return self

    @property
    def seed(self) -> int:
        """The seed of the stream."""
        return int(self.state.numpy()[0])

    def draw(self, words: int) -> Tensor:
        """The state for a draw of `words` 32-bit words; moves on past it."""
        with no_grad():
            before = bind("copy", self.state)
            step = np.array([0, rng.blocks(words)], np.uint64)
            assign(self.state, bind("add", self.state, as_tensor(step)), "draw")
        return before


default = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, that all draws without `generator=` come from."""
    return default.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seed Python's generator, NumPy's, and the default one here."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    manual_seed(seed)


def bits(shape: Any, generator: Generator | None = None) -> Tensor:
    """Random uint32, every bit fair. Shapes: -> shape."""
    wanted = as_shape("bits", (shape,))
    return bind("random_bits", (generator or default).draw(math.prod(wanted)), shape=wanted)


def _bits64(shape: Shape, generator: Generator | None) -> Tensor:
    words = cast(bits((*shape, 2), generator), uint64)
    high, low = words[..., 0], words[..., 1]
    return (high << 32) | low


def _floating(where: str, dtype: Any) -> np.dtype:
    wanted = as_dtype(dtype)
    if not is_floating(wanted):
        raise DtypeError(
            message(where, "draws real numbers", "a floating dtype", wanted, "Use pr.randint")
        )
    return wanted


def uniform(
    low: float = 0.0,
    high: float = 1.0,
    shape: Any = (),
    dtype: Any = float32,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform numbers in [low, high): multiples of 2^-24 (float64: 2^-53) of the range, rounded
    (so that high itself may come up where the range is small beside low). Shapes: -> shape.
    """
    unit = rand(*as_shape("uniform", (shape,)), dtype=dtype, generator=generator)
    return unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low


def rand(
    *shape: Any,
    dtype: Any = float32,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1). Shapes: `rand(2, 3)` or `rand((2, 3))`. Dtypes: floating."""
    sizes, wanted = as_shape("rand", shape), _floating("rand", dtype)
    if wanted.itemsize >= 8:
        unit = cast(_bits64(sizes, generator) >> 11, float64) * 2.0**-53
    else:
        keep = 24 if wanted == float32 else 11  # the bits of a float32's or float16's fraction
        unit = cast(bits(sizes, generator) >> (32 - keep), wanted) * 2.0**-keep
    out = cast(unit, wanted)
    return out.requires_grad_() if requires_grad else out


def randn(
    *shape: Any,
    dtype: Any = float32,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1. Shapes: `randn(2, 3)`. Dtypes: floating.

    Source:  inverse of the distribution function, Wichura 1988 (see `base/rng.py`).
    """
    sizes, wanted = as_shape("randn", shape), _floating("randn", dtype)
    words = rng.normal_words(math.prod(sizes), wanted)
    out = bind("random_normal", (generator or default).draw(words), shape=sizes, dtype=wanted)
    return out.requires_grad_() if requires_grad else out


def normal(
    mean: float = 0.0,
    std: float = 1.0,
    shape: Any = (),
    dtype: Any = float32,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers of the given mean and standard deviation. Shapes: -> shape."""
    return randn(*as_shape("normal", (shape,)), dtype=dtype, generator=generator) * std + mean


def randint(
    low: int,
    high: int | None = None,
    shape: Any = (),
    dtype: Any = int64,
    generator: Generator | None = None,
) -> Tensor:
    """Whole numbers in low <= n < high; `randint(n, shape=…)` starts from 0. Shapes: -> shape.

    By multiplication of 32 random bits (range up to 2^32; each number is off its fair share by
    at most range/2^32).
    Raises:  DtypeError for an empty or too large range.
    """
    if high is None:
        low, high = 0, low
    if not 0 < high - low <= 2**32:
        raise DtypeError(
            message("randint", "the range must be whole and not empty", "low < high <= low + 2^32",
                    f"low={low}, high={high}", "Swap or widen the bounds")
        )  # fmt: skip
    wide = cast(bits(as_shape("randint", (shape,)), generator), uint64)
    scaled = bind("right_shift", wide * (high - low), as_tensor(np.array(32, np.uint64)))
    return cast(cast(scaled, int64) + low, dtype)


def randperm(n: int, generator: Generator | None = None) -> Tensor:
    """The numbers 0 … n-1 in random order. Shapes: -> (n,). Dtypes: int64."""
    (count,) = as_shape("randperm", (n,))
    return bind("argsort", _bits64((count,), generator), axis=0, descending=False)


def bernoulli(
    p: float, shape: Any = (), dtype: Any = float32, generator: Generator | None = None
) -> Tensor:
    """Ones with probability p, else zeros. Shapes: -> shape."""
    return cast(rand(*as_shape("bernoulli", (shape,)), generator=generator) < p, dtype)


def rand_like(x: Any, generator: Generator | None = None) -> Tensor:
    """As `rand`, like `x`. Shapes: x (...) -> same. Dtypes: floating; kept."""
    x = as_tensor(x)
    return rand(*x.shape, dtype=x.dtype, generator=generator)


def randn_like(x: Any, generator: Generator | None = None) -> Tensor:
    """As `randn`, like `x`. Shapes: x (...) -> same. Dtypes: floating; kept."""
    x = as_tensor(x)
    return randn(*x.shape, dtype=x.dtype, generator=generator)
