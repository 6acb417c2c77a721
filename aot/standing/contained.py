"""Finds edits that stay within functions: all else of their module, and what rests on it, is as it was.

Such a module need not be read anew: it stands, and of its units those are looked at that hold the functions'
code. An edit is contained if the module's outline (ir/outline.py) is what it was but for the texts of some
functions, and if these mean the same to all that is decided beyond them: what units see of them, which
functions one call reaches, what cannot be told apart from what.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from nativecache.aot.called_once import ONCE_LINES
from nativecache.aot.front.load import LoadedText
from nativecache.aot.ir.linkage import is_always_inline
from nativecache.aot.ir.module import Module, takes_block_address
from nativecache.aot.ir.outline import Outline
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan, ModuleState
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.standing.module_state import body_rows, lists_of, outline_of
from nativecache.aot.standing.program import StandingProgram
from nativecache.aot.standing.sighted import Sighting
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import ImportCandidates
from nativecache.aot.units.program import Definition, ProgramModule
from nativecache.aot.units.shapes import Shape
from nativecache.linker.values import dataclass

#: Functions of an edit whose module is looked at as a whole only to read it.
_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class BodyEdit:
    """The functions of a module that changed: positions of their units, by token.

    `outline`: the new one. `moved`: whether numbers of nodes, or lines, are other ones.
    """

    outline: Outline
    positions: dict[str, int]
    moved: bool = False


def find_edit(last: LastPlan, i: int, text: LoadedText) -> BodyEdit | None:
    """What changed in a module whose text is another one than in the last build; None if it is more than
    functions that are units of their own."""
    before = last.state(i).outline if last.head.texts[i] else None
    if before is None:
        return None
    return _edit_of(last.state(i), before.differing(text.outline), text.outline)


def find_moving_edit(last: LastPlan, i: int, module: Module, text: LoadedText) -> BodyEdit | None:
    """The same where lines in debug information moved, and numbers of nodes with them.

    `module`: what was read of the text. None, too, where so many functions changed that it is better planned
    anew.
    """
    before = last.state(i).outline if last.head.texts[i] else None
    new = outline_of(text.outline, module) if before and module.debug else None
    if before is None or new is None:
        return None
    edit = _edit_of(last.state(i), before.differing_as_read(new), new, moved=True)
    return edit if edit and len(edit.positions) <= _MOST else None


def _edit_of(
    state: ModuleState, tokens: list[str] | None, new: Outline, *, moved: bool = False
) -> BodyEdit | None:
    # By those that count others have what a function is to all (units/inline_copies.py).
    if tokens is None or not set(tokens).isdisjoint((*state.dropped, *state.counted)):
        return None
    alone = {unit[1][0]: n for n, unit in enumerate(state.units) if unit[0] == "function"}
    if not alone.keys() >= set(tokens):
        return None
    return BodyEdit(new, {token: alone[token] for token in tokens}, moved)


def edit_sighted(last: LastPlan, i: int, found: Sighting | None, before: BodyEdit | None) -> BodyEdit | None:
    """An edit of the functions of a module that stands, or has an edit (`before`), that name others which are
    declared otherwise now; None where other units name them, too."""
    state = last.state(i)
    outline = before.outline if before else state.outline
    if found is None or outline is None or not last.head.texts[i]:
        return None
    known = before.positions if before else {}
    alone = {unit[1][0]: n for n, unit in enumerate(state.units) if unit[0] == "function"}
    positions = {token: alone[token] for token in found.functions}
    if set(positions.values()) != found.positions or not positions.keys().isdisjoint(state.counted):
        return None
    return BodyEdit(outline, known | positions, before is not None and before.moved)


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a program in which some modules have contained edits, before it is planned.

    `longest`: of bodies that units import, in lines. `shared`: names that several files may have.
    """

    last: LastPlan
    program: StandingProgram
    plain: Fingerprints
    candidates: ImportCandidates
    longest: int
    shared: frozenset[str]

    def contains(self, i: int, edit: BodyEdit, memo: UnitMemo) -> bool:
        """Whether all but the edited functions of module `i` is what it was. `memo`: the module's."""
        # What a function is not believed of exceptions depends on what it calls, and on what that calls.
        doubts = lists_of(self.program.modules[i].module.disbelieved)
        return (
            doubts == self.last.state(i).disbelieved
            and doubts.keys().isdisjoint(edit.positions)
            and all(self._is_contained(i, token, memo) for token in edit.positions)
        )

    def _is_contained(self, i: int, token: str, memo: UnitMemo) -> bool:
        """Whether a function, by token, is to all others what it was."""
        part, known = self.program.modules[i], self.last.state(i)
        entity = part.entities[token]
        if (
            entity.linkage == "available_externally"
            or takes_block_address(entity, part.module)
            or is_always_inline(entity, part.module)
        ):
            return False
        name = part.names[token]
        own = self.plain.definition(name, Definition(i, token)).own.hex()
        assert known.outline is not None, "a module with a contained edit has an outline"
        before = memo.shape(known.outline.digest(token))
        return (
            name in known.known
            and own == known.known[name][0]
            and before is not None
            and self._ties_nothing(part, before, self.plain.modules[i].shape(token))
            and self._is_imported_as_before(i, name)
        )

    def _ties_nothing(self, part: ProgramModule, before: Shape, now: Shape) -> bool:
        """Whether what a function names holds nothing together, nor tells nodes apart, other than before."""
        if _identities(part.module, before) != _identities(part.module, now):
            return False
        old, new = set(before.symbols), set(now.symbols)
        if old == new:
            return True
        return not part.bonds.pieces and all(self._is_plain(part, token) for token in new - old)

    def _is_plain(self, part: ProgramModule, token: str) -> bool:
        """Whether a symbol binds those that name it to nothing (see partition.py)."""
        entity = part.entities.get(token)
        return (
            entity is not None
            and entity.kind in ("function", "variable")
            and token not in part.pinned
            and not is_always_inline(entity, part.module)
            and not self.program.keeps_to_itself(part, entity)
        )

    def _is_imported_as_before(self, i: int, name: str) -> bool:
        """Whether units that name a function see the same, and no other function is called once for it."""
        old = self.last.state(i).bodies.get(name)
        new = body_rows(self.candidates, {name: self.program.definitions[name]}).get(name)
        if not self.candidates.limits.lines:
            return old is None and new is None
        if old is None or new is None:
            return False
        if (self._size(old[0], name), *old[1:4]) != (self._size(new[0], name), *new[1:4]):
            return False
        if old[0] != new[0] and self._has_second_names(i):
            return False
        before, now = Counter(decode_names(old[4])), Counter(decode_names(new[4]))
        return not any(
            self._may_move(i, other, before[other], now[other])
            for other in before.keys() | now.keys()
            if before[other] != now[other]
        )

    def _has_second_names(self, i: int) -> bool:
        """Whether a module's functions may be seen by other names than their own."""
        return any(e.kind in ("alias", "ifunc") for e in self.program.modules[i].entities.values())

    def _size(self, lines: int, name: str) -> tuple[int, bool]:
        """What is decided beyond a function, and those that name it, by its lines."""
        if name in self.shared:
            return lines, True
        return lines > self.longest, lines <= ONCE_LINES

    def _may_move(self, i: int, name: str, before: int, now: int) -> bool:
        """Whether a symbol may be compiled elsewhere if a function names it `now` times, not `before`."""
        if name in self.shared:
            return True
        found = self.program.definitions.get(name)
        if found is None or found.module != i or not self.program.entity(found).local:
            return False
        if name not in self.candidates.bodies:
            return False
        # How often functions name it that may be inlined; others may name it, too.
        bodies = self.last.state(i).bodies.values()
        count = sum(decode_names(row[4]).count(name) for row in bodies if name in row[4])
        return min(count, count - before + now) < 2


def _identities(module: Module, shape: Shape) -> set[str]:
    """The nodes that a function names and that are more than their content: none that are named by that."""
    if module.debug is not None:
        return set()
    nodes = (token for token in shape.others if token[0] == "!")
    return {token for token in nodes if not module.metadata.get(token, "!{").startswith("!{")}
