"""Remembers what each unit's own code was in the last build of an output, to say why a unit was compiled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore


class BuildRecord:
    """Digests of the units' own code by unit name. Losing it costs an explanation, nothing else."""

    def __init__(self, store: EntryStore, compiler: Compiler, options: Options, output: Path) -> None:
        self._store = store
        name = str(output.absolute()).encode("utf-8", "surrogateescape")
        self._key = compute_key(compiler, options, b"record\0" + name)
        entry = store.load(self._key)
        self._last: dict[str, str] = json.loads(entry.payload) if entry else {}

    def unchanged(self, name: str, digest: str) -> bool:
        """Whether this unit's own code is what it was, so that only something it inlines can differ."""
        return self._last.get(name) == digest

    def save(self, digests: Mapping[str, str]) -> None:
        if digests != self._last:
            payload = json.dumps(digests, sort_keys=True, separators=(",", ":")).encode()
            self._store.save(Entry(self._key, payload, {}))
