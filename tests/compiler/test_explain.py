"""What explain counts and says, and that looking leaves everything as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.base import trees
from pierian.compiler import explain as explaining
from pierian.compiler import jit as jits
from pierian.compiler import llvm, measure
from pierian.compiler.explain import STAGES, Row, entry_of, explain
from pierian.compiler.jit import jit
from pierian.compiler.measure import Peak, Timed, peak
from pierian.compiler.program import Program
from pierian.compiler.threads import num_threads
from pierian.core.parse import parse_graph
from pierian.core.trace import trace
from tests.compiler.programs import random_program


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(measure, "LONG", 0.002)
    monkeypatch.setattr(measure, "LIMITS", 0.001)
    monkeypatch.setenv("PIERIAN_CACHE", str(tmp_path))
    with num_threads(2):
        yield


def ones(*shape: int, dtype: str = "float32") -> pr.Tensor:
    return pr.tensor(np.ones(shape, dtype))


# function, arguments, and for each kernel (kind, FLOPs, bytes)
COUNTED: dict[str, tuple[Callable[..., Any], tuple[pr.Tensor, ...], list[tuple[str, int, int]]]] = {
    "pointwise": (
        lambda x, y: pr.exp(x) * y + 1,
        (ones(8, 9), ones(9)),
        [("nest", 3 * 72, 4 * (72 + 9 + 72))],
    ),
    "product with what follows": (
        lambda x, w, b: pr.relu(x @ w + b),
        (ones(12, 30), ones(30, 20), ones(20)),
        [("matmul", 2 * 12 * 20 * 30 + 2 * 240, 4 * (360 + 600 + 20 + 240))],
    ),
    "product of a batch": (
        lambda x, w: x @ w,
        (ones(5, 7, 3), ones(3, 2)),
        [("matmul", 2 * 5 * 7 * 2 * 3, 4 * (105 + 6 + 70))],
    ),
    "reduction": (
        lambda x: (x * 2).sum(1),
        (ones(10, 6, dtype="float64"),),
        [("reduce", 120, 8 * (60 + 10))],
    ),
    "rows of a table": (
        lambda x, i: pr.take(x, i, 0),
        (ones(500, 4), pr.tensor([3, 1, 4])),
        [("nest", 0, 4 * 12 + 8 * 3 + 4 * 12)],
    ),
    "movement": (lambda x: x.transpose().flip(0), (ones(4, 5),), [("nest", 0, 160)]),
    "integers": (lambda x: x * 3 + 1, (pr.arange(10),), [("nest", 0, 160)]),
    "numpy's part": (
        lambda x: pr.argsort(x * 2, 1),
        (ones(4, 5),),
        [("nest", 20, 160), ("host", 20, 4 * 20 + 8 * 20)],
    ),
    "empty": (lambda x: x + 1, (ones(0, 3),), [("nest", 0, 0)]),
}


@pytest.mark.parametrize("name", COUNTED)
def test_operations_and_bytes_are_counted_by_hand(name: str) -> None:
    fn, args, wanted = COUNTED[name]
    found = jit(fn).explain(*args)
    assert [(row.kind, row.flops, row.bytes) for row in found.rows] == wanted
    for row in found.rows:
        assert row.microseconds is not None and row.microseconds > 0
        assert (row.share is None) == (row.bound == "")
    assert not found.note.startswith("not measured")


def test_a_row_changed_in_place_is_all_that_is_counted() -> None:
    table, place = pr.zeros(100, 8), pr.tensor(3)

    def put(row: pr.Tensor) -> None:
        table[place] = row

    assert [row.bytes for row in jit(put).explain(ones(8)).rows] == [2 * 32 + 8]


def test_a_program_that_counts_its_runs_is_measured_as_far_as_it_gets() -> None:
    losses, place = pr.zeros(10), pr.tensor(0)

    def note(x: pr.Tensor) -> None:
        losses[place] = x.sum()
        place.add_(1)

    compiled = jit(note)
    assert compiled.explain(ones(5)).microseconds is not None
    place.add_(9)
    assert "indices must lie inside their axis" in compiled.explain().note  # one is left, not two
    assert (place.item(), losses.sum().item()) == (9, 0)


def train_step(seed: int = 0) -> tuple[Any, Callable[..., Any], tuple[pr.Tensor, pr.Tensor]]:
    pr.manual_seed(seed)
    model = nn.Sequential(nn.Linear(70, 40), nn.Dropout(0.5), nn.Linear(40, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rng = np.random.default_rng(seed)
    x = pr.tensor(rng.normal(size=(64, 70)).astype("float32"))
    y = pr.tensor(rng.integers(0, 10, 64))

    def step(x: pr.Tensor, y: pr.Tensor) -> pr.Tensor:
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return model, step, (x, y)


def test_looking_changes_nothing() -> None:
    losses = []
    for look in (False, True):
        model, step, args = train_step()
        compiled = jit(step)
        own = []
        for number in range(3):
            if look and number < 2:
                kept = [t.numpy().copy() for t in (*model.state_dict().values(), *args)]
                compiled.explain(*(args if number == 0 else ()))
                for t, copy in zip((*model.state_dict().values(), *args), kept, strict=True):
                    np.testing.assert_array_equal(t.numpy(), copy)
            own.append(float(compiled(*args)))
        losses.append([*own, *(t.numpy().copy() for t in model.state_dict().values())])
    for plain, looked in zip(*losses, strict=True):
        np.testing.assert_array_equal(plain, looked)


def test_every_kernel_has_a_row_and_every_row_a_line() -> None:
    _, step, args = train_step()
    compiled = jit(step)
    compiled(*args)
    found = compiled.explain()
    program = entry_of(compiled, (), {})[0].program
    assert len(found.rows) == len(program.fusion.kernels)
    counted = sum(sum(row.operations.values()) for row in found.rows)
    assert counted >= len(program.graph.equations)  # what is computed twice counts twice
    text = str(found)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(found.rows) + 1
    assert len({line.count("|") for line in table}) == len(set(map(len, table))) == 1
    assert text == repr(found)
    page = found._repr_html_()
    assert page.count("<tr>") == len(found.rows) + 2 and "<li>memory: " in page
    assert text.startswith(f"**step**: {len(found.rows)} kernels for {program.target.cpu}")
    total = sum(row.microseconds or math.nan for row in found.rows)
    assert f"| {total:,.2f} |" in table[-1]
    for words in (
        "memory: an arena of ",
        "compile time in ms: trace ",
        "measured peak: ",
        "one run",
    ):
        assert f"\n- {words}" in text
    assert 0 < found.memory.arena <= found.memory.unshared
    assert found.memory.inputs > sum(leaf.numpy().nbytes for leaf in args)


def test_a_peak_below_what_a_kernel_reaches_is_that_of_one_thread_times_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def slow(target: Any, threads: int, again: bool = False) -> Peak:
        asked.append((threads, again))
        return Peak({4: 1.0, 8: 1.0}, dict.fromkeys(measure.LEVELS, 1e18))

    monkeypatch.setattr(explaining, "peak", slow)
    found = jit(lambda x: x @ x).explain(ones(150, 150))
    assert asked == [(2, False), (2, True), (1, False)]
    assert found.peak is not None and found.peak.flops == {4: 2.0, 8: 2.0}
    assert found.note == "the machine is busy: its peak FLOP/s are those of one thread, times 2"


def test_data_is_plain_and_whole() -> None:
    found = jit(lambda x: pr.exp(x) @ x).explain(ones(16, 16))
    data = json.loads(json.dumps(found.data()))
    assert [Row(**row) for row in data["rows"]] == found.rows
    assert data["memory"]["arena"] == found.memory.arena
    assert data["peak"]["flops"].keys() == {"4", "8"}


def test_stages_and_cache() -> None:
    def fresh() -> Any:
        return jit(lambda x: pr.tanh(x) * 3).explain(ones(5))

    first, second = fresh(), fresh()
    assert list(first.seconds) == list(STAGES)
    assert list(second.seconds) == [s for s in STAGES if s not in ("code generation", "LLVM")]
    assert (first.cached, second.cached) == (False, True)
    assert "the cache had no such code" in str(first)
    assert "the cache on disk had the code" in str(second)


def test_which_arguments_are_meant() -> None:
    compiled = jit(lambda x: x * 2)
    with pytest.raises(pr.PierianError, match="Pass the arguments of a call, or call it first"):
        compiled.explain()
    with pytest.raises(pr.PierianError, match="what to look at must be known"):
        compiled.graph(ones(2), ones(2))
    assert compiled.explain(ones(3)).rows[0].shape == "float32 3"
    compiled(ones(4))
    assert len(compiled.entries) == 2
    last = compiled.explain()
    assert (last.rows[0].shape, last.others) == ("float32 4", 1)
    assert "compiled for 1 other kinds of arguments too" in str(last)
    assert compiled.explain(ones(3)).rows[0].shape == "float32 3"
    assert len(compiled.entries) == 2
    assert len(jit(lambda: pr.zeros(2) + 1).explain().rows) == 1


def test_without_compiled_code_there_is_nothing_to_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise pr.CompileError("not on this machine")

    with monkeypatch.context() as inside:
        inside.setattr(Program, "load", refuse)
        with pytest.raises(pr.CompileError, match=r"runs eagerly \(not on this machine\)"):
            jits.Jit(lambda x: x * 2).explain(ones(2))
    monkeypatch.setattr(jits, "missing", "llvmlite cannot be loaded")
    with pytest.raises(pr.CompileError, match="code to look at; expected llvmlite, got llvmlite c"):
        jits.Jit(lambda x: x * 2).graph(ones(2))


def test_graph_ir_and_assembly() -> None:
    _, step, args = train_step()
    compiled = jit(step)
    graph = compiled.graph(*args)
    assert repr(parse_graph(repr(graph), graph.constants.values())) == repr(graph)
    llvm.llvm.parse_assembly(compiled.llvm_ir()).verify()
    assert "segment0:" in compiled.assembly()


def test_code_for_another_machine_is_shown_but_not_measured() -> None:
    graph = trace(lambda x: pr.exp(x) @ x, ones(8, 8)).graph
    program = Program(graph, None, llvm.target("aarch64-unknown-linux-gnu:generic"))
    found = explain(program)
    assert "not measured: the code is for another machine" in str(found)
    assert [row.microseconds for row in found.rows] == [None, None]
    assert "fmla" in llvm.assembly(program.module, program.target)


def test_a_run_that_fails_is_told_and_the_rest_is_shown() -> None:
    compiled = jit(lambda x, i: pr.take(x, i, 0))
    found = compiled.explain(ones(5, 2), pr.tensor([0, 7]))
    assert "not measured: jit: indices must lie inside their axis" in str(found)
    assert found.rows[0].bytes > 0
    assert compiled(ones(5, 2), pr.tensor([0, 4])).shape == (2, 2)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("seed", range(0, 16, 2))
def test_measured_programs_compute_the_same(seed: int, threads: int) -> None:
    case = random_program(seed)
    traced = trace(case.fn, *case.args)
    arrays = [leaf.numpy() for leaf in trees.leaves(case.args)]
    arrays += [tensor.numpy() for tensor in traced.captured]
    program = Program(traced.graph)
    timed = Timed(program)
    with num_threads(threads):
        for a, b in zip(program.run(arrays), timed.run(arrays, 3), strict=True):
            np.testing.assert_array_equal(a, b)
    assert timed.microseconds().keys() == set(program.fusion.kernels)


def test_peak_is_measured_once() -> None:
    limits = peak(llvm.target(), 2)
    assert limits is peak(llvm.target(), 2)
    higher = peak(llvm.target(), 2, again=True)
    assert all(higher.flops[n] >= rate for n, rate in limits.flops.items())
    assert all(higher.bandwidth[n] >= rate for n, rate in limits.bandwidth.items())
    assert min(*limits.flops.values(), *limits.bandwidth.values()) > 1e6
    sizes = list(limits.bandwidth)
    for size, level in [(0, sizes[0]), (sizes[0], sizes[0]), (sizes[0] + 1, sizes[1]),
                        (10**12, sizes[-1])]:  # fmt: skip
        assert limits.bytes_per_second(size) == limits.bandwidth[level]
