"""Feed: whatever `fit` is given, as batches of NumPy arrays, epoch after epoch.

May import: base, core, ops, data, display. To take one more kind of data: a branch in
`open_feed`; to convert it in another way: `Form`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pierian.base.errors import DataError, DtypeError, ShapeError, message
from pierian.base.notice import notice
from pierian.core.tensor import Tensor, as_tensor
from pierian.data.collate import SupportsArray, as_array
from pierian.data.dataset import ArrayDataset, Dataset
from pierian.data.loader import DataLoader
from pierian.data.order import whole
from pierian.ops.random import bits

SIZE = 32  # rows per batch when nothing is said, as in Keras
NOTICES = {
    "float64": " like the model",
    "uint8": " without scaling; divide by 255 to learn faster",
}


@dataclass(frozen=True, eq=False)
class Rows(Dataset):
    """Examples, a batch or all of them: inputs (one array or several), targets, weights."""

    x: tuple[np.ndarray, ...]
    y: np.ndarray | None = None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x[0])

    def __getitem__(self, index: Any) -> Rows:
        y, weight = (None if a is None else a[index] for a in (self.y, self.weight))
        return Rows(tuple([a[index] for a in self.x]), y, weight)

    def gather(self, positions: slice | np.ndarray) -> Rows:
        return self[positions]

    @property
    def parts(self) -> tuple[Any, ...]:
        """All arrays in a row: inputs, targets, weights; None for what there is not."""
        return (*self.x, self.y, self.weight)

    def tensors(self) -> tuple[tuple[Tensor, ...], Any, Any]:
        """The same as tensors, where there is something."""
        y, weight = (None if a is None else as_tensor(a) for a in (self.y, self.weight))
        return tuple([as_tensor(a) for a in self.x]), y, weight


@dataclass(frozen=True)
class Form:
    """What examples must look like, and what is made of them.

    where         the public function, for errors.
    dtype         of the model's parameters: floats are cast to it.
    inputs        of the model; a list of so many arrays, if not of one, is read as a tuple.
    targets       whether there must be targets.
    class_weight  class number -> weight.
    quiet         whether conversions go without a notice.
    """

    where: str
    dtype: np.dtype
    inputs: int = 1
    targets: bool = True
    class_weight: Mapping[int, float] | None = None
    quiet: bool = False

    def unpack(self, item: Any) -> Rows:
        """A batch of what an iterable gave: x, (x,), (x, y) or (x, y, weight)."""
        fields = item if isinstance(item, tuple | list) else (item,)
        if not 1 <= len(fields) <= 3:
            raise ShapeError(
                message(self.where, "a batch has at most three parts", "(x, y, weight)",
                        f"{len(fields)} parts", "Several inputs go together, as ((a, b), y)")
            )  # fmt: skip
        return self.rows(*fields)

    def rows(self, x: Any, y: Any = None, weight: Any = None) -> Rows:
        """The parts as arrays, checked against each other."""
        several = isinstance(x, list) and 1 < len(x) == self.inputs
        parts = tuple(x) if several or isinstance(x, tuple) else (x,)
        names = ["x"] if len(parts) == 1 else [f"x[{i}]" for i in range(len(parts))]
        if self.targets and y is None:
            raise DataError(
                message(self.where, "there must be targets", "x and y", "x alone",
                        "Pass y, or batches (x, y)")
            )  # fmt: skip
        xs = tuple([self.array(name, part) for name, part in zip(names, parts, strict=True)])
        ys = self.array("y", y) if self.targets else None
        weights = None if weight is None else self.array("sample_weight", weight)
        n = len(xs[0])
        names += ["y", "sample_weight"]
        for name, array in zip(names, [*xs, ys, weights], strict=True):
            if array is not None and len(array) != n:
                raise ShapeError(
                    message(self.where, f"{names[0]} and {name} must have equal lengths",
                            f"{n} rows as in {names[0]} of shape {xs[0].shape}",
                            f"{len(array)} in {name} of shape {array.shape}",
                            "Pass one row of each per example")
                )  # fmt: skip
        return Rows(xs, ys, weights)

    def array(self, name: str, value: Any) -> np.ndarray:
        """`value` as an array of numbers with an axis of rows."""
        known = type(value) is np.ndarray
        array = value if known else as_array(f"{self.where}: {name}", value)
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise DtypeError(
                message(self.where, f"{name} must be rows of numbers",
                        "floats, integers or bools of shape (n, ...)",
                        f"dtype {array.dtype} of shape {array.shape}", "Turn names into class "
                        "numbers, with np.unique(names, return_inverse=True); put a single row "
                        "into a list")
            )  # fmt: skip
        return array

    def convert(self, batch: Rows) -> Rows:
        """The batch as a step wants it: floats in the model's dtype, class weights applied."""
        rows = self.weighted(batch)
        kinds = self.kinds(rows)
        for x, kind in zip(rows.x, kinds, strict=False):
            if x.dtype != kind and x.dtype.name in NOTICES and not self.quiet:
                notice(f"{self.where}: x is {x.dtype}, taken as {kind}{NOTICES[x.dtype.name]}.")
        parts: list[Any] = [
            None if array is None else array.astype(kind, copy=False)
            for array, kind in zip(rows.parts, kinds, strict=True)
        ]
        *xs, y, weight = parts
        return Rows(tuple(xs), y, weight)

    def kinds(self, rows: Rows) -> list[np.dtype]:
        """The dtypes that a step wants: floats, and x of bytes, in that of the model."""

        def kind(array: np.ndarray | None, more: str = "") -> np.dtype:
            if array is None or array.dtype.kind == "f" or array.dtype.name == more:
                return self.dtype
            return array.dtype

        return [*(kind(x, "uint8") for x in rows.x), kind(rows.y), self.dtype]

    def weighted(self, rows: Rows) -> Rows:
        """The rows with class weights in their weights."""
        if self.class_weight is None or rows.y is None:
            return rows
        weight = weigh(self.where, rows.y, self.class_weight)
        if rows.weight is not None:
            weight = rows.weight * weight.reshape(-1, *(1,) * (rows.weight.ndim - 1))
        return Rows(rows.x, rows.y, weight)


@dataclass(frozen=True)
class Part:
    """The batches of equal size that come next.

    rows       where their rows are from.
    positions  which of them, (batches, rows of each).
    resident   whether `rows` are all that there are, in memory.
    """

    form: Form
    rows: Rows
    positions: np.ndarray
    resident: bool

    def batches(self) -> Iterator[Rows]:
        """Each batch, as a step wants it."""
        for positions in self.positions:
            yield self.form.convert(self.rows[positions] if self.resident else self.rows)

    def only(self, i: int, count: int = 1) -> Part:
        """The batch `i` of them, or so many from there on."""
        return replace(self, positions=self.positions[i : i + count])

    def replaced(self, x: Any, y: Any, weight: Any) -> Part:
        """The batch that callbacks have made of this one."""
        form = replace(self.form, class_weight=None, quiet=True)
        rows = form.rows(tuple(map(np.asarray, x)), y, weight)
        return Part(form, rows, np.arange(len(rows))[None], False)


class Pass:
    """One way through data in memory: whole batches first, then a shorter last one."""

    def __init__(self, form: Form, rows: Rows, loader: DataLoader, skip: int) -> None:
        self.form, self.rows, self.taken = form, rows, skip
        order = loader.order(loader.epoch)
        size = min(loader.batch_size, len(order))
        whole = len(order) // size * size
        short = order[whole:] if len(loader) * size > whole else order[:0]
        self.parts = [part for part in (order[:whole].reshape(-1, size), short[None]) if part.size]

    def take(self, limit: float) -> Part | None:
        """The next batches, at most `limit`; None at the end."""
        before = 0
        for part in self.parts:
            start = self.taken - before
            if start < len(part):
                chosen = part[start : int(min(start + limit, len(part)))]
                self.taken += len(chosen)
                return Part(self.form, self.rows, chosen, True)
            before += len(part)
        return None


class Stream:
    """One way through what gives its batches one by one."""

    def __init__(self, form: Form, items: Iterator[Any], skip: int) -> None:
        self.form, self.items, self.taken = form, itertools.islice(items, skip, None), skip

    def take(self, limit: float) -> Part | None:
        """The next batch; None at the end."""
        for item in self.items:
            self.taken += 1
            rows = item if isinstance(item, Rows) else self.form.unpack(item)
            return Part(self.form, rows, np.arange(len(rows))[None], False)
        return None


class Feed:
    """Batches, epoch after epoch, of anything that can be iterated.

    Args:  form    what its items must look like.
           source  gives items; gone through again and again.
           steps   batches per epoch, if they are not all that there are: the next epoch goes on
                   where the last one stopped.
           limit   the argument that `steps` came from, for errors.
           number  of the epoch before the first, counted from 1.
    """

    def __init__(
        self, form: Form, source: Iterable[Any], steps: int | None, limit: str, number: int
    ) -> None:
        self.form, self.source, self.given, self.limit = form, source, steps, limit
        self.number, self.seen = number, 0  # the epoch, and its batches so far
        self.way: Pass | Stream | None = None
        self.peeked: Part | None = None

    @property
    def steps(self) -> int | None:
        """Batches per epoch, if it is known."""
        sized = self.given is None and isinstance(self.source, Sized)
        return len(self.source) if sized else self.given  # type: ignore[arg-type]

    @property
    def rows(self) -> Rows | None:
        """All examples, if they are in memory."""
        data = self.source.rows if isinstance(self.source, DataLoader) else None
        if isinstance(data, ArrayDataset):
            return self.form.unpack(data.arrays)
        return data if isinstance(data, Rows) else None

    def first(self) -> Rows:
        """The first batch, as a step wants it, which the next epoch will still give."""
        part = self.take(1) if self.peeked is None else self.peeked
        self.peeked, self.seen = part, 0
        return next(part.batches())  # type: ignore[union-attr]

    def begin(self, afresh: bool = False) -> None:
        """The next epoch; `afresh`, from the beginning of the source if it can be gone back to."""
        self.number, self.seen = self.number + 1, 0
        if self.peeked is None and (afresh or self.given is None):
            self.way = None

    def take(self, limit: float = 1) -> Part | None:
        """The next batches of this epoch, at most `limit` and in one call; None at its end.

        Raises:  DataError when the source gives nothing, or no more.
        """
        if self.given is not None:
            limit = min(limit, self.given - self.seen)
        if limit < 1:
            return None
        part, self.peeked = self.peeked, None
        if part is None:
            begun = self.way is not None
            part = self._way().take(limit)
            if part is None:
                self.way = None
                if self.given is None and begun:
                    return None
                part = None if self.given is None else self._way().take(limit)
            if part is None:
                raise self._dry()
        self.seen += len(part.positions)
        return part

    def _way(self, skip: int = 0) -> Pass | Stream:
        """The way that is underway, or a new one."""
        if self.way is None:
            loader, form = self.source, self.form
            if not isinstance(loader, DataLoader):
                self.way = Stream(form, iter(loader), skip)
            elif (rows := self.rows) is None or loader.collate or loader.transform:
                self.way = Stream(form, loader.stream(loader.epoch, skip), 0)
                self.way.taken = skip
            else:
                self.way = Pass(form, rows, loader, skip)
            if isinstance(loader, DataLoader):
                loader.epoch += 1
        return self.way

    def kind(self) -> dict[str, Any]:
        """How much there is, as far as it is known."""
        loader = self.source if isinstance(self.source, DataLoader) else None
        rows, size = (len(loader.dataset), loader.batch_size) if loader else (None, None)
        return {"rows": rows, "batch_size": size, "batches": self.steps}

    def state_dict(self) -> dict[str, Any]:
        """Where the feed stands: the seed and number of the next pass, and how far this one is."""
        loader = self.source
        order = (
            {"seed": loader.seed, "epoch": loader.epoch} if isinstance(loader, DataLoader) else {}
        )
        taken = None if self.way is None else self.way.taken
        return order | {"taken": taken, "seen": self.seen, "number": self.number}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go to where `state_dict` was taken; batches of a stream before it are gone through."""
        loader, taken = self.source, saved["taken"]
        if isinstance(loader, DataLoader):
            loader.seed, loader.epoch = saved["seed"], saved["epoch"]
        if isinstance(loader, Iterator) and self.way is not None:  # cannot be begun anew
            if taken is not None:
                self.way = Stream(self.form, loader, taken - self.way.taken)
                self.way.taken, self.peeked = taken, None
            self.number, self.seen = saved["number"], saved["seen"]
            return
        self.way = self.peeked = None
        if taken is not None:
            if isinstance(loader, DataLoader):
                loader.epoch -= 1
            self._way(taken)
        self.number, self.seen = saved["number"], saved["seen"]

    def _dry(self) -> DataError:
        fix = "Check how the data were made"
        if self.number > 1 or self.seen:
            fix = (
                f"A generator is used up after one pass: let it go on and pass {self.limit}, or "
                "pass what can be gone through again, like a DataLoader"
            )
        wanted = "at least 1" if self.given is None else self.given
        got = f"{self.seen} in epoch {max(self.number, 1)}"
        return DataError(message(self.form.where, "an epoch needs its batches", wanted, got, fix))


def open_feed(
    form: Form, x: Any, y: Any = None, weight: Any = None, *, batch_size: int | None = None,
    shuffle: bool = False, steps: int | None = None, limit: str = "steps", epoch: int = 0,
) -> Feed:  # fmt: skip
    """The feed of arrays, a dataset, a loader, or any iterable of batches.

    Args:    weight   per example; only with arrays.
             shuffle  arrays and datasets, by a seed drawn from the default generator.
             limit    the argument that `steps` is.
             epoch    the first one, which with the seed determines the order.
    Raises:  ValueError for arguments that do not go together; DataError when there is nothing.
    """
    where, data = form.where, x
    if steps is not None:
        steps = whole(where, limit, steps, least=1, fix="Leave it out to use all batches")
    if is_stream(x, y):
        ready = not isinstance(x, Dataset)  # made into batches by somebody else
        for name, value in [("y", y), ("sample_weight", weight), ("batch_size", batch_size)]:
            if value is not None and (ready or name != "batch_size"):
                raise ValueError(
                    message(where, f"{name} goes with arrays only", f"no {name}",
                            f"{name} beside a {type(x).__name__}",
                            "Let the batches be (x, y, weight), of the size you want")
                )  # fmt: skip
        if ready:
            return Feed(form, x, steps, limit, epoch)
    else:
        data = form.rows(x, y, weight)
    if not len(data):
        got = f"x of shape {data.x[0].shape}" if isinstance(data, Rows) else "an empty dataset"
        fix = "Check how it was made"
        raise DataError(message(where, "there must be data", "at least 1 row", got, fix))
    size = SIZE if batch_size is None else batch_size
    size = whole(where, "batch_size", size, least=1, fix="Pass batch_size=32")
    loader = DataLoader(data, size, shuffle, seed=draw_seed() if shuffle else 0)
    loader.epoch = epoch
    return Feed(form, loader, steps, limit, epoch)


def is_stream(x: Any, y: Any) -> bool:
    """Whether `x` gives batches by being iterated, rather than being an array."""
    if isinstance(x, list):
        return y is None and bool(x) and isinstance(x[0], tuple | Rows)
    arrays = (SupportsArray, tuple, Mapping, str, bytes)
    return isinstance(x, Iterable) and not isinstance(x, arrays)


def draw_seed() -> int:
    """The next seed of the default generator."""
    high, low = bits((2,)).tolist()
    return (high << 32) | low


def hold_out(
    form: Form, x: Any, y: Any, weight: Any, fraction: float, classes: bool
) -> tuple[Rows, Rows]:
    """The rows to train on and, the last ones, to validate on.

    Args:    classes  whether y holds classes: then a class that is lacking is warned of.
    Raises:  ValueError when there are no arrays to split, or one part would be empty.
    """
    rows = None if is_stream(x, y) else form.rows(x, y, weight)
    n = 0 if rows is None else len(rows)
    at = int(n * (1 - fraction)) if 0 < fraction < 1 else 0
    if rows is None or not 0 < at < n:
        given = f"{fraction} of " + (f"{n} rows" if rows else f"a {type(x).__name__}")
        raise ValueError(
            message(form.where, "validation_split must divide arrays in two",
                    "0 < validation_split < 1 and rows on both sides", given,
                    "Pass 0.2, or validation_data")
        )  # fmt: skip
    train, held = rows[:at], rows[at:]
    if classes and (lacking := sorted(_classes(train) - _classes(held))):
        warnings.warn(
            f"{form.where}: validation_split takes the last rows, and those {n - at} lack class "
            f"{', '.join(map(str, lacking))}. Shuffle sorted data first, or pass validation_data.",
            stacklevel=4,  # the caller of Module.fit
        )
    return train, held


def _classes(rows: Rows) -> set[int]:
    y: Any = rows.y
    one_hot = y.ndim == 2 and y.shape[1] > 1
    return set(np.unique(y.argmax(1) if one_hot else y).tolist())


def weigh(where: str, y: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """The weight of each example by its class; 1 for classes that have none."""
    if y.ndim > 2 or not isinstance(class_weight, Mapping):
        raise ValueError(
            message(where, "class_weight gives the weight of an example by its class",
                    "a dict, and y of shape (n,) or (n, classes)",
                    f"a {type(class_weight).__name__}, and y of shape {y.shape}",
                    "Pass sample_weight")
        )  # fmt: skip
    labels = y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y))
    weights = np.ones(len(y))
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights
