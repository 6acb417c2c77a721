"""Spells the lines in nodes so that they say nothing of where in its file a function or declaration stands.

A line in a function counts from the first of its range (see ranges.py). A declaration outside of functions
has no line in its text at all: the line is kept beside it, by the node's token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.syntax import LINE_FIELD
from nativecache.aot.ir.debug_info import ELSEWHERE, RELATIVE

if TYPE_CHECKING:
    from nativecache.aot.debug.ranges import Ranges
    from nativecache.aot.ir.debug_info import LineMap


class FunctionLines:
    """Lines in functions, as they are spelled in normalised nodes.

    With `line_map` the lines to spell are encoded ones, of a unit that was made before. Lines are real, as in
    the source, unless `relative`.
    """

    def __init__(self, ranges: Ranges, *, relative: bool, line_map: LineMap | None) -> None:
        self._places = ranges.places
        self._relative = relative
        self._line_map = line_map

    def spell(self, function: str, file: str, line: str) -> str:
        """A line of a function's in a file, with the key of its range; 0 (none) stays. Raises Unsupported."""
        if line == "0" or not self._relative:
            return line
        if self._line_map:
            offset, key = self._line_map.decode_line(int(line))
        else:
            place = self._places.get((function, file))
            if place is None:
                raise Unsupported("a line in a file that the function has no other line in")
            key, first = place
            offset = int(line) - first
        return f"{offset}{RELATIVE}{RELATIVE}{key}{RELATIVE}"


class DeclarationLines:
    """Lines of declarations outside of functions, hidden in the nodes' text and kept by the nodes' tokens.

    With `line_map` they are encoded ones, of a unit that was made before: then it is kept which declaration
    of which module each unit's declaration was made from.
    """

    def __init__(self, *, relative: bool, line_map: LineMap | None) -> None:
        self.lines: dict[str, int] = {}
        self.declared: dict[str, tuple[str, str]] = {}
        self._relative = relative
        self._line_map = line_map

    def hide(self, body: str) -> str:
        """A node with ELSEWHERE in place of its line, if lines are relative."""
        found = LINE_FIELD.search(body) if self._relative else None
        return f"{body[: found.start(1)]}{ELSEWHERE}{body[found.end(1) :]}" if found else body

    def keep(self, token: str, body: str) -> None:
        """Note the line of the node that `token` was made for."""
        found = LINE_FIELD.search(body)
        line = int(found[1]) if found else 0
        if self._line_map is None:
            self.lines[token] = line
        elif line:
            self.declared[token] = self._line_map.declared(line)
