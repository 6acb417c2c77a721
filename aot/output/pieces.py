"""Modules' objects as they are linked: archives of them, under their real names, kept for the next link.

Problem: to rename, archive and write the objects of a whole program takes longer than to compile the one
function that was edited. Method: what one module puts into the image is a piece, known by all that it is made
from. Pieces of neighbours are one archive, for a thousand files take longer to read and to write than what is
in them; one that an earlier link had, of this output or another, is taken as it is. In one with an edited
module the other modules' pieces are those of the last link. An archive is kept as it differs from the objects
(differences.py): where one of these is gone, so is the archive.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from nativecache.aot.errors import PlanLost, temporary_files
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.aot.output.differences import LONGEST, Difference, Loaded, difference
from nativecache.aot.units.lines import held_from, real_lines
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.linker.archive import read_archive, write_archive
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """What a piece is made from of one unit: its object, by key, and the real names in it.

    `imported`: final names of what it imports; `line_map`: what its encoded lines stand for, packed, None
    where nothing is put into its object.
    """

    unit: Unit
    key: str
    bindings: str
    imported: Iterable[str]
    line_map: str | None


def piece_key(program: Program, module: int, members: Sequence[Member]) -> str:
    """The key of a module's piece: all that it is made from, lines, checksums and folder included."""
    made = ((member.unit.name, member.key, member.bindings) for member in members)
    return Recipe(
        *own_record("piece"),
        ("file", repr(program.source_file(module))),
        *(("unit", repr(one)) for one in made),
        *(("placed", repr(one)) for one in _what_is_placed(program, module, members)),
    ).key()


def _what_is_placed(program: Program, module: int, members: Iterable[Member]) -> Iterator[object]:
    """All that is written into those of the objects that have debug information."""
    labels = set[str]()
    for member in members:
        if member.line_map is not None:
            line_map = LineMap.decode(member.line_map)
            labels |= held_from(program, module, line_map, member.imported)
            bases, lines, named = real_lines(program, member.unit, line_map)
            yield bases, tuple(lines), tuple(named)
    if labels:
        yield program.output.directory
    for label in sorted(labels):
        if label in program.debug:
            yield label, sorted(program.debug[label].checksums.items())


#: Units in a group of pieces, and modules: what an edit of one of them has written again. In a program of
#: 1,000 modules with two units each an edit took 1.22 s with a file for each module, and 0.91 s with these.
_UNITS: Final = 128
_MODULES: Final = 64


def group_modules(runs: Iterable[Sequence[int]], sizes: Mapping[int, int], count: int) -> list[int]:
    """The number of each module's group, of `count` modules; modules of one group follow each other.

    `runs`: modules that are linked one after the other. `sizes`: how many units modules put into the image.
    """
    groups = [0] * count
    number = 0
    for run in runs:
        units, modules = _UNITS + 1, 0  # a run begins with a group of its own
        for module in run:
            size = sizes.get(module, 0)
            if units + size > _UNITS or modules == _MODULES:
                number += 1
                units, modules = 0, 0
            units, modules = units + size, modules + 1
            groups[module] = number
    return groups


def group_key(pieces: Iterable[str]) -> str:
    """The key of the archive of some pieces, given by theirs."""
    return Recipe(*own_record("pieces"), *(("piece", key) for key in pieces)).key()


@dataclass(frozen=True, slots=True)
class Linked:
    """The modules of a link: the keys of their pieces ("" for none), their groups, and how many units of
    theirs were linked. `places`: which of them a program's modules were, None for one that was not there."""

    pieces: Sequence[str]
    groups: Sequence[int]
    sizes: Sequence[int]
    places: Sequence[int | None]


class LastPieces:
    """The pieces of a link, by module of a program that has the modules of that one, or most of them."""

    def __init__(self, store: EntryStore, linked: Linked) -> None:
        self._store, self._keys, self._sizes = store, linked.pieces, linked.sizes
        self._groups, self._places = linked.groups, linked.places
        #: By module of that link.
        self._members: dict[int, Sequence[tuple[str, bytes]]] = {}
        self._objects: dict[int, Sequence[str]] = {}
        self.load = Loaded(store.peek)

    def objects(self, module: int) -> Sequence[str]:
        """The keys of the objects that `members` were made from; none where these cannot be had."""
        place = self._places[module]
        return self._objects.get(place, ()) if self.members(module) and place is not None else ()

    def members(self, module: int) -> Sequence[tuple[str, bytes]]:
        """Names and objects of a module's units as they were linked; none where they cannot be had."""
        place = self._places[module]
        if place is None:
            return ()
        if place not in self._members:
            self._read(self._groups[place])
        return self._members[place]

    def _read(self, number: int) -> None:
        modules = [i for i, other in enumerate(self._groups) if other == number and self._keys[i]]
        self._members.update((i, ()) for i, other in enumerate(self._groups) if other == number)
        kept = self._store.read(group_key(self._keys[i] for i in modules), read_pieces)
        data = kept.archive(self.load) if kept else None
        found = list(read_archive(data)) if data else []
        if kept and len(found) == sum(self._sizes[i] for i in modules):
            known = len(kept.keys) == len(found)
            members, keys = iter(found), iter(kept.keys if known else [""] * len(found))
            self._members.update((i, list(islice(members, self._sizes[i]))) for i in modules)
            self._objects.update((i, list(islice(keys, self._sizes[i]))) for i in modules)


class Pieces:
    """The pieces of one link: their keys, by module, and their modules' groups.

    `objects`: the keys of the objects that those are made from that are made anew.
    Those of `standing` modules can be made by no one: they are among those of the `last` link.
    """

    def __init__(
        self,
        store: EntryStore,
        keys: Mapping[int, str],
        groups: Sequence[int],
        standing: Container[int] = (),
        last: LastPieces | None = None,
        objects: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        self._store, self._standing, self._last = store, standing, last
        self._objects = objects or {}
        self._load = last.load if last else Loaded(store.peek)
        self.keys, self.groups = dict(keys), groups

    def grouped(self, modules: Iterable[int]) -> Iterator[tuple[int, ...]]:
        """Those of some modules that have pieces, group by group."""
        kept = [i for i in modules if i in self.keys]
        return (tuple(group) for _, group in groupby(kept, self.groups.__getitem__))

    def write(
        self, group: Sequence[int], path: Path, make: Callable[[int], Iterable[tuple[str, bytes]]]
    ) -> None:
        """Puts the pieces of a group into the file `path`; `make` has a module's members made anew.

        Raises PlanLost for a standing module's that cannot be had any more.
        """
        key = group_key(self.keys[i] for i in group)
        kept = self._store.read(key, read_pieces)
        data = kept.archive(self._load) if kept else None
        if data is None:
            members = (member for i in group for member in (self._stood(i) or make(i)))
            data = write_archive(members, symbol_index=False)
            if len(data) <= LONGEST:
                keys = [key for i in group for key in self._made_from(i)]
                self._store.save(sealed("pieces", key, difference(data, keys, self._load), AGAIN))
        with temporary_files():
            path.write_bytes(data)

    def _stood(self, module: int) -> Sequence[tuple[str, bytes]]:
        """The members of a module that stands; none for one that does not."""
        if module not in self._standing:
            return ()
        found = self._last.members(module) if self._last else ()
        if not found:
            raise PlanLost("a piece is gone")
        return found

    def _made_from(self, module: int) -> Sequence[str]:
        """The keys of the objects of a module's members."""
        if self._stood(module) and self._last:
            return self._last.objects(module)
        return self._objects.get(module, ())


def read_pieces(entry: Entry) -> Difference:
    """An archive of some modules' objects, as it differs from those in the cache. Raises Malformed."""
    check_sealed(entry)
    return Difference(entry.payload)
