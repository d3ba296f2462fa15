"""Makes tests/io/fixtures/model_v1.safetensors, which every later Pierian must be able to load.

May import: the package. Run once for each VERSION of the format (see pierian/io/model.py), never
again after its release:

    python tools/make_model_fixture.py [file]

Element k of every tensor is (k % 7 - 3) / 8, so that what must come out needs no copy of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def fill(shape: tuple[int, ...]) -> np.ndarray:
    """What a tensor of this shape holds in the fixture."""
    count = np.arange(np.prod(shape, dtype=int))
    return ((count % 7 - 3) / 8).astype(np.float32).reshape(shape)


def main(argv: list[str]) -> int:
    """Writes a model with a waiting size, nesting, sharing, ties, frozen parts and changed ones."""
    sys.path.insert(0, str(REPOSITORY))
    from pierian import io, nn

    body = nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.1))
    parts = {"flat": nn.Flatten(), "first": nn.Dense(4, "relu"), "body": body, "again": body,
             "drop": nn.Dropout(0.5), "list": nn.Sequential(nn.Linear(4, 4), nn.Tanh()),
             "head": nn.Linear(4, 3, bias=False)}  # fmt: skip
    model = nn.Sequential(parts).build((2, 3))
    model["list"][0].weight = body[0].weight
    model["first"].bias = body[0].bias
    model.load_state_dict({name: fill(t.shape) for name, t in model.state_dict().items()})
    body.freeze()
    model["drop"].eval().p = 0.25
    version = io.model.VERSION
    folder = REPOSITORY / "tests" / "io" / "fixtures"
    target = Path(argv[0]) if argv else folder / f"model_v{version}.safetensors"
    model.save(target)
    print(f"{target}: {target.stat().st_size:,} bytes, version {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
