"""Gradients that users define: `custom_vjp` for functions, `Function` for classes.

May import: base, tensor, autodiff. Both record one node on the tape; inside a trace the forward
and the backward pass are traced like any other operations.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.base.errors import GradError, message
from pierian.core.autodiff import guard_saved, no_grad, output_node, record_custom
from pierian.core.tensor import Tensor, as_tensor, bind, make, mode


class custom_vjp:
    """A function with a gradient of its own, as in JAX.

    Args:  fn  a function of trees of tensors. `defvjp(forward, backward)` sets the gradient:
               forward(*args) -> (result, residuals), backward(residuals, g) -> one gradient
               (tree) per argument, None for no gradient.

    >>> import pierian as pr
    >>> @pr.custom_vjp
    ... def clipped(x):
    ...     return x * 1.0
    >>> clipped.defvjp(lambda x: (clipped.fn(x), None), lambda _, g: (pr.clip(g, -1.0, 1.0),))
    >>> pr.grad(lambda x: 5 * clipped(x))(pr.tensor(2.0))
    tensor(1., dtype=float32)
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.__name__ = getattr(fn, "__name__", "custom_vjp")
        self.__doc__ = fn.__doc__ or type(self).__doc__

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Set the gradient; see the class."""
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any) -> Any:
        if self.forward is None or self.backward is None:
            raise GradError(
                message(self.__name__, "a custom_vjp needs its gradient", "a call of defvjp",
                        "none", "Call defvjp(forward, backward) once after the definition")
            )  # fmt: skip
        with no_grad():
            result, residuals = self.forward(*args)
        return _record(self.__name__, args, result, residuals, self.backward)


class Context:
    """What `Function.forward` leaves for `backward`: saved tensors and any attributes."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors; changing them in place before `backward` is an error."""
        self.saved_tensors = tensors


class Function:
    """A function with a gradient of its own, as in PyTorch: subclass, then call `apply`.

    >>> import pierian as pr
    >>> class Square(pr.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * g
    >>> pr.grad(Square.apply)(pr.tensor(3.0))
    tensor(6., dtype=float32)
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """The result (a tensor or several), computed from `args`."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:
        """One gradient per argument of `forward` (None for no gradient)."""
        raise NotImplementedError

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and put the call on the tape."""
        context = Context()
        context.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        with no_grad():
            result = cls.forward(context, *args)

        def backward(saved: tuple[Tensor, ...], grads: Any) -> Any:
            context.saved_tensors = saved
            back = cls.backward(context, *(grads if isinstance(grads, (list, tuple)) else [grads]))
            return back if isinstance(back, (list, tuple)) else (back,)

        return _record(cls.__name__, args, result, tuple(context.saved_tensors), backward)


def _record(name: str, args: tuple[Any, ...], result: Any, residuals: Any, backward: Any) -> Any:
    """`result` as new tensors on the tape, when gradients of some argument are asked for."""
    if mode.grad and mode.watch is not None:
        mode.watch([leaf for leaf in trees.leaves(args) if isinstance(leaf, Tensor)])
    wanted = [
        [isinstance(leaf, Tensor) and leaf.node is not None for leaf in trees.leaves(arg)]
        for arg in args
    ]
    inputs = [t for t in trees.leaves(args) if isinstance(t, Tensor) and t.node is not None]
    if not (mode.grad and inputs):
        return result
    values, structure = trees.flatten(result)
    outputs = [make(as_tensor(y).value) for y in values]
    saved, saved_structure = trees.flatten(residuals)
    kept = [leaf for leaf in saved if isinstance(leaf, Tensor)]
    check = guard_saved(name, kept)

    def with_history(leaf: Any) -> Any:
        """A saved result as what the call gave, so that second derivatives go through it."""
        call = hub()
        for i, y in enumerate(values):
            if leaf is y and call is not None and is_floating(leaf.dtype):
                out = make(leaf.value)
                out.node = output_node(call, i)
                return out
        return leaf

    def pull(output_grads: list[Tensor]) -> list[Any]:
        check()
        residuals = trees.unflatten(saved_structure, list(map(with_history, saved)))
        back = backward(residuals, trees.unflatten(structure, output_grads))
        if not isinstance(back, (list, tuple)) or len(back) != len(args):
            raise GradError(
                message(name, "backward must give one gradient per argument", len(args),
                        len(back) if isinstance(back, (list, tuple)) else type(back).__name__,
                        "Return a tuple with None for arguments without gradient")
            )  # fmt: skip
        held = {id(t.value) for t in (*kept, *inputs)}
        grads: list[Any] = []
        for arg, g, wants in zip(args, back, wanted, strict=True):
            places, shape = trees.flatten(arg)
            found = [None] * len(places) if g is None else _matching(name, g, shape)
            for place, value, wanting in zip(places, found, wants, strict=True):
                if wanting:
                    gx = None if value is None else as_tensor(value, place.dtype)
                    if gx is not None and id(gx.value) in held:
                        gx = bind("copy", gx)
                    grads.append(gx)
        return grads

    hub = weakref.ref(record_custom(name, inputs, outputs, pull))
    return trees.unflatten(structure, outputs)


def _matching(name: str, g: Any, structure: trees.Structure) -> list[Any]:
    values, found = trees.flatten(g)
    if found != structure:
        raise GradError(
            message(name, "a gradient must have the structure of its argument", structure, found,
                    "Return the same nest of tensors")
        )  # fmt: skip
    return values
