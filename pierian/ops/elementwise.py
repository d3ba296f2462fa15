"""Elementwise arithmetic: one number in, or two, or three, one out, over broadcast shapes.

May import: base, core, operands. To add one: a row in `UNARY` or a `define` block, and a public
function. Rules get the incoming gradient g, the output y, and the inputs; broadcasting is undone
by autodiff.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pierian.base import special
from pierian.base.dtypes import bool_, is_floating
from pierian.base.errors import DtypeError, message
from pierian.base.shapes import broadcast
from pierian.core.primitive import Spec, define
from pierian.core.tensor import Tensor, as_tensor, bind
from pierian.ops.operands import cast, operand, pair, real


def same(x: Any, **_: Any) -> Spec:
    """The rule of what keeps shape and dtype."""
    return Spec(x.shape, x.dtype)


def refuse(where: str, kinds: str, wanted: str) -> Callable[..., None]:
    """A check that no input has a dtype of `kinds`."""

    def check(*inputs: Any) -> None:
        for x in inputs:
            if x.dtype.kind in kinds:
                raise DtypeError(
                    message(where, f"works on {wanted} tensors", wanted, x.dtype,
                            "Cast with .float() or .long() first")
                )  # fmt: skip

    return check


def strict(where: str, kinds: str, wanted: str, run: Any) -> Any:
    """`run` behind `refuse`: for executors of NumPy that take more dtypes than the rule."""
    check = refuse(where, kinds, wanted)

    def checked(*arrays: np.ndarray, **params: Any) -> Any:
        check(*arrays)
        return run(*arrays, **params)

    return checked


def _binary_rule(name: str, refused: str, wanted: str, out: np.dtype | None = None) -> Any:
    check = refuse(name, refused, wanted)

    def rule(a: Any, b: Any) -> Spec:
        check(a, b)
        if a.dtype != b.dtype:
            raise DtypeError(
                message(name, "both sides must have one dtype", a.dtype, b.dtype, "Cast one side")
            )
        return Spec(broadcast(name, a.shape, b.shape), out or a.dtype)

    return rule


def _zero(g: Tensor, _y: Tensor, *_x: Tensor) -> Tensor:
    return g * 0.0


# cast(x): gradients go back in the dtype they came from

define("cast", shape=lambda x, dtype: Spec(x.shape, dtype), run=lambda x, dtype: x.astype(dtype),
       vjp=lambda g, _y, _x, dtype: cast(g, _x.dtype))  # fmt: skip
define("copy", shape=same, run=lambda x: x.copy(), vjp=lambda g, _y, _x: g, warns=False)


def clone(x: Any) -> Tensor:
    """A copy of `x` in memory of its own, on the same tape.

    Shapes:  x (...) -> same. Dtypes: any; kept.
    """
    return bind("copy", as_tensor(x))


# Two arguments

define("add", shape=_binary_rule("add", "", "number"), run=np.add,
       vjp=(lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g))  # fmt: skip
define("sub", shape=_binary_rule("sub", "b", "number"), run=np.subtract,
       vjp=(lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g))  # fmt: skip
define("mul", shape=_binary_rule("mul", "", "number"), run=np.multiply,
       vjp=(lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a))  # fmt: skip
define("div", shape=_binary_rule("div", "biu", "floating"), run=np.true_divide,
       vjp=(lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -(g * y) / b))  # fmt: skip


def _pow_base(g: Tensor, _y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    # b·a^(b-1), but 0 where b is 0: there 0·a^-1 would be NaN at a = 0
    return where(b == 0.0, 0.0, g * b * bind("pow", a, b - 1.0 + cast(b == 0.0, b.dtype)))


def _pow_exponent(g: Tensor, y: Tensor, a: Tensor, _b: Tensor) -> Tensor:
    # y·log a, and its limit 0 at a = 0
    return where(a == 0.0, 0.0, g * y * log(where(a == 0.0, 1.0, a)))


def _pow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.dtype.kind == "i" and (b < 0).any():
        raise DtypeError(
            message("pow", "an integer has no negative powers", "exponents >= 0", b.min(),
                    "Cast the base with .float() first")
        )  # fmt: skip
    return np.power(a, b)


define("pow", shape=_binary_rule("pow", "b", "number"), run=strict("pow", "b", "number", _pow),
       vjp=(_pow_base, _pow_exponent))  # fmt: skip


def _larger(a: Tensor, b: Tensor) -> Tensor:
    """1 where a > b, ½ where they are equal (both sides share the gradient), else 0."""
    return cast(a > b, a.dtype) + 0.5 * cast(a == b, a.dtype)


define("maximum", shape=_binary_rule("maximum", "c", "real"),
       run=strict("maximum", "c", "real", np.maximum),
       vjp=(lambda g, _y, a, b: g * _larger(a, b),
            lambda g, _y, a, b: g * _larger(b, a)))  # fmt: skip
define("minimum", shape=_binary_rule("minimum", "c", "real"),
       run=strict("minimum", "c", "real", np.minimum),
       vjp=(lambda g, _y, a, b: g * _larger(b, a),
            lambda g, _y, a, b: g * _larger(a, b)))  # fmt: skip


def _integer_division(name: str, run: Any) -> Any:
    def checked(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if b.dtype.kind in "iu" and not b.all():
            raise ZeroDivisionError(
                message("division", "an integer cannot be divided by zero", "divisors != 0",
                        "a zero", "Cast to float first, or mask the zeros with pr.where")
            )  # fmt: skip
        return run(a, b)

    return strict(name, "bc", "real", checked)


define("floor_divide", shape=_binary_rule("floor_divide", "bc", "real"),
       run=_integer_division("floor_divide", np.floor_divide), vjp=(_zero, _zero))  # fmt: skip
define("remainder", shape=_binary_rule("remainder", "bc", "real"),
       run=_integer_division("remainder", np.remainder),
       vjp=(lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * floor(a / b)))  # fmt: skip
define("atan2", shape=_binary_rule("atan2", "biuc", "floating"), run=np.arctan2,
       vjp=(lambda g, _y, a, b: g * b / (a * a + b * b),
            lambda g, _y, a, b: -g * a / (a * a + b * b)))  # fmt: skip


def add(a: Any, b: Any) -> Tensor:
    """a + b. Shapes: broadcast. Dtypes: promoted; the sum of bools is their "or".

    >>> add(as_tensor([1.0, 2.0]), 1)
    tensor([2., 3.], dtype=float32)
    """
    return bind("add", *pair("add", a, b))


def sub(a: Any, b: Any) -> Tensor:
    """a - b. Shapes: broadcast. Dtypes: promoted; not bool."""
    return bind("sub", *pair("sub", a, b))


def mul(a: Any, b: Any) -> Tensor:
    """a · b, element by element. Shapes: broadcast. Dtypes: promoted."""
    return bind("mul", *pair("mul", a, b))


def div(a: Any, b: Any) -> Tensor:
    """a / b. Shapes: broadcast. Dtypes: promoted; integers become float32.

    >>> div(as_tensor([1, 2]), 2)
    tensor([0.5, 1. ], dtype=float32)
    """
    a, b = pair("div", a, b)
    return bind("div", real("div", a), real("div", b))


def floor_divide(a: Any, b: Any) -> Tensor:
    """The largest whole number not above a / b. Shapes: broadcast. Dtypes: promoted, real.

    Raises:  ZeroDivisionError for an integer divided by zero.
    """
    return bind("floor_divide", *pair("floor_divide", a, b))


def remainder(a: Any, b: Any) -> Tensor:
    """a - b·floor(a/b): the sign of b, as in Python. Shapes: broadcast. Dtypes: promoted, real.

    Raises:  ZeroDivisionError for an integer divided by zero.

    >>> remainder(as_tensor([-1, 5]), 3)
    tensor([2, 2], dtype=int64)
    """
    return bind("remainder", *pair("remainder", a, b))


def pow(a: Any, b: Any) -> Tensor:  # noqa: A001
    """a to the power b. Shapes: broadcast. Dtypes: promoted, not bool.

    Small whole exponents and ½ are done by multiplication and square root.
    Raises:  DtypeError for an integer to a negative power.

    >>> pow(as_tensor([2.0, 3.0]), 2)
    tensor([4., 9.], dtype=float32)
    """
    if isinstance(a, Tensor) and type(b) in (int, float) and a.value.dtype.kind in "fc":
        if b == 2:
            return bind("mul", a, a)
        if b == 3:
            return bind("mul", bind("mul", a, a), a)
        if b == 1:
            return clone(a)
        if b == 0.5:
            return bind("sqrt", a)
        if b == -1:
            return div(1.0, a)
    return bind("pow", *pair("pow", a, b))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of each pair; NaN where either is. Shapes: broadcast. Dtypes: promoted, real.

    Where both are equal each gets half of the gradient.
    """
    return bind("maximum", *pair("maximum", a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of each pair; NaN where either is. Shapes: broadcast. Dtypes: promoted, real.

    Where both are equal each gets half of the gradient.
    """
    return bind("minimum", *pair("minimum", a, b))


def atan2(a: Any, b: Any) -> Tensor:
    """The angle of the point (b, a), in (-π, π]. Shapes: broadcast. Dtypes: floating."""
    a, b = pair("atan2", a, b)
    return bind("atan2", real("atan2", a), real("atan2", b))


# Comparisons and logic have no gradient

_run: Any

for _name, _run, _refused in [
    ("eq", np.equal, ""), ("ne", np.not_equal, ""), ("lt", np.less, "c"),
    ("le", np.less_equal, "c"), ("gt", np.greater, "c"), ("ge", np.greater_equal, "c"),
]:  # fmt: skip
    define(_name, shape=_binary_rule(_name, _refused, "real", bool_),
           run=strict(_name, _refused, "real", _run) if _refused else _run)  # fmt: skip
for _name, _run in [
    ("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor),
]:  # fmt: skip
    define(_name, shape=_binary_rule(_name, "", "number", bool_), run=_run)
for _name, _run in [
    ("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor),
]:  # fmt: skip
    define(_name, shape=_binary_rule(_name, "fc", "integer or bool"), run=_run)
for _name, _run in [("left_shift", np.left_shift), ("right_shift", np.right_shift)]:
    define(_name, shape=_binary_rule(_name, "bfc", "integer"),
           run=strict(_name, "bfc", "integer", _run))  # fmt: skip


def _compare(name: str, symbol: str) -> Callable[[Any, Any], Tensor]:
    def compare(a: Any, b: Any) -> Tensor:
        return bind(name, *pair(name, a, b))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"a {symbol} b, element by element. Shapes: broadcast. Dtypes: any -> bool."
    return compare


eq, ne, lt = _compare("eq", "=="), _compare("ne", "!="), _compare("lt", "<")
le, gt, ge = _compare("le", "<="), _compare("gt", ">"), _compare("ge", ">=")
logical_and, logical_or = _compare("logical_and", "and"), _compare("logical_or", "or")
logical_xor = _compare("logical_xor", "xor")


def _bitwise(name: str, words: str) -> Callable[[Any, Any], Tensor]:
    def bitwise(a: Any, b: Any) -> Tensor:
        return bind(name, *pair(name, a, b))

    bitwise.__name__ = bitwise.__qualname__ = name
    bitwise.__doc__ = f"{words}. Shapes: broadcast. Dtypes: integer or bool, promoted."
    return bitwise


bitwise_and = _bitwise("bitwise_and", "The bits that a and b both have")
bitwise_or = _bitwise("bitwise_or", "The bits that a or b has")
bitwise_xor = _bitwise("bitwise_xor", "The bits that only one of a and b has")
left_shift = _bitwise("left_shift", "The bits of a moved up by b places")
right_shift = _bitwise("right_shift", "The bits of a moved down by b places")


# One argument: name -> (NumPy, refused dtype kinds, gradient rule, sentence)

Unary = Callable[[Any], Tensor]

SQRT_PI = math.sqrt(math.pi)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-x))).astype(x.dtype, copy=False)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, x.dtype.type(0))


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, x.dtype.type(0))


def _round(x: np.ndarray) -> np.ndarray:
    return np.rint(x) if x.dtype.kind == "f" else x.copy()  # np.rint makes integers float64


UNARY: dict[str, tuple[Any, str, Any, str]] = {
    "neg": (np.negative, "b", lambda g, _y, _x: -g, "-x"),
    "abs": (np.abs, "bc", lambda g, _y, x: g * sign(x), "|x|; its slope at 0 is taken as 0"),
    "sign": (np.sign, "bc", _zero, "-1, 0 or 1, as x is negative, zero or positive"),
    "exp": (np.exp, "biu", lambda g, y, _x: g * y, "e to the power x"),
    "exp2": (np.exp2, "biu", lambda g, y, _x: g * y * math.log(2), "2 to the power x"),
    "expm1": (np.expm1, "biu", lambda g, y, _x: g * (y + 1.0), "e^x - 1, accurate near 0"),
    "log": (np.log, "biu", lambda g, _y, x: g / x, "The natural logarithm of x"),
    "log2": (np.log2, "biu", lambda g, _y, x: g / (x * math.log(2)), "The base-2 logarithm of x"),
    "log10": (
        np.log10, "biu", lambda g, _y, x: g / (x * math.log(10)), "The base-10 logarithm of x",
    ),
    "log1p": (np.log1p, "biu", lambda g, _y, x: g / (1.0 + x), "log(1 + x), accurate near 0"),
    "sqrt": (np.sqrt, "biu", lambda g, y, _x: g / (2.0 * y), "The square root of x"),
    "sin": (np.sin, "biu", lambda g, _y, x: g * cos(x), "The sine of x radians"),
    "cos": (np.cos, "biu", lambda g, _y, x: -g * sin(x), "The cosine of x radians"),
    "tan": (np.tan, "biu", lambda g, y, _x: g * (1.0 + y * y), "The tangent of x radians"),
    "asin": (
        np.arcsin, "biu", lambda g, _y, x: g / sqrt(1.0 - x * x),
        "The angle in [-π/2, π/2] whose sine is x",
    ),
    "acos": (
        np.arccos, "biu", lambda g, _y, x: -g / sqrt(1.0 - x * x),
        "The angle in [0, π] whose cosine is x",
    ),
    "atan": (
        np.arctan, "biu", lambda g, _y, x: g / (1.0 + x * x),
        "The angle in [-π/2, π/2] whose tangent is x",
    ),
    "sinh": (np.sinh, "biu", lambda g, _y, x: g * cosh(x), "The hyperbolic sine of x"),
    "cosh": (np.cosh, "biu", lambda g, _y, x: g * sinh(x), "The hyperbolic cosine of x"),
    "tanh": (np.tanh, "biu", lambda g, y, _x: g * (1.0 - y * y), "The hyperbolic tangent of x"),
    "asinh": (
        np.arcsinh, "biu", lambda g, _y, x: g / sqrt(x * x + 1.0), "The inverse hyperbolic sine",
    ),
    "acosh": (
        np.arccosh, "biu", lambda g, _y, x: g / sqrt(x * x - 1.0), "The inverse hyperbolic cosine",
    ),
    "atanh": (
        np.arctanh, "biu", lambda g, _y, x: g / (1.0 - x * x), "The inverse hyperbolic tangent",
    ),
    "erf": (
        special.erf, "biuc", lambda g, _y, x: g * exp(-x * x) * (2 / SQRT_PI),
        "The error function, 2/√π times the integral of exp(-t²) from 0 to x",
    ),
    "sigmoid": (_sigmoid, "biuc", lambda g, y, _x: g * y * (1.0 - y), "1 / (1 + e^-x)"),
    "softplus": (
        _softplus, "biuc", lambda g, _y, x: g * sigmoid(x), "log(1 + e^x), without overflow",
    ),
    "relu": (
        _relu, "bc", lambda g, y, _x: where(y > 0.0, g, 0.0),
        "max(x, 0); its slope at 0 is taken as 0",
    ),
    "floor": (np.floor, "c", _zero, "The largest whole number not above x"),
    "ceil": (np.ceil, "c", _zero, "The smallest whole number not below x"),
    "trunc": (np.trunc, "c", _zero, "x without its fraction"),
    "round": (_round, "c", _zero, "The nearest whole number, halves to the even one"),
}  # fmt: skip


def _unary(name: str) -> Callable[[Any], Tensor]:
    run, refused, vjp, sentence = UNARY[name]
    wanted = "floating" if "i" in refused else "number" if refused == "b" else "real"
    check = refuse(name, refused, wanted)

    def rule(x: Any) -> Spec:
        check(x)
        return Spec(x.shape, x.dtype)

    run = strict(name, refused, wanted, run) if "c" in refused else run
    define(name, shape=rule, run=run, vjp=vjp)
    needs_float = "i" in refused

    def function(x: Any) -> Tensor:
        return bind(name, real(name, x) if needs_float else as_tensor(x))

    function.__name__ = function.__qualname__ = name
    kinds = "floating (integers become float32)" if needs_float else "kept"
    function.__doc__ = f"{sentence}. Shapes: x (...) -> same. Dtypes: {kinds}."
    return function


neg: Unary = _unary("neg")
abs: Unary = _unary("abs")
sign: Unary = _unary("sign")
exp: Unary = _unary("exp")
exp2: Unary = _unary("exp2")
expm1: Unary = _unary("expm1")
log: Unary = _unary("log")
log2: Unary = _unary("log2")
log10: Unary = _unary("log10")
log1p: Unary = _unary("log1p")
sqrt: Unary = _unary("sqrt")
sin: Unary = _unary("sin")
cos: Unary = _unary("cos")
tan: Unary = _unary("tan")
asin: Unary = _unary("asin")
acos: Unary = _unary("acos")
atan: Unary = _unary("atan")
sinh: Unary = _unary("sinh")
cosh: Unary = _unary("cosh")
tanh: Unary = _unary("tanh")
asinh: Unary = _unary("asinh")
acosh: Unary = _unary("acosh")
atanh: Unary = _unary("atanh")
erf: Unary = _unary("erf")
sigmoid: Unary = _unary("sigmoid")
softplus: Unary = _unary("softplus")
relu: Unary = _unary("relu")
floor: Unary = _unary("floor")
ceil: Unary = _unary("ceil")
trunc: Unary = _unary("trunc")
round: Unary = _unary("round")

define("logical_not", shape=lambda x: Spec(x.shape, bool_), run=np.logical_not)


def _invert_rule(x: Any) -> Spec:
    refuse("bitwise_not", "fc", "integer or bool")(x)
    return Spec(x.shape, x.dtype)


define("bitwise_not", shape=_invert_rule, run=np.invert)


def logical_not(x: Any) -> Tensor:
    """Whether x is zero. Shapes: x (...) -> same. Dtypes: any -> bool."""
    return bind("logical_not", as_tensor(x))


def bitwise_not(x: Any) -> Tensor:
    """x with every bit turned; "not" of a bool. Shapes: x (...) -> same. Dtypes: integer, bool."""
    return bind("bitwise_not", as_tensor(x))


# where(condition, a, b): a where the condition holds, else b


def _where_rule(condition: Any, a: Any, b: Any) -> Spec:
    if condition.dtype != bool_:
        raise DtypeError(
            message("where", "the condition must be boolean", "dtype bool", condition.dtype,
                    "Compare first, for example x != 0")
        )  # fmt: skip
    if a.dtype != b.dtype:
        raise DtypeError(
            message("where", "both choices must have one dtype", a.dtype, b.dtype, "Cast one side")
        )
    return Spec(broadcast("where", condition.shape, a.shape, b.shape), a.dtype)


_INTEGERS = {n: np.dtype(f"i{n}") for n in (1, 2, 4, 8)}


def _where(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Choose by bit masks: np.where branches, and is 10 times slower on random conditions."""
    if condition.dtype != bool_ or a.dtype != b.dtype:
        raise TypeError("where")  # the rule explains
    bits = _INTEGERS.get(a.dtype.itemsize)
    if bits is None:
        return np.where(condition, a, b)
    mask = condition.astype(bits)
    np.negative(mask, out=mask)
    left, right = a.view(bits), b.view(bits)
    if not right.ndim and not right:
        return (left & mask).view(a.dtype)
    return (((left ^ right) & mask) ^ right).view(a.dtype)


def _masked(g: Tensor, condition: Tensor, keep: bool) -> Tensor:
    zero = operand("where", 0.0, g)
    return bind("where", condition, g, zero) if keep else bind("where", condition, zero, g)


define("where", shape=_where_rule, run=_where,
       vjp=(lambda g, _y, _c, _a, _b: None,
            lambda g, _y, c, _a, _b: _masked(g, c, True),
            lambda g, _y, c, _a, _b: _masked(g, c, False)))  # fmt: skip


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """`a` where the condition holds, else `b`. Shapes: broadcast. Dtypes: bool; promoted.

    The branch not chosen gets no gradient, not even NaN.

    >>> where(as_tensor([True, False]), 1.0, as_tensor([5.0, 6.0]))
    tensor([1., 6.], dtype=float32)
    """
    a, b = pair("where", a, b)
    return bind("where", as_tensor(condition), a, b)


def isnan(x: Any) -> Tensor:
    """Where x is not a number. Shapes: x (...) -> same. Dtypes: any -> bool."""
    x = as_tensor(x)
    return ne(x, x)


def isinf(x: Any) -> Tensor:
    """Where x is infinite, of either sign. Shapes: x (...) -> same. Dtypes: real -> bool."""
    x = as_tensor(x)
    return eq(abs(x), math.inf) if is_floating(x.dtype) else ne(x, x)


def isfinite(x: Any) -> Tensor:
    """Where x is neither infinite nor NaN. Shapes: x (...) -> same. Dtypes: real -> bool."""
    x = as_tensor(x)
    return lt(abs(x), math.inf) if is_floating(x.dtype) else eq(x, x)
