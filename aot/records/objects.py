"""The forms in which a build keeps things in the cache, and the strict readers of each.

An entry says in its metadata of what form it is. Its reader takes that form only and raises Malformed for
anything else, which is a miss. What only the code that wrote it can read is marked with a digest of that
code, which is in the entry's key as well; objects are read by other versions too: their form has a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from nativecache.aot.codegen.diagnostics import Diagnostic, decode_diagnostics, encode_diagnostics
from nativecache.cache.entry import JSON, Entry
from nativecache.cache.shape import Malformed, check, list_of, number, record, row, text
from nativecache.linker.elf import check_object
from nativecache.linker.errors import BadObject
from nativecache.linker.values import dataclass

#: Raised whenever the metadata of objects changes.
_OBJECT_FORM: Final = 1
_OBJECT: Final = record(
    {"defined": list_of(text()), "undefined": list_of(text()), "milliseconds": number()},
    optional={"sites": text(), "form": text(), "diagnostics": list_of(row(text(), text()))},
)
#: The head of a block of bitcode at the top level: 2 bits to enter a block, 8 for its number, 4 for the width
#: of abbreviations, all else zero; then its length in words of four bytes (llvm.org/docs/BitCodeFormat.html).
_BLOCK: Final = Struct("<II")
_IDENTIFICATION, _MODULE = 13, 8


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A unit's object, or its assembly or bitcode; the names that it leaves undefined; its fixups, packed.

    `said`: what LLVM warned of when it made it.
    """

    entry: Entry
    undefined: list[str]
    milliseconds: float
    fixups: str
    said: list[Diagnostic]


def object_form(output: str) -> str:
    """The form in the metadata of what is made of units: `output` (as in Options) and a number."""
    return f"{output} {_OBJECT_FORM}"


def object_meta(
    output: str,
    defined: list[str],
    undefined: list[str],
    milliseconds: float,
    fixups: str,
    said: Sequence[Diagnostic] = (),
) -> dict[str, JSON]:
    """The metadata of what was made of a unit. `output` as in Options."""
    meta: dict[str, JSON] = {
        "form": object_form(output),
        "defined": defined,
        "undefined": undefined,
        "milliseconds": round(milliseconds, 3),
    }
    if fixups:
        meta["sites"] = fixups
    if said:
        meta["diagnostics"] = encode_diagnostics(said)
    return meta


def read_object(entry: Entry, output: str) -> StoredObject:
    """What was made of a unit, if the payload is such a thing and what is said of it is so.

    Raises Malformed.
    """
    check(entry.meta, _OBJECT)
    # Checked to be of their types just now.
    defined: list[str] = entry.meta["defined"]  # type: ignore[assignment]
    undefined: list[str] = entry.meta["undefined"]  # type: ignore[assignment]
    milliseconds = float(entry.meta["milliseconds"])  # type: ignore[arg-type]
    fixups = str(entry.meta.get("sites", ""))
    if output == "object":
        _check_object(entry.payload, defined, undefined, fixups)
    elif defined or undefined or fixups:
        raise Malformed("names that only objects have")
    elif output == "bitcode":
        _check_bitcode(entry.payload)
    elif entry.payload[:2] != b"\t." or entry.payload[-1:] != b"\n" or b"\0" in entry.payload:
        raise Malformed("no assembly as LLVM prints it")
    return StoredObject(
        entry, undefined, milliseconds, fixups, decode_diagnostics(entry.meta.get("diagnostics"))
    )


def _check_object(payload: bytes, defined: list[str], undefined: list[str], fixups: str) -> None:
    try:
        found = check_object(payload)
    except BadObject as error:
        raise Malformed(str(error)) from None
    if found != (defined, undefined):
        raise Malformed("an object that defines or needs something else than is said")
    if fixups:
        _check_fixups(payload, fixups)


def _check_fixups(payload: bytes, fixups: str) -> None:
    from nativecache.linker.fixups import Fixups
    from nativecache.linker.lines import DIRECTORY_PLACEHOLDER

    try:
        at = Fixups.decode(fixups)
    except BadObject as error:
        raise Malformed(str(error)) from None
    places = (at.declarations, [row[0] for row in at.rows], at.checksums, at.directories, at.names)
    widths = (4, 5, 16, len(DIRECTORY_PLACEHOLDER), 7)
    ends = (max(numbers) + width for numbers, width in zip(places, widths, strict=True) if numbers)
    if max(ends, default=0) > len(payload):
        raise Malformed("fixups outside of the object")


def _check_bitcode(payload: bytes) -> None:
    """Raises Malformed unless these are blocks one after the other, the first two those of a module."""
    blocks: list[int] = []
    at = 4
    while payload[:4] == b"BC\xc0\xde" and at + _BLOCK.size <= len(payload):
        head, words = _BLOCK.unpack_from(payload, at)
        if head & 3 != 1:
            break
        blocks.append(head >> 2 & 0xFF)
        at += _BLOCK.size + 4 * words
    if at != len(payload) or blocks[:2] != [_IDENTIFICATION, _MODULE]:
        raise Malformed("no bitcode as LLVM writes it")
