"""State: all that training depends on, taken and put back; what a checkpoint holds.

May import: base, core, ops, and this room. To let training depend on one more thing that changes:
an entry here, in `capture` and in `restore`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from pierian.base import trees
from pierian.base.errors import CheckpointError, message
from pierian.base.notice import notice
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor, assign
from pierian.ops import random
from pierian.train.callback import Callback
from pierian.train.run import Run
from pierian.train.totals import Totals


def of_step(run: Run, callbacks: Iterable[Callback]) -> dict[str, Any]:
    """All that a step depends on, sharing memory with it."""
    return {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "rng": random.default.state,
        "callbacks": {name: callback.state_dict() for name, callback in named(callbacks).items()},
    }


def put_back(run: Run, callbacks: Iterable[Callback], saved: Mapping[str, Any]) -> None:
    """Make all that a step depends on as it was when `of_step` gave `saved`."""
    run.model.load_state_dict(saved["model"], where="resume")
    run.optimizer.load_state_dict(saved["optimizer"])
    with no_grad():
        assign(random.default.state, as_tensor(saved["rng"], random.default.state.dtype))
    for name, callback in named(callbacks).items():
        if name in saved["callbacks"]:
            callback.load_state_dict(saved["callbacks"][name])


def capture(run: Run) -> dict[str, Any]:
    """All that the rest of training depends on: JSON values, arrays and tensors."""
    done = run.whole
    return of_step(run, run.callbacks) | {
        "epoch": run.epoch + done,
        "step": run.step,
        "kind": kind(run),
        "feed": run.feed.state_dict(),
        "totals": None if done else run.totals.state_dict(),
        "stopping": run.stopping,
        "plan": run.plan,
    }


def restore(run: Run, saved: Mapping[str, Any]) -> bool:
    """Go to where `capture` was called; gives whether that is in the middle of an epoch.

    Raises:  CheckpointError when what was saved does not fit; then nothing has changed.
    """
    before = copied(of_step(run, run.callbacks))
    try:
        _check_kind(saved["kind"], kind(run))
        _check_callbacks(saved["callbacks"], run.callbacks)
        put_back(run, run.callbacks, saved)
        totals = Totals(run.metrics)
        if saved["totals"] is not None:
            totals.load_state_dict(saved["totals"])
        run.feed.load_state_dict(saved["feed"])
        run.totals, run.epoch, run.step = totals, saved["epoch"], saved["step"]
        if saved["stopping"]:
            run.stop()
    except Exception as error:
        put_back(run, [], before)
        for name, callback in named(run.callbacks).items():
            with contextlib.suppress(Exception):  # what went wrong first is what is said
                callback.load_state_dict(before["callbacks"][name])
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            message("resume", "the checkpoint must fit this run", "what it was made with",
                    f"{type(error).__name__}: {error}", "Resume with the same model, data, "
                    "metrics and callbacks")
        ) from error  # fmt: skip
    for callback in run.callbacks:
        callback.after_resume(run)
    return saved["totals"] is not None


def kind(run: Run) -> dict[str, Any]:
    """What of a run must be the same when it is gone on with."""
    metrics = [metric.name for metric in run.metrics]
    return {"optimizer": type(run.optimizer).__name__, "metrics": metrics} | run.feed.kind()


def _check_kind(saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for name, value in here.items():
        if saved[name] != value:
            raise CheckpointError(
                message("resume", f"{name} must be what the checkpoint was made with",
                        saved[name], value, "Resume with the same model, data, metrics and "
                        "callbacks")
            )  # fmt: skip


def named(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Callbacks by class; those of one class are numbered."""
    found: dict[str, Callback] = {}
    for callback in callbacks:
        name, number = type(callback).__name__, 1
        while name in found:
            number += 1
            name = f"{type(callback).__name__}-{number}"
        found[name] = callback
    return found


def _check_callbacks(saved: Mapping[str, Any], callbacks: Iterable[Callback]) -> None:
    """Say which callbacks go on without what they knew, and which are missing."""
    here = {name for name, callback in named(callbacks).items() if callback.state_dict()}
    known = {name for name, state in saved.items() if state}
    for name in sorted(here - known):
        notice(f"resume: {name} is new, and begins here")
    for name in sorted(known - here):
        notice(f"resume: {name} was there when this was saved, and is not now")


def copied(tree: Any) -> Any:
    """The tree with copies for its tensors, their axes in memory as those of the tensors."""
    return trees.map_tree(lambda x: x.numpy().copy(order="K") if isinstance(x, Tensor) else x, tree)
