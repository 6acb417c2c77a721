"""Finds linkers, and chooses the fastest that is right for what is linked.

Linkers read options, scripts and common symbols differently, and do not all know each machine. That the image
is right comes before how fast it is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from nativecache.linker.errors import LinkError
from nativecache.linker.tools import LLVM_VERSIONS, ask, find_program
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.linker.alike import Reading

LinkerName = Literal["mold", "lld", "gold", "bfd"]


#: The files that each linker is looked for in, on PATH or absolute.
LINKER_FILES: dict[LinkerName, tuple[str, ...]] = {
    "mold": ("ld.mold", "mold"),
    "lld": (
        "ld.lld",
        *(f"ld.lld-{v}" for v in LLVM_VERSIONS),
        *(f"/usr/lib/llvm-{v}/bin/ld.lld" for v in LLVM_VERSIONS),
    ),
    "gold": ("ld.gold",),
    "bfd": ("ld.bfd",),
}

# Fastest first. An archive of 2,600 objects of 1.7 kB under --whole-archive, gcc as driver, whole process,
# two cores, median of nine: mold 1.10 33 ms, lld 22 37 ms, gold 45 ms, bfd 2.40 155 ms. gold is left out
# because binutils no longer maintains it.
_AUTO_ORDER: tuple[LinkerName, ...] = ("mold", "lld", "bfd")
# `mold -r` (1.10) makes hidden thread-local symbols visible.
_AUTO_ORDER_RELOCATABLE: tuple[LinkerName, ...] = ("lld", "bfd")
# lld links for all machines, with all relocations of the LLVM that it came with.
_AUTO_ORDER_ELSEWHERE: tuple[LinkerName, ...] = ("lld", "mold", "bfd")
# Of common symbols of one name mold (1.10) takes the first, not the largest; lld looks for no definition of
# one in archives.
_AUTO_ORDER_COMMON: tuple[LinkerName, ...] = ("bfd", "lld", "mold")
# What scripts are written for, and how: mold 1.10 knows no SECTIONS and crashes on `--defsym=a=b+1`.
_AUTO_ORDER_SCRIPTED: tuple[LinkerName, ...] = ("bfd", "lld")
# By how the linkers read the options (see alike.py).
_AUTO_ORDER_READ: dict[Reading, tuple[LinkerName, ...]] = {
    "exports": ("lld", "bfd", "mold"),
    "unlike": ("bfd", "lld", "mold"),
    "llvm": ("lld", "mold", "bfd"),
}

# From which version mold has the relocations that LLVM writes for a machine: RISC-V's for differences as
# ULEB128, which debug information has, since 2.0, mended later; LoongArch at all since 2.3.
_MOLD_SINCE = {"riscv64": (2, 4), "loongarch64": (2, 4)}
_MOLD_MACHINES = ("x86_64", "aarch64", "powerpc64le", *_MOLD_SINCE)
# What GNU ld calls the machines, in its list of emulations.
_EMULATIONS = {
    "x86_64": "elf_x86_64",
    "aarch64": "aarch64linux",
    "riscv64": "elf64lriscv",
    "loongarch64": "elf64loongarch",
    "powerpc64le": "elf64lppc",
}


@dataclass(frozen=True)
class Linker:
    """A linker program; `path` is absolute."""

    path: str
    name: LinkerName


def find_linker(
    name_or_path: str,
    environ: Mapping[str, str],
    *,
    relocatable: bool = False,
    machine: str = "x86_64",
    common: bool = False,
    scripted: bool = False,
    reading: Reading = "alike",
) -> Linker | None:
    """The linker called 'mold', 'lld', 'gold' or 'bfd', or at a path; 'auto' is the fastest one present.

    `relocatable` says that 'auto' shall choose one for `ld -r`. It chooses only what links for `machine`, an
    architecture in LLVM's words, is right by `common` symbols, takes any script if `scripted`, and reads the
    options as `reading` (see alike.py) demands. None only for 'auto' when there is none to choose. Raises
    LinkError when the one asked for is missing.
    """
    elsewhere = machine != "x86_64"
    auto = _order(relocatable, elsewhere, common, scripted, reading)
    choosing = elsewhere and name_or_path == "auto"
    for name in auto if name_or_path == "auto" else LINKER_FILES:
        if name_or_path in ("auto", name):
            for file in LINKER_FILES[name]:
                path = find_program(file, environ)
                if path and not (choosing and not _links_for(name, path, machine, environ)):
                    return Linker(os.path.abspath(path), name)
    if name_or_path == "auto":
        return None
    path = None if name_or_path in LINKER_FILES else find_program(name_or_path, environ)
    if not path:
        raise LinkError(f"linker not found: {name_or_path}")
    return Linker(os.path.abspath(path), _linker_name(path, environ))


def _order(
    relocatable: bool, elsewhere: bool, common: bool, scripted: bool, reading: Reading
) -> tuple[LinkerName, ...]:
    """The linkers that are right, best first. `elsewhere` is any machine but x86-64."""
    if relocatable:
        asked = scripted or reading == "unlike"
        return _AUTO_ORDER_RELOCATABLE[::-1] if asked and not elsewhere else _AUTO_ORDER_RELOCATABLE
    if scripted:
        return _AUTO_ORDER_SCRIPTED[::-1] if elsewhere else _AUTO_ORDER_SCRIPTED
    if common and reading in ("alike", "exports"):
        return _AUTO_ORDER_COMMON
    if reading != "alike":
        return _AUTO_ORDER_READ["exports" if elsewhere else reading]
    return _AUTO_ORDER_ELSEWHERE if elsewhere else _AUTO_ORDER


def _linker_name(path: str, environ: Mapping[str, str]) -> LinkerName:
    names = os.path.basename(path) + " " + os.path.basename(os.path.realpath(path))
    said = names if re.search("mold|lld|gold|bfd", names) else ask((path, "--version"), environ).lower()
    found = re.search("mold|lld|gold", said)
    return found[0] if found else "bfd"  # type: ignore[return-value]


def _links_for(name: LinkerName, path: str, machine: str, environ: Mapping[str, str]) -> bool:
    """Whether a linker knows a machine, and the relocations that LLVM writes for it."""
    if name == "mold":
        since = _MOLD_SINCE.get(machine)
        return machine in _MOLD_MACHINES and (since is None or _version(path, environ) >= since)
    if name == "lld":  # LoongArch and RISC-V's ULEB128 came with 17 and 18
        return machine not in _MOLD_SINCE or _version(path, environ) >= (18,)
    return _EMULATIONS.get(machine, machine) in ask((path, "-V"), environ).split()


def _version(path: str, environ: Mapping[str, str]) -> tuple[int, ...]:
    """The version that a linker says it has; empty if it says none."""
    found = re.search(r"(?:mold|LLD) (\d+(?:\.\d+)*)", ask((path, "--version"), environ))
    return tuple(map(int, found[1].split("."))) if found else ()
