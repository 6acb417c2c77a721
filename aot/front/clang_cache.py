"""Keeps what clang made of a source file, for as long as it would make the same of it.

clang names the files that it read (ccache calls this the depend mode), so no preprocessor runs to find out
that nothing has changed. Per question, which is a command line with all around it that clang looks at,
there is a manifest: some sets of dependencies, newest first, each with the key of the result that holds
under it.
A result is found by the first set that holds as a whole; several are kept, for branches that are switched.

The dependencies are the contents of all files read, and which of their names there are in which of the
folders where clang looks: a header that newly appears where it would be found first is another program. So
are the names that `__has_include` asks for.

What clang has not been asked about may be what it was asked about under another name: `askers.py`
finds those, `other_names.py` tells whether the same comes of them.

Not kept is what depends on more: the time of day, or files that no depfile names. The reason is noted. Clang
itself says whether it met the time of day, by a warning that is turned on for it (-Wdate-time).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nativecache.aot.front import clang, questions
from nativecache.aot.front.answers import Unsaved, find_answer, save_answer
from nativecache.aot.front.askers import find_askers, note_asker
from nativecache.aot.front.build_start import Start
from nativecache.aot.front.clang_question import (
    Question,
    rests_on_folder,
    result_recipe,
    run_recipe,
    search_recipe,
    source_fields,
)
from nativecache.aot.front.compiler_check import Compilers
from nativecache.aot.front.elsewhere import read_elsewhere
from nativecache.aot.front.front_index import FrontIndex, KeptAnswer
from nativecache.aot.front.header_facts import HeaderFacts
from nativecache.aot.front.header_names import (
    embed_folders,
    named_files,
    plain_path,
    precompiled_names,
    spellings,
)
from nativecache.aot.front.manifest import (
    Answer,
    Manifest,
    Search,
    Variant,
    encode_manifest,
    read_manifest,
)
from nativecache.aot.key import form_of
from nativecache.aot.request import folder_of
from nativecache.cache.dependencies import (
    Dependency,
    StatCache,
    digest_file,
    measure,
    observe,
    still_valid,
)
from nativecache.cache.entry import AGAIN, FIRST, Entry
from nativecache.cache.files import read_plain
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Begun
from nativecache.cache.since import Seen, changed_since
from nativecache.linker import lazy_re as re
from nativecache.linker.environment import environment_elsewhere, variables_seen
from nativecache.linker.signals import hold_signals, ignore_signals
from nativecache.linker.values import replace

if TYPE_CHECKING:
    from nativecache.aot.front.other_names import NamesTaken
    from nativecache.aot.verify import Mismatch

#: Bytes of headers that take clang some time: <stdio.h> is 0.1 MB, which it reads in none, <map> 1.0 MB.
_LEAST: Final = 1 << 19
#: Bytes that are compressed in less time than a process is forked and ended in.
_LITTLE: Final = 1 << 18
_TIME_OF_DAY: Final = "it depends on the time of day"

#: With these flags the command line is part of what clang writes: nothing may be added to it.
_RECORDED: Final = re.compile(r"-[fg]record-(?:gcc-switches|command-line)")
#: Flags that may keep clang from warning.
_HUSHING: Final = re.compile(r"--?warning-suppression-mappings|-Wp,.*-w\b")


class FrontCache:
    """Looks up and keeps what clang made of sources. Use it in one thread, and as a context manager.

    `memo` has what was measured; `reads` are the dependencies that all answers of this build rest on, or
    None if some rest on more; `not_kept` says why, by source file. What was changed after `start` may have
    been another thing when it was read; names come and go in `busy` folders. `compilers` are those asked.
    """

    def __init__(
        self,
        store: EntryStore,
        environ: Mapping[str, str],
        check: str = "auto",
        busy: Sequence[str] = (),
        output: Path | None = None,
        seen: Seen | None = None,
    ) -> None:
        """`seen`: what was measured for the build already."""
        self.store = store
        self.start = Start(busy, seen.moment if seen else None)
        self.compilers = Compilers(check, store)
        self.not_kept: dict[str, str] = {}
        self._told_elsewhere = environment_elsewhere(environ)
        self._environ = variables_seen(environ)
        self.memo: StatCache = seen.memo if seen else {}
        self._index = FrontIndex(store, output, self.memo) if output else None
        self._joined: tuple[Dependency, ...] = ()
        self._begun: dict[tuple[object, ...], tuple[Begun, str]] = {}
        self._elsewhere: dict[tuple[object, ...], str] = {}
        self._searches: dict[tuple[str, ...], Search | None] = {}
        self._texts: dict[str, questions.Text] = {}
        self._assembler: dict[tuple[str, bool], questions.AssemblerParts] = {}
        self._headers = HeaderFacts(store)
        self._manifests: dict[str, Manifest] = {}
        self._taken: NamesTaken | None = None
        self._unsaved: list[Unsaved] = []
        self._later: list[Entry] = []
        self._child = 0
        self._failure = -1  # where the child writes what it could not do
        self.reads: dict[Dependency, None] | None = {}
        self.unchanged = 0
        #: Sources that were compiled on precompiled preambles; those of them that were compiled without, too.
        self.on_preambles = 0
        self.verified = 0
        self.mismatches: list[Mismatch] = []

    def __enter__(self) -> FrontCache:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until all is stored."""
        if self._child:
            with open(self._failure, "rb") as failure:
                if words := os.fsdecode(failure.read()):  # at the latest when the process ends
                    self.store.warn_once(words)
            with suppress(ChildProcessError):  # whoever started us wants no children waited for
                os.waitpid(self._child, 0)
            self._child = 0

    def question(
        self,
        front: clang.Clang,
        source: Path,
        level: int,
        flags: tuple[str, ...],
        *,
        whole: bool,
        beside: tuple[str, ...] = (),
    ) -> Question | None:
        """The question whose answer may be kept, or None if none may.

        `beside`: what the answer shows besides.
        """
        if reason := self._refusal(front, source, flags, whole):
            self._refuse(source, reason)
            return None
        program = self.compilers.identity(front, source, level, flags)
        folder = folder_of(source)
        asked = (front, program, level, flags, whole, beside, folder)
        known = self._begun.get(asked)
        if known is None:
            in_folder = (
                bool(folder)
                or not self.compilers.known_in_full(front)
                or rests_on_folder(front, flags, whole=whole)
            )
            recipe = run_recipe(
                front,
                program,
                level,
                flags,
                whole=whole,
                environ=self._environ,
                folder=(folder or os.getcwd()) if in_folder else "",
                beside=beside,
            )
            begun = Begun(recipe)
            known = self._begun[asked] = begun, "" if in_folder else begun.key()
        begun, anywhere = known
        return Question(front, source, level, flags, whole, begun.key(*source_fields(source)), anywhere)

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
        asked = (tuple(flags), whole)
        if asked not in self._elsewhere:
            self._elsewhere[asked] = read_elsewhere(flags, whole)
        return self._elsewhere[asked]

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
        if self._index and (kept := self._index.find(question.key)):
            self.unchanged += 1
            self.store.note_used(question.key)
            self.store.note_used(kept.result)
            self.store.note_used(kept.base)
            self._note_reads(kept.dependencies)
            if self._joined != self._index.joined:  # what is the same for all is long
                self._joined = self._index.joined
                self._note_reads(self._joined)
            return Answer.later(partial(find_answer, self.store, kept.result), kept.digest, kept.messages)
        manifest = self._manifests[question.key] = self._load(question.key)
        for n, (dependencies, result) in enumerate(manifest.variants):
            if not still_valid(dependencies, self.memo):
                continue
            answer = find_answer(self.store, result)
            if answer is None:
                break
            self.unchanged += 1
            self._note_reads(dependencies)
            self._note_answer(question, result, answer, dependencies, manifest.base)
            if n:
                self._save_manifest(question, manifest.used(n))
            if self._index and manifest.output:
                self._index.borrow(Path(manifest.output))
            return answer
        return self._under_another_name(question)

    def _under_another_name(self, question: Question) -> Answer | None:
        """What clang would print, where that is known of the same source under another name."""
        path = os.fspath(question.source)
        if not question.anywhere:
            return None
        # Where it was not asked for, it is observed once clang has read it.
        content = self.memo.get(("file", (path,))) or digest_file(path)
        askers = find_askers(self.store, question, content) if content else ()
        for old, other in askers:
            if other == question.key:
                continue
            if self._taken is None:
                from nativecache.aot.front.other_names import NamesTaken

                self._taken = NamesTaken(self.store, self.memo)
            try:
                taken = self._taken.take_over(question, content, old, self._load(other))
                if taken is None:
                    continue
                dependencies = self._observe(question, taken.search, taken.files, taken.names, taken=True)
            except (_Unknown, OSError):
                continue
            answer = Answer(taken.output, "")
            self._keep_answer(question, answer, taken.search, dependencies, taken.base, taken.like)
            self.unchanged += 1
            return answer
        return None

    def look_ahead(self, question: Question) -> None:
        """Reads what the last answer rested on: most of it the next one rests on, too, for `keep` to look at.

        It is as good as reading it later: what is changed after the build has begun is not believed.
        """
        manifest = self._manifests.get(question.key)
        for dependencies, _ in manifest.variants[:1] if manifest else ():
            for dependency in dependencies:
                if dependency.kind == "file":
                    with suppress(OSError):
                        self._text(dependency.subjects[0])

    def was_answered(self, question: Question) -> bool:
        """Whether clang has an answer to a question from before, and had nothing to say with the last one."""
        manifest = self._manifests.get(question.key)
        return manifest is not None and not manifest.spoke and bool(manifest.variants)

    def is_only_edited(self, question: Question) -> bool:
        """Whether of what the last answer, which there is, rested on nothing but the source has changed."""
        return self.holds(self.but_for_source(question, self._manifests[question.key].variants[0][0]))

    def reads_much(self, question: Question) -> bool:
        """Whether what clang read for the last answer besides the source took it long."""
        dependencies = self.but_for_source(question, self._manifests[question.key].variants[0][0])
        files = [found.subjects[0] for found in dependencies if found.kind == "file"]
        return sum(os.path.getsize(path) for path in files if os.path.isfile(path)) >= _LEAST

    def holds(self, dependencies: tuple[Dependency, ...]) -> bool:
        """Whether all dependencies are as they were."""
        return still_valid(dependencies, self.memo)

    def rests_on(self, question: Question, read: Sequence[str]) -> tuple[Dependency, ...] | None:
        """What rests on some files that clang read for a question, but for the source; None if it is unknown.

        Clang has not met the time of day in them.
        """
        try:
            found = self._search(question, self._manifests[question.key])
            return self.but_for_source(question, self._dependencies(question, found, read, sure=True)[1])
        except (_Unknown, OSError):
            return None

    def but_for_source(
        self, question: Question, dependencies: tuple[Dependency, ...]
    ) -> tuple[Dependency, ...]:
        """Dependencies without the one on the content of the source itself."""
        source = (os.fspath(question.source),)
        return tuple(found for found in dependencies if (found.kind, found.subjects) != ("file", source))

    def keep_later(self, entry: Entry) -> None:
        """Keeps an entry when answers are kept, too."""
        self._later.append(entry)
        self.store.note_used(entry.key)

    def keep(
        self,
        question: Question,
        answer: Answer,
        depfile: Path | None,
        targets: Sequence[str] = clang.TARGETS,
        read: Sequence[str] | None = None,
    ) -> None:
        """Keeps an answer for the next time, unless what it rests on is unknown or was changed meanwhile.

        Without a `depfile` it rests on the source alone; `targets` are those of its rule. `read`: the files
        that clang read, where the depfile does not tell. Raises Configured where it rests on clang's own
        configuration files.
        """
        manifest = self._manifests.setdefault(question.key, Manifest())
        if answer.dated and not manifest.dated:
            self._save_manifest(question, manifest.met_time_of_day())
        try:
            found = self._search(question, manifest)  # first, for it tells of files with flags
            if answer.dated:
                raise _Unknown(_TIME_OF_DAY)
            sure = answer.dated is False
            read = _files_read(question, depfile, targets) if read is None else read
            search, dependencies = self._dependencies(question, found, read, sure=sure)
        except _Unknown as unknown:
            self._refuse(question.source, str(unknown))
            return
        except OSError as error:
            self._refuse(question.source, f"{error.filename}: {error.strerror}")
            return
        self._keep_answer(question, answer, search, dependencies)

    def _keep_answer(
        self,
        question: Question,
        answer: Answer,
        search: Search,
        dependencies: tuple[Dependency, ...],
        other: str = "",
        like: Answer | None = None,
    ) -> None:
        """Keeps an answer with what it rests on. `other`: the key of one that has most of it, `like`."""
        manifest = self._manifests.setdefault(question.key, Manifest())
        self._note_reads(dependencies)
        result = result_recipe(question.key, dependencies).key()
        if search != manifest.search:
            manifest = manifest.found_on(search)
        # What was edited once is edited again, and its answer soon replaced.
        level = AGAIN if manifest.variants else FIRST
        manifest = manifest.with_answer(dependencies, result, spoke=bool(answer.messages))
        if self._index:
            manifest = replace(manifest, output=str(self._index.output))
        self._save_manifest(question, manifest)
        # An object is looked for by those who have no time to put it together.
        base = other or (result if question.whole else manifest.base)
        self._unsaved.append(Unsaved(result, answer, level, base, like))
        self._note_answer(question, result, answer, dependencies, other or manifest.base)
        self.store.note_used(result)  # another process saves it
        if question.anywhere and clang.is_printed(question.clang) and not answer.messages:
            content = measure("file", (os.fspath(question.source),), self.memo)
            note_asker(self.store, question, content)

    def kept(self, question: Question) -> Variant | None:
        """What the answer to a question that was found or kept just now rests on, and its key."""
        if str(question.source) in self.not_kept:
            return None
        return next(iter(self._manifests[question.key].variants), None)

    def _note_answer(
        self,
        question: Question,
        result: str,
        answer: Answer,
        dependencies: tuple[Dependency, ...],
        base: str,
    ) -> None:
        self.store.note_used(base)  # a bundle of what was used is to have it
        if self._index:
            kept = KeptAnswer(result, answer.digest, answer.size, answer.messages, dependencies, base)
            self._index.note(question.key, kept)

    def save_index(self, joined: Iterable[Dependency]) -> None:
        """Keeps what all sources rested on; `joined`: their dependencies of the kinds `found` and `same`."""
        if self._index:
            self._index.save(joined)

    def save(self) -> None:
        """Compresses and stores what was kept; much of it in a process of its own, beside the build."""
        self._headers.save()
        sizes = (one.weight for one in self._unsaved), (len(one.payload) for one in self._later)
        if sum(map(sum, sizes)) <= _LITTLE:
            self._save_all()
            self._forget_unsaved()
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
                        self.store.pass_failures(tell)
                        self._save_all()
                    finally:
                        os._exit(0)
                os.close(theirs)
        except OSError:  # no process to be had
            self._save_all()
        self._forget_unsaved()

    def _forget_unsaved(self) -> None:
        self._unsaved.clear()
        self._later.clear()

    def _save_all(self) -> None:
        for one in self._unsaved:
            save_answer(self.store, one)
        for entry in self._later:
            self.store.save(entry)

    def _note_reads(self, dependencies: Iterable[Dependency]) -> None:
        if self.reads is not None:
            self.reads.update(dict.fromkeys(dependencies))

    def _save_manifest(self, question: Question, manifest: Manifest) -> None:
        self._manifests[question.key] = manifest
        self.store.save(Entry(question.key, encode_manifest(manifest), form_of("manifest"), AGAIN))

    def _load(self, key: str) -> Manifest:
        return self.store.read(key, read_manifest) or Manifest()

    def _dependencies(
        self, question: Question, search: Search | None, read: Sequence[str], *, sure: bool
    ) -> tuple[Search, tuple[Dependency, ...]]:
        """Where clang looked, and what its answer depends on. `sure`: not the time. Raises _Unknown."""
        source = os.fspath(question.source)
        if search is None:
            raise _Unknown("clang does not say where it looks for headers")
        if plain_path(source) not in map(plain_path, read):
            raise _Unknown("clang has not named it among the files that it read")
        files = tuple(dict.fromkeys((source, *read, *_named_files(question))))
        names = (*_precompiled_names(question), *self._asked_for(question, files, sure=sure))
        return search, self._observe(question, search, files, names)

    def _observe(
        self,
        question: Question,
        search: Search,
        files: Sequence[str],
        names: Sequence[str],
        *,
        taken: bool = False,
    ) -> tuple[Dependency, ...]:
        """What rests on files that clang reads, and on names it looks for besides theirs. Raises _Unknown.

        `taken`: clang has not run now.
        """
        folders, rests_on = search
        files = tuple(dict.fromkeys((*files, *_named_files(question))))
        embedded = map(question.place, embed_folders(question.flags))
        here = folder_of(question.source) or "."
        places = dict.fromkeys((here, *folders, *embedded, *(os.path.dirname(path) or "." for path in files)))
        stems = {plain_path(place) for place in places}
        with_times = any(map(os.path.exists, _precompiled_names(question)))
        spelled = dict.fromkeys(name for path in files for name in spellings(plain_path(path), stems))
        dependencies = (
            *(observe("file", (path,), self.memo) for path in files),
            observe("found", (*places, "", *dict.fromkeys((*spelled, *names))), self.memo),
            # clang refuses a precompiled header if a file that it was made from has another time.
            *(observe("stat", (path,), self.memo) for path in (files if with_times else ())),
            *([observe("same", files, self.memo)] if len(files) > 1 else []),
            *([observe("same", tuple(folders), self.memo)] if len(folders) > 1 else []),
            *rests_on,
        )
        since = self.start.since()
        for dependency in dependencies:
            if (
                taken and dependency.kind == "found"
            ):  # it was looked for just now; only folders may have moved
                dependency = observe("same", tuple(places), self.memo)
            if changed := changed_since(dependency, since):
                raise _Unknown(f"{changed} was changed while clang read it")
        if self.start.clock_was_set():
            raise _Unknown("the clock was set while clang was at work")
        return dependencies

    def _search(self, question: Question, manifest: Manifest) -> Search | None:
        """Where clang looks for headers: as the manifest has it, else clang is asked."""
        if manifest.search and still_valid(manifest.search[1], self.memo):
            return manifest.search
        folder = folder_of(question.source)
        asked_for = (folder, *question.clang.command, clang.language(question.source), *question.flags)
        if asked_for not in self._searches:
            self._searches[asked_for] = self._ask_where(question)
        return self._searches[asked_for]

    def _ask_where(self, question: Question) -> Search | None:
        """Where clang looks, as it was asked for another source, or is asked now."""
        program = self.compilers.identity(question.clang, question.source, question.level, question.flags)
        language = clang.language(question.source)
        folder = folder_of(question.source)
        key = search_recipe(question.clang, program, language, question.flags, self._environ, folder).key()
        kept = self._load(key).search
        if kept and still_valid(kept[1], self.memo):
            return kept
        found = self._asked_where(question)
        if found:
            self.store.save(Entry(key, encode_manifest(Manifest(found)), form_of("search"), FIRST))
        return found

    def _asked_where(self, question: Question) -> Search | None:
        path = clang.search_path(question.clang, question.source, question.flags)
        if path is None:
            return None
        dependencies = self.compilers.dependencies(path.program, self.memo)
        dependencies += [observe("names", (folder,), self.memo) for folder in path.toolchains]
        if path.roots:
            dependencies.append(observe("found", (*path.roots, "", *path.layouts), self.memo))
        return path.folders, tuple(dependencies)

    def _asked_for(self, question: Question, files: Iterable[str], *, sure: bool) -> tuple[str, ...]:
        """The names that `__has_include` may ask for. Raises _Unknown where an answer rests on more."""
        texts = [self._text(path) for path in files]
        for path, found in zip(files, texts, strict=True):
            if found.odd:
                raise _Unknown(f"{path} has a pragma `{found.odd}`")
        definitions = questions.macro_definitions(question.flags)
        if question.whole:
            self._check_assembler(question, files, definitions)
        texts.append(questions.read_text(definitions))
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

    def _check_assembler(self, question: Question, files: Iterable[str], definitions: bytes) -> None:
        """Raises _Unknown where an assembler may be told to read a file."""
        assembly = clang.language(question.source) in clang.ASSEMBLY
        parts = [questions.assembler_parts(definitions)]
        for path in files:
            found = self._assembler.get((path, assembly))
            if found is None:
                data = read_plain(path)[0]
                found = self._assembler[path, assembly] = questions.assembler_parts(data, assembly=assembly)
                if not assembly and _is_header(path):
                    self._headers.note_parts(path, hashlib.sha256(data).hexdigest(), found)
            if questions.has_assembler_read([found]):
                raise _Unknown(f"{path} may have the assembler read a file")
            parts.append(found)
        if questions.has_assembler_read(parts):
            raise _Unknown(f"{question.source} may have the assembler read a file")

    def _text(self, path: str) -> questions.Text:
        text = self._texts.get(path)
        if text is None:
            text = self._texts[path] = self._read_text(path)
        return text

    def _read_text(self, path: str) -> questions.Text:
        """What is in a file, which is looked through now or was before.

        Its digest is not put into `memo`: clang may read it later, and what it is then is observed then.
        """
        data = read_plain(path)[0]
        if not _is_header(path):
            return questions.read_text(data)
        digest = hashlib.sha256(data).hexdigest()
        if known := self._headers.find(path, digest):
            text, parts = known
            if parts:
                self._assembler[path, False] = parts
            return text
        text = questions.read_text(data)
        self._headers.note(path, digest, text)
        return text


def _named_files(question: Question) -> list[str]:
    """Files that a question's flags name."""
    return named_files(question.flags, folder_of(question.source))


def _precompiled_names(question: Question) -> list[str]:
    """What clang would take in place of a header that a question's flags include."""
    return [*map(question.place, precompiled_names(question.flags))]


def _is_header(path: str) -> bool:
    """Whether a file is one that several sources may include, by its name."""
    return not clang.language(Path(path))


def _files_read(question: Question, depfile: Path | None, targets: Sequence[str]) -> list[str]:
    """The files that clang has named as those that it read. Raises _Unknown."""
    try:
        read = clang.read_depfile(depfile, targets) if depfile else None
        return [os.fspath(question.source)] if read is None else [*map(question.place, read)]
    except (OSError, ValueError):
        raise _Unknown("clang has not named the files that it read") from None


class _Unknown(Exception):
    """Why it cannot be told what an answer rests on."""
