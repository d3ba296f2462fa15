"""The networks that the command line trains, and what they see.

May import: ops, compiler, nn, optim, train, this room's settings. To add a network: a name in
`MODELS` of `settings`, and what it is here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian import nn, optim, train
from pierian.base.errors import message
from pierian.cli.settings import Period, Settings
from pierian.compiler.threads import set_num_threads
from pierian.ops.random import manual_seed

SIDE = 28  # pixels of an image, in both directions
HIDDEN, CLASSES = 512, 10


def begin(settings: Settings) -> None:
    """Let the process have the threads and the random numbers of these settings."""
    if settings.threads is not None:
        set_num_threads(settings.threads)
    manual_seed(settings.seed)


def build(settings: Settings) -> Any:
    """The network of these settings, with weights by the random numbers of now.

    Raises:  ValueError for dropout in a network without a hidden layer.
    """
    pixels = SIDE * SIDE
    if settings.model == "mlp":
        hidden = nn.Dense(HIDDEN, "relu", input_shape=pixels)
        dropped = [nn.Dropout(settings.dropout)] if settings.dropout else []
        return nn.Sequential(nn.Flatten(), hidden, *dropped, nn.Dense(CLASSES, input_shape=HIDDEN))
    if settings.dropout:
        fix = "Leave it out, or pass --model mlp"
        must = "softmax has no hidden layer to leave units out of"
        raise ValueError(message("--dropout", must, 0, settings.dropout, fix))
    return nn.Sequential(nn.Flatten(), nn.Dense(CLASSES, input_shape=pixels))


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


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels 0 … 255 as float32 from 0 to 1."""
    return images.astype(np.float32) / 255


def batches(rows: int, size: int) -> int:
    """The steps of an epoch."""
    return -(-rows // size)
