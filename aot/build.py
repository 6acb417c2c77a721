"""The driver: from inputs to an image, one named step after the other."""

from __future__ import annotations

import os
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.diagnostics import Diagnostic, Refused, Wanted, is_removable, line, read_spoken
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.codegen.flags import beyond_ir
from nativecache.aot.codegen.target import choose_target, is_foreign
from nativecache.aot.errors import BuildError, Unread
from nativecache.aot.front import clang
from nativecache.aot.front.load import Loaded, index, load
from nativecache.aot.front.sources import Front, cpu_seconds, is_source, is_split
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.ir.module import Module, symbol_name
from nativecache.aot.key import Options, assembler_reads, compute_key, digest, value_digest
from nativecache.aot.link_line import arrange
from nativecache.aot.output import Image, Written, write_output
from nativecache.aot.packed import decode_names, decode_pairs, encode_names, encode_pairs
from nativecache.aot.pool import Done, Job, Pool, WorkerDied
from nativecache.aot.records.dependencies import Finished, gather, gather_linked
from nativecache.aot.records.history import BuildRecord
from nativecache.aot.records.last_link import LinkRecord, digest_link
from nativecache.aot.records.memo import KeyedUnit, UnitMemo
from nativecache.aot.records.objects import StoredObject, object_meta, read_object
from nativecache.aot.request import Request
from nativecache.aot.simplify import find_bodies, find_called_once, longest_import
from nativecache.aot.spool import Spool
from nativecache.aot.units.extract import (
    IMPORT_LINES,
    IMPORT_TOTAL,
    NO_IMPORTS,
    ImportLimits,
    extract,
)
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.partition import NOTHING_APART, Apart, Unit, partition
from nativecache.aot.units.program import Program, check_one_file, resolve_symbols
from nativecache.aot.units.roots import find_roots, index_symbols
from nativecache.aot.verify import Mismatch, Verifier
from nativecache.aot.write import write_file
from nativecache.cache.dependencies import Dependency, observe
from nativecache.cache.entry import Entry
from nativecache.linker.dwarf import find_fixups
from nativecache.linker.elf import linkage
from nativecache.linker.errors import BadObject, LinkError
from nativecache.linker.libraries import Libraries, scan_libraries
from nativecache.linker.native import NativeSymbols, linker_files, scan_native
from nativecache.linker.symbol_options import SymbolOptions, read_symbol_options
from nativecache.linker.waiting import Waiting

#: Keys go before compilations: they show what is missing, and the biggest of that is compiled first.
_KEYS_FIRST: Final = 1e12
#: Of so many look-ups one is measured in processor time.
_MEASURED: Final = 16
#: With so many bytes of bitcode waiting, compilations go first, so that memory is bounded.
_QUEUE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds of wall time and of processor time, workers' and children's included."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class CompiledUnit:
    """A unit that the cache did not hold."""

    name: str
    kind: str
    milliseconds: float
    #: Its own code is that of the last build: something that it inlines has changed.
    importer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a build did. `units` counts those the image needs; functions are the units with code."""

    output: str
    units: int
    functions: int
    function_hits: int
    hits: int
    shared: int
    grouped: int
    unreached: int
    compiled: tuple[CompiledUnit, ...]
    corrupt: int
    saved_seconds: float
    whole: tuple[str, ...]
    warnings: tuple[str, ...]
    phases: dict[str, Phase]
    wall_seconds: float
    image_bytes: int
    #: Why clang compiled files whole, if it did.
    whole_for: str = ""
    #: Why files are compiled in one unit each, for what their asm may do, by file.
    sealed: Mapping[str, str] = field(default_factory=dict)
    #: Source files, and how many of them clang need not read again.
    sources: int = 0
    sources_unchanged: int = 0
    #: Why clang has to read a source file again in the next build, by file; empty if it need not.
    not_kept: Mapping[str, str] = field(default_factory=dict)
    #: Why the next build cannot be known to have nothing to do though all of its inputs can be noted, or "".
    doubts: str = ""
    #: Why misses were none of the cache: new, changed, pruned, corrupt, llvm, options.
    missed: Mapping[str, int] = field(default_factory=dict)
    #: Hits that were compiled again, and those of them that were wrong.
    verified: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    #: The value of the output's `image` dependency (see cache/dependencies.py) as this build wrote it.
    image: str = ""
    #: What all this rests on, if that can be told.
    reads: tuple[Dependency, ...] | None = None

    @property
    def importers(self) -> int:
        """How many were compiled only for what they inline."""
        return sum(unit.importer for unit in self.compiled)

    @property
    def misses(self) -> int:
        return len(self.compiled)


class Clock:
    """Divides a build's wall and processor time among named phases, each moment to one of them.

    What happens within a phase within a phase is the inner one's; what no phase holds is called `rest`.
    """

    def __init__(self, start: float, start_cpu: float) -> None:
        self.phases: dict[str, Phase] = {}
        self._open = ["start"]  # until the first phase: clang is started, and the rest of us loaded
        self._wall, self._cpu = start, start_cpu

    def add(self, name: str, wall: float, cpu: float) -> None:
        """Adds what someone else measured."""
        old = self.phases.get(name, Phase(0.0, 0.0))
        self.phases[name] = Phase(old.wall + wall, old.cpu + cpu)

    def move(self, part: str, of: str, wall: float, cpu: float) -> None:
        """Takes a part of a phase for another one; no more processor time than that phase had."""
        cpu = max(0.0, min(cpu, self.phases[of].cpu if of in self.phases else 0.0))
        self.add(part, wall, cpu)
        self.add(of, -wall, -cpu)

    @property
    def current(self) -> str:
        """The phase that time passes for."""
        return self._open[-1]

    def charge(self, name: str | None = None) -> None:
        """Ends a stretch of time, which was the current phase's or that of `name`."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        self.add(name or self._open[-1], wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.charge()
        if self._open == ["start"]:
            self._open = ["rest"]
        self._open.append(name)
        try:
            yield
        finally:
            self.charge()
            self._open.pop()


def build(request: Request, front: Front, *, progress: Callable[[int, int], None] | None = None) -> Report:
    """Builds the image.

    `front` was started on the same request. `progress(compiled, missing)` is called as units are
    compiled. Raises BuildError (with what was compiled so far kept in the cache), UsageError, and LinkError.
    """
    clock = Clock(front.start, front.start_cpu)
    final = request.emit in ("exe", "shared", "asm", "bitcode")
    # While clang is at work, find what depends on no input.
    with clock.phase("tools"):
        sources = front.sources
        engine = llvm.find_engine(request.engine, sources.end.clang.command[0] if sources else None)
        libraries = _libraries(request)
    unread: frozenset[Path] = frozenset()
    # Load the inputs as IR that LLVM has accepted and printed, or would print as it stands.
    with clock.phase("load"):
        try:
            loaded = load(request.inputs, sources, request.store, threads=request.threads)
        except Unread as error:
            unread = error.sources
            if request.emit in ("asm", "bitcode"):
                raise
    if unread:
        return _build_whole(request, unread, front, progress)
    with clock.phase("load"):
        _write_stack_usage(request, front.scratch, loaded)
    # Find the entities in the printed text.
    with clock.phase("index"):
        # What is not an object is no place to put lines into.
        modules, directory = index(loaded.texts, relative=request.emit not in ("asm", "bitcode"))
        files = [assembler_reads(text) for _, text in loaded.texts]
        loaded = replace(loaded, texts=())  # the index has all of them, in pieces
    # Agree on one target for all of them.
    with clock.phase("target"):
        options = choose_target(request, modules)
    # Resolve symbols over the whole program.
    with clock.phase("resolve"):
        told = _told(request, loaded, libraries)
        native = _native_symbols(request, loaded, libraries, told)
        program = resolve_symbols(modules, told, native.defined)
        if request.emit in ("asm", "bitcode"):
            check_one_file(program)
        program.has_common |= native.common
        program.interposable = request.emit == "shared" or told.shared
        program.separate = request.emit == "archive"
        program.directory = directory
    # Cut it into units.
    with clock.phase("partition"):
        apart = _apart(request)
        units = partition(program, final=final, apart=apart)
        defined_in = index_symbols(program, units)
        roots = find_roots(
            program,
            units,
            defined_in,
            executable=request.emit == "exe" and not told.shared,
            options=told,
            outside=native.defined | native.undefined,
            everything=request.emit in ("asm", "bitcode"),
        )
    limits = _limits(request)
    # What each input's units meant and became in earlier builds.
    with clock.phase("memo"):
        memos = [
            UnitMemo(m.label, engine.identity, replace(options, relative=m.debug is not None), request.store)
            for m in modules
        ]
        context = value_digest((options, limits, final, program.interposable, program.separate, files))
        fingerprints = Fingerprints(program, context, memos, longest=longest_import(program, limits))
    # Clean each function up alone, so that callees worth inlining can be told and carried.
    if limits.lines:
        with clock.phase("simplify"):
            find_bodies(
                program,
                units,
                fingerprints,
                memos,
                engine=engine,
                options=options,
                final=final,
                store=request.store,
                threads=request.threads,
            )
            program.once = find_called_once(program, units, fingerprints, roots, limits)
    # Key, look up and compile what the roots reach.
    with clock.phase("memo"):
        record = BuildRecord(request.store, engine.identity, options, request.output)
        work = _Work(
            request,
            engine,
            options,
            program,
            units,
            defined_in,
            final,
            limits,
            fingerprints,
            memos,
            record,
            clock,
            progress,
        )
    work.run(roots)
    # What LLVM refuses, or what -Werror makes of its warnings, is for clang to judge over the whole file.
    said, whole = _judge(request, work)
    if whole:
        return _build_whole(request, whole, front, progress)
    # Rename, archive and link.
    with clock.phase("rename"):
        image = Image(
            program=program,
            units=units,
            objects=work.objects,
            bindings=work.bindings,
            line_map=work.line_map,
            fixups=work.fixups,
            line=(*_link_flags(request), *arrange(request.line, loaded.numbers, loaded.native)),
            cplusplus=loaded.cplusplus or "__gxx_personality_v0" in _mentioned(modules),
            target=options.triple if is_foreign(options) else request.target,
            triple=options.triple,
            apart=apart,
        )
        # With the very objects of the last link, and the same of all else, its output stands.
        link_driver = _driver(request, options, loaded)
    with clock.phase("note"):
        link = LinkRecord(request.store, request.output)
        details = (request.emit, request.linker, link_driver, apart)
        made_from = digest_link(image, work.keys, request.environ, front.scratch, *details)
        # Where a hit turned out to be wrong, the last image may hold it, too.
        written = None if work.verifier.mismatches else link.look_up(made_from)
    linked_again = written is None
    # While the linker is at work, keep what is to be remembered.
    with ThreadPoolExecutor(1) as executor:
        kept = executor.submit(_remember, record, work.own, memos)
        if request.emit == "bitcode":
            kept.result()  # LLVM links it in a process forked from this one, which must have no threads then
        if written is None:
            try:
                written = write_output(
                    image,
                    emit=request.emit,
                    output=request.output,
                    linker=request.linker,
                    driver=link_driver,
                    told=told,
                    environ=request.environ,
                    phase=clock.phase,
                )
            except LinkError as error:
                raise LinkError(*_by_sources(error.lines, request, loaded)) from None
            written = replace(written, warnings=_by_sources(written.warnings, request, loaded))
        with clock.phase("memo"):
            kept.result()
    # Note what was read, so that the next build can tell whether it has anything to do.
    with clock.phase("note"):
        reads = None
        if request.store.root and not any(files):
            finished = _finished(request, engine, libraries, told, written, front.scratch)
            linked = gather_linked(finished, front.cache.start.since())
            reads = gather(finished, front.cache, linked)
            if linked is not None and linked_again:
                link.save(made_from, written, linked)
        for depfile in front.depfiles:
            depfile.write()
            known = reads is not None and os.path.isfile(depfile.path)
            reads = (*reads, observe("file", (depfile.path,), {})) if reads is not None and known else None
    done = [units[i] for i in work.bindings]
    functions = [u for u in done if u.is_function]
    compiled_functions = {i for i in work.compiled_units if units[i].is_function}
    return Report(
        output=request.output.name,
        units=len(done),
        functions=len(functions),
        function_hits=len(functions) - len(compiled_functions),
        hits=len(done) - len(work.compiled),
        shared=work.shared,
        grouped=sum(u.kind == "group" for u in done),
        unreached=len(units) - len(done),
        compiled=tuple(work.compiled),
        corrupt=request.store.corrupt.total(),
        saved_seconds=work.saved / 1000,
        whole=loaded.whole,
        whole_for=_why_whole(request, loaded.whole),
        sealed={m.label: b.sealed for m, b in zip(modules, program.bonds, strict=True) if b.sealed},
        warnings=(*loaded.warnings, *_unused(request), *said, *written.warnings),
        phases=clock.phases,
        wall_seconds=time.perf_counter() - front.start,
        image_bytes=_size(request.output),
        sources=sum(map(is_source, request.inputs)),
        sources_unchanged=front.cache.unchanged,
        not_kept=dict(front.cache.not_kept),
        doubts=front.cache.compilers.doubts,
        missed=dict(work.missed),
        verified=work.verifier.checked,
        mismatches=tuple(work.verifier.mismatches),
        image=written.image,
        reads=reads,
    )


def _size(path: Path) -> int:
    """Of the image; 0 where it is gone already, as a pipe's may be."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write_stack_usage(request: Request, scratch: Path, loaded: Loaded) -> None:
    """Writes what -fstack-usage is for where clang does, for all sources in one file."""
    native = [path for _, path in sorted(loaded.native.items())]
    beside = [path.with_suffix(".su") for path in native if path.parent == scratch]
    if parts := [path.read_bytes() for path in beside if path.exists()]:
        write_file(request.output.with_suffix(".su"), b"".join(parts))


def _by_sources(lines: Sequence[str], request: Request, loaded: Loaded) -> tuple[str, ...]:
    """What a linker said, with sources named in place of the objects that clang made of them whole."""
    for n, path in loaded.native.items():
        if path != request.inputs[n]:
            lines = [line.replace(str(path), str(request.inputs[n])) for line in lines]
    return tuple(lines)


def _why_whole(request: Request, whole: Sequence[str]) -> str:
    """What kept sources from being split."""
    named = [path for path in request.inputs if str(path) in whole]
    if whole and len(named) == len(whole) and not any(map(is_split, named)):
        return "assembly is not split"
    if clang.instruments(request.clang_flags):
        return "its passes cannot be split"
    if flags := beyond_ir(request.clang_flags, request.level):
        return f"IR does not tell {' '.join(dict.fromkeys(flags))}"
    return "LLVM refuses its IR, or a part of it alone" if request.whole else "its passes cannot be split"


def _judge(request: Request, work: _Work) -> tuple[list[str], frozenset[Path]]:
    """LLVM's warnings, and the sources that are to be compiled whole for what it said of them.

    A file that clang accepts may hold what LLVM refuses in a unit: a call that must not be made, and that is
    removed only by those who see all of the file. Raises BuildError for errors in other inputs.
    """
    wanted = Wanted(request.clang_flags)
    sources = {str(path): path for path in request.inputs if is_split(path)}
    whole: set[Path] = set()
    warnings: dict[str, None] = {}
    errors: dict[str, None] = {}
    for unit, said, bindings in sorted(work.said, key=lambda heard: heard[0]):
        label, function = work.place(unit)
        fatal = wanted.is_error(said)
        if fatal and label in sources and request.emit not in ("asm", "bitcode"):
            whole.add(sources[label])
        elif fatal or not wanted.is_ignored(said):
            words = line(said, label, function, decode_pairs(bindings), error=fatal)
            (errors if fatal else warnings)[words] = None
    if errors:
        raise BuildError(*errors)
    return list(warnings), frozenset(whole)


def _build_whole(
    request: Request, whole: frozenset[Path], front: Front, progress: Callable[[int, int], None] | None
) -> Report:
    """The build with some more sources compiled whole. Raises what `build` does, with clang's own words."""
    again = replace(request, whole=request.whole | whole)
    with Front(again) as second:
        second.start, second.start_cpu = front.start, front.start_cpu
        return build(again, second, progress=progress)


def _remember(record: BuildRecord, own: Mapping[str, str], memos: Sequence[UnitMemo]) -> None:
    record.save(own)
    for memo in memos:
        memo.save()


def _finished(
    request: Request,
    engine: Engine,
    libraries: Libraries,
    told: SymbolOptions,
    written: Written,
    scratch: Path,
) -> Finished:
    return Finished(
        inputs=request.inputs,
        engine=engine.path,
        chosen=(request.clang, request.driver, request.linker),
        link_options=request.link_options,
        scripts=told.files,
        libraries=libraries,
        written=written,
        scratch=scratch,
        environ=request.environ,
    )


def _limits(request: Request) -> ImportLimits:
    """No imports where nothing is inlined: at -O0, and in IR that is optimised already."""
    lines = IMPORT_LINES if request.import_lines is None else request.import_lines
    if request.level == 0 or not request.optimize or lines == 0:
        return NO_IMPORTS
    return ImportLimits(lines, IMPORT_TOTAL)


def _apart(request: Request) -> Apart:
    """What has sections of its own. In an image what nobody needs is dropped by us."""
    if request.emit not in ("object", "archive"):
        return NOTHING_APART
    said = {"function": False, "data": False}
    for flag in request.clang_flags:
        if match := re.fullmatch(r"-f(no-)?(function|data)-sections", flag):
            said[match[2]] = match[1] is None
    return Apart(code=said["function"], data=said["data"])


def _driver(request: Request, options: Options, loaded: Loaded) -> str | None:
    """The link driver asked for; else clang, for another machine's image (it has all targets) and for
    what clang instrumented (it knows the libraries that go with it)."""
    instrumented = bool(loaded.whole) and clang.instruments(request.clang_flags)
    told = any(map(_CLANGS_LINK.match, (*request.clang_flags, *request.link_options)))
    if request.driver or not (is_foreign(options) or instrumented or told):
        return request.driver
    return " ".join(clang.find_clang(request.clang, request.environ).command)


#: What clang as a driver links other libraries for than gcc does, or gcc does not know.
_CLANGS_LINK: Final = re.compile(
    r"-fopenmp(?!-simd|-version)|-fsanitize|--?stdlib=|--?rtlib=|--?unwindlib=|-nostdlib\+\+|-fxray|-fprofile-"
    r"|-fcs-profile|-fcoverage|--?coverage|-fmemory-profile|-static-openmp|-(?:static|shared)-lib[at]?san"
    r"|--gcc-(?:toolchain|install-dir|triple)|-resource-dir|-framework|--?static-pie|-nopie|-noprebind"
)


def _mentioned(modules: tuple[Module, ...]) -> set[str]:
    return {symbol_name(token) for module in modules for token in module.entities}


#: With these, compilers link start-up code that turns denormals off.
_FAST_MATH: Final = ("-ffast-math", "-Ofast", "-funsafe-math-optimizations")

_LINKED_TOO: Final = (
    *_FAST_MATH,
    *("-fsanitize", "-fprofile", "-fcoverage", "--coverage", "-pthread", "-fopenmp", "-pg", "-m32"),
    *("-stdlib=", "-rtlib=", "--rtlib=", "-unwindlib=", "--unwindlib=", "--sysroot=", "-fmemory-profile"),
    "-fxray",
)


def _link_flags(request: Request) -> tuple[str, ...]:
    """The flags that a link driver needs as well, and were given for the compiler alone."""
    given = frozenset(request.link_options)
    return tuple(f for f in request.clang_flags if f.startswith(_LINKED_TOO) and f not in given)


def _libraries(request: Request) -> Libraries:
    if request.emit != "exe":
        return Libraries()
    return scan_libraries(request.link_options, request.driver, request.environ)


def _links(request: Request) -> bool:
    """Whether link options reach a linker."""
    return request.emit in ("exe", "shared") or (request.emit == "object" and "-r" in request.line)


def _told(request: Request, loaded: Loaded, libraries: Libraries) -> SymbolOptions:
    """What the linker is told about symbols, if there is a link that is told anything."""
    if _links(request):
        words = (*request.link_options, *_natives(loaded))
        return read_symbol_options(words, libraries.scripts, libraries.folders)
    return SymbolOptions()


#: What compilers take for both of their steps.
_NOT_OF_LINKS_ALONE: Final = (
    "-pthread",
    "-static",
    "-shared",
    "-pie",
    "-no-pie",
    "-Wl,--compress-debug-sections",
)


def _unused(request: Request) -> list[str]:
    """Says which link options do nothing."""
    if _links(request):
        return []
    options = [word for word in request.link_options if not word.startswith(_NOT_OF_LINKS_ALONE)]
    return [f"--emit {request.emit} links nothing: not used: {' '.join(options)}"] if options else []


def _natives(loaded: Loaded) -> list[str]:
    """The native inputs, but for those that the linker is told to be of another format."""
    return [os.fspath(path) for path in loaded.native.values() if clang.language(path) != "link"]


def _native_symbols(
    request: Request, loaded: Loaded, libraries: Libraries, told: SymbolOptions
) -> NativeSymbols:
    """What native inputs, those that scripts name as well, and system libraries define and need."""
    defined = set(libraries.symbols)
    undefined: set[str] = set()
    common = False
    given = (*_natives(loaded), *linker_files(request.link_options), *told.inputs)
    for path in dict.fromkeys(given):
        try:
            symbols = scan_native(path)
        except (BadObject, OSError) as error:
            raise BuildError(f"{path}: cannot be linked: {error}") from None
        defined |= symbols.defined
        undefined |= symbols.undefined
        common = common or symbols.common
    return NativeSymbols(frozenset(defined), frozenset(undefined), common)


class _Work:
    """Follows the program from its roots: keys units, looks them up, compiles what is missing."""

    def __init__(
        self,
        request: Request,
        engine: Engine,
        options: Options,
        program: Program,
        units: tuple[Unit, ...],
        defined_in: Mapping[str, list[int]],
        final: bool,
        limits: ImportLimits,
        fingerprints: Fingerprints,
        memos: Sequence[UnitMemo],
        record: BuildRecord,
        clock: Clock,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.store, self.engine, self.options = request.store, engine, options
        self.program, self.units, self.defined_in, self.final = program, units, defined_in, final
        self.limits, self.record = limits, record
        self.fingerprints, self.memos = fingerprints, memos
        self.own: dict[str, str] = {}  # digests of the units' own code, by name
        self.clock, self.progress, self.threads = clock, progress, request.threads
        self.objects = Spool()
        self.bindings: dict[int, str] = {}  # packed, of the units with objects
        self.line_map: dict[int, str] = {}  # packed, of those with debug information
        self.fixups: dict[int, str] = {}  # packed
        self.keys: dict[int, str] = {}
        self.seen: set[int] = set()
        self.needed: deque[int] = deque()  # reached, and not yet looked at
        self.waiting: dict[str, list[tuple[int, KeyedUnit]]] = defaultdict(list)  # by key
        #: What this build compiled: the unit, its undefined names, what LLVM said.
        self.ready: dict[str, tuple[int, str, list[Diagnostic]]] = {}
        self.queued = 0  # bytes of bitcode that waits to be compiled
        self.compiled: list[CompiledUnit] = []
        self.compiled_units: list[int] = []
        self.problems: list[str] = []
        #: What LLVM said of units, and their packed bindings.
        self.said: list[tuple[int, Diagnostic, str]] = []
        self.shared = 0
        self.saved = 0.0
        self.missing = 0
        self.missed: Counter[str] = Counter()  # by reason
        self.lookups: dict[str, float] = defaultdict(float)  # wall time, by the phase around them
        self.looked_up, self.measured, self.measured_cpu = 0, 0.0, 0.0
        self.verifier = Verifier(request.store, request.verify_percent, record.turn)
        if request.verify_percent:
            record.turn += 1

    def run(self, roots: list[int]) -> None:
        """Fills `objects` and `bindings`, these in the units' order, with all units that are reached."""
        clock, theirs = self.clock, 0.0
        tasks: dict[str, Callable[..., Any]] = {"key": self._key, "compile": self._compile}
        with clock.phase("fingerprint"):
            with Pool(self.threads, tasks, describe=self._describe) as self.pool:
                for root in roots:
                    self._need(root)
                self._look_at_needed()
                clock.charge()
                for done in self.pool.results():
                    phase = "compile" if done.job.task == "compile" else "key"
                    clock.charge(phase)  # for that it was waited
                    theirs += done.cpu_seconds
                    with clock.phase(phase):
                        (self._keyed if phase == "key" else self._made)(done)
                    self._look_at_needed()
                    clock.charge()
                    if phase == "compile":
                        clock.add("compile", 0.0, done.cpu_seconds)
            clock.charge("workers")  # to end them, and all that they used
            clock.add("workers", 0.0, -min(theirs, clock.phases["workers"].cpu))
        self._charge_lookups()
        if self.problems:
            raise BuildError(*sorted(self.problems))
        self.bindings = dict(sorted(self.bindings.items()))

    # In the workers: these see only what is passed to them and the program as it was when forked.

    def _key(self, index: int, real_lines: bool) -> tuple[KeyedUnit, bytes, bool, tuple[float, float]]:
        start = time.process_time()
        options = self.options_of(self.units[index])
        layout = self.program.modules[self.units[index].module].datalayout
        text = extract(
            self.program,
            self.units[index],
            triple=options.triple,
            datalayout=layout,
            final=self.final,
            limits=self.limits,
            keep_types=options.output == "bitcode",
            real_lines=real_lines,
        )
        middle = time.process_time()
        bitcode = self.engine.unit_bitcode(text.text)
        options = replace(options, relative=text.relative)
        key = compute_key(self.engine.identity, options, bitcode, assembler_reads(text.text))
        keyed = KeyedUnit(
            key,
            text.own,
            encode_pairs(text.bindings),
            text.imported,
            line_map=text.line_map.encode(),
            relative=text.relative,
        )
        return keyed, bitcode, not text.absolute, (middle - start, time.process_time() - middle)

    def _compile(
        self, bitcode: bytes, options: Options
    ) -> tuple[bytes, list[str], list[str], str | None, float, list[Diagnostic]]:
        start = time.process_time()
        said: list[Diagnostic] = []
        output = self.engine.emit(bitcode, options, said)
        defined, undefined = linkage(output) if options.output == "object" else ([], [])
        fixups: str | None = ""
        if options.relative:
            try:
                fixups = find_fixups(output).encode()
            except BadObject:
                fixups = None  # nowhere to put lines: it takes real ones
        return output, defined, undefined, fixups, (time.process_time() - start) * 1000, said

    # In the driver.

    def options_of(self, unit: Unit, *, relative: bool = False) -> Options:
        """Data has nothing to optimise, and a pass might drop what other units need."""
        return replace(self.options, optimize=self.options.optimize and unit.is_function, relative=relative)

    def _need(self, index: int) -> None:
        if index not in self.seen:
            self.seen.add(index)
            self.needed.append(index)

    def _look_at_needed(self) -> None:
        """Finds the keys of units that mean what they did; the others are extracted by workers."""
        while self.needed:
            index = self.needed.popleft()
            unit = self.units[index]
            fingerprint = None
            if self._has_fingerprint(unit):
                fingerprint = self._fingerprint(unit)
                known = self.memos[unit.module].unit(fingerprint)
                if known and known.fingerprints == self._imported(known) and self._has_lines(known):
                    self._use(index, known, None)
                    continue
            self._submit_key(index, fingerprint)

    def _has_lines(self, unit: KeyedUnit) -> bool:
        """Whether the lines that its object refers to are there; no fingerprint tells them."""
        return not unit.line_map or self.program.has_lines(LineMap.decode(unit.line_map))

    def _submit_key(self, index: int, fingerprint: bytes | None, *, real_lines: bool = False) -> None:
        self.pool.submit(Job("key", (index, fingerprint), (index, real_lines)), priority=_KEYS_FIRST)

    def _fingerprint(self, unit: Unit) -> bytes:
        if unit.kind == "types":
            return self.fingerprints.types(unit.module)
        return self.fingerprints.unit(unit.module, unit.tokens, imports=True)

    def _has_fingerprint(self, unit: Unit) -> bool:
        """Whether the unit's fingerprint tells all that it is made from.

        Groups and constructors depend on lists of their module; a function that was not cleaned up
        though others were is a rare one, too.
        """
        if unit.kind == "function":
            return not self.limits.lines or self.program.body(unit.module, unit.tokens[0]) is not None
        return unit.kind in ("data", "types")

    def _imported(self, unit: KeyedUnit) -> bytes:
        return digest(*map(self.fingerprints.body, unit.imported))

    def _keyed(self, done: Done) -> None:
        index, fingerprint = done.job.tag
        if done.error is not None:
            self._fail(index, done.error)
            return
        keyed, bitcode, lasting, (extract_cpu, key_cpu) = done.result
        self.clock.add("extract", 0.0, extract_cpu)
        self.clock.add("key", 0.0, key_cpu)
        if self.verifier.is_recorded_wrong(index, self._label(index), keyed.key):
            unit = self.units[index]
            fingerprint = self._fingerprint(unit)  # to be recorded again
        if fingerprint is not None and lasting:
            memo = self.memos[self.units[index].module]
            memo.add_unit(fingerprint, replace(keyed, fingerprints=self._imported(keyed)))
        self._use(index, keyed, bitcode)

    def _use(self, index: int, keyed: KeyedUnit, bitcode: bytes | None) -> None:
        """Takes the object of a key, or has it compiled; without bitcode, after that was made."""
        key = self.keys[index] = keyed.key
        self.own[self.units[index].name] = keyed.own
        if key in self.waiting:
            self.waiting[key].append((index, keyed))
            self.shared += 1
            return
        if key in self.ready:
            self.shared += 1
            first, undefined, said = self.ready[key]
            self._take(
                index, self.objects[first], decode_names(undefined), keyed, self.fixups.get(first, ""), said
            )
            return
        found = self._load(key)
        sampled = found is not None and self.verifier.samples(key)
        if found is not None and not sampled:
            self.saved += found.milliseconds
            self._take(index, found.entry.payload, found.undefined, keyed, found.fixups, found.said)
            return
        if bitcode is None:
            if sampled:
                self.verifier.expect(index, key)
            self._submit_key(index, None)
            return
        self.waiting[key].append((index, keyed))
        if found is not None:
            self.verifier.hold(found.entry, bitcode)
        else:
            self.missing += 1
            self.missed[self.record.why_missed(self.units[index].name, key)] += 1
        self.queued += len(bitcode)
        options = self.options_of(self.units[index], relative=keyed.relative)
        job = Job("compile", (index, key), (bitcode, options))
        self.pool.submit(job, priority=len(bitcode) + (2 * _KEYS_FIRST if self.queued > _QUEUE else 0))

    def _load(self, key: str) -> StoredObject | None:
        """An object from the store. Few look-ups are asked for processor time: that takes a tenth of one."""
        measured = self.looked_up % _MEASURED == 0
        cpu = time.process_time() if measured else 0.0
        start = time.perf_counter()
        with Waiting("the cache folder"):
            found = self.store.read(key, lambda entry: read_object(entry, self.options.output))
        taken = time.perf_counter() - start
        self.looked_up += 1
        self.lookups[self.clock.current] += taken
        if measured:
            self.measured += taken
            self.measured_cpu += time.process_time() - cpu
        return found

    def _charge_lookups(self) -> None:
        """Takes from the phase around them what look-ups took."""
        share = min(1.0, self.measured_cpu / self.measured) if self.measured else 0.0
        for phase, wall in self.lookups.items():
            self.clock.move("look-up", phase, wall, wall * share)

    def _made(self, done: Done) -> None:
        index, key = done.job.tag
        self.queued -= len(done.job.arguments[0])
        waiting = self.waiting.pop(key)
        if done.error is not None:
            for waiter, _ in waiting:
                self._fail(waiter, done.error)
            return
        output, defined, undefined, fixups, milliseconds, said = done.result
        if fixups is None:
            for waiter, _ in waiting:
                # Not to be remembered: what it means does not tell its lines.
                self._submit_key(waiter, None, real_lines=True)
            return
        meta = object_meta(self.options.output, defined, undefined, milliseconds, fixups, said)
        entry = Entry(key, output, meta)
        hit = self.verifier.compare(self._label(index), entry)  # of the same content, else None
        self.ready[key] = index, encode_names(undefined), said
        for waiter, keyed in waiting:
            self._take(waiter, output, undefined, keyed, fixups, said)
        if hit is not None:
            return
        with self.clock.phase("store"), Waiting("the cache folder"):
            self.store.save(entry)
        unit = self.units[index]
        importer = self.record.unchanged(unit.name, self.own[unit.name])
        self.compiled.append(CompiledUnit(self._display(unit), unit.kind, milliseconds, importer))
        self.compiled_units.append(index)
        if self.progress:
            self.progress(len(self.compiled), self.missing)

    def _take(
        self,
        index: int,
        output: bytes,
        undefined: Iterable[str],
        keyed: KeyedUnit,
        fixups: str,
        said: Iterable[Diagnostic],
    ) -> None:
        """Keeps a unit's object and what LLVM said of it, and follows what it leaves undefined."""
        self.objects.put(index, output)
        self.bindings[index] = keyed.bindings
        self.said += [(index, one, keyed.bindings) for one in said]
        if fixups:
            self.fixups[index] = fixups
            self.line_map[index] = keyed.line_map
        names = decode_pairs(keyed.bindings)
        for name in undefined:
            final = names.get(name, name)
            # Asm may ask for a version of a symbol.
            for target in self.defined_in.get(final, ()) or self.defined_in.get(final.partition("@")[0], ()):
                self._need(target)

    def _display(self, unit: Unit) -> str:
        """The name by which the source knows the unit."""
        return symbol_name(unit.tokens[0]) if unit.kind == "function" else unit.name

    def _describe(self, job: Job) -> str:
        return f"LLVM on {self._label(job.tag[0])}"

    def _label(self, index: int) -> str:
        """Where a unit is, for messages."""
        label, name = self.place(index)
        return f"{label}: {self.units[index].kind} '{name}'"

    def place(self, index: int) -> tuple[str, str]:
        """A unit's input, and its name there."""
        unit = self.units[index]
        return self.program.modules[unit.module].label, self._display(unit)

    def _fail(self, index: int, error: Exception) -> None:
        where = self._label(index)
        spoken = read_spoken(str(error)) if isinstance(error, WorkerDied) else []
        refused = [Diagnostic("error", str(error))] if isinstance(error, Refused) else spoken
        if any(is_removable(said) for said in refused):
            self.said += [(index, said, "") for said in refused]
            return
        if isinstance(error, WorkerDied):
            reason = f"LLVM stopped while compiling it: {error}{error.advice()}"
        elif isinstance(error, (BuildError, RuntimeError)):
            reason = llvm.first_line(str(error))
        else:
            raise error
        self.problems.append(f"{where}: {reason}")
