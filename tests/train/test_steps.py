"""Steps compiled against steps run eagerly: numbers, bits, programs, what cannot be compiled."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.base.notice import said
from pierian.compiler.threads import num_threads
from pierian.train import Callback, DivergenceError
from pierian.train.recipe import of
from pierian.train.steps import train_step
from tests.train.conftest import Problem


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    said.clear()
    yield
    said.clear()


def network(jit: Any, loss: str = "cross_entropy", dropout: float = 0.0) -> nn.Module:
    pr.manual_seed(3)
    model = nn.Sequential(
        nn.Dense(8, activation="relu"), nn.Dropout(dropout), nn.Dense(3),
        *([nn.Softmax()] if "categorical" in loss else []),
    )  # fmt: skip
    model.compile("adam", loss, ["accuracy"], jit=jit)
    return model


class AtBatches(Callback):
    """Wants every batch, so that steps are called one by one."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


def programs(model: nn.Module) -> int:
    """How many programs for steps of training on rows in memory there are."""
    kinds = of("test", model).steps.items()
    return sum(len(steps.resident) for key, steps in kinds if key[0] is train_step)


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "short last batch": {"batch_size": 7},
    "one batch": {"batch_size": 1000},
    "in order": {"shuffle": False},
    "class weights": {"class_weight": {0: 2.0, 2: 0.5}},
    "sample weights": {"sample_weight": np.linspace(0.1, 2.0, 400)},
    "validation": {"validation_split": 0.1},
    "dropout": {"dropout": 0.3},
    "probabilities": {"loss": "sparse_categorical_crossentropy"},
    "called at batches": {"callbacks": [AtBatches()]},
    "steps per epoch": {"steps_per_epoch": 3},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_compiled_training_gives_what_eager_training_gives(
    case: dict[str, Any], blobs: Problem
) -> None:
    options = dict(case)
    made = {name: options.pop(name) for name in ("loss", "dropout") if name in options}

    def run(jit: Any) -> tuple[Any, nn.Module]:
        model = network(jit, **made)
        return model.fit(blobs.x, blobs.y, epochs=3, verbose=0, **options).history, model

    (history, model), (expected, eager) = run(True), run(False)
    assert history.keys() == expected.keys()
    for name in history:
        assert history[name] == pytest.approx(expected[name], rel=2e-4), name
    for p, q in zip(model.parameters(), eager.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-3, atol=1e-4)


DATA = {
    "uint8": lambda x: ((x - x.min()) * 20).astype("uint8"),
    "float64": lambda x: x.astype("float64"),
    "every other row": lambda x: np.repeat(x, 2, 0)[::2],
    "column by column": np.asfortranarray,
}


@pytest.mark.parametrize("form", DATA.values(), ids=DATA)
def test_arrays_of_any_kind(form: Any, blobs: Problem) -> None:
    x = form(blobs.x)
    results = []
    for jit in (True, False):
        model = network(jit)
        history = model.fit(x, blobs.y, epochs=2, verbose=0, validation_data=(x, blobs.y))
        results.append([value for values in history.history.values() for value in values])
    assert results[0] == pytest.approx(results[1], rel=2e-4)


def test_bits_are_the_same_in_blocks_batch_by_batch_and_at_any_number_of_threads(
    blobs: Problem,
) -> None:
    def weights(threads: int, **options: Any) -> list[bytes]:
        with num_threads(threads):
            model = network(True, dropout=0.2)
            model.fit(blobs.x, blobs.y, batch_size=64, epochs=2, verbose=0, **options)
        return [p.numpy().tobytes() for p in model.parameters()]

    expected = weights(1)
    assert weights(2) == weights(3) == expected
    assert weights(1, callbacks=[AtBatches()]) == expected


def test_an_epoch_needs_a_program_for_whole_batches_and_one_for_a_short_one(
    blobs: Problem,
) -> None:
    model = network(True)
    for _ in range(2):  # a second call finds them
        model.fit(blobs.x, blobs.y, batch_size=64, epochs=2, verbose=0)
        model.fit(blobs.x + 1, blobs.y, batch_size=64, epochs=1, verbose=0)
    assert programs(model) == 2
    assert 400 % 64


def test_data_are_let_go_after_an_epoch(blobs: Problem) -> None:
    model, x = network(True), blobs.x.copy()
    gone = weakref.ref(x)
    model.fit(x, blobs.y, verbose=0)
    del x
    gc.collect()
    assert gone() is None


class Branching(nn.Module):
    """Looks at a value, which no graph can."""

    def __init__(self) -> None:
        self.inner = nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        return self.inner(x) if float(x.sum()) > -1e9 else x


def test_model_that_cannot_be_traced_runs_eagerly_and_says_so_once(
    blobs: Problem, capsys: Any
) -> None:
    model = Branching()
    model.compile("adam", "cross_entropy")
    model.fit(blobs.x, blobs.y, epochs=2, verbose=0)
    model.evaluate(blobs.x, blobs.y, verbose=0)
    text = capsys.readouterr().err
    assert text.count("runs eagerly, since the step cannot be compiled") == 1
    assert "test_steps.py" in text  # where the value was asked for
    assert "float" in text


def test_jit_true_asks_for_a_program(blobs: Problem) -> None:
    model = Branching()
    model.compile("adam", "cross_entropy", jit=True)
    with pytest.raises(pr.TraceError, match=r"test_steps\.py"):
        model.fit(blobs.x, blobs.y, verbose=0)


@pytest.mark.parametrize("callbacks", [None, [AtBatches()]], ids=["blocks", "batches"])
def test_without_a_compiler_training_is_eager_and_says_so_once(
    callbacks: Any, blobs: Problem, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("pierian.compiler.jit.missing", "llvmlite cannot be loaded (for a test)")
    model = network("auto")
    model.fit(blobs.x, blobs.y, epochs=2, verbose=0, callbacks=callbacks)
    model.evaluate(blobs.x, blobs.y, verbose=0)
    assert capsys.readouterr().err.count("llvmlite cannot be loaded (for a test)") == 1
    with pytest.raises(pr.CompileError, match=r"for a test\)\. Install llvmlite again"):
        network(True).fit(blobs.x, blobs.y, verbose=0, callbacks=callbacks)


@pytest.mark.parametrize("callbacks", [None, [AtBatches()]], ids=["blocks", "batches"])
def test_divergence_names_epoch_and_batch(callbacks: Any, blobs: Problem) -> None:
    x = blobs.x.copy()
    x[200] = np.nan
    model = network(True)
    with pytest.raises(DivergenceError, match=r"nan in epoch 1, batch 3 of 4.*x of this batch"):
        model.fit(x, blobs.y, batch_size=100, shuffle=False, verbose=0, callbacks=callbacks)


def test_label_out_of_range_in_a_stream_is_the_error_of_the_loss(blobs: Problem) -> None:
    y = blobs.y.copy()
    model = network(True)
    batches = [(blobs.x[i : i + 50], y[i : i + 50]) for i in range(0, 400, 50)]
    model.fit(batches, verbose=0)
    before = [p.numpy().copy() for p in model.parameters()]
    y[7] = 3
    with pytest.raises((ValueError, IndexError), match="label.*0 <= label < 3"):
        model.fit(batches[:1], verbose=0)
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), old)


class Table(nn.Module):
    """A row of numbers for each word."""

    def __init__(self) -> None:
        self.rows = nn.Parameter(pr.zeros((5, 3)))

    def forward(self, x: Any) -> Any:
        return self.rows[x]


@pytest.mark.parametrize("callbacks", [None, [AtBatches()]], ids=["blocks", "batches"])
def test_input_out_of_range_is_the_error_of_the_operation(callbacks: Any) -> None:
    x, y = np.arange(100) % 5, np.arange(100) % 3
    model = Table()
    model.compile("adam", "cross_entropy", jit=True)
    model.fit(x, y, verbose=0, callbacks=callbacks)
    x[77] = 5
    with pytest.raises(IndexError, match="^index: .*5") as caught:
        model.fit(x, y, verbose=0, callbacks=callbacks)
    assert "jit" not in str(caught.value)


def test_learning_rate_and_training_mode_take_effect_without_a_new_program(
    blobs: Problem,
) -> None:
    model = network(True)
    model.fit(blobs.x, blobs.y, verbose=0)
    before = [p.numpy().copy() for p in model.parameters()]
    model.optimizer.lr = 0.0
    model.fit(blobs.x, blobs.y, verbose=0)
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), old)
    assert programs(model) == 2  # 400 rows by 32


def test_model_that_was_trained_can_be_frozen_in_part(blobs: Problem) -> None:
    model = network(True)
    model.fit(blobs.x, blobs.y, verbose=0)
    model[0].freeze()
    first, last = model[0].weight.numpy().copy(), model[2].weight.numpy().copy()
    model.fit(blobs.x, blobs.y, verbose=0)
    np.testing.assert_array_equal(model[0].weight.numpy(), first)
    assert (model[2].weight.numpy() != last).any()
