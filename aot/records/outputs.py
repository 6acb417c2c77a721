"""Which outputs were built lately in the same way, and of which modules: to find plans that fit others, too.

A plan is kept for each output (last_plan.py). One whose modules are mostly those of a new output, be that in
another checkout or another program of the same files, is nearly the plan of that one, too. What is listed
here is a hint and no more: what a plan says of itself counts. What is lost or damaged costs time only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import list_of, read_json, row, text
from nativecache.linker.values import dataclass

#: How many outputs are listed: those that were built last, of each way of building.
_MOST: Final = 8
#: Of digests so many digits are listed: a wrong guess costs time only.
_DIGITS: Final = 12
#: What an output's row may differ by from what it was built from, as a share of its modules: it is not
#: written again for each edit.
_STALE: Final = 8


@dataclass(frozen=True, slots=True)
class ListedOutput:
    """An output, by its absolute path; digests of its modules (`texts` and `contents` of Head), shortened."""

    path: str
    texts: tuple[str, ...]
    contents: tuple[str, ...]


def shortened(digests: Iterable[str]) -> tuple[str, ...]:
    """Digests as they are listed."""
    return tuple(digest[:_DIGITS] for digest in digests)


def outputs_recipe(guard: str) -> Recipe:
    """What the list of the outputs of one way of building is kept under: `guard` as Head has it."""
    return Recipe(*own_record("outputs"), ("guard", guard))


def list_outputs(store: EntryStore, guard: str) -> tuple[ListedOutput, ...]:
    """The outputs that were built last in one way, the last one first."""
    return store.read(outputs_recipe(guard).key(), read_outputs) or ()


def note_output(
    store: EntryStore, guard: str, output: Path, texts: Iterable[str], contents: Iterable[str]
) -> None:
    """Lists an output as the last one, unless it is listed and hardly anything of it changed since."""
    mine = ListedOutput(str(output.absolute()), shortened(texts), shortened(contents))
    listed = list_outputs(store, guard)
    known = next((one for one in listed if one.path == mine.path), None)
    if known and _differing(known.contents, mine.contents) * _STALE <= len(mine.contents):
        store.note_used(outputs_recipe(guard).key())
        return
    rows = [(one.path, one.texts, one.contents) for one in _most_of(mine, listed)]
    key = outputs_recipe(guard).key()
    store.save(sealed("outputs", key, json.dumps(rows, separators=(",", ":")).encode(), AGAIN))


def _most_of(mine: ListedOutput, listed: Sequence[ListedOutput]) -> Iterator[ListedOutput]:
    yield mine
    yield from [one for one in listed if one.path != mine.path][: _MOST - 1]


def _differing(some: Sequence[str], others: Sequence[str]) -> int:
    return max(len(some), len(others)) - len({*some} & {*others})


_DIGEST: Final = text(longest=_DIGITS)
_OUTPUTS: Final = list_of(row(text(), list_of(_DIGEST), list_of(_DIGEST)))


def read_outputs(entry: Entry) -> tuple[ListedOutput, ...]:
    """The outputs that are listed in an entry. Raises Malformed."""
    check_sealed(entry)
    rows: list[Any] = read_json(entry.payload, _OUTPUTS)
    return tuple(ListedOutput(path, tuple(texts), tuple(contents)) for path, texts, contents in rows)
