"""What most likely helps against a NaN or an infinity, by the operation that gave it.

May import: nothing of ours. To say more about an operation: a row in `FORWARD` or `BACKWARD`.
"""

from __future__ import annotations

from collections.abc import Iterable

MASKED = (
    "A row in which everything is -inf has no softmax: leave one entry of each row unmasked, or "
    "mask with a large finite number like -1e9."
)
LOG = (
    "The logarithm of 0 is -inf, and below 0 there is none: add a small eps, like log(x + 1e-8), "
    "or give raw outputs to a loss that takes logits (cross_entropy, log_softmax)."
)
EXP = (
    "e^x is too large for float32 above x = 88: subtract the maximum first, as softmax and "
    "logsumexp do."
)
DIVISION = (
    "A division by 0 or nearly 0: add a small eps to the divisor, which may be a standard "
    "deviation, a norm or a count of nothing."
)
SPREAD = (
    "The spread of a single number is 0/0 with correction=1: use correction=0, or more numbers."
)
DOMAIN = "It has no result (or an infinite one) at this input: clip the input first."
CAST = "The numbers do not fit the smaller dtype: scale them down, or stay with float32."
GROWN = (
    "The numbers have grown past the largest of their dtype: lower the learning rate, scale "
    "inputs and initial weights down, or clip gradients."
)
UNDEFINED = (
    "inf - inf, 0 * inf and inf / inf have no value: mask with a large finite number like -1e9 "
    "instead of inf, or with pr.where."
)
SLOPE = (
    "Its slope is infinite at the edge of where it is defined: add a small eps inside. pr.where "
    "around it hides the value but not the slope; choose a safe input first, like "
    "log(where(ok, x, 1))."
)
EXPLODED = "Gradients explode: clip them, lower the learning rate, or normalize between layers."
UPDATE = "Lower the learning rate, clip gradients, and keep the optimizer's eps above 0."
DATA = "Look at the data: drop or fill such values before training (pr.isfinite finds them)."
RUINED = "An earlier update has ruined it: lower the learning rate, or clip gradients."

FORWARD: dict[str, str] = {
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), MASKED),
    **dict.fromkeys(("std", "var"), SPREAD),
    **dict.fromkeys(("log", "log2", "log10", "log1p"), LOG),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), EXP),
    **dict.fromkeys(("div", "reciprocal", "rsqrt", "remainder", "floor_divide"), DIVISION),
    **dict.fromkeys(("sqrt", "pow", "asin", "acos", "acosh", "atanh"), DOMAIN),
    "cast": CAST,
}
# By the forward operation that the gradient is of.
BACKWARD: dict[str, str] = {
    **dict.fromkeys(("sqrt", "pow", "log", "log2", "log10", "log1p", "atan2"), SLOPE),
    **dict.fromkeys(("asin", "acos", "acosh", "atanh"), SLOPE),
    **dict.fromkeys(("div", "reciprocal", "rsqrt"), DIVISION),
}


def advice(phase: str, operations: Iterable[str], undefined: bool) -> str:
    """What to do about an operation.

    Args:  phase       "forward", "backward" or "update".
           operations  its names, the one to go by first: log_softmax, logsumexp, log.
           undefined   whether infinities that were there on purpose went in.
    """
    if phase == "update":
        return UPDATE
    table, usual = (BACKWARD, EXPLODED) if phase == "backward" else (FORWARD, GROWN)
    found = [table[name] for name in operations if name in table]
    return found[0] if found else UNDEFINED if undefined else usual
