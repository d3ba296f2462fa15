"""Tensor operations: plain Python beside the fast ones, with their times."""

import time

import numpy as np

from pierian.compat.keras import ops

TITLE = "Tensor operations"
GOALS = {"largest difference": "<= 0.001", "times as fast": ">= 100", "axes": "== 4"}
SAMPLE = {"largest difference": "<= 0.001", "axes": "== 4"}  # CI does not time


def naive_relu_of_sum(x, y):
    out = x.copy()
    for i, j in np.ndindex(x.shape):
        out[i, j] = max(x[i, j] + y[i, j], 0)
    return out


def naive_matmul(x, y):
    out = np.zeros((x.shape[0], y.shape[1]), "float32")
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            for k in range(x.shape[1]):
                out[i, j] += x[i, k] * y[k, j]
    return out


def timed(fn, *args, repeat):
    best = float("inf")
    for _ in range(repeat):
        begun = time.perf_counter()
        out = fn(*args)
        best = min(best, time.perf_counter() - begun)
    return np.asarray(out), best


def main() -> dict[str, float]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 150, 150)).astype("float32")
    pairs = {
        "relu(x + y)": (naive_relu_of_sum, lambda x, y: ops.relu(ops.add(x, y))),
        "matmul(x, y)": (naive_matmul, ops.matmul),
    }
    differences, ratios = [], []
    for name, (naive, fast) in pairs.items():
        slow, seconds = timed(naive, a, b, repeat=1)
        quick, short = timed(fast, a, b, repeat=50)
        differences.append(np.abs(slow - quick).max())
        ratios.append(seconds / short)
        print(f"{name:14} plain {seconds:.4f} s, fast {short:.6f} s, {ratios[-1]:.0f} times")
    x, y = rng.random((64, 3, 32, 10)), rng.random((32, 10))
    print("broadcast", ops.maximum(x, y).shape, "reshape", ops.reshape(x, (64, -1)).shape)
    product = ops.matmul(rng.random((2, 3, 4, 5)), rng.random((5, 6)))
    print("(2, 3, 4, 5) times (5, 6):", product.shape, "turned", ops.transpose(y).shape)
    return dict(zip(GOALS, (max(differences), min(ratios), product.ndim), strict=True))


if __name__ == "__main__":
    print(main(), "beside", GOALS)
