"""Keeps what was found in headers, so that each is looked through once rather than for each source.

Looking through a hundred headers for what they ask of the file system takes 50 ms, half of what a process
that compiles one file takes besides clang. Headers of one folder are kept together, each under the digest of
its content.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from nativecache.aot.front.questions import AssemblerParts, Text
from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import boolean, mapping, nullable, read_json, row, text

#: Headers per folder, so that what a folder of generated ones had does not grow without end.
_MOST: Final = 2000

_HEADERS: Final = mapping(
    row(
        text(longest=64),
        *(text(), text()),
        row(*[boolean()] * 3),
        text(),
        nullable(row(*[boolean()] * len(AssemblerParts._fields))),
    )
)


class HeaderFacts:
    """What is kept of headers, folder by folder. Use it in one thread."""

    def __init__(self, store: EntryStore) -> None:
        self._store = store
        self._folders: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, None] = {}

    def find(self, path: str, digest: str) -> tuple[Text, AssemblerParts | None] | None:
        """What is known of a header with a content of that digest: the parts only if they were asked for."""
        folder, name = _place(path)
        row = self._load(folder).get(name)
        if row is None or row[0] != digest:
            return None
        _, lines, tokens, said, odd, parts = row
        pastes, times, hushed = said
        found = Text(_bytes(lines), frozenset(_bytes(tokens).split()), pastes, times, hushed, odd)
        return found, parts and AssemblerParts(*parts)

    def note_parts(self, path: str, digest: str, parts: AssemblerParts) -> None:
        """Notes the assembler parts, in no assembly, of a header that was found or noted with that digest."""
        folder, name = _place(path)
        row = self._folders.get(folder, {}).get(name)
        if row and row[0] == digest:
            row[5] = list(parts)
            self._changed[folder] = None

    def note(self, path: str, digest: str, found: Text) -> None:
        """Notes what is in a header with a content of that digest."""
        folder, name = _place(path)
        known = self._load(folder)
        if name in known or len(known) < _MOST:
            tokens = b" ".join(sorted(found.tokens))
            said = [found.pastes, found.times, found.hushed]
            known[name] = [digest, _text(found.lines), _text(tokens), said, found.odd, None]
            self._changed[folder] = None

    def save(self) -> None:
        """Keeps what was noted."""
        for folder in self._changed:
            key = headers_recipe(folder).key()
            self._store.save(sealed("headers", key, json.dumps(self._folders[folder]).encode(), AGAIN))
        self._changed.clear()

    def _load(self, folder: str) -> dict[str, Any]:
        known = self._folders.get(folder)
        if known is None:
            key = headers_recipe(folder).key()
            known = self._folders[folder] = self._store.read(key, read_headers) or {}
        return known


def _place(path: str) -> tuple[str, str]:
    """The folder, and the name in it, that a header is kept under."""
    return os.path.split(os.path.abspath(path))


def headers_recipe(folder: str) -> Recipe:
    """What the facts about a folder's headers are kept under."""
    return Recipe(*own_record("headers"), ("folder", folder))


def read_headers(entry: Entry) -> dict[str, Any]:
    """Of headers by name: digest, the fields of their Text, assembler parts. Raises Malformed."""
    check_sealed(entry)
    headers: dict[str, Any] = read_json(entry.payload, _HEADERS)
    return headers


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _bytes(data: str) -> bytes:
    return data.encode("latin-1", "replace")
