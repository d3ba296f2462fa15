"""Progress: a bar in a terminal, lines elsewhere, nothing when asked for nothing."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest

from pierian.train import Callback, display
from pierian.train.display import REFRESH, Display, describe, in_notebook
from tests.train.conftest import Problem, network

EPOCH = r"Epoch 1/2: \d+\.\d s - loss: [\d.e-]+ - mae: [\d.]+ - val_loss: [\d.]+ - val_mae: [\d.]+"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """Output goes to a terminal of 120 × 40."""
    size = {"COLUMNS": "120", "LINES": "40"}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(Terminal()) as screen:
        for name, value in size.items():
            patch.setenv(name, value)
        yield screen


def fit(problem: Problem, verbose: Any) -> Any:
    model = network(1, 1)
    model.compile("sgd", "mse", ["mae"])
    test = (problem.x_test, problem.y_test)
    model.fit(problem.x, problem.y, epochs=2, verbose=verbose, validation_data=test)
    return model


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_a_line_per_epoch_where_output_is_no_terminal(
    verbose: Any, waves: Problem, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(waves, verbose).evaluate(waves.x, waves.y, verbose=verbose)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 3 and err == ""
    assert re.fullmatch(EPOCH, lines[0])
    assert re.fullmatch(r"Evaluate: \d+\.\d s - loss: [\d.]+ - mae: [\d.]+", lines[2])


def test_verbose_2_gives_lines_in_a_terminal_too(waves: Problem) -> None:
    with terminal() as screen:
        fit(waves, 2)
    assert len(screen.getvalue().splitlines()) == 2


@pytest.mark.parametrize("verbose", ["auto", 1])
def test_a_bar_with_live_numbers_in_a_terminal(
    verbose: Any, waves: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "REFRESH", 0.0)
    with terminal() as screen:
        model = fit(waves, verbose)
        model.predict(waves.x)
    shown = re.split(r"[\r\n]+", screen.getvalue())
    last = [line for line in shown if line.startswith("Epoch 2/2")][-1]
    history = model.history.history
    assert " 8/8 [" in last
    assert f"loss={history['loss'][1]:.4f}, mae=" in last
    assert f"val_loss={history['val_loss'][1]:.4f}" in last
    assert any("loss=" in line and "val_loss" not in line for line in shown)
    assert "Predict" in screen.getvalue()


def test_bar_of_unknown_length() -> None:
    with terminal() as screen, Display("fit", "auto") as shown:
        shown.begin("Epoch 1/1", None)
        shown.advance(lambda: {"loss": 1.0})
        shown.end({"loss": 2.0})
    assert "1 batches" in screen.getvalue() and "loss=2.0000" in screen.getvalue()


def test_bar_is_closed_when_a_run_breaks_off(waves: Problem) -> None:
    class Broken(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    model = network(1, 1)
    model.compile("sgd", "mse")
    with terminal() as screen, pytest.raises(KeyboardInterrupt):
        model.fit(waves.x, waves.y, callbacks=[Broken()])
    assert screen.getvalue().endswith("\n")


def test_numbers_are_read_a_few_times_a_second_only() -> None:
    reads: list[int] = []

    def logs() -> dict[str, float]:
        reads.append(1)
        return {"loss": 1.0}

    with terminal(), Display("fit", "auto") as shown:
        started = time.perf_counter()
        shown.begin("Epoch 1/1", 2000)
        for _ in range(2000):
            shown.advance(logs)
    assert len(reads) <= 2 + (time.perf_counter() - started) / REFRESH


def test_silent(waves: Problem) -> None:
    with terminal() as screen:
        fit(waves, 0).predict(waves.x, verbose=0)
    assert screen.getvalue() == ""


class Kernel:
    """Stands for IPython in a notebook: keeps what is shown, by the handle that updates it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages: list[str] = []
        shell = types.SimpleNamespace(config={"IPKernelApp": 1})
        for name, contents in {
            "IPython": {"get_ipython": lambda: shell},
            "IPython.display": {"HTML": str, "display": self.display},
        }.items():
            module = types.ModuleType(name)
            vars(module).update(contents)
            monkeypatch.setitem(sys.modules, name, module)

    def display(self, page: str, display_id: bool) -> Any:
        self.pages.append(page)
        place = len(self.pages) - 1
        return types.SimpleNamespace(update=lambda new: self.pages.__setitem__(place, new))


def test_fit_in_a_notebook_is_one_table(waves: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    monkeypatch.setattr(
        display,
        "_bar",
        lambda *args: types.SimpleNamespace(
            set_postfix_str=lambda *a, **k: None, update=lambda n: None, close=lambda: None
        ),
    )
    fit(waves, "auto")
    (page,) = kernel.pages
    assert page.count("<tr>") == 3 and "<td>1</td>" in page and "<td>2</td>" in page
    assert "<th>epoch</th><th>loss</th><th>mae</th><th>val_loss</th>" in page


def test_notebook_is_told_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    fake: Any = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", fake)
    for config, expected in ({"IPKernelApp": 1}, True), ({}, False):
        shell = types.SimpleNamespace(config=config)
        fake.get_ipython = lambda shell=shell: shell
        assert in_notebook() is expected
    fake.get_ipython = lambda: None
    assert not in_notebook()


def test_small_and_large_numbers_stay_readable() -> None:
    logs = {"a": 0.0, "b": 1e-6, "c": 123456.0, "d": float("nan"), "e": -0.5}
    text = describe(logs, ", ", "=")
    assert text == "a=0.0000, b=1.000e-06, c=1.235e+05, d=nan, e=-0.5000"


def test_tqdm_is_loaded_only_to_draw() -> None:
    code = (
        "import sys, numpy as np, pierian as pr\n"
        "from pierian import nn\n"
        "m = nn.Sequential(nn.Linear(1, 1)); m.compile('sgd', 'mse')\n"
        "x = np.ones((4, 1), 'float32'); m.fit(x, x, verbose=2)\n"
        "assert not {'tqdm', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
