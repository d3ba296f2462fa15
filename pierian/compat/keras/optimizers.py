"""Keras' optimizers: the rules of `pr.optim` with Keras' spellings and defaults.

May import: base, core, optim. To add one: a row in `RULES`. Where Keras puts epsilon in another
place than PyTorch, the rule is the one of `pr.optim`; see there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pierian import optim
from pierian.base.errors import GradError, lookup, message
from pierian.compat.keras.names import answer, refuse
from pierian.core.tensor import Tensor


class Optimizer(optim.Optimizer):
    """What the optimizers have under Keras' names."""

    rates: dict[str, Any] = {}  # Keras' settings, with its defaults

    def __init__(self, *args: Any, name: str | None = None, **options: Any) -> None:
        title = type(self).__name__
        for option in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
            if option not in self.rates and options.pop(option, None):
                raise refuse(title, option)
        given = dict(zip(self.rates, args, strict=False)) | options
        for option in given:
            lookup(title, "setting", option, self.rates)
        settings = {SPELLED.get(key, key): x for key, x in (self.rates | given).items()}
        if not isinstance(settings["lr"], int | float):
            raise refuse(title, "schedule")
        if isinstance(self, optim.RMSprop):
            settings["alpha"] = settings.pop("rho")
        if "beta_1" in settings:
            settings["betas"] = settings.pop("beta_1"), settings.pop("beta_2")
        super().__init__(None, **settings)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Tensor]]) -> None:
        """One update. Args: grads_and_vars  pairs, as zip(gradients, variables) gives them.

        Raises:  GradError when there is no gradient at all.
        """
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise GradError(
                message(f"{self.name}.apply_gradients", "a variable must have a gradient",
                        "pairs (gradient, variable)", "none", "Compute the loss inside the tape, "
                        "from these variables")
            )  # fmt: skip
        known = {id(v) for v in self._parameters()}
        new = [v.requires_grad_() for _, v in pairs if id(v) not in known]
        if new:
            self.add_params(new)
        self.zero_grad()
        for g, v in pairs:
            v.grad = g
        self.step()
        self.zero_grad()

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Tensor]) -> None:
        """One update; see `apply_gradients`."""
        self.apply_gradients(zip(grads, trainable_variables, strict=True))


SPELLED = {"learning_rate": "lr", "epsilon": "eps"}
RATE, EPSILON = {"learning_rate": 0.001}, {"epsilon": 1e-7}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, **EPSILON, "amsgrad": False}
RULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (optim.SGD, {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
    "RMSprop": (
        optim.RMSprop, {**RATE, "rho": 0.9, "momentum": 0.0, **EPSILON, "centered": False},
    ),
    "Adam": (optim.Adam, {**RATE, **ADAM}),
    "AdamW": (optim.AdamW, {**RATE, "weight_decay": 0.004, **ADAM}),
    "Adagrad": (optim.Adagrad, {**RATE, "initial_accumulator_value": 0.1, **EPSILON}),
    "Adadelta": (optim.Adadelta, {**RATE, "rho": 0.95, **EPSILON}),
}  # fmt: skip


def _class(title: str, rule: Any, rates: dict[str, Any]) -> Any:
    shown = ", ".join(f"{name}={default}" for name, default in rates.items())
    doc = f"Keras' {title}({shown}); see `pr.optim.{rule.__name__}`."
    return type(title, (Optimizer, rule), {"rates": rates, "__doc__": doc, "__module__": __name__})


_classes = {title: _class(title, *row) for title, row in RULES.items()}
globals().update(_classes)
NAMES = {title.lower(): cls for title, cls in _classes.items()}


def get(optimizer: Any) -> Any:
    """The optimizer that a name or a class stands for; others as they are."""
    if isinstance(optimizer, str):
        return NAMES[lookup("compile", "optimizer", optimizer.lower(), NAMES)]()
    return optimizer() if optimizer in _classes.values() else optimizer


__getattr__ = answer(__name__, globals())
