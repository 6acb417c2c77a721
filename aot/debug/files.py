"""Puts placeholders for the compilation directory and for checksums into file nodes (DIFile).

The real ones are written into the object (see linker/lines.py). Only DWARF 5 has checksums, and the directory
as a string by itself wherever it is used, so that modules with older versions keep what they have.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from nativecache.aot.debug.syntax import DIRECTORY, MD5
from nativecache.linker.lines import DIRECTORY_PLACEHOLDER
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.debug.nodes import DebugNodes

#: The longest path that the placeholder has room for, in characters.
_LONGEST_DIRECTORY: Final = len(DIRECTORY_PLACEHOLDER) - 1


@dataclass(frozen=True, slots=True)
class Files:
    """A module's DIFile nodes with placeholders, by number, and the real MD5 sums by their placeholders.

    Sums and their placeholders are 16 bytes each.
    """

    bodies: Mapping[str, str]
    checksums: dict[bytes, bytes]


def read_files(nodes: DebugNodes, *, placeholders: bool, directory: str) -> Files:
    """The DIFile nodes of a module; as they are, unless `placeholders`, or in DWARF before version 5.

    `directory` is what the directory's placeholder stands for; a file in another folder keeps that.
    """
    bodies = {n: body for n, body in nodes.bodies.items() if body.startswith("!DIFile(")}
    if not placeholders or nodes.dwarf_version < 5:
        return Files(bodies, {})
    bodies = {n: _hide_directory(body, directory) for n, body in bodies.items()}
    # LLVM takes two names of one file for one if their checksums are equal, so each sum has one placeholder.
    names: dict[str, str] = {}
    for body in bodies.values():
        if found := MD5.search(body):
            name = body[: found.start()]
            names[found[1]] = min(name, names.get(found[1], name))
    checksums: dict[bytes, bytes] = {}
    for n, body in bodies.items():
        if found := MD5.search(body):
            placeholder = hashlib.md5(f"nc:{names[found[1]]}".encode("latin-1")).digest()
            real = bytes.fromhex(found[1])
            if checksums.setdefault(placeholder, real) == real:
                bodies[n] = f"{body[: found.start(1)]}{placeholder.hex()}{body[found.end(1) :]}"
    return Files(bodies, checksums)


def compilation_directory(text: str) -> str:
    """The directory of the first compile unit in some printed metadata, "" if there is none."""
    unit = re.search(r"= distinct !DICompileUnit\(.*?\bfile: (!\d+)", text)
    file = re.search(rf"^{unit[1]} = !DIFile\(.*$", text, re.MULTILINE) if unit else None
    found = DIRECTORY.search(file[0]) if file else None
    return found[1] if found else ""


def _hide_directory(body: str, directory: str) -> str:
    found = DIRECTORY.search(body)
    if found and found[1] and found[1] == directory and len(found[1]) <= _LONGEST_DIRECTORY:
        return f"{body[: found.start(1)]}{DIRECTORY_PLACEHOLDER}{body[found.end(1) :]}"
    return body
