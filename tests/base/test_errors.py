"""Errors: each is a built-in too, and each says one sentence."""

from __future__ import annotations

import re

import pytest

from pierian.base import errors


@pytest.mark.parametrize(
    ("name", "builtin"),
    [("ShapeError", ValueError), ("DtypeError", TypeError), ("GradError", RuntimeError),
     ("TraceError", RuntimeError), ("CompileError", RuntimeError), ("DataError", ValueError),
     ("CheckpointError", RuntimeError)],
)  # fmt: skip
def test_every_error_is_a_built_in_and_ours(name: str, builtin: type) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, builtin)
    assert issubclass(kind, errors.PierianError)
    assert kind.__doc__


def test_message_ends_in_one_full_stop() -> None:
    for fix in ("Do this", "Do this."):
        text = errors.message("f", "x must be y", 1, 2, fix)
        assert text == "f: x must be y; expected 1, got 2. Do this."


def test_lookup_finds_guesses_or_lists() -> None:
    known = ["adam", "sgd", "rmsprop"]
    assert errors.lookup("compile", "optimizer", "sgd", known) == "sgd"
    for name, fix in [("adm", "Did you mean 'adam'?"), ("SGD", "Did you mean 'sgd'?"),
                      (3, "Use one of these"), (None, "Use one of these")]:  # fmt: skip
        with pytest.raises(ValueError, match=re.escape(f"adam, rmsprop, sgd, got {name!r}. {fix}")):
            errors.lookup("compile", "optimizer", name, known)
