"""Finding trouble: which operation was the first to give a NaN or an infinity.

May import: base, core, nn, optim, advice. `find_nonfinite` runs a step eagerly while `Search`
looks on, and follows what came out wrong back to where it was born. Where that was in the user's
program is read from the Python stack, so that nothing is recorded while nobody searches.
"""

from __future__ import annotations

import bisect
import inspect
import linecache
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.core import autodiff
from pierian.core.onlooker import Onlooker
from pierian.core.tensor import OURS, Leaf, Tensor, clock, memory
from pierian.nn.module import Module
from pierian.optim.optimizer import Optimizer
from pierian.train.advice import DATA, RUINED, advice

Names = Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]


@dataclass(frozen=True)
class Range:
    """What an array holds; `least` and `greatest` of its finite elements, None if none is."""

    shape: tuple[int, ...]
    dtype: np.dtype
    least: Any
    greatest: Any
    nan: int
    inf: int
    size: int

    @classmethod
    def of(cls, x: np.ndarray) -> Range:
        """That of `x`."""
        finite = x[np.isfinite(x)]
        least, greatest = (f(finite).item() if finite.size else None for f in (np.min, np.max))
        nan, inf = (int(f(x).sum()) for f in (np.isnan, np.isinf))
        return cls(x.shape, x.dtype, least, greatest, nan, inf, x.size)

    def __str__(self) -> str:
        span = "" if self.least is None else f", {self.least:.4g} … {self.greatest:.4g}"
        counts = [f"{n} {what}" for n, what in ((self.nan, "NaN"), (self.inf, "inf")) if n]
        wrong = f", {' and '.join(counts)} of {self.size}" if counts else ""
        return f"{self.dtype} {self.shape}{span}{wrong}"


@dataclass(frozen=True)
class Place:
    """Where in the user's program something was computed.

    phase   "forward", "backward" or "update"; gradient clipping is part of the update.
    of      backward: the forward operation whose gradient this is; update: whose update it is.
    called  the public functions that the operation is a part of, outermost first.
    file, line   of the user's code; in the backward pass, that of the forward operation.
    layer   like 'Linear("head")', or "".
    name    of the parameter that is updated, where known.
    """

    phase: str = "forward"
    of: str = ""
    called: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    layer: str = ""
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """The origin of a NaN or an infinity; its text says it in plain words.

    operation  the primitive; "" for a tensor that came from outside as it is.
    place      where it happened, or where the tensor from outside was used.
    name       of the tensor from outside, or of the parameter that is updated; "" if unknown.
    inputs     what went in.
    output     what came out, or what the tensor from outside holds.
    fix        what most likely helps.
    """

    operation: str
    place: Place
    name: str
    inputs: tuple[Range, ...]
    output: Range
    fix: str

    @property
    def source(self) -> str:
        """The text of the user's line; "" where the file cannot be read."""
        return linecache.getline(self.place.file, self.place.line).strip()

    @property
    def headline(self) -> str:
        """The finding in one sentence."""
        place, what = self.place, "NaN" if self.output.nan else "inf"
        if not self.operation:
            return f"{self.name or 'A tensor from outside'} held {what} before it was used."
        whole = place.of or (*place.called, self.operation)[0]
        step = f" (in its {self.operation})" if self.operation != whole else ""
        owner = f" of {self.name}" if self.name else ""
        subject, where = {
            "forward": (whole, "in the forward pass"),
            "backward": (f"The gradient of {whole}", "in the backward pass"),
            "update": (whole, f"in the update{owner}"),
        }[place.phase]
        return f"{subject}{step} gave the first {what}, {where}."

    def __str__(self) -> str:
        lines = [self.headline, f"  at {self.place.file}:{self.place.line}: {self.source}"]
        if self.place.layer:
            lines.append(f"  in {self.place.layer}")
        lines += [f"  input {i}: {x}" for i, x in enumerate(self.inputs)]
        lines.append(f"  {'output' if self.operation else 'it holds'}: {self.output}")
        return "\n".join([*lines, self.fix])


def find_nonfinite(run: Callable[[], Any], names: Names = ()) -> Finding | None:
    """Run `run()` eagerly and say where a NaN or an infinity that came out of it was born.

    What comes out: losses (single numbers that `backward` is called on), what `run` returns, the
    gradients it leaves, and the tensors it changes; in this order. Infinities on purpose (masks
    filled with -inf) that end in finite results are nobody's trouble, and those that are left
    count only as a single number, such as a loss.

    What `run` changes stays changed: to look at a step again, put its state back before.

    Args:     names  of parameters, buffers, data: `model.named_parameters()`, or a dict by name.
    Returns:  None when all that came out is finite.

    >>> import pierian as pr
    >>> x = pr.tensor([0.0, 1.0])
    >>> finding = find_nonfinite(lambda: (x.log() * x).sum())
    >>> finding.operation, str(finding.inputs[0]), str(finding.output)
    ('log', 'float32 (2,), 0 … 1', 'float32 (2,), 0 … 0, 1 inf of 2')
    """
    with Search(dict(names.items() if isinstance(names, Mapping) else names)) as search:
        return search.first(run())


@dataclass(frozen=True)
class Origin:
    """Where non-finite values come from; `meant` for infinities that look like a choice."""

    time: int
    finding: Finding
    meant: bool


class Search(Onlooker):
    """Knows of every non-finite array that is computed where it came from."""

    def __init__(self, names: Mapping[str, Tensor]) -> None:
        self.owners = {id(tensor): name for name, tensor in names.items()}
        self.named = {id(tensor.value): (name, tensor) for name, tensor in names.items()}
        self.origins: dict[int, tuple[weakref.ref[np.ndarray], Origin]] = {}
        self.times: list[int] = []  # of all operations, and where they were
        self.places: list[Place] = []
        self.ends: list[Origin] = []  # of what came out wrong
        self.leaves: dict[int, Tensor] = {}
        self.assigned: dict[int, weakref.ref[Tensor]] = {}

    def lift(self, tensor: Tensor) -> Any:
        if type(tensor.node) is Leaf:
            self.leaves[id(tensor)] = tensor
        return super().lift(tensor)

    def add(self, name: str, values: list[Any], params: dict[str, Any]) -> np.ndarray:
        out = super().add(name, values, params)
        self.places.append(self._place(sys._getframe(2)))  # the caller of `bind`
        self.times.append(next(clock))
        if _bad(out):
            self._keep(out, self._born(name, values, out))
        return out

    def assign(self, target: Tensor, value: Any, moved: bool) -> None:
        super().assign(target, value, moved)
        self.assigned[id(target)] = weakref.ref(target)
        if _bad(value):
            self._keep(target.value, self._origin(value))

    def first(self, result: Any) -> Finding | None:
        """The origin of the first thing that came out wrong."""
        grads = [owner._grad for owner in self.leaves.values()]
        assigned = [reference() for reference in self.assigned.values()]
        for tensor in (*trees.leaves(result), *grads, *assigned):
            self._come_out(tensor)
        return self.ends[0].finding if self.ends else None

    def _come_out(self, tensor: Any) -> None:
        if isinstance(tensor, Tensor) and _bad(tensor.value):
            origin = self._origin(tensor.value)
            if not origin.meant or tensor.numel() == 1:
                self.ends.append(origin)

    # Where values come from

    def _keep(self, array: np.ndarray, origin: Origin) -> None:
        self.origins[id(array)] = (weakref.ref(array), origin)

    def _origin(self, array: np.ndarray) -> Origin:
        """Where the non-finite values of `array` come from: from outside if nobody knows."""
        whole = memory(array)
        for known in (array, whole):
            entry = self.origins.get(id(known))
            if entry is not None and entry[0]() is known:
                return entry[1]
        name, owner = self.named.get(id(array)) or self.named.get(id(whole)) or ("", None)
        trained = owner is not None and owner.requires_grad
        place = self.places[-1] if self.places else Place()
        found = Finding("", place, name, (), Range.of(array), RUINED if trained else DATA)
        origin = Origin(next(clock), found, not trained and _filled(array))
        self._keep(array, origin)
        return origin

    def _born(self, name: str, values: list[Any], out: np.ndarray) -> Origin:
        """Where `out` got its non-finite values: from an input, or just here."""
        undefined = bool(np.isnan(out).any())
        sources = [
            (self._origin(x), bool(np.isnan(used).any()))
            for x, used in zip(values, _used(name, values), strict=True)
            if _bad(used)
        ]
        # a NaN is blamed on a NaN that went in, else on an infinity that nobody wanted
        passed = [origin for origin, nan in sources if nan or not undefined]
        guilty = [origin for origin in passed or [o for o, _ in sources] if not origin.meant]
        if guilty or passed:
            return min(guilty or passed, key=lambda origin: origin.time)
        place, shown = self.places[-1], tuple(map(Range.of, values))
        fix = advice(place.phase, (*place.called, place.of, name), bool(sources))
        finding = Finding(name, place, place.name, shown, Range.of(out), fix)
        return Origin(self.times[-1], finding, not values and not undefined)

    # Where in the program it is

    def _place(self, frame: FrameType | None) -> Place:
        """What the Python stack says from `frame` on; of each kind the innermost word counts."""
        stack = list(_outward(frame))
        modules = [frame.f_globals.get("__name__", "") for frame in stack]
        user = next((i for i, m in enumerate(modules) if not m.startswith(OURS)), len(stack) - 1)
        place = Place(file=stack[user].f_code.co_filename, line=stack[user].f_lineno)
        called: list[str] = []
        for i, (seen, module) in enumerate(zip(stack, modules, strict=True)):
            code = seen.f_code
            if code is SEED:
                self._come_out(seen.f_locals["tensor"])
            elif code is PULLBACK:
                return self._backward(place, seen.f_locals.get("node"), user < i)
            elif code is STEP:
                name = self.owners.get(id(seen.f_locals.get("p")), "")
                owner = seen.f_locals["self"].name
                return replace(place, phase="update", of=owner, name=name)
            elif code is CALL:
                return replace(place, layer=seen.f_locals["self"].where(), called=tuple(called))
            elif module.startswith(PARTS) and i < user and _public(seen):
                called.insert(0, code.co_name)
            elif module == CLIP and _public(seen):
                return replace(place, phase="update", of=code.co_name)
        return replace(place, called=tuple(called))

    def _backward(self, place: Place, node: Any, custom: bool) -> Place:
        """The place of the gradient of `node`: its own rule's, if users wrote it, or `node`'s."""
        if node is None or type(node) is Leaf:
            return replace(place, phase="backward", of="a sum")
        index = bisect.bisect(self.times, node.time) - 1
        forward = self.places[index] if index >= 0 else place
        if custom:
            forward = replace(forward, file=place.file, line=place.line)
        return replace(forward, phase="backward", of=node.name)


SEED, PULLBACK, STEP, CALL = (
    f.__code__ for f in (autodiff.seed, autodiff.pullback, Optimizer._step, Module.__call__)
)
CLIP = "pierian.optim.clip"
PARTS = ("pierian.ops.", "pierian.nn.functional", "pierian.nn.losses")  # where ops are made of ops


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _public(frame: FrameType) -> bool:
    """Whether it is a public function of its file that runs."""
    name = frame.f_code.co_name
    function = inspect.unwrap(frame.f_globals.get(name, _public))  # from decorators like `no_grad`
    return not name.startswith("_") and getattr(function, "__code__", None) is frame.f_code


def _bad(array: np.ndarray) -> bool:
    return array.dtype.kind in "fc" and not np.isfinite(array).all()


def _used(name: str, values: list[np.ndarray]) -> list[np.ndarray]:
    """`values` as far as the operation looks at them: a branch not chosen does not count."""
    if name != "where":
        return values
    chosen, a, b = values
    return [chosen, np.where(chosen, a, 0), np.where(chosen, 0, b)]


def _filled(array: np.ndarray) -> bool:
    """Whether it looks like a mask: infinities among copies of one number, no NaN."""
    finite = array[np.isfinite(array)]
    return not np.isnan(array).any() and (finite.size == 0 or bool((finite == finite[0]).all()))
