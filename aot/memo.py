"""Remembers, by meaning, what units of an input became, so that unchanged ones cost neither text nor LLVM.

One file per input and set of options. It holds three tables, all by digests of `meaning.py`:
skeletons of definitions by their text; the outcome of clean-ups; keys of units. A unit's record
names the bodies that were imported, and is right only while all of those mean what they did.
The bitcode key stays the authority: a record says no more than which key these meanings led to. A
lost, old or damaged file costs time only.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, islice
from pathlib import Path, PurePath
from struct import Struct
from sys import intern
from typing import Final

from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.meaning import DIGEST, Skeleton
from nativecache.aot.names import pack, unpack
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore

_HEAD: Final = Struct("<QQ")


@cache
def own_code() -> str:
    """A digest of the modules that make units of programs. What another nativecache made is not taken:
    its units may have been other ones."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(module.read_bytes() for module in modules)).hexdigest()


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A function after the clean-up: which text it gave, and how its symbols are bound and named."""

    text: bytes  # digest of the text that was cleaned up
    lines: int
    bindings: str  # packed pairs
    mentions: str  # packed names
    places: str = ""  # packed


@dataclass(frozen=True, slots=True)
class KeyedUnit:
    """A unit's key, and all of its text that the rest of the build needs."""

    key: str
    #: As in UnitText.
    own: str
    bindings: str  # packed pairs
    imported: tuple[str, ...]
    #: Digest over the imported bodies' meanings.
    meanings: bytes = b""
    places: str = ""  # packed
    #: As in UnitText.
    relative: bool = False


class Memo:
    """The records of one input. Those that a build does not use are kept for a while."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        name = PurePath(label).name.encode("utf-8", "surrogateescape")
        self._store = store
        self._key = compute_key(compiler, options, b"memo %s\0%s" % (own_code().encode(), name))
        entry = store.load(self._key)
        rest = memoryview(entry.payload if entry else _Table().packed() * 3)
        self._skeletons, rest = _Table.read(rest)
        self._clean_ups, rest = _Table.read(rest)
        self._units, rest = _Table.read(rest)

    def skeleton(self, name: bytes) -> Skeleton | None:
        """The skeleton of a definition, by the digest of its text."""
        record = self._skeletons.use(name)
        if record is None:
            return None
        shape, count, repeated, *tokens = record
        # Most symbols are named by several functions.
        symbols, n = tuple(map(intern, tokens[: int(count)])), len(tokens) - int(repeated)
        return Skeleton(bytes.fromhex(shape), symbols, tuple(tokens[int(count) : n]), tuple(tokens[n:]))

    def add_skeleton(self, name: bytes, made: Skeleton) -> None:
        counts = (str(len(made.symbols)), str(len(made.repeated)))
        self._skeletons.add(name, (made.shape.hex(), *counts, *made.symbols, *made.others, *made.repeated))

    def clean_up(self, meaning: bytes) -> CleanUp | None:
        """What became of a function, by its meaning without imports."""
        record = self._clean_ups.use(meaning)
        if record is None:
            return None
        text, lines, bound, placed, *names = record
        n, m = int(bound), int(bound) + int(placed)
        return CleanUp(bytes.fromhex(text), int(lines), pack(names[:n]), pack(names[m:]), pack(names[n:m]))

    def add_clean_up(self, meaning: bytes, made: CleanUp) -> None:
        bindings, mentions, places = unpack(made.bindings), unpack(made.mentions), unpack(made.places)
        counts = (str(len(bindings)), str(len(places)))
        fields = (made.text.hex(), str(made.lines), *counts, *bindings, *places, *mentions)
        self._clean_ups.add(meaning, fields)

    def unit(self, meaning: bytes) -> KeyedUnit | None:
        """What a unit led to, by its meaning."""
        record = self._units.use(meaning)
        if record is None:
            return None
        key, own, meanings, relative, bound, placed, *names = record
        n, m = int(bound), int(bound) + int(placed)
        imported = tuple(map(intern, names[m:]))
        places = pack(names[n:m])
        return KeyedUnit(
            key, own, pack(names[:n]), imported, bytes.fromhex(meanings), places, relative == "1"
        )

    def add_unit(self, meaning: bytes, made: KeyedUnit) -> None:
        bindings, places = unpack(made.bindings), unpack(made.places)
        counts = (str(int(made.relative)), str(len(bindings)), str(len(places)))
        fields = (made.key, made.own, made.meanings.hex(), *counts, *bindings, *places, *made.imported)
        self._units.add(meaning, fields)

    def save(self) -> None:
        """Keeps what is new, if anything is."""
        tables = (self._skeletons, self._clean_ups, self._units)
        if any(table.changed for table in tables):
            self._store.save(Entry(self._key, b"".join(table.packed() for table in tables), {}))


class _Table:
    """Records by digest, those of this build told apart from older ones. As bytes:

        table   = number of records u64, length of `records` u64, names, ends, records
        names   = a digest for each record
        ends    = where each ends in `records`, u64 each
        records = UTF-8, NULs between the fields of each

    Integers are little-endian. A record is decoded each time it is used, for most of a table rests.
    """

    def __init__(self, names: bytes = b"", ends: bytes = b"", records: memoryview | bytes = b"") -> None:
        self._records = records
        self._ends = _little_endian(array("Q", ends))
        # By digest, where a record is in `_records`, or itself if it is new.
        self._old = {names[at : at + DIGEST]: n for n, at in enumerate(range(0, len(names), DIGEST))}
        self._used: dict[bytes, int | bytes] = {}
        self.changed = False

    @classmethod
    def read(cls, data: memoryview) -> tuple[_Table, memoryview]:
        """The table that some bytes begin with, and what follows it."""
        count, size = _HEAD.unpack_from(data)
        ends = _HEAD.size + count * DIGEST
        records = ends + count * 8
        table = cls(bytes(data[_HEAD.size : ends]), bytes(data[ends:records]), data[records : records + size])
        return table, data[records + size :]

    def use(self, name: bytes) -> list[str] | None:
        """The fields of a record."""
        known = self._used.get(name)
        if known is None:
            known = self._old.get(name)
            if known is None:
                return None
            self._used[name] = known
        return str(self._record(known), "utf-8", "surrogateescape").split("\0")

    def add(self, name: bytes, fields: Iterable[str]) -> None:
        self._used[name] = "\0".join(fields).encode("utf-8", "surrogateescape")
        self.changed = True

    def packed(self) -> bytes:
        """This build's records, then older ones, up to as many: a build of another branch may want them."""
        rest = islice((name for name in self._old if name not in self._used), len(self._used))
        kept = {**self._used, **{name: self._old[name] for name in rest}}
        records = [self._record(record) for record in kept.values()]
        ends = _little_endian(array("Q", accumulate(map(len, records))))
        size = sum(map(len, records))
        return b"".join((_HEAD.pack(len(kept), size), *kept, ends.tobytes(), *records))

    def _record(self, known: int | bytes) -> bytes | memoryview:
        if isinstance(known, bytes):
            return known
        return self._records[self._ends[known - 1] if known else 0 : self._ends[known]]


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
