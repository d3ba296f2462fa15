"""How many threads compiled programs run on. Results never depend on it.

May import: base. Nothing here needs LLVM.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pierian.base.errors import message

MOST = 1024
_threads: list[int] = []
QUOTAS = (  # control groups, version 2 and version 1: "quota period", or one file for each
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


def set_num_threads(n: int) -> None:
    """Use `n` threads for compiled programs in this process; results do not depend on it.

    Raises:  ValueError unless 1 <= n <= 1024.
    """
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MOST:
        raise ValueError(
            message("set_num_threads", "n counts threads", f"a whole number from 1 to {MOST}", n,
                    "Pass the number of CPUs to use")
        )  # fmt: skip
    _threads[:] = [n]


def get_num_threads() -> int:
    """How many threads compiled programs use: what was set, else what this process may use."""
    if not _threads:
        _threads.append(available())
    return _threads[0]


@contextlib.contextmanager
def num_threads(n: int) -> Iterator[None]:
    """`set_num_threads(n)` for a `with` block."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def available(read: Callable[[str], str] = lambda path: Path(path).read_text()) -> int:
    """CPUs by affinity and by the quota of the control group, whichever is less."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    for files in QUOTAS:
        try:
            quota, period = " ".join(map(read, files)).split()[:2]
            if quota != "max" and int(quota) > 0:
                cpus = min(cpus, math.ceil(int(quota) / int(period)))
        except (OSError, ValueError):
            continue
    return max(cpus, 1)
