"""Learner: groups and rates, one cycle, the range test, fine-tuning, resuming, what was learned."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.base import notice
from pierian.data import DataLoader, DataLoaders
from pierian.ops import random
from pierian.train import Callback, Learner, ModelCheckpoint, Scheduler
from pierian.train.learner import body_and_head
from pierian.train.lr_find import SUGGEST
from tests.train.conftest import Problem, network


def loaders(problem: Problem, **options: Any) -> DataLoaders:
    held = (problem.x_test, problem.y_test)
    return DataLoaders.from_arrays(problem.x, problem.y, held, 50, **options)


def learner(problem: Problem, **options: Any) -> Learner:
    pr.manual_seed(1)
    options = {"metrics": "accuracy", "verbose": 0} | options
    return Learner(loaders(problem), network(2, 16, 3), **options)


def weights(model: nn.Module) -> list[np.ndarray]:
    return [p.numpy().copy() for p in model.parameters()]


class Seen(Callback):
    """Writes down the settings of every step."""

    compiled = False

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        self.momenta: list[float] = []

    def after_grad(self, run: Any) -> None:
        groups = run.optimizer.param_groups
        self.rates.append([float(group["lr"]) for group in groups])
        self.momenta.append(float(groups[0]["betas"][0]))


def test_fit_learns_and_records(blobs: Problem, capsys: Any) -> None:
    learn = learner(blobs, verbose=2)
    learn.fit(4, 0.01)
    names = ["train_loss", "valid_loss", "accuracy"]
    assert learn.recorder.metric_names == names
    assert len(learn.recorder.values) == 4 and learn.recorder.losses.shape == (32,)
    assert learn.validate() == learn.recorder.values[-1][1:]
    assert learn.recorder.values[-1][2] > 0.9
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", *names, "time"] and len(lines) == 5
    assert lines[1].split()[0] == "0"
    assert learn.recorder.losses[:8].mean() == pytest.approx(learn.recorder.values[0][0])


def test_learner_and_fit_are_one_loop(blobs: Problem) -> None:
    learn = learner(blobs)
    learn.fit(2, 0.01)
    pr.manual_seed(1)
    model = network(2, 16, 3)
    model.compile(optim.Adam(lr=0.01), "cross_entropy", ["accuracy"])
    model.fit(DataLoader(list_of(blobs), 50, shuffle=True, seed=0), epochs=2, verbose=0)
    for p, q in zip(weights(learn.model), weights(model), strict=True):
        np.testing.assert_array_equal(p, q)


def list_of(problem: Problem) -> Any:
    return pr.data.ArrayDataset(problem.x, problem.y)


def test_one_cycle_goes_up_and_down_and_momentum_the_other_way(blobs: Problem) -> None:
    seen = Seen()
    learn = learner(blobs, cbs=seen)
    learn.fit_one_cycle(3, 0.02)
    rates = np.array(seen.rates)[:, 0]
    assert rates[0] == pytest.approx(0.02 / 25) and rates[-1] == pytest.approx(0.02 / 1e5)
    assert rates.max() == pytest.approx(0.02) and rates.argmax() == 5  # a quarter of 24 steps
    assert (seen.momenta[0], min(seen.momenta)) == (pytest.approx(0.95), pytest.approx(0.85))
    assert int(np.argmin(seen.momenta)) == 5
    np.testing.assert_array_equal(learn.recorder.lrs, rates)
    np.testing.assert_array_equal(learn.recorder.settings["mom"], seen.momenta)


def test_one_cycle_is_the_same_compiled(blobs: Problem) -> None:
    results = []
    for jit in (True, False):
        learn = learner(blobs, jit=jit)
        learn.fit_one_cycle(3, 0.02)
        results.append((learn.recorder.lrs, learn.recorder.values))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4)


RATES: dict[str, tuple[Any, list[float]]] = {
    "one": (0.1, [0.1, 0.1, 0.1]),
    "slice of two": (slice(0.001, 0.1), [0.001, 0.01, 0.1]),
    "slice of one": (slice(None, 0.1), [0.01, 0.01, 0.1]),
    "list": ([0.3, 0.2, 0.1], [0.3, 0.2, 0.1]),
}


@pytest.mark.parametrize("lr, expected", RATES.values(), ids=RATES)
def test_groups_have_rates_of_their_own(lr: Any, expected: list[float], blobs: Problem) -> None:
    def layers(model: nn.Module) -> list[Any]:
        return [list(m.parameters()) for m in model.children() if list(m.parameters())]

    learn = Learner(loaders(blobs), network(2, 8, 8, 3), verbose=0, splitter=layers)
    learn.fit(1, lr)
    found = [float(group["lr"]) for group in learn.model.optimizer.param_groups]
    assert found == pytest.approx(expected)


def test_rates_for_other_than_the_groups_are_an_error(blobs: Problem) -> None:
    with pytest.raises(ValueError, match="a learning rate for each group; expected 2, got 3"):
        learner(blobs).fit(1, [0.1, 0.2, 0.3])


def test_frozen_groups_stay_as_they_are(blobs: Problem) -> None:
    learn = learner(blobs)
    learn.freeze()
    before = weights(learn.model)
    learn.fit(1, 0.1)
    after = weights(learn.model)
    same = [bool((a == b).all()) for a, b in zip(before, after, strict=True)]
    assert same == [True, True, False, False]
    learn.unfreeze()
    learn.fit(1, 0.1)
    assert not any((a == b).all() for a, b in zip(after, weights(learn.model), strict=True))


def test_fine_tune_trains_the_head_first(blobs: Problem) -> None:
    seen = Seen()
    learn = learner(blobs, cbs=seen)
    first = weights(learn.model)[0]

    class Look(Callback):
        same: list[bool] = []

        def after_epoch(self, run: Any) -> None:
            self.same.append(bool((weights(run.model)[0] == first).all()))

    learn.fine_tune(2, 0.01, lr_mult=100, cbs=Look())
    assert Look.same == [True, False, False]
    peaks = np.array(seen.rates[8:]).max(0)
    assert peaks == pytest.approx([0.005 / 100, 0.005], rel=1e-3)


def test_default_groups() -> None:
    sizes = lambda model: [len(group) for group in body_and_head(model)]  # noqa: E731
    assert sizes(network(2, 8, 8, 3)) == [4, 2]
    assert sizes(network(2, 3)) == [2]
    assert sizes(nn.Linear(2, 3)) == [2]


# The range test


@pytest.mark.parametrize("suggest", SUGGEST)
def test_lr_find_suggests_and_leaves_no_trace(suggest: str, blobs: Problem) -> None:
    learn = learner(blobs)
    learn.fit(1, 0.01)
    model, loader = learn.model, learn.dls.train
    state = lambda: [  # noqa: E731
        *weights(model), random.default.state.numpy().copy(), loader.epoch,
        *[np.asarray(x) for s in model.optimizer.state.values() for x in s.values()],
    ]  # fmt: skip
    before, history, training = state(), model.history, model.training
    found = learn.lr_find(suggest=suggest)
    for a, b in zip(before, state(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.history is history and model.training == training
    assert 1e-7 < found.suggestion < 10
    assert found.lrs.shape == found.losses.shape and len(found.lrs) <= 100
    assert found.lrs[:2] == pytest.approx([1e-7, 1e-7 * 1e8 ** (1 / 99)])
    assert found.valley == found.suggestion and "suggestion" in repr(found)


def test_training_after_lr_find_is_as_if_it_had_not_been(blobs: Problem) -> None:
    results = []
    for look in (False, True):
        learn = learner(blobs)
        if look:
            learn.lr_find(num_it=30)
        learn.fit_one_cycle(2, 0.01)
        results.append(weights(learn.model))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lr_find_of_hopeless_data_says_so(blobs: Problem) -> None:
    x = np.full_like(blobs.x, np.nan)
    learn = Learner(DataLoaders.from_arrays(x, blobs.y), network(2, 3), verbose=0)
    with pytest.raises(pr.DataError, match="the loss must be a number for some steps"):
        learn.lr_find()


# Resuming


@pytest.mark.parametrize("method", ["fit", "fit_one_cycle"])
def test_resume_needs_nothing_but_the_checkpoint(
    method: str, blobs: Problem, tmp_path: Path
) -> None:
    class Fail(Callback):
        def after_batch(self, run: Any) -> None:
            if run.step == 13:
                raise RuntimeError("for a test")

    whole = learner(blobs)
    getattr(whole, method)(3, 0.02)
    broken = learner(blobs)
    keep = lambda: ModelCheckpoint(tmp_path, every=5, unit="step")  # noqa: E731
    with pytest.raises(RuntimeError, match="for a test"):
        getattr(broken, method)(3, 0.02, cbs=[keep(), Fail()])
    pr.manual_seed(99)
    again = Learner(loaders(blobs), network(2, 16, 3), metrics="accuracy", verbose=0)
    again.resume(tmp_path, cbs=keep())
    for a, b in zip(weights(whole.model), weights(again.model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.recorder.values == whole.recorder.values
    np.testing.assert_array_equal(again.recorder.losses, whole.recorder.losses)
    np.testing.assert_array_equal(again.recorder.lrs, whole.recorder.lrs)


def test_resume_of_what_fit_left_says_what_to_do(blobs: Problem, tmp_path: Path) -> None:
    model = network(2, 16, 3)
    model.compile("adam", "cross_entropy")
    model.fit(blobs.x, blobs.y, verbose=0, callbacks=[ModelCheckpoint(tmp_path)])
    with pytest.raises(pr.CheckpointError, match="of a Learner's fit.*resume=path"):
        learner(blobs).resume(tmp_path)


# What has been learned


def test_predictions_come_in_order_with_losses(blobs: Problem) -> None:
    learn = learner(blobs)
    learn.fit(2, 0.02)
    pred, target, each = learn.get_preds(with_loss=True, act=pr.softmax)
    np.testing.assert_array_equal(target, blobs.y_test)
    np.testing.assert_allclose(pred.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(each, -np.log(pred[np.arange(len(pred)), target]), rtol=1e-4)
    assert each.mean() == pytest.approx(learn.validate()[0], rel=1e-5)
    (raw, _) = learn.get_preds(DataLoader(list_of(blobs), 7))
    np.testing.assert_allclose(raw, learn.predict(blobs.x), rtol=1e-4, atol=1e-5)


def test_usual_loss_follows_from_the_targets(blobs: Problem, waves: Problem) -> None:
    for problem, sizes, name in ((blobs, (2, 3), "cross_entropy"), (waves, (1, 1), "mse")):
        learn = Learner(loaders(problem), network(*sizes), verbose=0)
        learn.fit(1)
        assert f"loss={name}" in repr(learn)


def test_own_loss_optimizer_and_metric_take_prediction_first(blobs: Problem) -> None:
    def loss(pred: Any, target: Any) -> Any:
        assert pred.shape[1:] == (3,) and target.ndim == 1
        return pr.nn.functional.cross_entropy(pred, target)

    def right(pred: Any, target: Any) -> Any:
        return (pred.argmax(1) == target).float().mean()

    opt = partial(optim.SGD, momentum=0.9)
    learn = learner(blobs, loss_func=loss, opt_func=opt, metrics=right)
    learn.fit(3, 0.1)
    assert learn.recorder.metric_names[-1] == "right" and learn.recorder.values[-1][-1] > 0.9


class Descent:
    """An optimizer as users write one."""

    def __init__(self, params: Any, lr: float) -> None:
        self.params, self.lr = params, lr

    def step(self) -> None:
        for p in self.params:
            p.data -= p.grad * self.lr

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None


def test_optimizers_of_the_users_own_train_like_ours(blobs: Problem, capfd: Any) -> None:
    ends = []
    for opt in (optim.SGD, Descent):
        notice.said.clear()
        learn = learner(blobs, opt_func=opt)
        learn.fit(2, 0.1)
        learn.fit_one_cycle(1, 0.1)  # whose rates it follows
        ends.append(weights(learn.model))
        assert ("fit: runs eagerly" in capfd.readouterr().err) == (opt is Descent)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    pr.manual_seed(1)
    model = network(2, 16, 3)
    model.compile(Descent, "cross_entropy", jit=True)
    with pytest.raises(pr.CompileError, match=r"got Descent. Write it as a subclass"):
        model.fit(blobs.x, blobs.y, verbose=0)


def test_an_optimizer_is_made_by_the_learner(blobs: Problem) -> None:
    made = optim.SGD(network(2, 3).parameters(), 0.1)
    with pytest.raises(TypeError, match=r"expected opt_func=SGD, got SGD\(2 parameters"):
        learner(blobs, opt_func=made)


def test_weight_decay_reaches_the_optimizer(blobs: Problem) -> None:
    learn = learner(blobs, wd=0.1, opt_func=optim.AdamW)
    learn.fit(1)
    assert float(learn.model.optimizer.param_groups[0]["weight_decay"]) == 0.1
    learn.fit(1, wd=0.2)
    assert float(learn.model.optimizer.param_groups[0]["weight_decay"]) == 0.2
    plain = learner(blobs)
    plain.fit(1)
    plain.fit(1, wd=0.3)
    assert float(plain.model.optimizer.param_groups[0]["weight_decay"]) == 0.3


def test_weights_are_saved_and_loaded(blobs: Problem, tmp_path: Path) -> None:
    learn, other = learner(blobs), learner(blobs)
    learn.fit(1, 0.1)
    learn.save(tmp_path / "w.safetensors")
    other.load(tmp_path / "w.safetensors")
    for a, b in zip(weights(learn.model), weights(other.model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_waits_for_data_is_built(blobs: Problem) -> None:
    model = nn.Sequential(nn.Dense(8, "relu"), nn.Dense(3))
    learn = Learner(loaders(blobs), model, verbose=0)
    learn.lr_find(num_it=20)
    learn.fit_one_cycle(2, 0.05)
    assert "(b, 8)" in str(learn.summary())


def test_schedule_of_ones_own_beside_one_cycle_is_refused(blobs: Problem) -> None:
    with pytest.raises(ValueError, match="one schedule"):
        learner(blobs).fit_one_cycle(1, 0.1, cbs=Scheduler("cosine"))


def test_wrong_arguments_say_what_is_wanted(blobs: Problem) -> None:
    with pytest.raises(TypeError, match="dls must be what it is called; expected DataLoaders"):
        Learner(network(2, 3), loaders(blobs))  # type: ignore[arg-type]
    stream = DataLoaders(iter([(blobs.x, blobs.y)]))
    with pytest.raises(ValueError, match="how many batches an epoch has"):
        Learner(stream, network(2, 3), "cross_entropy", verbose=0).fit_one_cycle(1)


def test_pictures(blobs: Problem, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    learn = learner(blobs)
    learn.fit_one_cycle(2, 0.05)
    draws = {
        "loss": learn.recorder.plot_loss, "metrics": learn.recorder.plot_metrics,
        "sched": learn.recorder.plot_sched, "find": learn.lr_find(num_it=30).plot,
    }  # fmt: skip
    for name, draw in draws.items():
        draw(path=tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
