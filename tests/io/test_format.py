"""The format on disk: what version 1 looks like, and that its fixture can be read for ever."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pierian as pr
from pierian import nn
from pierian.io.tensors import unpack

FIXTURES = Path(__file__).parent / "fixtures"
SHA256 = {  # a released file never changes; made by tools/make_model_fixture.py
    "model_v1.safetensors": "7fb42cec0d23a5449970d11ce602b4bc64d94c176ad5b2684df0a99af548924e",
}


def fill(shape: tuple[int, ...]) -> np.ndarray:
    return ((np.arange(np.prod(shape, dtype=int)) % 7 - 3) / 8).astype("f4").reshape(shape)


@pytest.fixture(params=sorted(SHA256))
def path(request: Any) -> Path:
    return FIXTURES / request.param


def test_the_fixtures_are_the_released_ones(path: Path) -> None:
    assert {p.name for p in FIXTURES.glob("model*")} == set(SHA256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[path.name]


def test_a_model_of_any_version_is_read(path: Path) -> None:
    model = pr.load(path)
    names = [name for name, _ in model.named_children()]
    assert names == ["flat", "first", "body", "again", "drop", "list", "head"]
    kinds = [type(part) for part in model]
    assert kinds == [nn.Flatten, nn.Dense, nn.Sequential, nn.Sequential, nn.Dropout, nn.Sequential,
                     nn.Linear]  # fmt: skip
    assert model["again"] is model["body"]
    assert model["list"][0].weight is model["body"][0].weight
    assert model["first"].bias is model["body"][0].bias
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), fill(tensor.shape), strict=True)
        assert tensor.base.requires_grad == (name in ("first.weight", "list.0.bias", "head.weight"))
    assert [m.training for m in model] == [True, True, True, True, False, True, True]
    assert (model["drop"].p, model["body"][1].negative_slope) == (0.25, 0.1)


def test_a_model_of_any_version_computes_the_same(path: Path) -> None:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    square, offset = fill((4, 4)), fill((4,))
    y = np.maximum(x.reshape(2, 6) @ fill((4, 6)).T + offset, 0)
    for _ in range(2):
        y = y @ square.T + offset
        y = np.where(y > 0, y, 0.1 * y)
    y = np.tanh(y @ square.T + offset) @ fill((3, 4)).T
    np.testing.assert_allclose(pr.load(path).eval()(x).numpy(), y, rtol=1e-6)


def test_the_maker_of_the_fixture_still_runs(tmp_path: Path) -> None:
    tool = Path(__file__).parents[2] / "tools" / "make_model_fixture.py"
    subprocess.run([sys.executable, tool, tmp_path / "m"], check=True, capture_output=True)
    made, kept = pr.load(tmp_path / "m"), pr.load(sorted(FIXTURES.glob("model*"))[-1])
    assert repr(made) == repr(kept)
    for name, tensor in kept.state_dict().items():
        np.testing.assert_array_equal(made.state_dict()[name].numpy(), tensor.numpy(), strict=True)


def test_the_record_of_version_1_in_full(tmp_path: Path) -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Sequential(layer).eval())
    model[0].bias.requires_grad_(False)
    model(np.zeros((1, 2), np.float32))
    model.save(tmp_path / "m")
    record = unpack((tmp_path / "m").read_bytes(), "load").record
    assert record == {
        "format": "pierian.model",
        "version": 1,
        "pierian": pr.__version__,
        "architecture": {
            "class": "Sequential",
            "config": {"layers": [{"0": {"$module": "0"}, "1": {"$module": "1"}}]},
            "attributes": {},
            "training": True,
            "children": {
                "0": {
                    "class": "Linear",
                    "config": {"in_features": 2, "out_features": 2, "bias": True},
                    "attributes": {},
                    "training": False,
                    "children": {},
                },
                "1": {
                    "class": "Sequential",
                    "config": {"layers": [{"0": {"$module": "0"}}]},
                    "attributes": {},
                    "training": False,
                    "children": {"0": {"shared": "0"}},
                },
            },
        },
        "inputs": [{"shape": [2], "dtype": "float32"}],
        "built": True,
        "tied": {"1.0.weight": "0.weight", "1.0.bias": "0.bias"},
        "frozen": ["0.bias"],
    }
