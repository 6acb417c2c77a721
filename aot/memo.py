"""Remembers, by meaning, what units of an input became, so that unchanged ones cost neither text nor LLVM.

One file per input and set of options. It holds three tables, all by digests of `meaning.py`:
skeletons of definitions by their text; the outcome of clean-ups; keys of units. A unit's record
names the bodies that were imported, and is right only while all of those mean what they did.
The bitcode key stays the authority: a record says no more than which key these meanings led to. A
lost, old or damaged file costs time only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from nativecache.aot.extract import UnitText
from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.meaning import Skeleton
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore


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
    bindings: Mapping[str, str]
    mentions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class KeyedUnit:
    """A unit's key, and all of its text that the rest of the build needs."""

    key: str
    text: UnitText  # without the text itself
    #: Digest over the imported bodies' meanings.
    imported: bytes


class Memo:
    """The records of one input. Those that a build does not use are kept for a while."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        name = PurePath(label).name.encode("utf-8", "surrogateescape")
        self._store = store
        self._key = compute_key(compiler, options, b"memo %s\0%s" % (own_code().encode(), name))
        entry = store.load(self._key)
        tables = json.loads(entry.payload) if entry else ({}, {}, {})
        self._skeletons, self._clean_ups, self._units = map(_Table, tables)

    def skeleton(self, name: bytes) -> Skeleton | None:
        """The skeleton of a definition, by the digest of its text."""
        record = self._skeletons.use(name)
        if record is None:
            return None
        shape, symbols, others, repeated = record
        return Skeleton(bytes.fromhex(shape), _words(symbols), _words(others), _words(repeated))

    def add_skeleton(self, name: bytes, made: Skeleton) -> None:
        words = map("\n".join, (made.symbols, made.others, made.repeated))
        self._skeletons.add(name, [made.shape.hex(), *words])

    def clean_up(self, meaning: bytes) -> CleanUp | None:
        """What became of a function, by its meaning without imports."""
        record = self._clean_ups.use(meaning)
        return CleanUp(bytes.fromhex(record[0]), *record[1:]) if record else None

    def add_clean_up(self, meaning: bytes, made: CleanUp) -> None:
        self._clean_ups.add(meaning, [made.text.hex(), made.lines, dict(made.bindings), dict(made.mentions)])

    def unit(self, meaning: bytes) -> KeyedUnit | None:
        """What a unit led to, by its meaning."""
        record = self._units.use(meaning)
        if record is None:
            return None
        key, own, bindings, imported, meanings = record
        return KeyedUnit(key, UnitText("", bindings, tuple(imported), own), bytes.fromhex(meanings))

    def add_unit(self, meaning: bytes, made: KeyedUnit) -> None:
        text = made.text
        record = [made.key, text.own, dict(text.bindings), list(text.imported), made.imported.hex()]
        self._units.add(meaning, record)

    def save(self) -> None:
        """Keeps what is new, if anything is."""
        tables = (self._skeletons, self._clean_ups, self._units)
        if any(table.changed for table in tables):
            payload = json.dumps([table.kept() for table in tables], separators=(",", ":")).encode()
            self._store.save(Entry(self._key, payload, {}))


class _Table:
    """Records by digest, those of this build told apart from older ones."""

    def __init__(self, old: dict[str, list[Any]]) -> None:
        self._old = old
        self._used: dict[str, list[Any]] = {}
        self.changed = False

    def use(self, name: bytes) -> list[Any] | None:
        word = name.hex()
        record = self._old.get(word)
        if record is not None:
            self._used[word] = record
        return record

    def add(self, name: bytes, record: list[Any]) -> None:
        self._used[name.hex()] = record
        self.changed = True

    def kept(self) -> dict[str, list[Any]]:
        """This build's records, then older ones, up to as many: a build of another branch may want them."""
        rest = islice((name for name in self._old if name not in self._used), len(self._used))
        return {**self._used, **{name: self._old[name] for name in rest}}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
