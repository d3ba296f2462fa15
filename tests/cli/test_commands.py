"""The commands that use a run, or show how things are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pierian as pr
from pierian import cli, data
from pierian.cli import bench
from tests.cli.running import SOFTMAX, Trained, pierian


def test_evaluate_finds_the_same_accuracy(trained: Trained) -> None:
    done = pierian("evaluate", trained.folder, "--source", "bundled", "--json")
    assert done.status == 0
    wanted = trained.done.record["test_accuracy"]
    assert done.lines[-2] == f"test accuracy {wanted:.4f} on 1,000 images"
    assert done.record["test_accuracy"] == wanted
    assert done.record["run"] == str(trained.folder)
    without = pierian("evaluate", trained.folder)
    assert without.lines[-1] == done.lines[-2]
    assert without.err == ""


def test_predict_reads_pictures_of_all_kinds(trained: Trained, tmp_path: Path) -> None:
    digits = data.mnist(source="bundled")
    model = pr.load(trained.folder / "model.safetensors")
    scores = model.predict(digits.x_test.astype("float32") / 255, verbose=0)
    sure = np.flatnonzero((np.sort(scores)[:, -1] - np.sort(scores)[:, -2]) > 8)[:4]
    a, b, c, d = digits.x_test[sure]
    Image.fromarray(a).save("plain.png")
    Image.fromarray(255 - b).resize((140, 140)).save("paper.jpg", quality=95)
    Image.fromarray(np.pad(c, ((0, 0), (14, 14)))).convert("P").save("wide.gif")
    ink = np.zeros((28, 28, 4), np.uint8)
    ink[..., 3] = d
    Image.fromarray(ink).save("ink.png")
    files = ["plain.png", "paper.jpg", "wide.gif", "ink.png"]
    done = pierian("predict", trained.folder, *files, "--json")
    answers = done.record["predictions"]
    assert [answer["image"] for answer in answers] == files
    named = [answers[i]["class"] for i in (0, 1, 3)]
    assert named == [str(label) for label in digits.y_test[sure[[0, 1, 3]]]]
    notes = [
        "", ", resized from 140×140, inverted because its background is light",
        ", resized from 56×28", ", inverted because its background is light",
    ]  # fmt: skip
    for file, answer, note, line in zip(files, answers, notes, done.lines, strict=False):
        p = answer["probability"]
        assert line == f"{file}: {answer['class']}, probability {p:.3f}{note}"
        assert 0 < p <= 1


def test_explain_shows_kernels_of_the_training_step() -> None:
    options = ("--model", "softmax", "--batch-size", 32, "--optimizer", "sgd", "--lr", 0.5)
    done = pierian("explain", "mnist", *options, "--json")
    assert done.status == 0 and done.err == ""
    assert done.lines[0].startswith("**mnist softmax, sgd, batch of 32**: ")
    assert done.out.count("\n|") == len(done.record["rows"]) + 3  # two lines above, one below
    assert sum(row["shape"] == "float32 32×10×784" for row in done.record["rows"]) == 1
    assert done.record["name"] == "mnist softmax, sgd, batch of 32"


VIEWS = {"graph": "= matmul(", "llvm-ir": "define void @", "assembly": ".globl\tsegment0"}


@pytest.mark.parametrize("view", VIEWS)
def test_explain_prints_graph_and_code(view: str) -> None:
    done = pierian("explain", "fashion_mnist", "--model", "softmax", f"--{view}", "--json")
    assert done.status == 0
    assert VIEWS[view] in done.record[view]
    assert done.out == f"{done.record[view]}\n{done.lines[-1]}\n"


def test_bench_runs_the_benchmarks_of_the_checkout(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--nothing-of-this-name", "--json"]) == 2
    assert "benchmarks: error: unrecognized arguments: --nothing-of-this" in capfd.readouterr().err


def test_bench_outside_of_a_checkout_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "pierian" / "cli" / "bench.py"))
    done = pierian("bench")
    assert done.status == 2
    assert done.err == (
        "pierian: error: bench: benchmarks come with the source; expected a folder benchmarks in "
        f"{tmp_path}, got none. Clone the repository and run it there.\n"
    )


def test_info_says_what_a_bug_report_needs() -> None:
    done = pierian("info", "--json")
    assert done.status == 0
    record = done.record
    assert record["pierian"] == pr.__version__
    assert "cores usable" in record["cpu"]
    assert f"numpy {np.__version__}" in record["needs"]
    assert "the four files of MNIST must be found" in record["mnist"]
    assert done.lines[0] == f"pierian: {pr.__version__}"


def test_lr_find_suggests_and_draws() -> None:
    options = ("--source", "bundled", "--model", "softmax", "--optimizer", "sgd", "--json")
    done = pierian("lr-find", "mnist", *options)
    assert done.status == 0 and done.err == ""
    record = done.record
    assert done.lines[-2] == f"suggested learning rate: {record['suggestion']:g}"
    assert 1e-3 < record["suggestion"] < 1  # where the loss falls, before it rises again
    assert len(record["lrs"]) == len(record["losses"]) and record["lrs"][0] == 1e-7
    assert record["plot"] == str(Path("runs/lr-find-mnist-softmax.png"))
    assert done.lines[-3].endswith(f"the curve is in {record['plot']}")
    with Image.open(record["plot"]) as picture:
        assert picture.width > 500
    again = pierian("lr-find", "mnist", *options, "--out", "new/curve.png")
    assert again.record["suggestion"] == record["suggestion"]
    assert Path("new/curve.png").exists()


@pytest.mark.parametrize("words", [["train"], ["report"], ["lr-find"], ["info"], []], ids=str)
def test_help_says_what_there_is(words: list[str]) -> None:
    done = pierian(*words, "--help")
    assert done.status == 0 and done.err == ""
    wanted = {"train": "--early-stopping [EPOCHS]", "report": "--open", "lr-find": "--clip NORM"}
    assert wanted.get("".join(words), "--help") in done.out
    if not words:
        assert all(f"\n    {name} " in done.out for name in cli.COMMANDS)


def test_no_command_shows_help() -> None:
    assert pierian() == pierian("--help")


@pytest.mark.parametrize(("package", "words"), [("PIL", "predict"), ("matplotlib", "train")])
def test_missing_extras_are_named(
    package: str, words: str, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    if words == "predict":
        done = pierian("predict", trained.folder, "a.png")
        assert done.status == 2
        assert done.err == (
            'pierian: error: predict("a.png"): pictures need Pillow; expected it installed, got no '
            "Pillow. pip install 'pierian[data]'.\n"
        )
    else:
        done = pierian(*SOFTMAX, "--epochs", 1)
        assert done.status == 0
        assert done.err == (
            "plot_history: pictures need matplotlib; expected it installed, got no matplotlib. "
            "pip install 'pierian[viz]'.\n"
        )
