"""Notices: lines for the user that are no errors, each printed once.

May import: nothing of ours.
"""

from __future__ import annotations

import sys

said: set[str] = set()


def notice(line: str) -> None:
    """Print a line on stderr; not again in this process what only `where:` tells apart."""
    topic = line.partition(":")[2]
    if topic not in said:
        said.add(topic)
        print(line, file=sys.stderr)
