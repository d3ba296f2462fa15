"""`pierian report`: a run as one page that opens from the disk.

May import: nn, metrics, optim, this room; viz through a door. What the page looks like is in
`viz/report.py`.
"""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pierian import optim
from pierian.base import file
from pierian.cli.dataset import KNOWN, feed, planes
from pierian.cli.folder import REPORT, Folder, open_folder
from pierian.cli.network import in_step
from pierian.cli.output import print_json
from pierian.cli.settings import add_options, given
from pierian.core.autodiff import no_grad
from pierian.core.tensor import make
from pierian.data.source import ImageData
from pierian.metrics import ConfusionMatrix
from pierian.nn.losses import cross_entropy
from pierian.nn.parameter import Parameter
from pierian.ops.composite import softmax
from pierian.train import Scheduler

WORST = 24  # mistakes with pictures
BATCH = 1000  # images predicted at once
LEFT_OUT = ("classes", "shape", "checksum", "steps")  # of what is known of a run, on the page


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a folder that a run left")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"page (default: RUN/{REPORT})")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    add_options(parser, ["source", "path"])


def run(args: argparse.Namespace) -> int:
    """`pierian report`: test the model once more, and write what there is to see."""
    folder = open_folder(args.folder)
    model = folder.model
    images = folder.images(given(args))
    page, figures = page_of(folder, model, images)
    path = args.out or folder.path / REPORT
    file.write(path, page.encode(), f'report("{path}")')
    print(f"test accuracy {figures['accuracy']:.4f} on {len(images.x_test):,} images")
    print(f"report: {path}")
    if args.open:
        webbrowser.open(path.resolve().as_uri())
    if args.json:
        print_json({"run": str(folder.path), "report": str(path), **figures})
    return 0


def page_of(folder: Folder, model: Any, images: ImageData) -> tuple[str, dict[str, float]]:
    """The page, and what the model scores on the test set."""
    from pierian import viz

    y = images.y_test.astype(np.int64)
    x, *rest = feed(images.x_test, images.y_test, folder.settings)
    scores = model.predict(x, BATCH if rest else None, verbose=0)
    with no_grad():
        losses = cross_entropy(make(scores), make(y), reduction="none").numpy()
        chances = softmax(make(scores)).numpy()
    said = scores.argmax(1)
    matrix = ConfusionMatrix()
    matrix.update(scores, y)
    classes = folder.classes
    ranked = viz.top_losses(images.x_test, losses, said, y, classes, chances, k=len(y))
    figures = {"accuracy": float((said == y).mean()), "loss": float(losses.mean())}
    settings, history = folder.settings, folder.history
    epochs = len(history.pop("epoch", []))
    page = viz.report(
        viz.Report(
            title=f"{KNOWN[settings.dataset].title(settings)} with {settings.model}",
            figures={
                "test accuracy": f"{figures['accuracy']:.2%}",
                "test loss": f"{figures['loss']:.4f}",
                "epochs": epochs,
                "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
            },
            history=history,
            schedule=schedule_of(folder, epochs),
            confusion=matrix.compute(),
            classes=classes,
            mistakes=[one for one in ranked if one.predicted != one.actual][:WORST],
            summary=str(model.summary(planes(images.x_test).shape[1:])),
            config=folder.config.partition("\n[")[0],
            environment={k: v for k, v in folder.made.items() if k not in LEFT_OUT},
        )
    )
    return page, figures


def schedule_of(folder: Folder, epochs: int) -> Mapping[str, np.ndarray]:
    """The learning rate at every step of the epochs that were trained; empty when it stayed."""
    settings, steps = folder.settings, int(folder.made.get("steps", 0))
    plans = [c for c in in_step(settings, steps) if isinstance(c, Scheduler)]
    if not plans or not epochs:
        return {}
    optimizer = optim.get(settings.optimizer, [Parameter(np.zeros(1, np.float32))], lr=settings.lr)
    made = optim.schedule.get(
        settings.schedule, optimizer, settings.epochs * steps, **plans[0].settings
    )
    return {"learning rate": made.table(np.arange(epochs * steps))[:, 0]}
