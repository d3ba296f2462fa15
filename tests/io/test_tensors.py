"""Arrays as safetensors bytes: what other tools write, and what no file can hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pierian.base.errors import CheckpointError
from pierian.io.tensors import DTYPES, pack, seal, unpack

AGAIN = "It was cut short, damaged or edited: restore a copy or save it again."


def raw(header: Any, data: bytes = b"") -> bytes:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(code: str, *shape: int, size: int) -> dict[str, Any]:
    return {"dtype": code, "shape": shape, "data_offsets": [0, size]}


@pytest.mark.parametrize("code", [code for code in DTYPES if code != "BF16"])
def test_every_dtype_and_layout_comes_back(code: str) -> None:
    dtype = np.dtype(DTYPES[code]).newbyteorder("=")
    grid = np.arange(24).reshape(2, 3, 4).astype(dtype)
    views = {
        "plain": grid,
        "transposed": grid.T,
        "strided": grid[:, ::2, 1:],
        "reversed": grid[::-1],
        "broadcast": np.broadcast_to(grid[0, 0, 1], (3, 2)),
        "scalar": grid[1, 1, 1],
        "0-d": np.asarray(grid[1, 2, 1]),
        "empty": grid[:, :0],
        "foreign order": grid.astype(dtype.newbyteorder(">")),
    }
    arrays = {name: np.asarray(view) for name, view in views.items()}
    contents = unpack(pack(arrays, {"a": 1}, "save"), "load")
    assert contents.record == {"a": 1}
    assert unpack(pack(arrays, None, "save"), "load").record is None
    assert contents.arrays.keys() == arrays.keys()
    for name, array in contents.arrays.items():
        np.testing.assert_array_equal(array, arrays[name], strict=name != "foreign order")
        assert array.dtype == dtype
        assert array.flags.writeable
        assert array.flags.owndata


def test_equal_contents_give_equal_bytes_in_any_order() -> None:
    one = {"a": np.ones(3), "b": np.zeros((2, 2), np.int8)}
    two = dict(reversed(one.items()))
    assert pack(one, {"x": 1}, "save") == pack(two, {"x": 1}, "save")


def test_other_tools_read_what_we_pack() -> None:
    arrays = {"w": np.arange(6.0).reshape(2, 3).T}
    read = safetensors.numpy.load(pack(arrays, None, "save"))
    np.testing.assert_array_equal(read["w"], arrays["w"], strict=True)


def test_bfloat16_of_other_tools_becomes_float32() -> None:
    values = np.array([1.0, -2.5, 3e38, np.inf, 0.0], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    file = raw({"w": entry("BF16", 5, size=10)}, upper.tobytes())
    got = unpack(file, "load").arrays["w"]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got.view(np.uint32) >> 16, upper)
    np.testing.assert_allclose(got, values, rtol=2**-7)


def test_a_bool_that_is_neither_0_nor_1_is_true() -> None:
    got = unpack(raw({"w": entry("BOOL", 3, size=3)}, b"\0\1\xff"), "load").arrays["w"]
    assert got.view(np.uint8).tolist() == [0, 1, 1]


FOREIGN = {  # what is in the file -> what the error says
    b"": "an empty file",
    b"\x89PNG\r\n\x1a\n" + bytes(20): r"one that begins with b'\x89PNG\r\n\x1a\n\x00\x00\x00\x00'",
    b"Dear reader, this is text.": "one that begins with b'Dear reader,'",
    b"{": "one that begins with b'{'",
    bytes(8): r"one that begins with b'\x00\x00\x00\x00\x00\x00\x00\x00'",
    b"PK\x03\x04"
    + bytes(30): r"one that begins with b'PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00'",
}


@pytest.mark.parametrize("file", FOREIGN)
def test_a_file_of_another_kind_is_named_as_that(file: bytes) -> None:
    with pytest.raises(CheckpointError) as caught:
        unpack(file, 'load("m")')
    assert str(caught.value) == (
        'load("m"): the file must be of the right kind; expected a safetensors file, got '
        f"{FOREIGN[file]}. Check the path; convert the files of other programs first."
    )


W4 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
BROKEN = {
    "header cut": raw(b'{"w":')[:-1],
    "no UTF-8": raw(b'{"\xff": {}}'),
    "no JSON": raw(b'{"w": '),
    "deep JSON": raw(b'{"w": ' * 500),
    "metadata that is no text": raw({"__metadata__": {"pierian": 1}}),
    "no shape": raw({"w": {"dtype": "F32"}}),
    "unknown dtype": raw({"w": W4 | {"dtype": "F31"}}, bytes(4)),
    "bytes left over": raw({"w": W4}, bytes(5)),
    "tensors that overlap": raw({"a": W4, "b": W4}, bytes(4)),
    "wrong size": raw({"w": W4 | {"shape": [2]}}, bytes(4)),
    "size overflow": raw({"w": W4 | {"shape": [2**40, 2**40]}}, bytes(4)),
    "huge header": (2**63).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_the_reason(what: str) -> None:
    size = len(BROKEN[what])
    with pytest.raises(CheckpointError) as caught:
        unpack(BROKEN[what], 'load("m")')
    text = str(caught.value)
    start = 'load("m"): the file must be whole; expected safetensors data, got '
    assert text.startswith(f"{start}{size:,} bytes that are not (Error while deserializing")
    assert text.endswith(f"). {AGAIN}")


def test_sizes_that_no_array_can_have_are_refused() -> None:
    for shape in ([0, 2**63], [0, 2**62, 2**62], [1] * 65):
        size = 4 * (0 not in shape)
        file = raw({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}, bytes(size))
        with pytest.raises(CheckpointError, match=r"got \d+ bytes that are not \(.*\)\. It was"):
            unpack(file, "load")


def test_a_dtype_that_numpy_lacks_is_named() -> None:
    with pytest.raises(CheckpointError) as caught:
        unpack(raw({"w": entry("F8_E4M3", 4, size=4)}, bytes(4)), 'load_weights("m")')
    assert str(caught.value) == (
        'load_weights("m"): w must have a dtype that NumPy has; expected BOOL, U8, I8, U16, I16, '
        "U32, I32, U64, I64, F16, F32, F64, BF16, got F8_E4M3. Convert it where it was made."
    )


RECORDS = {  # the text of the record -> what the error says it got
    "": "JSONDecodeError: Expecting value",
    "{": "JSONDecodeError: Expecting property name",
    "[" * 200_000: "RecursionError: ",
    "[]": "TypeError: ",
    '"text"': "AttributeError: ",
    "{}": "KeyError: 'sha256'",
    f'{{"n": {"9" * 5000}, "sha256": ""}}': "ValueError: Exceeds the limit",
}


@pytest.mark.parametrize("text", RECORDS, ids=[v.split(":")[0] for v in RECORDS.values()])
def test_a_record_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        unpack(raw({"__metadata__": {"pierian": text}}), 'load("m")')
    says = str(caught.value)
    must = "load(\"m\"): metadata 'pierian' must be readable; expected JSON with a sha256, got "
    assert says.startswith(must + RECORDS[text])
    assert says.endswith(AGAIN)


def test_whatever_is_edited_breaks_the_seal() -> None:
    arrays = {"a": np.zeros(4, np.float32), "b": np.zeros(4, np.float32), "i": np.zeros(4, "i4")}
    record = {"format": "x", "rate": 0.5}
    sums = [seal(record, arrays)["sha256"]]
    for other in (
        arrays | {"a": np.array([0, 0, 0, 1e-40], np.float32)},
        arrays | {"a": np.array([0, 0, 0, -0.0], np.float32)},
        arrays | {"a": np.zeros((2, 2), np.float32)},
        arrays | {"a": np.zeros(4, "i4")},
        arrays | {"a": np.zeros(5, np.float32)},
        {"a": arrays["a"], "c": arrays["b"], "i": arrays["i"]},
        {"a": arrays["a"], "b": arrays["b"]},
    ):
        sums.append(seal(record, other)["sha256"])
    sums.append(seal(record | {"rate": 0.25}, arrays)["sha256"])
    assert len(set(sums)) == len(sums)
    edited = seal(record, arrays) | {"rate": 0.25}
    file = safetensors.numpy.save(arrays, {"pierian": json.dumps(edited)})
    with pytest.raises(CheckpointError) as caught:
        unpack(file, 'load("m")')
    assert str(caught.value) == (
        f'load("m"): the contents must match their checksum; expected sha256 {sums[0][:12]}…, '
        f"got {sums[-1][:12]}…. {AGAIN}"
    )


def test_metadata_of_others_is_no_record() -> None:
    file = safetensors.numpy.save({"w": np.ones(2)}, {"format": "pt"})
    assert unpack(file, "load").record is None
