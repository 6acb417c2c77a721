"""The encoding of lines."""

import pytest

from nativecache.linker.errors import BadObject
from nativecache.linker.lines import (
    MAX_NAMED,
    MAX_NAMES,
    MAX_RANGES,
    MIDDLE,
    REACH,
    encode,
    name_line,
    ordinal,
    range_of,
    spell_line,
)


def test_encode_and_ordinal_refuse_what_they_cannot_hold() -> None:
    assert encode(0, 0) == 3 << 20 and encode(MAX_RANGES - 1, REACH) < 1 << 32
    for index, offset in (MAX_RANGES, 0), (-1, 0), (0, REACH + 1), (0, -REACH - 1):
        with pytest.raises(ValueError, match="line"):
            encode(index, offset)
    assert ordinal(MIDDLE - 1) < encode(0, -REACH)
    for k in -1, MIDDLE:
        with pytest.raises(ValueError, match="line"):
            ordinal(k)


def test_range_of_an_encoded_line() -> None:
    for index, offset in (0, 0), (0, -REACH), (7, REACH), (MAX_RANGES - 1, 3):
        assert range_of(encode(index, offset)) == index + 1
    assert range_of(0) == range_of(MIDDLE - 1) == 0
    for line in -1, ordinal(7), encode(0, REACH) + 1, encode(MAX_RANGES - 1, 0) + (1 << 21):
        with pytest.raises(BadObject):
            range_of(line)


def test_lines_in_names_are_as_long_as_their_ordinals() -> None:
    assert name_line(0) == "@000000" and name_line(MAX_NAMES - 1) == "@999999"
    assert spell_line(7) == "0000007" and spell_line(MAX_NAMED) == "9999999"
    for call, number in (
        (name_line, MAX_NAMES),
        (name_line, -1),
        (spell_line, MAX_NAMED + 1),
        (spell_line, -1),
    ):
        with pytest.raises(ValueError, match="line"):
            call(number)
