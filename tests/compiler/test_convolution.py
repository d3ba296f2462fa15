"""Convolutions and windows compiled: against NumPy, at any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.convolution import inside, outside
from pierian.compiler.jit import jit
from pierian.compiler.threads import num_threads
from pierian.core.tensor import Tensor, bind
from pierian.ops import convolution, pooling

# (examples, channels, filters, height, width, kernel, stride, padding, dilation, groups)
CONVOLUTIONS = {
    "3x3 same": (4, 3, 8, 9, 9, 3, 1, 1, 1, 1),
    "one channel": (16, 1, 32, 12, 12, 3, 1, 1, 1, 1),
    "5x5 valid": (5, 6, 16, 14, 14, 5, 1, 0, 1, 1),
    "stride": (8, 16, 16, 7, 7, 3, 2, 1, 1, 1),
    "dilation": (8, 16, 16, 7, 9, 3, 1, 2, 2, 1),
    "dilation and stride": (3, 4, 4, 9, 9, 3, 2, 2, 2, 1),
    "1x1": (8, 16, 32, 7, 7, 1, 2, 0, 1, 1),
    "larger than the image": (3, 4, 4, 2, 2, 5, 1, 2, 1, 1),
    "mostly padding": (64, 8, 8, 1, 1, 3, 1, 1, 1, 1),
    "gaps between windows": (3, 4, 4, 7, 8, 2, 3, 0, 1, 1),
    "groups": (4, 8, 16, 6, 6, 3, 1, 1, 1, 4),
    "a filter per group": (4, 8, 4, 6, 6, 3, 1, 1, 1, 4),
    "depthwise": (4, 8, 8, 6, 6, 3, 2, 1, 1, 8),
    "one example": (1, 3, 5, 8, 8, 3, 1, 1, 1, 1),
    "one filter": (4, 6, 1, 6, 6, 3, 1, 1, 1, 1),
    "no examples": (0, 3, 8, 9, 9, 3, 1, 1, 1, 1),
    "padding beyond the filter": (2, 3, 8, 9, 9, 3, 1, 5, 1, 1),
    "one of everything": (1, 1, 1, 1, 1, 1, 1, 0, 1, 1),
    "three channels, stride": (6, 3, 16, 11, 11, 7, 2, 3, 1, 1),
}


def drawn(*shape: int, dtype: Any = np.float32) -> Tensor:
    return pr.tensor(np.random.default_rng(len(shape) + shape[0]).standard_normal(shape), dtype)


def cases(spec: tuple[int, ...], dtype: Any = np.float32) -> dict[str, tuple[Any, ...]]:
    """The three products of a convolution: a function and its arguments."""
    n, c, o, h, width, k, s, p, d, g = spec
    params = {"stride": (s, s), "padding": ((p, p), (p, p)), "dilation": (d, d), "groups": g}
    x, weight = drawn(n, c, h, width, dtype=dtype), drawn(o, c // g, k, k, dtype=dtype)
    y = bind("conv", x, weight, **params)
    slope = drawn(*y.shape, dtype=dtype)
    return {
        "forward": (lambda x, w: bind("conv", x, w, **params), x, weight),
        "input": (lambda g, w: bind("conv_input", g, w, size=(h, width), **params), slope, weight),
        "weight": (lambda x, g: bind("conv_weight", x, g, kernel=(k, k), **params), x, slope),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_products_agree_with_numpy_at_any_number_of_threads(name: str, dtype: str) -> None:
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for kind, (fn, *arguments) in cases(CONVOLUTIONS[name], dtype).items():
        expected, results = fn(*arguments).numpy(), []
        for threads in (1, 2, 3):
            with num_threads(threads):
                results.append(jit(fn)(*arguments).numpy())
        scale = max(float(np.abs(expected).max(initial=0)), 1.0)
        np.testing.assert_allclose(results[0] / scale, expected / scale, atol=tolerance, rtol=0,
                                   err_msg=kind)  # fmt: skip
        assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_one_and_three_axes() -> None:
    for size, kernel in (((11,), (3,)), ((5, 6, 7), (3, 2, 3))):
        x, weight = drawn(4, 3, *size), drawn(5, 3, *kernel)

        def loss(x: Any, w: Any, rank: int = len(size)) -> Any:
            y = convolution.conv(x, w, padding=1, stride=2)
            return (y * y).sum() * rank

        both = pr.value_and_grad(loss, argnums=(0, 1))
        for a, b in zip(flat(jit(both)(x, weight)), flat(both(x, weight)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def flat(tree: Any) -> list[np.ndarray]:
    return [leaf.numpy() for leaf in pr.base.trees.leaves(tree)]


# (channels, height, width, kernel, stride, padding, dilation)
WINDOWS = {
    "halves": (3, 8, 8, 2, 2, 0, 1),
    "overlap": (5, 9, 7, 3, 2, 1, 1),
    "every pixel": (6, 7, 7, 3, 1, 1, 1),
    "dilation": (4, 9, 9, 2, 2, 0, 2),
    "rest": (20, 7, 7, 3, 3, 1, 1),
    "many channels": (70, 4, 4, 2, 2, 0, 1),
}


@pytest.mark.parametrize("nan", [False, True], ids=["numbers", "NaN"])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_agree_with_numpy(name: str, nan: bool) -> None:
    c, h, w, k, s, p, d = WINDOWS[name]
    x = np.maximum(drawn(3, c, h, w).numpy(), 0)  # with equal maxima
    if nan:
        x[0, 0, 1, 1] = x[1, 0, 0, 0] = np.nan
    image = pr.tensor(x)
    plain = {"kernel": (k, k), "stride": (s, s), "padding": ((p, p), (p, p))}
    whole = {**plain, "dilation": (d, d)}
    slope = drawn(*bind("max_pool", image, **whole).shape)
    tried: dict[str, tuple[Any, ...]] = {
        "max": (lambda x: bind("max_pool", x, **whole), image),
        "grad": (lambda x, g: bind("max_pool_grad", x, g, **whole), image, slope),
    }
    if d == 1:
        tried["sum"] = (lambda x: bind("window_sum", x, **plain), image)
        tried["spread"] = (lambda g: bind("window_spread", g, size=(h, w), **plain), slope)
    for kind, (fn, *arguments) in tried.items():
        results = []
        for threads in (1, 2, 3):
            with num_threads(threads):
                results.append(jit(fn)(*arguments).numpy())
        np.testing.assert_allclose(results[0], fn(*arguments).numpy(), rtol=1e-5, atol=1e-6,
                                   err_msg=kind)  # fmt: skip
        assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def network(x: Any, first: Any, second: Any) -> Any:
    """Two convolutions with what is usual between them."""
    x = pooling.max_pool(pr.relu(convolution.conv(x, first, padding=1)), 2)
    return (pr.tanh(convolution.conv(x, second)) ** 2).mean()


def test_a_network_has_no_call_into_numpy_and_no_transposed_image() -> None:
    arguments = drawn(7, 3, 12, 12), drawn(16, 3, 3, 3), drawn(8, 16, 3, 3)
    both = pr.value_and_grad(network, argnums=(1, 2))
    step = jit(both)
    for a, b in zip(flat(step(*arguments)), flat(both(*arguments)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    entry = next(iter(step.entries.values()))[0]
    kernels = entry.program.fusion.kernels
    assert not any(kernel.kind == "host" for kernel in kernels)
    images = [k for k in kernels if len(k.space) == 4 and k.kind == "nest" and k.space[0] == 7]
    assert not images  # all are (height, width, examples, channels)
    primitives = {equation.primitive for equation in entry.program.graph.equations}
    assert {"pixels", "pixels_input", "pixels_weight", "pixels_thin_weight"} <= primitives
    grads = [e for e in entry.program.graph.equations if e.primitive == "pixels_pool_grad"]
    assert [e.params.get("positive") for e in grads] == [True]  # the ReLU is part of it


def test_orders_of_axes_are_inverses() -> None:
    for order in (3, 4, 5):
        x = np.empty(tuple(range(2, 2 + order)))
        assert x.transpose(inside(order)).transpose(outside(order)).shape == x.shape
