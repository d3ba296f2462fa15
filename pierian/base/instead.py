"""What to write instead of a name of PyTorch's that `pierian` does not have.

May import: errors. To advise on one more name: a row in `INSTEAD`.
"""

from __future__ import annotations

from pierian.base.errors import message

CPU = "Leave it out: everything runs on the CPU"
INSTEAD = {  # PyTorch's name -> what to write
    "FloatTensor": "Use tensor(data, dtype=float32)",
    "LongTensor": "Use tensor(data, dtype=int64)",
    "bmm": "Use matmul, or a @ b",
    "clamp_min": "Use x.clip(low)",
    "cuda": CPU,
    "device": CPU,
    "equal": "Use bool((a == b).all())",
    "hstack": "Use cat(list, 1)",
    "is_tensor": "Use isinstance(x, Tensor)",
    "mm": "Use matmul, or a @ b",
    "numel": "Use x.numel()",
    "set_printoptions": "Use np.set_printoptions(linewidth=140)",
    "unbind": "Use list(x)",
    "utils": "Use pierian.data for its Dataset and DataLoader",
    "vstack": "Use cat(list)",
}


def absent(name: str) -> AttributeError:
    """The error for a name that `pierian` does not have.

    >>> absent("mm").args[0]
    'pierian.mm: there is no such name; expected one of dir(pierian), got mm. Use matmul, or a @ b.'
    """
    fix = INSTEAD.get(name, "Look for another one")
    where, expected = f"pierian.{name}", "one of dir(pierian)"
    return AttributeError(message(where, "there is no such name", expected, name, fix))
