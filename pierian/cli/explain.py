"""`pierian explain`: what a step of training compiles to, and what each part of it costs here.

May import: train, data, this room. One more view: a row in `VIEWS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pierian.cli.dataset import look
from pierian.cli.network import begin, build, compile_, in_step
from pierian.cli.output import print_json
from pierian.cli.settings import add_options, given, needed
from pierian.train import recipe as recipes

EXPLAINED = 16  # batches to measure with
TAKEN = ("dataset", "path", "size", "model", "dropout", "batch_size", "optimizer", "lr",
         "weight_decay", "clip", "ema", "accumulate", "threads", "seed")  # fmt: skip
VIEWS: dict[str, Callable[[Any], Any]] = {
    "graph": lambda step: step.graph(),
    "llvm-ir": lambda step: step.llvm_ir(),
    "assembly": lambda step: step.assembly(),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_options(parser, TAKEN)
    shown = parser.add_mutually_exclusive_group()
    for name in VIEWS:
        words = f"print the {name} of the code instead"
        shown.add_argument(f"--{name}", dest="view", action="store_const", const=name, help=words)


def run(args: argparse.Namespace) -> int:
    """`pierian explain`: the step that `fit` takes, rows gathered and all, on made-up images."""
    settings = needed("pierian explain", given(args) | {"epochs": 1, "jit": True})
    begin(settings)
    size = settings.batch_size
    rng = np.random.default_rng(settings.seed)
    count = size * EXPLAINED
    shape, classes = look(settings)
    x, y = rng.random((count, *shape), np.float32), rng.integers(0, classes, count)
    model = build(settings, shape, classes)
    compile_(model, settings)
    model.fit(x, y, size, verbose=0, callbacks=in_step(settings, EXPLAINED))
    (kind,) = recipes.of("explain", model).steps.values()
    (steps,) = kind.resident.values()
    steps.position.value[...] = 0
    if args.view is not None:
        text = str(VIEWS[args.view](steps.native))
        print(text)
        record = {args.view: text}
    else:
        name = f"{settings.dataset} {settings.model}, {settings.optimizer}, batch of {size}"
        found = replace(steps.native.explain(), name=name)
        print(found)
        record = found.data()
    if args.json:
        print_json(record)
    return 0
