"""CIFAR-10: tiny files of both versions, packed and not; pickles that want more than data."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import io
import os
import pickle
import struct
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from pierian.base.errors import DataError
from pierian.data import cifar, cifar10, read_cifar10

RNG = np.random.default_rng(0)
COUNTS = (3, 2, 4, 1, 2, 9)
BATCHES = [
    (RNG.integers(0, 256, (n, 3072), np.uint8), RNG.integers(0, 10, n, np.uint8)) for n in COUNTS
]
BATCHES[-1][1][:8] = (3, 8, 8, 0, 6, 6, 1, 6)
LINE = "part of CIFAR-10, 12 + 9, {}"


def python2(x, y):
    """The pickle that Python 2 and NumPy 1 wrote of a batch, opcode by opcode."""

    def text(raw):
        return b"U" + bytes([len(raw)]) + raw

    shape = b"M" + struct.pack("<H", len(x)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09"
        + text(b"b") + b"q\x0a\x87Rq\x0b(K\x01" + shape + b"q\x0ccnumpy\ndtype\nq\x0d"
        + text(b"u1") + b"q\x0eK\x00K\x01\x87Rq\x0f(K\x03" + text(b"|")
        + b"q\x10NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11b\x89T"
        + struct.pack("<I", x.nbytes) + x.tobytes() + b"q\x12tq\x13b"
    )  # fmt: skip
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in y) + b"e"
    names = b"](" + text(b"frog_s_000001.png") + b"e"
    return (
        b"\x80\x02}q\x01(" + text(b"batch_label") + text(b"training batch 1 of 5")
        + text(b"labels") + labels + text(b"data") + array + text(b"filenames") + names + b"u."
    )  # fmt: skip


def python3(x, y):
    return pickle.dumps({b"data": np.asfortranarray(x), b"labels": y.tolist()}, protocol=4)


def binary(x, y):
    return np.concatenate([y[:, None], x], axis=1).tobytes()


WRITERS = {"python2": (python2, ""), "python3": (python3, ""), "binary": (binary, ".bin")}


def fill(folder, kind="python2", **change):
    """Writes the batches into a folder, as they are packed by their authors."""
    write, end = WRITERS[kind]
    inside = folder / cifar.VERSIONS[end]
    inside.mkdir(parents=True, exist_ok=True)
    for part, batch in zip(cifar.PARTS, BATCHES, strict=True):
        raw = change.get(part, write(*batch))
        if raw is not None:
            (inside / f"{part}{end}").write_bytes(raw)
    (inside / "readme.html").write_text("readme")
    return inside


def pack(folder, target):
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, folder.name)
    return target


def check(data, origin):
    assert data.source == LINE.format(origin)
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"
    x = np.concatenate([x for x, _ in BATCHES]).reshape(-1, 3, 32, 32)
    y = np.concatenate([y for _, y in BATCHES])
    for got, want in [
        (data.x_train, x[:12]), (data.y_train, y[:12]), (data.x_test, x[12:]), (data.y_test, y[12:])
    ]:  # fmt: skip
        np.testing.assert_array_equal(got, want, strict=True)
        assert got.flags.writeable


@pytest.mark.parametrize("kind", WRITERS)
def test_both_versions_are_read_packed_and_unpacked(tmp_path, kind):
    inside = fill(tmp_path, kind)
    packed = pack(inside, tmp_path / "any.tar.gz")
    for path in (inside, packed, str(packed), tmp_path):
        check(read_cifar10(path), f"from {path}")


@pytest.mark.parametrize("kind", WRITERS)
def test_set_is_looked_for_in_folder_and_cache(tmp_path, monkeypatch, capsys, kind):
    archive = cifar.ARCHIVES[kind != "binary"]
    cache = tmp_path / "cache" / "cifar10"
    cache.mkdir(parents=True)
    pack(fill(tmp_path / "made", kind), cache / archive)
    for source in (None, "local"):
        check(cifar10(source), "from the download cache")
    named = tmp_path / "named"
    monkeypatch.setenv("PIERIAN_DATA", str(named))
    for folder in (named, named / "cifar10"):
        fill(folder, kind)
        check(cifar10(), "from $PIERIAN_DATA")
    assert capsys.readouterr().err == ""


def test_set_that_is_nowhere_is_asked_for(tmp_path):
    with pytest.raises(DataError) as caught:
        cifar10()
    assert str(caught.value) == (
        "cifar10: an archive or its folder of CIFAR-10 must be found; "
        "expected cifar-10-binary.tar.gz and so on, got $PIERIAN_DATA is not set; "
        f"no complete set in {tmp_path / 'cache' / 'cifar10'}; "
        "no download: PIERIAN_OFFLINE is set. Put an archive or its folder in <folder>/cifar10 "
        "and set PIERIAN_DATA=<folder>, or let them be downloaded "
        "(network, pip install 'pierian[data]')."
    )
    with pytest.raises(DataError, match="only MNIST has a bundled sample"):
        cifar10("bundled")


def test_other_data_are_called_so(tmp_path):
    x, y = BATCHES[-1]
    fill(tmp_path, "binary", test_batch=binary(x, y[::-1]))
    assert read_cifar10(tmp_path).source.startswith("other data under the names of CIFAR-10, 12")


@pytest.mark.parametrize("right", [True, False])
def test_download_is_checked(tmp_path, monkeypatch, capsys, right):
    served = tmp_path / "served"
    served.mkdir()
    name = cifar.ARCHIVES[0]
    digest = hashlib.sha256(pack(fill(tmp_path / "made", "binary"), served / name).read_bytes())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Keeps stderr clean."""

    handler = functools.partial(Handler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    poll = 0.01  # seconds until shutdown is noticed
    threading.Thread(target=server.serve_forever, args=(poll,), daemon=True).start()
    changed = dataclasses.replace(
        cifar.CIFAR10, mirrors=(f"http://127.0.0.1:{server.server_address[1]}/",),
        sha256=(digest.hexdigest() if right else "0" * 64,),
    )  # fmt: skip
    monkeypatch.setattr(cifar, "CIFAR10", changed)
    monkeypatch.delenv("PIERIAN_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    cache = tmp_path / "cache" / "cifar10"
    try:
        if right:
            check(cifar10("download"), "from the download cache")
            check(cifar10(), "from the download cache")
            says = f"cifar10: downloading 1 file of CIFAR-10 into {cache}\n"
            assert capsys.readouterr().err == says
        else:
            with pytest.raises(DataError, match="wrong sha256"):
                cifar10("download")
            assert not any(cache.glob("*.gz"))
    finally:
        server.shutdown()
        server.server_close()


class Runs:
    """What asks a reader of pickles to run something."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def says_no(tmp_path, raw, says):
    fill(tmp_path, data_batch_2=raw)
    with pytest.raises(DataError, match=says) as caught:
        read_cifar10(tmp_path)
    assert "data_batch_2 must hold images and labels, and nothing that runs;" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda path: Runs(os.system, f"touch {path}"), r"got a request for (posix|nt)\.system\."),
        (lambda path: Runs(eval, f"open({str(path)!r}, 'w')"), "got a request for builtins.eval"),
        (lambda path: Runs(Path(path).touch), "got a request for builtins.getattr"),
        (lambda path: Runs(np.fromfile, path), r"got a request for numpy\."),
        (lambda path: {b"data": np.zeros((1, 3072), "u1"), b"x": Runs(os.remove, path)},
         r"got a request for (posix|nt)\.remove"),
    ],
)  # fmt: skip
def test_pickles_that_run_something_are_refused_and_not_run(tmp_path, value, says):
    mark = tmp_path / "ran"
    says_no(tmp_path, pickle.dumps(value(mark), protocol=4), says)
    assert not mark.exists()


ONE = np.zeros((1, 3072), np.uint8)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", r"got a damaged file \(EOFError\(\)\)"),
        (b"nonsense", r"got a damaged file \(KeyError"),
        (python2(*BATCHES[1])[:-900], r"truncated|damaged file \(EOFError"),
        (pickle.dumps([1, 2]), "list indices"),
        (pickle.dumps({b"labels": [1]}), "damaged file .*b'data'"),
        (pickle.dumps({b"data": 3, b"labels": [1]}), "has no attribute"),
        (pickle.dumps({b"data": ONE.astype("f4"), b"labels": [1]}), r"an array of 'f4'"),
        (pickle.dumps({b"data": ONE[0], b"labels": [1]}), r"of shape \(3072,\)"),
        (pickle.dumps({b"data": ONE, b"labels": [1, 2]}), r"1 images and labels of shape \(2,\)"),
        (pickle.dumps({b"data": ONE, b"labels": [-1]}), "got the label -1"),
        (pickle.dumps({b"data": ONE, b"labels": ["a"]}), r"labels of shape \(1,\)"),
        (pickle.dumps({b"data": ONE[:0], b"labels": []}), r"0 images and labels of shape \(0,\)"),
        (b"cnumpy\nndarray\n}b.", "__setstate__"),  # a state for the stand-in itself
    ],
)
def test_damaged_pickles_are_named(tmp_path, raw, says):
    says_no(tmp_path, raw, says)


def test_mutated_pickles_raise_nothing_but_our_errors():
    good = python2(*BATCHES[3])
    for _ in range(1000):
        raw = bytearray(good)
        for place in RNG.integers(0, 400, 2):
            raw[place] = RNG.integers(0, 256)
        try:
            x, y = cifar._pickled("x", "y", bytes(raw))
        except DataError:
            continue
        assert x.shape == (len(y), 3072)


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    for kind, change, says in [
        ("binary", {"data_batch_3": None}, r"got no data_batch_3\.bin"),
        ("python2", {"data_batch_3": None, "test_batch": None}, "got no data_batch_3, test_batch"),
        ("binary", {"test_batch": b"x" * 3074}, "test_batch.bin must be records of 3,073 bytes; "
                                                "expected a multiple, not 0, got 3,074 bytes"),
        ("binary", {"test_batch": b""}, "got 0 bytes"),
        ("binary", {"data_batch_1": b"\x0a" + bytes(3072)}, "must name one of 10 .* got 10"),
    ]:  # fmt: skip
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        inside = fill(folder, kind, **change)
        for path in (folder, pack(inside, folder / "x.tar.gz")):
            with pytest.raises(DataError, match=says):
                read_cifar10(path)


def test_archives_that_are_none_or_torn_are_named(tmp_path):
    archive = pack(fill(tmp_path, "binary"), tmp_path / "x.tar.gz")
    raw = archive.read_bytes()
    archive.write_bytes(raw[: len(raw) // 2])
    text = tmp_path / "text.tar.gz"
    text.write_text("nothing")
    empty = tmp_path / "empty.tar.gz"
    with tarfile.open(empty, "w:gz") as made:
        link = tarfile.TarInfo("cifar/data_batch_1.bin")  # that leads nowhere
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        made.addfile(link)
        made.addfile(tarfile.TarInfo("cifar/x"), io.BytesIO())
    for path, says in [
        (archive, "there must be an archive or a folder"),
        (text, "there must be an archive or a folder"),
        (empty, "there must be an archive or a folder; .* not found"),
        (tmp_path / "none.tar.gz", "No such file or directory"),
        (tmp_path / "cifar-10-batches-bin" / "..", "part of CIFAR-10"),
    ]:
        if says.startswith("part"):
            assert read_cifar10(path).source.startswith(says)
            continue
        with pytest.raises(DataError, match=says):
            read_cifar10(path)
