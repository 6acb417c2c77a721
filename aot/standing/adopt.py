"""Makes the plan of another output one for this build, whose modules are mostly those of that one.

Problem: another checkout, a second output, or the next of twenty test programs is planned from nothing
though hardly anything in it is new. Method: of an output that was built in the same way (records/outputs.py)
the plan is taken with its modules in this program's order. A module that it does not have is one that changed
from nothing; of one that this program does not have, all names are gone. Both may be only what bears on
nothing but what names it (`stands_apart`). From there the way is that of an edit (replan.py), which decides
whether such a plan stands.

Modules are the same by what they hold, not by where they are; but promoted locals are called after files,
and so are records. So they are told apart by both of these, and of several files of one name by their order.
A file that has another name now is a module that changed: all that is called after it is called otherwise.
Its records are found under the name that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from nativecache.aot.errors import PlanLost
from nativecache.aot.front.load import Loaded, LoadedText
from nativecache.aot.output.pieces import Linked
from nativecache.aot.packed import decode_names, encode_names
from nativecache.aot.records.last_plan import Gone, Head, LastPlan, ModuleState, load_plan, write_state
from nativecache.aot.records.memo import record_names
from nativecache.aot.records.outputs import ListedOutput, list_outputs, shortened
from nativecache.aot.standing.keep import describe_inputs
from nativecache.aot.units.resolve import module_ids
from nativecache.cache.lookup import EntryStore
from nativecache.linker.values import fields, replace

#: How many plans are tried.
_TRIES: Final = 2
#: Of the functions of a renamed file so many are what they were, at the least.
_ALIKE: Final = 0.5
#: Columns of modules that were not there.
_EMPTY: Final = {"apart": True, "described": False, "exceptions": 0, "counts": [0, 0, 0, 0, 0.0]}
_NOTHING_KNOWN: Final = ModuleState(
    units=[],
    results=[],
    roots=[],
    dropped=[],
    bound=[],
    known={},
    bodies={},
    sees=[],
    placed=None,
    outline=None,
    disbelieved={},
    tied=[],
    counted=[],
    said=[],
)


class AdoptedPlan(LastPlan):
    """The plan of another output, as one of this program's modules.

    `places`: which of that plan's modules each is, None for one that is none of them.
    """

    adopted = True

    def __init__(
        self, head: Head, donor: LastPlan, places: Sequence[int | None], before: Mapping[int, str]
    ) -> None:
        super().__init__(head, donor.since, donor.store, donor.output)
        self._donor, self._places = donor, places
        self.before = before

    def block(self, module: int) -> bytes:
        """The bytes of a module's state. Raises PlanLost where they are not those of this plan."""
        place = self._places[module]
        return self._nothing if place is None else self._donor.block(place)

    def state(self, module: int) -> ModuleState:
        """The state of a module. Raises PlanLost."""
        place = self._places[module]
        return _NOTHING_KNOWN if place is None else self._donor.state(place)

    @cached_property
    def _nothing(self) -> bytes:
        return write_state(_NOTHING_KNOWN)

    @cached_property
    def gone(self) -> Gone:
        """What was defined in modules that are none of the program any more. Raises PlanLost."""
        states = [self._donor.state(j) for j in range(len(self._donor)) if j not in self._places]
        return Gone(
            {name: row for state in states for name, row in state.known.items()},
            {name: row for state in states for name, row in state.bodies.items()},
        )

    @property
    def linked(self) -> Linked:
        """What was linked for the other output."""
        return replace(self._donor.linked, places=self._places)


def find_plans(
    store: EntryStore, guard: str, loaded: Loaded, runs: Iterable[Sequence[int]], own: LastPlan | None
) -> Iterator[AdoptedPlan]:
    """Plans of other outputs that may do for some inputs, the likeliest first.

    `guard`: as Head has it. `runs`: modules that are linked one after the other. `own`: the output's own
    plan, if that is of the same inputs and did not do; then only better ones are given.
    """
    texts, runs = loaded.texts, list(runs)
    mine = sum(text.digest == old for text, old in zip(texts, own.head.texts, strict=True)) if own else 0
    for listed, shared in _likeliest(texts, list_outputs(store, guard))[:_TRIES]:
        if 2 * shared < len(texts) or shared <= mine:
            return
        donor = load_plan(store, Path(listed.path))
        try:
            adopted = _adopt(donor, guard, loaded, runs) if donor else None
        except PlanLost:
            adopted = None  # pruned since, or damaged
        if adopted is not None:
            yield adopted


def _likeliest(
    texts: Sequence[LoadedText], outputs: Sequence[ListedOutput]
) -> list[tuple[ListedOutput, int]]:
    """Outputs with the number of modules that they share, by that, then by how few others they have."""
    if not outputs:
        return []
    known = {digest for one in outputs for digest in one.texts}
    digests = shortened(text.digest for text in texts)
    # To tell what a text holds without its folder it has to be read.
    contents = shortened(
        "" if digest in known else text.content for digest, text in zip(digests, texts, strict=True)
    )
    found = []
    for one in outputs:
        as_they_are, held = {*one.texts}, {*one.contents} - {""}
        pairs = zip(digests, contents, strict=True)
        found.append((one, sum(digest in as_they_are or content in held for digest, content in pairs)))
    return sorted(found, key=lambda pair: (-pair[1], len(pair[0].texts)))


def _adopt(donor: LastPlan, guard: str, loaded: Loaded, runs: Iterable[Sequence[int]]) -> AdoptedPlan | None:
    """A plan as that of another program; None where it is one of something else."""
    head, texts = donor.head, loaded.texts
    labels = [text.label for text in texts]
    places = _find_places(labels, head.labels)
    renamed = _find_renamed(donor, texts, places)
    places = [renamed.get(i, place) for i, place in enumerate(places)]
    if head.guard != guard or not texts or not any(place is not None for place in places):
        return None
    lost = sorted(set(range(len(donor))).difference(places))
    gone = frozenset(name for j in lost for name in decode_names(head.names[j]))
    changed = bool(lost) or None in places
    if any(head.described) and (changed or labels != head.labels):
        return None  # lines are known by labels
    if changed and len({*head.manners}) > 1:
        return None
    if not all(head.apart[j] and not head.sharing[j] for j in lost):
        return None
    if not gone.isdisjoint(decode_names(head.asm_words)):
        return None
    if _is_reordered(places) and not all(head.apart[j] for j in places if j is not None):
        return None  # which of several definitions prevails depends on the order
    columns: dict[str, Any] = {
        field.name: _permuted(field.name, value, places)
        for field in fields(head)
        if isinstance(value := getattr(head, field.name), list)
    }
    for i, (place, text) in enumerate(zip(places, texts, strict=True)):
        if i in renamed:
            columns["texts"][i] = ""  # nothing of it stands
        elif place is not None and head.texts[place] and _is_same(head, place, text):
            columns["texts"][i] = text.digest
    columns |= {"numbers": list(loaded.numbers), "labels": labels}
    columns["groups"] = _regroup(runs, places, head.groups)
    once = encode_names(name for name in decode_names(head.once) if name not in gone)
    ours = replace(head, inputs=describe_inputs(loaded), states={}, once=once, **columns)
    names = record_names(head.labels)
    return AdoptedPlan(ours, donor, places, {i: names[place] for i, place in renamed.items()})


def _is_same(head: Head, place: int, text: LoadedText) -> bool:
    return head.texts[place] == text.digest or head.contents[place] == text.content


def _find_places(labels: Sequence[str], theirs: Sequence[str]) -> list[int | None]:
    """Which of `theirs` are called what each of some labels is, as far as names rest on it."""
    known = {name: j for j, name in enumerate(zip(module_ids(theirs), record_names(theirs), strict=True))}
    return [known.get(name) for name in zip(module_ids(labels), record_names(labels), strict=True)]


def _find_renamed(
    donor: LastPlan, texts: Sequence[LoadedText], places: Sequence[int | None]
) -> dict[int, int]:
    """Which of the other modules of a plan those of some texts are that have no place, by what they hold.

    Raises PlanLost.
    """
    left = [j for j in range(len(donor)) if j not in places]
    found: dict[int, int] = {}
    for i, place in enumerate(places):
        if place is not None or not left:
            continue
        functions = texts[i].outline.functions
        for j in left:
            known = donor.state(j).outline
            theirs = known.functions if known else frozenset()
            if len(functions & theirs) > _ALIKE * max(len(functions), len(theirs)):
                found[i] = j
                left.remove(j)
                break
    return found


def _is_reordered(places: Iterable[int | None]) -> bool:
    kept = [place for place in places if place is not None]
    return kept != sorted(kept)


def _permuted(name: str, column: Sequence[object], places: Sequence[int | None]) -> list[object]:
    return [_EMPTY.get(name, "") if place is None else column[place] for place in places]


def _regroup(runs: Iterable[Sequence[int]], places: Sequence[int | None], groups: Sequence[int]) -> list[int]:
    """The number of each module's group: what was one stays one, a new module is put to its neighbours."""
    found = [0] * len(places)
    number = 0
    for run in runs:
        number += 1  # a run begins with a group of its own
        before = None
        for module in run:
            place = places[module]
            theirs = groups[place] if place is not None else before
            if before is not None and theirs != before:
                number += 1
            before = theirs
            found[module] = number
    return found
