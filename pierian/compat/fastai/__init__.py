"""fastai's names over the one engine: `from pierian.compat.fastai import *`.

May import: everything below. `files` has what comes before tensors, `collection` the lists,
`learning` loaders and learners, `pictures` what is drawn, `torch` what stands where a program says
`torch`; the packages below are imported when first used. To add a name: the file that it belongs
to, and `__all__`.

    from pierian.compat.fastai import *

    path = untar_data(URLs.MNIST_SAMPLE)
    dls = ImageDataLoaders.from_folder(path)
    learn = cnn_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    learn.fit_one_cycle(1, 0.1)
"""

import math
import random
import string
import time
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from pierian import nn
from pierian.base.later import Later
from pierian.compat.fastai import torch
from pierian.compat.fastai.collection import L, first
from pierian.compat.fastai.files import Path, URLs, array, set_seed, tensor, to_np, untar_data
from pierian.compat.fastai.learning import (
    SGD,
    Adam,
    DataLoader,
    DataLoaders,
    ImageDataLoaders,
    Learner,
    RMSProp,
    accuracy,
    cnn_learner,
    error_rate,
    vision_learner,
)
from pierian.compat.fastai.pictures import plot_function, show_image, show_images
from pierian.core.tensor import Tensor
from pierian.models import resnet18, resnet34, resnet50
from pierian.nn import functional as F

plt: Any = Later("plt", lambda: import_module("matplotlib.pyplot"), "pip install 'pierian[viz]'")
pd: Any = Later("pd", lambda: import_module("pandas"), "pip install pandas")
Image: Any = Later("Image", lambda: import_module("PIL.Image"), "pip install 'pierian[data]'")

__all__ = [
    "Adam", "DataLoader", "DataLoaders", "F", "Image", "ImageDataLoaders", "L", "Learner", "Path",
    "RMSProp", "SGD", "Tensor", "URLs", "accuracy", "array", "cnn_learner", "error_rate", "first",
    "math", "nn", "np", "partial", "pd", "plot_function", "plt", "random", "resnet18", "resnet34",
    "resnet50", "set_seed", "show_image", "show_images", "string", "tensor", "time", "to_np",
    "torch", "untar_data", "vision_learner",
]  # fmt: skip
