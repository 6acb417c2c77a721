"""Modules' objects as they are linked: archives of them, under their real names, kept for the next link.

Problem: to rename, archive and write the objects of a whole program takes longer than to compile the one
function that was edited. Method: what one module puts into the image is a piece, known by all that it is made
from. Pieces of neighbours are one archive, for a thousand files take longer to read and to write than what is
in them; one that an earlier link had, of this output or another, is taken as it is. In one with an edited
module the other modules' pieces are those of the last link. After a first build an archive is kept as it
differs from the objects (differences.py): where one of these is gone, so is the archive. To read all objects
for each edit takes longer than the rest of it where there are thousands with debug information (0.6 s for
redis's 50 MB), so archives of an output that is edited are kept as they are, each in place of the last one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice, pairwise
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import Final, NamedTuple

from nativecache.aot.errors import PlanLost, temporary_files
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.aot.output.differences import (
    LONGEST,
    Difference,
    Loaded,
    Part,
    difference,
    little_endian,
    part,
)
from nativecache.aot.units.lines import real_lines
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed
from nativecache.linker.archive import find_members, write_archive
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """What a piece is made from of one unit: its object, by key, and the real names in it.

    `line_map`: what its encoded lines stand for, packed, None where nothing is put into its object.
    """

    unit: Unit
    key: str
    bindings: str
    line_map: str | None


class LinkedObject(NamedTuple):
    """A unit's object as it is linked, but for checksums of sources.

    The name of its member in an archive, what it holds, and where in that the placeholders of checksums are,
    in order. `part`: how it differs from an object in the cache, if that is known.
    """

    name: str
    content: bytes
    checksums: Sequence[int] = ()
    part: Part | None = None


def piece_key(program: Program, module: int, members: Sequence[Member]) -> str:
    """The key of a module's piece: all that it is made from, lines and folder included."""
    made = ((member.unit.name, member.key, member.bindings) for member in members)
    return Recipe(
        *own_record("piece"),
        ("file", repr(program.source_file(module))),
        *(("unit", repr(one)) for one in made),
        *(("placed", repr(one)) for one in _what_is_placed(program, members)),
    ).key()


def _what_is_placed(program: Program, members: Iterable[Member]) -> Iterator[object]:
    """All that is written into those of the objects that have debug information, but for checksums."""
    placed = False
    for member in members:
        if member.line_map is not None:
            placed = True
            bases, lines, named = real_lines(program, member.unit, LineMap.decode(member.line_map))
            yield bases, tuple(lines), tuple(named)
    if placed:
        yield program.output.directory


#: Units in a group of pieces, and modules: what an edit of one of them has written again. In a program of
#: 1,000 modules with two units each an edit took 1.22 s with a file for each module, and 0.91 s with these.
_UNITS: Final = 128
_MODULES: Final = 64
#: Bytes of archives that wait to be kept until the linker is at work.
_MOST_UNSAVED: Final = 64 << 20


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
    """The pieces of a link, by module of a program that has the modules of that one, or most of them.

    `output`: what was linked.
    """

    def __init__(self, store: EntryStore, linked: Linked, output: Path | None = None) -> None:
        self._store, self._keys, self._sizes = store, linked.pieces, linked.sizes
        self._output = output
        #: Archives of edited outputs that were read, by group.
        self._archives: dict[int, LinkedArchive | None] = {}
        self._groups, self._places = linked.groups, linked.places
        #: By module of that link.
        self._members: dict[int, Sequence[LinkedObject]] = {}
        self.load = Loaded(store.peek)

    def members(self, module: int) -> Sequence[LinkedObject]:
        """The objects of a module's units as they were linked; none where they cannot be had."""
        place = self._places[module]
        if place is None:
            return ()
        if place not in self._members:
            self._read(self._groups[place])
        return self._members[place]

    def _read(self, number: int) -> None:
        modules = [i for i, other in enumerate(self._groups) if other == number and self._keys[i]]
        self._members.update((i, ()) for i, other in enumerate(self._groups) if other == number)
        key = group_key(self._keys[i] for i in modules)
        archive = self.archive(number)
        if archive is not None and archive.group == key:
            found = _split(archive.data, archive.checksums)
        else:
            kept = self._store.read(key, read_pieces)
            data = kept.difference.archive(self.load) if kept else None
            found = _split(data, kept.checksums, kept.difference) if kept and data else []
        if len(found) == sum(self._sizes[i] for i in modules):
            members = iter(found)
            self._members.update((i, list(islice(members, self._sizes[i]))) for i in modules)

    def archive(self, number: int) -> LinkedArchive | None:
        """The archive of a group of the output as it is kept for edits."""
        if number not in self._archives and self._output is not None:
            key = linked_recipe(self._output, number).key()
            self._archives[number] = self._store.read(key, read_linked)
        return self._archives.get(number)

    def forget(self, number: int) -> None:
        """Drops the archive of a group, which holds much memory."""
        self._archives.pop(number, None)


class Pieces:
    """The pieces of one link: their keys, by module, and their modules' groups.

    `checksums`: those of sources, by placeholder. `objects`: the keys of the objects that those are made from
    that are made anew. Those of `standing` modules can be made by no one: they are among those of the `last`
    link. `output`: whose archives are kept as they are from now on; `last` is of it, then, if there is one.
    """

    def __init__(
        self,
        store: EntryStore,
        keys: Mapping[int, str],
        groups: Sequence[int],
        standing: Container[int] = (),
        last: LastPieces | None = None,
        objects: Callable[[int], Sequence[str] | None] = lambda _: None,
        checksums: Mapping[bytes, bytes] = MappingProxyType({}),
        output: Path | None = None,
    ) -> None:
        self._store, self._standing, self._last = store, standing, last
        self._output = output
        self._objects = objects
        self._load = last.load if last else Loaded(store.peek)
        self.keys, self.groups, self.checksums = dict(keys), groups, checksums
        self._unsaved: list[Callable[[], None]] = []
        self._unsaved_bytes = 0

    def grouped(self, modules: Iterable[int]) -> Iterator[tuple[int, ...]]:
        """Those of some modules that have pieces, group by group."""
        kept = [i for i in modules if i in self.keys]
        return (tuple(group) for _, group in groupby(kept, self.groups.__getitem__))

    def write(self, group: Sequence[int], path: Path, make: Callable[[int], Iterable[LinkedObject]]) -> None:
        """Puts the pieces of a group into the file `path`; `make` has a module's objects made anew.

        Raises PlanLost for a standing module's that cannot be had any more.
        """
        key, number = group_key(self.keys[i] for i in group), self.groups[group[0]]
        linked = self._last.archive(number) if self._last and self._output is not None else None
        if linked is not None and linked.group == key:
            data, places = linked.data, linked.checksums
        else:
            kept = self._store.read(key, read_pieces)
            found = kept.difference.archive(self._load) if kept else None
            save: Callable[[], None] | None = None
            if kept and found is not None:
                data, places = found, kept.checksums
            else:
                made = {i: self._stood(i) or list(make(i)) for i in group}
                objects = [one for ones in made.values() for one in ones]
                data = write_archive(((one.name, one.content) for one in objects), symbol_index=False)
                places = _places(data, objects)
                save = partial(self._save, key, data, made, places)
            if self._output is not None:
                save = partial(self._save_linked, number, LinkedArchive(key, data, places))
            if save and len(data) <= LONGEST:
                self._unsaved.append(save)
                self._unsaved_bytes += len(data)
                if self._unsaved_bytes > _MOST_UNSAVED:
                    self.save()
        if self._last:
            self._last.forget(number)
        archive = bytearray(data)
        if places:
            from nativecache.linker.fixups import put_checksums

            put_checksums(archive, places, self.checksums)
        with temporary_files():
            path.write_bytes(archive)

    def save(self) -> None:
        """Keeps what was written for the next link, which takes as long as to write it: call it meanwhile."""
        while self._unsaved:
            self._unsaved.pop()()
        self._unsaved_bytes = 0

    def _save(
        self, key: str, archive: bytes, objects: Mapping[int, Sequence[LinkedObject]], places: Sequence[int]
    ) -> None:
        named = [found for i in objects for found in self._named(i, objects[i])]
        parts = [found.part or part(found.content, made_from, self._load) for made_from, found in named]
        payload = write_pieces(difference(archive, parts), places)
        self._store.save(sealed("pieces", key, payload, AGAIN))

    def _save_linked(self, number: int, archive: LinkedArchive) -> None:
        assert self._output is not None, "an output that is edited"
        key = linked_recipe(self._output, number).key()
        self._store.save(sealed("linked", key, write_linked(archive), AGAIN))

    def _named(self, module: int, objects: Sequence[LinkedObject]) -> Iterator[tuple[str, LinkedObject]]:
        """Objects of a module, each with the key of what it was made from, "" for none."""
        keys = [""] * len(objects) if all(one.part for one in objects) else self._objects(module) or ()
        return zip(keys if len(keys) == len(objects) else [""] * len(objects), objects, strict=True)

    def _stood(self, module: int) -> Sequence[LinkedObject]:
        """The objects of a module that stands; none for one that does not."""
        if module not in self._standing:
            return ()
        found = self._last.members(module) if self._last else ()
        if not found:
            raise PlanLost("a piece is gone")
        return found


def _spans(archive: bytes) -> list[tuple[str, int, int]]:
    """The members of an archive: name, and where it begins and ends."""
    found = find_members(lambda at, size: archive[at : at + size], len(archive))
    return [(name, *span) for name, span in found if span]


def _split(archive: bytes, places: Sequence[int], difference: Difference | None = None) -> list[LinkedObject]:
    """The objects of an archive that was kept, as its `difference` if that is known."""
    spans = _spans(archive)
    is_known = difference is not None and len(difference.keys) == len(spans)
    found, low = list[LinkedObject](), 0
    for n, (name, start, end) in enumerate(spans):
        high = bisect_left(places, end, low)
        own = tuple([at - start for at in places[low:high]])
        made_from = difference.part(n, end) if difference and is_known else None
        found.append(LinkedObject(name, archive[start:end], own, made_from))
        low = high
    return found


def _places(archive: bytes, objects: Sequence[LinkedObject]) -> Sequence[int]:
    """Where the placeholders of checksums are in an archive of some objects, in order."""
    spans = _spans(archive)
    return [start + at for (_, start, _), found in zip(spans, objects, strict=True) for at in found.checksums]


_COUNT: Final = Struct("<I")
#: The bytes of a group's key.
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class LinkedArchive:
    """The archive of a group as it is kept for edits of an output.

    `group`: the group's key, "" where nobody says; `checksums`: where in it their placeholders are, in order.
    """

    group: str
    data: bytes
    checksums: Sequence[int]


def linked_recipe(output: Path, number: int) -> Recipe:
    """What the archive of a group of an output's modules is kept under while the output is edited."""
    return Recipe(*own_record("linked"), ("label", str(output.absolute())), ("group", str(number)))


def write_linked(archive: LinkedArchive) -> bytes:
    """What is kept of such an archive, as `read_linked` takes it: the group's key, then as `write_pieces`."""
    return bytes.fromhex(archive.group) + write_pieces(archive.data, archive.checksums)


def read_linked(entry: Entry) -> LinkedArchive:
    """The archive that is kept in an entry. Raises Malformed."""
    check_sealed(entry)
    numbers, data = _read_places(memoryview(entry.payload)[_DIGEST:])
    _check_places(numbers, len(data))
    return LinkedArchive(entry.payload[:_DIGEST].hex(), bytes(data), numbers)


@dataclass(frozen=True, slots=True)
class KeptPieces:
    """An archive of some modules' objects, as it differs from those in the cache, and where in it the
    placeholders of checksums are, in order."""

    difference: Difference
    checksums: Sequence[int]


def write_pieces(packed: bytes, checksums: Sequence[int]) -> bytes:
    """What is kept of some pieces, as `read_pieces` takes it; `packed` is the difference."""
    numbers = little_endian(array("I", checksums))
    return b"".join((_COUNT.pack(len(numbers)), numbers.tobytes(), packed))


def read_pieces(entry: Entry) -> KeptPieces:
    """The pieces that are kept in an entry. Raises Malformed."""
    check_sealed(entry)
    numbers, data = _read_places(memoryview(entry.payload))
    difference = Difference(data)
    _check_places(numbers, difference.length)
    return KeptPieces(difference, numbers)


def _read_places(data: memoryview) -> tuple[Sequence[int], memoryview]:
    """Where checksums are, and what is behind that. Raises Malformed."""
    start = _COUNT.size + (_COUNT.unpack_from(data)[0] * _COUNT.size if len(data) >= _COUNT.size else 0)
    if len(data) < start:
        raise Malformed("pieces that end early")
    return little_endian(array("I", bytes(data[_COUNT.size : start]))), data[start:]


def _check_places(places: Sequence[int], end: int) -> None:
    """Raises Malformed where checksums cannot begin in all of these places, of a text up to `end`."""
    if not places:
        return
    from nativecache.linker.fixups import CHECKSUM

    if any(after - at < CHECKSUM for at, after in pairwise((*places, end))):
        raise Malformed("checksums that are not one after the other")
