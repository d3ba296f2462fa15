"""Names: how tables of them become classes and modules; answers for what a face does not offer.

May import: base. To answer for one more name: a row in `HINTS`.
"""

from __future__ import annotations

import difflib
import dis
import functools
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
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
    "seed": "Call keras.utils.set_random_seed before", "lr": "Write learning_rate=",
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


def refuse(where: str, option: str, known: Iterable[str] = ()) -> NotOffered:
    """The error for an option that the engine has no counterpart of. Args: known  what it has."""
    fix = HINTS.get(option, "Leave it out, or use pr.nn, pr.optim and pr.train themselves")
    offered = ", ".join(known) or "none"
    return NotOffered(message(where, "options must be such as Pierian has", offered, option, fix))


Names = dict[str, tuple[str, Any]]  # {Keras' argument: (ours, default)}
REQUIRED = object()  # in place of a default


def same(**defaults: Any) -> Names:
    """Arguments that are called the same in the engine, with Keras' defaults."""
    return {name: (name, default) for name, default in defaults.items()}


def arguments(where: str, names: Names, args: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Arguments as Keras has them under the names of the engine.

    Raises:  NotOffered for one that is not among `names`, unless it asks for nothing; TypeError
             for one that is missing.
    """
    if len(args) > len(names):
        raise refuse(where, repr(args[len(names)]), names)
    given = dict(zip(names, args, strict=False)) | options
    for option in set(given).difference(names):
        value = given.pop(option)
        if value or type(value) is int:  # a seed of 0 is one
            raise refuse(where, option, names)
    found = {ours: given.get(name, default) for name, (ours, default) in names.items()}
    missing = [name for name, (ours, _) in names.items() if found[ours] is REQUIRED]
    if missing:
        raise TypeError(f"{where}() lacks an argument: {missing[0]}")
    return found


def classes(module: str, base: Any, table: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The classes of a table {title: (class or function of the engine, Names or None)}.

    Each has `base`, and the class of the engine if it is one, above it, and its row in `row`.
    """

    def made(title: str, row: tuple[Any, Any]) -> type:
        bases = (base, row[0]) if isinstance(row[0], type) else (base,)
        engine = getattr(row[0], "__name__", title)
        doc = f"Keras' {title}({', '.join(row[1] or ['...'])}): Pierian's {engine}."
        return type(title, bases, {"row": row, "__doc__": doc, "__module__": module})

    return {title: made(title, row) for title, row in table.items()}


def spelled(fn: Callable[..., Any], **names: str) -> Callable[..., Any]:
    """`fn` with other names for its keywords: spelled(clip, x_min="low")."""

    @functools.wraps(fn)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **{names.get(key, key): value for key, value in kwargs.items()})

    return renamed


def part(name: str, contents: Mapping[str, Any]) -> ModuleType:
    """A module that holds a table, and can be imported with dots."""
    module = ModuleType(name, "Names of the original; see the docstrings of each.")
    vars(module).update(contents, __getattr__=answer(name, contents), __dir__=contents.keys)
    sys.modules[name] = module
    return module


def answer(module: str, own: Mapping[str, Any]) -> Callable[[str], Any]:
    """The `__getattr__` of a module: explains names that are missing; underscores simply are."""

    def explain(name: str) -> Any:
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
