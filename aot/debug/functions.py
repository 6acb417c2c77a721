"""Finds which nodes of debug information are a function's own: its scopes, variables and labels.

They form one group that is named together (see own_nodes.py), because they refer to one another and to
nothing that another function has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nativecache.aot.debug.syntax import (
    BLOCKS,
    DECLARATION,
    FILE,
    LINKAGE_NAME,
    MADE_OF,
    NAME,
    NODE,
    OWNED,
    RETAINED,
    SCOPE,
    SIZED,
    SUBPROGRAM,
)
from nativecache.aot.ir.debug_info import LOCAL_TO
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.debug.nodes import DebugNodes


@dataclass(frozen=True)
class Functions:
    """A module's functions, each known by the number of its DISubprogram.

    `members`: the function's own nodes, itself first. `owners`: the same the other way round, the function by
    node. `keys`: the symbol that the function describes, else its name and a number. `files`: the file by
    function and by scope within one.
    """

    members: Mapping[str, list[str]]
    owners: Mapping[str, str]
    keys: Mapping[str, str]
    files: Mapping[str, str]

    def localize(self, body: str) -> str:
        """Name a function by its key in a type in its scope, for its node changes with every variable."""
        found = SCOPE.search(body)
        owner = self.owners.get(found[1]) if found else None
        if found is None or owner is None:
            return body
        return f"{body[: found.start(1)]}{LOCAL_TO}{self.keys[owner]}{LOCAL_TO}{body[found.end(1) :]}"


def find_functions(nodes: DebugNodes, symbols: Mapping[str, str]) -> Functions:
    """Which nodes are whose. `symbols` are the functions' symbols, by the number of their DISubprogram."""
    bodies = nodes.bodies
    functions = [n for n, body in bodies.items() if body.startswith(SUBPROGRAM)]
    plain = {n for n, *_ in nodes.blocks}
    rare = {n: body for n, body in bodies.items() if body.startswith(BLOCKS) and n not in plain}
    groups = _Groups(functions)
    _own_blocks(groups, nodes, rare)
    _own_others(groups, nodes, functions)
    _own_sizes(groups, bodies)
    files = {n: m[1] if (m := FILE.search(bodies[n])) else "" for n in functions}
    files.update((n, file) for n, _, file, *_ in nodes.blocks)
    files.update((n, m[1]) for n, body in rare.items() if (m := FILE.search(body)))
    return Functions(groups.members, groups.owners, _choose_keys(bodies, functions, symbols), files)


class _Groups:
    """Functions and what is theirs, while it is being found."""

    def __init__(self, functions: Iterable[str]) -> None:
        self.members = {n: [n] for n in functions}
        self.owners = {n: n for n in self.members}

    def own(self, nodes: Iterable[str], scope: str) -> None:
        """Give nodes in a scope to the function that has the scope, if one has, and none has them."""
        owner = self.owners.get(scope)
        if owner is not None:
            for n in nodes:
                if n not in self.owners:
                    self.owners[n] = owner
                    self.members[owner].append(n)


def _own_blocks(groups: _Groups, nodes: DebugNodes, rare: Mapping[str, str]) -> None:
    """Blocks within blocks are printed in any order. `rare` are those that nodes.blocks leaves out."""
    above = {n: scope for n, scope, *_ in nodes.blocks}
    above.update((n, m[1]) for n, body in rare.items() if (m := SCOPE.search(body)))
    for n, scope in above.items():
        path = {n: None}
        while scope not in groups.owners and scope in above and scope not in path:
            path[scope] = None
            scope = above[scope]
        groups.own(tuple(path), scope)


def _own_others(groups: _Groups, nodes: DebugNodes, functions: Iterable[str]) -> None:
    bodies = nodes.bodies
    for n, _, scope, *_ in nodes.variables:
        groups.own((n,), scope)
    for n, body in bodies.items():
        if body.startswith(OWNED) and (found := SCOPE.search(body)):
            groups.own((n,), found[1])  # unless it is imported into a file or namespace
            if body.startswith("!DICommonBlock(") and (variable := DECLARATION.search(body)):
                groups.own((variable[1],), found[1])  # the block as a whole, which is in the function as well
    for n in functions:
        if (found := RETAINED.search(bodies[n])) and bodies.get(found[1], "!{}") != "!{}":
            groups.own((found[1],), n)


def _own_sizes(groups: _Groups, bodies: Mapping[str, str]) -> None:
    """Types whose size is a variable of a function (arrays in C) are the function's own, too."""
    new = {}
    for n, body in bodies.items():
        if body.startswith(SIZED):
            owners = (groups.owners.get(m) for m in NODE.findall(body))
            if owner := next((owner for owner in owners if owner), None):
                new[n] = owner
    rest = {n: body for n, body in bodies.items() if new and body.startswith(MADE_OF)}
    while new:
        for n, owner in new.items():
            groups.own((n,), owner)
            rest.pop(n, None)
        below = new
        new = {}
        for n, body in rest.items():
            if n not in groups.owners and (found := below.keys() & NODE.findall(body)):
                new[n] = below[min(found)]


def _choose_keys(
    bodies: Mapping[str, str], functions: Iterable[str], symbols: Mapping[str, str]
) -> dict[str, str]:
    """A key per function: the symbol that it describes, else its name, numbered among those of that name."""
    seen: Counter[str] = Counter()
    keys: dict[str, str] = {}
    for n in functions:
        name = symbols.get(n)
        if name is None:
            found = LINKAGE_NAME.search(bodies[n]) or NAME.search(bodies[n])
            base = f"{found[1][1:-1] if found else ''}#"
            seen[base] += 1
            name = f"{base}{seen[base]}"
        keys[n] = name
    return keys
