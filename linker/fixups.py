"""Finds where an object holds encoded lines and placeholders (lines.py), and writes the real ones over them.

`find_fixups` looks up once, when the object is made, where they are; `apply_fixups` writes them, each time
that it is linked, without reading DWARF. Nothing in the object moves. An object in which that cannot be done
is refused, for the caller can always compile with real lines. Besides lines, checksums in the file table of
DWARF 5 and the compilation directory are placeholders.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct, error, pack, unpack_from
from typing import Final

from nativecache.linker import lazy_re as re
from nativecache.linker.elf import ET_REL, Section, contents, read_headers
from nativecache.linker.errors import BadObject
from nativecache.linker.lines import (
    DIRECTORY_PLACEHOLDER,
    MAX_LINE,
    MIDDLE,
    RANGE_SHIFT,
    REACH,
    WIDTHS,
    Row,
    encode,
    spell_line,
)
from nativecache.linker.values import dataclass

#: The name of what has none: `(lambda at a.cpp:7:3)`, with one of those lines.
_LINE_IN_NAME: Final = re.compile(rb" at [^\0]*?:(@\d{6}):\d+\)")
# The 28 bits of a four-byte LEB128 number stand seven to a byte. With the bits between them set in one of two
# summands a carry passes over them, so such numbers are added as they stand.
_DIGITS: Final = 0x7F7F7F7F
_BETWEEN: Final = 0x80808080
_SIGN: Final = 0x40000000
#: Bytes of a checksum.
CHECKSUM: Final = 16
_ROW = Struct("<IBHH")
_WORD = Struct("<I")
_COUNTS = Struct("<IIIII")


@dataclass(frozen=True, slots=True)
class Fixups:
    """Where an object is written to, in bytes from its begin. False if nowhere.

    `declarations`: lines of four bytes. `rows`: (offset, width in bytes, range before, range after) of each
    step between ranges in line programs; ranges count from 1, and 0 is outside all. `checksums`: 16 bytes
    each. `directories`: copies of DIRECTORY_PLACEHOLDER. `names`: 7 digits each of lines in names.
    """

    declarations: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()
    checksums: tuple[int, ...] = ()
    directories: tuple[int, ...] = ()
    names: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.declarations or self.rows or self.checksums or self.directories or self.names)

    def encode(self) -> str:
        """The fixups as base64: 12 characters for a row, 5 or 6 for anything else; "" if there are none."""
        if not self:
            return ""
        kinds = (self.declarations, self.checksums, self.directories, self.names)
        numbers = sum(kinds, ())
        counts = (len(self.rows), *map(len, kinds))
        steps = b"".join([_ROW.pack(*row) for row in self.rows])
        data = _COUNTS.pack(*counts) + steps + pack(f"<{len(numbers)}I", *numbers)
        return binascii.b2a_base64(data, newline=False).decode()

    @classmethod
    def decode(cls, text: str) -> Fixups:
        """The fixups that `encode` made the text of. Costs 3 µs for 30 fixups. Raises BadObject."""
        if not text:
            return cls()
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
            rows, declarations, checksums, directories, names = _COUNTS.unpack_from(data)
            at = _COUNTS.size + rows * _ROW.size
            total = declarations + checksums + directories + names
            if len(data) != at + 4 * total:
                raise BadObject("sites of another length")
            numbers = unpack_from(f"<{total}I", data, at)
            steps = tuple(_ROW.iter_unpack(data[_COUNTS.size : at]))
        except (ValueError, error):
            raise BadObject("text that names no sites") from None
        if not WIDTHS.issuperset([width for _, width, _, _ in steps]):
            raise BadObject("a step between lines of no known width")
        checksums += declarations
        directories += checksums
        return cls(
            numbers[:declarations],
            steps,
            numbers[declarations:checksums],
            numbers[checksums:directories],
            numbers[directories:],
        )


def find_fixups(obj: bytes) -> Fixups:
    """Where an object that was compiled with lines from `encode` and `ordinal` must be written to.

    Costs 90 µs for a function with 30 fixups. Raises BadObject if an encoded line stands where no other fits,
    and for debug information that is damaged, compressed or of an unknown kind.
    """
    try:
        return _find_fixups(obj)
    except (IndexError, ValueError, error):
        raise BadObject("debug information ends too early") from None


def apply_fixups(
    obj: bytearray,
    fixups: Fixups,
    bases: Sequence[int],
    lines: Sequence[int],
    checksums: Mapping[bytes, bytes],
    directory: bytes,
    names: Sequence[int] = (),
) -> None:
    """Write the real lines, checksums and directory into an object, once.

    `bases` are the first lines of the ranges, up to MAX_LINE - REACH, `lines` those of the ordinals, and
    `names` those that are part of names, up to MAX_NAMED. `checksums` maps placeholders to MD5 sums, 16 bytes
    each; one that is unknown stays. `directory` may have as many bytes as DIRECTORY_PLACEHOLDER. Costs 8 µs
    for 30 fixups. Raises BadObject, and then leaves a useless object behind.
    """
    if bases and not 0 <= min(bases) <= max(bases) <= MAX_LINE - REACH:
        raise BadObject("a line below 0 or beyond what an advance of four bytes reaches")
    read, write = _WORD.unpack_from, _WORD.pack_into
    try:
        shifts = [base - encode(index, 0) for index, base in enumerate(bases)]
        for at in fixups.declarations:
            (line,) = read(obj, at)
            number = line >> RANGE_SHIFT
            if number:
                write(obj, at, line + shifts[number - 1])
            elif line >= MIDDLE:
                write(obj, at, lines[line - MIDDLE])
            else:
                raise BadObject("an object that has its lines already")
        to = [0, *map(_spread, shifts)]
        out_of = [0, *(_spread(-shift) for shift in shifts)]
        for at, width, before, after in fixups.rows:
            (delta,) = read(obj, at)
            delta = (((delta | _BETWEEN) + to[after]) | _BETWEEN) + out_of[before]
            if width == 4:
                write(obj, at, delta & _DIGITS | 0x808080)
            else:
                write(obj, at, delta & _DIGITS | _BETWEEN)
                obj[at + 4] = 0x7F if delta & _SIGN else 0
        for at in fixups.names:
            _overwrite(obj, at, spell_line(names[int(obj[at + 1 : at + 7])]).encode(), 7)
    except (IndexError, ValueError, error):
        raise BadObject("lines that do not go with the object") from None
    put_checksums(obj, fixups.checksums, checksums)
    for at in fixups.directories:
        _overwrite(obj, at, directory.ljust(len(DIRECTORY_PLACEHOLDER), b"\0"), len(DIRECTORY_PLACEHOLDER))


def put_checksums(obj: bytearray, places: Iterable[int], checksums: Mapping[bytes, bytes]) -> None:
    """Write the real checksums over placeholders that begin in some places; see `apply_fixups`.

    In an object, or in what holds some. Costs 0.2 µs for each. Raises BadObject.
    """
    for at in places:
        real = checksums.get(bytes(obj[at : at + CHECKSUM]))
        if real is not None:
            _overwrite(obj, at, real, CHECKSUM)


def _overwrite(obj: bytearray, at: int, new: bytes, size: int) -> None:
    if len(new) != size or at + size > len(obj):
        raise BadObject(f"{len(new)} bytes where {size} are to be written")
    obj[at : at + size] = new


def _spread(number: int) -> int:
    """The low 28 bits, seven to a byte."""
    return number & 0x7F | number << 1 & 0x7F00 | number << 2 & 0x7F0000 | number << 3 & 0x7F000000


def _find_fixups(obj: bytes) -> Fixups:
    from nativecache.linker.dwarf import debug_sections
    from nativecache.linker.dwarf_entries import Abbreviations, encoded_lines
    from nativecache.linker.dwarf_line_table import read_line_table

    file = read_headers(obj, ET_REL)
    if len(obj) >> 32:
        raise BadObject("an object of more than 4 GB")
    declarations: list[int] = []
    rows: list[Row] = []
    checksums: list[int] = []
    strings: list[Section] = []
    abbreviations = Abbreviations(obj, file)
    for number, name, section in debug_sections(obj, file):
        kind = name.removesuffix(".dwo")
        if kind in (".debug_info", ".debug_types"):
            data = contents(obj, section)
            declarations += [section.offset + at for at in encoded_lines(data, number, name, abbreviations)]
        elif kind == ".debug_line":
            data = contents(obj, section)
            at = 0
            while at < len(data):
                at = read_line_table(data, at, section.offset, rows, checksums)
        elif kind in (".debug_str", ".debug_line_str"):
            strings.append(section)
        elif kind in (".debug_macro", ".debug_macinfo", ".BTF.ext"):
            raise BadObject(f"lines in section {name}")
    directories = tuple(_directories(obj, strings))
    return Fixups(
        tuple(declarations), tuple(rows), tuple(checksums), directories, tuple(_names(obj, strings))
    )


def _directories(obj: bytes, strings: list[Section]) -> Iterator[int]:
    """Where the placeholder of the directory stands, which must be as a string by itself among strings."""
    placeholder = DIRECTORY_PLACEHOLDER.encode()
    at = obj.find(placeholder)
    while at >= 0:
        end = at + len(placeholder)
        home = next((s for s in strings if s.offset <= at and end < s.offset + s.size), None)
        if home is None or obj[end] or (at > home.offset and obj[at - 1]):
            raise BadObject("the directory stands where no other fits")
        yield at
        at = obj.find(placeholder, end)


def _names(obj: bytes, strings: list[Section]) -> Iterator[int]:
    """Where names hold the line of what has none of its own."""
    for section in strings:
        for match in _LINE_IN_NAME.finditer(contents(obj, section)):
            yield section.offset + match.start(1)
