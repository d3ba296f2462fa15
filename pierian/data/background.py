"""Work done ahead of time by threads, in the order in which it was asked for.

May import: the standard library only. Threads are enough: Pillow decodes, NumPy computes and
compiled steps run without holding Python's lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

AHEAD = 2  # results per thread that may wait: one is fetched while the next is being made


def ahead(work: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    """`map(work, items)`, with up to AHEAD results per thread made before they are asked for.

    An exception is raised where its result would have come. When the iterator is used up, closed,
    dropped or has raised, the threads have ended: at most one item each is finished before.

    Args:  workers  how many threads; 0 does the work when a result is asked for.

    >>> list(ahead(abs, [-1, 2, -3], workers=2))
    [1, 2, 3]
    """
    return _in_order(work, items, workers) if workers else map(work, items)


def _in_order(work: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    ours: set[int] = set()
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and seldom needed

    pool = ThreadPoolExecutor(
        workers, "pierian-data", initializer=lambda: ours.add(threading.get_ident())
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # a dropped iterator may be collected in one of its own threads, which cannot join itself
        pool.shutdown(wait=threading.get_ident() not in ours, cancel_futures=True)
