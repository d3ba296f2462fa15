"""read_idx: every dtype, gzipped or not, and one sentence for every damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pierian.base.errors import DataError
from pierian.data import read_idx

WHOLE = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])
ZIPPED = gzip.compress(WHOLE, mtime=0)
AGAIN = "Fetch the file again."
HEADER = (
    "file must start with an IDX header; "
    "expected bytes 00 00 08/09/0b/0c/0d/0e and a number of axes, got "
)
FILL = "elements must fill the shape in the header; expected "
DAMAGED = {  # what is in the file -> what the error says after its place
    "empty": (b"", f"{HEADER}an empty file. {AGAIN}"),
    "short magic": (WHOLE[:3], f"{HEADER}00 00 08. {AGAIN}"),
    "magic": (b"\x89PNG" + WHOLE[4:], f"{HEADER}89 50 4e 47. {AGAIN}"),
    "dtype": (b"\0\0\x0a\x01" + WHOLE[4:], f"{HEADER}00 00 0a 01. {AGAIN}"),
    "no axes": (b"\0\0\x08\0" + WHOLE[4:], f"{HEADER}00 00 08 00. {AGAIN}"),
    "65 axes": (b"\0\0\x08\x41" + WHOLE[4:], f"{HEADER}00 00 08 41. {AGAIN}"),
    "short header": (
        WHOLE[:6],
        f"header must name the size of every axis; expected 8 bytes for 1 axes, got 6. {AGAIN}",
    ),
    "truncated": (WHOLE[:-1], f"{FILL}3 bytes for shape (3,) of uint8, got 2 (truncated). {AGAIN}"),
    "too long": (WHOLE + b"x", f"{FILL}3 bytes for shape (3,) of uint8, got 4 (too long). {AGAIN}"),
    "huge": (
        b"\0\0\x0e\x02" + b"\xff" * 8,
        f"{FILL}147,573,952,520,956,936,200 bytes for shape (4294967295, 4294967295) of float64, "
        f"got 0 (truncated). {AGAIN}",
    ),
    "huge but empty": (
        b"\0\0\x08\x03" + b"\xff" * 8 + bytes(4),
        "shape in the header must be one an array can have; expected fewer than 2**63 bytes, "
        f"got (4294967295, 4294967295, 0). {AGAIN}",
    ),
    "cut gzip": (
        ZIPPED[:-9],
        "gzip data must be whole; expected an intact stream, got Compressed file ended before the "
        f"end-of-stream marker was reached. {AGAIN}",
    ),
    "gzip checksum": (
        ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:],
        "gzip data must be whole; expected an intact stream, got CRC check failed",
    ),
    "gzip body": (
        ZIPPED[:10] + b"\xff" * 8,
        "gzip data must be whole; expected an intact stream, got Error -3 while decompressing ",
    ),
    "zipped nonsense": (gzip.compress(b"hello"), f"{HEADER}68 65 6c 6c. {AGAIN}"),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_read_idx_gives_back_every_dtype(write_idx, tmp_path, dtype, suffix):
    for shape in ((5,), (2, 3), (2, 3, 4), (0, 4)):
        array = (np.arange(np.prod(shape)).reshape(shape) - 3).astype(dtype)
        got = read_idx(write_idx(tmp_path / f"a{suffix}", array))
        np.testing.assert_array_equal(got, array, strict=True)
        assert got.dtype.isnative
        assert got.flags.writeable


def test_read_idx_looks_at_content_not_at_the_name(tmp_path):
    for name, raw in (("plain.gz", WHOLE), ("zipped", ZIPPED)):
        Path(tmp_path, name).write_bytes(raw)
        assert read_idx(str(tmp_path / name)).tolist() == [7, 2, 1]


@pytest.mark.parametrize("name", DAMAGED)
def test_read_idx_names_the_damage(tmp_path, name):
    raw, says = DAMAGED[name]
    path = tmp_path / "labels"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f'read_idx("{path}"): {says}')
    assert str(caught.value).endswith(AGAIN)


def test_read_idx_of_no_file_says_so(tmp_path):
    for path, says in ((tmp_path / "none", "No such file or directory"), (tmp_path, "directory")):
        with pytest.raises(DataError, match=f"file must be readable; expected a file.*{says}"):
            read_idx(path)
