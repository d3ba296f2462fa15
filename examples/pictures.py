"""Where the programs put their pictures."""

import os
from pathlib import Path

FOLDER = "EXAMPLES_PICTURES"  # the variable that says where; by default `pictures` right here


def at(name: str) -> Path:
    """The path of a picture, in a folder that is there."""
    path = Path(os.environ.get(FOLDER, "pictures")) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    print("drawn:", path)
    return path
