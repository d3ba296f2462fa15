"""`pierian train`: all that a run leaves goes into one folder, from which it can be gone on with.

May import: train, compiler, data, this room. What settings mean is here and in `network`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pierian import train
from pierian.base.errors import CheckpointError, message
from pierian.base.notice import notice
from pierian.cli import dataset
from pierian.cli import folder as folders
from pierian.cli.folder import Folder, new_folder, open_folder
from pierian.cli.network import batches, begin, build, compile_, in_step
from pierian.cli.output import print_json, tested
from pierian.cli.settings import (
    OPTIONS,
    Period,
    Settings,
    add_options,
    flag,
    given,
    needed,
    read_toml,
)
from pierian.data.source import ImageData
from pierian.io.checkpoint import checkpoints

INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended
LOGGERS: dict[str, Callable[[Path], train.Callback]] = {
    "csv": lambda path: train.CSVLogger(path / "log.csv"),
    "jsonl": lambda path: train.JSONLogger(path / "log.jsonl"),
    "tensorboard": lambda path: train.TensorBoard(path / folders.TENSORBOARD),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_options(parser)
    files = parser.add_argument_group("files")
    files.add_argument(
        "--config", type=Path, metavar="FILE",
        help="a TOML file of settings, by the names of these options; every run has one, "
        "config.toml, that makes it again; what the command line says goes first",
    )  # fmt: skip
    files.add_argument(
        "--resume", type=Path, metavar="RUN",
        help="go on with a run exactly where its newest checkpoint is; a larger --epochs makes it "
        "longer",
    )  # fmt: skip
    files.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder, which must be new (default: in runs/)"
    )


def run(args: argparse.Namespace) -> int:
    """`pierian train`."""
    folder = None if args.resume is None else resumed(args)
    settings, made = configured(args) if folder is None else (folder.settings, folder.made)
    begin(settings)
    images = dataset.load(settings)
    print(f"data: {images.source}")
    parts = Parts.of(images, settings)
    shape = dataset.planes(images.x_train).shape[1:]
    model = build(settings, shape, len(images.classes))
    compile_(model, settings)
    steps = batches(parts.count, settings.batch_size)
    inside = in_step(settings, steps)
    differ = made.get("checksum", same := images.checksum) != same
    if differ and folder is not None:
        fix = "Put the data where they were, or pass --source"
        must = "the data must be those it began with"
        raise CheckpointError(message("--resume", must, made.get("data"), images.source, fix))
    if differ:
        notice(f"{args.config}: it was made with other data: {made.get('data')}")
    if folder is None:
        folder = new_folder(args.out, settings, images, steps)
    print(model.summary(shape))
    folder.write_config()
    return fit(args, folder, model, parts, inside)


@dataclass(frozen=True)
class Parts:
    """The images: to train on, to validate on after each epoch, to test with in the end."""

    count: int  # to train on
    train: tuple[Any, ...]  # all three as `dataset.feed` gives them
    valid: tuple[Any, ...]
    test: tuple[Any, ...]

    @classmethod
    def of(cls, images: ImageData, settings: Settings) -> Parts:
        """Cut as the settings say: the last ones are held out."""
        x, y = images.x_train, images.y_train
        test = valid = dataset.feed(images.x_test, images.y_test, settings)
        kept = len(x) - round(len(x) * (settings.hold_out or 0.0))
        if not kept:
            fix = "Hold out less"
            must = "some images must be left to train on"
            raise ValueError(message("--hold-out", must, "at least 1", kept, fix))
        if kept < len(x):
            valid = dataset.feed(x[kept:], y[kept:], settings)
        elif isinstance(images, dataset.Pictures) and images.valid is not None:
            valid = dataset.feed(*images.valid, settings)
        return cls(kept, dataset.feed(x[:kept], y[:kept], settings, training=True), valid, test)


def configured(args: argparse.Namespace) -> tuple[Settings, dict[str, Any]]:
    """The settings of a new run, and what the file knows of the run that wrote it.

    The command line goes before the file.
    """
    path = args.config
    if path is not None and path.is_dir():
        path = path / folders.CONFIG
    found, made = ({}, {}) if path is None else read_toml(path, str(path))
    return needed("pierian train", found | given(args)), made


def resumed(args: argparse.Namespace) -> Folder:
    """The run to go on with.

    Raises:  CheckpointError when it has no checkpoints; ValueError for options that would make
             it another run.
    """
    for name in ("config", "out"):
        if getattr(args, name) is not None:
            fix = f"Leave out --{name}, or --resume to begin a new run"
            raise ValueError(message("--resume", "a run goes on as it began", "its own settings in "
                                     "its own folder", f"--{name}", fix))  # fmt: skip
    folder = open_folder(args.resume)
    before = folder.settings
    changed = {n: v for n, v in given(args).items() if v != getattr(before, n)}
    for name, value in changed.items():
        longer = name == "epochs" and value > before.epochs
        if not (OPTIONS[name].free or (longer and before.schedule == "constant")):
            was = f"{flag(name)} {getattr(before, name)}"
            must, fix = "a run goes on as it began", "Leave it out, or begin a new run"
            if longer:
                was += f", over which the schedule {before.schedule} goes"
            elif name == "epochs":
                was += " or more"
            raise ValueError(message("--resume", must, was, value, fix))
    folder = replace(folder, settings=replace(before, **changed))
    if not checkpoints(folder.checkpoints) and folder.history:
        must, fix = "there must be a checkpoint", "Begin a new run with --config"
        got = f"none in {folder.checkpoints}"
        raise CheckpointError(message("--resume", must, "one to go on from", got, fix))
    return folder


def around(folder: Folder) -> list[train.Callback]:
    """The callbacks that look at a run, or keep what it leaves."""
    settings = folder.settings
    found = [LOGGERS[name](folder.path) for name in settings.log]
    if settings.early_stopping is not None:
        patience = settings.early_stopping
        found.append(train.EarlyStopping("val_loss", patience=patience, verbose=1,
                                         restore_best_weights=True))  # fmt: skip
    every = Period.of(settings.checkpoint_every)
    if every.count:
        number = every.count if every.unit == "minute" else int(every.count)
        keep = settings.keep
        found.append(train.ModelCheckpoint(folder.checkpoints, number, every.unit, keep))
    return found


def fit(
    args: argparse.Namespace, folder: Folder, model: Any, parts: Parts, inside: list[train.Callback]
) -> int:
    """Train and save; gives the exit status."""
    settings, begun = folder.settings, len(checkpoints(folder.checkpoints)) > 0
    if args.resume is not None:
        print(f"going on with {folder.path}" if begun else f"{folder.path} begins anew: it ended "
              "before its first checkpoint")  # fmt: skip
    started = time.perf_counter()
    interrupted = False
    try:
        model.fit(
            *parts.train, batch_size=settings.batch_size if len(parts.train) > 1 else None,
            epochs=settings.epochs, validation_data=parts.valid,
            callbacks=[*inside, *around(folder)], resume=begun,
        )  # fmt: skip
    except BaseException as error:
        known = hasattr(model, "history")  # fit has come as far as the first step
        interrupted = isinstance(error, KeyboardInterrupt) and known
        if args.resume is None and not interrupted and not (known and model.history.epoch):
            folder.discard()
        if not interrupted:
            raise
    seconds = time.perf_counter() - started
    model.save(folder.path / folders.MODEL)
    folder.write_history({"epoch": model.history.epoch, **model.history.history})
    if not interrupted:
        return finish(args, folder, model, parts, seconds)
    done = len(model.history.epoch)
    print(f"interrupted after {done} whole epochs; what was learned is saved in {folder.path}")
    if checkpoints(folder.checkpoints):
        print(f"pierian train --resume {folder.path} goes on after its last checkpoint")
    return INTERRUPTED


def finish(
    args: argparse.Namespace, folder: Folder, model: Any, parts: Parts, seconds: float
) -> int:
    """Draw, test, and say what came out; gives the exit status."""
    done, new = len(model.history.epoch), args.resume is None
    if done:
        draw(model.history, folder.path / folders.CURVES)
    result = model.evaluate(*parts.test, verbose=0, return_dict=True)
    print(f"saved in {folder.path}")
    took = f" in {seconds:.1f} s" if new else ""  # of which a part went by before
    print(f"test accuracy {result['accuracy']:.4f} after {done} epochs{took}")
    if args.json:
        record = folder.settings.plain | {"data": folder.made.get("data"), "run": str(folder.path)}
        record |= tested(result) | {"epochs": done, "seconds": seconds}
        if new:
            record["samples_per_second"] = done * parts.count / seconds
        print_json(record)
    return 0


def draw(history: Any, path: Path) -> None:
    """The learning curves, if there is something to draw them with."""
    try:
        history.plot(path)
    except ImportError as error:
        print(error, file=sys.stderr)
