"""The computation graph of a tensor, or of a model: what the tape holds, as boxes and arrows.

May import: base, core, nn, figure, drawing. The tape is only read: gradients are carried back
here, edge by edge, and nothing is freed or accumulated. To fold graphs in another way: a function
that gives each operation its group, like `_chains`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.base.errors import GradError, message
from pierian.core.autodiff import CustomNode, _pull, enable_grad, no_grad, reachable
from pierian.core.onlooker import Undo
from pierian.core.tensor import Leaf, Tensor, bind, clock
from pierian.core.trace import changed
from pierian.nn.module import Module
from pierian.viz.drawing import Arrow, Box, Drawing
from pierian.viz.figure import short

WHOLE = 24  # operations up to which a graph is drawn whole
MANY = 40  # boxes of a model, above which modules that hold modules are drawn as one
FEW = 4  # elements of a vector up to which they are written out
DEEP = 9  # layers of boxes up to which they go from left to right
LEGEND = "→ values go forward    ⇠ gradients of the result come back"

# How an input that the tape did not keep follows from the result and the other input
UNDONE: dict[str, Any] = {
    "add": lambda y, other, position: y - other,
    "sub": lambda y, other, position: other - y if position else y + other,
}


def graph(
    target: Any, *inputs: Any, names: Any = None, values: bool = True, gradients: bool = True,
    fold: bool | None = None, depth: int | None = None,
) -> Drawing:  # fmt: skip
    """The computation graph of a tensor, with values on boxes and gradients on arrows back.

    A gradient at an arrow is what comes back along it, of the sum of the target; of more than 4
    numbers their norm is written. Nothing changes: `backward` may be called before, with
    `retain_graph=True`, or after. Where the tape is freed, leaves show the `.grad` they have.

    Args:    target     a tensor with a history; or a model, which runs once on `inputs` and is
                        as before afterwards.
             names      name -> tensor, to call them in the picture; or the model they belong to.
             values     write values (of up to 4 numbers) or shapes.
             gradients  draw the way back too; for models there is none.
             fold       draw chains of operations, or the calls of modules, as one box each; by
                        default where there are more than 24 operations, and for models.
             depth      for models: how many levels of modules are opened; by default as many as
                        give 40 boxes at most.
    Returns: a picture for notebooks with `svg`, `dot`, `mermaid` and `save(path)`.
    Raises:  GradError for a tensor without a history; TypeError for anything else.

    >>> import pierian as pr
    >>> x, w = pr.tensor(2.0, requires_grad=True), pr.tensor(3.0, requires_grad=True)
    >>> drawing = graph(x * w, names={"x": x, "w": w})
    >>> [box.lines for box in drawing.boxes]
    [('x', '2'), ('w', '3'), ('mul', '6')]
    >>> [arrow.back for arrow in drawing.arrows]
    ['3', '2']
    """
    if isinstance(target, Module):
        return _of_model(target, inputs, values, fold, depth)
    if not isinstance(target, Tensor) or inputs:
        raise TypeError(
            message("graph", "target must be a tensor, or a model with its inputs",
                    "graph(loss) or graph(model, x)", f"a {type(target).__name__}",
                    "Pass the result of a computation")
        )  # fmt: skip
    if target.is_leaf:
        raise GradError(
            message("graph", "the tensor must depend on one that requires gradients",
                    "a result of recorded operations", "a tensor without history",
                    "Call requires_grad_() on the inputs before computing it")
        )  # fmt: skip
    tape = Tape([target], _names(names))
    flows = _gradients(tape, target) if gradients else None
    if len(tape.operations) > WHOLE if fold is None else fold:
        return _folded(tape, _chains(tape), {}, values, flows)
    return _whole(tape, values, gradients, flows)


def _names(names: Any) -> dict[Any, str]:
    """The name of each leaf or operation; of a tensor that only a closed tape knew, its own."""
    named: Mapping[str, Any] = {}
    if names is not None:
        named = dict(names.named_parameters() if isinstance(names, Module) else names)
    return {t if t.node is None else t.node: name for name, t in named.items()}


class Tape:
    """What was recorded for some results: operations and leaves, earliest first."""

    def __init__(self, results: list[Tensor], names: dict[Any, str]) -> None:
        self.results = {t.node for t in results}
        self.nodes = reachable(self.results)[::-1]
        leaves = {node: node.tensor() for node in self.nodes if type(node) is Leaf}
        self.names = names | {node: names[t] for node, t in leaves.items() if t in names}
        self.operations = [node for node in self.nodes if type(node) is not Leaf]
        self.users: dict[Any, list[Any]] = {node: [] for node in self.nodes}
        for node in self.operations:
            for parent in node.parents:
                if parent is not None:
                    self.users[parent].append(node)
        self.known: dict[Any, Any] = {t.node: t.value for t in results}  # arrays
        self.shapes: dict[Any, tuple[int, ...]] = {}
        self.constants: dict[tuple[Any, int], Any] = {}  # of inputs without gradient
        self._read()
        for node in self.operations:
            self._replay(node)

    def _read(self) -> None:
        """Take the values and shapes that the tape has kept."""
        for node in self.nodes:
            if type(node) is Leaf:
                leaf = node.tensor()
                if leaf is not None:
                    self.known[node] = leaf.value
                continue
            if isinstance(node, CustomNode):
                for parent, shape in zip(node.parents, node.shapes or (), strict=False):
                    self.shapes.setdefault(parent, shape)
                continue
            self._keep(node, node.output)
            for i, entry in enumerate(node.saved or ()):
                self._keep((node, i) if node.parents[i] is None else node.parents[i], entry)
        for node, value in self.known.items():
            self.shapes[node] = value.shape

    def _keep(self, place: Any, entry: Any) -> None:
        store = self.constants if type(place) is tuple else self.known
        if isinstance(entry, np.ndarray):
            store.setdefault(place, entry)
        elif entry is not None:
            self.shapes.setdefault(place, entry[0])

    def _replay(self, node: Any) -> None:
        """Find a small value that was not kept, or the input that leads to one that was."""
        if isinstance(node, CustomNode):
            return
        values = [self.known.get(p) if p is not None else self.constants.get((node, i))
                  for i, p in enumerate(node.parents)]  # fmt: skip
        missing = [i for i, value in enumerate(values) if value is None]
        size = np.prod(self.shapes.get(node, (FEW + 1,)))
        if not missing and node not in self.known and size <= FEW:
            self.known[node] = np.asarray(node.primitive.run(*values, **node.params))
        elif len(missing) == 1 and node in self.known and node.name in UNDONE:
            (i,) = missing
            y, other = self.known[node], values[1 - i]
            if node.parents[i] is None and self.shapes.get((node, i)) == y.shape:
                self.constants[node, i] = UNDONE[node.name](y, other, i)

    def text(self, place: Any) -> str:
        """The value at a place, or its shape; empty where neither is known."""
        value = self.constants.get(place) if type(place) is tuple else self.known.get(place)
        if value is not None and (value.size == 1 or (value.ndim == 1 and value.size <= FEW)):
            return _short(value)
        shape = self.shapes.get(place) if value is None else value.shape
        return "" if shape is None else str(tuple(shape))


def _short(value: np.ndarray) -> str:
    """Few numbers as text."""
    numbers = [f"{x:.4g}" for x in np.ravel(value).tolist()]
    return numbers[0] if not value.ndim else f"[{', '.join(numbers)}]"


def _size(g: np.ndarray) -> str:
    """A gradient as text: few numbers, or the norm of many."""
    small = g.size and (g.size == 1 or (g.ndim == 1 and g.size <= FEW))
    return _short(g) if small else f"‖g‖ {np.linalg.norm(np.ravel(g)):.3g}"


Flows = dict[tuple[Any, int], Any] | None  # gradients by operation and position of its input


def _gradients(tape: Tape, target: Tensor) -> Flows:
    """What comes back along each edge; None where the tape has been freed."""
    flows: dict[tuple[Any, int], Any] = {}
    start = bind("full", shape=target.shape, value=1.0, dtype=target.dtype).detach()
    pending: dict[Any, Any] = {target.node: start}
    try:
        with no_grad():
            for node in reversed(tape.operations):
                g = pending.pop(node, None)
                if g is None:
                    continue
                wanted = [parent is not None for parent in node.parents]
                custom = isinstance(node, CustomNode)
                grads = node.pull(g) if custom else _pull(node, g, wanted)
                for i, (parent, gx) in enumerate(zip(node.parents, grads, strict=True)):
                    if parent is None or gx is None:
                        continue
                    pending[parent] = pending[parent] + gx if parent in pending else gx
                    if isinstance(gx, Tensor):
                        flows[node, i] = gx.numpy()
    except GradError:
        return None
    return flows


# Whole: a box for each operation, leaf and constant


def _whole(tape: Tape, values: bool, gradients: bool, flows: Flows) -> Drawing:
    boxes: list[Box] = []
    numbers: dict[Any, int] = {}
    arrows: list[Arrow] = []

    def add(place: Any, title: str, kind: str, *more: str) -> None:
        lines = (title, *([tape.text(place)] if values else []), *more)
        numbers[place] = len(boxes)
        boxes.append(Box(tuple(line for line in lines if line), kind))

    for node in [n for n in tape.nodes if type(n) is Leaf]:
        leaf = node.tensor()
        left = [] if not gradients or flows is not None or leaf is None or leaf.grad is None else [
            f"grad {_size(leaf.grad.numpy())}"
        ]  # fmt: skip
        add(node, short(tape.names.get(node, "leaf")), "leaf", *left)
    for node in tape.operations:
        for i, parent in enumerate(node.parents):
            if parent is None:
                add((node, i), "constant", "constant")
        kind = "result" if node in tape.results else "operation"
        name = tape.names.get(node)
        add(node, f"{name} = {_word(node)}" if name else _word(node), kind)
        for i, parent in enumerate(node.parents):
            flow = (flows or {}).get((node, i))
            back = None if flow is None else _size(flow)
            arrows.append(Arrow(numbers[(node, i) if parent is None else parent], numbers[node],
                                back))  # fmt: skip
    return _drawing(boxes, arrows, flows)


def _drawing(boxes: list[Box], arrows: list[Arrow], flows: Flows) -> Drawing:
    ranks = [0] * len(boxes)
    for a in arrows:
        ranks[a.head] = max(ranks[a.head], ranks[a.tail] + 1)
    legend = LEGEND if flows else ""
    return Drawing(tuple(boxes), tuple(arrows), max(ranks, default=0) < DEEP, legend)


# Folded: operations that belong together share a box


def _chains(tape: Tape) -> dict[Any, Any]:
    """The first operation of the chain that each one belongs to.

    A chain goes on while there is one way in and one way out, until parameters of another module
    come in; of those without names, all but the ones that are added.
    """
    firsts: dict[Any, Any] = {}
    owners: dict[Any, str] = {}
    for node in tape.operations:
        leaves = [p for p in node.parents if type(p) is Leaf]
        before = [p for p in node.parents if p is not None and type(p) is not Leaf]
        named = [tape.names[p].rpartition(".")[0] for p in leaves if p in tape.names]
        owner = named[0] if named else None
        joins = len(before) == 1 and len(tape.users[before[0]]) == 1
        if joins and leaves:
            known = owners.get(firsts[before[0]])
            joins = node.name == "add" if owner is None else owner == known
        firsts[node] = firsts[before[0]] if joins else node
        if owner is not None:
            owners.setdefault(firsts[node], owner)
    return firsts


@dataclass(frozen=True)
class Call:
    """One call of a module: what was recorded between two times of the tape."""

    title: str
    level: int
    start: int
    end: int


def _of_model(
    model: Module, inputs: tuple[Any, ...], values: bool, fold: bool | None, depth: int | None
) -> Drawing:
    """The graph of a model for one batch, folded by the calls of its modules."""
    if not model.built:
        model.build(inputs[0] if len(inputs) == 1 else inputs)
    given = [model._tensor(np.asarray(x)).detach() for x in inputs]
    names = {p.node: name for name, p in model.named_parameters() if p.node is not None}
    for i, x in enumerate(given):
        if is_floating(x.dtype):
            x.requires_grad_()
            names[x.node] = "input" if len(given) == 1 else f"input {i}"
    before = [(module, dict(vars(module))) for module in Module.modules(model)]
    calls: list[Call] = []
    _listen(model, calls)
    try:
        with Undo(), enable_grad():
            out = model(*given)
    finally:
        for module, state in before:
            vars(module).clear()
            vars(module).update(state)
        changed()
    results = [t for t in trees.leaves(out) if isinstance(t, Tensor) and not t.is_leaf]
    if not results:
        must, fix = "the model must compute what can have gradients", "Unfreeze a parameter"
        raise GradError(message("graph", must, "a recorded result", "none", fix))
    tape = Tape(results, names)
    if fold is False:
        return _whole(tape, values, False, None)
    deepest = max((call.level for call in calls), default=0)
    for level in range(deepest, -1, -1) if depth is None else [depth]:
        chosen = [c for c in calls if c.level == level or (c.level < level and _last(c, calls))]
        groups = _by_call(tape, chosen)
        if len(set(groups.values())) <= MANY:
            break
    return _folded(tape, groups, {c: c.title for c in chosen}, values, None)


def _listen(model: Module, calls: list[Call]) -> None:
    """Hooks that note the times of all calls; they go when the model's state is put back."""
    for path, module in model.named_modules():
        starts: list[int] = []
        title = f"{path} {type(module).__name__}".lstrip()
        level = path.count(".") + 1 if path else 0

        def begin(_: Any, args: Any, starts: list[int] = starts) -> None:
            starts.append(next(clock))

        def end(
            _: Any, args: Any, out: Any, starts: list[int] = starts, title: str = title,
            level: int = level,
        ) -> None:  # fmt: skip
            calls.append(Call(title, level, starts.pop(), next(clock)))

        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end)


def _last(call: Call, calls: list[Call]) -> bool:
    """Whether no other call was inside this one."""
    return not any(call.start < other.start and other.end < call.end for other in calls)


def _by_call(tape: Tape, calls: list[Call]) -> dict[Any, Any]:
    """The call that each operation was made in; itself for one outside of all."""
    return {
        node: next((c for c in calls if c.start < node.time < c.end), node)
        for node in tape.operations
    }


def _folded(
    tape: Tape, groups: dict[Any, Any], titles: dict[Any, str], values: bool, flows: Flows
) -> Drawing:
    boxes: list[Box] = []
    numbers: dict[Any, int] = {}
    members: dict[Any, list[Any]] = {}
    for node, group in groups.items():
        members.setdefault(group, []).append(node)
    held = {leaf: {groups[user] for user in tape.users[leaf]} for leaf in tape.nodes
            if type(leaf) is Leaf}  # fmt: skip
    inside = {leaf for leaf, users in held.items() if len(users) == 1 and not _is_input(tape, leaf)}
    for leaf in [leaf for leaf in held if leaf not in inside]:
        numbers[leaf] = len(boxes)
        lines = [short(tape.names.get(leaf, "leaf")), tape.text(leaf) if values else ""]
        boxes.append(Box(tuple(line for line in lines if line), "leaf"))
    for group, nodes in members.items():
        numbers[group] = len(boxes)
        mine = [leaf for leaf in inside if groups[tape.users[leaf][0]] is group]
        boxes.append(_group(tape, titles.get(group), nodes, mine, values))
    sums: dict[tuple[int, int], dict[Any, Any]] = {}
    for node in tape.operations:
        for i, parent in enumerate(node.parents):
            tail = numbers.get(groups.get(parent, parent)) if parent is not None else None
            head = numbers[groups[node]]
            if tail is not None and tail != head:
                found = sums.setdefault((tail, head), {})
                g = (flows or {}).get((node, i))
                if g is not None:
                    found[parent] = found[parent] + g if parent in found else g
    arrows = [Arrow(*pair, "; ".join(map(_size, found.values())) if found else None)
              for pair, found in sums.items()]  # fmt: skip
    return _drawing(boxes, arrows, flows)


def _is_input(tape: Tape, leaf: Any) -> bool:
    return tape.names.get(leaf, "").split(" ")[0] == "input"


def _group(tape: Tape, title: str | None, nodes: list[Any], leaves: list[Any], values: bool) -> Box:
    """The box of some operations and the parameters that only they use."""
    words = " · ".join(_counted([_word(node) for node in nodes]))
    lines = [short(title or words)]
    owners = {tape.names[leaf].rpartition(".")[0] for leaf in leaves if leaf in tape.names}
    if title is not None or any(owners):
        lines = [short(title or ", ".join(sorted(filter(None, owners)))), short(words, 36)]
    count = sum(int(np.prod(tape.shapes.get(leaf, (0,)))) for leaf in leaves)
    facts = [tape.text(nodes[-1])] if values else []
    facts += [f"{count:,} parameters"] if count else []
    ends = any(node in tape.results for node in nodes)
    kind = "result" if ends else "module" if title is not None or leaves else "operation"
    return Box(tuple(line for line in [*lines, *facts] if line), kind)


def _word(node: Any) -> str:
    """What an operation is called."""
    return "function" if node.name == "<lambda>" else node.name


def _counted(names: list[str]) -> Iterator[str]:
    """Names in their order, those that come again with how often."""
    for name in dict.fromkeys(names):
        count = names.count(name)
        yield name if count == 1 else f"{count} {name}"
