"""A module's objects as they are linked: one archive for each, under its real names, kept for the next link.

Problem: to rename, archive and write the objects of a whole program takes longer than to compile the one
function that was edited. Method: what one module puts into the image is a piece, known by all that it is made
from; a piece that an earlier link had, of this output or another, is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path

from nativecache.aot.errors import PlanLost, temporary_files
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import check_sealed, own_record, sealed_form_of
from nativecache.aot.output.results import UnitResult
from nativecache.aot.units.lines import involved, real_lines
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed
from nativecache.linker.archive import MAGIC


def piece_recipe(
    units: Iterable[tuple[Unit, UnitResult]], source_file: str, placed: Iterable[object] = ()
) -> Recipe:
    """All that a piece is made from: its units' objects, by key, and their real names; its file's name.

    `placed`: what is put into the objects' debug information (see `what_is_placed`).
    """
    made = ((unit.name, result.key, result.bindings) for unit, result in units)
    return Recipe(
        *own_record("piece"),
        ("file", repr(source_file)),
        *(("unit", repr(one)) for one in made),
        *(("placed", repr(one)) for one in placed),
    )


def what_is_placed(
    program: Program, module: int, units: Iterable[tuple[Unit, str, Iterable[int]]]
) -> Iterator[object]:
    """The lines, checksums and folder that are written into those objects of a module that have any.

    `units`: such units, with what their encoded lines stand for and the modules that they import from.
    """
    debug, label = program.debug, program.label(module)
    labels = {label}
    for unit, packed, imported in units:
        line_map = LineMap.decode(packed)
        labels |= involved(label, line_map)
        labels.update(map(program.label, imported))
        bases, lines, named = real_lines(program, unit, line_map)
        yield bases, tuple(lines), tuple(named)
    yield program.output.directory
    for label in sorted(labels):
        if label in debug:
            yield label, sorted(debug[label].checksums.items())


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
