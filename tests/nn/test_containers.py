"""Sequential, ModuleList and ModuleDict behave as list and dict, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pierian import nn
from pierian.nn import functional as F

f32 = np.float32


def kinds(container: Any) -> list[str]:
    return [type(part).__name__ for part in container]


def names(container: nn.Module) -> list[str]:
    return [name for name, _ in container.named_children()]


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.ReLU(), nn.Tanh()),
        nn.Sequential([nn.ReLU(), nn.Tanh()]),
        nn.Sequential({"0": nn.ReLU(), "1": nn.Tanh()}),
        nn.Sequential().append(nn.ReLU()).append(nn.Tanh()),
        nn.Sequential(nn.ReLU()).extend([nn.Tanh()]),
        nn.ModuleList([nn.ReLU(), nn.Tanh()]),
        nn.ModuleList(layer() for layer in (nn.ReLU, nn.Tanh)),
    ],
)
def test_parts_can_be_given_in_many_ways(model: Any) -> None:
    assert (kinds(model), names(model), len(model)) == (["ReLU", "Tanh"], ["0", "1"], 2)


def test_sequential_of_one_layer_and_of_none() -> None:
    assert kinds(nn.Sequential(nn.ReLU())) == ["ReLU"]
    x = np.ones(2, f32)
    assert nn.Sequential()(x).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("make", [nn.Sequential, nn.ModuleList])
def test_list_is_indexed_sliced_changed_and_numbered_anew(make: Any) -> None:
    model = make([nn.ReLU(), nn.Tanh(), nn.ELU()])
    assert isinstance(model[0], nn.ReLU)
    assert isinstance(model[-1], nn.ELU)
    assert isinstance(model["1"], nn.Tanh)
    head = model[1:]
    assert (type(head), kinds(head), names(head)) == (make, ["Tanh", "ELU"], ["0", "1"])
    assert head[0] is model[1]
    model[0] = nn.GELU()
    assert kinds(model) == ["GELU", "Tanh", "ELU"]
    del model[1]
    assert (kinds(model), names(model)) == (["GELU", "ELU"], ["0", "1"])
    assert model[1].where() == 'ELU("1")'
    model.insert(0, nn.SiLU())
    assert (kinds(model), names(model)) == (["SiLU", "GELU", "ELU"], ["0", "1", "2"])
    del model[:2]
    assert (kinds(model), names(model)) == (["ELU"], ["0"])
    with pytest.raises(IndexError):
        model[1]


def test_names_of_a_dict_are_kept() -> None:
    model = nn.Sequential({"body": nn.Linear(2, 3), "head": nn.Linear(3, 1)})
    assert model.head is model[1]
    assert names(model[1:]) == ["head"]
    assert [n for n, _ in model.named_parameters()][0] == "body.weight"
    model["tail"] = nn.ReLU()
    model["head"] = nn.Linear(3, 5)
    assert names(model) == ["body", "head", "tail"]
    assert model(np.zeros((1, 2), f32)).shape == (1, 5)


def test_sequential_is_built_as_soon_as_it_knows_its_input() -> None:
    model = nn.Sequential()
    model.add(nn.Dense(4, input_shape=(3,)))
    model.add(nn.Dense(2))
    assert model.built
    assert [p.shape for p in model.parameters()] == [(4, 3), (4,), (2, 4), (2,)]
    assert model.input_shape == (3,)
    outer = nn.Sequential(model, nn.Dense(7))
    assert outer.built
    for told in (nn.Sequential(nn.Input((3,)), nn.Dense(4)), nn.Sequential([nn.Input((3,)),
                 nn.Dense(4)]), nn.Sequential(nn.Input((3,))).append(nn.Dense(4))):  # fmt: skip
        assert (told.count_params(), len(told)) == (16, 1)
        assert told.summary().rows[0].outputs == ((4,),)
    assert not nn.Sequential(nn.Flatten(), nn.Dense(2)).built


def test_parts_can_be_taken_off() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert model.pop().out_features == 1
    assert isinstance(model.pop(0), nn.Linear)
    assert (names(model), kinds(model)) == (["0"], ["ReLU"])


def test_sequential_knows_its_config_as_it_is_now() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.append(nn.ReLU())
    config = {"layers": [{"0": {"$module": "0"}, "1": {"$module": "1"}}]}
    assert model.config() == config
    assert kinds(nn.Sequential.from_config(config, dict(model.named_children()))) == [
        "Linear", "ReLU",
    ]  # fmt: skip
    assert nn.ModuleDict({"a": nn.ReLU()}).config() == {"modules": {"a": {"$module": "a"}}}

    class Pair(nn.Sequential):
        def __init__(self, width: int) -> None:
            super().__init__(nn.Linear(width, width), nn.ReLU())

    assert Pair(3).config() == {"width": 3}
    assert type(Pair(3)[:1]) is nn.Sequential


def test_list_contains_its_own() -> None:
    inside, outside = nn.ReLU(), nn.ReLU()
    assert inside in nn.ModuleList([inside])
    assert outside not in nn.ModuleList([inside])


def test_module_dict_is_a_dict() -> None:
    parts = nn.ModuleDict({"a": nn.ReLU()})
    parts["b"] = nn.Tanh()
    parts.update([("c", nn.ELU())])
    assert (list(parts), len(parts)) == (["a", "b", "c"], 3)
    assert list(parts.keys()) == [name for name, _ in parts.items()]
    assert "a" in parts
    assert "z" not in parts
    assert isinstance(parts.pop("a"), nn.ReLU)
    del parts["b"]
    assert kinds(parts.values()) == ["ELU"]
    with pytest.raises(KeyError):
        parts["a"]


COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "class": (
        TypeError, lambda: nn.Sequential(nn.ReLU),
        "Sequential: part 0 must be a module; expected an nn.Module, got the class ReLU. Write "
        "ReLU() to make one.",
    ),
    "function": (
        TypeError, lambda: nn.Sequential(nn.Linear(1, 1), F.relu),
        "Sequential: part 1 must be a module; expected an nn.Module, got a function. Use the layer "
        "of that name, like nn.ReLU() for F.relu.",
    ),
    "taken name": (
        ValueError, lambda: nn.ModuleDict({"items": nn.ReLU()}),
        "ModuleDict: the name of a part must be free and without dots; expected a name that is not "
        "an attribute of the class, got 'items'. Choose another name.",
    ),
    "list called": (
        NotImplementedError, lambda: nn.ModuleList([nn.ReLU()])(1),
        "ModuleList: a module that is called must say what it computes; expected a method forward, "
        "got none. Write `def forward(self, x): ...` in the class.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_container_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text
