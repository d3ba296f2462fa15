"""Loop nests: code for pointwise chains, reductions and scans over one index space.

May import: llvm, control, element, affine, fuse, philox, normal, base, core. `Reader` turns a
symbol at given indices into a register; the emitters below it choose a loop order and drive it.
Loops are explicit vectors along one variable, the rest of it in one narrower vector, so nothing
depends on LLVM's vectorizers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pierian.base import rng
from pierian.base.dtypes import float16, float32, float64, int64, uint64
from pierian.compiler import element as el
from pierian.compiler.affine import Affine, Quotient, Var, unflatten, variable
from pierian.compiler.control import loop, number
from pierian.compiler.element import I32, I64
from pierian.compiler.fuse import (
    DRAWS,
    Condition,
    Indices,
    Kernel,
    broadcast_indices,
    offset,
    operands,
    size,
)
from pierian.compiler.llvm import Target, ir
from pierian.compiler.memory import nbytes
from pierian.compiler.normal import inverse_normal_cdf, probability
from pierian.compiler.philox import words, words_at
from pierian.core.graph import Equation, Graph, Symbol

FAR = 1 << 20  # bytes of a tensor that does not stay in the nearer caches
AHEAD = 4  # rows to ask for before they are needed
BLOCK = 4096  # elements per work unit of a flat loop: 16 KiB of float32, half of an L1 cache
ACCUMULATORS = 4  # independent sums that hide the latency of an addition


@dataclass(eq=False)
class Scope:
    """What code in one function can use: pointers of stored symbols, definitions, error word."""

    graph: Graph
    made: dict[Symbol, Equation]
    pointers: dict[Symbol, Any]
    error: Any
    target: Target

    def width(self, dtypes: Sequence[np.dtype]) -> int:
        """Lanes to use for a loop over values of `dtypes`."""
        widest = max((d.itemsize for d in dtypes if d.kind != "b"), default=4)
        return self.target.lanes(8 * max(widest, 4))


class Reader:
    """Values of symbols at indices, inside loops: `at` gives each variable, `vector` the one whose
    `lanes` neighbours are computed together.
    """

    def __init__(
        self, b: ir.IRBuilder, scope: Scope, at: dict[Var, Any], vector: Var | None, lanes: int
    ) -> None:
        self.b, self.scope, self.at = b, scope, at
        self.vector, self.lanes = vector, lanes if vector is not None else 1
        self.known: dict[Any, Any] = {}
        self.places: dict[Any, Any] = {}

    # Index arithmetic

    def scalar(self, a: Affine) -> Any:
        """`a` in the first lane."""
        key = (a, False)
        if key not in self.places:
            total: Any = number(a.const)
            for atom, c in a.terms:
                value = self.at[atom] if isinstance(atom, Var) else self._divided(atom, False)
                term = value if c == 1 else self.b.mul(value, number(c))
                total = term if _is_zero(total) else self.b.add(total, term)
            self.places[key] = total
        return self.places[key]

    def vectors(self, a: Affine) -> Any:
        """`a` in every lane."""
        v = self.vector
        if v is None or self.lanes == 1 or not a.uses(v):
            return self.scalar(a)
        key = (a, True)
        if key not in self.places:
            stride = a.stride(v)
            if stride is not None:
                base = el.splat(self.b, self.scalar(a), self.lanes)
                total = self.b.add(base, el.counting(I64, self.lanes, stride))
            else:
                total = el.splat(self.b, number(a.const), self.lanes)
                for atom, c in a.terms:
                    own = Affine(((atom, 1),))
                    part = self.vectors(own) if isinstance(atom, Var) else self._divided(atom, True)
                    part = el.splat(self.b, part, self.lanes)
                    total = self.b.add(total, self.b.mul(part, el.like(part, c)))
            self.places[key] = total
        return self.places[key]

    def _divided(self, atom: Any, wide: bool) -> Any:
        of = self.vectors(atom.of) if wide else self.scalar(atom.of)
        by = el.like(of, atom.by)
        return (self.b.udiv if isinstance(atom, Quotient) else self.b.urem)(of, by)

    def _wide(self, value: Any) -> Any:
        return el.splat(self.b, value, self.lanes)

    # Values

    def value(
        self, symbol: Symbol, at: Indices, conditions: tuple[Condition, ...] = (), own: bool = False
    ) -> Any:
        """The element(s) of `symbol` at `at`; what `conditions` exclude is never read.

        `own` computes it from its definition even when it has memory.
        """
        key = (symbol, at, conditions)
        if key in self.known:
            return self.known[key]
        constant = self.scope.graph.constants.get(symbol)
        if constant is not None and constant.size == 1:
            value = el.constant(symbol.dtype, constant.reshape(())[()])
        elif symbol in self.scope.pointers and not own:
            value = self._load(symbol, at, conditions)
        else:
            value = self._compute(self.scope.made[symbol], at, conditions)
        self.known[key] = value
        return value

    def _compute(self, equation: Equation, at: Indices, conditions: tuple[Condition, ...]) -> Any:
        name, b = equation.primitive, self.b
        dtypes = [s.dtype for s in equation.inputs]
        output = equation.output.dtype
        if name == "arange":
            return self._counted(equation, at[0])
        if name == "index":
            return self._indexed(equation, at, conditions)
        if name in DRAWS:
            return self._drawn(equation, at)
        reads = operands(equation, at)
        if name == "pad":
            (read,) = reads
            inside = self._holds(read.conditions)
            x = self.value(read.symbol, read.indices, conditions + read.conditions)
            fill = el.constant(output, equation.params["value"])
            if inside is None:
                return x
            lanes = max(el.lanes_of(x), el.lanes_of(inside))
            x, fill = el.splat(b, x, lanes), el.splat(b, fill, lanes)
            return b.select(el.splat(b, inside, lanes), x, fill)
        values = [self.value(r.symbol, r.indices, conditions + r.conditions) for r in reads]
        if len(values) > 1 and any(el.lanes_of(value) > 1 for value in values):
            values = [self._wide(value) for value in values]
        if name == "where":
            return b.select(*values)
        if name == "cast":
            return el.convert(b, dtypes[0], output, values[0])
        emitter = el.pointwise(name, dtypes)
        return values[0] if emitter is None else emitter(b, dtypes[0], *values)

    def _counted(self, equation: Equation, index: Affine) -> Any:
        """start + step · index, computed in int64 or float64 as NumPy does."""
        params, dtype = equation.params, equation.output.dtype
        place = self.vectors(index)
        start, step = params["start"], params["step"]
        kind = int64 if isinstance(start, int) and isinstance(step, int) else np.dtype("float64")
        place = el.convert(self.b, int64, kind, place)
        lanes = el.lanes_of(place)
        add, mul = el.POINTWISE["add"], el.POINTWISE["mul"]
        scaled = mul(self.b, kind, place, el.constant(kind, step, lanes))
        total = add(self.b, kind, el.constant(kind, start, lanes), scaled)
        return el.convert(self.b, kind, dtype, total)

    def _drawn(self, equation: Equation, at: Indices) -> Any:
        """Random numbers, each made from its place in the draw alone."""
        b, output = self.b, equation.output.dtype
        seed, start = (self.value(r.symbol, r.indices) for r in operands(equation, at))
        place = offset(equation.output, at)
        per = rng.normal_words(1, output) if equation.primitive == "random_normal" else 1
        v = self.vector
        if v is not None and self.lanes > 1 and place.stride(v) == 1:
            drawn = words(b, seed, start, self.scalar(place), self.lanes, per)
        else:
            drawn = words_at(b, seed, start, self.vectors(place), per)
        if equation.primitive == "random_bits":
            return drawn[0]
        normal = inverse_normal_cdf(b, probability(b, drawn))
        return el.convert(b, float64, output, normal)

    # Memory

    def _holds(self, conditions: tuple[Condition, ...]) -> Any:
        """Whether all of them hold, per lane if they differ; None for no conditions."""
        total = None
        for condition in conditions:
            place = self.vectors(condition.index)
            b = self.b
            good = b.icmp_signed(">=", place, el.like(place, condition.low))
            good = b.and_(good, b.icmp_signed("<=", place, el.like(place, condition.high)))
            if condition.multiple > 1:
                rest = b.srem(place, el.like(place, condition.multiple))
                good = b.and_(good, b.icmp_unsigned("==", rest, el.like(rest, 0)))
            if total is not None:
                lanes = max(el.lanes_of(total), el.lanes_of(good))
                good = b.and_(el.splat(b, total, lanes), el.splat(b, good, lanes))
            total = good
        return total

    def _load(self, symbol: Symbol, at: Indices, conditions: tuple[Condition, ...]) -> Any:
        place = offset(symbol, at)
        stride = 0 if self.vector is None or self.lanes == 1 else place.stride(self.vector)
        mask = self._holds(conditions)
        if stride == 0:
            first = self.scalar(place)
            return self._element(symbol, [first if mask is None else self._safe(first, symbol)])
        if stride == 1:
            pointer = self.b.gep(self.scope.pointers[symbol], [self.scalar(place)])
            if mask is None:
                return el.load(self.b, pointer, symbol.dtype, self.lanes)
            return el.masked_load(self.b, pointer, self._wide(mask), symbol.dtype, self.lanes)
        if stride == -1 and mask is None:
            first = self.b.sub(self.scalar(place), number(self.lanes - 1))
            pointer = self.b.gep(self.scope.pointers[symbol], [first])
            value = el.load(self.b, pointer, symbol.dtype, self.lanes)
            order = [ir.Constant(I32, i) for i in reversed(range(self.lanes))]
            return self.b.shuffle_vector(
                value, ir.Constant(value.type, ir.Undefined),
                ir.Constant(ir.VectorType(I32, self.lanes), order),
            )  # fmt: skip
        places = self.vectors(place)
        if mask is not None:
            places = self._safe(places, symbol)
        lanes = range(self.lanes)
        return self._element(symbol, [self._lane(places, lane) for lane in lanes])

    def _lane(self, value: Any, lane: int) -> Any:
        if el.lanes_of(value) == 1:
            return value
        return self.b.extract_element(value, ir.Constant(I32, lane))

    def _safe(self, place: Any, symbol: Symbol) -> Any:
        """`place` moved into the memory of `symbol`; what is read there is not used."""
        last = el.like(place, max(size(symbol) - 1, 0))
        inside = self.b.icmp_unsigned("<=", place, last)
        return self.b.select(inside, place, el.like(place, 0))

    def _element(self, symbol: Symbol, places: list[Any]) -> Any:
        pointer = self.scope.pointers[symbol]
        return el.gather(self.b, [self.b.gep(pointer, [p]) for p in places], symbol.dtype)

    def _indexed(self, equation: Equation, at: Indices, conditions: tuple[Condition, ...]) -> Any:
        """x[indices]: an index outside its axis is noted in the error word and not followed."""
        x, *tensors = equation.inputs
        lead = len(equation.output.shape) - (len(x.shape) - len(tensors))
        rest = offset(x, (Affine(),) * len(tensors) + tuple(at[lead:]))
        start: Any = number(0)  # of the part of x that the indices choose
        for axis, symbol in enumerate(tensors):
            index = self.index_value(symbol, tuple(at[:lead]), x.shape[axis], conditions)
            index = self.b.mul(index, el.like(index, math.prod(x.shape[axis + 1 :])))
            start = self._sum(start, index)
        neighbours = self.vector is not None and self.lanes > 1 and rest.stride(self.vector) == 1
        if neighbours and not conditions and el.lanes_of(start) == 1:
            place = self.b.add(start, self.scalar(rest))
            pointer = self.b.gep(self.scope.pointers[x], [place])
            if nbytes(x) >= FAR and lead == len(tensors) == 1:
                self._fetch_ahead(x, rest, tensors[0], at[0])
            return el.load(self.b, pointer, x.dtype, self.lanes)
        place = self._sum(start, self.vectors(rest))
        if conditions:
            place = self._safe(place, x)
        return self._element(x, [self._lane(place, lane) for lane in range(el.lanes_of(place))])

    def _fetch_ahead(self, x: Symbol, rest: Affine, rows: Symbol, at: Affine) -> None:
        """Ask for a row that comes later: where it is, only the indices know."""
        atoms = [atom for atom, _ in at.terms if isinstance(atom, Var)]
        if at.terms != tuple((atom, 1) for atom in atoms) or len(atoms) != 1:
            return
        b, later = self.b, Var("later", atoms[0].extent)
        following = b.add(self.at[atoms[0]], number(AHEAD))
        last = number(later.extent - 1)
        following = b.select(b.icmp_signed("<", following, last), following, last)
        reader = Reader(b, self.scope, {**self.at, later: following}, None, 1)
        row = el.convert(b, rows.dtype, int64, reader.value(rows, (variable(later),)))
        place = b.add(b.mul(row, number(size(x) // x.shape[0])), self.scalar(rest))
        el.prefetch(b, b.gep(self.scope.pointers[x], [place]))

    def _sum(self, x: Any, y: Any) -> Any:
        lanes = max(el.lanes_of(x), el.lanes_of(y))
        return self.b.add(el.splat(self.b, x, lanes), el.splat(self.b, y, lanes))

    def index_value(
        self, symbol: Symbol, at: Indices, length: int, conditions: tuple[Condition, ...]
    ) -> Any:
        """An element of an index tensor, counted from the left; 0 for one outside of its axis."""
        index, good = self.index_and_whether(symbol, at, length, conditions)
        return self.b.select(good, index, el.like(index, 0))

    def index_and_whether(
        self, symbol: Symbol, at: Indices, length: int, conditions: tuple[Condition, ...]
    ) -> tuple[Any, Any]:
        """An element of an index tensor, and whether it is inside its axis; if not, that is noted
        in the error words.
        """
        b = self.b
        raw = self.value(symbol, broadcast_indices(symbol.shape, at), conditions)
        given = el.convert(b, symbol.dtype, int64, raw)
        negative = b.icmp_signed("<", given, el.like(given, 0))
        index = b.select(negative, b.add(given, el.like(given, length)), given)
        good = b.icmp_unsigned("<", index, el.like(index, length))
        mask = self._holds(conditions)
        bad = b.not_(good)
        if mask is not None:
            lanes = max(el.lanes_of(mask), el.lanes_of(bad))
            bad = b.and_(el.splat(b, bad, lanes), el.splat(b, mask, lanes))
        lanes = el.lanes_of(bad)
        kind = ir.IntType(lanes)
        any_bad = bad if lanes == 1 else b.icmp_unsigned(
            "!=", b.bitcast(bad, kind), ir.Constant(kind, 0)
        )  # fmt: skip
        with b.if_then(any_bad, likely=False):  # the worst one, for the message
            given = el.splat(b, given, lanes)
            worst = b.select(bad, given, el.like(given, 0))
            worst = across_lanes(b, worst, uint64, el.POINTWISE["maximum"])
            for i, word in enumerate((number(1), worst, number(length))):
                b.store(word, b.gep(self.scope.error, [number(i)]))
        return index, good


def _is_zero(value: Any) -> bool:
    return isinstance(value, ir.Constant) and value.constant == 0


# Loop orders


@dataclass(frozen=True)
class Order:
    """Loops over a space: scalar ones, outermost first, and the one that becomes vectors."""

    outer: tuple[Var, ...]
    vector: Var | None
    indices: Indices


def orders(shape: tuple[int, ...], prefix: str) -> list[Order]:
    """The ways to walk `shape`: its last k axes as one loop, for each k."""
    if 0 in shape:
        return [Order((Var(f"{prefix}0", 0),), None, (Affine(),) * len(shape))]
    found = []
    for k in range(1, len(shape) + 1):
        outer = tuple(Var(f"{prefix}{i}", n) for i, n in enumerate(shape[:-k]))
        flat = Var(f"{prefix}x", math.prod(shape[-k:]))
        inner = unflatten(variable(flat), shape[-k:])
        real = tuple(v for v in outer if v.extent != 1)
        indices = (*map(variable, outer), *inner)
        found.append(Order(real, flat if flat.extent > 1 else None, indices))
    return found or [Order((), None, ())]


def loads(scope: Scope, reads: Sequence[tuple[Symbol, Indices, bool]]) -> list[Affine]:
    """Where in memory the given symbols (own: from their definitions) read from, as expressions."""
    places: list[Affine] = []
    seen: set[tuple[Symbol, Indices, bool]] = set()
    stack = list(reads)
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        symbol, at, own = item
        if symbol in scope.graph.constants and size(symbol) == 1:
            continue
        if symbol in scope.pointers and not own:
            places.append(offset(symbol, at))
        elif scope.made[symbol].primitive == "index":
            equation = scope.made[symbol]
            x, *tensors = equation.inputs
            lead = len(at) - (len(x.shape) - len(tensors))
            stack += [(s, broadcast_indices(s.shape, at[:lead]), False) for s in tensors]
            scattered = sum(at[:lead], Affine()) * size(x)  # may be anywhere
            places.append(offset(x, (Affine(),) * len(tensors) + tuple(at[lead:])) + scattered)
        elif scope.made[symbol].primitive != "arange":
            for read in operands(scope.made[symbol], at):
                stack.append((read.symbol, read.indices, False))
    return places


def cost(places: Sequence[Affine], vector: Var | None, lanes: int, work: int) -> float:
    """A guess of the time per element: registers' worth of loads, and single ones."""
    if vector is None:
        return float(work + len(places))
    used = min(lanes, vector.extent)
    single = sum(place.stride(vector) not in (0, 1, -1) for place in places)
    return (work + len(places) - single) / used + single


def best_order(scope: Scope, roots: Sequence[Symbol], shape: tuple[int, ...], lanes: int) -> Order:
    """The cheapest order to compute `roots` pointwise over `shape`."""

    def price(order: Order) -> float:
        places = loads(scope, [(root, order.indices, True) for root in roots])
        return cost([*places, offset(roots[0], order.indices)], order.vector, lanes, len(roots))

    return min(orders(shape, "i"), key=price)


# Pointwise kernels


def emit_nest(b: ir.IRBuilder, scope: Scope, kernel: Kernel, begin: Any, end: Any) -> None:
    """Compute the roots of a pointwise kernel for its work units begin … end-1."""
    shape = kernel.space
    if math.prod(shape) == 0:
        return
    lanes = scope.width([root.dtype for root in kernel.roots])
    order = best_order(scope, kernel.roots, shape, lanes)

    def body(at: dict[Var, Any], vector: Var | None, count: int) -> None:
        reader = Reader(b, scope, at, vector, count)
        values = [reader.value(root, order.indices, own=True) for root in kernel.roots]
        for root, value in zip(kernel.roots, values, strict=True):  # a root may replace an input
            if root not in scope.pointers:
                continue
            place = reader.scalar(offset(root, order.indices))
            pointer = b.gep(scope.pointers[root], [place])
            el.store(b, el.splat(b, value, reader.lanes), pointer, root.dtype)

    if order.outer or order.vector is None:
        nested(b, order.outer, order.vector, lanes, body, (begin, end))
        return
    v = order.vector
    first = b.mul(begin, number(BLOCK))
    last = b.mul(end, number(BLOCK))
    last = b.select(b.icmp_signed("<", last, number(v.extent)), last, number(v.extent))
    rest = v.extent % lanes
    whole = b.select(b.icmp_signed("<", last, number(v.extent - rest)), last,
                     number(v.extent - rest))  # fmt: skip
    with loop(b, first, whole, lanes) as i:
        body({v: i}, v, lanes)
    if rest:
        with b.if_then(b.icmp_signed("==", last, number(v.extent))):
            body({v: number(v.extent - rest)}, v, rest)


def nest_units(scope: Scope, kernel: Kernel) -> int:
    """How many work units a pointwise kernel has."""
    lanes = scope.width([root.dtype for root in kernel.roots])
    order = best_order(scope, kernel.roots, kernel.space, lanes)
    if order.outer:
        return order.outer[0].extent
    return -(-math.prod(kernel.space) // BLOCK) if order.vector else 1


def nested(
    b: ir.IRBuilder,
    outer: Sequence[Var],
    vector: Var | None,
    lanes: int,
    body: Any,
    units: tuple[Any, Any] | None = None,
    at: dict[Var, Any] | None = None,
) -> None:
    """Scalar loops over `outer`, the first over `units` only, around vectors along `vector`."""
    at = at or {}
    if outer:
        start, stop = units or (number(0), number(outer[0].extent))
        with loop(b, start, stop) as i:
            nested(b, outer[1:], vector, lanes, body, None, {**at, outer[0]: i})
        return
    if vector is None:
        body(at, None, 1)
        return
    whole = vector.extent - vector.extent % lanes
    if whole == lanes:
        body({**at, vector: number(0)}, vector, lanes)
    elif whole:
        with loop(b, number(0), number(whole), lanes) as i:
            body({**at, vector: i}, vector, lanes)
    if vector.extent > whole:
        body({**at, vector: number(whole)}, vector, vector.extent - whole)


def _in_blocks(b: ir.IRBuilder, vector: Any, lanes: int, body: Any, begin: Any, end: Any) -> None:
    """Several vectors at a time along `vector`, which is one work unit; the last unit has the rest,
    a vector at a time.
    """
    block = lanes * ACCUMULATORS
    whole, rest = divmod(vector.extent, block)
    stop = b.select(b.icmp_signed("<", end, number(whole)), end, number(whole))
    if whole:
        with loop(b, begin, stop) as i:
            body({vector: b.mul(i, number(block))}, vector, block)
    if rest:
        mine = b.icmp_signed("==", end, number(whole + 1))
        with b.if_then(b.and_(mine, b.icmp_signed("<", begin, end))):
            for first in range(0, rest, lanes):
                place = {vector: number(whole * block + first)}
                body(place, vector, min(lanes, rest - first))


# Reductions

COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum", "any": "logical_or",
           "all": "logical_and"}  # fmt: skip


def start_of(name: str, dtype: np.dtype) -> Any:
    """The value that a reduction begins with: combining it changes nothing."""
    if name in ("sum", "any"):
        return dtype.type(0)
    if name in ("prod", "all"):
        return dtype.type(1)
    if dtype.kind == "f":
        return dtype.type(-np.inf if name == "max" else np.inf)
    if dtype.kind == "b":
        return name == "min"
    return np.iinfo(dtype).min if name == "max" else np.iinfo(dtype).max


@dataclass(frozen=True)
class Reduction:
    """A reduction with its loops: over the result, over what is reduced, and which is vectors."""

    outer: tuple[Var, ...]
    inner: tuple[Var, ...]
    vector: Var | None  # the last of inner, or of outer when `across`
    across: bool
    indices: Indices  # into the source
    result: Indices  # into the output


def reductions(equation: Equation) -> Iterator[Reduction]:
    """The ways to walk a reduction."""
    source, axes = equation.inputs[0].shape, equation.params["axes"]
    kept = tuple(n for i, n in enumerate(source) if i not in axes)
    gone = tuple(source[i] for i in axes)
    keepdims = equation.params["keepdims"]
    for over in orders(kept, "o"):
        for down in orders(gone, "r"):
            keep, drop = iter(over.indices), iter(down.indices)
            indices = tuple(next(drop if i in axes else keep) for i in range(len(source)))
            result = over.indices
            if keepdims:
                keep = iter(over.indices)
                result = tuple(Affine() if i in axes else next(keep) for i in range(len(source)))
            outer = over.outer + ((over.vector,) if over.vector else ())
            inner = down.outer + ((down.vector,) if down.vector else ())
            yield Reduction(outer, inner, down.vector, False, indices, result)
            if over.vector is not None:
                yield Reduction(outer, inner, over.vector, True, indices, result)


def best_reduction(scope: Scope, equation: Equation, lanes: int) -> Reduction:
    """The cheapest walk."""

    def price(r: Reduction) -> float:
        places = loads(scope, [(equation.inputs[0], r.indices, False)])
        # vectors along the reduced axis end in a sum over lanes, once per result
        length = math.prod(v.extent for v in r.inner)
        return cost(places, r.vector, lanes, 1) + (0 if r.across else lanes / max(length, 1))

    return min(reductions(equation), key=price)


def emit_reduce(b: ir.IRBuilder, scope: Scope, kernel: Kernel, begin: Any, end: Any) -> None:
    """Compute a reduction for its work units begin … end-1."""
    equation = kernel.equation
    if equation is None or math.prod(kernel.space) == 0:
        return
    output, source = equation.output, equation.inputs[0]
    lanes = scope.width([output.dtype, source.dtype])
    r = best_reduction(scope, equation, lanes)
    name, dtype = equation.primitive, output.dtype
    if dtype == float16 and name in ("sum", "prod"):
        dtype = float32  # rounded once, at the end
    combine = el.POINTWISE[COMBINE[name]]

    def read(at: dict[Var, Any], vector: Var | None, count: int) -> Any:
        reader = Reader(b, scope, at, vector, count)
        value = el.splat(b, reader.value(source, r.indices), reader.lanes)
        if name in ("any", "all"):
            return el.truth(b, source.dtype, value)
        return el.convert(b, source.dtype, dtype, value)

    def result(at: dict[Var, Any], vector: Var | None, count: int) -> None:
        width = count if r.across else 1
        if r.across or r.vector is None:
            total = _accumulate(b, width, name, dtype, combine, at, r.inner, None, 1,
                                lambda place, _v, _n: read(place, vector, count))  # fmt: skip
        else:
            total = _accumulate(b, 1, name, dtype, combine, at, r.inner[:-1], r.vector, lanes, read)
        reader = Reader(b, scope, at, vector, count)
        place = reader.scalar(offset(output, r.result))
        total = el.convert(b, dtype, output.dtype, total)
        el.store(b, total, b.gep(scope.pointers[output], [place]), output.dtype)

    if r.across:
        scalar_loops = tuple(v for v in r.outer if v != r.vector)
        if scalar_loops:
            nested(b, scalar_loops, r.vector, lanes, result, (begin, end))
        else:
            _in_blocks(b, r.vector, lanes, result, begin, end)
    else:
        nested(b, r.outer, None, 1, result, (begin, end) if r.outer else None)


def reduce_units(scope: Scope, kernel: Kernel) -> int:
    """How many work units a reduction has."""
    if kernel.equation is None:
        return 1
    lanes = scope.width([kernel.equation.output.dtype, kernel.equation.inputs[0].dtype])
    r = best_reduction(scope, kernel.equation, lanes)
    loops = tuple(v for v in r.outer if not (r.across and v == r.vector))
    if r.across and not loops and r.vector is not None:
        return -(-r.vector.extent // (lanes * ACCUMULATORS))
    return loops[0].extent if loops else 1


def _accumulate(
    b: ir.IRBuilder,
    width: int,
    name: str,
    dtype: np.dtype,
    combine: Any,
    at: dict[Var, Any],
    loops: tuple[Var, ...],
    vector: Var | None,
    lanes: int,
    read: Any,
) -> Any:
    """All elements of the reduced loops combined, in an order fixed by the shape alone."""
    wide = lanes if vector is not None and vector.extent >= lanes else width
    cells = [cell(b, el.constant(dtype, start_of(name, dtype), wide)) for _ in range(ACCUMULATORS)]
    single = cell(b, el.constant(dtype, start_of(name, dtype), width))

    def body(place: dict[Var, Any], _vector: Var | None, _count: int) -> None:
        if vector is None:
            combine_into(b, single, read(place, None, 1), dtype, combine)
            return
        group = lanes * ACCUMULATORS
        n = vector.extent
        ends = [n - n % group, n - n % lanes, n]
        if ends[0]:
            with loop(b, number(0), number(ends[0]), group) as i:
                for k, cell in enumerate(cells):
                    here = {**place, vector: b.add(i, number(k * lanes))}
                    combine_into(b, cell, read(here, vector, lanes), dtype, combine)
        if ends[1] > ends[0]:
            with loop(b, number(ends[0]), number(ends[1]), lanes) as i:
                value = read({**place, vector: i}, vector, lanes)
                combine_into(b, cells[0], value, dtype, combine)
        if ends[2] > ends[1]:
            value = read({**place, vector: number(ends[1])}, vector, ends[2] - ends[1])
            combine_into(b, single, across_lanes(b, value, dtype, combine), dtype, combine)

    nested(b, loops, None, 1, body, None, at)
    total = b.load(single)
    if vector is not None and vector.extent >= lanes:
        parts = [b.load(cell) for cell in cells]
        while len(parts) > 1:
            parts = [combine(b, dtype, x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
        total = combine(b, dtype, across_lanes(b, parts[0], dtype, combine), total)
    return total


def cell(b: ir.IRBuilder, value: Any) -> Any:
    """A variable that LLVM turns into a register."""
    with b.goto_entry_block():
        cell = b.alloca(value.type)
    b.store(value, cell)
    return cell


def combine_into(b: ir.IRBuilder, cell: Any, value: Any, dtype: np.dtype, combine: Any) -> None:
    b.store(combine(b, dtype, b.load(cell), value), cell)


def across_lanes(b: ir.IRBuilder, value: Any, dtype: np.dtype, combine: Any) -> Any:
    """The lanes combined: by halves, or one after the other when they cannot be halved."""
    count = el.lanes_of(value)
    while count > 1 and count % 2 == 0:
        count //= 2
        kind = ir.VectorType(I32, count)
        none = ir.Constant(value.type, ir.Undefined)
        halves = [
            b.shuffle_vector(value, none,
                             ir.Constant(kind, [ir.Constant(I32, s + i) for i in range(count)]))
            for s in (0, count)
        ]  # fmt: skip
        value = combine(b, dtype, *halves)
    if not isinstance(value.type, ir.VectorType):
        return value
    lanes = [b.extract_element(value, ir.Constant(I32, i)) for i in range(count)]
    total = lanes[0]
    for lane in lanes[1:]:
        total = combine(b, dtype, total, lane)
    return total
