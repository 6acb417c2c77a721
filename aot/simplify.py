"""Cleans each function up alone, once, so that callees worth inlining can be told and carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from nativecache.aot.pool import Done, Job, Pool, WorkerDied
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
    threads: int,
) -> dict[str, Body]:
    """Every function that stands alone among some units, by final name, short ones cleaned up.

    Where exported functions may be replaced at run time they are inlined in their own file only, which
    is what clang does. Raises BuildError with the functions whose clean-up was lost: others would inline
    what they cannot see, so it would be another image.
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
    clean = partial(_clean_up, program, {u.index: u for u in units}, engine, options, found.kept)
    describe = partial(_describe, program)
    with Pool(threads, {"simplify": clean}, describe=describe, prepare=engine.load) as pool:
        for unit in units:
            if unit.kind != "function" or not _may_leave(program, unit):
                continue
            if (fingerprint := found.add_known(unit)) is not None:
                pool.submit(Job("simplify", (unit, fingerprint), (unit.index,)))
        lost = [why for done in pool.results() if (why := found.add_done(done))]
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


def _clean_up(
    program: Program,
    units: Mapping[int, Unit],
    engine: Engine,
    options: Options,
    kept: Mapping[bytes, memoryview],
    index: int,
) -> tuple[CleanUp, str | None]:
    """What a worker makes of a unit, and its text unless that is kept. Raises what LLVM and extraction do."""
    unit = units[index]
    layout = program.modules[unit.module].module.datalayout
    write = partial(extract, program, unit, triple=options.triple, datalayout=layout, keep_types=True)
    try:
        text = write(sketches=True)
        digest, known, result = _simplify(engine, options, text, kept)
    except _DebugInfoLost:
        text = write()
        digest, known, result = _simplify(engine, options, text, kept)
    nodes = _nodes_of(result, text.nodes) if text.nodes else ""
    mentions = _mentions_printed(result, text.bindings)
    line_map = text.line_map.encode()
    names = encode_pairs(text.bindings), encode_names(mentions)
    made = CleanUp(digest, _lines(result), *names, line_map, nodes)
    return made, (None if known else result)


class _DebugInfoLost(BuildError):
    """LLVM found debug information invalid, and went on without."""


def _simplify(
    engine: Engine, options: Options, text: UnitText, kept: Mapping[bytes, memoryview]
) -> tuple[bytes, bool, str]:
    """A unit's digest, whether what became of it is `kept`, and that. Raises _DebugInfoLost.

    With debug information its nodes have the numbers that they had before.
    """
    digest = text_digest(text.text)
    if known := kept.get(digest):
        return digest, True, str(known, "latin-1")
    if not text.nodes:
        return digest, False, number_module(engine.simplify(text.text, options))
    from nativecache.aot.units.cleaned import carry, list_nodes

    printed = number_module(engine.simplify(text.text + list_nodes(len(text.nodes)), options))
    if _DESCRIBED_UNIT in text.text and _DESCRIBED_UNIT not in printed:
        raise _DebugInfoLost("its debug information is invalid")
    return digest, False, carry(printed)


def _nodes_of(result: str, nodes: Sequence[str]) -> str:
    """What stands for the nodes that a cleaned-up unit names. Raises BuildError if not all are its module's.

    The aliasee of another file's alias has what describes it from there.
    """
    from nativecache.aot.units.cleaned import used_nodes

    tokens = [nodes[n] for n in used_nodes(result)]
    if not all(tokens):
        raise BuildError("described by another module")
    return encode_nodes(tokens)


def _describe(program: Program, job: Job) -> str:
    unit: Unit = job.tag[0]
    return f"LLVM on {program.modules[unit.module].label}: '{symbol_name(unit.tokens[0])}'"


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
