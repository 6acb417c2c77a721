"""Starts clang on the sources of a build. Light to import: the rest is loaded while clang works."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nativecache.aot.codegen.flags import Generation, beside, beyond_ir, generation
from nativecache.aot.codegen.triples import is_known, named_target, narrowing, normalise, refusal
from nativecache.aot.errors import BuildError, UsageError, temporary_files
from nativecache.aot.front.clang import (
    ASSEMBLY,
    MODULES,
    Clang,
    Running,
    asking_for_time,
    check_configuration,
    compile_whole,
    compiles_whole,
    emit_ir,
    find_clang,
    is_preprocessed,
    is_printed,
    is_standard_input,
    language,
    met_time_of_day,
    places_beside,
    without_lto,
)
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.clang_question import Question
from nativecache.aot.front.contents import holds_bitcode
from nativecache.aot.front.depfiles import Depfile, ask_for_depfiles, check_depfiles
from nativecache.aot.front.manifest import Answer
from nativecache.aot.request import Request, check, folder_of, level_of, own_flags
from nativecache.aot.threads import Call, Threads
from nativecache.cache.since import Seen
from nativecache.linker import lazy_re as re
from nativecache.linker.signals import hold_signals, temporary_folder
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.front.preambles import Head
    from nativecache.aot.front.precompile import Made

_NATIVE_NAME: Final = re.compile(r"\.(?:o|obj|lo|a|so(?:\.[\d.]+)?)$")


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How C and C++ inputs are compiled to IR.

    `cache` keeps what clang made; without one clang runs for every file.
    """

    clang: Clang
    level: int
    flags: tuple[str, ...]
    cache: FrontCache | None = None
    #: Whether all sources are compiled whole, or which ones, whatever the flags say.
    by_file: bool = False
    whole: frozenset[Path] = frozenset()
    #: What is built of the sources, if that is linked.
    image: Path | None = None
    #: The object that the one source is compiled to, if that is all that is built.
    alone: Path | None = None
    #: Whether heads of sources are precompiled, and how many percent of those compiled on one are compiled
    #: again without, to be compared.
    preambles: bool = False
    verify_percent: float = 0.0
    #: How units are generated; a source with flags of its own for which that is done otherwise is compiled
    #: whole.
    generation: Generation | None = None

    def flags_of(self, source: Path) -> tuple[str, ...]:
        """The flags that a source is compiled with: its own behind those for all."""
        own = own_flags(source)
        return (*self.flags, *_for_clang(own, links=self.image is not None)) if own else self.flags

    def level_of(self, source: Path) -> int:
        """The -O level that a source is compiled at."""
        return level_of(source, self.level)

    def is_whole(self, source: Path) -> bool:
        """Whether clang compiles a source in one piece."""
        flags, level = self.flags_of(source), self.level_of(source)
        if language(source) in ASSEMBLY or self.by_file or source in self.whole:
            return True
        if compiles_whole(flags, level):
            return True
        # All of what clang makes on its way is kept only if it goes all the way.
        if any(flag.lstrip("-").startswith("save-temps") for flag in flags):
            return True
        return self.generation is not None and generation(flags, level) != self.generation

    @property
    def prints(self) -> bool:
        """As of `clang`: whether it prints what llvmlite would print."""
        return is_printed(self.clang)


def cpu_seconds() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(who.ru_utime + who.ru_stime for who in used)


def is_source(path: Path) -> bool:
    """Whether an input goes through clang."""
    return language(path) not in ("", "ir", "link")


def is_split(path: Path) -> bool:
    """Whether clang makes IR of an input, unless flags forbid."""
    return is_source(path) and language(path) not in ASSEMBLY


def is_native(path: Path) -> bool:
    """Whether an input goes straight to the linker."""
    # The linker may have been told of another format.
    return language(path) == "link" or (not language(path) and _NATIVE_NAME.search(path.name) is not None)


def needs_clang(path: Path) -> bool:
    """Whether clang has to do with an input, if it can be read: a source, or an archive of bitcode."""
    return (is_source(path) and not unreadable(path)) or holds_bitcode(path)


def unreadable(path: Path) -> str | None:
    """What keeps an input from being read, or None. A source file may be empty."""
    if is_standard_input(path):
        return None
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return f"{path}: is a directory; name the files in it"
        if not stat.S_ISREG(status.st_mode):  # it could be read only once, if ever
            return f"{path}: is no plain file; write it to one first"
        if status.st_size == 0 and not is_source(path):
            return f"{path}: the file is empty"
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


class Run:
    """A run of clang for one source file, which may turn out not to be needed."""

    def __init__(self, source: Path, front: FrontEnd, output: Path, running: Running) -> None:
        self.source, self.front, self.clang, self.output = source, front, front.clang, output
        self.level, self.flags = front.level_of(source), front.flags_of(source)
        self._running = running
        self.whole = front.is_whole(source)
        #: Whether the answer was known, so that clang need not run.
        self.unchanged = False
        self.question: Question | None = None
        if front.cache:
            self.question = front.cache.question(
                front.clang, source, self.level, self.flags, whole=self.whole
            )
        self.depfile = output.with_suffix(".d") if self.question and is_preprocessed(source) else None
        #: The head of the source, where that was precompiled or is to be.
        self.head: Head | None = None

    def known(self) -> Answer | None:
        """The kept answer of clang about the source; None where clang has to run."""
        found = self.front.cache.look_up(self.question) if self.front.cache and self.question else None
        self.unchanged = found is not None
        return found

    def find_head(self) -> None:
        """Finds what the head of the source was precompiled to, or whether that is to be done."""
        cache, question = self.front.cache, self.question
        if not (self.front.preambles and cache and question and self.depfile) or folder_of(self.source):
            return
        # Who is compiled for the first time has nothing to do with it.
        if cache.was_answered(question) and cache.asks_for_time(question) and cache.reads_much(question):
            from nativecache.aot.front.preambles import find_head

            self.head = find_head(question, cache, self.output, self.depfile, self._running)

    def __call__(self) -> Answer:
        """Runs clang; returns what it made. Raises BuildError."""
        on_head = self.head.emit() if self.head else None
        if not (self.head and on_head):
            return self._emit()
        if self.head.is_sample(on_head, self.front.verify_percent):
            return self.head.compare(on_head, self._emit())
        return on_head

    def _emit(self) -> Answer:
        front = self.front
        where = self.output.absolute(), self.depfile and self.depfile.absolute(), self._running
        asks = front.cache is not None and self.question and front.cache.asks_for_time(self.question)
        dated = None

        def run(flags: Sequence[str]) -> tuple[bytes, str]:
            if self.whole:
                image, alone = front.image, front.alone
                if folder_of(self.source):
                    image, alone = image and image.absolute(), alone and alone.absolute()
                places = places_beside(flags, self.source, image, alone)
                return compile_whole(self.clang, self.source, self.level, flags, *where, places)
            return emit_ir(self.clang, self.source, self.level, flags, *where)

        if asks:
            flags, quiet = asking_for_time(self.flags)
            try:
                output, messages = run(flags)
            except BuildError as error:
                dated = any(map(met_time_of_day, error.problems)) or None
                if not (dated or quiet):
                    raise
            else:
                dated = met_time_of_day(messages) or None
                if not (dated or (quiet and " remark: " in messages)):
                    return Answer(output, "" if quiet else messages, dated=False)
        output, messages = run(self.flags)
        return Answer(output, messages, dated)

    def look_ahead(self) -> None:
        """Does what can be done of `keep` while clang is at work."""
        if self.front.cache and self.question:
            self.front.cache.look_ahead(self.question)

    def keep(self, answer: Answer) -> None:
        """Keeps what clang said of the source for the next build."""
        if self.front.cache and self.question:
            read = self.head.read if self.head else None
            self.front.cache.keep(self.question, answer, self.depfile, read=read)


class ClangJobs:
    """Compilers at work on the sources among a build's inputs. `outputs` takes what they write."""

    def __init__(self, inputs: Sequence[Path], end: FrontEnd, *, threads: int, outputs: Path) -> None:
        self.end, self.outputs = end, outputs
        # A module's interface is compiled before what imports it, if it is named before.
        in_order = any(language(path) in MODULES for path in inputs)
        self._at_once = 1 if in_order else threads
        self._threads = Threads(self._at_once)
        self.running = Running()
        self._runs: dict[int, tuple[Run, Answer | Call[Answer]]] = {}
        self._precompiling: dict[Head, Call[Made | None]] = {}
        try:
            for n, path in enumerate(inputs):
                if is_source(path) and not unreadable(path):
                    # In an archive it is a member by its name.
                    (folder := outputs / f"{n}.source").mkdir(exist_ok=True)
                    run = Run(path, end, folder / f"{path.stem}.o", self.running)
                    answer = run.known()
                    if answer is None:
                        run.find_head()
                    self._runs[n] = run, answer or self._threads.submit(run)
            # Beside the compilers, where there is a processor for it.
            heads = [run.head for run, _ in self._runs.values() if run.head and run.head.is_new]
            idle = 0 if in_order else max(0, threads - self.missing)
            for head in heads[:idle]:
                self._precompiling[head] = self._threads.submit(head.precompile)
        except BaseException:
            self.close()
            raise

    @property
    def missing(self) -> int:
        """How many sources clang has to compile."""
        return sum(not run.unchanged for run, _ in self._runs.values())

    def results(
        self, meanwhile: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, Run, Answer | BuildError]]:
        """What came of each source, by number of the input, in order; keeps it for the next build.

        `meanwhile` is called with the number of a source while clang is at work on it, if it is at work on no
        more than it can be at once. Raises Configured where clang has used flags that nobody saw.
        """
        is_one_round = self.missing <= self._at_once
        unkept = (run.flags for run, _ in self._runs.values() if not run.question)
        for flags in dict.fromkeys(unkept):
            check_configuration(self.end.clang, flags)
        for n, (run, answer) in self._runs.items():
            if run.whole and isinstance(answer, Answer) and not answer.can_be_had():  # pruned, or damaged
                run.unchanged, answer = False, self._threads.submit(run)
            if isinstance(answer, Call):
                run.look_ahead()  # before it is waited for
                if meanwhile and is_one_round:
                    meanwhile(n)
                try:
                    answer = answer.result()
                except BuildError as error:
                    yield n, run, error
                    continue
                run.keep(answer)
            yield n, run, answer
        for head, call in self._precompiling.items():
            head.keep(call.result())
        for run, _ in self._runs.values():
            if run.head:
                run.head.settle()
        if self.end.cache:
            self.end.cache.save()

    def ask_for_depfiles(self, request: Request, scratch: Path) -> tuple[Depfile, ...]:
        """Starts compilers on the depfiles that a request asks for; returns these, to be written later."""
        end = self.end

        def flags(source: Path) -> tuple[str, ...]:  # which headers are read depends on the level, too
            return f"-O{end.level_of(source)}", *end.flags_of(source)

        return ask_for_depfiles(request, end.clang, flags, scratch, self._threads.submit, self.running)

    def close(self) -> None:
        """Ends compilers whose answers nobody has waited for, lets none begin any more."""
        self.running.end()
        self._threads.wait(forget=True)


class Front:
    """The front of a build, at work since `start`, in performance-counter seconds; the process had used
    `start_cpu` seconds of its processor then. Use as a context manager.

    Raises BuildError or UsageError for an output that cannot be written; what is wrong with the
    compiler, `sources` raises.
    """

    def __init__(self, request: Request, *, since: Front | None = None, seen: Seen | None = None) -> None:
        """Starts clang. `since`: of a build that begins anew, the front whose time counts.

        `seen`: what was measured before, when it was asked whether there is anything to do.
        """
        check(request)
        check_depfiles(request)
        _check_flags(request)
        self.start: float = since.start if since else time.perf_counter()
        self.start_cpu: float = since.start_cpu if since else cpu_seconds()
        with hold_signals(), temporary_files(), ExitStack() as stack:
            self.scratch = stack.enter_context(temporary_folder())
            self._scratch = stack.pop_all()
        self.cache = FrontCache(
            request.store, request.environ, request.compiler_check, _folders(request), request.output, seen
        )
        self.depfiles: tuple[Depfile, ...] = ()
        self._error: Exception | None = None
        self._sources: ClangJobs | None = None
        try:
            if any(needs_clang(path) for path in request.inputs):
                end = _front_end(request, self.cache if request.store.root else None)
                self._sources = ClangJobs(request.inputs, end, threads=request.threads, outputs=self.scratch)
                self.depfiles = self._sources.ask_for_depfiles(request, self.scratch)
        except Exception as error:
            self._error = error
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Front:
        return self

    @hold_signals()
    def __exit__(self, *_: object) -> None:
        if self._sources:
            self._sources.close()
        self.cache.__exit__()
        self._scratch.close()

    @property
    def sources(self) -> ClangJobs | None:
        """None if no input is a source. Raises what kept the compiler from being started."""
        if self._error:
            raise self._error
        return self._sources


def _check_target(request: Request) -> None:
    """Refuses, before clang is started, a target that what is asked for cannot be made for."""
    for flags in dict.fromkeys(map(request.flags_of, request.inputs)):
        flag = narrowing(flags)
        triple = request.target or named_target(flags)
        why = refusal(normalise(triple), request.emit) if triple and is_known(triple) else None
        if not why and flag and request.emit not in ("asm", "bitcode"):
            why = f"{flag} asks for a target of 32 bits, and there are objects for 64 bits only: leave it out"
        told = (path for path in request.inputs if why and request.flags_of(path) == flags)
        for path in filter(needs_clang, told):
            raise BuildError(f"{path}: {why}")


def _folders(request: Request) -> list[str]:
    """Folders that the command line names, in which files may come and go meanwhile."""
    found = dict.fromkeys(os.path.dirname(path) or "." for path in (request.output, *request.inputs))
    flags = dict.fromkeys((folder_of(path), request.flags_of(path)) for path in request.inputs)
    for folder, words in flags:
        named = (re.sub(r"^-(?:I|isystem|iquote|idirafter)", "", word) for word in words)
        found.update((os.path.join(folder, word), None) for word in named if word and word[0] != "-")
    return list(found)


def _front_end(request: Request, cache: FrontCache | None) -> FrontEnd:
    _check_target(request)
    found = find_clang(request.clang, request.environ)
    image = request.output if request.emit in ("exe", "shared") or "-r" in request.line else None
    flags = list(_for_clang(request.clang_flags, links=image is not None))
    if request.target:
        flags.insert(0, f"--target={request.target}")
    if request.emit == "shared":
        flags.insert(0, "-fPIC")
    if request.cpu:
        x86 = (request.target or os.uname().machine).startswith(("x86_64", "i386", "i686"))
        flags.append(f"-march={request.cpu}" if x86 else f"-mcpu={request.cpu}")
    languages = {language(path) for path in request.inputs if is_source(path)}
    if len(languages) > 1 or not languages.isdisjoint(ASSEMBLY):
        # A flag for files of one language is none that another file leaves unused: clang minds only those
        # that no file uses. Of its levels assembly uses none, and -Werror would end the build for that.
        flags.append("-Qunused-arguments")
    alone = request.output if image is None and _is_object_alone(request) else None
    kept = cache, request.by_file, request.whole, image, alone, request.preambles, request.verify_percent
    made = generation(request.code_flags, request.level)
    return FrontEnd(found, request.level, tuple(flags), *kept, made)


def _for_clang(flags: Sequence[str], *, links: bool) -> tuple[str, ...]:
    """The flags as clang is given them. `links`: an image is built of what it makes."""
    rest = without_lto(flags)
    return tuple(word for flag in rest for word in _known_to_link(flag)) if links else rest


def _known_to_link(flag: str) -> tuple[str, ...]:
    """A flag that only clang's link has a use for is not unused where a link follows."""
    if flag in ("-mdaz-ftz", "-mno-daz-ftz"):
        return ("--start-no-unused-arguments", flag, "--end-no-unused-arguments")
    return (flag,)


def _is_object_alone(request: Request) -> bool:
    """Whether an object of one source is made, as `clang -c` does."""
    return request.emit == "object" and sum(map(is_source, request.inputs)) == 1


def _check_flags(request: Request) -> None:
    """Raises UsageError for flags that clang's sources are compiled with and that cannot be honoured."""
    made = generation(request.code_flags, request.level)
    image = request.emit in ("exe", "shared") or "-r" in request.line or _is_object_alone(request)
    asked = {
        (request.flags_of(path), request.level_of(path)): path for path in request.inputs if is_split(path)
    }
    for (flags, level), path in asked.items():
        if request.emit in ("asm", "bitcode"):
            if found := beyond_ir(flags, level):
                raise UsageError(
                    f"{found[0]}: is for clang's own back end, whose objects are no part of "
                    f"--emit {request.emit}; leave it out, or use clang -S or -emit-llvm"
                )
            if generation(flags, level) != made:
                raise UsageError(
                    f"{path}: its own flags have code generated in another way than the other files', and "
                    f"--emit {request.emit} writes one file in one way; build it alone"
                )
        if not image and (found := beside(flags)):
            raise UsageError(
                f"{found[0]}: has clang write files beside each object, and --emit {request.emit} has no "
                "such; compile those files with `clang -c` and name the objects"
            )
