"""A module's objects as they are linked: one archive for each, under its real names, kept for the next link.

Problem: to rename, archive and write the objects of a whole program takes longer than to compile the one
function that was edited. Method: what one module puts into the image is a piece, known by all that it is made
from; a piece that an earlier link had, of this output or another, is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nativecache.aot.errors import PlanLost, temporary_files
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import check_sealed, own_record, sealed_form_of
from nativecache.aot.units.lines import held_from, real_lines
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed
from nativecache.linker.archive import MAGIC
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


class Pieces:
    """The pieces of one link: their keys, by module. Those of `standing` modules can be made by no one."""

    def __init__(self, store: EntryStore, keys: Mapping[int, str], standing: Container[int] = ()) -> None:
        self._store, self._standing = store, standing
        self.keys = dict(keys)

    def write(self, module: int, path: Path, make: Callable[[Path], None]) -> None:
        """Puts the piece of a module into the file `path`; `make` writes one anew there.

        Raises PlanLost for a standing one that cannot be had any more.
        """
        data = self._store.read(self.keys[module], read_piece)
        if data is None and module in self._standing:
            raise PlanLost("a piece is gone")
        if data is None:
            make(path)
            key, made = self.keys[module], path.read_bytes()
            self._store.save(Entry(key, made, sealed_form_of("piece", key, made), AGAIN))
        else:
            with temporary_files():
                path.write_bytes(data)


def read_piece(entry: Entry) -> bytes:
    """An archive of one module's objects. Raises Malformed."""
    check_sealed(entry)
    if not entry.payload.startswith(MAGIC):
        raise Malformed("no archive")
    return entry.payload
