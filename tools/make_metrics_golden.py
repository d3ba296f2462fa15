"""Makes tests/metrics/golden.json: what scikit-learn says to the tests' table of metrics.

May import: the standard library, NumPy, scikit-learn, and tests/metrics/cases.py, which knows none
but NumPy. Run it where scikit-learn is installed (its version goes into the file), after a change
of the table:

    python tools/make_metrics_golden.py [tests/metrics/golden.json]
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def golden(cases: Any, sklearn: Any) -> dict[str, Any]:
    """Name of a case -> its values without and with weights."""
    data = cases.Data()
    return {
        name: [np.asarray(case.oracle(sklearn, data, w)).tolist() for w in (None, data.weight)]
        for name, case in cases.CASES.items()
    }


def main(argv: list[str]) -> int:
    """Writes the file."""
    path = Path(argv[0]) if argv else REPOSITORY / "tests" / "metrics" / "golden.json"
    sys.path.insert(0, str(REPOSITORY / "tests" / "metrics"))
    found = golden(importlib.import_module("cases"), importlib.import_module("sklearn.metrics"))
    made = {"scikit-learn": importlib.import_module("sklearn").__version__, "values": found}
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(found)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
