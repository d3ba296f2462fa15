"""Names: those that a face does not offer, answered with Pierian's own way; and snake case.

May import: base. To answer for one more name: a row in `HINTS`.
"""

from __future__ import annotations

import difflib
import dis
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pierian.base.errors import PierianError, message

RECURRENT = "Pierian has no recurrent layers yet: write the loop over time in a Layer's call"
CLIP = "Pass callbacks=[pr.train.GradientClip(...)] to fit"
DECAY = "Use AdamW, or pr.optim.SGD(lr=..., weight_decay=...) for an L2 penalty"
SCHEDULE = "Pass a number, and callbacks=[pr.train.Scheduler(...)] to fit"
LOADER = "Use pr.data.ArrayDataset and pr.data.DataLoader, or pass arrays to fit"
OWN = "Load it into arrays, and pass these to fit"
# what is not offered, a name or an option, and what to do instead
HINTS = {
    "LSTM": RECURRENT, "GRU": RECURRENT, "SimpleRNN": RECURRENT,
    "Conv1D": "Use pr.nn.Conv1d(in_channels, out_channels, kernel_size)",
    "Conv2DTranspose": "Use pr.nn.ConvTranspose2d(in_channels, out_channels, kernel_size)",
    "DepthwiseConv2D": "Use Conv2D with filters and groups= the channels of its input",
    "UpSampling2D": "Use pr.nn.Upsample", "ZeroPadding2D": 'Use Conv2D(..., padding="same")',
    "Normalization": "Use Rescaling(1 / std, -mean / std)",
    "RandomFlip": "Use pr.data.RandomHorizontalFlip in a DataLoader",
    "imdb": OWN, "reuters": OWN, "boston_housing": OWN, "california_housing": OWN,
    "Nadam": "Use Adam", "Adamax": "Use Adam", "Lion": "Use AdamW", "schedules": SCHEDULE,
    "schedule": SCHEDULE, "clipnorm": CLIP, "clipvalue": CLIP, "global_clipnorm": CLIP,
    "weight_decay": DECAY, "kernel_regularizer": DECAY, "regularizers": DECAY,
    "label_smoothing": "Use pr.nn.CrossEntropyLoss(label_smoothing=0.1)",
    "seed": "Call keras.utils.set_random_seed before",
    "train_step": "Write the loop with a GradientTape, or a train.Callback",
    "BackupAndRestore": "Use pr.train.ModelCheckpoint(folder) and fit(..., resume=True)",
    "LambdaCallback": "Write a Callback with on_epoch_end(epoch, logs)",
    "F1Score": 'Use pr.metrics.F1("macro")', "applications": "Use pr.models",
    "image_dataset_from_directory": "Use pr.data.ImageFolder(path)", "data": LOADER,
    "plot_model": "Use pr.viz, which draws the graph of a tensor",
    "device": "All runs on the CPU: leave it out", "Module": "Use tf.keras.Model, or pr.nn.Module",
    "conv": "Use layers.Conv2D", "max_pool": "Use layers.MaxPooling2D", "conv2d": "Use Conv2D",
}  # fmt: skip


class NotOffered(PierianError, ValueError):
    """An option of the original that a face lacks."""


def refuse(where: str, option: str) -> NotOffered:
    """The error for an option that the engine has no counterpart of."""
    fix = HINTS.get(option, "Leave it out, or use pr.nn, pr.optim and pr.train themselves")
    return NotOffered(message(where, "options must be such as Pierian has", "none", option, fix))


def answer(module: str, own: Mapping[str, Any], also: Any = None) -> Callable[[str], Any]:
    """The `__getattr__` of a module: explains names that are missing; underscores simply are.

    Args:  also  a module with a `TABLE` of names that this one has too.
    """

    def explain(name: str) -> Any:
        if also is not None and name in also.TABLE:
            return getattr(also, name)
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        near = difflib.get_close_matches(name, own, n=1)
        usual = f"Use {near[0]}, if you meant it" if near else "See dir(pr) and dir(pr.nn)"
        face = module.removeprefix("pierian.compat.")
        fix = HINTS.get(name, usual)
        # `from … import` shows the text of an ImportError only, and hasattr needs the other one
        frame = sys._getframe(1)
        importing = dis.opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"
        text = message(face, "it must be a name of this face", "one of dir()", name, fix)
        raise (ImportError if importing else AttributeError)(text)

    return explain


def snake(title: str) -> str:
    """A class' name as Keras writes it in lower case.

    >>> snake("MaxPooling2D"), snake("KLDivergence")
    ('max_pooling2d', 'kl_divergence')
    """
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", title)).lower()
