"""Variables: assigned to, as a whole and in parts, and parts of modules."""

import copy
import pickle

import numpy as np
import pytest

import pierian as pr
from pierian import nn


def test_variables_are_parameters_or_buffers_of_their_module():
    class Counted(nn.Module):
        def __init__(self):
            self.scale = nn.Variable([1.0, 2.0])
            self.calls = nn.Variable(0, trainable=False)
            self.mean = nn.Variable([0.0], trainable=False)

        def forward(self, x):
            self.calls.assign_add(1)
            return x * self.scale

    model = Counted()
    model(np.ones((3, 2), "float32"))
    assert [name for name, _ in model.named_parameters()] == ["scale"]
    assert {name: b.tolist() for name, b in model.named_buffers()} == {"calls": 1, "mean": [0.0]}
    jitted = pr.jit(model)
    assert [jitted(np.ones((3, 2), "float32")).shape for _ in range(3)] == [(3, 2)] * 3
    assert model.calls.item() == 4


@pytest.mark.parametrize(
    ("given", "dtype"),
    [((np.zeros(2),), "float32"), ((np.zeros(2), None, "float64"), "float64"), ((3,), "int64"),
     ((np.zeros(2, "float16"),), "float16"), (("zeros", (2, 3)), "float32")],
)  # fmt: skip
def test_dtype_is_that_of_the_values_but_float64_only_when_said(given, dtype):
    assert nn.Variable(*given).dtype == np.dtype(dtype)


def test_assigning_keeps_the_variable_and_copies():
    start = np.zeros((2, 3), "float32")
    v = nn.Variable(start)
    assert v.assign(np.ones((2, 3))) is v
    assert v[1].assign(2.0) is v
    v[0, :2].assign([5.0, 6.0])
    assert v.assign_sub(np.ones((2, 3))).tolist() == [[4.0, 5.0, 0.0], [1.0, 1.0, 1.0]]
    assert not start.any()
    with pytest.raises(pr.ShapeError, match="keeps its shape"):
        v.assign(np.ones(3))
    for twin in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert isinstance(twin, nn.Variable)
        assert twin.tolist() == v.tolist()


def test_starts_count_inputs_and_outputs_of_a_product_from_the_right():
    pr.manual_seed(0)
    v = nn.Variable("he_normal", (400, 50))
    assert v.shape == (400, 50)
    assert abs(float(v.std()) - np.sqrt(2 / 400)) < 0.002
    assert nn.Variable(lambda shape, dtype: pr.full(shape, 3.0), (2,)).tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="he_normal"):
        nn.Variable("he_norma", (2, 2))
