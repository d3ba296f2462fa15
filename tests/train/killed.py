"""A training run to be killed at any moment, and started again, until it is done.

    python -m tests.train.killed FOLDER THREADS

Whatever can make two runs differ is in it: dropout, a schedule, averages, accumulation, metrics,
files that grow. It says "training" when that begins, and ends with a checksum of all that is left.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pierian as pr
from pierian import nn, train
from pierian.ops import random

EPOCHS, BATCH = 10, 8
ROWS = 800


class Ready(train.Callback):
    """Says that training goes on from here."""

    def after_steps(self, run: Any) -> None:
        if not self.params.get("said"):
            self.params["said"] = True
            print("training", flush=True)


def main(folder: Path, threads: int) -> str:
    """Train, or go on training; gives the checksum."""
    pr.set_num_threads(threads)
    pr.manual_seed(5)
    draw = np.random.default_rng(0)
    x = draw.standard_normal((ROWS, 12)).astype(np.float32)
    y = (x[:, :3].sum(1) + 0.3 * draw.standard_normal(ROWS) > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    model.compile("adam", "cross_entropy", ["accuracy", "auc"])
    callbacks = [
        train.Scheduler("one-cycle"),
        train.GradientClip(1.0),
        train.ExponentialMovingAverage(0.99),
        train.GradientAccumulation(3),
        train.EarlyStopping(patience=50, restore_best_weights=True),
        train.CSVLogger(folder / "log.csv"),
        train.JSONLogger(folder / "log.jsonl"),
        train.ModelCheckpoint(folder, every=3, unit="step", monitor="val_loss"),
        Ready(),
    ]
    history = model.fit(
        x, y, BATCH, EPOCHS, verbose=0, validation_split=0.1, callbacks=callbacks, resume=True
    )
    left: list[Any] = [tensor.numpy().tobytes() for tensor in model.state_dict().values()]
    for slots in model.optimizer.state_dict()["state"].values():
        left += [np.asarray(value).tobytes() for value in slots.values()]
    left += [random.default.state.numpy().tobytes(), repr(history.history).encode()]
    left += [(folder / name).read_bytes() for name in ("log.csv", "log.jsonl")]
    return hashlib.sha256(b"".join(left)).hexdigest()


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), int(sys.argv[2])))
