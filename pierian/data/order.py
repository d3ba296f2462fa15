"""In which order rows come, as a pure function of a seed; and the checks of whole numbers.

May import: base, numpy. To add a use of randomness: a row in `STREAMS`, so that no two uses of
one seed ever share their bits.
"""

from __future__ import annotations

import numpy as np

from pierian.base.errors import message

LIMIT = 2**64  # seeds and epochs are the two 64-bit halves of a Philox key
STREAMS = {"epoch": 0, "split": 1, "fold": 2, "transform": 3}


def permute(n: int, seed: int, *, epoch: int = 0, stream: str = "epoch") -> np.ndarray:
    """The positions 0 … n-1 in a random order that depends on the arguments alone.

    Position i gets the i-th 64-bit word of Philox-4x64-10 with key (seed, epoch) and the stream's
    number as the counter's last word, with its low bits replaced by i; the order is that of the
    sorted words. NumPy promises the words of a bit generator for good, but not the results of
    `Generator.permutation`; and no two words are equal, so no sorting algorithm matters.

    Shapes:  -> (n,)
    Dtypes:  -> int64.
    Args:    n       how many positions.
             seed    which family of orders, 0 <= seed < 2**64.
             epoch   which order of the family, 0 <= epoch < 2**64.
             stream  what the order is for: a name in `STREAMS`.

    >>> permute(8, seed=0, epoch=1)
    array([5, 3, 7, 2, 4, 1, 0, 6])
    """
    words = _philox(seed, epoch, stream, 0).random_raw(n)
    low = np.uint64(2 ** max(n - 1, 0).bit_length() - 1)  # the bits that a position needs
    words &= ~low
    words |= np.arange(n, dtype=np.uint64)
    words.sort()
    return (words & low).astype(np.int64)


def generator(seed: int, epoch: int, batch: int) -> np.random.Generator:
    """The random numbers for the transforms of one batch, which depend on the arguments alone.

    Args:    seed, epoch  of the loader.
             batch        the number of the batch in the epoch, from 0.

    >>> one, two = generator(0, 3, 7), generator(0, 3, 7)
    >>> one.random() == two.random() != generator(0, 3, 8).random()
    True
    """
    return np.random.Generator(_philox(seed, epoch, "transform", batch))


def _philox(seed: int, epoch: int, stream: str, batch: int) -> np.random.Philox:
    """Words of their own for all arguments: two words of the counter are left to count."""
    counter = np.array([0, 0, batch, STREAMS[stream]], np.uint64)
    return np.random.Philox(counter=counter, key=np.array([seed, epoch], np.uint64))


def whole(where: str, name: str, value: object, *, least: int, fix: str) -> int:
    """`value` as an int when it is a whole number from `least` up to 2**64 - 1.

    Raises:  TypeError when it is no whole number; ValueError when it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        got = f"{value!r} of type {type(value).__name__}"
        if isinstance(value, np.ndarray):
            got = f"an array of shape {value.shape}"
        must = f"{name} must be an int"
        raise TypeError(message(where, must, f"an int >= {least}", got, fix))
    if value < least:
        must = f"{name} must be at least {least}"
        raise ValueError(message(where, must, f"{name} >= {least}", value, fix))
    if value >= LIMIT:
        must = f"{name} must fit 64 bits"
        raise ValueError(message(where, must, f"{name} < 2**64", value, fix))
    return int(value)
