"""Finds which module's copy prevails of what C++ has in each file that needs it, as copies come and go.

Problem: an inline function that a file names first, or no more, comes to it or goes, and with it may come the
definition that the whole program has. Method: the first module's copy prevails, and of modules that stand the
last plan tells where that is, and which have others. Where a standing module is to give up its copy, or to
bring it, that module is planned anew, too.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import quote, symbol_name
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Owners:
    """What active modules have of which others have copies, too.

    `dropped`: by active module, tokens of definitions that do not prevail. `come`, `gone`: final names of
    what nobody defined before, or nobody does any more. `more`: standing modules that are to be active,
    before the rest is of use.
    """

    dropped: Mapping[int, frozenset[str]]
    come: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    more: frozenset[int] = frozenset()


def find_owners(
    last: LastPlan, active: Mapping[int, Module], free: Mapping[int, frozenset[str]]
) -> Owners | None:
    """Who owns what, given the free copies (units/interface.py) of each active module, as tokens.

    None where something else than free copies has to do with it.
    """
    shared = frozenset(decode_names(last.head.shared))
    before = {i: _free_before(last, i, shared) for i in active}
    changed = frozenset().union(*(free[i] ^ before[i] for i in active))
    kept = {i: frozenset(last.state(i).dropped) - changed for i in active}
    if not changed:
        return Owners(kept)
    dropped = {i: set(tokens) for i, tokens in kept.items()}
    come, gone, more = set[str](), set[str](), set[int]()
    head = last.head
    fixed = {
        name
        for names in (head.exported_copies, head.used_copies, head.comdats)
        for name in decode_names(names)
    }
    lost = set[str]()
    for token in changed:
        name = symbol_name(token)
        mine = [i for i in sorted(active) if token in free[i]]
        if name in fixed or any(_has_other(active[i], token) for i in active if i not in mine):
            return None
        owner = last.module_of.get(name)
        if owner is None:
            come.add(name)
            rest = mine[1:]
        elif name not in shared:
            return None
        elif owner in active:
            rest = mine[1:]
            if owner not in mine:
                lost.add(token)
        elif token in last.state(owner).bound:
            return None
        else:
            rest = mine
            if mine and mine[0] < owner:
                more.add(owner)
        for i in rest:
            dropped[i].add(token)
    for token, i in _next_owners(last, lost, active):
        first = min((k for k in active if token in free[k]), default=len(last))
        if i < first:
            more.add(i)
        lost.discard(token)
    gone.update(symbol_name(token) for token in lost if not any(token in free[k] for k in active))
    return Owners(
        {i: frozenset(tokens) for i, tokens in dropped.items()},
        frozenset(come),
        frozenset(gone),
        frozenset(more),
    )


def _free_before(last: LastPlan, i: int, shared: Container[str]) -> frozenset[str]:
    """The tokens of the free copies that a module had in the last build, dropped or not."""
    state = last.state(i)
    own = ("@" + quote(name) for name in state.known if name in shared)
    return frozenset((*own, *state.dropped)).difference(state.bound)


def _has_other(module: Module, token: str) -> bool:
    """Whether a module has a definition for other files of what is no free copy there."""
    entity = module.entities.get(token)
    return (
        entity is not None
        and entity.defined
        and not entity.local
        and entity.linkage != "available_externally"
    )


def _next_owners(last: LastPlan, tokens: Iterable[str], active: Container[int]) -> Sequence[tuple[str, int]]:
    """The first standing module that has a copy of each of some definitions, if there is one."""
    waiting, found = set(tokens), list[tuple[str, int]]()
    for i, state in last.naming(tokens, active):
        here = waiting.intersection(state.dropped)
        found += [(token, i) for token in here]
        waiting -= here
        if not waiting:
            break
    return found
