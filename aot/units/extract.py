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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.debug_info import NO_LINES, LineMap
from nativecache.aot.ir.linkage import aliasee, declaration, definition
from nativecache.aot.ir.module import Entity
from nativecache.aot.ir.numbering import normalized
from nativecache.aot.ir.profile import HOT, WARM
from nativecache.aot.ir.syntax import ATTACHED_NODE
from nativecache.aot.units.bodies import called, unit_body
from nativecache.aot.units.copies import copyable
from nativecache.aot.units.imports import (
    NO_CANDIDATES,
    NO_IMPORTS,
    ImportBudget,
    ImportCandidates,
    may_show_constant,
    must_import,
)
from nativecache.aot.units.lines import EncodedLines, Lines, LinesOutOfRange, RealLines
from nativecache.aot.units.metadata import MetadataWriter
from nativecache.aot.units.partition import Slot, Unit, structors
from nativecache.aot.units.program import Definitions, Program
from nativecache.aot.units.rewrite import Rewriter
from nativecache.aot.units.symbol_names import NameClash, SymbolNames
from nativecache.linker.values import dataclass, replace

#: The one name a unit's file symbol has until it is renamed to the source file's.
FILE_PLACEHOLDER: Final = "nc.file"


@dataclass(frozen=True, slots=True)
class UnitText:
    """A unit ready to be parsed: its IR, and what its placeholders stand for."""

    text: str
    #: Symbol name in the unit's object -> symbol name in the program, where they differ.
    bindings: Mapping[str, str]
    #: Final names of the functions whose bodies were brought in to be inlined, in order of first use; where
    #: a clash of names forbids that, of those that would have been, for the text depends on them.
    imported: tuple[str, ...] = ()
    #: A digest of the unit's own definitions, without what they refer to.
    own: str = ""
    #: What the encoded lines in the text stand for; nothing if there are none, or if the lines are real.
    line_map: LineMap = NO_LINES
    #: Whether lines, and what else depends on where the sources are, is to be put into the object.
    relative: bool = False
    #: Whether the text has real lines where the module has relative ones: no fingerprint covers those.
    absolute: bool = False
    #: By number, the unit's nodes of metadata as its module has them, "" for those of others; only of units
    #: that keep their types, and where debug information is normalised.
    nodes: Sequence[str] = ()


def extract(
    program: Program,
    unit: Unit,
    candidates: ImportCandidates = NO_CANDIDATES,
    *,
    triple: str,
    datalayout: str,
    keep_types: bool = False,
    sketches: bool = False,
    real_lines: bool = False,
) -> UnitText:
    """The unit's IR. Pure: the same program, unit and candidates give the same text in any process.

    `candidates`: what may be imported. `triple` and `datalayout`: of the target, as IR spells them.
    `keep_types`: the text will meet that of other units, so alias analysis must know its types by name.
    `sketches`: of debug information there is no more than the clean-up looks at.
    `real_lines`: as they are in the source, for what cannot be patched later.
    Raises BuildError for names that clash, and for `keep_types` and lines that cannot be encoded.
    """
    head = _head(triple, datalayout)
    if unit.kind == "types":
        return _write_types(program, unit, head)
    if program.modules[unit.module].bonds.sealed:
        candidates = candidates.within(NO_IMPORTS)

    def write(lines: Callable[[], Lines]) -> UnitText:
        return _write_without_clash(
            lambda candidates: _UnitWriter(
                program,
                unit,
                candidates,
                lines(),
                keep_types=keep_types,
                sketches=sketches,
            ),
            candidates,
            head,
        )

    if not real_lines:
        try:
            return write(EncodedLines)
        except LinesOutOfRange:
            if keep_types:  # other units could not tell real lines from encoded ones
                raise
    return write(lambda: RealLines(program.debug, program.output.directory))


def _write_without_clash(
    make_writer: Callable[[ImportCandidates], _UnitWriter], candidates: ImportCandidates, head: str
) -> UnitText:
    writer = make_writer(candidates)
    try:
        return writer.write(head)
    except NameClash:
        # Bodies of other files bring a name that means something else here: do without them, for as long
        # as they do.
        try:
            text = make_writer(candidates.within(NO_IMPORTS)).write(head)
        except NameClash as clash:
            raise BuildError(f"symbol '{clash.name}' is two different things here; rename one") from None
        return replace(text, imported=(*text.imported, *writer.imported))


def _write_types(program: Program, unit: Unit, head: str) -> UnitText:
    debug = program.modules[unit.module].debug
    assert debug is not None and debug.types is not None
    return UnitText(head + debug.types.text, {}, own=_short_digest(debug.types.text), relative=debug.relative)


def _head(triple: str, datalayout: str) -> str:
    """The lines that every unit begins with."""
    layout = f'target datalayout = "{datalayout}"\n' if datalayout else ""
    return f'source_filename = "{FILE_PLACEHOLDER}"\n{layout}target triple = "{triple}"\n'


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode("latin-1")).hexdigest()[:16]


class _UnitWriter:
    """Writes one unit, once: its definitions, then what those need, until nothing new turns up."""

    def __init__(
        self,
        program: Program,
        unit: Unit,
        candidates: ImportCandidates,
        lines: Lines,
        *,
        keep_types: bool,
        sketches: bool,
    ) -> None:
        self.program = program
        self.part = program.modules[unit.module]
        self.unit = unit
        self.candidates = candidates
        self.imports = candidates.limits.lines > 0
        self.budget = ImportBudget(candidates.limits, unit.module)
        self.relative = program.relative
        self.names = SymbolNames(program, unit)
        self.copies = 0  # how many constants are copied
        self.imported: list[str] = []
        self.queue: deque[Callable[[], None]] = deque()
        #: Hot callees go before everything else while the budget lasts: -calls, serial number, step.
        self.hot: list[tuple[int, int, Callable[[], None]]] = []
        self.numbered_types = ""
        self.groups: dict[str, str] = {}  # text -> name
        self.comdats: list[str] = []
        self.variables: list[str] = []
        self.functions: list[str] = []
        self.lines = lines
        self.keep_types = keep_types
        self.rewriter = Rewriter(self._resolve, lines)
        self.metadata = MetadataWriter(
            self.rewriter,
            lines,
            keep_types=keep_types,
            keep_lists=unit.kind == "data",
            check_lines=self.relative,
            sketches=sketches,
            later=self.queue.append,
        )

    def write(self, head: str) -> UnitText:
        try:
            return self._write(head)
        finally:
            self.rewriter.close()

    def _write(self, head: str) -> UnitText:
        source = self.part.source
        self._define_members(source)
        own = _short_digest("".join(self.functions + self.variables))
        self._drain()
        slots = structors(self.part, self.program.output)
        for line in _write_special_variables(self.rewriter, source, self.unit, slots):
            self.variables.append(line)
        self._drain()
        named = self._write_libraries(source)
        flags = self._write_flags(source)
        nodes = self.metadata.finish()
        named += _write_list("llvm.dbg.cu", self.metadata.compile_units)
        named += _write_list("llvm.module.flags", flags)
        asm = [f'module asm "{line}"\n' for line in source.module.asm] if self.unit.has_asm else []
        text = "".join(
            [
                head,
                *asm,
                self.numbered_types,
                *self.metadata.types,
                *self.comdats,
                *self.variables,
                *self.functions,
                *[f"attributes {name} = {group}\n" for group, name in self.groups.items()],
                *named,
                *nodes,
            ]
        )
        relative = self.relative and bool(self.metadata.compile_units)
        return UnitText(
            self.lines.finish(text),
            self.names.bindings,
            tuple(self.imported),
            own,
            self.lines.line_map,
            relative=relative and self.lines.encodes,
            absolute=relative and not self.lines.encodes,
            nodes=self.metadata.tokens(source) if self.keep_types and self.part.debug is not None else (),
        )

    def _drain(self) -> None:
        while self.hot or self.queue:
            step = heapq.heappop(self.hot)[2] if self.hot else self.queue.popleft()
            step()

    def _resolve(self, source: Definitions, token: str, level: int, count: int | None) -> str:
        match token[0]:
            case "@":
                return self._symbol(source, token, level, count)
            case "%" | "!":
                return self.metadata.resolve(source, token)
            case "#":
                return self._attribute(source, token)
            case "$":
                return self._comdat(source, token)
        return token  # a string

    # Definitions

    def _define_members(self, source: Definitions) -> None:
        body = unit_body(self.program, self.candidates.bodies, self.unit)
        if body is not None:
            self._define(body.source, body.entity, body.calls)
            return
        for token in self.unit.tokens:
            entity = source.module.entities[token]
            self._define(source, entity, self._calls(entity))

    def _calls(self, entity: Entity) -> frozenset[str]:
        """What may be imported for it: the tokens of what a function calls by name, if anything may."""
        return called(entity.text) if self.imports and entity.kind == "function" else frozenset()

    def _define(self, source: Definitions, entity: Entity, calls: frozenset[str]) -> None:
        pinned = entity.token in source.pinned
        if not self.numbered_types:
            self.numbered_types = self.rewriter.rewrite(source, source.module.numbered_types)
        keep_comdat = not self.program.output.drops_comdats
        text = definition(normalized(entity, source.module), keep_comdat=keep_comdat, pinned=pinned)
        if entity.kind == "function":
            self.metadata.open_scope(text.partition("\n")[0])
        self._emit(entity, self.rewriter.rewrite(source, text, calls, 1))
        self.metadata.describe(source, entity)

    def _emit(self, entity: Entity, text: str) -> None:
        (self.functions if entity.kind == "function" else self.variables).append(text)

    # Symbols

    def _symbol(self, source: Definitions, token: str, level: int = 0, count: int | None = None) -> str:
        passed: set[str] = set()
        while True:
            entity = source.module.entities.get(token)
            if entity is None:  # a special variable such as llvm.used; nothing in a unit refers to those
                return token
            final, pinned = source.names[token], token in source.pinned
            generated = source.generated and token.startswith("@nc.c.")  # a copy already
            if entity.defined and not pinned and (generated or copyable(entity)):
                return self._copy(source, entity)
            # A pinned local is not what another file exports under its name.
            identity = f"{final}\0" if pinned else final
            if known := self.names.tokens.get(identity):
                return known
            behind = None if pinned else self._aliasee(final)
            if behind is None:
                break
            if final in passed:
                raise BuildError(f"symbol '{final}': an alias of itself")
            passed.add(final)
            source, token = behind
        new = self.names.add(source, entity, identity)
        if pinned:
            if not entity.defined:  # the unit's asm defines it
                self._emit(entity, self.rewriter.rewrite(source, declaration(entity, source.module)))
        elif final not in self.names.members:
            self._refer_later(source, entity, final, level, count)
        return new

    def _aliasee(self, final: str) -> tuple[Definitions, str] | None:
        """What a plain second name stands for: LLVM would take two declarations for two objects."""
        found = self.program.definitions.get(final)
        if not found or final in self.names.members or self.names.sealed or self.program.is_plain(found):
            return None
        part, other = self.program.modules[found.module], self.program.entity(found)
        if other.kind != "alias" or self.program.is_opaque_alias(part, other):
            return None
        return part.source, aliasee(other)

    def _copy(self, source: Definitions, entity: Entity) -> str:
        new = f"@nc.c.{self.copies}"
        self.copies += 1

        def emit() -> None:
            text = self.rewriter.rewrite(source, entity.text.replace(" = internal ", " = private ", 1))
            self.variables.append(self.metadata.described(source, entity.token, text))
            self.metadata.describe(source, entity)

        self.queue.append(emit)
        return new

    def _refer_later(
        self, source: Definitions, entity: Entity, final: str, level: int, count: int | None
    ) -> None:
        heat = self._heat(source, final, count)
        step: Callable[[], None] = partial(self._refer, source, entity, final, level, heat)
        if heat == HOT:
            heapq.heappush(self.hot, (-(count or 0), len(self.names.tokens), step))
        else:
            self.queue.append(step)

    def _heat(self, source: Definitions, final: str, count: int | None) -> int:
        """What the import limit for a callee is multiplied by: the call's profile, else the callee's."""
        if count is not None:
            return source.module.profile.heat(count)
        body = self.candidates.bodies.get(final)
        return body.heat if body else WARM

    def _refer(self, source: Definitions, entity: Entity, final: str, level: int, heat: int) -> None:
        """Writes what this unit needs to know of a symbol that it does not define."""
        body = self.candidates.bodies.get(final) if level > 0 and self.imports else None
        if not entity.defined and not source.module.must_not_call.isdisjoint(entity.groups):
            body = None  # a call to be warned of: inlining it from another file would hide it
        if body is not None and final in self.candidates.once:
            self._import(body.source, body.entity, final, body.calls, 1, linkage="internal")
        elif must_import(self.program, source, entity):
            self._import(source, entity, final, self._calls(entity), abs(level) + 1)
        elif body is not None and self.budget.take(body, level, heat):
            self._import(body.source, body.entity, final, body.calls, level + 1)
        elif not (level < 0 and self.imports and self.unit.is_function and self._show_constant(final)):
            text = self.rewriter.rewrite(source, declaration(entity, source.module))
            self._emit(entity, self.metadata.described(source, entity.token, text))

    def _show_constant(self, final: str) -> bool:
        """Writes the contents of a short constant, so that code can fold loads from it."""
        found = self.program.definitions.get(final)
        if found is None or not may_show_constant(self.program, found, self.unit.module):
            return False
        source, entity = self.program.modules[found.module].source, self.program.entity(found)
        self.rewriter.known(source)[entity.token] = self.names.tokens[final]
        text = definition(entity, keep_comdat=False, linkage="available_externally")
        text = self.rewriter.rewrite(source, ATTACHED_NODE.sub("", text))
        self._emit(entity, self.metadata.described(source, entity.token, text))
        return True

    def _import(
        self,
        source: Definitions,
        entity: Entity,
        final: str,
        calls: frozenset[str],
        level: int,
        linkage: str = "available_externally",
    ) -> None:
        """Brings a body in, to be inlined."""
        self.imported.append(final)
        self.rewriter.known(source)[entity.token] = self.names.tokens[final]
        text = definition(normalized(entity, source.module), keep_comdat=False, linkage=linkage)
        self._emit(entity, self.rewriter.rewrite(source, text, calls, level))
        self.metadata.describe(source, entity)

    # Attribute groups and comdats

    def _attribute(self, source: Definitions, token: str) -> str:
        body = source.module.attributes.get(token)
        return token if body is None else self.groups.setdefault(body, f"#{len(self.groups)}")

    def _comdat(self, source: Definitions, token: str) -> str:
        """A comdat is spelled as the symbol that gives it its name, if the program has that symbol."""
        body = source.module.comdats.get(token)
        if body is None:
            return token
        symbol = "@" + token[1:]
        known = self.rewriter.known(source)
        if symbol in source.module.entities and symbol not in known:
            known[symbol] = self._symbol(source, symbol)
        new = "$" + known.get(symbol, symbol)[1:]
        self.comdats.append(f"{new} = comdat {body}\n")
        return new

    # The module's own lists

    def _write_libraries(self, source: Definitions) -> list[str]:
        nodes = source.module.named_metadata.get("llvm.dependent-libraries", "")
        if not nodes or self.unit.kind != "structors":
            return []
        return _write_list("llvm.dependent-libraries", [self.rewriter.rewrite(source, nodes)])

    def _write_flags(self, source: Definitions) -> list[str]:
        tokens = re.findall(r"!\d+", source.module.named_metadata.get("llvm.module.flags", ""))
        flags = [
            self.rewriter.rewrite(source, token)
            for token in tokens
            # The call-graph profile names every function of the module.
            if '"CG Profile"' not in source.module.metadata[token]
        ]
        self._drain()
        return flags


def _write_list(name: str, nodes: Iterable[str]) -> list[str]:
    """A line of named metadata, if there are any nodes for it."""
    listed = ", ".join(nodes)
    return [f"!{name} = !{{{listed}}}\n"] if listed else []


def _write_special_variables(
    rewriter: Rewriter, source: Definitions, unit: Unit, slots: Iterable[Slot]
) -> Iterator[str]:
    """The unit's constructors, and what its module keeps alive whoever refers to it."""
    mine = frozenset(unit.tokens)
    used = {
        name: [rewriter.rewrite(source, token) for token in tokens if token in mine]
        for name, tokens in source.module.used.items()
    }
    for n, slot in enumerate(slots):
        if slot.function in mine if slot.comdat else unit.has_structors:
            # emit_object writes .ctors, which lld and mold link and never run, so the arrays that
            # clang would have written are written as plain pointers.
            target = rewriter.rewrite(source, f"ptr {slot.function}")
            group = rewriter.rewrite(source, f", comdat({slot.comdat})") if slot.comdat else ""
            yield f'@nc.s.{n} = private global {target}, section "{slot.section}"{group}\n'
            used["llvm.compiler.used"].append(f"@nc.s.{n}")
    for special, tokens in used.items():
        if tokens:
            items = ", ".join(f"ptr {token}" for token in tokens)
            array = f"[{len(tokens)} x ptr] [{items}]"
            yield f'@{special} = appending global {array}, section "llvm.metadata"\n'
