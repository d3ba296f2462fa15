"""What stands where a program says `torch`: the names of `pierian`, and advice where one differs.

May import: `pierian` itself, through the one door of the arrows. To say what to write for one more
name of PyTorch's: a row in `INSTEAD`.

    from pierian.compat.fastai import torch     # or: import pierian as torch
    torch.arange(3) + torch.randn(3)
"""

from typing import Any

from pierian.base.errors import message

INSTEAD = {  # PyTorch's name -> what to write
    "FloatTensor": "torch.tensor(data, dtype=torch.float32)",
    "LongTensor": "torch.tensor(data, dtype=torch.int64)",
    "bmm": "torch.matmul, or a @ b",
    "clamp_min": "x.clip(low)",
    "cuda": "nothing: everything runs on the CPU",
    "device": "nothing: everything runs on the CPU",
    "equal": "bool((a == b).all())",
    "hstack": "torch.cat(list, 1)",
    "is_tensor": "isinstance(x, torch.Tensor)",
    "mm": "torch.matmul, or a @ b",
    "numel": "x.numel()",
    "set_printoptions": "np.set_printoptions(linewidth=140)",
    "unbind": "list(x)",
    "utils": "pierian.data for its Dataset and DataLoader",
    "vstack": "torch.cat(list)",
}


def __getattr__(name: str) -> Any:
    import pierian

    try:
        return getattr(pierian, name)
    except AttributeError:
        if name.startswith("__"):
            raise
    fix = INSTEAD.get(name, "dir(torch), which lists what there is")
    raise AttributeError(
        message(f"torch.{name}", "the name must be one of Pierian's", "a name in dir(torch)", name,
                f"Use {fix}")
    )  # fmt: skip


def __dir__() -> list[str]:
    import pierian

    return dir(pierian)
