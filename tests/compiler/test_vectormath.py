"""The vector functions: within 2 ulp of wider arithmetic over all exponents, on every CPU."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from pierian.base import rng
from pierian.compiler import llvm
from pierian.compiler.lanes import FORMATS, shaped
from pierian.compiler.llvm import Target, ir, target
from pierian.compiler.philox import philox
from pierian.compiler.vectormath import MATH

BINARY = {"atan2", "floor_divide", "maximum", "minimum", "pow", "remainder"}
DTYPES = {32: np.float32, 64: np.float64}
WIDER = {32: np.float64, 64: np.longdouble}
ULP = 2.0  # what architecture.md promises
EXACT = {"abs", "ceil", "floor", "round", "sign", "trunc", "maximum", "minimum"}
I64 = ir.IntType(64)
ARM = "aarch64-unknown-linux-gnu:neoverse-n1"
SERIAL = itertools.count()

has_longdouble = np.finfo(np.longdouble).nmant > 60
needs_longdouble = pytest.mark.skipif(not has_longdouble, reason="long double is double here")


# Loops over arrays, compiled


def write_loop(module: ir.Module, name: str, bits: int, lanes: int) -> str:
    """A function that computes MATH[name] of arrays; its name."""
    element = FORMATS[bits].type
    kind = ir.VectorType(element, lanes) if lanes > 1 else element
    inputs = 2 if name in BINARY else 1
    signature = [kind.as_pointer()] * (inputs + 1) + [I64]
    label = f"loop_{name}_{bits}"
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), signature), label)
    *pointers, count = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    entry = builder.block
    body, end = builder.append_basic_block(), builder.append_basic_block()
    builder.branch(body)
    builder.position_at_end(body)
    i = builder.phi(I64)
    i.add_incoming(I64(0), entry)
    places = [builder.gep(pointer, [i]) for pointer in pointers]
    x = [builder.load(place, align=bits // 8) for place in places[:inputs]]
    builder.store(MATH[name](builder, *x), places[inputs], align=bits // 8)
    following = builder.add(i, I64(1))
    i.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_unsigned("<", following, count), body, end)
    builder.position_at_end(end)
    builder.ret_void()
    return label


def all_loops(chosen: Target, bits: int, lanes: int) -> tuple[ir.Module, dict[str, str]]:
    module = ir.Module()
    return module, {name: write_loop(module, name, bits, lanes) for name in MATH}


@cache
def compiled(name: str | None, bits: int, scalar: bool) -> dict[str, Callable[..., np.ndarray]]:
    """Every function of MATH over arrays, for the CPU `name`."""
    chosen = target(name)
    lanes = 1 if scalar else chosen.lanes(bits)
    module, labels = all_loops(chosen, bits, lanes)
    code = llvm.object_code(module, chosen)
    library = llvm.load(code, labels.values(), f"vectormath_{next(SERIAL)}")
    return {name: over_arrays(library, label, bits, lanes) for name, label in labels.items()}


def over_arrays(
    library: llvm.Library, label: str, bits: int, lanes: int
) -> Callable[..., np.ndarray]:
    def call(*x: np.ndarray) -> np.ndarray:
        size = x[0].size
        padded = [np.resize(one, -(-size // lanes) * lanes).astype(DTYPES[bits]) for one in x]
        out = np.empty_like(padded[0])
        pointers = [array.ctypes.data for array in (*padded, out)]
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers), ctypes.c_int64)
        function(library.addresses[label])(*pointers, out.size // lanes)
        return out[:size]

    return call


def runnable() -> list[tuple[str | None, bool]]:
    """CPU names with whether to use scalars: this machine's, and the levels of x86-64 it has."""
    host = target()
    features = set(host.features.split(","))
    levels = {"x86-64": "+sse2", "x86-64-v2": "+sse4.2", "x86-64-v3": "+fma"}
    names = [name for name, feature in levels.items() if feature in features]
    return [(None, False), (None, True), *((name, False) for name in names)]


# Inputs and references


def specials(bits: int) -> np.ndarray:
    info = np.finfo(DTYPES[bits])
    numbers = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, np.pi / 4, np.pi / 2, np.pi, 1e5, 2.0**20,
               2.0**info.nmant, 2.0 ** (info.nmant + 1), info.max, info.tiny,
               info.smallest_subnormal, np.inf]  # fmt: skip
    return np.array([*numbers, *(-x for x in numbers), np.nan], DTYPES[bits])


@cache
def samples(bits: int) -> np.ndarray:
    """Specials, all exponents of both signs, and many numbers where the functions bend."""
    random = np.random.default_rng(0)
    fraction = FORMATS[bits].mantissa
    exponents = np.repeat(
        np.arange(2 ** (bits - fraction), dtype=np.uint64), 40 if bits == 32 else 5
    )
    patterns = (exponents << np.uint64(fraction)) | random.integers(
        0, 2**fraction, exponents.size, dtype=np.uint64
    )
    everywhere = patterns.astype(f"u{bits // 8}").view(DTYPES[bits])
    most = 2.0 ** (np.log2(np.finfo(DTYPES[bits]).maxexp) - 0.4)  # beyond: e^x is 0 or infinite
    bends = [random.uniform(-width, width, 4000) for width in (0.5, 1.5, 10.0, most)]
    near_one = 1 + random.normal(0, 0.01, 2000)
    parts = [specials(bits), everywhere, *bends, near_one]
    return np.concatenate([part.astype(DTYPES[bits]) for part in parts])


@cache
def arguments(name: str, bits: int) -> tuple[np.ndarray, ...]:
    """What to call MATH[name] with."""
    x = samples(bits)
    if name not in BINARY:
        return (x,)
    random = np.random.default_rng(1)
    corners = [side.ravel() for side in np.meshgrid(specials(bits), specials(bits))]
    a, b = [corners[0], x], [corners[1], random.permutation(x)]
    middle = random.normal(0, 1, (2, 8000))
    a.append(middle[0])
    b.append(middle[1])
    if name == "pow":  # exponents that lead to every size of result, small whole ones, near 1
        finite = np.abs(x[np.isfinite(x) & (x != 0) & (np.abs(x) != 1)]).astype(np.float64)
        size = np.finfo(DTYPES[bits]).maxexp
        a += [finite, random.integers(-30, 30, 4000), 1 + random.normal(0, 1e-3, 4000)]
        b += [random.uniform(-size, size, finite.size) / np.log2(finite),
              random.integers(-30, 30, 4000), random.normal(0, 1e5, 4000)]  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):  # signalling NaN among them
        return tuple(np.concatenate(side).astype(DTYPES[bits]) for side in (a, b))


PI = "3.14159265358979323846264338327950288"


def erf(x: np.ndarray) -> np.ndarray:
    """Abramowitz & Stegun 7.1.6 below 2.5 and 7.1.14 above, in long double."""
    wide = np.abs(x.astype(np.longdouble))
    small, large = np.minimum(wide, 2.5), np.clip(wide, 2.5, 20)
    total = term = small
    for n in range(1, 70):
        term = term * (2 * small * small / (2 * n + 1))
        total = total + term
    root = np.sqrt(np.longdouble(PI))
    fraction = large
    for k in range(120, 0, -1):
        fraction = large + np.longdouble(k) / 2 / fraction
    near = 2 / root * np.exp(-small * small) * total
    far = 1 - np.exp(-large * large) / (root * fraction)
    return np.copysign(np.where(wide <= 2.5, near, np.where(np.isnan(wide), wide, far)), x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    y = np.exp(-np.abs(x))
    return np.where(x < 0, y, 1) / (1 + y)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


OURS = {"erf": erf, "sigmoid": sigmoid, "softplus": softplus}
NUMPY = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh",
         "atan": "arctan", "atan2": "arctan2", "atanh": "arctanh", "pow": "power",
         "round": "rint"}  # fmt: skip


@cache
def expected(name: str, bits: int) -> np.ndarray:
    """MATH[name] of its arguments in wider arithmetic."""
    reference = OURS.get(name) or getattr(np, NUMPY.get(name, name))
    with np.errstate(all="ignore"):
        return reference(*(x.astype(WIDER[bits]) for x in arguments(name, bits)))


def errors(y: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Distances in ulp; infinite where only one is NaN, infinite, or a zero of its sign."""
    info = np.finfo(y.dtype)
    with np.errstate(all="ignore"):
        rounded = wide.astype(y.dtype)
        _, exponent = np.frexp(wide)
        ulp = np.ldexp(np.ones_like(wide), np.maximum(exponent - 1, info.minexp) - info.nmant)
        distance = np.abs(y.astype(wide.dtype) - wide) / ulp
    special = ~np.isfinite(rounded) | ~np.isfinite(y) | ((rounded == 0) & (y == 0))
    same = (y == rounded) & (np.signbit(y) == np.signbit(rounded))
    at_end = np.isinf(rounded) & (np.abs(y) == info.max) & (np.sign(y) == np.sign(rounded))
    same |= (np.isnan(y) & np.isnan(rounded)) | at_end
    return np.where(special, np.where(same, 0, np.inf), distance)


def check(name: str, bits: int, y: np.ndarray, limit: float) -> None:
    wrong = errors(y, expected(name, bits))
    worst = int(np.argmax(wrong))
    at = [float(x[worst]) for x in arguments(name, bits)]
    assert wrong[worst] <= limit, f"{name} of {at}: {y[worst]}, {wrong[worst]:.2f} ulp"


# The tests

SAME_FORMAT = {"floor_divide", "maximum", "minimum", "remainder"}  # compared with NumPy's own
WIDE_CASES = [(name, bits) for name in sorted(MATH.keys() - SAME_FORMAT) for bits in (32, 64)]
CPUS = [
    pytest.param(*where, id=f"{where[0] or 'host'}{'-scalar' * where[1]}") for where in runnable()
]


@needs_longdouble
@pytest.mark.parametrize(("cpu", "scalar"), CPUS)
@pytest.mark.parametrize(("name", "bits"), WIDE_CASES)
def test_function_is_within_two_ulp(name: str, bits: int, cpu: str | None, scalar: bool) -> None:
    x, wide = arguments(name, bits), expected(name, bits)
    y = compiled(cpu, bits, scalar)[name](*x)
    wrong = errors(y, wide)
    worst = int(np.argmax(wrong))
    at = [float(one[worst]) for one in x]
    limit = 0.0 if name in EXACT else ULP
    assert wrong[worst] <= limit, f"{name} of {at}: {y[worst]}, {wrong[worst]:.2f} ulp off"


@pytest.mark.parametrize(("cpu", "scalar"), CPUS)
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", sorted(SAME_FORMAT))
def test_function_equals_numpy(name: str, bits: int, cpu: str | None, scalar: bool) -> None:
    x = arguments(name, bits)
    y = compiled(cpu, bits, scalar)[name](*x)
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(*x)
    np.testing.assert_array_equal(y, wanted)
    if name not in ("maximum", "minimum"):  # which zero is larger is nowhere said
        number = ~np.isnan(y)
        np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(wanted[number]))


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        (0.0, -3.0, INF), (-0.0, -3.0, -INF), (-0.0, -2.0, INF), (-0.0, -2.5, INF),
        (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0), (0.0, -INF, INF), (-0.0, INF, 0.0),
        (-1.0, INF, 1.0), (-1.0, -INF, 1.0), (1.0, NAN, 1.0), (NAN, 0.0, 1.0), (NAN, -0.0, 1.0),
        (-2.0, 0.5, NAN), (-2.0, 3.0, -8.0), (-2.0, -2.0, 0.25), (0.5, -INF, INF),
        (-0.5, INF, 0.0), (2.0, -INF, 0.0), (-2.0, INF, INF), (-INF, -3.0, -0.0),
        (-INF, -2.0, 0.0), (-INF, 3.0, -INF), (-INF, 2.5, INF), (INF, -1.0, 0.0),
        (INF, 0.5, INF), (NAN, 1.0, NAN), (2.0, NAN, NAN), (-1.0, NAN, NAN), (3.0, 4.0, 81.0),
        (10.0, 5.0, 1e5), (-1.0, 2.0**60, 1.0), (-1.0, 2.0**53 - 1, -1.0), (2.0, -149.0, 2.0**-149),
    ],
)  # fmt: skip
def test_pow_follows_c99(a: float, b: float, result: float, bits: int) -> None:
    if bits == 32 and b == 2.0**53 - 1:  # 2^53 as a float
        result = 1.0
    dtype = DTYPES[bits]
    y = compiled(None, bits, True)["pow"](np.array([a], dtype), np.array([b], dtype))[0]
    np.testing.assert_array_equal(y, dtype(result))
    assert np.isnan(y) or np.signbit(y) == np.signbit(result)


@needs_longdouble
def test_sin_and_cos_of_the_hardest_double() -> None:
    """Next to a multiple of π/2 as no other double is (Muller, Elementary Functions, 11.2)."""
    x = np.array([6381956970095103 * 2.0**797])
    functions = compiled(None, 64, False)
    assert functions["cos"](x)[0] == pytest.approx(-4.68716592425462761112e-19, rel=4e-16)
    assert functions["sin"](x)[0] == 1.0


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", ARM])
@pytest.mark.parametrize("bits", [32, 64])
def test_code_calls_nothing_outside(cpu: str, bits: int) -> None:
    name = cpu if ":" in cpu else f"x86_64-unknown-linux-gnu:{cpu}"
    chosen = target(name)
    module, _ = all_loops(chosen, bits, chosen.lanes(bits))
    text = llvm.assembly(module, chosen)
    defined = set(re.findall(r"^([\w.]+):", text, re.MULTILINE))
    called = set(re.findall(r"^\s+(?:callq?|jmp|bl?)\s+([a-zA-Z_][\w.]*)", text, re.MULTILINE))
    assert called <= defined


def test_function_is_written_once_for_each_type() -> None:
    module = ir.Module()
    kind = ir.VectorType(ir.FloatType(), 8)
    signature = ir.FunctionType(ir.VoidType(), [kind, ir.FloatType()])
    builder = ir.IRBuilder(ir.Function(module, signature, "f").append_basic_block())
    for x in (*builder.function.args, *builder.function.args):
        MATH["exp"](builder, x)
    assert {"exp.v8f32", "exp.f32"} == {name for name in module.globals if name.startswith("exp")}


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 3])
@pytest.mark.parametrize("offset", [0, 5, 2**32 - 4, 2**64 - 8])
def test_philox_equals_the_eager_bits(seed: int, offset: int, lanes: int) -> None:
    module = ir.Module()
    kind = shaped(I64, ir.VectorType(I64, lanes)) if lanes > 1 else I64
    words = shaped(ir.IntType(32), kind)
    signature = ir.FunctionType(ir.VoidType(), [kind.as_pointer(), I64, words.as_pointer()])
    function = ir.Function(module, signature, "draw")
    counter, stream, out = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    for k, word in enumerate(philox(builder, builder.load(counter, align=8), stream)):
        builder.store(word, builder.gep(out, [I64(k)]), align=4)
    builder.ret_void()
    code = llvm.object_code(module, target())
    library = llvm.load(code, ["draw"], f"philox_{next(SERIAL)}")
    counters = np.arange(lanes, dtype=np.uint64) + np.uint64(offset)
    drawn = np.empty((4, lanes), np.uint32)
    kinds = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]
    draw = ctypes.CFUNCTYPE(None, *kinds)(library.addresses["draw"])
    draw(counters.ctypes.data, seed, drawn.ctypes.data)
    np.testing.assert_array_equal(drawn.T.ravel(), rng.bits(seed, offset, 4 * lanes))
