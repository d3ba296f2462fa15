"""How a tensor looks in a notebook. May import: base, tensor."""

from __future__ import annotations

from html import escape

import numpy as np

from pierian.base.table import Table
from pierian.core.graph import Symbol
from pierian.core.tensor import Tensor

SHOWN = 10  # rows and columns; of more, those at both ends
EDGE = 4
DOTS = "⋯"


def html(tensor: Tensor) -> str:
    """A matrix as a table with the numbers of rows and columns, others as text; escaped."""
    if type(tensor.value) is Symbol or tensor.ndim != 2 or not tensor.numel():
        return f"<pre>{escape(repr(tensor))}</pre>"
    array = tensor.value
    rows, columns = map(_shown, array.shape)
    cells = [[_name(i), *(_cell(array, i, j) for j in columns)] for i in rows]
    head, tail = str(tensor.shape), str(tensor.dtype)
    if not tensor.is_leaf:
        tail += f", grad_fn={tensor.node!r}"
    elif tensor.requires_grad:
        tail += ", requires_grad=True"
    table = Table(["", *map(_name, columns)], cells)._repr_html_()
    return f"<p>{tensor.label} {head}, {escape(tail)}</p>{table}"


def _shown(size: int) -> list[int | None]:
    """The positions along one axis; None for those left out."""
    if size <= SHOWN:
        return list(range(size))
    return [*range(EDGE), None, *range(size - EDGE, size)]


def _name(position: int | None) -> str:
    return DOTS if position is None else str(position)


def _cell(array: np.ndarray, i: int | None, j: int | None) -> str:
    if i is None or j is None:
        return DOTS
    return f"{array[i, j]:.4g}" if array.dtype.kind in "fc" else str(array[i, j])
