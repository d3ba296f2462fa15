"""The table of layers over images (and normalisations): one text, evaluated in us and in PyTorch.

Knows NumPy only, so that tools/make_image_golden.py can run it beside PyTorch. To add a layer: a
row of its constructor and the shape of its input; then run the tool.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

L, I, V = (2, 4, 7), (2, 4, 6, 5), (2, 2, 4, 3, 4)  # sequences, images, volumes  # noqa: E741
ODD, LARGE = (3, 4, 5, 7), (2, 2, 8, 7)


@dataclass(frozen=True)
class Row:
    """The text of a layer, the shape of its input, and whether PyTorch has it."""

    text: str
    shape: tuple[int, ...]
    torch: bool = True

    @property
    def x(self) -> np.ndarray:
        """The input: numbers at least 0.05 apart, around 0."""
        order = numbers(self.text).permutation(int(np.prod(self.shape)))
        return ((order - len(order) / 2) * 0.05 + 0.02).reshape(self.shape)

    @property
    def name(self) -> str:
        """The class."""
        return self.text.split("(")[0]


def numbers(text: str) -> np.random.Generator:
    """Random numbers that depend on `text` alone."""
    return np.random.default_rng(zlib.crc32(text.encode()))


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a parameter or buffer of this name starts with."""
    low, high = (0.5, 1.5) if "var" in name else (-1.0, 1.0)
    return numbers(f"{name}{shape}").uniform(low, high, shape)


def slope(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that comes in from behind."""
    return numbers(f"{text} slope").uniform(0.5, 1.5, shape)


TABLE: list[tuple[str, tuple[int, ...]]] = [
    ("Conv1d(4, 3, 3)", L),
    ("Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)", L),
    ("Conv1d(4, 2, 9, padding=1)", L),
    ("Conv2d(4, 3, 3)", I),
    ("Conv2d(4, 3, 1)", I),
    ("Conv2d(4, 3, 1, stride=2)", ODD),
    ("Conv2d(4, 3, 3, padding=1, bias=False)", I),
    ("Conv2d(4, 3, 3, stride=2, padding=1)", ODD),
    ("Conv2d(4, 3, (5, 2), stride=(1, 2), padding=(2, 0))", ODD),
    ("Conv2d(4, 3, (6, 5))", I),
    ("Conv2d(4, 3, (7, 8), padding=(1, 2))", I),
    ("Conv2d(2, 3, 3, dilation=(2, 3), padding=1)", LARGE),
    ("Conv2d(2, 3, 2, stride=3)", LARGE),
    ("Conv2d(4, 4, 3, groups=4, padding=1)", ODD),
    ("Conv2d(4, 8, 3, groups=4, stride=2)", ODD),
    ("Conv2d(4, 6, 3, groups=2, padding=1)", I),
    ("Conv2d(4, 3, 3, padding='same')", I),
    ("Conv2d(4, 3, (4, 3), padding='same', dilation=2)", I),
    ("Conv2d(4, 3, 3, padding='valid')", I),
    ("Conv2d(4, 3, 3, padding=1, padding_mode='reflect')", I),
    ("Conv2d(4, 3, 3, padding=(2, 1), padding_mode='replicate')", I),
    ("Conv2d(4, 3, 3, padding='same', padding_mode='circular')", I),
    ("Conv2d(4, 3, 3)", (1, 4, 3, 3)),
    ("Sequential(ZeroPad2d((1, 2, 0, 3)), Conv2d(4, 3, 3, stride=2))", I),
    ("Conv3d(2, 3, 2)", V),
    ("Conv3d(2, 4, (3, 1, 2), stride=(1, 2, 2), padding=(1, 0, 1), groups=2)", V),
    ("ConvTranspose1d(4, 3, 3, stride=2, output_padding=1)", L),
    ("ConvTranspose2d(4, 3, 3)", I),
    ("ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)", I),
    ("ConvTranspose2d(4, 6, (2, 3), stride=(3, 1), groups=2, dilation=2, bias=False)", I),
    ("ConvTranspose2d(4, 3, 2, stride=3)", I),
    ("ConvTranspose3d(2, 3, 2, stride=(1, 2, 1), padding=(1, 0, 0))", V),
    ("MaxPool1d(3)", L),
    ("MaxPool1d(2, stride=1, padding=1, dilation=3)", L),
    ("MaxPool2d(2)", I),
    ("MaxPool2d(3, 2, 1)", ODD),
    ("MaxPool2d((2, 3), ceil_mode=True)", ODD),
    ("MaxPool2d(3, 2, 1, ceil_mode=True)", I),
    ("MaxPool3d((2, 1, 2))", V),
    ("AvgPool1d(3, 2, 1)", L),
    ("AvgPool2d(2)", I),
    ("AvgPool2d(3, 2, 1, count_include_pad=False)", ODD),
    ("AvgPool2d(3, 2, 1, ceil_mode=True)", I),
    ("AvgPool2d(2, ceil_mode=True, count_include_pad=False)", ODD),
    ("AvgPool2d((2, 3), divisor_override=5)", I),
    ("AvgPool3d((2, 3, 2), 1)", V),
    ("AdaptiveAvgPool1d(3)", L),
    ("AdaptiveAvgPool2d((4, 3))", ODD),
    ("AdaptiveAvgPool2d((None, 1))", I),
    ("AdaptiveAvgPool2d(1)", I),
    ("AdaptiveAvgPool2d((7, 6))", I),
    ("AdaptiveAvgPool3d(2)", V),
    ("AdaptiveMaxPool1d(3)", L),
    ("AdaptiveMaxPool2d((4, 3))", ODD),
    ("AdaptiveMaxPool3d((2, 2, 1))", V),
    ("BatchNorm1d(4)", L),
    ("BatchNorm1d(4, affine=False)", (5, 4)),
    ("BatchNorm2d(4)", I),
    ("BatchNorm2d(4, eps=0.1, momentum=None)", I),
    ("BatchNorm2d(4, track_running_stats=False)", I),
    ("BatchNorm3d(2, momentum=0.3)", V),
    ("InstanceNorm1d(4)", L),
    ("InstanceNorm2d(4, affine=True)", I),
    ("InstanceNorm2d(4, track_running_stats=True)", I),
    ("InstanceNorm3d(2, affine=True, track_running_stats=True)", V),
    ("GroupNorm(2, 4)", I),
    ("GroupNorm(4, 4, affine=False)", (3, 4, 5)),
    ("LayerNorm(5)", I),
    ("LayerNorm((6, 5), eps=0.01, bias=False)", I),
    ("LayerNorm((4, 7), elementwise_affine=False)", L),
    ("RMSNorm((6, 5))", I),
    ("RMSNorm(7, eps=0.1, elementwise_affine=False)", L),
    ("Upsample(scale_factor=2)", I),
    ("Upsample((7, 9))", I),
    ("Upsample(scale_factor=1.7)", L),
    ("Upsample(scale_factor=2, mode='linear')", L),
    ("Upsample((3, 11), mode='bilinear')", I),
    ("Upsample(scale_factor=(1.5, 0.6), mode='bilinear')", I),
    ("Upsample((9, 4), mode='bilinear', align_corners=True)", I),
    ("Upsample(scale_factor=2, mode='trilinear', align_corners=True)", V),
    ("ZeroPad1d((2, 1))", L),
    ("ZeroPad2d((1, 0, 2, -1))", I),
    ("ZeroPad3d(1)", V),
    ("PixelShuffle(2)", I),
    ("Unflatten(1, (2, 2))", I),
]
OURS: list[tuple[str, tuple[int, ...]]] = [  # what PyTorch has not
    ("Conv2D(3, (3, 2), strides=2, padding='same', activation='tanh')", (2, 6, 5, 4)),
    ("Conv2D(3, 2, data_format='channels_first', use_bias=False)", I),
    ("Conv2d(4, 3, 3, stride=2, padding=((1, 0), (2, 1)))", I),
    ("Conv2d(None, 3, 3)", I),
    ("BatchNormalization()", (3, 6, 4)),
    ("BatchNormalization(axis=1, scale=False)", I),
    ("MaxPooling2D((2, 3), padding='same')", (2, 5, 4, 3)),
    ("AveragePooling2D(3, 2, 'same')", (2, 5, 4, 3)),
    ("GlobalAveragePooling2D()", (2, 5, 4, 3)),
    ("GlobalMaxPooling2D('channels_first', keepdims=True)", I),
    ("LazyConv1d(3, 3)", L),
    ("LazyConv2d(3, 3, stride=2)", I),
    ("LazyConv3d(2, 2, groups=2)", V),
    ("LazyConvTranspose1d(3, 3)", L),
    ("LazyConvTranspose2d(3, 3, stride=2)", I),
    ("LazyConvTranspose3d(2, 2)", V),
    ("LazyBatchNorm1d()", (5, 4)),
    ("LazyBatchNorm2d(eps=0.01)", I),
    ("LazyBatchNorm3d()", V),
]
ROWS = {f"{text} {'x'.join(map(str, shape))}": Row(text, shape) for text, shape in TABLE}
ROWS |= {f"{text} {'x'.join(map(str, shape))}": Row(text, shape, torch=False)
         for text, shape in OURS}  # fmt: skip


def golden(torch: Any, row: Row) -> dict[str, np.ndarray]:
    """What PyTorch gives for a row in float64, with all gradients: in training, and in eval where
    that differs.
    """
    found: dict[str, np.ndarray] = {}
    for training in (True, False):
        layer = eval(row.text, dict(vars(torch.nn))).double().train(training)
        state = layer.state_dict()
        for name, tensor in state.items():
            if tensor.is_floating_point():
                state[name] = torch.tensor(parameter(name, tuple(tensor.shape)))
        layer.load_state_dict(state)
        x = torch.tensor(row.x, requires_grad=True)
        y = layer(x)
        y.backward(torch.tensor(slope(row.text, tuple(y.shape))))
        arrays = {"y": y.detach(), "x": x.grad}
        arrays |= {f"d{name}": p.grad for name, p in layer.named_parameters()}
        arrays |= {f"b{name}": b for name, b in layer.named_buffers() if training}
        mode = "train" if training else "eval"
        found |= {f"{mode} {name}": a.double().numpy() for name, a in arrays.items()}
    same = all((found[f"eval {k[6:]}"] == v).all() for k, v in found.items()
               if k.startswith("train ") and f"eval {k[6:]}" in found)  # fmt: skip
    if same:
        found = {k: v for k, v in found.items() if k.startswith("train ")}
    return found
