"""The cache of object code: whole entries or none, whatever happens to its files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pierian.compiler import cache


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIERIAN_CACHE", str(tmp_path))
    monkeypatch.delenv("PIERIAN_NO_CACHE", raising=False)


def path_of(name: str) -> Path:
    return cache.folder() / (name + cache.ENDING)


def test_what_was_put_is_found() -> None:
    assert cache.get("a") is None
    cache.put("a", b"code")
    assert cache.get("a") == b"code"


@pytest.mark.parametrize("damage", [
    lambda data: data[:-1], lambda data: data[: cache.DIGEST], lambda data: b"",
    lambda data: data[:-1] + b"!", lambda data: b"!" + data[1:], lambda data: data + b"!",
])  # fmt: skip
def test_damaged_entry_is_no_entry_and_is_replaced(damage) -> None:
    cache.put("a", b"code")
    path_of("a").write_bytes(damage(path_of("a").read_bytes()))
    assert cache.get("a") is None
    cache.put("a", b"code")
    assert cache.get("a") == b"code"


def test_a_folder_in_the_way_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path_of("a").mkdir(parents=True)
    cache.put("a", b"code")
    assert cache.get("a") is None
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PIERIAN_CACHE", str(tmp_path / "file"))
    cache.put("a", b"code")
    assert cache.get("a") is None


def test_cache_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("a", b"code")
    monkeypatch.setenv("PIERIAN_NO_CACHE", "1")
    assert cache.get("a") is None
    cache.put("b", b"code")
    assert not path_of("b").exists()


def test_least_recently_used_entries_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LARGEST", 4 * (cache.DIGEST + 100))
    monkeypatch.setattr(cache, "SELDOM", 1)
    for i, name in enumerate("abcd"):
        cache.put(name, bytes(100))
        os.utime(path_of(name), (i, i))
    cache.get("a")
    cache.put("e", bytes(100))
    assert [name for name in "abcde" if cache.get(name) is not None] == ["a", "e"]


def test_key_tells_parts_apart() -> None:
    names = {cache.key("ab", "c"), cache.key("a", "bc"), cache.key("abc"), cache.key("abc", "")}
    assert len(names) == 4


PROGRAM = """
import pierian as pr
step = pr.jit(lambda x: (pr.exp(x) @ x.T).sum(0))
print(step(pr.ones((3, 2))).tolist(), step.explain(pr.ones((3, 2))).cached)
"""
ANSWER = str([3 * 2 * 2.7182817459106445] * 3)
KILLED = """
import os, signal
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
os.{} = die
"""


def start(program: str) -> Any:
    return subprocess.Popen([sys.executable, "-c", program], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)  # fmt: skip


def ends_well(process: Any) -> str:
    """What the process printed, which was the right answer and no complaint."""
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(ANSWER[:7]), out
    return str(out)


def test_processes_that_compile_the_same_program_at_once() -> None:
    for process in [start(PROGRAM) for _ in range(3)]:
        ends_well(process)
    assert "True" in ends_well(start(PROGRAM))


@pytest.mark.parametrize("call", ["replace"])
def test_process_killed_while_it_writes_an_entry(call: str) -> None:
    killed = start(KILLED.format(call) + PROGRAM)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    ends_well(start(PROGRAM))
    assert "True" in ends_well(start(PROGRAM))


def test_damaged_entries_of_a_program_are_compiled_anew() -> None:
    ends_well(start(PROGRAM))
    for path in cache.folder().glob("*" + cache.ENDING):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :])
    ends_well(start(PROGRAM))
    assert "True" in ends_well(start(PROGRAM))
