"""CIFAR-10: its two versions, packed or not; the pickles of one are read without running them.

May import: base, numpy, the files of data. Where the files are looked for: `source`.
"""

from __future__ import annotations

import io
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pierian.base.errors import DataError, message
from pierian.data.source import ImageData, Source, find

IMAGE = (3, 32, 32)
BYTES = 3 * 32 * 32  # of the pixels of an image
PARTS = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
VERSIONS = {".bin": "cifar-10-batches-bin", "": "cifar-10-batches-py"}  # ending -> folder
ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
FIX = "Replace it with the official one; cifar10(source='download') fetches that into the cache"


class Archive(Source):
    """CIFAR-10, in an archive or a folder."""

    def present(self, folder: Path, *, partial: bool = False) -> list[Path]:
        unpacked = [folder / name for name in VERSIONS.values()]
        for path in (*unpacked, folder):
            if any((path / f"{part}{end}").is_file() for part in PARTS for end in VERSIONS):
                return [path]
        return [path for name in ARCHIVES if (path := folder / name).is_file()][:1]

    def read(self, paths: list[Path], origin: str) -> ImageData:
        arrays = _arrays(f'{self.where}("{paths[0]}")', paths[0])
        return ImageData(*arrays, self.classes, self.line(arrays, origin))


CIFAR10 = Archive(
    name="cifar10",
    title="CIFAR-10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
             "truck"),
    first=(3, 8, 8, 0, 6, 6, 1, 6),
    sample=False,
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    sha256=("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",),
    files=ARCHIVES[:1],
    what="an archive or its folder",
    full=(50_000, 10_000),
)  # fmt: skip


def cifar10(source: str | None = None) -> ImageData:
    """The CIFAR-10 photographs: 50,000 + 10,000 in colour, ten kinds.

    Looked for as `mnist` does, in `cifar10/`: cifar-10-binary.tar.gz or cifar-10-python.tar.gz, or
    what they hold, unpacked. There is no bundled sample. What is downloaded is the binary version,
    162 MiB, from its authors' page.

    Shapes:  images (3, 32, 32); see `ImageData`.
    Dtypes:  uint8.
    Args:    source  None, or the one place to use: "local" or "download".
    Raises:  DataError when files are damaged, incomplete or nowhere to be had.
    """
    return find(CIFAR10, source)


def read_cifar10(path: Any) -> ImageData:
    """CIFAR-10 from an archive (.tar.gz) or a folder, the binary version or that for Python.

    Pickles are read by a reader that knows dictionaries, lists, numbers, strings and arrays of
    bytes, and refuses everything else: nothing in them is run.

    Shapes:  images (3, 32, 32); see `ImageData`.
    Dtypes:  uint8.
    Raises:  DataError when files are missing or damaged, or ask for anything but data.
    """
    path = Path(path)
    arrays = _arrays(f'read_cifar10("{path}")', path)
    return ImageData(*arrays, CIFAR10.classes, CIFAR10.line(arrays, f"from {path}"))


def _arrays(where: str, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of `ImageData`."""
    files = _unpacked(where, path)
    # the version of which most files are there, so that an error names what it lacks
    end = max(VERSIONS, key=lambda end: sum(f"{part}{end}" in files for part in PARTS))
    missing = [f"{part}{end}" for part in PARTS if f"{part}{end}" not in files]
    if missing:
        raise DataError(
            message(where, "all six files must be there", f"{PARTS[0]} … 5 and {PARTS[-1]}",
                    f"no {', '.join(missing)}", FIX)
        )  # fmt: skip
    read = _records if end else _pickled
    batches = []
    for part in PARTS:
        x, y = read(where, f"{part}{end}", files[f"{part}{end}"])
        if y.max() >= len(CIFAR10.classes):
            must = f"labels in {part}{end} must name one of {len(CIFAR10.classes)} classes"
            raise DataError(message(where, must, "0 … 9", y.max(), FIX))
        batches.append((x.reshape(-1, *IMAGE), y))
    *train, (x_test, y_test) = batches
    x_train, y_train = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return x_train, y_train, x_test.copy(), y_test.copy()


def _unpacked(where: str, path: Path) -> dict[str, bytes]:
    """What the files of CIFAR-10 in a folder or an archive hold, by name."""
    import tarfile  # slow to import, and seldom needed

    wanted = {f"{part}{end}" for part in PARTS for end in VERSIONS}
    try:
        if path.is_dir():
            inside = [path, *(path / name for name in VERSIONS.values())]
            found = [folder / name for folder in inside for name in wanted]
            return {file.name: file.read_bytes() for file in found if file.is_file()}
        files = {}
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in wanted and (file := archive.extractfile(member)):
                    files[name] = file.read()
        return files
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError) as error:
        got = getattr(error, "strerror", None) or error
        must = "there must be an archive or a folder"
        raise DataError(message(where, must, ARCHIVES[0], got, FIX)) from error


def _records(where: str, name: str, raw: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of the binary version: a byte and 3,072 bytes per image."""
    if not raw or len(raw) % (1 + BYTES):
        must = f"{name} must be records of {1 + BYTES:,} bytes"
        got = f"{len(raw):,} bytes"
        raise DataError(message(where, must, "a multiple, not 0", got, FIX))
    table = np.frombuffer(raw, np.uint8).reshape(-1, 1 + BYTES)
    return table[:, 1:], table[:, 0]


def _pickled(where: str, name: str, raw: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of the version for Python."""
    try:
        fields = _Reader(io.BytesIO(raw), encoding="bytes").load()
        pixels, labels = fields[b"data"].bytes(), np.array(fields[b"labels"])
        if labels.shape != (len(pixels),) or labels.dtype.kind != "i" or not labels.size:
            raise ValueError(f"{len(pixels)} images and labels of shape {labels.shape}")
        if labels.min() < 0:
            raise ValueError(f"the label {labels.min()}")
    except Exception as error:  # a damaged pickle can make its reader raise anything
        must = f"{name} must hold images and labels, and nothing that runs"
        expected = "a dictionary with b'data', uint8 of shape (n, 3072), and b'labels', n numbers"
        told = isinstance(error, ValueError | pickle.UnpicklingError)
        got = error if told else f"a damaged file ({error!r})"
        raise DataError(message(where, must, expected, got, FIX)) from error
    return pixels, np.minimum(labels, np.iinfo(np.uint8).max).astype(np.uint8)


class _Array:
    """What stands for a pickled array: its state as plain values, and none of NumPy's code."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def bytes(self) -> np.ndarray:
        """The array, if it is one of CIFAR-10's; raises ValueError."""
        _, shape, dtype, fortran, raw = self.state
        if dtype.code not in (b"u1", "u1") or len(shape) != 2 or shape[1] != BYTES:
            raise ValueError(f"an array of {dtype.code!r} of shape {shape}")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """What stands for a pickled dtype."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, of which bytes have none."""


KNOWN = {  # what the files may ask for -> what they get
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,  # its name in NumPy 2
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
}


class _Reader(pickle._Unpickler):
    """A reader of pickles that imports nothing.

    It is Python's own in Python: the one in C clears as much memory as a damaged file names.
    """

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in KNOWN:
            raise pickle.UnpicklingError(f"a request for {module}.{name}")
        return KNOWN[f"{module}.{name}"]
