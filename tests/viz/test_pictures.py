"""Confusion matrices, images, mistakes and histograms: what is in the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, viz
from pierian.viz.images import pictures

COUNTS = np.array([[50, 3, 0], [1, 20, 0], [0, 0, 0]])
NAMES = ["cat", "$dog$ <b>", "a name that is much too long to be shown in full"]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        (None, ["50", "3", "1", "20"]),
        ("true", ["94.3", "5.7", "4.8", "95.2"]),
        ("pred", ["98.0", "13.0", "2.0", "87.0"]),
        ("all", ["67.6", "4.1", "1.4", "27.0"]),
    ],
)
def test_confusion_matrix_prints_what_is_asked(
    tmp_path: Path, normalize: str | None, expected: list[str]
) -> None:
    figure = viz.plot_confusion_matrix(COUNTS, NAMES, normalize, tmp_path / "matrix.png")
    (axes,) = figure.axes
    assert texts(axes) == expected
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == NAMES[:2]
    assert labels[2].startswith("a name") and len(labels[2]) < len(NAMES[2])
    assert axes.get_ylabel() == "actual"


def test_confusion_matrix_shows_rare_mistakes_as_deep_as_frequent_ones(tmp_path: Path) -> None:
    depths = []
    for wrong in (1, 400):
        counts = np.array([[1000 - wrong, wrong], [0, 1000]])
        figure = viz.plot_confusion_matrix(counts, path=tmp_path / "matrix.png")
        right, mistakes = (image.get_array() for image in figure.axes[0].images)
        assert right[0, 1, 3] == right[1, 0, 3] == mistakes[0, 0, 3] == mistakes[1, 0, 3] == 0
        depths.append(mistakes[0, 1, 3])
    assert depths[0] == depths[1] > 0.5


@pytest.mark.parametrize(("k", "numbers"), [(1, 1), (20, 20), (21, 0), (100, 0)])
def test_confusion_matrix_of_any_size(tmp_path: Path, k: int, numbers: int) -> None:
    figure = viz.plot_confusion_matrix(np.eye(k), path=tmp_path / "matrix.png")
    assert len(figure.axes[0].texts) == numbers
    assert len(figure.axes[0].get_xticks()) <= 40


@pytest.mark.parametrize(
    "shape", [(5, 7, 6), (5, 1, 7, 6), (5, 3, 7, 6), (5, 7, 6, 3), (5, 7, 6, 1)]
)
def test_images_of_every_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = pr.tensor(np.random.default_rng(0).random(shape, np.float32))
    titles = ["$a", "b$", "<c>", "", "e" * 50]
    figure = viz.show_images(images, titles, 3, path=tmp_path / "images.png")
    assert [axes.get_title() for axes in figure.axes] == titles
    assert all(axes.images[0].get_array().shape[:2] == (7, 6) for axes in figure.axes)
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0, 255]], np.uint8), [[0, 1]]),
        (np.array([[False, True]]), [[0, 1]]),
        (np.array([[0.25, 0.5]]), [[0.25, 0.5]]),
        (np.array([[-1.0, 3.0]]), [[0, 1]]),
        (np.array([[np.nan, np.inf]]), [[0, 1]]),
        (np.array([[7, 7]]), [[1, 1]]),
    ],
)
def test_pixels_are_brought_to_one_range(image: np.ndarray, expected: Any) -> None:
    found = pictures(image[None])
    assert found is not None
    assert found.tolist() == [expected]


def test_images_of_several_sizes_are_a_grid_too(tmp_path: Path) -> None:
    images = [np.full((2, 3), 255, np.uint8), pr.zeros(3, 4, 4), [[0.0, 0.5]]]
    figure = viz.show_images(images, rows=2, cmap="Greys", path=tmp_path / "images.png")
    shapes = [axes.images[0].get_array().shape for axes in figure.axes]
    assert shapes == [(2, 3), (4, 4, 3), (1, 2)]
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 2)
    assert {axes.images[0].get_cmap().name for axes in figure.axes} == {"Greys"}


def test_one_image_is_drawn_on_given_axes(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    figure = viz.show_image(pr.ones(5, 4), "a $title$", path=path, figsize=(2, 1))
    assert figure.get_size_inches().tolist() == [2, 1] and path.exists()
    (axes,) = figure.axes
    assert viz.show_image(pr.ones(3, 5, 4), ax=axes, cmap="Greys") is figure
    assert [image.get_array().shape for image in axes.images] == [(5, 4), (5, 4, 3)]
    assert axes.get_title() == "" and viz.show_image(pr.ones(1, 2), 7, axes).axes == [axes]
    assert axes.get_title() == "7"


def worst(examples: Any, k: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "losses": [0.1, 5.0, float("nan"), 2.0], "predicted": [0, 1, 1, 0],
        "actual": [0, 0, 1, 1], "classes": ["no", "yes"], "k": k, **more,
    }  # fmt: skip


def test_top_losses_are_sorted_with_nan_first() -> None:
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.7, 0.3]]
    examples = ["a", "b", "c", "d"]
    found = viz.top_losses(examples, **worst(examples, probabilities=probabilities))
    assert [(m.number, m.example) for m in found] == [(2, "c"), (1, "b"), (3, "d")]
    assert [(m.predicted, m.actual, m.probability) for m in found[1:]] == [
        ("yes", "no", 0.8), ("no", "yes", 0.7),
    ]  # fmt: skip


def test_top_losses_of_images_are_a_grid_with_captions(tmp_path: Path) -> None:
    images = np.zeros((4, 5, 5), np.uint8)
    more = worst(images, probabilities=[0.9, 0.8, 0.5, 0.7])
    figure = viz.plot_top_losses(images, **more, path=tmp_path / "top.png")
    assert [axes.get_title() for axes in figure.axes] == [
        "said yes, is yes\nloss nan, p = 0.5",
        "said yes, is no\nloss 5, p = 0.8",
        "said no, is yes\nloss 2, p = 0.7",
    ]


@pytest.mark.parametrize(
    ("examples", "last"),
    [
        (np.arange(32.0).reshape(4, 8), "16, 17, 18, 19, 20, 21, …"),
        (["some", "texts", "of $any$ kind", "x"], "of $any$ kind"),
        ([[1], [1, 2], [1, 2, 3], []], "1, 2, 3"),
    ],
)
def test_top_losses_of_anything_else_are_a_table(tmp_path: Path, examples: Any, last: str) -> None:
    figure = viz.plot_top_losses(examples, **worst(examples), path=tmp_path / "top.png")
    (table,) = figure.axes[0].tables
    assert [table[1, column].get_text().get_text() for column in (0, 1, 2, 5)] == [
        "2", "yes", "yes", last,
    ]  # fmt: skip


class Net(nn.Module):
    """A layer called twice, one that is never called, and one that gives out zeros."""

    def __init__(self) -> None:
        self.first = nn.Linear(4, 4)
        self.never = nn.Linear(2, 2)
        self.act = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.act(self.first(self.first(x)) * 0.0)


def test_weights_have_a_panel_for_each_parameter(tmp_path: Path) -> None:
    net = Net()
    with pr.no_grad():
        net.first.bias.zero_()
        net.never.weight.copy_(np.full((2, 2), np.nan, np.float32))
    figure = viz.plot_weights(net, tmp_path / "weights.png")
    facts = {axes.get_title("left"): axes.get_xlabel() for axes in figure.axes}
    assert list(facts) == ["first.weight", "first.bias", "never.weight", "never.bias"]
    assert facts["first.bias"] == "mean 0, std 0, 100 % zeros"
    assert facts["never.weight"] == "none of 4 is finite"


def test_activations_are_those_of_eval_mode_and_leave_the_model_alone(tmp_path: Path) -> None:
    net = Net()
    net.first.training = False
    x = np.ones((3, 4), np.float32)
    figure = viz.plot_activations(net, x, path=tmp_path / "activations.png")
    facts = {axes.get_title("left"): axes.get_xlabel() for axes in figure.axes}
    assert list(facts) == ["first Linear", "act ReLU"]
    assert facts["act ReLU"] == "mean 0, std 0, 100 % zeros"
    assert [module.training for module in net.modules()] == [True, False, True, True]
    assert all(not module._hooks for module in net.modules())


SIX = np.zeros((4, 2, 2))
REFUSED = [
    (lambda: viz.plot_confusion_matrix([[1, 2]]), "expected shape (k, k), k > 0, got shape (1, 2)"),
    (lambda: viz.plot_confusion_matrix(np.empty((0, 0))), "got shape (0, 0)"),
    (lambda: viz.plot_confusion_matrix([[-1]]), "expected numbers >= 0, got -1"),
    (lambda: viz.plot_confusion_matrix([[float("nan")]]), "holds counts"),
    (lambda: viz.plot_confusion_matrix([[1]], ["a", "b"]), "expected 1 names, got 2"),
    (lambda: viz.plot_confusion_matrix([[1]], normalize="row"), "expected one of all, pred, true"),
    (lambda: viz.show_images(np.zeros((2, 3))), "images must be a batch of them"),
    (lambda: viz.show_images([]), "images must be a batch of them"),
    (lambda: viz.show_images([SIX[0], [1.0]]), "images must be a batch of them"),
    (lambda: viz.show_images(SIX, ["one"]), "expected 4, got 1. Pass a title per image."),
    (lambda: viz.show_images(SIX, columns=0), "expected >= 1, got 0"),
    (lambda: viz.show_images(SIX, rows=0), "expected >= 1, got 0"),
    (lambda: viz.show_image(np.zeros(784)), "got shape (784,). Pick one with x[0], or write"),
    (lambda: viz.top_losses(SIX, **worst(SIX, k=0)), "there must be examples to show"),
    (lambda: viz.top_losses([], [], [], []), "there must be examples to show"),
    (lambda: viz.top_losses(SIX[:3], **worst(SIX)), "expected shape (3,), got shape (4,)"),
    (lambda: viz.top_losses(SIX, **worst(SIX, predicted=[0, 1, -1, 0])), "labels count from 0"),
    (lambda: viz.top_losses(SIX, **worst(SIX, classes=["a"])), "expected 2 names, got 1"),
    (lambda: viz.top_losses(SIX, **worst(SIX, probabilities=[[1.0]] * 4)),
     "probabilities must hold a number per example"),
    (lambda: viz.plot_weights(nn.ReLU()), "plot_weights: there must be numbers to draw"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_cannot_be_drawn_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert text in str(caught.value)
