"""Learning curves: one panel per number, with and without a file."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pierian.train import History
from pierian.viz import plot_history

CURVES = {
    "loss": [3.0, 2.0, 1.0, 0.5],
    "accuracy": [0.1, 0.2, 0.3, 0.4],
    "val_loss": [2.5, 1.0],
    "val_accuracy": [0.2, 0.4],
}


def test_panels_hold_the_numbers(tmp_path: Path) -> None:
    history = History()
    history.history, history.epoch = CURVES, [4, 5, 6, 7]
    path = tmp_path / "curves.png"
    figure = history.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    training, validation = figure.axes[0].lines
    assert training.get_xdata().tolist() == [5, 6, 7, 8]
    assert training.get_ydata().tolist() == CURVES["loss"]
    assert validation.get_xdata().tolist() == [6, 8]  # validated after every second epoch
    assert validation.get_label() == "validation"


def test_plain_dict_and_other_formats(tmp_path: Path) -> None:
    figure = plot_history({"loss": [1.0]}, tmp_path / "one.svg")
    (line,) = figure.axes[0].lines
    assert np.asarray(line.get_xdata()).tolist() == [1]
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_without_a_path_the_figure_belongs_to_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    pyplot.switch_backend("Agg")
    figure = plot_history(CURVES)
    assert figure.number in pyplot.get_fignums()
    pyplot.close(figure)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        History().plot()
    assert str(caught.value) == (
        "plot_history: there must be epochs to draw; expected at least 1, got 0. Train first."
    )


def test_missing_matplotlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError) as caught:
        plot_history(CURVES)
    assert str(caught.value) == (
        "plot_history: pictures need matplotlib; expected it installed, got no matplotlib. "
        "pip install 'pierian[viz]'."
    )
