"""A run as one HTML page that needs nothing else: no network, no script, no second file.

May import: base, numpy, the other files of the room. To add a part to the page: a field of
`Report`, a function that gives its HTML ("" when there is nothing to show), a row in `report`.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from pierian.viz.curves import plot_history, plot_schedule
from pierian.viz.figure import BLUE, GREEN, INK, ORANGE, names_of, need_matplotlib
from pierian.viz.images import Mistake, pictures, words
from pierian.viz.matrix import READABLE, plot_confusion_matrix, shares, square
from pierian.viz.style import CSS

COLOURS = {INK: "currentColor", BLUE: "var(--blue)", ORANGE: "var(--orange)", GREEN: "var(--green)"}
SMALL = 100  # pixels up to which an image is enlarged with sharp edges
MIX_UPS = 8  # pairs of classes that are listed
TURNED = 3  # characters of a class name, above which the heads of columns are turned
EPIGRAPH = "Drink deep, or taste not the Pierian spring."  # Pope 1711, An Essay on Criticism


@dataclass(frozen=True, eq=False)
class Report:
    """What the page shows; whatever is empty is left out.

    title        the head of the page, one line.
    figures      the numbers that matter, name -> text; the first is the one to be seen first.
    history      name -> a number per epoch, as `fit` gives it.
    schedule     name -> a number per step, as for `plot_schedule`.
    confusion    counts (k, k), a row per true class; also gives precision and recall.
    classes      the name of each class; None for their numbers.
    mistakes     what `top_losses` gave.
    summary      the text of `model.summary()`.
    config       the TOML text that makes the run again, or a dict to write as TOML.
    environment  name -> text: versions, machine, time, …
    """

    title: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    confusion: Any = None
    classes: Sequence[str] | None = None
    mistakes: Sequence[Mistake] = ()
    summary: str = ""
    config: Mapping[str, Any] | str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)


def report(run: Report) -> str:
    """The page as text, to be written as UTF-8.

    Everything is inside: style, charts (SVG), images (PNG); it follows the reader's choice of
    light or dark, fits phones, and prints. What the run says is escaped, so that names can hold
    anything. The same run gives the same text.

    Raises:  ShapeError and ValueError as `plot_confusion_matrix` and `plot_history` raise them;
             ImportError without matplotlib.
    """
    need_matplotlib("report")
    parts = (
        ("curves", "Learning curves", _curves(run)),
        ("schedule", "Schedule", _schedule(run)),
        ("confusion", "Confusion matrix", _confusion(run)),
        ("mistakes", "Worst mistakes", _mistakes(run)),
        ("classes", "Class by class", _classes(run)),
        ("model", "Model", run.summary and _pre("model", run.summary)),
        ("config", "Configuration", run.config and _pre("configuration", _toml(run.config))),
        ("environment", "Environment", _facts(run.environment)),
    )
    shown = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    sections = "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{title}</h2>\n{body}\n</section>'
        for name, title, body in shown
    )
    numbers = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in run.figures.items()
    )
    return PAGE.format(
        title=_text(run.title),
        css=CSS,
        numbers=f'<dl class="key">{numbers}</dl>' if numbers else "",
        links=f'<nav aria-label="Parts of this page">{links}</nav>' if links else "",
        sections=sections,
        epigraph=EPIGRAPH,
    )


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<main>
<header>
<p class="kicker">Pierian · training report</p>
<h1>{title}</h1>
{numbers}
{links}
</header>
{sections}
<footer>{epigraph}</footer>
</main>
</body>
</html>
"""


# The parts


def _curves(run: Report) -> str:
    known = {name: values for name, values in run.history.items() if len(values)}
    if not known:
        return ""
    charts = []
    for i, name in enumerate(dict.fromkeys(name.removeprefix("val_") for name in known)):
        ends = "; ".join(
            f"{key} from {_number(known[key][0])} to {_number(known[key][-1])}"
            for key in (name, f"val_{name}")
            if key in known
        )
        label = f"Curve of {name} over the epochs: {ends}"
        charts.append(_chart(label, f"curve{i}", plot_history, known, names=[name]))
    columns = [[_number(value) for value in values] for values in known.values()]
    rows = [
        [f"{epoch + 1}", *(column[epoch] if epoch < len(column) else "" for column in columns)]
        for epoch in range(max(map(len, columns)))
    ]
    table = _table("Numbers of every epoch", ["epoch", *known], rows, "tall")
    return (
        f'<div class="charts">{"".join(charts)}</div>\n'
        f"<details><summary>The numbers of every epoch</summary>{table}</details>"
    )


def _schedule(run: Report) -> str:
    charts = [
        _chart(f"Curve of {name} over the steps", f"plan{i}", plot_schedule, {name: values})
        for i, (name, values) in enumerate(run.schedule.items())
    ]
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _confusion(run: Report) -> str:
    if run.confusion is None:
        return ""
    counts = square("report", run.confusion)
    names = names_of("report", run.classes, len(counts))
    note = _note(
        "A row for what an example is, a column for what the model said. Blue is right; the "
        "deeper the orange, the larger the share of its class that was mistaken that way."
    )
    if len(counts) <= READABLE:
        picture = _cells(counts, names)
    else:
        label = f"Confusion matrix of {len(counts)} classes"
        chart = _chart(label, "matrix", plot_confusion_matrix, counts, names)
        picture = f'<div class="wide">{chart}</div>'
    wrong = counts * (1 - np.eye(len(counts)))
    most = np.argsort(-wrong, axis=None, kind="stable")[:MIX_UPS]
    items = [
        f"<b>{_text(names[i])}</b> taken for <b>{_text(names[j])}</b>: {_number(wrong[i, j])} "
        f'<span class="soft">of {_number(counts[i].sum())}</span>'
        for i, j in zip(*np.unravel_index(most, counts.shape), strict=True)
        if wrong[i, j]
    ]
    listed = "".join(f"<li>{item}</li>" for item in items)
    mixed = f"<div><h3>Mixed up most often</h3><ol>{listed}</ol></div>" if items else ""
    return f'{note}<div class="pair">{picture}{mixed}</div>'


def _cells(counts: np.ndarray, names: list[str]) -> str:
    """The matrix as a table, whose cells say by --s how deep their colour is."""
    depth = shares(counts, 1)
    right = np.eye(len(counts), dtype=bool)
    for part in (right, ~right):
        depth[part] /= depth[part].max(initial=0) or 1
    turned = ' class="turned"' if max(map(len, names)) > TURNED else ""
    head = "".join(f'<th scope="col"{turned}><span>{_text(name)}</span></th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = "".join(
            f'<td{" class=hit" if i == j else ""} style="--s:{depth[i, j]:.3f}">'
            f"{_number(count) if count else ''}</td>"
            for j, count in enumerate(counts[i])
        )
        rows.append(f'<tr><th scope="row">{_text(name)}</th>{cells}</tr>')
    return _scroll(
        "Confusion matrix",
        f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>",
    )


def _mistakes(run: Report) -> str:
    if not run.mistakes:
        return ""
    grid = pictures([one.example for one in run.mistakes])
    if grid is None:
        head = ["example", "said", "is", "sure to", "loss", "values"]
        rows = [
            [f"{one.number}", one.predicted, one.actual, _percent(one.probability),
             _number(one.loss), words(one.example)]
            for one in run.mistakes
        ]  # fmt: skip
        return _table("Worst mistakes", head, rows, "words")
    small = ' class="small"' if max(grid.shape[1:3]) <= SMALL else ""
    figures = []
    for one, image in zip(run.mistakes, grid, strict=True):
        said, true = _text(one.predicted), _text(one.actual)
        facts = [f"{_percent(one.probability)} sure"] if one.sure else []
        facts += [f"loss {_number(one.loss)}", f"no. {one.number}"]
        figures.append(
            f'<figure><img{small} src="{_png(image)}" alt="Example {one.number}, which is {true} '
            f'and was taken for {said}"><figcaption><span class="wrong">{said}'
            f"</span> instead of <b>{true}</b><br><small>{'<br>'.join(facts)}</small>"
            f"</figcaption></figure>"
        )
    return f'<div class="mistakes">{"".join(figures)}</div>'


def _classes(run: Report) -> str:
    if run.confusion is None:
        return ""
    counts = square("report", run.confusion)
    right, said, true = np.diag(counts), counts.sum(0), counts.sum(1)
    with np.errstate(invalid="ignore"):
        scores = np.stack([right / said, right / true, 2 * right / (said + true)])
    seen = true > 0
    mean = np.nan_to_num(scores[:, seen]).mean(axis=1) if seen.any() else np.full(3, np.nan)
    names = names_of("report", run.classes, len(counts))
    rows = [
        [name, _number(true[i]), *(_score(score) for score in scores[:, i])]
        for i, name in enumerate(names)
    ]
    rows.append(["mean", _number(true.sum()), *map(_score, mean)])
    note = _note(
        "Precision: how often the model is right when it says so. Recall: how many of the class "
        "it finds. F1: their harmonic mean. A dash: there was nothing to divide by."
    )
    head = ["class", "examples", "precision", "recall", "F1"]
    return note + _table("Class by class", head, rows, "tall last")


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""


# What they are made of


def _text(value: object) -> str:
    return escape(str(value))


def _note(text: str) -> str:
    return f'<p class="note">{text}</p>'


def _pre(label: str, text: object) -> str:
    return f'<pre tabindex="0" role="region" aria-label="{label}">{_text(text)}</pre>'


def _scroll(label: str, table: str, more: str = "") -> str:
    """A box in which what is too wide scrolls; reachable with the keyboard."""
    kind = f"scroll {more}".rstrip()
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _table(label: str, head: Sequence[str], rows: Iterable[Sequence[str]], more: str = "") -> str:
    """A table whose first column names the rows."""
    columns = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{_text(first)}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    table = f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"
    return _scroll(label, table, more)


def _chart(label: str, prefix: str, plot: Callable[..., Any], *args: Any, **more: Any) -> str:
    """What `plot` draws, as an SVG whose text is text and whose colours are the page's.

    Matplotlib names parts alike in every picture; `prefix` keeps those of a page apart.
    """
    from matplotlib import rc_context

    drawn = io.StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": prefix}
    style |= {"savefig.format": "svg", "savefig.transparent": True}
    with rc_context(style):
        plot(*args, **more, path=drawn)
    text = drawn.getvalue()
    for pattern, new in (
        (r".*?<svg [^>]*(viewBox=\"[^\"]*\")[^>]*>", r"\1>"),
        (r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", ""),
        (r'\bid="', f'id="{prefix}-'),
        (r'(href="|url\()#', rf"\1#{prefix}-"),
        *COLOURS.items(),
    ):
        text = re.sub(pattern, new, text, flags=re.DOTALL)
    return f'<figure><svg role="img" aria-label="{_text(label)}" {text}</figure>'


def _png(image: np.ndarray) -> str:
    """An image of `pictures` as a URI that holds it."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    nothing: Any = {"Software": None}  # no version and no address of matplotlib in each image
    imsave(file, image, format="png", vmin=0, vmax=1, cmap="gray", metadata=nothing)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _number(value: float) -> str:
    """Counts whole, everything else to four digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _score(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _toml(config: Mapping[str, Any] | str, above: str = "") -> str:
    """`config` as TOML; what TOML has no type for is written as text, None is left out."""
    if isinstance(config, str):
        return config.strip()
    tables = {name: table for name, table in config.items() if isinstance(table, Mapping)}
    lines = [
        f"{_key(name)} = {_value(value)}"
        for name, value in config.items()
        if name not in tables and value is not None
    ]
    parts = ["\n".join([*([f"[{above}]"] if above else []), *lines])]
    for name, table in tables.items():
        parts.append(_toml(table, f"{above}.{_key(name)}".lstrip(".")))
    return "\n\n".join(filter(None, parts))


def _key(name: object) -> str:
    text = str(name)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False)
