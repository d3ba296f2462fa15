"""The table of a model: what each layer gives out, holds and costs.

May import: base, core, parameter. The model runs once on a zero example, in eval mode, while
`Counter` stands in the one door of all computation and counts. To count another primitive: a row
in `FLOPS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base.dtypes import float32, is_floating
from pierian.base.errors import ShapeError, message
from pierian.base.table import Table
from pierian.core.autodiff import no_grad
from pierian.core.primitive import REGISTRY, Spec
from pierian.core.tensor import Tensor, mode
from pierian.nn.parameter import Parameter


def _matmul_flops(out: np.ndarray, a: np.ndarray, _b: np.ndarray, ta: bool, tb: bool) -> int:
    return 2 * out.size * a.shape[-2 if ta else -1]


def _conv_flops(out: np.ndarray, a: np.ndarray, w: np.ndarray, **options: Any) -> int:
    """Padding counts as other pixels do; `size` is given where a transposed convolution widens."""
    return 2 * (a if "size" in options else out).size * (w.size // w.shape[0])


# Contractions only, a multiply-add as 2: what is left is small beside them.
FLOPS: dict[str, Any] = {"matmul": _matmul_flops, "conv": _conv_flops, "conv_input": _conv_flops}


@dataclass(frozen=True)
class Row:
    """One layer. None stands for what is not known before the model has run once."""

    path: str
    kind: str
    outputs: tuple[tuple[int, ...], ...] | None  # without the batch axis
    parameters: int | None
    trainable: int | None
    flops: int | None

    def cells(self) -> list[str]:
        """The row as text."""
        layer = f"{self.path} ({self.kind})" if self.path else self.kind
        shapes = "?" if self.outputs is None else " ".join(map(_shape, self.outputs))
        numbers = (self.parameters, self.trainable, self.flops)
        return [layer, shapes or "not called", *("?" if n is None else f"{n:,}" for n in numbers)]


@dataclass(frozen=True)
class Summary:
    """What `model.summary()` gives; its text is the table. Shared parameters count once."""

    name: str
    rows: tuple[Row, ...]
    parameters: int | None
    trainable: int | None
    flops: int | None  # of a forward pass of one example
    size: int  # of parameters and buffers, in bytes

    def table(self) -> Table:
        """The rows and their sum."""
        total = Row("", "total", None, self.parameters, self.trainable, self.flops).cells()
        total[1] = f"{self.size:,} bytes"
        head = [f"<{self.name}", "<output", "parameters", "trainable", "FLOPs"]
        return Table(head, [row.cells() for row in self.rows], total)

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['b', *map(str, shape)])})"


class Counter:
    """Stands where a tracer stands, computes at once, and counts FLOPs per running module."""

    def __init__(self) -> None:
        self.running: list[int] = []
        self.flops: dict[int, int] = {}
        self.outputs: dict[int, tuple[tuple[int, ...], ...]] = {}

    def add(self, name: str, values: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
        primitive = REGISTRY[name]
        primitive.shape(*values, **params)
        out = np.asarray(primitive.run(*values, **params))
        if name in FLOPS and self.running:
            here = self.running[-1]
            self.flops[here] = self.flops.get(here, 0) + FLOPS[name](out, *values, **params)
        return out

    def lift(self, tensor: Tensor) -> np.ndarray:
        return tensor.value

    def constant(self, array: np.ndarray) -> np.ndarray:
        return array

    def assign(self, target: Tensor, value: np.ndarray, moved: bool) -> None:
        np.copyto(target.value, value)

    def enter(self, module: Any, args: Any) -> None:
        self.running.append(id(module))

    def leave(self, module: Any, args: Any, output: Any) -> None:
        self.running.pop()
        parts = output if isinstance(output, tuple | list) else [output]
        shapes = tuple(part.shape[1:] for part in parts if isinstance(part, Tensor))
        self.outputs[id(module)] = shapes


def summarize(model: Any, input_shape: Any = None, run: bool = True) -> Summary:
    """The table of `model`; see `Module.summary`. Without `run`, what needs no run of it."""
    counter = None
    if run and any(known is not None for known in (input_shape, model._inputs, model.input_shape)):
        counter = Counter()
        run_once(model, input_shape, counter)
    rows: list[Row] = []
    seen: set[int] = set()
    for path, module in model.named_modules():
        own = [p for p in vars(module).values() if isinstance(p, Parameter) and id(p) not in seen]
        seen.update(map(id, own))
        flops = None if counter is None else counter.flops.get(id(module), 0)
        if own or flops or not any(module.children()):
            outputs = None if counter is None else counter.outputs.get(id(module), ())
            known = module._built
            count = sum(p.numel() for p in own) if known else None
            trainable = sum(p.numel() for p in own if p.requires_grad) if known else None
            rows.append(Row(path, type(module).__name__, outputs, count, trainable, flops))
    memory = {id(t): t.value.nbytes for t in model._state().values()}
    return Summary(
        type(model).__name__, tuple(rows),
        _total([row.parameters for row in rows]), _total([row.trainable for row in rows]),
        _total([row.flops for row in rows]), sum(memory.values()),
    )  # fmt: skip


def _total(numbers: list[int | None]) -> int | None:
    known = [n for n in numbers if n is not None]
    return sum(known) if len(known) == len(numbers) else None


def run_once(model: Any, input_shape: Any = None, counter: Counter | None = None) -> None:
    """Call `model` on a zero example (or a sample), changing nothing but what is not yet built."""
    known = model.input_shape if model._inputs is None else model._inputs
    modules = [module for _, module in model.named_modules()]
    with contextlib.ExitStack() as after, no_grad():
        for module in modules:
            after.callback(setattr, module, "training", module.training)
            if counter is not None:
                after.callback(module.register_forward_pre_hook(counter.enter).remove)
                after.callback(module.register_forward_hook(counter.leave).remove)
        after.callback(setattr, mode, "tracer", mode.tracer)
        mode.tracer = counter
        model.eval()
        model(*_examples(model, known if input_shape is None else input_shape))


def _examples(model: Any, spec: Any) -> Iterator[Any]:
    """The inputs of one example that `spec` describes: a shape, a sample, or several of them."""
    if isinstance(spec, Tensor | np.ndarray):
        yield spec[:1]
    elif isinstance(spec, Spec) and not is_floating(spec.dtype):
        yield Tensor(np.zeros((1, *spec.shape), spec.dtype))
    elif isinstance(spec, Spec):
        yield from _examples(model, spec.shape)
    elif isinstance(spec, int):
        yield from _examples(model, (spec,))
    elif all(isinstance(n, int | None) for n in spec):
        sizes = tuple(spec)[1:] if spec and spec[0] is None else tuple(spec)
        if None in sizes:
            raise ShapeError(
                message(model.where(), "input_shape gives every axis of one example",
                        "whole numbers (None only for the batch axis)", tuple(spec),
                        "Leave the batch axis out, like (784,) or (1, 28, 28)")
            )  # fmt: skip
        kinds = (t.dtype for t in model._state().values() if is_floating(t.dtype))
        yield Tensor(np.zeros((1, *sizes), next(kinds, float32)))
    else:
        for part in spec:
            yield from _examples(model, part)
