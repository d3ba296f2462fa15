"""Models and their weights as files: save and load, save_weights and load_weights.

May import: base, core, nn, the files of io. A file is safetensors: the tensors under their names,
and a record in the metadata (see `tensors.py`) with FORMAT, VERSION and what `architecture.py`
says of the modules. A change that old readers cannot take raises VERSION; `load` reads all below.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pierian.base import file
from pierian.base.errors import CheckpointError, message
from pierian.base.file import failure
from pierian.base.version import __version__
from pierian.io.architecture import describe, difference, owners, rebuild
from pierian.io.tensors import AGAIN, Contents, pack, unpack
from pierian.nn import Module
from pierian.nn.module import LoadedKeys

FORMAT, VERSION = "pierian.model", 1
CHECKPOINT, CHECKPOINT_VERSION = "pierian.checkpoint", 1  # which holds a model too,
PREFIX = "model/"  # under names that begin like this

_checked: set[bytes] = set()  # architectures that have been rebuilt once; see `_check`


def save(model: Module, path: Any) -> None:
    """Write the architecture and the weights of `model` to one file, for `load`.

    The file is a safetensors file, so other tools can read the weights. It holds classes by name
    and constructor arguments, never code. Not part of it: optimizer, loss, hooks, gradients, and
    attributes other than tensors, modules and arguments kept under their own names. The first
    time, a second model is made as `load` would do it, so what could not be loaded is refused.

    Args:    model  its classes are Pierian's own or have `@pr.register` above them.
             path   of the file, taken as it is (`.safetensors` is the usual end). Missing folders
                    are made; a file that is there is replaced in one step.
    Raises:  CheckpointError when the model cannot be made again from its description, or the
             file cannot be written. An older file is unchanged then.

    >>> from pierian import nn
    >>> model = nn.Sequential(nn.Dense(4, "relu", input_shape=3), nn.Dropout(0.1))
    >>> save(model, "small.safetensors")
    >>> load("small.safetensors")
    Sequential(
      (0): Dense(units=4, activation='relu', input_shape=3)
      (1): Dropout(p=0.1)
    )
    """
    if not isinstance(model, Module):
        raise TypeError(
            message("save", "only models can be saved", "an nn.Module", f"a {type(model).__name__}",
                    "Pass the model first, then the path")
        )  # fmt: skip
    where = _where("save", path)
    record = describe(model, where)
    arrays = {
        name: tensor.numpy() for name, tensor in owners(model).items() if name not in record["tied"]
    }
    head = {"format": FORMAT, "version": VERSION, "pierian": __version__}
    raw = pack(arrays, head | record, where)
    _check(record, arrays, where)
    file.write(path, raw, where)


def load(path: Any) -> Module:
    """The model in a file that `save` wrote, in the mode (training or not) it had.

    Shapes, dtypes and bits of the weights are those of the saved model; shared parameters are
    shared again, frozen ones frozen. Drawing random numbers goes on as if nothing had happened.

    Args:    path  of the file.
    Raises:  CheckpointError when there is no such file, when it is damaged, edited or made by
             something else, and when a class of the model is not known here.
    """
    where = _where("load", path)
    contents = _opened(path, where)
    if contents.record is None:
        got = f"weights only ({len(contents.arrays)} tensors{contents.lacking})"
        fix = "Make the model, then pr.io.load_weights(model, path)"
        must = "the file must say what the model is"
        raise failure(where, must, "a file that model.save wrote", got, fix)
    with understood(contents.record, where):
        return rebuild(contents.record, contents.arrays, where)


def save_weights(model: Module, path: Any) -> None:
    """Write `model.state_dict()` to a plain safetensors file, as other tools do.

    Raises:  CheckpointError for a dtype the format cannot hold, or when writing fails.
    """
    where = _where("save_weights", path)
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    file.write(path, pack(arrays, None, where), where)


def load_weights(model: Module, path: Any, strict: bool = True) -> LoadedKeys:
    """Copy the tensors of any safetensors file into those of `model` with the same names.

    They take the dtypes of the model; bfloat16 files are read too.

    Args:    strict  False leaves names alone that only one side has, and reports them.
    Raises:  CheckpointError naming all missing, extra and wrong-shaped tensors, or what is wrong
             with the file; nothing is loaded then.

    >>> from pierian import nn
    >>> save_weights(nn.Linear(3, 2), "weights.safetensors")
    >>> load_weights(nn.Linear(3, 2, bias=False), "weights.safetensors", strict=False)
    LoadedKeys(missing_keys=[], unexpected_keys=['bias'])
    """
    where = _where("load_weights", path)
    contents = _opened(path, where)
    arrays, record = contents.arrays, contents.record
    if record is not None:
        with understood(record, where):
            arrays |= {name: arrays[first] for name, first in record["tied"].items()}
    return model.load_state_dict(arrays, strict, where=where)


def _where(act: str, path: Any) -> str:
    return f'{act}("{os.fsdecode(path)}")'


def _opened(path: Any, where: str) -> Contents:
    """What a model file says; of a checkpoint, what it says of the model."""
    contents = unpack(file.read(path, where), where)
    record = contents.record
    if record is None or record.get("format") != CHECKPOINT:
        return contents
    with understood(record, where, CHECKPOINT, CHECKPOINT_VERSION):
        model = record["model"]
        names = [name for name in contents.arrays if name.startswith(PREFIX)]
        arrays = {name.removeprefix(PREFIX): contents.arrays[name] for name in names}
        if "unknown" in model:
            return Contents(arrays, None, f"; {model['unknown']}".rstrip("."))
        arrays = {name: array for name, array in arrays.items() if name not in model["tied"]}
        head = {"format": FORMAT, "version": VERSION, "pierian": record["pierian"]}
        return Contents(arrays, head | model)


@contextlib.contextmanager
def understood(
    record: dict[str, Any], where: str, wanted: str = FORMAT, newest: int = VERSION
) -> Iterator[None]:
    """Refuse a record of another format or of a later version, or what cannot be read as ours."""
    form, version = record.get("format"), record.get("version")
    if form != wanted or type(version) is not int or version < 1:
        kind, got = wanted.partition(".")[2], f"format {form!r}, version {version!r}"
        expected = f"format {wanted!r} and a version"
        raise failure(where, f"the file must hold a {kind}", expected, got, "Use what saved it")
    if version > newest:
        expected, fix = f"version {newest} of the format or older", "pip install --upgrade pierian"
        got = f"version {version}, saved by Pierian {record.get('pierian')}"
        raise failure(where, "the file must not be newer than the program", expected, got, fix)
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # a record that we did not write can lead to anything
        kind, got = wanted.partition(".")[2], f"{type(error).__name__}: {error}"
        must = f"the {kind} must be described in full"
        raise failure(where, must, "what save writes", got, AGAIN) from error


def _check(record: dict[str, Any], arrays: dict[str, np.ndarray], where: str) -> None:
    """Refuse to save what `load` would not make again, by making it."""
    shapes = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    key = hashlib.sha256(json.dumps([record, shapes]).encode()).digest()
    if key in _checked:
        return
    stand_ins = {n: np.broadcast_to(np.zeros((), a.dtype), a.shape) for n, a in arrays.items()}
    try:
        again = rebuild(json.loads(json.dumps(record)), stand_ins, "made anew")
        fault = difference(record, describe(again, where))
    except Exception as error:
        fault = str(error).removesuffix(" Nothing was loaded.")
    if fault:
        must = "a model made anew from the same arguments must be like this one"
        fix = "Make all of it in __init__, or keep the weights alone with pr.io.save_weights"
        raise failure(where, must, "the same parts and tensors", fault.rstrip("."), fix)
    _checked.add(key)
