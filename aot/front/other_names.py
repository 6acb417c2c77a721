"""Tells what clang would print of a source, from what it printed of the same text under another name.

Problem: clang's answers are kept under the name that clang was given, for it shows in them; yet the same
sources in another folder, or under absolute names, are the same program. Method: what clang does rests on
the contents that it reads and on what is found where it looks, folder by folder. So each name that an earlier
answer rests on is taken over to the new source, and there all has to be found as it was:

    what is below the source's folder    is below the new one's
    what is below folders that flags     stays
      name, or clang itself has
    what is below both                   stays, and is a link to what is below the new one's
    all else                             stays if it is absolute or a flag names it

What was found is kept as a digest only, and the old files may be gone. So it is said of what is found now
what would have been said then: where the digests are equal, it was the same. Then clang would print the same
but for its first lines, which have the name, unless the program may show that in another way
(`name_shown.py`), or reads files by odd names. What is not known to be so is compiled.

What is taken over rests on what is there under the new names, as any answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from nativecache.aot.front.answers import find_answer
from nativecache.aot.front.clang_question import Question
from nativecache.aot.front.header_names import embed_folders, named_files, plain_path
from nativecache.aot.front.manifest import Answer, Manifest, Search
from nativecache.aot.front.name_shown import NameText, name_text, names_one, reads_oddly, shows_name
from nativecache.aot.front.questions import macro_definitions
from nativecache.cache.dependencies import Dependency, StatCache, measure, still_valid
from nativecache.cache.files import read_plain
from nativecache.cache.found_elsewhere import found_value
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Names that IR shows as they are, and that are spelled in one way.
_PLAIN: Final = re.compile(r"(?!-)(?!.*//)(?!.*/\./)[\w./+@,=~ -]*[\w+@,=~-]", re.ASCII)
#: How clang's printed IR begins.
_BEGIN: Final = "; ModuleID = '{0}'\nsource_filename = \"{0}\"\n"
#: Intrinsics and a variable that have the names of files where something is annotated.
_ANNOTATION: Final = b".annotation"
#: Functions that are called after the file whose variables they construct.
_AFTER_FILE: Final = b"_GLOBAL__"


@dataclass(frozen=True, slots=True)
class Reads:
    """What clang's answer about a source rests on: contents by name of the file, and the rest by its parts.

    `searched`: subjects of the dependency on what is `found`; `links`: which of the files are the same.
    """

    files: Mapping[str, str]
    searched: tuple[str, ...]
    found: str
    links: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What an answer rests on under another name: files, and names that are looked for."""

    files: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Taken:
    """An answer that was taken over: what clang would print, and what that rests on.

    `base`: the key of one that is kept as a whole and has most of it; `like`: that, if it is at hand.
    """

    output: bytes
    search: Search
    files: tuple[str, ...]
    names: tuple[str, ...]
    base: str
    like: Answer | None


class NamesTaken:
    """Takes answers over for sources of one build."""

    def __init__(self, store: EntryStore, memo: StatCache) -> None:
        self._store, self._memo = store, memo
        self._texts: dict[str, NameText] = {}
        self._marks: dict[str, str | None] = {}

    def take_over(self, question: Question, content: str, old: str, known: Manifest) -> Taken | None:
        """What clang would answer, by what it answered about `old`; None where that is not sure.

        `content`: the digest of the source's. `known`: what is known of that question, which is this one but
        for the source's name. Raises OSError.
        """
        if not known.search or not still_valid(known.search[1], self._memo):
            return None
        folders = known.search[0]
        name = OtherName(old, os.fspath(question.source), folders, question.flags, self._memo)
        for dependencies, key in known.variants:
            reads = split_reads(dependencies, known.search)
            if reads is None or reads.files.get(old) != content:
                continue
            moved = name.move(reads, self._read, self._marks)
            answer = find_answer(self._store, key) if moved else None
            if not moved or answer is None or answer.messages:
                continue
            try:
                output = name.printed(answer.output)
            except Malformed:
                continue
            if output is not None:
                base, like = (answer.base, None) if answer.base else (key, answer)
                return Taken(output, known.search, moved.files, moved.names, base, like)
        return None

    def _read(self, path: str) -> NameText:
        """What matters of a file's text. Raises OSError."""
        text = self._texts.get(path)
        if text is None:
            text = self._texts[path] = name_text(read_plain(path)[0])
        return text


def split_reads(dependencies: Sequence[Dependency], search: Search) -> Reads | None:
    """An answer's dependencies but for those of `search`; None where they are other ones than are known."""
    folders, rests_on = search
    end = len(dependencies) - len(rests_on)
    if end < 0 or tuple(dependencies[end:]) != tuple(rests_on):
        return None
    waiting = list(dependencies[:end])
    files: dict[str, str] = {}
    while waiting and waiting[0].kind == "file":
        _, value, (path,) = waiting.pop(0)
        files[path] = value
    found = waiting.pop(0) if waiting and waiting[0].kind == "found" else None
    links = waiting.pop(0) if len(files) > 1 and waiting else None
    placed = waiting.pop(0) if len(folders) > 1 and waiting else None
    if found is None or waiting or "" in files.values():
        return None
    for same, subjects in ((links, tuple(files)), (placed, folders)):
        if len(subjects) > 1 and (same is None or (same.kind, same.subjects) != ("same", subjects)):
            return None
    return Reads(files, found.subjects, found.value, links.value if links else "")


class OtherName:
    """A source that had the name `old` when clang was asked about it, and is called `new` now."""

    def __init__(
        self, old: str, new: str, folders: Sequence[str], flags: Sequence[str], memo: StatCache
    ) -> None:
        """`folders`: where clang looks for headers."""
        self.old, self.new = old, new
        self.renamed = os.path.basename(old) != os.path.basename(new)
        self._old_folder, self._new_folder = (os.path.dirname(plain_path(path)) for path in (old, new))
        self._flags, self._memo = flags, memo
        self._folders = frozenset((*folders, *embed_folders(flags)))
        self._starts = frozenset(map(_start, self._folders))
        self._named = frozenset(named_files(flags))

    def move(
        self, reads: Reads, read: Callable[[str], NameText], marks: dict[str, str | None]
    ) -> Moved | None:
        """What clang would read and look for under the new name; None where that may be something else.

        `read` has what matters of a file's text, `marks` what was found before. Raises OSError.
        """
        files, twice = {}, {}
        for path in reads.files:
            beside = self._beside(path)
            if plain_path(path) == plain_path(self.old):
                files[path] = self.new
            elif beside is not None and (beside == path or not self._is_placed(path)):
                files[path] = beside
            elif beside is not None:
                files[path], twice[path] = path, beside
            elif path[:1] == "/" or self._is_placed(path) or path in self._named:
                files[path] = path
            else:
                return None
        names, now = self._names(reads), self._folders_now(reads, files, twice)
        if names is None or now is None or not self._holds(reads, files, twice):
            return None
        if not self._is_found(reads, files, names, now, marks) or self._may_be_seen(files, twice, read):
            return None
        return Moved((self.new, *files.values(), *twice.values()), tuple(names.values()))

    def _beside(self, path: str) -> str | None:
        """The new name of what is below the source's folder; None for what is not."""
        start = _start(self._old_folder or ".")
        if not _is_below(path, start):
            return None
        return os.path.join(self._new_folder, path[len(start) :])

    def _is_placed(self, path: str) -> bool:
        return any(_is_below(path, start) for start in self._starts)

    def _names(self, reads: Reads) -> Mapping[str, str] | None:
        """What names that were looked for are now: another one only for the source itself."""
        names = reads.searched[reads.searched.index("") + 1 :]
        if not self.renamed:
            return {name: name for name in names}
        old, new = os.path.basename(self.old), os.path.basename(self.new)
        if any(os.path.basename(name) == new for name in names):
            return None
        return {
            name: os.path.join(os.path.dirname(name), new) if os.path.basename(name) == old else name
            for name in names
        }

    def _holds(self, reads: Reads, files: Mapping[str, str], twice: Mapping[str, str]) -> bool:
        """Whether all contents are the same, and the same files are links of one another."""
        if any(measure("file", (files[path],), self._memo) != value for path, value in reads.files.items()):
            return False
        if len(files) > 1 and measure("same", tuple(files.values()), self._memo) != reads.links:
            return False
        return all(measure("same", pair, self._memo) == "1=0" for pair in twice.items())

    def _folders_now(
        self, reads: Reads, files: Mapping[str, str], twice: Mapping[str, str]
    ) -> dict[str, list[str]] | None:
        """Where each folder is now in which clang has looked: a place or two; None where that is unclear."""
        searched = reads.searched
        now: dict[str, list[str]] = {folder: [] for folder in searched[: searched.index("")]}
        for folder in self._folders.intersection(now):
            now[folder].append(folder)
        for path, there in (*files.items(), *twice.items()):
            folder, moved = os.path.dirname(path) or ".", os.path.dirname(there) or "."
            if folder not in now:
                return None
            if moved not in now[folder]:
                now[folder].append(moved)
        if any(len(places) > 2 or not (places or folder == ".") for folder, places in now.items()):
            return None
        return now

    def _is_found(
        self,
        reads: Reads,
        files: Mapping[str, str],
        names: Mapping[str, str],
        now: Mapping[str, list[str]],
        marks: dict[str, str | None],
    ) -> bool:
        """Whether the same is found in each folder, wherever that is now; in both, where it may be two."""
        # In our own folder clang may never have looked: then it does not matter what was there.
        guesses = [] if now.get(".", ["."]) else list(self._guesses(files, names))
        for turn in (0, -1):
            where = {folder: _in_folder(places[turn], names) for folder, places in now.items() if places}
            tried = [{**where, ".": guess} for guess in guesses] or [where]
            if not any(found_value(reads.searched, places, marks) == reads.found for places in tried):
                return False
            if all(len(places) < 2 for places in now.values()):
                break
        return True

    def _guesses(self, files: Mapping[str, str], names: Mapping[str, str]) -> Iterator[Callable[[str], str]]:
        """How what was in our own folder may be found again, where that is no matter."""
        yield _in_folder(".", names)
        yield lambda name: files.get(name) or f"./{names[name]}"
        yield _in_folder(self._new_folder or ".", names)
        yield lambda _: ""

    def _may_be_seen(
        self, files: Mapping[str, str], twice: Mapping[str, str], read: Callable[[str], NameText]
    ) -> bool:
        """Whether the program may show a name that is another one now, or read files by it."""
        texts = [(read(there), there != path or path in twice) for path, there in files.items()]
        texts.append((name_text(macro_definitions(self._flags)), True))
        if reads_oddly(text for text, _ in texts):
            return True
        if self.renamed:
            called = [os.fsencode(os.path.basename(path)) for path in (self.old, self.new)]
            if any(names_one(text, called) for text, _ in texts):
                return True
        return shows_name(texts)

    def printed(self, output: bytes) -> bytes | None:
        """What clang would print, by what it printed under the old name; None where more may show that."""
        if not (_PLAIN.fullmatch(self.old) and _PLAIN.fullmatch(self.new)):
            return None
        begin = _BEGIN.format(self.old).encode()
        called = os.path.basename(self.old).encode()
        if not output.startswith(begin) or _ANNOTATION in output or (self.renamed and _AFTER_FILE in output):
            return None
        rest = output[len(begin) :]
        if rest.count(called) > rest.count(_AFTER_FILE + b"sub_I_" + called):
            return None
        return _BEGIN.format(self.new).encode() + rest


def _start(folder: str) -> str:
    """How names of files begin that are below a folder; those below our own are relative."""
    if folder.strip("/") == "":
        return "/"
    plain = plain_path(folder)
    return "" if plain == "." else f"{plain}/"


def _is_below(path: str, start: str) -> bool:
    return path.startswith(start) if start else path[:1] != "/"


def _in_folder(folder: str, names: Mapping[str, str]) -> Callable[[str], str]:
    return lambda name: f"{folder}/{names[name]}"
