"""Group: parameters with their settings, which live in tensors so that compiled steps see them.

May import: base, core. To add a setting: its range in `RANGES`, and its name in `SWITCHES` when at
0 it leaves something out of the step.
"""

from __future__ import annotations

import math
from collections import UserDict
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import float64
from pierian.base.errors import lookup, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign, make

TAGS = frozenset({"params", "param_names", "name"})  # entries of a group that are no settings
SWITCHES = ("momentum", "dampening", "weight_decay", "lr_decay")  # at 0: left out of the step
FIXED = ("initial_accumulator_value",)  # read when state is made, never in a step
NOT_NEGATIVE = ("lr", "momentum", "weight_decay", "eps", "lr_decay", "initial_accumulator_value")
RANGES: dict[str, tuple[str, int, Callable[[float], bool]]] = {  # in words, how many, the test
    **dict.fromkeys(NOT_NEGATIVE, ("a number >= 0", 1, lambda x: 0 <= x < math.inf)),
    **dict.fromkeys(("alpha", "rho"), ("a number in [0, 1]", 1, lambda x: 0 <= x <= 1)),
    "betas": ("two numbers in [0, 1)", 2, lambda x: 0 <= x < 1),
}


class Group(UserDict[str, Any]):
    """Parameters and their settings, read and written like a dict.

    Every number is a 0-d float64 tensor, and assigning to it writes into that tensor: what has
    been compiled sees the change. Read one with `float(group["lr"])`. A setting that switches a
    part of the rule on (true or false, or a momentum, dampening or decay of 0) stays as it was
    made, since what has been compiled could not follow.

    >>> import pierian as pr
    >>> group = pr.optim.SGD([pr.zeros(2)], lr=0.5).param_groups[0]
    >>> group["lr"] = 0.25
    >>> group["lr"]
    tensor(0.25, dtype=float64)
    """

    def __init__(self, where: str, entries: Mapping[str, Any]) -> None:
        self.where = where
        self.data = {key: _stored(where, key, value) for key, value in entries.items()}

    def __setitem__(self, key: str, value: Any) -> None:
        lookup(self.where, "entry of a group", key, self.data)
        check_setting(self.where, key, value)
        if self.is_live(key):
            with no_grad():
                for old, new in zip(trees.leaves(self[key]), trees.leaves(value), strict=True):
                    assign(old, as_tensor(new, float64), f'group["{key}"]')
        elif key in TAGS or self[key] != value:
            raise ValueError(
                message(self.where, f"{key} stays as the group was made", self[key], value,
                        "Make a new optimizer")
            )  # fmt: skip

    def is_live(self, key: str) -> bool:
        """Whether the setting is kept in tensors, so that the step depends on its value."""
        leaves = trees.leaves(self.get(key))
        return key not in TAGS and any(isinstance(leaf, Tensor) for leaf in leaves)

    def plain(self) -> dict[str, Any]:
        """All entries but the parameters, with Python numbers for tensors."""
        entries = {key: value for key, value in self.items() if key != "params"}
        return trees.map_tree(lambda x: x.item() if isinstance(x, Tensor) else x, entries)


def check_setting(where: str, name: str, value: Any) -> None:
    """Refuse numbers outside of the range of the setting `name`; tensors are not looked at."""
    if name in RANGES:
        expected, count, holds = RANGES[name]
        good = [
            isinstance(x, Tensor) or (isinstance(x, Real) and holds(float(x)))
            for x in trees.leaves(value)
        ]
        if good != [True] * count:
            raise ValueError(
                message(where, f"{name} must be in its range", expected, value, f"Change {name}")
            )


def _stored(where: str, key: str, value: Any) -> Any:
    check_setting(where, key, value)
    plain = key in TAGS or key in FIXED or isinstance(value, bool | str)
    if plain or (key in SWITCHES and not value):
        return value
    value = tuple(value) if isinstance(value, list) else value
    return trees.map_tree(lambda x: make(np.array(x, float64)), value)
