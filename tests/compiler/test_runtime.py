"""Threads: they meet, they leave together when something fails, they come back."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import pierian as pr
from pierian.compiler.threads import num_threads

rows = np.random.default_rng(0).standard_normal((700, 300)).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_thread_leaves_at_an_index_out_of_range(threads: int) -> None:
    table, total = pr.tensor(rows), pr.zeros(300)

    @pr.jit
    def step(first: pr.Tensor, second: pr.Tensor) -> pr.Tensor:
        x = pr.tanh(table[first] @ table[:300]) + table[second]
        total.add_(x.sum(0))
        return x.mean()

    good, bad = pr.arange(600), pr.tensor([*range(599), 700])
    with num_threads(threads):
        expected = step(good, good).item()
        for _ in range(40):
            for pair in [(bad, good), (good, bad), (bad, bad)]:
                before = total.numpy().copy()
                with pytest.raises(IndexError, match="-700 <= index < 700, got 700"):
                    step(*pair)
                np.testing.assert_array_equal(total.numpy(), before)
            assert step(good, good).item() == expected


def test_numbers_of_threads_may_change_between_calls() -> None:
    x = pr.tensor(rows)
    step = pr.jit(lambda x: pr.softmax(x.T @ x, 1).sum(0))
    with num_threads(1):
        expected = step(x).numpy()
    for i in range(300):
        with num_threads(1 + i % 5):
            np.testing.assert_array_equal(step(x).numpy(), expected)


def test_programs_are_called_from_several_python_threads() -> None:
    x = pr.tensor(rows)
    steps = [pr.jit(lambda x, k=k: (x.T @ x * k).sum(1)) for k in range(1, 5)]
    wanted = [step(x).numpy() for step in steps]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            if not np.array_equal(steps[number](x).numpy(), wanted[number]):
                wrong.append(number)

    with num_threads(2):
        workers = [threading.Thread(target=work, args=(i % 4,)) for i in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def test_process_ends_while_workers_wait() -> None:
    code = """
import pierian as pr
pr.set_num_threads(4)
x = pr.ones(400, 400)
print(pr.jit(lambda x: (x @ x).sum())(x).item())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          check=True)  # fmt: skip
    assert (done.stdout, done.stderr) == ("64000000.0\n", "")
