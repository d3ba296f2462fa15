"""Pictures: every mode of Pillow's, folders of classes, and errors that name all files."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pierian.base.errors import DataError
from pierian.data import (
    ArrayDataset,
    DataLoader,
    DataLoaders,
    ImageData,
    ImageFolder,
    loaders,
    read_image,
    write_image_folder,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
GREY = RGB[..., 0]
DEEP = GREY.astype(np.uint16) * 257
CLEAR = np.dstack([RGB, np.full((6, 4), 255, np.uint8)])
CLEAR[0, 0, 3] = 0
LUMA = np.asarray(Image.fromarray(RGB).convert("L"))


def palette():
    picture = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(6, 4), "P")
    picture.putpalette(RGB.reshape(-1, 3).tobytes())
    return picture


PICTURES = {  # file -> what is saved, with which options; the RGB that is read
    "rgb.png": (lambda: Image.fromarray(RGB), {}, RGB),
    "rgb.bmp": (lambda: Image.fromarray(RGB), {}, RGB),
    "rgb.tif": (lambda: Image.fromarray(RGB), {}, RGB),
    "grey.png": (lambda: Image.fromarray(GREY), {}, np.dstack([GREY] * 3)),
    "bits.png": (lambda: Image.fromarray(GREY > 99), {}, np.dstack([(GREY > 99) * 255] * 3)),
    "deep.png": (lambda: Image.fromarray(DEEP), {}, np.dstack([GREY] * 3)),
    "deep.tif": (lambda: Image.fromarray(DEEP), {}, np.dstack([GREY] * 3)),
    "ints.tif": (lambda: Image.fromarray(DEEP.astype("i4")), {}, np.dstack([GREY] * 3)),
    "palette.png": (palette, {}, RGB),
    "palette.gif": (palette, {}, RGB),
    "clear.png": (lambda: Image.fromarray(CLEAR), {}, np.where(CLEAR[..., 3:], RGB, 255)),
    "clear_palette.png": (
        palette, {"transparency": 0},
        np.where(np.arange(24).reshape(6, 4, 1) == 0, 255, RGB),
    ),
    "clear_rgb.png": (
        lambda: Image.fromarray(RGB), {"transparency": tuple(RGB[0, 0].tolist())},
        np.where((RGB[0, 0] == RGB).all(-1, keepdims=True), 255, RGB),
    ),
    "clear_grey.png": (
        lambda: Image.fromarray(np.dstack([GREY, CLEAR[..., 3]]), "LA"), {},
        np.where(CLEAR[..., 3:], np.dstack([GREY] * 3), 255),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_picture_of_every_mode_is_read(tmp_path, name):
    make, options, want = PICTURES[name]
    make().save(tmp_path / name, **options)
    got = read_image(tmp_path / name)
    np.testing.assert_array_equal(got, np.moveaxis(want, -1, 0).astype(np.uint8), strict=True)
    last = read_image(tmp_path / name, data_format="channels_last")
    np.testing.assert_array_equal(np.moveaxis(last, -1, 0), got)
    grey = read_image(tmp_path / name, mode="L")
    luma = np.asarray(Image.fromarray(want.astype(np.uint8)).convert("L"))
    np.testing.assert_array_equal(grey, luma[None], strict=True)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("tag", "turn"),
    [
        (1, lambda x: x),
        (3, lambda x: x[::-1, ::-1]),
        (6, lambda x: np.rot90(x, -1)),
        (8, lambda x: np.rot90(x, 1)),
    ],
)
def test_picture_stands_upright(tmp_path, suffix, tag, turn):
    blocks = np.kron(np.array([[0, 255], [90, 180], [40, 200]], np.uint8), np.ones((16, 16), "u1"))
    path = tmp_path / "a" / f"x.{suffix}"
    path.parent.mkdir()
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(blocks).convert("RGB").save(path, exif=exif)
    want = turn(blocks)
    got = read_image(path, mode="L")[0]
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want)[4:-4:8, 4:-4:8].max() < 12
    for check in (False, True):
        assert ImageFolder(tmp_path, check=check).shape == (3, *want.shape)


def test_picture_is_resized_or_cropped(tmp_path):
    x = np.zeros((30, 60, 3), np.uint8)
    x[:, :15] = x[:, -15:] = 255
    Image.fromarray(x).save(tmp_path / "x.png")
    stretched = read_image(tmp_path / "x.png", (12, 12))
    assert stretched.shape == (3, 12, 12)
    assert stretched[0, 5].tolist()[:2] == [255, 255]
    assert (read_image(tmp_path / "x.png", 12, crop=True)[:, :, 1:-1] == 0).all()
    Image.fromarray(np.full((800, 640, 3), 77, np.uint8)).save(tmp_path / "x.jpg")
    assert (read_image(tmp_path / "x.jpg", (9, 50)) == 77).all()


def save(path, shape=(6, 4), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path)


@pytest.fixture
def animals(tmp_path):
    """Three cats and two dogs, and what is to be left out."""
    root = tmp_path / "animals"
    for i, name in enumerate(["cat/1.png", "cat/2.PNG", "cat/old/0.png", "dog/b.png", "dog/a.png"]):
        save(root / name, value=i)
    for name in [".hidden/x.png", "cat/.x.png", "cat/.old/x.png"]:
        save(root / name, (9, 9))
    (root / "cat" / "notes.txt").write_text("notes")
    (root / "list.csv").write_text("list")
    return root


def test_folder_has_a_class_per_folder(animals):
    folder = ImageFolder(animals)
    names = [path.relative_to(animals).as_posix() for path in folder.paths]
    assert names == ["cat/1.png", "cat/2.PNG", "cat/old/0.png", "dog/a.png", "dog/b.png"]
    assert folder.classes == ("cat", "dog")
    assert folder.targets.tolist() == [0, 0, 0, 1, 1]
    assert repr(folder) == (f'ImageFolder("{animals}", 5 pictures of shape (3, 6, 4), 2 classes)')
    x, y = folder[-1]
    assert (x.shape, x.dtype, x.max(), y) == ((3, 6, 4), np.uint8, 3, 1)
    assert [int(x[0, 0, 0]) for x, _ in folder] == [0, 1, 2, 4, 3]
    for positions in (slice(1, 4), np.array([4, 0])):
        x, y = folder.gather(positions)
        np.testing.assert_array_equal(x[:, 0, 0, 0], np.array([0, 1, 2, 4, 3])[positions])
        np.testing.assert_array_equal(y, folder.targets[positions], strict=True)


def test_folder_takes_classes_endings_and_layouts(animals):
    folder = ImageFolder(animals, classes=["dog", "cat"])
    assert folder.targets.tolist() == [0, 0, 1, 1, 1]
    assert ImageFolder(animals, classes=["dog"]).classes == ("dog",)
    assert len(ImageFolder(animals, extensions=[".png", ".txt"], classes=["dog"])) == 2
    assert ImageFolder(animals, 5, "L", data_format="channels_last").shape == (5, 5, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_folder_is_loaded_into_memory(animals, workers):
    folder = ImageFolder(animals, size=8)
    loaded = folder.load(workers)
    assert isinstance(loaded, ArrayDataset)
    x, y = folder.gather(slice(None))
    np.testing.assert_array_equal(loaded.arrays[0], x, strict=True)
    np.testing.assert_array_equal(loaded.arrays[1], y, strict=True)


def test_folder_is_split_by_seed(animals):
    folder = ImageFolder(animals)
    train, valid = folder.split(0.4, seed=1)
    assert sorted([*train.indices, *valid.indices]) == [0, 1, 2, 3, 4]
    assert (len(train), len(valid)) == (3, 2)
    assert [part.indices.tolist() for part in folder.split(0.4, seed=1)] == [
        train.indices.tolist(),
        valid.indices.tolist(),
    ]


def test_folder_in_a_loader_has_the_same_batches_with_threads(animals):
    folder = ImageFolder(animals)
    one, two = (list(DataLoader(folder, 2, True, seed=4, workers=workers)) for workers in (0, 2))
    for (a, b), (x, y) in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, x, strict=True)
        np.testing.assert_array_equal(b, y, strict=True)
    batch = DataLoaders.from_dataset(folder, 0.2, 2).one_batch()
    assert (batch[0].shape, batch[1].dtype) == ((2, 3, 6, 4), np.int64)
    assert not [t for t in threading.enumerate() if "pierian-data" in t.name]


@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_splits_go_by_the_names_of_folders(tmp_path, valid):
    for i, name in enumerate(["train/a/1.png", "train/b/2.png", f"{valid}/a/3.png"]):
        save(tmp_path / name, value=i)
    save(tmp_path / "test" / "unsorted.png")
    save(tmp_path / valid / "b" / "x.png")
    parts = ImageFolder.splits(tmp_path, size=4)
    assert list(parts) == ["train", "valid"]
    assert parts["valid"].classes == parts["train"].classes == ("a", "b")
    assert parts["valid"].shape == (3, 4, 4)
    save(tmp_path / "test" / "b" / "y.png")
    with pytest.raises(DataError, match="none for a. Remove or fill"):
        ImageFolder.splits(tmp_path)
    save(tmp_path / "test" / "a" / "y.png")
    assert list(ImageFolder.splits(tmp_path)) == ["train", "valid", "test"]


def test_splits_must_fit_each_other(tmp_path):
    save(tmp_path / "train" / "a" / "1.png")
    save(tmp_path / "val" / "a" / "1.png", (7, 7))
    with pytest.raises(DataError, match=r"expected \(3, 6, 4\), got \(3, 7, 7\) in val/"):
        ImageFolder.splits(tmp_path)
    save(tmp_path / "val" / "z" / "1.png")
    with pytest.raises(DataError, match=r"must be those of train/; expected a, got \['z'\]"):
        ImageFolder.splits(tmp_path)
    with pytest.raises(DataError, match="must be those of classes; .* Use ImageFolder.splits"):
        ImageFolder(tmp_path)
    with pytest.raises(DataError, match="there must be a folder train; .* got a"):
        ImageFolder.splits(tmp_path / "train")
    assert ImageFolder(tmp_path, classes=["train"]).classes == ("train",)


def damage(root):
    """One good picture, and every kind of file that is not."""
    save(root / "a" / "good.png")
    save(root / "a" / "good.jpg")
    save(root / "a" / "odd.png", (5, 4))
    (root / "a" / "empty.png").touch()
    (root / "a" / "text.jpg").write_text("not a picture")
    noise = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
    (root / "b").mkdir()
    for name in ("cut.png", "cut.jpg"):
        Image.fromarray(noise).save(root / "b" / name)
        raw = (root / "b" / name).read_bytes()
        (root / "b" / name).write_bytes(raw[:-40])


def test_all_damaged_files_are_named_in_one_error(tmp_path):
    damage(tmp_path)
    with pytest.raises(DataError) as caught:
        ImageFolder(tmp_path)
    head = f'ImageFolder("{tmp_path}"): all pictures must be readable and of one size; '
    assert str(caught.value) == (
        f"{head}expected (6, 4) like most, got 3 of 7 that are not. "
        "Pass size=(6, 4) to resize all. Replace or remove the 2 that cannot be read.\n"
        "  a/empty.png: no picture in a format that is known\n"
        "  a/odd.png: (5, 4)\n"
        "  a/text.jpg: no picture in a format that is known"
    )
    with pytest.raises(DataError) as caught:
        ImageFolder(tmp_path, check=True)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{head}expected (6, 4) like most, got 5 of 7 that are not.")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "a/empty.png", "a/odd.png", "a/text.jpg", "b/cut.jpg", "b/cut.png",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"expected \(8, 8\) like most, got 2 of 7 that are not"):
        ImageFolder(tmp_path, size=8)


def test_truncated_picture_is_named_when_it_is_read(tmp_path):
    damage(tmp_path)
    for name in ("empty.png", "odd.png", "text.jpg"):
        (tmp_path / "a" / name).unlink()
    folder = ImageFolder(tmp_path)
    batches = iter(DataLoader(folder, 2, workers=2))
    assert next(batches)[1].tolist() == [0, 0]
    with pytest.raises(DataError, match=r'cut\.jpg" must be a picture; .* check=True'):
        next(batches)
    save(tmp_path / "a" / "good.png", (9, 9))  # changed since
    with pytest.raises(DataError, match=r"expected shape \(3, 6, 4\), got shape \(3, 9, 9\)"):
        folder[1]


def test_long_lists_are_cut(tmp_path):
    for i in range(50):
        save(tmp_path / "a" / f"{i:02}.png", (1 + i // 25, 3 + i))
    save(tmp_path / "a" / "x.png", (1, 3))
    with pytest.raises(DataError) as caught:
        ImageFolder(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("got 49 of 51 that are not. Pass size=(1, 3) to resize all.")
    assert len(lines) == 1 + 20 + 1
    assert lines[1:3] == ["  a/01.png: (1, 4)", "  a/02.png: (1, 5)"]
    assert lines[-1] == "  … and 29 more"


def floating(path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(path)


def wide(path):
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(path)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("x.png", lambda path: None, "got No such file or directory. Check the path"),
        ("x.png", lambda path: path.mkdir(), "got Is a directory"),
        ("x.png", lambda path: path.touch(), "got no picture in a format that is known"),
        ("x.tif", floating, "got floating greys, whose range is not known"),
        ("x.tif", wide, "got greys from 70000 to 70000, beyond 16 bits"),
    ],
)
def test_read_image_names_what_it_cannot_read(tmp_path, name, write, says):
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError, match=says) as caught:
        read_image(path)
    assert str(caught.value).startswith(f'read_image("{path}"): the file must be a picture;')


def test_read_image_never_raises_anything_but_its_own_errors(tmp_path):
    rng = np.random.default_rng(0)
    raws = []
    for name in ("x.png", "x.jpg", "x.gif", "x.bmp", "x.tif", "x.webp"):
        Image.fromarray(RGB).save(tmp_path / name)
        raws.append((tmp_path / name).read_bytes())
    faults = 0
    for i in range(300):
        raw = bytearray(raws[i % len(raws)])
        for place in rng.integers(0, len(raw), 3):
            raw[place] = rng.integers(0, 256)
        path = tmp_path / "damaged"
        path.write_bytes(raw[: rng.integers(1, len(raw) + 1)])
        try:
            assert read_image(path, size=5).shape == (3, 5, 5)
        except DataError:
            faults += 1
    assert faults > 100


def test_empty_classes_are_named(animals):
    (animals / "fox").mkdir()
    (animals / "owl" / "x").mkdir(parents=True)
    (animals / "owl" / "x" / "notes.txt").touch()
    with pytest.raises(DataError, match="none for fox, owl. Remove or fill them; pictures end in"):
        ImageFolder(animals)
    with pytest.raises(DataError, match="none for ant. Remove"):
        ImageFolder(animals, classes=["cat", "ant"])
    (animals / "none").mkdir()
    with pytest.raises(DataError, match="every class must have pictures; .* got no folders"):
        ImageFolder(animals / "none")
    with pytest.raises(DataError, match="there must be a folder of class folders; .* No such file"):
        ImageFolder(animals / "nowhere")


def test_arguments_of_pictures_are_checked_at_the_beginning(animals, monkeypatch):
    for options, says in [
        ({"mode": "CMYK"}, "mode must be a known name"),
        ({"data_format": "hwc"}, "data_format must be a known name"),
        ({"size": (3,)}, "size must be that of an image"),
        ({"background": "rot"}, "unknown color specifier"),
    ]:
        with pytest.raises(ValueError, match=says):
            ImageFolder(animals, **options)
    assert read_image(animals / "cat" / "1.png", background="#102030").max() == 0
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pictures need Pillow; .* pip install 'pierian"):
        ImageFolder(animals)


@pytest.fixture
def tree(tmp_path):
    """Ten images in three classes, written as a tree; and the arrays."""
    x = np.random.default_rng(0).integers(0, 256, (10, 6, 4, 3), np.uint8)
    y = np.arange(10) % 3
    parts = {"train": (x, y), "valid": (x[:4, ..., 0], y[:4])}
    return write_image_folder(tmp_path / "some" / "tree", parts), x, y


def test_written_folders_are_read_back(tree):
    root, x, y = tree
    train = ImageFolder(root / "train")
    numbers = [int(path.stem) for path in train.paths]
    pictures, classes = train.gather(slice(None))
    np.testing.assert_array_equal(pictures, np.moveaxis(x[numbers], -1, 1))
    np.testing.assert_array_equal(classes, y[numbers])
    grey = ImageFolder(root / "valid", mode="L")
    assert len(grey) == 4 and grey.classes == ("0", "1", "2")
    assert [path.name for path in root.parent.iterdir()] == ["tree"]  # nothing is left beside it


def test_written_folders_are_made_once_and_whole(tree):
    root, x, y = tree
    before = sorted(root.rglob("*"))
    assert write_image_folder(root, {"other": (x, y)}) == root
    assert sorted(root.rglob("*")) == before
    some = write_image_folder(root.parent / "some", {"train": (x, y)}, classes=(2, 7))
    assert sorted(path.name for path in (some / "train").iterdir()) == ["2", "7"]
    assert sorted(path.name for path in some.rglob("*.png")) == ["2.png", "5.png", "8.png"]
    half = root.parent / "half"
    with pytest.raises(TypeError, match=r"expected uint8, got float64\. Multiply"):
        write_image_folder(half, {"train": (x, y), "valid": (x / 255, y)})
    for images, labels, told in (
        (x[..., :2], y, r"expected \(n, h, w\) or"), (x, np.eye(10), r"and \(10, 10\)"),
        (x, ["../../a", *"abcdefghi"], "names of folders"), (x, ["", *"abcdefghi"], "names of"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            write_image_folder(half, {"train": (x, y), "valid": (images, labels)})
    assert not half.exists() and len(list(root.parent.iterdir())) == 2
    with pytest.raises(DataError, match="names of folders"):
        write_image_folder(half, {"..": (x, y)})
    texts = write_image_folder(half, {"train": (x, y)}, classes=["1", 1])
    assert len(list((texts / "train" / "1").iterdir())) == 3


@pytest.mark.parametrize("name", ["rgb", "grey"])
def test_data_sets_are_written_as_folders(tmp_path, name):
    x = np.moveaxis(RGB, -1, 0) if name == "rgb" else GREY
    x = np.stack([x, 255 - x])
    y = np.array([4, 5], np.uint8)
    digits = ImageData(x, y, x[:1], y[:1], tuple("0123456"), "two")
    for parts, labels in ((("train", "test"), None), (("training", "testing"), [5])):
        root = digits.write_folder(tmp_path / parts[0], parts, labels)
        assert sorted(path.name for path in root.iterdir()) == sorted(parts)
    found = ImageFolder(tmp_path / "train" / "train", mode="L" if name == "grey" else "RGB")
    np.testing.assert_array_equal(found.load().arrays[0], x.reshape(2, -1, 6, 4))
    assert found.classes == ("4", "5") and [p.name for p in root.rglob("*.png")] == ["1.png"]
    assert replace(digits, x_test=x[1:]).checksum != digits.checksum


@pytest.mark.parametrize("room", [loaders.ROOM, 1])
def test_loaders_of_folders_are_alike_in_memory_and_streamed(tree, monkeypatch, room):
    root, x, y = tree
    monkeypatch.setattr(loaders, "ROOM", room)
    dls = DataLoaders.from_folder(root, batch_size=4, seed=1, drop_last=True)
    assert isinstance(dls.train.dataset, ArrayDataset) == (room > 1)
    assert dls.classes == ("0", "1", "2") and [len(part) for part in dls] == [2, 1]
    numbers = [int(path.stem) for path in ImageFolder(root / "train").paths]
    order = np.array(numbers)[dls.train.order(0)[:4]]
    first, classes = dls.one_batch()
    assert first.dtype == np.float32 and classes.dtype == np.int64
    np.testing.assert_array_equal(first, np.moveaxis(x[order], -1, 1) / np.float32(255))
    np.testing.assert_array_equal(classes, y[order])


def test_loaders_of_folders_hold_out_what_is_asked(tree):
    root, _, _ = tree
    part = DataLoaders.from_folder(root / "train", valid=0.3, batch_size=64, drop_last=True, size=3)
    assert [len(loader.dataset) for loader in part] == [7, 3] and len(part.train) == 1
    assert part.one_batch()[0].shape == (7, 3, 3, 3)
    alone = DataLoaders.from_folder(root, valid=None, mode="L")
    assert alone.valid is None and alone.one_batch()[0].shape == (10, 1, 6, 4)
    two = write_image_folder(
        root.parent / "sizes",
        {"train": (RGB[None], ["0"]), "valid": (RGB[None, :3], ["0"])},
    )
    with pytest.raises(DataError, match="one size"):
        DataLoaders.from_folder(two)
    with pytest.raises(DataError, match="no/such"):
        DataLoaders.from_folder("no/such")
