"""Plans an edited program by the plan of its last build: work for what changed, not for what there is.

Problem: to resolve, partition, clean up, fingerprint and look up all units of a program costs a hundred times
what the one edited function does. Method: modules whose IR is that of the last build *stand*: their units,
results and all that others see of them are taken as they were. A changed module is *active* and goes the way
of every build, within a program whose other modules are read where something of them is asked for.

That is right as long as the interface of every active module (units/interface.py) is what it was, for then
nothing that is decided for the whole program can change. What others see of single symbols may change:
modules that see such a symbol become active, too, and units that import such a body are looked at again.
Where any of this does not hold there is no new plan, and the build goes the long way. What cannot stand is
not kept (keep.py). Lines are in no unit's text; units of standing modules that hold code of an active one
have its lines put into their objects once more (`moved`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from nativecache.aot.called_once import find_called_once
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.unwinding import handles_exceptions
from nativecache.aot.key import Options, assembler_reads
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan
from nativecache.aot.records.memo import KeyedUnit, UnitMemo
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Outcome
from nativecache.aot.simplify import find_bodies
from nativecache.aot.standing.module_state import (
    BodyRow,
    KnownRow,
    body_rows,
    checksums_again,
    group,
    held_by,
    known_rows,
    mean_the_same,
    sharing,
)
from nativecache.aot.standing.program import (
    Bodies,
    Definitions,
    Given,
    Reader,
    StandingProgram,
    resolve_again,
)
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints, KnownDefinition
from nativecache.aot.units.imports import ImportCandidates
from nativecache.aot.units.interface import interface
from nativecache.aot.units.on_demand import OnDemandSequence
from nativecache.aot.units.partition import NOTHING_APART, Unit, cut
from nativecache.aot.units.program import Definition, ProgramModule
from nativecache.aot.units.resolve import module_ids, name_globals
from nativecache.aot.units.roots import root_rules, roots_among
from nativecache.linker.values import dataclass, replace

#: Rounds in which more modules may turn out to be active: after so many the long way is no longer.
_ROUNDS: Final = 4


class Replan:
    """A plan made from the last one. `touched`: positions of units to look at again, by standing module."""

    def __init__(
        self, last: LastPlan, given: Given, arranged: Arranged, touched: Mapping[int, frozenset[int]]
    ) -> None:
        self.last, self.given, self.arranged, self.touched = last, given, arranged, touched
        needs = set[int]()
        self._old: dict[int, Mapping[str, int]] = {}
        for module, units in arranged.units.items():
            needs.update(arranged.roots[module])
            needs.update(self._needed_from_outside(module, units))
        for module, positions in touched.items():
            results = last.state(module).results
            first = arranged.first[module]
            needs.update(first + n for n in positions if results[n] is not None)
        self.moved = _moved(last, arranged)
        self.plan = Plan(
            arranged.program,
            arranged.all_units,
            _DefinedIn(arranged),
            tuple(sorted(needs)),
            arranged.options,
            arranged.candidates,
        )

    def _needed_from_outside(self, module: int, units: Sequence[Unit]) -> Iterator[int]:
        """Units of an active module that something in a standing one needs."""
        names = self.arranged.program.modules[module].names
        own = {names[token]: unit.index for unit in units for token in unit.tokens}
        for other, needs in enumerate(self.last.head.needs):
            if other not in self.arranged.units:
                for name in own.keys() & set(decode_names(needs)):
                    yield own[name]

    # What the scheduler asks

    def stands(self, index: int) -> bool:
        """Whether a unit is in the image as it was."""
        module, position = self.arranged.place(index)
        if module in self.arranged.units or position in self.touched.get(module, ()):
            return False
        return self.last.state(module).results[position] is not None

    def kept(self, index: int, keyed: KeyedUnit) -> Outcome | None:
        """What came of a unit before, if its object is in the image already under the same names."""
        module, _ = self.arranged.place(index)
        position = self.old_position(index)
        if position is None or not self.last.head.texts[module] or not self.last.head.pieces[module]:
            return None
        result = self.last.state(module).results[position]
        if result is None or result[0] != keyed.key or result[2] != keyed.bindings or result[7]:
            return None
        return Outcome("\0".join(result[3]), keyed.imported, result[5])

    def old_position(self, index: int) -> int | None:
        """Where a unit stood in its module in the last build."""
        module, position = self.arranged.place(index)
        if module not in self.arranged.units:
            return position
        return self._positions(module).get(self.plan.units[index].name)

    def _positions(self, module: int) -> Mapping[str, int]:
        found = self._old.get(module)
        if found is None:
            names = [name for _, _, name, _, _ in self.last.state(module).units]
            found = self._old[module] = {name: n for n, name in enumerate(names)}
        return found


def replan(last: LastPlan, given: Given) -> Replan | None:
    """A plan for a program some of whose modules changed since the last build; None if there is none.

    `last` is of a build of as many inputs, under the same names, that did the same with them. Raises
    BuildError as every build does, PlanLost where something cannot be had any more.
    """
    head, texts = last.head, given.loaded.texts
    changed = [i for i, text in enumerate(texts) if text.digest != head.texts[i]]
    reader = Reader(last, given)
    active: dict[int, Module] = {}
    for i in changed:
        if assembler_reads(texts[i].text):
            return None
        module = active[i] = reader.module(i)
        if (
            module.debug_text
            or bool(module.debug) != head.described[i]
            or interface(module, find_bonds(module)) != head.interfaces[i]
        ):
            return None
        if not head.unwinds and handles_exceptions(module):
            return None
    if not mean_the_same(last, active):
        return None
    memos = OnDemandSequence(
        len(last),
        lambda i: UnitMemo(
            reader.names[i],
            given.engine.identity,
            replace(reader.options, relative=head.described[i]),
            given.store,
        ),
    )
    for _ in range(_ROUNDS):
        arranged = _arrange(last, given, reader, active, memos)
        if arranged is None:
            return None
        views, codes = arranged.changes(given.longest)
        more = _seeing(last, views, active)
        if not more:
            touched = _importing(last, codes, active)
            return Replan(last, given, arranged, touched)
        active |= {i: reader.module(i) for i in more}
    return None


def _seeing(last: LastPlan, views: frozenset[str], active: Mapping[int, Module]) -> list[int]:
    """Standing modules in which something refers to any of these symbols."""
    if not views:
        return []
    return [i for i in range(len(last)) if i not in active and not views.isdisjoint(last.state(i).sees)]


def _importing(
    last: LastPlan, codes: frozenset[str], active: Mapping[int, Module]
) -> dict[int, frozenset[int]]:
    """The units of standing modules whose texts hold any of these bodies, by module."""
    found = {}
    for i, imports in enumerate(last.head.imports):
        if codes and i not in active and not codes.isdisjoint(decode_names(imports)):
            results = last.state(i).results
            found[i] = frozenset(
                n for n, made in enumerate(results) if made and not codes.isdisjoint(made[4])
            )
    return found


def _moved(last: LastPlan, arranged: Arranged) -> dict[int, frozenset[int]]:
    """The units of standing modules that hold code or lines of an active one, by module."""
    program = arranged.program
    labels = {program.label(i) for i in arranged.units if last.head.described[i]}
    found = {}
    for i, involved in enumerate(last.head.involved):
        if labels and i not in arranged.units and not labels.isdisjoint(decode_names(involved)):
            found[i] = frozenset(
                n
                for n, row in enumerate(last.state(i).results)
                if row and row[7] and not labels.isdisjoint(held_by(program, i, row))
            )
    return found


class _DefinedIn(Mapping[str, list[int]]):
    """The units that define a symbol, by its final name: one for each symbol."""

    def __init__(self, arranged: Arranged) -> None:
        self._arranged = arranged
        self._own = {
            arranged.program.modules[module].names[token]: [unit.index]
            for module, units in arranged.units.items()
            for unit in units
            for token in unit.tokens
        }
        self._standing: dict[int, dict[str, list[int]]] = {}

    def __getitem__(self, name: str) -> list[int]:
        found = self._own.get(name)
        if found is not None:
            return found
        program = self._arranged.program
        module = program.last.module_of[name]
        if module in program.active:
            raise KeyError(name)
        names = self._standing.get(module)
        if names is None:
            first = self._arranged.first[module]
            names = self._standing[module] = {
                program.final_name(module, token): [first + n]
                for n, (_, tokens, _, _, _) in enumerate(program.last.state(module).units)
                for token in tokens
            }
        return names[name]

    def __contains__(self, name: object) -> bool:
        try:
            self[name]  # type: ignore[index]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("nobody goes through all symbols of a program that stands")

    def __len__(self) -> int:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranged:
    """Active modules within a standing program, up to what the scheduler begins with.

    `units` and `roots` (indices): those of active modules. `first`: by module, the index of its first unit.
    """

    program: StandingProgram
    definitions: Definitions
    units: Mapping[int, Sequence[Unit]]
    first: Sequence[int]
    roots: Mapping[int, Sequence[int]]
    options: Options
    candidates: ImportCandidates
    plain: Fingerprints
    fingerprints: ImportFingerprints
    memos: OnDemandSequence[UnitMemo]

    def place(self, index: int) -> tuple[int, int]:
        """The module of a unit, and its position among that module's units."""
        module = bisect_right(self.first, index) - 1
        return module, index - self.first[module]

    def unit(self, index: int) -> Unit:
        """The unit of an index, of any module."""
        module, position = self.place(index)
        if module in self.units:
            return self.units[module][position]
        kind, tokens, name, has_asm, has_structors = self.program.last.state(module).units[position]
        return Unit(index, module, kind, tuple(tokens), name, has_asm, has_structors)  # type: ignore[arg-type]

    def save_memos(self) -> None:
        """Saves the memos that were looked at; of a standing module only some records were."""
        for i in self.memos.made():
            self.memos[i].save(all_old=i not in self.units)

    @property
    def all_units(self) -> OnDemandSequence[Unit]:
        """The units of all modules."""
        return OnDemandSequence(self.first[-1], self.unit)

    @cached_property
    def rows(self) -> dict[int, tuple[dict[str, KnownRow], dict[str, BodyRow]]]:
        """What others depend on and may import of each active module (module_state.py)."""
        own = group(self.definitions.own, len(self.program.modules))
        return {
            i: (
                known_rows(self.program, self.plain, self.fingerprints, own[i]),
                body_rows(self.candidates, own[i]),
            )
            for i in self.units
        }

    def changes(self, longest: int) -> tuple[frozenset[str], frozenset[str]]:
        """Symbols of which others see something else than in the last build, and those with other bodies."""
        last, once = self.program.last, self.candidates.once
        before = frozenset(decode_names(last.head.once))
        views, codes = set[str](), set[str]()
        for i, (known, bodies) in self.rows.items():
            state = last.state(i)
            for name in {**known, **state.known}:
                old, new = state.known.get(name), known.get(name)
                old_view = _view(old, state.bodies.get(name), longest, name in before)
                if old_view != _view(new, bodies.get(name), longest, name in once):
                    views.add(name)
                if (old and old[1]) != (new and new[1]):
                    codes.add(name)
        # A second name, or a constant that shows its contents, is seen with what it names.
        names = {
            name: self._named(found)
            for name, found in self.definitions.own.items()
            if not self._is_plain(name)
        }
        while more := {name for name, named in names.items() if not views.isdisjoint(named)} - views:
            views |= more
        return frozenset(views), frozenset(codes)

    def _is_plain(self, name: str) -> bool:
        return self.rows[self.definitions.own[name].module][0][name][2]

    def _named(self, found: Definition) -> list[str]:
        symbols = self.plain.modules[found.module].shape(found.token).symbols
        own = self.program.modules[found.module].names
        return [own[token] for token in symbols if token in own and token != found.token]


def _view(known: Sequence[Any] | None, body: Sequence[Any] | None, longest: int, once: bool) -> object:
    """All that units see of a symbol, but for its body."""
    where = (min(body[0], longest + 1), *body[1:4], once) if body else None
    return known and (known[0], known[2]), where


def _arrange(
    last: LastPlan,
    given: Given,
    reader: Reader,
    active: Mapping[int, Module],
    memos: OnDemandSequence[UnitMemo],
) -> Arranged | None:
    identifiers = module_ids([text.label for text in given.loaded.texts])
    definitions = Definitions(last, frozenset(active), identifiers)
    parts: dict[int, ProgramModule] = {}
    for i, module in active.items():
        part = resolve_again(last, i, module, identifiers[i], definitions)
        if part is None:
            return None
        parts[i] = part

    checksums = checksums_again(last, active)
    if checksums is None:
        return None

    def standing(i: int) -> ProgramModule:
        scratch = ChainMap(dict[str, Definition](), definitions)  # type: ignore[arg-type]
        module, dropped = reader.module(i), frozenset(last.state(i).dropped)
        return name_globals(i, module, identifiers[i], find_bonds(module), dropped, scratch, set())

    program = StandingProgram(
        modules=OnDemandSequence(len(last), lambda i: parts.get(i) or standing(i)),
        output=given.output,
        definitions=definitions,
        asm_words=frozenset(decode_names(last.head.asm_words)),
        last=last,
        active=frozenset(active),
        identifiers=identifiers,
        labels=[text.label for text in given.loaded.texts],
        known_checksums=checksums,
    )
    counts = [int(count[0]) for count in last.head.counts]
    units: dict[int, list[Unit]] = {}
    first = [0]
    for i, count in enumerate(counts):
        if i in active:
            units[i] = cut(program, parts[i], NOTHING_APART, first=first[-1])
            count = len(units[i])
        first.append(first[-1] + count)

    def known(name: str) -> KnownDefinition | None:
        module = last.module_of.get(name)
        if module is None or module in active:
            return None
        found = last.state(module).known.get(name)
        if found is None:
            return None
        return KnownDefinition(reader.label(module), bytes.fromhex(found[0]), bytes.fromhex(found[1]))

    fingerprints = Fingerprints(program, given.context, memos, known)
    rules = root_rules((), executable=True, options=given.told, outside=given.outside)
    rules = replace(rules, everything=last.head.everything)
    roots = {i: roots_among(program, found, rules) for i, found in units.items()}
    candidates = ImportCandidates({}, frozenset(), given.limits)
    if given.limits.lines:
        own = find_bodies(
            program,
            [unit for found in units.values() for unit in found],
            fingerprints,
            memos,
            engine=given.engine,
            options=reader.options,
            store=given.store,
            threads=given.threads,
        )
        bodies = Bodies(program, reader, own)
        shared = frozenset(decode_names(last.head.shared))
        before = frozenset(decode_names(last.head.once))
        others = before & shared
        moved = find_called_once(
            program,
            bodies,
            list(active),
            {unit.index: unit for found in units.values() for unit in found},
            fingerprints,
            [index for found in roots.values() for index in found],
            given.longest,
            others,
        )
        once = moved.union(name for name in before if last.module_of.get(name) not in active)
        candidates = ImportCandidates(bodies, once, given.limits)
        for i, some in units.items():
            mine = parts[i], some, roots[i], fingerprints
            said = sharing(program, candidates, *mine, given.longest, shared)
            if said != last.head.sharing[i]:
                return None
    imports = ImportFingerprints(fingerprints, candidates, given.longest)
    return Arranged(
        program=program,
        definitions=definitions,
        units=units,
        first=first,
        roots=roots,
        options=reader.options,
        candidates=candidates,
        plain=fingerprints,
        fingerprints=imports,
        memos=memos,
    )
