"""The driver: from inputs to an image, one named step after the other."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from nativecache.aot.called_once import find_called_once, longest_import
from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.codegen.target import choose_target, is_foreign
from nativecache.aot.errors import Lumped, PlanLost, Unread
from nativecache.aot.front.load import Loaded, index, load
from nativecache.aot.front.sources import Front, is_source
from nativecache.aot.image_link import ImageLink, finished_build
from nativecache.aot.ir.module import Module
from nativecache.aot.key import Options, assembler_reads, option_fields
from nativecache.aot.output.image import Image, ImageFacts
from nativecache.aot.output.link_inputs import (
    explain_link,
    link_driver,
    link_flags,
    mentioned_symbols,
    name_sources,
    native_symbols,
    read_told,
    unused_options,
)
from nativecache.aot.output.link_line import Ours, arrange
from nativecache.aot.output.own_sections import LUMPED, asked_apart, lumped_modules
from nativecache.aot.output.pieces import Member, Pieces, group_modules, piece_key
from nativecache.aot.pool import Pool
from nativecache.aot.records.clean_ups import bodies_key
from nativecache.aot.records.history import BuildRecord
from nativecache.aot.records.last_plan import LastPlan, load_plan
from nativecache.aot.records.memo import UnitMemo, memo_key, record_names
from nativecache.aot.records.system_libraries import known_libraries
from nativecache.aot.report import Clock, Report
from nativecache.aot.request import Request
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Memory, Scheduled, Scheduler
from nativecache.aot.simplify import find_bodies
from nativecache.aot.standing.keep import Whole, describe_inputs, guard, keep, may_stand
from nativecache.aot.standing.module_state import count_checksums
from nativecache.aot.standing.program import Given
from nativecache.aot.standing.replan import Replan, replan
from nativecache.aot.standing.settle import Counts, Settled
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import (
    IMPORT_LINES,
    IMPORT_TOTAL,
    NO_IMPORTS,
    ImportCandidates,
    ImportLimits,
)
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.partition import partition
from nativecache.aot.units.resolve import check_one_file, resolve_symbols
from nativecache.aot.units.roots import find_roots, index_symbols, root_rules
from nativecache.aot.verify import Verifier
from nativecache.aot.whole import judge, searching_sources, sources_named, why_whole
from nativecache.aot.workers import edit_workers
from nativecache.aot.write import write_file
from nativecache.cache.dependencies import Dependency, observe
from nativecache.cache.entry import AGAIN, FIRST
from nativecache.cache.recipe import Recipe
from nativecache.linker.errors import LinkError
from nativecache.linker.libraries import Libraries
from nativecache.linker.native import NativeSymbols
from nativecache.linker.shown import warning_line
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass, replace


def build(request: Request, front: Front, *, progress: Callable[[int, int], None] | None = None) -> Report:
    """Builds the image.

    `front` was started on the same request. `progress(compiled, missing)` is called as units are
    compiled. Raises BuildError (with what was compiled so far kept in the cache), UsageError, and LinkError.
    """
    clock = Clock(front.start, front.start_cpu)
    # While clang is at work, find what depends on no input.
    with clock.phase("tools"):
        sources = front.sources
        engine = llvm.find_engine(
            request.engine,
            sources.end.clang.command[0] if sources else None,
            request.store,
            request.environ.get("LD_LIBRARY_PATH", ""),
        )
        libraries = known_libraries(request, front.cache.start.since)
        last = load_plan(request.store, request.output) if request.emit in ("exe", "shared") else None
    # Load the inputs as IR that LLVM has accepted and printed, or would print as it stands.
    unread: frozenset[Path] = frozenset()
    with clock.phase("load"):
        known = dict(zip(last.head.numbers, last.head.texts, strict=True)) if last else {}
        try:
            loaded = load(
                request.inputs,
                sources,
                request.store,
                threads=request.threads,
                known=known,
                meanwhile=partial(_look_ahead, last, engine) if last else None,
                # What is compiled later is counted for itself.
                progress=progress if request.by_file else None,
            )
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
    job = _Job(request, front, loaded, engine, libraries, clock, progress, level=AGAIN if last else FIRST)
    with edit_workers(engine, request.threads) as workers:
        for plan in job.find_plans(last):
            try:
                if report := job.build_again(plan, workers):
                    return report
            except PlanLost:
                pass  # what an earlier build left is no more
        return job.build_from_nothing(workers)


def _look_ahead(last: LastPlan, engine: Engine, number: int) -> None:
    """Reads what is kept for an edit of an input, while clang is at work on that."""
    head = last.head
    if number not in head.numbers:
        return
    i = head.numbers.index(number)
    last.look_ahead(i)
    options = replace(Options(**head.options), relative=head.described[i])
    of = [*record_names(head.labels)][i], engine.identity, options
    last.store.look_ahead(memo_key(*of))
    last.store.look_ahead(bodies_key(*of))


@dataclass(frozen=True, slots=True)
class _Planned:
    """What is to be scheduled. `again`: the plan is made from the last one; `everything` as in RootRules."""

    plan: Plan
    memory: Memory
    plain: Fingerprints
    again: Replan | None = None
    everything: bool = False
    #: Digests of the files that assemblers read.
    files: tuple[bytes, ...] = ()


class _Job:
    """A build whose inputs are loaded."""

    def __init__(
        self,
        request: Request,
        front: Front,
        loaded: Loaded,
        engine: Engine,
        libraries: Libraries,
        clock: Clock,
        progress: Callable[[int, int], None] | None,
        *,
        level: int,
    ) -> None:
        """`level`: how hard what is kept is folded (cache/entry.py)."""
        self._level = level
        self._request, self._front, self._loaded = request, front, loaded
        self._engine, self._libraries, self._clock = engine, libraries, clock
        self._progress = progress
        with clock.phase("resolve"):
            self._told = read_told(request, loaded, libraries)
            self._native = native_symbols(request, loaded, libraries, self._told)
        self._limits = _limits(request)
        self._apart = asked_apart(request, self._told)
        self._warnings: list[str] = []
        self._guard = ""
        if may_stand(request, self._told):
            self._guard = guard(
                request, loaded, engine, self._told, self._native, self._limits, front.scratch
            )

    def find_plans(self, last: LastPlan | None) -> Iterator[LastPlan]:
        """Plans of earlier builds that this one may be planned by: that of the output's last one, if it had
        the same inputs, and those of other outputs."""
        if not self._guard:
            return
        own = None
        if last and (last.head.guard, last.head.inputs) == (self._guard, describe_inputs(self._loaded)):
            own = last
            yield own
        from nativecache.aot.standing.adopt import find_plans

        runs = [item.modules for item in self._line() if isinstance(item, Ours)]
        others = find_plans(self._request.store, self._guard, self._loaded, runs, own)
        while True:
            with self._clock.phase("plan"):
                found = next(others, None)
            if found is None:
                return
            yield found

    def build_again(self, last: LastPlan, workers: Pool) -> Report | None:
        """Builds by the plan of an earlier build; None where that does not do.

        Raises PlanLost, and what `build` does.
        """
        planned = self._plan_again(last, workers)
        return self._build(planned, workers) if planned else None

    def build_from_nothing(self, workers: Pool) -> Report:
        """Builds by no earlier plan. Raises what `build` does."""
        try:
            planned = self._plan(workers)
        except Lumped as error:
            return _build_whole(self._request, error.sources, self._front, self._progress)
        return self._build(planned, workers)

    def _build(self, planned: _Planned, workers: Pool) -> Report:
        request, clock = self._request, self._clock
        plan, memory = planned.plan, planned.memory
        verifier = _verifier(request, memory.history)
        scheduled = Scheduler(
            plan,
            self._engine,
            request.store,
            memory,
            verifier=verifier,
            clock=clock,
            workers=workers,
            progress=self._progress,
        ).run()
        # What LLVM refuses, or what -Werror makes of its warnings, is for clang to judge over the whole file.
        said, whole = judge(request, plan, scheduled.heard)
        if whole:
            return _build_whole(request, whole, self._front, self._progress)
        # Join what stood with what was made anew; what modules put into the image is kept by module.
        with clock.phase("plan"):
            settled = Settled(planned.again, scheduled, request.store) if planned.again else None
            pieces = None if settled else self._pieces(plan, scheduled)
        # Rename, archive and link, but for the very objects of the last link, whose output stands.
        with clock.phase("rename"):
            image = self._image(plan, scheduled, settled, pieces)
        driver = link_driver(request, plan.options, self._loaded)
        link = ImageLink(request, image, self._told, driver, self._front.scratch, clock)
        remember = partial(self._remember, planned, scheduled, settled, image)
        # Where a hit turned out to be wrong, the last image may hold it, too.
        try:
            written = link.write(trusted=not verifier.mismatches, meanwhile=remember)
        except LinkError as error:
            lines = name_sources(error.lines, request, self._loaded)
            raise LinkError(*explain_link(lines, request, plan.options)) from None
        written = replace(written, warnings=name_sources(written.warnings, request, self._loaded))
        # Note what was read, so that the next build can tell whether it has anything to do.
        with clock.phase("note"):
            reads = None
            if request.store.root and not any(planned.files):
                found = (self._engine, self._libraries, self._told, written, self._front.scratch)
                reads = link.note(finished_build(request, *found), self._front)
            reads = _write_depfiles(self._front, reads)
        before = (*self._loaded.warnings, *unused_options(request), *self._warnings)
        warnings = (*before, *said, *written.warnings)
        return self._report(planned, scheduled, settled, verifier, warnings, written.image, reads)

    # Planning

    def _plan_again(self, last: LastPlan, workers: Pool) -> _Planned | None:
        """A plan made from that of the last build, where nothing changed that all modules rest on."""
        request, engine = self._request, self._engine
        with self._clock.phase("plan"):
            options = Options(**last.head.options)
            output = _output_model(request, (), self._told, self._native, last.head.directory)
            given = Given(
                loaded=self._loaded,
                engine=engine,
                store=request.store,
                limits=self._limits,
                output=output,
                told=self._told,
                native=self._native,
                context=_context(output, options, self._limits, [b""] * len(last)),
                workers=workers,
            )
            again = replan(last, given)
            if again is None:
                return None
            arranged = again.arranged
            like = last.output if last.adopted else None
            history = BuildRecord(request.store, engine.identity, options, request.output, like)
            memory = Memory(arranged.fingerprints, arranged.memos, history, again)
            return _Planned(again.plan, memory, arranged.plain, again)

    def _plan(self, workers: Pool) -> _Planned:
        """A plan made from nothing. Raises Lumped, and what `build` does."""
        request, engine, clock, limits = self._request, self._engine, self._clock, self._limits
        # Find the entities in the printed text.
        with clock.phase("index"):
            texts = [(text.label, text.text) for text in self._loaded.texts]
            # Lines are put into objects later; into asm and bitcode they cannot be, so they stay as they are.
            modules, directory = index(texts, relative=request.emit not in ("asm", "bitcode"))
            files = tuple(assembler_reads(text) for _, text in texts)
            for text in self._loaded.texts:
                if self._guard:
                    text.outline, text.content  # noqa: B018 - kept for the next build, made from the text
                text.forget()  # the index has all of it, in pieces
            del texts
        # Agree on one target for all of them.
        with clock.phase("target"):
            options, modules = choose_target(request, modules, engine)
        # Resolve symbols over the whole program.
        with clock.phase("resolve"):
            output = _output_model(request, modules, self._told, self._native, directory)
            program = resolve_symbols(modules, output, self._told, self._native.defined)
            if request.emit in ("asm", "bitcode"):
                check_one_file(program)
        # Cut it into units.
        with clock.phase("partition"):
            units = partition(program, self._apart)
            lumped = {program.modules[i].label for i in lumped_modules(program, units, self._apart)}
            if sources := sources_named(request, lumped):
                raise Lumped(sources)
            self._warnings = [warning_line(f"{label}: {LUMPED}") for label in sorted(lumped)]
            defined_in = index_symbols(program, units)
            executable = request.emit == "exe" and not self._told.shared
            outside = self._native.defined | self._native.undefined
            rules = root_rules(defined_in, executable=executable, options=self._told, outside=outside)
            roots = find_roots(program, units, rules, all_units=request.emit in ("asm", "bitcode"))
        # What each input's units were made from, and became, in earlier builds.
        with clock.phase("memo"):
            memos = _open_memos(request, engine, options, modules)
            plain = Fingerprints(program, _context(program.output, options, limits, files), memos)
        # Clean each function up alone, so that callees worth inlining can be told and carried.
        candidates = ImportCandidates({}, frozenset(), limits)
        if limits.lines:
            with clock.phase("simplify"):
                every = range(len(modules))
                bodies = find_bodies(
                    program,
                    units,
                    plain,
                    memos,
                    engine=engine,
                    options=options,
                    store=request.store,
                    workers=workers,
                )
                numbered = dict(enumerate(units))
                longest = longest_import(program, limits)
                once = find_called_once(program, bodies, every, numbered, plain, roots, longest)
                candidates = ImportCandidates(bodies, once, limits)
        # Key, look up and compile what the roots reach.
        plan = Plan(program, units, defined_in, tuple(roots), options, candidates)
        with clock.phase("memo"):
            memory = Memory(
                ImportFingerprints(plain, candidates, longest_import(program, limits)),
                memos,
                BuildRecord(request.store, engine.identity, options, request.output),
            )
        return _Planned(plan, memory, plain, everything=rules.everything, files=files)

    # Linking

    def _pieces(self, plan: Plan, scheduled: Scheduled) -> Pieces | None:
        """What each module puts into an image; None where that is not kept by module."""
        program = plan.program
        if not self._guard or not self._request.store.keeps or count_checksums(program) is None:
            return None
        found: dict[int, list[Member]] = defaultdict(list)
        for i, result in scheduled.results.items():
            unit, line_map = plan.units[i], result.line_map if result.fixups else None
            found[unit.module].append(Member(unit, result.key, result.bindings, line_map))
        keys = {i: piece_key(program, i, members) for i, members in found.items()}
        runs = [item.modules for item in self._line() if isinstance(item, Ours)]
        sizes = {i: len(members) for i, members in found.items()}
        groups = group_modules(runs, sizes, len(program.modules))
        objects = {i: [member.key for member in members] for i, members in found.items()}
        checksums = program.checksums[0] if program.modules else {}  # no two modules' differ
        return Pieces(self._request.store, keys, groups, objects=objects.get, checksums=checksums)

    def _line(self) -> tuple[Path | str | Ours, ...]:
        """What goes to the linker, in order."""
        loaded = self._loaded
        return (*link_flags(self._request), *arrange(self._request.line, loaded.numbers, loaded.native))

    def _image(
        self, plan: Plan, scheduled: Scheduled, settled: Settled | None, pieces: Pieces | None
    ) -> Image:
        request, loaded = self._request, self._loaded
        target = plan.options.triple if is_foreign(plan.options) else request.target
        image = partial(
            Image,
            program=plan.program,
            units=plan.units,
            line=self._line(),
            target=target,
            triple=plan.options.triple,
            apart=self._apart,
        )
        if settled:
            return image(
                objects=settled.objects,
                results=settled.results,
                cplusplus=settled.kept.head.cplusplus,
                facts=settled.facts,
                pieces=settled.pieces,
                members=settled.members,
            )
        modules = [part.module for part in plan.program.modules]
        return image(
            objects=scheduled.objects,
            results=scheduled.results,
            cplusplus=loaded.cplusplus or "__gxx_personality_v0" in mentioned_symbols(modules),
            facts=ImageFacts.of(plan.program),
            pieces=pieces,
        )

    # What is kept

    def _remember(
        self, planned: _Planned, scheduled: Scheduled, settled: Settled | None, image: Image
    ) -> None:
        """Saves what the next build of this output, or of these inputs, need not find out again."""
        plan, memory, request = planned.plan, planned.memory, self._request
        if settled:
            memory.history.update(*settled.digests())
            settled.kept.save(request.store, request)
        else:
            memory.history.save({plan.units[i].name: result.own for i, result in scheduled.results.items()})
        if planned.again:
            planned.again.arranged.save_memos()
        else:
            for memo in memory.memos:
                memo.save()
        if settled or image.pieces is None or any(planned.files):
            return
        longest = longest_import(plan.program, self._limits)
        whole = Whole(plan, planned.plain, memory.fingerprints, scheduled, longest, planned.everything)
        given = self._guard, self._loaded, image.pieces, image.known
        if kept := keep(whole, *given, cplusplus=image.cplusplus):
            kept.save(request.store, request, self._level)

    def _report(
        self,
        planned: _Planned,
        scheduled: Scheduled,
        settled: Settled | None,
        verifier: Verifier,
        warnings: tuple[str, ...],
        image: str,
        reads: tuple[Dependency, ...] | None,
    ) -> Report:
        request, loaded, front, plan = self._request, self._loaded, self._front, planned.plan
        if settled:
            counts = settled.counts()
            sealed: dict[str, str] = {}
        else:
            done = [plan.units[i] for i in scheduled.results]
            functions = sum(unit.is_function for unit in done)
            groups = sum(unit.kind == "group" for unit in done)
            counts = Counts(len(plan.units), len(done), functions, groups, scheduled.saved_seconds)
            sealed = {part.label: part.bonds.sealed for part in plan.program.modules if part.bonds.sealed}
        return Report(
            output=request.output.name,
            units=counts.reached,
            functions=counts.functions,
            function_hits=counts.functions - len(scheduled.compiled_functions),
            hits=counts.reached - len(scheduled.compiled),
            shared=scheduled.shared,
            grouped=counts.groups,
            unreached=counts.units - counts.reached,
            planned_modules=len(planned.again.arranged.units if planned.again else plan.program.modules),
            compiled=scheduled.compiled,
            corrupt=request.store.corrupt.total(),
            saved_seconds=counts.saved_seconds,
            whole=loaded.whole,
            whole_hits=loaded.whole_hits,
            whole_for=why_whole(request, loaded.whole),
            sealed=sealed,
            warnings=warnings,
            phases=self._clock.phases,
            wall_seconds=time.perf_counter() - front.start,
            image_bytes=_size(request.output),
            sources=sum(map(is_source, request.inputs)),
            sources_unchanged=front.cache.unchanged,
            not_kept=dict(front.cache.not_kept),
            doubts=front.cache.compilers.doubts,
            missed=scheduled.missed,
            on_preambles=front.cache.on_preambles,
            verified=verifier.checked + front.cache.verified,
            mismatches=(*verifier.mismatches, *front.cache.mismatches),
            image=image,
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


def _context(output: OutputModel, options: Options, limits: ImportLimits, files: Sequence[bytes]) -> bytes:
    """The digest of what all fingerprints of a build depend on besides the program's text."""
    return Recipe(
        *option_fields(options),
        ("limits", f"{limits.lines} {limits.total}"),
        ("drops-comdats", str(output.drops_comdats)),
        ("interposable", str(output.interposable)),
        ("separate", str(output.separate)),
        *(("files", found) for found in files),
    ).digest()


def _open_memos(
    request: Request, engine: Engine, options: Options, modules: Sequence[Module]
) -> list[UnitMemo]:
    """The memo of each input. Their options say whether its lines are relative: with debug information."""
    return [
        UnitMemo(name, engine.identity, replace(options, relative=m.debug is not None), request.store)
        for m, name in zip(modules, record_names([m.label for m in modules]), strict=True)
    ]


def _verifier(request: Request, history: BuildRecord) -> Verifier:
    """What compiles a share of the hits again, another share at each build."""
    verifier = Verifier(request.store, request.verify_percent, history.turn)
    if request.verify_percent:
        history.count_verification()
    return verifier


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
    beside = [path.with_suffix(".su") for path in native if scratch in path.parents]
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
