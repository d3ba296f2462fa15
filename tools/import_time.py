"""Checks that `import pierian` is quick and loads nothing that most programs never use.

May import: the standard library only. To keep one more package out: its name in LAZY.

    python tools/import_time.py

Measured in fresh processes, NumPy's own import included; the best of ten is compared, since a busy
machine can only make it longer. On a machine where NumPy alone takes more than a quarter of the
limit, four times NumPy's time is the limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT = 0.25  # seconds
RUNS = 10
TIMES_NUMPY = 4.0  # pierian and NumPy together; 3.3 where the limit was set
LAZY = ("llvmlite", "matplotlib", "PIL", "pooch")

PROBE = """
import sys, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import {package}
print(time.perf_counter() - start, middle - start)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@dataclass(frozen=True)
class Probe:
    """One import in a fresh process: seconds in all, seconds of NumPy's, packages loaded."""

    seconds: float
    numpy: float
    loaded: frozenset[str]


def probe(folder: Path, package: str = "pierian") -> Probe:
    """Imports `package` from `folder` in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(package=package)],
        cwd=folder,
        env={**os.environ, "PYTHONSAFEPATH": ""},  # empty means unset: `folder` comes first
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"import {package} failed in {folder}:\n{done.stderr}")
    times, loaded = done.stdout.splitlines()[-2:]
    seconds, numpy = map(float, times.split())
    return Probe(seconds, numpy, frozenset(loaded.split()))


def main() -> int:
    """Prints the best time; the exit status is 1 when it is too long or too much is loaded."""
    first = probe(REPOSITORY)  # writes the byte code; not counted
    best = min((probe(REPOSITORY) for _ in range(RUNS)), key=lambda p: p.seconds)
    limit = max(LIMIT, TIMES_NUMPY * best.numpy)
    print(
        f"import pierian: {best.seconds * 1e3:.0f} ms, {best.numpy * 1e3:.0f} ms of them NumPy "
        f"(best of {RUNS}, limit {limit * 1e3:.0f} ms)"
    )
    heavy = sorted(first.loaded.intersection(LAZY))
    if heavy:
        print(
            f"import pierian: must load nothing heavy; expected none of {', '.join(LAZY)}, "
            f"got {', '.join(heavy)}. Import it where it is used."
        )
    if best.seconds >= limit:
        print(
            f"import pierian: must be quick; expected < {limit:.3f} s, got {best.seconds:.3f} s. "
            f"Look for the culprit with `python -X importtime -c 'import pierian'`."
        )
    return 1 if heavy or best.seconds >= limit else 0


if __name__ == "__main__":
    sys.exit(main())
