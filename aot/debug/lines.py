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


class FunctionLines:
    """Lines in functions, as they are spelled in normalised nodes: as in the source, unless `relative`."""

    def __init__(self, ranges: Ranges, *, relative: bool) -> None:
        self._places = ranges.places
        self._relative = relative

    def spell(self, function: str, file: str, line: str) -> str:
        """A line of a function's in a file, with the key of its range; 0 (none) stays. Raises Unsupported."""
        if line == "0" or not self._relative:
            return line
        place = self._places.get((function, file))
        if place is None:
            raise Unsupported("a line in a file that the function has no other line in")
        key, first = place
        return f"{int(line) - first}{RELATIVE}{RELATIVE}{key}{RELATIVE}"


class DeclarationLines:
    """Lines of declarations outside of functions, hidden in the nodes' text and kept by the nodes' tokens."""

    def __init__(self, *, relative: bool) -> None:
        self.lines: dict[str, int] = {}
        self._relative = relative

    def hide(self, body: str) -> str:
        """A node with ELSEWHERE in place of its line, if lines are relative."""
        found = LINE_FIELD.search(body) if self._relative else None
        return f"{body[: found.start(1)]}{ELSEWHERE}{body[found.end(1) :]}" if found else body

    def keep(self, token: str, body: str) -> None:
        """Note the line of the node that `token` was made for."""
        found = LINE_FIELD.search(body)
        self.lines[token] = int(found[1]) if found else 0
