"""Follows the program from its roots: keys units, looks them up, compiles what is missing.

A unit that is reached is looked at once. Where a record says which key its fingerprint led to, that key is
looked up; otherwise a worker extracts the unit and computes the key. What the store does not hold a worker
compiles, the biggest first, and units of one key share an object. What an object leaves undefined is reached
next; so what no object names, or only bodies that were inlined everywhere, is never compiled.

`states.py` has the way of one unit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.diagnostics import Diagnostic, Refused, is_removable, misses_file, read_spoken
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.key import digest
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import decode_names, decode_pairs, encode_names
from nativecache.aot.pool import FEW, Done, Job, Pool, WorkerDied
from nativecache.aot.records.history import BuildRecord
from nativecache.aot.records.memo import KeyedUnit, UnitMemo
from nativecache.aot.records.objects import StoredObject, object_meta
from nativecache.aot.report import Clock, CompiledUnit
from nativecache.aot.schedule.lookups import Lookups
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.states import UnitState, UnitStates
from nativecache.aot.schedule.tasks import (
    CompileResult,
    KeyResult,
    Written,
    compile_unit,
    join_key,
    key_unit,
    write_unit,
)
from nativecache.aot.spool import Spool
from nativecache.aot.units.bodies import unit_body
from nativecache.aot.units.fingerprint import ImportFingerprints
from nativecache.aot.units.partition import Unit
from nativecache.aot.verify import Verifier
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.linker.values import dataclass, replace
from nativecache.linker.waiting import Waiting

#: Keys go before compilations: they show what is missing, and the biggest of that is compiled first.
_KEYS_FIRST: Final = 1e12
#: With so many bytes of bitcode waiting, compilations go first, so that memory is bounded.
_QUEUE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Heard:
    """What LLVM said of a unit, given by index.

    `bindings`: packed pairs (packed.py) of symbol names in what was said and in the program.
    """

    unit: int
    diagnostic: Diagnostic
    bindings: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit's object as it was found or compiled, and what is known of it."""

    output: bytes
    undefined: Sequence[str]
    fixups: str
    said: Sequence[Diagnostic]
    milliseconds: float


class Standing(Protocol):
    """What of the last build's units stands (see replan.py)."""

    def stands(self, index: int) -> bool:
        """Whether a unit is in the image as it was, with all that it needs."""

    def kept(self, index: int, keyed: KeyedUnit) -> Outcome | None:
        """What came of a unit before, if its object is in the image already under the same names."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What else is known of a unit that is done.

    `needs`: the program's symbols that its object leaves undefined, packed (packed.py); `imported` as in
    KeyedUnit; `milliseconds`: what its object took to compile.
    """

    needs: str
    imported: tuple[str, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier builds left: records by fingerprint, one memo per input, and the output's last build.

    `standing`: what of that is in the image as it was.
    """

    fingerprints: ImportFingerprints
    memos: Sequence[UnitMemo]
    history: BuildRecord
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """All units that the image needs, by index in the units' order, with objects; and how they came about.

    Those that stand are left out; those that are kept have no object.
    """

    results: Mapping[int, UnitResult]
    outcomes: Mapping[int, Outcome]
    objects: Mapping[int, bytes]
    compiled: tuple[CompiledUnit, ...]
    #: The indices of the compiled units with code.
    compiled_functions: frozenset[int]
    #: Units that took the object of another one.
    shared: int
    saved_seconds: float
    #: Reasons of misses, counted.
    missed: Mapping[str, int]
    heard: tuple[Heard, ...]
    #: Whether some unit has real lines in its text: no fingerprint covers those.
    real_lines: bool = False


class Scheduler:
    """Brings all units that the roots reach to an object. Used once."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        store: EntryStore,
        memory: Memory,
        *,
        verifier: Verifier,
        clock: Clock,
        workers: Pool,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """`workers`: those of `edit_workers`, which do an edit's few units, and end with them."""
        self._workers = workers
        self._is_small = memory.standing is not None and len(plan.roots) <= FEW
        #: Units that were written here, while workers key them.
        self._written: dict[int, Written] = {}
        self._plan, self._engine, self._store = plan, engine, store
        self._standing = memory.standing
        self._outcomes: dict[int, Outcome] = {}
        self._memory, self._verifier, self._clock = memory, verifier, clock
        self._progress = progress
        self._lookups = Lookups(store, plan.options.output, clock)
        self._states = UnitStates()
        self._objects = Spool()
        self._results: dict[int, UnitResult] = {}
        #: By key that a worker compiles: the units that take the object, first the one that is compiled.
        self._waiting: dict[str, list[tuple[int, KeyedUnit]]] = defaultdict(list)
        #: What this build compiled, by key: the unit with the object, and all else of it.
        self._ready: dict[str, tuple[int, Finished]] = {}
        self._queued = 0  # bytes of bitcode that waits to be compiled
        self._missing = 0  # keys that are or were to be compiled
        self._compiled: dict[int, CompiledUnit] = {}
        self._problems: list[str] = []
        self._heard: list[Heard] = []
        self._real_lines = False
        self._shared = 0
        self._saved = 0.0
        self._missed: Counter[str] = Counter()

    def run(self) -> Scheduled:
        """Compiles or finds all units that are reached. Raises BuildError with all that failed."""
        clock, theirs = self._clock, 0.0
        with clock.phase("fingerprint"):
            with self._workers if self._is_small else self._own_workers() as self._pool:
                for root in self._plan.roots:
                    self._states.need(root)
                self._look_at_needed()
                clock.charge()
                for done in self._pool.results(self._describe):
                    phase = "compile" if done.job.task == "compile" else "key"
                    clock.charge(phase)  # for that it was waited
                    theirs += done.cpu_seconds
                    with clock.phase(phase):
                        (self._take_key if phase == "key" else self._take_compiled)(done)
                    self._look_at_needed()
                    clock.charge()
                    if phase == "compile":
                        clock.add("compile", 0.0, done.cpu_seconds)
            clock.charge("workers")  # to end them, and all that they used
            clock.add("workers", 0.0, -min(theirs, clock.phases["workers"].cpu))
        self._lookups.charge()
        if self._problems:
            raise BuildError(*sorted(self._problems))
        return self._outcome()

    def _own_workers(self) -> Pool:
        tasks: dict[str, Callable[..., Any]] = {
            "key": partial(key_unit, self._plan, self._engine),
            "compile": partial(compile_unit, self._engine),
        }
        return Pool(self._workers.size, tasks, prepare=self._engine.load)

    def _outcome(self) -> Scheduled:
        assert not self._states.unfinished(), "units without an end"
        return Scheduled(
            results=dict(sorted(self._results.items())),
            outcomes=self._outcomes,
            objects=self._objects,
            compiled=tuple(self._compiled.values()),
            compiled_functions=frozenset(i for i in self._compiled if self._plan.units[i].is_function),
            shared=self._shared,
            saved_seconds=self._saved / 1000,
            missed=dict(self._missed),
            heard=tuple(self._heard),
            real_lines=self._real_lines,
        )

    # From a unit to its key

    def _look_at_needed(self) -> None:
        """Finds the keys of units whose inputs are unchanged; the others are extracted by workers."""
        while (index := self._states.next_needed()) is not None:
            unit = self._plan.units[index]
            fingerprint = None
            if self._has_fingerprint(unit):
                fingerprint = self._fingerprint(unit)
                known = self._memory.memos[unit.module].unit(fingerprint)
                if known and known.fingerprints == self._imported(known) and self._has_lines(known):
                    self._use_key(index, known, None)
                    continue
            self._submit_key(index, fingerprint)

    def _has_fingerprint(self, unit: Unit) -> bool:
        """Whether the unit's fingerprint covers all that it is made from.

        Groups and constructors depend on lists of their module; a function that was not cleaned up
        though others were is a rare one, too.
        """
        if unit.kind == "function":
            program, candidates = self._plan.program, self._plan.candidates
            return not candidates.limits.lines or unit_body(program, candidates.bodies, unit) is not None
        return unit.kind in ("data", "types")

    def _fingerprint(self, unit: Unit) -> bytes:
        if unit.kind == "types":
            return self._memory.fingerprints.types(unit.module)
        return self._memory.fingerprints.unit(unit.module, unit.tokens)

    def _imported(self, unit: KeyedUnit) -> bytes:
        return digest(*map(self._memory.fingerprints.body, unit.imported))

    def _has_lines(self, unit: KeyedUnit) -> bool:
        """Whether the lines that its object refers to exist; no fingerprint covers them."""
        return not unit.line_map or self._plan.program.has_lines(LineMap.decode(unit.line_map))

    def _submit_key(self, index: int, fingerprint: bytes | None, *, real_lines: bool = False) -> None:
        self._states.move(index, UnitState.KEYING)
        arguments: tuple[Any, ...] = index, real_lines
        if self._is_small:
            try:
                with self._clock.phase("extract"):
                    written = self._written[index] = write_unit(self._plan, index, real_lines=real_lines)
            except Exception as error:
                self._fail(index, error)
                return
            arguments = written.options, written.text.text
        self._pool.submit(Job("key", (index, fingerprint), arguments), priority=_KEYS_FIRST)

    def _take_key(self, done: Done) -> None:
        index, fingerprint = done.job.tag
        written = self._written.pop(index, None)
        if done.error is not None:
            self._fail(index, done.error)
            return
        result: KeyResult = join_key(written, done.result) if written else done.result
        keyed = result.keyed
        self._real_lines |= not result.lasting
        if written is None:
            self._clock.add("extract", 0.0, result.extract_seconds)
        self._clock.add("key", 0.0, result.key_seconds)
        unit = self._plan.units[index]
        if self._verifier.is_recorded_wrong(index, self._plan.label(index), keyed.key):
            fingerprint = self._fingerprint(unit)  # to be recorded again
        if fingerprint is not None and result.lasting:
            imported = replace(keyed, fingerprints=self._imported(keyed))
            self._memory.memos[unit.module].add_unit(fingerprint, imported)
        self._use_key(index, keyed, result.bitcode)

    # From the key to an object

    def _use_key(self, index: int, keyed: KeyedUnit, bitcode: bytes | None) -> None:
        """Takes the object of a key, or has it compiled; without bitcode, after that was made."""
        key = keyed.key
        if self._standing and (kept := self._standing.kept(index, keyed)):
            self._saved += kept.milliseconds
            self._states.move(index, UnitState.DONE)
            self._results[index] = UnitResult(key, keyed.own, keyed.bindings)
            self._reach(index, kept)
            return
        if key in self._waiting:
            self._wait(index, keyed)
            self._shared += 1
            return
        if key in self._ready:
            self._shared += 1
            first, made = self._ready[key]
            self._finish(index, keyed, replace(made, output=self._objects[first]))
            return
        found = self._lookups.find(key)
        sampled = found is not None and self._verifier.samples(key)
        if found is not None and not sampled:
            self._saved += found.milliseconds
            made = Finished(
                found.entry.payload, found.undefined, found.fixups, found.said, found.milliseconds
            )
            self._finish(index, keyed, made)
        elif bitcode is None:
            if sampled:
                self._verifier.expect(index, key)
            self._submit_key(index, None)
        else:
            self._submit_compilation(index, keyed, bitcode, found)

    def _wait(self, index: int, keyed: KeyedUnit) -> None:
        self._states.move(index, UnitState.COMPILING)
        self._waiting[keyed.key].append((index, keyed))

    def _submit_compilation(
        self, index: int, keyed: KeyedUnit, bitcode: bytes, found: StoredObject | None
    ) -> None:
        """Has an object compiled; one that was found is compared with it."""
        unit, key = self._plan.units[index], keyed.key
        self._wait(index, keyed)
        if found is not None:
            self._verifier.hold(found.entry, bitcode)
        else:
            self._missing += 1
            self._missed[self._memory.history.why_missed(unit.name, key)] += 1
        self._queued += len(bitcode)
        options = self._plan.options_of(unit, relative=keyed.relative)
        first = 2 * _KEYS_FIRST if self._queued > _QUEUE else 0
        job = Job("compile", (index, key), (bitcode, options))
        self._pool.submit(job, priority=len(bitcode) + first)

    def _take_compiled(self, done: Done) -> None:
        index, key = done.job.tag
        self._queued -= len(done.job.arguments[0])
        waiting = self._waiting.pop(key)
        if done.error is not None:
            for waiter, _ in waiting:
                self._fail(waiter, done.error)
            return
        made: CompileResult = done.result
        if made.fixups is None:
            for waiter, _ in waiting:
                # Not to be remembered: its fingerprint does not tell its lines.
                self._submit_key(waiter, None, real_lines=True)
            return
        meta = object_meta(
            self._plan.options.output,
            made.defined,
            made.undefined,
            made.milliseconds,
            made.fixups,
            made.diagnostics,
        )
        entry = Entry(key, made.output, meta)
        hit = self._verifier.compare(self._plan.label(index), entry)  # of the same content, else None
        finished = Finished(made.output, made.undefined, made.fixups, made.diagnostics, made.milliseconds)
        for waiter, keyed in waiting:
            self._finish(waiter, keyed, finished)
        self._ready[key] = index, replace(finished, output=b"")
        if hit is None:
            with self._clock.phase("store"), Waiting("the cache folder"):
                self._store.save(entry)
            self._note_compiled(index, made.milliseconds)

    def _note_compiled(self, index: int, milliseconds: float) -> None:
        unit = self._plan.units[index]
        importer = self._memory.history.unchanged(unit.name, self._results[index].own)
        _, name = self._plan.place(index)
        self._compiled[index] = CompiledUnit(name, unit.kind, milliseconds, importer)
        if self._progress:
            self._progress(len(self._compiled), self._missing)

    # The ends

    def _finish(self, index: int, keyed: KeyedUnit, made: Finished) -> None:
        """Keeps a unit's object and what LLVM said of it, and reaches what it leaves undefined."""
        self._states.move(index, UnitState.DONE)
        self._objects.put(index, made.output)
        line_map = keyed.line_map if made.fixups else ""
        self._results[index] = UnitResult(keyed.key, keyed.own, keyed.bindings, line_map, made.fixups)
        self._heard += [Heard(index, one, keyed.bindings) for one in made.said]
        names, defined_in = decode_pairs(keyed.bindings), self._plan.defined_in
        finals = (names.get(name, name) for name in made.undefined)
        # Asm may ask for a version of a symbol.
        known = (name if name in defined_in else name.partition("@")[0] for name in finals)
        needs = encode_names(name for name in known if name in defined_in)
        self._reach(index, Outcome(needs, keyed.imported, made.milliseconds))

    def _reach(self, index: int, outcome: Outcome) -> None:
        """Notes what came of a unit, and needs what its object needs."""
        self._outcomes[index] = outcome
        for name in decode_names(outcome.needs):
            for target in self._plan.defined_in[name]:
                if self._standing is None or not self._standing.stands(target):
                    self._states.need(target)

    def _fail(self, index: int, error: Exception) -> None:
        self._states.move(index, UnitState.FAILED)
        spoken = read_spoken(str(error)) if isinstance(error, WorkerDied) else []
        refused = [Diagnostic("error", str(error))] if isinstance(error, Refused) else spoken
        if any(is_removable(said) or misses_file(said) for said in refused):
            self._heard += [Heard(index, said, "") for said in refused]
            return
        if isinstance(error, WorkerDied):
            reason = f"LLVM stopped while compiling it: {error}{error.advice()}"
        elif isinstance(error, (BuildError, RuntimeError)):
            reason = llvm.first_line(str(error))
        else:
            raise error
        self._problems.append(f"{self._plan.label(index)}: {reason}")

    def _describe(self, job: Job) -> str:
        return f"LLVM on {self._plan.label(job.tag[0])}"
