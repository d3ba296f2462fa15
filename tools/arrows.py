"""Checks that the rooms of Pierian import only downward, by walking every syntax tree.

May import: the standard library only. To add a room: a row in BELOW. To let a room use a package
from outside: a row in OUTSIDE. To open a door upward: a row in DOORS, and a reviewer who agrees.

    python tools/arrows.py [repository]

Imports inside functions and under `if TYPE_CHECKING` count like any other; so do the calls
`importlib.import_module("...")` and `__import__("...")`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

Scope = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

PACKAGE = "pierian"
ROOT = "package"  # the room of pierian/__init__.py, which holds the public names
TYPES = "TYPE_CHECKING"  # where an import under `if TYPE_CHECKING` is said to stand

# What each room may import besides itself: everything further down the chain.
BELOW: dict[str, frozenset[str]] = {}
BELOW["base"] = frozenset()
BELOW["core"] = frozenset({"base"})
BELOW["ops"] = BELOW["core"] | {"core"}
BELOW["nn"] = BELOW["optim"] = BELOW["metrics"] = BELOW["ops"] | {"ops"}
BELOW["compiler"] = frozenset({"base", "core"})
BELOW["data"] = frozenset({"base"})
BELOW["io"] = BELOW["models"] = BELOW["nn"] | {"nn"}
BELOW["train"] = BELOW["io"] | {"io", "optim", "metrics", "data", "compiler"}
BELOW["compat"] = BELOW["train"] | {"train", "models"}
BELOW["cli"] = BELOW["compat"] | {"models", ROOT}
BELOW["__main__"] = frozenset({"cli"})
BELOW[ROOT] = frozenset(BELOW) - {"__main__"} | {"testing"}
BELOW["viz"] = BELOW["testing"] = BELOW[ROOT] - {"testing"} | {ROOT, "viz"}

# Packages from outside, each with the only places that may import it (room or file of a room).
EVERYWHERE = ("",)
OUTSIDE: dict[str, tuple[str, ...]] = {
    "numpy": EVERYWHERE,
    "llvmlite": ("compiler/llvm.py",),
    "matplotlib": ("viz", "compat/fastai/__init__.py"),
    "tqdm": ("train",),
    "IPython": ("train/display.py",),
    "tensorboardX": ("train/callbacks/logger.py",),
    "safetensors": ("io",),
    "pooch": ("data",),
    "PIL": ("data", "viz", "cli", "compat/fastai/__init__.py"),
    "pandas": ("compat/fastai/__init__.py",),
}


@dataclass(frozen=True)
class Door:
    """One import that may point upward, late: inside `function` of `file`, of `module`."""

    file: str
    function: str
    module: str

    def __str__(self) -> str:
        return f"{PACKAGE}/{self.file} {self.function} -> {self.module}"


# Three kinds only: the training verbs of Module, picture verbs (plot…, show…, HTML) to viz, and
# the compiler, so that importing the package does not load LLVM.
DOORS = (
    Door("train/steps.py", "compiled", "pierian.compiler.jit"),
    Door("nn/module.py", "Module.compile", "pierian.train"),
    Door("nn/module.py", "Module.fit", "pierian.train"),
    Door("nn/module.py", "Module.evaluate", "pierian.train"),
    Door("nn/module.py", "Module.predict", "pierian.train"),
    Door("nn/module.py", "Module.train_on_batch", "pierian.train"),
    Door("nn/module.py", "Module.test_on_batch", "pierian.train"),
    Door("nn/module.py", "Module.predict_on_batch", "pierian.train"),
    Door("nn/module.py", "Module.save", "pierian.io"),
    Door("nn/module.py", "Module.save_weights", "pierian.io"),
    Door("nn/module.py", "Module.load_weights", "pierian.io"),
    Door("train/callbacks/history.py", "History.plot", "pierian.viz"),
    Door("train/callbacks/history.py", "Recorder.plot_loss", "pierian.viz"),
    Door("train/callbacks/history.py", "Recorder.plot_sched", "pierian.viz"),
    Door("train/learner.py", "Learner.show_results", "pierian.viz"),
    Door("train/lr_find.py", "RangeTest.plot", "pierian.viz"),
    Door("compat/fastai/pictures.py", "show_image", "pierian.viz"),
    Door("compat/fastai/pictures.py", "show_images", "pierian.viz"),
    Door("compat/fastai/pictures.py", "plot_function", "pierian.viz"),
    Door("cli/report.py", "page_of", "pierian.viz"),
    # modules that take long to import, and few programs need
    Door("data/__init__.py", "__getattr__", "pierian.data"),
    Door("data/loaders.py", "DataLoaders.from_folder", "pierian.data.image"),
    Door("data/loaders.py", "DataLoaders.from_folder", "pierian.data.transform"),
    Door("data/source.py", "ImageData.write_folder", "pierian.data.image"),
    Door("data/source.py", "_check_reachable", "urllib.request"),
    Door("data/cifar.py", "_unpacked", "tarfile"),
    Door("data/background.py", "_in_order", "concurrent.futures"),
    Door("io/checkpoint.py", "environment", "importlib"),
)


@dataclass(frozen=True)
class Import:
    """One imported module: its absolute dotted name and where the import stands."""

    line: int
    module: str
    place: str = ""  # qualified name of the enclosing function, or TYPES, or "" at module level

    @property
    def late(self) -> bool:
        return self.place not in ("", TYPES)


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong at one line of one file, and how to mend it."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Report:
    """The outcome of one walk."""

    files: int
    imports: int
    problems: list[Problem]


def check(repository: Path, doors: tuple[Door, ...] = DOORS) -> Report:
    """Walks every Python file of the package below `repository`."""
    package = repository / PACKAGE
    files = sorted(package.rglob("*.py"))
    imports, problems, used = 0, [], set()
    for path in files:
        file = PurePosixPath(path.relative_to(package).as_posix())
        where = f"{PACKAGE}/{file}"
        reader = Reader(file)
        try:
            reader.visit(ast.parse(path.read_text(encoding="utf-8")))
        except SyntaxError as error:
            problems.append(Problem(where, error.lineno or 1, f"does not parse: {error.msg}."))
        imports += len(reader.imports)
        problems += [Problem(where, line, text) for line, text in reader.tricks]
        for found in reader.imports:
            door = next((d for d in doors if opens(d, file, found)), None)
            if door:
                used.add(door)
            elif wrong := verdict(file, found):
                problems.append(Problem(where, found.line, wrong))
    for door in doors:
        if door not in used and (package / door.file).exists():
            text = f"door {door} is not used; expected an import there, got none. Delete its row"
            problems.append(Problem("tools/arrows.py", line_of(door), f"{text}."))
    return Report(len(files), imports, sorted(problems))


def opens(door: Door, file: PurePosixPath, found: Import) -> bool:
    """Whether `door` is the one this import goes through."""
    inside = found.place == door.function or found.place.startswith(f"{door.function}.")
    module = found.module == door.module or found.module.startswith(f"{door.module}.")
    return str(file) == door.file and inside and module


def room_of(file: PurePosixPath) -> str:
    """The room a file of the package belongs to."""
    first = file.parts[0].removesuffix(".py")
    return ROOT if first == "__init__" else first


def verdict(file: PurePosixPath, found: Import) -> str:
    """What is wrong with one import; empty when nothing is."""
    room = room_of(file)
    if room not in BELOW:
        return f"room {room} is not known; expected one of {names(BELOW)}. Add a row to BELOW."
    top, _, rest = found.module.partition(".")
    if top == PACKAGE:
        return inner(room, rest.partition(".")[0] or ROOT, found)
    if top in sys.stdlib_module_names:
        return late(room, found)
    if top not in OUTSIDE:
        return (
            f"room {room} imports {top}; expected one of {names(OUTSIDE)}, got a package that "
            f"the project does not depend on. Do without it, or add a row to OUTSIDE."
        )
    if any(place in ("", room, str(file)) for place in OUTSIDE[top]):
        return ""
    return (
        f"room {room} may not import {top}; expected only in {names(OUTSIDE[top])}, "
        f"got {found.module}. Call what wraps it there."
    )


def inner(room: str, target: str, found: Import) -> str:
    """The verdict on an import of one of our own rooms."""
    if target not in BELOW:
        return f"{found.module} is in no known room; expected one of {names(BELOW)}. Fix the name."
    if target == "viz" and room == ROOT:
        return "" if found.late else "the package may import viz only inside a function. Move it."
    if target != room and target not in BELOW[room]:
        fix = "Name the module that defines it" if target == ROOT else "Move what both need down"
        return (
            f"room {room} may not import room {target}; expected one of "
            f"{names(BELOW[room])}, got {found.module}. {fix}, or list a door in tools/arrows.py."
        )
    return late(room, found)


def late(room: str, found: Import) -> str:
    """The verdict on where an allowed import stands."""
    if not found.late or room in ("viz", ROOT):
        return ""
    return (
        f"{found.place} imports {found.module} inside a function; expected at the top of the "
        f"file, got a late import. Move it up, or list a door in tools/arrows.py."
    )


class Reader(ast.NodeVisitor):
    """Collects the imports of one file, and the tricks that hide one."""

    def __init__(self, file: PurePosixPath) -> None:
        self.package = [PACKAGE, *file.parts[:-1]]
        self.imports: list[Import] = []
        self.tricks: list[tuple[int, str]] = []
        self.scopes: list[str] = []
        self.place = ""

    def add(self, node: ast.AST, module: str) -> None:
        self.imports.append(Import(getattr(node, "lineno", 1), module, self.place))

    def trick(self, node: ast.expr | ast.stmt, text: str) -> None:
        self.tricks.append((node.lineno, text))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        keep = len(self.package) - node.level + 1
        if keep < 1:
            self.trick(node, "relative import climbs out of the package. Use the full name.")
            return
        base = [*self.package[:keep]] if node.level else []
        module = ".".join([*base, *filter(None, [node.module])])
        if module != PACKAGE:
            self.add(node, module)
            return
        for alias in node.names:  # `from pierian import nn` names a room; `import Tensor` does not
            self.add(node, f"{PACKAGE}.{alias.name}" if alias.name in BELOW else PACKAGE)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
                match node.args:
                    case [ast.Constant(value=str(name))] if not name.startswith("."):
                        self.add(node, name)
                    case _:
                        self.trick(
                            node,
                            "an import whose name is computed cannot be checked; expected an "
                            "import statement. Write one, in a function if it is optional.",
                        )
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        before = self.place
        if ast.unparse(node.test) in (TYPES, f"typing.{TYPES}") and not before:
            self.place = TYPES
        for child in node.body:
            self.visit(child)
        self.place = before
        for part in (node.test, *node.orelse):
            self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.enter(node, self.place)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.enter(node, ".".join([*self.scopes, node.name]))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.enter(node, ".".join([*self.scopes, node.name]))

    def enter(self, node: Scope, place: str) -> None:
        """Visits the inside of a class or function, whose imports stand at `place`."""
        before, self.place = self.place, place
        self.scopes.append(node.name)
        self.generic_visit(node)
        self.scopes.pop()
        self.place = before


def line_of(door: Door) -> int:
    """The row of `door` in this file; 1 when the table came from elsewhere."""
    row = f'Door("{door.file}", "{door.function}", "{door.module}")'
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if row in line), 1)


def names(known: Iterable[str]) -> str:
    """A readable list."""
    return ", ".join(sorted(known)) or "nothing"


def main(argv: list[str]) -> int:
    """Prints every wrong arrow; the exit status is 1 when there is one."""
    repository = Path(argv[0]) if argv else Path(__file__).resolve().parents[1]
    report = check(repository)
    for problem in report.problems:
        print(problem)
    verb = f"{len(report.problems)} wrong" if report.problems else "all point downward"
    print(f"arrows: {report.files} files, {report.imports} imports, {verb}")
    return 1 if report.problems or not report.files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
