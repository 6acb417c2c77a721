"""Cleans each function up alone, once, so that callees worth inlining can be told and carried.

What one input's functions look like after the clean-up is kept in one file of the cache, by the digest
of the text that each was made from: a file per function costs more than reading all of them together
(sqlite's 1,906: 38 ms instead of 11 to read, 9.9 MB instead of 5.9, and workers would use the store).
A lost, old or damaged file costs time only.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Final

from nativecache.aot.engine import Engine
from nativecache.aot.extract import ImportLimits, extract, importable, number_module
from nativecache.aot.index import Entity, Module, references, symbol_name
from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.partition import Unit, attribute_groups, is_always_inline, structors
from nativecache.aot.pool import Job, Pool
from nativecache.aot.profile import HOT, WARM
from nativecache.aot.program import Body, Program
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore

_RECORD: Final = struct.Struct("<32sI")


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
    *,
    engine: Engine,
    options: Options,
    final: bool,
    store: EntryStore,
    threads: int,
) -> None:
    """Fills `program.bodies` with every function that stands alone, short ones cleaned up.

    Where exported functions may be replaced at run time they are inlined in their own file only, which
    is what clang does.
    """
    packs = [_Pack(module.label, engine.identity, options, store) for module in program.modules]
    # A function is looked for in all of them: one more file may take over what others share with it.
    kept = {digest: text for pack in packs for digest, text in pack.bodies.items()}

    def simplified(index: int) -> tuple[bytes, str | None, Body]:
        unit = units[index]
        source = program.source(unit.module)
        text = extract(program, unit, triple=options.triple, datalayout=source.module.datalayout, final=final)
        digest = hashlib.sha256(text.text.encode("latin-1")).digest()
        known = kept.get(digest)
        result = number_module(engine.simplify(text.text, options)) if known is None else known
        entity = source.module.entities[unit.tokens[0]]
        body = Body(
            lines=_cost(source.module, entity, _lines(result)),
            importable=importable(program, source, entity),
            mentions=_mentions_printed(result, text.bindings),
            bindings=text.bindings,
            heat=_heat(source.module, entity),
        )
        return digest, (result if known is None else None), body

    used: dict[int, dict[bytes, str]] = defaultdict(dict)
    with Pool(threads, {"simplify": simplified}) as pool:
        for unit in units:
            if unit.kind != "function" or not _may_leave(program, unit):
                continue
            source = program.source(unit.module)
            entity = source.module.entities[unit.tokens[0]]
            lines = entity.text.count("\n")
            if lines <= CLEANED_LINES:
                pool.submit(Job("simplify", unit.index, (unit.index,)))
            else:
                program.bodies[unit.name] = Body(
                    lines=_cost(source.module, entity, lines * _LEFT_LINES),
                    importable=importable(program, source, entity),
                    mentions=_mentions(program, unit),
                    given=(source, entity),
                    heat=_heat(source.module, entity),
                )
        for done in pool.results():
            if done.error is not None:
                continue  # it is compiled as it is, and complained about there
            unit = units[done.job.tag]
            digest, result, body = done.result
            body.text = kept[digest] if result is None else result
            used[unit.module][digest] = body.text
            program.bodies[unit.name] = body
    if program.interposable:
        for unit in units:
            if unit.name in program.bodies and _exported(program, unit):
                program.bodies[unit.name].home = unit.module
    for i, texts in used.items():
        packs[i].save(texts)


def find_called_once(
    program: Program, units: tuple[Unit, ...], roots: Iterable[int], limits: ImportLimits
) -> frozenset[str]:
    """Functions that a single call in the program mentions, from a caller that is never imported.

    Such a caller is the only text that names the function, so the function can live in its unit.
    """
    mentions: Counter[str] = Counter()
    callers: dict[str, str] = {}
    for unit in units:
        body = program.bodies.get(unit.name) if unit.kind == "function" else None
        for name, count in (_mentions(program, unit) if body is None else body.mentions).items():
            mentions[name] += count
            callers[name] = unit.name if body is not None else ""
    fixed = {units[i].name for i in roots} | program.asm_words | program.wrapped
    for i, module in enumerate(program.modules):
        # Bodies without a unit of their own are carried into any unit.
        for function in module.functions():
            if function.linkage == "available_externally":
                fixed.update(
                    program.names[i][token]
                    for token in references(function.text)
                    if token in program.names[i]
                )
    candidates = {
        name: callers[name]
        for name, count in mentions.items()
        if count == 1 and name not in fixed and _may_move(program.bodies.get(name))
    }
    # What some call makes hot is imported up to a higher limit.
    marked = any(module.profile.marks_hot for module in program.modules)
    longest = limits.lines * (HOT if marked else WARM)
    once: set[str] = set()
    while True:
        more = {
            name
            for name, caller in candidates.items()
            if name not in once and (caller in once or _stays(program.bodies.get(caller), longest))
        }
        if not more:
            return frozenset(once)
        once |= more


def _mentions(program: Program, unit: Unit) -> Counter[str]:
    """How often a unit names each symbol, what it defines left out once each."""
    source = program.source(unit.module)
    own = Counter(t for token in unit.tokens for t in references(source.module.entities[token].text))
    own.subtract(unit.tokens)
    if unit.kind == "structors":
        own.update(slot.function for slot in structors(program, unit.module, final=True))
    return Counter({source.names[token]: n for token, n in own.items() if n > 0 and token in source.names})


def _mentions_printed(text: str, bindings: Mapping[str, str]) -> dict[str, int]:
    """How often the functions of a printed unit name each symbol, themselves left out."""
    found: Counter[str] = Counter()
    for part in text.split("\n}\n")[:-1]:
        tokens = references(part[part.index("define ") :])
        found.update(tokens[1:])
    names = {token: symbol_name(token) for token in found if not token.startswith("@llvm.")}
    return {bindings.get(name, name): found[token] for token, name in names.items()}


def _may_move(body: Body | None) -> bool:
    return body is not None and body.importable and body.lines <= ONCE_LINES


def _stays(body: Body | None, longest: int) -> bool:
    """Whether no unit but its own ever holds this body."""
    return body is not None and (not body.importable or body.lines > longest)


def _heat(module: Module, entity: Entity) -> int:
    return module.profile.function_heat(entity.text.partition("\n")[0], attribute_groups(entity.text))


def _cost(module: Module, entity: Entity, lines: float) -> int:
    """The lines that count against the import limit."""
    if is_always_inline(entity.text, module):
        return 0  # it goes wherever it is called, however long it is
    hinted = not module.inline_hint.isdisjoint(attribute_groups(entity.text))
    return int(lines * _HINTED if hinted else lines)


def _lines(text: str) -> int:
    start = text.index("\ndefine ")
    return text.count("\n", start, text.index("\n}\n", start))


def _exported(program: Program, unit: Unit) -> bool:
    """Whether the dynamic linker may prefer another image's definition."""
    entity = program.modules[unit.module].entities[unit.tokens[0]]
    head = entity.text.partition("(")[0]
    return not (
        entity.local or entity.visibility or entity.linkage == "linkonce_odr" or " dso_local " in head
    )


def _may_leave(program: Program, unit: Unit) -> bool:
    """Not what must not be optimised, whose name is fixed, or whose types have no names to tell apart."""
    module, token = program.modules[unit.module], unit.tokens[0]
    if token in program.pinned[unit.module] or module.numbered_types or token in module.address_taken:
        return False
    groups = attribute_groups(module.entities[token].text)
    return not any(" optnone " in module.attributes.get(group, "") for group in groups)


class _Pack:
    """The cleaned-up functions of one input as the last builds left them."""

    def __init__(self, label: str, compiler: Compiler, options: Options, store: EntryStore) -> None:
        name = PurePath(label).name
        self._store = store
        self._key = compute_key(compiler, options, b"bodies\0" + name.encode("utf-8", "surrogateescape"))
        entry = store.load(self._key)
        self.bodies: dict[bytes, str] = dict(_unpack(entry.payload)) if entry else {}

    def save(self, texts: dict[bytes, str]) -> None:
        """Keeps what a build used, and no more of the rest: another project may have a file of this name."""
        if not texts.keys() <= self.bodies.keys():
            rest = {digest: text for digest, text in self.bodies.items() if digest not in texts}
            both = texts | rest if len(rest) <= len(texts) else texts
            self._store.save(Entry(self._key, b"".join(_records(both)), {}))


def _records(texts: dict[bytes, str]) -> Iterable[bytes]:
    for digest, text in sorted(texts.items()):
        yield _RECORD.pack(digest, len(text))
        yield text.encode("latin-1")


def _unpack(data: bytes) -> Iterator[tuple[bytes, str]]:
    at = 0
    while at < len(data):
        digest, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        yield digest, data[at : at + size].decode("latin-1")
        at += size
