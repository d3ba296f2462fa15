"""Object code on disk, so that a program is compiled once per machine, not once per process.

May import: base. An entry is named by a digest of everything the code depends on; a damaged one is
as good as none. Nothing here ever raises: without a folder that can be written, programs are
compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from functools import cache
from pathlib import Path

from pierian.base import file
from pierian.base.errors import CheckpointError

DIGEST = 32  # bytes of a sha256, in front of each entry
LARGEST = 256 << 20  # bytes; when all entries are larger than that, the oldest half goes
ENDING = ".o"
SELDOM = 64  # entries of a process between two looks at the size of the folder
_puts = itertools.count()


def folder() -> Path:
    """Where entries are."""
    return file.cache_folder() / "objects"


def enabled() -> bool:
    """Whether to use the cache; `PIERIAN_NO_CACHE=1` turns it off."""
    return os.environ.get("PIERIAN_NO_CACHE", "0") in ("", "0")


def key(*parts: str) -> str:
    """The name for code that depends on `parts` and on the compiler itself."""
    digest = hashlib.sha256(_compiler())
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@cache
def _compiler() -> bytes:
    """A digest of the files of this room: another version may make other code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with contextlib.suppress(OSError):
            digest.update(path.read_bytes())
    return digest.digest()


def get(name: str) -> bytes | None:
    """The entry `name`; None when there is none, or none that is whole."""
    if not enabled():
        return None
    path = folder() / (name + ENDING)
    try:
        data = path.read_bytes()
        os.utime(path)  # used now: kept longer
    except OSError:
        return None
    code = data[DIGEST:]
    return code if hashlib.sha256(code).digest() == data[:DIGEST] else None


def put(name: str, code: bytes) -> None:
    """Keep `code` as the entry `name`; other processes see all of it or nothing."""
    if not enabled():
        return
    data = hashlib.sha256(code).digest() + code
    with contextlib.suppress(CheckpointError, OSError):
        # an entry that a loss of power damages is none, so there is no waiting for the disk
        file.write(folder() / (name + ENDING), data, "compiler cache", lasting=False)
        if next(_puts) % SELDOM == 0:
            file.sweep(str(folder()))
            _prune()


def _prune() -> None:
    """Make room, the least recently used entries first."""
    entries = [(entry.stat(), entry.path) for entry in os.scandir(folder())
               if entry.name.endswith(ENDING)]  # fmt: skip
    total = sum(stat.st_size for stat, _ in entries)
    if total <= LARGEST:
        return
    for stat, path in sorted(entries, key=lambda pair: pair[0].st_mtime):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= stat.st_size
        if total <= LARGEST // 2:
            break
