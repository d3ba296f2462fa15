"""The arrow checker, on small synthetic trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import arrows
from tools.arrows import Door

FIT = Door("nn/module.py", "Module.fit", "pierian.train")


def problems(
    folder: Path, files: dict[str, str], doors: tuple[Door, ...] = (), within: str = "pierian"
) -> list[str]:
    """What the checker says about a package made of `files`."""
    for name, text in files.items():
        path = folder / within / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [str(problem) for problem in arrows.check(folder, doors).problems]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("nn/layer.py", "from pierian.ops import relu\nfrom pierian.base.errors import message\n"),
        ("nn/layer.py", "from ..core import Tensor\nfrom . import module\nfrom .loss import mse\n"),
        ("nn/__init__.py", "from .module import Module\nfrom ..ops import relu\n"),
        ("nn/deep/layer.py", "from ...core.tensor import Tensor\n"),
        ("train/loop.py", "from pierian.compiler import jit\nimport tqdm\nimport numpy as np\n"),
        ("train/loop.py", "from pierian import data, io, metrics, nn, optim\n"),
        ("compiler/llvm.py", "def load():\n    import llvmlite.binding\n"),
        ("data/source.py", "def fetch():\n    import pooch\n    from PIL import Image\n"),
        ("viz/plot.py", "def plot():\n    import matplotlib.pyplot\n    import pierian.train\n"),
        ("testing/gradcheck.py", "import pierian\nfrom pierian import viz\n"),
        ("cli.py", "from pierian import __version__\nfrom pierian.train import fit\n"),
        ("compat/d2l.py", "from pierian import nn, optim, train\n"),
        ("__init__.py", "from pierian import nn\nfrom .core import Tensor\n"),
        ("__init__.py", "def __getattr__(name):\n    import pierian.viz\n"),
        ("__main__.py", "from pierian.cli import main\n"),
        ("base/errors.py", "from __future__ import annotations\nimport difflib\n"),
    ],
)
def test_downward_arrow_passes(tmp_path: Path, file: str, text: str) -> None:
    assert problems(tmp_path, {file: text}) == []


@pytest.mark.parametrize(
    ("file", "text", "line", "said"),
    [
        ("core/tensor.py", "import os\nfrom pierian.ops import relu\n", 2, "not import room ops"),
        ("core/tensor.py", "from .. import nn\n", 1, "may not import room nn"),
        ("nn/layer.py", "from pierian.optim import Adam\n", 1, "may not import room optim"),
        ("nn/layer.py", "import pierian.data.loader\n", 1, "may not import room data"),
        ("nn/layer.py", "from pierian import Tensor\n", 1, "may not import room package"),
        ("optim/sgd.py", "from pierian.nn import Module\n", 1, "may not import room nn"),
        ("compiler/fuse.py", "from pierian.ops import add\n", 1, "may not import room ops"),
        ("data/loader.py", "from pierian.core import Tensor\n", 1, "may not import room core"),
        ("train/loop.py", "from pierian.testing import agree\n", 1, "not import room testing"),
        ("viz/plot.py", "import pierian.testing\n", 1, "may not import room testing"),
        ("__init__.py", "from pierian import viz\n", 1, "viz only inside a function"),
        ("__init__.py", "import matplotlib\n", 1, "may not import matplotlib"),
        ("compiler/jit.py", "import llvmlite.ir\n", 1, "may not import llvmlite"),
        ("nn/module.py", "import tqdm\n", 1, "may not import tqdm"),
        ("nn/module.py", "import torch\n", 1, "room nn imports torch"),
        ("train/loop.py", "from pierian import attic\n", 1, "may not import room package"),
        ("train/loop.py", "from pierian.attic import x\n", 1, "pierian.attic is in no known room"),
        ("attic/old.py", "import os\n", 1, "room attic is not known"),
        ("nn/module.py", "def f():\n    import json\n", 2, "f imports json inside a function"),
        ("nn/m.py", "class M:\n    def f(self):\n        from . import x\n", 3, "M.f imports"),
        (
            "nn/module.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pierian.train\n",
            3,
            "may not import room train",
        ),
    ],
)
def test_wrong_arrow_is_named_with_its_line(
    tmp_path: Path, file: str, text: str, line: int, said: str
) -> None:
    (found,) = problems(tmp_path, {file: text})
    assert found.startswith(f"pierian/{file}:{line}: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from ... import train\n", "climbs out of the package"),
        ("import importlib\nimportlib.import_module('pierian.train')\n", "import room train"),
        ("__import__('pierian.train')\n", "may not import room train"),
        ("import importlib\nimportlib.import_module('..train', __package__)\n", "computed"),
        ("import importlib\nimportlib.import_module(f'pierian.{room}')\n", "computed"),
        ("def f(:\n", "does not parse"),
    ],
)
def test_trick_is_caught(tmp_path: Path, text: str, said: str) -> None:
    (found,) = problems(tmp_path, {"nn/module.py": text})
    assert said in found


def test_door_lets_its_function_through_and_nobody_else(tmp_path: Path) -> None:
    method = "    def {}(self):\n        from pierian.train.loop import fit\n"
    text = "class Module:\n" + method.format("fit") + method.format("steal")
    (found,) = problems(tmp_path, {"nn/module.py": text}, (FIT,))
    assert "pierian/nn/module.py:5: room nn may not import room train" in found


def test_door_covers_functions_inside_its_function(tmp_path: Path) -> None:
    text = (
        "class Module:\n    def fit(self):\n        def go():\n            import pierian.train\n"
    )
    assert problems(tmp_path, {"nn/module.py": text}, (FIT,)) == []


def test_unused_door_is_an_error_once_its_file_exists(tmp_path: Path) -> None:
    assert problems(tmp_path, {"nn/layer.py": ""}, (FIT,)) == []
    (found,) = problems(tmp_path, {"nn/module.py": ""}, (FIT,))
    assert "pierian/nn/module.py Module.fit -> pierian.train is not used" in found


def test_every_door_is_found_on_its_own_row() -> None:
    rows = [arrows.line_of(door) for door in arrows.DOORS]
    assert sorted(set(rows)) == rows
    assert 1 not in rows


def test_no_cycle_between_rooms_below_the_pictures() -> None:
    open_rooms = {"viz", "testing", arrows.ROOT}
    seen: set[str] = set()
    while ready := [r for r in arrows.BELOW if r not in seen | open_rooms and not below(r) - seen]:
        seen.update(ready)
    assert seen == set(arrows.BELOW) - open_rooms


def below(room: str) -> set[str]:
    """The rooms a room may import, the package's own names aside."""
    return set(arrows.BELOW[room]) - {arrows.ROOT}


def test_main_fails_when_there_is_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arrows.main([str(tmp_path)]) == 1
    assert "0 files" in capsys.readouterr().out
