"""Linear algebra: one primitive, `matmul`, and what is made of it.

May import: base, core, elementwise, movement, reduction. The primitive takes "transposed" flags,
so that gradients of matrices come out in the memory order of the matrices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pierian.base.errors import DtypeError, ShapeError, message
from pierian.base.shapes import broadcast, normalize_axis
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind
from pierian.ops.movement import permute, reshape
from pierian.ops.operands import pair
from pierian.ops.reduction import sum as sum_


def _matmul_rule(a: Any, b: Any, ta: bool, tb: bool) -> Spec:
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ShapeError(
            message("matmul", "the primitive takes matrices", ">= 2 axes",
                    f"{a.shape} and {b.shape}", "Use pr.matmul")
        )  # fmt: skip
    rows, inner = a.shape[-2:][:: -1 if ta else 1]
    found, columns = b.shape[-2:][:: -1 if tb else 1]
    if inner != found:
        raise ShapeError(
            message("matmul", "inner axes must agree", f"(..., n) @ (n, ...) with n = {inner}",
                    f"{a.shape} @ {b.shape[:-2] + (found, columns)}",
                    "Transpose or reshape one side")
        )  # fmt: skip
    if a.dtype != b.dtype:
        raise DtypeError(
            message("matmul", "both sides must have one dtype", a.dtype, b.dtype, "Cast one side")
        )
    return Spec((*broadcast("matmul", a.shape[:-2], b.shape[:-2]), rows, columns), a.dtype)


def _matmul(a: np.ndarray, b: np.ndarray, ta: bool, tb: bool) -> np.ndarray:
    return np.matmul(a.swapaxes(-1, -2) if ta else a, b.swapaxes(-1, -2) if tb else b)


define("matmul", shape=_matmul_rule, run=_matmul,
       vjp=(lambda g, _y, _a, b, ta, tb:
                bind("matmul", b, g, ta=tb, tb=True) if ta else
                bind("matmul", g, b, ta=False, tb=not tb),
            lambda g, _y, a, _b, ta, tb:
                bind("matmul", g, a, ta=True, tb=ta) if tb else
                bind("matmul", a, g, ta=not ta, tb=False)))  # fmt: skip


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product over the last two axes, the axes before them broadcast.

    Shapes:  (..., m, n) @ (..., n, k) -> (..., m, k); a 1-d side is a row or column that
             disappears from the result.
    Dtypes:  promoted.
    Raises:  ShapeError when the inner axes differ, or for a 0-d side.

    >>> matmul(as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    tensor([11.], dtype=float32)
    """
    a, b = pair("matmul", a, b)
    if not a.ndim or not b.ndim:
        raise ShapeError(
            message("matmul", "both sides need an axis", ">= 1 axis", f"{a.shape} @ {b.shape}",
                    "Multiply by a number with *")
        )  # fmt: skip
    if a.ndim > 1 and b.ndim > 1:
        return bind("matmul", a, b, ta=False, tb=False)
    left = a if a.ndim > 1 else reshape(a, 1, -1)
    right = b if b.ndim > 1 else reshape(b, -1, 1)
    out = bind("matmul", left, right, ta=False, tb=False)
    shape = list(out.shape)
    if b.ndim == 1:
        del shape[-1]
    if a.ndim == 1:
        del shape[-1 if b.ndim == 1 else -2]
    return reshape(out, shape)


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """x @ weight.T + bias. Shapes: (..., in), (out, in), (out,) -> (..., out). Dtypes: promoted."""
    x, weight = pair("linear", x, weight)
    if x.ndim == 1:
        y = reshape(bind("matmul", reshape(x, 1, -1), weight, ta=False, tb=True), -1)
    else:
        rows = x if x.ndim == 2 else reshape(x, math.prod(x.shape[:-1]), x.shape[-1])
        y = bind("matmul", rows, weight, ta=False, tb=True)
        if x.ndim > 2:
            y = reshape(y, *x.shape[:-1], y.shape[-1])
    return y if bias is None else y + bias


def dot(a: Any, b: Any) -> Tensor:
    """As NumPy's dot: a sum over the last axis of a and the last but one (or only one) of b.

    Shapes:  (n,), (n,) -> (); (a, n), (b, n, c) -> (a, b, c); with a number, its product.
    """
    a, b = pair("dot", a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def outer(a: Any, b: Any) -> Tensor:
    """All products of an element of a and one of b. Shapes: (m,), (n,) -> (m, n)."""
    a, b = pair("outer", a, b)
    return reshape(a, -1, 1) * reshape(b, 1, -1)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """The sum of products over the given axes of a and of b.

    Shapes:  (m, n, k), (n, k, l), 2 -> (m, l).
    Args:    axes  a number n: the last n axes of a with the first n of b; or a pair of lists.
    Raises:  ShapeError when the lengths of paired axes differ.

    >>> tensordot(as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]), 1)
    tensor([11.], dtype=float32)
    """
    a, b = pair("tensordot", a, b)
    if isinstance(axes, int):
        axes = (list(range(a.ndim - axes, a.ndim)), list(range(axes)))
    left, right = ([x] if isinstance(x, int) else list(x) for x in axes)
    left = [normalize_axis("tensordot", i, a.ndim) for i in left]
    right = [normalize_axis("tensordot", i, b.ndim) for i in right]
    lengths = [a.shape[i] for i in left], [b.shape[i] for i in right]
    if lengths[0] != lengths[1]:
        raise ShapeError(
            message("tensordot", "paired axes must have equal lengths", lengths[0], lengths[1],
                    "Check the order of the axes")
        )  # fmt: skip
    free_a = [i for i in range(a.ndim) if i not in left]
    free_b = [i for i in range(b.ndim) if i not in right]
    shape = [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b]
    inner = math.prod(lengths[0])
    rows = math.prod(a.shape[i] for i in free_a)
    columns = math.prod(b.shape[i] for i in free_b)
    matrix_a = reshape(permute(a, [*free_a, *left]), rows, inner)
    matrix_b = reshape(permute(b, [*right, *free_b]), inner, columns)
    return reshape(bind("matmul", matrix_a, matrix_b, ta=False, tb=False), shape)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products by Einstein's rule: "ij,jk->ik" is the matrix product.

    Repeated letters that are missing on the right are summed over; operands are contracted from
    left to right, each pair by one batched matrix product. `...` stands for batch axes.

    Shapes:  as the equation says.
    Raises:  ShapeError for a bad equation or letters of two lengths.

    >>> einsum("ij,j->i", as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    tensor([11.], dtype=float32)
    """
    tensors = [as_tensor(x) for x in operands]
    terms, out = _parse_einsum(equation, tensors)
    sizes: dict[str, int] = {}
    for letters, x in zip(terms, tensors, strict=True):
        for letter, n in zip(letters, x.shape, strict=True):
            if sizes.setdefault(letter, n) not in (n, 1) and n != 1:
                raise ShapeError(
                    message(f'einsum("{equation}")', f"axis {letter!r} must have one length",
                            sizes[letter], n, "Check the letters against the shapes")
                )  # fmt: skip
            sizes[letter] = max(sizes[letter], n)
    current, letters = _diagonals(tensors[0], terms[0])
    for i, (term, x) in enumerate(zip(terms[1:], tensors[1:], strict=True), 2):
        needed = set(out).union(*terms[i:])
        other, other_letters = _diagonals(x, term)
        current, letters = _contract(current, letters, other, other_letters, needed)
    current, letters = _sum_out(current, letters, set(out))
    return permute(current, [letters.index(letter) for letter in out]) if out else current


def _parse_einsum(equation: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = [chr(c) for c in range(0x3B1, 0x3B1 + 24)]  # Greek letters stand for `...`
    good = len(terms) == len(tensors)
    batch = 0
    if good:
        batch = max(
            (x.ndim - len(t.replace("...", "")) for t, x in zip(terms, tensors, strict=True)
             if "..." in t), default=0,
        )  # fmt: skip
        for i, (term, x) in enumerate(zip(terms, tensors, strict=True)):
            if "..." in term:
                own = x.ndim - len(term.replace("...", ""))
                terms[i] = term.replace("...", "".join(spare[batch - own : batch]))
            good = good and len(terms[i]) == x.ndim
    joined = "".join(terms)
    if arrow:
        out = right.replace("...", "".join(spare[:batch]))
    else:
        once = sorted(c for c in set(joined) if joined.count(c) == 1 and c not in spare)
        out = "".join(spare[:batch]) + "".join(once)
    good = good and joined.isalpha() | (joined == "") and set(out) <= set(joined)
    if not good or len(set(out)) != len(out):
        raise ShapeError(
            message(f'einsum("{equation}")', "needs one term per operand, one letter per axis",
                    "an equation like 'ij,jk->ik'",
                    f"operands of shapes {', '.join(str(x.shape) for x in tensors)}",
                    "Count letters against axes")
        )  # fmt: skip
    return terms, out


def _diagonals(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """Letters that occur twice in one term: the diagonal of those axes, by a masked sum."""
    for letter in set(letters):
        while letters.count(letter) > 1:
            i = letters.index(letter)
            j = letters.index(letter, i + 1)
            n = x.shape[i]
            shape = [n if k in (i, j) else 1 for k in range(x.ndim)]
            mask = as_tensor(np.eye(n, dtype=x.dtype).reshape(shape))
            x = sum_(x * mask, axis=j)
            letters = letters[:j] + letters[j + 1 :]
    return x, letters


def _sum_out(x: Tensor, letters: str, needed: set[str]) -> tuple[Tensor, str]:
    drop = tuple(i for i, letter in enumerate(letters) if letter not in needed)
    if drop:
        x = sum_(x, axis=drop)
        letters = "".join(letter for letter in letters if letter in needed)
    return x, letters


def _contract(a: Tensor, la: str, b: Tensor, lb: str, needed: set[str]) -> tuple[Tensor, str]:
    """Two operands into one: shared letters are batch axes when needed later, else summed."""
    a, la = _sum_out(a, la, needed | set(lb))
    b, lb = _sum_out(b, lb, needed | set(la))
    a, b = pair("einsum", a, b)
    sizes = {c: max(n, m) for c, n, m in _shared(a, la, b, lb)}
    batch = [c for c in la if c in lb and c in needed]
    inner = [c for c in la if c in lb and c not in needed]
    rows = [c for c in la if c not in lb]
    columns = [c for c in lb if c not in la]

    def matrix(x: Tensor, letters: str, *groups: list[str]) -> Tensor:
        order = [c for group in groups for c in group]
        x = permute(x, [letters.index(c) for c in order])
        shape = tuple(sizes.get(c, n) for c, n in zip(order, x.shape, strict=True))
        x = x if x.shape == shape else bind("expand", x, shape=shape)
        ends = np.cumsum([len(group) for group in groups]).tolist()
        starts = [0, *ends[:-1]]
        return reshape(x, [math.prod(shape[s:e]) for s, e in zip(starts, ends, strict=True)])

    out = bind("matmul", matrix(a, la, batch, rows, inner), matrix(b, lb, batch, inner, columns),
               ta=False, tb=False)  # fmt: skip
    lengths = {
        **dict(zip(la, a.shape, strict=True)),
        **dict(zip(lb, b.shape, strict=True)),
        **sizes,
    }
    letters = "".join([*batch, *rows, *columns])
    return reshape(out, [lengths[c] for c in letters]), letters


def _shared(a: Tensor, la: str, b: Tensor, lb: str) -> list[tuple[str, int, int]]:
    return [(c, a.shape[la.index(c)], b.shape[lb.index(c)]) for c in la if c in lb]
