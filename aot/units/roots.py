"""Decides what a build must contain whoever refers to it; the rest is compiled only when reached."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import groupby

from nativecache.aot.ir.library_names import has_meaning
from nativecache.aot.ir.linkage import is_always_inline, is_decorated, is_placed
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import references, symbol_name
from nativecache.aot.units.partition import Unit, structors
from nativecache.aot.units.program import DISCARDABLE, Program, ProgramModule
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass


def index_symbols(program: Program, units: Iterable[Unit]) -> dict[str, list[int]]:
    """Final symbol name -> indices of the units that define it.

    Several define common symbols, and those of which the linker takes the first definition.
    """
    found: dict[str, list[int]] = {}
    for unit in units:
        for token in unit.tokens:
            part = program.modules[unit.module]
            found.setdefault(part.names[token], []).append(unit.index)
            # Symbols that inline asm defines are the unit's as well.
            for name in part.bonds.exported_by(token):
                found.setdefault(name, []).append(unit.index)
    return found


@dataclass(frozen=True, slots=True)
class RootRules:
    """What makes a unit of any module a root. `entry`, `outside`: symbols; `everything` that is exported."""

    options: SymbolOptions
    outside: frozenset[str]
    entry: frozenset[str]
    everything: bool


def find_roots(
    program: Program, units: Sequence[Unit], rules: RootRules, *, all_units: bool = False
) -> list[int]:
    """Indices of the units that the image needs in any case, in unit order; of all if `all_units`."""
    if all_units:
        return [u.index for u in units]
    return [index for _, found in groupby(units, _module_of) for index in roots_among(program, found, rules)]


def root_rules(
    defined: Container[str], *, executable: bool, options: SymbolOptions, outside: frozenset[str]
) -> RootRules:
    """What makes a unit a root.

    `defined`: symbols that the program's units define; `options`: what the linker is told; `outside`: symbols
    that native inputs and system libraries mention.
    """
    entry = {"main", "_start"} | options.named - {"_init", "_fini"}
    # An entry point may be something that we do not know.
    known = any(name in defined for name in entry) or any(name in defined for name in outside)
    everything = not executable or options.exports or not known
    return RootRules(options, outside, frozenset(entry), everything=everything)


def _module_of(unit: Unit) -> int:
    return unit.module


def roots_among(program: Program, given: Iterable[Unit], rules: RootRules) -> list[int]:
    """The indices of the roots among the units of one module, in their order."""
    units = list(given)
    if not units:
        return []
    part = program.modules[units[0].module]
    sealed = bool(part.bonds.sealed)
    roots = {
        u.index for u in units if u.kind in ("structors", "types") or u.has_asm or u.has_structors or sealed
    }
    options, outside, entry = rules.options, rules.outside, rules.entry
    kept = {slot.function for slot in structors(part, program.output)}.union(*part.module.used.values())
    effects = _leave_traces(part)
    exported_copies, used_copies = program.kept_copies
    for unit in units:
        for token in unit.tokens:
            entity, name = part.entities[token], part.names[token]
            exported = not entity.local and (entity.linkage not in DISCARDABLE or name in exported_copies)
            if (
                token in kept
                or token in effects
                or is_decorated(entity)
                or (rules.everything and exported)
                or name in entry
                or (not entity.local and name in used_copies)
                or (exported and name in program.multiple)
                or (not entity.local and options.names(name))
                or (not entity.local and (name in outside or has_meaning(symbol_name(token))))
                or is_placed(entity, part.module)
            ):
                roots.add(unit.index)
    return sorted(roots)


def _leave_traces(part: ProgramModule) -> set[str]:
    """Entities that stay for what inline asm does without being run: it makes symbols or fills sections.

    What may be gone once it is inlined does so in what it is inlined into, so that stays.
    """
    module, bonds = part.module, part.bonds
    found = {*bonds.scattered, *(token for token, piece in bonds.pieces.items() if token and piece.made)}
    fresh, vanishing = found, set[str]()
    while fresh:
        gone = {token for token in fresh if _may_vanish(module.entities[token], module)}
        vanishing |= gone
        fresh = {
            entity.token
            for entity in module.entities.values()
            if entity.defined and entity.token not in found and not gone.isdisjoint(references(entity.text))
        }
        found |= fresh
    return found - vanishing


def _may_vanish(entity: Entity, module: Module) -> bool:
    return entity.linkage in DISCARDABLE or entity.local or is_always_inline(entity, module)
