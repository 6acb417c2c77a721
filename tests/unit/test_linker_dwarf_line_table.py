"""Steps between ranges and checksums found in line tables written by hand."""

from itertools import pairwise
from typing import Any

import pytest
from dwarf_bytes import STANDARD, A, advance, elf, line_table, uleb

from nativecache.linker.errors import BadObject
from nativecache.linker.fixups import apply_fixups, find_fixups
from nativecache.linker.lines import MAX_RANGES, MIDDLE, REACH, encode, ordinal

COPY = b"\1"
END = b"\0\1\1"


def line_object(program: bytes, **options: Any) -> bytes:
    return elf({".debug_line": line_table(program, **options)})


def rows_of(program: bytes, **options: Any) -> list[tuple[bytes, int, int]]:
    """Of each step between ranges its bytes, and the ranges."""
    obj = line_object(program, **options)
    return [(obj[at : at + width], *ranges) for at, width, *ranges in find_fixups(obj).rows]  # type: ignore[misc]


def steps(*lines: int) -> list[bytes]:
    return [advance(after - before) for before, after in pairwise(lines)]


B = encode(1, -7)


def test_line_register_starts_again_after_a_sequence() -> None:
    first, second = steps(1, A, B)
    program = first + COPY + second + COPY + END + first + COPY + END
    assert rows_of(program) == [(first[1:], 0, 1), (second[1:], 1, 2), (first[1:], 0, 1)]


def test_steps_inside_a_range_are_followed_but_not_sites() -> None:
    enter, leave = steps(1, A)[0], steps(A + 8 + 3000 - 5, B)[0]
    program = enter + COPY + bytes([13 + 13]) + advance(3000, 2) + bytes([13 + 14]) + leave + COPY + END
    fixups = find_fixups(line_object(program))
    out = bytearray(line_object(program))
    apply_fixups(out, fixups, [1000, 50], [], {}, b"")
    expected = advance(1009) + COPY + bytes([13 + 13]) + advance(3000, 2) + bytes([13 + 14])
    assert expected + advance(43 - 4013) + COPY + END in out


@pytest.mark.parametrize("version", [2, 3, 4])
def test_versions_of_line_tables(version: int) -> None:
    assert rows_of(steps(1, A)[0] + COPY + END, version=version) == [(steps(1, A)[0][1:], 0, 1)]


def test_operands_that_look_like_steps_are_passed_over() -> None:
    step = steps(1, A)[0]
    decoys = [
        b"\x09\x03\x80",  # fixed_advance_pc
        b"\x02\x83\x03",  # advance_pc
        b"\x0a\x0b\x07\x06\x08\x0c\x03\x04\x03\x05\x03",  # set_isa, set_file, set_column between others
        b"\0\x09\x02" + step + COPY * 3,  # set_address
        b"\0\x06\x80" + step,  # a vendor's
        b"\0\x02\x04\x03",  # set_discriminator
    ]
    for decoy in decoys:
        assert rows_of(decoy + step + COPY + END) == [(step[1:], 0, 1)]


def test_tables_with_more_or_fewer_standard_opcodes() -> None:
    step = steps(1, A)[0]
    assert rows_of(b"\x0d\x03\x83\x03" + step + COPY, operands=STANDARD + b"\2") == [(step[1:], 0, 1)]
    with pytest.raises(BadObject, match="unknown kind"):
        rows_of(step, operands=b"\0\2" + STANDARD[2:])
    # With nine standard opcodes 10 is a special one: it goes back five lines.
    leave = steps(A - 5, B)[0]
    assert rows_of(step + b"\x0a" + leave, operands=STANDARD[:9])[1] == (leave[1:], 1, 2)


NO_PLACE = {
    "an ordinal": advance(ordinal(4) - 1) + COPY,
    "a range that no object has": advance((MAX_RANGES + 1 << 21) + MIDDLE - 1, 5),
    "out of a range's reach": advance(encode(0, REACH)),
    "a special opcode that leaves a range": steps(1, encode(0, REACH))[0] + bytes([13 + 13]),
    "a step of more bytes than a step can need": advance(A - 1, 6),
    "a line below 0": advance(-2, 1),
    "no length": b"\0\0" + COPY,
    "an operand past the end": b"\x02\x80",
    "an extended opcode past the end": b"\0\x20\x80",
}


@pytest.mark.parametrize("program", NO_PLACE.values(), ids=NO_PLACE)
def test_line_programs_that_cannot_be_restored_are_refused(program: bytes) -> None:
    with pytest.raises(BadObject):
        find_fixups(line_object(program))


def test_file_table_with_more_names_than_bytes_is_refused_at_once() -> None:
    endless = uleb((1 << 60) - 1)
    for names in b"\0" + endless, b"\1\1\x19" + endless, b"\1\1\x0b" + endless + b"\0", b"\1\5\x0f\1\1":
        with pytest.raises(BadObject):
            find_fixups(line_object(b"", names=names, version=5))
