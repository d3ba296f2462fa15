"""Models: Sequential, functional and subclassed. Training is `pr.train`'s, compiled as there.

May import: core, nn, io, train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pierian import io, nn
from pierian.base.errors import lookup
from pierian.compat.keras import losses, optimizers
from pierian.compat.keras.layer import Layer
from pierian.compat.keras.names import refuse

__all__ = ["Model", "Sequential", "load_model"]


class Model(Layer):
    """Keras' model: `Model(inputs, outputs)`, which is an `nn.Graph`, or a subclass with `call`.

    `fit`, `evaluate`, `predict`, `save`, `train_on_batch` … are those of every module.

    >>> from pierian.compat.keras import layers
    >>> x = nn.Input(shape=(4,))
    >>> model = Model(x, layers.Dense(2)(x))
    >>> model.count_params()
    10
    """

    graph: nn.Graph | None = None

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        if inputs is not None:
            self.graph = inputs if outputs is None else nn.Graph(inputs, outputs)
            self.input_shape = self.graph.input_shape
            if type(self).__init__ is Model.__init__:
                self._arguments = (self.graph,), options  # which files can hold

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the graph gives; subclasses write their own."""
        return super().call(*args, **kwargs) if self.graph is None else self.graph(*args)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers, in the order in which they became part of the model."""
        return list((self.graph or self).children())

    def get_layer(self, name: str | None = None, index: int | None = None) -> nn.Module:
        """A layer by its name or its place."""
        if index is not None:
            return self.layers[index]
        known = {getattr(layer, "name", ""): layer for layer in self.layers}
        return known[lookup("get_layer", "layer", name, known)]

    def summary(self, input_shape: Any = None, **options: Any) -> None:  # type: ignore[override]
        """Print the table of the layers; `nn.Module.summary(model)` gives it as an object."""
        print(super().summary(input_shape))

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, *,
        run_eagerly: bool = False, jit_compile: Any = "auto", **options: Any,
    ) -> None:  # fmt: skip
        """Choose how `fit` trains; see `pierian.train.compile`."""
        own = {"train_step": getattr(type(self), "train_step", None)}
        for option, given in (own | options).items():
            if given is not None and given != 1:
                raise refuse("compile", option)
        jit = False if run_eagerly or jit_compile is False else "auto"
        super().compile(optimizers.get(optimizer), losses.get(loss), metrics, jit=jit)


class Sequential(Model, nn.Sequential):
    """Layers one after the other; an Input or `input_shape=` builds them at once.

    >>> from pierian.compat.keras import layers
    >>> Sequential([nn.Input((4,)), layers.Dense(3), layers.Dense(1)]).count_params()
    19
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        Layer.__init__(self, list(layers or ()), name=name)

    def config(self) -> dict[str, Any]:
        """The layers as they are now."""
        parts = [{"$module": path} for path, _ in self.named_children()]
        return {"layers": parts, "name": self.name}


def load_model(path: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model in a file that `model.save` wrote. Args: custom_objects  classes to register."""
    for cls in (custom_objects or {}).values():
        nn.register(cls)
    return io.load(path)


for _cls, _title in ((Model, "keras.Model"), (Sequential, "keras.Sequential")):
    _cls.__name__ = _title  # as files and errors call it: `nn.Sequential` is another class
    nn.register(_cls)
