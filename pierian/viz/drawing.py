"""Boxes and arrows: where they go, and how they are written as SVG, DOT and Mermaid.

May import: base, figure. Layers by longest path, order by barycentres, places by least squares
(Sugiyama et al. 1981, in small). To draw another kind of box: a row in `LOOKS`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from pierian.base.errors import message
from pierian.viz.figure import BLUE, INK, ORANGE, short

# Each kind of box: fill, frame, width of the frame, radius of its corners, shape in Mermaid
LOOKS = {
    "leaf": ("#dcedf8", BLUE, 1.4, 4, "[{}]"),
    "constant": ("#f2f2f2", "#8a8a8a", 1.0, 4, "[{}]"),
    "operation": ("#ffffff", "#444444", 1.2, 14, "({})"),
    "module": ("#fdf3d8", "#8a6d1a", 1.4, 4, "[{}]"),
    "result": ("#dff2ea", "#009e73", 2.2, 14, "({})"),
}
FONT, LINE, LETTER = 12, 16, 7.3  # pixels: size, height of a line, and width of a wide letter
SMALL = 11  # pixels, of the text at arrows
GAP, STACK = 34, 20  # pixels between layers without words, and between boxes of one
PORT = 26  # pixels between arrows that meet at one side of a box
APART = 6  # pixels from a line of values or gradients to the middle between both
SWEEPS = 12  # times that order, and then place, is improved
MARGIN = 16

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """One box: its lines of text, the first of them bold, and a row of `LOOKS`."""

    lines: tuple[str, ...]
    kind: str = "operation"


@dataclass(frozen=True)
class Arrow:
    """An arrow from box to box, by their numbers; `back` is written at one that comes back."""

    tail: int
    head: int
    back: str | None = None


@dataclass(frozen=True)
class Drawing:
    """A picture that notebooks show: `svg`, `dot` and `mermaid` are its text, `save` writes it.

    boxes   in an order in which arrows point forward only.
    across  from left to right, not from above to below.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    across: bool = True
    legend: str = ""

    @property
    def svg(self) -> str:
        """The picture, which needs nothing from outside."""
        return _svg(self)

    @property
    def dot(self) -> str:
        """The same for Graphviz."""
        lines = ["digraph {", f"  rankdir={'LR' if self.across else 'TB'};"]
        for i, box in enumerate(self.boxes):
            fill, ink, width, *_ = LOOKS[box.kind]
            text = "\\n".join(_quoted(line) for line in box.lines)
            lines.append(
                f'  n{i} [shape=box, style="rounded,filled", fillcolor="{fill}", color="{ink}", '
                f'penwidth={width}, label="{text}"];'
            )
        for a in self.arrows:
            lines.append(f"  n{a.tail} -> n{a.head};")
            if a.back is not None:
                style = f'color="{ORANGE}", style=dashed, constraint=false'
                lines.append(f'  n{a.head} -> n{a.tail} [{style}, label="{_quoted(a.back)}"];')
        return "\n".join([*lines, "}"])

    @property
    def mermaid(self) -> str:
        """The same for Mermaid, which Markdown pages show."""
        lines = [f"flowchart {'LR' if self.across else 'TB'}"]
        for i, box in enumerate(self.boxes):
            text = "<br>".join(escape(line) for line in box.lines)
            lines.append(f"  n{i}{LOOKS[box.kind][-1]}".format(f'"{text}"'))
        for a in self.arrows:
            lines.append(f"  n{a.tail} --> n{a.head}")
            if a.back is not None:
                word = f'|"{escape(a.back)}"|' if a.back else ""
                lines.append(f"  n{a.head} -.->{word} n{a.tail}")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture; the ending says how: .svg, .dot, or .mmd for Mermaid.

        Raises:  ValueError for another ending.
        """
        texts = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid"}
        ending = Path(path).suffix.lower()
        if ending not in texts:
            must, fix = "the ending of path must be known", "Save as graph.svg"
            expected = "one of " + ", ".join(texts)
            raise ValueError(message("Drawing.save", must, expected, repr(ending), fix))
        Path(path).write_text(getattr(self, texts[ending]), encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.boxes)} boxes and {len(self.arrows)} arrows>"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def width_of(text: str, size: float = FONT) -> float:
    """About how many pixels a line of text is wide, rather too many."""
    return len(text) * LETTER * size / FONT


# Where everything goes. "Along" is the direction of the arrows, "aside" the other.


@dataclass
class Place:
    """A box, or a bend of an arrow that passes a layer: its middle and size."""

    rank: int
    long: float
    wide: float
    along: float = 0.0
    aside: float = 0.0


def _places(drawing: Drawing) -> tuple[list[Place], list[list[int]]]:
    """Boxes and bends, and for each arrow the places it visits."""
    boxes, arrows = drawing.boxes, drawing.arrows
    ports = [max(sum(a.tail == i for a in arrows), sum(a.head == i for a in arrows))
             for i in range(len(boxes))]  # fmt: skip
    places = []
    for box, rank, most in zip(boxes, _ranks(drawing), ports, strict=True):
        width = max(width_of(line) for line in box.lines) + 22
        height = LINE * len(box.lines) + 14
        long, wide = (width, height) if drawing.across else (height, width)
        places.append(Place(rank, long, max(wide, _spacing(drawing) * most)))
    routes = []
    for a in arrows:
        bends = range(places[a.tail].rank + 1, places[a.head].rank)
        first = len(places)
        places += [Place(rank, 0, _spacing(drawing)) for rank in bends]
        routes.append([a.tail, *range(first, len(places)), a.head])
    _arrange(places, routes)
    layers: dict[int, float] = {}
    for place in places:
        layers[place.rank] = max(layers.get(place.rank, 0), place.long)
    at = 0.0
    for rank in sorted(layers):
        for place in places:
            if place.rank == rank:
                place.along = at + layers[rank] / 2
                if place.long == 0:
                    place.long = layers[rank]
        at += layers[rank] + _between(drawing)
    return places, routes


def _spacing(drawing: Drawing) -> float:
    """Between arrows that meet at a box."""
    words = [a.back for a in drawing.arrows if a.back]
    if drawing.across or not words:
        return PORT
    return max(width_of(word, SMALL) for word in words) + 12


def _between(drawing: Drawing) -> float:
    """Between layers."""
    words = [width_of(a.back, SMALL) for a in drawing.arrows if a.back]
    return GAP + (max(words, default=0) if drawing.across else LINE * bool(words))


def _ranks(drawing: Drawing) -> list[int]:
    """The layer of each box: as early as possible, sources just before what uses them."""
    ranks = [0] * len(drawing.boxes)
    for a in sorted(drawing.arrows, key=lambda a: a.tail):
        ranks[a.head] = max(ranks[a.head], ranks[a.tail] + 1)
    heads = {a.head for a in drawing.arrows}
    for i in range(len(ranks)):
        users = [ranks[a.head] for a in drawing.arrows if a.tail == i]
        if i not in heads and users:
            ranks[i] = min(users) - 1
    return ranks


def _arrange(places: list[Place], routes: list[list[int]]) -> None:
    """Order the layers so that arrows seldom cross, and put places near those they lead to."""
    near: list[list[int]] = [[] for _ in places]
    for route in routes:
        for one, other in pairwise(route):
            near[one].append(other)
            near[other].append(one)
    layers = [[i for i, p in enumerate(places) if p.rank == rank]
              for rank in range(1 + max((p.rank for p in places), default=0))]  # fmt: skip
    for layer in layers:
        for i, number in enumerate(layer):
            places[number].aside = i * 50.0

    def wish(i: int, side: int) -> float:
        """The mean of the neighbours on one side, or on both for side 0."""
        rank = places[i].rank
        found = [places[j].aside for j in near[i] if (places[j].rank - rank) * side >= 0]
        return sum(found) / len(found) if found else places[i].aside

    for sweep in range(2 * SWEEPS):
        side = 0 if sweep >= SWEEPS else 1 if sweep % 2 else -1
        for layer in layers[::-side] if side else layers:
            wishes = {i: wish(i, side) for i in layer}
            if side:
                layer.sort(key=lambda i: wishes[i])
            found = _spread([wishes[i] for i in layer], [places[i].wide for i in layer])
            for i, aside in zip(layer, found, strict=True):
                places[i].aside = aside


def _spread(wishes: list[float], sizes: list[float]) -> list[float]:
    """The places in this order, without overlaps, whose squared distances to wishes are least.

    >>> _spread([0.0, 0.0, 200.0], [20.0, 20.0, 20.0])
    [-20.0, 20.0, 200.0]
    """
    offsets = [0.0]
    for one, other in pairwise(sizes):
        offsets.append(offsets[-1] + (one + other) / 2 + STACK)
    blocks: list[list[float]] = []  # of neighbours that touch: mean wish, how many
    for want, offset in zip(wishes, offsets, strict=True):
        blocks.append([want - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            last, before = blocks.pop()
            total = count + before
            blocks.append([(mean * count + last * before) / total, total])
    flat = [mean for mean, count in blocks for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


# SVG


def _svg(drawing: Drawing) -> str:
    places, routes = _places(drawing)
    ends = _ports(drawing, places, routes)
    low = min((p.aside - p.wide / 2 for p in places), default=0.0)
    high = max((p.aside + p.wide / 2 for p in places), default=0.0)
    far = max((p.along + p.long / 2 for p in places), default=0.0)

    def point(along: float, aside: float) -> Point:
        a, b = along + MARGIN, aside - low + MARGIN
        return (a, b) if drawing.across else (b, a)

    lines, words = [], []
    for arrow, route, (start, stop) in zip(drawing.arrows, routes, ends, strict=True):
        bends = [places[i] for i in route[1:-1]]
        tail, head = places[route[0]], places[route[-1]]
        way = [(tail.along + tail.long / 2, start)]
        for bend in bends:
            way += [(bend.along - bend.long / 2, bend.aside), (bend.along + bend.long / 2,
                                                               bend.aside)]  # fmt: skip
        way.append((head.along - head.long / 2, stop))
        if arrow.back is None:
            lines.append(_line([point(*p) for p in way], "#444444", drawing.across))
            continue
        sides = ((-APART, BLUE, way), (APART, ORANGE, way[::-1]))
        for shift, ink, going in sides:
            moved = [point(along, aside + shift) for along, aside in going]
            lines.append(_line(moved, ink, drawing.across, dashed=ink == ORANGE))
        alone = sum(a.tail == arrow.tail for a in drawing.arrows) == 1
        (a, b), (c, d) = way[:2] if alone else way[-2:]
        x, y = point((a + c) / 2, (b + d) / 2 + APART)
        half = width_of(arrow.back, SMALL) / 2
        beside = 2.0 if drawing.across else half - 5  # away from the other line
        x, y = (x, y + beside) if drawing.across else (x + beside, y)
        words.append(
            f'<rect x="{x - half:.1f}" y="{y - 7:.1f}" width="{2 * half:.1f}" height="14" '
            'fill="#ffffff"/>' + _text(x, y + 4, arrow.back, SMALL, ORANGE, "middle")
        )
    drawn = [_box(box, p, point) for box, p in zip(drawing.boxes, places, strict=False)]
    width, height = point(far, high)
    size = [width + MARGIN, height + MARGIN]
    if drawing.legend:
        words.append(_text(MARGIN, size[1] + SMALL, drawing.legend, SMALL, "#444444", "start"))
        size = [max(size[0], width_of(drawing.legend, SMALL) + 2 * MARGIN), size[1] + 2 * LINE]
    box = f"{size[0]:.0f} {size[1]:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box}" width="{size[0]:.0f}" '
        f'height="{size[1]:.0f}" font-family="DejaVu Sans, Verdana, Arial, sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join([*lines, *drawn, *words])}'
        "</svg>"
    )


def _ports(
    drawing: Drawing, places: list[Place], routes: list[list[int]]
) -> list[tuple[float, float]]:
    """Where along the sides of its boxes each arrow begins and ends."""
    ends = [[0.0, 0.0] for _ in routes]
    for end, step in ((0, 1), (-1, -2)):
        for i, place in enumerate(places[: len(drawing.boxes)]):
            mine = [k for k, route in enumerate(routes) if route[end] == i]
            mine.sort(key=lambda k: places[routes[k][step]].aside)
            for number, k in enumerate(mine):
                middle = (len(mine) - 1) / 2
                ends[k][end] = place.aside + (number - middle) * _spacing(drawing)
    return [(start, stop) for start, stop in ends]


def _line(way: list[Point], ink: str, across: bool, dashed: bool = False) -> str:
    """A curve with a head at its end."""
    (x, y), (u, v) = way[-2:]
    forward = 1 if (u > x if across else v > y) else -1
    tip = way[-1]
    back = (tip[0] - 7 * forward, tip[1]) if across else (tip[0], tip[1] - 7 * forward)
    way = [*way[:-1], back]
    path = f"M{way[0][0]:.1f},{way[0][1]:.1f}"
    for (a, b), (c, d) in pairwise(way):
        first, second = (((a + c) / 2, b), ((a + c) / 2, d)) if across else (
            (a, (b + d) / 2), (c, (b + d) / 2))  # fmt: skip
        path += f" C{first[0]:.1f},{first[1]:.1f} {second[0]:.1f},{second[1]:.1f} {c:.1f},{d:.1f}"
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    across_head = [(back[0], back[1] - 4), (back[0], back[1] + 4)]
    down_head = [(back[0] - 4, back[1]), (back[0] + 4, back[1])]
    corners = [tip, *(across_head if across else down_head)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return (
        f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.4"{dash}/>'
        f'<polygon points="{points}" fill="{ink}"/>'
    )


def _box(box: Box, place: Place, point: Any) -> str:
    fill, ink, stroke, radius, _ = LOOKS[box.kind]
    x, y = point(place.along - place.long / 2, place.aside - place.wide / 2)
    u, v = point(place.along + place.long / 2, place.aside + place.wide / 2)
    top = (y + v) / 2 - LINE * (len(box.lines) - 1) / 2 + 4
    texts = [
        _text((x + u) / 2, top + LINE * i, line, FONT, INK, "middle", bold=i == 0)
        for i, line in enumerate(box.lines)
    ]
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{u - x:.1f}" height="{v - y:.1f}" rx="{radius}" '
        f'fill="{fill}" stroke="{ink}" stroke-width="{stroke}"/>{"".join(texts)}'
    )


def _text(
    x: float, y: float, text: str, size: int, ink: str, anchor: str, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{ink}" '
        f'text-anchor="{anchor}"{weight}>{escape(short(text, 120))}</text>'
    )
