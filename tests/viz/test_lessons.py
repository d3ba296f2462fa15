"""Functions, descent, surfaces, geometry, weights, spirals and the loop: what is in the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, train, viz
from pierian.viz.geometry import STANDARD

SLOPES = {
    "relu": (pr.relu, lambda x: (x > 0) * 1.0),
    "sigmoid": (pr.sigmoid, lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "tanh": (pr.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "three": (lambda x: x * 0 + 3, lambda x: 0 * x),
}


def test_derivatives_are_those_of_the_function(tmp_path: Path) -> None:
    functions = {name: f for name, (f, _) in SLOPES.items()}
    figure = viz.plot_function(functions, -2, 3, path=tmp_path / "f.png")
    assert [axes.get_title("left") for axes in figure.axes] == list(SLOPES)
    for axes, (_, slope) in zip(figure.axes, SLOPES.values(), strict=True):
        x, y = axes.lines[1].get_data()
        kink = np.abs(x) > 1e-9
        np.testing.assert_allclose(y[kink], slope(x[kink]), atol=1e-12)


def test_functions_are_drawn_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.png"
    figure = viz.plot_function({"": np.exp}, 0, 1, derivative=False, path=path)
    (line,), axes = figure.axes[0].lines, figure.axes[0]
    np.testing.assert_allclose(line.get_ydata(), np.exp(line.get_xdata()))
    assert axes.get_legend() is None and axes.get_title("left") == ""


def square(x: Any) -> Any:
    return (x * x).sum()


@pytest.mark.parametrize("start", [2.0, (2.0, 1.0)])
def test_descent_takes_the_steps_that_the_rule_says(tmp_path: Path, start: Any) -> None:
    rates = (0.1, 1.5)
    path = tmp_path / "d.png"
    figure = viz.plot_descent(square, start, rates, (0.0, 0.9), steps=3, path=path)
    titles = [axes.get_title("left").split("\n")[0] for axes in figure.axes]
    assert titles == ["lr 0.1", "lr 1.5", "lr 0.1, momentum 0.9", "lr 1.5, momentum 0.9"]
    which = 1 if np.ndim(start) == 0 else 0  # after the curve
    x = np.asarray(figure.axes[0].lines[which].get_xdata())
    np.testing.assert_allclose(x, 2 * 0.8 ** np.arange(4.0))
    x = np.asarray(figure.axes[1].lines[which].get_xdata())
    np.testing.assert_allclose(x, [2, -4, 8, -16])


def test_loss_surface_has_the_model_in_its_middle_and_leaves_it_alone(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    before = [p.numpy().copy() for p in model.parameters()]
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    loss = nn.functional.mse_loss
    figure = viz.plot_loss_surface(model, x, y, loss, points=5, path=tmp_path / "s.png")
    assert all(
        np.array_equal(a, p.numpy()) for a, p in zip(before, model.parameters(), strict=True)
    )
    assert all(module.training for module in model.modules())
    expected = loss(model.eval()(pr.tensor(x)), pr.tensor(y)).item()
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == f"the model: {expected:.3g}"


def test_geometry_shows_what_the_operations_do(tmp_path: Path) -> None:
    points = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    figure = viz.plot_geometry(points, path=tmp_path / "g.png")
    assert [axes.get_title("left") for axes in figure.axes] == list(STANDARD)
    for axes, function in zip(figure.axes, STANDARD.values(), strict=True):
        drawn = np.stack(axes.lines[-1].get_data(), 1)
        np.testing.assert_array_equal(drawn, function(pr.tensor(points)).numpy())
    assert np.min(drawn) == 0  # of affine + relu


@pytest.mark.parametrize(
    ("layer", "shape", "count", "size"),
    [
        (nn.Linear(784, 3), None, 3, (28, 28)),
        (nn.Linear(6, 2), (2, 3), 2, (2, 3)),
        (nn.Conv2d(1, 4, 5), None, 4, (5, 5)),
        (nn.Conv2d(3, 4, 5), None, 4, (5, 5, 3)),
        (nn.Conv2d(2, 3, 3), None, 6, (3, 3)),
    ],
)
def test_weights_are_images(
    tmp_path: Path, layer: Any, shape: Any, count: int, size: tuple[int, ...]
) -> None:
    figure = viz.plot_weights_as_images(layer, shape, path=tmp_path / "w.png")
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [image.shape for image in images[:count]] == [size] * count
    if len(size) == 2:
        np.testing.assert_array_equal(
            images[0].ravel(), layer.weight.numpy().ravel()[: images[0].size]
        )


def test_spirals_unfold(tmp_path: Path) -> None:
    pr.manual_seed(3)
    expected = pr.rand(2).tolist()
    pr.manual_seed(3)
    animation = viz.unfold_spirals(blocks=2, epochs=1, path=str(tmp_path / "s.gif"))
    assert pr.rand(2).tolist() == expected  # the random state was not touched
    assert (tmp_path / "s.gif").read_bytes().startswith(b"GIF8")
    x, _ = viz.spirals()
    animation._draw_frame(0)
    axes = animation._fig.axes[0]
    drawn = np.concatenate([np.stack(line.get_data(), 1) for line in axes.lines[-3:-1]])
    np.testing.assert_allclose(drawn, x, atol=1e-6)


class Spy(train.Callback):
    every = 5

    def after_batch(self, run: Any) -> None: ...

    def after_loss(self, run: Any) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...


def test_loop_says_who_listens_where() -> None:
    spy = Spy()
    picture = viz.show_loop([spy, train.EarlyStopping()], quiet=False)
    found = {line.text: line.listeners for line in picture.lines if line.event}
    assert found["after_batch"] == ("Spy (every 5 steps)",)
    assert found["after_loss"] == ("Spy",)
    assert found["after_epoch"] == ("Spy", "EarlyStopping")
    assert "before_batch" not in found
    assert "the step, eager: Spy listens inside" in str(picture)
    assert "<b>Spy, EarlyStopping</b>" in picture._repr_html_()
    assert "model" not in vars(spy)


def test_loop_of_a_learner_runs_as_it_says() -> None:
    seen: list[str] = []

    class All(train.Callback):
        def before_fit(self, run: Any) -> None:
            seen.append("before_fit")

        def before_epoch(self, run: Any) -> None:
            seen.append("before_epoch")

        def before_batch(self, run: Any) -> None:
            seen.append("before_batch")

        def after_loss(self, run: Any) -> None:
            seen.append("after_loss")

        def after_grad(self, run: Any) -> None:
            seen.append("after_grad")

        def after_batch(self, run: Any) -> None:
            seen.append("after_batch")

        def before_test(self, run: Any) -> None:
            seen.append("before_test")

        def after_test(self, run: Any) -> None:
            seen.append("after_test")

        def after_epoch(self, run: Any) -> None:
            seen.append("after_epoch")

        def after_fit(self, run: Any) -> None:
            seen.append("after_fit")

    x = np.zeros((5, 1), np.float32)
    dls = pr.data.DataLoaders.from_arrays(x, x, batch_size=4)
    learn = train.Learner(dls, nn.Linear(1, 1), "mse", cbs=All(), verbose=0, jit=False)
    picture = viz.show_loop(learn)
    learn.fit(1)
    told = [line.text for line in picture.lines if "All" in line.listeners]
    assert seen == told
    assert learn._repr_html_() == f"<p>{learn!r}</p>{learn.recorder._repr_html_()}"


REFUSED = [
    (lambda: viz.plot_function(pr.relu, 2, 1), "low must lie below high"),
    (lambda: viz.plot_function(lambda x: x.sum()), "f must give a number for each number"),
    (lambda: viz.plot_descent(square, [1.0, 2.0, 3.0]), "got (3,)"),
    (lambda: viz.plot_descent(square, 1.0, ()), "there must be steps to draw"),
    (lambda: viz.plot_loss_surface(nn.ReLU(), 1.0, 1.0, square), "there must be a surface to draw"),
    (lambda: viz.plot_geometry(np.zeros((3, 3))), "points must be points of the plane"),
    (lambda: viz.plot_geometry(None, lambda x: x.sum()), "what transform gives must be points"),
    (lambda: viz.plot_weights_as_images(nn.Linear(5, 2)), "the weights must be images"),
    (lambda: viz.plot_weights_as_images(nn.Linear(4, 2), count=0), "expected >= 1, got 0"),
    (lambda: viz.unfold_spirals(0), "there must be something to show"),
    (lambda: viz.unfold_spirals(path="x.mp4"), "there must be something to show"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_cannot_be_drawn_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert text in str(caught.value)


def test_history_is_a_table_in_notebooks() -> None:
    history = train.History()
    history.epoch = [0, 1, 2, 3]
    history.history = {"loss": [4.0, 3.0, 2.0, 1.0], "val_<a>": [0.5, 0.25]}
    page = history._repr_html_()
    assert "<th>epoch</th><th>loss</th><th>val_&lt;a&gt;</th>" in page
    rows = ("1</td><td>4</td><td>", "2</td><td>3</td><td>0.5", "3</td><td>2</td><td>",
            "4</td><td>1</td><td>0.25")  # fmt: skip
    assert page.endswith("".join(f"<tr><td>{row}</td></tr>" for row in rows) + "</tbody></table>")
