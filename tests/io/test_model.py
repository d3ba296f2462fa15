"""save and load: every kind of model comes back bit for bit, and what could not is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import pierian as pr
from pierian import io, nn
from pierian.base.errors import CheckpointError
from pierian.io.architecture import describe, owners
from pierian.io.tensors import unpack
from tests.nn import image_cases

ANEW = (
    "a model made anew from the same arguments must be like this one; "
    "expected the same parts and tensors, got "
)
ANEW_FIX = "Make all of it in __init__, or keep the weights alone with pr.io.save_weights."


@pytest.fixture(autouse=True)
def _seed() -> None:
    pr.manual_seed(0)


@pr.register
class Net(nn.Module):
    """A user's model: parts made by the constructor, some under conditions."""

    def __init__(self, width: int, *sizes: int, drop: float = 0.0, **options: Any) -> None:
        self.body = nn.ModuleList([nn.Linear(width, width) for _ in sizes])
        self.drop = nn.Dropout(drop) if drop else None
        self.head = nn.Dense(options.get("classes", 2))

    def forward(self, x: Any) -> Any:
        for layer in self.body:
            x = pr.relu(layer(x))
        return self.head(x if self.drop is None else self.drop(x))


@pr.register
class Around(nn.Module):
    """A user's model around modules it is given, one of them within another, with an alias."""

    def __init__(self, inner: nn.Module, more: Any = ()) -> None:
        self.wrapped = nn.Sequential(inner, nn.Tanh())
        self.more = nn.ModuleDict(dict(more))
        self.alias = self.wrapped

    def forward(self, x: Any) -> Any:
        for part in self.more.values():
            x = part(x)
        return self.alias(self.wrapped(x))


@pr.register
class Twins(nn.Module):
    """Two layers with one weight, and buffers."""

    def __init__(self, size: int = 3) -> None:
        self.one, self.two = nn.Linear(size, size), nn.Linear(size, size)
        self.two.weight = self.one.weight
        self.count = nn.Buffer(np.zeros((), np.int64))
        self.cache = nn.Buffer(np.ones(2), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.two(self.one(x)) + self.count


@pr.register
class Moody(nn.Module):
    """Makes something else each time."""

    made = 0

    def __init__(self) -> None:
        Moody.made += 1
        self.fc = nn.Linear(3, Moody.made)


def dense(*units: int) -> nn.Sequential:
    return nn.Sequential(*[nn.Dense(n, "relu") for n in units])


def shared_module() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), nn.Sequential(layer, nn.Tanh()), layer)


def replaced_head() -> nn.Module:
    net = Net(3, 1, 2, drop=0.5)
    net.head = nn.Linear(3, 7)
    return net


def grown() -> nn.Module:
    net = Net(3, 1)
    net.body.append(nn.Linear(3, 3, bias=False))
    net.body[0] = nn.Identity()
    net.extra = nn.Sequential(net.body[1], nn.Linear(3, 3))
    return net.build(3)


def frozen() -> nn.Module:
    model = dense(4, 2).build(3)
    model[0].freeze()
    model[1].bias.requires_grad_(False)
    return model


def modes() -> nn.Module:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.2), nn.Linear(3, 3)))
    model.eval()
    model[1][0].training = True
    return model


def untied() -> nn.Module:
    model = Twins()
    model.two.weight = nn.Parameter(np.full((3, 3), 7, np.float32))
    return model


def tied() -> nn.Module:
    model = dense(3, 3).build(3)
    model[1].weight = model[0].weight
    model[1].bias = model[0].bias
    return model


def unshared() -> nn.Module:
    model = Around(nn.Linear(3, 3))
    model.alias = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    return model


def counted() -> nn.Module:
    model = Twins()
    model.count.add_(5)
    return model


def parts_of_parts() -> nn.Module:
    inner = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    return Around(inner, {"a": nn.Linear(3, 3), "b": nn.ReLU()})


def half() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2).to("float16"), nn.Linear(2, 2).double())


def scrambled() -> nn.Module:
    """Values that a cast would lose, and memory that is not contiguous."""
    model = nn.Linear(3, 2).double()
    model.weight.value = np.array([[1e300, np.nan], [-0.0, np.inf], [1 / 3, 5e-324]]).T
    return model


def changed() -> nn.Module:
    """Arguments that were changed after the constructor, parts that were taken out."""
    net = Net(3, 1, drop=0.5)
    net.drop.p = 0.25
    net.body[0].bias = None
    net.head = nn.Sequential(nn.LeakyReLU(0.5), Net(3, 1, drop=0.5))
    net.head[0].negative_slope = 0.25
    net.head[1].drop = None
    return net.build(3)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(3, 2),
    "no bias": lambda: nn.Linear(3, 2, bias=False),
    "not built": lambda: dense(4, 2),
    "built": lambda: dense(4, 2).build(3),
    "half built": lambda: nn.Sequential(nn.Dense(3).build(3), nn.Dense(2)),
    "built early": lambda: nn.Sequential(nn.Flatten(input_shape=(1, 3)), nn.Dense(2)),
    "names": lambda: nn.Sequential({"enc": nn.Linear(3, 3), "akt ü": nn.GELU("tanh")}),
    "activation module": lambda: nn.Dense(2, nn.LeakyReLU(0.3), input_shape=3),
    "list": lambda: nn.ModuleList([nn.Linear(3, 3), nn.ModuleDict({"a": nn.Linear(1, 2)})]),
    "deep": lambda: nn.Sequential(nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(3, 3))))),
    "empty": nn.Sequential,
    "user": lambda: Net(3, 1, 2, drop=0.25, classes=4).build(3),
    "user not built": lambda: Net(3),
    "moody": Moody,
    "infinite argument": lambda: nn.Hardtanh(-np.inf, 0.1),
    "shared module": shared_module,
    "replaced head": replaced_head,
    "grown": grown,
    "frozen": frozen,
    "modes": modes,
    "changed": changed,
    "tied by the constructor": Twins,
    "tied after": tied,
    "untied": untied,
    "unshared": unshared,
    "buffer": counted,
    "parts of parts": parts_of_parts,
    "dtypes": half,
    "scrambled": scrambled,
}


def pattern(model: nn.Module) -> list[list[str]]:
    """Which names are one tensor, and which paths are one module."""
    found: dict[int, list[str]] = {}
    for name, thing in [*owners(model).items(), *model._walk("")]:
        found.setdefault(id(thing), []).append(name)
    return sorted(sorted(names) for names in found.values())


def check_same(one: nn.Module, other: nn.Module) -> None:
    assert describe(one, "one") == describe(other, "other")
    assert repr(one) == repr(other)
    assert pattern(one) == pattern(other)
    mine = owners(other)
    assert list(owners(one)) == list(mine)
    for name, tensor in owners(one).items():
        assert type(tensor) is type(mine[name])
        assert tensor.requires_grad == mine[name].requires_grad
        a, b = tensor.numpy(), mine[name].numpy()
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
        assert b.flags.writeable
        assert b.flags.owndata
        assert b.transpose(np.argsort(b.strides)[::-1]).flags.c_contiguous  # no gaps
    for (path, a), (_, b) in zip(one.named_modules(), other.named_modules(), strict=True):
        assert (type(a), a.training, a.where()) == (type(b), b.training, b.where()), path


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_the_same(tmp_path: Path, name: str) -> None:
    model, path = MODELS[name](), tmp_path / "m.safetensors"
    before = pr.ops.random.default.state.tolist()
    model.save(path)
    loaded = pr.load(str(path))
    assert pr.ops.random.default.state.tolist() == before
    check_same(model, loaded)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["linear", "built", "half built", "built early", "names", "user", "shared module", "grown",
     "frozen", "changed", "tied after", "untied", "unshared", "buffer", "parts of parts"],
)  # fmt: skip
def test_a_loaded_model_computes_and_trains_as_before(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    model(x)
    model.save(tmp_path / "m")
    twin = pr.load(tmp_path / "m")
    assert str(model.summary()) == str(twin.summary())
    for one in (model, twin):
        one.eval()
        (one(x) ** 2).sum().backward()
        for parameter in one.parameters():
            if parameter.grad is not None:
                with pr.no_grad():
                    parameter.copy_(parameter - 0.1 * parameter.grad)
    assert (model(x).numpy() == twin(x).numpy()).all()
    check_same(model, twin)


OURS = sorted(n for n, cls in nn.registered().items() if cls.__module__.startswith("pierian.nn."))


@pytest.mark.parametrize("name", OURS)
def test_every_class_of_nn_comes_back_with_its_arguments(tmp_path: Path, name: str) -> None:
    given = {"Linear": (3, 2), "Dense": (4, "relu"), "Activation": ("gelu",), "Embedding": (3, 2),
             "Graph": ([], []), "Rescaling": (2.0,), "Reshape": ((2, -1),)}  # fmt: skip
    texts = {row.name: row.text for row in image_cases.ROWS.values()}
    cls = nn.registered(name)
    model = eval(texts[name], dict(vars(nn))) if name in texts else cls(*given.get(name, ()))
    model.save(tmp_path / "m")
    check_same(model, pr.load(tmp_path / "m"))


def test_dtypes_of_all_kinds_come_back(tmp_path: Path) -> None:
    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
                  "float16", "float32", "float64"):  # fmt: skip
        model = nn.Sequential(Twins())
        values = np.array([0, 1, 2**63 if dtype == "uint64" else 1]).astype(dtype)
        model[0].count = nn.Buffer(values[1])
        model.save(tmp_path / "m")
        count = pr.load(tmp_path / "m")[0].count
        assert (count.dtype, count.tolist()) == (values.dtype, values[1].item())


def test_loading_does_not_touch_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "m"
    nn.Linear(2, 2).save(path)
    raw, loaded = path.read_bytes(), pr.load(path)
    path.unlink()
    with pr.no_grad():
        loaded.weight.zero_()
    path.write_bytes(raw)
    assert pr.load(path).weight.numpy().any()


def test_the_file_is_safetensors_with_the_names_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = tied()
    model.save(path)
    arrays = load_file(path)
    assert list(arrays) == ["0.bias", "0.weight"]
    np.testing.assert_array_equal(arrays["0.weight"], model[0].weight.numpy())


def test_the_record_says_format_version_and_program() -> None:
    import pierian.io.model as room

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert room.VERSION == 1  # a new one: a new fixture, see test_format.py
    assert pr.__version__ == project["project"]["version"]


def test_saving_in_the_same_moment_of_training_twice_gives_equal_files(tmp_path: Path) -> None:
    model = MODELS["user"]()
    for name in ("a", "b"):
        model.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_class_defined_anew_as_in_a_notebook_still_saves(tmp_path: Path) -> None:
    def cell() -> Any:
        class Cell(nn.Module):
            def __init__(self) -> None:
                self.fc = nn.Linear(2, 2)

        return pr.register(Cell)

    model = cell()()
    cell()
    model.save(tmp_path / "m")
    assert type(pr.load(tmp_path / "m")) is not type(model)


def test_a_class_may_write_its_own_config(tmp_path: Path) -> None:
    @pr.register
    class Odd(nn.Module):
        def __init__(self, function: Any) -> None:
            self.function, self.fc = function, nn.Linear(2, 2)

        def config(self) -> dict[str, Any]:
            return {"name": self.function.__name__}

        @classmethod
        def from_config(cls, config: Any, children: Any = None) -> Odd:
            return cls({"tanh": pr.tanh}[config["name"]])

    model = Odd(pr.tanh)
    model.save(tmp_path / "m")
    assert pr.load(tmp_path / "m").function is pr.tanh


def test_a_class_that_has_got_new_arguments_still_loads(tmp_path: Path) -> None:
    def define(new: bool) -> Any:
        class Grown(nn.Module):
            if new:

                def __init__(self, a: int, more: str = "x", b: bool = True) -> None:
                    self.got = (a, more, b)

            else:

                def __init__(self, a: int, b: bool = True) -> None:
                    self.got = (a, b)

        return pr.register(Grown)

    define(new=False)(3, False).save(tmp_path / "m")
    define(new=True)
    assert pr.load(tmp_path / "m").got == (3, "x", False)


# What cannot be saved


def refusal(model: nn.Module, path: Path) -> str:
    path.write_bytes(b"old")
    with pytest.raises(CheckpointError) as caught:
        model.save(path)
    assert path.read_bytes() == b"old"
    return str(caught.value).replace(str(path), "m")


class Stranger(nn.Module):
    """Not registered."""


def test_a_class_that_is_not_registered_is_refused_when_saving(tmp_path: Path) -> None:
    fix = "Write @pr.register above `class Stranger`."
    got = f"expected a registered class, got {__name__}.Stranger, which is not. {fix}"
    for model, title in (
        (Stranger(), "Stranger"),
        (nn.Sequential(nn.ReLU(), nn.Sequential(Stranger())), 'Stranger("1.0")'),
    ):
        must = f"the class of {title} must be known by name"
        assert refusal(model, tmp_path / "m") == f'save("m"): {must}; {got}'

    Linear = type("Linear", (nn.Module,), {})  # has the name of a registered one
    says = refusal(Linear(), tmp_path / "m")
    assert says.endswith(".Linear, which is not. Write @pr.register above `class Linear`.")


def test_an_argument_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    says = refusal(nn.Sequential(nn.Dense(2, pr.tanh)), tmp_path / "m")
    assert says.startswith('Dense("0"): argument activation must be something JSON can hold')


def test_a_config_that_is_no_json_is_refused(tmp_path: Path) -> None:
    @pr.register
    class Vague(nn.Module):
        def config(self) -> Any:
            return {"a": {1, 2}}

    assert refusal(nn.Sequential(Vague()), tmp_path / "m") == (
        'save("m"): the config of Vague("0") must be JSON; expected text, numbers, lists and '
        "dicts, got Object of type set is not JSON serializable. Let its method config return such "
        "values."
    )


def test_a_dtype_that_safetensors_lacks_is_refused(tmp_path: Path) -> None:
    for dtype in ("complex64", "complex128", "longdouble"):
        model = Twins()
        model.count = nn.Buffer(np.zeros((), dtype))
        assert refusal(model, tmp_path / "m") == (
            'save("m"): count must have a dtype that safetensors can hold; expected bool, an '
            f"integer or float16 to float64, got {np.dtype(dtype)}. Convert it before saving."
        )


def test_a_name_that_the_format_needs_is_refused(tmp_path: Path) -> None:
    for name in ("__metadata__", "\ud800"):
        model = nn.Linear(1, 1)
        setattr(model, name, nn.Parameter([1.0]))
        says = refusal(model, tmp_path / "m")
        assert says.startswith('save("m"): ')
        assert ANEW in says or "must be ones that safetensors can hold" in says


def test_only_models_are_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        io.save(tmp_path / "m", nn.Linear(1, 1))  # type: ignore[arg-type]
    assert "only models can be saved; expected an nn.Module, got a PosixPath. " in str(caught.value)


def test_what_would_not_be_made_again_is_refused(tmp_path: Path) -> None:
    def grew(model: nn.Module, change: Callable[[Any], Any]) -> nn.Module:
        change(model)
        return model

    def drop(model: Any) -> None:
        del model[0].drop

    def add(model: Any) -> None:
        model.scale = nn.Parameter([1.0])

    def lose(model: Any) -> None:
        del model.bias

    def widen(model: Any) -> None:
        model.weight = nn.Parameter(np.zeros((2, 5), np.float32))

    for model, got in {
        grew(nn.Sequential(Net(3, drop=0.5)), drop): 'architecture.children.0.children ["body", '
        '"head"], anew ["body", "drop", "head"]',
        grew(nn.Linear(3, 2), add): "made anew: 0 missing keys, 1 extra (scale), 0 wrong shapes",
        grew(nn.Linear(3, 2), lose): "made anew: 1 missing key (bias), 0 extra, 0 wrong shapes",
        grew(nn.Linear(3, 2), widen): "made anew: 0 missing keys, 0 extra, 1 wrong shape (weight: "
        "file (2, 5), model (2, 3))",
    }.items():
        says = refusal(model, tmp_path / "m")
        assert says == f'save("m"): {ANEW}{got}. {ANEW_FIX}'


def test_a_refused_model_keeps_its_random_numbers(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    del model.bias
    before = pr.ops.random.default.state.tolist()
    refusal(model, tmp_path / "m")
    assert pr.ops.random.default.state.tolist() == before


# Weights alone


def test_weights_go_to_a_plain_file_and_back(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for name in ("built", "shared module", "tied after", "buffer", "dtypes", "grown"):
        model = MODELS[name]()
        io.save_weights(model, path)
        arrays = load_file(path)
        assert arrays.keys() == model.state_dict().keys()
        assert unpack(path.read_bytes(), "").record is None
        twin = MODELS[name]()
        assert io.load_weights(twin, path) == nn.module.LoadedKeys([], [])
        for key, tensor in twin.state_dict().items():
            assert tensor.numpy().tobytes() == arrays[key].tobytes()


def test_weights_need_no_registered_class(tmp_path: Path) -> None:
    model = Stranger()
    model.fc = nn.Linear(2, 2)
    io.save_weights(model, tmp_path / "w")
    io.load_weights(model, tmp_path / "w")


def test_weights_are_read_from_a_model_file_too(tmp_path: Path) -> None:
    model, twin = Twins(), Twins()
    model.save(tmp_path / "m")
    io.load_weights(twin, tmp_path / "m")
    check_same(model, twin)
    again = untied()
    io.load_weights(again, tmp_path / "m")
    np.testing.assert_array_equal(again.two.weight.numpy(), model.one.weight.numpy())
    assert again.two.weight is not again.one.weight


def test_weights_build_layers_that_wait_and_take_the_dtype_of_the_model(tmp_path: Path) -> None:
    save_file({"0.weight": np.ones((4, 3)), "0.bias": np.arange(4)}, tmp_path / "w")
    model = dense(4)
    io.load_weights(model, tmp_path / "w")
    assert model[0].weight.dtype == pr.float32
    assert model[0].bias.tolist() == [0, 1, 2, 3]


def test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w"
    save_file({"weight": np.ones((5, 3)), "scale": np.ones(2)}, path)
    model = nn.Linear(3, 2)
    before = model.weight.tolist()
    with pytest.raises(CheckpointError) as caught:
        io.load_weights(model, path)
    assert str(caught.value) == (
        f'load_weights("{path}"): 1 missing key (bias), 1 extra (scale), 1 wrong shape (weight: '
        "file (5, 3), model (2, 3)). Nothing was loaded."
    )
    assert model.weight.tolist() == before
    save_file({"bias": np.ones(2), "scale": np.ones(2)}, path)
    found = io.load_weights(model, path, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["weight"], ["scale"])
    assert model.bias.tolist() == [1, 1]
