"""Layers, losses and models: `from pierian import nn`, with PyTorch's names.

May import: the files of nn. To add a layer: import it here; that also registers its name, so that
models with it can be loaded.
"""

from pierian.nn import functional, init
from pierian.nn.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from pierian.nn.containers import ModuleDict, ModuleList, Sequential
from pierian.nn.layers import Dense, Dropout, Flatten, Identity, Linear
from pierian.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
    SSELoss,
)
from pierian.nn.module import Module
from pierian.nn.parameter import Buffer, Parameter
from pierian.nn.registry import register, registered
from pierian.nn.summary import Summary

__all__ = [
    "Activation", "BCELoss", "BCEWithLogitsLoss", "Buffer", "CrossEntropyLoss", "Dense",
    "Dropout", "ELU", "Flatten", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "HuberLoss",
    "Identity", "KLDivLoss", "L1Loss", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax",
    "MSELoss", "Mish", "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU",
    "ReLU6", "SELU", "SSELoss", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax",
    "Softplus", "Softsign", "Summary", "Tanh", "functional", "init", "register", "registered",
]  # fmt: skip

for _cls in list(globals().values()):
    if isinstance(_cls, type) and issubclass(_cls, Module) and _cls is not Module:
        register(_cls)
