"""Cleans each function up alone, once, so that callees worth inlining can be told and carried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from nativecache.aot.called_once import unit_mentions
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.linkage import is_always_inline, may_be_replaced
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.numbering import number_module
from nativecache.aot.ir.syntax import references, symbol_name
from nativecache.aot.key import Options, text_digest
from nativecache.aot.packed import decode_names, encode_names, encode_nodes, encode_pairs
from nativecache.aot.pool import FEW, Done, Job, Pool, WorkerDied
from nativecache.aot.records.clean_ups import CleanUpPack
from nativecache.aot.records.memo import CleanUp, UnitMemo, record_names
from nativecache.aot.units.bodies import Body, RawBody, SimplifiedBody, unit_body
from nativecache.aot.units.extract import UnitText, extract
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import importable
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.lookup import EntryStore
from nativecache.linker import lazy_re as re
from nativecache.linker.values import replace

#: Only functions up to this many raw lines are cleaned up: longer ones are never imported, and LLVM's
#: own pipeline begins with the same passes. All of sqlite's cost 4.9 s of processor time, these 2.1 s.
CLEANED_LINES: Final = 150
#: What is left of a function's lines after the clean-up (sqlite3, every fifth function: 0.585).
_LEFT_LINES: Final = 0.6
#: What the `inlinehint` of C++'s in-class functions is worth: LLVM's threshold for them is 325, not 225
#: (the JSON files ran 1.04 s without, 1.03 s with 0.7, 1.01 s with 0.5).
_HINTED: Final = 0.5


def find_bodies(
    program: Program,
    units: Sequence[Unit],
    fingerprints: Fingerprints,
    memos: Sequence[UnitMemo],
    *,
    engine: Engine,
    options: Options,
    store: EntryStore,
    workers: Pool,
) -> dict[str, Body]:
    """Every function that stands alone among some units, by final name, short ones cleaned up.

    Where exported functions may be replaced at run time they are inlined in their own file only, which
    is what clang does. `workers`: those of `edit_workers`, which do as much as an edit asks for; more goes
    to as many others. Raises BuildError with the functions whose clean-up was lost: others would inline what
    they cannot see, so it would be another image.
    """
    names = record_names(map(program.label, range(len(program.modules))))
    packs = {
        i: open_pack(
            names[i],
            engine,
            options,
            store,
            relative=program.modules[i].debug is not None,
            before=memos[i].before,
        )
        for i in dict.fromkeys(unit.module for unit in units)
    }
    found = _Bodies(program, fingerprints, memos, packs)
    asked = [
        (unit, fingerprint)
        for unit in units
        if unit.kind == "function" and _may_leave(program, unit)
        if (fingerprint := found.add_known(unit)) is not None
    ]
    cleaning = _CleaningUp(program, engine, options, found.kept)
    is_small = len(asked) <= FEW
    ends = cleaning.texts(asked, workers) if is_small else cleaning.units(asked, workers.size)
    lost = [why for done in ends if (why := found.add_done(done))]
    if lost:
        raise BuildError(*sorted(lost))
    for module, pack in packs.items():
        pack.save(all_old=program.stands(module))
    return {
        unit.name: replace(body, home=unit.module) if _stays_home(program, unit, body) else body
        for unit in units
        if (body := unit_body(program, found.bodies, unit))
    }


def open_pack(
    name: str, engine: Engine, options: Options, store: EntryStore, *, relative: bool, before: str = ""
) -> CleanUpPack:
    """Where the cleaned-up functions of a module are kept, by the name that its records have.

    `relative`: it has debug information. `before`: the name that its records had.
    """
    return CleanUpPack(name, engine.identity, replace(options, relative=relative), store, before)


class _DebugInfoLost(BuildError):
    """LLVM found debug information invalid, and went on without."""


def simplify_text(engine: Engine, options: Options, text: str, nodes: int) -> str:
    """What becomes of a unit's IR, with so many nodes of debug information. Raises _DebugInfoLost.

    These have the numbers that they had before.
    """
    if not nodes:
        return number_module(engine.simplify(text, options))
    from nativecache.aot.units.cleaned import carry, list_nodes

    printed = number_module(engine.simplify(text + list_nodes(nodes), options))
    if _DESCRIBED_UNIT in text and _DESCRIBED_UNIT not in printed:
        raise _DebugInfoLost("its debug information is invalid")
    return carry(printed)


class _CleaningUp:
    """Has workers clean functions up, given with their fingerprints. What is `kept` is not done again."""

    def __init__(
        self, program: Program, engine: Engine, options: Options, kept: Mapping[bytes, memoryview]
    ) -> None:
        self._program, self._engine, self._options, self._kept = program, engine, options, kept
        self._units: dict[int, Unit] = {}

    def units(self, asked: Sequence[tuple[Unit, bytes]], threads: int) -> Iterator[Done]:
        """The ends of all jobs. Workers that are forked now write the functions, too."""
        self._units = {unit.index: unit for unit, _ in asked}
        tasks = {"simplify": self._clean_up}
        with Pool(threads, tasks, describe=self._describe, prepare=self._engine.load) as pool:
            for unit, fingerprint in asked:
                pool.submit(Job("simplify", (unit, fingerprint), (unit.index,)))
            yield from pool.results()

    def texts(self, asked: Sequence[tuple[Unit, bytes]], workers: Pool) -> Iterator[Done]:
        """The same, with workers that are shown nothing but texts."""
        for unit, fingerprint in asked:
            yield from self._submit(unit, fingerprint, workers, sketches=True)
        for done in workers.results(self._describe):
            unit, fingerprint, text, sketches = done.job.tag
            if sketches and isinstance(done.error, _DebugInfoLost):
                yield from self._submit(unit, fingerprint, workers, sketches=False)
            elif done.error is not None:
                yield replace(done, job=Job("simplify", (unit, fingerprint)))
            else:
                yield self._end(unit, fingerprint, text, done.result)

    def _submit(self, unit: Unit, fingerprint: bytes, workers: Pool, *, sketches: bool) -> Iterator[Done]:
        """Has a function cleaned up; yields the end of that where there is no need to."""
        try:
            text = self._write(unit, sketches=sketches)
        except Exception as error:
            yield Done(Job("simplify", (unit, fingerprint)), None, error, 0.0)
            return
        if text_digest(text.text) in self._kept:
            yield self._end(unit, fingerprint, text, None)
            return
        tag, arguments = (unit, fingerprint, text, sketches), (self._options, text.text, len(text.nodes))
        workers.submit(Job("simplify", tag, arguments))

    def _end(self, unit: Unit, fingerprint: bytes, text: UnitText, result: str | None) -> Done:
        job = Job("simplify", (unit, fingerprint))
        try:
            return Done(job, self._made(text, result), None, 0.0)
        except Exception as error:
            return Done(job, None, error, 0.0)

    def _clean_up(self, index: int) -> tuple[CleanUp, str | None]:
        """What a worker makes of a unit, and its text unless that is kept.

        Raises what LLVM and extraction do.
        """
        unit = self._units[index]
        text = self._write(unit, sketches=True)
        try:
            result = self._simplify(text)
        except _DebugInfoLost:
            text = self._write(unit, sketches=False)
            result = self._simplify(text)
        return self._made(text, result)

    def _simplify(self, text: UnitText) -> str | None:
        if text_digest(text.text) in self._kept:
            return None
        return simplify_text(self._engine, self._options, text.text, len(text.nodes))

    def _write(self, unit: Unit, *, sketches: bool) -> UnitText:
        layout = self._program.modules[unit.module].module.datalayout
        target = partial(extract, triple=self._options.triple, datalayout=layout)
        return target(self._program, unit, keep_types=True, sketches=sketches)

    def _made(self, text: UnitText, result: str | None) -> tuple[CleanUp, str | None]:
        """What is noted of a clean-up, and its text: None for one that is kept. Raises BuildError."""
        digest = text_digest(text.text)
        printed = str(self._kept[digest], "latin-1") if result is None else result
        nodes = _nodes_of(printed, text.nodes) if text.nodes else ""
        names = encode_pairs(text.bindings), encode_names(_mentions_printed(printed, text.bindings))
        return CleanUp(digest, _lines(printed), *names, text.line_map.encode(), nodes), result

    def _describe(self, job: Job) -> str:
        unit: Unit = job.tag[0]
        return f"LLVM on {self._program.modules[unit.module].label}: '{symbol_name(unit.tokens[0])}'"


def _nodes_of(result: str, nodes: Sequence[str]) -> str:
    """What stands for the nodes that a cleaned-up unit names. Raises BuildError if not all are its module's.

    The aliasee of another file's alias has what describes it from there.
    """
    from nativecache.aot.units.cleaned import used_nodes

    tokens = [nodes[n] for n in used_nodes(result)]
    if not all(tokens):
        raise BuildError("described by another module")
    return encode_nodes(tokens)


class _Bodies:
    """Bodies as they are found: long ones at once, short ones by fingerprint, or from a worker."""

    def __init__(
        self,
        program: Program,
        fingerprints: Fingerprints,
        memos: Sequence[UnitMemo],
        packs: Mapping[int, CleanUpPack],
    ) -> None:
        self._program, self._fingerprints = program, fingerprints
        self._memos, self._packs = memos, packs
        #: A function is looked for in all packs: one more file may take over what others share with it.
        self.kept = {digest: text for pack in packs.values() for digest, text in pack.stored()}
        self.bodies: dict[str, Body] = {}

    def add_known(self, unit: Unit) -> bytes | None:
        """Adds a function that no worker has to clean up; returns the fingerprint of one that has to be."""
        source = self._program.modules[unit.module].source
        entity = source.module.entities[unit.tokens[0]]
        lines = entity.text.count("\n") - entity.text.count(_DEBUG_RECORD)
        if lines > CLEANED_LINES:
            self.bodies[unit.name] = RawBody(
                lines=_cost(source.module, entity, lines * _LEFT_LINES),
                importable=_importable(self._fingerprints, self._program, unit),
                mentions=encode_names(unit_mentions(self._fingerprints, self._program, unit)),
                source=source,
                entity=entity,
                heat=_heat(source.module, entity),
            )
            return None
        fingerprint = self._fingerprints.unit(unit.module, unit.tokens)
        known = self._memos[unit.module].clean_up(fingerprint)
        if known is None or known.text not in self.kept or not _has_nodes(source.module, known):
            return fingerprint
        self._add(unit, known, self.kept[known.text])
        return None

    def add_done(self, done: Done) -> str:
        """Adds what a worker made; returns why that was lost, if it was.

        What LLVM refuses is left out: it is compiled as it is, and complained about there.
        """
        unit, fingerprint = done.job.tag
        if isinstance(done.error, WorkerDied):
            label, name = self._program.modules[unit.module].label, symbol_name(unit.tokens[0])
            reason = f"LLVM stopped while cleaning it up: {done.error}{done.error.advice()}"
            return f"{label}: {unit.kind} '{name}': {reason}"
        if done.error is not None and not isinstance(done.error, (RuntimeError, BuildError)):
            raise done.error
        if done.error is None:
            made, result = done.result
            self._memos[unit.module].add_clean_up(fingerprint, made)
            self._add(unit, made, self.kept[made.text] if result is None else result.encode("latin-1"))
        return ""

    def _add(self, unit: Unit, made: CleanUp, text: memoryview | bytes) -> None:
        source = self._program.modules[unit.module].source
        entity = source.module.entities[unit.tokens[0]]
        self._packs[unit.module].use(made.text, text)
        self.bodies[unit.name] = SimplifiedBody(
            lines=_cost(source.module, entity, made.lines),
            importable=_importable(self._fingerprints, self._program, unit),
            mentions=made.mentions,
            printed=text,
            bindings=made.bindings,
            line_map=made.line_map,
            nodes=made.nodes,
            digest=made.text,
            label=source.module.label,
            module=source.module if source.module.debug is not None else None,
            token=entity.token,
            heat=_heat(source.module, entity),
        )


def _has_nodes(module: Module, known: CleanUp) -> bool:
    """Whether a module still has the nodes that a cleaned-up function names: another edit may rename them."""
    if module.debug is None:
        return True
    from nativecache.aot.units.cleaned import are_known

    return are_known(known.nodes, module.metadata)


def _stays_home(program: Program, unit: Unit, body: Body) -> bool:
    """Whether only the function's own file may inline it: clang may there, and leaves as much behind.

    So it is, too, where the function names what is another function to other files.
    """
    part = program.modules[unit.module]
    if program.divided and program.is_divided(part.source, references(part.entities[unit.tokens[0]].text)):
        return True
    return (
        unit.tokens[0] in part.bonds.scattered
        or (program.output.interposable and _exported(program, unit))
        or (program.output.separate and program.mentions_local(part, decode_names(body.mentions)))
    )


def _importable(fingerprints: Fingerprints, program: Program, unit: Unit) -> bool:
    source = program.modules[unit.module].source
    symbols = fingerprints.modules[unit.module].shape(unit.tokens[0]).symbols
    return importable(program, source, source.module.entities[unit.tokens[0]], symbols)


def _mentions_printed(text: str, bindings: Mapping[str, str]) -> list[str]:
    """The symbols that the functions of a printed unit name, as often as they do, themselves left out."""
    found = [
        token
        for part in text.split("\n}\n")[:-1]
        for token in references(part[part.index("define ") :])[1:]
        if not token.startswith("@llvm.")
    ]
    return [bindings.get(name, name) for name in map(symbol_name, found)]


def _heat(module: Module, entity: Entity) -> int:
    return module.profile.function_heat(entity.head, entity.groups)


def _cost(module: Module, entity: Entity, lines: float) -> int:
    """The lines that count against the import limit."""
    if is_always_inline(entity, module):
        return 0  # it goes wherever it is called, however long it is
    hinted = not module.inline_hint.isdisjoint(entity.groups)
    return int(lines * _HINTED if hinted else lines)


#: Lines that become no instruction, or one that goes once the function is inlined: labels, stack slots and
#: their life times, phi nodes, constant offsets, jumps and hints.
_FREE_INTRINSICS: Final = (
    "lifetime|assume|dbg|experimental\\.noalias|expect|is\\.constant|launder|strip|invariant|objectsize"
)
#: What lists the compile units of a printed module that has debug information.
_DESCRIBED_UNIT: Final = "\n!llvm.dbg.cu = "
#: What debug information adds to a function: records on lines of their own, and locations.
_DEBUG_RECORD: Final = "\n    #dbg_"
_DESCRIBED: Final = re.compile(r"\n    #dbg_.*|, !dbg !(?:\d+|DILocation\([^)]*\))", re.ASCII)
_FREE_LINE: Final = re.compile(
    r"\n(?:[-\w.$]+:.*|  (?:%\S+ = (?:alloca|phi|freeze) .*|unreachable|br label .*"
    rf"|(?:%\S+ = )?(?:tail )?call [^@\n]*@llvm\.(?:{_FREE_INTRINSICS}).*"
    r"|%\S+ = getelementptr [^%\n]*%\S+(?:, i(?:32|64) -?\d+)*|))(?=\n)",
    re.ASCII,
)


def _lines(text: str) -> int:
    """The lines of a printed unit's function that inlining it would add."""
    start = text.index("\ndefine ")
    body = text[start : text.index("\n}\n", start) + 1]
    if " !dbg " in body:
        body = _DESCRIBED.sub("", body)
    return body.count("\n") - 1 - len(_FREE_LINE.findall(body))


def _exported(program: Program, unit: Unit) -> bool:
    """Whether the dynamic linker may prefer another image's definition where another file names it."""
    entity = program.modules[unit.module].entities[unit.tokens[0]]
    return may_be_replaced(entity) and entity.linkage != "linkonce_odr"


def _may_leave(program: Program, unit: Unit) -> bool:
    """Whether a function may stand in other units: not if it must not be optimised, or its name is fixed or
    another's, too, or its types have no names."""
    part, token = program.modules[unit.module], unit.tokens[0]
    module = part.module
    if (
        unit.name in program.multiple
        or not program.is_home(part, token)
        or module.numbered_types
        or token in module.address_taken
    ):
        return False
    return module.never_optimize.isdisjoint(module.entities[token].groups)
