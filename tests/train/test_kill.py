"""Training that is killed at random moments and resumed ends in the same bits.

PIERIAN_KILLS says how often it is killed; 200 have been, before the format was called done.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("PIERIAN_KILLS", "8"))
LIFE = min(3.0 / KILLS, 0.12)  # seconds of training before it is killed, at most


def start(folder: Path, threads: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.train.killed", str(folder), str(threads)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """The last line of what a process prints until it ends."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.split()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_runs_end_like_the_one_that_was_not(tmp_path: Path) -> None:
    expected = finish(start(tmp_path / "whole", threads=2))
    moments = random.Random(0)
    threads = itertools.cycle((2, 1, 3))
    kills = 0
    while kills < KILLS:
        process = start(tmp_path / "killed", next(threads))
        assert process.stdout is not None
        training = process.stdout.readline() == "training\n"
        time.sleep(moments.random() * LIFE)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not training:  # it was done before
            break
        kills += process.returncode == -signal.SIGKILL
    assert kills, "it was never killed while training"
    print(f"killed {kills} times")
    assert finish(start(tmp_path / "killed", 2)) == expected
    assert not list((tmp_path / "killed").glob("*.damaged"))
