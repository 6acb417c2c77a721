"""Writes a unit as standalone, canonical, name-free LLVM IR.

Problem: equal functions must give equal bitcode wherever they stand, under any name, in any module.
Method: a definition is split at its tokens (names, types, attribute groups, metadata numbers); each
different token is resolved once, in order of first use, to a canonical one: program symbols become
`@nc.0, @nc.1 …`, types `%t.0 …`, groups, metadata and copied constants likewise. What a token stands
for is queued and written the same way, until nothing new turns up; every token is queued at most
once, so it ends. Cost: one regex split and one join per definition, a Python step per different token.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Final

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.debug_info import (
    ELSEWHERE,
    IN_NAME,
    LOCAL_TO,
    NAMED_LINE,
    NO_LINES,
    RELATIVE,
    DebugInfo,
    LineMap,
)
from nativecache.aot.ir.library_names import has_meaning
from nativecache.aot.ir.module import (
    INTERPOSABLE,
    TOKEN,
    Entity,
    aliasee,
    asm_words,
    declaration,
    definition,
    inline_asm,
    references,
    symbol_name,
    takes_block_address,
)
from nativecache.aot.ir.numbering import normalized
from nativecache.aot.ir.profile import HOT, WARM
from nativecache.aot.units.bonds import MODULE_ASM
from nativecache.aot.units.partition import Unit, is_always_inline, structors
from nativecache.aot.units.program import (
    Body,
    Definition,
    Definitions,
    Program,
    called,
    copyable,
    is_decorated,
)
from nativecache.linker.dwarf import (
    DIRECTORY_PLACEHOLDER,
    MAX_NAMES,
    MAX_RANGES,
    MIDDLE,
    REACH,
    encode,
    name_line,
    ordinal,
    spell_line,
)

#: The one name a unit's file symbol has until it is renamed to the source file's.
FILE_PLACEHOLDER: Final = "nc.file"

#: A type as alias analysis knows it (TBAA): its name, then each member's type and offset, or its parent's.
_ALIAS_TYPE: Final = re.compile(r'!\{!("[^"]*")(?:, !\d+, i64 \d+)+\}', re.ASCII)
#: The names of such types that mean something: LLVM knows the first, clang gives all others the second as
#: an ancestor. What matters of any other name is which types share it (TypeBasedAliasAnalysis.cpp).
_KNOWN_ALIAS_TYPES: Final = frozenset(('"vtable pointer"', '"omnipotent char"'))
_UNIT_LISTS: Final = re.compile(r", (?:enums|retainedTypes|globals|imports|macros): !\d+")


@dataclass(frozen=True, slots=True)
class UnitText:
    """A unit ready to be parsed: its IR, and what its placeholders stand for."""

    text: str
    #: Symbol name in the unit's object -> symbol name in the program, where they differ.
    bindings: Mapping[str, str]
    #: Program symbols whose bodies were brought in to be inlined, or would have been but for their names.
    imported: tuple[str, ...] = ()
    #: A digest of the unit's own definitions, without what they refer to.
    own: str = ""
    #: What the encoded lines in the text stand for; nothing if there are none, or if the lines are real.
    line_map: LineMap = NO_LINES
    #: Whether lines, and what else depends on where the sources are, is to be put into the object.
    relative: bool = False
    #: Whether lines are real that are relative in the modules, so that no unit's meaning tells them.
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text split at its tokens: odd parts are the tokens."""

    parts: list[str]
    tokens: list[str]
    different: tuple[str, ...]


def _split(text: str) -> _Pieces:
    parts = TOKEN.split(text)
    tokens = parts[1::2]
    return _Pieces(parts, tokens, tuple(dict.fromkeys(tokens)))


#: Types, metadata and declarations are written into many units: their splits are kept (0.3 s of
#: sqlite's 1.0 s extraction). Bodies are longer and written once.
SHARED_TEXT: Final = 400
_split_shared = lru_cache(maxsize=1 << 17)(_split)


@lru_cache(maxsize=1 << 17)
def _alias_type_name(body: str) -> str | None:
    """The name (as printed) in a node that describes a type to alias analysis, unless it has a meaning."""
    found = _ALIAS_TYPE.fullmatch(body)
    return found[1] if found and found[1] not in _KNOWN_ALIAS_TYPES else None


class _OutOfRange(BuildError):
    """The unit's lines cannot be encoded: too many ranges, or too long ones."""


class _Clash(Exception):
    """Two symbols of the program want the same name in one unit. `imported`: what was brought in by then."""

    def __init__(self, name: str, imported: Sequence[str]) -> None:
        super().__init__(name)
        self.name, self.imported = name, tuple(imported)


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """How much is brought into a unit to be inlined. `lines` 0: only what must be inlined."""

    lines: int = 0
    total: int = 0

    def at(self, level: int) -> float:
        """The longest body, in simplified lines, worth importing at this distance from the unit."""
        return self.lines * DECAY ** max(0, level - 2)


NO_IMPORTS: Final = ImportLimits()
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


def extract(
    program: Program,
    unit: Unit,
    *,
    triple: str,
    datalayout: str,
    final: bool,
    limits: ImportLimits = NO_IMPORTS,
    keep_types: bool = False,
    real_lines: bool = False,
) -> UnitText:
    """The unit's IR. Pure: the same program, unit and limits give the same text in any process.

    `keep_types`: the text will meet that of other units, so alias analysis must know its types by name.
    `real_lines`: as they are in the source, for what cannot be patched later.
    Raises BuildError for names that clash, and for `keep_types` and lines that cannot be encoded.
    """

    if unit.kind == "types":
        return _write_types(program, unit, triple, datalayout)

    if program.bonds[unit.module].sealed:
        limits = NO_IMPORTS

    def write(limits: ImportLimits) -> UnitText:
        lines = _RealLines if real_lines else _EncodedLines
        writer = _Writer(
            program, unit, final=final, limits=limits, keep_types=keep_types, lines=lines(program)
        )
        return writer.write(triple, datalayout)

    try:
        return write(limits)
    except _OutOfRange:
        if real_lines or keep_types:  # other units could not tell such lines from encoded ones
            raise
        return extract(
            program,
            unit,
            triple=triple,
            datalayout=datalayout,
            final=final,
            limits=limits,
            keep_types=keep_types,
            real_lines=True,
        )
    except _Clash as first:
        # Bodies of other files bring a name that means something else here: do without them, for as long
        # as they do.
        try:
            text = write(NO_IMPORTS)
        except _Clash as clash:
            raise BuildError(f"symbol '{clash.name}' is two different things here; rename one") from None
        return replace(text, imported=(*text.imported, *first.imported))


def _write_types(program: Program, unit: Unit, triple: str, datalayout: str) -> UnitText:
    debug = program.modules[unit.module].debug
    assert debug is not None and debug.types is not None
    head = _head(triple, datalayout)
    own = hashlib.sha256(debug.types.text.encode("latin-1")).hexdigest()[:16]
    return UnitText(head + debug.types.text, {}, own=own, relative=debug.relative)


def _head(triple: str, datalayout: str) -> str:
    """What all units begin with."""
    layout = f'target datalayout = "{datalayout}"\n' if datalayout else ""
    return f'source_filename = "{FILE_PLACEHOLDER}"\n{layout}target triple = "{triple}"\n'


#: A line that counts from the first of a range, given by key or by the scope that follows.
_RELATIVE_LINE: Final = re.compile(
    rf"(-?\d+){RELATIVE}(?:{RELATIVE}([^{RELATIVE}]*){RELATIVE}|((?:, column: \d+)?, scope: )(!\d+))",
    re.ASCII,
)
_LOCAL_SCOPE: Final = re.compile(rf"{LOCAL_TO}([^{LOCAL_TO}]*){LOCAL_TO}")
_ATTACHED: Final = re.compile(r", !dbg (!\d+)", re.ASCII)


class _EncodedLines:
    """Lines as numbers that say nothing of where the function stands. See linker/dwarf.py."""

    encodes = True

    def __init__(self, _program: Program) -> None:
        self._ranges: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, str], int] = {}

    @property
    def line_map(self) -> LineMap:
        return LineMap(tuple(self._ranges), tuple(self._lines), tuple(self._names))

    def line(self, label: str, key: str, offset: int) -> int:
        """A line by its distance from the first of a range."""
        number = self._ranges.setdefault((label, key), len(self._ranges))
        if number >= MAX_RANGES or abs(offset) >= REACH:
            raise _OutOfRange("lines too far apart")
        return encode(number, offset)

    def declared(self, label: str, token: str) -> int:
        """The line of a declaration."""
        number = self._lines.setdefault((label, token), len(self._lines))
        if number >= MIDDLE:
            raise _OutOfRange("too many lines")
        return ordinal(number)

    def named(self, label: str, key: str) -> str:
        """A line that is part of a name."""
        number = self._names.setdefault((label, key), len(self._names))
        if number >= MAX_NAMES:
            raise _OutOfRange("too many names")
        return name_line(number)

    def finish(self, text: str) -> str:
        return text


class _RealLines:
    """Lines, checksums and the folder as they are in the source."""

    encodes = False
    line_map = NO_LINES

    def __init__(self, program: Program) -> None:
        self._program = program

    def line(self, label: str, key: str, offset: int) -> int:
        return self._debug(label).ranges[key] + offset

    def declared(self, label: str, token: str) -> int:
        return self._debug(label).lines[token]

    def named(self, label: str, key: str) -> str:
        return spell_line(self._debug(label).named[key])

    def _debug(self, label: str) -> DebugInfo:
        found = self._program.debug[label]
        assert found is not None
        return found

    def finish(self, text: str) -> str:
        """The text without placeholders."""
        text = text.replace(DIRECTORY_PLACEHOLDER, self._program.directory)
        for debug in self._program.debug.values():
            for placeholder, real in debug.checksums.items():
                text = text.replace(placeholder.hex(), real.hex())
        return text


class _Writer:
    def __init__(
        self,
        program: Program,
        unit: Unit,
        *,
        final: bool,
        limits: ImportLimits,
        keep_types: bool,
        lines: _EncodedLines | _RealLines,
    ) -> None:
        self.program = program
        self.lines = lines
        self.relative = any(m.debug is not None and m.debug.relative for m in program.modules)
        self.unit = unit
        self.final = final
        self.limits = limits
        self.keep_types = keep_types
        #: Whether there is code that may gain from the contents of constants.
        self.folds = limits.lines > 0 and unit.is_function
        self.budget = limits.total
        bonds = program.bonds[unit.module]
        pieces = [t for t in (*unit.tokens, *([MODULE_ASM] if unit.has_asm else [])) if t in bonds.pieces]
        #: Symbols that asm in this unit names: they keep their names.
        self.kept = frozenset().union(*(bonds.pieces[t].names for t in pieces))
        self.sealed = bool(bonds.sealed)  # they all do
        self.members = frozenset(
            program.names[unit.module][t] for t in unit.tokens if t not in program.pinned[unit.module]
        )
        self.maps: dict[int, dict[str, str]] = {}
        self.symbols: dict[str, str] = {}  # identity -> token in the unit
        self.claimed: dict[str, str] = {}  # token in the unit -> identity
        self.bindings: dict[str, str] = {}
        self.imported: list[str] = []
        self.queue: deque[Callable[[], None]] = deque()
        #: Hot callees go before everything else while the budget lasts: -calls, serial number, step.
        self.hot: list[tuple[int, int, Callable[[], None]]] = []
        self.counts = dict.fromkeys(("symbol", "copy", "type", "attribute", "metadata"), 0)
        self.numbered_types = ""
        self.types: dict[str, str] = {}  # body -> name
        self.groups: dict[str, str] = {}  # text -> name
        self.nodes: dict[str, str] = {}  # text of a uniqued node -> number
        self.alias_types: dict[str, str] = {}  # name in the sources -> name in the unit
        self.pending: set[str] = set()
        self.comdats: list[str] = []
        self.variables: list[str] = []
        self.functions: list[str] = []
        self.metadata: list[str] = []
        self.compile_units: list[str] = []
        #: What is written into metadata once all is known: lists of compile units, sizes of types.
        self.globals: dict[str, list[str]] = {}
        self.imports: dict[str, list[str]] = {}
        self.sizes: dict[str, str] = {}
        self.debug_nodes: dict[tuple[str, str], str] = {}  # by module and token
        #: Nodes of functions' static variables, by module and token: of what is in one common block, several.
        self.statics: dict[tuple[int, str], list[str]] = defaultdict(list)
        #: Scopes that types may be in as they are: the unit's own.
        self.own_scopes: set[str] = set()

    def write(self, triple: str, datalayout: str) -> UnitText:
        unit, program = self.unit, self.program
        source = program.source(unit.module)
        module = source.module
        body = program.body(unit.module, unit.tokens[0]) if unit.kind == "function" else None
        if body is not None:
            self._define(body.source, body.entity, body.calls)
        else:
            for token in unit.tokens:
                entity = module.entities[token]
                calls = (
                    called(entity.text) if self.limits.lines and entity.kind == "function" else frozenset()
                )
                self._define(source, entity, calls)
        own = hashlib.sha256("".join(self.functions + self.variables).encode("latin-1")).hexdigest()[:16]
        self._drain()
        self._write_used(source)
        self._drain()
        named = self._write_libraries(source)
        flags = self._write_flags(source)
        self._complete_metadata()
        named += [f"!llvm.dbg.cu = !{{{', '.join(self.compile_units)}}}\n"] if self.compile_units else []
        if flags:
            named.append(f"!llvm.module.flags = !{{{', '.join(flags)}}}\n")
        asm = [f'module asm "{line}"\n' for line in module.asm] if unit.has_asm else []
        text = "".join(
            [
                _head(triple, datalayout),
                *asm,
                self.numbered_types,
                *[f"{name} = type {body}\n" for body, name in self.types.items()],
                *self.comdats,
                *self.variables,
                *self.functions,
                *[f"attributes {name} = {group}\n" for group, name in self.groups.items()],
                *named,
                *self.metadata,
            ]
        )
        text = self.lines.finish(text)
        relative = self.relative and bool(self.compile_units)
        encoded = self.lines.encodes
        return UnitText(
            text,
            self.bindings,
            tuple(self.imported),
            own,
            self.lines.line_map,
            relative=relative and encoded,
            absolute=relative and not encoded,
        )

    def _define(self, source: Definitions, entity: Entity, calls: frozenset[str]) -> None:
        pinned = entity.token in source.pinned
        if not self.numbered_types:
            self.numbered_types = self._rewrite(source, source.module.numbered_types)
        text = definition(normalized(entity, source.module), keep_comdat=not self.final, pinned=pinned)
        if entity.kind == "function":
            self.own_scopes.update(_HEADER_NODE.findall(text.partition("\n")[0]))
        self._emit(entity, self._rewrite(source, text, calls, 1))
        self._describe(source, entity)

    def _emit(self, entity: Entity, text: str) -> None:
        (self.functions if entity.kind == "function" else self.variables).append(text)

    def _describe(self, source: Definitions, entity: Entity) -> None:
        """Has compile units list what describes a variable, or the static variables of a function."""
        debug = source.module.debug
        if debug is None:
            return
        known = self.maps[id(source.module)]
        if entity.kind == "variable":
            for node in _ATTACHED.findall(entity.text):
                self._list(source, debug, node)
        for variable, node in debug.statics.get(entity.token, ()):
            self._list(source, debug, node)
            if variable in known:  # else nothing in the unit uses it, and it may be gone
                self.statics[id(source.module), variable].append(self._token(source, node))

    def _list(self, source: Definitions, debug: DebugInfo, node: str) -> None:
        if unit := debug.units.get(node):
            listed = self.globals.setdefault(self._token(source, unit), [])
            number = self._token(source, node)
            if number not in listed:
                listed.append(number)

    def _token(self, source: Definitions, token: str) -> str:
        """A token of the source's in the unit."""
        known = self.maps.setdefault(id(source.module), {})
        if token not in known:
            known[token] = self._resolve(source, token, 0, None)
        return known[token]

    def _described(self, source: Definitions, token: str, text: str) -> str:
        """A variable's text with the nodes that describe it as a function's static one."""
        nodes = dict.fromkeys(self.statics.get((id(source.module), token), ()))
        return f"{text[:-1]}{''.join(f', !dbg {node}' for node in nodes)}\n" if nodes else text

    def _drain(self) -> None:
        while self.hot or self.queue:
            step = heapq.heappop(self.hot)[2] if self.hot else self.queue.popleft()
            step()

    def _rewrite(
        self, source: Definitions, text: str, calls: frozenset[str] = frozenset(), level: int = 0
    ) -> str:
        """The text with canonical tokens.

        `level`: how far from the unit's own code the text is, 0 if it is no code. What code calls is
        resolved with that, what it only mentions with its negative.
        """
        known = self.maps.setdefault(id(source.module), {})
        if RELATIVE in text:
            text = self._place(source, text)
        pieces = _split_shared(text) if len(text) < SHARED_TEXT else _split(text)
        counts = source.module.profile.call_counts(text) if level and " !prof " in text else {}
        for token in pieces.different:
            if token not in known:
                near = level if token in calls else -level
                known[token] = self._resolve(source, token, near, counts.get(token))
        parts = pieces.parts.copy()
        parts[1::2] = map(known.__getitem__, pieces.tokens)
        return "".join(parts)

    def _place(self, source: Definitions, text: str) -> str:
        """The text with encoded lines."""
        debug, label, line = source.module.debug, source.label, self.lines.line
        assert debug is not None
        scopes = debug.scopes

        def encoded(match: re.Match[str]) -> str:
            offset, key, between, scope = match.groups()
            if key is None:
                return f"{line(label, scopes[scope], int(offset))}{between}{scope}"
            return str(line(label, key, int(offset)))

        return _RELATIVE_LINE.sub(encoded, text)

    def _resolve(self, source: Definitions, token: str, level: int, count: int | None) -> str:
        match token[0]:
            case "@":
                return self._symbol(source, token, level, count)
            case "%" | "!":
                return self._nested(source, token)
            case "#":
                return self._attribute(source, token)
            case "$":
                return self._comdat(source, token)
        return token  # a string

    def _number(self, kind: str) -> int:
        number = self.counts[kind]
        self.counts[kind] = number + 1
        return number

    # Symbols

    def _symbol(self, source: Definitions, token: str, level: int = 0, count: int | None = None) -> str:
        passed: set[str] = set()
        while True:
            entity = source.module.entities.get(token)
            if entity is None:  # a special variable such as llvm.used; nothing in a unit refers to those
                return token
            pinned = token in source.pinned
            ours = source.generated and token.startswith("@nc.")
            if entity.defined and not pinned and (copyable(entity) or (ours and token.startswith("@nc.c."))):
                return self._copy(source, entity)
            final = source.names[token]
            # A pinned local is not what another file exports under its name.
            identity = f"{final}\0" if pinned else final
            if identity in self.symbols:
                return self.symbols[identity]
            found = self.program.definitions.get(final)
            if not found or final in self.members or pinned or self.sealed:
                break
            other = self.program.modules[found.module].entities[found.token]
            if other.kind != "alias" or self.program.is_opaque_alias(found.module, other):
                break
            if final in passed:
                raise BuildError(f"symbol '{final}': an alias of itself")
            passed.add(final)
            # A second name: LLVM would take two declarations for two objects.
            source, token = self.program.source(found.module), aliasee(other)
        name = symbol_name(token)
        local = name != final and not ours
        # A local is no library function whatever its name; only its own body must know it, for passes
        # turn a loop into a call of memset everywhere but in memset.
        meant = has_meaning(name) and (not local or final in self.members)
        keep = pinned or final not in self.program.definitions or meant or final in self.kept
        keep = keep or self.sealed or is_decorated(entity)
        if keep and name.startswith("nc.") and not ours:
            raise BuildError(f"symbol '{name}': names that begin with 'nc.' are ours; rename it")
        new = token if keep else f"@nc.{self._number('symbol')}"
        if self.claimed.setdefault(new, identity) != identity:
            raise _Clash(name, self.imported)
        self.symbols[identity] = new
        if keep and name != final:
            self.bindings[name] = final
        elif not keep:
            self.bindings[new[1:]] = final
        if pinned:
            if not entity.defined:  # the unit's asm defines it
                self._emit(entity, self._rewrite(source, declaration(entity, source.module)))
        elif final not in self.members:
            heat = self._heat(source, final, count)
            step: Callable[[], None] = partial(self._refer, source, entity, final, level, heat)
            if heat == HOT:
                heapq.heappush(self.hot, (-(count or 0), len(self.symbols), step))
            else:
                self.queue.append(step)
        return new

    def _heat(self, source: Definitions, final: str, count: int | None) -> int:
        """What the import limit for a callee is multiplied by: the call's profile, else the callee's."""
        if count is not None:
            return source.module.profile.heat(count)
        body = self.program.bodies.get(final)
        return body.heat if body else WARM

    def _copy(self, source: Definitions, entity: Entity) -> str:
        new = f"@nc.c.{self._number('copy')}"

        def emit() -> None:
            text = entity.text.replace(" = internal ", " = private ", 1)
            self.variables.append(self._described(source, entity.token, self._rewrite(source, text)))
            self._describe(source, entity)

        self.queue.append(emit)
        return new

    def _refer(self, source: Definitions, entity: Entity, final: str, level: int, heat: int) -> None:
        """Writes what this unit needs to know of a symbol that it does not define."""
        body = self.program.bodies.get(final) if level > 0 and self.limits.lines else None
        if not entity.defined and not source.module.must_not_call.isdisjoint(entity.groups):
            body = None  # a call to be warned of: inlining it from another file would hide it
        limit = min(self.limits.at(level) * heat, self.budget)
        if body is not None and final in self.program.once:
            self.imported.append(final)
            self._write_body(body.source, body.entity, final, body.calls, 1, linkage="internal")
        elif must_import(self.program, source, entity):
            self.imported.append(final)
            calls = called(entity.text) if self.limits.lines else frozenset()
            self._write_body(source, entity, final, calls, abs(level) + 1)
        elif body is not None and heat and self._may_import(body, limit):
            self.budget -= body.lines
            self.imported.append(final)
            self._write_body(body.source, body.entity, final, body.calls, level + 1)
        elif not (level < 0 and self.folds and self._show_constant(final)):
            text = self._rewrite(source, declaration(entity, source.module))
            self._emit(entity, self._described(source, entity.token, text))

    def _show_constant(self, final: str) -> bool:
        """Writes the contents of a short constant, so that code can fold loads from it."""
        found = self.program.definitions.get(final)
        if found is None:
            return False
        source = self.program.source(found.module)
        entity = source.module.entities[found.token]
        if not shows_constant(self.program, found) or (
            entity.linkage == "" and found.module != self.unit.module
        ):
            return False
        named = references(entity.text)
        if not source.pinned.isdisjoint(named) or self.program.leads_elsewhere(source, named):
            return False
        if self.program.separate and found.module != self.unit.module:
            return False
        self.maps.setdefault(id(source.module), {})[entity.token] = self.symbols[final]
        text = definition(entity, keep_comdat=False, linkage="available_externally")
        text = self._rewrite(source, _ATTACHED.sub("", text))
        self._emit(entity, self._described(source, entity.token, text))
        return True

    def _may_import(self, body: Body, limit: float) -> bool:
        return body.importable and body.lines <= limit and body.home in (None, self.unit.module)

    def _write_body(
        self,
        source: Definitions,
        entity: Entity,
        final: str,
        calls: frozenset[str],
        level: int,
        linkage: str = "available_externally",
    ) -> None:
        known = self.maps.setdefault(id(source.module), {})
        known[entity.token] = self.symbols[final]
        text = definition(normalized(entity, source.module), keep_comdat=False, linkage=linkage)
        self._emit(entity, self._rewrite(source, text, calls, level))
        self._describe(source, entity)

    # Types, attribute groups, metadata, comdats

    def _nested(self, source: Definitions, token: str) -> str:
        """A type or a node: what those are made of is resolved first, however deeply it is nested."""
        body = self._content(source, token)
        if body is None:
            return self._node(source, token) if token[0] == "!" else token  # the latter is a local value
        known = self.maps.setdefault(id(source.module), {})
        stack: list[tuple[str, str, _Pieces, Iterator[str]]] = []
        while True:
            if body is not None:
                self.pending.add(token)
                placed = self._place(source, body) if RELATIVE in body else body
                pieces = _split_shared(placed) if len(placed) < SHARED_TEXT else _split(placed)
                stack.append((token, body, pieces, iter(pieces.different)))
            outer, text, pieces, rest = stack[-1]
            for token in rest:
                if token in known:
                    continue
                if (body := self._content(source, token)) is not None:
                    break
                known[token] = self._resolve(source, token, 0, None)
            else:
                stack.pop()
                parts = pieces.parts.copy()
                parts[1::2] = map(known.__getitem__, pieces.tokens)
                self.pending.discard(outer)
                new = self._unique(outer, text, "".join(parts))
                if not stack:
                    return new
                known[outer], body = new, None

    def _content(self, source: Definitions, token: str) -> str | None:
        """The body of a type or uniqued tuple, unless it is within itself; None for what else there is."""
        if token[0] == "%":
            return source.module.types.get(token)
        body = source.module.metadata.get(token) if token[0] == "!" else None
        return body if body and body.startswith("!{") and token not in self.pending else None

    def _unique(self, token: str, body: str, text: str) -> str:
        """What a type or uniqued tuple is called. Equal ones are one.

        So bodies from several files agree on types, and a type's name does not matter. Types hold no
        reference to themselves since pointers are opaque.
        """
        if token[0] == "%":
            return self.types.get(text) or self.types.setdefault(text, f"%t.{self._number('type')}")
        if not self.keep_types and (name := _alias_type_name(body)):
            text = self._rename_alias_type(name, text)
        if text not in self.nodes:
            self.nodes[text] = f"!{self._number('metadata')}"
            self.metadata.append(f"{self.nodes[text]} = {text}\n")
        return self.nodes[text]

    def _attribute(self, source: Definitions, token: str) -> str:
        body = source.module.attributes.get(token)
        if body is None:
            return token
        return self.groups.get(body) or self.groups.setdefault(body, f"#{self._number('attribute')}")

    def _node(self, source: Definitions, token: str) -> str:
        """A node that is no uniqued tuple, or is within itself."""
        body = source.module.metadata.get(token)
        if body is None:
            return token
        debug = source.module.debug
        if debug is None and self.relative and self.lines.encodes and _FAR_LINE.search(body):
            raise _OutOfRange("lines that look like encoded ones")
        # Texts that were made from one module share its nodes.
        if debug is not None and (known := self.debug_nodes.get((source.label, token))):
            return known
        new = f"!{self._number('metadata')}"
        if debug is not None:
            self.debug_nodes[source.label, token] = new
            body = self._place_node(source, debug, token, body)
        if "!DICompileUnit(" in body:
            self.compile_units.append(new)
            if debug is not None:
                self.maps[id(source.module)][token] = new
                self.imports[new] = [self._token(source, node) for node in debug.imports.get(token, ())]
            elif self.unit.kind != "data":
                # The lists name every type and global of the file.
                body = _UNIT_LISTS.sub("", body)
        self.queue.append(lambda: self.metadata.append(f"{new} = {self._rewrite(source, body)}\n"))
        return new

    def _place_node(self, source: Definitions, debug: DebugInfo, token: str, body: str) -> str:
        """A node's text with what depends on the unit it is in."""
        if held := debug.sizes.get(token):
            known = self.maps[id(source.module)]
            declared, size = held
            if declared not in known:
                known[declared] = self._nested(source, declared)
            self.sizes[known[declared]] = size
        if ELSEWHERE in body:
            place = debug.declared.get(token, (source.label, token))
            body = body.replace(ELSEWHERE, str(self.lines.declared(*place)))
        if IN_NAME in body:
            body = NAMED_LINE.sub(lambda m: self.lines.named(source.label, m[1]), body)
        if LOCAL_TO in body:

            def scope(match: re.Match[str]) -> str:
                own, outer = debug.owners[match[1]]
                return own if own in self.own_scopes else outer

            body = _LOCAL_SCOPE.sub(scope, body)
        return body

    def _complete_metadata(self) -> None:
        """Writes the lists of compile units, and the sizes of types that variables hold."""
        added = {
            unit: "".join(
                f", {name}: !{{{', '.join(nodes)}}}"
                for name, nodes in (("globals", self.globals.get(unit)), ("imports", self.imports.get(unit)))
                if nodes
            )
            for unit in self.compile_units
        }
        added.update((node, f", size: {size}") for node, size in self.sizes.items())
        if added:
            for at, line in enumerate(self.metadata):
                if more := added.get(line[: line.index(" ")]):
                    self.metadata[at] = f"{line[:-2]}{more})\n"

    def _rename_alias_type(self, name: str, text: str) -> str:
        """A type's node under a name that tells it from others and nothing else.

        One name in the sources is one name in the unit, whichever file it comes from, and two are two: so
        the unit's nodes are equal exactly where the sources' are, which is all that LLVM compares.
        """
        new = self.alias_types.setdefault(name, f'"t.{len(self.alias_types)}"')
        return text.replace(name, new, 1)

    def _comdat(self, source: Definitions, token: str) -> str:
        """A comdat is spelled as the symbol that gives it its name, if the program has that symbol."""
        body = source.module.comdats.get(token)
        if body is None:
            return token
        symbol = "@" + token[1:]
        known = self.maps[id(source.module)]
        if symbol in source.module.entities and symbol not in known:
            known[symbol] = self._symbol(source, symbol)
        new = "$" + known.get(symbol, symbol)[1:]
        self.comdats.append(f"{new} = comdat {body}\n")
        return new

    # The module's own lists

    def _write_used(self, source: Definitions) -> None:
        """The unit's constructors, and what its module keeps alive whoever refers to it."""
        mine = frozenset(self.unit.tokens)
        used = {
            name: [self._rewrite(source, token) for token in tokens if token in mine]
            for name, tokens in source.module.used.items()
        }
        for n, slot in enumerate(structors(self.program, self.unit.module, final=self.final)):
            if slot.function in mine if slot.comdat else self.unit.has_structors:
                # emit_object writes .ctors, which lld and mold link and never run, so the arrays that
                # clang would have written are written as plain pointers.
                target = self._rewrite(source, f"ptr {slot.function}")
                group = self._rewrite(source, f", comdat({slot.comdat})") if slot.comdat else ""
                self.variables.append(
                    f'@nc.s.{n} = private global {target}, section "{slot.section}"{group}\n'
                )
                used["llvm.compiler.used"].append(f"@nc.s.{n}")
        for special, tokens in used.items():
            if tokens:
                items = ", ".join(f"ptr {token}" for token in tokens)
                array = f"[{len(tokens)} x ptr] [{items}]"
                self.variables.append(f'@{special} = appending global {array}, section "llvm.metadata"\n')

    def _write_libraries(self, source: Definitions) -> list[str]:
        nodes = source.module.named_metadata.get("llvm.dependent-libraries", "")
        if not nodes or self.unit.kind != "structors":
            return []
        return [f"!llvm.dependent-libraries = !{{{self._rewrite(source, nodes)}}}\n"]

    def _write_flags(self, source: Definitions) -> list[str]:
        flags = []
        for token in re.findall(r"!\d+", source.module.named_metadata.get("llvm.module.flags", "")):
            # The call-graph profile names every function of the module.
            if '"CG Profile"' not in source.module.metadata[token]:
                flags.append(self._rewrite(source, token))
        self._drain()
        return flags


#: A line that might be taken for an encoded one.
_FAR_LINE: Final = re.compile(r"\b(?:scopeL|l)ine: \d{7,}", re.ASCII)
#: What describes a function, in its header.
_HEADER_NODE: Final = re.compile(r" !dbg (!\d+)", re.ASCII)

#: Constants up to this many characters of IR are shown to the code that uses them. More would make
#: every user of a large table be compiled again at each edit of it.
CONSTANT_TEXT: Final = 512
#: What each name in it counts, whatever its length.
_NAME_LENGTH: Final = 16


@lru_cache(maxsize=1 << 14)
def _nameless_length(text: str) -> int:
    """The characters of a piece of IR, the same under any names."""
    names = [token for token in TOKEN.findall(text) if token[0] != '"']
    return len(text) + sum(_NAME_LENGTH - len(name) for name in names)


def importable_constant(entity: Entity) -> bool:
    """Whether code may fold loads from this variable: its value is known, fixed and short."""
    return (
        entity.kind == "variable"
        and entity.constant
        and entity.defined
        and entity.linkage not in INTERPOSABLE
        and not entity.thread_local
        # C++'s type information says how long the type's name is.
        and not entity.token.startswith("@_ZTI")
        and _nameless_length(_ATTACHED.sub("", entity.text)) <= CONSTANT_TEXT
        and not entity.has_block_address
    )


def shows_constant(program: Program, found: Definition) -> bool:
    """Whether code in other units may fold loads from a variable: asm does nothing to it, either."""
    changed = found.token in program.bonds[found.module].changed
    return not changed and importable_constant(program.modules[found.module].entities[found.token])


def must_import(program: Program, source: Definitions, entity: Entity) -> bool:
    """Whether callers need this body for the program to mean what clang's build of it means.

    `alwaysinline` is a promise to the program; an `available_externally` body may have no other home.
    """
    if entity.kind != "function" or not entity.defined or entity.linkage in INTERPOSABLE:
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
    if entity.linkage in INTERPOSABLE or takes_block_address(entity, source.module):
        return False
    if program.leads_elsewhere(source, (entity.token, *symbols)):
        return (
            False  # where the symbol's definition is in sight it would be taken for what the linker chooses
        )
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
        piece = source.bonds.pieces.get(entity.token)
        words = piece.names if piece else asm_words(inline_asm(entity))
        if not words.isdisjoint(program.definitions) or any(source.names[t] in words for t in source.pinned):
            return True
    return not source.pinned.isdisjoint(symbols)
