"""What the tests of nn share: every test starts from the same random numbers."""

from __future__ import annotations

import pytest

import pierian as pr


@pytest.fixture(autouse=True)
def _seed() -> None:
    pr.manual_seed(0)
