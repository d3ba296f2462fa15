"""What compile takes, keeps and refuses."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import metrics, nn, optim
from tests.train.conftest import Problem, network


def test_optimizer_is_there_at_once_and_filled_when_layers_are_built() -> None:
    model = nn.Sequential(nn.Dense(4, "relu"), nn.Dense(1))
    model.compile("adam", "mse")
    assert isinstance(model.optimizer, optim.Adam)
    assert model.optimizer.param_groups == []
    model.optimizer.learning_rate = 0.5
    model.fit(np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), verbose=0)
    (group,) = model.optimizer.param_groups
    assert len(group["params"]) == 4
    assert float(group["lr"]) == 0.5
    assert group["param_names"] == ["0.weight", "0.bias", "1.weight", "1.bias"]


OPTIMIZERS: dict[str, Any] = {
    "name": lambda model: "sgd",
    "name in capitals": lambda model: "SGD",
    "class": lambda model: optim.SGD,
    "finished": lambda model: optim.SGD(model.parameters(), lr=0.1),
    "without parameters": lambda model: optim.SGD(lr=0.1),
    "function": lambda model: lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer_in_any_form_trains(make: Any, waves: Problem) -> None:
    model = network(1, 16, 1)
    model.compile(make(model), "mse")
    history = model.fit(waves.x, waves.y, epochs=5, verbose=0).history
    assert isinstance(model.optimizer, optim.SGD)
    assert history["loss"][-1] < history["loss"][0]


def test_optimizer_by_name_has_keras_settings() -> None:
    model = network(1, 1)
    model.compile(loss="mse")
    assert isinstance(model.optimizer, optim.RMSprop)
    group = model.optimizer.param_groups[0]
    assert [float(group[name]) for name in ("lr", "alpha", "eps")] == [1e-3, 0.9, 1e-7]


def test_optimizer_may_hold_a_part_of_the_model(waves: Problem) -> None:
    model = network(1, 8, 1)
    before = model[0].weight.numpy().copy()
    model.compile(optim.SGD(model[2].parameters(), lr=0.1), "mse")
    model.fit(waves.x, waves.y, verbose=0)
    assert (model[0].weight.numpy() == before).all()


def test_compile_again_begins_anew(waves: Problem) -> None:
    model = network(1, 1)
    model.compile("adam", "mse")
    model.fit(waves.x, waves.y, verbose=0)
    first = model.optimizer
    model.fit(waves.x, waves.y, verbose=0)
    assert model.optimizer is first  # fit goes on with its state
    assert float(first.state[model[0].weight]["step"]) == 16
    model.compile("adam", "mse")
    assert model.optimizer is not first and not model.optimizer.state


def test_metrics_have_the_names_they_were_given(blobs: Problem) -> None:
    def confidence(y_true: pr.Tensor, y_pred: pr.Tensor) -> pr.Tensor:
        assert y_true.ndim == 1 and y_pred.ndim == 2
        return pr.softmax(y_pred).max(-1)

    model = network(2, 3)
    model.compile("sgd", "cross_entropy", ["acc", metrics.TopK(2), confidence, metrics.Accuracy])
    history = model.fit(blobs.x, blobs.y, verbose=0).history
    assert list(history) == ["loss", "acc", "top2", "confidence", "accuracy"]
    assert 1 / 3 < history["confidence"][0] < 1
    model.compile("sgd", "cross_entropy", "accuracy")
    assert list(model.fit(blobs.x, blobs.y, verbose=0).history) == ["loss", "accuracy"]


def test_metrics_by_name_take_binary_logits_for_what_they_are() -> None:
    model = network(1, 1)
    with pr.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
    x, y = np.array([[0.2], [-0.2]], "float32"), np.array([[1.0], [0.0]], "float32")
    names = ["accuracy", "precision", "recall", "f1", "auc"]
    model.compile("sgd", nn.BCEWithLogitsLoss(), [*names, metrics.Recall(name="told")])
    assert model.evaluate(x, y, verbose=0)[1:] == [1.0] * 5 + [0.0]


@pytest.mark.parametrize("loss", ["cross_entropy", "sparse_categorical_crossentropy"])
def test_perplexity_and_auc_by_name_know_logits_from_probabilities(loss: str) -> None:
    x, y = np.array([[2.0], [1.0], [-1.0], [0.5]], "float32"), np.array([0, 1, 2, 1])
    logits = nn.Linear(1, 3)
    model = nn.Sequential(logits, *([] if loss == "cross_entropy" else [nn.Softmax()]))
    model.compile("sgd", loss, ["perplexity", "auc"])
    found = model.evaluate(x, y, verbose=0)
    assert found[1] == pytest.approx(math.exp(found[0]), rel=1e-6)
    probabilities = pr.softmax(logits(pr.tensor(x)))
    assert found[2] == pytest.approx(metrics.measure("auc", probabilities, y))


def test_model_that_is_compiled_can_be_copied_pickled_and_saved(tmp_path: Any) -> None:
    model = network(1, 2, 1)
    model.compile("adam", nn.MSELoss(), ["mae"])
    x = np.ones((4, 1), "float32")
    model.fit(x, x, verbose=0)
    assert not any("loss" in name.lower() for name, _ in model.named_modules())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.fit(x, x, verbose=0)
        assert (twin[0].weight.numpy() != model[0].weight.numpy()).any()
    model.save(tmp_path / "m.safetensors")
    again = pr.load(tmp_path / "m.safetensors")
    assert (again.predict(x, verbose=0) == model.predict(x, verbose=0)).all()


def _stranger() -> nn.Module:
    model, other = network(1, 1), network(1, 1)
    model.compile(optim.SGD(other.parameters(), lr=0.1), "mse")
    return model


def _changed() -> nn.Module:
    model = network(1, 1)
    model.compile("sgd", "mse")
    model[0] = nn.Linear(1, 1)
    return model


def _deferred() -> nn.Module:
    model = nn.Sequential(nn.Dense(2), nn.Dense(1))
    model.compile(optim.SGD(model.parameters()), "mse")
    return model


def _compiled(**options: Any) -> Any:
    def make() -> nn.Module:
        model = network(1, 1)
        model.compile(**options)
        return model

    return make


MESSAGES: dict[str, tuple[Any, type[Exception], str]] = {
    "never compiled": (
        lambda: network(1, 1), RuntimeError,
        "fit: the model must be compiled first; expected compile(optimizer, loss), got no compile. "
        'Call model.compile("adam", "mse"), or with another loss.',
    ),
    "without a loss": (
        _compiled(), RuntimeError,
        "fit: the model must be compiled first; expected compile(optimizer, loss), got compile "
        'without a loss. Call model.compile("adam", "mse"), or with another loss.',
    ),
    "optimizer of another model": (
        _stranger, pr.GradError,
        "fit: the optimizer must hold the parameters of this model; expected its 2 or some of "
        "them, got 2 others. Call compile again after a change of the model, with the optimizer's "
        "name or a new one on model.parameters().",
    ),
    "changed after compile": (
        _changed, pr.GradError,
        "fit: the optimizer must hold the parameters of this model; expected its 2 or some of "
        "them, got 2 others, without 0.weight, 0.bias. Call compile again after a change of the "
        "model, with the optimizer's name or a new one on model.parameters().",
    ),
    "optimizer before the layers": (
        _deferred, pr.ShapeError,
        'Dense("0"): parameters exist once the input size is known; expected input_shape=, '
        "build(input_shape) or a first call, got none of them. Call build with the shape of one "
        "example, like model.build((784,)).",
    ),
    "unknown optimizer": (
        _compiled(optimizer="adm"), ValueError,
        "optimizer: optimizer must be a known name; expected one of adadelta, adagrad, adam, "
        "adamw, rmsprop, sgd, got 'adm'. Did you mean 'adam'?",
    ),
    "unknown metric": (
        _compiled(metrics=["acuracy"]), ValueError,
        "metrics: metric must be a known name; expected one of "
        f"{', '.join(sorted(metrics.NAMES))}, got 'acuracy'. Did you mean 'accuracy'?",
    ),
    "a metric that is an array": (
        _compiled(metrics=["confusion_matrix"]), ValueError,
        "compile: metrics in logs must be single numbers; expected one that gives a number, got "
        "'confusion_matrix', which gives an array. Update and compute it outside of fit, or choose "
        "an average.",
    ),
    "a metric per class": (
        _compiled(metrics=[metrics.F1(average=None)]), ValueError,
        "compile: metrics in logs must be single numbers; expected one that gives a number, got "
        "'f1', which gives an array. Update and compute it outside of fit, or choose an average.",
    ),
    "a metric twice": (
        _compiled(metrics=["mae", "mae"]), ValueError,
        "compile: metrics must have different names; expected other than loss, got 'mae' again. "
        "Leave it out or give it another name.",
    ),
    "jit": (
        _compiled(jit="always"), ValueError,
        "compile: jit says whether steps are compiled; expected "
        "\"auto\", True or False, got 'always'. Leave it out.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES.values(), ids=MESSAGES)
def test_what_cannot_train_says_so(case: tuple[Any, type[Exception], str]) -> None:
    make, kind, text = case
    with pytest.raises(kind) as caught:
        make().fit(np.ones((4, 1), "float32"), np.ones((4, 1), "float32"), verbose=0)
    assert str(caught.value) == text
