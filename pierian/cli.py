"""The command line: `pierian train | evaluate | predict | explain | bench | info`.

Also `python -m pierian.cli`. May import: the rooms below, and Pillow inside the function that reads
pictures. To add a command: a parser in `build_parser` and a function (args) -> exit status.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pierian import data, io, nn, optim
from pierian.base import file
from pierian.base.errors import CheckpointError, DataError, PierianError, message
from pierian.base.version import __version__
from pierian.data.order import whole
from pierian.data.source import SOURCES
from pierian.nn.module import Module
from pierian.ops.composite import softmax
from pierian.ops.random import manual_seed
from pierian.train import recipe as recipes

DATASETS = {"mnist": data.mnist, "fashion_mnist": data.fashion_mnist}
SIDE = 28  # pixels of an image, in both directions
LIGHT = 127  # a background above this is light; the data sets have a black one
MODELS: dict[str, Callable[[], Module]] = {
    "mlp": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Dense(512, "relu", input_shape=SIDE * SIDE),
        nn.Dense(10, input_shape=512),
    ),
    "softmax": lambda: nn.Sequential(nn.Flatten(), nn.Dense(10, input_shape=SIDE * SIDE)),
}
MODEL, CONFIG, HISTORY, CURVES = "model.safetensors", "config.json", "history.json", "curves.png"
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended
EXPLAINED = 16  # batches to measure with
VIEWS: dict[str, Callable[[Any], Any]] = {
    "graph": lambda step: step.graph(),
    "llvm-ir": lambda step: step.llvm_ir(),
    "assembly": lambda step: step.assembly(),
}
PACKAGES = {
    "needs": ("numpy", "llvmlite", "safetensors", "tqdm"),
    "extra data": ("pooch", "Pillow"),
    "extra viz": ("matplotlib",),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: list[str] | None = None) -> int:
    """Run a command; gives the exit status. Errors take one line on stderr and give 2."""
    parser = build_parser()
    args, more = parser.parse_known_args(argv)
    if more and args.command != "bench":
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    args.more = more
    if args.command is None:
        parser.print_help()
        return 0
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("pierian: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (PierianError, ValueError, OSError, ImportError) as error:
        if args.debug:
            raise
        print(f"pierian: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run` to its function."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common.add_argument("--json", action="store_true", help="end with one line of JSON")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("--source", choices=SOURCES, help="where the data must come from")
    training = argparse.ArgumentParser(add_help=False)
    training.add_argument("dataset", choices=DATASETS)
    training.add_argument("--model", choices=MODELS, default="mlp")
    training.add_argument("--batch-size", type=int, default=128)
    training.add_argument("--optimizer", default="adam", metavar="NAME")
    training.add_argument("--lr", type=float, help="learning rate (default: the optimizer's)")
    training.add_argument("--seed", type=int, default=0)

    parser = argparse.ArgumentParser(
        prog="pierian", description="Train networks on images, test and use them."
    )
    parser.add_argument("--version", action="version", version=f"pierian {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, run: Any, text: str, *parents: Any) -> Any:
        parts = [*parents, common]
        sub = commands.add_parser(name, help=text, description=text, parents=parts)
        sub.set_defaults(run=run)
        return sub

    sub = command("train", train, "train a model on a data set and save it", training, source)
    sub.add_argument("--epochs", type=int, default=15)
    sub.add_argument("--out", type=Path, metavar="DIR", help="run folder, which must be new")
    sub = command("evaluate", evaluate, "test a trained model on its data set", source)
    sub.add_argument("folder", type=Path, metavar="RUN")
    sub = command("predict", predict, "say what is on pictures")
    sub.add_argument("folder", type=Path, metavar="RUN")
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    text = "show what a step of training compiles to, and what each part of it costs here"
    sub = command("explain", explain, text, training)
    shown = sub.add_mutually_exclusive_group()
    for name in VIEWS:
        words = f"print the {name} of the code instead"
        shown.add_argument(f"--{name}", dest="view", action="store_const", const=name, help=words)
    text = "compare with other frameworks; takes the options of `python -m benchmarks`"
    command("bench", bench, text)
    command("info", info, "show versions, this machine, and which data are found")
    return parser


# Commands


def train(args: argparse.Namespace) -> int:
    """`pierian train`: all that a run leaves goes into one new folder."""
    optimizer = chosen_optimizer(args)
    images = DATASETS[args.dataset](source=args.source)
    print(f"data: {images.source}")
    manual_seed(args.seed)
    model: Any = MODELS[args.model]()
    print(model.summary((SIDE, SIDE)))
    names = ("dataset", "model", "epochs", "batch_size", "optimizer", "seed")
    config = {name: getattr(args, name) for name in names}
    config |= {"lr": float(optimizer.lr), "data": images.source}
    folder = new_folder(args.out, f"{args.dataset}-{args.model}")
    write_json(folder / CONFIG, {**config, "classes": images.classes, "pierian": __version__})
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    x, test = scaled(images.x_train), (scaled(images.x_test), images.y_test)
    started = time.perf_counter()
    interrupted = False
    try:
        model.fit(x, images.y_train, args.batch_size, args.epochs, validation_data=test)
    except KeyboardInterrupt:
        if not hasattr(model, "history"):  # before the first step
            raise
        interrupted = True
    seconds = time.perf_counter() - started
    history = model.history
    done = len(history.epoch)
    model.save(folder / MODEL)
    write_json(folder / HISTORY, {"epoch": history.epoch, **history.history})
    if interrupted:
        print(f"interrupted after {done} whole epochs; what was learned is saved in {folder}")
        return INTERRUPTED
    if done:
        draw(history, folder / CURVES)
    result = model.evaluate(*test, verbose=0, return_dict=True)
    print(f"saved in {folder}")
    print(f"test accuracy {result['accuracy']:.4f} after {done} epochs in {seconds:.1f} s")
    if args.json:
        speed = {"seconds": seconds, "samples_per_second": done * len(x) / seconds}
        print_json(config | {"run": str(folder)} | tested(result) | {"epochs": done} | speed)
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """`pierian evaluate`: on the test set of the data that the run was trained on."""
    model, config = open_run(args.folder)
    images = DATASETS[config["dataset"]](source=args.source)
    print(f"data: {images.source}")
    model.compile(loss="cross_entropy", metrics=["accuracy"])
    x = scaled(images.x_test)
    started = time.perf_counter()
    result = model.evaluate(x, images.y_test, verbose=0, return_dict=True)
    seconds = time.perf_counter() - started
    print(f"test accuracy {result['accuracy']:.4f} on {len(x):,} images")
    if args.json:
        speed = {"seconds": seconds, "samples_per_second": len(x) / seconds}
        print_json({"run": str(args.folder), "data": images.source} | tested(result) | speed)
    return 0


def predict(args: argparse.Namespace) -> int:
    """`pierian predict`: a line per picture."""
    model, config = open_run(args.folder)
    pictures = [read_image(path) for path in args.images]
    scores = model.predict(np.stack([pixels for pixels, _ in pictures]), verbose=0)
    answers = []
    for path, (_, note), chances in zip(args.images, pictures, softmax(scores), strict=True):
        best = int(chances.argmax())
        name, p = config["classes"][best], float(chances[best])
        print(f"{path}: {name}, probability {p:.3f}{note}")
        answers.append({"image": str(path), "class": name, "probability": p})
    if args.json:
        print_json({"run": str(args.folder), "predictions": answers})
    return 0


def explain(args: argparse.Namespace) -> int:
    """`pierian explain`: the step that `fit` takes, rows gathered and all, on made-up images."""
    size = whole("explain", "batch_size", args.batch_size, least=1, fix="Pass --batch-size 128")
    manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    count = size * EXPLAINED
    x, y = rng.random((count, SIDE, SIDE), np.float32), rng.integers(0, 10, count)
    model: Any = MODELS[args.model]()
    model.compile(chosen_optimizer(args), "cross_entropy", jit=True)
    model.fit(x, y, size, verbose=0)
    (kind,) = recipes.of("explain", model).steps.values()
    (steps,) = kind.resident.values()
    steps.position.value[...] = 0
    if args.view is not None:
        text = str(VIEWS[args.view](steps.native))
        print(text)
        record = {args.view: text}
    else:
        name = f"{args.dataset} {args.model}, {args.optimizer}, batch of {size}"
        found = replace(steps.native.explain(), name=name)
        print(found)
        record = found.data()
    if args.json:
        print_json(record)
    return 0


def bench(args: argparse.Namespace) -> int:
    """`pierian bench`: in a source checkout, where the benchmarks are."""
    roots = [Path.cwd(), Path(__file__).resolve().parents[1]]
    root = next((r for r in roots if (r / "benchmarks" / "__main__.py").is_file()), None)
    if root is None:
        must, fix = "benchmarks come with the source", "Clone the repository and run it there"
        expected = f"a folder benchmarks in {roots[0]}"
        raise DataError(message("bench", must, expected, "none", fix))
    options = [*args.more, *(["--json"] if args.json else [])]
    return subprocess.call([sys.executable, "-m", "benchmarks", *options], cwd=root)


def info(args: argparse.Namespace) -> int:
    """`pierian info`: what a bug report needs."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    report = {
        "pierian": __version__,
        "python": f"{platform.python_version()}, {platform.platform()}",
        "cpu": f"{cpu_name()}, {usable_cores()} cores usable",
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "threads": ", ".join(f"{key}={os.environ[key]}" for key in THREADS if key in os.environ)
        or "as the BLAS chooses",
    }
    for part, names in PACKAGES.items():
        report[part] = ", ".join(f"{name} {installed(name)}" for name in names)
    for name, find in DATASETS.items():
        try:
            report[name] = find(source="local").source
        except DataError as error:
            report[name] = str(error)
    for name, text in report.items():
        print(f"{name}: {text}")
    if args.json:
        print_json(report)
    return 0


# What they share


def chosen_optimizer(args: argparse.Namespace) -> Any:
    """The optimizer that the options name."""
    return optim.get(args.optimizer, **({} if args.lr is None else {"lr": args.lr}))


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels 0 … 255 as float32 from 0 to 1."""
    return images.astype(np.float32) / 255


def tested(result: dict[str, float]) -> dict[str, float]:
    """The numbers of an evaluation, as --json calls them."""
    return {"test_accuracy": result["accuracy"], "test_loss": result["loss"]}


def print_json(record: dict[str, Any]) -> None:
    """The one line that --json promises."""
    print(json.dumps(record), flush=True)


def write_json(path: Path, record: dict[str, Any]) -> None:
    """A file for people and programs."""
    file.write(path, (json.dumps(record, indent=1) + "\n").encode(), f'train("{path}")')


def new_folder(wanted: Path | None, name: str) -> Path:
    """A new or empty folder: `wanted`, or the next runs/<name>-<number>."""
    if wanted is not None:
        if wanted.exists() and not (wanted.is_dir() and not any(wanted.iterdir())):
            fix = "Pass another --out, or leave it out"
            must = "a run goes into a folder of its own"
            raise CheckpointError(message("train", must, "a new one", f"{wanted}, in use", fix))
        wanted.mkdir(parents=True, exist_ok=True)
        return wanted
    number = 1
    while True:
        folder = Path("runs", f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def open_run(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model and the configuration of a run."""
    where = f'run("{folder}")'
    must, fix = "there must be a run folder", "Pass a folder that `pierian train` made"
    if not folder.is_dir():
        near = ", ".join(sorted(str(path.parent) for path in Path("runs").glob(f"*/{CONFIG}")))
        got = "nothing there" if not folder.exists() else "a file"
        fix += f": {near}" if near else " (the default is runs/...)"
        raise CheckpointError(message(where, must, f"a folder with {CONFIG}", got, fix))
    try:
        config = json.loads(file.read(folder / CONFIG, where))
        DATASETS[config["dataset"]], config["classes"]
    except (ValueError, KeyError, TypeError) as error:
        got = f"{type(error).__name__} in {CONFIG}"
        raise CheckpointError(message(where, must, f"a folder with {CONFIG}", got, fix)) from error
    return io.load(folder / MODEL), config


def draw(history: Any, path: Path) -> None:
    """The learning curves, if there is something to draw them with."""
    try:
        history.plot(path)
    except ImportError as error:
        print(error, file=sys.stderr)


def read_image(path: Path) -> tuple[np.ndarray, str]:
    """A picture as the data sets have them, and what had to be done for that.

    28×28 grey pixels from 0 to 1, white on black: padded to a square, made smaller or larger, and
    inverted when the pixels along its border are light.
    """
    where = f'predict("{path}")'
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        fix = "pip install 'pierian[data]'"
        text = message(where, "pictures need Pillow", "it installed", "no Pillow", fix)
        raise ImportError(text) from error
    try:
        with Image.open(path) as opened:
            coloured = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        got = getattr(error, "strerror", None) or str(error)
        fix = "Check the path, or convert it to PNG"
        text = message(where, "the file must be a picture", "PNG, JPEG or the like", got, fix)
        raise DataError(text) from error
    white = Image.new("RGBA", coloured.size, "white")
    grey = Image.alpha_composite(white, coloured).convert("L")
    values = np.asarray(grey)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    background = int(np.median(border))
    notes = "" if grey.size == (SIDE, SIDE) else f", resized from {grey.width}×{grey.height}"
    pixels = scaled(np.asarray(ImageOps.pad(grey, (SIDE, SIDE), color=background)))
    if background > LIGHT:
        return 1 - pixels, f"{notes}, inverted because its background is light"
    return pixels, notes


def installed(package: str) -> str:
    """The version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def cpu_name() -> str:
    """The name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def usable_cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
