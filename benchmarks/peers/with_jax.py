"""JAX: a jitted step called from Python, and `lax.scan` over the batches of all steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.workloads import Task

VERSION = jax.__version__
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


def cross_entropy(z: Any, y: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()


def bce(z: Any, y: Any) -> Any:
    return (jnp.logaddexp(0, z) - y * z).mean()


def mse(z: Any, y: Any) -> Any:
    return jnp.square(z - y).mean()


LOSSES = {"cross_entropy": cross_entropy, "bce": bce, "mse": mse}


def adam(w: Any, grads: Any, params: Any, state: Any) -> tuple[Any, Any]:
    first, second, t = state
    t = t + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
    rate, root = w.lr / (1 - 0.9**t), jax.lax.rsqrt(1 - 0.999**t)
    params = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + 1e-8), params, first, second
    )
    return params, (first, second, t)


def sgd(w: Any, grads: Any, params: Any, state: Any) -> tuple[Any, Any]:
    velocity, *rest = state
    if w.momentum:
        grads = velocity = jax.tree.map(lambda v, g: w.momentum * v + g, velocity, grads)
    return jax.tree.map(lambda p, g: p - w.lr * g, params, grads), (velocity, *rest)


OPTIMIZERS = {"adam": adam, "sgd": sgd}


def prepare(task: Task) -> tuple[Any, Any, Any]:
    """A step (carry, (x, y)) -> (carry, loss), the first carry, the arrays."""
    w = task.workload
    activate, loss_of, update = (
        ACTIVATIONS[w.activation], LOSSES[w.loss], OPTIMIZERS[w.optimizer],
    )  # fmt: skip

    def loss(params: Any, x: Any, y: Any) -> Any:
        for weight, bias in params[:-1]:
            x = activate(x @ weight.T + bias)
        weight, bias = params[-1]
        return loss_of(x @ weight.T + bias, y)

    def step(carry: Any, batch: Any) -> tuple[Any, Any]:
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, *batch)
        return update(w, grads, params, state), value

    params = [tuple(map(jnp.array, pair)) for pair in zip(task.weights, task.biases, strict=True)]
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    return step, (params, (*zeros, jnp.float32(0))), (task.x, task.y.astype(np.dtype(
        {"i": np.int32, "f": np.float32}[task.y.dtype.kind])))  # fmt: skip


def jit(task: Task) -> Callable[[], float]:
    step, carry, (x, y) = prepare(task)
    compiled = jax.jit(step, donate_argnums=0)

    def call() -> float:
        nonlocal carry
        losses = []
        for rows in task.order:
            carry, loss = compiled(carry, (x[rows], y[rows]))
            losses.append(loss)
        jax.block_until_ready(carry)
        return float(np.mean(losses))

    return call


def scan(task: Task) -> Callable[[], float]:
    step, carry, data = prepare(task)
    x, y, order = map(jnp.asarray, (*data, task.order.astype(np.int32)))

    def epoch(carry: Any, x: Any, y: Any, order: Any) -> tuple[Any, Any]:
        carry, losses = jax.lax.scan(lambda c, rows: step(c, (x[rows], y[rows])), carry, order)
        return carry, losses.mean()

    compiled = jax.jit(epoch, donate_argnums=0)

    def call() -> float:
        nonlocal carry
        carry, loss = compiled(carry, x, y, order)
        jax.block_until_ready(carry)
        return float(loss)

    return call
