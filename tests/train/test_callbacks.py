"""Callbacks: one table swept by harnesses, then each against an independent computation."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, train
from pierian.core.tensor import Tensor, make
from pierian.optim import schedule as schedules
from pierian.train import Callback, CancelBatch, CancelEpoch, CancelFit
from pierian.train.callback import EVENTS, INSIDE
from pierian.train.callbacks import __all__ as SHIPPED

ROWS, HELD, BATCH, EPOCHS = 38, 10, 8, 3  # five batches an epoch, the last one of 6 rows
BATCHES = 5
DRAW = np.random.default_rng(3)
X = DRAW.standard_normal((ROWS + HELD, 4)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5, 0.0]) > 0).astype(np.int64)
VALID = X[ROWS:], Y[ROWS:]

# name -> what makes the callback, with a folder of its own
TABLE: dict[str, Callable[[Path], Callback]] = {
    "CSVLogger": lambda at: train.CSVLogger(at / "log.csv"),
    "EarlyStopping": lambda at: train.EarlyStopping(patience=9, restore_best_weights=True),
    "ExponentialMovingAverage": lambda at: train.ExponentialMovingAverage(0.9),
    "ExponentialMovingAverage, no warm-up": lambda at: train.ExponentialMovingAverage(0.8, False),
    "GradientAccumulation": lambda at: train.GradientAccumulation(3),
    "GradientClip": lambda at: train.GradientClip(0.1),
    "GradientClip, value": lambda at: train.GradientClip(max_value=0.01),
    "GradientClip, largest": lambda at: train.GradientClip(0.01, norm_type=math.inf),
    "History": lambda at: train.History(),
    "JSONLogger": lambda at: train.JSONLogger(at / "log.jsonl"),
    "LearningRateScheduler": lambda at: train.LearningRateScheduler(lambda epoch, lr: lr * 0.7),
    "ModelCheckpoint": lambda at: train.ModelCheckpoint(at / "own", 2, "step", monitor="val_loss"),
    "Progress": lambda at: train.Progress(0),
    "Recorder": lambda at: train.Recorder(),
    "ReduceLROnPlateau": lambda at: train.ReduceLROnPlateau(patience=1, min_delta=9.0),
    "SaveModel": lambda at: train.SaveModel(at / "{epoch}-{loss:.3f}", save_best_only=True),
    "Scheduler": lambda at: train.Scheduler("one-cycle"),
    "Scheduler, epoch": lambda at: train.Scheduler("exponential", per="epoch"),
    "Scheduler, factor": lambda at: train.Scheduler(factor=lambda step: 1 / (1 + step)),
    "TensorBoard": lambda at: train.TensorBoard(at / "events", histograms=True),
    "TerminateOnNaN": lambda at: train.TerminateOnNaN(),
    "Timer": lambda at: train.Timer(),
}
# with these settings nothing is to be done
IDLE: dict[str, Callable[[Path], Callback]] = {
    name: TABLE[name]
    for name in (
        "CSVLogger",
        "EarlyStopping",
        "History",
        "JSONLogger",
        "ModelCheckpoint",
        "Progress",
        "Recorder",
        "TensorBoard",
        "TerminateOnNaN",
        "Timer",
    )
} | {  # fmt: skip
    "EarlyStopping": lambda at: train.EarlyStopping(patience=9),
    "ExponentialMovingAverage": lambda at: train.ExponentialMovingAverage(0.0),
    "GradientAccumulation": lambda at: train.GradientAccumulation(1),
    "GradientClip": lambda at: train.GradientClip(1e9),
    "GradientClip, value": lambda at: train.GradientClip(max_value=1e9),
    "LearningRateScheduler": lambda at: train.LearningRateScheduler(lambda epoch, lr: lr),
    "ReduceLROnPlateau": lambda at: train.ReduceLROnPlateau(),
    "Scheduler": lambda at: train.Scheduler("constant"),
}


def made(table: dict[str, Callable[[Path], Callback]], name: str, at: Path) -> Callback:
    if name == "TensorBoard" and importlib.util.find_spec("tensorboardX") is None:
        pytest.skip("tensorboardX is not installed")
    return table[name](at)


def network(seed: int = 1, jit: Any = "auto", optimizer: Any = "adam") -> nn.Module:
    pr.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2))
    model.compile(optimizer, "cross_entropy", ["accuracy"], jit=jit)
    model.optimizer.lr = 0.01
    return model


def fit(model: nn.Module, *callbacks: Callback, **options: Any) -> nn.Module:
    settings = {"epochs": EPOCHS, "validation_data": VALID, "verbose": 0} | options
    model.fit(X[:ROWS], Y[:ROWS], BATCH, callbacks=list(callbacks), **settings)
    return model


def plain(tree: Any) -> Any:
    """The tree with lists for arrays and tensors, so that it can be compared; NaN is equal."""
    if isinstance(tree, dict):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    if isinstance(tree, Tensor | np.ndarray | np.generic):
        array = np.asarray(tree)
        return array.dtype.name, array.shape, array.tobytes()
    return repr(tree)


def left(model: nn.Module, callback: Callback | None = None) -> Any:
    """All that training leaves."""
    own = callback.state_dict() if callback is not None else {}
    return plain([model.state_dict(), model.optimizer.state_dict(), model.history.history,
                  pr.ops.random.default.state, own])  # fmt: skip


def weights(model: nn.Module) -> np.ndarray:
    return np.concatenate([t.numpy().ravel() for t in model.state_dict().values()])


class At(Callback):
    """Calls a function at one event, or at each of several."""

    def __init__(self, call: Callable[[Any], None], *events: str, order: int = 0) -> None:
        self.order = order
        for event in events:
            setattr(self, event, call)


def at_step(step: int, error: BaseException) -> At:
    """Raises after some steps, when everybody else has heard of them."""

    def call(run: Any) -> None:
        if run.step == step:
            raise error

    return At(call, "after_batch", order=99)


# Harnesses


def test_every_callback_is_in_the_table() -> None:
    assert {name.partition(",")[0] for name in TABLE} == set(SHIPPED)


@pytest.mark.parametrize("name", TABLE)
def test_compiled_and_eager_training_agree(name: str, tmp_path: Path) -> None:
    ends = []
    for jit in (True, False):
        model = fit(network(jit=jit), made(TABLE, name, tmp_path / str(jit)))
        ends.append((weights(model), model.history.history))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=2e-4, atol=1e-6)
    for key, values in ends[0][1].items():
        np.testing.assert_allclose(values, ends[1][1][key], rtol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", IDLE)
def test_with_nothing_to_do_training_is_the_same(name: str, tmp_path: Path) -> None:
    bare = fit(network())
    model = fit(network(), made(IDLE, name, tmp_path))
    np.testing.assert_allclose(weights(model), weights(bare), rtol=1e-6, atol=1e-7)
    if name not in ("GradientAccumulation", "GradientClip"):  # a step of their own
        assert weights(model).tobytes() == weights(bare).tobytes()


@pytest.mark.parametrize("name", TABLE)
def test_training_resumed_in_an_epoch_ends_in_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = made(TABLE, name, tmp_path / "whole")
    expected = left(fit(network(), whole), whole)

    def own() -> list[Callback]:
        saver = train.ModelCheckpoint(tmp_path, every=3, unit="step")
        return [saver, made(TABLE, name, tmp_path / "cut")]

    with pytest.raises(ZeroDivisionError):
        fit(network(), *own(), at_step(8, ZeroDivisionError()))
    again = own()
    model = fit(network(seed=7), *again, resume=True)
    assert left(model, again[-1]) == expected
    assert isinstance(again[0], train.ModelCheckpoint)
    for file in (tmp_path / "whole").glob("log.*"):
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", TABLE)
def test_a_callback_can_be_used_again(name: str, tmp_path: Path) -> None:
    if name == "ModelCheckpoint":
        pytest.skip("refuses the folder of the run before")
    one, ends = made(TABLE, name, tmp_path / "one"), []
    for callback in (one, one, made(TABLE, name, tmp_path / "other")):
        model = network()
        fit(model, callback)
        ends.append(left(model, None if name.startswith("Scheduler") else callback))
    assert ends[0] == ends[1] == ends[2]


SAID = [event for event in EVENTS if "predict" not in event and event != "after_fit"]
ENDS: dict[str, Any] = {
    "error": ZeroDivisionError, "Ctrl-C": KeyboardInterrupt, "CancelFit": CancelFit
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("event", SAID)
def test_after_fit_comes_whatever_ends_training(event: str, end: str) -> None:
    calls: list[str] = []
    errors: list[Any] = []

    def witness(name: str, order: int) -> Callback:
        callback = At(lambda run: calls.append(f"{name} begins"), "before_fit", order=order)

        def after(run: Any) -> None:
            calls.append(f"{name} ends")
            errors.append(type(run.error))

        callback.after_fit = after  # type: ignore[method-assign]
        return callback

    def fail(run: Any) -> None:
        raise ENDS[end]

    model = network(jit=False)
    failing = At(fail, event)
    failing.after_fit = lambda run: calls.append("it ends")  # type: ignore[method-assign]
    callbacks = [witness("late", 200), failing, witness("early", -200)]
    if end == "CancelFit":
        fit(model, *callbacks)
    else:
        with pytest.raises(ENDS[end]):
            fit(model, *callbacks)
    late = [] if event == "before_fit" else ["late"]
    begun = [f"{name} begins" for name in ["early", *late]]
    assert calls == begun + [f"{name} ends" for name in ["early", "it", *late]]
    assert set(errors) == {type(None) if end == "CancelFit" else ENDS[end]}
    assert model.training
    fit(model, epochs=1)


def test_all_are_cleaned_up_when_one_fails_at_that() -> None:
    calls: list[int] = []

    def fail(run: Any) -> None:
        raise ZeroDivisionError

    callbacks = [At(fail, "after_fit", order=-5)]
    callbacks += [At(lambda run: calls.append(1), "after_fit", order=n) for n in (-9, 9)]
    with pytest.raises(ZeroDivisionError):
        fit(network(jit=False), *callbacks)
    assert calls == [1, 1]


# Exits


def cancelled(event: str, exit: type[Exception]) -> tuple[Any, nn.Module]:
    """What is heard when `exit` is raised at `event` of the second batch of the second epoch."""
    heard: list[Any] = []
    raised: list[int] = []

    def fail(run: Any) -> None:
        if (run.epoch, run.batch) == (1, 1) and run.training and not raised:
            raised.append(1)
            raise exit

    log = At(lambda run: heard.append((run.epoch, run.batch)), "after_batch", order=-9)
    model = fit(network(jit=False), log, At(fail, event))
    return heard, model


BATCHWISE = ("before_batch", *INSIDE, "after_steps", "after_batch")
ALL = [(epoch, batch) for epoch in range(EPOCHS) for batch in range(BATCHES)]


@pytest.mark.parametrize("event", BATCHWISE)
def test_cancel_batch_leaves_out_the_rest_of_it(event: str) -> None:
    heard, model = cancelled(event, CancelBatch)
    assert len(heard) == len(ALL) - (event == "after_steps") and set(heard) <= set(ALL)
    assert model.history.epoch == [0, 1, 2]
    skipped = event in ("before_batch", *INSIDE)
    (count,) = {float(state["step"]) for state in model.optimizer.state.values()}
    assert count == len(ALL) - skipped


@pytest.mark.parametrize("event", BATCHWISE)
def test_cancel_epoch_goes_on_with_validation(event: str) -> None:
    heard, model = cancelled(event, CancelEpoch)
    assert [e for e, _ in heard].count(1) == 1 + (event == "after_batch")
    assert [e for e, _ in heard].count(2) == BATCHES
    assert model.history.epoch == [0, 1, 2] and len(model.history.history["val_loss"]) == 3


@pytest.mark.parametrize("event", BATCHWISE)
def test_cancel_fit_ends_it_without_an_error(event: str) -> None:
    _, model = cancelled(event, CancelFit)
    assert model.history.epoch == [0]


def test_nothing_is_left_of_a_cancelled_step() -> None:
    """Steps that end an epoch after their gradients change nothing that comes later."""

    def cut(run: Any) -> None:
        if run.batch == 2:
            raise CancelEpoch

    ends = [
        weights(fit(network(jit=False, optimizer="sgd"), At(cut, event), shuffle=False))
        for event in ("after_grad", "after_pred")
    ]
    assert ends[0].tobytes() == ends[1].tobytes()


# What callbacks may do


def test_events_inside_the_step_make_it_eager_and_say_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Peep(Callback):
        def after_loss(self, run: Any) -> None:
            seen.append(float(run.loss))

    seen: list[float] = []
    for _ in range(2):
        fit(network(), Peep(), verbose=2)
    assert len(seen) == 2 * EPOCHS * BATCHES
    said = [line for line in capsys.readouterr().err.splitlines() if "eagerly" in line]
    assert len(said) == 1 and "Peep.after_loss" in said[0]
    with pytest.raises(pr.CompileError, match=r"Peep\.after_loss"):
        fit(network(jit=True), Peep())


class Written(Callback):
    """Writes a setting of every step into a tensor, as part of the compiled step."""

    compiled = True

    def __init__(self, read: Callable[[Any], Any], steps: int = EPOCHS * BATCHES) -> None:
        self.read = read
        self.seen, self.at = make(np.zeros(steps)), make(np.zeros((), np.int64))

    def after_grad(self, run: Any) -> None:
        with pr.no_grad():
            self.seen[self.at] = self.read(run)

    def after_batch(self, run: Any) -> None:
        with pr.no_grad():
            self.at.add_(1)


def lr_of(run: Any) -> Any:
    return run.optimizer.param_groups[0]["lr"]


def beta_of(run: Any) -> Any:
    return run.optimizer.param_groups[0]["betas"][0]


def test_a_callback_that_is_compiled_keeps_the_step_compiled() -> None:
    calls: list[int] = []
    written = Written(lr_of)
    count = At(lambda run: calls.append(len(run.losses)), "after_steps")
    fit(network(jit=True), written, count)
    assert int(written.at) == EPOCHS * BATCHES
    assert written.seen.tolist() == [0.01] * EPOCHS * BATCHES
    assert max(calls) > 1  # of training and of validation


def test_before_batch_may_replace_the_batch() -> None:
    """Turned signs of x and of the first weights cancel out; y and weights are replaced too."""

    def turn(run: Any) -> None:
        run.x = tuple(-x for x in run.x)
        run.y = 1 - run.y
        run.weight = pr.ones(len(run.y))

    ends = []
    for jit in (True, False):
        model = fit(network(jit=jit), At(turn, "before_batch"), validation_data=None)
        ends.append(weights(model))
    np.testing.assert_allclose(ends[0], ends[1], rtol=2e-4, atol=1e-6)
    model = network()
    model.fit(-X[:ROWS], 1 - Y[:ROWS], BATCH, EPOCHS, verbose=0)
    np.testing.assert_allclose(ends[0], weights(model), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
def test_every_n_hears_exactly_every_nth_step(every: int) -> None:
    heard: list[int] = []
    calls: list[int] = []
    listener = At(lambda run: heard.append(run.step), "after_batch")
    listener.every = every
    counter = At(lambda run: calls.append(len(run.losses) if run.training else 0), "after_steps")
    fit(network(jit=True), listener, counter, epochs=6)
    assert heard == list(range(every, 6 * BATCHES + 1, every))
    assert sum(calls) == 6 * BATCHES


def test_two_schedules_for_one_number_are_refused() -> None:
    for per in ("step", "epoch"):
        two = [train.Scheduler("one-cycle"), train.Scheduler("linear", per=per)]
        with pytest.raises(ValueError, match="a number can have one schedule"):
            fit(network(), *two)


def test_keras_hooks_get_their_arguments() -> None:
    heard: list[Any] = []

    class Keras(Callback):
        def on_train_begin(self, logs: Any) -> None:
            heard.append(("begin", logs, self.params["epochs"], self.params["steps"]))

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            heard.append((epoch, logs))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append((batch, sorted(logs)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            heard.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs: Any = None) -> None:
            heard.append(("end", sorted(logs)))

    fit(network(), Keras())
    own, val = ["accuracy", "loss"], ["val_accuracy", "val_loss"]
    epochs = [[(e, {}), *[(b, own) for b in range(BATCHES)], (e, own + val)] for e in (0, 1)]
    assert heard == [("begin", {}, 3, 5), *epochs[0], *epochs[1], ("end", own + val)]


def test_the_older_hooks_of_keras_are_called() -> None:
    heard: list[Any] = []

    class Older(Callback):
        def on_batch_begin(self, batch: int, logs: Any) -> None:
            heard.append((batch, logs))

        def on_batch_end(self, batch: int, logs: Any) -> None:
            heard.append((batch, sorted(logs)))

    fit(network(), Older())
    assert heard == [(b, logs) for b in range(BATCHES) for logs in ({}, ["accuracy", "loss"])] * 3


# Against NumPy: a linear model under the mean of squares, rows in their order

LINE = DRAW.standard_normal((18, 3)).astype(np.float32)
AIM = (LINE @ np.array([[1.0], [2.0], [-1.0]]) + 0.5).astype(np.float32)


def line(optimizer: Any, jit: Any = True) -> nn.Module:
    pr.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 1))
    model.compile(optimizer, "mse", jit=jit)
    return model


def follow(
    model: nn.Module, batch: Any, epochs: int, *callbacks: Callback, **options: Any
) -> nn.Module:
    settings = {"shuffle": False, "verbose": 0, "callbacks": [*callbacks]} | options
    if isinstance(batch, int):
        model.fit(LINE, AIM, batch, epochs, **settings)
    else:
        model.fit([(LINE[rows], AIM[rows]) for rows in batch], epochs=epochs, **settings)
    return model


def grads(w: np.ndarray, rows: slice) -> np.ndarray:
    """Of the mean of squares over some rows, to (weights, bias) in one array."""
    x = np.concatenate([LINE[rows], np.ones((len(LINE[rows]), 1))], 1, dtype=np.float64)
    error = x @ w - AIM[rows, 0]
    return 2 * x.T @ error / len(x)


def parameters(model: nn.Module) -> np.ndarray:
    weight, bias = model.parameters()
    return np.concatenate([weight.numpy()[0], bias.numpy()]).astype(np.float64)


def slices(size: int) -> list[slice]:
    return [slice(i, min(i + size, len(LINE))) for i in range(0, len(LINE), size)]


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("valid", [True, False])
def test_moving_average_by_hand(warmup: bool, valid: bool) -> None:
    lr, decay, during = 0.05, 0.7, []
    w = parameters(line("sgd"))
    average, t = w, 0
    for _ in range(2):
        for rows in slices(4):
            w = w - lr * grads(w, rows)
            t += 1
            d = min(decay, (1 + t) / (10 + t)) if warmup else decay
            average = d * average + (1 - d) * w
    model = line(pr.optim.SGD(lr=lr))
    ema = train.ExponentialMovingAverage(decay, warmup)
    look = At(lambda run: during.append(parameters(model)), "after_batch")
    options = {"validation_data": (LINE, AIM)} if valid else {}
    follow(model, 4, 2, ema, look, **options)
    np.testing.assert_allclose(parameters(model), average, rtol=1e-5)
    np.testing.assert_allclose(during[-1], w, rtol=1e-5)
    if valid:
        error = (LINE @ average[:3] + average[3] - AIM[:, 0]) ** 2
        assert model.history.history["val_loss"][-1] == pytest.approx(error.mean(), rel=1e-4)


def test_moving_average_is_what_the_model_has_however_training_ended() -> None:
    for end in (KeyboardInterrupt(), ZeroDivisionError()):
        model, kept = line("sgd"), []
        ema = train.ExponentialMovingAverage(0.5)
        keep = At(lambda run, kept=kept, ema=ema: kept.append(ema.averages[0].numpy().copy()),
                  "after_batch")  # fmt: skip
        with pytest.raises(type(end)):
            follow(model, 4, 2, ema, keep, at_step(7, end))
        assert model[0].weight.numpy().tobytes() == kept[-1].tobytes()


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: pr.optim.SGD(lr=0.05),
    "momentum": lambda: pr.optim.SGD(lr=0.05, momentum=0.9),
    "adam": lambda: pr.optim.Adam(lr=0.05),
    "adamw": lambda: pr.optim.AdamW(lr=0.05, weight_decay=0.1),
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_gathered_batches_are_one_large_batch(optimizer: Callable[[], Any], jit: Any) -> None:
    """Six batches of 3 rows, four together: an epoch ends with two of them."""
    model = follow(line(optimizer(), jit), 3, 3, train.GradientAccumulation(4))
    large = follow(line(optimizer(), jit), [slice(0, 12), slice(12, 18)], 3)
    np.testing.assert_allclose(parameters(model), parameters(large), rtol=2e-5)
    steps = {float(state["step"]) for state in model.optimizer.state.values()}
    assert steps == {6.0}


def test_gathered_batches_of_unequal_size_count_alike() -> None:
    """Four batches of 4 rows and one of 2, in threes: the mean of means, as documented."""
    w = parameters(line("sgd"))
    for _ in range(2):
        for together in (slices(4)[:3], slices(4)[3:]):
            w = w - 0.05 * np.mean([grads(w, rows) for rows in together], 0)
    model = follow(line(pr.optim.SGD(lr=0.05)), 4, 2, train.GradientAccumulation(3))
    np.testing.assert_allclose(parameters(model), w, rtol=1e-5)


def test_gathering_begins_anew_in_each_epoch() -> None:
    """An epoch that is left after 2 of 3 batches leaves nothing to the next one."""

    def cut(run: Any) -> None:
        if run.epoch == 0 and run.batch == 1:
            raise CancelEpoch

    w = parameters(line("sgd"))
    for together in (slices(3)[:3], slices(3)[3:]):
        w = w - 0.05 * np.mean([grads(w, rows) for rows in together], 0)
    model = follow(line(pr.optim.SGD(lr=0.05)), 3, 2, train.GradientAccumulation(3),
                   At(cut, "after_batch"))  # fmt: skip
    np.testing.assert_allclose(parameters(model), w, rtol=1e-5)


def test_averages_and_gathering_together_average_updates() -> None:
    w = parameters(line("sgd"))
    average = w
    for together in (slices(3)[:4], slices(3)[4:]) * 2:
        w = w - 0.05 * np.mean([grads(w, rows) for rows in together], 0)
        average = 0.6 * average + 0.4 * w
    model = follow(line(pr.optim.SGD(lr=0.05)), 3, 2, train.GradientAccumulation(4),
                   train.ExponentialMovingAverage(0.6, warmup=False))  # fmt: skip
    np.testing.assert_allclose(parameters(model), average, rtol=1e-5)


CLIPS: dict[str, tuple[dict[str, float], Callable[[np.ndarray], np.ndarray]]] = {
    "norm": ({"max_norm": 0.5}, lambda g: g * min(1, 0.5 / (np.sqrt((g**2).sum()) + 1e-6))),
    "p = 1": (
        {"max_norm": 0.5, "norm_type": 1}, lambda g: g * min(1, 0.5 / (abs(g).sum() + 1e-6))
    ),
    "largest": (
        {"max_norm": 0.5, "norm_type": math.inf}, lambda g: g * min(1, 0.5 / (abs(g).max() + 1e-6))
    ),
    "value": ({"max_value": 0.3}, lambda g: np.clip(g, -0.3, 0.3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_clipping_by_hand(name: str) -> None:
    settings, clip = CLIPS[name]
    w = parameters(line("sgd"))
    for rows in slices(4) * 3:
        w = w - 0.1 * clip(grads(w, rows))
    model = follow(line(pr.optim.SGD(lr=0.1)), 4, 3, train.GradientClip(**settings))
    np.testing.assert_allclose(parameters(model), w, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{}, {"max_norm": 1.0, "max_value": 1.0}, {"max_norm": 0.0}])
def test_clipping_needs_one_limit(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="one limit must be given"):
        train.GradientClip(**wrong)


# Schedules

CURVES: dict[str, dict[str, Any]] = {
    "constant": {},
    "linear": {},
    "cosine": {},
    "cosine, warm-up and restarts": {"warmup": 4, "restarts": 1},
    "one-cycle": {},
    "step": {},
    "polynomial": {"power": 2.0},
    "exponential": {},
}


@pytest.mark.parametrize("name", CURVES)
def test_schedule_drives_every_step(name: str) -> None:
    """In native blocks and eagerly, as the curve says it; afterwards all is as it was."""
    kind, total = name.partition(",")[0], EPOCHS * BATCHES
    adam = pr.optim.Adam([pr.zeros(1)], lr=0.01)
    curve = schedules.get(kind, adam, total, **CURVES[name])
    expected = curve.table(np.arange(total))
    rates, betas, seen = Written(lr_of), Written(beta_of), []
    eager = At(lambda run: seen.append([float(lr_of(run)), float(beta_of(run))]), "after_grad")
    for model, callbacks in ((network(jit=True), [rates, betas]), (network(jit=False), [eager])):
        fit(model, train.Scheduler(kind, **CURVES[name]), *callbacks)
        assert float(model.optimizer.lr) == 0.01
        assert float(model.optimizer.param_groups[0]["betas"][0]) == 0.9
    np.testing.assert_array_equal(rates.seen.numpy(), expected[:, 0])
    np.testing.assert_array_equal([lr for lr, _ in seen], expected[:, 0])
    if kind == "one-cycle":
        np.testing.assert_array_equal(betas.seen.numpy(), expected[:, 1])
    np.testing.assert_array_equal(betas.seen.numpy(), [beta for _, beta in seen])


def test_schedule_per_epoch_and_of_any_function() -> None:
    factors = [1.0, 0.5, 0.25]
    callbacks: list[Callable[[], Callback]] = [
        lambda: train.Scheduler(lambda opt: schedules.ExponentialLR(opt, 0.5), per="epoch"),
        lambda: train.Scheduler(factor=lambda epoch: factors[epoch], per="epoch"),
        lambda: train.Scheduler(factor=lambda step: factors[step // BATCHES]),
        lambda: train.LearningRateScheduler(lambda epoch, lr: 0.01 * factors[epoch]),
        lambda: train.LearningRateScheduler(lambda epoch, lr: lr * (0.5 if epoch else 1.0)),
    ]
    for callback in callbacks:
        written = Written(lr_of)
        fit(network(jit=True), callback(), written)
        np.testing.assert_allclose(written.seen.numpy(), np.repeat(factors, BATCHES) * 0.01)


def test_schedule_goes_on_at_initial_epoch() -> None:
    whole, rest = Written(lr_of), Written(lr_of, 2 * BATCHES)
    fit(network(), train.Scheduler("linear"), whole)
    fit(network(), train.Scheduler("linear"), rest, initial_epoch=1)
    assert rest.seen.tolist() == whole.seen.tolist()[BATCHES:]


def test_settings_are_as_before_whatever_ended_training() -> None:
    for end in (KeyboardInterrupt(), ZeroDivisionError(), CancelFit()):
        model = network()
        with contextlib.suppress(KeyboardInterrupt, ZeroDivisionError):
            fit(model, train.Scheduler("one-cycle"), at_step(4, end))
        assert float(model.optimizer.lr) == 0.01
        assert float(model.optimizer.param_groups[0]["betas"][0]) == 0.9


def test_schedules_say_what_they_need() -> None:
    endless = ((X[:8], Y[:8]) for _ in range(99))
    with pytest.raises(ValueError, match="'linear' must know how long training is"):
        network().fit(endless, callbacks=[train.Scheduler("linear")], verbose=0)
    for wrong in ({}, {"schedule": "linear", "factor": abs}, {"schedule": 3}):
        with pytest.raises(TypeError, match="one schedule must be given"):
            train.Scheduler(**wrong)
    with pytest.raises(TypeError, match="must make a schedule"):
        fit(network(), train.Scheduler(lambda opt: 0.1))
    with pytest.raises(ValueError, match="per"):
        train.Scheduler("linear", per="minute")


# What looks at one number, against Keras' rules


class Told(Callback):
    """Puts numbers of our own into the logs."""

    order = -100

    def __init__(self, values: Any) -> None:
        self.values = list(values)

    def after_epoch(self, run: Any) -> None:
        run.logs["told"] = self.values[run.epoch]


def short(*callbacks: Callback, epochs: int, lr: float = 0.01) -> nn.Module:
    model = line(pr.optim.SGD(lr=lr), jit=False)
    return follow(model, 18, epochs, *callbacks)


def numbers(seed: int) -> list[float]:
    """A noisy descent, with a NaN and an infinity at times."""
    draw = np.random.default_rng(seed)
    values = 1 / (1 + np.arange(14)) + draw.normal(0, 0.2, 14).round(1)
    values[draw.integers(0, 14, 2)] = draw.choice([np.nan, np.inf, 0.3], 2)
    return values.tolist()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"patience": 2, "cooldown": 1}, {"patience": 1, "cooldown": 3, "min_delta": 0.05},
     {"patience": 0, "min_lr": 0.03}, {"patience": 2, "min_lr": 0.2, "factor": 0.5}],
)  # fmt: skip
def test_reduce_on_plateau_follows_keras_rules(settings: dict[str, Any], mode: str) -> None:
    rule = {"patience": 1, "cooldown": 0, "min_delta": 1e-4, "min_lr": 0.0, "factor": 0.1}
    rule |= settings
    for seed in range(3):
        values = numbers(seed)
        sign = 1 if mode == "max" else -1
        lr, best, wait, rest, expected = 0.1, -math.inf, 0, 0, []
        for value in values:  # what is logged is the rate that the epoch was trained with
            expected.append(lr)
            if rest > 0:
                rest, wait = rest - 1, 0
            if sign * value > best + rule["min_delta"]:
                best, wait = sign * value, 0
            elif rest == 0:
                wait += 1
                if wait >= rule["patience"] and lr > rule["min_lr"]:
                    lr, rest, wait = max(lr * rule["factor"], rule["min_lr"]), rule["cooldown"], 0
        callback = train.ReduceLROnPlateau("told", **({"patience": 1} | settings), mode=mode)
        model = short(Told(values), callback, epochs=len(values), lr=0.1)
        np.testing.assert_allclose(model.history.history["lr"], expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"patience": 2}, {"patience": 3, "min_delta": 0.1}, {"patience": 2, "baseline": 0.2},
     {"patience": 3, "baseline": -9.0}, {"patience": 1, "start_from_epoch": 4},
     {"patience": 2, "start_from_epoch": 3, "baseline": 0.4}],
)  # fmt: skip
def test_early_stopping_follows_keras_rules(settings: dict[str, Any], mode: str) -> None:
    rule = {"patience": 0, "min_delta": 0.0, "baseline": None, "start_from_epoch": 0} | settings
    sign, delta = (1 if mode == "max" else -1), rule["min_delta"]
    for seed in range(4):
        values = numbers(seed)
        best, wait, best_epoch, last = -math.inf, 0, -1, len(values) - 1
        for epoch, value in enumerate(values):
            if epoch < rule["start_from_epoch"]:
                continue
            wait += 1
            if sign * value - delta > best:
                best, best_epoch = sign * value, epoch
                if rule["baseline"] is None or sign * value - delta > sign * rule["baseline"]:
                    wait = 0
            elif wait >= rule["patience"] and epoch > 0:
                last = epoch
                break
        callback = train.EarlyStopping("told", **settings, mode=mode, restore_best_weights=True)
        kept: list[np.ndarray] = []
        keep = At(lambda run, kept=kept: kept.append(parameters(run.model)), "after_epoch")
        model = short(Told(values), callback, keep, epochs=len(values))
        assert model.history.epoch[-1] == last
        assert callback.best_epoch == best_epoch
        assert callback.best == sign * best
        assert parameters(model).tolist() == kept[best_epoch].tolist()


@pytest.mark.parametrize("end", ["last epoch", "stop", "Ctrl-C", "error", "CancelFit"])
def test_best_weights_come_back_however_training_ends(end: str) -> None:
    kept: list[np.ndarray] = []

    def finish(run: Any) -> None:
        if run.epoch == 3:
            if end == "stop":
                run.stop()
            if end in ENDS:
                raise ENDS[end]

    model = line("sgd", jit=False)
    stopping = train.EarlyStopping("told", patience=9, restore_best_weights=True)
    callbacks = [Told([3, 1, 2, 2, 2]), stopping, At(finish, "before_batch"),
                 At(lambda run: kept.append(parameters(model)), "after_epoch")]  # fmt: skip
    try:
        follow(model, 6, 5, *callbacks)
    except (KeyboardInterrupt, ZeroDivisionError):
        assert end in ENDS
    assert len(kept) == {"last epoch": 5, "stop": 4}.get(end, 3)
    assert parameters(model).tolist() == kept[1].tolist() != kept[-1].tolist()


def test_best_weights_that_were_not_kept_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    short(Told([3, 1, 2, 2]), train.EarlyStopping("told", patience=9, verbose=1), epochs=4)
    assert "EarlyStopping: epoch 2 was best, with told 1; " in capsys.readouterr().err
    short(Told([3, 1, 2, 2]), train.EarlyStopping("told", patience=1, verbose=1), epochs=4)
    assert "told has not improved on 1 since epoch 2" in capsys.readouterr().out


def test_a_number_that_is_not_logged_is_named() -> None:
    for callback in (train.EarlyStopping(), train.ReduceLROnPlateau()):
        with pytest.raises(ValueError, match="'val_loss' must be among the logs; expected loss"):
            short(callback, epochs=1)


def test_what_is_better_is_told_by_the_name() -> None:
    grows = ["val_accuracy", "auc", "val_r2", "f1", "top_5", "precision", "recall"]
    for name in (*grows, "loss", "val_mae", "rmse", "perplexity"):
        sign = train.EarlyStopping(name).monitor.sign
        assert sign == (1 if name in grows else -1), name


@pytest.mark.parametrize("jit", [True, False])
def test_terminate_on_nan_ends_without_an_error(
    jit: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = AIM.copy()
    bad[13] = np.nan
    model = line("sgd", jit=jit)
    model.fit(LINE, bad, 4, 5, shuffle=False, verbose=0, callbacks=[train.TerminateOnNaN()])
    assert model.history.epoch == [0]
    said = "TerminateOnNaN: the loss was nan in epoch 1, batch 4"
    assert said in capsys.readouterr().err
    with pytest.raises(train.DivergenceError):  # the next one is as strict as ever
        line("sgd", jit=jit).fit(LINE, bad, 4, 5, shuffle=False, verbose=0)


# Logs


def test_csv_and_json_hold_what_the_history_holds(tmp_path: Path) -> None:
    files = [train.CSVLogger(tmp_path / "new" / "log.csv", separator=";"),
             train.JSONLogger(tmp_path / "new" / "log.jsonl")]  # fmt: skip
    history = fit(network(), *files).history
    with open(files[0].path, newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    lines = [json.loads(line) for line in files[1].path.read_text().splitlines()]
    assert rows[0] == list(lines[0]) == ["epoch", *history.history]
    for i, epoch in enumerate(history.epoch):
        numbers = [epoch, *[values[i] for values in history.history.values()]]
        assert [float(cell) for cell in rows[1 + i]] == list(lines[i].values()) == numbers
    fit(network(), train.CSVLogger(files[0].path, ";", append=True), epochs=1)
    assert len(files[0].path.read_text().splitlines()) == 1 + EPOCHS + 1
    fit(network(), train.CSVLogger(files[0].path), epochs=1)
    assert len(files[0].path.read_text().splitlines()) == 2


def test_numbers_that_come_late_get_a_column(tmp_path: Path) -> None:
    log = train.CSVLogger(tmp_path / "log.csv")
    fit(network(), log, validation_freq=2)
    rows = [row.split(",") for row in log.path.read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [[cell != "" for cell in row] for row in rows[1:]] == [
        [True] * 3 + [False] * 2, [True] * 5, [True] * 3 + [False] * 2
    ]  # fmt: skip


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    log = train.JSONLogger(tmp_path / "log.jsonl")
    short(Told([math.nan, -math.inf, np.float32(0.5)]), log, epochs=3)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["told"] for line in lines] == [None, None, 0.5]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(pr.DataError, match=r"log\.csv must be written"):
        fit(network(), train.CSVLogger(tmp_path / "file" / "log.csv"))


def test_tensorboard_files_hold_every_step(tmp_path: Path) -> None:
    made(TABLE, "TensorBoard", tmp_path)
    from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-not-found]

    model = fit(network(), train.TensorBoard(tmp_path))
    (path,) = tmp_path.iterdir()
    raw, found = path.read_bytes(), {}
    while raw:
        size = int.from_bytes(raw[:8], "little")
        event = Event.FromString(raw[12 : 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
        raw = raw[16 + size :]
    assert set(found) == {"step/loss", "loss/train", "loss/valid", "accuracy/train",
                          "accuracy/valid", "lr"}  # fmt: skip
    assert sorted(found["step/loss"]) == list(range(1, EPOCHS * BATCHES + 1))
    for i, value in enumerate(model.history.history["val_loss"], 1):
        assert found["loss/valid"][i] == pytest.approx(value, rel=1e-6)


def test_tensorboard_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pierian\\[log\\]"):
        fit(network(), train.TensorBoard())


def test_timer_counts_steps_of_each_epoch(tmp_path: Path) -> None:
    timer = train.Timer()
    fit(network(), timer)
    assert timer.steps == [BATCHES] * EPOCHS
    assert len(timer.epochs) == EPOCHS
    assert all(0 < t <= e for t, e in zip(timer.training, timer.epochs, strict=True))
    assert timer.step == min(t / BATCHES for t in timer.training)
    with pytest.raises(ZeroDivisionError):
        fit(network(), train.ModelCheckpoint(tmp_path, 3, "step"),
            at_step(8, ZeroDivisionError()))  # fmt: skip
    timer = train.Timer()
    fit(network(), train.ModelCheckpoint(tmp_path, 3, "step"), timer, resume=True)
    assert timer.steps == [2 * BATCHES - 6, BATCHES]  # those that were done here


def test_recorder_has_the_loss_and_the_settings_of_every_step() -> None:
    recorder, losses = train.Recorder(), []
    eager = At(lambda run: losses.append(run.losses[0]), "after_batch")
    model = fit(network(), recorder, train.Scheduler("one-cycle"))
    rates = Written(lr_of)
    fit(network(), eager, train.Scheduler("one-cycle"), rates)
    assert recorder.losses.tolist() == losses
    np.testing.assert_array_equal(recorder.lrs, rates.seen.numpy())
    assert set(recorder.settings) == {"lr", "mom"}
    assert recorder.history == model.history.history
    assert [row[0] for row in recorder.values] == model.history.history["loss"]


def test_models_are_saved_after_epochs_and_the_best_ones_only_if_asked(tmp_path: Path) -> None:
    every = train.SaveModel(tmp_path / "{epoch:02d}-{loss:.3f}", save_weights_only=True)
    best = train.SaveModel(tmp_path / "best", "accuracy", save_best_only=True, mode="min")
    model = network()
    first: list[Any] = []
    keep = At(
        lambda run: first.append(model.state_dict()["0.weight"].numpy().copy()), "after_epoch"
    )
    fit(model, keep, every, best)
    losses, accuracy = model.history.history["loss"], model.history.history["accuracy"]
    files = sorted(path.name for path in tmp_path.glob("0*"))
    assert files == [f"{i + 1:02d}-{loss:.3f}" for i, loss in enumerate(losses)]
    found = pr.load(tmp_path / "best").state_dict()["0.weight"].numpy()
    assert np.array_equal(found, first[accuracy.index(min(accuracy))])
    fresh = network(seed=9)
    fresh.load_weights(tmp_path / files[0])
    assert np.array_equal(fresh.state_dict()["0.weight"].numpy(), first[0])
    with pytest.raises(ValueError, match="val_los"):
        fit(network(), train.SaveModel(tmp_path / "x", "val_los", save_best_only=True))
    for name in ("{other:.2f}", "{", "{}"):
        with pytest.raises(ValueError, match="SaveModel: filepath may name"):
            fit(network(), train.SaveModel(tmp_path / name))
