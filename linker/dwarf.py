"""Finds what ties an object's debug information to a place in a source file, and writes it anew.

A function is compiled with line numbers that do not say where it stands: each file and first line that it
takes code from is a range, and a line is its range's number and its distance from the first line. Those
numbers are so big and so far apart that LLVM gives each the longest encoding that a line can need:

- a DW_AT_decl_line or DW_AT_call_line is a DW_FORM_data4, so any line fits into its place;
- in a line program the steps inside a range are the real ones, and a step from one range to another, or from
  or to a line outside all ranges, is a DW_LNS_advance_line of four bytes (27 bits and a sign) or five.

So the real lines are written over the others and nothing moves. `find_fixups` looks up once where they go,
`apply_fixups` writes them. Whatever does not keep to the above is refused, for the caller can always compile
with real lines. The file table's checksums (DWARF 5) and the directory of the compilation are placeholders
too.

The formats are those of the DWARF standard, versions 2 to 5, with GNU's and LLVM's additions.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from struct import Struct, error, pack, unpack_from
from typing import Final

from nativecache.linker.elf import (
    ET_REL,
    Headers,
    Section,
    contents,
    read_headers,
    relocated,
    string_at,
    string_table,
)
from nativecache.linker.errors import BadObject

RANGE_SHIFT: Final = 21
MIDDLE: Final = 1 << 20
REACH: Final = 1 << 18
MAX_RANGES: Final = 2046  # the line register of LLVM and of DWARF's readers has 32 bits
MAX_LINE: Final = (1 << 27) - 1  # what an advance of four bytes reaches from any line
DIRECTORY_PLACEHOLDER: Final = "/nc" + "directory".center(125, "_")

MAX_NAMES: Final = 1_000_000
MAX_NAMED: Final = 9_999_999
#: The name of what has none: `(lambda at a.cpp:7:3)`, with one of those lines.
_LINE_IN_NAME: Final = re.compile(rb" at [^\0]*?:(@\d{6}):\d+\)")

_OFFSET_MASK: Final = (1 << RANGE_SHIFT) - 1

# The 28 bits of a four-byte LEB128 number stand seven to a byte. With the bits between them set in one of two
# summands a carry passes over them, so such numbers are added as they stand.
_DIGITS: Final = 0x7F7F7F7F
_BETWEEN: Final = 0x80808080
_SIGN: Final = 0x40000000
_HALF = Struct("<H")
_WORD = Struct("<I")
_DOUBLE_WORD = Struct("<Q")
_ROW = Struct("<IBHH")
_WIDTHS: Final = frozenset((4, 5))  # of a step between ranges, in bytes
_COUNTS = Struct("<IIIII")

_SHT_NOBITS = 8
_SHF_COMPRESSED = 0x800

_DW_UT_COMPILE, _DW_UT_TYPE, _DW_UT_SKELETON, _DW_UT_SPLIT_COMPILE, _DW_UT_SPLIT_TYPE = 1, 2, 4, 5, 6
_DW_AT_DECL_LINE, _DW_AT_CALL_LINE = 0x3B, 0x59
_DW_LNCT_MD5 = 5
_DW_FORM_INDIRECT, _DW_FORM_IMPLICIT_CONST = 0x16, 0x21
_DW_FORM_DATA4, _DW_FORM_DATA16 = 0x06, 0x1E
_DW_LNS_ADVANCE_LINE, _DW_LNS_FIXED_ADVANCE_PC = 3, 9
_DW_LNE_END_SEQUENCE = 1
_OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])  # of the standard opcodes 1 to 12

# How the value of a form ends. The sizes of those in _BY_UNIT depend on the unit.
_LEB, _STRING, _BLOCK, _BLOCK1, _BLOCK2, _BLOCK4, _INDIRECT, _LEB_DATA4, _LINE, _LEB_LINE, _LONG_LINE = range(
    11
)
_FIXED: Final = {
    **dict.fromkeys((0x0B, 0x0C, 0x11, 0x25, 0x29), 1),  # data1 flag ref1 strx1 addrx1
    **dict.fromkeys((0x05, 0x12, 0x26, 0x2A), 2),  # data2 ref2 strx2 addrx2
    **dict.fromkeys((0x27, 0x2B), 3),  # strx3 addrx3
    **dict.fromkeys((0x06, 0x13, 0x1C, 0x28, 0x2C), 4),  # data4 ref4 ref_sup4 strx4 addrx4
    **dict.fromkeys((0x07, 0x14, 0x20, 0x24), 8),  # data8 ref8 ref_sig8 ref_sup8
    0x1E: 16,  # data16
    **dict.fromkeys((0x19, 0x21), 0),  # flag_present implicit_const
}
_VARIABLE: Final = {
    # sdata udata ref_udata strx addrx loclistx rnglistx GNU_addr_index GNU_str_index
    **dict.fromkeys((0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02), _LEB),
    0x08: _STRING,
    **dict.fromkeys((0x09, 0x18), _BLOCK),  # block exprloc
    0x0A: _BLOCK1,
    0x03: _BLOCK2,
    0x04: _BLOCK4,
    0x16: _INDIRECT,
    0x2001: _LEB_DATA4,  # LLVM_addrx_offset
}
# What a line stands in: any line, or only one that was not encoded.
_LINES: Final = {0x06: _LINE, 0x07: _LONG_LINE, 0x0D: _LEB_LINE, 0x0F: _LEB_LINE}
_SHORT_LINES: Final = frozenset((0x05, 0x0B))  # data2 data1
# strp sec_offset strp_sup line_strp GNU_ref_alt GNU_strp_alt
_OFFSETS: Final = frozenset((0x0E, 0x17, 0x1D, 0x1F, 0x1F20, 0x1F21))
_DW_FORM_ADDR, _DW_FORM_REF_ADDR = 0x01, 0x10

# The attributes of one kind of entry: pairs of bytes to pass over and what comes then, and the bytes after.
_Layout = tuple[list[tuple[int, int]], int]
_Row = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Fixups:
    """Where an object is written to, in bytes from its begin. False if nowhere.

    `declarations`: lines of four bytes. `rows`: (offset, width in bytes, range before, range after) of each
    step between ranges in line programs; ranges count from 1, and 0 is outside all. `checksums`: 16 bytes
    each. `directories`: copies of DIRECTORY_PLACEHOLDER. `names`: 7 digits each of lines in names.
    """

    declarations: tuple[int, ...] = ()
    rows: tuple[_Row, ...] = ()
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
        if not _WIDTHS.issuperset([width for _, width, _, _ in steps]):
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


def encode(range_index: int, offset: int) -> int:
    """The number to compile with for the line `offset` lines behind (or, if negative, before) a range's base.

    Raises ValueError for an index not below MAX_RANGES and an offset beyond +-REACH.
    """
    if not (0 <= range_index < MAX_RANGES and -REACH <= offset <= REACH):
        raise ValueError(f"line {offset} of range {range_index}")
    return ((range_index + 1) << RANGE_SHIFT) + MIDDLE + offset


def ordinal(k: int) -> int:
    """The number to compile with for the `k`th of the lines that declarations have. Raises ValueError."""
    if not 0 <= k < MIDDLE:
        raise ValueError(f"line number {k} of declarations")
    return MIDDLE + k


def name_line(k: int) -> str:
    """What stands for the `k`th of the lines that are part of names. Raises ValueError."""
    if not 0 <= k < MAX_NAMES:
        raise ValueError(f"line number {k} of names")
    return f"@{k:06}"


def spell_line(line: int) -> str:
    """A line as part of a name. Raises ValueError."""
    if not 0 <= line <= MAX_NAMED:
        raise ValueError(f"line {line} in a name")
    return f"{line:07}"


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
    for at in fixups.checksums:
        real = checksums.get(bytes(obj[at : at + 16]))
        if real is not None:
            _overwrite(obj, at, real, 16)
    for at in fixups.directories:
        _overwrite(obj, at, directory.ljust(len(DIRECTORY_PLACEHOLDER), b"\0"), len(DIRECTORY_PLACEHOLDER))


def _overwrite(obj: bytearray, at: int, new: bytes, size: int) -> None:
    if len(new) != size or at + size > len(obj):
        raise BadObject(f"{len(new)} bytes where {size} are to be written")
    obj[at : at + size] = new


def _spread(number: int) -> int:
    """The low 28 bits, seven to a byte."""
    return number & 0x7F | number << 1 & 0x7F00 | number << 2 & 0x7F0000 | number << 3 & 0x7F000000


def _range_of(line: int) -> int:
    """The range of an encoded line, counted from 1; 0 for a line that was not encoded."""
    if line < MIDDLE:
        if line < 0:
            raise BadObject("a line below 0")
        return 0
    number = line >> RANGE_SHIFT
    if not (1 <= number <= MAX_RANGES and -REACH <= (line & _OFFSET_MASK) - MIDDLE <= REACH):
        raise BadObject(f"line {line} is of no range")
    return number


def _find_fixups(obj: bytes) -> Fixups:
    file = read_headers(obj, ET_REL)
    if len(obj) >> 32:
        raise BadObject("an object of more than 4 GB")
    declarations: list[int] = []
    rows: list[_Row] = []
    checksums: list[int] = []
    strings: list[Section] = []
    abbreviations = _Abbreviations(obj, file)
    for number, name, section in _debug_sections(obj, file):
        kind = name.removesuffix(".dwo")
        if kind in (".debug_info", ".debug_types"):
            data = contents(obj, section)
            declarations += [section.offset + at for at in _declarations(data, number, name, abbreviations)]
        elif kind == ".debug_line":
            data = contents(obj, section)
            at = 0
            while at < len(data):
                at = _line_table(data, at, section.offset, rows, checksums)
        elif kind in (".debug_str", ".debug_line_str"):
            strings.append(section)
        elif kind in (".debug_macro", ".debug_macinfo", ".BTF.ext"):
            raise BadObject(f"lines in section {name}")
    directories = tuple(_directories(obj, strings))
    return Fixups(
        tuple(declarations), tuple(rows), tuple(checksums), directories, tuple(_names(obj, strings))
    )


def _debug_sections(obj: bytes, file: Headers) -> Iterator[tuple[int, str, Section]]:
    """Number, name and header of each section with debug information."""
    names = string_table(obj, file, file.names_index)
    for number, section in enumerate(file.sections):
        name = string_at(names, section.name)
        if name.startswith((".debug_", ".BTF", ".zdebug_")):
            if section.flags & _SHF_COMPRESSED or section.type == _SHT_NOBITS or name[1] == "z":
                raise BadObject(f"section {name} is compressed or elsewhere")
            yield number, name, section


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


def _declarations(data: bytes, number: int, name: str, abbreviations: _Abbreviations) -> Iterator[int]:
    """Offsets of the encoded lines in section `number`, a .debug_info or .debug_types."""
    at = 0
    while at < len(data):
        start, end, offset_size = _extent(data, at)
        (version,) = _HALF.unpack_from(data, start)
        _check_version(version)
        if version == 5:
            kind, address_size, table_at = data[start + 2], data[start + 3], start + 4
            start = table_at + offset_size
            if kind in (_DW_UT_SKELETON, _DW_UT_SPLIT_COMPILE):
                start += 8
        else:
            kind = _DW_UT_TYPE if name.startswith(".debug_types") else _DW_UT_COMPILE
            table_at = start + 2
            start = table_at + offset_size + 1
            address_size = data[start - 1]
        if kind in (_DW_UT_TYPE, _DW_UT_SPLIT_TYPE):
            start += 8 + offset_size
        sizes = _sizes(offset_size, address_size, address_size if version == 2 else offset_size)
        table = _offset(data, table_at, offset_size)
        layouts = abbreviations.layouts(number, table_at, table, name.endswith(".dwo"), sizes)
        for line_at in _lines_of_entries(data, start, end, layouts, sizes):
            (line,) = _WORD.unpack_from(data, line_at)
            if line >= MIDDLE:
                if line >> RANGE_SHIFT:
                    _range_of(line)
                yield line_at
        at = end


def _lines_of_entries(
    data: bytes, at: int, end: int, layouts: dict[int, _Layout], sizes: Mapping[int, int]
) -> list[int]:
    """Offsets of the lines of four bytes in one unit's entries."""
    found: list[int] = []
    while at < end:
        code = data[at]
        at += 1
        if code == 0:
            continue
        if code > 0x7F:
            code, at = _uleb(data, at - 1)
        layout = layouts.get(code)
        if layout is None:
            raise BadObject(f"abbreviation {code} is missing")
        steps, tail = layout
        for skip, kind in steps:
            at += skip
            if kind == _LINE:
                found.append(at)
            elif kind == _LEB:
                while data[at] > 0x7F:
                    at += 1
                at += 1
            elif kind == _BLOCK:
                length, at = _uleb(data, at)
                at += length
            else:
                at = _pass_over(data, at, kind, sizes)
        at += tail
    if at != end:
        raise BadObject("an entry reaches past its unit")
    return found


def _pass_over(data: bytes, at: int, kind: int, sizes: Mapping[int, int]) -> int:
    """The offset behind a value."""
    if kind == _STRING:
        return data.index(0, at) + 1
    if kind == _BLOCK1:
        return at + 1 + data[at]
    if kind == _BLOCK2:
        return at + 2 + int(_HALF.unpack_from(data, at)[0])
    if kind == _BLOCK4:
        return at + 4 + int(_WORD.unpack_from(data, at)[0])
    if kind == _LONG_LINE:
        _check_fixed_line(int(_DOUBLE_WORD.unpack_from(data, at)[0]))
        return at + 8
    number, after = _uleb(data, at)
    if kind == _BLOCK:
        return after + number
    if kind == _LEB_DATA4:
        return after + 4
    if kind == _LEB_LINE:
        _check_fixed_line(number)
    if kind == _INDIRECT:
        if number in (_DW_FORM_INDIRECT, _DW_FORM_IMPLICIT_CONST):
            raise BadObject(f"form {number:#x} where it cannot be")
        if number in sizes:
            return after + sizes[number]
        return _pass_over(data, after, _kind(number), sizes)
    return after


def _check_fixed_line(line: int) -> None:
    if line >= MIDDLE:
        raise BadObject("an encoded line stands where no other fits")


class _Abbreviations:
    """The abbreviation tables of one object, each read once."""

    def __init__(self, obj: bytes, file: Headers) -> None:
        self._obj = obj
        self._file = file
        self._relocated: dict[int, dict[int, tuple[int, int]]] = {}
        self._layouts: dict[tuple[int, int, int], dict[int, _Layout]] = {}

    def layouts(
        self, number: int, at: int, table: int, split: bool, sizes: Mapping[int, int]
    ) -> dict[int, _Layout]:
        """The layouts by code of a unit in section `number` whose header names its table at `at`."""
        if number not in self._relocated:
            self._relocated[number] = relocated(self._obj, self._file, number)
        home, table = self._relocated[number].get(at) or (self._section(split), table)
        key = home, table, id(sizes)  # there is one mapping of sizes for all units alike
        if key not in self._layouts:
            if home >= len(self._file.sections):
                raise BadObject("abbreviations in a section that is missing")
            data = contents(self._obj, self._file.sections[home])
            if not 0 <= table <= len(data):
                raise BadObject("an abbreviation table outside its section")
            self._layouts[key] = _abbreviation_table(data, table, sizes)
        return self._layouts[key]

    def _section(self, split: bool) -> int:
        wanted = ".debug_abbrev.dwo" if split else ".debug_abbrev"
        for number, name, _ in _debug_sections(self._obj, self._file):
            if name == wanted:
                return number
        raise BadObject(f"section {wanted} is missing")


def _abbreviation_table(data: bytes, at: int, sizes: Mapping[int, int]) -> dict[int, _Layout]:
    layouts: dict[int, _Layout] = {}
    code, at = _uleb(data, at)
    while code:
        _, at = _uleb(data, at)  # the tag
        at += 1  # whether entries have children
        steps: list[tuple[int, int]] = []
        skip = 0
        attribute, at = _uleb(data, at)
        form, at = _uleb(data, at)
        while attribute or form:
            is_line = attribute in (_DW_AT_DECL_LINE, _DW_AT_CALL_LINE)
            if form == _DW_FORM_IMPLICIT_CONST:
                value, at = _uleb(data, at)
                if is_line:
                    _check_fixed_line(value)
            elif is_line and form not in _SHORT_LINES:
                if form not in _LINES:
                    raise BadObject(f"a line in form {form:#x}")
                steps.append((skip, _LINES[form]))
                skip = 4 if form == _DW_FORM_DATA4 else 0
            elif form in sizes:
                skip += sizes[form]
            else:
                steps.append((skip, _kind(form)))
                skip = 0
            attribute, at = _uleb(data, at)
            form, at = _uleb(data, at)
        layouts[code] = steps, skip
        code, at = _uleb(data, at)
    return layouts


def _kind(form: int) -> int:
    kind = _VARIABLE.get(form)
    if kind is None:
        raise BadObject(f"unknown DWARF form {form:#x}")
    return kind


@cache
def _sizes(offset_size: int, address_size: int, reference_size: int) -> Mapping[int, int]:
    """The sizes of the forms that have one size all over a unit; the same mapping for the same sizes."""
    if address_size not in (1, 2, 4, 8):
        raise BadObject(f"addresses of {address_size} bytes")
    variable = {_DW_FORM_ADDR: address_size, _DW_FORM_REF_ADDR: reference_size}
    return _FIXED | dict.fromkeys(_OFFSETS, offset_size) | variable


def _line_table(data: bytes, at: int, base: int, rows: list[_Row], checksums: list[int]) -> int:
    """Add the fixups in the line table at `at` of a section that begins at `base`; return the table's end."""
    at, end, offset_size = _extent(data, at)
    (version,) = _HALF.unpack_from(data, at)
    _check_version(version)
    at += 4 if version == 5 else 2
    program = at + offset_size + _offset(data, at, offset_size)
    at += offset_size + (3 if version >= 4 else 2)  # minimum instruction length, operations, default is_stmt
    line_base = data[at] - 256 if data[at] > 127 else data[at]
    line_range, opcode_base = data[at + 1], data[at + 2]
    operands = data[at + 3 : at + 2 + opcode_base]
    at += 2 + opcode_base
    if not (line_range and opcode_base and _OPERANDS.startswith(operands[:12]) and program <= end):
        raise BadObject("a line table of an unknown kind")
    if version == 5:
        sizes = _sizes(offset_size, 8, offset_size)
        for _ in "directories", "files":
            at = _table_of_names(data, at, program, base, sizes, checksums)
    for start, width, before, after in _steps(data, program, end, line_base, line_range, operands):
        rows.append((base + start, width, before, after))
    return end


def _table_of_names(
    data: bytes, at: int, end: int, base: int, sizes: Mapping[int, int], checksums: list[int]
) -> int:
    """Add the places of the checksums in one of the two tables of names of DWARF 5; return its end."""
    formats = data[at]
    at += 1
    fields: list[tuple[int, int]] = []
    for _ in range(formats):
        content, at = _uleb(data, at)
        form, at = _uleb(data, at)
        if form in (_DW_FORM_INDIRECT, _DW_FORM_IMPLICIT_CONST) or sizes.get(form) == 0:
            raise BadObject(f"a name in form {form:#x}")
        fields.append((content, form))
    count, at = _uleb(data, at)
    if count and not fields:
        raise BadObject("names without form")
    for _ in range(count):
        for content, form in fields:
            if content == _DW_LNCT_MD5:
                if form != _DW_FORM_DATA16:
                    raise BadObject(f"a checksum in form {form:#x}")
                checksums.append(base + at)
            at = at + sizes[form] if form in sizes else _pass_over(data, at, _kind(form), sizes)
        if at > end:
            raise BadObject("names reach past their table")
    return at


def _steps(
    data: bytes, at: int, end: int, line_base: int, line_range: int, operands: bytes
) -> Iterator[_Row]:
    """Follow the line register through a line program; offset, width and ranges of each step between them.

    `operands` are the numbers of operands of the standard opcodes; what is above those is a special opcode.
    """
    opcode_base = len(operands) + 1
    line = 1
    inside = 0
    while at < end:
        opcode = data[at]
        at += 1
        if opcode >= opcode_base:
            step = line_base + (opcode - opcode_base) % line_range
            if step:
                line += step
                if _range_of(line) != inside:
                    raise BadObject("a short step between the lines of two functions")
        elif opcode == _DW_LNS_ADVANCE_LINE:
            start = at
            step, at = _sleb(data, at)
            line += step
            before, inside = inside, _range_of(line)
            if before != inside:
                if at - start not in _WIDTHS:
                    raise BadObject(f"an advance of lines of {at - start} bytes")
                yield start, at - start, before, inside
        elif opcode == _DW_LNS_FIXED_ADVANCE_PC:
            at += 2
        elif opcode == 0:
            length, at = _uleb(data, at)
            if data[at] == _DW_LNE_END_SEQUENCE:
                line, inside = 1, 0
            if length == 0:
                raise BadObject("an opcode without length")
            at += length
        else:
            for _ in range(operands[opcode - 1]):
                while data[at] > 0x7F:
                    at += 1
                at += 1
    if at != end:
        raise BadObject("a line program reaches past its end")


def _check_version(version: int) -> None:
    if not 2 <= version <= 5:
        raise BadObject(f"DWARF version {version}")


def _extent(data: bytes, at: int) -> tuple[int, int, int]:
    """Begin and end of what follows a unit's length, and the size of its offsets."""
    (length,) = _WORD.unpack_from(data, at)
    start, offset_size = at + 4, 4
    if length == 0xFFFFFFFF:
        (length,) = _DOUBLE_WORD.unpack_from(data, start)
        start, offset_size = at + 12, 8
    if length > len(data) - start:
        raise BadObject("a unit reaches past its section")
    return start, start + length, offset_size


def _offset(data: bytes, at: int, size: int) -> int:
    return int((_WORD if size == 4 else _DOUBLE_WORD).unpack_from(data, at)[0])


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number of at most 64 bits and the offset behind it."""
    byte = data[at]
    number = byte & 0x7F
    shift = 7
    while byte > 0x7F:
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise BadObject("a number of more than 64 bits")
    return number, at + 1


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    """A signed one."""
    number, end = _uleb(data, at)
    return (number - (1 << 7 * (end - at)) if data[end - 1] & 0x40 else number), end
