"""Nothing without a test: every primitive, public function and method has rows and a docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pierian as pr
from pierian.core import primitive
from pierian.core.tensor import Tensor
from pierian.ops import methods
from tests.ops.cases import CASES

TESTS = Path(__file__).resolve().parents[1]
OURS = ("pierian.base", "pierian.core", "pierian.ops")
ROWS = {case.name for case in CASES}

# What has no tensors in or out, or is a class or a mode: which test is about it.
ELSEWHERE = {
    "core/test_autodiff.py": ["backward", "enable_grad", "is_grad_enabled", "no_grad",
                              "set_grad_enabled", "Tensor.backward", "Tensor.grad",
                              "Tensor.requires_grad", "Tensor.requires_grad_"],
    "core/test_function.py": ["Function", "custom_vjp"],
    "core/test_tape.py": ["GradientTape"],
    "core/test_transform.py": ["grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian"],
    "core/test_tensor.py": [
        "Tensor", "Tensor.cuda", "Tensor.device", "Tensor.dim", "Tensor.dtype",
        "Tensor.element_size",
        "Tensor.grad_fn", "Tensor.is_floating_point", "Tensor.is_leaf", "Tensor.item",
        "Tensor.ndim", "Tensor.ndimension", "Tensor.nelement", "Tensor.numel", "Tensor.numpy",
        "Tensor.shape", "Tensor.size", "Tensor.tolist", "Tensor._repr_html_",
    ],
    "ops/test_random.py": ["Generator", "manual_seed"],
    "ops/test_errors.py": ["allclose", "Tensor.allclose"],
}  # fmt: skip
INTERNAL = {"value", "node", "base", "label"}  # slots that other rooms use
NUMBER_TYPES = {"bool_", "bool", "int", "long", "short", "float", "double", "half"}


def public() -> Iterator[tuple[str, Any]]:
    """The functions and classes of these rooms that `pr` offers."""
    for name in pr.__all__:
        value = getattr(pr, name)
        if str(getattr(value, "__module__", "")).startswith(OURS):
            yield name, value


def tensor_names() -> Iterator[tuple[str, Any]]:
    """The methods, properties and operators of Tensor."""
    for name, value in vars(Tensor).items():
        ours = name in methods.METHODS or not name.startswith("_")
        if ours and name not in INTERNAL:
            yield name, value.fget if isinstance(value, property) else value


def has_test(name: str) -> bool:
    return name in ROWS or any(name in names for names in ELSEWHERE.values())


def test_every_public_name_has_rows_or_a_test() -> None:
    same = {id(value) for name, value in public() if has_test(name)}
    missing = [name for name, value in public() if not has_test(name) and id(value) not in same]
    missing = [name for name in missing if not name.endswith("Error")]
    assert missing == [], "add a case to tests/ops/cases.py"


def test_every_method_has_rows_or_is_a_tested_function() -> None:
    same = {id(value) for name, value in public() if has_test(name)}
    missing = [
        name
        for name, value in tensor_names()
        if not has_test(f"Tensor.{name}") and id(value) not in same
    ]
    assert missing == [], "add a case for Tensor.<name> to tests/ops/cases.py"


def test_what_is_tested_elsewhere_is_named_there() -> None:
    for file, names in ELSEWHERE.items():
        text = (TESTS / file).read_text(encoding="utf-8")
        for name in names:
            last = name.removeprefix("Tensor.")
            assert re.search(rf"\b{last}\b", text), f"{file} says nothing of {name}"


def test_rows_name_what_exists() -> None:
    for name in ROWS:
        owner, attribute = (Tensor, name[7:]) if name.startswith("Tensor.") else (pr, name)
        assert hasattr(owner, attribute), f"{name} is gone: drop its rows"


def test_every_primitive_is_reached_by_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[str] = set()

    class Watching(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            reached.add(name)
            return super().__getitem__(name)

    monkeypatch.setattr("pierian.core.tensor.REGISTRY", Watching(primitive.REGISTRY))
    for case in {case.name + case.label.split(" ")[0]: case for case in CASES}.values():
        xs = [pr.asarray(x) for x in case.inputs]
        for x in xs:
            if x.is_floating_point():
                x.requires_grad_()
        case.fn(*xs)
    ours = {name for name, p in primitive.REGISTRY.items() if "compiler" not in p.shape.__module__}
    missing = sorted(ours - reached)  # the compiler has some of its own, in tests/compiler
    assert missing == [], "add a case whose function binds it to tests/ops/cases.py"


def documented(name: str, value: Any) -> str | None:
    """What is wrong with a docstring."""
    text = inspect.getdoc(value) or ""
    if not text:
        return f"{name} has no docstring"
    if inspect.isfunction(value) and takes_tensors(name) and "Shapes:" not in text:
        return f"{name} does not give Shapes"
    return None


def takes_tensors(name: str) -> bool:
    return name not in {"is_grad_enabled", "manual_seed", "custom_vjp", "backward"}


def test_every_public_name_is_documented_with_shapes() -> None:
    wrong = [documented(name, value) for name, value in public() if name not in NUMBER_TYPES]
    assert [text for text in wrong if text] == []


def test_every_method_is_documented() -> None:
    wrong = [
        f"Tensor.{name} has no docstring"
        for name, value in tensor_names()
        if not name.startswith("__") and not inspect.getdoc(value)
    ]
    assert wrong == []


def test_public_names_are_sorted_and_there() -> None:
    assert sorted(set(pr.__all__)) == sorted(pr.__all__), "each name once"
    for name in pr.__all__:
        getattr(pr, name)


def test_every_differentiable_primitive_is_differentiated_by_a_smooth_row() -> None:
    """Its gradient rules run in the sweeps: some row with a gradient has it on its tape."""
    walked: set[str] = set()
    for case in {case.name + case.label.split(" ")[0]: case for case in CASES}.values():
        if not case.smooth:
            continue
        xs = [pr.asarray(x) for x in case.inputs]
        for x in xs:
            if x.is_floating_point():
                x.requires_grad_()
        result = case.fn(*xs)
        stack = [y.node for y in (result if isinstance(result, (list, tuple)) else [result])]
        while stack:
            node = stack.pop()
            if node is not None and hasattr(node, "primitive"):
                walked.add(node.name)
                stack.extend(node.parents)
    differentiable = {name for name, entry in primitive.REGISTRY.items() if entry.rules}
    assert sorted(differentiable - walked) == []
