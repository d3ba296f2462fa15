"""What `compile` is told: optimizer, loss and metrics, kept with the model until `fit` uses them.

May import: base, core, nn, optim, metrics, losses. To let `compile` take one more thing: a field
of `Recipe`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pierian import metrics as metrics_
from pierian import optim
from pierian.base.errors import GradError, message
from pierian.nn.losses import cross_entropy, nll_loss
from pierian.nn.module import Module
from pierian.train import losses

KEY = "_recipe"  # the attribute of a model that holds it
OF_LOGITS = (cross_entropy, nll_loss)  # losses of classes whose predictions are no probabilities


class Recipe:
    """How a model is trained. Made by `compile`, found again by `of`.

    optimizer  holds no parameters until the model has them.
    loss       None when only `predict` is wanted.
    metrics    with different names.
    """

    def __init__(
        self, model: Module, optimizer: Any, loss: Any, metrics: Any, jit: Any = "auto"
    ) -> None:
        self.loss: Any = None if loss is None else losses.get(loss)
        self.metrics = _metrics(metrics, self.loss)
        factory = not isinstance(optimizer, str | type | optim.Optimizer)
        known = model.built or (factory and callable(optimizer))
        params = list(model.named_parameters()) if known else None
        self.optimizer = optim.get(optimizer, params or None)
        self.complete = not (factory or isinstance(optimizer, optim.Optimizer))
        self.output: tuple[int, ...] | None = None  # shape of the first batch's output
        self.jit, self.steps = jit, dict[Any, Any]()  # how steps are run, and those that were

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"steps": {}}  # native code belongs to this model in this process

    def adopt(self, model: Module) -> None:
        """Give the optimizer the model's parameters, or check that it has them.

        Raises:  GradError when the optimizer holds other tensors, or lacks some it should hold.
        """
        own = dict(model.named_parameters())
        if not self.optimizer.param_groups and own:
            self.optimizer.add_params(own.items())
        held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        strangers = held - {id(p) for p in own.values()}
        missing = [name for name, p in own.items() if id(p) not in held and self.complete]
        if strangers or missing:
            lacks = f", without {', '.join(missing)}" if missing else ""
            raise GradError(
                message("fit", "the optimizer must hold the parameters of this model",
                        f"its {len(own)} or some of them", f"{len(strangers)} others{lacks}",
                        "Call compile again after a change of the model, with the optimizer's "
                        "name or a new one on model.parameters()")
            )  # fmt: skip


def compile(
    model: Module,
    optimizer: Any = "rmsprop",
    loss: Any = None,
    metrics: Any = None,
    *,
    jit: Any = "auto",
) -> None:
    """Choose how `fit` trains `model`. Weights stay as they are; the optimizer starts anew.

    Args:    optimizer  a name, with Keras' settings ("sgd", "rmsprop", "adam", "adamw",
                        "adagrad", "adadelta"); an optimizer, with parameters or without
                        (`optim.Adam(lr=0.01)` gets all of the model's); a class; or a function
                        from parameters to an optimizer.
             loss       a name with Keras' meaning: "mse", "mae", "huber", "kl_divergence", and
                        of probabilities "binary_crossentropy", "categorical_crossentropy",
                        "sparse_categorical_crossentropy"; or "cross_entropy", of logits. Or a
                        module or function of `nn`, called as (prediction, target); or your own
                        function (y_true, y_pred), giving a loss per example or their mean.
             metrics    names, metrics or functions (y_true, y_pred), one or a list. They are
                        not weighted, as in Keras. Those given by name take predictions for
                        what the loss takes them for, logits or probabilities: answers of yes
                        or no are cut at 0 or at 0.5.
             jit        "auto": steps are compiled, or run eagerly, with a notice, where the
                        model cannot be; True: or an error; False: eagerly.
    Raises:  ValueError for unknown names.

    >>> import pierian as pr
    >>> model = pr.nn.Sequential(pr.nn.Linear(4, 3))
    >>> compile(model, "adam", "cross_entropy", ["accuracy"])
    >>> model.optimizer
    Adam(2 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-07)
    """
    if jit not in ("auto", True, False):
        raise ValueError(
            message("compile", "jit says whether steps are compiled", '"auto", True or False',
                    repr(jit), "Leave it out")
        )  # fmt: skip
    recipe = Recipe(model, optimizer, loss, metrics, jit)
    vars(model).update({KEY: recipe, "optimizer": recipe.optimizer})


def of(where: str, model: Module, loss: bool = True) -> Recipe:
    """The recipe of `model`.

    Raises:  RuntimeError when it was not compiled, or without a loss that is needed.
    """
    recipe = vars(model).get(KEY)
    if recipe is None or (loss and recipe.loss is None):
        got = "compile without a loss" if recipe else "no compile"
        raise RuntimeError(
            message(where, "the model must be compiled first", "compile(optimizer, loss)", got,
                    'Call model.compile("adam", "mse"), or with another loss')
        )  # fmt: skip
    return recipe


class Custom(metrics_.Mean):
    """A metric of the user's own function (y_true, y_pred)."""

    def values(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return super().values(target, pred)


def _metrics(given: Any, loss: losses.Loss | None) -> list[metrics_.Metric]:
    if given is None:
        return []
    if isinstance(given, str) or not isinstance(given, Iterable):
        given = [given]
    made = [_metric(metric, loss) for metric in given]
    names = [metric.name for metric in made]
    for name in names:
        if names.count(name) > 1 or name == "loss":
            raise ValueError(
                message("compile", "metrics must have different names", "other than loss",
                        f"{name!r} again", "Leave it out or give it another name")
            )  # fmt: skip
    return made


def _metric(given: Any, loss: losses.Loss | None) -> metrics_.Metric:
    if not isinstance(given, str | type | metrics_.Metric) and losses.is_foreign(given):
        return Custom(given)
    metric = metrics_.get(given)
    if not metric.scalar:
        raise ValueError(
            message("compile", "metrics in logs must be single numbers", "one that gives a number",
                    f"{metric.name!r}, which gives an array",
                    "Update and compute it outside of fit, or choose an average")
        )  # fmt: skip
    if isinstance(given, str) and loss is not None:  # it was not told what predictions are
        if metric.threshold is not None:
            metric.threshold = loss.threshold
        if metric.from_logits is not None:
            metric.from_logits = loss.function in OF_LOGITS
    return metric
