"""Looking entries up in a store, and counting how that went."""

from collections import Counter
from pathlib import Path

from nativecache.cache.entry import BadEntry, Entry, Reason, pack, unpack
from nativecache.cache.store import FileStore, Store


class EntryStore:
    """Entries in a store of bytes. A damaged entry is a miss, and the next `save` replaces it.

    hits and misses add up to the number of loads; corrupt counts those misses that found a damaged
    entry, by reason. The counts are of this object and not locked: use it in one thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hits = 0
        self.misses = 0
        self.corrupt: Counter[Reason] = Counter()

    @property
    def root(self) -> Path | None:
        """The folder the entries are kept in, if it is a folder; for messages."""
        return self._store.root if isinstance(self._store, FileStore) else None

    def load(self, key: str) -> Entry | None:
        """The entry of `key`, checked in full, or None."""
        data = self._store.get(key)
        if data is not None:
            try:
                entry = unpack(key, data)
            except BadEntry as bad:
                self.corrupt[bad.reason] += 1
            else:
                self.hits += 1
                return entry
        self.misses += 1
        return None

    def save(self, entry: Entry) -> None:
        """Keep `entry`, in place of what was there, if the store can. Raises what `pack` raises."""
        self._store.put(entry.key, pack(entry))
