"""fastai's names over the one engine: `from pierian.compat.fastai import *`.

May import: everything below. `files` has what comes before tensors, `collection` the lists,
`learning` loaders and learners, `pictures` what is drawn, `torch` what stands where a program says
`torch`; the packages below are imported when first used. To add a name: the file that it belongs
to, and its `__all__`.

    from pierian.compat.fastai import *

    path = untar_data(URLs.MNIST_SAMPLE)
    dls = ImageDataLoaders.from_folder(path)
    learn = cnn_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    learn.fit_one_cycle(1, 0.1)
"""
# ruff: noqa: F401, F403

import importlib as _importlib
import math
import random
import string
import time
from functools import partial

import numpy as np

from pierian import nn
from pierian.base.later import Later as _Later
from pierian.compat.fastai import collection, files, learning, pictures, torch
from pierian.compat.fastai.collection import *
from pierian.compat.fastai.files import *
from pierian.compat.fastai.learning import *
from pierian.compat.fastai.pictures import *
from pierian.core.tensor import Tensor
from pierian.models import resnet18, resnet34, resnet50
from pierian.nn import functional as F

plt = _Later("plt", lambda: _importlib.import_module("matplotlib.pyplot"), "pierian[viz]")
pd = _Later("pd", lambda: _importlib.import_module("pandas"), "pandas")
Image = _Later("Image", lambda: _importlib.import_module("PIL.Image"), "pierian[data]")
__all__ = [
    *collection.__all__, *files.__all__, *learning.__all__, *pictures.__all__, "F", "Image",
    "Tensor", "math", "nn", "np", "partial", "pd", "plt", "random", "resnet18", "resnet34",
    "resnet50", "string", "time", "torch",
]  # fmt: skip
