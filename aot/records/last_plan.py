"""What the last build of an output decided, so that an edit need not have it all decided again.

One file per output has what there is to say of the program; one for each group of modules, read when
something in it is asked for, has their states: what others depend on of each, and what became of its units.
An edit has one of these written again. All is only a faster way to the same image (see replan.py): what is
lost or damaged costs time only.

    plan   = JSON, as `Head` has it
    states = JSON, a list with a line for each module of a group, as `ModuleState` has it
"""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from nativecache.aot.errors import PlanLost
from nativecache.aot.ir.debug_info import Named
from nativecache.aot.ir.outline import Outline
from nativecache.aot.key import check_sealed, own_record, sealed, sealed_form_of
from nativecache.aot.output.pieces import LastPieces, Linked
from nativecache.aot.packed import decode_names
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.format import check_key
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import (
    Malformed,
    boolean,
    list_of,
    mapping,
    nullable,
    number,
    read_json,
    record,
    row,
    text,
    whole,
)
from nativecache.linker.values import dataclass, fields

_SINCE: Final = whole()
#: What is between two modules' states, and in none of them.
_BETWEEN: Final = b",\n"
#: Names that are looked for in the bytes of states.
_FEW: Final = 30
#: After a day a program is planned from nothing: all objects are in use then, as pruning sees it.
_LIFETIME_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Head:
    """What was decided for a whole program; columns have an item for each module, names are packed.

    `guard`: digest of all but inputs that decides anything; `inputs`: of which these are, without what they
    hold. `options`: those of code
    generation, `datalayout` the target's. `once`: names of functions that one call reaches; `shared`: of
    definitions that several files may have; `exported_copies` and `used_copies`: Program.kept_copies;
    `comdats`: names of comdats in which nothing is called so (units/interface.py's `odd_comdats`).
    `unwinds`: whether any module handles exceptions; `everything`: whether all that is exported is a root.
    """

    guard: str
    inputs: str
    options: dict[str, Any]
    datalayout: str
    unwinds: bool
    everything: bool
    cplusplus: bool
    unlike: bool
    rustc: bool
    asm_words: str
    opaque_bases: str
    exported_copies: str
    used_copies: str
    comdats: str
    once: str
    shared: str
    #: Digests of functions, by final name, that modules have copies of to inline: all the same
    #: (units/inline_copies.py).
    copies: dict[str, str]
    #: The folder that was compiled in; names that debug information has different things under; checksums
    #: of sources by placeholder, in hexadecimal, and how many modules know each.
    directory: str
    ambiguous: str
    checksums: dict[str, tuple[str, int]]
    #: Which inputs they are.
    numbers: list[int]
    #: What modules were made from (digests of printed IR); "" for one that cannot stand.
    texts: list[str]
    #: The same without the folders of their sources (LoadedText.content).
    contents: list[str]
    #: What messages call them.
    labels: list[str]
    #: units/interface.py's digests.
    interfaces: list[str]
    #: Digests of how they were compiled, and whether they may come and go (units/interface.py).
    manners: list[str]
    apart: list[bool]
    #: What of C++'s exceptions is in them (units/interface.py's `exceptions_in`).
    exceptions: list[int]
    #: Digests of what modules say to functions that several files may have.
    sharing: list[str]
    #: Final names of the definitions in them.
    names: list[str]
    #: Final names of bodies that their units' texts depend on, and of symbols that their objects need.
    imports: list[str]
    needs: list[str]
    #: Keys of what they put into the image (output/pieces.py), "" for nothing.
    pieces: list[str]
    #: Numbers of the groups in which these, and states, are kept.
    groups: list[int]
    #: Digests of the groups' states, by number.
    states: dict[str, str]
    #: Pairs: names of locals, and what a linked image may call them.
    promoted: list[str]
    #: Names of their sources without folders, as compilers put them into objects.
    sources: list[str]
    #: Whether they have debug information.
    described: list[bool]
    #: Labels of other modules whose lines or code their units hold.
    involved: list[str]
    #: How many units; of the reached ones: how many, with code, of several functions, their milliseconds.
    counts: list[list[float]]


_TEXTS: Final = list_of(text())
_HEAD: Final = record(
    {
        **dict.fromkeys(
            ("guard", "inputs", "datalayout", "asm_words", "opaque_bases", "once", "shared"), text()
        ),
        **dict.fromkeys(("exported_copies", "used_copies", "comdats", "directory", "ambiguous"), text()),
        "checksums": mapping(row(text(), whole())),
        "copies": mapping(text()),
        **dict.fromkeys(("unwinds", "everything", "cplusplus", "unlike", "rustc"), boolean()),
        **dict.fromkeys(("texts", "contents", "labels", "interfaces", "manners", "sharing"), _TEXTS),
        **dict.fromkeys(("names", "imports", "needs", "pieces", "promoted", "sources", "involved"), _TEXTS),
        **dict.fromkeys(("described", "apart"), list_of(boolean())),
        "options": mapping(lambda value: value is None or type(value) in (str, int, bool)),
        "counts": list_of(row(number(), number(), number(), number(), number())),
        "states": mapping(text(longest=64)),
        "groups": list_of(whole()),
        "exceptions": list_of(whole()),
        "numbers": list_of(whole()),
    }
)


@dataclass(frozen=True, slots=True)
class PlacedLines:
    """What is put into objects of a module's debug information, as DebugInfo has it.

    `checksums`: in hexadecimal, by placeholder. `shapes`: of what others may have under the
    same names. `types`: lines, and lines in names, of the unit of types.
    """

    ranges: dict[str, int]
    lines: dict[str, int]
    named: dict[str, int]
    checksums: dict[str, str]
    shapes: dict[str, str]
    types: tuple[list[int], list[int]] | None


@dataclass(frozen=True, slots=True)
class ModuleState:
    """What was decided for one module, and what became of its units.

    `units`: kind, tokens, name, and whether it has asm and constructors, of each. `results`: of each that was
    reached its key, the digest of its own code, its bindings (packed), what it needs of the program, by final
    name, what it imports, milliseconds, what its encoded lines stand for (packed), and whether anything is
    put into its object. `roots`: positions of units. `dropped`: tokens of what does not
    prevail. `known`: of definitions by final name the digest of their declaration, that of their
    body, and whether they are plain (Program.is_plain). `bodies`: of those that others may import by final
    name: lines, importable, whether its own file only may inline it, heat, mentions, digest of what was
    simplified or "", bindings, line map, nodes.
    `bound`: tokens of copies that others may have, too, but that do not just come and go (`free_copies` in
    units/interface.py).
    `sees`: final names that something in the module refers to. `placed`: what the module's lines stand for.
    `said`: what it says to functions that several files may have, but for what its bodies do: how often it
    names each, by final name, 0 where that is in a body that has no unit.
    `outline`: of what it was made from, where it has one. `disbelieved`: as Module has it. `tied`: as
    ModuleFingerprints has `tied_nodes`. `counted`: tokens
    of functions by whose code others have what an inline function is to all (units/inline_copies.py).
    """

    units: Sequence[tuple[str, list[str], str, bool, bool]]
    results: Sequence[tuple[str, str, str, list[str], list[str], float, str, bool] | None]
    roots: list[int]
    dropped: list[str]
    bound: list[str]
    known: dict[str, tuple[str, str, bool]]
    bodies: dict[str, tuple[int, bool, bool, int, str, str, str, str, str]]
    sees: list[str]
    placed: PlacedLines | None
    outline: Outline | None
    disbelieved: dict[str, list[int]]
    tied: list[str]
    counted: list[str]
    said: list[tuple[int, str]]


_UNIT: Final = row(text(), _TEXTS, text(), boolean(), boolean())
_RESULT: Final = row(text(), text(), text(), _TEXTS, _TEXTS, number(), text(), boolean())
_LINES: Final = mapping(whole())
_TYPES: Final = row(list_of(whole()), list_of(whole()))
_PLACED: Final = record(
    {
        **dict.fromkeys(("ranges", "lines", "named"), _LINES),
        **dict.fromkeys(("checksums", "shapes"), mapping(text())),
        "types": nullable(_TYPES),
    }
)
_KNOWN: Final = row(text(), text(), boolean())
_BODY: Final = row(
    whole(),
    boolean(),
    boolean(),
    whole(),
    *(text() for _ in range(5)),
)
_STATE: Final = record(
    {
        "units": list_of(_UNIT),
        "results": list_of(lambda value: value is None or _RESULT(value)),
        "roots": list_of(whole()),
        "dropped": _TEXTS,
        "bound": _TEXTS,
        "known": mapping(_KNOWN),
        "bodies": mapping(_BODY),
        "sees": _TEXTS,
        "placed": nullable(_PLACED),
        "outline": nullable(record({field.name: text() for field in fields(Outline)})),
        "disbelieved": mapping(list_of(whole())),
        "tied": _TEXTS,
        "counted": _TEXTS,
        "said": list_of(row(whole(), text())),
    }
)


@dataclass(frozen=True, slots=True)
class Gone:
    """Definitions by final name, as ModuleState has them, of modules that are none of a program any more."""

    known: Mapping[str, tuple[str, str, bool]]
    bodies: Mapping[str, tuple[int, bool, bool, int, str, str, str, str, str]]


class LastPlan:
    """The plan of an output's last build: its head, and its modules' states as they are asked for."""

    #: Whether it is that of another output: nothing of it is kept for this one yet.
    adopted = False
    #: What the records of modules whose files have other names now were known by, by module.
    before: Mapping[int, str] = MappingProxyType({})

    def __init__(self, head: Head, since: int, store: EntryStore, output: Path) -> None:
        self.head, self.since, self.output = head, since, output
        self.store = store
        self._blocks: dict[int, bytes] = {}
        self._states: dict[int, ModuleState] = {}
        self._nodes: dict[int, Named | None] = {}

    def __len__(self) -> int:
        """How many modules there were."""
        return len(self.head.texts)

    def block(self, module: int) -> bytes:
        """The bytes of a module's state. Raises PlanLost where they are not those of this plan."""
        if module not in self._blocks:
            number = self.head.groups[module]
            digest = self.head.states.get(str(number), "none")  # another's are not taken for want of one
            key = states_recipe(self.output, number).key()
            blocks = self.store.read(key, lambda entry: read_states(entry, digest))
            modules = [i for i, other in enumerate(self.head.groups) if other == number]
            if blocks is None or len(blocks) != len(modules):
                raise PlanLost("states of modules are gone")
            self._blocks.update(zip(modules, blocks, strict=True))
        return self._blocks[module]

    def state(self, module: int) -> ModuleState:
        """The state of a module. Raises PlanLost."""
        found = self._states.get(module)
        if found is None:
            try:
                found = self._states[module] = read_state(self.block(module))
            except Malformed as error:
                raise PlanLost(str(error)) from None
        return found

    def naming(self, names: Iterable[str], active: Container[int]) -> Iterator[tuple[int, ModuleState]]:
        """The states of modules, but for some, in which any of these names or tokens may be.

        To read a state takes as long as to look for some thirty names in its bytes. Raises PlanLost.
        """
        words = [json.dumps(name)[1:-1].encode() for name in names]
        few = len(words) <= _FEW
        for i in range(len(self) if words else 0):
            if i not in active and (
                not few or i in self._states or any(map(self.block(i).__contains__, words))
            ):
                yield i, self.state(i)

    def nodes(self, module: int) -> Named | None:
        """What became of the nodes of a module's debug information; None where that is not kept.

        Raises PlanLost.
        """
        if module not in self._nodes:
            head, found = self.head, self.state(module).outline
            self._nodes[module] = None
            if found is not None:
                from nativecache.aot.records.named_nodes import load_nodes, nodes_digest, nodes_recipe

                digest = nodes_digest(found.around, head.directory, head.ambiguous)
                key = nodes_recipe(self.output, module).key()
                self._nodes[module] = load_nodes(self.store, key, digest)
        return self._nodes[module]

    def look_ahead(self, module: int) -> None:
        """Reads what an edit of a module needs, while clang is at work on it.

        What is gone is for whoever asks for it to find out.
        """
        with suppress(PlanLost):
            self.state(module)
            if self.head.described[module]:
                self.nodes(module)
            self.pieces.members(module)

    @property
    def gone(self) -> Gone:
        """What was defined in modules that are none of the program any more."""
        return Gone({}, {})

    @property
    def linked(self) -> Linked:
        """What was linked of the modules that there were."""
        head = self.head
        return Linked(head.pieces, head.groups, [int(count[1]) for count in head.counts], range(len(self)))

    @cached_property
    def pieces(self) -> LastPieces:
        """What modules put into the image."""
        return LastPieces(self.store, self.linked, self.output)

    @cached_property
    def module_of(self) -> dict[str, int]:
        """The module that defines a symbol, by final name."""
        found: dict[str, int] = {}
        for module, names in enumerate(self.head.names):
            found.update(dict.fromkeys(decode_names(names), module))
        return found


def read_state(data: bytes) -> ModuleState:
    """A module's state. Raises Malformed."""
    found = read_json(data, _STATE)
    placed, around = found.pop("placed"), found.pop("outline")
    state = ModuleState(
        **found,
        placed=PlacedLines(**placed) if placed else None,
        outline=Outline(**around) if around else None,
    )
    if len(state.units) != len(state.results) or any(n >= len(state.units) for n in state.roots):
        raise Malformed("results of other units")
    return state


def write_state(state: ModuleState) -> bytes:
    """The bytes of a module's state, as `read_state` takes them."""
    values = _values(state)
    for name in ("placed", "outline"):
        if values[name]:
            values[name] = _values(values[name])
    return _json(values)


def _values(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def plan_recipe(output: Path) -> Recipe:
    """What the plan of an output's last build is kept under."""
    return Recipe(*own_record("plan"), ("label", str(output.absolute())))


def states_recipe(output: Path, number: int) -> Recipe:
    """What the states of a group of an output's modules are kept under."""
    return Recipe(*own_record("states"), ("label", str(output.absolute())), ("group", str(number)))


def load_plan(store: EntryStore, output: Path) -> LastPlan | None:
    """The plan of an output's last build, if there is one that is young enough."""
    found = store.read(plan_recipe(output).key(), read_plan)
    if not found or abs(time.time() - found[1]) >= _LIFETIME_SECONDS:
        return None
    return LastPlan(*found, store, output)


def save_plan(
    store: EntryStore,
    output: Path,
    head: Head,
    blocks: Sequence[bytes | None],
    since: int,
    level: int = AGAIN,
) -> None:
    """Keeps the plan of an output's last build in place of the one before.

    `blocks`: modules' states, None for those of a group that is kept already. `since`: the time, in seconds,
    of the last build from nothing.
    """
    new: dict[int, list[bytes]] = {}
    for group, block in zip(head.groups, blocks, strict=True):
        if block is not None:
            new.setdefault(group, []).append(block)
    states = dict(head.states)
    for group in sorted({*head.groups}):
        key = states_recipe(output, group).key()
        if group in new:
            payload = b"[%b]" % _BETWEEN.join(new[group])
            entry = sealed("states", key, payload, level)
            states[str(group)] = str(entry.meta["digest"])
            store.save(entry)
        else:
            store.note_used(key)
    payload, key = _json({**_values(head), "states": states}), plan_recipe(output).key()
    store.save(Entry(key, payload, {**sealed_form_of("plan", key, payload), "since": since}, level))


def read_states(entry: Entry, digest: str = "", *, closely: bool = False) -> list[bytes]:
    """The bytes of the states of a group's modules; `digest`: of the plan's. Raises Malformed.

    `closely`: reads them, too; a build reads those that it uses.
    """
    check_sealed(entry)
    if digest and entry.meta["digest"] != digest:
        raise Malformed("states of another plan")
    if entry.payload[:1] != b"[" or entry.payload[-1:] != b"]":
        raise Malformed("no list of states")
    blocks = entry.payload[1:-1].split(_BETWEEN)
    for block in blocks if closely else ():
        read_state(block)
    return blocks


def read_plan(entry: Entry) -> tuple[Head, int]:
    """The plan of an output's last build but for states, and the time of `save_plan`. Raises Malformed."""
    check_sealed(entry)
    since = entry.meta.get("since")
    if not _SINCE(since):
        raise Malformed("a plan without a time")
    head = Head(**read_json(entry.payload, _HEAD))
    _check_head(head)
    return head, int(str(since))


def _check_head(head: Head) -> None:
    """Raises Malformed where columns differ in length, or keys are none."""
    columns = [value for field in fields(head) if isinstance(value := getattr(head, field.name), list)]
    if len({len(column) for column in columns}) != 1:
        raise Malformed("columns of different lengths")
    try:
        for key in filter(None, head.pieces):
            check_key(key)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
