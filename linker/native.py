"""Tells which symbols a native input (`.o`, `.a`, `.so`) defines and which it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .archive import MAGIC, THIN_MAGIC, read_archive
from .elf import linkage
from .errors import BadObject


@dataclass(frozen=True)
class NativeSymbols:
    """`undefined` are the names that some object of the input uses without defining them itself.

    A name can be in both sets: one member of an archive may define what another one needs, and still the
    program's own definition would be taken if it is linked first.
    """

    defined: frozenset[str]
    undefined: frozenset[str]


def scan_native(path: str | os.PathLike[str]) -> NativeSymbols:
    """Symbols of an object, of all members of an archive (thin ones too), or of a shared library.

    Members that are not ELF files are passed over, as linkers do, but LLVM bitcode is refused: its
    symbols would be missing. Raises BadObject naming the file, and OSError.
    """
    with open(path, "rb") as file:
        data = file.read()
    defined: set[str] = set()
    undefined: set[str] = set()
    where = os.fspath(path)
    try:
        if data[:8] in (MAGIC, THIN_MAGIC):
            for name, content in read_archive(data, os.path.dirname(path)):
                where = f"{os.fspath(path)}({name})"
                if content[:4] in (b"\x7fELF", b"BC\xc0\xde"):
                    _add(content, defined, undefined)
        else:
            _add(data, defined, undefined)
    except BadObject as error:
        raise BadObject(f"{where}: {error}") from None
    return NativeSymbols(frozenset(defined), frozenset(undefined))


def _add(obj: bytes, defined: set[str], undefined: set[str]) -> None:
    own, needed = linkage(obj)
    defined.update(own)
    undefined.update(needed)
