"""What one batch does in a model: shapes and statistics of every layer, parameter and gradient.

May import: base, core, ops, module, parameter. The model runs once, with hooks that look at what
its layers give out; after that it is as before. To warn of another thing: a generator of
sentences in `WARNINGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import message
from pierian.base.table import Table
from pierian.core.autodiff import enable_grad, pullback, seed
from pierian.core.onlooker import Undo
from pierian.core.tensor import Tensor
from pierian.core.trace import changed
from pierian.nn.module import Module
from pierian.nn.parameter import Parameter

DEAD = 0.9  # a larger share of zeros is called dead
SHOWN = 8  # more names than this are counted, not listed
FAR = 1e3  # a spread that has grown or shrunk by more is called exploding or vanishing


@dataclass(frozen=True)
class Stats:
    """What an array holds. Numbers are of its finite elements, NaN where none is.

    zeros  the share of elements that are 0; bad, the number of NaN and inf; magnitude, mean |x|.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    mean: float
    std: float
    least: float
    greatest: float
    zeros: float
    bad: int
    magnitude: float

    @classmethod
    def of(cls, x: np.ndarray) -> Stats:
        """Those of `x`, computed in float64; complex numbers by their absolute values."""
        real = np.abs(x) if x.dtype.kind == "c" else x
        finite = real[np.isfinite(real)].astype(np.float64)
        measured = finite if finite.size else np.full(1, np.nan)
        mean, std, least, greatest = (float(f(measured)) for f in (np.mean, np.std, np.min, np.max))
        zeros = float(np.mean(real == 0)) if x.size else 0.0
        bad, magnitude = x.size - finite.size, float(np.abs(measured).mean())
        return cls(x.shape, x.dtype, mean, std, least, greatest, zeros, bad, magnitude)


@dataclass(frozen=True)
class LayerRow:
    """What went in, or what one call of a layer gave out.

    given  share of zeros in what the layer got.  weighty  whether it has parameters of its own.
    """

    path: str
    kind: str
    output: Stats
    given: float = 0.0
    weighty: bool = False

    @property
    def where(self) -> str:
        """The layer as warnings name it."""
        return f'{self.kind}("{self.path}")' if self.path else self.kind

    def cells(self) -> list[str]:
        """The row as text."""
        x = self.output
        numbers = [f"{n:.3g}" for n in (x.mean, x.std, x.least, x.greatest)]
        return [self.path, self.kind, str(x.shape), str(x.dtype), *numbers,
                f"{x.zeros:.0%}", str(x.bad or "")]  # fmt: skip


@dataclass(frozen=True)
class ParameterRow:
    """A parameter; gradient is None where none was asked for or none came, as `mark` says."""

    path: str
    value: Stats
    gradient: Stats | None
    mark: str

    def cells(self) -> list[str]:
        """The row as text."""
        x, g = self.value, self.gradient
        numbers = [x.mean, x.std, x.least, x.greatest]
        if g is not None:
            numbers += [g.magnitude, g.std, max(abs(g.least), abs(g.greatest))]
        texts = [f"{n:.3g}" for n in numbers] + [""] * (7 - len(numbers))
        bad = x.bad + (g.bad if g else 0)
        return [self.path, str(x.shape), str(x.dtype), *texts, self.mark, str(bad or "")]


LAYERS = ["<output of", "<layer", "<shape", "<dtype", "mean", "std", "min", "max", "zeros",
          "NaN/inf"]  # fmt: skip
PARAMETERS = ["<parameter", "<shape", "<dtype", "mean", "std", "min", "max", "mean |g|", "std g",
              "max |g|", "<", "NaN/inf"]  # fmt: skip


@dataclass(frozen=True)
class Debug:
    """What `pr.debug` gives: rows to read in Python, and a table in print and in notebooks."""

    layers: tuple[LayerRow, ...]
    parameters: tuple[ParameterRow, ...]
    loss: float | None
    warnings: tuple[str, ...]

    def _tables(self) -> Iterator[Table]:
        for head, rows in ((LAYERS, self.layers), (PARAMETERS, self.parameters)):
            if rows:
                yield Table(head, [row.cells() for row in rows]).without()

    def _ending(self) -> list[str]:
        loss = [] if self.loss is None else [f"loss {self.loss:.6g}"]
        return [*loss, *(f"! {warning}" for warning in self.warnings)]

    def __str__(self) -> str:
        tables = map(str, self._tables())
        return "\n\n".join([*tables, "\n".join(self._ending())]).rstrip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = [table._repr_html_() for table in self._tables()]
        return "".join([*tables, *(f"<p>{escape(line)}</p>" for line in self._ending())])


def debug(
    model: Module, x: Any, y: Any = None, loss: Callable[[Any, Any], Tensor] | None = None
) -> Debug:
    """Run one batch, in the mode that `model` is in, and show what every layer makes of it.

    The model, its mode, its buffers, its gradients and the random state are as before afterwards.
    (A model that waits for its first input to know its sizes is built first.)

    Shapes:  x (b, ...), or a tuple of inputs; y whatever `loss` takes.
    Args:    loss  a function (pred, y) of tensors to a single number; with it, and `y`, gradients
                   are shown too.
    Raises:  TypeError for one of `y` and `loss` without the other.

    >>> from pierian import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> report = debug(model, np.ones((4, 2), np.float32))
    >>> [(row.path, row.kind, row.output.shape) for row in report.layers]
    [('', 'input', (4, 2)), ('0', 'Linear', (4, 3)), ('1', 'ReLU', (4, 3))]
    """
    if (y is None) != (loss is None):
        raise TypeError(
            message("debug", "gradients need a loss and its target", "both y and loss, or neither",
                    "y only" if loss is None else "loss only",
                    "Pass both, like debug(model, x, y, nn.CrossEntropyLoss())")
        )  # fmt: skip
    if not model.built:
        model.build(x)
    given = tuple(x) if isinstance(x, tuple | list) else (x,)
    inputs = [model._tensor(a) if isinstance(a, np.ndarray) else a for a in given]
    before = [(module, dict(vars(module))) for module in Module.modules(model)]
    watch = Watch(model)
    value: float | None = None
    found: dict[Any, Tensor] = {}
    try:
        with Undo(), enable_grad():
            pred = model(*inputs)
            if loss is not None:
                total = loss(pred, model._tensor(y) if isinstance(y, np.ndarray) else y)
                found = _gradients(model, total)
                value = total.item()
    finally:
        for module, state in before:
            vars(module).clear()
            vars(module).update(state)
        changed()
    layers = (*_outputs("", "input", inputs), *watch.rows)
    parameters = [
        _parameter(path, p, found.get(p.node), loss is not None)
        for path, p in model.named_parameters()
    ]
    warnings = [text for warn in WARNINGS for text in warn(model, layers, parameters)]
    return Debug(layers, tuple(parameters), value, tuple(warnings))


def _gradients(model: Module, total: Tensor) -> dict[Any, Tensor]:
    """The gradients of the parameters by their nodes; `grad` of none is touched."""
    start = seed("debug", total, None)
    wanted = {p.node for p in model.parameters() if p.requires_grad}
    return {} if total.node is None else pullback([(total.node, start)], wanted, False, False)


def _parameter(path: str, p: Parameter, g: Tensor | None, asked: bool) -> ParameterRow:
    mark = "" if g is not None or not asked else "no gradient" if p.requires_grad else "frozen"
    return ParameterRow(path, Stats.of(p.value), None if g is None else Stats.of(g.value), mark)


class Watch:
    """Hooks on all modules that keep a row of what each call gives out."""

    def __init__(self, model: Module) -> None:
        self.rows: list[LayerRow] = []
        self.last: Any = None
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.handles = [module.register_forward_hook(self.look) for module in Module.modules(model)]

    def look(self, module: Module, args: Any, output: Any) -> None:
        """A row, unless the module only hands on what the last of its parts gave."""
        if output is self.last and any(module.children()):
            return
        self.last = output
        given = [Stats.of(t.value).zeros for t in trees.leaves(args) if isinstance(t, Tensor)]
        weighty = any(isinstance(value, Parameter) for value in vars(module).values())
        path, kind = self.paths[id(module)], type(module).__name__
        self.rows += _outputs(path, kind, output, max(given, default=0.0), weighty)


def _outputs(path: str, kind: str, value: Any, *rest: Any) -> Iterator[LayerRow]:
    for leaf in trees.leaves(value):
        if isinstance(leaf, Tensor | np.ndarray):
            yield LayerRow(path, kind, Stats.of(np.asarray(leaf)), *rest)


# Warnings: each gives sentences about (model, layers, parameters)


def _not_finite(_: Module, layers: Any, parameters: Any) -> Iterator[str]:
    for row in layers:
        if row.output.bad:
            what = "The input" if row.kind == "input" else f"The output of {row.where}"
            yield f"{what} is the first with NaN or inf: {row.output.bad} of them."
            break
    for row in parameters:
        if row.value.bad:
            yield f"Parameter {row.path} holds {row.value.bad} NaN or inf."
        elif row.gradient is not None and row.gradient.bad:
            yield f"The gradient of {row.path} has {row.gradient.bad} NaN or inf."


def _dead(_: Module, layers: Any, __: Any) -> Iterator[str]:
    for row in layers:
        if row.kind not in ("input", "Dropout") and row.output.zeros > DEAD >= row.given:
            yield (
                f"{row.where} gives {row.output.zeros:.0%} zeros: most of its units are dead for "
                "this batch. Lower the learning rate, look at its bias, or use LeakyReLU."
            )


def _far_off(_: Module, layers: Any, __: Any) -> Iterator[str]:
    rows = [row for row in layers if row.weighty]
    for row in rows[1:]:
        ratio = row.output.std / (rows[0].output.std or 1.0)
        if np.isfinite(ratio) and not 1 / FAR <= ratio <= FAR:
            word = "vanish" if ratio < 1 else "explode"
            yield (
                f"Activations {word}: from {rows[0].where} to {row.where} their spread changes by "
                f"a factor of {ratio:.2g}. Change the initial weights, or normalize in between."
            )
            break


def _untrained(_: Module, __: Any, parameters: Any) -> Iterator[str]:
    missing = [row.path for row in parameters if row.mark == "no gradient"]
    still = [row.path for row in parameters if row.gradient and row.gradient.zeros == 1.0]
    if missing:
        yield (
            f"No gradient reaches {_listed(missing)}: the loss does not depend on them. Is their "
            "layer called, and is there a detach() on the way?"
        )
    if still:
        yield f"Zero everywhere are the gradients of {_listed(still)}: they learn nothing here."


def _listed(names: list[str]) -> str:
    more = [f"… {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])


def _mixed_modes(model: Module, _: Any, __: Any) -> Iterator[str]:
    words = {True: "training", False: "eval"}
    for parent in Module.modules(model):
        for child in parent.children():
            if child.training != parent.training:
                verb = "train" if parent.training else "eval"
                yield (
                    f"{child.where()} is in {words[child.training]} mode inside "
                    f"{parent.where()} in {words[parent.training]} mode. If that is not meant, "
                    f"call model.{verb}()."
                )


WARNINGS = (_not_finite, _dead, _far_off, _untrained, _mixed_modes)
