"""New heads: a residual network up to its last images, then layers for classes of one's own.

May import: base, core, ops, nn, resnet.
"""

from __future__ import annotations

from typing import Any

from pierian import nn
from pierian.base.errors import message
from pierian.core.tensor import Tensor
from pierian.models.resnet import ResNet
from pierian.nn.registry import register
from pierian.ops.movement import concat


@register
class AdaptiveConcatPool2d(nn.Module):
    """The largest and the mean of each channel. Shapes: x (b, c, h, w) -> (b, 2·c, 1, 1)."""

    def __init__(self) -> None:
        self.ap, self.mp = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return concat([self.mp(x), self.ap(x)], 1)


def create_head(
    channels: int, num_classes: int, hidden: int = 512, dropout: float = 0.5
) -> nn.Sequential:
    """Layers from images of many channels to scores of classes, as fastai puts them together.

    Shapes:  x (b, channels, h, w) -> (b, num_classes)
    Args:    hidden   width of the layer between.
             dropout  after it; before it, half as much.

    >>> create_head(64, 2)(pr.zeros(5, 64, 3, 3)).shape
    (5, 2)
    """
    wide = nn.Linear(2 * channels, hidden, bias=False)
    last = nn.Linear(hidden, num_classes, bias=False)
    for layer in (wide, last):
        nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(
        AdaptiveConcatPool2d(), nn.Flatten(), nn.BatchNorm1d(2 * channels),
        nn.Dropout(dropout / 2), wide, nn.ReLU(), nn.BatchNorm1d(hidden), nn.Dropout(dropout), last,
    )  # fmt: skip


def with_head(net: ResNet, num_classes: int, **options: Any) -> nn.Sequential:
    """A residual network with a new head; its other layers, and their weights, are kept.

    Shapes:  x (b, c, h, w) -> (b, num_classes)
    Args:    options  those of `create_head`.
    Raises:  TypeError for another network.

    >>> model = with_head(pr.models.resnet18(in_channels=1), num_classes=3)
    >>> [name for name, _ in model.named_children()]
    ['0', '1']
    """
    if not isinstance(net, ResNet):
        raise TypeError(
            message("with_head", "the network must be one of the residual ones",
                    "resnet18() or the like", type(net).__name__,
                    "Write the last layer of a model of your own, and train Learner(dls, model)")
        )  # fmt: skip
    return nn.Sequential(net.body(), create_head(net.fc.in_features, num_classes, **options))
