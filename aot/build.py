"""The driver: from inputs to an image, one named step after the other."""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nativecache.aot import clang, llvm
from nativecache.aot.bodies import find_bodies, find_called_once, longest_import
from nativecache.aot.emit import Image, Written, write_output
from nativecache.aot.engine import Engine
from nativecache.aot.errors import BuildError, UsageError
from nativecache.aot.extract import (
    IMPORT_LINES,
    IMPORT_TOTAL,
    NO_IMPORTS,
    ImportLimits,
    UnitText,
    extract,
)
from nativecache.aot.front_cache import FrontCache
from nativecache.aot.index import Module, symbol_name
from nativecache.aot.key import Options, assembler_reads, compute_key
from nativecache.aot.load import FrontEnd, Loaded, index, is_native, is_source, load
from nativecache.aot.meaning import Meanings, digest, value_digest
from nativecache.aot.memo import KeyedUnit, Memo
from nativecache.aot.partition import Unit, partition
from nativecache.aot.pool import Done, Job, Pool, WorkerDied
from nativecache.aot.program import Program, resolve_symbols
from nativecache.aot.reads import Finished, gather
from nativecache.aot.record import BuildRecord
from nativecache.aot.roots import find_roots, index_symbols, wrapped_symbols
from nativecache.cache.entry import Entry
from nativecache.cache.facts import Fact
from nativecache.cache.lookup import EntryStore
from nativecache.linker.elf import linkage
from nativecache.linker.errors import BadObject
from nativecache.linker.libraries import Libraries, scan_libraries
from nativecache.linker.native import scan_native

#: Keys go before compilations: they show what is missing, and the biggest of that is compiled first.
_KEYS_FIRST: Final = 1e12

EMIT_KINDS: Final = ("exe", "shared", "object", "archive", "asm", "bitcode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for. `linker` and `driver` are names or paths; None lets us choose."""

    inputs: tuple[Path, ...]
    output: Path
    store: EntryStore
    emit: str = "exe"
    level: int = 2
    optimize: bool = True
    target: str | None = None
    cpu: str | None = None
    features: str = ""
    threads: int = 1
    clang: str | None = None
    clang_flags: tuple[str, ...] = ()
    linker: str = "auto"
    driver: str | None = None
    engine: str = "auto"
    link_options: tuple[str, ...] = ()
    import_lines: int = IMPORT_LINES
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds of wall time and of processor time, workers' and children's included."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Compiled:
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
    compiled: tuple[Compiled, ...]
    corrupt: int
    saved_seconds: float
    whole: tuple[str, ...]
    warnings: tuple[str, ...]
    phases: dict[str, Phase]
    wall_seconds: float
    image_bytes: int
    #: Source files, and how many of them clang need not read again.
    sources: int = 0
    sources_unchanged: int = 0
    #: The value of the output's `image` fact (see cache/facts.py) as this build wrote it.
    image: str = ""
    #: What all this rests on, if that can be told.
    reads: tuple[Fact, ...] | None = None

    @property
    def importers(self) -> int:
        """How many were compiled only for what they inline."""
        return sum(unit.importer for unit in self.compiled)

    @property
    def misses(self) -> int:
        return len(self.compiled)


class Clock:
    """Adds up wall and processor time per phase."""

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}

    def add(self, name: str, wall: float, cpu: float) -> None:
        old = self.phases.get(name, Phase(0.0, 0.0))
        self.phases[name] = Phase(old.wall + wall, old.cpu + cpu)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def build(request: Request, *, progress: Callable[[int, int], None] | None = None) -> Report:
    """Builds the image.

    `progress(compiled, missing)` is called as units are compiled. Raises BuildError (with what was
    compiled so far kept in the cache), UsageError, and LinkError.
    """
    start, clock = time.perf_counter(), Clock()
    _check(request)
    final = request.emit in ("exe", "shared", "asm", "bitcode")
    with (
        tempfile.TemporaryDirectory(prefix="nativecache-") as scratch,
        FrontCache(request.store, request.environ) as front_cache,
    ):
        # Load the inputs; LLVM reads them in worker processes, for it may not survive them.
        with clock.phase("load"), Pool(request.threads, {"read": llvm.read_module}) as pool:
            front = replace(_front_end(request), cache=front_cache if request.store.root else None)
            loaded = load(request.inputs, front, pool, threads=request.threads, scratch=Path(scratch))
        # Find the entities in the printed text.
        with clock.phase("index"):
            modules = index(loaded.texts)
        # Agree on one target for all of them.
        options = _choose_target(request, modules)
        # Resolve symbols over the whole program.
        with clock.phase("resolve"):
            program = resolve_symbols(modules)
            program.interposable = request.emit == "shared"
            program.separate = request.emit == "archive"
            program.wrapped = wrapped_symbols(request.link_options)
        # Cut it into units.
        with clock.phase("partition"):
            units = partition(program, final=final)
            defined_in = index_symbols(program, units)
            libraries = _libraries(request)
            roots = _roots(request, loaded, libraries, program, units, defined_in)
        engine = llvm.find_engine(request.engine, front.clang.command[0] if front.clang else None)
        limits = _limits(request)
        # What each input's units meant and became in earlier builds.
        with clock.phase("memo"):
            memos = [Memo(m.label, engine.identity, options, request.store) for m in modules]
            files = [assembler_reads(text) for _, text in loaded.texts]
            context = value_digest((options, limits, final, program.interposable, program.separate, files))
            meanings = Meanings(program, context, memos, longest=longest_import(program, limits))
        # Clean each function up alone, so that callees worth inlining can be told and carried.
        if limits.lines:
            with clock.phase("simplify"):
                find_bodies(
                    program,
                    units,
                    meanings,
                    memos,
                    engine=engine,
                    options=options,
                    final=final,
                    store=request.store,
                    threads=request.threads,
                )
                program.once = find_called_once(program, units, meanings, roots, limits)
        # Key, look up and compile what the roots reach.
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
            meanings,
            memos,
            record,
            clock,
            progress,
        )
        objects = work.run(roots)
        with clock.phase("memo"):
            record.save(work.own)
            for memo in memos:
                memo.save()
        # Rename, archive and link.
        image = Image(
            program=program,
            units=units,
            objects=objects,
            native_before=loaded.native_before,
            native_after=loaded.native_after,
            cplusplus=loaded.cplusplus or "__gxx_personality_v0" in _mentioned(modules),
            target=options.triple if _is_foreign(options) else request.target,
        )
        written = write_output(
            image,
            emit=request.emit,
            output=request.output,
            linker=request.linker,
            driver=_driver(request, options, loaded),
            options=(*_link_flags(request.clang_flags), *request.link_options),
            environ=request.environ,
            phase=clock.phase,
        )
        # Note what was read, so that the next build can tell whether it has anything to do.
        with clock.phase("note"):
            reads = None
            if request.store.root and not any(files):
                reads = gather(_finished(request, engine, libraries, written, Path(scratch)), front_cache)
    done = [units[i] for i in objects]
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
        warnings=(*loaded.warnings, *written.warnings),
        phases=clock.phases,
        wall_seconds=time.perf_counter() - start,
        image_bytes=request.output.stat().st_size,
        sources=sum(map(is_source, request.inputs)),
        sources_unchanged=front_cache.unchanged,
        image=written.image,
        reads=reads,
    )


def _finished(
    request: Request, engine: Engine, libraries: Libraries, written: Written, scratch: Path
) -> Finished:
    return Finished(
        inputs=request.inputs,
        engine=engine.path,
        chosen=(request.clang, request.driver, request.linker),
        link_options=request.link_options,
        libraries=libraries,
        written=written,
        scratch=scratch,
        environ=request.environ,
    )


def _limits(request: Request) -> ImportLimits:
    """No imports where nothing is inlined: at -O0, and in IR that is optimised already."""
    if request.level == 0 or not request.optimize or request.import_lines == 0:
        return NO_IMPORTS
    return ImportLimits(request.import_lines, IMPORT_TOTAL)


def _check(request: Request) -> None:
    if request.output.is_dir():
        raise BuildError(f"{request.output}: is a directory; name a file with -o")
    if not request.output.absolute().parent.is_dir():
        raise BuildError(f"{request.output}: its folder does not exist")
    for path in request.inputs:
        if path.exists() and request.output.exists() and path.samefile(request.output):
            raise UsageError(f"{path}: is an input and the output; name another file with -o")


def _front_end(request: Request) -> FrontEnd:
    if not any(is_source(path) for path in request.inputs):
        return FrontEnd(None, request.level, ())
    found = clang.find_clang(request.clang, request.environ)
    flags = list(request.clang_flags)
    if request.target:
        flags.insert(0, f"--target={request.target}")
    if request.emit == "shared":
        flags.insert(0, "-fPIC")
    if request.cpu:
        x86 = (request.target or llvm.host()[0]).startswith(("x86_64", "i386", "i686"))
        flags.append(f"-march={request.cpu}" if x86 else f"-mcpu={request.cpu}")
    return FrontEnd(found, request.level, tuple(flags))


def _platform(triple: str) -> tuple[str, ...]:
    """The parts of a triple that objects must share: the vendor says nothing."""
    arch, *rest = triple.split("-")
    return ("x86_64" if arch == "amd64" else arch, *[part for part in rest if part not in ("pc", "unknown")])


def _choose_target(request: Request, modules: tuple[Module, ...]) -> Options:
    host_triple, host_cpu, host_features = llvm.host()
    triple = request.target or next((m.triple for m in modules if m.triple), host_triple)
    problems = [
        f"{m.label}: is for {m.triple}, but the build is for {triple}; build one target at a time"
        for m in modules
        if m.triple and _platform(m.triple) != _platform(triple)
    ]
    cpu, features = request.cpu or "", request.features
    if cpu == "native":
        cpu, features = host_cpu, ",".join(part for part in (host_features, features) if part)
    models = {_code_model(m) for m in modules} - {"default"}
    options = Options(
        triple=triple,
        cpu=cpu,
        features=features,
        level=request.level,
        optimize=request.optimize,
        relocation="static" if _is_static(request, modules) else "pic",
        code_model=models.pop() if len(models) == 1 else "default",
        output={"asm": "assembly", "bitcode": "bitcode"}.get(request.emit, "object"),
    )
    layout = _layout(options)
    problems += [
        f"{m.label}: its data layout is not that of {triple}; compile it for this target"
        for m in modules
        if m.datalayout and m.datalayout != layout and _platform(m.triple or triple) == _platform(triple)
    ]
    if problems:
        raise BuildError(*problems)
    for module in modules:
        module.datalayout = layout
    return options


def _is_static(request: Request, modules: tuple[Module, ...]) -> bool:
    """Whether the code may hold absolute addresses: the image is not to move, and no module minds."""
    fixed = not {"-no-pie", "-static"}.isdisjoint(request.link_options) and request.emit == "exe"
    return fixed and not any('"PIC Level"' in text for m in modules for text in m.metadata.values())


def _layout(options: Options) -> str:
    """The target's data layout. LLVM only prints what it thinks of an unknown CPU or feature."""
    if options.cpu or options.features:
        with Pool(1, {"check": llvm.check_target}) as pool:
            pool.submit(Job("check", None, (options,)))
            for done in pool.results():
                if isinstance(done.error, WorkerDied):
                    raise BuildError(f"target {options.triple}: LLVM cannot use CPU '{options.cpu}' for it")
                if done.error:
                    raise done.error
    return llvm.data_layout(options)


def _driver(request: Request, options: Options, loaded: Loaded) -> str | None:
    """The link driver asked for; else clang, for another machine's image (it has all targets) and for
    what clang instrumented (it knows the libraries that go with it)."""
    instrumented = bool(loaded.whole) and clang.compiles_whole(request.clang_flags)
    if request.driver or not (_is_foreign(options) or instrumented):
        return request.driver
    return " ".join(clang.find_clang(request.clang, request.environ).command)


def _is_foreign(options: Options) -> bool:
    return _platform(options.triple)[0] != _platform(llvm.host()[0])[0]


def _code_model(module: Module) -> str:
    """The code model that the module's flags ask for (llvm/Support/CodeGen.h numbers them)."""
    flags = module.named_metadata.get("llvm.module.flags", "")
    for token in flags.split(", "):
        text = module.metadata.get(token, "")
        if '"Code Model"' in text:
            number = int(text.rstrip("}").rsplit(" ", 1)[1])
            return ("tiny", "small", "kernel", "medium", "large")[number]
    return "default"


def _mentioned(modules: tuple[Module, ...]) -> set[str]:
    return {symbol_name(token) for module in modules for token in module.entities}


#: With these, compilers link start-up code that turns denormals off.
_FAST_MATH: Final = ("-ffast-math", "-Ofast", "-funsafe-math-optimizations")

_LINKED_TOO: Final = (
    *_FAST_MATH,
    *("-fsanitize", "-fprofile", "-fcoverage", "--coverage", "-pthread", "-fopenmp", "-pg", "-m32"),
)


def _link_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    """The compiler flags that a link driver needs as well."""
    wanted = (
        *_FAST_MATH,
        "-fsanitize",
        "-fprofile",
        "-fcoverage",
        "--coverage",
        "-pthread",
        "-fopenmp",
        "-pg",
        "-m32",
    )
    return tuple(flag for flag in flags if flag.startswith(wanted))


def _libraries(request: Request) -> Libraries:
    if request.emit != "exe":
        return Libraries()
    return scan_libraries(request.link_options, request.driver, request.environ)


def _roots(
    request: Request,
    loaded: Loaded,
    libraries: Libraries,
    program: Program,
    units: tuple[Unit, ...],
    defined_in: Mapping[str, list[int]],
) -> list[int]:
    outside = set(libraries.symbols)
    named = [Path(option) for option in request.link_options if is_native(Path(option))]
    for path in (*loaded.native_before, *loaded.native_after, *(path for path in named if path.is_file())):
        try:
            symbols = scan_native(path)
        except (BadObject, OSError) as error:
            raise BuildError(f"{path}: cannot be linked: {error}") from None
        outside |= symbols.undefined | symbols.defined
    return find_roots(
        program,
        units,
        defined_in,
        executable=request.emit == "exe",
        options=request.link_options,
        outside=frozenset(outside),
        everything=request.emit in ("asm", "bitcode"),
    )


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
        meanings: Meanings,
        memos: Sequence[Memo],
        record: BuildRecord,
        clock: Clock,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.store, self.engine, self.options = request.store, engine, options
        self.program, self.units, self.defined_in, self.final = program, units, defined_in, final
        self.limits, self.record = limits, record
        self.meanings, self.memos = meanings, memos
        self.own: dict[str, str] = {}  # digests of the units' own code, by name
        self.clock, self.progress, self.threads = clock, progress, request.threads
        self.objects: dict[int, tuple[bytes, Mapping[str, str]]] = {}
        self.seen: set[int] = set()
        self.needed: deque[int] = deque()  # reached, and not yet looked at
        self.waiting: dict[str, list[tuple[int, Mapping[str, str]]]] = defaultdict(list)  # by key
        self.ready: dict[str, Entry] = {}  # compiled by this build, by key
        self.compiled: list[Compiled] = []
        self.compiled_units: list[int] = []
        self.problems: list[str] = []
        self.shared = 0
        self.saved = 0.0
        self.missing = 0

    def run(self, roots: list[int]) -> dict[int, tuple[bytes, Mapping[str, str]]]:
        """Objects and bindings of all reached units by unit index, in unit order."""
        spans: dict[str, list[float]] = {}
        with Pool(self.threads, {"key": self._key, "compile": self._compile}) as self.pool:
            for root in roots:
                self._need(root)
            self._look_at_needed()
            last = time.perf_counter()
            for done in self.pool.results():
                now = time.perf_counter()
                phase = "compile" if done.job.task == "compile" else "key"
                spans.setdefault(phase, []).append(now - last)
                (self._keyed if phase == "key" else self._made)(done)
                self._look_at_needed()
                last = time.perf_counter()
                if phase == "compile":
                    self.clock.add("compile", 0.0, done.cpu_seconds)
        for phase, waits in spans.items():
            self.clock.add(phase, sum(waits), 0.0)
        if self.problems:
            raise BuildError(*sorted(self.problems))
        return dict(sorted(self.objects.items()))

    # In the workers: these see only what is passed to them and the program as it was when forked.

    def _key(self, index: int) -> tuple[str, bytes, UnitText, tuple[float, float]]:
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
        )
        middle = time.process_time()
        bitcode = self.engine.unit_bitcode(text.text)
        key = compute_key(self.engine.identity, options, bitcode, assembler_reads(text.text))
        return key, bitcode, replace(text, text=""), (middle - start, time.process_time() - middle)

    def _compile(self, bitcode: bytes, options: Options) -> tuple[bytes, list[str], list[str], float]:
        start = time.process_time()
        output = self.engine.emit(bitcode, options)
        defined, undefined = linkage(output) if options.output == "object" else ([], [])
        return output, defined, undefined, (time.process_time() - start) * 1000

    # In the driver.

    def options_of(self, unit: Unit) -> Options:
        """Data has nothing to optimise, and a pass might drop what other units need."""
        return self.options if unit.is_function else replace(self.options, optimize=False)

    def _need(self, index: int) -> None:
        if index not in self.seen:
            self.seen.add(index)
            self.needed.append(index)

    def _look_at_needed(self) -> None:
        """Finds the keys of units that mean what they did; the others are extracted by workers."""
        while self.needed:
            index = self.needed.popleft()
            unit = self.units[index]
            meaning = None
            if self._has_meaning(unit):
                meaning = self.meanings.unit(unit.module, unit.tokens, imports=True)
                known = self.memos[unit.module].unit(meaning)
                if known and known.imported == self._imported(known.text):
                    self._use(index, known.key, known.text, None)
                    continue
            self.pool.submit(Job("key", (index, meaning), (index,)), priority=_KEYS_FIRST)

    def _has_meaning(self, unit: Unit) -> bool:
        """Whether the unit's meaning tells all that it is made from.

        Groups and constructors depend on lists of their module; a function that was not cleaned up
        though others were is a rare one, too.
        """
        if unit.kind == "function":
            return not self.limits.lines or self.program.body(unit.module, unit.tokens[0]) is not None
        return unit.kind == "data"

    def _imported(self, text: UnitText) -> bytes:
        return digest(*map(self.meanings.body, text.imported))

    def _keyed(self, done: Done) -> None:
        index, meaning = done.job.tag
        if done.error is not None:
            self._fail(index, done.error)
            return
        key, bitcode, text, (extract_cpu, key_cpu) = done.result
        self.clock.add("extract", 0.0, extract_cpu)
        self.clock.add("key", 0.0, key_cpu)
        if meaning is not None:
            memo = self.memos[self.units[index].module]
            memo.add_unit(meaning, KeyedUnit(key, text, self._imported(text)))
        self._use(index, key, text, bitcode)

    def _use(self, index: int, key: str, text: UnitText, bitcode: bytes | None) -> None:
        """Takes the object of a key, or has it compiled; without bitcode, after that was made."""
        self.own[self.units[index].name] = text.own
        if key in self.waiting:
            self.waiting[key].append((index, text.bindings))
            self.shared += 1
            return
        if key in self.ready:
            self.shared += 1
            self._take(index, self.ready[key], text.bindings)
            return
        with self.clock.phase("look-up"):
            entry = self.store.load(key)
        if entry is not None:
            self.saved += float(entry.meta.get("milliseconds", 0))  # type: ignore[arg-type]
            self._take(index, entry, text.bindings)
            return
        if bitcode is None:
            self.pool.submit(Job("key", (index, None), (index,)), priority=_KEYS_FIRST)
            return
        self.waiting[key].append((index, text.bindings))
        self.missing += 1
        job = Job("compile", (index, key), (bitcode, self.options_of(self.units[index])))
        self.pool.submit(job, priority=len(bitcode))

    def _made(self, done: Done) -> None:
        index, key = done.job.tag
        waiting = self.waiting.pop(key)
        if done.error is not None:
            for waiter, _ in waiting:
                self._fail(waiter, done.error)
            return
        output, defined, undefined, milliseconds = done.result
        meta = {"defined": defined, "undefined": undefined, "milliseconds": round(milliseconds, 3)}
        entry = Entry(key, output, meta)
        with self.clock.phase("store"):
            self.store.save(entry)
        self.ready[key] = entry
        unit = self.units[index]
        importer = self.record.unchanged(unit.name, self.own[unit.name])
        self.compiled.append(Compiled(self._display(unit), unit.kind, milliseconds, importer))
        self.compiled_units.append(index)
        for waiter, bindings in waiting:
            self._take(waiter, entry, bindings)
        if self.progress:
            self.progress(len(self.compiled), self.missing)

    def _take(self, index: int, entry: Entry, bindings: Mapping[str, str]) -> None:
        """Keeps a unit's object and follows what it leaves undefined."""
        self.objects[index] = (entry.payload, bindings)
        undefined: Any = entry.meta["undefined"]
        for name in undefined:
            for target in self.defined_in.get(bindings.get(name, name), ()):
                self._need(target)

    def _display(self, unit: Unit) -> str:
        """The name by which the source knows the unit."""
        return symbol_name(unit.tokens[0]) if unit.kind == "function" else unit.name

    def _fail(self, index: int, error: Exception) -> None:
        unit = self.units[index]
        where = f"{self.program.modules[unit.module].label}: {unit.kind} '{self._display(unit)}'"
        if isinstance(error, WorkerDied):
            reason = f"LLVM stopped while compiling it: {error}"
        elif isinstance(error, (BuildError, RuntimeError)):
            reason = llvm.first_line(str(error))
        else:
            raise error
        self.problems.append(f"{where}: {reason}")
