"""Checkpoints as files: what goes in comes out, and what they looked like is read for ever."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import io, nn
from pierian.base import notice
from pierian.base.errors import CheckpointError
from pierian.io.checkpoint import DAMAGED, checkpoints, load_checkpoint, newest, save_checkpoint
from pierian.io.tensors import unpack
from tests.io.test_damage import sealed

FIXTURES = Path(__file__).parent / "fixtures"
TOOL = Path(__file__).parents[2] / "tools" / "make_checkpoint_fixture.py"
SHA256 = {  # a released file never changes; made by tools/make_checkpoint_fixture.py
    "checkpoint_v1.safetensors": (
        "f197ec4593c0c40754f29554fdf17b33334c26aa90f1525e48c2837555c8b05a"
    ),
    "checkpoint_v1_run.safetensors": (
        "f1ce52ae82144d95355583fe9cec4d637376de6bae56038a0d207ccfe3d3240c"
    ),
}


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("make_checkpoint_fixture", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(one: Any, other: Any) -> bool:
    """Equal in every bit, also of kinds; tuples have become lists."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | pr.Tensor):
        one = np.asarray(one)
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notice.said.clear()


@pytest.fixture
def model() -> nn.Module:
    pr.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Dropout(0.5))


def state_of(model: nn.Module, **more: Any) -> dict[str, Any]:
    return {"model": model.state_dict(), **more}


# There and back


def test_every_kind_of_value_comes_back(model: nn.Module, tmp_path: Path) -> None:
    state = state_of(model, **tool().values())
    save_checkpoint(tmp_path / "c", model, state)
    assert same(state, load_checkpoint(tmp_path / "c"))
    more = {"tensor": pr.ones(3), "numbers": (np.float32(0.5), np.int64(3), np.bool_(True)),
            "keys": {np.int64(3): 1}}  # fmt: skip
    save_checkpoint(tmp_path / "c", model, state_of(model, **more))
    back = load_checkpoint(tmp_path / "c")
    assert back["tensor"].tolist() == [1, 1, 1]
    assert back["numbers"] == [0.5, 3, True] and back["keys"] == {3: 1}


REFUSED: dict[str, tuple[Any, str]] = {
    "set": ({1}, "got set"),
    "function": (len, "got builtin_function_or_method"),
    "object array": (np.array([None]), "dtype that safetensors can hold"),
    "complex array": (np.zeros(1, complex), "dtype that safetensors can hold"),
    "tuple as key": ({(1, 2): 3}, "keys must be numbers or strings, also in x"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_named(name: str, model: nn.Module, tmp_path: Path) -> None:
    value, says = REFUSED[name]
    (tmp_path / "c").write_bytes(b"before")
    with pytest.raises(CheckpointError, match=says):
        save_checkpoint(tmp_path / "c", model, state_of(model, x=value))
    assert (tmp_path / "c").read_bytes() == b"before"


def test_a_checkpoint_is_a_model_file_too(model: nn.Module, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", model, state_of(model, epoch=3))
    again = pr.load(tmp_path / "c")
    assert repr(again) == repr(model)
    other = nn.Sequential(nn.Linear(2, 2))
    io.load_weights(other, tmp_path / "c")
    for made in (again, other):
        assert same(dict(made.state_dict()), {k: np.asarray(v) for k, v in
                                              model.state_dict().items()})  # fmt: skip


class Unknown(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(2, 1)


def test_a_model_that_is_not_registered_is_kept_too(tmp_path: Path) -> None:
    model = Unknown()
    save_checkpoint(tmp_path / "c", model, state_of(model))
    with pytest.raises(CheckpointError, match=r"weights only \(2 tensors; .*Write @pr.register"):
        pr.load(tmp_path / "c")
    other = Unknown()
    io.load_weights(other, tmp_path / "c")
    weights = {name: np.asarray(tensor) for name, tensor in model.state_dict().items()}
    assert same(dict(other.state_dict()), weights)
    assert same(load_checkpoint(tmp_path / "c")["model"], weights)


def test_the_environment_is_kept(model: nn.Module, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", model, state_of(model))
    record = unpack((tmp_path / "c").read_bytes(), "test").record
    assert record is not None
    assert record["environment"]["pierian"] == pr.__version__
    assert record["environment"]["numpy"] == np.__version__
    assert set(record) == {"format", "version", "pierian", "model", "state", "environment"}


# Which one is taken


def three(folder: Path, model: nn.Module) -> list[Path]:
    paths = [folder / f"checkpoint-{step:08d}.safetensors" for step in (5, 90, 1000)]
    for number, path in enumerate(paths):
        save_checkpoint(path, model, state_of(model, number=number))
    return paths


def test_the_newest_has_the_most_steps(model: nn.Module, tmp_path: Path) -> None:
    paths = three(tmp_path, model)
    large = tmp_path / "checkpoint-123456789.safetensors"
    save_checkpoint(large, model, state_of(model, number=3))
    for name in ("checkpoint-x.safetensors", "best.safetensors", "checkpoint-7.txt"):
        (tmp_path / name).write_bytes(b"something else")
    assert checkpoints(tmp_path) == [*paths, large]
    assert newest(tmp_path, "resume")[1]["number"] == 3  # type: ignore[index]
    assert newest(tmp_path / "none", "resume") is None
    assert checkpoints(tmp_path / "none") == []


INJURIES: dict[str, Any] = {
    "cut": lambda raw: raw[:-1],
    "empty": lambda raw: b"",
    "flipped": lambda raw: raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:],
    "no record": lambda raw: raw.replace(b'"pierian"', b'"pieriaN"', 1),
    "no metadata": lambda raw: raw.replace(b"__metadata__", b"__metadatA__", 1),
}


@pytest.mark.parametrize("name", INJURIES)
def test_a_damaged_one_is_set_aside(
    name: str, model: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = three(tmp_path, model)
    raw = INJURIES[name](paths[2].read_bytes())
    paths[2].write_bytes(raw)
    found = newest(tmp_path, "resume")
    assert found is not None and found[0] == paths[1] and found[1]["number"] == 1
    aside = paths[2].with_name(paths[2].name + DAMAGED)
    assert aside.read_bytes() == raw and not paths[2].exists()
    said = capsys.readouterr().err
    assert said.startswith(f"resume: a damaged checkpoint was set aside as {aside.name}: ")


def test_when_all_are_damaged_it_is_an_error(model: nn.Module, tmp_path: Path) -> None:
    for path in three(tmp_path, model):
        path.write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="one of the checkpoints must be whole.* 3 damaged"):
        newest(tmp_path, "resume")
    assert len(list(tmp_path.glob("*" + DAMAGED))) == 3


def test_a_damaged_one_that_cannot_be_renamed_is_passed_over(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = three(tmp_path, model)
    paths[2].write_bytes(b"{}")

    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "replace", refuse)
    assert newest(tmp_path, "resume")[0] == paths[1]  # type: ignore[index]


def test_a_newer_version_is_no_damage(model: nn.Module, tmp_path: Path) -> None:
    paths = three(tmp_path, model)
    contents = unpack(paths[2].read_bytes(), "test")
    assert contents.record is not None
    paths[2].write_bytes(sealed(contents.record | {"version": 2}, contents.arrays))
    before = paths[2].read_bytes()
    for read in (lambda: newest(tmp_path, "resume"), lambda: load_checkpoint(paths[2]),
                 lambda: pr.load(paths[2]), lambda: io.load_weights(model, paths[2])):  # fmt: skip
        with pytest.raises(CheckpointError, match="must not be newer.* pip install --upgrade"):
            read()
    assert paths[2].read_bytes() == before


def test_a_model_file_is_no_checkpoint(model: nn.Module, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    io.save_weights(model, tmp_path / "w")
    with pytest.raises(CheckpointError, match="must hold a checkpoint; .* 'pierian.model'"):
        load_checkpoint(tmp_path / "m")
    with pytest.raises(CheckpointError, match="must hold a checkpoint; .* tensors alone"):
        load_checkpoint(tmp_path / "w")


# The fixtures


def test_the_fixtures_are_the_released_ones() -> None:
    found = {path.name for path in FIXTURES.glob("checkpoint*")}
    assert found == set(SHA256)
    for name, sha256 in SHA256.items():
        assert hashlib.sha256((FIXTURES / name).read_bytes()).hexdigest() == sha256


def test_values_of_version_1_are_read_bit_by_bit() -> None:
    path, made = FIXTURES / "checkpoint_v1.safetensors", tool()
    state = load_checkpoint(path)
    model = made.model()
    assert same({"model": dict(model.state_dict())} | made.values(), state)
    assert repr(pr.load(path)) == repr(model)
    assert same(dict(pr.load(path).state_dict()), state["model"])


def test_a_run_of_version_1_can_be_gone_on_with(tmp_path: Path) -> None:
    made, path = tool(), FIXTURES / "checkpoint_v1_run.safetensors"
    whole = made.train(tmp_path / "whole")
    model = made.train(tmp_path / "rest", resume=path)
    assert model.history.epoch == [0, 1, 2, 3]
    for name, values in whole.history.history.items():  # by another machine, hence not equal
        np.testing.assert_allclose(model.history.history[name], values, rtol=1e-3, err_msg=name)
    for name, tensor in whole.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], tensor.numpy(), rtol=1e-3, atol=1e-4)
    io.load_weights(model, path)


def test_the_maker_of_the_fixtures_still_makes_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, TOOL, tmp_path], check=True, capture_output=True)
    for name in SHA256:
        kept, found = (load_checkpoint(folder / name) for folder in (FIXTURES, tmp_path))
        records = [unpack((folder / name).read_bytes(), "test").record["state"]  # type: ignore[index]
                   for folder in (FIXTURES, tmp_path)]  # fmt: skip
        assert shape_of(records[0]) == shape_of(records[1])
        assert list(kept) == list(found)


def shape_of(value: Any) -> Any:
    """JSON without its numbers, which another machine may round in another way."""
    if isinstance(value, dict):
        return {key: shape_of(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape_of(part) for part in value]
    return "a number" if isinstance(value, float) and math.isfinite(value) else json.dumps(value)
