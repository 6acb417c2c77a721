"""Names all nodes of a module by what can be seen from them.

Problem: LLVM numbers nodes, so one node more changes the text of all that follows. Method: a node's number is
replaced by its token, a digest of its body in which all nodes have been replaced likewise. What makes this
end although nodes refer to one another in circles:

- a function's own nodes share one digest (own_nodes.py), and types in it name it by its key,
- a type that has a name is declared by that name, and one that has none is expanded (type_tokens.py),
- a loop's node, which names itself, is digested with a mark in its own place.

A circle of any other kind is refused. Naming goes as deep as nodes are nested, which may be deeper than
Python recurses: from a depth of 40 the innermost nodes are named first, from a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.lines import DeclarationLines, FunctionLines
from nativecache.aot.debug.locations import Locations
from nativecache.aot.debug.own_nodes import OwnNodes
from nativecache.aot.debug.syntax import COMPILE_UNIT, PLACE, PLACELESS, REFERENCE, SIMPLE, UNIT_LISTS
from nativecache.aot.debug.tokens import Tokens, respell
from nativecache.aot.debug.type_tokens import TypeTokens

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis

#: So many nodes within one another are named by recursion, which costs least.
_DEEP: Final = 40
#: A node in its own body, while it has no token.
_ITSELF: Final = "!\0"


class Naming:
    """The tokens of one module's nodes, each made when it is first asked for.

    `own_nodes` and `locations` are to be named as a whole first, in this order: their members are spelled
    without asking for each.
    """

    def __init__(self, module: Analysis, ambiguous: frozenset[str]) -> None:
        """`ambiguous` are the names that `shapes.find_ambiguous` found."""
        self.tokens = Tokens()
        self.declarations = DeclarationLines(relative=module.relative)
        lines = FunctionLines(module.ranges, relative=module.relative)
        self.types = TypeTokens(module, ambiguous, self.tokens, self.declarations, self.name)
        self.own_nodes = OwnNodes(module, self.tokens, lines, self.types, self.name)
        self.locations = Locations(module, self.tokens, lines, self.name)
        self._functions = module.functions
        self._files = module.files.bodies
        self._bodies = module.nodes.bodies
        #: Nodes that name themselves, by what they say besides.
        self.loops: dict[str, list[str]] = {}
        self._busy: set[str] = set()
        self._depth = 0

    def name(self, n: str) -> str:
        """The token of a node, or a location as it is written. Raises Unsupported."""
        by_node = self.tokens.by_node
        found = by_node.get(n)
        if found is not None:
            return found
        if n in self._functions.owners:
            self.own_nodes.name_group(self._functions.owners[n])
            return by_node[n]
        body = self._bodies.get(n)
        if body is None:
            return self.locations.spelled_one(n)
        if n in self._busy:
            raise Unsupported("types that depend on themselves")
        self._depth += 1
        if self._depth > _DEEP:
            self._name_below(n)
        self._busy.add(n)
        token = self._name(n, body)
        self._busy.discard(n)
        self._depth -= 1
        by_node[n] = token
        return token

    def _name_below(self, n: str) -> None:
        """Name what a node needs, the innermost first."""
        by_node = self.tokens.by_node
        stack, opened = [n], set()
        while stack:
            top = stack[-1]
            if top in by_node or top in self._busy:
                stack.pop()
            elif top not in opened:
                opened.add(top)
                stack += [m for m in self._needed(top) if m not in by_node and m not in opened]
            else:
                stack.pop()
                if top != n:
                    self.name(top)

    def _needed(self, n: str) -> list[str]:
        """The nodes that a node is spelled with, if it is of the simple kinds that form long chains."""
        body = self._bodies.get(n, "")
        kind = body[: body.find("(") + 1] or body[:2]
        if n in self._functions.owners or kind not in SIMPLE:
            return []
        text = self._functions.localize(PLACE.sub("", body) if kind in PLACELESS else body)
        return [part for part in REFERENCE.findall(text) if part[0] == "!"]

    def _name(self, n: str, body: str) -> str:
        if body.startswith("distinct !{"):
            return self._loop(n, body)
        kind = body[: body.find("(") + 1]
        match kind:
            case "distinct !DICompositeType(" | "!DICompositeType(":
                return self.types.name(n, body)
            case "distinct !DILocation(":
                return self.locations.name_distinct(body)
            case "distinct !DIGlobalVariable(" | "!DIGlobalVariable(":
                return self._variable(body)
            case "!DIFile(":
                return self.tokens.add(self._files[n])
        if kind == COMPILE_UNIT:
            body = UNIT_LISTS.sub("", body)
        elif kind in PLACELESS:
            body = PLACE.sub("", body)
        spelled = respell(self._functions.localize(body), self.name)
        return (self.tokens.add_distinct if body.startswith("distinct ") else self.tokens.add)(spelled)

    def _loop(self, n: str, body: str) -> str:
        """A node that names itself, as that of a loop does."""
        self.tokens.by_node[n] = _ITSELF
        text = respell(body, self.name)
        self.loops.setdefault(text, []).append(n)
        token = f"!{self.tokens.claim(text)}"
        self.tokens.nodes.add(token, text.replace(_ITSELF, token))
        return token

    def _variable(self, body: str) -> str:
        token = self.tokens.add_distinct(respell(self.declarations.hide(body), self.name))
        self.declarations.keep(token, body)
        return token
