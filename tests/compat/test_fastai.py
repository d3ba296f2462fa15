"""The fastai face: every name of the text's programs does what the text needs of it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pierian
from pierian.compat import fastai
from pierian.compat.fastai import (
    SGD,
    Adam,
    DataLoader,
    DataLoaders,
    F,
    Image,
    ImageDataLoaders,
    L,
    Learner,
    Path,
    RMSProp,
    URLs,
    accuracy,
    array,
    cnn_learner,
    error_rate,
    first,
    nn,
    partial,
    plot_function,
    plt,
    resnet18,
    set_seed,
    show_image,
    show_images,
    string,
    tensor,
    to_np,
    torch,
    untar_data,
)
from pierian.data import mnist

DIGITS = mnist("bundled")
BROUGHT = """Adam DataLoader DataLoaders F Image ImageDataLoaders L Learner Path RMSProp SGD Tensor
URLs accuracy array cnn_learner error_rate first math nn np partial pd plot_function plt random
resnet18 resnet34 resnet50 set_seed show_image show_images string tensor time to_np torch untar_data
vision_learner"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """MNIST_SAMPLE, of the bundled sample."""
    pytest.importorskip("PIL")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIERIAN_DATA", "")
        patch.setenv("PIERIAN_OFFLINE", "1")
        patch.setenv("PIERIAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield untar_data(URLs.MNIST_SAMPLE)


@pytest.fixture
def drawing() -> Iterator[Any]:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    yield plt
    plt.close("all")


def line(n: int = 64) -> DataLoaders:
    """y = 3x + 1 in loaders."""
    x = torch.linspace(-1, 1, n).unsqueeze(1)
    rows = list(zip(x, 3 * x + 1, strict=True))
    return DataLoaders(DataLoader(rows, batch_size=16, shuffle=True), DataLoader(rows, 32))


def test_star_import_brings_every_name() -> None:
    names: dict[str, Any] = {}
    exec("from pierian.compat.fastai import *", names)
    assert set(BROUGHT.split()) <= names.keys()
    assert {name for name in names if isinstance(names[name], type)} <= set(BROUGHT.split())
    assert names["torch"].Tensor is pierian.Tensor and names["nn"] is pierian.nn


# L: expression -> what it equals, as a list
LISTS = {
    "a, b": (lambda: L(1, 2), [1, 2]),
    "nothing": (lambda: L(), []),
    "text": (lambda: L("abc"), ["abc"]),
    "array": (lambda: len(L(np.ones(3))), 1),
    "range": (lambda: L(range(3)), [0, 1, 2]),
    "generator": (lambda: L(i * i for i in range(3)), [0, 1, 4]),
    "slice": (lambda: L(range(5))[1:3], [1, 2]),
    "positions": (lambda: L(range(5))[[4, 0]], [4, 0]),
    "mask": (lambda: L("a", "b", "c")[np.array([True, False, True])], ["a", "c"]),
    "map": (lambda: L(1, 2).map(pow, 3), [1, 8]),
    "filter": (lambda: L(range(4)).filter(lambda i: i > 1), [2, 3]),
    "filter, negated": (lambda: L(0, 1, 2).filter(negate=True), [0]),
    "sorted": (lambda: L(3, 1, 2).sorted(reverse=True), [3, 2, 1]),
    "sorted by position": (lambda: L((1, "b"), (2, "a")).sorted(1), [(2, "a"), (1, "b")]),
    "sorted by name": (lambda: L(2 + 1j, 1 + 2j).sorted("real"), [1 + 2j, 2 + 1j]),
    "itemgot": (lambda: L([[1, [2]], [3, [4]]]).itemgot(1, 0), [2, 4]),
    "attrgot": (lambda: L(1j, 2).attrgot("imag"), [1.0, 0]),
    "unique": (lambda: L(2, 1, 2).unique(), [2, 1]),
    "enumerate": (lambda: L("ab", "c").enumerate(), [(0, "ab"), (1, "c")]),
    "zip": (lambda: L((1, 2), (3, 4)).zip(), [(1, 3), (2, 4)]),
    "concat": (lambda: L([1], [2, 3]).concat(), [1, 2, 3]),
    "sum": (lambda: L(1, 2) + [3], [1, 2, 3]),
    "shuffle": (lambda: L(range(9)).shuffle().sorted(), list(range(9))),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    make, want = LISTS[name]
    got = make()
    assert got == want
    assert isinstance(got, L) or not isinstance(want, list)


def test_lists_print_their_length() -> None:
    assert repr(L(range(12))) == "(#12) [0,1,2,3,4,5,6,7,8,9...]"
    assert first(L()) is None and first([1, 2], lambda i: i > 1) == 2


def test_the_tree_has_the_digits_by_their_numbers(folder: Any) -> None:
    parts = {"train": (DIGITS.x_train, DIGITS.y_train), "valid": (DIGITS.x_test, DIGITS.y_test)}
    assert sorted(p.name for p in folder.ls()) == ["train", "valid"]
    for part, (images, labels) in parts.items():
        for digit in (3, 7):
            files = (folder / part / str(digit)).ls()
            numbers = sorted(int(file.stem) for file in files)
            assert numbers == np.flatnonzero(labels == digit).tolist()
            last = folder / part / str(digit) / f"{numbers[-1]}.png"
            np.testing.assert_array_equal(array(Image.open(last)), images[numbers[-1]])
    assert untar_data(URLs.MNIST_SAMPLE) == folder  # made once
    assert not list(folder.parent.glob("tmp*"))


def test_paths_list_their_folder_and_print_relative(tmp_path: Any) -> None:
    for name in ("a.png", "b.txt"):
        (tmp_path / name).touch()
    path = Path(tmp_path)
    assert path.ls(file_exts=".png").map(str) == [str(tmp_path / "a.png")]
    assert len(path.ls(1)) == 1 and isinstance(path.ls()[0], Path)
    try:
        Path.BASE_PATH = path
        assert repr(path / "a.png") == "Path('a.png')" and str(path) == str(tmp_path)
    finally:
        Path.BASE_PATH = None
    assert repr(Path("x") / "y") == "Path('x/y')"


def test_tensors_of_anything(folder: Any) -> None:
    picture = tensor(Image.open(first((folder / "valid" / "3").ls())))
    assert (picture.shape, picture.type()) == ((28, 28), "pierian.ByteTensor")
    assert tensor(1, 2, 3).tolist() == [1, 2, 3] and tensor([1, 2]).type() == "pierian.LongTensor"
    assert tensor(np.ones(2)).dtype == np.float32  # as in fastai
    assert tensor(np.ones(2), dtype=torch.float64).dtype == np.float64
    assert tensor(3.0, requires_grad=True).requires_grad
    many = to_np({"a": [tensor(1.0).requires_grad_()]})
    assert isinstance(many["a"][0], np.ndarray)


def test_pandas_takes_a_tensor() -> None:
    pytest.importorskip("pandas")
    assert fastai.pd.DataFrame(torch.ones(2, 3)).shape == (2, 3)


def test_torch_is_a_view_of_pierian() -> None:
    assert torch.stack is pierian.stack and torch.nn.functional is F and "arange" in dir(torch)
    assert importlib.import_module("pierian.compat.fastai.torch").exp is pierian.exp
    exec("import pierian.compat.fastai.torch as torch\nfrom pierian.compat.fastai.torch import nn")


def test_seeds_determine_what_is_drawn() -> None:
    def draw() -> list[Any]:
        set_seed(5)
        x = torch.randn(2)
        return [x.tolist(), np.random.rand(), list(DataLoader(range(9), 9, True))[0].tolist()]

    assert draw() == draw()


def test_loaders_give_tensors_and_texts() -> None:
    batches = list(DataLoader(range(15), batch_size=5, shuffle=True))
    assert all(isinstance(x, pierian.Tensor) for x in batches)
    assert sorted(torch.cat(batches).tolist()) == list(range(15))
    numbers, words = first(DataLoader(L(enumerate(string.ascii_lowercase)), batch_size=6))
    assert numbers.tolist() == list(range(6)) and words == tuple("abcdef")
    x = torch.ones(4, 2)
    loader = DataLoader(list(zip(x, tensor(range(4)), strict=True)), bs=2, drop_last=True)
    for part, _ in loader:
        part.zero_()  # a batch is the reader's own
    assert first(loader)[0].tolist() == [[1, 1], [1, 1]] and loader.bs == 2
    assert loader.one_batch()[1].tolist() == [0, 1]
    assert isinstance(DataLoaders(loader, loader).one_batch()[0], pierian.Tensor)


# fastai's settings -> those of the optimizer
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (partial(SGD, mom=0.9, wd=0.1), {"momentum": 0.9, "weight_decay": 0.1}),
    "Adam": (Adam, {"betas": (0.9, 0.99), "eps": 1e-5, "weight_decay": 0.01}),
    "RMSProp": (RMSProp, {"alpha": 0.99, "momentum": 0.0}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_have_fastais_settings(name: str) -> None:
    make, settings = OPTIMIZERS[name]
    optimizer = make(nn.Linear(1, 1).parameters(), 0.5)
    plain = optimizer.param_groups[0].plain()
    assert {key: plain[key] for key in settings} == settings and plain["lr"] == 0.5
    Learner(line(), nn.Linear(1, 1), opt_func=make, verbose=0).fit(1, wd=0.25)


class BasicOptim:
    """An optimizer as the text writes one."""

    def __init__(self, params: Any, lr: float) -> None:
        self.params, self.lr = list(params), lr

    def step(self) -> None:
        for p in self.params:
            p.data -= p.grad.data * self.lr

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None


def test_learner_trains_with_an_optimizer_of_the_users_own(capfd: Any) -> None:
    ends = []
    for opt_func in (SGD, BasicOptim):
        set_seed(1)
        model = nn.Linear(1, 1)
        learn = Learner(line(), model, opt_func=opt_func, loss_func=F.mse_loss, verbose=0)
        learn.fit(5, lr=0.1)
        learn.fit_one_cycle(2, 0.1)  # whose rates it follows
        ends.append([p.item() for p in model.parameters()])
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)
    assert "no gradient" not in capfd.readouterr().err


def test_learner_prints_and_records_what_the_text_reads(capsys: Any) -> None:
    def off_by(preds: Any, targets: Any) -> Any:
        return (preds - targets).abs().mean()

    set_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    learn = Learner(line(), model, opt_func=SGD, loss_func=F.mse_loss, metrics=off_by)
    learn.fit(3, lr=0.1)
    head = capsys.readouterr().out.split("\n")[0].split()
    assert head == ["epoch", "train_loss", "valid_loss", "off_by", "time"]
    column = L(learn.recorder.values).itemgot(2)
    assert len(column) == 3 and column[-1] < column[0]
    assert 1e-7 < learn.lr_find().valley < 10


def test_accuracy_and_error_rate() -> None:
    scores, classes = tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), tensor([1, 1, 1])
    assert accuracy(scores, classes).item() == pytest.approx(2 / 3)
    assert error_rate(scores, classes).item() == pytest.approx(1 / 3)
    column = classes.unsqueeze(1)
    assert accuracy(scores, column) == accuracy(scores, classes) == accuracy(scores.T, classes, 0)
    assert error_rate(scores, column) == error_rate(scores, classes)


def test_folders_of_pictures_become_loaders(folder: Any) -> None:
    dls = ImageDataLoaders.from_folder(folder, bs=32)
    x, y = dls.one_batch()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((32, 3, 28, 28), np.float32, (32,), np.int64)
    assert x.min().item() >= 0 and x.max().item() == 1 and dls.vocab == ("3", "7") and dls.c == 2
    assert dls.train.shuffle and dls.train.drop_last and not dls.valid.shuffle
    part = ImageDataLoaders.from_folder(folder / "valid", valid_pct=0.25, seed=1, size=14)
    assert part.one_batch()[0].shape == (64, 3, 14, 14) and part.c == 2
    counts = [len(loader.dataset) for loader in part]
    assert sum(counts) == len((folder / "valid").ls().map(Path.ls).concat())
    assert counts[1] == pytest.approx(sum(counts) / 4, abs=1)


def test_large_folders_are_read_batch_by_batch(folder: Any, monkeypatch: Any) -> None:
    whole = ImageDataLoaders.from_folder(folder)
    monkeypatch.setattr("pierian.data.loaders.ROOM", 1)
    streamed = ImageDataLoaders.from_folder(folder)
    for a, b in zip(first(whole.valid), first(streamed.valid), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cnn_learner_fits_its_net_to_the_data(folder: Any, tmp_path: Any) -> None:
    set_seed(0)
    dls = ImageDataLoaders.from_folder(folder, size=8)
    learn = cnn_learner(
        dls, resnet18, pretrained=False, loss_func=F.cross_entropy, metrics=accuracy, verbose=0,
        jit=False,
    )  # fmt: skip
    assert learn.model(dls.one_batch()[0][:2]).shape == (2, 2)
    assert not any("fc" in name for name, _ in learn.model.named_parameters())
    learn.model.eval().save(tmp_path / "net")
    again = pierian.load(tmp_path / "net")
    x = dls.one_batch()[0][:2]
    np.testing.assert_array_equal(again.eval()(x), learn.model(x))


def test_pictures_are_drawn_on_pyplots_axes(drawing: Any) -> None:
    ax = show_image(torch.ones(28, 28), title="one")
    assert ax.images[0].get_array().shape == (28, 28) and ax.get_title() == "one"
    assert show_image(torch.ones(3, 5, 4), ax).images[-1].get_array().shape == (5, 4, 3)
    show_images(torch.rand(3, 4, 4), nrows=2, titles="abc")
    assert [len(ax.images) for ax in drawing.gcf().axes] == [1, 1, 1]
    ax = plot_function(torch.sigmoid, "x", "y", title="s", min=-4, max=4)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-np.asarray(x))), rtol=1e-6)
    drawing.scatter(tensor(1.0, 2.0), tensor(1.0, 2.0).requires_grad_())  # pyplot takes tensors
    drawing.plot(L(1, 2, 3))
    assert ax.collections and len(ax.lines) == 2
