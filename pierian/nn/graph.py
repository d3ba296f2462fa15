"""Graph: a model with branches, made by calling layers on symbolic tensors.

May import: base, core, module, parameter, registry, symbolic. What is called on what is kept as a
list of steps, whose arguments are numbers of values: the inputs first, then what each step gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from pierian.base import trees
from pierian.base.dtypes import as_dtype
from pierian.base.errors import message
from pierian.core.primitive import Spec
from pierian.nn.module import Module
from pierian.nn.parameter import Parameter
from pierian.nn.registry import encode
from pierian.nn.symbolic import Call, SymbolicTensor, function


class Place:
    """Stands in the arguments of a step for the value of this number."""

    def __init__(self, number: int) -> None:
        self.number = number


# the name of a part (a number) or function, its arguments, how many values it gives
Step = tuple[str, list[Any], dict[str, Any], int]


class Graph(Module):
    """The model that leads from `inputs` to `outputs`.

    Shapes:  those of the inputs (in a list, or one by one) -> those of the outputs.
    Args:    inputs   a symbolic tensor of `nn.Input`, or a list of them.
             outputs  what calls on them gave: one, or a list or dict.
    Raises:  ValueError when outputs need an Input that is not among `inputs`; TypeError for what
             is not symbolic, and for parameters that belong to no layer.

    >>> from pierian.nn import Input, Linear, ReLU
    >>> x = Input((8,))
    >>> h = ReLU()(Linear(8, 8)(x))
    >>> model = Graph(x, Linear(8, 2)(x + h))
    >>> model.count_params(), model.steps[2][0]
    (90, 'Tensor.__add__')
    """

    steps: list[Step]
    outputs: Any

    def __init__(self, inputs: Any, outputs: Any) -> None:
        for x in [inputs] if isinstance(inputs, dict) else trees.leaves([inputs, outputs]):
            if not isinstance(x, SymbolicTensor):
                raise TypeError(
                    message("Graph", "it leads from symbolic tensors to symbolic tensors",
                            "one or a list of nn.Input, and what calls on them gave",
                            f"a {type(x).__name__}", "Begin with x = nn.Input((784,))")
                )  # fmt: skip
        calls = list(_ordered(inputs, outputs))
        modules = dict.fromkeys(call.fn for call in calls if isinstance(call.fn, Module))
        names = {module: str(i) for i, module in enumerate(modules)}
        symbols = [*trees.leaves(inputs), *(x for call in calls for x in call.outputs)]
        places = {symbol: Place(i) for i, symbol in enumerate(symbols)}

        def placed(tree: Any) -> Any:
            return trees.map_tree(lambda x: places[x] if isinstance(x, SymbolicTensor) else x, tree)

        for module, name in names.items():
            self.add_module(name, module)
        self.steps = [
            (names.get(call.fn, call.fn), placed(list(call.args)), placed(call.kwargs),
             len(call.outputs))
            for call in calls
        ]  # fmt: skip
        own = {id(parameter) for _, parameter in self._named(Parameter)}
        if any(isinstance(x, Parameter) and id(x) not in own for x in trees.leaves(self.steps)):
            raise TypeError(
                message("Graph", "parameters must be part of a layer, or nothing would train them",
                        "layers", "a parameter by itself in a call",
                        "Make it an attribute of an nn.Module whose forward uses it")
            )  # fmt: skip
        self.outputs = placed(outputs)
        self.input_shape = tuple(Spec(x.shape[1:], x.dtype) for x in trees.leaves(inputs))
        self._arguments = (), {}  # symbolic tensors lead to all that was ever called on them

    def forward(self, *inputs: Any) -> Any:
        """The outputs for `inputs`."""
        values = trees.leaves(inputs)
        if len(values) != len(self.input_shape) or any(isinstance(x, dict) for x in inputs):
            raise TypeError(
                message(self.where(), "there must be a tensor per Input", len(self.input_shape),
                        [type(x).__name__ for x in inputs],
                        "Pass them in the order of Graph(inputs, outputs)")
            )  # fmt: skip

        def now(x: Any) -> Any:
            return values[x.number] if isinstance(x, Place) else x

        for name, *given, count in self.steps:
            args, kwargs = trees.map_tree(now, given)
            fn = self.__dict__[name] if name.isdigit() else function(name)
            found = trees.leaves(fn(*args, **kwargs))
            if len(found) != count:
                raise TypeError(
                    message(self.where(), f"step {name} must give what it gave an Input, in "
                            "training and in use", f"{count} tensors", len(found),
                            "Give the same in both")
                )  # fmt: skip
            values.extend(found)
        return trees.map_tree(now, self.outputs)

    def config(self) -> dict[str, Any]:
        """The steps as JSON. Raises: CheckpointError naming an argument that JSON cannot hold."""
        steps = [list(step) for step in self.steps]
        inputs = [[*spec.shape, str(spec.dtype)] for spec in self.input_shape]
        return {"inputs": inputs, "steps": self._told(steps), "outputs": self._told(self.outputs)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], children: Mapping[str, Module] | None = None
    ) -> Self:
        """The graph that `config` described, of the parts `children`."""
        graph = cls.__new__(cls)
        graph.steps = [tuple(_found(step)) for step in config["steps"]]
        graph.outputs = _found(config["outputs"])
        inputs = [Spec(tuple(shape), as_dtype(kind)) for *shape, kind in config["inputs"]]
        graph.input_shape = tuple(inputs)
        for name in dict.fromkeys(name for name, *_ in graph.steps):
            if children is not None and name in children:
                graph.add_module(name, children[name])
        return graph

    def extra_repr(self) -> str:
        """How large it is."""
        return f"inputs={len(self.input_shape)}, steps={len(self.steps)}"

    def _told(self, value: Any) -> Any:
        """`value` as JSON, from which `_found` makes it again."""
        for kind, (cls, parts, _) in KINDS.items():
            if isinstance(value, cls):
                return {kind: self._told(parts(value))}
        if isinstance(value, list):
            return [self._told(part) for part in value]
        return encode(self.where(), "of a step", value, {})


# what JSON lacks: mark -> (class, its parts as a list, how it is made of them)
KINDS: dict[str, tuple[type, Callable[[Any], list[Any]], Callable[..., Any]]] = {
    "$value": (Place, lambda x: [x.number], Place),
    "$slice": (slice, lambda x: [x.start, x.stop, x.step], slice),
    "$tuple": (tuple, list, lambda *parts: parts),
    "$ellipsis": (type(...), lambda x: [], lambda: ...),
    "$dict": (dict, lambda x: [list(pair) for pair in x.items()], lambda *pairs: dict(pairs)),
}


def _found(value: Any) -> Any:
    if isinstance(value, list):
        return [_found(part) for part in value]
    if not isinstance(value, dict):
        return value
    [[kind, parts]] = value.items()
    return KINDS[kind][2](*_found(parts))


def _ordered(inputs: Any, outputs: Any) -> Iterator[Call]:
    """The calls that lead from inputs to outputs, each after those whose results it needs."""
    known = set(trees.leaves(inputs))
    stack = trees.leaves(outputs)[::-1]
    while stack:
        call = stack[-1].call
        if stack[-1] not in known and call is None:
            raise ValueError(
                message("Graph", "outputs must come from the inputs", "inputs that lead to them",
                        f"an Input of shape {stack[-1].shape} that is not among them",
                        "Pass every Input: Graph([a, b], outputs)")
            )  # fmt: skip
        needed = [] if stack[-1] in known else [x for x in call.inputs() if x not in known]
        stack.extend(needed[::-1])
        if not needed and stack.pop() not in known:
            known.update(call.outputs)
            yield call
