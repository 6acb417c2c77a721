"""Which questions clang was asked about sources of one content, whatever they are called."""

from __future__ import annotations

import json
import os
from typing import Any, Final

from nativecache.aot.front import clang
from nativecache.aot.front.clang_question import Question
from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, list_of, read_json, row, text

#: So many names of one content are known: those that clang was asked about last.
_MOST: Final = 4

#: A source's name, and the key of the question.
Asker = tuple[str, str]

_ASKERS: Final = list_of(row(text(), text()))


def askers_recipe(question: Question, content: str) -> Recipe:
    """What the questions are kept under that are another one but for the name of the source.

    `content`: the digest of the source's.
    """
    return Recipe(
        *own_record("askers"),
        ("run", question.anywhere),
        ("language", clang.language(question.source)),
        ("content", content),
    )


def find_askers(store: EntryStore, question: Question, content: str) -> tuple[Asker, ...]:
    """The questions that are the same about a source of the same content, the last one first."""
    return store.read(askers_recipe(question, content).key(), read_askers) or ()


def note_asker(store: EntryStore, question: Question, content: str) -> None:
    """Notes a question as the last one about its source's content."""
    known = find_askers(store, question, content)
    asker = os.fspath(question.source), question.key
    if asker not in known:
        rows = [asker, *(other for other in known if other[1] != asker[1])][:_MOST]
        key = askers_recipe(question, content).key()
        store.save(sealed("askers", key, json.dumps(rows).encode(), AGAIN))


def read_askers(entry: Entry) -> tuple[Asker, ...]:
    """The questions about sources of one content. Raises Malformed."""
    check_sealed(entry)
    rows: list[Any] = read_json(entry.payload, _ASKERS)
    try:
        for _, question in rows:
            check_key(question)
    except ValueError as error:
        raise Malformed(str(error)) from None
    return tuple((source, question) for source, question in rows)
