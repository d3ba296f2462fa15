"""`pierian info`: versions, this machine, and which data are found.

May import: base, compiler, this room's settings. One more line of it: an entry of `report`.
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

from pierian.base.errors import DataError
from pierian.base.version import __version__
from pierian.cli.dataset import load
from pierian.cli.output import print_json
from pierian.cli.settings import DATASETS, Settings

PACKAGES = {
    "needs": ("numpy", "llvmlite", "safetensors", "tqdm"),
    "extra data": ("pooch", "Pillow"),
    "extra viz": ("matplotlib",),
    "extra log": ("tensorboardX",),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(args: argparse.Namespace) -> int:
    """`pierian info`: what a bug report needs."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    report = {
        "pierian": __version__,
        "python": f"{platform.python_version()}, {platform.platform()}",
        "cpu": f"{cpu_name()}, {usable_cores()} cores usable",
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "threads": ", ".join(f"{key}={os.environ[key]}" for key in THREADS if key in os.environ)
        or "as the BLAS chooses",
    }
    for part, names in PACKAGES.items():
        report[part] = ", ".join(f"{name} {installed(name)}" for name in names)
    for name in DATASETS:
        if name == "folder":
            continue
        try:
            report[name] = load(Settings(dataset=name, source="local")).source
        except DataError as error:
            report[name] = str(error)
    for name, text in report.items():
        print(f"{name}: {text}")
    if args.json:
        print_json(report)
    return 0


def installed(package: str) -> str:
    """The version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def cpu_name() -> str:
    """The name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def usable_cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
