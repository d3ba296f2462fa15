"""Keras' verbs: fit, evaluate, predict, and the same on one batch. Thin over `Loop`.

May import: base, core, nn, data, and this room. What they do with a batch is in `loop`, what they
take as data in `feed`; a new verb is a function here and a door in `Module`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pierian.base.dtypes import float32, is_floating
from pierian.base.errors import message
from pierian.base.notice import notice
from pierian.core.autodiff import no_grad
from pierian.core.primitive import Spec
from pierian.core.tensor import Tensor
from pierian.data.dataset import Dataset
from pierian.data.order import whole
from pierian.nn.module import Module
from pierian.train import losses
from pierian.train import recipe as recipes
from pierian.train.callback import Callback, Events, Logs
from pierian.train.callbacks.checkpoint import open_checkpoint
from pierian.train.callbacks.history import History
from pierian.train.callbacks.progress import Progress
from pierian.train.feed import Feed, Form, Rows, hold_out, is_stream, open_feed
from pierian.train.loop import Loop
from pierian.train.recipe import Recipe
from pierian.train.run import Run, modes_kept
from pierian.train.steps import steps_of, test_step, train_step
from pierian.train.totals import Totals


def fit(
    model: Module, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1,
    verbose: Any = "auto", callbacks: Any = None, validation_split: float = 0.0,
    validation_data: Any = None, shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None, sample_weight: Any = None,
    initial_epoch: int = 0, steps_per_epoch: int | None = None,
    validation_steps: int | None = None, validation_batch_size: int | None = None,
    validation_freq: Any = 1, *, resume: Any = None,
) -> History:  # fmt: skip
    """Train a compiled model; Keras 3's signature.

    Shapes:  x (n, ...), y (n, ...).
    Dtypes:  floats and uint8 x are cast to the dtype of the parameters, other integers stay.
    Args:    x                an array, a tensor, or a tuple of them for a model with several
                              inputs; a dataset; or an iterable of batches, (x, y) or
                              (x, y, weight), such as a DataLoader or a generator.
             y                targets, when x is arrays.
             batch_size       rows per step for arrays and datasets; 32 when None.
             epochs           the number of the last epoch, counted from 1.
             verbose          0 silent; 1 or "auto" a bar, or a line per epoch where output is
                              no terminal; 2 a line per epoch.
             callbacks        a list of `train.Callback`.
             validation_split the share of the *last* rows that is held out, before shuffling.
             validation_data  (x, y), (x, y, weight) or a feed as x; takes precedence.
             shuffle          arrays and datasets anew in every epoch, by `pr.manual_seed`.
             class_weight     class number -> how much its examples count; others count 1.
             sample_weight    how much each example counts; the loss is Σ w·l / n, as in Keras.
             initial_epoch    epochs that are done already.
             steps_per_epoch  batches per epoch, for data without an end.
             validation_steps, validation_batch_size  the same of the validation.
             validation_freq  validate after every so many epochs, or after those in a list,
                              counted from 1.
             resume           a checkpoint, or a folder of them (its newest is taken), to go on
                              from exactly; True for the folder of the ModelCheckpoint among the
                              callbacks, once there is one in it. All other arguments are to be
                              what they were.
    Raises:  RuntimeError when the model is not compiled; DivergenceError when the loss is NaN or
             infinite; ShapeError, DtypeError, DataError or ValueError for data and arguments that
             do not fit. On KeyboardInterrupt, `model.history` has the epochs until then.

    >>> import numpy as np
    >>> import pierian as pr
    >>> model = pr.nn.Sequential(pr.nn.Linear(1, 1))
    >>> model.compile(pr.optim.SGD(lr=0.1), "mse")
    >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    >>> history = model.fit(x, 3 * x + 1, epochs=50, verbose=0)
    >>> history.history["loss"][-1] < 0.01
    True
    """
    where = "fit"
    recipe = recipes.of(where, model)
    first = whole(where, "initial_epoch", initial_epoch, least=0, fix="Pass initial_epoch=0")
    last = whole(where, "epochs", epochs, least=0, fix="Pass epochs=10")
    progress = Progress(verbose)
    plain = Form(where, dtype_of(model), inputs_of(model), quiet=progress.silent)
    form = replace(plain, class_weight=class_weight)
    held = validation_data
    if validation_split and held is None:
        classes = recipe.loss.of_classes
        x, held = hold_out(form, x, y, sample_weight, validation_split, classes)
        y = sample_weight = None
    feed = open_feed(
        form, x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps=steps_per_epoch,
        limit="steps_per_epoch", epoch=first,
    )  # fmt: skip
    validation = None
    if held is not None:
        parts = held if isinstance(held, tuple | list) and not is_stream(held, None) else (held,)
        sized = len(parts) > 1 or isinstance(held, Dataset)
        validation = open_feed(
            plain, *parts, batch_size=validation_batch_size or (batch_size if sized else None),
            steps=validation_steps, limit="validation_steps",
        )  # fmt: skip
    run = Run(model, recipe, feed, first, last, training=True)
    params = {"epochs": last, "steps": feed.steps, "verbose": verbose}
    return train(where, run, callbacks, params, [History(), progress], validation,
                 validation_freq, resume)  # fmt: skip


def train(
    where: str, run: Run, callbacks: Any, params: dict[str, Any], own: list[Callback],
    validation: Feed | None, frequency: Any = 1, resume: Any = None,
) -> Any:  # fmt: skip
    """What all faces do to train: prepare, resume, loop. Gives the history.

    Args:  own  the callbacks of the face itself; the first one is the history.
    """
    model, recipe = run.model, run.recipe
    prepare(where, model, recipe, run.feed, validation)
    events = Events(where, callbacks, model, params, *own)
    saved = open_checkpoint(where, resume, events.callbacks)
    vars(model)["history"] = own[0]

    def validate() -> Logs:
        if validation is None or not due(frequency, run.epoch + 1):
            return {}
        logs = Loop(where, Run(model, recipe, validation), events).evaluate()
        return {f"val_{name}": value for name, value in logs.items()}

    with modes_kept(model):
        Loop(where, run, events).fit(validate, saved)
    return own[0]


def evaluate(
    model: Module, x: Any = None, y: Any = None, batch_size: int | None = None,
    verbose: Any = "auto", sample_weight: Any = None, steps: int | None = None,
    callbacks: Any = None, return_dict: bool = False,
) -> Any:  # fmt: skip
    """Loss and metrics on data, in eval mode and without gradients; changes nothing.

    Args:    as in `fit`.
             return_dict  give them by name.
    Returns: the loss; [loss, metric, ...] when there are metrics; or a dict.
    """
    where = "evaluate"
    recipe = recipes.of(where, model)
    progress = Progress(verbose)
    form = Form(where, dtype_of(model), inputs_of(model), quiet=progress.silent)
    feed = open_feed(form, x, y, sample_weight, batch_size=batch_size, steps=steps)
    prepare(where, model, recipe, feed)
    params = {"steps": feed.steps, "verbose": verbose}
    events = Events(where, callbacks, model, params, progress)
    with modes_kept(model), progress:
        logs = Loop(where, Run(model, recipe, feed), events).evaluate()
    return answer(logs, return_dict)


def predict(
    model: Module, x: Any, batch_size: int | None = None, verbose: Any = "auto",
    steps: int | None = None, callbacks: Any = None,
) -> Any:  # fmt: skip
    """The outputs for `x` as a NumPy array, in eval mode and without gradients.

    Shapes:  x (n, ...) -> (n, ...); a tuple of arrays when the model gives several outputs.
    Args:    as in `fit`; the model need not be compiled, targets in batches are left aside.

    >>> import numpy as np
    >>> import pierian as pr
    >>> predict(pr.nn.Sequential(pr.nn.ReLU()), np.array([[-1.0, 2.0]]), verbose=0)
    array([[0., 2.]], dtype=float32)
    """
    where = "predict"
    progress = Progress(verbose)
    form = Form(where, dtype_of(model), inputs_of(model), targets=False, quiet=progress.silent)
    feed = open_feed(form, x, batch_size=batch_size, steps=steps)
    params = {"steps": feed.steps, "verbose": verbose}
    events = Events(where, callbacks, model, params, progress)
    with modes_kept(model), progress:
        return Loop(where, Run(model, None, feed), events).predict()


def train_on_batch(
    model: Module, x: Any, y: Any = None, sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None, return_dict: bool = False,
) -> Any:  # fmt: skip
    """One update on one batch; gives its loss and metrics (of this batch alone), as `evaluate`.

    A loss that is NaN is given back like any other: the loop is the caller's.
    """
    where = "train_on_batch"
    form = Form(where, dtype_of(model), inputs_of(model), class_weight=class_weight)
    return on_batch(model, form, train_step, x, y, sample_weight, return_dict)


def test_on_batch(
    model: Module, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
) -> Any:
    """Loss and metrics of one batch, as `evaluate` gives them."""
    form = Form("test_on_batch", dtype_of(model), inputs_of(model))
    return on_batch(model, form, test_step, x, y, sample_weight, return_dict)


def predict_on_batch(model: Module, x: Any) -> Any:
    """The outputs for one batch, as `predict` gives them."""
    return predict(model, x, batch_size=len(x[0] if isinstance(x, tuple) else x), verbose=0)


# What they share


def on_batch(
    model: Module, form: Form, kind: Any, x: Any, y: Any, weight: Any, return_dict: bool
) -> Any:
    """Make one step, and give the numbers of its batch."""
    recipe = recipes.of(form.where, model)
    feed = open_feed(form, [form.rows(x, y, weight)])
    prepare(form.where, model, recipe, feed)
    batch, totals, training = feed.first(), Totals(recipe.metrics), kind is train_step
    if training:
        model.zero_grad()
    run = Run(model, recipe, feed, training=training)
    steps = steps_of(kind, form.where, run, Events(form.where, None, model, {}), keep=True)
    with modes_kept(model), steps:
        model.train(training)
        totals.add(steps.one(batch))
    return answer(totals.logs(), return_dict)


def prepare(
    where: str, model: Module, recipe: Recipe, feed: Feed, validation: Feed | None = None
) -> None:
    """Before any work: layers built, the optimizer filled, the loss tried, the labels checked.

    Layers learn their sizes from the first batch, in eval mode and without gradients.
    """
    batch = pred = None
    if recipe.output is None or not model.built:
        batch = feed.first().tensors()
        with modes_kept(model), no_grad():
            model.eval()
            pred = model(*batch[0])
        if not isinstance(pred, Tensor):
            raise TypeError(
                message(where, "the model must give what the loss takes", "one tensor",
                        f"a {type(pred).__name__}", "Return a tensor from forward")
            )  # fmt: skip
        recipe.output = pred.shape
    recipe.adopt(model)
    for name, source in [("y", feed), ("the y of validation", validation)]:
        if source is not None:
            check_labels(where, name, recipe, source.rows)
    if batch is not None:
        recipe.loss(batch[1], pred, batch[2])
        warn_of_square(where, recipe, batch[1].shape)


def warn_of_square(where: str, recipe: Recipe, target: tuple[int, ...]) -> None:
    """Say so when (b, 1) and (b,) meet in a loss of the user's, where they may become (b, b)."""
    shapes = [recipe.output or (), target]
    rows, column = sorted(shapes, key=len)
    square = len(rows) == 1 and rows != (1,) and column == (*rows, 1)
    if square and losses.is_foreign(recipe.loss.function):
        notice(
            f"{where}: the model gives {shapes[0]} and the targets are {target}; "
            f"elementwise they become {(*rows, *rows)}. Reshape one in the loss, or write "
            f"{'y.unsqueeze(1)' if target == rows else 'y.squeeze(1)'} for the targets."
        )


def check_labels(where: str, name: str, recipe: Recipe, rows: Rows | None) -> None:
    """Raise ValueError at the first label that is no class number of the model's output."""
    classes = recipe.loss.classes(recipe.output or ())
    if rows is None or rows.y is None or classes is None or rows.y.dtype.kind not in "iu":
        return
    places = np.argwhere(recipe.loss.wrong(rows.y, classes))
    if len(places):
        place = tuple(places[0].tolist())
        at = place[0] if len(place) == 1 else place
        raise ValueError(
            message(where, f"labels in {name} must be class numbers",
                    f"0 <= label < {classes}, the outputs of the model",
                    f"{rows.y[place]} at position {at}",
                    "Number the classes from 0, or give the model more outputs")
        )  # fmt: skip


def due(frequency: Any, epoch: int) -> bool:
    """Whether there is validation after `epoch`, counted from 1."""
    if isinstance(frequency, Collection):
        return epoch in frequency
    fix = "Pass validation_freq=1"
    return epoch % whole("fit", "validation_freq", frequency, least=1, fix=fix) == 0


def dtype_of(model: Module) -> np.dtype:
    """The dtype of the model's floating parameters; float32 before it has some."""
    kinds = (tensor.dtype for tensor in model.state_dict().values())
    return next((kind for kind in kinds if is_floating(kind)), float32)


def inputs_of(model: Module) -> int:
    """How many inputs the model has, as far as it says so."""
    shape = model.input_shape
    return len(shape) if isinstance(shape, tuple) and shape and isinstance(shape[0], Spec) else 1


def answer(logs: Logs, return_dict: bool) -> Any:
    """The numbers as Keras gives them back."""
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
