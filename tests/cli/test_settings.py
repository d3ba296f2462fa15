"""Settings: what they may be, what they mean, and the file that holds them."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pierian import optim, train
from pierian.cli.folder import Folder
from pierian.cli.network import build, compile_, in_step
from pierian.cli.settings import OPTIONS, Settings, read_toml, to_toml, toml
from pierian.cli.train import around
from pierian.train import recipe as recipes

VALUES: dict[str, list[tuple[Any, Any]]] = {
    "dataset": [("mnist", "mnist"), ("MNIST", "mnist")],
    "path": [("/pictures", "/pictures"), ("/a/../b", "/b")],
    "size": [("32x48", "32x48"), ("7", "7x7"), (64, "64x64"), ("3×4", "3x4"), ("3X4", "3x4")],
    "optimizer": [("Adam", "adam")],
    "dropout": [("0", 0.0), (0, 0.0), (".5", 0.5), ("1e-3", 0.001)],
    "lr": [("3e-4", 3e-4), (1, 1.0)],
    "epochs": [("0", 0), (7, 7), ("1_000", 1000)],
    "seed": [(str(2**64 - 1), 2**64 - 1)],
    "warmup": [("2", 2), ("100steps", "100steps"), ("1 step", "1 step"), ("2 epochs", "2 epochs")],
    "checkpoint_every": [("0", 0), (3, 3), ("5min", "5min"), ("0.5 minutes", "0.5 minutes")],
    "log": [("csv", ("csv",)), ("csv, jsonl,csv", ("csv", "jsonl")), (["jsonl"], ("jsonl",))],
    "jit": [(True, True)],
}
REFUSED: dict[str, list[Any]] = {
    "dataset": ["mnits", "", 3],
    "path": ["", 3],
    "size": ["0", "3x", "3x4x5", "x", True, 1.5, -3, "99999"],
    "dropout": ["1", -0.1, "x", True, "nan"],
    "lr": ["0", "-1", "inf", [1], "", "nan"],
    "epochs": ["-1", "1.5", 2.0, True, "", "ten", 2**64, "²"],
    "warmup": ["5min", "1.5", 1.5, -1, "0steps", "steps", True],
    "checkpoint_every": ["0.5", "1.5steps", "5 hours", "-1", "min", "0min"],
    "log": ["tb", "csv,", 3, [3]],
    "jit": ["true", 1],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name} {case!r}") for name in table for case in table[name]
    ]


@pytest.mark.parametrize(("name", "case"), cases(VALUES))
def test_values_are_read_from_words_and_files(name: str, case: tuple[Any, Any]) -> None:
    given, expected = case
    found = OPTIONS[name].read("here", given)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(("name", "given"), cases(REFUSED))
def test_values_that_do_not_fit_are_refused(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=r"^here: .*; expected .*, got "):
        OPTIONS[name].read("here", given)


CHANGED: dict[str, Any] = {
    "dataset": "fashion_mnist", "path": "/pictures", "source": "local",
    "size": "3x4", "augment": True, "model": "softmax", "dropout": 0.1, "epochs": 3,
    "batch_size": 7, "optimizer": "sgd", "lr": 1e-05, "weight_decay": 0.25, "schedule": "cosine",
    "warmup": "3steps", "early_stopping": 2, "hold_out": 0.5, "clip": 1e22, "ema": 0.9,
    "accumulate": 4, "jit": False, "threads": 3, "seed": 2**64 - 1, "checkpoint_every": "5min",
    "keep": 2, "log": ("csv", "tensorboard"),
}  # fmt: skip


def test_the_file_gives_every_setting_back(tmp_path: Path) -> None:
    settings = Settings.of(CHANGED)
    same = [f.name for f in fields(Settings) if getattr(settings, f.name) == f.default]
    assert same == [] and list(CHANGED) == list(OPTIONS)
    made = {"text": 'a "b" \\ é\n\x7f\x00\u2028', "list": ["x", ""], "number": 3}
    path = tmp_path / "config.toml"
    path.write_text(to_toml(settings, made), encoding="utf-8")
    given, noted = read_toml(path, "here")
    assert Settings.of(given) == settings
    assert noted == made


@pytest.mark.parametrize(
    "value", [True, 0, -3, 2**62, 1e-300, 1e22, 0.1, "", "é\t\"'\\", [], ["a"]]
)
def test_values_are_toml(value: Any) -> None:
    found = tomllib.loads(f"x = {toml(value)}")["x"]
    assert found == value and type(found) is type(value)


def test_underscores_are_dashes_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('dataset = "mnist"\nbatch_size = 3\nweight-decay = 0.5\n')
    given, made = read_toml(path, "here")
    assert given == {"dataset": "mnist", "batch_size": 3, "weight_decay": 0.5} and made == {}


FILES = {
    "epohs = 3": "here: setting must be a known name; expected one of .*, got 'epohs'. Did you "
    "mean 'epochs'",
    "[optimizer]\nlr = 1": "here, optimizer: optimizer must be a known name",
    "lr = 'high'": "here, lr: its value must fit; expected a number > 0, got 'high'",
    "epochs = 1.5": "here, epochs: its value must fit",
    "epochs": "here: the file must be TOML",
    "\xff": "here: the file must be TOML",
    "jit = 1": "here, jit: its value must fit; expected true or false, got 1",
}


@pytest.mark.parametrize("text", FILES)
def test_files_with_mistakes_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=FILES[text]):
        read_toml(path, "here")


DEFAULTS = [
    ({}, {"lr": 0.001, "hold_out": 0.0, "schedule": "constant"}),
    ({}, {"model": "mlp", "augment": False}),
    ({"dataset": "cifar10"}, {"model": "cnn"}),
    ({"dataset": "folder", "model": "resnet18"}, {"model": "resnet18"}),
    ({"optimizer": "sgd"}, {"lr": 0.01}),
    ({"schedule": "one-cycle"}, {"lr": 0.005}),
    ({"schedule": "one-cycle", "lr": 0.1}, {"lr": 0.1}),
    ({"early_stopping": 2}, {"hold_out": 0.1}),
    ({"early_stopping": 2, "hold_out": 0.0}, {"hold_out": 0.0}),
]


@pytest.mark.parametrize(("given", "expected"), DEFAULTS, ids=lambda x: str(x))
def test_defaults_depend_on_other_settings(given: Any, expected: Any) -> None:
    settings = Settings.of({"dataset": "mnist", **given})
    assert {name: getattr(settings, name) for name in expected} == expected


# a setting, the callback it makes for epochs of 10 steps, and what that is told
CALLBACKS: list[tuple[dict[str, Any], type[train.Callback], dict[str, Any]]] = [
    ({"schedule": "cosine"}, train.Scheduler, {"given": "cosine", "settings": {"warmup": 0}}),
    ({"warmup": 2}, train.Scheduler, {"given": "constant", "settings": {"warmup": 20}}),
    ({"warmup": "2steps"}, train.Scheduler, {"given": "constant", "settings": {"warmup": 2}}),
    ({"clip": 0.5}, train.GradientClip, {"max_norm": 0.5}),
    ({"accumulate": 3}, train.GradientAccumulation, {"batches": 3}),
    ({"ema": 0.9}, train.ExponentialMovingAverage, {"decay": 0.9}),
    ({"early_stopping": 4}, train.EarlyStopping, {"patience": 4, "restore": True}),
    ({"log": ("csv",)}, train.CSVLogger, {"path": Path("runs/log.csv")}),
    ({"log": ("jsonl",)}, train.JSONLogger, {"path": Path("runs/log.jsonl")}),
    ({"log": ("tensorboard",)}, train.TensorBoard, {"folder": str(Path("runs/tensorboard"))}),
    ({"checkpoint_every": 2}, train.ModelCheckpoint, {"period": 2, "unit": "epoch", "keep": 1}),
    ({"checkpoint_every": "9steps"}, train.ModelCheckpoint, {"every": 9, "unit": "step"}),
    ({"checkpoint_every": "0.5min"}, train.ModelCheckpoint, {"period": 0.5, "unit": "minute"}),
    ({"keep": 4}, train.ModelCheckpoint, {"keep": 4, "folder": Path("runs/checkpoints")}),
]


@pytest.mark.parametrize(("given", "kind", "told"), CALLBACKS, ids=lambda x: str(x))
def test_settings_become_callbacks(given: Any, kind: Any, told: dict[str, Any]) -> None:
    if "checkpoint_every" not in given and "keep" not in given:
        given = given | {"checkpoint_every": 0}
    settings = Settings.of({"dataset": "mnist", "epochs": 4} | given)
    folder = Folder(Path("runs"), settings, {})
    (found,) = [*in_step(settings, 10), *around(folder)]
    assert type(found) is kind
    assert {name: getattr(found, name) for name in told} == told


def test_optimizer_and_jit_are_those_of_the_settings() -> None:
    given = {"dataset": "mnist", "model": "softmax", "optimizer": "sgd", "lr": 0.5}
    settings = Settings.of(given | {"weight_decay": 0.25, "jit": False})
    model = build(settings)
    compile_(model, settings)
    assert isinstance(model.optimizer, optim.SGD)
    (group,) = model.optimizer.param_groups
    assert math.isclose(float(group["lr"]), 0.5) and float(group["weight_decay"]) == 0.25
    assert recipes.of("test", model).jit is False
