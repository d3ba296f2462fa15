"""The room as a whole: public names, their docstrings and examples, the maker of the sample."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import importlib.util
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest

from pierian import data

FILES = sorted(module.name for module in pkgutil.iter_modules(data.__path__, "pierian.data."))


@pytest.mark.parametrize("name", FILES)
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


@pytest.mark.parametrize("name", data.__all__)
def test_public_names_have_docstrings(name):
    assert "Shapes:" in getattr(data, name).__doc__


def test_public_names_are_all_there_is():
    shown = {name for name in vars(data) if not name.startswith("_")}
    files = {name.rpartition(".")[2] for name in FILES}
    assert shown - files <= set(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)  # some are imported when asked for
    assert not hasattr(data, "other")


@pytest.fixture(scope="module")
def maker():
    path = Path(__file__).parents[2] / "tools" / "make_mnist_sample.py"
    spec = importlib.util.spec_from_file_location("make_mnist_sample", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path, maker, monkeypatch):
    """A package like the real one, of twenty random digits."""
    monkeypatch.setattr(maker, "COUNTS", (2,) * 10)
    digits = np.random.default_rng(0).integers(0, 256, (10, 2, 28, 28))
    folder = tmp_path / "package"
    (folder / "src" / "digits").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "mnist", "version": "1.1.0"}')
    for digit, images in enumerate(digits):
        values = {"data": [round(p / 255, 3) for p in images.ravel().tolist()]}
        (folder / "src" / "digits" / f"{digit}.json").write_text(json.dumps(values))
    return folder, digits


def test_sample_maker_writes_the_same_bytes_twice(tmp_path, maker, package, capsys):
    folder, digits = package
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        assert maker.main([str(folder), str(path)]) == 0
    one, two = (path.read_bytes() for path in paths)
    assert one == two
    assert hashlib.sha256(one).hexdigest() in capsys.readouterr().out
    with np.load(paths[0]) as sample:
        images, labels = sample["images"], sample["labels"]
    assert images.dtype == labels.dtype == np.uint8
    assert labels.tolist() != sorted(labels)
    for digit in range(10):
        got = {image.tobytes() for image in images[labels == digit]}
        assert got == {image.astype(np.uint8).tobytes() for image in digits[digit]}


def test_sample_maker_checks_what_it_reads(tmp_path, maker, package):
    folder, _ = package
    path = folder / "src" / "digits" / "0.json"
    out = str(tmp_path / "out.npz")
    for values, says in (
        ([0.5] * 1568, r"expected n / 255 to 3 decimals, got 0\.5"),
        ([0] * 784, "expected 1,568 values, got 784"),
    ):
        path.write_text(json.dumps({"data": values}))
        with pytest.raises(SystemExit, match=says):
            maker.main([str(folder), out])
    (folder / "package.json").write_text('{"name": "mnist", "version": "2.0.0"}')
    with pytest.raises(SystemExit, match="expected mnist 1.1.0, got mnist 2.0.0"):
        maker.main([str(folder), out])
    assert not Path(out).exists()
