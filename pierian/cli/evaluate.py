"""`pierian evaluate`. May import: this room."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pierian.cli.folder import open_folder
from pierian.cli.network import scaled
from pierian.cli.output import print_json, tested
from pierian.cli.settings import add_options, given


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a folder that a run left")
    add_options(parser, ["source"])


def run(args: argparse.Namespace) -> int:
    """`pierian evaluate`: on the test set of the data that the run was trained on."""
    folder = open_folder(args.folder)
    model = folder.model
    images = folder.images(given(args))
    model.compile(loss="cross_entropy", metrics=["accuracy"])
    x = scaled(images.x_test)
    started = time.perf_counter()
    result = model.evaluate(x, images.y_test, verbose=0, return_dict=True)
    seconds = time.perf_counter() - started
    print(f"test accuracy {result['accuracy']:.4f} on {len(x):,} images")
    if args.json:
        speed = {"seconds": seconds, "samples_per_second": len(x) / seconds}
        print_json({"run": str(args.folder), "data": images.source} | tested(result) | speed)
    return 0
