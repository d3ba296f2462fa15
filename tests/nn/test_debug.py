"""`pr.debug`: its table, a table of troubles with the warning of each, and no trace left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn.debug import Stats
from pierian.ops.random import default

X = np.linspace(-1.0, 1.0, 32, dtype=np.float32).reshape(8, 4)
Y = np.arange(8) % 3
LOSS = nn.CrossEntropyLoss()


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))


class Net(nn.Module):
    """Has everything that a forward pass can change: a buffer, an attribute, random numbers."""

    def __init__(self) -> None:
        self.body = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)
        self.spare = nn.Linear(2, 2)
        self.seen = nn.Buffer(pr.zeros(()))
        self.calls = 0

    def forward(self, x: Any, y: Any = 0.0) -> Any:
        self.seen = self.seen + 1.0
        self.calls += 1
        self.last = self.body(nn.functional.dropout(x, 0.5))
        return self.head(self.last.relu()) + y


TEXT = """\
output of  layer   shape   dtype     mean   std  min  max  zeros
----------------------------------------------------------------
           input   (2, 2)  float32  0.125  0.74   -1    1    25%
0          Linear  (2, 1)  float32    2.5   1.5    1    4     0%

parameter  shape   dtype    mean  std  min  max  mean |g|  std g  max |g|
---------------------------------------------------------------------------------
0.weight   (1, 2)  float32   1.5  0.5    1    2     0.125  0.125     0.25
0.bias     (1,)    float32     2    0    2    2                            frozen

loss 2.5"""


def test_the_table() -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    model[0].bias.requires_grad_(False)
    with pr.no_grad():
        model[0].weight.copy_(pr.tensor([[2.0, 1.0]]))
        model[0].bias.fill_(2.0)
    x = np.array([[0.0, -1.0], [0.5, 1.0]], np.float32)
    report = pr.debug(model, x, np.zeros((2, 1), np.float32), lambda pred, y: pred.mean())
    assert repr(report) == str(report)
    layer, weight = report.layers[1], report.parameters[0]
    want = x @ np.array([[2.0], [1.0]], np.float32) + 2
    assert layer.output == Stats.of(want.astype(np.float32))
    assert (layer.output.mean, layer.output.least, layer.output.greatest) == (2.5, 1.0, 4.0)
    assert weight.gradient is not None and weight.gradient.magnitude == 0.125
    assert report.loss == 2.5 and report.warnings == ()
    assert str(report) == TEXT


def test_the_table_in_a_notebook_is_escaped() -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 0

    Odd.__name__ = "<Odd>"
    page = pr.debug(Odd(), X)._repr_html_()
    assert "<th>zeros</th>" in page and ">&lt;Odd&gt;</td>" in page
    assert "<p>! &lt;Odd&gt; gives 100% zeros" in page and page.count("<table>") == 1


def test_statistics_leave_out_what_is_not_finite() -> None:
    x = Stats.of(np.array([0.0, 1.0, np.nan, np.inf, -3.0], np.float32))
    assert (x.least, x.greatest, x.bad, x.zeros) == (-3.0, 1.0, 2, 0.2)
    assert Stats.of(np.zeros((0, 3), np.float32)).bad == 0
    assert Stats.of(np.array([3 + 4j])).mean == 5.0


# Troubles: each with words of the only warnings


def _spoil(path: str, value: float) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = network()
        with pr.no_grad():
            dict(model.named_parameters())[path].fill_(value)
        return model

    return make


def _partly(mode: bool) -> nn.Module:
    model = network().train(not mode)
    model[2].train(mode)
    return model


def _deep(scale: float) -> nn.Module:
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
    with pr.no_grad():
        for layer in model:
            layer.weight.copy_(scale * pr.eye(4))
            layer.bias.zero_()
    return model


class Detached(nn.Module):
    """Its body gets no gradient."""

    def __init__(self) -> None:
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x).detach())


TROUBLES: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "none": (network, []),
    "dead": (
        _spoil("0.bias", -100.0),
        ['ReLU("1") gives 100% zeros', "gradients of 0.weight, 0.bias, 3.weight:"],
    ),
    "NaN": (
        _spoil("0.bias", np.nan),
        ['output of Linear("0") is the first', "Parameter 0.bias holds 6 NaN",
         "gradient of 3.weight has 18 NaN", "gradient of 3.bias has 3 NaN",
         "gradients of 0.weight, 0.bias:"],
    ),
    "vanishing": (lambda: _deep(0.1), ['vanish: from Linear("0") to Linear("4")']),
    "exploding": (lambda: _deep(8.0), ['explode: from Linear("0") to Linear("4")']),
    "no gradient": (Detached, ["No gradient reaches body.weight, body.bias:"]),
    "not called": (Net, ["No gradient reaches spare.weight, spare.bias:"]),
    "frozen": (lambda: network().freeze(), []),
    "eval in training": (lambda: _partly(False), ['Dropout("2") is in eval mode inside Seq']),
    "training in eval": (lambda: _partly(True), ["in training mode inside Sequential in eval"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLES)
def test_troubles_are_told(name: str) -> None:
    make, words = TROUBLES[name]
    model = make()
    report = pr.debug(model, X, Y, LOSS)
    assert len(report.warnings) == len(words), report.warnings
    for warning, part in zip(report.warnings, words, strict=True):
        assert part in warning and f"! {warning}" in str(report)


def test_the_input_is_named_when_it_is_not_finite() -> None:
    x = X.copy()
    x[0, 0] = np.inf
    assert "The input is the first with NaN or inf: 1 of them." in pr.debug(network(), x).warnings


def test_marks_say_why_there_is_no_gradient() -> None:
    model = Net()
    model.head.bias.requires_grad_(False)
    rows = {row.path: row for row in pr.debug(model, X, Y, LOSS).parameters}
    marks = {path: row.mark for path, row in rows.items() if row.gradient is None}
    none = "no gradient"
    assert marks == {"head.bias": "frozen", "spare.weight": none, "spare.bias": none}
    assert not any(row.mark for row in pr.debug(model, X).parameters)


def test_gradients_are_those_of_backward() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    report = pr.debug(model, X, Y, LOSS)
    LOSS(model(X), pr.tensor(Y)).backward()
    for row, p in zip(report.parameters, model.parameters(), strict=True):
        assert row.gradient == Stats.of(p.grad.numpy())


@pytest.mark.parametrize("arguments", [(X,), (X, Y, LOSS), ((X, np.float32(1.0) * X[:, :3]),)])
@pytest.mark.parametrize("training", [True, False])
def test_everything_is_as_before(training: bool, arguments: Any) -> None:
    model = Net().train(training)
    LOSS(model(X), pr.tensor(Y)).backward()
    fast = pr.jit(lambda x: model.head(x))
    fast(pr.ones(2, 6))

    def state() -> Any:
        tensors = [*model.parameters(), *model.buffers(), default.state]
        grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()]
        values = [(id(t.value), t.value.tobytes(), t.node) for t in tensors]
        attributes = [list(vars(module).items()) for module in model.modules()]
        return values, grads, attributes

    before = state()
    pr.debug(model, *arguments)
    assert all(a == b for a, b in zip(state()[:2], before[:2], strict=True))
    for now, then in zip(state()[2], before[2], strict=True):
        assert [n for n, _ in now] == [n for n, _ in then]
        assert all(a is b for (_, a), (_, b) in zip(now, then, strict=True))


def test_an_error_in_the_model_also_leaves_it_as_it_was() -> None:
    model = Net()
    with pytest.raises(pr.ShapeError):
        pr.debug(model, np.ones((2, 5), np.float32))
    assert model.calls == 0 and model.seen.item() == 0.0 and model._hooks == ()


def test_a_model_that_waits_for_its_sizes_is_built() -> None:
    model = nn.Sequential(nn.Dense(5, "relu"), nn.Dense(3))
    assert [row.kind for row in pr.debug(model, X).layers] == ["input", "Dense", "Dense"]
    assert model.built


def test_every_call_and_every_output_has_a_row() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.layer(self.layer(x)), {"more": x[:, 0]}

    rows = [(row.path, row.output.shape) for row in pr.debug(Twice(), X).layers]
    assert rows == [("", (8, 4)), ("layer", (8, 4)), ("layer", (8, 4)), ("", (8, 4)), ("", (8,))]


def test_debug_works_in_no_grad_and_refuses_halves() -> None:
    with pr.no_grad():
        report = pr.debug(network(), X, Y, LOSS)
    assert all(row.gradient is not None for row in report.parameters)
    for arguments in ({"y": Y}, {"loss": LOSS}):
        with pytest.raises(TypeError, match="both y and loss"):
            pr.debug(network(), X, **arguments)
    with pytest.raises(pr.GradError, match="single number"):
        pr.debug(network(), X, Y, lambda pred, y: pred)
