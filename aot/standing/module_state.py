"""What other modules depend on of one, gathered once its program is planned: for the next build's plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set

from nativecache.aot.called_once import ONCE_LINES, carried_mentions, unit_mentions
from nativecache.aot.ir.debug_info import DebugInfo, LineMap
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.outline import Outline
from nativecache.aot.key import value_digest
from nativecache.aot.packed import decode_names, encode_names
from nativecache.aot.records.last_plan import LastPlan, ModuleState, PlacedLines
from nativecache.aot.units.bodies import Body, SimplifiedBody, unit_body
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import ImportCandidates, shows_constant
from nativecache.aot.units.lines import held_from
from nativecache.aot.units.on_demand import OnDemandSequence
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Definition, Program, ProgramModule
from nativecache.linker.values import dataclass, replace

KnownRow = tuple[str, str, bool]
Row = tuple[str, str, str, list[str], list[str], float, str, bool]
BodyRow = tuple[int, bool, bool, int, str, str, str, str, str]


def known_rows(
    program: Program, plain: Fingerprints, imports: ImportFingerprints, definitions: Mapping[str, Definition]
) -> dict[str, KnownRow]:
    """What others depend on of definitions, by final name, as ModuleState has it."""
    rows = {}
    for name, found in definitions.items():
        entity = program.entity(found)
        code = imports.body(name).hex() if entity.kind == "function" else ""
        is_plain = entity.kind not in ("alias", "ifunc") and not shows_constant(program, found)
        rows[name] = (plain.definition(name, found).own.hex(), code, is_plain)
    return rows


def body_rows(candidates: ImportCandidates, definitions: Mapping[str, Definition]) -> dict[str, BodyRow]:
    """What others may import of definitions, by final name, as ModuleState has it."""
    rows = {}
    for name in definitions:
        body = candidates.bodies.get(name)
        if body is not None:
            digest = body.digest.hex() if isinstance(body, SimplifiedBody) else ""
            bound = ("", "", "")
            if isinstance(body, SimplifiedBody):
                bound = body.bindings, body.line_map, body.nodes
            known = body.lines, body.importable, body.home is not None, body.heat, body.mentions
            rows[name] = (*known, digest, *bound)
    return rows


@dataclass(frozen=True, slots=True)
class Said:
    """What a module says to functions that several files may have, by what it has bodies of, and the rest.

    Which of those functions one call reaches is decided over the whole program, from no more than this. Each
    row is of one caller and a function that it mentions, or of one of those functions itself, that function
    last. Callers that are none of them are not told apart; of the rest there are none (ModuleState.said).
    """

    bodies: Sequence[tuple[object, ...]]
    rest: Sequence[tuple[int, str]]

    @property
    def digest(self) -> str:
        """The digest of all of it, in hexadecimal; "" for nothing."""
        rows = [*self.bodies, *self.rest]
        return value_digest(sorted(rows, key=repr)).hex() if rows else ""


def what_is_said(
    program: Program,
    candidates: ImportCandidates,
    part: ProgramModule,
    units: Iterable[Unit],
    roots: Container[int],
    plain: Fingerprints,
    longest: int,
    shared: frozenset[str],
) -> Said:
    """What a module says to functions that several files may have (`shared`).

    `units`: the module's, of which `roots` are indices.
    """
    if not shared:
        return Said((), ())
    bodies, once = candidates.bodies, candidates.once
    said = list[tuple[object, ...]]()
    rest = [(0, name) for name in carried_mentions(part) & shared]
    for unit in units:
        body = unit_body(program, bodies, unit)
        if body is None:
            counts = Counter(name for name in unit_mentions(plain, program, unit) if name in shared)
            rest += [(count, name) for name, count in counts.items()]
            continue
        row = body.lines, body.importable, body.home is not None, body.mentions
        is_root = unit.index in roots
        said += _said(unit.name, row, longest, shared, in_once=unit.name in once, is_root=is_root)
    return Said(said, sorted(rest))


def _said(
    name: str,
    body: tuple[int, bool, bool, str],
    longest: int,
    shared: frozenset[str],
    *,
    in_once: bool,
    is_root: bool,
) -> Iterator[tuple[object, ...]]:
    """What a function says; `body`: its lines, whether it is importable and stays at home, mentions."""
    lines, importable, stays_home, mentions = body
    caller = name if name in shared else "another"
    stays = not importable or lines > longest
    for other, count in Counter(decode_names(mentions)).items():
        if other in shared:
            yield caller, in_once, stays, count, other
    if name in shared:
        yield importable, min(lines, ONCE_LINES + 1), stays_home, is_root, name


def _said_before(
    state: ModuleState, once: frozenset[str], longest: int, shared: frozenset[str]
) -> Iterator[tuple[object, ...]]:
    """`Said.bodies` of a module in the last build."""
    roots = frozenset(state.roots)
    for n, name, row in _bodies_of_units(state):
        body = (*row[:3], row[4])
        yield from _said(name, body, longest, shared, in_once=name in once, is_root=n in roots)


def _bodies_of_units(state: ModuleState) -> Iterator[tuple[int, str, BodyRow]]:
    """The units that are one function with a body: position, final name, and the body."""
    for n, (kind, _, name, _, _) in enumerate(state.units):
        row = state.bodies.get(name) if kind == "function" else None
        if row is not None:
            yield n, name, row


def called_otherwise(
    last: LastPlan, said: Mapping[int, Said], bodies: Mapping[str, Body], longest: int, shared: frozenset[str]
) -> set[str]:
    """Those of the functions that several files may have to which the active modules, by index, say something
    else than in the last build: one call may reach them that did not, or the other way round."""
    once = frozenset(decode_names(last.head.once))
    before, after = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    within = set[str]()
    for i, now in said.items():
        if now.digest == last.head.sharing[i]:
            continue
        state = last.state(i)
        old = Counter[tuple[object, ...]](_said_before(state, once, longest, shared))
        old.update((count, name) for count, name in state.said if name in shared)
        new = Counter[tuple[object, ...]]([*now.bodies, *now.rest])
        within.update(str(row[-1]) for row in old.keys() | new.keys() if old[row] != new[row])
        before.update(old)
        after.update(new)
    changed = {str(row[-1]) for row in before.keys() | after.keys() if before[row] != after[row]}
    # Which module says it makes a difference where a body stays in its own.
    for name in within - changed:
        body = bodies.get(name)
        if body is None or body.home is not None:
            changed.add(name)
    return changed


def standing_mentions(last: LastPlan, active: Container[int], names: Set[str]) -> dict[str, list[str]]:
    """Of some functions that several files may have: who names each in modules that stand, and how often.

    That is the final name of a function with a body, else "". What is carried into any unit counts twice.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for _, state in last.naming(names, active):
        for _, caller, row in _bodies_of_units(state):
            for name in decode_names(row[4]):
                if name in names:
                    found[name].append(caller)
        for count, name in state.said:
            if name in names:
                found[name] += [""] * (count or 2)
    return found


def standing_roots(last: LastPlan, active: Container[int], names: Iterable[str]) -> set[str]:
    """Those of some functions that modules which stand define, and hold in place."""
    roots = set[str]()
    for name in names:
        module = last.module_of.get(name)
        if module is not None and module not in active:
            state = last.state(module)
            roots.update(state.units[n][2] for n in state.roots)
    return roots.intersection(names)


def bound_copies(part: ProgramModule, free: frozenset[str]) -> list[str]:
    """Tokens of a module's definitions of which others may have copies, but that do not just come and go.

    `free`: those that do (units/interface.py).
    """
    linked_once = {e.token for e in part.entities.values() if e.defined and e.linkage.startswith("linkonce")}
    return sorted((linked_once | part.dropped) - free)


def names_seen(part: ProgramModule, bodies: Mapping[str, BodyRow]) -> set[str]:
    """The final names of all symbols that something in a module refers to, or came to by the clean-up."""
    names = set(part.names.values())
    for body in bodies.values():
        names.update(decode_names(body[4]))
    return names


def lists_of(numbers: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Module.disbelieved as ModuleState has it."""
    return {token: list(lines) for token, lines in sorted(numbers.items())}


def outline_of(found: Outline, module: Module) -> Outline | None:
    """The outline that is kept of a module; None where edits of it are not looked at function by function.

    `found`: that of its text.
    """
    if module.debug is None:
        return None if "llvm.dbg.cu" in module.named_metadata else found
    known = found if module.debug.numbering is not None else replace(found, around="")
    return known.reading({entity.token: entity.text for entity in module.functions()}, _rest(module))


def _rest(module: Module) -> str:
    """The digest of all that a module with debug information has but functions' texts, and lines."""
    debug = module.debug
    assert debug is not None, "asked for where there is some"
    others = [e.text for e in module.entities.values() if not (e.kind == "function" and e.defined)]
    # What functions' own nodes are, and hold, is in their tokens, and so in the functions' texts.
    outer = {key: scope for key, (_, scope) in debug.owners.items()}
    told = debug.statics, debug.hosts, debug.callees, outer, debug.units, debug.imports
    names = debug.relative, sorted(debug.ambiguous), sorted(debug.shapes.items())
    parts = (
        (module.source_file, module.triple, module.datalayout, module.asm, module.structors, module.used),
        (module.types, module.comdats, module.attributes, module.named_metadata),
        [[sorted(table.items()) for table in told], names, debug.types.text if debug.types else None],
        others,
    )
    return value_digest(parts).hex()


def placed_lines(debug: DebugInfo | None) -> PlacedLines | None:
    """What is put into objects of a module's debug information; None where it has none."""
    if debug is None:
        return None
    checksums = _hexadecimal(debug.checksums)
    types = (list(debug.types.lines), list(debug.types.named)) if debug.types else None
    return PlacedLines(
        dict(debug.ranges), dict(debug.lines), dict(debug.named), checksums, dict(debug.shapes), types
    )


def has_lines(debug: DebugInfo | None, placed: PlacedLines | None) -> bool:
    """Whether lines are those that were put into objects of a module's debug information."""
    if debug is None or placed is None:
        return debug is None and placed is None
    types = (list(debug.types.lines), list(debug.types.named)) if debug.types else None
    before = placed.types and tuple(map(list, placed.types))
    return (
        debug.ranges == placed.ranges
        and debug.lines == placed.lines
        and debug.named == placed.named
        and types == before
    )


def mean_the_same(last: LastPlan, active: Mapping[int, Module]) -> bool:
    """Whether what is ambiguous over the whole program (debug/shapes.py) is what it was."""
    if not any(last.head.described[i] for i in active):
        return True
    from nativecache.aot.debug.shapes import are_as_ambiguous

    def shapes(i: int) -> Mapping[str, str]:
        placed = last.state(i).placed
        return placed.shapes if placed else {}

    described = {i: module.debug or DebugInfo() for i, module in active.items()}
    now = {i: (debug.shapes, debug.doubtful) for i, debug in described.items()}
    before = OnDemandSequence(len(last), shapes)
    return are_as_ambiguous(before, now, lambda: frozenset(decode_names(last.head.ambiguous)))


def _hexadecimal(checksums: Mapping[bytes, bytes]) -> dict[str, str]:
    return {placeholder.hex(): real.hex() for placeholder, real in checksums.items()}


def count_checksums(program: Program) -> dict[str, tuple[str, int]] | None:
    """Checksums of all sources, as Head has them; None if a source had two while it was read."""
    return _add_checksums({}, program.debug.values())


def checksums_again(last: LastPlan, active: Mapping[int, Module]) -> dict[str, tuple[str, int]] | None:
    """Checksums of all sources, as Head has them, given the active modules; None if a source has two."""
    found = dict(last.head.checksums)
    for i in active:
        placed = last.state(i).placed
        for placeholder in placed.checksums if placed else ():
            real, count = found.pop(placeholder)
            if count > 1:
                found[placeholder] = real, count - 1
    return _add_checksums(found, [module.debug for module in active.values() if module.debug])


def _add_checksums(
    known: Mapping[str, tuple[str, int]], modules: Iterable[DebugInfo]
) -> dict[str, tuple[str, int]] | None:
    found = dict(known)
    for debug in modules:
        for placeholder, real in _hexadecimal(debug.checksums).items():
            before, count = found.get(placeholder, (real, 0))
            if before != real:
                return None
            found[placeholder] = real, count + 1
    return dict(sorted(found.items()))


def involved(program: Program, module: int, rows: Iterable[Row | None]) -> str:
    """Labels of the other modules whose lines or code a module's units hold, packed."""
    found, imported = set[str](), set[str]()
    for row in rows:
        if row and row[7]:
            found.update(LineMap.labels(row[6]))
            imported.update(row[4])
    found |= held_from(program, module, (), imported)
    return encode_names(sorted(found - {program.label(module)}))


def held_by(program: Program, module: int, row: Row) -> set[str]:
    """Labels of all modules whose lines or code a unit holds, given by its row."""
    return held_from(program, module, LineMap.labels(row[6]), row[4])


def group(definitions: Mapping[str, Definition], count: int) -> Sequence[dict[str, Definition]]:
    """The definitions of each of so many modules."""
    found: list[dict[str, Definition]] = [{} for _ in range(count)]
    for name, definition in definitions.items():
        found[definition.module][name] = definition
    return found
