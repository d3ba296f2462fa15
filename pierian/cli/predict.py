"""`pierian predict`: what is on pictures.

May import: ops, data, this room; Pillow inside the function that reads pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pierian import data
from pierian.base.errors import DataError, message
from pierian.cli.dataset import scaled
from pierian.cli.folder import open_folder
from pierian.cli.output import print_json
from pierian.ops.composite import softmax

LIGHT = 127  # a background above this is light; the data sets have a black one


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="a folder that a run left")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="PNG, JPEG, …")


def run(args: argparse.Namespace) -> int:
    """`pierian predict`: a line per picture."""
    folder = open_folder(args.folder)
    channels, height, width = folder.shape
    read = read_drawing if channels == 1 else read_coloured
    pictures = [read(path, (height, width)) for path in args.images]
    scores = folder.model.predict(np.stack([pixels for pixels, _ in pictures]), verbose=0)
    answers = []
    for path, (_, note), chances in zip(args.images, pictures, softmax(scores), strict=True):
        best = int(chances.argmax())
        name, p = folder.classes[best], float(chances[best])
        print(f"{path}: {name}, probability {p:.3f}{note}")
        answers.append({"image": str(path), "class": name, "probability": p})
    if args.json:
        print_json({"run": str(args.folder), "predictions": answers})
    return 0


def read_coloured(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, str]:
    """A picture (3, *size) from 0 to 1, read as those of a folder are, and nothing to say."""
    return scaled(data.read_image(path, size)[None])[0], ""


def read_drawing(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, str]:
    """A picture as the data sets of drawings have them, and what had to be done for that.

    Grey pixels (1, *size) from 0 to 1, white on black: padded to a square, made smaller or larger,
    and inverted when the pixels along its border are light.
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
    notes = "" if grey.size == size[::-1] else f", resized from {grey.width}×{grey.height}"
    pixels = scaled(np.asarray(ImageOps.pad(grey, size[::-1], color=background))[None])[0]
    if background > LIGHT:
        return 1 - pixels, f"{notes}, inverted because its background is light"
    return pixels, notes
