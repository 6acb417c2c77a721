"""Names the nodes that are a function's own (functions.py), all of one function with one digest.

Within the group a node is named by its rank, its place among the function's nodes, so that nodes may refer to
one another in circles. The digest covers all of them, and what else is recorded by their tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.syntax import FILE, REFERENCE_OR_LINE, SCOPE
from nativecache.aot.debug.tokens import respell

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis
    from nativecache.aot.debug.lines import FunctionLines
    from nativecache.aot.debug.tokens import Tokens
    from nativecache.aot.debug.type_tokens import TypeTokens

#: Names of a function's own nodes within their group (see ir.debug_info.Nodes).
_RANKS: Final = tuple(f"!\0{rank:04}" for rank in range(10_000))


class OwnNodes:
    """The tokens of functions' own nodes, and what is known of those nodes.

    `scopes`: the key of a scope's range, by token. `owners`: the token of a function and that of the scope
    that it is in ("null" if in another function), by the function's key. `sizes`: by a variable's token, the
    token of the type that it holds by value, which is only declared, and its size in bits.
    """

    def __init__(
        self,
        module: Analysis,
        tokens: Tokens,
        lines: FunctionLines,
        types: TypeTokens,
        name: Callable[[str], str],
    ) -> None:
        """`name` gives the token of any node. Raises Unsupported for a function of over 10,000 nodes."""
        self.scopes: dict[str, str] = {}
        self.owners: dict[str, tuple[str, str]] = {}
        self.sizes: dict[str, tuple[str, str]] = {}
        self._module = module
        self._functions = module.functions
        self._tokens = tokens
        self._lines = lines
        self._types = types
        self._name = name
        self._rank: dict[str, str] = {}
        for members in self._functions.members.values():
            if len(members) > len(_RANKS):
                raise Unsupported("too many scopes")
            self._rank.update(zip(members, _RANKS[: len(members)], strict=True))
        #: Spelled blocks, and variables but for their types; those by node.
        self._spelled: dict[str, str] = {}
        self._types_of: dict[str, tuple[str, str]] = {}
        self._held: dict[str, tuple[str, str] | None] = {}
        self._busy: set[str] = set()

    def name_all(self) -> None:
        """Name the own nodes of all functions. Raises Unsupported."""
        spelled, rank, owners = self._spelled, self._rank, self._functions.owners
        names, name, line_of = self._tokens.by_node, self._name, self._lines.spell
        for n, scope, file, line, tail in self._module.nodes.blocks:
            if n in owners:
                place = line_of(owners[n], file, line)
                where = names.get(file) or name(file)
                spelled[n] = (
                    f"distinct !DILexicalBlock(scope: {rank[scope]}, file: {where}, line: {place}{tail})"
                )
        for n, head, scope, file, line, kind, tail in self._module.nodes.variables:
            if n in owners:
                place = line_of(owners[n], file, line)
                where = names.get(file) or name(file)
                # Its type may depend on the function that it is in: see name_group.
                spelled[n] = (
                    f"!DILocalVariable({head}scope: {rank[scope]}, file: {where}, line: {place}, type: "
                )
                self._types_of[n] = kind, tail
        for owner in self._functions.members:
            if owner not in names:
                self.name_group(owner)

    def name_group(self, owner: str) -> None:
        """Name the own nodes of one function. Raises Unsupported."""
        if owner in self._busy:
            raise Unsupported("a function's scopes depend on themselves")
        self._busy.add(owner)
        text, sizes = self._spell_group(owner)
        members, names = self._functions.members[owner], self._tokens.by_node
        key = self._functions.keys[owner]
        ranges = self._module.ranges.scope_keys(self._functions, owner)
        # Ranges may be called after other functions, and locations do not say how theirs is called.
        digits = self._tokens.claim("\n".join([text, key, repr(sizes), *dict.fromkeys(ranges)]))
        self._tokens.nodes.add_group(f"!{digits}", text)
        tokens = [f"!{digits}{rank[2:]}" for rank in _RANKS[: len(members)]]
        names.update(zip(members, tokens, strict=True))
        self.sizes.update((tokens[at], (token, size)) for at, token, size in sizes)
        self.scopes.update((token, place) for token, place in zip(tokens, ranges, strict=True) if place)
        scope = SCOPE.search(self._module.nodes.bodies[owner])
        outer = self._name(scope[1]) if scope and scope[1] not in self._functions.owners else "null"
        self.owners[key] = names[owner], outer

    def _spell_group(self, owner: str) -> tuple[str, list[tuple[int, str, str]]]:
        """A function's own nodes, one a line, and the rank, declared type and size of each that holds one."""
        names, types_of, held = self._tokens.by_node, self._types_of, self._held
        sizes: list[tuple[int, str, str]] = []
        texts = []
        for at, n in enumerate(self._functions.members[owner]):
            text = self._spelled.get(n)
            if text is None:
                text = self._spell_rare(owner, self._module.nodes.bodies[n])
            elif typed := types_of.get(n):
                kind, tail = typed
                if "!" in tail:  # annotations
                    tail = respell(tail, self._name)
                own = self._functions.owners.get(kind) == owner
                text = f"{text}{self._rank[kind] if own else names.get(kind) or self._name(kind)}{tail})"
                if kind not in held:
                    held[kind] = self._types.find_held(kind)
                if size := held[kind]:
                    sizes.append((at, *size))
            texts.append(text)
        return "\n".join(texts), sizes

    def _spell_rare(self, owner: str, body: str) -> str:
        """One of a function's own nodes that is neither block nor variable."""
        found = FILE.search(body)
        file = found[1] if found else self._functions.files[owner]
        parts = REFERENCE_OR_LINE.split(body)
        for at in range(1, len(parts), 2):
            part = parts[at]
            if part[0] == "!":
                own = self._functions.owners.get(part) == owner
                parts[at] = self._rank[part] if own else self._name(part)
            elif part[0] != '"':
                word, _, number = part.partition(" ")
                parts[at] = f"{word} {self._lines.spell(owner, file, number)}"
        return "".join(parts)
