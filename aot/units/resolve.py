"""Resolves symbols over all modules of a build: what prevails, what is promoted, what clashes.

As linkers do: a strong definition prevails over common ones, those over weak ones, the first of equals over
the rest, and of a comdat the first module's members. Locals are given names that are unique in the program,
so that other units can refer to them, unless asm or `llvm.used` fixes their names.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, MutableMapping, Sequence, Set
from pathlib import PurePath

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.linkage import aliasee, definition, is_decorated
from nativecache.aot.ir.module import Entity, Module, index_function, index_global
from nativecache.aot.ir.syntax import quote, split_global, symbol_name
from nativecache.aot.units.bonds import Bonds, find_bonds
from nativecache.aot.units.output_model import EXECUTABLE, OutputModel
from nativecache.aot.units.program import Definition, Program, ProgramModule
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass, replace


def resolve_symbols(
    modules: Sequence[Module],
    output: OutputModel = EXECUTABLE,
    told: SymbolOptions = SymbolOptions(),  # noqa: B008 - it is frozen
    elsewhere: frozenset[str] = frozenset(),
) -> Program:
    """The program of some modules: which definition of each symbol prevails, and what locals are called.

    `output`: what they become. `told`: what the linker is told. `elsewhere`: symbols that native inputs and
    libraries define.

    Raises BuildError with every duplicate strong definition, each with both files.
    """
    assigned = _find_assigned(modules, told, elsewhere)
    bonds = tuple(map(find_bonds, modules))
    # What asm does something to is not the same as another file's.
    kept = [m.entities.keys() if b.sealed else b.changed for m, b in zip(modules, bonds, strict=True)]
    losers = _comdat_losers(modules, assigned)
    dropped = [lost.difference(stays) for lost, stays in zip(losers, kept, strict=True)]
    candidates = _find_candidates(modules, dropped)
    choices = {
        name: _choose(name, found, modules, bonds, told, assigned)
        for name, found in candidates.items()
        if len(found) > 1
    }
    if problems := [choice.problem for choice in choices.values() if choice.problem]:
        raise BuildError(*problems)
    for choice in choices.values():
        for loser in choice.losers:
            if loser.token not in kept[loser.module]:
                dropped[loser.module].add(loser.token)
    modules = [_keep_aliased_bodies(module, lost) for module, lost in zip(modules, dropped, strict=True)]
    multiple = frozenset(name for name, choice in choices.items() if choice.multiple)
    led_elsewhere = frozenset(candidates.keys() & (assigned | multiple))
    definitions = {name: found[0] for name, found in candidates.items()}
    definitions.update((name, choice.prevailing) for name, choice in choices.items())
    parts = _name_all(modules, bonds, dropped, definitions)
    return Program(
        modules=parts,
        output=replace(output, keeps_comdats=_has_comdats(modules, led_elsewhere)),
        definitions=definitions,
        asm_words=frozenset().union(*(b.names for b in bonds)),
        assigned=led_elsewhere,
        multiple=multiple,
    )


def _has_comdats(modules: Sequence[Module], names: frozenset[str]) -> bool:
    """Whether one of some symbols is a member of a comdat."""
    entities = (module.entities.get("@" + quote(name)) for name in names for module in modules)
    return any(entity is not None and entity.comdat for entity in entities)


def _find_assigned(
    modules: Sequence[Module], told: SymbolOptions, elsewhere: frozenset[str]
) -> frozenset[str]:
    """Symbols whose users the linker may lead elsewhere, whether the program has them or not."""
    if told.any_assigned:
        return frozenset(symbol_name(token) for module in modules for token in module.entities)
    return told.assigned | (elsewhere if told.multiple else frozenset())


def _find_candidates(
    modules: Sequence[Module], dropped: Sequence[Container[str]]
) -> dict[str, list[Definition]]:
    """All definitions of each symbol that other files see, in the modules' order."""
    candidates: dict[str, list[Definition]] = defaultdict(list)
    for i, module in enumerate(modules):
        for token, entity in module.entities.items():
            if entity.local or not entity.defined or entity.linkage == "available_externally":
                continue
            if token not in dropped[i]:
                candidates[symbol_name(token)].append(Definition(i, token))
    return candidates


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which of several definitions prevails, and which go. `multiple`: all stay, and the linker chooses."""

    prevailing: Definition
    losers: tuple[Definition, ...] = ()
    multiple: bool = False
    #: Why there is no choice, or nothing.
    problem: str = ""


def _choose(
    name: str,
    found: Sequence[Definition],
    modules: Sequence[Module],
    bonds: Sequence[Bonds],
    told: SymbolOptions,
    assigned: Container[str],
) -> _Choice:
    linkages = [modules[d.module].entities[d.token].linkage for d in found]
    for n, d in enumerate(found):
        if linkages[n] in ("", "external") and bonds[d.module].may_weaken(name):
            linkages[n] = "weak"
    strong = [d for d, linkage in zip(found, linkages, strict=True) if linkage in ("", "external")]
    common = [d for d, linkage in zip(found, linkages, strict=True) if linkage == "common"]
    prevailing = (strong or common or found)[0]
    if len(strong) > 1 and not told.multiple:
        labels = [modules[d.module].label for d in strong]
        remedy = "rename one or make it static"
        if len(set(map(PurePath, labels))) == 1:
            remedy = "name the file once"
        return _Choice(prevailing, problem=f"'{name}' is defined in {' and in '.join(labels)}; {remedy}")
    if name in assigned or len(strong) > 1:
        # A file that has its own refers to that, as far as linkers go by files.
        return _Choice(prevailing, multiple=True)
    # Common symbols all stay: the linker merges them and keeps the largest.
    staying = (prevailing,) if strong else (prevailing, *common)
    return _Choice(prevailing, tuple(d for d in found if d not in staying))


def _name_all(
    modules: Sequence[Module],
    bonds: Sequence[Bonds],
    dropped: Sequence[Set[str]],
    definitions: dict[str, Definition],
) -> tuple[ProgramModule, ...]:
    """Gives every global its final name, and adds the locals that are promoted to `definitions`."""
    taken = {symbol_name(token) for m in modules for token, entity in m.entities.items() if not entity.local}
    identifiers = module_ids([module.label for module in modules])
    return tuple(
        name_globals(i, module, identifiers[i], bonds[i], dropped[i], definitions, taken)
        for i, module in enumerate(modules)
    )


def name_globals(
    index: int,
    module: Module,
    identifier: str,
    bonds: Bonds,
    dropped: Set[str],
    definitions: MutableMapping[str, Definition],
    taken: set[str],
) -> ProgramModule:
    """The module of this index with the final names of its globals; promoted locals go into `definitions`.

    `identifier`: as `module_ids` has it. `dropped`: definitions that do not prevail. `taken`: names that no
    local may be given; those that are given go into it.
    """
    pinned = _find_pinned(module, bonds, definitions)
    names = {}
    for token, entity in module.entities.items():
        if not entity.local:
            names[token] = symbol_name(token)
            continue
        name = symbol_name(token) if not token[1].isdigit() else f"__unnamed_{token[1:]}"
        if token not in pinned:
            name = f"{name}.{identifier}"
            while name in taken:
                name += "_"
            taken.add(name)
            if entity.defined and token not in dropped:
                definitions[name] = Definition(index, token)
        names[token] = name
    return ProgramModule(index, module, names, frozenset(dropped), pinned, bonds)


def check_one_file(program: Program) -> None:
    """Raises BuildError where the asm of several modules could not stand in one file of asm or bitcode."""
    problems = []
    for part in program.modules:
        bonds = part.bonds
        if not bonds.pieces:
            continue
        private, where = bonds.private_names(part.module), f"{part.label}: asm makes"
        for other in program.modules:
            if other is part:
                continue
            theirs = other.bonds
            entities = {symbol_name(token): entity for token, entity in other.entities.items()}
            defined = {name for name, entity in entities.items() if entity.defined and not entity.local}
            shared = private & (entities.keys() | theirs.names)
            shared |= bonds.whole.made & (defined | theirs.whole.made)
            if bonds.sealed or shared:
                what = f"'{min(shared)}'" if shared else "symbols"
                problems.append(
                    f"{where} {what} for that file only, so it cannot be in one file with {other.label}; "
                    f"emit an object, an archive or an image"
                )
                break
    if problems:
        raise BuildError(*problems)


def _keep_aliased_bodies(module: Module, dropped: set[str]) -> Module:
    """The module with bodies for aliases that prevail while their aliasee is replaced by another file's."""
    made: dict[str, Entity] = {}
    for token, entity in module.entities.items():
        if entity.kind not in ("alias", "ifunc") or token in dropped:
            continue
        base = module.entities[aliasee(entity)]
        if base.token not in dropped:
            continue
        own = "@" + quote(f"{symbol_name(base.token)}.aliased")
        if own not in made:
            text = definition(base, keep_comdat=False, linkage="internal")
            body = index_function if base.kind == "function" else index_global
            made[own] = body(text.replace(base.token, own, 1))
        head, rest = split_global(entity.text)
        made[token] = index_global(f"{head} = {rest.replace(base.token, own, 1)}")
    return replace(module, entities=module.entities | made) if made else module


def _comdat_losers(modules: Sequence[Module], assigned: frozenset[str]) -> list[set[str]]:
    """Per module, the members of comdats that an earlier module already provides.

    Comdats of functions that are assigned to stay in all modules, for the linker to choose from.
    """
    kept = {
        entity.comdat
        for module in modules
        for entity in module.entities.values()
        if assigned and entity.comdat and entity.kind != "variable" and symbol_name(entity.token) in assigned
    }
    owner: dict[str, int] = {}
    losers: list[set[str]] = []
    for i, module in enumerate(modules):
        lost = set()
        for token, entity in module.entities.items():
            if entity.comdat and entity.defined and entity.linkage != "available_externally":
                if module.comdats.get(entity.comdat, "any").startswith("nodeduplicate"):
                    continue
                if owner.setdefault(entity.comdat, i) != i and entity.comdat not in kept:
                    lost.add(token)
        losers.append(lost)
    return losers


def module_ids(labels: Sequence[str]) -> list[str]:
    """A name per module for its promoted locals: the file's stem, numbered where two are the same.

    Never a content hash: that would rename every local, and miss every caller, at each edit.
    """
    seen: Counter[str] = Counter()
    ids = []
    for label in labels:
        stem = re.sub(r"[^\w]", "_", PurePath(label).stem) or "module"
        seen[stem] += 1
        ids.append(stem if seen[stem] == 1 else f"{stem}.{seen[stem]}")
    return ids


def _find_pinned(module: Module, bonds: Bonds, definitions: Container[str]) -> frozenset[str]:
    """Locals that cannot be renamed, and declarations that only the module's own asm defines."""
    used = {token for tokens in module.used.values() for token in tokens}
    sealed = bool(bonds.sealed)
    fixed = {
        token
        for token, entity in module.entities.items()
        if entity.local
        and entity.defined
        and (
            token in used
            or (sealed and not token[1].isdigit())
            or symbol_name(token) in bonds.names
            or token in bonds.makers
            # Its asm may be none without its callers' constants, and names what copies of it could not.
            or (
                token in bonds.pieces
                and not module.always_inline.isdisjoint(entity.groups)
                and any(
                    name in definitions or f"@{name}" in module.entities for name in bonds.pieces[token].names
                )
            )
            or is_decorated(entity)
        )
    }
    return frozenset(fixed | bonds.private)
