"""Spells locations (DILocation): they are no nodes any more, but written wherever one is used.

Locations within inlined calls name the location of the call (inlinedAt), which is a node of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.syntax import LOCATION, NODE
from nativecache.aot.debug.tokens import Tokens, respell
from nativecache.aot.ir.debug_info import RELATIVE

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis
    from nativecache.aot.debug.lines import FunctionLines


class Locations:
    """A module's locations, as they are written in place of their number, by number in `spelled`."""

    def __init__(
        self, module: Analysis, tokens: Tokens, lines: FunctionLines, name: Callable[[str], str]
    ) -> None:
        """`name` gives the token of any node."""
        self.spelled: dict[str, str] = {}
        self._module = module
        self._functions = module.functions
        self._tokens = tokens
        self._lines = lines
        self._name = name

    def spell_all(self) -> None:
        """Spell all locations; functions' own nodes are named by then. Raises Unsupported."""
        spelled = self.spelled
        scopes = self._scopes()
        late = {}
        for n, line, middle, scope, tail in self._module.nodes.locations:
            if tail and " inlinedAt: " in tail:
                late[n] = line, middle, scope, tail
            elif line != "0" and scope in scopes:
                first, token = scopes[scope]
                spelled[n] = f"!DILocation(line: {int(line) - first}{RELATIVE}{middle}{token}{tail})"
            else:
                spelled[n] = self._spell(line, middle, scope, tail)
        for n in late:
            self._spell_inlined(n, late)

    def spelled_one(self, n: str) -> str:
        """The location `n` as it is written. Raises Unsupported if it is none, or not spelled yet."""
        if n in self.spelled:
            return self.spelled[n]
        raise Unsupported("a location where none can be")

    def name_distinct(self, body: str) -> str:
        """The token of a distinct location, which calls are inlined at and which stays a node."""
        found = LOCATION.match("!0 = " + body.removeprefix("distinct "))
        if found is None:
            raise Unsupported("a location of an unknown form")
        _, line, middle, scope, tail = found.groups()
        spelled = self._spell(line, middle, scope, respell(tail, self._name))
        return self._tokens.add_distinct(f"distinct {spelled}")

    def _scopes(self) -> dict[str, tuple[int, str]]:
        """By scope with a range, the range's first line and the scope's token."""
        places, owners, names = self._module.ranges.places, self._functions.owners, self._tokens.by_node
        scopes: dict[str, tuple[int, str]] = {}
        for n, file in self._functions.files.items():
            if n in owners and (place := places.get((owners[n], file))):
                scopes[n] = place[1], names[n]
        return scopes

    def _spell_inlined(self, n: str, waiting: Mapping[str, Sequence[str]]) -> None:
        """A location within others, which may be of this kind, too, and are spelled first."""
        path = [n]
        while (found := NODE.search(waiting[path[-1]][3])) and found[0] in waiting:
            path.append(found[0])
        for step in reversed(path):
            if step not in self.spelled:
                line, middle, scope, tail = waiting[step]
                self.spelled[step] = self._spell(line, middle, scope, respell(tail, self._name))

    def _spell(self, line: str, middle: str, scope: str, tail: str) -> str:
        owner = self._functions.owners.get(scope)
        if owner is None:
            raise Unsupported("a location outside of any function")
        number = self._lines.spell(owner, self._functions.files.get(scope, ""), line)
        return f"!DILocation(line: {number}{middle}{self._name(scope)}{tail})"
