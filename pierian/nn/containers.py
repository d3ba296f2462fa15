"""Modules made of modules: Sequential, ModuleList, ModuleDict.

May import: base, module, symbolic. To add one: a Module that keeps its parts as attributes under
the names they should have in `state_dict`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from pierian.base.errors import message
from pierian.nn.module import Module
from pierian.nn.symbolic import SymbolicTensor


class Container(Module):
    """What the containers share: parts by name, checked when they come in."""

    def _put(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            kind = type(module).__name__
            got, fix = f"a {kind}", "Use the layer of that name, like nn.ReLU() for F.relu"
            if inspect.isclass(module):
                kind = module.__name__
                got, fix = f"the class {kind}", f"Write {kind}() to make one"
            raise TypeError(
                message(self.where(), f"part {name} must be a module", "an nn.Module", got, fix)
            )
        self.__dict__.pop(name, None)
        self.add_module(name, module)

    def _parts(self) -> dict[str, Module]:
        return dict(self.named_children())

    def __len__(self) -> int:
        return len(self._parts())

    def config(self) -> dict[str, Any]:
        """The parts as they are now; a subclass with a constructor of its own: its arguments."""
        own = next(cls for cls in type(self).__mro__ if "__init__" in vars(cls))
        if own not in (Sequential, ModuleList, ModuleDict):
            return super().config()
        parts = {name: {"$module": name} for name in self._parts()}
        return {"layers": [parts]} if own is Sequential else {"modules": parts}


class Listed(Container):
    """What Sequential and ModuleList share: parts in order, by default named 0, 1, 2 …"""

    def _fill(self, parts: Any) -> None:
        named = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
        for name, part in list(named):
            self._put(str(name), part)

    def _refill(self, parts: list[tuple[str, Module]]) -> None:
        """Replace all parts; those that had a number for a name are numbered anew."""
        for name in self._parts():
            del self.__dict__[name]
        for i, (name, part) in enumerate(parts):
            self._put(str(i) if name.isdigit() else name, part)

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: Any) -> Any:
        """A part by position or name, or several of them by slice."""
        parts = list(self.named_children())
        if isinstance(index, str):
            return self._parts()[index]
        if isinstance(index, slice):
            chosen = parts[index]
            plain = all(name.isdigit() for name, _ in chosen)
            return _make(type(self), [p for _, p in chosen] if plain else dict(chosen))
        return parts[index][1]

    def __setitem__(self, index: int | str, part: Module) -> None:
        name = index if isinstance(index, str) else list(self._parts())[index]
        parts = [(n, part if n == name else p) for n, p in self.named_children()]
        self._refill(parts if name in self._parts() else [*parts, (name, part)])

    def __delitem__(self, index: int | slice) -> None:
        parts = list(self.named_children())
        del parts[index]
        self._refill(parts)

    def append(self, part: Any) -> Self:
        """Put `part` at the end."""
        self._put(str(len(self)), part)
        return self

    def extend(self, parts: Iterable[Module]) -> Self:
        """Put all of `parts` at the end."""
        for part in parts:
            self.append(part)
        return self

    def insert(self, index: int, part: Module) -> None:
        """Put `part` before the one at `index`."""
        parts = list(self.named_children())
        parts.insert(index, ("0", part))
        self._refill(parts)

    def pop(self, index: int = -1) -> Module:
        """Take out and give the part at `index`."""
        part = self[index]
        del self[index]
        return part


def _make(cls: type[Listed], parts: Any) -> Listed:
    """A container of the built-in kind of `cls`; slices of subclasses are plain."""
    return Sequential(parts) if issubclass(cls, Sequential) else ModuleList(parts)


class Sequential(Listed):
    """Layers one after the other: each gets what the one before gives.

    When the first layer was given `input_shape`, or an `nn.Input` stands before it, layers with
    deferred sizes are built at once.

    Shapes:  those of the first layer -> those of the last.
    Args:    layers  modules, one list of them, or one dict from names to them.

    >>> from pierian.nn.layers import Linear
    >>> model = Sequential(Linear(3, 4), Linear(4, 2))
    >>> model
    Sequential(
      (0): Linear(in_features=3, out_features=4)
      (1): Linear(in_features=4, out_features=2)
    )
    >>> model[1].where()
    'Linear("1")'
    """

    def __init__(self, *layers: Any) -> None:
        only = layers[0] if len(layers) == 1 else None
        one = only is None or callable(only) or isinstance(only, SymbolicTensor)
        parts: Any = layers if one else only
        if not isinstance(parts, Mapping):
            parts = list(parts)
            if parts and isinstance(parts[0], SymbolicTensor):
                self.input_shape = parts.pop(0).example
        self._fill(parts)
        self._build_early()

    def forward(self, x: Any) -> Any:
        """What the last layer gives."""
        for layer in self.children():
            x = layer(x)
        return x

    def append(self, part: Any) -> Self:
        """Put a layer at the end, or at the beginning an `nn.Input`."""
        if isinstance(part, SymbolicTensor) and not len(self):
            self.input_shape = part.example
        else:
            super().append(part)
            self._build_early()
        return self

    def add(self, layer: Any) -> None:
        """Put a layer at the end: Keras' name for `append`."""
        self.append(layer)

    def _build_early(self) -> None:
        first = next(self.children(), None)
        if first is None:
            return
        if first.input_shape is not None:
            self.input_shape = first.input_shape
        if self.input_shape is not None and not self.built:
            self.build(self.input_shape)


class ModuleList(Listed):
    """A list whose modules are part of the model. It has no forward: loop over it.

    Args:  modules  any iterable of modules.
    """

    def __init__(self, modules: Any = ()) -> None:
        self._fill(modules)

    def __contains__(self, part: Any) -> bool:
        return any(part is own for own in self)


class ModuleDict(Container):
    """A dict whose modules are part of the model. It has no forward.

    Args:  modules  a mapping from names to modules, or pairs.
    """

    def __init__(self, modules: Any = ()) -> None:
        self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._parts()[key]

    def __setitem__(self, key: str, part: Module) -> None:
        self._put(key, part)

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts())

    def __contains__(self, key: Any) -> bool:
        return key in self._parts()

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parts().keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._parts().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._parts().items()

    def update(self, modules: Any) -> None:
        """Put in all of `modules`, a mapping or pairs."""
        for name, part in dict(modules).items():
            self._put(name, part)

    def pop(self, key: str) -> Module:
        """Take out and give the module at `key`."""
        part = self[key]
        delattr(self, key)
        return part


class Collecting(Module):
    """A module whose plain lists and dicts of modules are part of it, as in Keras.

    They become a ModuleList or ModuleDict: full ones when they are assigned, those that are filled
    later when somebody asks for the parts.

    >>> from pierian.nn.layers import Linear
    >>> class Net(Collecting):
    ...     def __init__(self):
    ...         self.blocks = []
    ...         self.blocks.append(Linear(3, 2))
    >>> [name for name, _ in Net().named_parameters()]
    ['blocks.0.weight', 'blocks.0.bias']
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _collected(value))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes, with their names."""
        for name, value in list(self.__dict__.items()):
            if (parts := _collected(value)) is not value:
                setattr(self, name, parts)
        return super().named_children()


COLLECTIONS: dict[type, Any] = {list: ModuleList, dict: ModuleDict}


def _collected(value: Any) -> Any:
    parts = value.values() if type(value) is dict else value
    if type(value) in COLLECTIONS and value and all(isinstance(part, Module) for part in parts):
        return COLLECTIONS[type(value)](value)
    return value
