"""The C library's heap: freed blocks are to stay in the process, not go back to the kernel.

May import: numpy. Called once, when Pierian is imported.
"""

from __future__ import annotations

import numpy as np

LARGEST_KEPT = 31 << 20  # bytes: glibc raises its limits by a freed block of at most 32 MiB


def keep_freed_memory() -> None:
    """Let blocks of up to 31 MiB be used again as they are.

    glibc serves large blocks from fresh zeroed pages, and gives them back when they are freed,
    until a larger block has been freed once (mallopt(3), M_MMAP_THRESHOLD). A chain of operations
    on arrays over 1 MiB is up to 9 times slower in that state. The block made here is never
    touched, so this costs a microsecond; elsewhere than on glibc it changes nothing.
    """
    np.empty(LARGEST_KEPT, np.uint8)
