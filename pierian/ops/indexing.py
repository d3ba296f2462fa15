"""Indexing: reading and writing parts of tensors, by slices, integers, masks and index tensors.

May import: base, core, elementwise, movement. Basic indices become slices, flips and reshapes;
index tensors go through three primitives over leading axes: `index`, `scatter` (overwrite) and
`scatter_add`.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from pierian.base.dtypes import bool_, int64, is_integer
from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import Shape, broadcast, normalize_axis
from pierian.core.graph import Symbol
from pierian.core.primitive import Spec, define
from pierian.core.tensor import (
    Tensor,
    as_tensor,
    assign,
    bind,
    check_assignable,
    check_reaches,
    constant,
    mode,
    stamp,
    to_array,
)
from pierian.ops.movement import broadcast_to, reshape
from pierian.ops.operands import cast, operand


def _index_rule(x: Any, *indices: Any) -> Spec:
    for index in indices:
        if not is_integer(index.dtype):
            raise DtypeError(
                message("index", "index tensors must be integers", "int64", index.dtype,
                        "Cast with .long(), or use a bool mask")
            )  # fmt: skip
    lead = broadcast("index", *[i.shape for i in indices])
    return Spec(lead + tuple(x.shape[len(indices) :]), x.dtype)


def check_range(where: str, index: np.ndarray, size: int, axis: int) -> None:
    """Refuse an index outside -size <= index < size, before anything is read or written."""
    if index.size and (int(index.max()) >= size or int(index.min()) < -size):
        bad = index[(index >= size) | (index < -size)].flat[0]
        raise IndexError(
            message(where, f"an index must lie inside axis {axis}", f"{-size} <= index < {size}",
                    bad, "Check the labels or ids that are used as indices")
        )  # fmt: skip


def _checked(x: np.ndarray, indices: tuple[np.ndarray, ...], where: str) -> None:
    for axis, index in enumerate(indices):
        check_range(where, index, x.shape[axis], axis)


def _index(x: np.ndarray, *indices: np.ndarray) -> np.ndarray:
    _checked(x, indices, "index")
    return x[indices]


define("index", shape=_index_rule, run=_index, warns=False,
       vjp=lambda g, _y, _x, *indices: bind("scatter_add", _zeros(_x), g, *indices))  # fmt: skip


def _zeros(x: Tensor) -> Tensor:
    return bind("full", shape=x.shape, value=0, dtype=x.dtype)


def _scatter_rule(x: Any, values: Any, *indices: Any) -> Spec:
    wanted = _index_rule(x, *indices).shape
    if values.shape != wanted or values.dtype != x.dtype:
        raise ShapeError(
            message("scatter", "values must fit the places", f"{x.dtype}{list(wanted)}",
                    f"{values.dtype}{list(values.shape)}", "Broadcast and cast them first")
        )  # fmt: skip
    return Spec(x.shape, x.dtype)


def _scatter(x: np.ndarray, values: np.ndarray, *indices: np.ndarray) -> np.ndarray:
    _checked(x, indices, "scatter")
    out = x.copy()
    out[indices] = values
    return out


def _scatter_add(x: np.ndarray, values: np.ndarray, *indices: np.ndarray) -> np.ndarray:
    _checked(x, indices, "scatter_add")
    out = x.copy()
    np.add.at(out, indices, values)
    return out


define("scatter", shape=_scatter_rule, run=_scatter, warns=False,
       vjp=(lambda g, _y, _x, _v, *indices: bind("scatter", g, _zeros(_v), *indices),
            lambda g, _y, _x, _v, *indices: bind("index", g, *indices)))  # fmt: skip
define("scatter_add", shape=_scatter_rule, run=_scatter_add, warns=False,
       vjp=(lambda g, _y, _x, _v, *_indices: g,
            lambda g, _y, _x, _v, *indices: bind("index", g, *indices)))  # fmt: skip


# Reading: x[...]


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]` with NumPy's rules: slices, integers, None, `...`, masks and index tensors.

    Slices and integers share memory with `x`; masks and index tensors copy.
    Raises:  IndexError outside the axis; ShapeError for too many indices.

    >>> x = as_tensor([[1, 2], [3, 4]])
    >>> x[:, 1], x[x > 2]
    (tensor([2, 4], dtype=int64), tensor([3, 4], dtype=int64))
    """
    if type(index) is int and x.value.shape:
        n = x.value.shape[0]
        if -n <= index < n:
            return _integer(x, index % n)
    basic, advanced, together = _parse(x, index)
    x = _basic(x, basic)
    return _advanced(x, advanced, together) if advanced else x


def _integer(x: Tensor, i: int) -> Tensor:
    shape = x.value.shape
    zeros, rest = (0,) * (len(shape) - 1), shape[1:]
    row = bind("slice", x, starts=(i, *zeros), stops=(i + 1, *rest), steps=(1,) * len(shape))
    return bind("reshape", row, shape=rest)


def _parse(x: Tensor, index: Any) -> tuple[list[Any], dict[int, Tensor], bool]:
    """A basic index (slices, ints, None) per axis, index tensors by place in its result, and
    whether these stand together, integers counted as index tensors (NumPy's rule).

    A mask counts for as many axes as it has; it becomes the integer indices of its True places.
    """
    items: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        items += _expand_item(item)
    used = builtins.sum(item is not Ellipsis and not _is_new_axis(item) for item in items)
    if builtins.sum(item is Ellipsis for item in items) > 1 or used > x.ndim:
        raise ShapeError(
            message("index", "at most one index per axis and one `...`", f"<= {x.ndim} indices",
                    used, "Drop the extra ones")
        )  # fmt: skip
    if not any(item is Ellipsis for item in items):
        items.append(Ellipsis)
    basic: list[Any] = []
    advanced: dict[int, Tensor] = {}
    place = axis = groups = 0
    inside = False
    for item in items:
        groups += isinstance(item, (int, Tensor)) and not inside
        inside = isinstance(item, (int, Tensor))
        if isinstance(item, _Mask) and item.length is not None and item.length != x.shape[axis]:
            raise ShapeError(
                message("index", "a mask must have the shape of what it masks", x.shape[axis],
                        item.length, "Reduce or broadcast the mask")
            )  # fmt: skip
        if isinstance(item, Tensor):
            advanced[place] = item
            item = None if _is_new_axis(item) else slice(None)
        new = [slice(None)] * (x.ndim - used) if item is Ellipsis else [item]
        basic += new
        axis += len(new) - (item is None)
        place += len(new) - isinstance(item, int)
    return basic, advanced, groups == 1


class _Mask(Tensor):
    """The places along one axis where a mask holds, and the length that axis must have (None:
    a mask without axes, which makes a new one).
    """

    __slots__ = ("length",)
    length: int | None


def _is_new_axis(item: Any) -> bool:
    return item is None or (isinstance(item, _Mask) and item.length is None)


def _expand_item(item: Any) -> list[Any]:
    """One item of an index as one per axis: None, `...`, slice, int or an integer tensor."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return [item]
    if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
        return [int(item)]
    if isinstance(item, Tensor):
        if item.dtype == bool_:
            return _places(item._concrete("a bool mask as an index"))
    else:
        array = to_array(np.zeros(0, np.int64) if isinstance(item, list) and not item else item)
        if array.dtype == bool_:
            return _places(array)
        item = constant(array)
    if not is_integer(item.dtype):
        raise DtypeError(
            message("index", "an index is an integer, slice, None, `...`, mask or index tensor",
                    "one of these", f"dtype {item.dtype}", "Cast with .long()")
        )  # fmt: skip
    return [item]


def _places(mask: np.ndarray) -> list[Any]:
    """The places where a mask holds, an index tensor per axis."""
    places: list[Any] = []
    for axis, indices in enumerate(np.nonzero(mask) if mask.ndim else [np.zeros(int(mask))]):
        place = _Mask(indices, int64)
        place.length = mask.shape[axis] if mask.ndim else None
        places.append(place)
    return places


def _basic(x: Tensor, items: list[Any]) -> Tensor:
    """Slices, integers and None, by the movement primitives."""
    starts, stops, steps, flips, shape = [], [], [], [], []
    axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, int):
            if not -n <= item < n:
                raise IndexError(
                    message("index", f"must lie inside axis {axis}", f"{-n} <= index < {n}", item,
                            f"The tensor has shape {x.shape}")
                )  # fmt: skip
            start, stop, step = item % n, item % n + 1, 1
        else:
            picked = range(n)[item]
            start, step = picked.start, picked.step
            if step < 0:
                flips.append(axis)
                start, step = (picked[-1], -step) if picked else (0, 1)
            stop = start + (len(picked) - 1) * step + 1 if picked else start
            shape.append(len(picked))
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        axis += 1
    whole = not any(starts) and all(s == 1 for s in steps) and tuple(stops) == x.shape
    if not whole:
        x = bind("slice", x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
    if flips:
        x = bind("flip", x, axes=tuple(flips))
    if whole and not flips or x.shape != tuple(shape):
        x = bind("reshape", x, shape=tuple(shape))
    return x


def _advanced(x: Tensor, indices: dict[int, Tensor], together: bool = True) -> Tensor:
    """Index tensors: their axes to the front, `index`, and the result's axes where NumPy puts
    them: at the first indexed axis when these stand together, else in front.
    """
    axes = tuple(indices)
    rest = tuple(i for i in range(x.ndim) if i not in indices)
    front = bind("permute", x, axes=(*axes, *rest)) if axes != tuple(range(len(axes))) else x
    tensors = [make_plain(index) for index in indices.values()]
    out = bind("index", front, *tensors)
    if together and axes[0]:
        lead = out.ndim - len(rest)
        order = (*range(lead, lead + axes[0]), *range(lead), *range(lead + axes[0], out.ndim))
        out = bind("permute", out, axes=order)
    return out


def make_plain(index: Tensor) -> Tensor:
    """`index` as int64, the dtype that primitives take."""
    return cast(index, int64)


# Writing: x[...] = value


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`: in place, recorded when gradients may be asked for.

    Raises:  as `getitem`; ShapeError when the value cannot be broadcast to the place;
             GradError for a leaf that requires gradients.
    """
    check_assignable(x, "item assignment")
    value = operand("item assignment", value, x)
    if value.dtype != x.dtype:
        if np.can_cast(value.dtype, x.dtype, "same_kind") or value.dtype.kind in "biu":
            value = cast(value, x.dtype)
        else:
            raise DtypeError(
                message("item assignment", "the value must fit the dtype of the tensor", x.dtype,
                        value.dtype, "Cast the value, or the tensor with .float()")
            )  # fmt: skip
    check_reaches(x, value, "item assignment")
    recorded = mode.grad and (x.node is not None or value.node is not None)
    if mode.tracer is None and not recorded:
        target = x.value
        place = _numpy_index(x, index)
        try:
            wanted = target[place].shape
        except IndexError:
            getitem(x, index)  # says it in our words
            raise
        target[place] = _fitting(value, wanted).value
        stamp(target)
        return
    assign(x, _replaced(x, index, value), "item assignment")


def _replaced(x: Tensor, index: Any, value: Tensor) -> Tensor:
    """A copy of `x` with `value` at the index."""
    basic, advanced, _ = _parse(x, index)
    tensors = list(advanced.values())
    leading = list(advanced) == list(range(len(advanced))) and all(i == slice(None) for i in basic)
    if tensors and leading:
        wanted = _index_rule(x, *tensors).shape
        return bind("scatter", x, broadcast_to(_fitting(value, wanted), wanted), *tensors)
    size = math.prod(x.shape)
    positions = bind("arange", start=0, step=1, size=size, dtype=int64)
    places = getitem(reshape(positions, x.shape), index)
    filled = reshape(broadcast_to(_fitting(value, places.shape), places.shape), places.numel())
    flat = bind("scatter", reshape(x, size), filled, reshape(places, places.numel()))
    return bind("copy", reshape(flat, x.shape))  # a reshape alone would count as a view


def _fitting(value: Tensor, wanted: Shape) -> Tensor:
    """`value` without leading axes of length 1 that the place has not, as NumPy takes it."""
    extra = value.ndim - len(wanted)
    if extra > 0 and math.prod(value.shape[:extra]) == 1:
        value = reshape(value, value.shape[extra:])
    if broadcast("item assignment", value.shape, wanted) != wanted:
        raise ShapeError(
            message("item assignment", "the value must broadcast to the place", wanted,
                    value.shape, "Reshape the value")
        )  # fmt: skip
    return value


def _numpy_index(x: Tensor, index: Any) -> Any:
    """The index for NumPy, after our own checks."""
    _parse(x, index)
    items = index if isinstance(index, tuple) else (index,)
    plain = tuple(np.asarray(i) if isinstance(i, (Tensor, list)) else i for i in items)
    return tuple(
        i.astype(np.int64) if isinstance(i, np.ndarray) and not i.size and i.dtype != bool_ else i
        for i in plain
    )


# Named forms


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of `x` along `axis` by number; of the flattened x for axis None.

    Shapes:  x (a, b, c), indices (...), axis 1 -> (a, ..., c).
    Raises:  IndexError for a number outside the axis.

    >>> take(as_tensor([10, 20, 30]), [2, 0])
    tensor([30, 10], dtype=int64)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, -1), 0
    at = normalize_axis("take", axis, x.ndim)
    indices = as_tensor(indices)
    if not indices.numel():
        indices = cast(indices, int64)
    return _advanced(x, {at: make_index("take", indices)})


def make_index(where: str, indices: Any) -> Tensor:
    """`indices` as an int64 tensor; a clear error for anything but integers."""
    indices = as_tensor(indices)
    if not is_integer(indices.dtype):
        raise DtypeError(
            message(
                where,
                "indices must be integers",
                "int64",
                indices.dtype,
                'Cast with .long(), an array with .astype("int64")',
            )
        )
    return cast(indices, int64)


def _grid(x: Tensor, indices: Tensor, axis: int) -> list[Tensor]:
    """Index tensors that pair `indices` along `axis` with every place of the other axes."""
    grid = []
    for i in range(x.ndim):
        if i == axis:
            grid.append(indices)
            continue
        shape = tuple(indices.shape[i] if j == i else 1 for j in range(x.ndim))
        steps = bind("arange", start=0, step=1, size=indices.shape[i], dtype=int64)
        grid.append(bind("reshape", steps, shape=shape))
    return grid


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """One element of `x` for each index, matched along all axes but `axis`.

    Shapes:  x (a, b), indices (a, k), axis 1 -> (a, k); the other axes broadcast.
    """
    x, indices = as_tensor(x), make_index("take_along_axis", indices)
    if indices.ndim != x.ndim:
        raise ShapeError(
            message("take_along_axis", "indices must have as many axes as x", x.ndim,
                    indices.ndim, "Use unsqueeze on the indices")
        )  # fmt: skip
    at = normalize_axis("take_along_axis", axis, x.ndim)
    shape = tuple(1 if i == at else n for i, n in enumerate(x.shape))
    wanted = broadcast("take_along_axis", shape, indices.shape)
    indices = broadcast_to(indices, wanted)
    x = broadcast_to(x, tuple(x.shape[at] if i == at else n for i, n in enumerate(wanted)))
    return bind("index", x, *_grid(x, indices, at))


def gather(x: Any, axis: int, indices: Any) -> Tensor:
    """PyTorch's gather: out[i][j] = x[indices[i][j]][j] for axis 0; indices may be smaller.

    Shapes:  x (a, b), indices (c, d) with d <= b, axis 0 -> (c, d).
    """
    x, indices = as_tensor(x), make_index("gather", indices)
    at = normalize_axis("gather", axis, x.ndim)
    if indices.ndim != x.ndim or any(
        n > m for i, (n, m) in enumerate(zip(indices.shape, x.shape, strict=False)) if i != at
    ):
        raise ShapeError(
            message("gather", "indices must fit in x on all axes but `axis`", x.shape,
                    indices.shape, "Crop or reshape the indices")
        )  # fmt: skip
    return bind("index", x, *_grid(x, indices, at))


def scatter_add(x: Any, axis: int, indices: Any, values: Any) -> Tensor:
    """`x` with values added at indices along `axis`; the adjoint of `gather`. Repeats add up.

    Shapes:  x (a, b), indices (c, d), values (c, d) -> (a, b).
    """
    x, indices = as_tensor(x), make_index("scatter_add", indices)
    at = normalize_axis("scatter_add", axis, x.ndim)
    values = broadcast_to(cast(operand("scatter_add", values, x), x.dtype), indices.shape)
    if indices.ndim != x.ndim:
        raise ShapeError(
            message("scatter_add", "indices must have as many axes as x", x.ndim, indices.ndim,
                    "Use unsqueeze on the indices")
        )  # fmt: skip
    return bind("scatter_add", x, values, *_grid(x, indices, at))


def one_hot(labels: Any, num_classes: int | None = None, dtype: Any = int64) -> Tensor:
    """Rows with a one at the label and zeros elsewhere. Shapes: (...) -> (..., num_classes).

    Args:    num_classes  by default one more than the largest label.
    Raises:  IndexError for a label outside 0 <= label < num_classes.

    >>> one_hot([2, 0], 3)
    tensor([[0, 0, 1],
            [1, 0, 0]], dtype=int64)
    """
    labels = make_index("one_hot", labels)
    if type(labels.value) is not Symbol:
        value = labels.value
        if num_classes is None:
            num_classes = int(value.max()) + 1 if value.size else 0
        if value.size and (value.min() < 0 or value.max() >= num_classes):
            bad = value[(value < 0) | (value >= num_classes)].flat[0]
            raise IndexError(
                message("one_hot", "labels must be classes", f"0 <= label < {num_classes}", bad,
                        "Pass num_classes larger than every label")
            )  # fmt: skip
    elif num_classes is None:
        raise ShapeError(
            message("one_hot", "num_classes must be known inside a traced function", "an int",
                    None, "Pass num_classes")
        )  # fmt: skip
    classes = bind("arange", start=0, step=1, size=num_classes, dtype=int64)
    shape = (*labels.shape, 1)
    return cast(bind("eq", bind("reshape", labels, shape=shape), classes), dtype)
