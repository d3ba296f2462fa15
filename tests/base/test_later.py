"""Packages imported late, and advice on names that are not there."""

from __future__ import annotations

import importlib
import sys

import pytest

import pierian
from pierian.base.instead import INSTEAD
from pierian.base.later import Later


def test_packages_are_imported_when_a_name_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    colours = Later("colours", lambda: importlib.import_module("colorsys"), "colours")
    assert "colorsys" not in sys.modules and not hasattr(colours, "__wrapped__")
    assert "colorsys" not in sys.modules
    assert colours.rgb_to_hsv is importlib.import_module("colorsys").rgb_to_hsv


def test_packages_that_are_not_there_say_how_to_get_them() -> None:
    absent = Later("plt", lambda: __import__("no_such_package"), "pierian[viz]")
    with pytest.raises(ImportError, match=r"plt.plot: .* pip install 'pierian\[viz\]'\."):
        absent.plot  # noqa: B018
    assert repr(absent) == "<module 'plt', imported when used>"


@pytest.mark.parametrize("name", [*INSTEAD, "narwhal"])
def test_names_that_are_not_there_come_with_advice(name: str) -> None:
    advice = INSTEAD.get(name, "Look for another one")
    with pytest.raises(AttributeError, match=rf"^pierian.{name}: ") as error:
        getattr(pierian, name)
    assert advice in str(error.value)
