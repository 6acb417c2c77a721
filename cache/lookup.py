"""Looking entries up in a store, and counting how that went."""

from _thread import RLock  # threading's own, whose import takes longer
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

from nativecache.cache.entry import FIRST, CorruptEntry, Entry, Reason, decode_entry, encode_entry
from nativecache.cache.evicted import read_evicted, short_key
from nativecache.cache.format import glance
from nativecache.cache.shape import Malformed
from nativecache.cache.store import BuildStore, Store

T = TypeVar("T")


class Missed(StrEnum):
    """Why an entry was missed, as far as a store can tell."""

    ABSENT = "absent"
    CORRUPT = "corrupt"
    PRUNED = "pruned"


class Miss(NamedTuple):
    """An entry was missed, for a reason. `damage`: what was wrong with one that was there."""

    key: str
    reason: Missed
    damage: Reason | None = None


class EntryStore:
    """Entries in a store of bytes. A damaged entry is a miss, and the next `save` replaces it.

    What the store does not have is looked for in the `fallbacks`, in their order, and copied from there.
    hits and misses add up to the number of look-ups; fallback_hits are those hits that a fallback had;
    corrupt counts damaged entries by reason, each once. `used` names every key that was found or saved,
    `made` those saved whose entries say what they took to make: nothing else is ever kept under such a key.
    Threads take turns in it.
    """

    def __init__(self, store: BuildStore, fallbacks: Sequence[Store] = ()) -> None:
        self._store = store
        self._fallbacks = fallbacks
        self._turn = RLock()
        self._ahead: dict[str, tuple[int, Entry]] = {}
        self._damaged: dict[str, Reason] = {}
        self._evicted: set[int] | None = None
        self.hits = 0
        self.misses = 0
        self.fallback_hits = 0
        self.corrupt: Counter[Reason] = Counter()
        self.bytes_read = 0
        self.bytes_written = 0
        self.used: dict[str, None] = {}
        self.made: dict[str, None] = {}

    @property
    def root(self) -> Path | None:
        """The folder that entries are kept in, None if they are in none; for messages."""
        return self._store.root

    @property
    def keeps(self) -> bool:
        """Whether entries are kept in a folder that may be written to."""
        return self._store.keeps

    @property
    def opened_by_tools(self) -> bool:
        """Whether entries are files of their own when they are saved."""
        return self._store.opened_by_tools

    def load(self, key: str) -> Entry | None:
        """The entry of `key`, checked in full, or None."""
        return self.read(key, _as_it_is)

    def read(self, key: str, reader: Callable[[Entry], T]) -> T | None:
        """What `reader` makes of the entry of `key`, or None; for who does not ask why there is none.

        `reader` raises Malformed for an entry that is not of its form: that is damage like any other.
        """
        found = self._look_up(key, reader)
        return None if found is None else found[1]

    def peek(self, key: str) -> bytes:
        """The payload of an entry, unchecked, b"" where there is none: for who knows what it has to be.

        It counts as used, not as looked up.
        """
        with self._turn:
            self.used[key] = None
            for store in (self._store, *self._fallbacks):
                if data := store.get(key):
                    return glance(data)
            return b""

    def look_ahead(self, key: str) -> None:
        """Reads an entry that is soon asked for, so that it is at hand then. A damaged one is read again."""
        with self._turn:
            data = self._store.get(key)
            if data is not None:
                with suppress(CorruptEntry):
                    self._ahead[key] = len(data), decode_entry(key, data)

    def find(self, key: str, reader: Callable[[Entry], T]) -> T | Miss:
        """What `reader` makes of the entry of `key`, as `read` does, or why there is none."""
        found = self._look_up(key, reader)
        return self.why_missed(key) if found is None else found[1]

    def _look_up(self, key: str, reader: Callable[[Entry], T]) -> tuple[Entry, T] | None:
        with self._turn:
            found = self._read(self._store, key, reader) or self._fall_back(key, reader)
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
                self.used[key] = None
            return found

    def _read(self, store: Store, key: str, reader: Callable[[Entry], T]) -> tuple[Entry, T] | None:
        ahead = self._ahead.pop(key, None) if store is self._store else None
        data = store.get(key) if ahead is None else None
        if data is None and ahead is None:
            return None
        try:
            size, entry = ahead or (len(data or b""), decode_entry(key, data or b""))
            read = reader(entry)
        except CorruptEntry as bad:
            self._note_damage(key, bad.reason)
            return None
        except Malformed:
            self._note_damage(key, Reason.FORM)
            return None
        self.bytes_read += size
        return entry, read

    def _note_damage(self, key: str, reason: Reason) -> None:
        if key not in self._damaged:
            self._damaged[key] = reason
            self.corrupt[reason] += 1

    def _fall_back(self, key: str, reader: Callable[[Entry], T]) -> tuple[Entry, T] | None:
        for store in self._fallbacks:
            found = self._read(store, key, reader)
            if found is not None:
                self.fallback_hits += 1
                self._put(found[0])
                return found
        return None

    def save(self, entry: Entry) -> None:
        """Keeps `entry`, in place of what was there, if the store can. Raises what `encode_entry` raises."""
        with self._turn:
            self.used[entry.key] = None
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        if entry.level is None and not self._store.opened_by_tools:
            entry = entry._replace(level=FIRST)  # objects: nothing takes their place
        data = encode_entry(entry)
        if self.keeps:
            self.bytes_written += len(data)
        self._ahead.pop(entry.key, None)
        if "milliseconds" in entry.meta:
            self.made[entry.key] = None
        self._store.put(entry.key, data)

    def note_used(self, key: str) -> None:
        """Notes a key that someone else loads or saves on behalf of whoever uses this object."""
        self.used[key] = None

    def set_aside(self, name: str, data: bytes) -> str:
        """Keeps bytes in the cache folder's quarantine; returns the file, or "" where that cannot be done."""
        if not self.keeps or self.root is None:
            return ""
        try:
            from nativecache.cache.quarantine import set_aside

            return set_aside(self.root, name, data)
        except OSError:
            return ""

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        """Has the store's first failure told to `warn`: in a forked process, which is to pass it on."""
        self._store.pass_failures(warn)

    def warn_once(self, failure: str) -> None:
        """Says what a forked process passed on, unless a failure was said before."""
        self._store.warn_once(failure)

    def why_missed(self, key: str) -> Miss:
        """Why the last look-up of `key` found nothing."""
        if damage := self._damaged.get(key):
            return Miss(key, Missed.CORRUPT, damage)
        if self._evicted is None:
            self._evicted = read_evicted(self.root) if self.root else set()
        return Miss(key, Missed.PRUNED if short_key(key) in self._evicted else Missed.ABSENT)


def _as_it_is(entry: Entry) -> Entry:
    return entry
