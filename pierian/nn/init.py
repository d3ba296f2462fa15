"""How parameters start: functions that fill a tensor in place, PyTorch's names and definitions.

May import: base, core, ops. To add one: a function ending in `fill`; to name it in a layer
(`kernel_initializer="..."`), a row in `KERAS`, whose names keep Keras' own definitions.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype
from pierian.base.errors import ShapeError, lookup, message
from pierian.base.rng import inverse_normal_cdf
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.ops.creation import eye, full_like
from pierian.ops.movement import permute
from pierian.ops.random import Generator, rand, randn

# The standard deviation of a standard normal cut off at ±2; Keras divides by it.
TRUNCATED_STD = 0.87962566103423978


def fill(tensor: Tensor, new: Tensor) -> Tensor:
    """`tensor` with the values of `new`, without a record of it."""
    with no_grad():
        return assign(tensor, as_tensor(new, tensor.dtype), "init")


def constant_(tensor: Tensor, value: float) -> Tensor:
    """All elements `value`. Shapes: (...) -> same.

    >>> constant_(Tensor([1.0, 2.0]), 3)
    tensor([3., 3.], dtype=float32)
    """
    return fill(tensor, full_like(tensor, value))


def zeros_(tensor: Tensor) -> Tensor:
    """All elements 0. Shapes: (...) -> same."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """All elements 1. Shapes: (...) -> same."""
    return constant_(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal, zeros elsewhere. Shapes: (m, n) -> same."""
    if tensor.ndim != 2:
        raise ShapeError(message("eye_", "needs a matrix", "2 axes", tensor.shape, "Reshape it"))
    return fill(tensor, eye(*tensor.shape))


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform in [a, b). Shapes: (...) -> same."""
    return fill(tensor, _rand(tensor, generator) * (b - a) + a)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with the given mean and standard deviation. Shapes: (...) -> same."""
    return fill(tensor, _randn(tensor, generator) * std + mean)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, but only numbers in [a, b] (in units of the tensor). Shapes: (...) -> same.

    By inverting the distribution function between the bounds, so that nothing is drawn twice.
    """
    low, high = (0.5 * (1 + math.erf((bound - mean) / std / math.sqrt(2))) for bound in (a, b))
    unit = rand(*tensor.shape, dtype="float64", generator=generator).numpy()
    edge = 2.0**-52  # keeps away from 0 and 1, where the inverse is infinite
    p = np.clip(low + unit * (high - low), edge, 1 - edge)
    return fill(tensor, as_tensor(np.clip(inverse_normal_cdf(p) * std + mean, a, b)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What a nonlinearity shrinks its input's standard deviation by, to be made up for.

    Args:    nonlinearity  its name in PyTorch: "relu", "tanh", "linear" …
             param         the negative slope of "leaky_relu".
    Raises:  ValueError for an unknown name.

    >>> calculate_gain("relu") ** 2
    2.0000000000000004
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
        "leaky_relu": math.sqrt(2 / (1 + slope * slope)),
    }  # fmt: skip
    convolutions = (f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3))
    gains |= dict.fromkeys(convolutions, 1.0)
    return gains[lookup("calculate_gain", "nonlinearity", nonlinearity, gains)]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs and outputs a weight (out, in, ...) connects per position.

    >>> fans((10, 784)), fans((16, 3, 5, 5))
    ((784, 10), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(
            message("init", "a weight needs inputs and outputs", "at least 2 axes (out, in, ...)",
                    tuple(shape), "Use uniform_, normal_ or zeros_ for a bias")
        )  # fmt: skip
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform with variance gain² · 2 / (inputs + outputs); also `glorot_uniform_`.

    Shapes:  (out, in, ...) -> same.
    Source:  Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
             neural networks".
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with variance gain² · 2 / (inputs + outputs); also `glorot_normal_`.

    Shapes:  (out, in, ...) -> same.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor.shape))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    by_mode = dict(zip(("fan_in", "fan_out"), fans(tensor.shape), strict=True))
    fan = by_mode[lookup("kaiming", "mode", mode, by_mode)]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform with variance gain² / inputs; also `he_uniform_`.

    Shapes:  (out, in, ...) -> same.
    Args:    a     the negative slope when nonlinearity is "leaky_relu".
             mode  "fan_in" keeps the variance of activations, "fan_out" that of gradients.
    Source:  He et al. 2015, arXiv:1502.01852.
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with variance gain² / inputs; also `he_normal_`. Args as `kaiming_uniform_`.

    Shapes:  (out, in, ...) -> same.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Rows (or columns, where there are fewer) that are orthogonal and have length `gain`.

    Shapes:  (out, in, ...) -> same; the axes after the first are taken as one.
    Source:  Saxe et al. 2013, arXiv:1312.6120.
    """
    fans(tensor.shape)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    tall = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(randn(*tall, dtype="float64", generator=generator).numpy())
    q = q * np.sign(np.diagonal(r))  # makes the distribution uniform over all rotations
    matrix = q if rows >= columns else q.T
    return fill(tensor, as_tensor(gain * matrix.reshape(tensor.shape)))


def _rand(tensor: Tensor, generator: Generator | None) -> Tensor:
    return rand(*tensor.shape, dtype=tensor.dtype, generator=generator)


def _randn(tensor: Tensor, generator: Generator | None) -> Tensor:
    return randn(*tensor.shape, dtype=tensor.dtype, generator=generator)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_


# Keras' names


def _scaled(tensor: Tensor, scale: float, both: bool, truncated: bool) -> Tensor:
    """Keras' variance scaling: variance scale / inputs, or scale / mean of inputs and outputs."""
    fan_in, fan_out = fans(tensor.shape)
    std = math.sqrt(scale / max(1.0, (fan_in + fan_out) / 2 if both else fan_in))
    if truncated:
        return _truncated(tensor, std / TRUNCATED_STD)
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std)


def _truncated(tensor: Tensor, std: float) -> Tensor:
    return trunc_normal_(tensor, 0.0, std, -2 * std, 2 * std)


KERAS: dict[str, Callable[[Tensor], Any]] = {
    "zeros": zeros_,
    "ones": ones_,
    "identity": eye_,
    "orthogonal": orthogonal_,
    "random_normal": functools.partial(normal_, std=0.05),
    "random_uniform": functools.partial(uniform_, a=-0.05, b=0.05),
    "truncated_normal": functools.partial(_truncated, std=0.05),
    "glorot_uniform": functools.partial(_scaled, scale=1.0, both=True, truncated=False),
    "glorot_normal": functools.partial(_scaled, scale=1.0, both=True, truncated=True),
    "he_uniform": functools.partial(_scaled, scale=2.0, both=False, truncated=False),
    "he_normal": functools.partial(_scaled, scale=2.0, both=False, truncated=True),
    "lecun_uniform": functools.partial(_scaled, scale=1.0, both=False, truncated=False),
    "lecun_normal": functools.partial(_scaled, scale=1.0, both=False, truncated=True),
}


ALIASES = {"uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"}


def make(initializer: str | Callable[[Tensor], Any], shape: Any, dtype: Any = None) -> Tensor:
    """A new tensor of a variable that stands on the right of a product, x @ v, as Keras has it.

    Shapes:  -> shape (..., in, out); weights of layers are (out, in, ...) instead.
    Args:    initializer  as for `get`.
             dtype        float32 if None.

    >>> make("he_normal", (784, 10)).shape
    (784, 10)
    """
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    tensor = Tensor(np.empty((*sizes[::-1][:2], *sizes[:-2]), as_dtype(dtype or "float32")))
    get("make", initializer)(tensor)
    return permute(tensor, *_order(len(sizes)))


def get(where: str, initializer: str | Callable[..., Any]) -> Callable[[Tensor], Any]:
    """The function that fills a tensor, from its name in Keras or a function.

    A function with an argument `shape` is one of Keras: it makes a tensor of shape (..., in, out),
    for a `dtype`, which is copied in.
    Raises:  ValueError for an unknown name, naming `where`.
    """
    if callable(initializer):
        keras = "shape" in inspect.signature(initializer).parameters
        return functools.partial(_copied_in, initializer) if keras else initializer
    name = ALIASES.get(initializer, initializer)
    return KERAS[lookup(where, "initializer", name, KERAS)]


def _copied_in(initializer: Callable[..., Any], tensor: Tensor) -> None:
    order = _order(tensor.ndim)
    made = initializer([tensor.shape[axis] for axis in order], dtype=tensor.dtype)
    fill(tensor, permute(as_tensor(made), *np.argsort(order).tolist()))


def _order(ndim: int) -> tuple[int, ...]:
    """The axes of (out, in, ...) as they stand in (..., in, out)."""
    return (*range(2, ndim), *range(2)[:ndim][::-1])
