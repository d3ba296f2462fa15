"""`pierian report`: a page about a run, that needs nothing else."""

from __future__ import annotations

import json
import re
import shutil
import webbrowser
from pathlib import Path

import pytest

from tests.cli.running import SOFTMAX, Trained, pierian

PARTS = ["curves", "schedule", "confusion", "mistakes", "classes", "model", "config", "environment"]


def parts(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


def test_the_page_has_all_that_is_known(trained: Trained) -> None:
    done = pierian("report", trained.folder, "--out", "new/page.html", "--json")
    assert done.status == 0 and done.err == ""
    accuracy = trained.done.record["test_accuracy"]
    assert done.lines[-3:-1] == [
        f"test accuracy {accuracy:.4f} on 1,000 images",
        f"report: {Path('new/page.html')}",
    ]
    assert done.record["accuracy"] == accuracy
    assert done.record["loss"] == pytest.approx(trained.done.record["test_loss"], rel=1e-5)
    page = Path("new/page.html").read_text(encoding="utf-8")
    assert parts(page) == PARTS
    assert not re.search(r'(src|href)="(?!#|data:)', page) and "<script" not in page
    assert f"{accuracy:.2%}" in page and "407,050" in page
    wrong = round(1000 * (1 - accuracy))
    assert page.count("<figcaption>") == min(wrong, 24)
    config = (trained.folder / "config.toml").read_text().partition("\n\n")[0]
    assert config.replace('"', "&quot;") in page
    assert "bundled with Pierian" in page


def test_it_goes_into_the_run_and_opens(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert pierian("report", folder, "--open").status == 0
    assert opened == [(folder / "report.html").as_uri()]
    assert (folder / "report.html").exists()


def test_a_run_of_an_older_version_is_read() -> None:
    assert pierian(*SOFTMAX, "--epochs", 1, "--out", "run").status == 0
    Path("run/config.toml").unlink()
    old = {"dataset": "mnist", "model": "softmax", "epochs": 1, "batch_size": 128,
           "optimizer": "adam", "seed": 0, "lr": 0.001, "data": "sample of MNIST",
           "classes": list("0123456789"), "pierian": "0.1.0"}  # fmt: skip
    Path("run/config.json").write_text(json.dumps(old))
    tested = pierian("evaluate", "run", "--source", "bundled", "--json")
    assert tested.record["test_accuracy"] > 0.7
    done = pierian("report", "run", "--source", "bundled")
    assert done.status == 0
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert parts(page) == [part for part in PARTS if part != "schedule"]


def test_a_run_that_saw_other_data_says_so(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace("checksum = ", 'data-from = "a"\nchecksum = "b'
                                                     '"\nchecked = '))  # fmt: skip
    done = pierian("evaluate", folder)
    assert done.status == 0
    assert done.err == (
        f"{folder}: trained with other data: sample of MNIST, 9,000 + 1,000, bundled with Pierian\n"
    )
