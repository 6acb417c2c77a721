"""Reads and saves clang's answers: of most only what differs from another one is kept."""

from __future__ import annotations

import zlib

from nativecache.aot.front.manifest import Answer, read_answer, shared_ends
from nativecache.aot.key import form_of
from nativecache.cache.entry import JSON, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Unsaved:
    """An answer to be kept, how hard it is to be folded, and the key of one that may have most of it.

    `like`: another answer that has most of it, with its output at hand, in place of reading that one.
    """

    key: str
    answer: Answer
    level: int
    base: str
    like: Answer | None = None

    @property
    def weight(self) -> int:
        """About how many bytes have to be read or folded to save it."""
        return 0 if self.like else len(self.answer.output)


def find_answer(store: EntryStore, key: str) -> Answer | None:
    """An answer that was kept; None if it, or the one that has the rest of it, is gone or damaged."""
    answer = store.read(key, read_answer)
    if answer is None or not answer.base:
        return answer
    try:
        answer.join(_find_base(store, answer.base))
    except Malformed:
        return None
    return answer


def _find_base(store: EntryStore, key: str) -> Answer | None:
    """An answer that is kept as a whole, for one of which it has the rest."""
    answer = store.read(key, read_answer)
    return None if answer is None or answer.base else answer


def save_answer(store: EntryStore, unsaved: Unsaved) -> None:
    """Keeps an answer."""
    answer, base = unsaved.answer, unsaved.base
    output = answer.output
    meta: dict[str, JSON] = {
        **form_of("answer"),
        "messages": answer.messages,
        "size": len(output),
        "digest": answer.digest,
        **({"depfile": answer.depfile} if answer.depfile else {}),
    }
    start, end = _shared(output, unsaved.like or _find_base(store, base)) if base != unsaved.key else (0, 0)
    # Else another one that is lost costs this one, too, and for little.
    if start + end > len(output) // 2:
        output = output[start : len(output) - end]
        meta |= {"base": base, "shared": (start, end)}
    store.save(Entry(unsaved.key, zlib.compress(output, unsaved.level), meta, 0))


def _shared(output: bytes, kept: Answer | None) -> tuple[int, int]:
    """How many bytes at its start, and at its end, an output has in common with a kept answer."""
    try:
        return shared_ends(output, kept.output) if kept else (0, 0)
    except Malformed:
        return 0, 0
