"""Turns a build's inputs into printed IR and a list of native files for the link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from nativecache.aot.codegen import llvm
from nativecache.aot.debug.normalise import normalise
from nativecache.aot.errors import BuildError, Unread
from nativecache.aot.front import clang
from nativecache.aot.front.contents import BITCODE, holds_bitcode, is_bitcode, is_elf_or_archive
from nativecache.aot.front.manifest import Answer
from nativecache.aot.front.sources import ClangJobs, is_native, is_source, unreadable
from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.ir.numbering import local_names, type_names
from nativecache.aot.ir.outline import Outline, Outlined, outline_text
from nativecache.aot.ir.syntax import Cut, cut_functions
from nativecache.aot.pool import Job, Pool, WorkerDied
from nativecache.aot.request import labels_of
from nativecache.cache.files import read_plain
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.linker import lazy_re as re
from nativecache.linker.native import is_script
from nativecache.linker.values import dataclass, field

if TYPE_CHECKING:
    from nativecache.aot.front.accepted import Accepted

_IR: Final = frozenset((".ll", ".bc"))
#: How printed IR begins: with two names of its source, the first of which says nothing.
_PLACE: Final = re.compile(r'\A(?:; ModuleID = .*\n)?source_filename = "(?:[^"\n]*/)?([^"\n/]*)"')
_KNOWN: Final = ".ll .bc .c .cc .cpp .cxx .s .o .a .so"


@dataclass(frozen=True, slots=True)
class Printed:
    """A module as LLVM prints it, one character per byte; `raw`: these bytes, where they are at hand."""

    text: str
    raw: bytes | None = None

    @property
    def data(self) -> bytes:
        """The bytes of the text."""
        return self.text.encode("latin-1") if self.raw is None else self.raw


@dataclass(frozen=True, eq=False)
class LoadedText:
    """An input's printed IR; `digest`: in hexadecimal, of what it was before LLVM read it, if it did.

    Read when it is asked for, where the last build had the same.
    """

    label: str
    digest: str
    read: Callable[[], Printed]
    #: Whether the last build had the same.
    as_before: bool = False

    @cached_property
    def _printed(self) -> Printed:
        return self.read()

    @property
    def text(self) -> str:
        """The printed IR, one character per byte. Raises BuildError where it cannot be read any more."""
        return self._printed.text

    @cached_property
    def cuts(self) -> list[Cut]:
        """Where the functions are in the text. Raises BuildError, as `text` does."""
        return list(cut_functions(self.text))

    @property
    def has_asm(self) -> bool:
        """Whether there may be asm in the module. Raises BuildError, as `text` does."""
        try:
            return not self.cuts or any(is_tied for *_, is_tied in self.cuts)
        except ValueError:
            return True  # of an unknown form, which is for who indexes it to say

    @cached_property
    def _outlined(self) -> Outlined:
        """The outline of the text without the folder that its source is in, and what that holds."""
        place = _PLACE.match(self.text)
        begin, head = (place.end(), f'source_filename = "{place[1]}"') if place else (0, "")
        return outline_text(self.text, self._printed.data, self.cuts, begin, head)

    @property
    def outline(self) -> Outline:
        """The outline of the text, but for its source's folder. Raises BuildError, as `text` does."""
        return self._outlined.outline

    @property
    def content(self) -> str:
        """The digest, in hexadecimal, of the same. Raises BuildError, as `text` does."""
        return self._outlined.content

    def forget(self) -> None:
        """Lets go of the text, until it is asked for again."""
        vars(self).pop("_printed", None)
        vars(self).pop("cuts", None)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a build's inputs hold: IR, and native files for the link.

    `texts`: printed IR in input order, and `numbers`, which inputs those are. `native`: files for the linker,
    by number of the input.
    """

    texts: tuple[LoadedText, ...]
    numbers: tuple[int, ...]
    native: Mapping[int, Path]
    whole: tuple[str, ...]  # inputs that clang compiled whole
    whole_hits: int  # how many of them were in the cache
    cplusplus: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """An input's IR: printed already, or to be read by LLVM first."""

    answer: Answer
    printed: bool
    older: bool = False  # an older clang's
    #: Has clang answer once more, where what was kept turns out to be damaged.
    again: Callable[[], Answer] | None = None

    @property
    def data(self) -> bytes:
        try:
            return self.answer.output
        except Malformed:
            if self.again is None:
                raise
            self.answer.replace(self.again())
            return self.answer.output


@dataclass(frozen=True, slots=True)
class _Part:
    """What some of the inputs gave, by number of the input where it has one."""

    texts: dict[int, _Text] = field(default_factory=dict)
    native: dict[int, Path] = field(default_factory=dict)
    archives: dict[int, Path] = field(default_factory=dict)  # of bitcode, still to be compiled
    whole: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)  # those of them that were in the cache
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def load(
    inputs: Sequence[Path],
    sources: ClangJobs | None,
    store: EntryStore,
    *,
    threads: int,
    known: Mapping[int, str] = MappingProxyType({}),
    meanwhile: Callable[[int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Reads all inputs; `sources` has compilers at work on those that need one.

    `known`: digests that the last build had, by number of the input: what is still that is not read yet.

    `meanwhile` is called as ClangJobs.results does, `progress(compiled, missing)` as clang ends.

    LLVM reads IR in worker processes, for it may not survive that, and only what `store` does not tell
    to be fit as it stands. Raises BuildError with every input that cannot be read, each on a line of its own;
    Unread if all of them are sources that an older clang read.
    """
    given = _sort(inputs, members=sources is not None)
    compiled, members = _Part(), _Part()
    if sources:
        compiled = _wait_for_clang(inputs, sources, meanwhile, progress)
        members = _compile_archives(given.archives, sources, store, threads)
    problems = [*given.problems, *compiled.problems, *members.problems]
    texts = {**given.texts, **compiled.texts}
    as_before = {n: text for n, text in texts.items() if known.get(n) == text.answer.digest}
    reader = _Reader(inputs, {n: text for n, text in texts.items() if n not in as_before}, store)
    printed = reader.print_all(threads)
    if not known:  # as bytes they are for edits of few modules; all of a large program need much memory
        printed = {n: Printed(found.text) for n, found in printed.items()}
    if reader.unread and not problems and len(reader.unread) == len(reader.problems):
        raise Unread(frozenset(reader.unread), *reader.problems)
    problems += reader.problems
    if problems:
        raise BuildError(*problems)

    def read(n: int) -> Printed:
        late = _Reader(inputs, {n: texts[n]}, store)
        found = late.print_all(1)
        if late.problems:
            raise BuildError(*late.problems)
        return found[n]

    labels = labels_of(inputs)
    numbers = tuple(n for n in sorted(texts) if n in printed or n in as_before)
    return Loaded(
        texts=tuple(
            LoadedText(
                labels[n],
                texts[n].answer.digest,
                partial(printed.__getitem__, n) if n in printed else partial(read, n),
                n in as_before,
            )
            for n in numbers
        ),
        numbers=numbers,
        native={**given.native, **compiled.native, **members.native},
        whole=(*compiled.whole, *members.whole),
        whole_hits=len(compiled.known),
        cplusplus=any(map(clang.is_cplusplus, inputs)),
        warnings=(*compiled.warnings, *members.warnings),
    )


def _sort(inputs: Sequence[Path], *, members: bool) -> _Part:
    """Tells inputs that are no sources by what they hold. `members`: bitcode in archives can be compiled."""
    part = _Part()
    for n, path in enumerate(inputs):
        if problem := unreadable(path):
            part.problems.append(problem)
        elif is_source(path):
            continue
        elif is_bitcode(path):
            part.texts[n] = _Text(Answer(read_plain(path)[0], ""), printed=False)
        elif members and holds_bitcode(path):
            part.archives[n] = path
        elif clang.language(path) != "ir" and (is_native(path) or is_elf_or_archive(path)):
            part.native[n] = path
        elif clang.language(path) == "ir" or path.suffix in _IR:
            part.texts[n] = _Text(Answer(read_plain(path)[0], ""), printed=False)
        elif is_script(path):
            part.native[n] = path
        else:
            part.problems.append(f"{path}: unknown kind of input; known are {_KNOWN}")
    return part


def _wait_for_clang(
    inputs: Sequence[Path],
    sources: ClangJobs,
    meanwhile: Callable[[int], None] | None,
    progress: Callable[[int, int], None] | None,
) -> _Part:
    """What clang made of the sources: IR, or objects of those that it compiled whole."""
    part = _Part()
    compiled, missing = 0, sources.missing
    for n, run, answer in sources.results(meanwhile):
        compiled += not run.unchanged
        if progress and not run.unchanged:
            progress(compiled, missing)
        if isinstance(answer, BuildError):
            part.problems.extend(answer.problems)
            continue
        if answer.messages:
            part.warnings.append(answer.messages.rstrip())
        if run.whole:
            run.output.write_bytes(answer.output)
            part.native[n] = run.output
            part.whole.append(str(inputs[n]))
            if run.unchanged:
                part.known.append(str(inputs[n]))
        else:
            older = not run.clang.is_zig and run.clang.version < clang.NEWEST
            part.texts[n] = _Text(answer, run.front.prints, older, run)
    return part


def _compile_archives(
    archives: Mapping[int, Path], sources: ClangJobs, store: EntryStore, threads: int
) -> _Part:
    """Archives with objects in place of the bitcode that they hold."""
    part = _Part()
    if not archives:
        return part
    from nativecache.aot.front.members import compile_members

    for n, path in archives.items():
        output = sources.outputs / f"{n}-{path.stem}.a"
        try:
            part.warnings.extend(compile_members(path, sources, store, threads=threads, output=output))
        except BuildError as error:
            part.problems.extend(error.problems)
            continue
        part.native[n] = output
        part.whole.append(f"{path} (its bitcode)")
    return part


def index(texts: Sequence[tuple[str, str]], *, relative: bool) -> tuple[tuple[Module, ...], str]:
    """Indexes all printed modules; returns also the folder that debug information calls its own.

    `relative`: what depends on where sources are is taken out of debug information, to be put into objects.
    Raises BuildError with each that cannot be understood.
    """
    modules, problems = [], []
    for label, text in texts:
        try:
            modules.append(index_module(text, label))
        except ValueError as error:
            problems.append(f"{label}: IR of an unknown form: {error}")
    if problems:
        raise BuildError(*problems)
    from nativecache.aot.ir.unwinding import admit_unwinding

    modules = admit_unwinding(modules)
    first = next((module.debug_text for module in modules if module.debug_text), "")
    directory = ""
    if first:
        from nativecache.aot.debug.files import compilation_directory

        directory = compilation_directory(first)
    return tuple(normalise(modules, relative=relative, directory=directory)), directory


class _Reader:
    """Makes every text what LLVM prints, in forms that the index can read without ambiguity."""

    def __init__(self, inputs: Sequence[Path], texts: dict[int, _Text], store: EntryStore) -> None:
        self.problems: list[str] = []
        self.unread: list[Path] = []  # sources among the inputs with problems, which their clang can compile
        self._inputs, self._texts = inputs, texts
        unread = [n for n, text in texts.items() if not text.printed and not text.data.startswith(BITCODE)]
        self._accepted: dict[int, Accepted] = {}
        if unread:
            from nativecache.aot.front.accepted import Accepted

            reader = llvm.Llvmlite(store).identity
            self._accepted = {n: Accepted(texts[n].data, reader, store) for n in unread}

    def print_all(self, threads: int) -> dict[int, Printed]:
        ready: dict[int, Printed] = {}
        tasks: dict[str, Callable[..., Any]] = {
            "read": self._read,
            "read some": self._read_some,
            "clear": llvm.read_module,
        }
        with Pool(threads, tasks, describe=lambda job: f"LLVM on {self._inputs[job.tag]}") as pool:
            for n, text in self._texts.items():
                new = self._accepted[n].new_functions() if n in self._accepted else None
                if text.printed or new == []:
                    ready[n] = _as_it_is(text.data)
                elif new:
                    pool.submit(Job("read some", n, (n, new)))
                else:
                    pool.submit(Job("read", n, (n,)))
            self._collect(pool, ready)
            for n, printed in ready.items():
                if _ambiguous(printed.text):
                    pool.submit(Job("clear", n, (printed.data, True)))
            self._collect(pool, ready)
        return ready

    # In the workers, which have the texts since they are forks.

    def _read(self, n: int) -> str | None:
        """What LLVM prints, if that is anything new."""
        data = self._texts[n].data
        printed = llvm.read_module(data)
        from nativecache.aot.front.accepted import is_as_printed

        return None if n in self._accepted and is_as_printed(data, printed.encode("latin-1")) else printed

    def _read_some(self, n: int, new: list[int]) -> bool:
        return self._accepted[n].accepts(new, llvm.read_module)

    # In the driver.

    def _collect(self, pool: Pool, ready: dict[int, Printed]) -> None:
        for done in pool.results():
            n, path = done.job.tag, self._inputs[done.job.tag]
            if done.job.task == "read some" and (done.error or not done.result):
                pool.submit(Job("read", n, (n,)))  # for LLVM's own words on it, or its own text
            elif isinstance(done.error, WorkerDied) and (advice := done.error.advice()):
                self.problems.append(f"{path}: LLVM stopped while reading it: {done.error}{advice}")
                continue
            elif isinstance(done.error, WorkerDied):
                self.problems.append(f"{path}: LLVM cannot read it ({done.error}); is the file damaged?")
            elif done.error:
                self.problems.append(f"{path}: {done.error}{_writer(self._texts[n].data)}")
            elif isinstance(done.result, str):
                ready[n] = Printed(done.result)
            else:
                self._accepted[n].save()
                ready[n] = _as_it_is(self._texts[n].data)
            if done.error and self._texts[n].older and done.job.task != "read some":
                self.unread.append(path)


#: What wrote a text, as its `llvm.ident` names it: clang with LLVM's version, rustc without.
_IDENT: Final = re.compile(rb'^![0-9]+ = !\{!"([^"]*?clang version (\d+)[^"]*)"\}$', re.MULTILINE)


def _writer(text: bytes) -> str:
    """What wrote a text that cannot be read, if it was a newer LLVM than ours."""
    found = _IDENT.search(text)
    if text.startswith(BITCODE) or not found or int(found[2]) <= clang.NEWEST:
        return ""
    written_by = found[1].decode("utf-8", "replace")
    return f"; written by {written_by}, too new to be read here: use clang {clang.NEWEST} or an older one"


def _as_it_is(data: bytes) -> Printed:
    return Printed(data.decode("latin-1"), data)


def _ambiguous(text: str) -> bool:
    """Whether some local name would be taken for a type's."""
    types = type_names(text)
    return bool(types) and not local_names(text).isdisjoint(types)
