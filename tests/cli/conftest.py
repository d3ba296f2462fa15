"""A run that all tests may look at, and a folder of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pierian.base import notice
from pierian.compiler import threads
from tests.cli.running import Trained, pierian


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Six epochs of a network, with one-cycle and dropout."""
    folder = tmp_path_factory.mktemp("cli") / "digits"
    options = ("--source", "bundled", "--epochs", 6, "--seed", 3, "--out", folder, "--json")
    return Trained(
        folder, pierian("train", "--dropout", "mnist", "--schedule", "one-cycle", *options)
    )


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIERIAN_DATA", raising=False)
    monkeypatch.setenv("PIERIAN_OFFLINE", "1")
    before = threads.get_num_threads()
    notice.said.clear()
    yield
    notice.said.clear()
    threads.set_num_threads(before)
