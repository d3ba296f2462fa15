"""Module: what is registered, named, copied, saved, frozen, hooked, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn.deferred import from_json, shapes

f32 = np.float32


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        self.lin = nn.Linear(width, width, bias=False)
        self.scale = nn.Parameter(np.ones(width, f32))
        self.seen = nn.Buffer(0.0)

    def forward(self, x: Any) -> Any:
        self.seen = self.seen + 1.0
        return self.lin(x) * self.scale


class Net(nn.Module):
    """No super().__init__(), a list, a shared part and a plain attribute."""

    def __init__(self, width: int, *sizes: int, name: str = "net", **rest: Any) -> None:
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.again = self.blocks[0]
        self.sizes = sizes
        self.note = pr.ones(3)

    def forward(self, x: Any) -> Any:
        return self.again(self.blocks[1](x))


NAMES = ["blocks.0.scale", "blocks.0.lin.weight", "blocks.1.scale", "blocks.1.lin.weight"]


# What belongs to it


def test_parameters_are_named_by_path_and_shared_ones_counted_once() -> None:
    net = Net(2)
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert [name for name, _ in net.named_buffers()] == ["blocks.0.seen", "blocks.1.seen"]
    assert len(list(net.buffers())) == 2
    assert [name for name, _ in net.named_children()] == ["blocks", "again"]
    assert [path for path, _ in net.named_modules()] == [
        "", "blocks", "blocks.0", "blocks.0.lin", "blocks.1", "blocks.1.lin",
    ]  # fmt: skip
    assert net.get_submodule("blocks.1.lin") is net.blocks[1].lin
    assert net.get_submodule("") is net


def test_a_parameter_used_twice_is_one_parameter_with_two_names_in_the_state() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 1
    assert list(model.state_dict()) == ["0.weight", "1.weight"]


def test_deleting_and_replacing_attributes_changes_what_belongs() -> None:
    net = Net(2)
    del net.again
    del net.blocks[0].scale
    net.blocks[1].lin = nn.Identity()
    net.blocks[1].scale = None
    assert [name for name, _ in net.named_parameters()] == ["blocks.0.lin.weight"]
    with pytest.raises(AttributeError):
        _ = net.again


def test_pytorch_ways_to_register() -> None:
    module = nn.Module()
    module.register_parameter("w", nn.Parameter([1.0]))
    module.register_parameter("none", None)
    module.register_buffer("kept", pr.zeros(1))
    module.register_buffer("lost", pr.zeros(1), persistent=False)
    module.add_module("part", nn.Identity())
    assert list(module.state_dict()) == ["w", "kept"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "lost"]
    assert isinstance(module.part, nn.Identity)


def test_assigning_to_a_buffer_writes_into_it() -> None:
    net = Net(2)
    before = net.blocks[0].seen
    net(np.ones((1, 2), f32))
    assert net.blocks[0].seen is before
    assert before.item() == 1.0
    net.blocks[0].seen += 1.0
    assert before.item() == 2.0


def test_where_is_the_path_through_the_first_parent() -> None:
    net = Net(2)
    assert net.where() == "Net"
    assert net.again.lin.where() == 'Linear("blocks.0.lin")'
    part = net.blocks[0]
    del net.blocks[0]
    assert part.where() == "Block"  # its first place is gone
    outer = nn.Sequential(net)
    assert outer[0].blocks[0].where() == 'Block("0.blocks.0")'


# Modes, gradients, conversion


def test_train_and_eval_reach_every_part() -> None:
    net = Net(2)
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())


def test_freezing_stops_gradients_of_all_or_a_part() -> None:
    net = Net(2)
    net.blocks[1].freeze()
    assert [p.requires_grad for p in net.parameters()] == [True, True, False, False]
    net(np.ones((1, 2), f32)).sum().backward()
    assert [p.grad is not None for p in net.parameters()] == [True, True, False, False]
    assert all(p.requires_grad for p in net.unfreeze().parameters())
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_zero_grad_forgets_or_fills() -> None:
    net = Net(2)
    net(np.ones((1, 2), f32)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.numpy().any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_converts_floating_tensors_and_keeps_them_the_same_objects() -> None:
    net = Net(2)
    parameters = list(net.parameters())
    net.double()
    assert list(map(id, net.parameters())) == list(map(id, parameters))
    assert {t.dtype for t in [*net.parameters(), *net.buffers()]} == {np.dtype("float64")}
    assert net(np.ones((1, 2))).dtype == np.float64
    assert net.to("cpu") is net
    assert net.to(pr.float32)(np.ones((1, 2))).dtype == np.float32


def test_apply_goes_from_the_leaves_up() -> None:
    seen: list[str] = []
    nn.Sequential(nn.Linear(1, 1), nn.ReLU()).apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential"]


# Calling


def test_arrays_become_tensors_of_the_dtype_of_the_parameters() -> None:
    class Probe(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x.dtype, y

    assert Probe()(np.zeros(2), [1]) == (np.dtype("float64"), [1])
    probe = Probe()
    probe.w = nn.Parameter([1.0])
    assert probe(np.zeros(2), None)[0] == np.float32
    assert probe(np.zeros(2, np.uint8), None)[0] == np.uint8


def test_hooks_see_and_may_replace_inputs_and_outputs() -> None:
    layer, seen = nn.Identity(), []
    first = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    second = layer.register_forward_hook(lambda module, args, output: output * 10)
    third = layer.register_forward_hook(lambda module, args, output: seen.append(output.item()))
    assert layer(pr.tensor(1.0)).item() == 20.0
    assert seen == [20.0]
    for handle in (first, second, third):
        handle.remove()
    assert layer(pr.tensor(1.0)).item() == 1.0


def test_errors_inside_a_forward_name_the_innermost_module_and_the_shapes() -> None:
    class Bad(nn.Module):
        def forward(self, x: Any) -> Any:
            return x @ pr.zeros(5, 5)

    model = nn.Sequential({"body": nn.Sequential(nn.Identity(), Bad())})
    with pytest.raises(pr.ShapeError) as caught:
        model(np.zeros((2, 3), f32))
    assert caught.value.__notes__ == ['in Bad("body.1"), called with (2, 3)']
    with pytest.raises(pr.ShapeError) as caught:
        nn.Linear(5, 1)(np.zeros((2, 3), f32))
    assert not hasattr(caught.value, "__notes__")  # it says so itself


# State


def test_state_dict_shares_memory_and_loads_arrays_of_any_float_dtype() -> None:
    net, other = Net(2), Net(2)
    state = net.state_dict()
    assert state["blocks.0.scale"].requires_grad is False
    state["blocks.0.scale"].fill_(7.0)
    assert net.blocks[0].scale.tolist() == [7.0, 7.0]
    keys = other.load_state_dict({k: v.numpy().astype("float64") for k, v in state.items()})
    assert (keys.missing_keys, keys.unexpected_keys) == ([], [])
    assert other.blocks[0].scale.tolist() == [7.0, 7.0]
    assert other.blocks[0].scale.dtype == np.float32
    state["blocks.0.scale"].fill_(8.0)
    assert other.blocks[0].scale.tolist() == [7.0, 7.0]


def test_loading_in_part_reports_what_was_left() -> None:
    model = nn.Linear(2, 1)
    keys = model.load_state_dict({"weight": [[1.0, 2.0]], "more": [0.0]}, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["bias"], ["more"])
    assert model.weight.tolist() == [[1.0, 2.0]]


LOADS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "all three": (
        {"head.weight": np.zeros((10, 64)), "tail": np.zeros(1)}, True,
        'load("run7"): 1 missing key (head.bias), 1 extra (tail), 1 wrong shape '
        "(head.weight: file (10, 64), model (10, 128)). Nothing was loaded.",
    ),
    "missing": (
        {}, True,
        'load("run7"): 2 missing keys (head.weight, head.bias), 0 extra, 0 wrong shapes. '
        "Nothing was loaded.",
    ),
    "wrong shape, not strict": (
        {"head.bias": np.zeros(3)}, False,
        'load("run7"): 1 missing key (head.weight), 0 extra, 1 wrong shape '
        "(head.bias: file (3,), model (10,)). Nothing was loaded.",
    ),
    "many": (
        {"head.weight": np.zeros((10, 128)), "head.bias": np.ones(10),
         **{f"x{i}": 0 for i in range(10)}}, True,
        'load("run7"): 0 missing keys, 10 extra (x0, x1, x2, x3, x4, x5, x6, x7, … 2 more), '
        "0 wrong shapes. Nothing was loaded.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("state, strict, text", LOADS.values(), ids=LOADS.keys())
def test_loading_names_all_that_is_wrong_and_loads_nothing(
    state: Any, strict: bool, text: str
) -> None:
    model = nn.Sequential({"head": nn.Linear(128, 10)})
    before = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    with pytest.raises(pr.CheckpointError) as caught:
        model.load_state_dict(state, strict, where='load("run7")')
    assert str(caught.value) == text
    assert all((before[name] == t.numpy()).all() for name, t in model.state_dict().items())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_apart_and_keeps_paths_sharing_and_flags(copied: Any) -> None:
    net = Net(2).eval()
    net.blocks[1].freeze()
    twin = copied(net)
    assert twin.again is twin.blocks[0]
    assert twin.again.lin.where() == 'Linear("blocks.0.lin")'
    assert [p.requires_grad for p in twin.parameters()] == [True, True, False, False]
    assert not twin.blocks[0].training
    assert not {id(t) for t in twin.parameters()} & {id(t) for t in net.parameters()}
    twin.blocks[0].scale.data.fill_(9.0)
    assert net.blocks[0].scale.tolist() == [1.0, 1.0]


# Config


def test_config_is_what_the_constructor_was_given() -> None:
    net = Net(2, 3, 4, name="x", extra=[np.float32(1), pr.float32])
    config = {"width": 2, "sizes": [3, 4], "name": "x", "rest": {"extra": [1.0, "float32"]}}
    assert net.config() == config
    again = Net.from_config(config)
    assert again.sizes == (3, 4)
    assert again.config() == config


class Wide(Net):
    def __init__(self, factor: int = 2) -> None:
        super().__init__(factor * 4, name="wide")


class Plain(Net):
    pass


@dataclass(eq=False)
class Data(nn.Module):
    width: int
    depth: int = 3


@pytest.mark.parametrize(
    "module, config",
    [
        (Wide(), {"factor": 2}),
        (Plain(width=2), {"width": 2, "sizes": [], "name": "net", "rest": {}}),
        (Data(5), {"width": 5, "depth": 3}),
        (nn.ReLU(), {"inplace": False}),
        (nn.Module(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_config_is_right_for_subclasses_of_every_kind(module: Any, config: Any) -> None:
    assert module.config() == config
    assert type(module).from_config(config).config() == config


def test_config_refers_to_parts_that_were_passed_in() -> None:
    class Wrap(nn.Module):
        def __init__(self, inner: Any, heads: Any) -> None:
            self.body = nn.Sequential(inner)
            self.heads = nn.ModuleList(heads)

    wrap = Wrap(nn.Linear(2, 3), [nn.ReLU(), nn.Tanh()])
    assert wrap.config() == {
        "inner": {"$module": "body.0"},
        "heads": [{"$module": "heads.0"}, {"$module": "heads.1"}],
    }
    again = Wrap.from_config(wrap.config(), dict(wrap.named_children()))
    assert again.body[0] is wrap.body[0]
    assert again.heads[1] is wrap.heads[1]


# Printing


def test_a_model_in_a_notebook_is_a_table_and_does_not_run() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Dense(2))
    page = model._repr_html_()
    assert not model.built and "0 (Linear)</td><td>12</td><td>12</td>" in page
    assert "1 (Dense)</td><td>?</td>" in page and "FLOPs" not in page


def test_repr_is_a_tree() -> None:
    assert repr(nn.Sequential(nn.Linear(3, 4, bias=False), nn.Dropout(0.1))) == (
        "Sequential(\n  (0): Linear(in_features=3, out_features=4, bias=False)\n"
        "  (1): Dropout(p=0.1)\n)"
    )
    assert repr(Net(2)) == (
        "Net(\n  width=2\n  (blocks): ModuleList(\n"
        "    (0): Block(\n      width=2\n      (lin): Linear(in_features=2, out_features=2, "
        "bias=False)\n    )\n"
        "    (1): Block(\n      width=2\n      (lin): Linear(in_features=2, out_features=2, "
        "bias=False)\n    )\n  )\n"
        "  (again): Block(\n    width=2\n    (lin): Linear(in_features=2, out_features=2, "
        "bias=False)\n  )\n)"
    )


# Doors


VERBS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...], dict[str, Any]]] = {
    "compile": (("adam",), {"metrics": ["mae"], "jit": False}, ("adam", None, ["mae"]),
                {"jit": False}),
    "fit": ((1, 2), {"epochs": 3, "validation_freq": 5, "resume": True},
            (1, 2, None, 3, "auto", None, 0.0, None, True, None, None, 0, None, None, None, 5),
            {"resume": True}),
    "evaluate": ((1, 2), {"return_dict": True}, (1, 2, None, "auto", None, None, None, True), {}),
    "predict": ((1,), {"batch_size": 2}, (1, 2, "auto", None, None), {}),
    "train_on_batch": ((1, 2), {}, (1, 2, None, None, False), {}),
    "test_on_batch": ((1, 2), {"return_dict": True}, (1, 2, None, True), {}),
    "predict_on_batch": ((1,), {}, (1,), {}),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_training_verb_is_a_door(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    args, kwargs, passed, named = VERBS[verb]
    room = SimpleNamespace(**{verb: lambda *a, **k: calls.append((a, k))})
    monkeypatch.setattr(pr, "train", room, raising=False)
    module = nn.Identity()
    getattr(module, verb)(*args, **kwargs)
    assert calls == [((module, *passed), named)]


def test_save_is_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(pr, "io", SimpleNamespace(save=lambda *a: calls.append(a)), raising=False)
    module = nn.Identity()
    module.save("model.safetensors")
    assert calls == [(module, "model.safetensors")]


# Every complaint, word for word


def given(**attributes: Any) -> nn.Module:
    module = nn.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def parent_of_itself() -> None:
    root = given(a=given(b=nn.Linear(1, 1)))
    root.a.b.up = root.a


PARAMETER = (
    "Linear.weight: a parameter can only be replaced by another; expected nn.Parameter or None, "
    "got a {}. Wrap it in nn.Parameter, or write into the one that is there: `with pr.no_grad(): "
    "module.weight.copy_(value)`."
)
COLLECTION = (
    "Module.layers: modules in a plain collection are not part of the model: nothing would train "
    "them; expected nn.ModuleList or nn.ModuleDict, got a {}. Write nn.ModuleList(...) around it."
)
COMPLAINTS: dict[str, tuple[type[Exception], Callable[[], Any], str]] = {
    "no forward": (
        NotImplementedError, lambda: Data(1)(2),
        "Data: a module that is called must say what it computes; expected a method forward, got "
        "none. Write `def forward(self, x): ...` in the class.",
    ),
    "tensor for a parameter": (
        TypeError, lambda: setattr(nn.Linear(1, 1), "weight", pr.zeros(1, 1)),
        PARAMETER.format("Tensor"),
    ),
    "array for a parameter": (
        TypeError, lambda: setattr(nn.Linear(1, 1), "weight", np.zeros((1, 1))),
        PARAMETER.format("ndarray"),
    ),
    "list of modules": (
        TypeError, lambda: given(layers=[nn.ReLU()]), COLLECTION.format("list"),
    ),
    "dict of modules": (
        TypeError, lambda: given(layers={"a": nn.ReLU()}), COLLECTION.format("dict"),
    ),
    "buffer of another shape": (
        pr.ShapeError, lambda: setattr(given(m=nn.Buffer([0.0, 1.0])), "m", pr.zeros(3)),
        "Module.m: a buffer keeps its shape; expected (2,), got (3,). Assign a new nn.Buffer.",
    ),
    "itself": (
        ValueError, lambda: parent_of_itself(),
        'Linear("a.b").up: a module cannot be a part of itself; expected a module that this one is '
        'no part of, got Module("a"). Keep a weakref.ref to it instead.',
    ),
    "name with a dot": (
        ValueError, lambda: nn.Module().add_module("a.b", nn.ReLU()),
        "Module: the name of a part must be free and without dots; expected a name that is not an "
        "attribute of the class, got 'a.b'. Choose another name.",
    ),
    "unknown path": (
        ValueError, lambda: nn.Sequential({"head": nn.ReLU()}).get_submodule("haed"),
        "Sequential: path must be a known name; expected one of head, got 'haed'. Did you mean "
        "'head'?",
    ),
    "argument that JSON cannot hold": (
        pr.CheckpointError, lambda: nn.Activation(pr.relu).config(),
        "Activation: argument activation must be something JSON can hold; expected numbers, "
        "strings, lists, dicts or parts of the module, got a function. Pass a name "
        '(activation="relu"), or define config and from_config.',
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind, act, text", COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_module_complains_in_full(kind: type[Exception], act: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


def test_a_list_of_modules_that_have_a_place_is_fine() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Tanh())
    module.order = [module[1], module[0]]
    assert len(module) == 2


@pr.register
class Late(nn.Module):
    """Makes its parameters in `build`, and counts how often that is run."""

    def __init__(self, units):
        self.units = units
        self.runs = 0

    def build(self, input_shape):
        super().build(input_shape)  # a habit of Keras, which does no harm
        self.runs += 1
        self.seen = input_shape
        self.weight = nn.Parameter(np.ones((input_shape[-1], self.units), "float32"))

    def forward(self, x):
        return x @ self.weight


def test_build_of_a_subclass_is_run_once_before_the_first_call():
    layer = Late(3)
    assert not layer.built
    with pytest.raises(pr.ShapeError, match="build"):
        list(layer.parameters())
    assert layer(np.ones((5, 2), "float32")).shape == (5, 3)
    assert layer.build((None, 7)) is layer
    assert (layer.runs, layer.seen, layer.built, layer.count_params()) == (1, (None, 2), True, 6)
    assert Late(3).build(np.ones((4, 2))).seen == (4, 2)
    assert pr.jit(Late(3))(np.ones((5, 2), "float32")).tolist() == [[2.0] * 3] * 5
    inside = pr.nn.Sequential(pr.nn.Dense(2), Late(3)).build((4,))
    assert (inside[1].seen, inside.count_params()) == ((None, 2), 4 * 2 + 2 + 2 * 3)


def test_a_subclass_that_was_built_is_saved_with_its_shape(tmp_path):
    layer = Late(3).build((None, 2))
    layer.save(tmp_path / "late")
    again = pr.load(tmp_path / "late")
    assert (again.seen, again.units, again.weight.shape) == ((None, 2), 3, (2, 3))
    Late(3).save(tmp_path / "unbuilt")
    assert not pr.load(tmp_path / "unbuilt").built


def test_shapes_come_back_from_json():
    told = shapes({"x": np.ones((5, 2)), "y": [np.ones(3)]})
    assert told == {"x": (None, 2), "y": [(3,)]}
    assert from_json({"x": [None, 2], "y": [[3]]}) == {"x": (None, 2), "y": ((3,),)}


def test_a_build_that_fails_is_tried_again():
    layer = Late(3)
    with pytest.raises(TypeError):
        layer.build((None, None))
    assert not layer.built
    assert layer(np.ones((5, 2), "float32")).shape == (5, 3)
