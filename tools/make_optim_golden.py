"""Makes tests/optim/golden.json: what PyTorch's optimizers and schedules do on the tests' tables.

May import: the standard library, PyTorch, and tests/optim/cases.py, which knows no framework. Run
it where PyTorch is installed (its version goes into the file), after a change of the tables:

    python tools/make_optim_golden.py [tests/optim/golden.json]

Everything runs in float64 on fixed numbers and one thread: a second run gives the same bytes.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[1]


def load_cases() -> Any:
    """The tables, without importing the package that the tests are for."""
    path = REPOSITORY / "tests" / "optim" / "cases.py"
    spec = importlib.util.spec_from_file_location("cases", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: expected a Python file, got none.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["cases"] = module
    spec.loader.exec_module(module)
    return module


def double(values: Any) -> torch.Tensor:
    """`values` as a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def trajectory(cases: Any, rule: str, settings: dict[str, Any]) -> dict[str, list[float]]:
    """The parameters of the logistic problem after some steps of a rule, w before b."""
    w, b = double(cases.W0).requires_grad_(), double(cases.B0).requires_grad_()
    x, y = double(cases.X), double(cases.Y)
    optimizer = getattr(torch.optim, rule)([w, b], **settings)
    found = {}
    for step in range(1, cases.STEPS + 1):
        optimizer.zero_grad()
        cases.logistic(w, b, x, y).backward()
        optimizer.step()
        if step in cases.CHECKPOINTS:
            found[str(step)] = [*w.detach().reshape(-1).tolist(), *b.detach().tolist()]
    return found


def rates(cases: Any, name: str, settings: dict[str, Any]) -> list[list[float]]:
    """The learning rates of two groups at the first steps of a schedule."""
    groups = [{"params": [double([0.0])], "lr": 0.1}, {"params": [double([0.0])], "lr": 0.4}]
    optimizer = torch.optim.SGD(groups)
    if name == "OneCycleLR":
        settings = {**settings, "cycle_momentum": False}
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **settings)
    found = []
    for _ in range(cases.LENGTH):
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        if len(found) < cases.LENGTH:
            schedule.step()
    return found


def momenta(cases: Any, rule: str, own: dict[str, Any], settings: dict[str, Any]) -> list[float]:
    """The momentum, or first beta, at the first steps of a one-cycle schedule."""
    optimizer = getattr(torch.optim, rule)([double([0.0])], **own)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=cases.LENGTH, cycle_momentum=True, **settings
    )
    group, found = optimizer.param_groups[0], []
    for _ in range(cases.LENGTH):
        found.append(float(group["betas"][0] if "betas" in group else group["momentum"]))
        optimizer.step()
        if len(found) < cases.LENGTH:
            schedule.step()
    return found


def main(argv: list[str]) -> int:
    """Writes the file."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    cases = load_cases()
    golden = {
        "torch": torch.__version__.partition("+")[0],
        "rules": {key: trajectory(cases, *row) for key, row in cases.RULES.items()},
        "schedules": {key: rates(cases, *row) for key, row in cases.SCHEDULES.items()},
        "momenta": {key: momenta(cases, *row) for key, row in cases.CYCLES.items()},
    }
    path = Path(argv[0]) if argv else REPOSITORY / "tests" / "optim" / "golden.json"
    lines = [f'"torch": {json.dumps(golden["torch"])}']
    for part in ("rules", "schedules", "momenta"):
        rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in golden[part].items()]
        lines.append(f'"{part}": {{\n' + ",\n".join(rows) + "\n}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{path}: {len(golden['rules'])} rules, {len(golden['schedules'])} schedules")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
