"""The import probe, on a synthetic package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import import_time


def test_probe_tells_time_and_what_was_loaded(tmp_path: Path) -> None:
    (tmp_path / "pierian_probe.py").write_text("import time, colorsys\ntime.sleep(0.05)\n")
    found = import_time.probe(tmp_path, "pierian_probe")
    assert found.seconds >= found.numpy + 0.05
    assert "colorsys" in found.loaded
    assert "numpy" in found.loaded


def test_probe_shows_the_error_of_a_broken_import(tmp_path: Path) -> None:
    (tmp_path / "pierian_probe.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(RuntimeError, match="nothing_of_this_name"):
        import_time.probe(tmp_path, "pierian_probe")
