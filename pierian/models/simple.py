"""Networks of layers one after the other.

May import: base, nn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pierian import nn
from pierian.base.errors import ShapeError, message

Size = tuple[int, int]


def mlp(
    in_features: int = 784, hidden: Sequence[int] = (512,), num_classes: int = 10,
    dropout: float = 0.0,
) -> nn.Sequential:  # fmt: skip
    """A multilayer perceptron with ReLU between its layers, from images or rows to logits.

    Shapes:  x (b, ...) of in_features in all -> (b, num_classes).
    Args:    hidden   widths of the layers between.
             dropout  after each of them.

    >>> mlp(hidden=(30, 20)).summary((28, 28)).parameters
    24380
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for width in hidden:
        layers += [nn.Linear(in_features, width), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, num_classes))


def lenet5(num_classes: int = 10, in_channels: int = 1, size: Size = (28, 28)) -> nn.Sequential:
    """LeNet-5 as it is trained today: ReLU, maxima and logits.

    Shapes:  x (b, in_channels, *size) -> (b, num_classes); size 12×12 or more.
    Raises:  ShapeError for smaller images.
    Source:  LeCun et al. 1998, doi:10.1109/5.726791, whose own layers have tanh, trained averages
             and radial units.
    """
    rows, columns = ((side // 2 - 4) // 2 for side in size)
    enough("lenet5", size, 12)
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * rows * columns, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, num_classes),
    )  # fmt: skip


def convnet(
    num_classes: int = 10, in_channels: int = 1, widths: Sequence[int] = (32, 64),
    size: Size = (28, 28), dropout: float = 0.0,
) -> nn.Sequential:  # fmt: skip
    """A small convolutional network: 3×3 filters, ReLU and a maximum over 2×2, for each width.

    Shapes:  x (b, in_channels, *size) -> (b, num_classes).
    Raises:  ShapeError for images that are halved too often.
    """
    enough("convnet", size, 2 ** len(widths))
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        in_channels, size = width, (size[0] // 2, size[1] // 2)
    layers += [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(in_channels * math.prod(size), num_classes))


def enough(where: str, size: Size, least: int) -> None:
    """Raise ShapeError when images have no pixel left behind the layers."""
    if min(size) < least:
        must, fix = (
            "images must be large enough for its layers",
            "Resize them, or take another model",
        )
        got = f"{size[0]}×{size[1]}"
        raise ShapeError(message(where, must, f"{least}×{least} or more", got, fix))
