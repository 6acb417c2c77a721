"""Finds the steps between ranges and the checksums of files in line tables (.debug_line).

In a line program the steps inside a range are the real ones. A step from one range to another, or from or to
a line outside all ranges, is a DW_LNS_advance_line of four bytes (27 bits and a sign) or five, so that any
other step fits into its place. What does not keep to that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nativecache.linker.dwarf import (
    DW_FORM_DATA16,
    DW_FORM_IMPLICIT_CONST,
    DW_FORM_INDIRECT,
    HALF,
    check_version,
    extent,
    kind_of,
    pass_over,
    read_offset,
    read_sleb,
    read_uleb,
    sizes_of_forms,
)
from nativecache.linker.errors import BadObject
from nativecache.linker.lines import WIDTHS, Row, range_of

_DW_LNCT_MD5 = 5


_DW_LNS_ADVANCE_LINE, _DW_LNS_FIXED_ADVANCE_PC = 3, 9
_DW_LNE_END_SEQUENCE = 1
_OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])  # of the standard opcodes 1 to 12


def read_line_table(data: bytes, at: int, base: int, rows: list[Row], checksums: list[int]) -> int:
    """Add the fixups in the line table at `at` of a section that begins at `base`; return the table's end.

    `rows` and `checksums` get offsets from the begin of the object. Raises BadObject.
    """
    at, end, offset_size = extent(data, at)
    (version,) = HALF.unpack_from(data, at)
    check_version(version)
    at += 4 if version == 5 else 2
    program = at + offset_size + read_offset(data, at, offset_size)
    at += offset_size + (3 if version >= 4 else 2)  # minimum instruction length, operations, default is_stmt
    line_base = data[at] - 256 if data[at] > 127 else data[at]
    line_range, opcode_base = data[at + 1], data[at + 2]
    operands = data[at + 3 : at + 2 + opcode_base]
    at += 2 + opcode_base
    if not (line_range and opcode_base and _OPERANDS.startswith(operands[:12]) and program <= end):
        raise BadObject("a line table of an unknown kind")
    if version == 5:
        sizes = sizes_of_forms(offset_size, 8, offset_size)
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
        content, at = read_uleb(data, at)
        form, at = read_uleb(data, at)
        if form in (DW_FORM_INDIRECT, DW_FORM_IMPLICIT_CONST) or sizes.get(form) == 0:
            raise BadObject(f"a name in form {form:#x}")
        fields.append((content, form))
    count, at = read_uleb(data, at)
    if count and not fields:
        raise BadObject("names without form")
    for _ in range(count):
        for content, form in fields:
            if content == _DW_LNCT_MD5:
                if form != DW_FORM_DATA16:
                    raise BadObject(f"a checksum in form {form:#x}")
                checksums.append(base + at)
            at = at + sizes[form] if form in sizes else pass_over(data, at, kind_of(form), sizes)
        if at > end:
            raise BadObject("names reach past their table")
    return at


def _steps(data: bytes, at: int, end: int, line_base: int, line_range: int, operands: bytes) -> Iterator[Row]:
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
                if range_of(line) != inside:
                    raise BadObject("a short step between the lines of two functions")
        elif opcode == _DW_LNS_ADVANCE_LINE:
            start = at
            step, at = read_sleb(data, at)
            line += step
            before, inside = inside, range_of(line)
            if before != inside:
                if at - start not in WIDTHS:
                    raise BadObject(f"an advance of lines of {at - start} bytes")
                yield start, at - start, before, inside
        elif opcode == _DW_LNS_FIXED_ADVANCE_PC:
            at += 2
        elif opcode == 0:
            length, at = read_uleb(data, at)
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
