"""Where compile time goes: seconds by the name of the stage. May import: nothing of ours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stages(dict[str, float]):
    """Seconds by stage, in the order in which they first ran.

    >>> stages = Stages()
    >>> with stages.timed("passes"):
    ...     pass
    >>> list(stages)
    ['passes']
    """

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time of a `with` block towards the stage `name`."""
        self.setdefault(name, 0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            self[name] += time.perf_counter() - started
