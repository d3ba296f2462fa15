"""How many threads: what is set, else what the process may use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import pierian as pr
from pierian.compiler import threads


@pytest.mark.parametrize("n", [0, -1, 1025, 1.5, "2", True, None])
def test_numbers_of_threads_that_make_no_sense(n: object) -> None:
    before = pr.get_num_threads()
    with pytest.raises(ValueError, match="set_num_threads: n counts threads; expected a whole"):
        pr.set_num_threads(n)
    assert pr.get_num_threads() == before


def test_number_of_threads_for_a_block() -> None:
    before = pr.get_num_threads()
    with threads.num_threads(3):
        assert pr.get_num_threads() == 3
    assert pr.get_num_threads() == before


FILES = {
    "no quota": ({}, None),
    "version 2, no limit": ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "version 2, one and a half": ({"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
    "version 2, a tenth": ({"/sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
    "version 1, one": ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
                        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1),
    "version 1, no limit": ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                             "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
    "garbage": ({"/sys/fs/cgroup/cpu.max": "much"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("files", "limit"), FILES.values(), ids=FILES)
def test_quota_of_the_control_group_is_honoured(files: dict[str, str], limit: int | None) -> None:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.available(read) == (min(cpus, limit) if limit else cpus)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_honoured() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import pierian as pr
print(pr.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
