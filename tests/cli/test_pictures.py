"""Pictures in folders and in colour: the same commands, on pictures that the tests write."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pierian as pr
from pierian import data
from pierian.cli import dataset
from pierian.cli.network import build
from pierian.cli.settings import MODELS, Settings
from pierian.io.checkpoint import checkpoints
from tests.cli.running import left, pierian

COLOURS = ("blue", "green", "red")
SMALL = ("--batch-size", 16, "--threads", 1)


def picture(colour: int, seed: int, side: tuple[int, int] = (9, 8)) -> np.ndarray:
    """Noise in which one colour is the strongest, (h, w, 3)."""
    pixels = np.random.default_rng([colour, seed]).integers(0, 100, (*side, 3), np.uint8)
    pixels[..., 2 - colour] += 120
    return pixels


def write(root: Path, counts: dict[str, int]) -> Path:
    """Folders of pictures, so many of each class in each part; "" for no parts."""
    for start, (part, count) in enumerate(counts.items()):
        for colour, name in enumerate(COLOURS):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = picture(colour, 1000 * start + i)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


def cifar(root: Path) -> Path:
    """CIFAR-10 of 60 + 12 images in its binary version, of three of its classes."""
    folder = root / "cifar10"
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for number, name in enumerate(names):
        records = [
            bytes([colour]) + np.moveaxis(picture(colour, 9 * number + i, (32, 32)), 2, 0).tobytes()
            for i in range(4)
            for colour in range(3)
        ]
        (folder / f"{name}.bin").write_bytes(b"".join(records))
    return root


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in train/ and valid/."""
    return write(tmp_path_factory.mktemp("pictures") / "colours", {"train": 24, "valid": 8})


@pytest.fixture(scope="module")
def coloured(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on them, in which pictures are changed at random."""
    run = tmp_path_factory.mktemp("runs") / "run"
    done = pierian("train", "folder", parts, "--augment", "--epochs", 6, "--lr", 0.01, *SMALL,
                   "--log", "csv", "--checkpoint-every", "7steps", "--keep", 9,
                   "--out", run, "--json")  # fmt: skip
    assert done.status == 0 and done.err == ""
    assert done.lines[0] == f"data: 72 + 24 pictures of 9×8, 3 classes, from {parts}"
    assert done.record["test_accuracy"] == 1.0 and done.record["model"] == "cnn"
    return run


def test_the_run_knows_its_pictures(coloured: Path, parts: Path) -> None:
    config = tomllib.loads((coloured / "config.toml").read_text(encoding="utf-8"))
    assert (config["dataset"], config["path"], config["augment"]) == ("folder", str(parts), True)
    assert config["made"]["classes"] == list(COLOURS) and config["made"]["shape"] == [3, 9, 8]
    model = pr.load(coloured / "model.safetensors")
    pixels = np.moveaxis(picture(1, 77), 2, 0)[None].astype("float32") / 255
    assert model.predict(pixels, verbose=0).argmax() == 1


def test_evaluate_and_report_find_the_pictures_again(
    coloured: Path, parts: Path, tmp_path: Path
) -> None:
    done = pierian("evaluate", coloured, "--json")
    assert done.status == 0 and done.err == ""
    assert done.record["test_accuracy"] == 1.0
    history = json.loads((coloured / "history.json").read_text())
    assert done.record["test_loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)
    moved = tmp_path / "moved"
    shutil.copytree(parts, moved)
    shutil.rmtree(moved / "valid" / "red")
    other = pierian("evaluate", coloured, "--path", moved)
    assert "valid" in other.err or other.status == 2  # a class without pictures
    report = pierian("report", coloured, "--out", "page.html")
    assert report.status == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert "colours with cnn" in page and "100.00%" in page


def test_predict_reads_pictures_in_colour_of_any_size(coloured: Path) -> None:
    for colour, name in enumerate(COLOURS):
        Image.fromarray(picture(colour, 5, (20, 31))).save(f"{name}.png")
    done = pierian("predict", coloured, *(f"{name}.png" for name in COLOURS), "--json")
    assert [answer["class"] for answer in done.record["predictions"]] == list(COLOURS)
    missing = pierian("predict", coloured, "none.png")
    assert missing.status == 2 and missing.err.startswith('pierian: error: read_image("none.png")')


def test_a_run_with_augmentation_goes_on_exactly(coloured: Path) -> None:
    shutil.copytree(coloured, "run")
    whole = left(Path("run"))
    for path in checkpoints("run/checkpoints")[2:]:
        path.unlink()
    for name in ("model.safetensors", "history.json"):
        Path("run", name).unlink()
    assert len(checkpoints("run/checkpoints")) == 2  # the second is in the middle of an epoch
    assert pierian("train", "--resume", "run", "--threads", 2).status == 0
    assert left(Path("run")) == whole
    again = pierian("train", "--config", coloured, "--out", "again")
    assert again.status == 0 and left(Path("again")) == whole


def test_augmentation_changes_what_is_learned(coloured: Path, parts: Path) -> None:
    plain = pierian("train", "--config", coloured, "--no-augment", "--out", "plain")
    assert plain.status == 0
    assert left(Path("plain"))["history.json"] != left(coloured)["history.json"]


SETS: list[tuple[dict[str, int], tuple[int, int], int]] = [
    ({"": 10}, (24, 6), 0),  # a fifth is kept to test with
    ({"train": 5, "val": 2}, (15, 6), 0),
    ({"training": 5, "test": 3}, (15, 9), 0),
    ({"train": 4, "valid": 2, "test": 3}, (12, 9), 6),
]


@pytest.mark.parametrize(("counts", "sizes", "held"), SETS, ids=lambda x: str(x))
def test_parts_of_folders(
    counts: dict[str, int], sizes: tuple[int, int], held: int, tmp_path: Path
) -> None:
    root = write(tmp_path / "p", counts)
    settings = Settings.of({"dataset": "folder", "path": str(root), "size": "4x6"})
    images = dataset.load(settings)
    assert (len(images.x_train), len(images.x_test)) == sizes
    assert images.x_train.shape[1:] == (3, 4, 6) == dataset.look(settings)[0]
    valid = getattr(images, "valid", None)
    assert (0 if valid is None else len(valid[0])) == held
    assert (np.diff(images.y_train.astype(int)) < 0).any()  # mixed
    strongest = images.x_train.mean((2, 3)).argmax(1)
    assert np.array_equal(2 - strongest, images.y_train)  # labels go with their pictures
    assert np.array_equal(dataset.load(settings).x_train, images.x_train)


def test_pictures_in_valid_are_for_validation(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"train": 6, "valid": 1, "test": 2})
    done = pierian("train", "folder", root, "--epochs", 1, "--out", "run", *SMALL, "--json")
    history = json.loads(Path("run/history.json").read_text())
    assert done.record["test_loss"] != pytest.approx(history["val_loss"][0], rel=1e-6)


def test_cifar10_is_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIERIAN_DATA", str(cifar(tmp_path / "data")))
    options = ("--epochs", 2, "--lr", 0.003, "--model", "softmax", *SMALL, "--out", "run", "--json")
    done = pierian("train", "cifar10", *options)
    assert done.status == 0 and done.err == ""
    assert done.lines[0].startswith("data: other data under the names of CIFAR-10, 60 + 12, from")
    assert done.record["test_accuracy"] == 1.0
    Image.fromarray(picture(2, 99, (32, 32))).save("one.png")
    assert pierian("predict", "run", "one.png").out.startswith("one.png: bird, probability")


@pytest.mark.parametrize("name", MODELS)
def test_networks_have_inputs_and_outputs_of_their_pictures(name: str) -> None:
    model = build(Settings.of({"dataset": "folder", "model": name}), (3, 16, 18), 3)
    assert model(np.zeros((2, 3, 16, 18), "float32")).shape == (2, 3)


# command and words -> what is said
NETWORKS: dict[str, tuple[tuple[Any, ...], str]] = {
    "explain": (("explain", "folder", "PARTS", *SMALL), "folder cnn, adam, batch of 16"),
    "lr-find": (
        ("lr-find", "folder", "PARTS", "--augment", "--model", "softmax", *SMALL),
        "suggested learning rate:",
    ),
    "too small": (
        ("train", "folder", "PARTS", "--model", "lenet5", "--size", 8),
        "lenet5: images must be large enough for its layers; expected 12×12 or more, got 8×8. "
        "Resize them, or take another model.",
    ),
    "bare option": (("train", "--dropout", "folder", "PARTS", "--epochs", 0), "after 0 epochs"),
}


@pytest.mark.parametrize("row", NETWORKS.values(), ids=NETWORKS)
def test_networks_take_pictures_in_colour(row: Any, parts: Path) -> None:
    words, text = row
    done = pierian(*(parts if word == "PARTS" else word for word in words))
    assert text in done.out + done.err


def test_digits_are_trained_with_convolutions_and_augmentation(tmp_path: Path) -> None:
    """Grey pictures of 28×28: those of MNIST's sample, by the folder's door as by its own."""
    options = ("--source", "bundled", "--model", "lenet5", "--augment", "--epochs", 1, "--json")
    done = pierian("train", "mnist", *options, "--lr", 0.003, "--out", "run")
    assert done.status == 0 and done.err == ""
    assert done.record["test_accuracy"] > 0.8
    digits = data.mnist(source="bundled")
    model = pr.load("run/model.safetensors")
    scores = model.predict(digits.x_test[:, None].astype("float32") / 255, verbose=0)
    assert (scores.argmax(1) == digits.y_test).mean() == done.record["test_accuracy"]
    sure = int(scores.max(1).argmax())
    Image.fromarray(digits.x_test[sure]).save("digit.png")
    said = pierian("predict", "run", "digit.png")
    assert said.out.startswith(f"digit.png: {digits.y_test[sure]}, probability")
