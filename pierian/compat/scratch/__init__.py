"""Neural networks from scratch (Grus, "Data Science from Scratch", ch. 19) on the real engine.

May import: everything below. Lists of numbers in, lists of numbers out, explicit `forward` and
`backward`, nothing automatic; underneath, each pass of a whole model is one compiled call, in
float64 as Python's own floats. To add a layer: a subclass of `Compiled` in `layer.py`.
"""

from pierian.compat.scratch import mnist
from pierian.compat.scratch.layer import (
    Dropout,
    Layer,
    Linear,
    Relu,
    Sequential,
    Sigmoid,
    Tanh,
)
from pierian.compat.scratch.number import (
    inverse_normal_cdf,
    random_normal,
    random_tensor,
    random_uniform,
    sigmoid,
    tanh,
)
from pierian.compat.scratch.tensor import (
    Tensor,
    argmax,
    binary_encode,
    dot,
    fizz_buzz_encode,
    is_1d,
    one_hot_encode,
    shape,
    softmax,
    tensor_apply,
    tensor_combine,
    tensor_sum,
    zeros_like,
)
from pierian.compat.scratch.training import (
    SSE,
    GradientDescent,
    Loss,
    Momentum,
    Optimizer,
    SoftmaxCrossEntropy,
    load_weights,
    loop,
    save_weights,
)

__all__ = [
    "SSE", "Dropout", "GradientDescent", "Layer", "Linear", "Loss", "Momentum", "Optimizer", "Relu",
    "Sequential", "Sigmoid", "SoftmaxCrossEntropy", "Tanh", "Tensor", "argmax", "binary_encode",
    "dot", "fizz_buzz_encode", "inverse_normal_cdf", "is_1d", "load_weights", "loop", "mnist",
    "one_hot_encode", "random_normal", "random_tensor", "random_uniform", "save_weights", "shape",
    "sigmoid", "softmax", "tanh", "tensor_apply", "tensor_combine", "tensor_sum", "zeros_like",
]  # fmt: skip
