"""What goes wrong, by kind, and the one sentence every message follows.

May import: nothing of ours. To add a kind: a class that is also a built-in error, so that
`except ValueError` keeps working for people who never heard of us.

    <where>: <what must hold>; expected <a>, got <b>. <how to fix>.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PierianError(Exception):
    """Base of every error that Pierian raises on purpose."""


class ShapeError(PierianError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DtypeError(PierianError, TypeError):
    """A dtype that the operation cannot take."""


class GradError(PierianError, RuntimeError):
    """A gradient that does not exist or can no longer be computed."""


class TraceError(PierianError, RuntimeError):
    """Python code that cannot be recorded as a graph."""


class CompileError(PierianError, RuntimeError):
    """A graph that cannot be turned into a program."""


class DataError(PierianError, ValueError):
    """Data that is missing, unreadable or damaged."""


class CheckpointError(PierianError, RuntimeError):
    """A saved model or run that is missing, damaged or does not fit."""


def message(where: str, must: str, expected: object, got: object, fix: str) -> str:
    """The house sentence, for `raise ShapeError(message(...))`.

    >>> message("matmul", "inner axes must agree", 3, 4, "Transpose the second argument")
    'matmul: inner axes must agree; expected 3, got 4. Transpose the second argument.'
    """
    return f"{where}: {must}; expected {expected}, got {got}. {fix.rstrip('.')}."


def lookup(where: str, kind: str, name: object, known: Iterable[str]) -> str:
    """`name` when it is one of `known`; otherwise a ValueError that lists them and guesses.

    >>> lookup("compile", "optimizer", "adm", ["adam", "sgd"])
    Traceback (most recent call last):
    ...
    ValueError: compile: optimizer must be a known name; expected one of adam, sgd, got 'adm'. \
Did you mean 'adam'?
    """
    names = sorted(known)
    if isinstance(name, str) and name in names:
        return name
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    fix = f"Did you mean {near[0]!r}?" if near else "Use one of these."
    raise ValueError(
        f"{where}: {kind} must be a known name; "
        f"expected one of {', '.join(names)}, got {name!r}. {fix}"
    )
