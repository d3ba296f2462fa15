"""Changes to whole batches of images: cut, flip, turn, scale, erase, mix.

May import: base, numpy. To add one: a frozen dataclass below `Transform` with `images`, or with
`__call__` when it changes targets too.

Every transform is called as `x, y = transform(x, y, rng)`, draws from `rng` alone and leaves its
arguments as they were. A `DataLoader(..., transform=)` hands every batch a generator of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pierian.base.errors import DtypeError, ShapeError, lookup, message
from pierian.data.loader import DataLoader

BYTE = np.float32(255)  # what uint8 images are divided by
FORMATS = ("channels_first", "channels_last")


@dataclass(frozen=True, eq=False)
class Transform:
    """Base of what changes a batch: subclasses define `images(x, rng)` for x (b, c, h, w).

    Shapes:  x (b, c, h, w), (b, h, w, c) with data_format="channels_last", or (b, h, w) without
             channels; y is handed through.
    Dtypes:  uint8 or floating; kept unless said otherwise, computed in between in float32.
    Args:    data_format  "channels_first" or "channels_last".
    Raises:  ShapeError and DtypeError for x that are no images; TypeError when a random transform
             is called without `rng`.
    """

    data_format: str = field(default="channels_first", kw_only=True)
    random: ClassVar[bool] = True  # whether it draws

    def __post_init__(self) -> None:
        lookup(self.name, "data_format", self.data_format, FORMATS)

    @property
    def name(self) -> str:
        """What errors call it."""
        return type(self).__name__

    def __call__(
        self, x: Any, y: Any = None, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, Any]:
        x = np.asarray(x)
        images = self.planes(x, rng)
        changed = self.images(images, rng)  # type: ignore[arg-type]
        return self.laid_out(changed, x.ndim), y

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The changed images, a new array unless nothing changes."""
        raise NotImplementedError

    def planes(self, x: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """A view of `x` as (b, c, h, w), after it has been checked."""
        last = self.data_format == "channels_last"
        if x.ndim not in (3, 4):
            shape = "(b, h, w, c)" if last else "(b, c, h, w)"
            raise ShapeError(
                message(self.name, "x must be a batch of images", f"shape {shape} or (b, h, w)",
                        f"shape {x.shape}", "Reshape it; x[None] makes a batch of one image")
            )  # fmt: skip
        if x.dtype != np.uint8 and x.dtype.kind != "f":
            raise DtypeError(
                message(self.name, "x must be images", "uint8 or a floating dtype", x.dtype,
                        "Convert x, with x.astype('float32')")
            )  # fmt: skip
        if self.random and not isinstance(rng, np.random.Generator):
            raise TypeError(
                message(self.name, "rng must be a generator", "np.random.default_rng(seed)",
                        f"a {type(rng).__name__}", "Pass it, or DataLoader(..., transform=...)")
            )  # fmt: skip
        if x.ndim == 3:
            return x[:, None]
        return np.moveaxis(x, -1, 1) if last else x

    def laid_out(self, x: np.ndarray, ndim: int) -> np.ndarray:
        """The opposite of `planes`."""
        if ndim == 3:
            return x[:, 0]
        return np.moveaxis(x, 1, -1) if self.data_format == "channels_last" else x

    def number(self, name: str, low: float, high: float = np.inf, strict: bool = False) -> None:
        """Raises ValueError unless the argument is a number from `low` (if `strict`, above) on."""
        value = getattr(self, name)
        known = isinstance(value, int | float | np.number)
        if not known or not low <= value <= high or (strict and value == low):
            end = "" if high == np.inf else f" <= {high}"
            raise ValueError(
                message(self.name, f"{name} must be a number in its range",
                        f"{low} {'<' if strict else '<='} {name}{end}", repr(value),
                        f"Pass another {name}")
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compose:
    """Several transforms, one after the other.

    Shapes:  as the transforms take and give them.
    Args:    transforms  functions of (x, y, rng) that return (x, y).
    Raises:  TypeError when one of them cannot be called.

    >>> change = Compose([RandomCrop(padding=4), RandomHorizontalFlip(), Normalize(0.5, 0.25)])
    >>> x, y = change(np.zeros((2, 3, 32, 32), np.uint8), np.ones(2), np.random.default_rng(0))
    >>> x.shape, x.dtype
    ((2, 3, 32, 32), dtype('float32'))
    """

    transforms: Sequence[Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]]

    def __post_init__(self) -> None:
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(
                    message("Compose", "transforms must be functions of (x, y, rng)", "callables",
                            f"a {type(transform).__name__}", "Pass a list of transforms")
                )  # fmt: skip

    def __call__(
        self, x: Any, y: Any = None, rng: np.random.Generator | None = None
    ) -> tuple[Any, Any]:
        for transform in self.transforms:
            x, y = transform(x, y, rng)  # type: ignore[arg-type]
        return x, y


@dataclass(frozen=True, eq=False)
class RandomCrop(Transform):
    """A window of each image at a place of its own, after padding on all sides.

    Shapes:  (b, c, h, w) -> (b, c, *size)
    Args:    padding  pixels added on each side before the cut.
             size     (h, w) or one int for a square; None keeps the size of the images.
             fill     the value of the added pixels, in units of x.
    Raises:  ShapeError when the padded images are smaller than `size`.

    >>> x, _ = RandomCrop(padding=1)(np.ones((1, 2, 2)), rng=np.random.default_rng(0))
    >>> x
    array([[[1., 1.],
            [0., 0.]]])
    """

    padding: int = 4
    size: int | tuple[int, int] | None = None
    fill: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("padding", 0)
        if self.size is not None:
            pair(self.name, self.size)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, pad = len(x), self.padding
        h, w = x.shape[2:] if self.size is None else pair(self.name, self.size)
        space = ((0, 0), (0, 0), (pad, pad), (pad, pad))
        padded = np.pad(x, space, constant_values=self.fill) if pad else x
        windows = _windows(self.name, padded, h, w)
        top, left = (rng.integers(0, count, n) for count in windows.shape[2:4])
        return windows[np.arange(n), :, top, left]


@dataclass(frozen=True, eq=False)
class CenterCrop(Transform):
    """The window in the middle of each image.

    Shapes:  (b, c, h, w) -> (b, c, *size)
    Args:    size  (h, w) or one int for a square.
    Raises:  ShapeError when the images are smaller than `size`.

    >>> CenterCrop(1)(np.arange(9.0).reshape(1, 3, 3))[0]
    array([[[4.]]])
    """

    size: int | tuple[int, int] = 224
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        pair(self.name, self.size)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        windows = _windows(self.name, x, *pair(self.name, self.size))
        down, across = windows.shape[2:4]
        return windows[:, :, (down - 1) // 2, (across - 1) // 2].copy()


@dataclass(frozen=True, eq=False)
class RandomHorizontalFlip(Transform):
    """Each image mirrored, left for right, with probability `p`.

    Shapes:  (b, c, h, w) -> same
    Args:    p  the probability.

    >>> RandomHorizontalFlip(p=1)(np.array([[[1.0, 2.0]]]), rng=np.random.default_rng(0))[0]
    array([[[2., 1.]]])
    """

    p: float = 0.5
    axis: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("p", 0, 1)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.random(len(x)) < self.p
        flipped = x.copy()
        flipped[chosen] = np.flip(x[chosen], self.axis)
        return flipped


@dataclass(frozen=True, eq=False)
class RandomVerticalFlip(RandomHorizontalFlip):
    """Each image mirrored, top for bottom, with probability `p`.

    Shapes:  (b, c, h, w) -> same
    Args:    p  the probability.

    >>> RandomVerticalFlip(p=1)(np.array([[[1.0], [2.0]]]), rng=np.random.default_rng(0))[0]
    array([[[2.],
            [1.]]])
    """

    axis: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class RandomRotation(Transform):
    """Each image turned about its middle by an angle of its own, uniform in ±`degrees`.

    Values are interpolated bilinearly; outside the image there is `fill`.

    Shapes:  (b, c, h, w) -> same
    Args:    degrees  the largest angle, >= 0.
             fill     the value outside, in units of x.

    >>> turn = RandomRotation(45)
    >>> turn(np.full((1, 3, 3), 8, np.uint8), rng=np.random.default_rng(0))[0]
    array([[[6, 8, 6],
            [8, 8, 8],
            [6, 8, 6]]], dtype=uint8)
    """

    degrees: float = 10
    fill: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("degrees", 0)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, c, h, w = x.shape
        angle = np.deg2rad(rng.uniform(-self.degrees, self.degrees, n))[:, None, None]
        down = np.arange(h)[:, None] - (h - 1) / 2
        across = np.arange(w) - (w - 1) / 2
        # where each pixel comes from, in an image with a border of `fill` one pixel wide
        y = np.sin(angle) * across + np.cos(angle) * down + (h - 1) / 2 + 1
        x_ = np.cos(angle) * across - np.sin(angle) * down + (w - 1) / 2 + 1
        y, x_ = np.clip(y, 0, h + 1), np.clip(x_, 0, w + 1)
        top, left = np.minimum(y.astype(np.intp), h), np.minimum(x_.astype(np.intp), w)
        space = ((0, 0), (0, 0), (1, 1), (1, 1))
        flat = np.pad(x, space, constant_values=self.fill).reshape(n, c, (h + 2) * (w + 2))
        corner = (top * (w + 2) + left).reshape(n, 1, h * w)
        dy, dx = (
            (a - b).reshape(n, 1, h * w).astype(np.float32) for a, b in [(y, top), (x_, left)]
        )

        def row(start: np.ndarray) -> np.ndarray:
            one, two = (np.take_along_axis(flat, start + i, 2).astype(np.float32) for i in (0, 1))
            return one + dx * (two - one)

        upper, lower = row(corner), row(corner + w + 2)
        return _as(x.dtype, upper + dy * (lower - upper)).reshape(x.shape)


@dataclass(frozen=True, eq=False)
class Resize(Transform):
    """Images of another size: bilinear, with as many pixels averaged as one of the result covers.

    Shapes:  (b, c, h, w) -> (b, c, *size)
    Args:    size  (h, w) or one int for a square.

    >>> Resize((1, 2))(np.array([[[0.0, 1, 2, 3], [4, 5, 6, 7]]]))[0]
    array([[[2.71428571, 4.28571429]]])
    """

    size: int | tuple[int, int] = 224
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        pair(self.name, self.size)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h, w = pair(self.name, self.size)
        if x.shape[2:] == (h, w):
            return x
        kind = np.result_type(x.dtype, np.float32) if x.dtype != np.uint8 else np.float32
        down, across = _shares(x.shape[2], h).astype(kind), _shares(x.shape[3], w).astype(kind)
        return _as(x.dtype, down @ x.astype(kind) @ across.T)


@dataclass(frozen=True, eq=False)
class ToFloat(Transform):
    """uint8 images as float32 from 0 to 1; floating ones are kept.

    Shapes:  (b, c, h, w) -> same
    Dtypes:  uint8 -> float32; floating -> same.

    >>> ToFloat()(np.array([[[0, 51, 255]]], np.uint8))[0]
    array([[[0. , 0.2, 1. ]]], dtype=float32)
    """

    random: ClassVar[bool] = False

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x / BYTE if x.dtype == np.uint8 else x


@dataclass(frozen=True, eq=False)
class Normalize(Transform):
    """(x - mean) / std, per channel; uint8 images are taken as 0 to 1, so divided by 255 first.

    Shapes:  (b, c, h, w) -> same
    Dtypes:  uint8 -> float32; floating -> same.
    Args:    mean, std  a number, or one per channel; `channel_stats` measures them.
    Raises:  ShapeError when x has another number of channels; ValueError unless std > 0.

    >>> Normalize(0.5, [0.5])(np.array([[[0, 255]]], np.uint8))[0]
    array([[[-1.,  1.]]], dtype=float32)
    """

    mean: Any = 0.0
    std: Any = 1.0
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mean", "std"):
            values = np.asarray(getattr(self, name), np.float64).ravel()
            object.__setattr__(self, name, tuple(values.tolist()))
        if not all(std > 0 for std in self.std):
            must = "std must be positive"
            raise ValueError(message(self.name, must, "std > 0", self.std, "Leave it out for 1"))

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for name, values in [("mean", self.mean), ("std", self.std)]:
            if len(values) not in (1, x.shape[1]):
                raise ShapeError(
                    message(self.name, f"{name} must have a value per channel",
                            f"1 or {x.shape[1]} for x of {x.shape[1]} channels", len(values),
                            "Pass others, or say data_format='channels_last'")
                )  # fmt: skip
        unit = BYTE if x.dtype == np.uint8 else 1.0
        kind = np.float32 if x.dtype == np.uint8 else x.dtype
        mean, std = (np.array(v).reshape(-1, 1, 1) * unit for v in (self.mean, self.std))
        return (x - mean.astype(kind)) * (1 / std).astype(kind)


@dataclass(frozen=True, eq=False)
class Cutout(Transform):
    """A square of each image erased; its middle is anywhere, so it may reach beyond the border.

    Shapes:  (b, c, h, w) -> same
    Args:    size  the side of the square in pixels.
             fill  the value it gets, in units of x.
             p     the probability that an image is changed.
    Source:  DeVries and Taylor 2017, arXiv:1708.04552.

    >>> Cutout(1)(np.ones((1, 2, 3)), rng=np.random.default_rng(0))[0]
    array([[[1., 1., 1.],
            [0., 1., 1.]]])
    """

    size: int = 16
    fill: float = 0
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("size", 1)
        self.number("p", 0, 1)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, _, h, w = x.shape
        size = np.where(rng.random(n) < self.p, self.size, 0)
        top = rng.integers(0, h, n) - self.size // 2
        left = rng.integers(0, w, n) - self.size // 2
        return _erased(x, top, left, size, size, self.fill)


@dataclass(frozen=True, eq=False)
class RandomErasing(Transform):
    """A rectangle of some images erased, of random area and shape, inside the image.

    Shapes:  (b, c, h, w) -> same
    Args:    p      the probability that an image is changed.
             scale  the smallest and largest share of the area.
             ratio  the smallest and largest height / width.
             fill   the value it gets, in units of x.
    Source:  Zhong et al. 2017, arXiv:1708.04896. Differs: a rectangle that is too long is cut to
             the image instead of drawn again.

    >>> x, _ = RandomErasing(p=1)(np.ones((1, 8, 8)), rng=np.random.default_rng(0))
    >>> int((x == 0).sum())
    4
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("p", 0, 1)

    def images(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, _, h, w = x.shape
        chosen = rng.random(n) < self.p
        area = rng.uniform(*self.scale, n) * h * w
        flattest, tallest = np.log(self.ratio).tolist()
        ratio = np.exp(rng.uniform(flattest, tallest, n))
        high = np.where(chosen, np.clip(np.rint(np.sqrt(area * ratio)), 1, h), 0).astype(int)
        wide = np.where(chosen, np.clip(np.rint(np.sqrt(area / ratio)), 1, w), 0).astype(int)
        top, left = rng.integers(0, h - high + 1), rng.integers(0, w - wide + 1)
        return _erased(x, top, left, high, wide, self.fill)


@dataclass(frozen=True, eq=False)
class Mixup(Transform):
    """Each image and target mixed with those of another example: λ of one, 1 - λ of the other.

    λ ~ Beta(alpha, alpha) is drawn once per batch. Targets become probabilities of classes, which
    `cross_entropy` takes as they are.

    Shapes:  x (b, c, h, w) -> same; y (b,) -> (b, classes); floating y -> same
    Dtypes:  x kept (uint8 is rounded); y integers -> float32, floating -> same.
    Args:    classes  how many there are; not needed when y is floating.
             alpha    > 0; the larger, the more is mixed.
    Raises:  DtypeError or ValueError when y are no class numbers and no probabilities.
    Source:  Zhang et al. 2017, arXiv:1710.09412.

    >>> x, y = Mixup(classes=3)(np.zeros((2, 4, 4)), [0, 2], np.random.default_rng(1))
    >>> y.shape, y.sum(axis=1)
    ((2, 3), array([1., 1.], dtype=float32))
    """

    classes: int | None = None
    alpha: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number("alpha", 0, strict=True)

    def __call__(
        self, x: Any, y: Any = None, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, Any]:
        x = np.asarray(x)
        images, targets = self.planes(x, rng), _soft(self.name, y, self.classes)
        if len(targets) != len(x):
            raise ShapeError(
                message(self.name, "there must be a target per image", f"{len(x)} targets",
                        f"y of shape {targets.shape}", "Pass the targets of these images")
            )  # fmt: skip
        share = rng.beta(self.alpha, self.alpha)  # type: ignore[union-attr]
        other = rng.permutation(len(x))  # type: ignore[union-attr]
        mixed, share = self.mixed(images, other, share, rng)  # type: ignore[arg-type]
        kept = targets.dtype.type(share)
        return self.laid_out(mixed, x.ndim), kept * targets + (1 - kept) * targets[other]

    def mixed(
        self, x: np.ndarray, other: np.ndarray, share: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """The images, and which share of each is its own."""
        part = np.float32(share) if x.dtype == np.uint8 else x.dtype.type(share)
        return _as(x.dtype, part * x + (1 - part) * x[other]), share


@dataclass(frozen=True, eq=False)
class CutMix(Mixup):
    """A rectangle of each image replaced by that of another; targets are mixed by area.

    The rectangle has the share 1 - λ of the area, λ ~ Beta(alpha, alpha), is drawn once per batch
    and cut to the image.

    Shapes:  x (b, c, h, w) -> same; y (b,) -> (b, classes); floating y -> same
    Dtypes:  x kept; y integers -> float32, floating -> same.
    Args:    classes  how many there are; not needed when y is floating.
             alpha    > 0; 1 makes all areas equally likely.
    Source:  Yun et al. 2019, arXiv:1905.04899.

    >>> x, y = CutMix(2)(np.eye(2).reshape(2, 1, 2), [0, 1], np.random.default_rng(0))
    >>> y.sum(axis=1)
    array([1., 1.], dtype=float32)
    """

    alpha: float = 1.0

    def mixed(
        self, x: np.ndarray, other: np.ndarray, share: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        spans: list[Any] = [slice(None), slice(None)]
        area = 1.0
        for side in x.shape[2:]:
            length = side * (1 - share) ** 0.5
            middle = rng.integers(0, side)
            low, high = np.clip(np.rint([middle - length / 2, middle + length / 2]), 0, side)
            spans.append(slice(int(low), int(high)))
            area *= (high - low) / side
        mixed, box = x.copy(), tuple(spans)
        mixed[box] = x[other][box]
        return mixed, 1 - area


def channel_stats(
    dataset: Any, batch_size: int = 256, *, workers: int = 0, data_format: str = "channels_first"
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and standard deviation of each channel of a dataset, read once in batches.

    Sums of uint8 images are exact; they are given in units of 255, as `Normalize` wants them.

    Shapes:  rows (c, h, w) or (h, w), alone or first in a tuple -> (c,) and (c,)
    Dtypes:  uint8 or floating -> float32.
    Args:    dataset      any dataset, array or list of rows.
             batch_size   rows read at a time; sizes of images may differ only between batches.
             workers      threads that read ahead, as in `DataLoader`.
             data_format  of the images.

    >>> mean, std = channel_stats(np.array([[[0, 255]], [[255, 0]]], np.uint8))
    >>> mean, std
    (array([0.5], dtype=float32), array([0.5], dtype=float32))
    """
    look = ToFloat(data_format=data_format)
    count, total, squares, unit = 0, np.zeros(1), np.zeros(1), 1.0
    for batch in DataLoader(dataset, batch_size, workers=workers):
        x = np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)
        planes = look.planes(x, None)
        unit = 255.0 if x.dtype == np.uint8 else 1.0
        count += planes[:, 0].size
        planes = planes.astype(np.float64)
        total = total + planes.sum((0, 2, 3))
        squares = squares + np.square(planes, out=planes).sum((0, 2, 3))
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return (mean / unit).astype(np.float32), (std / unit).astype(np.float32)


def pair(where: str, size: Any) -> tuple[int, int]:
    """A size as (h, w).

    Raises:  ValueError when it is neither an int nor two, all positive.
    """
    sides = (size, size) if isinstance(size, int | np.integer) else size
    right = isinstance(sides, tuple | list) and len(sides) == 2
    if not right or not all(isinstance(s, int | np.integer) and s >= 1 for s in sides):
        fix = "Pass size=(h, w) in pixels"
        raise ValueError(message(where, "size must be that of an image", "(h, w)", size, fix))
    return int(sides[0]), int(sides[1])


def _windows(where: str, x: np.ndarray, h: int, w: int) -> np.ndarray:
    """All windows of x (b, c, …, …) as a view (b, c, down, across, h, w)."""
    if x.shape[2] < h or x.shape[3] < w:
        raise ShapeError(
            message(where, "images must be at least as large as the cut", f"({h}, {w}) or more",
                    f"{x.shape[2:]} with padding", "Pass a smaller size, or Resize before")
        )  # fmt: skip
    return sliding_window_view(x, (h, w), axis=(2, 3))


def _erased(
    x: np.ndarray, top: Any, left: Any, high: np.ndarray, wide: np.ndarray, fill: float
) -> np.ndarray:
    """x with a rectangle of each image set to `fill`."""
    inside = []
    for start, length, side in [(top, high, x.shape[2]), (left, wide, x.shape[3])]:
        place = np.arange(side) - start[:, None]
        inside.append((place >= 0) & (place < length[:, None]))
    rows, columns = inside
    return np.where(rows[:, None, :, None] & columns[:, None, None], x.dtype.type(fill), x)


def _shares(old: int, new: int) -> np.ndarray:
    """How much of each of `old` pixels is in each of `new`: (new, old), rows sum to 1."""
    scale = old / new
    middle = (np.arange(new)[:, None] + 0.5) * scale - 0.5
    weight = np.maximum(1 - np.abs(np.arange(old) - middle) / max(scale, 1), 0)
    return weight / weight.sum(1, keepdims=True)


def _soft(where: str, y: Any, classes: int | None) -> np.ndarray:
    """Targets as probabilities of classes: class numbers become one-hot rows."""
    targets = np.asarray(y)
    if targets.dtype.kind == "f" and targets.ndim >= 1:
        return targets
    if targets.dtype.kind not in "iu" or targets.ndim != 1:
        raise DtypeError(
            message(where, "y must be class numbers or probabilities",
                    "integers of shape (b,) or floats", f"{targets.dtype} of shape {targets.shape}",
                    "Pass y to the transform, as class numbers")
        )  # fmt: skip
    if classes is None or targets.size and not 0 <= targets.min() <= targets.max() < classes:
        got = "classes=None" if classes is None else f"{targets.min()} … {targets.max()}"
        must = "class numbers must be below the number of classes"
        fix = f"Say how many classes there are, as in {where}(classes=10)"
        raise ValueError(message(where, must, f"0 … {classes or 'classes'} - 1", got, fix))
    return np.eye(classes, dtype=np.float32)[targets]


def _as(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    """Values in another dtype, rounded when it is uint8 and they are in its range."""
    return (np.rint(values) if dtype == np.uint8 else values).astype(dtype, copy=False)
