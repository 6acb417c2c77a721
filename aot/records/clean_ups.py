"""Keeps the cleaned-up functions of one input in one file of the cache, by the digest of what each was.

A file per function costs more than reading all of them together (sqlite's 1,906: 38 ms instead of 11 to read,
9.9 MB instead of 5.9, and workers would use the store). A lost, old or damaged file costs time only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from nativecache.aot.key import Compiler, Options, form_of, record_recipe
from nativecache.aot.records.table import Table
from nativecache.cache.entry import AGAIN, FIRST, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed


def bodies_key(label: str, compiler: Compiler, options: Options) -> str:
    """What the cleaned-up functions of an input are kept under."""
    return record_recipe("bodies", compiler, options, PurePath(label).name).key()


class CleanUpPack:
    """The cleaned-up functions of one input, by digest of what they were, as the last builds left them.

    `before`: the label that the input had, if that was another one: they are found there, if nowhere else.
    """

    def __init__(
        self, label: str, compiler: Compiler, options: Options, store: EntryStore, before: str = ""
    ) -> None:
        self._store = store
        self._key = bodies_key(label, compiler, options)
        table = store.read(self._key, read_bodies)
        self._level = AGAIN if table else FIRST
        moved = None
        if before and not table:
            moved = store.read(bodies_key(before, compiler, options), read_bodies)
        self._is_new_here, self._table = moved is not None, table or moved or Table()

    def stored(self) -> Iterable[tuple[bytes, memoryview]]:
        """Digest of what it was and text of every function that earlier builds left."""
        return self._table.records()

    def use(self, digest: bytes, text: memoryview | bytes) -> None:
        """Notes that this build uses a cleaned-up function, a new one or one that was stored somewhere."""
        if self._table.use(digest) is None:
            self._table.add(digest, text)

    def save(self, *, all_old: bool = False) -> None:
        """Keeps what the build used, and as much of the rest, if anything is new.

        `all_old` as in Table.packed.
        """
        if self._is_new_here or self._table.changed:
            packed = self._table.packed(all_old=all_old)
            self._store.save(Entry(self._key, packed, form_of("bodies"), self._level))


def read_bodies(entry: Entry) -> Table:
    """Texts of cleaned-up functions by digest of what each was made from. Raises Malformed."""
    table, rest = Table.read(memoryview(entry.payload))
    if rest:
        raise Malformed("more than a table")
    table.check(_check_function)
    return table


def _check_function(text: memoryview | bytes) -> None:
    """Raises ValueError for what is not a module with one definition as LLVM prints it."""
    data = bytes(text)
    if data.find(b"\n}\n", data.find(b"\ndefine ") + 1 or len(data)) < 0:
        raise ValueError("no function as LLVM prints it")
