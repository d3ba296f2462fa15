"""The oracle tier: tests that hold us against PyTorch where it is installed.

They are skipped elsewhere, unless PIERIAN_ORACLE is set: then a missing PyTorch is a failure, so
that the tier cannot fall asleep where it is meant to run.
"""

from __future__ import annotations

import importlib.util
import os

import pytest

NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None and not os.environ.get("PIERIAN_ORACLE"),
    reason="the oracle tier needs torch installed",
)
