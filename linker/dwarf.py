"""Reads what all tables of DWARF consist of: units, LEB128 numbers, and values in one form or another.

The formats are those of the DWARF standard, versions 2 to 5, with GNU's and LLVM's additions. Functions take
the bytes of a section and an offset. Where these end too early they raise IndexError, ValueError or
struct.error, which fixups.py takes together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from struct import Struct
from typing import Final

from nativecache.linker.elf import SHT_NOBITS, Headers, Section, string_at, string_table
from nativecache.linker.errors import BadObject

HALF: Final = Struct("<H")
WORD: Final = Struct("<I")
DOUBLE_WORD: Final = Struct("<Q")

_SHF_COMPRESSED = 0x800

_DW_FORM_ADDR, _DW_FORM_REF_ADDR = 0x01, 0x10
DW_FORM_INDIRECT, DW_FORM_IMPLICIT_CONST = 0x16, 0x21
DW_FORM_DATA4, DW_FORM_DATA16 = 0x06, 0x1E

# How the value of a form ends that has no fixed size.
LEB, _STRING, BLOCK, _BLOCK1, _BLOCK2, _BLOCK4, _INDIRECT, _LEB_DATA4 = range(8)
#: The number of such kinds; a reader may have more, from here on.
KINDS: Final = 8
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
    **dict.fromkeys((0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02), LEB),
    0x08: _STRING,
    **dict.fromkeys((0x09, 0x18), BLOCK),  # block exprloc
    0x0A: _BLOCK1,
    0x03: _BLOCK2,
    0x04: _BLOCK4,
    0x16: _INDIRECT,
    0x2001: _LEB_DATA4,  # LLVM_addrx_offset
}
# strp sec_offset strp_sup line_strp GNU_ref_alt GNU_strp_alt
_OFFSETS: Final = frozenset((0x0E, 0x17, 0x1D, 0x1F, 0x1F20, 0x1F21))


def debug_sections(obj: bytes, file: Headers) -> Iterator[tuple[int, str, Section]]:
    """Number, name and header of each section of debug information. Raises BadObject for compressed ones."""
    names = string_table(obj, file, file.names_index)
    for number, section in enumerate(file.sections):
        name = string_at(names, section.name)
        if name.startswith((".debug_", ".BTF", ".zdebug_")):
            if section.flags & _SHF_COMPRESSED or section.type == SHT_NOBITS or name[1] == "z":
                raise BadObject(f"section {name} is compressed or elsewhere")
            yield number, name, section


def kind_of(form: int) -> int:
    """How values of a form without fixed size end, for `pass_over`. Raises BadObject for an unknown one."""
    kind = _VARIABLE.get(form)
    if kind is None:
        raise BadObject(f"unknown DWARF form {form:#x}")
    return kind


@cache
def sizes_of_forms(offset_size: int, address_size: int, reference_size: int) -> Mapping[int, int]:
    """By form, the sizes in bytes of values that have one size all over a unit.

    Offsets, addresses and references to other units have the given sizes. The mapping is one and the same for
    the same sizes. Raises BadObject.
    """
    if address_size not in (1, 2, 4, 8):
        raise BadObject(f"addresses of {address_size} bytes")
    variable = {_DW_FORM_ADDR: address_size, _DW_FORM_REF_ADDR: reference_size}
    return _FIXED | dict.fromkeys(_OFFSETS, offset_size) | variable


def check_version(version: int) -> None:
    """Raise BadObject unless the version of a unit or a table is 2 to 5."""
    if not 2 <= version <= 5:
        raise BadObject(f"DWARF version {version}")


def extent(data: bytes, at: int) -> tuple[int, int, int]:
    """Begin and end of what follows a unit's length, and the size of its offsets: 4, or 8 in 64-bit DWARF.

    Raises BadObject if the unit reaches past its section.
    """
    (length,) = WORD.unpack_from(data, at)
    start, offset_size = at + 4, 4
    if length == 0xFFFFFFFF:
        (length,) = DOUBLE_WORD.unpack_from(data, start)
        start, offset_size = at + 12, 8
    if length > len(data) - start:
        raise BadObject("a unit reaches past its section")
    return start, start + length, offset_size


def read_offset(data: bytes, at: int, size: int) -> int:
    """An offset of 4 or 8 bytes into another section."""
    return int((WORD if size == 4 else DOUBLE_WORD).unpack_from(data, at)[0])


def read_uleb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number of at most 64 bits and the offset behind it. Raises BadObject."""
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


def read_sleb(data: bytes, at: int) -> tuple[int, int]:
    """A signed LEB128 number of at most 64 bits and the offset behind it. Raises BadObject."""
    number, end = read_uleb(data, at)
    return (number - (1 << 7 * (end - at)) if data[end - 1] & 0x40 else number), end


def pass_over(data: bytes, at: int, kind: int, sizes: Mapping[int, int]) -> int:
    """The offset behind a value of a kind that `kind_of` told, in a unit with these sizes of forms.

    Raises BadObject.
    """
    if kind == _STRING:
        return data.index(0, at) + 1
    if kind == _BLOCK1:
        return at + 1 + data[at]
    if kind == _BLOCK2:
        return at + 2 + int(HALF.unpack_from(data, at)[0])
    if kind == _BLOCK4:
        return at + 4 + int(WORD.unpack_from(data, at)[0])
    number, after = read_uleb(data, at)
    if kind == BLOCK:
        return after + number
    if kind == _LEB_DATA4:
        return after + 4
    if kind == _INDIRECT:
        if number in (DW_FORM_INDIRECT, DW_FORM_IMPLICIT_CONST):
            raise BadObject(f"form {number:#x} where it cannot be")
        if number in sizes:
            return after + sizes[number]
        return pass_over(data, after, kind_of(number), sizes)
    return after
