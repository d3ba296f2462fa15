"""The networks that the command line trains.

May import: base, ops, compiler, nn, models, optim, train, this room's settings. To add a
network: a name in `MODELS` of `settings`, and a row in `NETWORKS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pierian import models, nn, optim, train
from pierian.base.errors import message
from pierian.cli.settings import Period, Settings
from pierian.compiler.threads import set_num_threads
from pierian.ops.random import manual_seed

Shape = tuple[int, ...]  # of a picture: (channels, height, width)
Network = Callable[[Shape, int, float], Any]  # of a shape, a number of classes, a share to drop

HIDDEN = 512
DROPPING = ("mlp", "cnn")  # networks that can leave units out
DIGIT: Shape = (1, 28, 28)


def perceptron(shape: Shape, classes: int, dropout: float) -> Any:
    """A hidden layer between the pixels and the classes."""
    hidden = nn.Dense(HIDDEN, "relu", input_shape=math.prod(shape))
    dropped = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Flatten(), hidden, *dropped, nn.Dense(classes, input_shape=HIDDEN))


def softmax(shape: Shape, classes: int, _: float) -> Any:
    """One layer."""
    return nn.Sequential(nn.Flatten(), nn.Dense(classes, input_shape=math.prod(shape)))


def residual(make: Callable[[int, int], Any]) -> Network:
    """A residual network, which takes pictures of any size."""
    return lambda shape, classes, _: make(classes, shape[0])


NETWORKS: dict[str, Network] = {
    "mlp": perceptron,
    "softmax": softmax,
    "lenet5": lambda s, classes, _: models.lenet5(classes, s[0], (s[1], s[2])),
    "cnn": lambda s, classes, p: models.convnet(classes, s[0], size=(s[1], s[2]), dropout=p),
    "resnet18": residual(models.resnet18),
    "resnet34": residual(models.resnet34),
    "resnet50": residual(models.resnet50),
}


def begin(settings: Settings) -> None:
    """Let the process have the threads and the random numbers of these settings."""
    if settings.threads is not None:
        set_num_threads(settings.threads)
    manual_seed(settings.seed)


def build(settings: Settings, shape: Shape = DIGIT, classes: int = 10) -> Any:
    """The network of these settings, with weights by the random numbers of now.

    Raises:  ValueError for dropout in a network that has no place for it.
    """
    if settings.dropout and settings.model not in DROPPING:
        fix = f"Leave it out, or pass --model {' or '.join(DROPPING)}"
        must = f"{settings.model} leaves no units out"
        raise ValueError(message("--dropout", must, 0, settings.dropout, fix))
    return NETWORKS[settings.model](shape, classes, settings.dropout)


def compile_(model: Any, settings: Settings) -> None:
    """Make the network ready to be trained by these settings."""
    optimizer = optim.get(settings.optimizer, lr=settings.lr, **rule_of(settings))
    model.compile(optimizer, "cross_entropy", ["accuracy"], jit=jit_of(settings))


def rule_of(settings: Settings) -> dict[str, Any]:
    """What the optimizer is told beside the learning rate."""
    return {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}


def jit_of(settings: Settings) -> Any:
    """What `compile` calls the setting."""
    return "auto" if settings.jit is None else settings.jit


def in_step(settings: Settings, steps: int) -> list[train.Callback]:
    """The callbacks that settings of the step itself stand for, in epochs of `steps` steps.

    Raises:  ValueError when the warm-up is longer than training.
    """
    found: list[train.Callback] = []
    total = settings.epochs * steps
    warmup = Period.of(settings.warmup)
    rising = int(warmup.count * (steps if warmup.unit == "epoch" else 1))
    if total and rising >= total:
        must = "it must be over before training is"
        fix = "Pass a smaller one, or more --epochs"
        raise ValueError(message("--warmup", must, f"< {total} steps", f"{rising} steps", fix))
    if total and (rising or settings.schedule != "constant"):
        found.append(train.Scheduler(settings.schedule, warmup=rising))
    if settings.clip is not None:
        found.append(train.GradientClip(settings.clip))
    if settings.accumulate > 1:
        found.append(train.GradientAccumulation(settings.accumulate))
    if settings.ema is not None:
        found.append(train.ExponentialMovingAverage(settings.ema))
    return found


def batches(rows: int, size: int) -> int:
    """The steps of an epoch."""
    return -(-rows // size)
