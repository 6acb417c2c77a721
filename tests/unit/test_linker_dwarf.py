"""What tables of DWARF consist of, read from bytes written by hand."""

import struct

import pytest
from dwarf_bytes import FORMS, advance, uleb

from nativecache.linker.dwarf import (
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


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, (1 << 64) - 1])
def test_unsigned_numbers(number: int) -> None:
    data = b"\xff" + uleb(number)
    assert read_uleb(data + b"\xff", 1) == (number, len(data))


@pytest.mark.parametrize(
    ("number", "width"), [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (-(1 << 27), 4), (5, 5)]
)
def test_signed_numbers(number: int, width: int) -> None:
    assert read_sleb(advance(number, width), 1) == (number, 1 + width)


def test_numbers_of_more_than_64_bits_are_refused() -> None:
    with pytest.raises(BadObject, match="64 bits"):
        read_uleb(b"\x80" * 11 + b"\1", 0)


def test_units_of_32_and_64_bits() -> None:
    assert extent(b"\xff" + struct.pack("<I", 3) + b"abc", 1) == (5, 8, 4)
    assert extent(struct.pack("<IQ", 0xFFFFFFFF, 2) + b"ab", 0) == (12, 14, 8)
    assert read_offset(b"\1\2\0\0\0\0\0\0", 0, 4) == read_offset(b"\1\2\0\0\0\0\0\0", 0, 8) == 0x201
    with pytest.raises(BadObject, match="past its section"):
        extent(struct.pack("<I", 4) + b"abc", 0)


def test_versions_2_to_5_are_read() -> None:
    for version in 2, 3, 4, 5:
        check_version(version)
    for version in 1, 6:
        with pytest.raises(BadObject, match="version"):
            check_version(version)


@pytest.mark.parametrize("form", FORMS, ids=hex)
def test_values_of_each_form_are_passed_over(form: int) -> None:
    sizes, value = sizes_of_forms(4, 8, 4), FORMS[form]
    if form in sizes:
        assert sizes[form] == len(value)
    else:
        assert pass_over(b"\xff" + value + b"\xff", 1, kind_of(form), sizes) == 1 + len(value)


def test_sizes_are_one_mapping_for_the_same_sizes() -> None:
    assert sizes_of_forms(4, 8, 4) is sizes_of_forms(4, 8, 4)
    assert sizes_of_forms(8, 2, 2)[0x10] == 2 and sizes_of_forms(8, 2, 2)[0x0E] == 8
    with pytest.raises(BadObject, match="addresses"):
        sizes_of_forms(4, 3, 4)


def test_unknown_forms_are_refused() -> None:
    with pytest.raises(BadObject, match="form 0x7e"):
        kind_of(0x7E)
