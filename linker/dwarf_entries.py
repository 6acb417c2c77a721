"""Finds encoded lines in the entries of .debug_info and .debug_types: DW_AT_decl_line and DW_AT_call_line.

Those have the form DW_FORM_data4, into which any line fits. In another form an encoded line is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from nativecache.linker.dwarf import (
    BLOCK,
    DOUBLE_WORD,
    DW_FORM_DATA4,
    DW_FORM_IMPLICIT_CONST,
    HALF,
    KINDS,
    LEB,
    WORD,
    check_version,
    debug_sections,
    extent,
    kind_of,
    pass_over,
    read_offset,
    read_uleb,
    sizes_of_forms,
)
from nativecache.linker.elf import Headers, contents, relocated
from nativecache.linker.errors import BadObject
from nativecache.linker.lines import MIDDLE, RANGE_SHIFT, range_of

_DW_UT_COMPILE, _DW_UT_TYPE, _DW_UT_SKELETON, _DW_UT_SPLIT_COMPILE, _DW_UT_SPLIT_TYPE = 1, 2, 4, 5, 6


_DW_AT_DECL_LINE, _DW_AT_CALL_LINE = 0x3B, 0x59
# What a line stands in, besides the kinds of dwarf.py: any line, or only one that was not encoded.
_LINE, _LEB_LINE, _LONG_LINE = range(KINDS, KINDS + 3)
_LINES: Final = {0x06: _LINE, 0x07: _LONG_LINE, 0x0D: _LEB_LINE, 0x0F: _LEB_LINE}
_SHORT_LINES: Final = frozenset((0x05, 0x0B))  # data2 data1
# The attributes of one kind of entry: pairs of bytes to pass over and what comes then, and the bytes after.
_Layout = tuple[list[tuple[int, int]], int]


def encoded_lines(data: bytes, number: int, name: str, abbreviations: Abbreviations) -> Iterator[int]:
    """Offsets of the encoded lines in section `number`, a .debug_info or .debug_types with this content.

    Raises BadObject for damage, and for an encoded line where no other fits.
    """
    at = 0
    while at < len(data):
        unit = _read_unit(data, at, is_types=name.startswith(".debug_types"))
        layouts = abbreviations.layouts(number, unit.table_at, unit.table, name.endswith(".dwo"), unit.sizes)
        for line_at in _lines_of_entries(data, unit.entries, unit.end, layouts, unit.sizes):
            (line,) = WORD.unpack_from(data, line_at)
            if line >= MIDDLE:
                if line >> RANGE_SHIFT:
                    range_of(line)
                yield line_at
        at = unit.end


class _Unit(NamedTuple):
    """Where a unit's entries begin and end, where it names its abbreviation table, that, and forms' sizes."""

    entries: int
    end: int
    table_at: int
    table: int
    sizes: Mapping[int, int]


def _read_unit(data: bytes, at: int, *, is_types: bool) -> _Unit:
    """Read a unit's header. Before DWARF 5 the section tells whether it holds types."""
    start, end, offset_size = extent(data, at)
    (version,) = HALF.unpack_from(data, start)
    check_version(version)
    if version == 5:
        kind, address_size, table_at = data[start + 2], data[start + 3], start + 4
        start = table_at + offset_size
        if kind in (_DW_UT_SKELETON, _DW_UT_SPLIT_COMPILE):
            start += 8
    else:
        kind = _DW_UT_TYPE if is_types else _DW_UT_COMPILE
        table_at = start + 2
        start = table_at + offset_size + 1
        address_size = data[start - 1]
    if kind in (_DW_UT_TYPE, _DW_UT_SPLIT_TYPE):
        start += 8 + offset_size
    sizes = sizes_of_forms(offset_size, address_size, address_size if version == 2 else offset_size)
    return _Unit(start, end, table_at, read_offset(data, table_at, offset_size), sizes)


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
            code, at = read_uleb(data, at - 1)
        layout = layouts.get(code)
        if layout is None:
            raise BadObject(f"abbreviation {code} is missing")
        steps, tail = layout
        for skip, kind in steps:
            at += skip
            if kind == _LINE:
                found.append(at)
            elif kind == LEB:
                while data[at] > 0x7F:
                    at += 1
                at += 1
            elif kind == BLOCK:
                length, at = read_uleb(data, at)
                at += length
            elif kind < KINDS:
                at = pass_over(data, at, kind, sizes)
            else:
                at = _pass_over_line(data, at, kind)
        at += tail
    if at != end:
        raise BadObject("an entry reaches past its unit")
    return found


def _pass_over_line(data: bytes, at: int, kind: int) -> int:
    """The offset behind a line in a form that has no room for another one."""
    if kind == _LONG_LINE:
        line, at = int(DOUBLE_WORD.unpack_from(data, at)[0]), at + 8
    else:
        line, at = read_uleb(data, at)
    _check_fixed_line(line)
    return at


def _check_fixed_line(line: int) -> None:
    if line >= MIDDLE:
        raise BadObject("an encoded line stands where no other fits")


class Abbreviations:
    """The abbreviation tables (.debug_abbrev) of one object, each read once."""

    def __init__(self, obj: bytes, file: Headers) -> None:
        self._obj = obj
        self._file = file
        self._relocated: dict[int, dict[int, tuple[int, int]]] = {}
        self._layouts: dict[tuple[int, int, int], dict[int, _Layout]] = {}

    def layouts(
        self, number: int, at: int, table: int, split: bool, sizes: Mapping[int, int]
    ) -> dict[int, _Layout]:
        """The layouts by code of a unit in section `number` whose header names its table at `at`.

        `table` is what stands there, to which a relocation is added; `split` says that the section is one of
        a .dwo file. Raises BadObject.
        """
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
        for number, name, _ in debug_sections(self._obj, self._file):
            if name == wanted:
                return number
        raise BadObject(f"section {wanted} is missing")


def _abbreviation_table(data: bytes, at: int, sizes: Mapping[int, int]) -> dict[int, _Layout]:
    layouts: dict[int, _Layout] = {}
    code, at = read_uleb(data, at)
    while code:
        _, at = read_uleb(data, at)  # the tag
        at += 1  # whether entries have children
        steps: list[tuple[int, int]] = []
        skip = 0
        attribute, at = read_uleb(data, at)
        form, at = read_uleb(data, at)
        while attribute or form:
            is_line = attribute in (_DW_AT_DECL_LINE, _DW_AT_CALL_LINE)
            if form == DW_FORM_IMPLICIT_CONST:
                value, at = read_uleb(data, at)
                if is_line:
                    _check_fixed_line(value)
            elif is_line and form not in _SHORT_LINES:
                if form not in _LINES:
                    raise BadObject(f"a line in form {form:#x}")
                steps.append((skip, _LINES[form]))
                skip = 4 if form == DW_FORM_DATA4 else 0
            elif form in sizes:
                skip += sizes[form]
            else:
                steps.append((skip, kind_of(form)))
                skip = 0
            attribute, at = read_uleb(data, at)
            form, at = read_uleb(data, at)
        layouts[code] = steps, skip
        code, at = read_uleb(data, at)
    return layouts
