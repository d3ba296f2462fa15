"""The command line, on the bundled digits: what it prints, leaves behind, and refuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pierian as pr
from pierian import cli, data

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def record(self) -> dict[str, Any]:
        """The object on the last line."""
        return json.loads(self.lines[-1])


def pierian(*words: Any) -> Done:
    """Runs a command in this process."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        status = cli.main([str(word) for word in words])
    return Done(status, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Trained:
    """A run that was made once for all tests."""

    folder: Path
    done: Done


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("cli") / "digits"
    options = ("--source", "bundled", "--epochs", 6, "--seed", 3, "--out", folder, "--json")
    return Trained(folder, pierian("train", "mnist", *options))


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIERIAN_DATA", raising=False)
    monkeypatch.setenv("PIERIAN_OFFLINE", "1")


def test_train_says_what_it_does_and_learns(trained: Trained) -> None:
    done = trained.done
    assert done.status == 0 and done.err == ""
    assert done.lines[0] == "data: sample of MNIST, 9,000 + 1,000, bundled with Pierian"
    assert any(line.startswith("total") and "407,050" in line for line in done.lines)
    epochs = [line for line in done.lines if line.startswith("Epoch ")]
    assert len(epochs) == 6 and "val_accuracy: 0.9" in epochs[-1]
    assert done.lines[-3] == f"saved in {trained.folder}"
    record = done.record
    assert done.lines[-2].startswith(f"test accuracy {record['test_accuracy']:.4f} after 6 epochs")
    assert record["test_accuracy"] >= 0.94
    assert record["samples_per_second"] == pytest.approx(6 * 9000 / record["seconds"])
    expected = {
        "dataset": "mnist", "model": "mlp", "epochs": 6, "batch_size": 128, "optimizer": "adam",
        "seed": 3, "lr": 0.001, "data": "sample of MNIST, 9,000 + 1,000, bundled with Pierian",
        "run": str(trained.folder),
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected


def test_train_leaves_model_history_settings_and_picture(trained: Trained) -> None:
    names = ["config.json", "curves.png", "history.json", "model.safetensors"]
    assert sorted(path.name for path in trained.folder.iterdir()) == names
    history = json.loads((trained.folder / "history.json").read_text())
    assert history["epoch"] == list(range(6))
    assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    config = json.loads((trained.folder / "config.json").read_text())
    assert config["seed"] == 3 and config["classes"] == list("0123456789")
    with Image.open(trained.folder / "curves.png") as picture:
        assert picture.width > 500
    digits = data.mnist(source="bundled")
    model = pr.load(trained.folder / "model.safetensors")
    scores = model.predict(digits.x_test.astype("float32") / 255, verbose=0)
    accuracy = (scores.argmax(1) == digits.y_test).mean()
    assert accuracy == trained.done.record["test_accuracy"]


def test_evaluate_finds_the_same_accuracy(trained: Trained) -> None:
    done = pierian("evaluate", trained.folder, "--source", "bundled", "--json")
    assert done.status == 0
    wanted = trained.done.record["test_accuracy"]
    assert done.lines[-2] == f"test accuracy {wanted:.4f} on 1,000 images"
    assert done.record["test_accuracy"] == wanted
    assert done.record["run"] == str(trained.folder)
    without = pierian("evaluate", trained.folder)
    assert without.lines[-1] == done.lines[-2]
    assert without.err.startswith("mnist: sample of MNIST")


def test_same_seed_gives_the_same_run() -> None:
    options = ("--model", "softmax", "--source", "bundled", "--epochs", 1, "--json")
    records = [pierian("train", "mnist", *options, "--seed", seed).record for seed in (1, 1, 2)]
    assert records[0]["run"] == str(Path("runs/mnist-softmax-1"))
    assert records[1]["run"] == str(Path("runs/mnist-softmax-2"))  # never over another
    assert records[0]["test_loss"] == records[1]["test_loss"] != records[2]["test_loss"]


def test_options_reach_the_training() -> None:
    options = ("--batch-size", 1000, "--optimizer", "sgd", "--lr", 0.25, "--epochs", 0, "--json")
    record = pierian("train", "mnist", "--source", "bundled", *options).record
    assert (record["optimizer"], record["lr"], record["batch_size"]) == ("sgd", 0.25, 1000)
    assert record["epochs"] == 0 and record["test_accuracy"] < 0.3
    assert not Path(record["run"], "curves.png").exists()


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
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "pierian" / "cli.py"))
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


def test_no_command_shows_help() -> None:
    done = pierian()
    assert done.status == 0
    assert all(word in done.out for word in ("train", "evaluate", "predict", "explain", "bench"))


def run_folder(**config: Any) -> str:
    Path("broken").mkdir()
    Path("broken", "config.json").write_text(json.dumps(config) if config else "{")
    return "broken"


def text_file(name: str) -> str:
    Path(name).write_text("not a picture")
    return name


ERRORS: dict[str, tuple[Any, str]] = {
    "missing run": (
        lambda run: ("evaluate", "runs/none"),
        'run("runs/none"): there must be a run folder; expected a folder with config.json, got '
        "nothing there. Pass a folder that `pierian train` made (the default is runs/...).",
    ),
    "run that is a file": (
        lambda run: ("evaluate", text_file("run.txt")),
        'run("run.txt"): there must be a run folder; expected a folder with config.json, got a '
        "file. Pass a folder that `pierian train` made (the default is runs/...).",
    ),
    "run without settings": (
        lambda run: ("evaluate", run_folder()),
        'run("broken"): there must be a run folder; expected a folder with config.json, got '
        "JSONDecodeError in config.json. Pass a folder that `pierian train` made.",
    ),
    "run of something else": (
        lambda run: ("evaluate", run_folder(dataset="cifar")),
        'run("broken"): there must be a run folder; expected a folder with config.json, got '
        "KeyError in config.json. Pass a folder that `pierian train` made.",
    ),
    "run without a model": (
        lambda run: ("evaluate", run_folder(dataset="mnist", classes=[])),
        'load("broken/model.safetensors"): there must be a file to read; expected a file, got No '
        "such file or directory. Check the path.",
    ),
    "missing picture": (
        lambda run: ("predict", run, "none.png"),
        'predict("none.png"): the file must be a picture; expected PNG, JPEG or the like, got No '
        "such file or directory. Check the path, or convert it to PNG.",
    ),
    "unreadable picture": (
        lambda run: ("predict", run, text_file("text.png")),
        'predict("text.png"): the file must be a picture; expected PNG, JPEG or the like, got '
        "cannot identify image file 'text.png'. Check the path, or convert it to PNG.",
    ),
    "folder in use": (
        lambda run: ("train", "mnist", "--source", "bundled", "--out", Path(text_file("x")).parent),
        "train: a run goes into a folder of its own; expected a new one, got ., in use. Pass "
        "another --out, or leave it out.",
    ),
    "unknown optimizer": (
        lambda run: ("train", "mnist", "--optimizer", "adm"),
        "optimizer: optimizer must be a known name; expected one of adadelta, adagrad, adam, "
        "adamw, rmsprop, sgd, got 'adm'. Did you mean 'adam'?",
    ),
    "batch size": (
        lambda run: ("train", "mnist", "--source", "bundled", "--batch-size", "0"),
        "fit: batch_size must be at least 1; expected batch_size >= 1, got 0. Pass batch_size=32.",
    ),
    "batch size to explain": (
        lambda run: ("explain", "mnist", "--batch-size", "-1"),
        "explain: batch_size must be at least 1; expected batch_size >= 1, got -1. Pass "
        "--batch-size 128.",
    ),
    "divergence": (
        lambda run: ("train", "mnist", "--source", "bundled", "--optimizer", "sgd", "--lr", "1e30"),
        "fit: the loss must stay finite; expected a number, got nan in epoch 1, batch 2 of 71. Try "
        "a smaller learning rate than 1e+30, and inputs scaled to about -1 … 1.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors_take_one_line(case: tuple[Any, str], trained: Trained) -> None:
    words, text = case
    done = pierian(*words(trained.folder))
    assert done.status == 2
    assert done.err == f"pierian: error: {text}\n"


def test_missing_run_lists_the_runs_there_are() -> None:
    Path("runs/mnist-mlp-1").mkdir(parents=True)
    Path("runs/mnist-mlp-1/config.json").write_text("{}")
    done = pierian("evaluate", "mnist-mlp-1")
    assert done.err.endswith(f"`pierian train` made: {Path('runs/mnist-mlp-1')}.\n")


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(pr.CheckpointError):
        pierian("evaluate", "none", "--debug")


def test_unknown_words_are_explained_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "mnits"])
    assert caught.value.code == 2
    assert "invalid choice: 'mnits'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["info", "--jsn"])
    assert "unrecognized arguments: --jsn" in capsys.readouterr().err


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
        done = pierian("train", "mnist", "--source", "bundled", "--model", "softmax", "--epochs", 1)
        assert done.status == 0
        assert done.err == (
            "plot_history: pictures need matplotlib; expected it installed, got no matplotlib. "
            "pip install 'pierian[viz]'.\n"
        )


def test_ctrl_c_saves_what_was_learned_and_ends_with_130(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pierian.cli", "train", "mnist", "--source", "bundled"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--epochs", "100000", "--model", "softmax"],
        cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # a shell has background jobs ignore the signal, and they hand that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert err == ""
    folder = tmp_path / "runs" / "mnist-softmax-1"
    last = rest.splitlines()[-1]
    done = len(json.loads((folder / "history.json").read_text())["epoch"])
    assert done >= 1  # the line of an epoch is shown before the epoch is in the history
    assert last == (
        f"interrupted after {done} whole epochs; what was learned is saved in "
        f"{Path('runs/mnist-softmax-1')}"
    )
    accuracy = pierian("evaluate", folder, "--source", "bundled", "--json").record["test_accuracy"]
    assert accuracy > 0.7
