"""The callbacks that come with Pierian, a concern per file.

May import: what train may. To add one: a file or a class here, its name below and in
`train/__init__.py`, and a row in the table of `tests/train/test_callbacks.py`.
"""

from pierian.train.callbacks.average import ExponentialMovingAverage
from pierian.train.callbacks.checkpoint import ModelCheckpoint
from pierian.train.callbacks.gradient import GradientAccumulation, GradientClip
from pierian.train.callbacks.history import History, Recorder
from pierian.train.callbacks.logger import CSVLogger, JSONLogger, TensorBoard
from pierian.train.callbacks.progress import Progress
from pierian.train.callbacks.saving import SaveModel
from pierian.train.callbacks.schedule import LearningRateScheduler, ReduceLROnPlateau, Scheduler
from pierian.train.callbacks.stopping import EarlyStopping, TerminateOnNaN
from pierian.train.callbacks.timer import Timer

__all__ = [
    "CSVLogger",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "GradientAccumulation",
    "GradientClip",
    "History",
    "JSONLogger",
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
]
