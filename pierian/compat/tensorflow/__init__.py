"""TensorFlow's face: `import pierian.compat.tensorflow as tf`, then `tf.Variable`, `tf.keras` …

May import: base, core, ops, train, the face of Keras. `tf.keras` is that face itself; a name that
is not here is looked up in `keras.ops`, which spells most operations as TensorFlow does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pierian.base import dtypes
from pierian.compat import keras as keras
from pierian.compat.keras import ops, parts
from pierian.compat.keras.names import answer, part, spelled
from pierian.core.tape import GradientTape as GradientTape
from pierian.core.tensor import Tensor as Tensor
from pierian.core.tensor import as_tensor
from pierian.nn import variable
from pierian.ops.movement import matrix_transpose
from pierian.ops.random import seed_everything
from pierian.train.steps import compiled


class Variable(variable.Variable):
    """TensorFlow's variable: a tensor with `assign`, which keeps dtype, shape and identity.

    Args:  initial_value  numbers, an array or a tensor; copied.
    """

    __slots__ = ()

    def __new__(
        cls, initial_value: Any, trainable: bool = True, name: Any = None, dtype: Any = None
    ) -> Any:
        kind = getattr(initial_value, "dtype", None) if dtype is None else dtype
        return variable.Variable(initial_value, dtype=kind, trainable=trainable)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Tensor:
    """A tensor of these values. Shapes: value (...) -> same, or `shape`."""
    tensor = as_tensor(value, dtype)
    return tensor if shape is None else ops.broadcast_to(tensor, shape)


def function(func: Any = None, **options: Any) -> Any:
    """A decorator: the function compiled, by `pr.jit`."""
    return compiled(func) if callable(func) else compiled


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The matrix product. Shapes: a (..., n, k), b (..., k, m) -> (..., n, m)."""
    first = matrix_transpose(as_tensor(a)) if transpose_a else a
    return ops.matmul(first, matrix_transpose(as_tensor(b)) if transpose_b else b)


def _of_logits(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda labels, logits: fn(labels, logits, from_logits=True)


REDUCE = ("sum", "mean", "max", "min", "prod", "any", "all", "std", "logsumexp")
TABLE: dict[str, Callable[..., Any]] = {
    **{f"reduce_{name}": spelled(getattr(ops, name), input_tensor="x") for name in REDUCE},
    "reduce_variance": spelled(ops.var, input_tensor="x"),
    "argmax": lambda input, axis=0: ops.argmax(input, axis),
    "argmin": lambda input, axis=0: ops.argmin(input, axis),
    "boolean_mask": lambda tensor, mask: as_tensor(tensor)[as_tensor(mask, "bool")],
    "clip_by_value": ops.clip, "concat": spelled(ops.concatenate, values="tensors"),
    "fill": lambda dims, value: ops.full(dims, value),
    "gather": lambda params, indices, axis=0: ops.take(params, indices, axis),
    "identity": ops.clone,
    "is_tensor": lambda x: isinstance(x, Tensor),
    "norm": spelled(ops.norm, tensor="x"),
    "one_hot": spelled(ops.one_hot, indices="labels", depth="num_classes"),
    "range": ops.arange, "rank": ops.ndim,
    "transpose": spelled(ops.transpose, a="x", perm="axes"),
    "softmax_cross_entropy_with_logits": _of_logits(ops.categorical_crossentropy),
    "sparse_softmax_cross_entropy_with_logits": _of_logits(ops.sparse_categorical_crossentropy),
    "sigmoid_cross_entropy_with_logits": _of_logits(ops.binary_crossentropy),
}  # fmt: skip
TABLE = {name: getattr(ops, name) for name in ops.TABLE} | TABLE | {"matmul": matmul}
KINDS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
initializers, losses, metrics = keras.initializers, keras.losses, keras.metrics
optimizers = keras.optimizers
random_normal_initializer, zeros_initializer = initializers.RandomNormal, initializers.Zeros
globals().update(TABLE | {name: dtypes.as_dtype(name) for name in KINDS})
__getattr__ = answer(__name__, globals())
PARTS: dict[str, dict[str, Any]] = {
    "nn": TABLE, "math": TABLE, "linalg": {name: TABLE[name] for name in ("matmul", "norm")},
    "random": parts.RANDOM | {"set_seed": seed_everything},
}  # fmt: skip
globals().update({name: part(f"{__name__}.{name}", table) for name, table in PARTS.items()})
for _name in [name for name in sys.modules if name.startswith(keras.__name__)]:
    sys.modules[_name.replace(keras.__name__, f"{__name__}.keras")] = sys.modules[_name]
