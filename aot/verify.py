"""Compiles a sample of the hits again and compares, so that a cache can be trusted for a reason.

The sample is a share of all keys that moves on with each build of an output: with N percent, every hit has
had its turn after 100 / N builds. Compared are the object's bytes and what the entry says of its symbols and
lines; and, where a record of fingerprints had led to the key, that key with the one that extraction finds.

What differs is set aside, both objects and the bitcode, and the image is built from the new object.
"""

from __future__ import annotations

from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A unit whose cached object was not what it compiles to; `files` are those that were set aside."""

    name: str
    reason: str
    files: tuple[str, ...]


class Verifier:
    """Chooses hits, holds them while they are compiled again, and keeps what came of it."""

    def __init__(self, store: EntryStore, percent: float, turn: int) -> None:
        self._store = store
        self._percent, self._first = percent, turn * percent
        self._held: dict[str, tuple[Entry, bytes]] = {}  # and their bitcode, by key
        self._expected: dict[int, str] = {}  # keys by unit
        self.checked = 0
        self.mismatches: list[Mismatch] = []

    def samples(self, key: str) -> bool:
        """Whether a hit's key is in the share that this build compiles again."""
        return bool(self._percent) and (int(key[:8], 16) * 100 / 2**32 - self._first) % 100 < self._percent

    def expect(self, index: int, key: str) -> None:
        """Notes which key a record gives for a unit, by index, for `is_recorded_wrong` to compare."""
        self._expected[index] = key

    def is_recorded_wrong(self, index: int, name: str, key: str) -> bool:
        """Whether another key was expected for a unit than was found."""
        if self._expected.pop(index, key) == key:
            return False
        self.mismatches.append(Mismatch(name, "has another key than was recorded", ()))
        return True

    def hold(self, entry: Entry, bitcode: bytes) -> None:
        """Keeps a hit and its unit's bitcode until `compare` is given what that compiles to."""
        self._held[entry.key] = entry, bitcode

    def compare(self, name: str, made: Entry) -> Entry | None:
        """The entry to use, if a unit was compiled again to be compared; else None."""
        if made.key not in self._held:
            return None
        cached, bitcode = self._held.pop(made.key)
        self.checked += 1
        if cached.payload == made.payload and _symbols(cached) == _symbols(made):
            return cached
        parts = (".cached.o", cached.payload), (".compiled.o", made.payload), (".bc", bitcode)
        files = [self._store.set_aside(made.key + end, data) for end, data in parts]
        reason = "the cached object is not what it compiles to"
        self.mismatches.append(Mismatch(name, reason, tuple(filter(None, files))))
        self._store.save(made)
        return made


def _symbols(entry: Entry) -> tuple[object, ...]:
    return tuple(entry.meta.get(name) for name in ("defined", "undefined", "sites"))
