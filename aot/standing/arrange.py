"""Arranges active modules, and those with contained edits, within a program whose other modules stand."""

from __future__ import annotations

from bisect import bisect_right
from collections import ChainMap
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from functools import cached_property
from typing import Any

from nativecache.aot.called_once import Known, find_called_once
from nativecache.aot.front.load import LoadedText
from nativecache.aot.ir.linkage import is_always_inline
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import symbol_name
from nativecache.aot.key import Options
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.simplify import find_bodies
from nativecache.aot.standing.contained import BodyEdit, Sight
from nativecache.aot.standing.keep import is_ordinary
from nativecache.aot.standing.module_state import (
    BodyRow,
    KnownRow,
    Said,
    body_rows,
    called_otherwise,
    checksums_again,
    group,
    known_rows,
    standing_mentions,
    standing_roots,
    what_is_said,
)
from nativecache.aot.standing.program import (
    Bodies,
    Definitions,
    Given,
    Reader,
    StandingProgram,
    resolve_again,
)
from nativecache.aot.standing.sighted import Sighting, find_sighting
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints, KnownDefinition
from nativecache.aot.units.imports import ImportCandidates
from nativecache.aot.units.inline_copies import DEFINED, copied_inline, find_views
from nativecache.aot.units.on_demand import OnDemandSequence
from nativecache.aot.units.partition import NOTHING_APART, Unit, cut
from nativecache.aot.units.program import Definition, ProgramModule
from nativecache.aot.units.resolve import module_ids, name_globals
from nativecache.aot.units.roots import root_rules, roots_among
from nativecache.linker.values import dataclass


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranged:
    """Active modules within a standing program, up to what the scheduler begins with.

    `units` and `roots` (indices): those of active modules. `edits`: of modules that are not active, for what
    is contained in some functions. `first`: by module, the index of its first unit.
    """

    program: StandingProgram
    texts: Sequence[LoadedText]
    definitions: Definitions
    units: Mapping[int, Sequence[Unit]]
    first: Sequence[int]
    roots: Mapping[int, Sequence[int]]
    edits: Mapping[int, BodyEdit]
    options: Options
    candidates: ImportCandidates
    plain: Fingerprints
    fingerprints: ImportFingerprints
    memos: OnDemandSequence[UnitMemo]
    #: What active modules say to functions that several files may have.
    said: Mapping[int, Said]
    #: The final names of those functions, and of all that is like them, in the whole program.
    shared: frozenset[str]
    #: By active module, tokens of what comes and goes with whoever needs it (units/interface.py).
    free: Mapping[int, frozenset[str]]
    #: Digests of bodies in standing modules, by final name, of which other functions are to be seen otherwise
    #: than in the last build, and what others depend on of those, by module: filled by `look_again`.
    codes: dict[str, bytes]
    sighted: dict[int, dict[str, KnownRow]]

    def place(self, index: int) -> tuple[int, int]:
        """The module of a unit, and its position among that module's units."""
        module = bisect_right(self.first, index) - 1
        return module, index - self.first[module]

    def unit(self, index: int) -> Unit:
        """The unit of an index, of any module."""
        module, position = self.place(index)
        if module in self.units:
            return self.units[module][position]
        return _standing_unit(self.program.last, module, position, index)

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
        rows = {i: self._rows_of(own[i]) for i in self.units}
        for i, edit in self.edits.items():
            state = self.program.last.state(i)
            known, bodies = self._rows_of(self._edited(i, edit))
            rows[i] = {**state.known, **known}, {**state.bodies, **bodies}
        return rows

    def _rows_of(
        self, definitions: Mapping[str, Definition]
    ) -> tuple[dict[str, KnownRow], dict[str, BodyRow]]:
        known = known_rows(self.program, self.plain, self.fingerprints, definitions)
        return known, body_rows(self.candidates, definitions)

    def _edited(self, i: int, edit: BodyEdit) -> dict[str, Definition]:
        names = (self.program.last.state(i).units[n][2] for n in edit.positions.values())
        return {name: Definition(i, token) for name, token in zip(names, edit.positions, strict=True)}

    def escaping(self, sight: Sight) -> list[int]:
        """Modules with edits that other functions have to do with."""
        return [i for i, edit in self.edits.items() if not sight.contains(i, edit, self.memos[i])]

    def changes(self, longest: int) -> Changes:
        """What others see, or hold, otherwise than in the last build."""
        last, once = self.program.last, self.candidates.once
        before = frozenset(decode_names(last.head.once))
        views, heads, calls, codes = set[str](), set[str](), set[str](), set[str]()
        old: dict[str, KnownRow] = dict(last.gone.known)
        old_bodies: dict[str, BodyRow] = dict(last.gone.bodies)
        new: dict[str, KnownRow] = {}
        bodies: dict[str, BodyRow] = {}
        for i, edit in self.edits.items():
            state, edited = last.state(i), self._edited(i, edit)
            known, its_bodies = self.rows[i]
            old.update((name, state.known[name]) for name in edited)
            new.update((name, known[name]) for name in edited)
            old_bodies.update((name, state.bodies[name]) for name in edited if name in state.bodies)
            bodies.update((name, its_bodies[name]) for name in edited if name in its_bodies)
        for i in self.units:
            old.update(last.state(i).known)
            old_bodies.update(last.state(i).bodies)
            new.update(self.rows[i][0])
            bodies.update(self.rows[i][1])
        for name in {**old, **new}:
            was, row, body = old.get(name), new.get(name), bodies.get(name)
            if was is None or row is None or was[1] != row[1]:
                codes.add(name)
            if was is None or row is None or was[2] != row[2] or self._is_seen_as_moved(name, body):
                views.add(name)
            elif was[0] != row[0]:
                (heads if was[1] and row[1] and row[2] else views).add(name)
            elif _import_view(old_bodies.get(name), longest, name in before) != _import_view(
                body, longest, name in once
            ):
                calls.add(name)
        # A second name, or a constant that shows its contents, is seen with what it names.
        named = {
            name: self._named(found)
            for name, found in self.definitions.own.items()
            if not self._is_plain(name)
        }
        changed = views | heads | calls
        while more := {name for name, those in named.items() if not changed.isdisjoint(those)} - views:
            views |= more
            changed |= more
        return Changes(*map(frozenset, (views, heads - views, calls - views, codes)))

    def look_again(
        self, modules: Iterable[int], calls: Set[str]
    ) -> tuple[dict[int, frozenset[int]], frozenset[str], list[int]]:
        """Looks at what names some functions, which are inlined otherwise now, in standing modules.

        Returns positions of units to look at, by module, functions with other bodies, and modules in which
        more than that has to do with it.
        """
        last, touched, codes, more = self.program.last, dict[int, frozenset[int]](), set[str](), list[int]()
        for i in modules:
            found = self.sight(i, calls)
            if found is None or not self._see(i, found.functions):
                more.append(i)
            elif found.positions:
                touched[i] = found.positions
                before = last.state(i).known
                rows = self.sighted.get(i, {})
                codes.update(name for name, row in rows.items() if row != before[name])
        return touched, frozenset(codes), more

    def sight(self, i: int, names: Set[str]) -> Sighting | None:
        """What of a standing module names any of these functions; None where more has to do with it."""
        return find_sighting(self.program.last, i, self.program.identifiers[i], self.texts[i], names)

    def _see(self, i: int, tokens: frozenset[str]) -> bool:
        """Finds what others depend on of functions of a standing module; returns whether that is all."""
        if not tokens:
            return True
        part, known = self.program.modules[i], self.program.last.state(i).known
        edited = self.edits[i].positions if i in self.edits else {}
        rows: dict[str, KnownRow] = {}
        for token in tokens - edited.keys():
            name = part.names[token]
            if name not in known or is_always_inline(part.entities[token], part.module):
                return False
            own, _, is_plain = known[name]
            self.codes[name] = self.fingerprints.code(Definition(i, token))
            rows[name] = own, self.codes[name].hex(), is_plain
        self.sighted[i] = rows
        return True

    def _is_seen_as_moved(self, name: str, body: BodyRow | None) -> bool:
        """Whether others see in which module a symbol is, and that is another one, or called otherwise."""
        last, found = self.program.last, self.definitions.own.get(name)
        if found is None or (last.module_of.get(name) == found.module and found.module not in last.before):
            return False
        return any(last.head.described) or (body is not None and body[2])

    def _is_plain(self, name: str) -> bool:
        return self.rows[self.definitions.own[name].module][0][name][2]

    def _named(self, found: Definition) -> list[str]:
        symbols = self.plain.modules[found.module].shape(found.token).symbols
        own = self.program.modules[found.module].names
        return [own[token] for token in symbols if token in own and token != found.token]


@dataclass(frozen=True, slots=True)
class More:
    """Standing modules that have to do with what changed, and are to be active."""

    modules: frozenset[int]


@dataclass(frozen=True, slots=True)
class Changes:
    """Symbols by final name: those of which others see something else than in the last build; functions of
    which that is no more than how they are declared; those that are inlined otherwise; and those with other
    bodies."""

    views: frozenset[str]
    heads: frozenset[str]
    calls: frozenset[str]
    codes: frozenset[str]


def _import_view(body: Sequence[Any] | None, longest: int, once: bool) -> object:
    """All that units see of a function that they may inline, but for its declaration and its body."""
    return (min(body[0], longest + 1), *body[1:4], once) if body else None


def _follow_rules(
    last: LastPlan, given: Given, definitions: Definitions, parts: Mapping[int, ProgramModule]
) -> bool:
    """Whether what active modules define now, and what is gone, is no more than can be followed."""
    old = {name for i in parts for name in decode_names(last.head.names[i])}
    changed = old.symmetric_difference(definitions.own)
    return (
        changed.isdisjoint(decode_names(last.head.asm_words))
        and changed.isdisjoint(given.told.assigned)
        and changed.isdisjoint(last.head.copies)
        and all(symbol_name(token) in definitions for part in parts.values() for token in part.dropped)
        and all(is_ordinary(part) for i, part in parts.items() if not last.head.texts[i])
    )


def _copies_again(
    last: LastPlan, parts: Mapping[int, ProgramModule], definitions: Definitions
) -> dict[str, str] | None:
    """Head.copies with active modules as they are now; None where a function is not the same to all."""
    known = last.head.copies
    names = [
        *known,
        *sorted({name for part in parts.values() for name in copied_inline(part)} - known.keys()),
    ]
    found: dict[str, set[str]] = {}
    for part in parts.values() if names else ():
        for name, view in find_views(part, names, lambda name: DEFINED if name in definitions else ""):
            found.setdefault(name, set()).add(view)
    copies = dict(known)
    for name, views in found.items():
        views.discard(DEFINED)  # by a module that is looked at here, or as the others have it
        if not views or views == {known.get(name)}:
            continue
        if len(views) > 1 or any(name in state.sees for _, state in last.naming([name], parts)):
            return None
        copies[name] = views.pop()
    return copies


def _standing_unit(last: LastPlan, module: int, position: int, index: int) -> Unit:
    """A unit of a module that stands, numbered `index` in the program."""
    kind, tokens, name, has_asm, has_structors = last.state(module).units[position]
    return Unit(index, module, kind, tuple(tokens), name, has_asm, has_structors)  # type: ignore[arg-type]


def seeing(last: LastPlan, names: Set[str], active: Container[int]) -> list[int]:
    """Standing modules in which something refers to any of these symbols."""
    own = {last.module_of.get(name, -1) for name in names if "." in name} - {-1}  # of locals
    found = {i for i in own if i not in active and not names.isdisjoint(last.state(i).sees)}
    outer = [name for name in names if "." not in name]
    found.update(i for i, state in last.naming(outer, active) if not names.isdisjoint(state.sees))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Active modules as they are cut into units, of which `roots` are indices."""

    program: StandingProgram
    parts: Mapping[int, ProgramModule]
    units: Mapping[int, Sequence[Unit]]
    roots: Mapping[int, Sequence[int]]


def _decide(
    last: LastPlan,
    active: _Cut,
    bodies: Bodies,
    fingerprints: Fingerprints,
    given: Given,
    shared: frozenset[str],
    come: frozenset[str],
) -> tuple[ImportCandidates, dict[int, Said]] | More:
    """Which functions one call reaches, and what active modules say to those that several files may have
    (`shared`), of which some had nobody before (`come`).

    Of these it stays what it was where modules that stand name one twice. One that these name once, or not at
    all, is looked at as the active modules' own are; if it then is what it was not, and they have to do with
    it, they are to be active as well.
    """
    before = frozenset(decode_names(last.head.once))
    standing = frozenset(name for name in before if last.module_of.get(name) not in active.units)
    units = {unit.index: unit for found in active.units.values() for unit in found}
    roots = [index for found in active.roots.values() for index in found]
    looked_at, longest = (list(active.units), units, fingerprints, roots), given.longest
    named: dict[str, list[str]] = {name: [] for name in come}
    while True:
        known = Known(
            (before & shared) - named.keys(),
            frozenset(named),
            {name: callers[0] for name, callers in named.items() if callers},
            frozenset(standing_roots(last, active.units, named)),
            standing - shared,
        )
        once = find_called_once(active.program, bodies, *looked_at, longest, known)
        candidates = ImportCandidates(bodies, once | (standing - named.keys()), given.limits)
        said = {
            i: what_is_said(
                active.program,
                candidates,
                active.parts[i],
                some,
                active.roots[i],
                fingerprints,
                longest,
                shared,
            )
            for i, some in active.units.items()
        }
        changed = (called_otherwise(last, said, bodies, longest, shared) & shared) - named.keys()
        mentions = standing_mentions(last, active.units, changed)
        few = {name: callers for name, callers in mentions.items() if len(callers) < 2}
        if not few:
            break
        named |= few
    other = {
        name
        for name, callers in named.items()
        if (name in once) != (name in before)
        and (callers or last.module_of.get(name, -1) not in {*active.units, -1})
    }
    if other:
        return More(frozenset(seeing(last, other, active.units)))
    return candidates, said


def _find_copies(
    last: LastPlan, active: Mapping[int, Module], free: Mapping[int, frozenset[str]]
) -> tuple[Mapping[int, frozenset[str]], frozenset[str], frozenset[str]] | More | None:
    """By active module the tokens of definitions that do not prevail; by final name all that several files
    may have, and what of it nobody had before. None where something else has to do with it."""
    shared = frozenset(decode_names(last.head.shared))
    if not active:
        return {}, shared, frozenset()
    from nativecache.aot.standing.owners import find_owners

    owners = find_owners(last, active, free)
    if owners is None:
        return None
    if more := owners.more or seeing(last, owners.come, active):
        return More(frozenset(more))
    return owners.dropped, (shared | owners.come) - owners.gone, owners.come


def arrange(
    last: LastPlan,
    given: Given,
    reader: Reader,
    active: Mapping[int, Module],
    free: Mapping[int, frozenset[str]],
    edits: Mapping[int, BodyEdit],
    memos: OnDemandSequence[UnitMemo],
) -> Arranged | More | None:
    """The active modules and the edited ones in their program; None where something is not as it was.

    `free`: what comes and goes of each active module (units/interface.py), as tokens.
    """
    prevailing = _find_copies(last, active, free)
    if prevailing is None or isinstance(prevailing, More):
        return prevailing
    dropped, shared, come = prevailing
    identifiers = module_ids([text.label for text in given.loaded.texts])
    definitions = Definitions(last, frozenset(active), identifiers)
    parts: dict[int, ProgramModule] = {}
    for i, module in active.items():
        part = resolve_again(last, i, module, identifiers[i], definitions, dropped[i])
        if part is None:
            return None
        parts[i] = part
    if not _follow_rules(last, given, definitions, parts):
        return None

    copies = _copies_again(last, parts, definitions)
    if copies is None:
        return None

    described = {i: reader.module(i) for i in edits if last.head.described[i]}
    checksums = checksums_again(last, {**active, **described})
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
        edits=frozenset(edits),
        identifiers=identifiers,
        labels=[text.label for text in given.loaded.texts],
        known_checksums=checksums,
        known_copies=copies,
        edited=frozenset(
            last.state(i).units[n][2] for i, edit in edits.items() for n in edit.positions.values()
        ),
    )
    counts = [int(count[0]) for count in last.head.counts]
    units: dict[int, list[Unit]] = {}
    first = [0]
    for i, count in enumerate(counts):
        if i in active:
            units[i] = cut(program, parts[i], NOTHING_APART, first=first[-1])
            count = len(units[i])
        first.append(first[-1] + count)

    edited = [
        _standing_unit(last, i, n, first[i] + n) for i, edit in edits.items() for n in edit.positions.values()
    ]

    codes: dict[str, bytes] = {}

    def known(name: str) -> KnownDefinition | None:
        module = last.module_of.get(name)
        if module is None or module in active or name in program.edited:
            return None
        found = last.state(module).known.get(name)
        if found is None:
            return None
        code = codes.get(name) or bytes.fromhex(found[1])
        return KnownDefinition(reader.label(module), bytes.fromhex(found[0]), code)

    fingerprints = Fingerprints(program, given.context, memos, known)
    executable = given.output.kind == "exe" and not given.told.shared
    rules = root_rules(definitions, executable=executable, options=given.told, outside=given.outside)
    if rules.everything != last.head.everything:
        return None
    roots = {i: roots_among(program, found, rules) for i, found in units.items()}
    candidates, said = ImportCandidates({}, frozenset(), given.limits), dict[int, Said]()
    if given.limits.lines:
        own = find_bodies(
            program,
            [*(unit for found in units.values() for unit in found), *edited],
            fingerprints,
            memos,
            engine=given.engine,
            options=reader.options,
            store=given.store,
            workers=given.workers,
        )
        bodies = Bodies(program, reader, own)
        decided = _decide(last, _Cut(program, parts, units, roots), bodies, fingerprints, given, shared, come)
        if isinstance(decided, More):
            return decided
        candidates, said = decided
    imports = ImportFingerprints(fingerprints, candidates, given.longest)
    return Arranged(
        program=program,
        definitions=definitions,
        units=units,
        first=first,
        roots=roots,
        edits=edits,
        options=reader.options,
        candidates=candidates,
        plain=fingerprints,
        fingerprints=imports,
        memos=memos,
        said=said,
        shared=shared,
        free=free,
        codes=codes,
        sighted={},
        texts=given.loaded.texts,
    )
