"""Keras' verbs: that networks learn, every argument of fit, what evaluate and predict give."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import data, nn
from pierian.train import Callback
from tests.train.conftest import Problem, network

# Learning

LEARNERS: dict[str, tuple[Any, bool]] = {
    "cross_entropy": ("cross_entropy", False),
    "sparse_categorical_crossentropy": ("sparse_categorical_crossentropy", False),
    "categorical_crossentropy": ("categorical_crossentropy", True),
    "nn.CrossEntropyLoss": (nn.CrossEntropyLoss(label_smoothing=0.01), False),
    "own function": (lambda y, p: -(y * pr.log_softmax(p)).sum(1), True),
}


@pytest.mark.parametrize("case", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_network_learns_to_tell_clouds_apart(
    case: tuple[Any, bool], optimizer: str, blobs: Problem
) -> None:
    loss, one_hot = case
    y, y_test = (np.eye(3, dtype="float32")[v] if one_hot else v for v in (blobs.y, blobs.y_test))
    last = [nn.Softmax()] if "categorical" in str(loss) else []
    model = nn.Sequential(nn.Dense(16, "relu"), nn.Dense(3), *last)
    model.compile(optimizer, loss, ["accuracy"])
    model.optimizer.lr = 0.02
    history = model.fit(blobs.x, y, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.evaluate(blobs.x_test, y_test, verbose=0)[1] > 0.95


def test_network_learns_a_function(waves: Problem) -> None:
    model = network(1, 32, 1)
    model.compile("adam", "mse", ["mae", "r2"])
    model.optimizer.lr = 0.02
    model.fit(waves.x, waves.y, epochs=30, verbose=0)
    result = model.evaluate(waves.x_test, waves.y_test, verbose=0, return_dict=True)
    assert list(result) == ["loss", "mae", "r2"]
    assert result["r2"] > 0.98
    untrained = np.mean((waves.y_test - waves.y_test.mean()) ** 2)
    assert result["loss"] == pytest.approx((1 - result["r2"]) * untrained, rel=1e-4)


def test_network_learns_yes_and_no(blobs: Problem) -> None:
    y = (blobs.y[:, None] == 1).astype("float32")
    for last, loss in ((nn.Sigmoid(), "binary_crossentropy"), (None, nn.BCEWithLogitsLoss())):
        model = nn.Sequential(nn.Dense(8, "relu"), nn.Dense(1), *([last] if last else []))
        model.compile("adam", loss, ["accuracy"])
        model.optimizer.lr = 0.03
        assert model.fit(blobs.x, y, epochs=8, verbose=0).history["accuracy"][-1] > 0.95


# Reproduction


def weights(seed: int, problem: Problem, **options: Any) -> np.ndarray:
    pr.manual_seed(seed)
    model = nn.Sequential(nn.Dense(8, "relu"), nn.Dropout(0.2), nn.Dense(3))
    model.compile("adam", "cross_entropy")
    model.fit(problem.x, problem.y, epochs=2, verbose=0, **options)
    return np.concatenate([p.numpy().ravel() for p in model.parameters()])


def test_seed_fixes_every_bit(blobs: Problem) -> None:
    first = weights(5, blobs)
    assert (weights(5, blobs) == first).all()
    assert (weights(5, blobs, validation_data=(blobs.x_test, blobs.y_test)) == first).all()
    assert not (weights(6, blobs) == first).all()
    assert not (weights(5, blobs, shuffle=False) == first).all()


class Order(nn.Module):
    """Notes the rows it is trained on, in their order; the validation rows too."""

    def __init__(self) -> None:
        self.inner = nn.Linear(1, 1)
        self.trained: list[float] = []
        self.others: list[float] = []

    def forward(self, x: Any) -> Any:
        (self.trained if self.training else self.others).extend(x.numpy()[:, 0].tolist())
        return self.inner(x)


def order(n: int, seed: int = 0, **options: Any) -> Order:
    pr.manual_seed(seed)
    model = Order()
    model.compile("sgd", "mse")
    x = np.arange(n, dtype="float32")[:, None] / n
    model.predict(x[:1], verbose=0)
    options.setdefault("verbose", 0)
    model.others.clear()
    model.fit(x, 0 * x, **options)
    model.trained = [round(value * n) for value in model.trained]
    model.others = [round(value * n) for value in model.others]
    return model


def test_shuffle_is_new_in_every_epoch_and_leaves_nothing_out() -> None:
    rows = order(50, epochs=2).trained
    first, second = rows[:50], rows[50:]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second and first != list(range(50))
    assert order(50, epochs=1, shuffle=False).trained == list(range(50))


def test_initial_epoch_goes_on_in_the_order_of_that_epoch() -> None:
    assert order(50, epochs=3).trained[100:] == order(50, epochs=3, initial_epoch=2).trained
    model = order(8, epochs=5, initial_epoch=3)
    assert model.history.epoch == [3, 4]


def test_steps_per_epoch_goes_on_where_the_last_epoch_stopped() -> None:
    model = order(10, epochs=3, batch_size=2, steps_per_epoch=2, shuffle=False)
    assert model.trained == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert model.history.params["steps"] == 2


# Validation


def test_validation_split_takes_the_last_rows_before_shuffling() -> None:
    model = order(20, validation_split=0.25)
    assert sorted(model.trained) == list(range(15))
    assert model.others[-5:] == [15, 16, 17, 18, 19]
    assert list(model.history.history) == ["loss", "val_loss"]


def test_validation_data_in_any_form_give_the_same(blobs: Problem) -> None:
    x, y = blobs.x_test, blobs.y_test
    pairs = data.ArrayDataset(x, y)
    forms: list[Any] = [
        (x, y),
        [x, y],
        (x, y, np.ones(100)),
        pairs,
        data.DataLoader(pairs, 30),
        [(x[:50], y[:50]), (x[50:], y[50:])],
    ]
    results = []
    for form in forms:
        pr.manual_seed(1)
        model = network(2, 3)
        model.compile("sgd", "cross_entropy", ["accuracy"])
        history = model.fit(
            blobs.x, blobs.y, epochs=2, batch_size=40, validation_data=form, verbose=0
        ).history
        assert history["val_loss"][1] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)
        results.append(history["val_loss"] + history["val_accuracy"])
    for result in results[1:]:
        assert result == pytest.approx(results[0], rel=1e-5)


def test_validation_may_be_rare_short_and_in_other_batches(waves: Problem) -> None:
    sizes = []

    class Sizes(Callback):
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            sizes.append(batch)

    model = network(1, 1)
    model.compile("sgd", "mse")

    def count(**options: Any) -> int:
        history = model.fit(
            waves.x, waves.y, epochs=4, verbose=0, callbacks=[Sizes()],
            validation_data=(waves.x_test, waves.y_test), **options,
        ).history  # fmt: skip
        return len(history["val_loss"])

    assert count(validation_freq=3) == 1
    assert count(validation_freq=[1, 4]) == 2
    sizes.clear()
    assert count(validation_batch_size=16, validation_steps=3) == 4
    assert sizes == [0, 1, 2] * 4  # the same three batches after each epoch


def test_validation_split_without_a_class_is_warned_of(blobs: Problem) -> None:
    model = network(2, 3)
    model.compile("sgd", "cross_entropy")
    at = np.argsort(blobs.y, kind="stable")
    text = (
        "fit: validation_split takes the last rows, and those 40 lack class 0, 1. Shuffle sorted "
        "data first, or pass validation_data."
    )
    with pytest.warns(UserWarning) as caught:
        model.fit(blobs.x[at], blobs.y[at], validation_split=0.1, verbose=0)
    assert str(caught[0].message) == text
    assert caught[0].filename == __file__  # the line of the caller
    one_hot = np.eye(3, dtype="float32")[blobs.y[at]]
    with pytest.warns(UserWarning, match="lack class 0, 1"):
        model.fit(blobs.x[at], one_hot, validation_split=0.1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(blobs.x, blobs.y, validation_split=0.1, verbose=0)
        network_of_numbers = network(1, 1)
        network_of_numbers.compile("sgd", "mse")
        counts = np.arange(40)[:, None]
        network_of_numbers.fit(counts / np.float32(40), counts, validation_split=0.1, verbose=0)


# Weights


def test_class_weight_is_sample_weight_by_class(blobs: Problem) -> None:
    by_class = np.array([0.5, 2.0, 1.0])
    losses = []
    for options in (
        {"class_weight": {0: 0.5, 1: 2.0}},
        {"sample_weight": by_class[blobs.y]},
        {"class_weight": {0: 0.5}, "sample_weight": np.where(blobs.y == 1, 2.0, 1.0)},
    ):
        pr.manual_seed(1)
        model = network(2, 3)
        model.compile("sgd", "cross_entropy")
        losses.append(model.fit(blobs.x, blobs.y, epochs=2, verbose=0, **options).history["loss"])
    assert losses[0] == losses[1] == losses[2]


def test_weight_zero_takes_an_example_out(waves: Problem) -> None:
    model = network(1, 1)
    model.compile("sgd", "mse", ["mae"])
    spoilt = waves.y.copy()
    spoilt[::2] = 1e6
    keep = np.tile([0.0, 1.0], 128)
    model.fit(waves.x, spoilt, epochs=20, sample_weight=keep, verbose=0)
    assert model.evaluate(waves.x, waves.y, verbose=0)[0] < 0.5
    weighted = model.evaluate(waves.x, spoilt, sample_weight=keep, verbose=0, return_dict=True)
    plain = model.evaluate(waves.x[1::2], waves.y[1::2], verbose=0)
    assert weighted["loss"] == pytest.approx(plain[0] / 2, rel=1e-5)
    assert weighted["mae"] > 1e5  # metrics are not weighted, as in Keras


def test_class_weight_of_one_hot_rows_and_columns() -> None:
    for y, p in ((np.eye(2, dtype="float32"), 2), (np.array([[0.0], [1.0]], "float32"), 1)):
        model = nn.Sequential(nn.Linear(1, p), nn.Sigmoid())
        model.compile("sgd", "binary_crossentropy")
        x = np.zeros((2, 1), "float32")
        both = model.train_on_batch(x, y, class_weight={0: 0.0, 1: 0.0})
        assert both == 0.0


# The other verbs


def test_evaluate_gives_keras_forms(blobs: Problem) -> None:
    model = network(2, 3)
    model.compile("sgd", "cross_entropy")
    assert isinstance(model.evaluate(blobs.x, blobs.y, verbose=0), float)
    model.compile("sgd", "cross_entropy", ["accuracy"])
    values = model.evaluate(blobs.x, blobs.y, verbose=0)
    named = model.evaluate(blobs.x, blobs.y, verbose=0, return_dict=True)
    assert values == [named["loss"], named["accuracy"]]
    some = model.evaluate(blobs.x, blobs.y, batch_size=10, steps=3, verbose=0)
    assert some == pytest.approx(model.evaluate(blobs.x[:30], blobs.y[:30], verbose=0), rel=1e-6)


def test_predict_takes_what_fit_takes(blobs: Problem) -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dense(3, "softmax"))
    pairs = data.ArrayDataset(blobs.x, blobs.y)
    out = model.predict(blobs.x, verbose=0)
    assert type(out) is np.ndarray and out.shape == (400, 3) and out.dtype == np.float32
    for x in (pr.tensor(blobs.x), blobs.x.tolist(), pairs, data.DataLoader(pairs, 33)):
        assert model.predict(x, verbose=0) == pytest.approx(out, rel=1e-6)
    assert model.predict(iter([blobs.x[:3], blobs.x[3:5]]), verbose=0).shape == (5, 3)
    assert len(model.predict(blobs.x, batch_size=8, steps=2, verbose=0)) == 16
    assert model.predict_on_batch(blobs.x) == pytest.approx(out, rel=1e-6)


class Pair(nn.Module):
    """Two inputs, and in eval mode two outputs."""

    def __init__(self) -> None:
        self.left, self.right = nn.Linear(1, 1), nn.Linear(2, 1)

    def forward(self, a: Any, b: Any) -> Any:
        return self.left(a) + self.right(b)


class Both(Pair):
    def forward(self, a: Any, b: Any) -> Any:
        return self.left(a), self.right(b)


def test_models_with_several_inputs_and_outputs(blobs: Problem) -> None:
    x = (blobs.x[:, :1], blobs.x)
    y = blobs.x.sum(1, keepdims=True)
    model = Pair()
    model.compile("adam", "mse")
    model.optimizer.lr = 0.05
    history = model.fit(x, y, epochs=10, validation_split=0.1, verbose=0).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    model.fit([(x, y)], verbose=0)
    assert model.predict(x, verbose=0).shape == (400, 1)
    left, right = Both().predict(x, batch_size=100, verbose=0)
    assert left.shape == right.shape == (400, 1)


def test_on_batch_makes_one_update_and_gives_its_numbers(waves: Problem) -> None:
    model = nn.Sequential(nn.Dense(1))
    model.compile("sgd", "mse", ["mae"])
    before = model.test_on_batch(waves.x, waves.y, return_dict=True)
    loss, mae = model.train_on_batch(waves.x, waves.y)
    assert [loss, mae] == pytest.approx([before["loss"], before["mae"]])
    after = model.test_on_batch(waves.x, waves.y)
    assert after[0] < loss
    assert model.train_on_batch(waves.x, waves.y)[0] == pytest.approx(after[0])


# Data in other forms


def batches(x: np.ndarray, y: np.ndarray, size: int = 40) -> Iterator[Any]:
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


def test_data_in_any_form_train_alike(blobs: Problem) -> None:
    x, y = blobs.x, blobs.y
    pairs = data.ArrayDataset(x, y)
    forms: dict[str, tuple[Any, ...]] = {
        "arrays": (x, y),
        "tensors": (pr.tensor(x), pr.tensor(y)),
        "lists": (x.tolist(), y.tolist()),
        "dataset": (pairs,),
        "loader": (data.DataLoader(pairs, 40),),
        "list of batches": (list(batches(x, y)),),
        "generator": (batches(x, y),),
        "batches of lists": ([[a, b] for a, b in batches(x, y)].__iter__(),),
    }
    results = {}
    for name, arguments in forms.items():
        pr.manual_seed(1)
        model = network(2, 3)
        model.compile("sgd", "cross_entropy")
        options = {"batch_size": 40} if name in ("arrays", "tensors", "lists", "dataset") else {}
        model.fit(*arguments, shuffle=False, verbose=0, **options)
        results[name] = model[0].weight.numpy()
    for name, result in results.items():
        assert (result == results["arrays"]).all(), name


def test_generator_without_an_end_needs_steps(blobs: Problem) -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield from batches(blobs.x, blobs.y)

    model = network(2, 3)
    model.compile("sgd", "cross_entropy")
    history = model.fit(
        endless(), epochs=3, steps_per_epoch=7, validation_data=endless(), validation_steps=2,
        verbose=0,
    )  # fmt: skip
    assert history.epoch == [0, 1, 2] and len(history.history["val_loss"]) == 3


def test_loader_of_the_user_counts_its_epochs_once(blobs: Problem) -> None:
    loader = data.DataLoader(data.ArrayDataset(blobs.x, blobs.y), 40, shuffle=True, seed=1)
    model = nn.Sequential(nn.Dense(3))  # built from the first batch, which must not be lost
    model.compile("sgd", "cross_entropy")
    model.fit(loader, epochs=2, verbose=0)
    assert loader.epoch == 2


def test_deferred_layers_are_built_in_eval_mode() -> None:
    modes = []

    class Watch(nn.Dense):
        def forward(self, x: Any) -> Any:
            modes.append((self.training, pr.is_grad_enabled()))
            return super().forward(x)

    model = nn.Sequential(Watch(1))
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
    assert modes == [(False, False), (True, True)]


# Dtypes


def test_float64_becomes_float32_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.ones((8, 2))
    model = network(2, 1)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=2, verbose=2)
    model.evaluate(x, x[:, :1])
    assert model.predict(x).dtype == np.float32
    assert capsys.readouterr().err == "fit: x is float64, taken as float32 like the model.\n"


def test_model_in_float64_keeps_float64(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.linspace(0, 1, 8)[:, None]
    model = network(1, 1).double()
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=2)
    assert model.predict(x.astype("float32"), verbose=0).dtype == np.float64
    assert capsys.readouterr().err == ""


def test_bytes_are_taken_as_they_are_and_scaling_is_suggested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = np.full((4, 3), 255, "uint8")
    out = nn.Sequential(nn.ReLU()).predict(x, verbose=2)
    assert out.dtype == np.float32 and (out == 255).all()
    assert capsys.readouterr().err == (
        "predict: x is uint8, taken as float32 without scaling; divide by 255 to learn faster.\n"
    )


def test_silent_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    model = network(2, 1)
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), np.ones((8, 1), "uint8"), verbose=0)
    model.evaluate(np.ones((8, 2), "uint8"), np.ones((8, 1)), verbose=0)
    assert capsys.readouterr() == ("", "")


def test_integer_inputs_stay_integers() -> None:
    class Look(nn.Module):
        def forward(self, x: Any) -> Any:
            assert x.dtype == np.int64
            return x

    x = np.arange(6).reshape(3, 2)
    assert (Look().predict(x, verbose=0) == x).all()


# Refusals


def compiled(*sizes: int, loss: Any = "mse") -> nn.Module:
    model = network(*(sizes or (1, 1)))
    model.compile("sgd", loss)
    return model


x4, y4 = np.ones((4, 1), "float32"), np.ones((4, 1), "float32")
empty = np.ones((0, 1), "float32")
ROWS_FIX = (
    "Turn names into class numbers, with np.unique(names, return_inverse=True); put a single row "
    "into a list."
)

MESSAGES: dict[str, tuple[Any, type[Exception], str]] = {
    "different lengths": (
        lambda: compiled().fit(x4, y4[:3]), pr.ShapeError,
        "fit: x and y must have equal lengths; expected 4 rows as in x of shape (4, 1), got 3 in y "
        "of shape (3, 1). Pass one row of each per example.",
    ),
    "different lengths of weights": (
        lambda: compiled().evaluate(x4, y4, sample_weight=[1.0]), pr.ShapeError,
        "evaluate: x and sample_weight must have equal lengths; expected 4 rows as in x of shape "
        "(4, 1), got 1 in sample_weight of shape (1,). Pass one row of each per example.",
    ),
    "empty arrays": (
        lambda: compiled().fit(empty, empty), pr.DataError,
        "fit: there must be data; expected at least 1 row, got x of shape (0, 1). Check how it was "
        "made.",
    ),
    "empty dataset": (
        lambda: compiled().fit(data.Subset([(1.0, 1.0)], [])), pr.DataError,
        "fit: there must be data; expected at least 1 row, got an empty dataset. Check how it was "
        "made.",
    ),
    "empty iterable": (
        lambda: compiled().fit(iter([])), pr.DataError,
        "fit: an epoch needs its batches; expected at least 1, got 0 in epoch 1. Check how the "
        "data were made.",
    ),
    "generator that is used up": (
        lambda: compiled().fit(batches(x4, y4), epochs=2), pr.DataError,
        "fit: an epoch needs its batches; expected at least 1, got 0 in epoch 2. A generator is "
        "used up after one pass: let it go on and pass steps_per_epoch, or pass what can be gone "
        "through again, like a DataLoader.",
    ),
    "generator that ends early": (
        lambda: compiled().fit(batches(x4, y4, 1), steps_per_epoch=9), pr.DataError,
        "fit: an epoch needs its batches; expected 9, got 4 in epoch 1. A generator is used up "
        "after one pass: let it go on and pass steps_per_epoch, or pass what can be gone through "
        "again, like a DataLoader.",
    ),
    "validation that is used up": (
        lambda: compiled().fit(x4, y4, epochs=2, validation_data=batches(x4, y4)), pr.DataError,
        "fit: an epoch needs its batches; expected at least 1, got 0 in epoch 2. A generator is "
        "used up after one pass: let it go on and pass validation_steps, or pass what can be gone "
        "through again, like a DataLoader.",
    ),
    "no targets": (
        lambda: compiled().fit(x4), pr.DataError,
        "fit: there must be targets; expected x and y, got x alone. Pass y, or batches (x, y).",
    ),
    "four parts": (
        lambda: compiled().fit(iter([(x4, y4, y4, y4)])), pr.ShapeError,
        "fit: a batch has at most three parts; expected (x, y, weight), got 4 parts. Several "
        "inputs go together, as ((a, b), y).",
    ),
    "y beside a loader": (
        lambda: compiled().fit(data.DataLoader(data.ArrayDataset(x4, y4), 2), y4), ValueError,
        "fit: y goes with arrays only; expected no y, got y beside a DataLoader. Let the batches "
        "be (x, y, weight), of the size you want.",
    ),
    "batch_size beside a generator": (
        lambda: compiled().fit(batches(x4, y4), batch_size=2), ValueError,
        "fit: batch_size goes with arrays only; expected no batch_size, got batch_size beside a "
        "generator. Let the batches be (x, y, weight), of the size you want.",
    ),
    "strings": (
        lambda: compiled().fit(x4, np.array(["a", "b", "a", "b"])), pr.DtypeError,
        "fit: y must be rows of numbers; expected floats, integers or bools of shape (n, ...), got "
        f"dtype <U1 of shape (4,). {ROWS_FIX}",
    ),
    "objects": (
        lambda: compiled().predict(np.array([[None], [1.0]])), pr.DtypeError,
        "predict: x must be rows of numbers; expected floats, integers or bools of shape (n, ...), "
        f"got dtype object of shape (2, 1). {ROWS_FIX}",
    ),
    "a number": (
        lambda: compiled().predict(3.0), pr.DtypeError,
        "predict: x must be rows of numbers; expected floats, integers or bools of shape (n, ...), "
        f"got dtype float32 of shape (). {ROWS_FIX}",
    ),
    "label too large": (
        lambda: compiled(1, 3, loss="cross_entropy").fit(x4, [0, 2, 3, 7]), ValueError,
        "fit: labels in y must be class numbers; expected 0 <= label < 3, the outputs of the "
        "model, got 3 at position 2. Number the classes from 0, or give the model more outputs.",
    ),
    "label too large in validation": (
        lambda: compiled(1, 3, loss=nn.CrossEntropyLoss()).fit(
            x4, [0, 1, 2, 0], validation_data=(x4, [0, 1, 2, -1])
        ), ValueError,
        "fit: labels in the y of validation must be class numbers; expected 0 <= label < 3, the "
        "outputs of the model, got -1 at position 3. Number the classes from 0, or give the model "
        "more outputs.",
    ),
    "validation_split": (
        lambda: compiled().fit(x4, y4, validation_split=1.5), ValueError,
        "fit: validation_split must divide arrays in two; expected 0 < validation_split < 1 and "
        "rows on both sides, got 1.5 of 4 rows. Pass 0.2, or validation_data.",
    ),
    "validation_split of too little": (
        lambda: compiled().fit(x4[:1], y4[:1], validation_split=0.1), ValueError,
        "fit: validation_split must divide arrays in two; expected 0 < validation_split < 1 and "
        "rows on both sides, got 0.1 of 1 rows. Pass 0.2, or validation_data.",
    ),
    "validation_split of a generator": (
        lambda: compiled().fit(batches(x4, y4), validation_split=0.1), ValueError,
        "fit: validation_split must divide arrays in two; expected 0 < validation_split < 1 and "
        "rows on both sides, got 0.1 of a generator. Pass 0.2, or validation_data.",
    ),
    "batch_size": (
        lambda: compiled().fit(x4, y4, batch_size=0), ValueError,
        "fit: batch_size must be at least 1; expected batch_size >= 1, got 0. Pass batch_size=32.",
    ),
    "epochs": (
        lambda: compiled().fit(x4, y4, epochs=1.5), TypeError,
        "fit: epochs must be an int; expected an int >= 0, got 1.5 of type float. Pass epochs=10.",
    ),
    "steps": (
        lambda: compiled().fit(x4, y4, steps_per_epoch=0), ValueError,
        "fit: steps_per_epoch must be at least 1; expected steps_per_epoch >= 1, got 0. Leave it "
        "out to use all batches.",
    ),
    "validation_freq": (
        lambda: compiled().fit(x4, y4, validation_data=(x4, y4), validation_freq=0, verbose=0),
        ValueError,
        "fit: validation_freq must be at least 1; expected validation_freq >= 1, got 0. Pass "
        "validation_freq=1.",
    ),
    "class_weight": (
        lambda: compiled().fit(x4, y4, class_weight=[1.0, 2.0]), ValueError,
        "fit: class_weight gives the weight of an example by its class; expected a dict, and y of "
        "shape (n,) or (n, classes), got a list, and y of shape (4, 1). Pass sample_weight.",
    ),
    "verbose": (
        lambda: compiled().fit(x4, y4, verbose=3), ValueError,
        'fit: verbose says how much to show; expected "auto", 0, 1 or 2, got 3. Leave it out for a '
        "bar in a terminal and lines elsewhere.",
    ),
    "callbacks": (
        lambda: compiled().fit(x4, y4, callbacks=[print]), TypeError,
        "fit: callbacks must be callbacks; expected train.Callback, got a "
        "builtin_function_or_method. Derive its class from train.Callback.",
    ),
    "several outputs": (
        lambda: train_both(), TypeError,
        "fit: the model must give what the loss takes; expected one tensor, got a tuple. Return a "
        "tensor from forward.",
    ),
}  # fmt: skip


def train_both() -> None:
    model = Both()
    model.compile("sgd", "mse")
    model.fit((x4, np.ones((4, 2), "float32")), y4)


@pytest.mark.parametrize("case", MESSAGES.values(), ids=MESSAGES)
def test_what_does_not_fit_is_refused(case: tuple[Any, type[Exception], str]) -> None:
    call, kind, text = case
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_shape_mismatches_name_the_layer_or_loss_before_any_update() -> None:
    probabilities = nn.Sequential(nn.Linear(1, 2), nn.Softmax())
    probabilities.compile("sgd", "cross_entropy")
    logits = compiled(1, 1, loss="binary_crossentropy")
    with pr.no_grad():
        logits[0].bias.fill_(7.0)
    cases: list[tuple[nn.Module, Any, str]] = [
        (compiled(3, 1), y4, r'^Linear\("0"\): last axis of x must equal'),
        (compiled(1, 1), y4[:, 0], r"^mse_loss: .* \(4, 1\) like input, got \(4,\)"),
        (probabilities, [0, 1, 0, 1], r"^cross_entropy: .* remove the last softmax"),
        (logits, y4, r"^binary_crossentropy: predictions must hold probabilities"),
    ]
    for model, y, pattern in cases:
        before = [p.numpy().copy() for p in model.parameters()]
        with pytest.raises(ValueError, match=pattern):
            model.fit(x4, y, verbose=0)
        for p, value in zip(model.parameters(), before, strict=True):
            assert (p.numpy() == value).all()
