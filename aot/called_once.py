"""Finds functions that a single call reaches: they are compiled with their caller, as `internal`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from typing import Final

from nativecache.aot.ir.profile import HOT, WARM
from nativecache.aot.ir.syntax import references
from nativecache.aot.packed import decode_names
from nativecache.aot.units.bodies import Body, unit_body
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.partition import Unit, structors
from nativecache.aot.units.program import Program, ProgramModule
from nativecache.linker.values import dataclass

#: Functions called once are compiled with their caller up to this many simplified lines. LLVM inlines
#: nearly all of them, as it does in a whole file. sqlite3: 15 % fewer units, 3 % less code.
ONCE_LINES: Final = 150


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a program of which only some modules are looked at: functions by final name.

    `once`: those that a single call reaches, of what several files may have; `open`: those of these of which
    that is to be found as of the modules' own. `callers`: of what others name of these once, who does, "" for
    what has no body; others name the rest not at all. `fixed`: what others hold in place of it. `elsewhere`:
    the other modules' own functions that a single call reaches.
    """

    once: frozenset[str]
    open: frozenset[str]
    callers: Mapping[str, str]
    fixed: frozenset[str]
    elsewhere: frozenset[str]


def longest_import(program: Program, limits: ImportLimits) -> int:
    """The lines of the longest body that any unit may import."""
    marked = any(part.module.profile.marks_hot for part in program.modules)
    return limits.lines * (HOT if marked else WARM)


def find_called_once(
    program: Program,
    bodies: Mapping[str, Body],
    modules: Collection[int],
    units: Mapping[int, Unit],
    fingerprints: Fingerprints,
    roots: Iterable[int],
    longest: int,
    known: Known | None = None,
) -> frozenset[str]:
    """Functions private to a file that a single call mentions, from a caller that is never imported.

    Such a caller is the only text that names the function, so the function can live in its unit.
    `modules`: all, or some of the program's, whose own functions are then found as they are among all;
    `units`: theirs by index, of which `roots` are indices. `longest`: of bodies that units import, in lines.
    `known`: what is known of the others' functions.
    """
    mentions: Counter[str] = Counter()
    callers: dict[str, str] = {}
    for unit in units.values():
        body = unit_body(program, bodies, unit)
        names = unit_mentions(fingerprints, program, unit) if body is None else decode_names(body.mentions)
        mentions.update(names)
        callers.update(dict.fromkeys(names, unit.name if body is not None else ""))
    fixed = {units[i].name for i in roots} | program.asm_words | program.assigned
    fixed.update(*(carried_mentions(program.modules[i]) for i in modules))
    if known:
        mentions.update(known.callers.keys())
        callers.update(known.callers)
        fixed |= known.fixed
    candidates = {
        name: callers[name]
        for name, count in mentions.items()
        if count == 1
        and name not in fixed
        and (_is_asked_for(program, name, modules, known) if known else _is_private(program, name))
        and _may_move(program, bodies.get(name), callers[name])
    }
    # What some call makes hot is imported up to a higher limit.
    once, elsewhere = (set(known.once), known.elsewhere) if known else (set[str](), frozenset[str]())
    while True:
        more = {
            name
            for name, caller in candidates.items()
            if name not in once
            and (caller in once or caller in elsewhere or stays(bodies.get(caller), longest))
        }
        if not more:
            return frozenset(once)
        once |= more


def carried_mentions(part: ProgramModule) -> set[str]:
    """The symbols that bodies without a unit of their own name: those are carried into any unit."""
    return {
        part.names[token]
        for function in part.module.functions()
        if function.linkage == "available_externally"
        for token in references(function.text)
        if token in part.names
    }


def unit_mentions(fingerprints: Fingerprints, program: Program, unit: Unit) -> list[str]:
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


def _is_private(program: Program, name: str) -> bool:
    """Whether other files know nothing of a function, or have their own.

    An exported one may be called once in this program and twice in the next, and would be another unit there.
    The same holds for C++'s inline functions, but without them the JSON program is 15 % larger.
    """
    found = program.definitions.get(name)
    entity = program.entity(found) if found else None
    return entity is not None and (entity.local or entity.linkage == "linkonce_odr")


def _is_asked_for(program: Program, name: str, modules: Container[int], known: Known) -> bool:
    """Whether a function is the modules' own, or one that is to be found as these are."""
    if name in known.open:
        return True
    found = program.definitions.get(name)
    return found is not None and found.module in modules and program.entity(found).local


def _may_move(program: Program, body: Body | None, caller: str) -> bool:
    if body is None or not body.importable or body.lines > ONCE_LINES:
        return False
    found = program.definitions.get(caller)
    return body.home is None or (found is not None and body.home == found.module)


def stays(body: Body | None, longest: int) -> bool:
    """Whether there is a body, and no unit but its own ever holds it. `longest` as longest_import has it."""
    return body is not None and (not body.importable or body.lines > longest)
