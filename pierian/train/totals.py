"""Totals: the means of loss and metrics over a pass, the same bits however batches come together.

May import: base, metrics. Sums are made batch by batch, one after the other: so it does not matter
how many batches a native call did, nor whether training was resumed in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pierian.train.callback import Logs
from pierian.train.steps import Block


class Totals:
    """Means over all rows so far, exact when batches differ in size.

    Args:  metrics  are reset.
    """

    def __init__(self, metrics: list[Any]) -> None:
        self.metrics = metrics
        self.loss = 0.0
        self.rows = 0
        for metric in metrics:
            metric.reset()

    def add(self, block: Block) -> None:
        """Count some batches in."""
        sums = np.concatenate([[self.loss], block.losses * block.size])
        self.loss = float(np.cumsum(sums)[-1])  # one after the other
        self.rows += len(block)
        for metric in self.metrics:
            parts = block.batches() if metric.by_batch else [block]
            for part in parts:
                metric.update(part.pred, part.target, batch=block.size)

    def logs(self) -> Logs:
        """The means, by name."""
        means = {"loss": self.loss / self.rows} if self.rows else {}
        return means | {metric.name: metric.compute() for metric in self.metrics}

    def state_dict(self) -> dict[str, Any]:
        """The sums so far."""
        metrics = {metric.name: metric.state_dict() for metric in self.metrics}
        return {"loss": self.loss, "rows": self.rows, "metrics": metrics}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from sums that `state_dict` gave."""
        self.loss = saved["loss"]
        self.rows = saved["rows"]
        for metric in self.metrics:
            metric.load_state_dict(saved["metrics"][metric.name])
