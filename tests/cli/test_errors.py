"""What goes wrong takes one line, and the status is 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pierian as pr
from tests.cli.running import SOFTMAX, Trained, pierian


def run_folder(config: str, name: str = "config.toml") -> str:
    Path("broken").mkdir()
    Path("broken", name).write_text(config)
    return "broken"


def text_file(name: str) -> str:
    Path(name).write_text("not a picture")
    return name


LOOK = "pierian train --help says what each setting is."
MADE = "Pass a folder that `pierian train` made"
RUN = "there must be a run folder; expected a folder with config.toml, got"
ERRORS: dict[str, tuple[Any, str]] = {
    "missing run": (
        lambda run: ("evaluate", "runs/none"),
        f'run("runs/none"): {RUN} nothing there. {MADE} (the default is runs/...).',
    ),
    "run that is a file": (
        lambda run: ("evaluate", text_file("run.txt")),
        f'run("run.txt"): {RUN} a file. {MADE} (the default is runs/...).',
    ),
    "folder that is no run": (
        lambda run: ("report", "."),
        f'run("."): {RUN} no config.toml. {MADE} (the default is runs/...).',
    ),
    "run without settings": (
        lambda run: ("evaluate", run_folder("dataset")),
        'run("broken"): the file must be TOML; expected TOML, got Expected \'=\' after a key in a '
        "key/value pair (at end of document). See toml.io, or a config.toml that `pierian train` "
        "wrote.",
    ),
    "run without a data set": (
        lambda run: ("evaluate", run_folder("epochs = 1")),
        f'run("broken"): {RUN} KeyError in config.toml. {MADE}.',
    ),
    "run of something else": (
        lambda run: ("evaluate", run_folder('dataset = "svhn"')),
        'run("broken"), dataset: dataset must be a known name; expected one of cifar10, '
        "fashion_mnist, folder, mnist, got 'svhn'. Use one of these.",
    ),
    "run without a model": (
        lambda run: ("evaluate", run_folder('dataset = "mnist"\n[made]\nclasses = []')),
        'run("broken"): training must have ended; expected model.safetensors, got none yet. '
        "pierian train --resume broken goes on.",
    ),
    "old run without settings": (
        lambda run: ("predict", run_folder("[]", "config.json"), "a.png"),
        f'run("broken"): {RUN} AttributeError in config.json. {MADE}.',
    ),
    "old run whose settings are broken": (
        lambda run: ("predict", run_folder("{", "config.json"), "a.png"),
        f'run("broken"): {RUN} JSONDecodeError in config.json. {MADE}.',
    ),
    "missing picture": (
        lambda run: ("predict", run, "none.png"),
        'predict("none.png"): the file must be a picture; expected PNG, JPEG or the like, got No '
        "such file or directory. Check the path, or convert it to PNG.",
    ),
    "unreadable picture": (
        lambda run: ("predict", run, text_file("text.png")),
        'predict("text.png"): the file must be a picture; expected PNG, JPEG or the like, got '
        "cannot identify image file 'text.png'. Check the path, or convert it to PNG.",
    ),
    "folder in use": (
        lambda run: (*SOFTMAX, "--out", Path(text_file("x")).parent),
        "train: a run goes into a folder of its own; expected a new one, got ., in use. Pass "
        "another --out, or leave it out; --resume . goes on with a run.",
    ),
    "folder in a file": (
        lambda run: (*SOFTMAX, "--out", text_file("x") + "/run"),
        "train: the run folder must be made; expected x/run, got Not a directory. Pass another "
        "--out.",
    ),
    "no data set": (
        lambda run: ("lr-find",),
        "pierian lr-find: there must be a data set; expected mnist or fashion_mnist or cifar10 or "
        "folder, got none. Write it behind the command: pierian lr-find mnist.",
    ),
    "unknown data set": (
        lambda run: ("train", "mnits"),
        "dataset: dataset must be a known name; expected one of cifar10, fashion_mnist, folder, "
        "mnist, got 'mnits'. Did you mean 'mnist'?",
    ),
    "unknown optimizer": (
        lambda run: ("train", "mnist", "--optimizer", "adm"),
        "--optimizer: optimizer must be a known name; expected one of adadelta, adagrad, adam, "
        "adamw, rmsprop, sgd, got 'adm'. Did you mean 'adam'?",
    ),
    "batch size": (
        lambda run: ("explain", "mnist", "--batch-size", "0"),
        "--batch-size: its value must fit; expected a whole number >= 1 and < 2**64, got '0'. "
        + LOOK,
    ),
    "no value": (
        lambda run: ("train", "mnist", "--log"),
        "argument --log: expected one argument. See pierian train --help.",
    ),
    "unknown option": (
        lambda run: ("train", "mnist", "--epoch", "3"),
        "unrecognized arguments: --epoch 3, did you mean --epochs. See pierian train --help.",
    ),
    "unknown word": (
        lambda run: ("info", "--jsn"),
        "unrecognized arguments: --jsn, did you mean --json. See pierian info --help.",
    ),
    "option without a command": (
        lambda run: ("--threads",),
        "unrecognized arguments: --threads. See pierian --help.",
    ),
    "no run to report": (
        lambda run: ("report",),
        "the following arguments are required: RUN. See pierian report --help.",
    ),
    "dropout without a hidden layer": (
        lambda run: (*SOFTMAX, "--dropout"),
        "--dropout: softmax leaves no units out; expected 0, got 0.2. Leave it out, or pass "
        "--model mlp or cnn.",
    ),
    "folder without a path": (
        lambda run: ("train", "folder"),
        "pierian train: a folder must be somewhere; expected its path, got none. Write it behind: "
        "pierian train folder PATH.",
    ),
    "path of something else": (
        lambda run: ("explain", "mnist", "/pictures"),
        "path: only pictures in a folder have a path; expected none for mnist, got /pictures. "
        "Leave it out, or write pierian explain folder PATH.",
    ),
    "size of something else": (
        lambda run: ("lr-find", "cifar10", "--size", "8x9"),
        "--size: only pictures in a folder have a size; expected none for cifar10, got 8x9. Leave "
        "it out, or write pierian lr-find folder PATH.",
    ),
    "folder that is not there": (
        lambda run: ("train", "folder", "/none/there"),
        'ImageFolder("/none/there"): there must be a folder of class folders; expected '
        "/none/there, got No such file or directory. Check the path.",
    ),
    "warm-up without an end": (
        lambda run: (*SOFTMAX, "--epochs", 2, "--warmup", 3),
        "--warmup: it must be over before training is; expected < 142 steps, got 213 steps. Pass "
        "a smaller one, or more --epochs.",
    ),
    "nothing to train on": (
        lambda run: (*SOFTMAX, "--hold-out", 0.99999),
        "--hold-out: some images must be left to train on; expected at least 1, got 0. Hold out "
        "less.",
    ),
    "missing config": (
        lambda run: ("train", "--config", "none.toml"),
        "none.toml: there must be a file to read; expected a file, got No such file or directory. "
        "Check the path.",
    ),
    "divergence": (
        lambda run: ("train", "mnist", "--source", "bundled", "--optimizer", "sgd", "--lr", "1e30"),
        "fit: the loss must stay finite; expected a number, got nan in epoch 1, batch 2 of 71. Try "
        "a smaller learning rate than 1e+30, and inputs scaled to about -1 … 1. --debug shows "
        "more.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors_take_one_line(case: tuple[Any, str], trained: Trained) -> None:
    words, text = case
    done = pierian(*words(trained.folder))
    assert done.status == 2
    assert done.err == f"pierian: error: {text}\n"
    assert not list(Path("runs").glob("*"))  # nothing was learned, nothing is left


def test_missing_run_lists_the_runs_there_are() -> None:
    Path("runs/mnist-mlp-1").mkdir(parents=True)
    Path("runs/mnist-mlp-1/config.toml").touch()
    done = pierian("evaluate", "mnist-mlp-1")
    assert done.err.endswith(f"`pierian train` made: {Path('runs/mnist-mlp-1')}.\n")


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(pr.CheckpointError):
        pierian("evaluate", "none", "--debug")
