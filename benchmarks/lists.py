"""Multilayer perceptrons on plain Python lists: what `pierian.compat.scratch` is measured against.

Nothing here is used by the package. The layers do what a careful reader of the text writes, with
list comprehensions and no more work than the mathematics asks for.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pierian
from benchmarks.harness import Bench, markdown, micro
from pierian.compat import scratch

Row = list[float]


class Linear:
    """y = W x + b."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.w = [[random.random() for _ in range(inputs)] for _ in range(outputs)]
        self.b = [random.random() for _ in range(outputs)]

    def forward(self, x: Row) -> Row:
        self.x = x
        return [
            sum(w * v for w, v in zip(row, x, strict=True)) + b
            for row, b in zip(self.w, self.b, strict=True)
        ]

    def backward(self, g: Row) -> Row:
        self.b_grad = g
        self.w_grad = [[v * out for v in self.x] for out in g]
        return [
            sum(row[i] * out for row, out in zip(self.w, g, strict=True))
            for i in range(len(self.x))
        ]

    def params(self) -> list[Any]:
        return [self.w, self.b]

    def grads(self) -> list[Any]:
        return [self.w_grad, self.b_grad]


class Pointwise:
    """A function of each number whose slope is known from its result."""

    def __init__(self, f: Callable[[float], float], slope: Callable[[float], float]) -> None:
        self.f, self.slope = f, slope

    def forward(self, x: Row) -> Row:
        self.y = [self.f(v) for v in x]
        return self.y

    def backward(self, g: Row) -> Row:
        return [self.slope(y) * v for y, v in zip(self.y, g, strict=True)]

    def params(self) -> list[Any]:
        return []

    grads = params


class Dropout(Pointwise):
    """Zeroes with probability p, while training."""

    def __init__(self, p: float) -> None:
        self.p = p

    def forward(self, x: Row) -> Row:
        self.mask = [0 if random.random() < self.p else 1 for _ in x]
        return [v * m for v, m in zip(x, self.mask, strict=True)]

    def backward(self, g: Row) -> Row:
        return [v * m for v, m in zip(g, self.mask, strict=True)]


class Sequential:
    """Layers one after the other."""

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers

    def forward(self, x: Row) -> Row:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g: Row) -> Row:
        for layer in reversed(self.layers):
            g = layer.backward(g)
        return g

    def params(self) -> list[Any]:
        return [p for layer in self.layers for p in layer.params()]

    def grads(self) -> list[Any]:
        return [g for layer in self.layers for g in layer.grads()]


class SSE:
    """Sum of squared errors."""

    def loss(self, p: Row, a: Row) -> float:
        return sum((x - y) ** 2 for x, y in zip(p, a, strict=True))

    def gradient(self, p: Row, a: Row) -> Row:
        return [2 * (x - y) for x, y in zip(p, a, strict=True)]


class SoftmaxCrossEntropy:
    """Minus the log likelihood of the right class."""

    def softmax(self, x: Row) -> Row:
        most = max(x)
        exps = [math.exp(v - most) for v in x]
        total = sum(exps)
        return [e / total for e in exps]

    def loss(self, p: Row, a: Row) -> float:
        return -sum(math.log(q + 1e-30) * y for q, y in zip(self.softmax(p), a, strict=True))

    def gradient(self, p: Row, a: Row) -> Row:
        return [q - y for q, y in zip(self.softmax(p), a, strict=True)]


def each(f: Callable[..., float], *tensors: Any) -> Any:
    """`f` of the numbers at each place of equally nested lists."""
    if isinstance(tensors[0], list):
        return [each(f, *parts) for parts in zip(*tensors, strict=True)]
    return f(*tensors)


class GradientDescent:
    """Steps against the gradient."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, model: Any) -> None:
        for p, g in zip(model.params(), model.grads(), strict=True):
            p[:] = each(lambda w, d: w - self.lr * d, p, g)


class Momentum:
    """Steps against a running mean of the gradient."""

    def __init__(self, lr: float, momentum: float) -> None:
        self.lr, self.momentum = lr, momentum
        self.means: list[Any] = []

    def step(self, model: Any) -> None:
        if not self.means:
            self.means = [each(lambda _: 0.0, g) for g in model.grads()]
        keep = self.momentum
        for p, g, m in zip(model.params(), model.grads(), self.means, strict=True):
            m[:] = each(lambda old, new: keep * old + (1 - keep) * new, m, g)
            p[:] = each(lambda w, d: w - self.lr * d, p, m)


LISTS = SimpleNamespace(
    Linear=Linear, Sequential=Sequential, Dropout=Dropout, SSE=SSE,
    SoftmaxCrossEntropy=SoftmaxCrossEntropy, GradientDescent=GradientDescent, Momentum=Momentum,
    Sigmoid=lambda: Pointwise(scratch.sigmoid, lambda y: y * (1 - y)),
    Tanh=lambda: Pointwise(scratch.tanh, lambda y: 1 - y * y),
)  # fmt: skip

Task = tuple[Any, Any, Any, int, int]  # model, loss, optimizer, inputs, outputs


def xor(kit: Any) -> Task:
    layers = [kit.Linear(2, 2), kit.Sigmoid(), kit.Linear(2, 1)]
    return kit.Sequential(layers), kit.SSE(), kit.GradientDescent(0.1), 2, 1


def fizzbuzz(kit: Any) -> Task:
    layers = [kit.Linear(10, 25), kit.Tanh(), kit.Linear(25, 4), kit.Sigmoid()]
    return kit.Sequential(layers), kit.SSE(), kit.Momentum(0.1, 0.9), 10, 4


def logistic(kit: Any) -> Task:
    return kit.Linear(784, 10), kit.SoftmaxCrossEntropy(), kit.Momentum(0.01, 0.99), 784, 10


def deep(kit: Any) -> Task:
    model = kit.Sequential(
        [kit.Linear(784, 30), kit.Dropout(0.1), kit.Tanh(),
         kit.Linear(30, 10), kit.Dropout(0.1), kit.Tanh(), kit.Linear(10, 10)]
    )  # fmt: skip
    return model, kit.SoftmaxCrossEntropy(), kit.Momentum(0.01, 0.99), 784, 10


KITS = ("lists", "ours")
TASKS = {"xor": xor, "fizzbuzz": fizzbuzz, "logistic": logistic, "deep": deep}


def per_example(kit: Any, task: Callable[[Any], Task], seconds: float) -> float:
    """The least time of one example of training, of ten measured after a first."""
    random.seed(0)
    model, loss, optimizer, inputs, outputs = task(kit)
    examples = [
        ([random.random() for _ in range(inputs)], [random.random() for _ in range(outputs)])
        for _ in range(10)
    ]
    ahead = itertools.cycle(examples)

    def step() -> None:
        x, y = next(ahead)
        predicted = model.forward(x)
        loss.loss(predicted, y)
        model.backward(loss.gradient(predicted, y))
        optimizer.step(model)

    for _ in range(2):
        step()
    started = time.perf_counter()
    step()
    count = max(1, int(seconds / 10 / (time.perf_counter() - started)))
    best = math.inf
    for _ in range(10):
        started = time.perf_counter()
        for _ in range(count):
            step()
        best = min(best, (time.perf_counter() - started) / count)
    return best


def measure(bench: Bench) -> dict[str, Any]:
    """{"results"}: per program the least seconds of an example on lists, and of ours."""
    found = [bench.child("pierian", "benchmarks.lists", str(bench.seconds))
             for _ in range(bench.rounds)] if bench.wants("pierian") else []  # fmt: skip
    results = []
    for name in TASKS if all(found) and found else ():
        lists, ours = (min(answer[name][kit] for answer in found) for kit in KITS)
        results.append({"program": name, "lists": lists, "ours": ours})
    return {"results": results}


def table(answer: dict[str, Any]) -> str:
    """One row per program."""
    rows = [[r["program"], micro(r["lists"]), micro(r["ours"]), f"{r['lists'] / r['ours']:.1f}"]
            for r in answer["results"]]  # fmt: skip
    about = "One example of training, with networks written on plain Python lists and with "
    heads = "program|lists, µs|pierian.compat.scratch, µs|times faster"
    return f"{about}`pierian.compat.scratch`.\n\n{markdown(heads, rows)}"


def main(seconds: float) -> None:
    """Both of every program, turn about."""
    kits = dict(zip(KITS, (LISTS, scratch), strict=True))
    found = {name: {kit: per_example(kits[kit], task, seconds) for kit in KITS}
             for name, task in TASKS.items()}  # fmt: skip
    print(json.dumps(found | {"version": pierian.__version__}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
