"""Plans an edited program by the plan of its last build: work for what changed, not for what there is.

Problem: to resolve, partition, clean up, fingerprint and look up all units of a program costs a hundred times
what the one edited function does. Method: modules whose IR is that of the last build *stand*: their units,
results and all that others see of them are taken as they were. A changed module is *active* and goes the way
of every build, within a program whose other modules are read where something of them is asked for.

That is right as long as the interface of every active module (units/interface.py) is what it was, for then
nothing that is decided for the whole program can change; or if there is none worth the name, before and now.
What others see of single symbols may change, and plain ones may come and go: modules that see such a symbol
become active, too, and units that import such a body are looked at again.
A module that changed within functions only stands as well, and these are looked at (contained.py).
Where any of this does not hold there is no new plan, and the build goes the long way. What cannot stand is
not kept (keep.py). Lines are in no unit's text; units of standing modules that hold code of an active one
have its lines put into their objects once more (`moved`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from nativecache.aot.ir.module import Module
from nativecache.aot.key import assembler_reads
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan
from nativecache.aot.records.memo import KeyedUnit, UnitMemo
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Outcome
from nativecache.aot.standing.arrange import Arranged, More, arrange, seeing
from nativecache.aot.standing.contained import BodyEdit, Sight, edit_sighted, find_edit, find_moving_edit
from nativecache.aot.standing.module_state import has_lines, held_by, mean_the_same
from nativecache.aot.standing.program import Given, Reader
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.on_demand import OnDemandSequence
from nativecache.aot.units.partition import Unit
from nativecache.linker.values import replace

#: Rounds in which more modules may turn out to be active: after so many the long way is no longer.
_ROUNDS: Final = 6


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
        head = self.last.head
        if position is None or not head.texts[module] or not head.pieces[module]:
            return None
        if not self.has_its_name(module):
            return None
        result = self.last.state(module).results[position]
        if result is None or result[0] != keyed.key or result[2] != keyed.bindings or result[7]:
            return None
        return Outcome("\0".join(result[3]), keyed.imported, result[5])

    def has_its_name(self, module: int) -> bool:
        """Whether a module's source is called as it was, which is in all its objects."""
        return self.arranged.program.source_file(module) == self.last.head.sources[module]

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
    texts = given.loaded.texts
    active = _Active(last, Reader(last, given), given)
    edits: dict[int, BodyEdit] = {}
    for i in (i for i, text in enumerate(texts) if text.digest != last.head.texts[i]):
        edit = find_edit(last, i, texts[i])
        if edit is None and last.head.described[i]:
            edit = find_moving_edit(last, i, active.reader.anew(i), texts[i])
        if edit is not None:
            edits[i] = edit
        elif not active.add([i]):
            return None
    reader, shared = active.reader, frozenset(decode_names(last.head.shared))
    memos = OnDemandSequence(
        len(last),
        lambda i: UnitMemo(
            reader.names[i],
            given.engine.identity,
            replace(reader.options, relative=last.head.described[i]),
            given.store,
            last.before.get(i, ""),
        ),
    )
    for _ in range(_ROUNDS):
        if not mean_the_same(last, active.modules) or not active.unwind_alike():
            return None
        arranged = arrange(last, given, reader, active.modules, active.free, edits, memos)
        if isinstance(arranged, More):
            edits = {i: edit for i, edit in edits.items() if i not in arranged.modules}
            active.join(arranged.modules)
            continue
        if arranged is None:
            return None
        found = arranged.program, arranged.plain, arranged.candidates
        more = arranged.escaping(Sight(last, *found, given.longest, shared | arranged.shared))
        if more:
            edits = {i: edit for i, edit in edits.items() if i not in more}
            if not active.add(more):
                return None
            continue
        changes = arranged.changes(given.longest)
        more = seeing(last, changes.views, active.modules)
        sighted = dict[int, BodyEdit]()
        for i in seeing(last, changes.heads, {*active.modules, *more}):
            edit = edit_sighted(last, i, arranged.sight(i, changes.heads), edits.get(i))
            if edit is None:
                more.append(i)
            elif edit != edits.get(i):
                sighted[i] = edit
        if not more and not sighted:
            again = seeing(last, changes.calls, active.modules)
            touched, codes, more = arranged.look_again(again, changes.calls)
        if not more and not sighted:
            _touch(touched, _importing(last, changes.codes | codes, active.modules))
            _touch(touched, {i: edit.positions.values() for i, edit in edits.items()})
            return Replan(last, given, arranged, touched)
        edits = {i: edit for i, edit in (edits | sighted).items() if i not in more}
        active.join(more)
    return None


class _Active:
    """The modules that are planned anew."""

    def __init__(self, last: LastPlan, reader: Reader, given: Given) -> None:
        self.reader = reader
        self.modules: dict[int, Module] = {}
        #: By module, tokens of what comes and goes with whoever needs it.
        self.free: dict[int, frozenset[str]] = {}
        self._last, self._given = last, given

    def join(self, modules: Iterable[int]) -> None:
        """Adds modules that have to do with what changed elsewhere."""
        from nativecache.aot.units.interface import free_copies

        for i in modules:
            module = self.modules[i] = self.reader.anew(i)
            self.free[i] = free_copies(module, find_bonds(module))

    def add(self, changed: Iterable[int]) -> bool:
        """Adds modules whose IR changed; returns whether all the program is arranged by is what it was."""
        head = self._last.head
        for i in changed:
            if assembler_reads(self._given.loaded.texts[i].text):
                return False
            self.join([i])
            module = self.modules[i]
            if (
                module.debug_text
                or bool(module.debug) != head.described[i]
                or not self._is_arranged_alike(i, module)
            ):
                return False
        return True

    def unwind_alike(self) -> bool:
        """Whether the program is taken for one that handles exceptions, and for C++, as it was."""
        if not self.modules:
            return True
        from nativecache.aot.units.interface import exceptions_in

        head = self._last.head
        found = dict(enumerate(head.exceptions))
        found.update((i, exceptions_in(module)) for i, module in self.modules.items())
        cplusplus = self._given.loaded.cplusplus or any(one & 1 for one in found.values())
        return cplusplus == head.cplusplus and any(one & 2 for one in found.values()) == head.unwinds

    def _is_arranged_alike(self, i: int, module: Module) -> bool:
        """Whether the rest of the program is arranged as it was, given how a module is now."""
        from nativecache.aot.units.interface import interface, manner, stands_apart

        head, bonds = self._last.head, find_bonds(module)
        if interface(module, bonds, self.free[i]) == head.interfaces[i]:
            return True
        manners = {*head.manners} - {""}
        return head.apart[i] and stands_apart(module, bonds) and manners == {manner(module)}


def _touch(touched: dict[int, frozenset[int]], more: Mapping[int, Iterable[int]]) -> None:
    """Adds positions of units that are to be looked at again."""
    for i, positions in more.items():
        touched[i] = touched.get(i, frozenset()).union(positions)


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
    """The units of standing modules that hold code or lines of one whose lines are other ones, by module."""
    program = arranged.program
    changed = {*arranged.units, *arranged.edits}
    labels = {
        program.label(i)
        for i in changed
        if last.head.described[i] and not has_lines(program.modules[i].debug, last.state(i).placed)
    }
    found = {}
    for i, involved in enumerate(last.head.involved):
        held = {program.label(i), *decode_names(involved)}
        if labels and i not in arranged.units and not labels.isdisjoint(held):
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
