"""Checkpoints while training: which are kept, what may be resumed, and disks that fail."""

from __future__ import annotations

import builtins
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import data, nn, train
from pierian.base.errors import CheckpointError
from pierian.io.checkpoint import DAMAGED, checkpoints, load_checkpoint
from pierian.io.tensors import unpack
from pierian.train import Callback, ModelCheckpoint
from pierian.train.callbacks import checkpoint as module
from pierian.train.callbacks.checkpoint import ASIDE, BEST
from tests.io.test_damage import sealed

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((38, 3)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.int64)
BATCHES, EPOCHS = 5, 3


def network(seed: int = 1, width: int = 4, optimizer: Any = "adam", jit: bool = False) -> Any:
    pr.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 2))
    model.compile(optimizer, "cross_entropy", ["accuracy"], jit=jit)
    return model


def fit(model: nn.Module, *callbacks: Callback, **options: Any) -> nn.Module:
    settings = {"x": X, "y": Y, "batch_size": 8, "epochs": EPOCHS, "verbose": 0} | options
    model.fit(**settings, callbacks=list(callbacks))
    return model


class At(Callback):
    """Calls a function when some steps are done."""

    order = 99

    def __init__(self, step: int, call: Callable[[], Any]) -> None:
        self.step, self.call = step, call

    def after_batch(self, run: Any) -> None:
        if run.step == self.step:
            self.call()


def stop() -> None:
    raise ZeroDivisionError


def cut(folder: Path, step: int = 8, model: Any = None, **options: Any) -> nn.Module:
    """A run that keeps a checkpoint of every step, until it ends by an error."""
    model = model or network()
    with pytest.raises(ZeroDivisionError):
        fit(model, ModelCheckpoint(folder, 1, "step"), At(step, stop), **options)
    return model


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def named(*steps: int) -> list[str]:
    return [f"checkpoint-{step:08d}.safetensors" for step in steps]


def left(model: nn.Module) -> Any:
    """All that training depends on, as bytes."""
    tensors = [tensor.numpy().tobytes() for tensor in model.state_dict().values()]
    for slots in model.optimizer.state.values():
        tensors += [tensor.numpy().tobytes() for tensor in slots.values()]
    return tensors, pr.ops.random.default.state.numpy().tobytes()


# Which are kept

KEPT: dict[str, tuple[dict[str, Any], list[int]]] = {
    "every epoch": ({"keep": None}, [5, 10, 15]),
    "every other epoch, and the last": ({"every": 2, "keep": None}, [10, 15]),
    "every 4 steps, and the last": ({"every": 4, "unit": "step", "keep": None}, [4, 8, 12, 15]),
    "the newest 2": ({"every": 2, "unit": "step", "keep": 2}, [14, 15]),
    "the newest 3 by default": ({"every": 1, "unit": "step"}, [13, 14, 15]),
    "rarely": ({"every": 99}, [15]),
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", KEPT)
def test_how_often_and_how_many(name: str, jit: bool, tmp_path: Path) -> None:
    settings, steps = KEPT[name]
    fit(network(jit=jit), ModelCheckpoint(tmp_path / "new" / "folder", **settings))
    assert names(tmp_path / "new" / "folder") == named(*steps)
    for path, step in zip(checkpoints(tmp_path / "new" / "folder"), steps, strict=True):
        assert load_checkpoint(path)["step"] == step


def test_every_few_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which each step takes a minute, looked at after each."""
    now = [0.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    class Tick(Callback):
        order = -99

        def after_batch(self, run: Any) -> None:
            pass

        def after_steps(self, run: Any) -> None:
            now[0] += 60.0 * run.training

    monkeypatch.setattr(module, "time", Clock)
    saver = ModelCheckpoint(tmp_path, 4, "minute", keep=None)
    fit(network(), saver, Tick(), validation_data=(X, Y))
    assert names(tmp_path) == named(4, 8, 12, 15)


def test_a_run_that_is_stopped_is_kept(tmp_path: Path) -> None:
    model = network()
    halt = At(5, lambda: setattr(model, "stop_training", True))
    fit(model, ModelCheckpoint(tmp_path, every=9), halt)
    assert names(tmp_path) == named(5)
    again = fit(network(), ModelCheckpoint(tmp_path, every=9), resume=True)
    assert again.history.epoch == [0]  # it was over


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_kept_apart(mode: str, tmp_path: Path) -> None:
    told = [3.0, 1.0, 2.0]

    class Tell(Callback):
        def after_epoch(self, run: Any) -> None:
            run.logs["told"] = told[run.epoch]

    kept: list[Any] = []

    class Keep(Callback):
        def after_epoch(self, run: Any) -> None:
            kept.append(run.model[0].weight.numpy().copy())

    saver = ModelCheckpoint(tmp_path, keep=1, monitor="told", mode=mode)
    fit(network(), saver, Tell(), Keep())
    assert names(tmp_path) == [BEST, *named(15)]
    best = 1 if mode == "min" else 0
    np.testing.assert_array_equal(pr.load(tmp_path / BEST)[0].weight, kept[best])
    assert load_checkpoint(tmp_path / BEST)["epoch"] == best + 1
    told.append(1.5)
    saver = ModelCheckpoint(tmp_path, keep=1, monitor="told", mode=mode)
    fit(network(), saver, Tell(), resume=True, epochs=4)
    assert load_checkpoint(tmp_path / BEST)["epoch"] == best + 1  # 1.5 is no better


@pytest.mark.parametrize(
    "wrong",
    [{"every": 0}, {"every": 1.5}, {"unit": "hour"}, {"keep": 0}, {"monitor": "x", "mode": "up"}],
)
def test_settings_are_checked(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=list(wrong)[-1]):
        ModelCheckpoint(tmp_path, **wrong)


# Resuming


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("step", [1, 4, 5, 8, 14, 15])
def test_resume_by_folder_file_and_true(step: int, jit: bool, tmp_path: Path) -> None:
    whole = fit(network(jit=jit))
    expected, history = left(whole), whole.history.history
    folder = tmp_path / "run"
    cut(folder, step, network(jit=jit))
    (tmp_path / "copies").mkdir()
    for path in checkpoints(folder):
        shutil.copy(path, tmp_path / "copies")
    newest = checkpoints(tmp_path / "copies")[-1]
    for resume, savers in (
        (newest, []), (tmp_path / "copies", []), (str(tmp_path / "copies"), []),
        (True, [ModelCheckpoint(folder)]), (newest, [ModelCheckpoint(tmp_path / "new")]),
    ):  # fmt: skip
        model = fit(network(seed=9, jit=jit), *savers, resume=resume)
        assert left(model) == expected and model.history.history == history


def test_resume_true_begins_where_there_is_none(tmp_path: Path) -> None:
    model = fit(network(), ModelCheckpoint(tmp_path), resume=True)
    assert model.history.epoch == [0, 1, 2]
    for nothing in (None, False):
        assert fit(network(), resume=nothing).history.epoch == [0, 1, 2]


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    whole = left(fit(network(), epochs=4))
    fit(network(), ModelCheckpoint(tmp_path), epochs=2)
    assert left(fit(network(), ModelCheckpoint(tmp_path), resume=True, epochs=4)) == whole


def test_what_was_saved_later_is_set_aside(tmp_path: Path) -> None:
    cut(tmp_path)
    path = tmp_path / named(6)[0]
    fit(network(), ModelCheckpoint(tmp_path, every=9), resume=path)
    assert names(tmp_path) == [*named(6), *(name + ASIDE for name in named(7, 8)), *named(15)]


def test_the_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    cut(tmp_path / "a")
    cut(tmp_path / "b")
    before, model = names(tmp_path / "a"), network()
    untouched = left(model)
    for resume in (None, tmp_path / "b", checkpoints(tmp_path / "b")[0]):
        with pytest.raises(CheckpointError, match="a folder holds the checkpoints of one run"):
            fit(model, ModelCheckpoint(tmp_path / "a"), resume=resume)
    assert names(tmp_path / "a") == before
    assert left(model)[0][:4] == untouched[0][:4]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there must be a checkpoint"):
        fit(network(), resume=tmp_path)
    with pytest.raises(CheckpointError, match="there must be a checkpoint"):
        fit(network(), resume=tmp_path / "none")
    with pytest.raises(ValueError, match="resume=True needs a folder"):
        fit(network(), resume=True)


def test_a_damaged_newest_one_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = left(fit(network()))
    cut(tmp_path)
    path = tmp_path / named(8)[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert left(fit(network(), ModelCheckpoint(tmp_path, every=9), resume=True)) == whole
    assert path.name + DAMAGED in names(tmp_path)
    assert "a damaged checkpoint was set aside" in capsys.readouterr().err
    for one in checkpoints(tmp_path):
        one.write_bytes(b"")
    with pytest.raises(CheckpointError, match="one of the checkpoints must be whole"):
        fit(network(), ModelCheckpoint(tmp_path), resume=True)


def test_a_newer_version_asks_for_an_upgrade(tmp_path: Path) -> None:
    cut(tmp_path)
    path = tmp_path / named(8)[0]
    contents = unpack(path.read_bytes(), "test")
    assert contents.record is not None
    path.write_bytes(sealed(contents.record | {"version": 2}, contents.arrays))
    before = names(tmp_path)
    with pytest.raises(CheckpointError, match="pip install --upgrade pierian"):
        fit(network(), ModelCheckpoint(tmp_path), resume=True)
    assert names(tmp_path) == before


class Private(nn.Module):
    """Not registered, so `pr.load` cannot make it."""

    def __init__(self) -> None:
        self.inner = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.inner(x)


def test_a_model_that_is_not_registered_is_resumed(tmp_path: Path) -> None:
    def private() -> nn.Module:
        pr.manual_seed(1)
        model = Private()
        model.compile("adam", "cross_entropy", jit=False)
        return model

    whole = left(fit(private()))
    cut(tmp_path, model=private())
    assert left(fit(private(), ModelCheckpoint(tmp_path), resume=True)) == whole
    with pytest.raises(CheckpointError, match="Write @pr.register above"):
        pr.load(checkpoints(tmp_path)[-1])


class Fussy(Callback):
    """Does not take what it had."""

    def state_dict(self) -> dict[str, Any]:
        return {"x": 1}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if saved != {"x": 1} or self.params["epochs"] == 7:
            raise ZeroDivisionError


def with_metrics(*metrics: Any) -> Any:
    model = network()
    model.compile("adam", "cross_entropy", list(metrics), jit=False)
    return model


# what is another -> (model, options, what is said)
OTHERS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "width": (lambda: network(width=5), {}, "wrong shape"),
    "layers": (lambda: nn.Sequential(nn.Linear(3, 2)), {}, "extra"),
    "optimizer": (
        lambda: network(optimizer="adamw"), {}, "optimizer must be .* expected Adam, got AdamW"
    ),
    "switch of the optimizer": (
        lambda: network(optimizer=pr.optim.Adam(amsgrad=True)), {}, "saved state must fit"
    ),
    "metrics": (lambda: with_metrics("accuracy", "auc"), {}, "metrics must be"),
    "no metrics": (lambda: with_metrics(), {}, r"metrics must be .* expected \['accuracy'\]"),
    "fewer rows": (network, {"x": X[:-1], "y": Y[:-1]}, "rows must be .* expected 38, got 37"),
    "size of batches": (network, {"batch_size": 4}, "batch_size must be .* expected 8, got 4"),
    "number of batches": (network, {"steps_per_epoch": 3}, "batches must be .* expected 5, got 3"),
    "a callback's state": (network, {"epochs": 7}, "ZeroDivisionError"),
    "data that stream": (
        network, {"x": [(X[:8], Y[:8])], "y": None, "batch_size": None}, "rows must be"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_fit_is_said_and_changes_nothing(name: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    with pytest.raises(ZeroDivisionError):
        fit(network(), ModelCheckpoint(tmp_path, 1, "step"), Fussy(), train.CSVLogger(log),
            At(12, stop))  # fmt: skip
    make, options, says = OTHERS[name]
    model = make()
    if getattr(model, "optimizer", None) is None:
        model.compile("adam", "cross_entropy", ["accuracy"], jit=False)
    fit(model, epochs=1)
    before, files = left(model), {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    settings = {"resume": tmp_path / named(11)[0], "shuffle": False} | options
    with pytest.raises(CheckpointError, match=says) as caught:
        fit(model, ModelCheckpoint(tmp_path), Fussy(), train.CSVLogger(log), **settings)
    assert "Resume with" in str(caught.value) or "as it was saved" in str(caught.value) \
        or "Nothing was loaded" in str(caught.value)  # fmt: skip
    assert left(model) == before
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == files


def test_a_loader_of_the_user_is_where_it_was_when_resuming_fails(tmp_path: Path) -> None:
    def loader(rows: int) -> data.DataLoader:
        return data.DataLoader(data.ArrayDataset(X[:rows], Y[:rows]), 8, shuffle=True, seed=rows)

    options: dict[str, Any] = {"y": None, "batch_size": None}
    cut(tmp_path, x=loader(38), **options)
    given = loader(37)
    with pytest.raises(CheckpointError, match="rows must be"):
        fit(network(), x=given, resume=tmp_path, **options)
    assert given.seed == 37
    whole = left(fit(network(), x=loader(38), **options))
    assert left(fit(network(), x=loader(38), resume=tmp_path, **options)) == whole


def test_callbacks_that_come_and_go_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError):
        fit(network(), ModelCheckpoint(tmp_path, 1, "step"), At(8, stop),
            train.ExponentialMovingAverage(0.9))  # fmt: skip
    fit(network(), train.GradientAccumulation(2), resume=tmp_path)
    said = capsys.readouterr().err
    assert "resume: GradientAccumulation is new, and begins here" in said
    assert "resume: ExponentialMovingAverage was there when this was saved, and is not now" in said


# Disks that fail


def whole_ones(folder: Path) -> list[int]:
    """The steps of the checkpoints in the folder, all of which must be whole."""
    assert not list(folder.glob(".*")), "a temporary was left"
    return [load_checkpoint(path)["step"] for path in checkpoints(folder)]


class Full:
    """A file on a disk that has room for some bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, raw: bytes) -> int:
        self.file.write(raw[: self.room])
        if len(raw) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(raw)


@pytest.mark.parametrize("room", [0, 1, 2000])
def test_a_full_disk_loses_no_checkpoint(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.open

    def fill() -> None:
        def full(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            file = real(path, mode, *args, **options)
            return Full(file, room) if mode == "xb" else file

        monkeypatch.setattr(builtins, "open", full)

    expected = left(fit(network()))
    saver = ModelCheckpoint(tmp_path, 2, "step", keep=2)
    says = r"training goes on without a checkpoint: .* No space left on device"
    with pytest.warns(UserWarning, match=says):
        model = fit(network(), saver, At(7, fill), At(11, monkeypatch.undo))
    assert left(model) == expected
    assert whole_ones(tmp_path) == [14, 15]
    with pytest.raises(CheckpointError, match="of one run"):  # and all goes on as ever
        fit(network(), ModelCheckpoint(tmp_path))


def test_a_disk_that_stays_full_keeps_the_last_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = left(fit(network()))

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def close() -> None:
        for name in ("fsync", "replace", "unlink"):
            monkeypatch.setattr(os, name, refuse)
        monkeypatch.setattr(Path, "unlink", refuse)

    with pytest.warns(UserWarning, match="training goes on .* Read-only file system"):
        model = fit(network(), ModelCheckpoint(tmp_path, 2, "step"), At(7, close))
    monkeypatch.undo()
    assert left(model) == expected
    assert [load_checkpoint(path)["step"] for path in checkpoints(tmp_path)] == [2, 4, 6]
    assert left(fit(network(), ModelCheckpoint(tmp_path), resume=True)) == expected


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(network(), ModelCheckpoint(folder, 2, "step"), At(7, lambda: shutil.rmtree(folder)))
    assert whole_ones(folder) == [12, 14, 15]


def test_a_folder_that_becomes_a_file_is_warned_of(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def spoil() -> None:
        shutil.rmtree(folder)
        folder.write_text("in the way")

    with pytest.warns(UserWarning, match="training goes on without a checkpoint"):
        fit(network(), ModelCheckpoint(folder, 2, "step"), At(7, spoil))
    assert folder.read_text() == "in the way"


def test_a_state_that_cannot_be_kept_is_warned_of(tmp_path: Path) -> None:
    class Odd(Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"x": {1, 2}}

    with pytest.warns(UserWarning, match=r"also callbacks/Odd/x; .* got set"):
        fit(network(), ModelCheckpoint(tmp_path), Odd())
