"""Keeps what a build decided for the next build of its output, and joins what stood with what was made anew.

Not kept is what replan.py does not follow: debug information, symbols that linkers lead elsewhere, names that
asm or two files share, hot code, and whatever has no image for its output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.errors import PlanLost
from nativecache.aot.front.load import Loaded
from nativecache.aot.ir.syntax import quote, symbol_name
from nativecache.aot.ir.unwinding import handles_exceptions
from nativecache.aot.key import compiler_fields
from nativecache.aot.module_state import body_rows, group, known_rows, names_seen, sharing
from nativecache.aot.output.image import ImageFacts, longer_names
from nativecache.aot.output.pieces import piece_recipe, read_piece
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import decode_names, decode_pairs, encode_names, encode_pairs
from nativecache.aot.records.last_plan import Head, ModuleState, save_plan, write_state
from nativecache.aot.records.objects import read_object
from nativecache.aot.replan import Replan, is_dotted
from nativecache.aot.request import Request
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Outcome, Scheduled
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.interface import interface
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import ProgramModule
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.linker.archive import read_archive
from nativecache.linker.native import NativeSymbols
from nativecache.linker.symbol_options import SymbolOptions

Row = tuple[str, str, str, list[str], list[str], float]
_NOTHING: Final = ""


def guard(
    request: Request,
    loaded: Loaded,
    engine: Engine,
    told: SymbolOptions,
    native: NativeSymbols,
    limits: ImportLimits,
) -> str:
    """The digest of all but the contents of modules that a plan rests on."""
    asked = (request.emit, request.level, request.optimize, request.target, request.cpu, request.features)
    told_of = [(field.name, _sorted(getattr(told, field.name))) for field in fields(told)]
    symbols = (sorted(native.defined), sorted(native.undefined), native.common, native.padded)
    return Recipe(
        *compiler_fields(engine.identity),
        ("asked", repr(asked)),
        ("flags", repr((request.clang_flags, sorted(map(str, request.whole)), request.link_options))),
        ("inputs", repr((loaded.numbers, sorted(loaded.native), [text.label for text in loaded.texts]))),
        ("limits", repr((limits.lines, limits.total))),
        ("told", repr(told_of)),
        ("native", repr(symbols)),
    ).key()


def _sorted(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def may_stand(request: Request, told: SymbolOptions) -> bool:
    """Whether there can be a plan for what is asked, as far as can be said before anything is read."""
    return (
        request.emit in ("exe", "shared")
        and not request.verify_percent
        and not (told.any_assigned or told.multiple or told.loose or told.scripted)
    )


def _follows_rules(plan: Plan) -> bool:
    """Whether a program is one that replan.py can follow."""
    program = plan.program
    return (
        not program.assigned
        and not program.multiple
        and not program.debug
        and program.has_common == program.output.native_common
        and all(map(_is_ordinary, program.modules))
        and all("@" + quote(symbol_name(d.token)) == d.token for d in program.definitions.values())
    )


def _is_ordinary(part: ProgramModule) -> bool:
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
    """What the next build is to know: the plan's head and the modules' states."""

    head: Head
    blocks: Sequence[bytes | memoryview]

    def save(self, store: EntryStore, request: Request) -> None:
        """Keeps it in place of what the last build of the output left."""
        save_plan(store, request.output, self.head, self.blocks)


def keep(
    whole: Whole, guard: str, loaded: Loaded, pieces: Mapping[int, str], facts: ImageFacts, *, cplusplus: bool
) -> Kept | None:
    """What is kept of a build from nothing; None where it is not one that can stand. `pieces` by module."""
    plan, scheduled = whole.plan, whole.scheduled
    if not _follows_rules(plan):
        return None
    program, once = plan.program, plan.candidates.once
    shared = frozenset(
        name for name, found in program.definitions.items() if program.entity(found).linkage == "linkonce_odr"
    )
    units: list[list[Unit]] = [[] for _ in program.modules]
    for unit in plan.units:
        units[unit.module].append(unit)
    roots = frozenset(plan.roots)
    unsure = {plan.units[one.unit].module for one in scheduled.heard}
    columns = _Columns()
    for i, own in enumerate(group(program.definitions, len(units))):
        part = program.modules[i]
        rows = [_row(scheduled, unit.index) for unit in units[i]]
        bodies = body_rows(plan.candidates, own)
        state = ModuleState(
            units=list(map(_unit, units[i])),
            results=rows,
            roots=[n for n, unit in enumerate(units[i]) if unit.index in roots],
            dropped=sorted(part.dropped),
            known=known_rows(program, whole.plain, whole.imports, own),
            bodies=bodies,
            sees=sorted(names_seen(part, bodies)),
        )
        columns.texts.append(_NOTHING if i in unsure else loaded.texts[i].digest)
        columns.interfaces.append(interface(part.module, part.bonds))
        columns.sharing.append(
            sharing(program, plan.candidates.bodies, units[i], whole.plain, once, whole.longest, shared)
        )
        columns.add_state(state, pieces.get(i, ""), longer_names(part))
    head = Head(
        guard=guard,
        numbers=list(loaded.numbers),
        options={field.name: getattr(plan.options, field.name) for field in fields(plan.options)},
        datalayout=program.modules[0].module.datalayout if units else "",
        unwinds=any(handles_exceptions(part.module) for part in program.modules),
        everything=whole.everything,
        cplusplus=cplusplus,
        ifunc=facts.ifunc,
        rustc=facts.rustc,
        asm_words=encode_names(sorted(program.asm_words)),
        opaque_bases=encode_names(sorted(program.opaque_bases)),
        once=encode_names(sorted(once)),
        shared=encode_names(sorted(shared)),
        **columns.values(),
    )
    return Kept(head, columns.blocks)


class _Columns:
    """The columns of a head, as modules are added."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.interfaces: list[str] = []
        self.sharing: list[str] = []
        self.names: list[str] = []
        self.imports: list[str] = []
        self.needs: list[str] = []
        self.pieces: list[str] = []
        self.promoted: list[str] = []
        self.counts: list[list[float]] = []
        self.blocks: list[bytes | memoryview] = []

    def add_state(self, state: ModuleState, piece: str, promoted: Mapping[str, str]) -> None:
        """Adds what follows from a module's state."""
        self.names.append(encode_names(state.known))
        self.imports.append(_union(state.results, 4))
        self.needs.append(_union(state.results, 3))
        self.pieces.append(piece)
        self.promoted.append(encode_pairs(promoted))
        self.counts.append(_count(state))
        self.blocks.append(write_state(state))

    def values(self) -> dict[str, Any]:
        """The columns by name."""
        columns = {name: value for name, value in vars(self).items() if name != "blocks"}
        ends, at = [], 0
        for block in self.blocks:
            at += len(block)
            ends.append(at)
        return {**columns, "ends": ends}


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


def _unit(unit: Unit) -> tuple[str, list[str], str, bool, bool]:
    return unit.kind, list(unit.tokens), unit.name, unit.has_asm, unit.has_structors


def _row(scheduled: Scheduled, index: int) -> Row | None:
    result = scheduled.results.get(index)
    return None if result is None else _new_row(result, scheduled.outcomes[index])


def _new_row(result: UnitResult, outcome: Outcome) -> Row:
    needs, imported = decode_names(outcome.needs), list(outcome.imported)
    return result.key, result.own, result.bindings, needs, imported, round(outcome.milliseconds, 3)


# What stood, and what was made anew


@dataclass(frozen=True, slots=True)
class Counts:
    """How many units there are, how many of them are reached, with code and of several functions; what was saved."""

    units: int
    reached: int
    functions: int
    groups: int
    saved_seconds: float


class Settled:
    """An edited program once its units are at hand: what is linked, and what the next build is to know."""

    def __init__(self, replan: Replan, scheduled: Scheduled, store: EntryStore) -> None:
        """Raises PlanLost where something that stood cannot be had any more."""
        self._replan, self._scheduled, self._store = replan, scheduled, store
        arranged, last = replan.arranged, replan.last
        places = {index: arranged.place(index) for index in scheduled.results}
        self._dirty = sorted({*arranged.units, *(module for module, _ in places.values())})
        #: Of every module with a unit that was looked at, all rows.
        self._rows: dict[int, list[Row | None]] = {
            i: [None] * len(arranged.units[i]) if i in arranged.units else list(last.state(i).results)
            for i in self._dirty
        }
        for index, (module, position) in places.items():
            self._rows[module][position] = _row(scheduled, index)
        if self._is_less_needed():
            self._drop_unreached()
        self.pieces = {i: key for i, key in enumerate(last.head.pieces) if key and i not in self._rows}
        for i in self._dirty:
            if made := list(self._results(i)):
                source = arranged.program.modules[i].module.source_file
                units = ((replan.plan.units[index], result) for index, result in made)
                self.pieces[i] = piece_recipe(units, source).key()
        self.results = {index: result for i in self._dirty for index, result in self._results(i)}
        self.kept = self._keep()

    def _results(self, module: int) -> Iterator[tuple[int, UnitResult]]:
        first = self._replan.arranged.first[module]
        for n, row in enumerate(self._rows[module]):
            if row:
                yield first + n, UnitResult(*row[:3])

    def _is_less_needed(self) -> bool:
        """Whether some unit, or a need of one, is no more: then others may not be needed, either."""
        replan = self._replan
        for i in self._dirty:
            positions = {
                old: n
                for n in range(len(self._rows[i]))
                if (old := replan.old_position(replan.arranged.first[i] + n)) is not None
            }
            for old, result in enumerate(replan.last.state(i).results):
                if result:
                    n = positions.get(old)
                    now = self._rows[i][n] if n is not None else None
                    if now is None or not set(result[3]).issubset(now[3]):
                        return True
        return False

    def _drop_unreached(self) -> None:
        """Leaves out what nothing needs any more, over the whole program."""
        arranged, last = self._replan.arranged, self._replan.last
        rows = {i: self._rows.get(i) or last.state(i).results for i in range(len(last))}
        first, defined_in = arranged.first, self._replan.plan.defined_in
        waiting = [index for roots in arranged.roots.values() for index in roots]
        waiting += [first[i] + n for i in rows if i not in arranged.units for n in last.state(i).roots]
        reached = set(waiting)
        while waiting:
            module, position = arranged.place(waiting.pop())
            row = rows[module][position]
            assert row is not None, "a unit that is reached and was not looked at"
            for name in row[3]:
                for index in defined_in[name]:
                    if index not in reached:
                        reached.add(index)
                        waiting.append(index)
        for i, some in rows.items():
            gone = [n for n, row in enumerate(some) if row and first[i] + n not in reached]
            if gone:
                mine = self._rows.setdefault(i, list(some))
                for n in gone:
                    mine[n] = None
        self._dirty = sorted(self._rows)

    @property
    def made(self) -> frozenset[int]:
        """The modules whose pieces can be made anew."""
        return frozenset(self._dirty)

    def counts(self) -> Counts:
        """The figures of the whole program."""
        units, reached, functions, groups, milliseconds = map(sum, zip(*self.kept.head.counts, strict=True))
        spent = sum(unit.milliseconds for unit in self._scheduled.compiled)
        saved = max(0.0, milliseconds - spent) / 1000
        return Counts(int(units), int(reached), int(functions), int(groups), saved)

    @property
    def facts(self) -> ImageFacts:
        """What linkers are chosen and told by."""
        head = self.kept.head
        promoted: dict[str, str] = {}
        for pairs in head.promoted:
            promoted.update(decode_pairs(pairs))
        common = self._replan.arranged.program.output.native_common
        return ImageFacts(common, head.ifunc, head.rustc, promoted)

    @property
    def objects(self) -> Mapping[int, bytes]:
        """The objects of all units of the modules whose pieces are made anew."""
        return _Objects(self._scheduled.objects, self.results, self._store)

    @property
    def members(self) -> Mapping[int, bytes]:
        """Objects of such units as the last link had them, under their real names."""
        return _Members(self._replan, self._rows, self._store)

    def _keep(self) -> Kept:
        replan, arranged = self._replan, self._replan.arranged
        last, program, texts = replan.last, arranged.program, replan.given.loaded.texts
        columns = _Columns()
        unsure = {arranged.place(one.unit)[0] for one in self._scheduled.heard}
        old = last.head
        for i in range(len(last)):
            columns.texts.append(_NOTHING if i in unsure else texts[i].digest)
            columns.interfaces.append(old.interfaces[i])
            columns.sharing.append(old.sharing[i])
            if i not in self._rows:
                for name in ("names", "imports", "needs", "pieces", "promoted", "counts"):
                    getattr(columns, name).append(getattr(old, name)[i])
                columns.blocks.append(last.block(i))
                continue
            rows, before = self._rows[i], last.state(i)
            if i in arranged.units:
                known, bodies = arranged.rows[i]
                units = list(map(_unit, arranged.units[i]))
                roots = [index - arranged.first[i] for index in arranged.roots[i]]
                promoted = longer_names(program.modules[i])
                seen = sorted(names_seen(program.modules[i], bodies))
            else:
                known, bodies, units, roots = before.known, before.bodies, list(before.units), before.roots
                promoted, seen = decode_pairs(old.promoted[i]), before.sees
            state = ModuleState(units, rows, roots, before.dropped, known, bodies, seen)
            columns.add_state(state, self.pieces.get(i, ""), promoted)
        once = encode_names(sorted(arranged.candidates.once))
        return Kept(replace(old, once=once, **columns.values()), columns.blocks)

    def digests(self) -> tuple[dict[str, str], list[str]]:
        """Digests of the own code of the units that were looked at, by name; names of those that are gone."""
        replan = self._replan
        new = {replan.plan.units[i].name: result.own for i, result in self.results.items()}
        gone = []
        for i in self._dirty:
            state = replan.last.state(i)
            named = (unit[2] for unit, result in zip(state.units, state.results, strict=True) if result)
            gone += [name for name in named if name not in new]
        return new, gone


class _Objects(Mapping[int, bytes]):
    """Objects of units by index: those of this build, else the store's."""

    def __init__(
        self, objects: Mapping[int, bytes], results: Mapping[int, UnitResult], store: EntryStore
    ) -> None:
        self._objects, self._results, self._store = objects, results, store

    def __getitem__(self, index: int) -> bytes:
        if index in self._objects:
            return self._objects[index]
        found = self._store.read(self._results[index].key, lambda entry: read_object(entry, "object"))
        if found is None:
            raise PlanLost("an object is gone")
        return found.entry.payload

    def __iter__(self) -> Iterator[int]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


class _Members(Mapping[int, bytes]):
    """Objects of units by index as the last link had them: of those under the same names, from its pieces."""

    def __init__(self, replan: Replan, rows: Mapping[int, Sequence[Row | None]], store: EntryStore) -> None:
        self._replan, self._rows, self._store = replan, rows, store
        self._pieces: dict[int, dict[int, bytes]] = {}

    def __getitem__(self, index: int) -> bytes:
        module, position = self._replan.arranged.place(index)
        old, row = self._replan.old_position(index), self._rows[module][position]
        before = self._replan.last.state(module).results[old] if old is not None else None
        if old is None or not row or not before or (row[0], row[2]) != (before[0], before[2]):
            raise KeyError(index)
        return self._piece(module)[old]

    def _piece(self, module: int) -> dict[int, bytes]:
        found = self._pieces.get(module)
        if found is None:
            last = self._replan.last
            key = last.head.pieces[module]
            data = self._store.read(key, read_piece) if key else None
            members = [content for _, content in read_archive(data)] if data else []
            reached = [n for n, result in enumerate(last.state(module).results) if result]
            if len(members) != len(reached):
                members, reached = [], []
            found = self._pieces[module] = dict(zip(reached, members, strict=True))
        return found

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError
