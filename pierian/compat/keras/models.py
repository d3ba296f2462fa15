"""Models: Sequential, functional and subclassed. Training is `pr.train`'s, compiled as there.

May import: core, nn, io, train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pierian import io, nn
from pierian.base import trees
from pierian.base.errors import lookup, message
from pierian.compat.keras import losses, optimizers
from pierian.compat.keras.layer import Layer
from pierian.compat.keras.names import answer, refuse
from pierian.compat.keras.symbolic import FUNCTIONS, Call, Input, KerasTensor, record

PLACE = "$tensor"  # marks, in a config, an argument that is the tensor of this number


@dataclass(frozen=True, eq=False)
class Graph:
    """What a functional model computes: its calls in an order in which they can be made."""

    inputs: Any
    outputs: Any
    calls: tuple[Call, ...]

    def tensors(self) -> list[KerasTensor]:
        """All of them, numbered as configs number them."""
        made = [x for call in self.calls for x in call.outputs]
        return [*trees.leaves(self.inputs), *made]


class Model(Layer):
    """Keras' model: `Model(inputs, outputs)`, or a subclass that writes `call`.

    `fit`, `evaluate`, `predict`, `save`, `train_on_batch` … are those of every module.

    >>> from pierian.compat.keras import layers
    >>> x = Input(shape=(4,))
    >>> model = Model(x, layers.Dense(2)(x))
    >>> model.count_params()
    10
    """

    _graph: Graph | None = None

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        if inputs is None:
            return
        self._graph = Graph(inputs, outputs, tuple(_ordered(inputs, outputs)))
        self.input_shape = trees.map_tree(lambda x: x.example, inputs)
        parts = dict.fromkeys(call.fn for call in self._graph.calls)
        for i, part in enumerate(part for part in parts if isinstance(part, Layer)):
            self.add_module(str(i), part)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the graph gives; subclasses write their own."""
        graph = self._graph
        if graph is None:
            return super().call(*args, **kwargs)
        values = dict(zip(trees.leaves(graph.inputs), trees.leaves(args), strict=True))

        def now(x: Any) -> Any:
            return values[x] if isinstance(x, KerasTensor) else x

        for call in graph.calls:
            given, options = trees.map_tree(now, (call.args, call.kwargs))
            results = trees.leaves(call.fn(*given, **options))
            values.update(zip(call.outputs, results, strict=True))
        return trees.map_tree(now, graph.outputs)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers, in the order in which they became part of the model."""
        return list(self.children())

    def get_layer(self, name: str | None = None, index: int | None = None) -> nn.Module:
        """A layer by its name or its place."""
        if index is not None:
            return self.layers[index]
        known = {getattr(layer, "name", path): layer for path, layer in self.named_children()}
        return known[lookup("get_layer", "layer", name, known)]

    def summary(self, input_shape: Any = None, **options: Any) -> None:  # type: ignore[override]
        """Print the table of the layers; `nn.Module.summary(model)` gives it as an object."""
        print(super().summary(input_shape))

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, *,
        run_eagerly: bool = False, jit_compile: Any = "auto", **options: Any,
    ) -> None:  # fmt: skip
        """Choose how `fit` trains; see `pierian.train.compile`."""
        own = {"train_step": getattr(type(self), "train_step", None)}
        for option, given in (own | options).items():
            if given is not None and given != 1:
                raise refuse("compile", option)
        jit = False if run_eagerly or jit_compile is False else "auto"
        super().compile(optimizers.get(optimizer), losses.get(loss), metrics, jit=jit)

    def save_weights(self, path: Any) -> None:
        """Write the weights alone."""
        io.save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Read weights that `save_weights` or `save` wrote."""
        io.load_weights(self, path)

    def config(self) -> dict[str, Any]:
        """The graph of a functional model as JSON; of others, as in `pr.nn`."""
        graph = self._graph
        if graph is None:
            return super().config()
        number = {x: i for i, x in enumerate(graph.tensors())}
        paths = {id(layer): path for path, layer in self.named_children()}

        def place(x: Any) -> Any:
            return {PLACE: number[x]} if isinstance(x, KerasTensor) else x

        calls = [
            [paths.get(id(call.fn)) or f"${call.fn.__name__}", list(call.args), call.kwargs]
            for call in graph.calls
        ]
        inputs = trees.map_tree(lambda x: [*x.shape[1:], str(x.dtype)], graph.inputs)
        told = trees.map_tree(place, {"calls": calls, "outputs": graph.outputs})
        return {"name": self.name, "single": isinstance(graph.inputs, KerasTensor),
                "inputs": inputs, **told}  # fmt: skip

    @classmethod
    def from_config(cls, config: Mapping[str, Any], children: Any = None) -> Any:
        """The model that `config` described."""
        if "calls" not in config:
            return super().from_config(config, children)
        several = [config["inputs"]] if config["single"] else config["inputs"]
        inputs = [Input(tuple(shape), kind) for *shape, kind in several]
        tensors = list(inputs)

        def found(x: Any) -> Any:
            if isinstance(x, dict) and PLACE in x:
                return tensors[x[PLACE]]
            if isinstance(x, dict):
                return {key: found(part) for key, part in x.items()}
            return [found(part) for part in x] if isinstance(x, list) else x

        for name, args, kwargs in config["calls"]:
            fn = children[name] if name in children else FUNCTIONS[name.removeprefix("$")]
            tensors.extend(trees.leaves(record(fn, tuple(found(args)), found(kwargs))))
        given = inputs[0] if config["single"] else inputs
        return cls(given, found(config["outputs"]), name=config["name"])


def _ordered(inputs: Any, outputs: Any) -> Iterator[Call]:
    """The calls that lead from inputs to outputs, each after those whose results it needs."""
    known = set(trees.leaves(inputs))
    stack = [*trees.leaves(outputs)][::-1]
    while stack:
        call = stack[-1].call
        if stack[-1] not in known and call is None:
            raise ValueError(
                message("Model", "outputs must come from the inputs", "inputs that lead to them",
                        f"an Input of shape {stack[-1].shape} that is not among them",
                        "Pass every Input: Model([a, b], outputs)")
            )  # fmt: skip
        needed = [] if stack[-1] in known else [x for x in call.inputs() if x not in known]
        stack.extend(needed[::-1])
        if not needed and stack.pop() not in known:
            known.update(call.outputs)
            yield call


class Sequential(Model, nn.Sequential):
    """Layers one after the other; an Input or `input_shape=` builds them at once.

    >>> from pierian.compat.keras import layers
    >>> Sequential([Input((4,)), layers.Dense(3), layers.Dense(1)]).count_params()
    19
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        Layer.__init__(self, name=name)
        for layer in layers.values() if isinstance(layers, Mapping) else layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Put a layer at the end."""
        if isinstance(layer, KerasTensor):
            self.input_shape = layer.example
        else:
            self.append(layer)

    def pop(self) -> nn.Module:
        """Take off and give the last layer."""
        last = self.layers[-1]
        del self[-1]
        return last

    def _build_early(self) -> None:
        first = next(self.children(), None)
        if first is not None and first.input_shape is None:
            first.input_shape = self.input_shape
        super()._build_early()

    def config(self) -> dict[str, Any]:
        """The layers as they are now."""
        parts = {path: {"$module": path} for path, _ in self.named_children()}
        return {"layers": parts, "name": self.name}


def load_model(path: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model in a file that `model.save` wrote. Args: custom_objects  classes to register."""
    for cls in (custom_objects or {}).values():
        nn.register(cls)
    return io.load(path)


for _cls, _title in ((Model, "keras.Model"), (Sequential, "keras.Sequential")):
    _cls.__name__ = _title  # as files and errors call it: `nn.Sequential` is another class
    nn.register(_cls)

__getattr__ = answer(__name__, globals())
