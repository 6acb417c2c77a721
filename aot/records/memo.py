"""Remembers, by fingerprint, what units of an input became: unchanged ones cost neither text nor LLVM.

One file per input and set of options. It holds three tables, all by digests of `units/fingerprint.py`:
shapes of definitions by their text; the outcome of clean-ups; keys of units. A unit's record
names the bodies that were imported, and is right only while all of those mean what they did.
The bitcode key stays the authority: a record says no more than which key these fingerprints led to. A
lost, old or damaged file costs time only.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import gt
from pathlib import PurePath
from struct import Struct
from sys import intern
from typing import Final, TypeVar

from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import DIGEST, Compiler, Options, compute_key, form_of
from nativecache.aot.packed import decode_names, encode_names
from nativecache.aot.units.shapes import Shape
from nativecache.cache.entry import Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.own_code import own_code
from nativecache.cache.shape import Malformed

T = TypeVar("T")

_HEAD: Final = Struct("<QQ")


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A function after the clean-up: which text it gave, and how its symbols are bound and named."""

    text: bytes  # digest of the text that was cleaned up
    lines: int
    bindings: str  # packed pairs
    mentions: str  # packed names
    line_map: str = ""  # packed


@dataclass(frozen=True, slots=True)
class KeyedUnit:
    """A unit's key, and all of its text that the rest of the build needs."""

    key: str
    #: As in UnitText.
    own: str
    bindings: str  # packed pairs
    imported: tuple[str, ...]
    #: Digest over the imported bodies' fingerprints.
    fingerprints: bytes = b""
    line_map: str = ""  # packed
    #: As in UnitText.
    relative: bool = False


class UnitMemo:
    """The records of one input. Those that a build does not use are kept for a while."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        name = PurePath(label).name.encode("utf-8", "surrogateescape")
        self._store = store
        self._key = compute_key(compiler, options, b"memo %s\0%s" % (own_code().encode(), name))
        tables = store.read(self._key, read_memo) or (_Table(), _Table(), _Table())
        self._shapes, self._clean_ups, self._units = tables

    def shape(self, name: bytes) -> Shape | None:
        """The shape of a definition, by the digest of its text."""
        return _decoded(_read_shape, self._shapes.use(name))

    def add_shape(self, name: bytes, made: Shape) -> None:
        counts = (str(len(made.symbols)), str(len(made.repeated)))
        self._shapes.add(name, (made.shape.hex(), *counts, *made.symbols, *made.others, *made.repeated))

    def clean_up(self, fingerprint: bytes) -> CleanUp | None:
        """What became of a function, by its fingerprint without imports."""
        return _decoded(_read_clean_up, self._clean_ups.use(fingerprint))

    def add_clean_up(self, fingerprint: bytes, made: CleanUp) -> None:
        bindings, mentions = decode_names(made.bindings), decode_names(made.mentions)
        line_map = decode_names(made.line_map)
        counts = (str(len(bindings)), str(len(line_map)))
        fields = (made.text.hex(), str(made.lines), *counts, *bindings, *line_map, *mentions)
        self._clean_ups.add(fingerprint, fields)

    def unit(self, fingerprint: bytes) -> KeyedUnit | None:
        """What a unit led to, by its fingerprint."""
        return _decoded(_read_unit, self._units.use(fingerprint))

    def add_unit(self, fingerprint: bytes, made: KeyedUnit) -> None:
        bindings, line_map = decode_names(made.bindings), decode_names(made.line_map)
        counts = (str(int(made.relative)), str(len(bindings)), str(len(line_map)))
        fields = (made.key, made.own, made.fingerprints.hex(), *counts, *bindings, *line_map, *made.imported)
        self._units.add(fingerprint, fields)

    def save(self) -> None:
        """Keeps what is new, if anything is."""
        tables = (self._shapes, self._clean_ups, self._units)
        if any(table.changed for table in tables):
            packed = b"".join(table.packed() for table in tables)
            self._store.save(Entry(self._key, packed, form_of("memo")))


def read_memo(entry: Entry, *, closely: bool = False) -> tuple[_Table, _Table, _Table]:
    """The three tables of a memo. Raises Malformed.

    Records are looked at when they are used; here only `closely`.
    """
    rest = memoryview(entry.payload)
    shapes, rest = _Table.read(rest)
    clean_ups, rest = _Table.read(rest)
    units, rest = _Table.read(rest)
    if rest:
        raise Malformed("more than three tables")
    if closely:
        _check_records(shapes, _read_shape)
        _check_records(clean_ups, _read_clean_up)
        _check_records(units, _read_unit)
    return shapes, clean_ups, units


def _check_records(table: _Table, reader: Callable[[list[str]], object]) -> None:
    for fields in table.all():
        try:
            reader(fields)
        except ValueError as error:
            raise Malformed(str(error)) from None


def _decoded(reader: Callable[[list[str]], T], fields: list[str] | None) -> T | None:
    """What a record says; None where there is none, or where it is none of ours."""
    if fields is not None:
        with suppress(ValueError):
            return reader(fields)
    return None


def _read_shape(record: list[str]) -> Shape:
    shape, count, repeated, *tokens = record
    n, m = _cuts(tokens, count, repeated)
    # Most symbols are named by several functions.
    symbols, end = tuple(map(intern, tokens[:n])), len(tokens) - m
    return Shape(bytes.fromhex(shape), symbols, tuple(tokens[n:end]), tuple(tokens[end:]))


def _read_clean_up(record: list[str]) -> CleanUp:
    text, lines, bound, placed, *names = record
    n, m = _cuts(names, bound, placed)
    bindings, line_map, mentions = names[:n], names[n : n + m], names[n + m :]
    _check_bindings(bindings)
    packed = encode_names(line_map)
    LineMap.decode(packed)
    return CleanUp(bytes.fromhex(text), _count(lines), encode_names(bindings), encode_names(mentions), packed)


def _read_unit(record: list[str]) -> KeyedUnit:
    key, own, fingerprints, relative, bound, placed, *names = record
    n, m = _cuts(names, bound, placed)
    bindings, line_map = names[:n], encode_names(names[n : n + m])
    check_key(key)
    _check_bindings(bindings)
    LineMap.decode(line_map)
    imported = tuple(map(intern, names[n + m :]))
    digest, is_relative = bytes.fromhex(fingerprints), _count(relative, 1) == 1
    return KeyedUnit(key, own, encode_names(bindings), imported, digest, line_map, is_relative)


def _count(digits: str, most: int = 2**31) -> int:
    """A number as we write it. Raises ValueError for any other text."""
    if not (digits.isascii() and digits.isdigit() and len(digits) < 11 and int(digits) <= most):
        raise ValueError("no count")
    return int(digits)


def _cuts(fields: list[str], first: str, second: str) -> tuple[int, int]:
    """How many fields are of each of two kinds. Raises ValueError where there are not so many."""
    n, m = _count(first), _count(second)
    if n + m > len(fields):
        raise ValueError("fewer fields than are counted")
    return n, m


def _check_bindings(names: list[str]) -> None:
    if len(names) % 2:
        raise ValueError("a name that stands for nothing")


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
        """The table that some bytes begin with, and what follows it. Raises Malformed."""
        if len(data) < _HEAD.size:
            raise Malformed("a table without its head")
        count, size = _HEAD.unpack_from(data)
        ends = _HEAD.size + count * DIGEST
        records = ends + count * 8
        if records + size > len(data):
            raise Malformed("a table that ends early")
        table = cls(bytes(data[_HEAD.size : ends]), bytes(data[ends:records]), data[records : records + size])
        numbers = table._ends
        if any(map(gt, numbers, numbers[1:])) or (numbers[-1] if count else 0) != size:
            raise Malformed("records that are not one after the other")
        return table, data[records + size :]

    def use(self, name: bytes) -> list[str] | None:
        """The fields of a record."""
        known = self._used.get(name)
        if known is None:
            known = self._old.get(name)
            if known is None:
                return None
            self._used[name] = known
        return self._fields(known)

    def all(self) -> Iterator[list[str]]:
        """The fields of every record that was read."""
        return map(self._fields, self._old.values())

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

    def _fields(self, known: int | bytes) -> list[str]:
        return str(self._record(known), "utf-8", "surrogateescape").split("\0")

    def _record(self, known: int | bytes) -> bytes | memoryview:
        if isinstance(known, bytes):
            return known
        return self._records[self._ends[known - 1] if known else 0 : self._ends[known]]


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
