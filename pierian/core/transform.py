"""Derivatives of functions of trees of tensors: grad, vjp, jvp, jacobian, hessian, any order.

May import: base, tensor, autodiff. A transform runs the function on aliases of its arguments and
walks the tape back from the results; whether that walk is recorded in turn depends only on
whether something outside, a tape, a leaf or another transform, can still ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from pierian.base import trees
from pierian.base.dtypes import int64
from pierian.base.errors import GradError, ShapeError, message
from pierian.core.autodiff import alias, enable_grad, pullback, reachable
from pierian.core.tensor import Leaf, Tensor, as_tensor, bind


def vjp(fn: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`fn(*primals)` and the function that pulls gradients of it back to the primals.

    Shapes:   pull: gradients shaped like the result -> gradients shaped like the primals.
    Args:     primals  trees of floating tensors.
    Returns:  (result, pull): pull(g), with g a tree like result, gives a tuple with one tree
              per primal; zeros where the result does not depend on it.

    >>> import pierian as pr
    >>> y, pull = pr.vjp(lambda x: x * x, pr.tensor([1.0, 2.0]))
    >>> pull(pr.tensor([1.0, 10.0]))
    (tensor([ 2., 40.], dtype=float32),)
    """
    result, pull, _ = _vjp(fn, primals, False)
    return result, pull


def _vjp(fn: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool) -> Any:
    values, structure = trees.flatten(primals)
    inputs = [alias(as_tensor(value)) for value in values]
    with enable_grad():
        result = fn(*trees.unflatten(structure, inputs))
    aux = None
    if has_aux:
        result, aux = result
    outputs, shape = trees.flatten(result)
    outputs = [as_tensor(y) for y in outputs]
    targets = {x.node for x in inputs}
    open_ = _open([y.node for y in outputs], targets)

    def pull(g: Any) -> tuple[Any, ...]:
        grads, found_shape = trees.flatten(g)
        if found_shape != shape:
            raise ShapeError(
                message("vjp", "gradients must have the structure of the result", shape,
                        found_shape, "Pass one gradient per output")
            )  # fmt: skip
        seeds = list(map(_like, outputs, grads))
        record = open_ or any(v.node is not None for v in seeds)
        found = pullback(_pairs(outputs, seeds), targets, record, retain=True)
        return trees.unflatten(structure, [_or_zeros(found.get(x.node), x) for x in inputs])

    visible = [y if open_ else y.detach() for y in outputs]
    return trees.unflatten(shape, visible), pull, _detached(aux, open_)


def value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives `fn(*args)`, a single number, and its gradient.

    Shapes:  fn: x (...) -> () gives () and (...).
    Args:    argnums  which arguments (trees of tensors) to differentiate; one gradient tree, or
                      a tuple of them for a sequence.
             has_aux  fn returns (number, anything); the result is ((number, anything), gradient).

    >>> import pierian as pr
    >>> pr.value_and_grad(lambda x: (x * x).sum())(pr.tensor([3.0]))
    (tensor(9., dtype=float32), tensor([6.], dtype=float32))
    """
    single = isinstance(argnums, int)
    places: tuple[int, ...] = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = _choose(fn, args, kwargs, places)
        value, pull, aux = _vjp(of_chosen, chosen, has_aux)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = value.shape if isinstance(value, Tensor) else type(value).__name__
            raise GradError(
                message("grad", "the function must give a single number", "a tensor of 1 element",
                        got, "Reduce with .sum() or .mean(), or use pr.jacobian")
            )  # fmt: skip
        grads = pull(bind("full", shape=value.shape, value=1.0, dtype=value.dtype))
        return (value, aux) if has_aux else value, grads[0] if single else grads

    return wrapped


def grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of `fn`, a single number; see `value_and_grad`.

    Shapes:  fn: x (...) -> () gives (...).

    >>> import pierian as pr
    >>> cube = lambda x: x ** 3
    >>> pr.grad(pr.grad(cube))(pr.tensor(2.0))
    tensor(12., dtype=float32)
    """
    both = value_and_grad(fn, argnums, has_aux)

    @wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def jvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """`fn(*primals)` and its derivative in the direction `tangents`.

    Shapes:  tangents as primals (trees of tensors) -> (result, tangent like result).
    Source:  Townsend 2017, "A new trick for calculating Jacobian vector products": pull(u) is
             linear in u, so pulling `tangents` back through it gives the forward derivative.

    >>> import pierian as pr
    >>> pr.jvp(lambda x: x * x, (pr.tensor(3.0),), (pr.tensor(1.0),))
    (tensor(9., dtype=float32), tensor(6., dtype=float32))
    """
    result, pull, _ = _vjp(fn, tuple(primals), False)
    outputs, shape = trees.flatten(result)
    dummies = [alias(_zeros(y)) for y in outputs]
    pulled = trees.leaves(pull(trees.unflatten(shape, dummies)))
    directions = trees.leaves(tangents)
    if len(pulled) != len(directions):
        raise ShapeError(
            message("jvp", "one tangent per primal", len(pulled), len(directions),
                    "Pass tangents with the structure of primals")
        )  # fmt: skip
    seeds = list(map(_like, pulled, directions))
    inner = {u.node for u in dummies}
    sources = [y.node for y in outputs] + [t.node for t in seeds]
    record = any(node is not None for node in sources)
    found = pullback(_pairs(pulled, seeds), inner, record, retain=True)
    change = [_or_zeros(found.get(u.node), u) for u in dummies]
    return result, trees.unflatten(shape, change)


def jacobian(fn: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that gives all first derivatives of `fn`.

    Shapes:  fn: x (a, b) -> y (c,) gives (c, a, b): the shape of the result, then of the
             argument; trees give a result tree whose leaves are argument trees.

    >>> import pierian as pr
    >>> pr.jacobian(lambda x: x * x)(pr.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    """
    places = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = _choose(fn, args, kwargs, places)
        result, pull, _ = _vjp(of_chosen, chosen, False)
        outputs, shape = trees.flatten(result)
        blocks = []
        for i, y in enumerate(outputs):
            rows = [_rows(pull, outputs, shape, i, j) for j in range(y.numel())]
            columns, inner = trees.flatten(rows[0] if rows else chosen)
            cells = [trees.leaves(row) for row in rows]
            block = [
                _stacked([row[k] for row in cells], y.shape + column.shape, y)
                for k, column in enumerate(columns)
            ]
            tree = trees.unflatten(inner, block)
            blocks.append(tree[0] if isinstance(argnums, int) else tree)
        return trees.unflatten(shape, blocks)

    return wrapped


def hessian(fn: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that gives all second derivatives of `fn`, a single number.

    Shapes:  fn: x (a,) -> () gives (a, a).

    >>> import pierian as pr
    >>> pr.hessian(lambda x: (x ** 3).sum())(pr.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]], dtype=float32)
    """
    return jacobian(grad(fn, argnums), argnums)


def _choose(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], places: tuple[int, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`fn` as a function of the arguments at `places` alone, and those arguments."""

    def of_chosen(*chosen: Any) -> Any:
        full = list(args)
        for place, value in zip(places, chosen, strict=True):
            full[place] = value
        return fn(*full, **kwargs)

    if any(not -len(args) <= place < len(args) for place in places):
        raise GradError(
            message("grad", "argnums must name positional arguments",
                    f"0 <= argnums < {len(args)}", places, "Pass the argument by position")
        )  # fmt: skip
    return of_chosen, tuple(args[place] for place in places)


def _rows(pull: Any, outputs: list[Tensor], shape: Any, i: int, j: int) -> Any:
    """The gradient of element j of output i."""
    seeds = [_zeros(y) for y in outputs]
    y = outputs[i]
    places = bind("arange", start=0, step=1, size=y.numel(), dtype=int64)
    hot = bind("cast", places == j, dtype=y.dtype)
    seeds[i] = bind("reshape", hot, shape=y.shape)
    return pull(trees.unflatten(shape, seeds))


def _stacked(rows: list[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    if not rows:
        return bind("full", shape=shape, value=0.0, dtype=like.dtype)
    flat = [bind("reshape", row, shape=(1, row.numel())) for row in rows]
    return bind("reshape", bind("concat", *flat, axis=0), shape=shape)


def _open(nodes: Iterable[Any], own: set[Any]) -> bool:
    """Whether something besides `own` can ask for gradients of `nodes`."""
    reached = reachable(node for node in nodes if node is not None)
    return any(type(node) is Leaf and node not in own for node in reached)


def _like(y: Tensor, g: Any) -> Tensor:
    g = as_tensor(g, y.dtype)
    if g.shape != y.shape:
        raise ShapeError(
            message("vjp", "a gradient or tangent must have the shape of its value", y.shape,
                    g.shape, "Reshape it")
        )  # fmt: skip
    return g


def _pairs(outputs: list[Tensor], seeds: list[Tensor]) -> list[tuple[Any, Tensor]]:
    """Where to start walking back, and with what; outputs without history are left out."""
    both = zip(outputs, seeds, strict=True)
    return [(y.node, g) for y, g in both if y.node is not None]


def _zeros(y: Tensor) -> Tensor:
    return bind("full", shape=y.shape, value=0.0, dtype=y.dtype)


def _or_zeros(g: Tensor | None, like: Tensor) -> Tensor:
    return _zeros(like) if g is None else g


def _detached(tree: Any, open_: bool) -> Any:
    if open_:
        return tree
    return trees.map_tree(lambda t: t.detach() if isinstance(t, Tensor) else t, tree)
