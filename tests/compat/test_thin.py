"""Faces hold names, spellings and defaults: no arithmetic, loop over batches, or gradients."""

import ast
from pathlib import Path

import pytest

import pierian

FOLDER = Path(pierian.__file__).parent / "compat"
FILES = sorted(FOLDER.rglob("*.py"))
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.Div, ast.FloorDiv, ast.Pow, ast.Mod)
LOADERS = {"batch", "batches", "loader", "dl", "dls", "train_dl", "valid_dl", "dataloader"}
GRADIENTS = {"backward", "pullback", "vjp", "jvp", "grad_fn", "define"}


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def plain(node):
    """Whether it is about texts, lists or tuples: one side is written as such."""
    kinds = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
    return any(
        isinstance(side, kinds) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def arithmetic(tree):
    return [
        node.lineno for node in ast.walk(tree)
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ARITHMETIC)
        and not plain(node)
    ]  # fmt: skip


def loops_over_batches(tree):
    return [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)
        for part in ast.walk(node.iter) if names(part) & LOADERS
    ]  # fmt: skip


def names(node):
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
    return set()


def gradients(tree):
    """Calls of what computes gradients, and definitions of primitives."""
    return [
        node.lineno for node in ast.walk(tree)
        if isinstance(node, ast.Call) and names(node.func) & GRADIENTS
    ]  # fmt: skip


OURS = [path for path in FILES if {"keras", "tensorflow"} & set(path.parts)]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_faces_of_keras_and_tensorflow_compute_nothing_themselves(path):
    tree = parsed(path)
    assert not arithmetic(tree)
    assert not loops_over_batches(tree)
    assert not gradients(tree)


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (arithmetic, "def f(x, w): return x @ w"),
        (arithmetic, "def f(x): x += 1"),
        (loops_over_batches, "for x, y in self.train_dl: pass"),
        (loops_over_batches, "for x, y in enumerate(loader): pass"),
        (gradients, "loss.backward()"),
    ],
)
def test_the_check_finds_what_it_is_for(check, code):
    assert check(ast.parse(code))
