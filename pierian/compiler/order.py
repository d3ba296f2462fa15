"""The order in which the axes of an array lie in memory.

May import: numpy.
"""

from __future__ import annotations

import numpy as np


def order_of(array: np.ndarray) -> tuple[int, ...] | None:
    """The axes from the outermost in memory to the innermost; None as usual, and with gaps.

    >>> order_of(np.zeros((2, 3)).T)
    (1, 0)
    """
    if array.flags.c_contiguous:
        return None
    axes = tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    return axes if array.transpose(axes).flags.c_contiguous else None
