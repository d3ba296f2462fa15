"""`pierian train` on the bundled digits: what it prints and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pierian as pr
from pierian import data
from tests.cli.running import REPOSITORY, SOFTMAX, Trained, left, pierian


def test_train_says_what_it_does_and_learns(trained: Trained) -> None:
    done = trained.done
    assert done.status == 0 and done.err == ""
    assert done.lines[0] == "data: sample of MNIST, 9,000 + 1,000, bundled with Pierian"
    assert any(line.startswith("total") and "407,050" in line for line in done.lines)
    epochs = [line for line in done.lines if line.startswith("Epoch ")]
    assert len(epochs) == 6 and "val_accuracy: 0.9" in epochs[-1]
    assert done.lines[-3] == f"saved in {trained.folder}"
    record = done.record
    assert done.lines[-2].startswith(f"test accuracy {record['test_accuracy']:.4f} after 6 epochs")
    assert record["test_accuracy"] >= 0.94
    assert record["samples_per_second"] == pytest.approx(6 * 9000 / record["seconds"])
    expected = {
        "dataset": "mnist", "model": "mlp", "epochs": 6, "batch_size": 128, "optimizer": "adam",
        "seed": 3, "lr": 0.005, "schedule": "one-cycle", "dropout": 0.2,
        "log": [], "data": "sample of MNIST, 9,000 + 1,000, bundled with Pierian",
        "run": str(trained.folder),
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected


def test_train_leaves_model_history_settings_and_picture(trained: Trained) -> None:
    names = ["checkpoints", "config.toml", "curves.png", "history.json", "model.safetensors"]
    assert sorted(path.name for path in trained.folder.iterdir()) == names
    history = json.loads((trained.folder / "history.json").read_text())
    assert history["epoch"] == list(range(6))
    assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    config = tomllib.loads((trained.folder / "config.toml").read_text(encoding="utf-8"))
    assert config["seed"] == 3 and config["made"]["classes"] == list("0123456789")
    assert config["made"]["numpy"] == np.__version__
    (checkpoint,) = (trained.folder / "checkpoints").iterdir()
    assert checkpoint.name == f"checkpoint-{6 * 71:08d}.safetensors"
    with Image.open(trained.folder / "curves.png") as picture:
        assert picture.width > 500
    digits = data.mnist(source="bundled")
    model = pr.load(trained.folder / "model.safetensors")
    scores = model.predict(digits.x_test.astype("float32") / 255, verbose=0)
    accuracy = (scores.argmax(1) == digits.y_test).mean()
    assert accuracy == trained.done.record["test_accuracy"]


def test_same_seed_gives_the_same_run() -> None:
    options = ("--epochs", 1, "--json", "--seed")
    records = [pierian(*SOFTMAX, *options, seed).record for seed in (1, 1, 2)]
    assert records[0]["run"] == str(Path("runs/mnist-softmax-1"))
    assert records[1]["run"] == str(Path("runs/mnist-softmax-2"))  # never over another
    assert records[0]["test_loss"] == records[1]["test_loss"] != records[2]["test_loss"]


def test_the_config_makes_the_run_again_to_the_bit() -> None:
    options = (
        "--epochs", 4, "--batch-size", 500, "--schedule", "cosine", "--warmup", "5steps", "--clip",
        1, "--ema", "--accumulate", 2, "--weight-decay", 1e-4, "--early-stopping", "--log",
        "csv,jsonl", "--seed", 7, "--threads", 2,
    )  # fmt: skip
    assert pierian(*SOFTMAX, *options, "--out", "first").status == 0
    again = pierian("train", "--config", "first/config.toml", "--out", "second", "--threads", 1)
    assert again.status == 0 and again.err == ""
    assert left(Path("first")) == left(Path("second"))
    assert len(left(Path("first"))) == 4
    texts = [Path(name, "config.toml").read_text().partition("[made]")[0] for name in
             ("first", "second")]  # fmt: skip
    assert texts[0].replace("threads = 2", "threads = 1") == texts[1]


def test_the_command_line_goes_before_the_file() -> None:
    Path("my").mkdir()
    Path("my/config.toml").write_text(
        'dataset = "mnist"\nmodel = "softmax"\nsource = "bundled"\nepochs = 0\nlr = 0.5\n'
        'batch-size = 64\n[made]\nchecksum = "another"\ndata = "other digits"\n'
    )
    done = pierian(
        "train", "--config", "my", "--lr", 0.25, "--json"
    )  # a folder stands for its file
    record = done.record
    assert (record["epochs"], record["lr"], record["batch_size"]) == (0, 0.25, 64)
    assert done.err == "my: it was made with other data: other digits\n"


def test_early_stopping_keeps_the_best_epoch_and_the_test_set_apart() -> None:
    options = ("--early-stopping", 1, "--epochs", 60, "--lr", 0.05, "--hold-out", 0.2, "--out", "r")
    done = pierian(*SOFTMAX, *options)
    history = json.loads(Path("r/history.json").read_text())
    best = int(np.argmin(history["val_loss"]))
    assert best + 2 == len(history["epoch"]) < 60  # one more, which was no better
    assert any(line.startswith("EarlyStopping: val_loss has not") for line in done.lines)
    digits = data.mnist(source="bundled")
    model = pr.load("r/model.safetensors")
    model.compile(loss="cross_entropy")
    held = digits.x_train[-1800:].astype("float32") / 255
    loss = model.evaluate(held, digits.y_train[-1800:], batch_size=128, verbose=0)
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-6)


def test_options_reach_the_training() -> None:
    options = ("--batch-size", 1000, "--optimizer", "sgd", "--lr", 0.25, "--epochs", 0, "--json")
    record = pierian("train", "mnist", "--source", "bundled", *options).record
    assert (record["optimizer"], record["lr"], record["batch_size"]) == ("sgd", 0.25, 1000)
    assert record["epochs"] == 0 and record["test_accuracy"] < 0.3
    assert not Path(record["run"], "curves.png").exists()


def test_ctrl_c_saves_what_was_learned_and_ends_with_130(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pierian.cli", "train", "mnist", "--source", "bundled"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--epochs", "100000", "--model", "softmax"],
        cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # a shell has background jobs ignore the signal, and they hand that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert err == ""
    folder = tmp_path / "runs" / "mnist-softmax-1"
    last = rest.splitlines()[-1]
    done = len(json.loads((folder / "history.json").read_text())["epoch"])
    assert done >= 1  # the line of an epoch is shown before the epoch is in the history
    assert rest.splitlines()[-2] == (
        f"interrupted after {done} whole epochs; what was learned is saved in "
        f"{Path('runs/mnist-softmax-1')}"
    )
    run = Path("runs/mnist-softmax-1")
    assert last == f"pierian train --resume {run} goes on after its last checkpoint"
    accuracy = pierian("evaluate", folder, "--source", "bundled", "--json").record["test_accuracy"]
    assert accuracy > 0.7
