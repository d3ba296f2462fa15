"""ResNets as torchvision has them, written in PyTorch, and what they give for weights by a formula.

Makes resnet_golden.json: names and shapes of all that torchvision's files hold, and outputs and
slopes of two small networks. Knows NumPy only beside PyTorch, so that it runs there:

    python tests/models/reference.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "resnet_golden.json"
KNOWN = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
}
WIDTHS = (64, 128, 256, 512)
# kind of block -> depths, widths of a small network
SMALL = {"basic": ((1, 1, 2), (8, 12, 16)), "bottleneck": ((1, 2), (4, 6))}
CLASSES, CHANNELS = 5, 2
INPUT = (3, CHANNELS, 33, 20)
PRIME = 100_003  # squares modulo a prime look random


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a parameter or buffer of a name and shape holds: the same everywhere, without a seed."""
    count = math.prod(shape)
    k = np.arange(count)
    wave = np.sin(k * k % PRIME + len(name)).reshape(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        wave *= (2 / math.prod(shape[1:])) ** 0.5
    elif name.endswith(("var", "weight")):
        wave = 1 + 0.5 * wave
    else:
        wave *= 0.1
    return wave


def images() -> np.ndarray:
    """The batch that is looked at."""
    return values("images", (math.prod(INPUT),)).reshape(INPUT)


def network(
    torch: Any, block: str, depths: Any, widths: Any = WIDTHS, classes: int = 1000,
    channels: int = 3,
) -> Any:  # fmt: skip
    """A residual network of PyTorch's modules, by torchvision's names."""
    n = torch.nn

    class Block(n.Module):
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            basic = block == "basic"
            outputs = width if basic else 4 * width
            plan = [(inputs, width, 3, stride), (width, width, 3, 1)]
            if not basic:
                plan = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
            self.depth = len(plan)
            for i, (a, b, kernel, step) in enumerate(plan, 1):
                setattr(self, f"conv{i}", n.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
                setattr(self, f"bn{i}", n.BatchNorm2d(b))
            if stride != 1 or inputs != outputs:
                short = n.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.downsample = n.Sequential(short, n.BatchNorm2d(outputs))
            self.outputs = outputs

        def forward(self, x: Any) -> Any:
            y = x
            for i in range(1, self.depth + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = y if i == self.depth else y.relu()
            return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()

    class ResNet(n.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = n.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
            self.bn1 = n.BatchNorm2d(widths[0])
            inputs = widths[0]
            for i, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
                blocks = []
                for j in range(depth):
                    blocks.append(Block(inputs, width, 2 if i > 1 and j == 0 else 1))
                    inputs = blocks[-1].outputs
                setattr(self, f"layer{i}", n.Sequential(*blocks))
            self.fc = n.Linear(inputs, classes)

        def forward(self, x: Any) -> Any:
            x = n.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
            for i in range(1, len(depths) + 1):
                x = getattr(self, f"layer{i}")(x)
            return self.fc(x.mean((2, 3)))

    return ResNet()


def small(torch: Any, block: str) -> Any:
    """A small network of PyTorch with the values of the formula."""
    model = network(torch, block, *SMALL[block], CLASSES, CHANNELS)
    state = {k: torch.from_numpy(values(k, tuple(v.shape))) for k, v in model.state_dict().items()}
    model.double().load_state_dict(state)
    return model


def looked_at(torch: Any, block: str) -> dict[str, Any]:
    """Outputs in eval mode and in training, and what is left after one backward pass."""
    model = small(torch, block)
    with torch.no_grad():
        evaluated = model.eval()(torch.from_numpy(images()))
    x = torch.from_numpy(images()).requires_grad_()
    trained = model.train()(x)
    trained.square().mean().backward()
    slopes = {"input": x.grad, "first": model.conv1.weight.grad, "last": model.fc.weight.grad}
    return {
        "eval": evaluated.tolist(), "train": trained.tolist(),
        "mean": model.bn1.running_mean.tolist(),
        "slopes": {name: summed(slope.numpy()) for name, slope in slopes.items()},
    }  # fmt: skip


def summed(slope: np.ndarray) -> list[float]:
    """A slope in two numbers: its size, and its sum against a wave."""
    flat = slope.astype(np.float64).ravel()
    return [float(np.linalg.norm(flat)), float(flat @ np.sin(np.arange(flat.size)))]


def main() -> None:
    """Write the golden file."""
    import torch

    shapes = {
        name: {key: list(value.shape) for key, value in network(torch, *row).state_dict().items()}
        for name, row in KNOWN.items()
    }
    record = {"shapes": shapes, "small": {block: looked_at(torch, block) for block in SMALL}}
    GOLDEN.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
