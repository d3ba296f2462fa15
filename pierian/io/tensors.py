"""Named arrays as the bytes of a safetensors file, with a record of JSON values sealed to them.

May import: base, safetensors. To read one more dtype of other tools: a row in `DTYPES`.

The record is the string `pierian` of the file's metadata. Its `sha256` is that of the rest of the
record and of every array; the rule holds for all versions, so damage is told from novelty.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from pierian.base.file import failure

KEY = "pierian"
AGAIN = "It was cut short, damaged or edited: restore a copy or save it again"
SHOWN = 12  # characters of a checksum, bytes of an unknown file that are shown
DTYPES: dict[str, str] = {  # safetensors' names -> how the elements are stored
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32, which it becomes
}
SAVED = frozenset(np.dtype(stored).name for stored in DTYPES.values())


@dataclass(frozen=True)
class Contents:
    """What is in a file: arrays with memory of their own, and our record if there is one."""

    arrays: dict[str, np.ndarray]
    record: dict[str, Any] | None
    lacking: str = ""  # why there is no record


def pack(arrays: dict[str, np.ndarray], record: dict[str, Any] | None, where: str) -> bytes:
    """The bytes of a safetensors file; equal contents give equal bytes.

    Raises:  CheckpointError for a dtype or a name that the format cannot hold.
    """
    for name, array in arrays.items():
        if array.dtype.name not in SAVED:
            must = f"{name} must have a dtype that safetensors can hold"
            known = "bool, an integer or float16 to float64"
            raise failure(where, must, known, array.dtype, "Convert it before saving")
    metadata = None if record is None else {KEY: json.dumps(seal(record, arrays))}
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    try:
        return safetensors.numpy.save(whole, metadata)
    except (safetensors.SafetensorError, UnicodeError) as error:
        must = "the names of tensors must be ones that safetensors can hold"
        raise failure(where, must, "text", error, "Rename that attribute") from error


def seal(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The record with the checksum of itself and the arrays."""
    digest = hashlib.sha256(json.dumps(record).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
    return record | {"sha256": digest.hexdigest()}


def unpack(raw: bytes, where: str) -> Contents:
    """The arrays and the record in the bytes of a safetensors file of any program.

    Raises:  CheckpointError when it is none, is damaged, or has an array NumPy cannot hold.
    """
    size = int.from_bytes(raw[:8], "little")
    if raw[8:9] != b"{":
        got = f"one that begins with {raw[:SHOWN]!r}" if raw else "an empty file"
        fix = "Check the path; convert the files of other programs first"
        raise failure(where, "the file must be of the right kind", "a safetensors file", got, fix)
    try:
        entries = dict(safetensors.deserialize(raw))
        metadata = json.loads(raw[8 : 8 + size]).get("__metadata__") or {}
        arrays = {name: _array(name, entries[name], where) for name in sorted(entries)}
    except (safetensors.SafetensorError, ValueError, OverflowError) as error:
        got = f"{len(raw):,} bytes that are not ({error})"
        raise failure(where, "the file must be whole", "safetensors data", got, AGAIN) from error
    return Contents(arrays, _opened(metadata[KEY], arrays, where) if KEY in metadata else None)


def _array(name: str, tensor: dict[str, Any], where: str) -> np.ndarray:
    code, shape, data = tensor["dtype"], tuple(tensor["shape"]), tensor["data"]
    if code not in DTYPES:
        must, fix = f"{name} must have a dtype that NumPy has", "Convert it where it was made"
        raise failure(where, must, ", ".join(DTYPES), code, fix)
    if code == "BOOL":  # any byte but 0 is True
        return np.ndarray(shape, "u1", data).astype(bool)
    stored = np.ndarray(shape, DTYPES[code], data)
    if code == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(stored.dtype.newbyteorder("="))


def _opened(text: str, arrays: dict[str, np.ndarray], where: str) -> dict[str, Any]:
    """The record in `text`, if its checksum is right."""
    try:
        record = json.loads(text)
        wanted = record.pop("sha256")
        found = seal(record, arrays)["sha256"]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        must, got = f"metadata {KEY!r} must be readable", f"{type(error).__name__}: {error}"
        raise failure(where, must, "JSON with a sha256", got, AGAIN) from error
    if found != wanted:
        short = f"sha256 {str(wanted)[:SHOWN]}…", f"{found[:SHOWN]}…"
        raise failure(where, "the contents must match their checksum", *short, AGAIN)
    return record
