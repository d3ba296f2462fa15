"""What the tests of the data room share: no network, no local files, and a writer of IDX files."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pierian.data import source

WriteIdx = Callable[..., Path]
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIERIAN_DATA", raising=False)
    monkeypatch.setenv("PIERIAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIERIAN_OFFLINE", "1")
    monkeypatch.setattr(source, "_failed", {})


@pytest.fixture
def write_idx() -> WriteIdx:
    def write(path: Path, array: np.ndarray) -> Path:
        """Writes `array` as the format says, gzipped when the name ends in .gz."""
        code = CODES[array.dtype.str[1:]]
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
        raw = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
        return path

    return write
