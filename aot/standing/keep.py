"""Keeps what a build decided for the next build of its output, and joins what stood with what was made anew.

Not kept is what replan.py does not follow: symbols that linkers lead elsewhere, names that asm or two files
share, functions that are something else to another file, hot code, debug information with real lines in it,
and whatever has no image for its output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.front.load import Loaded, LoadedText
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import quote, symbol_name
from nativecache.aot.key import compiler_fields, value_digest
from nativecache.aot.output.image import ImageFacts, longer_names
from nativecache.aot.output.pieces import Pieces
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import decode_names, encode_names, encode_pairs
from nativecache.aot.records.last_plan import Head, ModuleState, save_plan, write_state
from nativecache.aot.records.outputs import note_output
from nativecache.aot.request import Request, folder_of, level_of, own_flags, told_of
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Outcome, Scheduled
from nativecache.aot.standing.module_state import (
    Row,
    body_rows,
    bound_copies,
    count_checksums,
    group,
    involved,
    known_rows,
    lists_of,
    names_seen,
    outline_of,
    placed_lines,
    what_is_said,
)
from nativecache.aot.standing.program import is_dotted
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.inline_copies import find_counted
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program, ProgramModule
from nativecache.cache.entry import AGAIN
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.linker.native import NativeSymbols
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass, fields

NOTHING: Final = ""


def guard(
    request: Request,
    loaded: Loaded,
    engine: Engine,
    told: SymbolOptions,
    native: NativeSymbols,
    limits: ImportLimits,
    scratch: Path,
) -> str:
    """The digest of all but the inputs that a plan rests on.

    Where the folder `scratch` is makes no difference.
    """
    asked = (
        request.by_file,
        request.emit,
        request.level,
        request.optimize,
        request.target,
        request.cpu,
        request.features,
    )
    told_of = repr([(field.name, _sorted(getattr(told, field.name))) for field in fields(told)])
    symbols = (sorted(native.defined), sorted(native.undefined), native.common, native.padded)
    return Recipe(
        *compiler_fields(engine.identity),
        ("asked", repr(asked)),
        ("flags", repr((request.clang_flags, sorted(map(str, request.whole)), request.link_options))),
        ("own-flags", repr((request.unit_flags, [_own(path) for path in request.inputs if _own(path)[1:]]))),
        ("language", repr(loaded.cplusplus)),
        ("limits", repr((limits.lines, limits.total))),
        ("told", told_of.replace(os.fspath(scratch), "")),
        ("native", repr(symbols)),
    ).key()


def _own(path: Path) -> tuple[object, ...]:
    """An input by its name, with the flags, level and folder that are its own, if it has any."""
    own = own_flags(path), level_of(path, -1), folder_of(path)
    return (str(path), told_of(path), *own) if own != ((), -1, "") else (str(path),)


def describe_inputs(loaded: Loaded) -> str:
    """The digest, in hexadecimal, of which inputs there are, and what messages call them."""
    labels = [text.label for text in loaded.texts]
    return value_digest((loaded.numbers, sorted(loaded.native), labels)).hex()


def _sorted(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def may_stand(request: Request, told: SymbolOptions) -> bool:
    """Whether there can be a plan for what is asked, as far as can be said before anything is read."""
    return (
        request.emit in ("exe", "shared")
        and not request.verify_percent
        and not (told.any_assigned or told.multiple or told.loose or told.scripted)
        and not (told.by_section or told.lists)
    )


def _follows_rules(plan: Plan) -> bool:
    """Whether a program is one that replan.py can follow."""
    program = plan.program
    return (
        not program.assigned
        and not program.multiple
        and not program.divided
        and _has_plain_lines(program)
        and program.has_common == program.output.native_common
        and all(map(is_ordinary, program.modules))
        and all("@" + quote(symbol_name(d.token)) == d.token for d in program.definitions.values())
    )


def _has_plain_lines(program: Program) -> bool:
    """Whether debug information, if there is any, is normalised in all modules, and no label is ambiguous."""
    found = [part for part in program.modules if "llvm.dbg.cu" in part.module.named_metadata]
    if not all(part.debug is not None and part.debug.relative for part in found):
        return False
    return not found or len({part.label for part in program.modules}) == len(program.modules)


def is_ordinary(part: ProgramModule) -> bool:
    """Whether replan.py can follow what a module of a program has in it."""
    module = part.module
    if part.pinned or part.bonds.sealed or part.bonds.whole.exported or module.debug_text:
        return False
    if module.profile.marks_hot or any(token.endswith(".aliased") for token in part.entities):
        return False
    if any(part.entities[token].local for token in part.dropped):
        return False
    for token, entity in part.entities.items():
        if entity.linkage == "common" or (entity.local and token[1].isdigit()):
            return False
        if entity.local:
            name = part.names[token]
            if name[-1:] == "_" or not name.startswith(symbol_name(token) + "."):
                return False
        elif is_dotted(token):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Whole:
    """A program as a build planned it from nothing, and what came of its units."""

    plan: Plan
    plain: Fingerprints
    imports: ImportFingerprints
    scheduled: Scheduled
    longest: int
    everything: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What the next build is to know: the plan's head, and modules' states, of which `save_plan` takes bytes.

    `named`: modules whose nodes of debug information are to be kept, and what is around their functions (see
    Outline), by number.
    """

    head: Head
    states: Sequence[ModuleState | bytes | None]
    since: int
    named: Mapping[int, tuple[Module, str]]

    def save(self, store: EntryStore, request: Request, level: int = AGAIN) -> None:
        """Keeps it in place of what the last build of the output left; `level` as in cache/entry.py."""
        head = self.head
        blocks = [write_state(one) if isinstance(one, ModuleState) else one for one in self.states]
        save_plan(store, request.output, head, blocks, self.since, level)
        note_output(store, head.guard, request.output, head.texts, head.contents)
        if any(head.described):
            self._save_nodes(store, request)

    def _save_nodes(self, store: EntryStore, request: Request) -> None:
        from nativecache.aot.records.named_nodes import nodes_digest, nodes_recipe, save_nodes

        head = self.head
        for i in (i for i, described in enumerate(head.described) if described):
            key = nodes_recipe(request.output, i).key()
            if i in self.named:
                module, around = self.named[i]
                save_nodes(store, key, nodes_digest(around, head.directory, head.ambiguous), module)
            else:
                store.note_used(key)


def keep(
    whole: Whole, guard: str, loaded: Loaded, pieces: Pieces, facts: ImageFacts, *, cplusplus: bool
) -> Kept | None:
    """What is kept of a build from nothing; None where it is not one that can stand."""
    from nativecache.aot.ir.unwinding import handles_exceptions
    from nativecache.aot.units.interface import free_copies, odd_comdats

    plan, scheduled = whole.plan, whole.scheduled
    checksums = count_checksums(plan.program)
    if scheduled.real_lines or checksums is None or not _follows_rules(plan):
        return None
    program, once = plan.program, plan.candidates.once
    shared = frozenset(
        name for name, found in program.definitions.items() if program.entity(found).linkage == "linkonce_odr"
    )
    imports = plan.candidates.limits.lines > 0  # else nobody asks which functions one call reaches
    units: list[list[Unit]] = [[] for _ in program.modules]
    for unit in plan.units:
        units[unit.module].append(unit)
    roots = frozenset(plan.roots)
    unsure = {plan.units[one.unit].module for one in scheduled.heard}
    columns, named = Columns(), dict[int, tuple[Module, str]]()
    for i, own in enumerate(group(program.definitions, len(units))):
        part = program.modules[i]
        free = free_copies(part.module, part.bonds)
        rows = [unit_row(scheduled, unit.index) for unit in units[i]]
        bodies = body_rows(plan.candidates, own)
        given = plan.candidates, part, units[i], roots, whole.plain
        said = what_is_said(program, *given, whole.longest, shared if imports else frozenset())
        state = ModuleState(
            units=list(map(unit_of, units[i])),
            results=rows,
            roots=[n for n, unit in enumerate(units[i]) if unit.index in roots],
            dropped=sorted(part.dropped),
            bound=bound_copies(part, free),
            known=known_rows(program, whole.plain, whole.imports, own),
            bodies=bodies,
            sees=sorted(names_seen(part, bodies)),
            placed=placed_lines(part.debug),
            outline=outline_of(loaded.texts[i].outline, part.module),
            disbelieved=lists_of(part.module.disbelieved),
            tied=whole.plain.modules[i].tied_nodes,
            counted=find_counted(part, program.copies[0]),
            said=list(said.rest),
        )
        if state.outline and part.debug and part.debug.numbering:
            named[i] = part.module, state.outline.around
        columns.add_text(loaded.texts[i], is_sure=i not in unsure)
        columns.add_module(part, free)
        columns.sharing.append(said.digest)
        columns.sources.append(program.source_file(i))
        columns.described.append(part.debug is not None)
        columns.involved.append(involved(program, i, rows))
        columns.groups.append(pieces.groups[i])
        columns.add_state(state, pieces.keys.get(i, ""), longer_names(part))
        columns.states.append(write_state(state))  # which needs less memory
    head = Head(
        guard=guard,
        inputs=describe_inputs(loaded),
        numbers=list(loaded.numbers),
        options={field.name: getattr(plan.options, field.name) for field in fields(plan.options)},
        datalayout=program.modules[0].module.datalayout if units else "",
        unwinds=any(handles_exceptions(part.module) for part in program.modules),
        everything=whole.everything,
        cplusplus=cplusplus,
        unlike=facts.unlike,
        rustc=facts.rustc,
        directory=program.output.directory,
        ambiguous=encode_names(sorted(_ambiguous(program))),
        checksums=checksums,
        asm_words=encode_names(sorted(program.asm_words)),
        exported_copies=encode_names(sorted(program.kept_copies[0])),
        used_copies=encode_names(sorted(program.kept_copies[1])),
        comdats=encode_names(sorted({name for part in program.modules for name in odd_comdats(part.module)})),
        opaque_bases=encode_names(sorted(program.opaque_bases)),
        copies=program.copies[0],
        once=encode_names(sorted(once)),
        shared=encode_names(sorted(shared)),
        states={},
        **columns.values(),
    )
    return Kept(head, columns.states, int(time.time()), named)


class Columns:
    """The columns of a head, as modules are added."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.contents: list[str] = []
        self.labels: list[str] = []
        self.interfaces: list[str] = []
        self.manners: list[str] = []
        self.apart: list[bool] = []
        self.exceptions: list[int] = []
        self.sharing: list[str] = []
        self.names: list[str] = []
        self.imports: list[str] = []
        self.needs: list[str] = []
        self.pieces: list[str] = []
        self.groups: list[int] = []
        self.promoted: list[str] = []
        self.sources: list[str] = []
        self.described: list[bool] = []
        self.involved: list[str] = []
        self.counts: list[list[float]] = []
        self.states: list[ModuleState | bytes | None] = []

    def add_text(self, text: LoadedText, *, is_sure: bool, content: str | None = None) -> None:
        """Adds what a module is made from, if it may stand; its `content` if that is known."""
        self.labels.append(text.label)
        self.texts.append(text.digest if is_sure else NOTHING)
        self.contents.append((text.content if content is None else content) if is_sure else NOTHING)

    def add_module(self, part: ProgramModule, free: frozenset[str]) -> None:
        """Adds what the rest of the program is arranged by of a module.

        `free`: what comes and goes of it (units/interface.py).
        """
        from nativecache.aot.units.interface import exceptions_in, interface, manner, stands_apart

        self.interfaces.append(interface(part.module, part.bonds, free))
        self.manners.append(manner(part.module))
        self.apart.append(stands_apart(part.module, part.bonds))
        self.exceptions.append(exceptions_in(part.module))

    def add_state(self, state: ModuleState, piece: str, promoted: Mapping[str, str]) -> None:
        """Adds what follows from a module's state."""
        self.names.append(encode_names(state.known))
        self.imports.append(_union(state.results, 4))
        self.needs.append(_union(state.results, 3))
        self.pieces.append(piece)
        self.promoted.append(encode_pairs(promoted))
        self.counts.append(_count(state))

    def values(self) -> dict[str, Any]:
        """The columns by name."""
        return {name: value for name, value in vars(self).items() if name != "states"}


def _ambiguous(program: Program) -> frozenset[str]:
    return next((debug.ambiguous for debug in program.debug.values()), frozenset())


def _union(results: Iterable[Sequence[Any] | None], column: int) -> str:
    names: set[str] = set()
    for result in results:
        if result:
            names.update(result[column])
    return encode_names(sorted(names))


def _count(state: ModuleState) -> list[float]:
    """Units, reached ones, functions and groups among these, and their milliseconds."""
    kinds = [unit[0] for unit, result in zip(state.units, state.results, strict=True) if result]
    functions = sum(kind in ("function", "group") for kind in kinds)
    milliseconds = sum(result[5] for result in state.results if result)
    return [len(state.units), len(kinds), functions, kinds.count("group"), round(milliseconds, 3)]


def unit_of(unit: Unit) -> tuple[str, list[str], str, bool, bool]:
    """What a unit is, as ModuleState has it."""
    return unit.kind, list(unit.tokens), unit.name, unit.has_asm, unit.has_structors


def unit_row(scheduled: Scheduled, index: int) -> Row | None:
    """What became of a unit, as ModuleState has it; None if it was not reached."""
    result = scheduled.results.get(index)
    return None if result is None else _new_row(result, scheduled.outcomes[index])


def _new_row(result: UnitResult, outcome: Outcome) -> Row:
    needs, imported = decode_names(outcome.needs), list(outcome.imported)
    milliseconds, placed = round(outcome.milliseconds, 3), bool(result.fixups)
    return result.key, result.own, result.bindings, needs, imported, milliseconds, result.line_map, placed
