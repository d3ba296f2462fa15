"""Models made by calling layers on symbolic tensors, and the layers that merge branches."""

import copy
import pickle

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.nn.symbolic import FUNCTIONS
from pierian.testing import agree

rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 3, 4)).astype("float32")


def residual() -> nn.Graph:
    x = nn.Input((4,))
    h = nn.Dropout(0.5)(nn.ReLU()(nn.Linear(4, 4)(x)))
    return nn.Graph(x, nn.Linear(4, 2)(x + 0.5 * h))


def shared() -> nn.Graph:
    """A module called twice, two inputs, two outputs, a function, a slice."""
    a, b = nn.Input((4,)), nn.Input((4,))
    layer = nn.Dense(3, "tanh")
    both = nn.Concatenate()([layer(a), layer(b)])
    return nn.Graph([a, b], [nn.symbolic(pr.concat)([both, a], axis=1), both[:, ::2].softmax(-1)])


MODELS = [(residual, [A]), (shared, [A, B])]
cases = pytest.mark.parametrize(("make", "given"), MODELS, ids=lambda x: getattr(x, "__name__", ""))


def values(out):
    return [part.numpy() for part in (out if isinstance(out, list) else [out])]


def test_a_graph_computes_what_its_layers_compute():
    model = residual().eval()
    first, last = model.get_submodule("0"), model.get_submodule("3")
    x = pr.tensor(A)
    expected = last(x + 0.5 * first(x).relu())
    assert np.array_equal(model(x), expected)
    agree(model, x)


def test_inputs_come_one_by_one_or_in_a_list():
    model = shared()
    one, two = model(A, B), model([A, B])
    assert [part.shape for part in one] == [(3, 10), (3, 3)]
    assert all(np.array_equal(p, q) for p, q in zip(one, two, strict=True))
    assert len(list(model.parameters())) == 2
    with pytest.raises(TypeError, match="tensor per Input"):
        model(A)


def branches() -> nn.Graph:
    """A module without parts, a function with the name of an attribute, a tree of outputs."""
    x = nn.Input((4,))
    h = nn.Sequential()(nn.Dense(4)(x))
    return nn.Graph(x, {1: [nn.symbolic(pr.exp, "steps")(h)], "two": (h, x)})


def test_outputs_are_a_tree_of_any_keys(tmp_path):
    model = branches()
    model.save(tmp_path / "model")
    for other in (model, pr.load(tmp_path / "model")):
        out = other(A)
        assert list(out) == [1, "two"]
        h, x = out["two"]
        assert np.array_equal(out[1][0], model.get_submodule("0")(A).exp())
        assert np.array_equal(h, model.get_submodule("0")(A))
        assert np.array_equal(x, A)


@cases
def test_graphs_are_saved_copied_and_pickled(make, given, tmp_path):
    model = make().eval()
    expected = values(model(*given))
    model.save(tmp_path / "model")
    for other in (pr.load(tmp_path / "model"), copy.deepcopy(model),
                  pickle.loads(pickle.dumps(model))):  # fmt: skip
        found = values(other(*given))
        assert all(np.array_equal(p, q) for p, q in zip(found, expected, strict=True))
        assert repr(other) == repr(model)
        assert other.summary().parameters == model.summary().parameters > 0


def test_a_graph_trains():
    model = residual()
    model.compile(pr.optim.SGD(lr=0.1), "mse")
    x, y = rng.normal(size=(64, 4)).astype("float32"), np.ones((64, 2), "float32")
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


def test_deep_graphs_need_no_deep_stack():
    x = h = nn.Input((2,))
    for _ in range(1500):
        h = h + 1.0
    model = pickle.loads(pickle.dumps(nn.Graph(x, h)))
    assert model(np.zeros((1, 2), "float32")).tolist() == [[1500.0, 1500.0]]


def test_calls_on_symbolic_tensors_draw_and_change_nothing():
    norm, drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
    pr.manual_seed(0)
    before = pr.rand(3).tolist()
    pr.manual_seed(0)
    out = norm(drop(nn.Input((4,))))
    assert (out.shape, out.ndim, out.dtype) == ((None, 4), 2, np.float32)
    assert pr.rand(3).tolist() == before
    assert norm.training
    assert norm.num_batches_tracked.item() == 0


X = nn.Input((4,))
OPERATORS = [
    (lambda x: x + 1.0, A + 1), (lambda x: 1.0 - x, 1 - A), (lambda x: B + x, A + B),
    (lambda x: pr.tensor(B) * x, A * B), (lambda x: -x, -A), (lambda x: x / 2.0, A / 2),
    (lambda x: x @ B.T, A @ B.T), (lambda x: x**2, A**2), (lambda x: x[..., 1], A[..., 1]),
    (lambda x: x > 0.0, A > 0), (lambda x: abs(x), abs(A)), (lambda x: x.exp(), np.exp(A)),
    (lambda x: x.mean(1, keepdims=True), A.mean(1, keepdims=True)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(OPERATORS)))
def test_symbolic_tensors_have_operators_and_methods(case):
    call, expected = OPERATORS[case]
    assert np.allclose(nn.Graph(X, call(X))(A), expected, atol=1e-6)


MERGES = [
    (nn.Add(), A + B), (nn.Subtract(), A - B), (nn.Multiply(), A * B), (nn.Average(), (A + B) / 2),
    (nn.Maximum(), np.maximum(A, B)), (nn.Minimum(), np.minimum(A, B)),
    (nn.Concatenate(), np.concatenate([A, B], -1)), (nn.Concatenate(0), np.concatenate([A, B])),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "expected"), MERGES, ids=lambda x: type(x).__name__)
def test_layers_that_merge(layer, expected):
    assert np.allclose(layer([A, B]), expected, atol=1e-6)
    assert np.allclose(layer([pr.tensor(A), pr.tensor(B)]), expected, atol=1e-6)


class Fickle(nn.Module):
    """Gives more in training than in use."""

    def forward(self, x):
        return (x, x) if self.training else x


MISTAKES = [
    (lambda: nn.Input((None, 4)), ValueError, "every axis"),
    (lambda: nn.Input(), ValueError, "shape=(784,)"),
    (lambda: np.exp(X), TypeError, "x.exp()"),
    (lambda: pr.exp(X), TypeError, "nn.symbolic"),
    (lambda: bool(X > 0), TypeError, "before data come"),
    (lambda: X.numpy(), TypeError, "before data come"),
    (lambda: list(X), TypeError, "a loop"),
    (lambda: nn.symbolic(lambda x: x), ValueError, 'Pass name="mine"'),
    (lambda: [nn.symbolic(fn, "taken") for fn in (pr.exp, pr.log)], ValueError, "taken by"),
    (lambda: X.nonsense, AttributeError, "nonsense"),
    (lambda: X.add_(1.0), AttributeError, "add_"),
    (lambda: nn.symbolic(pr.exp, "0"), ValueError, 'Pass name="mine"'),
    (lambda: nn.Graph(X, pr.tensor(A)), TypeError, "got a Tensor"),
    (lambda: nn.Graph(A, X), TypeError, "got a ndarray"),
    (lambda: nn.Graph({"x": X}, X), TypeError, "got a dict"),
    (lambda: nn.Graph(X, X * 2)({"x": A}), TypeError, "in the order of"),
    (lambda: nn.Graph(X, X * nn.Parameter(A[0])), TypeError, "nothing would train"),
    (lambda: nn.Graph(X, Fickle()(X) * 2)(A), TypeError, "in training and in use"),
    (lambda: nn.Linear(3, 2)(X), pr.ShapeError, "in_features"),
    (lambda: nn.Graph(nn.Input((4,)), X * 2), ValueError, "Pass every Input"),
    (lambda: nn.Graph(X, X + B[:1]).config(), pr.CheckpointError, "JSON"),
]


@pytest.mark.parametrize(("act", "kind", "told"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_mistakes_are_explained(act, kind, told):
    with pytest.raises(kind) as caught:
        act()
    assert told in str(caught.value)


def test_a_function_that_the_program_does_not_know_is_named(monkeypatch):
    model = nn.Graph(X, nn.symbolic(lambda x: x + 1, "one_more")(X))
    monkeypatch.delitem(FUNCTIONS, "one_more")
    with pytest.raises(ValueError, match="one_more"):
        model(A)
