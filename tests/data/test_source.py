"""Where data sets come from: folder, cache, mirrors on this machine, the bundled sample."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import os
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pierian.base.errors import DataError
from pierian.data import fashion_mnist, mnist, source

REAL = os.environ.get("PIERIAN_DATA")  # read before the tests hide it
LOADERS = {"mnist": mnist, "fashion-mnist": fashion_mnist}
SAMPLE = "d10af5753b64816d62257ce099b399f084387d5c7433ad7f0f691fc3f010bf86"
FIX = (
    "Put the four files in <folder>/{} and set PIERIAN_DATA=<folder>, "
    "or let them be downloaded (network, pip install 'pierian[data]')."
)


def tiny(name):
    """Four small arrays under the names of the set, beginning as its test labels do."""
    rng = np.random.default_rng(0)
    arrays = []
    for n in (12, 10):
        arrays.append(rng.integers(0, 256, (n, 28, 28), np.uint8))
        arrays.append(rng.integers(0, 10, n, np.uint8))
    arrays[3][:8] = source.SETS[name].first
    return dict(zip(source.PARTS, arrays, strict=True))


@pytest.fixture
def fill(write_idx):
    """Writes the tiny set `name` into `folder`, with the arrays in `change` in place of its own."""

    def write(folder, name="mnist", suffix=".gz", **change):
        arrays = tiny(name) | {source.PARTS[int(i[1:])]: array for i, array in change.items()}
        for part, array in arrays.items():
            write_idx(Path(folder) / f"{part}{suffix}", array)
        return Path(folder)

    return write


@pytest.fixture
def mirror(fill, tmp_path, monkeypatch):
    """Mirrors on this machine: `mirror(*folders)` serves them and returns what was asked."""
    asked = []
    servers = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *args):
            asked.append(f"{Path(self.directory).name}{self.path}")

        def log_message(self, *args):
            """Keeps stderr clean."""

    def serve(*folders, name="mnist"):
        hashes = fill(tmp_path / "truth", name)
        urls = []
        for folder in folders:
            handler = functools.partial(Handler, directory=str(folder))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            poll = 0.01  # seconds until shutdown is noticed
            threading.Thread(target=server.serve_forever, args=(poll,), daemon=True).start()
            servers.append(server)
            urls.append(f"http://127.0.0.1:{server.server_address[1]}/")
        sha256 = [
            hashlib.sha256((hashes / f"{p}.gz").read_bytes()).hexdigest() for p in source.PARTS
        ]
        changed = dataclasses.replace(source.SETS[name], mirrors=tuple(urls), sha256=tuple(sha256))
        monkeypatch.setitem(source.SETS, name, changed)
        return asked

    monkeypatch.delenv("PIERIAN_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_folder_is_looked_in_first(fill, tmp_path, monkeypatch, capsys, name, below, suffix):
    fill(tmp_path / name if below else tmp_path, name, suffix)
    monkeypatch.setenv("PIERIAN_DATA", str(tmp_path))
    title = source.SETS[name].title
    for where in (None, "local"):
        got = LOADERS[name](where)
        assert got.source == f"part of {title}, 12 + 10, from $PIERIAN_DATA"
        assert repr(got) == f"ImageData({got.source})"
        arrays = (got.x_train, got.y_train, got.x_test, got.y_test)
        for array, want in zip(arrays, tiny(name).values(), strict=True):
            np.testing.assert_array_equal(array, want, strict=True)
        assert len(got.classes) == 10
    assert capsys.readouterr().err == ""


def test_cache_is_looked_in_second_and_needs_no_pooch(fill, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setenv("PIERIAN_DATA", str(tmp_path / "empty"))
    fill(tmp_path / "cache" / "mnist")
    assert mnist().source == "part of MNIST, 12 + 10, from the download cache"


def test_other_data_under_the_names_are_called_so(fill, tmp_path, monkeypatch):
    monkeypatch.setenv("PIERIAN_DATA", str(fill(tmp_path, a3=np.zeros(10, np.uint8))))
    says = "other data under the names of MNIST, 12 + 10, from $PIERIAN_DATA"
    assert mnist().source == says


def test_sample_is_the_last_resort_and_says_so(tmp_path, capsys):
    got = mnist()
    assert got.source == "sample of MNIST, 9,000 + 1,000, bundled with Pierian"
    says = (
        f"mnist: {got.source}, because $PIERIAN_DATA is not set; "
        f"no complete set in {tmp_path / 'cache' / 'mnist'}; "
        f"no download: PIERIAN_OFFLINE is set. {FIX.format('mnist')}\n"
    )
    assert capsys.readouterr().err == says
    mnist("bundled")
    assert capsys.readouterr().err == ""


def test_sample_holds_what_its_script_says():
    got = mnist("bundled")
    assert got.x_train.shape == (9000, 28, 28)
    assert got.x_test.shape == (1000, 28, 28)
    x = np.concatenate([got.x_train, got.x_test])
    y = np.concatenate([got.y_train, got.y_test])
    assert x.dtype == y.dtype == np.uint8
    counts = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert np.bincount(y).tolist() == counts
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == 10_000
    assert np.bincount(got.y_test).min() > 80  # mixed: about 100 of each digit are in the test set
    digest = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()
    assert digest == SAMPLE
    assert got.classes == tuple("0123456789")


def test_fashion_names_all_that_was_tried(tmp_path, monkeypatch):
    cache = tmp_path / "cache" / "fashion-mnist"
    start = (
        "fashion_mnist: the four files of Fashion-MNIST must be found; "
        "expected train-images-idx3-ubyte.gz and so on, got "
    )
    end = FIX.format("fashion-mnist")
    tries = [
        (None, None, f"$PIERIAN_DATA is not set; no complete set in {cache}; "
         "no download: PIERIAN_OFFLINE is set"),
        ("local", "/nowhere", f"nothing in $PIERIAN_DATA=/nowhere; no complete set in {cache}"),
        ("download", None, "no download: PIERIAN_OFFLINE is set"),
    ]  # fmt: skip
    for where, folder, says in tries:
        if folder:
            monkeypatch.setenv("PIERIAN_DATA", folder)
        with pytest.raises(DataError) as caught:
            fashion_mnist(where)
        assert str(caught.value) == f"{start}{says}. {end}"


REPLACE = "Replace the file, or pass source='download' to fetch the set into the cache."
IMAGES, LABELS = np.zeros((12, 28, 28), np.uint8), np.zeros(12, np.uint8)
DAMAGED = [  # arrays in place of the good ones, file at fault -> what the error says after it
    ({"a0": IMAGES[:, 1:]}, 0, "array must fit the file's name; expected uint8 of shape "
     f"(n, 28, 28), got uint8 of shape (12, 27, 28). {REPLACE}"),
    ({"a0": IMAGES.astype("f4")}, 0, "array must fit the file's name; expected uint8 of shape "
     f"(n, 28, 28), got float32 of shape (12, 28, 28). {REPLACE}"),
    ({"a1": IMAGES}, 1, "array must fit the file's name; expected uint8 of shape (n), "
     f"got uint8 of shape (12, 28, 28). {REPLACE}"),
    ({"a1": LABELS[1:]}, 1, "there must be one label per image, and at least one; expected 12 "
     f"labels for train-images-idx3-ubyte.gz, got 11. {REPLACE}"),
    ({"a0": IMAGES[:0], "a1": LABELS[:0]}, 1, "there must be one label per image, and at least "
     f"one; expected 0 labels for train-images-idx3-ubyte.gz, got 0. {REPLACE}"),
    ({"a1": LABELS + np.uint8(10)}, 1, "labels must name one of 10 classes; expected 0 … 9, "
     f"got 10. {REPLACE}"),
    ({"a3": tiny("fashion-mnist")[source.PARTS[3]]}, 3, "files must be those of MNIST; expected "
     "first test labels (7, 2, 1, 0, 4, 1, 4, 9), got (9, 2, 1, 1, 6, 1, 4, 6), which are "
     "Fashion-MNIST's. Put each set in its own folder, mnist and fashion-mnist."),
]  # fmt: skip


@pytest.mark.parametrize("where", ["folder", "cache"])
@pytest.mark.parametrize(("change", "part", "says"), DAMAGED)
def test_local_files_that_do_not_fit_are_named(
    fill, tmp_path, monkeypatch, change, part, says, where
):
    folder = fill(tmp_path / "cache" / "mnist", **change)
    if where == "folder":
        monkeypatch.setenv("PIERIAN_DATA", str(folder))
        monkeypatch.setenv("PIERIAN_CACHE", str(tmp_path / "empty"))
    with pytest.raises(DataError) as caught:
        mnist()
    assert str(caught.value) == f'mnist("{folder / source.PARTS[part]}.gz"): {says}'


def test_local_files_that_are_cut_are_named(fill, tmp_path, monkeypatch):
    path = fill(tmp_path / "mnist") / f"{source.PARTS[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    monkeypatch.setenv("PIERIAN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="gzip data must be whole") as caught:
        mnist()
    assert str(path) in str(caught.value)


def test_incomplete_set_is_an_error_except_in_the_cache(fill, tmp_path, monkeypatch):
    folder = fill(tmp_path / "cache" / "mnist")
    (folder / f"{source.PARTS[0]}.gz").unlink()
    (folder / f"{source.PARTS[2]}.gz").unlink()
    says = (
        "mnist: the four files of MNIST must be together; expected train-images-idx3-ubyte, "
        f"t10k-images-idx3-ubyte (or .gz) in {folder}, got 2 other(s). "
        "Add what is missing, or move the rest away."
    )
    assert mnist().source.startswith("sample")  # a download that broke off is no fault
    with pytest.raises(DataError) as caught:
        mnist("local")
    assert str(caught.value) == says
    monkeypatch.setenv("PIERIAN_DATA", str(folder))
    with pytest.raises(DataError) as caught:
        mnist()
    assert str(caught.value) == says


def test_source_must_be_a_known_name():
    with pytest.raises(ValueError, match="expected one of bundled, download, local, got 'web'"):
        mnist("web")
    says = (
        "fashion_mnist: only MNIST has a bundled sample; expected source='local' or 'download', "
        "got 'bundled'. Leave out source to use whatever is there."
    )
    with pytest.raises(DataError) as caught:
        fashion_mnist("bundled")
    assert str(caught.value) == says


@pytest.mark.parametrize("name", LOADERS)
def test_download_fetches_into_the_cache_once(mirror, fill, tmp_path, capsys, name):
    asked = mirror(fill(tmp_path / "one", name), name=name)
    title, cache = source.SETS[name].title, tmp_path / "cache" / name
    got = LOADERS[name]()
    assert got.source == f"part of {title}, 12 + 10, from the download cache"
    where = name.replace("-", "_")
    notice = f"{where}: downloading 4 files of {title} into {cache}\n"
    assert capsys.readouterr() == ("", notice)
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{p}.gz" for p in source.PARTS)
    assert asked == [f"one/{part}.gz" for part in source.PARTS]
    LOADERS[name]()
    LOADERS[name]("download")
    assert len(asked) == 4
    assert capsys.readouterr() == ("", "")


def test_download_asks_the_next_mirror(mirror, fill, tmp_path):
    corrupt = fill(tmp_path / "corrupt")
    for path in corrupt.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    empty = tmp_path / "empty"
    empty.mkdir()
    asked = mirror(empty, corrupt, fill(tmp_path / "good"))
    assert mnist("download").source == "part of MNIST, 12 + 10, from the download cache"
    first, *rest = (f"{part}.gz" for part in source.PARTS)
    tried = [f"{folder}/{first}" for folder in ("empty", "corrupt", "good")]
    assert asked == [*tried, *(f"good/{name}" for name in rest)]  # those that failed come last
    assert len(list((tmp_path / "cache" / "mnist").iterdir())) == 4


def test_download_completes_and_repairs_the_cache(mirror, fill, tmp_path):
    asked = mirror(fill(tmp_path / "one"))
    cache = fill(tmp_path / "cache" / "mnist")
    (cache / f"{source.PARTS[1]}.gz").unlink()
    assert len(mnist().x_train) == 12
    (cache / f"{source.PARTS[2]}.gz").write_bytes(b"torn")
    with pytest.raises(DataError, match="IDX header"):
        mnist()
    assert len(mnist("download").x_test) == 10
    assert asked == [f"one/{source.PARTS[i]}.gz" for i in (1, 2)]


def test_download_that_failed_is_not_tried_again_unasked(mirror, fill, tmp_path, capsys):
    corrupt = fill(tmp_path / "corrupt")
    (corrupt / f"{source.PARTS[0]}.gz").write_bytes(b"nonsense")
    asked = mirror(corrupt, tmp_path / "gone")
    assert mnist().source.startswith("sample")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("mnist: downloading 4 files")
    hosts = [url.split("/")[2] for url in source.SETS["mnist"].mirrors]
    file = f"{source.PARTS[0]}.gz"
    assert f"no download: {hosts[0]}: {file}: wrong sha256, {hosts[1]}: {file}: 404 " in lines[1]
    assert len(lines) == 2
    count = len(asked)
    assert mnist().source.startswith("sample")
    assert len(asked) == count
    assert not list((tmp_path / "cache" / "mnist").iterdir())  # nothing half done is left
    fill(tmp_path / "corrupt")
    assert mnist("download").source.startswith("part of MNIST")


def test_download_without_pooch_says_what_to_install(mirror, tmp_path, monkeypatch, capsys):
    mirror(tmp_path)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r"no download: pooch is not installed\. .*pip install"):
        fashion_mnist()
    assert mnist().source.startswith("sample")
    assert "pooch is not installed" in capsys.readouterr().err


def test_download_gives_up_on_servers_that_do_not_answer(mirror, monkeypatch):
    mirror()
    leave = threading.Event()

    def hang(*args, **kwargs):
        leave.wait(10)
        raise OSError("late")

    changed = dataclasses.replace(
        source.SETS["mnist"], mirrors=("https://a.test/", "http://b.test/")
    )
    monkeypatch.setitem(source.SETS, "mnist", changed)
    monkeypatch.setattr(socket, "create_connection", hang)
    monkeypatch.setattr(source, "CONNECT", 0.05)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    start = time.perf_counter()
    with pytest.raises(
        DataError, match=r"a\.test: .*: no answer in 0.05 s, b\.test: .*: no answer"
    ):
        mnist("download")
    assert time.perf_counter() - start < 5
    leave.set()


def test_download_leaves_looking_up_names_to_a_proxy(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", None)  # would fail if it were called
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy.test:3128"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: False)
    source._check_reachable("https://mirror.test/")


@pytest.mark.skipif(not REAL, reason="PIERIAN_DATA names no folder with the full data sets")
@pytest.mark.parametrize("name", LOADERS)
def test_full_set_is_read_whole(monkeypatch, name):
    monkeypatch.setenv("PIERIAN_DATA", str(REAL))
    got = LOADERS[name]()
    assert got.source == f"full {source.SETS[name].title}, 60,000 + 10,000, from $PIERIAN_DATA"
    assert got.x_train.shape == (60_000, 28, 28)
    assert got.x_test.shape == (10_000, 28, 28)
    assert np.bincount(got.y_test).min() > 800
    if name == "fashion-mnist":
        return
    rows = {image.tobytes(): i for i, image in enumerate(got.x_train[:10_000])}
    sample = mnist("bundled")
    x = np.concatenate([sample.x_train, sample.x_test])
    y = np.concatenate([sample.y_train, sample.y_test])
    found = np.array([rows[image.tobytes()] for image in x])
    assert sorted(found) == list(range(10_000))
    np.testing.assert_array_equal(got.y_train[found], y)
