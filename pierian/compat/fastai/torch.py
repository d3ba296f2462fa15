"""What stands where a program says `torch`: the names of `pierian`, and advice where one differs.

May import: `pierian` itself, through the one door of the arrows. To say what to write for one more
name of PyTorch's: a row in `INSTEAD`.

    from pierian.compat.fastai import torch     # or: import pierian as torch
    torch.arange(3) + torch.randn(3)
"""

from typing import Any

from pierian.base.errors import message

INSTEAD = {  # PyTorch's name -> what to write
    "FloatTensor": "Use torch.tensor(data, dtype=torch.float32)",
    "LongTensor": "Use torch.tensor(data, dtype=torch.int64)",
    "bmm": "Use torch.matmul, or a @ b",
    "clamp_min": "Use x.clip(low)",
    "cuda": "Leave it out: everything runs on the CPU",
    "device": "Leave it out: everything runs on the CPU",
    "equal": "Use bool((a == b).all())",
    "hstack": "Use torch.cat(list, 1)",
    "is_tensor": "Use isinstance(x, torch.Tensor)",
    "mm": "Use torch.matmul, or a @ b",
    "numel": "Use x.numel()",
    "set_printoptions": "Use np.set_printoptions(linewidth=140)",
    "unbind": "Use list(x)",
    "utils": "Use pierian.data for its Dataset and DataLoader",
    "vstack": "Use torch.cat(list)",
}


def __getattr__(name: str) -> Any:
    import pierian

    try:
        return getattr(pierian, name)
    except AttributeError:
        if name.startswith("__"):
            raise
    fix = INSTEAD.get(name, "Look at dir(torch), which lists what there is")
    raise AttributeError(
        message(f"torch.{name}", "the name must be one of Pierian's", "another name", name,
                fix)
    )  # fmt: skip


def __dir__() -> list[str]:
    import pierian

    return dir(pierian)
