"""How lines are encoded in what LLVM compiles, so that real ones can be written over them afterwards.

A function is compiled with line numbers that do not say where it stands: each file and first line that it
takes code from is a range, and a line is its range's number and its distance from the first line. Lines of
declarations outside of functions are ordinals, and so are lines within names (C++ calls a lambda
`(lambda at a.cpp:7:3)`). Real lines lie below MIDDLE, ordinals from there up to the first range:

    bits 31 to 21: the range, counted from 1, or 0    bits 20 to 0: MIDDLE + distance, or MIDDLE + ordinal

Those numbers are so big and so far apart that LLVM gives each the longest form that a line can need, so that
nothing in the object moves when the real ones take their place (fixups.py). The compilation directory has a
placeholder, too.
"""

from __future__ import annotations

from typing import Final

from nativecache.linker.errors import BadObject

#: The range's number is above this bit.
RANGE_SHIFT: Final = 21
#: The least encoded line, and the first line of each range.
MIDDLE: Final = 1 << 20
#: How far a line may be from the first of its range.
REACH: Final = 1 << 18
#: The line register of LLVM and of DWARF's readers has 32 bits.
MAX_RANGES: Final = 2046
#: The largest real line: what an advance of four bytes reaches from any line.
MAX_LINE: Final = (1 << 27) - 1
#: What stands for the folder of the sources: as long as the longest directory that can take its place.
DIRECTORY_PLACEHOLDER: Final = "/nc" + "directory".center(125, "_")
#: How many lines in names a unit may have, and how large they may be: both are written with 7 characters.
MAX_NAMES: Final = 1_000_000
MAX_NAMED: Final = 9_999_999
#: A step in a line program: its offset and its width in bytes, the range before it and the one after it.
#: Ranges count from 1, and 0 is outside all.
Row = tuple[int, int, int, int]
#: The widths that the number of a step between ranges may have, in bytes.
WIDTHS: Final = frozenset((4, 5))
_OFFSET_MASK: Final = (1 << RANGE_SHIFT) - 1


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


def range_of(line: int) -> int:
    """The range of an encoded line, counted from 1; 0 for a real line or an ordinal. Raises BadObject."""
    if line < MIDDLE:
        if line < 0:
            raise BadObject("a line below 0")
        return 0
    number = line >> RANGE_SHIFT
    if not (1 <= number <= MAX_RANGES and -REACH <= (line & _OFFSET_MASK) - MIDDLE <= REACH):
        raise BadObject(f"line {line} is of no range")
    return number
