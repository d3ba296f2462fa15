"""Half precision on CPUs that lack it: the conversions that LLVM calls, in whole-number arithmetic.

May import: llvm. LLVM computes half precision in float and calls `__extendhfsf2`, `__truncsfhf2`
and `__truncdfhf2` where there is no instruction to convert; a module that holds halves defines them
itself, since a process need not have them. Every rounding is to the nearest, halves to even.
"""

from __future__ import annotations

from typing import Any

from pierian.compiler.llvm import ir

I16, I32, I64 = (ir.IntType(n) for n in (16, 32, 64))
HALF, FLOAT, DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
INFINITE = 0x7F800000  # bits of a float's infinity
LEAST = 0x38800000  # of 2^-14, the least normal half
ROUNDED_UP = 0x477FF000  # of 65520, from where on the nearest half is infinity
REBIAS = (127 - 15) << 23  # between the exponents of float and half
DENORMAL = 0x3F000000  # of 0.5: adding it leaves the bits of a denormal half at the right end


def define(module: ir.Module) -> None:
    """Give `module` the functions, once."""
    if "__truncsfhf2" in module.globals:
        return
    for name, source, target, write in (
        ("__extendhfsf2", HALF, FLOAT, _extend),
        ("__truncsfhf2", FLOAT, HALF, _truncate),
        ("__truncdfhf2", DOUBLE, HALF, _truncate_double),
    ):
        function = ir.Function(module, ir.FunctionType(target, [source]), name)
        function.attributes.add("nounwind")
        function.attributes.add("noinline")
        b = ir.IRBuilder(function.append_basic_block())
        b.ret(write(b, function.args[0]))


def _extend(b: ir.IRBuilder, x: Any) -> Any:
    """Half to float: the exponent shifted; for zero and denormals by a subtraction of floats."""
    bits = b.zext(b.bitcast(x, I16), I32)
    size = b.and_(bits, I32(0x7FFF))
    sign = b.shl(b.sub(bits, size), I32(16))
    size = b.shl(size, I32(13))
    normal = b.add(size, I32(REBIAS))
    least = b.bitcast(I32(LEAST), FLOAT)
    above = b.bitcast(b.add(size, I32(LEAST)), FLOAT)
    small = b.bitcast(b.fsub(above, least), I32)
    special = b.or_(size, I32(INFINITE))
    denormal = b.icmp_unsigned("<", size, I32(1 << 23))
    infinite = b.icmp_unsigned(">=", size, I32(0x1F << 23))
    found = b.select(denormal, small, normal)
    found = b.select(infinite, special, found)
    return b.bitcast(b.or_(found, sign), FLOAT)


def _truncate(b: ir.IRBuilder, x: Any) -> Any:
    """Float to half."""
    bits = b.bitcast(x, I32)
    size = b.and_(bits, I32(0x7FFFFFFF))
    sign = b.lshr(b.sub(bits, size), I32(16))
    kept = b.lshr(size, I32(13))
    odd = b.and_(kept, I32(1))
    rounding = b.add(odd, I32(0xFFF))
    normal = b.add(b.sub(size, I32(REBIAS)), rounding)
    normal = b.lshr(normal, I32(13))
    half = b.bitcast(I32(DENORMAL), FLOAT)
    shifted = b.fadd(b.bitcast(size, FLOAT), half)
    small = b.sub(b.bitcast(shifted, I32), I32(DENORMAL))
    fraction = b.and_(kept, I32(0x3FF))
    nan = b.or_(fraction, I32(0x7E00))
    denormal = b.icmp_unsigned("<", size, I32(LEAST))
    infinite = b.icmp_unsigned(">=", size, I32(ROUNDED_UP))
    found = b.select(denormal, small, normal)
    found = b.select(infinite, I32(0x7C00), found)
    found = b.select(b.icmp_unsigned(">", size, I32(INFINITE)), nan, found)
    return b.bitcast(b.trunc(b.or_(found, sign), I16), HALF)


def _truncate_double(b: ir.IRBuilder, x: Any) -> Any:
    """Double to half, through a float rounded to odd: a second rounding then does no harm.

    Source: Boldo and Melquiond 2008, "Emulation of a FMA and correctly rounded sums".
    """
    near = b.fptrunc(x, FLOAT)
    back = b.fpext(near, DOUBLE)
    inexact = b.fcmp_ordered("!=", back, x)
    fabs = b.module.declare_intrinsic("llvm.fabs", [DOUBLE])
    size, rounded = b.call(fabs, [x]), b.call(fabs, [back])
    beyond = b.fcmp_ordered(">", rounded, size)
    bits = b.bitcast(near, I32)
    inward = b.select(beyond, b.sub(bits, I32(1)), bits)
    odd = b.select(inexact, b.or_(inward, I32(1)), bits)
    return b.fptrunc(b.bitcast(odd, FLOAT), HALF)
