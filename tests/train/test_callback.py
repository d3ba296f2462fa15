"""Events come in Keras' order, with the numbers so far; History keeps them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from pierian.train import Callback, History
from tests.train.conftest import Problem, network

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


class Log(Callback):
    """Writes down every event: its hook, its number, the names in its logs."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        for hook in HOOKS:
            setattr(self, hook, self.writer(hook))

    def writer(self, hook: str) -> Any:
        def write(*args: Any) -> None:
            self.events.append((hook, *[list(a) if isinstance(a, dict) else a for a in args]))

        return write


def test_events_come_in_keras_order(waves: Problem) -> None:
    log = Log()
    model = network(1, 1)
    model.compile("sgd", "mse", ["mae"])
    x, y = waves.x, waves.y
    model.fit(x, y, batch_size=128, epochs=1, validation_data=(x, y), verbose=0, callbacks=[log])
    names, val = ["loss", "mae"], ["val_loss", "val_mae"]
    assert log.events == [
        ("on_train_begin", []),
        ("on_epoch_begin", 0, []),
        ("on_train_batch_begin", 0, []),
        ("on_train_batch_end", 0, names),
        ("on_train_batch_begin", 1, []),
        ("on_train_batch_end", 1, names),
        ("on_test_begin", []),
        ("on_test_batch_begin", 0, []),
        ("on_test_batch_end", 0, names),
        ("on_test_batch_begin", 1, []),
        ("on_test_batch_end", 1, names),
        ("on_test_end", names),
        ("on_epoch_end", 0, [*names, *val]),
        ("on_train_end", [*names, *val]),
    ]
    assert log.model is model
    assert log.params == {"epochs": 1, "steps": 2, "verbose": 0}
    log.events.clear()
    model.predict(x, batch_size=256, verbose=0, callbacks=log)
    assert log.events == [
        ("on_predict_begin", []),
        ("on_predict_batch_begin", 0, []),
        ("on_predict_batch_end", 0, []),
        ("on_predict_end", []),
    ]


def test_every_hook_is_called_by_something(waves: Problem) -> None:
    log = Log()
    model = network(1, 1)
    model.compile("sgd", "mse")
    model.fit(waves.x, waves.y, verbose=0, callbacks=[log])
    model.evaluate(waves.x, waves.y, verbose=0, callbacks=[log])
    model.predict(waves.x, verbose=0, callbacks=[log])
    assert {event[0] for event in log.events} == set(HOOKS)


def test_batch_logs_are_means_so_far(waves: Problem) -> None:
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    model = network(1, 1)
    model.compile("sgd", "mse")
    model.optimizer.lr = 0.0
    model.fit(waves.x, waves.y, batch_size=100, shuffle=False, verbose=0, callbacks=[Watch()])
    each = (model.predict(waves.x, verbose=0) - waves.y) ** 2
    assert seen == pytest.approx([each[:n].mean() for n in (100, 200, 256)], rel=1e-5)


def test_batch_logs_are_not_computed_for_nobody(waves: Problem) -> None:
    def late(y: Any, p: Any) -> Any:
        return (y - p).abs().mean()

    model = network(1, 1)
    model.compile("sgd", "mse", [late])
    computed = []
    metric = vars(model)["_recipe"].metrics[0]
    original = metric.compute
    metric.compute = lambda: computed.append(1) or original()

    class OnlyEpochs(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pass

    model.fit(waves.x, waves.y, epochs=2, verbose=0, callbacks=[OnlyEpochs()])
    assert len(computed) == 2


def test_what_a_callback_adds_to_the_logs_lands_in_the_history(waves: Problem) -> None:
    class Rate(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["lr"] = float(self.model.optimizer.learning_rate)
            self.model.optimizer.learning_rate = 0.5 / (epoch + 1)

    model = network(1, 1)
    model.compile("sgd", "mse")
    history = model.fit(waves.x, waves.y, epochs=3, verbose=0, callbacks=[Rate()])
    assert isinstance(history, History) and history is model.history
    assert history.history["lr"] == [0.01, 0.5, 0.25]
    assert history.epoch == [0, 1, 2]
    assert all(isinstance(v, float) for values in history.history.values() for v in values)


def test_history_says_how_it_went() -> None:
    history = History()
    assert repr(history) == "History(0 epochs)"
    history.load_state_dict({"epoch": [0], "history": {"loss": [0.5], "accuracy": [0.75]}})
    assert repr(history) == "History(1 epochs, last: loss=0.5, accuracy=0.75)"


def test_each_fit_has_its_own_history(waves: Problem) -> None:
    model = network(1, 1)
    model.compile("sgd", "mse")
    first = model.fit(waves.x, waves.y, verbose=0)
    assert model.fit(waves.x, waves.y, verbose=0) is not first
    assert len(first.epoch) == 1


def test_hooks_have_keras_signatures() -> None:
    for hook in HOOKS:
        parameters = list(inspect.signature(getattr(Callback, hook)).parameters)[1:]
        numbered = "batch" if "batch" in hook else "epoch"
        has_number = "batch" in hook or "epoch" in hook
        assert parameters == [numbered, "logs"] if has_number else ["logs"]


def test_error_in_a_callback_is_the_users(waves: Problem) -> None:
    class Broken(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise ZeroDivisionError

    model = network(1, 1)
    model.compile("sgd", "mse")
    with pytest.raises(ZeroDivisionError):
        model.fit(waves.x, waves.y, verbose=0, callbacks=[Broken()])
    assert model.training and np.isfinite(model[0].weight.numpy()).all()
