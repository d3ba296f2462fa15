"""`pierian evaluate`. May import: this room."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pierian.cli.dataset import feed
from pierian.cli.folder import open_folder
from pierian.cli.output import print_json, tested
from pierian.cli.settings import add_options, given


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a folder that a run left")
    add_options(parser, ["source", "path"])


def run(args: argparse.Namespace) -> int:
    """`pierian evaluate`: on the test set of the data that the run was trained on."""
    folder = open_folder(args.folder)
    model = folder.model
    images = folder.images(given(args))
    model.compile(loss="cross_entropy", metrics=["accuracy"])
    test, count = feed(images.x_test, images.y_test, folder.settings), len(images.x_test)
    started = time.perf_counter()
    result = model.evaluate(*test, verbose=0, return_dict=True)
    seconds = time.perf_counter() - started
    print(f"test accuracy {result['accuracy']:.4f} on {count:,} images")
    if args.json:
        speed = {"seconds": seconds, "samples_per_second": count / seconds}
        print_json({"run": str(args.folder), "data": images.source} | tested(result) | speed)
    return 0
