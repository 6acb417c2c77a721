"""What a target triple says, above all whether there are objects for it. Light to import."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

#: Names of the architectures whose ELF files are 64-bit, little-endian, and hold relocations in the form
#: that all but MIPS has (llvm/lib/TargetParser/Triple.cpp has the names), and LLVM's own name of each.
_ARCHITECTURES: Final = {
    "x86_64": "x86_64",
    "x86_64h": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
    "powerpc64le": "powerpc64le",
    "ppc64le": "powerpc64le",
}
#: How system and environment begin where objects are no ELF files.
_NOT_ELF: Final = (
    *("darwin", "macos", "ios", "tvos", "watchos", "xros", "visionos", "driverkit", "bridgeos", "macho"),
    *("windows", "win32", "mingw", "cygwin", "uefi", "coff", "aix", "xcoff", "wasm", "wasi", "emscripten"),
)
#: How the environment ends where pointers have 32 bits.
_NARROW: Final = ("x32", "ilp32")
#: Flags of clang's that make a 32-bit target of a 64-bit one.
_NARROWING: Final = ("-m32", "-m16", "-mx32")

#: Systems that are written without a vendor (`x86_64-linux-gnu`).
_SYSTEMS: Final = (
    *("linux", "freebsd", "netbsd", "openbsd", "fuchsia", "haiku", "solaris", "hurd", "uefi"),
    *("windows", "win32", "mingw"),
)
#: How LLVM spells Windows with and without an environment.
_WINDOWS: Final = {"mingw32": "windows-gnu", "windows": "windows-msvc", "win32": "windows-msvc"}


def normalise(triple: str) -> str:
    """The triple with a vendor, as clang writes it: without one LLVM takes the system for it."""
    arch, *rest = triple.split("-")
    if rest and (system := _WINDOWS.get(rest[-1])):
        return normalise("-".join((arch, *rest[:-1], system)))
    if rest and rest[0].startswith(_SYSTEMS) and (len(rest) < 3 or not rest[1].startswith(_SYSTEMS)):
        return "-".join((arch, "unknown", *rest))
    return triple


def architecture(triple: str) -> str:
    """LLVM's name of the architecture, for those there are objects for; else the one in the triple."""
    arch = triple.partition("-")[0]
    return _ARCHITECTURES.get(arch, arch)


#: How LLVM's names of the other architectures begin; of what else there is, compilers say what they think.
_OTHERS: Final = (
    *("i386", "i486", "i586", "i686", "arm", "thumb", "aarch64", "mips", "ppc", "powerpc", "riscv", "s390"),
    *("sparc", "wasm", "bpf", "nvptx", "amdgcn", "r600", "spir", "hexagon", "loongarch", "m68k", "avr"),
    *("msp430", "ve", "xcore", "xtensa", "csky", "lanai", "systemz", "x86_64", "arc", "dxil"),
)


def is_known(triple: str) -> bool:
    """Whether a triple begins as those of some target of LLVM's."""
    return triple.startswith(_OTHERS) or makes_objects(triple)


def makes_objects(triple: str) -> bool:
    """Whether the target's objects are 64-bit little-endian ELF files."""
    arch, *rest = triple.split("-")
    if arch not in _ARCHITECTURES or any(part.endswith(_NARROW) for part in rest):
        return False
    return "elf" in rest or not any(part.startswith(_NOT_ELF) for part in rest)


def has_plain_assembly(triple: str) -> bool:
    """Whether the target's assembly holds symbols under the names that they have in IR, as ELF's does."""
    arch, *rest = triple.split("-")
    apart = arch.startswith(("wasm", "nvptx", "spirv", "amdgcn", "r600", "dxil"))
    return not apart and ("elf" in rest or not any(part.startswith(_NOT_ELF) for part in rest))


def refusal(triple: str, emit: str) -> str | None:
    """Why nothing of this kind can be made for a target, and what to do; None where it can."""
    known = ", ".join(dict.fromkeys(_ARCHITECTURES.values()))
    if emit == "bitcode" or makes_objects(triple):
        return None
    if emit == "asm":
        if has_plain_assembly(triple):
            return None
        return f"assembly for {triple} cannot be put together, only that of ELF targets: give --emit bitcode"
    return (
        f"there are no objects for {triple}, only 64-bit little-endian ELF files of {known}: "
        "choose one of these with --target, or give --emit bitcode"
    )


def narrowing(flags: Sequence[str]) -> str | None:
    """The flag among a compiler's that makes the target one of 32 bits; the last of its kind counts."""
    last = next((flag for flag in reversed(flags) if flag in (*_NARROWING, "-m64")), None)
    return last if last in _NARROWING else None


def named_target(flags: Sequence[str]) -> str | None:
    """The triple that a compiler's flags name, the last one as in clang."""
    found = None
    for flag, after in pairwise((*flags, "")):
        if flag.startswith("--target="):
            found = flag.removeprefix("--target=")
        elif flag in ("-target", "--target"):
            found = after
    return found or None
