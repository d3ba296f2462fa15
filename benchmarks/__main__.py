"""`python -m benchmarks [group …]`: measurements of us and every installed peer, as Markdown."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import fit, images, lists, loop, neighbour, record, scaling, steady, train
from benchmarks.harness import Bench, cores, machine

GROUPS = {
    "train": train,
    "fit": fit,
    "images": images,
    "loop": loop,
    "lists": lists,
    "scaling": scaling,
    "steady": steady,
    "neighbour": neighbour,
    "record": record,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when peers did different work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"train, or any of {' '.join(GROUPS)}; or all")
    parser.add_argument("--rounds", type=int, default=5, help="processes per peer and workload")
    parser.add_argument("--threads", type=int, default=len(cores()), help="and cores")
    parser.add_argument("--seconds", type=float, default=1.0, help="of training in each process")
    parser.add_argument("--only", default="", metavar="WORKLOAD,…", help="parts of their names")
    parser.add_argument("--peers", default="", metavar="PEER,…", help="parts of their names")
    where = "the interpreter a peer is installed for, if it is another"
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help=where)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables into a file, too")
    parser.add_argument("--plot", default="", metavar="FILE", help="draw `scaling` into a file")
    options = parser.parse_args(arguments)
    names = list(GROUPS) if options.groups == ["all"] else options.groups or ["train"]
    if unknown := set(names) - set(GROUPS):
        parser.error(f"unknown group {', '.join(unknown)}; choose from {' '.join(GROUPS)}, all")
    with tempfile.TemporaryDirectory() as caches:
        bench = Bench(
            caches, rounds=options.rounds, threads=options.threads, seconds=options.seconds,
            workloads=[text for text in options.only.split(",") if text],
            peers=[text for text in options.peers.split(",") if text],
            interpreters=dict(text.split("=", 1) for text in options.python), plot=options.plot,
        )  # fmt: skip
        about = machine(bench)
        answers = {name: GROUPS[name].measure(bench) for name in names}
    about |= {"versions": bench.versions, "skipped": bench.skipped}
    text = report(about, answers)
    if options.markdown:
        Path(options.markdown).write_text(text + "\n", encoding="utf-8")
    print(json.dumps({"machine": about, **answers}) if options.json else text)
    return 0 if answers.get("train", {}).get("same work", True) else 1


def report(about: dict[str, Any], answers: dict[str, Any]) -> str:
    """All tables, with the machine above and what was left out below."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        "# Benchmarks",
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, {about['system']}, "
        f"Python {about['python']}; {versions or 'no peers'}. {about['rounds']} rounds, each peer "
        f"in its own process; load before the run {about['load']:.1f}.",
    ]
    for name, answer in answers.items():
        parts += [f"## {name}", GROUPS[name].table(answer)]
    parts += [f"{', '.join(who)}: left out. {why}" for why, who in about["skipped"].items()]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
