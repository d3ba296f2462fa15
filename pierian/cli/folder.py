"""The folder of a run: what is in it, how it is made, and how it is read again.

May import: base, io, nn, data, this room. One more file in it: its name here, its writer in
`train`.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pierian import io
from pierian.base import file
from pierian.base.errors import CheckpointError, message
from pierian.base.notice import notice
from pierian.cli import dataset
from pierian.cli.info import cpu_name, usable_cores
from pierian.cli.settings import OPTIONS, Settings, read_toml, to_toml
from pierian.data.source import ImageData
from pierian.io.checkpoint import environment

CONFIG, OLD_CONFIG = "config.toml", "config.json"
MODEL, HISTORY, CURVES = "model.safetensors", "history.json", "curves.png"
CHECKPOINTS, REPORT, TENSORBOARD = "checkpoints", "report.html", "tensorboard"
RUNS = Path("runs")
DIGIT = (1, 28, 28)  # the shape of pictures in runs of older versions
NAMED = 5  # runs that an error names, the newest


@dataclass(frozen=True)
class Folder:
    """A run on the disk.

    settings  what it was trained with.
    made      what else is known of it: its data, the machine, versions.
    """

    path: Path
    settings: Settings
    made: Mapping[str, Any]

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def classes(self) -> list[str]:
        """The names of the classes, as far as they are known."""
        return list(self.made.get("classes", []))

    @property
    def shape(self) -> dataset.Shape:
        """The shape of a picture, (channels, height, width)."""
        return tuple(self.made.get("shape", DIGIT))

    @cached_property
    def model(self) -> Any:
        """The model that was trained.

        Raises:  CheckpointError when there is none, or it is damaged.
        """
        if not (self.path / MODEL).exists():
            must, fix = "training must have ended", f"pierian train --resume {self.path} goes on"
            where = f'run("{self.path}")'
            raise CheckpointError(message(where, must, MODEL, "none yet", fix))
        return io.load(self.path / MODEL)

    def images(self, given: Mapping[str, Any]) -> ImageData:
        """The data of the run, from where it found them or another place; says which."""
        images = dataset.load(replace(self.settings, **given))
        print(f"data: {images.source}")
        if self.made.get("checksum", same := images.checksum) != same:
            notice(f"{self.path}: trained with other data: {self.made.get('data')}")
        return images

    @property
    def history(self) -> dict[str, list[float]]:
        """A number per epoch under each name; empty before training has ended."""
        if not (self.path / HISTORY).exists():
            return {}
        where = f'run("{self.path}")'
        try:
            record = json.loads(file.read(self.path / HISTORY, where))
            return {name: list(map(float, values)) for name, values in record.items()}
        except (ValueError, TypeError, AttributeError) as error:
            fix = "Train again, or remove the file"
            must = "the history must be whole"
            raise CheckpointError(message(where, must, HISTORY, "something else", fix)) from error

    @property
    def config(self) -> str:
        """The text of its configuration."""
        return to_toml(self.settings, self.made)

    def write_config(self) -> None:
        """Write the configuration that makes the run again."""
        path = self.path / CONFIG
        file.write(path, self.config.encode(), f'train("{path}")')

    def write_history(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of the epochs."""
        path = self.path / HISTORY
        file.write(path, (json.dumps(record, indent=1) + "\n").encode(), f'train("{path}")')

    def discard(self) -> None:
        """Remove a run in which nothing was learned, so that its name can be used again."""
        shutil.rmtree(self.path, ignore_errors=True)


def new_folder(wanted: Path | None, settings: Settings, images: ImageData, steps: int) -> Folder:
    """A new or empty folder: `wanted`, or the next runs/<dataset>-<model>-<number>.

    Args:  steps  of an epoch.
    """
    path = _new_path(wanted, f"{settings.dataset}-{settings.model}")
    made = {
        "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "data": images.source,
        "checksum": images.checksum,
        "classes": images.classes,
        "shape": dataset.planes(images.x_train).shape[1:],
        "steps": steps,
        **environment(),
        "cpu": f"{cpu_name()}, {usable_cores()} cores usable",
    }
    return Folder(path, settings, made)


def _new_path(wanted: Path | None, name: str) -> Path:
    if wanted is not None and wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        fix = f"Pass another --out, or leave it out; --resume {wanted} goes on with a run"
        must = "a run goes into a folder of its own"
        raise CheckpointError(message("train", must, "a new one", f"{wanted}, in use", fix))
    numbered = (RUNS / f"{name}-{number}" for number in itertools.count(1))
    for path in [wanted] if wanted is not None else numbered:
        try:
            path.mkdir(parents=True, exist_ok=path is wanted)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            must, fix = "the run folder must be made", "Pass another --out"
            got = error.strerror
            raise CheckpointError(message("train", must, f"{path}", got, fix)) from error
    raise AssertionError("there is always another number")


def open_folder(path: Path) -> Folder:
    """A run that `pierian train` made; those of older versions have their settings as JSON.

    Raises:  CheckpointError when there is none.
    """
    where = f'run("{path}")'
    must, fix = "there must be a run folder", "Pass a folder that `pierian train` made"
    expected = f"a folder with {CONFIG}"
    if not path.is_dir() or not any((path / name).exists() for name in (CONFIG, OLD_CONFIG)):
        configs = [*RUNS.glob(f"*/{CONFIG}"), *RUNS.glob(f"*/{OLD_CONFIG}")]
        configs.sort(key=lambda config: config.stat().st_mtime)
        found = [str(config.parent) for config in configs[-NAMED:]]
        got = "a file" if path.is_file() else f"no {CONFIG}" if path.exists() else "nothing there"
        fix += f": {', '.join(found)}" if found else " (the default is runs/...)"
        raise CheckpointError(message(where, must, expected, got, fix))
    name = CONFIG
    try:
        if (path / CONFIG).exists():
            given, made = read_toml(path / CONFIG, where)
        else:
            name = OLD_CONFIG
            record = json.loads(file.read(path / name, where))
            made = {key: value for key, value in record.items() if key not in OPTIONS}
            given = {key: OPTIONS[key].read(f"{where}, {key}", record[key])
                     for key in record if key in OPTIONS}  # fmt: skip
        given["dataset"], made["classes"]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        got = f"{type(error).__name__} in {name}"
        raise CheckpointError(message(where, must, expected, got, fix)) from error
    return Folder(path, Settings.of(given), made)
