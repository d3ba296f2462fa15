"""Faces hold names, spellings and defaults: no arithmetic, loop over batches, or gradients."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pierian
from tools import size

FOLDER = Path(pierian.__file__).parent / "compat"
FILES = sorted(FOLDER.rglob("*.py"))
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.Div, ast.FloorDiv, ast.Pow, ast.Mod)
LOADERS = {"batch", "batches", "loader", "dl", "dls", "train_dl", "valid_dl", "dataloader"}
GRADIENTS = {"backward", "pullback", "vjp", "jvp", "grad", "value_and_grad", "grad_fn", "define"}

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
SCALARS = {"int", "float"}
COUNTS = {"int", "float", "len", "round", "ord"}  # calls that give a number, whatever they get
MODULES = {"math", "random"}  # all that these hold are functions of numbers


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names(node: ast.AST) -> set[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
    return set()


def plain(node: ast.AST) -> bool:
    """Whether a side of an operation is written as a text, list or tuple."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr() | ast.List() | ast.Tuple():
            return True
        case ast.ListComp() | ast.Call(func=ast.Name(id="str" | "repr" | "Path")):
            return True
        case ast.BinOp(left=left, right=right):
            return plain(left) or plain(right)
    return False


class Scope:
    """Which names of a module or function are numbers of Python, by its type hints.

    Those of parameters hinted `int` or `float` are, and names that only ever get such numbers.
    """

    def __init__(self, node: ast.Module | Function, outer: Scope | None = None) -> None:
        self.node = node
        self.numbers = set(outer.numbers) if outer else set()
        self.rows = set(outer.rows) if outer else set()  # of numbers: `*dims: int`
        self.calls = set(outer.calls) if outer else set(COUNTS)
        self.own = [*inside(node)]
        self.calls |= {
            part.name for part in self.own
            if isinstance(part, ast.FunctionDef) and names_scalar(part.returns)
        }  # fmt: skip
        hidden = {part.id for part in self.own if isinstance(part, ast.Name) and stored(part)}
        if not isinstance(node, ast.Module):
            args = node.args
            plain_ones = [*args.posonlyargs, *args.args, *args.kwonlyargs]
            stars = [arg for arg in (args.vararg, args.kwarg) if arg]
            hidden |= {arg.arg for arg in plain_ones + stars}
            self.numbers -= hidden
            self.rows -= hidden
            self.numbers |= {arg.arg for arg in plain_ones if names_scalar(arg.annotation)}
            self.rows |= {arg.arg for arg in stars[:1] if names_scalar(arg.annotation)}
            hidden -= {arg.arg for arg in plain_ones + stars}
        given = [pair for part in self.own for pair in assigned(part)]
        certain = {name for name, _ in given}
        self.numbers |= hidden & certain  # supposed to be, until something else is found
        while wrong := {n for n, v in given if n in self.numbers and not self.number(v)}:
            self.numbers -= wrong
        self.numbers -= hidden - certain

    def number(self, node: ast.AST | None) -> bool:
        match node:
            case ast.Constant(value=value):
                return isinstance(value, int | float)
            case ast.Name(id=name):
                return name in self.numbers
            case ast.UnaryOp(operand=one):
                return self.number(one)
            case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
                return self.number(one) and self.number(other)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module))):
                return module in MODULES
            case ast.Call(func=ast.Name(id="sum" | "min" | "max"), args=[ast.Name(id=name)]):
                return name in self.rows
            case ast.Call(func=ast.Name(id=name)):
                return name in self.calls
        return False


def names_scalar(hint: ast.AST | None) -> bool:
    return isinstance(hint, ast.Name) and hint.id in SCALARS


def stored(name: ast.Name) -> bool:
    return not isinstance(name.ctx, ast.Load)


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What belongs to a module or function itself, and the functions right below it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Function):
            yield from inside(child)


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Names with the expression that they get; None for what is not looked into."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            yield from (
                (t.id, v) for t, v in zip(targets, values, strict=False) if isinstance(t, ast.Name)
            )
        case ast.Assign(targets=targets, value=value):
            yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value:
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.For(target=target) | ast.comprehension(target=target):
            counted = names(node.iter.func) if isinstance(node.iter, ast.Call) else set()
            number = ast.Constant(0) if counted == {"range"} else None
            yield from ((t.id, number) for t in ast.walk(target) if isinstance(t, ast.Name))
        case ast.NamedExpr(target=target, value=value):
            yield target.id, value
        case ast.withitem(optional_vars=ast.Name(id=name)):
            yield name, None


def arithmetic(tree: ast.Module) -> list[int]:
    """Lines with operations on what may be a tensor: all that is neither number nor text."""

    def found(scope: Scope) -> Iterator[int]:
        for node in scope.own:
            if isinstance(node, Function):
                yield from found(Scope(node, scope))
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC):
                if not plain(node) and not scope.number(node):
                    yield node.lineno
            elif isinstance(node, ast.AugAssign) and isinstance(node.op, ARITHMETIC):
                known = scope.number(node.target) and scope.number(node.value)
                if not plain(node.value) and not known:
                    yield node.lineno

    return [*found(Scope(tree))]


def loops_over_batches(tree: ast.Module) -> list[int]:
    return [
        node.iter.lineno for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)
        for part in ast.walk(node.iter) if names(part) & LOADERS
    ]  # fmt: skip


def gradients(tree: ast.Module) -> list[int]:
    """Calls of what computes gradients, and definitions of primitives."""
    return [
        node.lineno for node in ast.walk(tree)
        if isinstance(node, ast.Call) and names(node.func) & GRADIENTS
    ]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_faces_compute_nothing_themselves(path: Path) -> None:
    tree = parsed(path)
    assert not arithmetic(tree)
    assert not loops_over_batches(tree)
    assert not gradients(tree)


def test_faces_stay_small() -> None:
    package = FOLDER.parent
    assert sum(size.measure(path, package).code for path in FILES) < 1_200


FOUND: list[tuple[Callable[[Any], list[int]], str]] = [
    (arithmetic, "def f(x, w): return x @ w"),
    (arithmetic, "def f(x): return 2 * x"),
    (arithmetic, "def f(x: Tensor, n: int): return x / n"),
    (arithmetic, "def f(x): x += 1"),
    (arithmetic, "def f(x):\n y = 1\n y = x\n return y + 1"),
    (arithmetic, "n = 1\ndef f(n): return n + 1"),
    (arithmetic, "def f(n: int): return lambda n: n + 1"),
    (arithmetic, "def f(xs): return [x + 1 for x in xs]"),
    (arithmetic, "def f(n: int):\n for n in n: n += 1"),
    (arithmetic, "def f(*xs): return sum(xs) + 1"),
    (arithmetic, "class A:\n def f(self): return 1 - self.p"),
    (arithmetic, "def f(x): return math.pi * g(x)"),
    (loops_over_batches, "for x, y in self.train_dl: pass"),
    (loops_over_batches, "for x, y in enumerate(loader): pass"),
    (loops_over_batches, "total = [f(x) for x in batches]"),
    (gradients, "loss.backward()"),
    (gradients, "pr.value_and_grad(f)(x)"),
]
PASSED = [
    "def f(p: float): return 1 - p",
    "def f(n: int) -> int: return n\ndef g(): return f(2) + 1",
    "WIDE = 3.0\ndef f():\n low, high = -WIDE, WIDE\n middle = (low + high) / 2\n low = middle",
    "def f(*dims: int): return len(dims) / sum(dims)",
    "def f(x): return math.sqrt(2) * len(x)",
    "for i in range(3): j = i + 1",
    "def f(names): return 'a' + names",
    "def f(folder, n): return folder / str(n) / 'x'",
    "def f(model): return [*model] + [1]",
]


@pytest.mark.parametrize(("check", "code"), FOUND)
def test_the_checks_find_what_they_are_for(check: Callable[[Any], list[int]], code: str) -> None:
    assert check(ast.parse(code))


@pytest.mark.parametrize("code", PASSED)
def test_numbers_and_texts_are_no_tensors(code: str) -> None:
    assert not arithmetic(ast.parse(code))
