"""Tracing: a whole training step is one graph; nothing leaks in or out."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian.core.graph import verify
from pierian.core.tensor import Tensor, assign, mode
from pierian.core.trace import Traced, trace

SIZES = (6, 5, 3)


class Model:
    """A network with dropout, momentum and running statistics, all by hand."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)

        def parameter(*shape: int) -> Tensor:
            return pr.tensor(rng.normal(size=shape).astype("f4") * 0.5, requires_grad=True)

        self.params = [
            parameter(SIZES[1], SIZES[0]), parameter(SIZES[1]),
            parameter(SIZES[2], SIZES[1]), parameter(SIZES[2]),
        ]  # fmt: skip
        self.velocity = [pr.zeros_like(p) for p in self.params]
        self.mean = pr.zeros(SIZES[1])
        self.count = pr.zeros(dtype=int)
        self.lr = pr.tensor(0.1)
        self.generator = pr.Generator(seed)
        self.grads = "drop"

    def forward(self, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = self.params
        h = pr.relu(pr.linear(x, w1, b1))
        with pr.no_grad():
            self.mean.mul_(0.9).add_(h.mean(0), alpha=0.1)
            self.count += 1
        mask = pr.bernoulli(0.7, h.shape, generator=self.generator)
        return pr.linear((h - self.mean) * mask / 0.7, w2, b2)

    def step(self, x: Tensor, labels: Tensor) -> Any:
        if self.grads == "zero":
            for p in self.params:
                if p.grad is not None:
                    p.grad.zero_()
        logp = pr.log_softmax(self.forward(x), 1)
        loss = -pr.take_along_axis(logp, labels.reshape(-1, 1), 1).mean()
        loss.backward()
        with pr.no_grad():
            for p, v in zip(self.params, self.velocity, strict=True):
                v.mul_(0.9).add_(p.grad)
                p.sub_(v * self.lr)
        if self.grads == "drop":
            for p in self.params:
                p.grad = None
        return {"loss": loss.detach(), "logp": logp.detach()}

    def state(self) -> list[bytes]:
        tensors = [*self.params, *self.velocity, self.mean, self.count, self.generator.state]
        tensors += [p.grad for p in self.params if p.grad is not None]
        return [t.numpy().tobytes() for t in tensors]


def batch(seed: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4, SIZES[0])).astype("f4")
    return pr.tensor(x), pr.tensor(rng.integers(0, SIZES[2], 4))


def same(a: Any, b: Any) -> bool:
    return all(a[k].numpy().tobytes() == b[k].numpy().tobytes() for k in ("loss", "logp"))


@pytest.mark.parametrize("grads", ["drop", "keep", "zero"])
def test_a_training_step_is_one_graph_with_the_eager_bits(grads: str) -> None:
    eager, model = Model(3), Model(3)
    eager.grads = model.grads = grads
    if grads != "drop":  # gradients exist already: the step adds to them in place
        eager.step(*batch(0))
        model.step(*batch(0))
    before = model.state()
    traced = trace(model.step, *batch(0))
    assert model.state() == before, "tracing has no effects"
    verify(traced.graph)
    assert len(traced.graph.inputs) == 2 + len(traced.captured)
    for i in range(5):
        assert same(traced(*batch(i)), eager.step(*batch(i))), f"step {i}"
        assert model.state() == eager.state(), f"state after step {i}"


def test_what_a_step_captures_and_updates() -> None:
    model = Model(1)
    traced = trace(model.step, *batch(0))
    captured = {id(t) for t in traced.captured}
    expected = [*model.params, *model.velocity, model.mean, model.count, model.lr,
                model.generator.state]  # fmt: skip
    assert captured == {id(t) for t in expected}
    assert {id(t) for t in traced.updated} == captured - {id(model.lr)}
    assert traced.grads == [], "gradients were made and dropped inside"
    arrays = [c for c in traced.graph.constants.values() if c.size > 4]
    assert arrays == [], "nothing but small numbers is a constant"


def test_captured_tensors_are_read_anew() -> None:
    w = pr.tensor([1.0, 2.0])
    traced = trace(lambda x: x * w, pr.ones(2))
    w.mul_(10)
    assert traced(pr.ones(2)).tolist() == [10, 20]
    w.data = pr.tensor([5.0, 6.0])
    assert traced(pr.ones(2)).tolist() == [5, 6]


def test_gradients_left_on_leaves_are_effects() -> None:
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    unused = pr.tensor([1.0], requires_grad=True)
    unused.grad = pr.ones(1)

    def step(x: Tensor) -> Tensor:
        unused.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    traced = trace(step, pr.ones(2))
    assert w.grad is None
    assert unused.grad is not None
    traced(pr.tensor([3.0, 4.0]))
    assert w.grad.tolist() == [3, 4]
    assert unused.grad is None
    assert not np.shares_memory(w.grad.numpy(), w.numpy())


def test_gradients_of_several_leaves_share_no_memory() -> None:
    a, b = pr.zeros(2, requires_grad=True), pr.zeros(2, requires_grad=True)
    seed = pr.ones(2)

    def step(seed: Tensor) -> Tensor:
        y = a + b
        y.backward(seed)
        return y.detach()

    trace(step, seed)(seed)
    arrays = [a.grad.numpy(), b.grad.numpy(), seed.numpy()]
    assert not any(
        np.shares_memory(x, y) for x, y in zip(arrays, arrays[1:] + arrays[:1], strict=True)
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: w.sum(),
        lambda w: (w.T.reshape(-1) * pr.arange(6).float()).sum(),
        lambda w: w[0].sum() + w[::-1].flatten()[1],
        lambda w: (w + w.T.T).mean(0).sum(),
    ],
)
def test_gradients_that_are_views_can_be_changed(loss: Callable[[Tensor], Tensor]) -> None:
    def make() -> tuple[Tensor, Callable[[], Tensor]]:
        w = pr.ones(2, 3, requires_grad=True)

        def step() -> Tensor:
            w.grad = None
            value = loss(w)
            value.backward()
            w.grad.mul_(0.5)
            w.grad[0] += 1.0
            return value.detach()

        return w, step

    (w, step), (twin, eager) = make(), make()
    traced = trace(step)
    for _ in range(2):
        assert traced().item() == eager().item()
        assert w.grad.tolist() == twin.grad.tolist()
        assert w.grad.numpy().flags.writeable


def test_accumulating_twice_inside_a_trace() -> None:
    a, b = pr.zeros(2, requires_grad=True), pr.zeros(2, requires_grad=True)

    def step() -> Tensor:
        a.grad = b.grad = None
        for scale in (1.0, 2.0):
            (a + b * scale).sum().backward()
        a.grad.mul_(10.0)
        return a.grad + b.grad

    traced = trace(step)
    assert traced().tolist() == [23, 23]
    assert a.grad.tolist() == [20, 20]
    assert b.grad.tolist() == [3, 3]
    assert step().tolist() == [23, 23]


def test_copy_before_update_keeps_the_old_values() -> None:
    def make() -> tuple[Tensor, Tensor, Callable[[], Tensor]]:
        w, old = pr.tensor([1.0, 2.0]), pr.zeros(2)

        def step() -> Tensor:
            loss = (w * 2.0).sum()
            old.copy_(w)
            w.sub_(1.0)
            return loss

        return w, old, step

    w, old, step = make()
    traced = trace(step)
    for value in (1.0, 0.0):
        traced()
        assert old.tolist() == [value, value + 1]
        assert w.tolist() == [value - 1, value]
    w, old, step = make()
    step()
    assert old.tolist() == [1, 2]


def test_values_assigned_from_captured_tensors_are_those_before_the_step() -> None:
    w, old = pr.tensor([1.0, 2.0]), pr.zeros(2)

    def step() -> None:
        w + 0.0  # captured first, so also written first
        assign(old, w)
        assign(w, w * 3.0)

    traced = trace(step)
    for value in (1.0, 3.0):
        traced()
        assert old.tolist() == [value, 2 * value]
        assert w.tolist() == [3 * value, 6 * value]


def test_swapping_two_tensors() -> None:
    a, b = pr.tensor([1.0]), pr.tensor([2.0])

    def swap() -> Tensor:
        kept = a.clone()
        a.copy_(b)
        b.copy_(kept)
        return kept

    traced = trace(swap)
    traced()
    assert (a.item(), b.item()) == (2, 1)


def test_aliases_see_and_make_updates() -> None:
    for change in (
        lambda w: w.data.mul_(2.0),
        lambda w: w.detach().mul_(2.0),
        lambda w: w.data.data.mul_(2.0),
        lambda w: setattr(w, "data", w.data * 2.0),
    ):
        w = pr.tensor([1.0, 2.0], requires_grad=True)
        outside = w.detach()

        def step(w: Tensor = w, outside: Tensor = outside, change: Any = change) -> Tensor:
            alias = w.data
            change(w)
            return alias * 1.0 + w.detach()

        traced = trace(step)
        assert w.tolist() == [1, 2]
        assert traced().tolist() == [4, 8]
        assert w.tolist() == [2, 4]
        assert type(outside.value) is np.ndarray


def test_alias_made_outside_may_be_changed_inside() -> None:
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    alias = w.detach()

    def step() -> Tensor:
        alias.add_(1.0)
        return w * 1.0

    traced = trace(step)
    assert type(alias.value) is np.ndarray
    assert traced().tolist() == [2, 3]
    assert alias.tolist() == [2, 3]


def test_alias_whose_original_has_moved_stands_for_itself() -> None:
    w = pr.tensor([1.0, 2.0])
    old = w.detach()
    w.data = pr.tensor([5.0, 6.0])
    traced = trace(lambda: old + w)
    assert traced().tolist() == [6, 8]


def test_new_data_in_a_trace() -> None:
    w, other = pr.tensor([1.0, 2.0]), pr.tensor([5.0, 6.0])

    def step() -> Tensor:
        w.data = other
        return w * 1.0

    traced = trace(step)
    assert w.tolist() == [1, 2]
    assert traced().tolist() == [5, 6]
    assert w.tolist() == [5, 6]
    with pytest.raises(pr.TraceError, match="a new value must have the type of the old"):
        trace(lambda: setattr(w, "data", pr.zeros(3)))


def test_history_given_inside_is_taken_back() -> None:
    w, plain = pr.tensor([1.0, 2.0], requires_grad=True), pr.zeros(2)

    def step() -> Tensor:
        plain.copy_(w * 2.0)
        plain[0] = w[1]
        return plain.sum()

    traced = trace(step)
    assert plain.is_leaf
    assert not plain.requires_grad
    assert plain.tolist() == [0, 0]
    traced()
    assert plain.tolist() == [2, 4]


def test_results_of_recorded_operations_can_be_captured() -> None:
    w = pr.tensor([2.0], requires_grad=True)
    h = w * w
    traced = trace(lambda x: x * h, pr.ones(1))
    assert traced(pr.ones(1)).tolist() == [4]
    h.sum().backward()
    assert w.grad.tolist() == [4]


# In-place changes that a graph cannot hold


def test_arguments_stay_as_they_are() -> None:
    def changing(x: Tensor) -> Tensor:
        x += 1
        return x

    def by_alias(x: Tensor) -> Tensor:
        x.data.zero_()
        return x

    for fn in (changing, by_alias):
        with pytest.raises(pr.TraceError, match=r"test_trace.py:\d+\): an argument must stay"):
            trace(fn, pr.zeros(2))


def test_lost_changes_of_views_are_errors() -> None:
    w = pr.zeros(2, 2)

    def by_method() -> Tensor:
        w[0].fill_(1.0)
        return w * 1.0

    def by_item() -> Tensor:
        w[0][1] = 1.0
        return w * 1.0

    def by_transpose() -> Tensor:
        w.T.add_(1.0)
        return w * 1.0

    for fn in (by_method, by_item, by_transpose):
        with pytest.raises(pr.TraceError, match="a change of a view must reach"):
            trace(fn)
        assert w.tolist() == [[0, 0], [0, 0]]


def test_views_taken_before_a_change_are_refused_after_it() -> None:
    w = pr.ones(2, 2)
    outside, same = w[0], w.detach()

    def read(view: Any) -> Callable[[], Tensor]:
        def step() -> Tensor:
            taken = view()
            w.mul_(2.0)
            return taken + w

        return step

    for view in (lambda: w[0], lambda: w.T, lambda: w.reshape(4)[:2], lambda: outside):
        with pytest.raises(pr.TraceError, match="a view must be taken after the change"):
            trace(read(view))
        assert w.tolist() == [[1, 1], [1, 1]]
    assert trace(read(lambda: w.detach()))().tolist() == [[4, 4], [4, 4]]
    assert trace(read(lambda: same))().tolist() == [[8, 8], [8, 8]]
    assert trace(read(lambda: w.T.clone()))().tolist() == [[12, 12], [12, 12]]


def test_changing_a_view_from_outside_hides_the_original() -> None:
    w = pr.ones(2, 2)
    row = w[0]

    def step() -> Tensor:
        row.zero_()
        return w * 1.0

    with pytest.raises(pr.TraceError, match="a view must be taken after the change"):
        trace(step)


def test_operators_on_views_must_be_assigned_back() -> None:
    w = pr.ones(2, 2)

    def lost() -> Tensor:
        row = w[0]
        row += 1.0
        return w * 1.0

    with pytest.raises(pr.TraceError, match="a view must be taken after the change"):
        trace(lost)


def test_item_updates_work() -> None:
    w = pr.zeros(2, 2)

    def step() -> Tensor:
        w[0] += 1
        w[1, 1] = 5.0
        w[:, 0] *= 3
        w.add_(1.0)
        return w * 1.0

    traced = trace(step)
    twin = pr.zeros(2, 2)
    for _ in range(3):
        result = traced()
        twin[0] += 1
        twin[1, 1] = 5.0
        twin[:, 0] *= 3
        twin.add_(1.0)
        assert w.tolist() == result.tolist() == twin.tolist()


# Values that are not there


def here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


PEEKS: list[tuple[str, Callable[[Tensor], Any]]] = [
    ("item()", lambda x: x.sum().item()),
    ("bool()", lambda x: 1 if x.sum() > 0 else 2),
    ("item()", lambda x: float(x.sum())),
    ("item()", lambda x: int(x.sum())),
    ("item()", lambda x: [1, 2][x.sum().long()]),
    ("numpy()", lambda x: x.numpy()),
    ("tolist()", lambda x: x.tolist()),
    ("np.asarray", lambda x: np.asarray(x)),
    ("np.asarray", lambda x: np.sin(x)),
    ("np.asarray", lambda x: pr.tensor([x, x])),
    ("in", lambda x: 1.0 in x),
    ("item()", lambda x: f"{x.sum():.2f}"),
    ("a bool mask as an index", lambda x: x[x > 0]),
    ("nonzero()", lambda x: pr.nonzero(x)),
    ("unique()", lambda x: pr.unique(x)),
    ("bool()", lambda x: pr.allclose(x, x)),
    ("bool()", lambda x: max(x[0], x[1])),
]


@pytest.mark.parametrize(("use", "peek"), PEEKS)
def test_looking_at_values_names_the_line(use: str, peek: Callable[[Tensor], Any]) -> None:
    line = inspect.getsourcelines(peek)[1]
    with pytest.raises(pr.TraceError, match="needs a value that is not there yet") as caught:
        trace(lambda x: peek(x), pr.ones(2))
    text = str(caught.value)
    assert use in text
    assert f"test_trace.py:{line})" in text


@pytest.mark.parametrize(("use", "peek"), PEEKS)
def test_values_of_outside_tensors_are_never_baked_in(use: str, peek: Any) -> None:
    w = pr.ones(2)
    with pytest.raises(pr.TraceError, match="needs a value that is not there yet"):
        trace(lambda x: (peek(w), x)[1], pr.ones(2))
    assert w.tolist() == [1, 1]


def test_shapes_iteration_and_print_work_in_a_trace() -> None:
    seen = []

    def fn(x: Tensor) -> Tensor:
        seen.append(f"{x}")
        assert (x.shape, x.ndim, len(x), x.numel()) == ((2, 3), 2, 2, 6)
        assert x.dtype == np.float32
        return sum((row * i for i, row in enumerate(x)), x[0])

    traced = trace(fn, pr.ones(2, 3))
    assert traced(pr.ones(2, 3)).tolist() == [2, 2, 2]
    assert seen == ["tensor(%0: float32[2,3])"]


def test_functions_return_tensors() -> None:
    with pytest.raises(pr.TraceError, match="a traced function returns tensors.*got float"):
        trace(lambda x: [x, 1.0], pr.ones(2))
    assert trace(lambda x: None, pr.ones(2))(pr.ones(2)) is None
    assert trace(lambda x: (x, {"a": [x]}), pr.ones(1))(pr.ones(1))[1]["a"][0].tolist() == [1]


def test_leaked_tensors_name_the_line_that_uses_them() -> None:
    kept: list[Tensor] = []

    def fn(x: Tensor) -> Tensor:
        kept.append(x * 2.0)
        return x

    trace(fn, pr.ones(2))
    (lost,) = kept
    uses: list[Callable[[], Any]] = [
        lambda: lost + 1.0,
        lambda: pr.sum(lost),
        lambda: lost.zero_(),
        lambda: lost.__setitem__(0, 1.0),
        lambda: lost[0],
        lambda: lost.data.add_(1.0),
    ]
    for use in uses:
        with pytest.raises(pr.TraceError, match="a traced tensor lives only in its own trace") as e:
            use()
        assert f"test_trace.py:{inspect.getsourcelines(use)[1]})" in str(e.value)
    for peek in (lost.item, lost.numpy, lost.tolist, lambda: bool(lost[0])):
        with pytest.raises(pr.TraceError):
            peek()
    assert "%" in repr(lost)
    with pytest.raises(pr.TraceError, match="lives only in its own trace"):
        trace(lambda x: x + lost, pr.ones(2))


def test_traces_do_not_nest_over_each_others_values() -> None:
    def outer(x: Tensor) -> Tensor:
        return trace(lambda y: y + x, pr.ones(2))(pr.ones(2))

    with pytest.raises(pr.TraceError, match="lives only in its own trace"):
        trace(outer, pr.ones(2))
    assert mode.tracer is None


# Nothing stays behind


def test_an_error_inside_restores_everything() -> None:
    model = Model(2)
    model.step(*batch(0))
    before, nodes = model.state(), [p.node for p in model.params]
    for when in ("before", "after"):

        def step(x: Tensor, y: Tensor, when: str = when) -> Any:
            if when == "after":
                model.step(x, y)
            model.params[0].grad = None
            with pr.no_grad():
                model.params[0].zero_()
            model.mean.copy_(model.params[1])  # recorded
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            trace(step, *batch(0))
        assert mode.tracer is None
        assert mode.grad
        assert model.state() == before
        assert [p.node for p in model.params] == nodes
        assert model.mean.is_leaf
        assert (model.mean + 1).sum().item() == pytest.approx(model.mean.numpy().sum() + SIZES[1])


def test_tracing_belongs_to_a_thread() -> None:
    inside, done = threading.Event(), threading.Event()
    seen: list[Any] = []

    def fn(x: Tensor) -> Tensor:
        inside.set()
        done.wait(10)
        return x * 2.0

    def other() -> None:
        inside.wait(10)
        seen.append((pr.ones(2) + 1).tolist())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    traced = trace(fn, pr.ones(2))
    thread.join()
    assert seen == [[2, 2]]
    assert len(traced.graph.equations) == 1


def test_random_draws_are_the_eager_ones_and_move_the_state() -> None:
    pr.manual_seed(7)
    expected = [pr.rand(3).tolist() + pr.randn(2).tolist() for _ in range(3)]
    pr.manual_seed(7)
    traced = trace(lambda: (pr.rand(3), pr.randn(2)))
    found = [[*a.tolist(), *b.tolist()] for a, b in (traced() for _ in range(3))]
    assert found == expected
    after = pr.rand(1).item()
    pr.manual_seed(7)
    for _ in range(3):
        pr.rand(3)
        pr.randn(2)
    assert pr.rand(1).item() == after


def test_transforms_trace() -> None:
    def fn(x: Tensor) -> Any:
        return pr.grad(lambda v: (v * v * v).sum())(x), pr.hessian(lambda v: (v**3).sum())(x)

    x = pr.tensor([1.0, 2.0])
    g, h = trace(fn, x)(x)
    assert g.tolist() == [3, 12]
    assert h.tolist() == [[6, 0], [0, 12]]


def test_arguments_that_require_gradients() -> None:
    def fn(x: Tensor) -> Any:
        (x * x).sum().backward()
        return x.grad

    x = pr.tensor([1.0, 2.0], requires_grad=True)
    traced = trace(fn, x)
    assert x.grad is None
    assert traced(x).tolist() == [2, 4]
    assert x.grad.tolist() == [2, 4]


def test_other_leaves_of_arguments_pass_through() -> None:
    traced = trace(lambda x, options: x * options["scale"], pr.ones(2), {"scale": 3})
    assert traced(pr.ones(2), {"scale": 3}).tolist() == [3, 3]
    assert len(traced.graph.inputs) == 1


def test_other_shapes_are_refused() -> None:
    traced: Traced = trace(lambda x: x * 2, pr.ones(2))
    with pytest.raises(pr.TraceError, match="interpret: arrays must fit the inputs"):
        traced(pr.ones(3))
