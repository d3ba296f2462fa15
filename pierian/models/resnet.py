"""Residual networks, with the names that torchvision gives their parameters.

May import: base, core, ops, nn. He et al. 2016, "Deep Residual Learning for Image Recognition",
arXiv:1512.03385; the stride of a bottleneck is in its 3×3 convolution, as in torchvision ("v1.5").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pierian import nn
from pierian.base.errors import lookup
from pierian.core.tensor import Tensor
from pierian.nn.registry import register
from pierian.ops.elementwise import relu

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """What the two kinds of block share: a short way beside the convolutions."""

    expansion = 1
    downsample: nn.Module | None

    def shortcut(self, inputs: int, outputs: int, stride: int) -> nn.Module | None:
        """What makes the input as wide and as small as the output; None where it is already."""
        if stride == 1 and inputs == outputs:
            return None
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def beside(self, x: Tensor) -> Tensor:
        """The short way."""
        return x if self.downsample is None else self.downsample(x)


@register
class BasicBlock(Block):
    """Two 3×3 convolutions. Shapes: x (b, inputs, h, w) -> (b, width, h / stride, w / stride)."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        self.inputs, self.width, self.stride = inputs, width, stride
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = self.shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + self.beside(x))


@register
class Bottleneck(Block):
    """1×1, 3×3 and 1×1 convolutions. Shapes: x (b, inputs, h, w) -> (b, 4·width, h / stride, …)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        self.inputs, self.width, self.stride = inputs, width, stride
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = self.shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        return relu(self.bn3(self.conv3(y)) + self.beside(x))


BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


@register
class ResNet(nn.Module):
    """A residual network; made by `resnet18` and the like.

    Shapes:  x (b, in_channels, h, w) -> (b, num_classes); made for 224×224, works from 1×1 on.
    Args:    block   "basic" or "bottleneck".
             depths  blocks in each of the stages.
             widths  channels in each of them, times four after a bottleneck.
    """

    def __init__(
        self, block: str, depths: Sequence[int], num_classes: int = 1000, in_channels: int = 3,
        widths: Sequence[int] = WIDTHS,
    ) -> None:  # fmt: skip
        self.block, self.depths, self.widths = block, depths, widths
        self.num_classes, self.in_channels = num_classes, in_channels
        kind: Any = BLOCKS[lookup("ResNet", "block", block, BLOCKS)]
        inputs = widths[0]
        self.conv1 = nn.Conv2d(in_channels, inputs, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            blocks = []
            for number in range(depth):
                blocks.append(kind(inputs, width, 2 if i > 1 and number == 0 else 1))
                inputs = width * kind.expansion
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as torchvision does
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        for stage in self.stages():
            x = stage(x)
        return self.fc(self.avgpool(x).flatten(1))

    def stages(self) -> list[nn.Module]:
        """The parts whose images have one size, in order."""
        return [getattr(self, f"layer{i}") for i in range(1, len(self.widths) + 1)]

    def body(self) -> nn.Sequential:
        """All layers up to the last images, with the same parameters; see `with_head`.

        Shapes:  x (b, in_channels, h, w) -> (b, fc.in_features, h / 32, w / 32)
        """
        return nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.maxpool, *self.stages())


def resnet18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-18; torchvision's weights load into it."""
    return ResNet("basic", (2, 2, 2, 2), num_classes, in_channels)


def resnet34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-34; torchvision's weights load into it."""
    return ResNet("basic", (3, 4, 6, 3), num_classes, in_channels)


def resnet50(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-50; torchvision's weights load into it."""
    return ResNet("bottleneck", (3, 4, 6, 3), num_classes, in_channels)
