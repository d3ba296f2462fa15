"""Every row of `cases.py`, swept: types, oracle, gradients, PyTorch, trace, memory.

One test per function and sweep; it runs all rows of the function and reports all that fail.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.base import trees
from pierian.compiler import program
from pierian.compiler.jit import jit
from pierian.compiler.threads import num_threads
from pierian.core.primitive import REGISTRY, Primitive, Spec
from pierian.core.tensor import Tensor
from pierian.testing import agree, compare, gradcheck, tolerance
from tests.ops.cases import CASES, Case
from tests.oracle import NEEDS_TORCH

ROWS: dict[str, list[Case]] = defaultdict(list)
for _case in CASES:
    ROWS[_case.name].append(_case)
every = pytest.mark.parametrize("name", sorted(ROWS))


def sweep(name: str, check: Callable[[Case], None], rows: Callable[[Case], bool]) -> None:
    """Run `check` on the rows of `name`; one failure that lists them all."""
    failures = []
    chosen = [row for row in ROWS[name] if rows(row)]
    for row in chosen:
        try:
            check(row)
        except Exception as error:  # noqa: BLE001 (a sweep reports whatever comes)
            failures.append(f"{row}: {type(error).__name__}: {error}")
    if failures:
        head = f"{len(failures)} of {len(chosen)} rows of {name} fail"
        pytest.fail("\n  ".join([head, *failures]), pytrace=False)


@pytest.fixture(autouse=True, scope="module")
def _checked_primitives() -> Iterator[None]:
    """While the sweeps run, every executor's result is held against its shape rule."""
    plain = dict(REGISTRY)
    for known, entry in plain.items():
        REGISTRY[known] = dataclasses.replace(entry, run=checked(entry))
    yield
    REGISTRY.update(plain)


def checked(entry: Primitive) -> Callable[..., Any]:
    def run(*values: Any, **params: Any) -> Any:
        result = entry.run(*values, **params)
        spec = entry.shape(*[Spec(v.shape, v.dtype) for v in values], **params)
        found = np.asarray(result)
        if (found.shape, found.dtype) != (spec.shape, spec.dtype):
            raise AssertionError(
                f"{entry.name}: the rule says {spec}, the executor gave "
                f"{found.dtype}{list(found.shape)}"
            )
        return result

    return run


def tensors(row: Case, grad: set[int] | None = None) -> list[Tensor]:
    """The inputs as tensors that share the arrays' memory and layout; those of `grad` leaves."""
    xs = [pr.asarray(x) for x in row.inputs]
    for i, x in enumerate(xs):
        if grad is not None and i in grad and x.is_floating_point():
            x.requires_grad_()
    return xs


def weights(results: list[Any]) -> list[Any]:
    """Fixed numbers to weigh each floating result by; None for others."""
    rng = np.random.default_rng(11)
    return [
        np.array(rng.uniform(0.5, 1.5, y.shape), y.dtype) if y.dtype.kind == "f" else None
        for y in results
    ]


def gradients(row: Case, of: set[int] | None = None) -> list[np.ndarray | None]:
    """The gradients of the weighted results by `backward`, of all inputs or of some."""
    xs = tensors(row, grad=set(range(len(row.inputs))) if of is None else of)
    results = trees.leaves(row.fn(*xs))
    pairs = zip(results, weights(results), strict=True)
    terms = [(y * w).sum() for y, w in pairs if w is not None and y.requires_grad]
    if terms:
        sum(terms[1:], terms[0]).backward()
    return [None if x.grad is None else x.grad.numpy() for x in xs]


@every
def test_result_matches_the_oracle(name: str) -> None:
    def check(row: Case) -> None:
        result = row.fn(*tensors(row))
        compare("against the oracle", result, row.oracle(*row.inputs), row.within)

    sweep(name, check, lambda row: True)


TOGETHER = 40  # rows compiled as one program: fewer cost more starts, more cost LLVM's patience


@every
def test_traced_and_compiled_agree_with_eager(name: str) -> None:
    """Many rows are one program; where it fails, the row is looked for."""
    chosen = [row for row in ROWS[name] if row.traced]
    for start in range(0, len(chosen), TOGETHER):
        rows = chosen[start : start + TOGETHER]

        def together(inputs: list[list[Tensor]], rows: list[Case] = rows) -> list[Any]:
            return [row.fn(*xs) for row, xs in zip(rows, inputs, strict=True)]

        try:
            agree(together, [tensors(row) for row in rows])
        except Exception:
            sweep(name, lambda row: agree(row.fn, *tensors(row)), lambda row: row.traced)
            raise


@every
def test_compiled_gradients_agree_with_eager(name: str) -> None:
    """Every fourth row: gradients are made of the primitives that all rows have been through."""
    rows = [row for row in ROWS[name] if row.traced and row.smooth][::4]

    def all_slopes(inputs: list[list[Tensor]]) -> list[list[Tensor]]:
        return [slopes(row, xs) for row, xs in zip(rows, inputs, strict=True)]

    inputs = [tensors(row) for row in rows]
    pairs = zip(jit(all_slopes)(inputs), all_slopes(inputs), strict=True)
    for row, (found, wanted) in zip(rows, pairs, strict=True):
        within = max(tolerance(g.dtype).gradient for g in wanted)
        compare(f"gradients of {row}", found, wanted, within)


def slopes(row: Case, xs: list[Tensor]) -> list[Tensor]:
    """The gradients of the weighted results in all floating inputs, as a function."""

    def weighted(*xs: Tensor) -> Tensor:
        results = trees.leaves(row.fn(*xs))
        pairs = zip(results, weights(results), strict=True)
        return sum([(y * w).sum().double() for y, w in pairs if w is not None], pr.tensor(0.0))

    floating = tuple(i for i, x in enumerate(xs) if x.is_floating_point())
    return list(pr.grad(weighted, floating)(*xs))


@every
def test_gradients_match_finite_differences(name: str) -> None:
    def check(row: Case) -> None:
        gradcheck(row.fn, *tensors(row), order=2)

    sweep(name, check, lambda row: row.smooth and not kinds(row) & {"float16", "float32"})


@every
def test_gradients_are_finite_typed_like_inputs_and_independent(name: str) -> None:
    """A rule that uses what it declared as not kept gets NaN. Another input's rule may have kept
    it, so each gradient is also asked for alone.
    """

    def check(row: Case) -> None:
        for i, (x, g) in enumerate(zip(row.inputs, gradients(row), strict=True)):
            if g is not None:
                assert (g.shape, g.dtype) == (x.shape, x.dtype)
                assert np.isfinite(g).all(), f"a gradient of {g}"
                compare(f"gradient {i} alone", gradients(row, {i})[i], g, within=0.0)

    sweep(name, check, lambda row: row.smooth)


@every
def test_result_has_memory_of_its_own_and_inputs_stay(name: str) -> None:
    def check(row: Case) -> None:
        before = [x.tobytes() for x in row.inputs]
        xs = tensors(row)
        results = trees.leaves(row.fn(*xs))
        gradients(row)
        assert [x.tobytes() for x in row.inputs] == before, "an input was changed"
        for y in results:
            for x in xs:
                shared = np.shares_memory(y.numpy(), x.numpy())
                assert row.views or not shared, "the result shares memory with an input"

    sweep(name, check, lambda row: True)


TORCH_LACKS = {"uint16", "uint32", "uint64", "float128"}


def kinds(row: Case) -> set[str]:
    """The dtypes of a row's inputs."""
    return {x.dtype.name for x in row.inputs}


@NEEDS_TORCH
@every
def test_torch_agrees_on_values_and_gradients(name: str) -> None:
    import torch

    def check(row: Case) -> None:
        assert row.torch is not None
        ours = trees.leaves(row.fn(*tensors(row)))
        xs = [torch.from_numpy(x.copy()) for x in row.inputs]
        for x in xs:
            x.requires_grad_(x.is_floating_point())
        results = row.torch(torch, *xs)
        theirs = list(results) if isinstance(results, (list, tuple)) else [results]
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            # both sides round: PyTorch's errors count as much as ours
            within = 4 * tolerance(a.dtype).forward
            compare(f"result {i} against torch", a, b.detach().numpy(), within)
        if row.follows:
            pairs = zip(theirs, weights(ours), strict=True)
            terms = [(y * torch.from_numpy(w)).sum() for y, w in pairs
                     if w is not None and y.requires_grad]  # fmt: skip
            if terms:
                sum(terms[1:], terms[0]).backward()
            compare_gradients(row, [None if x.grad is None else x.grad.numpy() for x in xs])

    sweep(name, check, lambda row: row.torch is not None and not kinds(row) & TORCH_LACKS)


def compare_gradients(row: Case, theirs: list[Any]) -> None:
    """No gradient counts as zeros. Where the input is NaN frameworks differ at will."""
    floating = [x.dtype for x in row.inputs if x.dtype.kind == "f"]
    within = max([tolerance(dtype).gradient for dtype in floating], default=0.0)
    for i, (x, a, b) in enumerate(zip(row.inputs, gradients(row), theirs, strict=True)):
        zeros = np.zeros(x.shape, x.dtype)
        a, b = (zeros if g is None else np.where(x == x, g, zeros) for g in (a, b))
        compare(f"gradient {i} against torch", a, b, within)


def test_bits_of_a_row_of_each_function_do_not_depend_on_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit in ("WORTH", "TOGETHER"):  # share even small kernels
        monkeypatch.setattr(program, limit, 0)
    last = [rows[-1] for rows in ROWS.values() if rows[-1].traced]
    for start in range(0, len(last), TOGETHER):
        rows = last[start : start + TOGETHER]

        def together(inputs: list[list[Tensor]], rows: list[Case] = rows) -> list[Any]:
            return [row.fn(*xs) for row, xs in zip(rows, inputs, strict=True)]

        compiled, inputs = jit(together), [tensors(row) for row in rows]
        results = []
        for threads in (1, 2, 3):
            with num_threads(threads):
                results.append(compiled(inputs))
        compare("2 threads", results[1], results[0], within=0.0)
        compare("3 threads", results[2], results[0], within=0.0)
