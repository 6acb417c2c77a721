"""Names types: by a declaration if debuggers find the definition by its name, else by all they hold.

The definitions stay together in a unit of their own (type_unit.py). What stays whole in each function's unit
is what cannot be found by name: types that are in a function or have no name, those whose name is ambiguous
(shapes.py), and enumerations, which are small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.syntax import (
    BASE_TYPE,
    ELEMENTS,
    EXPANDED,
    NAME,
    PLACE,
    QUALIFIER_TAGS,
    RECORD_TAGS,
    REFERENCE,
    SIZE,
    TAG,
    is_composite,
)
from nativecache.aot.debug.tokens import Tokens, digits, respell
from nativecache.aot.ir.debug_info import ELSEWHERE
from nativecache.linker import lazy_re as re

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis
    from nativecache.aot.debug.lines import DeclarationLines

#: What a forward declaration keeps of a type's fields.
_KEPT: Final = re.compile(r'\b(?:name: "[^"]*"|scope: !\d+|runtimeLang: \w+|templateParams: !\d+)', re.ASCII)
_PASSED: Final = re.compile(r"DIFlagTypePassBy\w+")
#: How far and how often types are expanded; shared parts are expanded each time that they are met.
_MAX_DEPTH, _MAX_EXPANDED = 100, 200_000
#: So many typedefs and qualifiers may stand around the type that a variable holds.
_MAX_QUALIFIERS: Final = 20


class TypeTokens:
    """The tokens of composite types (DICompositeType): structs, unions, classes, arrays and enumerations."""

    def __init__(
        self,
        module: Analysis,
        ambiguous: frozenset[str],
        tokens: Tokens,
        declarations: DeclarationLines,
        name: Callable[[str], str],
    ) -> None:
        """`name` gives the token of any node."""
        self._module = module
        self._bodies = module.nodes.bodies
        self._functions = module.functions
        self._ambiguous = ambiguous
        self._tokens = tokens
        self._declarations = declarations
        self._name = name
        self._expanded = 0
        self._unspelled: list[tuple[str, str]] = []  # tokens of types that their members name, and bodies

    def name(self, n: str, body: str) -> str:
        """The token of the composite type `n`. Raises Unsupported."""
        tag = TAG.search(body)
        by_node = self._tokens.by_node
        if tag and tag[1] in RECORD_TAGS:
            if self._is_declared(n):
                return self._tokens.add(respell(_forward_declaration(body, tag[1]), self._name))
            if ELEMENTS.search(body):
                # Its members name it: what can be seen of it is spelled without their names.
                by_node[n] = f"!{digits(self._expand(n, []))}"
        text = self._functions.localize(self._hide_place(body))
        if n in by_node:
            self._unspelled.append((by_node[n], text))  # what it names may wait for this
        else:
            by_node[n] = self._tokens.add(respell(text.removeprefix("distinct "), self._name))
        if ELSEWHERE in text:
            self._declarations.keep(by_node[n], body)
        return by_node[n]

    def find_held(self, n: str) -> tuple[str, str] | None:
        """The declared type that a variable of the type `n` holds by value, and its size in bits, or None.

        LLVM must know the size, which the declaration does not tell.
        """
        for _ in range(_MAX_QUALIFIERS):
            body = self._bodies.get(n, "")
            if body.startswith("!DIDerivedType("):
                tag, base = TAG.search(body), BASE_TYPE.search(body)
                if tag is None or base is None or tag[1] not in QUALIFIER_TAGS:
                    return None
                n = base[1]
                continue
            size = SIZE.search(body)
            if size and is_composite(body) and self._is_declared(n):
                return self._name(n), size[1]
            return None
        return None

    def spell_waiting(self) -> None:
        """Spell the types that got their token before their members had theirs. To be called at the end."""
        while self._unspelled:
            token, text = self._unspelled.pop()
            self._tokens.nodes.add(token, respell(text, self._name))

    def _is_declared(self, n: str) -> bool:
        """Whether a debugger finds the right type by its name, so that a declaration of it will do."""
        if not self._module.is_findable(n):
            return False
        return not self._ambiguous or self._module.nodes.qualified_name(n) not in self._ambiguous

    def _hide_place(self, body: str) -> str:
        """A type without its place. One that has a name keeps it: lldb takes those of one place for one."""
        tag = TAG.search(body)
        if tag and tag[1] in RECORD_TAGS and NAME.search(body):
            return self._declarations.hide(body)
        return PLACE.sub("", body)

    def _expand(self, n: str, path: list[str]) -> str:
        """All that can be seen from a type, nodes on the path to it by their distance."""
        if n in path:
            return f"^{path.index(n)}"
        body = self._bodies.get(n, "")
        if not body.startswith(EXPANDED) or self._is_declared(n):
            return self._name(n)
        self._expanded += 1
        if len(path) > _MAX_DEPTH or self._expanded > _MAX_EXPANDED:
            raise Unsupported("types nested too deeply")
        path.append(n)
        parts = REFERENCE.split(self._functions.localize(self._hide_place(body)))
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self._expand(parts[at], path)
        path.pop()
        return f"({''.join(parts)})"


def _forward_declaration(body: str, tag: str) -> str:
    flags = ["DIFlagFwdDecl", *_PASSED.findall(body)]
    fields = [f"tag: {tag}", *_KEPT.findall(body), f"flags: {' | '.join(flags)}"]
    return f"!DICompositeType({', '.join(fields)})"
