"""Makes the fixtures checkpoint_v1*.safetensors, which every later Pierian must be able to read.

May import: the package. Run once for each VERSION of the format (see pierian/io/checkpoint.py),
never again after its release:

    python tools/make_checkpoint_fixture.py [folder]

One holds values of every kind, so that what must come out is known. The other is of a run that was
left in the middle of its second epoch, so that it must be possible to go on with it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
DTYPES = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
STEPS = 7  # of the run, 5 an epoch


def values() -> dict[str, Any]:
    """What the first fixture holds beside its model."""
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in DTYPES}
    odd = np.array([math.nan, -0.0, math.inf, 5e-324], np.float64)
    plain: list[Any] = [
        None,
        True,
        -3,
        2**60,
        0.1,
        math.inf,
        -math.inf,
        "ä/ß\n",
        [],
        {},
        [[1], {"a": 2}],
    ]
    return {
        "arrays": arrays | {"scalar": np.array(2.5), "empty": np.zeros((0, 3)), "odd": odd},
        "plain": plain,
        "numbers as keys": {0: {"exp_avg": np.ones(2, np.float32)}, 1.5: "b", None: "c"},
        "$dollar": {"$array": "no array"},
        "a/b": np.array([1]),
        "a": {"b": np.array([2])},
    }


def problem() -> tuple[np.ndarray, np.ndarray]:
    """The data of the run."""
    x = (np.arange(76) % 13 / 6 - 1).reshape(38, 2).astype(np.float32)
    return x, (x[:, 0] > x[:, 1]).astype(np.int64)


def model() -> Any:
    """The model of the run, compiled; its weights do not depend on any initialization."""
    import pierian as pr
    from pierian import nn

    pr.manual_seed(5)
    made = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 2))
    for parameter in made.parameters():
        count = np.arange(parameter.numel()).reshape(parameter.shape)
        parameter.numpy()[...] = (count % 7 - 3) / 8
    made.compile("adam", "cross_entropy", ["accuracy"])
    return made


def train(folder: Path, until: int | None = None, **options: Any) -> Any:
    """The run, left after `until` steps; gives the model."""
    from pierian.train import (
        Callback,
        CancelFit,
        EarlyStopping,
        ExponentialMovingAverage,
        GradientAccumulation,
        ModelCheckpoint,
        Scheduler,
    )

    class Leave(Callback):
        order = 99

        def after_batch(self, run: Any) -> None:
            if run.step == until:
                raise CancelFit

    x, y = problem()
    callbacks = [
        Scheduler("one-cycle"), ExponentialMovingAverage(0.9), GradientAccumulation(2),
        EarlyStopping("loss", patience=9, restore_best_weights=True),
        ModelCheckpoint(folder, every=1, unit="step", keep=1), Leave(),
    ]  # fmt: skip
    made = model()
    made.fit(x, y, 8, 4, verbose=0, callbacks=callbacks, **options)
    return made


def main(argv: list[str]) -> int:
    """Writes both into the folder."""
    sys.path.insert(0, str(REPOSITORY))
    from pierian.io.checkpoint import save_checkpoint

    home = REPOSITORY / "tests" / "io" / "fixtures"
    folder = Path(argv[0]) if argv else home
    made = model()
    save_checkpoint(
        folder / "checkpoint_v1.safetensors", made, {"model": made.state_dict()} | values()
    )
    train(folder / "run", STEPS)
    (path,) = (folder / "run").iterdir()
    path.replace(folder / "checkpoint_v1_run.safetensors")
    path.parent.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
