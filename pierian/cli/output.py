"""What commands print for programs. May import: nothing of ours."""

from __future__ import annotations

import json
from typing import Any


def print_json(record: dict[str, Any]) -> None:
    """The one line that --json promises, the last of what a command prints."""
    print(json.dumps(record), flush=True)


def tested(result: dict[str, float]) -> dict[str, float]:
    """The numbers of an evaluation, as --json calls them."""
    return {"test_accuracy": result["accuracy"], "test_loss": result["loss"]}
