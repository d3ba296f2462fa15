"""Lanes: formulas in Python that write LLVM instructions, for one number or for a vector of them.

May import: llvm, coefficients. `Lanes` wraps a value of the program being written, so that
`x * x + 1` writes two instructions; `Format` says what depends on the floating-point format. To
add an instruction: a method that calls the builder. Nothing here depends on the kind of CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pierian.compiler.coefficients import Table
from pierian.compiler.llvm import ir


@dataclass(frozen=True)
class Format:
    """A floating-point format.

    Args:  bits      of a number.
           mantissa  bits stored of the fraction.
    """

    type: Any
    bits: int
    mantissa: int

    @property
    def bias(self) -> int:
        """What is added to an exponent to store it; also the largest exponent."""
        return int(2 ** (self.bits - self.mantissa - 2) - 1)

    @property
    def magic(self) -> float:
        """Adding 1½ times the first number without fraction bits rounds to a whole number."""
        return float(1.5 * 2.0**self.mantissa)

    @property
    def half_mask(self) -> int:
        """The bits of the high half of a number, see `halves`."""
        return -(1 << (self.mantissa // 2 + 1))


FLOAT = Format(ir.FloatType(), 32, 23)
DOUBLE = Format(ir.DoubleType(), 64, 52)
FORMATS = {32: FLOAT, 64: DOUBLE, ir.FloatType: FLOAT, ir.DoubleType: DOUBLE}


def shaped(element: Any, like: Any) -> Any:
    """The type with `element` in the lanes of the type `like`."""
    return ir.VectorType(element, like.count) if isinstance(like, ir.VectorType) else element


def scalar(kind: Any) -> Any:
    """The type of one lane."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def suffix(kind: Any) -> str:
    """`kind` as part of a name, as LLVM writes it in those of intrinsics: v16f32, i64."""
    one = scalar(kind)
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    return f"{lanes}{one.intrinsic_name}"


def intrinsic(module: ir.Module, name: str, kind: Any, arguments: list[Any]) -> ir.Function:
    """LLVM's function `llvm.<name>` that works on `kind` and gives one."""
    label = f"llvm.{name}.{suffix(kind)}"
    known = module.globals.get(label)
    return known or ir.Function(module, ir.FunctionType(kind, arguments), label)


def constant(kind: Any, number: float) -> ir.Value:
    """`number` in every lane of `kind`."""
    one = ir.Constant(scalar(kind), number)
    return ir.Constant(kind, [one] * kind.count) if isinstance(kind, ir.VectorType) else one


def _arithmetic(real: str, whole: str, swap: bool = False) -> Callable[[Lanes, Any], Lanes]:
    def write(self: Lanes, other: Lanes | float) -> Lanes:
        a, b = self.value, self.like(other).value
        instruction = getattr(self.builder, real if self.floating else whole)
        return Lanes(self.builder, instruction(b, a) if swap else instruction(a, b))

    return write


def _comparison(symbol: str) -> Callable[[Lanes, Any], Lanes]:
    def write(self: Lanes, other: Lanes | float) -> Lanes:
        real = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        compare = real if self.floating else self.builder.icmp_signed
        return Lanes(self.builder, compare(symbol, self.value, self.like(other).value))

    return write


class Lanes:
    """A value of the program being written, with Python's operators.

    Comparisons give i1 lanes and are false for NaN, except `!=`. Integers are signed: `>>` copies
    the sign. A Python number takes the type of the other side.
    """

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder = builder
        self.value = value

    @property
    def type(self) -> Any:
        return self.value.type

    @property
    def floating(self) -> bool:
        return isinstance(scalar(self.type), ir.FloatType | ir.DoubleType)

    @property
    def format(self) -> Format:
        """The format: that of the numbers, or for integers the one of equal size."""
        kind = scalar(self.type)
        return FORMATS[kind.width if isinstance(kind, ir.IntType) else type(kind)]

    def like(self, other: Lanes | float) -> Lanes:
        """`other` as lanes of this type."""
        if isinstance(other, Lanes):
            return other
        return Lanes(self.builder, constant(self.type, other))

    __add__ = __radd__ = _arithmetic("fadd", "add")
    __mul__ = __rmul__ = _arithmetic("fmul", "mul")
    __sub__, __rsub__ = _arithmetic("fsub", "sub"), _arithmetic("fsub", "sub", swap=True)
    __truediv__, __rtruediv__ = _arithmetic("fdiv", ""), _arithmetic("fdiv", "", swap=True)
    __and__, __or__, __xor__ = (_arithmetic("", name) for name in ("and_", "or_", "xor"))
    __lshift__, __rshift__ = _arithmetic("", "shl"), _arithmetic("", "ashr")
    shifted_in_zeros = _arithmetic("", "lshr")
    __lt__, __le__, __gt__, __ge__ = (_comparison(symbol) for symbol in ("<", "<=", ">", ">="))
    __eq__, __ne__ = _comparison("=="), _comparison("!=")  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Lanes:
        return Lanes(self.builder, self.builder.fneg(self.value)) if self.floating else 0 - self

    def __invert__(self) -> Lanes:
        return self ^ -1

    def __abs__(self) -> Lanes:
        return self.intrinsic("fabs")

    def intrinsic(self, name: str, *others: Lanes) -> Lanes:
        """LLVM's `llvm.<name>` of this and `others`, all of one type."""
        values = [self.value, *(other.value for other in others)]
        declared = intrinsic(self.builder.module, name, self.type, [x.type for x in values])
        return Lanes(self.builder, self.builder.call(declared, values))

    def bits(self) -> Lanes:
        """The stored bits, as integers."""
        kind = shaped(ir.IntType(self.format.bits), self.type)
        return Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def number(self) -> Lanes:
        """The numbers that are stored as these bits."""
        kind = shaped(self.format.type, self.type)
        return Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def cast(self, format: Format) -> Lanes:
        """The same numbers in another format."""
        step = self.builder.fpext if format.bits > self.format.bits else self.builder.fptrunc
        return Lanes(self.builder, step(self.value, shaped(format.type, self.type)))

    def any(self) -> ir.Value:
        """Whether one of these i1 lanes holds, as a plain i1."""
        if not isinstance(self.type, ir.VectorType):
            return self.value
        word = ir.IntType(self.type.count)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(self.value, word), word(0))


def choose(condition: Lanes, a: Lanes | float, b: Lanes | float) -> Lanes:
    """`a` where the condition holds, else `b`; at least one of them must be Lanes."""
    a = a if isinstance(a, Lanes) else b.like(a)  # type: ignore[union-attr]
    return Lanes(a.builder, a.builder.select(condition.value, a.value, a.like(b).value))


def splat(x: Lanes, like: Lanes) -> Lanes:
    """The scalar x in every lane of the shape of `like`."""
    if not isinstance(like.type, ir.VectorType):
        return x
    kind, lane = shaped(x.type, like.type), ir.IntType(32)
    empty = ir.Constant(kind, ir.Undefined)
    one = x.builder.insert_element(empty, x.value, lane(0))
    zeros = ir.Constant(ir.VectorType(lane, kind.count), None)
    return Lanes(x.builder, x.builder.shuffle_vector(one, empty, zeros))


def fma(a: Lanes, b: Lanes | float, c: Lanes | float) -> Lanes:
    """a·b + c, rounded once where the CPU has such an instruction, else twice.

    llvm.fma would always round once, by a slow call of libm where there is no instruction.
    """
    return a.intrinsic("fmuladd", a.like(b), a.like(c))


def polynomial(table: Table, x: Lanes) -> Lanes:
    """The sum of table[bits][k]·x^k."""
    return _power_sum(table[x.format.bits], x)


LONGEST = 5  # chain of additions; with 4 to 8 erf of double takes 30 % less time than with all 22


def _power_sum(coefficients: Sequence[float], x: Lanes) -> Lanes:
    """Horner's rule; even and odd powers apart while there are many, to run side by side."""
    if len(coefficients) > LONGEST:
        square = x * x
        even, odd = (_power_sum(coefficients[k::2], square) for k in range(2))
        return fma(odd, x, even)
    *rest, highest = coefficients
    total = x.like(highest)
    for c in reversed(rest):
        total = fma(total, x, c)
    return total


def at_most(x: Lanes, limit: float) -> Lanes:
    """The smaller of x and `limit`; NaN stays."""
    return choose(x > limit, limit, x)


def at_least(x: Lanes, limit: float) -> Lanes:
    """The larger of x and `limit`; NaN stays."""
    return choose(x < limit, limit, x)


def between(low: float, x: Lanes, high: float) -> Lanes:
    """x, or the end of the interval beyond which it lies; NaN stays."""
    return at_least(at_most(x, high), low)


def sqrt(x: Lanes) -> Lanes:
    """The correctly rounded square root, NaN for negative numbers."""
    return x.intrinsic("sqrt")


def with_sign(x: Lanes, sign: Lanes) -> Lanes:
    """|x| with the sign of `sign`, that of zeros and NaN included."""
    return x.intrinsic("copysign", sign)


def nearest(x: Lanes, scale: float = 1.0) -> tuple[Lanes, Lanes]:
    """The whole number next to x·scale, as a float and as an integer; |x·scale| < 2^21."""
    magic = x.like(x.format.magic)
    shifted = fma(x, scale, magic)
    return shifted - magic, shifted.bits() - magic.bits()


def two_to(n: Lanes) -> Lanes:
    """2^n for integers n that are exponents of normal numbers."""
    return ((n + n.format.bias) << n.format.mantissa).number()


# Pairs: a sum high + low of two numbers with twice the digits of one, |low| <= ulp(high)/2.
# Dekker 1971, doi:10.1007/BF01397083, and Knuth, TAOCP 2, 4.2.2.


@dataclass(frozen=True, eq=False)
class Pair:
    """The unevaluated sum high + low."""

    high: Lanes
    low: Lanes


def add(a: Lanes, b: Lanes) -> Pair:
    """a + b exactly, whichever is larger."""
    total = a + b
    part = total - a
    return Pair(total, (a - (total - part)) + (b - part))


def add_smaller(a: Lanes, b: Lanes) -> Pair:
    """a + b exactly, for |a| >= |b| or a = 0."""
    total = a + b
    return Pair(total, b - (total - a))


def halves(x: Lanes) -> Pair:
    """x as the sum of two numbers of half its digits: products of halves are exact."""
    high = (x.bits() & x.format.half_mask).number()
    return Pair(high, x - high)


def multiply(a: Lanes, b: Lanes) -> Pair:
    """a·b to twice the digits; without fma, which not every CPU has."""
    total = a * b
    x, y = halves(a), halves(b)
    low = ((x.high * y.high - total) + x.high * y.low + x.low * y.high) + x.low * y.low
    return Pair(total, low)


def times(x: Pair, factor: tuple[float, ...]) -> Pair:
    """x times a number given in two pieces."""
    high, low = factor
    product = multiply(x.high, x.high.like(high))
    return Pair(product.high, product.low + (x.high * low + x.low * high))


def pieces(number: Fraction, *bits: int) -> tuple[float, ...]:
    """`number` as a sum: pieces of so many bits each, and the rest rounded."""
    parts = []
    for width in bits:
        unit = Fraction(2) ** (math.frexp(number)[1] - width)
        parts.append(number // unit * unit)
        number -= parts[-1]
    return (*map(float, parts), float(number))


# Functions of the module


def function(name: str, emit: Callable[..., Lanes], inline: bool = True) -> Callable[..., ir.Value]:
    """What calls the function `name` of the module, which `emit` writes at the first call.

    There is one for each type of argument, and its result has that type. Where to inline it is
    LLVM's decision, unless it must not be. `emit` may make blocks of its own.
    """

    def call(builder: ir.IRBuilder, *values: ir.Value) -> ir.Value:
        kinds = [value.type for value in values]
        label = f"{name}.{suffix(kinds[0])}"
        written = builder.module.globals.get(label)
        if written is None:
            written = ir.Function(builder.module, ir.FunctionType(kinds[0], kinds), label)
            written.linkage = "internal"
            written.attributes.add("nounwind")
            if not inline:
                written.attributes.add("noinline")
            inside = ir.IRBuilder(written.append_basic_block())
            inside.ret(emit(*(Lanes(inside, value) for value in written.args)).value)
        return builder.call(written, values)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = emit.__doc__
    return call
