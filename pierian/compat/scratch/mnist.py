"""The MNIST digits under the names of the package `mnist` that the text installs.

May import: data. Where they come from: see `pierian.data.mnist`.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from pierian.data.source import SETS, ImageData, mnist

temporary_dir = tempfile.gettempdir  # assign a function that gives a folder to look in first


@functools.lru_cache(maxsize=1)
def _digits(folder: str) -> ImageData:
    paths = SETS["mnist"].present(Path(folder))
    return SETS["mnist"].read(paths, f"from {folder}") if paths else mnist()


def train_images() -> np.ndarray:
    """60,000 images to learn from. Shapes: (60000, 28, 28), uint8."""
    return _digits(temporary_dir()).x_train


def train_labels() -> np.ndarray:
    """Their digits. Shapes: (60000,), uint8."""
    return _digits(temporary_dir()).y_train


def test_images() -> np.ndarray:
    """10,000 images to test on. Shapes: (10000, 28, 28), uint8."""
    return _digits(temporary_dir()).x_test


def test_labels() -> np.ndarray:
    """Their digits. Shapes: (10000,), uint8."""
    return _digits(temporary_dir()).y_test
