"""Layer: what every layer and model of the Keras face has besides what `pr.nn` gives it.

May import: base, core, nn, train. A layer of the face is a class of `Layer` and one of `nn`: it
has a name, weights in Keras' layout, symbolic calls, `training=`. Or it is a user's class with
`build` and `call`.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pierian.base import trees
from pierian.base.errors import ShapeError, message
from pierian.compat.keras import initializers, variable
from pierian.compat.keras.names import HINTS, refuse, snake
from pierian.compat.keras.symbolic import is_symbolic, record
from pierian.core.tensor import Tensor
from pierian.nn import Buffer, Module, ModuleList, Parameter
from pierian.nn.layers import untraced
from pierian.train.run import modes_kept

names: Counter[str] = Counter()  # of layers that were not given one, as `clear_session` forgets
BUILT, NAME = "$built", "$name"  # under which configs keep the shape given to `build`, the name


class Layer(Module):
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
    kernel_axes: tuple[int, ...] = ()  # how the axes of `weight` are ordered in Keras
    _late = False  # whether the class has a `build` of its own
    _shape: Any = None  # that it was called with

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls, *args, **kwargs)
        layer.__dict__["training"] = False
        return layer

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in vars(cls):
            cls._late, cls._built = True, False
            cls.build = _once(cls.build)  # type: ignore[method-assign]

    def __init__(
        self, *args: Any, name: str | None = None, trainable: bool = True, dtype: Any = None,
        input_shape: Any = None, input_dim: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        for option in HINTS.keys() & options.keys():
            if options.pop(option) is not None:
                raise refuse(type(self).__qualname__, option)
        super().__init__(*args, **options)
        plain = snake(type(self).__qualname__.rpartition(".")[2])
        self.name = name or (f"{plain}_{names[plain]}" if names[plain] else plain)
        names.update([] if name else [plain])
        self.input_shape = (input_dim,) if input_dim else input_shape
        if not trainable:
            self.trainable = False

    # Calling

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return record(self, args, kwargs)
        if training is None or bool(training) == self.training:
            return super().__call__(*args, **kwargs)
        with modes_kept(self):
            self.train(bool(training))
            return super().__call__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Build if that is still to do, then `call`."""
        if self._late and not self._built:
            shapes = trees.map_tree(lambda x: (None, *x.shape[1:]), args[0])
            self.build(shapes)
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

    def build(self, input_shape: Any) -> Any:
        """Create the weights. Args: input_shape  with or without None for the batch axis."""
        build: Any = super().build
        if self._late and build.__func__ is Module.build:
            return self  # a user's build called that of the base
        return build(input_shape)

    @property
    def built(self) -> bool:
        """Whether every layer has its weights; assigning it, as Keras' builds do, is not needed."""
        return all(module._built for module in self.modules())

    @built.setter
    def built(self, value: bool) -> None: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, list) and value and all(isinstance(part, Module) for part in value):
            value = ModuleList(value)  # Keras tracks layers in lists
        super().__setattr__(name, value)

    # Weights

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, trainable: bool = True,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """A weight, to be assigned to an attribute of the layer: `self.w = self.add_weight(...)`.

        Args:  initializer  its name, or one of `keras.initializers`; Glorot's if None.
        """
        start = initializers.get(initializer or "glorot_uniform")
        return variable.make(start(shape, dtype), trainable, dtype)

    @property
    def weights(self) -> list[Tensor]:
        """All weights, layer by layer, in the layout of `pr.nn`: a kernel is (out, in, ...)."""
        return [tensor for tensor, _ in self._owned()]

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
        return [np.array(w.detach()).transpose(order) for w, order in self._owned()]

    def set_weights(self, weights: list[Any]) -> None:
        """Write what `get_weights`, here or in Keras, gave.

        Raises:  ShapeError or CheckpointError when they do not fit; nothing is written then.
        """
        owned = list(self._owned())
        wanted = [tuple([w.shape[axis] for axis in order]) for w, order in owned]
        found = [np.shape(array) for array in weights]
        if found != wanted:
            raise ShapeError(
                message(f"{self.where()}.set_weights", "there must be an array per weight",
                        wanted, found, "Build the model; pass what get_weights gives")
            )  # fmt: skip
        for array, (weight, order) in zip(weights, owned, strict=True):
            variable.assign(weight, np.asarray(array).transpose(np.argsort(order)))

    def _owned(self) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
        """The tensors, and how Keras orders the axes of each."""
        list(self.named_parameters())  # for its check
        for module in self.modules():
            for name, tensor in list(vars(module).items()):
                if isinstance(tensor, Parameter | Buffer):
                    axes = getattr(module, "kernel_axes", ()) if name == "weight" else ()
                    yield tensor, axes or tuple(range(tensor.ndim))

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(weight.numel() for weight in self.weights)

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
        """As in `pr.nn`, with the name and the shape that `build` was called with."""
        shape = {} if self._shape is None else {BUILT: self._shape}
        return super().config() | {NAME: self.name} | shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any], children: Any = None) -> Any:
        """A new layer from what `config` gave."""
        given = {key: value for key, value in config.items() if key not in (BUILT, NAME)}
        layer = super().from_config(given, children)
        layer.name = config.get(NAME, layer.name)
        if BUILT in config:
            layer.build(config[BUILT])
        return layer


def _once(build: Callable[..., Any]) -> Callable[..., Any]:
    """A user's `build`, run once; its tensors are no part of a step that is being traced."""

    @functools.wraps(build)
    def marked(self: Any, input_shape: Any) -> Any:
        if not self._built:
            with untraced():
                build(self, input_shape)
            self.__dict__.update(_built=True, _shape=input_shape)
        return self

    return marked


@functools.cache
def _takes_training(call: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(call).parameters
