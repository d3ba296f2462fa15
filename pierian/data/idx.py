"""The IDX file format: the arrays of MNIST and its relatives.

May import: base, numpy. To read one more dtype: a row in `DTYPES`.

A file is two zero bytes, one byte naming the dtype, one byte counting the axes, the size of each
axis as a big-endian uint32, then the elements, big-endian, last axis fastest; gzip around it.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from pierian.base.errors import DataError, message

DTYPES: dict[int, np.dtype] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP = b"\x1f\x8b"  # an IDX file begins with two zero bytes, so one can never look like the other
AXES = 64  # as many as a NumPy array can have


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array stored in an IDX file, plain or gzipped (told apart by content, not by name).

    Shapes:  -> as the file says.
    Dtypes:  uint8, int8, int16, int32, float32 or float64, in the machine's byte order.
    Args:    path  the file.
    Raises:  DataError when the file is missing, damaged, or not IDX.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    where = f'read_idx("{os.fspath(path)}")'
    again = "Fetch the file again"
    raw = _contents(where, Path(path))
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in DTYPES or not 1 <= raw[3] <= AXES:
        known = "/".join(f"{code:02x}" for code in DTYPES)
        raise DataError(
            message(where, "file must start with an IDX header",
                    f"bytes 00 00 {known} and a number of axes",
                    raw[:4].hex(" ") or "an empty file", again)
        )  # fmt: skip
    dtype, start = DTYPES[raw[2]], 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(
            message(where, "header must name the size of every axis",
                    f"{start} bytes for {raw[3]} axes", f"{len(raw)}", again)
        )  # fmt: skip
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], offset=4))
    size = math.prod(shape) * dtype.itemsize
    if len(raw) - start != size:
        fault = "truncated" if len(raw) - start < size else "too long"
        raise DataError(
            message(where, "elements must fill the shape in the header",
                    f"{size:,} bytes for shape {shape} of {dtype.name}",
                    f"{len(raw) - start:,} ({fault})", again)
        )  # fmt: skip
    try:
        array = np.frombuffer(raw, dtype, offset=start).reshape(shape)
    except ValueError as error:  # an axis of 0 hides the size of the others
        must = "shape in the header must be one an array can have"
        raise DataError(message(where, must, "fewer than 2**63 bytes", shape, again)) from error
    return array.astype(dtype.newbyteorder("="))


def _contents(where: str, path: Path) -> bytes:
    """The bytes of the file, with gzip undone."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            message(where, "file must be readable", "a file", error.strerror, "Check the path")
        ) from error
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            message(where, "gzip data must be whole", "an intact stream", str(error).rstrip("."),
                    "Fetch the file again")
        ) from error  # fmt: skip
