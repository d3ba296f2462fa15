"""Models as JSON: which classes, made from which arguments, nested and shared how.

May import: base, core, ops, nn. Classes are looked up by name in the registry of nn and nowhere
else, so a file can name no code that the program has not offered. What a module must say about
itself is `config` and `from_config`.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pierian.base.dtypes import as_dtype
from pierian.base.errors import CheckpointError
from pierian.base.file import failure
from pierian.core.autodiff import no_grad
from pierian.core.primitive import Spec
from pierian.core.tensor import Tensor, assign, make
from pierian.io.tensors import AGAIN
from pierian.nn import Module, Parameter, registered
from pierian.ops import random

FIELDS = {"class": str, "config": dict, "attributes": dict, "training": bool, "children": dict}
Plain = bool | int | float | str | None
SHARED = "shared"  # marks a part that stands elsewhere already, and says where


def owners(model: Module) -> dict[str, Tensor]:
    """The parameters and persistent buffers themselves by name, shared ones under each name."""
    views = model.state_dict()
    return {name: view if view.base is None else view.base for name, view in views.items()}


def describe(model: Module, where: str) -> dict[str, Any]:
    """What `model` is, without its numbers, as JSON values; `rebuild` makes one like it.

    Raises:  CheckpointError for a class that is not registered or an argument JSON cannot hold.
    """
    first: dict[int, str] = {}
    tied, frozen = {}, []
    for name, tensor in owners(model).items():
        known = first.setdefault(id(tensor), name)
        if known != name:
            tied[name] = known
        elif isinstance(tensor, Parameter) and not tensor.requires_grad:
            frozen.append(name)
    given = model._inputs
    return {
        "architecture": _describe(model, "", {}, where),
        "inputs": given and [{"shape": list(s.shape), "dtype": str(s.dtype)} for s in given],
        "built": model.built,
        "tied": tied,
        "frozen": frozen,
    }


def _describe(module: Module, path: str, seen: dict[int, str], where: str) -> dict[str, Any]:
    if id(module) in seen:
        return {SHARED: seen[id(module)]}
    seen[id(module)] = path
    cls, title = type(module), _title(type(module).__name__, path)
    if _origin(registered().get(cls.__name__)) != _origin(cls):
        fix = f"Write @pr.register above `class {cls.__name__}`"
        raise _unknown(where, title, f"{cls.__module__}.{cls.__qualname__}", fix)
    config = module.config()
    try:
        json.dumps(config)
    except (TypeError, ValueError) as error:
        must = f"the config of {title} must be JSON"
        fix = "Let its method config return such values"
        raise failure(where, must, "text, numbers, lists and dicts", error, fix) from error
    return {
        "class": cls.__name__,
        "config": config,
        "attributes": {  # arguments that were changed since, like the p of a dropout
            name: value
            for name, value in vars(module).items()
            if isinstance(value, Plain) and name in config and not _same(value, config[name])
        },
        "training": module.training,
        "children": {
            name: _describe(child, _join(path, name), seen, where)
            for name, child in module.named_children()
        },
    }


def rebuild(record: Mapping[str, Any], arrays: dict[str, np.ndarray], where: str) -> Module:
    """A new model like the one that `record` describes, with `arrays` as its tensors.

    The arrays become the memory of the tensors. The default random generator is left as it was.
    Raises:  CheckpointError when a class is unknown or the tensors do not fit it; whatever a
             record that was not made by `describe` leads to.
    """
    tied = record["tied"]
    if both := arrays.keys() & tied:
        raise ValueError(f"{both} are tensors and tied to others")
    state = arrays | {name: arrays[first] for name, first in tied.items()}
    with _undrawn():
        model = Builder(where).build(record["architecture"])
        shapes = {name: np.broadcast_to(np.False_, array.shape) for name, array in state.items()}
        model.load_state_dict(shapes, where=where)
    _tie(model, tied)
    for name, tensor in owners(model).items():
        if name not in tied:
            tensor.requires_grad_(False)
            tensor.value = _laid_out(state[name], tensor.value)
            tensor.requires_grad_(isinstance(tensor, Parameter) and name not in record["frozen"])
    if record["inputs"] is not None:
        inputs = [Spec(tuple(s["shape"]), as_dtype(s["dtype"])) for s in record["inputs"]]
        model._inputs = tuple(inputs)
    if model.built is not record["built"]:
        raise ValueError(f"built must be {record['built']}, but it is {model.built}")
    return model


class Builder:
    """Makes the modules of one model; what a constructor already made alike is kept.

    Constructors run as they would for the user, and make parts of their own. Those that were
    replaced or added later differ from the description: they are made from it and put in.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.made: dict[str, Module] = {}  # finished or being finished, by path
        self.shared: list[tuple[str, str, str]] = []  # path of the parent, name, path of the first

    def build(self, node: Mapping[str, Any]) -> Module:
        """The model that `node` describes."""
        check(node, "", self.where)
        model = self.new(node, "")
        for parent, name, first in self.shared:
            _put(self.made[parent], name, self.made[first])
        for module in list(Module.modules(model)):
            for name, child in module.named_children():
                setattr(module, name, child)  # tells it its place, which a stand-in may have had
        return model

    def new(self, node: Mapping[str, Any], path: str) -> Module:
        """The finished module of `node`."""
        name = node["class"]
        cls = registered().get(name)
        if cls is None:
            fix = "Import the file that defines it, with @pr.register above the class"
            raise _unknown(self.where, _title(name, path), name, fix)
        try:
            module: Module = cls.from_config(node["config"], Parts(self, node["children"], path))
        except CheckpointError:
            raise
        except Exception as error:
            must = f"{_title(name, path)} must be made from what was saved"
            got = f"{type(error).__name__}: {error}"
            fix = "Use the class as it was when the file was saved"
            raise failure(self.where, must, "arguments its class takes", got, fix) from error
        self.finish(module, node, path)
        return module

    def finish(self, module: Module, node: Mapping[str, Any], path: str) -> None:
        """Give `module` the parts and the mode that `node` says."""
        self.made[path] = module
        parts = Parts(self, node["children"], path)
        for name, child in parts.nodes.items():
            own, below = module.__dict__.get(name), _join(path, name)
            if SHARED in child:
                self.shared.append((path, name, child[SHARED]))
            elif below not in self.made and isinstance(own, Module) and self.alike(own, child):
                self.finish(own, child, below)
            elif below not in self.made or own is not self.made[below]:
                _put(module, name, parts[name])
        for name, value in node["attributes"].items():
            if name in node["config"] and name in vars(module):
                setattr(module, name, value)
        module.training = node["training"]

    def alike(self, own: Module, node: Mapping[str, Any]) -> bool:
        """Whether `own`, which a constructor made, stands nowhere else and is what `node` says."""
        if type(own) is not registered().get(node["class"]):
            return False
        config, found = node["config"], own.config()
        same = all(name in found and _same(found[name], value) for name, value in config.items())
        return same and all(own is not module for module in self.made.values())


class Parts(Mapping[str, Module]):
    """The parts of one module, each made when it is asked for."""

    def __init__(self, builder: Builder, nodes: Mapping[str, Any], path: str) -> None:
        self.builder, self.nodes, self.path = builder, nodes, path

    def __getitem__(self, name: str) -> Module:
        node, path, made = self.nodes[name], _join(self.path, name), self.builder.made
        if SHARED in node:
            return made[node[SHARED]]
        return made[path] if path in made else self.builder.new(node, path)

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)


def _laid_out(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`array` with its axes in memory in the order of those of `like`."""
    if like.flags.c_contiguous or like.shape != array.shape:
        return array
    found = np.empty_like(like, array.dtype)
    found[...] = array
    return found


def _put(module: Module, name: str, part: Module) -> None:
    """Make `part` a part, under a name that is one or that stands for nothing else."""
    if isinstance(module.__dict__.get(name, ...), Module | None):
        setattr(module, name, part)
    else:
        module.add_module(name, part)


def check(node: Any, path: str, where: str) -> None:
    """Refuse the description of a module in which something is missing or of the wrong kind."""
    wanted = {SHARED: str} if isinstance(node, dict) and SHARED in node else FIELDS
    if not isinstance(node, dict) or not all(isinstance(node.get(k), wanted[k]) for k in wanted):
        must = f"part {path!r} of the model must be described in full"
        raise failure(where, must, ", ".join(wanted), _brief(node), AGAIN)
    for name, child in node.get("children", {}).items():
        check(child, _join(path, name), where)


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two descriptions differ first, and how; "" when they do not."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        below = (difference(one[key], other[key], _join(path, key)) for key in one)
        return next(filter(None, below), "")
    return "" if _same(one, other) else f"{path} {_brief(one)}, anew {_brief(other)}"


def _brief(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, dict) else value)


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _origin(cls: type | None) -> tuple[str, str] | None:
    return None if cls is None else (cls.__module__, cls.__qualname__)


def _unknown(where: str, title: str, name: str, fix: str) -> CheckpointError:
    must = f"the class of {title} must be known by name"
    return failure(where, must, "a registered class", f"{name}, which is not", fix)


def _title(name: str, path: str) -> str:
    return f'{name}("{path}")' if path else name


def _tie(model: Module, tied: Mapping[str, str]) -> None:
    """Make exactly the tensors of `tied` one, whatever the constructors shared."""
    own = owners(model)
    taken: set[int] = set()
    for name, tensor in own.items():
        wanted = own[tied[name]] if name in tied else tensor
        if name not in tied and id(tensor) in taken:
            wanted = own[name] = copy.copy(tensor)
        taken.add(id(wanted))
        if wanted is not tensor:
            path, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(path), attribute, wanted)


@contextlib.contextmanager
def _undrawn() -> Iterator[None]:
    """Leave the default generator as if nothing had been drawn."""
    before = make(random.default.state.numpy().copy())
    try:
        yield
    finally:
        with no_grad():
            assign(random.default.state, before, "load")
