"""The pages that the documentation site makes of docstrings and of files of the repository."""

from __future__ import annotations

from typing import Any

import pytest

from tools import docs

DOCSTRING = """One *line* with `a_name` and [0, 1].

Shapes:  x (n,) -> ().
Args:    low  where to begin,
              and more of it.

More text.

>>> 1 + 1
2
"""
PAGE = """One \\*line\\* with `a_name` and \\[0, 1].

```text
Shapes:  x (n,) -> ().
Args:    low  where to begin,
              and more of it.
```

More text.

```pycon
>>> 1 + 1
2
```
"""


class Widget:
    """A class.

    >>> Widget(2).double()
    4
    """

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def double(self) -> int:
        """Twice the size."""
        return 2 * self.size

    def forward(self) -> int:
        """Not called by users."""
        return self.size

    def _own(self) -> None:
        """Private."""


def wide(first: Any, second: list[int], *, third: str = "a rather long default", fourth=max):
    """Many arguments."""


def test_a_docstring_becomes_prose_fields_and_examples() -> None:
    assert docs.prose(DOCSTRING) == PAGE


def test_a_class_has_its_public_methods() -> None:
    text = docs.entry("Widget", Widget)
    assert text.startswith("## Widget\n\n```python\nWidget(size: int = 1)")
    assert "#### double" in text and "Twice the size." in text
    assert "forward" not in text and "Private" not in text


def test_a_long_signature_has_an_argument_a_line() -> None:
    assert docs.signature("wide", wide).splitlines() == [
        "wide(", "    first: Any,", "    second: list[int],", "    *,",
        "    third: str = 'a rather long default',", "    fourth=<built-in function max>,", ")",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "up", "there"),
    [
        ("[tour](docs/tour/index.md)", "", "[tour](tour/index.md)"),
        ("[log](CHANGELOG.md)", "", "[log](changelog.md)"),
        ("[中文](README.zh-CN.md)", "../", "[中文](../zh/readme.md)"),
        ("see [README](README.md)", "", "see README"),
    ],
)
def test_links_of_borrowed_pages_lead_into_the_site(text: str, up: str, there: str) -> None:
    assert docs.moved(text, up) == there


@pytest.mark.parametrize("page", docs.ROOMS)
def test_every_page_of_the_reference_has_entries(page: str) -> None:
    name, about = docs.ROOMS[page]
    text = docs.room(page, docs.importlib.import_module(name), about)
    assert text.startswith(f"# {name}\n\n{about}\n") and text.count("\n## ") >= 1
    assert "0x" not in text  # addresses would differ from build to build


def test_faces_list_their_names_and_not_their_helpers() -> None:
    rows = dict(line[2:-2].split(" | ") for line in docs.faces().splitlines() if line[:3] == "| `")
    named = {
        module.strip("`"): names.replace("`", "").split(", ") for module, names in rows.items()
    }
    assert {"Dense", "Conv2D", "add"} <= set(named["keras.layers"])
    assert {"Tensor", "Linear", "mnist"} <= set(named["scratch"])
    assert {"Variable", "constant", "reduce_sum"} <= set(named["tensorflow"])
    assert {"Learner", "L", "untar_data"} <= set(named["fastai"])
    flat = {name for names in named.values() for name in names} | named.keys()
    assert not {"Any", "annotations", "TABLE", "answer", "keras.names", "keras._file"} & flat


def test_lines_of_chinese_are_joined_and_sessions_are_marked() -> None:
    page = docs.on_page_markdown("张量，\n梯度\n```python\n>>> 1\n1\n```\n")
    assert page == "张量，梯度\n```pycon\n>>> 1\n1\n```\n"
