"""The report: one page, well formed, that needs nothing else and escapes what it is told."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import tomllib
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from pierian.viz import Mistake, Report, report

EVIL = "<script>alert(\"1\")</script> & {braces} $a$ 'q'"
VOID = {"meta", "br", "img"}
FULL = Report(
    title=EVIL,
    figures={"test accuracy": "98.1 %", EVIL: 7},
    history={"loss": [1.0, 0.5], "val_loss": [float("nan"), 0.75], EVIL: [0.1, 0.2], "empty": []},
    schedule={"learning rate": [0.1, 0.2, 0.1], EVIL: [0.9]},
    confusion=[[48, 2, 0], [5, 45, 0], [0, 0, 0]],
    classes=["cat", EVIL, "never seen"],
    mistakes=[
        Mistake(17, np.arange(16, dtype=np.uint8).reshape(4, 4), EVIL, "cat", 4.5, 0.987),
        Mistake(3, np.zeros((4, 4), np.uint8), "cat", EVIL, float("nan")),
    ],
    summary=EVIL,
    config={"text": EVIL, "epochs": 5, "lr": 1e-5, "none": None, "flag": True, "a b": np.int64(3),
            "limit": float("inf"), "optimizer": {"betas": (0.9, 0.999), "deep": {"er": "é\n"}}},
    environment={"python": "3.11", EVIL: EVIL},
)  # fmt: skip


class Page(HTMLParser):
    """What a page consists of; fails where an element is closed that is not the last opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        """All values of one attribute."""
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    def count(self, tag: str) -> int:
        return sum(tag == found for found, _ in self.elements)


@pytest.fixture(scope="module")
def text() -> str:
    return report(FULL)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_page_needs_nothing_else(text: str, page: Page) -> None:
    assert "://" not in text
    assert not page.count("script") and not page.count("link") and "@import" not in text
    sources = page.values("src") + page.values("href") + page.values("xlink:href")
    assert sources and all(source.startswith(("#", "data:image/png;base64,")) for source in sources)
    assert text.count("<style") == 1  # those of the charts would speak for the whole page


def test_ids_are_unique_and_what_is_referred_to_exists(text: str, page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids)) > 20
    links = {link[1:] for link in page.values("href") + page.values("xlink:href") if link[0] == "#"}
    assert links | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    assert {"curve0", "curve1", "plan0", "plan1"} <= {id_.split("-")[0] for id_ in ids}


def test_what_the_run_says_is_shown_as_it_is(text: str, page: Page) -> None:
    words = " ".join(page.words)
    assert "<script" not in text
    assert words.count(EVIL) >= 10  # title twice, figure, table heads, classes, mistakes, …
    for part in ("98.1 %", "3.11", "98.7 % sure", "loss 4.5", "no. 17", "never seen"):
        assert part in words


def test_page_is_accessible(page: Page) -> None:
    elements = page.elements
    assert ("html", {"lang": "en"}) in elements
    assert all(attrs.get("alt") for tag, attrs in elements if tag == "img")
    charts = [attrs for tag, attrs in elements if tag == "svg"]
    assert len(charts) == 4
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert charts[0]["aria-label"] == (
        "Curve of loss over the epochs: loss from 1 to 0.5; val_loss from nan to 0.75"
    )
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in elements if tag == "th")
    assert page.count("h1") == 1 and page.count("h2") == 8
    assert [attrs["content"] for tag, attrs in elements if attrs.get("name") == "viewport"] == [
        "width=device-width, initial-scale=1"
    ]


def test_charts_wear_the_colours_of_the_page(text: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert "var(--blue)" in charts[0] and "var(--orange)" in charts[0]
    assert not any(re.search(r"#[0-9a-f]{6}\b", chart) for chart in charts)
    assert not any(re.search(r"<svg[^>]*\b(width|height)=", chart) for chart in charts)


def test_tables_hold_the_scores(text: str) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert ["cat", "50", "0.906", "0.960", "0.932"] in cells  # 48/53, 48/50
    assert ["never seen", "0", "–", "–", "–"] in cells
    assert ["mean", "100", "0.932", "0.930", "0.930"] in cells  # of the classes that occur
    assert ["1", "1", "nan", "0.1"] in cells  # the epochs
    assert "</b> taken for <b>cat</b>: 5 <span" in text


def test_config_is_toml(text: str) -> None:
    config = tomllib.loads(re.findall(r'configuration">(.*?)</pre>', text, re.DOTALL)[0]
                           .replace("&quot;", '"').replace("&#x27;", "'").replace("&lt;", "<")
                           .replace("&gt;", ">").replace("&amp;", "&"))  # fmt: skip
    assert config == {
        "text": EVIL, "epochs": 5, "lr": 1e-5, "flag": True, "a b": 3, "limit": float("inf"),
        "optimizer": {"betas": [0.9, 0.999], "deep": {"er": "é\n"}},
    }  # fmt: skip


def test_images_are_whole_pngs(page: Page) -> None:
    from matplotlib.image import imread

    first = base64.b64decode(page.values("src")[0].split(",")[1])
    pixels = imread(io.BytesIO(first), format="png")
    assert pixels.shape[:2] == (4, 4)
    assert pixels[..., 0].ravel() == pytest.approx(np.arange(16) / 255, abs=1e-6)


def test_same_run_gives_the_same_text(text: str) -> None:
    assert report(FULL) == text


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"mistakes": [Mistake(0, "a text", "no", "yes", 1.0)]}, "<td>a text</td>"),
    ({"mistakes": [Mistake(0, np.zeros((3, 200, 200)), "no", "yes", 1.0)]}, '<img src="data:'),
    ({"confusion": np.eye(21), "classes": None}, "Confusion matrix of 21 classes"),
    ({"confusion": [[0]], "classes": ["only"]}, "<td>–</td>"),
    ({"confusion": [[2.5, 0], [0, 1]], "classes": None}, ">2.5</td>"),
    ({"history": {"loss": [1.0]}}, "loss from 1 to 1"),
    ({"history": {"loss": np.geomspace(1, 0.1, 100)}}, '<th scope="row">100</th>'),
    ({"config": 'epochs = 5  # "as written"\n'}, "epochs = 5  # &quot;as written&quot;</pre>"),
]


@pytest.mark.parametrize(("change", "part"), CHANGES)
def test_page_of_other_runs(change: dict[str, Any], part: str) -> None:
    bare = {"history": {}, "schedule": {}, "confusion": None, "mistakes": ()}
    text = report(dataclasses.replace(FULL, **(bare | change)))
    assert part in text
    ids = Page(text).values("id")
    assert len(ids) == len(set(ids))


def test_what_is_empty_is_left_out() -> None:
    page = Page(report(Report("a run")))
    assert not page.count("section") and not page.count("nav") and not page.count("dl")
    assert page.words.count("a run") == 2


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"confusion": [[1, 2]]}, "report: a confusion matrix has a row and a column per class"),
        ({"classes": ["one"]}, "report: classes must name every class; expected 3 names, got 1"),
        ({"schedule": {"lr": []}}, "'lr' must hold a number per step"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(change: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError) as caught:
        report(dataclasses.replace(FULL, history={}, **change))
    assert part in str(caught.value)
