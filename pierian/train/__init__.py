"""The train room: one loop, two faces over it, and what may happen around it.

May import: everything below (base, core, ops, nn, optim, metrics, data, io). `loop` is the loop,
`run` where it stands, `steps` how a step is run, `feed` where batches come from, `state` what a
checkpoint holds; `callback` the events and `callbacks/` who listens; `fit` Keras' verbs, `learner`
fastai's; `recipe` what compile keeps; `losses` the names; `display` what is shown; `explicit`
learning by hand, one example at a time.
"""

from pierian.train.callback import Callback, CancelBatch, CancelEpoch, CancelFit
from pierian.train.callbacks import (
    CSVLogger,
    EarlyStopping,
    ExponentialMovingAverage,
    GradientAccumulation,
    GradientClip,
    History,
    JSONLogger,
    LearningRateScheduler,
    ModelCheckpoint,
    Progress,
    Recorder,
    ReduceLROnPlateau,
    SaveModel,
    Scheduler,
    TensorBoard,
    TerminateOnNaN,
    Timer,
)
from pierian.train.fit import (
    evaluate,
    fit,
    predict,
    predict_on_batch,
    test_on_batch,
    train_on_batch,
)
from pierian.train.learner import Learner
from pierian.train.recipe import compile
from pierian.train.watch import DivergenceError

__all__ = [
    "CSVLogger",
    "Callback",
    "CancelBatch",
    "CancelEpoch",
    "CancelFit",
    "DivergenceError",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "GradientAccumulation",
    "GradientClip",
    "History",
    "JSONLogger",
    "Learner",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Progress",
    "Recorder",
    "ReduceLROnPlateau",
    "SaveModel",
    "Scheduler",
    "TensorBoard",
    "TerminateOnNaN",
    "Timer",
    "compile",
    "evaluate",
    "fit",
    "predict",
    "predict_on_batch",
    "test_on_batch",
    "train_on_batch",
]
