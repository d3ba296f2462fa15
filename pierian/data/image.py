"""Pictures: one file as an array, and folders of them, one folder per class, read and written.

May import: base, numpy; Pillow inside the one function that hands it out. To read one more kind
of file: its ending in `EXTENSIONS`, if Pillow knows it; to split folders by other names: `SPLITS`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pierian.base.errors import DataError, DtypeError, ShapeError, lookup, message
from pierian.data.background import ahead
from pierian.data.dataset import ArrayDataset, Dataset, Subset, random_split
from pierian.data.transform import FORMATS, pair

EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"
)  # fmt: skip
SPLITS = {  # part -> what its folder may be called
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
MODES = {"L": 1, "RGB": 3}  # mode -> channels
CLEAR = ("RGBA", "LA", "PA", "RGBa", "La")  # Pillow's modes that can be seen through
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # and those of more than 8 bits
WIDTH = 257  # 65535 / 255: the 16-bit levels of one 8-bit level
ORIENTATION = 0x0112  # the EXIF tag; from TURNED on, height and width change places
TURNED = 5
LISTED = 20  # files that one error names
BLOCK = 64  # pictures that one thread reads into memory at a time


def read_image(
    path: Any, size: int | tuple[int, int] | None = None, mode: str = "RGB", *, crop: bool = False,
    background: str = "white", data_format: str = "channels_first",
) -> np.ndarray:  # fmt: skip
    """A picture as an array, the right way up.

    What can be seen through is laid on `background`; 16-bit greys are scaled to 8 bits; of an
    animation the first picture is taken.

    Shapes:  -> (c, h, w), or (h, w, c) with data_format="channels_last".
    Dtypes:  -> uint8.
    Args:    path         PNG, JPEG, or what else Pillow reads.
             size         (h, w), or one int for a square, that it is resized to; None keeps it.
             mode         "RGB", or "L" for grey.
             crop         whether what does not fit the shape of `size` is cut off at both ends;
                          otherwise the picture is stretched.
             background   a colour that Pillow knows.
             data_format  "channels_first" or "channels_last".
    Raises:  DataError when the file cannot be read; ValueError for arguments that do not fit;
             ImportError without Pillow.
    """
    where = f'read_image("{path}")'
    look = Look.of(where, size, mode, crop, background, data_format)
    try:
        return look.read(path)
    except Damage as error:
        fix = "Check the path, or replace the file"
        raise DataError(
            message(where, "the file must be a picture", "PNG, JPEG or the like", error, fix)
        ) from error


class ImageFolder(Dataset):
    """Pictures in folders, one folder per class; a row is (picture, class number).

    Files are found in the class folders and in folders below them; names that begin with a dot
    and other endings are left out. All files are looked at once, at the beginning, and those that
    cannot be batched are named together. Pictures are then read when they are asked for: let
    `DataLoader(..., workers=2)` do it ahead of time, or `load()` all of them into memory.

    Shapes:  rows (c, h, w) and (); batches (b, c, h, w) and (b,).
    Dtypes:  pictures uint8, class numbers int64.
    Args:    root         a folder with a folder per class.
             size, mode, crop, background, data_format  as in `read_image`; without `size` all
                          pictures must have the same one.
             extensions   the endings of pictures, in small letters.
             classes      names of folders, numbered in this order; the default is all, sorted.
             check        whether every picture is opened whole at the beginning, which finds
                          truncated ones; otherwise only the beginnings of files are read.
    Raises:  DataError that lists what cannot be read or has another size, or empty classes.

    `paths`, `targets` and `classes` say what was found; `shape` is that of a picture.
    """

    def __init__(
        self, root: Any, size: int | tuple[int, int] | None = None, mode: str = "RGB", *,
        extensions: Sequence[str] = EXTENSIONS, classes: Sequence[str] | None = None,
        crop: bool = False, background: str = "white", data_format: str = "channels_first",
        check: bool = False,
    ) -> None:  # fmt: skip
        self.root = Path(root)
        where = self._where = f'ImageFolder("{root}")'
        self._look = Look.of(where, size, mode, crop, background, data_format)
        found = _class_folders(where, self.root)
        if classes is None and {*SPLITS["train"]} & {*found} and {*found} <= _split_names():
            fix = "Use ImageFolder.splits(root), or ImageFolder(root / 'train')"
            must = "folders must be those of classes"
            raise DataError(message(where, must, "one per class", ", ".join(found), fix))
        self.classes = tuple(found if classes is None else classes)
        files = [
            _pictures(self.root / name, extensions) if name in found else []
            for name in self.classes
        ]
        empty = [name for name, paths in zip(self.classes, files, strict=True) if not paths]
        if empty or not files:
            fix = f"Remove or fill them; pictures end in {', '.join(extensions)}"
            raise DataError(
                message(where, "every class must have pictures", "a folder with at least 1 each",
                        f"none for {_listed(empty, ', ')}" if empty else "no folders", fix)
            )  # fmt: skip
        self.paths = [path for paths in files for path in paths]
        counts = [len(paths) for paths in files]
        self.targets = np.repeat(np.arange(len(files)), counts)
        self.shape = self._look.shape(self._checked(check))

    @classmethod
    def splits(cls, root: Any, *args: Any, **options: Any) -> dict[str, ImageFolder]:
        """The folders train/, valid/ (or val/, validation/) and test/ below `root`, by these names.

        The classes are those of train/, which all must have; a test/ without class folders is left
        out. Other arguments are those of `ImageFolder`.
        """
        where, found = f'ImageFolder.splits("{root}")', {}
        for part, known in SPLITS.items():
            folders = [Path(root) / name for name in known if (Path(root) / name).is_dir()]
            if folders and (part != "test" or _class_folders(where, folders[0])):
                found[part] = folders[0]
        if "train" not in found:
            fix = "Use ImageFolder(root) and its split() when there is one folder per class"
            got = ", ".join(_class_folders(where, Path(root))) or "no folders"
            raise DataError(message(where, "there must be a folder train", "train/", got, fix))
        train = cls(found.pop("train"), *args, **options)
        parts = {"train": train}
        for part, folder in found.items():
            if more := [n for n in _class_folders(where, folder) if n not in train.classes]:
                fix = "Remove the folders, or add pictures of these classes to train/"
                must = f"classes in {folder.name}/ must be those of train/"
                raise DataError(message(where, must, _listed(train.classes, ", "), more, fix))
            parts[part] = cls(folder, *args, **{**options, "classes": train.classes})
            if parts[part].shape != train.shape:
                raise DataError(
                    message(where, "pictures of all folders must have one size", train.shape,
                            f"{parts[part].shape} in {folder.name}/", "Pass size=(h, w)")
                )  # fmt: skip
        return parts

    def split(self, valid: float = 0.2, seed: int = 0) -> tuple[Subset, Subset]:
        """Two datasets, to train on and to validate on: the share `valid` is drawn by `seed`."""
        train, held_out = random_split(self, [1 - valid, valid], seed=seed)
        return train, held_out

    def load(self, workers: int = 2) -> ArrayDataset:
        """All pictures and class numbers in memory, where they train without being read again.

        Shapes:  -> (n, c, h, w) and (n,)
        Args:    workers  how many threads read.
        """
        x = np.empty((len(self), *self.shape), np.uint8)

        def fill(start: int) -> None:
            x[start : start + BLOCK] = self._read(slice(start, start + BLOCK))

        for _ in ahead(fill, range(0, len(self), BLOCK), workers):
            pass
        return ArrayDataset(x, self.targets)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self._read([index])[0], int(self.targets[index])

    def gather(self, positions: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._read(positions), self.targets[positions]

    def _read(self, positions: Any) -> np.ndarray:
        """The pictures at `positions`."""
        chosen = np.arange(len(self))[positions].tolist()
        x = np.empty((len(chosen), *self.shape), np.uint8)
        for row, i in enumerate(chosen):
            try:
                picture = self._look.read(self.paths[i])
            except Damage as error:
                raise self._unreadable(i, error) from error
            if picture.shape != self.shape:
                raise self._unreadable(i, f"shape {picture.shape}")
            x[row] = picture
        return x

    def _unreadable(self, i: int, got: object) -> DataError:
        fix = "Replace or remove it; check=True finds all such files at the beginning"
        must = f'"{self.paths[i]}" must be a picture'
        return DataError(message(self._where, must, f"shape {self.shape}", got, fix))

    def _checked(self, whole: bool) -> tuple[int, int]:
        """The size of all pictures (h, w), after each file has been looked at."""
        look = self._look

        def size(path: Path) -> tuple[int, int] | str:
            try:
                if whole:
                    return look.size_of(look.read(path))
                return look.size_in_header(path)
            except Damage as error:
                return str(error)

        _pillow(self._where)
        sizes = list(ahead(size, self.paths, min(os.cpu_count() or 1, 8) if whole else 0))
        good = Counter(size for size in sizes if not isinstance(size, str))
        usual = good.most_common(1)[0][0] if good else None
        wrong = {path: s for path, s in zip(self.paths, sizes, strict=True) if s != usual}
        if not wrong and usual:
            return usual
        unread = len(sizes) - good.total()
        fixes = [f"Pass size={usual} to resize all"] if len(good) > 1 else []
        fixes += [f"Replace or remove the {unread} that cannot be read"] if unread else []
        lines = [f"\n  {path.relative_to(self.root)}: {s}" for path, s in wrong.items()]
        must = "all pictures must be readable and of one size"
        got = f"{len(wrong)} of {len(sizes)} that are not"
        expected = f"{usual} like most" if usual else "at least 1"
        text = message(self._where, must, expected, got, ". ".join(fixes))
        raise DataError(text + _listed(lines, ""))

    def __repr__(self) -> str:
        return (
            f'ImageFolder("{self.root}", {len(self)} pictures of shape {self.shape}, '
            f"{len(self.classes)} classes)"
        )


def write_image_folder(
    root: Any, parts: Mapping[str, tuple[Any, Any]], classes: Sequence[Any] | None = None
) -> Path:
    """Write images as a tree of PNG files, root/part/class/number.png, and give its path.

    The tree is there whole or not at all, and only made once: where `root` exists, nothing is
    done. The number of an image is its place in the array.

    Shapes:  images (n, h, w), (n, 1 or 3, h, w) or (n, h, w, 3); labels (n,)
    Dtypes:  images uint8; labels integers or texts.
    Args:    parts    name of a folder -> (images, labels); `ImageFolder` reads each.
             classes  the labels that get a folder; None for all. Other images are left out.
    Raises:  ShapeError, DtypeError for other arrays; DataError for labels that no folder can be
             called; ImportError without Pillow.

    >>> x, y = np.zeros((3, 8, 8), np.uint8), [0, 1, 0]
    >>> folder = write_image_folder("digits", {"train": (x, y)})
    >>> [path.name for path in sorted((folder / "train" / "0").iterdir())]
    ['0.png', '2.png']
    """
    where, root = f'write_image_folder("{root}")', Path(root)
    image = _pillow(where).Image
    if root.exists():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as beside:
        whole = Path(beside, root.name)
        whole.mkdir()
        for part, given in parts.items():
            images, labels = ArrayDataset(*given).arrays
            if images.dtype != np.uint8:
                fix = "Multiply images from 0 to 1 by 255, and convert with .astype('uint8')"
                raise DtypeError(message(where, "images must be bytes", "uint8", images.dtype, fix))
            if images.ndim == 4 and images.shape[1] in MODES.values():  # channels first
                images = np.moveaxis(images, 1, -1)
            if images.ndim == 4 and images.shape[-1] == 1:
                images = images[..., 0]
            if (images.ndim, *images.shape[3:]) not in ((3,), (4, 3)) or labels.ndim != 1:
                must, fix = "there must be an image and a label each", "Reshape them"
                shapes = "(n, h, w) or (n, h, w, 3), and (n,)"
                got = f"{images.shape} and {labels.shape}"
                raise ShapeError(message(where, must, shapes, got, fix))
            labels = labels.astype(str)
            for label in np.unique(labels) if classes is None else {str(name) for name in classes}:
                if Path(part, label).parts != (part, label) or "." in (part[0], label[0]):
                    must, fix = "parts and labels must be names of folders", "Rename it"
                    got = f"{part!r} and {str(label)!r}"
                    raise DataError(message(where, must, "no slash, no dot first", got, fix))
                folder = whole / part / label
                folder.mkdir(parents=True)
                for i in np.flatnonzero(labels == label).tolist():
                    image.fromarray(images[i]).save(folder / f"{i}.png")
        try:
            whole.rename(root)
        except OSError:
            if not root.exists():  # another process was faster
                raise
    return root


@dataclass(frozen=True, eq=False)
class Look:
    """How pictures shall look: the arguments of `read_image`, checked."""

    size: tuple[int, int] | None
    mode: str
    crop: bool
    background: str
    data_format: str

    @classmethod
    def of(cls, where: str, size: Any, mode: Any, crop: bool, background: Any, form: Any) -> Look:
        """The same, after a check; raises ValueError, or ImportError without Pillow."""
        lookup(where, "mode", mode, MODES)
        lookup(where, "data_format", form, FORMATS)
        _pillow(where).ImageColor.getrgb(background)
        return cls(None if size is None else pair(where, size), mode, crop, background, form)

    def read(self, path: Any) -> np.ndarray:
        """The picture in the file at `path`, as uint8.

        Raises:  Damage.
        """
        with _damage():
            return self._decoded(path)

    def _decoded(self, path: Any) -> np.ndarray:
        pillow = _pillow("read_image")
        image = pillow.Image
        with image.open(path) as opened:
            if self.size:  # a JPEG is decoded at the smallest scale that is still large enough
                opened.draft(None, (max(self.size), max(self.size)))
            picture = pillow.ImageOps.exif_transpose(opened)
        if picture.mode in DEEP:
            deep = np.asarray(picture).astype(np.int64)
            if not 0 <= deep.min() <= deep.max() < 2**16:
                raise ValueError(f"greys from {deep.min()} to {deep.max()}, beyond 16 bits")
            picture = image.fromarray(((deep + WIDTH // 2) // WIDTH).astype(np.uint8))
        if picture.mode == "F":
            raise ValueError("floating greys, whose range is not known")
        if picture.mode in CLEAR or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            under = image.new("RGBA", picture.size, self.background)
            picture = image.alpha_composite(under, picture)
        picture = picture.convert(self.mode)
        if self.size and picture.size != self.size[::-1]:
            how, (h, w) = image.Resampling.BILINEAR, self.size
            picture = (
                pillow.ImageOps.fit(picture, (w, h), how)
                if self.crop
                else picture.resize((w, h), how)
            )
        pixels = np.atleast_3d(np.asarray(picture))
        return pixels if self.data_format == "channels_last" else np.moveaxis(pixels, -1, 0)

    def size_in_header(self, path: Path) -> tuple[int, int]:
        """What the beginning of a file says about the size of `read(path)`.

        Raises:  Damage.
        """
        pillow = _pillow("ImageFolder")
        with _damage(), pillow.Image.open(path) as opened:
            # asked for the EXIF data of a PNG without any, Pillow would decode it to find some
            known = opened.format != "PNG" or "exif" in opened.info
            turned = known and opened.getexif().get(ORIENTATION, 1) >= TURNED
            if turned and opened.format == "TIFF":  # its versions differ in what they turn when
                turned, opened = False, pillow.ImageOps.exif_transpose(opened)
            w, h = opened.size
        return self.size or ((w, h) if turned else (h, w))

    def size_of(self, pixels: np.ndarray) -> tuple[int, int]:
        """The (h, w) of a picture."""
        last = self.data_format == "channels_last"
        h, w = pixels.shape[:2] if last else pixels.shape[1:]
        return h, w

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of pictures of a size."""
        last, channels = self.data_format == "channels_last", MODES[self.mode]
        return (*size, channels) if last else (channels, *size)


class Damage(Exception):
    """What is wrong with a file, in a few words that do not repeat its name."""


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Damaged files make Pillow raise errors of a dozen kinds: here they become one."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if type(error).__name__ == "UnidentifiedImageError":
            raise Damage("no picture in a format that is known") from error
        raise Damage(getattr(error, "strerror", None) or error or type(error).__name__) from error


def _pillow(where: str) -> Any:
    """Pillow, loaded when the first picture is; raises ImportError when there is none."""
    try:
        import PIL.Image
        import PIL.ImageColor
        import PIL.ImageOps
    except ImportError as error:
        fix = "pip install 'pierian[data]'"
        text = message(where, "pictures need Pillow", "it installed", "no Pillow", fix)
        raise ImportError(text) from error
    return PIL


def _split_names() -> set[str]:
    return {name for names in SPLITS.values() for name in names}


def _class_folders(where: str, root: Path) -> list[str]:
    """The names of the folders in `root`, sorted, hidden ones left out."""
    try:
        return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    except OSError as error:
        fix = "Check the path"
        must = "there must be a folder of class folders"
        raise DataError(message(where, must, str(root), error.strerror, fix)) from error


def _pictures(folder: Path, extensions: Sequence[str]) -> list[Path]:
    """The pictures in a folder and those below it, sorted."""
    found = []
    for inside, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        found += [
            Path(inside, name)
            for name in names
            if name[0] != "." and name.lower().endswith(tuple(extensions))
        ]
    return sorted(found)


def _listed(names: Sequence[str], between: str) -> str:
    """The names, or the first of them and how many more there are."""
    more = len(names) - LISTED
    end = [f"{'' if between else chr(10) + '  '}… and {more} more"] if more > 0 else []
    return between.join([*names[:LISTED], *end])
