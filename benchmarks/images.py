"""`images`: a training step of convolutional networks, all peers on the same weights and batch.

`python -m benchmarks.images PEER NETWORK SECONDS` is one process. To add a network: a row in
`NETWORKS`; a peer: a function (network) -> (what takes a step and gives its loss, version), and a
row in `PEERS`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Bench, markdown, micro

Step = Callable[[], float]


@dataclass(frozen=True)
class Network:
    """A network as a row of layers, and how it is trained.

    Args:  layers  ("conv", filters, kernel, stride, padding), ("linear", units), or a name alone:
                   "relu", "pool" (2×2), "norm" (of batches), "flat". Empty: ResNet-18.
           size    of the images, (channels, height, width).
           goal    what our time over that of the best peer should not exceed.
    """

    name: str
    layers: tuple[Any, ...]
    size: tuple[int, int, int]
    batch: int
    goal: float
    optimizer: str = "adam"


def _normed(*rows: tuple[int, int]) -> tuple[Any, ...]:
    layers: list[Any] = []
    for filters, stride in rows:
        layers += [("conv", filters, 3, stride, 1), "norm", "relu"]
    return (*layers, "flat", ("linear", 10))


NETWORKS = (
    Network("LeNet-5, 28×28, Adam, b128", (
        ("conv", 6, 5, 1, 2), "relu", "pool", ("conv", 16, 5, 1, 0), "relu", "pool", "flat",
        ("linear", 120), "relu", ("linear", 84), "relu", ("linear", 10)), (1, 28, 28), 128, 0.45),
    Network("cnn 32-64, 28×28, Adam, b128", (
        ("conv", 32, 3, 1, 1), "relu", "pool", ("conv", 64, 3, 1, 1), "relu", "pool", "flat",
        ("linear", 10)), (1, 28, 28), 128, 0.60),
    Network("ResNet-18, 1×28×28, SGD with momentum, b64", (), (1, 28, 28), 64, 0.60, "sgd"),
    Network("CIFAR net 24-48-96 with BatchNorm, 3×32×32, Adam, b64",
            _normed((24, 1), (48, 2), (96, 2)), (3, 32, 32), 64, 0.70),
)  # fmt: skip


def data(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """A batch."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((network.batch, *network.size)).astype(np.float32)
    return x, np.arange(network.batch) % 10


def weights(network: Network) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first weights and biases of all layers that have some, in PyTorch's layout."""
    draw = np.random.default_rng(1)
    (channels, *size), found = network.size, []
    for layer in network.layers:
        kind = layer if isinstance(layer, str) else layer[0]
        if kind == "conv":
            _, filters, k, stride, padding = layer
            shape: tuple[int, ...] = (filters, channels, k, k)
            channels, size = filters, [(n + 2 * padding - k) // stride + 1 for n in size]
        elif kind == "linear":
            shape = (layer[1], channels * math.prod(size))
            channels, size = layer[1], []
        elif kind == "pool":
            size = [n // 2 for n in size]
        if kind in ("conv", "linear"):
            weight = draw.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
            found.append((weight.astype(np.float32), np.zeros(shape[0], np.float32)))
    return found


# Peers


def pierian(network: Network) -> tuple[Step, str]:
    """The compiled step, repeated."""
    import pierian as pr
    from pierian import models, nn, optim

    pr.manual_seed(0)
    model = _torch_like(network, nn) if network.layers else models.resnet18(10, 1)
    if network.layers:
        model(pr.tensor(data(network)[0]))  # layers learn their sizes
        for module, pair in zip(_weighted(model, nn), weights(network), strict=True):
            for parameter, value in zip((module.weight, module.bias), pair, strict=True):
                with pr.no_grad():
                    parameter.copy_(pr.tensor(value))
    parameters, loss = model.parameters(), nn.CrossEntropyLoss()
    if network.optimizer == "adam":
        update: Any = optim.Adam(parameters)
    else:
        update = optim.SGD(parameters, lr=0.01, momentum=0.9)
    x, y = (pr.tensor(part) for part in data(network))

    @pr.jit
    def step() -> Any:
        value = loss(model(x), y)
        value.backward()
        update.step()
        update.zero_grad()
        return value.detach()

    return lambda: float(step()), pr.__version__


def _torch_like(network: Network, nn: Any) -> Any:
    """The network of a library with PyTorch's names."""
    layers: list[Any] = []
    (channels, *_), known = network.size, weights(network)
    shapes = iter([weight.shape for weight, _ in known])
    for layer in network.layers:
        kind = layer if isinstance(layer, str) else layer[0]
        if kind == "conv":
            layers.append(nn.Conv2d(channels, layer[1], *layer[2:]))
            channels = next(shapes)[0]
        elif kind == "linear":
            layers.append(nn.Linear(next(shapes)[1], layer[1]))
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels))
        else:
            made = {"relu": nn.ReLU, "flat": nn.Flatten, "pool": lambda: nn.MaxPool2d(2)}
            layers.append(made[kind]())
    return nn.Sequential(*layers)


def _weighted(model: Any, nn: Any) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def torch(network: Network, last: bool = False, compiled: bool = False) -> tuple[Step, str]:
    """Eager or compiled, images with channels first or last."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = _torch_like(network, nn) if network.layers else _torch_resnet(nn)
    pairs = weights(network) if network.layers else []
    for module, pair in zip(_weighted(model, nn) if pairs else [], pairs, strict=True):
        for parameter, value in zip((module.weight, module.bias), pair, strict=True):
            parameter.data = torch.from_numpy(value)
    form = torch.channels_last if last else torch.contiguous_format
    model = model.to(memory_format=form)
    loss, parameters = nn.CrossEntropyLoss(), model.parameters()
    adam = network.optimizer == "adam"
    update: Any = (
        torch.optim.Adam(parameters) if adam else torch.optim.SGD(parameters, 0.01, momentum=0.9)
    )
    x, y = (torch.from_numpy(part) for part in data(network))
    x = x.to(memory_format=form)
    forward = torch.compile(lambda x, y: loss(model(x), y)) if compiled else None

    def step() -> float:
        value = forward(x, y) if forward else loss(model(x), y)
        update.zero_grad()
        value.backward()
        update.step()
        return value.item()

    return step, torch.__version__


def _torch_resnet(nn: Any) -> Any:
    """ResNet-18 for one channel and ten classes, like ours."""

    class Block(nn.Module):
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            conv, norm = nn.Conv2d, nn.BatchNorm2d
            self.long = nn.Sequential(
                conv(inputs, width, 3, stride, 1, bias=False), norm(width), nn.ReLU(inplace=True),
                conv(width, width, 3, 1, 1, bias=False), norm(width),
            )  # fmt: skip
            self.short = nn.Sequential()
            if stride != 1 or inputs != width:
                self.short = nn.Sequential(
                    conv(inputs, width, 1, stride, bias=False), norm(width)
                )  # fmt: skip
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.long(x) + self.short(x))

    stem = [nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    blocks, inputs = [], 64
    for width in (64, 128, 256, 512):
        blocks += [Block(inputs, width, 1 if width == 64 else 2), Block(width, width, 1)]
        inputs = width
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *end)


def jax(network: Network) -> tuple[Step, str]:
    """A jitted step with buffers given away; images with channels last."""
    import jax
    import jax.numpy as jnp

    if not network.layers or "norm" in network.layers or network.optimizer != "adam":
        raise NotImplementedError("its step is written for networks without BatchNorm only")
    pairs = [
        (w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T, b) for w, b in weights(network)
    ]  # fmt: skip
    x, y = data(network)
    x = jnp.asarray(x.transpose(0, 2, 3, 1))

    def loss(params: Any, x: Any) -> Any:
        rows = iter(params)
        for layer in network.layers:
            kind = layer if isinstance(layer, str) else layer[0]
            if kind == "conv":
                w, b = next(rows)
                pad = [(layer[4], layer[4])] * 2
                form = ("NHWC", "HWIO", "NHWC")
                x = jax.lax.conv_general_dilated(x, w, (layer[3],) * 2, pad,
                                                 dimension_numbers=form) + b  # fmt: skip
            elif kind == "linear":
                w, b = next(rows)
                x = x @ w + b
            elif kind == "relu":
                x = jax.nn.relu(x)
            elif kind == "pool":
                window = (1, 2, 2, 1)
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
            else:
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(len(y)), y])

    def step(state: Any) -> Any:
        params, m, v, t = state
        value, grads = jax.value_and_grad(loss)(params, x)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        root = jnp.sqrt(1 - 0.999**t)
        params = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8 * root), params, m, v
        )
        return (params, m, v, t), value

    run = jax.jit(step, donate_argnums=0)
    params = jax.tree.map(jnp.asarray, pairs)
    state = [(params, jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params),
              jnp.zeros(()))]  # fmt: skip

    def once() -> float:
        state[0], value = run(state[0])
        return float(value)

    return once, jax.__version__


PEERS: dict[str, Callable[[Network], tuple[Step, str]]] = {
    "pierian jit": pierian,
    "torch eager": torch,
    "torch channels last": lambda network: torch(network, last=True),
    "torch compiled": lambda network: torch(network, compiled=True),
    "torch compiled, channels last": lambda network: torch(network, last=True, compiled=True),
    "jax jit": jax,
}


# Measuring


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per network and peer the seconds of a step, the first one apart."""
    results = []
    for network in NETWORKS:
        if not bench.wants_workload(network.name):
            continue
        for peer in [name for name in PEERS if bench.wants(name)]:
            what = network.name.partition(",")[0]
            answers = []
            for _ in range(bench.rounds):
                arguments = peer, network.name, str(bench.seconds)
                answers.append(bench.child(peer, "benchmarks.images", *arguments, what=what))
                if answers[-1] is None:
                    break
            if all(answers):
                times = [t for answer in answers for t in answer["times"]]
                results.append({
                    "network": network.name, "peer": peer, "min": min(times),
                    "median": statistics.median(times),
                    "first": min(answer["first"] for answer in answers),
                    "loss": answers[0]["loss"], "peak": min(a["peak"] for a in answers),
                })  # fmt: skip
    return {"results": results}


def table(answer: dict[str, Any]) -> str:
    """One row per network and peer, ratios to the best peer that is not ours."""
    rows = []
    for network in NETWORKS:
        found = [r for r in answer["results"] if r["network"] == network.name]
        others = [r["min"] for r in found if not r["peer"].startswith("pierian")]
        for r in found:
            ours = r["peer"].startswith("pierian")
            ratio = f"{r['min'] / min(others):.2f}" if others else None
            rows.append([network.name, r["peer"], micro(r["min"]), micro(r["median"]), ratio,
                         f"≤ {network.goal}" if ours else None, f"{r['first']:.2f}",
                         f"{r['peak']:.0f}", f"{r['loss']:.4f}"])  # fmt: skip
    head = "network|peer|min µs|median µs|× best peer|goal|first step s|peak MB|loss, 5 steps"
    return markdown(head, rows, text_columns=2)


def main(peer: str, name: str, seconds: str) -> None:
    """Time single steps for so many seconds."""
    import resource

    network = next(n for n in NETWORKS if n.name == name)
    step, version = PEERS[peer](network)
    started = time.perf_counter()
    losses = [step()]
    first = time.perf_counter() - started
    losses += [step() for _ in range(4)]
    times = []
    until = time.perf_counter() + float(seconds)
    while time.perf_counter() < until or len(times) < 5:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"times": times, "first": first, "loss": losses[-1], "peak": peak,
                      "version": version}))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
