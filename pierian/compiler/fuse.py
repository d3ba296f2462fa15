"""Fusion: which values get memory, and which equations share a loop.

May import: affine, element, base, core. A value gets memory when something outside of its loop
reads it; everything else exists only in registers. Kernels run in the order of the list; a value
joins the earliest loop over its own index space that already has what it needs, which is how an
optimizer's update moves into the loop, or the matrix product, that computes the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from pierian.compiler import convolution
from pierian.compiler.affine import Affine, divide, linear, row_major
from pierian.compiler.affine import reshape as reshape_indices
from pierian.compiler.element import DIVISION, FLOAT_ONLY, pointwise, supported
from pierian.core.graph import Equation, Graph, Symbol

Indices = tuple[Affine, ...]
DRAWS = {"random_bits", "random_normal"}
MOVEMENTS = {"reshape", "permute", "expand", "slice", "flip", "pad"}
REDUCTIONS = {"sum", "prod", "max", "min", "any", "all"}
PRODUCTS = {"matmul", *convolution.PRODUCTS}
OWN_LOOP = {
    "argmax", "argmin", "cumsum", "concat", "scatter", "scatter_add", "pixels_pool_grad",
}  # fmt: skip
TURNED = 1 << 12  # elements that are not computed along other rows than their own
MOST_FUSED = 64  # equations evaluated inside one loop: bounds the size of the code
RECOMPUTED = 4  # equations that are cheaper to do twice than to store and load
COSTLY = DRAWS.union(FLOAT_ONLY)  # those that are not, one alone


@dataclass(frozen=True)
class Condition:
    """What must hold of an index for an element to be read: low <= index <= high, or a multiple."""

    index: Affine
    low: int
    high: int
    multiple: int = 1


@dataclass(frozen=True)
class Operand:
    """An input of an equation, at the indices where the equation reads it."""

    symbol: Symbol
    indices: Indices
    conditions: tuple[Condition, ...] = ()


@dataclass(eq=False)
class Kernel:
    """One loop nest, contraction, or call of NumPy.

    kind: "nest" (pointwise over `space`), "reduce", "matmul", "host", or a name of OWN_LOOP.
    `equation` is what is reduced, contracted or called; `roots` are computed pointwise over `space`
    (for all kinds but "host" and OWN_LOOP), from it or beside it.
    """

    kind: str
    space: tuple[int, ...]
    equation: Equation | None = None
    roots: list[Symbol] = field(default_factory=list)
    reads: set[Symbol] = field(default_factory=set)

    @property
    def writes(self) -> list[Symbol]:
        own = [self.equation.output] if self.equation is not None else []
        return own + [root for root in self.roots if root not in own]


def operands(equation: Equation, at: Indices) -> list[Operand]:
    """Where `equation` reads its inputs for the element `at` of its output."""
    name, params = equation.primitive, equation.params
    if name in DRAWS:  # the seed and the first block of the state
        return [Operand(equation.inputs[0], (Affine((), i),)) for i in range(2)]
    if name not in MOVEMENTS:
        return [Operand(s, broadcast_indices(s.shape, at)) for s in equation.inputs]
    x = equation.inputs[0]
    if name == "reshape":
        return [Operand(x, reshape_indices(at, equation.output.shape, x.shape))]
    if name == "permute":
        order = params["axes"]
        return [Operand(x, tuple(at[order.index(i)] for i in range(len(order))))]
    if name == "expand":
        return [Operand(x, broadcast_indices(x.shape, at))]
    if name == "flip":
        flipped = [i * -1 + (n - 1) if axis in params["axes"] else i
                   for axis, (i, n) in enumerate(zip(at, x.shape, strict=True))]  # fmt: skip
        return [Operand(x, tuple(flipped))]
    if name == "slice":
        starts, steps = params["starts"], params["steps"]
        moved = [i * step + start for i, start, step in zip(at, starts, steps, strict=True)]
        return [Operand(x, tuple(moved))]
    return [_pad_operand(equation, at)]


def _pad_operand(equation: Equation, at: Indices) -> Operand:
    x, params = equation.inputs[0], equation.params
    indices, conditions = [], []
    for i, n, low, between in zip(at, x.shape, params["low"], params["interior"], strict=True):
        shifted = i + -low
        last = max(n - 1, 0) * (between + 1)
        if shifted.bounds[0] < 0 or shifted.bounds[1] > last or between or not n:
            conditions.append(Condition(shifted, 0, last if n else -1, between + 1))
        step = between + 1
        indices.append(divide(shifted, step)[0])
    return Operand(x, tuple(indices), tuple(conditions))


def broadcast_indices(shape: tuple[int, ...], at: Indices) -> Indices:
    """The indices into an operand of `shape` that is stretched to the space of `at`."""
    own = at[len(at) - len(shape) :] if shape else ()
    return tuple(i if n != 1 else Affine() for i, n in zip(own, shape, strict=True))


def inlined(equation: Equation, constants: Mapping[Symbol, np.ndarray]) -> bool:
    """Whether one element of the output is computed from elements of the inputs."""
    name = equation.primitive
    if name in DIVISION and equation.output.dtype.kind in "iu":
        divisor = constants.get(equation.inputs[1])
        if divisor is None or not divisor.all():
            return False  # it may be 0: NumPy's executor says so
    kinds = [s.dtype for s in equation.inputs] + [equation.output.dtype]
    if not all(supported(dtype) for dtype in kinds):
        return False
    if name in MOVEMENTS | DRAWS or name in ("where", "cast", "arange", "index"):
        return True
    return pointwise(name, [s.dtype for s in equation.inputs]) is not None


def kind_of(equation: Equation, constants: Mapping[Symbol, np.ndarray]) -> str:
    """Which kind of kernel computes `equation`."""
    name = equation.primitive
    if inlined(equation, constants):
        return "nest"
    if not all(supported(s.dtype) for s in (*equation.inputs, equation.output)):
        return "host"
    if name in REDUCTIONS:
        return "reduce"
    if (
        name in PRODUCTS
        and equation.output.dtype.kind == "f"
        and equation.output.dtype.itemsize > 2
    ):
        return "matmul"
    return name if name in OWN_LOOP else "host"


def unshaped(symbol: Symbol, made: Mapping[Symbol, Equation]) -> Symbol:
    """What `symbol` was before it was reshaped."""
    while symbol in made and made[symbol].primitive == "reshape":
        symbol = made[symbol].inputs[0]
    return symbol


class Fusion:
    """The kernels of a graph, and which symbols have memory."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made = {equation.output: equation for equation in graph.equations}
        self.kinds = {e.output: kind_of(e, graph.constants) for e in graph.equations}
        self.stored = set(graph.inputs) | {s for s, v in graph.constants.items() if v.size != 1}
        self.stored |= self._materialized()
        self.kernels: list[Kernel] = []
        self.home: dict[Symbol, int] = {}  # stored symbol -> number of the kernel that writes it
        for equation in self._soonest():
            if equation.output in self.stored:
                self._place(equation)

    def _soonest(self) -> list[Equation]:
        """The equations by how many loops must come before, so that few wait for one needlessly.

        What a step count or a learning rate amounts to is ready before the gradients are. The next
        step count, which nothing waits for, comes last: by then it is known that nothing failed.
        """
        rank: dict[Symbol, float] = {}
        used = {s for equation in self.graph.equations for s in equation.inputs}
        for equation in self.graph.equations:
            before = max((rank.get(s, 0) for s in equation.inputs), default=0)
            rank[equation.output] = before + (self.kinds[equation.output] != "nest")
        self.last = {s for s in self.graph.outputs if rank.get(s) == 0 and s not in used}
        rank |= dict.fromkeys(self.last, math.inf)
        return sorted(self.graph.equations, key=lambda equation: rank[equation.output])

    def _materialized(self) -> set[Symbol]:
        """Values that must have memory."""
        stored = set(self.graph.outputs)
        uses: dict[Symbol, int] = {}
        for equation in self.graph.equations:
            kind = self.kinds[equation.output]
            if kind != "nest":
                stored.add(equation.output)
            if kind not in ("nest", "reduce"):
                stored.update(self.memory_read(equation))
            if equation.primitive == "index" or self._turned(equation):
                stored.add(equation.inputs[0])
            for symbol in set(equation.inputs):
                uses[symbol] = uses.get(symbol, 0) + 1
        weight: dict[Symbol, int] = {}
        for equation in self.graph.equations:
            output = equation.output
            own = 0 if equation.primitive in MOVEMENTS else 1
            if equation.primitive in COSTLY:
                own += RECOMPUTED
            total = own + sum(weight.get(s, 0) for s in set(equation.inputs) if s not in stored)
            shared = uses.get(output, 0) > 1 and total > RECOMPUTED
            if output not in stored and (shared or total > MOST_FUSED):
                stored.add(output)
            weight[output] = 0 if output in stored else total
        return {s for s in stored if s in self.made or s in self.graph.constants}

    def _turned(self, equation: Equation) -> bool:
        """Whether it reads along other rows than those its large input is computed along.

        A loop for both would have to follow one of the two in steps.
        """
        if equation.primitive != "permute" or equation.params["axes"][-1:] == (
            len(equation.params["axes"]) - 1,
        ):
            return False
        (x,) = equation.inputs
        moved = x not in self.made or self.made[x].primitive in MOVEMENTS
        return not moved and math.prod(x.shape) > TURNED

    def memory_read(self, equation: Equation) -> list[Symbol]:
        """What must be in memory for an equation with a kernel of its own.

        A product reads through a reshape, which has the same elements in the same order.
        """
        if self.kinds[equation.output] != "matmul":
            return list(equation.inputs)
        return [unshaped(s, self.made) for s in equation.inputs]

    def leaves(self, root: Symbol) -> Iterator[tuple[Symbol, bool]]:
        """The stored symbols that computing `root` reads, and whether at its own index only."""
        seen: set[tuple[Symbol, bool]] = set()
        stack = [(s, self._aligned(self.made[root], s)) for s in self.made[root].inputs]
        while stack:
            symbol, aligned = stack.pop()
            if (symbol, aligned) in seen:
                continue
            seen.add((symbol, aligned))
            if symbol in self.stored:
                yield symbol, aligned
            elif symbol in self.made:
                equation = self.made[symbol]
                stack += [(s, aligned and self._aligned(equation, s)) for s in equation.inputs]

    @staticmethod
    def _aligned(equation: Equation, symbol: Symbol) -> bool:
        """Whether `equation` reads `symbol` at the index it writes."""
        return equation.primitive not in (*MOVEMENTS, *DRAWS, "index") and (
            symbol.shape == equation.output.shape
        )

    def _place(self, equation: Equation) -> None:
        output, kind = equation.output, self.kinds[equation.output]
        if kind != "nest":
            reads = set(self.memory_read(equation)) if kind != "reduce" else {
                s for s, _ in self.leaves(output)
            }  # fmt: skip
            self._append(Kernel(kind, output.shape, equation, [], reads & self.stored))
            return
        # of a symbol that is read both ways, the unaligned read comes last and counts
        places = dict(sorted(self.leaves(output), key=lambda pair: pair[1], reverse=True))
        first = 0
        for symbol, aligned in places.items():
            at = self.home.get(symbol, -1)
            joins = aligned and at >= 0 and self._joinable(self.kernels[at], output)
            first = max(first, at if joins else at + 1)
        numbers = range(first, len(self.kernels))
        for number in reversed(numbers) if output in self.last else numbers:
            kernel = self.kernels[number]
            if self._joinable(kernel, output):
                kernel.roots.append(output)
                kernel.reads |= set(places) - set(kernel.writes)
                self.home[output] = number
                return
        self._append(Kernel("nest", output.shape, None, [output], set(places)))

    @staticmethod
    def _joinable(kernel: Kernel, output: Symbol) -> bool:
        same = kernel.space == output.shape
        return same and kernel.kind in ("nest", "matmul") and len(kernel.roots) < MOST_FUSED

    def _append(self, kernel: Kernel) -> None:
        for symbol in kernel.writes:
            self.home[symbol] = len(self.kernels)
        self.kernels.append(kernel)

    def append_copy(self, equation: Equation) -> Symbol:
        """A kernel of its own, after all others, for a copy that the graph got since."""
        output, kind = equation.output, kind_of(equation, self.graph.constants)
        self.made[output] = equation
        self.stored |= {output, *equation.inputs}
        if kind == "nest":
            self._append(Kernel(kind, output.shape, None, [output], set(equation.inputs)))
        else:
            self._append(Kernel(kind, output.shape, equation, [], set(equation.inputs)))
        return output

    def passing(self) -> set[Symbol]:
        """What only its own kernel reads: it lives in registers and needs no memory after all."""
        found: set[Symbol] = set()
        for number, kernel in enumerate(self.kernels):
            if kernel.kind in ("nest", "matmul"):
                others = self.kernels[number + 1 :]
                found |= {s for s in kernel.writes if all(s not in k.reads for k in others)}
        return found - set(self.graph.outputs)


def offset(symbol: Symbol, indices: Indices) -> Affine:
    """Where the element is in the row-major memory of `symbol`."""
    return linear(indices, row_major(symbol.shape))


def size(symbol: Symbol) -> int:
    """The number of elements."""
    return math.prod(symbol.shape)
