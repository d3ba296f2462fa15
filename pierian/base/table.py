"""Table: rows of text under headings, for print, for notebooks and as Markdown.

May import: the standard library only. Whatever shows rows makes one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

GAP = "  "  # between columns of plain text
LEFT = ' style="text-align: left"'  # notebooks put all cells on the right


@dataclass(frozen=True)
class Table:
    """Rows of cells under `head`; a heading that begins with "<" has its column on the left.

    Args:  total  a last row, set off by a rule.

    >>> print(Table(["<layer", "parameters"], [["Linear", "7,850"], ["ReLU", "0"]]))
    layer   parameters
    ------------------
    Linear       7,850
    ReLU             0
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()

    def without(self, cell: str = "") -> Table:
        """The same without the columns that say nothing but `cell`.

        >>> Table(["a", "b"], [["1", "?"], ["2", "?"]]).without("?").head
        ['a']
        """
        columns = [i for i in range(len(self.head)) if any(row[i] != cell for row in self.rows)]
        head, total, *rows = (
            [line[i] for i in columns if line] for line in (self.head, self.total, *self.rows)
        )
        return Table(head, rows, total)

    def _lines(self) -> list[Sequence[str]]:
        last = [self.total] if self.total else []
        return [[name.removeprefix("<") for name in self.head], *self.rows, *last]

    def _filled(self, least: int = 0) -> tuple[list[tuple[int, str]], list[list[str]]]:
        """Width and side of each column; the lines with cells filled up to that."""
        lines = self._lines()
        widths = [max(least, *map(len, column)) for column in zip(*lines, strict=True)]
        sides = ["<" if name.startswith("<") else ">" for name in self.head]
        places = list(zip(widths, sides, strict=True))
        return places, [
            [f"{cell:{side}{width}}" for cell, (width, side) in zip(line, places, strict=True)]
            for line in lines
        ]

    def __str__(self) -> str:
        places, filled = self._filled()
        head, *body = [GAP.join(line).rstrip() for line in filled]
        rule = "-" * len(GAP.join(" " * width for width, _ in places))
        if self.total:
            body.insert(-1, rule)
        return "\n".join([head, rule, *body])

    __repr__ = __str__

    def markdown(self) -> str:
        """As Markdown, aligned for reading as it is."""
        places, filled = self._filled(least=2)
        rules = ["-" * w if side == "<" else "-" * (w - 1) + ":" for w, side in places]
        told = [[cell.replace("|", "\\|") for cell in line] for line in filled]
        return "\n".join(f"| {' | '.join(line)} |" for line in [told[0], rules, *told[1:]])

    def _repr_html_(self) -> str:
        def row(tag: str, cells: Sequence[str]) -> str:
            styles = [LEFT if name.startswith("<") else "" for name in self.head]
            shown = (f"<{tag}{style}>{escape(cell)}</{tag}>"
                     for cell, style in zip(cells, styles, strict=True))  # fmt: skip
            return f"<tr>{''.join(shown)}</tr>"

        head = f"<thead>{row('th', self._lines()[0])}</thead>"
        body = f"<tbody>{''.join(row('td', cells) for cells in self.rows)}</tbody>"
        foot = f"<tfoot>{row('th', self.total)}</tfoot>" if self.total else ""
        return f"<table>{head}{body}{foot}</table>"
