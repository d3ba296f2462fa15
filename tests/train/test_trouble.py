"""Finding trouble: a table of troubles, each with what is to be found, and one of false alarms.

The line that is to be named ends with the comment `# here`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.train import advice
from pierian.train.trouble import find_nonfinite

INF = math.inf
Run = Callable[[], Any]


def leaf(*values: float) -> Any:
    return pr.tensor(list(values), requires_grad=True)


def log_times_zero() -> Any:
    x = pr.tensor([0.0, 1.0])
    return (x * x.log()).sum()  # here


def zero_by_zero() -> Any:
    x = pr.zeros(3)
    y = x / x  # here
    return (y + 1).mean()


def overflow_then_difference() -> Any:
    e = pr.tensor([1.0, 100.0]).exp()  # here
    return (e - e).sum()


def overflow_in_a_step() -> Any:
    x = leaf(1.0, 100.0)
    loss = (x.exp() * 2).sum()  # here
    loss.backward()
    return None  # the loss is seen at backward


def root_of_zero() -> Any:
    x = leaf(0.0, 1.0)
    x.sqrt().sum().backward()  # here
    return x


def distance_of_equals() -> Any:
    x = leaf(1.0, 2.0)
    distance = ((x - x.detach()) ** 2).sum() ** 0.5  # here
    distance.backward()
    return x


def hidden_log() -> Any:
    x = leaf(0.0, 1.0)
    y = pr.where(x > 0, x.log(), 0.0)  # here
    y.sum().backward()
    return y.sum().detach()


def hidden_division() -> Any:  # NaN in the value that is not chosen, and through it in the slope
    x = leaf(0.0, 1.0)
    y = pr.where(x > 0, x / x, 0.0)  # here
    y.sum().backward()
    return y.sum().detach()


def zero_spread() -> Any:
    x = pr.ones(4, 3)
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / spread  # here
    return (z**2).mean()


def spread_of_one() -> Any:
    return pr.ones(1, 3).std(axis=0).sum()  # here


def masked_row() -> Any:
    scores = pr.where(pr.tensor([[True, False], [False, False]]), pr.ones(2, 2), -INF)
    p = pr.softmax(scores)  # here
    return (p * p).sum()


def masked_loss() -> Any:
    logits = pr.full((2, 3), -INF)
    return nn.functional.cross_entropy(logits, pr.tensor([0, 1]))  # here


def mask_by_product() -> Any:
    keep = pr.tensor([1.0, 0.0])
    scores = pr.ones(2) + (1 - keep) * -INF  # here
    return pr.softmax(scores).sum()


def masked_overflow() -> Any:
    scores = pr.tensor([[1e30, 1.0], [1.0, 1.0]]) * 1e30  # here
    scores = pr.where(pr.tensor([[True, False], [True, True]]), scores, -INF)
    return (scores - scores.max(axis=-1, keepdims=True)).sum()


def half_overflow() -> Any:
    return pr.tensor([1e5]).half().sum()  # here


def matmul_overflow() -> Any:
    a = pr.full((2, 2), 1e30)
    return (a @ a).sum()  # here


def written_in_place() -> Any:
    x = pr.ones(3)
    x[1] = pr.zeros().log()  # here
    return (x * 0).sum()


def exploding_gradient() -> Any:
    x = leaf(0.0)
    y = x * 1e30  # here
    (y * 1e30).sum().backward()
    return None if x.grad is None else x.grad


def starved_adam() -> Any:
    x = leaf(1.0)
    optimizer = optim.Adam([x], eps=0.0)
    (x * 0).sum().backward()
    optimizer.step()  # here
    optimizer.zero_grad()
    return x


def custom_rule() -> Any:
    @pr.custom_vjp
    def double(x: Any) -> Any:
        return x * 2

    def forward(x: Any) -> Any:
        return x * 2, x

    def back(x: Any, g: Any) -> Any:
        return (g / (x - x),)  # here

    double.defvjp(forward, back)
    x = leaf(1.0)
    double(x).sum().backward()
    return x.grad


def in_compiled_code() -> Any:
    @pr.jit
    def f(x: Any) -> Any:
        return x.log().sum() * 0  # here

    return f(pr.zeros(2))


@dataclass(frozen=True)
class Trouble:
    """What is to be found by a run; `of` is the forward operation, or the outermost function."""

    run: Run
    operation: str
    of: str
    fix: str
    phase: str = "forward"


TROUBLES = [
    Trouble(log_times_zero, "log", "", advice.LOG),
    Trouble(zero_by_zero, "div", "div", advice.DIVISION),
    Trouble(overflow_then_difference, "exp", "", advice.EXP),
    Trouble(overflow_in_a_step, "exp", "", advice.EXP),
    Trouble(root_of_zero, "div", "sqrt", advice.SLOPE, "backward"),
    Trouble(distance_of_equals, "div", "sqrt", advice.SLOPE, "backward"),
    Trouble(hidden_log, "div", "log", advice.SLOPE, "backward"),
    Trouble(hidden_division, "div", "div", advice.DIVISION),
    Trouble(zero_spread, "div", "div", advice.DIVISION),
    Trouble(spread_of_one, "div", "std", advice.SPREAD),
    Trouble(masked_row, "div", "softmax", advice.MASKED),
    Trouble(masked_loss, "log", "cross_entropy", advice.MASKED),
    Trouble(mask_by_product, "mul", "mul", advice.UNDEFINED),
    Trouble(masked_overflow, "mul", "mul", advice.GROWN),
    Trouble(half_overflow, "cast", "cast", advice.CAST),
    Trouble(matmul_overflow, "matmul", "matmul", advice.GROWN),
    Trouble(written_in_place, "log", "", advice.LOG),
    Trouble(exploding_gradient, "mul", "mul", advice.EXPLODED, "backward"),
    Trouble(starved_adam, "div", "Adam", advice.UPDATE, "update"),
    Trouble(custom_rule, "div", "double", advice.DIVISION, "backward"),
    Trouble(in_compiled_code, "log", "", advice.LOG),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: t.run.__name__)
def test_the_first_operation_that_went_wrong_is_found(trouble: Trouble) -> None:
    finding = find_nonfinite(trouble.run)
    assert finding is not None
    place = finding.place
    of = (*place.called, "")[0] if place.phase == "forward" else place.of
    found = finding.operation, of, finding.fix, place.phase
    assert found == (trouble.operation, trouble.of, trouble.fix, trouble.phase)
    assert finding.source.endswith("# here") and place.file == __file__
    assert finding.output.nan + finding.output.inf > 0
    assert str(finding).endswith(trouble.fix) and finding.source in str(finding)


def masked_attention() -> Any:
    x = leaf(1.0, 2.0, 3.0)
    scores = x[:, None] * x
    scores = pr.where(pr.tril(pr.ones(3, 3)) > 0, scores, -INF)
    loss = (pr.softmax(scores) @ x[:, None]).sum()
    loss.backward()
    return loss


def masked_in_place() -> Any:
    scores = pr.ones(2, 2)
    scores[0, 1] = -INF
    return pr.softmax(scores).sum(), scores


def hidden_branch() -> Any:
    x = pr.tensor([0.0, 1.0])
    return pr.where(x > 0, x.log(), 0.0).sum()


def largest() -> Any:
    best = pr.full((3,), -INF)
    return pr.maximum(best, pr.arange(3.0)).sum(), (best < 0).all()


def looked_at() -> Any:
    pr.zeros(2).log()  # does not come out
    return pr.ones(2), None, 3


@pytest.mark.parametrize(
    "run", [masked_attention, masked_in_place, hidden_branch, largest, looked_at]
)
def test_what_does_not_come_out_is_no_trouble(run: Run) -> None:
    assert find_nonfinite(run) is None


def test_an_infinity_on_purpose_counts_when_it_is_the_result() -> None:
    finding = find_nonfinite(lambda: pr.full((3,), -INF).max())
    assert finding is not None and finding.operation == "full"


class Net(nn.Module):
    """Two layers; the second sees what `change` makes of the first."""

    def __init__(self) -> None:
        self.body = nn.Linear(4, 3)
        self.head = nn.Linear(3, 2)
        self.mask = nn.Buffer(pr.zeros(3))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x) + self.mask)


def _spoiled(net: Net, x: Any, name: str) -> Any:
    x = pr.asarray(x)
    target = {"x": x, **dict(net.named_parameters()), **dict(net.named_buffers())}[name]
    with pr.no_grad():
        target[0] = math.nan
    names = {"x": x, **dict(net.named_parameters()), **dict(net.named_buffers())}
    return find_nonfinite(lambda: net(x).sum(), names)


@pytest.mark.parametrize(
    ("name", "layer", "fix"),
    [
        ("x", 'Linear("body")', advice.DATA),
        ("head.weight", 'Linear("head")', advice.RUINED),
        ("mask", "Net", advice.DATA),
    ],
)
def test_a_tensor_from_outside_is_named(name: str, layer: str, fix: str) -> None:
    finding = _spoiled(Net(), np.ones((5, 4), np.float32), name)
    assert (finding.operation, finding.name, finding.place.layer) == ("", name, layer)
    assert finding.fix == fix and str(finding).startswith(f"{name} held NaN before it was used.")


def test_a_mask_that_is_a_buffer_is_not_blamed() -> None:
    net = Net()
    net.mask = pr.full((3,), -INF)
    buffers = dict(net.named_buffers())
    finding = find_nonfinite(lambda: (net(pr.ones(2, 4)) * 0).sum(), buffers)
    assert finding is not None and (finding.operation, finding.fix) == ("matmul", advice.UNDEFINED)


def test_layer_and_parameter_are_named_in_every_phase() -> None:
    net, x = Net(), pr.ones(2, 4) * 1e30
    with pr.no_grad():
        net.head.weight.fill_(1e30)
    forward = find_nonfinite(lambda: net(x).sum(), net.named_parameters())
    assert forward is not None and forward.place.layer == 'Linear("head")'

    small = Net()
    optimizer = optim.SGD(small.parameters(), lr=1e38)

    def step() -> Any:
        loss = (small(pr.ones(2, 4)) * 1e3).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    update = find_nonfinite(step, small.named_parameters())
    assert update is not None and (update.place.of, update.name) == ("SGD", "body.weight")
    assert "in the update of body.weight" in update.headline

    def back() -> Any:
        (small.head(pr.zeros(1, 3).requires_grad_()) * 1e30).sum().backward()

    with pr.no_grad():
        small.head.weight.fill_(1e30)
        small.head.bias.fill_(0.0)
    backward = find_nonfinite(back, small.named_parameters())
    assert backward is not None and backward.place.layer == 'Linear("head")'


def test_clipping_is_named() -> None:
    x = leaf(1.0)

    def run() -> Any:
        (x * 1e30).sum().backward()
        return optim.clip_grad_norm_([x], 1.0)  # the square of 1e30 is too large

    finding = find_nonfinite(run)
    assert finding is not None and finding.place.phase == "update"
    assert finding.headline == "clip_grad_norm_ (in its mul) gave the first inf, in the update."


def test_the_text_of_a_finding() -> None:
    text = str(find_nonfinite(log_times_zero)).replace(__file__, "FILE").splitlines()
    line = log_times_zero.__code__.co_firstlineno + 2
    assert text == [
        "log gave the first inf, in the forward pass.",
        f"  at FILE:{line}: return (x * x.log()).sum()  # here",
        "  input 0: float32 (2,), 0 … 1",
        "  output: float32 (2,), 0 … 0, 1 inf of 2",
        advice.LOG,
    ]
