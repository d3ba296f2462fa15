"""`pierian train --resume`: killed runs end like whole ones, and stay the runs they are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pierian.io.checkpoint import checkpoints
from tests.cli.running import REPOSITORY, SOFTMAX, left, pierian

OPTIONS = (
    "--batch-size", 100, "--epochs", 12, "--schedule", "cosine", "--ema", "--early-stopping", 12,
    "--log", "csv,jsonl", "--checkpoint-every", "30steps",
)  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole = pierian(*SOFTMAX, *OPTIONS, "--out", "whole")
    command = [sys.executable, "-m", "pierian", *SOFTMAX, *map(str, OPTIONS), "--out", "killed"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"}
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **quiet) as process:
        while process.poll() is None and not checkpoints("killed/checkpoints"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not Path("killed/model.safetensors").exists()
    early = pierian("evaluate", "killed")
    assert early.status == 2
    assert "got none yet. pierian train --resume killed goes on." in early.err
    done = pierian("train", "--resume", "killed", "--threads", 1, "--json")
    assert done.status == 0 and done.err == ""
    assert "going on with killed" in done.lines
    assert done.record["epochs"] == 12
    assert left(Path("killed")) == left(Path("whole"))
    assert done.lines[-2].startswith(whole.lines[-1].partition(" in ")[0])


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("resume") / "short"
    assert pierian(*SOFTMAX, "--epochs", 2, "--out", folder).status == 0
    return folder


def copied(folder: Path) -> Path:
    shutil.copytree(folder, "run")
    return Path("run")


def test_a_run_that_has_ended_ends_again(short: Path) -> None:
    run = copied(short)
    before = left(run) | {"config": (run / "config.toml").read_bytes()}
    done = pierian("train", "mnist", "--resume", run, "--model", "softmax")  # what it has anyway
    assert done.status == 0
    assert left(run) | {"config": (run / "config.toml").read_bytes()} == before


def test_more_epochs_make_it_the_longer_run(short: Path) -> None:
    run = copied(short)
    done = pierian("train", "--resume", run, "--epochs", 4, "--keep", 2)
    assert done.status == 0
    assert pierian(*SOFTMAX, "--epochs", 4, "--out", "long").status == 0
    assert left(run) == left(Path("long"))
    assert len(list((run / "checkpoints").iterdir())) == 2
    assert "\nepochs = 4\n" in (run / "config.toml").read_text()


def test_a_run_without_a_checkpoint_yet_begins_anew(short: Path) -> None:
    run = copied(short)
    before = left(run)
    shutil.rmtree(run / "checkpoints")
    for name in before:
        (run / name).unlink()
    done = pierian("train", "--resume", run)
    assert "run begins anew: it ended before its first checkpoint" in done.lines
    assert left(run) == before


def without_checkpoints(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def with_cosine(run: Path) -> None:
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace('schedule = "constant"', 'schedule = "cosine"'))


def with_other_data(run: Path) -> None:
    lines = (run / "config.toml").read_text().splitlines()
    lines = ['checksum = "other"' if line.startswith("checksum") else line for line in lines]
    (run / "config.toml").write_text("\n".join(lines))


def as_it_is(run: Path) -> None:
    pass


REFUSED: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "another setting": (as_it_is, ("--lr", 3), "expected --lr 0.001, got 3.0. Leave it out, or"),
    "another model": (as_it_is, ("--model", "mlp"), "expected --model softmax, got mlp"),
    "fewer epochs": (as_it_is, ("--epochs", 1), "expected --epochs 2 or more, got 1"),
    "a schedule that has ended": (
        with_cosine, ("--epochs", 3), "--epochs 2, over which the schedule cosine goes, got 3"
    ),
    "a new folder": (as_it_is, ("--out", "new"), "its own settings in its own folder, got --out"),
    "a file": (as_it_is, ("--config", "run"), "in its own folder, got --config. Leave out --conf"),
    "no checkpoints": (without_checkpoints, (), "there must be a checkpoint; expected one"),
    "other data": (with_other_data, (), "the data must be those it began with; expected sample of"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_would_make_it_another_run_is_refused(case: Any, short: Path) -> None:
    change, options, text = case
    run = copied(short)
    change(run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    done = pierian("train", "--resume", run, *options)
    assert done.status == 2
    assert done.err.startswith("pierian: error: --resume: ") and text in done.err
    assert done.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_the_history_goes_on(short: Path) -> None:
    run = copied(short)
    before = json.loads((run / "history.json").read_text())
    pierian("train", "--resume", run, "--epochs", 3)
    after = json.loads((run / "history.json").read_text())
    assert after["epoch"] == [0, 1, 2]
    assert all(after[name][:2] == before[name] for name in before)
