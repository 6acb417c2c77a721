"""Keeps what clang made of a source file, for as long as it would make the same of it.

clang names the files that it read (ccache calls this the depend mode), so no preprocessor runs to find out
that nothing has changed. Per question, which is a command line with all around it that clang looks at,
there is a manifest: some sets of dependencies, newest first, each with the key of the result that holds
under it.
A result is found by the first set that holds as a whole; several are kept, for branches that are switched.

The dependencies are the contents of all files read, and which of their names there are in which of the
folders where clang looks: a header that newly appears where it would be found first is another program. So
are the names that `__has_include` asks for.

Not kept is what depends on more: the time of day, or files that no depfile names. The reason is noted. Clang
itself says whether it met the time of day, by a warning that is turned on for it (-Wdate-time).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from nativecache.aot.front import clang, questions
from nativecache.aot.front.compiler_check import Compilers
from nativecache.aot.key import form_of, own_record
from nativecache.cache.dependencies import (
    Dependency,
    Since,
    StatCache,
    changed_since,
    check_dependency,
    observe,
    still_valid,
)
from nativecache.cache.entry import Entry
from nativecache.cache.files import read_plain
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, check, list_of, nullable, read_json, record, row, text, whole
from nativecache.linker.signals import hold_signals, ignore_signals

#: Sets of dependencies per manifest. ccache keeps up to a hundred; a set is some
#: kilobytes, a result megabytes.
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
    r"-M|@|-fmodule|-fprebuilt|-fimplicit-module|-fcxx-modules|-include-pch|-fpch|-fplugin|-fpass-plugin|-Xclang"
    r"|-mllvm|-mmlir|--?config|-i?vfsoverlay|--?save-(?:temps|stats)|-working-dir|-f?apinotes|-iapinotes"
    r"|-f(?:cs-)?profile-(?!(?:instr-)?generate)|-fauto-profile|-fmemory-profile|-gsplit-dwarf|--?coverage"
    r"|-ftest-cov|-fthin-?lto-index|-ftime-|-f(?:save-)?optimization-rec|-fstack-usage|-fdump|-fproc-stat"
    r"|--?serialize-diag|-?-?index-store|--?specs|-fbuild-session|--precompile|-emit-|--?extract|--analyze|-verify-pch"
    r"|--?gen-|--cuda|--hip|--rocm|--offload|-fopenmp-targets|-fsycl|--libomptarget|-fcas|-fdepscan|-foffload"
    r"|-f?no-integrated-as|-Xopenmp|-Xarch|-Xcuda|-Xoffload|-ccc-|-F|-iframework|-v$|-###|-[EHoS]|-fsyntax-only|-x|-dump"
)
#: The same for an assembler's options.
_ASSEMBLER_ELSEWHERE: Final = re.compile(r"@|--?MD|-a.*=|-o")
_TIME_OF_DAY: Final = "it depends on the time of day"

#: With these, the command line is part of what clang writes: nothing may be added to it.
_RECORDED: Final = re.compile(r"-[fg]record-(?:gcc-switches|command-line)")
#: These may keep clang from warning.
_HUSHING: Final = re.compile(r"--?warning-suppression-mappings|-Wp,.*-w\b")

#: What clang reads of the environment (clang/lib/Driver), and where the working directory is called.
_ENVIRONMENT: Final = frozenset(
    (
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH"),
        *("SOURCE_DATE_EPOCH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SDKROOT", "PWD"),
        *("RC_DEBUG_OPTIONS", "RC_DEBUG_PREFIX_MAP", "SCE_ORBIS_SDK_DIR", "SCE_PROSPERO_SDK_DIR"),
        *("HIP_PATH", "HIP_DEVICE_LIB_PATH", "ROCM_PATH", "CUDA_PATH"),
        *("MACOSX_DEPLOYMENT_TARGET", "IPHONEOS_DEPLOYMENT_TARGET", "INCLUDE", "EXTERNAL_INCLUDE"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD"),  # may make clang another one
    )
)
_ENVIRONMENT_PREFIXES: Final = ("CLANG_",)
#: With these, it writes more files, or takes other options than it is given.
_ENVIRONMENT_ELSEWHERE: Final = frozenset(
    ("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "QA_OVERRIDE_GCC3_OPTIONS", "AS_SECURE_LOG_FILE")
)
_ENVIRONMENT_ELSEWHERE_PREFIXES: Final = ("CCC_", "CC_PRINT_", "CC_LOG_")


@dataclass(frozen=True, slots=True)
class Question:
    """A run of clang: to a native object if `whole`, else to printed IR."""

    clang: clang.Clang
    source: Path
    level: int
    flags: tuple[str, ...]
    whole: bool
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What clang wrote, and its warnings. `dated`: whether it met the time of day, if it was asked."""

    output: bytes
    messages: str
    dated: bool | None = None


@dataclass(slots=True)
class _Manifest:
    search: tuple[tuple[str, ...], tuple[Dependency, ...]] | None = None  # folders, and what they rest on
    variants: list[tuple[tuple[Dependency, ...], str]] = field(default_factory=list)
    dated: bool = False  # when clang was last asked, it met the time of day


class FrontCache:
    """Looks up and keeps what clang made of sources. Use it in one thread, and as a context manager.

    `reads` are the dependencies that all answers of this build rest on, or None if some rest on more;
    `not_kept` says why, by source file. What was changed after `start` may have been another thing when it
    was read; names come and go in `busy` folders. `compilers` are those asked.
    """

    def __init__(
        self, store: EntryStore, environ: Mapping[str, str], check: str = "auto", busy: Sequence[str] = ()
    ) -> None:
        self._store = store
        self.start = Start(busy)
        self.compilers = Compilers(check, store)
        self.not_kept: dict[str, str] = {}
        elsewhere = _ENVIRONMENT_ELSEWHERE.intersection(name for name in environ if environ[name])
        elsewhere |= {name for name in environ if name.startswith(_ENVIRONMENT_ELSEWHERE_PREFIXES)}
        self._told_elsewhere = ", ".join(sorted(elsewhere))
        self._environ = sorted(
            f"{name}={value}"
            for name, value in environ.items()
            if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
        )
        self._memo: StatCache = {}
        self._searches: dict[tuple[str, ...], clang.SearchPath | None] = {}
        self._texts: dict[str, questions.Text] = {}
        self._assembler: dict[str, bool] = {}
        self._manifests: dict[str, _Manifest] = {}
        self._unsaved: list[tuple[str, Answer]] = []
        self._child = 0
        self._failure = -1  # where the child writes what it could not do
        self.reads: dict[Dependency, None] | None = {}
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
        if reason := self._refusal(front, source, flags, whole):
            self._refuse(source, reason)
            return None
        program = self.compilers.identity(front, source, level, flags)
        recipe = question_recipe(front, program, source, level, flags, whole=whole, environ=self._environ)
        return Question(front, source, level, flags, whole, recipe.key())

    def _refusal(self, front: clang.Clang, source: Path, flags: Sequence[str], whole: bool) -> str:
        """Why no answer may be kept, or ""."""
        # What is preprocessed already may hold directives all the same, and clang writes no depfile for it.
        language = clang.language(source)
        if language in ("cpp-output", "c++-cpp-output"):
            return "it is preprocessed already"
        if clang.is_standard_input(source):
            return "it is no file"
        if language in clang.MODULES:
            return "it is a module, of which clang writes another file"
        if front.is_zig:
            return "zig's clang does not name what it reads"
        if self._told_elsewhere:
            return f"the environment has {self._told_elsewhere}"
        return _read_elsewhere(flags, whole)

    def _refuse(self, source: Path, reason: str) -> None:
        self.reads = None
        self.not_kept[str(source)] = reason

    def asks_for_time(self, question: Question) -> bool:
        """Whether clang is to end with an error where it meets the time of day (-Werror=date-time)."""
        manifest = self._manifests.get(question.key)
        return (
            clang.is_preprocessed(question.source)
            and not self.compilers.hushing
            and not (manifest and manifest.dated)
            and not any(map(_RECORDED.match, question.flags))
        )

    def look_up(self, question: Question) -> Answer | None:
        """The answer that was given to this question before, if all that it rests on is as it was."""
        manifest = self._manifests[question.key] = self._load(question.key)
        for n, (dependencies, result) in enumerate(manifest.variants):
            if not still_valid(dependencies, self._memo):
                continue
            answer = self._answer(result)
            if answer is None:
                break
            self.unchanged += 1
            self._note_reads(dependencies)
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
        if answer.dated is not None and manifest.dated != answer.dated:
            manifest.dated = answer.dated
            if answer.dated:
                self._store.save(Entry(question.key, _encode(manifest), {}))
        try:
            if answer.dated:
                raise _Unknown(_TIME_OF_DAY)
            dependencies = self._dependencies(question, manifest, depfile, sure=answer.dated is False)
        except _Unknown as unknown:
            self._refuse(question.source, str(unknown))
            return
        except OSError as error:
            self._refuse(question.source, f"{error.filename}: {error.strerror}")
            return
        manifest.dated = False
        self._note_reads(dependencies)
        result = result_recipe(question.key, dependencies).key()
        others = [variant for variant in manifest.variants if variant[1] != result]
        manifest.variants = [(dependencies, result), *others][:_VARIANTS]
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

    def _note_reads(self, dependencies: Iterable[Dependency]) -> None:
        if self.reads is not None:
            self.reads.update(dict.fromkeys(dependencies))

    def _load(self, key: str) -> _Manifest:
        return self._store.read(key, read_manifest) or _Manifest()

    def _dependencies(
        self, question: Question, manifest: _Manifest, depfile: Path | None, *, sure: bool
    ) -> tuple[Dependency, ...]:
        """All that clang's answer depends on. `sure`: not the time of day. Raises _Unknown."""
        source = os.fspath(question.source)
        try:
            read = clang.read_depfile(depfile) if depfile else [source]
        except (OSError, ValueError):
            raise _Unknown("clang has not named the files that it read") from None
        search = self._search(question, manifest)
        if search is None:
            raise _Unknown("clang does not say where it looks for headers")
        if _plain(source) not in map(_plain, read):
            raise _Unknown("clang has not named it among the files that it read")
        folders, rests_on = search
        files = dict.fromkeys((source, *read, *named_files(question.flags)))
        embedded = _embed_folders(question.flags)
        places = dict.fromkeys((".", *folders, *embedded, *(os.path.dirname(path) or "." for path in files)))
        stems = {_plain(place) for place in places}
        precompiled = _precompiled(question.flags)
        with_times = any(map(os.path.exists, precompiled))
        names = dict.fromkeys(precompiled)
        for path in files:
            names.update(dict.fromkeys(_spellings(_plain(path), stems)))
        names.update(dict.fromkeys(self._asked_for(question, files, sure=sure)))
        dependencies = (
            *(observe("file", (path,), self._memo) for path in files),
            observe("found", (*places, "", *names), self._memo),
            # clang refuses a precompiled header if a file that it was made from has another time.
            *(observe("stat", (path,), self._memo) for path in (files if with_times else ())),
            *([observe("same", tuple(files), self._memo)] if len(files) > 1 else []),
            *([observe("same", tuple(folders), self._memo)] if len(folders) > 1 else []),
            *rests_on,
        )
        since = self.start.since()
        for dependency in dependencies:
            if changed := changed_since(dependency, since):
                raise _Unknown(f"{changed} was changed while clang read it")
        if self.start.clock_was_set():
            raise _Unknown("the clock was set while clang was at work")
        return dependencies

    def _search(
        self, question: Question, manifest: _Manifest
    ) -> tuple[tuple[str, ...], tuple[Dependency, ...]] | None:
        """Where clang looks for headers: as the manifest has it, else clang is asked."""
        if manifest.search and still_valid(manifest.search[1], self._memo):
            return manifest.search
        asked_for = (*question.clang.command, clang.language(question.source), *question.flags)
        if asked_for not in self._searches:
            self._searches[asked_for] = clang.search_path(question.clang, question.source, question.flags)
        path = self._searches[asked_for]
        if path is None:
            return None
        dependencies = self.compilers.dependencies(path.program, self._memo)
        dependencies += [observe("names", (folder,), self._memo) for folder in path.toolchains]
        if path.roots:
            dependencies.append(observe("found", (*path.roots, "", *path.layouts), self._memo))
        manifest.variants.clear()  # they were found on another path
        manifest.search = path.folders, tuple(dependencies)
        return manifest.search

    def _asked_for(self, question: Question, files: Iterable[str], *, sure: bool) -> tuple[str, ...]:
        """The names that `__has_include` may ask for. Raises _Unknown where an answer rests on more."""
        texts = [self._text(path) for path in files]
        for path, found in zip(files, texts, strict=True):
            if found.odd:
                raise _Unknown(f"{path} has a pragma `{found.odd}`")
            if question.whole and self._has_assembler_read(path):
                raise _Unknown(f"{path} may have the assembler read a file")
        texts.append(questions.read_text(questions.macro_definitions(question.flags)))
        sure &= not any(text.hushed for text in texts) and not any(map(_HUSHING.match, question.flags))

        def tokens() -> frozenset[bytes]:
            words = " ".join(question.flags).encode("utf-8", "surrogateescape")
            return questions.all_tokens([words, *(read_plain(path)[0] for path in files)])

        try:
            if not sure and questions.depends_on_time(texts, tokens):
                raise _Unknown(_TIME_OF_DAY)
            return questions.names_asked_for(texts)
        except questions.Unclear as unclear:
            raise _Unknown(f"it asks for a file whose name is not clear: {unclear}") from None

    def _has_assembler_read(self, path: str) -> bool:
        found = self._assembler.get(path)
        if found is None:
            found = self._assembler[path] = questions.has_assembler_read(read_plain(path)[0])
        return found

    def _text(self, path: str) -> questions.Text:
        text = self._texts.get(path)
        if text is None:
            text = self._texts[path] = questions.read_text(read_plain(path)[0])
        return text


class _Unknown(Exception):
    """Why it cannot be told what an answer rests on."""


class Start:
    """When a build began, and what there was then. In `busy` folders, and above, names come and go."""

    def __init__(self, busy: Sequence[str] = ()) -> None:
        self.time_ns = time.time_ns() - _CLOCK_LAG_NS
        self._epoch = _epoch_ns()
        self._mounts = _mounts()
        above = {path for folder in busy for path in _with_parents(os.path.abspath(folder))}
        self._busy = frozenset(filter(None, map(_identity, above)))

    def since(self) -> Since:
        """The build's beginning, as `changed_since` takes it to tell whether a dependency has changed."""
        mounts = _mounts()
        mounted = () if mounts == self._mounts else _mount_points(mounts ^ self._mounts)
        return Since(self.time_ns, mounted, self._busy)

    def clock_was_set(self) -> bool:
        """Whether the time of day has gone another way than time does, so that times of files say nothing."""
        return abs(_epoch_ns() - self._epoch) > _CLOCK_LAG_NS // 2


def _epoch_ns() -> int:
    """The time of day at which the clock that is never set began."""
    for _ in range(100):
        before = time.monotonic_ns()
        now = time.time_ns()
        if time.monotonic_ns() - before < _CLOCK_LAG_NS // 20:  # else another process ran meanwhile
            break
    return now - before


def _with_parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1)]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        is_now = os.stat(path)
    except OSError:
        return None
    return is_now.st_dev, is_now.st_ino


def _mounts() -> frozenset[str]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return frozenset(file)
    except OSError:
        return frozenset()


def _mount_points(lines: Iterable[str]) -> tuple[str, ...]:
    fields = [line.split(" ") for line in lines]
    points = {field[4] for field in fields if len(field) > 4}
    return tuple(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point) for point in points)


def _read_elsewhere(flags: Sequence[str], whole: bool) -> str:
    """Why files that flags have clang read or write cannot be told, or ""."""
    before = ""
    for flag in flags:
        words, assembler = [flag], False
        if flag.startswith(("-Wp,", "-Wa,")):
            words, assembler = flag.split(",")[1:], flag[2] == "a"
        elif before in ("-Xpreprocessor", "-Xassembler"):
            assembler = before == "-Xassembler"
        elif flag in ("-Xpreprocessor", "-Xassembler"):
            words = []
        before = flag
        if assembler and not whole:
            continue  # no assembler runs
        expression = _ASSEMBLER_ELSEWHERE if assembler else _ELSEWHERE
        for word in words:
            if expression.match(word):
                return f"with {word} clang reads or writes files that it does not name"
    return ""


def _embed_folders(flags: Sequence[str]) -> list[str]:
    """Where `#embed` looks, which clang does not tell."""
    words = questions.preprocessor_words(flags)
    folders = [word.partition("=")[2] for word in words if word.startswith("--embed-dir=")]
    return [*folders, *(value for word, value in pairwise(words) if word == "--embed-dir")]


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
    words = [re.sub(r"^--?include=?", "", word) for word in questions.preprocessor_words(flags)]
    return [f"{word}.{end}" for word in words for end in ("pch", "gch") if word and word[0] != "-"]


def _host(flags: Sequence[str]) -> str:
    """The machine's own CPU, where a flag asks for it."""
    if not any("native" in flag for flag in flags):
        return ""
    from nativecache.aot.codegen import llvm

    return str(llvm.host())


def question_recipe(
    front: clang.Clang,
    program: Sequence[str],
    source: Path,
    level: int,
    flags: Sequence[str],
    *,
    whole: bool,
    environ: Sequence[str],
) -> Recipe:
    """What a run of clang is, before it reads anything. `program`: what tells it from another clang.

    `environ`: the variables that clang looks at, as NAME=VALUE.
    """
    return Recipe(
        *own_record("manifest"),
        ("clang", str(front.version)),
        *(("command", word) for word in front.command),
        *(("program", word) for word in program),
        ("host", _host(flags)),
        *(("variable", variable) for variable in environ),
        ("folder", os.getcwd()),
        ("encoding", sys.getfilesystemencoding()),  # other ones cannot say the names that are noted
        ("level", str(level)),
        ("output", "object" if whole else "IR"),
        *(("flag", flag) for flag in flags),
        ("language", clang.language(source)),
        ("source", os.fspath(source)),
    )


def result_recipe(question: str, dependencies: Iterable[Dependency]) -> Recipe:
    """What clang's answer to a question, given by its key, rests on."""
    return Recipe(
        *own_record("answer"),
        ("question", question),
        *(("dependency", repr(tuple(dependency))) for dependency in dependencies),
    )


def _encode(manifest: _Manifest) -> bytes:
    """The bytes of a manifest: dependencies in one table, for most of them are in all sets."""
    numbers: dict[Dependency, int] = {}

    def indexed(dependencies: Iterable[Dependency]) -> list[int]:
        return [numbers.setdefault(dependency, len(numbers)) for dependency in dependencies]

    search = manifest.search and [list(manifest.search[0]), indexed(manifest.search[1])]
    variants = [[indexed(dependencies), key] for dependencies, key in manifest.variants]
    known = {
        "search": search,
        "variants": variants,
        "dependencies": list(numbers),
        "dated": int(manifest.dated),
    }
    return json.dumps(known).encode()


_DEPENDENCIES: Final = list_of(row(text(), text(), list_of(text())))
_NUMBERS: Final = list_of(whole())
_MANIFEST: Final = record(
    {
        "dependencies": _DEPENDENCIES,
        "search": nullable(row(list_of(text()), _NUMBERS)),
        "variants": list_of(row(_NUMBERS, text())),
        "dated": whole(0, 1),
    }
)


def read_manifest(entry: Entry) -> _Manifest:
    """The manifest of a question: sets of dependencies, and keys of answers. Raises Malformed."""
    found = read_json(entry.payload, _MANIFEST)
    table: list[Dependency] = [
        Dependency(kind, value, tuple(subjects)) for kind, value, subjects in found["dependencies"]
    ]
    search = found["search"]
    try:
        for dependency in table:
            check_dependency(dependency)
        for _, key in found["variants"]:
            check_key(key)
        return _Manifest(
            (tuple(search[0]), tuple(table[n] for n in search[1])) if search else None,
            [(tuple(table[n] for n in numbers), key) for numbers, key in found["variants"]],
            bool(found["dated"]),
        )
    except (ValueError, IndexError) as error:
        raise Malformed(str(error)) from None


_ANSWER: Final = record({"messages": text(), "size": whole(0, _LARGEST)}, optional={"form": text()})


def read_answer(entry: Entry) -> Answer:
    """What clang made; it unfolds to the size that its metadata says and no further. Raises Malformed."""
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
