"""Packages from outside that are imported when their first name is asked for.

May import: errors. For modules of our own that are imported late, see `__getattr__` of a room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pierian.base.errors import message


class Later:
    """A module that is imported when one of its names is first asked for.

    Args:    name     what programs call it.
             load     imports it and gives it.
             package  what pip installs, for the error.
    Raises:  ImportError, at that time, where it is not installed.

    >>> import importlib
    >>> colours = Later("colours", lambda: importlib.import_module("colorsys"), "colours")
    >>> colours
    <module 'colours', imported when used>
    >>> colours.rgb_to_hsv(0.5, 0.5, 0.5)
    (0.0, 0.0, 0.5)
    """

    def __init__(self, name: str, load: Callable[[], Any], package: str) -> None:
        self.__name__, self._load, self._package = name, load, package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what notebooks and debuggers ask of every object
            raise AttributeError(name)
        try:
            module = self._load()
        except ImportError as error:
            what, fix = f"{self.__name__}.{name}", f"pip install '{self._package}'"
            text = message(what, "its package must be there", "it installed", error, fix)
            raise ImportError(text) from error
        return getattr(module, name)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, imported when used>"
