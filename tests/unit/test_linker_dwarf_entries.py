"""Encoded lines found in entries written by hand."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dwarf_bytes import FORMS, LINE, A, advance, entry_object, uleb
from harness import CLANG, needs_clang

from nativecache.linker.errors import BadObject
from nativecache.linker.fixups import find_fixups
from nativecache.linker.lines import MIDDLE, encode, ordinal

NAME, DECL_LINE = b"\x03", b"\x3b"


@pytest.mark.parametrize("form", FORMS, ids=hex)
@pytest.mark.parametrize("version", [4, 5])
def test_line_behind_a_value_of_each_form_is_found(form: int, version: int) -> None:
    attributes = NAME + uleb(form) + DECL_LINE + b"\6" + NAME + uleb(form)
    obj = entry_object(attributes, FORMS[form] + LINE + FORMS[form], version)
    assert find_fixups(obj).declarations == (obj.index(LINE),)


def test_sizes_that_depend_on_the_unit() -> None:
    for version, form, size, value in (2, 0x10, 8, 8), (3, 0x10, 8, 4), (4, 0x01, 4, 4), (4, 0x01, 2, 2):
        obj = entry_object(NAME + bytes([form]) + DECL_LINE + b"\6", b"\3" * value + LINE, version, size)
        assert find_fixups(obj).declarations == (obj.index(LINE),)


ASSEMBLY = f"""
    .section .debug_abbrev, "", @progbits
    .byte 1, 0x11, 0, 0x3b, 5, 0, 0, 0  # a table with a line of two bytes
    .globl tables
tables:
    .byte 0
    .byte 1, 0x11, 0, 0x3b, 6, 0, 0, 0  # one with a line of four
    .section .debug_info, "", @progbits
    .long 12
    .short 4
    .long tables + 1
    .byte 8, 1
    .long {A}
"""


@needs_clang
def test_table_is_found_by_a_symbol_and_an_addend(tmp_path: Path) -> None:
    (tmp_path / "unit.s").write_text(ASSEMBLY)
    subprocess.run([CLANG, "--target=x86_64-linux-gnu", "-c", "unit.s"], cwd=tmp_path, check=True)
    obj = (tmp_path / "unit.o").read_bytes()
    assert find_fixups(obj).declarations == (obj.index(LINE),)


def test_codes_and_attributes_of_several_bytes() -> None:
    attributes = b"\xb7\x42\x19" + b"\x8c\1\x19" + NAME + b"\x21\xff\x7f" + DECL_LINE + b"\6"
    obj = entry_object(attributes, LINE, code=b"\x85\2")
    assert find_fixups(obj).declarations == (obj.index(LINE),)


ODD_LINES = {
    "udata": (b"\x0f", uleb),
    "sdata": (b"\x0d", lambda line: advance(line, 5)[1:]),
    "data8": (b"\7", lambda line: struct.pack("<Q", line)),
}


@pytest.mark.parametrize(("form", "write"), ODD_LINES.values(), ids=ODD_LINES)
def test_encoded_line_in_a_form_that_holds_no_other_is_refused(
    form: bytes, write: Callable[[int], bytes]
) -> None:
    for line in ordinal(0), ordinal(9), A, encode(2045, 7):
        with pytest.raises(BadObject, match="no other fits"):
            find_fixups(entry_object(DECL_LINE + form, write(line)))
    obj = entry_object(DECL_LINE + form + DECL_LINE + b"\6", write(MIDDLE - 1) + LINE)
    assert find_fixups(obj).declarations == (obj.index(LINE),)


def test_encoded_line_in_an_abbreviation_is_refused() -> None:
    assert not find_fixups(entry_object(DECL_LINE + b"\x21\x07", b""))
    with pytest.raises(BadObject, match="no other fits"):
        find_fixups(entry_object(DECL_LINE + b"\x21" + advance(A, 5)[1:], b""))


def test_short_lines_were_never_encoded() -> None:
    assert not find_fixups(entry_object(DECL_LINE + b"\x0b" + DECL_LINE + b"\5", b"\x77\x77\x77"))


NO_ENTRIES = {
    "a form of the future": (b"\x03\x7e", b""),
    "a line given by an expression": (b"\x3b\x18", b"\1\x30"),
    "a line in an indirect form": (b"\x3b\x16", b"\6" + LINE),
    "an indirect form of an indirect form": (b"\x03\x16", b"\x16" * 9 + b"\x0b\1"),
    "an indirect constant of the abbreviation": (b"\x03\x16", b"\x21"),
    "a range that no object has": (b"\x3b\6", b"\0\0\xf0\xff"),
    "a line out of a range's reach": (b"\x3b\6", b"\0\0\x20\0"),
    "a block past the end": (b"\x03\x09", b"\x40"),
    "a number without end": (b"\x03\x09", b"\x80" * 20),
    "addresses of odd size": (b"\x03\1", b"\1\2\3"),
}


@pytest.mark.parametrize(("attributes", "values"), NO_ENTRIES.values(), ids=NO_ENTRIES)
def test_entries_that_cannot_be_restored_are_refused(attributes: bytes, values: bytes) -> None:
    size = 3 if attributes == b"\x03\1" else 8
    with pytest.raises(BadObject):
        find_fixups(entry_object(attributes, values, size=size))
