"""The driver: from inputs to an image, one named step after the other."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nativecache.aot.called_once import find_called_once, longest_import
from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.codegen.target import choose_target, is_foreign
from nativecache.aot.errors import Unread
from nativecache.aot.front.load import Loaded, index, load
from nativecache.aot.front.sources import Front, is_source
from nativecache.aot.image_link import ImageLink, finished_build
from nativecache.aot.ir.module import Module
from nativecache.aot.key import Options, assembler_reads, option_fields
from nativecache.aot.output.image import Image
from nativecache.aot.output.link_inputs import (
    explain_link,
    link_driver,
    link_flags,
    mentioned_symbols,
    name_sources,
    native_symbols,
    read_told,
    system_libraries,
    unused_options,
)
from nativecache.aot.output.link_line import arrange
from nativecache.aot.records.history import BuildRecord
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.report import Clock, Report
from nativecache.aot.request import Request
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Memory, Scheduled, Scheduler
from nativecache.aot.simplify import find_bodies
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import (
    IMPORT_LINES,
    IMPORT_TOTAL,
    NO_IMPORTS,
    ImportCandidates,
    ImportLimits,
)
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.partition import NOTHING_APART, Apart, Unit, partition
from nativecache.aot.units.program import Program
from nativecache.aot.units.resolve import check_one_file, resolve_symbols
from nativecache.aot.units.roots import find_roots, index_symbols
from nativecache.aot.verify import Verifier
from nativecache.aot.whole import judge, searching_sources, why_whole
from nativecache.aot.write import write_file
from nativecache.cache.dependencies import Dependency, observe
from nativecache.cache.recipe import Recipe
from nativecache.linker.errors import LinkError
from nativecache.linker.native import NativeSymbols
from nativecache.linker.symbol_options import SymbolOptions


def build(  # noqa: PLR0915 - the phases, one after the other
    request: Request, front: Front, *, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Builds the image.

    `front` was started on the same request. `progress(compiled, missing)` is called as units are
    compiled. Raises BuildError (with what was compiled so far kept in the cache), UsageError, and LinkError.
    """
    clock = Clock(front.start, front.start_cpu)
    # While clang is at work, find what depends on no input.
    with clock.phase("tools"):
        sources = front.sources
        engine = llvm.find_engine(request.engine, sources.end.clang.command[0] if sources else None)
        libraries = system_libraries(request)
    # Load the inputs as IR that LLVM has accepted and printed, or would print as it stands.
    unread: frozenset[Path] = frozenset()
    with clock.phase("load"):
        try:
            loaded = load(request.inputs, sources, request.store, threads=request.threads)
            _write_stack_usage(request, front.scratch, loaded)
        except Unread as error:
            unread = error.sources
            if request.emit in ("asm", "bitcode"):
                raise
    # clang's assembler finds files in the folders for headers, too, which IR does not name.
    if not unread and request.emit not in ("asm", "bitcode"):
        unread = searching_sources(request, loaded)
    if unread:
        return _build_whole(request, unread, front, progress)
    # Find the entities in the printed text.
    with clock.phase("index"):
        # Lines are put into objects later; into asm and bitcode they cannot be, so they stay as they are.
        modules, directory = index(loaded.texts, relative=request.emit not in ("asm", "bitcode"))
        files = [assembler_reads(text) for _, text in loaded.texts]
        loaded = replace(loaded, texts=())  # the index has all of them, in pieces
    # Agree on one target for all of them.
    with clock.phase("target"):
        options, modules = choose_target(request, modules)
    # Resolve symbols over the whole program.
    with clock.phase("resolve"):
        told = read_told(request, loaded, libraries)
        native = native_symbols(request, loaded, libraries, told)
        output = _output_model(request, modules, told, native, directory)
        program = resolve_symbols(modules, output, told, native.defined)
        if request.emit in ("asm", "bitcode"):
            check_one_file(program)
    # Cut it into units.
    with clock.phase("partition"):
        apart = _apart(request)
        units = partition(program, apart)
        defined_in = index_symbols(program, units)
        roots = _roots(request, program, units, defined_in, told, native)
    # What each input's units were made from, and became, in earlier builds.
    with clock.phase("memo"):
        limits = _limits(request)
        memos = _open_memos(request, engine, options, modules)
        fingerprints = Fingerprints(program, _context(program, options, limits, files), memos)
    # Clean each function up alone, so that callees worth inlining can be told and carried.
    candidates = ImportCandidates({}, frozenset(), limits)
    if limits.lines:
        with clock.phase("simplify"):
            bodies = find_bodies(
                program,
                units,
                fingerprints,
                memos,
                engine=engine,
                options=options,
                store=request.store,
                threads=request.threads,
            )
            once = find_called_once(program, bodies, units, fingerprints, roots, limits)
            candidates = ImportCandidates(bodies, once, limits)
    # Key, look up and compile what the roots reach.
    plan = Plan(program, units, defined_in, tuple(roots), options, candidates)
    with clock.phase("memo"):
        memory = Memory(
            ImportFingerprints(fingerprints, candidates, longest_import(program, limits)),
            memos,
            BuildRecord(request.store, engine.identity, options, request.output),
        )
    verifier = _verifier(request, memory.history)
    scheduler = Scheduler(
        plan,
        engine,
        request.store,
        memory,
        verifier=verifier,
        clock=clock,
        threads=request.threads,
        progress=progress,
    )
    scheduled = scheduler.run()
    # What LLVM refuses, or what -Werror makes of its warnings, is for clang to judge over the whole file.
    said, whole = judge(request, plan, scheduled.heard)
    if whole:
        return _build_whole(request, whole, front, progress)
    # Rename, archive and link, but for the very objects of the last link, whose output stands.
    image = _image(request, loaded, plan, scheduled, apart)
    link = ImageLink(request, image, told, link_driver(request, options, loaded), front.scratch, clock)
    remember = partial(_remember, plan, scheduled, memory)
    # Where a hit turned out to be wrong, the last image may hold it, too.
    try:
        written = link.write(trusted=not verifier.mismatches, meanwhile=remember)
    except LinkError as error:
        raise LinkError(*explain_link(name_sources(error.lines, request, loaded), request, options)) from None
    written = replace(written, warnings=name_sources(written.warnings, request, loaded))
    # Note what was read, so that the next build can tell whether it has anything to do.
    with clock.phase("note"):
        reads = None
        if request.store.root and not any(files):
            finished = finished_build(request, engine, libraries, told, written, front.scratch)
            reads = link.note(finished, front)
        reads = _write_depfiles(front, reads)
    warnings = (*loaded.warnings, *unused_options(request), *said, *written.warnings)
    done = [units[i] for i in scheduled.results]
    functions = sum(unit.is_function for unit in done)
    return Report(
        output=request.output.name,
        units=len(done),
        functions=functions,
        function_hits=functions - len(scheduled.compiled_functions),
        hits=len(done) - len(scheduled.compiled),
        shared=scheduled.shared,
        grouped=sum(u.kind == "group" for u in done),
        unreached=len(units) - len(done),
        compiled=scheduled.compiled,
        corrupt=request.store.corrupt.total(),
        saved_seconds=scheduled.saved_seconds,
        whole=loaded.whole,
        whole_for=why_whole(request, loaded.whole),
        sealed={part.label: part.bonds.sealed for part in program.modules if part.bonds.sealed},
        warnings=warnings,
        phases=clock.phases,
        wall_seconds=time.perf_counter() - front.start,
        image_bytes=_size(request.output),
        sources=sum(map(is_source, request.inputs)),
        sources_unchanged=front.cache.unchanged,
        not_kept=dict(front.cache.not_kept),
        doubts=front.cache.compilers.doubts,
        missed=scheduled.missed,
        verified=verifier.checked,
        mismatches=tuple(verifier.mismatches),
        image=written.image,
        reads=reads,
    )


def _output_model(
    request: Request, modules: Iterable[Module], told: SymbolOptions, native: NativeSymbols, directory: str
) -> OutputModel:
    # What is to be linked again may become part of a library.
    for_library = request.emit != "exe" and any(module.for_library for module in modules)
    return OutputModel(
        kind=request.emit,
        interposable=request.emit == "shared" or told.shared or for_library,
        native_common=native.common,
        native_padded=native.padded,
        directory=directory,
    )


def _roots(
    request: Request,
    program: Program,
    units: tuple[Unit, ...],
    defined_in: Mapping[str, list[int]],
    told: SymbolOptions,
    native: NativeSymbols,
) -> list[int]:
    return find_roots(
        program,
        units,
        defined_in,
        executable=request.emit == "exe" and not told.shared,
        options=told,
        outside=native.defined | native.undefined,
        everything=request.emit in ("asm", "bitcode"),
    )


def _context(program: Program, options: Options, limits: ImportLimits, files: Sequence[bytes]) -> bytes:
    """The digest of what all fingerprints of a build depend on besides the program's text."""
    output = program.output
    return Recipe(
        *option_fields(options),
        ("limits", f"{limits.lines} {limits.total}"),
        ("drops-comdats", str(output.drops_comdats)),
        ("interposable", str(output.interposable)),
        ("separate", str(output.separate)),
        *(("files", found) for found in files),
    ).digest()


def _open_memos(
    request: Request, engine: Engine, options: Options, modules: Iterable[Module]
) -> list[UnitMemo]:
    """The memo of each input. Their options say whether its lines are relative: with debug information."""
    return [
        UnitMemo(m.label, engine.identity, replace(options, relative=m.debug is not None), request.store)
        for m in modules
    ]


def _verifier(request: Request, history: BuildRecord) -> Verifier:
    """What compiles a share of the hits again, another share at each build."""
    verifier = Verifier(request.store, request.verify_percent, history.turn)
    if request.verify_percent:
        history.count_verification()
    return verifier


def _remember(plan: Plan, scheduled: Scheduled, memory: Memory) -> None:
    """Saves what the next build of this output, or of these inputs, need not find out again."""
    memory.history.save({plan.units[i].name: result.own for i, result in scheduled.results.items()})
    for memo in memory.memos:
        memo.save()


def _image(request: Request, loaded: Loaded, plan: Plan, scheduled: Scheduled, apart: Apart) -> Image:
    options = plan.options
    modules = [part.module for part in plan.program.modules]
    return Image(
        program=plan.program,
        units=plan.units,
        objects=scheduled.objects,
        results=scheduled.results,
        line=(*link_flags(request), *arrange(request.line, loaded.numbers, loaded.native)),
        cplusplus=loaded.cplusplus or "__gxx_personality_v0" in mentioned_symbols(modules),
        target=options.triple if is_foreign(options) else request.target,
        triple=options.triple,
        apart=apart,
    )


def _write_depfiles(front: Front, reads: tuple[Dependency, ...] | None) -> tuple[Dependency, ...] | None:
    """Writes what -MD and its kin ask for; the files are an output that the next build looks for, too."""
    for depfile in front.depfiles:
        depfile.write()
        known = reads is not None and os.path.isfile(depfile.path)
        reads = (*reads, observe("file", (depfile.path,), {})) if reads is not None and known else None
    return reads


def _size(path: Path) -> int:
    """The bytes of the file `path`; 0 where there is none any more, as behind a pipe."""
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


def _build_whole(
    request: Request, whole: frozenset[Path], front: Front, progress: Callable[[int, int], None] | None
) -> Report:
    """The build with some more sources compiled whole. Raises what `build` does, with clang's own words."""
    again = replace(request, whole=request.whole | whole)
    with Front(again, since=front) as second:
        return build(again, second, progress=progress)


def _limits(request: Request) -> ImportLimits:
    """What units may import: nothing where nothing is inlined, at -O0 and in IR that is optimised already."""
    lines = IMPORT_LINES if request.import_lines is None else request.import_lines
    if request.level == 0 or not request.optimize or lines == 0:
        return NO_IMPORTS
    return ImportLimits(lines, IMPORT_TOTAL)


def _apart(request: Request) -> Apart:
    """What has sections of its own: in objects and archives what flags ask for, in images nothing.

    Of an image, units that nobody needs are left out, so the linker has nothing to drop.
    """
    if request.emit not in ("object", "archive"):
        return NOTHING_APART
    said = {"function": False, "data": False}
    for flag in request.clang_flags:
        if match := re.fullmatch(r"-f(no-)?(function|data)-sections", flag):
            said[match[2]] = match[1] is None
    return Apart(code=said["function"], data=said["data"])
