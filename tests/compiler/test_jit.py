"""`jit` does what the function itself does: results, effects, errors; and says what it compiled."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import pierian as pr
from pierian import nn, optim
from pierian.base import trees
from pierian.compiler import jit as room
from pierian.compiler.jit import Jit
from pierian.ops.random import default
from pierian.testing import gradcheck

Tensor = pr.Tensor
F32 = {"rtol": 2e-5, "atol": 1e-6}
F64 = {"rtol": 1e-11, "atol": 1e-12}


class Point(NamedTuple):
    x: Any
    y: Any


def arange(*shape: int) -> Tensor:
    return pr.arange(int(np.prod(shape))).float().reshape(*shape) / 7 - 0.5


def close(found: Any, wanted: Any) -> None:
    """Equal trees of tensors, up to rounding."""
    a, one = trees.flatten(found)
    b, two = trees.flatten(wanted)
    assert one == two
    for x, y in zip(a, b, strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        tolerance = F64 if x.dtype == np.float64 else F32
        np.testing.assert_allclose(x.numpy(), y.numpy(), **tolerance)


# Arguments

SHAPED = arange(3, 4)
ARGUMENTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "one tensor": (lambda x: x * 2, (SHAPED,), {}),
    "nothing": (lambda: pr.ones(2) + 1, (), {}),
    "by name": (lambda x, y: x - y, (SHAPED,), {"y": arange(4)}),
    "defaults": (lambda x, scale=3.0, axis=0: (x * scale).sum(axis), (SHAPED,), {}),
    "rest": (lambda *xs, **named: sum(xs) + named["z"], (SHAPED, SHAPED), {"z": SHAPED}),
    "trees": (lambda t: {"a": [t["p"][0] + t["p"][1]], "b": (t["q"],)},
              ({"p": [SHAPED, arange(4)], "q": arange(1)},), {}),
    "named tuple": (lambda p: Point(p.y, p.x * 2), (Point(SHAPED, arange(2)),), {}),
    "none": (lambda x, mask: x if mask is None else x * mask, (SHAPED, None), {}),
    "string": (lambda x, how: x.sum() if how == "sum" else x.mean(), (SHAPED, "mean"), {}),
    "flag": (lambda x, flag: x.T if flag else x, (SHAPED,), {"flag": True}),
    "axis": (lambda x, axis: x.sum(axis), (SHAPED, 1), {}),
    "count": (lambda x, n: sum((x**i for i in range(n)), x), (SHAPED, 3), {}),
    "shape": (lambda x, n: x.reshape(n, -1), (SHAPED, 6), {}),
    "array": (lambda x, y: x + pr.asarray(y), (SHAPED, np.arange(4, dtype=np.float32)), {}),
    "no result": (lambda x: None, (SHAPED,), {}),
    "itself": (lambda x: x, (SHAPED,), {}),
    "twice": (lambda x: (x, [x, x]), (SHAPED,), {}),
    "object": (lambda x, dtype: x.type(dtype), (SHAPED, np.dtype("float64")), {}),
    "empty": (lambda x: (x[:0].sum(0), x[:0] + 1), (SHAPED,), {}),
    "infinite": (lambda x, y: x * y, (SHAPED, float("inf")), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_and_results_are_those_of_the_function(name: str) -> None:
    fn, args, kwargs = ARGUMENTS[name]
    compiled = pr.jit(fn)
    for _ in range(2):
        close(compiled(*args, **kwargs), fn(*args, **kwargs))
    assert compiled.traces == 1
    given = [x.value if isinstance(x, Tensor) else x for x in trees.leaves((args, kwargs))]
    arrays = [x for x in given if isinstance(x, np.ndarray)]
    results = [y.numpy() for y in trees.leaves(compiled(*args, **kwargs))]
    for i, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in arrays + results[:i])


NUMBERS = [2.0, 2, -0.5, 1 + 2j, True, np.float32(1.5), np.int64(3), 7.5, 3]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", "bool_"])
@pytest.mark.parametrize(
    "fn",
    [lambda x, n: x * n, lambda x, n: n - x, lambda x, n: pr.where(x > 0, x, n), pr.maximum],
    ids=["times", "minus", "where", "maximum"],
)
def test_numbers_promote_as_they_do_eagerly(fn: Callable[..., Tensor], dtype: str) -> None:
    x = pr.tensor([0, 1, 1]).type(getattr(pr, dtype))
    compiled = pr.jit(fn)
    for number in NUMBERS:
        try:
            wanted = fn(x, number)
        except Exception as error:  # eager refuses: so does the compiled one, in the same words
            with pytest.raises(type(error)) as caught:
                compiled(x, number)
            assert str(caught.value).split("(")[0] == str(error).split("(")[0]
        else:
            close(compiled(x, number), wanted)


def test_numbers_are_values_of_the_program_unless_python_needs_them() -> None:
    scaled, shaped = pr.jit(lambda x, n: x * n + 2.0), pr.jit(lambda x, n: x.reshape(n, -1))
    for n in (2.0, 3.5, -0.0, float("nan")):
        np.testing.assert_array_equal(scaled(SHAPED, n).numpy(), (SHAPED * n + 2.0).numpy())
    for n in (2, 3, 2):
        assert shaped(SHAPED, n).shape == (n, 12 // n)
    assert (scaled.traces, shaped.traces) == (1, 2)
    doubled = pr.jit(lambda x, n: x * (2 * n))  # arithmetic that Python does
    assert [doubled(pr.ones(()), n).item() for n in (1.0, 2.0, 0.0)] == [2, 4, 0]


def test_static_arguments() -> None:
    def fn(x: Tensor, n: int, *, mode: Any = "up") -> Tensor:
        assert type(n) is int
        return x * n if mode == "up" else x - n

    for static in ({"static_argnums": 1}, {"static_argnames": ("n",)}, {"static_argnums": (-1,)}):
        compiled = pr.jit(fn, **static)
        assert compiled(pr.ones(1), 3).item() == 3
        assert compiled(pr.ones(1), n=3).item() == 3
        assert compiled(pr.ones(1), 4, mode="down").item() == -3
    exact = pr.jit(lambda x, n: x * (1 if n is True else repr(n).count("-") + 5), static_argnums=1)
    assert [exact(pr.ones(()), n).item() for n in (True, 1, 0.0, -0.0)] == [1, 5, 5, 6]


def test_arguments_that_cannot_be_part_of_the_kind_are_refused() -> None:
    compiled = pr.jit(lambda x, n: x, static_argnums=1)
    with pytest.raises(TypeError, match=r"must be hashable; expected .* got \[1, 2\]\. Pass a tup"):
        compiled(pr.ones(1), [1, 2])
    with pytest.raises(TypeError, match="must be hashable"):
        pr.jit(lambda x, n: x)(pr.ones(1), {1, 2})


def test_functions_methods_and_modules() -> None:
    class Counter:
        def __init__(self, step: float) -> None:
            self.step, self.total = pr.tensor(step), pr.zeros()

        @pr.jit
        def add(self, x: Tensor) -> Tensor:
            """Adds."""
            return self.total.add_(x * self.step) * 1

    one, two = Counter(1.0), Counter(10.0)
    for k in (1, 2):
        assert one.add(pr.tensor(2.0)).item() == 2 * k
        assert two.add(x=pr.tensor(2.0)).item() == 20 * k
    assert one.add.repeat(3, pr.tensor(2.0)).item() == 10
    assert one.total.item() == 10
    assert Counter.add.__doc__ == "Adds."
    assert Counter.add.__name__ == "add"
    bound = pr.jit(Counter(3.0).add)
    assert [bound(pr.tensor(1.0)).item() for _ in range(2)] == [3, 6]

    @pr.jit(static_argnames="k")
    def scaled(x: Tensor, k: int) -> Tensor:
        return x * k

    assert scaled(pr.ones(1), k=4).item() == 4
    model = nn.Linear(3, 2)
    compiled = pr.jit(model)
    close(compiled(arange(5, 3)), model(arange(5, 3)))
    assert list(compiled.parameters()) == list(model.parameters())
    assert compiled.eval() is model


def test_waiting_layers_are_built_by_the_first_call() -> None:
    pr.manual_seed(3)
    model = nn.Sequential(nn.Dense(4, activation="relu"), nn.Dense(2))
    compiled = pr.jit(model)
    y = compiled(arange(5, 3))
    close(y, model(arange(5, 3)))
    assert [p.shape for p in model.parameters()] == [(4, 3), (4,), (2, 4), (2,)]


# Effects: two equal worlds, one run eagerly and one compiled, must stay equal


class World:
    """Things that functions change: leaves, a model in training, an optimizer, a generator."""

    def __init__(self) -> None:
        pr.manual_seed(0)
        self.w = pr.tensor([1.0, -2.0, 3.0], requires_grad=True)
        self.v = pr.tensor([0.5, 0.25, -1.0], requires_grad=True)
        self.buffer = pr.zeros(3)
        self.count = pr.zeros(dtype=int)
        self.square = pr.arange(9).float().reshape(3, 3)
        self.generator = pr.Generator(5)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.4), nn.Linear(4, 2))
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.05)
        self.sgd = optim.SGD([self.w, self.v], lr=0.1, momentum=0.9)

    def state(self) -> dict[str, Any]:
        leaves = [self.w, self.v, *self.model.parameters()]
        return {
            "values": [*leaves, self.buffer, self.count, self.square, self.generator.state],
            "grads": [t.grad for t in leaves],
            "adam": trees.leaves(self.optimizer.state_dict()["state"]),
            "sgd": trees.leaves(self.sgd.state_dict()["state"]),
            "default": default.state,
        }

    # each takes x: float32[3]

    def backward(self, x: Tensor) -> Tensor:
        loss = (self.w * x + self.v * self.v).sum()
        loss.backward()
        return loss.detach()

    def drop(self, x: Tensor) -> None:
        self.w.grad = None
        self.v.grad = None

    def clear(self, x: Tensor) -> None:
        self.sgd.zero_grad(set_to_none=False)

    def step(self, x: Tensor) -> Tensor:
        self.sgd.zero_grad()
        loss = ((self.w * x).sum() - self.v.sum()) ** 2
        loss.backward()
        self.sgd.step()
        return loss

    def train(self, x: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = (self.model(x.unsqueeze(0)) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss

    def train_and_forget(self, x: Tensor) -> Tensor:
        loss = (self.model(x.unsqueeze(0)) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def moving(self, x: Tensor) -> Tensor:
        self.buffer.mul_(0.9).add_(x, alpha=0.1)
        self.count += 1
        self.buffer[1] = 7.0
        return self.buffer + self.count

    def draw(self, x: Tensor) -> Any:
        return pr.rand(3) + x, pr.randn(2, generator=self.generator), pr.randint(9, shape=(4,))

    def swap(self, x: Tensor) -> Tensor:
        before = self.buffer.clone()
        self.buffer.copy_(self.square[0])
        self.square[0] = before + x
        return before

    def modes(self, x: Tensor) -> Tensor:
        self.model.eval()
        y = self.model(x.unsqueeze(0))
        self.model.train()
        return y.detach()

    def to_use(self, x: Tensor) -> Tensor:
        y = self.model(x.unsqueeze(0)).detach()
        self.model.eval()
        return y

    def to_training(self, x: Tensor) -> Tensor:
        self.model.train()
        return self.model(x.unsqueeze(0)).detach()


PLANS: dict[str, list[str]] = {
    "gradients add up": ["backward"] * 3,
    "gradients go and come": ["backward", "backward", "drop", "backward", "backward"],
    "gradients are cleared in place": ["backward", "clear", "backward", "clear", "backward"],
    "sgd": ["step"] * 4,
    "sgd between": ["backward", "step", "backward", "step"],
    "adam": ["train"] * 4,
    "adam that forgets": ["train_and_forget"] * 4,
    "buffers": ["moving"] * 3,
    "draws": ["draw", "train", "draw", "draw"],
    "swapped": ["swap"] * 3,
    "training and use": ["modes", "to_use", "train", "to_use", "to_training", "train", "modes"],
}


@pytest.mark.parametrize("outside", [False, True], ids=["all compiled", "every second one eager"])
@pytest.mark.parametrize("name", PLANS)
def test_effects_are_those_of_the_function(name: str, outside: bool) -> None:
    results: list[list[Any]] = []
    for compiled in (False, True):
        world, found = World(), []
        calls = {fn: pr.jit(getattr(world, fn)) for fn in PLANS[name]}
        for k, fn in enumerate(PLANS[name]):
            eager = not compiled or (outside and k % 2)
            call = getattr(world, fn) if eager else calls[fn]
            y = call(arange(3) + k)
            found.append(trees.map_tree(lambda t: t.clone().detach(), (y, world.state())))
            found.append([pr.tensor(m.training) for m in world.model.modules()])
        results.append(found)
    for eager, native in zip(*results, strict=True):
        close(native, eager)


@pytest.mark.parametrize("name", ["step", "train", "train_and_forget", "modes", "draw"])
def test_steps_are_compiled_once(name: str) -> None:
    world = World()
    compiled = pr.jit(getattr(world, name))
    for k in range(4):
        compiled(arange(3) + k)
        for group in (*world.sgd.param_groups, *world.optimizer.param_groups):
            group["lr"] = 0.1 / (k + 1)
    assert compiled.traces == 1


def test_a_learning_rate_set_outside_takes_effect() -> None:
    ends = []
    for wrap in (lambda fn: fn, pr.jit):
        world = World()
        step = wrap(world.step)
        schedule = optim.schedule.StepLR(world.sgd, step_size=1, gamma=0.5)
        for _ in range(3):
            step(arange(3))
            schedule.step()
        world.sgd.lr = 0.0
        step(arange(3))
        ends.append(world.w.detach())
    close(ends[1], ends[0])


def test_gradients_of_arguments_are_effects_too() -> None:
    @pr.jit
    def pull(x: Tensor) -> Tensor:
        (x * x).sum().backward()
        return x.detach() * 1

    for k in (1.0, 2.0):
        x = pr.tensor([k], requires_grad=True)
        for _ in range(2):
            pull(x)
        assert x.grad.tolist() == [4 * k]
    with pytest.raises(pr.GradError, match="backward inside stops at the arguments"):
        pull(x * 2)


def test_an_error_while_tracing_changes_nothing() -> None:
    world = World()
    world.step(arange(3))
    world.train(arange(3))
    before = trees.map_tree(lambda t: t.clone().detach(), world.state())

    class Stop(BaseException):
        pass

    for error in (ValueError, KeyboardInterrupt, Stop):

        @pr.jit
        def fails(x: Tensor, error: type = error) -> Tensor:
            for name in ("step", "train", "moving", "draw", "swap", "to_use"):
                getattr(world, name)(x)
            raise error("mine")

        with pytest.raises(error, match="mine"):
            fails(arange(3))
        close(world.state(), before)
        assert all(m.training for m in world.model.modules())
        assert fails.traces == 0


# Guards


def test_training_and_use_are_different_programs() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    forward, asks = pr.jit(model), pr.jit(lambda x: x + 1 if model.training else x - 1)
    x = pr.ones(64, 3)
    for _ in range(2):
        model.train()
        assert (forward(x) == 0).any()
        assert asks(pr.zeros(())).item() == 1
        model.eval()
        close(forward(x), model(x))
        assert asks(pr.zeros(())).item() == -1
    assert (forward.traces, asks.traces) == (2, 2)


def _set(obj: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(obj, name, value)


OTHER = nn.Linear(3, 3)
CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "part": lambda m: _set(m, first=OTHER),
    "weight": lambda m: _set(m.first, weight=nn.Parameter(pr.ones(3, 3))),
    "new memory": lambda m: _set(m.first.weight, data=pr.ones(3, 3)),
    "frozen": lambda m: m.first.weight.requires_grad_(False),
    "setting": lambda m: _set(m, scale=2.5),
    "hook": lambda m: m.first.register_forward_hook(lambda module, args, y: y * 2),
    "smaller": lambda m: (_set(m.first.weight, data=pr.ones(2, 3)),
                          _set(m.first.bias, data=pr.ones(2))),
    "wider dtype": lambda m: (_set(m.first.weight, data=pr.ones(3, 3).double()),
                              _set(m.first.bias, data=pr.ones(3).double())),
    "in place": lambda m: m.first.weight.data.fill_(2.0),
    "nothing": lambda m: None,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_a_model_between_calls_are_seen(name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.first, self.scale = nn.Linear(3, 3), 1.5

        def forward(self, x: Tensor) -> Tensor:
            return self.first(x.type(self.first.weight.dtype)) * self.scale

    model, x = Net(), arange(2, 3)
    compiled = pr.jit(model)
    for change in (lambda m: None, CHANGES[name], lambda m: None):
        change(model)
        for parameter in OTHER.parameters():
            parameter.grad = None
        results = []
        for call in (model, compiled):
            y = call(x)
            y.sum().backward()
            results.append((y.detach(), [p.grad for p in model.parameters()]))
            for parameter in model.parameters():
                parameter.grad = None
        close(results[1], results[0])
    assert compiled.traces == (1 if name in ("new memory", "in place", "nothing") else 2)


scale = pr.tensor(2.0)
factor = 3.0


def helper(x: Tensor) -> Tensor:
    return x * scale * factor


def test_names_bound_anew_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    offset: Any = 1.0

    @pr.jit
    def fn(x: Tensor) -> Tensor:
        return helper(x) + offset

    one = pr.ones(())
    assert fn(one).item() == 7
    offset = 2.0
    assert fn(one).item() == 8
    monkeypatch.setattr(sys.modules[__name__], "scale", pr.tensor(10.0))
    assert fn(one).item() == 32
    monkeypatch.setattr(sys.modules[__name__], "factor", float("4"))
    assert fn(one).item() == 42
    monkeypatch.setattr(sys.modules[__name__], "factor", float("4.0"))
    assert fn(one).item() == 42
    assert fn.traces == 4


data = 0


def test_names_of_attributes_are_not_those_of_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holder:
        level = 1.0

        def __init__(self) -> None:
            self.gain, self.note = 2.0, 0

        @pr.jit
        def fn(self, x: Tensor) -> Tensor:
            return x.data * self.gain + self.level

    holder = Holder()
    for k in range(3):
        monkeypatch.setattr(sys.modules[__name__], "data", k)
        holder.note = k
        assert holder.fn(pr.ones(())).item() == 3
    assert Holder.fn.traces == 1
    holder.gain = 5.0
    assert holder.fn(pr.ones(())).item() == 6


@pr.jit
def at_top(x: Tensor) -> Tensor:
    return x * 2


def test_compiled_functions_are_copied_and_pickled_as_functions_are() -> None:
    assert copy.deepcopy({"f": at_top})["f"] is at_top
    assert pickle.loads(pickle.dumps(at_top)) is at_top


def test_grad_mode_at_the_call_counts() -> None:
    w = pr.tensor([2.0], requires_grad=True)
    fn = pr.jit(lambda x: w * x)
    assert fn(pr.ones(1)).requires_grad
    with pr.no_grad():
        assert not fn(pr.ones(1)).requires_grad
    assert not pr.jit(lambda x: (w * x).detach())(pr.ones(1)).requires_grad


def test_many_traces_say_once_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    @pr.jit
    def step(batch: Any, k: Any = None) -> Tensor:
        return batch["x"].sum()

    for n in range(1, room.MANY_TRACES + 4):
        step({"x": pr.ones(n, 28)})
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "jit(step): traced 5 times; batch['x'] changed float32[4, 28] -> float32[5, 28]." in text
    frozen = nn.Linear(2, 2)
    forward = pr.jit(frozen)
    for k in range(6):
        frozen.extra = k
        forward(pr.ones(1, 2))
    assert "jit(Linear): traced 5 times; extra changed" in capsys.readouterr().err


# What cannot be traced

PEEKS: dict[str, Callable[[Tensor], Any]] = {
    "bool()": lambda x: x if x.sum() > 0 else -x,
    "item()": lambda x: x * float(x.sum()),
    "int": lambda x: x * int(x.sum()),
    "np.asarray": lambda x: x * np.asarray(x),
    "tolist()": lambda x: [pr.tensor(v) for v in x.tolist()],
    "a bool mask as an index": lambda x: x[x > 0],
}


@pytest.mark.parametrize("use", PEEKS)
def test_looking_at_values_names_the_users_line_and_the_remedy(use: str) -> None:
    peek = PEEKS[use]
    with pytest.raises(pr.TraceError) as caught:
        pr.jit(peek)(pr.ones(2))
    line = inspect.getsourcelines(peek)[1]
    text = str(caught.value)
    assert f"{__file__}:{line})" in text
    assert "needs a value that is not there yet" in text
    assert "pr.where" in text
    assert "static argument" in text


def test_arguments_cannot_change_in_place() -> None:
    with pytest.raises(pr.TraceError, match="an argument must stay as it is"):
        pr.jit(lambda x: x.add_(1.0))(pr.ones(2))


def test_symbols_that_were_kept_are_refused() -> None:
    kept: list[Tensor] = []
    fn = pr.jit(lambda x: (kept.append(x), x * 2)[1])
    fn(pr.ones(2))
    with pytest.raises(pr.TraceError, match=r"jit.*lives only in its own trace"):
        fn(kept[0])


# Composition


def f(x: Tensor) -> Tensor:
    return (pr.sin(x) * x.exp() + x**3).sum()


def many(x: Tensor) -> Tensor:
    return pr.tanh(x * x) + pr.cumsum(x, 0)


@pr.custom_vjp
def clipped(x: Tensor) -> Tensor:
    return x * 2.0


clipped.defvjp(lambda x: (clipped.fn(x), x), lambda x, g: (g * 10.0 * x,))
POINT = pr.tensor(np.array([0.3, -1.2, 0.7]))
J: Callable[..., Any] = pr.jit
COMPOSED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "grad of jit": lambda j: pr.grad(j(f)),
    "jit of grad": lambda j: j(pr.grad(f)),
    "grad of jit of grad": lambda j: pr.grad(lambda x: (j(pr.grad(f))(x) ** 2).sum()),
    "second derivative": lambda j: pr.grad(lambda x: pr.grad(j(f))(x)[0]),
    "third derivative": lambda j: pr.grad(
        lambda x: pr.grad(lambda y: pr.grad(j(f))(y).sum())(x).sum()
    ),
    "hessian of jit": lambda j: pr.hessian(j(f)),
    "jit of hessian": lambda j: j(pr.hessian(f)),
    "jacobian of jit": lambda j: pr.jacobian(j(many)),
    "jit of jacobian": lambda j: j(pr.jacobian(many)),
    "jvp of jit": lambda j: lambda x: pr.jvp(j(many), (x,), (x * 2,)),
    "jit of jvp": lambda j: j(lambda x: pr.jvp(many, (x,), (x * 2,))),
    "vjp of jit": lambda j: lambda x: pr.vjp(j(many), x)[1](x + 1),
    "jit of vjp": lambda j: j(lambda x: pr.vjp(many, x)[1](x + 1)),
    "jit in jit": lambda j: j(lambda x: j(many)(x) * j(f)(x)),
    "jit in grad in jit": lambda j: j(pr.grad(lambda x: j(f)(x) * 2)),
    "custom gradient": lambda j: pr.grad(j(lambda x: (clipped(x) * x).sum())),
    "custom gradient inside": lambda j: j(pr.grad(lambda x: (clipped(x) * x).sum())),
    "detached": lambda j: pr.grad(lambda x: (j(lambda y: (y * y, y.detach() * y))(x)[1]).sum()),
    "some results open": lambda j: pr.grad(
        lambda x: sum(t.sum() for t in j(lambda y: [y * 2, y.detach(), y.argmax(), y.exp()])(x))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_composition_with_transforms(name: str) -> None:
    build = COMPOSED[name]
    wanted = build(lambda fn: fn)(POINT)
    compiled = build(pr.jit)
    for _ in range(2):
        close(compiled(POINT), wanted)


def test_gradients_of_compiled_functions_against_finite_differences() -> None:
    w = pr.tensor(np.array([[0.5, -0.3, 0.2], [1.0, 0.1, -0.4]]))
    gradcheck(pr.jit(lambda x, w: pr.tanh(x @ w.T).sum(0)), POINT.unsqueeze(0), w)


def test_gradients_by_captured_tensors_follow_new_data() -> None:
    w = pr.tensor([2.0, 3.0])
    slope = pr.jit(lambda: pr.grad(lambda w: (w * w).sum())(w))
    for data in ([2.0, 3.0], [5.0, 7.0]):
        w.data = pr.tensor(data)
        assert slope().tolist() == [2 * x for x in data]


def test_tapes_see_arguments_and_captured_tensors() -> None:
    w = pr.tensor([2.0, 3.0])
    fn = pr.jit(lambda x: w * x * x)
    for _ in range(2):
        x = pr.tensor([5.0, 7.0])
        with pr.GradientTape(persistent=True) as tape:
            y = fn(x) * 2
            y = y + fn(x)
        assert tape.gradient(y, [w, x])[0].tolist() == [75, 147]
        assert tape.gradient(y, [w, x])[1].tolist() == [60, 126]
        assert w.is_leaf
    assert not fn(x).requires_grad
    inside = pr.jit(lambda x: _taped(x))
    assert inside(pr.tensor([3.0])).tolist() == [27]


def _taped(x: Tensor) -> Tensor:
    with pr.GradientTape() as tape:
        y = x**3
    return tape.gradient(y, x)


def test_backward_of_a_compiled_forward_pass() -> None:
    """Dropout draws and running state: the gradient is that of the pass that was run."""
    ends = []
    for wrap in (lambda fn: fn, pr.jit):
        world = World()
        forward = wrap(world.model)
        for k in range(3):
            loss = (forward(arange(5, 3) + k) ** 2).mean()
            world.model.eval()  # between the passes: must not matter
            loss.backward()
            world.model.train()
            world.optimizer.step()
        ends.append(world.state())
    close(ends[1], ends[0])


def test_results_that_are_captured_tensors() -> None:
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    y = pr.jit(lambda x: (w, w.data, x))(pr.ones(2))
    assert not np.shares_memory(y[0].numpy(), w.numpy())
    assert [t.requires_grad for t in y] == [True, False, False]
    (y[0] * 3.0).sum().backward()
    assert w.grad.tolist() == [3, 3]


def test_backward_inside_and_outside() -> None:
    ends = []
    for wrap in (lambda fn: fn, pr.jit):
        w = pr.tensor([1.0, 2.0], requires_grad=True)

        def fn(x: Tensor, w: Tensor = w) -> Tensor:
            y = (w * x).sum()
            y.backward(retain_graph=True)
            return y

        call = wrap(fn)
        for _ in range(2):
            call(pr.ones(2)).backward()
        ends.append(w.grad)
    close(ends[1], ends[0])


def test_a_value_changed_before_backward_is_an_error() -> None:
    w = pr.tensor([2.0], requires_grad=True)
    y = pr.jit(lambda x: w * w * x)(pr.ones(1))
    with pr.no_grad():
        w.mul_(2.0)
    with pytest.raises(pr.GradError, match="must stay as they were"):
        y.sum().backward()


# Memory


def test_arguments_that_are_captured_too() -> None:
    def make() -> tuple[Tensor, Tensor, Callable[..., Any]]:
        w, other = pr.tensor([1.0, 2.0]), pr.zeros(2)

        def fn(x: Tensor) -> Any:
            before = x * 10
            w.add_(1.0)
            other.copy_(w)
            return before, x * 10, w * 1

        return w, other, fn

    for pick in (lambda w, other: w, lambda w, other: w.detach(), lambda w, other: pr.ones(2)):
        ends = []
        for wrap in (lambda fn: fn, pr.jit):
            w, other, fn = make()
            call = wrap(fn)
            results = [call(pr.ones(2)), call(pick(w, other)), call(pick(w, other))]
            ends.append((results, w, other))
        close(ends[1], ends[0])


def test_arguments_that_view_what_is_assigned() -> None:
    w = pr.arange(4).float()
    before = pr.jit(lambda x: (x * 1, w.add_(1.0) * 1)[0])
    assert before(pr.ones(2)).tolist() == [1, 1]
    assert before(w[1:3]).tolist() == [2, 3]  # read before the change
    assert w.tolist() == [2, 3, 4, 5]
    after = pr.jit(lambda x: (w.add_(1.0), x * 1)[1])
    with pytest.raises(pr.TraceError, match="a view must be taken after the change"):
        after(w[1:3])


def test_captured_tensors_of_any_layout_are_written_in_their_own_memory() -> None:
    base = np.zeros((4, 6), np.float32)
    for view in (base[::2, ::3], base.T, base[::-1], base[1:, 2:]):
        base[:] = 0
        w = pr.asarray(view)
        step = pr.jit(lambda x, w=w: w.add_(x) * 1)
        for k in (1, 2):
            assert (step(pr.ones(())) == k).all()
        assert (view == 2).all()
        assert base.sum() == 2 * view.size


def test_captured_views_of_one_memory() -> None:
    base = np.arange(6, dtype=np.float32)
    left, right, whole = pr.asarray(base[:3]), pr.asarray(base[3:]), pr.asarray(base)

    @pr.jit
    def step() -> Tensor:
        total = whole.sum()
        left.add_(1.0)
        right.mul_(2.0)
        return total

    assert [step().item(), step().item()] == [15, 30]
    assert base.tolist() == [2, 3, 4, 12, 16, 20]


def test_read_only_arrays() -> None:
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    assert pr.jit(lambda x: x + 1)(array).tolist() == [2, 2, 2]
    w = pr.zeros(3)
    step = pr.jit(lambda: w.add_(1.0) * 1)
    step()
    w.data = pr.asarray(array)
    with pytest.raises(pr.GradError, match="the memory must be writable"):
        step()
    assert array.tolist() == [1, 1, 1]


def test_nothing_is_kept_of_arguments_and_results() -> None:
    import weakref

    fn = pr.jit(lambda x: (x * 2, x + 1))
    x = pr.ones(10)
    y, z = fn(x)
    watched = [weakref.ref(t.value) for t in (x, y, z)]
    del x, y, z
    gc.collect()
    assert all(ref() is None for ref in watched)


# repeat


@pytest.mark.parametrize("name", ["step", "train", "train_and_forget", "moving", "draw", "swap",
                                  "backward", "modes", "to_use"])  # fmt: skip
def test_repeat_is_that_many_calls(name: str) -> None:
    ends = []
    for times in (None, 5):
        world = World()
        fn = pr.jit(getattr(world, name))
        x = arange(3)
        result = [fn(x) for _ in range(5)][-1] if times is None else fn.repeat(times, x)
        ends.append((result, world.state()))
    close(ends[1], ends[0])
    once = pr.jit(getattr(World(), name)).repeat(1, x)
    close(once, getattr(World(), name)(x))


@pytest.mark.parametrize("times", [0, -1, 2.0, True, None])
def test_repeat_needs_a_count(times: Any) -> None:
    with pytest.raises(ValueError, match=r"jit\(<lambda>\).repeat: times counts calls; expected"):
        pr.jit(lambda x: x).repeat(times, pr.ones(1))


# Surroundings


def test_threads_share_a_compiled_function() -> None:
    model = nn.Linear(8, 8)
    step = World()
    compiled, train = pr.jit(lambda x: model(x).sum(1)), pr.jit(step.train_and_forget)
    wanted = {n: model(arange(n, 8)).sum(1).detach() for n in range(1, 5)}
    errors: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for k in range(30):
                n = (k + offset) % 4 + 1
                close(compiled(arange(n, 8)).detach(), wanted[n])
                if offset == 0:
                    train(arange(3))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert compiled.traces == 4


def test_recursion() -> None:
    @pr.jit
    def power(x: Tensor, n: int) -> Tensor:
        return x if n == 1 else x * power(x, n - 1)

    assert power(pr.tensor(3.0), 4).item() == 81


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_goes_on() -> None:
    done = run_script("""
        import os, numpy as np, pierian as pr
        w = pr.ones(300, 300)
        step = pr.jit(lambda x: (w.mul_(0.5) @ x).sum())
        pr.set_num_threads(2)
        first = step(pr.ones(300, 300)).item()
        child = os.fork()
        other = pr.jit(lambda x: (x @ x).sum())(pr.ones(300, 300)).item()
        print(first, step(pr.ones(300, 300)).item(), other, flush=True)
        if child:
            os._exit(os.waitpid(child, 0)[1])
        os._exit(0)
    """)
    assert done.returncode == 0, done.stderr
    one, two = done.stdout.split("\n")[:2]
    assert one == two


def run_script(text: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", inspect.cleandoc(text)],
        env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    )  # fmt: skip


EAGER = """
    import sys
    {before}
    import numpy as np
    import pierian as pr
    w = pr.tensor([1.0, 2.0], requires_grad=True)
    step = pr.jit(lambda x: (w * pr.asarray(x)).sum())
    other = pr.jit(lambda x: x * 2)
    for _ in range(2):
        step(np.ones(2, np.float32)).backward()
    print(w.grad.tolist(), other(pr.ones(1)).item(), other.repeat(2, pr.ones(1)).item())
"""
UNSERVED = {
    "no llvmlite": ("sys.modules['llvmlite'] = None", {}, "llvmlite cannot be loaded"),
    "other machine": ("", {"PIERIAN_TARGET_CPU": "aarch64-unknown-linux-gnu:cortex-a72"}, ""),
}


@pytest.mark.parametrize("name", UNSERVED)
def test_without_code_functions_run_eagerly_and_say_so_once(name: str) -> None:
    before, env, reason = UNSERVED[name]
    done = run_script(EAGER.replace("{before}", before), **env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[2.0, 2.0] 2.0 2.0"
    assert done.stderr.count("jit: functions run eagerly") == 1, done.stderr
    assert reason in done.stderr


def test_import_does_not_load_llvm() -> None:
    done = run_script("import sys, pierian as pr; print('llvmlite' in sys.modules, pr.jit, "
                      "'llvmlite' in sys.modules)")  # fmt: skip
    assert done.stdout.startswith("False <function jit"), done.stderr
    assert done.stdout.strip().endswith("True")


@pytest.fixture(autouse=True)
def grad_mode_is_left_alone() -> Iterator[None]:
    yield
    assert pr.is_grad_enabled()
    assert isinstance(pr.jit(f), Jit)


def test_tensors_whose_memory_is_in_another_order_are_used_as_they_are() -> None:
    draw = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32)
    results = []
    for axes in (None, (2, 0, 1), (1, 2, 0)):
        state = pr.tensor(draw)
        if axes is not None:
            state.value = np.ascontiguousarray(draw.transpose(axes)).transpose(np.argsort(axes))
        before = state.value

        @pr.jit
        def step(x: Any, state: Any = state) -> Any:
            state.copy_(state * 0.5 + x)
            return (state * state).sum(0)

        results.append([step(pr.tensor(draw)).numpy().copy() for _ in range(3)][-1])
        assert state.value is before and step.traces == 1
        program = next(iter(step.entries.values()))[0].program
        assert not program._copied and (axes is None or program.orders)
        results.append(state.numpy().copy())
    for a, b in zip(results[2:], results * 2, strict=False):
        np.testing.assert_array_equal(a, b)


def test_memory_that_is_laid_out_anew_is_traced_anew() -> None:
    state = pr.tensor(np.arange(6.0).reshape(2, 3))
    add = pr.jit(lambda x: state + x)
    expected = add(pr.tensor(1.0)).numpy().copy()
    state.value = np.asfortranarray(state.value)
    np.testing.assert_array_equal(add(pr.tensor(1.0)).numpy(), expected)
    assert add.traces == 2
