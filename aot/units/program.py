"""The program: all modules of a build with their symbols resolved, one value that units are cut from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from nativecache.aot.ir.debug_info import DebugInfo, LineMap
from nativecache.aot.ir.linkage import aliasee, is_dso_local, is_interposable, may_be_replaced
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import NAME, references, symbol_name
from nativecache.aot.units.bonds import NO_BONDS, Bonds
from nativecache.aot.units.copies import copyable
from nativecache.aot.units.inline_copies import compare_copies
from nativecache.aot.units.output_model import OutputModel
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Linkages of what may be left out where nothing in its file refers to it.
DISCARDABLE: Final = frozenset(("linkonce", "linkonce_odr", "private", "internal"))
#: An alias that is a second name and nothing else.
_PLAIN_ALIAS: Final = re.compile(rf" alias [^@]*, ptr(?: addrspace\([^)]*\))? @{NAME}\n?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Definition:
    """Where the prevailing definition of a symbol is: the module's index and the global's token."""

    module: int
    token: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """Text that units are written from: a module, or one function's simplified body.

    `names` gives the final symbol name of each global's token; `pinned` as in ProgramModule. `generated`:
    the text is one that we wrote, so its placeholders are ours. `label`: that of the module it is from.
    """

    module: Module
    names: Mapping[str, str]
    pinned: frozenset[str]
    label: str
    generated: bool = False
    bonds: Bonds = NO_BONDS


@dataclass(frozen=True, eq=False)
class ProgramModule:
    """One module of a program, its symbols resolved; globals are given by token."""

    #: Its index in Program.modules.
    index: int
    module: Module
    #: The final symbol name of each global, unique in the program.
    names: Mapping[str, str]
    #: Definitions that do not prevail.
    dropped: frozenset[str]
    #: Locals whose name asm or `llvm.used` fixes: they keep name and linkage, and share a unit with users.
    pinned: frozenset[str]
    #: What the module's asm ties together.
    bonds: Bonds

    @property
    def label(self) -> str:
        """How messages call the module: its file as it was named."""
        return self.module.label

    @property
    def entities(self) -> dict[str, Entity]:
        """The module's globals by token."""
        return self.module.entities

    @property
    def debug(self) -> DebugInfo | None:
        """The module's debug information, if it is normalised."""
        return self.module.debug

    @cached_property
    def source(self) -> Definitions:
        """The module as text that units are written from."""
        return Definitions(self.module, self.names, self.pinned, self.module.label, bonds=self.bonds)


@dataclass(frozen=True, eq=False)
class Program:
    """All modules of a build with their symbols resolved (see resolve.py)."""

    modules: Sequence[ProgramModule]
    output: OutputModel
    #: The prevailing definition by final symbol name.
    definitions: Mapping[str, Definition]
    #: Every word of every asm string in the program: symbols that asm may name.
    asm_words: frozenset[str]
    #: Symbols whose users the linker may lead elsewhere than to this program's prevailing definition: it is
    #: told so, or takes the first of several. What their own file inlines stays, as in clang's objects.
    assigned: frozenset[str] = frozenset()
    #: Symbols of which several definitions stay, for the linker to choose.
    multiple: frozenset[str] = frozenset()

    @cached_property
    def has_common(self) -> bool:
        """Whether common symbols are linked, ours or those of native inputs."""
        entities = (entity for part in self.modules for entity in part.entities.values())
        return self.output.native_common or any(entity.linkage == "common" for entity in entities)

    @cached_property
    def debug(self) -> Mapping[str, DebugInfo]:
        """Normalised debug information by module label."""
        return {part.label: part.debug for part in self.modules if part.debug is not None}

    def has_lines(self, line_map: LineMap) -> bool:
        """Whether every source line that an object refers to still exists; no fingerprint covers lines."""
        debug = self.debug
        kinds = ((line_map.ranges, "ranges"), (line_map.lines, "lines"), (line_map.names, "named"))
        return all(
            label in debug and key in getattr(debug[label], kind)
            for found, kind in kinds
            for label, key in found
        )

    def label(self, module: int) -> str:
        """How messages call a module."""
        return self.modules[module].label

    def source_file(self, module: int) -> str:
        """The name of a module's source without its folder, as compilers put it into objects."""
        return os.path.basename(self.modules[module].module.source_file)

    @cached_property
    def checksums(self) -> Sequence[dict[bytes, bytes]]:
        """By module, checksums of source files by placeholder, as the module itself knows them if it does."""
        every = {p: real for debug in self.debug.values() for p, real in debug.checksums.items()}
        return [every | part.debug.checksums if part.debug is not None else every for part in self.modules]

    @cached_property
    def relative(self) -> bool:
        """Whether lines of some module count from the first of their function (debug/normalise.py)."""
        return any(debug.relative for debug in self.debug.values())

    def stands(self, _module: int) -> bool:
        """Whether a module is as the last build left it, but for some of its units."""
        return False

    def tied_nodes(self, _module: int) -> frozenset[str] | None:
        """ModuleFingerprints.tied_nodes, if an earlier build found them."""
        return None

    def is_plain(self, _found: Definition) -> bool:
        """Whether it is known without a look at a definition that it is no second name, and no constant whose
        contents other units may see."""
        return False

    def entity(self, found: Definition) -> Entity:
        """The global of a definition."""
        return self.modules[found.module].entities[found.token]

    def is_home(self, part: ProgramModule, token: str) -> bool:
        """Whether a module's definition of a global is the program's one of that symbol."""
        return self.definitions.get(part.names[token]) == Definition(part.index, token)

    @cached_property
    def kept_copies(self) -> tuple[frozenset[str], frozenset[str]]:
        """Symbols that other files export, and that they say are `used`, by definitions that do not prevail.

        What is `inline` in one file may be instantiated explicitly in another: the linker takes the first
        copy that it sees, and the symbol stays for both.
        """
        exported, used = set[str](), set[str]()
        for part in self.modules:
            entities = part.entities
            exported.update(t for t in part.dropped if entities[t].linkage not in DISCARDABLE)
            used.update(*(part.dropped.intersection(tokens) for tokens in part.module.used.values()))
        return frozenset(map(symbol_name, exported)), frozenset(map(symbol_name, used))

    @cached_property
    def opaque_bases(self) -> frozenset[str]:
        """Final names of what has a second name that cannot be resolved, if only in its own object."""
        found = {
            part.names[aliasee(entity) if entity.kind == "alias" else entity.token]
            for part in self.modules
            for entity in part.entities.values()
            if self.is_opaque_alias(part, entity) or self.keeps_to_itself(part, entity)
        }
        return frozenset(found).union(part.names[t] for part in self.modules for t in part.bonds.aliased)

    def is_opaque_alias(self, part: ProgramModule, entity: Entity) -> bool:
        """Whether an alias of a module is another object to LLVM wherever its definition is not in sight.

        A plain one is just a second name and can be written as its aliasee, unless that is pinned, or only
        one of the two may be replaced at run time.
        """
        while entity.kind == "alias":
            base = aliasee(entity)
            if is_interposable(entity) or not _PLAIN_ALIAS.search(entity.text) or base in part.pinned:
                return True
            if not {*map(symbol_name, (entity.token, base))}.isdisjoint(self.assigned | self.divided):
                return True
            either = (entity, part.entities[base])
            if self.output.interposable and any(map(may_be_replaced, either)):
                return True
            entity = part.entities[base]
        return False

    def keeps_to_itself(self, part: ProgramModule, entity: Entity) -> bool:
        """Whether code of its own file reaches this exported definition even where another replaces it.

        With `-fno-semantic-interposition` it is `dso_local`, and LLVM gives it a second name (`.Lf$local`)
        in its own object (canBenefitFromLocalAlias in Globals.cpp, getSymbolPreferLocal in AsmPrinter.cpp).
        """
        return (
            self.output.interposable
            and entity.defined
            and entity.linkage in ("", "external")
            and entity.kind != "ifunc"
            and not entity.comdat
            and may_be_replaced(entity)
            and is_dso_local(entity)
            and part.module.for_library
        )

    @cached_property
    def _leading_elsewhere(self) -> dict[int, frozenset[str]]:
        """By module object, tokens of assigned symbols and of what carries their names into its callers."""
        return {id(part.module): self._carrying(part, self.assigned, _is_carried) for part in self.modules}

    @cached_property
    def copies(self) -> tuple[dict[str, str], frozenset[str]]:
        """As compare_copies has them."""
        return compare_copies(self.modules, self.definitions)

    @property
    def divided(self) -> frozenset[str]:
        """Final names of functions that are not the same to all files (inline_copies.py)."""
        return self.copies[1]

    @cached_property
    def _dividing(self) -> dict[int, frozenset[str]]:
        """By module object, tokens of divided functions and of what carries their names along."""

        def carries(module: Module, entity: Entity) -> bool:
            return _is_carried(module, entity) or entity.kind == "alias" or entity.constant

        return {id(part.module): self._carrying(part, self.divided, carries) for part in self.modules}

    def _carrying(
        self, part: ProgramModule, names: frozenset[str], carries: Callable[[Module, Entity], bool]
    ) -> frozenset[str]:
        module = part.module
        tokens = {token for token, name in part.names.items() if name in names}
        carried = {
            entity.token: references(entity.text)
            for entity in (module.entities.values() if tokens else ())
            if entity.defined and carries(module, entity)
        }
        while more := {t for t, named in carried.items() if not tokens.isdisjoint(named)} - tokens:
            tokens |= more
        return frozenset(tokens)

    def is_divided(self, source: Definitions, tokens: Iterable[str]) -> bool:
        """Whether any of these tokens brings a function along that is another one to other files.

        `source` is one of the program's modules.
        """
        return bool(self.divided) and not self._dividing[id(source.module)].isdisjoint(tokens)

    def leads_elsewhere(self, source: Definitions, tokens: Iterable[str]) -> bool:
        """Whether any of these tokens brings a symbol along that the linker may resolve to something else.

        `source` is one of the program's modules.
        """
        return bool(self.assigned) and not self._leading_elsewhere[id(source.module)].isdisjoint(tokens)

    def mentions_local(self, part: ProgramModule, names: Iterable[str]) -> bool:
        """Whether any of these final names is a local of a module, and not one that is copied."""
        found = (self.definitions.get(name) for name in names)
        return any(
            d.module == part.index and part.entities[d.token].local and not copyable(part.entities[d.token])
            for d in found
            if d
        )


def _is_carried(module: Module, entity: Entity) -> bool:
    """Whether a function's code stands in whatever unit calls it."""
    return entity.kind == "function" and (
        entity.linkage == "available_externally" or not module.always_inline.isdisjoint(entity.groups)
    )
