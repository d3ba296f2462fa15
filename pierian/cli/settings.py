"""The settings of a run: their names, what they may be, and the file that holds them.

May import: base, data, optim. To add one: a field of `Settings`, which makes it an
option and an entry of the file at once; what it does is in `train`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pierian import optim
from pierian.base.errors import lookup, message
from pierian.base.file import read as read_file
from pierian.data.order import LIMIT
from pierian.data.source import SOURCES
from pierian.optim import rules, schedule

Read = Callable[[str, Any], Any]  # (the name for errors, a word or a value of the file) -> value

# name -> the model it gets when none is said; what it is, `dataset` knows
DATASETS = {"mnist": "mlp", "fashion_mnist": "mlp", "cifar10": "cnn", "folder": "cnn"}
MODELS = ("mlp", "softmax", "lenet5", "cnn", "resnet18", "resnet34", "resnet50")
OF_FOLDERS = ("path", "size")  # settings that only a folder has
LOGS = ("csv", "jsonl", "tensorboard")
CYCLE = 5.0  # the peak of one-cycle, in learning rates that the optimizer has by itself
HELD = 0.1  # of the training images that early stopping looks at
UNITS = {"": "epoch", "epoch": "epoch", "step": "step", "min": "minute", "minute": "minute"}
MADE = "made"  # the table of the file that is only to be read by people


@dataclass(frozen=True)
class Option:
    """What the command line and the file must know of a setting.

    read   checks a value; words of the command line are strings.
    text   for --help.
    shown  what stands for the value there; "" for a switch.
    bare   the value when the option comes without one; None when it needs one.
    free   whether a resumed run may have another value, since the results are the same.
    """

    read: Read
    text: str
    shown: str
    bare: Any = None
    free: bool = False


@dataclass(frozen=True)
class Period:
    """How long, or how often: so many epochs, steps or minutes."""

    count: float
    unit: str

    @classmethod
    def of(cls, value: int | str) -> Period:
        """What `period` let pass: 3, "100steps", "5min"."""
        number, unit = re.fullmatch(r"([\d.]+) *([a-z]*?)s?", str(value)).groups()  # type: ignore[union-attr]
        return cls(float(number), UNITS[unit])


# What a value may be


def refuse(where: str, expected: str, given: object, fix: str = "") -> ValueError:
    """The error for a value that is none."""
    fix = fix or "pierian train --help says what each setting is"
    return ValueError(message(where, "its value must fit", expected, repr(given), fix))


def choice(kind: str, known: Iterable[str]) -> Read:
    """One of some names."""
    return lambda where, given: lookup(where, kind, str(given).lower(), known)


def number(low: float, high: float = math.inf, *, open_: bool = False) -> Read:
    """A number from `low` (if `open_`, above it) up to below `high`."""
    expected = f"a number {'>' if open_ else '>='} {low:g}"
    expected += f" and < {high:g}" if high < math.inf else ""

    def read(where: str, given: Any) -> float:
        try:
            value = math.nan if isinstance(given, bool) else float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not (low < value if open_ else low <= value) or not value < high:
            raise refuse(where, expected, given)
        return value

    return read


def count(least: int) -> Read:
    """A whole number, `least` or more."""

    def read(where: str, given: Any) -> int:
        text = "" if isinstance(given, bool | float) else str(given).replace("_", "")
        if not text.isdecimal() or not least <= int(text) < LIMIT:
            raise refuse(where, f"a whole number >= {least} and < 2**64", given)
        return int(text)

    return read


def period(forms: str, *units: str) -> Read:
    """A number of epochs, or text with one of these units behind it; `forms` shows them."""
    pattern = rf"\d+|[1-9]\d* *(epoch|{'|'.join(units)})s?|\d*\.\d+ *min(ute)?s?"

    def read(where: str, given: Any) -> int | str:
        text = "" if isinstance(given, bool | float) else str(given).strip().lower()
        if not re.fullmatch(pattern, text) or Period.of(text).unit not in ("epoch", *units):
            raise refuse(where, forms, given)
        return int(text) if text.isdecimal() else text

    return read


def switch(where: str, given: Any) -> bool:
    """true or false."""
    if not isinstance(given, bool):
        raise refuse(where, "true or false", given)
    return given


def folder(where: str, given: Any) -> str:
    """A path, from the root on, so that it stays the same wherever it is read."""
    if not isinstance(given, str) or not given:
        raise refuse(where, "the path of a folder", given)
    return str(Path(given).expanduser().resolve())


def sides(where: str, given: Any) -> str:
    """The size of pictures, HxW, or one number for a square."""
    text = "" if isinstance(given, bool) else str(given).lower().replace("×", "x")
    if not re.fullmatch(r"[1-9]\d{0,3}(x[1-9]\d{0,3})?", text):
        raise refuse(where, "HxW in pixels, like 32x48, or one number", given)
    return text if "x" in text else f"{text}x{text}"


def several(kind: str, known: Collection[str]) -> Read:
    """Some names, in text with commas or as a list."""

    def read(where: str, given: Any) -> tuple[str, ...]:
        names = given.split(",") if isinstance(given, str) else given
        if not isinstance(names, list | tuple):
            raise refuse(where, f"names among {', '.join(known)}", given)
        stripped = [name.strip() if isinstance(name, str) else name for name in names]
        return tuple(dict.fromkeys(lookup(where, kind, name, known) for name in stripped))

    return read


def setting(default: Any, read: Read, shown: str, text: str, **more: Any) -> Any:
    """A field of `Settings`."""
    return field(default=default, metadata={"option": Option(read, text, shown, **more)})


@dataclass(frozen=True)
class Settings:
    """All that a run is made of; what is None is chosen by what the others are, or left out."""

    dataset: str = setting(
        "", choice("dataset", DATASETS), "DATASET",
        f"one of {', '.join(DATASETS)}; folder is one of pictures, a folder per class",
    )  # fmt: skip
    path: str | None = setting(
        None, folder, "PATH",
        "where a folder of pictures is: a folder per class, or train/ and valid/ (and test/) with "
        "one per class each; without parts a fifth is kept to test with", free=True,
    )  # fmt: skip
    source: str | None = setting(
        None, choice("source", SOURCES), "PLACE",
        f"where the data must come from: {', '.join(SOURCES)} (default: the first that has them)",
        free=True,
    )  # fmt: skip
    size: str | None = setting(
        None, sides, "HxW", "size to which pictures in a folder are brought (default: their own)"
    )
    augment: bool = setting(
        False, switch, "",
        "change pictures a little whenever they are seen: shifted, digits turned, others mirrored",
    )  # fmt: skip
    model: str = setting(
        "", choice("model", MODELS), "NAME",
        "mlp, with 512 hidden units; softmax, one layer; lenet5; cnn, with two convolutions; "
        "resnet18, resnet34, resnet50 (default: mlp; for pictures in colour cnn)",
    )  # fmt: skip
    dropout: float = setting(
        0.0, number(0, 1), "P",
        "share of the last hidden units of an mlp or cnn that each step leaves out (0.2 without "
        "P)", bare=0.2,
    )  # fmt: skip
    epochs: int = setting(15, count(0), "N", "times through the training images (default: 15)")
    batch_size: int = setting(128, count(1), "N", "images in a step (default: 128)")
    optimizer: str = setting(
        "adam", choice("optimizer", rules.NAMES), "NAME",
        f"one of {', '.join(rules.NAMES)} (default: adam)",
    )  # fmt: skip
    lr: float | None = setting(
        None, number(0, open_=True), "RATE",
        "learning rate, the highest where there is a schedule (default: the optimizer's; five "
        "times that for one-cycle)",
    )  # fmt: skip
    weight_decay: float | None = setting(
        None, number(0), "X", "pulls weights to 0 (default: the optimizer's, mostly none)"
    )
    schedule: str = setting(
        "constant", choice("schedule", schedule.NAMES), "NAME",
        f"how the learning rate changes: {', '.join(schedule.NAMES)} (default: constant)",
    )  # fmt: skip
    warmup: int | str = setting(
        0, period("3 (epochs) or 100steps", "step"), "N",
        "let the learning rate rise from 0 for N epochs first, or steps: 100steps",
    )  # fmt: skip
    early_stopping: int | None = setting(
        None, count(1), "EPOCHS",
        "stop when val_loss has not improved for EPOCHS (3 without a number); keeps the best",
        bare=3,
    )  # fmt: skip
    hold_out: float | None = setting(
        None, number(0, 1), "SHARE",
        "validate on this share of the training images, not on the test set (default: 0; with "
        f"--early-stopping {HELD})",
    )  # fmt: skip
    clip: float | None = setting(
        None, number(0, open_=True), "NORM", "keep the norm of all gradients at NORM or less"
    )
    ema: float | None = setting(
        None, number(0, 1), "DECAY",
        "average the weights over the steps, and keep the average (0.999 without DECAY)",
        bare=0.999,
    )  # fmt: skip
    accumulate: int = setting(
        1, count(1), "N", "update the weights after every N batches (default: 1)"
    )
    jit: bool | None = setting(
        None, switch, "", "compile steps, or do not (default: where possible)"
    )
    threads: int | None = setting(
        None, count(1), "N", "threads of compiled steps (default: one per core)", free=True
    )
    seed: int = setting(0, count(0), "N", "of all random numbers (default: 0)")
    checkpoint_every: int | str = setting(
        1, period("3 (epochs), 100steps or 5min", "step", "min", "minute"), "N",
        "epochs between checkpoints, or 100steps, or 5min; 0 for none (default: 1)", free=True,
    )  # fmt: skip
    keep: int = setting(
        1, count(1), "N", "newest checkpoints that are kept (default: 1)", free=True
    )
    log: tuple[str, ...] = setting(
        (), several("log", LOGS), "NAMES", f"log files to write, with commas: {','.join(LOGS)}"
    )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """`given` and the defaults of the rest, those that depend on other settings included."""
        made = cls(**given)
        chosen: dict[str, Any] = {}
        if not made.model:
            chosen["model"] = DATASETS.get(made.dataset, "mlp")
        if made.lr is None:
            usual = float(optim.get(made.optimizer).lr)
            chosen["lr"] = usual * (CYCLE if made.schedule == "one-cycle" else 1)
        if made.hold_out is None:
            chosen["hold_out"] = 0.0 if made.early_stopping is None else HELD
        return cls(**{**given, **chosen})

    @property
    def plain(self) -> dict[str, Any]:
        """The settings that have a value, as JSON has them."""
        values = {name: getattr(self, name) for name in OPTIONS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }


OPTIONS: dict[str, Option] = {f.name: f.metadata["option"] for f in fields(Settings)}


def add_options(parser: argparse.ArgumentParser, names: Collection[str] = OPTIONS) -> None:
    """Let a command take these settings; `given` has those that were given."""
    for name in names:
        option = OPTIONS[name]
        more: dict[str, Any] = {"help": option.text, "default": argparse.SUPPRESS}
        if not option.shown:
            more["action"] = argparse.BooleanOptionalAction
        else:
            more["metavar"] = option.shown
        if option.bare is not None:
            more |= {"nargs": "?", "const": option.bare}
        if name == "dataset" or (name == "path" and "dataset" in names):
            parser.add_argument(name, nargs="?", **more)
        else:
            parser.add_argument(f"--{dashed(name)}", dest=name, **more)


def flag(name: str) -> str:
    """How a setting is called on the command line."""
    return name if name in ("dataset", "path") else f"--{dashed(name)}"


def dashed(name: str) -> str:
    """How a setting is called in the file."""
    return name.replace("_", "-")


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings on the command line, checked.

    Raises:  ValueError that names the option.
    """
    words = {name: value for name, value in vars(args).items() if name in OPTIONS}
    for name, word in words.copy().items():  # `--ema mnist` is --ema, and the data set
        taken = OPTIONS[name].bare is not None and word in DATASETS
        if taken and words.get("dataset") not in DATASETS:
            words |= {"path": words["dataset"]} if "dataset" in words else {}
            words |= {name: OPTIONS[name].bare, "dataset": word}
    return {name: OPTIONS[name].read(flag(name), word) for name, word in words.items()}


def needed(command: str, found: dict[str, Any]) -> Settings:
    """The settings of a command that cannot do without a data set."""
    if "dataset" not in found:
        expected, fix = " or ".join(DATASETS), f"Write it behind the command: {command} mnist"
        raise ValueError(message(command, "there must be a data set", expected, "none", fix))
    settings = Settings.of(found)
    if settings.dataset == "folder" and settings.path is None:
        fix = f"Write it behind: {command} folder PATH"
        raise ValueError(message(command, "a folder must be somewhere", "its path", "none", fix))
    for name in OF_FOLDERS:
        if settings.dataset != "folder" and (value := getattr(settings, name)) is not None:
            fix = f"Leave it out, or write {command} folder PATH"
            must = f"only pictures in a folder have a {name}"
            raise ValueError(message(flag(name), must, f"none for {settings.dataset}", value, fix))
    return settings


# The file


def read_toml(path: Path, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings in a file, checked, and its table `made`.

    Raises:  CheckpointError when there is no file; ValueError for what is no TOML, and for
             names and values that are no settings.
    """
    try:
        record = tomllib.loads(read_file(path, where).decode())
    except ValueError as error:  # what UnicodeDecodeError and TOMLDecodeError are
        fix = "See toml.io, or a config.toml that `pierian train` wrote"
        raise ValueError(message(where, "the file must be TOML", "TOML", error, fix)) from error
    made = record.pop(MADE, {})
    found = {}
    for key, value in record.items():
        name = lookup(where, "setting", dashed(key), map(dashed, OPTIONS)).replace("-", "_")
        found[name] = OPTIONS[name].read(f"{where}, {key}", value)
    return found, made if isinstance(made, dict) else {}


def to_toml(settings: Settings, made: Mapping[str, Any]) -> str:
    """The file for these settings, and for what is good to know of the run."""
    plain = {dashed(name): value for name, value in settings.plain.items()}
    tables = (plain, f"[{MADE}]", made)
    lines = ["# pierian train --config FILE makes the run again"]
    for part in tables:
        lines += (
            ["", part] if isinstance(part, str) else [f"{k} = {toml(v)}" for k, v in part.items()]
        )
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML has it.

    >>> print(toml(["é", 'a "b"']), toml(1e-05), toml(True))
    ["é", "a \\"b\\""] 1e-05 true
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):  # escapes of JSON are escapes of TOML, but for this character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
