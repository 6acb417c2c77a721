"""Cuts a program into units: one function each, except where entities cannot be told apart safely.

What is kept together, found by union-find over the tokens of one module:
aliases and ifuncs with what they name; functions with everything that holds their block addresses;
pinned locals (named by asm or `llvm.used`) with their users; what asm makes with all asm that names it, and
what asm names or changes with that asm (bonds.py); all of a module whose asm cannot be read with certainty;
comdat members when the output is linked again; `!associated` sections. Variables whose initialisers hold no
address share their module's data unit; the others (vtables, dispatch tables) are units of their own, so that
what only they reach is compiled only if they are reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final, Literal

from nativecache.aot.ir.linkage import aliasee, is_always_inline
from nativecache.aot.ir.module import Entity, Module, takes_block_address
from nativecache.aot.ir.syntax import block_owners, references, symbol_name
from nativecache.aot.units.bonds import MODULE_ASM, Bonds
from nativecache.aot.units.copies import copyable
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.program import Program, ProgramModule
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

_STRUCTORS: Final = "\0"  # the list of constructors, as a member of the union-find
_SECTION: Final = re.compile(r', section ("[^"]*")')
_ASSOCIATED: Final = re.compile(r", !associated (!\d+)")


#: One function; variables; several entities kept together with a function among them; a module's own asm;
#: its constructors and destructors; the types of its debug information.
UnitKind = Literal["function", "data", "group", "asm", "structors", "types"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest set of entities compiled alone; all of one module, in the module's order.

    `index`: its own, among all units; `module`: its module's, in Program.modules. `tokens`: what it defines.
    `name`: the final name of its first function or variable, or a kind and the module's file without its
    folder (`data:a.c`); the history of builds and messages call it that. `has_asm`: the module's own asm is
    in it.
    """

    index: int
    module: int
    kind: UnitKind
    tokens: tuple[str, ...]
    name: str
    has_asm: bool = False
    #: Whether it lists the module's constructors, as a unit alone does unless one of those is pinned.
    has_structors: bool = False

    @property
    def is_function(self) -> bool:
        """Whether it has code: it is a function, or a group with one among its entities."""
        return self.kind in ("function", "group")


@dataclass(frozen=True, slots=True)
class Apart:
    """What is to have sections of its own in an object: each function, each variable.

    `comdats`: those of them that are in comdats, though these are dropped.
    """

    code: bool
    data: bool
    comdats: bool = False

    def keeps(self, entity: Entity) -> bool:
        """Whether a function or variable is to have a section of its own."""
        own = self.code if entity.kind == "function" else self.data and entity.kind == "variable"
        return own or (self.comdats and entity.comdat is not None)


NOTHING_APART: Final = Apart(code=False, data=False)


def partition(program: Program, apart: Apart = NOTHING_APART) -> tuple[Unit, ...]:
    """All units of the program in input order. `apart`: what is to have sections of its own."""
    units: list[Unit] = []
    for part in program.modules:
        units += cut(program, part, apart, first=len(units))
    return tuple(units)


def cut(program: Program, part: ProgramModule, apart: Apart, *, first: int) -> list[Unit]:
    """The units of one module, numbered from `first`."""
    units: list[Unit] = []
    for kind, tokens, name in _module_units(program, part, apart):
        members = tuple(token for token in tokens if token not in (MODULE_ASM, _STRUCTORS))
        asm, listed = MODULE_ASM in tokens, _STRUCTORS in tokens
        units.append(Unit(first + len(units), part.index, kind, members, name, asm, listed))
    return units


def _module_units(
    program: Program, part: ProgramModule, apart: Apart
) -> Iterable[tuple[UnitKind, tuple[str, ...], str]]:
    module, final, copies = part.module, program.output.drops_comdats, set()
    used = {token for tokens in module.used.values() for token in tokens}
    members = []
    for token, entity in module.entities.items():
        if entity.defined and entity.linkage != "available_externally" and token not in part.dropped:
            if copyable(entity) and token not in part.pinned:
                copies.add(token)
            else:
                members.append(token)
    listed = [slot.function for slot in structors(part, program.output) if slot.comdat is None]
    joined = _join(program, part, members, listed)
    groups: dict[str, list[str]] = defaultdict(list)
    for token in members:
        groups[joined.find(token)].append(token)
    if module.asm:
        groups[joined.find(MODULE_ASM)].append(MODULE_ASM)
    if part.bonds.sealed or not part.pinned.isdisjoint(listed):
        groups[joined.find(_STRUCTORS)].append(_STRUCTORS)
        listed = []

    file = PurePath(module.label).name
    data: list[str] = []
    for group in groups.values():
        if final and len(group) > 1:
            group.sort(key=_places(module, group).__getitem__)
        real = [token for token in group if token not in (MODULE_ASM, _STRUCTORS)]
        functions = [t for t in real if module.entities[t].kind == "function"]
        if MODULE_ASM in group:
            yield "group" if functions else "asm", tuple(group), f"asm:{file}"
        elif functions:
            alone = len(group) == 1 and not part.bonds.sealed
            yield "function" if alone else "group", tuple(group), part.names[functions[0]]
        elif (
            apart.data
            or any(t in used for t in real)
            or ((not final or apart.comdats) and any(module.entities[t].comdat for t in real))
            or _addresses(module, real) - copies
        ):
            yield "data", tuple(group), part.names[real[0]]
        else:
            data += real
    if data:
        order = {token: n for n, token in enumerate(members)}
        yield "data", tuple(sorted(data, key=order.__getitem__)), f"data:{file}"
    if listed or _libraries(module):
        yield "structors", (_STRUCTORS,) if listed else (), f"structors:{file}"
    if module.debug is not None and module.debug.types is not None:
        yield "types", (), f"types:{file}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A constructor or destructor that the image runs: a pointer in a section."""

    section: str  # .init_array or .fini_array, with the priority's suffix
    function: str  # its token
    comdat: str | None  # the group that it comes and goes with, if the output is linked again


def structors(part: ProgramModule, output: OutputModel) -> list[Slot]:
    """The constructors and destructors of a module that survive, in order.

    An entry goes with its associated global when that does not prevail here.
    """
    return list(_structors(part, output))


def _structors(part: ProgramModule, output: OutputModel) -> Iterable[Slot]:
    module = part.module
    for kind, section in (("ctors", ".init_array"), ("dtors", ".fini_array")):
        for entry in module.structors[kind]:
            if entry.associated in part.dropped:
                continue
            if entry.function in part.dropped and module.entities[entry.function].local:
                continue
            # 65535 is the default priority. Written as LLVM does: GNU ld orders equal ones by their text.
            suffix = "" if entry.priority == 65535 else f".{entry.priority}"
            associated = None if output.drops_comdats else entry.associated
            group = module.entities[associated].comdat if associated else None
            if group != module.entities[entry.function].comdat:
                group = None
            yield Slot(section + suffix, entry.function, group)


def _places(module: Module, tokens: Iterable[str]) -> dict[str, int]:
    """By token of a unit, where it comes in an object: at the first of those that share its section there.

    What is in a comdat has a section of its own there, behind that of the same name if that came first. Where
    it is in no comdat any more, the two are one.
    """
    firsts: dict[tuple[str, str | None], int] = {}
    places: dict[str, int] = {}
    for n, token in enumerate(tokens):
        entity = module.entities.get(token)
        found = _SECTION.search(entity.text) if entity and entity.kind == "variable" else None
        places[token] = firsts.setdefault((found[1], entity.comdat), n) if entity and found else n
    return places


def _libraries(module: Module) -> bool:
    """Whether the source asks the linker for libraries (`#pragma comment(lib, …)`)."""
    return bool(module.named_metadata.get("llvm.dependent-libraries"))


class _Join:
    """Union-find over tokens."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, token: str) -> str:
        root = token
        while (above := self._parent.get(root, root)) != root:
            root = above
        if root != token:
            self._parent[token] = root
        return root

    def union(self, one: str, other: str) -> None:
        a, b = self.find(one), self.find(other)
        if a != b:
            self._parent[b] = a


def _join(program: Program, part: ProgramModule, members: list[str], listed: list[str]) -> _Join:
    joined, module = _Join(), part.module
    if part.bonds.sealed:
        for token in (MODULE_ASM, _STRUCTORS, *members):
            joined.union(members[0] if members else MODULE_ASM, token)
        return joined
    entities = module.entities
    present = set(members)
    comdats: dict[str, str] = {}
    sections: dict[str, str] = {}
    for token in members:
        entity = entities[token]
        if entity.kind == "variable" and (found := _SECTION.search(entity.text)):
            # What is placed in one section may be walked as an array: it stays together, in order.
            joined.union(sections.setdefault(found[1], token), token)
        if entity.kind in ("alias", "ifunc"):
            joined.union(aliasee(entity), token)
        if entity.comdat:
            once = not module.comdats.get(entity.comdat, "any").startswith("nodeduplicate")
            if not (once and program.output.drops_comdats):
                joined.union(comdats.setdefault(entity.comdat, token), token)
        if entity.has_block_address:
            for function in block_owners(entity.text):
                joined.union(function, token)
        if match := _ASSOCIATED.search(entity.text) if entity.kind == "variable" else None:
            for other in references(module.metadata.get(match[1], "")):
                if other in present:
                    joined.union(other, token)
    # A debugger finds a function inside of another one only where it finds that one's code.
    for token, host in module.debug.hosts.items() if module.debug else ():
        if token in present and host in present:
            joined.union(host, token)
    _join_asm(part.bonds, members, joined)
    for function in part.pinned.intersection(listed):
        joined.union(_STRUCTORS, function)
    _join_users(program, part, members, joined)
    return joined


def _join_asm(bonds: Bonds, members: list[str], joined: _Join) -> None:
    """Unites each piece of asm with the entities that it names, and with the makers of what it names."""
    tokens = {symbol_name(token): token for token in members} if bonds.pieces else {}
    makers: dict[str, str] = {}
    for piece, found in bonds.pieces.items():
        for name in found.made:
            joined.union(makers.setdefault(name, piece), piece)
    for piece, found in bonds.pieces.items():
        for name in found.names & makers.keys():
            joined.union(makers[name], piece)
        for name in found.names & tokens.keys():
            joined.union(tokens[name], piece)


def _join_users(program: Program, part: ProgramModule, members: list[str], joined: _Join) -> None:
    """Unites what cannot be referred to from another unit with everything that refers to it.

    That is pinned symbols, and `alwaysinline` bodies that mention those or take block addresses: such
    a body cannot be carried into another unit, so its callers come to it. Repeated until none is new.
    """
    module, bonds = part.module, part.bonds
    stuck = set(part.pinned - part.dropped)
    # An alias that is no plain second name, and what other files, or the linker, resolve elsewhere.
    stuck |= {t for t in members if program.is_opaque_alias(part, module.entities[t])}
    stuck |= {t for t in members if program.keeps_to_itself(part, module.entities[t])}
    stuck |= {t for t in members if part.names[t] in program.assigned}
    # A version takes a symbol's own name away.
    stuck |= {t for t in members if symbol_name(t) in bonds.whole.versioned}
    inlined = {t for t in members if is_always_inline(module.entities[t], module)}
    stuck |= {t for t in inlined if t in bonds.fixed or takes_block_address(module.entities[t], module)}
    fresh = stuck
    while fresh:
        names = {symbol_name(token): token for token in fresh}
        mention = re.compile(rf"(?:{'|'.join(map(re.escape, fresh))})(?![-\w$.])")
        touched = set()
        for token in members:
            entity = module.entities[token]
            found = set(mention.findall(entity.text))
            if token in bonds.pieces:
                # Inline asm names a symbol in words rather than by reference.
                found |= {names[word] for word in bonds.pieces[token].names & names.keys()}
            for other in found:
                defined = module.entities[other].defined
                joined.union(other if defined else bonds.piece_of(symbol_name(other)), token)
            if found:
                touched.add(token)
        fresh = (inlined & touched) - stuck
        stuck |= fresh


def _addresses(module: Module, tokens: list[str]) -> set[str]:
    """What the initialisers of some variables refer to outside themselves."""
    found = {t for token in tokens for t in references(module.entities[token].text)}
    return found - set(tokens)
