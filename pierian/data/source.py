"""Where the data sets come from: a folder, the download cache, a mirror, or the package itself.

May import: base, numpy; pooch, inside the function that downloads. To add a data set of four IDX
files: a row in `SETS` and a public function; of other files: a subclass of `Source` (see `cifar`).
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pierian.base.errors import DataError, lookup, message
from pierian.base.file import cache_folder
from pierian.data.idx import read_idx

PARTS = (  # the names that both data sets give their files, in the order of ImageData's arrays
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IMAGE = (28, 28)
SAMPLE = "mnist_sample.npz"  # written by tools/make_mnist_sample.py
SAMPLE_TRAIN = 9_000  # rows of it that are for training; the other 1,000 are the test set
SOURCES = ("bundled", "local", "download")
CONNECT = 3.0  # seconds until a mirror that does not answer is given up
READ = 15.0  # seconds without a byte until a download is given up
LONGEST = 160  # characters of a message from below that are worth showing


@dataclass(frozen=True, eq=False, repr=False)
class ImageData:
    """A data set of small images, with the line that says where it came from.

    Shapes:  x_train (n, ...), y_train (n,), x_test (m, ...), y_test (m,); images (28, 28), and
             (3, 32, 32) in CIFAR-10.
    Dtypes:  all uint8; pixels 0 … 255, labels index `classes`.
    Args:    classes  the name of each label.
             source   which data these are and where they were found.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    source: str

    def __repr__(self) -> str:
        return f"ImageData({self.source})"

    @property
    def checksum(self) -> str:
        """What tells whether two data sets are the same, 8 characters."""
        found = 0
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            found = zlib.crc32(np.ascontiguousarray(array).data, found)
        return f"{found:08x}"

    def write_folder(
        self, root: Any, parts: tuple[str, str] = ("train", "test"), labels: Any = None
    ) -> Path:
        """Write the images as PNG files into folders of folders, one per label; gives the path.

        Args:    parts   what the folders of the two parts are called.
                 labels  which get a folder; None for all.
                 The rest as in `write_image_folder`.
        """
        from pierian.data.image import write_image_folder  # few programs write pictures

        train, test = (self.x_train, self.y_train), (self.x_test, self.y_test)
        return write_image_folder(root, dict(zip(parts, (train, test), strict=True)), labels)


@dataclass(frozen=True)
class Source:
    """How to find one data set: its names, its files, and the mirrors with the sha256 of each."""

    name: str
    title: str
    classes: tuple[str, ...]
    first: tuple[int, ...]  # labels of its first test images, to tell sets with equal names apart
    sample: bool
    mirrors: tuple[str, ...]
    sha256: tuple[str, ...]  # in the order of files
    files: tuple[str, ...] = tuple([f"{part}.gz" for part in PARTS])  # that mirrors have
    what: str = "the four files"
    full: tuple[int, int] = (60_000, 10_000)

    @property
    def where(self) -> str:
        """The public function that loads it."""
        return self.name.replace("-", "_")

    def present(self, folder: Path, *, partial: bool = False) -> list[Path]:
        """The paths of the set in `folder`; none when no file is there (or, if `partial`, some)."""
        return _present(folder, self, partial=partial)

    def read(self, paths: list[Path], origin: str) -> ImageData:
        """The data set in these files, checked; `origin` ends the line `source`."""
        return _read(self, paths, origin)

    def line(self, data: Sequence[np.ndarray], origin: str) -> str:
        """What the four arrays are: all of the set, a part of it, or something else."""
        x_train, _, x_test, y_test = data
        what = f"other data under the names of {self.title}"
        if tuple(y_test[: len(self.first)].tolist()) == self.first:
            whole = (len(x_train), len(x_test)) == self.full
            what = f"{'full' if whole else 'part of'} {self.title}"
        return f"{what}, {len(x_train):,} + {len(x_test):,}, {origin}"


SETS = {
    "mnist": Source(
        name="mnist",
        title="MNIST",
        classes=tuple("0123456789"),
        first=(7, 2, 1, 0, 4, 1, 4, 9),
        sample=True,
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": Source(
        name="fashion-mnist",
        title="Fashion-MNIST",
        classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
                 "Sneaker", "Bag", "Ankle boot"),
        first=(9, 2, 1, 1, 6, 1, 4, 6),
        sample=False,
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}  # fmt: skip

_failed: dict[str, str] = {}  # why a download failed in this process, which then asks no more


def mnist(source: str | None = None) -> ImageData:
    """The MNIST digits: 60,000 + 10,000 where they can be had, else a real sample of 10,000.

    Looked for in this order: the folder `$PIERIAN_DATA` (the four IDX files in `mnist/` or
    directly in it, gzipped or not), the download cache (`$PIERIAN_CACHE`, or `pierian` in the
    user's cache folder), the public mirrors (checked by sha256; needs pooch, and is skipped when
    `PIERIAN_OFFLINE=1`), and last the sample in the package: the first 10,000 training images of
    MNIST, mixed, 9,000 + 1,000, with a line on stderr. `.source` of the result says which it was.

    Shapes:  see `ImageData`.
    Dtypes:  uint8.
    Args:    source  None, or the one place to use: "bundled", "local" (folder or cache) or
                     "download" (cache by checksum, else a mirror; tries again after a failure).
    Raises:  DataError when files are damaged or incomplete, or `source` has none.

    >>> digits = mnist(source="bundled")
    >>> digits.source
    'sample of MNIST, 9,000 + 1,000, bundled with Pierian'
    >>> digits.x_train.shape, digits.x_test.shape
    ((9000, 28, 28), (1000, 28, 28))
    """
    return find(SETS["mnist"], source)


def fashion_mnist(source: str | None = None) -> ImageData:
    """The Fashion-MNIST images of clothes: 60,000 + 10,000, ten kinds.

    Looked for as `mnist` does, in `fashion-mnist/`; there is no bundled sample of them.

    Shapes:  see `ImageData`.
    Dtypes:  uint8.
    Args:    source  None, or the one place to use: "local" or "download".
    Raises:  DataError when files are damaged, incomplete or nowhere to be had.
    """
    return find(SETS["fashion-mnist"], source)


def find(wanted: Source, source: str | None) -> ImageData:
    """The data set, from the place `source`, or the first that has it (see `mnist`)."""
    if source is not None:
        lookup(wanted.where, "source", source, SOURCES)
    if source == "bundled":
        return _bundled(wanted)
    cache = cache_folder() / wanted.name
    tried = []
    if source != "download":
        named = os.environ.get("PIERIAN_DATA")
        if named:
            for folder in (Path(named).expanduser() / wanted.name, Path(named).expanduser()):
                if paths := wanted.present(folder):
                    return wanted.read(paths, "from $PIERIAN_DATA")
        paths = wanted.present(cache, partial=source is None)
        if paths:
            return wanted.read(paths, "from the download cache")
        tried.append(f"nothing in $PIERIAN_DATA={named}" if named else "$PIERIAN_DATA is not set")
        tried.append(f"no complete set in {cache}")
    if source != "local":
        fault = _download(wanted, cache, again=source == "download")
        if not fault:
            return wanted.read(wanted.present(cache), "from the download cache")
        tried.append(f"no download: {fault}")
    fix = (
        f"Put {wanted.what} in <folder>/{wanted.name} and set PIERIAN_DATA=<folder>, "
        "or let them be downloaded (network, pip install 'pierian[data]')"
    )
    if source is None and wanted.sample:
        sample = _bundled(wanted)
        _say(f"{wanted.where}: {sample.source}, because {'; '.join(tried)}. {fix}.")
        return sample
    must = f"{wanted.what} of {wanted.title} must be found"
    expected = f"{wanted.files[0]} and so on"
    raise DataError(message(wanted.where, must, expected, "; ".join(tried), fix))


def _bundled(wanted: Source) -> ImageData:
    if not wanted.sample:
        raise DataError(
            message(wanted.where, "only MNIST has a bundled sample", "source='local' or 'download'",
                    "'bundled'", "Leave out source to use whatever is there")
        )  # fmt: skip
    with (files(__package__) / SAMPLE).open("rb") as file, np.load(file) as sample:
        x, y = sample["images"], sample["labels"]
    n = SAMPLE_TRAIN
    counts = f"{n:,} + {len(x) - n:,}"
    line = f"sample of {wanted.title}, {counts}, bundled with Pierian"
    return ImageData(x[:n], y[:n], x[n:], y[n:], wanted.classes, line)


def _present(folder: Path, wanted: Source, *, partial: bool = False) -> list[Path]:
    """The paths of the four files in `folder`; none when no file is there (or, if `partial`, some).

    Raises:  DataError when only some are there.
    """
    found = [
        next((path for path in (folder / f"{part}.gz", folder / part) if path.is_file()), None)
        for part in PARTS
    ]
    paths = [path for path in found if path]
    if len(paths) == len(PARTS):
        return paths
    if paths and not partial:
        missing = [part for part, path in zip(PARTS, found, strict=True) if not path]
        raise DataError(
            message(wanted.where, f"the four files of {wanted.title} must be together",
                    f"{', '.join(missing)} (or .gz) in {folder}", f"{len(paths)} other(s)",
                    "Add what is missing, or move the rest away")
        )  # fmt: skip
    return []


def _read(wanted: Source, paths: list[Path], origin: str) -> ImageData:
    """The four files as arrays, checked against each other."""
    arrays = [read_idx(path) for path in paths]
    fix = "Replace the file, or pass source='download' to fetch the set into the cache"
    for path, array in zip(paths, arrays, strict=True):
        shape = ("n", *IMAGE) if "images" in path.name else ("n",)
        if array.dtype != np.uint8 or array.ndim != len(shape) or array.shape[1:] != shape[1:]:
            raise DataError(
                message(f'{wanted.where}("{path}")', "array must fit the file's name",
                        f"uint8 of shape ({', '.join(map(str, shape))})",
                        f"{array.dtype} of shape {array.shape}", fix)
            )  # fmt: skip
    for images, labels in ((0, 1), (2, 3)):
        where = f'{wanted.where}("{paths[labels]}")'
        n, x, y = len(wanted.classes), arrays[images], arrays[labels]
        if len(x) != len(y) or len(y) == 0:
            must = "there must be one label per image, and at least one"
            raise DataError(
                message(where, must, f"{len(x):,} labels for {paths[images].name}",
                        f"{len(y):,}", fix)
            )  # fmt: skip
        if y.max() >= n:
            must = f"labels must name one of {n} classes"
            raise DataError(message(where, must, f"0 … {n - 1}", y.max(), fix))
    first = tuple(arrays[3][: len(wanted.first)].tolist())
    for other in SETS.values():
        if other is not wanted and first == other.first:
            raise DataError(
                message(f'{wanted.where}("{paths[3]}")', f"files must be those of {wanted.title}",
                        f"first test labels {wanted.first}", f"{first}, which are {other.title}'s",
                        f"Put each set in its own folder, {wanted.name} and {other.name}")
            )  # fmt: skip
    x_train, y_train, x_test, y_test = arrays
    line = wanted.line(arrays, origin)
    return ImageData(x_train, y_train, x_test, y_test, wanted.classes, line)


def _download(wanted: Source, folder: Path, *, again: bool) -> str:
    """Fetches what `folder` lacks of the four files; returns why not, or "" when all are there."""
    if os.environ.get("PIERIAN_OFFLINE", "0") not in ("", "0"):
        return "PIERIAN_OFFLINE is set"
    if wanted.name in _failed and not again:
        return _failed[wanted.name]
    try:
        import pooch
    except ImportError:
        return "pooch is not installed"
    names = dict(zip(wanted.files, wanted.sha256, strict=True))
    needed = [
        name
        for name, sha in names.items()
        if not (folder / name).is_file() or pooch.file_hash(str(folder / name)) != sha
    ]
    if needed:
        files = f"{len(needed)} file{'s' if len(needed) > 1 else ''}"
        _say(f"{wanted.where}: downloading {files} of {wanted.title} into {folder}")
    mirrors = list(wanted.mirrors)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        for name in needed:
            if fault := _fetch(pooch, mirrors, name, names[name], folder):
                _failed[wanted.name] = fault
                return fault
    finally:
        logger.setLevel(level)
    _failed.pop(wanted.name, None)
    return ""


def _fetch(pooch: Any, mirrors: list[str], name: str, sha256: str, folder: Path) -> str:
    """Fetches one file from the first mirror that has it; returns why not, or "" when done.

    It is written under another name and moved into place once its checksum is right. Mirrors that
    failed move to the end of `mirrors`.
    """
    faults = []
    for mirror in tuple(mirrors):
        try:
            _check_reachable(mirror)
            pooch.retrieve(
                mirror + name,
                known_hash=sha256,
                fname=name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=(CONNECT, READ)),
            )
            return ""
        except OSError as error:  # whatever requests raises is one
            faults.append(f"{urlsplit(mirror).netloc}: {name}: {str(error)[:LONGEST]}")
        except ValueError:
            faults.append(f"{urlsplit(mirror).netloc}: {name}: wrong sha256")
        mirrors.remove(mirror)
        mirrors.append(mirror)
    return ", ".join(faults)


def _check_reachable(url: str) -> None:
    """Raises OSError unless the server takes a connection within CONNECT seconds.

    Looking up a name has no time limit of its own, so that is done in a thread we can leave.
    """
    from urllib.request import getproxies, proxy_bypass  # slow to import, and seldom needed

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    if getproxies().keys() & {parts.scheme, "all"} and not proxy_bypass(host):
        return  # the proxy looks up names
    faults: list[str] = []
    done = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT).close()
        except OSError as error:
            faults.append(error.strerror or str(error))
        done.set()

    threading.Thread(target=connect, daemon=True).start()
    if not done.wait(CONNECT):
        raise TimeoutError(f"no answer in {CONNECT:g} s")
    if faults:
        raise ConnectionError(faults[0])


def _say(line: str) -> None:
    print(line, file=sys.stderr)
