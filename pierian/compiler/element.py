"""One element (or one register of them): its LLVM type, loads, stores, and the pointwise table.

May import: llvm, half, lanes, vectormath, base. To lower a pointwise primitive: a row in
`POINTWISE`, an emitter (builder, dtype of the inputs, *values) that works for scalars and vectors
alike. A primitive that is in no table of the compiler is called in NumPy from the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pierian.compiler import half
from pierian.compiler.lanes import shaped
from pierian.compiler.llvm import ir
from pierian.compiler.vectormath import MATH

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
FLOATS = {2: ir.HalfType(), 4: ir.FloatType(), 8: ir.DoubleType()}
Emitter = Callable[..., Any]


def supported(dtype: np.dtype) -> bool:
    """Whether elements of `dtype` can be computed with."""
    return dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize in FLOATS)


def scalar_type(dtype: np.dtype) -> Any:
    """The type in a register: i1 for bool."""
    if dtype.kind == "f":
        return FLOATS[dtype.itemsize]
    return I1 if dtype.kind == "b" else ir.IntType(8 * dtype.itemsize)


def memory_type(dtype: np.dtype) -> Any:
    """The type in memory: a byte for bool."""
    return I8 if dtype.kind == "b" else scalar_type(dtype)


def vector_type(element: Any, lanes: int) -> Any:
    """`lanes` of `element` side by side; the element itself for one."""
    return element if lanes == 1 else ir.VectorType(element, lanes)


def lanes_of(value: Any) -> int:
    """How many elements `value` holds."""
    return value.type.count if isinstance(value.type, ir.VectorType) else 1


def constant(dtype: np.dtype, number: Any, lanes: int = 1) -> Any:
    """The same number in every lane."""
    element = scalar_type(dtype)
    plain = dtype.type(number).item()
    if dtype.kind == "f" and dtype.itemsize == 2:
        plain = float(plain)
    if lanes == 1:
        return ir.Constant(element, plain)
    return ir.Constant(vector_type(element, lanes), [ir.Constant(element, plain)] * lanes)


def like(value: Any, number: Any) -> Any:
    """`number` as a constant of the type of `value`."""
    if isinstance(value.type, ir.VectorType):
        element = ir.Constant(value.type.element, number)
        return ir.Constant(value.type, [element] * value.type.count)
    return ir.Constant(value.type, number)


def splat(b: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """A scalar in every lane; a vector is left as it is."""
    if lanes == 1 or isinstance(value.type, ir.VectorType):
        return value
    kind = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), None)
    return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def counting(element: Any, lanes: int, step: int = 1) -> Any:
    """0, step, 2·step, … in the lanes."""
    numbers = [ir.Constant(element, step * i) for i in range(lanes)]
    return numbers[0] if lanes == 1 else ir.Constant(ir.VectorType(element, lanes), numbers)


def intrinsic(b: ir.IRBuilder, name: str, *values: Any, result: Any = None) -> Any:
    """A call of LLVM's `name` for the type of the first value."""
    kinds = [value.type for value in values]
    out = result or kinds[0]
    suffix = _suffix(kinds[0]) if result is None else f"{_suffix(out)}.{_suffix(kinds[0])}"
    full = f"{name}.{suffix}"
    function = b.module.globals.get(full)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(out, kinds), full)
    return b.call(function, values)


def _suffix(kind: Any) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_suffix(kind.element)}"
    names = {ir.HalfType: "f16", ir.FloatType: "f32", ir.DoubleType: "f64"}
    return names.get(type(kind)) or f"i{kind.width}"


# Loads and stores


def load(b: ir.IRBuilder, pointer: Any, dtype: np.dtype, lanes: int) -> Any:
    """`lanes` neighbours from `pointer` on, aligned like one element."""
    kind = vector_type(memory_type(dtype), lanes)
    place = b.bitcast(pointer, kind.as_pointer())
    return _to_register(b, b.load(place, align=dtype.itemsize), dtype)


def gather(b: ir.IRBuilder, pointers: Sequence[Any], dtype: np.dtype) -> Any:
    """One element from each pointer."""
    if len(pointers) == 1:
        return load(b, pointers[0], dtype, 1)
    kind = ir.VectorType(memory_type(dtype), len(pointers))
    value: Any = ir.Constant(kind, ir.Undefined)
    for lane, pointer in enumerate(pointers):
        element = b.load(pointer, align=dtype.itemsize)
        value = b.insert_element(value, element, ir.Constant(I32, lane))
    return _to_register(b, value, dtype)


def masked_load(b: ir.IRBuilder, pointer: Any, mask: Any, dtype: np.dtype, lanes: int) -> Any:
    """`lanes` neighbours where the mask holds, zeros elsewhere; nothing else is touched."""
    kind = ir.VectorType(memory_type(dtype), lanes)
    place = b.bitcast(pointer, kind.as_pointer())
    name = f"llvm.masked.load.{_suffix(kind)}.p0"
    function = b.module.globals.get(name)
    if function is None:
        kinds = [kind.as_pointer(), I32, ir.VectorType(I1, lanes), kind]
        function = ir.Function(b.module, ir.FunctionType(kind, kinds), name)
    align = ir.Constant(I32, dtype.itemsize)
    value = b.call(function, [place, align, mask, ir.Constant(kind, None)])
    return _to_register(b, value, dtype)


def prefetch(b: ir.IRBuilder, pointer: Any) -> None:
    """Have the cache line of `pointer` fetched; any address will do, also one that is nobody's."""
    place = b.bitcast(pointer, I8.as_pointer())
    name = "llvm.prefetch.p0"
    function = b.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
        function = ir.Function(b.module, kind, name)
    reading, near, data = 0, 3, 1
    b.call(function, [place, *(ir.Constant(I32, n) for n in (reading, near, data))])


def store(b: ir.IRBuilder, value: Any, pointer: Any, dtype: np.dtype) -> None:
    """`value` to `pointer` on."""
    _prepare(b, dtype)
    if dtype.kind == "b":
        value = b.zext(value, vector_type(I8, lanes_of(value)))
    b.store(value, b.bitcast(pointer, value.type.as_pointer()), align=dtype.itemsize)


def _prepare(b: ir.IRBuilder, dtype: np.dtype) -> None:
    """See that the module can convert from and to `dtype`."""
    if dtype.kind == "f" and dtype.itemsize == 2:
        half.define(b.module)


def _to_register(b: ir.IRBuilder, value: Any, dtype: np.dtype) -> Any:
    _prepare(b, dtype)
    return b.icmp_unsigned("!=", value, like(value, 0)) if dtype.kind == "b" else value


# The pointwise table


def _by_kind(**emitters: Emitter) -> Emitter:
    """Choose by the kind of the dtype: f, i (and u unless given), b."""

    def emit(b: ir.IRBuilder, dtype: np.dtype, *values: Any) -> Any:
        kind = dtype.kind
        chosen = emitters.get(kind) or emitters["i" if kind == "u" else kind]
        return chosen(b, *values)

    return emit


def _op(name: str) -> Emitter:
    return lambda b, *values: getattr(b, name)(*values)


def _math(name: str) -> Emitter:
    """A function of vectormath; half precision goes through float32."""

    def emit(b: ir.IRBuilder, dtype: np.dtype, *values: Any) -> Any:
        if dtype.itemsize > 2:
            return MATH[name](b, *values)
        wide = shaped(FLOATS[4], values[0].type)
        result = MATH[name](b, *[b.fpext(value, wide) for value in values])
        return b.fptrunc(result, values[0].type)

    return emit


def _compare(symbol: str) -> Emitter:
    def emit(b: ir.IRBuilder, dtype: np.dtype, x: Any, y: Any) -> Any:
        if dtype.kind == "f":
            compare = b.fcmp_unordered if symbol == "!=" else b.fcmp_ordered
            return compare(symbol, x, y)
        return (b.icmp_signed if dtype.kind == "i" else b.icmp_unsigned)(symbol, x, y)

    return emit


def truth(b: ir.IRBuilder, dtype: np.dtype, x: Any) -> Any:
    """Whether x is not zero; NaN is not."""
    if dtype.kind == "b":
        return x
    if dtype.kind == "f":
        return b.fcmp_unordered("!=", x, like(x, 0.0))
    return b.icmp_unsigned("!=", x, like(x, 0))


def _logical(name: str) -> Emitter:
    def emit(b: ir.IRBuilder, dtype: np.dtype, x: Any, y: Any) -> Any:
        return getattr(b, name)(truth(b, dtype, x), truth(b, dtype, y))

    return emit


def _extreme(symbol: str, name: str) -> Emitter:
    def emit(b: ir.IRBuilder, dtype: np.dtype, x: Any, y: Any) -> Any:
        if dtype.kind == "f":
            return _math(name)(b, dtype, x, y)
        compare = b.icmp_signed if dtype.kind == "i" else b.icmp_unsigned
        return b.select(compare(symbol, x, y), x, y)

    return emit


def _relu(b: ir.IRBuilder, dtype: np.dtype, x: Any) -> Any:
    if dtype.kind == "u":
        return x
    if dtype.kind == "i":
        return b.select(b.icmp_signed(">", x, like(x, 0)), x, like(x, 0))
    return b.select(b.fcmp_unordered(">", x, like(x, 0.0)), x, like(x, 0.0))  # NaN stays


def _absolute(b: ir.IRBuilder, dtype: np.dtype, x: Any) -> Any:
    if dtype.kind == "f":
        return intrinsic(b, "llvm.fabs", x)
    if dtype.kind == "u":
        return x
    return b.select(b.icmp_signed("<", x, like(x, 0)), b.sub(like(x, 0), x), x)


def _sign(b: ir.IRBuilder, dtype: np.dtype, x: Any) -> Any:
    if dtype.kind == "f":
        return _math("sign")(b, dtype, x)
    zero, one = like(x, 0), like(x, 1)
    positive = b.select(b.icmp_unsigned("!=", x, zero), one, zero)
    if dtype.kind == "u":
        return positive
    return b.select(b.icmp_signed("<", x, zero), like(x, -1), positive)


def _divided(b: ir.IRBuilder, dtype: np.dtype, x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient, rounded down, and remainder of whole numbers, for y that is not 0."""
    if dtype.kind == "u":
        return b.udiv(x, y), b.urem(x, y)
    zero, one = like(x, 0), like(x, 1)
    minus = b.icmp_signed("==", y, like(x, -1))  # the least number / -1 wraps around to itself
    by = b.select(minus, one, y)
    quotient = b.sdiv(x, by)
    rest = b.sub(x, b.mul(quotient, by))
    other = b.and_(b.icmp_signed("<", b.xor(rest, by), zero), b.icmp_signed("!=", rest, zero))
    quotient = b.select(other, b.sub(quotient, one), quotient)
    return b.select(minus, b.sub(zero, x), quotient), b.select(other, b.add(rest, by), rest)


def _shift(left: bool) -> Emitter:
    """NumPy's shifts: by the width or more, all bits are gone."""

    def emit(b: ir.IRBuilder, dtype: np.dtype, x: Any, by: Any) -> Any:
        width = 8 * dtype.itemsize
        inside = b.icmp_unsigned("<", by, like(by, width))
        safe = b.select(inside, by, like(by, width - 1))
        if left:
            return b.select(inside, b.shl(x, safe), like(x, 0))
        if dtype.kind == "i":
            return b.ashr(x, safe)
        return b.select(inside, b.lshr(x, safe), like(x, 0))

    return emit


def convert(b: ir.IRBuilder, source: np.dtype, target: np.dtype, x: Any) -> Any:
    """`x` cast as NumPy casts; floats beyond an integer's range stop at its ends, NaN gives 0."""
    if source == target:
        return x
    _prepare(b, target)
    if target.kind == "b":
        return truth(b, source, x)
    kind = vector_type(scalar_type(target), lanes_of(x))
    if source.kind == "f":
        if target.kind == "f":
            return (b.fpext if target.itemsize > source.itemsize else b.fptrunc)(x, kind)
        name = "llvm.fptosi.sat" if target.kind == "i" else "llvm.fptoui.sat"
        return intrinsic(b, name, x, result=kind)
    if target.kind == "f":
        return (b.sitofp if source.kind == "i" else b.uitofp)(x, kind)
    width = 1 if source.kind == "b" else 8 * source.itemsize
    if 8 * target.itemsize == width:
        return x
    if 8 * target.itemsize < width:
        return b.trunc(x, kind)
    return (b.sext if source.kind == "i" else b.zext)(x, kind)


ROUNDING = ("floor", "ceil", "trunc", "round")
DIVISION = ("floor_divide", "remainder")
FLOAT_ONLY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "sigmoid", "softplus",
    "atan2",
)  # fmt: skip

POINTWISE: dict[str, Emitter] = {
    "add": _by_kind(f=_op("fadd"), i=_op("add"), b=_op("or_")),
    "sub": _by_kind(f=_op("fsub"), i=_op("sub")),
    "mul": _by_kind(f=_op("fmul"), i=_op("mul"), b=_op("and_")),
    "div": _by_kind(f=_op("fdiv")),
    "neg": _by_kind(f=_op("fneg"), i=lambda b, x: b.sub(like(x, 0), x)),
    "abs": _absolute,
    "sign": _sign,
    "relu": _relu,
    "maximum": _extreme(">", "maximum"),
    "minimum": _extreme("<", "minimum"),
    "eq": _compare("=="), "ne": _compare("!="), "lt": _compare("<"), "le": _compare("<="),
    "gt": _compare(">"), "ge": _compare(">="),
    "logical_and": _logical("and_"), "logical_or": _logical("or_"), "logical_xor": _logical("xor"),
    "logical_not": lambda b, dtype, x: b.not_(truth(b, dtype, x)),
    "bitwise_and": _by_kind(i=_op("and_"), b=_op("and_")),
    "bitwise_or": _by_kind(i=_op("or_"), b=_op("or_")),
    "bitwise_xor": _by_kind(i=_op("xor"), b=_op("xor")),
    "bitwise_not": _by_kind(i=_op("not_"), b=_op("not_")),
    "left_shift": _shift(True), "right_shift": _shift(False),
    "copy": lambda _b, _dtype, x: x,
    **{name: _math(name) for name in FLOAT_ONLY},
}  # fmt: skip


def pointwise(name: str, dtypes: Sequence[np.dtype]) -> Emitter | None:
    """The emitter of a primitive for inputs of `dtypes`; None when it runs in NumPy."""
    kind = dtypes[0].kind if dtypes else ""
    if name in ROUNDING and kind in "iub":
        return POINTWISE["copy"]
    if kind == "f" and name in (*ROUNDING, "pow", *DIVISION):
        return _math(name)
    if kind in "iu" and name in DIVISION:
        return lambda *arguments: _divided(*arguments)[DIVISION.index(name)]
    return POINTWISE.get(name)
