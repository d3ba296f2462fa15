"""Control flow of the generated code: counted loops.

May import: llvm, element.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pierian.compiler.element import I64
from pierian.compiler.llvm import ir


@contextlib.contextmanager
def loop(b: ir.IRBuilder, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
    """`for i in range(start, stop, step)`; yields i. Runs at least once only if start < stop."""
    function = b.function
    head, body, done = (function.append_basic_block(name) for name in ("head", "body", "done"))
    entry = b.block
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(I64)
    i.add_incoming(start, entry)
    b.cbranch(b.icmp_signed("<", i, stop), body, done)
    b.position_at_end(body)
    yield i
    following = b.add(i, ir.Constant(I64, step))
    i.add_incoming(following, b.block)
    b.branch(head)
    b.position_at_end(done)


def number(n: int) -> Any:
    """An index constant."""
    return ir.Constant(I64, n)
