"""Adds to the documentation site what is made elsewhere: docstrings, pictures, benchmarks.

A hook of mkdocs (see mkdocs.yml). May import: mkdocs, pierian, the standard library. To add a room
to the reference: a row in `ROOMS`; a file of the repository: a row in `BORROWED`; both are then
named in the `nav` of mkdocs.yml. A picture: a row in `PICTURES`, beside the code in a page.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pierian as pr
from pierian import viz

REPOSITORY = Path(__file__).resolve().parents[1]

# page: (module, what a reader finds there)
ROOMS = {
    "pierian": ("pierian", "Tensors, operations, gradients, `jit`: `import pierian as pr`."),
    "tensor": ("pierian.core.tensor", "`Tensor`: its methods and properties."),
    "nn": ("pierian.nn", "Layers, losses, containers: `from pierian import nn`."),
    "functional": ("pierian.nn.functional", "The functions behind the layers."),
    "init": ("pierian.nn.init", "How parameters start."),
    "optim": ("pierian.optim", "Update rules and gradient clipping."),
    "schedule": ("pierian.optim.schedule", "Learning rates that change with the step."),
    "metrics": ("pierian.metrics", "What is measured beside the loss."),
    "models": ("pierian.models", "Networks ready to be trained."),
    "data": ("pierian.data", "Data sets, loaders, transforms, sources."),
    "train": ("pierian.train", "`fit`, `Learner`, callbacks."),
    "explicit": ("pierian.train.explicit", "Forward and backward called by hand, compiled."),
    "io": ("pierian.io", "Models, weights and checkpoints on disk."),
    "viz": ("pierian.viz", "Pictures (extra `viz`)."),
    "testing": ("pierian.testing", "Gradient checks, agreement of results."),
}
FACES = {
    "scratch": "Neural networks on plain lists, layers with forward and backward.",
    "keras": "Keras: `from pierian.compat import keras`.",
    "tensorflow": "TensorFlow: `import pierian.compat.tensorflow as tf`.",
    "fastai": "fastai: `from pierian.compat.fastai import *`; `torch` there is `pierian` itself.",
}
BORROWED = {
    "benchmarks.md": "benchmarks/RESULTS.md",
    "scaling.png": "benchmarks/scaling.png",
    "examples.md": "examples/RESULTS.md",
    "zh/readme.md": "README.zh-CN.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}


def chain(path: Path) -> None:
    """The graph of the page on gradients: |goal - (x·w + b)|."""
    named = {"x": pr.tensor(2.0), "goal": pr.tensor(4.0)}
    named |= {"w": pr.tensor(3.0, requires_grad=True), "b": pr.tensor(1.0, requires_grad=True)}
    error = pr.abs(named["goal"] - (named["x"] * named["w"] + named["b"]))
    viz.graph(error, names=named).save(path)


BENDS = {"relu": pr.relu, "sigmoid": pr.sigmoid, "tanh": pr.tanh}
PICTURES: dict[str, Callable[[Path], Any]] = {
    "graph.svg": chain,
    "bends.svg": lambda path: viz.plot_function(BENDS, path=path),
    "descent.svg": lambda path: viz.plot_descent(pr.square, 1.0, path=path),
    "geometry.svg": lambda path: viz.plot_geometry(path=path),
}
# Lines of a docstring that are aligned: Shapes:, Args:, name  what it is, continued lines
ALIGNED = re.compile(r"^([A-Z][a-z]+: |\w+ {2,}\S| {4})")
INNER = ("build", "forward", "function", "pool")  # methods that one does not call
CHINESE = "[\u3000-\u9fff\uff00-\uffef]"  # characters that no space separates
WIDEST = 88  # columns of a signature on one line


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs: adds the pages that are not files of docs/."""
    from mkdocs.structure.files import File  # so that the rest can be tested without it

    for target, source in BORROWED.items():
        content: str | bytes = (REPOSITORY / source).read_bytes()
        if isinstance(content, bytes) and target.endswith(".md"):
            content = moved(content.decode("utf-8"), "../" * target.count("/"))
        files.append(File.generated(config, target, content=content))
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in PICTURES.items():
            path = Path(folder, name)
            draw(path)
            files.append(File.generated(config, f"pictures/{name}", content=path.read_bytes()))
    for page, (name, about) in ROOMS.items():
        text = room(page, importlib.import_module(name), about)
        files.append(File.generated(config, f"api/{page}.md", content=text))
    files.append(File.generated(config, "api/index.md", content=contents()))
    files.append(File.generated(config, "api/faces.md", content=faces()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page: sessions are marked as such, lines of Chinese joined."""
    markdown = re.sub(r"^```python\n(?=>>> )", "```pycon\n", markdown, flags=re.MULTILINE)
    return re.sub(rf"(?<={CHINESE})\n(?={CHINESE})", "", markdown)


def moved(text: str, up: str) -> str:
    """A page of the repository with its links as they are in the site, `up` folders higher."""
    text = re.sub(r"\]\(docs/", f"]({up}", text)
    for page, path in BORROWED.items():
        text = text.replace(f"]({path})", f"]({up}{page})")
    return re.sub(r"\[([^]]*)\]\((README.md|LICENSE)\)", r"\1", text)  # these have no page


def contents() -> str:
    """The first page of the reference."""
    rows = [f"| [`{name}`]({page}.md) | {about} |" for page, (name, about) in ROOMS.items()]
    return "\n".join(
        [
            "# Reference",
            "",
            "Made from the docstrings, whose examples CI runs. `help(pierian.nn.Dense)` shows the",
            "same in Python.",
            "",
            "| | |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def room(page: str, module: ModuleType, about: str) -> str:
    """The page of one module."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    ]
    if page == "tensor":
        names = ["Tensor"]
    parts = [f"# {module.__name__}\n\n{about}\n"]
    parts += [entry(name, getattr(module, name)) for name in sorted(names, key=str.lower)]
    return "\n".join(part for part in parts if part)


def faces() -> str:
    """The page of the names of other frameworks: what each face has, module by module."""
    parts = ["# Names of other frameworks", "", "Programs written for other frameworks run on "
             "these names; each is one of Pierian's with another spelling. `help()` tells its "
             "arguments, and a name that is missing says what to use instead."]  # fmt: skip
    for face, about in FACES.items():
        module = importlib.import_module(f"pierian.compat.{face}")
        parts += ["", f"## {face}", "", about, "", "| module | names |", "|---|---|"]
        parts += [f"| `{name}` | {', '.join(names)} |" for name, names in inside(module, face)]
    return "\n".join([*parts, ""])


def inside(module: ModuleType, name: str) -> Iterator[tuple[str, list[str]]]:
    """The names that a module of a face offers, then those of the modules that it offers."""
    says = {"__all__", "__dir__"}  # a module without these has helpers among its names
    listed = getattr(module, "__all__", None) or module.__dir__()
    offered = {key: getattr(module, key) for key in sorted(listed, key=str.lower) if key[0] != "_"}
    modules = {
        key: part
        for key, part in offered.items()
        if isinstance(part, ModuleType)
        and part.__name__.startswith(f"{module.__name__}.")
        and says & vars(part).keys()
    }
    names = [f"`{key}`" for key, value in offered.items() if key not in modules
             and (says & vars(module).keys() or own(key, value))]  # fmt: skip
    if names:
        yield name, names
    for key, part in modules.items():
        yield from inside(part, f"{name}.{key}")


def own(name: str, value: Any) -> bool:
    """Whether a name in a module is one of ours, and not a constant or a helper."""
    home = getattr(value, "__module__", None) or ""
    return not name.isupper() and home.startswith("pierian.") and not home.endswith(".names")


def entry(name: str, value: Any, level: int = 2) -> str:
    """One public name: heading, signature, docstring; for a class also its methods."""
    if isinstance(value, ModuleType) or not (callable(value) or isinstance(value, property)):
        return ""
    text = f"{'#' * level} {name}\n\n"
    if callable(value):
        text += f"```python\n{signature(name, value)}\n```\n\n"
    text += prose(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        for key, member in sorted(vars(value).items()):
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if key not in INNER and key[0] != "_" and inspect.getdoc(plain):
                text += "\n" + entry(key, plain, level + 2)
    return text


def signature(name: str, value: Any) -> str:
    """The call, on one line or an argument a line."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{name}(...)"
    kept = [p for p in found.parameters.values() if p.name != "self"]
    text = name + readable(str(found.replace(parameters=kept)))
    if len(text) <= WIDEST:
        return text
    inside = [readable(str(p)) for p in kept]
    named = [p.kind is inspect.Parameter.KEYWORD_ONLY for p in kept]
    if True in named and not any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in kept):
        inside.insert(named.index(True), "*")
    return f"{name}(\n    " + ",\n    ".join(inside) + ",\n)"


def readable(text: str) -> str:
    """A piece of a signature without the quotes of annotations and without addresses."""
    text = re.sub(r"<(?:class|function) '?([\w.]+)[^>]*>", r"\1", text)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def prose(docstring: str) -> str:
    """A docstring as Markdown: text, then its fields and its examples as they stand."""
    parts, kind, lines = [], "prose", list[str]()

    def close() -> None:
        body = "\n".join(lines).strip("\n")
        if body and kind == "prose":
            spans = re.split(r"(`[^`]*`)", body)  # code in backquotes stays as it is
            spans[::2] = [re.sub(r"([<*_\[])", r"\\\1", span) for span in spans[::2]]
            parts.append("".join(spans))
        elif body:
            parts.append(f"```{kind}\n{body}\n```")
        lines.clear()

    for line in docstring.splitlines():
        now = kind
        if line.startswith(">>> "):
            now = "pycon"
        elif ALIGNED.match(line):
            now = "pycon" if kind == "pycon" else "text"
        elif not line.strip() or kind == "text":
            now = "prose"
        if now != kind:
            close()
            kind = now
        lines.append(line)
    close()
    return "\n\n".join(parts) + "\n"
