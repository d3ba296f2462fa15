"""What is measured: each workload with the arrays that every peer starts from.

May import: numpy. To add one: a row in `WORKLOADS`, and in `DATA` where its examples are new.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAMPLE = Path(__file__).resolve().parent.parent / "pierian" / "data" / "mnist_sample.npz"
SAMPLE_TRAIN = 9_000  # its first rows are for training, the other 1,000 for testing
IDX_HEADERS = (16, 8, 16, 8)  # bytes before the pixels or labels
IDX_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
             "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """One dense network and how it is trained.

    Args:  data        which examples: a key of `DATA`.
           sizes       widths of the layers, input first.
           activation  between the layers: "relu", "tanh" or "sigmoid".
           loss        "cross_entropy" (of logits), "bce" (of logits) or "mse".
           optimizer   "adam" or "sgd", with PyTorch's defaults but `lr` and `momentum`.
           batch       examples per step.
           steps       steps per call: so many that one call into a peer does not weigh; of xor
                       the whole training of the textbook, 3,000 epochs.
           goal        what our time over that of the best peer should not exceed.
           share       of the FMA peak that a step on one thread should reach.
    """

    name: str
    data: str
    sizes: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    lr: float
    momentum: float = 0.0
    batch: int = 1
    steps: int = 2_000
    goal: float | None = None
    share: float | None = None

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products in one step (multiply-add = 2)."""
        products = [m * n for m, n in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])  # no gradient of the data


WORKLOADS = (
    Workload("mlp 784-512-10 ReLU, Adam, b128", "digits", (784, 512, 10), "relu", "cross_entropy",
             "adam", 1e-3, batch=128, steps=32, goal=0.8, share=0.8),
    Workload("softmax regression 784-10, SGD, b256", "digits", (784, 10), "relu", "cross_entropy",
             "sgd", 0.1, batch=256, steps=128, goal=0.6),
    Workload("threes 784-30-1 ReLU, BCE, SGD, b256", "threes", (784, 30, 1), "relu", "bce",
             "sgd", 0.1, batch=256, steps=128, goal=0.6),
    Workload("grus 784-30-10-10 tanh, momentum, b1", "digits", (784, 30, 10, 10), "tanh",
             "cross_entropy", "sgd", 1e-3, 0.9, goal=0.5),
    Workload("fizzbuzz 10-25-4 tanh, momentum, b1", "fizzbuzz", (10, 25, 4), "tanh",
             "cross_entropy", "sgd", 1e-2, 0.9, steps=5 * 923, goal=0.4),
    Workload("xor 2-2-1 sigmoid, MSE, SGD, b1", "xor", (2, 2, 1), "sigmoid", "mse",
             "sgd", 0.1, steps=3_000 * 4, goal=0.4),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Task:
    """A workload with its arrays, the same in every process.

    Shapes:  x (n, inputs), y (n,) or (n, 1), order (steps, batch), weights (out, in) each.
    Dtypes:  float32; order int64, as are the y of "cross_entropy".
    """

    workload: Workload
    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    weights: list[np.ndarray]
    biases: list[np.ndarray]


def make_task(w: Workload) -> Task:
    """The arrays of a workload: its examples, their order, the first weights."""
    rng = np.random.Generator(np.random.Philox(7))
    x, y = DATA[w.data](w, rng)
    rows = w.steps * w.batch
    passes = [rng.permutation(len(x)) for _ in range(-(-rows // len(x)))]
    order = np.concatenate(passes)[:rows].reshape(w.steps, w.batch)
    weights, biases = [], []
    for m, n in zip(w.sizes, w.sizes[1:], strict=False):
        bound = np.float32(m**-0.5)
        weights.append((rng.random((n, m), dtype=np.float32) * 2 - 1) * bound)
        biases.append((rng.random(n, dtype=np.float32) * 2 - 1) * bound)
    return Task(w, x, y, order, weights, biases)


def _digits(*_: object) -> tuple[np.ndarray, np.ndarray]:
    """The sample of MNIST that comes with the package."""
    with np.load(SAMPLE) as file:
        x, y = file["images"][:SAMPLE_TRAIN], file["labels"][:SAMPLE_TRAIN]
    return pixels(x), y.astype(np.int64)


def _threes(*_: object) -> tuple[np.ndarray, np.ndarray]:
    """Its threes (1) and sevens (0)."""
    x, y = _digits()
    wanted = (y == 3) | (y == 7)
    return x[wanted], (y[wanted, None] == 3).astype(np.float32)


def _fizzbuzz(*_: object) -> tuple[np.ndarray, np.ndarray]:
    """The bits of 101 … 1023, lowest first, and which of four words is said."""
    n = np.arange(101, 1024)
    x = (n[:, None] >> np.arange(10)) & 1
    return x.astype(np.float32), (n % 3 == 0) + 2 * (n % 5 == 0)


def _xor(*_: object) -> tuple[np.ndarray, np.ndarray]:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x, x.sum(1, keepdims=True) % 2


def _random(w: Workload, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples for a network of any sizes."""
    x = rng.random((2 * w.batch, w.sizes[0]), dtype=np.float32)
    return x, rng.integers(0, w.sizes[-1], len(x))


DATA: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "digits": _digits,
    "threes": _threes,
    "fizzbuzz": _fizzbuzz,
    "xor": _xor,
    "random": _random,
}


def pixels(images: np.ndarray) -> np.ndarray:
    """Bytes (n, 28, 28) as float32 (n, 784) from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def mnist() -> list[np.ndarray]:
    """Pixels and labels for training, then for testing: the full set where PIERIAN_DATA has it."""
    folder = Path(os.environ.get("PIERIAN_DATA", ""))
    for place in (folder, folder / "mnist"):
        if all((place / name).exists() for name in IDX_FILES):
            x, y, xt, yt = (
                np.frombuffer(gzip.decompress((place / name).read_bytes()), np.uint8, offset=header)
                for name, header in zip(IDX_FILES, IDX_HEADERS, strict=True)
            )
            return [pixels(x.reshape(len(y), -1)), y, pixels(xt.reshape(len(yt), -1)), yt]
    with np.load(SAMPLE) as file:
        x, y = pixels(file["images"]), file["labels"]
    return [x[:SAMPLE_TRAIN], y[:SAMPLE_TRAIN], x[SAMPLE_TRAIN:], y[SAMPLE_TRAIN:]]
