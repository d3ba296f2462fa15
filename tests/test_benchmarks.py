"""The benchmarks' harness on its smallest workload: that it runs, compares losses and reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import lists, train
from benchmarks.__main__ import main
from benchmarks.harness import micro
from benchmarks.lists import TASKS
from benchmarks.workloads import WORKLOADS, make_task

TINY = ["train", "--only", "xor", "--rounds", "1", "--threads", "1", "--seconds", "0"]


def test_peers_do_the_same_work_and_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, python = tmp_path / "results.md", tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ImportError: No jax' >&2; echo Goodbye >&2; exit 1\n")
    python.chmod(0o755)
    peers = ["--peers", "pierian jit,numpy,jax scan", "--python", f"jax={python}"]
    assert main([*TINY, *peers, "--json", "--markdown", str(path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    results = answer["train"]["results"]
    assert {r["peer"] for r in results} == {"pierian jit", "numpy loop"}
    assert all(0 < r["min"] <= r["median"] for r in results)
    losses = [r["loss"] for r in results]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert answer["train"]["limits"]["gflops"] > 0
    assert answer["machine"]["skipped"] == {"ImportError: No jax": ["jax scan (xor)"]}
    text = path.read_text(encoding="utf-8")
    assert text.count("| xor 2-2-1") == 3  # the goal, and two peers
    assert "jax scan (xor): left out. ImportError: No jax" in text


def test_lists_have_a_row_for_each_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lists", "--rounds", "1", "--seconds", "0", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["lists"]["results"]
    assert [row["program"] for row in results] == [*TASKS]
    assert all(row["lists"] > 0 and row["ours"] > 0 for row in results)
    assert lists.table({"results": results}).count("\n| ") == len(TASKS) + 2


def test_different_losses_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    results = [{"workload": "xor", "peer": peer, "loss": loss} for peer, loss in
               (("a", 0.2), ("b", 0.2001), ("c", 0.3))]  # fmt: skip
    assert train.same_work(results[:2])
    assert not train.same_work(results)
    assert "xor: peers did different work" in capsys.readouterr().err


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name.split()[0])
def test_arrays_of_a_workload_fit_together(workload: train.Workload) -> None:
    task = make_task(workload)
    again = make_task(workload)
    assert task.order.shape == (workload.steps, workload.batch)
    assert len(np.unique(task.order)) == min(len(task.x), task.order.size)
    assert task.x.shape == (len(task.y), workload.sizes[0])
    assert task.x.dtype == task.weights[0].dtype == np.float32
    if workload.loss == "cross_entropy":
        assert set(np.unique(task.y)) == set(range(workload.sizes[-1]))
    np.testing.assert_array_equal(task.order, again.order)
    np.testing.assert_array_equal(task.weights[0], again.weights[0])


def test_flops_of_a_step_leave_out_the_gradient_of_the_data() -> None:
    mlp = WORKLOADS[0]
    assert mlp.flops == 2 * 128 * (2 * 784 * 512 + 3 * 512 * 10)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.2345e-3, "1234"),
        (9.96e-4, "996"),
        (5.04e-5, "50.4"),
        (1.236e-6, "1.24"),
        (5e-8, "0.0500"),
    ],
)
def test_micro_shows_three_digits(seconds: float, text: str) -> None:
    assert micro(seconds) == text


def test_unknown_group_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["trian"])
    assert "trian; choose from train" in capsys.readouterr().err
