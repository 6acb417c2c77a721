"""Remembers, by fingerprint, what units of an input became: unchanged ones cost neither text nor LLVM.

One file per input and set of options. It holds three tables, all by digests of `units/fingerprint.py`:
shapes of definitions by their text; the outcome of clean-ups; keys of units. A unit's record
names the bodies that were imported, and is right only while all of those mean what they did.
The bitcode key stays the authority: a record says no more than which key these fingerprints led to. A
lost, old or damaged file costs time only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import PurePath
from sys import intern
from typing import TypeAlias, TypeVar

from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import Compiler, Options, form_of, record_recipe
from nativecache.aot.packed import decode_names, decode_nodes, encode_names
from nativecache.aot.records.table import Table
from nativecache.aot.units.shapes import Shape
from nativecache.cache.entry import AGAIN, FIRST, Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.linker.values import dataclass

T = TypeVar("T")

_Record: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What is noted of a function's clean-up. The text that it gave is in a CleanUpPack.

    Names are packed (packed.py).
    """

    #: The digest of the text that was cleaned up, under which the pack has what became of it.
    text: bytes
    #: Lines of the result that inlining it would add.
    lines: int
    #: Pairs: a symbol in the result, and its name in the program where that differs.
    bindings: str
    #: Final names of the symbols that the result names, as often as it does.
    mentions: str
    #: What the result's encoded lines stand for.
    line_map: str = ""
    #: The nodes of its module that the result names, packed (units/cleaned.py).
    nodes: str = ""


@dataclass(frozen=True, slots=True)
class KeyedUnit:
    """What a unit's fingerprint led to: its key, and all of its text that the rest of the build needs."""

    key: str
    #: A digest of the unit's own definitions, without what they refer to.
    own: str
    #: Pairs, packed (packed.py): a symbol in the object, and its name in the program where that differs.
    bindings: str
    #: Final names of the functions whose bodies the unit's text depends on: see UnitText.
    imported: tuple[str, ...]
    #: Digest over the imported bodies' fingerprints.
    fingerprints: bytes = b""
    #: What the object's encoded lines stand for, packed.
    line_map: str = ""
    #: Whether lines are to be put into the object: see UnitText.
    relative: bool = False


def record_names(labels: Iterable[str]) -> list[str]:
    """What each input's records are known by: its file's name, with a number where others have that, too.

    So another checkout finds them, and inputs of one build do not take each other's.
    """
    seen: Counter[str] = Counter()
    names = []
    for label in labels:
        base = PurePath(label).name
        names.append(f"{seen[base]} {base}" if seen[base] else base)
        seen[base] += 1
    return names


def memo_key(label: str, compiler: Compiler, options: Options) -> str:
    """What an input's memo is kept under."""
    return record_recipe("memo", compiler, options, PurePath(label).name).key()


class UnitMemo:
    """What is remembered of one input's units. Records that a build does not use are kept for a while.

    `before`: the label that the input had, if that was another one: records are found there, if nowhere else.
    """

    def __init__(
        self, label: str, compiler: Compiler, options: Options, store: EntryStore, before: str = ""
    ) -> None:
        self._store, self.before = store, before
        self._key = memo_key(label, compiler, options)
        tables = store.read(self._key, read_memo)
        self._level = AGAIN if tables else FIRST
        moved = None
        if before and not tables:
            moved = store.read(memo_key(before, compiler, options), read_memo)
        self._is_new_here, tables = moved is not None, tables or moved
        self._shapes, self._clean_ups, self._units = tables or (Table(), Table(), Table())

    def shape(self, name: bytes) -> Shape | None:
        """The shape of a definition, by the digest of its text; None if it is not known."""
        return _decoded(_read_shape, self._shapes.use(name))

    def add_shape(self, name: bytes, made: Shape) -> None:
        """Keeps the shape of a definition under the digest of its text."""
        counts = (str(len(made.symbols)), str(len(made.repeated)))
        fields = (made.shape.hex(), *counts, *made.symbols, *made.others, *made.repeated)
        self._shapes.add(name, _encoded(fields))

    def clean_up(self, fingerprint: bytes) -> CleanUp | None:
        """What is noted of a function's clean-up, by its fingerprint without imports; None if nothing is."""
        return _decoded(_read_clean_up, self._clean_ups.use(fingerprint))

    def add_clean_up(self, fingerprint: bytes, made: CleanUp) -> None:
        """Notes what came of a function's clean-up, under its fingerprint without imports."""
        bindings, mentions = decode_names(made.bindings), decode_names(made.mentions)
        line_map = decode_names(made.line_map)
        counts = (str(len(bindings)), str(len(line_map)))
        fields = (made.text.hex(), str(made.lines), made.nodes, *counts, *bindings, *line_map, *mentions)
        self._clean_ups.add(fingerprint, _encoded(fields))

    def unit(self, fingerprint: bytes) -> KeyedUnit | None:
        """The key of a unit, and what goes with it, by its fingerprint; None if that is not known."""
        return _decoded(_read_unit, self._units.use(fingerprint))

    def add_unit(self, fingerprint: bytes, made: KeyedUnit) -> None:
        """Notes the key of a unit, and what goes with it, under its fingerprint."""
        bindings, line_map = decode_names(made.bindings), decode_names(made.line_map)
        counts = (str(int(made.relative)), str(len(bindings)), str(len(line_map)))
        fields = (made.key, made.own, made.fingerprints.hex(), *counts, *bindings, *line_map, *made.imported)
        self._units.add(fingerprint, _encoded(fields))

    def save(self, *, all_old: bool = False) -> None:
        """Keeps this build's records, if any of them is new; `all_old` as in Table.packed."""
        tables = (self._shapes, self._clean_ups, self._units)
        if self._is_new_here or any(table.changed for table in tables):
            packed = b"".join(table.packed(all_old=all_old) for table in tables)
            self._store.save(Entry(self._key, packed, form_of("memo"), self._level))


def read_memo(entry: Entry, *, closely: bool = False) -> tuple[Table, Table, Table]:
    """The three tables of a memo. Raises Malformed.

    `closely`: reads every record in them, too; a build reads those that it uses.
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
    text, lines, nodes, bound, placed, *names = _fields(record)
    n, m = _cuts(names, bound, placed)
    bindings, line_map, mentions = names[:n], names[n : n + m], names[n + m :]
    _check_bindings(bindings)
    packed = encode_names(line_map)
    LineMap.decode(packed)
    decode_nodes(nodes)
    bound_names, mentioned = encode_names(bindings), encode_names(mentions)
    return CleanUp(bytes.fromhex(text), _count(lines), bound_names, mentioned, packed, nodes)


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
