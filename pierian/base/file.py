"""Files read whole, and written completely or not at all.

May import: errors. Everything of Pierian that leaves a file behind writes it through `write`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import time
from pathlib import Path
from typing import Any

from pierian.base.errors import CheckpointError, message

LONGEST = 40  # characters of the name that its temporary keeps, so that no name gets too long
STALE = 3600.0  # seconds after which an untouched temporary belongs to a process that was killed


def failure(where: str, must: str, expected: object, got: object, fix: str) -> CheckpointError:
    """The error of this room, in the house sentence, to be raised."""
    return CheckpointError(message(where, must, expected, got, fix))


def read(path: Any, where: str) -> bytes:
    """The bytes of the file at `path`.

    Args:    path   a string or a path object.
             where  what errors call the act, like 'load("m")'.
    Raises:  CheckpointError when there is no file, or none that can be read.
    """
    try:
        _mode(path)
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        got = getattr(error, "strerror", error)
        fix = "Check the path"
        raise failure(where, "there must be a file to read", "a file", got, fix) from error


def cache_folder() -> Path:
    """Where downloads and compiled code are kept: `$PIERIAN_CACHE`, or the system's place for it.

    The same folder that `pooch.os_cache("pierian")` names. It need not exist.
    """
    if named := os.environ.get("PIERIAN_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "pierian" / "pierian" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pierian"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pierian"


def write(path: Any, data: bytes, where: str, lasting: bool = True) -> None:
    """Put `data` into the file at `path`, which at any moment holds all of the old or of the new.

    A temporary file in the same folder is written, synced and renamed. Folders that are missing
    are made, a link is followed, and the mode of an old file is kept.

    Args:    path     a string or a path object; its name is taken as it is.
             where    what errors call the act.
             lasting  False does not wait for the disk: after a loss of power the file may hold
                      anything, and temporaries of killed writers are left to the caller.
    Raises:  CheckpointError when that fails; then an old file is as it was.

    >>> write("a/new/folder/x.bin", b"123", "write")
    >>> read("a/new/folder/x.bin", "read")
    b'123'
    """
    try:
        folder = _replace(os.fsdecode(path), data, lasting)
    except (OSError, ValueError) as error:
        room = f"a folder that can be written, with room for {len(data):,} bytes"
        fix = "Choose another path or make room; a file that was there is unchanged"
        got = getattr(error, "strerror", error)
        raise failure(where, "the file must be written", room, got, fix) from error
    if not lasting:
        return
    with contextlib.suppress(OSError):  # makes the rename last; not all systems can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _replace(path: str, data: bytes, lasting: bool) -> str:
    """Write and rename the temporary file; gives the folder."""
    if not os.path.basename(path):
        raise OSError(errno.EISDIR, "a path without the name of a file")
    mode = _mode(path)
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    prefix = f".{name[:LONGEST]}-"
    temporary = os.path.join(folder, f"{prefix}{secrets.token_hex(4)}.tmp")
    os.makedirs(folder, exist_ok=True)
    if lasting:
        sweep(folder, prefix)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):  # after the rename there is none
            os.unlink(temporary)
    return folder


def _mode(path: Any) -> int | None:
    """The permissions of the file at `path`, if any; an OSError when something else is there."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return stat.S_IMODE(mode)
    raise OSError(errno.EEXIST, "a folder" if stat.S_ISDIR(mode) else "a device or a pipe")


def sweep(folder: str, prefix: str = ".") -> None:
    """Remove the temporaries of writers that were killed."""
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > STALE:
                    os.unlink(entry.path)
