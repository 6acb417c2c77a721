"""Keeps precompiled heads of sources (preambles) for as long as all that they were made from is the same.

A C++ file is mostly headers: clang takes 6.4 s for the front end of a file of some lines that includes
json.hpp, map, string, vector, algorithm and regex, and 3.5 s where those are precompiled, which takes 3.7 s.
So it pays from the second edit on. A first build has nothing to do with any of this. An edit that leaves
alone all but the file itself is compiled plainly and has its head precompiled beside, where a processor is
idle: it takes as long as without, and the next edit little more than half of it. To precompile first and to
compile on that would take the first edit 0.8 s longer, for an edit that may be the last.

A preamble holds for one question (`clang_question.py`: compiler, flags, environment, source) in one folder,
for one head, byte by byte, and as long as what the head rests on is the same, by content, as `clang_cache.py`
has it for clang's answers: headers, and names that are found where headers are looked for. Why a head is not
to be precompiled is kept in the same way.

Precompiled headers are large (20 MB) and do not fold well (11 MB, in 1.1 s), so they are kept as they are, in
one of a few places: a source's question says in which, and who comes later takes it. Pruning removes those
that are not used, as it does with all entries.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang, heads
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.clang_question import Question, unknown_flags
from nativecache.aot.front.manifest import Answer
from nativecache.aot.front.precompile import (
    Made,
    Preamble,
    Source,
    Unsure,
    can_be_seen,
    emit_on,
    precompile,
    room_for,
)
from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.aot.verify import Mismatch
from nativecache.cache.dependencies import Dependency, check_dependency
from nativecache.cache.entry import Entry
from nativecache.cache.files import read_plain, write_new
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, list_of, read_json, record, row, text, whole
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass, replace

#: So many preambles a cache has at the most: 320 MB of json.hpp's size.
_PLACES: Final = 16
#: Besides those of which it is known that the same comes of the same files.
_ALLOWED: Final = re.compile(
    r"-f(?:no-)?(?:color-diagnostics|diagnostics-color(?:=\w+)?|stack-clash-protection|cf-protection(?:=\w+)?"
    r"|ansi-escape-codes|strict-enums|strict-return|delete-null-pointer-checks|unroll-loops|vectorize"
    r"|slp-vectorize|finite-loops|strict-overflow|lto(?:=\w+)?)|-f(?:template|constexpr)-[\w-]+=\d+"
    r"|-Qunused-arguments|--target=[\w.-]+"
)
#: Those of them with which clang says things of a file that it does not say of its head.
_SPEAKING: Final = re.compile(r"-W(?:everything|unused-macros|newline-eof|system-headers-in-module=.*)$")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the head of a source, given by digests of the head and of what clang is asked.

    `refused` says why it is not precompiled, or is "".
    """

    question: str
    head: str
    room: int
    read: tuple[str, ...]
    dependencies: tuple[Dependency, ...]
    refused: str
    precompiled: bytes


class Head:
    """The head of a source that is compiled: `emit` and `precompile` may be called in threads.

    `read`: the files that clang read, where it compiled the source on a preamble.
    """

    def __init__(
        self,
        source: Source,
        question: Question,
        cache: FrontCache,
        preamble: Preamble | None,
        places: tuple[Path, Path, clang.Running],
    ) -> None:
        """`places`: for the IR, whose folder takes all else, and for the depfile; and compilers at work."""
        self._source, self._question, self._cache = source, question, cache
        self._preamble = preamble
        self._output, self._depfile, self._running = places
        #: Whether it is not known what comes of it.
        self.is_new = preamble is None
        self.read: tuple[str, ...] | None = None
        self._verdict: tuple[Answer, Answer] | None = None
        self._given_up = ""

    def emit(self) -> Answer | None:
        """What clang makes of the source on its preamble, the first time; None where there is none for it."""
        preamble, self._preamble = self._preamble, None
        if preamble is None:
            return None
        where = self._output.parent, self._depfile, self._output, self._running
        try:
            output, self.read = emit_on(preamble, *where)
        except Unsure as unsure:
            self._given_up = str(unsure) if unsure.lasting else ""
            return None
        except OSError:
            return None
        return Answer(output, "", dated=False)

    def is_sample(self, answer: Answer, percent: float) -> bool:
        """Whether an answer is one of those to be compared with what clang makes without a preamble."""
        return bool(percent) and int(answer.digest[:8], 16) * 100 / 2**32 < percent

    def compare(self, found: Answer, plain: Answer) -> Answer:
        """What clang makes of the source without a preamble; `settle` says whether that is the same."""
        self._verdict = found, plain
        self.read = None
        return plain

    def precompile(self) -> Made | None:
        """Has clang precompile the head; None where that cannot be done now."""
        try:
            return precompile(self._source, self._output.parent, self._running)
        except (OSError, ValueError, BuildError):
            return None

    def keep(self, made: Made | None) -> None:
        """Keeps what came of precompiling the head, where it is known what that rests on.

        To be called when clang's answer was kept, for what is refused rests on the same as that.
        """
        cache, question = self._cache, self._question
        if made is None:
            return
        if made.refused:
            variant = cache.kept(question)
            dependencies = None if variant is None else cache.but_for_source(question, variant[0])
        else:
            dependencies = cache.rests_on(question, made.read)
        if dependencies is not None:
            cache.keep_later(_encode(self._source, question, made, dependencies))

    def settle(self) -> None:
        """Counts that the source was compiled on a preamble; tells what that made if it was not the same."""
        cache, verdict = self._cache, self._verdict
        if self.read is not None or verdict:
            cache.on_preambles += 1
        if self._given_up:
            self.keep(Made(refused=self._given_up))
        if verdict:
            cache.verified += 1
            found, plain = verdict
            if (found.output, found.messages) != (plain.output, plain.messages):
                name = preamble_recipe(self._question).key()
                parts = (".preamble.ll", found.output), (".plain.ll", plain.output)
                files = [cache.store.set_aside(name + end, data) for end, data in parts]
                reason = "on its precompiled preamble clang made something else of it"
                cache.mismatches.append(Mismatch(str(self._source.path), reason, tuple(filter(None, files))))
                self.keep(Made(refused=reason))


def find_head(
    question: Question, cache: FrontCache, output: Path, depfile: Path, running: clang.Running
) -> Head | None:
    """The head of a source that was compiled before; None where it is compiled plainly, now and next time.

    Files of ours are written beside `output`.
    """
    try:
        source = _source_of(question, cache)
        if source is None or _find_kept(refusal_recipe(question), source, question, cache):
            return None
        preamble = None
        kept = _find_kept(preamble_recipe(question), source, question, cache)
        if kept and len(source.data) <= kept.room:
            source = replace(source, room=kept.room)
            file = output.with_name("preamble.pch")
            write_new(os.fspath(file), kept.precompiled)
            preamble = Preamble(source, file, kept.read)
    except OSError:  # no file, or no room for ours
        return None
    if preamble is None and not cache.store.keeps:
        return None
    return Head(source, question, cache, preamble, (output, depfile, running))


def _find_kept(recipe: Recipe, source: Source, question: Question, cache: FrontCache) -> Kept | None:
    """What is kept of a source's head, if it holds."""
    kept = cache.store.read(recipe.key(), read_preamble)
    if kept is None or (kept.question, kept.head) != (_asked(question), _digest(source)):
        return None
    return kept if cache.holds(kept.dependencies) else None


def _source_of(question: Question, cache: FrontCache) -> Source | None:
    """A source as it is now, if its head may be precompiled. Raises OSError where it cannot be read."""
    front = question.clang
    if (
        front.is_zig
        or front.version != clang.NEWEST
        or question.whole
        or clang.language(question.source) not in ("c", "c++")
        or not cache.compilers.known_in_full(front)
        or any(not _ALLOWED.fullmatch(flag) for flag in unknown_flags(question.flags))
        or any(map(_SPEAKING.match, question.flags))
        or not cache.reads_much(question)
        or not cache.is_only_edited(question)
    ):
        return None
    data, _ = read_plain(question.source)
    length = heads.head_length(data)
    flags, quiet = clang.asking_for_time(question.flags)
    asked = front, question.source, question.level, tuple(flags)
    source = Source(*asked, data, length, room_for(data), quiet)
    return source if length and can_be_seen(source) else None


def _encode(source: Source, question: Question, made: Made, dependencies: tuple[Dependency, ...]) -> Entry:
    said: dict[str, Any] = {
        "question": _asked(question),
        "head": _digest(source),
        "room": source.room,
        "read": made.read,
        "dependencies": dependencies,
        "refused": made.refused,
    }
    words = json.dumps(said).encode()
    payload = b"".join((len(words).to_bytes(_LENGTH, "little"), words, made.precompiled))
    if made.refused:
        return sealed("refusal", refusal_recipe(question).key(), payload, 0)
    return sealed("preamble", preamble_recipe(question).key(), payload, 0)


def preamble_recipe(question: Question) -> Recipe:
    """The place that a question's preamble is kept in, which it shares with others."""
    return Recipe(*own_record("preamble"), ("place", str(int(_asked(question)[:8], 16) % _PLACES)))


def refusal_recipe(question: Question) -> Recipe:
    """Where it is kept why the head of a question's source is not to be precompiled."""
    return Recipe(*own_record("refusal"), ("question", _asked(question)))


def _asked(question: Question) -> str:
    """A digest of a question asked in our folder: names in what is precompiled are relative to that."""
    return hashlib.sha256(f"{question.key} {os.getcwd()}".encode("utf-8", "surrogateescape")).hexdigest()


def _digest(source: Source) -> str:
    return hashlib.sha256(source.data[: source.length]).hexdigest()


#: Bytes of the length of what is said of a precompiled header, which stands before it.
_LENGTH: Final = 4
_SAID: Final = record(
    {
        "question": text(longest=64),
        "head": text(longest=64),
        "room": whole(),
        "read": list_of(text()),
        "dependencies": list_of(row(text(), text(), list_of(text()))),
        "refused": text(),
    }
)


def read_preamble(entry: Entry) -> Kept:
    """What is kept of a head. Raises Malformed."""
    check_sealed(entry)
    end = _LENGTH + int.from_bytes(entry.payload[:_LENGTH], "little")
    said = read_json(entry.payload[_LENGTH:end], _SAID)
    dependencies = tuple(
        Dependency(kind, value, tuple(subjects)) for kind, value, subjects in said["dependencies"]
    )
    try:
        for dependency in dependencies:
            check_dependency(dependency)
    except ValueError as error:
        raise Malformed(str(error)) from None
    precompiled = entry.payload[end:]
    if bool(said["refused"]) == bool(precompiled):
        raise Malformed("a preamble that is refused, or none that is not")
    return Kept(
        said["question"],
        said["head"],
        said["room"],
        tuple(said["read"]),
        dependencies,
        said["refused"],
        precompiled,
    )
