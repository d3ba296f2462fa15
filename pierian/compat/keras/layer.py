"""Layer: what every layer and model of the Keras face has besides what `pr.nn` gives it.

May import: base, core, nn, io. A layer of the face is a class of `Layer` and one of `nn`: it has a
name, weights in Keras' layout, `training=`. Or it is a user's class with `build` and `call`.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pierian.base.errors import message
from pierian.compat.keras.names import HINTS, arguments, refuse, snake
from pierian.core.tensor import Tensor
from pierian.io.keras import from_keras, tensors, to_keras
from pierian.nn import Module, Parameter, Variable
from pierian.nn.containers import Collecting
from pierian.nn.module import in_mode

names: Counter[str] = Counter()  # of layers that were not given one, as `clear_session` forgets
NAME = "$name"  # under which configs keep the name


class Layer(Collecting):
    """Keras' base of layers. Subclasses write `call`, and `build` where weights need sizes.

    As in Keras, calling a layer is inference unless `training=True` is passed or `fit` runs.

    Args:  name       as `get_layer` finds it; by default that of the class, numbered.
           trainable  False freezes its weights.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=input_shape[-1:], initializer="ones")
    ...     def call(self, x):
    ...         return x * self.scale
    >>> Scale()(np.ones((2, 3))).shape
    (2, 3)
    """

    name: str = ""
    row: tuple[Any, Any] = (None, None)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls, *args, **kwargs)
        layer.__dict__["training"] = False
        return layer

    def __init__(
        self, *args: Any, name: str | None = None, trainable: bool = True, dtype: Any = None,
        input_shape: Any = None, input_dim: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        title = type(self).__qualname__.rpartition(".")[2]
        for option in HINTS.keys() & options.keys():
            if options.pop(option) is not None:
                raise refuse(title, option)
        spelled = self.row[1]
        if spelled is not None:
            own = {key: options.pop(key) for key in spelled.keys() & options.keys()}
            args, options = (), arguments(title, spelled, args, own) | options
        super().__init__(*args, **options)
        plain = snake(title)
        self.name = name or (f"{plain}_{names[plain]}" if names[plain] else plain)
        names.update([] if name else [plain])
        shape = (input_dim,) if input_dim else input_shape
        if shape is not None:
            self.input_shape = shape
        if not trainable:
            self.trainable = False

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        return in_mode(self, training, super().__call__, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What `call` gives."""
        if _takes_training(type(self).call):
            kwargs.setdefault("training", self.training)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes; every subclass writes its own."""
        forward: Any = super().forward
        if forward.__func__ is Module.forward:
            raise NotImplementedError(
                message(self.where(), "a layer must say what it computes", "a method call", "none",
                        "Write `def call(self, x): ...` in the class")
            )  # fmt: skip
        return forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "built":  # which Keras' builds assign
            super().__setattr__(name, value)

    # Weights

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, trainable: bool = True,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """A weight, to be assigned to an attribute of the layer: `self.w = self.add_weight(...)`.

        Args:  initializer  its name, or one of `keras.initializers`; Glorot's if None.
        """
        return Variable(initializer or "glorot_uniform", shape, dtype, trainable)

    @property
    def weights(self) -> list[Tensor]:
        """All weights, layer by layer, in the layout of `pr.nn`: a kernel is (out, in, ...)."""
        return [tensor for tensor, _ in tensors(self)]

    @property
    def trainable_weights(self) -> list[Tensor]:
        """Those that training changes. Raises: ShapeError before the layer knows its sizes."""
        return [p for p in self.parameters() if p.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Tensor]:
        """Those that training leaves alone, or updates without gradients."""
        return [w for w in self.weights if not (isinstance(w, Parameter) and w.requires_grad)]

    variables = weights
    trainable_variables = trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights in Keras' layout: a kernel is (..., in, out)."""
        return to_keras(self)

    def set_weights(self, weights: list[Any]) -> None:
        """Write what `get_weights`, here or in Keras, gave; see `pierian.io.from_keras`."""
        from_keras(self, weights)

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; assigning freezes or unfreezes all of them.

        Raises:  ShapeError on assigning before the layer knows its sizes.
        """
        return all(p.requires_grad for _, p in self._named(Parameter))

    @trainable.setter
    def trainable(self, flag: bool) -> None:
        self.requires_grad_(flag)

    # Saving

    def config(self) -> dict[str, Any]:
        """As in `pr.nn`, with the name."""
        return super().config() | {NAME: self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], children: Any = None) -> Any:
        """A new layer from what `config` gave."""
        layer = super().from_config({k: x for k, x in config.items() if k != NAME}, children)
        layer.name = config.get(NAME, layer.name)
        return layer


@functools.cache
def _takes_training(call: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(call).parameters
