"""What a module's asm ties together: who makes which symbols, and what cannot be told apart for that.

A piece is the module's own asm, or all inline asm of one function. What a piece makes (labels, values,
macros, attributes, versions, second names) holds for the object file that it is in, so every piece that names
it and all that it changes stay with it; see partition.py. A module whose asm cannot be read with certainty is
sealed: it is compiled as it is, in one unit under its own names, and nothing is inlined into it or out of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from nativecache.aot.ir.asm_effects import NOTHING, Assembly
from nativecache.aot.ir.library_names import has_meaning, is_implicit
from nativecache.aot.ir.module import Module, inline_asm
from nativecache.aot.ir.syntax import references, symbol_name, unescape
from nativecache.linker.values import dataclass, field

MODULE_ASM: Final = ""  # the module's own asm, as a piece


@dataclass(frozen=True, slots=True)
class Bonds:
    """What a module's asm does to its symbols. Functions are given by token, symbols by name."""

    #: What each piece does, the module's own asm under "".
    pieces: Mapping[str, Assembly] = field(default_factory=lambda: MappingProxyType({}))
    #: What all pieces do together.
    whole: Assembly = NOTHING
    #: Why the module is sealed, or nothing.
    sealed: str = ""
    #: Tokens of declarations that mean what only the module's own asm makes of them.
    private: frozenset[str] = frozenset()
    #: Functions whose asm is nothing without another piece, or a second time.
    fixed: frozenset[str] = frozenset()
    #: Of the fixed functions those whose asm makes something: no copy may stay beside one that is inlined.
    makers: frozenset[str] = frozenset()
    #: Functions whose asm, or that of what must be inlined into them, leaves something in other sections,
    #: once for each copy.
    scattered: frozenset[str] = frozenset()
    #: What asm changes, aliases or counts with: its definition stays, and is not what its text shows.
    changed: frozenset[str] = frozenset()
    #: What asm gives another name to.
    aliased: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Symbols that asm may name."""
        return self.whole.names

    def exported_by(self, token: str) -> frozenset[str]:
        """Symbols that a function's inline asm makes visible to other files."""
        return self.pieces[token].exported if token in self.pieces else frozenset()

    def private_names(self, module: Module) -> frozenset[str]:
        """What asm makes or names for its own file only: another symbol of that name is another thing."""
        local = {symbol_name(e.token) for e in module.entities.values() if e.local and e.defined}
        return (self.whole.made - self.whole.exported) | (self.names & local)

    def may_weaken(self, name: str) -> bool:
        """Whether another definition may take a symbol's place: then the linker tells which does."""
        return name in self.whole.weak or (bool(self.sealed) and ".weak" in self.names)

    def piece_of(self, name: str) -> str:
        """The first piece of asm that makes a symbol, by its key in `pieces`; there must be one."""
        return next(token for token, piece in self.pieces.items() if name in piece.made)


NO_BONDS: Final = Bonds()


def find_bonds(module: Module) -> Bonds:
    """What the asm of a module, its own and that in functions, ties together."""
    found = {MODULE_ASM: ["\n".join(map(unescape, module.asm))]} if module.asm else {}
    for function in module.functions():
        if function.has_asm and (strings := inline_asm(function)):
            found[function.token] = list(map(unescape, strings))
    if not found:
        return NO_BONDS
    from nativecache.aot.ir.assembly import read_assembly

    pieces = {
        token: read_assembly(strings, inline=token != MODULE_ASM, triple=module.triple)
        for token, strings in found.items()
    }
    whole = Assembly.union(pieces.values())
    made = whole.made
    tokens = {symbol_name(token): token for token in module.entities}
    public = (whole.exported & whole.defined) - whole.versioned
    private, sealed = set(), whole.unclear
    counts = Counter(name for piece in pieces.values() for name in piece.defined)
    if twice := [name for name, count in counts.items() if count > 1]:
        sealed = sealed or f"'{min(twice)}' is more than one thing"  # in an order that inlining changes
    for name in made - public:
        entity = module.entities.get(tokens.get(name, ""))
        if entity is None or not entity.defined:
            if has_meaning(name) or is_implicit(name):
                sealed = sealed or f"what it makes of '{name}'"
            elif entity is not None:
                private.add(entity.token)
    bound = whole.changed | whole.aliased | whole.counted
    fixed = frozenset(token for token, piece in pieces.items() if token and piece.names & made)
    if any(module.entities[token].linkage == "available_externally" for token in fixed):
        sealed = sealed or "what is inlined needs other asm"  # a body without a unit of its own
    return Bonds(
        pieces=pieces,
        whole=whole,
        sealed=sealed,
        private=frozenset(private),
        fixed=fixed,
        makers=frozenset(token for token in fixed if pieces[token].made),
        scattered=_scattered(module, pieces),
        changed=frozenset(tokens[name] for name in bound if name in tokens),
        aliased=frozenset(tokens[name] for name in whole.aliased if name in tokens),
    )


def _scattered(module: Module, pieces: Mapping[str, Assembly]) -> frozenset[str]:
    found = {token for token, piece in pieces.items() if token and piece.sections}
    fresh = found
    while fresh:
        inlined = {t for t in fresh if not module.always_inline.isdisjoint(module.entities[t].groups)}
        fresh = {
            function.token
            for function in module.functions()
            if inlined and function.token not in found and not inlined.isdisjoint(references(function.text))
        }
        found |= fresh
    return frozenset(found)
