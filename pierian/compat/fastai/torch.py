"""What stands where a program says `torch`: `pierian` itself.

    from pierian.compat.fastai import torch     # or: import pierian as torch
    torch.arange(3) + torch.randn(3)

What to write for names that only PyTorch has: `pierian.base.instead`.
"""

import sys

sys.modules[__name__] = sys.modules["pierian"]
