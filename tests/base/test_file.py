"""Writing files completely or not at all: every step may fail, or the process may be killed."""

from __future__ import annotations

import builtins
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pierian.base import file
from pierian.base.errors import CheckpointError

ROOM = "the file must be written; expected a folder that can be written, with room for "
FIX = "Choose another path or make room; a file that was there is unchanged."


def test_write_then_read_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("plain", "a.safetensors", "ünï cödé", "x" * 255, "new/nested/folder/file"):
        for data in (b"first", b"", b"\0" * 5000):
            path = tmp_path / name
            file.write(str(path), data, "write")
            assert file.read(path, "read") == path.read_bytes() == data
            assert os.listdir(path.parent) == [path.name]
        path.unlink()


def test_write_takes_relative_and_byte_paths(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    file.write("m", b"1", "write")
    file.write(b"n", b"2", "write")
    assert (file.read("m", "read"), file.read(b"n", "read")) == (b"1", b"2")


def test_write_gives_the_mode_of_a_normal_file_and_keeps_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "m"
    before = os.umask(0o027)
    try:
        file.write(path, b"1", "write")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        file.write(path, b"2", "write")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_write_follows_links(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for name, target in (("latest", "runs/7"), ("loose", "runs/8")):
        link = tmp_path / name
        link.symlink_to(target)
        file.write(link, b"1", "write")
        file.write(link, b"2", "write")
        assert link.is_symlink()
        assert (tmp_path / target).read_bytes() == b"2"


def test_write_makes_room_for_nothing_but_a_file(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    (tmp_path / "file").write_bytes(b"")
    for path, got in {
        tmp_path: "a folder",
        fifo: "a device or a pipe",
        os.devnull: "a device or a pipe",
        f"{tmp_path}/new/": "a path without the name of a file",
        tmp_path / "file" / "m": "Not a directory",
        tmp_path / ("x" * 256): "File name too long",
        "": "a path without the name of a file",
        "a\0b": "embedded null byte",
    }.items():
        with pytest.raises(CheckpointError) as caught:
            file.write(path, b"abc", "save(...)")
        assert str(caught.value) == f"save(...): {ROOM}3 bytes, got {got}. {FIX}"
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_read_says_what_is_there_instead(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    for path, got in {
        tmp_path / "none": "No such file or directory",
        tmp_path: "a folder",
        fifo: "a device or a pipe",
        "/dev/zero": "a device or a pipe",
        "a\0b": "embedded null byte",
    }.items():
        with pytest.raises(CheckpointError) as caught:
            file.read(path, "load(...)")
        assert str(caught.value) == (
            f"load(...): there must be a file to read; expected a file, got {got}. Check the path."
        )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace", "chmod", "makedirs", "scandir", "open"])
def test_a_step_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: Any, step: str, error: BaseException
) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(builtins if step == "open" else os, step, fail)
    with pytest.raises((CheckpointError, KeyboardInterrupt)) as caught:
        file.write(path, b"new!", 'save("m")')
    monkeypatch.undo()
    if isinstance(error, OSError):
        says = f'save("m"): {ROOM}4 bytes, got No space left on device. {FIX}'
        assert str(caught.value) == says
        assert caught.value.__cause__ is error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="1,000,000 bytes, got File too large"):
            file.write(path, bytes(1_000_000), "save")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    sync = os.fsync

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    file.write(tmp_path / "m", b"1", "write")
    assert (tmp_path / "m").read_bytes() == b"1"


def test_both_the_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: Any) -> None:
    steps = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(*paths: str) -> None:
        steps.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    file.write(tmp_path / "m", b"1", "write")
    assert steps == ["file", "rename", "folder"]


def test_old_temporaries_of_killed_writers_are_removed(tmp_path: Path) -> None:
    old, new, other = (tmp_path / n for n in (".m-00aa.tmp", ".m-00bb.tmp", ".mm-00cc.tmp"))
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 2 * file.STALE,) * 2)
    file.write(tmp_path / "m", b"1", "write")
    assert not old.exists()
    assert new.exists()  # perhaps of a writer that is at work
    assert other.exists()


def test_many_writers_of_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "m"
    whole = [bytes([i]) * 100_000 for i in range(4)]

    def write(data: bytes) -> None:
        for _ in range(10):
            file.write(path, data, "write")
            assert file.read(path, "read") in whole

    threads = [threading.Thread(target=write, args=(data,)) for data in whole]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in whole
    assert os.listdir(tmp_path) == ["m"]


WRITER = """
import sys
import numpy as np
from pierian import nn
models = [nn.Linear(400, 300), nn.Linear(400, 300)]
for i, model in enumerate(models):
    model.load_state_dict({"weight": np.full((300, 400), i), "bias": np.full(300, i)})
for turn in range(100_000):
    models[turn % 2].save(sys.argv[1])
    if not turn:
        print("ready", flush=True)
"""


def test_a_killed_process_leaves_a_whole_model(tmp_path: Path) -> None:
    import pierian as pr

    path, rng = tmp_path / "m.safetensors", random.Random(0)
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        values = {float(p.numpy().min()) for p in pr.load(path).parameters()}
        values |= {float(p.numpy().max()) for p in pr.load(path).parameters()}
        assert values in ({0.0}, {1.0})
    litter = [p for p in tmp_path.iterdir() if p != path]
    assert len(litter) <= 6
    for left in litter:
        os.utime(left, (0, 0))
    pr.load(path).save(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("platform", "env", "folder"),
    [
        ("linux", {"PIERIAN_CACHE": "/here"}, "/here"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/pierian"),
        ("linux", {}, "/home/me/.cache/pierian"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/home/me/Library/Caches/pierian"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pierian/pierian/Cache"),
        ("win32", {}, "/home/me/AppData/Local/pierian/pierian/Cache"),
    ],
)
def test_cache_is_the_folder_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, env: dict[str, str], folder: str
) -> None:
    for name in ("PIERIAN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert file.cache_folder() == Path(folder)


def test_cache_is_the_folder_of_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch", reason="pooch is not installed")
    monkeypatch.delenv("PIERIAN_CACHE", raising=False)
    assert file.cache_folder() == Path(pooch.os_cache("pierian"))
