"""`pierian lr-find`: the learning-rate range test. May import: train, data, this room."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pierian import optim, train
from pierian.cli.dataset import feed, load, planes
from pierian.cli.folder import RUNS
from pierian.cli.network import batches, begin, build, in_step, jit_of, rule_of
from pierian.cli.output import print_json
from pierian.cli.settings import add_options, given, needed
from pierian.data.loaders import DataLoaders

TAKEN = ("dataset", "path", "source", "size", "augment", "model", "dropout", "batch_size",
         "optimizer", "weight_decay", "clip", "accumulate", "jit", "threads", "seed")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_options(parser, TAKEN)
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="where the picture goes (default: runs/lr-find-<dataset>-<model>.png)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """`pierian lr-find`: a short run in which the learning rate grows; no model is kept."""
    settings = needed("pierian lr-find", given(args))
    begin(settings)
    images = load(settings)
    print(f"data: {images.source}")
    x, *y = feed(images.x_train, images.y_train, settings, training=True)
    dls = DataLoaders(x)
    if y:
        dls = DataLoaders.from_arrays(x, y[0], None, settings.batch_size, seed=settings.seed)
    model = build(settings, planes(images.x_train).shape[1:], len(images.classes))

    def rule(groups: Any, lr: float) -> optim.Optimizer:
        return optim.get(settings.optimizer, groups, lr=lr, **rule_of(settings))

    steps = in_step(settings, batches(len(images.x_train), settings.batch_size))
    learner = train.Learner(dls, model, "cross_entropy", rule, cbs=steps, verbose=0,
                            jit=jit_of(settings))  # fmt: skip
    found = learner.lr_find()
    path = args.out or RUNS / f"lr-find-{settings.dataset}-{settings.model}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = True
    try:
        found.plot(path)
    except ImportError as error:
        drawn = False
        print(error, file=sys.stderr)
    rate = float(f"{found.valley:.2g}")
    print(f"tried {len(found.lrs)} learning rates from {found.lrs[0]:.1g} to {found.lrs[-1]:.1g}"
          + (f"; the curve is in {path}" if drawn else ""))  # fmt: skip
    print(f"suggested learning rate: {rate:g}")
    if args.json:
        record = {"suggestion": rate, "lrs": found.lrs.tolist(), "losses": found.losses.tolist()}
        print_json(record | {"plot": str(path) if drawn else None})
    return 0
