"""Packages that the text's star import brings along, imported when first used.

May import: base; matplotlib, pandas and Pillow, when they are asked for. To add one: a row below.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pierian.base.errors import message


class Later:
    """A module that is imported when one of its names is first asked for.

    Args:    name     what it is called.
             load     imports it and gives it.
             install  how to get it, for the error.
    Raises:  ImportError, at that time, where it is not installed.
    """

    def __init__(self, name: str, load: Callable[[], Any], install: str) -> None:
        self.__name__, self._load, self._install = name, load, install

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            module = self._load()
        except ImportError as error:
            what = f"{self.__name__}.{name}"
            text = message(what, "its package must be there", "it installed", error, self._install)
            raise ImportError(text) from error
        return getattr(module, name)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, imported when used>"


plt: Any = Later("plt", lambda: import_module("matplotlib.pyplot"), "pip install 'pierian[viz]'")
pd: Any = Later("pd", lambda: import_module("pandas"), "pip install pandas")
Image: Any = Later("Image", lambda: import_module("PIL.Image"), "pip install 'pierian[data]'")
