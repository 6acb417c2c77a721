"""A program in which modules stand: their definitions and bodies are known by the last plan."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.debug.normalise import normalise_again
from nativecache.aot.errors import PlanLost
from nativecache.aot.front.load import Loaded
from nativecache.aot.ir.debug_info import DebugInfo, Types, TypeUnit
from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.ir.profile import WARM
from nativecache.aot.ir.syntax import quote, symbol_name
from nativecache.aot.key import Options
from nativecache.aot.packed import decode_names
from nativecache.aot.pool import Pool
from nativecache.aot.records.last_plan import LastPlan
from nativecache.aot.records.memo import record_names
from nativecache.aot.simplify import open_pack
from nativecache.aot.units.bodies import Body, RawBody, SimplifiedBody, StandingBody
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.program import Definition, Program, ProgramModule
from nativecache.aot.units.resolve import name_globals
from nativecache.cache.lookup import EntryStore
from nativecache.linker.native import NativeSymbols
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a program is planned from besides its modules."""

    loaded: Loaded
    engine: Engine
    store: EntryStore
    limits: ImportLimits
    output: OutputModel
    told: SymbolOptions
    native: NativeSymbols
    #: The digest that all fingerprints rest on.
    context: bytes
    #: Those of `edit_workers`.
    workers: Pool

    @property
    def outside(self) -> frozenset[str]:
        """Symbols that native inputs and libraries mention."""
        return self.native.defined | self.native.undefined

    @property
    def longest(self) -> int:
        """The lines of the longest body that any unit imports: nothing is hot where a plan stands."""
        return self.limits.lines * WARM


class Reader:
    """Reads modules as every build does, up to where they are resolved."""

    def __init__(self, last: LastPlan, given: Given) -> None:
        self._last, self._given = last, given
        self.options = Options(**last.head.options)
        #: What modules' records are known by.
        self.names = record_names(text.label for text in given.loaded.texts)
        self._modules: dict[int, Module] = {}
        self._anew = set[int]()
        self._packs: dict[int, dict[bytes, memoryview]] = {}

    def module(self, i: int) -> Module:
        """The module of this index, whose text is that of the last build but for contained edits.

        Raises BuildError.
        """
        found = self._modules.get(i)
        if found is None:
            text = self._given.loaded.texts[i]
            found = index_module(text.text, text.label, text.cuts)
            if self._last.head.unwinds:
                from nativecache.aot.ir.unwinding import admit

                found = admit(found)
            if found.debug_text and self._last.head.described[i]:
                found = self._with_debug(found) if i in self._anew else self._respelled(i, found)
            found = self._modules[i] = replace(found, datalayout=self._last.head.datalayout)
        return found

    def anew(self, i: int) -> Module:
        """The module of this index, whatever it was in the last build. Raises BuildError."""
        if i not in self._anew:
            self._anew.add(i)
            self._modules.pop(i, None)
        return self.module(i)

    def _respelled(self, i: int, module: Module) -> Module:
        """A module whose nodes are those of the last build, named again only where that was not kept."""
        head = self._last.head
        named, placed = self._last.nodes(i), self._last.state(i).placed
        if named is None or placed is None:
            return self._with_debug(module)
        from nativecache.aot.debug.respelled import respell

        types = StandingTypes(*map(tuple, placed.types)) if placed.types else None
        done = respell(module, named, head.directory, types)
        shapes, ambiguous = placed.shapes, frozenset(decode_names(head.ambiguous))
        assert done.debug is not None, "a module with debug information"
        return replace(done, debug=replace(done.debug, shapes=shapes, ambiguous=ambiguous))

    def _with_debug(self, module: Module) -> Module:
        head = self._last.head
        done = normalise_again(
            module,
            frozenset(decode_names(head.ambiguous)),
            alone=sum(head.described) < 2,
            directory=head.directory,
        )
        if done is None:
            raise PlanLost("debug information of a form that is not followed")
        return done

    def label(self, i: int) -> str:
        """How messages call the module."""
        return self._given.loaded.texts[i].label

    def simplified(self, i: int, digest: bytes) -> memoryview:
        """A function of the module that was cleaned up, by digest of what it was. Raises PlanLost."""
        pack = self._packs.get(i)
        if pack is None:
            engine, store = self._given.engine, self._given.store
            relative = self._last.head.described[i]
            kept = open_pack(self.names[i], engine, self.options, store, relative=relative)
            pack = self._packs[i] = dict(kept.stored())
        if digest not in pack:
            raise PlanLost("a cleaned-up function is gone")
        return pack[digest]


class StandingTypes(Types):
    """The unit of a module's types, which stands: the lines in it are known, and its text is not."""

    def __init__(self, lines: tuple[int, ...], named: tuple[int, ...]) -> None:
        super().__init__(lambda: TypeUnit("", lines, named))

    @property
    def text(self) -> str:
        """Raises PlanLost."""
        raise PlanLost("the unit of types is asked for")


@dataclass(frozen=True, eq=False, kw_only=True)
class StandingProgram(Program):
    """A program of which some modules are active and the others are read where they are asked for."""

    last: LastPlan
    active: frozenset[int]
    #: Modules that stand but for contained edits.
    edits: frozenset[int]
    #: By module, what promoted locals' names end in.
    identifiers: Sequence[str]
    labels: Sequence[str]
    #: Final names of functions in standing modules whose code is another one.
    edited: frozenset[str]
    #: As Head has them.
    known_checksums: Mapping[str, tuple[str, int]]
    known_copies: dict[str, str]

    @cached_property
    def has_common(self) -> bool:
        """Whether native inputs have common symbols: no module has."""
        return self.output.native_common

    @cached_property
    def debug(self) -> Mapping[str, DebugInfo]:
        """Debug information by module label, of standing modules only what is put into objects."""
        return _Debug(self)

    @cached_property
    def relative(self) -> bool:
        """Whether any module has debug information: all that stands is relative."""
        return any(self.last.head.described)

    def label(self, module: int) -> str:
        """How messages call a module."""
        return self.labels[module]

    def source_file(self, module: int) -> str:
        """The name of a module's source without its folder, as compilers put it into objects."""
        return super().source_file(module) if module in self.active else self.last.head.sources[module]

    @cached_property
    def checksums(self) -> Sequence[dict[bytes, bytes]]:
        """By module, checksums of source files by placeholder: one table for all, for no two differ."""
        found = {bytes.fromhex(p): bytes.fromhex(real) for p, (real, _) in self.known_checksums.items()}
        return [found] * len(self.last)

    @cached_property
    def copies(self) -> tuple[dict[str, str], frozenset[str]]:
        """As Program has them: a program in which copies differ does not stand."""
        return self.known_copies, frozenset()

    @cached_property
    def kept_copies(self) -> tuple[frozenset[str], frozenset[str]]:
        """What the last build found: it follows from the modules' interfaces."""
        head = self.last.head
        return frozenset(decode_names(head.exported_copies)), frozenset(decode_names(head.used_copies))

    @cached_property
    def opaque_bases(self) -> frozenset[str]:
        """What the last build found: it follows from the modules' interfaces."""
        return frozenset(decode_names(self.last.head.opaque_bases))

    def stands(self, module: int) -> bool:
        """Whether a module is not planned anew, be some of its functions other ones."""
        return module not in self.active

    def tied_nodes(self, module: int) -> frozenset[str] | None:
        """What the last build found: a contained edit leaves to each function the nodes that it names."""
        return None if module in self.active else frozenset(self.last.state(module).tied)

    def is_plain(self, found: Definition) -> bool:
        """Whether the last build found a definition in a standing module to be plain."""
        if found.module in self.active:
            return False
        known = self.last.state(found.module).known.get(self.final_name(found.module, found.token))
        return known is not None and known[2]

    def final_name(self, module: int, token: str) -> str:
        """The final name of a definition in a standing module."""
        name = symbol_name(token)
        return name if self.last.module_of.get(name) == module else f"{name}.{self.identifiers[module]}"


class _Debug(Mapping[str, DebugInfo]):
    """Debug information by label, of standing modules as their states have it."""

    def __init__(self, program: StandingProgram) -> None:
        self._program = program
        described = program.last.head.described
        self._numbers = {label: i for i, label in enumerate(program.labels) if described[i]}
        self._found: dict[str, DebugInfo] = {}

    def __getitem__(self, label: str) -> DebugInfo:
        found = self._found.get(label)
        if found is None:
            found = self._found[label] = self._read(self._numbers[label])
        return found

    def _read(self, i: int) -> DebugInfo:
        program = self._program
        if i in program.active or i in program.edits:
            found = program.modules[i].debug
            assert found is not None, "a module whose debug information is as it was"
            return found
        placed = program.last.state(i).placed
        if placed is None:
            raise PlanLost("lines are gone")
        checksums = {bytes.fromhex(p): bytes.fromhex(real) for p, real in placed.checksums.items()}
        types = placed.types
        return DebugInfo(
            ranges=placed.ranges,
            lines=placed.lines,
            named=placed.named,
            checksums=checksums,
            types=StandingTypes(*map(tuple, types)) if types else None,
        )

    def __iter__(self) -> Iterator[str]:
        """For units whose lines cannot be encoded: those are written by plans from nothing only."""
        raise PlanLost("lines of all modules are asked for")

    def __len__(self) -> int:
        return len(self._numbers)


def resolve_again(
    last: LastPlan,
    i: int,
    module: Module,
    identifier: str,
    definitions: Definitions,
    dropped: frozenset[str],
) -> ProgramModule | None:
    """An active module with its symbols resolved, those of others as they were; None where that is not all
    that there is to resolve. `dropped`: tokens of its definitions that do not prevail."""
    known = last.module_of
    for token, entity in module.entities.items():
        if entity.local:
            name = f"{symbol_name(token)}.{identifier}"
            if token[1].isdigit() or known.get(name, i) != i:
                return None
        elif is_dotted(token):
            return None
        elif entity.defined and entity.linkage != "available_externally" and token not in dropped:
            name = symbol_name(token)
            # What another file defines, too, is for the long way to complain about, or to choose from.
            if name in definitions:
                return None
            definitions.own[name] = Definition(i, token)
    own = ChainMap(definitions.own, definitions)  # type: ignore[arg-type]
    part = name_globals(i, module, identifier, find_bonds(module), dropped, own, set())
    return None if part.pinned else part


def is_dotted(token: str) -> bool:
    """Whether a symbol of other files could be taken for a promoted local, which has a dot and its file."""
    return "." in token and not token.startswith("@llvm.")


class Definitions(Mapping[str, Definition]):
    """Definitions by final name: those of active modules as they are, the others by the last plan."""

    def __init__(self, last: LastPlan, active: frozenset[int], identifiers: Sequence[str]) -> None:
        self._last, self._active, self._identifiers = last, active, identifiers
        self.own: dict[str, Definition] = {}

    def __getitem__(self, name: str) -> Definition:
        found = self.own.get(name)
        if found is None:
            module = self._last.module_of[name]
            if module in self._active:
                raise KeyError(name)
            # No other name has a dot.
            token = name.removesuffix(f".{self._identifiers[module]}")
            found = Definition(module, "@" + quote(token))
        return found

    def __contains__(self, name: object) -> bool:
        if name in self.own:
            return True
        module = self._last.module_of.get(name)  # type: ignore[call-overload]
        return module is not None and module not in self._active

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        for name, module in self._last.module_of.items():
            if module not in self._active:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Bodies(Mapping[str, Body]):
    """Functions that may stand in other units: of active modules as they are, the others by the last plan."""

    def __init__(self, program: StandingProgram, reader: Reader, own: Mapping[str, Body]) -> None:
        self._program, self._reader, self._own = program, reader, own
        self._found: dict[str, Body | None] = {}

    def __getitem__(self, name: str) -> Body:
        body = self._find(name)
        if body is None:
            raise KeyError(name)
        return body

    def __contains__(self, name: object) -> bool:
        return self._find(str(name)) is not None

    def _find(self, name: str) -> Body | None:
        if name not in self._found:
            self._found[name] = self._own.get(name) or self._standing(name)
        return self._found[name]

    def _standing(self, name: str) -> StandingBody | None:
        last = self._program.last
        module = last.module_of.get(name)
        if module is None or module in self._program.active or name in self._program.edited:
            return None
        row = last.state(module).bodies.get(name)
        if row is None:
            return None
        lines, importable, stays_home, heat, mentions, digest, bindings, line_map, nodes = row
        home = module if stays_home else None

        def load() -> RawBody | SimplifiedBody:
            if not digest:
                part = self._program.modules[module]
                return RawBody(
                    lines=lines,
                    importable=importable,
                    mentions=mentions,
                    heat=heat,
                    home=home,
                    source=part.source,
                    entity=part.entities[self._program.definitions[name].token],
                )
            return SimplifiedBody(
                lines=lines,
                importable=importable,
                mentions=mentions,
                heat=heat,
                home=home,
                printed=self._reader.simplified(module, bytes.fromhex(digest)),
                bindings=bindings,
                line_map=line_map,
                nodes=nodes,
                digest=bytes.fromhex(digest),
                label=self._reader.label(module),
                module=self._program.modules[module].module if last.head.described[module] else None,
                token=self._program.definitions[name].token,
            )

        return StandingBody(
            lines=lines, importable=importable, mentions=mentions, heat=heat, home=home, load=load
        )

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("nobody goes through all bodies of a program that stands")

    def __len__(self) -> int:
        raise NotImplementedError
