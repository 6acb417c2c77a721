"""Finds the compiler driver (gcc, clang or zig) that is to link."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal

from nativecache.linker.errors import LinkError
from nativecache.linker.tools import LLVM_VERSIONS, ask, find_program
from nativecache.linker.values import dataclass

Family = Literal["gcc", "clang", "zig"]


# gcc before clang: as a link driver it takes 15 ms less.
C_DRIVERS = ("cc", "gcc", "clang", *(f"clang-{v}" for v in LLVM_VERSIONS))
CPLUSPLUS_DRIVERS = ("c++", "g++", "clang++", *(f"clang++-{v}" for v in LLVM_VERSIONS))


@dataclass(frozen=True)
class Driver:
    """A command that links when given objects, and the family whose flags it takes."""

    command: tuple[str, ...]
    family: Family


def find_driver(explicit: str | None, *, cplusplus: bool, environ: Mapping[str, str]) -> Driver:
    """The driver named by the user, else the first on PATH, else the one in the `ziglang` package.

    `explicit` may hold arguments (`ccache gcc`); with `cplusplus` its C++ sibling is taken (`clang-22` →
    `clang++-22`) where there is one. Raises LinkError.
    """
    if explicit:
        command = _split(explicit, environ)
        if cplusplus:
            sibling = find_program(_cplusplus_sibling(command[-1]), environ)
            command = (*command[:-1], sibling) if sibling else command
        return Driver(command, _family(command, environ))
    for name in CPLUSPLUS_DRIVERS if cplusplus else C_DRIVERS:
        if path := find_program(name, environ):
            return Driver((path,), _family((path,), environ))
    if zig := find_zig():
        return Driver((zig, "c++" if cplusplus else "cc"), "zig")
    kind = "C++" if cplusplus else "C"
    raise LinkError(f"no {kind} compiler to link with: install gcc or clang, or `pip install ziglang`")


def _split(explicit: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    import shlex

    first, *rest = [explicit] if find_program(explicit, environ) else shlex.split(explicit) or [explicit]
    path = find_program(first, environ)
    if not path:
        raise LinkError(f"compiler driver not found: {explicit}")
    return (path, *rest)


def _cplusplus_sibling(command: str) -> str:
    folder, name = os.path.split(command)
    for pattern, sibling in ((r"clang(?!\+)", "clang++"), (r"gcc", "g++"), (r"^cc$", "c++")):
        if re.search(pattern, name):
            return os.path.join(folder, re.sub(pattern, sibling, name, count=1))
    return command


def _family(command: tuple[str, ...], environ: Mapping[str, str]) -> Family:
    """By name, with symbolic links followed (`cc` → `gcc-12`); a name that says nothing is asked."""
    names = {os.path.basename(name) for word in command for name in (word, os.path.realpath(word))}
    if names & {"zig", "ziglang"}:
        return "zig"
    if any("clang" in name for name in names):
        return "clang"
    if any(re.search(r"gcc|g\+\+", name) for name in names):
        return "gcc"
    return "clang" if "clang" in ask((*command, "--version"), environ) else "gcc"


def find_zig() -> str | None:
    """The program in the `ziglang` package, if that is installed.

    Not `python -m ziglang`, which runs whatever is called so, or like a module that it imports, in the folder
    that the build is in. For the same reason a mere folder of that name is none.
    """
    from importlib.util import find_spec

    spec = find_spec("ziglang")
    if spec is None or not spec.origin:
        return None
    path = os.path.join(os.path.dirname(os.path.abspath(spec.origin)), "zig")
    return path if os.access(path, os.X_OK) else None
