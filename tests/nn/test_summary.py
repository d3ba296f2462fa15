"""The table of a model: its text, and that making it leaves the model as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn

f32 = np.float32


def model() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dense(512, "relu"), nn.Dropout(0.2), nn.Dense(10))


TEXT = """\
Sequential   output           parameters  trainable    FLOPs
------------------------------------------------------------
0 (Flatten)  (b, 784)                  0          0        0
1 (Dense)    (b, 512)            401,920    401,920  802,816
2 (Dropout)  (b, 512)                  0          0        0
3 (Dense)    (b, 10)               5,130      5,130   10,240
------------------------------------------------------------
total        1,628,200 bytes     407,050    407,050  813,056"""

OPEN = """\
Sequential   output   parameters  trainable  FLOPs
--------------------------------------------------
0 (Flatten)  ?                 0          0      ?
1 (Dense)    ?                 ?          ?      ?
2 (Dropout)  ?                 0          0      ?
3 (Dense)    ?                 ?          ?      ?
--------------------------------------------------
total        0 bytes           ?          ?      ?"""


@pytest.mark.parametrize(
    "shape",
    [(28, 28), (None, 28, 28), [28, 28], [(28, 28)], np.zeros((7, 28, 28)), pr.zeros(7, 28, 28)],
)
def test_summary_is_a_table_for_every_way_to_say_the_input(shape: Any) -> None:
    assert str(model().summary(shape)) == TEXT


def test_summary_is_open_before_the_input_is_known_and_remembers_it_afterwards() -> None:
    net = model()
    assert repr(net.summary()) == OPEN
    net(np.zeros((3, 28, 28), f32))
    assert str(net.summary()) == TEXT


def test_summary_knows_a_declared_shape_and_follows_the_dtype() -> None:
    net = nn.Sequential(nn.Flatten(input_shape=(28, 28)), nn.Linear(784, 2))
    assert net.summary().flops == 2 * 784 * 2
    assert net.double().summary().size == 8 * 1570
    ids = nn.Identity()
    ids(pr.zeros(3, 2, dtype="int64"))
    assert ids.summary().rows[0].outputs == ((2,),)


def test_summary_changes_nothing() -> None:
    net = model().build((28, 28)).train()
    net[2].eval()
    state = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    before = pr.ops.random.default.state.numpy().copy()
    net.summary((28, 28))
    assert [part.training for part in net] == [True, True, False, True]
    assert all((state[name] == t.numpy()).all() for name, t in net.state_dict().items())
    assert (pr.ops.random.default.state.numpy() == before).all()
    assert all(not part._hooks and not part._pre_hooks for part in net.modules())


class Custom(nn.Module):
    """Its own weight, a shared layer used twice, two inputs and outputs, an unused layer."""

    def __init__(self) -> None:
        self.own = nn.Parameter(np.ones((4, 3), f32))
        self.inner = nn.Linear(3, 3)
        self.inner.bias.requires_grad_(False)
        self.unused = nn.ReLU()

    def forward(self, x: Any, y: Any) -> Any:
        if float((x * y).sum().numpy()) > 1:  # values are there: nothing is traced
            return x
        z = x @ self.own
        return self.inner(self.inner(z)), y


def test_summary_counts_what_each_module_does_itself() -> None:
    summary = Custom().summary([(4,), (5, 4)])
    rows = {row.path: row for row in summary.rows}
    assert list(rows) == ["", "inner", "unused"]
    assert (rows[""].flops, rows[""].parameters) == (2 * 4 * 3, 12)
    assert rows[""].outputs == ((3,), (5, 4))
    assert (rows["inner"].flops, rows["inner"].parameters) == (2 * 2 * 3 * 3, 12)
    assert rows["inner"].trainable == 9
    assert (summary.parameters, summary.trainable, summary.flops) == (24, 21, 60)
    assert "unused (ReLU)   not called" in str(summary)


def test_summary_counts_shared_parameters_once() -> None:
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    summary = net.summary((3,))
    assert [row.parameters for row in summary.rows] == [9, 0]
    assert (summary.parameters, summary.flops, summary.size) == (9, 36, 36)


def test_build_creates_parameters_and_names_the_layer_that_does_not_fit() -> None:
    net = model()
    assert net.build((28, 28)) is net
    assert net.built
    with pytest.raises(pr.ShapeError) as caught:
        nn.Sequential(nn.Dense(3), nn.Linear(4, 1)).build((5,))
    assert str(caught.value) == (
        'Linear("1"): last axis of x must equal in_features; expected 4, got x of shape (1, 3). '
        "Pass in_features=3 or reshape x."
    )
    with pytest.raises(pr.ShapeError) as caught:
        model().build((None, None, 28))
    assert str(caught.value) == (
        "Sequential: input_shape gives every axis of one example; expected whole numbers (None "
        "only for the batch axis), got (None, None, 28). Leave the batch axis out, like (784,) or "
        "(1, 28, 28)."
    )
