"""Resolves symbols over all modules of a build: what prevails, what is promoted, what clashes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Final

from nativecache.aot.debug.normalise import keep_debug, normalise
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.debug_info import DebugInfo, LineMap
from nativecache.aot.ir.linkage import aliasee, definition, is_interposable
from nativecache.aot.ir.module import Entity, Module, index_function, index_global, index_module
from nativecache.aot.ir.profile import WARM
from nativecache.aot.ir.syntax import NAME, quote, references, split_global, symbol_name
from nativecache.aot.packed import decode_pairs
from nativecache.aot.units.bonds import NO_BONDS, Bonds, find_bonds
from nativecache.linker.symbol_options import SymbolOptions

#: A string is copied into each unit that uses it up to this many characters of IR.
COPIED_STRING: Final = 8192
#: Sizes in bytes of constants that linkers merge (ELF's .rodata.cst4 to .rodata.cst32).
_MERGED_SIZES: Final = (4, 8, 16, 32)
_STRING: Final = re.compile(r' \[\d+ x i8\] c"(?:[^"\\]|\\(?!00)[0-9A-F]{2})*\\00"')
_WIDE_STRING: Final = re.compile(r" \[\d+ x (i16|i32)\] \[(?:\1 -?[1-9]\d*, )*\1 0\]")
_NUMBERS: Final = re.compile(r" (?:global|constant) (?:\[(\d+) x )?(?:i(8|16|32|64)|(float)|(double))[] ]")

_PLAIN_ALIAS: Final = re.compile(rf" alias [^@]*, ptr(?: addrspace\([^)]*\))? @{NAME}\n?$", re.ASCII)
#: Calling conventions under which LLVM decorates a symbol's name.
_DECORATED: Final = re.compile(r"\bx86_(?:vector|fast|std|reg)callcc\b")
_CALL: Final = re.compile(rf"(@{NAME})\(", re.ASCII)
#: Records of variables, and what `!dbg` attaches: a number, as LLVM prints it.
_DEBUG_INFO: Final = re.compile(r"\n *#dbg_.*|,? !dbg !\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Definition:
    """Where the prevailing definition of a symbol is."""

    module: int
    token: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """Text that units are written from: a module, or one function's simplified body.

    `names` gives the final symbol name of each global's token; `pinned` as in Program. `generated`:
    the text is one that we wrote, so its placeholders are ours. `label`: of the module that it is from.
    """

    module: Module
    names: Mapping[str, str]
    pinned: frozenset[str]
    label: str
    generated: bool = False
    bonds: Bonds = NO_BONDS


@dataclass
class Body:
    """A function that may stand in other functions' units.

    `given` is where it was read; a short function has `printed` instead, which gives what LLVM printed
    after a clean-up of the unit that `bindings` belong to. `lines` judges what inlining it would cost;
    `importable` tells whether a copy may stand in another unit at all; `mentions` packs the final
    names of the symbols that it names, itself left out, some of them more than once if it names them
    more than once; `heat` is the function's own (see profile.py).
    """

    lines: int
    importable: bool
    mentions: str
    given: tuple[Definitions, Entity] | None = None
    printed: Callable[[], str] | None = None
    bindings: str = ""  # packed pairs
    line_map: str = ""  # packed
    label: str = ""  # of its module
    debug: DebugInfo | None = None  # its module's
    #: The one module that may import it, where another image could replace it at run time, or where it
    #: names what no other module can.
    home: int | None = None
    heat: int = WARM

    @cached_property
    def source(self) -> Definitions:
        if self.given:
            return self.given[0]
        assert self.printed is not None
        module = index_module(self.printed(), "")
        names, bindings = {}, decode_pairs(self.bindings)
        if self.debug is not None:
            relative = self.debug.relative
            places = LineMap.decode(self.line_map) if relative else None
            normalise([module], relative=relative, line_map=places, names=bindings)
            if relative and module.debug is None:
                _strip_debug_info(module)
        elif module.debug_text:
            keep_debug(module)
        for token in module.entities:
            name = symbol_name(token)
            names[token] = bindings.get(name, name)
        return Definitions(module, names, frozenset(), self.label, generated=True)

    @cached_property
    def entity(self) -> Entity:
        if self.given:
            return self.given[1]
        return next(e for e in self.source.module.entities.values() if e.kind == "function" and e.defined)

    @cached_property
    def calls(self) -> frozenset[str]:
        """Tokens of what the function calls by name."""
        return called(self.entity.text)


def _strip_debug_info(module: Module) -> None:
    """Without what could not be normalised: its lines are encoded, and nothing says what they stand for."""
    for entity in module.entities.values():
        entity.text = _DEBUG_INFO.sub("", entity.text)


def is_decorated(entity: Entity) -> bool:
    """Whether the object's symbol is spelled unlike the function's name, and so cannot be renamed."""
    return entity.kind == "function" and _DECORATED.search(entity.text.partition("(")[0]) is not None


def may_be_replaced(entity: Entity) -> bool:
    """Whether a definition is exported, so that the dynamic linker may prefer another image's to it."""
    return not (entity.local or entity.visibility)


def _is_dso_local(entity: Entity) -> bool:
    """Whether a definition with external linkage is marked as one that its own image reaches directly."""
    if entity.kind == "function":
        return " dso_local " in entity.text.partition("(")[0]
    return entity.text.removeprefix(entity.token).startswith(" = dso_local ")


def called(text: str) -> frozenset[str]:
    """Tokens of what a function, given by its text, calls by name (and its own)."""
    return frozenset(_CALL.findall(text))


@dataclass
class Program:
    """All modules of a build with their symbols resolved.

    `names[i][token]` is the final symbol name of a global of module i, unique in the program;
    `dropped[i]` holds the tokens of definitions that do not prevail; `pinned[i]` those of locals
    whose name asm or `llvm.used` fixes: they keep name and linkage and share a unit with their users.
    """

    modules: tuple[Module, ...]
    names: tuple[dict[str, str], ...]
    dropped: tuple[frozenset[str], ...]
    pinned: tuple[frozenset[str], ...]
    #: By module, what its asm ties together.
    bonds: tuple[Bonds, ...]
    definitions: dict[str, Definition]
    #: Every word of every asm string in the program: symbols that asm may name.
    asm_words: frozenset[str]
    #: Simplified bodies by final name, where there are any.
    bodies: dict[str, Body] = field(default_factory=dict)
    #: Functions that one call in the whole program reaches: they are compiled with their caller.
    once: frozenset[str] = frozenset()
    #: Symbols whose users the linker may lead elsewhere than to this program's prevailing definition: it is
    #: told so, or takes the first of several. What their own file inlines stays, as in clang's objects.
    assigned: frozenset[str] = frozenset()
    #: Those of which several definitions stay, for the linker to choose.
    multiple: frozenset[str] = frozenset()
    #: Whether exported symbols may be replaced at run time, as in a shared library.
    interposable: bool = False
    #: Whether each module becomes an object of its own, whose locals no other can name.
    separate: bool = False
    #: Whether common symbols are linked, ours or those of native inputs.
    has_common: bool = False
    #: Whether native inputs list constructors in sections that linkers sort differently.
    has_padded: bool = False
    #: The folder that was compiled in, as debug information has it.
    directory: str = ""

    @cached_property
    def has_assigned_comdats(self) -> bool:
        """Whether a member of a comdat may be resolved elsewhere by the linker."""
        entities = (m.entities.get("@" + quote(name)) for name in self.assigned for m in self.modules)
        return any(entity is not None and entity.comdat for entity in entities)

    @cached_property
    def debug(self) -> dict[str, DebugInfo]:
        """Normalised debug information by module label."""
        return {module.label: module.debug for module in self.modules if module.debug is not None}

    def has_lines(self, line_map: LineMap) -> bool:
        """Whether every source line that an object refers to still exists; no fingerprint covers lines."""
        debug = self.debug
        kinds = ((line_map.ranges, "ranges"), (line_map.lines, "lines"), (line_map.names, "named"))
        return all(
            label in debug and key in getattr(debug[label], kind)
            for found, kind in kinds
            for label, key in found
        )

    @cached_property
    def checksums(self) -> list[dict[bytes, bytes]]:
        """By module, checksums of source files by placeholder, as the module itself knows them if it does."""
        every = {p: real for debug in self.debug.values() for p, real in debug.checksums.items()}
        return [every | m.debug.checksums if m.debug is not None else every for m in self.modules]

    @cached_property
    def opaque_bases(self) -> frozenset[str]:
        """Final names of what has a second name that cannot be resolved, if only in its own object."""
        found = {
            self.names[i][aliasee(entity) if entity.kind == "alias" else entity.token]
            for i, module in enumerate(self.modules)
            for entity in module.entities.values()
            if self.is_opaque_alias(i, entity) or self.keeps_to_itself(i, entity)
        }
        return frozenset(found).union(
            names[token]
            for names, bonds in zip(self.names, self.bonds, strict=True)
            for token in bonds.aliased
        )

    def is_opaque_alias(self, i: int, entity: Entity) -> bool:
        """Whether an alias of module i is another object to LLVM wherever its definition is not in sight.

        A plain one is just a second name and can be written as its aliasee, unless that is pinned, or only
        one of the two may be replaced at run time.
        """
        entities, pinned = self.modules[i].entities, self.pinned[i]
        while entity.kind == "alias":
            base = aliasee(entity)
            if is_interposable(entity) or not _PLAIN_ALIAS.search(entity.text) or base in pinned:
                return True
            if self.assigned and not self.assigned.isdisjoint(map(symbol_name, (entity.token, base))):
                return True
            if self.interposable and (may_be_replaced(entity) or may_be_replaced(entities[base])):
                return True
            entity = entities[base]
        return False

    def keeps_to_itself(self, i: int, entity: Entity) -> bool:
        """Whether code of its own file reaches this exported definition even where another replaces it.

        With `-fno-semantic-interposition` it is `dso_local`, and LLVM gives it a second name (`.Lf$local`)
        in its own object (canBenefitFromLocalAlias in Globals.cpp, getSymbolPreferLocal in AsmPrinter.cpp).
        """
        return (
            self.interposable
            and entity.defined
            and entity.linkage in ("", "external")
            and entity.kind != "ifunc"
            and not entity.comdat
            and may_be_replaced(entity)
            and _is_dso_local(entity)
            and self.modules[i].for_library
        )

    def is_home(self, i: int, token: str) -> bool:
        """Whether a definition of module i is the program's one of that symbol."""
        return self.definitions.get(self.names[i][token]) == Definition(i, token)

    @cached_property
    def _leading_elsewhere(self) -> dict[int, frozenset[str]]:
        """By module object, tokens of assigned symbols and of what carries their names into its callers."""
        found: dict[int, frozenset[str]] = {}
        for names, module in zip(self.names, self.modules, strict=True):
            tokens = {token for token, name in names.items() if name in self.assigned}
            carried = {
                function.token: references(function.text)
                for function in module.functions()
                if function.linkage == "available_externally"
                or not module.always_inline.isdisjoint(function.groups)
            }
            while more := {t for t, named in carried.items() if not tokens.isdisjoint(named)} - tokens:
                tokens |= more
            found[id(module)] = frozenset(tokens)
        return found

    def leads_elsewhere(self, source: Definitions, tokens: Iterable[str]) -> bool:
        """Whether any of these tokens brings a symbol along that the linker may resolve to something else."""
        return bool(self.assigned) and not self._leading_elsewhere[id(source.module)].isdisjoint(tokens)

    def body(self, i: int, token: str) -> Body | None:
        """The body of a function of module i. A pinned one has none: its name may be another file's, too."""
        return self.bodies.get(self.names[i][token]) if self.is_home(i, token) else None

    def mentions_local(self, i: int, names: Iterable[str]) -> bool:
        """Whether any of these final names is a local of module i, and not one that is copied."""
        found = (self.definitions.get(name) for name in names)
        entities = self.modules[i].entities
        return any(
            d.module == i and entities[d.token].local and not copyable(entities[d.token]) for d in found if d
        )

    def source(self, i: int) -> Definitions:
        """Module i as a source of text."""
        module = self.modules[i]
        return Definitions(module, self.names[i], self.pinned[i], module.label, bonds=self.bonds[i])


def copyable(entity: Entity) -> bool:
    """Whether each unit may hold its own copy: a constant that the linker merges again.

    Its address means nothing to LLVM, but a program may still compare two pointers into the one
    constant, so only what ends in one of ELF's mergeable sections may be there more than once.
    """
    if entity.kind != "variable" or not (entity.local and entity.constant and entity.unnamed_addr):
        return False
    text = entity.text
    if entity.thread_local or ", section " in text or entity.comdat or "@" in text[1:]:
        return False
    if _STRING.search(text) or _WIDE_STRING.search(text):
        return len(text) - len(entity.token) <= COPIED_STRING
    if numbers := _NUMBERS.search(text):
        count, bits, is_float, _ = numbers.groups()
        size = int(count or 1) * (int(bits) // 8 if bits else 4 if is_float else 8)
        return size in _MERGED_SIZES
    return False


def resolve_symbols(
    modules: Sequence[Module],
    options: SymbolOptions = SymbolOptions(),  # noqa: B008 - it is frozen
    elsewhere: frozenset[str] = frozenset(),
) -> Program:
    """Resolves the program.

    `options`: what the linker is told. `elsewhere`: symbols that native inputs and libraries define.

    Raises BuildError with every duplicate strong definition, each with both files.
    """
    assigned = options.assigned | (elsewhere if options.multiple else frozenset())
    if options.any_assigned:
        assigned = frozenset(symbol_name(token) for module in modules for token in module.entities)
    bonds = tuple(map(find_bonds, modules))
    dropped = _comdat_losers(modules, assigned)
    # What asm does something to is not the same as another file's.
    kept = [m.entities.keys() if b.sealed else b.changed for m, b in zip(modules, bonds, strict=True)]
    for lost, stays in zip(dropped, kept, strict=True):
        lost -= {token for token in lost if token in stays}
    candidates: dict[str, list[Definition]] = defaultdict(list)
    taken: set[str] = set()
    for i, module in enumerate(modules):
        for token, entity in module.entities.items():
            if entity.local:
                continue
            name = symbol_name(token)
            taken.add(name)
            if entity.defined and entity.linkage != "available_externally" and token not in dropped[i]:
                candidates[name].append(Definition(i, token))

    definitions: dict[str, Definition] = {}
    problems = []
    multiple: set[str] = set()
    for name, found in candidates.items():
        if len(found) == 1:
            definitions[name] = found[0]
            continue
        linkages = [modules[d.module].entities[d.token].linkage for d in found]
        for n, d in enumerate(found):
            if linkages[n] in ("", "external") and bonds[d.module].may_weaken(name):
                linkages[n] = "weak"
        strong = [d for d, linkage in zip(found, linkages, strict=True) if linkage in ("", "external")]
        common = [d for d, linkage in zip(found, linkages, strict=True) if linkage == "common"]
        if name in assigned or (len(strong) > 1 and options.multiple):
            multiple.add(name)  # a file that has its own refers to that, as far as linkers go by files
        if len(strong) > 1 and not options.multiple:
            labels = [modules[d.module].label for d in strong]
            remedy = "rename one or make it static"
            if len(set(map(PurePath, labels))) == 1:
                remedy = "name the file once"
            problems.append(f"'{name}' is defined in {' and in '.join(labels)}; {remedy}")
        prevailing = (strong or common or found)[0]
        definitions[name] = prevailing
        # Common symbols all stay: the linker merges them and keeps the largest.
        staying = (prevailing, *common) if not strong else (prevailing,)
        if name in multiple:
            continue
        for loser in found:
            if loser not in staying and loser.token not in kept[loser.module]:
                dropped[loser.module].add(loser.token)
    if problems:
        raise BuildError(*problems)
    for i, module in enumerate(modules):
        _keep_aliased_bodies(module, dropped[i])

    names: list[dict[str, str]] = []
    pinned: list[frozenset[str]] = []
    words: set[str] = set()
    for i, (module, identifier) in enumerate(zip(modules, _module_ids(modules), strict=True)):
        words |= bonds[i].names
        fixed = _pinned(module, bonds[i], definitions)
        pinned.append(fixed)
        table = {}
        for token, entity in module.entities.items():
            if not entity.local:
                table[token] = symbol_name(token)
                continue
            name = symbol_name(token) if not token[1].isdigit() else f"__unnamed_{token[1:]}"
            if token not in fixed:
                name = f"{name}.{identifier}"
                while name in taken:
                    name += "_"
                taken.add(name)
                if entity.defined and token not in dropped[i]:
                    definitions[name] = Definition(i, token)
            table[token] = name
        names.append(table)
    return Program(
        modules=tuple(modules),
        names=tuple(names),
        dropped=tuple(frozenset(d) for d in dropped),
        pinned=tuple(pinned),
        bonds=bonds,
        definitions=definitions,
        asm_words=frozenset(words),
        has_common=any(e.linkage == "common" for module in modules for e in module.entities.values()),
        assigned=frozenset(candidates.keys() & (assigned | multiple)),
        multiple=frozenset(multiple),
    )


def check_one_file(program: Program) -> None:
    """Raises BuildError where the asm of several modules could not stand in one file of asm or bitcode."""
    problems = []
    for i, (module, bonds) in enumerate(zip(program.modules, program.bonds, strict=True)):
        if not bonds.pieces:
            continue
        private, where = bonds.private_names(module), f"{module.label}: asm makes"
        for j, other in enumerate(program.modules):
            if j == i:
                continue
            theirs = program.bonds[j]
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


def _keep_aliased_bodies(module: Module, dropped: set[str]) -> None:
    """Gives aliases that prevail a body of their own where their aliasee is replaced by another file's."""
    for token, entity in list(module.entities.items()):
        if entity.kind not in ("alias", "ifunc") or token in dropped:
            continue
        base = module.entities[aliasee(entity)]
        if base.token not in dropped:
            continue
        own = "@" + quote(f"{symbol_name(base.token)}.aliased")
        if own not in module.entities:
            text = definition(base, keep_comdat=False, linkage="internal")
            body = index_function if base.kind == "function" else index_global
            module.entities[own] = body(text.replace(base.token, own, 1))
        head, rest = split_global(entity.text)
        module.entities[token] = index_global(f"{head} = {rest.replace(base.token, own, 1)}")


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


def _module_ids(modules: Sequence[Module]) -> list[str]:
    """A name per module for its promoted locals: the file's stem, numbered where two are the same.

    Never a content hash: that would rename every local, and miss every caller, at each edit.
    """
    seen: Counter[str] = Counter()
    ids = []
    for module in modules:
        stem = re.sub(r"[^\w]", "_", PurePath(module.label).stem) or "module"
        seen[stem] += 1
        ids.append(stem if seen[stem] == 1 else f"{stem}.{seen[stem]}")
    return ids


def _pinned(module: Module, bonds: Bonds, definitions: Container[str]) -> frozenset[str]:
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
