"""Keras' optimizers: the rules of `pr.optim` with Keras' spellings and defaults.

May import: base, core, optim. To add one: a row in `TABLE`. Where Keras puts epsilon in another
place than PyTorch, the rule is the one of `pr.optim`; see there.
"""

from __future__ import annotations

from typing import Any

from pierian import optim
from pierian.base.errors import lookup
from pierian.compat.keras.names import Names, arguments, classes, refuse, same


class Optimizer(optim.Optimizer):
    """What the optimizers have under Keras' names."""

    row: tuple[Any, Names] = (None, {})

    def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
        title = type(self).__name__
        settings = arguments(title, self.row[1], args, options)
        if not isinstance(settings["lr"], int | float):
            raise refuse(title, "schedule")
        if "beta_1" in settings:
            settings["betas"] = settings.pop("beta_1"), settings.pop("beta_2")
        super().__init__(None, **settings)

    def apply(self, grads: Any, trainable_variables: Any) -> None:
        """One update; see `apply_gradients`."""
        self.apply_gradients(zip(grads, trainable_variables, strict=True))


RATE: Names = {"learning_rate": ("lr", 0.001)}
EPSILON: Names = {"epsilon": ("eps", 1e-7)}
ADAM: Names = same(beta_1=0.9, beta_2=0.999) | EPSILON | same(amsgrad=False)
TABLE: dict[str, tuple[Any, Names]] = {
    "SGD": (optim.SGD, {"learning_rate": ("lr", 0.01), **same(momentum=0.0, nesterov=False)}),
    "RMSprop": (
        optim.RMSprop,
        {**RATE, "rho": ("alpha", 0.9), **same(momentum=0.0), **EPSILON, **same(centered=False)},
    ),
    "Adam": (optim.Adam, RATE | ADAM),
    "AdamW": (optim.AdamW, RATE | same(weight_decay=0.004) | ADAM),
    "Adagrad": (optim.Adagrad, RATE | same(initial_accumulator_value=0.1) | EPSILON),
    "Adadelta": (optim.Adadelta, RATE | same(rho=0.95) | EPSILON),
}
_classes = classes(__name__, Optimizer, TABLE)
globals().update(_classes)
__all__ = ["Optimizer", "get", *_classes]
NAMES = {title.lower(): cls for title, cls in _classes.items()}


def get(optimizer: Any) -> Any:
    """The optimizer that a name or a class stands for; others as they are."""
    if isinstance(optimizer, str):
        return NAMES[lookup("compile", "optimizer", optimizer.lower(), NAMES)]()
    return optimizer() if optimizer in _classes.values() else optimizer
