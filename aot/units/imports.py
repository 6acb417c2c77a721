"""Decides what a unit may bring in from other units, so that code can be inlined and loads be folded.

A body that `alwaysinline` promises comes in always; others that are short, or hot, as far as the limits go;
the contents of a short constant where code can fold loads from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from nativecache.aot.ir.linkage import is_always_inline, is_interposable
from nativecache.aot.ir.module import Entity, inline_asm, takes_block_address
from nativecache.aot.ir.syntax import ATTACHED_NODE, TOKEN, references
from nativecache.aot.units.bodies import Body
from nativecache.aot.units.program import Definition, Definitions, Program
from nativecache.linker.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """How much may be brought into a unit to be inlined, in simplified lines: per body, and in total.

    `lines` 0: only what must be inlined.
    """

    lines: int = 0
    total: int = 0

    def at(self, level: int) -> float:
        """The longest body, in simplified lines, worth importing.

        `level`: 1 for what the unit's own code calls, one more for each call in between; the limit shrinks
        from 3 on.
        """
        return self.lines * DECAY ** max(0, level - 2)


@dataclass(frozen=True, slots=True, eq=False)
class ImportCandidates:
    """All that units may import, decided for the whole program before any unit is written."""

    #: Functions that may stand in other units, by final name.
    bodies: Mapping[str, Body]
    #: Final names of functions that one call in the whole program reaches: compiled with their caller.
    once: frozenset[str]
    limits: ImportLimits

    def within(self, limits: ImportLimits) -> ImportCandidates:
        """These candidates under other limits."""
        return replace(self, limits=limits)


class ImportBudget:
    """What one unit may still import. It counts down as bodies are taken."""

    def __init__(self, limits: ImportLimits, module: int) -> None:
        """The whole budget of a unit of the module with this index."""
        self._limits = limits
        self._module = module
        self._left = limits.total

    def take(self, body: Body, level: int, heat: int) -> bool:
        """Whether a body may be imported; if so, its lines are taken off the budget.

        `level`: how far from the unit's code it is called, as ImportLimits.at has it.
        `heat`: what the limit is multiplied by (ir/profile.py); 0 for what is cold.
        """
        fits = body.lines <= min(self._limits.at(level) * heat, self._left)
        if not (heat and fits and body.importable and body.home in (None, self._module)):
            return False
        self._left -= body.lines
        return True


NO_IMPORTS: Final = ImportLimits()
NO_CANDIDATES: Final = ImportCandidates(MappingProxyType({}), frozenset(), NO_IMPORTS)
#: The default for `lines`, those that become instructions. sqlite3, instructions for a page of SQL against
#: clang -O2: 25 lines of any kind +1.6 %, 30 of them +1.2 %, 20 that become instructions +0.1 %; a JSON
#: program +9 %, +5 %, +5 %; processor time to compile sqlite3: 15.0 s, 16.9 s, 16.8 s (none: 14.0 s).
IMPORT_LINES: Final = 20
#: What is left of the limit at each call further away. C++ nests small functions deeply: eight files
#: with a JSON library ran 1.76 s with two levels only, 1.15 s with 0.8, 1.10 s with 0.9 (clang: 0.95 s)
#: and took the same time to compile, for functions inlined everywhere are not compiled at all.
DECAY: Final = 0.9
#: Lines brought into one unit at most, so that a chain of calls ends.
IMPORT_TOTAL: Final = 2000
#: Constants up to this many characters of IR are shown to the code that uses them. More would make
#: every user of a large table be compiled again at each edit of it.
CONSTANT_TEXT: Final = 512
#: The characters that each name in such a constant counts for, whatever its length.
_NAME_LENGTH: Final = 16


@lru_cache(maxsize=1 << 14)
def _nameless_length(text: str) -> int:
    """The length of a piece of IR in characters, with `_NAME_LENGTH` for each name in it."""
    names = [token for token in TOKEN.findall(text) if token[0] != '"']
    return len(text) + sum(_NAME_LENGTH - len(name) for name in names)


def importable_constant(entity: Entity) -> bool:
    """Whether code may fold loads from this variable: its value is known, fixed and short."""
    return (
        entity.kind == "variable"
        and entity.constant
        and entity.defined
        and not is_interposable(entity)
        and not entity.thread_local
        # C++'s type information says how long the type's name is.
        and not entity.token.startswith("@_ZTI")
        and _nameless_length(ATTACHED_NODE.sub("", entity.text)) <= CONSTANT_TEXT
        and not entity.has_block_address
    )


def shows_constant(program: Program, found: Definition) -> bool:
    """Whether code in other units may fold loads from a variable: asm does nothing to it, either."""
    if program.is_plain(found):
        return False
    changed = found.token in program.modules[found.module].bonds.changed
    return not changed and importable_constant(program.entity(found))


def may_show_constant(program: Program, found: Definition, module: int) -> bool:
    """Whether the unit of a module may hold a copy of a constant's contents, defined anywhere in the program.

    What the constant names must mean the same there: no pinned local, nothing that the linker resolves.
    """
    if not shows_constant(program, found):
        return False
    source, entity = program.modules[found.module].source, program.entity(found)
    if entity.linkage == "" and found.module != module:
        return False
    named = references(entity.text)
    if not source.pinned.isdisjoint(named) or program.leads_elsewhere(source, named):
        return False
    if found.module != module and program.is_divided(source, named):
        return False
    return not program.output.separate or found.module == module


def must_import(program: Program, source: Definitions, entity: Entity) -> bool:
    """Whether callers need this body for the program to mean what clang's build of it means.

    `alwaysinline` is a promise to the program; an `available_externally` body may have no other home.
    """
    if entity.kind != "function" or not entity.defined or is_interposable(entity):
        return False
    if entity.linkage != "available_externally" and not is_always_inline(entity, source.module):
        return False
    if entity.token in source.bonds.fixed and not source.bonds.sealed:
        return False
    symbols = references(entity.text) if source.pinned else ()
    return not takes_block_address(entity, source.module) and not mentions_pinned(
        program, source, entity, symbols
    )


def importable(program: Program, source: Definitions, entity: Entity, symbols: Collection[str]) -> bool:
    """Whether a copy of this body may stand in another unit to be inlined there.

    `symbols`: the tokens of all globals that it names.
    """
    if is_interposable(entity) or takes_block_address(entity, source.module):
        return False
    if program.leads_elsewhere(source, (entity.token, *symbols)):
        # Where the symbol's definition is in sight it would be taken for what the linker chooses.
        return False
    bases = program.opaque_bases
    if bases and not bases.isdisjoint(source.names.get(token, "") for token in symbols):
        return False
    bonds = source.bonds
    if any(entity.token in tokens for tokens in (bonds.fixed, bonds.changed)):
        return False
    if not source.module.never_inline.isdisjoint(entity.groups):
        return False
    # LLVM does not inline what reads its own variable arguments.
    return source.module.va_start.isdisjoint(symbols) and not mentions_pinned(
        program, source, entity, symbols
    )


def mentions_pinned(program: Program, source: Definitions, entity: Entity, symbols: Iterable[str]) -> bool:
    """Whether a body refers to a local that only its own unit can see, or names symbols in asm."""
    if entity.has_asm:
        from nativecache.aot.ir.assembly import asm_words

        piece = source.bonds.pieces.get(entity.token)
        words = piece.names if piece else asm_words(inline_asm(entity))
        if not words.isdisjoint(program.definitions) or any(source.names[t] in words for t in source.pinned):
            return True
    return not source.pinned.isdisjoint(symbols)
