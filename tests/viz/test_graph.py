"""The computation graph: values, gradients on every edge, folding, and that nothing changes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, viz
from pierian.viz.drawing import LOOKS, Arrow, Box, Drawing, _places


def lesson() -> tuple[Any, dict[str, Any]]:
    x, w, b = (pr.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0))
    loss = (pr.tensor(4.0) - (x * w + b)).abs()
    return loss, {"x": x, "w": w, "b": b, "loss": loss}


def edges(drawing: Drawing) -> dict[tuple[str, str], str | None]:
    titles = [box.lines[0] for box in drawing.boxes]
    return {(titles[a.tail], titles[a.head]): a.back for a in drawing.arrows}


def test_the_lesson_has_its_values_and_gradients() -> None:
    loss, names = lesson()
    drawing = viz.graph(loss, names=names)
    assert {box.lines for box in drawing.boxes} == {
        ("x", "2"), ("w", "3"), ("b", "1"), ("constant", "4"), ("mul", "6"), ("add", "7"),
        ("sub", "-3"), ("loss = abs", "3"),
    }  # fmt: skip
    assert edges(drawing) == {
        ("x", "mul"): "3", ("w", "mul"): "2", ("mul", "add"): "1", ("b", "add"): "1",
        ("constant", "sub"): None, ("add", "sub"): "1", ("sub", "loss = abs"): "-1",
    }  # fmt: skip


def test_nothing_is_left_behind() -> None:
    loss, names = lesson()
    viz.graph(loss, names=names)
    assert names["w"].grad is None
    loss.backward(retain_graph=True)
    again = viz.graph(loss, names=names)
    assert names["w"].grad.item() == 2 and names["b"].grad.item() == 1
    assert edges(again)["w", "mul"] == "2"
    loss.backward()
    assert names["w"].grad.item() == 4


def test_a_freed_tape_shows_the_gradients_that_leaves_have() -> None:
    loss, names = lesson()
    loss.backward()
    drawing = viz.graph(loss, names=names)
    assert ("w", "3", "grad 2") in {box.lines for box in drawing.boxes}
    assert set(edges(drawing).values()) == {None}


def test_both_edges_of_a_square_have_their_own_gradient() -> None:
    x = pr.tensor(3.0, requires_grad=True)
    drawing = viz.graph(x * (x + 1), names={"x": x})
    assert sorted(filter(None, (a.back for a in drawing.arrows))) == ["3", "3", "4"]


def test_tensors_that_a_tape_watched_have_their_names() -> None:
    x, w = pr.tensor(2.0), pr.tensor(3.0, requires_grad=True)
    with pr.GradientTape() as tape:
        tape.watch(x)
        y = x * w
    boxes = viz.graph(y, names={"x": x, "w": w, "y": y}).boxes
    assert {box.lines for box in boxes} == {("x", "2"), ("w", "3"), ("y = mul", "6")}


@pytest.mark.parametrize(("fold", "most"), [(True, 7), (False, 40)])
def test_parameters_fold_into_the_operations_that_use_them(fold: bool, most: int) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x = pr.tensor(np.ones((5, 4), np.float32))
    loss = nn.functional.cross_entropy(model(x), pr.tensor([0, 1, 2, 0, 1]))
    drawing = viz.graph(loss, names=model, fold=fold)
    text = [line for box in drawing.boxes for line in box.lines]
    assert len(drawing.boxes) <= most
    assert ("40 parameters" in text) == fold
    assert ("0.weight" in text) == (not fold)


def test_a_model_is_drawn_by_its_modules_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    before = {name: p.numpy().copy() for name, p in model.state_dict().items()}
    drawing = viz.graph(model, np.random.default_rng(0).random((5, 4), np.float32))
    assert [box.lines[0] for box in drawing.boxes] == [
        "input", "0 Linear", "1 BatchNorm1d", "2 ReLU", "3 Linear",
    ]  # fmt: skip
    assert [(a.tail, a.head) for a in drawing.arrows] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert all(np.array_equal(before[name], p.numpy()) for name, p in model.state_dict().items())
    assert all(not module._hooks for module in model.modules())


def test_depth_says_how_many_levels_are_opened() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
    x = np.ones((1, 2), np.float32)
    titles = [[b.lines[0] for b in viz.graph(model, x, depth=d).boxes] for d in (0, 1, 2)]
    assert titles == [
        ["input", "Sequential"],
        ["input", "0 Sequential", "1 Linear"], ["input", "0.0 Linear", "0.1 ReLU", "1 Linear"],
    ]  # fmt: skip


def test_a_lone_layer_is_one_box_frozen_or_not() -> None:
    drawing = viz.graph(nn.Linear(2, 2).freeze(), np.ones((1, 2), np.float32))
    assert [box.lines[0] for box in drawing.boxes] == ["input", "Linear"]


def test_a_large_model_is_folded_to_few_boxes_without_being_asked() -> None:
    layers = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(30)]
    drawing = viz.graph(nn.Sequential(*layers), np.ones((1, 2), np.float32))
    assert [box.lines[0] for box in drawing.boxes][1:3] == ["0 Sequential", "1 Sequential"]
    assert len(drawing.boxes) == 31


def random_drawing(seed: int, across: bool) -> Drawing:
    random = np.random.default_rng(seed)
    kinds = list(LOOKS)
    boxes = [Box((f"box {i}", "x" * int(random.integers(1, 30))), kinds[i % 5]) for i in range(18)]
    pairs = {tuple(sorted(random.choice(18, 2, replace=False).tolist())) for _ in range(26)}
    return Drawing(tuple(boxes), tuple(Arrow(a, b, "1.5") for a, b in sorted(pairs)), across)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_and_bends_never_overlap(seed: int, across: bool) -> None:
    places, routes = _places(random_drawing(seed, across))
    for i, one in enumerate(places):
        for other in places[:i]:
            clear = abs(one.aside - other.aside) >= (one.wide + other.wide) / 2
            assert one.rank != other.rank or clear
    for route in routes:
        ranks = [places[i].rank for i in route]
        assert ranks == list(range(ranks[0], ranks[-1] + 1))


def test_a_drawing_is_valid_text_of_every_kind(tmp_path: Path) -> None:
    drawing = Drawing((Box(("a <b>", 'say "x"')), Box(("c",))), (Arrow(0, 1, "1 & 2"),), True, "→")
    root = ElementTree.fromstring(drawing.svg)
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts == ["a <b>", 'say "x"', "c", "1 & 2", "→"]
    assert 'label="a <b>\\nsay \\"x\\""' in drawing.dot
    assert '-.->|"1 &amp; 2"|' in drawing.mermaid
    for ending, text in ((".svg", drawing.svg), (".dot", drawing.dot), (".mmd", drawing.mermaid)):
        drawing.save(tmp_path / f"graph{ending}")
        assert (tmp_path / f"graph{ending}").read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match=r"Save as graph\.svg"):
        drawing.save(tmp_path / "graph.png")


@pytest.mark.parametrize("target", [3.0, pr.tensor(1.0), pr.tensor(1.0, requires_grad=True)])
def test_what_has_no_history_is_refused(target: Any) -> None:
    with pytest.raises((TypeError, pr.GradError), match="graph: "):
        viz.graph(target)
