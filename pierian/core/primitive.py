"""Primitives: everything that is ever computed, each declared once with `define`.

May import: base. To add one: a `define` block in the fitting file of `ops/`, and a row of cases
in the tests. A primitive is its name, a shape rule apart from execution, a NumPy executor and one
gradient rule per differentiable argument, written in Tensor operations so that it can be traced
and differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a value before it is computed."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class Rule:
    """One gradient rule and what must be kept for it.

    `fn(g, y, *inputs, **params)` gives the gradient of one input from that of the output. An
    argument whose name starts with an underscore is not kept for the backward pass: the rule
    gets a stand-in of the right shape and dtype, full of NaN, that takes no memory.
    """

    fn: Callable[..., Any]
    keeps_output: bool
    keeps: tuple[bool, ...]
    keeps_rest: bool


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """One operation; see the module docstring."""

    name: str
    shape: Callable[..., Spec]
    run: Callable[..., Any]
    rules: tuple[Rule, ...]
    variadic: bool
    view: bool  # whether the result may share memory with the first input

    def rule(self, position: int) -> Rule | None:
        """The gradient rule of the input at `position`; None when it has no gradient."""
        if position < len(self.rules):
            return self.rules[position]
        return self.rules[-1] if self.variadic else None


REGISTRY: dict[str, Primitive] = {}
quiet = np.errstate(all="ignore")  # executors follow IEEE 754 silently, as compiled code does


def define(
    name: str,
    *,
    shape: Callable[..., Spec],
    run: Callable[..., Any],
    vjp: Callable[..., Any] | tuple[Callable[..., Any], ...] = (),
    variadic: bool = False,
    view: bool = False,
    warns: bool = True,
) -> Primitive:
    """Register a primitive.

    Args:  shape     rule (*specs, **params) -> Spec; raises ShapeError or DtypeError.
           run       NumPy executor (*arrays, **params) -> array.
           vjp       a gradient rule per leading input; a single one for the first only.
           variadic  the last rule serves all further inputs; it gets `position=` too.
           view      whether the result may share memory with the first input.
           warns     whether NumPy may warn in `run` (overflow, 0/0); then it is silenced.
    """
    if name in REGISTRY:
        raise ValueError(f"define: {name!r} is already a primitive. Choose another name.")
    rules = vjp if isinstance(vjp, tuple) else (vjp,)
    REGISTRY[name] = primitive = Primitive(
        name, shape, quiet(run) if warns else run, tuple(map(_rule, rules)), variadic, view
    )
    return primitive


def _rule(fn: Callable[..., Any]) -> Rule:
    code = fn.__code__
    names = code.co_varnames[1 : code.co_argcount]
    has_rest = bool(code.co_flags & 0x04)  # inspect.CO_VARARGS
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if has_rest else "_"
    kept = tuple(not name.startswith("_") for name in names)
    return Rule(fn, bool(kept) and kept[0], kept[1:], not rest.startswith("_"))
