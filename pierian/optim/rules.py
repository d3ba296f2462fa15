"""The update rules, with PyTorch's names, variants and defaults; and how to get one by name.

May import: base, core, ops, optimizer, own. To add one: a class like these with its formula and its
source, a row in `NAMES` with Keras' defaults if Keras has it, and one in the tests' table.
`update` is pure: parameter p, gradient g, slots s and scalars k in; new parameter and slots out.
`scalars` works in float64 on single numbers; what can be is computed there, not per element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pierian.base.errors import lookup, message
from pierian.core.tensor import Tensor
from pierian.ops.elementwise import maximum, sqrt, where
from pierian.optim.group import Group
from pierian.optim.optimizer import Optimizer, Params, State
from pierian.optim.own import Own


class SGD(Optimizer):
    """Gradient descent, PyTorch's variant: the learning rate is outside of the momentum.

        b = momentum·b + (1 - dampening)·g        (b = g at the first step)
        p = p - lr·b                              (nesterov: p - lr·(g + momentum·b))

    Args:    params         tensors, (name, tensor) pairs or groups of them; see Optimizer.
             lr             step size.
             momentum       share of the last direction that is kept; 0 keeps none.
             dampening      share of the gradient that is left out of the direction.
             weight_decay   this times p is added to g (L2 penalty).
             nesterov       look ahead along the momentum; needs one, and no dampening.
             maximize       go up instead of down.
             learning_rate  another name of lr.
    Source:  Sutskever et al. 2013, "On the importance of initialization and momentum in deep
             learning". They multiply g by lr before it enters b; the same while lr is constant.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = pr.optim.SGD([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5, 1. ], dtype=float32, requires_grad=True)
    """

    def __init__(
        self, params: Params | None = None, lr: float = 1e-3, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
        maximize: bool = False, *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def check(self, settings: Mapping[str, Any]) -> None:
        if settings["nesterov"] and (not settings["momentum"] or settings["dampening"]):
            got = f"momentum {settings['momentum']} and dampening {settings['dampening']}"
            must, expected = "nesterov needs a momentum", "momentum > 0 and dampening 0"
            raise ValueError(message("SGD", must, expected, got, "Pass momentum=0.9"))

    def slots(self, group: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group.is_live("momentum") else {}

    def scalars(self, group: Group, t: Tensor) -> State:
        scalars = {}
        if group.is_live("dampening"):
            scalars["fresh"] = where(t == 1.0, 1.0, 1.0 - group["dampening"])
        if group["nesterov"]:
            scalars["ahead"] = group["momentum"]
        return scalars

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        if "momentum" not in k:
            return p - g * k["lr"], {}
        buffer = s["momentum_buffer"] * k["momentum"] + (g * k["fresh"] if "fresh" in k else g)
        direction = g + buffer * k["ahead"] if "ahead" in k else buffer
        return p - direction * k["lr"], {"momentum_buffer": buffer}


class RMSprop(Optimizer):
    """Steps divided by the running root mean square of the gradient.

        v = alpha·v + (1 - alpha)·g²
        d = g / (sqrt(v) + eps)           (centered: v minus the square of g's running mean)
        p = p - lr·d                      (momentum: b = momentum·b + d; p = p - lr·b)

    PyTorch's variant: Keras puts epsilon inside the root and lr inside the momentum; with eps
    1e-7 and a constant lr the difference shows only where gradients vanish.

    Args:    params         tensors, (name, tensor) pairs or groups of them; see Optimizer.
             lr             step size.
             alpha          how much of the running mean is kept per step (Keras: rho).
             eps            keeps the quotient finite where gradients vanish.
             weight_decay   this times p is added to g (L2 penalty).
             momentum       share of the last direction that is kept; 0 keeps none.
             centered       divide by the standard deviation of g. It is cut off at 0, where
                            rounding would give the root of a negative number.
             learning_rate  another name of lr.
    Source:  Hinton 2012, lecture 6e of "Neural Networks for Machine Learning"; centered:
             Graves 2013, arXiv:1308.0850.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = pr.optim.RMSprop([p], lr=0.5, alpha=0.75)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([ 0., -1.], dtype=float32, requires_grad=True)
    """

    def __init__(
        self, params: Params | None = None, lr: float = 1e-2, alpha: float = 0.99,
        eps: float = 1e-8, weight_decay: float = 0.0, momentum: float = 0.0,
        centered: bool = False, *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def slots(self, group: Group) -> dict[str, float]:
        momentum = ["momentum_buffer"] if group.is_live("momentum") else []
        mean = ["grad_avg"] if group["centered"] else []
        return dict.fromkeys(["square_avg", *momentum, *mean], 0.0)

    def scalars(self, group: Group, t: Tensor) -> State:
        return {"new": 1.0 - group["alpha"]}

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        square = s["square_avg"] + (g * g - s["square_avg"]) * k["new"]
        slots = {"square_avg": square}
        if "grad_avg" in s:
            slots["grad_avg"] = mean = s["grad_avg"] + (g - s["grad_avg"]) * k["new"]
            square = maximum(square - mean * mean, 0.0)
        direction = g / (sqrt(square) + k["eps"])
        if "momentum" in k:
            direction = s["momentum_buffer"] * k["momentum"] + direction
            slots["momentum_buffer"] = direction
        return p - direction * k["lr"], slots


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

        v = v + g²                (v = initial_accumulator_value before the first step)
        p = p - lr / (1 + (t - 1)·lr_decay) · g / (sqrt(v) + eps)

    PyTorch's variant: Keras puts epsilon inside the root, and starts v at 0.1 (so does
    `get("adagrad")`).

    Args:    params         tensors, (name, tensor) pairs or groups of them; see Optimizer.
             lr             step size.
             lr_decay       how fast the step size falls with the step t.
             weight_decay   this times p is added to g (L2 penalty).
             initial_accumulator_value  where v starts: larger makes the first steps smaller.
             eps            keeps the quotient finite where gradients vanish.
             learning_rate  another name of lr.
    Source:  Duchi et al. 2011, jmlr.org/papers/v12/duchi11a.html, the diagonal case.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = pr.optim.Adagrad([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([ 0.5, -1.5], dtype=float32, requires_grad=True)
    """

    def __init__(
        self, params: Params | None = None, lr: float = 1e-2, lr_decay: float = 0.0,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10,
        *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def slots(self, group: Group) -> dict[str, float]:
        return {"sum": float(group["initial_accumulator_value"])}

    def scalars(self, group: Group, t: Tensor) -> State:
        if not group.is_live("lr_decay"):
            return {}
        return {"lr": group["lr"] / (1.0 + (t - 1.0) * group["lr_decay"])}

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        total = s["sum"] + g * g
        return p - g / (sqrt(total) + k["eps"]) * k["lr"], {"sum": total}


class Adadelta(Optimizer):
    """Steps in the units of the parameter, from running means of gradients and of changes.

        v = rho·v + (1 - rho)·g²
        d = sqrt((u + eps) / (v + eps))·g
        u = rho·u + (1 - rho)·d²
        p = p - lr·d

    PyTorch and Keras agree on it.

    Args:    params         tensors, (name, tensor) pairs or groups of them; see Optimizer.
             lr             factor of the change, which has a scale of its own.
             rho            how much of the running means is kept per step.
             eps            about the square of the first change; keeps the quotient finite.
             weight_decay   this times p is added to g (L2 penalty).
             learning_rate  another name of lr.
    Source:  Zeiler 2012, arXiv:1212.5701, which has no lr.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0], requires_grad=True)
    >>> p.grad = pr.tensor([1.0])
    >>> pr.optim.Adadelta([p], rho=0.25, eps=0.25).step()
    >>> p
    tensor([0.5], dtype=float32, requires_grad=True)
    """

    def __init__(
        self, params: Params | None = None, lr: float = 1.0, rho: float = 0.9,
        eps: float = 1e-6, weight_decay: float = 0.0,
        *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def slots(self, group: Group) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def scalars(self, group: Group, t: Tensor) -> State:
        return {"new": 1.0 - group["rho"]}

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        changes = s["acc_delta"]
        square = s["square_avg"] + (g * g - s["square_avg"]) * k["new"]
        change = sqrt((changes + k["eps"]) / (square + k["eps"])) * g
        changes = changes + (change * change - changes) * k["new"]
        return p - change * k["lr"], {"square_avg": square, "acc_delta": changes}


class Adam(Optimizer):
    """Steps by running means of the gradient and of its square, both corrected for their start.

        m = b1·m + (1 - b1)·g         m' = m / (1 - b1^t)
        v = b2·v + (1 - b2)·g²        v' = v / (1 - b2^t)
        p = p - lr·m' / (sqrt(v') + eps)

    PyTorch's variant: Keras adds epsilon before the correction, so its epsilon is worth
    eps·sqrt(1 - b2^t) here.

    Args:    params         tensors, (name, tensor) pairs or groups of them; see Optimizer.
             lr             step size, about the largest change of a parameter per step.
             betas          (b1, b2): how much of the running means is kept per step.
             eps            keeps the quotient finite where gradients vanish.
             weight_decay   this times p is added to g (L2 penalty); AdamW decays apart from g.
             amsgrad        divide by the root of the largest v so far.
             learning_rate  another name of lr.
    Source:  Kingma and Ba 2015, arXiv:1412.6980; amsgrad: Reddi et al. 2018, arXiv:1904.09237,
             with the correction of v, which they leave out.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = pr.optim.Adam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([ 0.5, -1.5], dtype=float32, requires_grad=True)
    """

    def __init__(
        self, params: Params | None = None, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        amsgrad: bool = False, *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def slots(self, group: Group) -> dict[str, float]:
        extra = {"max_exp_avg_sq": 0.0} if group["amsgrad"] else {}
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0, **extra}

    def scalars(self, group: Group, t: Tensor) -> State:
        # with r = sqrt(1 - b2^t):  lr·m' / (sqrt(v') + eps) = lr·r/(1 - b1^t)·m / (sqrt(v) + eps·r)
        beta1, beta2 = group["betas"]
        root = sqrt(1.0 - beta2**t)
        return {
            "new1": 1.0 - beta1,
            "new2": 1.0 - beta2,
            "lr": group["lr"] * root / (1.0 - beta1**t),
            "eps": group["eps"] * root,
        }

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        mean, square = s["exp_avg"], s["exp_avg_sq"]
        mean = mean + (g - mean) * k["new1"]
        square = square + (g * g - square) * k["new2"]
        slots = {"exp_avg": mean, "exp_avg_sq": square}
        if "max_exp_avg_sq" in s:
            slots["max_exp_avg_sq"] = square = maximum(s["max_exp_avg_sq"], square)
        return p - mean / (sqrt(square) + k["eps"]) * k["lr"], slots


class AdamW(Adam):
    """Adam with decay apart from the gradient: p = (1 - lr·weight_decay)·p before each step.

    Args:    as Adam; weight_decay has another meaning and another default.
    Source:  Loshchilov and Hutter 2019, arXiv:1711.05101; as in PyTorch the decay is scaled by
             lr, and by nothing else.

    >>> import pierian as pr
    >>> p = pr.tensor([1.0], requires_grad=True)
    >>> p.grad = pr.tensor([0.0])
    >>> pr.optim.AdamW([p], lr=0.5, weight_decay=0.5).step()
    >>> p
    tensor([0.75], dtype=float32, requires_grad=True)
    """

    decoupled = True

    def __init__(
        self, params: Params | None = None, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2,
        amsgrad: bool = False, *, learning_rate: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, learning_rate=learning_rate)


NAMES: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"lr": 0.01}),
    "rmsprop": (RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}),
    "adagrad": (Adagrad, {"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7}),
    "adadelta": (Adadelta, {"lr": 1e-3, "rho": 0.95, "eps": 1e-7}),
    "adam": (Adam, {"lr": 1e-3, "eps": 1e-7}),
    "adamw": (AdamW, {"lr": 1e-3, "eps": 1e-7, "weight_decay": 4e-3}),
}


def get(
    optimizer: str | Optimizer | Callable[..., Any],
    params: Params | None = None,
    **overrides: Any,
) -> Optimizer:
    """The optimizer that a name, an object or a class stands for.

    A name has Keras' default settings; the rule is the class' own, see there for the variant.

    Args:    optimizer  a name, in any case; a class or function (params, **settings), also a
                        class of your own, see `Own`; or an Optimizer, which gets `params` if it
                        has none and is given back.
             params     what to optimize; None: `add_params` is called later.
             overrides  settings, by the names of the class; learning_rate works too.
    Raises:  ValueError for an unknown name, or settings for a finished optimizer.

    >>> import pierian as pr
    >>> get("adam", [pr.zeros(3)], lr=0.5)
    Adam(1 parameters, lr=0.5, betas=(0.9, 0.999), eps=1e-07)
    """
    if isinstance(optimizer, Optimizer):
        if overrides:
            must, fix = "a finished optimizer has its settings", "Pass them when making it"
            raise ValueError(message("optimizer", must, "no others", ", ".join(overrides), fix))
        if params is not None and not optimizer.param_groups:
            optimizer.add_params(params)
        return optimizer
    if callable(optimizer):
        foreign = isinstance(optimizer, type) and not issubclass(optimizer, Optimizer)
        make = partial(Own, optimizer) if foreign else optimizer
        return make(params, **overrides)
    given = optimizer.lower() if isinstance(optimizer, str) else optimizer
    name = lookup("optimizer", "optimizer", given, NAMES)
    rule, settings = NAMES[name]
    return rule(params, **{**settings, **overrides})
