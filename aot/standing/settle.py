"""Joins what stood with what was made anew: what is linked, and what the next build is to know."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from nativecache.aot.errors import PlanLost
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.outline import Outline
from nativecache.aot.output.image import ImageFacts, longer_names
from nativecache.aot.output.pieces import LastPieces, LinkedObject, Member, Pieces, piece_key
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import decode_pairs, encode_names
from nativecache.aot.records.last_plan import ModuleState
from nativecache.aot.records.objects import StoredObject, read_object
from nativecache.aot.schedule.scheduler import Scheduled
from nativecache.aot.standing.contained import BodyEdit
from nativecache.aot.standing.keep import Columns, Kept, unit_of, unit_row
from nativecache.aot.standing.module_state import (
    Row,
    bound_copies,
    involved,
    lists_of,
    names_seen,
    outline_of,
    placed_lines,
)
from nativecache.aot.standing.replan import Replan
from nativecache.aot.units.inline_copies import find_counted
from nativecache.cache.lookup import EntryStore
from nativecache.linker.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Counts:
    """How many units there are, are reached, of these have code, are of several functions; what was saved."""

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
        looked_at = {module for module, _ in places.values()}
        self._dirty = sorted({*arranged.units, *arranged.edits, *arranged.sighted, *replan.moved, *looked_at})
        #: Of every module with a unit that was looked at, all rows.
        self._rows: dict[int, list[Row | None]] = {
            i: [None] * len(arranged.units[i]) if i in arranged.units else list(last.state(i).results)
            for i in self._dirty
        }
        for index, (module, position) in places.items():
            self._rows[module][position] = unit_row(scheduled, index)
        if self._is_less_needed():
            self._drop_unreached()
        #: Units whose lines are put into their objects once more.
        self._placed = self._find_placed()
        self._moved = dict(self._read_moved())
        self.results: Mapping[int, UnitResult] = _Results(self._rows, arranged.first, self._moved, scheduled)
        keys = {i: key for i, key in enumerate(last.head.pieces) if key and i not in self._rows}
        standing = frozenset(keys)
        keys |= {i: self._piece_key(i) for i in self._dirty if any(self._rows[i])}
        checksums = arranged.program.checksums[0]
        output = None if last.adopted else last.output
        given = keys, last.head.groups, standing, last.pieces, self._object_keys, checksums, output
        self.pieces = Pieces(store, *given)
        self.kept = self._keep()

    def _object_keys(self, module: int) -> Sequence[str]:
        """The keys of the objects that a module's piece is made from."""
        rows = self._rows[module] if module in self._rows else self._replan.last.state(module).results
        return [row[0] for row in rows if row]

    def _find_placed(self) -> frozenset[int]:
        first, moved = self._replan.arranged.first, self._replan.moved
        return frozenset(
            first[i] + n
            for i in self._dirty
            for n, row in enumerate(self._rows[i])
            if row and row[7] and (n in moved.get(i, ()) or first[i] + n in self._scheduled.results)
        )

    def _read_moved(self) -> Iterator[tuple[int, StoredObject]]:
        """The objects of units that were not looked at, and in which lines are another's that moved."""
        for index in sorted(self._placed.difference(self._scheduled.results)):
            module, position = self._replan.arranged.place(index)
            row = self._rows[module][position]
            assert row is not None, "a unit that is not there is not placed"
            yield index, _read_object(self._store, row[0])

    def _piece_key(self, module: int) -> str:
        replan = self._replan
        program, units, first = replan.arranged.program, replan.plan.units, replan.arranged.first[module]
        members = [
            Member(units[first + n], row[0], row[2], row[6] if row[7] else None)
            for n, row in enumerate(self._rows[module])
            if row
        ]
        return piece_key(program, module, members)

    def _is_less_needed(self) -> bool:
        """Whether some unit, or a need of one, is no more: then others may not be needed, either."""
        replan = self._replan
        if replan.last.gone.known:
            return True
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
            if not all(name in defined_in for name in row[3]):
                raise PlanLost("a unit needs what is no more")
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
        return ImageFacts(common, head.unlike, head.rustc, promoted)

    @property
    def objects(self) -> Mapping[int, bytes]:
        """The objects of all units of the modules whose pieces are made anew."""
        return _Objects(self._scheduled.objects, self._moved, self.results, self._store)

    @property
    def members(self) -> Mapping[int, LinkedObject]:
        """Objects of such units as the last link had them, under their real names."""
        return _Members(self._replan, self._rows, self._placed, self._replan.last.pieces)

    def _keep(self) -> Kept:
        replan, arranged = self._replan, self._replan.arranged
        last, program, texts = replan.last, arranged.program, replan.given.loaded.texts
        columns, named = Columns(), dict[int, tuple[Module, str]]()
        unsure = {arranged.place(one.unit)[0] for one in self._scheduled.heard}
        old = last.head
        written = {*old.groups} if last.adopted else {old.groups[i] for i in self._rows}
        for i in range(len(last)):
            content = old.contents[i] if old.texts[i] == texts[i].digest else None
            columns.add_text(texts[i], is_sure=i not in unsure, content=content)
            if i in arranged.units:
                columns.add_module(program.modules[i], arranged.free[i])
            else:
                columns.interfaces.append(old.interfaces[i])
                columns.manners.append(old.manners[i])
                columns.apart.append(old.apart[i])
                columns.exceptions.append(old.exceptions[i])
            said = arranged.said.get(i)
            columns.sharing.append(said.digest if said else old.sharing[i])
            columns.described.append(old.described[i])
            columns.sources.append(program.source_file(i))
            columns.groups.append(old.groups[i])
            if i not in self._rows:
                for name in ("names", "imports", "needs", "pieces", "promoted", "counts", "involved"):
                    getattr(columns, name).append(getattr(old, name)[i])
                columns.states.append(last.block(i) if old.groups[i] in written else None)
                continue
            state, promoted = self._state(i)
            debug = program.modules[i].debug if i in arranged.units or i in arranged.edits else None
            if debug and debug.numbering and state.outline:
                named[i] = program.modules[i].module, state.outline.around
            columns.involved.append(involved(program, i, self._rows[i]))
            columns.add_state(state, self.pieces.keys.get(i, ""), promoted)
            columns.states.append(state)
        once = encode_names(sorted(arranged.candidates.once))
        shared = encode_names(sorted(arranged.shared))
        checksums, copies = dict(program.known_checksums), program.known_copies
        head = replace(old, once=once, shared=shared, checksums=checksums, copies=copies, **columns.values())
        return Kept(head, columns.states, last.since, named)

    def _state(self, module: int) -> tuple[ModuleState, Mapping[str, str]]:
        """What is known of a module now, and what a linked image may call its promoted locals."""
        arranged, last = self._replan.arranged, self._replan.last
        rows, before = self._rows[module], last.state(module)
        promoted = decode_pairs(last.head.promoted[module])
        sighted = arranged.sighted.get(module, {})
        if module not in arranged.units and module not in arranged.edits:
            return replace(before, results=rows, known={**before.known, **sighted}), promoted
        part = arranged.program.modules[module]
        known, bodies = arranged.rows[module]
        found = replace(
            before,
            results=rows,
            known={**known, **sighted},
            bodies=bodies,
            sees=sorted(names_seen(part, bodies)),
            placed=placed_lines(part.debug),
            disbelieved=lists_of(part.module.disbelieved),
        )
        if module in arranged.edits:
            edited = self._outline(module, arranged.edits[module], before.outline)
            return replace(found, outline=edited), promoted
        units, first = arranged.units[module], arranged.first[module]
        said = arranged.said.get(module)
        outline = outline_of(self._replan.given.loaded.texts[module].outline, part.module)
        found = replace(
            found,
            tied=arranged.plain.modules[module].tied_nodes,
            counted=find_counted(part, arranged.program.known_copies),
            said=list(said.rest) if said else before.said,
            dropped=sorted(part.dropped),
            bound=bound_copies(part, arranged.free[module]),
            units=list(map(unit_of, units)),
            roots=[index - first for index in arranged.roots[module]],
            outline=outline,
        )
        return found, longer_names(part)

    def _outline(self, module: int, edit: BodyEdit, before: Outline | None) -> Outline:
        """The outline of a module with a contained edit; `before`: the last one."""
        part = self._replan.arranged.program.modules[module]
        if part.debug is None or before is None or edit.moved:
            return edit.outline
        texts = {token: part.entities[token].text for token in edit.positions}
        return edit.outline.reading(texts, before.rest, before)

    def digests(self) -> tuple[dict[str, str], list[str]]:
        """Digests of the own code of the units that were looked at, by name; names of those that are gone."""
        replan, new, gone = self._replan, dict[str, str](), list[str]()
        for i in self._dirty:
            state, units = replan.last.state(i), replan.arranged.units.get(i)
            names = [unit.name for unit in units] if units is not None else [unit[2] for unit in state.units]
            new.update((name, row[1]) for name, row in zip(names, self._rows[i], strict=True) if row)
        for i in self._dirty:
            state = replan.last.state(i)
            names = [unit[2] for unit, result in zip(state.units, state.results, strict=True) if result]
            gone += [name for name in names if name not in new]
        return new, gone


class _Results(Mapping[int, UnitResult]):
    """What became of the units of some modules, by index, from their rows."""

    def __init__(
        self,
        rows: Mapping[int, Sequence[Row | None]],
        first: Sequence[int],
        moved: Mapping[int, StoredObject],
        scheduled: Scheduled,
    ) -> None:
        """`first`: by module, the index of its first unit."""
        self._rows = {first[i] + n: row for i in sorted(rows) for n, row in enumerate(rows[i]) if row}
        self._moved, self._made = moved, scheduled.results

    def __getitem__(self, index: int) -> UnitResult:
        row = self._rows[index]
        if index in self._moved:
            return UnitResult(*row[:3], row[6], self._moved[index].fixups)
        return self._made.get(index) or UnitResult(*row[:3])

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Objects(Mapping[int, bytes]):
    """Objects of units by index: those of this build, else the store's."""

    def __init__(
        self,
        objects: Mapping[int, bytes],
        moved: Mapping[int, StoredObject],
        results: Mapping[int, UnitResult],
        store: EntryStore,
    ) -> None:
        self._objects, self._moved, self._results, self._store = objects, moved, results, store

    def __getitem__(self, index: int) -> bytes:
        if index in self._objects:
            return self._objects[index]
        found = self._moved.get(index) or _read_object(self._store, self._results[index].key)
        return found.entry.payload

    def __iter__(self) -> Iterator[int]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


def _read_object(store: EntryStore, key: str) -> StoredObject:
    found = store.read(key, lambda entry: read_object(entry, "object"))
    if found is None:
        raise PlanLost("an object is gone")
    return found


class _Members(Mapping[int, LinkedObject]):
    """Objects of units by index as the last link had them: of those under the same names, from its pieces."""

    def __init__(
        self,
        replan: Replan,
        rows: Mapping[int, Sequence[Row | None]],
        placed: Container[int],
        pieces: LastPieces,
    ) -> None:
        """`placed`: units whose lines may be other ones now."""
        self._replan, self._rows, self._placed, self._last = replan, rows, placed, pieces
        self._pieces: dict[int, dict[int, LinkedObject]] = {}
        self._mostly: dict[int, bool] = {}

    def __getitem__(self, index: int) -> LinkedObject:
        module, position = self._replan.arranged.place(index)
        old, row = self._replan.old_position(index), self._rows[module][position]
        before = self._replan.last.state(module).results[old] if old is not None else None
        same = row and before and (row[0], row[2]) == (before[0], before[2])
        same = same and self._replan.has_its_name(module)
        if old is None or not row or not same or index in self._placed:
            raise KeyError(index)
        if not row[7] and self._is_mostly_placed(module):
            raise KeyError(index)  # to read the piece costs more than to rename some objects again
        member = self._piece(module).get(old)
        if member is None and row[7]:
            raise PlanLost("an object with its lines is gone")
        if member is None:
            raise KeyError(index)
        return member

    def _is_mostly_placed(self, module: int) -> bool:
        """Whether most units of a module have their lines put into their objects again."""
        found = self._mostly.get(module)
        if found is None:
            first = self._replan.arranged.first[module]
            reached = [first + n for n, row in enumerate(self._rows[module]) if row]
            found = self._mostly[module] = 2 * sum(i in self._placed for i in reached) > len(reached)
        return found

    def _piece(self, module: int) -> dict[int, LinkedObject]:
        found = self._pieces.get(module)
        if found is None:
            results = self._replan.last.state(module).results
            reached = [n for n, result in enumerate(results) if result]
            members = self._last.members(module)
            if len(members) != len(reached):
                members, reached = [], []
            found = self._pieces[module] = dict(zip(reached, members, strict=True))
        return found

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError
