"""Measures of correctness, for Pierian's own tests and for yours: `gradcheck` and `agree`.

May import: everything; no other room imports this one. To add a measure: a file with one public
function that raises AssertionError with both sides in it, and its name here.
"""

from pierian.testing.agree import (
    TOLERANCES,
    Tolerance,
    agree,
    compare,
    tolerance,
)
from pierian.testing.gradcheck import gradcheck

__all__ = [
    "TOLERANCES",
    "Tolerance",
    "agree",
    "compare",
    "gradcheck",
    "tolerance",
]
