"""Remembers what each unit's own code was in the last build of an output, to say why a unit was compiled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from nativecache.aot.key import Compiler, Options, form_of, own_record, record_recipe
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore, Missed
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import mapping, read_json, record, text, whole


class BuildRecord:
    """Digests of the units' own code in the last build of an output, per compiler and options.

    Which compiler and options there were last is kept per output. Losing any of it costs an explanation,
    nothing else.
    """

    def __init__(
        self, store: EntryStore, compiler: Compiler, options: Options, output: Path, like: Path | None = None
    ) -> None:
        """`like`: the output whose plan is taken, if that is not this one's."""
        self._store = store

        def key(path: Path) -> str:
            return record_recipe("record", compiler, options, str(path.absolute())).key()

        self._key = key(output)
        self._last = store.read(self._key, read_record) or {}
        #: What digests are taken over from, where only some units are looked at.
        self._base = (store.read(key(like), read_record) or {}) if like else self._last
        self._how_key = settings_recipe(output).key()
        self._last_how = store.read(self._how_key, read_how) or {}
        self._how = {"compiler": str(compiler), "options": str(options)}
        self._turn = int(self._last_how.get("turn", 0))

    @property
    def turn(self) -> int:
        """How many builds of this output compiled a share of their hits again, as far as is noted."""
        return self._turn

    def count_verification(self) -> None:
        """Notes that this build compiles a share of its hits again: the next one has another turn."""
        self._turn += 1

    def unchanged(self, name: str, digest: str) -> bool:
        """Whether this unit's own code is what it was, so that only something it inlines can differ."""
        return self._last.get(name) == digest

    def why_missed(self, name: str, key: str) -> str:
        """Why the object of a unit was not there: corrupt, pruned, changed, llvm, options or new.

        `llvm` and `options` if the last build of this output had others, and none had these.
        """
        missed = self._store.why_missed(key).reason
        if missed is not Missed.ABSENT:
            return missed.value
        if self._last:
            return "changed" if name in self._last else "new"
        if not self._last_how:
            return "new"
        return "options" if self._last_how["compiler"] == self._how["compiler"] else "llvm"

    def save(self, digests: Mapping[str, str]) -> None:
        """Keeps the digests of this build's units in place of the last one's, where they differ."""
        if digests != self._last:
            self._save(self._key, digests, "record")
        how = {**self._how, "turn": self._turn}
        if how != self._last_how:
            self._save(self._how_key, how, "how")

    def update(self, digests: Mapping[str, str], gone: Iterable[str]) -> None:
        """Keeps the digests of some units of this build; `gone`: names of those that the image had."""
        kept = {**self._base, **digests}
        for name in gone:
            kept.pop(name, None)
        self.save(kept)

    def _save(self, key: str, values: Mapping[str, Any], kind: str) -> None:
        payload = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
        self._store.save(Entry(key, payload, form_of(kind), AGAIN))


def settings_recipe(output: Path) -> Recipe:
    """What the compiler and options of an output's last build are kept under."""
    return Recipe(*own_record("how"), ("label", str(output.absolute())))


_RECORD: Final = mapping(text())
_HOW: Final = record({"compiler": text(), "options": text(), "turn": whole()})


def read_record(entry: Entry) -> dict[str, str]:
    """The digests in the record of an output's last build, by unit name. Raises Malformed."""
    found: dict[str, str] = read_json(entry.payload, _RECORD)
    return found


def read_how(entry: Entry) -> dict[str, Any]:
    """The compiler and options of an output's last build. Raises Malformed."""
    found: dict[str, Any] = read_json(entry.payload, _HOW)
    return found
