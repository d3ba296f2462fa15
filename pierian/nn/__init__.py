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
from pierian.nn.convolution import (
    Conv1d,
    Conv2D,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from pierian.nn.embedding import Embedding
from pierian.nn.graph import Graph
from pierian.nn.layers import Dense, Dropout, Flatten, Identity, Linear, Rescaling, Reshape
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
from pierian.nn.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from pierian.nn.module import Module
from pierian.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchNormalization,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    LayerNormalization,
    LazyBatchNorm1d,
    LazyBatchNorm2d,
    LazyBatchNorm3d,
    RMSNorm,
)
from pierian.nn.parameter import Buffer, Parameter
from pierian.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AveragePooling2D,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxPooling2D,
)
from pierian.nn.registry import register, registered
from pierian.nn.resampling import PixelShuffle, Unflatten, Upsample, ZeroPad1d, ZeroPad2d, ZeroPad3d
from pierian.nn.summary import Summary
from pierian.nn.symbolic import Input, SymbolicTensor, symbolic
from pierian.nn.variable import Variable

__all__ = [
    "Activation", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "Add", "Average",
    "AveragePooling2D", "AvgPool1d", "AvgPool2d", "AvgPool3d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchNormalization", "Buffer", "Concatenate",
    "Conv1d", "Conv2D", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "CrossEntropyLoss", "Dense", "Dropout", "ELU", "Embedding", "Flatten", "GELU",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Graph", "GroupNorm", "Hardsigmoid",
    "Hardswish", "Hardtanh", "HuberLoss", "Identity", "Input", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "KLDivLoss", "L1Loss", "LayerNorm", "LayerNormalization", "LazyBatchNorm1d",
    "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LeakyReLU", "Linear",
    "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxPooling2D",
    "Maximum", "Minimum", "Mish", "Module", "ModuleDict", "ModuleList", "Multiply", "NLLLoss",
    "Parameter", "PixelShuffle", "RMSNorm", "ReLU", "ReLU6", "Rescaling", "Reshape", "SELU",
    "SSELoss", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Softsign",
    "Subtract", "Summary", "SymbolicTensor", "Tanh", "Unflatten", "Upsample", "Variable",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "functional", "init", "register", "registered",
    "symbolic",
]  # fmt: skip

for _cls in list(globals().values()):
    if isinstance(_cls, type) and issubclass(_cls, Module) and _cls is not Module:
        register(_cls)
