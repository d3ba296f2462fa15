"""Makes tests/nn/images_golden.npz: what PyTorch gives for the tests' table of image layers.

May import: the standard library, NumPy, torch, and tests/nn/image_cases.py, which knows none but
NumPy. Run it where torch is installed, after a change of the table:

    python tools/make_image_golden.py [tests/nn/images_golden.npz]
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def main(argv: list[str]) -> int:
    """Writes the file: arrays in float32, computed in float64, keyed "row|what"."""
    path = Path(argv[0]) if argv else REPOSITORY / "tests" / "nn" / "images_golden.npz"
    sys.path.insert(0, str(REPOSITORY / "tests" / "nn"))
    cases, torch = importlib.import_module("image_cases"), importlib.import_module("torch")
    arrays = {
        f"{name}|{what}": array.astype(np.float32)
        for name, row in cases.ROWS.items()
        if row.torch
        for what, array in cases.golden(torch, row).items()
    }
    np.savez_compressed(path, torch=np.array(torch.__version__), **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
