"""Activations as layers, and the table of their names for `activation="relu"`.

May import: base, core, module, functional. To add one: a function in functional, a class here,
and a row in `KERAS` if Keras has a name for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pierian.base.errors import lookup
from pierian.core.tensor import Tensor, as_tensor
from pierian.nn import functional as F
from pierian.nn.module import Module
from pierian.ops.elementwise import exp


class FunctionLayer(Module):
    """A layer that is a function: `options` names the attributes passed to it.

    Shapes:  x (...) -> same.
    Args:    inplace  taken for PyTorch's sake; results always have memory of their own.
    """

    function: Callable[..., Tensor]
    options: tuple[str, ...] = ()

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, x: Any) -> Tensor:
        """The function of `x`."""
        return type(self).function(x, **{name: getattr(self, name) for name in self.options})


class ReLU(FunctionLayer):
    """max(x, 0). Shapes: x (...) -> same."""

    function = staticmethod(F.relu)


class ReLU6(FunctionLayer):
    """min(max(x, 0), 6). Shapes: x (...) -> same."""

    function = staticmethod(F.relu6)


class LeakyReLU(FunctionLayer):
    """x where positive, else negative_slope · x. Shapes: x (...) -> same."""

    function, options = staticmethod(F.leaky_relu), ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope


class ELU(FunctionLayer):
    """x where positive, else alpha · (e^x - 1). Shapes: x (...) -> same."""

    function, options = staticmethod(F.elu), ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha


class SELU(FunctionLayer):
    """A scaled elu that keeps mean 0 and variance 1. Shapes: x (...) -> same."""

    function = staticmethod(F.selu)


class GELU(FunctionLayer):
    """x · Φ(x); approximate="tanh" for the formula of GPT-2. Shapes: x (...) -> same."""

    function, options = staticmethod(F.gelu), ("approximate",)

    def __init__(self, approximate: str | bool = "none") -> None:
        self.approximate = approximate


class SiLU(FunctionLayer):
    """x · sigmoid(x), also called swish. Shapes: x (...) -> same."""

    function = staticmethod(F.silu)


class Mish(FunctionLayer):
    """x · tanh(softplus(x)). Shapes: x (...) -> same."""

    function = staticmethod(F.mish)


class Sigmoid(FunctionLayer):
    """1 / (1 + e^-x). Shapes: x (...) -> same."""

    function = staticmethod(F.sigmoid)


class LogSigmoid(FunctionLayer):
    """log sigmoid(x), without overflow. Shapes: x (...) -> same."""

    function = staticmethod(F.logsigmoid)


class Tanh(FunctionLayer):
    """The hyperbolic tangent. Shapes: x (...) -> same."""

    function = staticmethod(F.tanh)


class Softplus(FunctionLayer):
    """log(1 + e^(beta·x)) / beta, a smooth relu. Shapes: x (...) -> same."""

    function, options = staticmethod(F.softplus), ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta


class Softsign(FunctionLayer):
    """x / (1 + |x|). Shapes: x (...) -> same."""

    function = staticmethod(F.softsign)


class Hardtanh(FunctionLayer):
    """x, cut off below min_val and above max_val. Shapes: x (...) -> same."""

    function, options = staticmethod(F.hardtanh), ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val


class Hardsigmoid(FunctionLayer):
    """relu6(x + 3) / 6. Shapes: x (...) -> same."""

    function = staticmethod(F.hardsigmoid)


class Hardswish(FunctionLayer):
    """x · hardsigmoid(x). Shapes: x (...) -> same."""

    function = staticmethod(F.hardswish)


class Softmax(FunctionLayer):
    """e^x / Σ e^x along `axis`. Not before CrossEntropyLoss, which takes logits.

    Shapes:  x (...) -> same.
    """

    function, options = staticmethod(F.softmax), ("axis",)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis


class LogSoftmax(FunctionLayer):
    """The logarithm of softmax, for NLLLoss. Shapes: x (...) -> same."""

    function, options = staticmethod(F.log_softmax), ("axis",)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis


# Keras' names, with Keras' defaults

KERAS: dict[str, Callable[[Any], Tensor]] = {
    "linear": as_tensor,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),  # Keras' slope; PyTorch's is 0.01
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "swish": F.silu,
    "mish": F.mish,
    "sigmoid": F.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "hard_silu": F.hardswish,
    "log_sigmoid": F.logsigmoid,
    "tanh": F.tanh,
    "hard_tanh": F.hardtanh,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "exponential": exp,
}


def get(where: str, activation: str | Callable[[Any], Tensor] | None) -> Callable[[Any], Tensor]:
    """The function that `activation` names; None is "linear", a function is given back.

    Raises:  ValueError for an unknown name, naming `where`.

    >>> get("Dense", "relu")(as_tensor([-1.0, 1.0]))
    tensor([0., 1.], dtype=float32)
    """
    if callable(activation):
        return activation
    name = "linear" if activation is None else activation
    return KERAS[lookup(where, "activation", name, KERAS)]


class Activation(Module):
    """Keras' layer for an activation by name. Shapes: x (...) -> same.

    Args:    activation  a name like "relu", a function of tensors, or None for none.
    Raises:  ValueError for an unknown name.

    >>> Activation("relu")
    Activation(activation='relu')
    """

    def __init__(self, activation: str | Callable[[Any], Tensor] | None) -> None:
        self.function = get("Activation", activation)

    def forward(self, x: Any) -> Tensor:
        """The activation of `x`."""
        return self.function(x)
