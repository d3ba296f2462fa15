"""Classes by name: registering, finding, clashes."""

from __future__ import annotations

from typing import Any

import pytest

from pierian import nn
from pierian.nn import registry


def make(module: str) -> Any:
    return type("Clash", (nn.Module,), {"__module__": module, "__qualname__": "Clash"})


def test_register_finds_a_class_again_and_lets_it_be_redefined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    first, second = make("notebook"), make("notebook")
    assert nn.register(first) is first
    nn.register(second)
    assert nn.registered("Clash") is second
    assert nn.registered()["Linear"] is nn.Linear
    with pytest.raises(ValueError, match="register") as caught:
        nn.register(make("other"))
    assert str(caught.value) == (
        "register(Clash): a name stands for one class; expected a new name, got one taken by "
        "notebook.Clash. Rename the class."
    )
    assert nn.registered("Clash") is second


def test_unknown_class_is_refused_with_a_guess() -> None:
    with pytest.raises(ValueError, match="load: layer must be a known name.*mean 'Linear'") as err:
        nn.registered("Linaer")
    assert "got 'Linaer'" in str(err.value)
