"""The loop: one graph per step, exact means, modes, what ends a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.core.trace import trace
from pierian.train import Callback, DivergenceError
from pierian.train.callback import Events
from pierian.train.feed import Form, open_feed
from pierian.train.recipe import of
from pierian.train.run import Run
from pierian.train.steps import Steps, train_step
from tests.train.conftest import Problem, network


def step_of(model: nn.Module) -> Any:
    """The step that `fit` takes, as a function of tensors."""
    feed = open_feed(Form("test", pr.float32), [(np.zeros((1, 2)), np.zeros(1))])
    run = Run(model, of("test", model), feed, training=True)
    return Steps(train_step, "test", run, Events("test", None, model, {}), keep=True).eager


@pytest.mark.parametrize("loss", ["cross_entropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_whole_step_traces_to_one_graph(loss: str, weighted: bool, blobs: Problem) -> None:
    def make() -> nn.Module:
        pr.manual_seed(1)
        last = [] if loss == "cross_entropy" else [nn.Softmax()]
        model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3), *last)
        model.compile("adam", loss)
        return model

    x, y = (pr.tensor(blobs.x[:32]),), pr.tensor(blobs.y[:32])
    weight = pr.linspace(0, 1, 32) if weighted else None
    eager, traced = make(), make()
    step = step_of(eager)
    traced.optimizer.init_state()
    program = trace(step_of(traced), x, y, weight)
    pr.manual_seed(2)
    expected = [step(x, y, weight)[0].item() for _ in range(3)]
    pr.manual_seed(2)
    assert [program(x, y, weight)[0].item() for _ in range(3)] == expected
    for one, other in zip(eager.parameters(), traced.parameters(), strict=True):
        assert (one.numpy() == other.numpy()).all()


def test_means_are_exact_when_the_last_batch_is_short(blobs: Problem) -> None:
    model = network(2, 3)
    model.compile("sgd", "cross_entropy", ["accuracy"])
    whole = model.evaluate(blobs.x, blobs.y, batch_size=400, verbose=0)
    parts = model.evaluate(blobs.x, blobs.y, batch_size=77, verbose=0)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert parts[1] == (model.predict(blobs.x, verbose=0).argmax(1) == blobs.y).mean()


class Modes(nn.Module):
    """Notes in which mode, and with gradients or not, it was called."""

    def __init__(self) -> None:
        self.inner = nn.Linear(1, 1)
        self.seen: set[tuple[bool, bool]] = set()

    def forward(self, x: Any) -> Any:
        self.seen.add((self.training, pr.is_grad_enabled()))
        return self.inner(x)


def test_modes_are_set_and_restored() -> None:
    x = np.ones((4, 1), "float32")
    model = Modes()
    model.compile("sgd", "mse", jit=False)  # compiled, forward would run in the trace alone
    model.inner.eval()
    model.evaluate(x, x, verbose=0)
    model.predict(x, verbose=0)
    model.test_on_batch(x, x)
    assert model.seen == {(False, False)}
    assert (model.training, model.inner.training) == (True, False)
    model.seen.clear()
    model.eval()
    model.fit(x, x, epochs=2, validation_data=(x, x), verbose=0)
    assert model.seen == {(True, True), (False, False)}
    assert (model.training, model.inner.training) == (False, False)


def test_mode_is_restored_after_an_error() -> None:
    model = Modes()
    for call in (model.predict, lambda x, verbose: model.evaluate(x, x, verbose=verbose)):
        model.compile("sgd", "mse")
        with pytest.raises(pr.ShapeError):
            call(np.ones((4, 7), "float32"), verbose=0)
        assert model.training and model.inner.training


def test_gradients_left_over_are_not_used() -> None:
    x = np.ones((4, 1), "float32")
    weights = []
    for stale in (False, True):
        pr.manual_seed(3)
        model = network(1, 1)
        if stale:
            model(x).sum().backward()
        model.compile("sgd", "mse")
        model.fit(x, x, verbose=0)
        assert model[0].weight.grad is None
        weights.append(model[0].weight.item())
        if stale:
            model(x).sum().backward()
        model.train_on_batch(x, x)
        weights.append(model[0].weight.item())
    assert weights[:2] == weights[2:]


class Stop(Callback):
    def __init__(self, hook: str, number: int) -> None:
        self.number = number
        setattr(self, hook, self.stop)
        self.ended = 0

    def stop(self, number: int, logs: Any = None) -> None:
        if number == self.number:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self.ended += 1


def test_stop_training_ends_the_epoch_or_the_run(waves: Problem) -> None:
    model = network(1, 1)
    model.compile("sgd", "mse")
    stop = Stop("on_epoch_end", 2)
    assert model.fit(waves.x, waves.y, epochs=9, callbacks=[stop], verbose=0).epoch == [0, 1, 2]
    assert stop.ended == 1
    steps = []

    class Count(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(batch)

    model.fit(
        waves.x, waves.y, epochs=9, callbacks=[Stop("on_train_batch_end", 4), Count()], verbose=0
    )
    assert steps == [0, 1, 2, 3, 4]
    assert len(model.history.epoch) == 1


def test_ctrl_c_keeps_the_history_and_the_model(waves: Problem) -> None:
    class Impatient(Stop):
        def stop(self, number: int, logs: Any = None) -> None:
            if number == self.number:
                raise KeyboardInterrupt

    model = network(1, 4, 1)
    model.compile("adam", "mse")
    stop = Impatient("on_epoch_begin", 2)
    with pytest.raises(KeyboardInterrupt):
        model.fit(waves.x, waves.y, epochs=5, callbacks=[stop], verbose=0)
    assert model.history.epoch == [0, 1] and len(model.history.history["loss"]) == 2
    assert stop.ended == 1
    assert model.training
    model.fit(waves.x, waves.y, verbose=0)


def diverging(x: np.ndarray, y: np.ndarray, lr: float = 1e20, **options: Any) -> str:
    model = network(1, 1)
    model.compile("sgd", "mse")
    model.optimizer.lr = lr
    with pytest.raises(DivergenceError) as caught:
        model.fit(x, y, batch_size=2, verbose=0, shuffle=False, **options)
    assert isinstance(caught.value, pr.PierianError) and isinstance(caught.value, ArithmeticError)
    return str(caught.value).partition("\n")[0]  # what comes after it, test_watch.py looks at


def test_loss_that_is_no_number_is_reported_with_its_place() -> None:
    x = np.ones((8, 1), "float32")
    assert diverging(x, 3 * x) == (
        "fit: the loss must stay finite; expected a number, got inf in epoch 1, batch 2 of 4. "
        "Try a smaller learning rate than 1e+20, and inputs scaled to about -1 … 1."
    )
    bad = x.copy()
    bad[5] = np.nan
    assert diverging(bad, x, lr=1e-3) == (
        "fit: the loss must stay finite; expected a number, got nan in epoch 1, batch 3 of 4. "
        "x of this batch holds 1 NaN or infinite values: repair the data."
    )
    assert diverging(x, bad, lr=1e-3, initial_epoch=6, epochs=7) == (
        "fit: the loss must stay finite; expected a number, got nan in epoch 7, batch 3 of 4. "
        "y of this batch holds 1 NaN or infinite values: repair the data."
    )


def test_evaluation_of_nan_is_no_error() -> None:
    model = network(1, 1)
    model.compile("sgd", "mse")
    bad = np.full((4, 1), np.nan, "float32")
    assert np.isnan(model.evaluate(bad, bad, verbose=0))
