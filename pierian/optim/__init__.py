"""The optim room: update rules, learning-rate schedules, gradient clipping.

May import: base, core, ops. It knows tensors, never modules. To add a rule: see `rules.py`; a
schedule: see `schedule.py`.
"""

from pierian.optim import schedule
from pierian.optim.clip import clip_grad_norm_, clip_grad_value_
from pierian.optim.group import Group
from pierian.optim.optimizer import Optimizer
from pierian.optim.own import Own
from pierian.optim.rules import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop, get
from pierian.optim.schedule import Schedule

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Group", "Optimizer", "Own", "RMSprop", "SGD",
    "Schedule", "clip_grad_norm_", "clip_grad_value_", "get", "schedule",
]  # fmt: skip
