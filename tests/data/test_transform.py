"""Transforms of batches: against plain loops and Pillow, by the bit, by statistics, and errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pierian.base.errors import DtypeError, ShapeError
from pierian.data import (
    ArrayDataset,
    CenterCrop,
    Compose,
    CutMix,
    Cutout,
    DataLoader,
    DataLoaders,
    Mixup,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToFloat,
    channel_stats,
)

X = np.random.default_rng(0).integers(0, 256, (6, 3, 9, 7), np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


def rng(seed=0):
    return np.random.default_rng(seed)


TABLE = {  # transform -> shape of its images from (9, 7); whether it draws
    RandomCrop(padding=4): ((9, 7), True),
    RandomCrop(padding=0, size=(5, 4)): ((5, 4), True),
    RandomCrop(padding=2, size=10, fill=9): ((10, 10), True),
    CenterCrop((4, 7)): ((4, 7), False),
    RandomHorizontalFlip(): ((9, 7), True),
    RandomVerticalFlip(p=0.3): ((9, 7), True),
    RandomRotation(30): ((9, 7), True),
    RandomRotation(0, fill=5): ((9, 7), True),
    Resize((4, 5)): ((4, 5), False),
    Resize(12): ((12, 12), False),
    Normalize((0.1, 0.2, 0.3), 0.5): ((9, 7), False),
    ToFloat(): ((9, 7), False),
    Cutout(4): ((9, 7), True),
    RandomErasing(p=0.7, fill=3): ((9, 7), True),
    Mixup(3): ((9, 7), True),
    CutMix(3): ((9, 7), True),
}
FLOATS = (Normalize, ToFloat)  # whose results are floating


@pytest.mark.parametrize("transform", TABLE, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_transform_keeps_dtype_arguments_and_bits(transform, dtype):
    shape, random = TABLE[transform]
    x = X.astype(dtype)
    before = x.copy()
    got, y = transform(x, Y, rng(1))
    kind = np.float32 if dtype == np.uint8 and isinstance(transform, FLOATS) else dtype
    assert (got.shape, got.dtype) == ((6, 3, *shape), kind)
    assert len(y) == 6
    np.testing.assert_array_equal(x, before, strict=True)
    for again in (transform(x, Y, rng(1)), transform(np.asfortranarray(x), Y, rng(1))):
        np.testing.assert_array_equal(again[0], got, strict=True)
        np.testing.assert_array_equal(again[1], y, strict=True)
    generator = rng(1)
    transform(x, Y, generator)
    assert (generator.bit_generator.state != rng(1).bit_generator.state) == random


@pytest.mark.parametrize("transform", TABLE, ids=str)
def test_transform_takes_every_layout(transform):
    want, y = transform(X, Y, rng(2))
    last = dataclasses.replace(transform, data_format="channels_last")
    got, same = last(np.moveaxis(X, 1, -1), Y, rng(2))
    np.testing.assert_array_equal(np.moveaxis(got, -1, 1), want)
    np.testing.assert_array_equal(same, y)
    if isinstance(transform, Normalize):
        transform = Normalize(0.1, 0.5)
    bare, _ = transform(X[:, 0], Y, rng(2))
    np.testing.assert_array_equal(bare, transform(X[:, :1], Y, rng(2))[0][:, 0], strict=True)


@pytest.mark.parametrize("transform", TABLE, ids=str)
def test_transform_of_no_images_and_of_one(transform):
    if TABLE[transform][0] == (9, 7):
        assert transform(X[:0], Y[:0], rng())[0].shape == (0, 3, 9, 7)
    assert len(transform(X[:1], Y[:1], rng())[0]) == 1


def places(x, part):
    """Where in `x` (c, h, w) the image `part` stands."""
    h, w = part.shape[1:]
    return [
        (i, j)
        for i in range(x.shape[1] - h + 1)
        for j in range(x.shape[2] - w + 1)
        if (x[:, i : i + h, j : j + w] == part).all()
    ]


def test_random_crops_are_windows_of_the_padded_image_at_all_places_alike():
    crop = RandomCrop(padding=2, fill=7)
    x = np.repeat(X[:1], 2500, axis=0)
    padded = np.pad(X[0], ((0, 0), (2, 2), (2, 2)), constant_values=7)
    known = {padded[:, i : i + 9, j : j + 7].tobytes(): (i, j) for i in range(5) for j in range(5)}
    counts = np.zeros((5, 5))
    for image in crop(x, rng=rng())[0]:
        counts[known[image.tobytes()]] += 1
    assert np.abs(counts - 100).max() < 45  # 4.5 standard deviations


def test_center_crop_is_in_the_middle():
    assert places(X[0], CenterCrop((5, 3))(X)[0][0]) == [(2, 2)]
    assert places(X[0], CenterCrop((4, 2))(X)[0][0]) == [(2, 2)]


@pytest.mark.parametrize(("flip", "axis"), [(RandomHorizontalFlip, 2), (RandomVerticalFlip, 1)])
def test_flips_mirror_their_share(flip, axis):
    x = np.repeat(X[:1], 4000, axis=0)
    got, _ = flip(p=0.25)(x, rng=rng())
    mirrored = (got == np.flip(X[0], axis)).all(axis=(1, 2, 3))
    assert ((got == X[0]).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert abs(mirrored.mean() - 0.25) < 0.03
    for p, want in ((0, X), (1, np.flip(X, axis + 1))):
        np.testing.assert_array_equal(flip(p)(X, rng=rng())[0], want)


class Fixed(np.random.Generator):
    """A generator whose uniform draws are what it was made with."""

    def __init__(self, value):
        super().__init__(np.random.PCG64(0))
        self.value = value

    def uniform(self, low, high, size):
        return np.full(size, self.value, np.float64)


@pytest.mark.parametrize("angle", [-170, -90, -31.5, 0, 12, 45, 90, 180])
@pytest.mark.parametrize("fill", [0, 200])
def test_rotation_is_that_of_pillow(angle, fill):
    x = np.random.default_rng(3).random((1, 1, 21, 21), np.float32) * 255
    got = RandomRotation(180, fill)(x, rng=Fixed(angle))[0][0, 0]
    inner = np.hypot(*(np.mgrid[:21, :21] - 10)) < 9.5  # Pillow treats the border in another way
    picture = Image.fromarray(x[0, 0])
    want = np.asarray(picture.rotate(angle, Image.Resampling.BILINEAR, fillcolor=fill))
    np.testing.assert_allclose(got[inner], want[inner], atol=2e-3)


def test_rotation_fills_what_comes_from_outside():
    got = RandomRotation(45, fill=9)(np.zeros((1, 11, 11)), rng=Fixed(45))[0][0]
    assert (got[0, 0], got[5, 5], got[0, 5]) == (9, 0, 0)
    assert ((got >= 0) & (got <= 9)).all()
    flat = np.full((4, 3, 6, 5), 37, np.uint8)
    np.testing.assert_array_equal(RandomRotation(90, fill=37)(flat, rng=rng())[0], flat)


@pytest.mark.parametrize("size", [(4, 5), (20, 3), (9, 7), (30, 41), (1, 1)])
def test_resize_is_that_of_pillow(size):
    got = Resize(size)(X)[0]
    for image, result in zip(X, got, strict=True):
        picture = Image.fromarray(np.moveaxis(image, 0, -1))
        want = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))
        assert np.abs(np.moveaxis(result, 0, -1).astype(int) - want).max() <= 1
    one = Resize(size)(np.ones((1, 9, 7)))[0]
    np.testing.assert_allclose(one, 1)


def test_normalize_takes_bytes_as_zero_to_one():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    want = (X / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    for x in (X, ToFloat()(X)[0], X / 255):
        np.testing.assert_allclose(Normalize(mean, std)(x)[0], want, atol=2e-6)


@pytest.mark.parametrize("size", [1, 3, 4, 30])
def test_cutout_erases_one_square_around_any_pixel(size):
    x = np.ones((500, 2, 9, 7), np.float32)
    got, _ = Cutout(size, fill=5)(x, rng=rng())
    seen = set()
    for image in got:
        assert (image[0] == image[1]).all()
        rows, columns = ((image[0] == 5).any(axis) for axis in (1, 0))
        assert (image[0] == 5).sum() == rows.sum() * columns.sum() > 0
        assert rows.sum() <= size
        assert columns.sum() <= size
        seen.add((int(rows.argmax()), int(rows.sum()), int(columns.argmax())))
    assert len(seen) > 1 or size == 30
    kept = (Cutout(size, p=0.4)(x, rng=rng())[0] == 1).all(axis=(1, 2, 3))
    assert abs(kept.mean() - 0.6) < 0.1


def test_erasing_has_the_areas_and_shapes_that_were_asked_for():
    x = np.ones((3000, 1, 40, 40), np.float32)
    got, _ = RandomErasing(p=0.5, scale=(0.1, 0.2), ratio=(0.5, 2))(x, rng=rng())
    gone = got[:, 0] == 0
    chosen = gone.any(axis=(1, 2))
    assert abs(chosen.mean() - 0.5) < 0.05
    high, wide = (gone.any(axis).sum(1)[chosen] for axis in (2, 1))
    area, ratio = high * wide / 1600, high / wide
    assert (gone.sum((1, 2))[chosen] == high * wide).all()
    assert 0.09 < area.min() < 0.11 < 0.19 < area.max() < 0.21
    assert 0.45 < ratio.min() < 0.55 < 1.8 < ratio.max() < 2.2
    assert abs(np.log(ratio).mean()) < 0.05
    assert (RandomErasing(p=1, scale=(1, 1), ratio=(9, 9))(x, rng=rng())[0] == 0).any()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_mixes_images_and_targets_alike(alpha):
    x = np.eye(6, dtype=np.float64).reshape(6, 1, 1, 6)
    shares = []
    for seed in range(300):
        got, y = Mixup(6, alpha)(x, np.arange(6), rng(seed))
        np.testing.assert_allclose(got[:, 0, 0], y, atol=1e-6)
        assert y.dtype == np.float32
        mixed = y[(y > 0).sum(1) == 2]
        shares += mixed[:1].max(1).tolist()
    draws = rng(0).beta(alpha, alpha, 4000)
    assert abs(np.mean(shares) - np.maximum(draws, 1 - draws).mean()) < 0.03


def test_mixup_takes_probabilities_and_keeps_their_dtype():
    y = np.array([[1.0, 0.0], [0.5, 0.5]])
    got = Mixup()(X[:2], y, rng())[1]
    assert got.dtype == np.float64
    np.testing.assert_allclose(got.sum(1), 1)


def test_cutmix_pastes_a_rectangle_and_counts_its_area():
    x = np.broadcast_to(np.arange(6.0)[:, None, None, None], (6, 2, 9, 7))
    areas = []
    for seed in range(200):
        got, y = CutMix(6)(x, np.arange(6), rng(seed))
        counts = np.stack([(got == i).mean(axis=(1, 2, 3)) for i in range(6)], axis=1)
        np.testing.assert_allclose(counts, y, atol=1e-6)
        areas.append(1 - counts.max())
    assert 0.1 < np.mean(areas) < 0.4
    assert np.max(areas) > 0.4


def test_soft_targets_are_what_cross_entropy_takes():
    from pierian.nn.losses import cross_entropy

    logits = rng().standard_normal((6, 3)).astype(np.float32)
    _, y = Mixup(3)(X, Y, rng(4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(
        cross_entropy(logits, y).item(), -(y * np.log(p)).sum(1).mean(), rtol=1e-5
    )


def test_compose_hands_one_generator_on():
    parts = [RandomCrop(padding=2), RandomHorizontalFlip(), Mixup(3), Normalize(0.5, 0.5)]
    x, y, generator = X, Y, rng(5)
    for part in parts:
        x, y = part(x, y, generator)
    got = Compose(parts)(X, Y, rng(5))
    np.testing.assert_array_equal(got[0], x, strict=True)
    np.testing.assert_array_equal(got[1], y, strict=True)


def test_loader_transforms_every_kind_of_batch():
    def double(x, y, rng):
        assert isinstance(rng, np.random.Generator)
        return 2 * x, None if y is None else -y

    kinds = {
        "x": (X, lambda b: [b]),
        "(x,)": (ArrayDataset(X), list),
        "(x, y)": (ArrayDataset(X, Y), list),
        "(x, y, weight)": (ArrayDataset(X, Y, Y + 5), list),
    }
    want = [2 * X[:4], -Y[:4], Y[:4] + 5]
    for name, (dataset, fields) in kinds.items():
        got = fields(next(iter(DataLoader(dataset, 4, transform=double))))
        assert len(got) == max(name.count(",") + (name != "(x,)"), 1)
        for a, b in zip(got, want, strict=False):
            np.testing.assert_array_equal(a, b)


def test_loaders_show_a_batch_as_it_is_trained_on():
    loader = DataLoader(ArrayDataset(X, Y), 4, True, seed=1, transform=RandomCrop())
    shown = DataLoaders(loader).one_batch()
    np.testing.assert_array_equal(shown[0], next(iter(loader))[0])


def test_fit_streams_a_loader_with_transform_and_resumes_it():
    from pierian.train.feed import Feed, Form

    def feed():
        loader = DataLoader(ArrayDataset(X, Y), 2, True, seed=9, transform=RandomCrop())
        return Feed(Form("fit", np.dtype("f4"), quiet=True), loader, None, "steps", 0)

    def rest(source):
        taken = []
        while (part := source.take(9)) is not None:
            taken += [batch.x[0] for batch in part.batches()]
        return taken

    one, two = feed(), feed()
    one.begin()
    assert len(rest(one)) == 3
    one.begin()
    first = next(one.take(1).batches()).x[0]
    two.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(rest(two), rest(one), strict=True)
    loader = DataLoader(ArrayDataset(X, Y), 2, True, seed=9, transform=RandomCrop())
    np.testing.assert_array_equal(first, next(loader.stream(1))[0].astype("f4"))


@pytest.mark.parametrize("workers", [0, 2])
def test_channel_stats_are_those_of_all_pixels(workers):
    x = rng().integers(0, 256, (23, 3, 5, 4), np.uint8)
    want = [(f((x / 255).swapaxes(0, 1).reshape(3, -1), axis=1)) for f in (np.mean, np.std)]
    last = np.moveaxis(x, 1, -1)
    for data, more in [
        (x, {}),
        (ArrayDataset(x, np.arange(23)), {}),
        (x / np.float32(255), {}),
        (last, {"data_format": "channels_last"}),
    ]:
        got = channel_stats(data, 4, workers=workers, **more)
        assert [g.dtype for g in got] == [np.float32] * 2
        np.testing.assert_allclose(got, want, rtol=1e-6)
    x, _ = Normalize(*channel_stats(x))(x)
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, atol=1e-5)
    assert [s.shape for s in channel_stats(X[:, 0])] == [(1,), (1,)]


WRONG = [
    (lambda: RandomCrop()(X), TypeError,
     "RandomCrop: rng must be a generator; expected np.random.default_rng(seed), got a NoneType. "
     "Pass it, or DataLoader(..., transform=...)."),
    (lambda: ToFloat()(X[0, 0]), ShapeError,
     "ToFloat: x must be a batch of images; expected shape (b, c, h, w) or (b, h, w), "
     "got shape (9, 7). Reshape it; x[None] makes a batch of one image."),
    (lambda: ToFloat()(X.astype(int)), DtypeError,
     "ToFloat: x must be images; expected uint8 or a floating dtype, got int64. "
     "Convert x, with x.astype('float32')."),
    (lambda: RandomCrop(padding=1, size=12)(X, rng=rng()), ShapeError,
     "RandomCrop: images must be at least as large as the cut; expected (12, 12) or more, "
     "got (11, 9) with padding. Pass a smaller size, or Resize before."),
    (lambda: Resize("big"), ValueError,
     "Resize: size must be that of an image; expected (h, w), got big. "
     "Pass size=(h, w) in pixels."),
    (lambda: CenterCrop((0, 3)), ValueError,
     "CenterCrop: size must be that of an image; expected (h, w), got (0, 3). "
     "Pass size=(h, w) in pixels."),
    (lambda: RandomCrop(padding=-1), ValueError,
     "RandomCrop: padding must be a number in its range; expected 0 <= padding, got -1. "
     "Pass another padding."),
    (lambda: RandomHorizontalFlip(2), ValueError,
     "RandomHorizontalFlip: p must be a number in its range; expected 0 <= p <= 1, got 2. "
     "Pass another p."),
    (lambda: Mixup(3, alpha=0), ValueError,
     "Mixup: alpha must be a number in its range; expected 0 < alpha, got 0. Pass another alpha."),
    (lambda: Normalize((0.1, 0.2), 1)(X), ShapeError,
     "Normalize: mean must have a value per channel; expected 1 or 3 for x of 3 channels, got 2. "
     "Pass others, or say data_format='channels_last'."),
    (lambda: Normalize(0, 0), ValueError,
     "Normalize: std must be positive; expected std > 0, got (0.0,). Leave it out for 1."),
    (lambda: Mixup()(X, Y, rng()), ValueError,
     "Mixup: class numbers must be below the number of classes; expected 0 … classes - 1, "
     "got classes=None. Say how many classes there are, as in Mixup(classes=10)."),
    (lambda: CutMix(2)(X, Y, rng()), ValueError,
     "CutMix: class numbers must be below the number of classes; expected 0 … 2 - 1, "
     "got 0 … 2. Say how many classes there are, as in CutMix(classes=10)."),
    (lambda: Mixup(3)(X, None, rng()), DtypeError,
     "Mixup: y must be class numbers or probabilities; expected integers of shape (b,) or floats, "
     "got object of shape (). Pass y to the transform, as class numbers."),
    (lambda: Mixup(3)(X, Y[:2], rng()), ShapeError,
     "Mixup: there must be a target per image; expected 6 targets, got y of shape (2, 3). "
     "Pass the targets of these images."),
    (lambda: ToFloat(data_format="hwc"), ValueError,
     "ToFloat: data_format must be a known name; expected one of channels_first, channels_last, "
     "got 'hwc'. Use one of these."),
    (lambda: Compose([ToFloat(), 3]), TypeError,
     "Compose: transforms must be functions of (x, y, rng); expected callables, got a int. "
     "Pass a list of transforms."),
    (lambda: DataLoader(X, transform=[ToFloat()]), TypeError,
     "DataLoader: transform must be a function of (x, y, rng); expected one callable, got a list. "
     "Put several into Compose([...])."),
    (lambda: DataLoader(X, workers=-1), ValueError,
     "DataLoader: workers must be at least 0; expected workers >= 0, got -1. "
     "Pass workers=0 for none."),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "says"), WRONG)
def test_transform_rejects(make, kind, says):
    with pytest.raises(kind) as caught:
        make()
    assert str(caught.value) == says
