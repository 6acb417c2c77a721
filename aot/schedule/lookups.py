"""Looks objects up by key. Processor time is measured for a sample: for each it would add a tenth."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Final

from nativecache.aot.records.objects import StoredObject, read_object
from nativecache.aot.report import Clock
from nativecache.cache.lookup import EntryStore
from nativecache.linker.waiting import Waiting

#: One look-up in so many is measured in processor time: to ask for that takes a tenth of a look-up.
_MEASURED: Final = 16


class Lookups:
    """Finds units' objects in a store. `output` is what they are: `object`, `assembly` or `bitcode`."""

    def __init__(self, store: EntryStore, output: str, clock: Clock) -> None:
        self._store, self._output, self._clock = store, output, clock
        self._wall: dict[str, float] = defaultdict(float)  # by the phase around them
        self._count, self._measured, self._measured_cpu = 0, 0.0, 0.0

    def find(self, key: str) -> StoredObject | None:
        """The object of a key; None where the store has none, or a damaged one."""
        measured = self._count % _MEASURED == 0
        cpu = time.process_time() if measured else 0.0
        start = time.perf_counter()
        with Waiting("the cache folder"):
            found = self._store.read(key, lambda entry: read_object(entry, self._output))
        taken = time.perf_counter() - start
        self._count += 1
        self._wall[self._clock.current] += taken
        if measured:
            self._measured += taken
            self._measured_cpu += time.process_time() - cpu
        return found

    def charge(self) -> None:
        """Books what look-ups took for the phase `look-up` in place of the phases around them."""
        share = min(1.0, self._measured_cpu / self._measured) if self._measured else 0.0
        for phase, wall in self._wall.items():
            self._clock.move("look-up", phase, wall, wall * share)
