"""Curves: what each picture shows, with and without a file, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pierian import viz
from pierian.train import History

NAN = float("nan")
CURVES = {
    "loss": [3.0, 2.0, 1.0, 0.5],
    "accuracy": [0.1, 0.2, 0.3, 0.4],
    "val_loss": [2.5, 1.0],
    "val_accuracy": [0.2, 0.4],
}


def titles(figure: Any) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_panels_hold_the_numbers(tmp_path: Path) -> None:
    history = History()
    history.history, history.epoch = CURVES, [4, 5, 6, 7]
    path = tmp_path / "curves.png"
    figure = history.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert titles(figure) == ["loss", "accuracy"]
    training, validation = figure.axes[0].lines
    assert training.get_xdata().tolist() == [5, 6, 7, 8]
    assert training.get_ydata().tolist() == CURVES["loss"]
    assert validation.get_xdata().tolist() == [6, 8]  # validated after every second epoch
    assert legend(figure.axes[0]) == ["training", "validation", "lowest val_loss: epoch 8"]
    (ring,) = figure.axes[1].collections
    assert ring.get_offsets().tolist() == [[8, 0.4]]


def test_history_draws_the_chosen_panels_and_other_formats(tmp_path: Path) -> None:
    figure = viz.plot_history(CURVES, tmp_path / "one.svg", names=["accuracy"])
    assert titles(figure) == ["accuracy"]
    assert "<svg" in (tmp_path / "one.svg").read_text()


@pytest.mark.parametrize(
    ("history", "ring"),
    [
        ({"loss": [1.0]}, False),
        ({"loss": [1.0], "val_loss": [2.0]}, False),  # nothing to choose
        ({"loss": [1.0, NAN, 0.5], "val_loss": [NAN, NAN, NAN]}, False),
        ({"loss": [NAN, NAN], "val_loss": [NAN, 1.0]}, True),
        ({"loss": list(np.geomspace(1, 0.1, 100)), "val_loss": [1.0] * 100}, True),
        ({"loss": [2.0, 1.0], "val_loss": [], "$x$ <b>": [1.0, 2.0]}, False),
    ],
)
def test_history_at_its_edges(tmp_path: Path, history: dict[str, Any], ring: bool) -> None:
    figure = viz.plot_history(history, tmp_path / "edge.png")
    assert bool(figure.axes[0].collections) == ring
    assert len(figure.axes) == len([name for name in history if not name.startswith("val_")])


def test_without_a_path_the_figure_belongs_to_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    pyplot.switch_backend("Agg")
    figure = viz.plot_history(CURVES)
    assert figure.number in pyplot.get_fignums()
    pyplot.close(figure)


def test_losses_are_smoothed_over_their_steps_with_validation_between(tmp_path: Path) -> None:
    losses = [10.0, 1.0] * 100
    figure = viz.plot_losses(losses, [(5, 7.0), (100, 6.0)], 10, tmp_path / "losses.png")
    (axes,) = figure.axes
    raw, smoothed, valid = axes.lines
    assert raw.get_xdata().tolist() == list(range(11, 201))
    assert raw.get_ydata().tolist() == losses[10:]
    assert np.ptp(smoothed.get_ydata()) < np.ptp(raw.get_ydata())
    assert valid.get_xydata().tolist() == [[100, 6.0]]  # what was skipped is not drawn
    assert legend(axes) == ["each step", "smoothed", "validation"]
    assert axes.get_xlabel() == "step"


def test_smoothing_steps_over_what_is_not_finite(tmp_path: Path) -> None:
    figure = viz.plot_losses([1.0, NAN, float("inf"), 1.0], path=tmp_path / "nan.png")
    (line,) = figure.axes[0].lines
    assert line.get_ydata().tolist()[-1] == 1.0


def test_lr_find_marks_the_suggestion_and_keeps_divergence_out_of_sight(tmp_path: Path) -> None:
    rates = np.geomspace(1e-5, 10, 60)
    losses = 2 - np.minimum(rates, 0.1) * 10 + np.where(rates > 1, 1e6, 0)
    losses[-1] = NAN
    figure = viz.plot_lr_find(rates, losses, 0.01, tmp_path / "lr.png")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[1] < 5
    assert legend(axes)[-1] == "suggestion: 0.01"
    mark = axes.lines[-1].get_xydata().tolist()[0]
    assert mark == pytest.approx([0.01, 1.9], abs=0.05)


def test_schedule_has_a_panel_for_each_value(tmp_path: Path) -> None:
    values = {"learning rate": [0.1, 0.2, 0.1], "momentum": [0.9]}
    figure = viz.plot_schedule(values, tmp_path / "schedule.png")
    assert titles(figure) == ["learning rate", "momentum"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 0.1], [2, 0.2], [3, 0.1]]


REFUSED = [
    (lambda: History().plot(),
     "plot_history: there must be epochs to draw; expected at least 1, got 0. Train first."),
    (lambda: viz.plot_history(CURVES, names=["los"]), "Did you mean 'loss'?"),
    (lambda: viz.plot_losses([]), "losses must hold a number per step"),
    (lambda: viz.plot_losses(["a"]), "losses must hold a number per step"),
    (lambda: viz.plot_losses([1.0, 2.0], skip=2), "expected 0 … 1, got 2. Skip fewer steps."),
    (lambda: viz.plot_lr_find([1.0], [1.0, 2.0]), "expected 2 of them, got 1"),
    (lambda: viz.plot_lr_find([0.0], [1.0]), "a learning rate > 0 for each loss"),
    (lambda: viz.plot_lr_find([1.0], [1.0], -1), "a learning rate > 0 for each loss"),
    (lambda: viz.plot_schedule({}), "plot_schedule: there must be values to draw"),
    (lambda: viz.plot_schedule({"lr": [[1.0]]}), "'lr' must hold a number per step"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_cannot_be_drawn_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("where", "call"),
    [
        ("plot_history", lambda: viz.plot_history(CURVES)),
        ("plot_confusion_matrix", lambda: viz.plot_confusion_matrix([[1]])),
        ("show_images", lambda: viz.show_images(np.zeros((1, 2, 2)))),
        ("report", lambda: viz.report(viz.Report("a run"))),
    ],
)
def test_missing_matplotlib_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, where: str, call: Any
) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        call()
    assert str(caught.value) == (
        f"{where}: pictures need matplotlib; expected it installed, got no matplotlib. "
        "pip install 'pierian[viz]'."
    )
