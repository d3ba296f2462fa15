"""Files that are cut, flipped, swapped or edited: one clear error, or the model as it was."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as plain

import pierian as pr
from pierian import io, nn
from pierian.base import trees
from pierian.base.errors import CheckpointError
from pierian.io.checkpoint import load_checkpoint, newest, save_checkpoint
from pierian.io.tensors import seal, unpack

AGAIN = "It was cut short, damaged or edited: restore a copy or save it again."
MUTANTS = int(os.environ.get("PIERIAN_MUTANTS", "4000"))  # 10,000 were tried once
EDITS = 1500


def small() -> nn.Module:
    """A model with a bit of everything, in 2 kB."""
    pr.manual_seed(0)
    inner = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.1))
    model = nn.Sequential(nn.Dense(2, "relu", input_shape=2), inner, nn.Dropout(0.5), inner)
    model[0].weight = inner[0].weight
    model[0].bias.requires_grad_(False)
    return model


@pytest.fixture(scope="module")
def path(tmp_path_factory: Any) -> Path:
    """The file that is written anew by each test, in the same place."""
    return tmp_path_factory.mktemp("damage") / "m"


@pytest.fixture(scope="module")
def whole(path: Path) -> bytes:
    small().save(path)
    return path.read_bytes()


def load(path: Path, raw: bytes) -> nn.Module:
    path.unlink(missing_ok=True)  # writing over a file makes some systems wait for the disk
    path.write_bytes(raw)
    return pr.load(path)


def complaint(path: Path, raw: bytes) -> str:
    """The text of the one error, without the path."""
    with pytest.raises(CheckpointError) as caught:
        load(path, raw)
    return str(caught.value).replace(str(path), "m")


def sealed(record: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """A file that says anything and has the right checksum."""
    return plain(arrays, {"pierian": json.dumps(seal(record, arrays))})


def edited(whole: bytes, *keys: str, **changes: Any) -> bytes:
    """The file with a part of its record changed, under the right checksum; ... removes."""
    contents = unpack(whole, "load")
    record = copy.deepcopy(contents.record)
    part: Any = record
    for key in keys:
        part = part[key]
    for name, value in changes.items():
        part[name] = value
        if value is ...:
            del part[name]
    return sealed(record, contents.arrays)


def test_a_file_cut_at_any_length_is_refused(path: Path, whole: bytes) -> None:
    assert 1500 < len(whole) < 4000
    for length in range(len(whole)):
        says = complaint(path, whole[:length])
        if length == 0:
            got = (
                "the file must be of the right kind; expected a safetensors file, got an empty file"
            )
        elif length < 9:
            got = (
                "the file must be of the right kind; expected a safetensors file, got one that beg"
            )
        else:
            got = (
                f"the file must be whole; expected safetensors data, got {length:,} bytes that are"
            )
        assert says.startswith(f'load("m"): {got}')


def test_a_file_with_something_behind_it_is_refused(path: Path, whole: bytes) -> None:
    for more in (b"\0", b"x" * 100, whole):
        assert "the file must be whole" in complaint(path, whole + more)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for place, got in ((tmp_path / "none", "No such file or directory"), (tmp_path, "a folder")):
        with pytest.raises(CheckpointError) as caught:
            pr.load(place)
        assert str(caught.value) == (
            f'load("{place}"): there must be a file to read; expected a file, got {got}. '
            "Check the path."
        )


def test_a_picture_and_a_text_are_no_models(path: Path) -> None:
    start = 'load("m"): the file must be of the right kind; expected a safetensors file, got one '
    fix = "Check the path; convert the files of other programs first."
    for raw, shown in (
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", rb"\x89PNG\r\n\x1a\n\x00\x00\x00\r"),
        (b"# A README, not a model\n", b"# A README, "),
    ):
        assert complaint(path, raw) == f"{start}that begins with b'{shown.decode()}'. {fix}"


def test_weights_of_other_tools_are_named_as_that(path: Path) -> None:
    arrays = {"w": np.zeros(2), "b": np.zeros(2)}
    for raw in (plain(arrays), plain(arrays, {"format": "pt"})):
        assert complaint(path, raw) == (
            'load("m"): the file must say what the model is; expected a file that model.save '
            "wrote, got weights only (2 tensors). Make the model, then pr.io.load_weights(model, "
            "path)."
        )


def test_every_flipped_bit_of_the_weights_is_found(path: Path, whole: bytes) -> None:
    start = 8 + int.from_bytes(whole[:8], "little")
    for at in range(start, len(whole)):
        raw = bytearray(whole)
        raw[at] ^= 1 << at % 8
        says = complaint(path, bytes(raw))
        must = 'load("m"): the contents must match their checksum; expected sha256 '
        assert says.startswith(must)
        assert says.endswith(AGAIN)
        with pytest.raises(CheckpointError, match="must match their checksum"):
            io.load_weights(small(), path)


def test_another_format_or_a_newer_version_is_named(path: Path, whole: bytes) -> None:
    for form, version in (
        ("pierian.run", 1), (..., 1), (3, 1), ("pierian.model", 0), ("pierian.model", "1"),
        ("pierian.model", True), ("pierian.model", 1.0), ("pierian.model", ...),
    ):  # fmt: skip
        shown = [None if value is ... else value for value in (form, version)]
        assert complaint(path, edited(whole, format=form, version=version)) == (
            "load(\"m\"): the file must hold a model; expected format 'pierian.model' and a "
            f"version, got format {shown[0]!r}, version {shown[1]!r}. Use what saved it."
        )
    assert complaint(path, edited(whole, version=2, pierian="0.9.1")) == (
        'load("m"): the file must not be newer than the program; expected version 1 of the format '
        "or older, got version 2, saved by Pierian 0.9.1. pip install --upgrade pierian."
    )


def test_an_unknown_class_is_named_with_its_place(path: Path, whole: bytes) -> None:
    for keys, title in (
        (("architecture",), "Mine"),
        (("architecture", "children", "1", "children", "0"), 'Mine("1.0")'),
    ):
        assert complaint(path, edited(whole, *keys, **{"class": "Mine"})) == (
            f'load("m"): the class of {title} must be known by name; expected a registered class, '
            "got Mine, which is not. Import the file that defines it, with @pr.register above the "
            "class."
        )


def test_only_registered_names_are_looked_up(path: Path, whole: bytes) -> None:
    for name in ("os.system", "builtins.eval", "pierian.nn.Linear", "__import__", "object", ""):
        says = complaint(path, edited(whole, "architecture", **{"class": name}))
        assert "expected a registered class" in says


DENSE = ("architecture", "children", "0", "config")
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "bad value": ({"units": "many"}, "ShapeError: Dense: units must be a size; "),
    "bad name": ({"activation": "rel"}, "ValueError: Dense: activation must be a known name; "),
    "missing": ({"units": ...}, "TypeError: Dense.__init__() missing 1 required positional "),
    "extra": ({"colour": "red"}, "TypeError: "),
    "no such part": ({"activation": {"$module": "gone"}}, "KeyError: 'gone'"),
    "strange part": ({"activation": {"$module": 3}}, "AttributeError: "),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_arguments_that_do_not_fit_are_named(path: Path, whole: bytes, name: str) -> None:
    changes, got = CONFIGS[name]
    says = complaint(path, edited(whole, *DENSE, **changes))
    must = (
        'load("m"): Dense("0") must be made from what was saved; expected arguments its class takes'
    )
    assert says.startswith(f"{must}, got {got}")
    assert says.endswith(" Use the class as it was when the file was saved.")


def test_tensors_that_do_not_fit_are_listed(path: Path, whole: bytes) -> None:
    contents = unpack(whole, "load")
    arrays = contents.arrays | {"more": np.zeros(1)}
    arrays["0.bias"] = np.zeros(3, np.float32)
    del arrays["1.0.bias"]
    record = contents.record | {"tied": {"1.0.weight": "0.weight", "3.0.weight": "0.weight"}}
    assert complaint(path, sealed(record, arrays)) == (
        'load("m"): 2 missing keys (1.0.bias, 3.0.bias), 1 extra (more), 1 wrong shape (0.bias: '
        "file (3,), model (2,)). Nothing was loaded."
    )


@pytest.mark.parametrize("field", ["architecture", "inputs", "built", "tied", "frozen"])
def test_a_missing_part_of_the_record_is_named(path: Path, whole: bytes, field: str) -> None:
    assert complaint(path, edited(whole, **{field: ...})) == (
        'load("m"): the model must be described in full; expected what save writes, got '
        f"KeyError: '{field}'. {AGAIN}"
    )


@pytest.mark.parametrize("value", [..., None, 3])
@pytest.mark.parametrize("field", ["class", "config", "attributes", "training", "children"])
def test_a_missing_part_of_a_module_is_named(
    path: Path, whole: bytes, field: str, value: Any
) -> None:
    keys = ["class", "config", "attributes", "training", "children"]
    keys = [key for key in keys if key != field or value is not ...]
    assert complaint(path, edited(whole, "architecture", "children", "1", **{field: value})) == (
        "load(\"m\"): part '1' of the model must be described in full; expected class, config, "
        f"attributes, training, children, got {json.dumps(keys)}. {AGAIN}"
    )


def test_contradictions_in_the_description_are_refused(path: Path, whole: bytes) -> None:
    full, made = "must be described in full", "must be made from what was saved"
    cases: list[tuple[bytes, str]] = [
        (edited(whole, built=False), "got ValueError: built must be False, but it is True"),
        (edited(whole, "tied", **{"0.bias": "gone"}), full),
        (edited(whole, "tied", **{"0.bias": "1.0.bias"}), "are tensors and tied to others"),
        (edited(whole, "architecture", "children", **{"2": {"shared": "7"}}), made),
        (edited(whole, "architecture", "children", **{"2": {"shared": ""}}), made),
        (edited(whole, "architecture", "children", **{"2": {"shared": 3}}), full),
        *(
            (edited(whole, "architecture", "children", **{name: {"shared": "0"}}), "must be free")
            for name in ("__class__", "__dict__", "_arguments", "_parent", "forward", "a.b", "")
        ),
        (edited(whole, "architecture", training="no"), full),
        (edited(whole, inputs=[{"shape": [2], "dtype": "object"}]), full),
    ]
    node: dict[str, Any] = {"class": "Identity", "config": {}, "attributes": {}, "training": True}
    node["children"] = {}
    for _ in range(400):
        node = {"class": "Sequential", "config": {"layers": [{"0": {"$module": "0"}}]},
                "attributes": {}, "training": True, "children": {"0": node}}  # fmt: skip
    cases.append((edited(whole, architecture=node), "RecursionError: "))
    for raw, says in cases:
        assert says in complaint(path, raw)


def test_nothing_is_left_of_a_load_that_failed(path: Path, whole: bytes) -> None:
    before = pr.ops.random.default.state.tolist()
    model = small()
    weights = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    pr.ops.random.default.manual_seed(before[0]).state.numpy()[1] = before[1]
    complaint(path, edited(whole, "architecture", "children", "2", **{"class": "Mine"}))
    with pytest.raises(CheckpointError):
        io.load_weights(model, path.with_name("gone"))
    path.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError):
        io.load_weights(model, path)
    assert pr.ops.random.default.state.tolist() == before
    assert {name: t.tolist() for name, t in model.state_dict().items()} == weights


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return (
        repr(one) == repr(other)
        and a.keys() == b.keys()
        and all(a[name].numpy().tobytes() == b[name].numpy().tobytes() for name in a)
        and all(a[name].base.requires_grad == b[name].base.requires_grad for name in a)
    )


def mutants(whole: bytes, other: bytes, seed: int, count: int = MUTANTS) -> Iterator[bytes]:
    """Copies of `whole`, each with a random injury; `other` is a file to take parts from."""
    rng = random.Random(seed)
    size = len(whole)
    head = 8 + int.from_bytes(whole[:8], "little")

    def flip(raw: bytearray) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)

    def replace(raw: bytearray) -> None:
        raw[rng.randrange(head)] = rng.choice(b'{}[]:,"\\0123456789truefalsnu \n\0\xff')

    def cut(raw: bytearray) -> None:
        del raw[rng.randrange(size) :]

    def remove(raw: bytearray) -> None:
        start = rng.randrange(size)
        del raw[start : start + rng.randrange(1, 64)]

    def insert(raw: bytearray) -> None:
        start = rng.randrange(size)
        raw[start:start] = rng.randbytes(rng.randrange(1, 64))

    def swap(raw: bytearray) -> None:
        length = rng.randrange(1, 64)
        a, b = rng.randrange(size - length), rng.randrange(size - length)
        raw[a : a + length], raw[b : b + length] = raw[b : b + length], raw[a : a + length]

    def double(raw: bytearray) -> None:
        start = rng.randrange(size)
        part = raw[start : start + rng.randrange(1, 600)]
        at = rng.randrange(size)
        raw[at : at + rng.choice((0, len(part)))] = part

    def zero(raw: bytearray) -> None:
        start = rng.randrange(size)
        length = min(rng.randrange(1, 600), size - start)
        raw[start : start + length] = bytes(length)

    def graft(raw: bytearray) -> None:
        start = rng.choice((8, head, rng.randrange(size)))
        raw[start:] = other[start:]

    def length(raw: bytearray) -> None:
        raw[:8] = rng.choice((rng.randrange(size), 2**63, 2**32, head - 9)).to_bytes(8, "little")

    injuries: list[Callable[[bytearray], None]] = [
        flip, flip, flip, replace, replace, cut, remove, insert, swap, double, zero, graft,
        length,
    ]  # fmt: skip
    for _ in range(count):
        raw = bytearray(whole)
        rng.choice(injuries)(raw)
        yield bytes(raw)


def test_a_mutant_is_refused_or_harmless(path: Path, whole: bytes) -> None:
    model = small()
    other = small()
    other.load_state_dict({name: -t.numpy() for name, t in model.state_dict().items()})
    other.save(path)
    refused = 0
    for raw in mutants(whole, path.read_bytes(), seed=0):
        try:
            loaded = load(path, raw)
        except CheckpointError as error:
            refused += 1
            text = str(error)
            assert text.startswith(f'load("{path}"): ')
            assert text.endswith(".")
            assert "; expected " in text
        else:
            assert same(loaded, model) or same(loaded, other)
    assert refused > 0.9 * MUTANTS


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in cast")
def test_weights_of_a_mutant_are_refused_or_fit(path: Path, whole: bytes) -> None:
    model = small()
    io.save_weights(model, path)
    raw, refused = path.read_bytes(), 0
    for mutant in mutants(raw, raw[::-1], seed=2):
        path.unlink()
        path.write_bytes(mutant)
        before = [tensor.numpy().tobytes() for tensor in model.state_dict().values()]
        try:
            io.load_weights(model, path)
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(f'load_weights("{path}"): ')
            assert before == [tensor.numpy().tobytes() for tensor in model.state_dict().values()]
    assert refused > 0.7 * MUTANTS
    path.write_bytes(edited(whole, tied=...))
    with pytest.raises(CheckpointError, match="must be described in full; .* KeyError: 'tied'"):
        io.load_weights(model, path)


def test_a_mutant_checkpoint_is_refused_or_harmless(path: Path) -> None:
    """By all that read it; what is set aside when resuming is never what is whole."""
    states, files = [], []
    for sign in (1, -1):
        model = small()
        model.load_state_dict({n: sign * t.numpy() for n, t in model.state_dict().items()})
        states.append({"model": model.state_dict(), "step": 7, "odd": [1.5, float("nan")],
                       "slots": {0: {"exp_avg": np.arange(8.0) * sign}}})  # fmt: skip
        save_checkpoint(path, model, states[-1])
        files.append(path.read_bytes())
    whole = [plain_state(load_checkpoint(path)) for path in written(path, files)]
    refused, reader = 0, small()
    folder = path.with_name("run")
    folder.mkdir()
    older, newer = (folder / f"checkpoint-{step}.safetensors" for step in (1, 2))
    older.write_bytes(files[1])
    for raw in mutants(*files, seed=3, count=MUTANTS // 4):  # each is read by four
        newer.unlink(missing_ok=True)
        newer.write_bytes(raw)
        try:
            found = load_checkpoint(newer)
        except CheckpointError as error:
            refused += 1
            text = str(error)
            assert text.startswith(f'load_checkpoint("{newer}"): ') and "; expected " in text
            found = None
        else:
            assert plain_state(found) in whole
        for read, what in ((pr.load, None), (lambda p: io.load_weights(reader, p), reader)):
            try:
                model = read(newer)
            except CheckpointError:
                assert found is None
            else:
                weights = {n: t.numpy().tobytes() for n, t in (what or model).state_dict().items()}
                assert found is not None and weights == {
                    name: array.tobytes() for name, array in found["model"].items()
                }
        place, taken = newest(folder, "resume")  # type: ignore[misc]
        assert place == (older if found is None else newer)
        assert plain_state(taken) == (whole[1] if found is None else plain_state(found))
        assert newer.exists() == (found is not None)
    assert refused > 0.9 * (MUTANTS // 4)


def written(path: Path, files: list[bytes]) -> Iterator[Path]:
    for raw in files:
        path.write_bytes(raw)
        yield path


def plain_state(state: dict[str, Any]) -> Any:
    """A state that can be compared bit by bit."""
    return trees.map_tree(lambda x: x.tobytes() if isinstance(x, np.ndarray) else repr(x), state)


JUNK: list[Any] = [None, True, -1, 0, 1, 3, 1.5, float("nan"), "", "0", "Linear", [], [1], {},
                   {"a": 1}, {"$module": "0"}, {"shared": "0"}, [[]], 2**70]  # fmt: skip


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = list(part) if isinstance(part, dict) else range(len(part))
    for key in keys:
        yield part, key
        if isinstance(part[key], dict | list):
            yield from places(part[key])


def test_a_record_edited_under_the_right_checksum_is_refused_or_a_model(
    path: Path, whole: bytes
) -> None:
    rng = random.Random(1)
    contents = unpack(whole, "load")
    refused = 0
    for _ in range(EDITS):
        record = copy.deepcopy(contents.record)
        part, key = rng.choice(list(places(record)))
        act = rng.randrange(4)
        if act == 0:
            del part[key]
        elif act == 1 and isinstance(part, dict):
            part[rng.choice(("x", "0", "weight", "forward", "_name"))] = part.pop(key)
        else:
            part[key] = rng.choice(JUNK)
        try:
            loaded = load(path, sealed(record, contents.arrays))
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(f'load("{path}"): ')
        else:
            assert isinstance(loaded, nn.Module)
    assert refused > EDITS / 2
