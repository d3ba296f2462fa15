"""Child processes on given cores, what the machine is, and tables.

May import: nothing of the other files. Every measurement is a child: fresh memory, the same cores
and number of threads for all, no peer in another's way.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
EXCEPTION = re.compile(r"[\w.]+(Error|Exception): ")  # how the line with the reason begins
CACHES = ("PIERIAN_CACHE", "TORCHINDUCTOR_CACHE_DIR", "KERAS_HOME")


def cores() -> list[int]:
    """The cores this process may use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def pinned(chosen: Iterable[int]) -> Iterator[None]:
    """Children started in here keep to these cores, where the system can do that."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass
class Bench:
    """What the command line asked for, and how to run a child accordingly.

    Args:  caches        an empty folder for what the peers keep on disk.
           rounds        processes per peer and workload.
           threads       threads, and cores, of every child.
           seconds       that a peer trains for in each process.
           workloads     parts of the names of those wanted; none: all.
           peers         likewise.
           interpreters  peer -> the Python that has it, if it is another.
           plot          file for the plot of `scaling`; empty: none.
    """

    caches: str
    rounds: int = 5
    threads: int = 1
    seconds: float = 1.0
    workloads: Sequence[str] = ()
    peers: Sequence[str] = ()
    interpreters: dict[str, str] = field(default_factory=dict)
    plot: str = ""
    skipped: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cores = cores()[: self.threads]

    def wants(self, peer: str) -> bool:
        """Whether the command line asks for a peer."""
        return not self.peers or any(text in peer for text in self.peers)

    def wants_workload(self, name: str) -> bool:
        """Whether the command line asks for a workload."""
        return not self.workloads or any(text in name for text in self.workloads)

    def child(self, peer: str, module: str, *arguments: str, what: str = "") -> Any:
        """The JSON that a module prints when run for a peer, with "wall" seconds from start to end.

        None when it failed; its error is kept in `skipped`, with `what` could not be done.
        """
        environment = os.environ | {f"{name}_NUM_THREADS": str(self.threads) for name in THREADS}
        environment |= {name: str(Path(self.caches, name)) for name in CACHES}
        environment |= {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
        if self.threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        python = self.interpreters.get(peer.split()[0], sys.executable)
        start = time.perf_counter()
        with pinned(self.cores):
            done = subprocess.run(
                [python, "-m", module, *arguments], cwd=ROOT, env=environment, text=True,
                capture_output=True, check=False,
            )  # fmt: skip
        wall = time.perf_counter() - start
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            reason = next(filter(EXCEPTION.match, reversed(lines)), lines[-1])
            who = f"{peer} ({what or module})"
            whose = self.skipped.setdefault(reason, [])
            whose += [who] if who not in whose else []
            return None
        answer = json.loads(done.stdout.splitlines()[-1])
        if "version" in answer:
            self.versions[peer.split()[0]] = answer["version"]
        return answer | {"wall": wall}


def machine(bench: Bench) -> dict[str, Any]:
    """CPU, cores and Python; the load before anything runs shows who else is there."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    load = os.getloadavg()[0] if sys.platform != "win32" else None
    return {"cpu": cpu, "cores": len(cores()), "threads": bench.threads, "rounds": bench.rounds,
            "python": platform.python_version(), "system": platform.system(),
            "load": load}  # fmt: skip


def markdown(head: str, rows: Iterable[Sequence[Any]], text_columns: int = 1) -> str:
    """A table; `head` has its titles between bars, None is shown as a dash."""
    titles = head.split("|")
    rule = ["---"] * text_columns + ["---:"] * (len(titles) - text_columns)
    lines = [titles, rule, *rows]
    return "\n".join(
        f"| {' | '.join('–' if cell is None else str(cell).strip() for cell in line)} |"
        for line in lines
    )


def micro(seconds: float) -> str:
    """Seconds as microseconds with three digits or more.

    >>> micro(1.234567e-3), micro(1.234567e-6)
    ('1235', '1.23')
    """
    value = seconds * 1e6
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"
