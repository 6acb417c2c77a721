"""Keeps what clang made of a source file, for as long as it would make the same of it.

clang names the files that it read (ccache calls this the depend mode), so no preprocessor runs to find out
that nothing has changed. Per question, which is a command line with all around it that clang looks at,
there is a manifest: some sets of facts, newest first, each with the key of the result that holds under it.
A result is found by the first set that holds as a whole; several are kept, for branches that are switched.

The facts are the contents of all files read, and which of their names there are in which of the folders
where clang looks: a header that newly appears where it would be found first is another program. So are the
names that `__has_include` asks for.

Not kept is what depends on more: the time of day, or files that no depfile names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nativecache.aot import clang
from nativecache.aot.stored import form_of
from nativecache.cache.entry import Entry
from nativecache.cache.facts import Fact, Memo, check_fact, hold, measure, note, settled
from nativecache.cache.lookup import EntryStore
from nativecache.cache.own_code import own_code
from nativecache.cache.seal import check_key, read_plain
from nativecache.cache.shape import Malformed, check, list_of, nullable, read_json, record, row, text, whole
from nativecache.linker.interrupt import hold_signals, ignore_signals

#: Raised whenever a manifest or what a result rests on changes its form.
SCHEMA: Final = 1

#: Sets of facts per manifest. ccache keeps up to a hundred; a set is some kilobytes, a result megabytes.
_VARIANTS: Final = 8

#: sqlite3.c's 16.6 MB of printed IR shrink to 3.3 MB in 0.13 s; level 3 saves another 0.4 MB.
_LEVEL: Final = 1

#: The most that an answer may unfold to. No IR of half of that is known.
_LARGEST: Final = 1 << 31

#: Changed so shortly before the build that the clock of the file system, which lags by up to 10 ms, may
#: show an earlier time for a change that came later.
_CLOCK_LAG_NS: Final = 20_000_000

#: With these, clang reads files that its depfile does not name, or writes more than its output.
_ELSEWHERE: Final = re.compile(
    r"-M|@|-fmodule|-fimplicit-module|-include-pch|-fpch|-fplugin|-fpass-plugin|-Xclang|-Xpreprocessor"
    r"|-Xassembler|-W[pa],|-mllvm|-mmlir|--?config|-i?vfsoverlay|--?save-temps|--?save-stats|-working-dir|-fapinotes"
    r"|-f(?:cs-)?profile-(?!(?:instr-)?generate)|-fauto-profile|-fmemory-profile|-gsplit-dwarf|--?coverage"
    r"|-ftest-cov|-fthinlto|-ftime-|-f(?:save-)?optimization-rec|-fstack-usage|-fdump|-fproc-stat"
    r"|--?serialize-diag|-index-store|--?specs|-v$|-###|-[EHoS]|-fsyntax-only|-x"
)

#: What clang reads of the environment (clang/lib/Driver), and where the working directory is called.
_ENVIRONMENT: Final = frozenset(
    (
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH"),
        *("SOURCE_DATE_EPOCH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SDKROOT", "QA_OVERRIDE_GCC3_OPTIONS"),
        *("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "PWD"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD"),  # may make clang another one
    )
)
_ENVIRONMENT_PREFIXES: Final = ("CCC_", "CLANG_")

_TIME_OF_DAY: Final = re.compile(rb"\b__(?:DATE|TIME|TIMESTAMP)__\b")
#: A comment, or a literal in which a comment's beginning means nothing.
_COMMENT: Final = re.compile(
    rb'//(?:[^\n\\]|\\.)*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|' rb"'(?:[^'\\\n]|\\.)*'", re.S
)
#: Directives by which an assembler reads another file. Only a file compiled whole has met the assembler.
_ASSEMBLER_READS: Final = re.compile(rb"\.(?:incbin|include)\b", re.IGNORECASE)
#: A question for a file, by its name or through a macro; or one for whether that can be asked.
_HAS: Final = re.compile(
    rb"(?P<known>\bdefined[ \t]*\(?[ \t]*|#[ \t]*ifn?def[ \t]+)?\b__has_(?:include|embed)(?:_next)?\b"
    rb"(?:\s*\(\s*[\"<]([^\">\n]+)[\">])?"
)


@dataclass(frozen=True, slots=True)
class Question:
    """A run of clang. `whole`: to a native object, else to printed IR."""

    clang: clang.Clang
    source: Path
    level: int
    flags: tuple[str, ...]
    whole: bool
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What clang wrote, and its warnings."""

    output: bytes
    messages: str


@dataclass(slots=True)
class _Manifest:
    search: tuple[tuple[str, ...], tuple[Fact, ...]] | None = None  # folders, and what they rest on
    variants: list[tuple[tuple[Fact, ...], str]] = field(default_factory=list)


class FrontCache:
    """Looks up and keeps answers. Use it in one thread, and as a context manager.

    `reads` are the facts that all answers of this build rest on, or None if some rest on more. What was
    changed after `since` may have been another thing when it was read. `programs` are the compilers asked.
    """

    def __init__(self, store: EntryStore, environ: Mapping[str, str]) -> None:
        self._store = store
        self._environ = sorted(
            f"{name}={value}"
            for name, value in environ.items()
            if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
        )
        self.since = time.time_ns() - _CLOCK_LAG_NS
        self._memo: Memo = {}
        self._searches: dict[tuple[str, ...], clang.SearchPath | None] = {}
        self._named: dict[str, tuple[str, ...] | None] = {}
        self._manifests: dict[str, _Manifest] = {}
        self._unsaved: list[tuple[str, Answer]] = []
        self._child = 0
        self._failure = -1  # where the child writes what it could not do
        self.reads: dict[Fact, None] | None = {}
        self.programs: dict[str, None] = {}
        self.unchanged = 0

    def __enter__(self) -> FrontCache:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until all is stored."""
        if self._child:
            with open(self._failure, "rb") as failure:
                if words := os.fsdecode(failure.read()):  # at the latest when the process ends
                    self._store.warn_once(words)
            with suppress(ChildProcessError):  # whoever started us wants no children waited for
                os.waitpid(self._child, 0)
            self._child = 0

    def question(
        self, front: clang.Clang, source: Path, level: int, flags: tuple[str, ...], *, whole: bool
    ) -> Question | None:
        """The question whose answer may be kept, or None if none may."""
        # What is preprocessed already may hold directives all the same, and clang writes no depfile for it.
        kept = clang.language(source) not in ("cpp-output", "c++-cpp-output")
        kept &= not clang.is_standard_input(source)
        if not kept or front.is_zig or any(_ELSEWHERE.match(flag) for flag in flags):
            self.reads = None
            return None
        digest = hashlib.sha256()
        path = _which(front.command[0])
        self.programs[path] = None
        program = measure("program", (path,), self._memo)
        for name, value in (
            ("schema", f"{SCHEMA} {own_code()}"),
            ("clang", f"{front.version} {front.command} {program}"),
            ("host", _host(flags)),
            ("environment", str(self._environ)),
            ("folder", os.getcwd()),
            ("encoding", sys.getfilesystemencoding()),  # other ones cannot say the names that are noted
            ("flags", f"{level} {whole} {flags}"),
            ("source", f"{clang.language(source)} {source}"),
        ):
            data = value.encode("utf-8", "surrogateescape")
            digest.update(b"%s %d\0" % (name.encode(), len(data)))
            digest.update(data)
        return Question(front, source, level, flags, whole, digest.hexdigest())

    def look_up(self, question: Question) -> Answer | None:
        """The answer that was given to this question before, if all that it rests on is as it was."""
        manifest = self._manifests[question.key] = self._load(question.key)
        for n, (facts, result) in enumerate(manifest.variants):
            if not hold(facts, self._memo):
                continue
            answer = self._answer(result)
            if answer is None:
                break
            self.unchanged += 1
            self._note_reads(facts)
            if n:
                manifest.variants.insert(0, manifest.variants.pop(n))
                self._store.save(Entry(question.key, _encode(manifest), form_of("manifest")))
            return answer
        return None

    def _answer(self, key: str) -> Answer | None:
        return self._store.read(key, read_answer)

    def keep(self, question: Question, answer: Answer, depfile: Path | None) -> None:
        """Keeps an answer for the next time, unless what it rests on is unknown or was changed meanwhile.

        Without a `depfile` it rests on the source alone.
        """
        manifest = self._manifests.setdefault(question.key, _Manifest())
        facts = self._facts(question, manifest, depfile)
        if facts is None:
            self.reads = None
            return
        self._note_reads(facts)
        result = _result_key(question, facts)
        others = [variant for variant in manifest.variants if variant[1] != result]
        manifest.variants = [(facts, result), *others][:_VARIANTS]
        self._store.save(Entry(question.key, _encode(manifest), form_of("manifest")))
        self._unsaved.append((result, answer))
        self._store.note_used(result)  # another process saves it

    def save(self) -> None:
        """Starts to compress and store what was kept, in a process of its own beside the build's work."""
        if not self._unsaved:
            return
        try:
            with hold_signals():
                self._failure, theirs = os.pipe()
                self._child = os.fork()
                if self._child == 0:

                    def tell(failure: str) -> None:
                        os.write(theirs, os.fsencode(failure))

                    try:
                        ignore_signals()  # what clang took seconds to make is kept
                        self._store.pass_failures(tell)
                        self._save_all()
                    finally:
                        os._exit(0)
                os.close(theirs)
        except OSError:  # no process to be had
            self._save_all()
        self._unsaved.clear()

    def _save_all(self) -> None:
        for key, answer in self._unsaved:
            payload = zlib.compress(answer.output, _LEVEL)
            meta = {**form_of("answer"), "messages": answer.messages, "size": len(answer.output)}
            self._store.save(Entry(key, payload, meta))

    def _note_reads(self, facts: Iterable[Fact]) -> None:
        if self.reads is not None:
            self.reads.update(dict.fromkeys(facts))

    def _load(self, key: str) -> _Manifest:
        return self._store.read(key, read_manifest) or _Manifest()

    def _facts(
        self, question: Question, manifest: _Manifest, depfile: Path | None
    ) -> tuple[Fact, ...] | None:
        """All that clang's answer depends on, or None if that cannot be said."""
        try:
            read = clang.read_depfile(depfile) if depfile else [os.fspath(question.source)]
        except (OSError, ValueError):
            return None
        search = self._search(question, manifest)
        if search is None or _plain(os.fspath(question.source)) not in map(_plain, read):
            return None
        folders, rests_on = search
        files = dict.fromkeys((os.fspath(question.source), *read, *named_files(question.flags)))
        places = dict.fromkeys((".", *folders, *(os.path.dirname(path) or "." for path in files)))
        stems = {_plain(place) for place in places}
        names = dict.fromkeys(_precompiled(question.flags))
        for path in files:
            asked_for = self._names_in(path, whole=question.whole)
            if asked_for is None:
                return None
            names.update(dict.fromkeys((*_spellings(_plain(path), stems), *asked_for)))
        facts = (
            *(note("file", (path,), self._memo) for path in files),
            note("found", (*places, "", *names), self._memo),
            *rests_on,
        )
        return facts if all(settled(fact, self.since) for fact in facts) else None

    def _search(
        self, question: Question, manifest: _Manifest
    ) -> tuple[tuple[str, ...], tuple[Fact, ...]] | None:
        """Where clang looks for headers: as the manifest has it, else clang is asked."""
        if manifest.search and hold(manifest.search[1], self._memo):
            return manifest.search
        asked = (*question.clang.command, clang.language(question.source), *question.flags)
        if asked not in self._searches:
            self._searches[asked] = clang.search_path(question.clang, question.source, question.flags)
        path = self._searches[asked]
        if path is None:
            return None
        facts = [note("program", (path.program,), self._memo)]
        facts += [note("names", (folder,), self._memo) for folder in path.toolchains]
        manifest.variants.clear()  # they were found on another path
        manifest.search = path.folders, tuple(facts)
        return manifest.search

    def _names_in(self, path: str, *, whole: bool) -> tuple[str, ...] | None:
        """The names that `__has_include` asks for in a file; None if an answer may rest on more than that."""
        if path not in self._named:
            try:
                content, _ = read_plain(path)
            except OSError:
                return None
            unknown = _depends_on_time(content) or (whole and _ASSEMBLER_READS.search(content))
            self._named[path] = None if unknown else _asked_for(content)
        return self._named[path]


def _depends_on_time(text: bytes) -> bool:
    if b"__DATE__" not in text and b"__TIME" not in text:  # ten times as fast as the expression
        return False
    return bool(_TIME_OF_DAY.search(text) and _TIME_OF_DAY.search(_without_comments(text)))


def _asked_for(text: bytes) -> tuple[str, ...] | None:
    """None if a name is a macro's, which only the preprocessor knows."""
    if b"__has_include" not in text and b"__has_embed" not in text:
        return ()
    names: list[str] = []
    for match in _HAS.finditer(_without_comments(text)):
        if match[2]:
            names.append(os.fsdecode(match[2]))
        elif not match["known"]:
            return None
    return tuple(names)


def _without_comments(text: bytes) -> bytes:
    return _COMMENT.sub(lambda match: b" " if match[0][:1] == b"/" else match[0], text)


def _plain(path: str) -> str:
    """A path as clang writes it to a depfile (LLVM's remove_leading_dotslash)."""
    while len(path) > 2 and path.startswith("./"):
        path = path[2:].lstrip("/")
    return path.rstrip("/") or "."


def _spellings(path: str, places: set[str]) -> list[str]:
    """What an `#include` may have called a file: its path from any of the places."""
    names = [] if path.startswith("/") else [path]
    cut = path.rfind("/")
    while cut > 0:
        if path[:cut] in places:
            names.append(path[cut + 1 :])
        cut = path.rfind("/", 0, cut)
    return names or [os.path.basename(path)]


def named_files(flags: Sequence[str]) -> list[str]:
    """Files that flags name as a word or behind an equals sign or comma."""
    words = [part for flag in flags for part in (flag, *re.split("[=,]", flag)[1:])]
    return [word for word in words if word and os.path.isfile(word)]


def _precompiled(flags: Sequence[str]) -> list[str]:
    """What clang would take in place of a header that a flag includes."""
    words = [flag.removeprefix("-include") for flag in flags]
    return [f"{word}.{end}" for word in words for end in ("pch", "gch") if word and word[0] != "-"]


def _which(program: str) -> str:
    from shutil import which

    return which(program) or program


def _host(flags: Sequence[str]) -> str:
    """The machine's own CPU, where a flag asks for it."""
    if not any("native" in flag for flag in flags):
        return ""
    from nativecache.aot import llvm

    return str(llvm.host())


def _result_key(question: Question, facts: Iterable[Fact]) -> str:
    digest = hashlib.sha256(b"front\0" + question.key.encode())
    digest.update(json.dumps(list(facts)).encode())
    return digest.hexdigest()


def _encode(manifest: _Manifest) -> bytes:
    """Facts in one table, for most of them are in all sets."""
    numbers: dict[Fact, int] = {}

    def indexed(facts: Iterable[Fact]) -> list[int]:
        return [numbers.setdefault(fact, len(numbers)) for fact in facts]

    search = manifest.search and [list(manifest.search[0]), indexed(manifest.search[1])]
    variants = [[indexed(facts), key] for facts, key in manifest.variants]
    return json.dumps({"search": search, "variants": variants, "facts": list(numbers)}).encode()


_FACTS: Final = list_of(row(text(), text(), list_of(text())))
_NUMBERS: Final = list_of(whole())
_MANIFEST: Final = record(
    {
        "facts": _FACTS,
        "search": nullable(row(list_of(text()), _NUMBERS)),
        "variants": list_of(row(_NUMBERS, text())),
    }
)


def read_manifest(entry: Entry) -> _Manifest:
    """A manifest. Raises Malformed."""
    found = read_json(entry.payload, _MANIFEST)
    table: list[Fact] = [(kind, value, tuple(subjects)) for kind, value, subjects in found["facts"]]
    search = found["search"]
    try:
        for fact in table:
            check_fact(fact)
        for _, key in found["variants"]:
            check_key(key)
        return _Manifest(
            (tuple(search[0]), tuple(table[n] for n in search[1])) if search else None,
            [(tuple(table[n] for n in numbers), key) for numbers, key in found["variants"]],
        )
    except (ValueError, IndexError) as error:
        raise Malformed(str(error)) from None


_ANSWER: Final = record({"messages": text(), "size": whole(0, _LARGEST)}, optional={"form": text()})


def read_answer(entry: Entry) -> Answer:
    """An answer; it unfolds to what its metadata says and no further. Raises Malformed."""
    check(entry.meta, _ANSWER)
    size: Any = entry.meta["size"]
    unfolding = zlib.decompressobj()
    try:
        output = unfolding.decompress(entry.payload, size + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    if len(output) != size or not unfolding.eof or unfolding.unused_data:
        raise Malformed("another size than is said")
    return Answer(output, str(entry.meta["messages"]))
