"""What all sources of an output's last build rested on, in one file: so that one look tells which changed.

Each source has a manifest of its own (manifest.py), but to read a hundred of them, and to look for the
names of each in the folders of each, takes longer than to compile the one that was edited. Here all of them
share a table of dependencies, and what they look for, and where, is in one `found` dependency: while that
holds, it holds for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from nativecache.aot.key import form_of, own_record
from nativecache.cache.dependencies import Dependency, StatCache, check_dependency, measure, still_valid
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, list_of, mapping, read_json, record, row, text, whole
from nativecache.linker.values import dataclass

#: Kinds of dependencies that are joined into one for all sources.
_JOINED: Final = ("found", "same")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """Where clang's answer about one source is kept, what is known of it, and what it rests on."""

    result: str
    digest: str
    size: int
    messages: str
    dependencies: tuple[Dependency, ...]
    #: The key of the answer that may have the rest of it (Manifest.base).
    base: str


class FrontIndex:
    """The answers that the last build of an output rested on, by question."""

    def __init__(self, store: EntryStore, output: Path, memo: StatCache) -> None:
        self._store, self._memo = store, memo
        self.output = output.absolute()
        self._key = index_recipe(output).key()
        found = store.read(self._key, read_index) if store.root else None
        self._table: tuple[Dependency, ...] = found.table if found else ()
        self._joined: tuple[Dependency, ...] = found.joined if found else ()
        self._answers: Mapping[str, _Row] = found.answers if found else {}
        self._changed: frozenset[int] | None = None
        self._used: dict[str, KeptAnswer] = {}
        self._is_new = False
        self._is_used = False
        self._borrowed: FrontIndex | None = None

    @property
    def joined(self) -> tuple[Dependency, ...]:
        """What each answer that was found rests on besides its own dependencies."""
        own = self._joined if self._is_used else ()
        return (*own, *(self._borrowed.joined if self._borrowed else ()))

    def borrow(self, output: Path) -> None:
        """Has answers that are not known looked for among those of another output's last build, too.

        One other output is looked at: most of its sources are likely to be this one's, in another checkout or
        for another program.
        """
        if self._borrowed is None and output != self.output:
            self._borrowed = FrontIndex(self._store, output, self._memo)

    def find(self, question: str) -> KeptAnswer | None:
        """The answer to a question, if all that it rests on is as it was; None where that is not known."""
        known = self._answers.get(question)
        if known is None or not self._changes().isdisjoint(known.numbers):
            found = self._borrowed.find(question) if self._borrowed else None
            if found:
                self.note(question, found)
            return found
        dependencies = tuple(map(self._table.__getitem__, known.numbers))
        found = KeptAnswer(known.result, known.digest, known.size, known.messages, dependencies, known.base)
        self._used[question] = found
        self._is_used = True
        return found

    def _changes(self) -> frozenset[int]:
        """Numbers of the dependencies that hold no more: all, if what is looked for is found elsewhere."""
        if self._changed is None:
            if still_valid(self._joined, self._memo):
                changed = (
                    n
                    for n, (kind, value, subjects) in enumerate(self._table)
                    if measure(kind, subjects, self._memo) != value
                )
                self._changed = frozenset(changed)
            else:
                self._changed = frozenset(range(len(self._table)))
        return self._changed

    def note(self, question: str, answer: KeptAnswer) -> None:
        """Notes an answer that was found by its manifest, or is new."""
        self._used[question] = answer
        self._is_new = True

    def save(self, joined: Iterable[Dependency]) -> None:
        """Keeps the answers of this build, if any is new. `joined`: of kinds `found` and `same`, for all."""
        if not self._is_new and self._used.keys() == self._answers.keys():
            return
        numbers: dict[Dependency, int] = {}
        rows = {}
        for question, used in self._used.items():
            own = [numbers.setdefault(d, len(numbers)) for d in used.dependencies if d.kind not in _JOINED]
            rows[question] = (used.result, used.digest, used.size, used.messages, own, used.base)
        values = {"table": list(numbers), "joined": list(joined), "answers": rows}
        self._store.save(Entry(self._key, json.dumps(values).encode(), form_of("front"), AGAIN))


def index_recipe(output: Path) -> Recipe:
    """What the index of an output's last build is kept under."""
    return Recipe(*own_record("front"), ("label", str(output.absolute())))


@dataclass(frozen=True, slots=True)
class _Row:
    result: str
    digest: str
    size: int
    messages: str
    numbers: tuple[int, ...]
    base: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it is kept. Each answer rests on some of the dependencies in `table`, and on `joined`."""

    table: tuple[Dependency, ...]
    joined: tuple[Dependency, ...]
    answers: Mapping[str, _Row]


_DEPENDENCIES: Final = list_of(row(text(), text(), list_of(text())))
_INDEX: Final = record(
    {
        "table": _DEPENDENCIES,
        "joined": _DEPENDENCIES,
        "answers": mapping(row(text(), text(longest=64), whole(), text(), list_of(whole()), text())),
    }
)


def read_index(entry: Entry) -> Index:
    """The answers that a build rested on. Raises Malformed."""
    found = read_json(entry.payload, _INDEX)
    table, joined = _dependencies(found["table"]), _dependencies(found["joined"])
    try:
        for known in found["answers"].values():
            check_key(known[0])
            check_key(known[5])
            if known[4] and max(known[4]) >= len(table):
                raise Malformed("a dependency that is not in the table")
    except ValueError as error:
        raise Malformed(str(error)) from None
    answers = {
        question: _Row(result, digest, size, messages, tuple(numbers), base)
        for question, (result, digest, size, messages, numbers, base) in found["answers"].items()
    }
    return Index(table, joined, answers)


def _dependencies(rows: Any) -> tuple[Dependency, ...]:
    found = tuple(Dependency(kind, value, tuple(subjects)) for kind, value, subjects in rows)
    try:
        for dependency in found:
            check_dependency(dependency)
    except ValueError as error:
        raise Malformed(str(error)) from None
    return found
