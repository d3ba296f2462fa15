"""The watch: NaN is traced to its operation, the model put back, what looks wrong said once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, train
from pierian.train import Callback, CancelBatch, CancelFit, DivergenceError

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((40, 3)).astype(np.float32)
X[21, 0], X[:21, 0] = 0.5, 0.25  # what the quotient below cannot bear, in the third batch
Y = X.sum(1, keepdims=True)
BATCHES = 5


class Model(nn.Module):
    """A line, and what is done with its result."""

    def __init__(self, then: Callable[[Any, Any], Any]) -> None:
        self.line, self.then = nn.Linear(3, 1), then

    def forward(self, x: Any) -> Any:
        return self.then(x, self.line(x))


def made(then: Callable[[Any, Any], Any], lr: float, jit: bool, seed: int = 1) -> Model:
    pr.manual_seed(seed)
    model = Model(then)
    model.compile(pr.optim.SGD(lr=lr, momentum=0.5), "mse", jit=jit)
    return model


def same(x: Any, h: Any) -> Any:
    return h


def quotient(x: Any, h: Any) -> Any:
    return h / (x[:, :1] - 0.5)


def root(x: Any, h: Any) -> Any:
    return h + (h - h + pr.relu(x[:, :1] - 2.0)).sqrt()  # 0 in all rows but few


@dataclass(frozen=True)
class Case:
    """What goes wrong: in which batch of the first epoch (from 0), and what is said."""

    then: Callable[[Any, Any], Any]
    lr: float
    batch: int
    says: tuple[str, ...]
    x: Any = None  # X, if it is not this


def with_nan() -> np.ndarray:
    x = X.copy()
    x[33, 1] = np.nan
    return x


CASES = {
    "data": Case(
        same, 0.01, 4, ("x of this batch holds 1 NaN or infinite values: repair the data",),
        with_nan(),
    ),
    "division": Case(quotient, 0.01, 2, ("div gave the first inf, in the forward pass", "eps")),
    "sqrt": Case(
        root, 0.01, 0, ("The gradient of sqrt", "in the backward pass", "slope is infinite")
    ),
    "learning rate": Case(same, 1e9, 3, ("in the forward pass", "lower the learning rate")),
}  # fmt: skip


class Every(Callback):
    """Makes the loop go batch by batch."""

    def after_batch(self, run: Any) -> None:
        pass


class Turn(Callback):
    """Replaces batches by what they are."""

    def before_batch(self, run: Any) -> None:
        run.x = tuple(x + 0.0 for x in run.x)


WAYS: dict[str, tuple[bool, list[type[Callback]]]] = {
    "blocks": (True, []),
    "batches": (True, [Every]),
    "replaced": (True, [Turn]),
    "eager": (False, []),
}


def fit(model: nn.Module, *callbacks: Callback, **options: Any) -> str:
    """The error of a training that diverges."""
    settings = {"x": X, "y": Y, "batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0}
    with pytest.raises(DivergenceError) as caught:
        model.fit(**settings | options, callbacks=list(callbacks))
    return str(caught.value)


def weights(model: nn.Module) -> list[bytes]:
    tensors = [*model.state_dict().values()]
    tensors += [slot for slots in model.optimizer.state.values() for slot in slots.values()]
    return [tensor.numpy().tobytes() for tensor in tensors]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_where_it_began_is_found_and_the_model_put_back(name: str, way: str) -> None:
    case, (jit, callbacks) = CASES[name], WAYS[way]
    x = X if case.x is None else case.x
    model = made(case.then, case.lr, jit)
    text = fit(model, *[kind() for kind in callbacks], x=x)
    assert text.startswith("fit: ") and "; expected a number, got " in text
    assert f"It began in epoch 1, batch {case.batch + 1}.\n" in text
    for says in case.says:
        assert says in text
    if case.then in (quotient, root):
        line = inspect.getsource(case.then).splitlines()[1].split("#")[0].strip()
        assert line in text and "test_watch.py" in text and "in Model" in text
    assert np.isfinite(model.line.weight.numpy()).all()

    class Halt(Callback):
        def before_batch(self, run: Any) -> None:
            if run.step == case.batch:
                raise CancelFit

    before = made(case.then, case.lr, jit)
    settings: dict[str, Any] = {"shuffle": False, "verbose": 0, "callbacks": [Halt()]}
    before.fit(x, Y, 8, **settings)
    own, other = weights(model), weights(before)
    if case.batch == 0:  # the momenta, which that one has not begun
        own = own[: len(other)]
    assert own == other


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("epochs", [1, 2])
def test_the_last_update_of_all_is_looked_at_too(way: str, epochs: int) -> None:
    jit, callbacks = WAYS[way]
    model = made(root, 0.01, jit)
    own = [kind() for kind in callbacks]
    text = fit(model, *own, x=X[:8], y=Y[:8], epochs=epochs)
    assert "It began in epoch 1, batch 1." in text
    assert np.isfinite(model.line.weight.numpy()).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_rate_that_a_callback_raises_is_found(way: str) -> None:
    """The way is gone again with the rates that were set in between, also over epochs."""
    jit, callbacks = WAYS[way]
    model = made(same, 0.01, jit)
    rates = train.LearningRateScheduler(lambda epoch, lr: 1e12 if epoch == 2 else 0.01)
    text = fit(model, rates, *[kind() for kind in callbacks])
    assert "inf in epoch 3, batch " in text and "rate than 1e+12" in text
    assert "It began in epoch 3, batch " in text and "in the forward pass" in text
    assert np.isfinite(model.line.weight.numpy()).all()


def test_a_schedule_is_followed_again() -> None:
    texts = []
    for jit in (True, False):
        model = made(same, 1.0, jit)
        factor = train.Scheduler(factor=lambda step: 0.01 if step < 12 else 1e12)
        texts.append(fit(model, factor).replace("(nan)", ""))
        assert "It began in epoch 3, batch " in texts[-1]
        assert float(model.optimizer.lr) == 1.0
    assert texts[0].splitlines()[2:5] == texts[1].splitlines()[2:5]


def test_compiled_callbacks_are_put_back_too() -> None:
    case = CASES["division"]
    for jit in (True, False):
        ema = train.ExponentialMovingAverage(0.5, warmup=False)
        model = made(case.then, case.lr, jit)
        fit(model, ema, train.GradientAccumulation(2), train.GradientClip(1.0))
        assert np.isfinite(model.line.weight.numpy()).all()
        assert all(np.isfinite(tensor.numpy()).all() for tensor in ema.averages)
        assert float(ema.count) == 1.0  # updates before the third batch


def test_batches_that_were_cancelled_are_left_out_again() -> None:
    class Skip(Callback):
        def after_loss(self, run: Any) -> None:
            if run.batch == 1:
                raise CancelBatch

    model = made(quotient, 0.01, False)
    assert "It began in epoch 1, batch 3." in fit(model, Skip())


def test_dropout_is_drawn_again() -> None:
    """What went wrong by chance goes wrong again, and the generator is where it was."""
    for jit in (True, False):
        pr.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        model.compile(pr.optim.SGD(lr=1e8), "mse", jit=jit)
        assert "It began in epoch 1, batch " in fit(model)
        assert all(np.isfinite(p.numpy()).all() for p in model.parameters())


def test_streams_are_looked_into_too() -> None:
    def batches() -> Any:
        while True:
            for i in range(0, 40, 8):
                yield X[i : i + 8], Y[i : i + 8]

    for jit in (True, False):
        model = made(quotient, 0.01, jit)
        text = fit(model, x=batches(), y=None, batch_size=None, steps_per_epoch=5)
        assert "It began in epoch 1, batch 3.\ndiv gave the first inf" in text


def test_training_can_go_on_after_it() -> None:
    for jit in (True, False):
        model = made(quotient, 0.01, jit)
        fit(model)
        before = model.line.weight.numpy().copy()
        model.fit(X[:16], Y[:16], verbose=0)
        assert not (model.line.weight.numpy() == before).any()


# Notices


class Idle(nn.Module):
    """Has a layer that nothing depends on."""

    def __init__(self) -> None:
        self.used, self.left = nn.Linear(3, 1), nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        self.left(x)
        return self.used(x)


class Sleepy(nn.Module):
    """Puts a part into eval mode when it is used."""

    def __init__(self) -> None:
        self.line, self.drop = nn.Linear(3, 1), nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        self.drop.eval()
        return self.drop(self.line(x))


class Frozen(Idle):
    """Has a layer that nothing depends on, which is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.left.freeze()


def noticed(
    model: nn.Module, capsys: pytest.CaptureFixture[str], lr: float = 0.01, jit: Any = True,
    **options: Any,
) -> list[str]:  # fmt: skip
    pr.manual_seed(1)
    model.compile(pr.optim.SGD(lr=lr), "mse", jit=jit)
    for _ in range(2):
        model.fit(X, Y, 8, **{"epochs": 20, "verbose": 2} | options)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("jit", [True, False])
def test_a_parameter_without_a_gradient_is_said_once(
    jit: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = noticed(Idle(), capsys, jit=jit)
    assert line.startswith("fit: no gradient came to left.weight, left.bias in a whole epoch")
    assert noticed(Frozen(), capsys, jit=jit) == []


def test_a_part_left_in_eval_mode_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = noticed(Sleepy(), capsys, jit=False)
    assert line.startswith("fit: drop was in eval mode while training")


@pytest.mark.parametrize("jit", [True, False])
def test_a_rate_far_too_large_is_said_once(jit: bool, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = noticed(nn.Sequential(nn.Linear(3, 1)), capsys, lr=0.9, jit=jit)
    assert line.startswith("fit: the loss rose from ") and "the learning rate 0.9 is" in line


HEALTHY: dict[str, Callable[[], nn.Module]] = {
    "line": lambda: nn.Sequential(nn.Linear(3, 1)),
    "dropout": lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)),
    "shared": lambda: nn.Sequential(*[nn.Linear(3, 3)] * 2, nn.Linear(3, 1)),
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_training_is_silent(
    name: str, jit: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    valid = {"validation_data": (X, Y)}
    assert noticed(HEALTHY[name](), capsys, jit=jit, **valid) == []
