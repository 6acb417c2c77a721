"""Writes source lines into a unit's debug information: as numbers that outlive edits, or as they are.

A normalised module counts lines from the first of their range (see ir/debug_info.py). In a unit each
becomes a number that names the range and the distance (see linker/dwarf.py), which the linker turns into the
real line; what cannot be patched later is given real lines at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.debug_info import NO_LINES, RELATIVE, DebugInfo, LineMap
from nativecache.linker import lazy_re as re
from nativecache.linker.lines import (
    DIRECTORY_PLACEHOLDER,
    MAX_NAMES,
    MAX_RANGES,
    MIDDLE,
    REACH,
    encode,
    name_line,
    ordinal,
    spell_line,
)

if TYPE_CHECKING:
    from nativecache.aot.units.partition import Unit
    from nativecache.aot.units.program import Program

#: A line that counts from the first of a range, given by key or by the scope that follows. The word that it
#: stands behind (`line:` or `scopeLine:`) is found faster than any number.
_RELATIVE_LINE: Final = re.compile(
    rf"ine: (-?\d+){RELATIVE}(?:{RELATIVE}([^{RELATIVE}]*){RELATIVE}|((?:, column: \d+)?, scope: )(!\d+))",
    re.ASCII,
)
#: A line in a node of debug information that might be taken for an encoded one.
_FAR_LINE: Final = re.compile(r"\b(?:scopeL|l)ine: \d{7,}", re.ASCII)


class LinesOutOfRange(BuildError):
    """A unit's lines cannot be encoded: too many ranges, or too long ones."""


class EncodedLines:
    """Lines as numbers that say nothing of where the function stands (linker/dwarf.py).

    Every method raises LinesOutOfRange where its kind of line has no number left.
    """

    encodes: Final = True

    def __init__(self) -> None:
        """Lines of one unit, of which none has a number yet."""
        self._ranges: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, str], int] = {}

    @property
    def line_map(self) -> LineMap:
        """What the numbers that were given so far stand for."""
        return LineMap(tuple(self._ranges), tuple(self._lines), tuple(self._names))

    def line(self, label: str, key: str, offset: int) -> int:
        """The number of a line, given by its distance from the first of a range of the module `label`."""
        number = self._ranges.setdefault((label, key), len(self._ranges))
        if number >= MAX_RANGES or abs(offset) >= REACH:
            raise LinesOutOfRange("lines too far apart")
        return encode(number, offset)

    def declared(self, label: str, token: str) -> int:
        """The number of the line of a declaration, given by its node's token in the module `label`."""
        number = self._lines.setdefault((label, token), len(self._lines))
        if number >= MIDDLE:
            raise LinesOutOfRange("too many lines")
        return ordinal(number)

    def named(self, label: str, key: str) -> str:
        """What stands for a line that is part of a name."""
        number = self._names.setdefault((label, key), len(self._names))
        if number >= MAX_NAMES:
            raise LinesOutOfRange("too many names")
        return name_line(number)

    def check(self, node: str) -> None:
        """Raises LinesOutOfRange if a node that keeps its lines has one that looks like an encoded one."""
        if _FAR_LINE.search(node):
            raise LinesOutOfRange("lines that look like encoded ones")

    def finish(self, text: str) -> str:
        """The unit's text as it is: its placeholders are for the linker."""
        return text


class RealLines:
    """Lines, checksums and the folder of the sources as they are."""

    encodes: Final = False
    line_map: Final = NO_LINES

    def __init__(self, debug: Mapping[str, DebugInfo], directory: str) -> None:
        """`debug`: normalised debug information by module label. `directory`: the folder compiled in."""
        self._debug = debug
        self._directory = directory

    def line(self, label: str, key: str, offset: int) -> int:
        """A line, given by its distance from the first of a range of the module `label`."""
        return self._debug[label].ranges[key] + offset

    def declared(self, label: str, token: str) -> int:
        """The line of a declaration, given by its node's token in the module `label`."""
        return self._debug[label].lines[token]

    def named(self, label: str, key: str) -> str:
        """A line that is part of a name, as it is spelled there."""
        return spell_line(self._debug[label].named[key])

    def check(self, node: str) -> None:
        """Does nothing: no real line is taken for an encoded one."""

    def finish(self, text: str) -> str:
        """The unit's text with the folder and the checksums in place of what stands for them."""
        text = text.replace(DIRECTORY_PLACEHOLDER, self._directory)
        for debug in self._debug.values():
            for placeholder, real in debug.checksums.items():
                text = text.replace(placeholder.hex(), real.hex())
        return text


def real_lines(
    program: Program, unit: Unit, line_map: LineMap
) -> tuple[list[int], Sequence[int], Sequence[int]]:
    """What the encoded lines of a unit's object stand for: first lines of ranges, lines, lines in names."""
    debug = program.debug
    bases = [debug[label].ranges[key] for label, key in line_map.ranges]
    if unit.kind == "types" and (types := debug[program.label(unit.module)].types):
        return bases, types.lines, types.named
    lines = [debug[label].lines[token] for label, token in line_map.lines]
    return bases, lines, [debug[label].named[key] for label, key in line_map.names]


def held_from(program: Program, module: int, labels: Iterable[str], imported: Iterable[str]) -> set[str]:
    """The labels of all modules whose lines or code a unit of a module holds; its own is one.

    `labels`: those in its line map. `imported`: what it imports, by final name. The module's own copies of
    functions of others are among it.
    """
    homes = (program.label(home.module) for name in imported if (home := program.definitions.get(name)))
    return {program.label(module), *labels, *homes}


#: Either way of writing lines.
Lines = EncodedLines | RealLines


def write_line(text: str, label: str, lines: Lines) -> str:
    """A relative line of the normalised module `label` that has the key of its range, as `lines` has it."""
    offset, _, key, _ = text.split(RELATIVE)
    return str(lines.line(label, key, int(offset)))


def write_lines(text: str, label: str, scopes: Mapping[str, str], lines: Lines) -> str:
    """A piece of the normalised module `label` with its relative lines written as `lines` has them.

    `scopes`: the key of the range that counts, by the token of the scope that follows a line.
    """
    line = lines.line

    def written(match: re.Match[str]) -> str:
        offset, key, between, scope = match.groups()
        if key is None:
            return f"ine: {line(label, scopes[scope], int(offset))}{between}{scope}"
        return f"ine: {line(label, key, int(offset))}"

    return _RELATIVE_LINE.sub(written, text)
