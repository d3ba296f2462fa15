"""LLVM: what we generate code for, IR to object code, object code to addresses.

May import: llvmlite (nobody else does), base. Everything that depends on the kind of CPU is a field
of `Target`; to generate for another one, set `PIERIAN_TARGET_CPU` to a name LLVM knows, or to
"triple:cpu" for another architecture (which assembles here but does not run).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir as ir

from pierian.base.errors import CompileError, message

VECTOR_BYTES = (("+avx512f", 64), ("+avx2", 32), ("+avx", 32))  # first feature present wins
PLAIN_VECTOR_BYTES = 16  # SSE2 and NEON, part of every x86-64 and AArch64
OPTIMIZATION = 2  # of LLVM's own passes; the vectors are ours, so its vectorizers stay off


@dataclass(frozen=True)
class Target:
    """A CPU to generate code for.

    Args:  triple    architecture, as LLVM writes it.
           cpu       LLVM's name of the model.
           features  "+this,-that" as LLVM writes them; empty: all that the model has.
           vector    bytes of the widest register to use.
           native    whether the code runs in this process.
    """

    triple: str
    cpu: str
    features: str
    vector: int
    native: bool

    def lanes(self, bits: int) -> int:
        """How many elements of `bits` bits one register holds."""
        return self.vector * 8 // bits


@cache
def target(name: str | None = None) -> Target:
    """The CPU called `name`, that of `PIERIAN_TARGET_CPU`, or this machine's.

    Raises:  CompileError for a name LLVM does not know.
    """
    _initialize()
    name = name or os.environ.get("PIERIAN_TARGET_CPU", "")
    triple, _, cpu = name.rpartition(":")
    host = llvm.get_process_triple()
    if not cpu:
        cpu = llvm.get_host_cpu_name()
        features = llvm.get_host_cpu_features().flatten()
        return Target(host, cpu, features, _vector_bytes(features), True)
    triple = triple or host
    native = triple == host
    return Target(triple, cpu, "", _vector_bytes(_features_of(triple, cpu)), native)


def _vector_bytes(features: str) -> int:
    present = set(features.split(","))
    found = (width for feature, width in VECTOR_BYTES if feature in present)
    return next(found, PLAIN_VECTOR_BYTES)


LEVELS = {"x86-64": "", "x86-64-v2": "", "x86-64-v3": "+avx,+avx2", "x86-64-v4": "+avx2,+avx512f"}


def _features_of(triple: str, cpu: str) -> str:
    """The vector features of a CPU that is not this one; unknown models get the plain width."""
    if cpu == llvm.get_host_cpu_name():
        return str(llvm.get_host_cpu_features().flatten())
    return LEVELS.get(cpu, "")


@cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


@cache
def machine(chosen: Target) -> Any:
    """LLVM's target machine for `chosen`."""
    try:
        kind = llvm.Target.from_triple(chosen.triple)
    except RuntimeError as error:
        raise CompileError(
            message("compiler", "the target must be one LLVM knows", "a triple like "
                    "aarch64-unknown-linux-gnu", f"{chosen.triple} ({error})",
                    "Set PIERIAN_TARGET_CPU to triple:cpu or unset it")
        ) from None  # fmt: skip
    return kind.create_target_machine(
        cpu=chosen.cpu, features=chosen.features, opt=3, reloc="pic", codemodel="small", jit=True
    )


def versions() -> str:
    """What object code depends on besides the program: llvmlite's and LLVM's versions."""
    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def optimize(module: ir.Module, chosen: Target) -> Any:
    """`module` parsed, verified and simplified.

    Raises:  CompileError with LLVM's words when the IR is not valid: a bug in the generator.
    """
    module.triple = chosen.triple
    try:
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
    except RuntimeError as error:
        raise CompileError(
            message("compiler", "generated code must be valid", "LLVM IR that verifies", error,
                    "Report this with the function that was compiled; jit=False runs eagerly")
        ) from None  # fmt: skip
    options = llvm.create_pipeline_tuning_options(speed_level=OPTIMIZATION)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine(chosen), options)
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def object_code(module: ir.Module, chosen: Target) -> bytes:
    """`module` as a relocatable object file."""
    return bytes(machine(chosen).emit_object(optimize(module, chosen)))


def assembly(module: ir.Module, chosen: Target) -> str:
    """`module` as assembly text."""
    return str(machine(chosen).emit_assembly(optimize(module, chosen)))


@dataclass(frozen=True, eq=False)
class Library:
    """Object code in memory: addresses by function name. Lives as long as this object."""

    addresses: dict[str, int]
    tracker: Any


@cache
def _linker() -> Any:
    return llvm.create_lljit_compiler(machine(target()))


def load(code: bytes, names: Iterable[str], label: str) -> Library:
    """Link object code into this process; `label` must be new in it.

    Raises:  CompileError when the code is damaged or asks for symbols that do not exist.
    """
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    wanted = list(names)
    for name in wanted:
        builder = builder.export_symbol(name)
    try:
        tracker = builder.link(_linker(), label)
    except RuntimeError as error:
        raise CompileError(
            message("compiler", "object code must link", "a complete object file", error,
                    "Delete the cache folder and run again")
        ) from None  # fmt: skip
    return Library({name: tracker[name] for name in wanted}, tracker)
