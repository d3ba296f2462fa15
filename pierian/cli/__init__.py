"""The command line: `pierian COMMAND`, and how each of `COMMANDS` is called.

Also `python -m pierian`. May import: all rooms but viz and testing. To add a command: a file with
`run` (args) -> exit status, and `arguments` (parser) when it has options; a row in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from pierian.base.errors import PierianError
from pierian.base.version import __version__
from pierian.cli import bench, evaluate, explain, info, lr_find, predict, report, train


@dataclass(frozen=True)
class Command:
    """What a command is for, what it does, and what options it has."""

    text: str
    run: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


COMMANDS = {
    "train": Command(
        "train a model on a data set, or go on with a run", train.run, train.arguments
    ),
    "lr-find": Command(
        "find a good learning rate by a short run in which it grows",
        lr_find.run, lr_find.arguments,
    ),
    "evaluate": Command(
        "test a trained model on its data set", evaluate.run, evaluate.arguments
    ),
    "predict": Command("say what is on pictures", predict.run, predict.arguments),
    "report": Command(
        "write a page about a run: curves, mistakes, how it was made",
        report.run, report.arguments,
    ),
    "explain": Command(
        "show what a step of training compiles to, and what each part of it costs here",
        explain.run, explain.arguments,
    ),
    "bench": Command(
        "compare with other frameworks; takes the options of `python -m benchmarks`", bench.run
    ),
    "info": Command("show versions, this machine, and which data are found", info.run),
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"pierian: error: {message}. See {self.prog} --help.\n")


def main(argv: list[str] | None = None) -> int:
    """Run a command; gives the exit status. Errors take one line on stderr and give 2."""
    parser = build_parser()
    args, more = parser.parse_known_args(argv)
    if more and args.command != "bench":
        known = re.findall(r"--[\w-]+", args.parser.format_usage())
        near = difflib.get_close_matches(more[0], known, n=1)
        hint = f", did you mean {near[0]}" if near else ""
        args.parser.error(f"unrecognized arguments: {' '.join(more)}{hint}")
    if args.command is None:
        parser.print_help()
        return 0
    args.more = more
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("pierian: interrupted", file=sys.stderr)
        return train.INTERRUPTED
    except (PierianError, ValueError, OSError, ImportError) as error:
        if args.debug:
            raise
        first, *more = str(error).splitlines() or [type(error).__name__]
        print(f"pierian: error: {first}{' --debug shows more.' * bool(more)}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run` to its function."""
    common = Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser = Parser(
        prog="pierian",
        description="Train networks on images, test and use them.",
        epilog="pierian COMMAND --help says more of each.",
    )
    parser.add_argument("--version", action="version", version=f"pierian {__version__}")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        # whole names only, so that options that come later change no script
        sub = commands.add_parser(
            name, help=command.text, description=command.text, parents=[common],
            allow_abbrev=False,
        )  # fmt: skip
        sub.set_defaults(run=command.run, parser=sub)
        command.arguments(sub)
    return parser
