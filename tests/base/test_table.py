"""Tables: one content as text, Markdown and HTML."""

from __future__ import annotations

import pytest

from pierian.base.table import Table

SMALL = Table(["<name", "n"], [["a<b", "1"], ["c", "20"]], ["total", "21"])
TEXT = """\
name    n
---------
a<b     1
c      20
---------
total  21"""
MARKDOWN = """\
| name  |  n |
| ----- | -: |
| a<b   |  1 |
| c     | 20 |
| total | 21 |"""
LEFT = ' style="text-align: left"'
HTML = (
    f"<table><thead><tr><th{LEFT}>name</th><th>n</th></tr></thead>"
    f"<tbody><tr><td{LEFT}>a&lt;b</td><td>1</td></tr><tr><td{LEFT}>c</td><td>20</td></tr></tbody>"
    f"<tfoot><tr><th{LEFT}>total</th><th>21</th></tr></tfoot></table>"
)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (str(SMALL), TEXT),
        (repr(SMALL), TEXT),
        (SMALL.markdown(), MARKDOWN),
        (Table(["<a|b"], [["c"]]).markdown(), "| a\\|b |\n| --- |\n| c   |"),
        (SMALL._repr_html_(), HTML),
        (str(Table(["a", "b"], [])), "a  b\n----"),
        (str(Table(["a", "b"], [["1", ""], ["2", ""]]).without()), "a\n-\n1\n2"),
        (str(Table(["a", "b"], [["?", "1"]], ["?", "1"]).without("?")), "b\n-\n1\n-\n1"),
    ],
)
def test_shown(shown: str, expected: str) -> None:
    assert shown == expected


def test_rows_must_fit_the_head() -> None:
    with pytest.raises(ValueError):
        str(Table(["a", "b"], [["1"]]))
