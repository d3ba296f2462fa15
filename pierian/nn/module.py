"""Module: the base class of every layer and model, and the tensors it owns.

May import: base, core, ops, deferred, summary, symbolic. A module is an ordinary object whose
`forward` computes; parameters, buffers and other modules become part of it by being assigned to
attributes. To let one of your own be saved and loaded by name: `@nn.register` above the class.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import as_dtype, is_floating
from pierian.base.errors import CheckpointError, ShapeError, lookup, message
from pierian.core.autodiff import no_grad
from pierian.core.primitive import Spec
from pierian.core.tensor import Tensor, as_tensor, assign, mode
from pierian.core.trace import changed
from pierian.nn.deferred import from_json, once, shapes
from pierian.nn.parameter import Buffer, Parameter
from pierian.nn.registry import bind_arguments, construct, decode, encode
from pierian.nn.summary import Summary, run_once, summarize
from pierian.nn.symbolic import is_symbolic, record

# attributes that training sets, and no forward pass depends on
TRAINING = frozenset({"_recipe", "history", "optimizer", "stop_training"})
BUILT = "$built"  # under which configs keep the shape that `build` was called with
SHOWN_KEYS = 8  # more missing or wrong keys than this are counted, not listed

Owned = TypeVar("Owned", bound=Tensor)


@dataclass(frozen=True)
class LoadedKeys:
    """What `load_state_dict(strict=False)` had to leave: keys without a partner."""

    missing_keys: list[str]
    unexpected_keys: list[str]


@dataclass(frozen=True)
class Handle:
    """A registered hook; `remove()` takes it off again."""

    remove: Callable[[], None]


@contextlib.contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Whatever happens inside, every module is in its own mode (train or eval) again after it."""
    before = [(module, module.training) for module in Module.modules(model)]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def in_mode(
    module: Module, training: bool | None, call: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """What `call` of a module gives in training, in use, or (None) in the mode it is in.

    A call on symbolic tensors is a step of a graph that stays in this mode.
    """
    if training is not None and is_symbolic(args, kwargs):
        out = call(*args, **kwargs)
        trees.leaves(out)[0].call.kwargs["training"] = bool(training)
        return out
    if training is None or bool(training) == module.training:
        return call(*args, **kwargs)
    with modes_kept(module):
        module.train(bool(training))
        return call(*args, **kwargs)


class Training:
    """The attribute `training` of modules; what is traced depends on it where it is read."""

    def __get__(self, module: Module | None, owner: type) -> Any:
        state = {} if module is None else module.__dict__
        if mode.reader is not None:
            mode.reader.note(state, ["training"])
        return state.get("training", True)

    def __set__(self, module: Module, value: bool) -> None:
        if mode.reader is not None:
            mode.reader.note_change(module.__dict__, "training")
        module.__dict__["training"] = value
        changed()


class Module:
    """The base class of all layers and models. Subclasses write `forward`.

    A subclass whose parameters wait for the size of the first input makes them in a method
    `build(self, input_shape)`. It is run once, before the first call, with the shape of the first
    argument, None for the batch axis, (None, 784), or when it is called itself.

    Attributes that are parameters, buffers or modules are found by `parameters()`,
    `state_dict()` and the rest under their dotted names. There is no need to call
    `super().__init__()`.

    >>> from pierian.nn.layers import Linear
    >>> class Net(Module):
    ...     def __init__(self, width):
    ...         self.head = Linear(width, 2)
    ...     def forward(self, x):
    ...         return self.head(x)
    >>> net = Net(3)
    >>> [name for name, _ in net.named_parameters()]
    ['head.weight', 'head.bias']
    >>> net.head.where()
    'Linear("head")'
    """

    training: Any = Training()
    input_shape: Any = None  # of one example, where the layer was told
    _built: bool = True  # False in a layer that waits for its first input to know its sizes
    _shape: Any = None  # that `build` was called with
    _arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    _parent: Callable[[], Module | None] | None = None
    _name: str = ""
    _pre_hooks: tuple[Callable[..., Any], ...] = ()
    _hooks: tuple[Callable[..., Any], ...] = ()
    _inputs: tuple[Spec, ...] | None = None  # of one example, as the first call had them

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        module.__dict__.update(_arguments=(args, kwargs), training=True, _hooks=(), _pre_hooks=())
        return module

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in vars(cls):
            cls._built = False
            cls.build = once(cls.build)  # type: ignore[assignment, method-assign]

    def __init__(self) -> None: ...

    # Calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(
            message(self.where(), "a module that is called must say what it computes",
                    "a method forward", "none", "Write `def forward(self, x): ...` in the class")
        )  # fmt: skip

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if mode.reader is not None:
            mode.reader.note(self.__dict__, self.__dict__.keys() - TRAINING)
        others = [a for a in args if not isinstance(a, Tensor)]
        if others or kwargs:
            if is_symbolic(args, kwargs):
                with modes_kept(self):
                    return record(self.eval(), args, kwargs)
            args = tuple([self._tensor(a) if isinstance(a, np.ndarray) else a for a in args])
        for hook in self._pre_hooks:
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        if self._inputs is None:
            self._remember(args)
        try:
            if not self._built and type(self).build is not Module.build:
                self.build(shapes(*args[:1]))
            output = self.forward(*args, **kwargs)
        except Exception as error:
            self._name_layer(error, args)
            raise
        for hook in self._hooks:
            changed = hook(self, args, output)
            output = output if changed is None else changed
        return output

    def _tensor(self, array: np.ndarray) -> Tensor:
        """`array` as a tensor; NumPy's float64 default takes the dtype of the parameters."""
        if array.dtype == np.float64:
            own = (p.dtype for _, p in self._named(Parameter) if is_floating(p.dtype))
            return as_tensor(array, next(own, None))
        return as_tensor(array)

    def _remember(self, args: tuple[Any, ...]) -> None:
        if args and all(isinstance(a, Tensor) and a.ndim for a in args):
            self.__dict__["_inputs"] = tuple(Spec(a.shape[1:], a.dtype) for a in args)

    def _name_layer(self, error: Exception, args: tuple[Any, ...]) -> None:
        """Note on an error where it happened: in the innermost module, on what shapes."""
        if getattr(error, "__notes__", None) or str(error).startswith(self.where()):
            return
        shapes = ", ".join(
            str(a.shape) if isinstance(a, Tensor) else type(a).__name__ for a in args
        )
        error.add_note(f"in {self.where()}, called with {shapes or 'nothing'}")

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call `hook(module, args)` before each forward; what it returns replaces args."""
        return self._add_hook("_pre_hooks", hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call `hook(module, args, output)` after each forward; its result replaces output."""
        return self._add_hook("_hooks", hook)

    def _add_hook(self, kind: str, hook: Callable[..., Any]) -> Handle:
        object.__setattr__(self, kind, (*getattr(self, kind), hook))
        changed()

        def remove() -> None:
            kept = tuple(h for h in getattr(self, kind) if h is not hook)
            object.__setattr__(self, kind, kept)
            changed()

        return Handle(remove)

    # What belongs to it

    def __setattr__(self, name: str, value: Any) -> None:
        known = self.__dict__.get(name)
        if isinstance(known, Buffer) and isinstance(value, Tensor):
            if value is not known and not isinstance(value, Buffer):
                self._write(name, known, value)
                return
        elif isinstance(known, Parameter) and not isinstance(value, Parameter | None):
            raise TypeError(
                message(f"{self.where()}.{name}", "a parameter can only be replaced by another",
                        "nn.Parameter or None", f"a {type(value).__name__}",
                        "Wrap it in nn.Parameter, or write into the one that is there: "
                        f"`with pr.no_grad(): module.{name}.copy_(value)`")
            )  # fmt: skip
        elif isinstance(value, Module):
            self._adopt(name, value)
        elif isinstance(value, list | tuple | dict):
            self._refuse_orphans(name, value)
        object.__setattr__(self, name, value)
        changed()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        changed()

    def _write(self, name: str, buffer: Buffer, value: Tensor) -> None:
        if value.shape != buffer.shape:
            raise ShapeError(
                message(f"{self.where()}.{name}", "a buffer keeps its shape", buffer.shape,
                        value.shape, "Assign a new nn.Buffer")
            )  # fmt: skip
        with no_grad():
            assign(buffer, as_tensor(value, buffer.dtype), name)

    def _adopt(self, name: str, child: Module) -> None:
        """Tell `child` its place, unless it has one already."""
        if child is self or child in self._above():
            raise ValueError(
                message(f"{self.where()}.{name}", "a module cannot be a part of itself",
                        "a module that this one is no part of", child.where(),
                        "Keep a weakref.ref to it instead")
            )  # fmt: skip
        if child._place() is None:
            child.__dict__["_parent"] = weakref.ref(self)
            child.__dict__["_name"] = name

    def _refuse_orphans(self, name: str, value: Any) -> None:
        first = next(iter(value.values() if isinstance(value, dict) else value), None)
        if isinstance(first, Module) and first._place() is None:
            raise TypeError(
                message(f"{self.where()}.{name}", "modules in a plain collection are not "
                        "part of the model: nothing would train them",
                        "nn.ModuleList or nn.ModuleDict", f"a {type(value).__name__}",
                        "Write nn.ModuleList(...) around it")
            )  # fmt: skip

    def _place(self) -> tuple[Module, str] | None:
        """The module that this one is part of and its name there."""
        parent = self._parent() if self._parent is not None else None
        if parent is None or parent.__dict__.get(self._name) is not self:
            return None
        return parent, self._name

    def _above(self) -> list[Module]:
        """The modules that this one is part of, nearest first."""
        place = self._place()
        return [] if place is None else [place[0], *place[0]._above()]

    def where(self) -> str:
        """Class and path, as errors name it: 'Linear("layers.0")'."""
        parts = [self, *self._above()][-2::-1]
        path = ".".join(part._name for part in parts)
        return f'{type(self).__name__}("{path}")' if path else type(self).__name__

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """PyTorch's way to write `self.name = Buffer(tensor)`."""
        setattr(self, name, None if tensor is None else Buffer(tensor, persistent))

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """PyTorch's way to write `self.name = parameter`."""
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module) -> None:
        """Make `module` a part under `name`, which may be one that Python cannot spell."""
        if "." in name or not name or hasattr(type(self), name):
            raise ValueError(
                message(self.where(), "the name of a part must be free and without dots",
                        "a name that is not an attribute of the class", repr(name),
                        "Choose another name")
            )  # fmt: skip
        setattr(self, name, module)

    # Walking

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes, with their names."""
        for name, value in list(self.__dict__.items()):
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules that are attributes."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The module itself and everything below, each once, with dotted paths."""
        seen: set[int] = set()
        for path, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module

    def _walk(self, prefix: str) -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """The module itself and everything below, each once.

        Pierian itself writes `Module.modules(model)`: users' classes may have a list `modules`.
        """
        return (module for _, module in self.named_modules())

    def get_submodule(self, path: str) -> Module:
        """The module at a dotted path; "" is the module itself."""
        found = dict(self._walk(""))
        return found[path and lookup(self.where(), "path", path, filter(None, found))]

    def _named(self, kind: type[Owned], once: bool = True) -> Iterator[tuple[str, Owned]]:
        """The tensors of one kind and their paths; shared ones once, or under every path."""
        seen: set[int] = set()
        for path, module in self._walk(""):
            for name, value in list(module.__dict__.items()):
                if isinstance(value, kind) and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names, shared ones once.

        Raises:  ShapeError when a layer still waits for its first input to create its own.
        """
        for module in Module.modules(self):
            if not module._built:
                raise ShapeError(
                    message(module.where(), "parameters exist once the input size is known",
                            "input_shape=, build(input_shape) or a first call", "none of them",
                            "Call build with the shape of one example, like model.build((784,))")
                )  # fmt: skip
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, shared ones once; see `named_parameters`."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """All buffers with dotted names, shared ones once."""
        return self._named(Buffer)

    def buffers(self) -> Iterator[Buffer]:
        """All buffers, shared ones once."""
        return (buffer for _, buffer in self.named_buffers())

    # Changing all of it

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Behave as in training (dropout drops …), or not."""
        for module in Module.modules(self):
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Behave as in use: nothing random, nothing updated."""
        return self.train(False)

    def count_params(self) -> int:
        """How many numbers the parameters and buffers hold; see `summary` for a table.

        Raises:  ShapeError when a layer still waits for its first input to create its own.
        """
        return sum(tensor.numel() for tensor in (*self.parameters(), *self.buffers()))

    def requires_grad_(self, flag: bool = True) -> Self:
        """Ask for gradients of all parameters, or for none."""
        for parameter in self.parameters():
            parameter.requires_grad_(flag)
        return self

    def freeze(self) -> Self:
        """Train none of the parameters any more; `unfreeze` undoes it."""
        return self.requires_grad_(False)

    def unfreeze(self) -> Self:
        """Train all of the parameters."""
        return self.requires_grad_(True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def to(self, target: Any) -> Self:
        """Convert the floating parameters and buffers to a dtype; "cpu" is where all are."""
        if target == "cpu":
            return self
        dtype = as_dtype(target)
        for _, tensor in self._named(Tensor):
            if isinstance(tensor, Parameter | Buffer) and is_floating(tensor.dtype):
                tensor.value = tensor.value.astype(dtype)
                tensor.grad = None
        return self

    def double(self) -> Self:
        """Convert to float64."""
        return self.to("float64")

    # State

    def state_dict(self) -> dict[str, Tensor]:
        """Name -> tensor of all parameters and persistent buffers; memory is shared."""
        return {name: tensor.detach() for name, tensor in self._state().items()}

    def _state(self) -> dict[str, Tensor]:
        return {
            name: tensor
            for name, tensor in self._named(Tensor, once=False)
            if isinstance(tensor, Parameter) or (isinstance(tensor, Buffer) and tensor.persistent)
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, *, where: str = "load_state_dict"
    ) -> LoadedKeys:
        """Copy tensors or arrays into the parameters and buffers of the same names.

        Args:    strict  False leaves keys alone that only one side has, and reports them.
                 where   how errors call the act.
        Raises:  CheckpointError naming all missing, extra and wrong-shaped keys; nothing is
                 loaded then.
        """
        for path, module in self.named_modules():
            if not module._built:
                head = f"{path}." if path else ""
                module._build_for({k[len(head):]: v for k, v in state_dict.items()
                                   if k.startswith(head)})  # fmt: skip
        own = self._state()
        missing = [name for name in own if name not in state_dict]
        extra = [name for name in state_dict if name not in own]
        wrong = [
            f"{name}: file {np.shape(state_dict[name])}, model {tensor.shape}"
            for name, tensor in own.items()
            if name in state_dict and np.shape(state_dict[name]) != tensor.shape
        ]
        if wrong or (strict and (missing or extra)):
            raise CheckpointError(
                f"{where}: {_count(missing, 'missing key')}, {_count(extra, 'extra')}, "
                f"{_count(wrong, 'wrong shape')}. Nothing was loaded."
            )
        with no_grad():
            for name, tensor in own.items():
                if name in state_dict:
                    assign(tensor, as_tensor(state_dict[name], tensor.dtype), where)
        return LoadedKeys(missing, extra)

    def _build_for(self, state: Mapping[str, Any]) -> None:
        """Create waiting parameters so that `state` fits; layers with deferred sizes write it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_parent"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name, child in self.named_children():
            self._adopt(name, child)

    # Sizes

    @property
    def built(self) -> bool:
        """Whether every layer knows its sizes and has its parameters."""
        return all(module._built for module in Module.modules(self))

    def build(self, input_shape: Any) -> Self:
        """Create the parameters that wait for a first input, by running on a zero example.

        Args:  input_shape  of one example, without the batch axis; or a sample batch.
        """
        if type(self).build is Module.build:  # else the build of a subclass called this one
            run_once(self, input_shape)
        return self

    def summary(self, input_shape: Any = None) -> Summary:
        """A table of the layers: output shapes, parameters, FLOPs. Print it.

        Args:  input_shape  of one example, without the batch axis; or a sample batch. When None
                            and no layer knows it, shapes and FLOPs are left open.
        """
        return summarize(self, input_shape)

    # Saving

    def config(self) -> dict[str, Any]:
        """The constructor arguments as JSON values, from which `from_config` makes it again.

        An argument that is a part of the module is kept as a reference to it. Of a layer that
        was built it also tells for which shape, unless `_build_for` can do without.
        Raises:  CheckpointError naming the argument that JSON cannot hold.
        """
        bound = bind_arguments(self)
        bound.apply_defaults()
        paths = {id(module): path for path, module in self.named_modules()}
        told = dict(bound.arguments)
        if self._shape is not None and type(self)._build_for is Module._build_for:
            told[BUILT] = self._shape
        return {name: encode(self.where(), name, value, paths) for name, value in told.items()}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], children: Mapping[str, Module] | None = None
    ) -> Self:
        """A new module from what `config` gave; `children` are its direct parts, by name."""
        given = {k: decode(v, children or {}) for k, v in config.items()}
        shape = given.pop(BUILT, None)
        module = construct(cls, given)
        if shape is not None:
            module.build(from_json(shape))
        return module

    def save(self, path: Any) -> None:
        """Write architecture and weights to a file; `pr.load(path)` reads it."""
        from pierian import io

        io.save(self, path)

    def save_weights(self, path: Any) -> None:
        """Write the weights alone to a safetensors file; see `pierian.io.save_weights`."""
        from pierian import io

        io.save_weights(self, path)

    def load_weights(self, path: Any, strict: bool = True) -> LoadedKeys:
        """Read weights from a safetensors file; see `pierian.io.load_weights`."""
        from pierian import io

        return io.load_weights(self, path, strict)

    # Training: doors to pierian.train

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, *,
        jit: Any = "auto",
    ) -> None:  # fmt: skip
        """Choose how `fit` trains; see `pierian.train.compile`."""
        from pierian import train

        train.compile(self, optimizer, loss, metrics, jit=jit)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1,
        verbose: Any = "auto", callbacks: Any = None, validation_split: float = 0.0,
        validation_data: Any = None, shuffle: bool = True, class_weight: Any = None,
        sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None,
        validation_freq: Any = 1, *, resume: Any = None,
    ) -> Any:  # fmt: skip
        """Train on `x` and `y`; gives the History. See `pierian.train.fit`."""
        from pierian import train

        return train.fit(
            self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data,
            shuffle, class_weight, sample_weight, initial_epoch, steps_per_epoch,
            validation_steps, validation_batch_size, validation_freq, resume=resume,
        )  # fmt: skip

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss and metrics on `x` and `y`; see `pierian.train.evaluate`."""
        from pierian import train

        return train.evaluate(
            self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict
        )

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto",
        steps: int | None = None, callbacks: Any = None,
    ) -> Any:  # fmt: skip
        """The outputs for `x` as a NumPy array; see `pierian.train.predict`."""
        from pierian import train

        return train.predict(self, x, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One update; see `pierian.train.train_on_batch`."""
        from pierian import train

        return train.train_on_batch(self, x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch; see `pierian.train.test_on_batch`."""
        from pierian import train

        return train.test_on_batch(self, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch; see `pierian.train.predict_on_batch`."""
        from pierian import train

        return train.predict_on_batch(self, x)

    # Printing

    def extra_repr(self) -> str:
        """What `repr` says in the brackets: the plain arguments that are not defaults."""
        bound = bind_arguments(self)
        given: list[tuple[str, Any]] = []
        for name, value in bound.arguments.items():
            parameter = bound.signature.parameters[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                given += [("", part) for part in value]
            elif parameter.kind is parameter.VAR_KEYWORD:
                given += [(f"{key}=", part) for key, part in value.items()]
            elif not _plain(value) or value != parameter.default:
                given.append((f"{name}=", value))
        shown = [(head, v.item() if isinstance(v, np.generic) else v) for head, v in given]
        return ", ".join(f"{head}{value!r}" for head, value in shown if _plain(value))

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        children = [f"({path}): {child!r}" for path, child in self.named_children()]
        if not children:
            return f"{name}({extra})"
        lines = "\n".join([extra, *children] if extra else children).replace("\n", "\n  ")
        return f"{name}(\n  {lines}\n)"

    def _repr_html_(self) -> str:
        return summarize(self, run=False).table().without("?")._repr_html_()


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | None)


def _count(names: list[str], what: str) -> str:
    """'2 missing keys (a, b)'; the word "extra" and an empty list stand alone."""
    plural = "" if len(names) == 1 or what == "extra" else "s"
    more = [f"… {len(names) - SHOWN_KEYS} more"] if len(names) > SHOWN_KEYS else []
    listed = f" ({', '.join([*names[:SHOWN_KEYS], *more])})" if names else ""
    return f"{len(names)} {what}{plural}{listed}"
