"""Cleans each function up alone, once, so that callees worth inlining can be told and carried.

What one input's functions look like after the clean-up is kept in one file of the cache, by the digest
of the text that each was made from: a file per function costs more than reading all of them together
(sqlite's 1,906: 38 ms instead of 11 to read, 9.9 MB instead of 5.9, and workers would use the store).
A lost, old or damaged file costs time only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Final

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.linkage import is_always_inline, may_be_replaced
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.numbering import number_module
from nativecache.aot.ir.profile import HOT, WARM
from nativecache.aot.ir.syntax import references, symbol_name
from nativecache.aot.key import Compiler, Options, form_of, record_recipe, text_digest
from nativecache.aot.packed import decode_names, encode_names, encode_pairs
from nativecache.aot.pool import Done, Job, Pool, WorkerDied
from nativecache.aot.records.memo import CleanUp, UnitMemo
from nativecache.aot.records.table import Table
from nativecache.aot.units.bodies import Body, RawBody, SimplifiedBody, unit_body
from nativecache.aot.units.extract import extract
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import ImportLimits, importable
from nativecache.aot.units.partition import Unit, structors
from nativecache.aot.units.program import Program
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed

#: Only functions up to this many raw lines are cleaned up: longer ones are never imported, and LLVM's
#: own pipeline begins with the same passes. All of sqlite's cost 4.9 s of processor time, these 2.1 s.
CLEANED_LINES: Final = 150
#: What is left of a function's lines after the clean-up (sqlite3, every fifth function: 0.585).
_LEFT_LINES: Final = 0.6
#: What the `inlinehint` of C++'s in-class functions is worth: LLVM's threshold for them is 325, not 225
#: (the JSON files ran 1.04 s without, 1.03 s with 0.7, 1.01 s with 0.5).
_HINTED: Final = 0.5
#: Functions called once are compiled with their caller up to this many simplified lines. LLVM inlines
#: nearly all of them, as it does in a whole file. sqlite3: 15 % fewer units, 3 % less code.
ONCE_LINES: Final = 150


def find_bodies(
    program: Program,
    units: tuple[Unit, ...],
    fingerprints: Fingerprints,
    memos: Sequence[UnitMemo],
    *,
    engine: Engine,
    options: Options,
    store: EntryStore,
    threads: int,
) -> dict[str, Body]:
    """Every function that stands alone, by final name, short ones cleaned up.

    Where exported functions may be replaced at run time they are inlined in their own file only, which
    is what clang does. Raises BuildError with the functions whose clean-up was lost: others would inline
    what they cannot see, so it would be another image.
    """
    packs = [
        _Pack(m.label, engine.identity, replace(options, relative=m.debug is not None), store)
        for m in program.modules
    ]
    found = _Bodies(program, fingerprints, memos, packs)
    clean = partial(_clean_up, program, units, engine, options, found.kept)
    with Pool(threads, {"simplify": clean}, describe=partial(_describe, program)) as pool:
        for unit in units:
            if unit.kind != "function" or not _may_leave(program, unit):
                continue
            if (fingerprint := found.add_known(unit)) is not None:
                pool.submit(Job("simplify", (unit, fingerprint), (unit.index,)))
        lost = [why for done in pool.results() if (why := found.add_done(done))]
    if lost:
        raise BuildError(*sorted(lost))
    for pack in packs:
        pack.save()
    return {
        unit.name: replace(body, home=unit.module) if _stays_home(program, unit, body) else body
        for unit in units
        if (body := unit_body(program, found.bodies, unit))
    }


def _clean_up(
    program: Program,
    units: Sequence[Unit],
    engine: Engine,
    options: Options,
    kept: Mapping[bytes, memoryview],
    index: int,
) -> tuple[CleanUp, str | None]:
    """What a worker makes of a unit, and its text unless that is kept. Raises what LLVM and extraction do."""
    unit = units[index]
    text = extract(
        program,
        unit,
        triple=options.triple,
        datalayout=program.modules[unit.module].module.datalayout,
        keep_types=True,
    )
    digest = text_digest(text.text)
    known = kept.get(digest)
    result = number_module(engine.simplify(text.text, options)) if known is None else str(known, "latin-1")
    mentions = _mentions_printed(result, text.bindings)
    line_map = text.line_map.encode()
    made = CleanUp(digest, _lines(result), encode_pairs(text.bindings), encode_names(mentions), line_map)
    return made, (result if known is None else None)


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
        packs: Sequence[_Pack],
    ) -> None:
        self._program, self._fingerprints = program, fingerprints
        self._memos, self._packs = memos, packs
        #: A function is looked for in all packs: one more file may take over what others share with it.
        self.kept = {digest: text for pack in packs for digest, text in pack.stored()}
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
                mentions=encode_names(_mentions(self._fingerprints, self._program, unit)),
                source=source,
                entity=entity,
                heat=_heat(source.module, entity),
            )
            return None
        fingerprint = self._fingerprints.unit(unit.module, unit.tokens)
        known = self._memos[unit.module].clean_up(fingerprint)
        if known is None or known.text not in self.kept:
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
            label=source.module.label,
            debug=source.module.debug,
            heat=_heat(source.module, entity),
        )


def _stays_home(program: Program, unit: Unit, body: Body) -> bool:
    """Whether only the function's own file may inline it: clang may there, and leaves as much behind."""
    part = program.modules[unit.module]
    return (
        unit.tokens[0] in part.bonds.scattered
        or (program.output.interposable and _exported(program, unit))
        or (program.output.separate and program.mentions_local(part, decode_names(body.mentions)))
    )


def _importable(fingerprints: Fingerprints, program: Program, unit: Unit) -> bool:
    source = program.modules[unit.module].source
    symbols = fingerprints.modules[unit.module].shape(unit.tokens[0]).symbols
    return importable(program, source, source.module.entities[unit.tokens[0]], symbols)


def longest_import(program: Program, limits: ImportLimits) -> int:
    """The lines of the longest body that any unit may import."""
    marked = any(part.module.profile.marks_hot for part in program.modules)
    return limits.lines * (HOT if marked else WARM)


def find_called_once(
    program: Program,
    bodies: Mapping[str, Body],
    units: tuple[Unit, ...],
    fingerprints: Fingerprints,
    roots: Iterable[int],
    limits: ImportLimits,
) -> frozenset[str]:
    """Functions private to a file that a single call mentions, from a caller that is never imported.

    Such a caller is the only text that names the function, so the function can live in its unit.
    """
    mentions: Counter[str] = Counter()
    callers: dict[str, str] = {}
    for unit in units:
        body = unit_body(program, bodies, unit)
        names = _mentions(fingerprints, program, unit) if body is None else decode_names(body.mentions)
        mentions.update(names)
        callers.update(dict.fromkeys(names, unit.name if body is not None else ""))
    fixed = {units[i].name for i in roots} | program.asm_words | program.assigned
    for part in program.modules:
        # Bodies without a unit of their own are carried into any unit.
        for function in part.module.functions():
            if function.linkage == "available_externally":
                fixed.update(part.names[token] for token in references(function.text) if token in part.names)
    candidates = {
        name: callers[name]
        for name, count in mentions.items()
        if count == 1
        and name not in fixed
        and _is_private(program, name)
        and _may_move(program, bodies.get(name), callers[name])
    }
    # What some call makes hot is imported up to a higher limit.
    longest = longest_import(program, limits)
    once: set[str] = set()
    while True:
        more = {
            name
            for name, caller in candidates.items()
            if name not in once and (caller in once or _stays(bodies.get(caller), longest))
        }
        if not more:
            return frozenset(once)
        once |= more


def _mentions(fingerprints: Fingerprints, program: Program, unit: Unit) -> list[str]:
    """The symbols that a unit names, those named more often twice; what it defines is left out once."""
    part = program.modules[unit.module]
    if unit.kind == "function":
        shape = fingerprints.modules[unit.module].shape(unit.tokens[0])
        tokens = [*shape.symbols, *shape.repeated]
        tokens.remove(unit.tokens[0])
        return [part.names[token] for token in tokens if token in part.names]
    own: Counter[str] = Counter()
    for token in unit.tokens:
        shape = fingerprints.modules[unit.module].shape(token)
        own.update(shape.symbols)
        own.update(shape.repeated)
    own.subtract(unit.tokens)
    if unit.has_structors:
        own.update(slot.function for slot in structors(part, program.output))
    return [part.names[token] for token in own.elements() if token in part.names]


def _mentions_printed(text: str, bindings: Mapping[str, str]) -> list[str]:
    """The symbols that the functions of a printed unit name, as often as they do, themselves left out."""
    found = [
        token
        for part in text.split("\n}\n")[:-1]
        for token in references(part[part.index("define ") :])[1:]
        if not token.startswith("@llvm.")
    ]
    return [bindings.get(name, name) for name in map(symbol_name, found)]


def _is_private(program: Program, name: str) -> bool:
    """Whether other files know nothing of a function, or have their own.

    An exported one may be called once in this program and twice in the next, and would be another unit there.
    The same holds for C++'s inline functions, but without them the JSON program is 15 % larger.
    """
    found = program.definitions.get(name)
    entity = program.entity(found) if found else None
    return entity is not None and (entity.local or entity.linkage == "linkonce_odr")


def _may_move(program: Program, body: Body | None, caller: str) -> bool:
    if body is None or not body.importable or body.lines > ONCE_LINES:
        return False
    found = program.definitions.get(caller)
    return body.home is None or (found is not None and body.home == found.module)


def _stays(body: Body | None, longest: int) -> bool:
    """Whether no unit but its own ever holds this body."""
    return body is not None and (not body.importable or body.lines > longest)


def _heat(module: Module, entity: Entity) -> int:
    return module.profile.function_heat(entity.text.partition("\n")[0], entity.groups)


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
#: What debug information adds to a function: records on lines of their own, and locations.
_DEBUG_RECORD: Final = "\n    #dbg_"
_DESCRIBED: Final = re.compile(r"\n    #dbg_.*|, !dbg !\d+", re.ASCII)
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
    """Not what must not be optimised, whose name is fixed or another's, too, or whose types have no names."""
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


class _Pack:
    """The cleaned-up functions of one input, by digest of what they were, as the last builds left them."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        self._store = store
        self._key = record_recipe("bodies", compiler, options, PurePath(label).name).key()
        self._table = store.read(self._key, read_bodies) or Table()

    def stored(self) -> Iterable[tuple[bytes, memoryview]]:
        """Digest of what it was and text of every function that earlier builds left."""
        return self._table.records()

    def use(self, digest: bytes, text: memoryview | bytes) -> None:
        """Notes that this build uses a cleaned-up function, a new one or one that was stored somewhere."""
        if self._table.use(digest) is None:
            self._table.add(digest, text)

    def save(self) -> None:
        """Keeps what the build used, and as much of the rest, if anything is new."""
        if self._table.changed:
            self._store.save(Entry(self._key, self._table.packed(), form_of("bodies")))


def read_bodies(entry: Entry) -> Table:
    """Texts of cleaned-up functions by digest of what each was made from. Raises Malformed."""
    table, rest = Table.read(memoryview(entry.payload))
    if rest:
        raise Malformed("more than a table")
    table.check(_check_function)
    return table


def _check_function(text: memoryview | bytes) -> None:
    """Raises ValueError for what is not a module with one definition as LLVM prints it."""
    data = bytes(text)
    if data.find(b"\n}\n", data.find(b"\ndefine ") + 1 or len(data)) < 0:
        raise ValueError("no function as LLVM prints it")
