"""Checkpoints: a tree of values and arrays in one file, written whole or not at all.

May import: base, the files of io. The file is safetensors, its record versioned JSON under a
checksum (see `tensors.py`). A checkpoint holds its model like a model file does, so `load` and
`load_weights` read it too. A change that old readers cannot take raises VERSION.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pierian.base import file
from pierian.base.errors import CheckpointError
from pierian.base.file import failure
from pierian.base.notice import notice
from pierian.base.version import __version__
from pierian.core.tensor import Tensor
from pierian.io.architecture import describe
from pierian.io.model import CHECKPOINT as FORMAT
from pierian.io.model import CHECKPOINT_VERSION as VERSION
from pierian.io.model import understood
from pierian.io.tensors import AGAIN, Contents, pack, unpack
from pierian.nn import Module

ARRAY, ITEMS = "$array", "$items"  # what stands for an array, and for keys that JSON has not
PATTERN = "checkpoint-*.safetensors"
DAMAGED = ".damaged"  # the ending of a file that was set aside
PACKAGES = ("numpy", "llvmlite", "safetensors")


def save_checkpoint(path: Any, model: Module, state: Mapping[str, Any]) -> None:
    """Write `state`, whose entry "model" is the model's `state_dict`, and what the model is.

    Args:    state  dicts, lists and tuples of JSON values, arrays and tensors. Keys may be
                    numbers; tuples come back as lists.
    Raises:  CheckpointError when it cannot be written; then a file that was there is unchanged.
    """
    where = f'save_checkpoint("{os.fsdecode(path)}")'
    arrays: dict[str, np.ndarray] = {}
    plain = _encode(state, "", arrays, where)
    try:
        architecture: Any = describe(model, where)
    except CheckpointError as error:
        architecture = {"unknown": str(error)}
    head = {"format": FORMAT, "version": VERSION, "pierian": __version__}
    record = head | {"model": architecture, "state": plain, "environment": environment()}
    file.write(path, pack(arrays, record, where), where)


def load_checkpoint(path: Any) -> dict[str, Any]:
    """The state in a file that `save_checkpoint` wrote, its tensors as arrays.

    Raises:  CheckpointError when there is none, it is damaged, or no checkpoint.
    """
    where = f'load_checkpoint("{os.fsdecode(path)}")'
    return _state(_unpacked(file.read(path, where), where), where)


def newest(folder: Any, where: str) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a folder and its state; None when there is none.

    A file that is damaged is renamed, which is said, and the one before it is taken.
    Raises:  CheckpointError when all are damaged.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        raw = file.read(path, where)
        try:
            contents = _unpacked(raw, f'{where}("{path}")')
        except CheckpointError as error:
            aside = path.with_name(path.name + DAMAGED)
            with contextlib.suppress(OSError):  # the next writer of this name replaces it then
                path.replace(aside)
            notice(f"{where}: a damaged checkpoint was set aside as {aside.name}: {error}")
            continue
        return path, _state(contents, f'{where}("{path}")')
    if found:
        must, fix = "one of the checkpoints must be whole", "Begin anew in another folder"
        raise failure(where, must, "1 of them", f"{len(found)} damaged ones", fix)
    return None


def _unpacked(raw: bytes, where: str) -> Contents:
    contents = unpack(raw, where)
    if contents.record is None:
        got = f"tensors alone ({len(contents.arrays)})"
        raise failure(where, "the file must hold a checkpoint", "one with a record", got, AGAIN)
    return contents


def _state(contents: Contents, where: str) -> dict[str, Any]:
    record: Any = contents.record
    with understood(record, where, FORMAT, VERSION):
        return _decode(record["state"], contents.arrays)


def checkpoints(folder: Any) -> list[Path]:
    """The checkpoints of a folder, by their number of steps."""
    found = [path for path in Path(folder).glob(PATTERN) if step_of(path) >= 0]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """The number of steps in the name of a checkpoint; -1 for other names."""
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def environment() -> dict[str, str]:
    """What made a file: versions and machine."""
    from importlib import metadata  # slow to import, and seldom needed

    found = {"pierian": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found | {"platform": platform.platform(), "machine": platform.machine(),
                    "byteorder": sys.byteorder}  # fmt: skip


def _encode(value: Any, place: str, arrays: dict[str, np.ndarray], where: str) -> Any:
    """`value` as JSON values; its arrays go to `arrays`, under the places where they were."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        while place in arrays:  # {"a/b": x, "a": {"b": y}}
            place += "'"
        arrays[place] = value
        return {ARRAY: place}
    if isinstance(value, Mapping):
        inner = f"{place}/" if place else ""
        items = [(_key(k, place, where), _encode(v, f"{inner}{k}", arrays, where))
                 for k, v in value.items()]  # fmt: skip
        simple = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return dict(items) if simple else {ITEMS: [list(item) for item in items]}
    if isinstance(value, list | tuple):
        return [_encode(v, f"{place}/{i}", arrays, where) for i, v in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    must = f"the state must be of values that can be kept, also {place}"
    fix = "Give numbers, strings, arrays or tensors from state_dict"
    raise failure(where, must, "JSON values, arrays, tensors", type(value).__name__, fix)


def _key(key: Any, place: str, where: str) -> Any:
    key = key.item() if isinstance(key, np.generic) else key
    if key is None or isinstance(key, bool | int | float | str):
        return key
    must, got = f"keys must be numbers or strings, also in {place}", type(key).__name__
    raise failure(where, must, "such keys", got, "Change those in state_dict")


def _decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return arrays[value[ARRAY]]
    if ITEMS in value:
        return {k: _decode(v, arrays) for k, v in value[ITEMS]}
    return {k: _decode(v, arrays) for k, v in value.items()}
