"""Optimizers that users write: any class with `step` and `zero_grad`, where one of ours is wanted.

May import: base, core, optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pierian.base.errors import GradError, message
from pierian.core.tensor import Tensor
from pierian.optim.optimizer import Optimizer, Params


class Own(Optimizer):
    """An optimizer of the user's own: kind(params, lr) with `step()` and `zero_grad()`.

    It runs in Python, so its steps are not compiled. Its attribute `lr`, if it has one, follows
    schedules; state of its own is in no checkpoint. `optim.get` makes one of any class that is
    no `Optimizer`.

    Args:    kind      the class, or a function that makes the object.
             params    as for `Optimizer`; the object gets a list of tensors.
             settings  more that the class takes, by its own names.
    Raises:  TypeError for an object without one of the methods; GradError from `zero_grad` where
             gradients are left.

    >>> import pierian as pr
    >>> class Descent:
    ...     def __init__(self, params, lr):
    ...         self.params, self.lr = params, lr
    ...
    ...     def step(self):
    ...         for p in self.params:
    ...             p.data -= self.lr * p.grad
    ...
    ...     def zero_grad(self):
    ...         for p in self.params:
    ...             p.grad = None
    >>> p = pr.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = pr.optim.get(Descent, [p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5, 1. ], dtype=float32, requires_grad=True)
    """

    compiled = False

    def __init__(
        self, kind: Callable[..., Any], params: Params | None = None, lr: float = 1e-3,
        **settings: Any,
    ) -> None:  # fmt: skip
        self.kind = partial(kind, **settings)
        super().__init__(params, {"lr": lr})

    def add_params(self, params: Params) -> None:
        super().add_params(params)
        self.own = self.kind(self._parameters(), float(self.lr))
        self.name = type(self.own).__name__
        for method in ("step", "zero_grad"):
            if not hasattr(self.own, method):
                must, fix = "an optimizer updates parameters", f"Write def {method}(self)"
                wanted = "methods step and zero_grad"
                raise TypeError(message(self.name, must, wanted, f"no {method}", fix))

    def step(self, closure: Callable[[], Any] | None = None, *, when: Tensor | None = None) -> Any:
        """A step of the user's; give what `closure`, called first, returned."""
        if not self.param_groups:
            raise self._empty("Call add_params first")
        loss = None if closure is None else closure()
        for group in self.param_groups:
            self._begin(group, [p for p in group["params"] if p.grad is not None])
        if hasattr(self.own, "lr"):
            self.own.lr = float(self.lr)
        self.own.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """The user's way to forget gradients."""
        if self.param_groups:
            self.own.zero_grad()
        if any(p.grad is not None and bool(p.grad.any()) for p in self._parameters()):
            where, must = f"{self.name}.zero_grad", "it must forget the gradients, which add up"
            fix = "Write p.grad = None for each parameter"
            raise GradError(message(where, must, "None or zeros", "those of the last step", fix))
