"""What is measured: each workload with the arrays that every peer starts from.

May import: numpy. To add one: a row in `WORKLOADS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One thing to time.

    Args:  kind    which function of a peer runs it: "train" (a training step of a dense network)
                   or "record" (one small operation with gradients on).
           sizes   widths of the layers, input first; for "record" the length of the vectors.
           batch   examples per step.
           lr      learning rate of the optimizer.
           steps   calls timed per round.
           goal    what the ratio to the reference peer should not exceed.
           limit   what one call should not exceed, in microseconds.
    """

    name: str
    kind: str
    sizes: tuple[int, ...]
    batch: int = 1
    lr: float = 1e-3
    steps: int = 100
    goal: float | None = None
    limit: float | None = None

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products in one step (multiply-add = 2)."""
        if self.kind != "train":
            return 0
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        forward = sum(2 * self.batch * m * n for m, n in pairs)
        return 3 * forward - 2 * self.batch * pairs[0][0] * pairs[0][1]  # no gradient of the data


WORKLOADS = (
    Workload("mlp 784-512-10 ReLU, Adam, b128", "train", (784, 512, 10), 128, goal=1.5),
    Workload("record a + b, 10 elements", "record", (10,), steps=20_000, limit=4.0),
)


@dataclass(frozen=True)
class Arrays:
    """Inputs, labels and the first weights (out, in) and biases of a network."""

    x: np.ndarray
    y: np.ndarray
    weights: list[np.ndarray]
    biases: list[np.ndarray]


def arrays(workload: Workload) -> Arrays:
    """The same arrays in every process."""
    rng = np.random.Generator(np.random.Philox(7))
    sizes = workload.sizes
    x = rng.random((workload.batch, sizes[0]), dtype=np.float32)
    y = rng.integers(0, sizes[-1], workload.batch)
    weights, biases = [], []
    for m, n in zip(sizes, sizes[1:], strict=False):
        bound = m**-0.5
        weights.append((rng.random((n, m), dtype=np.float32) * 2 - 1) * np.float32(bound))
        biases.append((rng.random(n, dtype=np.float32) * 2 - 1) * np.float32(bound))
    return Arrays(x, y, weights, biases)
