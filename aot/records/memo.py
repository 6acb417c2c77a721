"""Remembers, by fingerprint, what units of an input became: unchanged ones cost neither text nor LLVM.

One file per input and set of options. It holds three tables, all by digests of `units/fingerprint.py`:
shapes of definitions by their text; the outcome of clean-ups; keys of units. A unit's record
names the bodies that were imported, and is right only while all of those mean what they did.
The bitcode key stays the authority: a record says no more than which key these fingerprints led to. A
lost, old or damaged file costs time only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from sys import intern
from typing import TypeAlias, TypeVar

from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import Compiler, Options, form_of, record_recipe
from nativecache.aot.packed import decode_names, encode_names
from nativecache.aot.records.table import Table
from nativecache.aot.units.shapes import Shape
from nativecache.cache.entry import Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed

T = TypeVar("T")

_Record: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What the clean-up of a function led to: which text it gave, and how its symbols are bound and named."""

    text: bytes  # digest of the text that was cleaned up
    lines: int
    bindings: str  # packed pairs
    mentions: str  # packed names
    line_map: str = ""  # packed


@dataclass(frozen=True, slots=True)
class KeyedUnit:
    """What a unit's fingerprint led to: its key, and all of its text that the rest of the build needs."""

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
    """What is remembered of one input's units. Records that a build does not use are kept for a while."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        self._store = store
        self._key = record_recipe("memo", compiler, options, PurePath(label).name).key()
        tables = store.read(self._key, read_memo) or (Table(), Table(), Table())
        self._shapes, self._clean_ups, self._units = tables

    def shape(self, name: bytes) -> Shape | None:
        """The shape of a definition, by the digest of its text."""
        return _decoded(_read_shape, self._shapes.use(name))

    def add_shape(self, name: bytes, made: Shape) -> None:
        """Keeps the shape of a definition under the digest of its text."""
        counts = (str(len(made.symbols)), str(len(made.repeated)))
        fields = (made.shape.hex(), *counts, *made.symbols, *made.others, *made.repeated)
        self._shapes.add(name, _encoded(fields))

    def clean_up(self, fingerprint: bytes) -> CleanUp | None:
        """What became of a function, by its fingerprint without imports."""
        return _decoded(_read_clean_up, self._clean_ups.use(fingerprint))

    def add_clean_up(self, fingerprint: bytes, made: CleanUp) -> None:
        """Keeps what became of a function under its fingerprint without imports."""
        bindings, mentions = decode_names(made.bindings), decode_names(made.mentions)
        line_map = decode_names(made.line_map)
        counts = (str(len(bindings)), str(len(line_map)))
        fields = (made.text.hex(), str(made.lines), *counts, *bindings, *line_map, *mentions)
        self._clean_ups.add(fingerprint, _encoded(fields))

    def unit(self, fingerprint: bytes) -> KeyedUnit | None:
        """What a unit led to, by its fingerprint."""
        return _decoded(_read_unit, self._units.use(fingerprint))

    def add_unit(self, fingerprint: bytes, made: KeyedUnit) -> None:
        """Keeps what a unit led to under its fingerprint."""
        bindings, line_map = decode_names(made.bindings), decode_names(made.line_map)
        counts = (str(int(made.relative)), str(len(bindings)), str(len(line_map)))
        fields = (made.key, made.own, made.fingerprints.hex(), *counts, *bindings, *line_map, *made.imported)
        self._units.add(fingerprint, _encoded(fields))

    def save(self) -> None:
        """Keeps this build's records, if any of them is new."""
        tables = (self._shapes, self._clean_ups, self._units)
        if any(table.changed for table in tables):
            packed = b"".join(table.packed() for table in tables)
            self._store.save(Entry(self._key, packed, form_of("memo")))


def read_memo(entry: Entry, *, closely: bool = False) -> tuple[Table, Table, Table]:
    """The three tables of a memo. Raises Malformed.

    Records are looked at when they are used; here only `closely`.
    """
    rest = memoryview(entry.payload)
    shapes, rest = Table.read(rest)
    clean_ups, rest = Table.read(rest)
    units, rest = Table.read(rest)
    if rest:
        raise Malformed("more than three tables")
    if closely:
        shapes.check(_read_shape)
        clean_ups.check(_read_clean_up)
        units.check(_read_unit)
    return shapes, clean_ups, units


def _decoded(reader: Callable[[_Record], T], record: _Record | None) -> T | None:
    """What a record says; None where there is none, or where it is none of ours."""
    if record is not None:
        with suppress(ValueError):
            return reader(record)
    return None


def _encoded(fields: Iterable[str]) -> bytes:
    """A record: UTF-8, with NULs between its fields."""
    return "\0".join(fields).encode("utf-8", "surrogateescape")


def _fields(record: _Record) -> list[str]:
    return str(record, "utf-8", "surrogateescape").split("\0")


def _read_shape(record: _Record) -> Shape:
    shape, count, repeated, *tokens = _fields(record)
    n, m = _cuts(tokens, count, repeated)
    # Most symbols are named by several functions.
    symbols, end = tuple(map(intern, tokens[:n])), len(tokens) - m
    return Shape(bytes.fromhex(shape), symbols, tuple(tokens[n:end]), tuple(tokens[end:]))


def _read_clean_up(record: _Record) -> CleanUp:
    text, lines, bound, placed, *names = _fields(record)
    n, m = _cuts(names, bound, placed)
    bindings, line_map, mentions = names[:n], names[n : n + m], names[n + m :]
    _check_bindings(bindings)
    packed = encode_names(line_map)
    LineMap.decode(packed)
    return CleanUp(bytes.fromhex(text), _count(lines), encode_names(bindings), encode_names(mentions), packed)


def _read_unit(record: _Record) -> KeyedUnit:
    key, own, fingerprints, relative, bound, placed, *names = _fields(record)
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
